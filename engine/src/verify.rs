//! The proof: what is published of balances, computed once more from the raw tables and compared bit for bit.
//!
//! ```text
//! checkpoints ─▶ as of (position P, time T)
//! nodes, meters, connections (position ≤ P) ─▶ Network ─▶ rosters of a day ─┐
//! interval_reads (position ≤ P) ─▶ valid read per (meter, interval) ────────┴▶ member_reads ─ engine/sql ─▶ figures
//! dt_balance, feeder_balance, node_balance_daily (published_at ≤ T) ─▶ newest version per key ─▶ compared
//! ```
//!
//! What it takes from the live path is the SQL of `engine/sql`, the picture of the network ([`crate::network`]) and the form in
//! which figures are published ([`crate::world::publish`]). What it does not take: the live state, its merge, its roll-ups and
//! what it remembers as published. Which read of an interval is valid is decided here anew, by rank (quality, revision,
//! `captured_at`, content); that the column `version` says the same is a finding of its own. Estimates are taken as they are published.
//!
//! **As of when.** A checkpoint writes the reads and master rows of the log up to its position P, and of the picture at P, as it
//! was at the time T of its tick, whatever differs from what the tables hold. `checkpoints` names (P, T) once everything is
//! written. So of the last checkpoint this must hold, and is what is checked:
//! - the newest row of each (feeder or DT, interval) published at or before T is what rows with a position of at most P give, if
//!   the interval was closed at T: ended, and the grace period gone. There is a balance where the feeder was heard that civil
//!   day, and none elsewhere. Reads beyond P (their checkpoint is being written, or a crash cut it short) count in nothing.
//! - estimates (and that there is none any more) are published as balances are: they count where they were published at or before T,
//!   whatever their position, and only where nobody said a value. An estimate alone makes no balance.
//! - the newest row of each (node, day) is the sum of these, if the day was closed at T.
//! - what was open at T is published only on request or by the hour, and says what stood then. It is left out and counted.
//! - the status is `final` past the settlement horizon, `restated` where a final version went before, else `provisional`.
//! - versions of a key are 1, 2, … without a gap.
//! - days that the checkpoint says are owed (`world/paging/owed.rs`) stand as they were: they differ, and how many there are is reported.
//! - an adjustment of a bill follows from its read, its bill and its estimate (`verify/billing.rs`), unless a single node is asked for.
//!
//! So a running instance can be verified beside its work. Two checkpoints with one T (a clock that stands still) cannot be told
//! apart: there, what a crash cut short is only right again after the next start.
//!
//! The settings (zone, grace, settlement, coverage threshold) must be those of the instance: they are not in the tables.
//!
//! Work goes day by day, several days at a time, and within a day by groups of feeders, so that memory is bounded by
//! [`Limits::memory_bytes`]: about 9 bytes a (meter, interval) and 400 a balance of the group.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use futures::{StreamExt, TryStreamExt};
use gridtally_ingest::log::Position;
use gridtally_schemas::{Day, NodeId, UtcMicros};

use crate::{
    balance::BalanceError,
    engine::StoreError,
    world::{Settings, restore::RestoreError},
};

mod billing;
mod cells;
mod compare;
mod day;
mod differences;
mod evidence;
mod explain;
mod published;
mod reads;
mod selection;
mod snapshot;
mod versions;

pub use differences::{DIFFERENCES_KEPT, Difference};
pub use explain::{Explanation, LINES_OF_VERSION_MAX, Made, Of, explain};
pub use snapshot::Source;

use differences::Differences;
use selection::Work;
use snapshot::Snapshot;

#[cfg(test)]
pub(crate) mod tests;

/// What to verify. Without any bound: everything that is published.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Selection {
    /// This node and all below it; `None`: every node.
    pub node: Option<NodeId>,
    /// From this civil day on.
    pub from: Option<Day>,
    /// Up to and with this civil day.
    pub to: Option<Day>,
}

/// What it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Days (or parts of one day) worked on at a time: the number of cores.
    pub threads: usize,
    /// Memory of the reads and balances in work, bytes, over all threads. One feeder is never split.
    pub memory_bytes: usize,
}

