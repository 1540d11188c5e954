//! When things are sent, and the clock of a time-lapse.

use std::time::{Duration, Instant};

use gridtally_schemas::{Clock, UtcMicros, time::QUARTER_MICROS};

const MICROS_PER_SECOND: u128 = 1_000_000;
/// Longest single wait: a clock may be moved meanwhile.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// When a fleet sends.
#[derive(Debug, Clone)]
pub enum Pace {
    /// As fast as the broker acknowledges, whatever the time.
    Fast,
    /// Each thing at its time by this clock; what is due already is sent at once, so a span that began before now is a backfill.
    RealTime(Clock),
    /// Each thing at its time in a time-lapse.
    TimeLapse(TimeLapse),
}

impl Pace {
    /// Waits until the fleet's time is `instant`.
    pub(super) async fn wait_until(&self, instant: UtcMicros) {
        loop {
            let wait = match self {
                Self::Fast => return,
                Self::RealTime(clock) => micros(instant.0.saturating_sub(clock.now().0)),
                Self::TimeLapse(lapse) => lapse.real_time_until(instant),
            };
            if wait.is_zero() {
                return;
            }
            tokio::time::sleep(wait.min(WAIT_MAX)).await;
        }
    }
}

fn micros(value: i64) -> Duration {
    Duration::from_micros(u64::try_from(value).unwrap_or_default())
}

/// Time that runs faster: the fleet's "now", for the fleet and for the server that is to share it.
#[derive(Debug, Clone, Copy)]
pub struct TimeLapse {
    start: UtcMicros,
    began: Instant,
    /// Fleet microseconds in a second.
    speed: u64,
}

impl TimeLapse {
    /// A time-lapse that stands at `start` now and runs at `intervals_per_second` quarter hours a second (at least real time, at
    /// most a day a second).
    #[must_use]
    pub fn begin(start: UtcMicros, intervals_per_second: f64) -> Self {
        let fleet_seconds = (intervals_per_second * 900.0).clamp(1.0, 86_400.0);
        let speed = Duration::from_secs_f64(fleet_seconds).as_micros();
        Self {
            start,
            began: Instant::now(),
            speed: u64::try_from(speed).unwrap_or(1_000_000),
        }
    }

    /// The fleet's time now.
    #[must_use]
    pub fn now(&self) -> UtcMicros {
        let passed = self.began.elapsed().as_micros() * u128::from(self.speed) / MICROS_PER_SECOND;
        self.start.plus(i64::try_from(passed).unwrap_or(i64::MAX))
    }

    /// The same as a clock for the server.
    #[must_use]
    pub fn clock(&self) -> Clock {
        let lapse = *self;
        Clock::from_fn(move || lapse.now())
    }

    /// Real time in which a quarter hour of the fleet passes.
    #[must_use]
    pub fn real_interval(&self) -> Duration {
        self.real_time_of(QUARTER_MICROS)
    }

    fn real_time_until(&self, instant: UtcMicros) -> Duration {
        let left = instant.0.saturating_sub(self.now().0);
        if left <= 0 {
            return Duration::ZERO;
        }
        // Never nothing while time is left, or the wait would spin.
        self.real_time_of(left).max(Duration::from_micros(100))
    }

    fn real_time_of(&self, fleet_micros: i64) -> Duration {
        let fleet = u128::try_from(fleet_micros).unwrap_or_default();
        let real = fleet * MICROS_PER_SECOND / u128::from(self.speed.max(1));
        Duration::from_micros(u64::try_from(real).unwrap_or(u64::MAX))
    }
}
