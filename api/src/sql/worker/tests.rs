use std::{
    io::{Cursor, PipeReader, Write, pipe},
    path::Path,
    process::ExitCode,
    sync::{Arc, Mutex},
};

use arrow::{
    array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, new_null_array, types::Int64Type},
    datatypes::{DataType, Schema},
    ipc::reader::StreamReader,
};
use gridtally_engine::tables::Tables;
use gridtally_ingest::log::Position;
use gridtally_schemas::table::{self, DT_BALANCE, INTERVAL_READS, NODES, TableSchema};

use super::{
    super::protocol::{Done, Failure, FailureKind, Frame, Order, Preparation, Request, read_frame},
    run,
};

mod area;
mod as_of;
mod prepared;
mod pruning;
mod zone;

/// An answer as the front would see it.
#[derive(Debug)]
struct Answer {
    batches: Vec<RecordBatch>,
    end: Result<Done, Failure>,
}

impl Answer {
    fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    fn message(&self) -> String {
        match &self.end {
            Ok(done) => panic!("no failure but {done:?}"),
            Err(failure) => failure.message.clone(),
        }
    }

    fn single(&self) -> i64 {
        assert!(self.end.is_ok(), "{:?}", self.end);
        self.batches[0].column(0).as_primitive::<Int64Type>().value(0)
    }

    fn text(&self) -> String {
        arrow::util::pretty::pretty_format_batches(&self.batches)
            .unwrap()
            .to_string()
    }
}

#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn request(root: &Path, query: &str) -> Request {
    Request {
        tables_root: root.to_owned(),
        query: query.to_owned(),
        rows_max: 1_000,
        memory_bytes: 64 << 20,
        zone: "Asia/Kolkata".to_owned(),
        spill_directory: Some(root.parent().unwrap().join("spill")),
        postgres: None,
        common: None,
        area: None,
    }
}

fn input_of(request: &Request) -> (PipeReader, std::io::PipeWriter) {
    let (reader, mut writer) = pipe().unwrap();
    let order = Order::Answer(Box::new(request.clone()));
    writer.write_all(&order.line().unwrap()).unwrap();
    (reader, writer)
}

fn ask_with(request: &Request) -> Answer {
    let (input, _waiting) = input_of(request);
    let output = Output::default();
    assert_eq!(run(input, output.clone()), ExitCode::SUCCESS);
    let bytes = output.0.lock().unwrap().clone();
    read_answer(&bytes)
}

fn read_answer(bytes: &[u8]) -> Answer {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (mut input, mut stream) = (bytes, Vec::new());
        let end = loop {
            match read_frame(&mut input).await.unwrap() {
                Frame::Data(bytes) => stream.extend_from_slice(&bytes),
                Frame::Parameters(_) => {}
                Frame::Done(done) => break Ok(done),
                Frame::Failed(failure) => break Err(failure),
            }
        };
        assert!(input.is_empty(), "bytes after the end");
        let batches = if end.is_ok() {
            StreamReader::try_new(Cursor::new(stream), None)
                .unwrap()
                .collect::<Result<_, _>>()
                .unwrap()
        } else {
            Vec::new()
        };
        Answer { batches, end }
    })
}

fn ask(root: &Path, query: &str) -> Answer {
    ask_with(&request(root, query))
}

/// Rows of a table from `(column, values)`; other columns hold null or a default.
fn rows(schema: &TableSchema, given: &[(&str, ArrayRef)]) -> RecordBatch {
    let columns = Arc::new(Schema::new(schema.arrow().fields().clone()));
    let count = given[0].1.len();
    let arrays = columns
        .fields()
        .iter()
        .map(|field| {
            let found = given.iter().find(|(name, _)| name == field.name());
            match found {
                Some((_, values)) => arrow::compute::cast(values, field.data_type()).unwrap(),
                None if field.is_nullable() => new_null_array(field.data_type(), count),
                None => default_of(field.data_type(), count),
            }
        })
        .collect();
    RecordBatch::try_new(columns, arrays).unwrap()
}

