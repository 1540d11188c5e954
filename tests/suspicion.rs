//! Suspicion against the fleet's truth: whom it names of those who bypass their meter, put a magnet on it or are billed too little, and
//! which DTs of those with a hook. Figures are printed; those that are asserted were reached on these seeds, with room below them.
//!
//! The module is judged here as a pure function, on a month of reads as the fleet delivers them (late, corrected, missing); that the
//! product gathers the same from its tables is `tests/audit.rs`.
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

use std::collections::{BTreeMap, BTreeSet, HashMap};

use gridtally_engine::suspicion::{
    DAYS_BEFORE, DtMonth, Finding, HalfHour, Limits, MeterMonth, Period, Place, Sign, Subject, Tamper, judge,
    rank,
};
use gridtally_fleet::{
    Feeder, Fleet, FleetConfig, Quarter, Span, delivery, flow::Reads, fraud::MagnetTamper, truth::DtBalance,
};
use gridtally_schemas::{
    Day, IntervalMinutes, IntervalRead,
    network::{ConnectionRow, MeterRole},
};

/// The last was not looked at while thresholds and weights were chosen.
const SEEDS: [u64; 3] = [2_026, 7, 101];
const HALF_HOURS: usize = 30 * 48;

/// Who really does something, and what.
#[derive(Default)]
struct Truth {
    bypasses: BTreeSet<String>,
    magnets: BTreeSet<String>,
    short_bills: BTreeSet<String>,
    hooked: BTreeSet<String>,
    night_hooked: BTreeSet<String>,
    stolen_at: BTreeSet<String>,
}

impl Truth {
    fn is_guilty(&self, consumer: &str) -> bool {
        self.bypasses.contains(consumer)
            || self.magnets.contains(consumer)
            || self.short_bills.contains(consumer)
    }

    fn guilty(&self) -> usize {
        [&self.bypasses, &self.magnets, &self.short_bills]
            .into_iter()
            .flatten()
            .collect::<BTreeSet<_>>()
            .len()
    }
}

fn fleet(seed: u64) -> Fleet {
    Fleet::new(FleetConfig {
        seed,
        night_hook_permille: 80,
        ..FleetConfig::demo()
    })
    .unwrap()
}

/// What is gathered of a feeder, quarter by quarter.
struct Gathering<'a> {
    feeder: &'a Feeder,
    tampers: HashMap<u32, MagnetTamper>,
    places: Vec<Place>,
    /// By slot: place and position among its meters.
    at: HashMap<u32, (usize, usize)>,
    first: Quarter,
    period: Period,
}

impl<'a> Gathering<'a> {
    fn new(feeder: &'a Feeder, first: Quarter, period: Period, tampers: Vec<MagnetTamper>) -> Self {
        let mut places = vec![Place::default(); feeder.dt_count()];
        for place in &mut places {
            place.dt = Some(DtMonth {
                half_hours: vec![HalfHour::default(); HALF_HOURS],
                ..DtMonth::default()
            });
        }
        let rows = feeder.connections();
        let by_meter: HashMap<String, &ConnectionRow> = rows
            .iter()
            .filter_map(|row| Some((row.meter_id.as_ref()?.to_string(), row)))
            .collect();
        let mut at = HashMap::new();
        for meter in feeder.meters() {
            let (MeterRole::Consumer, Some(dt)) = (meter.role, meter.dt) else {
                continue;
            };
            let id = meter.meter.id().unwrap().to_string();
            let events = tampers.iter().filter(|tamper| tamper.meter.meter == meter.meter);
            let tampers = events.map(|tamper| Tamper {
                day: feeder_day(tamper.at),
                code: tamper.event().code,
                meaning: "magnet".to_owned(),
            });
            at.insert(meter.meter.slot, (dt, places[dt].meters.len()));
            places[dt].meters.push(MeterMonth {
                consumer_id: by_meter[&id].consumer_id.to_string(),
                meter_id: id,
                import_wh: vec![Some(0); HALF_HOURS],
                tampers: tampers.collect(),
                ..MeterMonth::default()
            });
        }
        for row in rows.iter().filter(|row| row.meter_id.is_none()) {
            let dt = (0..feeder.dt_count()).find(|dt| feeder.dt_id(*dt) == row.node_id.as_str());
            if let Some(of_dt) = dt.and_then(|dt| places[dt].dt.as_mut()) {
                of_dt.unmetered_w += (row.sanctioned_load_kw.unwrap_or_default() * 1_000.0) as i64;
            }
        }
        let technical: HashMap<String, i64> = feeder
            .nodes()
            .into_iter()
            .filter_map(|node| Some((node.node_id.to_string(), (node.technical_loss_pct? * 10.0) as i64)))
            .collect();
        for (dt, place) in places.iter_mut().enumerate() {
            place.dt.as_mut().unwrap().technical_permille = technical.get(&feeder.dt_id(dt)).copied();
        }
        let tampers = tampers
            .into_iter()
            .map(|tamper| (tamper.meter.meter.slot, tamper))
            .collect();
        Self {
            feeder,
            tampers,
            places,
            at,
            first,
            period,
        }
    }

