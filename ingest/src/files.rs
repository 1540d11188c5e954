//! File import: CSV and Parquet of CONTRACT section 2 into log records.
//!
//! - A file is read as a stream of [`FilePart`]s, each of which becomes one log record; memory does not grow with the file
//!   (master data keeps its ids, to find overlaps).
//! - A bad row is refused with file, line, column, value and reason ([`RowError`]); the good rows stand.
//! - A file that does not fit as a whole (an unknown, repeated or missing column; not Parquet) is refused as a whole, before
//!   any row is taken ([`FileError`]).
//! - CSV and Parquet of the same rows give the same parts.
//! - Importing a file again changes nothing: reads and master rows merge by content.
//!
//! Rows of one id may not overlap in one file; across files the network's merge rule decides ([`gridtally_schemas::network`]).

mod cell;
mod column;
mod csv;
mod folder;
mod import;
mod parquet;
mod parts;
mod row;
mod validity;

use std::{fmt, io, str::FromStr};

use serde::Serialize;

pub use folder::{FoundFile, files_at};
pub use import::{ImportError, ImportReport, import, import_blocking};
pub use parquet::ParquetReadError;
pub use parts::{ERRORS_KEPT_MAX, FilePart, FileParts, PART_BYTES_MAX, PART_ROWS_MAX};

/// The kinds of file, in dependency order: what a row names should have been imported before it, though nothing breaks when
/// it was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// Nodes of the hierarchy.
    Nodes,
    /// Meters.
    Meters,
    /// Consumers' connections.
    Connections,
    /// Outages announced beforehand.
    PlannedOutages,
    /// Hours of supply.
    SupplyHours,
    /// Bills.
    Billing,
    /// Accounts of the discom.
    DiscomAccounts,
    /// Who answers for feeders.
    FeederManagers,
    /// Requests with a time limit.
    ServiceRequests,
    /// Claims of consumers.
    Claims,
    /// Interval reads.
    Reads,
    /// Register reads.
    Registers,
    /// Power events.
    Events,
}

impl FileKind {
    /// Every kind, in dependency order.
    pub const ALL: [Self; 13] = [
        Self::Nodes,
        Self::Meters,
        Self::Connections,
        Self::PlannedOutages,
        Self::SupplyHours,
        Self::Billing,
        Self::DiscomAccounts,
        Self::FeederManagers,
        Self::ServiceRequests,
        Self::Claims,
        Self::Reads,
        Self::Registers,
        Self::Events,
    ];

    /// The word that stands for it in file names and routes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nodes => "nodes",
            Self::Meters => "meters",
            Self::Connections => "connections",
            Self::PlannedOutages => "planned_outages",
            Self::SupplyHours => "supply_hours",
            Self::Billing => "billing",
            Self::DiscomAccounts => "discom_accounts",
            Self::FeederManagers => "feeder_managers",
            Self::ServiceRequests => "service_requests",
            Self::Claims => "claims",
            Self::Reads => "reads",
            Self::Registers => "registers",
            Self::Events => "events",
        }
    }

    /// The names of its columns, in the contract's order.
    pub fn column_names(self) -> impl Iterator<Item = &'static str> {
        column::columns_of(self).iter().map(|column| column.name)
    }

    /// By a file's stem: the word itself, or the word with a suffix after `-`, `_` or `.` (`reads-2026-04`).
    #[must_use]
    pub fn by_file_stem(stem: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| {
            stem.strip_prefix(kind.as_str())
                .is_some_and(|suffix| suffix.is_empty() || suffix.starts_with(['-', '_', '.']))
        })
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no kind of file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{word}` is no kind of file: nodes, meters, connections, planned_outages, supply_hours, billing, discom_accounts, feeder_managers, service_requests, claims, reads, registers and events are"
)]
pub struct UnknownKind {
    /// The word, shortened.
    pub word: String,
}

impl FromStr for FileKind {
    type Err = UnknownKind;
    fn from_str(word: &str) -> Result<Self, UnknownKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == word)
            .ok_or_else(|| UnknownKind {
                word: cell::shown(word).to_owned(),
            })
    }
}

/// The formats of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// CSV with header.
    Csv,
    /// Parquet.
    Parquet,
}

impl Format {
    /// By a file's extension, without dot and in any case.
    #[must_use]
    pub fn by_extension(extension: &str) -> Option<Self> {
        match extension.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }

    /// By its first bytes: Parquet begins with `PAR1`; all else is taken for CSV.
    #[must_use]
    pub fn detect(bytes: &[u8]) -> Self {
        if bytes.starts_with(b"PAR1") {
            Self::Parquet
        } else {
            Self::Csv
        }
    }
}

/// Rows of a file so far.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Rows that were good.
    pub rows_accepted: u64,
    /// Rows that were refused.
    pub rows_refused: u64,
}

/// A row that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{file}:{line}: {}`{value}`: {reason}", column.map_or_else(String::new, |column| format!("{column} ")))]
pub struct RowError {
    /// The file's name.
    pub file: String,
    /// CSV: physical line, from 1 (the header's). Parquet: number of the row, from 1.
    pub line: u64,
    /// The column; null when the line as a whole is no row.
    pub column: Option<&'static str>,
    /// What stands there, at most 64 bytes of it; empty when nothing does.
    pub value: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Why a file is refused as a whole, or cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Opening or reading it failed.
    #[error("cannot read {file}")]
    Read {
        /// The file's name.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// It is not Parquet, damaged, or has a column of a type of no use.
    #[error("cannot read {file}")]
    Parquet {
        /// The file's name.
        file: String,
        /// Why.
        source: ParquetReadError,
    },
    /// A CSV file without a header.
    #[error("{file} is empty: a header line is required")]
    Empty {
        /// The file's name.
        file: String,
    },
    /// A CSV file whose first line is no header.
    #[error("{file} has no readable header: {reason}")]
    Header {
        /// The file's name.
        file: String,
        /// Why.
        reason: String,
    },
    /// Columns that the kind does not have.
    #[error("{file} has columns that {kind} do not have: {unknown} (they have: {known})")]
    UnknownColumns {
        /// The file's name.
        file: String,
        /// The kind of file.
        kind: FileKind,
        /// The unknown columns.
        unknown: String,
        /// The kind's columns.
        known: String,
    },
    /// Columns that stand more than once.
    #[error("{file} has columns more than once: {repeated}")]
    RepeatedColumns {
        /// The file's name.
        file: String,
        /// The columns.
        repeated: String,
    },
    /// Required columns that it lacks.
    #[error("{file} lacks columns that {kind} need: {missing}")]
    MissingColumns {
        /// The file's name.
        file: String,
        /// The kind of file.
        kind: FileKind,
        /// The columns.
        missing: String,
    },
}

#[cfg(test)]
mod tests;
