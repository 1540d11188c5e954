//! Compensation in the picture: from log records to entries, what is published of them, and what billing says.

use std::collections::BTreeMap;

use gridtally_schemas::{
    ConsumerId, NodeId, UtcMicros, Zone,
    compensation::{
        Acknowledgement, Approval, ApprovalStep, ClaimRow, CompensationWord, RequestKind, ServiceRequestRow,
        Taken,
    },
    network::{AreaClass, MasterRows, NodeKind},
    outage::{Cause, PlanRows, PlannedClass, PlannedOutageRow},
    record, table,
};

use super::{CompensationRules, FeedEntry, FeedQuery, InForce};
use crate::{
    compensation::{
        document::Document,
        ledger::{EntryId, Status},
        regulation::Regulation,
    },
    rig::{LONG_AGO, master_record, node},
    world::{
        Settings,
        outage::tests::{POWER_FAILED, POWER_RESTORED, Town, minute},
        tests::NOW,
    },
};

mod property;

const DERC: &str = include_str!("../../../../deploy/presets/IN-DL-DERC-2018.toml");
const MERC: &str = include_str!("../../../../deploy/presets/IN-MH-MERC-2021.toml");
const EVERY_SHAPE: &str = include_str!("../../../../tests/data/compensation/every_shape.toml");

fn regulated(text: &str) -> Settings {
    let document: Document = toml::from_str(text).unwrap();
    let regulation = Regulation::check(&document).unwrap();
    let in_force = InForce::new(&Zone::kolkata(), Vec::new(), Some(regulation)).unwrap();
    Settings {
        compensation: CompensationRules {
            in_force,
            needs_approval: false,
        },
        ..Settings::default()
    }
}

fn consumer(id: &str) -> ConsumerId {
    ConsumerId::parse(id).unwrap()
}

/// The entries of a consumer as `kind amount status`.
fn entries(town: &Town, id: &str) -> Vec<String> {
    let held = town.process.world.compensation_of(&consumer(id));
    held.iter()
        .map(|held| {
            let content = &held.entry.content;
            format!("{} {} {}", content.kind, content.amount, held.standing.status)
        })
        .collect()
}

fn feed(town: &Town, status: Option<Status>, after: u64) -> Vec<FeedEntry> {
    let query = FeedQuery {
        status,
        after,
        entries_max: 1_000,
    };
    town.process.world.compensation_feed(&query)
}

fn said(town: &mut Town, word: &CompensationWord) {
    let mut bytes = Vec::new();
    record::encode_compensation(NOW, "api:billing", word, &mut bytes).unwrap();
    town.log.push(bytes);
    town.apply();
}

fn acknowledge(town: &mut Town, key: &str, status: Taken, ids: &[EntryId]) {
    let word = Acknowledgement {
        idempotency_key: key.to_owned(),
        status,
        entry_ids: ids.iter().map(ToString::to_string).collect(),
        reference: None,
    };
    said(town, &CompensationWord::Acknowledged(word));
}

fn cause(town: &mut Town, node: &str, fault_type: Option<&str>, force_majeure: Option<bool>) {
    let cause = Cause {
        outage_id: "as it was named then".to_owned(),
        node_id: NodeId::parse(node).unwrap(),
        started_at: minute(0),
        person: "A. Rao".to_owned(),
        cause: Some("tree".to_owned()),
        fault_type: fault_type.map(str::to_owned),
        force_majeure,
        etr: None,
    };
    let at = NOW.plus(i64::try_from(town.log.len()).unwrap());
    let mut bytes = Vec::new();
    record::encode_cause(at, &cause, &mut bytes).unwrap();
    town.log.push(bytes);
    town.apply();
}

fn move_clock(town: &mut Town, to: UtcMicros) {
    town.process.set_now(to);
    town.process.advance();
}

