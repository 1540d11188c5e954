//! The other side: one query, from standard input to standard output, in a process that may be killed at any time.
//!
//! A worker that is started ahead first prepares itself ([`prepared`]). It answers one query like any other, and ends.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    process::ExitCode,
    thread,
};

use arrow::{array::RecordBatch, datatypes::SchemaRef, ipc::writer::StreamWriter};
use datafusion::{dataframe::DataFrame, error::DataFusionError, prelude::SQLOptions};
use futures::TryStreamExt;
use tokio::{runtime::Runtime, sync::oneshot};

use super::{
    allow, postgres,
    protocol::{self, Ask, Beyond, Done, Failure, FailureKind, Order, Place, Request},
    zoned,
};
use prepared::Prepared;
use session::Session;

mod prepared;
mod session;

/// A batch is cut into pieces of about this size, so that a frame stays small, and writing one as text keeps a thread of the server from the
/// requests of others for some milliseconds only.
pub(super) const PIECE_BYTES: usize = 256 << 10;
/// Threads of one query at most.
const THREADS_MAX: usize = 4;

/// Answers the question that `input` holds, after what it is told to prepare; ends early when `input` ends, which means that nobody waits
/// any more. The exit code says whether an answer, even a refusal, was given, or nobody asked.
pub fn run(input: impl Read + Send + 'static, mut output: impl Write) -> ExitCode {
    let written = match threads_of_its_own() {
        Ok(runtime) => {
            let written = serve(&runtime, BufReader::new(input), &mut output);
            runtime.shutdown_background();
            written
        }
        Err(failure) => protocol::write_end(&mut output, &Err(failure)),
    };
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn threads_of_its_own() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads())
        .enable_all()
        .build()
        .map_err(|error| internal(&error))
}

fn threads() -> usize {
    thread::available_parallelism()
        .map_or(1, usize::from)
        .min(THREADS_MAX)
}

/// Does what it is told, up to one question.
fn serve(
    runtime: &Runtime,
    mut input: BufReader<impl Read + Send + 'static>,
    output: &mut impl Write,
) -> io::Result<()> {
    let mut prepared = Prepared::default();
    loop {
        let end = match next_order(&mut input) {
            Ok(None) => return Ok(()),
            Ok(Some(Order::Prepare(preparation))) => {
                prepared = runtime.block_on(Prepared::of(&preparation));
                protocol::write_ready(output)?;
                continue;
            }
            Ok(Some(Order::Answer(request))) => {
                let question = Question {
                    request: &request,
                    prepared: &prepared,
                };
                answer(runtime, question, input, output)
            }
            Err(failure) => Err(failure),
        };
        return protocol::write_end(output, &end);
    }
}

/// The next line; `None`: there is none.
fn next_order(input: &mut impl BufRead) -> Result<Option<Order>, Failure> {
    let mut line = String::new();
    if input.read_line(&mut line).map_err(|error| internal(&error))? == 0 {
        return Ok(None);
    }
    serde_json::from_str(&line)
        .map(Some)
        .map_err(|error| internal(&error))
}

fn answer(
    runtime: &Runtime,
    question: Question<'_>,
    input: impl Read + Send + 'static,
    output: &mut impl Write,
) -> Result<Done, Failure> {
    let gone = watch_end_of(input);
    runtime.block_on(async {
        tokio::select! {
            end = question.answer(output) => end,
            _ = gone => Err(internal(&"nobody waits for the answer")),
        }
    })
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

/// A question, and what is prepared for any.
#[derive(Debug, Clone, Copy)]
struct Question<'a> {
    request: &'a Request,
    prepared: &'a Prepared,
}

impl Question<'_> {
    async fn answer(self, output: &mut impl Write) -> Result<Done, Failure> {
        let request = self.request;
        match (&request.postgres, &request.common) {
            (None, None) => answer_rows(self.planned().await?, request, output).await,
            (Some(ask), _) => {
                // A place is one in the text; what is said while rows are made has none.
                let planned = self.planned_for_postgres(ask).await;
                let planned = planned.map_err(|error| failure_in(&error, &request.query))?;
                answer_or_describe(planned, ask.describe, request, output).await
            }
            (None, Some(beyond)) => {
                let planned = self.planned_with_parameters(beyond).await;
                let planned = planned.map_err(|error| failure(&error))?;
                answer_or_describe(planned, beyond.describe, request, output).await
            }
        }
    }

    /// The plan of a statement in the common dialect.
    async fn planned(self) -> Result<DataFrame, Failure> {
        let query = &self.request.query;
        allow::check(query).map_err(|refused| Failure {
            kind: FailureKind::Plan,
            message: refused.to_string(),
            place: Place::default(),
        })?;
        let context = Session::of(self).map_err(|error| failure(&error))?;
        let reading_only = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        let planned = async {
            let state = context.state();
            let mut statement = state.sql_to_statement(query, &state.config_options().sql_parser.dialect)?;
            if let Some(inner) = postgres::innermost_mut(&mut statement) {
                zoned::keep_offsets(inner);
                postgres::name_beside_wildcards(inner);
            }
            let plan = postgres::plan_of(&context, statement).await?;
            reading_only.verify_plan(&plan)?;
            context.execute_logical_plan(plan).await
        };
        planned.await.map_err(|error| failure(&error))
    }

    /// The plan of a statement of a client of PostgreSQL, and the types of its parameters.
    async fn planned_for_postgres(self, ask: &Ask) -> Result<(DataFrame, Vec<u32>), DataFusionError> {
        let context = Session::of(self)?;
        let planned = postgres::plan(&context, &self.request.query, ask, &self.request.zone).await?;
        let rows = context.execute_logical_plan(planned.plan).await?;
        Ok((rows, planned.parameters))
    }

    /// The plan of a statement in the common dialect with values for its parameters, and their types.
    async fn planned_with_parameters(
        self,
        beyond: &Beyond,
    ) -> Result<(DataFrame, Vec<u32>), DataFusionError> {
        let context = Session::of(self)?;
        let planned =
            postgres::plan_common(&context, &self.request.query, beyond, &self.request.zone).await?;
        let rows = context.execute_logical_plan(planned.plan).await?;
        Ok((rows, planned.parameters))
    }
}

async fn answer_or_describe(
    (rows, parameters): (DataFrame, Vec<u32>),
    describe: bool,
    request: &Request,
    output: &mut impl Write,
) -> Result<Done, Failure> {
    if !describe {
        return answer_rows(rows, request, output).await;
    }
    let columns = postgres::shown(&zoned::in_utc(rows.schema().as_arrow()));
    answer_columns(&columns, &parameters, output)
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

async fn answer_rows(rows: DataFrame, request: &Request, output: &mut impl Write) -> Result<Done, Failure> {
    let mut batches = rows.execute_stream().await.map_err(|error| failure(&error))?;
    let columns = zoned::in_utc(&batches.schema());
    let columns = match (&request.postgres, &request.common) {
        (Some(_), _) | (None, Some(_)) => postgres::shown(&columns),
        (None, None) => postgres::named(&columns),
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
    // The process ends with the question: taking the plan apart would only keep the client waiting for its end.
    std::mem::forget(batches);
    Ok(Done {
        rows: request.rows_max.saturating_sub(left),
        truncated,
    })
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
