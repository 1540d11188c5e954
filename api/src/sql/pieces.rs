//! A result as its worker writes it, for a surface that hands it on unread.

use bytes::Bytes;

use super::{
    SqlError,
    process::Frames,
    protocol::{Done, Frame},
};

/// A result that is being made. Dropping it kills its process.
#[derive(Debug)]
pub(crate) struct Pieces {
    frames: Frames,
}

/// A part of a result.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Whole messages of an Arrow IPC stream.
    Messages(Bytes),
    /// After the last one.
    End {
        /// Rows that were given.
        rows: usize,
        /// Whether further ones were cut off.
        truncated: bool,
    },
}

impl Pieces {
    pub(super) const fn new(frames: Frames) -> Self {
        Self { frames }
    }

    /// The next part; after [`Piece::End`] there is none.
    pub(crate) async fn next(&mut self) -> Result<Piece, SqlError> {
        match self.frames.next().await? {
            Frame::Data(bytes) => Ok(Piece::Messages(bytes)),
            Frame::Done(Done { rows, truncated }) => Ok(Piece::End { rows, truncated }),
            Frame::Failed(failure) => Err(failure.into()),
            Frame::Parameters(_) => Err(SqlError::Broken {
                what: "it described what it should run".to_owned(),
            }),
        }
    }
}
