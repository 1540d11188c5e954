//! The network as far as the outages of one feeder need it, as it was over the time looked at.

use gridtally_schemas::{ConsumerId, MeterId, NodeId, UtcMicros};

use super::span::Span;

/// A feeder, what hangs on it and what was announced for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeederPicture {
    /// The feeder.
    pub feeder: NodeId,
    /// The nodes above it, nearest first.
    pub above: Vec<NodeId>,
    /// The feeder's own meters, with when each served.
    pub meters: Vec<Stint>,
    /// Its DTs.
    pub dts: Vec<DtPicture>,
    /// Every consumer who hung on it at some time, each once.
    pub consumers: Vec<ConsumerPicture>,
    /// Stretches in which no supply is due (see [`super::hours`]), each list sorted; named by position.
    pub without_supply: Vec<Vec<Span>>,
    /// Planned outages of the feeder, of a node above it or of one of its DTs.
    pub planned: Vec<Planned>,
}

impl FeederPicture {
    /// The stretches in which no supply is due to a consumer, sorted.
    #[must_use]
    pub fn without_supply_of(&self, consumer: &ConsumerPicture) -> &[Span] {
        let list = consumer
            .without_supply
            .and_then(|list| self.without_supply.get(list));
        list.map_or(&[], Vec::as_slice)
    }
}

/// A DT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DtPicture {
    /// The DT.
    pub node: NodeId,
    /// The DT's own meters, with when each served.
    pub meters: Vec<Stint>,
}

/// A meter at one place for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stint {
    /// The meter.
    pub meter: MeterId,
    /// When it served there.
    pub span: Span,
}

/// Where a consumer hung for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hang {
    /// When.
    pub span: Span,
    /// Its DT, as position in [`FeederPicture::dts`]; `None`: on the feeder itself (HT).
    pub dt: Option<usize>,
}

/// A consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerPicture {
    /// The consumer.
    pub consumer: ConsumerId,
    /// Where it hung on this feeder, sorted and disjoint. What began while it hung elsewhere is not this feeder's.
    pub hangs: Vec<Hang>,
    /// Its meters (role consumer), sorted by begin; empty: unmetered.
    pub meters: Vec<Stint>,
    /// When no supply is due to it, as position in [`FeederPicture::without_supply`]; `None`: always due.
    pub without_supply: Option<usize>,
}

impl ConsumerPicture {
    /// Where it hung at `instant`; `None`: not on this feeder.
    #[must_use]
    pub fn hang_at(&self, instant: UtcMicros) -> Option<&Hang> {
        self.hangs.iter().find(|hang| hang.span.contains(instant))
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// The word that stands for it in tables and the API.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(super) use words;

words!(
    /// Class of an outage (India Energy Stack OutageNotification 0.1).
    Class {
        /// Nobody announced it.
        Breakdown = "BREAKDOWN",
        /// Announced work.
        Planned = "PLANNED",
        /// Announced load shedding by roster.
        ScheduledRostering = "SCHEDULED_ROSTERING",
        /// Load shedding that was ordered at short notice.
        EmergencyRostering = "EMERGENCY_ROSTERING",
    }
);

/// A row of the `planned_outages` file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Planned {
    /// The node that is switched off.
    pub node: NodeId,
    /// Planned begin and end.
    pub span: Span,
    /// Its class; never [`Class::Breakdown`].
    pub class: Class,
}
