//! Bringing days back: rows of the tables into the state, then balances computed anew, which no roll-up takes notice of.

use std::{collections::BTreeSet, sync::Arc};

use arrow::{
    array::{Array, BooleanArray, RecordBatch},
    compute::filter_record_batch,
};
use gridtally_schemas::{
    Day,
    network::NodeKind,
    table::{self, TableSchema},
};

use super::{BlockNumber, NodeIx, WantedDay, World};
use crate::{
    balance::{Computed, MemberReads},
    network::Node,
    state::{Quality, State},
    world::restore::{Back, RestoreError, columns::Rows},
};

/// Whose rows of a day are read.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct PagedIds {
    /// Of `interval_reads`.
    pub(crate) meters: BTreeSet<String>,
    /// Of `feeder_balance`.
    pub(crate) feeders: BTreeSet<String>,
    /// Of `dt_balance`.
    pub(crate) dts: BTreeSet<String>,
}

impl World {
    /// Whose rows bring back what is wanted of a day. What came back meanwhile is not wanted any more.
    pub(crate) fn paged_ids(&self, day: Day, wanted: &mut WantedDay) -> PagedIds {
        wanted
            .feeders
            .retain(|feeder| self.paging.has_feeder(*feeder, day));
        wanted.blocks.retain(|block| self.paging.has_block(*block, day));
        let meters = wanted
            .blocks
            .iter()
            .flat_map(|block| self.state.meters_of(*block));
        let id = |node: &NodeIx| self.network.node(*node).map(|node| node.id.to_string());
        let children = wanted
            .feeders
            .iter()
            .filter_map(|feeder| self.network.node(*feeder));
        let dts = children
            .flat_map(|feeder| &feeder.children)
            .filter(|child| self.network.node(**child).and_then(Node::kind) == Some(NodeKind::Dt));
        PagedIds {
            meters: meters
                .filter_map(|meter| self.network.meter(*meter))
                .map(|meter| meter.id().to_owned())
                .collect(),
            feeders: wanted.feeders.iter().filter_map(id).collect(),
            dts: dts.filter_map(id).collect(),
        }
    }

    /// Brings back the values among rows of `interval_reads` that are of these meters and this day, in any order.
    ///
    /// # Errors
    /// [`RestoreError`] when the rows are none that this program writes.
    pub(crate) fn bring_back_reads(
        &mut self,
        batch: &RecordBatch,
        day: Day,
        ids: &BTreeSet<String>,
    ) -> Result<(), RestoreError> {
        let batch = chosen(&table::INTERVAL_READS, batch, day, ids)?;
        // Rows of records that are not applied yet come again with them.
        self.put_back_reads(&batch, self.applied, State::bring_back)?;
        let rows = Rows::of(&table::INTERVAL_READS, &batch);
        let (id, end) = (rows.text("meter_id")?, rows.time("interval_end")?);
        let (quality, version) = (rows.text("quality")?, rows.whole("version")?);
        let is_derived = |row: &usize| {
            let quality = Quality::parse(quality.value(*row));
            quality.is_some_and(|quality| quality <= Quality::Estimated)
        };
        for row in (0..batch.num_rows()).filter(is_derived) {
            if let Some(meter) = self.network.find_meter(id.value(row)) {
                let quarter = rows.quarter(end.value(row))?;
                self.state.bring_back_version(meter, quarter, version.value(row));
            }
        }
        Ok(())
    }

    /// Brings back how far the balances of these feeders or DTs were published, from rows of a balance table.
    ///
    /// # Errors
    /// [`RestoreError`] when the rows are none that this program writes.
    pub(crate) fn bring_back_published(
        &mut self,
        table: &'static TableSchema,
        batch: &RecordBatch,
        day: Day,
        ids: &BTreeSet<String>,
    ) -> Result<(), RestoreError> {
        let batch = chosen(table, batch, day, ids)?;
        if table.name == table::DT_BALANCE.name {
            self.put_back_dt_balance(&batch, Back::PagedIn)
        } else {
            self.put_back_feeder_balance(&batch, Back::PagedIn)
        }
    }

