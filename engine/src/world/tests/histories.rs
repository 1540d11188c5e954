//! Random histories: what meters, people, master data and their corrections say around a midnight.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
};

use gridtally_schemas::{
    ConsumerId, Day, IntervalMinutes, IntervalRead, MeterId, Multiplier, PowerEvent, Publish, RegisterRead,
    UtcMicros,
    accountability::{ActionStatus, FeederAction, FeederManagerRow},
    billing::{BillingRow, DiscomAccountsRow, FinancialYear},
    compensation::{ClaimRow, RequestKind, ServiceRequestRow},
    edit::{Edit, Edits},
    network::{MasterRows, MeterRole, NodeKind},
    outage::{Cause, PlanRows, PlannedClass, PlannedOutageRow, SupplyHoursRow, Weekdays},
    record,
};
use proptest::{prelude::*, test_runner::TestRunner};

use super::{HOUR, NOW};
use crate::rig::{
    LONG_AGO, connection, hierarchy, master_record, meter, node, node_id, publish_record, quarter_end,
};

/// What one record says, before it is split.
#[derive(Debug, Clone)]
pub(crate) enum Said {
    Master(MasterRows),
    Reads(&'static str, Vec<IntervalRead>),
    Registers(&'static str, Vec<RegisterRead>),
    Events(&'static str, Vec<PowerEvent>),
    Plan(PlanRows),
    Cause(Cause),
    Edits(Edits),
    Bills(Vec<BillingRow>),
    Request(ServiceRequestRow),
    Claim(ClaimRow),
    Accounts(DiscomAccountsRow),
    Managers(Vec<FeederManagerRow>),
    Action(FeederAction),
}

pub(super) const METERS: [&str; 8] = ["A", "B", "C", "MT1", "MF1", "MF2", "X", "UNKNOWN"];

fn any_quarter() -> impl Strategy<Value = i64> {
    // Around a midnight, so that both days are concerned; few, so that versions meet.
    prop::sample::select(vec![1_i64, 2, 3, 4, 95, 96, 97, 98, 140, 300])
}

fn any_read() -> impl Strategy<Value = IntervalRead> {
    let import =
        prop_oneof![8 => (0_i64..5).prop_map(|wh| Some(wh * 100)), 1 => Just(None), 1 => Just(Some(-5))];
    (
        any_quarter(),
        import,
        prop::option::of(0_i64..3),
        prop::option::weighted(0.5, prop::sample::select(vec![0.0_f32, 231.0])),
        0_i32..2,
        prop::bool::weighted(0.05),
    )
        .prop_map(
            |(quarter, import_wh, export_wh, voltage_v, revision, off)| IntervalRead {
                export_wh,
                voltage_v,
                revision,
                ..IntervalRead::new(quarter_end(quarter).plus(i64::from(off)), import_wh)
            },
        )
}

fn any_master() -> impl Strategy<Value = MasterRows> {
    let since = prop::sample::select(vec![LONG_AGO, quarter_end(2), quarter_end(96)]);
    let until = prop::option::weighted(0.2, Just(quarter_end(97)));
    let place = prop::sample::select(vec!["T1", "T2", "T3", "F1", "F2"]);
    let meters = (
        0_usize..4,
        since.clone(),
        until.clone(),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(id, valid_from, valid_to, thirty, twice)| {
            let mut row = meter(
                METERS[id],
                [MeterRole::Consumer, MeterRole::Generation][usize::from(id == 2)],
                None,
            );
            if id == 3 {
                row = meter("MT1", MeterRole::Dt, Some("T1"));
            }
            row.valid_from = valid_from;
            row.valid_to = valid_to;
            row.interval_minutes = if thirty {
                IntervalMinutes::Thirty
            } else {
                IntervalMinutes::Fifteen
            };
            row.multiplier = Multiplier::from_thousandths(if twice { 2_000 } else { 1_000 }).unwrap();
            MasterRows::Meters(vec![row])
        });
    let connections =
        (0_usize..3, place, since.clone(), until).prop_map(|(id, place, valid_from, valid_to)| {
            let mut row = connection(["CA", "CB", "CC"][id], Some(METERS[id]), place);
            row.valid_from = valid_from;
            row.valid_to = valid_to;
            MasterRows::Connections(vec![row])
        });
    let boundary = (any::<bool>(), since.clone()).prop_map(|(turned, valid_from)| {
        let (own, other) = if turned { ("F2", "F1") } else { ("F1", "F2") };
        let mut row = meter("X", MeterRole::Boundary, Some(own));
        row.boundary_to = Some(node_id(other));
        row.valid_from = valid_from;
        MasterRows::Meters(vec![row])
    });
    let moved = (0_usize..3, any::<bool>(), since).prop_map(|(dt, second, valid_from)| {
        let mut row = node(
            ["T1", "T2", "T3"][dt],
            NodeKind::Dt,
            Some(if second { "F2" } else { "F1" }),
        );
        row.valid_from = valid_from;
        MasterRows::Nodes(vec![row])
    });
    let fixed = prop::sample::select(vec![
        MasterRows::Nodes(hierarchy()),
        MasterRows::Meters(vec![
            meter("MF1", MeterRole::Feeder, Some("F1")),
            meter("MF2", MeterRole::Feeder, Some("F2")),
        ]),
        MasterRows::Meters(vec![
            meter("A", MeterRole::Consumer, None),
            meter("B", MeterRole::Consumer, None),
        ]),
    ]);
    prop_oneof![3 => meters, 3 => connections, 1 => boundary, 1 => moved, 3 => fixed]
}

fn any_edits() -> impl Strategy<Value = Edits> {
    // Now and then one that cannot stand.
    let energy = prop_oneof![6 => (0_i64..4).prop_map(|wh| wh * 70), 1 => Just(-1)];
    let off = prop::bool::weighted(0.05);
    let edit = (
        prop::sample::select(METERS.to_vec()),
        any_quarter(),
        energy,
        prop::option::of(0_i64..3),
        off,
    )
        .prop_map(|(id, quarter, import_wh, export_wh, off)| Edit {
            meter_id: MeterId::parse(id).unwrap(),
            interval_end: quarter_end(quarter).plus(i64::from(off)),
            import_wh,
            export_wh,
        });
    prop::collection::vec(edit, 1..4).prop_map(|edits| Edits {
        person: "A. Kulkarni".to_owned(),
        reason: "read from the display".to_owned(),
        edits,
    })
}

fn any_said() -> impl Strategy<Value = Said> {
    let id = || prop::sample::select(METERS.to_vec());
    let wh = || prop::option::of(0_i64..3);
    let register = (any_quarter(), wh(), wh(), prop::bool::weighted(0.1)).prop_map(
        |(quarter, import_wh, export_wh, bad)| RegisterRead {
            at: quarter_end(quarter),
            import_wh: if bad { Some(-1) } else { import_wh },
            export_wh,
        },
    );
    let event = (
        any_minute(),
        prop::sample::select(vec![101, 101, 101, 102, 102, 102, 301, 302, 304, 7]),
        prop::option::of(0_i64..2),
    )
        .prop_map(|(at, code, sequence)| PowerEvent { at, code, sequence });
    prop_oneof![
        4 => any_master().prop_map(Said::Master),
        6 => (id(), prop::collection::vec(any_read(), 1..6)).prop_map(|(id, reads)| Said::Reads(id, reads)),
        2 => (id(), prop::collection::vec(register, 1..3)).prop_map(|(id, registers)| Said::Registers(id, registers)),
        2 => any_edits().prop_map(Said::Edits),
        4 => (id(), prop::collection::vec(event, 1..4)).prop_map(|(id, events)| Said::Events(id, events)),
        1 => any_plan().prop_map(Said::Plan),
        1 => any_cause().prop_map(Said::Cause),
        1 => any_bills().prop_map(Said::Bills),
        1 => any_filed(),
        1 => any_accounts().prop_map(Said::Accounts),
        1 => any_accountable(),
    ]
}

/// About the quarters that reads are of, to the minute, so that meters fail together and apart.
fn any_minute() -> impl Strategy<Value = UtcMicros> {
    let about = prop::sample::select(vec![0_i64, 1, 2, 3, 94, 95, 96, 97, 140]);
    let minute = prop::sample::select(vec![0_i64, 1, 4, 9]);
    (about, minute).prop_map(|(quarter, minute)| quarter_end(quarter).plus(minute * 60_000_000))
}

fn any_plan() -> impl Strategy<Value = PlanRows> {
    let node = prop::sample::select(vec!["T1", "F1", "F2", "Z"]);
    let class = prop::sample::select(PlannedClass::ALL.to_vec());
    let planned = (
        node.clone(),
        prop::sample::select(vec![1_i64, 95]),
        1_i64..5,
        class,
    )
        .prop_map(|(node, start, quarters, class)| PlannedOutageRow {
            node_id: node_id(node),
            start: quarter_end(start),
            end: quarter_end(start + quarters),
            class,
            reason: None,
            notice_at: None,
        });
    let hours = (
        prop::option::of(node),
        prop::sample::select(vec!["00:30", "01:00", "23:00"]),
    )
        .prop_map(|(node, to)| SupplyHoursRow {
            category: node.is_none().then(|| "LT-domestic".to_owned()),
            node_id: node.map(node_id),
            weekdays: Weekdays::ALL,
            from: "22:00".parse().unwrap(),
            to: to.parse().unwrap(),
            valid_from: LONG_AGO,
            valid_to: None,
        });
    prop_oneof![
        // No two rows of one key: a file with such is refused.
        2 => prop::collection::vec(planned, 1..3).prop_map(|mut rows| {
            rows.sort_by_key(|row| (row.node_id.clone(), row.start));
            rows.dedup_by_key(|row| (row.node_id.clone(), row.start));
            PlanRows::PlannedOutages(rows)
        }),
        1 => hours.prop_map(|row| PlanRows::SupplyHours(vec![row])),
    ]
}

fn any_cause() -> impl Strategy<Value = Cause> {
    let node = prop::sample::select(vec!["T1", "T2", "F1", "Z"]);
    let cause = prop::sample::select(vec!["tree", "fuse"]);
    let etr = prop::option::of(Just(quarter_end(100)));
    (node, any_minute(), cause, etr).prop_map(|(node, started_at, cause, etr)| Cause {
        outage_id: "as it was named then".to_owned(),
        node_id: node_id(node),
        started_at,
        person: "A. Rao".to_owned(),
        cause: Some(cause.to_owned()),
        fault_type: None,
        force_majeure: etr.map(|_| true),
        etr,
    })
}

/// Bills of the month of the reads and of the one before, no two of one consumer and month: a file with such is refused.
fn any_bills() -> impl Strategy<Value = Vec<BillingRow>> {
    let consumer = prop::sample::select(vec!["CA", "CB", "CC"]);
    let month = prop::sample::select(vec!["2026-03-01", "2026-04-01"]);
    let bill = (consumer, month, 1_i64..4).prop_map(|(consumer, month, size)| BillingRow {
        consumer_id: ConsumerId::parse(consumer).unwrap(),
        month: Day::parse(month).unwrap(),
        billed_wh: size * 1_000,
        billed_paise: size * 700,
        fixed_paise: (size > 1).then_some(size * 10_000),
        arrears_paise: None,
        subsidy_paise: (size == 3).then_some(450),
        collected_paise: (size < 3).then_some(size * 650),
    });
    prop::collection::vec(bill, 1..3).prop_map(|mut rows| {
        rows.sort_by_key(|row| (row.consumer_id.clone(), row.month));
        rows.dedup_by_key(|row| (row.consumer_id.clone(), row.month));
        rows
    })
}

/// A request, or a claim for an instant, an outage that may be there, or a request.
fn any_filed() -> impl Strategy<Value = Said> {
    let consumer = || {
        let id = prop::sample::select(vec!["CA", "CB", "CC"]);
        id.prop_map(|id| ConsumerId::parse(id).unwrap())
    };
    let id = || prop::sample::select(vec!["R1", "R2"]).prop_map(str::to_owned);
    let kind = prop::sample::select(vec![RequestKind::Connection, RequestKind::Disconnection]);
    let days = prop::option::of(0_i64..4);
    let request = (id(), consumer(), kind, any_minute(), days).prop_map(
        |(request_id, consumer_id, kind, opened_at, days)| {
            Said::Request(ServiceRequestRow {
                request_id,
                consumer_id,
                kind,
                opened_at,
                closed_at: days.map(|days| opened_at.plus(days * 24 * HOUR)),
            })
        },
    );
    let about = prop_oneof![
        4 => any_minute().prop_map(|at| format!("supply:{at}")),
        1 => id().prop_map(|id| format!("request:{id}")),
        1 => Just("period:frequency:2026-04-01".to_owned()),
    ];
    let upheld = prop::option::of(Just(quarter_end(400)));
    let claim = (id(), consumer(), about, upheld).prop_map(|(claim_id, consumer_id, about, upheld_at)| {
        Said::Claim(ClaimRow {
            claim_id,
            consumer_id,
            about: about.parse().unwrap(),
            filed_at: quarter_end(200),
            upheld_at,
        })
    });
    prop_oneof![request, claim]
}

fn any_accounts() -> impl Strategy<Value = DiscomAccountsRow> {
    (2025_i32..2027, 0_i64..3).prop_map(|(year, revenue)| DiscomAccountsRow {
        year: FinancialYear(year),
        sales_wh: 1_000_000,
        power_purchase_paise: 500_000,
        om_paise: 0,
        depreciation_paise: 0,
        interest_paise: 0,
        revenue_paise: revenue * 300_000,
        subsidy_paise: None,
    })
}

/// Who answers for feeders, or a version of one of two actions.
fn any_accountable() -> impl Strategy<Value = Said> {
    let feeder = || prop::sample::select(vec!["F1", "F2"]);
    let since = prop::sample::select(vec![LONG_AGO, quarter_end(2)]);
    let until = prop::option::weighted(0.3, Just(quarter_end(96)));
    let name = prop::sample::select(vec!["A. Rao", "S. Iyer"]);
    let manager = (feeder(), name, since, until).prop_map(|(feeder, name, valid_from, valid_to)| {
        Said::Managers(vec![FeederManagerRow {
            feeder_id: node_id(feeder),
            manager: name.to_owned(),
            contact: None,
            valid_from,
            valid_to,
        }])
    });
    let status = prop::sample::select(vec![ActionStatus::Open, ActionStatus::Withdrawn]);
    let action = (feeder(), prop::sample::select(vec!["1", "2"]), status).prop_map(|(feeder, id, status)| {
        Said::Action(FeederAction {
            action_id: id.to_owned(),
            feeder_id: node_id(feeder),
            month: Day::parse("2026-04-01").unwrap(),
            person: "A. Rao".to_owned(),
            cause: "hooking".to_owned(),
            mitigation: None,
            starts_on: None,
            due_on: None,
            done_on: None,
            status,
        })
    });
    prop_oneof![manager, action]
}

/// What was said, each with when it was received.
pub(crate) type Told = Vec<(UtcMicros, Said)>;

/// Histories of which most are short, so that there can be many of them.
pub(crate) fn histories() -> impl Strategy<Value = Told> {
    prop_oneof![4 => history_of(3..12), 1 => history_of(12..28)]
}

/// Runs `check` over so many random cases, as many as `PROPTEST_CASES` says where that is set, and says how many on the error output,
/// which is shown whether or not somebody asks for it.
pub(crate) fn over<S: Strategy>(
    what: &str,
    cases: u32,
    strategy: S,
    check: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    const UNSET: u32 = 256;
    let chosen = ProptestConfig::default().cases;
    let cases = if chosen == UNSET { cases } else { chosen };
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    };
    let started = std::time::Instant::now();
    if let Err(error) = TestRunner::new(config).run(&strategy, check) {
        panic!("ORD-1 does not hold {what}: {error}");
    }
    let line = format!(
        "ORD-1: {cases} random histories {what} in {:.1} s\n",
        started.elapsed().as_secs_f64()
    );
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// A history: what was said, each with when it was received. Every fourth publish comes before the interval that it speaks of has
/// begun, so that some reads are of the future.
pub(crate) fn history() -> impl Strategy<Value = Told> {
    history_of(4..28)
}

/// A history of so many statements.
pub(crate) fn history_of(length: std::ops::Range<usize>) -> impl Strategy<Value = Told> {
    prop::collection::vec(any_said(), length).prop_map(|all| {
        let received = |at: usize, said: &Said| {
            let is_early = at.is_multiple_of(4)
                && !matches!(
                    said,
                    Said::Master(_)
                        | Said::Plan(_)
                        | Said::Cause(_)
                        | Said::Edits(_)
                        | Said::Bills(_)
                        | Said::Request(_)
                        | Said::Claim(_)
                        | Said::Accounts(_)
                        | Said::Managers(_)
                        | Said::Action(_)
                );
            // Some come days later: after gaps were estimated, and billed.
            let late = i64::from(at % 5 == 2) * 40 * HOUR + i64::from(at % 5 == 3) * 70 * HOUR;
            NOW.plus(i64::try_from(at).unwrap() + if is_early { -40 * HOUR } else { late })
        };
        let told = all.into_iter().enumerate();
        without_words_between(told.map(|(at, said)| (received(at, &said), said)).collect())
    })
}

/// Leaves out repetitions of a master row of whose key something else is said too. What is said again unchanged is not written, so that a
/// nightly import does not grow the tables; where a row recorded between the two comes only after a restart, it stands (README, limits).
fn without_words_between(mut told: Told) -> Told {
    let mut words: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let all: Vec<MasterRows> = told
        .iter()
        .filter_map(|(_, said)| {
            let Said::Master(rows) = said else { return None };
            Some(rows.clone())
        })
        .collect();
    for rows in &all {
        for (key, row) in keyed(rows) {
            words.entry(key).or_default().insert(row);
        }
    }
    let mut said_before: BTreeSet<String> = BTreeSet::new();
    for (_, said) in &mut told {
        let Said::Master(rows) = said else { continue };
        let mut keep = keyed(rows).into_iter().map(|(key, row)| {
            let is_first = said_before.insert(row);
            is_first || words[&key].len() == 1
        });
        let mut keep = || keep.next().unwrap();
        match rows {
            MasterRows::Nodes(rows) => rows.retain(|_| keep()),
            MasterRows::Meters(rows) => rows.retain(|_| keep()),
            MasterRows::Connections(rows) => rows.retain(|_| keep()),
        }
    }
    told
}

/// Key and text of each row.
fn keyed(rows: &MasterRows) -> Vec<(String, String)> {
    match rows {
        MasterRows::Nodes(rows) => rows
            .iter()
            .map(|row| (format!("{} {}", row.node_id, row.valid_from), format!("{row:?}")))
            .collect(),
        MasterRows::Meters(rows) => rows
            .iter()
            .map(|row| (format!("{} {}", row.meter_id, row.valid_from), format!("{row:?}")))
            .collect(),
        MasterRows::Connections(rows) => rows
            .iter()
            .map(|row| {
                (
                    format!("{} {:?} {}", row.consumer_id, row.meter_id, row.valid_from),
                    format!("{row:?}"),
                )
            })
            .collect(),
    }
}

pub(crate) fn bytes_of((at, said): &(UtcMicros, Said)) -> Vec<u8> {
    let mut publish = Publish::default();
    match said {
        Said::Master(rows) => return master_record(*at, rows),
        Said::Plan(rows) => {
            let mut bytes = Vec::new();
            record::encode_plan_rows(*at, "file:plan.csv", rows, &mut bytes).unwrap();
            return bytes;
        }
        Said::Cause(cause) => {
            let mut bytes = Vec::new();
            record::encode_cause(*at, cause, &mut bytes).unwrap();
            return bytes;
        }
        Said::Edits(edits) => {
            let mut bytes = Vec::new();
            record::encode_edits(*at, edits, &mut bytes).unwrap();
            return bytes;
        }
        Said::Bills(rows) => {
            let mut bytes = Vec::new();
            record::encode_billing(*at, "file:billing.csv", rows, &mut bytes).unwrap();
            return bytes;
        }
        Said::Request(row) => {
            let mut bytes = Vec::new();
            record::encode_requests(
                *at,
                "file:service_requests.csv",
                std::slice::from_ref(row),
                &mut bytes,
            )
            .unwrap();
            return bytes;
        }
        Said::Claim(row) => {
            let mut bytes = Vec::new();
            record::encode_claims(*at, "file:claims.csv", std::slice::from_ref(row), &mut bytes).unwrap();
            return bytes;
        }
        Said::Accounts(row) => {
            let mut bytes = Vec::new();
            record::encode_accounts(*at, "file:accounts.csv", std::slice::from_ref(row), &mut bytes).unwrap();
            return bytes;
        }
        Said::Managers(rows) => {
            let mut bytes = Vec::new();
            record::encode_managers(*at, "file:feeder_managers.csv", rows, &mut bytes).unwrap();
            return bytes;
        }
        Said::Action(action) => {
            let mut bytes = Vec::new();
            record::encode_action(*at, action, &mut bytes).unwrap();
            return bytes;
        }
        Said::Reads(id, reads) => {
            publish.begin_meter(id).unwrap();
            reads.iter().for_each(|read| publish.push_read(*read));
        }
        Said::Registers(id, registers) => {
            publish.begin_meter(id).unwrap();
            registers
                .iter()
                .for_each(|register| publish.push_register(*register));
        }
        Said::Events(id, events) => {
            publish.begin_meter(id).unwrap();
            events.iter().for_each(|event| publish.push_event(*event));
        }
    }
    publish_record(*at, &publish)
}

/// The same said in records of one row each.
pub(crate) fn split(all: &[(UtcMicros, Said)]) -> Vec<(UtcMicros, Said)> {
    let parts = |said: &Said| -> Vec<Said> {
        match said {
            Said::Master(MasterRows::Nodes(rows)) => rows
                .iter()
                .map(|row| Said::Master(MasterRows::Nodes(vec![row.clone()])))
                .collect(),
            Said::Master(MasterRows::Meters(rows)) => rows
                .iter()
                .map(|row| Said::Master(MasterRows::Meters(vec![row.clone()])))
                .collect(),
            Said::Master(MasterRows::Connections(rows)) => rows
                .iter()
                .map(|row| Said::Master(MasterRows::Connections(vec![row.clone()])))
                .collect(),
            Said::Reads(id, reads) => reads.iter().map(|read| Said::Reads(id, vec![*read])).collect(),
            Said::Registers(id, all) => all.iter().map(|one| Said::Registers(id, vec![*one])).collect(),
            Said::Events(id, all) => all.iter().map(|one| Said::Events(id, vec![*one])).collect(),
            Said::Plan(PlanRows::PlannedOutages(rows)) => rows
                .iter()
                .map(|row| Said::Plan(PlanRows::PlannedOutages(vec![row.clone()])))
                .collect(),
            Said::Plan(PlanRows::SupplyHours(rows)) => rows
                .iter()
                .map(|row| Said::Plan(PlanRows::SupplyHours(vec![row.clone()])))
                .collect(),
            Said::Cause(_)
            | Said::Request(_)
            | Said::Claim(_)
            | Said::Accounts(_)
            | Said::Managers(_)
            | Said::Action(_) => vec![said.clone()],
            Said::Bills(rows) => rows.iter().map(|row| Said::Bills(vec![row.clone()])).collect(),
            Said::Edits(edits) => edits
                .edits
                .iter()
                .map(|edit| {
                    Said::Edits(Edits {
                        edits: vec![edit.clone()],
                        ..edits.clone()
                    })
                })
                .collect(),
        }
    };
    all.iter()
        .flat_map(|(at, said)| parts(said).into_iter().map(|part| (*at, part)))
        .collect()
}
