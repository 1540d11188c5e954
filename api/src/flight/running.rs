//! Statements that run, by their tickets, so that a call of their own user can end them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::watch;
use tonic::Status;

use super::{problem, ticket::Errand};

/// What runs. A statement is in it from the start of its call until its stream ends or is left.
#[derive(Debug, Default)]
pub(super) struct Running {
    next: AtomicU64,
    entries: Mutex<BTreeMap<u64, Entry>>,
}

#[derive(Debug)]
struct Entry {
    id: String,
    user: String,
    end: watch::Sender<bool>,
}

/// A statement that is entered.
#[derive(Debug)]
pub(super) struct Entered {
    running: Arc<Running>,
    number: u64,
    ending: watch::Receiver<bool>,
}

impl Running {
    /// Enters a statement.
    pub(super) fn enter(self: &Arc<Self>, errand: &Errand) -> Entered {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (end, ending) = watch::channel(false);
        let entry = Entry {
            id: errand.id.clone(),
            user: errand.user.clone(),
            end,
        };
        self.lock().insert(number, entry);
        Entered {
            running: Arc::clone(self),
            number,
            ending,
        }
    }

    /// Ends what runs of a ticket; whether there was any.
    pub(super) fn cancel(&self, errand: &Errand) -> bool {
        let entries = self.lock();
        let mut found = false;
        for entry in entries.values() {
            if entry.id == errand.id && entry.user == errand.user {
                entry.end.send_replace(true);
                found = true;
            }
        }
        found
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entered {
    /// What the future gives, unless the statement is ended before.
    pub(super) async fn guard<T>(
        &mut self,
        work: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        tokio::select! {
            biased;
            // An error would mean that the entry is gone, which holds as long as this does.
            Ok(_) = self.ending.wait_for(|ending| *ending) => Err(problem::canceled()),
            done = work => done,
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.running.lock().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, sync::Arc};

    use tonic::Code;

    use super::Running;
    use crate::flight::ticket::Errand;

    #[tokio::test]
    async fn what_runs_of_a_ticket_is_ended_and_nothing_else() {
        let running = Arc::new(Running::default());
        let errand = Errand::new("auditor", "SELECT 1", Vec::new()).unwrap();
        let other = Errand::new("auditor", "SELECT 1", Vec::new()).unwrap();
        let (mut one, mut two) = (running.enter(&errand), running.enter(&errand));
        let mut apart = running.enter(&other);
        let of_other_user = Errand {
            user: "other".to_owned(),
            ..errand.clone()
        };
        assert!(!running.cancel(&of_other_user));
        assert!(running.cancel(&errand));
        for entered in [&mut one, &mut two] {
            let ended = entered.guard(pending::<Result<(), _>>()).await.unwrap_err();
            assert_eq!(ended.code(), Code::Cancelled);
        }
        assert!(apart.guard(async { Ok(7) }).await.is_ok());
        drop((one, two));
        assert!(!running.cancel(&errand), "it runs no more");
        drop(apart);
        assert!(running.lock().is_empty());
    }
}
