//! `gridtally what-if`: what another regulation on compensation would have cost over past months, beside the one in force. Reads only.

#![expect(clippy::print_stdout, reason = "a command that answers on standard output")]

use gridtally_engine::{
    compensation::{Paise, in_force::InForce},
    tables::Tables,
    what_if::{self, Answer, Cost, Question},
};
use gridtally_schemas::Day;

use crate::{
    cli::WhatIfArgs,
    exit::Failure,
    presets,
    serve::{self, Plan},
    trace, verify,
};

/// Asks, and prints a month a line.
pub(crate) fn run(args: &WhatIfArgs) -> Result<(), Failure> {
    let day = |flag: &str, text: &str| {
        Day::parse(text)
            .ok_or_else(|| Failure::Usage(format!("{flag}: `{text}` is no day; YYYY-MM-DD is needed")))
    };
    let (from, to) = (day("--from", &args.from)?, day("--to", &args.to)?);
    if from > to {
        return Err(Failure::Usage(format!("--from {from} lies after --to {to}")));
    }
    let config = serve::load(&args.config)?;
    let plan = Plan::of(&config)?;
    trace::start(&config)?;
    let regulation = presets::regulation(&args.preset)?;
    let preset = regulation.preset.clone();
    if !regulation.valid.holds(from) {
        eprintln!(
            "note: {preset} is in force from {} on: nothing is owed by it for what began before",
            regulation.valid.from
        );
    }
    let other = InForce::new(&plan.zone, Vec::new(), Some(regulation))
        .map_err(|error| Failure::Usage(crate::exit::chain(&error)))?;
    if let Some(server) = &args.server {
        verify::publish_first(server)?;
    }
    let root = plan.data_dir.join("tables");
    let tables = Tables::open_read_only(&root)
        .map_err(|source| Failure::work(format!("{} cannot be opened", root.display()), source))?;
    let question = Question {
        other,
        from,
        to,
        as_of: plan.clock.now(),
    };
    let settings = &plan.engine.settings;
    let answer = serve::runtime()?
        .block_on(what_if::what_if(&tables, settings, &question))
        .map_err(|source| {
            Failure::work(format!("the tables in {} cannot be read", root.display()), source)
        })?;
    print(&answer, &settings.compensation.in_force, &preset);
    Ok(())
}

fn print(answer: &Answer, in_force: &InForce, other: &str) {
    let names = in_force.presets();
    let now = if names.is_empty() {
        "no regulation".to_owned()
    } else {
        names.join(", ")
    };
    println!(
        "in force: {now}; what if: {other}; {} consumers looked at",
        answer.consumers
    );
    println!(
        "{:<8} {:>16} {:>10} {:>10} {:>16} {:>10} {:>10} {:>16} {:>16}",
        "month",
        "in force Rs",
        "defaults",
        "consumers",
        "what if Rs",
        "defaults",
        "consumers",
        "difference Rs",
        "ledger Rs"
    );
    for (month, compared) in &answer.months {
        let name = month.to_string();
        let side = |cost: &Cost| {
            format!(
                "{:>16} {:>10} {:>10}",
                rupees(cost.paise),
                cost.defaults,
                cost.consumers
            )
        };
        println!(
            "{:<8} {} {} {:>16} {:>16}",
            name.get(..7).unwrap_or(&name),
            side(&compared.in_force),
            side(&compared.other),
            rupees(compared.other.paise.saturating_sub(compared.in_force.paise)),
            rupees(compared.ledger_paise)
        );
    }
    if answer.months.is_empty() {
        println!("nothing is owed by either");
    }
}

fn rupees(paise: i128) -> String {
    i64::try_from(paise).map_or_else(|_| format!("{paise} paise"), |paise| Paise(paise).to_string())
}
