//! An explanation as a page to print, on one sheet: sentences, each with its facts, and tables of what there is much of; no script; instants as
//! people write them, with the exact one in the markup.

use std::fmt::Write;

use gridtally_schemas::{UtcMicros, Zone};

use super::Statement;
use crate::html::escaped;

/// The page. Times in it are those of `zone`.
pub(super) fn html(zone: &Zone, statement: &Statement) -> String {
    let mut page = String::from(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, \
         initial-scale=1\">\n",
    );
    // Writing to a string cannot fail.
    let _ = writeln!(page, "<title>{}</title>", escaped(&statement.says));
    page.push_str("<link rel=\"icon\" href=\"/ui/icon.svg\" type=\"image/svg+xml\">\n");
    page.push_str("<link rel=\"stylesheet\" href=\"/ui/explanation.css\">\n</head>\n<body>\n<main>\n");
    section(statement, &[], &mut page);
    let _ = writeln!(
        page,
        "<p class=\"note\">Times are those of {}. Every amount is an entry that never changes: a correction is another entry.</p>",
        escaped(zone.name())
    );
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

/// Facts that were said above: what is the same below is not said again.
type Said<'a> = [&'a [(&'static str, String)]];

fn is_said(said: &Said<'_>, name: &str, value: &str) -> bool {
    let mut above = said.iter().flat_map(|facts| facts.iter());
    above.any(|(other, same)| *other == name && same == value)
}

fn section(statement: &Statement, said: &Said<'_>, page: &mut String) {
    let heading = said.len().saturating_add(1).min(6);
    let _ = writeln!(
        page,
        "<section class=\"{}\">\n<h{heading}>{}</h{heading}>",
        statement.kind,
        capital(statement.kind, &shown(&statement.says))
    );
    let own = statement.facts.iter();
    let facts: Vec<_> = own.filter(|(name, value)| !is_said(said, name, value)).collect();
    if !facts.is_empty() {
        page.push_str("<dl>\n");
        for (name, value) in facts {
            let _ = writeln!(
                page,
                "<div><dt>{}</dt><dd>{}</dd></div>",
                label(name),
                shown(value)
            );
        }
        page.push_str("</dl>\n");
    }
    let said = [said, &[statement.facts.as_slice()]].concat();
    let mut rest = statement.because.as_slice();
    while let Some(first) = rest.first() {
        let alike = rest
            .iter()
            .take_while(|other| is_row(other) && other.kind == first.kind);
        let (rows, after) = rest.split_at_checked(alike.count()).unwrap_or((rest, &[]));
        if rows.is_empty() {
            section(first, &said, page);
            rest = rest.get(1..).unwrap_or_default();
        } else {
            table(rows, &said, page);
            rest = after;
        }
    }
    page.push_str("</section>\n");
}

/// Kinds of which there are many, each a line: entries of a sum, events, reads and nodes.
fn is_row(statement: &Statement) -> bool {
    statement.because.is_empty() && matches!(statement.kind, "entry" | "events" | "reads" | "node")
}

/// Statements of one kind, a row each, with a column for each fact that is not said above of all of them.
fn table(rows: &[Statement], said: &Said<'_>, page: &mut String) {
    let mut names: Vec<&str> = Vec::new();
    for (name, value) in rows.iter().flat_map(|row| &row.facts) {
        if !names.contains(name) && !is_said(said, name, value) {
            names.push(name);
        }
    }
    page.push_str("<table>\n<thead><tr><th></th>");
    for name in &names {
        let _ = write!(page, "<th scope=\"col\">{}</th>", label(name));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        let _ = write!(page, "<tr><th scope=\"row\">{}</th>", shown(&row.says));
        for name in &names {
            let value = row.facts.iter().find(|(other, _)| other == name);
            let _ = write!(
                page,
                "<td>{}</td>",
                value.map_or_else(String::new, |(_, value)| shown(value))
            );
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table>\n");
}

/// `amount, Rs` of `amount_inr`.
fn label(name: &str) -> String {
    let (name, unit) = name
        .strip_suffix("_inr")
        .map_or((name, ""), |name| (name, ", Rs"));
    format!("{}{unit}", escaped(&name.replace('_', " ")))
}

/// As a heading begins; one that begins with somebody's number stays as it is.
fn capital(kind: &str, text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) if kind != "connection" => format!("{}{}", first.to_uppercase(), letters.as_str()),
        Some(_) | None => text.to_owned(),
    }
}

/// Text as HTML, with its instants readable.
fn shown(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let instant = word.trim_end_matches([',', ':', ';', ')']);
        let after = word.strip_prefix(instant).unwrap_or_default();
        readable(instant).map_or_else(
            || escaped(word),
            |time| format!("<time datetime=\"{}\">{time}</time>{after}", escaped(instant)),
        )
    });
    words.collect::<Vec<_>>().join(" ")
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// `1 Apr 2026, 10:02` of `2026-04-01T10:02:00+05:30`; `None`: it is no instant.
fn readable(instant: &str) -> Option<String> {
    UtcMicros::parse(instant).ok()?;
    let (date, time) = instant.split_once('T')?;
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let month = MONTHS.get(month.parse::<usize>().ok()?.checked_sub(1)?)?;
    let time = time.get(..8)?;
    let time = time.strip_suffix(":00").unwrap_or(time);
    Some(format!("{} {month} {year}, {time}", day.trim_start_matches('0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_by_people_and_machines() {
        let check = |text: &str, expected: &str| assert_eq!(shown(text), expected);
        check(
            "M1 at 2026-04-01T10:02:00+05:30: 101 off",
            "M1 at <time datetime=\"2026-04-01T10:02:00+05:30\">1 Apr 2026, 10:02</time>: 101 off",
        );
        check(
            "2026-12-31T23:59:07+05:30",
            "<time datetime=\"2026-12-31T23:59:07+05:30\">31 Dec 2026, 23:59:07</time>",
        );
        check(
            "T at 2026-13-01T10:02:00+05:30 & T1",
            "T at 2026-13-01T10:02:00+05:30 &amp; T1",
        );
    }

    #[test]
    fn what_is_said_once_is_not_said_again_and_what_is_alike_is_a_table() {
        let entry = |says: &str, amount: &str| {
            Statement::new("entry", says)
                .fact("consumer_id", "C1")
                .fact("amount_inr", amount)
        };
        let sum = Statement::new("sum", "the sum")
            .because([entry("accrual", "50.00"), entry("adjustment", "10.00")]);
        let page = html(&Zone::kolkata(), &entry("Rs 60", "50.00").because([sum]));
        assert_eq!(page.matches("<dd>C1</dd>").count(), 1);
        assert!(page.contains("<h2>The sum</h2>\n<table>\n<thead><tr><th></th><th scope=\"col\">amount, Rs</th></tr></thead>"), "{page}");
        assert!(
            page.contains("<tr><th scope=\"row\">adjustment</th><td>10.00</td></tr>"),
            "{page}"
        );
    }

    #[test]
    fn what_people_wrote_stays_text() {
        let cause = Statement::new("cause", "A. Rao <script>alert(1)</script> said: \"tree\"")
            .fact("cause", "a & b's");
        let page = html(
            &Zone::kolkata(),
            &Statement::new("entry", "Rs 50").because([cause]),
        );
        assert!(page.contains("A. Rao &lt;script&gt;alert(1)&lt;/script&gt; said: &quot;tree&quot;"));
        assert!(page.contains("<dt>cause</dt><dd>a &amp; b&#39;s</dd>"));
        assert!(!page.contains("<script"));
    }
}
