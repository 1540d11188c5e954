//! CMP-1 as a property: whatever evidence comes in whatever order, twice, with rule changes, crashes and billing in between,
//! what the ledger adds up to is the rule applied to the final evidence, and no entry has ever changed.

use std::collections::BTreeMap;

use gridtally_schemas::{ConsumerId, UtcMicros};
use proptest::{prelude::*, sample::Index};

use super::super::{
    evidence::{Claim, Evidence, Exemption, FinancialYear, Interruption, OutageClass, SupplyLoss},
    ledger::{DefaultKey, Entry, EntryId, Ledger, Standing, Status},
    rig::{at, book, every_shape, loss, minutes_after, outage, preset, request, rupees},
    rule::RuleBook,
};

const CONSUMERS: usize = 2;

/// What a source says; of two words on one subject the later written holds, whenever it arrives.
#[derive(Debug, Clone)]
enum Fact {
    Loss(u8, Option<Loss>),
    Request(u8, Option<i64>),
    Claim(u8, bool),
    Charges(i64),
    Rules(usize),
}

#[derive(Debug, Clone)]
struct Loss {
    start_hours: i64,
    minutes: Option<i64>,
    fault: Option<&'static str>,
    class: OutageClass,
    storm: bool,
    affected: u32,
}

/// A fact of one consumer, with its place in the order of writing.
type Word = (usize, usize, Fact);

fn losses() -> impl Strategy<Value = Loss> {
    let faults = prop::option::of(prop::sample::select(vec![
        "fuse",
        "overhead_line",
        "dt_failure",
        "gremlins",
    ]));
    let class = prop::sample::select(OutageClass::ALL.to_vec());
    let minutes = prop::option::weighted(0.8, 0..3_000_i64);
    (
        0..400_i64,
        minutes,
        faults,
        class,
        prop::bool::weighted(0.15),
        1..3_u32,
    )
        .prop_map(|(start_hours, minutes, fault, class, storm, affected)| Loss {
            start_hours,
            minutes,
            fault,
            class,
            storm,
            affected,
        })
}

fn facts() -> impl Strategy<Value = Fact> {
    prop_oneof![
        6 => (0..4_u8, prop::option::weighted(0.9, losses())).prop_map(|(id, loss)| Fact::Loss(id, loss)),
        2 => (0..2_u8, prop::option::of(0..40_i64)).prop_map(|(id, days)| Fact::Request(id, days)),
        2 => (0..4_u8, any::<bool>()).prop_map(|(id, upheld)| Fact::Claim(id, upheld)),
        1 => (0..4_000_i64).prop_map(Fact::Charges),
        2 => (0..4_usize).prop_map(Fact::Rules),
    ]
}

/// Words with the order in which they arrive, each twice.
fn arrivals() -> impl Strategy<Value = (Vec<Word>, Vec<Index>, Vec<Index>)> {
    let words = prop::collection::vec((0..CONSUMERS, facts()), 1..14).prop_map(|facts| {
        let numbered = facts.into_iter().enumerate();
        let words = numbered.map(|(number, (consumer, fact))| (number, consumer, fact));
        words.collect::<Vec<Word>>()
    });
    words.prop_flat_map(|words| {
        let twice = [words.clone(), words].concat();
        let steps = twice.len();
        let indices = || prop::collection::vec(any::<Index>(), steps);
        (Just(twice).prop_shuffle(), indices(), indices())
    })
}

/// What is known: per consumer and subject the latest word.
#[derive(Debug, Clone, Default)]
struct Known {
    words: BTreeMap<(usize, String), (usize, Fact)>,
    rules: (usize, usize),
}

impl Known {
    fn hear(&mut self, (number, consumer, fact): &Word) {
        let subject = match fact {
            Fact::Loss(id, _) => format!("loss {id}"),
            Fact::Request(id, _) => format!("request {id}"),
            Fact::Claim(id, _) => format!("claim {id}"),
            Fact::Charges(_) => "charges".to_owned(),
            Fact::Rules(rules) => {
                self.rules = self.rules.max((*number, *rules));
                return;
            }
        };
        let held = self
            .words
            .entry((*consumer, subject))
            .or_insert((*number, fact.clone()));
        if *number > held.0 {
            *held = (*number, fact.clone());
        }
    }

    fn evidence(&self, consumer: usize) -> Evidence {
        let mut evidence = Evidence::none(consumer_id(consumer));
        let own = self.words.iter().filter(|((of, _), _)| *of == consumer);
        for (_, (_, fact)) in own {
            match fact {
                Fact::Loss(id, Some(loss)) => evidence.losses.push(supply_loss(*id, loss)),
                Fact::Request(id, days) => {
                    let mut asked = request(&format!("R{id}"), "connection", "2026-04-02T10:00", None);
                    asked.closed_at = days.map(|days| minutes_after(asked.opened_at, days * 1_440));
                    evidence.requests.push(asked);
                }
                Fact::Claim(id, upheld) => evidence.claims.push(Claim {
                    claim_id: "C".to_owned(),
                    default: outage(&format!("O{id}")),
                    filed_at: at("2026-06-01T00:00"),
                    upheld_at: upheld.then(|| at("2026-07-01T00:00")),
                }),
                Fact::Charges(inr) => {
                    evidence.fixed_charges.insert(FinancialYear(2026), rupees(*inr));
                }
                Fact::Loss(_, None) | Fact::Rules(_) => {}
            }
        }
        evidence
    }
}

