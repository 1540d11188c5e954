//! The feeder-based method of the Standards of Performance: what a feeder did, times its consumers.
//!
//! SAIFI = sum(A_i N_i) / N_T, SAIDI = sum(B_i N_i) / N_T, MAIFI = sum(C_i N_i) / N_T: A, B, C the count, the duration and the momentary
//! count of feeder i in the month, N_i its consumers. Always the sum of products, never the product of sums. A fault below the feeder is
//! invisible to it. The quarter divides by the last month's N_T.

use super::{Counting, minutes, ratio};
use crate::outage::{Outage, Scope};

/// One operation of a feeder: from failure to restoration of the feeder itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeederOperation {
    /// How long it was without supply, µs.
    pub micros: i64,
}

impl FeederOperation {
    /// What an outage of a feeder's own evaluation (before feeders are joined) was to the feeder; `None`: it was below the feeder, or is
    /// not over.
    #[must_use]
    pub fn of(outage: &Outage) -> Option<Self> {
        let of_feeder = outage.scope >= Scope::Feeder && outage.evidence.is_node_dead;
        let restored = outage.evidence.restored.filter(|_| of_feeder)?;
        Some(Self {
            micros: restored.at.0.saturating_sub(outage.evidence.failed.at.0),
        })
    }
}

/// Exact sums over feeders for one month. Months of disjoint groups of feeders add up.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct FeederMonth {
    /// N_T: consumers of all feeders.
    pub consumers: u64,
    /// Sum of A_i N_i.
    pub customer_interruptions: u64,
    /// Sum of B_i N_i, µs.
    pub customer_micros: i128,
    /// Sum of C_i N_i.
    pub momentary: u64,
}

impl FeederMonth {
    /// Adds a feeder with its consumers and what it did in the month.
    pub fn add_feeder(&mut self, counting: &Counting, consumers: u64, operations: &[FeederOperation]) {
        self.consumers += consumers;
        for operation in operations {
            if operation.micros > counting.momentary_micros {
                self.customer_interruptions += consumers;
                self.customer_micros += i128::from(operation.micros) * i128::from(consumers);
            } else {
                self.momentary += consumers;
            }
        }
    }

    /// Adds the month of other feeders.
    pub fn add(&mut self, other: &Self) {
        self.consumers += other.consumers;
        self.customer_interruptions += other.customer_interruptions;
        self.customer_micros += other.customer_micros;
        self.momentary += other.momentary;
    }

    /// The indices of the month; `None` without consumers.
    #[must_use]
    pub fn returned(&self) -> Option<Returned> {
        if self.consumers == 0 {
            return None;
        }
        let consumers = i128::from(self.consumers);
        Some(Returned {
            saifi: ratio(self.customer_interruptions.into(), consumers),
            saidi_minutes: ratio(self.customer_micros, super::MINUTE_MICROS * consumers),
            saidi_micros: i64::try_from(self.customer_micros / consumers).unwrap_or(i64::MAX),
            maifi: ratio(self.momentary.into(), consumers),
        })
    }

    /// Sum of B_i N_i, minutes.
    #[must_use]
    pub fn customer_minutes(&self) -> f64 {
        minutes(self.customer_micros)
    }
}

/// A quarter: three months, divided by the consumers of the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quarter {
    /// Its months, in order.
    pub months: [FeederMonth; 3],
}

impl Quarter {
    /// The sums of the quarter, with the last month's consumers.
    #[must_use]
    pub fn sums(&self) -> FeederMonth {
        let [_, _, last] = &self.months;
        let mut sums = FeederMonth::default();
        for month in &self.months {
            sums.add(month);
        }
        FeederMonth {
            consumers: last.consumers,
            ..sums
        }
    }
}

/// The indices of a return.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Returned {
    /// Interruptions per consumer.
    pub saifi: f64,
    /// Minutes of interruption per consumer.
    pub saidi_minutes: f64,
    /// The same in whole microseconds, rounded down: what hours and minutes are printed from.
    pub saidi_micros: i64,
    /// Momentary interruptions per consumer.
    pub maifi: f64,
}

impl Returned {
    /// SAIDI as the returns print it, `h:mm`: cut off, not rounded.
    #[must_use]
    pub fn saidi_hmm(&self) -> String {
        let whole = self.saidi_micros / 60_000_000;
        format!("{}:{:02}", whole / 60, whole % 60)
    }
}
