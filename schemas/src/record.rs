//! What the log holds: everything that can change a result, as self-contained records.
//!
//! ```text
//! record    := kind u8 · recorded_at i64 LE (µs, the receiving edge's clock) · source text · body
//! text      := length u16 LE · UTF-8
//! kind 1    publish      body = ami.v1.Publish in protobuf, whatever the payload's own encoding was
//! kind 2    undecodable  body = topic text · content type text · reason text · payload as received
//! kind 3    master rows  body = JSON of MasterRows
//! kind 4    edits        body = JSON of Edits
//! kind 6    plan rows    body = JSON of PlanRows
//! kind 7    cause        body = JSON of Cause
//! kind 8    release      body = entries to the end, each of a row of the quarantine that is judged good again:
//!                        id text · received_at i64 LE · source, topic, content type, meter text (empty: none)
//!                        · interval_end i64 LE (least: none) · reason text · payload length u32 LE · payload
//! kind 9    billing      body = JSON of a list of BillingRow
//! kind 10   compensation body = JSON of CompensationWord
//! kind 11   requests     body = JSON of a list of ServiceRequestRow
//! kind 12   claims       body = JSON of a list of ClaimRow
//! kind 13   accounts     body = JSON of a list of DiscomAccountsRow
//! kind 14   managers     body = JSON of a list of FeederManagerRow
//! kind 15   action       body = JSON of FeederAction
//! ```
//!
//! A newer kind is added, never redefined: an old log stays readable.

use crate::{
    Publish, UtcMicros,
    accountability::{FeederAction, FeederManagerRow},
    billing::{BillingRow, DiscomAccountsRow},
    compensation::{ClaimRow, CompensationWord, ServiceRequestRow},
    edit::Edits,
    network::MasterRows,
    outage::{Cause, PlanRows},
    quarantine::Quarantined,
    topic::Publisher,
    wire::{self, Encoding},
};

const KIND_PUBLISH: u8 = 1;
const KIND_UNDECODABLE: u8 = 2;
const KIND_MASTER_ROWS: u8 = 3;
const KIND_EDITS: u8 = 4;
const KIND_PLAN_ROWS: u8 = 6;
const KIND_CAUSE: u8 = 7;
const KIND_RELEASE: u8 = 8;
const KIND_BILLING: u8 = 9;
const KIND_COMPENSATION: u8 = 10;
const KIND_REQUESTS: u8 = 11;
const KIND_CLAIMS: u8 = 12;
const KIND_ACCOUNTS: u8 = 13;
const KIND_MANAGERS: u8 = 14;
const KIND_ACTION: u8 = 15;

/// Source that a file import records: `file:` and the file's name. Bounded like every text of a record.
const TEXT_BYTES_MAX: usize = 65_535;

/// A record, read without copying what it carries.
#[derive(Debug, Clone, PartialEq)]
pub struct Record<'a> {
    /// When the edge received it, by the configured clock.
    pub recorded_at: UtcMicros,
    /// From whom: `meter:…`, `gateway:…`, `file:…`, `person:…`.
    pub source: &'a str,
    /// What it carries.
    pub body: Body<'a>,
}

/// What a record carries.
#[derive(Debug, Clone, PartialEq)]
pub enum Body<'a> {
    /// A publish (or a file's reads), in protobuf.
    Publish(&'a [u8]),
    /// A payload that could not be decoded, whole.
    Undecodable {
        /// Topic as received.
        topic: &'a str,
        /// MQTT 5 content type; empty when there was none.
        content_type: &'a str,
        /// Why it was not decoded.
        reason: &'a str,
        /// The payload as received.
        payload: &'a [u8],
    },
    /// Master data.
    MasterRows(MasterRows),
    /// Manual edits.
    Edits(Edits),
    /// Planned outages and hours of supply.
    PlanRows(PlanRows),
    /// What a person says of an outage.
    Cause(Cause),
    /// Bills.
    Billing(Vec<BillingRow>),
    /// What billing or a person says of compensation entries.
    Compensation(CompensationWord),
    /// Requests with a time limit.
    Requests(Vec<ServiceRequestRow>),
    /// Claims of consumers.
    Claims(Vec<ClaimRow>),
    /// Accounts of the discom.
    Accounts(Vec<DiscomAccountsRow>),
    /// Who answers for feeders.
    Managers(Vec<FeederManagerRow>),
    /// Why a feeder deviates, and what is planned against it.
    Action(Box<FeederAction>),
    /// What waited in quarantine and is judged good again.
    Release(Vec<Quarantined>),
}

