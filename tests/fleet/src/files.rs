//! Master data, reads and truth on disk: CSV with the columns of CONTRACT section 2 for `gridtally import`, and the truth as
//! Parquet (`dt_truth.parquet`, `feeder_truth.parquet`) with the planted thefts as `thefts.csv`.

use std::{
    fs::File,
    io::{BufWriter, Write},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder},
    datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
};
use gridtally_schemas::{
    UtcMicros, Zone,
    network::{ConnectionRow, MeterRow, NodeRow},
    outage::SupplyHoursRow,
};
use parquet::{
    arrow::ArrowWriter, basic::Compression, errors::ParquetError, file::properties::WriterProperties,
};

use crate::{calendar::Span, config::FleetError, delivery, flow::Reads, layout::Fleet};

impl Fleet {
    /// Every row of the `nodes` file, parents first.
    pub fn nodes(&self) -> impl Iterator<Item = NodeRow> {
        self.upper_nodes()
            .chain(self.feeders().flat_map(|feeder| feeder.nodes()))
    }

    /// Every row of the `meters` file.
    pub fn meters(&self) -> impl Iterator<Item = MeterRow> {
        self.feeders().flat_map(|feeder| feeder.meter_rows())
    }

    /// Every row of the `connections` file.
    pub fn connections(&self) -> impl Iterator<Item = ConnectionRow> {
        self.feeders().flat_map(|feeder| feeder.connections())
    }

    /// Writes `nodes.csv`, `meters.csv` and `connections.csv` into `directory`, which is created.
    ///
    /// # Errors
    /// [`FleetError::Write`] names the file.
    pub fn write_files(&self, directory: &Path) -> Result<(), FleetError> {
        self.write_part(directory, 0..self.feeder_count())
    }

    /// As [`Self::write_files`], of some feeders only: a utility too large for one file. The nodes above all feeders come with the first.
    ///
    /// # Errors
    /// [`FleetError::Write`] names the file.
    pub fn write_part(&self, directory: &Path, feeders: Range<u64>) -> Result<(), FleetError> {
        let zone = &self.config().zone;
        let mut nodes = CsvFile::create(directory, "nodes.csv", NODE_COLUMNS)?;
        let mut meters = CsvFile::create(directory, "meters.csv", METER_COLUMNS)?;
        let mut connections = CsvFile::create(directory, "connections.csv", CONNECTION_COLUMNS)?;
        if feeders.start == 0 {
            for row in self.upper_nodes() {
                nodes.line(&node_line(&row, zone))?;
            }
        }
        for feeder in feeders.filter_map(|number| self.feeder(number)) {
            for row in feeder.nodes() {
                nodes.line(&node_line(&row, zone))?;
            }
            for row in feeder.meter_rows() {
                meters.line(&meter_line(&row, zone))?;
            }
            for row in feeder.connections() {
                connections.line(&connection_line(&row, zone))?;
            }
        }
        nodes.finish()?;
        meters.finish()?;
        connections.finish()
    }

    /// Writes `supply_hours.csv` into `directory`: when supply is due to pump sets, in the weeks of `span`. Without it each of their nights is an outage.
    ///
    /// # Errors
    /// [`FleetError::Write`] names the file.
    pub fn write_supply_hours(&self, directory: &Path, span: Span) -> Result<(), FleetError> {
        let mut hours = CsvFile::create(directory, "supply_hours.csv", SUPPLY_HOURS_COLUMNS)?;
        let (from, to) = (span.first.plus(-1).end(), span.last.end());
        for row in self.feeders().flat_map(|feeder| feeder.supply_hours(from, to)) {
            hours.line(&supply_hours_line(&row, &self.config().zone))?;
        }
        hours.finish()
    }

    /// Writes `reads.csv` into `directory`: every version of every read of `span` that is ever sent, in the order of feeders and
    /// intervals.
    ///
    /// # Errors
    /// [`FleetError::Write`] names the file.
    pub fn write_reads(&self, directory: &Path, span: Span) -> Result<(), FleetError> {
        let config = self.config();
        let mut file = CsvFile::create(directory, "reads.csv", READ_COLUMNS)?;
        let mut reads = Reads::default();
        let mut meter_id = String::new();
        for feeder in self.feeders() {
            for quarter in span.quarters() {
                reads.compute(&feeder, &config.zone, quarter);
                for (meter, read) in reads.iter(&feeder) {
                    for sending in delivery::sendings(&config.imperfections, meter, quarter)
                        .into_iter()
                        .flatten()
                    {
                        let version = delivery::version(meter, read, sending.said);
                        meter_id.clear();
                        meter.meter.write_id(&mut meter_id);
                        file.line(&read_line(&meter_id, &version, &config.zone))?;
                    }
                }
            }
        }
        file.finish()
    }

