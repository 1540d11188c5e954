//! A file as a stream of parts, each small enough for one log record.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
};

use gridtally_schemas::{
    ConsumerId, MeterId, NodeId, Publish, UtcMicros,
    accountability::FeederManagerRow,
    billing::{BillingRow, DiscomAccountsRow},
    compensation::{ClaimRow, ServiceRequestRow},
    id,
    network::{ConnectionRow, MasterRows, MeterRow, NodeRow},
    outage::{PlanRows, PlannedOutageRow, SupplyHoursRow},
};
use parquet::file::reader::ChunkReader;

use super::{
    FileError, FileKind, Format, RowError, Totals,
    cell::Cell,
    column::{Column, columns_of, events, match_header, reads, registers},
    csv::{CsvRows, Refusal, Step},
    parquet::ParquetRows,
    row::{self, Fault, Row},
    validity::Validities,
};

/// Most rows of a part.
pub const PART_ROWS_MAX: usize = 5_000;
/// Size of a part at which it ends, in estimated bytes of its log record.
pub const PART_BYTES_MAX: usize = 256 * 1024;
/// Row errors that are kept; of more, only the count is.
pub const ERRORS_KEPT_MAX: usize = 1_000;

/// Bytes that one read, register read or event takes in a record, generously.
const READ_BYTES: usize = 48;
/// Bytes that a master row takes in a record besides its ids and texts.
const MASTER_ROW_BYTES: usize = 320;

/// A part of a file, in the file's order.
#[derive(Debug, Clone, PartialEq)]
pub enum FilePart {
    /// Rows of nodes, meters or connections.
    Master(MasterRows),
    /// Planned outages or hours of supply.
    Plan(PlanRows),
    /// Bills.
    Billing(Vec<BillingRow>),
    /// Requests with a time limit.
    Requests(Vec<ServiceRequestRow>),
    /// Claims of consumers.
    Claims(Vec<ClaimRow>),
    /// Accounts of the discom.
    Accounts(Vec<DiscomAccountsRow>),
    /// Who answers for feeders.
    Managers(Vec<FeederManagerRow>),
    /// Reads, registers or events; rows of one meter that stand together are one span.
    Publish(Publish),
}

/// Reader of a file's parts. Holds one part, one row and at most [`ERRORS_KEPT_MAX`] errors, and for master data the
/// validities of the ids seen.
///
/// A bad row is refused and counted; the iterator fails only when the file cannot be read on, and ends after that.
#[derive(Debug)]
pub struct FileParts {
    kind: FileKind,
    file: String,
    rows: Rows,
    validities: Validities,
    totals: Totals,
    errors: Vec<RowError>,
    ended: bool,
    /// Who sent it, where that is known; part of the source of its rows.
    sent_by: Option<String>,
    /// Why the file could not be read on; given after the good rows before it.
    failure: Option<FileError>,
}

#[derive(Debug)]
enum Source {
    Csv(CsvRows),
    Parquet(Box<ParquetRows>),
}

/// The rows of a file under the kind's own columns.
#[derive(Debug)]
struct Rows {
    source: Source,
    /// For each column of the kind, its place in the file.
    places: Vec<Option<usize>>,
}

impl Row for Rows {
    fn cell(&self, column: &Column) -> Cell<'_> {
        let Some(place) = self.places.get(column.at).copied().flatten() else {
            return Cell::Null;
        };
        match &self.source {
            Source::Csv(rows) => rows.cell(place),
            Source::Parquet(rows) => rows.cell(place),
        }
    }
}

impl Rows {
    fn line(&self) -> u64 {
        match &self.source {
            Source::Csv(rows) => rows.line(),
            Source::Parquet(rows) => rows.number(),
        }
    }

    fn step(&mut self, file: &str) -> Result<Step, FileError> {
        match &mut self.source {
            Source::Csv(rows) => rows.step().map_err(|source| FileError::Read {
                file: file.to_owned(),
                source,
            }),
            Source::Parquet(rows) => match rows.step() {
                Ok(true) => Ok(Step::Row),
                Ok(false) => Ok(Step::End),
                Err(source) => Err(FileError::Parquet {
                    file: file.to_owned(),
                    source,
                }),
            },
        }
    }
}

