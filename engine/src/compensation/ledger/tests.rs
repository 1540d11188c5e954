use super::*;
use crate::compensation::{
    evidence::{Evidence, Interruption, SupplyLoss},
    rig::{at, book, consumer, every_shape, evidence, later, loss, outage, preset, rupees},
    rule::RuleBook,
};

fn merc() -> RuleBook {
    book([preset("IN-MH-MERC-2021")])
}

/// Decides, plans and applies at an instant; what was added as (kind, paise), and how many entries became due.
fn step(
    ledger: &mut Ledger,
    book: &RuleBook,
    evidence: &Evidence,
    now: UtcMicros,
) -> (Vec<(EntryKind, i64)>, usize) {
    let decisions = book.decide(evidence, now).unwrap();
    let plan = ledger.plan(&evidence.consumer_id, &decisions, now).unwrap();
    ledger.apply(&plan).unwrap();
    let again = ledger.plan(&evidence.consumer_id, &decisions, now).unwrap();
    assert!(
        again.is_empty(),
        "a plan carried out leaves nothing to do: {again:?}"
    );
    let added = plan
        .entries
        .iter()
        .map(|entry| (entry.content.kind, entry.content.amount.0));
    (added.collect(), plan.due.len())
}

fn running() -> SupplyLoss {
    SupplyLoss {
        interruptions: vec![Interruption {
            started_at: at("2026-04-01T10:00"),
            ended_at: None,
        }],
        ..loss("O1", "2026-04-01T10:00", 0)
    }
}

#[test]
fn an_outage_accrues_by_the_hour_and_is_due_when_it_ends() {
    let (mut ledger, book) = (Ledger::default(), merc());
    let all = evidence([running()]);
    assert_eq!(
        step(&mut ledger, &book, &all, at("2026-04-01T14:00")),
        (vec![], 0)
    );
    let first = step(&mut ledger, &book, &all, at("2026-04-01T14:01"));
    assert_eq!(first, (vec![(EntryKind::Accrual, 5_000)], 0));
    assert_eq!(
        step(&mut ledger, &book, &all, at("2026-04-01T15:00")),
        (vec![], 0)
    );
    let second = step(&mut ledger, &book, &all, at("2026-04-01T15:01"));
    assert_eq!(second, (vec![(EntryKind::Adjustment, 5_000)], 0));
    let over = evidence([loss("O1", "2026-04-01T10:00", 330)]);
    assert_eq!(
        step(&mut ledger, &book, &over, at("2026-04-01T16:00")),
        (vec![], 2)
    );
    let entries: Vec<(Entry, Standing)> = ledger
        .entries(&consumer())
        .map(|(entry, standing)| (entry.clone(), standing))
        .collect();
    assert!(entries.iter().all(|(_, standing)| standing.status == Status::Due));
    assert_eq!(
        entries[1].0.content.explains.as_ref(),
        Some(&entries[0].0.entry_id)
    );
    assert_eq!(ledger.sum(&consumer(), &outage("O1")), Some(rupees(100)));
}

#[test]
fn a_recorded_cause_adds_the_difference_and_edits_nothing() {
    let (mut ledger, book) = (Ledger::default(), merc());
    let seen = evidence([loss("O1", "2026-04-01T10:00", 600)]);
    assert_eq!(
        step(&mut ledger, &book, &seen, later()),
        (vec![(EntryKind::Accrual, 30_000)], 1)
    );
    let (first, _) = ledger
        .entries(&consumer())
        .next()
        .map(|(entry, at)| (entry.clone(), at))
        .unwrap();
    let cable = evidence([SupplyLoss {
        fault_type: Some("underground_cable".to_owned()),
        ..loss("O1", "2026-04-01T10:00", 600)
    }]);
    assert_eq!(
        step(&mut ledger, &book, &cable, later()),
        (vec![(EntryKind::Adjustment, -20_000)], 1)
    );
    assert_eq!(
        ledger.entries(&consumer()).next().map(|(entry, _)| entry),
        Some(&first)
    );
    let (last, _) = ledger.entries(&consumer()).last().unwrap();
    assert_eq!(last.content.grounds.limit_minutes, Some(480));
}