fn default_of(kind: &DataType, count: usize) -> ArrayRef {
    let ones: ArrayRef = Arc::new(Int64Array::from(vec![1; count]));
    if *kind == DataType::Binary {
        return arrow::compute::cast(&default_of(&DataType::Utf8, count), kind).unwrap();
    }
    if *kind == DataType::Date32 {
        return arrow::compute::cast(&arrow::compute::cast(&ones, &DataType::Int32).unwrap(), kind).unwrap();
    }
    arrow::compute::cast(&ones, kind).unwrap()
}

fn longs(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(arrow::array::StringArray::from(values.to_vec()))
}

/// Tables in which a read was corrected and superseded, and a balance was withdrawn.
fn published() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    runtime.block_on(async {
        let tables = Tables::open(&folder.path().join("tables")).await.unwrap();
        let reads = rows(
            &INTERVAL_READS,
            &[
                ("meter_id", texts(&["a", "a", "a", "b", "c"])),
                ("interval_end", longs(&[900, 900, 900, 900, 900])),
                ("import_wh", longs(&[10, 12, 99, 20, 30])),
                ("version", longs(&[1, 2, 0, 1, 0])),
            ],
        );
        tables.append(&INTERVAL_READS, reads, Position(1)).await.unwrap();
        let balances = rows(
            &DT_BALANCE,
            &[
                ("dt_id", texts(&["d1", "d1", "d2", "d2"])),
                ("interval_end", longs(&[900, 900, 900, 900])),
                ("loss_wh", longs(&[1, 2, 3, 4])),
                ("status", texts(&["provisional", "final", "final", "withdrawn"])),
                ("version", longs(&[1, 2, 1, 2])),
            ],
        );
        tables.append(&DT_BALANCE, balances, Position(1)).await.unwrap();
        let nodes = rows(
            &NODES,
            &[
                ("node_id", texts(&["n1", "n1"])),
                ("name", texts(&["old", "new"])),
                ("valid_from", longs(&[5, 5])),
                ("recorded_at", longs(&[1, 2])),
                ("position", longs(&[1, 2])),
            ],
        );
        tables.append(&NODES, nodes, Position(2)).await.unwrap();
    });
    folder
}

#[test]
fn the_newest_version_per_key_and_the_history() {
    let folder = published();
    let root = folder.path().join("tables");
    let reads = ask(&root, "SELECT meter_id, import_wh FROM interval_reads ORDER BY 1");
    assert_eq!(
        reads.text(),
        "+----------+-----------+\n\
         | meter_id | import_wh |\n\
         +----------+-----------+\n\
         | a        | 12        |\n\
         | b        | 20        |\n\
         +----------+-----------+"
    );
    assert_eq!(
        ask(&root, "SELECT count(*) FROM interval_reads_history").single(),
        5
    );
    let balances = ask(&root, "SELECT dt_id, loss_wh, status FROM dt_balance");
    assert_eq!(balances.rows(), 1, "{}", balances.text());
    assert!(
        balances.text().contains("| d1    | 2       | final  |"),
        "{}",
        balances.text()
    );
    assert_eq!(ask(&root, "SELECT count(*) FROM dt_balance_history").single(), 4);
    let nodes = ask(&root, "SELECT name FROM nodes");
    assert!(
        nodes.rows() == 1 && nodes.text().contains("new"),
        "{}",
        nodes.text()
    );
    let both = ask(
        &root,
        "SELECT (SELECT count(*) FROM interval_reads) + (SELECT count(*) FROM interval_reads_history)",
    );
    assert_eq!(both.single(), 7);
}

#[test]
fn every_table_and_its_history_can_be_read_even_before_the_first_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("tables");
    for table in table::published() {
        assert_eq!(
            ask(&root, &format!("SELECT count(*) FROM {}", table.name)).single(),
            0
        );
        assert_eq!(
            ask(&root, &format!("SELECT * FROM {} WHERE false", table.name)).rows(),
            0
        );
        if !table.newest_by.is_empty() {
            assert_eq!(
                ask(&root, &format!("SELECT count(*) FROM {}_history", table.name)).single(),
                0
            );
        }
    }
    assert!(!root.exists(), "reading created a folder");
}

