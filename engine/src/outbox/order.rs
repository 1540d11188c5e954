//! The order of reads in a file: by meter, then by time, as the table's key says and as compaction leaves them.
//!
//! Reads come interval by interval. By meter a day of them takes a quarter less: an id is written once, a meter's values lie beside each other,
//! and where all came from repeats from meter to meter (benches/README.md, Storage). A meter's reads are then found in a page or two of each
//! file, and whoever reads them all looks a meter up once for all of its rows. Of two million rows 0.1 s of the checkpoint's thread: a sort of
//! references, which finds the runs in which rows came, and leaves the rows where they are.

use gridtally_schemas::{IdList, MeterId};

use super::{Parts, ReadRow};

/// Rows by their meter's id and interval; those of one key in the order in which they came.
pub(super) fn by_key<'a>(rows: &'a Parts<ReadRow>, ids: &IdList<MeterId>) -> Vec<&'a ReadRow> {
    let ranks = ranks(rows, ids);
    let key = |row: &ReadRow| {
        (
            ranks.get(row.meter.at()).copied().unwrap_or(u32::MAX),
            row.quarter,
        )
    };
    let mut keyed = Vec::with_capacity(rows.len());
    keyed.extend(rows.iter().map(|row| (key(row), row)));
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, row)| row).collect()
}

/// By each meter's index its place by id among those that have rows.
fn ranks(rows: &Parts<ReadRow>, ids: &IdList<MeterId>) -> Vec<u32> {
    let mut ranks = vec![0; ids.len()];
    for row in rows.iter() {
        if let Some(rank) = ranks.get_mut(row.meter.at()) {
            *rank = 1;
        }
    }
    let mut meters: Vec<usize> = (0..)
        .zip(&ranks)
        .filter(|(_, rank)| **rank > 0)
        .map(|(at, _)| at)
        .collect();
    // Meters are numbered as master data named them, mostly in the order of their ids: a sort that finds such runs has little to do.
    meters.sort_by(|one, other| ids.get(*one).cmp(&ids.get(*other)));
    for (rank, meter) in (0..).zip(meters) {
        if let Some(place) = ranks.get_mut(meter) {
            *place = rank;
        }
    }
    ranks
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::AsArray;
    use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
    use gridtally_ingest::log::Position;
    use gridtally_schemas::{UtcMicros, Zone};

    use super::super::{Origin, Outbox, Stamp, reads_batch};
    use super::*;
    use crate::{
        network::MeterIx,
        state::{Quality, Quarter, Value},
    };

    #[test]
    fn reads_are_written_by_meter_and_time_and_of_one_key_as_they_came() {
        let mut ids = IdList::<MeterId>::default();
        for id in ["m3", "m1", "m4", "m2"] {
            ids.push(&MeterId::parse(id).unwrap());
        }
        let mut outbox = Outbox::default();
        // Meter by index, quarter, import: two of one key, the later with the smaller value.
        let came = [(0, 9, 1), (1, 9, 2), (3, 9, 7), (0, 8, 3), (1, 8, 4), (3, 9, 5)];
        for (position, (meter, quarter, import_wh)) in (1..).zip(came) {
            let origin = Origin {
                position: Position(position),
                received_at: UtcMicros(0),
                source: Arc::from("gateway:g"),
            };
            let value = Value {
                quality: Quality::Actual,
                revision: 0,
                captured_at: None,
                import_wh,
                export_wh: None,
                import_vah: None,
                voltage_v: None,
                current_a: None,
            };
            outbox.push_read(&origin, (MeterIx(meter), Quarter(quarter)), (&value, 1), None);
        }
        let zone = Zone::kolkata();
        let stamp = Stamp {
            published_at: UtcMicros(0),
            zone: &zone,
        };
        let rows = std::mem::take(&mut outbox.reads);
        let batch = reads_batch(&rows, &outbox.origins, &ids, stamp).unwrap();
        let column = |name: &str| batch.column_by_name(name).unwrap();
        let meters: Vec<_> = column("meter_id").as_string::<i32>().iter().flatten().collect();
        assert_eq!(meters, ["m1", "m1", "m2", "m2", "m3", "m3"]);
        let ends = column("interval_end").as_primitive::<TimestampMicrosecondType>();
        let ends: Vec<_> = ends.values().iter().map(|end| end / 900_000_000).collect();
        assert_eq!(ends, [8, 9, 9, 9, 8, 9]);
        let whole = |name: &str| column(name).as_primitive::<Int64Type>().values().to_vec();
        assert_eq!(whole("import_wh"), [4, 2, 7, 5, 3, 1]);
        assert_eq!(
            whole("position"),
            [5, 2, 3, 6, 4, 1],
            "each row keeps where it came from"
        );
    }
}
