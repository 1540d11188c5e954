//! From `interval_reads` to the cells of a day: every row is read once, and those of contested intervals a second time.

use std::sync::{Arc, atomic::Ordering};

use arrow::{
    array::{Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray},
    datatypes::Int64Type,
};
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use gridtally_schemas::{Day, UtcMicros, table};
use tokio::sync::mpsc;

use super::{
    Progress, VerifyError,
    cells::{Cells, Frame, Read},
    differences::{Concerns, Difference, Differences, Place},
    selection::Work,
    snapshot::{array, days_between, failed, standing_reads, texts, times},
    versions,
};
use crate::{
    network::MeterIx,
    state::{Quality, Quarter},
};

/// What is read of every row.
const COLUMNS: [&str; 7] = [
    "meter_id",
    "interval_end",
    "import_wh",
    "export_wh",
    "quality",
    "version",
    "position",
];
/// Parts of the table that wait to be put into the cells.
const PARTS_WAITING: usize = 4;
pub(super) const TABLE: &str = table::INTERVAL_READS.name;

/// One day's reads of some meters.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) day: Day,
    /// The group of feeders.
    pub(super) unit: usize,
    pub(super) frame: Frame,
    /// Whether rows of meters that are in no row of `meters` or `connections` are findings here.
    pub(super) has_others: bool,
}

/// The part of a batch that belongs to the frame, and what is wrong with the rest.
#[derive(Debug, Default)]
struct Part {
    reads: Vec<Read>,
    differences: Differences,
    rows: u64,
}

/// Reads them, decides which of several versions is valid, and notes where the table says otherwise.
pub(super) async fn read(
    work: &Arc<Work>,
    wanted: &Arc<Wanted>,
    progress: &Progress,
) -> Result<(Cells, Differences), VerifyError> {
    let zone = &work.settings.zone;
    let from = zone.day_of_interval(wanted.frame.first().end()).min(wanted.day);
    let filter = days_between(from, wanted.day).and(standing_reads(work.position, work.published_at));
    let rows = work.snapshot.rows(&table::INTERVAL_READS, Some(filter.clone()))?;
    let (sender, mut parts) = mpsc::channel(PARTS_WAITING);
    for stream in rows.columns(&COLUMNS)?.streams().await? {
        let (work, wanted, sender) = (Arc::clone(work), Arc::clone(wanted), sender.clone());
        tokio::spawn(async move { send_parts(&work, &wanted, stream, sender).await });
    }
    drop(sender);
    let mut cells = Cells::new(&wanted.frame);
    let mut differences = Differences::default();
    while let Some(part) = parts.recv().await {
        let part: Part = part?;
        part.reads.iter().for_each(|read| cells.put(read));
        differences.append(part.differences);
        progress.reads.fetch_add(part.rows, Ordering::Relaxed);
    }
    if !cells.contested().is_empty() {
        versions::decide(work, wanted, filter, &mut cells, &mut differences).await?;
    }
    Ok((cells, differences))
}

async fn send_parts(
    work: &Work,
    wanted: &Wanted,
    mut stream: SendableRecordBatchStream,
    sender: mpsc::Sender<Result<Part, VerifyError>>,
) {
    let mut finder = MeterFinder::new(work, wanted);
    while let Some(batch) = stream.next().await {
        let part = match batch {
            Ok(batch) => part_of(work, wanted, &mut finder, &batch),
            Err(source) => Err(failed(TABLE, source)),
        };
        let is_last = part.is_err();
        // Who receives has stopped only when another part had failed.
        if sender.send(part).await.is_err() || is_last {
            return;
        }
    }
}

/// Where the rows of a meter belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// In this column of the frame.
    Slot(u32),
    /// To another group of feeders.
    Elsewhere,
    /// Nowhere: no master row names the meter.
    Unknown,
}

/// Meters by id. Rows of one meter come in runs: the last look-up is kept.
pub(super) struct MeterFinder<'a> {
    work: &'a Work,
    frame: &'a Frame,
    last: String,
    column: Column,
}

impl<'a> MeterFinder<'a> {
    pub(super) fn new(work: &'a Work, wanted: &'a Wanted) -> Self {
        Self {
            work,
            frame: &wanted.frame,
            last: String::new(),
            column: Column::Unknown,
        }
    }

    pub(super) fn find(&mut self, id: &str) -> Column {
        if self.last != id {
            id.clone_into(&mut self.last);
            let meter: Option<MeterIx> = self.work.network.find_meter(id);
            self.column = meter.map_or(Column::Unknown, |meter| {
                self.frame.slot(meter).map_or(Column::Elsewhere, Column::Slot)
            });
        }
        self.column
    }
}

