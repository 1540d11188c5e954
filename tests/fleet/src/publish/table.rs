//! The table of unacknowledged publishes of one connection: decisions only, no I/O.
//!
//! ```text
//! waiting ──given to the client──▶ given ──seen as sent──▶ numbered ──PUBACK──▶ out of the table
//!    ▲                                │                       │
//!    └────────── connection lost, or answered "later" ────────┘
//! ```

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{client::Answer, compose::Message};

/// How long a publish rests that the broker did not take.
const LATER: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting { not_before: Instant },
    Given { at: Instant },
    Numbered { packet: u16, at: Instant },
}

#[derive(Debug)]
struct Entry {
    message: Message,
    state: State,
    attempts: u32,
}

/// A publish that left the table.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) message: Message,
    pub(super) answer: Answer,
    /// From sending to the answer.
    pub(super) took: Duration,
}

/// Unacknowledged publishes, oldest first.
#[derive(Debug)]
pub(super) struct Table {
    entries: VecDeque<Entry>,
    bound: usize,
    retries: u64,
}

impl Table {
    pub(super) fn new(bound: u16) -> Self {
        Self {
            entries: VecDeque::with_capacity(bound.into()),
            bound: bound.into(),
            retries: 0,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= self.bound
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn retries(&self) -> u64 {
        self.retries
    }

    /// Takes a new publish. The caller asks [`Self::is_full`] first.
    pub(super) fn push(&mut self, message: Message, now: Instant) {
        self.entries.push_back(Entry {
            message,
            state: State::Waiting { not_before: now },
            attempts: 0,
        });
    }

    /// Gives what waits to the client, oldest first, until `give` refuses.
    pub(super) fn give(&mut self, now: Instant, mut give: impl FnMut(&Message) -> bool) {
        for entry in &mut self.entries {
            let State::Waiting { not_before } = entry.state else {
                continue;
            };
            if not_before > now {
                continue;
            }
            if !give(&entry.message) {
                return;
            }
            entry.state = State::Given { at: now };
            self.retries += u64::from(entry.attempts > 0);
            entry.attempts += 1;
        }
    }

    /// The oldest given publish was sent with this packet id: clients send in the order given.
    pub(super) fn numbered(&mut self, packet: u16) {
        let oldest = self
            .entries
            .iter_mut()
            .filter_map(|entry| match entry.state {
                State::Given { at } => Some((at, entry)),
                State::Waiting { .. } | State::Numbered { .. } => None,
            })
            .min_by_key(|(at, _)| *at);
        if let Some((at, entry)) = oldest {
            entry.state = State::Numbered { packet, at };
        }
    }

    /// The broker answered for a packet id. `None`: not one of this connection, or it is to be sent again.
    pub(super) fn answered(&mut self, packet: u16, answer: Answer, now: Instant) -> Option<Settled> {
        let place = self.entries.iter().position(|entry| match entry.state {
            State::Numbered { packet: own, .. } => own == packet,
            State::Waiting { .. } | State::Given { .. } => false,
        })?;
        if answer == Answer::Later {
            let entry = self.entries.get_mut(place)?;
            entry.state = State::Waiting {
                not_before: now + LATER,
            };
            return None;
        }
        let entry = self.entries.remove(place)?;
        let took = match entry.state {
            State::Numbered { at, .. } | State::Given { at } => now.saturating_duration_since(at),
            State::Waiting { .. } => Duration::ZERO,
        };
        Some(Settled {
            message: entry.message,
            answer,
            took,
        })
    }

    /// The connection is gone: all is to be sent again.
    pub(super) fn lost(&mut self, now: Instant) {
        for entry in &mut self.entries {
            entry.state = State::Waiting { not_before: now };
        }
    }

    /// When the oldest publish that is under way was sent.
    pub(super) fn oldest_sent(&self) -> Option<Instant> {
        self.entries
            .iter()
            .filter_map(|entry| match entry.state {
                State::Given { at } | State::Numbered { at, .. } => Some(at),
                State::Waiting { .. } => None,
            })
            .min()
    }
}

#[cfg(test)]
mod tests;
