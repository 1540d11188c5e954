//! A worker's process: started with low priority, watched, and killed when it must end.

use std::{
    io,
    path::PathBuf,
    process::Stdio,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::{OwnedSemaphorePermit, mpsc},
    time::{Instant, MissedTickBehavior},
};

use super::{
    SqlConfig, SqlError,
    protocol::{self, Frame, Request},
};

/// Frames that may wait between a worker and its client.
pub(super) const FRAMES_MAX: usize = 4;
/// What a worker may use beside twice the memory of its operators, bytes.
pub(super) const OVERHEAD_BYTES: u64 = 512 << 20;
/// How often the memory of a worker is looked at.
const MEMORY_WATCH: Duration = Duration::from_millis(200);
/// Priority of workers (nice value): ingest and balances come first.
const NICENESS: &str = "10";

/// A folder for one query's spill files, not created yet.
pub(super) fn spill_directory() -> PathBuf {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("gridtally-sql-{}-{number}", std::process::id()))
}

/// A started worker that has been given its query.
#[derive(Debug)]
pub(super) struct Worker {
    child: Child,
    /// Open as long as somebody waits for the answer.
    input: ChildStdin,
    output: ChildStdout,
    deadline: Duration,
    deadline_at: Instant,
    memory_bytes_max: u64,
    spill: Spill,
}

/// Removes the spill folder, whichever way the query ended.
#[derive(Debug)]
struct Spill(PathBuf);

impl Drop for Spill {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(folder = %self.0.display(), %error, "a query's spill folder stays");
        }
    }
}

impl Worker {
    pub(super) async fn start(
        config: &SqlConfig,
        request: &Request,
        deadline: Duration,
    ) -> Result<Self, SqlError> {
        let failed = |source| SqlError::Start {
            exe: config.worker_exe.clone(),
            source,
        };
        let mut child = spawn(config).map_err(failed)?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (mut input, output) =
            pipes.ok_or_else(|| failed(io::Error::other("it has no standard streams")))?;
        let mut line = serde_json::to_vec(request).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        if let Err(error) = input.write_all(&line).await {
            return Err(SqlError::Broken {
                what: format!("it did not take the query: {error}"),
            });
        }
        let twice = u64::try_from(config.memory_bytes)
            .unwrap_or(u64::MAX)
            .saturating_mul(2);
        Ok(Self {
            child,
            input,
            output,
            deadline,
            deadline_at: Instant::now() + deadline,
            memory_bytes_max: twice.saturating_add(OVERHEAD_BYTES),
            spill: Spill(request.spill_directory.clone()),
        })
    }

    /// Reads the answer into a bounded queue until it ends, time or memory is up, or nobody listens; then kills the
    /// process and gives back the permits.
    pub(super) fn pump(self, permits: (OwnedSemaphorePermit, OwnedSemaphorePermit)) -> Frames {
        let (sender, receiver) = mpsc::channel(FRAMES_MAX);
        tokio::spawn(async move {
            self.run(&sender).await;
            drop(permits);
        });
        Frames { receiver }
    }

    async fn run(mut self, sender: &mpsc::Sender<Result<Frame, SqlError>>) {
        let outcome = tokio::select! {
            outcome = forward(&mut self.output, sender) => outcome,
            () = tokio::time::sleep_until(self.deadline_at) => Err(SqlError::Deadline { deadline: self.deadline }),
            () = outgrown(self.child.id(), self.memory_bytes_max) => {
                Err(SqlError::Memory { bytes_max: self.memory_bytes_max })
            }
            () = sender.closed() => Ok(()),
        };
        if let Err(error) = self.child.kill().await {
            tracing::warn!(%error, "an SQL worker could not be killed");
        }
        drop(self.input);
        drop(self.spill);
        if let Err(error) = outcome {
            // The listener may be gone, and a full queue may never move again.
            tokio::time::timeout(Duration::from_secs(1), sender.send(Err(error)))
                .await
                .ok();
        }
    }
}

fn spawn(config: &SqlConfig) -> io::Result<Child> {
    let prepared = |mut command: Command| {
        command
            .args(&config.worker_args)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
    };
    let mut nice = Command::new("nice");
    nice.args(["-n", NICENESS]).arg(&config.worker_exe);
    match prepared(nice) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => prepared(Command::new(&config.worker_exe)),
        other => other,
    }
}

async fn forward(
    output: &mut ChildStdout,
    sender: &mpsc::Sender<Result<Frame, SqlError>>,
) -> Result<(), SqlError> {
    loop {
        let frame = protocol::read_frame(output)
            .await
            .map_err(|error| SqlError::Broken {
                what: if error.kind() == io::ErrorKind::UnexpectedEof {
                    "it ended without an answer".to_owned()
                } else {
                    error.to_string()
                },
            })?;
        let is_last = match frame {
            Frame::Data(_) | Frame::Parameters(_) => false,
            Frame::Done(_) | Frame::Failed(_) => true,
        };
        if sender.send(Ok(frame)).await.is_err() || is_last {
            return Ok(());
        }
    }
}

/// Returns when the process holds more memory than it may; never where that cannot be seen (no `/proc`).
async fn outgrown(process: Option<u32>, bytes_max: u64) {
    let mut watch = tokio::time::interval(MEMORY_WATCH);
    watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let Some(process) = process else {
        return std::future::pending().await;
    };
    let path = format!("/proc/{process}/status");
    loop {
        watch.tick().await;
        match tokio::fs::read_to_string(&path).await {
            Ok(status) if resident_bytes(&status).is_some_and(|bytes| bytes > bytes_max) => return,
            Ok(_) => {}
            Err(_) => return std::future::pending().await,
        }
    }
}

/// `VmRSS:   123456 kB` of a process status.
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1_024)
}

/// The frames of an answer. Dropping it kills the worker.
#[derive(Debug)]
pub(super) struct Frames {
    receiver: mpsc::Receiver<Result<Frame, SqlError>>,
}

impl Frames {
    pub(super) async fn next(&mut self) -> Result<Frame, SqlError> {
        self.receiver.recv().await.unwrap_or_else(|| {
            Err(SqlError::Broken {
                what: "its answer has no end".to_owned(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::resident_bytes;

    #[test]
    fn resident_memory_is_read_from_the_status() {
        let check = |text: &str, expected| assert_eq!(resident_bytes(text), expected, "{text}");
        check("Name:\tx\nVmRSS:\t    2048 kB\nThreads:\t3\n", Some(2_097_152));
        check("Name:\tx\n", None);
        check("VmRSS:\tmany kB\n", None);
    }
}
