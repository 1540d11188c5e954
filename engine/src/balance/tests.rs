//! The balance SQL against tables worked by hand.

use std::sync::Arc;

use gridtally_schemas::{
    IntervalMinutes, Multiplier, Zone,
    network::{ConnectionRow, MasterRows, MeterRole, Prosumer},
};

use super::{gather::place_in_month, *};
use crate::{
    network::Network,
    rig::{LONG_AGO, block_on, connection, hierarchy, meter, quarter_end},
    state::{Arrival, Feeders, Quality, State, Value},
};

mod definitions;

/// A network and values, from which balances are computed for one interval.
#[derive(Debug, Default)]
struct Bench {
    network: Network,
    state: State,
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self::default();
        bench.learn(MasterRows::Nodes(hierarchy()));
        bench
    }

    fn learn(&mut self, rows: MasterRows) {
        self.network.merge(LONG_AGO, &Arc::from("file:x"), rows);
    }

    fn own_meter(&mut self, id: &str, role: MeterRole, node: &str, multiplier: i64) {
        let multiplier = Multiplier::from_thousandths(multiplier).unwrap();
        let mut row = meter(id, role, Some(node));
        row.multiplier = multiplier;
        self.learn(MasterRows::Meters(vec![row]));
    }

    fn consumer(&mut self, id: &str, node: &str) {
        self.learn(MasterRows::Meters(vec![meter(id, MeterRole::Consumer, None)]));
        self.learn(MasterRows::Connections(vec![connection(
            &format!("C{id}"),
            Some(id),
            node,
        )]));
    }

    fn say(&mut self, meter_id: &str, quarter: i64, import_wh: u32, export_wh: Option<u32>) {
        self.say_as(Quality::Actual, (meter_id, quarter), import_wh, export_wh);
    }

    fn say_as(
        &mut self,
        quality: Quality,
        (meter_id, quarter): (&str, i64),
        import_wh: u32,
        export_wh: Option<u32>,
    ) {
        let meter = self.network.find_meter(meter_id).unwrap();
        let value = Value {
            quality,
            revision: 0,
            captured_at: None,
            import_wh,
            export_wh,
            import_vah: None,
            voltage_v: None,
            current_a: None,
        };
        self.state.merge(
            meter,
            Feeders::default(),
            Quarter::ending(quarter_end(quarter)).unwrap(),
            (&value, Arrival::default()),
        );
    }

    fn balance(&self, feeder: &str, quarter: i64) -> FeederInterval {
        let feeder = self.network.find_node(feeder).unwrap();
        let quarter = Quarter::ending(quarter_end(quarter)).unwrap();
        let roster = Arc::new(self.network.roster(feeder, quarter.begin()));
        let mut members = MemberReads::default();
        members.gather(&self.state, &Zone::kolkata(), &roster, quarter);
        let mut computed = block_on(BalanceSql::default().run(members)).unwrap();
        assert_eq!(computed.len(), 1);
        computed.pop().unwrap().2
    }
}

fn dt(balance: &FeederInterval, at: usize) -> DtFigures {
    balance.dts.iter().nth(at).unwrap()
}

fn coverage(expected: i64, reported: i64) -> Coverage {
    Coverage {
        expected,
        reported,
        estimated: 0,
    }
}

/// DT T1: 1,000 in, consumers 400 and 450, one of which gives back 30. Loss 1,000 + 30 - 850 = 180.
#[test]
fn a_dt_s_loss_is_what_came_in_less_what_went_out() {
    let mut bench = Bench::new();
    bench.own_meter("MT1", MeterRole::Dt, "T1", 1_000);
    bench.consumer("A", "T1");
    bench.consumer("B", "T1");
    bench.say("MT1", 1, 1_000, None);
    bench.say("A", 1, 400, None);
    bench.say("B", 1, 450, Some(30));
    let balance = bench.balance("F1", 1);
    assert_eq!(balance.dts.len(), 1);
    let t1 = dt(&balance, 0);
    assert_eq!(
        (t1.injected_wh, t1.delivered_wh, t1.loss_wh),
        (Some(1_030), Some(850), Some(180))
    );
    assert_eq!((t1.coverage, t1.loss_bound_wh), (coverage(3, 3), 0));
    // The feeder has no meter: what depends on its input is not known, and what does not is.
    assert_eq!(
        (balance.feeder.input_wh, balance.feeder.total_loss_wh),
        (None, None)
    );
    assert_eq!(
        (
            balance.feeder.lt_loss_wh,
            balance.feeder.dt_metered,
            balance.feeder.dt_total
        ),
        (180, 1, 1)
    );
}

