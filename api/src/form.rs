//! The form of an answer: JSON, CSV or an Arrow stream by `Accept`, with an entity tag.
//!
//! A row type says its columns once ([`Tabular`]); the three forms follow from that and from its JSON.

use std::{
    hash::{DefaultHasher, Hasher},
    sync::Arc,
};

use arrow::{
    array::RecordBatch,
    datatypes::{DataType, Field, Schema, TimeUnit},
    error::ArrowError,
};
use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::problem::{self, Problem};

/// Media type of an Arrow IPC stream.
pub(crate) const ARROW: &str = "application/vnd.apache.arrow.stream";
/// Media type of CSV.
pub(crate) const CSV: &str = "text/csv";
const JSON: &str = "application/json";

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    /// Text.
    Text,
    /// A whole number.
    Whole,
    /// A share or measure.
    Number,
    /// An instant.
    Instant,
    /// A civil day.
    Day,
    /// Yes or no.
    Truth,
}

/// A column of an answer that is a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column(pub(crate) &'static str, pub(crate) Holds);

impl Column {
    /// As an Arrow field; instants and days typed, or as their text in the configured zone.
    fn field(self, times: Times) -> Field {
        let data_type = match (self.1, times) {
            (Holds::Text, _) | (Holds::Instant | Holds::Day, Times::AsText) => DataType::Utf8,
            (Holds::Whole, _) => DataType::Int64,
            (Holds::Number, _) => DataType::Float64,
            (Holds::Instant, Times::Typed) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            (Holds::Day, Times::Typed) => DataType::Date32,
            (Holds::Truth, _) => DataType::Boolean,
        };
        Field::new(self.0, data_type, true)
    }
}

#[derive(Debug, Clone, Copy)]
enum Times {
    AsText,
    Typed,
}

/// The forms that a table can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Csv,
    Arrow,
}

impl Form {
    /// Its media type.
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Json => JSON,
            Self::Csv => CSV,
            Self::Arrow => ARROW,
        }
    }

    /// The form that `Accept` likes best; JSON when it likes several alike or says nothing.
    pub(crate) fn accepted(headers: &HeaderMap) -> Result<Self, Problem> {
        let accept: Vec<&str> = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect();
        let accept = accept.join(",");
        if accept.trim().is_empty() {
            return Ok(Self::Json);
        }
        let quality = |media_type: &str| {
            accept
                .split(',')
                .filter_map(|range| weigh(range, media_type))
                .max()
        };
        let best = [(Self::Json, JSON), (Self::Csv, CSV), (Self::Arrow, ARROW)]
            .into_iter()
            .filter_map(|(form, media_type)| {
                quality(media_type)
                    .filter(|weight| weight.1 > 0)
                    .map(|weight| (weight, form))
            })
            // `max_by_key` gives the last of equals, and JSON shall win.
            .rev()
            .max_by_key(|((exactness, quality), _)| (*quality, *exactness));
        best.map(|(_, form)| form).ok_or_else(|| {
            Problem::new(
                problem::NOT_ACCEPTABLE,
                format!(
                    "accept `{}`: this route answers {JSON}, {CSV} and {ARROW}",
                    crate::parameters::short(&accept)
                ),
            )
        })
    }
}

/// Whether `Accept` likes a page to read better than JSON.
pub(crate) fn prefers_html(headers: &HeaderMap) -> bool {
    let ranges = headers.get_all(header::ACCEPT).iter();
    let ranges: Vec<&str> = ranges
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    let quality = |media_type: &str| {
        let weights = ranges.iter().filter_map(|range| weigh(range, media_type));
        weights.max().map_or(0, |(_, quality)| quality)
    };
    let is_named = |media_type: &str| {
        let mut weights = ranges.iter().filter_map(|range| weigh(range, media_type));
        weights.any(|(exactness, _)| exactness == 2)
    };
    let (html, json) = (quality("text/html"), quality(JSON));
    is_named("text/html") && (html > json || html == json && !is_named(JSON))
}

/// How exactly a media range names a type, and its quality in thousandths; `None` when it does not.
fn weigh(range: &str, media_type: &str) -> Option<(u8, u32)> {
    let mut parts = range.split(';').map(str::trim);
    let name = parts.next()?.to_ascii_lowercase();
    let major = media_type.split('/').next()?;
    let exactness = match name.as_str() {
        "*/*" | "*" => 0,
        _ if name == format!("{major}/*") => 1,
        _ if name == media_type => 2,
        _ => return None,
    };
    let quality = parts
        .find_map(|part| part.strip_prefix("q="))
        .map_or(Some(1_000), thousandths)?;
    Some((exactness, quality))
}

