//! A report as a page to read, print and sign: no script, one stylesheet, one table a section, the queries behind it at the end.

use std::fmt::Write;

use serde_json::Value;

use super::{
    Filled, Made, Report, number,
    period::month_title,
    query::Query,
    section::{Column, Kind, TRUST},
};
use crate::{html::escaped, sql::plain};

/// How a page of a report looks on screen and on paper; served as `/ui/report.css`.
pub const STYLESHEET: &str = include_str!("../../ui/report.css");
const LINK: &str =
    "<link rel=\"icon\" href=\"/ui/icon.svg\">\n<link rel=\"stylesheet\" href=\"/ui/report.css\">";
/// A table of at most so many rows stays on one sheet.
const ROWS_KEPT_TOGETHER: usize = 18;

/// A table of at most so many columns need not be as wide as the sheet.
const COLUMNS_FEW: usize = 6;

/// The page as a file of its own: the stylesheet within it, links to the console of the instance at `server`.
#[must_use]
pub fn standalone(page: &str, server: &str) -> String {
    let within = format!("<style>\n{STYLESHEET}</style>");
    let console = format!("href=\"{}/#view=sql", escaped(server.trim_end_matches('/')));
    page.replacen(LINK, &within, 1)
        .replace("href=\"/#view=sql", &console)
}

impl Made {
    /// The report as a page.
    #[must_use]
    pub fn html(&self) -> String {
        let mut page =
            String::from("<!doctype html>\n<html lang=\"en-IN\">\n<head>\n<meta charset=\"utf-8\">\n");
        page.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
        let subject = self.subject();
        // Writing to a string cannot fail.
        let _ = writeln!(
            page,
            "<title>{}, {}, {}</title>\n{LINK}\n</head>\n<body>\n<main>",
            self.report.title(),
            escaped(&subject),
            escaped(&self.period.title)
        );
        self.head(&subject, &mut page);
        for (at, filled) in self.sections.iter().enumerate() {
            section(filled, at + 1, &mut page);
        }
        page.push_str(SIGNATURES);
        self.queries(&mut page);
        page.push_str("</main>\n</body>\n</html>\n");
        page
    }

    fn subject(&self) -> String {
        self.path.first().map_or_else(String::new, |place| {
            if place.kind == "discom" {
                place.name.clone()
            } else {
                format!("{} {}", place.kind, place.name)
            }
        })
    }

    fn head(&self, subject: &str, page: &mut String) {
        let discom = self.path.last().map_or("", |place| place.name.as_str());
        let _ = writeln!(
            page,
            "<header>\n<p class=\"discom\">{}</p>\n<h1>{}</h1>\n<p class=\"period\">{}</p>\n<dl>",
            escaped(discom),
            self.report.title(),
            escaped(&self.period.title)
        );
        let above: Vec<&str> = self
            .path
            .iter()
            .skip(1)
            .rev()
            .map(|place| place.name.as_str())
            .collect();
        let of = if above.is_empty() {
            subject.to_owned()
        } else {
            format!("{subject} (in {})", above.join(" › "))
        };
        let as_of = format!("{} ({})", self.as_of.to_rfc3339(&self.zone), self.zone.name());
        let published = format!(
            "log record {}, {}",
            number::grouped(&self.position),
            self.published_at
        );
        let threshold = format!("{}\u{a0}%; what rests on less is withheld", self.coverage_pct);
        for (name, value) in [
            ("For", of),
            ("Status", self.status()),
            ("Coverage", self.coverage()),
            ("As of", as_of),
            ("Published", published),
            ("Threshold", threshold),
        ] {
            let _ = writeln!(page, "<div><dt>{name}</dt><dd>{}</dd></div>", escaped(&value));
        }
        page.push_str("</dl>\n</header>\n");
    }

    /// A line of the section on trust.
    fn trust(&self, line: u64) -> Option<f64> {
        let filled = self
            .sections
            .iter()
            .find(|filled| filled.section.id == TRUST.id)?;
        let mut rows = filled.rows.rows.iter();
        let row = rows.find(|row| filled.rows.value(row, "line").as_u64() == Some(line))?;
        filled.rows.value(row, "value").as_f64()
    }

