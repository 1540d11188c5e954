//! Values of a result as PostgreSQL writes them, as text or binary (PostgreSQL 15: its types' `…_out` and `…_send` functions).
//!
//! | Type | Text | Binary |
//! |---|---|---|
//! | boolean | `t`, `f` | one byte |
//! | smallint, integer, bigint, oid | digits | 2, 4, 8, 4 bytes |
//! | real, double precision | the shortest digits that read back as the same value | IEEE 754 |
//! | numeric | all its decimals | groups of four digits |
//! | date | `2026-04-01` | days since 2000 |
//! | timestamp without and with zone | `2026-04-01 00:30:00`, `…+05:30` in the session's zone | microseconds since 2000 |
//! | time | `00:30:00` | microseconds |
//! | interval | `1 mon 2 days 03:04:05` | microseconds, days, months |
//! | text, bytea | as it is, `\x…` | as it is |
//! | array | `{a,"b c",NULL}` | its elements |
//! | anything else | text as Arrow shows it | the same |

use std::{fmt::Write as _, sync::Arc};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Float32Array, Float64Array,
        Int16Array, Int32Array, Int64Array, IntervalMonthDayNanoArray, ListArray, RecordBatch, StringArray,
        Time64MicrosecondArray, TimestampMicrosecondArray,
    },
    compute::{CastOptions, cast_with_options},
    datatypes::{
        DataType, Date32Type, Field, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
        IntervalMonthDayNanoType, IntervalUnit, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType,
    },
    error::ArrowError,
    util::display::{ArrayFormatter, FormatOptions},
};
use bytes::{BufMut, BytesMut};
use jiff::{Timestamp, tz::TimeZone};

use super::{
    message::{of_column, put},
    problem::Problem,
};
use crate::sql::postgres::types;

/// 2000-01-01 in days since 1970.
const EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
const MICROS_PER_SECOND: i64 = 1_000_000;
const OID: u32 = 26;

/// Writes the rows of one batch.
#[derive(Debug)]
pub(super) struct Rows {
    columns: Vec<(Cells, bool)>,
    count: usize,
}

impl Rows {
    /// Prepares a batch; `zone` is the one that times are shown in.
    pub(super) fn new(batch: &RecordBatch, binary: &[bool], zone: &TimeZone) -> Result<Self, Problem> {
        let schema = batch.schema();
        let columns = batch
            .columns()
            .iter()
            .zip(schema.fields())
            .enumerate()
            .map(|(at, (values, field))| Ok((Cells::of_field(values, field, zone)?, of_column(binary, at))))
            .collect::<Result<_, Problem>>()?;
        Ok(Self {
            columns,
            count: batch.num_rows(),
        })
    }

    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// Appends a row's message.
    pub(super) fn put(&self, row: usize, out: &mut BytesMut) -> Result<(), Problem> {
        let mut outcome = Ok(());
        put(out, b'D', |out| {
            out.put_u16(u16::try_from(self.columns.len()).unwrap_or(u16::MAX));
            for (cells, binary) in &self.columns {
                if outcome.is_ok() {
                    outcome = put_value(cells, row, *binary, out);
                }
            }
        });
        outcome
    }
}

