//! Stretches of time: from an instant until before another.

use gridtally_schemas::UtcMicros;

/// The end of what is not over.
pub const FOREVER: UtcMicros = UtcMicros(i64::MAX);

/// From `from` until before `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Its first instant.
    pub from: UtcMicros,
    /// The first instant after it; [`FOREVER`]: not over.
    pub to: UtcMicros,
}

impl Span {
    /// All of time.
    pub const ALWAYS: Self = Self {
        from: UtcMicros(i64::MIN),
        to: FOREVER,
    };

    /// From `from` until before `to`.
    #[must_use]
    pub const fn new(from: UtcMicros, to: UtcMicros) -> Self {
        Self { from, to }
    }

    /// Whether `instant` lies in it.
    #[must_use]
    pub fn contains(self, instant: UtcMicros) -> bool {
        self.from <= instant && instant < self.to
    }

    /// Whether the two share an instant.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.from < other.to && other.from < self.to
    }

    /// Its length, µs; 0 when it holds nothing.
    #[must_use]
    pub fn micros(self) -> i64 {
        self.to.0.saturating_sub(self.from.0).max(0)
    }

    /// What remains of it without `holes`, which are sorted by their begin; they may overlap.
    #[must_use]
    pub fn without(self, holes: &[Self]) -> Vec<Self> {
        let mut pieces = Vec::new();
        let mut from = self.from;
        for hole in holes.iter().filter(|hole| hole.overlaps(self)) {
            if hole.from > from {
                pieces.push(Self::new(from, hole.from));
            }
            from = from.max(hole.to);
        }
        if from < self.to {
            pieces.push(Self::new(from, self.to));
        }
        pieces
    }
}
