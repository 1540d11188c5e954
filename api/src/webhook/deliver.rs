//! The task of one receiver: loads, sends, notes what became of it, and makes that durable.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use gridtally_ingest::key::random;
use gridtally_schemas::{Clock, UtcMicros};
use reqwest::Client;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
    time,
};

use super::{
    Endpoint,
    post::post,
    queue::{DeadLetter, Failure, Next, Queue, Verdict},
    source::Source,
    standing::StandingFile,
};
use crate::problem::causes;

/// Pause after the source or the disk failed.
const FAILED_PAUSE: Duration = Duration::from_secs(5);
/// Longest sleep: a clock that was set back is noticed after that.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// What somebody asks of a receiver's task; answered when it is durable.
#[derive(Debug)]
pub(super) enum Command {
    /// Send dead letters once more: these, or all.
    SendAgain {
        sequences: Option<BTreeSet<i64>>,
        reply: oneshot::Sender<usize>,
    },
    /// Send again after 410.
    Enable { reply: oneshot::Sender<()> },
}

/// What stands of a receiver, for routes and metrics.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown {
    /// Everything up to here was taken over.
    pub(crate) cursor: i64,
    /// The last notice of the source.
    pub(crate) newest: i64,
    /// Taken over and neither delivered nor given up.
    pub(crate) open: usize,
    /// Notices in memory.
    pub(crate) in_memory: usize,
    /// Delivered since the process started.
    pub(crate) delivered: u64,
    /// Failed attempts since the process started.
    pub(crate) failures: u64,
    /// Why the last failed attempt failed; `None`: none failed since the process started.
    pub(crate) last_error: Option<String>,
    /// Why nothing is sent any more; `None`: it is.
    pub(crate) disabled: Option<String>,
    /// Dead letters.
    pub(crate) dead: Vec<(i64, DeadLetter)>,
}

impl Shown {
    pub(super) fn of(queue: &Queue, newest: i64) -> Self {
        let mut shown = Self::default();
        shown.note(queue, newest);
        shown
    }

    fn note(&mut self, queue: &Queue, newest: i64) {
        let standing = &queue.standing;
        self.cursor = standing.cursor;
        self.newest = newest.max(standing.cursor);
        self.open = standing.open.len();
        self.in_memory = queue.waiting();
        self.disabled.clone_from(&standing.disabled);
        let is_same = |((one, shown), (other, letter)): (&(i64, DeadLetter), (&i64, &DeadLetter))| {
            one == other && shown == letter
        };
        let dead = &standing.dead;
        if self.dead.len() != dead.len() || !self.dead.iter().zip(dead).all(is_same) {
            let letters = dead.iter().map(|(sequence, letter)| (*sequence, letter.clone()));
            self.dead = letters.collect();
        }
    }
}

/// What the task of a receiver works with.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) endpoint: Endpoint,
    pub(super) client: Client,
    pub(super) source: Arc<dyn Source>,
    pub(super) file: StandingFile,
    pub(super) shown: Arc<Mutex<Shown>>,
}

type Attempts = JoinSet<(i64, Result<(), Failure>)>;

impl Delivery {
    /// Tells the receiver until `ending`.
    pub(super) async fn run(
        self,
        mut queue: Queue,
        mut inbox: mpsc::Receiver<Command>,
        mut published: watch::Receiver<u64>,
        mut ending: watch::Receiver<bool>,
    ) {
        // Receivers judge a signature by the time of the world, whatever clock the results go by.
        let clock = Clock::system(0);
        let mut attempts: Attempts = JoinSet::new();
        let mut saved = queue.standing.clone();
        loop {
            published.borrow_and_update();
            let mut pause = self.load(&mut queue).await;
            if queue.standing != saved {
                match self.save(&queue).await {
                    Ok(()) => saved = queue.standing.clone(),
                    Err(()) => pause = Some(FAILED_PAUSE),
                }
            }
            let due = self.send_due(&mut queue, &mut attempts, clock.now(), &clock);
            self.note(|shown| shown.note(&queue, self.source.newest()));
            let sleep = pause
                .into_iter()
                .chain(due)
                .min()
                .unwrap_or(SLEEP_MAX)
                .min(SLEEP_MAX);
            let mut asked = None;
            tokio::select! {
                _ = ending.wait_for(|ending| *ending) => break,
                Some(done) = attempts.join_next() => self.ended(&mut queue, done, clock.now()),
                Some(command) = inbox.recv() => asked = Some(command),
                // After an error nobody tells any more, and waiting would end at once each time.
                Ok(()) = published.changed() => {}
                () = time::sleep(sleep) => {}
            }
            if let Some(command) = asked {
                self.obey(&mut queue, command).await;
            }
            // What else has ended meanwhile is saved with it.
            while let Some(done) = attempts.try_join_next() {
                self.ended(&mut queue, done, clock.now());
            }
        }
        // What is under way counts as not delivered, unless its answer is here already.
        while let Some(done) = attempts.try_join_next() {
            self.ended(&mut queue, done, clock.now());
        }
        let _ = self.save(&queue).await;
    }