#[test]
fn it_accrues_while_the_outage_lasts_and_is_due_when_it_ends() {
    let mut town = Town::with(regulated(DERC));
    town.draws(1..=40).process.set_now(minute(61));
    town.dt_says("T1", minute(0), POWER_FAILED).apply();
    // The first hour of the day is exempt; of the second a part counts whole.
    assert_eq!(entries(&town, "T1-0"), ["accrual 50.00 accruing"]);
    move_clock(&mut town, minute(121));
    assert_eq!(
        entries(&town, "T1-0"),
        ["accrual 50.00 accruing", "adjustment 50.00 accruing"]
    );
    // Nothing is durable yet, so nothing is in the feed.
    assert_eq!(feed(&town, None, 0), []);
    town.checkpoint();
    assert_eq!(feed(&town, Some(Status::Accruing), 0).len(), 8);
    assert_eq!(feed(&town, Some(Status::Due), 0), []);
    assert_eq!(town.process.world.compensation_owed_paise(), 4 * 10_000);

    town.process.set_now(NOW);
    town.dt_says("T1", minute(150), POWER_RESTORED).apply();
    assert_eq!(
        entries(&town, "T1-0"),
        ["accrual 50.00 due", "adjustment 50.00 due"]
    );
    assert!(town.process.world.has_due_entries_waiting());
    let before = feed(&town, None, 0).last().unwrap().sequence;
    town.checkpoint();
    // Who had read everything meets each of them again, now that it is due.
    let due = feed(&town, None, before);
    assert_eq!(due.len(), 8);
    assert!(due.iter().all(|held| held.standing.status == Status::Due));
    let last_day = due[0].standing.due_by.unwrap();
    assert_eq!(last_day.to_string(), "2026-06-30");
    assert_eq!(entries(&town, "T3-0"), Vec::<String>::new());
}

#[test]
fn of_who_is_not_heard_when_a_dt_comes_back_in_part_nothing_is_due_yet() {
    let mut town = Town::with(regulated(DERC));
    town.draws(1..=40).process.set_now(minute(600));
    town.dt_says("T1", minute(0), POWER_FAILED).apply();
    for consumer in 0..3 {
        town.says(&format!("T1-{consumer}"), minute(150), POWER_RESTORED)
            .apply();
        town.checkpoint();
        // By the clock the others have been without supply for ten hours; that accrues, and is not to be paid yet.
        assert!(
            entries(&town, "T1-3")
                .iter()
                .all(|entry| entry.ends_with(" accruing")),
            "{consumer}"
        );
    }
    town.says("T1-3", minute(150), POWER_RESTORED).apply();
    town.checkpoint();
    // What is due is due with its correction, in one step.
    assert_eq!(
        entries(&town, "T1-3"),
        ["accrual 800.00 due", "adjustment -700.00 due"]
    );
    let of_last = feed(&town, Some(Status::Due), 0);
    let of_last = of_last
        .iter()
        .filter(|held| held.entry.content.consumer_id.as_str() == "T1-3");
    assert_eq!(of_last.count(), 2);
}

#[test]
fn without_a_regulation_nothing_is_accrued_and_what_stands_stays() {
    let mut town = Town::new();
    town.draws(1..=40).dt_says("T1", minute(0), POWER_FAILED).apply();
    assert_eq!(town.process.world.compensation_entries(), 0);
    let mut town = Town::with(regulated(DERC));
    town.draws(1..=40)
        .dt_says("T1", minute(0), POWER_FAILED)
        .apply()
        .checkpoint();
    let before = entries(&town, "T1-0");
    assert!(!before.is_empty());
    town.settings.compensation = CompensationRules::default();
    town.restart();
    assert_eq!(entries(&town, "T1-0"), before);
}

