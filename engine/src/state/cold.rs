//! Chunks that wait on disk until somebody looks at them.
//!
//! Values are by far the most of what an open day takes: at thirty million meters a quarter hour of them is 250 MB. They cannot be let go to the
//! tables before their day is settled, and are hardly looked at once their interval is computed: for late reads, when their day is judged, and
//! when a caller asks. So beyond the budget the oldest of them wait in a file, chunk by chunk as they are in memory. The file is memory that
//! is elsewhere: what it holds is in the log or the tables too, and it begins empty with each process.
//!
//! ```text
//! chunk: columns (`chunk.rs`) · crc32c u32 LE over (columns · block u32 LE · quarter u32 LE)
//! ```
//!
//! A chunk that is looked at is read and forgotten again; one that is changed comes back into memory. Its place becomes free for others of
//! the same size, so the file grows to the most that was ever away and no further.
//!
//! It is written while nobody holds the state ([`State::draw`], then [`Cold::put_all`], then [`State::put_away`]): a disk that is behind would
//! else hold up whoever looks at the picture. Between the first and the last no value may change; the engine's thread alone changes
//! any, and does these three one after the other.
//!
//! A chunk that cannot be written stays in memory. One that cannot be read back whole is as if nobody had said its values, so whoever publishes
//! must ask [`State::check`] first, and the engine stops there: nothing that was computed without it is told as a change or published. Who asks
//! for the picture before the engine's next tick may see it without that value.
//!
//! [`State::check`]: super::State::check
//! [`State::draw`]: super::State::draw
//! [`State::put_away`]: super::State::put_away

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use parking_lot::Mutex;

use super::{Quarter, chunk::Chunk};

/// Places begin and end at multiples of this, bytes.
const GRAIN: u32 = 256;
const CHECKSUM_BYTES: usize = 4;

/// Why values that wait on disk are not to be had.
#[derive(Debug, thiserror::Error)]
pub enum ColdError {
    /// The file could not be read.
    #[error("values that wait in {path} cannot be read at byte {at}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Where.
        at: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file holds something else than was written.
    #[error(
        "values that wait in {path} at byte {at} are not what was written there: the disk changed them, or another process did"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        at: u64,
    },
}

/// Where a chunk waits.
#[derive(Debug)]
pub(crate) struct Place {
    at: u64,
    length: u32,
    /// Its cells that hold a value of their meter's own.
    pub(super) own_cells: u16,
}

impl Place {
    const fn grains(&self) -> u32 {
        self.length.div_ceil(GRAIN)
    }
}

/// Which chunk: its block and its quarter.
pub(crate) type Key = (u32, Quarter);

/// A chunk as it is written.
#[derive(Debug)]
pub(crate) struct Drawn {
    key: Key,
    bytes: Vec<u8>,
    own_cells: u16,
}

impl Drawn {
    pub(super) fn of(key: Key, chunk: &Chunk) -> Self {
        let mut bytes = Vec::new();
        chunk.write(&mut bytes);
        bytes.extend_from_slice(&checksum(&bytes, key).to_le_bytes());
        Self {
            key,
            bytes,
            own_cells: u16::try_from(chunk.own_cells()).unwrap_or(u16::MAX),
        }
    }
}

fn checksum(columns: &[u8], (block, quarter): Key) -> u32 {
    let with_block = crc32c::crc32c_append(crc32c::crc32c(columns), &block.to_le_bytes());
    crc32c::crc32c_append(with_block, &quarter.0.to_le_bytes())
}

/// The places of the file.
#[derive(Debug, Default)]
struct Places {
    end: u64,
    /// Those that are free, by their size in grains.
    free: BTreeMap<u32, Vec<u64>>,
    /// Bytes of the chunks that wait.
    bytes: u64,
}

/// The file. It is shared so that it can be written while nobody holds the state.
#[derive(Debug)]
pub(crate) struct Cold {
    path: PathBuf,
    /// Unset before the first chunk.
    file: OnceLock<File>,
    places: Mutex<Places>,
    failure: OnceLock<Arc<ColdError>>,
}

