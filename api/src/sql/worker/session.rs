//! The session in which a question is planned and answered: limits, functions and tables.
//!
//! All of it but who asks can be there before the question. What it reads is read when a table is first scanned.

use std::sync::Arc;

use datafusion::{
    catalog::{CatalogProvider, MemoryCatalogProvider},
    config::Dialect,
    error::DataFusionError,
    execution::{
        disk_manager::{DiskManagerBuilder, DiskManagerMode},
        memory_pool::FairSpillPool,
        runtime_env::{RuntimeEnv, RuntimeEnvBuilder},
        session_state::SessionStateBuilder,
    },
    optimizer::{Analyzer, AnalyzerRule},
    prelude::{SessionConfig, SessionContext},
};

use super::{
    super::{
        area::Area,
        catalog::Published,
        postgres,
        protocol::{Ask, Request},
        zoned,
    },
    Prepared, Question, threads,
};

const CATALOG: &str = "gridtally";
const SCHEMA: &str = "public";
/// Temporary files of one query, as a multiple of its memory.
const SPILL_FACTOR: u64 = 8;
/// Files of a scan that are larger in all are read by several threads, bytes. DataFusion's default is 10 MiB: a month of a feeder's days is
/// below that, and would be read by one.
const SPLIT_BYTES_MIN: usize = 128 << 10;
/// A sort sets aside this share of the query's memory, over all its partitions, for merging what it spilled. DataFusion's default
/// is 10 MB a partition whatever the memory, so that with little of it two partitions starve each other.
const SORT_MERGE_SHARE: usize = 8;
/// But at most this much a partition: DataFusion's default.
const SORT_MERGE_BYTES_MAX: usize = 10 << 20;

/// A session that lacks who asks.
pub(super) struct Session {
    context: SessionContext,
    catalog: MemoryCatalogProvider,
    published: Published,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("published", &self.published)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// That of a question: one that is ready, or a new one.
    pub(super) fn of(question: Question<'_>) -> Result<SessionContext, DataFusionError> {
        let (request, prepared) = (question.request, question.prepared);
        let session = match prepared.take(request) {
            Some(ready) => ready,
            None => Self::new(request, prepared)?,
        };
        session.asked_by(request.postgres.as_ref())
    }

    /// One for a question like this, whoever asks.
    pub(super) fn new(request: &Request, prepared: &Prepared) -> Result<Self, DataFusionError> {
        let runtime = runtime(request, prepared)?;
        let planner = SessionContext::new_with_config_rt(
            SessionConfig::new().with_target_partitions(threads()),
            Arc::clone(&runtime),
        );
        let reader = prepared.reader(&request.tables_root)?;
        let area = request.area.clone().map(|of| Area::new(of, reader.clone()));
        let published = Published::new(&reader, planner, (&request.zone, area));
        Ok(Self::over(published, request, runtime))
    }

    /// Another for a question like this, over the same tables: of all such sessions one can be asked, for a table's files are listed once.
    pub(super) fn beside(&self, request: &Request) -> Self {
        Self::over(self.published.clone(), request, self.context.runtime_env())
    }

    fn over(published: Published, request: &Request, runtime: Arc<RuntimeEnv>) -> Self {
        let civil: Arc<dyn AnalyzerRule + Send + Sync> = Arc::new(zoned::CivilTimes);
        let rules = std::iter::once(civil);
        let state = SessionStateBuilder::new()
            .with_config(config(request))
            .with_runtime_env(runtime)
            .with_default_features()
            .with_analyzer_rules(rules.chain(Analyzer::new().rules).collect())
            .build();
        let context = SessionContext::new_with_state(state);
        published.register_functions(&context, &request.zone);
        Self {
            context,
            catalog: MemoryCatalogProvider::new(),
            published,
        }
    }

    /// Plans what stands of every table, so that no question needs to.
    pub(super) fn plan_tables(&self) -> Result<(), DataFusionError> {
        self.published.plan_all()
    }

    /// The whole session.
    fn asked_by(self, ask: Option<&Ask>) -> Result<SessionContext, DataFusionError> {
        let Self {
            context,
            catalog,
            published,
        } = self;
        let published = match ask {
            Some(ask) => published.beside(postgres::prepare(&context, &catalog, ask)?),
            None => published,
        };
        catalog.register_schema(SCHEMA, Arc::new(published))?;
        context.register_catalog(CATALOG, Arc::new(catalog));
        Ok(context)
    }
}

fn runtime(request: &Request, prepared: &Prepared) -> Result<Arc<RuntimeEnv>, DataFusionError> {
    let memory_bytes = u64::try_from(request.memory_bytes).unwrap_or(u64::MAX);
    let spill = DiskManagerBuilder::default()
        .with_mode(match &request.spill_directory {
            Some(folder) => DiskManagerMode::Directories(vec![folder.clone()]),
            None => DiskManagerMode::Disabled,
        })
        .with_max_temp_directory_size(memory_bytes.saturating_mul(SPILL_FACTOR));
    RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(request.memory_bytes)))
        .with_disk_manager_builder(spill)
        .with_cache_manager(prepared.footers())
        .build_arc()
}

fn config(request: &Request) -> SessionConfig {
    let threads = threads();
    let mut config = SessionConfig::new()
        .with_target_partitions(threads)
        // To clients of PostgreSQL it is as PostgreSQL has it.
        .with_information_schema(request.postgres.is_none())
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_create_default_catalog_and_schema(false);
    let options = config.options_mut();
    options.execution.sort_spill_reservation_bytes =
        (request.memory_bytes / SORT_MERGE_SHARE / threads.max(1)).min(SORT_MERGE_BYTES_MAX);
    options.execution.parquet.schema_force_view_types = false;
    options.execution.parquet.pushdown_filters = true;
    // No file of ours has any.
    options.execution.parquet.bloom_filter_on_read = false;
    options.optimizer.repartition_file_min_size = SPLIT_BYTES_MIN;
    options.sql_parser.map_string_types_to_utf8view = false;
    options.execution.time_zone = Some(request.zone.clone());
    if request.postgres.is_some() {
        options.sql_parser.dialect = Dialect::PostgreSQL;
        options.sql_parser.collect_spans = true;
    }
    config
}
