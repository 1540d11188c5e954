//! What two pictures and their tables are compared by, and what holds of any one of them.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{array::RecordBatch, util::display::array_value_to_string};
use gridtally_schemas::{
    Day,
    network::NodeKind,
    table::{self, TableSchema},
};
use proptest::prelude::*;

use crate::{
    balance::{DtFigures, MemberReads},
    network::{MeterIx, NodeIx},
    rig::{MemoryStore, block_on, sql},
    state::Quarter,
    world::{Sums, World},
};

/// Everything that the picture says, by ids, as text.
pub(super) fn picture(world: &World) -> BTreeMap<String, String> {
    let mut said = BTreeMap::new();
    let meter_id = |meter: MeterIx| world.network.meter(meter).unwrap().id().to_owned();
    let node_id = |node: NodeIx| world.network.node(node).unwrap().id.to_string();
    for (meter, quarter, value) in world.state.values() {
        said.insert(
            format!("value {} {}", meter_id(meter), quarter.0),
            format!("{value:?}"),
        );
    }
    for (feeder, intervals) in &world.intervals {
        for (quarter, interval) in intervals {
            let dts = interval
                .dts
                .iter()
                .map(|dt| (node_id(dt.dt), DtFigures { dt: NodeIx(0), ..dt }));
            let ancestors: Vec<String> = interval.ancestors.iter().map(|node| node_id(*node)).collect();
            let text = format!(
                "{:?} {:?} {ancestors:?}",
                interval.feeder,
                dts.collect::<Vec<_>>()
            );
            said.insert(format!("interval {} {}", node_id(*feeder), quarter.0), text);
        }
    }
    sums_of_nodes(world, &mut said);
    for (node, day, tally) in world.tallies() {
        said.insert(format!("reads {} {day}", node_id(node)), format!("{tally:?}"));
    }
    for (meter, quarter, adjustment) in world.adjustments() {
        let text = format!("{:?} {:?}", adjustment.billed, adjustment.actual);
        said.insert(format!("adjustment {} {}", meter_id(meter), quarter.0), text);
    }
    for ((meter, at), (content, _)) in &world.registers {
        said.insert(
            format!("register {} {at}", meter_id(*meter)),
            format!("{content:?}"),
        );
    }
    for (meter, event) in &world.events {
        said.insert(format!("event {} {event:?}", meter_id(*meter)), String::new());
    }
    for ((meter, quarter), report) in &world.reported_missing {
        let key = format!("missing {} {}", meter_id(*meter), quarter.0);
        said.insert(key, report.resolved_at.is_some().to_string());
    }
    for view in world.outages() {
        said.insert(format!("outage {}", view.outage.id), format!("{view:?}"));
    }
    for interruption in world.interruptions() {
        let key = format!(
            "interruption {} {}",
            interruption.consumer, interruption.started_at
        );
        assert!(
            said.insert(key, format!("{interruption:?}")).is_none(),
            "twice: {interruption:?}"
        );
    }
    for (key, versions) in world.accountable() {
        said.insert(format!("accountable {key}"), versions);
    }
    for held in world.held.iter() {
        said.insert(format!("held {}", held.meter_id), held.reason.to_owned());
    }
    said
}

fn sums_of_nodes(world: &World, said: &mut BTreeMap<String, String>) {
    let node_id = |node: NodeIx| world.network.node(node).unwrap().id.to_string();
    for (node, days) in &world.days {
        for (day, sums) in days.iter() {
            said.insert(format!("day {} {day}", node_id(*node)), format!("{sums:?}"));
        }
    }
    for (node, quarters) in &world.above {
        for (quarter, sums) in quarters {
            let key = format!("above {} {}", node_id(*node), quarter.0);
            said.insert(key, format!("{sums:?}"));
        }
    }
}

/// Columns that say how a row came about: which record told it first, when it was written, how many versions it took.
const PROVENANCE: [&str; 11] = [
    "recorded_at",
    "position",
    "received_at",
    "source",
    "published_at",
    "computed_at",
    "version",
    "reason",
    "status",
    "at",
    "resolved_at",
];

/// Every row of a table, as text, sorted.
pub(crate) fn lines(store: &MemoryStore, table: &'static TableSchema) -> Vec<String> {
    let mut rows = Vec::new();
    for batch in store.batches(table) {
        let names: Vec<String> = batch
            .schema()
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect();
        for row in 0..batch.num_rows() {
            let cells = names
                .iter()
                .map(|name| format!("{name}={}", cell(&batch, row, name)));
            rows.push(cells.collect::<Vec<_>>().join(" "));
        }
    }
    rows.sort_unstable();
    rows
}

