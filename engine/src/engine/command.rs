//! What the engine's thread is asked, and whom it answers.

use std::ops::Range;

use gridtally_ingest::log::Position;
use gridtally_schemas::UtcMicros;
use tokio::sync::oneshot;

use super::Progress;
use crate::network::NodeIx;

/// What the engine's thread is asked.
#[derive(Debug)]
pub(super) enum Command {
    /// Answer when this record is applied, whatever is still owed of those before it.
    TakeIn {
        through: Position,
        reply: oneshot::Sender<Progress>,
    },
    /// Answer when the balances contain all that follows from this record.
    Apply {
        through: Position,
        reply: oneshot::Sender<Progress>,
    },
    /// Answer when the tables contain all that follows from it, open intervals included.
    Checkpoint {
        through: Position,
        reply: oneshot::Sender<Progress>,
    },
    /// Apply and publish it, answer, end: what is owed then goes on after the next start.
    Stop {
        through: Position,
        reply: oneshot::Sender<Progress>,
    },
    /// Answer when the balances of a node are in memory.
    PageIn {
        node: NodeIx,
        span: Range<UtcMicros>,
        reply: oneshot::Sender<Progress>,
    },
}

impl Command {
    pub(super) fn answer(self, progress: Progress) {
        match self {
            // Who asked may have gone.
            Self::TakeIn { reply, .. }
            | Self::Apply { reply, .. }
            | Self::Checkpoint { reply, .. }
            | Self::Stop { reply, .. }
            | Self::PageIn { reply, .. } => {
                let _ = reply.send(progress);
            }
        }
    }
}