/// Appends a value with its length before it.
fn put_value(cells: &Cells, row: usize, binary: bool, out: &mut BytesMut) -> Result<(), Problem> {
    if cells.is_null(row) {
        out.put_i32(-1);
        return Ok(());
    }
    let at = out.len();
    out.put_u32(0);
    cells.put(row, binary, out)?;
    let length = u32::try_from(out.len() - at - 4).map_err(|_| too_large())?;
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

fn too_large() -> Problem {
    Problem::new("22003", "value out of range")
}

/// One column of a batch.
#[derive(Debug)]
enum Cells {
    Null,
    Boolean(BooleanArray),
    Short(Int16Array),
    Integer(Int32Array),
    Long(Int64Array),
    Oid(Int64Array),
    Float(Float32Array),
    Double(Float64Array),
    Decimal(StringArray),
    Text(StringArray),
    Bytes(BinaryArray),
    Date(Date32Array),
    Time(Time64MicrosecondArray),
    /// Instants, and the zone to show them in; without one they are civil.
    Stamp(TimestampMicrosecondArray, Option<TimeZone>),
    Interval(IntervalMonthDayNanoArray),
    List(ListArray, Box<Self>, u32),
}

impl Cells {
    fn of_field(values: &ArrayRef, field: &Field, zone: &TimeZone) -> Result<Self, Problem> {
        let cells = Self::new(values, zone).map_err(|error| Problem::new("22003", error.to_string()))?;
        if types::of_field(field) == OID
            && let Self::Long(values) = cells
        {
            return Ok(Self::Oid(values));
        }
        Ok(cells)
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "types that PostgreSQL does not have are text"
    )]
    fn new(values: &ArrayRef, zone: &TimeZone) -> Result<Self, ArrowError> {
        // A value that does not fit is an error, not null.
        let strict = CastOptions {
            safe: false,
            format_options: FormatOptions::default(),
        };
        let into = |kind: &DataType| cast_with_options(values, kind, &strict);
        let micros = TimeUnit::Microsecond;
        Ok(match values.data_type() {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Boolean(values.as_boolean().clone()),
            DataType::Int8 | DataType::Int16 | DataType::UInt8 => {
                Self::Short(into(&DataType::Int16)?.as_primitive::<Int16Type>().clone())
            }
            DataType::Int32 | DataType::UInt16 => {
                Self::Integer(into(&DataType::Int32)?.as_primitive::<Int32Type>().clone())
            }
            DataType::Int64 | DataType::UInt32 | DataType::UInt64 => {
                Self::Long(into(&DataType::Int64)?.as_primitive::<Int64Type>().clone())
            }
            DataType::Float16 | DataType::Float32 => {
                Self::Float(into(&DataType::Float32)?.as_primitive::<Float32Type>().clone())
            }
            DataType::Float64 => Self::Double(values.as_primitive::<Float64Type>().clone()),
            DataType::Decimal32(..)
            | DataType::Decimal64(..)
            | DataType::Decimal128(..)
            | DataType::Decimal256(..) => Self::Decimal(shown(values)?),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Self::Text(into(&DataType::Utf8)?.as_string::<i32>().clone())
            }
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => {
                Self::Bytes(into(&DataType::Binary)?.as_binary::<i32>().clone())
            }
            DataType::Date32 | DataType::Date64 => {
                Self::Date(into(&DataType::Date32)?.as_primitive::<Date32Type>().clone())
            }
            DataType::Time32(_) | DataType::Time64(_) => {
                let times = into(&DataType::Time64(micros))?;
                Self::Time(times.as_primitive::<Time64MicrosecondType>().clone())
            }
            DataType::Timestamp(_, zoned) => {
                let stamps = into(&DataType::Timestamp(micros, zoned.clone()))?;
                let shown_in = zoned.as_ref().map(|_| zone.clone());
                Self::Stamp(
                    stamps.as_primitive::<TimestampMicrosecondType>().clone(),
                    shown_in,
                )
            }
            DataType::Interval(_) | DataType::Duration(_) => {
                let intervals = into(&DataType::Interval(IntervalUnit::MonthDayNano))?;
                Self::Interval(intervals.as_primitive::<IntervalMonthDayNanoType>().clone())
            }
            DataType::Dictionary(_, inner) => Self::new(&into(inner)?, zone)?,
            DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _)
                if types::of(values.data_type()) != types::TEXT =>
            {
                let lists = into(&DataType::List(Arc::clone(element)))?;
                let lists = lists.as_list::<i32>().clone();
                let elements = Self::new(lists.values(), zone)?;
                Self::List(lists, Box::new(elements), types::of(element.data_type()))
            }
            _ => Self::Text(shown(values)?),
        })
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Null => true,
            Self::Boolean(values) => values.is_null(row),
            Self::Short(values) => values.is_null(row),
            Self::Integer(values) => values.is_null(row),
            Self::Long(values) | Self::Oid(values) => values.is_null(row),
            Self::Float(values) => values.is_null(row),
            Self::Double(values) => values.is_null(row),
            Self::Decimal(values) | Self::Text(values) => values.is_null(row),
            Self::Bytes(values) => values.is_null(row),
            Self::Date(values) => values.is_null(row),
            Self::Time(values) => values.is_null(row),
            Self::Stamp(values, _) => values.is_null(row),
            Self::Interval(values) => values.is_null(row),
            Self::List(values, ..) => values.is_null(row),
        }
    }

    fn put(&self, row: usize, binary: bool, out: &mut BytesMut) -> Result<(), Problem> {
        if binary {
            self.put_binary(row, out)
        } else {
            let mut text = String::new();
            self.put_text(row, &mut text)?;
            out.put_slice(text.as_bytes());
            Ok(())
        }
    }

    fn put_text(&self, row: usize, text: &mut String) -> Result<(), Problem> {
        match self {
            Self::Null => {}
            Self::Boolean(values) => text.push(if values.value(row) { 't' } else { 'f' }),
            Self::Short(values) => push(text, values.value(row)),
            Self::Integer(values) => push(text, values.value(row)),
            Self::Long(values) | Self::Oid(values) => push(text, values.value(row)),
            Self::Float(values) => push_float(text, &format!("{:e}", values.value(row)), 6),
            Self::Double(values) => push_float(text, &format!("{:e}", values.value(row)), 15),
            Self::Decimal(values) | Self::Text(values) => text.push_str(values.value(row)),
            Self::Bytes(values) => {
                text.push_str("\\x");
                for byte in values.value(row) {
                    push(text, format_args!("{byte:02x}"));
                }
            }
            Self::Date(values) => push_date(text, values.value(row))?,
            Self::Time(values) => push_clock(text, values.value(row)),
            Self::Stamp(values, zone) => push_stamp(text, values.value(row), zone.as_ref())?,
            Self::Interval(values) => {
                let value = values.value(row);
                push_interval(text, value.months, value.days, value.nanoseconds / 1_000);
            }
            Self::List(values, elements, _) => {
                text.push('{');
                for (number, at) in range(values, row).enumerate() {
                    if number > 0 {
                        text.push(',');
                    }
                    if elements.is_null(at) {
                        text.push_str("NULL");
                    } else {
                        let mut element = String::new();
                        elements.put_text(at, &mut element)?;
                        push_element(text, &element);
                    }
                }
                text.push('}');
            }
        }
        Ok(())
    }

    fn put_binary(&self, row: usize, out: &mut BytesMut) -> Result<(), Problem> {
        match self {
            Self::Null => {}
            Self::Boolean(values) => out.put_u8(u8::from(values.value(row))),
            Self::Short(values) => out.put_i16(values.value(row)),
            Self::Integer(values) => out.put_i32(values.value(row)),
            Self::Long(values) => out.put_i64(values.value(row)),
            Self::Oid(values) => out.put_u32(u32::try_from(values.value(row)).map_err(|_| too_large())?),
            Self::Float(values) => out.put_f32(values.value(row)),
            Self::Double(values) => out.put_f64(values.value(row)),
            Self::Decimal(values) => put_numeric(out, values.value(row)),
            Self::Text(values) => out.put_slice(values.value(row).as_bytes()),
            Self::Bytes(values) => out.put_slice(values.value(row)),
            Self::Date(values) => {
                out.put_i32(values.value(row).checked_sub(EPOCH_DAYS).ok_or_else(too_large)?)
            }
            Self::Time(values) => out.put_i64(values.value(row)),
            Self::Stamp(values, _) => out.put_i64(
                values
                    .value(row)
                    .checked_sub(EPOCH_MICROS)
                    .ok_or_else(too_large)?,
            ),
            Self::Interval(values) => {
                let value = values.value(row);
                out.put_i64(value.nanoseconds / 1_000);
                out.put_i32(value.days);
                out.put_i32(value.months);
            }
            Self::List(values, elements, kind) => {
                let elements_at = range(values, row);
                let count = i32::try_from(elements_at.len()).map_err(|_| too_large())?;
                let nulls = elements_at.clone().any(|at| elements.is_null(at));
                out.put_i32(i32::from(count > 0));
                out.put_i32(i32::from(nulls));
                out.put_u32(*kind);
                if count > 0 {
                    out.put_i32(count);
                    // Arrays count from one.
                    out.put_i32(1);
                }
                for at in elements_at {
                    put_value(elements, at, true, out)?;
                }
            }
        }
        Ok(())
    }
}

