//! Changes of the network: only the intervals whose picture changes are computed anew, and every roll-up follows the picture at its time.

use std::collections::BTreeSet;

use gridtally_ingest::log::Position;
use gridtally_schemas::{
    IntervalRead, Multiplier, Publish,
    network::{ConnectionRow, MasterRows, MeterRole, NodeKind},
};

use super::{NOW, two_feeders};
use crate::{
    balance::BalanceSql,
    network::NodeIx,
    rig::{
        MIDNIGHT, block_on, connection, master_record, meter, node, publish, publish_record, quarter_end,
        read, settle,
    },
    world::{Settings, Sums, World},
};

/// F1 with T1 (A, B) and T2 (C), F2 with T3 (E). Every meter reads all of the day: the DTs and feeders what is below them, and 10 Wh
/// and 100 Wh more.
fn told() -> World {
    let (master, meters) = two_feeders([870, 370, 510, 260, 270]);
    let mut world = World::new(Settings::default());
    for record in master {
        say(&mut world, &record);
    }
    for (id, wh) in meters {
        say_reads(&mut world, id, wh, 1..=96);
    }
    world.advance(NOW);
    settle(&mut world);
    world
}

fn say(world: &mut World, record: &[u8]) {
    let position = Position(world.applied().0 + 1);
    world.apply(position, record, &mut Publish::default()).unwrap();
}

fn say_reads(world: &mut World, id: &str, wh: i64, quarters: std::ops::RangeInclusive<i64>) {
    let reads: Vec<IntervalRead> = quarters.map(|n| read(quarter_end(n), wh)).collect();
    say(world, &publish_record(NOW, &publish(id, &reads)));
}

fn learn(world: &mut World, rows: &MasterRows) {
    say(world, &master_record(NOW, rows));
}

/// Computes what waits; gives the intervals that were, as feeder and quarter of the day.
fn recompute(world: &mut World) -> BTreeSet<(String, i64)> {
    let sql = BalanceSql::default();
    let mut done = BTreeSet::new();
    while let Some(members) = world.gather(1_000) {
        let computed = block_on(sql.run(members)).unwrap();
        for (feeder, quarter, _) in &computed {
            let id = world.network.node(*feeder).unwrap().id.to_string();
            let number = (quarter.end().0 - MIDNIGHT.0) / crate::rig::QUARTER;
            done.insert((id, number));
        }
        world.settle(computed);
    }
    settle(world);
    done
}

fn intervals(feeders: &[&str], quarters: std::ops::RangeInclusive<i64>) -> BTreeSet<(String, i64)> {
    let of_feeder = |id: &&str| {
        let id = (*id).to_owned();
        quarters.clone().map(move |n| (id.clone(), n))
    };
    feeders.iter().flat_map(of_feeder).collect()
}

fn index(world: &World, id: &str) -> NodeIx {
    world.network.find_node(id).unwrap()
}

fn day(world: &World, id: &str) -> Sums {
    let day = world.settings.zone.day_of(MIDNIGHT);
    world.node_day(index(world, id), day).copied().unwrap()
}

fn loss(world: &World, id: &str) -> i64 {
    day(world, id).total_loss_wh
}

#[test]
fn as_told_nothing_waits_and_the_losses_are_those_of_the_meters() {
    let mut world = told();
    assert_eq!(recompute(&mut world), BTreeSet::new());
    let losses = ["T1", "T2", "T3", "F1", "F2", "Z"].map(|id| loss(&world, id));
    assert_eq!(losses, [10, 10, 10, 120, 110, 230].map(|wh| wh * 96));
}

#[test]
fn a_consumer_who_moves_at_noon_counts_on_each_dt_for_its_half_of_the_day() {
    let mut world = told();
    let mut moved = connection("A", Some("A"), "T2");
    moved.valid_from = quarter_end(48);
    learn(&mut world, &MasterRows::Connections(vec![moved]));
    assert_eq!(recompute(&mut world), intervals(&["F1"], 49..=96));
    assert_eq!(loss(&world, "T1"), 96 * 10 + 48 * 200);
    assert_eq!(loss(&world, "T2"), 96 * 10 - 48 * 200);
    assert_eq!(loss(&world, "F1"), 96 * 120, "the feeder as a whole is as before");
}

