//! A small town with its meters, and short ways for them to say something.

use std::{fmt::Write as _, net::SocketAddr, path::Path};

use serde_json::{Value, json};

use super::{Product, publisher::publish_all};

/// DTs with their feeders; on each hang five consumers, `T1-0` with the meter `M-T1-0` and so on.
pub const DTS: [(&str, &str); 5] = [
    ("T1", "F1"),
    ("T2", "F1"),
    ("T3", "F1"),
    ("T4", "F2"),
    ("T5", "F2"),
];
pub const CONSUMERS: usize = 5;
pub const FAILED: i32 = 101;
pub const RESTORED: i32 = 102;
pub const CUT_OFF: i32 = 304;

pub fn master_data(folder: &Path) {
    let since = "2020-01-01T00:00:00+05:30";
    // Of all nodes it is known only of F1 where it is.
    let mut nodes = "node_id,kind,parent_id,lat,lon,valid_from\n".to_owned();
    let above = [
        ("D", "discom", ""),
        ("S", "substation", "D"),
        ("F1", "feeder", "S"),
        ("F2", "feeder", "S"),
    ];
    let dts = DTS.map(|(dt, feeder)| (dt, "dt", feeder));
    for (node, kind, parent) in above.into_iter().chain(dts) {
        let place = if node == "F1" { "19.07,72.87" } else { "," };
        writeln!(nodes, "{node},{kind},{parent},{place},{since}").unwrap();
    }
    let mut meters = "meter_id,role,interval_minutes,valid_from\n".to_owned();
    let mut connections =
        "consumer_id,meter_id,node_id,category,supply,phases,metering,valid_from\n".to_owned();
    for (dt, _) in DTS {
        for consumer in 0..CONSUMERS {
            writeln!(meters, "M-{dt}-{consumer},consumer,15,{since}").unwrap();
            writeln!(
                connections,
                "{dt}-{consumer},M-{dt}-{consumer},{dt},LT-domestic,LT,1,prepaid,{since}"
            )
            .unwrap();
        }
    }
    write(folder, nodes, meters, connections);
}

/// Says of all nodes of [`master_data`] that they are in town: a regulation may tell towns from the country.
pub fn is_urban(folder: &Path) {
    let file = folder.join("nodes.csv");
    let nodes = std::fs::read_to_string(&file).unwrap();
    let nodes = nodes
        .replace("lat,lon,", "lat,lon,area_class,")
        .replace(",2020", ",urban,2020");
    std::fs::write(file, nodes).unwrap();
}

/// Writes the files that [`import`] takes.
pub fn write(folder: &Path, nodes: String, meters: String, connections: String) {
    for (name, text) in [("nodes", nodes), ("meters", meters), ("connections", connections)] {
        std::fs::write(folder.join(format!("{name}.csv")), text).unwrap();
    }
}

/// A time of 1 April 2026 in India.
pub fn at(time: &str) -> String {
    format!("2026-04-01T{time}:00+05:30")
}

/// Who says something: a DT and its consumer's number.
pub type Who = (&'static str, usize);

pub fn all_of(dt: &'static str) -> impl Iterator<Item = Who> {
    (0..CONSUMERS).map(move |consumer| (dt, consumer))
}

/// Everybody.
pub fn all() -> impl Iterator<Item = Who> {
    DTS.into_iter().flat_map(|(dt, _)| all_of(dt))
}

/// Publishes an event of each of these meters, as its gateway would, and waits until it is durable.
pub fn say(broker: SocketAddr, who: impl Iterator<Item = Who>, time: &str, code: i32) {
    let messages = who.map(|(dt, consumer)| {
        let event = json!({ "code": code, "at": at(time) });
        let payload = json!({ "meters": [{ "meter_id": format!("M-{dt}-{consumer}"), "events": [event] }] });
        (
            "ami/v1/gateways/hes/events".to_owned(),
            payload.to_string().into_bytes(),
        )
    });
    publish_all(broker, "hes", messages.collect());
}

/// Publishes the reads of a meter for the quarter hours that end after `from` up to `to`, hours of the day.
pub fn draw(broker: SocketAddr, who: impl Iterator<Item = Who>, from: u32, to: u32) {
    let ends = (from * 4 + 1..=to * 4).map(|quarter| format!("{:02}:{:02}", quarter / 4, quarter % 4 * 15));
    let reads: Vec<Value> = ends
        .map(|time| json!({ "interval_end": at(&time), "import_wh": 120, "voltage_v": 231.0 }))
        .collect();
    let messages = who.map(|(dt, consumer)| {
        let payload = json!({ "meters": [{ "meter_id": format!("M-{dt}-{consumer}"), "reads": reads }] });
        (
            "ami/v1/gateways/hes/reads".to_owned(),
            payload.to_string().into_bytes(),
        )
    });
    publish_all(broker, "hes", messages.collect());
}

/// Imports the town's master data, which is in `folder`.
pub fn import(product: &Product, folder: &Path) {
    product.import_all(folder, &["nodes", "meters", "connections"]);
}
