//! The repository's own rules that no compiler checks.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Longest source file, lines: beyond it a file has more than one responsibility.
const FILE_LINES_MAX: usize = 800;

/// The invariants of the README's table.
const INVARIANTS: [&str; 11] = [
    "ACK-1", "CONS-1", "DEC-1", "LOG-1", "ORD-1", "BAL-1", "BAL-2", "TBL-1", "OUT-1", "CMP-1", "SQL-1",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Files below the project's folders with one of the extensions.
fn files(extensions: &[&str]) -> Vec<PathBuf> {
    let folders = ["schemas", "ingest", "engine", "api", "deploy", "tests", "benches"];
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            let extension = path.extension().and_then(|extension| extension.to_str());
            if path.is_dir()
                && path
                    .file_name()
                    .is_some_and(|name| name != "target" && name != "node_modules")
            {
                open.push(path);
            } else if extension.is_some_and(|extension| extensions.contains(&extension)) {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty(), "no files with {extensions:?}");
    found
}

#[test]
fn one_version_of_each_crate_that_types_are_shared_through() {
    let lock = read(&root().join("Cargo.lock"));
    for name in ["arrow", "parquet", "datafusion", "object_store", "tokio", "axum"] {
        let versions = lock.matches(&format!("name = \"{name}\"\n")).count();
        assert_eq!(versions, 1, "{name} is in Cargo.lock {versions} times");
    }
}

#[test]
fn ingest_is_free_of_datafusion() {
    for manifest in [
        "schemas/Cargo.toml",
        "ingest/Cargo.toml",
        "tests/fleet/Cargo.toml",
    ] {
        let text = read(&root().join(manifest));
        for heavy in ["datafusion", "deltalake", "gridtally-engine", "gridtally-api"] {
            assert!(!text.contains(heavy), "{manifest} names {heavy}");
        }
    }
}

#[test]
fn no_file_grows_without_end() {
    for path in files(&["rs", "js", "ts", "tsx", "css", "sql"]) {
        let lines = read(&path).lines().count();
        assert!(lines <= FILE_LINES_MAX, "{} has {lines} lines", path.display());
    }
}

#[test]
fn every_definition_in_sql_says_what_it_takes_gives_and_rests_on() {
    for path in files(&["sql"]) {
        let text = read(&path);
        let header: Vec<&str> = text.lines().take_while(|line| line.starts_with("--")).collect();
        for word in ["From:", "Gives:", "Source:"] {
            assert!(
                header.iter().any(|line| line.contains(word)),
                "the header of {} has no `{word}`",
                path.display()
            );
        }
    }
}

#[test]
fn every_invariant_is_named_where_it_is_kept_and_where_it_is_tested() {
    let is_test = |path: &Path| {
        path.components().any(|part| part.as_os_str() == "tests")
            || path.file_name().is_some_and(|name| name == "tests.rs")
    };
    let own = Path::new(file!()).file_name();
    let (tests, code): (Vec<PathBuf>, Vec<PathBuf>) = files(&["rs", "sql"])
        .into_iter()
        .filter(|path| path.file_name() != own)
        .partition(|path| is_test(path));
    let readme = read(&root().join("README.md"));
    for invariant in INVARIANTS {
        assert!(
            readme.contains(&format!("| {invariant} |")),
            "README lists no {invariant}"
        );
        let names = |paths: &[PathBuf]| paths.iter().any(|path| read(path).contains(invariant));
        assert!(names(&code), "no code names {invariant}");
        assert!(names(&tests), "no test names {invariant}");
    }
}

#[test]
fn the_tests_that_the_readme_names_exist() {
    let readme = read(&root().join("README.md"));
    let table = readme
        .lines()
        .filter(|line| INVARIANTS.iter().any(|id| line.starts_with(&format!("| {id} |"))));
    let mut seen = 0;
    for path in table
        .flat_map(|line| line.split('`'))
        .filter(|part| part.contains('/'))
    {
        seen += 1;
        assert!(
            root().join(path).exists(),
            "README names `{path}`, which does not exist"
        );
    }
    assert!(seen >= INVARIANTS.len(), "README names only {seen} tests");
}
