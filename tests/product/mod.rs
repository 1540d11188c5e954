//! The real binary under test: started on free ports over a temporary data folder, asked over HTTP, killed at will.

#![allow(dead_code, reason = "every test binary uses its own part of this")]

pub mod accounts;
pub mod broker;
pub mod browser;
pub mod certificate;
pub mod demo;
pub mod evening;
pub mod psql;
pub mod publisher;
pub mod receiver;
pub mod relay;
pub mod report;
pub mod secure;
pub mod slt;
pub mod suspects;
pub mod town;
pub mod village;
pub mod wire;

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use gridtally_fleet::{Fleet, FleetConfig, Imperfections, Span};
use gridtally_schemas::UtcMicros;
use serde_json::{Value, json};

/// The binary that `cargo test` built.
pub const BINARY: &str = env!("CARGO_BIN_EXE_gridtally");
/// Longest wait for anything that must happen.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running `gridtally serve`.
pub struct Product {
    child: Child,
    pub data_dir: PathBuf,
    pub mqtt: SocketAddr,
    pub http: SocketAddr,
    pub pg: SocketAddr,
    pub flight: SocketAddr,
    standard_error: Arc<Mutex<String>>,
}

impl Product {
    /// Starts it over `data_dir` with `settings` (keys of the configuration) and waits until it is ready.
    pub fn start(data_dir: &Path, settings: &[(&str, &str)]) -> Self {
        Self::start_on(data_dir, "127.0.0.1:0", settings)
    }

    /// As [`Self::start`], with the MQTT endpoint at `mqtt`.
    pub fn start_on(data_dir: &Path, mqtt: &str, settings: &[(&str, &str)]) -> Self {
        let mut product = Self::spawn(data_dir, mqtt, settings);
        product.wait_ready();
        product
    }

    /// As [`Self::start`], with a configuration file beside the settings.
    pub fn start_with_file(data_dir: &Path, file: &Path, settings: &[(&str, &str)]) -> Self {
        let arguments = ["--config", file.to_str().unwrap()];
        let mut product = Self::spawn_with(data_dir, "127.0.0.1:0", settings, &arguments);
        product.wait_ready();
        product
    }

    /// Starts it, and does not wait.
    pub fn spawn(data_dir: &Path, mqtt: &str, settings: &[(&str, &str)]) -> Self {
        Self::spawn_with(data_dir, mqtt, settings, &[])
    }

