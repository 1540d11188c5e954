//! A report as CSV: one table, a row each row of a section, with the columns of all sections.
//!
//! The first columns say of what it is: `report`, `period`, `report_node`, `as_of`, `section`. A column that a section does not have is empty,
//! as null is. Numbers are as in the query: no grouping, a point, no unit (the query's column name says it).

use super::Made;
use crate::sql::{plain, push_csv};

const OF_WHAT: [&str; 5] = ["report", "period", "report_node", "as_of", "section"];

impl Made {
    /// The report as CSV with a header.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut columns: Vec<&'static str> = Vec::new();
        for column in self.sections.iter().flat_map(|filled| filled.section.columns()) {
            if !columns.contains(&column.name) {
                columns.push(column.name);
            }
        }
        let mut csv = String::new();
        let heads = OF_WHAT.into_iter().chain(columns.iter().copied());
        row(heads.map(|head| Some(head.to_owned())), &mut csv);
        let node = self.path.first().map(|place| place.id.clone());
        for filled in &self.sections {
            for values in &filled.rows.rows {
                let of_what = [
                    Some(self.report.name().to_owned()),
                    Some(self.period.name.clone()),
                    node.clone(),
                    Some(self.as_of.to_rfc3339(&self.zone)),
                    Some(filled.section.id.to_owned()),
                ];
                let own = |name: &&'static str| filled.section.columns().any(|column| column.name == *name);
                let cells = columns.iter().map(|name| {
                    let value = filled.rows.value(values, name);
                    (own(name) && !value.is_null()).then(|| plain(value))
                });
                row(of_what.into_iter().chain(cells), &mut csv);
            }
        }
        csv
    }
}

fn row(cells: impl Iterator<Item = Option<String>>, csv: &mut String) {
    for (at, cell) in cells.enumerate() {
        if at > 0 {
            csv.push(',');
        }
        if let Some(cell) = cell {
            push_csv(&cell, csv);
        }
    }
    csv.push_str("\r\n");
}
