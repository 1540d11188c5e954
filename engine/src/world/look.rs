//! What others look up in the picture: nodes by text and by place, and data quality.

use std::collections::BTreeMap;

use gridtally_schemas::{Day, NodeId, UtcMicros, network::NodeKind};

use super::World;
use crate::{balance::Coverage, network::NodeIx};

/// Data quality of a node in one civil day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DataQuality {
    /// Meter-intervals expected so far.
    pub expected: i64,
    /// Of these, with an actual or edited value.
    pub reported: i64,
    /// Of these, with an estimate.
    pub estimated: i64,
    /// Of these, without any value.
    pub missing: i64,
    /// Reads that their source itself reports as missing and that did not come since.
    pub exceptions_open: u64,
    /// Quarantine rows not released, by reason; of the whole utility and all time, for an unknown meter is on no node.
    pub quarantined: BTreeMap<String, u64>,
}

impl World {
    /// Nodes whose newest row names `node` as parent.
    pub fn children(&self, node: NodeIx) -> impl Iterator<Item = NodeIx> {
        let id = self.network.node(node).map(|node| &node.id);
        let ever = self
            .network
            .node(node)
            .map_or(&[][..], |node| node.children.as_slice());
        ever.iter().copied().filter(move |child| {
            let row = self.network.node(*child).and_then(|child| child.history.newest());
            row.is_some_and(|row| row.parent_id.as_ref() == id)
        })
    }

    /// At most `limit` nodes by id, after the id `after`, of a kind (`None`: any), whose id or name contains `text` (in any case).
    #[must_use]
    pub fn search_nodes(
        &self,
        text: &str,
        kind: Option<NodeKind>,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<NodeIx> {
        let text = text.to_lowercase();
        let matches = |name: &str| text.is_empty() || name.to_lowercase().contains(&text);
        let mut found: Vec<(&NodeId, NodeIx)> = self
            .network
            .nodes()
            .filter(|(_, node)| kind.is_none_or(|kind| node.kind() == Some(kind)))
            .filter(|(_, node)| after.is_none_or(|after| node.id.as_str() > after))
            .filter(|(_, node)| matches(node.id.as_str()) || matches(node.name()))
            .map(|(index, node)| (&node.id, index))
            .collect();
        found.sort_unstable();
        found.truncate(limit);
        found.into_iter().map(|(_, node)| node).collect()
    }

    /// Nodes without a parent: the discom, and what nobody has placed yet.
    #[must_use]
    pub fn roots(&self) -> Vec<NodeIx> {
        self.network.census().roots.iter().copied().collect()
    }

    /// Data quality of a node in a civil day.
    #[must_use]
    pub fn data_quality(&self, node: NodeIx, day: Day) -> DataQuality {
        let sums = self
            .days
            .get(&node)
            .and_then(|days| days.get(&day))
            .copied()
            .unwrap_or_default();
        let Coverage {
            expected,
            reported,
            estimated,
        } = sums.coverage;
        let span = self.quarters_of_day(day);
        let open = self.reported_missing.iter().filter(|((meter, quarter), report)| {
            report.resolved_at.is_none()
                && span.contains(quarter)
                && self.hangs_below(*meter, node, quarter.begin())
        });
        DataQuality {
            expected,
            reported,
            estimated,
            missing: expected - reported - estimated,
            exceptions_open: super::apply::count(open.count()),
            quarantined: self.quarantined(),
        }
    }

    /// Quarantine rows, by reason, less those released; of the whole utility and all time.
    #[must_use]
    pub fn quarantined(&self) -> BTreeMap<String, u64> {
        let waiting = self
            .quarantined
            .iter()
            .filter_map(|(reason, count)| Some((reason.clone(), u64::try_from(*count).ok()?)));
        waiting.filter(|(_, count)| *count > 0).collect()
    }

    /// Whether a meter hangs on `node` or below it at `instant`.
    fn hangs_below(&self, meter: crate::network::MeterIx, node: NodeIx, instant: UtcMicros) -> bool {
        let Some(entry) = self.network.meter(meter) else {
            return false;
        };
        let own = entry.history().at(instant).and_then(|row| row.node);
        let connected = entry
            .connections()
            .filter_map(|connection| connection.history().at(instant)?.node);
        own.into_iter()
            .chain(connected)
            .any(|place| self.network.is_at_or_below(place, node, instant))
    }
}
