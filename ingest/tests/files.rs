//! File import from outside: both formats, real data, hostile bytes, and the way into the log.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::print_stdout,
    clippy::too_many_lines,
    clippy::too_many_arguments,
    clippy::large_futures,
    clippy::needless_pass_by_value,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "tests fail by panicking, and are an edge"
)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{
    array::{
        ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int16Array, Int64Array, RecordBatch,
        StringArray, StringViewArray, TimestampMicrosecondArray, TimestampNanosecondArray,
        TimestampSecondArray, UInt64Array,
    },
    datatypes::Int8Type,
};
use bytes::Bytes;
use gridtally_ingest::{
    files::{FileKind, FilePart, FileParts, Format, files_at, import, import_blocking},
    log::{Log, LogBatch, LogConfig, Position},
};
use gridtally_schemas::{
    Clock, Publish, UtcMicros,
    network::MasterRows,
    record::{self, Body},
};
use parquet::{arrow::ArrowWriter, basic::Compression, file::properties::WriterProperties};
use proptest::prelude::*;

fn sgsc_lcl() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/sgsc_lcl")
}

/// Reads parts to the end; gives them and the errors, one a line.
fn drain(mut parts: FileParts) -> (Vec<FilePart>, String) {
    let given: Vec<FilePart> = parts
        .by_ref()
        .map(|part| part.expect("readable to the end"))
        .collect();
    let errors: Vec<String> = parts.errors().iter().map(ToString::to_string).collect();
    (given, errors.join("\n"))
}

/// A read as text, with every field: equal text is an equal read.
fn rows_of(publishes: impl IntoIterator<Item = Publish>) -> Vec<String> {
    let mut rows = Vec::new();
    for publish in publishes {
        for span in publish.meters() {
            let id = span.meter_id;
            rows.extend(span.reads.iter().map(|read| format!("{id} {read:?}")));
            rows.extend(span.registers.iter().map(|register| format!("{id} {register:?}")));
            rows.extend(span.events.iter().map(|event| format!("{id} {event:?}")));
        }
    }
    rows
}

fn publishes(parts: Vec<FilePart>) -> Vec<Publish> {
    let publish = |part| match part {
        FilePart::Publish(publish) => publish,
        other => panic!("no publish: {other:?}"),
    };
    parts.into_iter().map(publish).collect()
}

fn parquet_of(columns: Vec<(&str, ArrayRef)>) -> Bytes {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap();
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes.into()
}

#[test]
fn the_real_data_parses_into_the_same_rows_from_csv_and_parquet() {
    let (csv, errors) =
        drain(FileParts::open(FileKind::Reads, Format::Csv, &sgsc_lcl().join("reads.csv")).unwrap());
    assert_eq!(errors, "");
    let parquet = FileParts::open(
        FileKind::Reads,
        Format::Parquet,
        &sgsc_lcl().join("reads.parquet"),
    )
    .unwrap();
    let (parquet, errors) = drain(parquet);
    assert_eq!(errors, "");
    let (csv, parquet) = (rows_of(publishes(csv)), rows_of(publishes(parquet)));
    assert_eq!(csv.len(), 23_353);
    assert_eq!(
        csv.iter().filter(|row| row.contains("import_wh: None")).count(),
        480
    );
    assert_eq!(csv, parquet);
}

#[test]
fn the_real_network_parses_whole() {
    for (kind, rows) in [
        (FileKind::Nodes, 10),
        (FileKind::Meters, 18),
        (FileKind::Connections, 15),
    ] {
        let path = sgsc_lcl().join(format!("{kind}.csv"));
        let mut parts = FileParts::open(kind, Format::Csv, &path).unwrap();
        let given: usize = parts
            .by_ref()
            .map(|part| match part.unwrap() {
                FilePart::Master(rows) => rows.len(),
                other => panic!("no master rows in {kind}: {other:?}"),
            })
            .sum();
        assert_eq!(parts.errors(), []);
        assert_eq!(given, rows, "{kind}");
    }
}

#[test]
fn a_folder_gives_what_is_known_in_dependency_order() {
    let found: Vec<String> = files_at(&sgsc_lcl())
        .unwrap()
        .into_iter()
        .map(|file| format!("{} {}", file.kind, file.path.file_name().unwrap().display()))
        .collect();
    assert_eq!(
        found,
        [
            "nodes nodes.csv",
            "meters meters.csv",
            "connections connections.csv",
            "reads reads.csv",
            "reads reads.parquet",
        ]
    );
    assert_eq!(files_at(&sgsc_lcl().join("meters.csv")).unwrap().len(), 1);
    let error = files_at(&sgsc_lcl().join("truth.parquet"))
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with(
            "truth.parquet is not named after what it holds: one of nodes, meters, connections, \
             planned_outages, supply_hours, billing, discom_accounts, feeder_managers, service_requests, claims, reads, registers, events, then .csv or .parquet"
        ),
        "{error}"
    );
}

