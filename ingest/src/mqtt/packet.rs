//! Packets that a client sends, read in place: a [`Packet`] borrows the connection's buffer, nothing is copied or allocated.
//!
//! Reading is total: any bytes give a packet, a wish for more bytes, or one [`Violation`]. Section numbers are those of the
//! OASIS MQTT 5.0 standard; what differs in 3.1.1 is said.

use super::{
    reader::{Properties, Reader},
    reason::Reason,
};

/// Version of the protocol that a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// MQTT 3.1.1 (protocol level 4).
    V311,
    /// MQTT 5.0 (protocol level 5).
    V5,
}

/// A breach of the protocol: the connection ends, an MQTT 5 client hears the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Violation {
    /// What an MQTT 5 client is told.
    pub(super) reason: Reason,
    /// What was wrong, for the log.
    pub(super) detail: &'static str,
}

impl Violation {
    pub(super) const fn malformed(detail: &'static str) -> Self {
        Self {
            reason: Reason::MalformedPacket,
            detail,
        }
    }

    pub(super) const fn protocol(detail: &'static str) -> Self {
        Self {
            reason: Reason::ProtocolError,
            detail,
        }
    }
}

/// Level of delivery.
#[expect(clippy::enum_variant_names, reason = "the names of the standard")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Qos {
    /// 0: no acknowledgement, no promise.
    AtMostOnce,
    /// 1: PUBACK.
    AtLeastOnce,
    /// 2: PUBREC, PUBREL, PUBCOMP.
    ExactlyOnce,
}

/// What stands at the beginning of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    /// Not yet a whole packet; it will have `length` bytes, or its length is not yet known (0).
    Partial {
        /// Length of the whole packet, bytes.
        length: usize,
    },
    /// A whole packet.
    Whole {
        /// First byte: type and flags.
        first: u8,
        /// What follows the fixed header.
        body: &'a [u8],
        /// Length of the whole packet, bytes.
        length: usize,
    },
}

/// Reads the fixed header (section 2.1). A packet longer than `bytes_max` is refused by its header, before its bytes are kept.
pub(super) fn frame(bytes: &[u8], bytes_max: usize) -> Result<Frame<'_>, Violation> {
    let Some((first, rest)) = bytes.split_first() else {
        return Ok(Frame::Partial { length: 0 });
    };
    let mut reader = Reader::new(rest);
    let remaining = match reader.variable_length() {
        Ok(remaining) => remaining,
        // Four bytes always suffice: with fewer, more may come.
        Err(_) if rest.len() < 4 => return Ok(Frame::Partial { length: 0 }),
        Err(violation) => return Err(violation),
    };
    let length = bytes.len() - reader.rest().len() + remaining;
    if length > bytes_max {
        return Err(Violation {
            reason: Reason::PacketTooLarge,
            detail: "packet is longer than the maximum packet size",
        });
    }
    Ok(match reader.rest().get(..remaining) {
        Some(body) => Frame::Whole {
            first: *first,
            body,
            length,
        },
        None => Frame::Partial { length },
    })
}

/// A CONNECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Connect<'a> {
    /// The version it speaks.
    pub(super) version: Version,
    /// Its name for itself; may be empty.
    pub(super) client_id: &'a str,
    /// Clean Session (3.1.1) or Clean Start (5).
    pub(super) clean: bool,
    /// Seconds within which it promises to send something; 0: no promise.
    pub(super) keep_alive_seconds: u16,
    /// Whether it has a will, which is read and ignored.
    pub(super) has_will: bool,
    /// Seconds for which it asks the session to be kept; 0 in 3.1.1.
    pub(super) session_expiry_seconds: u32,
    /// Its user name.
    pub(super) user_name: Option<&'a str>,
    /// Its password.
    pub(super) password: Option<&'a [u8]>,
    /// Whether it wants an extended authentication, which is not offered.
    pub(super) has_authentication_method: bool,
}

/// Why a CONNECT is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectError {
    /// It is none.
    Violation(Violation),
    /// It speaks another version; newer than 5 or older than 3.1.1.
    Version {
        /// Whether it is newer than 5.
        newer: bool,
    },
}

