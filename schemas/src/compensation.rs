//! What others say of compensation: what a billing system has taken and credited, what people approve, requests with a time limit, and
//! consumers' claims.
//!
//! Entries themselves are never said by anybody: they follow from the evidence. A word names entries by id.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize, Serializer};

use crate::{ConsumerId, Day, UtcMicros, network::words};

/// Most entries that one word names.
pub const ENTRIES_NAMED_MAX: usize = 10_000;
/// Longest key, name or reference in a word, bytes.
pub const WORD_TEXT_BYTES_MAX: usize = 200;

words!(
    /// How far the billing system has come with an entry.
    Taken {
        /// It has fetched it.
        Exported = "exported",
        /// It has credited it.
        Credited = "credited",
    }
);
words!(
    /// The two hands of an approval.
    ApprovalStep {
        /// Who proposes the entries.
        Make = "make",
        /// Who checks and approves what another has proposed.
        Check = "check",
    }
);

/// What a billing system says of entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acknowledgement {
    /// Names this word: said again it changes nothing.
    pub idempotency_key: String,
    /// How far it has come.
    pub status: Taken,
    /// The entries.
    pub entry_ids: Vec<String>,
    /// Its own reference, such as a bill's number; `None`: none.
    pub reference: Option<String>,
}

/// What a person says of entries that need two hands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Who.
    pub person: String,
    /// Which hand.
    pub step: ApprovalStep,
    /// The entries.
    pub entry_ids: Vec<String>,
}

/// A word on entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CompensationWord {
    /// By the billing system.
    Acknowledged(Acknowledgement),
    /// By a person.
    Approved(Approval),
}

/// Why a word cannot stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WordError {
    /// A text that is empty, too long or no line of text.
    #[error("`{field}` is 1 to {WORD_TEXT_BYTES_MAX} bytes without control characters")]
    Text {
        /// The field.
        field: &'static str,
    },
    /// No entry, or too many.
    #[error("`entry_ids` names {count} entries: 1 to {ENTRIES_NAMED_MAX} are possible")]
    Entries {
        /// How many.
        count: usize,
    },
    /// One entry twice.
    #[error("`entry_ids` names {entry_id} twice")]
    Twice {
        /// The entry.
        entry_id: String,
    },
}

fn check_text(field: &'static str, text: &str) -> Result<(), WordError> {
    let is_bad =
        text.trim().is_empty() || text.len() > WORD_TEXT_BYTES_MAX || text.chars().any(char::is_control);
    if is_bad {
        return Err(WordError::Text { field });
    }
    Ok(())
}

fn check_entries(ids: &[String]) -> Result<(), WordError> {
    if ids.is_empty() || ids.len() > ENTRIES_NAMED_MAX {
        return Err(WordError::Entries { count: ids.len() });
    }
    let mut sorted: Vec<&String> = ids.iter().collect();
    sorted.sort_unstable();
    let twice = sorted
        .iter()
        .zip(sorted.iter().skip(1))
        .find(|(one, next)| one == next);
    match twice {
        Some((id, _)) => Err(WordError::Twice {
            entry_id: (*id).clone(),
        }),
        None => Ok(()),
    }
}

impl Acknowledgement {
    /// Checks all that can be checked without knowing the entries.
    ///
    /// # Errors
    /// [`WordError`] names the first thing that is wrong.
    pub fn check(&self) -> Result<(), WordError> {
        check_text("idempotency_key", &self.idempotency_key)?;
        if let Some(reference) = &self.reference {
            check_text("reference", reference)?;
        }
        check_entries(&self.entry_ids)
    }

    /// What it says beside its key: 128 bits of FNV-1a over status, reference and entries, whatever their order, each closed by a zero byte.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut ids: Vec<&str> = self.entry_ids.iter().map(String::as_str).collect();
        ids.sort_unstable();
        let said = [
            self.status.as_str(),
            self.reference.as_deref().unwrap_or_default(),
        ];
        let bytes = said
            .into_iter()
            .chain(ids)
            .flat_map(|text| text.bytes().chain([0]));
        format!("{:032x}", fnv1a(bytes))
    }
}