/// How far it has come, for whoever shows it.
#[derive(Debug, Default)]
pub struct Progress {
    /// Feeder-days to verify; 0 until that is known.
    pub feeder_days: AtomicU64,
    /// Of these, those done.
    pub done: AtomicU64,
    /// Rows of `interval_reads` read.
    pub reads: AtomicU64,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The last log record that counts in what was compared.
    pub position: Position,
    /// The moment of the checkpoint that was verified.
    pub published_at: UtcMicros,
    /// The last log record of which all that follows from it was published then.
    pub complete: Position,
    /// Days of feeders that were still to be computed anew after master data that came after it: what is published of them is what stood
    /// before, and differs.
    pub owed: u64,
    /// Civil days with reads or balances, the first and the last.
    pub days: (Day, Day),
    /// Rows of `interval_reads` read.
    pub reads: u64,
    /// Rows compared: of `dt_balance`, `feeder_balance` and `node_balance_daily`.
    pub compared: [u64; 3],
    /// Published rows left out because their interval or day was still open at the checkpoint.
    pub open: u64,
    /// The first differences, by table, time and key; at most [`DIFFERENCES_KEPT`].
    pub differences: Vec<Difference>,
    /// All differences.
    pub differences_total: u64,
}

/// Why nothing could be verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// There is no checkpoint: nothing has ever been published here.
    #[error("nothing has been published here yet: the table `checkpoints` is empty")]
    NeverPublished,
    /// There are neither reads nor balances in the period.
    #[error("nothing was published {period}, so there is nothing to verify")]
    NothingInPeriod {
        /// The period and the node, as a phrase.
        period: String,
    },
    /// The node is in no row of `nodes`.
    #[error("there is no node {node}")]
    UnknownNode {
        /// Its id.
        node: NodeId,
    },
    /// No balance of the node was ever published for that time.
    #[error("no balance of {node} was published for that time")]
    NoBalance {
        /// Its id.
        node: NodeId,
    },
    /// A table cannot be read.
    #[error("table {table} cannot be read")]
    Read {
        /// The table.
        table: &'static str,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// A table holds what this program never writes, so that no figure can be computed from it.
    #[error("the raw tables cannot be understood")]
    Raw(#[source] RestoreError),
    /// The balance SQL failed.
    #[error("balances cannot be computed")]
    Balance(#[source] BalanceError),
    /// A part of the work panicked: a fault of the program.
    #[error("verification stopped at a fault of the program")]
    Panicked,
}

/// Computes the selected balances from the raw tables and compares them with what is published.
///
/// # Errors
/// [`VerifyError`] when there is nothing to compare, or a table cannot be read. Differences are no error but the result.
pub async fn verify(
    source: &impl Source,
    settings: &Settings,
    selection: &Selection,
    limits: Limits,
    progress: &Arc<Progress>,
) -> Result<Report, VerifyError> {
    let snapshot = Snapshot::take(source, limits).await?;
    let work = Arc::new(Work::plan(snapshot, settings, selection, limits).await?);
    let (Some(first), Some(last)) = (work.days.first().copied(), work.days.last().copied()) else {
        return Err(nothing(selection));
    };
    progress.feeder_days.store(work.feeder_days(), Ordering::Relaxed);
    let of_day = |day: Day| {
        let (work, progress) = (Arc::clone(&work), Arc::clone(progress));
        tokio::spawn(async move { day::verify_day(&work, day, &progress).await })
    };
    let mut days = futures::stream::iter(work.days.clone())
        .map(of_day)
        .buffer_unordered(work.days_at_a_time());
    let (mut differences, mut found) = (Differences::default(), day::Found::default());
    while let Some(of_day) = days.try_next().await.map_err(|_| VerifyError::Panicked)? {
        let of_day = of_day?;
        differences.append(of_day.differences);
        found.plus(&of_day.counts);
    }
    drop(days);
    if selection.node.is_none() {
        billing::verify(&work, &mut differences).await?;
    }
    if found.is_nothing() && differences.is_empty() {
        return Err(nothing(selection));
    }
    let (mut kept, differences_total) = differences.finish();
    evidence::add(&work, &mut kept).await?;
    Ok(Report {
        position: work.position,
        published_at: work.published_at,
        complete: work.complete,
        owed: work.owed,
        days: (first, last),
        reads: progress.reads.load(Ordering::Relaxed),
        compared: found.compared,
        open: found.open,
        differences: kept,
        differences_total,
    })
}

fn nothing(selection: &Selection) -> VerifyError {
    let period = match (selection.from, selection.to) {
        (None, None) => "so far".to_owned(),
        (Some(from), None) => format!("from {from} on"),
        (None, Some(to)) => format!("up to {to}"),
        (Some(from), Some(to)) if from == to => format!("for {from}"),
        (Some(from), Some(to)) => format!("from {from} to {to}"),
    };
    let of_node = selection
        .node
        .as_ref()
        .map_or_else(String::new, |node| format!(" of node {node} or below it"));
    VerifyError::NothingInPeriod {
        period: period + &of_node,
    }
}