/// `0.75` as 750.
fn thousandths(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole: u32 = whole.parse().ok().filter(|whole| *whole <= 1)?;
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    Some((whole * 1_000 + digits.parse::<u32>().ok()?).min(1_000))
}

/// An answer that can be a table.
pub(crate) struct Table<'a, R> {
    /// Its columns, in order.
    pub(crate) columns: &'a [Column],
    /// Its rows.
    pub(crate) rows: &'a [R],
    /// What a downloaded file is called, without ending.
    pub(crate) name: &'a str,
}

impl<R: Serialize> Table<'_, R> {
    /// The answer in the form asked for; `json` is the whole document.
    pub(crate) fn answer(&self, headers: &HeaderMap, json: &impl Serialize) -> Result<Response, Problem> {
        let failed = |error: ArrowError| Problem::failed("rows cannot be written", &error);
        let (media_type, ending, bytes) = match Form::accepted(headers)? {
            Form::Json => return answer(headers, json),
            Form::Csv => (
                "text/csv; charset=utf-8; header=present",
                "csv",
                self.csv().map_err(failed)?,
            ),
            Form::Arrow => (ARROW, "arrow", self.arrow().map_err(failed)?),
        };
        let mut response = tagged(headers, media_type, bytes);
        if let Ok(value) =
            HeaderValue::from_str(&format!("inline; filename=\"{}.{ending}\"", file_name(self.name)))
        {
            response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
        }
        Ok(response)
    }

    /// The same of one page; `next`: the cursor of the next one, which callers of every form find in the header `next-cursor`.
    pub(crate) fn answer_page(
        &self,
        headers: &HeaderMap,
        json: &impl Serialize,
        next: Option<&str>,
    ) -> Result<Response, Problem> {
        let mut response = self.answer(headers, json)?;
        if let Some(Ok(next)) = next.map(HeaderValue::from_str) {
            response.headers_mut().insert("next-cursor", next);
        }
        Ok(response)
    }

    fn batch(&self, times: Times) -> Result<RecordBatch, ArrowError> {
        let fields: Vec<Field> = self.columns.iter().map(|column| column.field(times)).collect();
        let schema = Arc::new(Schema::new(fields));
        let mut decoder = arrow::json::ReaderBuilder::new(Arc::clone(&schema)).build_decoder()?;
        decoder.serialize(self.rows)?;
        Ok(decoder.flush()?.unwrap_or_else(|| RecordBatch::new_empty(schema)))
    }

    /// CSV with a header; instants as RFC 3339 in the configured zone.
    fn csv(&self) -> Result<Vec<u8>, ArrowError> {
        let mut bytes = Vec::new();
        let mut writer = arrow::csv::WriterBuilder::new()
            .with_header(true)
            .build(&mut bytes);
        writer.write(&self.batch(Times::AsText)?)?;
        drop(writer);
        Ok(bytes)
    }

    fn arrow(&self) -> Result<Vec<u8>, ArrowError> {
        let batch = self.batch(Times::Typed)?;
        let mut writer = arrow::ipc::writer::StreamWriter::try_new(Vec::new(), &batch.schema())?;
        writer.write(&batch)?;
        writer.finish()?;
        writer.into_inner()
    }
}

/// Keeps what is safe inside a quoted file name.
fn file_name(name: &str) -> String {
    name.chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() || "-_.".contains(letter) {
                letter
            } else {
                '_'
            }
        })
        .collect()
}

/// A JSON answer with an entity tag, or 304 when the caller has it.
pub(crate) fn answer(headers: &HeaderMap, document: &impl Serialize) -> Result<Response, Problem> {
    let bytes = serde_json::to_vec(document)
        .map_err(|error| Problem::failed("the answer cannot be written", &error))?;
    Ok(tagged(headers, JSON, bytes))
}

/// An answer with a weak entity tag over its content, or 304 when the caller has just that.
pub(crate) fn tagged(headers: &HeaderMap, media_type: &str, bytes: Vec<u8>) -> Response {
    let mut hasher = DefaultHasher::new();
    hasher.write(media_type.as_bytes());
    hasher.write(&bytes);
    let tag = format!("W/\"{:016x}\"", hasher.finish());
    let known = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|given| {
            given.trim() == "*" || given.trim().trim_start_matches("W/") == tag.trim_start_matches("W/")
        });
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Body::from(bytes).into_response()
    };
    let answered = response.headers_mut();
    if let (false, Ok(value)) = (known, HeaderValue::from_str(media_type)) {
        answered.insert(header::CONTENT_TYPE, value);
    }
    if let Ok(value) = HeaderValue::from_str(&tag) {
        answered.insert(header::ETAG, value);
    }
    answered.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answered.append(header::VARY, HeaderValue::from_static("accept"));
    response
}

#[cfg(test)]
mod tests;
