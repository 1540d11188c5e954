use proptest::prelude::*;

use super::*;
use crate::{GatewayId, IntervalRead, MeterId, PowerEvent, RegisterRead};

mod generated {
    #![allow(
        missing_docs,
        clippy::all,
        clippy::pedantic,
        unreachable_pub,
        reason = "made by prost: the oracle of the reader by hand"
    )]
    include!(concat!(env!("OUT_DIR"), "/ami.v1.rs"));
}

fn meter(id: &str) -> Publisher {
    Publisher::Meter(MeterId::parse(id).unwrap())
}

fn gateway() -> Publisher {
    Publisher::Gateway(GatewayId::parse("hes").unwrap())
}

const CONTRACT_EXAMPLE: &str = r#"{"meters":[{"meter_id":"MH01000123",
  "reads":[{"interval_end":"2026-04-01T00:30:00+05:30","import_wh":312,"export_wh":0,
            "import_vah":341,"voltage_v":231.4,"current_a":1.42}],
  "registers":[{"at":"2026-04-01T00:00:00+05:30","import_wh":128734512,"export_wh":0}],
  "events":[{"code":101,"at":"2026-04-01T10:02:11+05:30","sequence":8812}]}]}"#;

#[test]
fn the_contract_s_example_is_read() {
    let mut publish = Publish::default();
    decode(
        Encoding::detect(None, CONTRACT_EXAMPLE.as_bytes()),
        CONTRACT_EXAMPLE.as_bytes(),
        &gateway(),
        &mut publish,
    )
    .unwrap();
    let span = publish.meters().next().unwrap();
    assert_eq!(span.meter_id, "MH01000123");
    let read = span.reads[0];
    assert_eq!(
        (read.import_wh, read.export_wh, read.import_vah),
        (Some(312), Some(0), Some(341))
    );
    assert_eq!(
        (read.voltage_v, read.current_a, read.revision),
        (Some(231.4), Some(1.42), 0)
    );
    assert_eq!(read.interval_end.to_string(), "2026-03-31T19:00:00+00:00");
    assert_eq!(span.registers[0].import_wh, Some(128_734_512));
    assert_eq!((span.events[0].code, span.events[0].sequence), (101, Some(8812)));
}

#[test]
fn a_meter_may_leave_out_the_wrapper_and_its_id_and_put_it_last() {
    let mut publish = Publish::default();
    for payload in [
        r#"{"reads":[{"import_wh":7,"interval_end":"2026-04-01T00:30:00Z","new_field":[1,{}]}]}"#,
        r#"{"reads":[{"interval_end":"2026-04-01T00:30:00Z","import_wh":7}],"meter_id":"M1"}"#,
        r#"{"meters":[{"reads":[{"interval_end":"2026-04-01T00:30:00Z","import_wh":7}]}]}"#,
    ] {
        decode(Encoding::Json, payload.as_bytes(), &meter("M1"), &mut publish).unwrap();
        let spans: Vec<_> = publish
            .meters()
            .map(|span| (span.meter_id, span.reads.to_vec()))
            .collect();
        let expected = IntervalRead::new(UtcMicros::parse("2026-04-01T00:30:00Z").unwrap(), Some(7));
        assert_eq!(spans, [("M1", vec![expected])], "{payload}");
    }
}

