//! What was published of balances, as it stands in each table.

use arrow::array::{Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use gridtally_schemas::{Day, UtcMicros, table};

use super::{
    Back, RestoreError,
    columns::{Rows, known},
};
use crate::{
    balance::Coverage,
    network::NodeIx,
    state::Quarter,
    world::{
        World,
        publish::{DayValues, DtValues, FeederValues, Published, Stage, digest},
        rows::{DAY_LOSSES, DAY_SUMS, DT_KNOWN, DT_SUMS, FEEDER_KNOWN, FEEDER_SUMS},
    },
};

impl World {
    /// Puts back what was published of DT balances.
    pub(crate) fn restore_dt_balance(&mut self, batch: &RecordBatch) -> Result<(), RestoreError> {
        self.put_back_dt_balance(batch, Back::Recovered)
    }

    /// Puts back what was published of feeder balances.
    pub(crate) fn restore_feeder_balance(&mut self, batch: &RecordBatch) -> Result<(), RestoreError> {
        self.put_back_feeder_balance(batch, Back::Recovered)
    }

    pub(in crate::world) fn put_back_dt_balance(
        &mut self,
        batch: &RecordBatch,
        back: Back,
    ) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::DT_BALANCE, batch);
        let (id, end, minutes) = (
            rows.text("dt_id")?,
            rows.time("interval_end")?,
            rows.whole("interval_minutes")?,
        );
        let values = Figures::of(&rows, &DT_KNOWN, &DT_SUMS)?;
        let versions = Versions::of(&rows)?;
        for row in 0..batch.num_rows() {
            let values = DtValues {
                minutes: minutes.value(row),
                known: values.known(row),
                sums: values.sums(row),
                coverage: versions.coverage(row),
            };
            let key = (
                self.balance_node(&rows, id.value(row))?,
                rows.quarter(end.value(row))?,
            );
            self.put_back_interval(key, versions.published(row, digest(&values)), back);
        }
        Ok(())
    }

    pub(in crate::world) fn put_back_feeder_balance(
        &mut self,
        batch: &RecordBatch,
        back: Back,
    ) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::FEEDER_BALANCE, batch);
        let (id, end, minutes) = (
            rows.text("feeder_id")?,
            rows.time("interval_end")?,
            rows.whole("interval_minutes")?,
        );
        let values = Figures::of(&rows, &FEEDER_KNOWN, &FEEDER_SUMS)?;
        let versions = Versions::of(&rows)?;
        for row in 0..batch.num_rows() {
            let values = FeederValues {
                minutes: minutes.value(row),
                known: values.known(row),
                sums: values.sums(row),
                coverage: versions.coverage(row),
            };
            let key = (
                self.balance_node(&rows, id.value(row))?,
                rows.quarter(end.value(row))?,
            );
            self.put_back_interval(key, versions.published(row, digest(&values)), back);
        }
        Ok(())
    }

    /// Balances may be a checkpoint ahead of the master data put back with them; a node that is not known yet will be after replay.
    fn balance_node(&mut self, rows: &Rows<'_>, id: &str) -> Result<NodeIx, RestoreError> {
        Ok(self.network.name_node(&rows.parse(id_column(rows.table), id)?))
    }

    fn put_back_interval(&mut self, (node, quarter): (NodeIx, Quarter), row: Published, back: Back) {
        let of_node = self.published.entry(node).or_default();
        if of_node.get(quarter).is_none_or(|held| row.version > held.version) {
            of_node.put(quarter, &row);
        }
        match back {
            // Whether it is still a balance shows once everything is computed.
            Back::Recovered => {
                self.withdrawn.insert((node, quarter));
            }
            Back::PagedIn => {}
        }
    }

    /// Puts back what was published of daily roll-ups.
    pub(crate) fn restore_days(&mut self, batch: &RecordBatch) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::NODE_BALANCE_DAILY, batch);
        let (id, day) = (rows.text("node_id")?, rows.day("day")?);
        let values = Figures::of(&rows, &DAY_LOSSES, &DAY_SUMS)?;
        let versions = Versions::of(&rows)?;
        for row in 0..batch.num_rows() {
            let values = DayValues {
                sums: values.sums(row),
                losses: values.known(row),
                coverage: versions.coverage(row),
            };
            let published = versions.published(row, digest(&values));
            let node = self.network.name_node(&rows.parse("node_id", id.value(row))?);
            let key = (node, Day(day.value(row)));
            let entry = self.days_published.entry(key).or_default();
            if published.version > entry.version {
                *entry = published;
            }
            self.unpublished_days.insert(key);
        }
        Ok(())
    }
}

fn id_column(table: &'static str) -> &'static str {
    if table == table::DT_BALANCE.name {
        "dt_id"
    } else {
        "feeder_id"
    }
}

/// The value columns of a balance table.
struct Figures {
    known: Vec<Int64Array>,
    sums: Vec<Int64Array>,
}

impl Figures {
    fn of(rows: &Rows<'_>, known: &[&'static str], sums: &[&'static str]) -> Result<Self, RestoreError> {
        let columns = |names: &[&'static str]| {
            names
                .iter()
                .map(|name| rows.whole(name))
                .collect::<Result<_, _>>()
        };
        Ok(Self {
            known: columns(known)?,
            sums: columns(sums)?,
        })
    }

    fn known<const N: usize>(&self, row: usize) -> [Option<i64>; N] {
        std::array::from_fn(|at| {
            self.known
                .get(at)
                .and_then(|column| known(column, row, |row| column.value(row)))
        })
    }

    fn sums<const N: usize>(&self, row: usize) -> [i64; N] {
        let value = |column: &Int64Array| known(column, row, |row| column.value(row));
        std::array::from_fn(|at| self.sums.get(at).and_then(value).unwrap_or(0))
    }
}

/// The columns of a balance table that say how far a row has come.
struct Versions {
    version: Int64Array,
    status: StringArray,
    published_at: TimestampMicrosecondArray,
    expected: Int64Array,
    reported: Int64Array,
    estimated: Int64Array,
}

impl Versions {
    fn of(rows: &Rows<'_>) -> Result<Self, RestoreError> {
        Ok(Self {
            version: rows.whole("version")?,
            status: rows.text("status")?,
            published_at: rows.time("published_at")?,
            expected: rows.whole("meters_expected")?,
            reported: rows.whole("meters_reported")?,
            estimated: rows.whole("meters_estimated")?,
        })
    }

    fn coverage(&self, row: usize) -> Coverage {
        let count = |column: &Int64Array| known(column, row, |row| column.value(row)).unwrap_or(0);
        Coverage {
            expected: count(&self.expected),
            reported: count(&self.reported),
            estimated: count(&self.estimated),
        }
    }

    fn published(&self, row: usize, digest: u64) -> Published {
        let stage = Stage::parse(self.status.value(row));
        Published {
            version: self.version.value(row),
            digest: if stage == Stage::Withdrawn { 0 } else { digest },
            stage,
            at: UtcMicros(self.published_at.value(row)),
        }
    }
}
