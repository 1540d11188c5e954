//! `gridtally mqtt-key`: a key for a publisher, and what is kept of it.

#![expect(clippy::print_stdout, reason = "a command that answers on standard output")]

use gridtally_ingest::publisher::{KeyHash, new_key};

use crate::exit::Failure;

/// Makes a key for the meter or gateway `name`.
pub(crate) fn run(name: &str) -> Result<(), Failure> {
    let key = new_key().map_err(|source| Failure::work("the system gives no random bytes", source))?;
    println!("# the publisher's password, with {name} as its user name; it is shown this once:");
    println!("# {key}");
    println!("[[mqtt.publishers]]");
    println!("name = \"{name}\"");
    println!("key_sha256 = \"{}\"", KeyHash::of(key.as_bytes()));
    Ok(())
}
