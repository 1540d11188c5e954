//! Validation against the fleet: defects are planted in its meters, and what the rules find is held against what is there. Recall of
//! what a rule can see by its definition is 1; precision is printed, false alarms included.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::print_stdout,
    clippy::too_many_lines,
    clippy::too_many_arguments,
    clippy::large_futures,
    clippy::needless_pass_by_value,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "tests fail by panicking, and are an edge"
)]

use std::collections::{BTreeMap, BTreeSet};

use gridtally_engine::{
    Settings, World,
    balance::BalanceSql,
    state::Quality,
    vee::{Exception, Method, Rule},
};
use gridtally_fleet::{
    Feeder, Fleet, FleetConfig, Imperfections, Meter, Quarter,
    defect::{Defect, DefectKind},
    delivery,
    flow::Reads,
    mapping::WrongMapping,
};
use gridtally_ingest::log::Position;
use gridtally_schemas::{
    Day, IntervalRead, Multiplier, Publish, RegisterRead, UtcMicros, Zone,
    network::{MasterRows, MeterRole},
    record,
};

/// Midnight of 2026-04-01 in India.
const START: UtcMicros = UtcMicros(1_774_981_800_000_000);
const DAYS: u32 = 12;
/// Consumers who are recorded on another DT.
const MAPPINGS_PERMILLE: u16 = 15;
/// Where an import register of five digits of kWh begins again.
const RANGE_WH: i64 = 100_000_000;

/// What was planted and said.
struct Plan {
    fleet: Fleet,
    feeders: Vec<Feeder>,
    defects: BTreeMap<(u64, u32), Defect>,
    mappings: BTreeMap<(u64, u32), WrongMapping>,
    /// Energy of each defective day as it was, Wh as the meter counts; intervals above 2 Wh in it.
    energy: BTreeMap<(u64, u32), (i64, usize)>,
}

impl Plan {
    fn new() -> Self {
        let fleet = Fleet::new(FleetConfig {
            consumers_per_feeder: 200,
            prosumer_permille: 250,
            imperfections: Imperfections {
                null_ppm: 0,
                missing_ppm: 500,
                ..Imperfections::usual()
            },
            ..FleetConfig::new(7, 1_600, START)
        })
        .unwrap();
        let feeders: Vec<Feeder> = fleet.feeders().collect();
        let first = Zone::kolkata().day_of(START);
        let planted = feeders.iter().flat_map(|feeder| {
            let defects = feeder.defects(first, DAYS, 400);
            defects
                .into_iter()
                .map(|defect| ((feeder.number(), defect.meter.meter.slot), defect))
        });
        let key = |of: &WrongMapping| (u64::from(of.meter.meter.feeder), of.meter.meter.slot);
        let mappings = fleet.wrong_mappings(MAPPINGS_PERMILLE);
        let mut plan = Self {
            defects: planted.collect(),
            mappings: mappings.into_iter().map(|of| (key(&of), of)).collect(),
            feeders: feeders.clone(),
            fleet,
            energy: BTreeMap::new(),
        };
        for feeder in &feeders {
            let mut reads = Reads::default();
            for quarter in quarters() {
                reads.compute(feeder, &Zone::kolkata(), quarter);
                for (meter, read) in reads.iter(feeder) {
                    let key = (feeder.number(), meter.meter.slot);
                    if plan
                        .defects
                        .get(&key)
                        .is_some_and(|defect| defect.day == day_of(quarter))
                    {
                        let energy = plan.energy.entry(key).or_default();
                        energy.0 += read.import_wh.unwrap();
                        energy.1 += usize::from(read.import_wh.unwrap() > 2);
                    }
                }
            }
        }
        plan
    }
}

fn quarters() -> impl Iterator<Item = Quarter> {
    let first = Quarter::containing(START).plus(1);
    (0..i64::from(DAYS) * 96).map(move |at| first.plus(at))
}

fn day_of(quarter: Quarter) -> Day {
    Zone::kolkata().day_of_interval(quarter.end())
}

