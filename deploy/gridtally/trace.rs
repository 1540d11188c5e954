//! Logging to standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::{config::Config, exit::Failure};

/// Starts logging as configured.
pub(crate) fn start(config: &Config) -> Result<(), Failure> {
    let filter: EnvFilter = config.get("trace")?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match config.text("trace_format") {
        "json" => builder.json().init(),
        "text" => builder.init(),
        _ => return Err(config.refuse("trace_format", "text or json is possible").into()),
    }
    Ok(())
}
