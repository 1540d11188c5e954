//! Values and balances back from the tables, a civil day at a time, oldest first.
//!
//! While they fit half of the budget (balances, which are computed from values, take the other half) nothing else is done here. Beyond
//! that the picture lives through the days as it did when they came: at the close of each it computes, judges and tallies what is
//! closed, finds that the tables say the same, and lets go what is settled. So what it took away stands in sums, tallies and verdicts
//! as it would if all had stayed, what was pending when the process died is found again because the tables say something else, and
//! memory holds the budget, or the days up to the settlement horizon, and the day that is being read.

use std::collections::BTreeSet;

use arrow::array::RecordBatch;
use futures::StreamExt;
use gridtally_schemas::{
    Day, UtcMicros,
    table::{self, TableSchema},
};

use super::{EngineError, Store, StoreError};
use crate::{
    balance::BalanceSql,
    engine::paging::{GATHER_ROWS, page_in, put_away},
    world::{World, paging::of_day, restore::RestoreError},
};

/// Tables whose rows come back day by day.
static BY_DAY: [&TableSchema; 3] = [&table::INTERVAL_READS, &table::DT_BALANCE, &table::FEEDER_BALANCE];
/// Reads that come back between two times of putting values away: some 100 MB.
const ROWS_TOGETHER: usize = 8_000_000;
/// Meter-days judged, and feeders' days tallied, in one step.
const TOGETHER: usize = 1_000;

/// Puts back every day that the tables hold. Gives the most memory that they took meanwhile, bytes as counted.
///
/// # Errors
/// When a table cannot be read or holds what this program never writes, or balances cannot be computed.
pub(super) async fn restore_days<S: Store>(
    store: &S,
    world: &mut World,
    now: UtcMicros,
) -> Result<usize, EngineError> {
    let mut days = BTreeSet::new();
    for table in BY_DAY {
        days.extend(store.days(table).await.map_err(|source| failed(table, source))?);
    }
    let sql = BalanceSql::default();
    let mut peak = 0;
    for day in days {
        restore_day(store, world, day).await?;
        if world.is_crowded() {
            live_up_to(store, &sql, world, world.close_before(day).min(now)).await?;
            peak = peak.max(world.resident_bytes());
            world.forget_published();
            world.let_go();
            world.count_resident();
            put_away(&mut *world);
            if world.is_over_budget() {
                world.owe_unpublished();
            }
        }
    }
    world.state.check().map_err(EngineError::Cold)?;
    world.end_start();
    Ok(peak.max(world.resident_bytes()))
}

fn failed(table: &'static TableSchema, source: StoreError) -> EngineError {
    EngineError::Read {
        table: table.name,
        source,
    }
}

async fn restore_day<S: Store>(store: &S, world: &mut World, day: Day) -> Result<(), EngineError> {
    let mut rows_since = 0;
    each_of_day(store, &table::INTERVAL_READS, day, |rows| {
        world.restore_reads(rows, world.applied())?;
        world.restore_estimates(rows)?;
        rows_since += rows.num_rows();
        if rows_since >= ROWS_TOGETHER {
            world.count_resident();
            put_away(&mut *world);
            rows_since = 0;
        }
        Ok(())
    })
    .await?;
    each_of_day(store, &table::DT_BALANCE, day, |rows| {
        world.restore_dt_balance(rows)
    })
    .await?;
    each_of_day(store, &table::FEEDER_BALANCE, day, |rows| {
        world.restore_feeder_balance(rows)
    })
    .await
}

async fn each_of_day<S: Store>(
    store: &S,
    table: &'static TableSchema,
    day: Day,
    mut restore: impl FnMut(&RecordBatch) -> Result<(), RestoreError>,
) -> Result<(), EngineError> {
    let batches = store.scan_part(table, day, &BTreeSet::new()).await;
    let mut batches = batches.map_err(|source| failed(table, source))?;
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(|source| failed(table, source))?;
        let rows = of_day(table, &batch, day, |_| true).map_err(EngineError::Restore)?;
        restore(&rows).map_err(EngineError::Restore)?;
    }
    Ok(())
}

/// Brings balances, verdicts and tallies up to a moment.
async fn live_up_to<S: Store>(
    store: &S,
    sql: &BalanceSql,
    world: &mut World,
    at: UtcMicros,
) -> Result<(), EngineError> {
    world.advance(at);
    loop {
        while let Some(members) = world.gather(GATHER_ROWS) {
            let computed = sql.run(members).await.map_err(EngineError::Balance)?;
            world.settle(computed);
        }
        let done = world.judge(TOGETHER).days + world.tally(TOGETHER);
        let asked = world.take_asked();
        if !asked.is_empty() {
            page_in(store, sql, asked, &mut *world).await?;
        } else if done == 0 && world.is_settled() {
            return Ok(());
        }
    }
}
