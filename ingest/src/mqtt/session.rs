//! What one connection owes its client: acknowledgements in the order of the publishes, each only once its record is synced.
//!
//! Pure: no socket, no clock, no log. The driver tells it what was stored where and how far the log is synced; it says what to
//! send. It lives as long as its connection: no session outlives one (see the endpoint's documentation).

use std::collections::{HashMap, VecDeque};

use super::{
    MqttConfig,
    answer::{self, Acknowledgement},
    packet::{Publish, Qos, Version, Violation},
    reason::Reason,
};
use crate::{log::Position, metrics::Tally};

#[cfg(test)]
mod tests;

/// An acknowledgement that waits for its record, or for its turn.
#[derive(Debug, Clone, Copy)]
struct Pending {
    /// The record that must be synced first; 0: none.
    position: Position,
    packet_id: u16,
    kind: Acknowledgement,
    reason: Reason,
    /// Whether it ends an exchange that counts against the receive maximum.
    ends_exchange: bool,
}

/// Whether a publish is to be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is new.
    New,
    /// A QoS 2 publish that was stored before and is not yet released: it is acknowledged again and not stored again.
    Again,
}

/// A 3.1.1 client cannot be told that a publish is refused: its connection ends unacknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unacknowledged;

/// Room for this many waiting acknowledgements is kept while none wait.
const PENDING_KEPT: usize = 16;

/// State of one connection after its CONNECT.
#[derive(Debug)]
pub(super) struct Session {
    version: Version,
    receive_maximum: usize,
    topic_alias_maximum: u16,
    pending: VecDeque<Pending>,
    /// QoS 2 publishes between PUBLISH and PUBREL, with their records.
    unreleased: HashMap<u16, Position>,
    /// QoS 1 and 2 exchanges that the client has begun and that are not ended.
    exchanges: usize,
    topic_aliases: Vec<Option<Box<str>>>,
}

impl Session {
    pub(super) fn new(version: Version, config: &MqttConfig) -> Self {
        Self {
            version,
            receive_maximum: usize::from(config.receive_maximum.get()),
            topic_alias_maximum: config.topic_alias_maximum,
            pending: VecDeque::new(),
            unreleased: HashMap::new(),
            exchanges: 0,
            topic_aliases: Vec::new(),
        }
    }

    pub(super) const fn version(&self) -> Version {
        self.version
    }

    /// Whether nothing is owed.
    pub(super) fn is_settled(&self) -> bool {
        self.pending.is_empty()
    }

    /// Whether so many acknowledgements wait that nothing more is to be read: back-pressure. An MQTT 5 client has been told the
    /// receive maximum and is cut off for exceeding it, so for it the bound lies above that.
    pub(super) fn is_full(&self) -> bool {
        let bound = match self.version {
            Version::V311 => self.receive_maximum,
            Version::V5 => self.receive_maximum * 2,
        };
        self.pending.len() >= bound
    }

    /// The topic of a publish, through its alias where it has one (section 3.3.2.3.4).
    pub(super) fn topic<'a>(&'a mut self, publish: &Publish<'a>) -> Result<&'a str, Violation> {
        let Some(alias) = publish.topic_alias else {
            return Ok(publish.topic);
        };
        let invalid = |detail| Violation {
            reason: Reason::TopicAliasInvalid,
            detail,
        };
        if alias == 0 || alias > self.topic_alias_maximum {
            return Err(invalid("topic alias is 0 or above the maximum"));
        }
        let index = usize::from(alias) - 1;
        if !publish.topic.is_empty() {
            if self.topic_aliases.len() <= index {
                self.topic_aliases.resize(index + 1, None);
            }
            if let Some(known) = self.topic_aliases.get_mut(index)
                && known.as_deref() != Some(publish.topic)
            {
                *known = Some(Box::from(publish.topic));
            }
            return Ok(publish.topic);
        }
        match self.topic_aliases.get(index) {
            Some(Some(topic)) => Ok(topic),
            Some(None) | None => Err(Violation::protocol("topic alias was never set")),
        }
    }

    /// Begins the exchange of a publish.
    pub(super) fn admit(&mut self, publish: &Publish<'_>) -> Result<Admission, Violation> {
        if publish.qos == Qos::AtMostOnce {
            return Ok(Admission::New);
        }
        if publish.qos == Qos::ExactlyOnce
            && let Some(position) = self.unreleased.get(&publish.packet_id).copied()
        {
            self.owe(publish, position, Reason::Success, false);
            return Ok(Admission::Again);
        }
        let open = match self.version {
            Version::V5 => self.exchanges,
            // A 3.1.1 client knows no maximum; only what must be remembered for it is bounded.
            Version::V311 => self.unreleased.len(),
        };
        if open >= self.receive_maximum {
            return Err(Violation {
                reason: Reason::ReceiveMaximumExceeded,
                detail: "more publishes are unacknowledged than the receive maximum",
            });
        }
        self.exchanges += 1;
        Ok(Admission::New)
    }

