//! April 2026 of two DTs: on T1 one consumer bypasses its meter, one put a magnet on it, one is billed too little, and the rest are honest;
//! of T2 so little is known that it is not judged.

use std::{fmt::Write as _, path::Path};

/// Files, each after those that it needs.
pub const KINDS: [&str; 6] = ["nodes", "meters", "connections", "billing", "events", "reads"];
/// The twelfth of May: April is over and settled.
pub const SETTINGS: [(&str, &str); 4] = [
    ("now", "2026-05-12T10:00:00+05:30"),
    ("engine.checkpoint_seconds", "3600"),
    ("engine.tick_ms", "100"),
    ("suspicion.every_seconds", "1"),
];
pub const QUARTERS: i64 = 30 * 96;
/// Of the DT T1; C6 is honest throughout.
pub const CONSUMERS: i64 = 6;
/// The sixteenth of April.
pub const MAGNET_DAY: i64 = 15;

/// Draws that are the same everywhere (SplitMix64).
fn draw(of: i64, at: i64, most: i64) -> i64 {
    let mut value = of.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15)
        ^ at.cast_unsigned().wrapping_mul(0xD1B5_4A32_D192_ED03);
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    i64::try_from((value ^ (value >> 31)) >> 33).unwrap() % most
}

/// What a consumer really draws in a quarter, Wh.
pub fn load(consumer: i64, quarter: i64) -> i64 {
    60 + draw(consumer, quarter, 120)
}

/// What its meter counts: C3 bypasses half, C5's magnet takes three quarters from the seventeenth on.
pub fn counted(consumer: i64, quarter: i64) -> i64 {
    let load = load(consumer, quarter);
    match consumer {
        3 => load / 2,
        5 if quarter > (MAGNET_DAY + 1) * 96 => load / 4,
        _ => load,
    }
}

pub fn end_of(quarter: i64) -> String {
    let (day, of_day) = (quarter / 96 + 1, quarter % 96);
    let (month, day) = if day > 30 { (5, day - 30) } else { (4, day) };
    format!(
        "2026-{month:02}-{day:02}T{:02}:{:02}:00+05:30",
        of_day / 4,
        of_day % 4 * 15
    )
}

/// What a consumer of T1 is billed for in April if it is billed right, kWh.
pub fn right(consumer: i64) -> i64 {
    (1..=QUARTERS)
        .map(|quarter| counted(consumer, quarter))
        .sum::<i64>()
        / 1_000
}

/// T1 has six consumers; of T2 one of three is silent, so that it is not judged, whatever it loses.
pub fn files(folder: &Path) {
    let since = "2020-01-01T00:00:00+05:30";
    let nodes = format!(
        "node_id,kind,parent_id,technical_loss_pct,valid_from\n\
         D,discom,,,{since}\nZ,zone,D,,{since}\nF1,feeder,Z,,{since}\nF2,feeder,Z,,{since}\nT1,dt,F1,5,{since}\nT2,dt,F2,5,{since}\n"
    );
    let mut meters = format!(
        "meter_id,role,node_id,interval_minutes,multiplier,valid_from\nMT1,dt,T1,15,1,{since}\nMT2,dt,T2,15,1,{since}\n"
    );
    let mut connections =
        "consumer_id,meter_id,node_id,category,supply,phases,sanctioned_load_kw,metering,valid_from\n"
            .to_owned();
    let mut billing = "consumer_id,month,billed_kwh,billed_inr\n".to_owned();
    for consumer in 1..=CONSUMERS + 3 {
        let dt = if consumer > CONSUMERS { "T2" } else { "T1" };
        writeln!(meters, "M{consumer},consumer,,15,1,{since}").unwrap();
        writeln!(
            connections,
            "C{consumer},M{consumer},{dt},LT-domestic,LT,1,5,postpaid,{since}"
        )
        .unwrap();
        let billed = if consumer == 2 {
            right(consumer) / 2
        } else {
            right(consumer)
        };
        writeln!(billing, "C{consumer},2026-04,{billed},{}", billed * 7).unwrap();
    }
    let mut reads = "meter_id,interval_end,import_wh\n".to_owned();
    for quarter in 1..=QUARTERS {
        let end = end_of(quarter);
        for (dt, consumers) in [(1, 1..=CONSUMERS), (2, CONSUMERS + 1..=CONSUMERS + 3)] {
            let drawn: i64 = consumers.clone().map(|consumer| load(consumer, quarter)).sum();
            let lost = if dt == 2 { drawn } else { drawn / 25 };
            writeln!(reads, "MT{dt},{end},{}", drawn + lost).unwrap();
            for consumer in consumers.filter(|consumer| *consumer != CONSUMERS + 3) {
                writeln!(reads, "M{consumer},{end},{}", counted(consumer, quarter)).unwrap();
            }
        }
    }
    let events = format!(
        "meter_id,at,code,sequence\nM5,{},201,1\nM6,{},201,1\n",
        end_of(MAGNET_DAY * 96 + 50),
        end_of(MAGNET_DAY * 96 + 50)
    );
    for (name, text) in [
        ("nodes", nodes),
        ("meters", meters),
        ("connections", connections),
        ("billing", billing),
        ("events", events),
        ("reads", reads),
    ] {
        std::fs::write(folder.join(format!("{name}.csv")), text).unwrap();
    }
}