/// At noon rooftops give 900, consumers take 100, and 750 flow up through the DT: loss 900 - 750 - 100 = 50.
#[test]
fn reverse_flow_through_a_dt_is_delivered_energy() {
    let mut bench = Bench::new();
    bench.own_meter("MT1", MeterRole::Dt, "T1", 1_000);
    bench.own_meter("MF1", MeterRole::Feeder, "F1", 1_000);
    bench.consumer("A", "T1");
    bench.say("MT1", 1, 0, Some(750));
    bench.say("MF1", 1, 0, Some(740));
    bench.say("A", 1, 100, Some(900));
    let balance = bench.balance("F1", 1);
    assert_eq!(dt(&balance, 0).loss_wh, Some(50));
    // Feeder: input -740, of which the DT gives 750: 10 are lost on the 11 kV side.
    assert_eq!(balance.feeder.input_wh, Some(-740));
    assert_eq!(
        (balance.feeder.ht_loss_wh, balance.feeder.lt_loss_wh),
        (Some(10), 50)
    );
    assert_eq!(balance.feeder.total_loss_wh, Some(60));
}

/// A ratio of 60.005 on 333 Wh is 19,981.665, rounded half up to 19,982; of 0.5 on 1 Wh it is 0.5, rounded up to 1.
#[test]
fn multiplied_energy_is_rounded_half_up_once_per_read() {
    for (thousandths, counted, network) in [(60_005, 333, 19_982), (500, 1, 1), (1_000, 7, 7), (499, 1, 0)] {
        let mut bench = Bench::new();
        bench.own_meter("MT1", MeterRole::Dt, "T1", thousandths);
        bench.say("MT1", 1, counted, None);
        assert_eq!(
            dt(&bench.balance("F1", 1), 0).dt_import_wh,
            Some(network),
            "{thousandths} x {counted}"
        );
    }
}

/// T1 is metered (loss 100), T2 is not: its consumers' 300 stand in for its input, so its own loss stays on the 11 kV side.
#[test]
fn a_dt_without_a_working_meter_leaves_its_loss_on_the_high_side() {
    let mut bench = Bench::new();
    bench.own_meter("MF1", MeterRole::Feeder, "F1", 1_000);
    bench.own_meter("MT1", MeterRole::Dt, "T1", 1_000);
    bench.consumer("A", "T1");
    bench.consumer("B", "T2");
    bench.say("MF1", 1, 1_500, None);
    bench.say("MT1", 1, 1_000, None);
    bench.say("A", 1, 900, None);
    bench.say("B", 1, 300, None);
    let balance = bench.balance("F1", 1);
    let t2 = dt(&balance, 1);
    assert_eq!(
        (t2.dt_import_wh, t2.loss_wh, t2.consumer_import_wh),
        (None, None, 300)
    );
    let feeder = balance.feeder;
    assert_eq!(
        (feeder.dt_metered, feeder.dt_total, feeder.dt_input_wh),
        (1, 2, 1_000)
    );
    assert_eq!(
        (feeder.ht_loss_wh, feeder.lt_loss_wh, feeder.total_loss_wh),
        (Some(200), 100, Some(300))
    );
}

/// A consumer that did not report could have drawn its 4 kW for a quarter hour: 1,000 Wh.
#[test]
fn a_missing_consumer_bounds_the_loss_and_lowers_coverage() {
    let mut bench = Bench::new();
    bench.own_meter("MT1", MeterRole::Dt, "T1", 1_000);
    bench.consumer("A", "T1");
    bench.consumer("B", "T1");
    bench.say("MT1", 1, 1_000, None);
    bench.say("A", 1, 400, None);
    let t1 = dt(&bench.balance("F1", 1), 0);
    assert_eq!(
        (t1.loss_wh, t1.loss_bound_wh, t1.loss_bound_above_wh, t1.coverage),
        (Some(600), 1_000, 0, coverage(3, 2))
    );
}

