//! A mosquitto on a free port, with its own folder, and a client that publishes to it.

use std::{
    fmt::Write as _,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::held_disk::{PATIENCE, until};

/// Whether this machine cannot have mosquitto, as `tests/run` says; then says so.
pub(crate) fn skipped() -> bool {
    let skipped = std::env::var("GRIDTALLY_TEST_SKIP").unwrap_or_default();
    let names_it = skipped.split_whitespace().any(|part| part == "mosquitto");
    if names_it {
        println!("left out: this machine cannot have mosquitto (GRIDTALLY_TEST_SKIP)");
    }
    names_it
}

fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join("mosquitto"))
        .find(|program| program.exists())
        .expect("mosquitto is not installed (tests/run installs it, or names it in GRIDTALLY_TEST_SKIP)")
}

/// A running broker. Ends with the value.
pub(crate) struct Broker {
    pub(crate) port: u16,
    folder: TempDir,
    process: Child,
}

impl Broker {
    /// Starts one that keeps sessions over a restart.
    pub(crate) async fn start() -> Self {
        Self::start_with("").await
    }

    /// As [`Self::start`], with more lines in its configuration.
    pub(crate) async fn start_with(more: &str) -> Self {
        // Another process may take the free port before mosquitto does.
        for _ in 0..10 {
            let port = free_port();
            let folder = tempfile::tempdir().unwrap();
            write_config(folder.path(), port, more);
            if let Some(process) = spawn(folder.path(), port).await {
                return Self {
                    port,
                    folder,
                    process,
                };
            }
        }
        panic!("mosquitto does not start");
    }

    /// Ends it as the system would (SIGTERM: it saves its sessions first).
    pub(crate) async fn stop(&mut self) {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(sent.success());
        let process = &mut self.process;
        until("the broker ends", || process.try_wait().unwrap().is_some()).await;
    }

    /// Starts it again on the same port and folder.
    pub(crate) async fn start_again(&mut self) {
        self.process = spawn(self.folder.path(), self.port)
            .await
            .expect("mosquitto does not start again");
    }

    /// A client that publishes.
    pub(crate) async fn publisher(&self) -> Publisher {
        Publisher::connect(self.port).await
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn write_config(folder: &Path, port: u16, more: &str) {
    let mut config = String::new();
    // Sessions are saved in the folder at the end; started by root it stays root, else the line means nothing.
    write!(
        config,
        "listener {port} 127.0.0.1\nuser root\nallow_anonymous true\npersistence true\npersistence_location {}/\n\
         max_queued_messages 0\nlog_dest none\n{more}\n",
        folder.display()
    )
    .unwrap();
    std::fs::write(folder.join("mosquitto.conf"), config).unwrap();
}

/// Starts it and waits until it takes connections; `None` when it ends instead.
async fn spawn(folder: &Path, port: u16) -> Option<Child> {
    let mut process = Command::new(program())
        .arg("-c")
        .arg(folder.join("mosquitto.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut ended = false;
    until("the broker listens", || {
        ended = process.try_wait().unwrap().is_some();
        ended || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    })
    .await;
    (!ended).then_some(process)
}

/// An MQTT 3.1.1 client that publishes one message after another.
pub(crate) struct Publisher {
    stream: TcpStream,
    packet_id: u16,
}

impl Publisher {
    async fn connect(port: u16) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream
            .write_all(b"\x10\x0e\0\x04MQTT\x04\x02\0\0\0\x02pu")
            .await
            .unwrap();
        let mut connack = [0; 4];
        timeout(PATIENCE, stream.read_exact(&mut connack))
            .await
            .expect("no CONNACK")
            .unwrap();
        assert_eq!(connack, [0x20, 2, 0, 0]);
        Self { stream, packet_id: 0 }
    }

    /// Publishes at QoS 1; returns when the broker has acknowledged.
    pub(crate) async fn publish(&mut self, topic: &str, payload: &[u8]) {
        self.packet_id += 1;
        self.send(1, topic, payload).await;
        let mut puback = [0; 4];
        timeout(PATIENCE, self.stream.read_exact(&mut puback))
            .await
            .expect("no PUBACK of the broker")
            .unwrap();
        let [high, low] = self.packet_id.to_be_bytes();
        assert_eq!(puback, [0x40, 2, high, low]);
    }

    /// Publishes at QoS 0.
    pub(crate) async fn publish_qos0(&mut self, topic: &str, payload: &[u8]) {
        self.send(0, topic, payload).await;
    }

    async fn send(&mut self, qos: u8, topic: &str, payload: &[u8]) {
        let mut body = u16::try_from(topic.len()).unwrap().to_be_bytes().to_vec();
        body.extend_from_slice(topic.as_bytes());
        if qos > 0 {
            body.extend_from_slice(&self.packet_id.to_be_bytes());
        }
        body.extend_from_slice(payload);
        let mut packet = vec![0x30 | (qos << 1)];
        let mut rest = body.len();
        while rest >= 128 {
            packet.push(u8::try_from(rest % 128).unwrap() | 0x80);
            rest /= 128;
        }
        packet.push(u8::try_from(rest).unwrap());
        packet.extend(body);
        self.stream.write_all(&packet).await.unwrap();
    }
}
