//! Telling other systems what happened: CloudEvents 1.0 by HTTP, signed as Standard Webhooks has it.
//!
//! ```text
//! source (numbered, durable) ─▶ queue of a receiver (decides) ─▶ post (signed) ─▶ receiver
//!                                  │ cursor, open, dead letters ─▶ file, synced
//! ```
//!
//! What is promised to each receiver:
//! - Everything that the source gets after the receiver was first configured is delivered at least once, under one `webhook-id` at every
//!   attempt; nothing else ever is. A crash of either side at any moment only repeats what was under way.
//! - Notices about one thing come in their order, the next only after the one before was delivered or given up; `version` in their data
//!   tells which is newer where a dead letter is sent later.
//! - What fails is tried again with a growing pause, part of it by chance, not before `Retry-After`; 410 ends all sending until somebody
//!   allows it again; what is given up is a dead letter, kept until it is sent or the file is removed.
//! - At most [`queue::WINDOW_MAX`] notices of a receiver are in memory, however slow it is; the rest waits in the source. Nothing here is
//!   waited for by ingest or engine.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use gridtally_engine::{ChangeFeed, engine::ChangeKind};
use tokio::{
    sync::{broadcast::error::RecvError, mpsc, watch},
    task::JoinSet,
};

mod deliver;
mod post;
mod queue;
mod sign;
mod source;
mod standing;
#[cfg(test)]
mod tests;

pub use queue::Patience;
pub use reqwest::Url;
pub use sign::{Secret, SecretError};
pub use source::{
    COMPENSATION_KINDS, CompensationNotices, Follows, Notice, OUTAGE_KINDS, OutageNotices, Source,
    SourceError,
};

pub(crate) use deliver::Shown;
use deliver::{Command, Delivery};
use standing::StandingFile;

/// Commands that may wait for a receiver's task.
const COMMANDS_MAX: usize = 16;

/// A receiver.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its name: what it is called in routes, metrics and on disk. What stands of a receiver stays with its name.
    pub name: String,
    /// Where notices are sent.
    pub url: Url,
    /// Secrets to sign with; more than one while they are changed.
    pub secrets: Vec<Secret>,
    /// What it follows.
    pub follows: Follows,
    /// Kinds of notices of that which it wants; empty: all.
    pub events: BTreeSet<String>,
}

/// How receivers are told.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// The receivers.
    pub endpoints: Vec<Endpoint>,
    /// Where their standing is kept.
    pub folder: PathBuf,
    /// When is tried again, and when is given up.
    pub patience: Patience,
    /// Longest wait for an answer.
    pub timeout: Duration,
    /// Certificates to trust beside the system's, PEM.
    pub authorities: Option<Vec<u8>>,
}

