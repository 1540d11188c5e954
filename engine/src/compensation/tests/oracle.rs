//! `tests/data/compensation/compensation.json`: hours without supply of one consumer, and what is owed.

use std::collections::BTreeMap;

use gridtally_schemas::network::{AreaClass, Supply};

use super::super::{
    evidence::{Connection, SupplyLoss},
    rig::{book, loss, owed, preset},
};

const ORACLE: &str = include_str!("../../../../tests/data/compensation/compensation.json");

/// `IN-MH-MERC-2021 urban overhead_line LT`, or a preset alone.
fn case(words: &str) -> (&str, Option<(AreaClass, String, Supply)>) {
    let mut parts = words.split(' ');
    let name = parts.next().unwrap();
    let detail = parts.next().map(|area| {
        let fault = parts.next().unwrap().to_owned();
        (
            area.parse().unwrap(),
            fault,
            parts.next().unwrap().parse().unwrap(),
        )
    });
    (name, detail)
}

#[test]
fn the_oracle_comes_out() {
    let oracle: BTreeMap<String, serde_json::Value> = serde_json::from_str(ORACLE).unwrap();
    let mut points = 0;
    for (words, pairs) in oracle.iter().filter(|(words, _)| *words != "about") {
        let (name, detail) = case(words);
        let book = book([preset(name)]);
        for pair in pairs.as_array().unwrap() {
            let (hours, inr) = (pair[0].as_f64().unwrap(), pair[1].as_i64().unwrap());
            let minutes: i64 = format!("{:.0}", hours * 60.0).parse().unwrap();
            let mut event = loss("O1", "2026-04-01T10:00", minutes);
            if let Some((area, fault, supply)) = &detail {
                event = SupplyLoss {
                    fault_type: Some(fault.clone()),
                    connection: Connection {
                        supply: *supply,
                        area_class: Some(*area),
                    },
                    ..event
                };
            }
            assert_eq!(owed(&book, event), inr * 100, "{words}: {hours} h");
            points += 1;
        }
    }
    assert_eq!(points, 15, "every point of the oracle was worked");
}