const MICROS: i64 = 1_775_000_000_000_000;

#[test]
fn parquet_may_say_the_same_in_many_types() {
    let expected = "M1 IntervalRead { interval_end: UtcMicros(1775000000000000), import_wh: Some(312), export_wh: None, \
                    import_vah: Some(7), voltage_v: Some(231.4), current_a: Some(2.0), captured_at: None, revision: 3 }";
    let check = |columns: Vec<(&str, ArrayRef)>| {
        let parts = FileParts::parquet(FileKind::Reads, "reads.parquet", parquet_of(columns)).unwrap();
        let (parts, errors) = drain(parts);
        assert_eq!(errors, "");
        assert_eq!(rows_of(publishes(parts)), [expected]);
    };
    check(vec![
        ("revision", Arc::new(Int16Array::from(vec![3]))),
        ("meter_id", Arc::new(StringViewArray::from(vec!["M1"]))),
        (
            "interval_end",
            Arc::new(TimestampMicrosecondArray::from(vec![MICROS]).with_timezone("Asia/Kolkata")),
        ),
        ("import_wh", Arc::new(Float64Array::from(vec![312.0]))),
        ("import_vah", Arc::new(UInt64Array::from(vec![7]))),
        ("voltage_v", Arc::new(Float64Array::from(vec![231.4]))),
        ("current_a", Arc::new(Int64Array::from(vec![2]))),
        ("captured_at", Arc::new(arrow::array::NullArray::new(1))),
    ]);
    check(vec![
        (
            "meter_id",
            Arc::new(DictionaryArray::<Int8Type>::from_iter(["M1"])),
        ),
        (
            "interval_end",
            Arc::new(TimestampNanosecondArray::from(vec![MICROS * 1_000]).with_timezone("UTC")),
        ),
        ("import_wh", Arc::new(StringArray::from(vec!["312"]))),
        ("import_vah", Arc::new(StringArray::from(vec!["7"]))),
        ("export_wh", Arc::new(StringArray::from(vec![""]))),
        ("voltage_v", Arc::new(StringArray::from(vec!["231.4"]))),
        ("current_a", Arc::new(StringArray::from(vec!["2"]))),
        ("revision", Arc::new(StringArray::from(vec!["3"]))),
    ]);
    check(vec![
        ("meter_id", Arc::new(StringArray::from(vec!["M1"]))),
        (
            "interval_end",
            Arc::new(TimestampSecondArray::from(vec![MICROS / 1_000_000]).with_timezone("+05:30")),
        ),
        ("import_wh", Arc::new(Int64Array::from(vec![312]))),
        ("import_vah", Arc::new(Int64Array::from(vec![7]))),
        (
            "voltage_v",
            Arc::new(arrow::array::Float32Array::from(vec![231.4])),
        ),
        ("current_a", Arc::new(Float64Array::from(vec![2.0]))),
        ("revision", Arc::new(Int64Array::from(vec![3]))),
    ]);
}

#[test]
fn a_bad_row_of_parquet_names_its_row() {
    let at = |micros: Vec<i64>| -> ArrayRef {
        Arc::new(TimestampNanosecondArray::from(micros).with_timezone("UTC"))
    };
    let bytes = parquet_of(vec![
        (
            "meter_id",
            Arc::new(StringArray::from(vec![
                Some("M1"),
                Some("M1"),
                None,
                Some("M1"),
                Some("M1"),
            ])),
        ),
        (
            "interval_end",
            at(vec![
                MICROS * 1_000,
                MICROS * 1_000,
                MICROS * 1_000,
                MICROS * 1_000 + 1,
                0,
            ]),
        ),
        (
            "import_wh",
            Arc::new(Float64Array::from(vec![1.0, 1.5, 1.0, 1.0, 1.0])),
        ),
    ]);
    let (parts, errors) = drain(FileParts::parquet(FileKind::Reads, "reads.parquet", bytes).unwrap());
    let time = "a time between 2000 and 2100 expected: RFC 3339 with offset, at most six decimals, such as \
                2026-04-01T00:30:00+05:30";
    assert_eq!(
        errors,
        format!(
            "reads.parquet:2: import_wh `1.5`: a whole number expected\n\
             reads.parquet:3: meter_id ``: a value is required\n\
             reads.parquet:4: interval_end `a timestamp between two microseconds or far out of range`: {time}\n\
             reads.parquet:5: interval_end `1970-01-01T00:00:00+00:00`: {time}"
        )
    );
    assert_eq!(rows_of(publishes(parts)).len(), 1);
}

