//! Who gets in by PostgreSQL's protocol: passwords, TLS, and how many.
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
    process::{Command, Stdio},
    time::Instant,
};

use product::{
    BINARY, PATIENCE, Product, have,
    psql::{LONG, NOW, product_with_data, psql_command, psql_error, text, wait_busy},
    secure::{certificate, verifier},
};

#[test]
fn more_sessions_than_allowed_are_told_so() {
    if !have("psql") {
        return;
    }
    let (_folder, product) =
        product_with_data(&[("pg.connections_max", "1"), ("sql.deadline_seconds", "600")]);
    let mut first = psql_command(&product, &["-c", LONG])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_busy(&product);
    let error = psql_error(&product, &["-c", "SELECT 1"]);
    assert!(error.contains("too many clients"), "{error}");
    first.kill().unwrap();
    first.wait().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !psql_command(&product, &["-c", "SELECT 1"])
        .output()
        .unwrap()
        .status
        .success()
    {
        assert!(Instant::now() < deadline, "the place was not given back");
    }
}

#[test]
fn passwords_and_tls_are_asked_for_where_they_are_configured() {
    if !have("psql") || !have("openssl") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (crt, key) = certificate(folder.path(), "own");
    let config = folder.path().join("gridtally.toml");
    let written = format!(
        "[pg]\ntls_certificate = \"{crt}\"\ntls_key = \"{key}\"\n[[pg.users]]\nname = \"auditor\"\nverifier = \"{}\"\n",
        verifier("watt hours")
    );
    std::fs::write(&config, written).unwrap();
    let data = folder.path().join("data");
    let product = Product::start_with_file(&data, &config, &[NOW]);
    let asked = |password: &str, mode: &str| {
        psql_command(&product, &["-At", "-c", "SELECT current_user"])
            .env("PGPASSWORD", password)
            .env("PGSSLMODE", mode)
            .env("PGSSLROOTCERT", &crt)
            .output()
            .unwrap()
    };
    for mode in ["verify-full", "require", "prefer", "disable"] {
        let output = asked("watt hours", mode);
        assert_eq!(
            text(&output.stdout),
            "auditor\n",
            "{mode}: {}",
            text(&output.stderr)
        );
    }
    for mode in ["verify-full", "disable"] {
        let output = asked("watt hour", mode);
        assert!(
            text(&output.stderr).contains("password authentication failed for user \"auditor\""),
            "{mode}: {}",
            text(&output.stderr)
        );
    }
    let nobody = psql_command(&product, &["-U", "nobody", "-c", "SELECT 1"])
        .env("PGPASSWORD", "watt hours")
        .output()
        .unwrap();
    assert!(text(&nobody.stderr).contains("password authentication failed for user \"nobody\""));
    let encrypted = psql_command(&product, &["-c", "\\conninfo"])
        .env("PGPASSWORD", "watt hours")
        .env("PGSSLMODE", "require")
        .output()
        .unwrap();
    assert!(
        text(&encrypted.stdout).contains("SSL connection"),
        "{}",
        text(&encrypted.stdout)
    );
}

#[test]
fn a_certificate_that_cannot_be_used_is_an_error_at_the_start() {
    if !have("openssl") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (crt, key) = certificate(folder.path(), "own");
    let (_, other) = certificate(folder.path(), "other");
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let missing = folder.path().join("missing.crt");
    let missing = missing.to_str().unwrap();
    for (certificate, key, expected) in [
        (crt.as_str(), other.as_str(), "cannot be used together"),
        (missing, key.as_str(), "holds no certificate"),
        (key.as_str(), key.as_str(), "holds no certificate"),
        (crt.as_str(), crt.as_str(), "holds no private key"),
        (crt.as_str(), "", "the certificate needs its key"),
        ("", key.as_str(), "the key needs its certificate"),
    ] {
        let output = Command::new(BINARY)
            .args([
                "serve",
                "--data-dir",
                data,
                "--mqtt-listen",
                "127.0.0.1:0",
                "--http-listen",
                "127.0.0.1:0",
            ])
            .args(["--pg-listen", "127.0.0.1:0"])
            .args([
                "--set",
                &format!("pg.tls_certificate={certificate}"),
                "--set",
                &format!("pg.tls_key={key}"),
            ])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{expected}");
        assert!(
            text(&output.stderr).contains(expected),
            "{}",
            text(&output.stderr)
        );
    }
    let output = Command::new(BINARY)
        .args(["serve", "--data-dir", data, "--pg-listen", "0.0.0.0:0"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("pg.open = true"),
        "{}",
        text(&output.stderr)
    );
}