fn tell_master(plan: &Plan, tell: &mut impl FnMut(Vec<u8>)) {
    let mut meters: Vec<_> = plan.fleet.meters().collect();
    for defect in plan
        .defects
        .values()
        .filter(|defect| defect.kind == DefectKind::DtMultiplier)
    {
        let id = defect.meter.meter.id().unwrap();
        meters
            .iter_mut()
            .find(|row| row.meter_id == id)
            .unwrap()
            .multiplier = Multiplier::ONE;
    }
    let mut connections: Vec<_> = plan.fleet.connections().collect();
    for mapping in plan.mappings.values() {
        let consumer = connections
            .iter_mut()
            .find(|row| row.consumer_id == mapping.consumer_id)
            .unwrap();
        consumer.node_id = mapping.recorded_at.clone();
    }
    for rows in [
        MasterRows::Nodes(plan.fleet.nodes().collect()),
        MasterRows::Meters(meters),
        MasterRows::Connections(connections),
    ] {
        let mut bytes = Vec::new();
        record::encode_master_rows(START, "file:plan", &rows, &mut bytes).unwrap();
        tell(bytes);
    }
}

/// Registers of a feeder's meters, import and export, as their displays show them.
struct Registers(Vec<(i64, i64)>);

impl Registers {
    fn new(plan: &Plan, feeder: &Feeder) -> Self {
        let begin = |meter: &Meter| {
            let key = (feeder.number(), meter.meter.slot);
            let import = match plan.defects.get(&key) {
                Some(defect) if defect.kind == DefectKind::Rollover => {
                    RANGE_WH - plan.energy[&key].0.max(2) / 2
                }
                _ => 10_000_000 + i64::from(meter.meter.slot) * 1_000,
            };
            (import, 5_000)
        };
        Self(feeder.meters().iter().map(begin).collect())
    }

    fn count(&mut self, plan: &Plan, (feeder, meter): (u64, &Meter), read: &IntervalRead) {
        let register = &mut self.0[usize::try_from(meter.meter.slot).unwrap()];
        let defect = plan.defects.get(&(feeder, meter.meter.slot));
        let quarter = Quarter::containing(read.interval_end);
        let begins =
            defect.is_some_and(|defect| defect.kind == DefectKind::RegisterReset && defect.first == quarter);
        if begins
            || defect.is_some_and(|d| {
                d.kind == DefectKind::RegisterReset
                    && d.first.plus(1) == quarter
                    && meter.minutes.quarters() == 2
            })
        {
            register.0 = 0;
        }
        register.0 += read.import_wh.unwrap();
        register.1 += read.export_wh.unwrap_or_default();
        if defect.is_some_and(|defect| defect.kind == DefectKind::Rollover) {
            register.0 %= RANGE_WH;
        }
    }

    fn publish(&self, feeder: &Feeder, at: UtcMicros) -> Publish {
        let mut publish = Publish::default();
        for meter in feeder.meters() {
            let (import, export) = self.0[usize::try_from(meter.meter.slot).unwrap()];
            publish.begin_meter(meter.meter.id().unwrap().as_str()).unwrap();
            publish.push_register(RegisterRead {
                at,
                import_wh: Some(import),
                export_wh: Some(export),
            });
        }
        publish
    }
}

fn tell_reads(plan: &Plan, tell: &mut impl FnMut(Vec<u8>)) {
    let imperfections = plan.fleet.config().imperfections;
    let mut tell_publish = |publish: &Publish, at: UtcMicros| {
        let mut bytes = Vec::new();
        record::encode_publish(at, "gateway:G1", publish, &mut bytes);
        tell(bytes);
    };
    for feeder in &plan.feeders {
        let (mut reads, mut before) = (Reads::default(), BTreeMap::new());
        let mut registers = Registers::new(plan, feeder);
        tell_publish(&registers.publish(feeder, START), START);
        for quarter in quarters() {
            reads.compute(feeder, &Zone::kolkata(), quarter);
            let mut publish = Publish::default();
            for (meter, read) in reads.iter(feeder) {
                registers.count(plan, (feeder.number(), meter), &read);
                let defect = plan.defects.get(&(feeder.number(), meter.meter.slot));
                let altered = defect.map_or(Some(read), |defect| {
                    defect.alter(read, before.get(&meter.meter.slot))
                });
                before.insert(meter.meter.slot, read);
                let Some(altered) = altered else { continue };
                publish.begin_meter(meter.meter.id().unwrap().as_str()).unwrap();
                // On the day of its defect a meter says it at once and once.
                if defect.is_some_and(|defect| defect.day == day_of(quarter)) {
                    publish.push_read(altered);
                    continue;
                }
                let sendings = delivery::sendings(&imperfections, meter, quarter);
                for sending in sendings.into_iter().flatten() {
                    publish.push_read(delivery::version(meter, altered, sending.said));
                }
            }
            tell_publish(&publish, quarter.end());
            if day_of(quarter) != day_of(quarter.plus(1)) {
                tell_publish(&registers.publish(feeder, quarter.end()), quarter.end());
            }
        }
    }
}

