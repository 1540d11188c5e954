//! `application/json`, as in CONTRACT section 1: unknown fields are ignored, the order of fields is free.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{DecodeError, Sink, malformed};
use crate::{IntervalRead, MeterSpan, PowerEvent, Publish, RegisterRead, UtcMicros};

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

#[derive(Debug, Serialize, Deserialize)]
struct MeterFields<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    meter_id: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    reads: Vec<ReadFields>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    registers: Vec<RegisterFields>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    events: Vec<EventFields>,
}

/// The outermost object: many meters, or the fields of one.
#[derive(Debug, Deserialize)]
struct PublishFields<'a> {
    #[serde(borrow, default)]
    meters: Vec<MeterFields<'a>>,
    #[serde(borrow, default)]
    meter_id: Option<Cow<'a, str>>,
    #[serde(default)]
    reads: Vec<ReadFields>,
    #[serde(default)]
    registers: Vec<RegisterFields>,
    #[serde(default)]
    events: Vec<EventFields>,
}

pub(super) fn decode(payload: &[u8], sink: &mut Sink<'_>) -> Result<(), DecodeError> {
    let outer: PublishFields<'_> =
        serde_json::from_slice(payload).map_err(|error| malformed(ENCODING, error.to_string()))?;
    let PublishFields {
        meters,
        meter_id,
        reads,
        registers,
        events,
    } = outer;
    for meter in &meters {
        pour(meter, sink)?;
    }
    if !(reads.is_empty() && registers.is_empty() && events.is_empty()) {
        pour(
            &MeterFields {
                meter_id,
                reads,
                registers,
                events,
            },
            sink,
        )?;
    }
    Ok(())
}

fn pour(meter: &MeterFields<'_>, sink: &mut Sink<'_>) -> Result<(), DecodeError> {
    sink.begin_meter(meter.meter_id.as_deref())?;
    for fields in &meter.reads {
        let finite = |number: Option<f32>| number.is_none_or(f32::is_finite);
        if !finite(fields.voltage_v) || !finite(fields.current_a) {
            return Err(malformed(
                ENCODING,
                "voltage_v or current_a is too large a number",
            ));
        }
        sink.publish.push_read(IntervalRead {
            interval_end: fields.interval_end,
            import_wh: fields.import_wh,
            export_wh: fields.export_wh,
            import_vah: fields.import_vah,
            voltage_v: fields.voltage_v,
            current_a: fields.current_a,
            captured_at: fields.captured_at,
            revision: fields.revision.unwrap_or(0),
        });
    }
    for RegisterFields {
        at,
        import_wh,
        export_wh,
    } in &meter.registers
    {
        sink.publish.push_register(RegisterRead {
            at: *at,
            import_wh: *import_wh,
            export_wh: *export_wh,
        });
    }
    for EventFields { code, at, sequence } in &meter.events {
        sink.publish.push_event(PowerEvent {
            at: *at,
            code: *code,
            sequence: *sequence,
        });
    }
    Ok(())
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
        meter_id: Some(Cow::Borrowed(span.meter_id)),
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
