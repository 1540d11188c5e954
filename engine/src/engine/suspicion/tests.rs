//! Rows of `suspicions`, there and back, and what makes a version.

use super::*;
use crate::{
    suspicion::{Finding, Sign, Subject},
    world::suspicion::PlannedPlace,
};

const APRIL: Day = Day(20_544);
const NOW: UtcMicros = UtcMicros(1_800_000_000_000_000);

fn suspicion(sign: Sign, subject: Subject, value_permille: i64) -> Suspicion {
    let place = PlannedPlace {
        node_id: "T1".to_owned(),
        is_dt: true,
        technical_permille: None,
        unmetered_w: 0,
    };
    let finding = Finding {
        sign,
        subject,
        value_permille,
        threshold_permille: (sign != Sign::WrongMapping).then_some(-30),
        strength_permille: 873,
        energy_wh: (sign != Sign::WrongMapping).then_some(-123_456_789),
        bound_wh: 17,
        coverage_permille: 957,
        period: Period::month(APRIL),
        evidence: "for each Wh, \"so much\"".to_owned(),
    };
    Suspicion::of(finding, (&place, "F1"), Period::month(APRIL))
}

fn two() -> BTreeMap<String, Suspicion> {
    let consumer = Subject::Consumer {
        consumer_id: "C1".to_owned(),
        meter_id: "M1".to_owned(),
    };
    let both = [
        suspicion(Sign::NegativeResidual, Subject::Dt, -142),
        suspicion(Sign::WrongMapping, consumer, 33),
    ];
    both.into_iter()
        .map(|suspicion| (suspicion.id(), suspicion))
        .collect()
}

/// What stands after these are written over what stood.
fn written(
    found: BTreeMap<String, Suspicion>,
    stood: HashMap<String, Standing>,
) -> (usize, HashMap<String, Standing>) {
    let changes = rows::changes(found, stood.clone());
    let mut stands = stood;
    if !changes.is_empty() {
        standing(&batch(&changes, NOW).unwrap(), &mut stands).unwrap();
    }
    (changes.len(), stands)
}

fn seen(stands: &HashMap<String, Standing>) -> BTreeMap<String, Suspicion> {
    let each = stands
        .iter()
        .filter_map(|(id, standing)| Some((id.clone(), standing.clone().seen()?)));
    each.collect()
}

#[test]
fn what_is_written_is_read_back_and_written_once() {
    let (rows, stands) = written(two(), HashMap::new());
    assert_eq!(rows, 2);
    assert_eq!(seen(&stands), two());
    assert_eq!(written(two(), stands).0, 0, "nothing changed, nothing is written");
}

#[test]
fn a_sign_that_is_seen_no_more_says_so_and_can_come_again() {
    let (_, stands) = written(two(), HashMap::new());
    let mut one = two();
    let gone = one.pop_last().unwrap();
    let (rows, stands) = written(one.clone(), stands);
    assert_eq!((rows, seen(&stands)), (1, one.clone()));
    assert_eq!(written(one.clone(), stands.clone()).0, 0, "it is said once");
    one.insert(gone.0, gone.1);
    let (rows, stands) = written(one, stands);
    assert_eq!((rows, seen(&stands)), (1, two()));
}

#[test]
fn rows_are_read_in_any_order() {
    let (_, stood) = written(two(), HashMap::new());
    let mut changed = two();
    for suspicion in changed.values_mut() {
        suspicion.finding.value_permille += 1;
    }
    let first = batch(&rows::changes(two(), HashMap::new()), NOW).unwrap();
    let second = batch(&rows::changes(changed.clone(), stood), NOW).unwrap();
    for order in [[&first, &second], [&second, &first]] {
        let mut stands = HashMap::new();
        order
            .into_iter()
            .for_each(|rows| standing(rows, &mut stands).unwrap());
        assert_eq!(seen(&stands), changed);
    }
}

#[test]
fn an_id_tells_month_sign_and_of_whom() {
    let ids: Vec<String> = two().into_keys().collect();
    assert_eq!(
        ids,
        ["2026-04-01/negative_residual/T1", "2026-04-01/wrong_mapping/M1"]
    );
}
