//! Bytes of a segment: see the diagram in [`super`].

use std::path::{Path, PathBuf};

use super::Position;

pub(super) const MAGIC: &[u8; 8] = b"GTLOG\0\0\x01";
pub(super) const HEADER_BYTES: usize = 16;
pub(super) const ENTRY_HEADER_BYTES: usize = 8;

/// Largest record, bytes.
pub const RECORD_BYTES_MAX: usize = 64 << 20;

pub(super) fn segment_path(directory: &Path, first: Position) -> PathBuf {
    directory.join(format!("{:020}.log", first.0))
}

/// First position of a segment by its file name; `None` for other files.
pub(super) fn first_of(path: &Path) -> Option<Position> {
    let stem = path.file_name()?.to_str()?.strip_suffix(".log")?;
    (stem.len() == 20).then(|| stem.parse().ok().map(Position))?
}

pub(super) fn header(first: Position) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    let (magic, position) = bytes.split_at_mut(MAGIC.len());
    magic.copy_from_slice(MAGIC);
    position.copy_from_slice(&first.0.to_le_bytes());
    bytes
}

fn checksum(position: Position, record: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&position.0.to_le_bytes()), record)
}

/// Appends an entry; the record is at most [`RECORD_BYTES_MAX`] long.
pub(super) fn push_entry(position: Position, record: &[u8], bytes: &mut Vec<u8>) {
    let length = u32::try_from(record.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&checksum(position, record).to_le_bytes());
    bytes.extend_from_slice(record);
}

/// What stands at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed<'a> {
    /// A whole entry, and its length with header.
    Entry { record: &'a [u8], bytes: usize },
    /// The beginning of an entry; with `needed` bytes it may be whole.
    Partial { needed: usize },
    /// No entry.
    Broken(&'static str),
}

/// Reads the entry of `position` at the beginning of `bytes`.
pub(super) fn parse_entry(position: Position, bytes: &[u8]) -> Parsed<'_> {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else {
        return Parsed::Partial {
            needed: ENTRY_HEADER_BYTES,
        };
    };
    let Some((crc, rest)) = rest.split_first_chunk::<4>() else {
        return Parsed::Partial {
            needed: ENTRY_HEADER_BYTES,
        };
    };
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > RECORD_BYTES_MAX {
        return Parsed::Broken("an entry says that it is longer than any record");
    }
    let Some(record) = rest.get(..length) else {
        return Parsed::Partial {
            needed: ENTRY_HEADER_BYTES + length,
        };
    };
    if checksum(position, record) != u32::from_le_bytes(*crc) {
        return Parsed::Broken("an entry's checksum does not match");
    }
    Parsed::Entry {
        record,
        bytes: ENTRY_HEADER_BYTES + length,
    }
}
