use gridtally_schemas::{
    Multiplier,
    network::{MeterRole, Supply},
};
use proptest::prelude::*;

use super::*;
use crate::{
    rig::MIDNIGHT,
    state::Quality,
    vee::{Limits, Part, day::Register},
};

static LIMITS: std::sync::LazyLock<Limits> = std::sync::LazyLock::new(Limits::default);

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

struct Bed {
    quarters: u32,
    capacity_w: Option<i64>,
    before: Vec<Option<Value>>,
    cells: Vec<Option<Value>>,
    after: Option<Value>,
    like: Vec<(Day, Vec<Option<Value>>)>,
    registers: [Option<Register>; 2],
    dead: Vec<Option<Arc<str>>>,
}

impl Bed {
    fn new(cells: Vec<Option<Value>>) -> Self {
        Self {
            quarters: 1,
            capacity_w: None,
            before: vec![None; 96],
            cells,
            after: None,
            like: Vec::new(),
            registers: [None, None],
            dead: Vec::new(),
        }
    }

    fn with_difference(self, wh: i64) -> Self {
        Self {
            registers: [Some((Some(7_000), None)), Some((Some(7_000 + wh), None))],
            ..self
        }
    }

    fn estimates(&self) -> Vec<Estimate> {
        let context = Context {
            role: MeterRole::Consumer,
            supply: Some(Supply::Lt),
            quarters: self.quarters,
            multiplier: Multiplier::ONE,
            capacity_w: self.capacity_w,
            limits: &LIMITS,
        };
        let parts = [Part {
            from: 0,
            context: Some(context),
        }];
        let day = MeterDay {
            first: Quarter(Quarter::ending(MIDNIGHT).unwrap().0 + 1),
            parts: &parts,
            before: &self.before,
            cells: &self.cells,
            registers: self.registers,
            dt_live: &[],
            dark: &[],
            balance: None,
            gaps_due: true,
        };
        let like_days: Vec<LikeDay<'_>> = self
            .like
            .iter()
            .map(|(day, cells)| LikeDay { day: *day, cells })
            .collect();
        estimate(&Blank {
            day: &day,
            after: self.after,
            like_days: &like_days,
            dead: &self.dead,
        })
    }
}

fn full(wh: u32) -> Vec<Option<Value>> {
    vec![Some(value(wh)); 96]
}

fn with_gap(gap: std::ops::Range<usize>) -> Vec<Option<Value>> {
    let mut cells = full(100);
    cells[gap].fill(None);
    cells
}

