//! What a record, a judgement or a caller needs in memory.

use std::ops::Range;

use gridtally_schemas::{
    Day, Publish, UtcMicros,
    network::{MasterRows, MeterRow, NodeKind},
    record::{self, Body, Record, RecordError},
};

use super::{BlockNumber, MeterIx, NodeIx, Quarter, Wanted, World};
use crate::network::{Meter, Node};

/// Whether a record changes master data: what the records after it need is known only once it is applied.
///
/// # Errors
/// [`RecordError`] when the record cannot be read.
pub(crate) fn is_master_data(bytes: &[u8]) -> Result<bool, RecordError> {
    Ok(matches!(record::decode(bytes)?.body, Body::MasterRows(_)))
}

impl World {
    /// What applying a record needs in memory, which was decoded with what it publishes in `publish`, so that nothing is decoded a second
    /// time to apply it. What waits for the meters that it names must be in memory before ([`World::spilled_named_by`]).
    pub(crate) fn wanted_by(&self, record: &Record<'_>, publish: &mut Publish) -> Wanted {
        let mut wanted = Wanted::default();
        if !self.has_let_go() {
            return wanted;
        }
        match &record.body {
            Body::Publish(_) => {
                for span in publish.meters() {
                    let ends = span.reads.iter().map(|read| read.interval_end);
                    self.want_cells(&mut wanted, span.meter_id, ends);
                }
            }
            Body::Edits(edits) => {
                for edit in &edits.edits {
                    self.want_cells(
                        &mut wanted,
                        edit.meter_id.as_str(),
                        std::iter::once(edit.interval_end),
                    );
                }
            }
            Body::MasterRows(rows) => self.want_concerned(&mut wanted, rows),
            Body::Release(rows) => self.each_released(rows, publish, |span| {
                let ends = span.reads.iter().map(|read| read.interval_end);
                self.want_cells(&mut wanted, span.meter_id, ends);
            }),
            Body::PlanRows(_)
            | Body::Cause(_)
            | Body::Billing(_)
            | Body::Compensation(_)
            | Body::Requests(_)
            | Body::Claims(_)
            | Body::Accounts(_)
            | Body::Managers(_)
            | Body::Action(_)
            | Body::Undecodable { .. } => {}
        }
        wanted
    }

    /// What merging values of a known meter needs: of one that is not known they are held.
    fn want_cells(&self, wanted: &mut Wanted, meter_id: &str, ends: impl Iterator<Item = UtcMicros>) {
        let mut ends = ends.filter(|end| self.paging.reaches(*end)).peekable();
        if ends.peek().is_none() {
            return;
        }
        let Some(meter) = self
            .network
            .find_meter(meter_id)
            .filter(|meter| self.is_known(*meter))
        else {
            return;
        };
        let mut feeders = Vec::new();
        self.network.feeders_of_meter(meter, &mut feeders);
        self.want_days(wanted, ends, &feeders, self.block_for(meter));
    }

    /// What values that end at these instants need.
    fn want_days(
        &self,
        wanted: &mut Wanted,
        ends: impl Iterator<Item = UtcMicros>,
        feeders: &[NodeIx],
        block: Option<BlockNumber>,
    ) {
        let mut last: Option<std::ops::RangeInclusive<Quarter>> = None;
        for quarter in ends.filter_map(Quarter::ending) {
            if last.as_ref().is_some_and(|day| day.contains(&quarter)) {
                continue;
            }
            let day = self.day_of(quarter);
            self.want(wanted, day, feeders, block);
            last = Some(self.quarters_of_day(day));
        }
    }

    /// What merging master rows needs: in days of which something is here of a feeder that they concern, the values of every meter that may
    /// join it. Days that are out are owed.
    fn want_concerned(&self, wanted: &mut Wanted, rows: &MasterRows) {
        for concerned in self.network.concerned_by(rows) {
            let first = self.day_since(concerned.since);
            for feeder in &concerned.feeders {
                let blocks = self.blocks_of_concern(*feeder, &concerned);
                for day in self.paging.blocks.range(first..).map(|(day, _)| *day) {
                    let is_here =
                        !self.paging.has_feeder(*feeder, day) && !self.is_absent(*feeder, day, &blocks);
                    for block in blocks.iter().filter(|_| is_here) {
                        self.want(wanted, day, &[], Some(*block));
                    }
                }
            }
        }
        if let MasterRows::Meters(rows) = rows {
            rows.iter().for_each(|row| self.want_released(wanted, row));
        }
    }

    /// What applying the reads needs that wait for this row to name their meter.
    fn want_released(&self, wanted: &mut Wanted, row: &MeterRow) {
        let ends = self.held_interval_ends(&row.meter_id);
        if !ends.iter().any(|end| self.paging.reaches(*end)) {
            return;
        }
        let mut feeders = Vec::new();
        if let Some(meter) = self.network.find_meter(row.meter_id.as_str()) {
            self.network.feeders_of_meter(meter, &mut feeders);
        }
        for node in [&row.node_id, &row.boundary_to].into_iter().flatten() {
            if let Some(node) = self.network.find_node(node.as_str()) {
                self.network.feeders_above(node, &mut feeders);
            }
        }
        feeders.sort_unstable();
        feeders.dedup();
        let home = [feeders.first().copied(), feeders.get(1).copied()];
        self.want_days(wanted, ends.into_iter(), &feeders, self.state.open_block(home));
    }

