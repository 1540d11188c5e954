//! Efficiencies and bands worked by hand.

use gridtally_schemas::network::Metering;

use crate::revenue::{Amounts, Band, BandLimits, Billed, FeederMonth, Grounds, Input, RevenueRules, Total};

const LIMITS: BandLimits = BandLimits {
    low_wh: 100_000,
    high_wh: 300_000,
};

fn bill(kwh: i64, inr: i64, subsidy: i64, collected: Option<i64>) -> Amounts {
    Amounts {
        sold_wh: kwh * 1_000,
        demanded_paise: inr * 100,
        subsidy_paise: subsidy * 100,
        collected_paise: collected.map(|inr| inr * 100),
    }
}

fn billed(bills: &[Amounts]) -> Billed {
    let mut sums = Billed::default();
    for bill in bills {
        sums.add(&Billed::of(bill, Metering::Postpaid, &LIMITS), 1);
    }
    sums
}

/// A month whose input is known whole.
fn month(eif_kwh: i64, billed: Option<Billed>) -> FeederMonth {
    let input = Input {
        days: 30,
        eif_wh: eif_kwh * 1_000,
        intervals_expected: 2_880,
        intervals_computed: 2_880,
    };
    let grounds = Grounds {
        is_whole: true,
        ..Grounds::default()
    };
    FeederMonth::of(input, billed, &grounds, &RevenueRules::default())
}

fn close(got: Option<f64>, expected: f64) {
    let got = got.unwrap();
    assert!((got - expected).abs() < 1e-9, "{got}, expected {expected}");
}

#[test]
fn at_and_c_loss_is_what_is_missing_to_the_product_of_both_efficiencies() {
    // 875 of 1,000 kWh billed; 4,800 of 5,000 rupees collected: 1 - 0.875 x 0.96 = 16 %.
    let mut total = Total::default();
    total.add(&month(
        1_000,
        Some(billed(&[
            bill(400, 3_000, 0, Some(2_800)),
            bill(475, 2_000, 0, Some(2_000)),
        ])),
    ));
    close(total.billing_efficiency_pct(), 87.5);
    close(total.collection_efficiency_pct(95.0), 96.0);
    close(total.atc_loss_pct(95.0), 16.0);
    assert_eq!((total.feeder_months, total.wholes), (1, 1));
}

#[test]
fn arrears_that_are_paid_make_no_collection_of_the_month() {
    // One paid 500 of arrears beside his bill, one half of his: together 2,500 of 3,000 and not 3,000 of 3,000.
    let sums = billed(&[bill(100, 2_000, 0, Some(2_500)), bill(100, 1_000, 0, Some(500))]);
    assert_eq!(sums.collected_paise, 300_000);
    let mut total = Total::default();
    total.add(&month(250, Some(sums)));
    close(total.collection_efficiency_pct(95.0), 100.0 * 2_500.0 / 3_000.0);
    // A credit is settled as it stands.
    let credit = billed(&[bill(10, -300, 0, Some(0)), bill(100, 1_000, 0, Some(1_000))]);
    assert_eq!(
        (credit.collection.demanded_paise, credit.collection.current_paise),
        (70_000, 70_000)
    );
}

#[test]
fn a_payment_of_which_nothing_is_said_is_not_taken_for_none() {
    let of = |bills: &[Amounts]| {
        let mut total = Total::default();
        total.add(&month(2_000, Some(billed(bills))));
        total
    };
    // 100 of 2,000 rupees are not said: 95 % are.
    let enough = of(&[bill(500, 1_900, 0, Some(1_710)), bill(10, 100, 0, None)]);
    close(enough.collection_efficiency_pct(95.0), 90.0);
    let too_few = of(&[bill(500, 1_899, 0, Some(1_899)), bill(10, 101, 0, None)]);
    assert_eq!(
        (
            too_few.collection_efficiency_pct(95.0),
            too_few.atc_loss_pct(95.0)
        ),
        (None, None)
    );
    // Free supply demands nothing, so nothing of it can be collected.
    let free = of(&[bill(500, 0, 3_250, Some(0))]);
    assert_eq!(free.collection_efficiency_pct(95.0), None);
    assert_eq!(free.billed.abr(), Some(6.5), "valued at the subsidy's rate");
}

#[test]
fn a_node_has_the_efficiency_of_the_feeders_whose_loss_is_known() {
    let mut total = Total::default();
    total.add(&month(1_000, Some(billed(&[bill(900, 900, 0, Some(900))]))));
    total.add(&month(3_000, Some(billed(&[bill(2_400, 2_400, 0, Some(2_400))]))));
    // A feeder without bills: its input is not energy lost.
    total.add(&month(5_000, None));
    assert_eq!((total.feeder_months, total.wholes), (3, 2));
    close(total.billing_efficiency_pct(), 100.0 * 3_300.0 / 4_000.0);
    assert_eq!(total.input.known_wh(), Some(9_000_000));
    assert_eq!(Total::default().billing_efficiency_pct(), None);
}

#[test]
fn bands_end_where_the_limits_say_and_hold_every_bill_once() {
    let names = [0, 100, 101, 300, 301].map(|kwh| LIMITS.band(kwh * 1_000).as_str());
    assert_eq!(names, ["low", "low", "medium", "medium", "high"]);
    assert_eq!(LIMITS.band(-5_000), Band::Low, "a correction below zero");
    let mut sums = billed(&[
        bill(80, 400, 0, None),
        bill(100, 500, 50, None),
        bill(250, 1_500, 0, None),
        bill(900, 8_000, 0, None),
    ]);
    let of = |sums: &Billed| {
        sums.bands
            .map(|band| (band.bills, band.sold_wh, band.revenue_paise))
    };
    assert_eq!(
        of(&sums),
        [(2, 180_000, 95_000), (1, 250_000, 150_000), (1, 900_000, 800_000)]
    );
    // Taken away again it is as if it had never been.
    let pump_set = Billed::of(&bill(700, 0, 4_000, None), Metering::Unmetered, &LIMITS);
    let before = sums;
    sums.add(&pump_set, 1);
    assert_eq!((sums.unmetered_wh, sums.demanded_paise()), (700_000, 1_040_000));
    sums.add(&pump_set, -1);
    assert_eq!(sums, before);
}
