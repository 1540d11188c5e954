//! The command line as scripts and people meet it: files, exit codes, messages, a clean end.
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

use std::process::{Command, Output};

use product::{BINARY, Product, real_data};

fn run(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_folder_is_imported_whole_and_answers_by_sql() {
    let folder = tempfile::tempdir().unwrap();
    let product = Product::start(folder.path(), &[("now", "2026-04-28T12:00:00+05:30")]);
    let server = product.url("");
    let output = run(&["import", real_data().to_str().unwrap(), "--server", &server]);
    assert_eq!(
        (output.status.code(), text(&output.stderr)),
        (Some(0), String::new())
    );
    let said = text(&output.stdout);
    assert!(said.contains("nodes.csv: 10 rows accepted, 0 refused"), "{said}");
    assert!(
        said.contains("reads.csv: 23353 rows accepted, 0 refused"),
        "{said}"
    );
    let output = run(&[
        "sql",
        "SELECT COUNT(*) AS n FROM interval_reads",
        "--fresh",
        "--format",
        "csv",
        "--server",
        &server,
    ]);
    assert_eq!(
        (text(&output.stdout), output.status.code()),
        ("n\r\n22872\r\n".to_owned(), Some(0)),
        "{}",
        text(&output.stderr)
    );
    let output = run(&[
        "sql",
        "SELECT COUNT(*) AS n FROM interval_reads",
        "--server",
        &server,
    ]);
    assert!(
        text(&output.stdout).starts_with("n\n-----\n22872\n(1 rows; published 2026-04-28T12:00:00"),
        "{}",
        text(&output.stdout)
    );
    let output = run(&["sql", "DROP TABLE interval_reads", "--server", &server]);
    assert_eq!(output.status.code(), Some(1));
    let (code, took) = product.interrupt();
    assert_eq!(code, Some(0));
    assert!(took.as_secs() < 10, "Ctrl-C took {took:?}");
}

#[test]
fn a_bad_row_is_named_and_the_good_ones_stand() {
    let folder = tempfile::tempdir().unwrap();
    let product = Product::start(folder.path(), &[("now", "2026-04-28T12:00:00+05:30")]);
    let file = folder.path().join("nodes.csv");
    std::fs::write(
        &file,
        "node_id,kind,parent_id,name,area_class,lat,lon,capacity_kva,allowable_loss_pct,technical_loss_pct,valid_from,valid_to\n\
         D1,discom,,One,urban,,,,,,2025-01-01T00:00:00+05:30,\n\
         F1,feder,D1,Two,urban,,,,,,2025-01-01T00:00:00+05:30,\n\
         Z1,zone,D1,Three,urban,,,,,,2025-01-01T00:00:00+05:30,\n",
    )
    .unwrap();
    let output = run(&["import", file.to_str().unwrap(), "--server", &product.url("")]);
    assert_eq!(output.status.code(), Some(1));
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    assert!(said.contains("nodes.csv: 2 rows accepted, 1 refused"), "{said}");
    assert!(
        complained.contains("nodes.csv:3: column kind:") && complained.contains("feder"),
        "{complained}"
    );
    assert_eq!(product.get("/api/v1/nodes/Z1")["name"], "Three");
}

#[test]
fn usage_and_configuration_errors_exit_with_2_and_say_why() {
    let check = |arguments: &[&str], expected: &str| {
        let output = run(arguments);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            text(&output.stderr)
        );
        assert!(
            text(&output.stderr).contains(expected),
            "{arguments:?}: {}",
            text(&output.stderr)
        );
    };
    check(
        &["serve", "--set", "log.bytes=3"],
        "`log.bytes`, which is no configuration key",
    );
    check(
        &["serve", "--zone", "Asia/Nowhere"],
        "`zone` = `Asia/Nowhere` (from command line) cannot be used",
    );
    check(&["serve", "--http-listen", "0.0.0.0:0"], "http.open");
    check(
        &["check-config", "--mqtt-listen", "here"],
        "an address and port are needed",
    );
    check(
        &["import", "no-such-file.csv"],
        "the name does not say what the file holds",
    );
    check(&["unknown-command"], "unrecognized subcommand");
    let output = run(&["check-config"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("configuration can be used"));
}

#[test]
fn a_second_process_on_one_data_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _product = Product::start(folder.path(), &[]);
    let path = folder.path().to_str().unwrap();
    let output = run(&[
        "serve",
        "--data-dir",
        path,
        "--mqtt-listen",
        "127.0.0.1:0",
        "--http-listen",
        "127.0.0.1:0",
        "--pg-listen",
        "127.0.0.1:0",
        "--flight-listen",
        "127.0.0.1:0",
    ]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains("another process"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn offline_import_is_there_when_the_server_starts() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().to_str().unwrap();
    let output = run(&[
        "import",
        real_data().to_str().unwrap(),
        "--offline",
        "--data-dir",
        data_dir,
        "--now",
        "2026-04-28T12:00:00+05:30",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let product = Product::start(folder.path(), &[("now", "2026-04-28T12:00:00+05:30")]);
    let actual = "SELECT COUNT(*) FROM interval_reads WHERE quality = 'actual'";
    assert_eq!(product.sql_number(actual), 22_872);
    let estimated = "SELECT COUNT(*) FROM interval_reads WHERE quality = 'estimated'";
    assert!(
        product.sql_number(estimated) > 0,
        "the gaps of days long past are estimated"
    );
}

#[test]
fn every_preset_is_carried_and_explained() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/presets");
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let presets: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect();
    assert!(!presets.is_empty());
    for path in presets {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let output = run(&["check-config", "--preset", name]);
        let said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{name}: {}", text(&output.stderr));
        assert!(said.starts_with(&format!("{name} (edition ")), "{said}");
        assert!(said.contains("regulation can be used; gaps: "), "{said}");
        assert_eq!(
            text(&run(&["check-config", "--preset", path.to_str().unwrap()]).stdout),
            said
        );
    }
    let said = text(&run(&["check-config", "--preset", "IN-UP-UPERC-2019"]).stdout);
    assert!(
        said.contains("\ngap: standard `dt-failure`: until the crew has said"),
        "{said}"
    );
    assert!(said.ends_with("regulation can be used; gaps: 1\n"), "{said}");
}

#[test]
fn a_regulation_that_cannot_be_used_exits_with_2_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.toml");
    let path = path.to_str().unwrap();
    let check = |regulation: Option<String>, expected: &str| {
        if let Some(regulation) = regulation {
            std::fs::write(path, regulation).unwrap();
        }
        let output = run(&["check-config", "--preset", path]);
        let complained = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{complained}");
        assert!(complained.contains(expected), "{complained}");
        text(&output.stdout)
    };
    let merc = include_str!("../deploy/presets/IN-MH-MERC-2021.toml");
    check(
        None,
        "is no preset (IN-DL-DERC-2018, IN-MH-MERC-2021, IN-TG-TSERC-2016, IN-UP-UPERC-2019), and as a file",
    );
    check(
        Some(merc.replace("hours = 18 }", "hours = -18 }")),
        "`standard.no-supply.limit[2].hours`: -18 is not in 0 to",
    );
    check(
        Some(merc.replace("commission =", "comission =")),
        "unknown field `comission`",
    );
    let said = check(
        Some(merc.replace("supply = [\"LT\"], ", "")),
        "regulation IN-MH-MERC-2021 contradicts itself",
    );
    assert!(
        said.contains("overlap: standard `no-supply`: more than one amount for dt_failure, metro, HT"),
        "{said}"
    );
}

#[test]
fn which_regulation_is_in_force_where_and_when_is_told_and_what_cannot_be_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gridtally.toml");
    let check = |config: &str, code: i32, expected: &[&str]| {
        std::fs::write(&path, config).unwrap();
        let output = run(&["check-config", "--config", path.to_str().unwrap()]);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        for line in expected {
            assert!(said.contains(line), "{line} in {said}");
        }
    };
    check(
        "",
        0,
        &["compensation: no regulation on compensation is in force: nothing is accrued"],
    );
    check(
        "[compensation]\nregulation = \"IN-MH-MERC-2021\"\n[[regulations]]\npreset = \"IN-TG-TSERC-2016\"\nvalid_from = \"2024-04-01\"\n\
         [[regulations]]\npreset = \"IN-DL-DERC-2018\"\nnode = \"Z7\"\nvalid_from = \"2025-04-01\"\n",
        0,
        &[
            "compensation: everywhere, before 2021-02-25: gap: no regulation, nothing is accrued",
            "compensation: everywhere, from 2021-02-25 until before 2024-04-01: IN-MH-MERC-2021",
            "compensation: everywhere, from 2024-04-01: IN-TG-TSERC-2016",
            "overlap: IN-MH-MERC-2021 would still hold on 2024-04-01, when IN-TG-TSERC-2016 takes its place",
            "compensation: under Z7, from 2025-04-01: IN-DL-DERC-2018",
            "configuration can be used",
        ],
    );
    let refused = |entry: &str, why: &str| check(&format!("[[regulations]]\n{entry}\n"), 2, &[why]);
    refused(
        "preset = \"IN-MH-MERC-2021\"\nvalid_from = \"2019-01-01\"",
        "`regulations` in ",
    );
    refused(
        "preset = \"IN-MH-MERC-2021\"\nvalid_from = \"2019-01-01\"",
        "everywhere: IN-MH-MERC-2021 is to be in force from 2019-01-01, and begins on 2021-02-25",
    );
    refused(
        "preset = \"IN-XX\"",
        "`preset`: `IN-XX` is none of IN-DL-DERC-2018",
    );
    refused(
        "valid_from = \"2024-01-01\"",
        "one of `preset` and `file` is needed",
    );
    refused(
        "preset = \"IN-MH-MERC-2021\"\nfrom = \"2024-01-01\"",
        "unknown field `from`",
    );
    check(
        "[compensation]\napproval = \"one\"\n",
        2,
        &["`compensation.approval` = `one`"],
    );
}

#[test]
fn what_a_rule_refused_is_listed_and_comes_back_when_the_rule_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let master = folder.path().join("meters.csv");
    std::fs::write(
        &master,
        "meter_id,role,node_id,interval_minutes,multiplier,valid_from\nM1,dt,T1,15,1,2025-01-01T00:00:00+05:30\n",
    )
    .unwrap();
    let reads = folder.path().join("reads.csv");
    std::fs::write(
        &reads,
        "meter_id,interval_end,import_wh\nM1,2026-04-01T00:15:00+05:30,120\nM9,2026-04-27T00:15:00+05:30,5\n",
    )
    .unwrap();
    let now = ("now", "2026-04-28T12:00:00+05:30");
    let data = folder.path().join("data");
    let product = Product::start(&data, &[now, ("vee.too_old_days", "7")]);
    product.import(&master);
    product.import(&reads);
    let quarantine = |product: &Product, arguments: &[&str]| {
        let server = product.url("");
        let all = [&["quarantine"], arguments, &["--server", &server]].concat();
        let output = run(&all);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let listed = quarantine(&product, &["list"]);
    assert!(listed.ends_with("2 wait, 2 shown\n"), "{listed}");
    assert!(
        listed.contains("  too_old  meter M1  interval to 2026-04-01T00:15:00+05:30  from file:reads.csv"),
        "{listed}"
    );
    assert!(listed.contains("\"import_wh\":120"), "{listed}");
    assert!(quarantine(&product, &["list", "--reason", "unknown_meter"]).ends_with("1 wait, 1 shown\n"));
    assert!(quarantine(&product, &["list", "--limit", "1"]).ends_with("2 wait, 1 shown\n"));
    let replayed = quarantine(&product, &["replay", "--meter", "M1"]);
    assert_eq!(replayed, "1 judged again, 0 released\n    1 stay: too_old\n");
    drop(product);

    let product = Product::start(&data, &[now]);
    let replayed = quarantine(&product, &["replay"]);
    assert!(
        replayed.starts_with("2 judged again, 1 released\n    1 stay: no `meters` row"),
        "{replayed}"
    );
    product.checkpoint();
    let count = "SELECT import_wh FROM interval_reads WHERE meter_id = 'M1'";
    assert_eq!(product.sql_number(count), 120);
    assert!(quarantine(&product, &["list", "--meter", "M1"]).ends_with("0 wait, 0 shown\n"));
    product.kill();

    // Under the old rule again: what was released stays released.
    let product = Product::start(&data, &[now, ("vee.too_old_days", "7")]);
    assert_eq!(product.sql_number(count), 120);
    assert_eq!(product.metric("gridtally_reads_unaccounted"), 0.0);
    let quarantined = product.get("/api/v1/data-quality")["quarantined"].clone();
    assert_eq!(quarantined, serde_json::json!({ "unknown_meter": 1 }));
}