    /// What the evidence of meters needs whose reads are in it up to a quarter: every later value.
    pub(in crate::world) fn want_values_after(
        &self,
        wanted: &mut Wanted,
        meters: impl Iterator<Item = (MeterIx, Quarter)>,
    ) {
        for (meter, after) in meters {
            let Some(block) = self.state.block_of(meter) else {
                continue;
            };
            let first = self.day_of(after);
            for day in self.paging.blocks.range(first..).map(|(day, _)| *day) {
                self.want(wanted, day, &[], Some(block));
            }
        }
    }

    /// Whether the values of a feeder's meters in a day are in memory; if not, they are asked for.
    pub(in crate::world) fn can_tally(&mut self, feeder: NodeIx, day: Day) -> bool {
        if !self.has_let_go() {
            return true;
        }
        let mut wanted = Wanted::default();
        self.want(&mut wanted, day, &[feeder], None);
        let is_here = wanted.is_empty();
        self.paging.asked.add(wanted);
        is_here
    }

    /// Whether the values that judging a day of a meter looks at are in memory, like days aside; if not, they are asked for.
    pub(in crate::world) fn can_judge(&mut self, meter: MeterIx, day: Day) -> bool {
        if !self.has_let_go() || !self.paging.reaches(self.settings.zone.start_of(day)) {
            return true;
        }
        let mut wanted = Wanted::default();
        let block = self.block_for(meter);
        for near in [Day(day.0 - 1), day, day.next()] {
            self.want(&mut wanted, near, &[], block);
        }
        self.want_dt_meters(&mut wanted, meter, day);
        let is_here = wanted.is_empty();
        self.paging.asked.add(wanted);
        is_here
    }

    /// Whether the cells of a meter in a day can change: its values and its feeders' balances are in memory; if not, they are asked for.
    pub(in crate::world) fn can_change(&self, meter: MeterIx, day: Day, wanted: &mut Wanted) -> bool {
        if !self.has_let_go() {
            return true;
        }
        let mut feeders = Vec::new();
        self.network.feeders_of_meter(meter, &mut feeders);
        let mut missing = Wanted::default();
        self.want(&mut missing, day, &feeders, self.block_for(meter));
        let is_here = missing.is_empty();
        wanted.add(missing);
        is_here
    }

    /// The values of the meters of a consumer's DTs.
    fn want_dt_meters(&self, wanted: &mut Wanted, meter: MeterIx, day: Day) {
        let begin = self.settings.zone.start_of(day);
        let meter = self.network.meter(meter).into_iter();
        let connections = meter.flat_map(Meter::connections);
        let rows = connections.flat_map(|connection| connection.history().rows());
        for dt in rows.filter_map(|row| row.node) {
            for of_dt in self.network.meters_of_dt(dt, begin) {
                self.want(wanted, day, &[], self.state.block_of(of_dt));
            }
        }
    }

    /// Whether the values of a block's day are in memory; if not, they are asked for.
    pub(in crate::world) fn can_look_at(&self, block: BlockNumber, day: Day, wanted: &mut Wanted) -> bool {
        let is_here = !self.paging.has_block(block, day);
        self.want(wanted, day, &[], Some(block));
        is_here
    }

    /// Adds to what judging, tallying, or looking for outages, asks for.
    pub(in crate::world) fn ask(&mut self, wanted: Wanted) {
        self.paging.asked.add(wanted);
    }

    /// What judging, tallying, or looking for outages, met and could not look at.
    pub(crate) fn take_asked(&mut self) -> Wanted {
        std::mem::take(&mut self.paging.asked)
    }

    /// The first day of `span` of which balances of a node by interval are out of memory, as a span; `None`: all are here.
    #[must_use]
    pub fn first_day_out(&self, node: NodeIx, span: &Range<UtcMicros>) -> Option<Range<UtcMicros>> {
        let (day, _) = self.wanted_to_show(node, span).into_days().next()?;
        let zone = &self.settings.zone;
        Some(zone.start_of(day)..zone.start_of(day.next()))
    }

    /// Whether the balances of a node by interval are in memory; those of a node above the feeders always are.
    #[must_use]
    pub fn is_here(&self, node: NodeIx, span: &Range<UtcMicros>) -> bool {
        self.wanted_to_show(node, span).is_empty()
    }

    /// What showing the balances of a node by interval needs: of a feeder or a DT its feeders' days. Those of nodes above stay in memory.
    pub(crate) fn wanted_to_show(&self, node: NodeIx, span: &Range<UtcMicros>) -> Wanted {
        let mut wanted = Wanted::default();
        if !self.has_let_go() || span.is_empty() {
            return wanted;
        }
        let kind = self.network.node(node).and_then(Node::kind);
        if !matches!(kind, Some(NodeKind::Feeder | NodeKind::Dt)) {
            return wanted;
        }
        let mut feeders = Vec::new();
        self.network.feeders_above(node, &mut feeders);
        let days =
            self.day_of(super::super::quarter_at(span.start))..=self.settings.zone.day_of_interval(span.end);
        for day in self.paging.feeders.range(days).map(|(day, _)| *day) {
            self.want(&mut wanted, day, &feeders, None);
        }
        wanted
    }
}
