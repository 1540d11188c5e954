//! What others read of the picture: nodes, balances by interval, day and month, rankings, data quality.
//!
//! BAL-2: no figure leaves without its coverage, its status and a bound; a loss is withheld below the coverage threshold.

use std::{collections::BTreeMap, ops::Range};

use gridtally_schemas::{
    Day, NodeId, UtcMicros,
    network::{NodeKind, NodeRow},
};

use super::{Sums, World, publish::Stage};
use crate::{
    balance::{Coverage, DtFigures, FeederInterval},
    network::NodeIx,
    state::Quarter,
};

/// A node, as its newest row describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeView {
    /// Its index.
    pub node: NodeIx,
    /// Its id.
    pub id: NodeId,
    /// Its newest row; `None` while only others' rows name it.
    pub row: Option<NodeRow>,
    /// Number of nodes whose newest row names it as parent.
    pub children: usize,
}

/// Length of a row of [`World::balances`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resolution {
    /// One balance interval (15 or 30 minutes).
    Interval,
    /// One civil day.
    Day,
    /// One civil month.
    Month,
}

/// Energy balance of a node over an interval, a day or a month. Energies in Wh.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeBalance {
    /// The node.
    pub node: NodeIx,
    /// Begin of what it covers.
    pub begin: UtcMicros,
    /// End of what it covers.
    pub end: UtcMicros,
    /// The civil day, or the first of the month; of an interval the day that it counts in.
    pub day: Day,
    /// Net input, where it is known; `None` when it is known in no interval.
    pub input_wh: Option<i64>,
    /// Input and consumers' export, where input is known.
    pub injected_wh: Option<i64>,
    /// Consumers' import and unmetered consumption (and reverse flow of a DT).
    pub delivered_wh: i64,
    /// 11 kV loss; `None` of a DT, when withheld or not known.
    pub ht_loss_wh: Option<i64>,
    /// Low-voltage loss; `None` when withheld or not known.
    pub lt_loss_wh: Option<i64>,
    /// Total loss; `None` when withheld (coverage below the threshold) or not known (a DT, feeder or boundary meter is missing).
    pub total_loss_wh: Option<i64>,
    /// Total loss as per cent of what was injected; `None` with it, or when nothing was injected.
    pub loss_pct: Option<f64>,
    /// By how much the loss may differ for consumers that did not report, as far as their sanctioned loads bound it.
    pub loss_bound_wh: i64,
    /// Balances in it that should have a loss: feeder-intervals, of a DT DT-intervals.
    pub intervals_expected: i64,
    /// Of these, those that have one.
    pub intervals_computed: i64,
    /// Meters (meter-intervals) expected, reported and estimated.
    pub coverage: Coverage,
    /// Whether coverage reaches the threshold and every balance in it has a loss: else no loss is given.
    pub covered: bool,
    /// `provisional`, `final` or `restated`. Of a month `final` when every day is.
    pub status: &'static str,
    /// Version last published; 0 before, and of a month and of an interval above the feeders, which are not published.
    pub version: i64,
}