impl Approval {
    /// Checks all that can be checked without knowing the entries.
    ///
    /// # Errors
    /// [`WordError`] names the first thing that is wrong.
    pub fn check(&self) -> Result<(), WordError> {
        check_text("person", &self.person)?;
        check_entries(&self.entry_ids)
    }
}

/// FNV-1a, 128 bits.
#[must_use]
pub fn fnv1a(bytes: impl Iterator<Item = u8>) -> u128 {
    bytes.fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    })
}

/// A row of the `service_requests` file: a request whose handling has a time limit (Rules 2020, 13(4)(iii) to (ix), 4(12), 11(12)). Of
/// two rows of one request the later recorded stands, then the larger content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceRequestRow {
    /// The request.
    pub request_id: String,
    /// Who asked.
    pub consumer_id: ConsumerId,
    /// What for.
    pub kind: RequestKind,
    /// When.
    pub opened_at: UtcMicros,
    /// When it was met, not before it was made; `None`: still open.
    pub closed_at: Option<UtcMicros>,
}

words!(
    /// What a request asks for: what the Electricity (Rights of Consumers) Rules 2020 set a time for.
    RequestKind {
        /// New connection: 4(12), 13(4)(iii).
        Connection = "connection",
        /// Disconnection on request: 13(4)(iii).
        Disconnection = "disconnection",
        /// Reconnection: 13(4)(iii).
        Reconnection = "reconnection",
        /// Shifting of meter or line: 13(4)(iii).
        Shifting = "shifting",
        /// Change of consumer category: 13(4)(iv).
        CategoryChange = "category_change",
        /// Change of load: 13(4)(iv).
        LoadChange = "load_change",
        /// Change of consumer details: 13(4)(v).
        DetailsChange = "details_change",
        /// Replacement of a defective meter: 13(4)(vi).
        MeterReplacement = "meter_replacement",
        /// Serving of a bill: 13(4)(vii).
        BillDelivery = "bill_delivery",
        /// Voltage complaint: 13(4)(viii).
        VoltageComplaint = "voltage_complaint",
        /// Bill complaint: 13(4)(ix).
        BillComplaint = "bill_complaint",
        /// Commissioning of a consumer's own generation: 11(12).
        ProsumerConnection = "prosumer_connection",
    }
);

/// What a consumer can be owed for: the key of a chain of entries, beside the consumer.
///
/// As text: `outage:{outage_id}`, `request:{request_id}`, `period:{standard}:{first day}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DefaultKey {
    /// His part in an outage.
    Outage(String),
    /// A count in a civil period.
    Period {
        /// The standard.
        standard: String,
        /// First day of the period.
        first_day: Day,
    },
    /// A request.
    Request(String),
}

impl DefaultKey {
    /// The outage, where the default is one: column `outage_id`.
    #[must_use]
    pub fn outage_id(&self) -> Option<&str> {
        match self {
            Self::Outage(outage_id) => Some(outage_id),
            Self::Period { .. } | Self::Request(_) => None,
        }
    }
}

impl fmt::Display for DefaultKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outage(outage_id) => write!(f, "outage:{outage_id}"),
            Self::Period { standard, first_day } => write!(f, "period:{standard}:{first_day}"),
            Self::Request(request_id) => write!(f, "request:{request_id}"),
        }
    }
}

impl FromStr for DefaultKey {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is no default: outage:…, request:… or period:…:YYYY-MM-DD is needed");
        match text.split_once(':') {
            Some(("outage", outage_id)) if !outage_id.is_empty() => Ok(Self::Outage(outage_id.to_owned())),
            Some(("request", request_id)) if !request_id.is_empty() => {
                Ok(Self::Request(request_id.to_owned()))
            }
            Some(("period", rest)) => {
                let (standard, day) = rest.rsplit_once(':').ok_or_else(wrong)?;
                Ok(Self::Period {
                    standard: standard.to_owned(),
                    first_day: Day::parse(day).ok_or_else(wrong)?,
                })
            }
            Some(_) | None => Err(wrong()),
        }
    }
}

