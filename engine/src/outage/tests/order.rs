//! ORD-1 for outages: the order, repetition and splitting of the evidence leave no trace, ids included.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const DTS: usize = 3;
const CONSUMERS: usize = 4;

/// One thing that a meter says.
#[derive(Debug, Clone, Copy)]
struct Said {
    /// Consumers by DT, then the DTs, then the feeder.
    meter: usize,
    what: What,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Event(i64, Signal),
    /// A read of the block that ends then; of two of one block the greater sign stands, as of two validated values the greater does.
    Read(i64, Sign),
}

fn name(meter: usize) -> String {
    match meter {
        meter if meter < DTS * CONSUMERS => format!("D{}C{}", meter / CONSUMERS, meter % CONSUMERS),
        meter if meter < DTS * CONSUMERS + DTS => format!("D{}", meter - DTS * CONSUMERS),
        _ => "F".to_owned(),
    }
}

/// What stood told, one word at a time.
#[derive(Debug, Clone)]
struct Listener {
    town: Town,
    values: BTreeMap<(usize, i64), Sign>,
}

impl Listener {
    fn new() -> Self {
        let mut town = Town::of(DTS, CONSUMERS);
        town.picture.planned.push(Planned {
            node: node("D1"),
            span: from_to(200, 260),
            class: Class::Planned,
        });
        town.picture.without_supply = vec![vec![from_to(120, 180)]];
        for name in ["D2C0", "D2C1"] {
            town.consumer(name).without_supply = Some(0);
        }
        town.consumer("D0C3").meters[0].span.to = minute(150);
        let next = Stint {
            meter: meter_id("M-NEXT"),
            span: Span::new(minute(150), FOREVER),
        };
        town.consumer("D0C3").meters.push(next);
        Self {
            town,
            values: BTreeMap::new(),
        }
    }

    fn hear(&mut self, said: &Said) {
        let meter = name(said.meter);
        match said.what {
            What::Event(at, signal) => {
                self.town.says(&meter, at, signal);
            }
            What::Read(end, sign) => {
                let value = self.values.entry((said.meter, end)).or_insert(sign);
                *value = (*value).max(sign);
                let value = *value;
                self.town
                    .meter(&meter)
                    .set(minute(end), IntervalMinutes::Fifteen, Some(value));
            }
        }
    }

    fn hear_all<'a>(&mut self, said: impl IntoIterator<Item = &'a Said>) -> &Self {
        for said in said {
            self.hear(said);
        }
        self
    }
}

fn signal() -> impl Strategy<Value = Signal> {
    prop_oneof![
        6 => Just(Signal::Failed),
        6 => Just(Signal::Restored),
        1 => Just(Signal::CutOff),
        1 => Just(Signal::Disconnected),
        1 => Just(Signal::Connected),
    ]
}

fn one_word() -> impl Strategy<Value = Said> {
    let sign = prop_oneof![
        Just(Sign::Dead),
        Just(Sign::Quiet),
        Just(Sign::Powered),
        Just(Sign::Drawing)
    ];
    let what = prop_oneof![
        (-30_i64..330, signal()).prop_map(|(at, signal)| What::Event(at, signal)),
        (-4_i64..24, sign).prop_map(|(block, sign)| What::Read(block * 15, sign)),
    ];
    (0..DTS * CONSUMERS + DTS + 1, what).prop_map(|(meter, what)| Said { meter, what })
}

/// Outages as they happen, with words lost, beside words at random.
fn story() -> impl Strategy<Value = Vec<Said>> {
    let together = (0..DTS + 1, 0_i64..240, 1_i64..90, any::<u32>()).prop_map(|(dt, from, lasts, lost)| {
        let members = if dt < DTS {
            dt * CONSUMERS..(dt + 1) * CONSUMERS
        } else {
            0..DTS * CONSUMERS
        };
        let words = members.flat_map(move |meter| {
            let drift = i64::try_from(meter % 3).unwrap() - 1;
            let both = [(from, Signal::Failed), (from + lasts, Signal::Restored)];
            both.into_iter().map(move |(at, signal)| Said {
                meter,
                what: What::Event(at + drift, signal),
            })
        });
        let kept = words
            .enumerate()
            .filter(|(ix, _)| lost >> (ix % 32) & 1 == 0 || lost % 3 == 0);
        kept.map(|(_, said)| said).collect::<Vec<_>>()
    });
    let random = prop::collection::vec(one_word(), 0..60);
    (prop::collection::vec(together, 0..4), random).prop_map(|(together, mut said)| {
        said.extend(together.into_iter().flatten());
        said
    })
}

fn shuffled() -> impl Strategy<Value = (Vec<Said>, Vec<Said>)> {
    story().prop_flat_map(|said| {
        let twice: Vec<Said> = said.iter().chain(said.iter().step_by(3)).copied().collect();
        (Just(said), Just(twice).prop_shuffle())
    })
}

