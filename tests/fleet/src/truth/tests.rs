//! Tests of the truth: both computations agree.

use super::*;
use crate::{Fleet, FleetConfig, Imperfections};

fn fleet(imperfections: Imperfections) -> Fleet {
    Fleet::new(FleetConfig {
        imperfections,
        consumers: 4_000,
        thirty_minute_permille: 400,
        ..FleetConfig::demo()
    })
    .unwrap()
}

#[test]
fn where_every_read_arrives_the_naive_sums_are_the_truth() {
    let fleet = fleet(Imperfections::none());
    let start = Quarter::containing(fleet.config().start);
    let (mut checked, mut halves) = (0, 0);
    for feeder in fleet.feeders() {
        for number in [1, 2, 37, 48, 50, 79, 80] {
            let quarter = start.plus(number);
            let truth = feeder.truth(quarter);
            let naive = feeder.expected_balances(quarter, quarter);
            let Some(((dts, own), (naive_dts, naive_own))) = truth.zip(naive) else {
                assert_eq!(feeder.balance_minutes(), IntervalMinutes::Thirty);
                halves += 1;
                continue;
            };
            for (truth, naive) in dts.iter().zip(&naive_dts) {
                assert_eq!(naive.meters_expected, naive.meters_reported);
                assert_eq!(naive.consumer_import_wh, truth.flow.consumer_import_wh);
                assert_eq!(naive.consumer_export_wh, truth.flow.consumer_export_wh);
                if naive.dt_import_wh.is_some() {
                    assert_eq!(naive.injected_wh, Some(truth.injected_wh));
                    assert_eq!(naive.delivered_wh, Some(truth.delivered_wh));
                    assert_eq!(naive.loss_wh, Some(truth.loss_wh));
                }
            }
            assert_eq!(naive_own.input_wh, Some(own.input_wh));
            assert_eq!(naive_own.total_loss_wh, Some(own.total_loss_wh));
            assert_eq!(naive_own.meters_expected, naive_own.meters_reported);
            checked += 1;
        }
    }
    assert!(checked > 50 && halves > 5, "{checked} {halves}");
}

#[test]
fn truth_loss_is_technical_loss_and_theft_and_what_assessment_misses() {
    let fleet = fleet(Imperfections::usual());
    let quarter = Quarter::containing(fleet.config().start).plus(40);
    for feeder in fleet.feeders() {
        let (dts, own) = feeder.truth(quarter).unwrap();
        for dt in dts {
            let flow = dt.flow;
            assert_eq!(
                dt.loss_wh,
                flow.technical_wh + flow.stolen_wh + flow.unmetered_wh - dt.assessed_wh
            );
        }
        assert_eq!(own.total_loss_wh, own.ht_loss_wh + own.lt_loss_wh);
    }
}

#[test]
fn coverage_says_what_did_not_arrive() {
    let fleet = fleet(Imperfections {
        missing_ppm: 100_000,
        ..Imperfections::usual()
    });
    let quarter = Quarter::containing(fleet.config().start).plus(40);
    let (mut expected, mut reported, mut unknown) = (0, 0, 0);
    for feeder in fleet.feeders() {
        let (dts, own) = feeder.expected_balances(quarter, quarter.plus(1_000)).unwrap();
        for dt in &dts {
            unknown += usize::from(dt.loss_wh.is_none());
        }
        expected += own.meters_expected;
        reported += own.meters_reported;
    }
    assert!(unknown > 3);
    assert!(
        reported * 100 > expected * 85 && reported * 100 < expected * 95,
        "{reported} of {expected}"
    );
}

#[test]
fn what_comes_late_is_not_expected_before_it_is_due() {
    let fleet = fleet(Imperfections {
        late_ppm: 500_000,
        ..Imperfections::usual()
    });
    let quarter = Quarter::containing(fleet.config().start).plus(40);
    let reported = |through: Quarter| -> u64 {
        fleet
            .feeders()
            .map(|feeder| {
                feeder
                    .expected_balances(quarter, through)
                    .unwrap()
                    .1
                    .meters_reported
            })
            .sum()
    };
    assert!(reported(quarter) < reported(quarter.plus(200)));
}
