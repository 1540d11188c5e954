//! A stock MQTT publisher (rumqttc): publishes at QoS 1 and waits for every PUBACK.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use rumqttc::{Client, Event, MqttOptions, Outgoing, Packet, QoS};

/// Publishes `messages` (topic, payload) over one MQTT 3.1.1 connection; returns when each is acknowledged.
pub fn publish_all(broker: SocketAddr, client_id: &str, messages: Vec<(String, Vec<u8>)>) {
    let mut options = MqttOptions::new(client_id, broker.ip().to_string(), broker.port());
    options.set_keep_alive(Duration::from_secs(30));
    options.set_inflight(100);
    options.set_max_packet_size(16 << 20, 16 << 20);
    let total = messages.len();
    let (client, mut connection) = Client::new(options, 100);
    let feeder = std::thread::spawn(move || {
        for (topic, payload) in messages {
            client.publish(topic, QoS::AtLeastOnce, false, payload).unwrap();
        }
        client
    });
    let mut acknowledged = 0;
    for event in connection.iter() {
        match event.unwrap() {
            Event::Incoming(Packet::PubAck(_)) => acknowledged += 1,
            Event::Outgoing(Outgoing::Disconnect) => break,
            _ => {}
        }
        if acknowledged == total {
            break;
        }
    }
    assert_eq!(acknowledged, total);
    drop(feeder.join().unwrap());
}

/// A message of [`publish_with_retries`].
#[derive(Debug)]
pub struct Message {
    pub topic: String,
    pub payload: Vec<u8>,
    /// Set by the PUBACK, the moment that it was read.
    pub acknowledged: AtomicBool,
}

/// Publishes `messages` at QoS 1 over MQTT 3.1.1 until each is acknowledged, through as many ends of the connection as there
/// are: what was not acknowledged is sent again.
pub fn publish_with_retries(broker: SocketAddr, client_id: &str, messages: &[Message]) {
    const WINDOW: usize = 8;
    let waits = |message: &Message| !message.acknowledged.load(Ordering::SeqCst);
    while messages.iter().any(waits) {
        let Ok(mut session) = Session::connect(broker, client_id) else {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        let open: Vec<(u16, &Message)> = (1..=60_000)
            .cycle()
            .zip(messages.iter().filter(|message| waits(message)))
            .collect();
        let (mut sent, mut answered) = (0, 0);
        while answered < open.len() {
            while let Some((id, message)) = open.get(sent).filter(|_| sent - answered < WINDOW) {
                if session.publish(&message.topic, *id, &message.payload).is_err() {
                    break;
                }
                sent += 1;
            }
            let Ok(id) = session.puback() else { break };
            let (expected, message) = open[answered];
            assert_eq!(id, expected, "PUBACKs leave in the order of the publishes");
            message.acknowledged.store(true, Ordering::SeqCst);
            answered += 1;
        }
    }
}

/// A bare MQTT 3.1.1 connection.
struct Session(std::net::TcpStream);

impl Session {
    fn connect(broker: SocketAddr, client_id: &str) -> std::io::Result<Self> {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(broker)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut packet = vec![
            0x10,
            u8::try_from(12 + client_id.len()).unwrap(),
            0,
            4,
            b'M',
            b'Q',
            b'T',
            b'T',
            4,
            2,
            0,
            60,
        ];
        packet.extend_from_slice(&u16::try_from(client_id.len()).unwrap().to_be_bytes());
        packet.extend_from_slice(client_id.as_bytes());
        stream.write_all(&packet)?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer)?;
        assert_eq!(answer, [0x20, 2, 0, 0], "CONNACK");
        Ok(Self(stream))
    }

    fn publish(&mut self, topic: &str, id: u16, payload: &[u8]) -> std::io::Result<()> {
        use std::io::Write;
        let mut packet = vec![0x32];
        let mut length = 4 + topic.len() + payload.len();
        while length >= 128 {
            packet.push(u8::try_from(length % 128).unwrap() | 0x80);
            length /= 128;
        }
        packet.push(u8::try_from(length).unwrap());
        packet.extend_from_slice(&u16::try_from(topic.len()).unwrap().to_be_bytes());
        packet.extend_from_slice(topic.as_bytes());
        packet.extend_from_slice(&id.to_be_bytes());
        packet.extend_from_slice(payload);
        self.0.write_all(&packet)
    }

    fn puback(&mut self) -> std::io::Result<u16> {
        use std::io::Read;
        let mut packet = [0; 4];
        self.0.read_exact(&mut packet)?;
        assert_eq!(packet[..2], [0x40, 2], "PUBACK");
        Ok(u16::from_be_bytes([packet[2], packet[3]]))
    }
}