impl From<Violation> for ConnectError {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

/// Reads the first packet of a connection (section 3.1).
pub(super) fn connect(first: u8, body: &[u8]) -> Result<Connect<'_>, ConnectError> {
    if first != 0x10 {
        return Err(Violation::protocol("first packet is no CONNECT").into());
    }
    let mut reader = Reader::new(body);
    let name = reader.binary()?;
    let level = reader.byte()?;
    let version = match (name, level) {
        (b"MQTT", 4) => Version::V311,
        (b"MQTT", 5) => Version::V5,
        (b"MQTT", 6..) => return Err(ConnectError::Version { newer: true }),
        (b"MQTT" | b"MQIsdp", _) => return Err(ConnectError::Version { newer: false }),
        _ => return Err(Violation::protocol("protocol name is not MQTT").into()),
    };
    let flags = ConnectFlags::parse(reader.byte()?, version)?;
    let keep_alive_seconds = reader.u16()?;
    let mut session_expiry_seconds = 0;
    let mut has_authentication_method = false;
    if version == Version::V5 {
        let properties = Properties::parse(&mut reader, Properties::OF_CONNECT)?;
        session_expiry_seconds = properties.session_expiry_seconds.unwrap_or(0);
        has_authentication_method = properties.has_authentication_method;
    }
    let client_id = reader.text()?;
    if flags.will {
        if version == Version::V5 {
            Properties::parse(&mut reader, Properties::OF_WILL)?;
        }
        reader.text()?;
        reader.binary()?;
    }
    let user_name = flags.user_name.then(|| reader.text()).transpose()?;
    let password = flags.password.then(|| reader.binary()).transpose()?;
    reader.end("CONNECT has bytes after its end")?;
    Ok(Connect {
        version,
        client_id,
        clean: flags.clean,
        keep_alive_seconds,
        has_will: flags.will,
        session_expiry_seconds,
        user_name,
        password,
        has_authentication_method,
    })
}

/// Connect flags (section 3.1.2.3).
struct ConnectFlags {
    clean: bool,
    will: bool,
    user_name: bool,
    password: bool,
}

impl ConnectFlags {
    fn parse(bits: u8, version: Version) -> Result<Self, Violation> {
        let flag = |bit: u8| bits & (1 << bit) != 0;
        let flags = Self {
            clean: flag(1),
            will: flag(2),
            user_name: flag(7),
            password: flag(6),
        };
        let will_qos = (bits >> 3) & 3;
        if flag(0) {
            return Err(Violation::malformed("reserved connect flag is set"));
        }
        if will_qos == 3 || (!flags.will && (will_qos > 0 || flag(5))) {
            return Err(Violation::malformed("will flags contradict each other"));
        }
        if version == Version::V311 && flags.password && !flags.user_name {
            return Err(Violation::malformed("password without user name"));
        }
        Ok(flags)
    }
}

/// A PUBLISH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Publish<'a> {
    /// Level of delivery.
    pub(super) qos: Qos,
    /// Its number within the connection; 0 at QoS 0.
    pub(super) packet_id: u16,
    /// Its topic; empty: the alias stands for it.
    pub(super) topic: &'a str,
    /// Topic alias, not yet checked against the maximum.
    pub(super) topic_alias: Option<u16>,
    /// Content type.
    pub(super) content_type: Option<&'a str>,
    /// Its payload.
    pub(super) payload: &'a [u8],
}

/// A packet after CONNECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packet<'a> {
    /// PUBLISH.
    Publish(Publish<'a>),
    /// PUBREL.
    Release {
        /// Packet id of the QoS 2 publish that it releases.
        packet_id: u16,
    },
    /// SUBSCRIBE.
    Subscribe {
        /// Its packet id.
        packet_id: u16,
        /// Number of topic filters.
        filters: usize,
    },
    /// UNSUBSCRIBE.
    Unsubscribe {
        /// Its packet id.
        packet_id: u16,
        /// Number of topic filters.
        filters: usize,
    },
    /// PINGREQ.
    Ping,
    /// DISCONNECT.
    Disconnect,
}

