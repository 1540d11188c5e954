use super::*;

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
