//! `gridtally verify`: the published balances once more from the raw tables, and what does not agree.

#![expect(clippy::print_stdout, reason = "a command that answers on standard output")]

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use gridtally_engine::{
    tables::Tables,
    verify::{self, Difference, Limits, Progress, Report, Selection, VerifyError},
};
use gridtally_schemas::{Day, NodeId, Zone};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    cli::VerifyArgs,
    client::Client,
    exit::Failure,
    serve::{self, Plan},
    trace,
};

/// Memory of the reads and balances in work.
const MEMORY_BYTES: usize = 1 << 30;
/// How often the progress bar moves.
const SHOWN_EVERY: Duration = Duration::from_millis(100);

/// Verifies, prints what differs, and fails when anything does.
pub(crate) fn run(args: &VerifyArgs) -> Result<(), Failure> {
    let selection = selection(args)?;
    let config = serve::load(&args.config)?;
    let plan = Plan::of(&config)?;
    trace::start(&config)?;
    if let Some(server) = &args.server {
        publish_first(server)?;
    }
    let root = plan.data_dir.join("tables");
    let tables = Tables::open_read_only(&root)
        .map_err(|source| Failure::work(format!("{} cannot be opened", root.display()), source))?;
    let limits = Limits {
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        memory_bytes: MEMORY_BYTES,
    };
    let settings = &plan.engine.settings;
    let progress = Arc::new(Progress::default());
    let verified = serve::runtime()?.block_on(async {
        let verifying = verify::verify(&tables, settings, &selection, limits, &progress);
        Box::pin(watched(verifying, &progress)).await
    });
    let report = verified.map_err(|error| match error {
        VerifyError::UnknownNode { .. } => Failure::Usage(format!("--node: {error}")),
        VerifyError::NeverPublished | VerifyError::NothingInPeriod { .. } | VerifyError::NoBalance { .. } => {
            Failure::Found(format!("{error} ({})", root.display()))
        }
        VerifyError::Read { .. } | VerifyError::Raw(_) | VerifyError::Balance(_) | VerifyError::Panicked => {
            Failure::work(
                format!("the tables in {} cannot be verified", root.display()),
                error,
            )
        }
    })?;
    print(&report, &settings.zone)
}

fn selection(args: &VerifyArgs) -> Result<Selection, Failure> {
    let day = |flag: &str, text: &Option<String>| {
        let parsed = text.as_ref().map(|text| {
            Day::parse(text)
                .ok_or_else(|| Failure::Usage(format!("{flag}: `{text}` is no day; YYYY-MM-DD is needed")))
        });
        parsed.transpose()
    };
    let selection = Selection {
        node: args
            .node
            .as_ref()
            .map(|id| NodeId::parse(id).map_err(|error| Failure::Usage(format!("--node: {error}"))))
            .transpose()?,
        from: day("--from", &args.from)?,
        to: day("--to", &args.to)?,
    };
    if let (Some(from), Some(to)) = (selection.from, selection.to)
        && from > to
    {
        return Err(Failure::Usage(format!("--from {from} lies after --to {to}")));
    }
    Ok(selection)
}

/// Has a running instance publish what is live, so that it is in the tables.
pub(crate) fn publish_first(server: &str) -> Result<(), Failure> {
    Client::new(server)?
        .post("/api/v1/checkpoint", "application/json", "", "application/json")?
        .accepted(&[200])
        .map(|_| ())
}

/// Shows how far it has come, on a terminal.
async fn watched<T>(verifying: impl Future<Output = T>, progress: &Progress) -> T {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("verify {bar:40} {pos}/{len} feeder-days, {msg} {eta}") {
        bar.set_style(style);
    }
    let mut verifying = std::pin::pin!(verifying);
    let mut shown = tokio::time::interval(SHOWN_EVERY);
    let verified = loop {
        tokio::select! {
            verified = &mut verifying => break verified,
            _ = shown.tick() => {
                bar.set_length(progress.feeder_days.load(Ordering::Relaxed));
                bar.set_position(progress.done.load(Ordering::Relaxed));
                bar.set_message(format!("{} reads", progress.reads.load(Ordering::Relaxed)));
            }
        }
    };
    bar.finish_and_clear();
    verified
}

fn print(report: &Report, zone: &Zone) -> Result<(), Failure> {
    for difference in &report.differences {
        print_difference(difference, zone);
    }
    let kept = u64::try_from(report.differences.len()).unwrap_or(u64::MAX);
    if report.differences_total > kept {
        println!("… and {} more differences", report.differences_total - kept);
    }
    let (from, to) = report.days;
    let [dts, feeders, days] = report.compared;
    println!(
        "{from} to {to}, as of log record {} published {}:",
        report.position,
        report.published_at.to_rfc3339(zone)
    );
    println!(
        "{dts} DT balances, {feeders} feeder balances and {days} daily roll-ups recomputed from {} reads",
        report.reads
    );
    if report.open > 0 {
        println!(
            "{} rows of intervals and days that were still open are left out",
            report.open
        );
    }
    if report.owed > 0 {
        println!(
            "{} days of feeders stand as they were before master data that came after log record {}: the instance is computing them anew, \
             newest first, and they differ until then (--server waits for them)",
            report.owed, report.complete
        );
    }
    match report.differences_total {
        0 => {
            println!("all equal, bit for bit");
            Ok(())
        }
        1 => Err(Failure::Found("1 difference".to_owned())),
        total => Err(Failure::Found(format!("{total} differences"))),
    }
}

fn print_difference(difference: &Difference, zone: &Zone) {
    let Difference {
        table,
        key,
        column,
        published,
        recomputed,
        version,
        evidence,
        ..
    } = difference;
    let of_version = version.map_or_else(String::new, |(version, at)| {
        format!(" (version {version} of {})", at.to_rfc3339(zone))
    });
    println!("{table} {key}: {column}");
    println!("    published  {published}{of_version}");
    println!("    recomputed {recomputed}");
    for line in evidence {
        println!("    - {line}");
    }
}
