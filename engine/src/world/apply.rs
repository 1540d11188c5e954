//! What a log record changes.
//!
//! CONS-1: every read, register and event of an acknowledged publish ends in exactly one of the counts of [`super::Counts`], and
//! each of those but `duplicate` has a row in a table.
//!
//! What is decided here does not depend on what came before (ORD-1): a value is refused for what it says alone (off the grid of
//! quarter hours, negative, out of range, of the future of its own arrival), or held while nobody has said what its meter is. That
//! a meter is known never becomes false again. Everything else that master data may change later (is the meter in service, on
//! which node, with which interval and multiplier) is asked when a balance is gathered, never here.

use std::sync::Arc;

use gridtally_ingest::log::Position;
use gridtally_schemas::{
    IntervalRead, MeterSpan, PowerEvent, Publish, RegisterRead, UtcMicros,
    edit::{Edit, Edits},
    network::MasterRows,
    record::{self, Body, Record, RecordError},
};

use super::{
    World,
    held::{Held, SpanId},
};
use crate::{
    network::{Meter, MeterIx, Touched},
    outbox::{EventRow, MANUAL, Made, MasterRow, Origin, QuarantineRow, RegisterRow, VeeRow},
    state::{Feeders, HardFailure, Merged, Quarter, Value},
    vee::Rule,
};

pub(super) fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// A read that its source reported as missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MissingReport {
    pub(crate) at: UtcMicros,
    pub(crate) resolved_at: Option<UtcMicros>,
}

/// Content of a register read: import and export, Wh. Of two readings of one instant the greater stands.
pub(super) type Register = (Option<i64>, Option<i64>);

/// The interval and value of a read, whenever it came.
fn standing(read: &IntervalRead) -> Result<(Quarter, Option<Value>), &'static str> {
    let quarter = Quarter::ending(read.interval_end).ok_or(Rule::OffIntervalGrid.as_str())?;
    match Value::of_read(read) {
        Ok(value) => Ok((quarter, value)),
        Err(HardFailure::Negative) => Err(Rule::Negative.as_str()),
        Err(HardFailure::OutOfRange) => Err(Rule::OutOfRange.as_str()),
    }
}

/// Where a span came from: as which record's span it is known, and what its rows say of their origin.
#[derive(Debug)]
pub(super) struct Arrival<'a> {
    pub(super) id: SpanId,
    pub(super) origin: &'a Origin,
    pub(super) judging: Judging,
}

/// By what the reads of a span are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judging {
    /// By every hard rule.
    Now,
    /// They were judged good when they were released: what depends on settings is not asked again.
    Released,
}

/// Reads a log record; what it publishes is decoded into `publish`, a buffer to reuse.
///
/// # Errors
/// [`RecordError`] when the record cannot be read.
pub(crate) fn decode<'a>(bytes: &'a [u8], publish: &mut Publish) -> Result<Record<'a>, RecordError> {
    let record = record::decode(bytes)?;
    if let Body::Publish(protobuf) = &record.body {
        record::decode_publish(protobuf, publish)?;
    }
    Ok(record)
}

impl World {
    /// Applies one log record; one that was applied before changes nothing. `publish` is a buffer to reuse.
    ///
    /// # Errors
    /// [`RecordError`] when the record cannot be read: the log was written by a newer version, or is not a log of gridtally. Then
    /// nothing of it was applied.
    pub fn apply(
        &mut self,
        position: Position,
        bytes: &[u8],
        publish: &mut Publish,
    ) -> Result<(), RecordError> {
        if position <= self.applied {
            return Ok(());
        }
        let record = decode(bytes, publish)?;
        self.apply_decoded(position, record, publish);
        Ok(())
    }