/// Key and newest row of every key of a table, without provenance; withdrawn balances are none, nor are exceptions that
/// are resolved and days that nobody owes any more.
pub(crate) fn current_rows(store: &MemoryStore, table: &'static TableSchema) -> BTreeMap<String, String> {
    let mut newest: BTreeMap<String, (Vec<i64>, String)> = BTreeMap::new();
    for batch in store.batches(table) {
        for row in 0..batch.num_rows() {
            let cell = |name: &str| array_value_to_string(batch.column_by_name(name).unwrap(), row).unwrap();
            let key: Vec<String> = table.key.iter().map(|name| cell(name)).collect();
            let rank: Vec<i64> = table
                .newest_by
                .iter()
                .map(|name| batch.column_by_name(name).unwrap())
                .map(|column| arrow::compute::cast(column, &arrow::datatypes::DataType::Int64).unwrap())
                .map(|column| {
                    let column =
                        arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(&column).clone();
                    if arrow::array::Array::is_valid(&column, row) {
                        column.value(row)
                    } else {
                        i64::MIN
                    }
                })
                .collect();
            let is_key = |name: &String| table.key.contains(&name.as_str());
            let is_outage = table.name == table::OUTAGES.name;
            // The status of an action is what a person says.
            let is_action = table.name == table::FEEDER_ACTIONS.name;
            let is_said = |name: &String| match name.as_str() {
                "status" => is_outage || is_action || !PROVENANCE.contains(&"status"),
                // Of an event it is the meter's own; of an outage the number of the row.
                "sequence" => !is_outage,
                other => !PROVENANCE.contains(&other),
            };
            let schema = batch.schema();
            let values: Vec<String> = schema
                .fields()
                .iter()
                .map(|field| field.name())
                .filter(|name| is_key(name) || is_said(name))
                .map(|name| format!("{name}={}", cell(name)))
                .collect();
            let says = |column: &str, word: &str| table.column(column).is_some() && cell(column) == word;
            let withdrawn = !is_action && says("status", "withdrawn")
                || says("excluded_because", "withdrawn")
                || is_outage && says("status", "CANCELLED")
                // An estimate was made in between, and withdrawn.
                || table.name == table::INTERVAL_READS.name && says("quality", "missing")
                // A month without any interruption has a row only where one was taken back: it says what no row says.
                || says("customer_interruptions", "0") && says("momentary", "0")
                || table.name == table::VEE_EXCEPTIONS.name && !says("resolved_at", "")
                || table.name == table::READ_COMPLETENESS.name && says("expected", "0")
                || table.name == table::BILLING_ADJUSTMENTS.name && says("actual_import_wh", "")
                // Days and bills of the month turned out to be another feeder's.
                || says("days", "0") && says("sold_kwh", "")
                || says("feeders", "0");
            let text = if withdrawn {
                String::new()
            } else {
                values.join(" ")
            };
            let entry = newest
                .entry(key.join("/"))
                .or_insert((rank.clone(), text.clone()));
            if rank > entry.0 {
                *entry = (rank, text);
            }
        }
    }
    newest
        .into_iter()
        .map(|(key, (_, text))| (key, text))
        .filter(|(_, text)| !text.is_empty())
        .collect()
}

/// The tables whose current rows order must not change. Quarantine rows are named by records, which splitting changes.
pub(super) static COMPARED: [&TableSchema; 26] = [
    &table::INTERVAL_READS,
    &table::REGISTER_READS,
    &table::METER_EVENTS,
    &table::VEE_EXCEPTIONS,
    &table::DT_BALANCE,
    &table::FEEDER_BALANCE,
    &table::NODE_BALANCE_DAILY,
    &table::READ_COMPLETENESS,
    &table::BILLING,
    &table::BILLING_ADJUSTMENTS,
    &table::DISCOM_ACCOUNTS,
    &table::FEEDER_REVENUE_MONTHLY,
    &table::ENERGY_ACCOUNTING_MONTHLY,
    &table::FEEDER_MANAGERS,
    &table::FEEDER_ACTIONS,
    &table::SERVICE_REQUESTS,
    &table::CLAIMS,
    &table::NODES,
    &table::METERS,
    &table::CONNECTIONS,
    &table::PLANNED_OUTAGES,
    &table::SUPPLY_HOURS,
    &table::OUTAGE_CAUSES,
    &table::OUTAGES,
    &table::INTERRUPTIONS,
    &table::RELIABILITY_MONTHLY,
];

