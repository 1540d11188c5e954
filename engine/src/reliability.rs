//! Reliability indices: IEEE 1366 by consumer, and the feeder-based returns of the Standards of Performance (DOMAIN section 5).
//!
//! Everything here is a pure function. Inside, figures are exact integers (interruptions counted, time in microseconds), so that sums
//! do not depend on their order and a node's tally is the sum of its children's; ratios are made once, at the edge.
//!
//! # How it is driven
//!
//! The world
//! - makes one [`Tally`] for each consumer and month from its interruptions that began in that month and count
//!   ([`Tally::of_consumer`]), and adds them up, node by node, to every level; a consumer counts at the node where it hung when the
//!   interruption began;
//! - adds the consumers served as they were ([`Tally::consumers_served`]);
//! - decides major event days on the daily minutes of the whole discom ([`MajorEventDays`]) and makes the tallies a second time
//!   without the interruptions that began on such a day;
//! - reads the columns of `reliability_monthly` off [`Tally::indices`], for `basis = 'consumer'`;
//! - does the same with [`FeederMonth`] for `basis = 'feeder'`, and publishes both.
//!
//! An interruption belongs to the day, and so to the month, in which it began, with all its minutes. One that is not over counts once
//! it is, and restates its month then.

mod feeder_based;
mod major_event_day;
mod tally;
#[cfg(test)]
mod tests;

pub use feeder_based::{FeederMonth, FeederOperation, Quarter, Returned};
pub use major_event_day::{MajorEventDays, Threshold};
pub use tally::{Counted, Counting, Indices, Tally};

const MINUTE_MICROS: i128 = 60_000_000;

/// Time as minutes, for a column.
fn minutes(micros: i128) -> f64 {
    ratio(micros, MINUTE_MICROS)
}

/// One integer by another, as a float; the only place where exactness is given up. Not a number where there is nothing to divide by.
fn ratio(dividend: i128, divisor: i128) -> f64 {
    float(dividend) / float(divisor)
}

/// An integer as a float: in parts of 32 bits, which floats hold exactly, so that no lossy cast is needed. Exact up to 2^53.
fn float(number: i128) -> f64 {
    const PART: i128 = 1 << 32;
    let (high, low) = (number.div_euclid(PART), number.rem_euclid(PART));
    let low = u32::try_from(low).map_or(0.0, f64::from);
    match i32::try_from(high) {
        Ok(high) => f64::from(high) * 4_294_967_296.0 + low,
        Err(_) => float(high) * 4_294_967_296.0 + low,
    }
}
