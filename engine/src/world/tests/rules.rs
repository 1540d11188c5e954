//! Single rules of the picture, worked by hand.

use std::sync::Arc;

use gridtally_ingest::log::Position;
use gridtally_schemas::{
    IntervalRead, Publish, UtcMicros,
    network::{MasterRows, MeterRole, NodeKind},
    table::{self, TableSchema},
};

use super::{HOUR, NOW, compared::cell};
use crate::{
    balance::BalanceSql,
    network::NodeIx,
    rig::{
        LONG_AGO, MIDNIGHT, MemoryStore, Process, connection, hierarchy, master_record, meter, node, publish,
        publish_record, quarter_end, read, settle,
    },
    state::Quarter,
    world::{Settings, World, publish::Scope},
};

fn small_network() -> Vec<Vec<u8>> {
    let meters = vec![
        meter("MF1", MeterRole::Feeder, Some("F1")),
        meter("MT1", MeterRole::Dt, Some("T1")),
        meter("A", MeterRole::Consumer, None),
    ];
    vec![
        master_record(LONG_AGO, &MasterRows::Nodes(hierarchy())),
        master_record(LONG_AGO, &MasterRows::Meters(meters)),
        master_record(
            LONG_AGO,
            &MasterRows::Connections(vec![connection("CA", Some("A"), "T1")]),
        ),
    ]
}

fn world_of(records: &[Vec<u8>], now: UtcMicros) -> World {
    let mut world = World::new(Settings::default());
    let mut buffer = Publish::default();
    for (at, record) in records.iter().enumerate() {
        world
            .apply(Position(u64::try_from(at).unwrap() + 1), record, &mut buffer)
            .unwrap();
    }
    world.advance(now);
    settle(&mut world);
    world
}

#[test]
fn silence_on_a_day_with_reads_counts_against_coverage_and_a_silent_day_has_no_balance() {
    let mut records = small_network();
    records.push(publish_record(NOW, &publish("A", &[read(quarter_end(5), 100)])));
    let world = world_of(&records, NOW);
    let feeder = world.network.find_node("F1").unwrap();
    assert_eq!(
        world.intervals[&feeder].len(),
        96,
        "the whole first day, and nothing of the second"
    );
    let sums = world.days[&feeder].iter().next().unwrap().1;
    assert_eq!((sums.coverage.expected, sums.coverage.reported), (3 * 96, 1));
}

#[test]
fn what_an_unknown_meter_said_is_held_and_released_when_master_data_names_it() {
    let mut records = small_network();
    records.push(publish_record(
        NOW,
        &publish("NEW", &[read(quarter_end(1), 100), read(quarter_end(2), -1)]),
    ));
    let world = world_of(&records, NOW);
    assert_eq!((world.held(), world.counts.reads_quarantined), (1, 2));
    records.push(master_record(
        NOW,
        &MasterRows::Meters(vec![meter("NEW", MeterRole::Consumer, None)]),
    ));
    let world = world_of(&records, NOW);
    assert_eq!(
        (
            world.held(),
            world.counts.reads_released,
            world.counts.reads_accepted
        ),
        (0, 2, 1)
    );
    assert_eq!(
        (world.counts.reads_quarantined, world.counts.reads_unaccounted()),
        (3, 0)
    );
    let reasons: Vec<(&str, bool)> = world
        .outbox
        .quarantine
        .iter()
        .map(|row| (row.reason.as_str(), row.released_at.is_some()))
        .collect();
    assert_eq!(
        reasons,
        [
            ("unknown_meter", false),
            ("negative", false),
            ("unknown_meter", true)
        ]
    );
}

/// Cells of the newest row of `node` in a published table, by column.
fn published(store: &MemoryStore, table: &'static TableSchema, node: &str) -> impl Fn(&str) -> String {
    let newest = store
        .batches(table)
        .into_iter()
        .flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch.clone(), row)))
        .filter(|(batch, row)| cell(batch, *row, table.key[0]) == node)
        .max_by_key(|(batch, row)| cell(batch, *row, "version").parse::<i64>().unwrap());
    let (batch, row) = newest.unwrap();
    move |column| cell(&batch, row, column)
}