impl FileParts {
    /// Opens a CSV file. `file` is the name in errors and in the log's source.
    ///
    /// # Errors
    /// [`FileError`] when there is no header or it does not fit the kind.
    pub fn csv(kind: FileKind, file: &str, input: impl Read + Send + 'static) -> Result<Self, FileError> {
        let input: Box<dyn BufRead + Send> = Box::new(BufReader::with_capacity(256 * 1024, input));
        let mut rows = CsvRows::new(input);
        let step = rows.header().map_err(|source| FileError::Read {
            file: file.to_owned(),
            source,
        })?;
        match step {
            Step::Row => {}
            Step::End => {
                return Err(FileError::Empty {
                    file: file.to_owned(),
                });
            }
            Step::Refused(Refusal { reason, .. }) => {
                return Err(FileError::Header {
                    file: file.to_owned(),
                    reason,
                });
            }
        }
        let places = match_header(kind, file, &rows.texts().collect::<Vec<_>>())?;
        Ok(Self::new(kind, file, Source::Csv(rows), places))
    }

    /// Opens a Parquet file, from disk ([`std::fs::File`]) or memory ([`bytes::Bytes`]).
    ///
    /// # Errors
    /// [`FileError`] when it is not Parquet or its columns do not fit the kind.
    pub fn parquet(kind: FileKind, file: &str, input: impl ChunkReader + 'static) -> Result<Self, FileError> {
        let (rows, names) = ParquetRows::open(input).map_err(|source| FileError::Parquet {
            file: file.to_owned(),
            source,
        })?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let places = match_header(kind, file, &names)?;
        Ok(Self::new(kind, file, Source::Parquet(Box::new(rows)), places))
    }

    /// Opens bytes that are in memory, an upload say.
    ///
    /// # Errors
    /// As [`FileParts::csv`] and [`FileParts::parquet`].
    pub fn of_bytes(
        kind: FileKind,
        format: Format,
        file: &str,
        bytes: bytes::Bytes,
    ) -> Result<Self, FileError> {
        match format {
            Format::Csv => Self::csv(kind, file, std::io::Cursor::new(bytes)),
            Format::Parquet => Self::parquet(kind, file, bytes),
        }
    }

    /// Opens a file on disk.
    ///
    /// # Errors
    /// As [`FileParts::csv`] and [`FileParts::parquet`], and when it cannot be opened.
    pub fn open(kind: FileKind, format: Format, path: &Path) -> Result<Self, FileError> {
        let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let opened = std::fs::File::open(path).map_err(|source| FileError::Read {
            file: file.to_string(),
            source,
        })?;
        match format {
            Format::Csv => Self::csv(kind, &file, opened),
            Format::Parquet => Self::parquet(kind, &file, opened),
        }
    }

    fn new(kind: FileKind, file: &str, source: Source, places: Vec<Option<usize>>) -> Self {
        Self {
            kind,
            file: file.to_owned(),
            rows: Rows { source, places },
            validities: Validities::default(),
            totals: Totals::default(),
            errors: Vec::new(),
            ended: false,
            sent_by: None,
            failure: None,
        }
    }

    /// The kind of file.
    #[must_use]
    pub fn kind(&self) -> FileKind {
        self.kind
    }

    /// The same, sent by a caller of that name.
    #[must_use]
    pub fn from_caller(mut self, name: &str) -> Self {
        self.sent_by = Some(name.to_owned()).filter(|name| !name.is_empty());
        self
    }

    /// Who sent it; `None`: nobody knows.
    #[must_use]
    pub fn sent_by(&self) -> Option<&str> {
        self.sent_by.as_deref()
    }

    /// The file's name.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Rows given and refused so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The first [`ERRORS_KEPT_MAX`] refused rows so far.
    #[must_use]
    pub fn errors(&self) -> &[RowError] {
        &self.errors
    }

    /// Takes the errors out.
    pub(crate) fn take_errors(&mut self) -> Vec<RowError> {
        std::mem::take(&mut self.errors)
    }

