//! Buffers for decoding, lent out for the length of one read, so that ten thousand idle connections hold none.

use std::sync::{Mutex, PoisonError};

use gridtally_schemas::Publish;

/// Buffers kept for the next read; beyond these they are freed.
const KEPT: usize = 16;
/// A record buffer that has grown beyond this is freed, bytes.
const RECORD_BYTES_KEPT: usize = 1 << 20;

/// What one publish is decoded into.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) publish: Publish,
    pub(super) record: Vec<u8>,
}

/// The buffers that are not lent out.
#[derive(Debug, Default)]
pub(super) struct Scratches(Mutex<Vec<Scratch>>);

impl Scratches {
    pub(super) fn take(&self) -> Scratch {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.pop().unwrap_or_default()
    }

    pub(super) fn give_back(&self, scratch: Scratch) {
        // A publish grows with its payload, and so with its record.
        if scratch.record.capacity() > RECORD_BYTES_KEPT {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(scratch);
        }
    }
}
