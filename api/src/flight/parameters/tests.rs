use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array,
        NullArray, RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array,
    },
    ipc::{CompressionType, writer::IpcWriteOptions},
};
use arrow_flight::{FlightData, encode::FlightDataEncoderBuilder};
use futures::{StreamExt, TryStreamExt, stream};
use tonic::Code;

use super::{MESSAGES_MAX, PARAMETER_BYTES_MAX, arrow_type, oid_of, read};
use crate::sql::{Given, Parameter};

async fn messages(batch: RecordBatch, options: IpcWriteOptions) -> Vec<FlightData> {
    FlightDataEncoderBuilder::new()
        .with_options(options)
        .build(stream::iter([Ok(batch)]))
        .try_collect()
        .await
        .unwrap()
}

async fn said(messages: Vec<FlightData>) -> Result<Vec<Parameter>, (Code, String)> {
    let read = read(stream::iter(messages).map(Ok)).await;
    read.map_err(|status| (status.code(), status.message().to_owned()))
}

fn row(columns: Vec<ArrayRef>) -> RecordBatch {
    let named = columns.into_iter().enumerate();
    RecordBatch::try_from_iter_with_nullable(named.map(|(at, column)| (at.to_string(), column, true)))
        .unwrap()
}

#[tokio::test]
async fn a_row_gives_its_values_with_their_types() {
    let at = 1_774_983_600_000_000;
    let batch = row(vec![
        Arc::new(Int64Array::from(vec![-7])),
        Arc::new(StringArray::from(vec!["it's"])),
        Arc::new(BooleanArray::from(vec![true])),
        Arc::new(Float64Array::from(vec![0.1])),
        Arc::new(
            Decimal128Array::from(vec![-150])
                .with_precision_and_scale(10, 2)
                .unwrap(),
        ),
        Arc::new(Date32Array::from(vec![20_544])),
        Arc::new(TimestampMicrosecondArray::from(vec![at])),
        Arc::new(TimestampMicrosecondArray::from(vec![at]).with_timezone("Asia/Kolkata")),
        Arc::new(UInt64Array::from(vec![u64::MAX])),
        Arc::new(NullArray::new(1)),
        Arc::new(StringArray::from(vec![None::<&str>])),
    ]);
    let expected = [
        (20, Some("-7")),
        (25, Some("it's")),
        (16, Some("true")),
        (701, Some("0.1")),
        (1_700, Some("-1.50")),
        (1_082, Some("2026-04-01")),
        (1_114, Some("2026-03-31T19:00:00")),
        (1_184, Some("2026-03-31T19:00:00Z")),
        (1_700, Some("18446744073709551615")),
        (0, None),
        (25, None),
    ];
    let given = said(messages(batch, IpcWriteOptions::default()).await)
        .await
        .unwrap();
    assert_eq!(given.len(), expected.len());
    for (one, (oid, text)) in given.iter().zip(expected) {
        let value = text.map_or(Given::Null, |text| Given::Text(text.to_owned()));
        assert_eq!((one.oid, &one.value), (oid, &value));
    }
    assert_eq!(said(Vec::new()).await.unwrap(), []);
}

#[tokio::test]
async fn what_is_not_one_row_of_known_types_is_refused_with_why() {
    let plain = IpcWriteOptions::default;
    let check = async |messages, expected: &str| {
        let (_, message) = said(messages).await.unwrap_err();
        assert!(message.contains(expected), "{message}");
    };
    let two = row(vec![Arc::new(Int64Array::from(vec![1, 2]))]);
    check(messages(two, plain()).await, "one row of parameters").await;
    let bytes = row(vec![Arc::new(BinaryArray::from(vec![&b"x"[..]]))]);
    check(
        messages(bytes, plain()).await,
        "parameter 1 is of the Arrow type Binary",
    )
    .await;
    let one = row(vec![Arc::new(Int64Array::from(vec![1]))]);
    let packed = plain()
        .try_with_compression(Some(CompressionType::LZ4_FRAME))
        .unwrap();
    check(messages(one.clone(), packed).await, "uncompressed").await;
    let sent = messages(one, plain()).await;
    let twice = [sent.as_slice(), &sent[1..]].concat();
    check(twice, "one row of parameters").await;
    check(vec![sent[1].clone()], "not an Arrow stream").await;
    check(vec![FlightData::default()], "not an Arrow stream").await;
    check(vec![sent[0].clone(); MESSAGES_MAX + 1], "at most 1048576 bytes").await;
    let long = row(vec![Arc::new(StringArray::from(vec![
        "x".repeat(PARAMETER_BYTES_MAX),
    ]))]);
    check(messages(long, plain()).await, "at most 1048576 bytes").await;
}

#[tokio::test]
async fn changed_bytes_never_bring_it_down() {
    let batch = row(vec![
        Arc::new(Int64Array::from(vec![7])),
        Arc::new(StringArray::from(vec!["text"])),
    ]);
    let sent = messages(batch, IpcWriteOptions::default()).await;
    for which in 0..sent.len() {
        for at in 0..sent[which].data_header.len() {
            for change in [0x01, 0x80, 0xFF] {
                let mut other = sent.clone();
                let mut head = other[which].data_header.to_vec();
                head[at] ^= change;
                other[which].data_header = head.into();
                let _ = said(other).await;
            }
        }
    }
}

#[test]
fn a_type_that_is_told_is_one_that_is_taken() {
    for oid in [16, 20, 21, 23, 25, 700, 701, 1_082, 1_114, 1_184, 1_700] {
        assert_eq!(oid_of(&arrow_type(oid)), Some(oid));
    }
}
