//! Interruptions of consumers, counted exactly, and the indices of IEEE 1366 that come of them.

use std::ops::AddAssign;

use gridtally_schemas::UtcMicros;

use super::{minutes, ratio};
use crate::outage::Interruption;

/// What is counted how. All are configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counting {
    /// An interruption is sustained when it lasts longer than this, µs. Default 3 minutes (Rules as amended 2022, where the SERC is
    /// silent; IEEE 1366 uses 5).
    pub momentary_micros: i64,
    /// n of CEMI: share of consumers with so many sustained interruptions or more. Default 3.
    pub many: u32,
    /// T of CELID: share of consumers with an interruption of so long or longer, µs. Default 8 hours.
    pub long_micros: i64,
}

impl Default for Counting {
    fn default() -> Self {
        Self {
            momentary_micros: 3 * 60_000_000,
            many: 3,
            long_micros: 8 * 60 * 60_000_000,
        }
    }
}

/// One interruption as it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counted {
    /// When it began.
    pub started_at: UtcMicros,
    /// How long it counts, µs.
    pub counted_micros: i64,
}

impl Counted {
    /// An interruption of which OUT-1 lets something count; `None`: it counts in no index, or is not over.
    #[must_use]
    pub fn of(interruption: &Interruption) -> Option<Self> {
        let counted_micros = interruption
            .counted_micros
            .filter(|_| interruption.excluded_because.is_none())?;
        Some(Self {
            started_at: interruption.started_at,
            counted_micros,
        })
    }
}

/// Exact sums over consumers and a period. Tallies of disjoint groups of consumers add up.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// N_T: consumers served, as they were.
    pub consumers_served: u64,
    /// Sum of N_i: sustained interruptions.
    pub customer_interruptions: u64,
    /// Sum of r_i N_i: time of sustained interruption, µs.
    pub customer_micros: i128,
    /// Momentary interruptions.
    pub momentary: u64,
    /// Momentary events: all operations within the threshold are one.
    pub momentary_events: u64,
    /// CN: distinct consumers with a sustained interruption.
    pub consumers_interrupted: u64,
    /// Consumers with [`Counting::many`] or more sustained interruptions.
    pub consumers_often: u64,
    /// Consumers with an interruption of [`Counting::long_micros`] or longer.
    pub consumers_long: u64,
}

impl AddAssign<&Tally> for Tally {
    fn add_assign(&mut self, other: &Self) {
        self.consumers_served += other.consumers_served;
        self.customer_interruptions += other.customer_interruptions;
        self.customer_micros += other.customer_micros;
        self.momentary += other.momentary;
        self.momentary_events += other.momentary_events;
        self.consumers_interrupted += other.consumers_interrupted;
        self.consumers_often += other.consumers_often;
        self.consumers_long += other.consumers_long;
    }
}

impl Tally {
    /// The tally of one consumer's interruptions in a period, in any order; [`Tally::consumers_served`] is left 0.
    ///
    /// A momentary event is what begins within the threshold of its first operation. One in which a sustained interruption begins is no
    /// momentary event, and its operations are no momentary interruptions (DOMAIN section 5; IEEE 1366, definition of MAIFI_E).
    #[must_use]
    pub fn of_consumer(counting: &Counting, interruptions: &[Counted]) -> Self {
        let mut sorted = interruptions.to_vec();
        sorted.sort_unstable();
        let mut tally = Self::default();
        let mut longest = 0;
        let mut rest = sorted.as_slice();
        while let Some((first, _)) = rest.split_first() {
            let until = first.started_at.plus(counting.momentary_micros);
            let operations = rest.partition_point(|next| next.started_at <= until);
            let is_sustained = |one: &&Counted| one.counted_micros > counting.momentary_micros;
            let (event, _) = rest.split_at(operations);
            // A sustained interruption ends the event that it comes of.
            let taken = event
                .iter()
                .position(|one| is_sustained(&one))
                .map_or(operations, |at| at + 1);
            let (event, later) = rest.split_at(taken);
            match event.last().filter(is_sustained) {
                Some(sustained) => {
                    tally.customer_interruptions += 1;
                    tally.customer_micros += i128::from(sustained.counted_micros);
                    longest = longest.max(sustained.counted_micros);
                }
                None => {
                    tally.momentary += u64::try_from(event.len()).unwrap_or(u64::MAX);
                    tally.momentary_events += 1;
                }
            }
            rest = later;
        }
        let sustained = tally.customer_interruptions;
        tally.consumers_interrupted = u64::from(sustained > 0);
        tally.consumers_often = u64::from(sustained > 0 && sustained >= u64::from(counting.many));
        tally.consumers_long = u64::from(sustained > 0 && longest >= counting.long_micros);
        tally
    }

    /// The indices over a period of `period_micros`.
    #[must_use]
    pub fn indices(&self, period_micros: i64) -> Indices {
        let served = |sum: u64| over(i128::from(sum), self.consumers_served);
        let interrupted = |sum: u64| over(i128::from(sum), self.consumers_interrupted);
        let period = i128::from(period_micros) * i128::from(self.consumers_served);
        Indices {
            saifi: served(self.customer_interruptions),
            saidi_minutes: minutes_over(self.customer_micros, self.consumers_served),
            caidi_minutes: minutes_over(self.customer_micros, self.customer_interruptions),
            maifi: served(self.momentary),
            maifi_e: served(self.momentary_events),
            asai: (period > 0).then(|| ratio(period - self.customer_micros, period)),
            caifi: interrupted(self.customer_interruptions),
            ctaidi_minutes: minutes_over(self.customer_micros, self.consumers_interrupted),
            cemi: served(self.consumers_often),
            celid: served(self.consumers_long),
        }
    }

    /// Time of sustained interruption, minutes.
    #[must_use]
    pub fn customer_minutes(&self) -> f64 {
        minutes(self.customer_micros)
    }
}

/// The indices of IEEE 1366; `None`: nobody to divide by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Indices {
    /// Sustained interruptions per consumer served.
    pub saifi: Option<f64>,
    /// Minutes of interruption per consumer served.
    pub saidi_minutes: Option<f64>,
    /// Minutes per interruption.
    pub caidi_minutes: Option<f64>,
    /// Momentary interruptions per consumer served.
    pub maifi: Option<f64>,
    /// Momentary events per consumer served.
    pub maifi_e: Option<f64>,
    /// Share of the period with supply, 0 to 1.
    pub asai: Option<f64>,
    /// Sustained interruptions per consumer interrupted.
    pub caifi: Option<f64>,
    /// Minutes per consumer interrupted.
    pub ctaidi_minutes: Option<f64>,
    /// Share of consumers with [`Counting::many`] sustained interruptions or more, 0 to 1.
    pub cemi: Option<f64>,
    /// Share of consumers with an interruption of [`Counting::long_micros`] or longer, 0 to 1.
    pub celid: Option<f64>,
}

fn over(sum: i128, count: u64) -> Option<f64> {
    (count > 0).then(|| ratio(sum, i128::from(count)))
}

fn minutes_over(micros: i128, count: u64) -> Option<f64> {
    (count > 0).then(|| ratio(micros, super::MINUTE_MICROS * i128::from(count)))
}