    /// What the platform holds of each slot for one quarter, once everything has come.
    fn said(&self, reads: &Reads, quarter: Quarter, fleet: &Fleet) -> HashMap<u32, IntervalRead> {
        let never_ends = quarter.plus(100_000);
        let of_meter = |(meter, read): (&gridtally_fleet::Meter, IntervalRead)| {
            let read = delivery::expected(&fleet.config().imperfections, meter, read, never_ends)?;
            let tamper = self.tampers.get(&meter.meter.slot);
            Some((meter.meter.slot, tamper.map_or(read, |tamper| tamper.alter(read))))
        };
        reads.iter(self.feeder).filter_map(of_meter).collect()
    }

    fn gather(&mut self, fleet: &Fleet) {
        let zone = &fleet.config().zone;
        let mut reads = Reads::default();
        let mut before: HashMap<u32, IntervalRead> = HashMap::new();
        let mut days: BTreeMap<(u32, Day), (i64, i64)> = BTreeMap::new();
        for number in -i64::from(DAYS_BEFORE) * 96..30 * 96 {
            let quarter = self.first.plus(number);
            reads.compute(self.feeder, zone, quarter);
            let said = self.said(&reads, quarter, fleet);
            let day = feeder_day(quarter);
            for meter in self
                .feeder
                .meters()
                .iter()
                .filter(|meter| meter.role == MeterRole::Consumer)
            {
                if !quarter.ends_interval(meter.minutes) {
                    continue;
                }
                let wh = said
                    .get(&meter.meter.slot)
                    .map(|read| read.import_wh.unwrap() * meter.multiplier);
                let of_day = days.entry((meter.meter.slot, day)).or_default();
                of_day.0 += wh.unwrap_or(0);
                of_day.1 += i64::from(wh.is_some()) * i64::from(meter.minutes.quarters());
                if let (Ok(number), Some((place, position))) =
                    (usize::try_from(number), self.at.get(&meter.meter.slot))
                {
                    let of_meter = &mut self.places[*place].meters[*position];
                    let cell = &mut of_meter.import_wh[number / 2];
                    *cell = cell.zip(wh).map(|(sum, wh)| sum + wh);
                    of_meter.expected += 1;
                    of_meter.reported += i64::from(wh.is_some());
                    of_meter.validated_wh += wh.unwrap_or(0);
                }
            }
            if number >= 0 {
                self.balance(quarter, number as usize / 2, &said, &before);
            }
            before = said;
        }
        for ((slot, day), (wh, quarters)) in days {
            if let Some((place, position)) = self.at.get(&slot).filter(|_| quarters == 96) {
                self.places[*place].meters[*position].days.insert(day, wh);
            }
        }
    }

    fn balance(
        &mut self,
        quarter: Quarter,
        half_hour: usize,
        said: &HashMap<u32, IntervalRead>,
        before: &HashMap<u32, IntervalRead>,
    ) {
        let feeder = self.feeder;
        let balances = feeder.balance_of(quarter, &mut |meter, at| {
            if u64::from(meter.meter.feeder) != feeder.number() {
                return None;
            }
            let held = if at == quarter { said } else { before };
            held.get(&meter.meter.slot).copied()
        });
        let Some((dts, _)) = balances else { return };
        let is_second = feeder.balance_minutes() == IntervalMinutes::Fifteen && quarter.0 % 2 == 0;
        for (place, balance) in self.places.iter_mut().zip(&dts) {
            let of_dt = place.dt.as_mut().unwrap();
            add(of_dt, half_hour, balance, is_second);
        }
    }
}

