//! Versions of what people say, live and from the tables.

use std::sync::Arc;

use gridtally_schemas::{
    Day, NodeId, UtcMicros,
    accountability::{ActionStatus, FeederAction, FeederManagerRow},
    network::MasterRows,
    record, table,
};

use crate::{
    rig::{LONG_AGO, MIDNIGHT, MemoryStore, Process, hierarchy, master_record, node_id},
    world::{Settings, publish::Scope, tests::compared::current_rows},
};

const DAY: i64 = 86_400_000_000;

fn manager(recorded: i64, name: &str, from: i64, to: Option<i64>) -> Vec<u8> {
    let row = FeederManagerRow {
        feeder_id: node_id("F1"),
        manager: name.to_owned(),
        contact: None,
        valid_from: MIDNIGHT.plus(from * DAY),
        valid_to: to.map(|to| MIDNIGHT.plus(to * DAY)),
    };
    let mut bytes = Vec::new();
    record::encode_managers(MIDNIGHT.plus(recorded * DAY), "file:m.csv", &[row], &mut bytes).unwrap();
    bytes
}

fn action(recorded: i64, feeder: &str, cause: &str, status: ActionStatus) -> Vec<u8> {
    let row = FeederAction {
        action_id: "a1".to_owned(),
        feeder_id: node_id(feeder),
        month: Day::parse("2026-04-01").unwrap(),
        person: "S. Iyer".to_owned(),
        cause: cause.to_owned(),
        mitigation: Some("armoured cable".to_owned()),
        starts_on: Day::parse("2026-05-15"),
        due_on: Day::parse("2026-06-30"),
        done_on: (status == ActionStatus::Done).then(|| Day::parse("2026-06-01").unwrap()),
        status,
    };
    let mut bytes = Vec::new();
    record::encode_action(MIDNIGHT.plus(recorded * DAY), &row, &mut bytes).unwrap();
    bytes
}

fn f1() -> NodeId {
    node_id("F1")
}

fn said(process: &Process) -> Vec<(String, Vec<String>)> {
    let name_at = |day: i64| {
        let row = process.world.manager_at(&f1(), MIDNIGHT.plus(day * DAY));
        row.map_or("nobody".to_owned(), |row| row.manager.clone())
    };
    let causes = process.world.actions(&f1());
    let causes = causes
        .iter()
        .flatten()
        .map(|said| format!("{}: {}", said.row.cause, said.row.status));
    vec![
        ("managers".to_owned(), [0, 10, 20].map(name_at).to_vec()),
        ("actions".to_owned(), causes.collect()),
    ]
}

#[test]
fn nothing_is_edited_in_place_and_what_stands_is_the_same_from_the_tables_and_in_any_order() {
    let records = [
        master_record(LONG_AGO, &MasterRows::Nodes(hierarchy())),
        manager(1, "A. Rao", 0, None),
        // He leaves on the fifteenth, and his successor comes then.
        manager(14, "A. Rao", 0, Some(15)),
        manager(14, "S. Iyer", 15, None),
        action(3, "F1", "hooking", ActionStatus::Open),
        action(4, "F1", "hooking", ActionStatus::Open),
        action(9, "F1", "hooking and a slow meter", ActionStatus::Done),
    ];
    let expected = vec![
        (
            "managers".to_owned(),
            vec!["A. Rao".to_owned(), "A. Rao".to_owned(), "S. Iyer".to_owned()],
        ),
        (
            "actions".to_owned(),
            vec![
                "hooking: open".to_owned(),
                "hooking and a slow meter: done".to_owned(),
            ],
        ),
    ];
    let now: UtcMicros = MIDNIGHT.plus(41 * DAY);
    let store = Arc::new(MemoryStore::default());
    let mut process = Process::start(&store, Settings::default(), now);
    process.apply(&records, 5);
    process.checkpoint(Scope::Everything).unwrap();
    let mut process = Process::start(&store, Settings::default(), now);
    process.apply(&records, records.len());
    assert_eq!(said(&process), expected);
    process.checkpoint(Scope::Everything).unwrap();
    let mut again = Process::start(&store, Settings::default(), now);
    again.apply(&records, records.len());
    assert_eq!(said(&again), expected);
    let newest = current_rows(&store, &table::FEEDER_ACTIONS);
    assert_eq!(newest.len(), 1);
    assert!(newest["a1"].contains("status=done"), "{newest:?}");
    assert_eq!(current_rows(&store, &table::FEEDER_MANAGERS).len(), 2);
    // Backwards.
    let mut backwards = records.to_vec();
    backwards.reverse();
    let other = Arc::new(MemoryStore::default());
    let mut process = Process::start(&other, Settings::default(), now);
    process.apply(&backwards, backwards.len());
    assert_eq!(said(&process), expected);
}

#[test]
fn an_action_that_turns_out_to_be_another_feeders_is_told_there() {
    let records = [
        master_record(LONG_AGO, &MasterRows::Nodes(hierarchy())),
        action(3, "F1", "hooking", ActionStatus::Open),
        action(5, "F2", "hooking", ActionStatus::Open),
    ];
    let store = Arc::new(MemoryStore::default());
    let mut process = Process::start(&store, Settings::default(), MIDNIGHT.plus(41 * DAY));
    process.apply(&records, records.len());
    assert!(process.world.actions(&f1()).is_empty());
    assert_eq!(process.world.actions(&node_id("F2")).len(), 1);
    assert_eq!(process.world.action("a1").unwrap().feeder_id, node_id("F2"));
}
