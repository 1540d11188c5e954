//! Accuracy against the truth of the synthetic utility: what its meters say of outages of every reach, with words lost, late, told twice
//! and by clocks that are off, with lost communication, open load switches and hours without supply at once, goes through log records
//! into the picture; what stands is held against what was planted.

#![expect(
    clippy::as_conversions,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a test that prints shares"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use gridtally_fleet::{
    Feeder as OfFleet, Fleet, FleetConfig, Imperfections, MeterRef, Quarter as FleetQuarter, delivery,
    flow::Reads,
    outage::{Planted, PlantedOutage, Reach, Stretch, SwitchWord},
};
use gridtally_ingest::log::Position;
use gridtally_schemas::{IntervalRead, MeterId};

use super::*;
use crate::{
    outage::{FOREVER, Scope, Sign, Span},
    rig::MIDNIGHT,
};

const SECOND: i64 = 1_000_000;
/// Power failure, as the fleet's meters say it.
const FAILED: i32 = 101;
const HOUR: i64 = 60 * MINUTE;
const DAYS: i64 = 6;
const SEEDS: RangeInclusive<u64> = 1..=4;

/// A planted fleet and what came of it.
struct Detected {
    fleet: Fleet,
    planted: Vec<(OfFleet, Planted)>,
    world: World,
}

fn span() -> Span {
    Span::new(MIDNIGHT, MIDNIGHT.plus(DAYS * 24 * HOUR))
}

fn detect(seed: u64) -> Detected {
    let fleet = Fleet::new(FleetConfig {
        consumers_per_feeder: 200,
        imperfections: Imperfections {
            event_ppm: 0,
            ..Imperfections::usual()
        },
        ..FleetConfig::new(seed, 2_400, MIDNIGHT)
    })
    .unwrap();
    let planted: Vec<_> = fleet
        .feeders()
        .map(|feeder| {
            let planted = feeder.plant_outages(span().from, span().to);
            (feeder, planted)
        })
        .collect();
    let mut detected = Detected {
        fleet,
        planted,
        world: World::new(Settings::default()),
    };
    detected.learn();
    detected.hear();
    detected
}

impl Detected {
    fn record(&mut self, bytes: &[u8]) {
        let position = Position(self.world.applied().0 + 1);
        self.world
            .apply(position, bytes, &mut Publish::default())
            .unwrap();
    }

    /// Master data and hours of supply.
    fn learn(&mut self) {
        let hours = self.planted.iter();
        let hours = hours.flat_map(|(feeder, _)| feeder.supply_hours(span().from, span().to));
        let hours = PlanRows::SupplyHours(hours.collect());
        for rows in [
            MasterRows::Nodes(self.fleet.nodes().collect()),
            MasterRows::Meters(self.fleet.meters().collect()),
            MasterRows::Connections(self.fleet.connections().collect()),
        ] {
            self.record(&master_record(MIDNIGHT, &rows));
        }
        let mut bytes = Vec::new();
        record::encode_plan_rows(MIDNIGHT, "file:hours.csv", &hours, &mut bytes).unwrap();
        self.record(&bytes);
    }

    /// Everything that is sent, when it is sent; looked at once a day.
    fn hear(&mut self) {
        let (first, last) = (
            FleetQuarter::containing(span().from),
            FleetQuarter::containing(span().to),
        );
        let of = self.fleet.config().imperfections;
        let planted = std::mem::take(&mut self.planted);
        for (feeder, planted) in &planted {
            let mut due: BTreeMap<FleetQuarter, Vec<(MeterRef, Word)>> = BTreeMap::new();
            for meter in feeder.meters() {
                for sent in planted.events(meter) {
                    let at = FleetQuarter::containing(sent.sent_at);
                    due.entry(at)
                        .or_default()
                        .push((meter.meter, Word::Event(sent.event)));
                }
            }
            let mut reads = Reads::default();
            for quarter in (first.0 + 1..=last.0).map(FleetQuarter) {
                reads.compute(feeder, &self.fleet.config().zone, quarter);
                for (meter, read) in reads.iter(feeder) {
                    let Some((read, sent)) = planted.alter(meter, read) else {
                        continue;
                    };
                    for sending in delivery::sendings(&of, meter, quarter).into_iter().flatten() {
                        let version = delivery::version(meter, read, sending.said);
                        let at = sending.due.max(sent);
                        due.entry(at)
                            .or_default()
                            .push((meter.meter, Word::Read(version)));
                    }
                }
                if let Some(words) = due.remove(&quarter) {
                    self.say(quarter, &words);
                }
                if quarter.0 % 96 == 0 {
                    self.look(quarter.end());
                }
            }
            for (quarter, words) in due {
                self.say(quarter, &words);
            }
        }
        self.planted = planted;
        self.look(span().to.plus(5 * 24 * HOUR));
    }

