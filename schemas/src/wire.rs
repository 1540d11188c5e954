//! The payload of a publish: JSON, protobuf or Arrow, all with the same fields (CONTRACT section 1).
//!
//! Decoding is total (DEC-1): any bytes give a [`Publish`] or one [`DecodeError`]; never a panic, and never part of a payload.

use arrow::error::ArrowError;

use crate::{
    IdError, MeterSpan, Publish, UtcMicros,
    time::{EARLIEST, LATEST},
    topic::Publisher,
};

mod arrow_stream;
mod json;
mod protobuf;
#[cfg(test)]
mod tests;

/// Encodings of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// `application/json`; begins with `{`.
    Json,
    /// `application/vnd.apache.arrow.stream`; begins with FF FF FF FF.
    ArrowStream,
    /// `application/x-protobuf` (schemas/proto/ami/v1.proto); all else.
    Protobuf,
}

impl Encoding {
    /// By MQTT 5 content type, else by the first bytes. An unknown content type counts as none.
    #[must_use]
    pub fn detect(content_type: Option<&str>, payload: &[u8]) -> Self {
        match content_type {
            Some("application/json") => Self::Json,
            Some("application/vnd.apache.arrow.stream") => Self::ArrowStream,
            Some("application/x-protobuf") => Self::Protobuf,
            Some(_) | None if payload.starts_with(b"{") => Self::Json,
            Some(_) | None if payload.starts_with(&[0xFF; 4]) => Self::ArrowStream,
            Some(_) | None => Self::Protobuf,
        }
    }
}

/// Why a payload was not decoded.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// Not a payload of its encoding.
    #[error("payload is not {encoding}: {detail}")]
    Malformed {
        /// The encoding tried.
        encoding: &'static str,
        /// What is wrong and where.
        detail: String,
    },
    /// A meter id that cannot be one.
    #[error("payload names a meter with an invalid id")]
    MeterId(#[source] IdError),
    /// A gateway's payload has a part without meter id.
    #[error("payload of a gateway has a part without meter_id")]
    MeterMissing,
    /// A meter's payload speaks for another meter.
    #[error("payload of meter {publisher} speaks for meter {named}")]
    OtherMeter {
        /// The meter of the topic.
        publisher: String,
        /// The meter of the payload.
        named: String,
    },
    /// A payload that carries nothing.
    #[error("payload carries no read, register or event")]
    Empty,
}

/// Where decoders put what they read: checks who may speak for whom.
struct Sink<'a> {
    publisher: &'a Publisher,
    publish: &'a mut Publish,
}

impl Sink<'_> {
    /// Begins the part of a meter; `None` where the payload does not name it.
    fn begin_meter(&mut self, named: Option<&str>) -> Result<(), DecodeError> {
        self.publish.begin_unnamed();
        self.name_meter(named)
    }

    /// Names the meter of the part begun last; `None` where the payload does not name it.
    fn name_meter(&mut self, named: Option<&str>) -> Result<(), DecodeError> {
        let meter_id = match (self.publisher, named) {
            (Publisher::Meter(meter), None) => meter.as_str(),
            (Publisher::Meter(meter), Some(named)) if meter.as_str() != named => {
                return Err(DecodeError::OtherMeter {
                    publisher: meter.to_string(),
                    named: named.chars().take(64).collect(),
                });
            }
            (Publisher::Gateway(_), None) => return Err(DecodeError::MeterMissing),
            (Publisher::Meter(_) | Publisher::Gateway(_), Some(named)) => named,
        };
        self.publish.name_meter(meter_id).map_err(DecodeError::MeterId)
    }
}

fn malformed(encoding: &'static str, detail: impl Into<String>) -> DecodeError {
    DecodeError::Malformed {
        encoding,
        detail: detail.into(),
    }
}

fn required<T>(encoding: &'static str, field: &str, value: Option<T>) -> Result<T, DecodeError> {
    value.ok_or_else(|| malformed(encoding, format!("{field} is missing")))
}

/// An instant in microseconds, within the range accepted on the wire.
fn whole_time(encoding: &'static str, field: &str, micros: i64) -> Result<UtcMicros, DecodeError> {
    let instant = UtcMicros(micros);
    if (EARLIEST..=LATEST).contains(&instant) {
        Ok(instant)
    } else {
        Err(malformed(encoding, format!("{field} lies outside 2000 to 2100")))
    }
}

/// Whether a publish in protobuf holds an event, without reading what it holds. Of bytes that are no publish it may say either.
#[must_use]
pub fn has_events(protobuf: &[u8]) -> bool {
    protobuf::has_events(protobuf)
}

/// Decodes one payload into `publish`, which is cleared first.
///
/// # Errors
/// [`DecodeError`] says what is wrong; `publish` is then left empty.
pub fn decode(
    encoding: Encoding,
    payload: &[u8],
    publisher: &Publisher,
    publish: &mut Publish,
) -> Result<(), DecodeError> {
    publish.clear();
    let mut sink = Sink { publisher, publish };
    let decoded = match encoding {
        Encoding::Json => json::decode(payload, &mut sink),
        Encoding::ArrowStream => arrow_stream::decode(payload, &mut sink),
        Encoding::Protobuf => protobuf::decode(payload, &mut sink),
    };
    let decoded = decoded.and_then(|()| {
        if publish.is_empty() {
            Err(DecodeError::Empty)
        } else {
            Ok(())
        }
    });
    if decoded.is_err() {
        publish.clear();
    }
    decoded
}

/// Encodes a publish as protobuf, appending to `bytes`: the form that the log keeps.
pub fn encode_protobuf(publish: &Publish, bytes: &mut Vec<u8>) {
    protobuf::encode(publish, bytes);
}

/// Encodes a publish as JSON, appending to `bytes`.
pub fn encode_json(publish: &Publish, bytes: &mut Vec<u8>) {
    json::encode(publish, bytes);
}

/// Encodes the interval reads of a publish as an Arrow stream; registers and events are left out.
///
/// # Errors
/// [`ArrowError`] when the columns outgrow Arrow's limits.
pub fn encode_arrow_stream(publish: &Publish) -> Result<Vec<u8>, ArrowError> {
    arrow_stream::encode_reads(publish)
}

/// What one meter said, as JSON without the `meters` wrapper.
#[must_use]
pub fn span_to_json(span: MeterSpan<'_>) -> Vec<u8> {
    json::of_span(span)
}
