//! `gridtally verify` on the real binary: what was published is what the raw tables give, and what anybody alters is named.
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

mod product;

use std::{
    path::Path,
    process::{Command, Output},
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, AsArray, Int64Array, RecordBatch},
    compute::concat_batches,
    datatypes::Int64Type,
    util::display::array_value_to_string,
};
use futures::TryStreamExt;
use gridtally_engine::tables::{Appended, Tables};
use gridtally_schemas::{
    UtcMicros,
    table::{DT_BALANCE, INTERVAL_READS, TableSchema},
};
use product::{BINARY, Product, fleet_files};

const NOW: &str = "2026-04-05T00:00:00+05:30";

fn run(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).output().unwrap()
}

/// Exit code, standard output and standard error of `gridtally verify`.
fn verify(data_dir: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut all = vec!["verify", "--now", NOW, "--data-dir", data_dir.to_str().unwrap()];
    all.extend(arguments);
    let output = run(&all);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn import_offline(data_dir: &Path, paths: &[&Path]) {
    let mut all = vec![
        "import",
        "--offline",
        "--now",
        NOW,
        "--data-dir",
        data_dir.to_str().unwrap(),
    ];
    all.extend(paths.iter().map(|path| path.to_str().unwrap()));
    let output = run(&all);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The cells of one row, by name.
type Cells<'a> = dyn Fn(&str) -> String + 'a;

/// Writes a table anew with one whole number added to one cell of the first row that is wanted; gives that row's cells by name.
fn alter(
    data_dir: &Path,
    table: &'static TableSchema,
    column: &str,
    wanted: &dyn Fn(&Cells<'_>) -> bool,
) -> impl Fn(&str) -> String + use<> {
    let root = data_dir.join("tables");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (batch, position) = runtime.block_on(async {
        let tables = Tables::open(&root).await.unwrap();
        let rows: Vec<RecordBatch> = tables
            .scan(table, None)
            .await
            .unwrap()
            .try_collect()
            .await
            .unwrap();
        let batch = concat_batches(&rows[0].schema(), &rows).unwrap();
        (batch, tables.position_of(table).unwrap())
    });
    let cell =
        |row: usize, name: &str| array_value_to_string(batch.column_by_name(name).unwrap(), row).unwrap();
    let row = (0..batch.num_rows())
        .find(|row| wanted(&|name| cell(*row, name)))
        .unwrap();
    let at = batch.schema().index_of(column).unwrap();
    let held = batch.column(at).as_primitive::<Int64Type>();
    let altered: Int64Array = held
        .iter()
        .enumerate()
        .map(|(at, value)| value.map(|value| value + i64::from(at == row)))
        .collect();
    let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
    columns[at] = Arc::new(altered);
    let rewritten = RecordBatch::try_new(batch.schema(), columns).unwrap();
    std::fs::remove_dir_all(root.join(table.name)).unwrap();
    let appended = runtime.block_on(async {
        let tables = Tables::open(&root).await.unwrap();
        tables.append(table, rewritten, position).await.unwrap()
    });
    assert!(matches!(appended, Appended::Committed { .. }));
    move |name| array_value_to_string(batch.column_by_name(name).unwrap(), row).unwrap()
}

/// An instant of a table as `verify` names it.
fn in_zone(text: &str) -> String {
    let instant = UtcMicros::parse(text).unwrap();
    instant.to_rfc3339(&gridtally_schemas::Zone::kolkata())
}

#[test]
fn verify_finds_nothing_in_what_was_published_and_names_what_was_altered() {
    let folder = tempfile::tempdir().unwrap();
    let (network, halves) = fleet_files(folder.path());
    let data_dir = folder.path().join("data");
    import_offline(&data_dir, &[&network, &halves[0]]);
    import_offline(&data_dir, &[&halves[1]]);

    let (code, said, complained) = verify(&data_dir, &[]);
    assert_eq!((code, complained.as_str()), (Some(0), ""), "{said}");
    assert!(said.contains("all equal, bit for bit"), "{said}");
    assert!(
        said.starts_with("2026-04-01 to 2026-04-02, as of log record "),
        "{said}"
    );
    let (code, said, _) = verify(&data_dir, &["--from", "2026-04-02", "--to", "2026-04-02"]);
    assert_eq!(code, Some(0));
    assert!(said.starts_with("2026-04-02 to 2026-04-02"), "{said}");

    let row = alter(&data_dir, &DT_BALANCE, "consumer_import_wh", &|cell| {
        cell("interval_end") == "2026-04-01T12:00:00Z" && cell("version") != "1"
    });
    let (code, said, complained) = verify(&data_dir, &[]);
    assert_eq!(
        (code, complained.as_str()),
        (Some(1), "gridtally: 1 difference\n"),
        "{said}"
    );
    let wh: i64 = row("consumer_import_wh").parse().unwrap();
    let dt = row("dt_id");
    let expected = format!(
        "dt_balance dt_id={dt} interval_end=2026-04-01T17:30:00+05:30: consumer_import_wh\n    published  {} (version {} of {NOW})\n    recomputed {wh}\n    - feeder ",
        wh + 1,
        row("version"),
    );
    assert!(said.starts_with(&expected), "expected\n{expected}\nin\n{said}");
    // Below another DT there is nothing to find.
    let (code, said, complained) = verify(&data_dir, &["--node", &dt]);
    assert_eq!(code, Some(1), "{said}{complained}");
    let other = said_dts(&data_dir)
        .into_iter()
        .find(|other| *other != dt)
        .unwrap();
    let (code, said, complained) = verify(&data_dir, &["--node", &other]);
    assert_eq!(code, Some(0), "{said}{complained}");
}

/// The DTs of the network.
fn said_dts(data_dir: &Path) -> Vec<String> {
    let nodes = std::fs::read_to_string(data_dir.parent().unwrap().join("network/nodes.csv")).unwrap();
    let dts = nodes.lines().filter(|line| line.split(',').nth(1) == Some("dt"));
    dts.map(|line| line.split(',').next().unwrap().to_owned())
        .collect()
}

#[test]
fn verify_finds_an_altered_raw_read_in_every_balance_that_rests_on_it_and_in_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let (network, halves) = fleet_files(folder.path());
    let data_dir = folder.path().join("data");
    import_offline(&data_dir, &[&network, &halves[0], &halves[1]]);
    let connections = std::fs::read_to_string(network.join("connections.csv")).unwrap();
    let meters = std::fs::read_to_string(network.join("meters.csv")).unwrap();
    let field = |rows: &str, column: usize, meter: &str, field: usize| {
        let row = rows
            .lines()
            .find(|line| line.split(',').nth(column) == Some(meter));
        row.and_then(|row| row.split(',').nth(field))
            .unwrap_or_default()
            .to_owned()
    };
    let is_lt =
        |meter: &str| field(&connections, 1, meter, 4) == "LT" && field(&meters, 0, meter, 1) == "consumer";
    let row = alter(&data_dir, &INTERVAL_READS, "import_wh", &|cell| {
        cell("interval_end") == "2026-04-01T12:00:00Z"
            && cell("reason") == "corrected"
            && is_lt(&cell("meter_id"))
    });
    let (meter, end) = (row("meter_id"), in_zone(&row("interval_end")));
    let dt = field(&connections, 1, &meter, 2);
    let (code, said, _) = verify(&data_dir, &[]);
    assert_eq!(code, Some(1), "{said}");
    let named: Vec<&str> = said.lines().filter(|line| line.contains("_balance")).collect();
    let of = |table: &str, column: &str| {
        named
            .iter()
            .filter(|line| line.starts_with(table) && line.ends_with(&format!(": {column}")))
            .copied()
            .collect::<Vec<_>>()
    };
    assert_eq!(
        of("dt_balance ", "consumer_import_wh"),
        [format!(
            "dt_balance dt_id={dt} interval_end={end}: consumer_import_wh"
        )]
    );
    assert_eq!(of("feeder_balance ", "consumer_import_wh").len(), 1, "{said}");
    for line in &named {
        let is_of_dt =
            line.starts_with("dt_balance ") && line.contains(&format!("dt_id={dt} interval_end={end}"));
        let is_of_feeder =
            line.starts_with("feeder_balance ") && line.contains(&format!("interval_end={end}"));
        let is_of_day = line.starts_with("node_balance_daily ") && line.contains("day=2026-04-01");
        assert!(is_of_dt || is_of_feeder || is_of_day, "{line}");
    }
    assert!(
        said.contains(&format!("{meter} (consumer")),
        "the read is among the evidence:\n{said}"
    );
}

#[test]
fn usage_and_emptiness_are_answered_with_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let (network, halves) = fleet_files(folder.path());
    let data_dir = folder.path().join("data");
    let nothing = verify(&data_dir, &[]);
    assert_eq!(nothing.0, Some(1));
    assert!(
        nothing.2.contains("nothing has been published here yet"),
        "{}",
        nothing.2
    );
    import_offline(&data_dir, &[&network, &halves[0]]);
    for (arguments, code, expected) in [
        (vec!["--node", "NOWHERE"], 2, "--node: there is no node NOWHERE"),
        (
            vec!["--from", "yesterday"],
            2,
            "--from: `yesterday` is no day; YYYY-MM-DD is needed",
        ),
        (
            vec!["--from", "2026-04-02", "--to", "2026-04-01"],
            2,
            "--from 2026-04-02 lies after --to 2026-04-01",
        ),
        (
            vec!["--from", "2026-06-01"],
            1,
            "nothing was published from 2026-06-01 on, so there is nothing to verify",
        ),
    ] {
        let (given, said, complained) = verify(&data_dir, &arguments);
        assert_eq!(given, Some(code), "{arguments:?}: {said}{complained}");
        assert!(complained.contains(expected), "{arguments:?}: {complained}");
        assert_eq!(said, "", "{arguments:?}");
    }
}

#[test]
fn a_running_instance_is_verified_beside_its_work() {
    let folder = tempfile::tempdir().unwrap();
    let (network, halves) = fleet_files(folder.path());
    let data_dir = folder.path().join("data");
    std::fs::create_dir_all(&data_dir).unwrap();
    let product = Product::start(&data_dir, &[("engine.checkpoint_seconds", "1")]);
    for file in ["nodes.csv", "meters.csv", "connections.csv"] {
        product.import(&network.join(file));
    }
    for half in &halves {
        product.import(half);
        let server = product.url("");
        let output = run(&[
            "verify",
            "--server",
            &server,
            "--data-dir",
            data_dir.to_str().unwrap(),
        ]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complained = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{said}{complained}");
        assert!(said.contains("all equal, bit for bit"), "{said}");
    }
}
