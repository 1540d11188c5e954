//! Tests of one feeder: slots, rows, proportions.

use std::collections::{HashMap, HashSet};

use gridtally_schemas::{UtcMicros, network::NodeKind};

use super::*;
use crate::FleetConfig;

fn fleet(seed: u64, consumers: u64) -> Fleet {
    let start = UtcMicros::parse("2026-04-01T00:00:00+05:30").unwrap();
    Fleet::new(FleetConfig::new(seed, consumers, start)).unwrap()
}

#[test]
fn a_meters_id_names_its_feeder_and_slot() {
    let meter = MeterRef {
        feeder: 12,
        slot: 345,
    };
    assert_eq!(meter.id().unwrap().as_str(), "MH0000120345");
    assert_eq!(MeterRef::parse("MH0000120345"), Some(meter));
    assert_eq!(MeterRef::parse("XX0000120345"), None);
    assert_eq!(MeterRef::parse("MH12"), None);
}

#[test]
fn equal_seeds_give_equal_networks_and_others_do_not() {
    let rows = |fleet: &Fleet| -> Vec<ConnectionRow> { fleet.connections().collect() };
    let one = rows(&fleet(1, 3_000));
    assert_eq!(one, rows(&fleet(1, 3_000)));
    assert_ne!(one, rows(&fleet(2, 3_000)));
}

#[test]
fn every_reference_resolves() {
    let fleet = fleet(3, 10_000);
    let nodes: HashMap<String, NodeKind> = fleet
        .nodes()
        .map(|row| (row.node_id.to_string(), row.kind))
        .collect();
    let meters: HashMap<String, MeterRow> = fleet
        .meters()
        .map(|row| (row.meter_id.to_string(), row))
        .collect();
    let mut connected = HashSet::new();
    for row in fleet.connections() {
        let kind = nodes[row.node_id.as_str()];
        assert_eq!(
            kind,
            if row.supply == Supply::Ht {
                NodeKind::Feeder
            } else {
                NodeKind::Dt
            }
        );
        assert_eq!(row.meter_id.is_none(), row.metering == Metering::Unmetered);
        assert_eq!(
            row.assessed_kwh_month.is_some(),
            row.metering == Metering::Unmetered
        );
        if let Some(meter) = &row.meter_id {
            let meter = &meters[meter.as_str()];
            assert!(matches!(meter.role, MeterRole::Consumer | MeterRole::Generation));
            assert!(connected.insert(meter.meter_id.clone()), "one connection a meter");
        }
    }
    for meter in meters.values() {
        match meter.role {
            MeterRole::Consumer | MeterRole::Generation => assert!(connected.contains(&meter.meter_id)),
            MeterRole::Dt => assert_eq!(nodes[meter.node_id.as_ref().unwrap().as_str()], NodeKind::Dt),
            MeterRole::Feeder | MeterRole::Boundary => {
                assert_eq!(nodes[meter.node_id.as_ref().unwrap().as_str()], NodeKind::Feeder);
            }
        }
        assert_eq!(meter.boundary_to.is_some(), meter.role == MeterRole::Boundary);
    }
}

#[test]
fn a_large_fleet_has_everything_that_the_domain_names() {
    let fleet = fleet(4, 60_000);
    let connections: Vec<ConnectionRow> = fleet.connections().collect();
    let meters: Vec<MeterRow> = fleet.meters().collect();
    let share = |which: &dyn Fn(&&ConnectionRow) -> bool| connections.iter().filter(which).count();
    for prosumer in Prosumer::ALL {
        assert!(share(&|row| row.prosumer == *prosumer) > 20, "{prosumer}");
    }
    for metering in Metering::ALL {
        assert!(share(&|row| row.metering == *metering) > 500, "{metering}");
    }
    assert!(share(&|row| row.supply == Supply::Ht) > 100);
    assert!(share(&|row| row.category == "LT-agriculture" && row.metering == Metering::Unmetered) > 2_000);
    for role in MeterRole::ALL {
        assert!(meters.iter().any(|meter| meter.role == *role), "{role}");
    }
    assert!(
        meters
            .iter()
            .any(|meter| meter.role == MeterRole::Consumer && meter.multiplier != Multiplier::ONE)
    );
    let thirty = meters
        .iter()
        .filter(|meter| meter.interval_minutes == IntervalMinutes::Thirty)
        .count();
    assert!(
        thirty * 10 > meters.len() && thirty * 3 < meters.len(),
        "{thirty} of {}",
        meters.len()
    );
    let thefts: usize = fleet.feeders().map(|feeder| feeder.thefts().len()).sum();
    let dts: usize = fleet.feeders().map(|feeder| feeder.dt_count()).sum();
    assert!(
        thefts * 100 > dts * 6 && thefts * 100 < dts * 18,
        "{thefts} thefts at {dts} DTs"
    );
    let metered = meters.iter().filter(|meter| meter.role == MeterRole::Dt).count();
    assert!(
        metered < dts && metered * 100 > dts * 92,
        "{metered} of {dts} DTs have a meter"
    );
}

#[test]
fn both_sides_of_a_tie_know_its_meter() {
    let fleet = fleet(5, 40_000);
    let tied: Vec<Feeder> = fleet.feeders().filter(|feeder| feeder.tie.is_some()).collect();
    assert!(tied.len() >= 4 && tied.len().is_multiple_of(2));
    for pair in tied.chunks(2) {
        let [one, other] = pair else { panic!("pairs") };
        let meter = one.boundary_meter().unwrap();
        assert_eq!(meter.role, MeterRole::Boundary);
        assert_eq!(Some(meter), other.boundary_meter());
        assert_eq!(u64::from(meter.meter.feeder), one.number());
    }
}
