//! The rows of one id: effective-dated, each with when it was recorded and by whom.

use std::{ops::Range, sync::Arc};

use gridtally_schemas::{UtcMicros, network::NodeRow};

/// A row with where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded<R> {
    /// When the edge received it.
    pub recorded_at: UtcMicros,
    /// From whom.
    pub source: Arc<str>,
    /// The row.
    pub row: R,
}

/// Master rows, whatever their kind: what the merge rule needs of them.
pub trait Dated: PartialEq + serde::Serialize {
    /// Holds from.
    fn valid_from(&self) -> UtcMicros;
    /// Holds until before; `None`: open.
    fn valid_to(&self) -> Option<UtcMicros>;
}

impl Dated for NodeRow {
    fn valid_from(&self) -> UtcMicros {
        self.valid_from
    }
    fn valid_to(&self) -> Option<UtcMicros> {
        self.valid_to
    }
}

/// What merging a row did.
pub(super) enum Merged<R> {
    /// Nothing: the row was known, or a later recorded one holds its key.
    Known,
    /// It is the first of its key.
    Added,
    /// It took the place of this one. What that one touched is touched too.
    Replaced(R),
}

/// All rows of one id, by `valid_from`.
#[derive(Debug, Clone)]
pub struct History<R>(pub(super) Vec<Recorded<R>>);

impl<R> Default for History<R> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<R: Dated> History<R> {
    /// Merges a row.
    pub(super) fn merge(&mut self, new: Recorded<R>) -> Merged<R> {
        match self
            .0
            .binary_search_by_key(&new.row.valid_from(), |held| held.row.valid_from())
        {
            Err(at) => {
                // Nearly every id has one row, and a list that grows by itself takes room for four.
                self.0.reserve_exact(1);
                self.0.insert(at, new);
                Merged::Added
            }
            Ok(at) => {
                let Some(held) = self.0.get_mut(at) else {
                    return Merged::Known;
                };
                if held.row == new.row {
                    // Said again, so a contradiction recorded in between is older than this word. Only memory knows: a row for
                    // each repetition would grow the tables with every nightly import of the same files. What that costs: after a
                    // restart a contradiction that comes late, recorded before the repetition (a clock that was set back), stands.
                    held.recorded_at = held.recorded_at.max(new.recorded_at);
                    return Merged::Known;
                }
                if !supersedes(&new, held) {
                    return Merged::Known;
                }
                Merged::Replaced(std::mem::replace(held, new).row)
            }
        }
    }

    /// The row that holds at `instant`: of those that cover it the one that began last.
    #[must_use]
    pub fn at(&self, instant: UtcMicros) -> Option<&R> {
        self.0
            .iter()
            .rev()
            .map(|held| &held.row)
            .find(|row| row.valid_from() <= instant && row.valid_to().is_none_or(|end| instant < end))
    }

    /// The same row with where it came from.
    #[must_use]
    pub fn recorded_at(&self, instant: UtcMicros) -> Option<&Recorded<R>> {
        self.0.iter().rev().find(|held| {
            let row = &held.row;
            row.valid_from() <= instant && row.valid_to().is_none_or(|end| instant < end)
        })
    }

    /// The row that began last: the newest word on this id.
    #[must_use]
    pub fn newest(&self) -> Option<&R> {
        self.0.last().map(|held| &held.row)
    }

    /// All rows, by `valid_from`.
    pub fn rows(&self) -> impl Iterator<Item = &Recorded<R>> {
        self.0.iter()
    }

    /// The rows that begin before `end`.
    pub(super) fn rows_before(&self, end: UtcMicros) -> impl Iterator<Item = &Recorded<R>> {
        self.0.iter().take_while(move |held| held.row.valid_from() < end)
    }

    /// Narrows `span`, which contains `instant`, to where none of these rows begins or ends.
    pub(super) fn narrow(&self, instant: UtcMicros, span: &mut Range<UtcMicros>) {
        narrow_by(self.terms(), instant, span);
    }

    /// When each row begins and ends.
    pub fn terms(&self) -> impl Iterator<Item = (UtcMicros, Option<UtcMicros>)> {
        self.0
            .iter()
            .map(|held| (held.row.valid_from(), held.row.valid_to()))
    }
}

/// Narrows `span`, which contains `instant`, to where nothing begins or ends that holds for `terms`.
pub(super) fn narrow_by(
    terms: impl Iterator<Item = (UtcMicros, Option<UtcMicros>)>,
    instant: UtcMicros,
    span: &mut Range<UtcMicros>,
) {
    for change in terms.flat_map(|(from, to)| [Some(from), to]).flatten() {
        if change <= instant {
            span.start = span.start.max(change);
        } else {
            span.end = span.end.min(change);
        }
    }
}

fn supersedes<R: Dated>(new: &Recorded<R>, held: &Recorded<R>) -> bool {
    let content = |row: &R| serde_json::to_string(row).unwrap_or_default();
    (new.recorded_at, content(&new.row)) > (held.recorded_at, content(&held.row))
}
