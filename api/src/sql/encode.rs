//! From a worker's Arrow stream to what the client asked for, piece by piece.
//!
//! | SQL type | JSON | CSV |
//! |---|---|---|
//! | integers, floats | number (NaN and infinities: null) | number |
//! | decimal | string, all its decimals | the same |
//! | timestamp with zone | RFC 3339 in the configured zone | the same |
//! | timestamp without zone | `2026-04-01T00:30:00`, no offset | the same |
//! | date | `2026-04-01` | the same |
//! | boolean, text | boolean, string | `true`, text |
//! | binary | string of hexadecimal digits | the same |
//! | anything else | string, as Arrow shows it | the same |
//! | null | null | empty (an empty text is `""`) |

use std::{fmt::Write as _, time::Duration};

use arrow::{
    array::{
        Array, AsArray, RecordBatch,
        types::{Float32Type, Float64Type, TimestampMicrosecondType},
    },
    buffer::Buffer,
    compute::cast,
    datatypes::{DataType, Schema, TimeUnit},
    error::ArrowError,
    ipc::reader::StreamDecoder,
    util::display::{ArrayFormatter, FormatOptions},
};
use bytes::Bytes;
use gridtally_schemas::time::{UtcMicros, Zone};
use serde_json::json;

use super::{Format, SqlError, protocol::Done};

/// What a result in JSON says beside its rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tail {
    /// When what it shows was published.
    pub(super) published_at: Option<UtcMicros>,
    /// Rows that a result may have.
    pub(super) rows_max: usize,
    /// Time that a query may take.
    pub(super) deadline: Duration,
}

/// Writes one result.
pub(super) struct Encoder {
    format: Format,
    zone: Zone,
    tail: Tail,
    decoder: StreamDecoder,
    /// Whether the columns have been written.
    begun: bool,
    /// Whether a row has been written.
    has_rows: bool,
    finished: bool,
}

impl Encoder {
    pub(super) fn new(format: Format, zone: Zone, tail: Tail) -> Self {
        Self {
            format,
            zone,
            tail,
            decoder: StreamDecoder::new(),
            begun: false,
            has_rows: false,
            finished: false,
        }
    }

    pub(super) const fn is_finished(&self) -> bool {
        self.finished
    }

    /// Whether its form can say that rows were cut off.
    pub(super) const fn says_truncated(&self) -> bool {
        matches!(self.format, Format::Json)
    }

    /// What a piece of the Arrow stream becomes; possibly nothing yet.
    pub(super) fn data(&mut self, bytes: Bytes) -> Result<Bytes, SqlError> {
        if self.format == Format::Arrow {
            return Ok(bytes);
        }
        let mut buffer = Buffer::from(bytes);
        let mut text = String::new();
        while !buffer.is_empty() {
            let batch = self.decoder.decode(&mut buffer).map_err(broken)?;
            if !self.begun
                && let Some(schema) = self.decoder.schema()
            {
                self.begin(&schema, &mut text);
            }
            if let Some(batch) = batch {
                self.rows(&batch, &mut text).map_err(broken)?;
            }
        }
        if !self.begun
            && let Some(schema) = self.decoder.schema()
        {
            self.begin(&schema, &mut text);
        }
        Ok(text.into())
    }

    /// What stands after the last row.
    pub(super) fn finish(&mut self, done: Done) -> Result<Bytes, SqlError> {
        self.finished = true;
        self.decoder.finish().map_err(broken)?;
        Ok(match self.format {
            Format::Csv | Format::Arrow => Bytes::new(),
            Format::Json => {
                let published_at = self.tail.published_at.map(|at| at.to_rfc3339(&self.zone));
                let begin = if self.begun {
                    ""
                } else {
                    "{\"columns\":[],\"rows\":["
                };
                format!(
                    "{begin}],\"published_at\":{},\"truncated\":{},\"rows_max\":{},\"deadline_seconds\":{}}}",
                    json!(published_at),
                    done.truncated,
                    self.tail.rows_max,
                    self.tail.deadline.as_secs()
                )
                .into()
            }
        })
    }

    fn begin(&mut self, schema: &Schema, text: &mut String) {
        self.begun = true;
        match self.format {
            Format::Json => {
                let columns: Vec<_> = schema
                    .fields()
                    .iter()
                    .map(|field| json!({"name": field.name(), "type": type_name(field.data_type())}))
                    .collect();
                text.push_str("{\"columns\":");
                text.push_str(&json!(columns).to_string());
                text.push_str(",\"rows\":[");
            }
            Format::Csv => {
                for (at, field) in schema.fields().iter().enumerate() {
                    push_separator(at, text);
                    push_csv(field.name(), text);
                }
                text.push_str("\r\n");
            }
            Format::Arrow => {}
        }
    }