impl Cold {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: OnceLock::new(),
            places: Mutex::default(),
            failure: OnceLock::new(),
        }
    }

    /// Bytes of the chunks that wait.
    pub(super) fn bytes(&self) -> u64 {
        self.places.lock().bytes
    }

    /// The file's path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Why a chunk was not to be had, if one was not.
    pub(super) fn failure(&self) -> Option<&Arc<ColdError>> {
        self.failure.get()
    }

    fn file(&self) -> io::Result<&File> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&self.path)?;
        Ok(self.file.get_or_init(|| opened))
    }

    /// Writes chunks. A disk that is behind may make this take long: the state should not be held meanwhile.
    ///
    /// # Errors
    /// When the file cannot be made or written; then no place is taken.
    pub(crate) fn put_all(&self, drawn: &[Drawn]) -> io::Result<Vec<(Key, Place)>> {
        let mut placed = Vec::with_capacity(drawn.len());
        for chunk in drawn {
            match self.put(chunk) {
                Ok(place) => placed.push((chunk.key, place)),
                Err(error) => {
                    placed.iter().for_each(|(_, place)| self.free(place));
                    return Err(error);
                }
            }
        }
        Ok(placed)
    }

    fn put(&self, drawn: &Drawn) -> io::Result<Place> {
        let file = self.file()?;
        let length = u32::try_from(drawn.bytes.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let grains = length.div_ceil(GRAIN);
        let mut places = self.places.lock();
        let found = places.free.get_mut(&grains).and_then(Vec::pop);
        let at = found.unwrap_or(places.end);
        if found.is_none() {
            places.end += u64::from(grains) * u64::from(GRAIN);
        }
        places.bytes += u64::from(length);
        drop(places);
        let place = Place {
            at,
            length,
            own_cells: drawn.own_cells,
        };
        file.write_all_at(&drawn.bytes, at)
            .inspect_err(|_| self.free(&place))?;
        Ok(place)
    }

    /// Reads a chunk, which stays where it is.
    pub(super) fn get(&self, key: Key, place: &Place) -> Box<Chunk> {
        self.read(key, place).unwrap_or_else(|error| {
            self.failure.get_or_init(|| Arc::new(error));
            Box::default()
        })
    }

    fn read(&self, key: Key, place: &Place) -> Result<Box<Chunk>, ColdError> {
        let at = place.at;
        let mut bytes = vec![0; usize::try_from(place.length).unwrap_or(usize::MAX)];
        let read = match self.file.get() {
            Some(file) => file.read_exact_at(&mut bytes, at),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        read.map_err(|source| ColdError::Read {
            path: self.path.clone(),
            at,
            source,
        })?;
        let damaged = || ColdError::Damaged {
            path: self.path.clone(),
            at,
        };
        let (columns, told) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or_else(damaged)?;
        if checksum(columns, key) != u32::from_le_bytes(*told) {
            return Err(damaged());
        }
        Chunk::read(columns).map(Box::new).ok_or_else(damaged)
    }

    /// The chunk at a place is not needed there any more.
    pub(super) fn free(&self, place: &Place) {
        let mut places = self.places.lock();
        places.bytes -= u64::from(place.length);
        places.free.entry(place.grains()).or_default().push(place.at);
    }
}

impl Drop for Cold {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // Whatever remains of it is truncated by the next process.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Arrival, BlockNumber, Feeders, MeterIx, Quality, State, UtcMicros, Value, tests::any_value},
        *,
    };
    use proptest::prelude::*;

    fn put_away(state: &mut State, quarter: Quarter) -> io::Result<()> {
        let (drawn, _) = state.draw(quarter, (BlockNumber::FIRST, usize::MAX));
        let placed = state.cold().unwrap().put_all(&drawn)?;
        state.put_away(placed);
        Ok(())
    }

    fn everything_away(state: &mut State) {
        for quarter in state.quarters_here(Quarter(u32::MAX)) {
            put_away(state, quarter).unwrap();
        }
    }

    fn value(import_wh: u32) -> Value {
        Value {
            quality: Quality::Actual,
            revision: 0,
            captured_at: Some(UtcMicros(7)),
            import_wh,
            export_wh: None,
            import_vah: Some(import_wh + 1),
            voltage_v: Some(231.5),
            current_a: None,
        }
    }

    fn say(state: &mut State, meter: u32, quarter: u32, value: &Value) {
        state.merge(
            MeterIx(meter),
            Feeders::default(),
            Quarter(quarter),
            (value, Arrival::WITHIN_12_HOURS),
        );
    }

    proptest! {
        /// Wherever its chunks are at any moment, a state says the same.
        #[test]
        fn a_state_whose_values_wait_on_disk_says_what_one_in_memory_does(
            said in prop::collection::vec((0_u32..4, 1_u32..6, any_value(), any::<bool>(), any::<bool>()), 1..60),
            gone in 1_u32..6,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("cold-values");
            let (mut here, mut away) = (State::default(), State::waiting_in(Some(path.clone())));
            for (meter, quarter, value, is_estimate, is_away) in said {
                for state in [&mut here, &mut away] {
                    if is_estimate {
                        let estimate = Some((value.import_wh, value.export_wh)).filter(|_| meter > 1);
                        state.show_estimate(MeterIx(meter), Feeders::default(), Quarter(quarter), estimate);
                    } else {
                        say(state, meter, quarter, &value);
                    }
                }
                if is_away {
                    everything_away(&mut away);
                }
            }
            let values = |state: &State| {
                let mut values: Vec<String> = state.values().map(|value| format!("{value:?}")).collect();
                values.sort();
                values
            };
            prop_assert_eq!(values(&here), values(&away));
            everything_away(&mut away);
            prop_assert_eq!(values(&here), values(&away));
            prop_assert_eq!(here.cells(), away.cells());
            for meter in 0..4 {
                let Some((block, slot)) = here.slot_of(MeterIx(meter)) else { continue };
                let windows = [&here, &away].map(|state| state.window(block, Quarter(0)..=Quarter(6)));
                for at in 0..7 {
                    let [one, other] = windows.each_ref().map(|window| (window.held(slot, at), window.sample(slot, at)));
                    prop_assert_eq!(one, other);
                }
            }
            for state in [&mut here, &mut away] {
                state.let_go(BlockNumber::FIRST, Quarter(0)..=Quarter(gone));
            }
            prop_assert_eq!(here.cells(), away.cells());
            prop_assert_eq!(values(&here), values(&away));
            prop_assert!(away.check().is_ok());
            away.let_go(BlockNumber::FIRST, Quarter(0)..=Quarter(9));
            prop_assert_eq!(away.cold_bytes(), 0);
            drop(away);
            prop_assert!(!path.exists());
        }
    }

    #[test]
    fn a_file_grows_to_the_most_that_was_away_and_no_further() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cold-values");
        let mut state = State::waiting_in(Some(path.clone()));
        for round in 0..20 {
            for meter in 0..500 {
                say(&mut state, meter, 1, &value(round + meter));
                say(&mut state, meter, 2, &value(round + meter));
            }
            everything_away(&mut state);
        }
        let length = std::fs::metadata(&path).unwrap().len();
        assert!(length <= 2 * state.cold_bytes(), "{length}");
        assert_eq!(state.value(MeterIx(499), Quarter(2)), Some(value(499 + 19)));
    }

    #[test]
    fn what_was_changed_on_disk_is_found_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cold-values");
        let mut state = State::waiting_in(Some(path.clone()));
        say(&mut state, 1, 1, &value(1_000));
        everything_away(&mut state);
        assert!(state.check().is_ok());
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&[0x55], 2).unwrap();
        assert_eq!(state.value(MeterIx(1), Quarter(1)), None);
        let error = state.check().unwrap_err().to_string();
        assert!(
            error.contains("cold-values at byte 0 are not what was written"),
            "{error}"
        );

        file.set_len(1).unwrap();
        let mut state = State::waiting_in(Some(path.clone()));
        say(&mut state, 1, 1, &value(1_000));
        everything_away(&mut state);
        OpenOptions::new()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(1)
            .unwrap();
        say(&mut state, 1, 1, &value(2_000));
        let error = state.check().unwrap_err().to_string();
        assert!(error.contains("cannot be read at byte 0"), "{error}");
    }

    #[test]
    fn what_changed_before_a_chunk_was_put_away_is_told_as_all_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut state = State::waiting_in(Some(folder.path().join("cold-values")));
        say(&mut state, 1, 1, &value(1_000));
        everything_away(&mut state);
        let [changed] = state.take_dirty(usize::MAX).try_into().unwrap();
        assert_eq!((changed.quarter, changed.meters), (Quarter(1), None));
    }

    #[test]
    fn what_cannot_be_written_stays_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let mut state = State::waiting_in(Some(folder.path().join("nowhere").join("cold-values")));
        say(&mut state, 1, 1, &value(1_000));
        let error = put_away(&mut state, Quarter(1)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert_eq!(state.value(MeterIx(1), Quarter(1)), Some(value(1_000)));
        assert!(state.check().is_ok() && state.cold_bytes() == 0);
    }
}
