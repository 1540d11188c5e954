//! `gridtally report`: a report as a page of its own or as CSV, from a running instance or from the data folder.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use gridtally_api::{
    reports::{self, Asked, Made, Period, Report, Sources},
    sql::Sql,
};
use gridtally_schemas::{Day, NodeId, UtcMicros, Zone};

use crate::{
    cli::{ReportArgs, ReportFormat},
    client::Client,
    exit::Failure,
    serve::{self, Plan},
    trace, verify,
};

/// Makes the report, and writes it to the file or to standard output.
pub(crate) fn run(args: &ReportArgs) -> Result<(), Failure> {
    let report = Report::named(&args.name).ok_or_else(|| unknown(&args.name))?;
    let period = Period::parse(report.every(), &args.period)
        .map_err(|why| Failure::Usage(format!("--period `{}`: {why}", args.period)))?;
    if args.section.is_some() && matches!(args.format, ReportFormat::Html) {
        return Err(Failure::Usage(
            "--section: a page has all sections; one alone is for --format csv".to_owned(),
        ));
    }
    let written = if args.offline {
        offline(args, report, period)?
    } else {
        online(args)?
    };
    write(args.output.as_deref(), written.as_bytes())
}

fn unknown(name: &str) -> Failure {
    let known: Vec<&str> = Report::ALL.into_iter().map(Report::name).collect();
    Failure::Usage(format!(
        "no report is called `{name}`; there are {}",
        known.join(", ")
    ))
}

/// Asks a running instance.
fn online(args: &ReportArgs) -> Result<String, Failure> {
    if args.fresh {
        verify::publish_first(&args.server.server)?;
    }
    let format = match args.format {
        ReportFormat::Html => "html",
        ReportFormat::Csv => "csv",
    };
    let mut query = vec![("period", args.period.as_str()), ("format", format)];
    for (name, value) in [
        ("node", &args.node),
        ("as_of", &args.as_of),
        ("section", &args.section),
    ] {
        query.extend(value.as_deref().map(|value| (name, value)));
    }
    let path = format!("/api/v1/reports/{}", args.name);
    let answer = Client::new(&args.server.server)?.get(&path, &query)?;
    let text = answer.accepted(&[200])?.text()?;
    Ok(match args.format {
        ReportFormat::Html => reports::standalone(&text, &args.server.server),
        ReportFormat::Csv => text,
    })
}

/// Reads the tables of the data folder; an instance may be running on it.
fn offline(args: &ReportArgs, report: Report, period: Period) -> Result<String, Failure> {
    let config = serve::load(&args.config)?;
    let plan = Plan::of(&config)?;
    trace::start(&config)?;
    let node = args.node.as_ref().map(|id| NodeId::parse(id));
    let asked = Asked {
        report,
        period,
        node: node
            .transpose()
            .map_err(|error| Failure::Usage(format!("--node: {error}")))?,
        as_of: args
            .as_of
            .as_ref()
            .map(|text| instant(text, &plan.zone))
            .transpose()?,
        section: args.section.clone(),
    };
    let root = plan.data_dir.join("tables");
    let sources = sources(&plan, root.clone())?;
    let made: Made = serve::runtime()?
        .block_on(reports::make(&sources, &asked))
        .map_err(|source| {
            Failure::work(format!("no report from the tables in {}", root.display()), source)
        })?;
    Ok(match args.format {
        ReportFormat::Html => reports::standalone(&made.html(), &args.server.server),
        ReportFormat::Csv => made.csv(),
    })
}

fn sources(plan: &Plan, tables_root: PathBuf) -> Result<Sources, Failure> {
    Ok(Sources {
        sql: Sql::new(plan.sql.front(tables_root, &plan.zone)?),
        zone: plan.zone.clone(),
        now: plan.clock.now(),
        coverage_pct: plan.engine.settings.coverage_threshold_pct,
    })
}

/// RFC 3339, or a civil day, which stands for its beginning.
fn instant(text: &str, zone: &Zone) -> Result<UtcMicros, Failure> {
    let day = Day::parse(text).filter(|_| text.len() == "2026-04-01".len());
    day.map_or_else(
        || {
            UtcMicros::parse(text)
                .map_err(|why| Failure::Usage(format!("--as-of: {why}, or a day such as 2026-04-01")))
        },
        |day| Ok(zone.start_of(day)),
    )
}

fn write(file: Option<&Path>, bytes: &[u8]) -> Result<(), Failure> {
    match file {
        Some(file) => std::fs::write(file, bytes)
            .map_err(|source| Failure::work(format!("{} cannot be written", file.display()), source)),
        None => {
            let mut out = std::io::stdout().lock();
            out.write_all(bytes)
                .and_then(|()| out.flush())
                .map_err(|source| Failure::work("the report cannot be printed", source))
        }
    }
}
