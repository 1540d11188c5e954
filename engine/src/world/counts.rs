//! What became of everything that was applied (CONS-1).

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// What became of everything that was applied, since the tables were empty. They outlive a restart: a checkpoint keeps them
        /// as they stand at its position, and replay counts on from there.
        #[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Serialize)]
        pub struct Counts { $($(#[$doc])* pub $name: u64),+ }

        impl Counts {
            /// Every count with its name, which is also its column in `checkpoints`.
            #[must_use]
            pub fn named(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name)),+]
            }

            /// Sets counts by name; a name that is not asked for by `count` stays 0.
            #[must_use]
            pub fn from_named(count: impl Fn(&'static str) -> Option<u64>) -> Self {
                Self { $($name: count(stringify!($name)).unwrap_or(0)),+ }
            }
        }
    };
}

counts!(
    /// Log records applied.
    records,
    /// Interval reads in them.
    reads,
    /// Reads that became the valid value.
    reads_accepted,
    /// Reads that lost to the valid value; kept with version 0.
    reads_superseded,
    /// Reads that were here before.
    reads_duplicate,
    /// Reads put into quarantine.
    reads_quarantined,
    /// Reads that their source reported as missing; the first of each interval is a VEE exception.
    reads_reported_missing,
    /// Reads released from quarantine; each is then counted again as what it became.
    reads_released,
    /// Of the accepted and superseded reads those whose meter had no row in force for their interval when they were applied: they
    /// stand in `interval_reads` and count in no balance until master data covers them.
    reads_not_in_service,
    /// Register reads.
    registers,
    /// Register reads that became the valid reading.
    registers_accepted,
    /// Register reads that lost to another of the same instant; kept with version 0.
    registers_superseded,
    /// Register reads that were here before.
    registers_duplicate,
    /// Register reads put into quarantine.
    registers_quarantined,
    /// Register reads released from quarantine.
    registers_released,
    /// Events.
    events,
    /// Events that were new.
    events_accepted,
    /// Events that were here before.
    events_duplicate,
    /// Events put into quarantine.
    events_quarantined,
    /// Events released from quarantine.
    events_released,
    /// Payloads that could not be decoded.
    undecodable,
    /// Master rows that changed something.
    master_rows_changed,
    /// Master rows that said what was known.
    master_rows_known,
);

fn unaccounted(put_in: [u64; 2], outcomes: &[u64]) -> i128 {
    let sum = |counts: &[u64]| -> i128 { counts.iter().copied().map(i128::from).sum() };
    sum(&put_in) - sum(outcomes)
}

impl Counts {
    /// CONS-1: reads applied less reads accounted for; 0, always.
    #[must_use]
    pub fn reads_unaccounted(&self) -> i128 {
        unaccounted(
            [self.reads, self.reads_released],
            &[
                self.reads_accepted,
                self.reads_superseded,
                self.reads_duplicate,
                self.reads_quarantined,
                self.reads_reported_missing,
            ],
        )
    }

    /// CONS-1 for register reads; 0, always.
    #[must_use]
    pub fn registers_unaccounted(&self) -> i128 {
        unaccounted(
            [self.registers, self.registers_released],
            &[
                self.registers_accepted,
                self.registers_superseded,
                self.registers_duplicate,
                self.registers_quarantined,
            ],
        )
    }

    /// CONS-1 for events; 0, always.
    #[must_use]
    pub fn events_unaccounted(&self) -> i128 {
        unaccounted(
            [self.events, self.events_released],
            &[
                self.events_accepted,
                self.events_duplicate,
                self.events_quarantined,
            ],
        )
    }
}
