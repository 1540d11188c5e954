//! A disk for tests that tells of each step taken on it, so that a test can look at what a kill would leave there.

use std::{
    fs::File,
    io,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{
    DurableStore,
    disk::{Disk, LocalDisk},
};

type AtStep = Box<dyn Fn(usize) + Send>;

/// The machine's disk; after each change of it a test may look.
#[derive(Default)]
pub(crate) struct KillPoints {
    at_step: Mutex<Option<AtStep>>,
    steps: AtomicUsize,
}

impl std::fmt::Debug for KillPoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KillPoints")
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}

impl KillPoints {
    /// Calls `look` with the number of the step, from 1, after each from now on.
    pub(crate) fn at_every_step(&self, look: impl Fn(usize) + Send + 'static) {
        *self.at_step.lock().unwrap() = Some(Box::new(look));
    }

    /// Steps that were looked at.
    pub(crate) fn steps(&self) -> usize {
        self.steps.load(Ordering::SeqCst)
    }

    fn step<T>(&self, done: io::Result<T>) -> io::Result<T> {
        if let Some(look) = self.at_step.lock().unwrap().as_ref() {
            look(self.steps.fetch_add(1, Ordering::SeqCst) + 1);
        }
        done
    }
}

impl Disk for KillPoints {
    fn create_new(&self, path: &Path) -> io::Result<File> {
        self.step(LocalDisk.create_new(path))
    }
    fn sync_file(&self, file: &File, path: &Path) -> io::Result<()> {
        self.step(LocalDisk.sync_file(file, path))
    }
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(LocalDisk.link(from, to))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(LocalDisk.rename(from, to))
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step(LocalDisk.remove(path))
    }
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.step(LocalDisk.create_directory(path))
    }
    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.step(LocalDisk.sync_directory(path))
    }
}

/// A store below `root` on such a disk.
pub(crate) fn store_on(disk: Arc<KillPoints>, root: &Path) -> DurableStore {
    DurableStore::open_on(disk, root.to_owned()).unwrap()
}
