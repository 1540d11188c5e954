//! A worker's process: started with low priority, watched, lowered further when its query is a long one, and killed when it must end.

use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::mpsc,
    time::{Instant, MissedTickBehavior},
};

use super::{
    SqlConfig, SqlError,
    allowance::Purse,
    protocol::{self, Frame, Order, Preparation, Request},
};

/// Frames that may wait between a worker and its client.
pub(super) const FRAMES_MAX: usize = 4;
/// What a worker may use beside twice the memory of its operators, bytes.
pub(super) const OVERHEAD_BYTES: u64 = 512 << 20;
/// How often a worker's use of memory and processors is looked at.
const WATCH: Duration = Duration::from_millis(100);
/// Priority of workers (nice value): ingest and balances come first.
const NICENESS: &str = "10";
/// Where the system's own programs are.
const FOLDERS: [&str; 2] = ["/usr/bin", "/bin"];
/// A query that has used so much processor time gets no more from then on than nobody else wants. Reports and what tools ask use less: on a
/// machine that is full for long an idle process may get nothing until its deadline, which is right for a runaway alone.
const SHORT: Duration = Duration::from_secs(2);
/// The system's unit of processor time in `/proc`, a hundredth of a second (USER_HZ; proc(5)).
const TICK: Duration = Duration::from_millis(10);
/// Longest time in which a worker that is started ahead must be ready.
const PREPARE_MAX: Duration = Duration::from_secs(60);

/// How the folder of a query's spill files is called; then the number of the process that asks, and the query's.
const SPILL_PREFIX: &str = "gridtally-sql-";

/// A folder for one worker's spill files, not created yet.
fn spill_directory() -> PathBuf {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("{SPILL_PREFIX}{}-{number}", std::process::id()))
}

/// Removes spill folders below `folder` of processes that are no more: one that was killed could not.
pub(super) fn remove_leftovers(folder: &Path) {
    // Where no process can be seen, none is known to be gone.
    if !Path::new("/proc/self").exists() {
        return;
    }
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let process = name
            .to_str()
            .and_then(|name| name.strip_prefix(SPILL_PREFIX)?.split_once('-'))
            .and_then(|(process, _)| process.parse::<u32>().ok());
        if process.is_some_and(|process| !Path::new("/proc").join(process.to_string()).exists())
            && let Err(error) = std::fs::remove_dir_all(entry.path())
        {
            tracing::debug!(folder = %entry.path().display(), %error, "a spill folder of a process that is no more stays");
        }
    }
}

/// What a worker is given of the processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Priority {
    /// Less than ingest and balances.
    Low,
    /// What nobody else wants.
    Idle,
}

/// A started worker that has not been asked anything.
#[derive(Debug)]
pub(super) struct Started {
    child: Child,
    /// Open as long as somebody may ask or waits for the answer.
    input: ChildStdin,
    output: ChildStdout,
    spill: Spill,
}

impl Started {
    fn cold(config: &SqlConfig, priority: Priority) -> Result<Self, SqlError> {
        let failed = |source| SqlError::Start {
            exe: config.worker_exe.clone(),
            source,
        };
        let mut child = spawn(config, priority).map_err(failed)?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (input, output) = pipes.ok_or_else(|| failed(io::Error::other("it has no standard streams")))?;
        Ok(Self {
            child,
            input,
            output,
            spill: Spill(spill_directory()),
        })
    }

    /// Starts a worker and waits until it is prepared.
    pub(super) async fn prepared(config: &SqlConfig) -> Result<Self, SqlError> {
        let mut started = Self::cold(config, Priority::Low)?;
        let prepare = async {
            let preparation = Preparation::new(config, Some(started.spill.0.clone()));
            started.tell(&Order::Prepare(preparation)).await?;
            protocol::read_ready(&mut started.output).await
        };
        match tokio::time::timeout(PREPARE_MAX, prepare).await {
            Ok(Ok(())) => Ok(started),
            Ok(Err(error)) => Err(SqlError::Broken {
                what: format!("it was not ready: {error}"),
            }),
            Err(_) => Err(SqlError::Broken {
                what: format!("it was not ready after {} s", PREPARE_MAX.as_secs()),
            }),
        }
    }

    /// Whether its process still runs.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Processor time that it has used; `None` where that cannot be seen.
    pub(super) async fn used(&self) -> Option<Duration> {
        used_by(self.child.id()?).await
    }

    /// Gives it its question.
    async fn ask(&mut self, request: &Request) -> io::Result<()> {
        let order = Order::Answer(Box::new(Request {
            spill_directory: Some(self.spill.0.clone()),
            ..request.clone()
        }));
        self.tell(&order).await
    }