#[test]
fn force_majeure_reverses_and_its_withdrawal_accrues_anew() {
    let (mut ledger, book) = (Ledger::default(), merc());
    let owed = evidence([loss("O1", "2026-04-01T10:00", 600)]);
    let storm = evidence([SupplyLoss {
        exemptions: vec![crate::compensation::evidence::Exemption::ForceMajeure],
        ..loss("O1", "2026-04-01T10:00", 600)
    }]);
    assert_eq!(
        step(&mut ledger, &book, &owed, later()).0,
        [(EntryKind::Accrual, 30_000)]
    );
    assert_eq!(
        step(&mut ledger, &book, &storm, later()),
        (vec![(EntryKind::Reversal, -30_000)], 1)
    );
    assert_eq!(
        step(&mut ledger, &book, &owed, later()).0,
        [(EntryKind::Accrual, 30_000)]
    );
    // The evidence is gone altogether: the same.
    assert_eq!(
        step(&mut ledger, &book, &evidence([]), later()).0,
        [(EntryKind::Reversal, -30_000)]
    );
    let ids: std::collections::BTreeSet<EntryId> = ledger
        .entries(&consumer())
        .map(|(entry, _)| entry.entry_id.clone())
        .collect();
    assert_eq!(
        ids.len(),
        4,
        "each entry has its own id, the repeated accrual too"
    );
}

#[test]
fn other_grounds_for_the_same_amount_are_put_on_record() {
    let mut ledger = Ledger::default();
    let all = evidence([loss("O1", "2026-04-01T10:00", 1_200)]);
    let first = every_shape("TEST", "TEST");
    assert_eq!(
        step(&mut ledger, &book([first.clone()]), &all, later()).0,
        [(EntryKind::Accrual, 30_000)]
    );
    let mut edition = first.clone();
    edition.revision += 1;
    assert_eq!(step(&mut ledger, &book([edition]), &all, later()).0, []);
    let mut clause = first;
    clause.standards[0].limits[1].clause = "1(b), renumbered".to_owned();
    assert_eq!(
        step(&mut ledger, &book([clause]), &all, later()).0,
        [(EntryKind::Adjustment, 0)]
    );
}

#[test]
fn ids_do_not_depend_on_when_an_entry_was_made() {
    let make = |now| {
        let mut ledger = Ledger::default();
        step(
            &mut ledger,
            &merc(),
            &evidence([loss("O1", "2026-04-01T10:00", 600)]),
            now,
        );
        let (entry, _) = ledger.entries(&consumer()).next().unwrap();
        entry.clone()
    };
    let (one, other) = (make(at("2026-05-01T00:00")), make(later()));
    assert_eq!((&one.entry_id, &one.content), (&other.entry_id, &other.content));
    assert_ne!(one.created_at, other.created_at);
    // Written down, so that a change of what an id is made of does not pass unseen: billing systems hold these ids.
    assert_eq!(one.entry_id.as_str(), "CEca5b130e6a457959db9d3f3755285a65");
    let mut ledger = Ledger::default();
    assert_eq!(ledger.add(one.clone()), Ok(Added::New));
    assert_eq!(ledger.add(other), Ok(Added::Known));
    assert_eq!(
        ledger.entries(&consumer()).next().map(|(entry, _)| entry),
        Some(&one)
    );
}

#[test]
fn an_entry_whose_content_is_not_that_of_its_id_is_refused() {
    let mut ledger = Ledger::default();
    step(
        &mut ledger,
        &merc(),
        &evidence([loss("O1", "2026-04-01T10:00", 600)]),
        later(),
    );
    let (entry, _) = ledger.entries(&consumer()).next().unwrap();
    let mut forged = entry.clone();
    forged.content.amount = rupees(3_000);
    let entry_id = forged.entry_id.clone();
    assert_eq!(ledger.add(forged), Err(LedgerError::Changed { entry_id }));
}

