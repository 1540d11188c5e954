//! Programs that a bench asks, and what they print.
#![allow(dead_code, reason = "each bench uses a part of it")]

use std::{path::Path, process::Command};

/// A script beside the benches, by the Python that has DuckDB: that of `GRIDTALLY_TEST_PYTHON`, else of the environment that `tests/run` sets up.
pub fn python(script: &str) -> Command {
    let default = format!(
        "{}/.cache/gridtally/venv/bin/python",
        std::env::var("HOME").unwrap_or_default()
    );
    let python = std::env::var("GRIDTALLY_TEST_PYTHON").unwrap_or(default);
    let mut command = Command::new(python);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches").join(script));
    command
}

/// What a program prints; it fails the bench where it fails.
pub fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}
