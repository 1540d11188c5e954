//! Pauses between attempts to connect.

use std::time::Duration;

/// Doubling pauses between two bounds.
#[derive(Debug)]
pub(super) struct Backoff {
    least: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(least: Duration, most: Duration) -> Self {
        Self {
            least,
            most,
            next: least,
        }
    }

    /// The pause before the next attempt.
    pub(super) fn next(&mut self) -> Duration {
        let pause = self.next;
        self.next = pause.saturating_mul(2).min(self.most);
        pause
    }

    /// After an attempt that succeeded.
    pub(super) fn reset(&mut self) {
        self.next = self.least;
    }
}
