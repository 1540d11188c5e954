//! The scan of a table in an area: a leaf of the plan, so that nothing of a statement gets below its filter.

use std::{collections::HashSet, fmt, sync::Arc};

use arrow::{
    array::{AsArray, BooleanArray, RecordBatch},
    compute::{cast, filter_record_batch},
    datatypes::{DataType, SchemaRef},
};
use datafusion::{
    catalog::{Session, TableProvider},
    common::tree_node::TreeNodeRecursion,
    error::{DataFusionError, Result},
    execution::TaskContext,
    logical_expr::{BinaryExpr, Expr, Operator},
    physical_expr::{EquivalenceProperties, PhysicalExpr},
    physical_plan::{
        DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, SendableRecordBatchStream,
        empty::EmptyExec,
        execution_plan::{Boundedness, EmissionType},
        stream::RecordBatchStreamAdapter,
    },
};
use futures::TryStreamExt;
use gridtally_engine::tables::StoredFiles;

/// Whether a condition can be evaluated on rows outside the area without saying anything of them: it compares columns with constants, and
/// so cannot fail.
pub(in crate::sql) fn is_harmless(filter: &Expr) -> bool {
    let plain = |expr: &Expr| matches!(expr, Expr::Column(_) | Expr::Literal(..));
    if let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter {
        return if [Operator::And, Operator::Or].contains(op) {
            is_harmless(left) && is_harmless(right)
        } else {
            COMPARISONS.contains(op) && plain(left) && plain(right)
        };
    }
    if let Expr::Between(between) = filter {
        return plain(&between.expr) && plain(&between.low) && plain(&between.high);
    }
    if let Expr::InList(list) = filter {
        return plain(&list.expr) && list.list.iter().all(plain);
    }
    if let Expr::IsNull(inner) | Expr::IsNotNull(inner) = filter {
        return plain(inner);
    }
    if let Expr::Not(inner) = filter {
        return is_harmless(inner);
    }
    false
}

const COMPARISONS: [Operator; 6] = [
    Operator::Eq,
    Operator::NotEq,
    Operator::Lt,
    Operator::LtEq,
    Operator::Gt,
    Operator::GtEq,
];

/// No rows at all.
pub(in crate::sql) fn nothing(
    schema: &SchemaRef,
    projection: Option<&Vec<usize>>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = match projection {
        Some(columns) => Arc::new(schema.project(columns)?),
        None => Arc::clone(schema),
    };
    Ok(Arc::new(EmptyExec::new(schema)))
}

/// Scans a table and gives the rows whose column holds one of `ids`.
pub(in crate::sql) fn narrowed(
    table: &StoredFiles,
    session: &dyn Session,
    (projection, filters): (Option<&Vec<usize>>, &[Expr]),
    (column, ids): (&'static str, Arc<HashSet<String>>),
) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = table.schema();
    let deciding = schema.index_of(column)?;
    let all: Vec<usize> = (0..schema.fields().len()).collect();
    let wanted = projection.unwrap_or(&all);
    let mut read = wanted.clone();
    // Where the statement does not want the column that decides, it is read beside what it wants.
    let at = match wanted.iter().position(|index| *index == deciding) {
        Some(at) => at,
        None => {
            read.push(deciding);
            wanted.len()
        }
    };
    let beneath = table.sealed(session, &read, filters)?;
    let shown = Arc::new(schema.project(wanted)?);
    Ok(Arc::new(AreaExec::new(beneath, shown, (at, ids))))
}

/// Rows of a scan that belong to an area.
struct AreaExec {
    /// The scan. It is no child: the optimizer neither sees nor changes it.
    beneath: Arc<dyn ExecutionPlan>,
    /// Place of the column that decides, among those that are read.
    at: usize,
    ids: Arc<HashSet<String>>,
    /// What is given out: the first columns of those that are read.
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl AreaExec {
    fn new(
        beneath: Arc<dyn ExecutionPlan>,
        schema: SchemaRef,
        (at, ids): (usize, Arc<HashSet<String>>),
    ) -> Self {
        let partitions = beneath.properties().partitioning.partition_count();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            beneath,
            at,
            ids,
            schema,
            properties: Arc::new(properties),
        }
    }
}

impl fmt::Debug for AreaExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AreaExec")
    }
}

impl DisplayAs for AreaExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AreaExec: rows of the caller's area")
    }
}

impl ExecutionPlan for AreaExec {
    fn name(&self) -> &'static str {
        "AreaExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let batches = self.beneath.execute(partition, context)?;
        let (at, ids, width) = (self.at, Arc::clone(&self.ids), self.schema.fields().len());
        let shown: Vec<usize> = (0..width).collect();
        let narrowed = batches.and_then(move |batch| {
            futures::future::ready(inside(&batch, at, &ids).and_then(|batch| Ok(batch.project(&shown)?)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            Arc::clone(&self.schema),
            narrowed,
        )))
    }
}

/// The rows of a batch whose column holds one of `ids`; null is in no area.
fn inside(batch: &RecordBatch, at: usize, ids: &HashSet<String>) -> Result<RecordBatch> {
    let cells = cast(batch.column(at), &DataType::Utf8)?;
    let cells = cells
        .as_string_opt::<i32>()
        .ok_or_else(|| DataFusionError::Internal("the column that decides an area is no text".to_owned()))?;
    let keep: BooleanArray = cells
        .iter()
        .map(|id| Some(id.is_some_and(|id| ids.contains(id))))
        .collect();
    Ok(filter_record_batch(batch, &keep)?)
}
