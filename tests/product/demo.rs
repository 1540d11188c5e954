//! The demo, as a person starts it.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{BINARY, PATIENCE};

/// `gridtally demo` on free ports.
#[derive(Debug)]
pub struct Demo {
    child: Child,
    /// Where its page is.
    pub server: String,
}

impl Demo {
    /// Starts it, and waits until it says where it is.
    pub fn start(folder: &Path) -> Self {
        let mut child = Command::new(BINARY)
            .args([
                "demo",
                "--mqtt-listen",
                "127.0.0.1:0",
                "--http-listen",
                "127.0.0.1:0",
                "--pg-listen",
                "127.0.0.1:0",
                "--flight-listen",
                "127.0.0.1:0",
                "--data-dir",
            ])
            .arg(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let page = said.find_map(|line| Some(line.trim().strip_prefix("page")?.trim().to_owned()));
        let server = page
            .expect("the demo says where its page is")
            .trim_end_matches('/')
            .to_owned();
        // The pipe stays open until the demo ends.
        std::thread::spawn(move || said.for_each(drop));
        Self { child, server }
    }

    /// Ctrl-C.
    pub fn interrupt(mut self) -> (Option<i32>, Duration) {
        let began = Instant::now();
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-INT", &pid])
                .status()
                .unwrap()
                .success()
        );
        while self.child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < PATIENCE, "still running after Ctrl-C");
            std::thread::sleep(Duration::from_millis(10));
        }
        (self.child.wait().unwrap().code(), began.elapsed())
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
