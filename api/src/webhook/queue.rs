//! What is to be sent to one receiver, and what became of it: decisions only, with no clock, disk or network of their own.
//!
//! ```text
//!  taken over: settled, but for those that are open │ not taken over yet
//! ──────────────────────────────────────────────────┼────────────────────▶ sequence
//!      open: at most 256, in memory         cursor ─┘          newest ─┘
//! ```
//!
//! Notices about one thing go out in their order, one at a time; those about others do not wait for them. What failed is tried again,
//! later each time; after too many attempts or too long it is a dead letter and the next one goes. Where there are as many dead
//! letters as may be, nothing is given up any more: it is tried on, and what follows waits in its source.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use gridtally_schemas::UtcMicros;
use serde::{Deserialize, Serialize};

use super::source::{Follows, Notice};

/// Most notices that are open at a time, and so in memory.
pub(super) const WINDOW_MAX: usize = 256;
/// Fewest notices for which a source is asked: each time it reads a table.
const TAKE_OVER_MIN: usize = 64;
/// Most attempts under way at a time.
pub(super) const SENDING_MAX: usize = 8;
/// Most dead letters that are kept.
pub(super) const DEAD_MAX: usize = 1_000;
/// Longest text of an error that is kept, characters.
const ERROR_CHARS_MAX: usize = 200;

/// When something is tried again, and when it is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Pause after the first failure, µs; it doubles with each.
    pub first_micros: i64,
    /// Longest pause, µs.
    pub longest_micros: i64,
    /// Attempts after which it is given up.
    pub attempts_max: u32,
    /// Time after the first attempt after which it is given up, µs.
    pub give_up_micros: i64,
}

/// Times of the machine's clock as microseconds since 1970: whatever it says can be read back.
mod micros {
    use gridtally_schemas::UtcMicros;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(at: &UtcMicros, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(at.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UtcMicros, D::Error> {
        i64::deserialize(deserializer).map(UtcMicros)
    }
}

/// What is known of a notice that was tried without success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tried {
    pub(super) attempts: u32,
    #[serde(with = "micros")]
    pub(super) first_at: UtcMicros,
    #[serde(with = "micros")]
    pub(super) next_at: UtcMicros,
    pub(super) error: String,
}

/// A notice that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeadLetter {
    /// Its `webhook-id`.
    pub(crate) id: String,
    /// What it is about.
    pub(crate) about: String,
    /// Attempts made.
    pub(crate) attempts: u32,
    /// When it was given up.
    #[serde(with = "micros")]
    pub(crate) given_up_at: UtcMicros,
    /// Why the last attempt failed.
    pub(crate) error: String,
}

/// What outlives the process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Standing {
    /// Of what the numbers are.
    #[serde(default)]
    pub(super) follows: Follows,
    /// Everything up to here was taken over from the source.
    pub(super) cursor: i64,
    /// What of it is not settled: neither delivered, nor unwanted, nor dead.
    pub(super) open: BTreeSet<i64>,
    /// What was tried and is to be tried again.
    pub(super) tried: BTreeMap<i64, Tried>,
    /// Dead letters.
    pub(super) dead: BTreeMap<i64, DeadLetter>,
    /// Dead letters that are to be sent once more.
    pub(super) again: BTreeSet<i64>,
    /// Why nothing is sent any more; `None`: it is.
    pub(super) disabled: Option<String>,
}

impl Standing {
    /// What of it is of numbers up to `newest`.
    pub(super) fn up_to(mut self, newest: i64) -> Self {
        self.cursor = self.cursor.min(newest);
        self.open.retain(|sequence| *sequence <= newest);
        self.tried.retain(|sequence, _| *sequence <= newest);
        self.dead.retain(|sequence, _| *sequence <= newest);
        self.again.retain(|sequence| *sequence <= newest);
        self
    }
}

/// How an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) error: String,
    /// The receiver says that it is gone for good.
    pub(super) is_gone: bool,
    /// How long the receiver asks us to wait, µs.
    pub(super) retry_after_micros: Option<i64>,
}

/// What a failed attempt comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Retry(UtcMicros),
    Dead,
    Disabled,
}

/// What is to be done now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// Send this one.
    Send(i64),
    /// Nothing before that time, unless something comes.
    Wait(Option<UtcMicros>),
}

/// The notices of one receiver.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) standing: Standing,
    patience: Patience,
    /// Kinds that the receiver wants; empty: all.
    wanted: BTreeSet<String>,
    window: BTreeMap<i64, Notice>,
    sending: BTreeSet<i64>,
}

impl Queue {
    pub(super) fn new(standing: Standing, patience: Patience, wanted: BTreeSet<String>) -> Self {
        Self {
            standing,
            patience,
            wanted,
            window: BTreeMap::new(),
            sending: BTreeSet::new(),
        }
    }

    fn room(&self) -> usize {
        let is_sending = self.standing.disabled.is_none();
        WINDOW_MAX.saturating_sub(if is_sending { self.window.len() } else { WINDOW_MAX })
    }

    /// What to load that was taken over before this process, or is to be sent once more; empty: nothing.
    pub(super) fn to_load_back(&self) -> BTreeSet<i64> {
        let due = self.standing.open.union(&self.standing.again);
        let missing = due.filter(|sequence| !self.window.contains_key(sequence));
        missing.take(self.room()).copied().collect()
    }

