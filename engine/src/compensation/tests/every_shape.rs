//! The made-up regulation, worked by hand: losses of supply by every shape, clock, cap and date.

use gridtally_schemas::{
    UtcMicros,
    network::{AreaClass, Supply},
};

use super::super::{
    evidence::{
        Claim, Connection, Evidence, Exemption, FinancialYear, Interruption, Notice, OutageClass, Scope,
        Span, SupplyLoss,
    },
    ledger::DefaultKey,
    rig::{
        at, book, day, decide, every_shape, evidence, interruption, loss, minutes_after, nothing, of, outage,
        owed, request, rupees,
    },
    rule::{FaultBy, Nothing, RuleBook, Unit},
};

fn whole() -> RuleBook {
    book([every_shape("TEST", "TEST")])
}

fn fault(fault: &str, from: &str, minutes: i64) -> SupplyLoss {
    SupplyLoss {
        fault_type: Some(fault.to_owned()),
        ..loss("O1", from, minutes)
    }
}

#[test]
fn per_hour_with_paise_a_cap_and_another_rate_for_ht() {
    let book = whole();
    let line = |minutes| loss("O1", "2026-04-01T10:00", minutes);
    for (minutes, paise) in [
        (240, 0),
        (241, 3_750),
        (300, 3_750),
        (301, 7_500),
        (720, 30_000),
        (2_000, 30_000),
    ] {
        assert_eq!(owed(&book, line(minutes)), paise, "{minutes} min");
    }
    let ht = SupplyLoss {
        connection: Connection {
            supply: Supply::Ht,
            area_class: Some(AreaClass::Urban),
        },
        ..line(2_000)
    };
    assert_eq!(owed(&book, ht), 300_000);
    let rural = SupplyLoss {
        connection: Connection {
            supply: Supply::Lt,
            area_class: Some(AreaClass::Rural),
        },
        ..line(91)
    };
    assert_eq!(owed(&book, rural), 3_750);
}

#[test]
fn a_second_beyond_the_limit_is_an_hour_of_delay() {
    let mut event = loss("O1", "2026-04-01T10:00", 240);
    event.interruptions[0].ended_at = Some(minutes_after(at("2026-04-01T10:00"), 240).plus(1_000_000));
    assert_eq!(owed(&whole(), event), 3_750);
}

#[test]
fn per_block_on_working_hours() {
    let book = whole();
    // Monday 13 April, 15:00; the 14th is a holiday; so the 4 working hours end on Wednesday at 11:00.
    let until = |to: &str| {
        let event = fault("fuse", "2026-04-13T15:00", 0);
        SupplyLoss {
            interruptions: vec![Interruption {
                started_at: at("2026-04-13T15:00"),
                ended_at: Some(at(to)),
            }],
            ..event
        }
    };
    assert_eq!(owed(&book, until("2026-04-15T11:00")), 0);
    assert_eq!(owed(&book, until("2026-04-15T11:01")), 3_000);
    assert_eq!(owed(&book, until("2026-04-15T13:00")), 3_000);
    assert_eq!(owed(&book, until("2026-04-15T13:01")), 6_000);
    assert_eq!(owed(&book, until("2026-04-15T23:59")), 9_000);
    let decision = of(
        &decide(&book, &evidence([until("2026-04-15T13:01")])),
        &outage("O1"),
    );
    let owed = decision.outcome.unwrap();
    assert_eq!(
        (
            owed.grounds.clause.as_str(),
            owed.grounds.limit_minutes,
            owed.grounds.default_minutes
        ),
        ("1(a)", Some(240), Some(121))
    );
}

#[test]
fn per_day_and_one_or_many_affected() {
    let book = whole();
    let cable = |minutes| fault("underground_cable", "2026-04-01T10:00", minutes);
    for (hours, inr) in [(24, 0), (25, 150), (48, 150), (49, 300)] {
        assert_eq!(owed(&book, cable(hours * 60)), inr * 100, "{hours} h");
    }
    let dt = |affected| SupplyLoss {
        scope: Scope::Dt,
        consumers_affected: affected,
        ..loss("O1", "2026-04-01T10:00", 361)
    };
    assert_eq!(owed(&book, dt(1)), 40_000);
    assert_eq!(owed(&book, dt(2)), 20_000);
}

#[test]
fn a_limit_changes_on_its_date_and_not_before() {
    let book = whole();
    assert_eq!(owed(&book, loss("O1", "2026-06-30T23:59", 240)), 0);
    assert_eq!(owed(&book, loss("O1", "2026-07-01T00:00", 240)), 3_750);
    let decisions = decide(&book, &evidence([loss("O1", "2026-07-01T00:00", 240)]));
    let clause = of(&decisions, &outage("O1")).outcome.unwrap().grounds.clause;
    assert_eq!(clause, "1(b) as amended");
}