/// A prosumer that did not report could have drawn its 4 kW or given as much; a generator only give. Where no load is said, the
/// meter bounds it: 14.4 kW a phase.
#[test]
fn a_missing_prosumer_moves_the_loss_both_ways_and_a_generator_only_up() {
    let mut bench = Bench::new();
    bench.own_meter("MT1", MeterRole::Dt, "T1", 1_000);
    bench.own_meter("FM1", MeterRole::Feeder, "F1", 1_000);
    for (id, role, prosumer, load_kw) in [
        ("P", MeterRole::Consumer, Prosumer::NetMetering, Some(4.0)),
        ("G", MeterRole::Generation, Prosumer::GrossMetering, Some(2.0)),
        ("N", MeterRole::Consumer, Prosumer::None, None),
    ] {
        bench.learn(MasterRows::Meters(vec![meter(id, role, None)]));
        bench.learn(MasterRows::Connections(vec![ConnectionRow {
            prosumer,
            sanctioned_load_kw: load_kw,
            ..connection(&format!("C{id}"), Some(id), "T1")
        }]));
    }
    bench.say("MT1", 1, 1_000, None);
    bench.say("FM1", 1, 1_100, None);
    let balance = bench.balance("F1", 1);
    let t1 = dt(&balance, 0);
    assert_eq!(
        (t1.loss_bound_wh, t1.loss_bound_above_wh),
        (1_000 + 3_600, 1_000 + 500)
    );
    let feeder = balance.feeder;
    assert_eq!(
        (feeder.loss_bound_wh, feeder.loss_bound_above_wh),
        (t1.loss_bound_wh, t1.loss_bound_above_wh)
    );
}

/// An estimate of 300 Wh for a consumer that can draw 1,000: the meter may have counted nothing, or 1,000.
#[test]
fn an_estimate_leaves_the_loss_bounded_on_both_sides() {
    let mut bench = Bench::new();
    bench.own_meter("MT1", MeterRole::Dt, "T1", 1_000);
    bench.consumer("A", "T1");
    bench.say("MT1", 1, 1_000, None);
    bench.say_as(Quality::Estimated, ("A", 1), 300, None);
    let t1 = dt(&bench.balance("F1", 1), 0);
    let covered = Coverage {
        estimated: 1,
        ..coverage(2, 1)
    };
    assert_eq!(
        (t1.loss_wh, t1.loss_bound_wh, t1.loss_bound_above_wh, t1.coverage),
        (Some(700), 700, 300, covered)
    );
}

/// A boundary meter of F1 counts what comes from F2: F1 takes 200 and gives 50, F2 the other way round.
#[test]
fn a_boundary_meter_counts_on_both_sides_with_opposite_sign() {
    let mut bench = Bench::new();
    bench.own_meter("MF1", MeterRole::Feeder, "F1", 1_000);
    bench.own_meter("MF2", MeterRole::Feeder, "F2", 1_000);
    let mut boundary = meter("X", MeterRole::Boundary, Some("F1"));
    boundary.boundary_to = Some(crate::rig::node_id("F2"));
    bench.learn(MasterRows::Meters(vec![boundary]));
    bench.say("MF1", 1, 1_000, None);
    bench.say("MF2", 1, 500, None);
    assert_eq!(
        bench.balance("F1", 1).feeder.input_wh,
        None,
        "a boundary meter is missing"
    );
    bench.say("X", 1, 200, Some(50));
    assert_eq!(bench.balance("F1", 1).feeder.input_wh, Some(1_150));
    assert_eq!(bench.balance("F2", 1).feeder.input_wh, Some(350));
}

/// An HT consumer takes 600 and a generator on the feeder gives 100; the generator's own import is not counted.
#[test]
fn consumers_on_the_feeder_itself_are_delivered_on_the_high_side() {
    let mut bench = Bench::new();
    bench.own_meter("MF1", MeterRole::Feeder, "F1", 1_000);
    bench.consumer("H", "F1");
    bench.learn(MasterRows::Meters(vec![meter("G", MeterRole::Generation, None)]));
    bench.learn(MasterRows::Connections(vec![connection("CG", Some("G"), "F1")]));
    bench.say("MF1", 1, 520, None);
    bench.say("H", 1, 600, None);
    bench.say("G", 1, 9, Some(100));
    let feeder = bench.balance("F1", 1).feeder;
    assert_eq!((feeder.ht_import_wh, feeder.ht_export_wh), (600, 100));
    assert_eq!(
        (feeder.ht_loss_wh, feeder.lt_loss_wh, feeder.total_loss_wh),
        (Some(20), 0, Some(20))
    );
}