    fn say(&mut self, quarter: FleetQuarter, words: &[(MeterRef, Word)]) {
        let mut said = Publish::default();
        for (meter, word) in words {
            said.begin_meter(meter.id().unwrap().as_str()).unwrap();
            match word {
                Word::Event(event) => said.push_event(*event),
                Word::Read(read) => said.push_read(*read),
            }
        }
        let bytes = publish_record(quarter.end().plus(MINUTE), &said);
        self.record(&bytes);
        // Rows for the tables, which nobody writes here.
        self.world.outbox = Default::default();
    }

    /// Whether anything that arrived tells that a switch was open before supply failed at `failed`, of which it was said only when it closed
    /// again: a block without energy between the opening and the failure, while there was supply, of a consumer of whom a block with
    /// energy arrived before. Without the first the switch may have been opened after the outage, without the second nobody used anything.
    fn shows_open(
        &self,
        meter: Option<&MeterId>,
        (opened, failed): (UtcMicros, UtcMicros),
        out: &[Span],
    ) -> bool {
        let meter = meter.and_then(|id| self.world.network.find_meter(id.as_str()));
        let Some(evidence) = meter.and_then(|meter| self.world.outage.evidence.get(&meter)) else {
            return false;
        };
        let drew = evidence
            .runs()
            .iter()
            .any(|run| run.sign == Sign::Drawing && run.span.from.plus(run.block_micros) <= opened);
        let supplied = Span::new(opened, failed).without(out);
        let idle = |within: &Span| {
            evidence
                .first_block_in(*within, |sign| sign != Sign::Drawing)
                .is_some()
        };
        drew && supplied.iter().any(idle)
    }

    fn look(&mut self, now: UtcMicros) {
        while self.world.look_for_outages(now, 100).more {}
    }
}

#[derive(Debug, Clone, Copy)]
enum Word {
    Event(PowerEvent),
    Read(IntervalRead),
}

fn whole(stretch: Stretch) -> Span {
    Span::new(stretch.from, stretch.to)
}