    /// Whether the figures may still change.
    fn status(&self) -> String {
        let whole = |line| self.trust(line).unwrap_or(0.0);
        let [due, provisional, restated] = [whole(1), whole(3), whole(4)];
        let count = |days: f64| number::fixed(days, 0);
        let rests_on_balances = match self.report {
            Report::MisMonthly | Report::BeeQuarterly => true,
            Report::SopQuarterly | Report::AmispMonthly => false,
        };
        let mut status = if rests_on_balances && self.trust(2).unwrap_or(0.0) == 0.0 {
            "no balance in the period".to_owned()
        } else if !self.is_over {
            "provisional: the period was not over".to_owned()
        } else if !rests_on_balances {
            "as published; what is learnt later may restate it".to_owned()
        } else if provisional > 0.0 {
            format!(
                "provisional: {} of {} feeder-days may still change",
                count(provisional),
                count(due)
            )
        } else if restated > 0.0 {
            format!("final; {} feeder-days were restated", count(restated))
        } else {
            "final".to_owned()
        };
        if self.feeder_days_owed > 0 {
            let _ = write!(
                status,
                "; {} feeder-days were still to be computed anew after a change of master data",
                number::grouped(&self.feeder_days_owed.to_string())
            );
        }
        status
    }

    /// What the figures rest on, in one line.
    fn coverage(&self) -> String {
        let of = |line, decimals| {
            self.trust(line).map_or_else(
                || "not known".to_owned(),
                |share| format!("{}\u{a0}%", number::fixed(share, decimals)),
            )
        };
        format!(
            "input energy known of feeder-days: {}; interval reads that came: {}; consumers billed: {}",
            of(2, 1),
            of(6, 2),
            of(10, 1)
        )
    }

