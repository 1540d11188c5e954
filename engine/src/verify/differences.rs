//! What does not agree, and keeping the first of it.

use std::fmt;

use gridtally_schemas::{Day, UtcMicros};

use crate::{network::NodeIx, state::Quarter};

/// Differences that are kept with their evidence; the rest is counted.
pub const DIFFERENCES_KEPT: usize = 200;

/// One cell of a table that is not what the raw tables give.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The table.
    pub table: &'static str,
    /// The key, as `column=value` pairs.
    pub key: String,
    /// The column; `version` and `status` say how the row came about, `row` stands for the whole of it.
    pub column: &'static str,
    /// What stands in the table.
    pub published: String,
    /// What the raw tables give.
    pub recomputed: String,
    /// Version of the published row and when it was published; `None`: there is no such row.
    pub version: Option<(i64, UtcMicros)>,
    /// What it rests on, line by line: the reads and master rows concerned.
    pub evidence: Vec<String>,
    pub(super) place: Place,
}

/// Where a difference stands among the others, and what its evidence is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Raw tables first, then balances, then roll-ups: causes before effects.
    pub(super) table: u8,
    pub(super) at: UtcMicros,
    pub(super) key: String,
    pub(super) column: usize,
    pub(super) concerns: Concerns,
}

/// Of what the evidence is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Concerns {
    /// A balance of a feeder or DT.
    Balance(NodeIx, Quarter),
    /// A roll-up.
    Day(NodeIx, Day),
    /// The row itself says it all.
    Itself,
}

/// A cell as it is compared.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cell {
    Null,
    Whole(i64),
    Number(f64),
}

impl Cell {
    pub(super) fn whole(value: Option<i64>) -> Self {
        value.map_or(Self::Null, Self::Whole)
    }

    pub(super) fn number(value: Option<f64>) -> Self {
        value.map_or(Self::Null, Self::Number)
    }
}

impl PartialEq for Cell {
    /// Bit for bit.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Whole(one), Self::Whole(other)) => one == other,
            (Self::Number(one), Self::Number(other)) => one.to_bits() == other.to_bits(),
            (Self::Null | Self::Whole(_) | Self::Number(_), _) => false,
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Whole(value) => write!(f, "{value}"),
            Self::Number(value) => write!(f, "{value}"),
        }
    }
}

/// The first differences and the number of all.
#[derive(Debug, Default)]
pub(super) struct Differences {
    kept: Vec<Difference>,
    total: u64,
}

impl Differences {
    pub(super) fn push(&mut self, difference: Difference) {
        self.total += 1;
        self.kept.push(difference);
        if self.kept.len() >= 2 * DIFFERENCES_KEPT {
            self.trim();
        }
    }

    pub(super) fn append(&mut self, other: Self) {
        self.total += other.total;
        self.kept.extend(other.kept);
        if self.kept.len() >= 2 * DIFFERENCES_KEPT {
            self.trim();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.total == 0
    }

    fn trim(&mut self) {
        self.kept.sort_by(|one, other| one.place.cmp(&other.place));
        self.kept.truncate(DIFFERENCES_KEPT);
    }

    /// The first ones in order, and how many there are in all.
    pub(super) fn finish(mut self) -> (Vec<Difference>, u64) {
        self.trim();
        (self.kept, self.total)
    }
}