async fn judged(plan: &Plan) -> World {
    let mut world = World::new(Settings::default());
    let (mut position, mut buffer) = (0, Publish::default());
    let mut tell = |bytes: Vec<u8>| {
        position += 1;
        world.apply(Position(position), &bytes, &mut buffer).unwrap();
    };
    tell_master(plan, &mut tell);
    tell_reads(plan, &mut tell);
    settle(&mut world).await;
    world
}

/// Computes and judges all that waits.
async fn settle(world: &mut World) {
    let end = quarters().last().unwrap().end();
    world.advance(end.plus(2 * 24 * 3_600_000_000));
    let sql = BalanceSql::default();
    let mut days = 0;
    let mut took = std::time::Duration::ZERO;
    let (mut windows, mut took_by_windows) = (0_u32, std::time::Duration::ZERO);
    loop {
        while let Some(members) = world.gather(200_000) {
            let computed = sql.run(members).await.unwrap();
            world.settle(computed);
        }
        let started = std::time::Instant::now();
        let judged = world.judge(1_000).days;
        took += started.elapsed();
        days += judged;
        if judged > 0 {
            continue;
        }
        let started = std::time::Instant::now();
        if !world.judge_mappings(true) {
            break;
        }
        took_by_windows += started.elapsed();
        windows += 1;
    }
    println!(
        "judged the mappings of {windows} weeks of feeders in {took_by_windows:?}: {:?} each",
        took_by_windows / windows.max(1)
    );
    println!(
        "judged {days} meter-days in {took:?}: {:?} each",
        took / u32::try_from(days).unwrap()
    );
}

/// An exception by meter and day.
type Key = (String, Day);

struct Found {
    by_rule: BTreeMap<Rule, Vec<(Key, Exception)>>,
}

impl Found {
    fn of(world: &World) -> Self {
        let mut by_rule: BTreeMap<Rule, Vec<(Key, Exception)>> = BTreeMap::new();
        for (meter, exception) in world.exceptions() {
            let id = world.network.meter(meter).unwrap().id().to_owned();
            let day = Zone::kolkata().day_of_interval(exception.quarter.end());
            by_rule
                .entry(exception.rule)
                .or_default()
                .push(((id, day), exception));
        }
        Self { by_rule }
    }

    fn has(&self, rule: Rule, key: &Key) -> bool {
        self.by_rule
            .get(&rule)
            .is_some_and(|found| found.iter().any(|(of, _)| of == key))
    }
}

fn id_of(meter: &Meter) -> String {
    meter.meter.id().unwrap().to_string()
}

