//! The part of the tables that a caller with an area has: rows of its node and of all below it, whatever is asked.
//!
//! The filter sits in the scan of each stored table, beneath everything that SQL can say: views, histories, `_as_of` functions, subqueries and
//! catalogues all read through it. The scan is one leaf of the plan (`narrowed`): the optimizer cannot move anything of a statement below
//! the filter, so that no expression is evaluated on a row outside, no error tells its values, no statistics count it, and EXPLAIN does not
//! show what was read beneath. Only comparisons of a column with constants, which cannot fail, reach the files.
//!
//! What belongs to an area is decided by the network as it stands now ([`Members`]), by ids that stay with a row's key, so that of each key
//! all versions are there or none is: a version that stands is never hidden behind one that does not. Where a table's key does not say
//! where its row belongs, the version that stands does.
//!
//! A table without a rule has no rows for a caller with an area; the test asks a rule of each.

use std::sync::Arc;

use datafusion::error::Result;
use gridtally_engine::tables::TablesReader;
use gridtally_schemas::table::TableSchema;

use super::protocol::AreaOf;

mod members;
mod narrowed;

pub(super) use members::Members;
pub(super) use narrowed::{is_harmless, narrowed, nothing};

/// What an id names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Node,
    Meter,
    Consumer,
    /// An entry of the compensation ledger.
    Entry,
}

/// Which rows of a table belong to an area.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Those whose column names one of the area's.
    Names(&'static str, Kind),
    /// Those of keys (first column) whose standing version names one of the area's in the second column.
    Stands(&'static str, &'static str, Kind),
    /// None: the table is of no node.
    Whole,
}

use Kind::{Consumer, Entry, Meter, Node};
use Rule::{Names, Stands, Whole};

/// The rule of each table.
const RULES: &[(&str, Rule)] = &[
    ("interval_reads", Names("meter_id", Meter)),
    ("register_reads", Names("meter_id", Meter)),
    ("meter_events", Names("meter_id", Meter)),
    ("dt_balance", Names("dt_id", Node)),
    ("feeder_balance", Names("feeder_id", Node)),
    ("node_balance_daily", Names("node_id", Node)),
    ("read_completeness", Names("node_id", Node)),
    ("vee_exceptions", Names("meter_id", Meter)),
    // A payload may be of a gateway, and hold what meters outside said.
    ("quarantine", Whole),
    ("nodes", Names("node_id", Node)),
    ("meters", Names("meter_id", Meter)),
    ("connections", Names("consumer_id", Consumer)),
    ("billing", Names("consumer_id", Consumer)),
    ("billing_adjustments", Names("meter_id", Meter)),
    ("checkpoints", Whole),
    // An outage may grow from a DT to its feeder: the version that stands says where it is.
    ("outages", Stands("outage_id", "node_id", Node)),
    ("interruptions", Names("consumer_id", Consumer)),
    ("planned_outages", Names("node_id", Node)),
    ("supply_hours", Names("node_id", Node)),
    ("outage_causes", Names("node_id", Node)),
    ("reliability_monthly", Names("node_id", Node)),
    ("compensation_entries", Names("consumer_id", Consumer)),
    ("compensation_acknowledgements", Names("entry_id", Entry)),
    ("service_requests", Stands("request_id", "consumer_id", Consumer)),
    ("claims", Stands("claim_id", "consumer_id", Consumer)),
    ("feeder_revenue_monthly", Names("feeder_id", Node)),
    ("suspicions", Stands("suspicion_id", "node_id", Node)),
    ("energy_accounting_monthly", Names("node_id", Node)),
    ("feeder_managers", Names("feeder_id", Node)),
    ("feeder_actions", Stands("action_id", "feeder_id", Node)),
    ("discom_accounts", Whole),
];

/// The rule of a table; one without any is of no node.
fn rule_of(table: &str) -> Rule {
    let named = RULES.iter().find(|(name, _)| *name == table);
    named.map_or(Whole, |(_, rule)| *rule)
}

/// Which rows of a table there are.
#[derive(Debug, Clone)]
pub(super) enum Rows {
    /// Those whose column holds one of these.
    In(&'static str, Arc<std::collections::HashSet<String>>),
    None,
}

/// An area of a query.
#[derive(Debug)]
pub(super) struct Area(Members);

impl Area {
    pub(super) fn new(of: AreaOf, reader: TablesReader) -> Self {
        Self(Members::new(of, reader))
    }

    /// Which rows of a table belong to it.
    pub(super) async fn rows(&self, schema: &'static TableSchema) -> Result<Rows> {
        Ok(match rule_of(schema.name) {
            Names(column, kind) => Rows::In(column, self.0.of(kind).await?),
            Stands(key, column, kind) => Rows::In(key, self.0.standing(schema, (key, column, kind)).await?),
            Whole => Rows::None,
        })
    }
}

#[cfg(test)]
mod tests;
