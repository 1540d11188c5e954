//! MQTT topics: who publishes what (CONTRACT section 1).

use std::fmt;

use crate::{GatewayId, IdError, MeterId};

/// Who sent a publish, as its topic says.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Publisher {
    /// A meter, for itself only.
    Meter(MeterId),
    /// An HES or data concentrator, for the meters enrolled behind it.
    Gateway(GatewayId),
}

impl fmt::Display for Publisher {
    /// `meter:MH01000123` or `gateway:G7`: the `source` column of the tables.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Meter(meter) => write!(f, "meter:{meter}"),
            Self::Gateway(gateway) => write!(f, "gateway:{gateway}"),
        }
    }
}

/// Last level of a topic. Both carry the same payload; events overtake reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Leaf {
    /// Interval and register reads.
    Reads,
    /// Power events.
    Events,
}

/// A publish topic of the contract: `ami/v1/meters/{meter_id}/reads` and the like.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Topic {
    /// Who publishes.
    pub publisher: Publisher,
    /// What.
    pub leaf: Leaf,
}

/// Why a topic is none of the contract's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// Its form is another.
    #[error(
        "topic is none of ami/v1/meters/{{meter_id}}/{{reads|events}} and ami/v1/gateways/{{gateway_id}}/{{reads|events}}"
    )]
    Form,
    /// Its id level is not an id.
    #[error("topic names no valid publisher")]
    Id(#[source] IdError),
}

impl Topic {
    /// Parses a topic name.
    ///
    /// # Errors
    /// [`TopicError`] when it is none of the contract's.
    pub fn parse(topic: &str) -> Result<Self, TopicError> {
        let mut levels = topic.split('/');
        let mut level = || levels.next().unwrap_or_default();
        let (root, version, kind, id, leaf, rest) =
            (level(), level(), level(), level(), level(), levels.next());
        if root != "ami" || version != "v1" || rest.is_some() {
            return Err(TopicError::Form);
        }
        let leaf = match leaf {
            "reads" => Leaf::Reads,
            "events" => Leaf::Events,
            _ => return Err(TopicError::Form),
        };
        let publisher = match kind {
            "meters" => Publisher::Meter(MeterId::parse(id).map_err(TopicError::Id)?),
            "gateways" => Publisher::Gateway(GatewayId::parse(id).map_err(TopicError::Id)?),
            _ => return Err(TopicError::Form),
        };
        Ok(Self { publisher, leaf })
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let leaf = match self.leaf {
            Leaf::Reads => "reads",
            Leaf::Events => "events",
        };
        match &self.publisher {
            Publisher::Meter(meter) => write!(f, "ami/v1/meters/{meter}/{leaf}"),
            Publisher::Gateway(gateway) => write!(f, "ami/v1/gateways/{gateway}/{leaf}"),
        }
    }
}

#[cfg(test)]
mod tests;
