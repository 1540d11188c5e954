//! What the tests of this folder share: regulations from their files, and short ways to write evidence.

use gridtally_schemas::{
    ConsumerId, Day, UtcMicros, Zone,
    network::{AreaClass, Supply},
};

use super::{
    Paise,
    document::Document,
    evidence::{Connection, Evidence, Interruption, Notice, OutageClass, Request, Scope, SupplyLoss},
    ledger::DefaultKey,
    regulation::Regulation,
    rule::{Decision, Nothing, RuleBook},
};

/// The files of `deploy/presets`.
pub(super) const PRESETS: [(&str, &str); 4] = [
    (
        "IN-MH-MERC-2021",
        include_str!("../../../deploy/presets/IN-MH-MERC-2021.toml"),
    ),
    (
        "IN-TG-TSERC-2016",
        include_str!("../../../deploy/presets/IN-TG-TSERC-2016.toml"),
    ),
    (
        "IN-DL-DERC-2018",
        include_str!("../../../deploy/presets/IN-DL-DERC-2018.toml"),
    ),
    (
        "IN-UP-UPERC-2019",
        include_str!("../../../deploy/presets/IN-UP-UPERC-2019.toml"),
    ),
];
/// The made-up regulation in which every key occurs.
pub(super) const EVERY_SHAPE: &str = include_str!("../../../tests/data/compensation/every_shape.toml");

pub(super) fn document(text: &str) -> Document {
    toml::from_str(text).unwrap()
}

pub(super) fn preset(name: &str) -> Regulation {
    let (_, text) = PRESETS.iter().find(|(preset, _)| *preset == name).unwrap();
    Regulation::check(&document(text)).unwrap()
}

/// The made-up regulation after a change to its text.
pub(super) fn every_shape(from: &str, to: &str) -> Regulation {
    assert!(EVERY_SHAPE.contains(from), "{from}");
    Regulation::check(&document(&EVERY_SHAPE.replacen(from, to, 1))).unwrap()
}

pub(super) fn book(regulations: impl IntoIterator<Item = Regulation>) -> RuleBook {
    RuleBook::new(Zone::kolkata(), regulations.into_iter().collect()).unwrap()
}

pub(super) fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

/// `2026-04-01T10:00`, India's time.
pub(super) fn at(text: &str) -> UtcMicros {
    UtcMicros::parse(&format!("{text}:00+05:30")).unwrap()
}

pub(super) fn minutes_after(from: UtcMicros, minutes: i64) -> UtcMicros {
    from.plus(minutes * 60_000_000)
}

/// Long after everything that the tests tell of.
pub(super) fn later() -> UtcMicros {
    at("2030-01-01T00:00")
}

pub(super) fn rupees(rupees: i64) -> Paise {
    Paise::from_rupees(rupees).unwrap()
}

pub(super) fn consumer() -> ConsumerId {
    ConsumerId::parse("C1").unwrap()
}

pub(super) const URBAN_LT: Connection = Connection {
    supply: Supply::Lt,
    area_class: Some(AreaClass::Urban),
};

pub(super) fn interruption(from: &str, minutes: i64) -> Interruption {
    Interruption {
        started_at: at(from),
        ended_at: Some(minutes_after(at(from), minutes)),
    }
}

/// A breakdown of an urban LT consumer's feeder, 100 consumers out.
pub(super) fn loss(outage_id: &str, from: &str, minutes: i64) -> SupplyLoss {
    SupplyLoss {
        outage_id: outage_id.to_owned(),
        class: OutageClass::Breakdown,
        notice: Notice::NotGiven,
        scope: Scope::Feeder,
        fault_type: None,
        consumers_affected: 100,
        exemptions: Vec::new(),
        outside_supply_hours: Vec::new(),
        connection: URBAN_LT,
        interruptions: vec![interruption(from, minutes)],
    }
}

pub(super) fn request(request_id: &str, kind: &str, opened: &str, closed: Option<&str>) -> Request {
    Request {
        request_id: request_id.to_owned(),
        kind: kind.to_owned(),
        opened_at: at(opened),
        closed_at: closed.map(at),
        connection: URBAN_LT,
        exemptions: Vec::new(),
    }
}

pub(super) fn evidence(losses: impl IntoIterator<Item = SupplyLoss>) -> Evidence {
    Evidence {
        losses: losses.into_iter().collect(),
        ..Evidence::none(consumer())
    }
}

pub(super) fn outage(outage_id: &str) -> DefaultKey {
    DefaultKey::Outage(outage_id.to_owned())
}

pub(super) fn period(standard: &str, first_day: &str) -> DefaultKey {
    DefaultKey::Period {
        standard: standard.to_owned(),
        first_day: day(first_day),
    }
}

pub(super) fn decide(book: &RuleBook, evidence: &Evidence) -> Vec<Decision> {
    book.decide(evidence, later()).unwrap()
}

pub(super) fn of(decisions: &[Decision], default: &DefaultKey) -> Decision {
    let found = decisions.iter().find(|decision| decision.default == *default);
    found
        .unwrap_or_else(|| panic!("no decision on {default}"))
        .clone()
}

/// What is owed for a single loss, in paise.
pub(super) fn owed(book: &RuleBook, loss: SupplyLoss) -> i64 {
    let key = outage(&loss.outage_id);
    of(&decide(book, &evidence([loss])), &key).amount().0
}

/// Why nothing is owed for a single loss.
pub(super) fn nothing(book: &RuleBook, loss: SupplyLoss) -> Nothing {
    let key = outage(&loss.outage_id);
    of(&decide(book, &evidence([loss])), &key).outcome.unwrap_err()
}