/// Adds a balance to a DT's half hour, as the tables would have it: no loss below 95 % of the meters.
fn add(of_dt: &mut DtMonth, half_hour: usize, balance: &DtBalance, is_second: bool) {
    of_dt.expected += balance.meters_expected as i64;
    of_dt.reported += balance.meters_reported as i64;
    let is_covered = balance.meters_reported * 100 >= balance.meters_expected * 95;
    let known = balance.injected_wh.zip(balance.loss_wh).filter(|_| is_covered);
    let cell = &mut of_dt.half_hours[half_hour];
    let before = if is_second {
        cell.injected_wh.zip(cell.loss_wh)
    } else {
        Some((0, 0))
    };
    let sum = before
        .zip(known)
        .map(|(before, now)| (before.0 + now.0, before.1 + now.1));
    cell.injected_wh = sum.map(|(injected, _)| injected);
    cell.loss_wh = sum.map(|(_, loss)| loss);
    cell.consumer_import_wh += balance.consumer_import_wh;
    // A kW each that did not report.
    cell.bound_below_wh += (balance.meters_expected - balance.meters_reported) as i64 * 250;
}

fn feeder_day(quarter: Quarter) -> Day {
    gridtally_schemas::Zone::kolkata().day_of_interval(quarter.end())
}

/// All findings of a fleet in April, by DT, and the truth.
fn april(seed: u64) -> (Vec<(String, Finding)>, Truth, usize) {
    let fleet = fleet(seed);
    let first = Quarter::containing(fleet.config().start).plus(1);
    let period = Period::month(feeder_day(first));
    let span = Span {
        first,
        last: first.plus(30 * 96 - 1),
    };
    let (mut findings, mut truth, mut consumers) = (Vec::new(), Truth::default(), 0);
    for feeder in fleet.feeders() {
        let tampers = feeder.magnet_tampers(span, 10);
        let real = tampers
            .iter()
            .filter(|tamper| tamper.share_permille > 0 && tamper.meter.dt.is_some());
        truth
            .magnets
            .extend(real.map(|tamper| tamper.consumer_id.to_string()));
        let magnets = tampers.iter().filter(|tamper| tamper.share_permille > 0);
        let at = magnets.filter_map(|tamper| tamper.meter.dt);
        truth.stolen_at.extend(at.map(|dt| feeder.dt_id(dt)));
        let short: HashMap<String, i64> = feeder
            .short_bills(20)
            .into_iter()
            .filter(|bill| bill.meter.dt.is_some())
            .map(|bill| (bill.consumer_id.to_string(), bill.billed_permille))
            .collect();
        truth.short_bills.extend(short.keys().cloned());
        for theft in feeder.thefts() {
            truth.stolen_at.insert(theft.dt_id.to_string());
            match theft.consumer_id {
                Some(consumer) => truth.bypasses.insert(consumer.to_string()),
                None => truth.hooked.insert(theft.dt_id.to_string()),
            };
        }
        let mut gathering = Gathering::new(&feeder, first, period, tampers);
        gathering.gather(&fleet);
        let period = gathering.period;
        for (dt, place) in gathering.places.iter_mut().enumerate() {
            for meter in &mut place.meters {
                let billed = short.get(&meter.consumer_id).copied().unwrap_or(1_000);
                // Bills are in whole kWh.
                meter.billed_wh = Some(meter.validated_wh * billed / 1_000 / 1_000 * 1_000);
            }
            consumers += place.meters.len();
            let dt = feeder.dt_id(dt);
            findings.extend(
                judge(place, period, &Limits::default())
                    .into_iter()
                    .map(|found| (dt.clone(), found)),
            );
        }
    }
    let unhooked = Fleet::new(FleetConfig {
        night_hook_permille: 0,
        ..fleet.config().clone()
    })
    .unwrap();
    let usual: BTreeSet<String> = unhooked
        .feeders()
        .flat_map(|feeder| feeder.thefts())
        .filter(|theft| theft.consumer_id.is_none())
        .map(|theft| theft.dt_id.to_string())
        .collect();
    truth.night_hooked = truth.hooked.difference(&usual).cloned().collect();
    (findings, truth, consumers)
}

