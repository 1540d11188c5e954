//! Lost connections and lost brokers: nothing that the broker acknowledged to a publisher is lost, and no acknowledgement
//! reaches a later connection.

use crate::{
    broker::{Broker, free_port, skipped},
    held_disk::until,
    relay::Relay,
    subscriber::*,
};

/// Publishes before, across and after a restart of the broker; gives the subscriber's Wh at the end.
async fn across_a_restart(group: &str, publishes_between: bool) -> Vec<i64> {
    let mut broker = Broker::start().await;
    let relay = Relay::start(broker.port).await;
    let mut subscriber = Subscriber::start_with(relay.port, |settings| {
        group.clone_into(&mut settings.subscribe.group);
    });
    subscriber.until_subscribed(1).await;
    subscriber.disk.hold();
    let mut publisher = broker.publisher().await;
    for number in 1..=30 {
        publisher.publish(&topic(number), &payload(number)).await;
    }
    // In the log and not durable, so not acknowledged; the broker goes away with all of them.
    subscriber.until_appended(20).await;
    relay.close();
    broker.stop().await;
    broker.start_again().await;
    let mut publisher = broker.publisher().await;
    if publishes_between {
        for number in 31..=40 {
            publisher.publish(&topic(number), &payload(number)).await;
        }
    }
    subscriber.disk.release();
    relay.open();
    subscriber.until_subscribed(2).await;
    for number in 41..=50 {
        publisher.publish(&topic(number), &payload(number)).await;
    }
    let all = if publishes_between { 50 } else { 40 };
    until("all are stored", || subscriber.stored_wh().len() == all).await;
    until("all are acknowledged", || {
        relay.passed().last().unwrap().acknowledged.len() == all
    })
    .await;
    assert!(relay.passed()[0].acknowledged.is_empty());
    assert!(subscriber.totals().broker_losses >= 1);
    subscriber.stored_wh()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_broker_loses_nothing() {
    if skipped() {
        return;
    }
    // Without a group: mosquitto keeps an ordinary subscription over its restart.
    assert_eq!(across_a_restart("", true).await, (1..=50).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_broker_loses_nothing_that_it_held_for_the_group() {
    if skipped() {
        return;
    }
    // mosquitto 2.0 forgets a shared subscription over its restart; what it held for it stays, and it is subscribed to again.
    let expected: Vec<i64> = (1..=30).chain(41..=50).collect();
    assert_eq!(across_a_restart("gridtally", false).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_that_was_lost_is_given_again() {
    if skipped() {
        return;
    }
    let broker = Broker::start().await;
    let relay = Relay::start(broker.port).await;
    let mut subscriber = Subscriber::start(relay.port).await;
    relay.drop_acknowledgements(true);
    broker.publisher().await.publish(&topic(1), &payload(1)).await;
    until("it is acknowledged", || relay.acknowledged() == 1).await;
    relay.drop_acknowledgements(false);
    relay.cut();
    until("it is acknowledged again", || relay.acknowledged() == 2).await;
    let passed = relay.passed();
    assert_eq!((passed.len(), &passed[1].again), (2, &passed[0].delivered));
    // Twice in the log: the merge makes one of them.
    let read = Stored::Read("M1".to_owned(), 1);
    assert_eq!(subscriber.stored(), [read.clone(), read]);
    // A third connection gets nothing: the broker has forgotten it.
    relay.cut();
    subscriber.until_subscribed(3).await;
    broker.publisher().await.publish(&topic(2), &payload(2)).await;
    until("the next is acknowledged", || relay.acknowledged() == 3).await;
    assert!(relay.passed()[2].again.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_cuts_at_any_moment_lose_nothing() {
    if skipped() {
        return;
    }
    const PUBLISHES: i64 = 2_000;
    let broker = Broker::start().await;
    let relay = Relay::start(broker.port).await;
    let mut subscriber = Subscriber::start(relay.port).await;
    let mut publisher = broker.publisher().await;
    let mut connections = 1;
    for number in 1..=PUBLISHES {
        publisher.publish(&topic(number), &payload(number)).await;
        if number % 97 == 0 {
            relay.cut();
            // However fast the publisher is, each cut is one of a connection that was up.
            connections += 1;
            subscriber.until_subscribed(connections).await;
        }
    }
    let all: Vec<i64> = (1..=PUBLISHES).collect();
    until("all are stored", || subscriber.stored_wh() == all).await;
    assert!(relay.passed().len() > 5, "the connection was cut");
    // Checks that no acknowledgement strayed.
    relay.passed();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledgement_reaches_a_later_connection() {
    if skipped() {
        return;
    }
    // Two brokers that know nothing of each other give the same packet id to two publishes.
    let (first, second) = (Broker::start().await, Broker::start().await);
    let relay = Relay::start(first.port).await;
    let mut subscriber = Subscriber::start(relay.port).await;
    subscriber.disk.hold();
    first.publisher().await.publish(&topic(1), &payload(1)).await;
    subscriber.until_appended(1).await;
    subscriber.disk.until_waiting().await;
    relay.lead_to(second.port);
    relay.cut();
    subscriber.until_subscribed(2).await;
    let mut publisher = second.publisher().await;
    publisher.publish(&topic(2), &payload(2)).await;
    subscriber.until_appended(2).await;
    assert_eq!(
        relay.passed()[1].delivered,
        relay.passed()[0].delivered,
        "the same packet id"
    );
    // The first publish becomes durable, the second does not.
    subscriber.disk.pass_one();
    subscriber.disk.until_waiting().await;
    assert_eq!(subscriber.stored_wh(), [1]);
    // A third shows that the subscriber has had its turn since.
    publisher.publish(&topic(3), &payload(3)).await;
    subscriber.until_appended(3).await;
    assert_eq!(relay.acknowledged(), 0);
    subscriber.disk.release();
    until("both are acknowledged", || relay.acknowledged() == 2).await;
    assert_eq!(relay.passed()[1].acknowledged, relay.passed()[1].delivered);
    assert_eq!(subscriber.totals().acks_stored, 2);
    assert_eq!(subscriber.stored_wh(), [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_not_there_yet_is_waited_for() {
    if skipped() {
        return;
    }
    let relay = Relay::start(free_port()).await;
    let mut subscriber = Subscriber::start_with(relay.port, |_| {});
    until("attempts fail", || subscriber.totals().broker_losses >= 3).await;
    let broker = Broker::start().await;
    relay.lead_to(broker.port);
    subscriber.until_subscribed(1).await;
    broker.publisher().await.publish(&topic(1), &payload(1)).await;
    until("it is stored", || subscriber.stored_wh() == [1]).await;
}
