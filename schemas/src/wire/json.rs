//! `application/json`, as in CONTRACT section 1: unknown fields are ignored, the order of fields is free.

use serde::{Deserialize, Serialize};

use super::{DecodeError, Sink};
use crate::{IntervalRead, MeterSpan, Publish, UtcMicros};

mod reader;

const ENCODING: &str = "JSON";

#[derive(Debug, Serialize, Deserialize)]
struct ReadFields {
    interval_end: UtcMicros,
    // Written even when absent: it says that the source itself reports the read as missing.
    #[serde(default)]
    import_wh: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    export_wh: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    import_vah: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    voltage_v: Option<f32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current_a: Option<f32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    captured_at: Option<UtcMicros>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revision: Option<i32>,
}

#[derive(Debug, Serialize, Deserialize)]
struct RegisterFields {
    at: UtcMicros,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    import_wh: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    export_wh: Option<i64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct EventFields {
    code: i32,
    at: UtcMicros,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sequence: Option<i64>,
}

#[derive(Debug, Serialize)]
struct MeterFields<'a> {
    meter_id: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reads: Vec<ReadFields>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    registers: Vec<RegisterFields>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<EventFields>,
}

pub(super) fn decode(payload: &[u8], sink: &mut Sink<'_>) -> Result<(), DecodeError> {
    reader::decode(payload, sink)
}

fn fields(span: MeterSpan<'_>) -> MeterFields<'_> {
    let read = |read: &IntervalRead| ReadFields {
        interval_end: read.interval_end,
        import_wh: read.import_wh,
        export_wh: read.export_wh,
        import_vah: read.import_vah,
        voltage_v: read.voltage_v,
        current_a: read.current_a,
        captured_at: read.captured_at,
        revision: Some(read.revision).filter(|revision| *revision != 0),
    };
    MeterFields {
        meter_id: span.meter_id,
        reads: span.reads.iter().map(read).collect(),
        registers: span
            .registers
            .iter()
            .map(|register| RegisterFields {
                at: register.at,
                import_wh: register.import_wh,
                export_wh: register.export_wh,
            })
            .collect(),
        events: span
            .events
            .iter()
            .map(|event| EventFields {
                code: event.code,
                at: event.at,
                sequence: event.sequence,
            })
            .collect(),
    }
}

/// Appends a publish as JSON.
pub(super) fn encode(publish: &Publish, bytes: &mut Vec<u8>) {
    #[derive(Serialize)]
    struct Outer<'a> {
        meters: Vec<MeterFields<'a>>,
    }
    let outer = Outer {
        meters: publish.meters().map(fields).collect(),
    };
    bytes.extend_from_slice(&serde_json::to_vec(&outer).unwrap_or_default());
}

/// One meter's part as JSON, without wrapper.
pub(super) fn of_span(span: MeterSpan<'_>) -> Vec<u8> {
    serde_json::to_vec(&fields(span)).unwrap_or_default()
}