/// Of a sign: who it names rightly, how many it names, how many there are.
fn by_sign(findings: &[(String, Finding)], sign: Sign, real: &BTreeSet<String>) -> (usize, usize, usize) {
    let named: BTreeSet<String> = findings
        .iter()
        .filter(|(_, found)| found.sign == sign)
        .map(|(dt, found)| match &found.subject {
            Subject::Dt => dt.clone(),
            Subject::Consumer { consumer_id, .. } => consumer_id.clone(),
        })
        .collect();
    (named.intersection(real).count(), named.len(), real.len())
}

struct Reached {
    /// Guilty among the ten most suspicious.
    at_10: usize,
    /// Guilty among all who are named.
    precision_permille: usize,
    /// Of the guilty, those among the tenth of consumers that is listed.
    recall_permille: usize,
    /// DTs whose unaccounted energy is told with a confidence of a half or more, and those of them at which something is stolen.
    sure_dts: usize,
    sure_dts_right: usize,
}

fn score(seed: u64) -> Reached {
    let (findings, truth, consumers) = april(seed);
    let of_consumers = findings.iter().filter(|(_, found)| found.subject != Subject::Dt);
    let ranked = rank(of_consumers.map(|(dt, found)| (dt.clone(), found)));
    let is_guilty = |subject: &Subject| match subject {
        Subject::Consumer { consumer_id, .. } => truth.is_guilty(consumer_id),
        Subject::Dt => false,
    };
    let rightly = |first: usize| {
        let listed = ranked.iter().take(first);
        listed.filter(|suspect| is_guilty(suspect.subject)).count()
    };
    let at_10 = rightly(10);
    let recalled = rightly(consumers.div_ceil(10));
    let sure = findings
        .iter()
        .filter(|(_, found)| found.sign == Sign::UnaccountedEnergy && found.strength_permille >= 500);
    let sure: Vec<&str> = sure.map(|(dt, _)| dt.as_str()).collect();
    let sure_dts_right = sure.iter().filter(|dt| truth.stolen_at.contains(**dt)).count();
    println!(
        "seed {seed}: {consumers} consumers, {} guilty. Precision at 10: {at_10} of 10. Listed {}, {} rightly; recall {recalled} of {}. \
         DTs told with confidence {}, {sure_dts_right} rightly, of {} with theft",
        truth.guilty(),
        ranked.len(),
        rightly(ranked.len()),
        truth.guilty(),
        sure.len(),
        truth.stolen_at.len()
    );
    for (sign, what, real) in [
        (Sign::ResidualFollows, "bypasses", &truth.bypasses),
        (Sign::TamperBeforeDrop, "magnets", &truth.magnets),
        (Sign::BillBelowReads, "short bills", &truth.short_bills),
        (Sign::NightResidual, "hooks", &truth.hooked),
        (Sign::NightResidual, "hooks at night alone", &truth.night_hooked),
    ] {
        let (rightly, named, all) = by_sign(&findings, sign, real);
        println!("  {sign} names {named}: {rightly} of {all} {what}");
    }
    Reached {
        at_10,
        precision_permille: rightly(ranked.len()) * 1_000 / ranked.len(),
        recall_permille: recalled * 1_000 / truth.guilty(),
        sure_dts: sure.len(),
        sure_dts_right,
    }
}

#[test]
fn the_ten_most_suspicious_are_guilty_and_most_of_the_guilty_are_listed() {
    for seed in SEEDS {
        let reached = score(seed);
        assert!(reached.at_10 >= 9, "seed {seed}: {} of 10", reached.at_10);
        assert!(
            reached.precision_permille >= 900,
            "seed {seed}: {}",
            reached.precision_permille
        );
        assert!(
            reached.recall_permille >= 850,
            "seed {seed}: {}",
            reached.recall_permille
        );
        assert!(reached.sure_dts >= 2, "seed {seed}: {}", reached.sure_dts);
        assert_eq!(reached.sure_dts_right, reached.sure_dts, "seed {seed}");
    }
}