    /// Applies a record that was decoded with what it publishes in `publish`; one that was applied before changes nothing.
    pub(crate) fn apply_decoded(&mut self, position: Position, record: Record<'_>, publish: &mut Publish) {
        if position <= self.applied {
            return;
        }
        let origin = Origin {
            position,
            received_at: record.recorded_at,
            source: Arc::from(record.source),
        };
        match record.body {
            Body::Publish(_) => self.apply_publish(&origin, publish),
            Body::Undecodable {
                topic,
                content_type,
                reason,
                payload,
            } => {
                self.counts.undecodable += 1;
                self.quarantine(QuarantineRow {
                    exception_id: position.to_string(),
                    position,
                    origin,
                    topic: Some(topic.to_owned()),
                    content_type: Some(content_type.to_owned()).filter(|text| !text.is_empty()),
                    meter_id: None,
                    interval_end: None,
                    reason: format!("{}: {reason}", super::replay::UNDECODABLE),
                    payload: payload.to_vec(),
                    released_at: None,
                });
            }
            Body::MasterRows(rows) => self.apply_master_rows(&origin, rows),
            Body::Edits(edits) => self.apply_edits(&origin, &edits),
            Body::PlanRows(rows) => self.apply_plan(&origin, rows),
            Body::Cause(cause) => self.apply_cause(&origin, cause),
            Body::Billing(rows) => self.apply_billing(&origin, rows),
            Body::Compensation(word) => self.apply_compensation(&origin, word),
            Body::Requests(rows) => self.apply_requests(&origin, rows),
            Body::Claims(rows) => self.apply_claims(&origin, rows),
            Body::Accounts(rows) => self.apply_accounts(&origin, rows),
            Body::Managers(rows) => self.apply_managers(&origin, rows),
            Body::Action(action) => self.apply_action(&origin, *action),
            Body::Release(rows) => self.apply_release(&origin, rows),
        }
        self.counts.records += 1;
        self.applied = position;
    }

    fn apply_publish(&mut self, origin: &Origin, publish: &Publish) {
        self.counts.reads += count(publish.read_count());
        self.counts.registers += count(publish.register_count());
        self.counts.events += count(publish.event_count());
        for (at, span) in publish.meters().enumerate() {
            let arrival = Arrival {
                id: SpanId {
                    position: origin.position,
                    at: count(at),
                },
                origin,
                judging: Judging::Now,
            };
            self.apply_span(&arrival, span);
        }
    }

    /// Applies what one meter said.
    pub(super) fn apply_span(&mut self, arrival: &Arrival<'_>, span: MeterSpan<'_>) {
        let Some(meter) = self
            .network
            .find_meter_near(self.heard_last, span.meter_id)
            .filter(|meter| self.is_known(*meter))
        else {
            self.hold(arrival, span);
            return;
        };
        self.heard_last = meter;
        let feeders = self.feeders_for_home(meter);
        let mut refused: Vec<(IntervalRead, &'static str)> = Vec::new();
        for read in span.reads {
            let admitted = match arrival.judging {
                Judging::Now => self.admit(arrival.origin.received_at, read),
                Judging::Released => standing(read),
            };
            match admitted {
                Ok((quarter, Some(value))) => {
                    self.merge_read(arrival.origin, (meter, feeders), (quarter, &value), None)
                }
                Ok((quarter, None)) => self.report_missing(arrival.origin, meter, quarter),
                Err(reason) => refused.push((*read, reason)),
            }
        }
        if !refused.is_empty() {
            self.refuse_reads(arrival, span.meter_id, &refused);
        }
        self.apply_registers(arrival, meter, span);
        self.apply_events(arrival, meter, span);
    }

    pub(super) fn is_known(&self, meter: MeterIx) -> bool {
        self.network
            .meter(meter)
            .is_some_and(|meter| !meter.history().is_empty())
    }

    /// The feeders by which a meter that has no block yet is put into one.
    pub(super) fn feeders_for_home(&self, meter: MeterIx) -> Feeders {
        if self.state.block_of(meter).is_some() {
            return Feeders::default();
        }
        let mut feeders = Vec::new();
        self.network.feeders_of_meter(meter, &mut feeders);
        feeders.sort_unstable();
        feeders.dedup();
        [feeders.first().copied(), feeders.get(1).copied()]
    }

    /// Hard validation (DOMAIN section 3): which interval a read is for and the value it carries, or why it cannot stand.
    pub(super) fn admit(
        &self,
        received_at: UtcMicros,
        read: &IntervalRead,
    ) -> Result<(Quarter, Option<Value>), &'static str> {
        if Quarter::ending(read.interval_end).is_none() {
            return Err(Rule::OffIntervalGrid.as_str());
        }
        if read.interval_end > received_at.plus(self.settings.future_micros) {
            return Err(Rule::Future.as_str());
        }
        let oldest = self.settings.vee.too_old_micros.map(|age| received_at.plus(-age));
        if oldest.is_some_and(|oldest| read.interval_end < oldest) {
            return Err(Rule::TooOld.as_str());
        }
        standing(read)
    }

