//! One version of a value, and which of two stands.

use gridtally_schemas::{IntervalRead, UtcMicros, edit::Edit, quantity::INTERVAL_WH_MAX};

use super::Quarter;

/// Where a value comes from, worst first (DOMAIN section 3).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Quality {
    /// No value.
    #[default]
    Missing,
    /// Estimated by a named method.
    Estimated,
    /// As the meter said.
    Actual,
    /// Set by a named person, with a reason.
    Edited,
}

impl Quality {
    /// The quality of a word in the `quality` column.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Missing, Self::Estimated, Self::Actual, Self::Edited]
            .into_iter()
            .find(|quality| quality.as_str() == word)
    }

    /// As a byte, and back; a byte that is none is [`Quality::Missing`].
    pub(super) const fn to_bits(self) -> u8 {
        match self {
            Self::Missing => 0,
            Self::Estimated => 1,
            Self::Actual => 2,
            Self::Edited => 3,
        }
    }

    pub(super) const fn of_bits(bits: u8) -> Self {
        match bits {
            1 => Self::Estimated,
            2 => Self::Actual,
            3 => Self::Edited,
            _ => Self::Missing,
        }
    }

    /// The word in the `quality` column.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Estimated => "estimated",
            Self::Actual => "actual",
            Self::Edited => "edited",
        }
    }
}

/// One version of the value of a (meter, interval), within the limits that the state can hold.
#[derive(Debug, Clone, Copy)]
pub struct Value {
    /// Where it comes from.
    pub quality: Quality,
    /// Revision of its source.
    pub revision: i32,
    /// When it was made, by its source.
    pub captured_at: Option<UtcMicros>,
    /// Wh imported, as the meter counts.
    pub import_wh: u32,
    /// Wh exported.
    pub export_wh: Option<u32>,
    /// VAh imported.
    pub import_vah: Option<u32>,
    /// Volts.
    pub voltage_v: Option<f32>,
    /// Amperes.
    pub current_a: Option<f32>,
}

/// Why a read cannot be a value: a hard failure of validation (DOMAIN section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HardFailure {
    /// An energy below zero.
    Negative,
    /// An energy above what any meter counts in an interval ([`INTERVAL_WH_MAX`]).
    OutOfRange,
}

impl Value {
    /// The value that an interval read carries; `Ok(None)` when the source reports it as missing.
    ///
    /// # Errors
    /// [`HardFailure`] when an energy cannot be one.
    pub fn of_read(read: &IntervalRead) -> Result<Option<Self>, HardFailure> {
        let energy = |wh: i64| match wh {
            ..0 => Err(HardFailure::Negative),
            0..=INTERVAL_WH_MAX => u32::try_from(wh).map_err(|_| HardFailure::OutOfRange),
            _ => Err(HardFailure::OutOfRange),
        };
        let Some(import_wh) = read.import_wh else {
            return Ok(None);
        };
        Ok(Some(Self {
            quality: Quality::Actual,
            revision: read.revision,
            captured_at: read.captured_at,
            import_wh: energy(import_wh)?,
            export_wh: read.export_wh.map(energy).transpose()?,
            import_vah: read.import_vah.map(energy).transpose()?,
            voltage_v: read.voltage_v.filter(|volts| !volts.is_nan()),
            current_a: read.current_a.filter(|amperes| !amperes.is_nan()),
        }))
    }

    /// The value that a person set at `made_at`, with its interval; `None` when the interval is off the grid or an energy out of
    /// range. It stands above every actual value; of two edits the one made later stands.
    #[must_use]
    pub fn of_edit(edit: &Edit, made_at: UtcMicros) -> Option<(Quarter, Self)> {
        let read = IntervalRead {
            export_wh: edit.export_wh,
            captured_at: Some(made_at),
            ..IntervalRead::new(edit.interval_end, Some(edit.import_wh))
        };
        let value = Self::of_read(&read).ok().flatten()?;
        let edited = Self {
            quality: Quality::Edited,
            ..value
        };
        Quarter::ending(edit.interval_end).map(|quarter| (quarter, edited))
    }

    /// What decides between two versions; the greater stands.
    pub(super) fn rank(&self) -> (Quality, i32, Option<UtcMicros>, Content) {
        let bits = |number: Option<f32>| number.map(f32::to_bits);
        let content: Content = (
            self.import_wh,
            self.export_wh,
            self.import_vah,
            bits(self.voltage_v),
            bits(self.current_a),
        );
        (self.quality, self.revision, self.captured_at, content)
    }
}

pub(super) type Content = (u32, Option<u32>, Option<u32>, Option<u32>, Option<u32>);

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}
