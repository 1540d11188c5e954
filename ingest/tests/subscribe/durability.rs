//! ACK-1 towards the broker: it is acknowledged when the log has synced, and what cannot be decoded is stored all the same.

use gridtally_ingest::subscribe::SubscribeError;

use crate::{
    broker::{Broker, skipped},
    held_disk::until,
    relay::Relay,
    subscriber::*,
};

#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_delivers_is_in_the_log_and_acknowledged_in_order() {
    if skipped() {
        return;
    }
    let broker = Broker::start().await;
    let relay = Relay::start(broker.port).await;
    let mut subscriber = Subscriber::start(relay.port).await;
    let mut publisher = broker.publisher().await;
    for number in 1..=50 {
        publisher.publish(&topic(number), &payload(number)).await;
    }
    until("all are acknowledged", || relay.acknowledged() == 50).await;
    let expected: Vec<Stored> = (1..=50)
        .map(|number| Stored::Read(format!("M{number}"), number))
        .collect();
    assert_eq!(subscriber.stored(), expected);
    let totals = subscriber.totals();
    assert_eq!(
        (
            totals.publishes_qos1,
            totals.reads,
            totals.acks_stored,
            totals.broker_losses
        ),
        (50, 50, 50, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ack_1_the_broker_is_not_acknowledged_before_the_sync_returns() {
    if skipped() {
        return;
    }
    let broker = Broker::start().await;
    let relay = Relay::start(broker.port).await;
    let mut subscriber = Subscriber::start(relay.port).await;
    let mut publisher = broker.publisher().await;
    subscriber.disk.hold();
    for number in 1..=5 {
        publisher.publish(&topic(number), &payload(number)).await;
    }
    subscriber.until_appended(5).await;
    subscriber.disk.until_waiting().await;
    assert_eq!(relay.acknowledged(), 0);
    // The broker keeps them: it delivers all of them again on the next connection.
    relay.cut();
    subscriber.until_subscribed(2).await;
    subscriber.until_appended(10).await;
    // And one more, so that the subscriber has had its turn after the ten.
    publisher.publish(&topic(6), &payload(6)).await;
    subscriber.until_appended(11).await;
    let passed = relay.passed();
    assert_eq!((passed[0].delivered.len(), passed[0].acknowledged.len()), (5, 0));
    assert_eq!(passed[1].again, passed[0].delivered);
    assert!(passed[1].acknowledged.is_empty());
    assert_eq!(subscriber.totals().acks_stored, 0);
    assert_eq!(subscriber.stored(), []);
    subscriber.disk.release();
    until("all are acknowledged", || relay.acknowledged() == 6).await;
    assert_eq!(subscriber.stored_wh(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(relay.passed()[1].acknowledged, relay.passed()[1].delivered);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_decoded_or_is_not_its_senders_is_stored_whole_and_acknowledged() {
    if skipped() {
        return;
    }
    let broker = Broker::start().await;
    let relay = Relay::start(broker.port).await;
    let mut subscriber = Subscriber::start(relay.port).await;
    let mut publisher = broker.publisher().await;
    let of_another = br#"{"meter_id":"M9","reads":[{"interval_end":"2026-04-01T00:30:00Z","import_wh":1}]}"#;
    publisher.publish(&topic(1), GARBAGE).await;
    publisher.publish(&topic(2), of_another).await;
    publisher.publish(&topic(3), &payload(3)).await;
    until("all are acknowledged", || relay.acknowledged() == 3).await;
    let undecodable = |source: &str, reason: &str, payload: &[u8]| {
        Stored::Undecodable(source.to_owned(), reason.to_owned(), payload.to_vec())
    };
    assert_eq!(
        subscriber.stored(),
        [
            undecodable(
                "meter:M1",
                "payload is not JSON: key must be a string at line 1 column 3",
                GARBAGE
            ),
            undecodable("meter:M2", "meter M2 speaks for meter M9", of_another),
            Stored::Read("M3".to_owned(), 3),
        ]
    );
    let totals = subscriber.totals();
    assert_eq!(
        (totals.acks_stored, totals.acks_undecodable, totals.acks_not_yours),
        (1, 1, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_failed_acknowledges_nothing_and_ends_the_subscriber() {
    if skipped() {
        return;
    }
    let broker = Broker::start().await;
    let relay = Relay::start(broker.port).await;
    let mut subscriber = Subscriber::start(relay.port).await;
    subscriber.disk.fail();
    broker.publisher().await.publish(&topic(1), &payload(1)).await;
    assert!(matches!(subscriber.outcome().await, Err(SubscribeError::Log(_))));
    assert_eq!((relay.acknowledged(), subscriber.totals().acks_stored), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_outlives_a_shutdown_and_what_was_not_synced_comes_again() {
    if skipped() {
        return;
    }
    let broker = Broker::start().await;
    let relay = Relay::start(broker.port).await;
    let mut subscriber = Subscriber::start(relay.port).await;
    let mut publisher = broker.publisher().await;
    subscriber.disk.hold();
    publisher.publish(&topic(1), &payload(1)).await;
    subscriber.until_appended(1).await;
    subscriber.disk.until_waiting().await;
    // It does not wait for the disk.
    subscriber.stop().await.unwrap();
    publisher.publish(&topic(2), &payload(2)).await;
    subscriber.disk.release();
    subscriber.start_again();
    until("both are acknowledged", || relay.acknowledged() == 2).await;
    assert!(relay.passed()[0].acknowledged.is_empty());
    assert_eq!(subscriber.stored_wh(), [1, 2]);
    subscriber.stop().await.unwrap();
}
