//! A utility of any number of consumers at Indian proportions, for benches of the engine.
#![allow(dead_code, reason = "each bench uses its own part of this")]

use gridtally_schemas::{
    ConsumerId, IntervalMinutes, IntervalRead, MeterId, Multiplier, NodeId, Publish, UtcMicros,
    network::{
        ConnectionRow, MasterRows, MeterRole, MeterRow, Metering, NodeKind, NodeRow, Prosumer, Supply,
    },
    record,
};

/// DTs on a feeder.
pub const DTS: usize = 25;
/// Consumers on a DT.
pub const CONSUMERS: usize = 40;
/// Meters on a feeder: its own, its DTs' and its consumers'.
pub const METERS: usize = 1 + DTS + DTS * CONSUMERS;
/// Midnight of 2026-04-01 in India.
pub const MIDNIGHT: UtcMicros = UtcMicros(1_774_981_800_000_000);
/// 15 minutes, µs.
pub const QUARTER: i64 = 15 * 60 * 1_000_000;
/// Since when everything stands.
const LONG_AGO: UtcMicros = UtcMicros(1_577_836_800_000_000);
/// Rows of one master record.
const ROWS_OF_RECORD: usize = 5_000;

/// The end of the `n`-th quarter hour of 2026-04-01, or of a day after.
pub fn quarter_end(n: i64) -> UtcMicros {
    MIDNIGHT.plus(n * QUARTER)
}

/// The id of a meter: of feeder `at / METERS`; 0 is the feeder's own, then its DTs', then its consumers'.
pub fn meter_id(at: usize) -> String {
    format!("MH{:08}", 10_000_000 + at)
}

/// Wh of a meter in an interval: consumers some hundred, DTs and feeders their sum and a loss.
pub fn import_wh(at: usize, quarter: i64) -> i64 {
    let of = |at: usize| 100 + (at as i64 * 7 + quarter * 13) % 300;
    match at % METERS {
        0 => of(at) * 1_100,
        1..=DTS => of(at) * 42,
        _ => of(at),
    }
}

fn node(id: &str, kind: NodeKind, parent: Option<String>) -> NodeRow {
    NodeRow {
        node_id: NodeId::parse(id).unwrap(),
        kind,
        parent_id: parent.map(|id| NodeId::parse(&id).unwrap()),
        name: id.to_owned(),
        area_class: None,
        lat: None,
        lon: None,
        capacity_kva: None,
        allowable_loss_pct: None,
        technical_loss_pct: None,
        valid_from: LONG_AGO,
        valid_to: None,
    }
}

fn meter(at: usize, role: MeterRole, node: Option<String>) -> MeterRow {
    MeterRow {
        meter_id: MeterId::parse(&meter_id(at)).unwrap(),
        role,
        node_id: node.map(|id| NodeId::parse(&id).unwrap()),
        boundary_to: None,
        interval_minutes: IntervalMinutes::Fifteen,
        multiplier: Multiplier::ONE,
        valid_from: LONG_AGO,
        valid_to: None,
    }
}

fn connection(at: usize, dt: &str) -> ConnectionRow {
    ConnectionRow {
        consumer_id: ConsumerId::parse(&format!("C{at}")).unwrap(),
        meter_id: Some(MeterId::parse(&meter_id(at)).unwrap()),
        node_id: NodeId::parse(dt).unwrap(),
        category: "LT-domestic".to_owned(),
        supply: Supply::Lt,
        phases: 1,
        sanctioned_load_kw: Some(4.0),
        metering: Metering::Prepaid,
        prosumer: Prosumer::None,
        assessed_kwh_month: None,
        valid_from: LONG_AGO,
        valid_to: None,
    }
}

/// Master data of `feeders` feeders, as log records.
pub fn master_records(feeders: usize) -> Vec<Vec<u8>> {
    let mut nodes = vec![node("D", NodeKind::Discom, None)];
    let (mut meters, mut connections) = (Vec::new(), Vec::new());
    for feeder in 0..feeders {
        let (division, name) = (format!("V{}", feeder / 50), format!("F{feeder}"));
        if feeder % 50 == 0 {
            nodes.push(node(&division, NodeKind::Division, Some("D".to_owned())));
        }
        nodes.push(node(&name, NodeKind::Feeder, Some(division)));
        let first = feeder * METERS;
        meters.push(meter(first, MeterRole::Feeder, Some(name.clone())));
        for dt in 0..DTS {
            let dt_name = format!("{name}T{dt}");
            nodes.push(node(&dt_name, NodeKind::Dt, Some(name.clone())));
            meters.push(meter(first + 1 + dt, MeterRole::Dt, Some(dt_name.clone())));
            for consumer in 0..CONSUMERS {
                let at = first + 1 + DTS + dt * CONSUMERS + consumer;
                meters.push(meter(at, MeterRole::Consumer, None));
                connections.push(connection(at, &dt_name));
            }
        }
    }
    let rows = nodes
        .chunks(ROWS_OF_RECORD)
        .map(|rows| MasterRows::Nodes(rows.to_vec()))
        .chain(
            meters
                .chunks(ROWS_OF_RECORD)
                .map(|rows| MasterRows::Meters(rows.to_vec())),
        )
        .chain(
            connections
                .chunks(ROWS_OF_RECORD)
                .map(|rows| MasterRows::Connections(rows.to_vec())),
        );
    rows.map(|rows| {
        let mut bytes = Vec::new();
        record::encode_master_rows(LONG_AGO, "file:bench.csv", &rows, &mut bytes).unwrap();
        bytes
    })
    .collect()
}

/// A gateway's publish of one read of each of `meters`, as a log record.
pub fn reads_record(received_at: UtcMicros, meters: std::ops::Range<usize>, quarter: i64) -> Vec<u8> {
    let mut publish = Publish::default();
    for at in meters {
        publish.begin_meter(&meter_id(at)).unwrap();
        publish.push_read(IntervalRead {
            voltage_v: Some(231.5),
            ..IntervalRead::new(quarter_end(quarter), Some(import_wh(at, quarter)))
        });
    }
    let mut bytes = Vec::new();
    record::encode_publish(received_at, "gateway:bench", &publish, &mut bytes);
    bytes
}

/// Resident memory of this process, bytes.
pub fn resident_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}