/// BAL-2. T1's consumer, of at most 1,000 Wh in a quarter hour, is silent in the one interval of the day: two of three meters report.
#[test]
fn a_loss_below_the_coverage_threshold_is_withheld_and_its_bound_coverage_and_status_are_given() {
    let store = Arc::new(MemoryStore::default());
    let mut records = small_network();
    for (id, wh) in [("MF1", 1_000), ("MT1", 950)] {
        records.push(publish_record(NOW, &publish(id, &[read(quarter_end(1), wh)])));
    }
    let publish_all = |records: &[Vec<u8>]| {
        let mut process = Process::start(&store, Settings::default(), quarter_end(2));
        process.apply(records, records.len());
        process.checkpoint(Scope::Everything).unwrap();
    };
    let rows = || {
        [
            (&table::DT_BALANCE, "T1", "loss_wh"),
            (&table::FEEDER_BALANCE, "F1", "total_loss_wh"),
            (&table::NODE_BALANCE_DAILY, "T1", "total_loss_wh"),
            (&table::NODE_BALANCE_DAILY, "F1", "total_loss_wh"),
            (&table::NODE_BALANCE_DAILY, "Z", "total_loss_wh"),
            (&table::NODE_BALANCE_DAILY, "D", "total_loss_wh"),
        ]
        .map(|(table, node, loss)| (table, node, loss, published(&store, table, node)))
    };
    publish_all(&records);
    for (table, node, loss, cell) in rows() {
        let shown = ["loss_bound_wh", "status", loss, "loss_pct"].map(&cell);
        assert_eq!(shown, ["1000", "provisional", "", ""], "{} {node}", table.name);
        let members = if node == "T1" { "2" } else { "3" };
        assert_eq!(cell("meters_expected"), members, "{} {node}", table.name);
        assert_ne!(cell("coverage_pct"), "100.0", "{} {node}", table.name);
    }
    records.push(publish_record(NOW, &publish("A", &[read(quarter_end(1), 900)])));
    publish_all(&records);
    for (table, node, loss, cell) in rows() {
        let wh = if node == "T1" { "50" } else { "100" };
        let shown = ["loss_bound_wh", "status", loss, "coverage_pct"].map(&cell);
        assert_eq!(shown, ["0", "provisional", wh, "100.0"], "{} {node}", table.name);
        assert_ne!(cell("loss_pct"), "", "{} {node}", table.name);
        assert_eq!(cell("version"), "2", "{} {node}", table.name);
    }
}

#[test]
fn a_published_balance_becomes_final_and_then_restated_with_a_reason() {
    let store = Arc::new(MemoryStore::default());
    let mut records = small_network();
    let say = |id: &str, wh| publish_record(NOW, &publish(id, &[read(quarter_end(1), wh)]));
    records.extend([say("MF1", 1_000), say("MT1", 950), say("A", 900)]);
    let settled = NOW.plus(4 * 24 * HOUR);
    let mut corrected = publish(
        "A",
        &[IntervalRead {
            revision: 1,
            ..read(quarter_end(1), 910)
        }],
    );
    let mut statuses = Vec::new();
    for (now, more) in [
        (NOW, None),
        (settled, None),
        (settled, Some(publish_record(settled, &corrected))),
    ] {
        records.extend(more);
        let mut process = Process::start(&store, Settings::default(), now);
        process.apply(&records, records.len());
        process.checkpoint(Scope::Due).unwrap();
        let dt = process.world.network.find_node("T1").unwrap();
        statuses.push(
            process
                .world
                .published_version(dt, Quarter::ending(quarter_end(1)).unwrap()),
        );
    }
    assert_eq!(statuses, [(1, "provisional"), (2, "final"), (3, "restated")]);
    corrected.clear();
    let reasons: Vec<String> = store
        .batches(&table::DT_BALANCE)
        .iter()
        .flat_map(|batch| {
            (0..batch.num_rows())
                .map(|row| (batch.clone(), row))
                .collect::<Vec<_>>()
        })
        .filter(|(batch, row)| cell(batch, *row, "version") == "3")
        .map(|(batch, row)| cell(&batch, row, "reason"))
        .collect();
    assert_eq!(reasons, ["inputs changed after settlement"]);
}

