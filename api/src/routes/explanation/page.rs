//! An explanation as a page to print: nested sections, no script.

use std::fmt::Write;

use super::Statement;
use crate::html::escaped;

/// The page.
pub(super) fn html(statement: &Statement) -> String {
    let mut page = String::from(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, \
         initial-scale=1\">\n",
    );
    // Writing to a string cannot fail.
    let _ = writeln!(page, "<title>{}</title>", escaped(&statement.says));
    page.push_str("<link rel=\"icon\" href=\"/ui/icon.svg\" type=\"image/svg+xml\">\n");
    page.push_str("<link rel=\"stylesheet\" href=\"/ui/explanation.css\">\n</head>\n<body>\n<main>\n");
    section(statement, 1, &mut page);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn section(statement: &Statement, level: usize, page: &mut String) {
    let heading = level.min(6);
    let _ = writeln!(
        page,
        "<section class=\"{}\">\n<h{heading}>{}</h{heading}>",
        statement.kind,
        escaped(&statement.says)
    );
    if !statement.facts.is_empty() {
        page.push_str("<dl>\n");
        for (name, value) in &statement.facts {
            let name = name.replace('_', " ");
            let _ = writeln!(
                page,
                "<div><dt>{}</dt><dd>{}</dd></div>",
                escaped(&name),
                escaped(value)
            );
        }
        page.push_str("</dl>\n");
    }
    for other in &statement.because {
        section(other, level + 1, page);
    }
    page.push_str("</section>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_wrote_stays_text() {
        let cause = Statement::new("cause", "A. Rao <script>alert(1)</script> said: \"tree\"")
            .fact("cause", "a & b's");
        let page = html(&Statement::new("entry", "Rs 50").because([cause]));
        assert!(page.contains("A. Rao &lt;script&gt;alert(1)&lt;/script&gt; said: &quot;tree&quot;"));
        assert!(page.contains("<dt>cause</dt><dd>a &amp; b&#39;s</dd>"));
        assert!(!page.contains("<script"));
    }
}