    /// The queries on paper: definitions that several share stand once.
    fn queries(&self, page: &mut String) {
        page.push_str(
            "<section class=\"queries\" id=\"queries\">\n<h2>The queries behind the figures</h2>\n<p>Each table is the result of one query \
             over the published tables, as of the instant above: <code>WITH RECURSIVE</code>, the definitions that it names with a comma \
             between them, and its statement. The link has it whole.</p>\n<div class=\"texts\">\n",
        );
        let mut definitions: Vec<&(&'static str, String)> = Vec::new();
        for definition in self.sections.iter().flat_map(|filled| &filled.query.definitions) {
            if !definitions.contains(&definition) {
                definitions.push(definition);
            }
        }
        for (at, (name, text)) in definitions.iter().enumerate() {
            let number = at + 1;
            let _ = writeln!(
                page,
                "<h3 id=\"d{number}\">Definition {number}: {name}</h3>\n<pre><code>{}</code></pre>",
                escaped(text)
            );
        }
        for (at, filled) in self.sections.iter().enumerate() {
            let number = at + 1;
            let _ = writeln!(
                page,
                "<h3 id=\"q{number}\">Query {number}: {}</h3>\n<p>{}<a class=\"run\" href=\"{}\">Open in the SQL console</a></p>\n\
                 <pre><code>{}</code></pre>",
                escaped(filled.section.title),
                named(&filled.query, &definitions),
                console(&filled.query.text()),
                escaped(&filled.query.statement)
            );
        }
        page.push_str("</div>\n</section>\n");
    }
}

/// Which definitions a query begins with.
fn named(query: &Query, definitions: &[&(&'static str, String)]) -> String {
    let numbers = query.definitions.iter().filter_map(|own| {
        let at = definitions.iter().position(|definition| *definition == own)?;
        Some(format!("<a href=\"#d{0}\">{0}</a>", at + 1))
    });
    let numbers: Vec<String> = numbers.collect();
    if numbers.is_empty() {
        return String::new();
    }
    format!("Definitions {}. ", numbers.join(", "))
}

const SIGNATURES: &str = "<section class=\"signatures\" aria-label=\"Signatures\">\n<p><span>Prepared by</span></p>\n\
                          <p><span>Checked by</span></p>\n<p><span>Managing Director</span></p>\n</section>\n";

fn section(filled: &Filled, number: usize, page: &mut String) {
    let Filled { section, rows, query } = filled;
    let class = if rows.rows.len() <= ROWS_KEPT_TOGETHER {
        " class=\"short\""
    } else {
        ""
    };
    let _ = writeln!(
        page,
        "<section id=\"{}\"{class}>\n<h2>{number}. {}</h2>",
        section.id,
        escaped(section.title)
    );
    let link = format!(
        "<a href=\"{}\">Query {number}</a> <a class=\"printed\" href=\"#q{number}\">(printed at the end)</a>",
        console(&query.text())
    );
    if rows.rows.is_empty() {
        let _ = writeln!(
            page,
            "<p class=\"empty\">{} {link}</p>\n</section>",
            escaped(section.empty)
        );
        return;
    }
    let says = if section.says.is_empty() {
        String::new()
    } else {
        format!("{} ", escaped(section.says))
    };
    let few = if section.columns().count() <= COLUMNS_FEW {
        " class=\"few\""
    } else {
        ""
    };
    let _ = writeln!(
        page,
        "<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"{title}\">\n<table{few}>\n<caption>{says}{link}</caption>\n<thead>\n<tr>",
        title = escaped(section.title)
    );
    for column in section.columns().filter(|column| column.kind != Kind::Id) {
        head(column, page);
    }
    page.push_str("</tr>\n</thead>\n<tbody>\n");
    for row in &rows.rows {
        line(filled, row, page);
    }
    page.push_str("</tbody>\n</table>\n</div>\n");
    if rows.truncated {
        let _ = writeln!(
            page,
            "<p class=\"cut\">Cut after {} rows, the most that a result may have (<code>sql.rows_max</code>).</p>",
            number::grouped(&rows.rows.len().to_string())
        );
    }
    page.push_str("</section>\n");
}

fn head(column: &Column, page: &mut String) {
    let class = if column.kind.is_number() {
        " class=\"number\""
    } else {
        ""
    };
    let _ = write!(page, "<th scope=\"col\"{class}>{}", escaped(column.heading));
    if !column.unit.is_empty() {
        let _ = write!(page, " <span class=\"unit\">{}</span>", escaped(column.unit));
    }
    page.push_str("</th>\n");
}

fn line(filled: &Filled, row: &[Value], page: &mut String) {
    let unit = plain(filled.rows.value(row, "unit"));
    let id = plain(filled.rows.value(row, "node_id"));
    // A row of the whole period sums up those above it.
    let whole = filled
        .section
        .columns()
        .any(|column| column.kind == Kind::Month && filled.rows.value(row, column.name).is_null());
    page.push_str(if whole { "<tr class=\"whole\">\n" } else { "<tr>\n" });
    let columns = filled.section.columns().filter(|column| column.kind != Kind::Id);
    for (at, column) in columns.enumerate() {
        let value = filled.rows.value(row, column.name);
        let shown = shown(column.kind, value, &unit);
        let (open, close) = match (at, column.kind.is_number()) {
            (0, _) if column.kind == Kind::Month => ("<th scope=\"row\" class=\"month\">", "</th>"),
            (0, _) => ("<th scope=\"row\">", "</th>"),
            (_, true) => ("<td class=\"number\">", "</td>"),
            (_, false) => ("<td>", "</td>"),
        };
        match shown {
            Some(shown) => {
                let _ = write!(page, "{open}{}", escaped(&shown));
                if column.kind == Kind::Name && !id.is_empty() && id != shown {
                    let _ = write!(page, " <small>{}</small>", escaped(&id));
                }
                page.push_str(close);
            }
            None => {
                let _ = write!(page, "<td class=\"none\">{}</td>", escaped(column.null));
            }
        }
        page.push('\n');
    }
    page.push_str("</tr>\n");
}

/// A value as people read it; `None` of null.
fn shown(kind: Kind, value: &Value, unit: &str) -> Option<String> {
    if kind == Kind::Month {
        let month = value.as_str().and_then(gridtally_schemas::Day::parse);
        return Some(month.map_or_else(|| "Quarter".to_owned(), month_title));
    }
    if value.is_null() {
        return None;
    }
    let decimals = match kind {
        Kind::Name | Kind::Id | Kind::Words | Kind::Month | Kind::Day => return Some(plain(value)),
        Kind::Unit => {
            return Some(if unit == "count" {
                "number".to_owned()
            } else {
                unit.to_owned()
            });
        }
        Kind::Whole => 0,
        Kind::Fixed(decimals) => decimals,
        Kind::Rupees => 2,
        Kind::ByUnit => match unit {
            "%" | "₹" => 2,
            "per consumer" => 3,
            "min" => 1,
            _ => 0,
        },
    };
    Some(match value {
        // A decimal: exact, all its digits.
        Value::String(exact) => number::grouped(exact),
        Value::Number(number) => number.as_f64().map_or_else(
            || number::grouped(&number.to_string()),
            |measure| number::fixed(measure, decimals),
        ),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => plain(value),
    })
}

/// The address of a query in the page's SQL console.
fn console(query: &str) -> String {
    let mut address = String::from("/#view=sql&amp;q=");
    for byte in query.trim_end().bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            address.push(char::from(byte));
        } else {
            let _ = write!(address, "%{byte:02X}");
        }
    }
    address
}
