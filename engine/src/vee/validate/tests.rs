use gridtally_schemas::{Multiplier, UtcMicros};

use super::*;
use crate::{
    rig::MIDNIGHT,
    state::Quality,
    vee::{Limits, Part, day::BalanceOfDay, day::Register},
};

static LIMITS: std::sync::LazyLock<Limits> = std::sync::LazyLock::new(Limits::default);

fn consumer() -> Context<'static> {
    Context {
        role: MeterRole::Consumer,
        supply: Some(Supply::Lt),
        quarters: 1,
        multiplier: Multiplier::ONE,
        capacity_w: Some(4_000),
        limits: &LIMITS,
    }
}

fn value(import_wh: u32) -> Value {
    Value {
        quality: Quality::Actual,
        revision: 0,
        captured_at: None,
        import_wh,
        export_wh: None,
        import_vah: None,
        voltage_v: None,
        current_a: None,
    }
}

/// A household of 60 to 156 Wh a quarter, never the same twice in a row.
fn usual() -> Vec<Option<Value>> {
    (0..96).map(|at| Some(value(60 + (at * 37) % 97))).collect()
}

/// A day to be spoilt, with everything that the rules look at.
struct Bed {
    context: Context<'static>,
    before: Vec<Option<Value>>,
    cells: Vec<Option<Value>>,
    registers: [Option<Register>; 2],
    dt_live: Vec<bool>,
    dark: Vec<bool>,
    balance: Option<BalanceOfDay>,
}

impl Bed {
    fn new() -> Self {
        Self {
            context: consumer(),
            before: usual(),
            cells: usual(),
            registers: [None, None],
            dt_live: vec![true; 96],
            dark: Vec::new(),
            balance: None,
        }
    }

    fn set(mut self, at: usize, change: impl Fn(&mut Value)) -> Self {
        change(self.cells[at].as_mut().unwrap());
        self
    }

    fn sum(&self) -> i64 {
        self.cells
            .iter()
            .flatten()
            .map(|value| i64::from(value.import_wh))
            .sum()
    }

    fn found(&self) -> Vec<Exception> {
        let parts = [Part {
            from: 0,
            context: Some(self.context),
        }];
        self.found_in(&parts)
    }

