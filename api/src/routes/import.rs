//! POST /import/{kind}: a file of master data, bills, reads, registers or events.

use std::{
    fs::File,
    io::{self, Seek},
    path::Path as FilePath,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use gridtally_ingest::files::{self, FileError, FileKind, FileParts, Format, ImportError, ImportReport};
use serde::Serialize;
use tokio::io::AsyncWriteExt;
use utoipa::ToSchema;

use crate::{
    access::Caller,
    app::App,
    parameters::{Parameters, short},
    problem::{self, Problem, causes},
};

/// An upload of which nothing arrives for this long is given up.
const SILENCE: Duration = Duration::from_secs(30);
/// Longest name of a file, bytes.
const NAME_BYTES_MAX: usize = 200;

/// What an import did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Imported {
    /// The kind of file.
    #[schema(example = "meters")]
    kind: &'static str,
    /// Its name.
    #[schema(example = "meters.csv")]
    file: String,
    /// Rows that are durable. Rows that change nothing are among them.
    rows_accepted: u64,
    /// Rows that were refused.
    rows_refused: u64,
    /// The first 1,000 of the refused rows.
    errors: Vec<Refused>,
    /// Position of the file's last record in the log.
    log_position: u64,
    /// Last log record that the fixed routes show: this file is in it.
    applied_position: u64,
}

/// A row that was refused.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Refused {
    /// The file's name.
    file: String,
    /// CSV: line, from 1 (the header's). Parquet: number of the row, from 1.
    line: u64,
    /// The column. Null: the line as a whole is no row.
    column: Option<&'static str>,
    /// What stands there, shortened.
    value: String,
    /// What is wrong with it.
    reason: String,
}

impl Imported {
    fn of(report: ImportReport, applied_position: u64) -> Self {
        let errors = report.errors.into_iter().map(|error| Refused {
            file: error.file,
            line: error.line,
            column: error.column,
            value: error.value,
            reason: error.reason,
        });
        Self {
            kind: report.kind.as_str(),
            file: report.file,
            rows_accepted: report.rows_accepted,
            rows_refused: report.rows_refused,
            errors: errors.collect(),
            log_position: report.log_position.0,
            applied_position,
        }
    }
}

/// Imports a file and answers when its rows are durable and show in the fixed routes. Good rows stand when others are refused. Importing
/// a file again changes nothing.
#[utoipa::path(
    post,
    path = "/api/v1/import/{kind}",
    tag = "Data",
    params(
        ("kind" = String, Path, description = "nodes, meters, connections, planned_outages, supply_hours, billing, discom_accounts, feeder_managers, service_requests, claims, reads, registers or events."),
        ("name" = Option<String>, Query, description = "Name of the file, as it shall stand in errors and as the source of its rows. Default: the kind."),
    ),
    request_body(content((String = "text/csv"), (Vec<u8> = "application/vnd.apache.parquet")), description = "The file: CSV with header, or Parquet with the same columns."),
    responses(
        (status = 200, description = "Every row stands.", body = Imported),
        (status = 422, description = "Some rows were refused; the others stand.", body = Imported),
        (status = 400, description = "The file as a whole cannot be used.", body = crate::problem::ProblemDocument),
        (status = 413, description = "The file is too large.", body = crate::problem::ProblemDocument),
        (status = 415, description = "The file has no known form.", body = crate::problem::ProblemDocument),
    )
)]
pub(crate) async fn post(
    State(app): State<App>,
    Path(kind): Path<String>,
    (caller, headers): (Caller, HeaderMap),
    mut parameters: Parameters,
    body: Body,
) -> Result<Response, Problem> {
    let kind: FileKind = kind.parse().map_err(|why| Problem::parameter("kind", why))?;
    let declared = declared_format(&headers)?;
    let name = file_name(parameters.text("name")?, kind)?;
    parameters.finish()?;
    let _permit = app.imports.try_acquire().map_err(|_| {
        Problem::new(
            problem::TOO_MANY,
            format!(
                "{} imports are running, the most there may be",
                app.settings.imports_max
            ),
        )
    })?;
    let (file, detected) = upload(&app, &headers, body).await?;
    let parts = open(kind, declared.unwrap_or(detected), name, file).await?;
    let parts = parts.from_caller(caller.name());
    let report = files::import(parts, &app.log.appender(), &app.clock)
        .await
        .map_err(import_problem)?;
    let progress = app.complete("the rows are").await?;
    let status = if report.rows_refused == 0 {
        StatusCode::OK
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    Ok((status, Json(Imported::of(report, progress.applied_position.0))).into_response())
}

/// The format that `Content-Type` names; `None`: it says nothing of use, and the first bytes decide.
fn declared_format(headers: &HeaderMap) -> Result<Option<Format>, Problem> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    let media_type = text
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    match media_type.as_str() {
        "text/csv" | "application/csv" => Ok(Some(Format::Csv)),
        "application/vnd.apache.parquet" | "application/x-parquet" | "application/parquet" => {
            Ok(Some(Format::Parquet))
        }
        // What clients send that were told nothing.
        "" | "application/octet-stream" | "application/x-www-form-urlencoded" | "text/plain" => Ok(None),
        _ => Err(Problem::new(
            problem::WRONG_MEDIA_TYPE,
            format!("`{}` is neither CSV nor Parquet", short(text)),
        )),
    }
}

