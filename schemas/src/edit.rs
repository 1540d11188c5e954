//! Manual edits: a named person sets the value of an interval, with a reason (DOMAIN section 3, "editing").
//!
//! An edit stands above every actual read of its interval; of two edits of one interval the later made one stands. The reads
//! beneath stay as they are (VEE-1). An edit that was wrong is followed by another, never taken back.

use serde::{Deserialize, Serialize};

use crate::{MeterId, UtcMicros, quantity::INTERVAL_WH_MAX, time::QUARTER_MICROS};

/// Most edits in one record.
pub const EDITS_MAX: usize = 10_000;
/// Longest name of a person, and longest reason, bytes.
pub const EDIT_TEXT_BYTES_MAX: usize = 500;

/// One edit: what a meter counted in one interval, as a person says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// The meter.
    pub meter_id: MeterId,
    /// End of the interval.
    pub interval_end: UtcMicros,
    /// Energy imported, Wh as the meter counts.
    pub import_wh: i64,
    /// Energy exported, Wh as the meter counts. `None`: not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export_wh: Option<i64>,
}

/// What one person set at one time, for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edits {
    /// Who.
    pub person: String,
    /// Why.
    pub reason: String,
    /// What.
    pub edits: Vec<Edit>,
}

/// Why edits cannot stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// Nobody, or no reason.
    #[error("`{field}` is empty: an edit names a person and a reason")]
    Unnamed {
        /// `person` or `reason`.
        field: &'static str,
    },
    /// A text that is too long or no line of text.
    #[error("`{field}` is at most {EDIT_TEXT_BYTES_MAX} bytes without control characters")]
    Text {
        /// `person` or `reason`.
        field: &'static str,
    },
    /// Too few or too many edits.
    #[error("{count} edits: 1 to {EDITS_MAX} at a time")]
    Count {
        /// How many.
        count: usize,
    },
    /// An interval that does not end on the grid.
    #[error("edit {at} (meter {meter_id}): `interval_end` {interval_end} is not the end of a quarter hour")]
    OffGrid {
        /// Which edit, from 1.
        at: usize,
        /// Its meter.
        meter_id: MeterId,
        /// Its interval.
        interval_end: UtcMicros,
    },
    /// An energy that no meter counts.
    #[error("edit {at} (meter {meter_id}): {energy_wh} Wh is not between 0 and {INTERVAL_WH_MAX}")]
    Energy {
        /// Which edit, from 1.
        at: usize,
        /// Its meter.
        meter_id: MeterId,
        /// The energy.
        energy_wh: i64,
    },
}

impl Edits {
    /// Checks all that can be checked without knowing the network.
    ///
    /// # Errors
    /// [`EditError`] names the first thing that is wrong.
    pub fn check(&self) -> Result<(), EditError> {
        for (field, text) in [("person", &self.person), ("reason", &self.reason)] {
            if text.trim().is_empty() {
                return Err(EditError::Unnamed { field });
            }
            if text.len() > EDIT_TEXT_BYTES_MAX || text.chars().any(char::is_control) {
                return Err(EditError::Text { field });
            }
        }
        if self.edits.is_empty() || self.edits.len() > EDITS_MAX {
            return Err(EditError::Count {
                count: self.edits.len(),
            });
        }
        for (at, edit) in (1..).zip(&self.edits) {
            edit.check(at)?;
        }
        Ok(())
    }
}

impl Edit {
    fn check(&self, at: usize) -> Result<(), EditError> {
        if self.interval_end.0.rem_euclid(QUARTER_MICROS) != 0 {
            return Err(EditError::OffGrid {
                at,
                meter_id: self.meter_id.clone(),
                interval_end: self.interval_end,
            });
        }
        let energies = [Some(self.import_wh), self.export_wh].into_iter().flatten();
        for energy_wh in energies {
            if !(0..=INTERVAL_WH_MAX).contains(&energy_wh) {
                return Err(EditError::Energy {
                    at,
                    meter_id: self.meter_id.clone(),
                    energy_wh,
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