#[test]
fn a_new_regulation_takes_effect_on_its_date_and_touches_nothing_before() {
    let old = every_shape("TEST", "TEST");
    let mut new = every_shape("TEST-EVERY-SHAPE", "TEST-SECOND");
    new.valid.from = day("2026-05-01");
    for standard in &mut new.standards {
        for limit in &mut standard.limits {
            limit.applies.valid.from = limit.applies.valid.from.max(new.valid.from);
        }
    }
    let (alone, both) = (book([old.clone()]), book([new, old]));
    let before = evidence([loss("O1", "2026-04-30T23:00", 600)]);
    assert_eq!(decide(&alone, &before), decide(&both, &before));
    let after = of(
        &decide(&both, &evidence([loss("O1", "2026-05-01T00:00", 600)])),
        &outage("O1"),
    );
    assert_eq!(after.outcome.unwrap().grounds.regulation, "TEST-SECOND");
}

#[test]
fn tiers_grace_and_uplift_of_load_shedding() {
    let book = whole();
    let shed = |id: &str, from: &str, minutes| SupplyLoss {
        class: OutageClass::EmergencyRostering,
        ..loss(id, from, minutes)
    };
    let all = Evidence {
        claims: vec![Claim {
            claim_id: "C".to_owned(),
            default: outage("B"),
            filed_at: at("2026-04-20T00:00"),
            upheld_at: Some(at("2026-05-20T00:00")),
        }],
        ..evidence([
            // In any order: the first of the day takes the grace, although it needs only a part of it.
            shed("B", "2026-04-01T20:00", 61),
            shed("A", "2026-04-01T06:00", 10),
            shed("C", "2026-04-02T06:00", 60 + 150),
        ])
    };
    let decisions = decide(&book, &all);
    assert_eq!(
        of(&decisions, &outage("A")).outcome.unwrap_err(),
        Nothing::WithinLimit {
            measured: 10,
            allowed: 60,
            unit: Unit::Minutes
        }
    );
    let upheld = of(&decisions, &outage("B")).outcome.unwrap();
    assert_eq!(
        (upheld.amount, upheld.working.by_rate, upheld.working.uplifted),
        (rupees(5_000), rupees(100), true)
    );
    let tiered = of(&decisions, &outage("C")).outcome.unwrap();
    assert_eq!((tiered.amount, tiered.working.grace_minutes), (rupees(200), 60));
}

#[test]
fn scheduled_outages_too_long_or_too_late() {
    let book = whole();
    let planned = |from: &str, minutes| SupplyLoss {
        class: OutageClass::Planned,
        notice: Notice::Given,
        ..loss("O1", from, minutes)
    };
    let cases = [
        ("2026-04-01T10:00", 360, 0, 0, 0),
        ("2026-04-01T10:00", 361, 20, 360, 1),   // too long
        ("2026-04-01T16:00", 180, 20, 120, 60),  // an hour past 18:00
        ("2026-04-01T13:00", 480, 60, 300, 180), // 3 h past 18:00 outweigh 2 h too long
        ("2026-04-01T20:00", 61, 40, 0, 61),     // begun too late: all of it
    ];
    for (from, minutes, inr, limit, beyond) in cases {
        let decision = of(&decide(&book, &evidence([planned(from, minutes)])), &outage("O1"));
        assert_eq!(decision.amount(), rupees(inr), "{from} {minutes} min");
        if let Ok(owed) = decision.outcome {
            let grounds = owed.grounds;
            assert_eq!(
                (grounds.limit_minutes, grounds.default_minutes),
                (Some(limit), Some(beyond)),
                "{from}"
            );
        }
    }
}

#[test]
fn steps_of_one_outage_are_summed_and_repeats_count_once() {
    let book = whole();
    let stepped = SupplyLoss {
        interruptions: vec![
            interruption("2026-04-01T14:00", 120),
            interruption("2026-04-01T10:00", 180),
            interruption("2026-04-01T10:00", 180),
            interruption("2026-04-01T12:00", 30),
        ],
        ..loss("O1", "2026-04-01T10:00", 0)
    };
    // 3 h and 2 h: one hour beyond four.
    assert_eq!(owed(&book, stepped), 3_750);
}

