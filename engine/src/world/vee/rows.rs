//! What of validation and estimation is due for publication, as rows, and back from them.
//!
//! Like balances these rows are the difference between the picture and the tables: after a crash between two commits the same
//! comparison finds just what is still to be written.

use std::sync::Arc;

use arrow::{
    array::{Int32Array, RecordBatch},
    error::ArrowError,
};
use gridtally_ingest::log::Position;
use gridtally_schemas::{MeterId, UtcMicros, table};

use super::{Measured, Shown, World};
use crate::{
    network::MeterIx,
    outbox::{Columns, EventRow, Parts, Stamp, events_batch, exception_id},
    state::{Quality, Quarter},
    vee::{Estimate, Rule},
    world::publish::digest,
};

/// Source of estimates in `interval_reads`.
const SOURCE: &str = "vee";

/// An exception as it was last published.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PublishedException {
    pub(crate) version: i64,
    pub(crate) measured: Measured,
    /// When it was raised.
    pub(crate) at: UtcMicros,
    pub(crate) is_open: bool,
}

/// A row of `vee_exceptions`.
#[derive(Debug)]
pub(crate) struct ExceptionRow {
    meter_id: MeterId,
    quarter: Quarter,
    rule: Rule,
    published: PublishedException,
    resolved_at: Option<UtcMicros>,
    reason: Option<&'static str>,
}

/// A row of `interval_reads`: an estimate, or that there is none any more.
#[derive(Debug)]
pub(crate) struct EstimateRow {
    meter_id: MeterId,
    quarter: Quarter,
    estimate: Option<Estimate>,
    version: i64,
}

/// Rows that are derived from what was said, for tables that the log says too.
#[derive(Debug, Default)]
pub(crate) struct Derived {
    pub(crate) estimates: Vec<EstimateRow>,
    pub(crate) exceptions: Vec<ExceptionRow>,
    /// Events whose code means something else than when they were published.
    pub(crate) events: Parts<EventRow>,
}

impl Derived {
    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.estimates.len() + self.exceptions.len() + self.events.len()
    }

    /// The batches to commit. `position` is the last record applied.
    pub(crate) fn batches(
        &self,
        position: Position,
        stamp: Stamp<'_>,
    ) -> Result<Vec<(&'static table::TableSchema, RecordBatch)>, ArrowError> {
        let position = i64::try_from(position.0).ok();
        let mut batches = Vec::new();
        if !self.estimates.is_empty() {
            batches.push((
                &table::INTERVAL_READS,
                estimates_batch(&self.estimates, position, stamp)?,
            ));
        }
        if !self.exceptions.is_empty() {
            batches.push((
                &table::VEE_EXCEPTIONS,
                exceptions_batch(&self.exceptions, position, stamp)?,
            ));
        }
        if !self.events.is_empty() {
            batches.push((&table::METER_EVENTS, events_batch(&self.events, stamp)?));
        }
        Ok(batches)
    }
}

impl World {
    /// Takes what differs from the tables.
    pub(crate) fn take_derived(&mut self, now: UtcMicros) -> Derived {
        let mut derived = Derived {
            events: self.take_meanings().into_iter().collect(),
            ..Derived::default()
        };
        for key in std::mem::take(&mut self.vee.unpublished_exceptions) {
            derived.exceptions.extend(self.take_exception(key, now));
        }
        for (meter, quarter) in std::mem::take(&mut self.vee.unpublished_estimates) {
            derived.estimates.extend(self.take_estimate(meter, quarter));
        }
        derived
    }