    fn refuse(&mut self, column: Option<&'static str>, value: String, reason: String) {
        self.totals.rows_refused += 1;
        if self.errors.len() < ERRORS_KEPT_MAX {
            self.errors.push(RowError {
                file: self.file.clone(),
                line: self.rows.line(),
                column,
                value,
                reason,
            });
        }
    }

    /// The kind's column that stands at a place in the file.
    fn column_at(&self, field: usize) -> Option<&'static str> {
        let at = self.rows.places.iter().position(|place| *place == Some(field))?;
        columns_of(self.kind).get(at).map(|column| column.name)
    }

    /// Hands rows to `take`, which gives the bytes that it added, until a part is full or the file ends.
    fn fill(&mut self, mut take: impl FnMut(&mut Validities, &Rows) -> Result<usize, Fault>) {
        let (mut rows, mut bytes) = (0, 0);
        while rows < PART_ROWS_MAX && bytes < PART_BYTES_MAX {
            let step = self.rows.step(&self.file).unwrap_or_else(|failure| {
                self.failure = Some(failure);
                Step::End
            });
            match step {
                Step::Row => match take(&mut self.validities, &self.rows) {
                    Ok(added) => {
                        rows += 1;
                        bytes += added;
                        self.totals.rows_accepted += 1;
                    }
                    Err(fault) => self.refuse(Some(fault.column), fault.value, fault.reason),
                },
                Step::Refused(refusal) => {
                    let column = refusal.field.and_then(|field| self.column_at(field));
                    self.refuse(column, refusal.value, refusal.reason);
                }
                Step::End => {
                    self.ended = true;
                    break;
                }
            }
        }
    }

    fn fill_master<T: MasterRow>(&mut self, read: impl Fn(&Rows) -> Result<T, Fault>) -> Vec<T> {
        let mut rows = Vec::new();
        self.fill(|validities, source| {
            let row = read(source)?;
            row.claim(validities, source.line())
                .map_err(|line| T::overlap(source, line))?;
            let bytes = MASTER_ROW_BYTES + row.text_bytes();
            rows.push(row);
            Ok(bytes)
        });
        rows
    }

    fn fill_publish<T>(
        &mut self,
        meter_id: &'static Column,
        read: impl Fn(&Rows) -> Result<T, Fault>,
        push: impl Fn(&mut Publish, T),
    ) -> Publish {
        let mut publish = Publish::default();
        let mut current = String::new();
        self.fill(|_, source| {
            let id = source.required(meter_id, Cell::text)?;
            let mut bytes = READ_BYTES;
            let same = *id == *current;
            if !same {
                id::check(&id).map_err(|error| source.fault(meter_id, error.to_string()))?;
            }
            let value = read(source)?;
            if !same {
                publish
                    .begin_meter(&id)
                    .map_err(|error| source.fault(meter_id, error.to_string()))?;
                current.clear();
                current.push_str(&id);
                bytes += id.len() + 8;
            }
            push(&mut publish, value);
            Ok(bytes)
        });
        publish
    }

    /// The next part; empty only at the end.
    fn next_part(&mut self) -> FilePart {
        match self.kind {
            FileKind::Nodes => FilePart::Master(MasterRows::Nodes(self.fill_master(row::node))),
            FileKind::Meters => FilePart::Master(MasterRows::Meters(self.fill_master(row::meter))),
            FileKind::Connections => {
                FilePart::Master(MasterRows::Connections(self.fill_master(row::connection)))
            }
            FileKind::PlannedOutages => {
                FilePart::Plan(PlanRows::PlannedOutages(self.fill_master(row::planned_outage)))
            }
            FileKind::SupplyHours => {
                FilePart::Plan(PlanRows::SupplyHours(self.fill_master(row::supply_hours)))
            }
            FileKind::Billing => FilePart::Billing(self.fill_master(row::bill)),
            FileKind::ServiceRequests => FilePart::Requests(self.fill_master(row::service_request)),
            FileKind::Claims => FilePart::Claims(self.fill_master(row::claim)),
            FileKind::DiscomAccounts => FilePart::Accounts(self.fill_master(row::accounts)),
            FileKind::FeederManagers => FilePart::Managers(self.fill_master(row::manager)),
            FileKind::Reads => {
                FilePart::Publish(self.fill_publish(&reads::METER_ID, row::read, Publish::push_read))
            }
            FileKind::Registers => FilePart::Publish(self.fill_publish(
                &registers::METER_ID,
                row::register,
                Publish::push_register,
            )),
            FileKind::Events => {
                FilePart::Publish(self.fill_publish(&events::METER_ID, row::event, Publish::push_event))
            }
        }
    }
}