    /// Writes the truth of the balance intervals of `span` into `directory`.
    ///
    /// `dt_truth.parquet`: dt_id, interval_end, injected_wh, delivered_wh, loss_wh, stolen_wh, technical_wh. `feeder_truth.parquet`:
    /// feeder_id, interval_end, input_wh, ht_loss_wh, lt_loss_wh, total_loss_wh. `thefts.csv`: dt_id, consumer_id (empty: a hook),
    /// share_permille, from. Nothing is null.
    ///
    /// # Errors
    /// [`FleetError::Write`] or [`FleetError::Parquet`] names the file.
    pub fn write_truth(&self, directory: &Path, span: Span) -> Result<(), FleetError> {
        const DT: [&str; 5] = [
            "injected_wh",
            "delivered_wh",
            "loss_wh",
            "stolen_wh",
            "technical_wh",
        ];
        const FEEDER: [&str; 4] = ["input_wh", "ht_loss_wh", "lt_loss_wh", "total_loss_wh"];
        let zone = &self.config().zone;
        let mut dts = TruthFile::create(directory, "dt_truth.parquet", ("dt_id", &DT))?;
        let mut feeders = TruthFile::create(directory, "feeder_truth.parquet", ("feeder_id", &FEEDER))?;
        let mut thefts = CsvFile::create(directory, "thefts.csv", "dt_id,consumer_id,share_permille,from")?;
        let mut reads = Reads::default();
        for feeder in self.feeders() {
            for theft in feeder.thefts() {
                let consumer = theft
                    .consumer_id
                    .as_ref()
                    .map(|id| id.as_str())
                    .unwrap_or_default();
                let from = theft.from.plus(-1).end().to_rfc3339(zone);
                thefts.line(&format!(
                    "{},{consumer},{},{from}",
                    theft.dt_id, theft.share_permille
                ))?;
            }
            let minutes = feeder.balance_minutes();
            for quarter in span.quarters().filter(|quarter| quarter.ends_interval(minutes)) {
                reads.compute(&feeder, zone, quarter);
                let (of_dts, own) = feeder.truth_of(&reads, quarter);
                for (number, dt) in of_dts.iter().enumerate() {
                    let flow = &dt.flow;
                    let values = [
                        dt.injected_wh,
                        dt.delivered_wh,
                        dt.loss_wh,
                        flow.stolen_wh,
                        flow.technical_wh,
                    ];
                    dts.row(&feeder.dt_id(number), quarter.end(), &values)?;
                }
                let values = [own.input_wh, own.ht_loss_wh, own.lt_loss_wh, own.total_loss_wh];
                feeders.row(&feeder.id(), quarter.end(), &values)?;
            }
        }
        thefts.finish()?;
        dts.finish()?;
        feeders.finish()
    }
}

const NODE_COLUMNS: &str = "node_id,kind,parent_id,name,area_class,lat,lon,capacity_kva,allowable_loss_pct,technical_loss_pct,valid_from,valid_to";
const METER_COLUMNS: &str =
    "meter_id,role,node_id,boundary_to,interval_minutes,multiplier,valid_from,valid_to";
const CONNECTION_COLUMNS: &str = "consumer_id,meter_id,node_id,category,supply,phases,sanctioned_load_kw,metering,prosumer,assessed_kwh_month,valid_from,valid_to";
const SUPPLY_HOURS_COLUMNS: &str = "node_id,category,weekdays,from,to,valid_from,valid_to";
const READ_COLUMNS: &str =
    "meter_id,interval_end,import_wh,export_wh,import_vah,voltage_v,current_a,captured_at,revision";

/// A cell: empty for `None`. Names and ids hold neither comma nor quote.
fn cell<T: std::fmt::Display>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn validity(from: UtcMicros, to: Option<UtcMicros>, zone: &Zone) -> String {
    format!(
        "{},{}",
        from.to_rfc3339(zone),
        cell(to.map(|to| to.to_rfc3339(zone)))
    )
}

fn node_line(row: &NodeRow, zone: &Zone) -> String {
    [
        row.node_id.to_string(),
        row.kind.to_string(),
        cell(row.parent_id.as_ref()),
        row.name.clone(),
        cell(row.area_class),
        cell(row.lat),
        cell(row.lon),
        cell(row.capacity_kva),
        cell(row.allowable_loss_pct),
        cell(row.technical_loss_pct),
        validity(row.valid_from, row.valid_to, zone),
    ]
    .join(",")
}

fn meter_line(row: &MeterRow, zone: &Zone) -> String {
    [
        row.meter_id.to_string(),
        row.role.to_string(),
        cell(row.node_id.as_ref()),
        cell(row.boundary_to.as_ref()),
        row.interval_minutes.minutes().to_string(),
        f64::from(row.multiplier).to_string(),
        validity(row.valid_from, row.valid_to, zone),
    ]
    .join(",")
}

