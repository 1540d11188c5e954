//! How many reads a second, over the last seconds.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Over how long it is measured.
const SPAN: Duration = Duration::from_secs(5);

/// A count at instants of the last [`SPAN`].
#[derive(Debug, Default)]
pub(super) struct Rate(VecDeque<(Instant, u64)>);

impl Rate {
    /// Notes the count as it stands, and gives its growth a second.
    pub(super) fn note(&mut self, now: Instant, count: u64) -> f64 {
        self.0.push_back((now, count));
        while self
            .0
            .get(1)
            .is_some_and(|(at, _)| now.duration_since(*at) >= SPAN)
        {
            self.0.pop_front();
        }
        self.0.front().map_or(0.0, |(since, before)| {
            let seconds = now.duration_since(*since).as_secs_f64();
            let grown = u32::try_from(count.saturating_sub(*before)).map_or(f64::from(u32::MAX), f64::from);
            if seconds > 0.0 { grown / seconds } else { 0.0 }
        })
    }
}
