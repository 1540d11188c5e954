//! The balance SQL against an independent computation on random networks.

use gridtally_schemas::network::{MasterRows, MeterRole};
use proptest::prelude::*;

use super::Bench;
use crate::rig::{connection, meter};

#[derive(Debug, Clone)]
struct RandomMeter {
    /// 0..3: T1, T2, T3; 3 and 4: F1 and F2 themselves.
    place: usize,
    role: usize,
    multiplier: i64,
    said: Option<(u32, Option<u32>)>,
}

fn random_meter() -> impl Strategy<Value = RandomMeter> {
    let said = prop::option::weighted(0.85, (0_u32..5_000, prop::option::of(0_u32..3_000)));
    let multiplier = prop::sample::select(vec![1_000, 1_000, 2_500, 60_005]);
    (0_usize..5, 0_usize..4, multiplier, said).prop_map(|(place, role, multiplier, said)| RandomMeter {
        place,
        role,
        multiplier,
        said,
    })
}

const PLACES: [&str; 5] = ["T1", "T2", "T3", "F1", "F2"];

/// Import and export of a tie, counted at the first feeder or at the second.
type Tie = (bool, Option<(u32, Option<u32>)>);

/// What the definitions of DOMAIN section 2 give, added up one meter at a time.
#[derive(Debug, Default, PartialEq, Eq)]
struct Naive {
    input: Option<i64>,
    total_loss: Option<i64>,
    dt_loss: Vec<(String, Option<i64>)>,
    expected: i64,
    reported: i64,
}

/// Sums of one place: the meters that measure it, and what its consumers took and gave.
#[derive(Debug, Default, Clone, Copy)]
struct Place {
    net: i64,
    own_meters: i64,
    silent: bool,
    taken: i64,
    given: i64,
}

impl Place {
    fn add(&mut self, meter: &RandomMeter) {
        // Half up, by a way of its own: twice the thousandths, plus one thousand, halved.
        let network = |wh: u32| {
            let thousandths = i128::from(wh) * i128::from(meter.multiplier);
            i64::try_from((2 * thousandths + 1_000).div_euclid(2_000)).unwrap()
        };
        let (wh_in, wh_out) = meter
            .said
            .map_or((0, 0), |(i, e)| (network(i), network(e.unwrap_or(0))));
        match meter.role {
            0 => {
                self.net += wh_in - wh_out;
                self.own_meters += 1;
                self.silent |= meter.said.is_none();
            }
            1 => self.given += wh_out,
            _ => {
                self.taken += wh_in;
                self.given += wh_out;
            }
        }
    }

    fn is_metered(&self) -> bool {
        self.own_meters > 0 && !self.silent
    }
}

/// What ties bring into a feeder; `None` when one of them is silent.
fn through_ties(feeder: &str, ties: &[Tie]) -> Option<i64> {
    let mut net = 0;
    for (from_first, said) in ties {
        let (i, e) = said.map(|(i, e)| (i64::from(i), i64::from(e.unwrap_or(0))))?;
        net += if *from_first == (feeder == "F1") {
            i - e
        } else {
            e - i
        };
    }
    Some(net)
}

fn naive(feeder: &str, meters: &[RandomMeter], ties: &[Tie]) -> Naive {
    let below: &[&str] = if feeder == "F1" { &["T1", "T2"] } else { &["T3"] };
    let mut naive = Naive::default();
    let mut places: std::collections::BTreeMap<&str, Place> = Default::default();
    for one in meters {
        let place = PLACES[one.place];
        if place == feeder || below.contains(&place) {
            naive.expected += 1;
            naive.reported += i64::from(one.said.is_some());
            places.entry(place).or_default().add(one);
        }
    }
    naive.expected += i64::try_from(ties.len()).unwrap();
    naive.reported += i64::try_from(ties.iter().filter(|(_, said)| said.is_some()).count()).unwrap();
    let own = places.get(feeder).copied().unwrap_or_default();
    let ties = through_ties(feeder, ties).filter(|_| own.is_metered());
    naive.input = ties.map(|ties| own.net + ties);
    let gained: i64 = places.values().map(|place| place.given - place.taken).sum();
    naive.total_loss = naive.input.map(|input| input + gained);
    for (name, place) in places.into_iter().filter(|(name, _)| *name != feeder) {
        let loss = place.net + place.given - place.taken;
        naive
            .dt_loss
            .push((name.to_owned(), place.is_metered().then_some(loss)));
    }
    naive
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// BAL-1: DT and feeder identities on random networks, against the definitions added up by hand.
    #[test]
    fn balances_agree_with_the_definitions_on_random_networks(
        meters in prop::collection::vec(random_meter(), 1..24),
        ties in prop::collection::vec((any::<bool>(), prop::option::weighted(0.8, (0_u32..900, prop::option::of(0_u32..900)))), 0..3),
    ) {
        let mut bench = Bench::new();
        for (at, one) in meters.iter().enumerate() {
            let (id, place) = (format!("M{at}"), PLACES[one.place]);
            let role = match (one.role, one.place) {
                (0, 0..3) => MeterRole::Dt,
                (0, _) => MeterRole::Feeder,
                (1, _) => MeterRole::Generation,
                _ => MeterRole::Consumer,
            };
            bench.own_meter(&id, role, place, one.multiplier);
            if one.role > 0 {
                bench.learn(MasterRows::Connections(vec![connection(&format!("C{at}"), Some(&id), place)]));
            }
            if let Some((import, export)) = one.said {
                bench.say(&id, 1, import, export);
            }
        }
        for (at, (from_first, said)) in ties.iter().enumerate() {
            let (own, other) = if *from_first { ("F1", "F2") } else { ("F2", "F1") };
            let id = format!("X{at}");
            let mut row = meter(&id, MeterRole::Boundary, Some(own));
            row.boundary_to = Some(crate::rig::node_id(other));
            bench.learn(MasterRows::Meters(vec![row]));
            if let Some((import, export)) = said {
                bench.say(&id, 1, *import, *export);
            }
        }
        for feeder in ["F1", "F2"] {
            let wanted = naive(feeder, &meters, &ties);
            if wanted.expected == 0 {
                continue;
            }
            let got = bench.balance(feeder, 1);
            let figures = got.feeder;
            prop_assert_eq!(figures.input_wh, wanted.input);
            prop_assert_eq!(figures.total_loss_wh, wanted.total_loss);
            prop_assert_eq!((figures.coverage.expected, figures.coverage.reported), (wanted.expected, wanted.reported));
            prop_assert_eq!(figures.ht_loss_wh.map(|ht| ht + figures.lt_loss_wh), figures.total_loss_wh);
            let losses: Vec<(String, Option<i64>)> = got
                .dts
                .iter()
                .map(|dt| (bench.network.node(dt.dt).unwrap().id.to_string(), dt.loss_wh))
                .collect();
            prop_assert_eq!(figures.lt_loss_wh, losses.iter().filter_map(|(_, loss)| *loss).sum::<i64>());
            prop_assert_eq!(losses, wanted.dt_loss);
            for dt in &got.dts {
                prop_assert_eq!(dt.injected_wh.zip(dt.delivered_wh).map(|(i, d)| i - d), dt.loss_wh);
            }
        }
    }
}
