//! What meters say: interval reads, register reads, power events, and a publish of many of them.
//!
//! A [`Publish`] is one flat buffer that decoders fill and the engine walks: nothing allocates per read, and a cleared
//! publish keeps its capacity for the next payload.

use crate::{id, id::IdError, time::UtcMicros};

/// One block of the load profile (IS 15959): energy in the 15 or 30 minutes that end at `interval_end`.
///
/// Values are as the meter counted, without multiplier, and not yet validated: a negative or absurd value is decoded and
/// then quarantined by the engine, so that nothing a meter said is lost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IntervalRead {
    /// End of the block.
    pub interval_end: UtcMicros,
    /// Energy imported from the network, Wh. `None`: the source itself reports the read as missing.
    pub import_wh: Option<i64>,
    /// Energy exported to the network, Wh. `None`: not measured or not sent.
    pub export_wh: Option<i64>,
    /// Apparent energy imported, VAh. `None`: not sent.
    pub import_vah: Option<i64>,
    /// Average voltage, V. `None`: not sent.
    pub voltage_v: Option<f32>,
    /// Average current, A. `None`: not sent.
    pub current_a: Option<f32>,
    /// When the meter or HES made this read, by its own clock. `None`: not sent.
    pub captured_at: Option<UtcMicros>,
    /// Revision by which a source corrects what it sent before; the higher wins. Default 0.
    pub revision: i32,
}

impl IntervalRead {
    /// A plain read: import only.
    #[must_use]
    pub const fn new(interval_end: UtcMicros, import_wh: Option<i64>) -> Self {
        Self {
            interval_end,
            import_wh,
            export_wh: None,
            import_vah: None,
            voltage_v: None,
            current_a: None,
            captured_at: None,
            revision: 0,
        }
    }
}

/// A cumulative reading at an instant, usually midnight (daily load profile).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegisterRead {
    /// Instant of the reading, by the meter's clock.
    pub at: UtcMicros,
    /// Import register, Wh as the meter counts. `None`: not sent.
    pub import_wh: Option<i64>,
    /// Export register, Wh as the meter counts. `None`: not sent.
    pub export_wh: Option<i64>,
}

/// An event of the meter's event log (DOMAIN section 4: 101 power failure, 102 restoration, …).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PowerEvent {
    /// Instant of the event, by the meter's clock.
    pub at: UtcMicros,
    /// Event code of the configured map.
    pub code: i32,
    /// The meter's own sequence number. `None`: not sent.
    pub sequence: Option<i64>,
}

/// The part of a [`Publish`] that belongs to one meter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeterSpan<'a> {
    /// The meter's id; checked text (see [`crate::id`]).
    pub meter_id: &'a str,
    /// Its interval reads.
    pub reads: &'a [IntervalRead],
    /// Its register reads.
    pub registers: &'a [RegisterRead],
    /// Its events.
    pub events: &'a [PowerEvent],
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct SpanEnds {
    id: usize,
    reads: usize,
    registers: usize,
    events: usize,
}

/// One publish, decoded: reads, registers and events grouped by meter, in the order sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Publish {
    ids: String,
    ends: Vec<SpanEnds>,
    reads: Vec<IntervalRead>,
    registers: Vec<RegisterRead>,
    events: Vec<PowerEvent>,
}

impl Publish {
    /// Empties the publish and keeps its capacity.
    pub fn clear(&mut self) {
        self.ids.clear();
        self.ends.clear();
        self.reads.clear();
        self.registers.clear();
        self.events.clear();
    }

    /// Begins the part of one meter; what is pushed next belongs to it.
    ///
    /// # Errors
    /// [`IdError`] when `meter_id` is not an id.
    pub fn begin_meter(&mut self, meter_id: &str) -> Result<(), IdError> {
        id::check(meter_id)?;
        self.begin_unnamed();
        self.name_meter(meter_id)
    }

    /// Begins the part of a meter whose id comes later, by [`Self::name_meter`].
    pub(crate) fn begin_unnamed(&mut self) {
        self.ends.push(SpanEnds {
            id: self.ids.len(),
            reads: self.reads.len(),
            registers: self.registers.len(),
            events: self.events.len(),
        });
    }

    /// Gives the part begun last its meter, once.
    pub(crate) fn name_meter(&mut self, meter_id: &str) -> Result<(), IdError> {
        id::check(meter_id)?;
        if let Some(end) = self.ends.last_mut() {
            self.ids.push_str(meter_id);
            end.id = self.ids.len();
        }
        Ok(())
    }

    /// Takes the part begun last back when nothing was pushed into it; says whether it did.
    pub(crate) fn drop_if_empty(&mut self) -> bool {
        let begin = match self.ends.as_slice() {
            [.., before, _] => *before,
            [_] => SpanEnds::default(),
            [] => return false,
        };
        let is_empty = self.reads.len() == begin.reads
            && self.registers.len() == begin.registers
            && self.events.len() == begin.events;
        if is_empty {
            self.ends.pop();
        }
        is_empty
    }

    /// Adds an interval read to the meter begun last; without one it is ignored.
    pub fn push_read(&mut self, read: IntervalRead) {
        if let Some(end) = self.ends.last_mut() {
            self.reads.push(read);
            end.reads = self.reads.len();
        }
    }

    /// Adds a register read to the meter begun last; without one it is ignored.
    pub fn push_register(&mut self, register: RegisterRead) {
        if let Some(end) = self.ends.last_mut() {
            self.registers.push(register);
            end.registers = self.registers.len();
        }
    }

    /// Adds an event to the meter begun last; without one it is ignored.
    pub fn push_event(&mut self, event: PowerEvent) {
        if let Some(end) = self.ends.last_mut() {
            self.events.push(event);
            end.events = self.events.len();
        }
    }

    /// The meters with their parts, in the order sent. A meter may come more than once.
    pub fn meters(&self) -> impl Iterator<Item = MeterSpan<'_>> {
        let mut begin = SpanEnds::default();
        self.ends.iter().map(move |end| {
            let span = MeterSpan {
                meter_id: self.ids.get(begin.id..end.id).unwrap_or_default(),
                reads: self.reads.get(begin.reads..end.reads).unwrap_or_default(),
                registers: self
                    .registers
                    .get(begin.registers..end.registers)
                    .unwrap_or_default(),
                events: self.events.get(begin.events..end.events).unwrap_or_default(),
            };
            begin = *end;
            span
        })
    }

    /// Number of interval reads.
    #[must_use]
    pub fn read_count(&self) -> usize {
        self.reads.len()
    }

    /// Number of register reads.
    #[must_use]
    pub fn register_count(&self) -> usize {
        self.registers.len()
    }

    /// Number of events.
    #[must_use]
    pub fn event_count(&self) -> usize {
        self.events.len()
    }

    /// Whether it carries nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.reads.is_empty() && self.registers.is_empty() && self.events.is_empty()
    }
}