/// The rules that must object to a defect, as far as they can see it.
fn seen_by(plan: &Plan, world: &World, key: &(u64, u32), defect: &Defect) -> Vec<Rule> {
    let (energy_wh, above_two) = plan.energy.get(key).copied().unwrap_or_default();
    let feeder = &plan.feeders[usize::try_from(key.0).unwrap()];
    let of_dt = |dt: usize| {
        feeder
            .meters()
            .iter()
            .find(|meter| meter.role == MeterRole::Dt && meter.dt == Some(dt))
    };
    match defect.kind {
        DefectKind::Spike => vec![Rule::Spike, Rule::AboveCapacity],
        // It is held against another DT than its own.
        DefectKind::LongZero if plan.mappings.contains_key(key) => vec![],
        DefectKind::Stuck => vec![Rule::Stuck],
        DefectKind::LongZero => {
            // While the DT's own meter is right.
            let dt = of_dt(defect.meter.dt.unwrap()).unwrap();
            let beside = plan.defects.get(&(key.0, dt.meter.slot));
            let is_hidden = beside.is_some_and(|beside| beside.day == defect.day);
            if is_hidden { vec![] } else { vec![Rule::LongZero] }
        }
        DefectKind::Gap | DefectKind::DeadDay => vec![Rule::Gap],
        DefectKind::Rollover if energy_wh >= 2 => vec![Rule::RegisterRollover],
        DefectKind::RegisterReset => vec![Rule::RegisterReset],
        DefectKind::ScaledIntervals => {
            let excess = energy_wh * (defect.meter.multiplier - 1);
            if excess > 100 {
                vec![Rule::RegisterMismatch]
            } else {
                vec![]
            }
        }
        DefectKind::KvahBelowKwh if above_two > 0 => vec![Rule::KvahBelowKwh],
        DefectKind::Voltage => vec![Rule::VoltageOutOfRange],
        DefectKind::ClockDrift => vec![Rule::ClockDrift],
        DefectKind::NightExport => vec![Rule::ExportAtNight],
        DefectKind::HalfHours => vec![Rule::WrongLength],
        DefectKind::DtMultiplier => {
            let node = world
                .network
                .find_node(&feeder.dt_id(defect.meter.dt.unwrap()))
                .unwrap();
            let sums = world
                .node_days(node)
                .find(|(day, _)| *day == defect.day)
                .unwrap()
                .1;
            let is_negative = sums.loss_pct().is_some_and(|loss| loss < -3.0);
            if sums.is_covered(95.0) && is_negative {
                vec![Rule::NegativeBalance]
            } else {
                vec![]
            }
        }
        DefectKind::Rollover | DefectKind::KvahBelowKwh => vec![],
    }
}

/// Meters and days on which anything is planted, the meter of the DT and those below a DT included.
fn explained(plan: &Plan) -> BTreeSet<Key> {
    let mut keys = BTreeSet::new();
    for ((feeder, _), defect) in &plan.defects {
        let days: Vec<Day> = match defect.kind {
            DefectKind::DtMultiplier => (0..DAYS)
                .map(|day| Day(Zone::kolkata().day_of(START).0 + i32::try_from(day).unwrap()))
                .collect(),
            _ => vec![defect.day],
        };
        let feeder = &plan.feeders[usize::try_from(*feeder).unwrap()];
        let dt = feeder
            .meters()
            .iter()
            .filter(|meter| meter.role == MeterRole::Dt && meter.dt == defect.meter.dt);
        for meter in dt.chain([&defect.meter]) {
            keys.extend(days.iter().map(|day| (id_of(meter), *day)));
        }
    }
    // The balances of both DTs are wrong every day.
    for (meter, day) in plan.mappings.values().flat_map(|mapping| {
        let dts = [mapping.hangs_on.as_str(), mapping.recorded_at.as_str()].map(|dt| meter_of_dt(plan, dt));
        let days = (0..DAYS).map(|day| Day(Zone::kolkata().day_of(START).0 + i32::try_from(day).unwrap()));
        let meters: Vec<String> = dts.into_iter().flatten().chain([id_of(&mapping.meter)]).collect();
        days.flat_map(move |day| meters.clone().into_iter().map(move |meter| (meter, day)))
    }) {
        keys.insert((meter, day));
    }
    keys
}

/// The meter of a DT; `None`: it has none.
fn meter_of_dt(plan: &Plan, dt_id: &str) -> Option<String> {
    let of_feeder = |feeder: &Feeder| {
        let mut meters = feeder.meters().iter().filter(|meter| meter.role == MeterRole::Dt);
        meters
            .find(|meter| meter.dt.is_some_and(|dt| feeder.dt_id(dt) == dt_id))
            .map(id_of)
    };
    plan.feeders.iter().find_map(of_feeder)
}

