//! API and page by TLS, with the real binary as both sides.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::print_stdout,
    clippy::too_many_lines,
    clippy::too_many_arguments,
    clippy::large_futures,
    clippy::needless_pass_by_value,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "tests fail by panicking, and are an edge"
)]

mod product;

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::{Command, Output},
    time::Instant,
};

use product::{BINARY, PATIENCE, Product, certificate::Authority, have};

fn asked(server: &str, trusted: &Path) -> Output {
    Command::new(BINARY)
        .args([
            "sql",
            "SELECT 42 AS answer",
            "--format",
            "csv",
            "--server",
            server,
        ])
        .env("SSL_CERT_FILE", trusted)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn with_a_certificate_api_and_page_speak_tls_and_nothing_else() {
    if !have("openssl") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "discom");
    let own = authority.certify("command centre", "IP:127.0.0.1");
    let stranger = Authority::new(folder.path(), "stranger");
    let data = folder.path().join("data");
    let settings = [
        ("http.tls_certificate", own.certificate.to_str().unwrap()),
        ("http.tls_key", own.key.to_str().unwrap()),
    ];
    let product = Product::spawn(&data, "127.0.0.1:0", &settings);
    let deadline = Instant::now() + PATIENCE;
    let endpoints = loop {
        if let Ok(text) = std::fs::read_to_string(data.join("endpoints.json")) {
            break serde_json::from_str::<serde_json::Value>(&text).unwrap();
        }
        assert!(Instant::now() < deadline, "not ready:\n{}", product.errors());
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    let address = endpoints["http"].as_str().unwrap();
    let server = format!("https://{address}");
    let answer = asked(&server, &authority.certificate);
    assert_eq!(
        text(&answer.stdout),
        "answer\r\n42\r\n",
        "{}",
        text(&answer.stderr)
    );

    let refused = asked(&server, &stranger.certificate);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused.stderr).contains("certificate"),
        "{}",
        text(&refused.stderr)
    );

    // What does not speak TLS is left without an answer, and without harm to others.
    let mut plain = TcpStream::connect(address).unwrap();
    plain
        .write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .unwrap();
    let mut said = Vec::new();
    let _ = plain.read_to_end(&mut said);
    assert!(!text(&said).contains("HTTP/1.1"), "{}", text(&said));
    assert_eq!(
        text(&asked(&server, &authority.certificate).stdout),
        "answer\r\n42\r\n"
    );
}
