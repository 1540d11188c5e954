//! `application/vnd.apache.arrow.stream`: one Arrow IPC stream, all of one kind by its columns.
//!
//! | Kind | Columns (others are ignored) |
//! |---|---|
//! | interval reads | `meter_id`, `interval_end`, `import_wh`, and optionally `export_wh`, `import_vah`, `voltage_v`, `current_a`, `captured_at`, `revision` |
//! | events | `meter_id`, `at`, `code`, and optionally `sequence` |
//! | register reads | `meter_id`, `at`, `import_wh`, and optionally `export_wh` |
//!
//! Text is any string type or a dictionary of it, energies any integer, times a timestamp with zone. `meter_id` may be absent or
//! null where the topic names the meter. Rows of one meter that follow one another become one part.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, Float32Array, Int32Array, Int64Array, RecordBatch, StringArray,
        TimestampMicrosecondArray,
    },
    buffer::Buffer,
    compute::cast,
    datatypes::{DataType, Float32Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType},
    error::ArrowError,
    ipc::{reader::StreamDecoder, writer::StreamWriter},
};

use super::{DecodeError, Sink, malformed, required, whole_time};
use crate::{IntervalRead, PowerEvent, Publish, RegisterRead, UtcMicros};

const ENCODING: &str = "an Arrow stream";

fn bad(detail: impl Into<String>) -> DecodeError {
    malformed(ENCODING, detail)
}

pub(super) fn decode(payload: &[u8], sink: &mut Sink<'_>) -> Result<(), DecodeError> {
    let batches = read_batches(payload)?;
    for batch in &batches {
        Columns::of(batch)?.pour(sink)?;
    }
    Ok(())
}

/// Read by the push decoder, which never allocates for a length that the payload only claims. Some malformed offsets still panic in
/// Arrow's buffers: contained here (DEC-1).
fn read_batches(payload: &[u8]) -> Result<Vec<RecordBatch>, DecodeError> {
    let read = || -> Result<Vec<RecordBatch>, ArrowError> {
        let mut rest = Buffer::from(payload);
        let mut decoder = StreamDecoder::new();
        let mut batches = Vec::new();
        while !rest.is_empty() {
            match decoder.decode(&mut rest)? {
                Some(batch) => batches.push(batch),
                None => break,
            }
        }
        decoder.finish()?;
        Ok(batches)
    };
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(batches)) => Ok(batches),
        Ok(Err(error)) => Err(bad(error.to_string())),
        Err(_) => Err(bad("an offset in it points outside")),
    }
}

fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")))
}

/// The columns of one batch, in the types that are used here.
struct Columns {
    rows: usize,
    meter_id: Option<StringArray>,
    interval_end: Option<TimestampMicrosecondArray>,
    at: Option<TimestampMicrosecondArray>,
    captured_at: Option<TimestampMicrosecondArray>,
    import_wh: Option<Int64Array>,
    export_wh: Option<Int64Array>,
    import_vah: Option<Int64Array>,
    sequence: Option<Int64Array>,
    code: Option<Int32Array>,
    revision: Option<Int32Array>,
    voltage_v: Option<Float32Array>,
    current_a: Option<Float32Array>,
}

impl Columns {
    fn of(batch: &RecordBatch) -> Result<Self, DecodeError> {
        let whole = |name| {
            Ok::<_, DecodeError>(
                column(batch, name, &DataType::Int64)?.map(|array| array.as_primitive::<Int64Type>().clone()),
            )
        };
        let small = |name| {
            Ok::<_, DecodeError>(
                column(batch, name, &DataType::Int32)?.map(|array| array.as_primitive::<Int32Type>().clone()),
            )
        };
        let number = |name| {
            Ok::<_, DecodeError>(
                column(batch, name, &DataType::Float32)?
                    .map(|array| array.as_primitive::<Float32Type>().clone()),
            )
        };
        let time = |name| {
            let zoned = batch
                .schema_ref()
                .field_with_name(name)
                .ok()
                .map(|field| field.data_type().clone());
            if zoned.is_some_and(|kind| !matches!(kind, DataType::Timestamp(_, Some(_)))) {
                return Err(bad(format!("column {name} is not a timestamp with time zone")));
            }
            Ok(column(batch, name, &utc())?
                .map(|array| array.as_primitive::<TimestampMicrosecondType>().clone()))
        };
        Ok(Self {
            rows: batch.num_rows(),
            meter_id: column(batch, "meter_id", &DataType::Utf8)?
                .map(|array| array.as_string::<i32>().clone()),
            interval_end: time("interval_end")?,
            at: time("at")?,
            captured_at: time("captured_at")?,
            import_wh: whole("import_wh")?,
            export_wh: whole("export_wh")?,
            import_vah: whole("import_vah")?,
            sequence: whole("sequence")?,
            code: small("code")?,
            revision: small("revision")?,
            voltage_v: number("voltage_v")?,
            current_a: number("current_a")?,
        })
    }

