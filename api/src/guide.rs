//! The auditor's guide: one text (`guide/auditors-guide.md`) from which the page at `/docs/auditors-guide`, the saved examples of the SQL
//! console and the tests' questions all come, so that they cannot differ.
//!
//! A question is a third-level heading with the first block of SQL below it. Of Markdown it knows what the guide uses: headings,
//! paragraphs, tables, fenced blocks, and within a line code, emphasis and links; everything is written as text, never as markup.

use std::fmt::Write;

use serde::Serialize;

/// The guide, as Markdown.
pub const AUDITORS_GUIDE: &str = include_str!("../guide/auditors-guide.md");

/// A question of the guide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Question<'a> {
    /// The question in words.
    pub title: &'a str,
    /// The statement that answers it.
    pub sql: String,
}

/// A part of the text.
#[derive(Debug, PartialEq, Eq)]
enum Block<'a> {
    Heading { level: usize, text: &'a str },
    Paragraph(String),
    Table(Vec<Vec<&'a str>>),
    Fenced { language: &'a str, text: String },
}

/// The questions, in order.
#[must_use]
pub fn questions(guide: &str) -> Vec<Question<'_>> {
    let mut questions = Vec::new();
    let mut title = None;
    for block in blocks(guide) {
        match block {
            Block::Heading { level: 3, text } => title = Some(text),
            Block::Heading { .. } => title = None,
            Block::Fenced {
                language: "sql",
                text,
            } => {
                if let Some(title) = title.take() {
                    questions.push(Question { title, sql: text });
                }
            }
            Block::Fenced { .. } | Block::Paragraph(_) | Block::Table(_) => {}
        }
    }
    questions
}

/// The guide as a page that needs no script.
pub(crate) fn page(guide: &str) -> String {
    let mut page = String::from(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>The auditor's guide · gridtally</title>\n<link rel=\"icon\" href=\"/ui/icon.svg\" type=\"image/svg+xml\">\n\
         <link rel=\"stylesheet\" href=\"/ui/guide.css\">\n</head>\n<body>\n\
         <header><a href=\"/\">gridtally</a> · <a href=\"/docs\">API</a></header>\n<main>\n",
    );
    for block in blocks(guide) {
        push_block(&mut page, &block);
    }
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn blocks(guide: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut lines = guide.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let text: Vec<&str> = lines
                .by_ref()
                .take_while(|line| !line.starts_with("```"))
                .collect();
            blocks.push(Block::Fenced {
                language,
                text: text.join("\n"),
            });
        } else if line.starts_with('#') {
            let text = line.trim_start_matches('#');
            blocks.push(Block::Heading {
                level: line.len() - text.len(),
                text: text.trim(),
            });
        } else if line.starts_with('|') {
            let mut rows = vec![cells(line)];
            while let Some(row) = lines.next_if(|line| line.starts_with('|')) {
                rows.push(cells(row));
            }
            // Below the names of the columns stands a rule.
            rows.retain(|row| {
                !row.iter()
                    .all(|cell| !cell.is_empty() && cell.chars().all(|of| of == '-'))
            });
            blocks.push(Block::Table(rows));
        } else if !line.trim().is_empty() {
            let mut text = line.to_owned();
            while let Some(more) = lines.next_if(|line| goes_on(line)) {
                text.push(' ');
                text.push_str(more);
            }
            blocks.push(Block::Paragraph(text));
        }
    }
    blocks
}

/// Whether a line belongs to the paragraph before it.
fn goes_on(line: &str) -> bool {
    !line.trim().is_empty() && !line.starts_with(['#', '|']) && !line.starts_with("```")
}

fn cells(line: &str) -> Vec<&str> {
    let inner = line.strip_prefix('|').unwrap_or(line);
    let inner = inner.strip_suffix('|').unwrap_or(inner);
    inner.split('|').map(str::trim).collect()
}

fn push_block(page: &mut String, block: &Block<'_>) {
    // Writing to a string cannot fail.
    let _ = match block {
        Block::Heading { level, text } => {
            writeln!(
                page,
                "<h{level} id=\"{}\">{}</h{level}>",
                anchor(text),
                line(text)
            )
        }
        Block::Paragraph(text) => writeln!(page, "<p>{}</p>", line(text)),
        Block::Table(rows) => {
            push_table(page, rows);
            Ok(())
        }
        Block::Fenced {
            language: "sql",
            text,
        } => writeln!(
            page,
            "<pre><code>{}</code></pre>\n<p class=\"run\"><a href=\"/#view=sql&amp;q={}\">Ask it in the SQL console</a></p>",
            escaped(text),
            in_address(text)
        ),
        Block::Fenced { text, .. } => writeln!(page, "<pre><code>{}</code></pre>", escaped(text)),
    };
}