/// A column as Arrow shows it.
fn shown(values: &ArrayRef) -> Result<StringArray, ArrowError> {
    let formatter = ArrayFormatter::try_new(values.as_ref(), &FormatOptions::new())?;
    (0..values.len())
        .map(|row| {
            if values.is_null(row) {
                Ok(None)
            } else {
                formatter.value(row).try_to_string().map(Some)
            }
        })
        .collect()
}

/// Where the elements of a list are.
fn range(values: &ListArray, row: usize) -> std::ops::Range<usize> {
    let offsets = values.value_offsets();
    let at = |row: usize| {
        offsets
            .get(row)
            .and_then(|offset| usize::try_from(*offset).ok())
            .unwrap_or(0)
    };
    at(row)..at(row + 1)
}

fn push(text: &mut String, value: impl std::fmt::Display) {
    // Writing to a text never fails.
    let _ = write!(text, "{value}");
}

/// An element of an array, quoted where it must be (`array_out`).
fn push_element(text: &mut String, element: &str) {
    let plain = !element.is_empty()
        && !element.eq_ignore_ascii_case("null")
        && !element.contains(|letter: char| "{}\",\\".contains(letter) || letter.is_whitespace());
    if plain {
        text.push_str(element);
        return;
    }
    text.push('"');
    for letter in element.chars() {
        if letter == '"' || letter == '\\' {
            text.push('\\');
        }
        text.push(letter);
    }
    text.push('"');
}

