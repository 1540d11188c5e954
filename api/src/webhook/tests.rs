//! Delivery against receivers in this process that fail, hang, come back, and say that they are gone.

use std::{
    collections::VecDeque,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Condvar,
};

use async_trait::async_trait;
use gridtally_engine::ChangeFeed;

use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[test]
fn signatures_are_those_of_the_specifications_example_one_by_each_secret() {
    let secret = Secret::parse(SECRET).unwrap();
    let signed = |secrets: &[Secret]| {
        let body = br#"{"test": 2432232314}"#;
        sign::signatures(secrets, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body)
    };
    let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    assert_eq!(signed(std::slice::from_ref(&secret)), expected);
    let next = Secret::parse("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
    let both = signed(&[next, secret.clone()]);
    assert!(
        both.ends_with(&format!(" {expected}")) && both.starts_with("v1,"),
        "{both}"
    );
    assert!(!format!("{secret:?}").contains("Mf"));
}

/// What a receiver does with a request.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Status(u16),
    RetryAfter(u16, u32),
    Hang,
    Close,
}

/// Head and body of a request.
type Request = (String, String);

/// Answers still to give, and what came.
type Told = (Mutex<(VecDeque<Answer>, Vec<Request>)>, Condvar);

/// A receiver: answers as told, in order, and then 200.
struct Receiver {
    address: SocketAddr,
    told: Arc<Told>,
}

impl Receiver {
    fn new(answers: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = (
            Mutex::new((answers.iter().copied().collect(), Vec::new())),
            Condvar::new(),
        );
        let told = Arc::new(state);
        let shared = Arc::clone(&told);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { address, told }
    }

    /// Waits until so many requests have come, and gives them all.
    fn wait(&self, count: usize) -> Vec<Request> {
        let (state, changed) = &*self.told;
        let held = state.lock().unwrap();
        let (held, timeout) = changed
            .wait_timeout_while(held, Duration::from_secs(30), |held| held.1.len() < count)
            .unwrap();
        assert!(!timeout.timed_out(), "{count} requests in {:?}", held.1);
        held.1.clone()
    }
}

fn serve(mut stream: TcpStream, told: &Told) {
    let mut bytes = Vec::new();
    let mut buffer = [0_u8; 4_096];
    loop {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            match stream.read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            }
            continue;
        };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .unwrap();
        let (from, to) = (end + 4, end + 4 + length.parse::<usize>().unwrap());
        while bytes.len() < to {
            let count = stream.read(&mut buffer).unwrap();
            bytes.extend_from_slice(&buffer[..count]);
        }
        let body = String::from_utf8(bytes[from..to].to_vec()).unwrap();
        let answer = {
            let (state, changed) = told;
            let mut held = state.lock().unwrap();
            held.1.push((head, body));
            changed.notify_all();
            held.0.pop_front().unwrap_or(Answer::Status(200))
        };
        let (status, more) = match answer {
            Answer::Status(status) => (status, String::new()),
            Answer::RetryAfter(status, seconds) => (status, format!("retry-after: {seconds}\r\n")),
            Answer::Hang => {
                std::thread::park_timeout(Duration::from_secs(20));
                return;
            }
            Answer::Close => return,
        };
        let text = format!("HTTP/1.1 {status} Said\r\n{more}content-length: 0\r\nconnection: close\r\n\r\n");
        let _ = stream.write_all(text.as_bytes());
        return;
    }
}

/// Notices in memory, as many as there are said to be.
#[derive(Debug)]
struct Numbers(Mutex<i64>);

impl Numbers {
    fn notice(sequence: i64) -> Notice {
        Notice {
            sequence,
            id: format!("id_{sequence}"),
            kind: "number",
            about: format!("O{}", sequence % 3),
            body: format!("{{\"number\":{sequence}}}").into_bytes(),
        }
    }
}

#[async_trait]
impl Source for Numbers {
    fn newest(&self) -> i64 {
        *self.0.lock().unwrap()
    }

    async fn after(&self, sequence: i64, notices_max: usize) -> Result<Vec<Notice>, SourceError> {
        Ok((sequence + 1..=self.newest())
            .take(notices_max)
            .map(Self::notice)
            .collect())
    }

    async fn these(&self, sequences: &BTreeSet<i64>) -> Result<Vec<Notice>, SourceError> {
        let there = sequences.iter().filter(|sequence| **sequence <= self.newest());
        Ok(there.map(|sequence| Self::notice(*sequence)).collect())
    }
}

/// Webhooks over a folder, with one receiver.
struct Running {
    webhooks: Webhooks,
    tasks: JoinSet<()>,
    end: watch::Sender<bool>,
}

impl Running {
    fn start(folder: &Path, source: &Arc<Numbers>, address: SocketAddr) -> Self {
        let settings = WebhookSettings {
            endpoints: vec![Endpoint {
                name: "sms".to_owned(),
                url: format!("http://{address}/hook").parse().unwrap(),
                secrets: vec![Secret::parse(SECRET).unwrap()],
                follows: Follows::Outages,
                events: BTreeSet::new(),
            }],
            folder: folder.to_owned(),
            patience: Patience {
                first_micros: 20_000,
                longest_micros: 100_000,
                attempts_max: 5,
                give_up_micros: 60_000_000,
            },
            timeout: Duration::from_millis(500),
            authorities: None,
        };
        let shared: Arc<Numbers> = Arc::clone(source);
        let source: Arc<dyn Source> = shared;
        let (end, ending) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let webhooks = Webhooks::start(
            settings,
            |_| Arc::clone(&source),
            &ChangeFeed::default(),
            (&mut tasks, &ending),
        )
        .unwrap();
        Self { webhooks, tasks, end }
    }