    /// Loads what there is room for. Gives a pause where the source failed.
    async fn load(&self, queue: &mut Queue) -> Option<Duration> {
        let back = queue.to_load_back();
        if !back.is_empty() {
            match self.source.these(&back).await {
                Ok(notices) => queue.load_back(&back, notices),
                Err(error) => return Some(self.source_failed(error.as_ref())),
            }
        }
        if let Some((cursor, room)) = queue.to_take_over() {
            match self.source.after(cursor, room).await {
                Ok(notices) => queue.take_over(notices),
                Err(error) => return Some(self.source_failed(error.as_ref())),
            }
        }
        None
    }

    fn source_failed(&self, error: &(dyn std::error::Error + 'static)) -> Duration {
        tracing::warn!(webhook = self.endpoint.name, error = %causes(error), "notices cannot be read; trying again");
        FAILED_PAUSE
    }

    async fn save(&self, queue: &Queue) -> Result<(), ()> {
        let (file, standing) = (self.file.clone(), queue.standing.clone());
        let written = tokio::task::spawn_blocking(move || file.write(standing)).await;
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                tracing::error!(webhook = self.endpoint.name, %error, "what was delivered cannot be noted: a restart will deliver it again");
                Err(())
            }
            Err(_) => Err(()),
        }
    }

    /// Begins what is due; gives how long until more is.
    fn send_due(
        &self,
        queue: &mut Queue,
        attempts: &mut Attempts,
        now: UtcMicros,
        clock: &Clock,
    ) -> Option<Duration> {
        loop {
            let sequence = match queue.next(now) {
                Next::Send(sequence) => sequence,
                Next::Wait(until) => {
                    let micros = until.map(|until| until.0.saturating_sub(now.0).max(0));
                    return micros.map(|micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0)));
                }
            };
            let notice = queue.begin(sequence)?;
            let (client, endpoint, clock) = (self.client.clone(), self.endpoint.clone(), clock.clone());
            attempts.spawn(async move {
                let outcome = post(&client, &endpoint, &notice, clock.now()).await;
                (sequence, outcome)
            });
        }
    }

    fn ended(
        &self,
        queue: &mut Queue,
        done: Result<(i64, Result<(), Failure>), tokio::task::JoinError>,
        now: UtcMicros,
    ) {
        let Ok((sequence, outcome)) = done else {
            // A fault of the program in an attempt: it stays under way, and a restart tries it again.
            tracing::error!(webhook = self.endpoint.name, "an attempt broke off");
            return;
        };
        let Err(failure) = outcome else {
            queue.delivered(sequence);
            self.note(|shown| shown.delivered += 1);
            return;
        };
        let verdict = queue.failed(sequence, now, &failure, jitter_permille());
        let (webhook, error) = (&self.endpoint.name, &failure.error);
        match verdict {
            Verdict::Retry(at) => {
                tracing::debug!(webhook, sequence, error, %at, "delivery failed; trying again")
            }
            Verdict::Dead => tracing::warn!(webhook, sequence, error, "delivery given up: a dead letter"),
            Verdict::Disabled => tracing::error!(
                webhook,
                error,
                "the receiver is gone (410): nothing is sent until it is enabled again"
            ),
        }
        self.note(|shown| {
            shown.failures += 1;
            shown.last_error = Some(failure.error.clone());
        });
    }

    async fn obey(&self, queue: &mut Queue, command: Command) {
        match command {
            Command::SendAgain { sequences, reply } => {
                let count = queue.send_again(sequences.as_ref());
                if self.save(queue).await.is_ok() {
                    let _ = reply.send(count);
                }
            }
            Command::Enable { reply } => {
                queue.enable();
                if self.save(queue).await.is_ok() {
                    let _ = reply.send(());
                }
            }
        }
    }

    fn note(&self, change: impl FnOnce(&mut Shown)) {
        change(&mut self.shown.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A number up to 1,000 that nobody can foresee; half of that where the system has none.
fn jitter_permille() -> i64 {
    random().map_or(500, |bytes| i64::from(u16::from_le_bytes(bytes) % 1_001))
}
