//! A receiver of webhooks in this process: it notes every request, answers as it is told, and can be down.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::Value;

use super::PATIENCE;

/// A request that came whole.
#[derive(Debug, Clone)]
pub struct Request {
    /// Header fields, names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Request {
    pub fn event(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// What it does with a request after it has noted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Status(u16),
    /// Never answers: the caller gives up, or is killed.
    Hang,
}

#[derive(Debug, Default)]
struct Told {
    requests: Vec<Request>,
    answer: Option<Answer>,
}

type Shared = Arc<(Mutex<Told>, Condvar)>;

/// A receiver on a port that stays the same.
pub struct Receiver {
    pub address: SocketAddr,
    told: Shared,
    down: Option<Arc<AtomicBool>>,
    /// Connections that it took, kept alive or not.
    taken: Arc<Mutex<Vec<TcpStream>>>,
}

impl Receiver {
    /// Listens on `port`, and answers 200.
    pub fn new(port: u16) -> Self {
        let mut receiver = Self {
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            told: Shared::default(),
            down: None,
            taken: Arc::default(),
        };
        receiver.up();
        receiver
    }

    /// Listens again.
    pub fn up(&mut self) {
        let listener = TcpListener::bind(self.address).unwrap();
        let down = Arc::new(AtomicBool::new(false));
        let (told, is_down) = (Arc::clone(&self.told), Arc::clone(&down));
        let taken = Arc::clone(&self.taken);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if is_down.load(Ordering::SeqCst) {
                    return;
                }
                taken.lock().unwrap().push(stream.try_clone().unwrap());
                let told = Arc::clone(&told);
                std::thread::spawn(move || serve(stream, &told));
            }
        });
        self.down = Some(down);
    }

    /// Is down: nobody listens on the port, and every connection is closed.
    pub fn down(&mut self) {
        if let Some(down) = self.down.take() {
            down.store(true, Ordering::SeqCst);
            // Its thread waits for a connection, finds that it is down, and lets the port go.
            while TcpStream::connect(self.address).is_ok() {
                std::thread::yield_now();
            }
            for stream in self.taken.lock().unwrap().drain(..) {
                // One that is closed already is down as well.
                let _ = stream.shutdown(std::net::Shutdown::Both);
            }
        }
    }

    /// Answers so from now on.
    pub fn answer(&self, answer: Answer) {
        self.told.0.lock().unwrap().answer = Some(answer);
    }

    /// Everything that came.
    pub fn requests(&self) -> Vec<Request> {
        self.told.0.lock().unwrap().requests.clone()
    }

    /// Waits until what came is such, and gives it.
    pub fn wait(&self, what: &str, holds: impl Fn(&[Request]) -> bool) -> Vec<Request> {
        let (told, changed) = &*self.told;
        let held = told.lock().unwrap();
        let (held, timeout) = changed
            .wait_timeout_while(held, PATIENCE, |told| !holds(&told.requests))
            .unwrap();
        assert!(!timeout.timed_out(), "waiting for {what}: {:#?}", held.requests);
        held.requests.clone()
    }
}

fn serve(stream: TcpStream, told: &Shared) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        let answer = {
            let mut held = told.0.lock().unwrap();
            held.requests.push(request);
            told.1.notify_all();
            held.answer.unwrap_or(Answer::Status(200))
        };
        let Answer::Status(status) = answer else {
            // Until the caller hangs up.
            let _ = reader.get_mut().read(&mut [0; 1]);
            return;
        };
        let text = format!("HTTP/1.1 {status} Said\r\ncontent-length: 0\r\n\r\n");
        if reader.get_mut().write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut headers = BTreeMap::new();
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    assert!(line.starts_with("POST "), "{line}");
    loop {
        line.clear();
        reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        headers,
        body: String::from_utf8(body).unwrap(),
    })
}