/// A consumer as it really was.
struct TrueConsumer {
    id: String,
    /// Outages while its load switch was open and nothing that arrived can say so: the word of the opening is lost, and no block tells of it
    /// ([`Detected::shows_open`]).
    untellable: Vec<Span>,
    /// When it was interrupted, as OUT-1 counts.
    interrupted: Vec<Span>,
    /// When it had no supply for whatever reason, and why that is no interruption.
    excluded: Vec<(Span, &'static str)>,
}

fn consumers(detected: &Detected) -> Vec<TrueConsumer> {
    let mut found = Vec::new();
    for (feeder, planted) in &detected.planted {
        let dts: Vec<String> = (0..feeder.dt_count()).map(|dt| feeder.dt_id(dt)).collect();
        let undue: Vec<Vec<Span>> = (0..dts.len()).map(|dt| undue(feeder, dt)).collect();
        for row in feeder.connections() {
            let dt = dts.iter().position(|id| id == row.node_id.as_str());
            let slot = row.meter_id.as_ref().and_then(|id| MeterRef::parse(id.as_str()));
            let slot = slot.map(|meter| meter.slot);
            let mut excluded: Vec<(Span, &'static str)> = Vec::new();
            let own = planted.switched_off.iter().filter(|off| Some(off.slot) == slot);
            let unsaid = own.clone().filter(|off| off.lost == Some(SwitchWord::Opened));
            excluded.extend(own.map(|off| {
                let why = if off.is_prepaid { "prepaid" } else { "by hand" };
                (whole(off.during), why)
            }));
            excluded.extend(
                dt.into_iter()
                    .flat_map(|dt| undue[dt].iter().map(|span| (*span, "hours"))),
            );
            excluded.sort();
            let all: Vec<Span> = planted.out(dt, slot).map(whole).collect();
            let mut untellable: Vec<Span> = Vec::new();
            for opened in unsaid.map(|off| whole(off.during)) {
                untellable.extend(all.iter().filter(|out| {
                    let bounds = (opened.from, out.from);
                    opened.overlaps(**out) && !detected.shows_open(row.meter_id.as_ref(), bounds, &all)
                }));
            }
            let holes: Vec<Span> = excluded.iter().map(|(span, _)| *span).collect();
            let interrupted = all.iter().flat_map(|out| out.without(&holes)).collect();
            let silent = planted.silences.iter().filter(|silence| Some(silence.dt) == dt);
            excluded.extend(silent.map(|silence| (whole(silence.during), "communication")));
            found.push(TrueConsumer {
                id: row.consumer_id.as_str().to_owned(),
                untellable,
                interrupted,
                excluded,
            });
        }
    }
    found
}

/// When no supply is due at a DT.
fn undue(feeder: &OfFleet, dt: usize) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let quarters: RangeInclusive<i64> =
        FleetQuarter::containing(span().from).0 - 95..=FleetQuarter::containing(span().to).0 + 96;
    for quarter in quarters
        .map(FleetQuarter)
        .filter(|quarter| !feeder.has_supply_due(dt, *quarter))
    {
        let one = Span::new(quarter.plus(-1).end(), quarter.end());
        match spans.last_mut() {
            Some(last) if last.to == one.from => last.to = one.to,
            _ => spans.push(one),
        }
    }
    spans
}

/// How much of a kind was planted, found and claimed.
#[derive(Debug, Default)]
struct Kind {
    planted: usize,
    found: usize,
    claimed: usize,
    wrong: usize,
    /// Of those found, seconds.
    start_errors: Vec<i64>,
    end_errors: Vec<i64>,
}

impl Kind {
    fn line(&self, name: &str) -> String {
        let percent = |part: usize, of: usize| 100.0 * part as f64 / of.max(1) as f64;
        let quantiles = |errors: &[i64]| {
            let mut errors = errors.to_vec();
            errors.sort_unstable();
            let at = |percent: usize| {
                errors
                    .get(errors.len().saturating_sub(1) * percent / 100)
                    .copied()
                    .unwrap_or(0)
            };
            format!("median {} s, 95 % {} s, most {} s", at(50), at(95), at(100))
        };
        format!(
            "{name}: {} planted, recall {:.2} %, {} claimed, precision {:.2} %; begin off by {}; end off by {}",
            self.planted,
            percent(self.found, self.planted),
            self.claimed,
            percent(self.claimed - self.wrong, self.claimed),
            quantiles(&self.start_errors),
            quantiles(&self.end_errors),
        )
    }
}

#[derive(Debug, Default)]
struct Score {
    dt: Kind,
    feeder: Kind,
    true_micros: i64,
    told_micros: i64,
    /// Interruptions of time that OUT-1 excludes, and those of which nothing is true at all.
    excluded_told: Vec<String>,
    baseless: Vec<String>,
    /// Interruptions told of time whose exclusion nothing that arrived can say.
    untellable: Vec<String>,
    lines: Vec<String>,
}

fn apart(one: UtcMicros, other: UtcMicros) -> i64 {
    (one.0 - other.0).abs() / SECOND
}

/// An outage of a node as it was, and as it can be told.
struct Truth {
    node: String,
    /// The node above it.
    above: Option<String>,
    out: Span,
    /// From when supply was due to more than one DT of the feeder: while it is due to one alone, an outage of the feeder is one of that DT.
    from_due: UtcMicros,
    /// Whether anybody's word that it failed arrived.
    is_begin_said: bool,
}

impl Truth {
    /// Whether a claim is this: with more than half of both in common, or both ends within two minutes. Where nobody's word arrived that it
    /// failed, blocks alone tell when: with its end within two minutes and its begin within a block of half an hour.
    fn is_told_by(&self, outage: &Outage) -> bool {
        let told = outage.evidence.restored.map_or(FOREVER, |restored| restored.at);
        let told = Span::new(outage.evidence.failed.at, told);
        [self.out.from, self.from_due].into_iter().any(|from| {
            let common = told.to.min(self.out.to).0 - told.from.max(from).0;
            let ends_near = apart(told.to, self.out.to) <= 120;
            let begin_near = if self.is_begin_said { 120 } else { 1_800 };
            ends_near && apart(told.from, from) <= begin_near
                || common * 2 > told.micros().max(self.out.to.0 - from.0)
        })
    }

