//! Messages of the protocol, version 3.0 (PostgreSQL 15 documentation, chapter 55), from and to bytes.
//!
//! What a client sends is read within bounds: a message is at most [`MESSAGE_BYTES_MAX`] long, and memory is taken as its bytes come, not as
//! its length claims.

use std::io;

use arrow::datatypes::Schema;
use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::problem::Problem;
use crate::sql::{STATEMENT_BYTES_MAX, postgres::types};

/// Longest message after the start, bytes.
pub(super) const MESSAGE_BYTES_MAX: usize = 2 * STATEMENT_BYTES_MAX;
/// Longest message before the client is known, bytes.
pub(super) const START_BYTES_MAX: usize = 10_000;

/// Request for TLS.
const SSL_REQUEST: u32 = 80_877_103;
/// Request for encryption by GSSAPI.
const GSS_REQUEST: u32 = 80_877_104;
/// Request to cancel a query of another connection.
const CANCEL_REQUEST: u32 = 80_877_102;

/// What a connection begins with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Whether TLS is spoken.
    Tls,
    /// Whether GSSAPI is spoken.
    Gss,
    /// An end of what another connection does.
    Cancel { backend: i32, key: i32 },
    /// A session with these parameters.
    Session {
        /// Version of the protocol beyond 3.0.
        minor: u16,
        parameters: Vec<(String, String)>,
    },
}

/// Reads what a connection begins with.
pub(super) async fn read_start(input: &mut (impl AsyncRead + Unpin)) -> io::Result<Result<Start, Problem>> {
    let length = usize::try_from(input.read_u32().await?).unwrap_or(usize::MAX);
    if !(8..=START_BYTES_MAX).contains(&length) {
        return Ok(Err(Problem::protocol("invalid length of startup packet")));
    }
    let body = read_body(input, length - 4).await?;
    Ok(start(&body))
}

fn start(body: &[u8]) -> Result<Start, Problem> {
    let mut reader = Reader { rest: body };
    let code = reader.u32()?;
    match code {
        SSL_REQUEST => Ok(Start::Tls),
        GSS_REQUEST => Ok(Start::Gss),
        CANCEL_REQUEST => Ok(Start::Cancel {
            backend: reader.i32()?,
            key: reader.i32()?,
        }),
        version if version >> 16 == 3 => {
            let mut parameters = Vec::new();
            loop {
                let name = reader.text()?;
                if name.is_empty() {
                    break;
                }
                parameters.push((name, reader.text()?));
            }
            Ok(Start::Session {
                minor: u16::try_from(version & 0xFFFF).unwrap_or(u16::MAX),
                parameters,
            })
        }
        version => Err(Problem::new(
            "0A000",
            format!(
                "unsupported frontend protocol {}.{}: server supports 3.0",
                version >> 16,
                version & 0xFFFF
            ),
        )),
    }
}

/// What a client says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Query(String),
    Parse {
        name: String,
        text: String,
        types: Vec<u32>,
    },
    Bind {
        portal: String,
        statement: String,
        /// Whether values are binary: one for all, or one each; none: no.
        binary: Vec<bool>,
        values: Vec<Option<Bytes>>,
        /// The same for the columns of the result.
        wanted: Vec<bool>,
    },
    Describe(Named),
    Execute {
        portal: String,
        /// 0: all.
        rows_max: u32,
    },
    Close(Named),
    Flush,
    Sync,
    Terminate,
    /// An answer to a question of authentication.
    Password(Bytes),
    /// A part of a copy, which is never begun.
    Copy,
    /// A call of a function by its number.
    FunctionCall,
}

/// A statement or a portal.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named {
    Statement(String),
    Portal(String),
}

