//! Compensation: a month of a million consumers decided and planned anew, and entries out of the live picture. One thread.
//! Command: `cargo bench --bench compensation`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::print_stdout,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "a bench is an edge and ends by panicking"
)]

mod rounds;
mod utility;

use std::time::{Duration, Instant};

use gridtally_engine::{
    Settings, World,
    compensation::{
        document::Document,
        evidence::{Connection, Evidence, Interruption, Notice, OutageClass, Scope, SupplyLoss},
        in_force::InForce,
        ledger::Ledger,
        regulation::Regulation,
        rule::RuleBook,
    },
    world::CompensationRules,
};
use gridtally_ingest::log::Position;
use gridtally_schemas::{
    ConsumerId, PowerEvent, Publish, UtcMicros, Zone,
    network::{AreaClass, Supply},
    record,
};
use rounds::{Rounds, machine};
use utility::{DTS, METERS, MIDNIGHT, QUARTER, master_records, meter_id, quarter_end};

const ROUNDS: usize = 3;
/// Consumers of the month.
const CONSUMERS: usize = 1_000_000;
/// Consumers whose ledger is in memory at a time.
const TOGETHER: usize = 10_000;
/// Outages of each consumer in the month.
const LOSSES: i64 = 4;
/// Feeders of the live picture, of 1,000 consumers each.
const FEEDERS: usize = 40;
const HOUR: i64 = 4 * QUARTER;

fn regulation(text: &str) -> Regulation {
    let document: Document = toml::from_str(text).unwrap();
    Regulation::check(&document).unwrap()
}

fn merc() -> Regulation {
    regulation(include_str!("../deploy/presets/IN-MH-MERC-2021.toml"))
}

/// Four breakdowns of a feeder, of 1 to 12 hours.
fn evidence(at: usize) -> Evidence {
    let loss = |number: i64| {
        let started_at = MIDNIGHT.plus((number * 7 * 24 + at as i64 % 24) * HOUR);
        let hours = 1 + (at as i64 * 5 + number * 3) % 12;
        SupplyLoss {
            outage_id: format!("F{}.{number}", at / 1_000),
            class: OutageClass::Breakdown,
            notice: Notice::NotGiven,
            scope: Scope::Feeder,
            fault_type: None,
            consumers_affected: 1_000,
            exemptions: Vec::new(),
            outside_supply_hours: Vec::new(),
            connection: Connection {
                supply: Supply::Lt,
                area_class: Some(AreaClass::Urban),
            },
            interruptions: vec![Interruption {
                started_at,
                ended_at: Some(started_at.plus(hours * HOUR)),
            }],
        }
    };
    Evidence {
        losses: (0..LOSSES).map(loss).collect(),
        ..Evidence::none(ConsumerId::parse(&format!("C{at}")).unwrap())
    }
}

/// Decides a month of a million consumers against a ledger that holds it already, and again after a change of every fault type.
fn month(rounds: &mut [Rounds; 2]) {
    let book = RuleBook::new(Zone::kolkata(), vec![merc()]).unwrap();
    let now = MIDNIGHT.plus(40 * 24 * HOUR);
    let mut spent = [Duration::ZERO; 2];
    let mut added = 0;
    for first in (0..CONSUMERS).step_by(TOGETHER) {
        let mut known: Vec<Evidence> = (first..first + TOGETHER).map(evidence).collect();
        let mut ledger = Ledger::default();
        for of_consumer in &known {
            let decisions = book.decide(of_consumer, now).unwrap();
            let plan = ledger.plan(&of_consumer.consumer_id, &decisions, now).unwrap();
            ledger.apply(&plan).unwrap();
        }
        for (at, spent) in spent.iter_mut().enumerate() {
            if at == 1 {
                let losses = known.iter_mut().flat_map(|of_consumer| &mut of_consumer.losses);
                losses.for_each(|loss| loss.fault_type = Some("fuse".to_owned()));
            }
            let started = Instant::now();
            for of_consumer in &known {
                let decisions = book.decide(of_consumer, now).unwrap();
                let plan = ledger.plan(&of_consumer.consumer_id, &decisions, now).unwrap();
                added += plan.entries.len();
                ledger.apply(&plan).unwrap();
            }
            *spent += started.elapsed();
        }
    }
    assert!(added > CONSUMERS, "{added} entries were added");
    for (rounds, spent) in rounds.iter_mut().zip(spent) {
        rounds.note(spent.as_secs_f64());
    }
}

fn events(feeder: usize, at: UtcMicros, code: i32) -> Vec<u8> {
    let mut publish = Publish::default();
    let first = feeder * METERS;
    for meter in first + 1 + DTS..first + METERS {
        publish.begin_meter(&meter_id(meter)).unwrap();
        publish.push_event(PowerEvent {
            at,
            code,
            sequence: None,
        });
    }
    let mut bytes = Vec::new();
    record::encode_publish(quarter_end(96), "gateway:bench", &publish, &mut bytes);
    bytes
}

/// Outages of 40 feeders end: the search for them, and the entries that come of them.
fn live(rounds: &mut [Rounds; 2]) {
    let delhi = regulation(include_str!("../deploy/presets/IN-DL-DERC-2018.toml"));
    let in_force = InForce::new(&Zone::kolkata(), Vec::new(), Some(delhi)).unwrap();
    let mut world = World::new(Settings {
        compensation: CompensationRules {
            in_force,
            needs_approval: false,
        },
        ..Settings::default()
    });
    let now = quarter_end(96);
    let ends =
        |code: i32, quarter: i64| (0..FEEDERS).map(move |feeder| events(feeder, quarter_end(quarter), code));
    let records = master_records(FEEDERS)
        .into_iter()
        .chain(ends(101, 20))
        .chain(ends(102, 44));
    for (at, record) in records.enumerate() {
        let position = Position(at as u64 + 1);
        world.apply(position, &record, &mut Publish::default()).unwrap();
    }
    let started = Instant::now();
    while world.look_for_outages(now, 4).more {}
    rounds[0].note(started.elapsed().as_secs_f64() * 1_000.0 / FEEDERS as f64);
    let started = Instant::now();
    let mut looked = 0;
    loop {
        let some = world.compensate(now, 200);
        looked += some;
        if some < 200 {
            break;
        }
    }
    rounds[1].note(started.elapsed().as_secs_f64() * 1_000.0 / FEEDERS as f64);
    assert_eq!(
        (looked, world.compensation_entries()),
        (FEEDERS * 1_000, FEEDERS * 1_000)
    );
}

fn main() {
    println!("{}", machine("/tmp"));
    let seconds = |name: &str| Rounds::new(name, "s");
    let mut of_month = [
        seconds("a month of a million consumers, nothing changed"),
        seconds("the same, every fault type changed"),
    ];
    let mut of_feeder = [
        Rounds::new("a feeder of 1,000: search for its outage", "ms"),
        Rounds::new("a feeder of 1,000: its entries", "ms"),
    ];
    for _ in 0..ROUNDS {
        month(&mut of_month);
        live(&mut of_feeder);
        // After every round: a round is long, and what was measured so far is worth having.
        for rounds in of_month.iter().chain(&of_feeder) {
            println!("{rounds}");
        }
    }
}