#[test]
fn a_status_moves_one_way_and_keeps_its_day() {
    let mut ledger = Ledger::default();
    step(
        &mut ledger,
        &merc(),
        &evidence([loss("O1", "2026-04-01T10:00", 600)]),
        later(),
    );
    let entry_id = ledger.entries(&consumer()).next().unwrap().0.entry_id.clone();
    let due_by = Some(Day(20_000));
    let to = |status, due_by| Standing { status, due_by };
    ledger.advance(&entry_id, to(Status::Exported, due_by)).unwrap();
    ledger.advance(&entry_id, to(Status::Due, Some(Day(1)))).unwrap();
    ledger
        .advance(&entry_id, to(Status::Credited, Some(Day(2))))
        .unwrap();
    let (_, standing) = ledger.entries(&consumer()).next().unwrap();
    assert_eq!(standing, to(Status::Credited, due_by));
    let unknown = Entry::new(
        Content {
            sequence: 9,
            ..ledger.entries(&consumer()).next().unwrap().0.content.clone()
        },
        later(),
    );
    let missing = ledger.advance(&unknown.entry_id, to(Status::Due, None));
    assert_eq!(
        missing,
        Err(LedgerError::Unknown {
            entry_id: unknown.entry_id
        })
    );
}

#[test]
fn what_was_credited_is_set_right_by_an_entry_of_its_own() {
    let (mut ledger, book) = (Ledger::default(), merc());
    step(
        &mut ledger,
        &book,
        &evidence([loss("O1", "2026-04-01T10:00", 600)]),
        later(),
    );
    let entry_id = ledger.entries(&consumer()).next().unwrap().0.entry_id.clone();
    let credited = Standing {
        status: Status::Credited,
        due_by: None,
    };
    ledger.advance(&entry_id, credited).unwrap();
    let longer = evidence([loss("O1", "2026-04-01T10:00", 660)]);
    assert_eq!(
        step(&mut ledger, &book, &longer, later()),
        (vec![(EntryKind::Adjustment, 5_000)], 1)
    );
    let standings: Vec<Status> = ledger
        .entries(&consumer())
        .map(|(_, standing)| standing.status)
        .collect();
    assert_eq!(standings, [Status::Credited, Status::Due]);
}

#[test]
fn two_hands_that_wrote_one_chain_are_set_right() {
    let book = merc();
    let (mut one, mut other) = (Ledger::default(), Ledger::default());
    step(
        &mut one,
        &book,
        &evidence([loss("O1", "2026-04-01T10:00", 600)]),
        later(),
    );
    step(
        &mut other,
        &book,
        &evidence([loss("O1", "2026-04-01T10:00", 540)]),
        later(),
    );
    for (entry, _) in other.entries(&consumer()) {
        one.add(entry.clone()).unwrap();
    }
    assert_eq!(one.sum(&consumer(), &outage("O1")), Some(rupees(550)));
    step(
        &mut one,
        &book,
        &evidence([loss("O1", "2026-04-01T10:00", 600)]),
        later(),
    );
    assert_eq!(one.sum(&consumer(), &outage("O1")), Some(rupees(300)));
}

#[test]
fn a_sum_that_cannot_be_held_is_an_error() {
    let mut ledger = Ledger::default();
    step(
        &mut ledger,
        &merc(),
        &evidence([loss("O1", "2026-04-01T10:00", 600)]),
        later(),
    );
    let content = ledger.entries(&consumer()).next().unwrap().0.content.clone();
    for sequence in 2..4 {
        let huge = Content {
            sequence,
            amount: Paise(i64::MAX / 2),
            ..content.clone()
        };
        ledger.add(Entry::new(huge, later())).unwrap();
    }
    assert_eq!(ledger.sum(&consumer(), &outage("O1")), None);
    let plan = ledger.plan(&consumer(), &[], later());
    let too_large = LedgerError::TooLarge {
        consumer_id: consumer(),
        default: outage("O1"),
    };
    assert_eq!(plan, Err(too_large));
}

#[test]
fn defaults_survive_the_way_through_text() {
    let keys = [
        outage("O:1"),
        DefaultKey::Request("R1".to_owned()),
        DefaultKey::Period {
            standard: "voltage-days".to_owned(),
            first_day: Day::parse("2026-04-01").unwrap(),
        },
    ];
    for key in keys {
        assert_eq!(key.to_string().parse(), Ok(key));
    }
    for text in [
        "outage:",
        "request:",
        "period:voltage",
        "period:voltage:April",
        "meter:M1",
        "",
    ] {
        assert!(text.parse::<DefaultKey>().is_err(), "{text}");
    }
}
