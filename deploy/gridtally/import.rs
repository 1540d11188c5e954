//! `gridtally import`: files to a running instance, or into a data folder itself.

#![expect(clippy::print_stdout, reason = "a command that answers on standard output")]

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use gridtally_ingest::files::FileKind;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::{cli::ImportArgs, client::Client, exit::Failure, serve};

/// One file to import.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) kind: FileKind,
    pub(crate) path: PathBuf,
}

/// Imports every file in dependency order, prints what became of each, and fails when a row was refused.
pub(crate) fn run(args: &ImportArgs) -> Result<(), Failure> {
    let inputs = inputs(&args.paths, args.kind.as_deref())?;
    let mut refused = 0;
    if args.offline {
        let reports = serve::import_offline(&args.config, &inputs)?;
        for report in &reports {
            refused += print_report(report);
        }
    } else {
        let client = Client::new(&args.server.server)?;
        for input in &inputs {
            refused += print_report(&send(&client, input)?);
        }
    }
    if refused > 0 {
        return Err(Failure::Found(format!(
            "{refused} rows were refused; the others stand"
        )));
    }
    Ok(())
}

/// Imports every file among `paths` into the instance at `server`; fails when a row was refused.
pub(crate) fn all(paths: &[PathBuf], server: &str) -> Result<(), Failure> {
    let client = Client::new(server)?;
    for input in inputs(paths, None)? {
        let report = send(&client, &input)?;
        if report.get("rows_refused").and_then(Value::as_u64) != Some(0) {
            return Err(Failure::Found(format!(
                "rows of {} were refused: {report}",
                input.path.display()
            )));
        }
    }
    Ok(())
}

/// The files among `paths`, in dependency order; of a folder every file it knows.
pub(crate) fn inputs(paths: &[PathBuf], kind: Option<&str>) -> Result<Vec<Input>, Failure> {
    let kind = kind
        .map(|word| {
            word.parse::<FileKind>()
                .map_err(|error| Failure::Usage(format!("--kind: {error}")))
        })
        .transpose()?;
    let mut inputs = Vec::new();
    for path in paths {
        if path.is_dir() {
            let entries = std::fs::read_dir(path).map_err(|source| {
                Failure::work(format!("folder {} cannot be read", path.display()), source)
            })?;
            let files = entries
                .filter_map(Result::ok)
                .map(|entry| entry.path())
                .filter(|path| is_table(path));
            inputs.extend(files.filter_map(|path| {
                Some(Input {
                    kind: kind_of(&path)?,
                    path,
                })
            }));
        } else {
            let kind = kind.or_else(|| kind_of(path)).ok_or_else(|| {
                Failure::Usage(format!(
                    "{}: the name does not say what the file holds; --kind does",
                    path.display()
                ))
            })?;
            inputs.push(Input {
                kind,
                path: path.clone(),
            });
        }
    }
    if inputs.is_empty() {
        return Err(Failure::Usage(
            "nothing to import: no file with a known name (nodes.csv, meters.parquet, …)".to_owned(),
        ));
    }
    inputs.sort_by(|one, other| (one.kind, &one.path).cmp(&(other.kind, &other.path)));
    // A folder may hold the same rows as CSV and as Parquet: importing both is harmless, and slow for nothing.
    inputs.dedup_by(|later, earlier| {
        later.kind == earlier.kind && later.path.with_extension("") == earlier.path.with_extension("")
    });
    Ok(inputs)
}

/// What a file holds, by its name.
fn kind_of(path: &Path) -> Option<FileKind> {
    FileKind::by_file_stem(path.file_stem()?.to_str()?)
}

fn is_table(path: &Path) -> bool {
    path.is_file()
        && path
            .extension()
            .is_some_and(|extension| extension == "csv" || extension == "parquet")
}

/// A progress bar over the bytes of a file.
pub(crate) fn progress(path: &Path, bytes: u64) -> ProgressBar {
    let bar = ProgressBar::new(bytes);
    if let Ok(style) =
        ProgressStyle::with_template("{msg:24} {bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
    {
        bar.set_style(style);
    }
    bar.set_message(
        path.file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
    );
    bar
}

fn send(client: &Client, input: &Input) -> Result<Value, Failure> {
    let cannot = |source| Failure::work(format!("{} cannot be read", input.path.display()), source);
    let file = File::open(&input.path).map_err(cannot)?;
    let bar = progress(&input.path, file.metadata().map_err(cannot)?.len());
    let parquet = input
        .path
        .extension()
        .is_some_and(|extension| extension == "parquet");
    let media_type = if parquet {
        "application/vnd.apache.parquet"
    } else {
        "text/csv"
    };
    let name = input
        .path
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let path = format!("/api/v1/import/{}?name={}", input.kind, percent(&name));
    let answer = client
        .post_all(&path, media_type, bar.wrap_read(file), "application/json")?
        .accepted(&[200, 422])?;
    bar.finish_and_clear();
    answer.json()
}

fn percent(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.bytes()
        .map(|byte| {
            if keep(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

/// Prints a report, and gives the number of rows refused.
fn print_report(report: &Value) -> u64 {
    let number = |field: &str| report.get(field).and_then(Value::as_u64).unwrap_or(0);
    let text = |value: &Value, field: &str| match value.get(field) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    println!(
        "{}: {} rows accepted, {} refused",
        text(report, "file"),
        number("rows_accepted"),
        number("rows_refused")
    );
    for error in report
        .get("errors")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .take(20)
    {
        let place = format!("{}:{}", text(error, "file"), text(error, "line"));
        eprintln!(
            "  {place}: column {}: {}",
            text(error, "column"),
            text(error, "reason")
        );
    }
    if number("rows_refused") > 20 {
        eprintln!("  … and {} more", number("rows_refused") - 20);
    }
    number("rows_refused")
}