#[test]
fn another_cause_is_an_adjustment_and_force_majeure_a_reversal_and_no_entry_changes() {
    let mut town = Town::with(regulated(MERC));
    let mut urban = node("T1", NodeKind::Dt, Some("F1"));
    urban.area_class = Some(AreaClass::Urban);
    town.log.push(master_record(NOW, &MasterRows::Nodes(vec![urban])));
    town.draws(1..=40)
        .dt_says("T1", minute(0), POWER_FAILED)
        .dt_says("T1", minute(20 * 60), POWER_RESTORED)
        .apply()
        .checkpoint();
    // Nobody has said what it was: a DT counts as dt_failure, 18 h in town.
    assert_eq!(entries(&town, "T1-1"), ["accrual 100.00 due"]);
    cause(&mut town, "T1", Some("fuse"), None);
    town.checkpoint();
    assert_eq!(
        entries(&town, "T1-1"),
        ["accrual 100.00 due", "adjustment 400.00 due"]
    );
    cause(&mut town, "T1", None, Some(true));
    town.checkpoint();
    let all = [
        "accrual 100.00 due",
        "adjustment 400.00 due",
        "reversal -500.00 due",
    ];
    assert_eq!(entries(&town, "T1-1"), all);
    let rows = town.published(
        &table::COMPENSATION_ENTRIES,
        &["entry_id", "amount_inr", "explains"],
    );
    town.restart().checkpoint();
    assert_eq!(entries(&town, "T1-1"), all);
    let again = town.published(
        &table::COMPENSATION_ENTRIES,
        &["entry_id", "amount_inr", "explains"],
    );
    assert_eq!(again, rows, "a restart alone published something");
}

#[test]
fn a_topology_row_that_comes_later_changes_what_is_owed() {
    let mut town = Town::with(regulated(MERC));
    town.draws(1..=40)
        .dt_says("T1", minute(0), POWER_FAILED)
        .dt_says("T1", minute(20 * 60), POWER_RESTORED)
        .apply();
    assert_eq!(
        entries(&town, "T1-1"),
        Vec::<String>::new(),
        "the area is not known"
    );
    // The zone above says it for all below.
    let mut zone = node("Z", NodeKind::Zone, Some("D"));
    zone.area_class = Some(AreaClass::Urban);
    town.log.push(master_record(NOW, &MasterRows::Nodes(vec![zone])));
    town.apply();
    assert_eq!(entries(&town, "T1-1"), ["accrual 100.00 due"]);
    let mut rural = node("T1", NodeKind::Dt, Some("F1"));
    rural.area_class = Some(AreaClass::Rural);
    rural.valid_from = LONG_AGO;
    town.log
        .push(master_record(NOW.plus(1), &MasterRows::Nodes(vec![rural])));
    town.apply();
    assert_eq!(
        entries(&town, "T1-1"),
        ["accrual 100.00 due", "reversal -100.00 due"]
    );
}

#[test]
fn out_1_prepaid_cut_offs_and_planned_work_with_notice_are_owed_nothing() {
    let mut town = Town::with(regulated(DERC));
    town.draws(1..=40)
        .says("T1-0", minute(0), 304)
        .plan(&PlanRows::PlannedOutages(vec![PlannedOutageRow {
            node_id: NodeId::parse("T2").unwrap(),
            start: minute(0),
            end: minute(600),
            class: PlannedClass::Planned,
            reason: None,
            notice_at: Some(LONG_AGO),
        }]))
        .dt_says("T2", minute(0), POWER_FAILED)
        .dt_says("T2", minute(300), POWER_RESTORED)
        .apply();
    assert_eq!(entries(&town, "T1-0"), Vec::<String>::new());
    assert_eq!(entries(&town, "T2-0"), Vec::<String>::new());
    // The same work without notice is owed for.
    let mut town = Town::with(regulated(DERC));
    town.draws(1..=40)
        .plan(&PlanRows::PlannedOutages(vec![PlannedOutageRow {
            node_id: NodeId::parse("T2").unwrap(),
            start: minute(0),
            end: minute(600),
            class: PlannedClass::Planned,
            reason: None,
            notice_at: None,
        }]))
        .dt_says("T2", minute(0), POWER_FAILED)
        .dt_says("T2", minute(300), POWER_RESTORED)
        .apply();
    assert_eq!(entries(&town, "T2-0"), ["accrual 300.00 due"]);
}

