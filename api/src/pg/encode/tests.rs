use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
        Int64Array, IntervalMonthDayNanoArray, ListBuilder, RecordBatch, StringArray, StringBuilder,
        Time64MicrosecondArray, TimestampMicrosecondArray, UInt64Array,
    },
    datatypes::IntervalMonthDayNano,
};
use bytes::BytesMut;
use jiff::tz::TimeZone;

use super::Rows;

/// What a client gets of a column of one row.
fn sent(values: ArrayRef, binary: bool) -> Result<Option<Vec<u8>>, String> {
    let batch = RecordBatch::try_from_iter([("x", values)]).unwrap();
    let zone = TimeZone::get("Asia/Kolkata").unwrap();
    let rows = Rows::new(&batch, &[binary], &zone).map_err(|problem| problem.sqlstate)?;
    let mut out = BytesMut::new();
    rows.put(0, &mut out).map_err(|problem| problem.sqlstate)?;
    assert_eq!(out[0], b'D');
    let length = i32::from_be_bytes(out[7..11].try_into().unwrap());
    Ok((length >= 0).then(|| out[11..].to_vec()))
}

fn shown(values: ArrayRef) -> String {
    String::from_utf8(sent(values, false).unwrap().unwrap()).unwrap()
}

#[test]
fn values_look_as_postgresql_writes_them() {
    let check = |values: ArrayRef, expected: &str| assert_eq!(shown(values), expected);
    check(Arc::new(BooleanArray::from(vec![true])), "t");
    check(Arc::new(Int64Array::from(vec![-7])), "-7");
    check(Arc::new(StringArray::from(vec!["é"])), "é");
    check(Arc::new(BinaryArray::from(vec![&b"\x01\xff"[..]])), "\\x01ff");
    check(Arc::new(Date32Array::from(vec![20_544])), "2026-04-01");
    check(
        Arc::new(Time64MicrosecondArray::from(vec![1_800_000_001])),
        "00:30:00.000001",
    );
    let money = Decimal128Array::from(vec![-150])
        .with_precision_and_scale(18, 2)
        .unwrap();
    check(Arc::new(money), "-1.50");
    let stamp = |micros| TimestampMicrosecondArray::from(vec![micros]);
    check(
        Arc::new(stamp(1_774_999_800_500_000).with_timezone("UTC")),
        "2026-04-01 05:00:00.5+05:30",
    );
    check(Arc::new(stamp(1_774_999_800_000_000)), "2026-03-31 23:30:00");
    let interval = |months, days, nanos| -> ArrayRef {
        Arc::new(IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(
            months, days, nanos,
        )]))
    };
    check(interval(1, 2, 11_045_600_000_000), "1 mon 2 days 03:04:05.6");
    check(interval(14, 0, 0), "1 year 2 mons");
    check(interval(0, 0, 0), "00:00:00");
    check(interval(0, 1, -1_000_000_000), "1 day -00:00:01");
    let mut lists = ListBuilder::new(StringBuilder::new());
    for value in [
        Some("a"),
        Some("b c"),
        None,
        Some(""),
        Some("q\"\\"),
        Some("null"),
    ] {
        lists.values().append_option(value);
    }
    lists.append(true);
    check(Arc::new(lists.finish()), r#"{a,"b c",NULL,"","q\"\\","null"}"#);
}

/// Right sides: what PostgreSQL 15 wrote for the left ones.
#[test]
fn floats_have_the_digits_of_postgresql() {
    for (value, expected) in [
        (1e15, "1e+15"),
        (1e14, "100000000000000"),
        (123_456_789_012_345.0, "123456789012345"),
        (1_234_567_890_123_456.0, "1.234567890123456e+15"),
        (1e-4, "0.0001"),
        (1e-5, "1e-05"),
        (0.1, "0.1"),
        (-12.5, "-12.5"),
        (1e22, "1e+22"),
        (5e-324, "5e-324"),
        (-0.0, "-0"),
        (0.0, "0"),
        (f64::NAN, "NaN"),
        (f64::NEG_INFINITY, "-Infinity"),
    ] {
        assert_eq!(
            shown(Arc::new(Float64Array::from(vec![value]))),
            expected,
            "{value}"
        );
    }
    for (value, expected) in [
        (1e5, "100000"),
        (1e6, "1e+06"),
        (1_234_567.0, "1.234567e+06"),
        (0.1, "0.1"),
    ] {
        assert_eq!(
            shown(Arc::new(Float32Array::from(vec![value]))),
            expected,
            "{value}"
        );
    }
}

#[test]
fn binary_values_have_their_layout() {
    let check =
        |values: ArrayRef, expected: &[u8]| assert_eq!(sent(values, true).unwrap().unwrap(), expected);
    check(Arc::new(Int64Array::from(vec![7])), &7_i64.to_be_bytes());
    check(Arc::new(Float64Array::from(vec![1.5])), &1.5_f64.to_be_bytes());
    check(Arc::new(Date32Array::from(vec![10_958])), &1_i32.to_be_bytes());
    check(
        Arc::new(TimestampMicrosecondArray::from(vec![946_684_800_000_001]).with_timezone("UTC")),
        &1_i64.to_be_bytes(),
    );
    // -12345.60: two groups before the point, one after, two decimals.
    let money = Decimal128Array::from(vec![-1_234_560])
        .with_precision_and_scale(18, 2)
        .unwrap();
    check(
        Arc::new(money),
        &[0, 3, 0, 1, 0x40, 0, 0, 2, 0, 1, 0x09, 0x29, 0x17, 0x70],
    );
}

#[test]
fn nothing_that_does_not_fit_is_sent_as_something_else() {
    assert_eq!(
        sent(Arc::new(UInt64Array::from(vec![u64::MAX])), false),
        Err("22003".to_owned())
    );
    assert_eq!(shown(Arc::new(UInt64Array::from(vec![7]))), "7");
    assert_eq!(sent(Arc::new(Int64Array::from(vec![None])), true), Ok(None));
    assert_eq!(
        sent(Arc::new(TimestampMicrosecondArray::from(vec![i64::MAX])), false),
        Err("22008".to_owned())
    );
}
