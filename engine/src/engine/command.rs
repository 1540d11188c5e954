//! What the engine's thread is asked, and whom it answers.

use gridtally_ingest::log::Position;
use tokio::sync::oneshot;

use super::Progress;

/// What the engine's thread is asked.
#[derive(Debug)]
pub(super) enum Command {
    /// Answer when the balances contain this record.
    Apply {
        through: Position,
        reply: oneshot::Sender<Progress>,
    },
    /// Answer when the tables contain it, open intervals included.
    Checkpoint {
        through: Position,
        reply: oneshot::Sender<Progress>,
    },
    /// Publish it, answer, end.
    Stop {
        through: Position,
        reply: oneshot::Sender<Progress>,
    },
}

impl Command {
    pub(super) fn through(&self) -> Position {
        match self {
            Self::Apply { through, .. } | Self::Checkpoint { through, .. } | Self::Stop { through, .. } => {
                *through
            }
        }
    }

    pub(super) fn answer(self, progress: Progress) {
        match self {
            // Who asked may have gone.
            Self::Apply { reply, .. } | Self::Checkpoint { reply, .. } | Self::Stop { reply, .. } => {
                let _ = reply.send(progress);
            }
        }
    }
}
