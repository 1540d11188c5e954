//! Processor time that queries may take from ingest, balances and dashboards.
//!
//! A query begins at a low priority, which on a full machine is still a share of it, and ten who ask one after another have it for ever. So what
//! queries use at that priority is spent from an allowance: a fixed part of the machine's processors, saved up to a bound while nobody asks. When
//! it is spent, those that run and those that come have what nobody else wants, at full speed where there is much of that. There is one of all
//! callers, and one of each known caller, of half as much: whoever asks too much leaves the other half to others.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// One part in so many of the processors' time.
const PART: u32 = 10;
/// What is saved at most for each processor: the time of some fifty short questions, with the workers that are started ahead of the next. With less, many
/// who ask little had the last of them stopped at the deadline on a machine that was full.
const SAVED_MAX: Duration = Duration::from_secs(10);

/// An allowance that fills as time passes.
#[derive(Debug)]
pub(super) struct Allowance {
    filled_by_second: Duration,
    saved_max: Duration,
    taken: Mutex<Taken>,
}

/// What is missing of all that can be saved; more than that when more was used than there was.
#[derive(Debug, Clone, Copy)]
struct Taken {
    time: Duration,
    at: Instant,
}

impl Allowance {
    /// A full one, of all callers on a machine with so many processors.
    pub(super) fn of_all(processors: u32, now: Instant) -> Self {
        Self {
            filled_by_second: Duration::from_secs(1).saturating_mul(processors) / PART,
            saved_max: SAVED_MAX.saturating_mul(processors),
            taken: Mutex::new(Taken {
                time: Duration::ZERO,
                at: now,
            }),
        }
    }

    /// A full one, of one caller beside others.
    pub(super) fn of_one(processors: u32, now: Instant) -> Self {
        let all = Self::of_all(processors, now);
        Self {
            filled_by_second: all.filled_by_second / 2,
            saved_max: all.saved_max / 2,
            ..all
        }
    }

    /// What is missing now.
    fn taken(&self, now: Instant) -> MutexGuard<'_, Taken> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(taken.at);
        let come = self.filled_by_second.mul_f64(passed.as_secs_f64());
        taken.time = taken.time.saturating_sub(come);
        taken.at = taken.at.max(now);
        taken
    }

    /// Takes what was used. Of what there was not, as much again is owed at most.
    pub(super) fn spend(&self, used: Duration, now: Instant) {
        let mut taken = self.taken(now);
        taken.time = taken
            .time
            .saturating_add(used)
            .min(self.saved_max.saturating_mul(2));
    }

    /// Whether nothing is left.
    pub(super) fn is_spent(&self, now: Instant) -> bool {
        self.taken(now).time >= self.saved_max
    }

    /// Whether nothing is missing, as if nobody had ever asked.
    pub(super) fn is_full(&self, now: Instant) -> bool {
        self.taken(now).time.is_zero()
    }
}

/// The allowances that a query spends.
#[derive(Debug, Clone)]
pub(super) struct Purse {
    pub(super) of_all: Arc<Allowance>,
    /// That of its caller, where callers are known.
    pub(super) of_one: Option<Arc<Allowance>>,
}

impl Purse {
    fn each(&self) -> impl Iterator<Item = &Allowance> {
        let allowances = std::iter::once(&self.of_all).chain(&self.of_one);
        allowances.map(AsRef::as_ref)
    }

    /// Takes what was used from each.
    pub(super) fn spend(&self, used: Duration, now: Instant) {
        self.each().for_each(|allowance| allowance.spend(used, now));
    }

    /// Whether one of them is spent.
    pub(super) fn is_spent(&self, now: Instant) -> bool {
        self.each().any(|allowance| allowance.is_spent(now))
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use tokio::time::Instant;

    use super::{Allowance, Purse};

    #[test]
    fn what_is_used_is_spent_and_comes_again_by_a_tenth_of_the_processors() {
        let begin = Instant::now();
        let after = |millis| begin + Duration::from_millis(millis);
        let allowance = Allowance::of_all(2, begin);
        assert!(allowance.is_full(begin) && !allowance.is_spent(begin));
        allowance.spend(Duration::from_millis(19_900), begin);
        assert!(!allowance.is_spent(begin) && !allowance.is_full(begin));
        allowance.spend(Duration::from_millis(150), begin);
        // A fifth of a second in each second: what was used beyond it is owed.
        assert!(allowance.is_spent(after(240)));
        assert!(!allowance.is_spent(after(260)));
        // It is never more than it was, and what is owed has a bound.
        assert!(allowance.is_full(after(200_000)));
        allowance.spend(Duration::from_secs(3_600), after(200_000));
        assert!(allowance.is_spent(after(299_000)));
        assert!(!allowance.is_spent(after(301_000)));
    }

    #[test]
    fn a_caller_who_spent_his_own_leaves_half_to_others() {
        let now = Instant::now();
        let of_all = Arc::new(Allowance::of_all(2, now));
        let caller = || Purse {
            of_all: Arc::clone(&of_all),
            of_one: Some(Arc::new(Allowance::of_one(2, now))),
        };
        let (greedy, other) = (caller(), caller());
        greedy.spend(Duration::from_secs(10), now);
        assert!(greedy.is_spent(now) && !other.is_spent(now));
        other.spend(Duration::from_secs(10), now);
        assert!(caller().is_spent(now), "together they have no more than all");
    }
}