    fn pour(&self, sink: &mut Sink<'_>) -> Result<(), DecodeError> {
        let mut last = None;
        for row in 0..self.rows {
            let meter = self
                .meter_id
                .as_ref()
                .filter(|ids| ids.is_valid(row))
                .map(|ids| ids.value(row));
            if row == 0 || last != meter {
                sink.begin_meter(meter)?;
                last = meter;
            }
            if self.interval_end.is_some() {
                sink.publish.push_read(self.read(row)?);
            } else if self.code.is_some() {
                let code = required(ENCODING, "code", get(self.code.as_ref(), row))?;
                sink.publish.push_event(PowerEvent {
                    at: self.at(row)?,
                    code,
                    sequence: get(self.sequence.as_ref(), row),
                });
            } else {
                let (import_wh, export_wh) = (
                    get(self.import_wh.as_ref(), row),
                    get(self.export_wh.as_ref(), row),
                );
                sink.publish.push_register(RegisterRead {
                    at: self.at(row)?,
                    import_wh,
                    export_wh,
                });
            }
        }
        Ok(())
    }

    fn at(&self, row: usize) -> Result<UtcMicros, DecodeError> {
        let at = required(ENCODING, "interval_end or at", get(self.at.as_ref(), row))?;
        whole_time(ENCODING, "at", at)
    }

    fn read(&self, row: usize) -> Result<IntervalRead, DecodeError> {
        let end = required(ENCODING, "interval_end", get(self.interval_end.as_ref(), row))?;
        let captured_at = get(self.captured_at.as_ref(), row);
        let finite = |number: Option<f32>| number.filter(|number| number.is_finite());
        Ok(IntervalRead {
            interval_end: whole_time(ENCODING, "interval_end", end)?,
            import_wh: get(self.import_wh.as_ref(), row),
            export_wh: get(self.export_wh.as_ref(), row),
            import_vah: get(self.import_vah.as_ref(), row),
            voltage_v: finite(get(self.voltage_v.as_ref(), row)),
            current_a: finite(get(self.current_a.as_ref(), row)),
            captured_at: captured_at
                .map(|at| whole_time(ENCODING, "captured_at", at))
                .transpose()?,
            revision: get(self.revision.as_ref(), row).unwrap_or(0),
        })
    }
}

fn get<T: arrow::datatypes::ArrowPrimitiveType>(
    array: Option<&arrow::array::PrimitiveArray<T>>,
    row: usize,
) -> Option<T::Native> {
    array
        .filter(|array| row < array.len() && array.is_valid(row))
        .map(|array| array.value(row))
}

/// A column cast to the type used here; a value that does not fit is an error, not a null.
fn column(batch: &RecordBatch, name: &str, to: &DataType) -> Result<Option<ArrayRef>, DecodeError> {
    let Some(array) = batch.column_by_name(name) else {
        return Ok(None);
    };
    if array.data_type() == to {
        return Ok(Some(Arc::clone(array)));
    }
    let options = arrow::compute::CastOptions {
        safe: false,
        ..Default::default()
    };
    arrow::compute::cast_with_options(array, to, &options)
        .map(Some)
        .map_err(|error| bad(format!("column {name}: {error}")))
}

/// The interval reads of a publish as one Arrow stream; registers and events have streams of their own and are left out.
pub(super) fn encode_reads(publish: &Publish) -> Result<Vec<u8>, ArrowError> {
    let rows = || {
        publish
            .meters()
            .flat_map(|span| span.reads.iter().map(move |read| (span.meter_id, read)))
    };
    let time = |array: TimestampMicrosecondArray| -> ArrayRef { Arc::new(array.with_timezone("UTC")) };
    let ids: StringArray = rows().map(|(id, _)| Some(id)).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "meter_id",
            cast(
                &ids,
                &DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            )?,
        ),
        (
            "interval_end",
            time(rows().map(|(_, read)| Some(read.interval_end.0)).collect()),
        ),
        (
            "import_wh",
            Arc::new(rows().map(|(_, read)| read.import_wh).collect::<Int64Array>()),
        ),
        (
            "export_wh",
            Arc::new(rows().map(|(_, read)| read.export_wh).collect::<Int64Array>()),
        ),
        (
            "import_vah",
            Arc::new(rows().map(|(_, read)| read.import_vah).collect::<Int64Array>()),
        ),
        (
            "voltage_v",
            Arc::new(rows().map(|(_, read)| read.voltage_v).collect::<Float32Array>()),
        ),
        (
            "current_a",
            Arc::new(rows().map(|(_, read)| read.current_a).collect::<Float32Array>()),
        ),
        (
            "captured_at",
            time(rows().map(|(_, read)| read.captured_at.map(|at| at.0)).collect()),
        ),
        (
            "revision",
            Arc::new(
                rows()
                    .map(|(_, read)| Some(read.revision))
                    .collect::<Int32Array>(),
            ),
        ),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )?;
    let mut writer = StreamWriter::try_new(Vec::new(), batch.schema_ref())?;
    writer.write(&batch)?;
    writer.into_inner()
}

#[cfg(test)]
mod tests;
