//! The other side: one query, from standard input to standard output, in a process that may be killed at any time.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    process::ExitCode,
    sync::Arc,
    thread,
};

use arrow::{array::RecordBatch, datatypes::SchemaRef, ipc::writer::StreamWriter};
use datafusion::{
    catalog::{CatalogProvider, MemoryCatalogProvider},
    config::Dialect,
    dataframe::DataFrame,
    error::DataFusionError,
    execution::{
        disk_manager::{DiskManagerBuilder, DiskManagerMode},
        memory_pool::FairSpillPool,
        runtime_env::RuntimeEnvBuilder,
        session_state::SessionStateBuilder,
    },
    optimizer::{Analyzer, AnalyzerRule},
    prelude::{SQLOptions, SessionConfig, SessionContext},
};
use futures::TryStreamExt;
use gridtally_engine::tables::Tables;
use tokio::sync::oneshot;

use super::{
    allow,
    area::Area,
    catalog::Published,
    postgres,
    protocol::{self, Ask, Beyond, Done, Failure, FailureKind, Place, Request},
    zoned,
};

const CATALOG: &str = "gridtally";
const SCHEMA: &str = "public";
/// A batch is cut into pieces of about this size, so that a frame stays small.
const PIECE_BYTES: usize = 4 << 20;
/// Temporary files of one query, as a multiple of its memory.
const SPILL_FACTOR: u64 = 8;
/// Threads of one query at most.
const THREADS_MAX: usize = 4;
/// A sort sets aside this share of the query's memory, over all its partitions, for merging what it spilled. DataFusion's default
/// is 10 MB a partition whatever the memory, so that with little of it two partitions starve each other.
const SORT_MERGE_SHARE: usize = 8;
/// But at most this much a partition: DataFusion's default.
const SORT_MERGE_BYTES_MAX: usize = 10 << 20;

/// Answers the request that `input` holds; ends early when `input` ends, which means that nobody waits any more. The exit code
/// says whether an answer, even a refusal, was given.
pub fn run(input: impl Read + Send + 'static, mut output: impl Write) -> ExitCode {
    let mut input = BufReader::new(input);
    let mut line = String::new();
    let request = match input.read_line(&mut line) {
        Ok(_) => serde_json::from_str::<Request>(&line).map_err(|error| internal(&error)),
        Err(error) => Err(internal(&error)),
    };
    let end = request.and_then(|request| answer(&request, input, &mut output));
    match protocol::write_end(&mut output, &end) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn answer(
    request: &Request,
    input: impl Read + Send + 'static,
    output: &mut impl Write,
) -> Result<Done, Failure> {
    let threads = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(THREADS_MAX);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .map_err(|error| internal(&error))?;
    let gone = watch_end_of(input);
    let end = runtime.block_on(async {
        tokio::select! {
            end = query(request, threads, output) => end,
            _ = gone => Err(internal(&"nobody waits for the answer")),
        }
    });
    runtime.shutdown_background();
    end
}

/// Tells when the front's end of the pipe closes.
fn watch_end_of(mut input: impl Read + Send + 'static) -> oneshot::Receiver<()> {
    let (sender, receiver) = oneshot::channel();
    thread::spawn(move || {
        io::copy(&mut input, &mut io::sink()).ok();
        sender.send(()).ok();
    });
    receiver
}

async fn query(request: &Request, threads: usize, output: &mut impl Write) -> Result<Done, Failure> {
    match (&request.postgres, &request.common) {
        (None, None) => {
            let rows = planned(request, threads).await?;
            answer_rows(rows, request, output).await
        }
        (Some(ask), _) => {
            let planned = planned_for_postgres(request, ask, threads).await;
            // A place is one in the text; what is said while rows are made has none.
            let rows = planned.map_err(|error| failure_in(&error, &request.query))?;
            if !ask.describe {
                return answer_rows(rows.0, request, output).await;
            }
            let columns = postgres::shown(&zoned::in_utc(rows.0.schema().as_arrow()));
            answer_columns(&columns, &rows.1, output)
        }
        (None, Some(beyond)) => {
            let planned = planned_with_parameters(request, beyond, threads).await;
            let rows = planned.map_err(|error| failure(&error))?;
            if !beyond.describe {
                return answer_rows(rows.0, request, output).await;
            }
            let columns = postgres::shown(&zoned::in_utc(rows.0.schema().as_arrow()));
            answer_columns(&columns, &rows.1, output)
        }
    }
}

/// Describes a statement: the types of its parameters, and a result without rows.
fn answer_columns(columns: &SchemaRef, parameters: &[u32], output: &mut impl Write) -> Result<Done, Failure> {
    protocol::write_parameters(output, parameters).map_err(|error| internal(&error))?;
    let mut stream = StreamWriter::try_new(Vec::new(), columns).map_err(|error| internal(&error))?;
    stream.finish().map_err(|error| internal(&error))?;
    send(&mut stream, output)?;
    Ok(Done {
        rows: 0,
        truncated: false,
    })
}

/// The plan of a statement in the common dialect.
async fn planned(request: &Request, threads: usize) -> Result<DataFrame, Failure> {
    allow::check(&request.query).map_err(|refused| Failure {
        kind: FailureKind::Plan,
        message: refused.to_string(),
        place: Place::default(),
    })?;
    let context = context(request, threads).map_err(|error| failure(&error))?;
    let reading_only = SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false);
    let planned = async {
        let state = context.state();
        let mut statement =
            state.sql_to_statement(&request.query, &state.config_options().sql_parser.dialect)?;
        if let Some(inner) = postgres::innermost_mut(&mut statement) {
            zoned::keep_offsets(inner);
        }
        let plan = state.statement_to_plan(statement).await?;
        reading_only.verify_plan(&plan)?;
        context.execute_logical_plan(plan).await
    };
    planned.await.map_err(|error| failure(&error))
}