#[test]
fn a_view_has_the_columns_that_are_told_of_it_even_before_the_first_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("tables");
    for view in &gridtally_engine::view::ALL {
        let (name, columns) = (view.schema.name, view.schema.columns.len());
        assert_eq!(ask(&root, &format!("SELECT count(*) FROM {name}")).single(), 0);
        let columns = i64::try_from(columns).unwrap();
        let real = format!("SELECT count(*) FROM information_schema.columns WHERE table_name = '{name}'");
        assert_eq!(ask(&root, &real).single(), columns);
        let told = format!(
            "SELECT count(*) FROM information_schema.columns AS has JOIN table_columns AS told \
             ON told.table_name = has.table_name AND told.column_name = has.column_name AND told.data_type = has.data_type \
             WHERE has.table_name = '{name}'"
        );
        assert_eq!(ask(&root, &told).single(), columns, "{name}");
    }
}

#[test]
fn a_condition_on_the_day_reaches_the_files() {
    let folder = published();
    let root = folder.path().join("tables");
    let plan = ask(
        &root,
        "EXPLAIN SELECT sum(import_wh) FROM interval_reads WHERE day = DATE '2026-04-01' AND meter_id = 'a'",
    );
    let text = plan.text();
    let (_, scan) = text.split_once("TableScan: interval_reads_history").unwrap();
    let scan = scan.lines().next().unwrap();
    assert!(
        scan.contains("day = Date32") && scan.contains("meter_id = Utf8"),
        "{text}"
    );
}

#[test]
fn a_name_given_beside_a_wildcard_may_equal_a_columns() {
    let folder = published();
    let root = folder.path().join("tables");
    for (query, name) in [
        (
            "SELECT *, import_wh + 1 AS export_wh FROM interval_reads ORDER BY meter_id",
            "export_wh",
        ),
        ("SELECT n.*, 'x' AS name FROM nodes AS n", "name"),
        (
            "SELECT *, loss_wh AS dt_id, loss_wh AS loss_wh FROM dt_balance",
            "dt_id",
        ),
    ] {
        for postgres in [None, Some(super::super::protocol::Ask::default())] {
            let answer = ask_with(&Request {
                postgres,
                ..request(&root, query)
            });
            assert!(answer.end.is_ok(), "{query}: {}", answer.message());
            let columns = answer.batches[0].schema();
            let count = columns
                .fields()
                .iter()
                .filter(|field| field.name() == name)
                .count();
            assert_eq!(count, 2, "{query}: {columns}");
        }
    }
    // A name that orders the rows is the given one.
    let ordered = ask(
        &root,
        "SELECT *, -import_wh AS less FROM interval_reads ORDER BY less",
    );
    assert!(ordered.text().find("| b ").unwrap() < ordered.text().find("| a ").unwrap());
    let unclear = "SELECT *, -import_wh AS export_wh FROM interval_reads ORDER BY export_wh";
    assert!(
        ask(&root, unclear).end.is_err(),
        "in PostgreSQL this is ambiguous"
    );
}

#[test]
fn what_is_there_can_be_asked() {
    let folder = published();
    let root = folder.path().join("tables");
    let tables = ask(&root, "SHOW TABLES").text();
    assert!(
        tables.contains("interval_reads_history") && tables.contains("dt_balance"),
        "{tables}"
    );
    let columns = ask(&root, "DESCRIBE interval_reads").text();
    assert!(columns.contains("import_wh"), "{columns}");
    let columns = ask(&root, "SHOW COLUMNS FROM dt_balance").text();
    assert!(columns.contains("loss_wh"), "{columns}");
    let about = ask(
        &root,
        "SELECT unit, about FROM table_columns WHERE table_name = 'interval_reads' AND column_name = 'import_vah'",
    )
    .text();
    assert!(
        about.contains("VAh") && about.contains("apparent energy taken"),
        "{about}"
    );
}

