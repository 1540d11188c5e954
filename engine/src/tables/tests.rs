use std::{collections::BTreeSet, fs, path::Path, sync::Arc, time::Duration};

use arrow::{
    array::{
        ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
        Int16Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    },
    compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch},
    datatypes::{DataType, Field},
};
use datafusion::{
    execution::{
        cache::{
            cache_manager::{CacheManagerConfig, FileMetadataCache},
            default_cache::DefaultCache,
        },
        runtime_env::RuntimeEnvBuilder,
    },
    prelude::{SessionConfig, SessionContext, col, lit},
};
use futures::TryStreamExt;
use gridtally_ingest::log::Position;
use gridtally_schemas::{
    table::{self, INTERVAL_READS, NODES, TableSchema},
    time::Day,
};
use tempfile::TempDir;

use super::{Appended, COMMITS_PER_CHECKPOINT, Tables, TablesError, files};

pub(super) const DAY: Day = Day(20_544); // 2026-04-01

/// Rows of any table: every value follows from the row's number.
pub(super) fn rows(
    schema: &TableSchema,
    numbers: std::ops::Range<i64>,
    day: impl Fn(i64) -> Day,
) -> RecordBatch {
    let columns = files::columns_of(schema);
    let arrays = columns
        .fields()
        .iter()
        .map(|field| values(schema, field, &numbers, &day))
        .collect();
    RecordBatch::try_new(columns, arrays).unwrap()
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kinds of columns that no table has"
)]
fn values(
    schema: &TableSchema,
    field: &Field,
    numbers: &std::ops::Range<i64>,
    day: &impl Fn(i64) -> Day,
) -> ArrayRef {
    let every = || numbers.clone();
    let nth = |number: i64| (!field.is_nullable() || number % 3 != 0).then_some(number);
    let small = |number: i64| nth(number).map(|number| i16::try_from(number % 1_000).unwrap());
    if schema.partition == Some(field.name()) {
        return Arc::new(every().map(|number| Some(day(number).0)).collect::<Date32Array>());
    }
    match field.data_type() {
        DataType::Utf8 => Arc::new(
            every()
                .map(|number| nth(number).map(|number| format!("MH{:08}", number / 96)))
                .collect::<StringArray>(),
        ),
        DataType::Binary => Arc::new(
            every()
                .map(|number| nth(number).map(|number| number.to_le_bytes()))
                .collect::<BinaryArray>(),
        ),
        DataType::Boolean => Arc::new(
            every()
                .map(|n| nth(n).map(|n| n % 2 == 0))
                .collect::<BooleanArray>(),
        ),
        DataType::Int16 => Arc::new(every().map(small).collect::<Int16Array>()),
        DataType::Int32 => Arc::new(every().map(|n| small(n).map(i32::from)).collect::<Int32Array>()),
        DataType::Int64 => Arc::new(every().map(nth).collect::<Int64Array>()),
        DataType::Float32 => Arc::new(
            every()
                .map(|n| small(n).map(|n| f32::from(n) / 8.0))
                .collect::<Float32Array>(),
        ),
        DataType::Float64 => Arc::new(
            every()
                .map(|n| small(n).map(|n| f64::from(n) / 8.0))
                .collect::<Float64Array>(),
        ),
        DataType::Date32 => Arc::new(every().map(|n| nth(n).map(|_| DAY.0)).collect::<Date32Array>()),
        DataType::Decimal128(..) => Arc::new(
            every()
                .map(|n| nth(n).map(i128::from))
                .collect::<Decimal128Array>()
                .with_precision_and_scale(18, 2)
                .unwrap(),
        ),
        DataType::Timestamp(..) => Arc::new(
            every()
                .map(|n| nth(n).map(|n| 1_775_000_000_000_000 + (n % 96) * 900_000_000))
                .collect::<TimestampMicrosecondArray>()
                .with_timezone("UTC"),
        ),
        other => panic!("no test values for {other}"),
    }
}

pub(super) fn reads(numbers: std::ops::Range<i64>) -> RecordBatch {
    rows(&INTERVAL_READS, numbers, |_| DAY)
}

pub(super) async fn open(folder: &TempDir) -> Tables {
    Tables::open(&folder.path().join("tables")).await.unwrap()
}

