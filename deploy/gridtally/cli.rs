//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// The open smart-meter data platform for electricity distribution companies.
///
/// Without a command it runs the demo.
#[derive(Debug, Parser)]
#[command(name = "gridtally", version, propagate_version = true)]
pub(crate) struct Cli {
    /// What to do; none: the demo.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a synthetic discom over real MQTT, with the page, in time-lapse.
    Demo(DemoArgs),
    /// Run the platform: MQTT endpoint, engine, tables, API and page.
    Serve(ConfigArgs),
    /// Send files of master data, reads, registers and events to a running instance.
    Import(ImportArgs),
    /// Run a read-only SQL query on the published tables.
    Sql(SqlArgs),
    /// Write a report to sign: mis-monthly, sop-quarterly, bee-quarterly or amisp-monthly.
    Report(ReportArgs),
    /// List what waits in quarantine, or judge it again.
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// Recompute the published balances from the raw reads and compare bit for bit: exit 0 equal, 1 differences.
    Verify(VerifyArgs),
    /// Show every version of one balance with the reads and master rows that made it.
    Explain(ExplainArgs),
    /// Compare what another regulation on compensation would have cost over past months, by the published tables; the ledger is not touched.
    WhatIf(WhatIfArgs),
    /// Publish a synthetic fleet to any MQTT 5 broker.
    Simulate(SimulateArgs),
    /// Check a configuration, and print every key with its value and origin; or explain a regulation.
    CheckConfig(CheckArgs),
    /// Make an API key: it is printed this once, with the lines of the configuration that let it in.
    AccessKey(AccessKeyArgs),
    /// Read a password on standard input, and print the verifier that [[pg.users]] of the configuration keeps instead.
    PgPassword,
    /// Make a key for a meter or gateway that publishes, and print it with the entry of the configuration that keeps its hash.
    MqttKey {
        /// Id of the meter or gateway; it is the user name that goes with the key.
        name: String,
    },
    /// Answers one ad-hoc query on standard input and output; started by the server.
    #[command(hide = true)]
    SqlWorker,
}

/// Whose a new API key is.
#[derive(Debug, Args)]
pub(crate) struct AccessKeyArgs {
    /// By what name the log calls whoever has it.
    pub(crate) name: String,
    /// What it may: viewer, auditor, billing, operator or admin; may be given more than once.
    #[arg(long, value_name = "ROLE", default_value = "viewer")]
    pub(crate) role: Vec<String>,
    /// Only this node and all below it.
    #[arg(long, value_name = "NODE")]
    pub(crate) area: Option<String>,
    /// When it ends (RFC 3339 with offset).
    #[arg(long, value_name = "TIME")]
    pub(crate) expires: Option<String>,
}

/// Where configuration comes from.
#[derive(Debug, Default, Args)]
pub(crate) struct ConfigArgs {
    /// TOML file.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Folder of log and tables.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data_dir: Option<String>,
    /// Address of the MQTT endpoint; port 0 picks a free one.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) mqtt_listen: Option<String>,
    /// Address of API and page; port 0 picks a free one.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) http_listen: Option<String>,
    /// Address of SQL by PostgreSQL's protocol; port 0 picks a free one, an empty text turns it off.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) pg_listen: Option<String>,
    /// Address of SQL by Arrow Flight SQL; port 0 picks a free one, an empty text turns it off.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) flight_listen: Option<String>,
    /// Zone of civil days, as an IANA name.
    #[arg(long, value_name = "ZONE")]
    pub(crate) zone: Option<String>,
    /// Clock: an instant at which it stands still, or an offset such as -36h.
    #[arg(long, value_name = "CLOCK", allow_hyphen_values = true)]
    pub(crate) now: Option<String>,
    /// Any key, as `--set log.bytes_max=1000000`; `gridtally check-config` lists them.
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_setting)]
    pub(crate) set: Vec<(String, String)>,
}

impl ConfigArgs {
    /// The flags as keys and values; `--set` comes last and wins.
    pub(crate) fn flags(&self) -> Vec<(String, String)> {
        let named = [
            ("data_dir", &self.data_dir),
            ("mqtt.listen", &self.mqtt_listen),
            ("http.listen", &self.http_listen),
            ("pg.listen", &self.pg_listen),
            ("flight.listen", &self.flight_listen),
            ("zone", &self.zone),
            ("now", &self.now),
        ];
        let given = named
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value.clone()?)));
        given.chain(self.set.iter().cloned()).collect()
    }
}

#[derive(Debug, Default, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Explain a regulation on compensation instead, in plain words with its gaps: a preset's name, or a TOML file.
    #[arg(long, value_name = "NAME or FILE")]
    pub(crate) preset: Option<String>,
}

fn parse_setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("KEY=VALUE is needed")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

#[derive(Debug, Default, Args)]
pub(crate) struct DemoArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Size of the synthetic discom.
    #[arg(long, default_value_t = 2_000)]
    pub(crate) consumers: u32,
    /// Seed of the synthetic discom.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Time-lapse: intervals of 15 minutes a second.
    #[arg(long, default_value_t = 0.5)]
    pub(crate) speed: f64,
}

