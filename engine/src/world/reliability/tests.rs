//! Indices in the picture: figures worked by hand, at every level, published and read back.

use gridtally_schemas::{
    Day, PowerEvent, Publish, UtcMicros,
    network::{MasterRows, NodeKind, NodeRow},
    table,
};

use super::{major::first_of_year, *};
use crate::{
    rig::{Process, connection, master_record, node, publish_record},
    world::{
        Settings,
        outage::tests::{POWER_FAILED, POWER_RESTORED, Town, minute},
        tests::NOW,
    },
};

const APRIL: &str = "2026-04-01";
const MAY: &str = "2026-05-01";
const MINUTE: i64 = 60_000_000;
const DAY: i64 = 24 * 60 * MINUTE;

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

    /// All figures of a node in a month, by consumer and with every day.
    fn row_of(&self, node: &str, month: &str) -> Option<IndexRow> {
        let world = &self.process.world;
        let rows = world.indices(world.network.find_node(node)?, Day::parse(month).unwrap());
        let is_wanted = |row: &IndexRow| (row.basis, row.med) == (Basis::Consumer, MajorDays::Included);
        rows.into_iter().find(is_wanted)
    }

    /// Every figure of every node and month.
    fn all_indices(&self) -> Vec<String> {
        let world = &self.process.world;
        let mut all = Vec::new();
        for month in world.tallied_months() {
            for (at, node) in world.network.nodes() {
                let rows = world.indices(at, month);
                all.extend(rows.iter().map(|row| format!("{} {month} {row:?}", node.id)));
            }
        }
        all.sort();
        all
    }

    /// A DT is out at some time for so many minutes, told at once.
    fn out_at(&mut self, dt: &str, from: UtcMicros, minutes: i64) -> &mut Self {
        let to = from.plus(minutes * MINUTE);
        for (at, code) in [(from, POWER_FAILED), (to, POWER_RESTORED)] {
            for consumer in 0..4 {
                let mut said = Publish::default();
                said.begin_meter(&format!("M-{dt}-{consumer}")).unwrap();
                said.push_event(PowerEvent {
                    at,
                    code,
                    sequence: None,
                });
                self.log.push(publish_record(to.plus(MINUTE), &said));
            }
        }
        self
    }

    fn learns(&mut self, rows: &MasterRows) -> &mut Self {
        self.log.push(master_record(NOW, rows));
        self
    }

    /// The same process after a restart at a time.
    fn restart_at(&mut self, now: UtcMicros) -> &mut Self {
        self.process = Process::start(&self.store, self.settings.clone(), now);
        self.apply()
    }

    /// Publishes, starts anew and publishes again: nothing new.
    fn restarts_alike(&mut self, now: UtcMicros) {
        self.checkpoint();
        let before = (
            self.all_indices(),
            self.published(&table::RELIABILITY_MONTHLY, &["node_id"]).len(),
        );
        self.restart_at(now).checkpoint();
        let after = (
            self.all_indices(),
            self.published(&table::RELIABILITY_MONTHLY, &["node_id"]).len(),
        );
        assert_eq!(after, before);
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
fn the_threshold_between_momentary_and_sustained_is_configuration() {
    // T1 is out for four minutes, and all of F2 for six.
    let told = |minutes: i64| {
        let mut settings = Settings::default();
        settings.outage_rules.momentary_micros = minutes * MINUTE;
        let mut town = Town::with(settings);
        town.draws(1..=40).out("T1", 0, 4).out("T3", 30, 36).apply();
        let row = town.row_of("D", APRIL).unwrap();
        (row.customer_interruptions, row.customer_minutes, row.momentary)
    };
    assert_eq!(told(3), (8, 40.0, 0));
    assert_eq!(told(5), (4, 24.0, 4));
    assert_eq!(told(6), (0, 0.0, 8), "longer than the threshold, not as long");
}

#[test]
fn a_year_begins_in_january() {
    let day = |text| Day::parse(text).unwrap();
    for text in ["2026-01-01", "2026-04-30", "2026-12-31"] {
        assert_eq!(first_of_year(day(text)), day("2026-01-01"), "{text}");
    }
}

/// A new zone from a time on, and the feeder F1 in it.
fn another_zone(from: UtcMicros) -> MasterRows {
    let rows = [
        node("Z2", NodeKind::Zone, Some("D")),
        node("F1", NodeKind::Feeder, Some("Z2")),
    ];
    MasterRows::Nodes(
        rows.map(|row| NodeRow {
            valid_from: from,
            ..row
        })
        .into(),
    )
}

#[test]
fn a_feeder_that_moves_to_another_zone_leaves_past_months_as_they_were() {
    // In May, after the outages of April.
    let (moved, second) = (minute(35 * 24 * 60), minute(37 * 24 * 60));
    let now = NOW.plus(38 * DAY);
    let mut town = Town::new();
    town.draws(1..=40)
        .out("T1", 0, 60)
        .out("T3", 60, 90)
        .apply()
        .checkpoint();
    town.process.set_now(now);
    town.apply().checkpoint();
    let april =
        ["D", "Z", "F1", "F2", "T1", "T2", "T3"].map(|node| (node, town.row_of(node, APRIL).unwrap()));
    let published = |town: &Town| {
        let rows = town.published(&table::RELIABILITY_MONTHLY, &["node_id", "month"]);
        rows.into_iter().filter(|row| row.contains(APRIL)).count()
    };
    let before = published(&town);

    town.learns(&another_zone(moved))
        .out_at("T1", second, 60)
        .out_at("T3", second, 60)
        .apply()
        .checkpoint();
    for (node, row) in april {
        assert_eq!(town.row_of(node, APRIL), Some(row), "{node}");
    }
    assert_eq!(town.row_of("Z2", APRIL), None);
    assert_eq!(published(&town), before, "no month of before is restated");
    let sums = |node| {
        let row = town.row_of(node, MAY).unwrap();
        (row.consumers_served, row.customer_interruptions)
    };
    assert_eq!(
        [sums("D"), sums("Z"), sums("Z2"), sums("F1")],
        [(12, 8), (4, 4), (8, 4), (8, 4)]
    );

    // Whoever knew of the move from the start, or hears of it last, says the same.
    let all = town.all_indices();
    town.restarts_alike(now);
    for is_first in [true, false] {
        let mut other = Town::new();
        other.process.set_now(now);
        if is_first {
            other.learns(&another_zone(moved));
        }
        other
            .out_at("T3", second, 60)
            .out_at("T1", second, 60)
            .out("T3", 60, 90)
            .out("T1", 0, 60)
            .draws(1..=40)
            .apply();
        if !is_first {
            other.learns(&another_zone(moved)).apply();
        }
        assert_eq!(other.all_indices(), all, "{is_first}");
    }
}

#[test]
fn a_consumer_that_moves_within_a_month_is_one_consumer_of_all_above_both_places() {
    // T1 fails twice, then T1-0 moves to another DT, which fails once. Two flickers of T1-0 lie on both sides of the move.
    for (to, nodes) in [("T2", vec!["F1", "Z", "D"]), ("T3", vec!["Z", "D"])] {
        let mut moves = connection("T1-0", Some("M-T1-0"), to);
        moves.valid_from = minute(100);
        let mut town = Town::new();
        town.draws(1..=40)
            .out("T1", 0, 60)
            .out("T1", 70, 90)
            .learns(&MasterRows::Connections(vec![moves]));
        for from in [99, 101] {
            let at = minute(from);
            town.says("T1-0", at, POWER_FAILED)
                .says("T1-0", at.plus(MINUTE / 2), POWER_RESTORED);
        }
        town.out(to, 120, 180);
        town.says("T1-0", minute(120), POWER_FAILED)
            .says("T1-0", minute(180), POWER_RESTORED)
            .apply();
        for node in nodes {
            let row = town.row_of(node, APRIL).unwrap();
            let served: f64 = if node == "F1" { 8.0 } else { 12.0 };
            assert_eq!(row.customer_interruptions, 4 + 4 + 5, "{node}");
            assert_eq!(row.momentary, 2, "{node}");
            // Eight consumers were interrupted, not nine; one of them three times; its flickers are one event.
            assert_eq!(row.indices.caifi, Some(13.0 / 8.0), "{node}");
            assert_eq!(
                row.indices.ctaidi_minutes,
                Some((4.0 * 80.0 + 5.0 * 60.0) / 8.0),
                "{node}"
            );
            assert_eq!(row.indices.cemi, Some(1.0 / served), "{node}");
            assert_eq!(row.indices.maifi_e, Some(1.0 / served), "{node}");
        }
        // Each DT knows of its own part.
        let of_dt = |node| {
            let row = town.row_of(node, APRIL).unwrap();
            (
                row.consumers_served,
                row.customer_interruptions,
                row.indices.caifi,
            )
        };
        assert_eq!(of_dt("T1"), (3, 8, Some(2.0)), "{to}");
        assert_eq!(of_dt(to), (5, 5, Some(1.0)), "{to}");
        town.restarts_alike(NOW);
    }
}

#[test]
fn a_dt_that_is_hung_on_another_feeder_within_a_month_keeps_its_consumers() {
    let mut moves = node("T1", NodeKind::Dt, Some("F2"));
    moves.valid_from = minute(100);
    let mut town = Town::new();
    town.draws(1..=40)
        .out("T1", 0, 60)
        .learns(&MasterRows::Nodes(vec![moves]))
        .out("T1", 120, 180)
        .apply();
    for (node, interruptions, caifi) in [("T1", 8, 2.0), ("F1", 4, 1.0), ("F2", 4, 1.0), ("Z", 8, 2.0)] {
        let row = town.row_of(node, APRIL).unwrap();
        assert_eq!(row.customer_interruptions, interruptions, "{node}");
        assert_eq!(row.indices.caifi, Some(caifi), "{node}");
    }
    town.restarts_alike(NOW);
}

#[test]
fn late_evidence_of_a_year_before_restates_the_major_event_days_of_the_next() {
    // Two days of last year of a little over twenty minutes make a day of forty a major event day.
    let last_year = |day: i64| minute((day - 300) * 24 * 60);
    let mut town = Town::new();
    town.draws(1..=40)
        .out_at("T1", last_year(0), 60)
        .out_at("T1", last_year(1), 66)
        .out("T1", 0, 60)
        .out("T2", 0, 60)
        .apply()
        .checkpoint();
    let saidi = |town: &Town, med| town.indices("D", Basis::Consumer, med).2;
    assert_eq!(saidi(&town, MajorDays::Included), Some(40.0));
    assert_eq!(saidi(&town, MajorDays::Excluded), Some(0.0));

    // A third, told late, was so much worse that this one is none.
    town.out_at("T1", last_year(2), 600).apply().checkpoint();
    assert_eq!(saidi(&town, MajorDays::Excluded), Some(40.0));
    let columns = ["node_id", "month", "basis", "med", "version", "saidi_minutes"];
    let restated = format!("D {APRIL} consumer excluded 2 40.0");
    let rows = town.published(&table::RELIABILITY_MONTHLY, &columns);
    assert!(rows.contains(&restated), "{rows:?}");
    town.restarts_alike(NOW);

    // In another order it is the same.
    let mut other = Town::new();
    other
        .out_at("T1", last_year(2), 600)
        .out("T2", 0, 60)
        .out("T1", 0, 60)
        .out_at("T1", last_year(1), 66)
        .out_at("T1", last_year(0), 60)
        .draws(1..=40)
        .apply();
    assert_eq!(other.all_indices(), town.all_indices());
}
