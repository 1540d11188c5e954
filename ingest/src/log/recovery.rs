//! Opening: which segments there are, where the log ends, and a torn tail cut away.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use super::{
    Disk, LogError, Position, SegmentFile,
    format::{self, HEADER_BYTES, Parsed, file_bytes},
    segments::Segment,
};

/// A log that can be appended to.
#[derive(Debug)]
pub(super) struct Recovered {
    /// Oldest first; the last one is open in `file`.
    pub(super) segments: Vec<Arc<Segment>>,
    pub(super) last: Arc<Segment>,
    pub(super) file: Box<dyn SegmentFile>,
    pub(super) end: Position,
}

/// Creates the log's folder where it is absent, with the folders above it, so that a crash cannot take them away again.
pub(super) fn create_directory(disk: &dyn Disk, directory: &Path) -> Result<(), LogError> {
    let missing: Vec<&Path> = directory
        .ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
        .collect();
    std::fs::create_dir_all(directory).map_err(|source| LogError::io("create", directory, source))?;
    for folder in missing {
        let above = match folder.parent() {
            Some(above) if !above.as_os_str().is_empty() => above,
            Some(_) | None => Path::new("."),
        };
        sync_directory(disk, above)?;
    }
    Ok(())
}

pub(super) fn sync_directory(disk: &dyn Disk, directory: &Path) -> Result<(), LogError> {
    disk.sync_directory(directory)
        .map_err(|source| LogError::io("sync", directory, source))
}

/// Finds the end of the log. Only the last segment can be torn: each other one was synced whole before the next was created, so
/// of those the header is checked here and each entry when it is read.
///
/// What a killed process wrote and did not sync may stand in the file all the same, so the last segment and the folder are synced
/// before their end is called synced (LOG-1).
pub(super) fn recover(
    disk: &dyn Disk,
    directory: &Path,
    resume_after: Position,
) -> Result<Recovered, LogError> {
    let mut segments = list(directory)?;
    let newest = segments.pop();
    for segment in &segments {
        check_header(segment)?;
    }
    let (mut end, mut active) = match newest {
        Some(newest) => scan(disk, newest)?,
        None => (Position::default(), None),
    };
    if resume_after > end {
        if end > Position::default() || resume_after > Position::default() {
            tracing::warn!(%end, %resume_after, "the log ends before what the tables hold; it goes on behind that");
        }
        // As a cut would: what they hold is in the tables, and no reader begins there.
        for segment in segments.drain(..).chain(active.take()) {
            remove(disk, directory, &segment)?;
        }
        end = resume_after;
    }
    let (last, file) = match active {
        Some(last) => {
            let file = reopen(disk, &last)?;
            sync_directory(disk, directory)?;
            (last, file)
        }
        None => create(disk, directory, end.next())?,
    };
    let last = Arc::new(last);
    let mut segments: Vec<_> = segments.into_iter().map(Arc::new).collect();
    segments.push(Arc::clone(&last));
    Ok(Recovered {
        segments,
        last,
        file,
        end,
    })
}

/// Opens the last segment to go on at its end: cuts a torn tail away and makes durable what stands before it.
fn reopen(disk: &dyn Disk, last: &Segment) -> Result<Box<dyn SegmentFile>, LogError> {
    let wrap = |operation| move |source| LogError::io(operation, &last.path, source);
    let mut file = disk.open(&last.path).map_err(wrap("open"))?;
    file.truncate(last.synced_bytes()).map_err(wrap("truncate"))?;
    file.sync().map_err(wrap("sync"))?;
    Ok(file)
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
    sync_directory(disk, directory)?;
    Ok((Segment::new(first, path, file_bytes(HEADER_BYTES)), file))
}

/// Deletes a segment for good. The folder is synced each time, so that a crash between two cannot leave a gap.
pub(super) fn remove(disk: &dyn Disk, directory: &Path, segment: &Segment) -> Result<(), LogError> {
    disk.remove(&segment.path)
        .map_err(|source| LogError::io("delete", &segment.path, source))?;
    sync_directory(disk, directory)
}