/// First intervals of the gaps that the delivery plan and the defects leave, with their lengths.
fn true_gaps(plan: &Plan) -> BTreeSet<(String, i64)> {
    let mut gaps = BTreeSet::new();
    let imperfections = plan.fleet.config().imperfections;
    for feeder in &plan.feeders {
        for meter in feeder.meters() {
            let defect = plan.defects.get(&(feeder.number(), meter.meter.slot));
            let mut was_missing: Option<Day> = None;
            for quarter in quarters().filter(|quarter| quarter.ends_interval(meter.minutes)) {
                let day = day_of(quarter);
                let read = IntervalRead::new(quarter.end(), Some(1));
                let planted = defect.filter(|defect| defect.day == day);
                let is_missing = match planted {
                    Some(defect) if defect.kind == DefectKind::HalfHours => false,
                    Some(defect) => defect.alter(read, None).is_none(),
                    None => delivery::expected(&imperfections, meter, read, quarter.plus(1_000)).is_none(),
                };
                if is_missing && was_missing != Some(day) {
                    gaps.insert((id_of(meter), quarter.0));
                }
                was_missing = is_missing.then_some(day);
            }
        }
    }
    gaps
}

#[tokio::test]
async fn every_planted_defect_is_found_by_the_rules_that_can_see_it() {
    let plan = Plan::new();
    let mut world = judged(&plan).await;
    let found = Found::of(&world);
    let explained = explained(&plan);
    let mut expected: BTreeMap<Rule, (usize, usize)> = BTreeMap::new();
    let mut missed = Vec::new();
    for (key, defect) in &plan.defects {
        for rule in seen_by(&plan, &world, key, defect) {
            let entry = expected.entry(rule).or_default();
            entry.0 += 1;
            if found.has(rule, &(id_of(&defect.meter), defect.day)) {
                entry.1 += 1;
            } else {
                missed.push((rule, defect));
            }
        }
    }
    for mapping in plan.mappings.values() {
        let entry = expected.entry(Rule::WrongMapping).or_default();
        entry.0 += 1;
        entry.1 += usize::from(found.has(Rule::WrongMapping, &(id_of(&mapping.meter), sunday())));
    }
    let misplaced: BTreeSet<String> = plan.mappings.values().map(|of| id_of(&of.meter)).collect();
    let gaps = true_gaps(&plan);
    println!(
        "{:<22} {:>8} {:>7} {:>7} {:>12} {:>10}",
        "rule", "planted", "found", "recall", "exceptions", "precision"
    );
    for (rule, objections) in &found.by_rule {
        let (planted, hits) = expected.get(rule).copied().unwrap_or_default();
        let is_true = |(key, exception): &&(Key, Exception)| match rule {
            Rule::Gap => gaps.contains(&(key.0.clone(), i64::from(exception.quarter.0))),
            Rule::WrongMapping => misplaced.contains(&key.0),
            _ => explained.contains(key),
        };
        let right = objections.iter().filter(is_true).count();
        let part = |of: usize, whole: usize| {
            if whole == 0 {
                "-".to_owned()
            } else {
                format!("{:.3}", of as f64 / whole as f64)
            }
        };
        println!(
            "{:<22} {planted:>8} {hits:>7} {:>7} {:>12} {:>10}",
            rule.as_str(),
            part(hits, planted),
            objections.len(),
            part(right, objections.len())
        );
    }
    assert!(missed.is_empty(), "{missed:#?}");
    let rules: BTreeSet<Rule> = expected.keys().copied().collect();
    assert_eq!(
        rules.len(),
        15,
        "every soft rule but the source's own report is put to the test: {rules:?}"
    );
    let objected: BTreeSet<(String, i64)> = found.by_rule[&Rule::Gap]
        .iter()
        .map(|((id, _), gap)| (id.clone(), i64::from(gap.quarter.0)))
        .collect();
    assert_eq!(objected, gaps, "the gaps are exactly the plan's");
    assert_estimates(&plan, &world);
    assert_mappings(&plan, &found);
    assert_resolved_once_corrected(&plan, &mut world).await;
}

/// The last day of the one week that the fleet lives through whole.
fn sunday() -> Day {
    Day(Zone::kolkata().day_of(START).0 + 11)
}

