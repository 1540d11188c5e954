use super::*;
use crate::{GatewayId, MeterId, time::EARLIEST, topic::Publisher, wire::Encoding};

fn strings(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn times(hours: &[i64]) -> ArrayRef {
    let micros = hours.iter().map(|hour| Some(EARLIEST.0 + hour * 3_600_000_000));
    Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

fn numbers(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn stream(columns: &[(&str, ArrayRef)]) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns
            .iter()
            .map(|(name, array)| (*name, Arc::clone(array), true)),
    )
    .unwrap();
    let mut writer = StreamWriter::try_new(Vec::new(), batch.schema_ref()).unwrap();
    writer.write(&batch).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

/// What one of the two equal batches of the stream holds, as text.
fn check(publisher: &Publisher, columns: &[(&str, ArrayRef)], expected: &str) {
    let mut publish = Publish::default();
    let decoded = super::super::decode(Encoding::ArrowStream, &stream(columns), publisher, &mut publish);
    let text = match decoded {
        Err(error) => error.to_string(),
        Ok(()) => {
            let parts: Vec<String> = publish.meters().map(|span| part(&span)).collect();
            let (first, second) = parts.split_at(parts.len() / 2);
            assert_eq!(first, second, "each batch gives the same");
            first.join("; ")
        }
    };
    assert_eq!(text, expected);
}

fn part(span: &crate::MeterSpan<'_>) -> String {
    let hour = |at: UtcMicros| (at.0 - EARLIEST.0) / 3_600_000_000;
    let reads = span.reads.iter().map(|read| {
        format!(
            "read {} {:?} {:?}",
            hour(read.interval_end),
            read.import_wh,
            read.voltage_v
        )
    });
    let registers = span
        .registers
        .iter()
        .map(|register| format!("register {} {:?}", hour(register.at), register.import_wh));
    let events = span
        .events
        .iter()
        .map(|event| format!("event {} {} {:?}", hour(event.at), event.code, event.sequence));
    let all: Vec<String> = reads.chain(registers).chain(events).collect();
    format!("{}: {}", span.meter_id, all.join(", "))
}

fn gateway() -> Publisher {
    Publisher::Gateway(GatewayId::parse("hes").unwrap())
}

#[test]
fn rows_of_one_meter_that_follow_one_another_are_one_part() {
    let ids = strings(&[Some("M1"), Some("M1"), Some("M2"), Some("M1")]);
    let volts: ArrayRef = Arc::new(Float32Array::from(vec![1.5, f32::NAN, 3.5, 4.5]));
    let dictionary = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::LargeUtf8));
    for ids in [Arc::clone(&ids), cast(&ids, &dictionary).unwrap()] {
        let read = [
            ("meter_id", Arc::clone(&ids)),
            ("interval_end", times(&[1, 2, 3, 4])),
            ("import_wh", numbers(&[Some(10), None, Some(30), Some(40)])),
            ("voltage_v", Arc::clone(&volts)),
        ];
        check(
            &gateway(),
            &read,
            "M1: read 1 Some(10) Some(1.5), read 2 None None; M2: read 3 Some(30) Some(3.5); M1: read 4 Some(40) Some(4.5)",
        );
        let register = [
            ("meter_id", Arc::clone(&ids)),
            ("at", times(&[1, 2, 3, 4])),
            ("import_wh", numbers(&[Some(10), None, Some(30), Some(40)])),
        ];
        check(
            &gateway(),
            &register,
            "M1: register 1 Some(10), register 2 None; M2: register 3 Some(30); M1: register 4 Some(40)",
        );
    }
}

#[test]
fn events_need_no_meter_where_the_topic_names_it() {
    let event = [
        ("at", times(&[1, 2])),
        ("code", numbers(&[Some(101), Some(102)])),
        ("sequence", numbers(&[None, Some(7)])),
    ];
    let meter = Publisher::Meter(MeterId::parse("M7").unwrap());
    check(&meter, &event, "M7: event 1 101 None, event 2 102 Some(7)");
    check(
        &gateway(),
        &event,
        "payload of a gateway has a part without meter_id",
    );
}

#[test]
fn what_does_not_fit_names_its_column() {
    let read = |name, column: ArrayRef| {
        [
            ("meter_id", strings(&[Some("M1"), Some("M2")])),
            ("interval_end", times(&[1, 2])),
            (name, column),
        ]
    };
    check(
        &gateway(),
        &read("revision", numbers(&[Some(1), Some(1 << 40)])),
        "payload is not an Arrow stream: column revision: Cast error: Can't cast value 1099511627776 to type Int32",
    );
    check(
        &gateway(),
        &read("captured_at", times(&[1, 1_000_000])),
        "payload is not an Arrow stream: captured_at lies outside 2000 to 2100",
    );
    check(
        &gateway(),
        &read("captured_at", numbers(&[Some(1), Some(2)])),
        "payload is not an Arrow stream: column captured_at is not a timestamp with time zone",
    );
    let no_end = Arc::new(TimestampMicrosecondArray::from(vec![Some(EARLIEST.0), None]).with_timezone("UTC"));
    check(
        &gateway(),
        &[
            ("meter_id", strings(&[Some("M1"), Some("M1")])),
            ("interval_end", no_end),
        ],
        "payload is not an Arrow stream: interval_end is missing",
    );
}
