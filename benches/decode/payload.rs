//! What is decoded.

use gridtally_schemas::{
    IntervalRead, Publish, UtcMicros,
    wire::{self, Encoding},
};

/// What a gateway sends for so many meters, with so many reads each.
pub fn publish(meters: i64, reads_each: i64) -> Publish {
    let mut publish = Publish::default();
    for meter in 0..meters {
        publish
            .begin_meter(&format!("MH{:08}", 1_000_000 + meter))
            .unwrap();
        for read in 0..reads_each {
            let number = meter * 31 + read * 7;
            let end = UtcMicros::parse("2026-04-01T00:30:00+05:30").unwrap();
            publish.push_read(IntervalRead {
                export_wh: Some(number % 40),
                import_vah: Some(341 + number % 900),
                voltage_v: Some(231.4 + (number % 90) as f32 / 10.0),
                current_a: Some(1.42 + (number % 500) as f32 / 100.0),
                ..IntervalRead::new(end.plus(read * 900_000_000), Some(312 + number % 900))
            });
        }
    }
    publish
}

/// It in an encoding.
pub fn payload(encoding: Encoding, publish: &Publish) -> Vec<u8> {
    let mut bytes = Vec::new();
    match encoding {
        Encoding::Json => wire::encode_json(publish, &mut bytes),
        Encoding::Protobuf => wire::encode_protobuf(publish, &mut bytes),
        Encoding::ArrowStream => bytes = wire::encode_arrow_stream(publish).unwrap(),
    }
    bytes
}