fn consumer_id(consumer: usize) -> ConsumerId {
    ConsumerId::parse(&format!("C{consumer}")).unwrap()
}

fn supply_loss(id: u8, loss: &Loss) -> SupplyLoss {
    let started_at = minutes_after(at("2026-04-01T00:00"), loss.start_hours * 60);
    SupplyLoss {
        class: loss.class,
        fault_type: loss.fault.map(str::to_owned),
        exemptions: loss
            .storm
            .then_some(Exemption::ForceMajeure)
            .into_iter()
            .collect(),
        consumers_affected: loss.affected,
        interruptions: vec![Interruption {
            started_at,
            ended_at: loss.minutes.map(|minutes| minutes_after(started_at, minutes)),
        }],
        ..self::loss(&format!("O{id}"), "2026-04-01T00:00", 0)
    }
}

fn books() -> [RuleBook; 4] {
    [
        book([every_shape("TEST", "TEST")]),
        book([
            every_shape("revision = 3", "revision = 4"),
            preset("IN-MH-MERC-2021"),
        ]),
        book([preset("IN-DL-DERC-2018")]),
        book([every_shape(
            "[scope]",
            "[year_cap]\nfixed_charges_pct = 30\nclause = \"8\"\n\n[scope]",
        )]),
    ]
}

fn rows(ledger: &Ledger) -> Vec<(Entry, Standing)> {
    let entries = (0..CONSUMERS).flat_map(|consumer| ledger.entries(&consumer_id(consumer)));
    entries
        .map(|(entry, standing)| (entry.clone(), standing))
        .collect()
}

/// A ledger built again from its own rows, in another order.
fn restored(ledger: &Ledger) -> Ledger {
    let rows = rows(ledger);
    let mut again = Ledger::default();
    for (entry, standing) in rows.iter().rev() {
        again.add(entry.clone()).unwrap();
        again.advance(&entry.entry_id, *standing).unwrap();
    }
    assert_eq!(again, *ledger);
    again
}

/// Plans and applies for every consumer; with `crash_after` only so many entries of each plan reach the table.
fn catch_up(
    ledger: &mut Ledger,
    known: &Known,
    books: &[RuleBook],
    now: UtcMicros,
    crash_after: Option<usize>,
) {
    for consumer in 0..CONSUMERS {
        let evidence = known.evidence(consumer);
        let decisions = books[known.rules.1].decide(&evidence, now).unwrap();
        let mut plan = ledger.plan(&evidence.consumer_id, &decisions, now).unwrap();
        if let Some(entries) = crash_after {
            plan.entries.truncate(entries);
            plan.due.clear();
        }
        ledger.apply(&plan).unwrap();
    }
}

/// CMP-1 for all consumers: each chain adds up to its decision, one without a decision to nothing, and nothing is left to do.
fn adds_up(ledger: &Ledger, known: &Known, books: &[RuleBook], now: UtcMicros) -> Result<(), TestCaseError> {
    for consumer in 0..CONSUMERS {
        let id = consumer_id(consumer);
        let decisions = books[known.rules.1]
            .decide(&known.evidence(consumer), now)
            .unwrap();
        let mut sums: BTreeMap<DefaultKey, i64> = BTreeMap::new();
        for (entry, _) in ledger.entries(&id) {
            *sums.entry(entry.content.default.clone()).or_default() += entry.content.amount.0;
        }
        let mut owed: BTreeMap<DefaultKey, i64> = sums.keys().map(|key| (key.clone(), 0)).collect();
        for decision in &decisions {
            owed.insert(decision.default.clone(), decision.amount().0);
            sums.entry(decision.default.clone()).or_default();
        }
        prop_assert_eq!(sums, owed, "{}", id);
        prop_assert!(ledger.plan(&id, &decisions, now).unwrap().is_empty());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_ledger_adds_up_to_the_rule_and_no_entry_ever_changes((words, events, bills) in arrivals()) {
        let books = books();
        let (mut ledger, mut known) = (Ledger::default(), Known::default());
        let mut seen: BTreeMap<EntryId, Entry> = BTreeMap::new();
        let mut now = at("2026-04-10T00:00");
        for (step, word) in words.iter().enumerate() {
            now = now.plus(3_600_000_000 * 7);
            known.hear(word);
            let event = events[step].index(8);
            catch_up(&mut ledger, &known, &books, now, (event < 3).then_some(event));
            if event < 4 {
                ledger = restored(&ledger);
            } else {
                adds_up(&ledger, &known, &books, now)?;
            }
            let entries = rows(&ledger).into_iter().map(|(entry, _)| (entry.entry_id.clone(), entry));
            let held: BTreeMap<EntryId, Entry> = entries.collect();
            for (id, entry) in &seen {
                prop_assert_eq!(held.get(id), Some(entry));
            }
            seen = held;
            if !seen.is_empty() && event == 5 {
                let (id, _) = seen.iter().nth(bills[step].index(seen.len())).unwrap();
                ledger.advance(id, Standing { status: Status::Credited, due_by: None }).unwrap();
            }
        }
        catch_up(&mut ledger, &known, &books, now, None);
        // By what was said, not by how it arrived.
        let mut whole = Known::default();
        let mut said = words;
        said.sort_by_key(|(number, _, _)| *number);
        said.iter().for_each(|word| whole.hear(word));
        adds_up(&ledger, &whole, &books, now)?;
    }
}