/// Every wrong mapping has its exception for the whole week, and nine of ten objections are right; nine of ten that are name the DT on
/// which the meter hangs.
fn assert_mappings(plan: &Plan, found: &Found) {
    let objections: BTreeMap<&String, &Exception> = found.by_rule[&Rule::WrongMapping]
        .iter()
        .filter(|((_, day), _)| *day == sunday())
        .map(|((id, _), exception)| (id, exception))
        .collect();
    let (mut named, mut missed) = (0, Vec::new());
    for mapping in plan.mappings.values() {
        let Some(exception) = objections.get(&id_of(&mapping.meter)) else {
            missed.push(mapping);
            continue;
        };
        let place = format!("fits DT {} of feeder", mapping.hangs_on);
        named += usize::from(exception.detail.starts_with(&place));
        println!(
            "{} W, {} -> {}: {}",
            mapping.sanctioned_w, mapping.hangs_on, mapping.recorded_at, exception.detail
        );
    }
    let planted: BTreeSet<String> = plan.mappings.values().map(|of| id_of(&of.meter)).collect();
    let (mut false_alarms, mut meters) = (0, 0);
    for feeder in &plan.feeders {
        meters += feeder.meters().len();
    }
    for (id, exception) in &objections {
        if !planted.contains(*id) {
            false_alarms += 1;
            println!("false alarm: {id}: {}", exception.detail);
        }
    }
    println!(
        "{} wrong mappings, {named} with the DT on which they hang; {false_alarms} false alarms among {meters} meters",
        planted.len()
    );
    assert!(missed.is_empty(), "{missed:#?}");
    assert!(planted.len() >= 20, "{}", planted.len());
    assert!(named * 10 >= planted.len() * 9, "{named}");
    assert!(false_alarms * 9 <= planted.len(), "{false_alarms}");
}

/// Once master data says where everybody hangs, from the beginning on, no objection to a place stands.
async fn assert_resolved_once_corrected(plan: &Plan, world: &mut World) {
    let is_planted = |row: &gridtally_schemas::network::ConnectionRow| {
        plan.mappings.values().any(|of| of.consumer_id == row.consumer_id)
    };
    let rows = plan.fleet.connections().filter(is_planted).collect();
    let mut bytes = Vec::new();
    let later = START.plus(60 * 24 * 3_600_000_000);
    record::encode_master_rows(
        later,
        "file:corrected",
        &MasterRows::Connections(rows),
        &mut bytes,
    )
    .unwrap();
    let next = Position(world.applied().0 + 1);
    world.apply(next, &bytes, &mut Publish::default()).unwrap();
    settle(world).await;
    let found = Found::of(world);
    let planted: BTreeSet<String> = plan.mappings.values().map(|of| id_of(&of.meter)).collect();
    let standing: Vec<_> = found
        .by_rule
        .get(&Rule::WrongMapping)
        .into_iter()
        .flatten()
        .collect();
    assert!(
        standing.iter().all(|((id, _), _)| !planted.contains(id)),
        "{standing:#?}"
    );
}

/// Every gap of a consumer is estimated, and days with both registers sum up to them exactly.
fn assert_estimates(plan: &Plan, world: &World) {
    let mut by_method: BTreeMap<Method, (usize, i64, i64)> = BTreeMap::new();
    let mut truth = BTreeMap::new();
    for feeder in &plan.feeders {
        let mut reads = Reads::default();
        for quarter in quarters() {
            reads.compute(feeder, &Zone::kolkata(), quarter);
            for (meter, read) in reads.iter(feeder) {
                truth.insert((id_of(meter), quarter.0), read.import_wh.unwrap());
            }
        }
    }
    for (meter, estimate) in world.estimates() {
        let id = world.network.meter(meter).unwrap().id().to_owned();
        let value = world.state.value(meter, estimate.quarter).unwrap();
        assert_eq!(
            (value.quality, value.import_wh),
            (Quality::Estimated, estimate.import_wh)
        );
        let right = truth[&(id, i64::from(estimate.quarter.0))];
        let entry = by_method.entry(estimate.method).or_default();
        *entry = (
            entry.0 + 1,
            entry.1 + (i64::from(estimate.import_wh) - right).abs(),
            entry.2 + right,
        );
    }
    println!(
        "{:<18} {:>9} {:>12} {:>12}",
        "method", "intervals", "true Wh", "off by Wh"
    );
    for (method, (count, off, right)) in &by_method {
        println!("{:<18} {count:>9} {right:>12} {off:>12}", method.as_str());
    }
    assert!(
        by_method.contains_key(&Method::Linear) && by_method.contains_key(&Method::LikeDaysScaled),
        "{by_method:?}"
    );
}