/// The shortest digits, with an exponent below 1e-4 and from `digits` digits before the point on (`float8out`).
/// `scientific` is what Rust writes: `1.5e3`.
fn push_float(text: &mut String, scientific: &str, digits: i32) {
    let (mantissa, exponent) = match scientific.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().unwrap_or(0)),
        None => {
            text.push_str(match scientific {
                "inf" => "Infinity",
                "-inf" => "-Infinity",
                other => other,
            });
            return;
        }
    };
    if !(-4..digits).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        push(
            text,
            format_args!("{mantissa}e{sign}{:02}", exponent.unsigned_abs()),
        );
        return;
    }
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    text.push_str(sign);
    let all: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    if exponent < 0 {
        text.push_str("0.");
        for _ in 1..exponent.unsigned_abs() {
            text.push('0');
        }
        text.push_str(&all);
        return;
    }
    let before = usize::try_from(exponent).unwrap_or(0) + 1;
    match all.split_at_checked(before) {
        Some((whole, "")) => text.push_str(whole),
        Some((whole, fraction)) => push(text, format_args!("{whole}.{fraction}")),
        None => push(text, format_args!("{all:0<before$}")),
    }
}

fn push_date(text: &mut String, days: i32) -> Result<(), Problem> {
    push_stamp_parts(text, i64::from(days) * 86_400 * MICROS_PER_SECOND, None, false)
}

fn push_stamp(text: &mut String, micros: i64, zone: Option<&TimeZone>) -> Result<(), Problem> {
    push_stamp_parts(text, micros, zone, true)
}