    async fn stop(mut self) {
        self.end.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }

    /// Waits until the receiver's standing is such.
    async fn until(&self, holds: impl Fn(&Shown) -> bool) -> Shown {
        let begin = tokio::time::Instant::now();
        loop {
            let shown = self.webhooks.shown("sms").unwrap();
            if holds(&shown) {
                return shown;
            }
            assert!(begin.elapsed() < Duration::from_secs(30), "{shown:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn ids(requests: &[Request]) -> Vec<i64> {
    let id = |(head, _): &Request| {
        let line = head
            .lines()
            .find_map(|line| line.strip_prefix("webhook-id: id_"))
            .unwrap();
        line.parse().unwrap()
    };
    requests.iter().map(id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_fails_hangs_breaks_off_and_comes_back_gets_everything_in_order_under_the_same_ids() {
    let folder = tempfile::tempdir().unwrap();
    let source = Arc::new(Numbers(Mutex::new(0)));
    let receiver = Receiver::new(&[
        Answer::Status(500),
        Answer::Hang,
        Answer::Close,
        Answer::RetryAfter(503, 1),
        Answer::Status(302),
    ]);
    // First seen when there is nothing; what comes after that is for it.
    let running = Running::start(folder.path(), &source, receiver.address);
    running.stop().await;
    *source.0.lock().unwrap() = 12;
    let running = Running::start(folder.path(), &source, receiver.address);
    let shown = running
        .until(|shown| shown.delivered == 12 && shown.open == 0)
        .await;
    assert_eq!(
        (shown.cursor, shown.open, shown.dead.len()),
        (12, 0, 0),
        "{shown:?}"
    );
    assert_eq!(shown.failures, 5);
    let requests = receiver.wait(17);
    assert_eq!(requests.len(), 17);
    for about in 0..3 {
        let mut of_one: Vec<i64> = ids(&requests).into_iter().filter(|id| id % 3 == about).collect();
        of_one.dedup();
        let mut sorted = of_one.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(
            of_one, sorted,
            "each thing's in order, the next after the one before"
        );
    }
    for (head, body) in &requests {
        let header = |name: &str| {
            head.lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap()
                .to_owned()
        };
        assert_eq!(format!("{{\"number\":{}}}", &header("webhook-id: id_")), *body);
        let (id, at) = (header("webhook-id: "), header("webhook-timestamp: "));
        // Header values are lower-cased by this receiver: so is what they are compared with.
        let secrets = [Secret::parse(SECRET).unwrap()];
        let expected = sign::signatures(&secrets, &id, at.parse().unwrap(), body.as_bytes());
        assert_eq!(header("webhook-signature: "), expected.to_lowercase());
        assert!(
            head.contains("content-type: application/cloudevents+json"),
            "{head}"
        );
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_given_up_is_listed_and_sent_once_more_when_asked_for_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let source = Arc::new(Numbers(Mutex::new(0)));
    let receiver = Receiver::new(&[Answer::Status(400); 5]);
    let running = Running::start(folder.path(), &source, receiver.address);
    running.stop().await;
    *source.0.lock().unwrap() = 1;
    let running = Running::start(folder.path(), &source, receiver.address);
    let shown = running
        .until(|shown| shown.dead.len() == 1 && shown.open == 0)
        .await;
    let (sequence, letter) = &shown.dead[0];
    assert_eq!((*sequence, letter.attempts, shown.open), (1, 5, 0));
    assert!(letter.error.contains("400"), "{}", letter.error);
    running.stop().await;
    let running = Running::start(folder.path(), &source, receiver.address);
    assert_eq!(running.webhooks.send_again("sms", None).await, Some(1));
    running
        .until(|shown| shown.dead.is_empty() && shown.delivered == 1)
        .await;
    assert_eq!(ids(&receiver.wait(6)), [1; 6]);
    assert_eq!(running.webhooks.send_again("other", None).await, None);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_410_nothing_is_sent_over_restarts_until_it_is_enabled() {
    let folder = tempfile::tempdir().unwrap();
    let source = Arc::new(Numbers(Mutex::new(0)));
    let receiver = Receiver::new(&[Answer::Status(410)]);
    let running = Running::start(folder.path(), &source, receiver.address);
    running.stop().await;
    *source.0.lock().unwrap() = 1;
    let running = Running::start(folder.path(), &source, receiver.address);
    running.until(|shown| shown.disabled.is_some()).await;
    running.stop().await;
    let running = Running::start(folder.path(), &source, receiver.address);
    assert!(running.webhooks.shown("sms").unwrap().disabled.is_some());
    assert_eq!(receiver.wait(1).len(), 1);
    assert_eq!(running.webhooks.enable("sms").await, Some(()));
    running.until(|shown| shown.delivered == 1).await;
    assert_eq!(ids(&receiver.wait(2)), [1, 1]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_dead_for_long_takes_no_more_memory_than_the_window() {
    let folder = tempfile::tempdir().unwrap();
    let source = Arc::new(Numbers(Mutex::new(0)));
    // A port on which nobody listens.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let running = Running::start(folder.path(), &source, address);
    running.stop().await;
    *source.0.lock().unwrap() = 100_000;
    let running = Running::start(folder.path(), &source, address);
    let shown = running.until(|shown| shown.failures > 20).await;
    assert!(shown.in_memory <= queue::WINDOW_MAX, "{shown:?}");
    assert!(shown.cursor < 2_000 && shown.newest == 100_000, "{shown:?}");
    running.stop().await;
    let kept = std::fs::metadata(folder.path().join("sms.json")).unwrap().len();
    assert!(kept < 512 * 1_024, "{kept} bytes");
}
