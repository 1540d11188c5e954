use super::*;

const HALF_HOURS: usize = 7 * 48;

/// Draws that are the same everywhere: a hash of where they are made (SplitMix64).
fn draw(of: u64, at: usize, most: i64) -> i64 {
    let mut value = of
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(u64::try_from(at).unwrap());
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    i64::try_from((value ^ (value >> 31)) >> 33).unwrap() % most
}

/// What a consumer draws in a half hour, Wh.
fn load(consumer: u64, at: usize) -> i64 {
    100 + draw(1_000 + consumer, at, 200)
}

/// The voltage at a consumer on a DT: the substation, the DT and the consumer itself.
fn voltage(dt: u64, consumer: u64, at: usize) -> i32 {
    let volts =
        240 * 1_024 + draw(1, at, 4_000) + draw(2_000 + dt, at, 4_000) + draw(3_000 + consumer, at, 2_500);
    i32::try_from(volts).unwrap()
}

/// DT `hangs_on` has this consumer, `recorded_at` is what master data says.
#[derive(Clone, Copy)]
struct Consumer {
    number: u64,
    hangs_on: u64,
    recorded_at: u64,
}

/// Three DTs of six consumers each, as master data has them; a DT's meter counts what hangs there and 5 % more.
fn feeder(id: &str, dts: std::ops::Range<u64>, consumers: &[Consumer]) -> FeederWindow {
    let of_dt = |dt: u64| DtWindow {
        id: format!("T{dt}"),
        covered: vec![true; HALF_HOURS],
        input_wh: (0..HALF_HOURS)
            .map(|at| {
                let here = consumers.iter().filter(|consumer| consumer.hangs_on == dt);
                Some(here.map(|consumer| load(consumer.number, at)).sum::<i64>() * 105 / 100)
            })
            .collect(),
        members: consumers
            .iter()
            .filter(|consumer| consumer.recorded_at == dt)
            .map(|consumer| Member {
                meter: MeterIx(u32::try_from(consumer.number).unwrap()),
                net_wh: (0..HALF_HOURS)
                    .map(|at| Some(load(consumer.number, at)))
                    .collect(),
                voltage: (0..HALF_HOURS)
                    .map(|at| Some(voltage(consumer.hangs_on, consumer.number, at)))
                    .collect(),
            })
            .collect(),
    };
    FeederWindow {
        id: id.to_owned(),
        dts: dts.map(of_dt).collect(),
    }
}

/// Six consumers on each of six DTs; `moved` are recorded elsewhere.
fn consumers(moved: &[(u64, u64)]) -> Vec<Consumer> {
    let recorded = |number: u64| moved.iter().find(|(of, _)| *of == number).map(|(_, at)| *at);
    (0..36)
        .map(|number| Consumer {
            number,
            hangs_on: number / 6,
            recorded_at: recorded(number).unwrap_or(number / 6),
        })
        .collect()
}

fn found(own: &FeederWindow, beside: &[FeederWindow]) -> Vec<Misplaced> {
    let limits = MappingLimits::default();
    let others: Vec<Pictured<'_>> = beside.iter().map(Pictured::of).collect();
    let pictured = Pictured::of(own);
    let mut suspects = pictured.suspects(&limits);
    for suspect in suspects.iter_mut().filter(|suspect| !suspect.is_placed(&limits)) {
        others.iter().for_each(|other| suspect.look_at(other, &limits));
    }
    suspects
        .iter()
        .filter_map(|suspect| suspect.finding(&limits))
        .collect()
}

fn without_voltage(mut feeder: FeederWindow) -> FeederWindow {
    for member in feeder.dts.iter_mut().flat_map(|dt| &mut dt.members) {
        member.voltage.fill(None);
    }
    feeder
}

fn without_residual(mut feeder: FeederWindow) -> FeederWindow {
    for dt in &mut feeder.dts {
        dt.input_wh.fill(None);
    }
    feeder
}

#[track_caller]
fn assert_is(found: &[Misplaced], meter: u32, words: &str) {
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].meter, MeterIx(meter), "{found:?}");
    assert!(found[0].detail.starts_with(words), "{found:?}");
}

#[test]
fn who_hangs_where_master_data_says_is_not_objected_to() {
    let all = consumers(&[]);
    let (f1, f2) = (feeder("F1", 0..3, &all), feeder("F2", 3..6, &all));
    assert_eq!(found(&f1, std::slice::from_ref(&f2)), []);
    assert_eq!(found(&without_voltage(f1), &[f2]), []);
}

#[test]
fn who_moves_with_another_dt_of_its_feeder_is_named_with_it() {
    let found = found(&feeder("F1", 0..3, &consumers(&[(7, 0)])), &[]);
    assert_is(&found, 7, "fits DT T1 of feeder F1 better: its voltage moves 0.");
    assert!(
        found[0].value < 0.6 && found[0].detail.contains("the residual of DT T0 changes by -"),
        "{found:?}"
    );
}

#[test]
fn who_moves_with_a_dt_of_a_feeder_beside_is_named_with_that() {
    let all = consumers(&[(20, 1)]);
    let (f1, f2) = (feeder("F1", 0..3, &all), feeder("F2", 3..6, &all));
    assert_is(
        &found(&f1, std::slice::from_ref(&f2)),
        20,
        "fits DT T3 of feeder F2 better",
    );
    assert_is(
        &found(&f1, &[]),
        20,
        "fits no DT of its feeder or of the feeders beside it",
    );
    assert_eq!(
        found(&f2, &[f1]),
        [],
        "the DT that it really hangs on accuses nobody"
    );
}

