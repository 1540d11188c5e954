//! Indices in the picture: figures worked by hand, at every level, published and read back.

use gridtally_schemas::{Day, table};

use super::*;
use crate::world::outage::tests::{POWER_FAILED, POWER_RESTORED, Town, minute};

const APRIL: &str = "2026-04-01";

impl Town {
    /// The figures of a node in April: consumers, SAIFI, SAIDI in minutes, momentary.
    fn indices(&self, node: &str, basis: Basis, med: MajorDays) -> (u64, Option<f64>, Option<f64>, u64) {
        let world = &self.process.world;
        let node = world.network.find_node(node).unwrap();
        let rows = world.indices(node, Day::parse(APRIL).unwrap());
        let row = rows
            .iter()
            .find(|row| (row.basis, row.med) == (basis, med))
            .unwrap();
        let indices = row.indices;
        (
            row.consumers_served,
            indices.saifi,
            indices.saidi_minutes,
            row.momentary,
        )
    }

    fn out(&mut self, dt: &str, from: i64, to: i64) -> &mut Self {
        self.dt_says(dt, minute(from), POWER_FAILED)
            .dt_says(dt, minute(to), POWER_RESTORED)
    }
}

#[test]
fn indices_stand_at_every_level_and_by_feeder_only_what_the_feeder_did() {
    let mut town = Town::new();
    // Feeder F1 (T1 and T2, four consumers each) for an hour, T1 alone for half an hour, T3 of F2 for two minutes.
    town.draws(1..=40)
        .out("T1", 0, 60)
        .out("T2", 0, 60)
        .out("T1", 120, 150)
        .out("T3", 200, 202)
        .apply()
        .checkpoint();
    let consumer = |node| town.indices(node, Basis::Consumer, MajorDays::Included);
    assert_eq!(consumer("T1"), (4, Some(2.0), Some(90.0), 0));
    assert_eq!(consumer("T2"), (4, Some(1.0), Some(60.0), 0));
    assert_eq!(consumer("F1"), (8, Some(1.5), Some(75.0), 0));
    assert_eq!(consumer("F2"), (4, Some(0.0), Some(0.0), 4));
    for above in ["Z", "D"] {
        assert_eq!(consumer(above), (12, Some(1.0), Some(50.0), 4), "{above}");
    }
    // 8 consumers of F1 for 60 minutes; the half hour of T1 is below the feeder. F2 has one DT, whose failure is no feeder's.
    let feeder = |node| town.indices(node, Basis::Feeder, MajorDays::Included);
    assert_eq!(feeder("F1"), (8, Some(1.0), Some(60.0), 0));
    assert_eq!(feeder("D"), (12, Some(8.0 / 12.0), Some(40.0), 0));
    // With one day of interruptions nothing is known of major event days.
    assert_eq!(
        town.indices("D", Basis::Consumer, MajorDays::Excluded),
        consumer("D")
    );

    let rows = town.published(
        &table::RELIABILITY_MONTHLY,
        &["node_id", "basis", "med", "version", "saidi_minutes"],
    );
    assert!(
        rows.contains(&"D consumer included 1 50.0".to_owned()),
        "{rows:?}"
    );
    assert_eq!(
        rows.len(),
        7 * 4,
        "seven nodes, each by two bases, with and without major event days"
    );
    let before = rows.len();
    town.restart().checkpoint();
    assert_eq!(
        town.published(&table::RELIABILITY_MONTHLY, &["node_id"]).len(),
        before
    );
}

#[test]
fn a_month_without_interruption_is_one_of_zeros_where_somebody_was_heard() {
    let mut town = Town::new();
    // Only F1 is heard: of T3 on F2 nothing is known.
    for name in ["T1-0", "T2-0"] {
        let said = crate::rig::publish(&format!("M-{name}"), &[crate::rig::read(minute(0), 100)]);
        town.log
            .push(crate::rig::publish_record(crate::world::tests::NOW, &said));
    }
    town.apply().checkpoint();
    let consumer = |town: &Town, node| town.indices(node, Basis::Consumer, MajorDays::Included);
    for (node, consumers) in [("T1", 4), ("F1", 8), ("Z", 12), ("D", 12)] {
        assert_eq!(
            consumer(&town, node),
            (consumers, Some(0.0), Some(0.0), 0),
            "{node}"
        );
    }
    let of = |town: &Town, node| {
        let world = &town.process.world;
        world
            .indices(world.network.find_node(node).unwrap(), Day::parse(APRIL).unwrap())
            .len()
    };
    assert_eq!((of(&town, "F1"), of(&town, "F2"), of(&town, "T3")), (4, 0, 0));
    let rows = town.published(
        &table::RELIABILITY_MONTHLY,
        &["node_id", "basis", "med", "version", "asai"],
    );
    assert_eq!(rows.len(), 5 * 4, "{rows:?}");
    assert!(
        rows.contains(&"T2 consumer included 1 1.0".to_owned()),
        "{rows:?}"
    );
    town.restart().checkpoint();
    assert_eq!(
        town.published(&table::RELIABILITY_MONTHLY, &["node_id"]).len(),
        rows.len()
    );

    // What comes later is a version.
    town.out("T1", 0, 60).apply().checkpoint();
    assert_eq!(consumer(&town, "T1"), (4, Some(1.0), Some(60.0), 0));
    let rows = town.published(
        &table::RELIABILITY_MONTHLY,
        &["node_id", "basis", "version", "saidi_minutes"],
    );
    assert!(rows.contains(&"T1 consumer 2 60.0".to_owned()), "{rows:?}");
}

#[test]
fn late_evidence_restates_a_month() {
    let mut town = Town::new();
    town.draws(1..=40).out("T1", 0, 60).apply().checkpoint();
    let saidi = |town: &Town| town.indices("D", Basis::Consumer, MajorDays::Included).2;
    assert_eq!(saidi(&town), Some(20.0));
    // The cut-off of one consumer before the outage was told late.
    town.says("T1-0", minute(-5), 304).apply().checkpoint();
    assert_eq!(saidi(&town), Some(15.0));
    let rows = town.published(
        &table::RELIABILITY_MONTHLY,
        &["node_id", "basis", "med", "version", "reason"],
    );
    let restated = "D consumer included 2 interruptions or consumers changed".to_owned();
    assert!(rows.contains(&restated), "{rows:?}");
}

#[test]
fn a_year_begins_in_january() {
    let day = |text| Day::parse(text).unwrap();
    for text in ["2026-01-01", "2026-04-30", "2026-12-31"] {
        assert_eq!(first_of_year(day(text)), day("2026-01-01"), "{text}");
    }
}
