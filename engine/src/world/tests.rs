//! The picture as a whole: what it says is a function of what was said, whatever the order, the repetition, the splitting into
//! records, and wherever the process was killed (ORD-1, CONS-1, TBL-1, BAL-1, BAL-2).

use gridtally_schemas::{
    UtcMicros,
    network::{MasterRows, MeterRole},
};

use crate::rig::{LONG_AGO, MIDNIGHT, QUARTER, connection, hierarchy, master_record, meter};

pub(crate) mod compared;
pub(crate) mod histories;
mod late;
mod order;
mod owed;
mod paging;
mod rules;
mod topology;

const HOUR: i64 = 4 * QUARTER;
/// Noon of 2026-04-02: the first day is closed, the second half gone.
pub(crate) const NOW: UtcMicros = UtcMicros(MIDNIGHT.0 + 36 * HOUR);

/// F1 with T1 (A, B) and T2 (C), F2 with T3 (E), each with a meter of its own: the master data, and every meter with what it reads
/// of an interval, Wh. `own`: what the meters of F1, F2, T1, T2 and T3 read.
fn two_feeders(own: [i64; 5]) -> (Vec<Vec<u8>>, Vec<(&'static str, i64)>) {
    let nodes = [
        ("MF1", MeterRole::Feeder, "F1"),
        ("MF2", MeterRole::Feeder, "F2"),
        ("MT1", MeterRole::Dt, "T1"),
        ("MT2", MeterRole::Dt, "T2"),
        ("MT3", MeterRole::Dt, "T3"),
    ];
    let consumers = [
        ("A", "T1", 200),
        ("B", "T1", 300),
        ("C", "T2", 250),
        ("E", "T3", 260),
    ];
    let of_nodes = nodes.iter().map(|(id, role, node)| meter(id, *role, Some(node)));
    let of_consumers = consumers
        .iter()
        .map(|(id, ..)| meter(id, MeterRole::Consumer, None));
    let connections = consumers
        .iter()
        .map(|(id, node, _)| connection(id, Some(id), node));
    let master = [
        MasterRows::Nodes(hierarchy()),
        MasterRows::Meters(of_nodes.chain(of_consumers).collect()),
        MasterRows::Connections(connections.collect()),
    ];
    let reads = nodes.iter().zip(own).map(|((id, ..), wh)| (*id, wh));
    let reads = reads.chain(consumers.map(|(id, _, wh)| (id, wh)));
    let records = master.iter().map(|rows| master_record(LONG_AGO, rows));
    (records.collect(), reads.collect())
}
