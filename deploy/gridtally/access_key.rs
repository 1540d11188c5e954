//! `gridtally access-key`: a new API key, and what is kept of it.

#![expect(clippy::print_stdout, reason = "a command that answers on standard output")]

use gridtally_api::access::NewKey;

use crate::{cli::AccessKeyArgs, config::AccessKeyEntry, exit::Failure, serve};

/// Makes a key and prints it, with the lines that let it in.
pub(crate) fn run(args: &AccessKeyArgs) -> Result<(), Failure> {
    let key = NewKey::make().map_err(Failure::Found)?;
    let entry = AccessKeyEntry {
        name: args.name.clone(),
        hash: key.hash().to_string(),
        roles: args.role.clone(),
        area: args.area.clone(),
        expires: args.expires.clone(),
    };
    // What the start would refuse is refused here.
    serve::check_key(&entry).map_err(Failure::Usage)?;
    println!("{}", key.text());
    println!();
    println!("# Above is the key; it is shown this once. Into the configuration file:");
    println!("[[access.keys]]");
    println!("name = {}", quoted(&entry.name));
    println!("hash = {}", quoted(&entry.hash));
    let roles: Vec<String> = entry.roles.iter().map(|role| quoted(role)).collect();
    println!("roles = [{}]", roles.join(", "));
    if let Some(area) = &entry.area {
        println!("area = {}", quoted(area));
    }
    if let Some(expires) = &entry.expires {
        println!("expires = {}", quoted(expires));
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