/// Why receivers cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// What stands of a receiver cannot be read or written.
    #[error("the standing of webhook {name} in {} cannot be used", folder.display())]
    Standing {
        /// The receiver.
        name: String,
        /// Where it is kept.
        folder: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There can be no client for HTTP.
    #[error("webhooks need certificates that can be read")]
    Client(#[source] reqwest::Error),
}

/// A receiver as others see it.
#[derive(Debug)]
struct Handle {
    endpoint: Endpoint,
    shown: Arc<Mutex<Shown>>,
    commands: mpsc::Sender<Command>,
}

/// The receivers of an instance, and what becomes of their notices.
#[derive(Debug, Clone, Default)]
pub struct Webhooks(Arc<Vec<Handle>>);

impl Webhooks {
    /// Starts telling each receiver what the source that it follows has, of those that `source_of` gives; `tasks` ends when `ending` turns true. A receiver that is new hears of what comes
    /// from now on.
    ///
    /// # Errors
    /// [`WebhookError`] when what stands cannot be read or written, or certificates cannot be used.
    pub fn start(
        settings: WebhookSettings,
        source_of: impl Fn(Follows) -> Arc<dyn Source>,
        changes: &ChangeFeed,
        (tasks, ending): (&mut JoinSet<()>, &watch::Receiver<bool>),
    ) -> Result<Self, WebhookError> {
        if settings.endpoints.is_empty() {
            return Ok(Self::default());
        }
        let client =
            post::client(settings.timeout, settings.authorities.as_deref()).map_err(WebhookError::Client)?;
        let published = follow(changes, tasks, ending.clone());
        let mut handles = Vec::with_capacity(settings.endpoints.len());
        for endpoint in settings.endpoints {
            let source = source_of(endpoint.follows);
            let queue = queue_of(&endpoint, &settings.folder, settings.patience, source.as_ref())?;
            let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
            let shown = Arc::new(Mutex::new(Shown::of(&queue.0, source.newest())));
            let delivery = Delivery {
                endpoint: endpoint.clone(),
                client: client.clone(),
                source,
                file: queue.1,
                shown: Arc::clone(&shown),
            };
            let (published, ending) = (published.clone(), ending.clone());
            tasks.spawn(Box::pin(delivery.run(queue.0, inbox, published, ending)));
            handles.push(Handle {
                endpoint,
                shown,
                commands,
            });
        }
        Ok(Self(Arc::new(handles)))
    }

    fn handle(&self, name: &str) -> Option<&Handle> {
        self.0.iter().find(|handle| handle.endpoint.name == name)
    }

    /// Each receiver with what stands of it.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&Endpoint, Shown)> {
        self.0.iter().map(|handle| {
            let shown = handle.shown.lock().unwrap_or_else(PoisonError::into_inner);
            (&handle.endpoint, shown.clone())
        })
    }

    /// What stands of one receiver; `None`: there is none of that name.
    pub(crate) fn shown(&self, name: &str) -> Option<Shown> {
        let shown = self.handle(name)?.shown.lock();
        Some(shown.unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Sends dead letters once more: these, or all. Gives how many, once that is durable; `None`: there is no such receiver, or its task
    /// has ended.
    pub(crate) async fn send_again(&self, name: &str, sequences: Option<BTreeSet<i64>>) -> Option<usize> {
        let handle = self.handle(name)?;
        let (reply, answer) = tokio::sync::oneshot::channel();
        let command = Command::SendAgain { sequences, reply };
        handle.commands.send(command).await.ok()?;
        answer.await.ok()
    }

    /// Sends again after a receiver answered 410; as [`Self::send_again`].
    pub(crate) async fn enable(&self, name: &str) -> Option<()> {
        let handle = self.handle(name)?;
        let (reply, answer) = tokio::sync::oneshot::channel();
        handle.commands.send(Command::Enable { reply }).await.ok()?;
        answer.await.ok()
    }
}

/// What stands of a receiver, or, of a new one, that it hears what comes from now on: durable before anything comes.
fn queue_of(
    endpoint: &Endpoint,
    folder: &Path,
    patience: Patience,
    source: &dyn Source,
) -> Result<(queue::Queue, StandingFile), WebhookError> {
    let file = StandingFile::of(folder, &endpoint.name);
    let failed = |source| WebhookError::Standing {
        name: endpoint.name.clone(),
        folder: folder.to_owned(),
        source,
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let begin = || {
        let standing = queue::Standing {
            cursor: source.newest(),
            follows: endpoint.follows,
            ..queue::Standing::default()
        };
        file.write(standing.clone()).map_err(failed)?;
        Ok(standing)
    };
    let standing = match file.read().map_err(failed)? {
        Some(standing) if standing.follows != endpoint.follows => {
            tracing::warn!(
                webhook = endpoint.name,
                "this receiver followed something else before: it is told what comes from now on, and its dead letters are dropped"
            );
            begin()?
        }
        Some(standing) if standing.cursor > source.newest() => {
            // The tables are older than what stands: numbers were given anew, and what has them now was never told.
            tracing::error!(
                webhook = endpoint.name,
                cursor = standing.cursor,
                newest = source.newest(),
                "the tables are older than what this receiver was told; it is told what comes from now on"
            );
            standing.up_to(source.newest())
        }
        Some(standing) => standing,
        None => begin()?,
    };
    let queue = queue::Queue::new(standing, patience, endpoint.events.clone());
    Ok((queue, file))
}

/// Counts checkpoints: after each there may be more in a source.
fn follow(
    changes: &ChangeFeed,
    tasks: &mut JoinSet<()>,
    mut ending: watch::Receiver<bool>,
) -> watch::Receiver<u64> {
    let (sender, receiver) = watch::channel(0);
    let mut listening = changes.listen(None).receiver;
    tasks.spawn(async move {
        loop {
            let change = tokio::select! {
                _ = ending.wait_for(|ending| *ending) => return,
                change = listening.recv() => change,
            };
            let is_more = match change {
                Ok(change) => matches!(change.kind, ChangeKind::Checkpoint { .. }),
                Err(RecvError::Lagged(_)) => true,
                Err(RecvError::Closed) => return,
            };
            if is_more {
                sender.send_modify(|count| *count += 1);
            }
        }
    });
    receiver
}
