use std::{sync::Arc, time::Duration};

use arrow::{
    array::{
        ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
        Int64Array, NullArray, RecordBatch, StringArray, TimestampMicrosecondArray, TimestampNanosecondArray,
    },
    ipc::writer::StreamWriter,
};
use bytes::Bytes;
use gridtally_schemas::time::{UtcMicros, Zone};

use super::{Done, Encoder, Format, Tail};

const TAIL: Tail = Tail {
    published_at: Some(UtcMicros(1_774_983_600_000_000)),
    rows_max: 1_000,
    deadline: Duration::from_secs(30),
};

fn batch() -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "meter_id",
            Arc::new(StringArray::from(vec![Some("a \"quoted\", one"), Some("")])),
        ),
        ("wh", Arc::new(Int64Array::from(vec![Some(-5), None]))),
        (
            "volts",
            Arc::new(Float32Array::from(vec![Some(231.4), Some(f32::NAN)])),
        ),
        (
            "pct",
            Arc::new(Float64Array::from(vec![Some(0.1), Some(f64::INFINITY)])),
        ),
        (
            "inr",
            Arc::new(
                Decimal128Array::from(vec![Some(1050), None])
                    .with_precision_and_scale(18, 2)
                    .unwrap(),
            ),
        ),
        (
            "at",
            Arc::new(
                TimestampMicrosecondArray::from(vec![Some(1_774_983_600_000_000), None]).with_timezone("UTC"),
            ),
        ),
        (
            "local",
            Arc::new(TimestampNanosecondArray::from(vec![Some(1_500_000_000), None])),
        ),
        ("day", Arc::new(Date32Array::from(vec![Some(20_544), None]))),
        ("metered", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        (
            "payload",
            Arc::new(BinaryArray::from(vec![Some(&b"\x00\xff"[..]), None])),
        ),
        ("nothing", Arc::new(NullArray::new(2))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn stream(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch().schema()).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

/// Encodes a stream that arrives in pieces of `piece` bytes.
fn encode(format: Format, bytes: &[u8], piece: usize, truncated: bool) -> Vec<u8> {
    let mut encoder = Encoder::new(format, Zone::kolkata(), TAIL);
    let mut out = Vec::new();
    for part in bytes.chunks(piece) {
        out.extend_from_slice(&encoder.data(Bytes::copy_from_slice(part)).unwrap());
    }
    out.extend_from_slice(&encoder.finish(Done { rows: 2, truncated }).unwrap());
    assert!(encoder.is_finished());
    out
}

#[test]
fn json_has_the_contracts_form() {
    let bytes = encode(Format::Json, &stream(&[batch()]), 1 << 20, true);
    let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(
        value,
        serde_json::json!({
            "columns": [
                {"name": "meter_id", "type": "text"},
                {"name": "wh", "type": "bigint"},
                {"name": "volts", "type": "real"},
                {"name": "pct", "type": "double"},
                {"name": "inr", "type": "decimal(18,2)"},
                {"name": "at", "type": "timestamp with time zone"},
                {"name": "local", "type": "timestamp"},
                {"name": "day", "type": "date"},
                {"name": "metered", "type": "boolean"},
                {"name": "payload", "type": "bytes"},
                {"name": "nothing", "type": "Null"},
            ],
            "rows": [
                [
                    "a \"quoted\", one", -5, 231.4, 0.1, "10.50", "2026-04-01T00:30:00+05:30", "1970-01-01T00:00:01.500",
                    "2026-04-01", true, "00ff", null
                ],
                ["", null, null, null, null, null, null, null, null, null, null],
            ],
            "published_at": "2026-04-01T00:30:00+05:30",
            "truncated": true,
            "rows_max": 1000,
            "deadline_seconds": 30,
        })
    );
}

#[test]
fn pieces_of_any_size_give_the_same() {
    let bytes = stream(&[batch(), batch(), batch()]);
    for format in [Format::Json, Format::Csv, Format::Arrow] {
        let whole = encode(format, &bytes, bytes.len(), false);
        for piece in [1, 7, 64, 1_000] {
            assert_eq!(
                encode(format, &bytes, piece, false),
                whole,
                "{format:?} in pieces of {piece}"
            );
        }
    }
}

#[test]
fn csv_quotes_what_needs_it_and_tells_null_from_empty() {
    let text = String::from_utf8(encode(Format::Csv, &stream(&[batch()]), 100, false)).unwrap();
    assert_eq!(
        text,
        "meter_id,wh,volts,pct,inr,at,local,day,metered,payload,nothing\r\n\
         \"a \"\"quoted\"\", one\",-5,231.4,0.1,10.50,2026-04-01T00:30:00+05:30,1970-01-01T00:00:01.500,2026-04-01,true,00ff,\r\n\
         \"\",,NaN,inf,,,,,,,\r\n"
    );
}

#[test]
fn arrow_passes_through() {
    let bytes = stream(&[batch()]);
    assert_eq!(encode(Format::Arrow, &bytes, 33, false), bytes);
}

#[test]
fn no_rows_are_a_whole_document() {
    let bytes = encode(Format::Json, &stream(&[]), 10, false);
    let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(value["rows"], serde_json::json!([]));
    assert_eq!(value["columns"].as_array().unwrap().len(), 11);
}

#[test]
fn what_is_no_arrow_stream_is_an_error() {
    let mut encoder = Encoder::new(Format::Json, Zone::utc(), TAIL);
    let accepted = encoder.data(Bytes::from_static(&[7; 64]));
    let finished = encoder.finish(Done {
        rows: 0,
        truncated: false,
    });
    assert!(accepted.and(finished).is_err());
}

#[test]
fn a_stream_that_is_cut_short_is_an_error() {
    let bytes = stream(&[batch()]);
    let mut encoder = Encoder::new(Format::Json, Zone::utc(), TAIL);
    encoder
        .data(Bytes::copy_from_slice(&bytes[..bytes.len() - 100]))
        .unwrap();
    let done = Done {
        rows: 2,
        truncated: false,
    };
    assert!(encoder.finish(done).is_err());
}
