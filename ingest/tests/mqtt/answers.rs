//! Each packet gets the answer that the contract names.

use gridtally_schemas::{
    GatewayId, MeterId,
    record::{self, Body},
};

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_is_acknowledged_and_in_the_log() {
    for version in [V311, V5] {
        let endpoint = Endpoint::start().await;
        let mut client = endpoint.client(version, "c").await;
        client.publish(1, 7, TOPIC, PAYLOAD).await;
        assert_eq!(client.packet().await.unwrap(), [0x40, 2, 0, 7]);
        let records = endpoint.records();
        assert_eq!(records.len(), 1);
        let record = record::decode(&records[0]).unwrap();
        assert_eq!(record.source, "meter:M1");
        assert!(matches!(record.body, Body::Publish(_)));
        // Counted right after it was sent.
        until("the acknowledgement is counted", || {
            endpoint.metrics.totals().acks_stored == 1
        })
        .await;
        let totals = endpoint.metrics.totals();
        assert_eq!((totals.publishes_qos1, totals.reads), (1, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_come_in_the_order_of_the_publishes_whatever_they_say() {
    let endpoint = Endpoint::start().await;
    let mut client = endpoint.client(V5, "c").await;
    let mut bytes = Vec::new();
    for (id, topic, payload) in [
        (1, TOPIC, PAYLOAD),
        (2, "elsewhere", PAYLOAD),
        (3, TOPIC, GARBAGE),
        (
            4,
            "ami/v1/meters/M1/reads",
            br#"{"meters":[{"meter_id":"M2","events":[{"code":101,"at":"2026-04-01T00:00:00Z"}]}]}"#,
        ),
        (
            5,
            "ami/v1/gateways/G/events",
            br#"{"meters":[{"meter_id":"M2","events":[{"code":101,"at":"2026-04-01T00:00:00Z"}]}]}"#,
        ),
    ] {
        bytes.extend(publish(V5, 1, id, topic, payload));
    }
    client.send(&bytes).await;
    let answers = [
        vec![0x40, 2, 0, 1],
        vec![0x40, 3, 0, 2, 0x87],
        vec![0x40, 3, 0, 3, 0x99],
        vec![0x40, 3, 0, 4, 0x87],
        vec![0x40, 2, 0, 5],
    ];
    for answer in answers {
        assert_eq!(client.packet().await.unwrap(), answer);
    }
    let records = endpoint.records();
    assert_eq!(records.len(), 3);
    let Body::Undecodable { payload, topic, .. } = record::decode(&records[1]).unwrap().body else {
        panic!("the second record is the undecodable one");
    };
    assert_eq!((payload, topic), (GARBAGE, TOPIC));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_3_1_1_client_hears_puback_for_the_undecodable_and_loses_its_connection_for_what_is_not_its_own() {
    let endpoint = Endpoint::start().await;
    let mut client = endpoint.client(V311, "c").await;
    let mut bytes = publish(V311, 1, 1, TOPIC, GARBAGE);
    bytes.extend(publish(V311, 1, 2, "elsewhere", PAYLOAD));
    bytes.extend(publish(V311, 1, 3, TOPIC, PAYLOAD));
    client.send(&bytes).await;
    assert_eq!(client.packet().await.unwrap(), [0x40, 2, 0, 1]);
    client.assert_closed().await;
    assert_eq!(
        endpoint.records().len(),
        1,
        "what follows the refused publish is not taken"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_is_refused_for_a_meter_that_is_not_enrolled_behind_it() {
    let endpoint = Endpoint::start_with(|settings| {
        let meters = [MeterId::parse("M1").unwrap()];
        settings.enrolment.enrol(GatewayId::parse("G").unwrap(), meters);
    })
    .await;
    let mut client = endpoint.client(V5, "c").await;
    for (id, meter, answer) in [
        (1, "M1", vec![0x40, 2, 0, 1]),
        (2, "M2", vec![0x40, 3, 0, 2, 0x87]),
    ] {
        let payload = format!(
            r#"{{"meters":[{{"meter_id":"{meter}","registers":[{{"at":"2026-04-01T00:00:00Z","import_wh":1}}]}}]}}"#
        );
        client
            .publish(1, id, "ami/v1/gateways/G/reads", payload.as_bytes())
            .await;
        assert_eq!(client.packet().await.unwrap(), answer);
    }
}

/// A log that takes some twenty records and no more until it is cut.
async fn with_a_small_log() -> Endpoint {
    Endpoint::start_with(|settings| settings.log.bytes_max = 1_000).await
}

/// As a checkpoint does. The segment that was just filled can go once the log has begun the next.
async fn cut(endpoint: &Endpoint) {
    until("the log has room", || {
        endpoint.log.cut(endpoint.log.end()).unwrap();
        endpoint.log.bytes() < 500
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_mqtt_5_client_is_told_that_the_log_is_full_and_keeps_its_connection() {
    let endpoint = with_a_small_log().await;
    let mut client = endpoint.client(V5, "c").await;
    let mut stored = 0;
    let refused = loop {
        let id = stored + 1;
        client.publish(1, id, TOPIC, PAYLOAD).await;
        let answer = client.packet().await.unwrap();
        let [high, low] = id.to_be_bytes();
        if answer != [0x40, 2, high, low] {
            break answer;
        }
        stored += 1;
    };
    assert!(stored > 1, "one record fits easily");
    assert_eq!(refused, [0x40, 3, 0, u8::try_from(stored + 1).unwrap(), 0x97]);
    client.publish(2, 900, TOPIC, PAYLOAD).await;
    assert_eq!(client.packet().await.unwrap(), [0x50, 3, 3, 0x84, 0x97]);
    assert_eq!(
        endpoint.records().len(),
        usize::from(stored),
        "nothing else was stored"
    );
    // Counted right after it was sent.
    until("the answers are counted", || {
        endpoint.metrics.totals().acks_log_full == 2
    })
    .await;
    let totals = endpoint.metrics.totals();
    assert_eq!((totals.acks_stored, totals.log_full), (u64::from(stored), 2));
    // What was refused is taken now, on the same connection and with the same ids.
    cut(&endpoint).await;
    client.publish(1, stored + 1, TOPIC, PAYLOAD).await;
    assert_eq!(
        client.packet().await.unwrap(),
        [0x40, 2, 0, u8::try_from(stored + 1).unwrap()]
    );
    client.publish(2, 900, TOPIC, PAYLOAD).await;
    assert_eq!(client.packet().await.unwrap(), [0x50, 2, 3, 0x84]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_3_1_1_client_loses_its_connection_unacknowledged_when_the_log_is_full() {
    for qos in [1, 2] {
        let endpoint = with_a_small_log().await;
        let mut client = endpoint.client(V311, "c").await;
        let bytes: Vec<u8> = (1..=100)
            .flat_map(|id| publish(V311, qos, id, TOPIC, PAYLOAD))
            .collect();
        client.send(&bytes).await;
        let mut acknowledged = 0;
        while let Some(answer) = client.packet().await {
            acknowledged += 1;
            assert_eq!(answer, [if qos == 1 { 0x40 } else { 0x50 }, 2, 0, acknowledged]);
        }
        assert_eq!(endpoint.records().len(), usize::from(acknowledged));
        assert!((2..100).contains(&acknowledged), "{acknowledged} fit");
        assert_eq!(endpoint.metrics.totals().log_full, 1);
        // It comes again, and is taken when there is room.
        cut(&endpoint).await;
        let mut client = endpoint.client(V311, "c").await;
        client
            .publish(1, u16::from(acknowledged) + 1, TOPIC, PAYLOAD)
            .await;
        assert_eq!(client.packet().await.unwrap(), [0x40, 2, 0, acknowledged + 1]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn qos_0_is_stored_and_never_answered_and_its_refusals_are_silent() {
    for version in [V311, V5] {
        let endpoint = Endpoint::start().await;
        let mut client = endpoint.client(version, "c").await;
        client.publish(0, 0, TOPIC, PAYLOAD).await;
        client.publish(0, 0, "elsewhere", PAYLOAD).await;
        client.publish(0, 0, TOPIC, GARBAGE).await;
        client.assert_unanswered().await;
        until("both are synced", || endpoint.records().len() == 2).await;
        let totals = endpoint.metrics.totals();
        assert_eq!(
            (totals.publishes_qos0, totals.not_yours, totals.undecodable),
            (3, 1, 1)
        );
        client.assert_unanswered().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn qos_2_is_stored_once_between_publish_and_release() {
    for version in [V311, V5] {
        let endpoint = Endpoint::start().await;
        let mut client = endpoint.client(version, "c").await;
        for _ in 0..2 {
            client.publish(2, 9, TOPIC, PAYLOAD).await;
            assert_eq!(client.packet().await.unwrap(), [0x50, 2, 0, 9]);
        }
        assert_eq!(endpoint.records().len(), 1);
        client.send(&[0x62, 2, 0, 9]).await;
        assert_eq!(client.packet().await.unwrap(), [0x70, 2, 0, 9]);
        client.send(&[0x62, 2, 0, 9]).await;
        let not_found = if version == V5 {
            vec![0x70, 3, 0, 9, 0x92]
        } else {
            vec![0x70, 2, 0, 9]
        };
        assert_eq!(client.packet().await.unwrap(), not_found);
        client.publish(2, 9, TOPIC, PAYLOAD).await;
        assert_eq!(client.packet().await.unwrap(), [0x50, 2, 0, 9]);
        assert_eq!(endpoint.records().len(), 2);
        assert_eq!(endpoint.metrics.totals().publishes_qos2, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn qos_2_refused_or_undecodable_ends_at_pubrec_in_mqtt_5() {
    let endpoint = Endpoint::start().await;
    let mut client = endpoint.client(V5, "c").await;
    client.publish(2, 1, TOPIC, GARBAGE).await;
    assert_eq!(client.packet().await.unwrap(), [0x50, 3, 0, 1, 0x99]);
    client.publish(2, 1, "elsewhere", PAYLOAD).await;
    assert_eq!(client.packet().await.unwrap(), [0x50, 3, 0, 1, 0x87]);
    client.publish(2, 1, TOPIC, PAYLOAD).await;
    assert_eq!(
        client.packet().await.unwrap(),
        [0x50, 2, 0, 1],
        "the id was free again"
    );
    let mut client = endpoint.client(V311, "c").await;
    client.publish(2, 1, TOPIC, GARBAGE).await;
    assert_eq!(client.packet().await.unwrap(), [0x50, 2, 0, 1]);
    client.send(&[0x62, 2, 0, 1]).await;
    assert_eq!(client.packet().await.unwrap(), [0x70, 2, 0, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_are_refused_filter_by_filter() {
    let endpoint = Endpoint::start().await;
    let mut client = endpoint.client(V311, "three").await;
    client.send(&packet(0x82, b"\0\x05\0\x01a\0\0\x01#\x01")).await;
    assert_eq!(client.packet().await.unwrap(), [0x90, 4, 0, 5, 0x80, 0x80]);
    client.send(&packet(0xA2, b"\0\x06\0\x01a")).await;
    assert_eq!(client.packet().await.unwrap(), [0xB0, 2, 0, 6]);
    let mut client = endpoint.client(V5, "five").await;
    client.send(&packet(0x82, b"\0\x05\0\0\x01a\0\0\x01#\x01")).await;
    assert_eq!(client.packet().await.unwrap(), [0x90, 5, 0, 5, 0, 0x87, 0x87]);
    client.send(&packet(0xA2, b"\0\x06\0\0\x01a")).await;
    assert_eq!(client.packet().await.unwrap(), [0xB0, 4, 0, 6, 0, 0x11]);
}

#[tokio::test(flavor = "multi_thread")]
async fn topic_aliases_stand_for_topics() {
    let endpoint = Endpoint::start().await;
    let mut client = endpoint.client(V5, "c").await;
    let alias = [0x23, 0, 16];
    for (id, topic) in [(1, TOPIC), (2, ""), (3, "ami/v1/meters/M2/reads"), (4, "")] {
        client
            .send(&publish_with(V5, (1, id), topic, &alias, PAYLOAD))
            .await;
        assert_eq!(
            client.packet().await.unwrap(),
            [0x40, 2, 0, u8::try_from(id).unwrap()]
        );
    }
    let sources: Vec<String> = endpoint
        .records()
        .iter()
        .map(|bytes| record::decode(bytes).unwrap().source.to_owned())
        .collect();
    assert_eq!(sources, ["meter:M1", "meter:M1", "meter:M2", "meter:M2"]);
    client
        .send(&publish_with(V5, (1, 5), TOPIC, &[0x23, 0, 17], PAYLOAD))
        .await;
    assert_eq!(client.packet().await.unwrap(), [0xE0, 1, 0x94]);
    client.assert_closed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connack_tells_an_mqtt_5_client_the_bounds_and_gives_it_a_name() {
    let endpoint = Endpoint::start().await;
    let mut client = endpoint.raw(V5).await;
    // Clean start off, session expiry 3,600 s, no keep-alive, no client id.
    client
        .send(&packet(0x10, b"\0\x04MQTT\x05\0\0\0\x05\x11\0\0\x0E\x10\0\0"))
        .await;
    let mut expected = vec![
        0, 0, 0, 0x11, 0, 0, 0, 0, 0x21, 0x40, 0, 0x25, 0, 0x28, 0, 0x29, 0, 0x2A, 0,
    ];
    expected.extend_from_slice(&[0x27, 0, 0x10, 0, 0, 0x22, 0, 16, 0x13, 0x0E, 0x10, 0x12, 0, 11]);
    expected.extend_from_slice(b"gridtally-0");
    expected[2] = u8::try_from(expected.len() - 3).unwrap();
    assert_eq!(client.packet().await.unwrap(), packet(0x20, &expected));
    client.publish(1, 1, TOPIC, PAYLOAD).await;
    assert_eq!(client.packet().await.unwrap(), [0x40, 2, 0, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn connects_that_ask_for_what_is_not_offered_are_told() {
    let endpoint = Endpoint::start().await;
    let cases: [(&[u8], &[u8]); 6] = [
        (b"\0\x06MQIsdp\x03\x02\0\x3C\0\x01c", &[0x20, 2, 0, 1]),
        (b"\0\x04MQTT\x06\x02\0\x3C\0\0\x01c", &[0x20, 3, 0, 0x84, 0]),
        (b"\0\x04MQTT\x04\x00\0\x3C\0\0", &[0x20, 2, 0, 2]),
        (
            b"\0\x04MQTT\x05\x02\0\x3C\x08\x15\0\x05SCRAM\0\x01c",
            &[0x20, 3, 0, 0x8C, 0],
        ),
        (b"\0\x04MQTT\x04\x03\0\x3C\0\x01c", &[]),
        (b"\0\x04HTTP\x04\x02\0\x3C\0\x01c", &[]),
    ];
    for (body, answer) in cases {
        let mut client = endpoint.raw(V5).await;
        client.send(&packet(0x10, body)).await;
        if !answer.is_empty() {
            assert_eq!(client.packet().await.unwrap(), answer);
        }
        client.assert_closed().await;
    }
    endpoint.assert_serves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wills_credentials_and_retain_are_taken_and_ignored() {
    let endpoint = Endpoint::start().await;
    let mut client = endpoint.raw(V5).await;
    client
        .send(&packet(
            0x10,
            b"\0\x04MQTT\x05\xEE\0\x3C\0\0\x01c\0\0\x01w\0\x01!\0\x01u\0\x01p",
        ))
        .await;
    assert_eq!(client.packet().await.unwrap()[3], 0);
    let mut retained = publish(V5, 1, 1, TOPIC, PAYLOAD);
    retained[0] |= 1;
    client.send(&retained).await;
    assert_eq!(client.packet().await.unwrap(), [0x40, 2, 0, 1]);
    let mut client = endpoint.raw(V311).await;
    client
        .send(&packet(
            0x10,
            b"\0\x04MQTT\x04\xEE\0\x3C\0\x01c\0\x01w\0\x01!\0\x01u\0\x01p",
        ))
        .await;
    assert_eq!(client.packet().await.unwrap(), [0x20, 2, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_client_id_takes_the_session_over() {
    for version in [V311, V5] {
        let endpoint = Endpoint::start().await;
        let mut old = endpoint.client(version, "same").await;
        let mut new = endpoint.client(version, "same").await;
        if version == V5 {
            assert_eq!(old.packet().await.unwrap(), [0xE0, 1, 0x8E]);
        }
        old.assert_closed().await;
        new.publish(1, 1, TOPIC, PAYLOAD).await;
        assert_eq!(new.packet().await.unwrap(), [0x40, 2, 0, 1]);
        assert_eq!(endpoint.metrics.totals().connections_taken_over, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_protocol_ends_the_connection_with_its_reason() {
    let endpoint = Endpoint::start().await;
    let cases: [(&[u8], u8); 9] = [
        (&[0x36, 2, 0, 0], 0x81),
        (&[0x00, 0], 0x81),
        (&[0x60, 2, 0, 1], 0x81),
        (&[0x32, 6, 0, 1, b'a', 0, 0, 0], 0x82),
        (&[0x30, 3, 0, 0, 0], 0x82),
        (&[0x40, 2, 0, 1], 0x82),
        (&[0xC0, 0xFF, 0xFF, 0xFF, 0xFF], 0x81),
        (&[0x30, 5, 0, 2, 0xFF, 0xFE, 0], 0x81),
        (&[0x82, 3, 0, 1, 0], 0x82),
    ];
    for (bytes, reason) in cases {
        let mut client = endpoint.client(V5, "c").await;
        client.send(bytes).await;
        assert_eq!(client.packet().await.unwrap(), [0xE0, 1, reason], "{bytes:02X?}");
        client.assert_closed().await;
    }
    let mut client = endpoint.client(V5, "c").await;
    client.send(&connect(V5, "c", 60)).await;
    assert_eq!(client.packet().await.unwrap(), [0xE0, 1, 0x82]);
    endpoint.assert_serves().await;
}