fn standing(evaluation: &Evaluation) -> Joined {
    Joined {
        interruptions: evaluation.interruptions.clone(),
        outages: evaluation.outages.clone(),
    }
}

/// What a table holds of the outages after every version was written.
fn tabled(said: &[Said], at_a_time: usize) -> BTreeMap<OutageId, Outage> {
    let mut listener = Listener::new();
    let mut table = BTreeMap::new();
    let mut before = standing(&listener.town.evaluate());
    table.extend(before.outages.clone());
    for part in said.chunks(at_a_time) {
        let now = standing(&listener.hear_all(part).town.evaluate());
        for change in changes(&before, &now) {
            table.insert(change.outage.id.clone(), change.outage);
        }
        before = now;
    }
    table
}

fn is_whole(evaluation: &Evaluation) {
    let mut keys = BTreeSet::new();
    let mut last: BTreeMap<&ConsumerId, UtcMicros> = BTreeMap::new();
    let mut affected: BTreeMap<&OutageId, BTreeSet<&ConsumerId>> = BTreeMap::new();
    for interruption in &evaluation.interruptions {
        assert!(
            keys.insert((&interruption.consumer, interruption.started_at)),
            "one row a key"
        );
        let end = interruption.ended_at.unwrap_or(FOREVER);
        assert!(
            interruption.started_at <= end,
            "{:?}",
            lines(&evaluation.interruptions)
        );
        let before = last.insert(&interruption.consumer, end);
        assert!(
            before.is_none_or(|before| before <= interruption.started_at),
            "no two at once"
        );
        let outage = &evaluation.outages[&interruption.outage];
        assert_eq!(outage.class, interruption.class);
        if interruption.excluded_because.is_none() {
            affected
                .entry(&interruption.outage)
                .or_default()
                .insert(&interruption.consumer);
            assert!(
                interruption
                    .counted_micros
                    .is_none_or(|counted| counted <= end.0 - interruption.started_at.0)
            );
        } else {
            assert_eq!(interruption.counted_micros.unwrap_or(0), 0);
        }
    }
    for outage in evaluation.outages.values() {
        assert_eq!(
            outage.consumers_affected,
            affected.get(&outage.id).map_or(0, BTreeSet::len)
        );
        assert_eq!(outage.ended_at.is_some(), outage.status == Status::Restored);
        let unbegun = matches!(outage.status, Status::Scheduled | Status::Cancelled);
        assert_eq!(
            unbegun,
            outage.consumers_affected == 0,
            "an outage interrupts somebody"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ord_1_the_same_evidence_in_any_order_gives_the_same_outages((said, shuffled) in shuffled()) {
        let one = Listener::new().hear_all(&said).town.clone();
        let mut other = Listener::new().hear_all(&shuffled).town.clone();
        prop_assert_eq!(&one.evidence, &other.evidence);
        // Nor does it matter in which order the picture names consumers.
        other.picture.consumers.reverse();
        let (one, other) = (one.evaluate(), other.evaluate());
        prop_assert_eq!(&one.interruptions, &other.interruptions);
        prop_assert_eq!(&one.outages, &other.outages);
        is_whole(&one);
    }

    #[test]
    fn ord_1_the_versions_end_in_the_same_rows_however_the_evidence_was_split(
        (said, shuffled) in shuffled(),
        sizes in (1_usize..40, 1_usize..40),
    ) {
        let stand = |table: BTreeMap<OutageId, Outage>| {
            table.into_values().filter(|outage| outage.status != Status::Cancelled).collect::<Vec<_>>()
        };
        prop_assert_eq!(stand(tabled(&said, sizes.0)), stand(tabled(&shuffled, sizes.1)));
    }

    #[test]
    fn an_evaluation_from_a_calm_instant_on_finds_what_the_whole_one_finds_from_there(
        said in story(),
        limit in 0_i64..330,
    ) {
        let mut town = Listener::new().hear_all(&said).town.clone();
        town.rules.heard_micros = 60 * MINUTE;
        let whole = town.evaluate();
        let Some(since) = whole.calm_before(minute(limit)) else {
            return Ok(());
        };
        for meter in town.evidence.values_mut() {
            meter.forget_before(since, town.rules.heard_micros);
        }
        let window = Window { since, through: town.through };
        let part = evaluate(&town.rules, &town.picture, &town.evidence, window);
        let later: Vec<Interruption> = whole
            .interruptions
            .iter()
            .filter(|interruption| interruption.started_at >= since)
            .cloned()
            .collect();
        prop_assert_eq!(lines(&part.interruptions), lines(&later));
        prop_assert_eq!(&part.interruptions, &later);
        for (id, outage) in &part.outages {
            prop_assert_eq!(Some(outage), whole.outages.get(id));
        }
    }
}