    fn merge_read(
        &mut self,
        origin: &Origin,
        (meter, feeders): (MeterIx, Feeders),
        (quarter, value): (Quarter, &Value),
        made: Option<Made>,
    ) {
        let said = (value, self.arrival(quarter, origin.received_at));
        let version = match self.state.merge(meter, feeders, quarter, said) {
            Merged::Accepted { version } => {
                self.counts.reads_accepted += 1;
                self.resolve_missing(origin, meter, quarter);
                self.note_value(meter, quarter);
                self.outage
                    .note(&self.settings.outage_rules, meter, quarter, value);
                self.note_voltage(meter, quarter, value.voltage_v);
                version
            }
            Merged::Superseded => {
                self.counts.reads_superseded += 1;
                if !self.bills.is_empty() {
                    // It may have come sooner than what was billed as late.
                    self.note_value(meter, quarter);
                }
                0
            }
            Merged::Duplicate => {
                self.counts.reads_duplicate += 1;
                return;
            }
        };
        if self.network.interval_of(meter, quarter.begin()).is_none() {
            self.counts.reads_not_in_service += 1;
        }
        self.outbox
            .push_read(origin, (meter, quarter), (value, version), made);
    }

    /// Applies what a person set. Each edit counts as a read: it becomes the valid value, or loses to a later edit.
    fn apply_edits(&mut self, origin: &Origin, edits: &Edits) {
        self.counts.reads += count(edits.edits.len());
        for (at, edit) in edits.edits.iter().enumerate() {
            let id = SpanId {
                position: origin.position,
                at: count(at),
            };
            let arrival = Arrival {
                id,
                origin,
                judging: Judging::Now,
            };
            self.apply_edit(&arrival, edits, edit);
        }
    }

    /// Applies one edit; one of a meter that nobody knows yet waits as reads do, with its person and reason.
    pub(super) fn apply_edit(&mut self, arrival: &Arrival<'_>, edits: &Edits, edit: &Edit) {
        let origin = arrival.origin;
        let Some((quarter, value)) = Value::of_edit(edit, origin.received_at) else {
            self.refuse_edit(arrival, edit);
            return;
        };
        let meter = self.network.find_meter(edit.meter_id.as_str());
        let Some(meter) = meter.filter(|meter| self.is_known(*meter)) else {
            self.counts.reads_quarantined += 1;
            let held = Held::of_edit(arrival, edits, edit);
            self.quarantine(held.row(origin.position, None));
            self.held.insert(held);
            return;
        };
        let made = Made {
            method: MANUAL,
            reason: Arc::from(edits.reason.as_str()),
        };
        let feeders = self.feeders_for_home(meter);
        self.merge_read(origin, (meter, feeders), (quarter, &value), Some(made));
    }

    /// An edit that no program of this version writes: kept whole.
    fn refuse_edit(&mut self, arrival: &Arrival<'_>, edit: &Edit) {
        let origin = arrival.origin;
        self.counts.reads_quarantined += 1;
        self.quarantine(QuarantineRow {
            exception_id: format!("{}-edit", arrival.id),
            position: origin.position,
            origin: origin.clone(),
            topic: None,
            content_type: None,
            meter_id: Some(edit.meter_id.to_string()),
            interval_end: Some(edit.interval_end),
            reason: "edit: an interval or energy that cannot be".to_owned(),
            payload: serde_json::to_vec(edit).unwrap_or_default(),
            released_at: None,
        });
    }

    /// A read that the source itself reports as missing: an exception, resolved when a value comes (or has come).
    fn report_missing(&mut self, origin: &Origin, meter: MeterIx, quarter: Quarter) {
        self.counts.reads_reported_missing += 1;
        if self.reported_missing.contains_key(&(meter, quarter)) {
            return;
        }
        let known = self.state.own_value(meter, quarter).is_some();
        let report = MissingReport {
            at: origin.received_at,
            resolved_at: known.then_some(origin.received_at),
        };
        self.reported_missing.insert((meter, quarter), report);
        self.push_vee(origin, (meter, quarter), 1, report);
    }

