//! Bad input of every kind neither stops nor slows the rest; each gets its defined answer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::print_stdout,
    clippy::too_many_lines,
    clippy::too_many_arguments,
    clippy::large_futures,
    clippy::needless_pass_by_value,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "tests fail by panicking, and are an edge"
)]

mod product;

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use product::{PATIENCE, Product, publisher::publish_all, real_data};
use serde_json::json;

fn connect(broker: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(broker).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// CONNECT of MQTT 3.1.1 (level 4) or 5 (level 5), clean.
fn connect_packet(level: u8, client_id: &str) -> Vec<u8> {
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', level, 2, 0, 60];
    if level == 5 {
        body.push(0);
    }
    body.extend_from_slice(&(client_id.len() as u16).to_be_bytes());
    body.extend_from_slice(client_id.as_bytes());
    let mut packet = vec![0x10, body.len() as u8];
    packet.extend(body);
    packet
}

/// PUBLISH at QoS 1.
fn publish_packet(level: u8, topic: &str, id: u16, payload: &[u8]) -> Vec<u8> {
    let mut body = (topic.len() as u16).to_be_bytes().to_vec();
    body.extend_from_slice(topic.as_bytes());
    body.extend_from_slice(&id.to_be_bytes());
    if level == 5 {
        body.push(0);
    }
    body.extend_from_slice(payload);
    let mut packet = vec![0x32];
    let mut length = body.len();
    loop {
        let digit = (length % 128) as u8;
        length /= 128;
        packet.push(if length > 0 { digit | 0x80 } else { digit });
        if length == 0 {
            break;
        }
    }
    packet.extend(body);
    packet
}

fn read_packet(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = [0; 2];
    match stream.read_exact(&mut head) {
        Ok(()) => {}
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
            ) =>
        {
            return None;
        }
        Err(error) => panic!("{error}"),
    }
    let mut body = vec![0; usize::from(head[1])];
    stream.read_exact(&mut body).unwrap();
    Some([head.to_vec(), body].concat())
}

/// Connected: CONNACK with code 0 was read.
fn connected(broker: SocketAddr, level: u8, client_id: &str) -> TcpStream {
    let mut stream = connect(broker);
    stream.write_all(&connect_packet(level, client_id)).unwrap();
    let answer = read_packet(&mut stream).unwrap();
    assert_eq!((answer[0], answer[3]), (0x20, 0), "{answer:?}");
    stream
}

/// A well-behaved meter's publish, and how long its PUBACK took.
fn good_publish(product: &Product, at: u32) -> Duration {
    let end = format!("2026-04-02T{:02}:{:02}:00+05:30", at / 2, at % 2 * 30);
    let read = json!({ "reads": [{ "interval_end": end, "import_wh": 100 + at }] }).to_string();
    let begin = Instant::now();
    publish_all(
        product.mqtt,
        &format!("good-{at}"),
        vec![("ami/v1/meters/SD10006414/reads".to_owned(), read.into_bytes())],
    );
    begin.elapsed()
}

fn product_with_network(settings: &[(&str, &str)]) -> (tempfile::TempDir, Product) {
    let folder = tempfile::tempdir().unwrap();
    let mut all = vec![("now", "2026-04-28T12:00:00+05:30")];
    all.extend_from_slice(settings);
    let product = Product::start(folder.path(), &all);
    for file in ["nodes.csv", "meters.csv", "connections.csv"] {
        product.import(&real_data().join(file));
    }
    (folder, product)
}

#[test]
fn garbage_gets_its_answer_and_the_rest_goes_on() {
    let (_folder, mut product) = product_with_network(&[("mqtt.connect_seconds_max", "2")]);
    random_bytes_close_their_connection_only(product.mqtt);
    random_bytes_close_their_connection_only(product.http);
    random_bodies_are_refused(&product);
    wrong_topics_and_truncated_payloads_are_answered(&product);
    a_ten_megabyte_publish_is_refused(&product);
    let quiet = good_publish(&product, 1);

    // Half-open connections, and clients that publish and never read.
    let half_open: Vec<TcpStream> = (0..10_000)
        .map_while(|_| TcpStream::connect(product.mqtt).ok())
        .collect();
    assert!(
        half_open.len() >= 9_000,
        "{} half-open connections; raise `ulimit -n`",
        half_open.len()
    );
    let deaf = a_client_that_never_reads(&product);
    let loud = good_publish(&product, 2);
    assert!(
        loud < Duration::from_secs(2) + 10 * quiet,
        "a PUBACK took {loud:?} beside 10,000 half-open connections, {quiet:?} before"
    );
    for mut stream in half_open.into_iter().take(10) {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert!(
            read_packet(&mut stream).is_none(),
            "a connection without CONNECT is closed"
        );
    }
    let written = deaf.join().unwrap();
    assert!(
        written > 10_000,
        "cut off after {written} publishes, long before its PUBACKs fill the kernel's buffers"
    );
    let after = good_publish(&product, 3);
    assert!(
        after < Duration::from_secs(2) + 10 * quiet,
        "a PUBACK took {after:?} after all this"
    );

    assert!(product.is_running());
    product.wait_applied();
    product.checkpoint();
    assert_eq!(
        product.sql_number(
            "SELECT COUNT(*) FROM interval_reads WHERE meter_id = 'SD10006414' AND import_wh IN (101, 102, 103)"
        ),
        3
    );
    assert_eq!(product.metric("gridtally_reads_unaccounted"), 0.0, "CONS-1");
}