#[test]
fn the_nodes_are_found_and_listed() {
    let mut records = small_network();
    for (id, wh) in [("MF1", 1_000), ("MT1", 950), ("A", 900)] {
        let reads: Vec<IntervalRead> = (1..=96).map(|n| read(quarter_end(n), wh)).collect();
        records.push(publish_record(NOW, &publish(id, &reads)));
    }
    let world = world_of(&records, NOW);
    let ids = |nodes: &[NodeIx]| -> Vec<String> {
        let id = |node: &NodeIx| world.network.node(*node).unwrap().id.to_string();
        nodes.iter().map(id).collect()
    };
    assert_eq!(ids(&world.search_nodes("t", None, Some("T1"), 9)), ["T2", "T3"]);
    assert_eq!(
        ids(&world.search_nodes("", Some(NodeKind::Feeder), None, 1)),
        ["F1"]
    );
    let zone = world.network.find_node("Z").unwrap();
    let mut children: Vec<NodeIx> = world.children(zone).collect();
    children.sort_unstable();
    assert_eq!(ids(&children), ["F1", "F2"]);
    assert_eq!(ids(&world.roots()), ["D"]);
    let quality = world.data_quality(zone, world.settings.zone.day_of(MIDNIGHT));
    assert_eq!(
        (quality.expected, quality.reported, quality.missing),
        (3 * 96, 3 * 96, 0)
    );
}

#[test]
fn a_record_that_was_applied_changes_nothing_when_it_comes_again() {
    let records = small_network();
    let mut world = world_of(&records, NOW);
    let counts = world.counts;
    world
        .apply(Position(2), &records[1], &mut Publish::default())
        .unwrap();
    assert_eq!(world.counts, counts);
}

/// ORD-1. T1 was on F1, is said to be on F1 again at 3, and the word that it is on F2, recorded at 2, comes last: the latest word stands.
/// The repetition leaves no row (a nightly import of unchanged files must not grow the tables).
#[test]
fn a_word_that_was_repeated_outweighs_an_older_contradiction_and_leaves_no_row() {
    let place = |recorded_at: i64, feeder: &str| {
        let row = node("T1", NodeKind::Dt, Some(feeder));
        master_record(LONG_AGO.plus(recorded_at), &MasterRows::Nodes(vec![row]))
    };
    let records = [place(1, "F1"), place(3, "F1"), place(2, "F2")];
    for restart_after in [None, Some(1)] {
        let store = Arc::new(MemoryStore::default());
        if let Some(through) = restart_after {
            let mut process = Process::start(&store, Settings::default(), NOW);
            process.apply(&records, through);
            process.checkpoint(Scope::Everything).unwrap();
        }
        let mut process = Process::start(&store, Settings::default(), NOW);
        process.apply(&records, records.len());
        let network = &process.world.network;
        let parent = network.parent_at(network.find_node("T1").unwrap(), NOW).unwrap();
        assert_eq!(
            network.node(parent).unwrap().id.as_str(),
            "F1",
            "restarted after {restart_after:?}"
        );
        let rows = process.world.outbox.master.len();
        assert_eq!(
            rows,
            usize::from(restart_after.is_none()),
            "one row, of the first word"
        );
    }
}

/// The bound of what unknown meters said: what exceeds it waits in the table alone, and nothing else differs.
#[test]
fn spans_beyond_the_bound_wait_in_the_table_and_are_released_as_if_they_had_not() {
    let settings = |held_bytes_max| Settings {
        held_bytes_max,
        ..Settings::default()
    };
    let mut records = small_network();
    for number in 1..=6 {
        for id in ["NEW", "OTHER"] {
            records.push(publish_record(
                NOW,
                &publish(id, &[read(quarter_end(number), number)]),
            ));
        }
    }
    let told = records.len();
    let named = |id: &str| {
        master_record(
            NOW,
            &MasterRows::Meters(vec![meter(id, MeterRole::Consumer, None)]),
        )
    };
    records.push(named("NEW"));
    let run = |settings: &Settings| {
        let store = Arc::new(MemoryStore::default());
        let mut process = Process::start(&store, settings.clone(), NOW);
        process.apply(&records, told);
        assert_eq!(
            process.world.held_spilled(),
            0,
            "nothing goes before its row is in the table"
        );
        process.checkpoint(Scope::Everything).unwrap();
        let spilled = (process.world.held_spilled(), process.world.held_bytes());
        // The same after a restart.
        let mut process = Process::start(&store, settings.clone(), NOW);
        assert_eq!(
            (process.world.held_spilled(), process.world.held_bytes()),
            spilled
        );
        process.apply(&records, records.len());
        process.checkpoint(Scope::Everything).unwrap();
        (process, spilled)
    };
    let (whole, (spilled, bytes)) = run(&settings(1 << 20));
    assert_eq!((spilled, whole.world.held()), (0, 6));
    let (bounded, (spilled, bytes_bounded)) = run(&settings(bytes / 3));
    assert_eq!(spilled, 8, "the oldest eight of twelve");
    assert!(bytes_bounded <= bytes / 3);
    assert_eq!(bounded.world.held(), 6);
    let values = |process: &Process| process.world.state.values().count();
    assert_eq!((values(&bounded), values(&whole)), (6, 6));
    assert_eq!(bounded.world.counts, whole.world.counts);
    assert_eq!(bounded.world.counts.reads_released, 6);
}