pub(super) async fn append(tables: &Tables, batch: RecordBatch, position: u64) -> Appended {
    tables
        .append(&INTERVAL_READS, batch, Position(position))
        .await
        .unwrap()
}

pub(super) fn is_committed(appended: Appended) -> bool {
    matches!(appended, Appended::Committed { .. })
}

/// Every row of a table, ordered by all its columns.
pub(super) async fn read(tables: &Tables, schema: &'static TableSchema) -> RecordBatch {
    let stream = tables.scan(schema, None).await.unwrap();
    let batches: Vec<RecordBatch> = stream.try_collect().await.unwrap();
    ordered(&concat_batches(&files::columns_of(schema), &batches).unwrap())
}

pub(super) fn ordered(batch: &RecordBatch) -> RecordBatch {
    let columns: Vec<SortColumn> = batch
        .columns()
        .iter()
        .map(|values| SortColumn {
            values: Arc::clone(values),
            options: None,
        })
        .collect();
    take_record_batch(batch, &lexsort_to_indices(&columns, None).unwrap()).unwrap()
}

pub(super) fn data_files(folder: &Path) -> BTreeSet<std::path::PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("_delta_log") {
            found.extend(data_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            found.insert(path);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_published_table_reads_back_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let tables = open(&folder).await;
    for schema in table::published() {
        let batch = rows(schema, 0..500, |number| {
            Day(DAY.0 + i32::try_from(number % 3).unwrap())
        });
        let appended = tables.append(schema, batch.clone(), Position(7)).await.unwrap();
        let files_expected = if schema.partition.is_some() { 3 } else { 1 };
        assert!(
            matches!(appended, Appended::Committed { version: 1, files, .. } if files == files_expected),
            "{}: {appended:?}",
            schema.name
        );
        assert_eq!(read(&tables, schema).await, ordered(&batch), "{}", schema.name);
    }
    let reopened = open(&folder).await;
    for schema in table::published() {
        assert_eq!(reopened.position_of(schema), Some(Position(7)), "{}", schema.name);
        assert_eq!(read(&reopened, schema).await.num_rows(), 500, "{}", schema.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tbl_1_a_position_that_the_table_holds_is_not_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let tables = open(&folder).await;
    assert_eq!(tables.position_of(&INTERVAL_READS), None);
    assert!(is_committed(append(&tables, reads(0..10), 5).await));
    for position in [1, 5] {
        let skipped = append(&tables, reads(0..10), position).await;
        assert_eq!(
            skipped,
            Appended::Skipped {
                position: Position(5)
            }
        );
    }
    let reopened = open(&folder).await;
    let skipped = append(&reopened, reads(0..10), 5).await;
    assert_eq!(
        skipped,
        Appended::Skipped {
            position: Position(5)
        }
    );
    assert!(is_committed(append(&reopened, reads(10..20), 6).await));
    assert_eq!(read(&reopened, &INTERVAL_READS).await.num_rows(), 20);
    assert_eq!(reopened.position_of(&INTERVAL_READS), Some(Position(6)));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_rows_are_no_commit() {
    let folder = tempfile::tempdir().unwrap();
    let tables = open(&folder).await;
    assert_eq!(append(&tables, reads(0..0), 5).await, Appended::Empty);
    assert_eq!(tables.position_of(&INTERVAL_READS), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_writer_cannot_move_the_position_back_or_lose_rows() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (open(&folder).await, open(&folder).await);
    assert!(is_committed(append(&first, reads(0..10), 9).await));
    // `second` still believes that the table is empty.
    let skipped = append(&second, reads(100..110), 4).await;
    assert_eq!(
        skipped,
        Appended::Skipped {
            position: Position(9)
        }
    );
    assert!(is_committed(append(&second, reads(10..20), 10).await));
    assert!(is_committed(append(&first, reads(20..30), 11).await));
    assert_eq!(read(&first, &INTERVAL_READS).await, ordered(&reads(0..30)));
    // What the skipped append had written is gone.
    assert_eq!(data_files(&first.directory_of(&INTERVAL_READS)).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_writers_of_one_position_one_commits() {
    let folder = tempfile::tempdir().unwrap();
    let writers = [open(&folder).await, open(&folder).await, open(&folder).await];
    for position in 1..=10_u64 {
        let from = i64::try_from(position).unwrap() * 10;
        let attempts = writers
            .iter()
            .map(|tables| append(tables, reads(from..from + 10), position));
        let results = futures::future::join_all(attempts).await;
        let committed = results.iter().filter(|appended| is_committed(**appended)).count();
        assert_eq!(committed, 1, "{results:?}");
    }
    assert_eq!(read(&writers[0], &INTERVAL_READS).await, ordered(&reads(10..110)));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_crash_before_the_commit_are_never_seen_and_go_with_the_vacuum() {
    let folder = tempfile::tempdir().unwrap();
    let tables = open(&folder).await;
    append(&tables, reads(0..10), 1).await;
    let directory = tables.directory_of(&INTERVAL_READS);
    let committed = data_files(&directory);
    let day = directory.join("day=2026-04-01");
    fs::copy(committed.first().unwrap(), day.join("part-00000-crashed.parquet")).unwrap();
    fs::write(day.join("part-00001-crashed.parquet#17"), "half").unwrap();
    fs::write(directory.join("_delta_log/00000000000000000002.json#3"), "half").unwrap();

    let reopened = open(&folder).await;
    assert_eq!(read(&reopened, &INTERVAL_READS).await, ordered(&reads(0..10)));
    assert!(!day.join("part-00001-crashed.parquet#17").exists());
    assert_eq!(
        reopened
            .vacuum(&INTERVAL_READS, Duration::from_secs(3_600))
            .await
            .unwrap(),
        0
    );
    assert_eq!(reopened.vacuum(&INTERVAL_READS, Duration::ZERO).await.unwrap(), 1);
    assert_eq!(data_files(&directory), committed);
    assert!(is_committed(append(&reopened, reads(10..20), 2).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn log_checkpoints_keep_the_position_and_the_rows() {
    let folder = tempfile::tempdir().unwrap();
    let tables = open(&folder).await;
    let commits = i64::try_from(COMMITS_PER_CHECKPOINT).unwrap() + 3;
    for number in 0..commits {
        let position = u64::try_from(number).unwrap() + 1;
        assert!(is_committed(
            append(&tables, reads(number * 2..number * 2 + 2), position).await
        ));
    }
    let log = tables.directory_of(&INTERVAL_READS).join("_delta_log");
    assert!(log.join("_last_checkpoint").exists());
    assert!(log.join("00000000000000000050.checkpoint.parquet").exists());
    // Without the commits before it, only the checkpoint tells of them.
    for version in 0..COMMITS_PER_CHECKPOINT {
        fs::remove_file(log.join(format!("{version:020}.json"))).unwrap();
    }
    let reopened = open(&folder).await;
    assert_eq!(
        reopened.position_of(&INTERVAL_READS),
        Some(Position(COMMITS_PER_CHECKPOINT + 3))
    );
    assert_eq!(
        read(&reopened, &INTERVAL_READS).await,
        ordered(&reads(0..commits * 2))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_takes_a_filter() {
    let folder = tempfile::tempdir().unwrap();
    let tables = open(&folder).await;
    append(&tables, reads(0..1_000), 1).await;
    let filter = col("meter_id").eq(lit("MH00000003"));
    let stream = tables.scan(&INTERVAL_READS, Some(filter)).await.unwrap();
    let batches: Vec<RecordBatch> = stream.try_collect().await.unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 96);
    for batch in batches {
        assert_eq!(batch.schema().fields().len(), INTERVAL_READS.columns.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_do_not_fit_are_refused_and_the_table_stays() {
    let folder = tempfile::tempdir().unwrap();
    let tables = open(&folder).await;
    let error = tables
        .append(&INTERVAL_READS, rows(&NODES, 0..3, |_| DAY), Position(1))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            TablesError::Rows {
                table: "interval_reads",
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(tables.position_of(&INTERVAL_READS), None);
    assert!(data_files(&tables.directory_of(&INTERVAL_READS)).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_sees_what_is_published_and_creates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("tables");
    let reader = Tables::open_read_only(&root).unwrap();
    assert!(reader.provider(&INTERVAL_READS).await.unwrap().is_none());
    assert!(!root.exists());
    let tables = open(&folder).await;
    append(&tables, reads(0..10), 1).await;
    let provider = reader.provider(&INTERVAL_READS).await.unwrap().unwrap();
    assert_eq!(
        provider.schema().fields(),
        files::columns_of(&INTERVAL_READS).fields()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_need_only_reader_version_1_and_carry_their_comments() {
    let folder = tempfile::tempdir().unwrap();
    let tables = open(&folder).await;
    let first = tables
        .directory_of(&INTERVAL_READS)
        .join("_delta_log/00000000000000000000.json");
    let text = fs::read_to_string(first).unwrap();
    assert!(text.contains(r#""minReaderVersion":1"#), "{text}");
    assert!(!text.contains("readerFeatures"), "{text}");
    assert!(text.contains("apparent energy taken"), "{text}");
    assert!(text.contains(r#""partitionColumns":["day"]"#), "{text}");
    assert!(!text.contains("timestamp_ntz"), "{text}");
}

/// What a reader that keeps its tables gives of one.
async fn count(reader: &super::TablesReader, context: &SessionContext) -> usize {
    let provider = reader.provider(&INTERVAL_READS).await.unwrap().unwrap();
    let rows = context.read_table(provider).unwrap();
    rows.collect()
        .await
        .unwrap()
        .iter()
        .map(RecordBatch::num_rows)
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_keeps_its_tables_gives_the_newest_version() {
    let folder = TempDir::new().unwrap();
    let reader = Tables::open_read_only(folder.path()).unwrap().keeping();
    reader.load_all().await;
    assert!(reader.provider(&INTERVAL_READS).await.unwrap().is_none());
    let tables = Tables::open(folder.path()).await.unwrap();
    let context = SessionContext::new();
    let last = i64::try_from(COMMITS_PER_CHECKPOINT).unwrap() + 3;
    for commit in 1..=last {
        let batch = rows(&INTERVAL_READS, commit * 10..commit * 10 + 10, |_| DAY);
        let position = Position(u64::try_from(commit).unwrap());
        tables.append(&INTERVAL_READS, batch, position).await.unwrap();
        if commit % 9 == 0 || commit >= last - 4 {
            assert_eq!(
                count(&reader, &context).await,
                usize::try_from(commit * 10).unwrap()
            );
        }
    }
    // A table that began anew, below a reader that knew another.
    fs::remove_dir_all(folder.path()).unwrap();
    let tables = Tables::open(folder.path()).await.unwrap();
    let batch = rows(&INTERVAL_READS, 0..7, |_| DAY);
    tables.append(&INTERVAL_READS, batch, Position(1)).await.unwrap();
    assert_eq!(count(&reader, &context).await, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn footers_that_were_read_ahead_are_those_that_a_scan_looks_for() {
    let folder = TempDir::new().unwrap();
    let tables = Tables::open(folder.path()).await.unwrap();
    for commit in 1..=3_i64 {
        let batch = rows(&INTERVAL_READS, commit * 10..commit * 10 + 10, |_| Day(DAY.0 + 1));
        let position = Position(u64::try_from(commit).unwrap());
        tables.append(&INTERVAL_READS, batch, position).await.unwrap();
    }
    let reader = Tables::open_read_only(folder.path()).unwrap().keeping();
    let of_two: Arc<FileMetadataCache> = Arc::new(DefaultCache::new(1 << 20));
    reader.load_footers(&of_two, 2).await;
    assert_eq!(of_two.len(), 2);
    let footers: Arc<FileMetadataCache> = Arc::new(DefaultCache::new(1 << 20));
    reader.load_footers(&footers, 8).await;
    let ahead = footers.len();
    assert_eq!(ahead, 3);
    let cache = CacheManagerConfig::default().with_file_metadata_cache(Some(Arc::clone(&footers)));
    let runtime = RuntimeEnvBuilder::new()
        .with_cache_manager(cache)
        .build_arc()
        .unwrap();
    let context = SessionContext::new_with_config_rt(SessionConfig::new(), runtime);
    assert_eq!(count(&reader, &context).await, 30);
    assert_eq!(footers.len(), ahead, "a scan read other footers");
}
