use std::collections::BTreeMap;

use gridtally_schemas::{ConsumerId, IntervalMinutes, MeterId, NodeId, UtcMicros};

use super::*;

mod clock;
mod evidence;
mod exclusions;
mod ids;
mod interruptions;
mod order;
mod people;
mod planted;
mod restoration;
mod scope;
mod switch;
mod witnesses;

const MINUTE: i64 = 60_000_000;

/// Minutes after 2026-04-01T10:00+05:30, a quarter hour mark.
pub(super) fn minute(minutes: i64) -> UtcMicros {
    UtcMicros::parse("2026-04-01T10:00:00+05:30")
        .unwrap()
        .plus(minutes * MINUTE)
}

pub(super) fn from_to(from: i64, to: i64) -> Span {
    Span::new(minute(from), minute(to))
}

fn node(text: &str) -> NodeId {
    NodeId::parse(text).unwrap()
}

fn meter_id(text: &str) -> MeterId {
    MeterId::parse(text).unwrap()
}

/// A feeder `F` with DTs `D0`, `D1`, …, each with consumers `D0C0`, … who have the meters `M-D0C0`, …; the DTs' own meters are `M-D0`, …,
/// the feeder's `M-F`.
#[derive(Debug, Clone)]
pub(super) struct Town {
    pub(super) rules: Rules,
    pub(super) picture: FeederPicture,
    pub(super) evidence: BTreeMap<MeterId, MeterEvidence>,
    pub(super) through: UtcMicros,
}

impl Town {
    pub(super) fn of(dts: usize, consumers: usize) -> Self {
        let stint = |meter: &str| Stint {
            meter: meter_id(meter),
            span: Span::ALWAYS,
        };
        let consumer = |dt: usize, consumer: usize| ConsumerPicture {
            consumer: ConsumerId::parse(&format!("D{dt}C{consumer}")).unwrap(),
            hangs: vec![Hang {
                span: Span::ALWAYS,
                dt: Some(dt),
            }],
            meters: vec![stint(&format!("M-D{dt}C{consumer}"))],
            without_supply: None,
        };
        Self {
            rules: Rules::default(),
            picture: FeederPicture {
                feeder: node("F"),
                above: vec![node("S"), node("Z")],
                meters: vec![stint("M-F")],
                dts: (0..dts)
                    .map(|dt| DtPicture {
                        node: node(&format!("D{dt}")),
                        meters: vec![stint(&format!("M-D{dt}"))],
                    })
                    .collect(),
                consumers: (0..dts)
                    .flat_map(|dt| (0..consumers).map(move |ix| consumer(dt, ix)))
                    .collect(),
                without_supply: Vec::new(),
                planned: Vec::new(),
            },
            evidence: BTreeMap::new(),
            through: minute(3 * 24 * 60),
        }
    }

    pub(super) fn consumer(&mut self, name: &str) -> &mut ConsumerPicture {
        let mut consumers = self.picture.consumers.iter_mut();
        consumers
            .find(|consumer| consumer.consumer.as_str() == name)
            .unwrap()
    }

    pub(super) fn meter(&mut self, name: &str) -> &mut MeterEvidence {
        self.evidence.entry(meter_id(&format!("M-{name}"))).or_default()
    }

    /// Names of all consumers of a DT.
    pub(super) fn names(&self, dt: usize) -> Vec<String> {
        let on = |consumer: &&ConsumerPicture| consumer.hangs.iter().any(|hang| hang.dt == Some(dt));
        let names = self.picture.consumers.iter().filter(on);
        names.map(|consumer| consumer.consumer.to_string()).collect()
    }

    pub(super) fn says(&mut self, name: &str, at: i64, signal: Signal) -> &mut Self {
        self.meter(name).add(minute(at), signal);
        self
    }

    /// Power failure and restoration by the meter's own word.
    pub(super) fn out(&mut self, name: &str, from: i64, to: i64) -> &mut Self {
        self.says(name, from, Signal::Failed)
            .says(name, to, Signal::Restored)
    }

    pub(super) fn all_out(&mut self, dt: usize, from: i64, to: i64) -> &mut Self {
        for name in self.names(dt) {
            self.out(&name, from, to);
        }
        self
    }

    /// Blocks of a quarter hour of one sign.
    pub(super) fn reads(&mut self, name: &str, from: i64, to: i64, sign: Sign) -> &mut Self {
        for end in (from + 15..=to).step_by(15) {
            self.meter(name)
                .set(minute(end), IntervalMinutes::Fifteen, Some(sign));
        }
        self
    }

    /// Every consumer draws energy from a day before until a day after, but for the time between.
    pub(super) fn everyone_draws_but(&mut self, from: i64, to: i64) -> &mut Self {
        for dt in 0..self.picture.dts.len() {
            for name in self.names(dt) {
                self.reads(&name, -24 * 60, from, Sign::Drawing);
                self.reads(&name, to, 24 * 60, Sign::Drawing);
            }
        }
        self
    }

    pub(super) fn evaluate(&self) -> Evaluation {
        let window = Window {
            since: UtcMicros(i64::MIN),
            through: self.through,
        };
        evaluate(&self.rules, &self.picture, &self.evidence, window)
    }

    /// One line for each outage, by id: `id scope node status started..ended affected`.
    pub(super) fn outages(&self) -> Vec<String> {
        self.evaluate().outages.values().map(told).collect()
    }

    /// One line for each interruption: `consumer started..ended [excluded] failed-from/restored-from`.
    pub(super) fn interruptions(&self) -> Vec<String> {
        lines(&self.evaluate().interruptions)
    }
}

fn lines(interruptions: &[Interruption]) -> Vec<String> {
    let lines = interruptions.iter().map(|interruption| {
        let excluded = interruption
            .excluded_because
            .map_or(String::new(), |why| format!(" {why}"));
        let known = &interruption.evidence;
        format!(
            "{} {}..{}{excluded} {}/{}",
            interruption.consumer,
            minutes(interruption.started_at),
            interruption.ended_at.map_or("open".to_owned(), minutes),
            known.failed.from,
            known.restored.map_or("-", |restored| restored.from.as_str()),
        )
    });
    lines.collect()
}

fn told(outage: &Outage) -> String {
    format!(
        "{} {} {} {} {}..{} {}",
        outage.id,
        outage.scope,
        outage.node,
        outage.status,
        minutes(outage.started_at),
        outage.ended_at.map_or("open".to_owned(), minutes),
        outage.consumers_affected
    )
}

/// Minutes after the begin of the tests, with seconds only where there are some.
fn minutes(at: UtcMicros) -> String {
    let micros = at.0 - minute(0).0;
    let (whole, rest) = (micros / MINUTE, micros.abs() % MINUTE);
    let sign = if micros < 0 && whole == 0 { "-" } else { "" };
    if rest == 0 {
        whole.to_string()
    } else {
        format!("{sign}{whole}:{:02}", rest / 1_000_000)
    }
}
