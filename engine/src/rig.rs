//! What the tests of this crate share: short ways to say rows and reads, tables in memory that fail on demand, and a process that
//! can be killed between any two commits.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use arrow::{
    array::{AsArray, RecordBatch},
    compute::concat_batches,
    datatypes::Date32Type,
};
use futures::{StreamExt, stream::BoxStream};
use gridtally_ingest::log::Position;
use gridtally_schemas::{
    ConsumerId, Day, IntervalMinutes, IntervalRead, MeterId, Multiplier, NodeId, Publish, UtcMicros,
    network::{
        ConnectionRow, MasterRows, MeterRole, MeterRow, Metering, NodeKind, NodeRow, Prosumer, Supply,
    },
    record,
    table::{self, TableSchema},
};

use crate::{
    balance::BalanceSql,
    engine::{
        EngineError, Store, StoreError,
        checkpoint::Checkpointer,
        months::tally_months,
        paging::{page_in, put_quarter_away},
        recovery::{read_spilled, recover},
    },
    state::Quarter,
    tables::{Compacted, Effort},
    world::{Settings, World, decode, paging::Wanted, publish::Scope},
};

/// Midnight of 2026-04-01 in India.
pub(crate) const MIDNIGHT: UtcMicros = UtcMicros(1_774_981_800_000_000);
pub(crate) const QUARTER: i64 = 15 * 60 * 1_000_000;
pub(crate) const LONG_AGO: UtcMicros = UtcMicros(1_577_836_800_000_000);

/// The end of the `n`-th quarter of 2026-04-01.
pub(crate) fn quarter_end(n: i64) -> UtcMicros {
    MIDNIGHT.plus(n * QUARTER)
}

pub(crate) fn node_id(id: &str) -> NodeId {
    NodeId::parse(id).unwrap()
}

pub(crate) fn node(id: &str, kind: NodeKind, parent: Option<&str>) -> NodeRow {
    NodeRow {
        node_id: node_id(id),
        kind,
        parent_id: parent.map(node_id),
        name: id.to_owned(),
        area_class: None,
        lat: None,
        lon: None,
        capacity_kva: None,
        allowable_loss_pct: None,
        technical_loss_pct: None,
        valid_from: LONG_AGO,
        valid_to: None,
    }
}

pub(crate) fn meter(id: &str, role: MeterRole, node: Option<&str>) -> MeterRow {
    MeterRow {
        meter_id: MeterId::parse(id).unwrap(),
        role,
        node_id: node.map(node_id),
        boundary_to: None,
        interval_minutes: IntervalMinutes::Fifteen,
        multiplier: Multiplier::ONE,
        valid_from: LONG_AGO,
        valid_to: None,
    }
}

pub(crate) fn connection(consumer: &str, meter: Option<&str>, node: &str) -> ConnectionRow {
    ConnectionRow {
        consumer_id: ConsumerId::parse(consumer).unwrap(),
        meter_id: meter.map(|id| MeterId::parse(id).unwrap()),
        node_id: node_id(node),
        category: "LT-domestic".to_owned(),
        supply: Supply::Lt,
        phases: 1,
        sanctioned_load_kw: Some(4.0),
        metering: if meter.is_some() {
            Metering::Prepaid
        } else {
            Metering::Unmetered
        },
        prosumer: Prosumer::None,
        assessed_kwh_month: None,
        valid_from: LONG_AGO,
        valid_to: None,
    }
}

/// A discom `D` with a zone `Z`, a feeder `F1` with DTs `T1` and `T2`, and a feeder `F2` with DT `T3`.
pub(crate) fn hierarchy() -> Vec<NodeRow> {
    vec![
        node("D", NodeKind::Discom, None),
        node("Z", NodeKind::Zone, Some("D")),
        node("F1", NodeKind::Feeder, Some("Z")),
        node("F2", NodeKind::Feeder, Some("Z")),
        node("T1", NodeKind::Dt, Some("F1")),
        node("T2", NodeKind::Dt, Some("F1")),
        node("T3", NodeKind::Dt, Some("F2")),
    ]
}

pub(crate) fn read(end: UtcMicros, import_wh: i64) -> IntervalRead {
    IntervalRead::new(end, Some(import_wh))
}