/// The columns of [`COLUMNS`].
struct Rows {
    meter_id: StringArray,
    interval_end: TimestampMicrosecondArray,
    import_wh: Int64Array,
    export_wh: Int64Array,
    quality: StringArray,
    version: Int64Array,
}

impl Rows {
    fn of(batch: &RecordBatch) -> Result<Self, VerifyError> {
        Ok(Self {
            meter_id: texts(TABLE, batch, "meter_id")?,
            interval_end: times(TABLE, batch, "interval_end")?,
            import_wh: array::<Int64Type>(TABLE, batch, "import_wh")?,
            export_wh: array::<Int64Type>(TABLE, batch, "export_wh")?,
            quality: texts(TABLE, batch, "quality")?,
            version: array::<Int64Type>(TABLE, batch, "version")?,
        })
    }
}

/// Why a row cannot be a read: a column, what it holds, and what could stand there.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) column: &'static str,
    pub(super) held: String,
    pub(super) needed: &'static str,
}

impl Fault {
    pub(super) fn new(column: &'static str, held: &(impl ToString + ?Sized), needed: &'static str) -> Self {
        Self {
            column,
            held: held.to_string(),
            needed,
        }
    }

    pub(super) fn difference(self, work: &Work, (id, end): (&str, UtcMicros)) -> Difference {
        let key = format!(
            "meter_id={id} interval_end={}",
            end.to_rfc3339(&work.settings.zone)
        );
        Difference {
            table: TABLE,
            column: self.column,
            published: self.held,
            recomputed: self.needed.to_owned(),
            version: None,
            evidence: Vec::new(),
            place: Place {
                table: 0,
                at: end,
                key: key.clone(),
                column: 0,
                concerns: Concerns::Itself,
            },
            key,
        }
    }
}

fn part_of(
    work: &Work,
    wanted: &Wanted,
    finder: &mut MeterFinder<'_>,
    batch: &RecordBatch,
) -> Result<Part, VerifyError> {
    let rows = Rows::of(batch)?;
    let mut part = Part {
        reads: Vec::with_capacity(batch.num_rows()),
        rows: u64::try_from(batch.num_rows()).unwrap_or(0),
        ..Part::default()
    };
    for row in 0..batch.num_rows() {
        let (id, end) = (rows.meter_id.value(row), UtcMicros(rows.interval_end.value(row)));
        let read = place_of(work, wanted, finder.find(id), end)
            .and_then(|place| place.map(|place| read_of(&rows, row, place)).transpose());
        match read {
            Ok(read) => part.reads.extend(read),
            Err(fault) if work.looks_after(id, wanted.unit) => {
                part.differences.push(fault.difference(work, (id, end)));
            }
            Err(_) => {}
        }
    }
    Ok(part)
}

/// The cell of a read; `None`: it belongs to another day or group.
pub(super) fn place_of(
    work: &Work,
    wanted: &Wanted,
    column: Column,
    end: UtcMicros,
) -> Result<Option<usize>, Fault> {
    let slot = match column {
        Column::Slot(slot) => slot,
        Column::Elsewhere => return Ok(None),
        Column::Unknown if wanted.has_others => {
            return Err(Fault::new(
                "meter_id",
                "a meter that master data does not know",
                "no row",
            ));
        }
        Column::Unknown => return Ok(None),
    };
    let quarter = Quarter::ending(end)
        .ok_or_else(|| Fault::new("interval_end", &end, "the end of a quarter of an hour"))?;
    let place = wanted.frame.place(slot, quarter);
    let day = || work.settings.zone.day_of_interval(end);
    if place.is_none() && day() > wanted.day {
        return Err(Fault::new(
            "day",
            &wanted.day,
            "the civil day in which the interval began",
        ));
    }
    Ok(place)
}

fn read_of(rows: &Rows, row: usize, place: usize) -> Result<Read, Fault> {
    Ok(Read {
        place,
        import_wh: energy("import_wh", rows.import_wh.value(row))?,
        export_wh: if rows.export_wh.is_valid(row) {
            energy("export_wh", rows.export_wh.value(row))?
        } else {
            0
        },
        quality: quality(rows.quality.value(row))?,
        is_first: rows.version.value(row) == 1,
    })
}

pub(super) fn energy(column: &'static str, wh: i64) -> Result<u32, Fault> {
    u32::try_from(wh).map_err(|_| Fault::new(column, &wh, "an energy that a meter counts in an interval"))
}

pub(super) fn quality(word: &str) -> Result<Quality, Fault> {
    Quality::parse(word).ok_or_else(|| Fault::new("quality", word, "edited, actual, estimated or missing"))
}