    fn spawn_with(data_dir: &Path, mqtt: &str, settings: &[(&str, &str)], arguments: &[&str]) -> Self {
        let _ = std::fs::remove_file(data_dir.join("endpoints.json"));
        let mut command = Command::new(BINARY);
        command
            .args([
                "serve",
                "--mqtt-listen",
                mqtt,
                "--http-listen",
                "127.0.0.1:0",
                "--pg-listen",
                "127.0.0.1:0",
                "--flight-listen",
                "127.0.0.1:0",
                "--data-dir",
            ])
            .arg(data_dir)
            .args(arguments);
        // Tests compare with sums of what was sent; one that is about estimates sets this itself, later and so with precedence.
        command.args(["--set", "vee.estimate_after_hours=never"]);
        for (key, value) in settings {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let standard_error = Arc::new(Mutex::new(String::new()));
        let (pipe, kept) = (child.stderr.take().unwrap(), Arc::clone(&standard_error));
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                let mut text = kept.lock().unwrap();
                text.push_str(&line);
                text.push('\n');
            }
        });
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            child,
            data_dir: data_dir.to_owned(),
            mqtt: nowhere,
            http: nowhere,
            pg: nowhere,
            flight: nowhere,
            standard_error,
        }
    }

    /// Waits for `endpoints.json` and `/readyz`.
    pub fn wait_ready(&mut self) {
        self.wait_ready_for(PATIENCE);
    }

    /// As [`Self::wait_ready`], for so long at most.
    pub fn wait_ready_for(&mut self, patience: Duration) {
        let path = self.data_dir.join("endpoints.json");
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("gridtally ended with {status}:\n{}", self.errors());
            }
            if let Ok(text) = std::fs::read_to_string(&path) {
                let endpoints: Value = serde_json::from_str(&text).unwrap();
                let address = |name: &str| endpoints[name].as_str().unwrap().parse().unwrap();
                (self.mqtt, self.http, self.pg) = (address("mqtt"), address("http"), address("pg"));
                self.flight = address("flight");
                if self.get_status("/readyz") == Some(200) {
                    return;
                }
            }
            assert!(Instant::now() < deadline, "not ready:\n{}", self.errors());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it wrote to standard error so far.
    pub fn errors(&self) -> String {
        self.standard_error.lock().unwrap().clone()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ctrl-C; gives the exit code and how long it took.
    pub fn interrupt(mut self) -> (Option<i32>, Duration) {
        let begin = Instant::now();
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-INT", &pid])
                .status()
                .unwrap()
                .success()
        );
        while self.child.try_wait().unwrap().is_none() {
            assert!(
                begin.elapsed() < PATIENCE,
                "still running after Ctrl-C:\n{}",
                self.errors()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        (self.child.wait().unwrap().code(), begin.elapsed())
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    fn agent() -> ureq::Agent {
        ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build()
            .into()
    }

    pub fn get_status(&self, path: &str) -> Option<u16> {
        Self::agent()
            .get(self.url(path))
            .call()
            .ok()
            .map(|response| response.status().as_u16())
    }

    pub fn get_text(&self, path: &str) -> (u16, String) {
        let mut response = Self::agent().get(self.url(path)).call().unwrap();
        (
            response.status().as_u16(),
            response.body_mut().read_to_string().unwrap(),
        )
    }

    pub fn get(&self, path: &str) -> Value {
        let (status, text) = self.get_text(path);
        assert_eq!(status, 200, "GET {path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    pub fn post(&self, path: &str, media_type: &str, body: &[u8]) -> (u16, Value) {
        let sent = Self::agent()
            .post(self.url(path))
            .header("content-type", media_type)
            .send(body);
        let mut response = sent.unwrap();
        let text = response
            .body_mut()
            .with_config()
            .limit(u64::MAX)
            .read_to_string()
            .unwrap();
        (
            response.status().as_u16(),
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        )
    }

    /// As [`Self::post`], with a header more.
    pub fn post_with(&self, path: &str, (name, value): (&str, &str), body: &Value) -> (u16, Value) {
        let sent = Self::agent()
            .post(self.url(path))
            .header("content-type", "application/json")
            .header(name, value)
            .send(body.to_string().as_bytes());
        let mut response = sent.unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        (
            response.status().as_u16(),
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        )
    }

    /// GET in another form: status, header `next-cursor`, body.
    pub fn get_as(&self, path: &str, accept: &str) -> (u16, Option<String>, String) {
        let sent = Self::agent().get(self.url(path)).header("accept", accept).call();
        let mut response = sent.unwrap();
        let next = response.headers().get("next-cursor");
        let next = next.map(|value| value.to_str().unwrap().to_owned());
        (
            response.status().as_u16(),
            next,
            response.body_mut().read_to_string().unwrap(),
        )
    }

    /// Imports files of a folder, each called as its kind, in this order.
    pub fn import_all(&self, folder: &Path, kinds: &[&str]) {
        for kind in kinds {
            self.import(&folder.join(format!("{kind}.csv")));
        }
    }

    /// Imports a file and expects every row to stand.
    pub fn import(&self, path: &Path) {
        let kind = path.file_stem().unwrap().to_str().unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let media_type = if name.ends_with("parquet") {
            "application/vnd.apache.parquet"
        } else {
            "text/csv"
        };
        let (status, report) = self.post(
            &format!("/api/v1/import/{kind}?name={name}"),
            media_type,
            &std::fs::read(path).unwrap(),
        );
        assert_eq!(status, 200, "{report}");
    }

    /// Waits until all that was acknowledged before this call is applied.
    pub fn wait_applied(&self) -> Value {
        let target = self.get("/api/v1/summary")["log_position"].as_u64().unwrap();
        self.wait("applied_position", |summary| {
            summary["applied_position"].as_u64().unwrap() >= target
        })
    }

    /// Waits until the summary says `holds`.
    pub fn wait(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let summary = self.get("/api/v1/summary");
            if holds(&summary) {
                return summary;
            }
            assert!(
                Instant::now() < deadline,
                "waiting for {what}: {summary}\n{}",
                self.errors()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Publishes everything that is live.
    pub fn checkpoint(&self) -> Value {
        let (status, answer) = self.post("/api/v1/checkpoint", "application/json", b"");
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// Rows of a query; panics with the problem when it fails.
    pub fn sql(&self, query: &str) -> Vec<Vec<Value>> {
        let body = json!({ "query": query, "format": "json" }).to_string();
        let (status, answer) = self.post("/api/v1/sql", "application/json", body.as_bytes());
        assert_eq!(status, 200, "{query}: {answer}");
        answer["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row.as_array().unwrap().clone())
            .collect()
    }

    /// The one number that a query gives.
    pub fn sql_number(&self, query: &str) -> i64 {
        let rows = self.sql(query);
        rows[0][0].as_i64().unwrap_or_else(|| panic!("{query}: {rows:?}"))
    }

    /// A metric of `/metrics`, by its whole name with labels.
    pub fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.get_text("/metrics");
        let line = text
            .lines()
            .find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
        let line = line.unwrap_or_else(|| panic!("no metric {name} in\n{text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }
}

impl Drop for Product {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("standard error of gridtally:\n{}", self.errors());
        }
    }
}

/// A free port that stays the same over restarts. It lies below the ports that systems give out by themselves: a client that
/// calls a port of those while nobody listens there can be given that very port, and then talks to itself.
pub fn fixed_port() -> u16 {
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    (first..32_000)
        .find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .unwrap()
}

/// What looks random follows from a seed, so that a failure can be played again (SplitMix64).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// From `GRIDTALLY_TEST_SEED`, else `usual`; prints which.
    pub fn from_seed(usual: u64) -> (u64, Self) {
        let seed = std::env::var("GRIDTALLY_TEST_SEED").map_or(usual, |text| text.parse().unwrap());
        eprintln!("GRIDTALLY_TEST_SEED={seed} plays this again");
        (seed, Self(seed))
    }

    /// Below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// The real household reads of `tests/data/sgsc_lcl`.
pub fn real_data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sgsc_lcl")
}

const DAY_MICROS: i64 = 24 * 3_600_000_000;

/// Two days of a small discom with late, repeated, corrected and missing reads; `reads.csv` cut in two halves that share meters and
/// intervals.
pub fn fleet_files(folder: &Path) -> (PathBuf, [PathBuf; 2]) {
    let start = UtcMicros::parse("2026-04-01T00:00:00+05:30").unwrap();
    let imperfections = Imperfections {
        late_ppm: 40_000,
        duplicate_ppm: 40_000,
        corrected_ppm: 60_000,
        ..Imperfections::usual()
    };
    let fleet = Fleet::new(FleetConfig {
        consumers_per_feeder: 40,
        imperfections,
        ..FleetConfig::new(11, 80, start)
    })
    .unwrap();
    let network = folder.join("network");
    fleet.write_files(&network).unwrap();
    let all = folder.join("all");
    std::fs::create_dir_all(&all).unwrap();
    fleet
        .write_reads(&all, Span::between(start, start.plus(2 * DAY_MICROS)))
        .unwrap();
    let text = std::fs::read_to_string(all.join("reads.csv")).unwrap();
    let (columns, lines) = text.split_once('\n').unwrap();
    let halves = [0, 1].map(|half| {
        let of_half = lines.lines().enumerate().filter(|(at, _)| at % 3 % 2 == half);
        let lines: Vec<&str> = of_half.map(|(_, line)| line).collect();
        let folder = folder.join(format!("half-{half}"));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("reads.csv");
        std::fs::write(&path, format!("{columns}\n{}\n", lines.join("\n"))).unwrap();
        path
    });
    (network, halves)
}

/// Whether an outside part is here. Where `tests/run` could not install it, it says so; a part that is missing without that
/// word is a failure.
pub fn have(part: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {part} || command -v /usr/sbin/{part}")])
        .output();
    if found.is_ok_and(|output| output.status.success()) {
        return true;
    }
    let skipped = std::env::var("GRIDTALLY_TEST_SKIP").unwrap_or_default();
    assert!(
        skipped.split_whitespace().any(|word| word == part),
        "{part} is missing; ./tests/run installs it"
    );
    eprintln!("left out: this machine cannot have {part}");
    false
}

/// The Python that `tests/run` set up; `None` where a machine cannot have it.
pub fn python_program() -> Option<PathBuf> {
    let default = format!(
        "{}/.cache/gridtally/venv/bin/python",
        std::env::var("HOME").unwrap_or_default()
    );
    let python = PathBuf::from(std::env::var("GRIDTALLY_TEST_PYTHON").unwrap_or(default));
    if !python.exists() {
        let skipped = std::env::var("GRIDTALLY_TEST_SKIP").unwrap_or_default();
        assert!(
            skipped.contains("ython"),
            "the Python clients are missing; ./tests/run installs them"
        );
        eprintln!("left out: this machine cannot have the Python clients");
        return None;
    }
    Some(python)
}

/// A script of `tests/clients`.
pub fn client_script(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/clients")
        .join(script)
}

/// Runs a script of `tests/clients` with the Python that `tests/run` set up; `None` where a machine cannot have it.
pub fn python(script: &str, arguments: &[&str]) -> Option<String> {
    let output = python_command(script, arguments)?.output().unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{script} failed:\n{out}\n{err}");
    Some(out.into_owned())
}

/// The same, not started yet.
pub fn python_command(script: &str, arguments: &[&str]) -> Option<Command> {
    let mut command = Command::new(python_program()?);
    command.arg(client_script(script)).args(arguments);
    Some(command)
}