impl Iterator for FileParts {
    type Item = Result<FilePart, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.ended {
            let part = self.next_part();
            let empty = match &part {
                FilePart::Master(rows) => rows.is_empty(),
                FilePart::Plan(rows) => rows.is_empty(),
                FilePart::Billing(rows) => rows.is_empty(),
                FilePart::Requests(rows) => rows.is_empty(),
                FilePart::Claims(rows) => rows.is_empty(),
                FilePart::Accounts(rows) => rows.is_empty(),
                FilePart::Managers(rows) => rows.is_empty(),
                FilePart::Publish(publish) => publish.is_empty(),
            };
            if !empty {
                return Some(Ok(part));
            }
        }
        self.failure.take().map(Err)
    }
}

/// What the kinds of master rows have in common.
trait MasterRow {
    /// The id that the row's period is claimed for.
    fn claim(&self, validities: &mut Validities, line: u64) -> Result<(), u64>;
    /// Bytes of its ids and texts.
    fn text_bytes(&self) -> usize;
    /// The fault of a row whose period another line holds already.
    fn overlap(source: &Rows, line: u64) -> Fault;
}

fn overlap(source: &Rows, column: &Column, what: &str, line: u64) -> Fault {
    source.fault(
        column,
        format!("the period overlaps that of line {line} for the same {what}"),
    )
}

fn node_bytes(id: Option<&NodeId>) -> usize {
    id.map_or(0, |id| id.as_str().len())
}

impl MasterRow for NodeRow {
    fn claim(&self, validities: &mut Validities, line: u64) -> Result<(), u64> {
        validities.claim(self.node_id.as_str(), self.valid_from, self.valid_to, line)
    }

    fn text_bytes(&self) -> usize {
        node_bytes(Some(&self.node_id)) + node_bytes(self.parent_id.as_ref()) + self.name.len()
    }

    fn overlap(source: &Rows, line: u64) -> Fault {
        overlap(source, &super::column::nodes::VALID_FROM, "node_id", line)
    }
}

impl MasterRow for MeterRow {
    fn claim(&self, validities: &mut Validities, line: u64) -> Result<(), u64> {
        validities.claim(self.meter_id.as_str(), self.valid_from, self.valid_to, line)
    }

    fn text_bytes(&self) -> usize {
        self.meter_id.as_str().len()
            + node_bytes(self.node_id.as_ref())
            + node_bytes(self.boundary_to.as_ref())
    }

    fn overlap(source: &Rows, line: u64) -> Fault {
        overlap(source, &super::column::meters::VALID_FROM, "meter_id", line)
    }
}

impl MasterRow for ConnectionRow {
    /// A consumer may have several meters at a time (consumption and generation, say), each in a row of its own.
    fn claim(&self, validities: &mut Validities, line: u64) -> Result<(), u64> {
        let meter_id = self.meter_id.as_ref().map_or("", MeterId::as_str);
        // A comma stands in no id.
        let pair = format!("{},{meter_id}", ConsumerId::as_str(&self.consumer_id));
        validities.claim(&pair, self.valid_from, self.valid_to, line)
    }

    fn text_bytes(&self) -> usize {
        self.consumer_id.as_str().len()
            + self.meter_id.as_ref().map_or(0, |id| id.as_str().len())
            + node_bytes(Some(&self.node_id))
            + self.category.len()
    }

    fn overlap(source: &Rows, line: u64) -> Fault {
        let column = &super::column::connections::VALID_FROM;
        overlap(source, column, "consumer_id and meter_id", line)
    }
}

impl MasterRow for PlannedOutageRow {
    fn claim(&self, validities: &mut Validities, line: u64) -> Result<(), u64> {
        validities.claim(self.node_id.as_str(), self.start, Some(self.end), line)
    }

