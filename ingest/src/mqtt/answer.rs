//! Packets that gridtally sends, appended to the connection's outgoing bytes.

use super::{MqttConfig, packet::Version, reason::Reason};

/// Kind of an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Acknowledgement {
    /// PUBACK (QoS 1).
    Puback,
    /// PUBREC (QoS 2, the durable promise).
    Pubrec,
    /// PUBCOMP (QoS 2, the end).
    Pubcomp,
}

/// PUBACK, PUBREC or PUBCOMP. A 3.1.1 client is told no reason.
pub(super) fn acknowledge(
    kind: Acknowledgement,
    packet_id: u16,
    reason: Reason,
    version: Version,
    out: &mut Vec<u8>,
) {
    let first = match kind {
        Acknowledgement::Puback => 0x40,
        Acknowledgement::Pubrec => 0x50,
        Acknowledgement::Pubcomp => 0x70,
    };
    let [high, low] = packet_id.to_be_bytes();
    if version == Version::V311 || reason == Reason::Success {
        out.extend_from_slice(&[first, 2, high, low]);
    } else {
        out.extend_from_slice(&[first, 3, high, low, reason.code()]);
    }
}

/// A CONNACK that refuses.
pub(super) fn refuse_connect(reason: Reason, version: Version, out: &mut Vec<u8>) {
    match version {
        Version::V311 => out.extend_from_slice(&[0x20, 2, 0, reason.connack_v311()]),
        Version::V5 => out.extend_from_slice(&[0x20, 3, 0, reason.code(), 0]),
    }
}

/// What an MQTT 5 client is told when it is accepted.
#[derive(Debug)]
pub(super) struct Welcome<'a> {
    /// The endpoint's bounds.
    pub(super) config: &'a MqttConfig,
    /// The client id that a client without one was given.
    pub(super) assigned_client_id: Option<&'a str>,
    /// The keep-alive that holds instead of the client's own, seconds.
    pub(super) server_keep_alive_seconds: Option<u16>,
    /// Whether the client asked for its session to be kept, which it is not.
    pub(super) asked_for_session: bool,
}

/// A CONNACK that accepts; the session is never present.
pub(super) fn accept_connect(welcome: &Welcome<'_>, version: Version, out: &mut Vec<u8>) {
    if version == Version::V311 {
        out.extend_from_slice(&[0x20, 2, 0, 0]);
        return;
    }
    let config = welcome.config;
    let mut properties = Vec::with_capacity(64);
    if welcome.asked_for_session {
        properties.extend_from_slice(&[0x11, 0, 0, 0, 0]);
    }
    push_u16(0x21, config.receive_maximum.get(), &mut properties);
    // Retained messages, wildcard, identified and shared subscriptions: none of them.
    properties.extend_from_slice(&[0x25, 0, 0x28, 0, 0x29, 0, 0x2A, 0]);
    properties.push(0x27);
    let packet_bytes_max = u32::try_from(config.packet_bytes_max).unwrap_or(u32::MAX);
    properties.extend_from_slice(&packet_bytes_max.to_be_bytes());
    push_u16(0x22, config.topic_alias_maximum, &mut properties);
    if let Some(seconds) = welcome.server_keep_alive_seconds {
        push_u16(0x13, seconds, &mut properties);
    }
    if let Some(client_id) = welcome.assigned_client_id {
        push_u16(0x12, u16::try_from(client_id.len()).unwrap_or(0), &mut properties);
        properties.extend_from_slice(client_id.as_bytes());
    }
    out.push(0x20);
    push_length(2 + length_bytes(properties.len()) + properties.len(), out);
    out.extend_from_slice(&[0, 0]);
    push_length(properties.len(), out);
    out.extend_from_slice(&properties);
}

/// SUBACK: every filter is refused.
pub(super) fn refuse_subscribe(packet_id: u16, filters: usize, version: Version, out: &mut Vec<u8>) {
    let code = match version {
        Version::V311 => 0x80,
        Version::V5 => Reason::NotAuthorized.code(),
    };
    subscription_answer(0x90, packet_id, (filters, code), version, out);
}

/// UNSUBACK: no filter had a subscription (0x11, MQTT 5 only).
pub(super) fn answer_unsubscribe(packet_id: u16, filters: usize, version: Version, out: &mut Vec<u8>) {
    let filters = if version == Version::V5 { filters } else { 0 };
    subscription_answer(0xB0, packet_id, (filters, 0x11), version, out);
}

fn subscription_answer(first: u8, packet_id: u16, codes: (usize, u8), version: Version, out: &mut Vec<u8>) {
    let (count, code) = codes;
    let properties: &[u8] = if version == Version::V5 { &[0] } else { &[] };
    out.push(first);
    push_length(2 + properties.len() + count, out);
    out.extend_from_slice(&packet_id.to_be_bytes());
    out.extend_from_slice(properties);
    out.resize(out.len() + count, code);
}

/// PINGRESP.
pub(super) fn pong(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0xD0, 0]);
}

/// DISCONNECT; a 3.1.1 server has none, its connection just ends.
pub(super) fn disconnect(reason: Reason, version: Version, out: &mut Vec<u8>) {
    if version == Version::V5 {
        out.extend_from_slice(&[0xE0, 1, reason.code()]);
    }
}

fn push_u16(id: u8, value: u16, out: &mut Vec<u8>) {
    let [high, low] = value.to_be_bytes();
    out.extend_from_slice(&[id, high, low]);
}

const fn length_bytes(length: usize) -> usize {
    match length {
        0..128 => 1,
        128..16_384 => 2,
        16_384..2_097_152 => 3,
        _ => 4,
    }
}

/// A variable byte integer; all lengths here are far below its limit of 256 MiB.
fn push_length(length: usize, out: &mut Vec<u8>) {
    let mut rest = length;
    loop {
        let byte = u8::try_from(rest & 0x7F).unwrap_or(0);
        rest >>= 7;
        if rest == 0 {
            out.push(byte);
            return;
        }
        out.push(byte | 0x80);
    }
}
