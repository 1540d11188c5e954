//! Tests of the delivery plan.

use gridtally_schemas::UtcMicros;

use super::*;
use crate::{Fleet, FleetConfig, flow::Reads};

/// The merge order of CONTRACT section 1, written down again: revision, captured_at, content.
fn rank(read: &IntervalRead) -> (i32, Option<UtcMicros>, Option<i64>) {
    (read.revision, read.captured_at, read.import_wh)
}

#[test]
fn what_is_expected_is_what_the_merge_order_makes_of_what_is_sent() {
    let of = Imperfections {
        missing_ppm: 100_000,
        null_ppm: 100_000,
        late_ppm: 100_000,
        late_hours_max: 12,
        duplicate_ppm: 100_000,
        corrected_ppm: 200_000,
        event_ppm: 0,
    };
    let fleet = Fleet::new(FleetConfig {
        imperfections: of,
        ..FleetConfig::demo()
    })
    .unwrap();
    let feeder = fleet.feeder(0).unwrap();
    let start = Quarter::containing(fleet.config().start);
    let mut reads = Reads::default();
    let (mut held, mut corrected_by_time) = (0, 0);
    for number in 1..20 {
        reads.compute(&feeder, &fleet.config().zone, start.plus(number));
        for (meter, read) in reads.iter(&feeder) {
            for through in [start.plus(number), start.plus(number + 20), Quarter(i64::MAX)] {
                let merged = sendings(&of, meter, start.plus(number))
                    .into_iter()
                    .flatten()
                    .filter(|sending| sending.due <= through)
                    .map(|sending| version(meter, read, sending.said))
                    .filter(|version| version.import_wh.is_some())
                    .max_by_key(rank);
                assert_eq!(merged, expected(&of, meter, read, through));
                held += usize::from(merged.is_some());
                corrected_by_time += usize::from(merged.is_some_and(|read| read.captured_at.is_some()));
                if let (Some(last), true) = (merged, through == Quarter(i64::MAX)) {
                    assert_eq!(
                        last.import_wh, read.import_wh,
                        "in the end the true energy stands"
                    );
                }
            }
        }
    }
    assert!(held > 5_000 && corrected_by_time > 50);
}

#[test]
fn shares_are_as_configured() {
    let fleet = Fleet::new(FleetConfig::new(21, 20_000, FleetConfig::demo().start)).unwrap();
    let of = Imperfections::usual();
    let (mut all, mut never, mut null, mut twice, mut corrected, mut late) = (0, 0, 0, 0, 0, 0);
    for feeder in fleet.feeders() {
        for meter in feeder.meters() {
            for number in 0..96 {
                let quarter = Quarter(1_970_000 + number);
                let sent = sendings(&of, meter, quarter);
                all += 1;
                late += usize::from(sent[0].is_some_and(|sending| sending.due > quarter));
                match sent {
                    [None, None] => never += 1,
                    [
                        Some(Sending {
                            said: Said::Missing, ..
                        }),
                        _,
                    ] => null += 1,
                    [
                        Some(Sending { said: Said::Read, .. }),
                        Some(Sending { said: Said::Read, .. }),
                    ] => twice += 1,
                    [
                        Some(Sending {
                            said: Said::Wrong, ..
                        }),
                        Some(Sending {
                            said: Said::Correction,
                            ..
                        }),
                    ] => corrected += 1,
                    [Some(Sending { said: Said::Read, .. }), None] => {}
                    other => panic!("{other:?}"),
                }
                for sending in sent.into_iter().flatten() {
                    assert!(sending.due >= quarter);
                    assert!(sending.due.0 - quarter.0 <= delay_quarters_max(&of));
                }
            }
        }
    }
    let near = |count: usize, ppm: usize| (count * 1_000_000 / all).abs_diff(ppm) * 10 < ppm;
    assert!(
        near(never, 2_000) && near(null, 1_000) && near(twice, 5_000) && near(corrected, 10_000),
        "{never} {null} {twice} {corrected} of {all}"
    );
    assert!(near(late, 10_000), "{late} of {all} late");
}

#[test]
fn without_imperfections_every_read_is_sent_once_and_at_once() {
    let fleet = Fleet::new(FleetConfig::demo()).unwrap();
    let feeder = fleet.feeder(1).unwrap();
    for meter in feeder.meters() {
        let quarter = Quarter(1_980_000);
        let once = Some(Sending {
            due: quarter,
            said: Said::Read,
        });
        assert_eq!(sendings(&Imperfections::none(), meter, quarter), [once, None]);
        assert_eq!(events(&Imperfections::none(), meter, quarter), None);
    }
}

#[test]
fn events_are_pairs_within_their_quarter() {
    let of = Imperfections {
        event_ppm: 20_000,
        ..Imperfections::none()
    };
    let feeder = Fleet::new(FleetConfig::demo()).unwrap().feeder(0).unwrap();
    let mut pairs = 0;
    for meter in feeder.meters() {
        for number in 0..50 {
            let quarter = Quarter(1_980_000 + number);
            let Some([failed, restored]) = events(&of, meter, quarter) else {
                continue;
            };
            assert_eq!((failed.code, restored.code), (101, 102));
            assert!(
                quarter.plus(-1).end() < failed.at && failed.at < restored.at && restored.at < quarter.end()
            );
            pairs += 1;
        }
    }
    assert!(pairs > 100, "{pairs}");
}