    fn text_bytes(&self) -> usize {
        node_bytes(Some(&self.node_id)) + self.reason.as_ref().map_or(0, String::len)
    }

    fn overlap(source: &Rows, line: u64) -> Fault {
        overlap(source, &super::column::planned_outages::START, "node_id", line)
    }
}

impl MasterRow for SupplyHoursRow {
    /// A node or category may have several stretches of hours in a day, each in a row of its own.
    fn claim(&self, validities: &mut Validities, line: u64) -> Result<(), u64> {
        let node = self.node_id.as_ref().map_or("", NodeId::as_str);
        let category = self.category.as_deref().unwrap_or_default();
        let key = format!("{node},{},{},{category}", self.weekdays, self.from);
        validities.claim(&key, self.valid_from, self.valid_to, line)
    }

    fn text_bytes(&self) -> usize {
        node_bytes(self.node_id.as_ref()) + self.category.as_ref().map_or(0, String::len)
    }

    fn overlap(source: &Rows, line: u64) -> Fault {
        let what = "node_id, category, weekdays and from";
        overlap(source, &super::column::supply_hours::FROM, what, line)
    }
}

impl MasterRow for BillingRow {
    /// A consumer has one bill of a month: as if it were valid on its first day alone.
    fn claim(&self, validities: &mut Validities, line: u64) -> Result<(), u64> {
        let month = i64::from(self.month.0);
        let until = Some(UtcMicros(month.saturating_add(1)));
        validities.claim(
            ConsumerId::as_str(&self.consumer_id),
            UtcMicros(month),
            until,
            line,
        )
    }

    fn text_bytes(&self) -> usize {
        self.consumer_id.as_str().len()
    }

    fn overlap(source: &Rows, line: u64) -> Fault {
        let reason = format!("line {line} is a bill of this consumer and month already");
        source.fault(&super::column::billing::MONTH, reason)
    }
}

impl MasterRow for ServiceRequestRow {
    /// A request has one row: as if it were valid always.
    fn claim(&self, validities: &mut Validities, line: u64) -> Result<(), u64> {
        validities.claim(&self.request_id, UtcMicros(0), None, line)
    }

    fn text_bytes(&self) -> usize {
        self.request_id.len() + self.consumer_id.as_str().len()
    }

    fn overlap(source: &Rows, line: u64) -> Fault {
        let reason = format!("line {line} is of this request already");
        source.fault(&super::column::service_requests::REQUEST_ID, reason)
    }
}

impl MasterRow for ClaimRow {
    /// A claim has one row: as if it were valid always.
    fn claim(&self, validities: &mut Validities, line: u64) -> Result<(), u64> {
        validities.claim(&self.claim_id, UtcMicros(0), None, line)
    }

    fn text_bytes(&self) -> usize {
        self.claim_id.len() + self.consumer_id.as_str().len() + self.about.to_string().len()
    }

    fn overlap(source: &Rows, line: u64) -> Fault {
        let reason = format!("line {line} is of this claim already");
        source.fault(&super::column::claims::CLAIM_ID, reason)
    }
}

impl MasterRow for FeederManagerRow {
    fn claim(&self, validities: &mut Validities, line: u64) -> Result<(), u64> {
        validities.claim(self.feeder_id.as_str(), self.valid_from, self.valid_to, line)
    }

    fn text_bytes(&self) -> usize {
        node_bytes(Some(&self.feeder_id)) + self.manager.len() + self.contact.as_ref().map_or(0, String::len)
    }

    fn overlap(source: &Rows, line: u64) -> Fault {
        let column = &super::column::feeder_managers::VALID_FROM;
        overlap(source, column, "feeder_id", line)
    }
}

impl MasterRow for DiscomAccountsRow {
    /// A year has one row: as if it were valid always.
    fn claim(&self, validities: &mut Validities, line: u64) -> Result<(), u64> {
        validities.claim(&self.year.to_string(), UtcMicros(0), None, line)
    }

    fn text_bytes(&self) -> usize {
        0
    }

    fn overlap(source: &Rows, line: u64) -> Fault {
        let reason = format!("line {line} is of this year already");
        source.fault(&super::column::discom_accounts::YEAR, reason)
    }
}