fn push_stamp_parts(
    text: &mut String,
    micros: i64,
    zone: Option<&TimeZone>,
    clock: bool,
) -> Result<(), Problem> {
    let out_of_range = || Problem::new("22008", "timestamp out of range");
    let instant = Timestamp::from_microsecond(micros).map_err(|_| out_of_range())?;
    let zoned = instant.to_zoned(zone.cloned().unwrap_or(TimeZone::UTC));
    let date = zoned.date();
    if date.year() < 1 {
        return Err(out_of_range());
    }
    push(
        text,
        format_args!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day()),
    );
    if !clock {
        return Ok(());
    }
    text.push(' ');
    let time = zoned.time();
    push(
        text,
        format_args!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second()),
    );
    push_fraction(text, micros.rem_euclid(MICROS_PER_SECOND));
    if zone.is_some() {
        let seconds = zoned.offset().seconds();
        let sign = if seconds < 0 { '-' } else { '+' };
        let (hours, rest) = (seconds.abs() / 3_600, seconds.abs() % 3_600);
        push(text, format_args!("{sign}{hours:02}"));
        if rest > 0 {
            push(text, format_args!(":{:02}", rest / 60));
        }
        if rest % 60 > 0 {
            push(text, format_args!(":{:02}", rest % 60));
        }
    }
    Ok(())
}

/// Microseconds below a second, without zeros at the end.
fn push_fraction(text: &mut String, micros: i64) {
    if micros != 0 {
        let digits = format!("{micros:06}");
        push(text, format_args!(".{}", digits.trim_end_matches('0')));
    }
}

fn push_clock(text: &mut String, micros: i64) {
    let seconds = micros / MICROS_PER_SECOND;
    push(
        text,
        format_args!(
            "{:02}:{:02}:{:02}",
            seconds / 3_600,
            seconds / 60 % 60,
            seconds % 60
        ),
    );
    push_fraction(text, micros % MICROS_PER_SECOND);
}

/// As `IntervalStyle` `postgres` has it.
fn push_interval(text: &mut String, months: i32, days: i32, micros: i64) {
    let mut parts = Vec::new();
    for (count, one) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if count != 0 {
            let many = if count == 1 { "" } else { "s" };
            parts.push(format!("{count} {one}{many}"));
        }
    }
    if micros != 0 || parts.is_empty() {
        let mut clock = String::new();
        if micros < 0 {
            clock.push('-');
        }
        push_clock(&mut clock, micros.saturating_abs());
        parts.push(clock);
    }
    text.push_str(&parts.join(" "));
}

/// Groups of four decimal digits (`numeric_send`).
pub(super) fn put_numeric(out: &mut BytesMut, shown: &str) {
    let (sign, digits) = match shown.strip_prefix('-') {
        Some(rest) => (0x4000_u16, rest),
        None => (0, shown),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = whole.trim_start_matches('0');
    let groups_before = whole.len().div_ceil(4);
    let mut all = format!("{whole:0>width$}", width = groups_before * 4);
    all.push_str(fraction);
    while all.len() % 4 != 0 {
        all.push('0');
    }
    let mut groups: Vec<u16> = all
        .as_bytes()
        .chunks(4)
        .map(|four| {
            four.iter()
                .fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'))
        })
        .collect();
    let mut weight = i16::try_from(groups_before).unwrap_or(i16::MAX) - 1;
    while groups.last() == Some(&0) {
        groups.pop();
    }
    while groups.first() == Some(&0) {
        groups.remove(0);
        weight -= 1;
    }
    if groups.is_empty() {
        weight = 0;
    }
    out.put_u16(u16::try_from(groups.len()).unwrap_or(u16::MAX));
    out.put_i16(weight);
    out.put_u16(if groups.is_empty() { 0 } else { sign });
    out.put_u16(u16::try_from(fraction.len()).unwrap_or(u16::MAX));
    for group in groups {
        out.put_u16(group);
    }
}

#[cfg(test)]
mod tests;