pub(crate) fn assert_same(
    what: &str,
    a: &BTreeMap<String, String>,
    b: &BTreeMap<String, String>,
) -> Result<(), TestCaseError> {
    for key in a.keys().chain(b.keys()) {
        prop_assert_eq!(a.get(key), b.get(key), "{}: {}", what, key);
    }
    Ok(())
}

fn rows_where(
    store: &MemoryStore,
    table: &'static TableSchema,
    wanted: impl Fn(&RecordBatch, usize) -> bool,
) -> u64 {
    let of_batch = |batch: &RecordBatch| (0..batch.num_rows()).filter(|row| wanted(batch, *row)).count();
    let rows: usize = store.batches(table).iter().map(of_batch).sum();
    u64::try_from(rows).unwrap()
}

pub(crate) fn cell(batch: &RecordBatch, row: usize, name: &str) -> String {
    array_value_to_string(batch.column_by_name(name).unwrap(), row).unwrap()
}

/// CONS-1: counts reconcile among themselves and with the rows of the tables.
pub(super) fn assert_conserved(world: &World, store: &MemoryStore) -> Result<(), TestCaseError> {
    let counts = world.counts;
    prop_assert_eq!(
        (
            counts.reads_unaccounted(),
            counts.registers_unaccounted(),
            counts.events_unaccounted()
        ),
        (0, 0, 0)
    );
    let superseded = |batch: &RecordBatch, row: usize| cell(batch, row, "version") == "0";
    let is_said = |batch: &RecordBatch, row: usize| {
        ["actual", "edited"].contains(&cell(batch, row, "quality").as_str())
    };
    prop_assert_eq!(
        rows_where(store, &table::INTERVAL_READS, |b, r| is_said(b, r)
            && !superseded(b, r)),
        counts.reads_accepted
    );
    prop_assert_eq!(
        rows_where(store, &table::INTERVAL_READS, superseded),
        counts.reads_superseded
    );
    prop_assert_eq!(
        rows_where(store, &table::REGISTER_READS, |b, r| !superseded(b, r)),
        counts.registers_accepted
    );
    prop_assert_eq!(
        rows_where(store, &table::REGISTER_READS, superseded),
        counts.registers_superseded
    );
    prop_assert_eq!(
        rows_where(store, &table::METER_EVENTS, |_, _| true),
        counts.events_accepted
    );
    Ok(())
}

/// No key has the same version twice: nothing was written again.
pub(super) fn assert_written_once(store: &MemoryStore) -> Result<(), TestCaseError> {
    for table in COMPARED.into_iter().chain([&table::QUARANTINE]) {
        let mut seen = std::collections::BTreeSet::new();
        for batch in store.batches(table) {
            for row in 0..batch.num_rows() {
                let names = table.key.iter().chain(table.newest_by);
                let mut id: Vec<String> = names.map(|name| cell(&batch, row, name)).collect();
                if table.versioned && cell(&batch, row, "version") == "0" {
                    // Superseded rows of one key are told apart by what they say.
                    let columns = batch.schema();
                    id.extend(
                        columns
                            .fields()
                            .iter()
                            .map(|field| cell(&batch, row, field.name())),
                    );
                }
                prop_assert!(seen.insert(id.clone()), "{} has {:?} twice", table.name, id);
            }
        }
    }
    Ok(())
}