    fn rows(&mut self, batch: &RecordBatch, text: &mut String) -> Result<(), ArrowError> {
        let columns: Vec<Cells> = batch
            .columns()
            .iter()
            .map(|values| Cells::new(values.as_ref(), &self.zone))
            .collect::<Result<_, _>>()?;
        for row in 0..batch.num_rows() {
            match self.format {
                Format::Json => {
                    text.push_str(if self.has_rows { ",[" } else { "[" });
                    for (at, cells) in columns.iter().enumerate() {
                        push_separator(at, text);
                        cells.push_json(row, text)?;
                    }
                    text.push(']');
                }
                Format::Csv => {
                    for (at, cells) in columns.iter().enumerate() {
                        push_separator(at, text);
                        cells.push_csv(row, text)?;
                    }
                    text.push_str("\r\n");
                }
                Format::Arrow => {}
            }
            self.has_rows = true;
        }
        Ok(())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err takes")]
fn broken(error: ArrowError) -> SqlError {
    SqlError::Broken {
        what: format!("its answer is not an Arrow stream: {error}"),
    }
}

fn push_separator(at: usize, text: &mut String) {
    if at > 0 {
        text.push(',');
    }
}

/// How the values of a column are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// As shown, in JSON without quotes.
    Bare,
    /// As shown, in JSON with quotes.
    Quoted,
}

/// One column of a batch.
enum Cells<'a> {
    Float32(&'a arrow::array::Float32Array),
    Float64(&'a arrow::array::Float64Array),
    /// Instants, with the zone to show them in.
    Instants(arrow::array::TimestampMicrosecondArray, Zone),
    Shown(&'a dyn Array, ArrayFormatter<'a>, Look),
}

impl<'a> Cells<'a> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "kinds without a form of their own look as Arrow shows them"
    )]
    fn new(values: &'a dyn Array, zone: &Zone) -> Result<Self, ArrowError> {
        let look = match values.data_type() {
            DataType::Float32 => return Ok(Self::Float32(values.as_primitive::<Float32Type>())),
            DataType::Float64 => return Ok(Self::Float64(values.as_primitive::<Float64Type>())),
            DataType::Timestamp(_, Some(_)) => {
                let micros = cast(
                    values,
                    &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
                )?;
                let micros = micros.as_primitive::<TimestampMicrosecondType>().clone();
                return Ok(Self::Instants(micros, zone.clone()));
            }
            DataType::Boolean
            | DataType::Null
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32
            | DataType::UInt64 => Look::Bare,
            _ => Look::Quoted,
        };
        let formatter = ArrayFormatter::try_new(values, &FormatOptions::new().with_display_error(true))?;
        Ok(Self::Shown(values, formatter, look))
    }

    fn push_json(&self, row: usize, text: &mut String) -> Result<(), ArrowError> {
        if self.is_null(row) {
            text.push_str("null");
            return Ok(());
        }
        match self {
            Self::Float32(values) => push_float(f64::from(values.value(row)), &values.value(row), text),
            Self::Float64(values) => push_float(values.value(row), &values.value(row), text),
            Self::Instants(values, zone) => {
                push_json_text(&UtcMicros(values.value(row)).to_rfc3339(zone), text);
            }
            Self::Shown(_, formatter, Look::Bare) => formatter.value(row).write(text)?,
            Self::Shown(_, formatter, Look::Quoted) => {
                push_json_text(&formatter.value(row).try_to_string()?, text);
            }
        }
        Ok(())
    }

    fn push_csv(&self, row: usize, text: &mut String) -> Result<(), ArrowError> {
        if self.is_null(row) {
            return Ok(());
        }
        match self {
            Self::Float32(values) => text.push_str(&values.value(row).to_string()),
            Self::Float64(values) => text.push_str(&values.value(row).to_string()),
            Self::Instants(values, zone) => text.push_str(&UtcMicros(values.value(row)).to_rfc3339(zone)),
            Self::Shown(_, formatter, Look::Bare) => formatter.value(row).write(text)?,
            Self::Shown(_, formatter, Look::Quoted) => push_csv(&formatter.value(row).try_to_string()?, text),
        }
        Ok(())
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Float32(values) => values.is_null(row),
            Self::Float64(values) => values.is_null(row),
            Self::Instants(values, _) => values.is_null(row),
            Self::Shown(values, ..) => *values.data_type() == DataType::Null || values.is_null(row),
        }
    }
}

/// The shortest digits that read back as the same value of its own width.
fn push_float(value: f64, shown: &dyn std::fmt::Display, text: &mut String) {
    if value.is_finite() {
        write!(text, "{shown}").ok();
    } else {
        text.push_str("null");
    }
}

fn push_json_text(value: &str, text: &mut String) {
    text.push_str(&json!(value).to_string());
}

/// RFC 4180, with an empty text quoted to tell it from null.
pub(crate) fn push_csv(value: &str, text: &mut String) {
    let needs_quotes = value.is_empty() || value.contains(['"', ',', '\n', '\r']);
    if needs_quotes {
        text.push('"');
        text.push_str(&value.replace('"', "\"\""));
        text.push('"');
    } else {
        text.push_str(value);
    }
}

/// The SQL word for a type.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "types without a SQL word keep Arrow's"
)]
fn type_name(kind: &DataType) -> String {
    let word = match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text",
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "smallint",
        DataType::Int32 | DataType::UInt16 => "integer",
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => "bigint",
        DataType::Float32 => "real",
        DataType::Float64 => "double",
        DataType::Boolean => "boolean",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Timestamp(_, Some(_)) => "timestamp with time zone",
        DataType::Timestamp(_, None) => "timestamp",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "bytes",
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => return format!("decimal({precision},{scale})"),
        other => return other.to_string(),
    };
    word.to_owned()
}

#[cfg(test)]
mod tests;
