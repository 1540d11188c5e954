//! Every bound is met by a test.

use std::{num::NonZeroU16, time::Duration};

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn exceeding_the_receive_maximum_ends_an_mqtt_5_connection() {
    for qos in [1, 2] {
        let endpoint = Endpoint::start_with(|settings| {
            settings.mqtt.receive_maximum = NonZeroU16::new(2).unwrap();
        })
        .await;
        let mut client = endpoint.client(V5, "c").await;
        endpoint.disk.hold();
        for id in 1..=2 {
            client.publish(qos, id, TOPIC, PAYLOAD).await;
        }
        client.assert_unanswered().await;
        client.publish(qos, 3, TOPIC, PAYLOAD).await;
        until("the third was seen", || {
            endpoint.metrics.totals().publishes_qos2 + endpoint.metrics.totals().publishes_qos1 == 2
        })
        .await;
        endpoint.disk.release();
        let first = if qos == 1 { 0x40 } else { 0x50 };
        assert_eq!(
            client.packet().await.unwrap(),
            [first, 2, 0, 1],
            "what was taken is still acknowledged"
        );
        assert_eq!(client.packet().await.unwrap(), [first, 2, 0, 2]);
        assert_eq!(client.packet().await.unwrap(), [0xE0, 1, 0x93]);
        client.assert_closed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_publishes_free_the_receive_maximum() {
    let endpoint = Endpoint::start_with(|settings| {
        settings.mqtt.receive_maximum = NonZeroU16::new(1).unwrap();
    })
    .await;
    let mut client = endpoint.client(V5, "c").await;
    for _ in 0..3 {
        client.publish(1, 1, TOPIC, PAYLOAD).await;
        assert_eq!(client.packet().await.unwrap(), [0x40, 2, 0, 1]);
        client.publish(2, 2, TOPIC, PAYLOAD).await;
        assert_eq!(client.packet().await.unwrap(), [0x50, 2, 0, 2]);
        client.send(&[0x62, 2, 0, 2]).await;
        assert_eq!(client.packet().await.unwrap(), [0x70, 2, 0, 2]);
        client.publish(1, 3, "elsewhere", PAYLOAD).await;
        assert_eq!(client.packet().await.unwrap(), [0x40, 3, 0, 3, 0x87]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_3_1_1_client_is_read_no_further_than_acknowledgements_may_wait() {
    let endpoint = Endpoint::start_with(|settings| {
        settings.mqtt.receive_maximum = NonZeroU16::new(4).unwrap();
    })
    .await;
    let mut client = endpoint.client(V311, "c").await;
    endpoint.disk.hold();
    let bytes: Vec<u8> = (1..=100)
        .flat_map(|id| publish(V311, 1, id, TOPIC, PAYLOAD))
        .collect();
    client.send(&bytes).await;
    until("the bound is reached", || {
        endpoint.metrics.totals().publishes_qos1 == 4
    })
    .await;
    endpoint.disk.release();
    for id in 1..=100 {
        assert_eq!(client.packet().await.unwrap(), [0x40, 2, 0, id]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_10_mb_publish_is_refused_by_its_header() {
    let endpoint = Endpoint::start().await;
    let header = [0x32, 0x80, 0xAD, 0xE2, 0x04];
    let mut five = endpoint.client(V5, "five").await;
    five.send(&header).await;
    assert_eq!(
        five.packet().await.unwrap(),
        [0xE0, 1, 0x95],
        "with nothing but the header sent"
    );
    five.assert_closed().await;
    let mut three = endpoint.client(V311, "three").await;
    three.send(&header).await;
    three.assert_closed().await;
    // A client that pushes on regardless.
    let mut client = endpoint.client(V5, "pushes").await;
    let large = publish(V5, 1, 1, TOPIC, &vec![b'x'; 10 << 20]);
    let _ = tokio::io::AsyncWriteExt::write_all(&mut client.stream, &large).await;
    endpoint.assert_serves().await;
    assert_eq!(endpoint.metrics.totals().protocol_errors, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_of_nearly_the_largest_size_is_taken() {
    let endpoint = Endpoint::start().await;
    for version in [V311, V5] {
        let mut client = endpoint.client(version, "c").await;
        let payload = [b"{".as_slice(), &vec![b'x'; (1 << 20) - 100]].concat();
        client.publish(1, 1, TOPIC, &payload).await;
        assert_eq!(
            client.packet().await.unwrap()[..4],
            [0x40, if version == V5 { 3 } else { 2 }, 0, 1]
        );
    }
    assert_eq!(endpoint.metrics.totals().undecodable, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_client_is_disconnected_after_one_and_a_half_keep_alives() {
    let endpoint = Endpoint::start().await;
    for version in [V311, V5] {
        let mut client = endpoint.raw(version).await;
        client.send(&connect(version, "c", 1)).await;
        client.packet().await.unwrap();
        let connected = std::time::Instant::now();
        if version == V5 {
            assert_eq!(client.packet().await.unwrap(), [0xE0, 1, 0x8D]);
        }
        client.assert_closed().await;
        assert!(connected.elapsed() > Duration::from_millis(1_400));
    }
    assert_eq!(endpoint.metrics.totals().timeouts, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_for_no_keep_alive_is_bounded_all_the_same() {
    let endpoint =
        Endpoint::start_with(|settings| settings.mqtt.keep_alive_max = Duration::from_secs(1)).await;
    let mut client = endpoint.raw(V311).await;
    client.send(&connect(V311, "c", 0)).await;
    client.packet().await.unwrap();
    client.assert_closed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_connect_is_closed_in_time() {
    let endpoint =
        Endpoint::start_with(|settings| settings.mqtt.connect_timeout = Duration::from_millis(100)).await;
    let mut silent = endpoint.raw(V5).await;
    let mut halfway = endpoint.raw(V5).await;
    halfway.send(&connect(V5, "c", 60)[..9]).await;
    silent.assert_closed().await;
    halfway.assert_closed().await;
    until("both are counted", || endpoint.metrics.totals().timeouts == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_connections_than_may_be_are_refused_with_a_reason() {
    let endpoint = Endpoint::start_with(|settings| settings.mqtt.connections_max = 2).await;
    let one = endpoint.client(V5, "one").await;
    let _two = endpoint.client(V5, "two").await;
    for (version, answer) in [(V311, vec![0x20, 2, 0, 3]), (V5, vec![0x20, 3, 0, 0x89, 0])] {
        let mut refused = endpoint.raw(version).await;
        refused.send(&connect(version, "three", 60)).await;
        assert_eq!(refused.packet().await.unwrap(), answer);
        refused.assert_closed().await;
    }
    assert_eq!(endpoint.metrics.totals().connections_refused, 2);
    drop(one);
    until("one has left", || endpoint.metrics.connections_open() == 1).await;
    let _three = endpoint.client(V5, "three").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_open_connections_give_way_to_newer_ones_and_never_to_open_ones() {
    let endpoint = Endpoint::start_with(|settings| settings.mqtt.half_open_max = 10).await;
    let mut open = endpoint.client(V5, "open").await;
    let mut half_open = Vec::new();
    for _ in 0..50 {
        half_open.push(endpoint.raw(V5).await);
    }
    let mut late = endpoint.client(V5, "late").await;
    for client in [&mut open, &mut late] {
        client.publish(1, 1, TOPIC, PAYLOAD).await;
        assert_eq!(client.packet().await.unwrap(), [0x40, 2, 0, 1]);
    }
    for client in half_open.iter_mut().take(40) {
        client.assert_closed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_reads_is_cut_off_and_slows_nobody() {
    let endpoint =
        Endpoint::start_with(|settings| settings.mqtt.write_timeout = Duration::from_millis(300)).await;
    let mut deaf = endpoint.narrow(V5).await;
    deaf.send(&connect(V5, "deaf", 60)).await;
    let pings = [0xC0, 0].repeat(1 << 15);
    let flood = tokio::spawn(async move {
        while tokio::io::AsyncWriteExt::write_all(&mut deaf.stream, &pings)
            .await
            .is_ok()
        {}
    });
    until("it is cut off", || endpoint.metrics.totals().timeouts == 1).await;
    tokio::time::timeout(PATIENCE, flood)
        .await
        .expect("its connection has ended")
        .unwrap();
    endpoint.assert_serves().await;
}