fn connection_line(row: &ConnectionRow, zone: &Zone) -> String {
    [
        row.consumer_id.to_string(),
        cell(row.meter_id.as_ref()),
        row.node_id.to_string(),
        row.category.clone(),
        row.supply.to_string(),
        row.phases.to_string(),
        cell(row.sanctioned_load_kw),
        row.metering.to_string(),
        row.prosumer.to_string(),
        cell(row.assessed_kwh_month),
        validity(row.valid_from, row.valid_to, zone),
    ]
    .join(",")
}

fn supply_hours_line(row: &SupplyHoursRow, zone: &Zone) -> String {
    [
        cell(row.node_id.as_ref()),
        cell(row.category.as_ref()),
        row.weekdays.to_string(),
        row.from.to_string(),
        row.to.to_string(),
        validity(row.valid_from, row.valid_to, zone),
    ]
    .join(",")
}

fn read_line(meter_id: &str, read: &gridtally_schemas::IntervalRead, zone: &Zone) -> String {
    [
        meter_id.to_owned(),
        read.interval_end.to_rfc3339(zone),
        cell(read.import_wh),
        cell(read.export_wh),
        cell(read.import_vah),
        cell(read.voltage_v),
        cell(read.current_a),
        cell(read.captured_at.map(|at| at.to_rfc3339(zone))),
        read.revision.to_string(),
    ]
    .join(",")
}

fn create(directory: &Path, name: &str) -> Result<(PathBuf, File), FleetError> {
    let path = directory.join(name);
    let file = std::fs::create_dir_all(directory).and_then(|()| File::create(&path));
    match file {
        Ok(file) => Ok((path, file)),
        Err(source) => Err(FleetError::Write { path, source }),
    }
}

struct CsvFile {
    path: PathBuf,
    file: BufWriter<File>,
}

impl CsvFile {
    fn create(directory: &Path, name: &str, columns: &str) -> Result<Self, FleetError> {
        let (path, file) = create(directory, name)?;
        let mut csv = Self {
            path,
            file: BufWriter::new(file),
        };
        csv.line(columns)?;
        Ok(csv)
    }

    fn line(&mut self, line: &str) -> Result<(), FleetError> {
        writeln!(self.file, "{line}").map_err(|source| self.error(source))
    }

    fn finish(mut self) -> Result<(), FleetError> {
        self.file.flush().map_err(|source| self.error(source))
    }

    fn error(&self, source: std::io::Error) -> FleetError {
        FleetError::Write {
            path: self.path.clone(),
            source,
        }
    }
}

/// Rows held before they are written.
const TRUTH_ROWS_MAX: usize = 65_536;

struct TruthFile {
    path: PathBuf,
    schema: SchemaRef,
    writer: ArrowWriter<File>,
    ids: StringBuilder,
    ends: TimestampMicrosecondBuilder,
    values: Vec<Int64Builder>,
    rows: usize,
}

impl TruthFile {
    fn create(directory: &Path, name: &str, columns: (&str, &[&str])) -> Result<Self, FleetError> {
        let (path, file) = create(directory, name)?;
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let mut fields = vec![
            Field::new(columns.0, DataType::Utf8, false),
            Field::new("interval_end", time, false),
        ];
        fields.extend(
            columns
                .1
                .iter()
                .map(|name| Field::new(*name, DataType::Int64, false)),
        );
        let schema = Arc::new(Schema::new(fields));
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .build();
        let opened = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties));
        let writer = opened.map_err(|source| FleetError::Parquet {
            path: path.clone(),
            source,
        })?;
        Ok(Self {
            path,
            schema,
            writer,
            ids: StringBuilder::new(),
            ends: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            values: columns.1.iter().map(|_| Int64Builder::new()).collect(),
            rows: 0,
        })
    }

    fn row(&mut self, id: &str, interval_end: UtcMicros, values: &[i64]) -> Result<(), FleetError> {
        self.ids.append_value(id);
        self.ends.append_value(interval_end.0);
        for (column, value) in self.values.iter_mut().zip(values) {
            column.append_value(*value);
        }
        self.rows += 1;
        if self.rows == TRUTH_ROWS_MAX {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), FleetError> {
        let mut columns: Vec<ArrayRef> = vec![Arc::new(self.ids.finish()), Arc::new(self.ends.finish())];
        for column in &mut self.values {
            columns.push(Arc::new(column.finish()));
        }
        self.rows = 0;
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(ParquetError::from);
        let written = batch.and_then(|batch| self.writer.write(&batch));
        written.map_err(|source| self.error(source))
    }

    fn finish(mut self) -> Result<(), FleetError> {
        self.flush()?;
        let path = self.path.clone();
        match self.writer.close() {
            Ok(_) => Ok(()),
            Err(source) => Err(FleetError::Parquet { path, source }),
        }
    }

    fn error(&self, source: ParquetError) -> FleetError {
        FleetError::Parquet {
            path: self.path.clone(),
            source,
        }
    }
}

#[cfg(test)]
mod tests;
