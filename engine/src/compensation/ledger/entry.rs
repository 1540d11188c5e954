//! Entries: what they say, and the ids that follow from it.

use std::{fmt, str::FromStr, sync::Arc};

use gridtally_schemas::{ConsumerId, Day, UtcMicros, compensation::fnv1a};
use serde::{Serialize, Serializer};

use crate::compensation::{Paise, rule::Grounds};

/// What a consumer can be owed for: the key of a chain, beside the consumer.
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

words!(
    /// Kind of an entry.
    EntryKind {
        /// The first entry for a default.
        Accrual = "accrual",
        /// A difference to what stands.
        Adjustment = "adjustment",
        /// All that stands, taken back.
        Reversal = "reversal",
    }
);
words!(
    /// How far an entry has come. Only ever moves down this list.
    Status {
        /// The default still runs.
        Accruing = "accruing",
        /// It is to be credited.
        Due = "due",
        /// The billing system has fetched it.
        Exported = "exported",
        /// The billing system has credited it.
        Credited = "credited",
    }
);

/// Id of an entry: `CE` and 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId(Arc<str>);

impl EntryId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for EntryId {
    fn from(text: &str) -> Self {
        Self(Arc::from(text))
    }
}

impl Serialize for EntryId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an entry says; never changed once made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Content {
    /// The consumer.
    pub consumer_id: ConsumerId,
    /// What for.
    pub default: DefaultKey,
    /// Place in the chain, from 1.
    pub sequence: u32,
    /// Its kind.
    pub kind: EntryKind,
    /// What it rests on; of a reversal, what it takes back rested on.
    pub grounds: Grounds,
    /// Amount; a reversal is negative, an adjustment either.
    pub amount: Paise,
    /// The accrual that it adjusts or reverses; `None`: it is one.
    pub explains: Option<EntryId>,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its id.
    pub entry_id: EntryId,
    /// What it says.
    pub content: Content,
    /// When it was made, by the configured clock.
    pub created_at: UtcMicros,
}

impl Entry {
    /// An entry of this content.
    #[must_use]
    pub fn new(content: Content, created_at: UtcMicros) -> Self {
        Self {
            entry_id: content.id(),
            content,
            created_at,
        }
    }
}

impl Content {
    /// The id that this content has: FNV-1a, 128 bits, over its fields, each closed by a zero byte, which none contains.
    pub(super) fn id(&self) -> EntryId {
        let grounds = &self.grounds;
        let number = |value: Option<i64>| value.map_or_else(String::new, |value| value.to_string());
        let fields = [
            self.consumer_id.to_string(),
            self.default.to_string(),
            self.sequence.to_string(),
            self.kind.to_string(),
            grounds.regulation.clone(),
            grounds.revision.to_string(),
            grounds.standard.clone(),
            grounds.clause.clone(),
            number(grounds.limit_minutes),
            number(grounds.default_minutes),
            self.amount.0.to_string(),
            self.explains
                .as_ref()
                .map_or_else(String::new, EntryId::to_string),
        ];
        let bytes = fields.iter().flat_map(|field| field.bytes().chain([0]));
        EntryId(Arc::from(format!("CE{:032x}", fnv1a(bytes))))
    }
}
