//! Each preset beyond the oracle, by hand; and that the embedded files are sound.

use std::collections::BTreeMap;

use gridtally_schemas::network::{AreaClass, Supply};

use super::super::{
    coverage,
    evidence::{
        Claim, Connection, Evidence, Exemption, FinancialYear, Notice, OutageClass, Scope, SupplyLoss,
    },
    rig::{PRESETS, at, book, day, decide, evidence, loss, nothing, of, outage, owed, preset, rupees},
    rule::{Nothing, RuleBook, Unit},
};

fn on(area: AreaClass, supply: Supply) -> Connection {
    Connection {
        supply,
        area_class: Some(area),
    }
}

/// What a fault costs one LT consumer of an area after so many minutes, in rupees; `affected` consumers are out.
fn check(book: &RuleBook, fault: &str, cases: &[(AreaClass, u32, i64, i64)]) {
    for (area, affected, minutes, expected) in cases {
        let event = SupplyLoss {
            fault_type: Some(fault.to_owned()),
            consumers_affected: *affected,
            connection: on(*area, Supply::Lt),
            ..loss("O1", "2026-04-01T10:00", *minutes)
        };
        let paise = owed(book, event);
        assert_eq!(
            paise,
            expected * 100,
            "{fault} {area} {affected} affected, {minutes} min"
        );
    }
}

#[test]
fn every_preset_can_be_applied_and_is_named_as_its_file() {
    for (name, _) in PRESETS {
        let regulation = preset(name);
        assert_eq!(regulation.preset, name);
        let overlaps = coverage::problems(&regulation)
            .into_iter()
            .filter(coverage::Problem::is_overlap);
        assert_eq!(overlaps.count(), 0, "{name}");
        assert!(!regulation.provenance.is_empty());
    }
}

#[test]
fn maharashtra_by_fault_and_area() {
    let book = book([preset("IN-MH-MERC-2021")]);
    let (urban, metro, rural) = (AreaClass::Urban, AreaClass::Metro, AreaClass::Rural);
    check(
        &book,
        "fuse",
        &[
            (urban, 1, 180, 0),
            (urban, 1, 181, 50),
            (rural, 1, 1_080, 0),
            (rural, 1, 1_081, 50),
        ],
    );
    check(
        &book,
        "overhead_line",
        &[
            (metro, 9, 270, 50),
            (rural, 9, 24 * 60, 0),
            (rural, 9, 26 * 60, 100),
        ],
    );
    check(
        &book,
        "underground_cable",
        &[
            (urban, 9, 480, 0),
            (urban, 9, 481, 50),
            (rural, 9, 48 * 60 + 1, 50),
        ],
    );
    check(
        &book,
        "dt_failure",
        &[
            (urban, 9, 18 * 60, 0),
            (urban, 9, 19 * 60 + 1, 100),
            (rural, 9, 99 * 60, 500),
        ],
    );
}

#[test]
fn telangana_pays_by_default_and_by_the_number_affected() {
    let book = book([preset("IN-TG-TSERC-2016")]);
    let urban = AreaClass::Urban;
    check(
        &book,
        "overhead_line",
        &[
            (urban, 1, 360, 0),
            (urban, 1, 361, 200),
            (urban, 2, 361, 100),
            (urban, 2, 9_999, 100),
        ],
    );
    check(
        &book,
        "dt_failure",
        &[
            (urban, 1, 1_441, 400),
            (urban, 30, 1_441, 200),
            (AreaClass::Rural, 30, 2_880, 0),
        ],
    );
    // Fuse: 4 working hours. Wednesday 16:00 to Thursday 10:59 are 2 h + 2 h less a minute; a minute more is a default.
    let fuse = |minutes| SupplyLoss {
        fault_type: Some("fuse".to_owned()),
        consumers_affected: 1,
        ..loss("O1", "2026-04-01T16:00", minutes)
    };
    assert_eq!(owed(&book, fuse(19 * 60)), 0);
    assert_eq!(owed(&book, fuse(19 * 60 + 1)), 20_000);
}

#[test]
fn telangana_scheduled_outages_end_after_twelve_hours_and_by_six() {
    let book = book([preset("IN-TG-TSERC-2016")]);
    let planned = |from: &str, minutes| SupplyLoss {
        class: OutageClass::Planned,
        notice: Notice::Given,
        consumers_affected: 500,
        ..loss("O1", from, minutes)
    };
    assert_eq!(owed(&book, planned("2026-04-01T05:00", 720)), 0);
    assert_eq!(owed(&book, planned("2026-04-01T05:00", 721)), 20_000);
    assert_eq!(owed(&book, planned("2026-04-01T09:00", 540)), 0);
    assert_eq!(owed(&book, planned("2026-04-01T09:00", 541)), 20_000);
    // Without notice it is no scheduled outage: a feeder fault, 6 h.
    let unannounced = SupplyLoss {
        notice: Notice::NotGiven,
        ..planned("2026-04-01T09:00", 361)
    };
    assert_eq!(owed(&book, unannounced), 10_000);
}