    /// The same of an outage of most feeders of the node above, of which this is a part: it began with them.
    fn is_part_of(&self, outage: &Outage) -> bool {
        self.above.as_deref() == Some(outage.node.as_str())
            && apart(outage.evidence.failed.at, self.out.from) <= 120
    }
}

/// The outages of a scope that interrupted somebody to whom supply was due.
fn truths(detected: &Detected, scope: Scope) -> Vec<Truth> {
    let mut found = Vec::new();
    for (feeder, planted) in &detected.planted {
        let above = feeder.nodes().into_iter().next().and_then(|row| row.parent_id);
        let undue: Vec<Vec<Span>> = (0..feeder.dt_count()).map(|dt| undue(feeder, dt)).collect();
        for outage in &planted.outages {
            let (dts, node) = match outage.reach {
                Reach::Dt(dt) if scope == Scope::Dt => (dt..dt + 1, feeder.dt_id(dt)),
                Reach::Feeder if scope == Scope::Feeder => (0..feeder.dt_count(), feeder.id()),
                _ => continue,
            };
            let out = whole(outage.out);
            let due = dts.filter_map(|dt| Some(out.without(&undue[dt]).first()?.from));
            let mut due: Vec<UtcMicros> = due.collect();
            due.sort_unstable();
            let Some(first) = due.first().copied() else {
                continue;
            };
            found.push(Truth {
                node,
                above: above.as_ref().map(ToString::to_string),
                out,
                from_due: due.get(1).copied().unwrap_or(first),
                is_begin_said: is_begin_said(feeder, planted, outage),
            });
        }
    }
    found
}

/// Whether a last gasp of an outage arrived, of any meter under the node.
fn is_begin_said(feeder: &OfFleet, planted: &Planted, outage: &PlantedOutage) -> bool {
    let under = |meter: &&gridtally_fleet::Meter| match outage.reach {
        Reach::Dt(dt) => meter.dt == Some(dt),
        Reach::Feeder | Reach::ServiceLine(_) => true,
    };
    let mut meters = feeder.meters().iter().filter(under);
    meters.any(|meter| {
        let events = planted.events(meter);
        // An event is numbered by the second in which it was in truth.
        events
            .iter()
            .any(|sent| sent.event.code == FAILED && sent.event.sequence == Some(outage.out.from.0 / SECOND))
    })
}

fn score(detected: &Detected, score: &mut Score) {
    let outages = detected.world.outages().map(|view| view.outage);
    // Of the days after the last that the fleet lived nothing was told.
    let outages: Vec<Outage> = outages.filter(|outage| outage.started_at < span().to).collect();
    let is_of = |outage: &Outage, scope: Scope| match outage.scope {
        Scope::Substation => scope == Scope::Feeder,
        other => other == scope,
    };
    for (scope, kind) in [(Scope::Dt, &mut score.dt), (Scope::Feeder, &mut score.feeder)] {
        let claims: Vec<&Outage> = outages.iter().filter(|outage| is_of(outage, scope)).collect();
        // By claim: of which nodes it told an outage.
        let mut matched: Vec<BTreeSet<String>> = vec![BTreeSet::new(); claims.len()];
        let truths = truths(detected, scope);
        for truth in &truths {
            kind.planted += 1;
            let tells = |outage: &&Outage| match outage.scope {
                Scope::Substation => truth.is_part_of(outage),
                _ => outage.node.as_str() == truth.node && truth.is_told_by(outage),
            };
            let Some(at) = claims.iter().position(tells) else {
                let near = near_by(&outages, truth);
                score
                    .lines
                    .push(format!("MISSED {} {:?}: {near:?}", truth.node, truth.out));
                continue;
            };
            matched[at].insert(truth.node.clone());
            kind.found += 1;
            if claims[at].scope == scope {
                let evidence = &claims[at].evidence;
                kind.start_errors.push(
                    apart(evidence.failed.at, truth.out.from).min(apart(evidence.failed.at, truth.from_due)),
                );
                kind.end_errors
                    .extend(evidence.restored.map(|end| apart(end.at, truth.out.to)));
            }
        }
        kind.claimed += claims.len();
        let lone = if scope == Scope::Dt {
            due_alone(detected)
        } else {
            Vec::new()
        };
        for (outage, nodes) in claims.iter().zip(&matched) {
            let is_right = match outage.scope {
                Scope::Substation => is_most(detected, outage, nodes.len()),
                _ => !nodes.is_empty(),
            };
            let mut lone = lone.iter();
            if is_right || lone.any(|truth| outage.node.as_str() == truth.node && truth.is_told_by(outage)) {
                continue;
            }
            kind.wrong += 1;
            score.lines.push(format!(
                "WRONG {} {} {:?} to {:?}, {} consumers",
                outage.id,
                outage.scope,
                outage.evidence.failed,
                outage.evidence.restored,
                outage.consumers_affected
            ));
        }
    }
    score_consumers(detected, score);
}

/// Whether so many feeders are most of those under the node of an outage.
fn is_most(detected: &Detected, outage: &Outage, feeders: usize) -> bool {
    let parents = detected.planted.iter().filter_map(|(feeder, _)| {
        let row = feeder.nodes().into_iter().next()?;
        row.parent_id
    });
    let of_node = parents.filter(|parent| *parent == outage.node).count();
    feeders > 1 && feeders * 2 > of_node
}

/// Outages of a feeder while supply is due to one of its DTs alone: nobody else is interrupted then, and what is seen is an outage of that DT.
/// Where the feeder's own meter or the others tell more, it is told as the feeder's; of that DT, told or not, it is no error.
fn due_alone(detected: &Detected) -> Vec<Truth> {
    let mut found = Vec::new();
    for (feeder, planted) in &detected.planted {
        let undue: Vec<Vec<Span>> = (0..feeder.dt_count()).map(|dt| undue(feeder, dt)).collect();
        for outage in planted.outages.iter().filter(|one| one.reach == Reach::Feeder) {
            for dt in 0..feeder.dt_count() {
                let own = outage.of(Some(dt), None).map(whole);
                let Some(first) = own.and_then(|own| own.without(&undue[dt]).first().copied()) else {
                    continue;
                };
                let is_due = |other: &Vec<Span>| !other.iter().any(|off| off.contains(first.from));
                if undue.iter().filter(|other| is_due(other)).count() == 1 {
                    found.push(Truth {
                        node: feeder.dt_id(dt),
                        above: None,
                        out: first,
                        from_due: first.from,
                        is_begin_said: is_begin_said(feeder, planted, outage),
                    });
                }
            }
        }
    }
    found
}

fn near_by(outages: &[Outage], truth: &Truth) -> Vec<String> {
    let near = |outage: &&Outage| {
        truth.node.starts_with(outage.node.as_str())
            && apart(outage.evidence.failed.at, truth.out.from) < 4 * 3600
    };
    outages
        .iter()
        .filter(near)
        .map(|outage| {
            format!(
                "{} {:?} {:?} {}",
                outage.id,
                outage.evidence.failed.at.to_string(),
                outage.evidence.restored.map(|at| at.at.to_string()),
                outage.consumers_affected
            )
        })
        .collect()
}

fn score_consumers(detected: &Detected, score: &mut Score) {
    for truth in consumers(detected) {
        let id = ConsumerId::parse(&truth.id).unwrap();
        let told: Vec<&Interruption> = detected
            .world
            .interruptions_of_consumer(id.as_str())
            .filter(|one| one.excluded_because.is_none() && one.counted_micros != Some(0))
            // Of the days after the last that the fleet lived nothing was told.
            .filter(|one| one.started_at < span().to)
            .collect();
        let true_micros: i64 = truth.interrupted.iter().map(|span| span.micros()).sum();
        let told_micros: i64 = told.iter().map(|one| one.counted_micros.unwrap_or(0)).sum();
        score.true_micros += true_micros;
        score.told_micros += told_micros;
        if (true_micros - told_micros).abs() > 20 * MINUTE {
            score.lines.push(format!(
                "MINUTES {} true {} told {}",
                truth.id,
                true_micros / MINUTE,
                told_micros / MINUTE
            ));
            for one in &truth.interrupted {
                score.lines.push(format!("    true {} to {}", one.from, one.to));
            }
            for one in &told {
                score.lines.push(format!(
                    "    told {} to {:?} {} {:?}",
                    one.started_at,
                    one.ended_at.map(|at| at.to_string()),
                    one.outage,
                    one.evidence
                ));
            }
        }
        for one in told {
            let own = Span::new(one.started_at, one.ended_at.unwrap_or(FOREVER));
            // Clocks are off by twenty minutes at most, and a block is half an hour.
            let wide = |span: &Span| Span::new(span.from.plus(-50 * MINUTE), span.to.plus(50 * MINUTE));
            if truth.interrupted.iter().any(|span| wide(span).overlaps(own)) {
                continue;
            }
            let why = truth.excluded.iter().filter(|(span, _)| wide(span).overlaps(own));
            let why: Vec<&str> = why.map(|(_, why)| *why).collect();
            let line = format!("{} {own:?} {:?} {} {:?}", truth.id, why, one.outage, one.evidence,);
            if truth.untellable.iter().any(|span| wide(span).overlaps(own)) {
                score.untellable.push(line);
            } else if why.is_empty() {
                score.baseless.push(line);
            } else {
                score.excluded_told.push(line);
            }
        }
    }
}

/// DT and feeder outages with a recall and a precision of 99 % or more, minutes of interruption within 1 %, and no interruption of time that OUT-1
/// excludes. Counted apart, by the fleet's truth and what arrived, is what no evidence whatever tells: that a load switch was open
/// ([`Detected::shows_open`]).
#[test]
fn planted_outages_are_found_and_nothing_else() {
    let mut total = Score::default();
    let detected: Vec<Detected> = std::thread::scope(|scope| {
        let seeds: Vec<_> = SEEDS.map(|seed| scope.spawn(move || detect(seed))).collect();
        seeds.into_iter().map(|seed| seed.join().unwrap()).collect()
    });
    for detected in &detected {
        score(detected, &mut total);
    }
    let off = 100.0 * (total.told_micros - total.true_micros) as f64 / total.true_micros as f64;
    println!("{}\n{}", total.dt.line("DT"), total.feeder.line("feeder"));
    println!(
        "minutes of interruption: {} true, {off:+.3} %",
        total.true_micros / MINUTE
    );
    println!(
        "told of excluded time: {}, baseless: {}, of what nobody can tell: {}",
        total.excluded_told.len(),
        total.baseless.len(),
        total.untellable.len()
    );
    for line in total
        .lines
        .iter()
        .chain(&total.excluded_told)
        .chain(&total.baseless)
        .chain(&total.untellable)
    {
        println!("{line}");
    }
    for (name, kind) in [("DT", &total.dt), ("feeder", &total.feeder)] {
        assert!(kind.planted > 150, "{}", kind.line(name));
        assert!(
            kind.found * 100 >= kind.planted * 99,
            "recall: {}",
            kind.line(name)
        );
        assert!(
            (kind.claimed - kind.wrong) * 100 >= kind.claimed * 99,
            "precision: {}",
            kind.line(name)
        );
    }
    assert!(off.abs() < 1.0, "minutes: {off:+.3} %");
    assert!(
        total.excluded_told.is_empty() && total.baseless.is_empty(),
        "OUT-1: {:?} {:?}",
        total.excluded_told,
        total.baseless
    );
}
