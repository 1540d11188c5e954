//! The queries of reports: text of `.sql` files with its parameters written in.
//!
//! A query is the statement of its section behind the definitions that it shares with others (`WITH` parts). A parameter is `$name`. It is
//! written into the text as a literal, so that the query that stands under a figure is the one that made it and runs as it is. Nothing but
//! the literals below is ever written in: instants, days and numbers that were parsed, and texts whose quotes are doubled.

use std::fmt::Write as _;

use gridtally_schemas::{Day, UtcMicros, Zone};

/// A definition that queries share: common table expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// What it is called in print.
    pub(super) name: &'static str,
    text: &'static str,
}

/// What shared definitions there are.
pub(super) mod part {
    use super::Part;

    /// The network and what lies below the node.
    pub(in crate::reports) const NETWORK: Part = Part {
        name: "network",
        text: include_str!("sql/network.sql"),
    };
    /// Which consumer hung where in each month.
    pub(in crate::reports) const CONNECTED: Part = Part {
        name: "connected",
        text: include_str!("sql/connected.sql"),
    };
    /// Energy and money by node and month: efficiencies and AT&C loss are defined here.
    pub(in crate::reports) const ACCOUNTS: Part = Part {
        name: "accounts",
        text: include_str!("sql/accounts.sql"),
    };
    /// Compensation entries with their month.
    pub(in crate::reports) const OWED: Part = Part {
        name: "owed",
        text: include_str!("sql/owed.sql"),
    };
    /// Reliability by node and month, feeder-based and consumer-based.
    pub(in crate::reports) const INDICES: Part = Part {
        name: "indices",
        text: include_str!("sql/indices.sql"),
    };
}

/// Text with parameters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Template {
    /// Shared definitions, in order.
    pub(super) parts: &'static [Part],
    /// What follows them.
    pub(super) text: &'static str,
}

impl Template {
    /// The query, with its parameters.
    pub(super) fn bound(&self, parameters: &Parameters) -> Query {
        let part = |part: &Part| (part.name, parameters.written_into(part.text.trim_end()));
        Query {
            definitions: self.parts.iter().map(part).collect(),
            statement: parameters.written_into(self.text.trim_end()),
        }
    }
}

/// A query that runs as it stands.
#[derive(Debug, Clone)]
pub(super) struct Query {
    /// Shared definitions by name.
    pub(super) definitions: Vec<(&'static str, String)>,
    /// What follows them.
    pub(super) statement: String,
}

impl Query {
    /// The whole text.
    pub(super) fn text(&self) -> String {
        let definitions: Vec<&str> = self.definitions.iter().map(|(_, text)| text.as_str()).collect();
        let with = if definitions.is_empty() {
            ""
        } else {
            "WITH RECURSIVE\n"
        };
        let end = if definitions.is_empty() { "" } else { "\n" };
        format!("{with}{}{end}{}", definitions.join(",\n"), self.statement)
    }
}

/// Parameters by name, as the literals that are written in.
#[derive(Debug, Clone, Default)]
pub(super) struct Parameters(Vec<(&'static str, String)>);

impl Parameters {
    fn set(&mut self, name: &'static str, literal: String) {
        self.0.retain(|(held, _)| *held != name);
        self.0.push((name, literal));
    }

    /// An instant, exact to the microsecond.
    pub(super) fn instant(&mut self, name: &'static str, at: UtcMicros, zone: &Zone) {
        self.set(name, quoted(&at.to_rfc3339(zone)));
    }

    /// A civil day.
    pub(super) fn day(&mut self, name: &'static str, day: Day) {
        self.set(name, format!("DATE '{day}'"));
    }

    /// A text, or none.
    pub(super) fn text(&mut self, name: &'static str, text: Option<&str>) {
        self.set(
            name,
            text.map_or_else(|| "CAST(NULL AS VARCHAR)".to_owned(), quoted),
        );
    }

    /// A number.
    pub(super) fn number(&mut self, name: &'static str, number: f64) {
        // Display of a finite number has no exponent; what is not finite is no limit of anything.
        let number = if number.is_finite() { number } else { 0.0 };
        self.set(name, number.to_string());
    }

    /// Months as rows: first day, first instant, first instant after.
    pub(super) fn months(&mut self, name: &'static str, months: &[Day], zone: &Zone) {
        let mut rows = String::new();
        for (at, month) in months.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            let begins = zone.start_of(*month).to_rfc3339(zone);
            let ends = zone.start_of(super::period::month_after(*month)).to_rfc3339(zone);
            // Writing to a string cannot fail.
            let _ = write!(
                rows,
                "{comma}(DATE '{month}', {}, {})",
                quoted(&begins),
                quoted(&ends)
            );
        }
        self.set(name, rows);
    }

    /// The text with each `$name` that is known in its place, but in lines of comment. What was written in is not looked at again.
    fn written_into(&self, text: &str) -> String {
        let mut written = String::with_capacity(text.len() * 2);
        for line in text.split_inclusive('\n') {
            if line.trim_start().starts_with("--") {
                written.push_str(line);
            } else {
                self.write_line(line, &mut written);
            }
        }
        written
    }

    fn write_line(&self, line: &str, written: &mut String) {
        let mut parts = line.split('$');
        written.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let end = part
                .find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
                .unwrap_or(part.len());
            let (name, rest) = part.split_at(end);
            match self.0.iter().find(|(held, _)| *held == name) {
                Some((_, literal)) => written.push_str(literal),
                None => {
                    written.push('$');
                    written.push_str(name);
                }
            }
            written.push_str(rest);
        }
    }
}

/// A text as an SQL literal.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_one_text() {
        let mut parameters = Parameters::default();
        parameters.text("node", Some("F'1'; $as_of"));
        parameters.instant("as_of", UtcMicros(0), &Zone::utc());
        parameters.text("nobody", None);
        let template = Template {
            parts: &[],
            text: "SELECT $node, $as_of, $nobody, $unknown",
        };
        assert_eq!(
            template.bound(&parameters).text(),
            "SELECT 'F''1''; $as_of', '1970-01-01T00:00:00+00:00', CAST(NULL AS VARCHAR), $unknown"
        );
    }

    #[test]
    fn parts_come_first_and_parameters_are_exact() {
        let mut parameters = Parameters::default();
        parameters.number("pct", 95.0);
        parameters.instant("at", UtcMicros(1), &Zone::kolkata());
        parameters.day("day", Day(0));
        parameters.months("months", &[Day(0)], &Zone::kolkata());
        let template = Template {
            parts: &[
                Part {
                    name: "a",
                    text: "a AS (SELECT $pct)\n",
                },
                Part {
                    name: "b",
                    text: "b AS (VALUES $months)\n",
                },
            ],
            text: "SELECT $at, $day",
        };
        assert_eq!(
            template.bound(&parameters).text(),
            "WITH RECURSIVE\na AS (SELECT 95),\nb AS (VALUES (DATE '1970-01-01', '1970-01-01T00:00:00+05:30', \
             '1970-02-01T00:00:00+05:30'))\nSELECT '1970-01-01T05:30:00.000001+05:30', DATE '1970-01-01'"
        );
    }
}