#[test]
fn delhi_exempts_one_hour_a_day_and_raises_upheld_claims() {
    let book = book([preset("IN-DL-DERC-2018")]);
    let mut all = evidence([
        loss("A", "2026-04-01T08:00", 54),
        loss("B", "2026-04-01T12:00", 54),
        loss("C", "2026-04-02T00:30", 90),
    ]);
    let decisions = decide(&book, &all);
    let amounts = ["A", "B", "C"].map(|id| of(&decisions, &outage(id)).amount());
    assert_eq!(amounts, [rupees(0), rupees(50), rupees(50)]);
    let owed = of(&decisions, &outage("B")).outcome.unwrap();
    assert_eq!(
        (owed.grounds.limit_minutes, owed.grounds.default_minutes),
        (Some(0), Some(54))
    );
    assert_eq!(owed.due_by, Some(day("2026-06-30")));
    let upheld = |id: &str| Claim {
        claim_id: "C".to_owned(),
        default: outage(id),
        filed_at: at("2026-08-01T12:00"),
        upheld_at: Some(at("2026-09-01T12:00")),
    };
    all.losses.push(loss("D", "2026-04-03T00:00", 24 * 60));
    all.claims = vec![upheld("A"), upheld("B"), upheld("D")];
    let decisions = decide(&book, &all);
    // 24 h: 2 x 50 + 21 x 100 = 2,200; five times that. B: five times 50 is less than 5,000. A: nothing was owed.
    let amounts = ["A", "B", "D"].map(|id| of(&decisions, &outage(id)).amount());
    assert_eq!(amounts, [rupees(0), rupees(5_000), rupees(11_000)]);
}

#[test]
fn uttar_pradesh_pays_by_the_day_on_claim_up_to_its_share_of_the_fixed_charges() {
    let book = book([preset("IN-UP-UPERC-2019")]);
    let dt = |id: &str, from: &str, hours: i64| SupplyLoss {
        scope: Scope::Dt,
        connection: on(AreaClass::Class1, Supply::Lt),
        ..loss(id, from, hours * 60)
    };
    let claim = |id: &str| Claim {
        claim_id: "C".to_owned(),
        default: outage(id),
        filed_at: at("2026-06-01T12:00"),
        upheld_at: None,
    };
    let unclaimed = nothing(&book, dt("A", "2026-04-01T00:00", 31));
    assert_eq!(
        unclaimed,
        Nothing::NotClaimed {
            claimable: rupees(300)
        }
    );
    let all = Evidence {
        claims: ["A", "B", "C"].map(claim).to_vec(),
        fixed_charges: BTreeMap::from([(FinancialYear(2026), rupees(1_300))]),
        ..evidence([
            dt("C", "2026-05-09T00:00", 30),
            dt("A", "2026-04-01T00:00", 31),
            dt("B", "2026-05-01T00:00", 20),
        ])
    };
    let decisions = decide(&book, &all);
    // 25 h and 14 h beyond 6 h: two days and one. 30 % of 1,300 are 390: A takes 300, B the rest, C nothing.
    let amounts = ["A", "B"].map(|id| of(&decisions, &outage(id)).amount());
    assert_eq!(amounts, [rupees(300), rupees(90)]);
    assert_eq!(
        of(&decisions, &outage("C")).outcome.unwrap_err(),
        Nothing::YearCapReached
    );
    let owed = of(&decisions, &outage("A")).outcome.unwrap();
    assert_eq!(owed.due_by, Some(day("2026-07-31")));
    let without_charges = Evidence {
        fixed_charges: BTreeMap::new(),
        ..all
    };
    let owed = of(&decide(&book, &without_charges), &outage("C"))
        .outcome
        .unwrap();
    assert_eq!((owed.amount, owed.working.year_cap_unknown), (rupees(150), true));
}

#[test]
fn gaps_and_exemptions_say_so() {
    let merc = book([preset("IN-MH-MERC-2021")]);
    let up = book([preset("IN-UP-UPERC-2019")]);
    let event = || loss("O1", "2026-04-01T10:00", 3_000);
    let exempt = |exemption| SupplyLoss {
        exemptions: vec![exemption],
        ..event()
    };
    for exemption in Exemption::ALL {
        assert_eq!(
            nothing(&merc, exempt(*exemption)),
            Nothing::Exempt {
                exemption: *exemption
            }
        );
    }
    let planned = SupplyLoss {
        class: OutageClass::Planned,
        notice: Notice::Given,
        ..event()
    };
    let exemption = Exemption::PlannedWithNotice;
    assert_eq!(nothing(&merc, planned), Nothing::Exempt { exemption });
    let rostering = SupplyLoss {
        class: OutageClass::ScheduledRostering,
        ..event()
    };
    assert_eq!(nothing(&merc, rostering), Nothing::NotCovered);
    assert_eq!(nothing(&up, event()), Nothing::NoFaultType);
    let nowhere = SupplyLoss {
        connection: Connection {
            supply: Supply::Lt,
            area_class: None,
        },
        ..event()
    };
    assert_eq!(nothing(&merc, nowhere), Nothing::AreaUnknown);
    let class1 = SupplyLoss {
        connection: on(AreaClass::Class1, Supply::Lt),
        ..event()
    };
    assert_eq!(nothing(&merc, class1), Nothing::NoLimit);
    assert_eq!(
        nothing(&merc, loss("O1", "2021-02-24T23:59", 3_000)),
        Nothing::NoRegulation
    );
    let kept = Nothing::WithinLimit {
        measured: 240,
        allowed: 240,
        unit: Unit::Minutes,
    };
    assert_eq!(nothing(&merc, loss("O1", "2026-04-01T10:00", 240)), kept);
}
