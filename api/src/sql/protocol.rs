//! What the front and a worker say to each other.
//!
//! The front writes lines of JSON ([`Order`]): to a worker that is started ahead first what to prepare, which it answers with the byte `R`; then
//! to every worker one query, which is the last line. The front keeps the pipe open; the end of that pipe tells the worker that nobody waits any
//! more. The worker answers the query with frames: a tag byte, the length as four bytes little-endian, that many bytes.
//!
//! | Tag | Bytes |
//! |---|---|
//! | `A` | the next piece of an Arrow IPC stream |
//! | `P` | before it, where a statement is only described: JSON list of the types of its parameters |
//! | `D` | the end: JSON [`Done`] |
//! | `E` | the end, without (further) result: JSON [`Failure`] |

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::PathBuf,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::SqlConfig;

/// Longest frame that the front reads, bytes.
const FRAME_BYTES_MAX: u32 = 256 << 20;
const TAG_DATA: u8 = b'A';
const TAG_PARAMETERS: u8 = b'P';
const TAG_DONE: u8 = b'D';
const TAG_FAILED: u8 = b'E';
/// What a worker says when it is prepared.
const READY: u8 = b'R';

/// A line to a worker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    /// To get ready for a question that nobody has asked yet.
    Prepare(Preparation),
    /// To answer a question, and to end.
    Answer(Box<Request>),
}

/// What is known of a question before it is asked: nothing of who will ask.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Preparation {
    pub(super) tables_root: PathBuf,
    pub(super) memory_bytes: usize,
    pub(super) zone: String,
    /// Where the question's operators will spill.
    pub(super) spill_directory: Option<PathBuf>,
}

impl Order {
    /// As it is written.
    pub(super) fn line(&self) -> io::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        Ok(line)
    }
}

/// One query.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) tables_root: PathBuf,
    pub(super) query: String,
    pub(super) rows_max: usize,
    pub(super) memory_bytes: usize,
    pub(super) zone: String,
    /// Where operators spill: the worker's own folder, which the front removes after the query. `None`: they do not.
    pub(super) spill_directory: Option<PathBuf>,
    /// What a client of PostgreSQL asks beyond the text.
    #[serde(default)]
    pub(super) postgres: Option<Ask>,
    /// What a caller in the common dialect asks beyond the text.
    #[serde(default)]
    pub(super) common: Option<Beyond>,
    /// What part of the tables there is; `None`: all of them.
    pub(super) area: Option<AreaOf>,
}

/// A node with all below it, by the network as it stands at an instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AreaOf {
    /// Id of the node.
    pub(super) node: String,
    /// The instant, microseconds of UTC.
    pub(super) at: i64,
}

/// What a caller in the common dialect asks beyond the text.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Beyond {
    /// Whether only its columns and the types of its parameters are asked for.
    pub(crate) describe: bool,
    /// Values of `$1` and further, in order.
    pub(crate) parameters: Vec<Parameter>,
    /// About how large a piece of the answer is to be, bytes.
    pub(crate) piece_bytes: usize,
}

/// What a client of PostgreSQL asks beyond the text.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Ask {
    /// Which statement of the text, from 0.
    pub(crate) statement: usize,
    /// Whether only its columns and the types of its parameters are asked for.
    pub(crate) describe: bool,
    /// Its parameters, in order.
    pub(crate) parameters: Vec<Parameter>,
    /// Who asks.
    pub(crate) user: String,
    /// Number of the session.
    pub(crate) backend: i32,
    /// Settings of the session.
    pub(crate) settings: BTreeMap<String, String>,
}

/// A parameter of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parameter {
    /// Object id of its type; 0: not said.
    pub(crate) oid: u32,
    pub(crate) value: Given,
}

/// A parameter's value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Given {
    /// Not given yet.
    Later,
    Null,
    /// As PostgreSQL writes it.
    Text(String),
}

impl Request {
    pub(super) fn new(config: &SqlConfig, query: &str) -> Self {
        Self {
            tables_root: config.tables_root.clone(),
            query: query.to_owned(),
            rows_max: config.rows_max,
            memory_bytes: config.memory_bytes,
            zone: config.zone.name().to_owned(),
            spill_directory: None,
            postgres: None,
            common: None,
            area: None,
        }
    }
}

