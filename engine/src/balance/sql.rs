//! Running the balance SQL: planned once, run over other rows each time.
//!
//! The plans read their input from the task that runs them, not from the catalog: so one [`BalanceSql`] serves any number of runs, at
//! the same time too.

use std::sync::Arc;

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use datafusion::{
    catalog::streaming::StreamingTable,
    error::DataFusionError,
    execution::{SendableRecordBatchStream, TaskContext},
    physical_plan::{
        ExecutionPlan, collect, execution_plan::reset_plan_states, stream::RecordBatchStreamAdapter,
        streaming::PartitionStream,
    },
    prelude::{SessionConfig, SessionContext},
};
use tokio::sync::OnceCell;

use super::{
    BalanceError, Computed, DT_BALANCE_SQL, FEEDER_BALANCE_SQL,
    figures::{DtRows, kept_rows, read_dts, read_feeders},
    gather::{MemberReads, member_reads_schema},
};

/// Rows that the operators work on at a time: their columns stay in the processor's cache.
const ROWS_TOGETHER: usize = 8_192;

/// Runs the balance SQL.
pub struct BalanceSql {
    context: SessionContext,
    planned: OnceCell<Planned>,
}

/// Both statements, ready to run.
struct Planned {
    dt: Arc<dyn ExecutionPlan>,
    feeder: Arc<dyn ExecutionPlan>,
}

impl std::fmt::Debug for BalanceSql {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BalanceSql").finish_non_exhaustive()
    }
}

impl Default for BalanceSql {
    fn default() -> Self {
        let config = SessionConfig::new()
            .with_target_partitions(1)
            .with_information_schema(false);
        Self {
            context: SessionContext::new_with_config(config),
            planned: OnceCell::new(),
        }
    }
}

impl BalanceSql {
    /// Computes the balances of what was gathered.
    ///
    /// # Errors
    /// [`BalanceError`] when Arrow or DataFusion fails: a fault of the program or a lack of memory, never of the data.
    pub async fn run(&self, members: MemberReads) -> Result<Vec<Computed>, BalanceError> {
        let planned = self.planned.get_or_try_init(|| self.plan()).await?;
        let (entries, batches) = members.into_batches().map_err(BalanceError::Members)?;
        let mut input = Input {
            member_reads: batches.iter().flat_map(slices).collect(),
            dt_balance: Vec::new(),
        };
        input.dt_balance = self.query("dt_balance.sql", &planned.dt, input.clone()).await?;
        let mut dts = DtRows::default();
        for batch in &input.dt_balance {
            read_dts(batch, &entries, &mut dts)?;
        }
        dts.sort();
        input
            .dt_balance
            .extend(kept_rows(&entries, &planned.dt.schema())?);
        let feeders = self.query("feeder_balance.sql", &planned.feeder, input).await?;
        let mut computed = Vec::with_capacity(entries.len());
        for batch in &feeders {
            read_feeders(batch, &entries, &dts, &mut computed)?;
        }
        computed.sort_by_key(|(feeder, quarter, _)| (*feeder, *quarter));
        Ok(computed)
    }

    async fn plan(&self) -> Result<Planned, BalanceError> {
        self.provide(InputTable::MemberReads, member_reads_schema())?;
        let dt = self.plan_one("dt_balance.sql", DT_BALANCE_SQL).await?;
        self.provide(InputTable::DtBalance, dt.schema())?;
        let feeder = self.plan_one("feeder_balance.sql", FEEDER_BALANCE_SQL).await?;
        Ok(Planned { dt, feeder })
    }

    fn provide(&self, table: InputTable, schema: SchemaRef) -> Result<(), BalanceError> {
        let step = table.name();
        let wrap = |source| BalanceError::Sql { step, source };
        let rows = Arc::new(InputRows {
            table,
            schema: Arc::clone(&schema),
        });
        let provider = StreamingTable::try_new(schema, vec![rows]).map_err(wrap)?;
        self.context
            .register_table(step, Arc::new(provider))
            .map(|_| ())
            .map_err(wrap)
    }

    async fn plan_one(&self, step: &'static str, sql: &str) -> Result<Arc<dyn ExecutionPlan>, BalanceError> {
        let planned = async { self.context.sql(sql).await?.create_physical_plan().await };
        planned.await.map_err(|source| BalanceError::Sql { step, source })
    }

    async fn query(
        &self,
        step: &'static str,
        plan: &Arc<dyn ExecutionPlan>,
        input: Input,
    ) -> Result<Vec<RecordBatch>, BalanceError> {
        let config = self.context.copied_config().with_extension(Arc::new(input));
        let task = TaskContext::default()
            .with_session_config(config)
            .with_runtime(self.context.runtime_env());
        let collected = async { collect(reset_plan_states(Arc::clone(plan))?, Arc::new(task)).await };
        collected
            .await
            .map_err(|source| BalanceError::Sql { step, source })
    }
}

/// What one run reads, handed to it with its task.
#[derive(Debug, Clone)]
struct Input {
    member_reads: Vec<RecordBatch>,
    /// Empty while `dt_balance.sql` runs, which makes it.
    dt_balance: Vec<RecordBatch>,
}

fn slices(batch: &RecordBatch) -> Vec<RecordBatch> {
    (0..batch.num_rows())
        .step_by(ROWS_TOGETHER)
        .map(|from| batch.slice(from, ROWS_TOGETHER.min(batch.num_rows() - from)))
        .collect()
}

/// A table that the SQL names.
#[derive(Debug, Clone, Copy)]
enum InputTable {
    MemberReads,
    DtBalance,
}

impl InputTable {
    const fn name(self) -> &'static str {
        match self {
            Self::MemberReads => "member_reads",
            Self::DtBalance => "dt_balance",
        }
    }
}

/// The rows of an input table, whatever they are this time.
#[derive(Debug)]
struct InputRows {
    table: InputTable,
    schema: SchemaRef,
}

impl PartitionStream for InputRows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, task: Arc<TaskContext>) -> SendableRecordBatchStream {
        let schema = Arc::clone(&self.schema);
        let Some(input) = task.session_config().get_extension::<Input>() else {
            let error = DataFusionError::Internal("a balance plan was run without its input".to_owned());
            let failed = futures::stream::iter([Err(error)]);
            return Box::pin(RecordBatchStreamAdapter::new(schema, failed));
        };
        let batches = match self.table {
            InputTable::MemberReads => input.member_reads.clone(),
            InputTable::DtBalance => input.dt_balance.clone(),
        };
        let batches = futures::stream::iter(batches.into_iter().map(Ok));
        Box::pin(RecordBatchStreamAdapter::new(schema, batches))
    }
}
