//! A disk that can hold its operations back, die in the middle of one, and knows what a power failure would leave.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use super::super::*;

/// What of a file is on the medium.
#[derive(Debug, Default)]
struct Durable {
    bytes: u64,
    name: bool,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<PathBuf, Durable>,
    /// Deleted files with their durable content, whose folder has not been synced since.
    deleted: BTreeMap<PathBuf, Vec<u8>>,
    /// Operations until the disk dies, and how many bytes of a write still pass then.
    dies_in: Option<(u64, usize)>,
    dead: bool,
    panics: bool,
}

/// See the module; clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(super) struct FaultyDisk {
    state: Arc<Mutex<State>>,
    /// Operations begun.
    begun: Arc<AtomicU64>,
    gate: Arc<Mutex<()>>,
}

#[derive(Debug)]
struct FaultyFile {
    inner: File,
    path: PathBuf,
    disk: FaultyDisk,
}

fn gone() -> io::Error {
    io::Error::other("the disk is gone")
}

impl FaultyDisk {
    /// Every operation waits until what this returns is dropped.
    pub(super) fn hold(&self) -> MutexGuard<'_, ()> {
        self.gate.lock().unwrap()
    }

    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::SeqCst)
    }

    pub(super) fn die_in(&self, operations: u64, written: usize) {
        self.state().dies_in = Some((operations, written));
    }

    pub(super) fn panic_from_now_on(&self) {
        self.state().panics = true;
    }

    /// Nothing more reaches it, as when the process is killed.
    pub(super) fn stop(&self) {
        self.state().dead = true;
    }

    /// It works again, or another process uses it. What was written and not synced still stands in the page cache.
    pub(super) fn go_on(&self) {
        let mut state = self.state();
        (state.dead, state.dies_in, state.panics) = (false, None, false);
    }

    /// Length of all that is durable, bytes.
    pub(super) fn durable_bytes(&self) -> Vec<u64> {
        self.state().files.values().map(|file| file.bytes).collect()
    }

    /// Leaves what a power failure may: all that was synced, and of the rest whatever `chance` says (cut, zeros, garbage, holes;
    /// names that come back or are gone).
    pub(super) fn power_failure(&self, mut chance: impl FnMut() -> u8) {
        let mut state = self.state();
        for (path, content) in std::mem::take(&mut state.deleted) {
            if chance() < 128 {
                std::fs::write(&path, content).unwrap();
                let bytes = path.metadata().unwrap().len();
                state.files.insert(path, Durable { bytes, name: true });
            }
        }
        state.files.retain(|path, durable| {
            if !path.exists() {
                return false;
            }
            if !durable.name && chance() < 128 {
                std::fs::remove_file(path).unwrap();
                return false;
            }
            let mut content = std::fs::read(path).unwrap();
            tear(&mut content, usize::try_from(durable.bytes).unwrap(), &mut chance);
            std::fs::write(path, &content).unwrap();
            *durable = Durable {
                bytes: format::file_bytes(content.len()),
                name: true,
            };
            true
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Begins an operation; `Some` when it is the one in which the disk dies.
    fn begin(&self) -> io::Result<Option<usize>> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let _held = self.gate.lock().unwrap();
        let mut state = self.state();
        if state.panics {
            drop(state);
            panic!("a disk that panics");
        }
        if state.dead {
            return Err(gone());
        }
        match &mut state.dies_in {
            Some((0, written)) => {
                let written = *written;
                state.dead = true;
                Ok(Some(written))
            }
            Some((operations, _)) => {
                *operations -= 1;
                Ok(None)
            }
            None => Ok(None),
        }
    }

    fn file(&self, path: &Path, inner: File) -> Box<dyn SegmentFile> {
        Box::new(FaultyFile {
            inner,
            path: path.to_owned(),
            disk: self.clone(),
        })
    }
}

/// Tears what is behind the durable bytes.
fn tear(content: &mut Vec<u8>, durable: usize, chance: &mut impl FnMut() -> u8) {
    let unsynced = content.len() - durable.min(content.len());
    if unsynced == 0 {
        return;
    }
    let kept = durable + (usize::from(chance()) * 256 + usize::from(chance())) % (unsynced + 1);
    match chance() % 5 {
        0 => content.truncate(kept),
        1 => content[kept..].fill(0),
        2 => content[kept..].iter_mut().for_each(|byte| *byte = chance()),
        // Written back out of order: a hole, and whole entries behind it.
        3 => content[kept..].iter_mut().take(9).for_each(|byte| *byte = 0),
        _ => {}
    }
}

impl SegmentFile for FaultyFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let dying = self.disk.begin()?;
        let written = dying.map_or(bytes, |written| &bytes[..written.min(bytes.len())]);
        io::Write::write_all(&mut self.inner, written)?;
        dying.map_or(Ok(()), |_| Err(gone()))
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let dying = self.disk.begin()?;
        self.inner.set_len(length)?;
        if let Some(durable) = self.disk.state().files.get_mut(&self.path) {
            durable.bytes = durable.bytes.min(length);
        }
        dying.map_or(Ok(()), |_| Err(gone()))
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.disk.begin()?.is_some() {
            return Err(gone());
        }
        let bytes = self.inner.metadata()?.len();
        self.disk
            .state()
            .files
            .entry(self.path.clone())
            .or_default()
            .bytes = bytes;
        Ok(())
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn SegmentFile>> {
        let dying = self.begin()?;
        if dying.is_some_and(|written| written < 100) {
            return Err(gone());
        }
        let file = File::options().append(true).create_new(true).open(path)?;
        let mut state = self.state();
        state.deleted.remove(path);
        state.files.insert(path.to_owned(), Durable::default());
        drop(state);
        dying.map_or_else(|| Ok(self.file(path, file)), |_| Err(gone()))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn SegmentFile>> {
        self.begin()?.map_or(Ok(()), |_| Err(gone()))?;
        Ok(self.file(path, File::options().append(true).open(path)?))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let dying = self.begin()?;
        if dying.is_some_and(|written| written < 100) {
            return Err(gone());
        }
        let mut content = std::fs::read(path)?;
        std::fs::remove_file(path)?;
        let mut state = self.state();
        if let Some(durable) = state.files.remove(path).filter(|durable| durable.name) {
            content.truncate(usize::try_from(durable.bytes).unwrap());
            state.deleted.insert(path.to_owned(), content);
        }
        dying.map_or(Ok(()), |_| Err(gone()))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        if self.begin()?.is_some() {
            return Err(gone());
        }
        let mut state = self.state();
        state.deleted.retain(|deleted, _| deleted.parent() != Some(path));
        for (_, durable) in state
            .files
            .iter_mut()
            .filter(|(file, _)| file.parent() == Some(path))
        {
            durable.name = true;
        }
        Ok(())
    }
}