impl Preparation {
    pub(super) fn new(config: &SqlConfig, spill_directory: Option<PathBuf>) -> Self {
        Self {
            tables_root: config.tables_root.clone(),
            memory_bytes: config.memory_bytes,
            zone: config.zone.name().to_owned(),
            spill_directory,
        }
    }

    /// A question of the product's own, before there is one of somebody's.
    pub(super) fn trial(&self, query: &str) -> Request {
        Request {
            tables_root: self.tables_root.clone(),
            query: query.to_owned(),
            rows_max: 1,
            memory_bytes: self.memory_bytes,
            zone: self.zone.clone(),
            // Nobody would remove it.
            spill_directory: None,
            postgres: None,
            common: None,
            area: None,
        }
    }
}

/// The end of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Done {
    pub(super) rows: usize,
    /// Whether rows were cut off.
    pub(super) truncated: bool,
}

/// What kind of failure ended a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The query cannot be planned: unknown table or column, wrong types, not allowed.
    Plan,
    /// It failed on the data: division by zero, a text that is no number.
    Execution,
    /// Its operators needed more memory or temporary space than they may have.
    Memory,
    /// Not the query's fault.
    Internal,
}

/// Why there is no (further) result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failure {
    pub(super) kind: FailureKind,
    pub(super) message: String,
    /// What PostgreSQL's clients are told beside it.
    #[serde(default)]
    pub(super) place: Place,
}

/// An error's code and place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its SQLSTATE; empty: that of its kind.
    pub sqlstate: String,
    /// Characters from the begin of the text, from 1; `None`: not known.
    pub position: Option<usize>,
}

/// One frame of an answer.
#[derive(Debug)]
pub(super) enum Frame {
    Data(Bytes),
    /// Types of a statement's parameters.
    Parameters(Vec<u32>),
    Done(Done),
    Failed(Failure),
}

/// Says that the worker is prepared.
pub(super) fn write_ready(output: &mut impl Write) -> io::Result<()> {
    output.write_all(&[READY])?;
    output.flush()
}

/// Waits until a worker says that it is prepared.
pub(super) async fn read_ready(input: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    match input.read_u8().await? {
        READY => Ok(()),
        other => Err(io::Error::other(format!("byte {other} before a question"))),
    }
}

/// Writes a piece of the Arrow stream.
pub(super) fn write_data(output: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    write_frame(output, TAG_DATA, bytes)
}

/// Writes the types of a statement's parameters.
pub(super) fn write_parameters(output: &mut impl Write, types: &[u32]) -> io::Result<()> {
    write_frame(output, TAG_PARAMETERS, &serde_json::to_vec(types)?)
}

/// Writes the end.
pub(super) fn write_end(output: &mut impl Write, end: &Result<Done, Failure>) -> io::Result<()> {
    match end {
        Ok(done) => write_frame(output, TAG_DONE, &serde_json::to_vec(done)?),
        Err(failure) => write_frame(output, TAG_FAILED, &serde_json::to_vec(failure)?),
    }
}

fn write_frame(output: &mut impl Write, tag: u8, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    output.write_all(&[tag])?;
    output.write_all(&length.to_le_bytes())?;
    output.write_all(bytes)?;
    output.flush()
}

/// Reads the next frame.
pub(super) async fn read_frame(input: &mut (impl AsyncRead + Unpin)) -> io::Result<Frame> {
    let tag = input.read_u8().await?;
    let length = input.read_u32_le().await?;
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::other(format!("a frame of {length} bytes")));
    }
    let length = usize::try_from(length).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    input.read_exact(&mut bytes).await?;
    match tag {
        TAG_DATA => Ok(Frame::Data(bytes.into())),
        TAG_PARAMETERS => Ok(Frame::Parameters(serde_json::from_slice(&bytes)?)),
        TAG_DONE => Ok(Frame::Done(serde_json::from_slice(&bytes)?)),
        TAG_FAILED => Ok(Frame::Failed(serde_json::from_slice(&bytes)?)),
        other => Err(io::Error::other(format!("a frame with tag {other}"))),
    }
}