/// A publish of one meter's reads.
pub(crate) fn publish(meter_id: &str, reads: &[IntervalRead]) -> Publish {
    let mut publish = Publish::default();
    publish.begin_meter(meter_id).unwrap();
    for read in reads {
        publish.push_read(*read);
    }
    publish
}

pub(crate) fn publish_record(received_at: UtcMicros, publish: &Publish) -> Vec<u8> {
    let mut bytes = Vec::new();
    record::encode_publish(received_at, "gateway:G1", publish, &mut bytes);
    bytes
}

pub(crate) fn master_record(recorded_at: UtcMicros, rows: &MasterRows) -> Vec<u8> {
    let mut bytes = Vec::new();
    record::encode_master_rows(recorded_at, "file:master.csv", rows, &mut bytes).unwrap();
    bytes
}

thread_local! {
    static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
}

/// Runs a future that waits for nothing outside this thread.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.with(|runtime| runtime.block_on(future))
}

/// The balance SQL, planned once for all tests: one serves any number of runs at a time.
pub(crate) fn sql() -> &'static BalanceSql {
    static SQL: OnceLock<BalanceSql> = OnceLock::new();
    SQL.get_or_init(BalanceSql::default)
}

/// Computes every balance and judges every day.
pub(crate) fn settle(world: &mut World) {
    settle_now(world);
    assert!(world.is_settled() && world.is_tallied());
}

/// As far as what is in memory allows.
fn settle_now(world: &mut World) {
    loop {
        while let Some(members) = world.gather(10_000) {
            let computed = block_on(sql().run(members)).unwrap();
            world.settle(computed);
        }
        if world.judge(7).days == 0 && !world.judge_mappings(true) {
            break;
        }
    }
    while world.tally(3) > 0 {}
}

/// Tables in memory. [`MemoryStore::fail_after`] makes a later commit fail as a crash would: it and all after it do nothing.
#[derive(Debug, Default)]
pub(crate) struct MemoryStore {
    tables: Mutex<BTreeMap<&'static str, Vec<RecordBatch>>>,
    positions: Mutex<BTreeMap<&'static str, Position>>,
    derived: Mutex<BTreeMap<&'static str, Position>>,
    commits_left: Mutex<Option<usize>>,
}

#[derive(Debug, thiserror::Error)]
#[error("the process was killed here")]
struct Killed;

impl MemoryStore {
    pub(crate) fn fail_after(&self, commits: Option<usize>) {
        *self.commits_left.lock().unwrap() = commits;
    }

    /// Puts other rows in the place of each batch of a table, as somebody would who alters it behind the engine's back.
    pub(crate) fn rewrite(&self, table: &TableSchema, mut change: impl FnMut(&RecordBatch) -> RecordBatch) {
        let mut tables = self.tables.lock().unwrap();
        for batch in tables.get_mut(table.name).into_iter().flatten() {
            *batch = change(batch);
        }
    }

    pub(crate) fn batches(&self, table: &TableSchema) -> Vec<RecordBatch> {
        self.tables
            .lock()
            .unwrap()
            .get(table.name)
            .cloned()
            .unwrap_or_default()
    }
}

impl MemoryStore {
    fn commit(
        &self,
        positions: &Mutex<BTreeMap<&'static str, Position>>,
        table: &'static TableSchema,
        rows: RecordBatch,
        position: Position,
    ) -> Result<bool, StoreError> {
        if let Some(left) = self.commits_left.lock().unwrap().as_mut() {
            *left = left.checked_sub(1).ok_or_else(|| Box::new(Killed))?;
        }
        let mut positions = positions.lock().unwrap();
        if positions.get(table.name).is_some_and(|held| *held >= position) {
            return Ok(false);
        }
        positions.insert(table.name, position);
        self.tables
            .lock()
            .unwrap()
            .entry(table.name)
            .or_default()
            .push(rows);
        Ok(true)
    }
}

impl Store for MemoryStore {
    fn effort(&self) -> Effort {
        Effort::default()
    }

    async fn append(
        &self,
        table: &'static TableSchema,
        rows: RecordBatch,
        position: Position,
    ) -> Result<bool, StoreError> {
        self.commit(&self.positions, table, rows, position)
    }