#[test]
fn a_consumer_who_moves_to_another_feeder_is_computed_on_both_and_no_other() {
    let mut world = told();
    let mut moved = connection("A", Some("A"), "T3");
    moved.valid_from = quarter_end(90);
    learn(&mut world, &MasterRows::Connections(vec![moved]));
    assert_eq!(recompute(&mut world), intervals(&["F1", "F2"], 91..=96));
    assert_eq!(loss(&world, "F1"), 96 * 120 + 6 * 200);
    assert_eq!(loss(&world, "F2"), 96 * 110 - 6 * 200);
    assert_eq!(loss(&world, "Z"), 96 * 230);
}

#[test]
fn a_dt_that_moves_at_noon_rolls_up_by_the_picture_of_each_interval() {
    let mut world = told();
    let mut moved = node("T2", NodeKind::Dt, Some("F2"));
    moved.valid_from = quarter_end(48);
    learn(&mut world, &MasterRows::Nodes(vec![moved]));
    assert_eq!(recompute(&mut world), intervals(&["F1", "F2"], 49..=96));
    assert_eq!(
        loss(&world, "T2"),
        96 * 10,
        "its own balance is the same wherever it hangs"
    );
    // What the feeder meters said stays: F1 seems to lose what T2 took, and F2 to gain it.
    assert_eq!(loss(&world, "F1"), 96 * 120 + 48 * 250);
    assert_eq!(loss(&world, "F2"), 96 * 110 - 48 * 250);
    let coverage = |id: &str| day(&world, id).coverage.expected;
    assert_eq!(
        (coverage("F1"), coverage("F2")),
        (48 * 6 + 48 * 4, 48 * 3 + 48 * 5)
    );
}

#[test]
fn a_meter_that_is_replaced_counts_until_then_and_the_new_one_from_then_on() {
    let mut world = told();
    // The new meter speaks before anybody has said what it is.
    say_reads(&mut world, "B2", 280, 49..=96);
    assert_eq!(recompute(&mut world), BTreeSet::new(), "held");
    let old = ConnectionRow {
        valid_to: Some(quarter_end(48)),
        ..connection("B", Some("B"), "T1")
    };
    let new = ConnectionRow {
        valid_from: quarter_end(48),
        ..connection("B", Some("B2"), "T1")
    };
    learn(&mut world, &MasterRows::Connections(vec![old, new]));
    assert_eq!(recompute(&mut world), intervals(&["F1"], 49..=96));
    assert_eq!(
        day(&world, "T1").coverage.reported,
        48 * 3 + 48 * 2,
        "the new meter is awaited"
    );
    learn(
        &mut world,
        &MasterRows::Meters(vec![meter("B2", MeterRole::Consumer, None)]),
    );
    assert_eq!(recompute(&mut world), intervals(&["F1"], 49..=96));
    assert_eq!(loss(&world, "T1"), 48 * 10 + 48 * 30);
    assert_eq!(day(&world, "T1").coverage.reported, 96 * 3);
}

#[test]
fn a_multiplier_corrected_from_an_hour_of_the_past_on_changes_the_intervals_from_that_hour_on() {
    let mut world = told();
    let mut corrected = meter("MT1", MeterRole::Dt, Some("T1"));
    corrected.multiplier = Multiplier::from_thousandths(1_100).unwrap();
    corrected.valid_from = quarter_end(24);
    learn(&mut world, &MasterRows::Meters(vec![corrected]));
    assert_eq!(recompute(&mut world), intervals(&["F1"], 25..=96));
    assert_eq!(loss(&world, "T1"), 24 * 10 + 72 * 61);
}

#[test]
fn a_row_that_says_nothing_new_of_the_picture_computes_nothing() {
    let mut world = told();
    let mut renamed = node("T1", NodeKind::Dt, Some("F1"));
    "Bazaar".clone_into(&mut renamed.name);
    renamed.valid_from = quarter_end(10);
    learn(&mut world, &MasterRows::Nodes(vec![renamed]));
    assert_eq!(recompute(&mut world), BTreeSet::new());
    learn(
        &mut world,
        &MasterRows::Connections(vec![connection("A", Some("A"), "T1")]),
    );
    assert_eq!(recompute(&mut world), BTreeSet::new());
}
