//! `gridtally pg-password`: from a password to what is kept of it.

#![expect(clippy::print_stdout, reason = "a command that answers on standard output")]

use std::io::{BufRead, IsTerminal};

use gridtally_api::Verifier;

use crate::exit::Failure;

/// Reads a line and prints its verifier.
pub(crate) fn run() -> Result<(), Failure> {
    let input = std::io::stdin();
    if input.is_terminal() {
        eprintln!("password (it shows while you type; better: a pipe):");
    }
    let mut line = String::new();
    input
        .lock()
        .read_line(&mut line)
        .map_err(|source| Failure::work("standard input cannot be read", source))?;
    let password = line.trim_end_matches(['\r', '\n']);
    let verifier = Verifier::of_password(password).map_err(Failure::Usage)?;
    println!("{verifier}");
    Ok(())
}
