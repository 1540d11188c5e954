//! Back from the table: indices as they were last published.

use arrow::array::RecordBatch;
use gridtally_schemas::{Day, table};

use super::{
    World,
    rows::{Basis, COUNTS, MajorDays, NUMBERS},
};
use crate::world::restore::{
    RestoreError,
    columns::{Rows, known},
};

impl World {
    /// Puts back what was published of indices.
    pub(crate) fn restore_indices(&mut self, batch: &RecordBatch) -> Result<(), RestoreError> {
        let rows = Rows::of(&table::RELIABILITY_MONTHLY, batch);
        let (node, basis, med) = (rows.text("node_id")?, rows.text("basis")?, rows.text("med")?);
        let (month, version) = (rows.day("month")?, rows.whole("version")?);
        let counts = COUNTS
            .map(|name| rows.whole(name))
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?;
        let numbers = NUMBERS
            .map(|name| rows.number(name))
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            let mut figures = ([0; 3], [None; 11]);
            for (figure, column) in figures.0.iter_mut().zip(&counts) {
                *figure = u64::try_from(column.value(row)).unwrap_or(0);
            }
            for (figure, column) in figures.1.iter_mut().zip(&numbers) {
                *figure = known(column, row, |row| column.value(row).to_bits());
            }
            let basis_of = |word: &str| Basis::ALL.into_iter().find(|known| known.as_str() == word);
            let med_of = |word: &str| MajorDays::ALL.into_iter().find(|known| known.as_str() == word);
            let basis = basis_of(basis.value(row)).ok_or_else(|| rows.bad("basis", &basis.value(row)))?;
            let med = med_of(med.value(row)).ok_or_else(|| rows.bad("med", &med.value(row)))?;
            let node = self.network.name_node(&rows.parse("node_id", node.value(row))?);
            let month = Day(month.value(row));
            let key = (node, month, basis, med);
            self.indices.published.restore(key, version.value(row), &figures);
            self.indices.note_month(month);
        }
        Ok(())
    }
}
