//! Entries: what they say, and the ids that follow from it.

use std::{fmt, sync::Arc};

pub use gridtally_schemas::compensation::DefaultKey;
use gridtally_schemas::{ConsumerId, UtcMicros, compensation::fnv1a};
use serde::{Serialize, Serializer};

use crate::compensation::{Paise, rule::Grounds};

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
