use std::collections::BTreeMap;

use gridtally_schemas::{Day, UtcMicros};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

const MINUTE: i64 = 60_000_000;
const DAY_MICROS: i128 = 24 * 60 * 60_000_000;

fn oracle(part: &str) -> Value {
    let whole: Value = serde_json::from_str(include_str!("tests/reliability.json")).unwrap();
    whole[part].clone()
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

/// Days with two decimals, exactly.
fn days_micros(value: &Value) -> i128 {
    let text = value.to_string();
    let (whole, decimals) = text.split_once('.').unwrap_or((&text, "0"));
    let hundredths: i128 = format!("{whole}{decimals:0<2}").parse().unwrap();
    hundredths * DAY_MICROS / 100
}

fn month(value: &Value) -> FeederMonth {
    FeederMonth {
        consumers: count(&value["consumers"]),
        customer_interruptions: count(&value["customer_interruptions"]),
        customer_micros: days_micros(&value["customer_days"]),
        momentary: count(&value["momentary"]),
    }
}

fn is_as_printed(returned: &Returned, printed: &Value) {
    assert_eq!(
        format!("{:.2}", returned.saifi),
        format!("{:.2}", printed["saifi"].as_f64().unwrap())
    );
    assert_eq!(
        format!("{:.2}", returned.maifi),
        format!("{:.2}", printed["maifi"].as_f64().unwrap())
    );
    assert_eq!(returned.saidi_hmm(), printed["saidi_hmm"].as_str().unwrap());
}

#[test]
fn the_returns_of_pgvcl_come_out_as_printed_by_month_and_quarter() {
    let oracle = oracle("pgvcl_2017_18_q4_agriculture");
    let printed = oracle["months"].as_array().unwrap();
    assert_eq!(printed.len(), 3);
    let months: Vec<FeederMonth> = printed.iter().map(month).collect();
    for (month, printed) in months.iter().zip(printed) {
        is_as_printed(&month.returned().unwrap(), printed);
    }
    let quarter = Quarter {
        months: [months[0], months[1], months[2]],
    };
    let printed = &oracle["quarter"];
    assert_eq!(quarter.sums(), month(printed));
    is_as_printed(&quarter.sums().returned().unwrap(), printed);
}

/// A consumer with interruptions of so many minutes, an hour apart.
fn consumer(minutes: &[i64]) -> Tally {
    let apart = |ix: usize| UtcMicros(i64::try_from(ix).unwrap() * 600 * MINUTE);
    let counted: Vec<Counted> = minutes
        .iter()
        .enumerate()
        .map(|(ix, minutes)| Counted {
            started_at: apart(ix),
            counted_micros: minutes * MINUTE,
        })
        .collect();
    Tally {
        consumers_served: 1,
        ..Tally::of_consumer(&Counting::default(), &counted)
    }
}

#[test]
fn the_case_worked_by_hand_comes_out() {
    let oracle = oracle("hand_case");
    let consumers = usize::try_from(count(&oracle["consumers"])).unwrap();
    // Each event interrupts the first consumers of the list; which ones does not matter to these indices.
    let mut of_consumer = vec![Vec::new(); consumers];
    let mut add = |interrupted: u64, minutes: i64| {
        for minutes_of_one in &mut of_consumer[..usize::try_from(interrupted).unwrap()] {
            minutes_of_one.push(minutes);
        }
    };
    for event in oracle["sustained"].as_array().unwrap() {
        add(count(&event["consumers"]), event["minutes"].as_i64().unwrap());
    }
    for momentary in oracle["momentary_events"].as_array().unwrap() {
        add(count(momentary), 1);
    }
    let mut tally = Tally::default();
    for minutes in &of_consumer {
        tally += &consumer(minutes);
    }
    let indices = tally.indices(365 * 24 * 60 * MINUTE);
    let expect = |name: &str| oracle["expect"][name].as_f64().unwrap();
    assert_eq!(indices.saifi, Some(expect("saifi")));
    assert_eq!(indices.saidi_minutes, Some(expect("saidi_minutes")));
    assert_eq!(indices.caidi_minutes, Some(expect("caidi_minutes")));
    assert_eq!(indices.maifi_e, Some(expect("maifi_e")));
    assert_eq!(
        format!("{:.10}", indices.asai.unwrap()),
        format!("{:.10}", expect("asai_year_365"))
    );
    assert_eq!(tally.customer_minutes(), 60_000.0);
}

#[test]
fn the_threshold_of_major_event_days_comes_out() {
    let oracle = oracle("major_event_day");
    let daily = oracle["daily_saidi"]
        .as_array()
        .unwrap()
        .iter()
        .map(|day| day.as_f64().unwrap());
    let threshold = Threshold::of(daily).unwrap();
    let expect = |name: &str| format!("{:.8}", oracle["expect"][name].as_f64().unwrap());
    assert_eq!(format!("{:.8}", threshold.alpha), expect("alpha"));
    assert_eq!(format!("{:.8}", threshold.beta), expect("beta"));
    assert_eq!(format!("{:.8}", threshold.t_med_minutes), expect("t_med"));
}

#[test]
fn the_sum_of_products_is_not_the_product_of_sums() {
    let oracle = oracle("sum_of_products");
    let mut month = FeederMonth::default();
    for feeder in oracle["feeders"].as_array().unwrap() {
        let hours = feeder["duration_hours"].as_f64().unwrap();
        assert_eq!(hours.fract(), 0.0);
        let micros = format!("{hours:.0}").parse::<i64>().unwrap() * 60 * MINUTE;
        month.add_feeder(
            &Counting::default(),
            count(&feeder["consumers"]),
            &[FeederOperation { micros }],
        );
    }
    assert_eq!(
        month.customer_minutes() / 60.0,
        oracle["expect"]["consumer_hours"].as_f64().unwrap()
    );
    assert_eq!(month.returned().unwrap().saidi_minutes, 145.0 * 60.0 / 100.0);
}

#[test]
fn a_feeder_operation_up_to_the_threshold_is_momentary() {
    let mut month = FeederMonth::default();
    let operations = [180, 181].map(|seconds| FeederOperation {
        micros: seconds * 1_000_000,
    });
    month.add_feeder(&Counting::default(), 10, &operations);
    assert_eq!((month.momentary, month.customer_interruptions), (10, 10));
    assert_eq!(FeederMonth::default().returned(), None);
}

#[test]
fn each_index_by_hand() {
    let mut tally = Tally::default();
    // Ten consumers: one with three interruptions, one with one of eight hours, one with less than that, seven with none.
    tally += &consumer(&[10, 20, 30]);
    tally += &consumer(&[480]);
    tally += &consumer(&[479]);
    for _ in 0..7 {
        tally += &consumer(&[]);
    }
    let indices = tally.indices(30 * 24 * 60 * MINUTE);
    assert_eq!(indices.saifi, Some(0.5));
    assert_eq!(indices.saidi_minutes, Some(101.9));
    assert_eq!(indices.caidi_minutes, Some(203.8));
    assert_eq!(indices.caifi, Some(5.0 / 3.0));
    assert_eq!(indices.ctaidi_minutes, Some(1_019.0 / 3.0));
    assert_eq!(indices.cemi, Some(0.1));
    assert_eq!(indices.celid, Some(0.1));
    assert_eq!(indices.asai, Some(1.0 - 101.9 / 43_200.0));
    assert_eq!((indices.maifi, indices.maifi_e), (Some(0.0), Some(0.0)));
}

#[test]
fn without_consumers_or_interruptions_there_is_nothing_to_divide_by() {
    let nobody = Tally::default().indices(MINUTE);
    assert_eq!(
        (nobody.saifi, nobody.asai, nobody.caidi_minutes, nobody.cemi),
        (None, None, None, None)
    );
    let calm = consumer(&[]).indices(MINUTE);
    assert_eq!((calm.saifi, calm.asai), (Some(0.0), Some(1.0)));
    assert_eq!(
        (calm.caidi_minutes, calm.caifi, calm.ctaidi_minutes),
        (None, None, None)
    );
}

/// `(sustained, momentary, momentary events)` of interruptions given as seconds of begin and length.
fn events(of: &[(i64, i64)]) -> (u64, u64, u64) {
    let counted: Vec<Counted> = of
        .iter()
        .map(|(begin, length)| Counted {
            started_at: UtcMicros(begin * 1_000_000),
            counted_micros: length * 1_000_000,
        })
        .collect();
    let tally = Tally::of_consumer(&Counting::default(), &counted);
    (
        tally.customer_interruptions,
        tally.momentary,
        tally.momentary_events,
    )
}

#[test]
fn operations_within_the_threshold_are_one_momentary_event() {
    assert_eq!(events(&[(0, 20)]), (0, 1, 1));
    assert_eq!(events(&[(0, 20), (60, 20), (180, 20)]), (0, 3, 1));
    assert_eq!(events(&[(0, 20), (60, 20), (181, 20)]), (0, 3, 2));
    assert_eq!(events(&[(181, 20), (0, 20), (60, 20)]), (0, 3, 2), "in any order");
}

#[test]
fn an_event_that_ends_sustained_counts_in_neither() {
    assert_eq!(events(&[(0, 20), (60, 20), (120, 900)]), (1, 0, 0));
    // The sustained interruption began too late to be its end.
    assert_eq!(events(&[(0, 20), (181, 900)]), (1, 1, 1));
    // What follows a sustained interruption is an event of its own.
    assert_eq!(events(&[(0, 900), (930, 20)]), (1, 1, 1));
    assert_eq!(events(&[(0, 180)]), (0, 1, 1));
    assert_eq!(events(&[(0, 181)]), (1, 0, 0));
}

fn days(minutes: &[i64]) -> BTreeMap<Day, Tally> {
    let tally = |minutes: &i64| Tally {
        consumers_served: 10,
        customer_micros: i128::from(minutes * MINUTE) * 10,
        ..Tally::default()
    };
    (0..).map(Day).zip(minutes.iter().map(tally)).collect()
}

#[test]
fn a_day_above_the_threshold_of_the_years_before_is_a_major_event_day() {
    let before = days(&[1, 2, 4, 0, 2, 1]);
    let judged = MajorEventDays::judge(&before, &days(&[7, 8, 0, 100]));
    let limit = judged.threshold.unwrap().t_med_minutes;
    assert!((7.0..8.0).contains(&limit), "{limit}");
    assert_eq!(judged.days, [Day(1), Day(3)].into());
    // Too little is known to judge.
    assert_eq!(
        MajorEventDays::judge(&days(&[3, 0]), &days(&[1_000])),
        MajorEventDays::default()
    );
}

#[test]
fn a_ratio_needs_no_lossy_cast() {
    assert_eq!(ratio(1, 3), 1.0 / 3.0);
    assert_eq!(ratio(-1, 4), -0.25);
    assert_eq!(ratio(i128::from(i64::MAX), 1), 9_223_372_036_854_775_808.0);
    assert_eq!(
        ratio(10_000_000_000_000_000_000_001, 10_000_000_000_000_000_000),
        1_000.0
    );
    assert!(ratio(0, 0).is_nan());
}

fn interruptions() -> impl Strategy<Value = Vec<Counted>> {
    let one = (0_i64..2_000, 0_i64..30).prop_map(|(begin, length)| Counted {
        started_at: UtcMicros(begin * MINUTE),
        counted_micros: length * MINUTE,
    });
    prop::collection::vec(one, 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_interruptions_does_not_matter_and_none_is_lost(
        (one, other) in interruptions().prop_flat_map(|list| (Just(list.clone()), Just(list).prop_shuffle())),
    ) {
        let counting = Counting::default();
        let tally = Tally::of_consumer(&counting, &one);
        prop_assert_eq!(tally, Tally::of_consumer(&counting, &other));
        let sustained = one.iter().filter(|one| one.counted_micros > counting.momentary_micros);
        let micros: i128 = sustained.clone().map(|one| i128::from(one.counted_micros)).sum();
        prop_assert_eq!(tally.customer_micros, micros);
        prop_assert_eq!(tally.customer_interruptions, u64::try_from(sustained.count()).unwrap());
        prop_assert!(tally.momentary_events <= tally.momentary);
        prop_assert!(tally.momentary + tally.customer_interruptions <= u64::try_from(one.len()).unwrap());
    }
}
