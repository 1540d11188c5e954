//! `gridtally simulate`: publishes a synthetic fleet to any MQTT 5 broker.

#![expect(clippy::print_stdout, reason = "a command that answers on standard output")]

use gridtally_fleet::{
    Fleet, FleetConfig, Span,
    publish::{self, Pace, PublishConfig, TimeLapse},
};
use gridtally_schemas::{UtcMicros, time::QUARTER_MICROS};

use crate::{cli::SimulateArgs, exit::Failure, serve};

/// Publishes the span, and says what became of it.
pub(crate) fn run(args: &SimulateArgs) -> Result<(), Failure> {
    let start = UtcMicros::parse(&args.start).map_err(|error| Failure::Usage(format!("--start: {error}")))?;
    let fleet = fleet(args.seed, args.consumers, start)?;
    let span = Span::between(start, start.plus(i64::from(args.intervals) * QUARTER_MICROS));
    if let Some(folder) = &args.write {
        let written = fleet
            .write_files(folder)
            .and_then(|()| fleet.write_supply_hours(folder, span))
            .and_then(|()| fleet.write_truth(folder, span));
        written.map_err(|source| Failure::work(format!("{} cannot be written", folder.display()), source))?;
        println!(
            "master data and truth are in {}; next: gridtally import {}",
            folder.display(),
            folder.display()
        );
    }
    let (host, port) = args
        .broker
        .rsplit_once(':')
        .ok_or_else(|| Failure::Usage("--broker: host:port is needed".to_owned()))?;
    let port = port
        .parse()
        .map_err(|_| Failure::Usage(format!("--broker: `{port}` is no port")))?;
    let pace = if args.speed > 0.0 {
        Pace::TimeLapse(time_lapse(start, args.speed)?)
    } else {
        Pace::Fast
    };
    let config = PublishConfig {
        pace,
        ..PublishConfig::new(host, port, span)
    };
    let published = serve::runtime()?.block_on(Box::pin(publish::run(fleet, config, serve::interrupted())));
    let report = published.map_err(|source| Failure::work("the fleet cannot publish", source))?;
    println!(
        "{} publishes acknowledged with {} reads; {} refused, {} unacknowledged, {} sent again, {} reconnects",
        report.publishes_acked,
        report.reads_acked,
        report.publishes_refused,
        report.publishes_unacknowledged,
        report.retries,
        report.reconnects
    );
    if report.publishes_acked == 0 {
        return Err(Failure::Found("nothing was acknowledged".to_owned()));
    }
    Ok(())
}

/// A synthetic discom.
pub(crate) fn fleet(seed: u64, consumers: u32, start: UtcMicros) -> Result<Fleet, Failure> {
    let config = FleetConfig {
        consumers_per_feeder: 250,
        ..FleetConfig::new(seed, u64::from(consumers), start)
    };
    Fleet::new(config).map_err(|error| Failure::Usage(error.to_string()))
}

/// Time that starts at `start` now and runs `intervals` of 15 minutes a second.
pub(crate) fn time_lapse(start: UtcMicros, intervals: f64) -> Result<TimeLapse, Failure> {
    if !(0.001..=1_000.0).contains(&intervals) {
        return Err(Failure::Usage(
            "--speed: 0.001 to 1000 intervals a second are possible".to_owned(),
        ));
    }
    Ok(TimeLapse::begin(start, intervals))
}
