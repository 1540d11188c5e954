//! Bytes of a segment: see the diagram in [`super`].

use std::path::{Path, PathBuf};

use super::Position;

const MAGIC: &[u8; 7] = b"GTLOG\0\0";
const VERSION: u8 = 1;
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
    let first = stem.parse().ok().filter(|first| *first > 0)?;
    (stem.len() == 20).then_some(Position(first))
}

/// A file size or offset of this many bytes.
pub(super) fn file_bytes(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

pub(super) fn header(first: Position) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    let (start, position) = bytes.split_at_mut(MAGIC.len() + 1);
    start.copy_from_slice(&[MAGIC.as_slice(), &[VERSION]].concat());
    position.copy_from_slice(&first.0.to_le_bytes());
    bytes
}

/// Whether `bytes` begin as the segment of `first` does; else what is wrong.
pub(super) fn check_header(first: Position, bytes: &[u8]) -> Result<(), &'static str> {
    let (Some(start), Some(position)) = (
        bytes.get(..=MAGIC.len()),
        bytes.get(MAGIC.len() + 1..HEADER_BYTES),
    ) else {
        return Err("it is shorter than its header");
    };
    match start.split_last() {
        Some((version, magic)) if magic == MAGIC && *version != VERSION => {
            Err("it is of another version of gridtally")
        }
        Some((_, magic)) if magic == MAGIC && position == first.0.to_le_bytes() => Ok(()),
        Some((_, magic)) if magic == MAGIC => {
            Err("its header names another first position than its file name")
        }
        Some(_) | None => Err("it does not begin as a log segment does"),
    }
}

/// Checksum of a record alone: computed before the position is known, outside any lock.
pub(super) fn record_checksum(record: &[u8]) -> u32 {
    crc32c::crc32c(record)
}

fn entry_checksum(record_checksum: u32, position: Position) -> u32 {
    crc32c::crc32c_append(record_checksum, &position.0.to_le_bytes())
}

/// Appends an entry. The record is at most [`RECORD_BYTES_MAX`] long.
pub(super) fn push_entry(position: Position, record: &[u8], record_checksum: u32, bytes: &mut Vec<u8>) {
    let length = u32::try_from(ENTRY_HEADER_BYTES + record.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&entry_checksum(record_checksum, position).to_le_bytes());
    bytes.extend_from_slice(record);
}

/// What stands at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// A whole entry of this length, header included.
    Entry { bytes: usize },
    /// The beginning of an entry; with `needed` bytes it may be whole.
    Partial { needed: usize },
    /// No entry.
    Broken(&'static str),
}

/// Reads the entry of `position` at the beginning of `bytes`.
pub(super) fn parse_entry(position: Position, bytes: &[u8]) -> Parsed {
    let needed = ENTRY_HEADER_BYTES;
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else {
        return Parsed::Partial { needed };
    };
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if !(ENTRY_HEADER_BYTES..=ENTRY_HEADER_BYTES + RECORD_BYTES_MAX).contains(&length) {
        return Parsed::Broken("an entry's length is none that an entry can have");
    }
    let Some((checksum, _)) = rest.split_first_chunk::<4>() else {
        return Parsed::Partial { needed };
    };
    let Some(record) = bytes.get(ENTRY_HEADER_BYTES..length) else {
        return Parsed::Partial { needed: length };
    };
    if entry_checksum(record_checksum(record), position) != u32::from_le_bytes(*checksum) {
        return Parsed::Broken("an entry's checksum does not match");
    }
    Parsed::Entry { bytes: length }
}
