//! `gridtally mqtt-key`: a key for a publisher, and what is kept of it.

#![expect(clippy::print_stdout, reason = "a command that answers on standard output")]

use gridtally_ingest::key::NewKey;

use crate::exit::Failure;

/// Makes a key for the meter or gateway `name`.
pub(crate) fn run(name: &str) -> Result<(), Failure> {
    let key = NewKey::make().map_err(Failure::Found)?;
    println!("# the publisher's password, with {name} as its user name; it is shown this once:");
    println!("# {}", key.text());
    println!("[[mqtt.publishers]]");
    println!("name = {}", toml::Value::String(name.to_owned()));
    println!("hash = \"{}\"", key.hash());
    Ok(())
}