#[test]
fn where_nobody_says_a_voltage_the_residuals_tell() {
    let all = consumers(&[(7, 0)]);
    let found = found(&without_voltage(feeder("F1", 0..3, &all)), &[]);
    assert_is(
        &found,
        7,
        "fits DT T1 of feeder F1 better: for each Wh of it the residual of DT T0 changes by -",
    );
    assert!(found[0].value < -0.7, "{found:?}");
}

#[test]
fn a_residual_that_falls_with_who_moves_with_its_dt_is_a_wrong_factor_and_no_mapping() {
    let mut f1 = feeder("F1", 0..3, &consumers(&[]));
    f1.dts[0].members[2]
        .net_wh
        .iter_mut()
        .flatten()
        .for_each(|wh| *wh *= 3);
    assert_eq!(found(&f1, &[]), []);
}

#[test]
fn a_wrong_factor_of_the_dts_meter_accuses_none_of_its_consumers() {
    let mut f1 = without_voltage(feeder("F1", 0..3, &consumers(&[])));
    f1.dts[0].input_wh.iter_mut().flatten().for_each(|wh| *wh /= 10);
    assert_eq!(found(&f1, &[]), []);
}

/// Adds a load to the consumers of a DT in some half hours of the day, with what it takes of the DT's voltage; the DT's meter counts it.
fn add_load(dt: &mut DtWindow, half_hours: std::ops::Range<usize>, wh: i64, drop: i32) {
    let is_on = |at: usize| half_hours.contains(&(at % HALF_HOURS_OF_DAY));
    let all = i64::try_from(dt.members.len()).unwrap();
    for (at, input) in dt.input_wh.iter_mut().enumerate().filter(|(at, _)| is_on(*at)) {
        // Copper loss goes with the load.
        *input = input.map(|input| input + all * wh + all * wh / 20 * i64::from(at % 3 == 0));
    }
    for member in &mut dt.members {
        for at in (0..HALF_HOURS).filter(|at| is_on(*at)) {
            member.net_wh[at] = member.net_wh[at].map(|net| net + wh);
            member.voltage[at] = member.voltage[at].map(|volts| volts - drop);
        }
    }
}

#[test]
fn a_night_tariff_and_the_sun_accuse_nobody() {
    // Everybody on T0 heats at night, everybody on T1 feeds in at noon: they switch as one, by hundreds of Wh and volts.
    let mut f1 = feeder("F1", 0..3, &consumers(&[]));
    add_load(&mut f1.dts[0], 0..12, 900, 6 * 1_024);
    add_load(&mut f1.dts[1], 20..32, -700, -4 * 1_024);
    assert_eq!(found(&f1, &[]), []);
    assert_eq!(found(&without_voltage(f1), &[]), []);
    // Panels that nobody told of feed in at noon, when everybody on T2 draws more: the residual falls with each of them.
    let mut f1 = without_voltage(feeder("F1", 0..3, &consumers(&[])));
    add_load(&mut f1.dts[2], 20..32, 300, 0);
    for at in (0..HALF_HOURS).filter(|at| (20..32).contains(&(at % HALF_HOURS_OF_DAY))) {
        f1.dts[2].input_wh[at] = f1.dts[2].input_wh[at].map(|input| input - 2_400);
    }
    assert_eq!(found(&f1, &[]), []);
}

#[test]
fn on_a_feeder_of_one_dt_voltage_does_not_tell_but_it_is_found_from_others() {
    let here = consumers(&[(2, 3)]);
    let beside = feeder("F2", 3..6, &here);
    let alone = feeder("F1", 0..1, &here);
    assert_is(
        &found(&beside, std::slice::from_ref(&alone)),
        2,
        "fits DT T0 of feeder F1 better",
    );
    let there = consumers(&[(20, 0)]);
    let alone = without_residual(feeder("F1", 0..1, &there));
    assert_eq!(found(&alone, &[feeder("F2", 3..6, &there)]), []);
}

#[test]
fn a_dt_that_is_not_covered_is_not_judged() {
    let mut f1 = feeder("F1", 0..3, &consumers(&[(7, 0)]));
    f1.dts[0].covered.fill(false);
    assert_eq!(found(&f1, &[]), []);
    // Two days of the week are enough, one is not.
    f1.dts[0].covered[..48 + 49].fill(true);
    assert_is(&found(&f1, &[]), 7, "fits DT T1 of feeder F1 better");
    f1.dts[0].covered[..49].fill(false);
    assert_eq!(found(&f1, &[]), []);
}

#[test]
fn the_order_of_dts_and_meters_changes_nothing() {
    let mut f1 = feeder("F1", 0..3, &consumers(&[(7, 0), (1, 2), (14, 1)]));
    let before = found(&f1, &[]);
    assert_eq!(before.len(), 3, "{before:?}");
    f1.dts.reverse();
    f1.dts.iter_mut().for_each(|dt| dt.members.reverse());
    let mut after = found(&f1, &[]);
    after.sort_by_key(|misplaced| before.iter().position(|before| before.meter == misplaced.meter));
    assert_eq!(before, after);
}

#[test]
fn figures_have_two_decimals() {
    let texts = [1_000, 999, -5, -10, -1_234, 0].map(hundredths);
    assert_eq!(texts, ["1.00", "0.99", "0.00", "-0.01", "-1.23", "0.00"]);
}
