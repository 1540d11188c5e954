//! A picture with the network of some feeders, and the steps that a tick takes with it.

#![allow(dead_code, reason = "each bench uses its own part of this")]

use std::time::{Duration, Instant};

use gridtally_engine::{
    Settings, World,
    balance::{BalanceSql, MemberReads},
    network::MeterIx,
    state::{Arrival, Feeders, Merged, Quality, Quarter, Value},
};
use gridtally_ingest::log::Position;
use gridtally_schemas::{Publish, UtcMicros};
use tokio::runtime::Runtime;

use crate::utility::{METERS, import_wh, master_records, quarter_end};

/// Intervals of the day that is there before anything is measured.
pub const DAY: i64 = 96;
/// Intervals that come in one tick.
pub const INTERVALS_OF_TICK: i64 = 4;
/// Member reads computed by one run of the SQL, as the engine does.
const GATHER_ROWS: usize = 200_000;

/// What a meter says of an interval.
pub fn value(at: usize, quarter: i64, revision: i32) -> Value {
    Value {
        quality: Quality::Actual,
        revision,
        captured_at: None,
        import_wh: import_wh(at, quarter) as u32 + revision as u32,
        export_wh: None,
        import_vah: None,
        voltage_v: Some(231.5),
        current_a: None,
    }
}

/// The quarter hour that ends `n` quarter hours after [`crate::utility::MIDNIGHT`].
pub fn quarter(n: i64) -> Quarter {
    Quarter::ending(quarter_end(n)).unwrap()
}

/// A picture with its network.
pub struct Bench {
    pub world: World,
    sql: BalanceSql,
    runtime: Runtime,
    pub meters: usize,
    positions: u64,
}

/// Where the time of a tick went.
#[derive(Default)]
pub struct Spent {
    pub gather: Duration,
    pub sql: Duration,
    pub settle: Duration,
    pub member_reads: usize,
}

impl Bench {
    /// Nothing has been read yet.
    pub fn new(feeders: usize) -> Self {
        let mut bench = Self {
            world: World::new(Settings::default()),
            sql: BalanceSql::default(),
            runtime: tokio::runtime::Builder::new_current_thread().build().unwrap(),
            meters: feeders * METERS,
            positions: 0,
        };
        for record in master_records(feeders) {
            bench.apply(&record);
        }
        bench
    }

    /// Every meter has a value in every interval of a day, and its balances are computed.
    pub fn after_a_day(feeders: usize) -> Self {
        let mut bench = Self::new(feeders);
        (1..=DAY).for_each(|n| bench.merge_interval(n));
        bench.tick(quarter_end(DAY));
        bench
    }

    /// Applies a record of the log.
    pub fn apply(&mut self, record: &[u8]) {
        self.positions += 1;
        let mut publish = Publish::default();
        self.world
            .apply(Position(self.positions), record, &mut publish)
            .unwrap();
    }

    fn feeders_of(&self, meter: MeterIx) -> Feeders {
        let mut feeders = Vec::new();
        self.world.network.feeders_of_meter(meter, &mut feeders);
        [feeders.first().copied(), None]
    }

    /// Merges what the meter says of the `n`-th quarter hour.
    pub fn merge(&mut self, at: usize, n: i64, revision: i32) -> Merged {
        let meter = MeterIx(at as u32);
        // Only a meter's first read asks for its feeders.
        let feeders = if self.world.state.block_of(meter).is_some() {
            Feeders::default()
        } else {
            self.feeders_of(meter)
        };
        self.world.state.merge(
            meter,
            feeders,
            quarter(n),
            (&value(at, n, revision), Arrival::default()),
        )
    }

    /// The same for every meter, first revision.
    pub fn merge_interval(&mut self, n: i64) {
        for at in 0..self.meters {
            self.merge(at, n, 0);
        }
    }

    /// Computes every balance that waits.
    pub fn tick(&mut self, now: UtcMicros) -> Spent {
        self.world.advance(now);
        let mut spent = Spent::default();
        loop {
            let begun = Instant::now();
            let Some(members) = self.world.gather(GATHER_ROWS) else {
                return spent;
            };
            spent.gather += begun.elapsed();
            spent.member_reads += MemberReads::len(&members);
            let begun = Instant::now();
            let computed = self.runtime.block_on(self.sql.run(members)).unwrap();
            spent.sql += begun.elapsed();
            let begun = Instant::now();
            self.world.settle(computed);
            spent.settle += begun.elapsed();
        }
    }
}
