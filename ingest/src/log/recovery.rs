//! Opening: which segments there are, where the log ends, and a torn tail cut away.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use super::{
    Disk, LogError, Position, Segment, SegmentFile,
    format::{self, HEADER_BYTES, Parsed},
};

/// A log that can be appended to.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) segments: Vec<Segment>,
    pub(super) end: Position,
    pub(super) active: Box<dyn SegmentFile>,
}

/// Finds the end of the log. Only the last segment can be torn: each other one was synced whole before the next was created, and
/// is checked when it is read.
pub(super) fn recover(
    disk: &dyn Disk,
    directory: &Path,
    resume_after: Position,
) -> Result<Recovered, LogError> {
    let mut segments = list(directory)?;
    let mut end = Position::default();
    if let Some(last) = segments.last_mut() {
        let scanned = scan(last)?;
        last.bytes = scanned.bytes;
        end = scanned.end;
    }
    match segments.last() {
        Some(segment) if end >= resume_after && segment.bytes >= header_bytes() => {
            let active = disk
                .open_at(&segment.path, segment.bytes)
                .map_err(|source| LogError::io("open", &segment.path, source))?;
            Ok(Recovered {
                segments,
                end,
                active,
            })
        }
        Some(_) | None => begin_anew(disk, directory, segments, end, resume_after),
    }
}

fn header_bytes() -> u64 {
    u64::try_from(HEADER_BYTES).unwrap_or(u64::MAX)
}

/// Goes on in a new segment: in an empty folder, behind a torn header, or behind what the tables already hold.
fn begin_anew(
    disk: &dyn Disk,
    directory: &Path,
    mut segments: Vec<Segment>,
    end: Position,
    resume_after: Position,
) -> Result<Recovered, LogError> {
    if let Some(torn) = segments.pop_if(|segment| segment.bytes < header_bytes()) {
        disk.remove(&torn.path)
            .map_err(|source| LogError::io("delete", &torn.path, source))?;
    }
    let end = if resume_after > end {
        if !segments.is_empty() || resume_after > Position::default() {
            tracing::warn!(%end, %resume_after, "the log ends before what the tables hold; it goes on behind that");
        }
        // Readers begin behind `resume_after`; older records are in the tables.
        for segment in segments.drain(..) {
            disk.remove(&segment.path)
                .map_err(|source| LogError::io("delete", &segment.path, source))?;
        }
        resume_after
    } else {
        end
    };
    let (segment, active) = create(disk, directory, end.next())?;
    segments.push(segment);
    Ok(Recovered {
        segments,
        end,
        active,
    })
}

/// Creates a segment: header written and synced, then its name.
pub(super) fn create(
    disk: &dyn Disk,
    directory: &Path,
    first: Position,
) -> Result<(Segment, Box<dyn SegmentFile>), LogError> {
    let path = format::segment_path(directory, first);
    let wrap = |operation| {
        let path = path.clone();
        move |source| LogError::io(operation, &path, source)
    };
    let mut file = disk.create(&path).map_err(wrap("create"))?;
    file.append(&format::header(first)).map_err(wrap("write"))?;
    file.sync().map_err(wrap("sync"))?;
    disk.sync_directory(directory)
        .map_err(wrap("sync the folder of"))?;
    Ok((
        Segment {
            first,
            path,
            bytes: header_bytes(),
        },
        file,
    ))
}

fn list(directory: &Path) -> Result<Vec<Segment>, LogError> {
    let read = |source| LogError::io("list", directory, source);
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(read)? {
        let entry = entry.map_err(read)?;
        let path = entry.path();
        if let Some(first) = format::first_of(&path) {
            let bytes = entry.metadata().map_err(read)?.len();
            segments.push(Segment { first, path, bytes });
        }
    }
    segments.sort_by_key(|segment| segment.first);
    Ok(segments)
}

struct Scanned {
    /// Last whole entry; the position before the segment when it has none.
    end: Position,
    /// Length up to and with that entry; 0 for a torn header.
    bytes: u64,
}

/// Reads the last segment to where its whole entries end.
fn scan(segment: &Segment) -> Result<Scanned, LogError> {
    let before = Position(segment.first.0.saturating_sub(1));
    let mut reader = Chunked::open(&segment.path)?;
    if !reader.fill(HEADER_BYTES)? {
        return Ok(Scanned {
            end: before,
            bytes: 0,
        });
    }
    if segment.bytes == header_bytes() && check_header(reader.window(), segment).is_err() {
        // The file's length reached the disk before its header did: nothing was ever appended here.
        return Ok(Scanned {
            end: before,
            bytes: 0,
        });
    }
    check_header(reader.window(), segment)?;
    reader.advance(HEADER_BYTES);
    let mut end = before;
    let mut bytes = header_bytes();
    loop {
        match format::parse_entry(end.next(), reader.window()) {
            Parsed::Entry { bytes: length, .. } => {
                reader.advance(length);
                end = end.next();
                bytes += u64::try_from(length).unwrap_or(0);
            }
            Parsed::Partial { needed } => {
                if !reader.fill(needed)? {
                    break;
                }
            }
            Parsed::Broken(reason) => {
                tracing::warn!(segment = %segment.path.display(), offset = bytes, reason, "torn end of the log cut away");
                break;
            }
        }
    }
    Ok(Scanned { end, bytes })
}

/// A header that is whole must be right: it was synced before anything else was written behind it.
pub(super) fn check_header(bytes: &[u8], segment: &Segment) -> Result<(), LogError> {
    if bytes.get(..HEADER_BYTES) == Some(format::header(segment.first).as_slice()) {
        return Ok(());
    }
    Err(LogError::Damaged {
        path: segment.path.clone(),
        offset: 0,
        reason: "its header is not that of this segment",
    })
}

/// A file read in large pieces, of which a window is in memory.
struct Chunked {
    file: File,
    path: PathBuf,
    buffer: Vec<u8>,
    at: usize,
}

const CHUNK_BYTES: usize = 1 << 20;

impl Chunked {
    fn open(path: &Path) -> Result<Self, LogError> {
        let file = File::open(path).map_err(|source| LogError::io("open", path, source))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            buffer: Vec::new(),
            at: 0,
        })
    }

    fn window(&self) -> &[u8] {
        self.buffer.get(self.at..).unwrap_or_default()
    }

    fn advance(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Reads on until the window has `needed` bytes; `false` when the file ends before.
    fn fill(&mut self, needed: usize) -> Result<bool, LogError> {
        if self.window().len() >= needed {
            return Ok(true);
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        let missing = needed - self.buffer.len();
        let want = u64::try_from(missing.max(CHUNK_BYTES)).unwrap_or(u64::MAX);
        let read = (&mut self.file).take(want).read_to_end(&mut self.buffer);
        read.map_err(|source| LogError::io("read", &self.path, source))?;
        Ok(self.buffer.len() >= needed)
    }
}