    async fn tell(&mut self, order: &Order) -> io::Result<()> {
        self.input.write_all(&order.line()?).await
    }
}

/// A started worker that has been given its query.
#[derive(Debug)]
pub(super) struct Worker {
    started: Started,
    deadline: Duration,
    deadline_at: Instant,
    memory_bytes_max: u64,
    priority: Priority,
    purse: Purse,
    /// What it had used before its question.
    used_before: Duration,
}

/// Removes a worker's spill folder, whichever way its query ended.
#[derive(Debug)]
struct Spill(PathBuf);

impl Spill {
    /// Removes it by a process of low priority: giving back some GB of files takes half a second of a processor. What that leaves is removed
    /// here.
    async fn remove(self) {
        if self.0.exists()
            && let Some(mut remove) = of_system("nice", &["-n", NICENESS, "rm", "-rf", "--"])
            && let Err(error) = quiet(remove.arg(&self.0)).status().await
        {
            tracing::debug!(%error, "a spill folder is removed by the server itself");
        }
    }
}

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
    /// Gives the query to a worker that waits for one, else to one that is started for it.
    pub(super) async fn start(
        config: &SqlConfig,
        request: &Request,
        (deadline, purse): (Duration, Purse),
        waiting: Option<Started>,
    ) -> Result<Self, SqlError> {
        let mut told = None;
        if let Some(mut waiting) = waiting {
            let used_before = waiting.used().await.unwrap_or_default();
            // One that died meanwhile does not take it.
            told = waiting
                .ask(request)
                .await
                .is_ok()
                .then_some((waiting, used_before));
        }
        let (started, used_before, priority) = match told {
            Some((waiting, used_before)) => (waiting, used_before, Priority::Low),
            None => {
                let priority = if purse.is_spent(Instant::now()) {
                    Priority::Idle
                } else {
                    Priority::Low
                };
                let mut cold = Started::cold(config, priority)?;
                cold.ask(request).await.map_err(|error| SqlError::Broken {
                    what: format!("it did not take the query: {error}"),
                })?;
                (cold, Duration::ZERO, priority)
            }
        };
        let twice = u64::try_from(config.memory_bytes)
            .unwrap_or(u64::MAX)
            .saturating_mul(2);
        Ok(Self {
            started,
            deadline,
            deadline_at: Instant::now() + deadline,
            memory_bytes_max: twice.saturating_add(OVERHEAD_BYTES),
            priority,
            purse,
            used_before,
        })
    }

    /// Reads the answer into a bounded queue until it ends, time or memory is up, or nobody listens; then kills the
    /// process and drops what is held for it.
    pub(super) fn pump(self, held: impl Send + 'static) -> Frames {
        let (sender, receiver) = mpsc::channel(FRAMES_MAX);
        tokio::spawn(async move {
            self.run(&sender).await;
            drop(held);
        });
        Frames { receiver }
    }

    async fn run(self, sender: &mpsc::Sender<Result<Frame, SqlError>>) {
        let Started {
            mut child,
            input,
            mut output,
            spill,
        } = self.started;
        let mut watched = Watched {
            process: child.id(),
            memory_bytes_max: self.memory_bytes_max,
            purse: self.purse,
            used_before: self.used_before,
            used: self.used_before,
            priority: self.priority,
        };
        let outcome = tokio::select! {
            outcome = forward(&mut output, sender) => outcome,
            () = tokio::time::sleep_until(self.deadline_at) => Err(SqlError::Deadline { deadline: self.deadline }),
            () = watched.until_outgrown() => {
                Err(SqlError::Memory { bytes_max: self.memory_bytes_max })
            }
            () = sender.closed() => Ok(()),
        };
        // What it used since the last look; of a process that has ended it can be seen until it is waited for.
        watched.spend().await;
        if let Err(error) = child.kill().await {
            tracing::warn!(%error, "an SQL worker could not be killed");
        }
        drop(input);
        if let Err(error) = outcome {
            // The listener may be gone, and a full queue may never move again.
            tokio::time::timeout(Duration::from_secs(1), sender.send(Err(error)))
                .await
                .ok();
        }
        spill.remove().await;
    }
}

fn spawn(config: &SqlConfig, priority: Priority) -> io::Result<Child> {
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
    let lowered = match priority {
        Priority::Low => of_system("nice", &["-n", NICENESS]),
        Priority::Idle => of_system("chrt", &["--idle", "0"]),
    };
    match (lowered, priority) {
        (Some(mut lowered), _) => {
            lowered.arg(&config.worker_exe);
            prepared(lowered)
        }
        (None, Priority::Low) => prepared(Command::new(&config.worker_exe)),
        (None, Priority::Idle) => spawn(config, Priority::Low),
    }
}