/// Reads a packet after CONNECT.
pub(super) fn packet(first: u8, body: &[u8], version: Version) -> Result<Packet<'_>, Violation> {
    let mut reader = Reader::new(body);
    // Types and their fixed flags: section 2.1.2 and 2.1.3.
    match first {
        0x30..=0x3F => publish(first, &mut reader, version).map(Packet::Publish),
        0x62 => acknowledgement(&mut reader, version).map(|packet_id| Packet::Release { packet_id }),
        0x82 => {
            let packet_id = subscription_head(&mut reader, version)?;
            let mut filters = 0;
            while !reader.rest().is_empty() {
                reader.text()?;
                let options = reader.byte()?;
                let reserved = if version == Version::V5 { 0xC0 } else { 0xFC };
                if options & 3 == 3 || options & reserved != 0 {
                    return Err(Violation::malformed("subscription options are invalid"));
                }
                filters += 1;
            }
            some_filters(filters)?;
            Ok(Packet::Subscribe { packet_id, filters })
        }
        0xA2 => {
            let packet_id = subscription_head(&mut reader, version)?;
            let mut filters = 0;
            while !reader.rest().is_empty() {
                reader.text()?;
                filters += 1;
            }
            some_filters(filters)?;
            Ok(Packet::Unsubscribe { packet_id, filters })
        }
        0xC0 => reader.end("PINGREQ has a body").map(|()| Packet::Ping),
        0xE0 => disconnect(&mut reader, version).map(|()| Packet::Disconnect),
        0x10..=0x1F => Err(Violation::protocol("second CONNECT")),
        0xF0 if version == Version::V5 => Err(Violation::protocol("AUTH without an authentication method")),
        0x40 | 0x50 | 0x70 => Err(Violation::protocol(
            "acknowledgement of a publish that was never sent",
        )),
        _ => Err(Violation::malformed("packet type or its flags are invalid")),
    }
}

fn publish<'a>(first: u8, reader: &mut Reader<'a>, version: Version) -> Result<Publish<'a>, Violation> {
    let qos = match (first >> 1) & 3 {
        0 => Qos::AtMostOnce,
        1 => Qos::AtLeastOnce,
        2 => Qos::ExactlyOnce,
        _ => return Err(Violation::malformed("QoS 3")),
    };
    let topic = reader.text()?;
    let packet_id = match qos {
        Qos::AtMostOnce => 0,
        Qos::AtLeastOnce | Qos::ExactlyOnce => packet_id(reader)?,
    };
    let (mut topic_alias, mut content_type) = (None, None);
    if version == Version::V5 {
        let properties = Properties::parse(reader, Properties::OF_PUBLISH)?;
        (topic_alias, content_type) = (properties.topic_alias, properties.content_type);
    }
    if topic.is_empty() && topic_alias.is_none() {
        return Err(Violation::protocol("neither topic nor topic alias"));
    }
    Ok(Publish {
        qos,
        packet_id,
        topic,
        topic_alias,
        content_type,
        payload: reader.rest(),
    })
}

fn packet_id(reader: &mut Reader<'_>) -> Result<u16, Violation> {
    match reader.u16()? {
        0 => Err(Violation::protocol("packet id is 0")),
        id => Ok(id),
    }
}

/// PUBREL (section 3.6): packet id, and in MQTT 5 perhaps a reason code and properties.
fn acknowledgement(reader: &mut Reader<'_>, version: Version) -> Result<u16, Violation> {
    let id = packet_id(reader)?;
    if version == Version::V5 && !reader.rest().is_empty() {
        reader.byte()?;
        if !reader.rest().is_empty() {
            Properties::parse(reader, Properties::OF_ACKNOWLEDGEMENT)?;
        }
    }
    reader.end("PUBREL has bytes after its end")?;
    Ok(id)
}

fn disconnect(reader: &mut Reader<'_>, version: Version) -> Result<(), Violation> {
    if version == Version::V5 && !reader.rest().is_empty() {
        reader.byte()?;
        if !reader.rest().is_empty() {
            Properties::parse(reader, Properties::OF_DISCONNECT)?;
        }
    }
    reader.end("DISCONNECT has bytes after its end")
}

fn subscription_head(reader: &mut Reader<'_>, version: Version) -> Result<u16, Violation> {
    let id = packet_id(reader)?;
    if version == Version::V5 {
        Properties::parse(reader, Properties::OF_SUBSCRIPTION)?;
    }
    Ok(id)
}

const fn some_filters(filters: usize) -> Result<(), Violation> {
    match filters {
        0 => Err(Violation::protocol("no topic filter")),
        _ => Ok(()),
    }
}