impl Serialize for DefaultKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A row of the `claims` file: a consumer's claim for what is owed on claim, or what a forum or ombudsman made of one. Of two rows of one
/// claim the later recorded stands, then the larger content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimRow {
    /// The claim.
    pub claim_id: String,
    /// Who claims.
    pub consumer_id: ConsumerId,
    /// For what.
    pub about: ClaimAbout,
    /// When it was filed.
    pub filed_at: UtcMicros,
    /// When forum or ombudsman upheld it, not before it was filed; `None`: not, or not yet.
    pub upheld_at: Option<UtcMicros>,
}

/// What a claim is about. As text: a [`DefaultKey`], or `supply:{instant}` with an RFC 3339 instant at which the consumer had no
/// supply, since a consumer knows no ids of outages.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClaimAbout {
    /// A default by its key.
    Default(DefaultKey),
    /// The outage in which the consumer had no supply at this instant.
    NoSupplyAt(UtcMicros),
}

impl fmt::Display for ClaimAbout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default(default) => default.fmt(f),
            Self::NoSupplyAt(at) => write!(f, "supply:{at}"),
        }
    }
}

impl FromStr for ClaimAbout {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is nothing to claim for: supply:INSTANT (such as supply:2026-04-01T10:00:00+05:30), outage:ID, request:ID or \
                 period:STANDARD:YYYY-MM-DD is needed"
            )
        };
        match text.strip_prefix("supply:") {
            Some(at) => UtcMicros::parse(at).map(Self::NoSupplyAt).map_err(|_| wrong()),
            None => text.parse().map(Self::Default).map_err(|_: String| wrong()),
        }
    }
}

impl Serialize for ClaimAbout {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ClaimAbout {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(key: &str, ids: &[&str]) -> Acknowledgement {
        Acknowledgement {
            idempotency_key: key.to_owned(),
            status: Taken::Credited,
            entry_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            reference: None,
        }
    }

    #[test]
    fn a_word_names_what_is_wrong_with_it() {
        let check = |word: Acknowledgement, why: &str| assert_eq!(word.check().unwrap_err().to_string(), why);
        check(
            word(" ", &["A"]),
            "`idempotency_key` is 1 to 200 bytes without control characters",
        );
        check(
            word("k", &[]),
            "`entry_ids` names 0 entries: 1 to 10000 are possible",
        );
        check(word("k", &["B", "A", "B"]), "`entry_ids` names B twice");
        assert_eq!(word("k", &["B", "A"]).check(), Ok(()));
    }

    #[test]
    fn what_a_claim_is_about_is_told_as_text() {
        let same = |text: &str| {
            let about: ClaimAbout = text.parse().unwrap();
            assert_eq!(about.to_string(), text);
            let json = serde_json::to_string(&about).unwrap();
            assert_eq!(serde_json::from_str::<ClaimAbout>(&json).unwrap(), about);
        };
        same("outage:OT1:x");
        same("request:R1");
        same("period:count:2026-04-01");
        same("supply:2026-04-01T04:30:00+00:00");
        for text in [
            "supply:yesterday",
            "supply:",
            "outage:",
            "OT1",
            "period:2026-04-01",
            "",
        ] {
            let why = text.parse::<ClaimAbout>().unwrap_err();
            assert!(
                why.starts_with(&format!("`{text}` is nothing to claim for: ")),
                "{why}"
            );
        }
    }

    #[test]
    fn what_a_word_says_does_not_hang_on_the_order_of_its_entries_nor_on_its_key() {
        let one = word("k", &["A", "B"]);
        assert_eq!(one.digest(), word("other", &["B", "A"]).digest());
        assert_ne!(one.digest(), word("k", &["AB"]).digest());
        let exported = Acknowledgement {
            status: Taken::Exported,
            ..one.clone()
        };
        assert_ne!(one.digest(), exported.digest());
    }
}