#[test]
fn an_acknowledgement_moves_the_status_once_and_outlives_restarts() {
    let mut town = Town::with(regulated(DERC));
    town.draws(1..=40)
        .dt_says("T1", minute(0), POWER_FAILED)
        .dt_says("T1", minute(150), POWER_RESTORED)
        .apply()
        .checkpoint();
    let due = feed(&town, Some(Status::Due), 0);
    let ids: Vec<EntryId> = due.iter().map(|held| held.entry.entry_id.clone()).collect();
    assert_eq!(ids.len(), 4);
    acknowledge(&mut town, "run-1", Taken::Credited, &ids[..2]);
    // It is durable in the log: billing does not meet them again, published or not.
    assert_eq!(feed(&town, Some(Status::Due), 0).len(), 2);
    acknowledge(&mut town, "run-2", Taken::Exported, &ids[..3]);
    acknowledge(&mut town, "run-1", Taken::Credited, &ids[2..]);
    let check = |town: &Town| {
        let statuses: Vec<Status> = ids
            .iter()
            .map(|id| town.process.world.compensation_entry(id).unwrap().standing.status)
            .collect();
        // A credited entry is never merely exported again; a second word under a known key is none.
        let expected = [Status::Credited, Status::Credited, Status::Exported, Status::Due];
        assert_eq!(statuses, expected);
        assert_eq!(town.process.world.compensation_owed_paise(), 2 * 10_000);
        assert!(town.process.world.acknowledged_as("run-1").is_some());
        assert_eq!(town.process.world.acknowledged_as("run-3"), None);
    };
    check(&town);
    town.restart();
    check(&town);
    town.checkpoint().restart();
    check(&town);
    assert_eq!(feed(&town, Some(Status::Credited), 0).len(), 2);
    let words = town.published(
        &table::COMPENSATION_ACKNOWLEDGEMENTS,
        &["idempotency_key", "status"],
    );
    assert_eq!(words.len(), 2 + 3);
    let rows = town.published(&table::COMPENSATION_ENTRIES, &["entry_id", "amount_inr"]);
    let amounts: BTreeMap<String, ()> = rows.into_iter().map(|row| (row, ())).collect();
    assert_eq!(amounts.len(), 4, "an entry has one amount in all its versions");
}

#[test]
fn two_people_approve_and_never_the_same() {
    let mut settings = regulated(DERC);
    settings.compensation.needs_approval = true;
    let mut town = Town::with(settings);
    town.draws(1..=40)
        .dt_says("T1", minute(0), POWER_FAILED)
        .dt_says("T1", minute(150), POWER_RESTORED)
        .apply()
        .checkpoint();
    assert_eq!(feed(&town, Some(Status::Due), 0), []);
    let all = feed(&town, None, 0);
    let last = all.last().unwrap().sequence;
    let id = all[0].entry.entry_id.clone();
    let word = |person: &str, step| {
        CompensationWord::Approved(Approval {
            person: person.to_owned(),
            step,
            entry_ids: vec![id.to_string()],
        })
    };
    said(&mut town, &word("checker", ApprovalStep::Check));
    said(&mut town, &word("maker", ApprovalStep::Make));
    said(&mut town, &word("maker", ApprovalStep::Check));
    town.checkpoint();
    assert_eq!(
        feed(&town, Some(Status::Due), 0),
        [],
        "one person alone approved it"
    );
    said(&mut town, &word("checker", ApprovalStep::Check));
    town.checkpoint().restart();
    // Billing goes on after what it has seen, and meets it there.
    let given = feed(&town, Some(Status::Due), last);
    assert_eq!(given.len(), 1);
    assert_eq!(given[0].hands.made_by.as_deref(), Some("maker"));
    assert_eq!(given[0].hands.checked_by.as_deref(), Some("checker"));
}

