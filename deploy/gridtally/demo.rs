//! `gridtally demo`: a synthetic discom over real MQTT in this process, with the page, in time-lapse.

#![expect(
    clippy::print_stdout,
    reason = "a command that says what to look at on standard output"
)]

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Parser;
use gridtally_engine::compensation::in_force::InForce;
use gridtally_fleet::{
    Fleet, Span,
    publish::{self, Pace, PublishConfig, TimeLapse},
};
use gridtally_schemas::{UtcMicros, time::QUARTER_MICROS};

use crate::{
    cli::{Cli, Command, DemoArgs},
    exit::Failure,
    import, presets,
    serve::{self, Instance, Plan},
    simulate, trace,
};

mod bills;

/// The discom's first interval begins here: 1 April 2026 in India.
const START: UtcMicros = UtcMicros(1_774_981_800_000_000);
/// Replayed at once before the time-lapse begins.
const BACKFILL_QUARTERS: i64 = 96;
/// Tables are at most this old. In time-lapse 30 seconds are nearly four hours, which is how old the page would say that they are.
const CHECKPOINT: Duration = Duration::from_secs(5);
/// The regulation on compensation where configuration names none.
const REGULATION: &str = include_str!("demo/regulation.toml");
/// The demo ends by itself after this.
const SPAN_QUARTERS: i64 = 96 * 60;

impl DemoArgs {
    /// What a bare `gridtally` does.
    pub(crate) fn by_default() -> Self {
        match Cli::parse_from(["gridtally", "demo"]).command {
            Some(Command::Demo(args)) => args,
            Some(_) | None => Self::default(),
        }
    }
}

/// What is published.
const fn span() -> Span {
    Span::between(START, START.plus(SPAN_QUARTERS * QUARTER_MICROS))
}

/// Runs until interrupted.
pub(crate) fn run(args: &DemoArgs) -> Result<(), Failure> {
    let config = serve::load(&args.config)?;
    let mut plan = Plan::of(&config)?;
    trace::start(&config)?;
    plan.data_dir = fresh_folder(&plan.data_dir.join("demo"))?;
    plan.log.directory = plan.data_dir.join("log");
    let now = START.plus(BACKFILL_QUARTERS * QUARTER_MICROS);
    let time = simulate::time_lapse(now, args.speed)?;
    plan.clock = time.clock();
    plan.engine.checkpoint = plan.engine.checkpoint.min(CHECKPOINT);
    let compensation = &mut plan.engine.settings.compensation;
    if compensation.in_force.is_none() {
        let regulation = presets::read_regulation("DEMO", REGULATION)?;
        compensation.in_force = InForce::new(&plan.zone, Vec::new(), Some(regulation))
            .map_err(|error| Failure::Usage(error.to_string()))?;
    }
    let fleet = simulate::fleet(args.seed, args.consumers, START)?;
    let network = plan.data_dir.join("network");
    fleet
        .write_files(&network)
        .and_then(|()| fleet.write_supply_hours(&network, span()))
        .map_err(|source| Failure::work("the discom cannot be written", source))?;
    bills::write(&network).map_err(|source| Failure::work("the discom's bills cannot be written", source))?;
    serve::runtime()?.block_on(play(plan, fleet, network, time))
}

/// An empty folder. One that holds something else than an earlier demo is refused.
fn fresh_folder(path: &Path) -> Result<PathBuf, Failure> {
    let marker = path.join("demo");
    let cannot = |source| Failure::work(format!("{} cannot be prepared", path.display()), source);
    if path.exists() {
        if !marker.exists() {
            return Err(Failure::Usage(format!(
                "{} exists and is not of a demo; choose another --data-dir",
                path.display()
            )));
        }
        std::fs::remove_dir_all(path).map_err(cannot)?;
    }
    std::fs::create_dir_all(path).map_err(cannot)?;
    std::fs::write(
        &marker,
        "made by `gridtally demo`, and removed when it starts again\n",
    )
    .map_err(cannot)?;
    Ok(path.to_owned())
}

async fn play(plan: Plan, fleet: Fleet, network: PathBuf, time: TimeLapse) -> Result<(), Failure> {
    let instance = Instance::start(plan).await?;
    let endpoints = instance.endpoints;
    let server = instance.url();
    let imported = tokio::task::spawn_blocking(move || import::all(&[network], &server)).await;
    imported.map_err(|source| Failure::work("the import was given up", source))??;
    greet(&instance, &fleet);
    let config = PublishConfig {
        pace: Pace::TimeLapse(time),
        ..PublishConfig::new(&endpoints.mqtt.ip().to_string(), endpoints.mqtt.port(), span())
    };
    let publishing = tokio::spawn(Box::pin(publish::run(fleet, config, std::future::pending())));
    let ended = serve::until(instance, serve::interrupted()).await;
    publishing.abort();
    ended
}

fn greet(instance: &Instance, fleet: &Fleet) {
    let endpoints = instance.endpoints;
    println!(
        "gridtally demo: {} consumers on {} feeders, in time-lapse",
        fleet.config().consumers,
        fleet.feeder_count()
    );
    let server = instance.url();
    println!("  page    {server}/");
    println!("  API     {server}/docs");
    println!("  MQTT    {}", endpoints.mqtt);
    if let Some(pg) = endpoints.pg {
        println!("  SQL     psql -h {} -p {} -d gridtally", pg.ip(), pg.port());
    }
    if let Some(flight) = endpoints.flight {
        println!("  Flight  grpc://{flight}   (Arrow Flight SQL: ADBC, JDBC)");
    }
    println!("  tables  {}", instance.data_dir().join("tables").display());
    println!(
        "try: gridtally sql 'SELECT * FROM node_balance_daily ORDER BY day DESC, loss_pct DESC LIMIT 10' --fresh --server http://{}",
        endpoints.http
    );
    println!("Ctrl-C ends it.");
}