    /// After which number notices are to be taken over, and how many; `None`: there is no room.
    pub(super) fn to_take_over(&self) -> Option<(i64, usize)> {
        let room = self
            .room()
            .min(WINDOW_MAX.saturating_sub(self.standing.open.len()));
        (room >= TAKE_OVER_MIN).then_some((self.standing.cursor, room))
    }

    /// Takes over what comes next, by number.
    pub(super) fn take_over(&mut self, notices: Vec<Notice>) {
        for notice in notices {
            let sequence = notice.sequence;
            if sequence <= self.standing.cursor {
                continue;
            }
            self.standing.cursor = sequence;
            if self.wanted.is_empty() || self.wanted.contains(notice.kind) {
                self.standing.open.insert(sequence);
                self.window.insert(sequence, notice);
            }
        }
    }

    /// Takes back what was asked for; what the source does not have any more is settled.
    pub(super) fn load_back(&mut self, asked: &BTreeSet<i64>, notices: Vec<Notice>) {
        for notice in notices {
            if asked.contains(&notice.sequence) {
                self.window.insert(notice.sequence, notice);
            }
        }
        for sequence in asked {
            if !self.window.contains_key(sequence) {
                self.settle(*sequence);
            }
        }
    }

    /// What to send at `now`: of each thing the oldest that is not settled.
    pub(super) fn next(&self, now: UtcMicros) -> Next {
        if self.standing.disabled.is_some() || self.sending.len() >= SENDING_MAX {
            return Next::Wait(None);
        }
        let mut before: HashSet<&str> = HashSet::new();
        let mut soonest: Option<UtcMicros> = None;
        for (sequence, notice) in &self.window {
            if !before.insert(&notice.about) || self.sending.contains(sequence) {
                continue;
            }
            match self.standing.tried.get(sequence).map(|tried| tried.next_at) {
                Some(at) if at > now => soonest = Some(soonest.map_or(at, |soonest| soonest.min(at))),
                Some(_) | None => return Next::Send(*sequence),
            }
        }
        Next::Wait(soonest)
    }

    /// Notes that an attempt begins; gives what to send.
    pub(super) fn begin(&mut self, sequence: i64) -> Option<Notice> {
        let notice = self.window.get(&sequence)?.clone();
        self.sending.insert(sequence);
        Some(notice)
    }

    /// Notes that the receiver has it.
    pub(super) fn delivered(&mut self, sequence: i64) {
        self.settle(sequence);
        self.standing.dead.remove(&sequence);
    }

    /// Notes that an attempt failed. `jitter_permille` is between 0 and 1,000.
    pub(super) fn failed(
        &mut self,
        sequence: i64,
        now: UtcMicros,
        failure: &Failure,
        jitter_permille: i64,
    ) -> Verdict {
        self.sending.remove(&sequence);
        let error: String = failure.error.chars().take(ERROR_CHARS_MAX).collect();
        let tried = self.standing.tried.entry(sequence).or_insert(Tried {
            attempts: 0,
            first_at: now,
            next_at: now,
            error: String::new(),
        });
        tried.attempts += 1;
        tried.error.clone_from(&error);
        let pause = pause_micros(self.patience, tried.attempts, jitter_permille);
        tried.next_at = now.plus(pause.max(failure.retry_after_micros.unwrap_or(0)));
        let next_at = tried.next_at;
        if failure.is_gone {
            self.standing.disabled = Some(error);
            return Verdict::Disabled;
        }
        let (attempts, since) = (tried.attempts, tried.first_at);
        let is_over =
            attempts >= self.patience.attempts_max || next_at > since.plus(self.patience.give_up_micros);
        let is_room = self.standing.dead.len() < DEAD_MAX || self.standing.dead.contains_key(&sequence);
        if !(is_over && is_room) {
            return Verdict::Retry(next_at);
        }
        if let Some(notice) = self.window.get(&sequence) {
            let letter = DeadLetter {
                id: notice.id.clone(),
                about: notice.about.clone(),
                attempts,
                given_up_at: now,
                error,
            };
            self.standing.dead.insert(sequence, letter);
        }
        self.settle(sequence);
        Verdict::Dead
    }

    /// Asks for dead letters to be sent once more: these, or all. Gives how many there are of them.
    pub(super) fn send_again(&mut self, sequences: Option<&BTreeSet<i64>>) -> usize {
        let dead = self.standing.dead.keys();
        let asked: Vec<i64> = dead
            .filter(|sequence| sequences.is_none_or(|asked| asked.contains(sequence)))
            .copied()
            .collect();
        self.standing.again.extend(&asked);
        asked.len()
    }

    /// Sends again after a receiver was gone.
    pub(super) fn enable(&mut self) {
        self.standing.disabled = None;
    }

    /// Notices in memory.
    pub(super) fn waiting(&self) -> usize {
        self.window.len()
    }

    fn settle(&mut self, sequence: i64) {
        self.sending.remove(&sequence);
        self.window.remove(&sequence);
        self.standing.tried.remove(&sequence);
        self.standing.open.remove(&sequence);
        self.standing.again.remove(&sequence);
    }
}

/// The pause after so many failures: it doubles up to the longest, and half of it is left to chance, so that receivers that come back
/// are not all called at one moment.
fn pause_micros(patience: Patience, attempts: u32, jitter_permille: i64) -> i64 {
    let doubled = 1_i64 << attempts.saturating_sub(1).min(40);
    let whole = patience
        .first_micros
        .saturating_mul(doubled)
        .min(patience.longest_micros);
    whole / 2 + (whole / 2).saturating_mul(jitter_permille.clamp(0, 1_000)) / 1_000
}

#[cfg(test)]
mod tests;
