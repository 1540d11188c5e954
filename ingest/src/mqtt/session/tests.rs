use super::*;

const V5: Version = Version::V5;
const V311: Version = Version::V311;

fn publish(qos: Qos, packet_id: u16) -> Publish<'static> {
    Publish {
        qos,
        packet_id,
        topic: "t",
        topic_alias: None,
        content_type: None,
        payload: b"",
    }
}

fn stored(session: &mut Session, qos: Qos, packet_id: u16, position: u64) {
    let publish = publish(qos, packet_id);
    assert_eq!(session.admit(&publish), Ok(Admission::New));
    session.stored(&publish, Position(position), Reason::Success);
}

fn sent(session: &mut Session, synced: u64) -> Vec<u8> {
    let (mut out, mut tally) = (Vec::new(), Tally::default());
    session.on_synced(Position(synced), &mut out, &mut tally);
    out
}

#[test]
fn nothing_is_sent_before_its_record_is_synced_and_all_in_order() {
    let mut session = Session::new(V5, &MqttConfig::default());
    stored(&mut session, Qos::AtLeastOnce, 1, 10);
    session.admit(&publish(Qos::AtLeastOnce, 2)).unwrap();
    session
        .refused(&publish(Qos::AtLeastOnce, 2), Reason::NotAuthorized)
        .unwrap();
    stored(&mut session, Qos::AtLeastOnce, 3, 12);
    assert!(sent(&mut session, 9).is_empty());
    assert_eq!(sent(&mut session, 11), [0x40, 2, 0, 1, 0x40, 3, 0, 2, 0x87]);
    assert!(!session.is_settled());
    assert_eq!(sent(&mut session, 12), [0x40, 2, 0, 3]);
    assert!(session.is_settled());
}

#[test]
fn a_refused_3_1_1_publish_ends_the_connection_unless_it_is_qos_0() {
    let mut session = Session::new(V311, &MqttConfig::default());
    assert_eq!(
        session.refused(&publish(Qos::AtMostOnce, 0), Reason::QuotaExceeded),
        Ok(())
    );
    for qos in [Qos::AtLeastOnce, Qos::ExactlyOnce] {
        assert_eq!(
            session.refused(&publish(qos, 1), Reason::QuotaExceeded),
            Err(Unacknowledged)
        );
    }
    assert!(session.is_settled());
}

#[test]
fn unreleased_qos_2_publishes_of_a_3_1_1_client_are_bounded() {
    let config = MqttConfig {
        receive_maximum: std::num::NonZeroU16::MIN,
        ..MqttConfig::default()
    };
    let mut session = Session::new(V311, &config);
    stored(&mut session, Qos::ExactlyOnce, 1, 1);
    sent(&mut session, 1);
    assert!(session.admit(&publish(Qos::ExactlyOnce, 2)).is_err());
    session.released(1);
    assert_eq!(sent(&mut session, 1), [0x70, 2, 0, 1]);
    assert_eq!(session.admit(&publish(Qos::ExactlyOnce, 2)), Ok(Admission::New));
}

#[test]
fn an_empty_session_holds_next_to_nothing() {
    let mut session = Session::new(V5, &MqttConfig::default());
    for id in 1..=10_000 {
        stored(&mut session, Qos::AtLeastOnce, id, u64::from(id));
    }
    sent(&mut session, 10_000);
    assert!(session.pending.capacity() <= 32, "{}", session.pending.capacity());
    assert_eq!(session.exchanges, 0);
}
