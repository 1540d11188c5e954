//! Reading back what the picture let go: one scan of a partition a table and day, for all that is wanted there together. And letting values
//! wait on disk.

use std::io;

use futures::StreamExt;

use super::{EngineError, Store, StoreError};
use crate::{
    balance::BalanceSql,
    state::{BlockNumber, Cold, Quarter},
    world::{
        World,
        paging::{PagedIds, Wanted, WantedDay},
        restore::RestoreError,
    },
};
use arrow::array::RecordBatch;
use gridtally_schemas::{
    Day,
    table::{self, TableSchema},
};

/// Blocks of meters whose values of one interval are put away together: some two megabytes.
const BLOCKS_TOGETHER: usize = 256;
/// Member reads gathered under one lock and computed by one run of the SQL.
pub(super) const GATHER_ROWS: usize = 200_000;

/// A way to change the picture, under its lock where it has one.
pub(crate) trait Access {
    /// Runs `change` alone with the picture.
    fn change<T>(&mut self, change: impl FnOnce(&mut World) -> T) -> T;

    /// Runs `look` with the picture, which others may look at too.
    fn look<T>(&self, look: impl FnOnce(&World) -> T) -> T;
}

impl Access for &mut World {
    fn change<T>(&mut self, change: impl FnOnce(&mut World) -> T) -> T {
        change(self)
    }

    fn look<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(self)
    }
}

/// Lets the oldest values wait on disk until the rest fits the budget, or those that must stay are left. What cannot be written stays in
/// memory.
pub(crate) fn put_away(mut world: impl Access) {
    let (cold, quarters) = world.look(|world| (world.state.cold(), world.to_put_away()));
    let Some(cold) = cold else { return };
    for quarter in quarters {
        if let Err(error) = put_quarter_away(&cold, quarter, &mut world) {
            tracing::warn!(
                file = %cold.path().display(),
                %error,
                "values that exceed engine.state_bytes_max stay in memory: the file in which they would wait cannot be written"
            );
            return;
        }
        if !world.look(World::was_over_budget) {
            return;
        }
    }
}

/// Lets the values of one quarter wait on disk: a few milliseconds under each lock, and none while they are written.
///
/// # Errors
/// When the file cannot be written: then they stay in memory.
pub(crate) fn put_quarter_away(cold: &Cold, quarter: Quarter, world: &mut impl Access) -> io::Result<()> {
    let mut next = Some(BlockNumber::FIRST);
    while let Some(first) = next {
        let drawn;
        (drawn, next) = world.look(|world| world.state.draw(quarter, (first, BLOCKS_TOGETHER)));
        let placed = cold.put_all(&drawn)?;
        world.change(|world| world.put_away(placed));
    }
    Ok(())
}

/// Brings back all that is wanted, day by day. Others look at the picture in between; they find a day that is coming back still out.
///
/// # Errors
/// When a table cannot be read or holds what this program never writes, or balances cannot be computed.
pub(crate) async fn page_in<S: Store>(
    store: &S,
    sql: &BalanceSql,
    wanted: Wanted,
    mut world: impl Access,
) -> Result<(), EngineError> {
    for (day, mut of_day) in wanted.into_days() {
        let ids = world.change(|world| world.paged_ids(day, &mut of_day));
        page_in_rows(store, day, &ids, &mut world).await?;
        compute(sql, day, &of_day, &mut world).await?;
        world.change(|world| world.end_page_in(day, &of_day));
    }
    Ok(())
}

async fn page_in_rows<S: Store>(
    store: &S,
    day: Day,
    ids: &PagedIds,
    world: &mut impl Access,
) -> Result<(), EngineError> {
    let reads = |rows: &RecordBatch| world.change(|world| world.bring_back_reads(rows, day, &ids.meters));
    of_day(store, (&table::INTERVAL_READS, &ids.meters), day, reads).await?;
    for (table, ids) in [
        (&table::FEEDER_BALANCE, &ids.feeders),
        (&table::DT_BALANCE, &ids.dts),
    ] {
        let published =
            |rows: &RecordBatch| world.change(|world| world.bring_back_published(table, rows, day, ids));
        of_day(store, (table, ids), day, published).await?;
    }
    Ok(())
}

/// The balances of the feeders that come back, from the values.
async fn compute(
    sql: &BalanceSql,
    day: Day,
    wanted: &WantedDay,
    world: &mut impl Access,
) -> Result<(), EngineError> {
    world.change(|world| world.bring_back_estimates(day, &wanted.blocks));
    let mut feeders = wanted.feeders.iter().copied().collect();
    while let Some(members) = world.change(|world| world.gather_back(day, &mut feeders, GATHER_ROWS)) {
        let computed = sql.run(members).await.map_err(EngineError::Balance)?;
        world.change(|world| world.settle_back(computed));
    }
    Ok(())
}

async fn of_day<S: Store>(
    store: &S,
    (table, ids): (&'static TableSchema, &std::collections::BTreeSet<String>),
    day: Day,
    mut bring_back: impl FnMut(&RecordBatch) -> Result<(), RestoreError>,
) -> Result<(), EngineError> {
    if ids.is_empty() {
        return Ok(());
    }
    let failed = |source: StoreError| EngineError::Read {
        table: table.name,
        source,
    };
    let mut batches = store.scan_part(table, day, ids).await.map_err(failed)?;
    while let Some(batch) = batches.next().await {
        bring_back(&batch.map_err(failed)?).map_err(EngineError::Restore)?;
    }
    Ok(())
}
