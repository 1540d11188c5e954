//! An existing broker: Debian's mosquitto.

use std::{
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::PATIENCE;

/// mosquitto with a configuration of its own; its sessions are kept over an end.
pub struct Broker {
    child: Child,
    folder: PathBuf,
    pub port: u16,
}

impl Broker {
    pub fn start(folder: &Path, port: u16) -> Self {
        let config = folder.join("mosquitto.conf");
        let sessions = folder.join("sessions");
        std::fs::create_dir_all(&sessions).unwrap();
        let text = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nuser root\npersistence true\npersistence_location {}/\n\
             max_queued_messages 0\n",
            sessions.display()
        );
        std::fs::write(&config, text).unwrap();
        let program = if Path::new("/usr/sbin/mosquitto").exists() {
            "/usr/sbin/mosquitto"
        } else {
            "mosquitto"
        };
        let log = std::fs::File::create(folder.join("mosquitto.log")).unwrap();
        let child = Command::new(program)
            .arg("-v")
            .arg("-c")
            .arg(&config)
            .stdout(Stdio::from(log.try_clone().unwrap()))
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        let mut broker = Self {
            child,
            folder: folder.to_owned(),
            port,
        };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = broker.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "{}", broker.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        broker
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("mosquitto.log")).unwrap()
    }

    /// SIGTERM, upon which it saves its sessions, and start.
    pub fn restart(mut self) -> Self {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(&pid).status().unwrap().success());
        self.child.wait().unwrap();
        Self::start(&self.folder, self.port)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
