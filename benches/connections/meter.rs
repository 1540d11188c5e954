//! A meter with a connection of its own: MQTT 3.1.1, one publish at a time at QoS 1, sent again until it is acknowledged.

use std::{net::SocketAddr, path::Path, pin::Pin, sync::Arc, time::Duration};

use gridtally_schemas::{IntervalRead, MeterId, Publish, UtcMicros, wire};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpSocket,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        client::Resumption,
        crypto::ring,
        pki_types::{CertificateDer, IpAddr, ServerName, pem::PemObject},
    },
};

use crate::load::put_publish;

/// Meters that share a source address.
const OF_ADDRESS: usize = 10_000;
const QUARTER: i64 = 900_000_000;
/// What a meter waits before it tries again: more each time, up to here, and not the same as its neighbour.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Where meters connect, and how.
pub struct Door {
    address: SocketAddr,
    tls: Option<TlsConnector>,
}

impl Door {
    pub fn plain(address: SocketAddr) -> Self {
        Self { address, tls: None }
    }

    /// By TLS with a full handshake each time: a meter that lost its supply has no session to resume.
    pub fn secure(address: SocketAddr, authority: &Path) -> Self {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(authority).unwrap())
            .unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Self {
            address,
            tls: Some(TlsConnector::from(Arc::new(config))),
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Send {}
impl<S: AsyncRead + AsyncWrite + Send> Stream for S {}

pub struct Meter {
    at: usize,
    id: MeterId,
    start: UtcMicros,
    door: Arc<Door>,
    stream: Option<Pin<Box<dyn Stream>>>,
    /// Reads that were published, acknowledged or not.
    published: i64,
    is_unheard: bool,
    /// How often it tried to connect.
    pub tries: usize,
}

impl Meter {
    pub fn new(at: usize, id: MeterId, start: UtcMicros, door: Arc<Door>) -> Self {
        Self {
            at,
            id,
            start,
            door,
            stream: None,
            published: 0,
            is_unheard: false,
            tries: 0,
        }
    }

    /// Connects, however often it must try, and sends again what was not acknowledged.
    pub async fn connect(&mut self) {
        self.tries = 0;
        loop {
            self.tries += 1;
            if self.try_connect().await.is_ok() {
                return;
            }
            self.stream = None;
            let pause = Duration::from_millis(100) * (1 << self.tries.min(6)) as u32;
            let own = Duration::from_millis((self.at as u64 * 7_919 + self.tries as u64 * 104_729) % 1_000);
            tokio::time::sleep(pause.min(PAUSE_MAX) + own).await;
        }
    }

    async fn try_connect(&mut self) -> std::io::Result<()> {
        let socket = TcpSocket::new_v4()?;
        let from = std::net::Ipv4Addr::new(127, 1, 0, 1 + (self.at / OF_ADDRESS) as u8);
        socket.bind((from, 0).into())?;
        let stream = socket.connect(self.door.address).await?;
        stream.set_nodelay(true)?;
        self.stream = Some(match &self.door.tls {
            None => Box::pin(stream),
            Some(tls) => {
                let name = ServerName::IpAddress(IpAddr::try_from("127.0.0.1").unwrap());
                Box::pin(tls.connect(name, stream).await?)
            }
        });
        let id = self.id.as_str();
        let mut connect = vec![0x10, 12 + id.len() as u8];
        connect.extend_from_slice(b"\0\x04MQTT\x04\x02\0\0");
        connect.extend_from_slice(&(id.len() as u16).to_be_bytes());
        connect.extend_from_slice(id.as_bytes());
        self.say(&connect).await?;
        self.hear([0x20, 2, 0, 0]).await?;
        if self.is_unheard {
            self.say(&self.packet(true)).await?;
            self.hear([0x40, 2, 0, 1]).await?;
            self.is_unheard = false;
        }
        Ok(())
    }

    async fn say(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let stream = self.stream.as_mut().unwrap();
        stream.write_all(bytes).await?;
        stream.flush().await
    }

    async fn hear(&mut self, expected: [u8; 4]) -> std::io::Result<()> {
        let mut answer = [0; 4];
        self.stream.as_mut().unwrap().read_exact(&mut answer).await?;
        // A server that is full says so, and is asked again.
        if answer == expected {
            Ok(())
        } else {
            Err(std::io::Error::other(format!("{answer:?}")))
        }
    }

    /// The PUBLISH of its newest read.
    fn packet(&self, again: bool) -> Vec<u8> {
        let mut publish = Publish::default();
        publish.begin_meter(self.id.as_str()).unwrap();
        publish.push_read(IntervalRead {
            voltage_v: Some(231.4),
            ..IntervalRead::new(self.start.plus(self.published * QUARTER), Some(312))
        });
        let mut payload = Vec::new();
        wire::encode_protobuf(&publish, &mut payload);
        let topic = format!("ami/v1/meters/{}/reads", self.id);
        let mut packet = Vec::new();
        let first = if again { 0x3a } else { 0x32 };
        put_publish(&mut packet, first, topic.as_bytes(), (1, &payload));
        packet
    }

    /// Publishes its next read and waits for the acknowledgement.
    pub async fn publish(&mut self) {
        self.published += 1;
        self.say(&self.packet(false)).await.unwrap();
        self.hear([0x40, 2, 0, 1]).await.unwrap();
    }

    /// Publishes its next read and hangs up.
    pub async fn publish_and_cut(&mut self) {
        self.published += 1;
        self.is_unheard = true;
        self.say(&self.packet(false)).await.unwrap();
        self.stream = None;
    }
}
