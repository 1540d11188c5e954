//! gridtally: one binary, roles by subcommand.
//!
//! Configuration is read, the machine's clock is asked and exit codes are decided here and nowhere else. Exit codes: 0 done,
//! 1 the work found or met a failure, 2 usage or configuration, 3 shutdown deadline passed, 4 storage not trustworthy.

use std::process::ExitCode;

use clap::Parser;

mod access_key;
mod check;
mod cli;
mod client;
mod config;
mod demo;
mod endpoints;
mod exit;
mod explain;
mod import;
mod mqtt_key;
mod pg_password;
mod presets;
mod quarantine;
mod report;
mod serve;
mod simulate;
mod sql;
mod trace;
mod verify;
mod what_if;

use cli::{Cli, Command, DemoArgs};

/// Rows are made by the engine's thread and freed by those that write checkpoints, millions at a time. The allocator of the C library kept
/// what was freed so: with 200,000 consumers the process held 1,093 MB after four hours of reads and a checkpoint, with this one 349 MB.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        None => demo::run(&DemoArgs::by_default()),
        Some(Command::Demo(args)) => demo::run(&args),
        Some(Command::Serve(args)) => serve::run(&args),
        Some(Command::Import(args)) => import::run(&args),
        Some(Command::Sql(args)) => sql::run(&args),
        Some(Command::Report(args)) => report::run(&args),
        Some(Command::Quarantine(command)) => quarantine::run(&command),
        Some(Command::Verify(args)) => verify::run(&args),
        Some(Command::Explain(args)) => explain::run(&args),
        Some(Command::Simulate(args)) => simulate::run(&args),
        Some(Command::WhatIf(args)) => what_if::run(&args),
        Some(Command::CheckConfig(args)) => check::run(&args),
        Some(Command::MqttKey { name }) => mqtt_key::run(&name),
        Some(Command::AccessKey(args)) => access_key::run(&args),
        Some(Command::PgPassword) => pg_password::run(),
        Some(Command::SqlWorker) => {
            return gridtally_api::sql::worker::run(std::io::stdin(), std::io::stdout().lock());
        }
    };
    exit::code(outcome)
}
