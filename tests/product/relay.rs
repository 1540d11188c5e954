//! A TCP relay that stands between a client and the product: it can be cut, as a connection is lost and comes back, and be slow, as a line far
//! away is.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

#[derive(Debug)]
pub struct Relay {
    /// Where it listens.
    pub address: SocketAddr,
    is_cut: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    /// Passes everything on to `to`.
    pub fn start(to: SocketAddr) -> Self {
        Self::slow(to, Duration::ZERO)
    }

    /// As [`Self::start`], but what `to` answers comes so much later.
    pub fn slow(to: SocketAddr, late: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let relay = Self {
            address: listener.local_addr().unwrap(),
            is_cut: Arc::default(),
            streams: Arc::default(),
        };
        let (is_cut, streams) = (Arc::clone(&relay.is_cut), Arc::clone(&relay.streams));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if is_cut.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(server) = TcpStream::connect(to) else {
                    continue;
                };
                let both = [client.try_clone().unwrap(), server.try_clone().unwrap()];
                streams.lock().unwrap().extend(both);
                pass(
                    client.try_clone().unwrap(),
                    server.try_clone().unwrap(),
                    Duration::ZERO,
                );
                pass(server, client, late);
            }
        });
        relay
    }

    /// Ends every connection, and takes none until it is mended.
    pub fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        for stream in self.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub fn mend(&self) {
        self.is_cut.store(false, Ordering::SeqCst);
    }
}

/// What follows at once belongs to the same answer.
const SAME_ANSWER: Duration = Duration::from_millis(30);

fn pass(mut from: TcpStream, mut to: TcpStream, late: Duration) {
    std::thread::spawn(move || {
        let mut buffer = [0; 16 << 10];
        let mut passed: Option<Instant> = None;
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            if passed.is_none_or(|at| at.elapsed() > SAME_ANSWER) {
                std::thread::sleep(late);
            }
            passed = Some(Instant::now());
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}