#[test]
fn a_parquet_file_that_does_not_fit_is_refused_whole() {
    let check = |columns: Vec<(&str, ArrayRef)>, expected: &str| {
        let error =
            FileParts::parquet(FileKind::Registers, "registers.parquet", parquet_of(columns)).unwrap_err();
        let mut text = error.to_string();
        if let Some(cause) = std::error::Error::source(&error) {
            text = format!("{text}: {cause}");
        }
        assert_eq!(text, expected);
    };
    let ids = || -> ArrayRef { Arc::new(StringArray::from(vec!["M1"])) };
    check(
        vec![
            ("meter_id", ids()),
            ("at", Arc::new(TimestampMicrosecondArray::from(vec![MICROS]))),
        ],
        "cannot read registers.parquet: column at is Timestamp(µs); a timestamp needs a zone (in Parquet: isAdjustedToUTC)",
    );
    check(
        vec![
            ("meter_id", ids()),
            ("at", Arc::new(BooleanArray::from(vec![true]))),
        ],
        "cannot read registers.parquet: column at is Boolean; text, numbers and timestamps only",
    );
    check(
        vec![("meter_id", ids()), ("__index_level_0__", ids())],
        "registers.parquet has columns that registers do not have: __index_level_0__ (they have: meter_id, at, \
         import_wh, export_wh)",
    );
    check(
        vec![("meter_id", ids())],
        "registers.parquet lacks columns that registers need: at",
    );
    let error = FileParts::parquet(
        FileKind::Reads,
        "reads.parquet",
        Bytes::from_static(b"meter_id\n"),
    )
    .unwrap_err();
    assert_eq!(error.to_string(), "cannot read reads.parquet");
}

fn open_log(directory: &Path) -> Log {
    Log::open(LogConfig::new(directory), Position::default()).unwrap()
}

/// Every record of a log: source, and its reads or master rows.
fn logged(log: &Log) -> (Vec<String>, Vec<Publish>, Vec<MasterRows>) {
    let (mut sources, mut reads, mut masters) = (Vec::new(), Vec::new(), Vec::new());
    let mut reader = log.reader(Position::default()).unwrap();
    let mut batch = LogBatch::default();
    while reader.read(&mut batch, 1 << 20).unwrap() > 0 {
        for (_, bytes) in batch.iter() {
            let record = record::decode(bytes).unwrap();
            sources.push(record.source.to_owned());
            match record.body {
                Body::Publish(protobuf) => {
                    let mut publish = Publish::default();
                    record::decode_publish(protobuf, &mut publish).unwrap();
                    reads.push(publish);
                }
                Body::MasterRows(rows) => masters.push(rows),
                other => panic!("neither reads nor master rows were imported: {other:?}"),
            }
        }
    }
    (sources, reads, masters)
}

#[tokio::test]
async fn an_import_is_in_the_log_when_it_returns() {
    let folder = tempfile::tempdir().unwrap();
    let log = open_log(folder.path());
    let clock = Clock::fixed(UtcMicros(MICROS));
    let parts = FileParts::open(FileKind::Reads, Format::Csv, &sgsc_lcl().join("reads.csv")).unwrap();
    let report = import(parts, &log.appender(), &clock).await.unwrap();
    assert_eq!(
        (report.rows_accepted, report.rows_refused, report.log_position),
        (23_353, 0, log.end())
    );
    let (sources, reads, _) = logged(&log);
    assert!(sources.len() >= 5, "{} records", sources.len());
    assert!(sources.iter().all(|source| source == "file:reads.csv"));
    let parts = FileParts::open(FileKind::Reads, Format::Csv, &sgsc_lcl().join("reads.csv")).unwrap();
    assert_eq!(rows_of(reads), rows_of(publishes(drain(parts).0)));
}

#[test]
fn an_import_reports_as_json_what_it_refused_and_keeps_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let log = open_log(folder.path());
    let text = "node_id,kind,parent_id,valid_from\n\
                D,discom,,2025-01-01T00:00:00Z\n\
                T,dt,,2025-01-01T00:00:00Z\n\
                F,feeder\n";
    let parts = FileParts::of_bytes(
        FileKind::Nodes,
        Format::detect(text.as_bytes()),
        "nodes.csv",
        text.into(),
    )
    .unwrap();
    let mut heard = Vec::new();
    let clock = Clock::fixed(UtcMicros(MICROS));
    let report = import_blocking(parts, &log.appender(), &clock, &mut |totals| heard.push(totals)).unwrap();
    assert_eq!(
        serde_json::to_string_pretty(&report).unwrap(),
        r#"{
  "kind": "nodes",
  "file": "nodes.csv",
  "rows_accepted": 1,
  "rows_refused": 2,
  "errors": [
    {
      "file": "nodes.csv",
      "line": 3,
      "column": "parent_id",
      "value": "",
      "reason": "a dt needs the node above it"
    },
    {
      "file": "nodes.csv",
      "line": 4,
      "column": null,
      "value": "F,feeder",
      "reason": "the row has 2 cells, the header 4"
    }
  ],
  "log_position": 1
}"#
    );
    assert_eq!(heard.len(), 1);
    let (sources, _, masters) = logged(&log);
    assert_eq!(sources, ["file:nodes.csv"]);
    let [MasterRows::Nodes(rows)] = &masters[..] else {
        panic!("{masters:?}");
    };
    assert_eq!(rows[0].name, "D");
}