    fn resolve_missing(&mut self, origin: &Origin, meter: MeterIx, quarter: Quarter) {
        if self.reported_missing.is_empty() {
            return;
        }
        let Some(report) = self.reported_missing.get_mut(&(meter, quarter)) else {
            return;
        };
        if report.resolved_at.is_none() {
            report.resolved_at = Some(origin.received_at);
            let report = *report;
            self.push_vee(origin, (meter, quarter), 2, report);
        }
    }

    fn push_vee(
        &mut self,
        origin: &Origin,
        (meter, quarter): (MeterIx, Quarter),
        version: i64,
        report: MissingReport,
    ) {
        let Some(meter_id) = self.network.meter(meter).and_then(Meter::meter_id) else {
            return;
        };
        let position = origin.position;
        self.outbox.vee.push(VeeRow {
            meter_id,
            quarter,
            version,
            position,
            report,
        });
    }

    fn apply_registers(&mut self, arrival: &Arrival<'_>, meter: MeterIx, span: MeterSpan<'_>) {
        let is_negative = |register: &RegisterRead| {
            [register.import_wh, register.export_wh]
                .into_iter()
                .flatten()
                .any(|wh| wh < 0)
        };
        let refused: Vec<RegisterRead> = span.registers.iter().copied().filter(is_negative).collect();
        if !refused.is_empty() {
            let span = MeterSpan {
                reads: &[],
                registers: &refused,
                events: &[],
                ..span
            };
            self.refuse(arrival, span, Rule::Negative.as_str());
        }
        for register in span.registers.iter().filter(|register| !is_negative(register)) {
            self.apply_register(arrival.origin, meter, register);
        }
    }

    fn apply_register(&mut self, origin: &Origin, meter: MeterIx, register: &RegisterRead) {
        let content = (register.import_wh, register.export_wh);
        let held = self.registers.get(&(meter, register.at)).copied();
        let lost = |content: Register| (meter, register.at, content);
        let version = match held {
            Some((standing, _))
                if standing == content || self.registers_superseded.contains(&lost(content)) =>
            {
                self.counts.registers_duplicate += 1;
                return;
            }
            Some((standing, _)) if standing > content => {
                self.registers_superseded.insert(lost(content));
                self.counts.registers_superseded += 1;
                0
            }
            Some((standing, version)) => {
                self.registers_superseded.insert(lost(standing));
                version + 1
            }
            None => 1,
        };
        if version > 0 {
            self.registers.insert((meter, register.at), (content, version));
            self.note_register(meter, register.at);
            self.counts.registers_accepted += 1;
        }
        let Some(meter_id) = self.network.meter(meter).and_then(Meter::meter_id) else {
            return;
        };
        self.outbox.registers.push(RegisterRow {
            meter_id,
            register: *register,
            version,
            origin: origin.clone(),
        });
    }

    fn apply_events(&mut self, arrival: &Arrival<'_>, meter: MeterIx, span: MeterSpan<'_>) {
        let origin = arrival.origin;
        // No clock can have seen it yet.
        let is_future = |event: &PowerEvent| event.at > origin.received_at.plus(self.settings.future_micros);
        let (refused, taken): (Vec<PowerEvent>, Vec<PowerEvent>) =
            span.events.iter().copied().partition(is_future);
        if !refused.is_empty() {
            let span = MeterSpan {
                reads: &[],
                registers: &[],
                events: &refused,
                ..span
            };
            self.refuse(arrival, span, Rule::Future.as_str());
        }
        for event in taken {
            if !self.events.insert((meter, event)) {
                self.counts.events_duplicate += 1;
                continue;
            }
            self.counts.events_accepted += 1;
            self.outage.hear(&self.settings.event_map, meter, &event);
            self.note_load_switch(meter, event.at);
            let Some(meter_id) = self.network.meter(meter).and_then(Meter::meter_id) else {
                return;
            };
            self.outbox.events.push(EventRow {
                meter_id,
                event,
                meaning: self.settings.event_map.meaning(event.code),
                version: 1,
                origin: origin.clone(),
            });
        }
    }