fn random_bytes_close_their_connection_only(endpoint: SocketAddr) {
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    for _ in 0..300 {
        let mut stream = connect(endpoint);
        let bytes: Vec<u8> = (0..64)
            .flat_map(|_| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random.to_le_bytes()
            })
            .collect();
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    }
}

/// Bodies that are not what their route takes: each is told so.
fn random_bodies_are_refused(product: &Product) {
    let mut random = product::Random::from_seed(4_711).1;
    for round in 0..200 {
        let bytes: Vec<u8> = (0..random.below(400)).map(|_| random.below(256) as u8).collect();
        let (path, media_type) = [
            ("/api/v1/sql", "application/json"),
            ("/api/v1/import/reads?name=reads.csv", "text/csv"),
            (
                "/api/v1/import/reads?name=reads.parquet",
                "application/vnd.apache.parquet",
            ),
            ("/api/v1/nowhere", "application/json"),
        ][round % 4];
        let (status, answer) = product.post(path, media_type, &bytes);
        // Of a file the rows that cannot be read are told one by one.
        let told = if path.starts_with("/api/v1/import/reads?name=reads.csv") {
            200..500
        } else {
            400..500
        };
        assert!(told.contains(&status), "{path} {bytes:?}: {status} {answer}");
    }
}

fn wrong_topics_and_truncated_payloads_are_answered(product: &Product) {
    let read = br#"{"reads":[{"interval_end":"2026-04-01T00:30:00+05:30","import_wh":7}]}"#;
    let mut five = connected(product.mqtt, 5, "five");
    let other =
        br#"{"meter_id":"SD10017554","reads":[{"interval_end":"2026-04-01T00:30:00+05:30","import_wh":7}]}"#;
    let cases: [(&str, &[u8], u8); 5] = [
        ("ami/v1/meters/SD10006414/reads", read, 0x00),
        ("ami/v1/meters/SD10006414/reads", &read[..40], 0x99),
        ("ami/v1/meters/SD10006414/reads", &[0xFF; 100], 0x99),
        ("ami/v1/meters/SD10006414/reads", other, 0x87),
        ("somewhere/else", read, 0x87),
    ];
    for (at, (topic, payload, code)) in cases.into_iter().enumerate() {
        five.write_all(&publish_packet(5, topic, at as u16 + 1, payload))
            .unwrap();
        let answer = read_packet(&mut five).expect("MQTT 5 keeps its connection");
        assert_eq!(answer[0], 0x40);
        assert_eq!(answer[2..4], (at as u16 + 1).to_be_bytes());
        assert_eq!(answer.get(4).copied().unwrap_or(0), code, "case {at}");
    }
    let mut old = connected(product.mqtt, 4, "old");
    old.write_all(&publish_packet(
        4,
        "ami/v1/meters/SD10006414/reads",
        1,
        &read[..40],
    ))
    .unwrap();
    assert_eq!(
        read_packet(&mut old),
        Some(vec![0x40, 2, 0, 1]),
        "3.1.1 hears PUBACK for what is kept in quarantine"
    );
    old.write_all(&publish_packet(4, "somewhere/else", 2, read))
        .unwrap();
    assert_eq!(
        read_packet(&mut old),
        None,
        "3.1.1 has no reason codes: 0x87 closes the connection"
    );
}

fn a_ten_megabyte_publish_is_refused(product: &Product) {
    for level in [4, 5] {
        let mut stream = connected(product.mqtt, level, "large");
        let packet = publish_packet(level, "ami/v1/meters/SD10006414/reads", 1, &vec![b'x'; 10 << 20]);
        let _ = stream.write_all(&packet);
        match read_packet(&mut stream) {
            None => {}
            Some(answer) => assert_eq!(
                (level, answer[0], answer[2]),
                (5, 0xE0, 0x95),
                "DISCONNECT packet too large: {answer:?}"
            ),
        }
    }
}

/// Publishes for ever and never reads its PUBACKs; gives how many it could write before it was cut off.
fn a_client_that_never_reads(product: &Product) -> std::thread::JoinHandle<usize> {
    let mut stream = connected(product.mqtt, 4, "deaf");
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let read = br#"{"reads":[{"interval_end":"2026-04-01T00:30:00+05:30","import_wh":7}]}"#;
    let packet = publish_packet(4, "ami/v1/meters/SD10006414/reads", 1, read);
    std::thread::spawn(move || {
        for written in 0.. {
            if let Err(error) = stream.write_all(&packet) {
                let cut_off = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&error.kind());
                assert!(cut_off, "{written} publishes were written, then {error}");
                return written;
            }
        }
        unreachable!()
    })
}