    fn found_in(&self, parts: &[Part<'_>]) -> Vec<Exception> {
        let day = MeterDay {
            first: Quarter(Quarter::ending(MIDNIGHT).unwrap().0 + 1),
            parts,
            before: &self.before,
            cells: &self.cells,
            registers: self.registers,
            dt_live: &self.dt_live,
            dark: &self.dark,
            balance: self.balance,
            gaps_due: true,
        };
        let mut found = Vec::new();
        evaluate(&day, &mut found);
        found
    }
}

/// Rule, position in the day and value of what is found.
fn check(bed: &Bed, expected: &[(Rule, u32, f64)]) {
    let first = Quarter::ending(MIDNIGHT).unwrap().0 + 1;
    let found: Vec<(Rule, u32, f64)> = bed
        .found()
        .iter()
        .map(|exception| {
            (
                exception.rule,
                exception.quarter.0 - first,
                exception.value.unwrap(),
            )
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn a_usual_day_is_not_objected_to() {
    check(&Bed::new(), &[]);
}

#[test]
fn intervals_without_value_that_follow_one_another_are_one_gap() {
    let mut bed = Bed::new();
    bed.cells[3] = None;
    bed.cells[4] = None;
    bed.cells[95] = None;
    check(&bed, &[(Rule::Gap, 3, 2.0), (Rule::Gap, 95, 1.0)]);
}

/// Quarters of the day (and, counted below zero, of the day before) of which an outage is known.
fn dark(bed: &mut Bed, quarters: std::ops::Range<i64>) {
    bed.dark = (-96..96).map(|at| quarters.contains(&at)).collect();
}

#[test]
fn a_known_outage_is_no_gap() {
    let mut bed = Bed::new();
    bed.cells[10..20].fill(None);
    dark(&mut bed, 12..18);
    check(&bed, &[(Rule::Gap, 10, 2.0), (Rule::Gap, 18, 2.0)]);
    dark(&mut bed, -5..30);
    check(&bed, &[]);
    // Half an hour of which one quarter is known to be dark may hold a value.
    bed.context.quarters = 2;
    bed.cells = (0..96_u32)
        .map(|at| (at % 2 == 1 && at != 21).then(|| value(200 + at)))
        .collect();
    bed.before = bed.cells.clone();
    dark(&mut bed, 21..30);
    assert!(bed.found().iter().any(|found| found.rule == Rule::Gap));
    dark(&mut bed, 20..30);
    assert!(!bed.found().iter().any(|found| found.rule == Rule::Gap));
}

#[test]
fn time_without_supply_makes_no_zero_long() {
    let mut bed = Bed::new();
    bed.cells = vec![Some(value(0)); 96];
    check(&bed, &[(Rule::LongZero, 0, 96.0)]);
    dark(&mut bed, 30..31);
    check(&bed, &[]);
    // The day before was without energy too: there is enough of it with supply.
    bed.before = vec![Some(value(0)); 96];
    check(&bed, &[(Rule::LongZero, 0, 96.0)]);
}

#[test]
fn what_comes_back_after_two_days_without_supply_is_no_spike() {
    let mut bed = Bed::new();
    bed.before = vec![Some(value(0)); 96];
    bed.cells = vec![Some(value(0)); 96];
    bed.dt_live.fill(false);
    bed = bed
        .set(94, |value| value.import_wh = 600)
        .set(95, |value| value.import_wh = 700);
    assert_eq!(bed.found().len(), 2);
    dark(&mut bed, -96..94);
    check(&bed, &[]);
}

#[test]
fn a_meter_that_is_not_in_service_has_no_gap() {
    let mut bed = Bed::new();
    bed.cells = vec![None; 96];
    bed.cells[60] = Some(value(5));
    let from_noon = [
        Part {
            from: 0,
            context: None,
        },
        Part {
            from: 48,
            context: Some(bed.context),
        },
    ];
    let gaps: Vec<Option<f64>> = bed.found_in(&from_noon).iter().map(|gap| gap.value).collect();
    assert_eq!(gaps, [Some(12.0), Some(35.0)]);
    assert_eq!(
        bed.found_in(&[Part {
            from: 0,
            context: None
        }]),
        []
    );
}

#[test]
fn a_half_hour_meter_owes_a_value_at_the_half_hours_alone() {
    let mut bed = Bed::new();
    bed.context.quarters = 2;
    for cells in [&mut bed.before, &mut bed.cells] {
        cells.iter_mut().step_by(2).for_each(|cell| *cell = None);
    }
    check(&bed, &[]);
    bed.cells[6] = Some(value(70));
    check(&bed, &[(Rule::WrongLength, 6, 1.0)]);
}

#[test]
fn a_quarter_hour_meter_that_counts_in_half_hours_is_of_wrong_length_and_has_no_gaps() {
    let mut bed = Bed::new();
    bed.cells.iter_mut().step_by(2).for_each(|cell| *cell = None);
    check(&bed, &[(Rule::WrongLength, 1, 48.0)]);
}

#[test]
fn more_than_twice_the_sanctioned_load_is_above_capacity_and_the_multiplier_counts() {
    // 4 kW carry 1,000 Wh in a quarter hour.
    let mut bed = Bed::new().set(10, |value| value.import_wh = 2_000);
    check(&bed, &[(Rule::Spike, 10, 2_000.0)]);
    bed = bed.set(10, |value| value.import_wh = 2_001);
    check(
        &bed,
        &[(Rule::AboveCapacity, 10, 2_001.0), (Rule::Spike, 10, 2_001.0)],
    );
    bed.context.multiplier = Multiplier::from_thousandths(500).unwrap();
    check(&bed, &[(Rule::Spike, 10, 2_001.0)]);
    bed.context.capacity_w = None;
    assert!(!bed.found().iter().any(|found| found.rule == Rule::AboveCapacity));
}

#[test]
fn a_spike_is_far_above_the_fourth_highest_and_three_do_not_hide_one_another() {
    let mut bed = Bed::new();
    for at in [20, 21, 60] {
        bed = bed.set(at, |value| value.import_wh = 900);
    }
    check(
        &bed,
        &[
            (Rule::Spike, 20, 900.0),
            (Rule::Spike, 21, 900.0),
            (Rule::Spike, 60, 900.0),
        ],
    );
    // Five times the fourth highest (155 Wh) is none yet.
    check(&Bed::new().set(20, |value| value.import_wh = 775), &[]);
    check(
        &Bed::new().set(20, |value| value.import_wh = 776),
        &[(Rule::Spike, 20, 776.0)],
    );
    // A fourth is the usual level of this meter.
    check(&bed.set(61, |value| value.import_wh = 900), &[]);
}

#[test]
fn what_a_fuse_carries_twice_over_is_no_spike_of_a_meter_that_usually_stands_still() {
    let mut bed = Bed::new();
    bed.before = (0..96).map(|at| Some(value(at % 2))).collect();
    bed.cells = bed.before.clone();
    check(&bed.set(40, |value| value.import_wh = 500), &[]);
}

#[test]
fn the_same_energy_for_half_a_day_is_stuck_and_for_less_is_not() {
    let stuck = |from: usize, until: usize| {
        let mut bed = Bed::new();
        bed.cells[from..until]
            .iter_mut()
            .for_each(|cell| *cell = Some(value(33)));
        bed
    };
    check(&stuck(10, 57), &[]);
    check(&stuck(10, 58), &[(Rule::Stuck, 10, 33.0)]);
    // Begun the day before.
    let mut bed = stuck(0, 8);
    bed.before[56..]
        .iter_mut()
        .for_each(|cell| *cell = Some(value(33)));
    check(&bed, &[(Rule::Stuck, 0, 33.0)]);
    // A standing load of 40 W is none.
    let mut bed = stuck(0, 96);
    bed.cells.iter_mut().for_each(|cell| *cell = Some(value(10)));
    check(&bed, &[]);
}

#[test]
fn no_energy_all_day_is_a_long_zero_only_while_the_dt_counts() {
    let mut bed = Bed::new();
    bed.cells = vec![Some(value(0)); 96];
    check(&bed, &[(Rule::LongZero, 0, 96.0)]);
    bed.dt_live[..50].fill(false);
    check(&bed, &[]);
    bed.dt_live.clear();
    check(&bed, &[]);
    bed.dt_live = vec![true; 96];
    check(&bed.set(48, |value| value.export_wh = Some(5)), &[]);
}

#[test]
fn a_day_that_its_registers_contradict_is_a_mismatch() {
    let mut bed = Bed::new();
    let sum = bed.sum();
    bed.registers = [Some((Some(1_000), None)), Some((Some(1_000 + sum), None))];
    check(&bed, &[]);
    let off = |by: i64| [Some((Some(1_000), None)), Some((Some(1_000 + sum - by), None))];
    bed.registers = off(100);
    check(&bed, &[]);
    bed.registers = off(500);
    check(&bed, &[(Rule::RegisterMismatch, 95, 500.0)]);
    bed.registers = off(-500);
    check(&bed, &[(Rule::RegisterMismatch, 95, -500.0)]);
    // What is missing may hold the difference: no objection but the gap, while the known part does not exceed it already.
    bed.cells[7] = None;
    check(&bed, &[(Rule::Gap, 7, 1.0)]);
    bed.registers = off(900);
    let excess = f64::from(u16::try_from(bed.sum() - sum + 900).unwrap());
    check(&bed, &[(Rule::Gap, 7, 1.0), (Rule::RegisterMismatch, 95, excess)]);
}

#[test]
fn a_register_that_passed_its_last_digit_rolled_over_and_one_that_fell_otherwise_was_reset() {
    let mut bed = Bed::new();
    let sum = bed.sum();
    bed.registers = [Some((Some(99_999_000), None)), Some((Some(sum - 1_000), None))];
    check(&bed, &[(Rule::RegisterRollover, 95, 100_000_000.0)]);
    bed.registers = [Some((Some(55_000_000), None)), Some((Some(sum), None))];
    let fell = f64::from(u32::try_from(55_000_000 - sum).unwrap());
    check(&bed, &[(Rule::RegisterReset, 95, fell)]);
}

#[test]
fn intervals_that_hold_the_multiplying_factor_are_named_so() {
    let mut bed = Bed::new();
    bed.context.multiplier = Multiplier::from_thousandths(20_000).unwrap();
    bed.context.capacity_w = None;
    bed.registers = [Some((Some(0), None)), Some((Some(bed.sum() / 20), None))];
    let found = bed.found();
    assert_eq!(found[0].rule, Rule::RegisterMismatch);
    assert!(
        found[0]
            .detail
            .ends_with("the intervals hold the multiplying factor, the registers do not"),
        "{}",
        found[0].detail
    );
}

#[test]
fn electrical_impossibilities_are_named_once_for_intervals_that_follow_one_another() {
    let bed = Bed::new()
        .set(5, |value| value.import_vah = Some(value.import_wh - 3))
        .set(6, |value| value.import_vah = Some(value.import_wh / 2))
        .set(7, |value| value.import_vah = Some(value.import_wh - 2));
    let half = f64::from(bed.cells[6].unwrap().import_wh - bed.cells[6].unwrap().import_wh / 2);
    check(&bed, &[(Rule::KvahBelowKwh, 5, half)]);
    let bed = Bed::new()
        .set(5, |value| value.voltage_v = Some(301.0))
        .set(6, |value| value.voltage_v = Some(20.0))
        .set(8, |value| value.voltage_v = Some(0.0))
        .set(9, |value| value.voltage_v = Some(230.0));
    check(&bed, &[(Rule::VoltageOutOfRange, 5, 20.0)]);
    let mut ht = bed;
    ht.context.supply = Some(Supply::Ht);
    check(&ht, &[]);
}

#[test]
fn a_read_made_before_its_interval_ended_shows_a_drifting_clock() {
    let end = |at: i64| MIDNIGHT.plus((at + 1) * 900_000_000);
    let made = |at: i64, micros: i64| Some(UtcMicros(end(at).0 + micros));
    let bed = Bed::new()
        .set(5, |value| value.captured_at = made(5, -299_000_000))
        .set(6, |value| value.captured_at = made(6, 3_600_000_000));
    check(&bed, &[]);
    check(
        &bed.set(7, |value| value.captured_at = made(7, -300_000_000)),
        &[(Rule::ClockDrift, 7, 300.0)],
    );
}

#[test]
fn export_counts_as_night_from_eight_to_four_and_below_forty_watts_is_tolerated() {
    let exports = |at: usize, wh: u32| Bed::new().set(at, |value| value.export_wh = Some(wh));
    check(&exports(15, 11), &[(Rule::ExportAtNight, 15, 11.0)]);
    check(&exports(80, 11), &[(Rule::ExportAtNight, 80, 11.0)]);
    for quiet in [exports(16, 11), exports(79, 11), exports(15, 10)] {
        check(&quiet, &[]);
    }
}

#[test]
fn a_dt_that_delivers_more_than_it_took_is_named_beyond_three_per_cent() {
    let balance = |loss_wh: i64| Bed {
        balance: Some(BalanceOfDay {
            injected_wh: 10_000,
            loss_wh,
        }),
        context: Context {
            role: MeterRole::Dt,
            supply: None,
            capacity_w: Some(100_000),
            ..consumer()
        },
        ..Bed::new()
    };
    check(&balance(-300), &[]);
    check(&balance(-400), &[(Rule::NegativeBalance, 95, -4.0)]);
}

#[test]
fn every_rule_is_found_by_its_word() {
    for rule in Rule::ALL {
        assert_eq!(Rule::parse(rule.as_str()), Some(*rule));
        assert!(
            include_str!("../../vee.rs").contains(&format!("| `{}` |", rule.as_str())),
            "{rule:?}"
        );
    }
}
