//! Tests of planted outages.

use std::collections::BTreeSet;

use super::*;
use crate::{Fleet, FleetConfig, flow::Reads};

fn planted(number: u64) -> (Feeder, Planted) {
    let fleet = Fleet::new(FleetConfig::demo()).unwrap();
    let feeder = fleet.feeder(number).unwrap();
    let start = fleet.config().start;
    let planted = feeder.plant_outages(start, start.plus(6 * 24 * HOUR));
    (feeder, planted)
}

#[test]
fn outages_of_every_reach_follow_one_another_and_hide_behind_everything_at_once() {
    let (mut reaches, mut lost, mut kept, mut prepaid, mut by_hand) = (BTreeSet::new(), 0, 0, 0, 0);
    for number in 0..8 {
        let (feeder, planted) = self::planted(number);
        for pair in planted.outages.windows(2) {
            assert!(pair[0].out.to.plus(HOUR) <= pair[1].out.from);
        }
        reaches.extend(planted.outages.iter().map(|outage| match outage.reach {
            Reach::ServiceLine(_) => "line",
            Reach::Dt(_) => "dt",
            Reach::Feeder => "feeder",
        }));
        lost += planted.silences.iter().filter(|silence| silence.is_lost).count();
        kept += planted.silences.iter().filter(|silence| !silence.is_lost).count();
        prepaid += planted.switched_off.iter().filter(|off| off.is_prepaid).count();
        by_hand += planted.switched_off.iter().filter(|off| !off.is_prepaid).count();
        let again = feeder.plant_outages(
            feeder.fleet.config().start,
            feeder.fleet.config().start.plus(6 * 24 * HOUR),
        );
        assert_eq!(again.outages, planted.outages);
    }
    assert_eq!(reaches.len(), 3);
    assert!(
        lost > 0 && kept > 0 && prepaid > 10 && by_hand > 5,
        "{lost} {kept} {prepaid} {by_hand}"
    );
}

#[test]
fn of_last_gasps_a_fifth_is_lost_and_of_restorations_a_tenth_beside_those_of_lost_communication() {
    let (mut told, mut happened) = ([0, 0], 0);
    for number in 0..8 {
        let (feeder, planted) = self::planted(number);
        for meter in feeder.meters() {
            let heard: Vec<UtcMicros> = planted.out_of(meter).map(|out| out.from).collect();
            happened += heard
                .iter()
                .filter(|at| planted.silence_at(meter, **at).is_none())
                .count();
            let events: BTreeSet<(UtcMicros, i32)> = planted
                .events(meter)
                .iter()
                .map(|sent| {
                    (
                        sent.event.at.plus(-Manner::of(meter).drift_micros),
                        sent.event.code,
                    )
                })
                .filter(|(at, _)| planted.silence_at(meter, *at).is_none())
                .collect();
            told[0] += events.iter().filter(|(_, code)| *code == FAILED).count();
            told[1] += events.iter().filter(|(_, code)| *code == RESTORED).count();
        }
    }
    let percent = |told: usize| told * 100 / happened;
    assert!((77..83).contains(&percent(told[0])), "{told:?} of {happened}");
    assert!((87..93).contains(&percent(told[1])), "{told:?} of {happened}");
}

#[test]
fn a_block_without_supply_is_recorded_as_zero_or_not_at_all_and_others_hold_their_part() {
    let (feeder, planted) = planted(0);
    let start = Quarter::containing(feeder.fleet.config().start);
    let mut reads = Reads::default();
    let (mut dark, mut holes, mut parts) = (0, 0, 0);
    for number in 1..200 {
        reads.compute(&feeder, &feeder.fleet.config().zone, start.plus(number));
        for (meter, read) in reads.iter(&feeder) {
            let to = read.interval_end.plus(-Manner::of(meter).drift_micros);
            let interval = Stretch {
                from: to.plus(-meter.minutes.micros()),
                to,
            };
            let without: i64 = planted.out_of(meter).map(|out| out.common_micros(interval)).sum();
            if without == 0 || read.voltage_v == Some(0.0) || planted.silence_at(meter, to).is_some() {
                continue;
            }
            let said = planted.alter(meter, read).map(|(said, _)| said);
            match said {
                None => holes += 1,
                Some(said) if without == meter.minutes.micros() => {
                    assert_eq!(said.import_wh, Some(0));
                    assert!(said.voltage_v.is_none_or(|volts| volts == 0.0));
                    dark += 1;
                }
                Some(said) => {
                    assert!(
                        said.import_wh <= read.import_wh
                            && said
                                .voltage_v
                                .is_none_or(|volts| volts > 0.0 || planted.switched_off(meter).count() > 0)
                    );
                    parts += 1;
                }
            }
        }
    }
    assert!(dark > 100 && holes > 100 && parts > 100, "{dark} {holes} {parts}");
}

#[test]
fn rows_of_hours_of_supply_say_when_pump_sets_have_supply() {
    let fleet = Fleet::new(FleetConfig::demo()).unwrap();
    let feeder = fleet
        .feeders()
        .find(|feeder| feeder.dts.iter().any(|dt| dt.supply_group.is_some()))
        .unwrap();
    let start = fleet.config().start;
    let rows = feeder.supply_hours(start, start.plus(14 * 24 * HOUR));
    for dt in 0..feeder.dt_count() {
        let id = feeder.dt_id(dt);
        let own: Vec<_> = rows
            .iter()
            .filter(|row| row.node_id.as_ref().is_some_and(|node| node.as_str() == id))
            .collect();
        if own.is_empty() {
            assert!((0..96).all(|of_day| feeder.has_supply_due(dt, Quarter::containing(start).plus(of_day))));
            continue;
        }
        for number in 1..14 * 96 {
            let quarter = Quarter::containing(start).plus(number);
            let begin = quarter.plus(-1).end();
            let zone = &fleet.config().zone;
            let minute = (begin.0 - zone.start_of(zone.day_of(begin)).0) / MINUTE;
            let holds = own.iter().any(|row| {
                let to = if row.to.minutes() == 0 {
                    1_440
                } else {
                    row.to.minutes()
                };
                row.valid_from <= begin
                    && row.valid_to.is_some_and(|to| begin < to)
                    && (i64::from(row.from.minutes())..i64::from(to)).contains(&minute)
            });
            assert_eq!(holds, feeder.has_supply_due(dt, quarter), "{id} {begin}");
        }
    }
}
