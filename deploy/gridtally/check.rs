//! `gridtally check-config`: every key, its value and where it came from; exit code 2 when one cannot be used.

#![expect(clippy::print_stdout, reason = "a command that answers on standard output")]

use crate::{cli::ConfigArgs, exit::Failure, serve};

/// Prints the configuration in force.
pub(crate) fn run(args: &ConfigArgs) -> Result<(), Failure> {
    let config = serve::load(args)?;
    for (key, value, origin) in config.shown() {
        println!("# {} ({})", key.about, key.env);
        println!("{:<32} = {:<28} # {origin}", key.path, format!("\"{value}\""));
    }
    for gateway in &config.gateways {
        println!("gateway {}: {} meters enrolled", gateway.id, gateway.meters.len());
    }
    serve::Plan::of(&config)?;
    println!("configuration can be used");
    Ok(())
}
