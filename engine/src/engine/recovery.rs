//! From the tables back to the picture.

use std::collections::BTreeSet;

use arrow::array::RecordBatch;
use futures::StreamExt;
use gridtally_ingest::log::Position;
use gridtally_schemas::{
    MeterId, UtcMicros,
    table::{self, TableSchema},
};

use super::{
    EngineError, Store, StoreError,
    checkpoint::{DERIVED, FROM_LOG, FROM_TIME, Transactions},
};
use crate::world::{
    Settings, World,
    restore::{RestoreError, last_checkpoint},
};
use days::restore_days;

mod days;

/// The picture as of a record, and what is known of the tables.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) world: World,
    pub(crate) transactions: Transactions,
    /// When the last checkpoint was published; `None` before the first.
    pub(crate) published_at: Option<UtcMicros>,
    /// The last record of which the tables hold all that follows from it.
    pub(crate) complete: Position,
    /// The most memory that values, balances and what was published of them took meanwhile, bytes as counted.
    pub(crate) resident_peak: usize,
}

/// Puts the picture back as of the last checkpoint, or as of the beginning of the log where that is later (the log's folder was
/// lost: what the tables hold is then all there is). Values and balances come day by day, and what is settled of them goes again where the
/// budget is exceeded ([`days`]).
///
/// # Errors
/// When a table cannot be read or holds what this program never writes.
pub(crate) async fn recover<S: Store>(
    store: &S,
    settings: Settings,
    (log_begin, now): (Position, UtcMicros),
) -> Result<Recovered, EngineError> {
    let transactions = transactions(store).await?;
    let said = FROM_LOG.iter().filter_map(|table| transactions.get(table.name));
    let said_through = said.max().copied().unwrap_or_default();
    let last = last_checkpoint(&collect(store, &table::CHECKPOINTS).await?).map_err(EngineError::Restore)?;
    let published_at = last.map(|last| last.published_at);
    let last = last.unwrap_or_default();
    let as_of = last.position.max(log_begin);
    let mut world = World::new(settings);
    each(store, &table::NODES, |rows| world.restore_nodes(rows, as_of)).await?;
    each(store, &table::METERS, |rows| world.restore_meters(rows, as_of)).await?;
    each(store, &table::CONNECTIONS, |rows| {
        world.restore_connections(rows, as_of)
    })
    .await?;
    each(store, &table::BILLING, |rows| world.restore_billing(rows, as_of)).await?;
    each(store, &table::REGISTER_READS, |rows| {
        world.restore_registers(rows, as_of)
    })
    .await?;
    each(store, &table::METER_EVENTS, |rows| {
        world.restore_events(rows, as_of)
    })
    .await?;
    each(store, &table::VEE_EXCEPTIONS, |rows| {
        world.restore_vee(rows, as_of)?;
        world.restore_exceptions(rows)
    })
    .await?;
    each(store, &table::QUARANTINE, |rows| {
        world.restore_quarantine(rows, as_of)
    })
    .await?;
    each(store, &table::NODE_BALANCE_DAILY, |rows| world.restore_days(rows)).await?;
    restore_outages(store, &mut world, as_of).await?;
    restore_compensation(store, &mut world, as_of).await?;
    each(store, &table::BILLING_ADJUSTMENTS, |rows| {
        world.restore_adjustments(rows)
    })
    .await?;
    each(store, &table::READ_COMPLETENESS, |rows| {
        world.restore_completeness(rows)
    })
    .await?;
    restore_revenue(store, &mut world, as_of).await?;
    world.resume(as_of, last.counts);
    // Of records that only the log held, and that went with it, nothing is owed.
    let complete = if last.complete < last.position {
        last.complete
    } else {
        as_of
    };
    world.resume_complete(complete);
    let resident_peak = restore_days(store, &mut world, now).await?;
    world.judge_from(said_through);
    Ok(Recovered {
        world,
        transactions,
        published_at,
        complete,
        resident_peak,
    })
}

/// Plans and causes as they were said, and what was published of outages, interruptions and indices.
async fn restore_outages<S: Store>(store: &S, world: &mut World, as_of: Position) -> Result<(), EngineError> {
    each(store, &table::PLANNED_OUTAGES, |rows| {
        world.restore_planned_outages(rows, as_of)
    })
    .await?;
    each(store, &table::SUPPLY_HOURS, |rows| {
        world.restore_supply_hours(rows, as_of)
    })
    .await?;
    each(store, &table::OUTAGE_CAUSES, |rows| {
        world.restore_causes(rows, as_of)
    })
    .await?;
    each(store, &table::OUTAGES, |rows| world.restore_outages(rows)).await?;
    each(store, &table::INTERRUPTIONS, |rows| {
        world.restore_interruptions(rows)
    })
    .await?;
    each(store, &table::RELIABILITY_MONTHLY, |rows| {
        world.restore_indices(rows)
    })
    .await
}

