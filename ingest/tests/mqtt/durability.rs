//! ACK-1 at the socket: nothing is acknowledged before it is synced, and nothing synced goes unacknowledged at the end.

use gridtally_ingest::mqtt::MqttError;

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledgement_leaves_before_the_sync_returns() {
    for (version, qos, first) in [(V311, 1, 0x40), (V5, 1, 0x40), (V311, 2, 0x50), (V5, 2, 0x50)] {
        let endpoint = Endpoint::start().await;
        let mut client = endpoint.client(version, "c").await;
        endpoint.disk.hold();
        client.publish(qos, 1, TOPIC, PAYLOAD).await;
        client.publish(qos, 2, TOPIC, GARBAGE).await;
        client.assert_unanswered().await;
        endpoint.disk.until_waiting().await;
        client.assert_unanswered().await;
        assert_eq!(endpoint.metrics.totals().acks_stored, 0);
        endpoint.disk.release();
        assert_eq!(client.packet().await.unwrap(), [first, 2, 0, 1]);
        let undecodable = client.packet().await.unwrap();
        assert_eq!((undecodable[0], undecodable[3]), (first, 2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_qos_2_publish_sent_again_is_not_acknowledged_before_the_first_is_synced() {
    for version in [V311, V5] {
        let endpoint = Endpoint::start().await;
        let mut client = endpoint.client(version, "c").await;
        endpoint.disk.hold();
        client.publish(2, 1, TOPIC, PAYLOAD).await;
        client.publish(2, 1, TOPIC, PAYLOAD).await;
        // A client that does not wait for PUBREC is not told that all is done, either.
        client.send(&[0x62, 2, 0, 1]).await;
        client.assert_unanswered().await;
        endpoint.disk.until_waiting().await;
        client.assert_unanswered().await;
        endpoint.disk.release();
        for first in [0x50, 0x50, 0x70] {
            assert_eq!(client.packet().await.unwrap(), [first, 2, 0, 1]);
        }
        assert_eq!(endpoint.records().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_goes_on_while_the_log_syncs() {
    let endpoint = Endpoint::start().await;
    let mut client = endpoint.client(V311, "c").await;
    endpoint.disk.hold();
    client.publish(1, 1, TOPIC, PAYLOAD).await;
    endpoint.disk.until_waiting().await;
    for id in 2..=500 {
        client.publish(1, id, TOPIC, PAYLOAD).await;
    }
    until("all are taken", || {
        endpoint.metrics.totals().publishes_qos1 == 500
    })
    .await;
    client.assert_unanswered().await;
    endpoint.disk.release();
    for id in 1..=500_u16 {
        let [high, low] = id.to_be_bytes();
        assert_eq!(client.packet().await.unwrap(), [0x40, 2, high, low]);
    }
    assert_eq!(endpoint.records().len(), 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_failed_acknowledges_nothing_and_ends_the_endpoint() {
    let mut endpoint = Endpoint::start().await;
    let mut idle = endpoint.client(V5, "idle").await;
    let mut owed = endpoint.client(V5, "owed").await;
    endpoint.disk.fail();
    owed.publish(1, 1, TOPIC, PAYLOAD).await;
    owed.assert_closed().await;
    idle.assert_closed().await;
    assert!(matches!(endpoint.outcome().await, Err(MqttError::LogFailed(_))));
    assert_eq!(endpoint.metrics.totals().acks_stored, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_sends_what_is_owed_and_then_the_reason() {
    let mut endpoint = Endpoint::start().await;
    let mut idle = endpoint.client(V5, "idle").await;
    let mut five = endpoint.client(V5, "five").await;
    let mut three = endpoint.client(V311, "three").await;
    endpoint.disk.hold();
    for client in [&mut five, &mut three] {
        client.publish(1, 1, TOPIC, PAYLOAD).await;
        client.assert_unanswered().await;
    }
    endpoint.stop();
    // Told at once, because nothing is owed to it: so the others have been told to end as well.
    assert_eq!(idle.packet().await.unwrap(), [0xE0, 1, 0x8B]);
    idle.assert_closed().await;
    endpoint.disk.release();
    assert_eq!(five.packet().await.unwrap(), [0x40, 2, 0, 1]);
    assert_eq!(five.packet().await.unwrap(), [0xE0, 1, 0x8B]);
    five.assert_closed().await;
    assert_eq!(three.packet().await.unwrap(), [0x40, 2, 0, 1]);
    three.assert_closed().await;
    endpoint.outcome().await.unwrap();
    assert_eq!(endpoint.metrics.connections_open(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_does_not_wait_for_ever() {
    let mut endpoint = Endpoint::start_with(|settings| {
        settings.mqtt.drain_timeout = std::time::Duration::from_millis(50);
    })
    .await;
    let mut client = endpoint.client(V5, "c").await;
    endpoint.disk.hold();
    client.publish(1, 1, TOPIC, PAYLOAD).await;
    client.assert_unanswered().await;
    endpoint.stop();
    assert_eq!(client.packet().await.unwrap(), [0xE0, 1, 0x8B], "without PUBACK");
    client.assert_closed().await;
    endpoint.outcome().await.unwrap();
    endpoint.disk.release();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_closes_its_side_still_gets_what_it_is_owed() {
    let endpoint = Endpoint::start().await;
    let mut client = endpoint.client(V311, "c").await;
    endpoint.disk.hold();
    client.publish(1, 1, TOPIC, PAYLOAD).await;
    client.assert_unanswered().await;
    tokio::io::AsyncWriteExt::shutdown(&mut client.stream)
        .await
        .unwrap();
    endpoint.disk.release();
    assert_eq!(client.packet().await.unwrap(), [0x40, 2, 0, 1]);
    client.assert_closed().await;
}