/// The plan of a statement of a client of PostgreSQL, and the types of its parameters.
async fn planned_for_postgres(
    request: &Request,
    ask: &Ask,
    threads: usize,
) -> Result<(DataFrame, Vec<u32>), DataFusionError> {
    let context = context(request, threads)?;
    let planned = postgres::plan(&context, &request.query, ask, &request.zone).await?;
    let rows = context.execute_logical_plan(planned.plan).await?;
    Ok((rows, planned.parameters))
}

/// The plan of a statement in the common dialect with values for its parameters, and their types.
async fn planned_with_parameters(
    request: &Request,
    beyond: &Beyond,
    threads: usize,
) -> Result<(DataFrame, Vec<u32>), DataFusionError> {
    let context = context(request, threads)?;
    let planned = postgres::plan_common(&context, &request.query, beyond, &request.zone).await?;
    let rows = context.execute_logical_plan(planned.plan).await?;
    Ok((rows, planned.parameters))
}

async fn answer_rows(rows: DataFrame, request: &Request, output: &mut impl Write) -> Result<Done, Failure> {
    let mut batches = rows.execute_stream().await.map_err(|error| failure(&error))?;
    let columns = zoned::in_utc(&batches.schema());
    let columns = match (&request.postgres, &request.common) {
        (Some(_), _) | (None, Some(_)) => postgres::shown(&columns),
        (None, None) => columns,
    };
    let piece_bytes = request
        .common
        .as_ref()
        .map_or(PIECE_BYTES, |beyond| beyond.piece_bytes.max(1));
    let mut stream = StreamWriter::try_new(Vec::new(), &columns).map_err(|error| internal(&error))?;
    send(&mut stream, output)?;
    let mut left = request.rows_max;
    let mut truncated = false;
    while !truncated && let Some(batch) = batches.try_next().await.map_err(|error| failure(&error))? {
        truncated = batch.num_rows() > left;
        let batch = batch.slice(0, batch.num_rows().min(left));
        left = left.saturating_sub(batch.num_rows());
        for piece in pieces(&batch, piece_bytes) {
            let piece = zoned::batch_as(&piece, &columns).map_err(|error| internal(&error))?;
            stream.write(&piece).map_err(|error| internal(&error))?;
            send(&mut stream, output)?;
        }
    }
    stream.finish().map_err(|error| internal(&error))?;
    send(&mut stream, output)?;
    Ok(Done {
        rows: request.rows_max.saturating_sub(left),
        truncated,
    })
}

