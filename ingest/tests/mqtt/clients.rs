//! Clients that nobody here wrote.

use std::time::Duration;

use gridtally_schemas::record;
use rumqttc::v5;
use tokio::time::timeout;

use crate::support::*;

const PUBLISHES: usize = 500;

fn payload(number: usize) -> String {
    format!(r#"{{"registers":[{{"at":"2026-04-01T00:00:00+05:30","import_wh":{number}}}]}}"#)
}

#[tokio::test(flavor = "multi_thread")]
async fn rumqttc_3_1_1_publishes_at_every_qos() {
    let endpoint = Endpoint::start().await;
    let mut options = rumqttc::MqttOptions::new("rumqttc-4", "127.0.0.1", endpoint.address.port());
    options.set_keep_alive(Duration::from_secs(5)).set_inflight(50);
    let (client, mut events) = rumqttc::AsyncClient::new(options, 10);
    tokio::spawn(async move {
        for number in 0..PUBLISHES {
            for qos in [
                rumqttc::QoS::AtMostOnce,
                rumqttc::QoS::AtLeastOnce,
                rumqttc::QoS::ExactlyOnce,
            ] {
                client.publish(TOPIC, qos, false, payload(number)).await.unwrap();
            }
        }
    });
    let (mut acknowledged, mut completed) = (0, 0);
    while acknowledged < PUBLISHES || completed < PUBLISHES {
        match timeout(PATIENCE, events.poll()).await.expect("an event").unwrap() {
            rumqttc::Event::Incoming(rumqttc::Packet::PubAck(_)) => acknowledged += 1,
            rumqttc::Event::Incoming(rumqttc::Packet::PubComp(_)) => completed += 1,
            _ => {}
        }
    }
    until("all are in the log", || endpoint.records().len() == 3 * PUBLISHES).await;
    assert_eq!(endpoint.metrics.totals().registers, 1_500);
}

#[tokio::test(flavor = "multi_thread")]
async fn rumqttc_5_publishes_at_every_qos_and_reads_the_reasons() {
    let endpoint = Endpoint::start().await;
    let mut options = v5::MqttOptions::new("rumqttc-5", "127.0.0.1", endpoint.address.port());
    options
        .set_keep_alive(Duration::from_secs(5))
        .set_outgoing_inflight_upper_limit(50);
    let (client, mut events) = v5::AsyncClient::new(options, 10);
    tokio::spawn(async move {
        use v5::mqttbytes::QoS;
        for number in 0..PUBLISHES {
            for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
                client.publish(TOPIC, qos, false, payload(number)).await.unwrap();
            }
        }
        client
            .publish("elsewhere", QoS::AtLeastOnce, false, "x")
            .await
            .unwrap();
        client
            .publish(TOPIC, QoS::AtLeastOnce, false, GARBAGE)
            .await
            .unwrap();
    });
    let mut reasons = Vec::new();
    let mut completed = 0;
    while reasons.len() < PUBLISHES + 2 || completed < PUBLISHES {
        match timeout(PATIENCE, events.poll()).await.expect("an event").unwrap() {
            v5::Event::Incoming(v5::mqttbytes::v5::Packet::PubAck(ack)) => reasons.push(ack.reason),
            v5::Event::Incoming(v5::mqttbytes::v5::Packet::PubComp(_)) => completed += 1,
            _ => {}
        }
    }
    use v5::mqttbytes::v5::PubAckReason::{NotAuthorized, PayloadFormatInvalid, Success};
    let count = |reason| reasons.iter().filter(|each| **each == reason).count();
    assert_eq!(
        (count(Success), count(NotAuthorized), count(PayloadFormatInvalid)),
        (PUBLISHES, 1, 1)
    );
    until("all are in the log", || {
        endpoint.records().len() == 3 * PUBLISHES + 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_unacknowledged_at_the_end_of_a_connection_can_be_sent_again() {
    let endpoint = Endpoint::start().await;
    let mut client = endpoint.client(V311, "again").await;
    endpoint.disk.hold();
    client.publish(1, 1, TOPIC, PAYLOAD).await;
    client.assert_unanswered().await;
    drop(client);
    let mut client = endpoint.client(V311, "again").await;
    let mut again = publish(V311, 1, 1, TOPIC, PAYLOAD);
    again[0] |= 0x08;
    client.send(&again).await;
    endpoint.disk.release();
    assert_eq!(client.packet().await.unwrap(), [0x40, 2, 0, 1]);
    // Twice in the log: the merge makes one of them.
    let records = endpoint.records();
    assert_eq!(records.len(), 2);
    assert_eq!(records[0], records[1]);
    assert_eq!(record::decode(&records[0]).unwrap().source, "meter:M1");
}