    /// Refuses reads for what they say: one row per reason, so that each row says one thing.
    fn refuse_reads(
        &mut self,
        arrival: &Arrival<'_>,
        meter_id: &str,
        refused: &[(IntervalRead, &'static str)],
    ) {
        let mut reasons: Vec<&'static str> = refused.iter().map(|(_, reason)| *reason).collect();
        reasons.sort_unstable();
        reasons.dedup();
        for reason in reasons {
            let reads: Vec<IntervalRead> = refused
                .iter()
                .filter(|(_, why)| *why == reason)
                .map(|(read, _)| *read)
                .collect();
            self.refuse(
                arrival,
                MeterSpan {
                    meter_id,
                    reads: &reads,
                    registers: &[],
                    events: &[],
                },
                reason,
            );
        }
    }

    fn refuse(&mut self, arrival: &Arrival<'_>, span: MeterSpan<'_>, reason: &'static str) {
        self.count_quarantined(span);
        let suffix = match (span.reads.is_empty(), span.registers.is_empty()) {
            (false, _) => "",
            (true, false) => "-registers",
            (true, true) => "-events",
        };
        let held = Held::of_span(arrival, reason, span);
        let exception_id = format!("{}-{reason}{suffix}", arrival.id);
        self.quarantine(QuarantineRow {
            exception_id,
            ..held.row(arrival.origin.position, None)
        });
    }

    /// Keeps what an unknown meter said until master data names the meter.
    fn hold(&mut self, arrival: &Arrival<'_>, span: MeterSpan<'_>) {
        self.count_quarantined(span);
        let held = Held::of_span(arrival, super::held::UNKNOWN_METER, span);
        self.quarantine(held.row(arrival.origin.position, None));
        self.held.insert(held);
    }

    fn count_quarantined(&mut self, span: MeterSpan<'_>) {
        self.counts.reads_quarantined += count(span.reads.len());
        self.counts.registers_quarantined += count(span.registers.len());
        self.counts.events_quarantined += count(span.events.len());
    }

    fn quarantine(&mut self, row: QuarantineRow) {
        self.count_quarantine_row(&row.reason, 1);
        self.outbox.quarantine.push(row);
    }

    /// Keeps the number of quarantine rows by reason, without what follows a colon.
    pub(super) fn count_quarantine_row(&mut self, reason: &str, step: i64) {
        let kind = reason.split(':').next().unwrap_or_default();
        let entry = self.quarantined.entry(kind.to_owned()).or_default();
        *entry = entry.saturating_add(step);
    }

    fn apply_master_rows(&mut self, origin: &Origin, rows: MasterRows) {
        let total = rows.len();
        let touched = self.merge_master_rows(origin, rows);
        self.counts.master_rows_changed += count(touched.rows_changed);
        self.counts.master_rows_known += count(total.saturating_sub(touched.rows_changed));
        self.touch(&touched);
        self.release(origin, touched.meters_now_known);
    }

    /// Merges rows one by one, so that each row that changed something has its own row in the tables.
    fn merge_master_rows(&mut self, origin: &Origin, rows: MasterRows) -> Touched {
        let mut all = Touched::default();
        for row in MasterRow::split(rows) {
            let rows = row.clone().into_rows();
            let since = self.network.concerned_since(&rows);
            self.owe(&rows);
            let touched = self.network.merge(origin.received_at, &origin.source, rows);
            if touched.rows_changed > 0 {
                self.outbox.master.push((row, origin.clone()));
                self.note_revenue_network(since);
            }
            for feeder in &touched.feeders {
                self.vee.note_feeder(*feeder, since);
            }
            all.rows_changed += touched.rows_changed;
            all.feeders.extend(touched.feeders);
            all.meters_now_known.extend(touched.meters_now_known);
        }
        all.feeders.sort_unstable();
        all.feeders.dedup();
        all
    }

    /// Forgets what was derived from master data that changed.
    pub(super) fn touch(&mut self, touched: &Touched) {
        if touched.rows_changed > 0 {
            self.feeders_of_block.clear();
            self.indices.note_network();
        }
        for feeder in &touched.feeders {
            let before = self.rosters.remove(feeder).unwrap_or_default();
            self.stale.entry(*feeder).or_insert(before);
            self.outage.note_feeder(*feeder);
            self.note_compensation_on(*feeder);
        }
    }
}