/// The segments by their file names and lengths, oldest first.
fn list(directory: &Path) -> Result<Vec<Segment>, LogError> {
    let read = |source| LogError::io("list", directory, source);
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(read)? {
        let entry = entry.map_err(read)?;
        let path = entry.path();
        if let Some(first) = format::first_of(&path) {
            segments.push(Segment::new(first, path, entry.metadata().map_err(read)?.len()));
        }
    }
    segments.sort_by_key(|segment| segment.first);
    Ok(segments)
}

/// Checks that a file begins as the segment that its name says.
pub(super) fn check_header(segment: &Segment) -> Result<File, LogError> {
    let file = File::open(&segment.path).map_err(|source| LogError::io("open", &segment.path, source))?;
    let mut header = Vec::with_capacity(HEADER_BYTES);
    (&file)
        .take(file_bytes(HEADER_BYTES))
        .read_to_end(&mut header)
        .map_err(|source| LogError::io("read", &segment.path, source))?;
    format::check_header(segment.first, &header).map_err(|reason| segment.damaged(0, reason))?;
    Ok(file)
}

/// Reads the last segment to where its whole entries end; gives the last position, and the segment with the length that counts.
/// One that had not got its header yet is deleted.
fn scan(disk: &dyn Disk, segment: Segment) -> Result<(Position, Option<Segment>), LogError> {
    let mut end = segment.first.previous();
    let length = segment.synced_bytes();
    let file = match check_header(&segment) {
        Ok(file) => file,
        // The header is synced before anything is written behind it: this segment was just being created.
        Err(LogError::Damaged { .. }) if length <= file_bytes(HEADER_BYTES) => {
            tracing::warn!(segment = %segment.path.display(), "a segment that was just being created is created again");
            let directory = segment.path.parent().unwrap_or(Path::new("."));
            remove(disk, directory, &segment)?;
            return Ok((end, None));
        }
        Err(error) => return Err(error),
    };
    let mut reader = Chunked::new(file);
    let mut bytes = file_bytes(HEADER_BYTES);
    let reason = loop {
        match format::parse_entry(end.next(), reader.window()) {
            Parsed::Entry { bytes: length } => {
                reader.advance(length);
                end = end.next();
                bytes += file_bytes(length);
            }
            Parsed::Partial { needed } => {
                let more = reader.fill(needed);
                if !more.map_err(|source| LogError::io("read", &segment.path, source))? {
                    break "the last entry is cut off";
                }
            }
            Parsed::Broken(reason) => break reason,
        }
    };
    if bytes < length {
        let (segment, cut_bytes) = (segment.path.display(), length - bytes);
        tracing::warn!(%segment, offset = bytes, cut_bytes, reason, "the torn end of the log is cut away");
    }
    Ok((end, Some(Segment::new(segment.first, segment.path, bytes))))
}

/// A file read in large pieces, of which a window is in memory.
struct Chunked {
    file: File,
    buffer: Vec<u8>,
    at: usize,
}

const CHUNK_BYTES: usize = 1 << 20;

impl Chunked {
    const fn new(file: File) -> Self {
        Self {
            file,
            buffer: Vec::new(),
            at: 0,
        }
    }

    fn window(&self) -> &[u8] {
        self.buffer.get(self.at..).unwrap_or_default()
    }

    fn advance(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Reads on until the window has `needed` bytes; `false` when the file ends before.
    fn fill(&mut self, needed: usize) -> io::Result<bool> {
        if self.window().len() >= needed {
            return Ok(true);
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        let missing = needed - self.buffer.len();
        (&self.file)
            .take(file_bytes(missing.max(CHUNK_BYTES)))
            .read_to_end(&mut self.buffer)?;
        Ok(self.buffer.len() >= needed)
    }
}
