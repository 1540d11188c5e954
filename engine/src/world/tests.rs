//! The picture as a whole: what it says is a function of what was said, whatever the order, the repetition, the splitting into
//! records, and wherever the process was killed (ORD-1, CONS-1, TBL-1, BAL-1, BAL-2).

use gridtally_schemas::UtcMicros;

use crate::rig::{MIDNIGHT, QUARTER};

pub(crate) mod compared;
pub(crate) mod histories;
mod late;
mod order;
mod paging;
mod rules;
mod topology;

const HOUR: i64 = 4 * QUARTER;
/// Noon of 2026-04-02: the first day is closed, the second half gone.
pub(crate) const NOW: UtcMicros = UtcMicros(MIDNIGHT.0 + 36 * HOUR);