#[test]
fn hours_outside_supply_do_not_count() {
    let night = Span {
        from: at("2026-04-01T12:00"),
        to: at("2026-04-02T08:00"),
    };
    let event = |minutes| SupplyLoss {
        outside_supply_hours: vec![night],
        ..loss("O1", "2026-04-01T10:00", minutes)
    };
    // 2 h before and, of 24 h, 2 h after: no more than four.
    assert_eq!(owed(&whole(), event(24 * 60)), 0);
    assert_eq!(owed(&whole(), event(24 * 60 + 1)), 3_750);
}

#[test]
fn the_crews_word_decides_before_the_scope_and_an_unknown_word_does_not() {
    let book = whole();
    let said = |word: Option<&str>| {
        let event = SupplyLoss {
            fault_type: word.map(str::to_owned),
            ..loss("O1", "2026-04-01T10:00", 361)
        };
        of(&decide(&book, &evidence([event])), &outage("O1"))
            .outcome
            .unwrap()
            .working
            .fault_type
            .unwrap()
    };
    assert_eq!(
        (said(None).word.as_str(), said(None).by),
        ("overhead_line", FaultBy::Scope)
    );
    let crew = said(Some("dt_failure"));
    assert_eq!((crew.word.as_str(), crew.by), ("dt_failure", FaultBy::Crew));
    let unknown = said(Some("gremlins"));
    assert_eq!(
        (unknown.word.as_str(), unknown.by),
        ("overhead_line", FaultBy::ScopeForUnknownWord)
    );
}

#[test]
fn what_runs_accrues_until_the_instant_asked_for_and_has_no_due_day() {
    let book = whole();
    let running = SupplyLoss {
        interruptions: vec![Interruption {
            started_at: at("2026-04-01T10:00"),
            ended_at: None,
        }],
        ..loss("O1", "2026-04-01T10:00", 0)
    };
    let all = evidence([running]);
    let amount_at = |instant: UtcMicros| of(&book.decide(&all, instant).unwrap(), &outage("O1"));
    assert_eq!(amount_at(at("2026-04-01T09:00")).amount(), rupees(0));
    assert_eq!(amount_at(at("2026-04-01T14:00")).amount(), rupees(0));
    let owed = amount_at(at("2026-04-01T15:30")).outcome.unwrap();
    assert_eq!((owed.amount.0, owed.over, owed.due_by), (7_500, false, None));
    let ended = of(
        &decide(&book, &evidence([loss("O1", "2026-04-01T10:00", 330)])),
        &outage("O1"),
    );
    let owed = ended.outcome.unwrap();
    assert_eq!(
        (owed.amount.0, owed.over, owed.due_by),
        (7_500, true, Some(day("2026-06-30")))
    );
}

#[test]
fn planned_work_without_notice_is_a_breakdown_and_with_notice_a_scheduled_outage() {
    let book = whole();
    let planned = |notice| SupplyLoss {
        class: OutageClass::Planned,
        notice,
        ..loss("O1", "2026-04-01T08:00", 400)
    };
    let standard = |notice| {
        let decision = of(&decide(&book, &evidence([planned(notice)])), &outage("O1"));
        decision.outcome.unwrap().grounds.standard
    };
    assert_eq!(standard(Notice::NotGiven), "no-supply");
    assert_eq!(standard(Notice::Given), "scheduled");
    let stormy = SupplyLoss {
        exemptions: vec![Exemption::ForceMajeure],
        ..planned(Notice::Given)
    };
    let exemption = Exemption::ForceMajeure;
    assert_eq!(nothing(&book, stormy), Nothing::Exempt { exemption });
}

#[test]
fn the_cap_of_the_year_is_used_up_in_the_order_in_which_defaults_began() {
    let cap = "[year_cap]\nfixed_charges_pct = 30\nclause = \"8\"\n\n[scope]";
    let book = book([every_shape("[scope]", cap)]);
    let all = Evidence {
        requests: vec![request(
            "R",
            "connection",
            "2026-04-01T10:00",
            Some("2026-08-01T10:00"),
        )],
        fixed_charges: [
            (FinancialYear(2025), rupees(9)),
            (FinancialYear(2026), rupees(4_000)),
        ]
        .into(),
        ..evidence([
            loss("O1", "2026-04-20T10:00", 2_000),
            loss("O2", "2026-03-31T23:59", 2_000),
        ])
    };
    let decisions = decide(&book, &all);
    let request = of(&decisions, &DefaultKey::Request("R".to_owned()));
    let (outage, before) = (of(&decisions, &outage("O1")), of(&decisions, &outage("O2")));
    // 30 % of 4,000 are 1,200; the year before has its own cap, 2.70.
    assert_eq!(
        (request.amount(), outage.amount(), before.amount().0),
        (rupees(1_000), rupees(200), 270)
    );
    assert_eq!(outage.outcome.unwrap().working.year_cap_left, Some(rupees(200)));
}