/// Where a running instance is.
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// Address of a running instance.
    #[arg(
        long,
        value_name = "URL",
        env = "GRIDTALLY_SERVER",
        default_value = "http://127.0.0.1:8080"
    )]
    pub(crate) server: String,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Files (nodes.csv, meters.csv, connections.csv, planned_outages.csv, supply_hours.csv, billing.csv, discom_accounts.csv, feeder_managers.csv, service_requests.csv, claims.csv,
    /// reads.csv, registers.csv, events.csv, or .parquet), or folders of them.
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// What the files hold, where their names do not say.
    #[arg(long)]
    pub(crate) kind: Option<String>,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Write into the data folder itself; no instance may be running on it.
    #[arg(long)]
    pub(crate) offline: bool,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum TableFormat {
    /// Aligned columns.
    Table,
    /// Comma-separated values.
    Csv,
    /// JSON as POST /api/v1/sql gives it.
    Json,
    /// An Arrow IPC stream.
    Arrow,
}

#[derive(Debug, Args)]
pub(crate) struct SqlArgs {
    /// The query.
    pub(crate) query: String,
    /// How to print the answer.
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: TableFormat,
    /// Publish what is live first.
    #[arg(long)]
    pub(crate) fresh: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ReportFormat {
    /// A page of its own, to read and to print.
    Html,
    /// Comma-separated values; the column `section` tells the tables apart.
    Csv,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// mis-monthly, sop-quarterly, bee-quarterly or amisp-monthly.
    pub(crate) name: String,
    /// A month such as 2026-04, or a quarter of the financial year such as 2026-Q1 (April to June 2026, the first of 2026-27).
    #[arg(long, value_name = "PERIOD")]
    pub(crate) period: String,
    /// Only this node, a feeder or a level above, and all below it.
    #[arg(long, value_name = "ID")]
    pub(crate) node: Option<String>,
    /// As it stood published then (RFC 3339, or a day); else as of the last checkpoint.
    #[arg(long, value_name = "WHEN")]
    pub(crate) as_of: Option<String>,
    /// What to write.
    #[arg(long, value_enum, default_value = "html")]
    pub(crate) format: ReportFormat,
    /// Of CSV: only this section.
    #[arg(long, value_name = "SECTION")]
    pub(crate) section: Option<String>,
    /// Where to write it; else to standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Publish what is live first.
    #[arg(long, conflicts_with = "offline")]
    pub(crate) fresh: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Read the tables of the data folder itself; an instance may be running on it.
    #[arg(long)]
    pub(crate) offline: bool,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum QuarantineCommand {
    /// List what waits, with the reason.
    List(QuarantineListArgs),
    /// Judge again what waits, and release what can stand now: after a rule or a decoder has changed.
    Replay(QuarantineArgs),
}

/// Which part of the quarantine.
#[derive(Debug, Args)]
pub(crate) struct QuarantineArgs {
    /// Only what this meter said.
    #[arg(long, value_name = "ID")]
    pub(crate) meter: Option<String>,
    /// Only what waits for this reason, such as unknown_meter, too_old or undecodable.
    #[arg(long, value_name = "REASON")]
    pub(crate) reason: Option<String>,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct QuarantineListArgs {
    #[command(flatten)]
    pub(crate) which: QuarantineArgs,
    /// At most so many rows, the oldest first.
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Only this node and all below it.
    #[arg(long, value_name = "ID")]
    pub(crate) node: Option<String>,
    /// From this civil day on (YYYY-MM-DD).
    #[arg(long, value_name = "DAY")]
    pub(crate) from: Option<String>,
    /// Up to and with this civil day (YYYY-MM-DD).
    #[arg(long, value_name = "DAY")]
    pub(crate) to: Option<String>,
    /// Have the instance at this address publish what is live first. The tables are read from the data folder, which must be its own.
    #[arg(long, value_name = "URL")]
    pub(crate) server: Option<String>,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// A DT or feeder; of a day any node.
    #[arg(value_name = "NODE")]
    pub(crate) node: String,
    /// End of the interval (RFC 3339 with offset), or a civil day (YYYY-MM-DD).
    #[arg(value_name = "WHEN")]
    pub(crate) when: String,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

#[derive(Debug, Args)]
pub(crate) struct WhatIfArgs {
    /// The other regulation: a preset's name, or a TOML file such as a changed copy of one.
    #[arg(long, value_name = "NAME or FILE")]
    pub(crate) preset: String,
    /// Defaults that began on this civil day or later (YYYY-MM-DD).
    #[arg(long, value_name = "DAY")]
    pub(crate) from: String,
    /// And on this civil day at the latest (YYYY-MM-DD).
    #[arg(long, value_name = "DAY")]
    pub(crate) to: String,
    /// Have the instance at this address publish what is live first. The tables are read from the data folder, which must be its own.
    #[arg(long, value_name = "URL")]
    pub(crate) server: Option<String>,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// Broker, as host:port.
    #[arg(long, default_value = "127.0.0.1:1883")]
    pub(crate) broker: String,
    /// Size of the synthetic discom.
    #[arg(long, default_value_t = 2_000)]
    pub(crate) consumers: u32,
    /// Seed of the synthetic discom.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// First interval begins here (RFC 3339).
    #[arg(long, value_name = "TIME", default_value = "2026-04-01T00:00:00+05:30")]
    pub(crate) start: String,
    /// Number of 15-minute intervals.
    #[arg(long, default_value_t = 96)]
    pub(crate) intervals: u32,
    /// Intervals a second; 0: as fast as the broker acknowledges.
    #[arg(long, default_value_t = 0.0)]
    pub(crate) speed: f64,
    /// Write the discom's master data and its truth into this folder first, ready for `gridtally import`.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) write: Option<PathBuf>,
}
