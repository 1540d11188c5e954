//! Tests of the outline: size, proportions, hierarchy.

use std::collections::HashMap;

use gridtally_schemas::UtcMicros;

use super::*;
use crate::Imperfections;

fn fleet(consumers: u64, per_feeder: u64) -> Fleet {
    let start = UtcMicros::parse("2026-04-01T00:00:00+05:30").unwrap();
    Fleet::new(FleetConfig {
        consumers_per_feeder: per_feeder,
        imperfections: Imperfections::usual(),
        ..FleetConfig::new(7, consumers, start)
    })
    .unwrap()
}

#[test]
fn a_fleet_has_exactly_the_consumers_asked_for() {
    for (consumers, per_feeder) in [
        (20, 1_000),
        (21, 20),
        (1_999, 60),
        (12_345, 1_000),
        (100_003, 997),
    ] {
        let fleet = fleet(consumers, per_feeder);
        let sum: u64 = fleet.feeders().map(|feeder| count(feeder.consumer_count())).sum();
        assert_eq!(sum, consumers);
    }
}

#[test]
fn tens_of_millions_are_counted_without_being_built() {
    let fleet = fleet(30_000_000, 1_000);
    assert_eq!(fleet.feeder_count(), 30_000);
    let sum: u64 = (0..30_000).map(|number| fleet.consumers_of(number)).sum();
    assert_eq!(sum, 30_000_000);
    assert!(
        fleet
            .feeder(29_999)
            .is_some_and(|feeder| feeder.consumer_count() > 500)
    );
    assert!(fleet.feeder(30_000).is_none());
}

#[test]
fn proportions_are_indian() {
    let fleet = fleet(100_000, 1_000);
    let (mut dts, mut lt, mut rural) = (0, 0, 0);
    for feeder in fleet.feeders() {
        assert!(
            (20..=50).contains(&feeder.dt_count()),
            "{} DTs",
            feeder.dt_count()
        );
        dts += feeder.dt_count();
        lt += feeder.dts.iter().map(|dt| dt.consumers.len()).sum::<usize>();
        rural += usize::from(feeder.kind.is_rural());
        for dt in &feeder.dts {
            assert!(
                (18..=42).contains(&dt.consumers.len()),
                "{} consumers",
                dt.consumers.len()
            );
        }
    }
    assert!((20..=40).contains(&(lt / dts)));
    assert_eq!(rural, 50);
}

#[test]
fn parents_stand_before_their_children_and_at_the_level_above() {
    let fleet = fleet(20_000, 100);
    let mut kinds: HashMap<String, NodeKind> = HashMap::new();
    for row in fleet.nodes() {
        match &row.parent_id {
            None => assert_eq!(row.kind, NodeKind::Discom),
            Some(parent) => {
                let above = kinds.get(parent.as_str()).expect("the parent stands before");
                assert!(*above < row.kind, "{above} above {}", row.kind);
            }
        }
        assert!(!row.name.contains([',', '"']));
        assert!(row.valid_from < fleet.config().start);
        assert!(
            kinds.insert(row.node_id.to_string(), row.kind).is_none(),
            "{} twice",
            row.node_id
        );
    }
    for kind in NodeKind::ALL {
        assert!(kinds.values().any(|found| found == kind), "no {kind}");
    }
}

#[test]
fn substations_stand_apart() {
    let fleet = fleet(20, 20);
    let places: std::collections::HashSet<(i64, i64)> = (0..200)
        .map(|number| fleet.place_of_substation(number))
        .map(|(lat, lon)| (lat / 20_000, lon / 20_000))
        .collect();
    assert_eq!(places.len(), 200);
    assert!(fleet.place_of_substation(0).0.abs_diff(18_652_000) < 10_000);
}

#[test]
fn sizes_out_of_bounds_are_refused() {
    let config = FleetConfig::demo();
    let refused = |config: FleetConfig| Fleet::new(config).unwrap_err().to_string();
    assert_eq!(
        refused(FleetConfig {
            consumers: 19,
            ..config.clone()
        }),
        "fleet of 19 consumers: 20 to 400000000 are possible"
    );
    assert_eq!(
        refused(FleetConfig {
            consumers_per_feeder: 5_000,
            ..config.clone()
        }),
        "5000 consumers per feeder: 20 to 4000 are possible"
    );
    assert_eq!(
        refused(FleetConfig {
            consumers: 50_000_000,
            consumers_per_feeder: 20,
            ..config.clone()
        }),
        "fleet of 2500000 feeders: at most 999999 are possible"
    );
    assert_eq!(
        refused(FleetConfig {
            start: config.start.plus(1),
            ..config
        }),
        "fleet start 2026-03-31T18:30:00.000001+00:00 is not on a half hour"
    );
}
