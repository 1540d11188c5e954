//! A result whose rows are taken as its client wants them. While nobody takes any, its worker waits.

use std::{collections::VecDeque, sync::Arc};

use arrow::{
    array::{ArrayRef, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema, SchemaRef},
};

use super::problem::Problem;
use crate::sql::{Answer, Audit};

/// A result.
#[derive(Debug)]
pub(super) struct Cursor {
    pub(super) schema: SchemaRef,
    source: Source,
    /// What was taken from the source and not yet from here.
    open: Option<RecordBatch>,
    pub(super) audit: Option<Audit>,
    rows_max: usize,
}

#[derive(Debug)]
enum Source {
    Worker(Box<Answer>),
    Held(VecDeque<RecordBatch>),
}

impl Cursor {
    /// The rows of a worker; waits until they are planned. `rows_max` is how many it gives at most.
    pub(super) async fn of_worker(
        mut answer: Answer,
        audit: Audit,
        rows_max: usize,
    ) -> Result<Self, Problem> {
        let mut audit = audit;
        let schema = match answer.schema().await {
            Ok(schema) => schema,
            Err(error) => {
                audit.failed(&error);
                return Err(error.into());
            }
        };
        Ok(Self {
            schema,
            source: Source::Worker(Box::new(answer)),
            open: None,
            audit: Some(audit),
            rows_max,
        })
    }

    /// Rows of text.
    pub(super) fn of_texts(columns: &[&str], rows: &[Vec<String>]) -> Result<Self, Problem> {
        let fields: Vec<Field> = columns
            .iter()
            .map(|name| Field::new(*name, DataType::Utf8, true))
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let arrays = (0..columns.len()).map(|at| -> ArrayRef {
            Arc::new(
                rows.iter()
                    .map(|row| row.get(at).cloned())
                    .collect::<StringArray>(),
            )
        });
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays.collect())
            .map_err(|error| Problem::new("XX000", error.to_string()))?;
        Ok(Self {
            schema,
            source: Source::Held([batch].into()),
            open: None,
            audit: None,
            rows_max: usize::MAX,
        })
    }

    /// Up to `count` rows more; `None` after the last.
    pub(super) async fn take(&mut self, count: usize) -> Result<Option<RecordBatch>, Problem> {
        loop {
            if let Some(batch) = self.open.take() {
                let taken = count.min(batch.num_rows());
                let left = batch.num_rows() - taken;
                if left > 0 {
                    self.open = Some(batch.slice(taken, left));
                }
                return Ok(Some(batch.slice(0, taken)));
            }
            let next = match &mut self.source {
                Source::Held(batches) => batches.pop_front(),
                Source::Worker(answer) => match answer.next().await? {
                    Some(batch) => Some(batch),
                    None if answer.truncated() => return Err(self.too_many()),
                    None => None,
                },
            };
            match next {
                Some(batch) if batch.num_rows() == 0 => {}
                Some(batch) => self.open = Some(batch),
                None => return Ok(None),
            }
        }
    }

    /// A result that is cut off would be taken for a whole one: it is an error instead.
    fn too_many(&self) -> Problem {
        Problem::new(
            "54000",
            format!("the result has more than {} rows (sql.rows_max)", self.rows_max),
        )
        .with_hint("Aggregate, or set a LIMIT; the operator may raise sql.rows_max.")
    }
}
