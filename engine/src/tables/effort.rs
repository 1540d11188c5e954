//! What writing the tables costs, step by step, counted where it is done.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

/// A step of writing tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Rows of a commit became data files: encoded, written and synced.
    Files,
    /// The entry of the Delta log that names them was written and synced.
    Commit,
    /// The Delta log was summed up in a checkpoint of its own.
    LogCheckpoint,
    /// Small files of a partition were read, sorted and written as few; its commit is counted as one besides.
    Compaction,
    /// Files were listed, and those removed that no version needs.
    Vacuum,
}

impl Step {
    /// Every step, in the order of [`Effort`].
    pub const ALL: [Self; 5] = [
        Self::Files,
        Self::Commit,
        Self::LogCheckpoint,
        Self::Compaction,
        Self::Vacuum,
    ];

    /// Its name among the metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Commit => "commit",
            Self::LogCheckpoint => "log_checkpoint",
            Self::Compaction => "compaction",
            Self::Vacuum => "vacuum",
        }
    }
}

/// What a step has cost.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// How often it was done, failed times included.
    pub times: u64,
    /// How long it took in all, µs.
    pub micros: u64,
    /// Bytes of the data files written by it.
    pub bytes: u64,
}

/// What all steps have cost since the tables were opened.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Effort([Spent; Step::ALL.len()]);

impl Effort {
    /// Each step and what it has cost.
    pub fn steps(&self) -> impl Iterator<Item = (Step, Spent)> {
        Step::ALL.into_iter().zip(self.0)
    }
}

/// The count, shared by all tables.
#[derive(Debug, Default)]
pub(super) struct Efforts([Counts; Step::ALL.len()]);

#[derive(Debug, Default)]
struct Counts {
    times: AtomicU64,
    micros: AtomicU64,
    bytes: AtomicU64,
}

impl Efforts {
    /// Counts a step that ends now, for good or bad, with what it wrote.
    pub(super) fn note(&self, step: Step, began: Instant, bytes: u64) {
        for (of, counts) in Step::ALL.iter().zip(&self.0) {
            if *of == step {
                let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
                counts.times.fetch_add(1, Ordering::Relaxed);
                counts.micros.fetch_add(micros, Ordering::Relaxed);
                counts.bytes.fetch_add(bytes, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn sum(&self) -> Effort {
        Effort(std::array::from_fn(|place| {
            self.0.get(place).map_or_else(Spent::default, |counts| Spent {
                times: counts.times.load(Ordering::Relaxed),
                micros: counts.micros.load(Ordering::Relaxed),
                bytes: counts.bytes.load(Ordering::Relaxed),
            })
        }))
    }
}
