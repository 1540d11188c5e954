//! `gridtally explain`: the versions of one balance, and the reads and master rows that made each.

#![expect(clippy::print_stdout, reason = "a command that answers on standard output")]

use gridtally_engine::{
    tables::Tables,
    verify::{self, Explanation, Of, VerifyError},
};
use gridtally_schemas::{Day, NodeId, UtcMicros, Zone};

use crate::{
    cli::ExplainArgs,
    exit::Failure,
    serve::{self, Plan},
    trace,
};

/// Prints every version with what made it.
pub(crate) fn run(args: &ExplainArgs) -> Result<(), Failure> {
    let node = NodeId::parse(&args.node).map_err(|error| Failure::Usage(format!("NODE: {error}")))?;
    let of = when(&args.when)?;
    let config = serve::load(&args.config)?;
    let plan = Plan::of(&config)?;
    trace::start(&config)?;
    let root = plan.data_dir.join("tables");
    let tables = Tables::open_read_only(&root)
        .map_err(|source| Failure::work(format!("{} cannot be opened", root.display()), source))?;
    let settings = &plan.engine.settings;
    let explained = serve::runtime()?.block_on(Box::pin(verify::explain(&tables, settings, &node, of)));
    let explanation = explained.map_err(|error| match error {
        VerifyError::UnknownNode { .. } => Failure::Usage(format!("NODE: {error}")),
        VerifyError::NoBalance { .. } | VerifyError::NeverPublished | VerifyError::NothingInPeriod { .. } => {
            Failure::Found(format!("{error} ({})", root.display()))
        }
        VerifyError::Read { .. } | VerifyError::Raw(_) | VerifyError::Balance(_) | VerifyError::Panicked => {
            Failure::work(format!("the tables in {} cannot be read", root.display()), error)
        }
    })?;
    print(&explanation, &settings.zone);
    Ok(())
}

/// An instant with offset, or a day.
fn when(text: &str) -> Result<Of, Failure> {
    let interval = UtcMicros::parse(text).map(Of::Interval).ok();
    interval.or_else(|| Day::parse(text).map(Of::Day)).ok_or_else(|| {
        Failure::Usage(format!(
            "WHEN: `{text}` is neither the end of an interval, such as 2026-04-01T00:30:00+05:30, nor a day, such as 2026-04-01"
        ))
    })
}

fn print(explanation: &Explanation, zone: &Zone) {
    println!("{} {}", explanation.table, explanation.key);
    for made in &explanation.versions {
        let reason = made
            .reason
            .as_ref()
            .map_or_else(String::new, |reason| format!(", {reason}"));
        let at = made.published_at.to_rfc3339(zone);
        println!("version {} of {at}: {}{reason}", made.version, made.status);
        for (column, before, after) in &made.columns {
            println!("    {column}: {before} -> {after}");
        }
        for line in &made.made_by {
            println!("    - {line}");
        }
    }
}
