use super::*;
use crate::compensation::{
    evidence::SupplyLoss,
    rig::{at, book, consumer, day, every_shape, evidence, later, loss, outage, request},
};

#[test]
fn a_book_refuses_contradictions_and_two_regulations_of_one_day() {
    let zone = Zone::kolkata();
    let plain = every_shape("TEST", "TEST");
    let overlap = every_shape(
        r#"{ fault = ["dt_failure"], hours = 6 },"#,
        r#"{ fault = ["dt_failure"], hours = 6 }, { fault = ["dt_failure"], area = ["rural"], hours = 8 },"#,
    );
    let error = RuleBook::new(zone.clone(), vec![overlap]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "regulation TEST-EVERY-SHAPE contradicts itself: overlap: standard `no-supply`: more than one limit for dt_failure, \
         rural, LT from 2026-01-01"
    );
    let error = RuleBook::new(zone, vec![plain.clone(), plain]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "regulations TEST-EVERY-SHAPE and TEST-EVERY-SHAPE both begin on 2026-01-01"
    );
}

#[test]
fn a_regulation_holds_from_its_first_day_to_before_its_last() {
    let mut ended = every_shape("TEST", "TEST");
    ended.valid.to = Some(day("2026-05-01"));
    let book = book([ended]);
    let holds = |text: &str| book.on(day(text)).is_some();
    assert_eq!(
        ["2025-12-31", "2026-01-01", "2026-04-30", "2026-05-01"].map(holds),
        [false, true, true, false]
    );
}

#[test]
fn evidence_that_names_one_default_twice_is_refused() {
    let book = book([every_shape("TEST", "TEST")]);
    let twice = evidence([
        loss("O1", "2026-04-01T10:00", 10),
        loss("O1", "2026-04-02T10:00", 10),
    ]);
    let repeated = RuleError::Repeated {
        default: outage("O1"),
    };
    assert_eq!(book.decide(&twice, later()), Err(repeated));
    let mut twice = Evidence::none(consumer());
    twice.requests = vec![request("R", "connection", "2026-04-01T10:00", None); 2];
    let repeated = RuleError::Repeated {
        default: DefaultKey::Request("R".to_owned()),
    };
    assert_eq!(book.decide(&twice, later()), Err(repeated));
}

#[test]
fn an_amount_that_cannot_be_held_names_its_default() {
    let mut regulation = every_shape("TEST", "TEST");
    regulation.standards[0].amounts[1].rate = crate::compensation::rate::Rate::PerHour(Paise(i64::MAX));
    let error = book([regulation]).decide(&evidence([loss("O1", "2026-04-01T10:00", 999)]), later());
    assert_eq!(
        error.unwrap_err().to_string(),
        "the amount for outage:O1 is too large to be held"
    );
}

#[test]
fn a_loss_without_interruptions_is_as_if_it_were_not_there() {
    let book = book([every_shape("TEST", "TEST")]);
    let empty = SupplyLoss {
        interruptions: Vec::new(),
        ..loss("O1", "2026-04-01T10:00", 10)
    };
    assert_eq!(book.decide(&evidence([empty]), later()), Ok(vec![]));
}

#[test]
fn the_order_of_evidence_does_not_matter() {
    let book = book([every_shape("TEST", "TEST")]);
    let mut all = evidence([
        loss("O1", "2026-04-01T10:00", 400),
        loss("O2", "2026-04-01T10:00", 500),
        loss("O3", "2026-04-03T10:00", 10),
    ]);
    all.losses[1].connection.area_class = Some(gridtally_schemas::network::AreaClass::Rural);
    let forward = book.decide(&all, later());
    all.losses.reverse();
    assert_eq!(book.decide(&all, later()), forward);
    assert_eq!(book.decide(&all, at("2026-06-01T00:00")), forward);
}
