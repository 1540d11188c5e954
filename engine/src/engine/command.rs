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
    /// Answer when the balances of a node are in memory.
    PageIn {
        node: NodeIx,
        span: Range<UtcMicros>,
        reply: oneshot::Sender<Progress>,
    },
}

impl Command {
    /// The record that a checkpoint must contain to answer it; `None`: no checkpoint does.
    pub(super) fn through(&self) -> Option<Position> {
        match self {
            Self::Apply { through, .. } | Self::Checkpoint { through, .. } | Self::Stop { through, .. } => {
                Some(*through)
            }
            Self::PageIn { .. } => None,
        }
    }

    pub(super) fn answer(self, progress: Progress) {
        match self {
            // Who asked may have gone.
            Self::Apply { reply, .. }
            | Self::Checkpoint { reply, .. }
            | Self::Stop { reply, .. }
            | Self::PageIn { reply, .. } => {
                let _ = reply.send(progress);
            }
        }
    }
}