#[test]
fn times_without_offset_are_meant_in_the_configured_zone() {
    let folder = tempfile::tempdir().unwrap();
    let answer = ask(
        folder.path(),
        "SELECT CAST(to_unixtime(TIMESTAMPTZ '2026-04-01 05:30:00') AS BIGINT)",
    );
    assert_eq!(answer.single(), 1_775_001_600, "{}", answer.text());
}

#[test]
fn rows_beyond_the_limit_are_cut_and_the_end_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let answer = ask(folder.path(), "SELECT * FROM generate_series(1, 1000000)");
    assert_eq!(answer.rows(), 1_000);
    assert_eq!(
        answer.end.unwrap(),
        Done {
            rows: 1_000,
            truncated: true
        }
    );
    let answer = ask(folder.path(), "SELECT * FROM generate_series(1, 1000)");
    assert_eq!(
        answer.end.unwrap(),
        Done {
            rows: 1_000,
            truncated: false
        }
    );
}

#[test]
fn errors_say_what_is_wrong() {
    let folder = published();
    let root = folder.path().join("tables");
    for (query, kind, expected) in [
        ("SELECT * FROM no_such_table", FailureKind::Plan, "no_such_table"),
        (
            "SELECT no_such_column FROM nodes",
            FailureKind::Plan,
            "no_such_column",
        ),
        (
            "SELECT no_such_function(1)",
            FailureKind::Plan,
            "no_such_function",
        ),
        ("SELECT 1 / 0", FailureKind::Execution, "zero"),
        (
            "SELECT CAST(name AS BIGINT) FROM nodes",
            FailureKind::Execution,
            "new",
        ),
        ("DROP TABLE nodes", FailureKind::Plan, "DROP TABLE is refused"),
        ("SELECT * FROM '/etc/passwd'", FailureKind::Plan, "/etc/passwd"),
        (
            "SELECT * FROM 'file:///etc/passwd'",
            FailureKind::Plan,
            "not found",
        ),
        (
            "SELECT * FROM nowhere_as_of('2026-05-01')",
            FailureKind::Plan,
            "nowhere_as_of is refused",
        ),
    ] {
        let answer = ask(&root, query);
        assert!(
            answer.message().contains(expected),
            "{query}\n  {}",
            answer.message()
        );
        assert_eq!(answer.end.unwrap_err().kind, kind, "{query}");
    }
}

#[test]
fn memory_has_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let mut request = request(
        folder.path(),
        "SELECT count(DISTINCT value), array_agg(value) FROM generate_series(1, 20000000)",
    );
    request.memory_bytes = 8 << 20;
    let answer = ask_with(&request);
    assert_eq!(answer.end.unwrap_err().kind, FailureKind::Memory);
}

#[test]
fn a_sort_larger_than_memory_spills_and_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("tables");
    let mut request = request(
        &root,
        "SELECT value, value * 7 % 1000003 AS k FROM generate_series(1, 2000000) ORDER BY k, value",
    );
    request.memory_bytes = 24 << 20;
    let answer = ask_with(&request);
    assert!(
        answer.end.as_ref().is_ok_and(|done| done.rows == 1_000),
        "{:?}",
        answer.end
    );
    assert!(folder.path().join("spill").exists());
}

#[test]
fn the_query_ends_when_nobody_waits() {
    let folder = tempfile::tempdir().unwrap();
    let request = request(
        folder.path(),
        "SELECT count(*) FROM generate_series(1, 100000000) a, generate_series(1, 100000000) b",
    );
    let (input, waiting) = input_of(&request);
    drop(waiting);
    let output = Output::default();
    assert_eq!(run(input, output.clone()), ExitCode::SUCCESS);
    let bytes = output.0.lock().unwrap().clone();
    assert!(read_answer(&bytes).message().contains("nobody waits"));
}

#[test]
fn a_request_that_is_none_is_answered() {
    let output = Output::default();
    assert_eq!(
        run(Cursor::new(b"garbage\n".to_vec()), output.clone()),
        ExitCode::SUCCESS
    );
    let bytes = output.0.lock().unwrap().clone();
    assert_eq!(read_answer(&bytes).end.unwrap_err().kind, FailureKind::Internal);
}