    fn take_exception(
        &mut self,
        (meter, quarter, rule): (MeterIx, Quarter, Rule),
        now: UtcMicros,
    ) -> Option<ExceptionRow> {
        let meter_id = self.network.meter(meter)?.meter_id()?;
        let findings = self.vee.findings.get_mut(&meter)?;
        let standing = findings.exceptions.get_mut(&(quarter, rule))?;
        let before = standing.published.clone();
        let next = |measured: Measured, at: UtcMicros, is_open: bool| PublishedException {
            version: before.as_ref().map_or(1, |before| before.version + 1),
            measured,
            at,
            is_open,
        };
        let (published, reason) = match (standing.live.clone(), &before) {
            (None, None) => {
                findings.exceptions.remove(&(quarter, rule));
                return None;
            }
            (None, Some(before)) if before.is_open => {
                (next(before.measured.clone(), before.at, false), Some("resolved"))
            }
            (None, Some(_)) => return None,
            (Some(live), None) => (next(live, now, true), None),
            (Some(live), Some(before)) if before.is_open && before.measured == live => return None,
            (Some(live), Some(before)) if before.is_open => {
                (next(live, before.at, true), Some("measured anew"))
            }
            (Some(live), Some(_)) => (next(live, now, true), Some("raised again")),
        };
        standing.published = Some(published.clone());
        Some(ExceptionRow {
            meter_id,
            quarter,
            rule,
            resolved_at: (!published.is_open).then_some(now),
            published,
            reason,
        })
    }

    fn take_estimate(&mut self, meter: MeterIx, quarter: Quarter) -> Option<EstimateRow> {
        let meter_id = self.network.meter(meter)?.meter_id()?;
        let is_said = self.state.own_value(meter, quarter).is_some();
        let findings = self.vee.findings.get_mut(&meter)?;
        let shown = findings.estimates.get_mut(&quarter)?;
        let estimate = shown.live.clone().filter(|_| !is_said);
        let digest = estimate.as_ref().map_or(0, digest);
        let is_new = digest != shown.published;
        shown.published = digest;
        if estimate.is_none() {
            findings.estimates.remove(&quarter);
        }
        // A value of the meter's own is the newest row of its cell already.
        if !is_new || is_said {
            return None;
        }
        Some(EstimateRow {
            meter_id,
            quarter,
            estimate,
            version: self.state.publish_estimate(meter, quarter),
        })
    }

    /// Forgets that estimates wait that the table holds already.
    pub(in crate::world) fn forget_published_estimates(&mut self) {
        for (meter, quarter) in std::mem::take(&mut self.vee.unpublished_estimates) {
            let is_said = self.state.own_value(meter, quarter).is_some();
            let findings = self.vee.findings.get(&meter);
            let shown = findings.and_then(|findings| findings.estimates.get(&quarter));
            let is_due = shown.is_some_and(|shown| {
                let live = shown.live.as_ref().map_or(0, digest);
                !is_said && live != shown.published
            });
            if is_due {
                self.vee.unpublished_estimates.insert((meter, quarter));
            } else {
                // It makes no row; what is noted of it is brought up to date.
                let row = self.take_estimate(meter, quarter);
                debug_assert!(row.is_none(), "an estimate that the table holds");
            }
        }
    }

    /// Puts back a published estimate (`None`: it was taken away), in any order with the other rows of its cell, after the reads.
    pub(crate) fn restore_estimate(
        &mut self,
        meter: MeterIx,
        quarter: Quarter,
        version: i64,
        estimate: Option<Estimate>,
    ) {
        let feeders = self.feeders_for_home(meter);
        let energy = estimate
            .as_ref()
            .map(|estimate| (estimate.import_wh, estimate.export_wh));
        if !self
            .state
            .restore_estimate(meter, feeders, quarter, (version, energy))
        {
            return;
        }
        let findings = self.vee.findings.entry(meter).or_default();
        match estimate {
            Some(estimate) => {
                let published = digest(&estimate);
                let live = Some(estimate);
                findings.estimates.insert(quarter, Shown { live, published });
            }
            None => {
                findings.estimates.remove(&quarter);
            }
        }
        let day = self.day_of(quarter);
        self.vee.queue.insert((day, meter));
    }