/// B is on T2 and in service only from the second quarter on: what it says of the first counts in nothing, and T1 stays heard.
#[test]
fn a_late_read_that_counts_in_nothing_leaves_the_interval_heard() {
    let mut records = small_network();
    let mut later = meter("B", MeterRole::Consumer, None);
    later.valid_from = quarter_end(1);
    records.push(master_record(LONG_AGO, &MasterRows::Meters(vec![later])));
    let at_t2 = vec![connection("CB", Some("B"), "T2")];
    records.push(master_record(LONG_AGO, &MasterRows::Connections(at_t2)));
    records.push(publish_record(NOW, &publish("MT1", &[read(quarter_end(1), 450)])));
    let mut world = world_of(&records, quarter_end(1));
    let late = publish_record(NOW, &publish("B", &[read(quarter_end(1), 440)]));
    let position = Position(world.applied().0 + 1);
    world.apply(position, &late, &mut Publish::default()).unwrap();
    settle(&mut world);
    let feeder = world.network.find_node("F1").unwrap();
    let quarter = Quarter::ending(quarter_end(1)).unwrap();
    assert!(world.intervals[&feeder][&quarter].heard);
    assert_eq!(world.counts.reads_not_in_service, 1);
}

/// A span whose row no table has yet is held whatever the bound: a checkpoint that was begun before it came says nothing of it.
#[test]
fn a_span_that_came_while_a_checkpoint_was_written_is_held_on() {
    let mut records = small_network();
    for number in 1..=3 {
        records.push(publish_record(
            NOW,
            &publish("NEW", &[read(quarter_end(number), number)]),
        ));
    }
    let mut world = world_of(&records, NOW);
    world.settings.held_bytes_max = 0;
    world.spill(Position(world.applied().0 - 1));
    assert_eq!((world.held(), world.held_spilled()), (3, 2));
}

/// Cost follows what changed: of a feeder with two DTs a late read computes its own DT and the feeder itself.
#[test]
fn a_late_read_is_computed_with_its_dt_and_a_burst_with_its_feeder() {
    let mut records = small_network();
    let more = vec![
        meter("MT2", MeterRole::Dt, Some("T2")),
        meter("B", MeterRole::Consumer, None),
    ];
    records.push(master_record(LONG_AGO, &MasterRows::Meters(more)));
    let at_t2 = vec![connection("CB", Some("B"), "T2")];
    records.push(master_record(LONG_AGO, &MasterRows::Connections(at_t2)));
    for (id, wh) in [("MF1", 1_000), ("MT1", 450), ("MT2", 450), ("B", 400)] {
        records.push(publish_record(NOW, &publish(id, &[read(quarter_end(1), wh)])));
    }
    let mut world = world_of(&records, quarter_end(1));
    let feeder = world.network.find_node("F1").unwrap();
    let quarter = Quarter::ending(quarter_end(1)).unwrap();
    let losses = |world: &World| -> Vec<Option<i64>> {
        let interval = &world.intervals[&feeder][&quarter];
        interval.dts.iter().map(|dt| dt.loss_wh).collect()
    };
    assert_eq!(losses(&world), [Some(450), Some(50)]);
    let late = publish_record(NOW, &publish("A", &[read(quarter_end(1), 440)]));
    let position = Position(world.applied().0 + 1);
    world.apply(position, &late, &mut Publish::default()).unwrap();
    let members = world.gather(1_000).unwrap();
    assert_eq!(members.len(), 3, "MT1, A and MF1");
    let computed = crate::rig::block_on(BalanceSql::default().run(members)).unwrap();
    assert_eq!(world.settle(computed), [(feeder, quarter)]);
    assert_eq!(losses(&world), [Some(10), Some(50)]);
    let figures = &world.intervals[&feeder][&quarter].feeder;
    assert_eq!(
        (
            figures.lt_loss_wh,
            figures.total_loss_wh,
            figures.dt_metered,
            figures.coverage.reported
        ),
        (60, Some(160), 2, 5)
    );
}