/// What [`World::ranking`] gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    /// The rows asked for, in order.
    pub rows: Vec<NodeBalance>,
    /// Nodes of the kind that have a balance but no loss that may be shown.
    pub withheld: usize,
}

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
    fn view(&self, node: NodeIx) -> Option<NodeView> {
        let entry = self.network.node(node)?;
        Some(NodeView {
            node,
            id: entry.id.clone(),
            row: entry.history.newest().cloned(),
            children: self.children(node).count(),
        })
    }

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

    /// A node by its id.
    #[must_use]
    pub fn node_view(&self, id: &str) -> Option<NodeView> {
        self.network.find_node(id).and_then(|node| self.view(node))
    }

    /// Children of a node, by id.
    #[must_use]
    pub fn child_views(&self, node: NodeIx) -> Vec<NodeView> {
        let mut views: Vec<NodeView> = self.children(node).filter_map(|child| self.view(child)).collect();
        views.sort_by(|a, b| a.id.cmp(&b.id));
        views
    }

    /// At most `limit` nodes by id, after the id `after`, of a kind (`None`: any), whose id or name contains `text` (in any case).
    #[must_use]
    pub fn search_nodes(
        &self,
        text: &str,
        kind: Option<NodeKind>,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<NodeView> {
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
        found
            .into_iter()
            .filter_map(|(_, node)| self.view(node))
            .collect()
    }

    /// Nodes without a parent: the discom, and what nobody has placed yet.
    #[must_use]
    pub fn roots(&self) -> Vec<NodeIx> {
        let is_root =
            |node: &crate::network::Node| node.history.newest().is_some_and(|row| row.parent_id.is_none());
        self.network
            .nodes()
            .filter(|(_, node)| is_root(node))
            .map(|(index, _)| index)
            .collect()
    }

    /// Balances of a node, of what lies wholly in `span`, in time order; at most `limit` rows.
    #[must_use]
    pub fn balances(
        &self,
        node: NodeIx,
        span: Range<UtcMicros>,
        resolution: Resolution,
        limit: usize,
    ) -> Vec<NodeBalance> {
        match resolution {
            Resolution::Interval => self.interval_balances(node, &span, limit),
            Resolution::Day => self.day_balances(node, &span).take(limit).collect(),
            Resolution::Month => self.month_balances(node, &span, limit),
        }
    }

    fn interval_balances(&self, node: NodeIx, span: &Range<UtcMicros>, limit: usize) -> Vec<NodeBalance> {
        let Some(quarters) = super::quarters_ending_in(span) else {
            return Vec::new();
        };
        if let Some(above) = self.above.get(&node) {
            let rows = above.range(quarters).take(limit);
            return rows
                .map(|(quarter, sums)| self.interval_row(node, *quarter, sums, None))
                .collect();
        }
        let mut feeders = Vec::new();
        self.network.feeders_above(node, &mut feeders);
        let mut rows: BTreeMap<Quarter, NodeBalance> = BTreeMap::new();
        for feeder in feeders {
            let of_feeder = self
                .intervals
                .get(&feeder)
                .into_iter()
                .flat_map(|of| of.range(quarters.clone()));
            for (quarter, interval) in of_feeder {
                let minutes = Some(interval.minutes.micros());
                if let Some(sums) = sums_of(node, feeder, interval) {
                    rows.insert(*quarter, self.interval_row(node, *quarter, &sums, minutes));
                }
            }
        }
        rows.into_values().take(limit).collect()
    }

    /// A row of one interval. Above the feeders intervals of both lengths meet: a row there covers what ended at that quarter.
    fn interval_row(&self, node: NodeIx, quarter: Quarter, sums: &Sums, length: Option<i64>) -> NodeBalance {
        let (version, status) = self.published_version(node, quarter);
        let begin = length.map_or_else(|| quarter.begin(), |length| quarter.end().plus(-length));
        self.row(node, begin..quarter.end(), sums, (version, status))
    }

    fn row(
        &self,
        node: NodeIx,
        span: Range<UtcMicros>,
        sums: &Sums,
        (version, status): (i64, &'static str),
    ) -> NodeBalance {
        let covered = sums.is_covered(self.settings.coverage_threshold_pct);
        let is_dt = self.network.node(node).and_then(crate::network::Node::kind) == Some(NodeKind::Dt);
        let known = |wh: i64| (sums.intervals_computed > 0).then_some(wh);
        let shown = |wh: i64| covered.then_some(wh);
        NodeBalance {
            node,
            begin: span.start,
            end: span.end,
            day: self.settings.zone.day_of_interval(span.end),
            input_wh: known(sums.input_wh),
            injected_wh: known(sums.injected_where_known_wh),
            delivered_wh: sums.delivered_wh,
            ht_loss_wh: shown(sums.ht_loss_wh).filter(|_| !is_dt),
            lt_loss_wh: shown(sums.lt_loss_wh),
            total_loss_wh: shown(sums.total_loss_wh),
            loss_pct: sums.loss_pct().filter(|_| covered),
            loss_bound_wh: sums.loss_bound_wh,
            intervals_expected: sums.intervals_expected,
            intervals_computed: sums.intervals_computed,
            coverage: sums.coverage,
            covered,
            status,
            version,
        }
    }

    fn day_balances(&self, node: NodeIx, span: &Range<UtcMicros>) -> impl Iterator<Item = NodeBalance> {
        let span = span.clone();
        self.node_days(node).filter_map(move |(day, sums)| {
            let of_day = self.settings.zone.start_of(day)..self.settings.zone.start_of(day.next());
            let inside = span.start <= of_day.start && of_day.end <= span.end;
            inside.then(|| NodeBalance {
                day,
                ..self.row(node, of_day, sums, self.published_day(node, day))
            })
        })
    }

    fn month_balances(&self, node: NodeIx, span: &Range<UtcMicros>, limit: usize) -> Vec<NodeBalance> {
        let mut months: BTreeMap<Day, (Sums, bool)> = BTreeMap::new();
        for (day, sums) in self.node_days(node) {
            let (of_month, is_final) = months
                .entry(day.first_of_month())
                .or_insert((Sums::default(), true));
            of_month.plus(sums);
            let (_, status) = self.published_day(node, day);
            *is_final &= [Stage::Final, Stage::Restated]
                .iter()
                .any(|stage| stage.as_str() == status);
        }
        let rows = months.into_iter().filter_map(|(month, (sums, is_final))| {
            let next = (0..month.days_in_month()).fold(month, |day, _| day.next());
            let of_month = self.settings.zone.start_of(month)..self.settings.zone.start_of(next);
            let inside = span.start <= of_month.start && of_month.end <= span.end;
            let stage = if is_final {
                Stage::Final
            } else {
                Stage::Provisional
            };
            inside.then(|| NodeBalance {
                day: month,
                ..self.row(node, of_month, &sums, (0, stage.as_str()))
            })
        });
        rows.take(limit).collect()
    }

    /// The sum of a node's whole days in `span`; `None` when it has no balance there.
    #[must_use]
    pub fn total(&self, node: NodeIx, span: Range<UtcMicros>) -> Option<NodeBalance> {
        let mut sums = Sums::default();
        for (day, of_day) in self.node_days(node) {
            let zone = &self.settings.zone;
            if span.start <= zone.start_of(day) && zone.start_of(day.next()) <= span.end {
                sums.plus(of_day);
            }
        }
        let status = if super::quarter_at(span.end) <= self.settled_through {
            Stage::Final
        } else {
            Stage::Provisional
        };
        (sums.intervals_expected > 0).then(|| self.row(node, span, &sums, (0, status.as_str())))
    }

    /// Nodes of a kind by their loss in per cent over the whole days of `span`: the `top` highest, or the lowest.
    #[must_use]
    pub fn ranking(&self, kind: NodeKind, span: &Range<UtcMicros>, order: Order, top: usize) -> Ranking {
        let of_kind = self.network.nodes().filter(|(_, node)| node.kind() == Some(kind));
        let totals = of_kind.filter_map(|(node, _)| self.total(node, span.clone()));
        let (mut rows, withheld): (Vec<NodeBalance>, Vec<NodeBalance>) =
            totals.partition(|row| row.loss_pct.is_some());
        let loss = |row: &NodeBalance| row.loss_pct.unwrap_or(0.0);
        rows.sort_by(|a, b| match order {
            Order::Highest => loss(b).total_cmp(&loss(a)),
            Order::Lowest => loss(a).total_cmp(&loss(b)),
        });
        rows.truncate(top);
        Ranking {
            rows,
            withheld: withheld.len(),
        }
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
            quarantined: self
                .quarantined
                .iter()
                .filter(|(_, count)| **count > 0)
                .map(|(k, v)| (k.clone(), *v))
                .collect(),
        }
    }

    /// Quarantine rows, by reason, less those released; of the whole utility and all time.
    #[must_use]
    pub fn quarantined(&self) -> &BTreeMap<String, u64> {
        &self.quarantined
    }

    /// Whether a meter hangs on `node` or below it at `instant`.
    fn hangs_below(&self, meter: crate::network::MeterIx, node: NodeIx, instant: UtcMicros) -> bool {
        let Some(entry) = self.network.meter(meter) else {
            return false;
        };
        let own = entry.history.at(instant).and_then(|row| row.node_id.as_ref());
        let connections = entry
            .connections
            .iter()
            .filter_map(|at| self.network.connection(*at)?.history.at(instant));
        let places = own.into_iter().chain(connections.map(|row| &row.node_id));
        places
            .filter_map(|id| self.network.find_node(id.as_str()))
            .any(|place| {
                let mut above = Some(place);
                for _ in 0..crate::network::LEVELS_MAX {
                    if above == Some(node) {
                        return true;
                    }
                    above = above.and_then(|below| self.network.parent_at(below, instant));
                }
                false
            })
    }
}

/// Which end of a ranking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// Highest loss first.
    Highest,
    /// Lowest loss first.
    Lowest,
}

fn sums_of(node: NodeIx, feeder: NodeIx, interval: &FeederInterval) -> Option<Sums> {
    if node == feeder {
        return Some(Sums::of_feeder(&interval.feeder));
    }
    let of_dt = |figures: &&DtFigures| figures.dt == node;
    interval.dts.iter().find(of_dt).map(Sums::of_dt)
}