    async fn append_derived(
        &self,
        table: &'static TableSchema,
        rows: RecordBatch,
        number: Position,
    ) -> Result<bool, StoreError> {
        self.commit(&self.derived, table, rows, number)
    }

    async fn derived_position_of(&self, table: &'static TableSchema) -> Result<Option<Position>, StoreError> {
        Ok(self.derived.lock().unwrap().get(table.name).copied())
    }

    async fn position_of(&self, table: &'static TableSchema) -> Result<Option<Position>, StoreError> {
        Ok(self.positions.lock().unwrap().get(table.name).copied())
    }

    async fn scan(
        &self,
        table: &'static TableSchema,
    ) -> Result<BoxStream<'static, Result<RecordBatch, StoreError>>, StoreError> {
        Ok(futures::stream::iter(self.batches(table).into_iter().map(Ok)).boxed())
    }

    async fn days(&self, table: &'static TableSchema) -> Result<BTreeSet<Day>, StoreError> {
        let mut days = BTreeSet::new();
        for batch in self.batches(table) {
            let column = batch.column_by_name("day").unwrap();
            let of_batch = column.as_primitive::<Date32Type>().iter();
            days.extend(of_batch.map(|day| Day(day.unwrap())));
        }
        Ok(days)
    }

    async fn files_digest(
        &self,
        table: &'static TableSchema,
        _parts: std::ops::RangeInclusive<Day>,
    ) -> Result<u64, StoreError> {
        let rows: usize = self.batches(table).iter().map(RecordBatch::num_rows).sum();
        Ok(u64::try_from(rows)?)
    }

    async fn scan_part(
        &self,
        table: &'static TableSchema,
        _part: Day,
        _ids: &BTreeSet<String>,
    ) -> Result<BoxStream<'static, Result<RecordBatch, StoreError>>, StoreError> {
        self.scan(table).await
    }

    async fn scan_after(
        &self,
        table: &'static TableSchema,
        _column: &'static str,
        _number: i64,
    ) -> Result<BoxStream<'static, Result<RecordBatch, StoreError>>, StoreError> {
        self.scan(table).await
    }

    async fn quarantined(
        &self,
        _meters: &BTreeSet<MeterId>,
    ) -> Result<BoxStream<'static, Result<RecordBatch, StoreError>>, StoreError> {
        self.scan(&table::QUARANTINE).await
    }

    async fn compact(&self, table: &'static TableSchema, _open_from: Day) -> Result<Compacted, StoreError> {
        let mut tables = self.tables.lock().unwrap();
        let Some(batches) = tables.get_mut(table.name).filter(|batches| batches.len() > 1) else {
            return Ok(Compacted::default());
        };
        let whole = concat_batches(&batches[0].schema(), batches.iter())?;
        let done = Compacted {
            partitions: 1,
            files_removed: batches.len(),
            files_added: 1,
            dropped: 0,
        };
        *batches = vec![whole];
        Ok(done)
    }

    async fn vacuum(
        &self,
        _table: &'static TableSchema,
        _versions_kept: Duration,
    ) -> Result<u64, StoreError> {
        Ok(0)
    }
}

/// An engine without its thread: it recovers, applies, checkpoints, and can die in a checkpoint.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) world: World,
    /// The most memory that its start took for what can be let go, bytes as counted.
    pub(crate) resident_peak: usize,
    /// Feeders' days that are worked off at most between two checkpoints.
    pub(crate) owed_together: usize,
    store: Arc<MemoryStore>,
    checkpointer: Checkpointer<MemoryStore>,
    now: UtcMicros,
    /// How far some table was at the start: no compensation is decided before that is applied.
    replay_through: Position,
    is_caught_up: bool,
}

impl Process {
    /// Starts from the tables.
    pub(crate) fn start(store: &Arc<MemoryStore>, settings: Settings, now: UtcMicros) -> Self {
        store.fail_after(None);
        let recovered = block_on(recover(store.as_ref(), settings.clone(), (Position(0), now))).unwrap();
        let newest = recovered.transactions.values().copied().max();
        let replay_through = newest.unwrap_or_default();
        let checkpointer = Checkpointer::new(Arc::clone(store), settings.zone, recovered.transactions);
        Self {
            replay_through,
            is_caught_up: recovered.world.applied() >= replay_through,
            world: recovered.world,
            resident_peak: recovered.resident_peak,
            owed_together: usize::MAX,
            store: Arc::clone(store),
            checkpointer,
            now,
        }
    }

