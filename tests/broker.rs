//! An existing broker (Debian's mosquitto) as the source: shared subscription, acknowledged to the broker only when durable, so
//! that neither a killed gridtally nor a restarted broker loses what a meter was told is stored.
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
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use product::{PATIENCE, Product, have, publisher::publish_all, real_data};
use serde_json::json;

struct Broker {
    child: Child,
    address: SocketAddr,
}

impl Broker {
    fn start(folder: &Path, port: u16) -> Self {
        let config = folder.join("mosquitto.conf");
        let persistence = folder.join("mosquitto");
        std::fs::create_dir_all(&persistence).unwrap();
        std::fs::write(
            &config,
            format!(
                "listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {}/\nuser root\n\
                 max_queued_messages 100000\nautosave_interval 1\nautosave_on_changes true\n",
                persistence.display()
            ),
        )
        .unwrap();
        let program = if Path::new("/usr/sbin/mosquitto").exists() {
            "/usr/sbin/mosquitto"
        } else {
            "mosquitto"
        };
        let child = Command::new(program)
            .arg("-c")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            assert!(
                Instant::now() < deadline,
                "mosquitto does not listen on {address}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, address }
    }

    /// SIGTERM: mosquitto saves its sessions.
    fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(&pid).status().unwrap().success());
        self.child.wait().unwrap();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// 20 publishes of one read each, for half-hours from `first` on after 2026-04-01.
fn messages(first: i64) -> Vec<(String, Vec<u8>)> {
    let read = |at: i64| {
        let (day, slot) = (1 + at / 48, at % 48);
        let end = format!("2026-04-{day:02}T{:02}:{:02}:00+05:30", slot / 2, slot % 2 * 30);
        json!({ "reads": [{ "interval_end": end, "import_wh": at }] })
            .to_string()
            .into_bytes()
    };
    (first..first + 20)
        .map(|at| ("ami/v1/meters/SD10006414/reads".to_owned(), read(at)))
        .collect()
}

#[test]
fn nothing_that_the_broker_took_is_lost_through_kills_and_restarts() {
    if !have("mosquitto") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let broker = Broker::start(folder.path(), port);
    let data_dir = folder.path().join("data");
    std::fs::create_dir_all(&data_dir).unwrap();
    let port_text = port.to_string();
    let settings = [
        ("now", "2026-04-28T12:00:00+05:30"),
        ("ingest.subscribe.host", "127.0.0.1"),
        ("ingest.subscribe.port", port_text.as_str()),
    ];
    let product = Product::start(&data_dir, &settings);
    for file in ["nodes.csv", "meters.csv", "connections.csv"] {
        product.import(&real_data().join(file));
    }
    let stored = |product: &Product, reads: u64| {
        product.wait(&format!("{reads} reads"), |_| {
            product.checkpoint();
            product.sql_number("SELECT COUNT(*) FROM interval_reads") == reads as i64
        });
    };
    // Subscribed once the first reads arrive; what was published before that has no subscriber to keep it.
    let deadline = Instant::now() + PATIENCE;
    while product.metric("gridtally_broker_subscriptions_total") < 1.0 {
        assert!(Instant::now() < deadline, "not subscribed:\n{}", product.errors());
        std::thread::sleep(Duration::from_millis(50));
    }
    publish_all(broker.address, "meter", messages(1));
    stored(&product, 20);

    product.kill();
    publish_all(broker.address, "meter", messages(21));
    broker.stop();
    let broker = Broker::start(folder.path(), port);
    let product = Product::start(&data_dir, &settings);
    stored(&product, 40);

    broker.stop();
    let broker = Broker::start(folder.path(), port);
    publish_all(broker.address, "meter", messages(41));
    stored(&product, 60);
}