    /// Shows the estimates of these blocks again, once their values are here.
    pub(crate) fn bring_back_estimates(&mut self, day: Day, blocks: &BTreeSet<BlockNumber>) {
        let span = self.quarters_of_day(day);
        for block in blocks {
            for meter in self.state.meters_of(*block).to_vec() {
                for (quarter, energy) in self.vee.estimates_of(meter, span.clone()) {
                    self.state.bring_back_estimate(meter, quarter, energy);
                }
            }
        }
    }

    /// Takes up to about `rows_max` member reads of the balances of `feeders`, of which it takes those away that it gathered; `None`
    /// when none is left.
    pub(crate) fn gather_back(
        &mut self,
        day: Day,
        feeders: &mut Vec<NodeIx>,
        rows_max: usize,
    ) -> Option<MemberReads> {
        let span = self.quarters_of_day(day);
        let mut members = MemberReads::default();
        while members.len() < rows_max
            && let Some(feeder) = feeders.pop()
        {
            for quarter in (span.start().0..=span.end().0).map(crate::state::Quarter) {
                let roster = self.roster_of_let_go(feeder, day, quarter);
                if !roster.is_empty() && roster.is_on_grid(quarter) {
                    members.gather(&self.state, &self.settings.zone, &roster, quarter);
                }
            }
        }
        (!members.is_empty()).then_some(members)
    }

    /// Puts balances where they were. No roll-up changes: they stayed in them.
    pub(crate) fn settle_back(&mut self, computed: Vec<Computed>) {
        for (feeder, quarter, interval) in computed {
            if interval.heard || self.is_heard(feeder, quarter) {
                self.intervals
                    .entry(feeder)
                    .or_default()
                    .insert(quarter, Arc::new(interval));
            }
        }
    }

    /// Notes that all that was wanted of a day is here.
    pub(crate) fn end_page_in(&mut self, day: Day, wanted: &WantedDay) {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        self.paging.paged.page_ins += 1;
        self.paging.paged.feeder_days_in += count(wanted.feeders.len());
        self.paging.paged.block_days_in += count(wanted.blocks.len());
        self.paging.since_let_go += wanted.feeders.len() + wanted.blocks.len();
        if let Some(out) = self.paging.feeders.get_mut(&day) {
            out.retain(|feeder| !wanted.feeders.contains(feeder));
        }
        if let Some(out) = self.paging.blocks.get_mut(&day) {
            out.retain(|block| !wanted.blocks.contains(block));
        }
        self.paging.feeders.retain(|_, out| !out.is_empty());
        self.paging.blocks.retain(|_, out| !out.is_empty());
        self.note_out();
        for feeder in &wanted.feeders {
            self.work_off(*feeder, day);
        }
    }
}

/// The rows of a day whose first key column is one of `ids`.
fn chosen(
    table: &'static TableSchema,
    batch: &RecordBatch,
    day: Day,
    ids: &BTreeSet<String>,
) -> Result<RecordBatch, RestoreError> {
    let column = table.key.first().copied().unwrap_or_default();
    let id = Rows::of(table, batch).text(column)?;
    of_day(table, batch, day, |row| ids.contains(id.value(row)))
}

/// The rows of a day that `is_chosen` tells.
pub(crate) fn of_day(
    table: &'static TableSchema,
    batch: &RecordBatch,
    day: Day,
    is_chosen: impl Fn(usize) -> bool,
) -> Result<RecordBatch, RestoreError> {
    let days = Rows::of(table, batch).day("day")?;
    let is_of_day = |row| days.is_valid(row) && days.value(row) == day.0;
    let mask: BooleanArray = (0..batch.num_rows())
        .map(|row| Some(is_of_day(row) && is_chosen(row)))
        .collect();
    filter_record_batch(batch, &mask).map_err(|source| RestoreError::Column {
        table: table.name,
        column: "day",
        source,
    })
}
