//! `gridtally sql`: a read-only query on a running instance.

#![expect(clippy::print_stdout, reason = "a command that answers on standard output")]

use serde_json::{Value, json};

use crate::{
    cli::{SqlArgs, TableFormat},
    client::Client,
    exit::Failure,
};

/// Sends the query and prints the answer.
pub(crate) fn run(args: &SqlArgs) -> Result<(), Failure> {
    let client = Client::new(&args.server.server)?;
    if args.fresh {
        client
            .post("/api/v1/checkpoint", "application/json", "", "application/json")?
            .accepted(&[200])?;
    }
    let (format, accept) = match args.format {
        TableFormat::Table | TableFormat::Json => ("json", "application/json"),
        TableFormat::Csv => ("csv", "text/csv"),
        TableFormat::Arrow => ("arrow", "application/vnd.apache.arrow.stream"),
    };
    let body = json!({ "query": args.query, "format": format }).to_string();
    let answer = client
        .post("/api/v1/sql", "application/json", &body, accept)?
        .accepted(&[200])?;
    match args.format {
        TableFormat::Table => print_table(&answer.json()?),
        TableFormat::Json | TableFormat::Csv | TableFormat::Arrow => {
            let rows_max = answer.header("sql-rows-max").unwrap_or_default();
            answer.copy_to(&mut std::io::stdout().lock()).map_err(|source| {
                Failure::work(
                    format!("the result is not whole; it may have {rows_max} rows (sql.rows_max)"),
                    source,
                )
            })?;
        }
    }
    Ok(())
}

/// Prints the JSON form of an answer as aligned columns, numbers to the right.
fn print_table(answer: &Value) {
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let names: Vec<String> = list(answer.get("columns"))
        .iter()
        .map(|column| {
            column
                .get("name")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        })
        .collect();
    let rows: Vec<Vec<Value>> = list(answer.get("rows"))
        .iter()
        .map(|row| list(Some(row)))
        .collect();
    let cell = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    let widths: Vec<usize> = names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let cells = rows
                .iter()
                .filter_map(|row| row.get(at))
                .map(|value| cell(value).chars().count());
            cells.chain([name.chars().count()]).max().unwrap_or(0)
        })
        .collect();
    let heads: Vec<String> = names
        .iter()
        .zip(&widths)
        .map(|(name, width)| format!("{name:<width$}"))
        .collect();
    println!("{}", heads.join(" | ").trim_end());
    println!(
        "{}",
        widths
            .iter()
            .map(|width| "-".repeat(*width))
            .collect::<Vec<_>>()
            .join("-+-")
    );
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(value, width)| {
            if value.is_number() {
                format!("{:>width$}", cell(value))
            } else {
                format!("{:<width$}", cell(value))
            }
        });
        println!("{}", cells.collect::<Vec<_>>().join(" | ").trim_end());
    }
    let truncated = answer.get("truncated").and_then(Value::as_bool).unwrap_or(false);
    let published = answer
        .get("published_at")
        .and_then(Value::as_str)
        .unwrap_or("never");
    let more = if truncated { ", cut at the row limit" } else { "" };
    println!("({} rows{more}; published {published})", rows.len());
}