/// Reads a message; `None` at the end of the connection.
pub(super) async fn read(
    input: &mut (impl AsyncRead + Unpin),
    bytes_max: usize,
) -> io::Result<Option<Result<Said, Problem>>> {
    let tag = match input.read_u8().await {
        Ok(tag) => tag,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let length = usize::try_from(input.read_u32().await?).unwrap_or(usize::MAX);
    if !(4..=bytes_max).contains(&length) {
        return Ok(Some(Err(Problem::protocol(format!(
            "invalid message length: 4 to {bytes_max} bytes are possible"
        )))));
    }
    let body = read_body(input, length - 4).await?;
    Ok(Some(said(tag, body)))
}

/// Reads so many bytes, taking memory as they come.
async fn read_body(input: &mut (impl AsyncRead + Unpin), length: usize) -> io::Result<Bytes> {
    const STEP: usize = 64 << 10;
    let mut body = BytesMut::with_capacity(length.min(STEP));
    let mut input = input.take(u64::try_from(length).unwrap_or(u64::MAX));
    while body.len() < length {
        if input.read_buf(&mut body).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(body.freeze())
}

fn said(tag: u8, body: Bytes) -> Result<Said, Problem> {
    let mut reader = Reader { rest: &body };
    let said = match tag {
        b'Q' => Said::Query(reader.text()?),
        b'P' => Said::Parse {
            name: reader.text()?,
            text: reader.text()?,
            types: reader.list(Reader::u32)?,
        },
        b'B' => Said::Bind {
            portal: reader.text()?,
            statement: reader.text()?,
            binary: reader.list(Reader::is_binary)?,
            values: reader.list(Reader::value)?,
            wanted: reader.list(Reader::is_binary)?,
        },
        b'D' => Said::Describe(reader.named()?),
        b'E' => Said::Execute {
            portal: reader.text()?,
            rows_max: u32::try_from(reader.i32()?).unwrap_or(0),
        },
        b'C' => Said::Close(reader.named()?),
        b'H' => Said::Flush,
        b'S' => Said::Sync,
        b'X' => Said::Terminate,
        b'p' => return Ok(Said::Password(body)),
        b'd' | b'c' => return Ok(Said::Copy),
        b'f' => return Ok(Said::Copy),
        b'F' => return Ok(Said::FunctionCall),
        other => {
            return Err(Problem::protocol(format!(
                "invalid frontend message type {other}"
            )));
        }
    };
    if reader.rest.is_empty() {
        Ok(said)
    } else {
        Err(Problem::protocol("invalid message format: bytes after its end"))
    }
}

/// Reads the parts of a message.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Problem> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or_else(|| Problem::protocol("insufficient data left in message"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let bytes = self.bytes(N)?;
        bytes
            .try_into()
            .map_err(|_| Problem::protocol("insufficient data left in message"))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Problem> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32, Problem> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn i16(&mut self) -> Result<i16, Problem> {
        self.array().map(i16::from_be_bytes)
    }

    /// UTF-8 up to a zero byte.
    pub(super) fn text(&mut self) -> Result<String, Problem> {
        let end = self
            .rest
            .iter()
            .position(|byte| *byte == 0)
            .ok_or_else(|| Problem::protocol("invalid string in message"))?;
        let text = self.bytes(end)?;
        self.bytes(1)?;
        String::from_utf8(text.to_vec())
            .map_err(|_| Problem::new("22021", "invalid byte sequence for encoding \"UTF8\""))
    }

    fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> Result<T, Problem>) -> Result<Vec<T>, Problem> {
        let count = u16::from_be_bytes(self.array()?);
        let mut list = Vec::new();
        for _ in 0..count {
            list.push(one(self)?);
        }
        Ok(list)
    }

    fn is_binary(&mut self) -> Result<bool, Problem> {
        match self.i16()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Problem::protocol(format!("unsupported format code: {other}"))),
        }
    }

    fn value(&mut self) -> Result<Option<Bytes>, Problem> {
        let length = self.i32()?;
        if length == -1 {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| Problem::protocol("invalid length of a value"))?;
        Ok(Some(Bytes::copy_from_slice(self.bytes(length)?)))
    }

    fn named(&mut self) -> Result<Named, Problem> {
        match self.bytes(1)? {
            b"S" => Ok(Named::Statement(self.text()?)),
            b"P" => Ok(Named::Portal(self.text()?)),
            _ => Err(Problem::protocol("neither a statement nor a portal is named")),
        }
    }
}

/// Appends a message: `fill` writes what comes after its length.
pub(super) fn put(out: &mut BytesMut, tag: u8, fill: impl FnOnce(&mut BytesMut)) {
    out.put_u8(tag);
    let at = out.len();
    out.put_u32(0);
    fill(out);
    let length = u32::try_from(out.len() - at).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

/// Appends text and the zero byte after it.
pub(super) fn put_text(out: &mut BytesMut, text: &str) {
    out.extend(text.bytes().filter(|byte| *byte != 0));
    out.put_u8(0);
}

/// A count; more than the protocol can say is cut.
fn put_count(out: &mut BytesMut, count: usize) {
    out.put_u16(u16::try_from(count).unwrap_or(u16::MAX));
}

/// A message without content.
pub(super) fn put_plain(out: &mut BytesMut, tag: u8) {
    put(out, tag, |_| {});
}

/// What a statement did.
pub(super) fn put_complete(out: &mut BytesMut, tag: &str) {
    put(out, b'C', |out| put_text(out, tag));
}

/// An error or a notice.
pub(super) fn put_problem(out: &mut BytesMut, severity: &str, problem: &Problem) {
    let tag = if severity == "WARNING" || severity == "NOTICE" {
        b'N'
    } else {
        b'E'
    };
    put(out, tag, |out| {
        let mut field = |kind: u8, text: &str| {
            out.put_u8(kind);
            put_text(out, text);
        };
        field(b'S', severity);
        field(b'V', severity);
        field(b'C', &problem.sqlstate);
        field(b'M', &problem.message);
        if !problem.hint.is_empty() {
            field(b'H', problem.hint);
        }
        if let Some(position) = problem.position {
            field(b'P', &position.to_string());
        }
        out.put_u8(0);
    });
}

/// The columns of a result.
pub(super) fn put_columns(out: &mut BytesMut, schema: &Schema, binary: &[bool]) {
    put(out, b'T', |out| {
        put_count(out, schema.fields().len());
        for (at, field) in schema.fields().iter().enumerate() {
            let oid = types::of_field(field);
            put_text(out, field.name());
            // Of no table, and no column of one.
            out.put_u32(0);
            out.put_u16(0);
            out.put_u32(oid);
            out.put_i16(types::by_oid(oid).map_or(-1, |kind| kind.length));
            out.put_i32(types::modifier(field.data_type()));
            out.put_i16(i16::from(of_column(binary, at)));
        }
    });
}

/// Which format a column has: one is said for all, or one each; nothing said means text.
pub(super) fn of_column(binary: &[bool], at: usize) -> bool {
    match binary {
        [all] => *all,
        each => each.get(at).copied().unwrap_or(false),
    }
}

/// The types of a statement's parameters.
pub(super) fn put_parameters(out: &mut BytesMut, types: &[u32]) {
    put(out, b't', |out| {
        put_count(out, types.len());
        for oid in types {
            out.put_u32(*oid);
        }
    });
}

#[cfg(test)]
mod tests;