    /// Puts back a published exception, in any order with the other rows of it.
    pub(crate) fn restore_exception(
        &mut self,
        meter: MeterIx,
        (quarter, rule): (Quarter, Rule),
        published: PublishedException,
    ) {
        let day = self.day_of(quarter);
        let findings = self.vee.findings.entry(meter).or_default();
        let standing = findings.exceptions.entry((quarter, rule)).or_default();
        if standing
            .published
            .as_ref()
            .is_none_or(|before| before.version < published.version)
        {
            standing.live = published.is_open.then(|| published.measured.clone());
            standing.published = Some(published);
        }
        if rule == Rule::WrongMapping {
            // On which feeders the meter is may be known only when the log is read on.
            self.vee.changed.note(day, meter);
        }
        self.vee.queue.insert((day, meter));
    }
}

fn exceptions_batch(
    rows: &[ExceptionRow],
    position: Option<i64>,
    stamp: Stamp<'_>,
) -> Result<RecordBatch, ArrowError> {
    let published = || rows.iter().map(|row| &row.published);
    Columns::new(&table::VEE_EXCEPTIONS, rows.len())
        .text(
            "exception_id",
            rows.iter()
                .map(|row| Some(exception_id(&row.meter_id, row.quarter, row.rule.as_str()))),
        )
        .text("meter_id", rows.iter().map(|row| Some(row.meter_id.as_str())))
        .time("interval_end", rows.iter().map(|row| Some(row.quarter.end())))
        .text("rule", rows.iter().map(|row| Some(row.rule.as_str())))
        .number("value", published().map(|published| published.measured.value))
        .text(
            "detail",
            published().map(|published| Some(published.measured.detail.as_str())),
        )
        .time("at", published().map(|published| Some(published.at)))
        .time("resolved_at", rows.iter().map(|row| row.resolved_at))
        .whole("position", rows.iter().map(|_| position))
        .whole("version", published().map(|published| Some(published.version)))
        .time("published_at", rows.iter().map(|_| Some(stamp.published_at)))
        .text("reason", rows.iter().map(|row| row.reason))
        .day(
            "day",
            rows.iter()
                .map(|row| stamp.zone.day_of_interval(row.quarter.end())),
        )
        .finish()
}

fn estimates_batch(
    rows: &[EstimateRow],
    position: Option<i64>,
    stamp: Stamp<'_>,
) -> Result<RecordBatch, ArrowError> {
    let energy = |of: fn(&Estimate) -> Option<u32>| {
        rows.iter()
            .map(move |row| row.estimate.as_ref().and_then(of).map(i64::from))
    };
    let quality = |row: &EstimateRow| match row.estimate {
        Some(_) => Quality::Estimated.as_str(),
        None => Quality::Missing.as_str(),
    };
    let reason = |row: &EstimateRow| match &row.estimate {
        Some(estimate) => Arc::clone(&estimate.inputs),
        None => Arc::from(
            "the estimate was withdrawn: the meter owes no read, or nothing to estimate it from is left",
        ),
    };
    let revision: Int32Array = rows.iter().map(|_| Some(0)).collect();
    Columns::new(&table::INTERVAL_READS, rows.len())
        .text("meter_id", rows.iter().map(|row| Some(row.meter_id.as_str())))
        .time("interval_end", rows.iter().map(|row| Some(row.quarter.end())))
        .whole(
            "import_wh",
            energy(|estimate| Some(estimate.import_wh)).map(|wh| Some(wh.unwrap_or(0))),
        )
        .whole("export_wh", energy(|estimate| estimate.export_wh))
        .text("quality", rows.iter().map(|row| Some(quality(row))))
        .text(
            "method",
            rows.iter()
                .map(|row| row.estimate.as_ref().map(|estimate| estimate.method.as_str())),
        )
        .set("revision", Arc::new(revision))
        .time("received_at", rows.iter().map(|_| Some(stamp.published_at)))
        .text("source", rows.iter().map(|_| Some(SOURCE)))
        .whole("position", rows.iter().map(|_| position))
        .whole("version", rows.iter().map(|row| Some(row.version)))
        .time("published_at", rows.iter().map(|_| Some(stamp.published_at)))
        .text("reason", rows.iter().map(|row| Some(reason(row))))
        .day(
            "day",
            rows.iter()
                .map(|row| stamp.zone.day_of_interval(row.quarter.end())),
        )
        .finish()
}
