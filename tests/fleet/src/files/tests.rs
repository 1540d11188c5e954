//! Tests of the files: what is read back is what was written.

use arrow::{array::Int64Array, record_batch::RecordBatchReader};
use gridtally_schemas::network::{MeterRole, NodeKind};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;
use crate::{FleetConfig, Quarter};

/// The rows of a CSV file by column name; cells hold neither comma nor quote, so splitting is enough.
fn rows(path: &Path) -> (Vec<String>, Vec<Vec<String>>) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(!text.contains('"'));
    let mut lines = text
        .lines()
        .map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let rows: Vec<_> = lines.collect();
    assert!(rows.iter().all(|row| row.len() == header.len()));
    (header, rows)
}

#[test]
fn master_data_survives_the_way_through_csv() {
    let fleet = Fleet::new(FleetConfig::demo()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    fleet.write_files(directory.path()).unwrap();

    let (_, nodes) = rows(&directory.path().join("nodes.csv"));
    for (row, node) in nodes.iter().zip(fleet.nodes()) {
        assert_eq!(row[0], node.node_id.as_str());
        assert_eq!(row[1].parse::<NodeKind>().unwrap(), node.kind);
        assert_eq!(
            row[2],
            node.parent_id.map(|id| id.to_string()).unwrap_or_default()
        );
        assert_eq!(row[5].parse().ok(), node.lat);
        assert_eq!(row[9].parse().ok(), node.technical_loss_pct);
        assert_eq!(UtcMicros::parse(&row[10]).unwrap(), node.valid_from);
        assert_eq!(row[11], "");
    }
    assert_eq!(nodes.len(), fleet.nodes().count());

    let (_, meters) = rows(&directory.path().join("meters.csv"));
    for (row, meter) in meters.iter().zip(fleet.meters()) {
        assert_eq!(row[0], meter.meter_id.as_str());
        assert_eq!(row[1].parse::<MeterRole>().unwrap(), meter.role);
        assert_eq!(row[4].parse::<u8>().unwrap(), u8::from(meter.interval_minutes));
        assert_eq!(row[5].parse::<f64>().unwrap(), f64::from(meter.multiplier));
    }
    assert_eq!(meters.len(), fleet.meters().count());

    let (header, connections) = rows(&directory.path().join("connections.csv"));
    assert_eq!(header.join(","), CONNECTION_COLUMNS);
    for (row, connection) in connections.iter().zip(fleet.connections()) {
        assert_eq!(row[0], connection.consumer_id.as_str());
        assert_eq!(
            row[1],
            connection.meter_id.map(|id| id.to_string()).unwrap_or_default()
        );
        assert_eq!(row[6].parse().ok(), connection.sanctioned_load_kw);
        assert_eq!(row[9].parse().ok(), connection.assessed_kwh_month);
    }
    assert_eq!(connections.len(), fleet.connections().count());
}

#[test]
fn reads_and_truth_are_written_for_every_interval() {
    let fleet = Fleet::new(FleetConfig {
        consumers: 500,
        ..FleetConfig::demo()
    })
    .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let first = Quarter::containing(fleet.config().start).plus(1);
    let span = Span {
        first,
        last: first.plus(3),
    };
    fleet.write_reads(directory.path(), span).unwrap();
    fleet.write_truth(directory.path(), span).unwrap();

    let (header, reads) = rows(&directory.path().join("reads.csv"));
    assert_eq!(header.join(","), READ_COLUMNS);
    assert!(reads.len() > 1_500, "{}", reads.len());

    let file = File::open(directory.path().join("dt_truth.parquet")).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .unwrap()
        .build()
        .unwrap();
    assert_eq!(reader.schema().field(1).name(), "interval_end");
    let mut losses = Vec::new();
    for batch in reader {
        let batch = batch.unwrap();
        let loss = batch
            .column_by_name("loss_wh")
            .unwrap()
            .as_any()
            .downcast_ref::<Int64Array>()
            .unwrap()
            .clone();
        losses.extend(loss.values().iter().copied());
    }
    let expected: Vec<i64> = fleet
        .feeders()
        .flat_map(|feeder| {
            span.quarters()
                .filter_map(|quarter| feeder.truth(quarter))
                .flat_map(|(dts, _)| dts)
                .map(|dt| dt.loss_wh)
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(losses, expected);
}
