//! One rumqttc client of either version behind one face.
//!
//! A client is made for one connection and thrown away with it: a session of rumqttc that is not resumed drops what was pending, so
//! nothing is left to it. `outgoing_inflight_upper_limit` is set, since rumqttc allocates its slots up front.

use std::time::Duration;

use gridtally_schemas::wire::Encoding;
use rumqttc::{
    Outgoing,
    v5::mqttbytes::v5::{PubAckReason, PublishProperties},
};

use super::{PublishConfig, Version, compose::Message};

/// Largest packet either way, bytes.
const PACKET_BYTES_MAX: usize = 16 << 20;
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// What the broker says of a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Stored.
    Stored,
    /// Not now: send it again later.
    Later,
    /// Never.
    Refused,
}

/// What is seen on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Connected,
    /// The oldest publish not yet seen as sent was given this packet id.
    Sent(u16),
    Acked(u16, Answer),
    Other,
}

/// The side to publish on.
#[derive(Debug)]
pub(super) enum Client {
    V311(rumqttc::AsyncClient),
    V5(rumqttc::v5::AsyncClient),
}

/// The side to poll. A poll is never cancelled: rumqttc may lose a packet that it is writing.
pub(super) enum Link {
    V311(Box<rumqttc::EventLoop>),
    V5(Box<rumqttc::v5::EventLoop>),
}

/// A client that connects at its first poll.
pub(super) fn open(config: &PublishConfig, client_id: &str) -> (Client, Link) {
    // The window is ours to keep; twice its packet ids tolerate acknowledgements out of order.
    let slots = config.in_flight.saturating_mul(2).max(2);
    let queue = usize::from(slots);
    match config.version {
        Version::V311 => {
            let mut options = rumqttc::MqttOptions::new(client_id, config.host.as_str(), config.port);
            options
                .set_keep_alive(KEEP_ALIVE)
                .set_clean_session(true)
                .set_inflight(slots);
            options.set_max_packet_size(PACKET_BYTES_MAX, PACKET_BYTES_MAX);
            if let Some((user, password)) = &config.credentials {
                options.set_credentials(user, password);
            }
            let (client, link) = rumqttc::AsyncClient::new(options, queue);
            (Client::V311(client), Link::V311(Box::new(link)))
        }
        Version::V5 => {
            let mut options = rumqttc::v5::MqttOptions::new(client_id, config.host.as_str(), config.port);
            options
                .set_keep_alive(KEEP_ALIVE)
                .set_clean_start(true)
                .set_outgoing_inflight_upper_limit(slots);
            if let Some((user, password)) = &config.credentials {
                options.set_credentials(user, password);
            }
            let (client, link) = rumqttc::v5::AsyncClient::new(options, queue);
            (Client::V5(client), Link::V5(Box::new(link)))
        }
    }
}

impl Client {
    /// Hands a publish over; `false` when the queue is full, which the window rules out.
    pub(super) fn publish(&self, message: &Message) -> bool {
        let (topic, payload) = (message.topic.clone(), message.payload.clone());
        match self {
            Self::V311(client) => client
                .try_publish(topic, rumqttc::QoS::AtLeastOnce, false, payload)
                .is_ok(),
            Self::V5(client) => {
                let properties = PublishProperties {
                    content_type: Some(content_type(message.encoding).to_owned()),
                    ..PublishProperties::default()
                };
                let qos = rumqttc::v5::mqttbytes::QoS::AtLeastOnce;
                client
                    .try_publish_with_properties(topic, qos, false, payload, properties)
                    .is_ok()
            }
        }
    }

    /// Asks for a clean end; it takes effect as the link is polled on.
    pub(super) fn disconnect(&self) {
        // A full queue or a dead link needs no farewell.
        let _ = match self {
            Self::V311(client) => client.try_disconnect().is_ok(),
            Self::V5(client) => client.try_disconnect().is_ok(),
        };
    }
}

const fn content_type(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Json => "application/json",
        Encoding::ArrowStream => "application/vnd.apache.arrow.stream",
        Encoding::Protobuf => "application/x-protobuf",
    }
}

impl Link {
    /// What is seen next; the error ends the connection and says why.
    pub(super) async fn next(mut self) -> (Self, Result<Seen, String>) {
        let seen = match &mut self {
            Self::V311(link) => link
                .poll()
                .await
                .map(|event| seen_v311(&event))
                .map_err(|error| error.to_string()),
            Self::V5(link) => link
                .poll()
                .await
                .map(|event| seen_v5(&event))
                .map_err(|error| error.to_string()),
        };
        (self, seen)
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "foreign enums; all else means nothing to a publisher"
)]
fn seen_v311(event: &rumqttc::Event) -> Seen {
    match event {
        rumqttc::Event::Incoming(rumqttc::Packet::ConnAck(_)) => Seen::Connected,
        rumqttc::Event::Incoming(rumqttc::Packet::PubAck(ack)) => Seen::Acked(ack.pkid, Answer::Stored),
        rumqttc::Event::Outgoing(Outgoing::Publish(packet)) => Seen::Sent(*packet),
        _ => Seen::Other,
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "foreign enums; all else means nothing to a publisher"
)]
fn seen_v5(event: &rumqttc::v5::Event) -> Seen {
    use rumqttc::v5::{Event, mqttbytes::v5::Packet};
    match event {
        Event::Incoming(Packet::ConnAck(_)) => Seen::Connected,
        Event::Incoming(Packet::PubAck(ack)) => Seen::Acked(ack.pkid, answer(ack.reason)),
        Event::Outgoing(Outgoing::Publish(packet)) => Seen::Sent(*packet),
        _ => Seen::Other,
    }
}

const fn answer(reason: PubAckReason) -> Answer {
    match reason {
        PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Answer::Stored,
        PubAckReason::UnspecifiedError
        | PubAckReason::ImplementationSpecificError
        | PubAckReason::PacketIdentifierInUse
        | PubAckReason::QuotaExceeded => Answer::Later,
        PubAckReason::NotAuthorized | PubAckReason::TopicNameInvalid | PubAckReason::PayloadFormatInvalid => {
            Answer::Refused
        }
    }
}
