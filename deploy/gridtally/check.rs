//! `gridtally check-config`: every key, its value and where it came from, and which regulation on compensation is in
//! force where and when, with gaps and overlaps; or, with `--preset`, a regulation in plain words. Exit
//! code 2 when one cannot be used.

#![expect(clippy::print_stdout, reason = "a command that answers on standard output")]

use gridtally_engine::compensation::{coverage, explain};

use crate::{
    cli::{CheckArgs, ConfigArgs},
    exit::Failure,
    presets, serve,
};

/// Prints the configuration in force, or a regulation.
pub(crate) fn run(args: &CheckArgs) -> Result<(), Failure> {
    match &args.preset {
        Some(preset) => regulation(preset),
        None => configuration(&args.config),
    }
}

fn configuration(args: &ConfigArgs) -> Result<(), Failure> {
    let config = serve::load(args)?;
    for (key, value, origin) in config.shown() {
        println!("# {} ({})", key.about, key.env);
        println!("{:<32} = {:<28} # {origin}", key.path, format!("\"{value}\""));
    }
    for gateway in &config.gateways {
        println!("gateway {}: {} meters enrolled", gateway.id, gateway.meters.len());
    }
    let plan = serve::Plan::of(&config)?;
    let asks = plan.mqtt.config.publishers.asks();
    println!(
        "publishers: {}",
        match (asks, plan.mqtt.config.publishers.with_key()) {
            (false, _) => "anybody may publish as anybody".to_owned(),
            (true, keys) if config.text_if_set("mqtt.client_authorities").is_some() =>
                format!("by certificate, and {keys} by key"),
            (true, keys) => format!("{keys} by key"),
        }
    );
    for line in plan.engine.settings.compensation.in_force.lines() {
        println!("compensation: {line}");
    }
    for webhook in &config.webhooks {
        println!(
            "webhook {}: secrets: {}, {}",
            webhook.name,
            webhook.secrets.len(),
            if webhook.events.is_empty() {
                "every event".to_owned()
            } else {
                webhook.events.join(", ")
            }
        );
    }
    for user in &config.pg_users {
        println!("PostgreSQL user {}: SCRAM-SHA-256", user.name);
    }
    for (code, meaning, bears_on_supply) in serve::event_map(&config)?.codes() {
        let bears = if bears_on_supply { " (bears on supply)" } else { "" };
        println!("event code {code}: {meaning}{bears}");
    }
    println!("configuration can be used");
    Ok(())
}

/// Gaps are told and stand, for a part of a regulation is better than none; an overlap means that it cannot be used.
fn regulation(name_or_path: &str) -> Result<(), Failure> {
    let regulation = presets::regulation(name_or_path)?;
    for line in explain::lines(&regulation) {
        println!("{line}");
    }
    let problems = coverage::problems(&regulation);
    println!();
    for problem in &problems {
        println!("{problem}");
    }
    let overlaps = problems.iter().filter(|problem| problem.is_overlap()).count();
    if overlaps > 0 {
        return Err(Failure::Usage(format!(
            "regulation {} contradicts itself: {overlaps} of its cases are decided more than once",
            regulation.preset
        )));
    }
    println!("regulation can be used; gaps: {}", problems.len());
    Ok(())
}
