use super::*;
use crate::{Fleet, FleetConfig};

fn span(fleet: &Fleet) -> Span {
    let first = Quarter::containing(fleet.config().start).plus(1);
    Span {
        first,
        last: first.plus(30 * 96 - 1),
    }
}

#[test]
fn a_magnet_counts_less_from_its_event_on_and_never_before() {
    let fleet = Fleet::new(FleetConfig::demo()).unwrap();
    let tampers: Vec<MagnetTamper> = fleet
        .feeders()
        .flat_map(|feeder| feeder.magnet_tampers(span(&fleet), 100))
        .collect();
    assert!(tampers.len() > 50, "{}", tampers.len());
    assert!(tampers.iter().any(|tamper| tamper.share_permille == 0));
    for tamper in &tampers {
        let minutes = tamper.meter.minutes;
        let read = |quarter: Quarter| IntervalRead::new(quarter.end(), Some(1_000));
        let before = tamper.alter(read(tamper.at));
        let after = tamper.alter(read(tamper.at.plus(i64::from(minutes.quarters()))));
        assert_eq!(before.import_wh, Some(1_000));
        assert_eq!(after.import_wh, Some(1_000 - tamper.share_permille));
    }
}

#[test]
fn frauds_follow_from_the_seed_and_hit_no_rooftop() {
    let fleet = Fleet::new(FleetConfig::demo()).unwrap();
    for feeder in fleet.feeders() {
        let once = feeder.short_bills(200);
        assert_eq!(once, feeder.short_bills(200));
        let rows = feeder.connections();
        for bill in once {
            let row = rows
                .iter()
                .find(|row| row.consumer_id == bill.consumer_id)
                .unwrap();
            assert_eq!(row.prosumer, Prosumer::None);
            assert_eq!(row.metering, Metering::Postpaid);
        }
    }
}

#[test]
fn a_night_hook_draws_at_night_alone_and_changes_no_fleet_that_has_none() {
    let usual = Fleet::new(FleetConfig::demo()).unwrap();
    let hooked = Fleet::new(FleetConfig {
        night_hook_permille: 1_000,
        ..FleetConfig::demo()
    })
    .unwrap();
    let zone = &usual.config().zone;
    let midnight = Quarter::containing(usual.config().start);
    let stolen = |fleet: &Fleet, at: i64| -> i64 {
        let of_feeder = |feeder: Feeder| {
            let mut flow = crate::flow::Flow::default();
            feeder.flow(&crate::Moment::new(zone, midnight.plus(at)), &mut flow);
            flow.dts.iter().map(|dt| dt.stolen_wh).sum::<i64>()
        };
        fleet.feeders().map(of_feeder).sum()
    };
    assert!(stolen(&hooked, 8) > 2 * stolen(&usual, 8));
    assert_eq!(stolen(&hooked, 48), stolen(&usual, 48));
    let hooks = |fleet: &Fleet| fleet.feeders().flat_map(|feeder| feeder.thefts()).count();
    assert!(hooks(&hooked) > hooks(&usual));
}
