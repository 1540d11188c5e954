//! The rows of `reliability_monthly`, and what of them is due for publication.

use std::collections::BTreeSet;

use arrow::{array::RecordBatch, error::ArrowError};
use gridtally_schemas::{
    Day, NodeId,
    table::{self, TableSchema},
};
use hashbrown::HashMap;

use super::{OfNode, World};
use crate::{
    network::NodeIx,
    outbox::{Columns, Parts, Stamp},
    reliability::{FeederMonth, Indices, Tally},
    world::publish::digest,
};

/// How interruptions are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Basis {
    /// Each consumer's own (IEEE 1366).
    Consumer,
    /// What the feeder did, times its consumers (returns of the Standards of Performance).
    Feeder,
}

/// Whether major event days count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MajorDays {
    /// They do.
    Included,
    /// They do not.
    Excluded,
}

impl Basis {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Consumer, Self::Feeder];

    /// The word in the column `basis`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Feeder => "feeder",
        }
    }
}

impl MajorDays {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Included, Self::Excluded];

    /// The word in the column `med`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Included => "included",
            Self::Excluded => "excluded",
        }
    }
}

/// The indices of a node in a month.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IndexRow {
    /// How it is counted.
    pub basis: Basis,
    /// Whether major event days count.
    pub med: MajorDays,
    /// Consumers served.
    pub consumers_served: u64,
    /// Sustained interruptions, summed over consumers.
    pub customer_interruptions: u64,
    /// Minutes of sustained interruption, summed over consumers.
    pub customer_minutes: f64,
    /// Momentary interruptions, summed over consumers.
    pub momentary: u64,
    /// The indices; `None` where there is nobody to divide by, or the basis does not know it.
    pub indices: Indices,
}

impl IndexRow {
    fn of(of_node: &OfNode, basis: Basis, med: MajorDays, month_micros: i64) -> Self {
        let pick = |[included, excluded]: [OfBasis; 2]| match med {
            MajorDays::Included => included,
            MajorDays::Excluded => excluded,
        };
        let of_basis = match basis {
            Basis::Consumer => pick(of_node.consumer.map(OfBasis::Consumer)),
            Basis::Feeder => pick(of_node.feeder.map(OfBasis::Feeder)),
        };
        let tally = of_basis.tally();
        let mut indices = tally.indices(month_micros);
        if basis == Basis::Feeder {
            // A feeder knows nothing of single consumers.
            indices = Indices {
                maifi_e: None,
                caifi: None,
                ctaidi_minutes: None,
                cemi: None,
                celid: None,
                ..indices
            };
        }
        Self {
            basis,
            med,
            consumers_served: tally.consumers_served,
            customer_interruptions: tally.customer_interruptions,
            customer_minutes: tally.customer_minutes(),
            momentary: tally.momentary,
            indices,
        }
    }

    /// The numbers of the row, whole and otherwise, as they are compared.
    fn figures(&self) -> ([u64; 3], [Option<u64>; 11]) {
        let counts = [self.consumers_served, self.customer_interruptions, self.momentary];
        let numbers = self.numbers().map(|number| number.map(f64::to_bits));
        (counts, numbers)
    }

    /// Its numbers, in the order of [`NUMBERS`].
    pub(super) const fn numbers(&self) -> [Option<f64>; 11] {
        let indices = &self.indices;
        [
            Some(self.customer_minutes),
            indices.saifi,
            indices.saidi_minutes,
            indices.caidi_minutes,
            indices.maifi,
            indices.maifi_e,
            indices.asai,
            indices.caifi,
            indices.ctaidi_minutes,
            indices.cemi,
            indices.celid,
        ]
    }
}

/// Columns of [`IndexRow::numbers`], in order.
pub(super) const NUMBERS: [&str; 11] = [
    "customer_minutes",
    "saifi",
    "saidi_minutes",
    "caidi_minutes",
    "maifi",
    "maifi_e",
    "asai",
    "caifi",
    "ctaidi_minutes",
    "cemi_3",
    "celid_8h",
];
/// Columns of its counts, in order.
pub(super) const COUNTS: [&str; 3] = ["consumers_served", "customer_interruptions", "momentary"];

#[derive(Clone, Copy)]
enum OfBasis {
    Consumer(Tally),
    Feeder(FeederMonth),
}

impl OfBasis {
    fn tally(self) -> Tally {
        match self {
            Self::Consumer(tally) => tally,
            Self::Feeder(month) => Tally {
                consumers_served: month.consumers,
                customer_interruptions: month.customer_interruptions,
                customer_micros: month.customer_micros,
                momentary: month.momentary,
                ..Tally::default()
            },
        }
    }
}

/// Key of a row.
type Key = (NodeIx, Day, Basis, MajorDays);

/// What was published, and what may differ from that.
#[derive(Debug, Default)]
pub(super) struct PublishedIndices {
    rows: HashMap<Key, (i64, u64)>,
    unpublished: BTreeSet<(Day, NodeIx)>,
}

