//! Reading: synced records only, in order, through the page cache.

use std::{
    fs::File,
    io::{self, ErrorKind},
    ops::Range,
    os::unix::fs::FileExt,
    sync::Arc,
};

use tokio::sync::watch;

use super::{
    LogError, Position,
    format::{self, ENTRY_HEADER_BYTES, HEADER_BYTES, Parsed, file_bytes},
    recovery,
    segments::{Segment, Segments},
};

/// Records of one read, in one buffer that is reused.
#[derive(Debug, Default)]
pub struct LogBatch {
    bytes: Vec<u8>,
    records: Vec<Range<usize>>,
    first: Position,
}

impl LogBatch {
    /// The records with their positions, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Position, &[u8])> {
        (self.first.0..)
            .map(Position)
            .zip(&self.records)
            .map(|(position, range)| (position, self.bytes.get(range.clone()).unwrap_or_default()))
    }

    /// Number of records.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    fn clear(&mut self, first: Position) {
        self.bytes.clear();
        self.records.clear();
        self.first = first;
    }
}

/// A place in the log from which to read on.
#[derive(Debug)]
pub struct LogReader {
    segments: Arc<Segments>,
    synced: watch::Receiver<Position>,
    /// Last record read.
    after: Position,
    open: Option<Open>,
}

/// The segment being read, and how far. Its file stays readable when the segment is cut meanwhile.
#[derive(Debug)]
struct Open {
    segment: Arc<Segment>,
    file: File,
    offset: u64,
}

/// Read at once while looking for a place inside a segment.
const SEEK_BYTES: usize = 1 << 20;
/// Read at once at least, where the segment has as much.
const READ_BYTES_MIN: usize = 4 << 10;

impl LogReader {
    pub(super) fn new(
        segments: Arc<Segments>,
        synced: watch::Receiver<Position>,
        after: Position,
    ) -> Result<Self, LogError> {
        let mut reader = Self {
            segments,
            synced,
            after,
            open: None,
        };
        let end = *reader.synced.borrow();
        if after < end {
            reader.open = Some(reader.open_next()?);
        }
        Ok(reader)
    }

    /// The last record read.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.after
    }

    /// Reads the next synced records into `batch` (which is cleared), about `bytes_max` bytes of them and at least one; gives
    /// their number, 0 when there are none yet. Never waits for a record.
    ///
    /// # Errors
    /// [`LogError`] when the segment cannot be read, is damaged, or has been cut. The batch is then empty, and the next read
    /// tries the same place again.
    pub fn read(&mut self, batch: &mut LogBatch, bytes_max: usize) -> Result<usize, LogError> {
        batch.clear(self.after.next());
        let end = *self.synced.borrow();
        while batch.is_empty() && self.after < end {
            if self.open.as_ref().is_none_or(Open::is_exhausted) {
                self.open = Some(self.open_next()?);
            }
            if let Some(open) = &mut self.open {
                let outcome = open.read(batch, (self.after.next(), end), bytes_max);
                if outcome.is_err() {
                    batch.clear(self.after.next());
                }
                self.after = outcome?;
            }
        }
        Ok(batch.len())
    }

    /// Opens the segment of the next record, at that record. The record is synced, so the segment exists unless it was cut.
    fn open_next(&self) -> Result<Open, LogError> {
        let next = self.after.next();
        let is_cut = || LogError::Cut {
            after: self.after,
            begin: self.segments.begin(),
        };
        let segment = self.segments.holding(next).ok_or_else(is_cut)?;
        if let Some(read) = self
            .open
            .as_ref()
            .filter(|read| read.segment.first == segment.first)
        {
            let reason = "it ends before the record that the next segment begins with";
            return Err(segment.damaged(read.offset, reason));
        }
        let file = match recovery::check_header(&segment) {
            // Cut between the look and the opening.
            Err(LogError::Io { .. }) if self.segments.holding(next).is_none() => return Err(is_cut()),
            outcome => outcome?,
        };
        let mut open = Open {
            offset: file_bytes(HEADER_BYTES),
            segment,
            file,
        };
        let mut skipped = LogBatch::default();
        let mut position = open.segment.first;
        while position < next {
            if open.is_exhausted() {
                return Err(open.damaged("it ends before the record that the next segment begins with"));
            }
            skipped.clear(position);
            position = open
                .read(&mut skipped, (position, self.after), SEEK_BYTES)?
                .next();
        }
        Ok(open)
    }
}

impl Open {
    fn is_exhausted(&self) -> bool {
        self.offset >= self.segment.synced_bytes()
    }

    /// Adds to `batch`, which is empty, the entries from the first to the last position, as far as they are in this segment and
    /// in about `bytes_max` bytes; gives the last one read.
    fn read(
        &mut self,
        batch: &mut LogBatch,
        (first, last): (Position, Position),
        bytes_max: usize,
    ) -> Result<Position, LogError> {
        self.fill(&mut batch.bytes, bytes_max.max(READ_BYTES_MIN))?;
        let mut next = first;
        let mut at = 0;
        while next <= last {
            match format::parse_entry(next, batch.bytes.get(at..).unwrap_or_default()) {
                Parsed::Entry { bytes } => {
                    batch.records.push(at + ENTRY_HEADER_BYTES..at + bytes);
                    at += bytes;
                    next = next.next();
                }
                Parsed::Partial { .. } if !batch.is_empty() => break,
                Parsed::Partial { needed } => {
                    if !self.fill(&mut batch.bytes, needed)? {
                        return Err(self.damaged("a synced record is cut off"));
                    }
                }
                // Told by the next read, when those before it have been given.
                Parsed::Broken(_) if !batch.is_empty() => break,
                Parsed::Broken(reason) => return Err(self.damaged(reason)),
            }
        }
        self.offset += file_bytes(at);
        Ok(next.previous())
    }

    fn damaged(&self, reason: &'static str) -> LogError {
        self.segment.damaged(self.offset, reason)
    }

    /// Reads `bytes` from the offset on, or as many as are synced; `false` when they are fewer.
    fn fill(&self, window: &mut Vec<u8>, bytes: usize) -> Result<bool, LogError> {
        let synced = self.segment.synced_bytes().saturating_sub(self.offset);
        let length = bytes.min(usize::try_from(synced).unwrap_or(usize::MAX));
        window.resize(length, 0);
        let read = read_at(&self.file, window, self.offset)
            .map_err(|source| LogError::io("read", &self.segment.path, source))?;
        window.truncate(read);
        Ok(read >= bytes)
    }
}

/// Reads at an offset until the buffer is full or the file ends; gives the number of bytes read.
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + file_bytes(filled)) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(source) => return Err(source),
        }
    }
    Ok(filled)
}
