//! The delivery plan: a pure function of meter and interval that says what is sent of it and when.
//!
//! Most reads are sent once, after their interval. The others are never sent, reported missing, late, twice, or wrong first
//! and corrected later. What the platform must hold in the end follows from the merge order of CONTRACT section 1: the higher
//! revision, then the later `captured_at` (none is earliest), then the larger content; arrival order never decides.

use gridtally_schemas::{IntervalRead, PowerEvent, network::MeterRole};

use crate::{Imperfections, calendar::Quarter, feeder::Meter, prng::signed};

/// Quarters that a loss of communication lasts.
const LATE_WINDOW: i64 = 16;

/// What a sending says of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Said {
    /// The read, as the meter counted it.
    Read,
    /// A wrong value, to be corrected.
    Wrong,
    /// The correction of a wrong value: the read, with a higher revision or a later `captured_at`.
    Correction,
    /// That the read is missing.
    Missing,
}

/// One sending of one read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sending {
    /// It is sent after the end of this quarter.
    pub due: Quarter,
    /// What it says.
    pub said: Said,
}

/// All sendings of one read: none, one or two, in order of time.
pub type Sendings = [Option<Sending>; 2];

/// What is sent of the read of `meter` for the interval that ends with `quarter`.
#[must_use]
pub fn sendings(of: &Imperfections, meter: &Meter, quarter: Quarter) -> Sendings {
    let draw = meter.key.part(1).at(quarter.0);
    let due = first_due(of, meter, quarter);
    let send = |due: Quarter, said: Said| Some(Sending { due, said });
    let later = |least: u64, most: u64| due.plus(signed(draw.part(1).between(least, most)));
    let mut ticket = u32::try_from(draw.below(1_000_000)).unwrap_or(u32::MAX);
    let mut falls_on = |ppm: u32| {
        let hit = ticket < ppm;
        ticket = if hit { u32::MAX } else { ticket - ppm };
        hit
    };
    if falls_on(of.missing_ppm) {
        [None, None]
    } else if falls_on(of.null_ppm) {
        let recovered = draw.part(2).chance_permille(500);
        let read = if recovered {
            send(later(8, 48), Said::Read)
        } else {
            None
        };
        [send(due, Said::Missing), read]
    } else if falls_on(of.duplicate_ppm) {
        [send(due, Said::Read), send(later(0, 8), Said::Read)]
    } else if falls_on(of.corrected_ppm) {
        [send(due, Said::Wrong), send(later(1, 48), Said::Correction)]
    } else {
        [send(due, Said::Read), None]
    }
}

/// Most quarters that any sending comes after its interval.
#[must_use]
pub const fn delay_quarters_max(of: &Imperfections) -> i64 {
    let [a, b, c, d] = of.late_hours_max.to_le_bytes();
    LATE_WINDOW + 4 * i64::from_le_bytes([a, b, c, d, 0, 0, 0, 0]) + 48
}

fn first_due(of: &Imperfections, meter: &Meter, quarter: Quarter) -> Quarter {
    let window = quarter.0.div_euclid(LATE_WINDOW);
    let draw = meter.key.part(2).at(window);
    if !draw.chance_ppm(of.late_ppm) || of.late_hours_max == 0 {
        return quarter;
    }
    let delay = signed(draw.part(1).between(1, u64::from(of.late_hours_max) * 4));
    Quarter(window * LATE_WINDOW + LATE_WINDOW - 1 + delay)
}

/// The read as a sending says it.
#[must_use]
pub fn version(meter: &Meter, read: IntervalRead, said: Said) -> IntervalRead {
    let draw = meter.key.part(3).at(read.interval_end.0);
    let by_revision = draw.chance_permille(750);
    match said {
        Said::Read => read,
        Said::Missing => IntervalRead::new(read.interval_end, None),
        Said::Wrong => {
            let right = read.import_wh.unwrap_or_default();
            let off = right + 1 + signed(draw.part(1).below(100));
            let wrong = if draw.part(2).chance_permille(500) {
                off
            } else {
                right / 2
            };
            IntervalRead {
                import_wh: Some(wrong),
                import_vah: None,
                ..read
            }
        }
        Said::Correction if by_revision => IntervalRead { revision: 1, ..read },
        Said::Correction => IntervalRead {
            captured_at: Some(read.interval_end.plus(3_600_000_000)),
            ..read
        },
    }
}

/// What the platform must hold once everything due through `through` has arrived; `None`: no value. `read` is the true one.
#[must_use]
pub fn expected(
    of: &Imperfections,
    meter: &Meter,
    read: IntervalRead,
    through: Quarter,
) -> Option<IntervalRead> {
    sendings(of, meter, Quarter::containing(read.interval_end))
        .into_iter()
        .flatten()
        .filter(|sending| sending.due <= through)
        .map(|sending| sending.said)
        .filter(|said| *said != Said::Missing)
        // A correction outranks what it corrects; two sendings of one read are equal.
        .max_by_key(|said| *said == Said::Correction)
        .map(|said| version(meter, read, said))
}

/// Power failure and restoration of a consumer's meter within `quarter`, if there is one.
///
/// They exercise the event path only: reads do not follow them.
#[must_use]
pub fn events(of: &Imperfections, meter: &Meter, quarter: Quarter) -> Option<[PowerEvent; 2]> {
    let draw = meter.key.part(4).at(quarter.0);
    if meter.role != MeterRole::Consumer || !draw.chance_ppm(of.event_ppm) {
        return None;
    }
    let begin = quarter.plus(-1).end();
    let failed = signed(draw.part(1).between(1, 400));
    let restored = failed + signed(draw.part(2).between(20, 480));
    let event = |seconds: i64, code: i32, number: i64| PowerEvent {
        at: begin.plus(seconds * 1_000_000),
        code,
        sequence: Some(quarter.0 * 2 + number),
    };
    Some([event(failed, 101, 0), event(restored, 102, 1)])
}

#[cfg(test)]
mod tests;
