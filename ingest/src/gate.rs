//! The gate: one publish, whoever brought it, becomes one log record or is refused.
//!
//! The MQTT endpoint and the subscriber share it. [`judge`] is pure: topic, enrolment, payload and time of receipt decide, and
//! nothing else. It is total (DEC-1): a payload that cannot be decoded is stored whole, with the reason, and ends in
//! `quarantine`. What the record says is who sent it (`meter:…`, `gateway:…`), never over which connection.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
};

use gridtally_schemas::{
    Clock, GatewayId, MeterId, Publish, UtcMicros, record,
    topic::{Publisher, Topic, TopicError},
    wire::{self, DecodeError, Encoding},
};

use crate::{log::Appender, metrics::IngestMetrics, publisher::Identity};

#[cfg(test)]
mod tests;

/// What every way in shares. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Gate {
    /// Appends to the log.
    pub appender: Appender,
    /// Says when a publish was received.
    pub clock: Clock,
    /// Which gateway may speak for which meters.
    pub enrolment: Arc<Enrolment>,
    /// Counts what came and how it was answered.
    pub metrics: Arc<IngestMetrics>,
}

/// Which gateway may speak for which meters. A gateway without entry, or with an empty list, may speak for any.
#[derive(Debug, Clone, Default)]
pub struct Enrolment {
    gateways: HashMap<GatewayId, HashSet<MeterId>>,
}

impl Enrolment {
    /// Enrols meters behind a gateway, beside those already there.
    pub fn enrol(&mut self, gateway: GatewayId, meters: impl IntoIterator<Item = MeterId>) {
        self.gateways.entry(gateway).or_default().extend(meters);
    }

    /// The first meter in `publish` for which `gateway` may not speak.
    fn stranger<'a>(&self, gateway: &GatewayId, publish: &'a Publish) -> Option<&'a str> {
        let enrolled = self
            .gateways
            .get(gateway)
            .filter(|enrolled| !enrolled.is_empty())?;
        publish
            .meters()
            .map(|span| span.meter_id)
            .find(|meter_id| !enrolled.contains(*meter_id))
    }
}

/// One publish, as it arrived.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// MQTT 5 content type. `None`: the client gave none, or speaks 3.1.1.
    pub content_type: Option<&'a str>,
    /// Its payload.
    pub payload: &'a [u8],
    /// When it was received.
    pub received_at: UtcMicros,
    /// Who its connection speaks for.
    pub identity: &'a Identity,
}

/// What becomes of a publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Decoded; the record holds it. Acknowledged with 0x00 when durable.
    Store,
    /// Not decodable; the record holds it whole, with the reason. Acknowledged with 0x99 when durable.
    StoreUndecodable,
    /// Not this publisher's topic or meter; there is no record. Answered with 0x87.
    NotYours(NotYours),
}

/// Why a publish is not its sender's to make.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotYours {
    /// The topic is none of the contract's.
    #[error("nobody publishes there")]
    Topic(#[source] TopicError),
    /// A connection publishes as somebody else.
    #[error("who is {identity} publishes as {publisher}")]
    OtherName {
        /// Its names.
        identity: String,
        /// The publisher of the topic, such as `meter:M1`.
        publisher: String,
    },
    /// A meter speaks for another.
    #[error("meter {publisher} speaks for meter {named}")]
    OtherMeter {
        /// The meter of the topic.
        publisher: String,
        /// The meter of the payload.
        named: String,
    },
    /// A gateway speaks for a meter that is not enrolled behind it.
    #[error("meter {meter} is not enrolled behind gateway {gateway}")]
    NotEnrolled {
        /// The gateway of the topic.
        gateway: GatewayId,
        /// The first such meter of the payload.
        meter: String,
    },
}

/// Judges one publish and writes its log record. `publish` and `record` are cleared first and keep their capacity; `publish` holds
/// what was decoded, and `record` is empty when nothing is to be stored.
pub fn judge(
    arrival: &Arrival<'_>,
    enrolment: &Enrolment,
    publish: &mut Publish,
    record: &mut Vec<u8>,
) -> Verdict {
    publish.clear();
    record.clear();
    let publisher = match Topic::parse(arrival.topic) {
        Ok(topic) => topic.publisher,
        Err(error) => return Verdict::NotYours(NotYours::Topic(error)),
    };
    if !arrival.identity.is(&publisher) {
        return Verdict::NotYours(NotYours::OtherName {
            identity: arrival.identity.to_string(),
            publisher: publisher.to_string(),
        });
    }
    let encoding = Encoding::detect(arrival.content_type, arrival.payload);
    if let Err(error) = wire::decode(encoding, arrival.payload, &publisher, publish) {
        publish.clear();
        return undecodable(arrival, &publisher, error, record);
    }
    if let Publisher::Gateway(gateway) = &publisher
        && let Some(meter) = enrolment.stranger(gateway, publish).map(str::to_owned)
    {
        publish.clear();
        return Verdict::NotYours(NotYours::NotEnrolled {
            gateway: gateway.clone(),
            meter,
        });
    }
    record::encode_publish(arrival.received_at, &publisher.to_string(), publish, record);
    Verdict::Store
}

fn undecodable(
    arrival: &Arrival<'_>,
    publisher: &Publisher,
    error: DecodeError,
    record: &mut Vec<u8>,
) -> Verdict {
    if let DecodeError::OtherMeter { publisher, named } = error {
        return Verdict::NotYours(NotYours::OtherMeter { publisher, named });
    }
    let texts = [
        arrival.topic,
        arrival.content_type.unwrap_or_default(),
        &Chain(&error).to_string(),
    ];
    record::encode_undecodable(
        arrival.received_at,
        &publisher.to_string(),
        texts,
        arrival.payload,
        record,
    );
    Verdict::StoreUndecodable
}

/// An error and what caused it, in one line: `payload names a meter with an invalid id: id is empty`.
struct Chain<'a>(&'a dyn std::error::Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