fn file_name(given: Option<String>, kind: FileKind) -> Result<String, Problem> {
    let name = given.unwrap_or_else(|| kind.to_string());
    if name.len() > NAME_BYTES_MAX {
        return Err(Problem::parameter(
            "name",
            format!("{} bytes are more than {NAME_BYTES_MAX}", name.len()),
        ));
    }
    if name.chars().any(char::is_control) {
        return Err(Problem::parameter("name", "has a control character"));
    }
    Ok(name)
}

/// Takes the body into a file without a name, within bounds of size and silence.
async fn upload(app: &App, headers: &HeaderMap, body: Body) -> Result<(File, Format), Problem> {
    let bytes_max = app.settings.import_bytes_max;
    let too_large = || {
        Problem::new(
            problem::TOO_LARGE,
            format!("the file is larger than {bytes_max} bytes (http.import_bytes_max)"),
        )
    };
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > bytes_max) {
        return Err(too_large());
    }
    let failed = |error: io::Error| Problem::failed("the file cannot be kept while it is imported", &error);
    let file = unnamed(&app.settings.upload_dir).map_err(failed)?;
    let mut file = tokio::fs::File::from_std(file);
    let mut chunks = body.into_data_stream();
    let (mut bytes, mut first) = (0_u64, Vec::new());
    loop {
        let silent = |_| {
            Problem::new(
                problem::TOO_SLOW,
                format!("nothing arrived for {} s", SILENCE.as_secs()),
            )
        };
        let Some(chunk) = tokio::time::timeout(SILENCE, chunks.next())
            .await
            .map_err(silent)?
        else {
            break;
        };
        let chunk = chunk.map_err(|error| {
            Problem::new(
                problem::BAD_BODY,
                format!("the upload broke off: {}", causes(&error)),
            )
        })?;
        bytes = bytes.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        if bytes > bytes_max {
            return Err(too_large());
        }
        if first.len() < MAGIC_BYTES {
            first.extend(chunk.iter().take(MAGIC_BYTES));
        }
        file.write_all(&chunk).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    Ok((file.into_std().await, Format::detect(&first)))
}

/// As many first bytes tell CSV from Parquet.
const MAGIC_BYTES: usize = 4;

/// A file that is gone when it is closed, however the process ends.
fn unnamed(folder: &FilePath) -> io::Result<File> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    std::fs::create_dir_all(folder)?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = folder.join(format!("gridtally-upload-{}-{number}", std::process::id()));
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

async fn open(kind: FileKind, format: Format, name: String, mut file: File) -> Result<FileParts, Problem> {
    let opened = tokio::task::spawn_blocking(move || {
        file.rewind().map_err(|source| FileError::Read {
            file: name.clone(),
            source,
        })?;
        match format {
            Format::Csv => FileParts::csv(kind, &name, file),
            Format::Parquet => FileParts::parquet(kind, &name, file),
        }
    });
    let opened = opened
        .await
        .map_err(|error| Problem::failed("the file cannot be opened", &error))?;
    opened.map_err(|error| Problem::new(problem::BAD_BODY, causes(&error)))
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err asks for")]
fn import_problem(error: ImportError) -> Problem {
    let detail = causes(&error);
    match error {
        ImportError::File { .. } => Problem::new(problem::BAD_BODY, detail),
        ImportError::Append { .. } | ImportError::Cancelled { .. } => {
            Problem::new(problem::UNAVAILABLE, detail)
        }
        ImportError::Encode { .. } | ImportError::Thread { .. } => Problem::failed("import", &error),
    }
}