fn context(request: &Request, threads: usize) -> Result<SessionContext, DataFusionError> {
    let memory_bytes = u64::try_from(request.memory_bytes).unwrap_or(u64::MAX);
    let spill = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![
            request.spill_directory.clone(),
        ]))
        .with_max_temp_directory_size(memory_bytes.saturating_mul(SPILL_FACTOR));
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(request.memory_bytes)))
        .with_disk_manager_builder(spill)
        .build_arc()?;
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
    options.sql_parser.map_string_types_to_utf8view = false;
    options.execution.time_zone = Some(request.zone.clone());
    if request.postgres.is_some() {
        options.sql_parser.dialect = Dialect::PostgreSQL;
        options.sql_parser.collect_spans = true;
    }
    let planner = SessionContext::new_with_config_rt(
        SessionConfig::new().with_target_partitions(threads),
        Arc::clone(&runtime),
    );
    let reader = Tables::open_read_only(&request.tables_root)
        .map_err(|error| DataFusionError::External(Box::new(error)))?;
    let civil: Arc<dyn AnalyzerRule + Send + Sync> = Arc::new(zoned::CivilTimes);
    let rules = std::iter::once(civil);
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .with_analyzer_rules(rules.chain(Analyzer::new().rules).collect())
        .build();
    let context = SessionContext::new_with_state(state);
    let catalog = MemoryCatalogProvider::new();
    let area = request.area.clone().map(|of| Area::new(of, reader.clone()));
    let published = Published::new(&reader, planner, (&request.zone, area));
    published.register_functions(&context, &request.zone);
    let published = match &request.postgres {
        Some(ask) => published.beside(postgres::prepare(&context, &catalog, ask)?),
        None => published,
    };
    catalog.register_schema(SCHEMA, Arc::new(published))?;
    context.register_catalog(CATALOG, Arc::new(catalog));
    Ok(context)
}

/// The batch in pieces of about `piece_bytes`.
fn pieces(batch: &RecordBatch, piece_bytes: usize) -> impl Iterator<Item = RecordBatch> {
    let bytes = batch.get_array_memory_size().max(1);
    let rows = batch.num_rows();
    let per_piece = rows
        .saturating_mul(piece_bytes)
        .div_ceil(bytes)
        .clamp(1, rows.max(1));
    (0..rows)
        .step_by(per_piece)
        .map(move |from| batch.slice(from, per_piece.min(rows.saturating_sub(from))))
}

/// Sends what the Arrow writer has written so far.
fn send(stream: &mut StreamWriter<Vec<u8>>, output: &mut impl Write) -> Result<(), Failure> {
    let bytes = std::mem::take(stream.get_mut());
    protocol::write_data(output, &bytes).map_err(|error| internal(&error))
}

fn internal(error: &impl std::fmt::Display) -> Failure {
    Failure {
        kind: FailureKind::Internal,
        message: error.to_string(),
        place: Place::default(),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library's other errors are not the query's fault"
)]
fn failure(error: &DataFusionError) -> Failure {
    let kind = match error.find_root() {
        DataFusionError::SQL(..)
        | DataFusionError::Plan(_)
        | DataFusionError::SchemaError(..)
        | DataFusionError::NotImplemented(_)
        | DataFusionError::Configuration(_)
        | DataFusionError::Diagnostic(..)
        | DataFusionError::Collection(_) => FailureKind::Plan,
        DataFusionError::ResourcesExhausted(_) => FailureKind::Memory,
        DataFusionError::Execution(_) | DataFusionError::ArrowError(..) => FailureKind::Execution,
        _ => FailureKind::Internal,
    };
    Failure {
        kind,
        message: error.strip_backtrace(),
        place: Place {
            sqlstate: postgres::state::of(error).to_owned(),
            position: None,
        },
    }
}

/// As [`failure`], with its place in the text.
fn failure_in(error: &DataFusionError, text: &str) -> Failure {
    let mut failure = failure(error);
    failure.place.position = postgres::state::position(error, text);
    failure
}

#[cfg(test)]
mod tests;