#[test]
fn fields_of_one_meter_may_stand_beside_those_of_many_in_any_order() {
    let (own, many) = (
        r#""reads":[{"interval_end":"2026-04-01T00:30:00Z","import_wh":1}]"#,
        r#""meters":[{"events":[{"code":101,"at":"2026-04-01T00:00:00Z"}],"meter_id":"M1"}]"#,
    );
    let more = r#""registers":[{"at":"2026-04-01T00:00:00Z"}]"#;
    let mut publish = Publish::default();
    let mut check = |publisher: &Publisher, payload: String, expected: &[(&str, [usize; 3])]| {
        decode(Encoding::Json, payload.as_bytes(), publisher, &mut publish).unwrap();
        let parts: Vec<_> = publish
            .meters()
            .map(|span| {
                let counts = [span.reads.len(), span.registers.len(), span.events.len()];
                (span.meter_id, counts)
            })
            .collect();
        assert_eq!(parts, expected, "{payload}");
    };
    let own_meter = meter("M1");
    check(&own_meter, format!("{{{own},{more}}}"), &[("M1", [1, 1, 0])]);
    check(
        &own_meter,
        format!("{{{many},{own}}}"),
        &[("M1", [0, 0, 1]), ("M1", [1, 0, 0])],
    );
    check(
        &own_meter,
        format!("{{{own},{many},{more}}}"),
        &[("M1", [1, 0, 0]), ("M1", [0, 0, 1]), ("M1", [0, 1, 0])],
    );
    check(
        &gateway(),
        format!(r#"{{"meter_id":"M2",{own},{many}}}"#),
        &[("M2", [1, 0, 0]), ("M1", [0, 0, 1])],
    );
    // What says nothing needs no meter.
    check(
        &gateway(),
        format!(r#"{{"reads":[],{many},"events":[]}}"#),
        &[("M1", [0, 0, 1])],
    );
}

#[test]
fn a_publish_that_is_decoded_into_again_keeps_its_buffers() {
    let mut sent = Publish::default();
    for meter in 0..20 {
        sent.begin_meter(&format!("M{meter}")).unwrap();
        for quarter in 0..50 {
            sent.push_read(IntervalRead::new(
                EARLIEST.plus(quarter * 900_000_000),
                Some(quarter),
            ));
        }
    }
    let (mut protobuf, mut json) = (Vec::new(), Vec::new());
    encode_protobuf(&sent, &mut protobuf);
    encode_json(&sent, &mut json);
    let stream = encode_arrow_stream(&sent).unwrap();
    let mut publish = Publish::default();
    let mut place = |encoding, payload: &[u8]| {
        decode(encoding, payload, &gateway(), &mut publish).unwrap();
        assert_eq!(publish.read_count(), 1_000);
        publish.meters().next().unwrap().reads.as_ptr()
    };
    let first = place(Encoding::Protobuf, &protobuf);
    for _ in 0..3 {
        assert_eq!(place(Encoding::Json, &json), first);
        assert_eq!(place(Encoding::Protobuf, &protobuf), first);
        assert_eq!(place(Encoding::ArrowStream, &stream), first);
    }
}

fn check_refused(publisher: &Publisher, payload: &str, expected: &str) {
    let mut publish = Publish::default();
    let error = decode(Encoding::Json, payload.as_bytes(), publisher, &mut publish).unwrap_err();
    assert_eq!(error.to_string(), expected, "{payload}");
    assert!(publish.is_empty() && publish.meters().next().is_none());
}

#[test]
fn what_cannot_be_read_says_why() {
    let (own, check) = (meter("M1"), check_refused);
    check(
        &own,
        "{",
        "payload is not JSON: EOF while parsing an object at line 1 column 1",
    );
    check(&own, "{}", "payload carries no read, register or event");
    check(
        &own,
        r#"{"reads":[{"import_wh":1}]}"#,
        "payload is not JSON: missing field `interval_end` at line 1 column 25",
    );
    check(
        &own,
        r#"{"reads":[{"interval_end":"2026-04-01","import_wh":1}]}"#,
        "payload is not JSON: `2026-04-01` is not a time: RFC 3339 with offset between 2000 and 2100, such as \
         2026-04-01T00:30:00+05:30 at line 1 column 38",
    );
    check(
        &own,
        r#"{"reads":[{"interval_end":"2026-04-01T00:30:00Z","import_wh":1.5}]}"#,
        "payload is not JSON: invalid type: floating point `1.5`, expected i64 at line 1 column 64",
    );
    check(
        &own,
        r#"{"meter_id":"M2","reads":[{"interval_end":"2026-04-01T00:30:00Z","import_wh":1}]}"#,
        "payload of meter M1 speaks for meter M2",
    );
    check(
        &gateway(),
        r#"{"meters":[{"reads":[{"interval_end":"2026-04-01T00:30:00Z","import_wh":1}]}]}"#,
        "payload of a gateway has a part without meter_id",
    );
    check(
        &gateway(),
        r#"{"meters":[{"meter_id":"M 1","reads":[]}]}"#,
        "payload names a meter with an invalid id",
    );
    check(
        &gateway(),
        r#"{"reads":[{"interval_end":"2026-04-01T00:30:00Z"}],"meters":[],"meter_id":"M1"}"#,
        "payload of a gateway has a part without meter_id",
    );
    check(
        &own,
        r#"{"meter_id":"M2","reads":[{"interval_end":"2026-04-01T00:30:00Z","import_wh":1}]"#,
        "payload is not JSON: EOF while parsing an object at line 1 column 80",
    );
}

#[test]
fn what_json_cannot_say_names_the_field_and_the_place() {
    let (own, check) = (meter("M1"), check_refused);
    check(
        &own,
        r#"{"reads":[],"reads":[]}"#,
        "payload is not JSON: duplicate field `reads` at line 1 column 19",
    );
    check(
        &own,
        r#"{"reads":[{"interval_end":"2026-04-01T00:30:00Z","voltage_v":1e39}]}"#,
        "payload is not JSON: voltage_v is too large a number at line 1 column 67",
    );
    check(
        &own,
        r#"{"reads":null}"#,
        "payload is not JSON: invalid type: null, expected a list of reads at line 1 column 13",
    );
    check(
        &own,
        "[1]",
        "payload is not JSON: invalid type: sequence, expected an object with the field meters, or with those of one \
         meter at line 1 column 0",
    );
    check(
        &own,
        r#"{"events":[{"code":1,"at":"2026-04-01T00:30:00Z"}]} x"#,
        "payload is not JSON: trailing characters at line 1 column 53",
    );
}

fn reads() -> impl Strategy<Value = IntervalRead> {
    let time = || (EARLIEST.0..=LATEST.0).prop_map(UtcMicros);
    let wh = || prop::option::of(any::<i64>());
    let number = || prop::option::of(-1.0e6_f32..1.0e6);
    (
        time(),
        (wh(), wh(), wh()),
        (number(), number()),
        prop::option::of(time()),
        any::<i32>(),
    )
        .prop_map(
            |(
                interval_end,
                (import_wh, export_wh, import_vah),
                (voltage_v, current_a),
                captured_at,
                revision,
            )| IntervalRead {
                interval_end,
                import_wh,
                export_wh,
                import_vah,
                voltage_v,
                current_a,
                captured_at,
                revision,
            },
        )
}

fn publishes(with_all: bool) -> impl Strategy<Value = Publish> {
    let time = || (EARLIEST.0..=LATEST.0).prop_map(UtcMicros);
    let wh = || prop::option::of(any::<i64>());
    let register = (time(), wh(), wh()).prop_map(|(at, import_wh, export_wh)| RegisterRead {
        at,
        import_wh,
        export_wh,
    });
    let event =
        (time(), any::<i32>(), wh()).prop_map(|(at, code, sequence)| PowerEvent { at, code, sequence });
    let most = if with_all { 3 } else { 0 };
    let part = (
        "[A-Z]{1,3}[0-9]{1,8}",
        prop::collection::vec(reads(), 1..5),
        prop::collection::vec(register, 0..=most),
        prop::collection::vec(event, 0..=most),
    );
    prop::collection::vec(part, 1..6).prop_map(|mut parts| {
        parts.dedup_by(|one, other| one.0 == other.0);
        let mut publish = Publish::default();
        for (id, reads, registers, events) in parts {
            publish.begin_meter(&id).unwrap();
            reads.into_iter().for_each(|read| publish.push_read(read));
            registers
                .into_iter()
                .for_each(|register| publish.push_register(register));
            events.into_iter().for_each(|event| publish.push_event(event));
        }
        publish
    })
}

fn read_back(encoding: Encoding, payload: &[u8]) -> Publish {
    let mut publish = Publish::default();
    decode(encoding, payload, &gateway(), &mut publish).unwrap();
    publish
}

const ENCODINGS: [Encoding; 3] = [Encoding::Json, Encoding::Protobuf, Encoding::ArrowStream];

// DEC-1: whatever the bytes, decoding ends in a publish or an error that says why.
proptest! {
    #[test]
    fn every_encoding_gives_back_what_was_encoded(publish in publishes(true), reads_only in publishes(false)) {
        let (mut protobuf, mut json) = (Vec::new(), Vec::new());
        encode_protobuf(&publish, &mut protobuf);
        encode_json(&publish, &mut json);
        prop_assert_eq!(&read_back(Encoding::detect(None, &json), &json), &publish);
        prop_assert_eq!(&read_back(Encoding::detect(None, &protobuf), &protobuf), &publish);
        let stream = encode_arrow_stream(&reads_only).unwrap();
        prop_assert_eq!(&read_back(Encoding::detect(None, &stream), &stream), &reads_only);
    }

    #[test]
    fn protobuf_agrees_with_the_generated_reader(publish in publishes(true)) {
        use prost::Message;
        let mut bytes = Vec::new();
        encode_protobuf(&publish, &mut bytes);
        let oracle = generated::Publish::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(oracle.meters.len(), publish.meters().count());
        for (theirs, ours) in oracle.meters.iter().zip(publish.meters()) {
            prop_assert_eq!(&theirs.meter_id, ours.meter_id);
            let times: Vec<i64> = ours.reads.iter().map(|read| read.interval_end.0).collect();
            prop_assert_eq!(theirs.reads.iter().map(|read| read.interval_end).collect::<Vec<_>>(), times);
            prop_assert_eq!(theirs.reads[0].import_wh, ours.reads[0].import_wh);
            prop_assert_eq!(theirs.reads[0].revision, ours.reads[0].revision);
        }
        prop_assert_eq!(read_back(Encoding::Protobuf, &oracle.encode_to_vec()), publish);
    }

    #[test]
    fn dec_1_any_bytes_give_a_publish_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut publish = Publish::default();
        for encoding in ENCODINGS {
            if decode(encoding, &bytes, &meter("M1"), &mut publish).is_err() {
                prop_assert!(publish.is_empty());
            }
        }
    }

    #[test]
    fn dec_1_a_damaged_payload_gives_a_publish_or_an_error(
        publish in publishes(true),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let (mut protobuf, mut json) = (Vec::new(), Vec::new());
        encode_protobuf(&publish, &mut protobuf);
        encode_json(&publish, &mut json);
        let stream = encode_arrow_stream(&publish).unwrap();
        let mut read = Publish::default();
        for (encoding, mut bytes) in ENCODINGS.into_iter().zip([json, protobuf, stream]) {
            let _ = decode(encoding, &bytes[..cut.index(bytes.len())], &gateway(), &mut read);
            for (at, value) in &damage {
                let at = at.index(bytes.len());
                bytes[at] = *value;
            }
            let _ = decode(encoding, &bytes, &gateway(), &mut read);
        }
    }

    #[test]
    fn dec_1_a_payload_that_was_cut_is_never_read_in_part(
        publish in publishes(true),
        reads_only in publishes(false),
        cut in any::<prop::sample::Index>(),
    ) {
        let (mut protobuf, mut json) = (Vec::new(), Vec::new());
        encode_protobuf(&publish, &mut protobuf);
        encode_json(&publish, &mut json);
        let stream = encode_arrow_stream(&reads_only).unwrap();
        let mut read = Publish::default();
        let json = &json[..cut.index(json.len())];
        prop_assert!(decode(Encoding::Json, json, &gateway(), &mut read).is_err());
        // A protobuf message has no end of its own: cut between two meters it is one of fewer meters, and nowhere else.
        let protobuf = &protobuf[..cut.index(protobuf.len())];
        if decode(Encoding::Protobuf, protobuf, &gateway(), &mut read).is_ok() {
            let mut again = Vec::new();
            encode_protobuf(&read, &mut again);
            prop_assert_eq!(again, protobuf);
        }
        // An Arrow stream may leave out the mark of its end.
        let stream = &stream[..cut.index(stream.len())];
        if decode(Encoding::ArrowStream, stream, &gateway(), &mut read).is_ok() {
            prop_assert_eq!(&read, &reads_only);
        }
    }
}

#[test]
fn a_skim_finds_events_wherever_they_stand_and_never_panics() {
    let mut publish = Publish::default();
    for id in ["M1", "M2", "M3"] {
        publish.begin_meter(id).unwrap();
        publish.push_read(IntervalRead::new(UtcMicros(1_774_981_800_000_000), Some(5)));
    }
    let mut reads = Vec::new();
    encode_protobuf(&publish, &mut reads);
    assert!(!has_events(&reads));
    publish.push_event(PowerEvent {
        at: UtcMicros(1_774_981_800_000_000),
        code: 101,
        sequence: None,
    });
    let mut both = Vec::new();
    encode_protobuf(&publish, &mut both);
    assert!(has_events(&both));
    for length in 0..both.len() {
        let _ = has_events(&both[..length]);
        let _ = has_events(&both[length..]);
    }
}
