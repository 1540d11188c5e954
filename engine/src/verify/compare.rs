//! Published against computed, row by row: a pure decision.

use super::{
    differences::{Cell, Difference, Differences},
    published::{Published, Version, When},
    selection::Work,
};
use crate::{network::NodeIx, world::publish::Stage};

/// A computed row: its key, and its cells in the order of the table's columns.
#[derive(Debug)]
pub(super) struct Computed {
    pub(super) node: NodeIx,
    pub(super) when: When,
    pub(super) cells: Vec<Cell>,
}

/// What was compared, and what was left out.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) compared: u64,
    pub(super) open: u64,
}

/// Up to when rows are compared, and from when on they are final.
#[derive(Debug, Clone, Copy)]
pub(super) struct Horizon {
    /// The last key that was closed.
    pub(super) closed: When,
    /// The last key that was settled.
    pub(super) settled: When,
}

/// Compares the rows of a table and day; `computed` is in order of key.
pub(super) fn compare(
    work: &Work,
    published: &Published,
    computed: Vec<Computed>,
    horizon: Horizon,
    differences: &mut Differences,
) -> Counted {
    let mut counted = Counted::default();
    let mut computed = computed.into_iter().peekable();
    let comparing = Comparing { work, published };
    for versions in published.keys() {
        let Some(newest) = versions.last() else { continue };
        let key = (newest.node, newest.when);
        while let Some(missing) = computed.next_if(|row| (row.node, row.when) < key) {
            counted.compared += 1;
            differences.push(comparing.not_published(&missing, None));
        }
        let row = computed.next_if(|row| (row.node, row.when) == key);
        if newest.when > horizon.closed {
            counted.open += u64::from(published.stage(newest) != Stage::Withdrawn);
            continue;
        }
        counted.compared += u64::from(row.is_some() || published.stage(newest) != Stage::Withdrawn);
        comparing.one(
            versions,
            row.as_ref(),
            newest.when <= horizon.settled,
            differences,
        );
    }
    for missing in computed {
        counted.compared += 1;
        differences.push(comparing.not_published(&missing, None));
    }
    counted
}

struct Comparing<'a> {
    work: &'a Work,
    published: &'a Published,
}

impl Comparing<'_> {
    fn one(
        &self,
        versions: &[Version],
        row: Option<&Computed>,
        is_final: bool,
        differences: &mut Differences,
    ) {
        let Some(newest) = versions.last() else { return };
        if let Some(difference) = self.numbering(versions, newest) {
            differences.push(difference);
        }
        let stands = self.published.stage(newest) != Stage::Withdrawn;
        match (row, stands) {
            (None, false) => {}
            (Some(row), false) => differences.push(self.not_published(row, Some(newest))),
            (None, true) => {
                let texts = [
                    "a balance".to_owned(),
                    "none: nobody was heard, or nothing is there".to_owned(),
                ];
                differences.push(self.difference(newest, 0, "row", texts));
            }
            (Some(row), true) => {
                self.cells(newest, row, differences);
                let expected = self.expected(versions, is_final).as_str();
                let status = self.published.status(newest);
                if status != expected {
                    let texts = [status.to_owned(), expected.to_owned()];
                    differences.push(self.difference(newest, STATUS, "status", texts));
                }
            }
        }
    }

    fn cells(&self, newest: &Version, row: &Computed, differences: &mut Differences) {
        let columns = self.published.kind.columns();
        let pairs = self.published.cells(newest).into_iter().zip(&row.cells);
        for (at, ((held, computed), column)) in pairs.zip(columns).enumerate() {
            if held != *computed {
                let texts = [held.to_string(), computed.to_string()];
                differences.push(self.difference(newest, at, column, texts));
            }
        }
    }

    /// The status that the newest version should have: what went before it decides between final and restated.
    fn expected(&self, versions: &[Version], is_final: bool) -> Stage {
        let earlier = versions.split_last().map_or(&[][..], |(_, earlier)| earlier);
        let mut stages = earlier
            .iter()
            .rev()
            .map(|version| self.published.stage(version))
            .take_while(|stage| *stage != Stage::Withdrawn);
        if stages.any(|stage| stage >= Stage::Final) {
            Stage::Restated
        } else if is_final {
            Stage::Final
        } else {
            Stage::Provisional
        }
    }

    /// Versions count from 1 without a gap.
    fn numbering(&self, versions: &[Version], newest: &Version) -> Option<Difference> {
        let is_counted = versions
            .iter()
            .zip(1..)
            .all(|(version, at)| version.version == at);
        if is_counted {
            return None;
        }
        let listed: Vec<String> = versions
            .iter()
            .map(|version| version.version.to_string())
            .collect();
        let texts = [listed.join(", "), format!("1 to {}, each once", versions.len())];
        Some(self.difference(newest, VERSION, "version", texts))
    }

    fn difference(
        &self,
        newest: &Version,
        at: usize,
        column: &'static str,
        [published, recomputed]: [String; 2],
    ) -> Difference {
        let place = self
            .published
            .difference_at(self.work, (newest.node, newest.when), at);
        Difference {
            table: self.published.kind.schema().name,
            key: place.key.clone(),
            column,
            published,
            recomputed,
            version: Some(self.published.published_at(newest)),
            evidence: Vec::new(),
            place,
        }
    }

    fn not_published(&self, row: &Computed, withdrawn: Option<&Version>) -> Difference {
        let place = self.published.difference_at(self.work, (row.node, row.when), 0);
        let columns = self.published.kind.columns();
        let named = columns
            .iter()
            .zip(&row.cells)
            .map(|(name, cell)| format!("{name} {cell}"));
        Difference {
            table: self.published.kind.schema().name,
            key: place.key.clone(),
            column: "row",
            published: withdrawn.map_or("no row", |_| "withdrawn").to_owned(),
            recomputed: named.collect::<Vec<_>>().join(", "),
            version: withdrawn.map(|version| self.published.published_at(version)),
            evidence: Vec::new(),
            place,
        }
    }
}

/// Places after all columns.
const STATUS: usize = 100;
const VERSION: usize = 101;
