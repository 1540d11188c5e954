//! Tests of a whole run against a broker that breaks connections off.

use std::{
    collections::HashMap,
    sync::{Mutex, atomic::AtomicUsize},
};

use gridtally_schemas::{
    Publish, UtcMicros,
    topic::{Publisher, Topic},
    wire,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::{FleetConfig, delivery, flow::Reads};

/// The broker breaks a connection off after so many publishes, without answer to the last.
const PUBLISHES_A_CONNECTION: usize = 7;

/// Reads by meter and interval as a broker received them, and how often.
type Received = HashMap<(String, UtcMicros, Option<i64>, i32), usize>;

/// A broker of MQTT 3.1.1 at QoS 1 that takes everything.
async fn broker(listener: TcpListener, received: Arc<Mutex<Received>>, connections: Arc<AtomicUsize>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.fetch_add(1, Relaxed);
        tokio::spawn(serve(stream, Arc::clone(&received)));
    }
}

async fn serve(mut stream: TcpStream, received: Arc<Mutex<Received>>) -> std::io::Result<()> {
    let mut publishes = 0;
    loop {
        let (kind, body) = packet(&mut stream).await?;
        match kind >> 4 {
            1 => stream.write_all(&[0x20, 2, 0, 0]).await?,
            3 => {
                publishes += 1;
                let topic = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
                let sent = Topic::parse(std::str::from_utf8(&body[2..topic]).unwrap()).unwrap();
                note(&received, &sent.publisher, &body[topic + 2..]);
                if publishes == PUBLISHES_A_CONNECTION {
                    return Ok(());
                }
                stream.write_all(&[0x40, 2, body[topic], body[topic + 1]]).await?;
            }
            _ => return Ok(()),
        }
    }
}

async fn packet(stream: &mut TcpStream) -> std::io::Result<(u8, Vec<u8>)> {
    let kind = stream.read_u8().await?;
    let (mut length, mut shift) = (0, 0);
    loop {
        let digit = stream.read_u8().await?;
        length |= usize::from(digit & 0x7F) << shift;
        shift += 7;
        if digit < 0x80 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok((kind, body))
}

fn note(received: &Mutex<Received>, publisher: &Publisher, payload: &[u8]) {
    let mut publish = Publish::default();
    wire::decode(Encoding::Protobuf, payload, publisher, &mut publish).unwrap();
    let mut received = received.lock().unwrap();
    for meter in publish.meters() {
        for read in meter.reads {
            let key = (
                meter.meter_id.to_owned(),
                read.interval_end,
                read.import_wh,
                read.revision,
            );
            *received.entry(key).or_default() += 1;
        }
    }
}

#[tokio::test]
async fn a_broker_that_breaks_off_loses_nothing() {
    let fleet = Fleet::new(FleetConfig::new(3, 200, FleetConfig::demo().start)).unwrap();
    let start = fleet.config().start;
    let span = Span::between(start, start.plus(5 * 3_600_000_000));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (received, connections) = (Arc::new(Mutex::default()), Arc::new(AtomicUsize::new(0)));
    let broker = tokio::spawn(broker(listener, Arc::clone(&received), Arc::clone(&connections)));
    let config = PublishConfig {
        version: Version::V311,
        reads_per_publish: 40,
        in_flight: 5,
        ..PublishConfig::new("127.0.0.1", port, span)
    };
    let report = run(fleet.clone(), config, std::future::pending()).await.unwrap();
    broker.abort();

    let received = received.lock().unwrap();
    let (mut planned, mut reads) = (0, Reads::default());
    for feeder in fleet.feeders() {
        for quarter in span.quarters() {
            reads.compute(&feeder, &fleet.config().zone, quarter);
            for (meter, read) in reads.iter(&feeder) {
                let plan = delivery::sendings(&fleet.config().imperfections, meter, quarter);
                for sending in plan.into_iter().flatten() {
                    planned += 1;
                    let read = delivery::version(meter, read, sending.said);
                    let key = (
                        meter.meter.id().unwrap().to_string(),
                        read.interval_end,
                        read.import_wh,
                        read.revision,
                    );
                    assert!(received.contains_key(&key), "{key:?} never came");
                }
            }
        }
    }
    assert!(planned > 1_500, "{planned}");
    assert_eq!((report.reads, report.reads_acked), (planned, planned));
    assert_eq!(
        (report.publishes_refused, report.publishes_unacknowledged),
        (0, 0)
    );
    // Every connection that broke off left its last publish without answer, and the fleet sent it again.
    let breaks = report.publishes / crate::prng::count(PUBLISHES_A_CONNECTION);
    assert!(breaks > 5, "{report:?}");
    assert!(
        report.reconnects >= breaks && report.retries >= breaks,
        "{report:?}"
    );
    assert!(crate::prng::count(connections.load(Relaxed)) > report.reconnects);
}