    /// Moves its clock.
    pub(crate) fn set_now(&mut self, now: UtcMicros) {
        self.now = now;
    }

    /// Applies the records of `log` from where the picture stands up to `through`.
    pub(crate) fn apply(&mut self, log: &[Vec<u8>], through: usize) {
        let mut publish = Publish::default();
        let from = usize::try_from(self.world.applied().0).unwrap();
        for (at, bytes) in log.iter().enumerate().take(through).skip(from) {
            let position = Position(u64::try_from(at).unwrap() + 1);
            let named = self.world.spilled_named_by(bytes).unwrap();
            if !named.is_empty() {
                self.put_back(&named);
            }
            let record = decode(bytes, &mut publish).unwrap();
            let wanted = self.world.wanted_by(&record, &mut publish);
            self.page_in(wanted);
            self.world.apply_decoded(position, record, &mut publish);
            self.put_away();
        }
        let end = Position(u64::try_from(log.len()).unwrap());
        self.is_caught_up = self.world.applied() >= self.replay_through.min(end);
        self.advance();
    }

    /// Tells the picture what time it is, computes every balance and judges every day.
    pub(crate) fn advance(&mut self) {
        self.world.advance(self.now);
        let mut owed_left = self.owed_together;
        loop {
            while self.world.look_for_outages(self.now, 3).more {
                let asked = self.world.take_asked();
                self.page_in(asked);
            }
            tally_months(&mut self.world, self.now);
            while self.is_caught_up && self.world.compensate(self.now, 5) > 0 {}
            settle_now(&mut self.world);
            tally_months(&mut self.world, self.now);
            self.world.ask_for_withdrawn();
            let mut asked = self.world.take_asked();
            let owed = self.world.next_owed(owed_left);
            owed_left = owed_left.saturating_sub(owed.feeders());
            asked.add(owed);
            if asked.is_empty() {
                break;
            }
            self.page_in(asked);
        }
        assert!(self.world.is_settled() && self.world.is_tallied());
        self.put_away();
        self.world.state.check().unwrap();
    }

    /// Lets every value wait on disk, if there is a file for it.
    fn put_away(&mut self) {
        let Some(cold) = self.world.state.cold() else {
            return;
        };
        for quarter in self.world.state.quarters_here(Quarter(u32::MAX)) {
            put_quarter_away(&cold, quarter, &mut &mut self.world).unwrap();
        }
    }

    /// Brings back what is wanted, as the engine does.
    pub(crate) fn page_in(&mut self, wanted: Wanted) {
        block_on(page_in(self.store.as_ref(), sql(), wanted, &mut self.world)).unwrap();
    }

    /// Lets everything go that a finished checkpoint holds, whatever its memory.
    pub(crate) fn let_go(&mut self) -> usize {
        self.world.let_go()
    }

    /// Takes what unknown meters said back from the table, as a record that names them would.
    pub(crate) fn put_back(&mut self, meters: &BTreeSet<MeterId>) {
        let put_back = |rows: &RecordBatch| self.world.put_back_spilled(rows, meters);
        block_on(read_spilled(self.store.as_ref(), meters, put_back)).unwrap();
    }

    pub(crate) fn checkpoint(&mut self, scope: Scope) -> Result<(), EngineError> {
        self.checkpoint_while(scope, |_| ())
    }

    /// A checkpoint while whose writing something else goes on, as the engine's thread applies and ticks: what happens meanwhile is in the
    /// picture when the checkpoint ends, and not in the tables.
    pub(crate) fn checkpoint_while(
        &mut self,
        scope: Scope,
        meanwhile: impl FnOnce(&mut Self),
    ) -> Result<(), EngineError> {
        let mut due = self.world.take_due(self.now);
        while self.world.take_more(self.now, scope, 1, &mut due) {}
        meanwhile(self);
        let written = block_on(self.checkpointer.write(due, self.now))?;
        self.world.spill(written.position);
        self.world.land_entries();
        Ok(())
    }
}
