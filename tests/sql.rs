//! Every table and table function by SQL, over the village of `tests/sql/data`: answers worked by hand (`tests/sql/*.slt`).
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

use std::path::{Path, PathBuf};

use gridtally_schemas::table;
use product::{slt, village, wire::Session};

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sql");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "slt"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_answer_is_the_one_worked_by_hand() {
    let (_folder, product) = village::product();
    let mut session = Session::open(product.pg);
    let (mut ran, mut failures) = (0, Vec::new());
    for file in files() {
        let (count, failed) = slt::run(&file, &mut session);
        ran += count;
        failures.extend(failed);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert!(ran > 100, "{ran} statements");
}

#[test]
fn every_table_and_each_of_its_functions_is_asked() {
    let all: String = files()
        .iter()
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();
    let statements: String = all
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect::<Vec<_>>()
        .join("\n");
    let is_asked = |name: &str| {
        statements
            .split(name)
            .skip(1)
            .any(|after| !after.starts_with(|letter: char| letter.is_alphanumeric() || letter == '_'))
    };
    let mut missing = Vec::new();
    for table in table::published() {
        let names = [
            table.name.to_owned(),
            format!("{}_history", table.name),
            format!("{}_as_of", table.name),
        ];
        missing.extend(names.into_iter().filter(|name| !is_asked(&format!(" {name}"))));
    }
    assert!(missing.is_empty(), "no file of tests/sql asks {missing:?}");
}
