use super::*;
use crate::accountability::ActionStatus;

fn row(id: &str) -> Quarantined {
    Quarantined {
        exception_id: id.to_owned(),
        received_at: UtcMicros(5),
        source: "gateway:G1".to_owned(),
        topic: None,
        content_type: Some("application/json".to_owned()),
        meter_id: Some("M1".to_owned()),
        interval_end: Some(UtcMicros(-7)),
        reason: "too_old".to_owned(),
        payload: vec![0, 255, 7],
    }
}

#[test]
fn a_release_comes_back_as_it_was_written_and_no_part_of_it_is_taken_for_a_whole() {
    let rows = vec![
        row("7-0-too_old"),
        Quarantined {
            meter_id: None,
            interval_end: None,
            payload: Vec::new(),
            ..row("8")
        },
    ];
    let mut bytes = Vec::new();
    encode_release(UtcMicros(9), "api:replay", &rows, &mut bytes);
    let first = {
        let mut first = Vec::new();
        encode_release(UtcMicros(9), "api:replay", &rows[..1], &mut first);
        first.len()
    };
    let record = decode(&bytes).unwrap();
    assert_eq!((record.recorded_at, record.source), (UtcMicros(9), "api:replay"));
    assert_eq!(record.body, Body::Release(rows));
    let header = 1 + 8 + 2 + "api:replay".len();
    for cut in header + 1..bytes.len() {
        let whole = cut == first;
        assert_eq!(
            decode(&bytes[..cut]).is_ok(),
            whole,
            "cut at {cut} of {}",
            bytes.len()
        );
    }
}

#[test]
fn words_on_compensation_and_requests_come_back_as_they_were_written() {
    use crate::compensation::{Acknowledgement, Approval, ApprovalStep, RequestKind, Taken};
    let words = [
        CompensationWord::Acknowledged(Acknowledgement {
            idempotency_key: "bill-7".to_owned(),
            status: Taken::Exported,
            entry_ids: vec!["CE1".to_owned(), "CE2".to_owned()],
            reference: None,
        }),
        CompensationWord::Approved(Approval {
            person: "A. Rao".to_owned(),
            step: ApprovalStep::Check,
            entry_ids: vec!["CE1".to_owned()],
        }),
    ];
    for word in words {
        let mut bytes = Vec::new();
        encode_compensation(UtcMicros(9), "api:billing", &word, &mut bytes).unwrap();
        assert_eq!(bytes[0], 10);
        assert_eq!(decode(&bytes).unwrap().body, Body::Compensation(word));
    }
    let rows = vec![ServiceRequestRow {
        request_id: "R1".to_owned(),
        consumer_id: crate::ConsumerId::parse("C1").unwrap(),
        kind: RequestKind::LoadChange,
        opened_at: UtcMicros(1_774_981_800_000_000),
        closed_at: None,
    }];
    let mut bytes = Vec::new();
    encode_requests(UtcMicros(9), "file:service_requests.csv", &rows, &mut bytes).unwrap();
    assert_eq!(bytes[0], 11);
    assert_eq!(decode(&bytes).unwrap().body, Body::Requests(rows));
    let rows = vec![ClaimRow {
        claim_id: "K1".to_owned(),
        consumer_id: crate::ConsumerId::parse("C1").unwrap(),
        about: "supply:2026-04-01T04:30:00Z".parse().unwrap(),
        filed_at: UtcMicros(1_774_981_800_000_000),
        upheld_at: Some(UtcMicros(1_774_981_900_000_000)),
    }];
    let mut bytes = Vec::new();
    encode_claims(UtcMicros(9), "file:claims.csv", &rows, &mut bytes).unwrap();
    assert_eq!(bytes[0], 12);
    assert_eq!(decode(&bytes).unwrap().body, Body::Claims(rows));
    let rows = vec![FeederManagerRow {
        feeder_id: crate::NodeId::parse("F1").unwrap(),
        manager: "A. Rao".to_owned(),
        contact: None,
        valid_from: UtcMicros(1_774_981_800_000_000),
        valid_to: None,
    }];
    let mut bytes = Vec::new();
    encode_managers(UtcMicros(9), "file:feeder_managers.csv", &rows, &mut bytes).unwrap();
    assert_eq!(bytes[0], 14);
    assert_eq!(decode(&bytes).unwrap().body, Body::Managers(rows));
    let action = FeederAction {
        action_id: "F1-1".to_owned(),
        feeder_id: crate::NodeId::parse("F1").unwrap(),
        month: crate::Day::parse("2026-04-01").unwrap(),
        person: "A. Rao".to_owned(),
        cause: "hooking".to_owned(),
        mitigation: None,
        starts_on: None,
        due_on: None,
        done_on: None,
        status: ActionStatus::Open,
    };
    let mut bytes = Vec::new();
    encode_action(UtcMicros(9), &action, &mut bytes).unwrap();
    let record = decode(&bytes).unwrap();
    assert_eq!((bytes[0], record.source), (15, "person:A. Rao"));
    assert_eq!(record.body, Body::Action(Box::new(action)));
}

#[test]
fn only_a_publish_with_an_event_is_one_with_events() {
    let at = UtcMicros(1_774_981_800_000_000);
    let mut publish = Publish::default();
    publish.begin_meter("M1").unwrap();
    publish.push_read(crate::IntervalRead::new(at, Some(5)));
    let mut bytes = Vec::new();
    encode_publish(at, "gateway:hes", &publish, &mut bytes);
    assert!(publish_with_events(&bytes).unwrap().is_none());
    publish.push_event(crate::PowerEvent {
        at,
        code: 101,
        sequence: None,
    });
    let mut bytes = Vec::new();
    encode_publish(at, "gateway:hes", &publish, &mut bytes);
    let (recorded_at, protobuf) = publish_with_events(&bytes).unwrap().unwrap();
    let mut again = Publish::default();
    decode_publish(protobuf, &mut again).unwrap();
    assert_eq!((recorded_at, again.event_count()), (at, 1));
    let mut other = Vec::new();
    encode_undecodable(at, "gateway:hes", ["a", "b", "c"], protobuf, &mut other);
    assert!(publish_with_events(&other).unwrap().is_none());
}