/// The ledger, what was said of it, requests and claims.
async fn restore_compensation<S: Store>(
    store: &S,
    world: &mut World,
    as_of: Position,
) -> Result<(), EngineError> {
    each(store, &table::COMPENSATION_ENTRIES, |rows| {
        world.restore_entries(rows)
    })
    .await?;
    each(store, &table::COMPENSATION_ACKNOWLEDGEMENTS, |rows| {
        world.restore_acknowledgements(rows, as_of)
    })
    .await?;
    each(store, &table::SERVICE_REQUESTS, |rows| {
        world.restore_requests(rows, as_of)
    })
    .await?;
    each(store, &table::CLAIMS, |rows| world.restore_claims(rows, as_of)).await
}

/// The discom's accounts, what was published of feeders' revenue and of energy accounting, and who answers for feeders.
async fn restore_revenue<S: Store>(store: &S, world: &mut World, as_of: Position) -> Result<(), EngineError> {
    each(store, &table::DISCOM_ACCOUNTS, |rows| {
        world.restore_accounts(rows, as_of)
    })
    .await?;
    each(store, &table::FEEDER_REVENUE_MONTHLY, |rows| {
        world.restore_revenue(rows)
    })
    .await?;
    each(store, &table::ENERGY_ACCOUNTING_MONTHLY, |rows| {
        world.restore_accounting(rows)
    })
    .await?;
    each(store, &table::FEEDER_MANAGERS, |rows| {
        world.restore_managers(rows, as_of)
    })
    .await?;
    each(store, &table::FEEDER_ACTIONS, |rows| {
        world.restore_actions(rows, as_of)
    })
    .await
}

/// Last transaction of every table, and of every part of a table that has its own.
async fn transactions<S: Store>(store: &S) -> Result<Transactions, EngineError> {
    let mut transactions = Transactions::new();
    for table in FROM_LOG.into_iter().chain(FROM_TIME) {
        let position = store
            .position_of(table)
            .await
            .map_err(|source| EngineError::Read {
                table: table.name,
                source,
            })?;
        transactions.extend(position.map(|position| (table.name, position)));
    }
    for (table, name) in DERIVED {
        let position = store
            .derived_position_of(table)
            .await
            .map_err(|source| EngineError::Read {
                table: table.name,
                source,
            })?;
        transactions.extend(position.map(|position| (name, position)));
    }
    Ok(transactions)
}

/// The highest log position that any table has rows of: a log whose folder was lost must number on from there.
///
/// # Errors
/// When a table cannot be read.
pub(crate) async fn newest_position<S: Store>(store: &S) -> Result<Position, EngineError> {
    let last = last_checkpoint(&collect(store, &table::CHECKPOINTS).await?).map_err(EngineError::Restore)?;
    let mut newest = last.unwrap_or_default().position;
    for table in FROM_LOG {
        let position = store
            .position_of(table)
            .await
            .map_err(|source| EngineError::Read {
                table: table.name,
                source,
            })?;
        newest = newest.max(position.unwrap_or_default());
    }
    Ok(newest)
}

/// Reads spilled spans of `meters` again, for `put_back` to take.
///
/// # Errors
/// When the table cannot be read or holds what this program never writes.
pub(crate) async fn read_spilled<S: Store>(
    store: &S,
    meters: &BTreeSet<MeterId>,
    mut put_back: impl FnMut(&RecordBatch) -> Result<(), RestoreError>,
) -> Result<(), EngineError> {
    let failed = |source: StoreError| EngineError::Read {
        table: table::QUARANTINE.name,
        source,
    };
    let mut batches = store.quarantined(meters).await.map_err(failed)?;
    while let Some(batch) = batches.next().await {
        put_back(&batch.map_err(failed)?).map_err(EngineError::Restore)?;
    }
    Ok(())
}

async fn each<S: Store>(
    store: &S,
    table: &'static TableSchema,
    mut restore: impl FnMut(&RecordBatch) -> Result<(), RestoreError>,
) -> Result<(), EngineError> {
    let failed = |source: StoreError| EngineError::Read {
        table: table.name,
        source,
    };
    let mut batches = store.scan(table).await.map_err(failed)?;
    while let Some(batch) = batches.next().await {
        restore(&batch.map_err(failed)?).map_err(EngineError::Restore)?;
    }
    Ok(())
}

async fn collect<S: Store>(store: &S, table: &'static TableSchema) -> Result<Vec<RecordBatch>, EngineError> {
    let mut batches = Vec::new();
    each(store, table, |batch| {
        batches.push(batch.clone());
        Ok(())
    })
    .await?;
    Ok(batches)
}