/// A record that cannot be read: written by a newer version, or not by gridtally.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Ends in the middle of a field.
    #[error("log record ends inside its {0}")]
    Truncated(&'static str),
    /// Unknown kind.
    #[error("log record has kind {0}, which this version does not know")]
    Kind(u8),
    /// Text that is not UTF-8.
    #[error("log record's {0} is not UTF-8")]
    Text(&'static str),
    /// Master rows that do not parse.
    #[error("log record's master rows do not parse")]
    MasterRows(#[source] serde_json::Error),
    /// Edits that do not parse.
    #[error("log record's edits do not parse")]
    Edits(#[source] serde_json::Error),
    /// Plan rows that do not parse.
    #[error("log record's plan rows do not parse")]
    PlanRows(#[source] serde_json::Error),
    /// A cause that does not parse.
    #[error("log record's cause does not parse")]
    Cause(#[source] serde_json::Error),
    /// Bills that do not parse.
    #[error("log record's bills do not parse")]
    Billing(#[source] serde_json::Error),
    /// A word on compensation that does not parse.
    #[error("log record's word on compensation does not parse")]
    Compensation(#[source] serde_json::Error),
    /// Requests that do not parse.
    #[error("log record's requests do not parse")]
    Requests(#[source] serde_json::Error),
    /// Claims that do not parse.
    #[error("log record's claims do not parse")]
    Claims(#[source] serde_json::Error),
    /// Accounts that do not parse.
    #[error("log record's accounts do not parse")]
    Accounts(#[source] serde_json::Error),
    /// Managers that do not parse.
    #[error("log record's managers do not parse")]
    Managers(#[source] serde_json::Error),
    /// An action that does not parse.
    #[error("log record's action does not parse")]
    Action(#[source] serde_json::Error),
    /// A publish that does not parse.
    #[error("log record's publish does not parse")]
    Publish(#[source] wire::DecodeError),
}

/// Writes a publish record for a decoded publish.
pub fn encode_publish(recorded_at: UtcMicros, source: &str, publish: &Publish, bytes: &mut Vec<u8>) {
    header(KIND_PUBLISH, recorded_at, source, bytes);
    wire::encode_protobuf(publish, bytes);
}

/// Writes an undecodable record. Texts longer than 64 KiB are cut; the payload never is.
pub fn encode_undecodable(
    recorded_at: UtcMicros,
    source: &str,
    texts: [&str; 3],
    payload: &[u8],
    bytes: &mut Vec<u8>,
) {
    header(KIND_UNDECODABLE, recorded_at, source, bytes);
    for text in texts {
        push_text(text, bytes);
    }
    bytes.extend_from_slice(payload);
}

/// Writes a master-data record.
///
/// # Errors
/// When a row holds a number that JSON cannot say (NaN).
pub fn encode_master_rows(
    recorded_at: UtcMicros,
    source: &str,
    rows: &MasterRows,
    bytes: &mut Vec<u8>,
) -> Result<(), serde_json::Error> {
    header(KIND_MASTER_ROWS, recorded_at, source, bytes);
    serde_json::to_writer(bytes, rows)
}

/// Writes a record of manual edits; its source is `person:` and the person's name.
///
/// # Errors
/// None in practice: edits are texts and whole numbers, which JSON can always say.
pub fn encode_edits(
    recorded_at: UtcMicros,
    edits: &Edits,
    bytes: &mut Vec<u8>,
) -> Result<(), serde_json::Error> {
    header(
        KIND_EDITS,
        recorded_at,
        &format!("person:{}", edits.person),
        bytes,
    );
    serde_json::to_writer(bytes, edits)
}

/// Writes a record of planned outages or hours of supply.
///
/// # Errors
/// None in practice: the rows are texts and times, which JSON can always say.
pub fn encode_plan_rows(
    recorded_at: UtcMicros,
    source: &str,
    rows: &PlanRows,
    bytes: &mut Vec<u8>,
) -> Result<(), serde_json::Error> {
    header(KIND_PLAN_ROWS, recorded_at, source, bytes);
    serde_json::to_writer(bytes, rows)
}

/// Writes what a person says of an outage; its source is `person:` and the person's name.
///
/// # Errors
/// None in practice: it is texts and times, which JSON can always say.
pub fn encode_cause(
    recorded_at: UtcMicros,
    cause: &Cause,
    bytes: &mut Vec<u8>,
) -> Result<(), serde_json::Error> {
    header(
        KIND_CAUSE,
        recorded_at,
        &format!("person:{}", cause.person),
        bytes,
    );
    serde_json::to_writer(bytes, cause)
}

/// Writes a record of bills.
///
/// # Errors
/// None in practice: bills are ids, days and whole numbers, which JSON can always say.
pub fn encode_billing(
    recorded_at: UtcMicros,
    source: &str,
    rows: &[BillingRow],
    bytes: &mut Vec<u8>,
) -> Result<(), serde_json::Error> {
    header(KIND_BILLING, recorded_at, source, bytes);
    serde_json::to_writer(bytes, rows)
}

/// Writes what billing or a person says of compensation entries.
///
/// # Errors
/// None in practice: a word is texts, which JSON can always say.
pub fn encode_compensation(
    recorded_at: UtcMicros,
    source: &str,
    word: &CompensationWord,
    bytes: &mut Vec<u8>,
) -> Result<(), serde_json::Error> {
    header(KIND_COMPENSATION, recorded_at, source, bytes);
    serde_json::to_writer(bytes, word)
}

/// Writes a record of requests with a time limit.
///
/// # Errors
/// None in practice: requests are texts and times, which JSON can always say.
pub fn encode_requests(
    recorded_at: UtcMicros,
    source: &str,
    rows: &[ServiceRequestRow],
    bytes: &mut Vec<u8>,
) -> Result<(), serde_json::Error> {
    header(KIND_REQUESTS, recorded_at, source, bytes);
    serde_json::to_writer(bytes, rows)
}

/// Writes a record of claims.
///
/// # Errors
/// None in practice: claims are texts and times, which JSON can always say.
pub fn encode_claims(
    recorded_at: UtcMicros,
    source: &str,
    rows: &[ClaimRow],
    bytes: &mut Vec<u8>,
) -> Result<(), serde_json::Error> {
    header(KIND_CLAIMS, recorded_at, source, bytes);
    serde_json::to_writer(bytes, rows)
}

/// Writes a record of the discom's accounts.
///
/// # Errors
/// None in practice: accounts are texts and whole numbers, which JSON can always say.
pub fn encode_accounts(
    recorded_at: UtcMicros,
    source: &str,
    rows: &[DiscomAccountsRow],
    bytes: &mut Vec<u8>,
) -> Result<(), serde_json::Error> {
    header(KIND_ACCOUNTS, recorded_at, source, bytes);
    serde_json::to_writer(bytes, rows)
}

/// Writes a record of who answers for feeders.
///
/// # Errors
/// None in practice: the rows are texts and times, which JSON can always say.
pub fn encode_managers(
    recorded_at: UtcMicros,
    source: &str,
    rows: &[FeederManagerRow],
    bytes: &mut Vec<u8>,
) -> Result<(), serde_json::Error> {
    header(KIND_MANAGERS, recorded_at, source, bytes);
    serde_json::to_writer(bytes, rows)
}

/// Writes why a feeder deviates and what is planned against it; its source is `person:` and the person's name.
///
/// # Errors
/// None in practice: it is texts and days, which JSON can always say.
pub fn encode_action(
    recorded_at: UtcMicros,
    action: &FeederAction,
    bytes: &mut Vec<u8>,
) -> Result<(), serde_json::Error> {
    header(
        KIND_ACTION,
        recorded_at,
        &format!("person:{}", action.person),
        bytes,
    );
    serde_json::to_writer(bytes, action)
}

/// Writes a record that releases what waited in quarantine.
pub fn encode_release(recorded_at: UtcMicros, source: &str, rows: &[Quarantined], bytes: &mut Vec<u8>) {
    header(KIND_RELEASE, recorded_at, source, bytes);
    for row in rows {
        let text = |text: &Option<String>| text.as_deref().unwrap_or_default().to_owned();
        push_text(&row.exception_id, bytes);
        bytes.extend_from_slice(&row.received_at.0.to_le_bytes());
        for text in [
            row.source.clone(),
            text(&row.topic),
            text(&row.content_type),
            text(&row.meter_id),
        ] {
            push_text(&text, bytes);
        }
        let end = row.interval_end.map_or(i64::MIN, |end| end.0);
        bytes.extend_from_slice(&end.to_le_bytes());
        push_text(&row.reason, bytes);
        let length = u32::try_from(row.payload.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend(
            row.payload
                .iter()
                .take(usize::try_from(length).unwrap_or(usize::MAX)),
        );
    }
}

fn header(kind: u8, recorded_at: UtcMicros, source: &str, bytes: &mut Vec<u8>) {
    bytes.push(kind);
    bytes.extend_from_slice(&recorded_at.0.to_le_bytes());
    push_text(source, bytes);
}

fn push_text(text: &str, bytes: &mut Vec<u8>) {
    let cut = text
        .get(..text.floor_char_boundary(TEXT_BYTES_MAX))
        .unwrap_or_default();
    bytes.extend_from_slice(&u16::try_from(cut.len()).unwrap_or(u16::MAX).to_le_bytes());
    bytes.extend_from_slice(cut.as_bytes());
}

/// Reads a record.
///
/// # Errors
/// [`RecordError`] when the bytes are not a record of a known kind.
pub fn decode(bytes: &[u8]) -> Result<Record<'_>, RecordError> {
    let (kind, rest) = bytes.split_first().ok_or(RecordError::Truncated("kind"))?;
    let (recorded_at, rest) = rest
        .split_first_chunk::<8>()
        .ok_or(RecordError::Truncated("recorded_at"))?;
    let (source, rest) = take_text(rest, "source")?;
    let body = match *kind {
        KIND_PUBLISH => Body::Publish(rest),
        KIND_UNDECODABLE => {
            let (topic, rest) = take_text(rest, "topic")?;
            let (content_type, rest) = take_text(rest, "content type")?;
            let (reason, payload) = take_text(rest, "reason")?;
            Body::Undecodable {
                topic,
                content_type,
                reason,
                payload,
            }
        }
        KIND_MASTER_ROWS => Body::MasterRows(serde_json::from_slice(rest).map_err(RecordError::MasterRows)?),
        KIND_EDITS => Body::Edits(serde_json::from_slice(rest).map_err(RecordError::Edits)?),
        KIND_PLAN_ROWS => Body::PlanRows(serde_json::from_slice(rest).map_err(RecordError::PlanRows)?),
        KIND_CAUSE => Body::Cause(serde_json::from_slice(rest).map_err(RecordError::Cause)?),
        KIND_BILLING => Body::Billing(serde_json::from_slice(rest).map_err(RecordError::Billing)?),
        KIND_COMPENSATION => {
            Body::Compensation(serde_json::from_slice(rest).map_err(RecordError::Compensation)?)
        }
        KIND_REQUESTS => Body::Requests(serde_json::from_slice(rest).map_err(RecordError::Requests)?),
        KIND_CLAIMS => Body::Claims(serde_json::from_slice(rest).map_err(RecordError::Claims)?),
        KIND_ACCOUNTS => Body::Accounts(serde_json::from_slice(rest).map_err(RecordError::Accounts)?),
        KIND_MANAGERS => Body::Managers(serde_json::from_slice(rest).map_err(RecordError::Managers)?),
        KIND_ACTION => Body::Action(serde_json::from_slice(rest).map_err(RecordError::Action)?),
        KIND_RELEASE => Body::Release(take_release(rest)?),
        other => return Err(RecordError::Kind(other)),
    };
    Ok(Record {
        recorded_at: UtcMicros(i64::from_le_bytes(*recorded_at)),
        source,
        body,
    })
}

/// The publish of a record that holds events, with when the edge received it; `None`: another record, or a publish without. So cheap that
/// a log can be looked through for them: of interval reads only lengths are read.
///
/// # Errors
/// [`RecordError`] when the record cannot be read.
pub fn publish_with_events(bytes: &[u8]) -> Result<Option<(UtcMicros, &[u8])>, RecordError> {
    if bytes.first() != Some(&KIND_PUBLISH) {
        return Ok(None);
    }
    let record = decode(bytes)?;
    let Body::Publish(protobuf) = record.body else {
        return Ok(None);
    };
    Ok(wire::has_events(protobuf).then_some((record.recorded_at, protobuf)))
}

/// Reads the publish of a publish record into `publish`.
///
/// # Errors
/// [`RecordError::Publish`] when the bytes are no publish.
pub fn decode_publish(protobuf: &[u8], publish: &mut Publish) -> Result<(), RecordError> {
    let nobody = Publisher::Gateway(
        crate::GatewayId::parse("log")
            .map_err(|error| RecordError::Publish(wire::DecodeError::MeterId(error)))?,
    );
    wire::decode(Encoding::Protobuf, protobuf, &nobody, publish).map_err(RecordError::Publish)
}

fn take_release(mut bytes: &[u8]) -> Result<Vec<Quarantined>, RecordError> {
    let mut rows = Vec::new();
    while !bytes.is_empty() {
        let (exception_id, rest) = take_text(bytes, "quarantine id")?;
        let (received_at, rest) = take_i64(rest, "received_at")?;
        let (source, rest) = take_text(rest, "quarantine source")?;
        let (topic, rest) = take_text(rest, "topic")?;
        let (content_type, rest) = take_text(rest, "content type")?;
        let (meter_id, rest) = take_text(rest, "meter")?;
        let (interval_end, rest) = take_i64(rest, "interval_end")?;
        let (reason, rest) = take_text(rest, "reason")?;
        let (length, rest) = rest
            .split_first_chunk::<4>()
            .ok_or(RecordError::Truncated("payload"))?;
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let (payload, rest) = rest
            .split_at_checked(length)
            .ok_or(RecordError::Truncated("payload"))?;
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        rows.push(Quarantined {
            exception_id: exception_id.to_owned(),
            received_at: UtcMicros(received_at),
            source: source.to_owned(),
            topic: some(topic),
            content_type: some(content_type),
            meter_id: some(meter_id),
            interval_end: Some(UtcMicros(interval_end)).filter(|end| end.0 != i64::MIN),
            reason: reason.to_owned(),
            payload: payload.to_vec(),
        });
        bytes = rest;
    }
    Ok(rows)
}

fn take_i64<'a>(bytes: &'a [u8], field: &'static str) -> Result<(i64, &'a [u8]), RecordError> {
    let (number, rest) = bytes
        .split_first_chunk::<8>()
        .ok_or(RecordError::Truncated(field))?;
    Ok((i64::from_le_bytes(*number), rest))
}

fn take_text<'a>(bytes: &'a [u8], field: &'static str) -> Result<(&'a str, &'a [u8]), RecordError> {
    let (length, rest) = bytes
        .split_first_chunk::<2>()
        .ok_or(RecordError::Truncated(field))?;
    let (text, rest) = rest
        .split_at_checked(usize::from(u16::from_le_bytes(*length)))
        .ok_or(RecordError::Truncated(field))?;
    Ok((
        std::str::from_utf8(text).map_err(|_| RecordError::Text(field))?,
        rest,
    ))
}

#[cfg(test)]
mod tests;
