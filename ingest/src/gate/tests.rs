use gridtally_schemas::record::{Body, Record};

use super::*;

const AT: UtcMicros = UtcMicros(1_775_000_000_000_000);
const READ: &str = r#"{"interval_end":"2026-04-01T00:30:00+05:30","import_wh":312}"#;

fn of_meters(meters: &[&str]) -> String {
    let parts: Vec<String> = meters
        .iter()
        .map(|meter| format!(r#"{{"meter_id":"{meter}","reads":[{READ}]}}"#))
        .collect();
    format!(r#"{{"meters":[{}]}}"#, parts.join(","))
}

fn judged(topic: &str, payload: &[u8], enrolment: &Enrolment) -> (Verdict, Publish, Vec<u8>) {
    // What a publish before has left must not show.
    let (mut publish, mut record) = (Publish::default(), b"left over".to_vec());
    publish.begin_meter("LEFT").unwrap();
    let arrival = Arrival {
        identity: &Identity::Anybody,
        topic,
        content_type: None,
        payload,
        received_at: AT,
    };
    let verdict = judge(&arrival, enrolment, &mut publish, &mut record);
    (verdict, publish, record)
}

#[test]
fn a_meter_speaks_for_itself() {
    let payload = format!(r#"{{"reads":[{READ}]}}"#);
    let (verdict, publish, record) = judged(
        "ami/v1/meters/M1/reads",
        payload.as_bytes(),
        &Enrolment::default(),
    );
    assert_eq!(verdict, Verdict::Store);
    assert_eq!(publish.read_count(), 1);
    let Record {
        recorded_at,
        source,
        body: Body::Publish(protobuf),
    } = record::decode(&record).unwrap()
    else {
        panic!("a publish record was expected");
    };
    assert_eq!((recorded_at, source), (AT, "meter:M1"));
    let mut again = Publish::default();
    record::decode_publish(protobuf, &mut again).unwrap();
    assert_eq!(again, publish);
}

#[test]
fn a_meter_does_not_speak_for_another() {
    let (verdict, publish, record) = judged(
        "ami/v1/meters/M1/reads",
        of_meters(&["M2"]).as_bytes(),
        &Enrolment::default(),
    );
    assert!(
        matches!(verdict, Verdict::NotYours(NotYours::OtherMeter { .. })),
        "{verdict:?}"
    );
    assert!(publish.is_empty() && record.is_empty());
}

#[test]
fn a_gateway_speaks_for_the_meters_enrolled_behind_it() {
    let mut enrolment = Enrolment::default();
    let parse = |id| MeterId::parse(id).unwrap();
    enrolment.enrol(GatewayId::parse("G1").unwrap(), [parse("M1"), parse("M2")]);
    enrolment.enrol(GatewayId::parse("OPEN").unwrap(), []);
    let of = |gateway: &str, meters: &[&str]| {
        judged(
            &format!("ami/v1/gateways/{gateway}/events"),
            of_meters(meters).as_bytes(),
            &enrolment,
        )
        .0
    };
    assert_eq!(of("G1", &["M1", "M2"]), Verdict::Store);
    assert_eq!(of("OPEN", &["M9"]), Verdict::Store);
    assert_eq!(of("UNKNOWN", &["M9"]), Verdict::Store);
    assert_eq!(
        of("G1", &["M1", "M9"]),
        Verdict::NotYours(NotYours::NotEnrolled {
            gateway: GatewayId::parse("G1").unwrap(),
            meter: "M9".to_owned(),
        })
    );
}

#[test]
fn what_cannot_be_decoded_is_stored_whole() {
    for payload in [&b"\xFF\xFF\xFF\xFFgarbage"[..], b"{", b"", b"\x00\x01\x02"] {
        let (verdict, publish, record) = judged("ami/v1/gateways/G1/reads", payload, &Enrolment::default());
        assert_eq!(verdict, Verdict::StoreUndecodable, "{payload:?}");
        assert!(publish.is_empty());
        let Body::Undecodable {
            topic,
            payload: kept,
            reason,
            ..
        } = record::decode(&record).unwrap().body
        else {
            panic!("an undecodable record was expected");
        };
        assert_eq!((topic, kept), ("ami/v1/gateways/G1/reads", payload));
        assert!(!reason.is_empty());
    }
}

#[test]
fn other_topics_are_nobodys() {
    for topic in [
        "",
        "ami/v1/meters/M1",
        "ami/v1/meters/M1/reads/x",
        "ami/v2/meters/M1/reads",
        "$SYS/x",
        "ami/v1/meters/+/reads",
    ] {
        let (verdict, _, record) = judged(topic, b"{}", &Enrolment::default());
        assert!(
            matches!(verdict, Verdict::NotYours(NotYours::Topic(_))),
            "{topic}"
        );
        assert!(record.is_empty());
    }
}