    /// The publish was appended at `position`: it is acknowledged with `reason` once that is synced.
    pub(super) fn stored(&mut self, publish: &Publish<'_>, position: Position, reason: Reason) {
        // A 3.1.1 client hears no reason; to it, an undecodable publish is stored like any other.
        let ends =
            publish.qos == Qos::AtLeastOnce || (self.version == Version::V5 && reason != Reason::Success);
        if publish.qos == Qos::ExactlyOnce && !ends {
            self.unreleased.insert(publish.packet_id, position);
        }
        self.owe(publish, position, reason, ends);
    }

    /// The publish was not stored.
    pub(super) fn refused(&mut self, publish: &Publish<'_>, reason: Reason) -> Result<(), Unacknowledged> {
        match (publish.qos, self.version) {
            (Qos::AtMostOnce, Version::V311 | Version::V5) => Ok(()),
            (Qos::AtLeastOnce | Qos::ExactlyOnce, Version::V311) => Err(Unacknowledged),
            (Qos::AtLeastOnce | Qos::ExactlyOnce, Version::V5) => {
                self.owe(publish, Position(0), reason, true);
                Ok(())
            }
        }
    }

    fn owe(&mut self, publish: &Publish<'_>, position: Position, reason: Reason, ends_exchange: bool) {
        let kind = match publish.qos {
            Qos::AtMostOnce => return,
            Qos::AtLeastOnce => Acknowledgement::Puback,
            Qos::ExactlyOnce => Acknowledgement::Pubrec,
        };
        let packet_id = publish.packet_id;
        self.pending.push_back(Pending {
            position,
            packet_id,
            kind,
            reason,
            ends_exchange,
        });
    }

    /// PUBREL: answered by PUBCOMP in its turn, and never before the record is synced, whatever the client leaves out.
    pub(super) fn released(&mut self, packet_id: u16) {
        let position = self.unreleased.remove(&packet_id);
        self.pending.push_back(Pending {
            position: position.unwrap_or_default(),
            packet_id,
            kind: Acknowledgement::Pubcomp,
            reason: if position.is_some() {
                Reason::Success
            } else {
                Reason::PacketIdNotFound
            },
            ends_exchange: position.is_some(),
        });
    }

    /// The log is synced up to `synced`: appends the acknowledgements that are due to `out` (ACK-1).
    pub(super) fn on_synced(&mut self, synced: Position, out: &mut Vec<u8>, tally: &mut Tally) {
        while let Some(pending) = self.pending.pop_front_if(|pending| pending.position <= synced) {
            answer::acknowledge(pending.kind, pending.packet_id, pending.reason, self.version, out);
            if pending.ends_exchange {
                self.exchanges = self.exchanges.saturating_sub(1);
            }
            if pending.kind != Acknowledgement::Pubcomp {
                count(pending.reason, tally);
            }
        }
        if self.pending.is_empty() {
            self.pending.shrink_to(PENDING_KEPT);
            if self.unreleased.is_empty() {
                self.unreleased.shrink_to(0);
            }
        }
    }
}

fn count(reason: Reason, tally: &mut Tally) {
    match reason {
        Reason::Success => tally.acks_stored += 1,
        Reason::PayloadFormatInvalid => tally.acks_undecodable += 1,
        Reason::NotAuthorized => tally.acks_not_yours += 1,
        Reason::QuotaExceeded => tally.acks_log_full += 1,
        Reason::MalformedPacket
        | Reason::ProtocolError
        | Reason::ImplementationSpecificError
        | Reason::UnsupportedProtocolVersion
        | Reason::ClientIdNotValid
        | Reason::ServerUnavailable
        | Reason::ServerBusy
        | Reason::ServerShuttingDown
        | Reason::BadAuthenticationMethod
        | Reason::KeepAliveTimeout
        | Reason::SessionTakenOver
        | Reason::PacketIdNotFound
        | Reason::ReceiveMaximumExceeded
        | Reason::TopicAliasInvalid
        | Reason::BadUserNameOrPassword
        | Reason::PacketTooLarge => {}
    }
}
