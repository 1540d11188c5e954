//! From a file's parts to synced log records.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use gridtally_schemas::{Clock, record};
use serde::Serialize;

use super::{FileError, FileKind, FilePart, FileParts, RowError, Totals};
use crate::log::{AppendError, Appender, Position};

/// Pause before a full log is tried again.
const FULL_PAUSE: Duration = Duration::from_millis(50);
/// Pauses after which an import gives up on a full log: 2 minutes.
const FULL_PAUSES_MAX: u32 = 2_400;

/// What an import did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImportReport {
    /// The kind of file.
    pub kind: FileKind,
    /// The file's name.
    pub file: String,
    /// Rows that are in the log, durably. Rows that change nothing are among them.
    pub rows_accepted: u64,
    /// Rows that were refused.
    pub rows_refused: u64,
    /// The first 1,000 of the refused rows.
    pub errors: Vec<RowError>,
    /// Position of the last record of this file; the present end of what it appended when there was none. The import shows in
    /// the fixed routes once the engine's `applied_position` has reached it.
    pub log_position: Position,
}

/// Why an import ended early. What `report` counts stands in the log; importing the file again is safe.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read on.
    #[error("import of {} stopped after {} rows", report.file, report.rows_accepted)]
    File {
        /// What was imported before.
        report: Box<ImportReport>,
        /// Why.
        source: FileError,
    },
    /// The log takes no more.
    #[error("import of {} stopped after {} rows", report.file, report.rows_accepted)]
    Append {
        /// What was imported before.
        report: Box<ImportReport>,
        /// Why. A full log is waited for, two minutes at most.
        source: AppendError,
    },
    /// A row that cannot be written as a record.
    #[error("import of {file}: rows cannot be written as a log record")]
    Encode {
        /// The file's name.
        file: String,
        /// Why.
        source: serde_json::Error,
    },
    /// The one who asked went away.
    #[error("import of {file} was given up")]
    Cancelled {
        /// The file's name.
        file: String,
    },
    /// The thread that imports could not be run.
    #[error("import of {file} could not be run")]
    Thread {
        /// The file's name.
        file: String,
    },
}

/// Appends a file to the log and returns when it is durable. Dropping the future gives up after the part at hand.
///
/// # Errors
/// [`ImportError`].
pub async fn import(
    parts: FileParts,
    appender: &Appender,
    clock: &Clock,
) -> Result<ImportReport, ImportError> {
    let cancelled = Arc::new(AtomicBool::new(false));
    let _on_drop = CancelOnDrop(Arc::clone(&cancelled));
    let file = parts.file().to_owned();
    let run = Run {
        appender: appender.clone(),
        clock: clock.clone(),
        cancelled,
    };
    let appended = tokio::task::spawn_blocking(move || run.append_all(parts, &mut |_| {}))
        .await
        .map_err(|_| ImportError::Thread { file })??;
    settle(appended, appender).await
}

/// As [`import`], on this thread, which must not be one of an async runtime. `progress` hears of the rows so far after each
/// part.
///
/// # Errors
/// [`ImportError`].
pub fn import_blocking(
    parts: FileParts,
    appender: &Appender,
    clock: &Clock,
    progress: &mut dyn FnMut(Totals),
) -> Result<ImportReport, ImportError> {
    let file = parts.file().to_owned();
    let run = Run {
        appender: appender.clone(),
        clock: clock.clone(),
        cancelled: Arc::default(),
    };
    let appended = run.append_all(parts, progress)?;
    tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|_| ImportError::Thread { file })?
        .block_on(settle(appended, appender))
}

struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What was appended, and why no more.
struct Appended {
    report: ImportReport,
    stopped: Option<Stopped>,
}

enum Stopped {
    File(FileError),
    Append(AppendError),
}

/// Waits until what was appended is durable, and only then says that it is.
async fn settle(appended: Appended, appender: &Appender) -> Result<ImportReport, ImportError> {
    let Appended { report, stopped } = appended;
    let stopped = match (appender.synced(report.log_position).await, stopped) {
        (Err(error), _) => Some(Stopped::Append(error)),
        (Ok(()), stopped) => stopped,
    };
    match stopped {
        None => Ok(report),
        Some(Stopped::File(source)) => Err(ImportError::File {
            report: Box::new(report),
            source,
        }),
        Some(Stopped::Append(source)) => Err(ImportError::Append {
            report: Box::new(report),
            source,
        }),
    }
}

struct Run {
    appender: Appender,
    clock: Clock,
    cancelled: Arc<AtomicBool>,
}

impl Run {
    fn append_all(
        &self,
        mut parts: FileParts,
        progress: &mut dyn FnMut(Totals),
    ) -> Result<Appended, ImportError> {
        let source = match parts.sent_by() {
            Some(who) => format!("file:{} ({who})", parts.file()),
            None => format!("file:{}", parts.file()),
        };
        let mut bytes = Vec::new();
        let mut log_position = Position::default();
        let mut in_log = Totals::default();
        let stopped = loop {
            let part = match parts.next() {
                None => break None,
                Some(Err(error)) => break Some(Stopped::File(error)),
                Some(Ok(part)) => part,
            };
            if self.cancelled.load(Ordering::Relaxed) {
                let file = parts.file().to_owned();
                return Err(ImportError::Cancelled { file });
            }
            bytes.clear();
            self.encode(&part, &source, &mut bytes)
                .map_err(|source| ImportError::Encode {
                    file: parts.file().to_owned(),
                    source,
                })?;
            match self.append(&bytes) {
                Ok(position) => log_position = position,
                Err(error) => break Some(Stopped::Append(error)),
            }
            in_log = parts.totals();
            progress(in_log);
        };
        let report = ImportReport {
            kind: parts.kind(),
            file: parts.file().to_owned(),
            rows_accepted: in_log.rows_accepted,
            rows_refused: parts.totals().rows_refused,
            errors: parts.take_errors(),
            log_position,
        };
        Ok(Appended { report, stopped })
    }

    fn encode(&self, part: &FilePart, source: &str, bytes: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        let recorded_at = self.clock.now();
        match part {
            FilePart::Master(rows) => record::encode_master_rows(recorded_at, source, rows, bytes),
            FilePart::Plan(rows) => record::encode_plan_rows(recorded_at, source, rows, bytes),
            FilePart::Billing(rows) => record::encode_billing(recorded_at, source, rows, bytes),
            FilePart::Requests(rows) => record::encode_requests(recorded_at, source, rows, bytes),
            FilePart::Claims(rows) => record::encode_claims(recorded_at, source, rows, bytes),
            FilePart::Accounts(rows) => record::encode_accounts(recorded_at, source, rows, bytes),
            FilePart::Managers(rows) => record::encode_managers(recorded_at, source, rows, bytes),
            FilePart::Publish(publish) => {
                record::encode_publish(recorded_at, source, publish, bytes);
                Ok(())
            }
        }
    }

    /// Appends a record; waits for a checkpoint to cut a full log, within a bound.
    fn append(&self, record: &[u8]) -> Result<Position, AppendError> {
        let mut pauses = 0;
        loop {
            match self.appender.append_blocking(record) {
                Err(AppendError::Full { .. })
                    if pauses < FULL_PAUSES_MAX && !self.cancelled.load(Ordering::Relaxed) =>
                {
                    pauses += 1;
                    std::thread::sleep(FULL_PAUSE);
                }
                outcome => return outcome,
            }
        }
    }
}
