//! The machine's disk, whose syncs can be held back, let through one by one and made to fail. Shared by the test binaries.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::{
    io,
    path::Path,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use gridtally_ingest::log::{Disk, LocalDisk, SegmentFile};
use tokio::time::timeout;

/// Long enough for the slowest machine; nothing waits it out in a passing test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `holds`, or fails.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, waiting)
        .await
        .unwrap_or_else(|_| panic!("never: {what}"));
}

#[derive(Debug, Default)]
struct DiskState {
    held: bool,
    /// Syncs that pass although it is held.
    passes: usize,
    fails: bool,
    waiting: bool,
}

/// See the module; clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct TestDisk(Arc<(Mutex<DiskState>, Condvar)>);

impl TestDisk {
    fn change(&self, change: impl FnOnce(&mut DiskState)) {
        change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }

    /// From now on no sync returns.
    pub(crate) fn hold(&self) {
        self.change(|state| state.held = true);
    }

    /// One sync returns, the next is held back again.
    pub(crate) fn pass_one(&self) {
        self.change(|state| {
            state.passes += 1;
            state.waiting = false;
        });
    }

    /// Syncs return again.
    pub(crate) fn release(&self) {
        self.change(|state| state.held = false);
    }

    /// Syncs fail.
    pub(crate) fn fail(&self) {
        self.change(|state| state.fails = true);
    }

    fn is_waiting(&self) -> bool {
        self.0.0.lock().unwrap().waiting
    }

    /// Waits until a sync has begun that is held back.
    pub(crate) async fn until_waiting(&self) {
        until("a sync has begun", || self.is_waiting()).await;
    }
}

#[derive(Debug)]
struct TestFile {
    inner: Box<dyn SegmentFile>,
    disk: TestDisk,
}

impl SegmentFile for TestFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.inner.append(bytes)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.inner.truncate(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.0.0.lock().unwrap();
        while state.held && state.passes == 0 {
            state.waiting = true;
            state = self.disk.0.1.wait(state).unwrap();
        }
        state.passes = state.passes.saturating_sub(1);
        state.waiting = false;
        if state.fails {
            return Err(io::Error::other("the disk is gone"));
        }
        drop(state);
        self.inner.sync()
    }
}

impl Disk for TestDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn SegmentFile>> {
        let inner = LocalDisk.create(path)?;
        Ok(Box::new(TestFile {
            inner,
            disk: self.clone(),
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn SegmentFile>> {
        let inner = LocalDisk.open(path)?;
        Ok(Box::new(TestFile {
            inner,
            disk: self.clone(),
        }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        LocalDisk.remove(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        LocalDisk.sync_directory(path)
    }
}