impl PublishedIndices {
    pub(super) fn mark(&mut self, month: Day, nodes: Vec<NodeIx>) {
        self.unpublished
            .extend(nodes.into_iter().map(|node| (month, node)));
    }

    /// Puts back a published version of a row, in any order with the others.
    pub(super) fn restore(&mut self, key: Key, version: i64, figures: &([u64; 3], [Option<u64>; 11])) {
        let held = self.rows.entry(key).or_default();
        if version > held.0 {
            *held = (version, digest(figures));
        }
        self.unpublished.insert((key.1, key.0));
    }
}

/// A row of `reliability_monthly`.
#[derive(Debug)]
struct DueRow {
    node_id: NodeId,
    month: Day,
    row: IndexRow,
    version: i64,
}

/// What a checkpoint writes of indices.
#[derive(Debug, Default)]
pub(crate) struct DueIndices(Parts<DueRow>);

/// Why a later version came.
const CHANGED: &str = "interruptions or consumers changed";

impl World {
    /// The indices of a node in a month, of every basis; empty: nothing was heard of it in that month, or the node has no
    /// consumers.
    #[must_use]
    pub fn indices(&self, node: NodeIx, month: Day) -> Vec<IndexRow> {
        let of_node = self.indices.months.get(&month).and_then(|nodes| nodes.get(&node));
        of_node.map_or_else(Vec::new, |of_node| self.rows_of(of_node, month))
    }

    /// The months that were tallied, in order.
    pub fn tallied_months(&self) -> impl Iterator<Item = Day> {
        self.indices.months.keys().copied()
    }

    fn rows_of(&self, of_node: &OfNode, month: Day) -> Vec<IndexRow> {
        let zone = &self.settings.zone;
        let end = zone.start_of(Day(month.0 + month.days_in_month()));
        let micros = end.0.saturating_sub(zone.start_of(month).0);
        let each = |basis| MajorDays::ALL.map(|med| IndexRow::of(of_node, basis, med, micros));
        Basis::ALL.into_iter().flat_map(each).collect()
    }

    /// Takes what differs from the table, of at most so many nodes' months; tells whether there are more.
    pub(in crate::world) fn take_indices(&mut self, months_max: usize, due: &mut DueIndices) -> bool {
        for _ in 0..months_max {
            let Some((month, node)) = self.indices.published.unpublished.pop_first() else {
                return false;
            };
            let Some(node_id) = self.network.node(node).map(|node| node.id.clone()) else {
                continue;
            };
            let live = self.indices.months.get(&month).and_then(|nodes| nodes.get(&node));
            let live = live.copied();
            for row in self.rows_of(&live.unwrap_or_default(), month) {
                let key = (node, month, row.basis, row.med);
                let held = self.indices.published.rows.get(&key).copied();
                let digest = digest(&row.figures());
                // Nothing was, and nothing is.
                let is_void = held.is_none() && live.is_none();
                if is_void || held.is_some_and(|(_, published)| published == digest) {
                    continue;
                }
                let version = held.map_or(1, |(version, _)| version + 1);
                self.indices.published.rows.insert(key, (version, digest));
                due.0.push(DueRow {
                    node_id: node_id.clone(),
                    month,
                    row,
                    version,
                });
            }
        }
        true
    }
}

impl DueIndices {
    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The batch to commit; `None` when there are no rows.
    pub(crate) fn batch(
        &self,
        stamp: Stamp<'_>,
    ) -> Result<Option<(&'static TableSchema, RecordBatch)>, ArrowError> {
        let rows = &self.0;
        if rows.is_empty() {
            return Ok(None);
        }
        let mut columns = Columns::new(&table::RELIABILITY_MONTHLY, rows.len())
            .text("node_id", rows.iter().map(|due| Some(due.node_id.as_str())))
            .day("month", rows.iter().map(|due| due.month))
            .text("basis", rows.iter().map(|due| Some(due.row.basis.as_str())))
            .text("med", rows.iter().map(|due| Some(due.row.med.as_str())))
            .whole("version", rows.iter().map(|due| Some(due.version)))
            .text(
                "reason",
                rows.iter().map(|due| (due.version > 1).then_some(CHANGED)),
            )
            .time("published_at", rows.iter().map(|_| Some(stamp.published_at)));
        for (at, name) in COUNTS.into_iter().enumerate() {
            let count = |due: &DueRow| {
                let (counts, _) = due.row.figures();
                counts.get(at).and_then(|count| i64::try_from(*count).ok())
            };
            columns = columns.whole(name, rows.iter().map(count));
        }
        for (at, name) in NUMBERS.into_iter().enumerate() {
            let number = |due: &DueRow| due.row.numbers().get(at).copied().flatten();
            columns = columns.number(name, rows.iter().map(number));
        }
        Ok(Some((&table::RELIABILITY_MONTHLY, columns.finish()?)))
    }
}
