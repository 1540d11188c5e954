//! A full log and full queues: the broker waits, unacknowledged, and nothing of QoS 1 is lost.

use crate::{
    broker::{Broker, skipped},
    held_disk::until,
    relay::Relay,
    subscriber::*,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_log_is_not_acknowledged_and_takes_the_rest_once_it_has_room() {
    if skipped() {
        return;
    }
    const PUBLISHES: i64 = 60;
    let broker = Broker::start().await;
    let relay = Relay::start(broker.port).await;
    let mut subscriber = Subscriber::start_with(relay.port, |settings| {
        settings.log.bytes_max = 1_000;
        settings.subscribe.receive_maximum = 8;
    });
    subscriber.until_subscribed(1).await;
    let mut publisher = broker.publisher().await;
    for number in 1..=PUBLISHES {
        publisher.publish(&topic(number), &payload(number)).await;
    }
    until("the log is full", || subscriber.totals().log_full == 1).await;
    until("what fitted is acknowledged", || {
        relay.acknowledged() == subscriber.stored().len()
    })
    .await;
    let fitted = subscriber.stored().len();
    assert!((5..25).contains(&fitted), "{fitted} records fit into 1,000 bytes");
    // mosquitto 2.0.11 does not stop at the receive maximum once acknowledgements have paused: all come, and all wait here.
    until("the broker has sent them", || {
        relay.passed()[0].delivered.len() >= fitted + 8
    })
    .await;
    assert_eq!((relay.acknowledged(), relay.passed().len()), (fitted, 1));
    let all: Vec<i64> = (1..=PUBLISHES).collect();
    until("the rest is stored", || {
        subscriber.cut_stored();
        subscriber.stored_wh() == all
    })
    .await;
    until("the rest is acknowledged", || relay.acknowledged() == all.len()).await;
    assert_eq!(
        subscriber.stored().len(),
        all.len(),
        "each once: the connection was never lost"
    );
    assert_eq!(subscriber.totals().broker_losses, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_drops_qos_0_and_counts_it_and_never_qos_1() {
    if skipped() {
        return;
    }
    let broker = Broker::start().await;
    let relay = Relay::start(broker.port).await;
    let mut subscriber = Subscriber::start_with(relay.port, |settings| {
        settings.log.bytes_max = 400;
        settings.subscribe.packet_bytes_max = 1_024;
        // 64 publishes, of which QoS 0 may take 32.
        settings.subscribe.pending_bytes_max = 64 * 1_024;
    });
    subscriber.until_subscribed(1).await;
    let mut publisher = broker.publisher().await;
    for number in 1..=20 {
        publisher.publish(&topic(number), &payload(number)).await;
    }
    until("the log is full", || subscriber.totals().log_full == 1).await;
    for number in 21..=80 {
        publisher.publish_qos0(&topic(number), &payload(number)).await;
    }
    until("all have come", || subscriber.totals().publishes_qos0 == 60).await;
    let dropped = usize::try_from(subscriber.totals().broker_drops_qos0).unwrap();
    assert!((28..60).contains(&dropped), "{dropped} of 60 were dropped");
    until("the rest is stored", || {
        subscriber.cut_stored();
        subscriber.stored_wh().len() == 80 - dropped
    })
    .await;
    assert_eq!(subscriber.stored_wh()[..20], (1..=20).collect::<Vec<_>>());
    until("the rest is acknowledged", || relay.acknowledged() == 20).await;
    assert_eq!(subscriber.totals().broker_losses, 0);
}
