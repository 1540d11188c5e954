//! Bytes that no client would send.

use tokio::io::AsyncWriteExt;

use crate::support::*;

/// A small generator of our own (Steele, Lea and Flood, SplitMix64), so that a seed replays a failure.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_may_come_byte_by_byte() {
    let endpoint = Endpoint::start().await;
    for version in [V311, V5] {
        let mut client = endpoint.raw(version).await;
        let mut bytes = connect(version, "slow", 60);
        bytes.extend(publish(version, 1, 1, TOPIC, PAYLOAD));
        bytes.extend(publish(version, 2, 2, TOPIC, PAYLOAD));
        bytes.extend([0xC0, 0]);
        for byte in bytes {
            client.send(&[byte]).await;
            tokio::task::yield_now().await;
        }
        let mut answers = Vec::new();
        for _ in 0..4 {
            answers.push(client.packet().await.unwrap()[0]);
        }
        answers.sort_unstable();
        assert_eq!(answers, [0x20, 0x40, 0x50, 0xD0]);
    }
    assert_eq!(endpoint.records().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_cut_off_anywhere_stores_nothing() {
    let endpoint = Endpoint::start().await;
    for version in [V311, V5] {
        let bytes = publish(version, 1, 1, TOPIC, PAYLOAD);
        for length in 0..bytes.len() {
            let mut client = endpoint.client(version, "cut").await;
            client.send(&bytes[..length]).await;
            client.stream.shutdown().await.unwrap();
            client.assert_closed().await;
        }
    }
    assert!(endpoint.records().is_empty());
    endpoint.assert_serves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn random_bytes_end_their_own_connection_and_nothing_else() {
    let endpoint = Endpoint::start().await;
    let mut witness = endpoint.client(V5, "witness").await;
    let mut random = Random(20_260_401);
    for round in 0..1_000_u16 {
        let version = if round % 2 == 0 { V311 } else { V5 };
        let mut client = if round % 3 == 0 {
            endpoint.raw(version).await
        } else {
            endpoint.client(version, "random").await
        };
        let length = random.below(300);
        let garbage = random.bytes(length);
        // It may be cut off while it still sends.
        let _ = client.stream.write_all(&garbage).await;
        let _ = client.stream.shutdown().await;
        while client.packet().await.is_some() {}
        if round % 100 == 0 {
            witness.publish(1, round + 1, TOPIC, PAYLOAD).await;
            assert_eq!(witness.packet().await.unwrap()[0], 0x40);
        }
    }
    endpoint.assert_serves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_with_flipped_bytes_do_no_harm() {
    let endpoint = Endpoint::start().await;
    let mut random = Random(7);
    for round in 0..1_000 {
        let version = if round % 2 == 0 { V311 } else { V5 };
        let mut bytes = connect(version, "flipped", 60);
        for id in 1..=3 {
            bytes.extend(publish_or_not(version, id));
        }
        for _ in 0..=random.below(3) {
            let at = random.below(bytes.len());
            bytes[at] = random.bytes(1)[0];
        }
        let mut client = endpoint.raw(version).await;
        let _ = client.stream.write_all(&bytes).await;
        let _ = client.stream.shutdown().await;
        while client.packet().await.is_some() {}
    }
    endpoint.assert_serves().await;
}

fn publish_or_not(version: Version, id: u16) -> Vec<u8> {
    match id {
        1 => publish_with(version, (2, id), TOPIC, &[0x23, 0, 1, 0x03, 0, 1, b'x'], PAYLOAD),
        2 => [packet(0x62, &[0, 1]), packet(0x82, b"\0\x05\0\x01a\0")].concat(),
        _ => publish(version, 1, id, TOPIC, PAYLOAD),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_half_open_connections_keep_nobody_out() {
    let endpoint = Endpoint::start_with(|settings| settings.mqtt.half_open_max = 64).await;
    let mut half_open = Vec::new();
    for _ in 0..400 {
        half_open.push(endpoint.raw(V5).await);
    }
    for round in 0..6 {
        // The older ones have been closed by the other side; their descriptors come free here.
        half_open.drain(..100);
        for _ in 0..100 {
            half_open.push(endpoint.raw(V5).await);
        }
        let mut client = endpoint.client(V5, "late").await;
        client.publish(1, 1, TOPIC, PAYLOAD).await;
        assert_eq!(client.packet().await.unwrap(), [0x40, 2, 0, 1], "round {round}");
    }
    endpoint.assert_serves().await;
}