/// A program of the system, `None` where there is none. By its whole path, as the worker's own: a program that is looked for by its name with an
/// environment of its own is started by a copy of this process, whose memory is a copy until then: with some GB of it that takes tens of
/// milliseconds, and every page that ingest then writes to costs a fault.
fn of_system(program: &str, arguments: &[&str]) -> Option<Command> {
    let mut found = FOLDERS
        .iter()
        .map(|folder| Path::new(folder).join(program))
        .filter(|path| path.exists());
    let mut command = Command::new(found.next()?);
    command.args(arguments);
    Some(command)
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

/// A process that answers a query.
#[derive(Debug)]
struct Watched {
    process: Option<u32>,
    memory_bytes_max: u64,
    purse: Purse,
    /// Processor time before its question, and at the last look.
    used_before: Duration,
    used: Duration,
    priority: Priority,
}

impl Watched {
    /// Returns when the process holds more memory than it may; never where that cannot be seen (no `/proc`). Has what it uses of the processors
    /// spent, and lowers it when its query turns out to be a long one, or when nothing is left to spend.
    async fn until_outgrown(&mut self) {
        let mut watch = tokio::time::interval(WATCH);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let Some(process) = self.process else {
            return std::future::pending().await;
        };
        loop {
            watch.tick().await;
            match tokio::fs::read_to_string(format!("/proc/{process}/status")).await {
                Ok(status) if resident_bytes(&status).is_some_and(|bytes| bytes > self.memory_bytes_max) => {
                    return;
                }
                Ok(_) => {}
                Err(_) => return std::future::pending().await,
            }
            if self.priority == Priority::Idle {
                continue;
            }
            self.spend().await;
            let is_long = self.used.saturating_sub(self.used_before) >= SHORT;
            if is_long || self.purse.is_spent(Instant::now()) {
                self.priority = Priority::Idle;
                lower(process).await;
            }
        }
    }

    /// Spends what it used since the last look, unless that was what nobody else wanted.
    async fn spend(&mut self) {
        let Some(process) = self.process.filter(|_| self.priority == Priority::Low) else {
            return;
        };
        if let Some(used) = used_by(process).await {
            self.purse.spend(used.saturating_sub(self.used), Instant::now());
            self.used = used;
        }
    }
}

async fn used_by(process: u32) -> Option<Duration> {
    let stat = tokio::fs::read_to_string(format!("/proc/{process}/stat")).await;
    processor_time(&stat.ok()?)
}

/// Puts a process behind everything else, on the processors and on the disk (the system has the reads of such a process in the idle class, too):
/// ingest, balances and dashboards find a processor at once, and what is left over is its own. A short query is answered before that, at
/// once even where there is much else to do.
async fn lower(process: u32) {
    let Some(mut lowered) = of_system(
        "chrt",
        &["--idle", "--all-tasks", "--pid", "0", &process.to_string()],
    ) else {
        return;
    };
    if let Err(error) = quiet(&mut lowered).status().await {
        tracing::debug!(%error, "a long query keeps its priority: chrt cannot be run");
    }
}

fn quiet(command: &mut Command) -> &mut Command {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
}

/// Processor time that a process has used by its `stat`: fields 14 and 15, in the system's ticks; a name may hold spaces and brackets.
fn processor_time(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(TICK.saturating_mul(user.saturating_add(system)))
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
    use std::time::Duration;

    use super::{SPILL_PREFIX, processor_time, remove_leftovers, resident_bytes};

    #[test]
    fn processor_time_is_read_from_the_stat() {
        let check = |text: &str, expected| {
            assert_eq!(processor_time(text), expected, "{text}");
        };
        let line = "42 (a) b) S 1 42 42 0 -1 4194560 100 0 0 0 17 8 3 2 20 0 1 0 55";
        check(line, Some(Duration::from_millis(250)));
        check("42 (a) S 1 2", None);
        check("", None);
    }

    #[test]
    fn only_spill_folders_of_processes_that_are_no_more_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: String| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.join("inside")).unwrap();
            path
        };
        // Process numbers end at 4194304.
        let gone = make(format!("{SPILL_PREFIX}4194999-3"));
        let ours = make(format!("{SPILL_PREFIX}{}-0", std::process::id()));
        let others = make("something-4194999-3".to_owned());
        remove_leftovers(folder.path());
        assert!(!gone.exists() && ours.exists() && others.exists());
    }

    #[test]
    fn resident_memory_is_read_from_the_status() {
        let check = |text: &str, expected| assert_eq!(resident_bytes(text), expected, "{text}");
        check("Name:\tx\nVmRSS:\t    2048 kB\nThreads:\t3\n", Some(2_097_152));
        check("Name:\tx\n", None);
        check("VmRSS:\tmany kB\n", None);
    }
}
