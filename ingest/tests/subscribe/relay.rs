//! Between subscriber and broker: sees every packet, can drop acknowledgements, cut the connection and let none be made.

use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicU16, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::watch,
    task::JoinHandle,
};

/// What passed on one connection.
#[derive(Debug, Default, Clone)]
pub(crate) struct Passed {
    /// Packet ids of the QoS 1 publishes of the broker, in order.
    pub(crate) delivered: Vec<u16>,
    /// Those among them that the broker says it sends again.
    pub(crate) again: Vec<u16>,
    /// Packet ids of the subscriber's PUBACKs, in order.
    pub(crate) acknowledged: Vec<u16>,
}

impl Passed {
    fn deliver(&mut self, packet: &[u8]) {
        let (first, body) = (packet[0], body(packet));
        if (first >> 1) & 3 == 1 {
            let topic = usize::from(u16::from_be_bytes([body[0], body[1]]));
            let id = u16::from_be_bytes([body[2 + topic], body[3 + topic]]);
            self.delivered.push(id);
            if first & 8 != 0 {
                self.again.push(id);
            }
        }
    }

    /// Takes an acknowledgement of what this very connection delivered, in its order; whatever else is a stray.
    fn acknowledge(&mut self, packet: &[u8]) -> Result<(), String> {
        let body = body(packet);
        let id = u16::from_be_bytes([body[0], body[1]]);
        if self.delivered.get(self.acknowledged.len()) != Some(&id) {
            return Err(format!(
                "PUBACK {id} is for nothing that this connection delivered next: {self:?}"
            ));
        }
        self.acknowledged.push(id);
        Ok(())
    }
}

#[derive(Debug, Default)]
struct State {
    connections: Vec<Passed>,
    drops_acknowledgements: bool,
    closed: bool,
    stray: Option<String>,
}

/// See the module.
pub(crate) struct Relay {
    pub(crate) port: u16,
    broker: Arc<AtomicU16>,
    state: Arc<Mutex<State>>,
    cut: watch::Sender<u64>,
    task: JoinHandle<()>,
}

impl Relay {
    pub(crate) async fn start(broker_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let broker = Arc::new(AtomicU16::new(broker_port));
        let state = Arc::new(Mutex::new(State::default()));
        let (cut, cuts) = watch::channel(0);
        let task = tokio::spawn(accept(listener, Arc::clone(&broker), Arc::clone(&state), cuts));
        Self {
            port,
            broker,
            state,
            cut,
            task,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Ends the connection in the middle of whatever it does.
    pub(crate) fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }

    /// Ends the connection, and every one that is made, until [`Self::open`].
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.cut();
    }

    /// Lets connections be made again.
    pub(crate) fn open(&self) {
        self.state().closed = false;
    }

    /// Leads to another broker from the next connection on.
    pub(crate) fn lead_to(&self, broker_port: u16) {
        self.broker.store(broker_port, Ordering::SeqCst);
    }

    /// Whether acknowledgements are lost on their way to the broker.
    pub(crate) fn drop_acknowledgements(&self, drops: bool) {
        self.state().drops_acknowledgements = drops;
    }

    /// What passed on each connection that reached the broker, oldest first. Fails when an acknowledgement strayed.
    pub(crate) fn passed(&self) -> Vec<Passed> {
        let state = self.state();
        assert_eq!(state.stray, None);
        state.connections.clone()
    }

    /// Acknowledgements of all connections.
    pub(crate) fn acknowledged(&self) -> usize {
        self.passed().iter().map(|passed| passed.acknowledged.len()).sum()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    broker: Arc<AtomicU16>,
    state: Arc<Mutex<State>>,
    mut cuts: watch::Receiver<u64>,
) {
    loop {
        let (subscriber, _) = listener.accept().await.unwrap();
        cuts.mark_unchanged();
        if state.lock().unwrap().closed {
            continue;
        }
        let Ok(to_broker) = TcpStream::connect(("127.0.0.1", broker.load(Ordering::SeqCst))).await else {
            continue;
        };
        let number = {
            let mut state = state.lock().unwrap();
            state.connections.push(Passed::default());
            state.connections.len() - 1
        };
        let (from_subscriber, to_subscriber) = subscriber.into_split();
        let (from_broker, to_broker) = to_broker.into_split();
        let mut cuts = cuts.clone();
        let (down, up) = (Arc::clone(&state), Arc::clone(&state));
        tokio::spawn(async move {
            tokio::select! {
                () = pump(from_broker, to_subscriber, |packet| {
                    let mut state = down.lock().unwrap();
                    if packet[0] >> 4 == 3 {
                        state.connections[number].deliver(packet);
                    }
                    true
                }) => {}
                () = pump(from_subscriber, to_broker, |packet| {
                    let mut state = up.lock().unwrap();
                    if packet[0] >> 4 != 4 {
                        return true;
                    }
                    if let Err(stray) = state.connections[number].acknowledge(packet) {
                        state.stray.get_or_insert(stray);
                    }
                    !state.drops_acknowledgements
                }) => {}
                _ = cuts.changed() => {}
            }
        });
    }
}

/// Passes packets on, each whole, as far as `see` lets them.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, see: impl Fn(&[u8]) -> bool) {
    let mut buffer = Vec::new();
    while let Ok(1..) = from.read_buf(&mut buffer).await {
        while let Some(length) = packet_length(&buffer) {
            let packet: Vec<u8> = buffer.drain(..length).collect();
            if see(&packet) && to.write_all(&packet).await.is_err() {
                return;
            }
        }
    }
}

/// Bytes of the remaining-length field and what it says; `None` while incomplete.
fn remaining(packet: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (at, byte) in packet.get(1..)?.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((at + 1, value));
        }
    }
    None
}

fn packet_length(buffer: &[u8]) -> Option<usize> {
    let (field, rest) = remaining(buffer)?;
    let length = 1 + field + rest;
    (buffer.len() >= length).then_some(length)
}

fn body(packet: &[u8]) -> &[u8] {
    let (field, _) = remaining(packet).unwrap();
    &packet[1 + field..]
}