/// Position, import and method of each estimate.
fn check(bed: &Bed, expected: &[(u32, u32, Method)]) {
    let first = Quarter::ending(MIDNIGHT).unwrap().0 + 1;
    let found: Vec<(u32, u32, Method)> = bed
        .estimates()
        .iter()
        .map(|estimate| (estimate.quarter.0 - first, estimate.import_wh, estimate.method))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn a_full_day_needs_no_estimate() {
    check(&Bed::new(full(5)), &[]);
}

#[test]
fn a_gap_of_up_to_two_hours_is_on_the_line_between_the_values_beside_it() {
    let mut bed = Bed::new(with_gap(10..13));
    bed.cells[9] = Some(value(100));
    bed.cells[13] = Some(value(203));
    check(
        &bed,
        &[
            (10, 126, Method::Linear),
            (11, 152, Method::Linear),
            (12, 177, Method::Linear),
        ],
    );
    assert_eq!(&*bed.estimates()[0].inputs, "between 100 Wh and 203 Wh");
    assert!(
        Bed::new(with_gap(10..18))
            .estimates()
            .iter()
            .all(|estimate| estimate.method == Method::Linear)
    );
    assert!(
        Bed::new(with_gap(10..19))
            .estimates()
            .iter()
            .all(|estimate| estimate.method == Method::Profile)
    );
}

#[test]
fn a_gap_at_midnight_has_its_neighbour_in_the_day_beside() {
    let mut bed = Bed::new(with_gap(0..1));
    bed.before[95] = Some(value(200));
    check(&bed, &[(0, 150, Method::Linear)]);
    let mut bed = Bed::new(with_gap(95..96));
    bed.after = Some(value(0));
    check(&bed, &[(95, 50, Method::Linear)]);
}

#[test]
fn a_known_outage_is_zero_and_no_end_of_a_line() {
    let mut bed = Bed::new(with_gap(10..14));
    bed.dead = vec![None; 96];
    bed.dead[12..14].fill(Some("outage T1".into()));
    let estimates = bed.estimates();
    assert_eq!(estimates[2].inputs.as_ref(), "outage T1");
    let methods: Vec<(u32, Method)> = estimates
        .iter()
        .map(|estimate| (estimate.import_wh, estimate.method))
        .collect();
    assert_eq!(methods[2..], [(0, Method::KnownOutage), (0, Method::KnownOutage)]);
    assert_eq!(methods[0].1, Method::Profile);
}

#[test]
fn a_longer_gap_is_the_mean_of_the_three_most_recent_like_days_that_have_the_interval() {
    let mut bed = Bed::new(with_gap(20..40));
    bed.like = [(4, 40), (3, 30), (2, 21), (1, 999)]
        .map(|(day, wh)| (Day(20_000 + day), full(wh)))
        .into();
    let estimates = bed.estimates();
    assert!(
        estimates
            .iter()
            .all(|estimate| (estimate.import_wh, estimate.method) == (30, Method::LikeDays))
    );
    assert_eq!(
        &*estimates[0].inputs,
        "mean of 2024-10-08, 2024-10-07, 2024-10-06"
    );
    bed.like[0].1[25] = None;
    assert_eq!(
        bed.estimates()[5].import_wh,
        350,
        "the next like day takes the place of one without the interval"
    );
}

#[test]
fn what_the_registers_leave_is_shared_among_the_gap_exactly() {
    let mut bed = Bed::new(with_gap(20..40)).with_difference(76 * 100 + 1_001);
    bed.like = vec![(Day(20_000), full(40))];
    let estimates = bed.estimates();
    assert_eq!(
        estimates.iter().map(|estimate| estimate.import_wh).sum::<u32>(),
        1_001
    );
    assert_eq!((estimates[0].import_wh, estimates[19].import_wh), (51, 50));
    assert!(
        estimates
            .iter()
            .all(|estimate| estimate.method == Method::LikeDaysScaled)
    );
    let text = "mean of 2024-10-04; scaled so that the day sums up to its registers' 8601 Wh";
    assert_eq!(&*estimates[0].inputs, text);
    // Registers that leave less than nothing scale nothing.
    let less = bed.with_difference(76 * 100 - 1);
    assert!(
        less.estimates()
            .iter()
            .all(|estimate| estimate.method == Method::LikeDays)
    );
}

#[test]
fn without_like_days_the_profile_stands_at_the_meters_level_or_a_share_of_its_sanctioned_load() {
    let mut bed = Bed::new(with_gap(30..50));
    let estimates = bed.estimates();
    assert_eq!(estimates[0].method, Method::Profile);
    assert_eq!(&*estimates[0].inputs, "profile of the category at 9600 Wh a day");
    bed.cells = vec![None; 96];
    assert_eq!(bed.estimates(), [], "nothing is known of it");
    bed.capacity_w = Some(4_000);
    let day: u32 = bed.estimates().iter().map(|estimate| estimate.import_wh).sum();
    // 15 % of 4 kW for a day, rounded by the quarter hour.
    assert!(day.abs_diff(14_400) <= 96, "{day}");
    assert!(
        bed.with_difference(500)
            .estimates()
            .iter()
            .all(|estimate| estimate.method == Method::ProfileScaled)
    );
}

#[test]
fn a_half_hour_meter_is_estimated_at_the_half_hours_with_the_energy_of_both_quarters() {
    let mut bed = Bed::new(vec![None; 96]);
    bed.quarters = 2;
    bed.capacity_w = Some(4_000);
    let estimates = bed.estimates();
    assert_eq!(estimates.len(), 48);
    let day: u32 = estimates.iter().map(|estimate| estimate.import_wh).sum();
    assert!(day.abs_diff(14_400) <= 48, "{day}");
}

#[test]
fn export_is_estimated_where_the_meter_sends_it() {
    let mut bed = Bed::new(with_gap(40..43));
    bed.cells[39].as_mut().unwrap().export_wh = Some(10);
    bed.cells[43].as_mut().unwrap().export_wh = Some(50);
    let exports: Vec<Option<u32>> = bed
        .estimates()
        .iter()
        .map(|estimate| estimate.export_wh)
        .collect();
    assert_eq!(exports, [Some(20), Some(30), Some(40)]);
}

#[test]
fn a_meter_that_counts_in_half_hours_against_its_master_data_is_not_filled_up() {
    let mut bed = Bed::new(full(100));
    bed.cells.iter_mut().step_by(2).for_each(|cell| *cell = None);
    assert_eq!(bed.estimates(), []);
}

#[test]
fn weekends_and_holidays_are_days_of_their_own_kind() {
    let day = |text| Day::parse(text).unwrap();
    let holidays = [day("2026-01-26")].into();
    for (text, kind) in [
        ("2026-01-26", DayKind::Holiday),
        ("2026-01-23", DayKind::Weekday),
        ("2026-01-24", DayKind::Weekend),
        ("2026-01-25", DayKind::Weekend),
        ("2026-01-27", DayKind::Weekday),
    ] {
        assert_eq!(DayKind::of(day(text), &holidays), kind, "{text}");
    }
}

fn any_cells() -> impl Strategy<Value = Vec<Option<Value>>> {
    let gaps = prop::collection::vec((0_usize..96, 1_usize..40), 0..4);
    (gaps, prop::collection::vec(0_u32..2_000, 96)).prop_map(|(gaps, energies)| {
        let mut cells: Vec<Option<Value>> = energies.into_iter().map(|wh| Some(value(wh))).collect();
        for (from, length) in gaps {
            cells[from..(from + length).min(96)].fill(None);
        }
        cells
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Every missing interval gets one estimate, no other does, and it is the same each time.
    #[test]
    fn every_gap_is_filled_once_and_nothing_else(
        cells in any_cells(), like in prop::collection::vec(any_cells(), 0..5), capacity in 0_i64..5_000,
    ) {
        let mut bed = Bed::new(cells);
        bed.capacity_w = Some(capacity);
        bed.like = like.into_iter().zip(20_000..).map(|(cells, day)| (Day(day), cells)).collect();
        let missing: Vec<u32> = (0..96).filter(|at| bed.cells[*at].is_none())
            .map(|at| Quarter::ending(MIDNIGHT).unwrap().0 + 1 + u32::try_from(at).unwrap()).collect();
        let estimates = bed.estimates();
        prop_assert_eq!(estimates.iter().map(|estimate| estimate.quarter.0).collect::<Vec<_>>(), missing);
        prop_assert_eq!(estimates, bed.estimates());
    }

    /// With both registers and a long gap the day sums up to the register difference to the Wh.
    #[test]
    fn a_scaled_day_sums_up_to_its_registers(
        cells in any_cells(), like in prop::collection::vec(any_cells(), 0..5), more in 0_i64..1_000_000,
    ) {
        let known: i64 = cells.iter().flatten().map(|value| i64::from(value.import_wh)).sum();
        let mut bed = Bed::new(cells).with_difference(known + more);
        bed.like = like.into_iter().zip(20_000..).map(|(cells, day)| (Day(day), cells)).collect();
        let estimates = bed.estimates();
        let scaled = |method| matches!(method, Method::LikeDaysScaled | Method::ProfileScaled);
        if estimates.iter().any(|estimate| scaled(estimate.method)) {
            let filled: i64 = estimates.iter().map(|estimate| i64::from(estimate.import_wh)).sum();
            prop_assert_eq!(filled, more);
        } else {
            // Only where every gap is short, or the short ones already take more than the registers leave.
            let linear: i64 = estimates.iter().filter(|e| e.method == Method::Linear).map(|e| i64::from(e.import_wh)).sum();
            let all_short = estimates.iter().all(|estimate| estimate.method == Method::Linear);
            prop_assert!(all_short || linear > more);
        }
    }
}