#[test]
fn a_file_that_breaks_off_keeps_what_came_before() {
    let mut bytes = fs::read(sgsc_lcl().join("reads.parquet")).unwrap();
    // Damages a data page and leaves the footer whole.
    let middle = bytes.len() / 2;
    bytes[middle..middle + 200].fill(0xAA);
    let Ok(parts) = FileParts::parquet(FileKind::Reads, "reads.parquet", Bytes::from(bytes)) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let log = open_log(folder.path());
    let clock = Clock::fixed(UtcMicros(MICROS));
    let imported = import_blocking(parts, &log.appender(), &clock, &mut |_| {});
    let (_, reads, _) = logged(&log);
    let in_log = u64::try_from(rows_of(reads).len()).unwrap();
    match imported {
        Ok(report) => assert_eq!(report.rows_accepted, in_log),
        Err(gridtally_ingest::files::ImportError::File { report, .. }) => {
            assert_eq!(report.rows_accepted, in_log);
        }
        Err(error) => panic!("{error}"),
    }
}

/// Reads whatever it is to its end; gives the rows taken and refused.
fn read_all(parts: Result<FileParts, gridtally_ingest::files::FileError>) -> (u64, u64) {
    let Ok(mut parts) = parts else {
        return (0, 0);
    };
    let mut taken: BTreeMap<bool, u64> = BTreeMap::new();
    for part in parts.by_ref() {
        *taken.entry(part.is_ok()).or_default() += 1;
    }
    assert!(
        taken.get(&false).copied().unwrap_or(0) <= 1,
        "goes on after a failure"
    );
    (parts.totals().rows_accepted, parts.totals().rows_refused)
}

fn any_kind() -> impl Strategy<Value = FileKind> {
    prop::sample::select(FileKind::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_as_csv_are_rows_or_errors(kind in any_kind(), bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        read_all(FileParts::of_bytes(kind, Format::Csv, "x.csv", bytes.clone().into()));
        let names: Vec<&str> = kind.column_names().collect();
        let mut behind_header = names.join(",").into_bytes();
        behind_header.push(b'\n');
        behind_header.extend(bytes);
        read_all(FileParts::of_bytes(kind, Format::Csv, "x.csv", behind_header.into()));
    }

    #[test]
    fn lines_of_csv_like_text_are_each_taken_or_refused(
        lines in prop::collection::vec("(M1|\"M1|\"\"|é)?,?(2026-04-01T00:30:00Z|\")?,?[0-9\",]{0,6}", 0..60)
    ) {
        let text = format!("meter_id,interval_end,import_wh\n{}", lines.join("\n"));
        let (taken, refused) = read_all(FileParts::of_bytes(FileKind::Reads, Format::Csv, "x.csv", text.into()));
        // A quoted cell may span lines, so there may be fewer rows than lines, never more.
        let filled = lines.iter().filter(|line| !line.is_empty()).count();
        prop_assert!(taken + refused <= u64::try_from(filled).unwrap());
    }

    #[test]
    fn any_bytes_as_parquet_are_an_error(kind in any_kind(), mut bytes in prop::collection::vec(any::<u8>(), 0..500)) {
        read_all(FileParts::of_bytes(kind, Format::Parquet, "x.parquet", bytes.clone().into()));
        let length = u32::try_from(bytes.len()).unwrap();
        let mut framed = b"PAR1".to_vec();
        framed.append(&mut bytes);
        framed.extend(length.to_le_bytes());
        framed.extend(b"PAR1");
        read_all(FileParts::of_bytes(kind, Format::Parquet, "x.parquet", framed.into()));
    }

    #[test]
    fn a_damaged_parquet_file_is_rows_and_then_an_error(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let ids: Vec<String> = (0..200).map(|number| format!("M{}", number / 10)).collect();
        let ends: Vec<i64> = (0..200).map(|number| MICROS + number * 1_800_000_000).collect();
        let mut bytes = parquet_of(vec![
            ("meter_id", Arc::new(StringArray::from(ids))),
            ("interval_end", Arc::new(TimestampMicrosecondArray::from(ends).with_timezone("UTC"))),
            ("import_wh", Arc::new(Int64Array::from_iter_values(0..200))),
        ])
        .to_vec();
        for (at, flip) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        read_all(FileParts::of_bytes(FileKind::Reads, Format::Parquet, "x.parquet", bytes.into()));
    }
}
