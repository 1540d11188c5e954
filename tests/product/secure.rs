//! Certificates and passwords of tests.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use super::{BINARY, psql::text};

/// A certificate of 127.0.0.1 with its key.
pub fn certificate(folder: &Path, name: &str) -> (String, String) {
    let file = |ending: &str| {
        folder
            .join(format!("{name}.{ending}"))
            .to_str()
            .unwrap()
            .to_owned()
    };
    let (certificate, key) = (file("crt"), file("key"));
    let output = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args([
            "-subj",
            "/CN=127.0.0.1",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-out",
            &certificate,
            "-keyout",
            &key,
        ])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    (certificate, key)
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
