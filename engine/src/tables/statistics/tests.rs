use arrow::array::{Array, StringArray, TimestampMicrosecondArray};

use super::*;

fn file(statistics: Option<&str>) -> DataFile {
    DataFile {
        path: "a.parquet".to_owned(),
        bytes: 1,
        part: None,
        statistics: statistics.map(Arc::from),
    }
}

const SAID: &str = r#"{"numRecords":3,"minValues":{"meter_id":"M1","interval_end":"2026-04-01T00:00:00.000Z","loss_pct":1.5},"maxValues":{"meter_id":"M9","interval_end":"2026-04-01T00:15:00.123Z"},"nullCount":{"meter_id":0,"interval_end":1}}"#;

fn columns() -> Schema {
    let zone = DataType::Timestamp(TimeUnit::Microsecond, Some("Asia/Kolkata".into()));
    Schema::new(vec![
        Field::new("meter_id", DataType::Utf8, false),
        Field::new("interval_end", zone, true),
        Field::new("loss_pct", DataType::Float64, true),
    ])
}

#[test]
fn bounds_are_what_the_log_says_and_an_instant_may_be_later_than_it_is_written() {
    let files = [&file(Some(SAID)), &file(None)];
    let names = ["meter_id", "interval_end", "loss_pct"];
    let known = Known::by_statistics(&columns(), &names, (None, &files)).unwrap();
    let greatest = known.max_values(&Column::from_name("meter_id")).unwrap();
    let expected: ArrayRef = Arc::new(StringArray::from(vec![Some("M9"), None]));
    assert_eq!(&greatest, &expected);
    let least = known.min_values(&Column::from_name("interval_end")).unwrap();
    let latest = known.max_values(&Column::from_name("interval_end")).unwrap();
    let in_zone = |values: Vec<Option<i64>>| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(values).with_timezone("Asia/Kolkata"))
    };
    let midnight = 1_775_001_600_000_000;
    assert_eq!(&least, &in_zone(vec![Some(midnight), None]));
    assert_eq!(&latest, &in_zone(vec![Some(midnight + 900_123_999), None]));
    let nulls = known.null_counts(&Column::from_name("interval_end")).unwrap();
    assert_eq!(nulls.data_type(), &DataType::UInt64);
    assert!(known.min_values(&Column::from_name("loss_pct")).is_none());
}

#[test]
fn what_is_no_statistics_says_nothing() {
    let broken = file(Some("{\"minValues\":{\"meter_id\":{}}}"));
    assert!(Known::by_statistics(&columns(), &["meter_id"], (None, &[&broken])).is_none());
    assert_eq!(rows(&file(Some("{"))), None);
    assert_eq!(rows(&file(Some("{}"))), None);
    assert_eq!(rows(&file(Some(SAID))), Some(3));
}
