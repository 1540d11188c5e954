//! `gridtally quarantine list|replay`: what waits in the quarantine of a running instance, and judging it again.

#![expect(clippy::print_stdout, reason = "a command that answers on standard output")]

use serde_json::{Value, json};

use crate::{
    cli::{QuarantineArgs, QuarantineCommand, QuarantineListArgs},
    client::Client,
    exit::Failure,
};

/// Most rows of a page of the route.
const PAGE_ROWS_MAX: usize = 1_000;

/// Lists, or judges again.
pub(crate) fn run(command: &QuarantineCommand) -> Result<(), Failure> {
    match command {
        QuarantineCommand::List(args) => list(args),
        QuarantineCommand::Replay(args) => replay(args),
    }
}

fn list(args: &QuarantineListArgs) -> Result<(), Failure> {
    let client = Client::new(&args.which.server.server)?;
    let path = "/api/v1/checkpoint";
    let published = client.post(path, "application/json", "", "application/json")?;
    if published.status == 403 {
        eprintln!("as last published: to publish first is for admins");
    } else {
        published.accepted(&[200])?;
    }
    let (mut shown, mut cursor) = (0, String::new());
    let waiting = loop {
        let limit = args
            .limit
            .saturating_sub(shown)
            .clamp(1, PAGE_ROWS_MAX)
            .to_string();
        let query = [
            ("meter", args.which.meter.as_deref().unwrap_or_default()),
            ("reason", args.which.reason.as_deref().unwrap_or_default()),
            ("limit", &limit),
            ("cursor", &cursor),
        ];
        let page = client
            .get("/api/v1/quarantine", &query)?
            .accepted(&[200])?
            .json()?;
        let rows = page
            .get("rows")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        rows.iter()
            .take(args.limit.saturating_sub(shown))
            .for_each(print_row);
        shown += rows.len().min(args.limit.saturating_sub(shown));
        let next = page.get("next_cursor").and_then(Value::as_str);
        match next.filter(|_| shown < args.limit) {
            Some(next) => next.clone_into(&mut cursor),
            None => break page.get("waiting").and_then(Value::as_u64).unwrap_or(0),
        }
    };
    println!("{waiting} wait, {shown} shown");
    Ok(())
}

fn print_row(row: &Value) {
    let text = |field: &str| row.get(field).and_then(Value::as_str).unwrap_or("-").to_owned();
    println!(
        "{}  {}  meter {}  interval to {}  from {}  {}",
        text("received_at"),
        text("reason"),
        text("meter_id"),
        text("interval_end"),
        text("source"),
        text("exception_id"),
    );
    if let Some(payload) = row.get("payload").and_then(Value::as_str) {
        println!("    {}", payload.replace(char::is_control, " "));
    }
}

fn replay(args: &QuarantineArgs) -> Result<(), Failure> {
    let client = Client::new(&args.server.server)?;
    let asked = json!({ "meter_id": args.meter, "reason": args.reason });
    let done = post(&client, "/api/v1/quarantine/replay", &asked.to_string())?;
    let count = |field: &str| done.get(field).and_then(Value::as_u64).unwrap_or(0);
    println!("{} judged again, {} released", count("judged"), count("released"));
    let stay = done.get("stay").and_then(Value::as_object);
    for (why, rows) in stay.into_iter().flatten() {
        println!("    {rows} stay: {why}");
    }
    Ok(())
}

fn post(client: &Client, path: &str, body: &str) -> Result<Value, Failure> {
    client
        .post(path, "application/json", body, "application/json")?
        .accepted(&[200])?
        .json()
}