/// 100 kWh assessed for April (2,880 quarter hours) are 34.7 Wh each: the intervals' parts sum to 100,000 Wh exactly.
#[test]
fn an_assessed_month_is_spread_over_its_intervals_exactly() {
    let mut bench = Bench::new();
    bench.own_meter("MT1", MeterRole::Dt, "T1", 1_000);
    let mut pump = connection("P", None, "T1");
    pump.assessed_kwh_month = Some(100.0);
    bench.learn(MasterRows::Connections(vec![pump]));
    let network = &bench.network;
    let feeder = network.find_node("F1").unwrap();
    let mut members = MemberReads::default();
    for n in 1..=30 * 96 {
        let quarter = Quarter::ending(quarter_end(n)).unwrap();
        let roster = Arc::new(network.roster(feeder, quarter.begin()));
        members.gather(&bench.state, &Zone::kolkata(), &roster, quarter);
    }
    let computed = block_on(BalanceSql::default().run(members)).unwrap();
    let parts: Vec<i64> = computed
        .iter()
        .map(|(_, _, interval)| dt(interval, 0).unmetered_wh)
        .collect();
    assert_eq!(parts.iter().sum::<i64>(), 100_000);
    assert!(parts.iter().all(|part| (34..=35).contains(part)));
}

/// A 30-minute consumer makes the feeder balance by half hours: a 15-minute meter then counts both of its quarters, and is absent
/// while one of them is.
#[test]
fn a_feeder_with_meters_of_both_lengths_balances_by_half_hours() {
    let mut bench = Bench::new();
    bench.own_meter("MT1", MeterRole::Dt, "T1", 1_000);
    let mut slow = meter("S", MeterRole::Consumer, None);
    slow.interval_minutes = IntervalMinutes::Thirty;
    bench.learn(MasterRows::Meters(vec![slow]));
    bench.learn(MasterRows::Connections(vec![connection("CS", Some("S"), "T1")]));
    bench.say("S", 2, 900, None);
    bench.say("MT1", 2, 500, None);
    let half = bench.balance("F1", 2);
    assert_eq!(
        (half.minutes, dt(&half, 0).dt_import_wh),
        (IntervalMinutes::Thirty, None)
    );
    bench.say("MT1", 1, 480, None);
    let whole = bench.balance("F1", 2);
    assert_eq!(
        (dt(&whole, 0).dt_import_wh, dt(&whole, 0).loss_wh),
        (Some(980), Some(80))
    );
}

/// The plans are made once and keep nothing of a run: runs at the same time, and after one another, read each their own rows.
#[test]
fn one_balance_sql_serves_many_runs_at_once() {
    let mut bench = Bench::new();
    bench.own_meter("MT1", MeterRole::Dt, "T1", 1_000);
    let feeder = bench.network.find_node("F1").unwrap();
    for n in 1..=40 {
        bench.say("MT1", n, u32::try_from(n).unwrap() * 10, None);
    }
    let gather = |n| {
        let quarter = Quarter::ending(quarter_end(n)).unwrap();
        let mut members = MemberReads::default();
        let roster = Arc::new(bench.network.roster(feeder, quarter.begin()));
        members.gather(&bench.state, &Zone::kolkata(), &roster, quarter);
        members
    };
    let sql = BalanceSql::default();
    for _ in 0..2 {
        let runs = (1..=40).map(|n| sql.run(gather(n)));
        let computed = block_on(futures::future::try_join_all(runs)).unwrap();
        for (computed, n) in computed.iter().zip(1..) {
            assert_eq!(dt(&computed[0].2, 0).dt_import_wh, Some(n * 10));
        }
    }
}

#[test]
fn an_interval_s_place_in_its_month_counts_from_the_civil_month_s_begin() {
    let zone = Zone::kolkata();
    let place = |n| {
        place_in_month(
            &zone,
            Quarter::ending(quarter_end(n)).unwrap(),
            IntervalMinutes::Fifteen,
        )
    };
    assert_eq!(place(1), (0, 2_880));
    assert_eq!(place(2_880), (2_879, 2_880));
    assert_eq!(
        place(0),
        (31 * 96 - 1, 31 * 96),
        "the block that ends at midnight belongs to March"
    );
}