const NOTHING: [i64; 0] = [];
const UPERC: &str = include_str!("../../../../deploy/presets/IN-UP-UPERC-2019.toml");

fn claim(town: &mut Town, id: &str, about: &str, upheld_at: Option<UtcMicros>) {
    let row = ClaimRow {
        claim_id: id.to_owned(),
        consumer_id: consumer("T1-0"),
        about: about.parse().unwrap(),
        filed_at: minute(24 * 60),
        upheld_at,
    };
    let at = NOW.plus(i64::try_from(town.log.len()).unwrap());
    let mut bytes = Vec::new();
    record::encode_claims(at, "file:claims.csv", &[row], &mut bytes).unwrap();
    town.log.push(bytes);
    town.apply();
}

#[test]
fn what_is_owed_on_claim_is_owed_once_it_is_claimed_by_whoever_claims_and_survives_a_restart() {
    let mut town = Town::with(regulated(UPERC));
    let mut zone = node("Z", NodeKind::Zone, Some("D"));
    zone.area_class = Some(AreaClass::Urban);
    town.log.push(master_record(NOW, &MasterRows::Nodes(vec![zone])));
    town.draws(1..=40).process.set_now(minute(48 * 60));
    // A failed DT has 8 hours in an urban area; it took nearly 20, a day of delay.
    town.dt_says("T1", minute(0), POWER_FAILED)
        .dt_says("T1", minute(20 * 60 - 1), POWER_RESTORED)
        .apply();
    let sums = |town: &Town, id: &str| {
        let sums = town.process.world.compensation_sums(&consumer(id));
        sums.into_values().collect::<Vec<_>>()
    };
    assert_eq!(sums(&town, "T1-0"), NOTHING, "nobody has claimed");
    // He had supply then: the claim is for nothing.
    claim(&mut town, "C0", "supply:2020-01-01T00:00:00Z", None);
    assert_eq!(sums(&town, "T1-0"), NOTHING);
    let about = format!("supply:{}", minute(5 * 60));
    claim(&mut town, "C1", &about, None);
    assert_eq!(sums(&town, "T1-0"), [15_000]);
    assert_eq!(sums(&town, "T1-1"), NOTHING, "the neighbour has not claimed");
    town.checkpoint().restart();
    assert_eq!(sums(&town, "T1-0"), [15_000]);
    assert_eq!(town.published(&table::CLAIMS, &["claim_id"]).len(), 2);
    let entry = town.process.world.compensation_of(&consumer("T1-0"));
    let case = town
        .process
        .world
        .compensation_case(&entry[0].entry.entry_id, minute(48 * 60));
    assert_eq!(case.unwrap().claims.len(), 1);
    // The same claim, said to be of another time, takes it back.
    claim(&mut town, "C1", "supply:2020-01-01T00:00:00Z", None);
    assert_eq!(sums(&town, "T1-0"), NOTHING);
    assert_eq!(entries(&town, "T1-0").len(), 2, "an accrual and its reversal");
}

#[test]
fn an_upheld_claim_is_worth_more() {
    let mut town = Town::with(regulated(DERC));
    town.draws(1..=40).process.set_now(minute(48 * 60));
    town.dt_says("T1", minute(0), POWER_FAILED)
        .dt_says("T1", minute(240), POWER_RESTORED)
        .apply();
    let sum = |town: &Town| {
        let sums = town.process.world.compensation_sums(&consumer("T1-0"));
        sums.into_values().sum::<i64>()
    };
    assert_eq!(sum(&town), 20_000, "DOMAIN section 6: 4 h are worth Rs 200");
    let about = format!("supply:{}", minute(30));
    claim(&mut town, "C1", &about, None);
    assert_eq!(sum(&town), 20_000, "it was owed without asking");
    claim(&mut town, "C1", &about, Some(minute(36 * 60)));
    assert_eq!(sum(&town), 500_000, "five times the amount, at least Rs 5,000");
}

