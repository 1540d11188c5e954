//! Files of sqllogictest (<https://www.sqlite.org/sqllogictest>): statements with the answers that they must have.
//!
//! The part of the format that is used: `statement ok`, `statement error TEXT` (a part of the message), `query TYPES [SORT]` with `----`
//! and one line a row, `#` comments. Types: `T` text, `I` whole, `R` number, one letter a column. Sorts: `nosort`, `rowsort`. Null is
//! `NULL` and an empty text `(empty)`. What is not of this part is an error, not skipped.
//!
//! Read here and not by the crate `sqllogictest`: that brings a hundred crates, among them a test harness with clap's colours, which
//! Cargo would switch on in this program's `--help` too. Its runner reads these files all the same.

use std::path::Path;

use super::wire::Session;

/// One statement of a file.
struct Record {
    line: usize,
    sql: String,
    expects: Expects,
}

enum Expects {
    Ok,
    Error(String),
    Rows {
        types: String,
        sorted: bool,
        rows: Vec<String>,
    },
}

/// Runs a file; gives what is not as it says, in words, and how many statements ran.
pub fn run(path: &Path, session: &mut Session) -> (usize, Vec<String>) {
    let text = std::fs::read_to_string(path).unwrap();
    let records = read(&text).unwrap_or_else(|problem| panic!("{}: {problem}", path.display()));
    let failures = records.iter().filter_map(|record| {
        let problem = check(record, session)?;
        Some(format!(
            "{}:{}: {problem}\n{}",
            path.display(),
            record.line,
            record.sql
        ))
    });
    (records.len(), failures.collect())
}

fn check(record: &Record, session: &mut Session) -> Option<String> {
    let answer = session.query(&record.sql);
    match (&record.expects, answer) {
        (Expects::Ok, Ok(_)) => None,
        (Expects::Ok | Expects::Rows { .. }, Err(refused)) => Some(format!("refused: {refused}")),
        (Expects::Error(part), Err(refused)) => {
            (!refused.contains(part.as_str())).then(|| format!("refused with another message: {refused}"))
        }
        (Expects::Error(_), Ok(rows)) => Some(format!("ran, with {} rows", rows.len())),
        (Expects::Rows { types, sorted, rows }, Ok(found)) => {
            for row in &found {
                if let Some(problem) = of_types(types, row) {
                    return Some(problem);
                }
            }
            let mut found: Vec<String> = found.iter().map(|row| line_of(row)).collect();
            let mut wanted = rows.clone();
            if *sorted {
                found.sort();
                wanted.sort();
            }
            (found != wanted).then(|| format!("expected\n{}\nfound\n{}", wanted.join("\n"), found.join("\n")))
        }
    }
}

fn of_types(types: &str, row: &[Option<String>]) -> Option<String> {
    if types.len() != row.len() {
        return Some(format!("{} columns, but types {types}", row.len()));
    }
    for (kind, value) in types.chars().zip(row) {
        let Some(value) = value else { continue };
        let fits = match kind {
            'I' => value.parse::<i64>().is_ok(),
            'R' => value.parse::<f64>().is_ok(),
            _ => true,
        };
        if !fits {
            return Some(format!("`{value}` is not of type {kind}"));
        }
    }
    None
}

fn line_of(row: &[Option<String>]) -> String {
    let shown = row.iter().map(|value| match value.as_deref() {
        None => "NULL",
        Some("") => "(empty)",
        Some(text) => text,
    });
    words(&shown.collect::<Vec<_>>().join(" "))
}

/// The words of a line, with one space between them.
fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn read(text: &str) -> Result<Vec<Record>, String> {
    let mut lines = text.lines().zip(1..).peekable();
    let mut records = Vec::new();
    while let Some((head, line)) = lines.next() {
        if head.trim().is_empty() || head.starts_with('#') {
            continue;
        }
        let wrong = || format!("line {line}: `{head}` is not of the format");
        let words: Vec<&str> = head.split_whitespace().collect();
        let mut block = Vec::new();
        while let Some((text, _)) = lines.next_if(|(text, _)| !text.trim().is_empty()) {
            block.push(text);
        }
        let rule = block.iter().position(|text| *text == "----");
        let (sql, answer) = block.split_at(rule.unwrap_or(block.len()));
        let expects = match (words.as_slice(), rule) {
            (["statement", "ok"], None) => Expects::Ok,
            (["statement", "error", _, ..], None) => {
                Expects::Error(head.trim_start_matches("statement error").trim().to_owned())
            }
            (["query", types, sort @ ..], Some(_)) if types.chars().all(|kind| "TIR".contains(kind)) => {
                let sorted = match sort {
                    [] | ["nosort"] => false,
                    ["rowsort"] => true,
                    _ => return Err(wrong()),
                };
                Expects::Rows {
                    types: (*types).to_owned(),
                    sorted,
                    rows: answer[1..].iter().map(|row| self::words(row)).collect(),
                }
            }
            _ => return Err(wrong()),
        };
        records.push(Record {
            line,
            sql: sql.join("\n"),
            expects,
        });
    }
    Ok(records)
}