/// BAL-1: what stands for a node is the sum of what stands for its feeders, by interval and by day.
pub(super) fn assert_children_sum_up(world: &World) -> Result<(), TestCaseError> {
    let Some(discom) = world.network.find_node("D") else {
        return Ok(());
    };
    let mut by_quarter: BTreeMap<Quarter, Sums> = BTreeMap::new();
    let mut by_day: BTreeMap<Day, Sums> = BTreeMap::new();
    for intervals in world.intervals.values() {
        for (quarter, interval) in intervals
            .iter()
            .filter(|(_, interval)| interval.ancestors.contains(&discom))
        {
            let feeder = &interval.feeder;
            if let Some(total) = feeder.total_loss_wh {
                prop_assert_eq!(total, feeder.ht_loss_wh.unwrap() + feeder.lt_loss_wh);
            }
            let lt: i64 = interval.dts.iter().filter_map(|dt| dt.loss_wh).sum();
            prop_assert_eq!(lt, feeder.lt_loss_wh);
            by_quarter
                .entry(*quarter)
                .or_default()
                .plus(&Sums::of_feeder(feeder));
            by_day
                .entry(world.day_of(*quarter))
                .or_default()
                .plus(&Sums::of_feeder(feeder));
        }
    }
    prop_assert_eq!(
        &by_quarter,
        &world.above.get(&discom).cloned().unwrap_or_default()
    );
    let days = world.days.get(&discom).cloned().unwrap_or_default();
    prop_assert!(days.iter().eq(&by_day));
    Ok(())
}

/// Energy accounting: of the discom the sum of its feeders', in energy and in money, each month.
pub(super) fn assert_accounting_sums_up(store: &MemoryStore) -> Result<(), TestCaseError> {
    let columns = &table::ENERGY_ACCOUNTING_MONTHLY.columns;
    let adds_up =
        |name: &str| name.ends_with("_kwh") || name.ends_with("_inr") || name.starts_with("feeders");
    let added: Vec<&str> = columns
        .iter()
        .map(|column| column.name)
        .filter(|name| adds_up(name))
        .collect();
    let mut sums: BTreeMap<(String, String), f64> = BTreeMap::new();
    let mut of_discom = BTreeMap::new();
    for text in current_rows(store, &table::ENERGY_ACCOUNTING_MONTHLY).values() {
        let cells: BTreeMap<&str, &str> = text.split(' ').filter_map(|cell| cell.split_once('=')).collect();
        for name in &added {
            // Null where nothing is known: nothing to add. Thousandths and hundredths of so few add up exactly enough.
            let amount: f64 = cells[name].parse().unwrap_or(0.0);
            let key = (cells["month"].to_owned(), (*name).to_owned());
            match cells["kind"] {
                "feeder" => *sums.entry(key).or_default() += amount,
                "discom" => {
                    of_discom.insert(key, amount);
                }
                _ => {}
            }
        }
    }
    for (key, amount) in of_discom {
        let sum = sums.get(&key).copied().unwrap_or(0.0);
        prop_assert!(
            (sum - amount).abs() < 1e-6,
            "{:?}: {} of its feeders, {} of the discom",
            key,
            sum,
            amount
        );
    }
    Ok(())
}

/// Reads by arrival: of the discom the sum of its feeders', each day.
pub(super) fn assert_tallies_sum_up(world: &World) -> Result<(), TestCaseError> {
    let Some(discom) = world.network.find_node("D") else {
        return Ok(());
    };
    let is_feeder = |node: NodeIx| {
        let placed = world.network.node(node).unwrap();
        placed.kind() == Some(NodeKind::Feeder) && placed.history.newest().is_some()
    };
    let mut sums: BTreeMap<Day, crate::world::ReadTally> = BTreeMap::new();
    let mut of_discom = BTreeMap::new();
    for (node, day, tally) in world.tallies() {
        prop_assert!(tally.missing() >= 0 && tally.by_8h <= tally.by_12h && tally.by_12h <= tally.by_24h);
        if node == discom {
            of_discom.insert(day, tally);
        } else if is_feeder(node) {
            sums.entry(day).or_default().plus(&tally);
        }
    }
    prop_assert_eq!(sums, of_discom);
    Ok(())
}

/// What stands is what is computed of everything at once: balances of which only a part was computed anew lost nothing.
pub(super) fn assert_as_computed_at_once(world: &World) -> Result<(), TestCaseError> {
    let mut members = MemberReads::default();
    for (feeder, intervals) in &world.intervals {
        for quarter in intervals.keys() {
            let roster = Arc::new(world.network.roster(*feeder, quarter.begin()));
            members.gather(&world.state, &world.settings.zone, &roster, *quarter);
        }
    }
    let computed = block_on(sql().run(members)).unwrap();
    let standing: usize = world.intervals.values().map(BTreeMap::len).sum();
    prop_assert_eq!(computed.len(), standing);
    for (feeder, quarter, interval) in computed {
        prop_assert_eq!(&interval, world.intervals[&feeder][&quarter].as_ref());
    }
    Ok(())
}
