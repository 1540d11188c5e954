//! Whatever happened, what is published is what the raw tables give; and whatever is altered in either is found, and nothing else.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray},
    compute::{concat_batches, filter_record_batch},
    datatypes::Int64Type,
    util::display::array_value_to_string,
};
use datafusion::{catalog::TableProvider, datasource::MemTable};
use gridtally_schemas::{
    IntervalRead, NodeId,
    network::{MasterRows, MeterRole},
    table::{self, TableSchema},
};
use proptest::prelude::*;

use super::*;
use crate::{
    rig::{
        LONG_AGO, MemoryStore, Process, QUARTER, block_on, connection, hierarchy, master_record, meter,
        publish, publish_record, quarter_end, read,
    },
    world::{
        publish::Scope,
        tests::{
            NOW,
            histories::{bytes_of, history},
        },
    },
};

mod altered;
mod explained;

const HOUR: i64 = 4 * QUARTER;

impl Source for MemoryStore {
    async fn provider(
        &self,
        table: &'static TableSchema,
    ) -> Result<Option<Arc<dyn TableProvider>>, StoreError> {
        let provider = MemTable::try_new(table.arrow(), vec![self.batches(table)])?;
        Ok(Some(Arc::new(provider)))
    }
}

fn limits(threads: usize) -> Limits {
    Limits {
        threads,
        memory_bytes: 64 << 20,
    }
}

fn verified(store: &MemoryStore, selection: &Selection, limits: Limits) -> Result<Report, VerifyError> {
    let progress = Arc::new(Progress::default());
    let report = block_on(verify(store, &Settings::default(), selection, limits, &progress));
    if report.is_ok() {
        let [done, all] = [&progress.done, &progress.feeder_days].map(|count| count.load(Ordering::Relaxed));
        assert!(done <= all, "{done} of {all} feeder-days");
    }
    report
}

fn found(report: &Report) -> Vec<String> {
    let of = |difference: &Difference| {
        format!(
            "{} {} {}: {} is {}",
            difference.table, difference.key, difference.column, difference.published, difference.recomputed
        )
    };
    report.differences.iter().map(of).collect()
}

/// What is published stands on what is raw; before the first checkpoint there is nothing.
pub(crate) fn assert_stands(store: &MemoryStore) -> Result<(), TestCaseError> {
    for limits in [
        limits(1),
        Limits {
            threads: 3,
            memory_bytes: 1,
        },
    ] {
        match verified(store, &Selection::default(), limits) {
            Ok(report) => prop_assert_eq!(found(&report), Vec::<String>::new()),
            Err(VerifyError::NeverPublished | VerifyError::NothingInPeriod { .. }) => {}
            Err(error) => prop_assert!(false, "{:?}", error),
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any history, checkpoints at any time and of any scope, killed between any two commits: the last finished one stands.
    #[test]
    fn what_is_published_of_any_history_is_what_its_raw_tables_give(
        told in history(),
        checkpoints in prop::collection::vec(
            (any::<prop::sample::Index>(), prop::option::weighted(0.4, 0_usize..12), any::<bool>(), 0_i64..60),
            1..5,
        ),
    ) {
        let records: Vec<Vec<u8>> = told.iter().map(bytes_of).collect();
        let store = Arc::new(MemoryStore::default());
        let (mut now, mut seen) = (NOW, 0);
        for (through, death, everything, hours) in &checkpoints {
            now = now.plus(hours * HOUR + 1);
            let mut process = Process::start(&store, Settings::default(), now);
            // As the engine's thread does: nothing is published before all that a table may hold already is applied.
            seen = through.index(records.len() + 1).max(seen);
            process.apply(&records, seen);
            store.fail_after(*death);
            let _ = process.checkpoint(if *everything { Scope::Everything } else { Scope::Due });
            assert_stands(&store)?;
        }
        let mut process = Process::start(&store, Settings::default(), now.plus(1));
        process.apply(&records, records.len());
        process.checkpoint(Scope::Everything).unwrap();
        assert_stands(&store)?;
    }
}

/// F1 with its meter, T1 with its own, consumers A and B on it, four quarters of reads; A's second is corrected.
fn records() -> Vec<Vec<u8>> {
    let meters = vec![
        meter("MF1", MeterRole::Feeder, Some("F1")),
        meter("MT1", MeterRole::Dt, Some("T1")),
        meter("A", MeterRole::Consumer, None),
        meter("B", MeterRole::Consumer, None),
    ];
    let connections = vec![
        connection("CA", Some("A"), "T1"),
        connection("CB", Some("B"), "T1"),
    ];
    let mut records = vec![
        master_record(LONG_AGO, &MasterRows::Nodes(hierarchy())),
        master_record(LONG_AGO, &MasterRows::Meters(meters)),
        master_record(LONG_AGO, &MasterRows::Connections(connections)),
    ];
    for (id, wh) in [("MF1", 1_000), ("MT1", 950), ("A", 400), ("B", 500)] {
        let reads: Vec<IntervalRead> = (1..=4).map(|n| read(quarter_end(n), wh)).collect();
        records.push(publish_record(NOW, &publish(id, &reads)));
    }
    let corrected = IntervalRead {
        revision: 1,
        ..read(quarter_end(2), 410)
    };
    records.push(publish_record(NOW, &publish("A", &[corrected])));
    records
}

fn published() -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::default());
    let records = records();
    let mut process = Process::start(&store, Settings::default(), NOW);
    process.apply(&records, records.len());
    process.checkpoint(Scope::Due).unwrap();
    store
}

fn cell(batch: &RecordBatch, row: usize, name: &str) -> String {
    array_value_to_string(batch.column_by_name(name).unwrap(), row).unwrap()
}

/// Rows of a table whose cells say what `wanted` does.
fn is_row(batch: &RecordBatch, row: usize, wanted: &[(&str, &str)]) -> bool {
    wanted
        .iter()
        .all(|(name, value)| cell(batch, row, name) == *value)
}

/// Alters one whole-number cell of the rows that are `wanted`.
fn alter(
    store: &MemoryStore,
    table: &'static TableSchema,
    wanted: &[(&str, &str)],
    column: &str,
    value: i64,
) {
    let mut altered = 0;
    store.rewrite(table, |batch| {
        let at = batch.schema().index_of(column).unwrap();
        let held = arrow::compute::cast(batch.column(at), &arrow::datatypes::DataType::Int64).unwrap();
        let held = held.as_primitive::<Int64Type>();
        let values: Int64Array = (0..batch.num_rows())
            .map(|row| {
                let is_wanted = is_row(batch, row, wanted);
                altered += usize::from(is_wanted);
                if is_wanted {
                    Some(value)
                } else {
                    held.iter().nth(row).flatten()
                }
            })
            .collect();
        let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
        columns[at] = arrow::compute::cast(&values, batch.column(at).data_type()).unwrap();
        RecordBatch::try_new(batch.schema(), columns).unwrap()
    });
    assert!(altered > 0, "no row of {} is {wanted:?}", table.name);
}

/// Takes the rows that are `wanted` out, or puts them in once more.
fn drop_or_double(store: &MemoryStore, table: &'static TableSchema, wanted: &[(&str, &str)], double: bool) {
    store.rewrite(table, |batch| {
        let of = |keep: bool| {
            let mask: BooleanArray = (0..batch.num_rows())
                .map(|row| Some(is_row(batch, row, wanted) == keep))
                .collect();
            filter_record_batch(batch, &mask).unwrap()
        };
        if double {
            concat_batches(&batch.schema(), [batch, &of(true)]).unwrap()
        } else {
            of(false)
        }
    });
}