#[test]
fn a_request_that_took_too_long_is_owed_for_by_the_day_and_again_when_it_is_said_otherwise() {
    let mut town = Town::with(regulated(EVERY_SHAPE));
    let mut zone = node("Z", NodeKind::Zone, Some("D"));
    zone.area_class = Some(AreaClass::Urban);
    town.log.push(master_record(NOW, &MasterRows::Nodes(vec![zone])));
    let request = |closed_at: Option<UtcMicros>| ServiceRequestRow {
        request_id: "R7".to_owned(),
        consumer_id: consumer("T1-0"),
        kind: RequestKind::Connection,
        opened_at: NOW.plus(-60 * 24 * 3_600_000_000),
        closed_at,
    };
    let push = |town: &mut Town, at: UtcMicros, row| {
        let mut bytes = Vec::new();
        record::encode_requests(at, "file:service_requests.csv", &[row], &mut bytes).unwrap();
        town.log.push(bytes);
        town.apply().checkpoint();
    };
    push(&mut town, NOW, request(None));
    let running = entries(&town, "T1-0");
    assert_eq!(running.len(), 1, "{running:?}");
    assert!(running[0].ends_with(" accruing"), "{running:?}");
    let met = request(Some(NOW.plus(-59 * 24 * 3_600_000_000)));
    push(&mut town, NOW.plus(1), met);
    let sums = |town: &Town| town.process.world.compensation_sums(&consumer("T1-0"));
    assert_eq!(
        sums(&town),
        BTreeMap::new(),
        "met in a day: {:?}",
        entries(&town, "T1-0")
    );
    town.restart();
    assert_eq!(sums(&town), BTreeMap::new());
    assert_eq!(town.published(&table::SERVICE_REQUESTS, &["request_id"]).len(), 2);
}

#[test]
fn days_of_bad_voltage_beyond_those_allowed_follow_corrections_and_restarts() {
    use crate::rig::{publish, publish_record, quarter_end, read};
    let mut town = Town::with(regulated(EVERY_SHAPE));
    let mut zone = node("Z", NodeKind::Zone, Some("D"));
    zone.area_class = Some(AreaClass::Urban);
    town.log.push(master_record(NOW, &MasterRows::Nodes(vec![zone])));
    let say = |town: &mut Town, day: i64, volts: f32, revision: i32| {
        let of_hour = (1..=4).map(|quarter| gridtally_schemas::IntervalRead {
            voltage_v: Some(volts),
            revision,
            ..read(quarter_end(day * 96 + 40 + quarter), 100)
        });
        let said = publish("M-T1-0", &of_hour.collect::<Vec<_>>());
        town.log.push(publish_record(quarter_end(10 * 96), &said));
        town.apply();
    };
    let sums = |town: &Town| town.process.world.compensation_sums(&consumer("T1-0"));
    town.process.set_now(quarter_end(10 * 96));
    for day in 0..3 {
        say(&mut town, day, 190.0, 0);
    }
    // Two days a month are allowed; the third is paid for.
    let owed = BTreeMap::from([("period:voltage:2026-04-01".to_owned(), 10_000)]);
    assert_eq!(sums(&town), owed);
    town.checkpoint();
    say(&mut town, 2, 231.0, 1);
    assert_eq!(sums(&town), BTreeMap::new(), "the third day was corrected");
    say(&mut town, 2, 190.0, 0);
    assert_eq!(sums(&town), BTreeMap::new(), "what was corrected came once more");
    say(&mut town, 3, 250.0, 0);
    assert_eq!(sums(&town), owed);
    town.checkpoint();
    let before = entries(&town, "T1-0");
    town.restart();
    assert_eq!(entries(&town, "T1-0"), before);
}
