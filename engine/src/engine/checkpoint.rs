//! Writing what is due to the tables, one commit a table, `checkpoints` last.
//!
//! Tables that the log says (reads, registers, events, exceptions, quarantine, master data) take the log position as their
//! transaction, and of a replay only rows that were emitted after it. Balances are the difference between the live picture and
//! the table: time alone makes them due, so where the log stands still their transaction is the next number instead.

use std::sync::Arc;

use gridtally_ingest::log::Position;
use gridtally_schemas::{
    UtcMicros, Zone,
    table::{self, TableSchema},
};
use hashbrown::HashMap;

use super::{EngineError, Store};
use crate::{
    outbox::Stamp,
    world::{publish::Due, rows::Part},
};

/// Tables whose rows the log alone decides, in the order of their commits.
pub(crate) static FROM_LOG: [&TableSchema; 18] = [
    &table::INTERVAL_READS,
    &table::REGISTER_READS,
    &table::METER_EVENTS,
    &table::VEE_EXCEPTIONS,
    &table::QUARANTINE,
    &table::NODES,
    &table::METERS,
    &table::CONNECTIONS,
    &table::PLANNED_OUTAGES,
    &table::SUPPLY_HOURS,
    &table::OUTAGE_CAUSES,
    &table::BILLING,
    &table::DISCOM_ACCOUNTS,
    &table::COMPENSATION_ACKNOWLEDGEMENTS,
    &table::SERVICE_REQUESTS,
    &table::CLAIMS,
    &table::FEEDER_MANAGERS,
    &table::FEEDER_ACTIONS,
];

/// Tables that time too decides.
pub(crate) static FROM_TIME: [&TableSchema; 12] = [
    &table::DT_BALANCE,
    &table::FEEDER_BALANCE,
    &table::NODE_BALANCE_DAILY,
    &table::READ_COMPLETENESS,
    &table::BILLING_ADJUSTMENTS,
    &table::OUTAGES,
    &table::INTERRUPTIONS,
    &table::RELIABILITY_MONTHLY,
    &table::COMPENSATION_ENTRIES,
    &table::FEEDER_REVENUE_MONTHLY,
    &table::ENERGY_ACCOUNTING_MONTHLY,
    &table::CHECKPOINTS,
];

/// Tables that a job writes beside the checkpoints, from what they published.
pub(crate) static BESIDE: [&TableSchema; 1] = [&table::SUSPICIONS];

/// Tables that the log says and that hold derived rows too: estimates, exceptions, and what events mean by another map. Those are the difference between the picture and
/// the table, as balances are, so they are commits of their own with transactions of their own, under this name.
pub(crate) static DERIVED: [(&TableSchema, &str); 3] = [
    (&table::INTERVAL_READS, "interval_reads derived"),
    (&table::VEE_EXCEPTIONS, "vee_exceptions derived"),
    (&table::METER_EVENTS, "meter_events derived"),
];

/// Last transaction of every table, and of the derived rows of [`DERIVED`].
pub(crate) type Transactions = HashMap<&'static str, Position>;

/// A finished checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    /// The last record whose rows are in the tables.
    pub(crate) position: Position,
    /// The last record of which all that follows from it is in the tables.
    pub(crate) complete: Position,
    /// When its rows say that they were published.
    pub(crate) published_at: UtcMicros,
    /// Number of rows.
    pub(crate) rows: usize,
}

/// The one writer of the tables.
#[derive(Debug)]
pub(crate) struct Checkpointer<S> {
    store: Arc<S>,
    zone: Zone,
    transactions: Transactions,
}

impl<S: Store> Checkpointer<S> {
    pub(crate) fn new(store: Arc<S>, zone: Zone, transactions: Transactions) -> Self {
        Self {
            store,
            zone,
            transactions,
        }
    }

    /// Writes a checkpoint.
    ///
    /// # Errors
    /// When rows do not form a batch, a commit fails, or somebody else has written to the tables. Then the checkpoint is not
    /// finished, and recovery goes on from the one before.
    pub(crate) async fn write(
        &mut self,
        mut due: Due,
        published_at: UtcMicros,
    ) -> Result<Written, EngineError> {
        due.outbox.drop_written(|table| self.transaction(table));
        let zone = self.zone.clone();
        let stamp = Stamp {
            published_at,
            zone: &zone,
        };
        let rows = due.rows();
        // Before what the log says: a read's version counts the estimates before it, so these must never be the ones to be missing.
        for (table, batch) in due
            .derived
            .batches(due.position, stamp)
            .map_err(EngineError::Rows)?
        {
            self.append_derived(table, batch, due.position).await?;
        }
        for part in Part::ALL {
            for (table, batch) in due.take_batches(part, stamp).map_err(EngineError::Rows)? {
                self.append(table, batch, due.position).await?;
            }
        }
        let checkpoint = due.checkpoint(stamp).map_err(EngineError::Rows)?;
        self.append(&table::CHECKPOINTS, checkpoint, due.position).await?;
        Ok(Written {
            position: due.position,
            complete: due.complete,
            published_at,
            rows,
        })
    }

    fn transaction(&self, table: &TableSchema) -> Position {
        self.transactions.get(table.name).copied().unwrap_or_default()
    }

    async fn append_derived(
        &mut self,
        table: &'static TableSchema,
        batch: arrow::array::RecordBatch,
        position: Position,
    ) -> Result<(), EngineError> {
        let name = DERIVED
            .iter()
            .find(|(of, _)| of.name == table.name)
            .map_or(table.name, |(_, name)| *name);
        let standing = self.transactions.get(name).copied().unwrap_or_default();
        let transaction = position.max(Position(standing.0.saturating_add(1)));
        let appended = self.store.append_derived(table, batch, transaction).await;
        if !appended.map_err(|source| EngineError::Commit {
            table: table.name,
            source,
        })? {
            return Err(EngineError::ForeignWriter { table: table.name });
        }
        self.transactions.insert(name, transaction);
        Ok(())
    }

    async fn append(
        &mut self,
        table: &'static TableSchema,
        batch: arrow::array::RecordBatch,
        position: Position,
    ) -> Result<(), EngineError> {
        let is_from_time = FROM_TIME.iter().any(|of_time| of_time.name == table.name);
        let next = Position(self.transaction(table).0.saturating_add(1));
        let transaction = if is_from_time {
            position.max(next)
        } else {
            position
        };
        let appended = self.store.append(table, batch, transaction).await;
        if !appended.map_err(|source| EngineError::Commit {
            table: table.name,
            source,
        })? {
            return Err(EngineError::ForeignWriter { table: table.name });
        }
        self.transactions.insert(table.name, transaction);
        Ok(())
    }
}
