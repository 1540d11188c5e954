//! Certificates and passwords of tests.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use super::{BINARY, certificate::self_signed, psql::text};

/// Paths of a certificate of 127.0.0.1, which can be trusted as its own authority, and of its key.
pub fn certificate(folder: &Path, name: &str) -> (String, String) {
    let made = self_signed(folder, name, "CA:TRUE");
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    (path(&made.certificate), path(&made.key))
}

/// What `gridtally pg-password` prints.
pub fn verifier(password: &str) -> String {
    let mut child = Command::new(BINARY)
        .arg("pg-password")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(format!("{password}\n").as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    text(&output.stdout).trim().to_owned()
}