fn push_table(page: &mut String, rows: &[Vec<&str>]) {
    page.push_str("<div class=\"scroll\"><table>\n");
    for (place, row) in rows.iter().enumerate() {
        let cell = if place == 0 { "th" } else { "td" };
        page.push_str("<tr>");
        for text in row {
            let _ = write!(page, "<{cell}>{}</{cell}>", line(text));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table></div>\n");
}

/// A heading's name in the address.
fn anchor(text: &str) -> String {
    let letters = text.chars().filter_map(|letter| match letter {
        ' ' => Some('-'),
        letter if letter.is_ascii_alphanumeric() || letter == '-' => Some(letter.to_ascii_lowercase()),
        _ => None,
    });
    letters.collect()
}

/// A line's code, emphasis and links.
fn line(text: &str) -> String {
    let mut written = String::new();
    for (place, part) in text.split('`').enumerate() {
        if place % 2 == 1 {
            let _ = write!(written, "<code>{}</code>", escaped(part));
        } else {
            push_words(&mut written, part);
        }
    }
    written
}

fn push_words(written: &mut String, text: &str) {
    let mut rest = text;
    while let Some((before, label, target, after)) = link(rest) {
        push_emphasis(written, before);
        let _ = write!(written, "<a href=\"{}\">{}</a>", escaped(target), escaped(label));
        rest = after;
    }
    push_emphasis(written, rest);
}

/// The first link of a text: what stands before it, its words, its target, what comes after.
fn link(text: &str) -> Option<(&str, &str, &str, &str)> {
    let (before, from) = text.split_once('[')?;
    let (label, from) = from.split_once("](")?;
    let (target, after) = from.split_once(')')?;
    (target.starts_with(['/', '#']) || target.starts_with("https://"))
        .then_some((before, label, target, after))
}

fn push_emphasis(written: &mut String, text: &str) {
    for (place, part) in text.split("**").enumerate() {
        if place % 2 == 1 {
            let _ = write!(written, "<b>{}</b>", escaped(part));
        } else {
            written.push_str(&escaped(part));
        }
    }
}

fn escaped(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => written.push_str("&amp;"),
            '<' => written.push_str("&lt;"),
            '>' => written.push_str("&gt;"),
            '"' => written.push_str("&quot;"),
            letter => written.push(letter),
        }
    }
    written
}

/// A text as a value in an address.
fn in_address(text: &str) -> String {
    let mut written = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            written.push(char::from(byte));
        } else {
            let _ = write!(written, "%{byte:02X}");
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use gridtally_schemas::table;

    use super::*;

    #[test]
    fn a_question_is_a_heading_with_the_first_sql_below_it() {
        let guide = "# G\n\n### One?\n\nWords.\n\n```sql\nSELECT 1\n```\n\n```sql\nSELECT 2\n```\n\n### Two?\n\n## Other\n\n```sql\nSELECT 3\n```\n";
        let one = Question {
            title: "One?",
            sql: "SELECT 1".to_owned(),
        };
        assert_eq!(questions(guide), [one]);
        let all = questions(AUDITORS_GUIDE);
        assert!(all.len() >= 15, "{}", all.len());
        let headings = AUDITORS_GUIDE
            .lines()
            .filter(|line| line.starts_with("### "))
            .count();
        assert_eq!(all.len(), headings, "every third-level heading is a question");
        assert!(all.iter().all(|question| question.title.ends_with('?')));
    }

    #[test]
    fn text_is_never_markup() {
        let page = page(
            "# <b>\"x\"\n\n| a & b | `<i>` |\n|---|---|\n| **bold** | [to](/docs) [not](javascript:x) |\n\n```sql\nSELECT '<'\n```\n",
        );
        assert!(
            page.contains("<h1 id=\"bx\">&lt;b&gt;&quot;x&quot;</h1>"),
            "{page}"
        );
        assert!(
            page.contains("<tr><th>a &amp; b</th><th><code>&lt;i&gt;</code></th></tr>"),
            "{page}"
        );
        assert!(
            page.contains("<td><b>bold</b></td><td><a href=\"/docs\">to</a> [not](javascript:x)</td>"),
            "{page}"
        );
        assert!(page.contains("<code>SELECT '&lt;'</code>"), "{page}");
        assert!(page.contains("/#view=sql&amp;q=SELECT%20%27%3C%27"), "{page}");
    }

    #[test]
    fn its_links_lead_somewhere() {
        let page = page(AUDITORS_GUIDE);
        for target in page
            .split("href=\"#")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
        {
            assert!(page.contains(&format!(" id=\"{target}\"")), "#{target}");
        }
    }

    #[test]
    fn the_console_knows_every_name_and_day_of_the_questions() {
        let console = include_str!("../ui/src/examples.ts");
        for question in questions(AUDITORS_GUIDE) {
            // Every second part stands in quotes.
            for literal in question.sql.split('\'').skip(1).step_by(2) {
                let known = match literal.get(..10) {
                    Some(day) if day.starts_with("20") => console.contains(&format!("'{day}':")),
                    _ if literal.starts_with(|letter: char| letter.is_ascii_uppercase()) => {
                        console.contains(&format!("{literal}: '"))
                    }
                    // A word of the tables, such as a kind or a status.
                    _ => true,
                };
                assert!(known, "{}: `{literal}`", question.title);
            }
        }
    }

    #[test]
    fn how_to_find_the_newest_row_is_told_of_every_table() {
        let rows: Vec<String> = table::published()
            .map(|table| {
                let newest = if table.versioned {
                    "version".to_owned()
                } else {
                    table.newest_by.join(", ")
                };
                let left_out = match (table.versioned, table.column("status").is_some()) {
                    (true, true) => "version 0; status withdrawn ",
                    (true, false) => "version 0 ",
                    (false, _) => "",
                };
                format!(
                    "| `{}` | {} | {newest} | {left_out}|",
                    table.name,
                    table.key.join(", ")
                )
            })
            .collect();
        let told: Vec<&str> = AUDITORS_GUIDE
            .lines()
            .skip_while(|line| !line.starts_with("| Table | Key |"))
            .skip(2)
            .take_while(|line| line.starts_with('|'))
            .collect();
        assert_eq!(told, rows);
    }
}
