//! The one thread that writes, syncs and announces, in this order (ACK-1).

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{
    Disk, LogError, Position, SegmentFile, format,
    queue::{Commit, Queue},
    recovery,
    segments::{Segment, Segments},
};

/// A buffer that has grown beyond this is not kept for the next commit.
const SPARE_BYTES_MAX: usize = 16 << 20;

/// What the thread owns.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) directory: PathBuf,
    pub(super) segment_bytes: u64,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) file: Box<dyn SegmentFile>,
    pub(super) segment: Arc<Segment>,
    pub(super) segments: Arc<Segments>,
    pub(super) queue: Arc<Queue>,
    pub(super) announce: watch::Sender<Position>,
}

impl Writer {
    /// Starts the thread. When it ends, for whatever reason, the queue is closed or poisoned first and the channel ends then.
    pub(super) fn start(mut self) -> std::io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name("log".to_owned()).spawn(move || {
            let failure = match catch_unwind(AssertUnwindSafe(|| self.run())) {
                Ok(Ok(())) => return,
                Ok(Err(failure)) => failure,
                Err(_) => LogError::Panicked,
            };
            let error: &dyn std::error::Error = &failure;
            tracing::error!(
                error,
                "the log cannot be trusted: nothing is acknowledged any more"
            );
            self.queue.poison(failure);
        })
    }

    fn run(&mut self) -> Result<(), LogError> {
        let (mut spare, mut previous) = (Vec::new(), Duration::ZERO);
        while let Some(mut commit) = self.queue.take(spare, previous) {
            let started = Instant::now();
            self.commit(&commit)?;
            self.queue.release(commit.room);
            if self.segment.synced_bytes() >= self.segment_bytes {
                self.roll(commit.last.next())?;
            }
            previous = started.elapsed();
            commit.entries.clear();
            spare = Some(commit.entries)
                .filter(|entries| entries.capacity() <= SPARE_BYTES_MAX)
                .unwrap_or_default();
        }
        Ok(())
    }

    /// Writes, syncs, and only then announces (ACK-1).
    fn commit(&mut self, commit: &Commit) -> Result<(), LogError> {
        let path = &self.segment.path;
        self.file
            .append(&commit.entries)
            .map_err(|source| LogError::io("write", path, source))?;
        self.file
            .sync()
            .map_err(|source| LogError::io("sync", path, source))?;
        self.segment.grow(format::file_bytes(commit.entries.len()));
        self.announce.send_replace(commit.last);
        Ok(())
    }

    /// Goes on in a new segment. The old one is synced whole, which is why only the last one can be torn.
    fn roll(&mut self, first: Position) -> Result<(), LogError> {
        let (segment, file) = recovery::create(&*self.disk, &self.directory, first)?;
        self.queue.grown(segment.synced_bytes());
        self.segment = Arc::new(segment);
        self.file = file;
        self.segments.push(Arc::clone(&self.segment));
        Ok(())
    }
}
