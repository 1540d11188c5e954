//! Reading: synced records only, in order, through the page cache.

use std::{fs::File, ops::Range, os::unix::fs::FileExt, sync::Arc};

use tokio::sync::watch;

use super::{
    LogError, Position, Segment, Segments,
    format::{self, ENTRY_HEADER_BYTES, HEADER_BYTES, Parsed},
    recovery,
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
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
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

/// The segment being read, and how far.
#[derive(Debug)]
struct Open {
    segment: Segment,
    file: File,
    offset: u64,
}

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
        if *reader.synced.borrow() > after {
            reader.seek()?;
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
    /// [`LogError`] when the segment cannot be read, is damaged, or has been cut.
    pub fn read(&mut self, batch: &mut LogBatch, bytes_max: usize) -> Result<usize, LogError> {
        batch.bytes.clear();
        batch.records.clear();
        batch.first = self.after.next();
        let end = *self.synced.borrow();
        while batch.is_empty() && self.after < end {
            if !self.holds_next() {
                self.seek()?;
            }
            self.read_segment(batch, bytes_max, end)?;
        }
        Ok(batch.len())
    }

    /// Whether the open segment holds the next record.
    fn holds_next(&self) -> bool {
        let Some(open) = &self.open else { return false };
        let next = self.after.next();
        let segments = self.segments.lock();
        let following = segments.iter().find(|segment| segment.first > open.segment.first);
        following.is_none_or(|segment| next < segment.first)
    }

    /// Opens the segment of the next record, at that record.
    fn seek(&mut self) -> Result<(), LogError> {
        let next = self.after.next();
        let (segment, begin) = {
            let segments = self.segments.lock();
            let holding = segments
                .iter()
                .rev()
                .find(|segment| segment.first <= next)
                .cloned();
            (
                holding,
                segments
                    .first()
                    .map_or(0, |segment| segment.first.0.saturating_sub(1)),
            )
        };
        let Some(segment) = segment else {
            return Err(LogError::Cut {
                after: self.after,
                begin: Position(begin),
            });
        };
        let file = File::open(&segment.path).map_err(|source| LogError::io("open", &segment.path, source))?;
        let mut header = [0; HEADER_BYTES];
        file.read_exact_at(&mut header, 0)
            .map_err(|source| LogError::io("read", &segment.path, source))?;
        recovery::check_header(&header, &segment)?;
        let mut open = Open {
            offset: u64::try_from(HEADER_BYTES).unwrap_or(0),
            segment,
            file,
        };
        let mut position = open.segment.first;
        let mut window = Vec::new();
        while position < next {
            let mut skipped = Vec::new();
            let stop = Position(next.0 - 1);
            position = open.read(&mut window, &mut skipped, position, (1 << 20, stop))?;
        }
        self.open = Some(open);
        Ok(())
    }

    fn read_segment(
        &mut self,
        batch: &mut LogBatch,
        bytes_max: usize,
        end: Position,
    ) -> Result<(), LogError> {
        let last_here = {
            let segments = self.segments.lock();
            let first = self.open.as_ref().map(|open| open.segment.first);
            let following = segments.iter().find(|segment| Some(segment.first) > first);
            following.map_or(end, |segment| {
                Position(segment.first.0.saturating_sub(1)).min(end)
            })
        };
        let Some(open) = &mut self.open else { return Ok(()) };
        let next = open.read(
            &mut batch.bytes,
            &mut batch.records,
            self.after.next(),
            (bytes_max, last_here),
        )?;
        self.after = Position(next.0.saturating_sub(1));
        Ok(())
    }
}

impl Open {
    /// Reads the entries from `position` on to `(about bytes, last position)`; gives the position after the last one read.
    fn read(
        &mut self,
        window: &mut Vec<u8>,
        records: &mut Vec<Range<usize>>,
        position: Position,
        (bytes_max, last): (usize, Position),
    ) -> Result<Position, LogError> {
        self.fill(window, bytes_max.max(READ_BYTES_MIN))?;
        let mut next = position;
        let mut at = 0;
        while next <= last {
            match format::parse_entry(next, window.get(at..).unwrap_or_default()) {
                Parsed::Entry { bytes, .. } => {
                    records.push(at + ENTRY_HEADER_BYTES..at + bytes);
                    at += bytes;
                    next = next.next();
                }
                Parsed::Partial { needed } if records.is_empty() => {
                    if window.len() >= needed || !self.fill(window, needed)? {
                        return Err(self.damaged("a synced record is cut off"));
                    }
                }
                Parsed::Partial { .. } => break,
                Parsed::Broken(reason) => return Err(self.damaged(reason)),
            }
        }
        self.offset += u64::try_from(at).unwrap_or(0);
        Ok(next)
    }

    fn damaged(&self, reason: &'static str) -> LogError {
        LogError::Damaged {
            path: self.segment.path.clone(),
            offset: self.offset,
            reason,
        }
    }

    /// Reads `bytes` from the offset into `window`; `false` when the file is shorter.
    fn fill(&self, window: &mut Vec<u8>, bytes: usize) -> Result<bool, LogError> {
        window.resize(bytes, 0);
        let mut filled = 0;
        while let Some(rest) = window.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let offset = self.offset + u64::try_from(filled).unwrap_or(0);
            match self.file.read_at(rest, offset) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => return Err(LogError::io("read", &self.segment.path, source)),
            }
        }
        window.truncate(filled);
        Ok(filled >= bytes)
    }
}
