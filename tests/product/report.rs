//! Reports as they are asked for, and what stands in their tables.

use super::Product;

pub fn report(product: &Product, query: &str) -> String {
    let (status, text) = product.get_text(&format!("/api/v1/reports/{query}"));
    assert_eq!(status, 200, "{query}: {text}");
    text
}

/// Text of a piece of HTML.
pub fn plain(html: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for letter in html.chars() {
        match letter {
            '<' => inside = true,
            '>' => inside = false,
            other if !inside => text.push(other),
            _ => {}
        }
    }
    let text = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"");
    text.replace("&#39;", "'").replace("&amp;", "&").trim().to_owned()
}

/// Cells of the body of a section's table.
pub fn table(page: &str, section: &str) -> Vec<Vec<String>> {
    let begin = page
        .find(&format!("<section id=\"{section}\""))
        .unwrap_or_else(|| panic!("no {section} in {page}"));
    let section = &page[begin..];
    let section = &section[..section.find("</section>").unwrap()];
    let body = section.split_once("<tbody>").map_or("", |(_, body)| body);
    let rows = body.split("<tr").skip(1);
    rows.map(|row| {
        let cells = row.lines().filter(|line| line.starts_with("<t"));
        cells.map(plain).collect()
    })
    .collect()
}

/// The row of a table whose first cell begins with `name`.
#[track_caller]
pub fn row<'a>(rows: &'a [Vec<String>], name: &str) -> &'a [String] {
    let found = rows.iter().find(|row| row[0].starts_with(name));
    found.unwrap_or_else(|| panic!("no {name} in {rows:?}"))
}

/// Rows of CSV, the header first; no cell of these tests has a line break.
pub fn csv(text: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| {
        let (mut cells, mut quoted) = (vec![String::new()], false);
        for letter in line.chars() {
            match letter {
                '"' => quoted = !quoted,
                ',' if !quoted => cells.push(String::new()),
                other => cells.last_mut().unwrap().push(other),
            }
        }
        cells
    };
    text.lines().map(cells).collect()
}

pub fn number(cell: &str) -> Option<f64> {
    cell.replace(',', "").replace('\u{2212}', "-").parse().ok()
}

/// Each table of the page says what CSV says of that section; gives the number of figures compared.
pub fn page_equals_csv(product: &Product, query: &str, sections: &[&str]) -> usize {
    let page = report(product, query);
    let mut compared = 0;
    for section in sections {
        let shown = table(&page, section);
        let said = csv(&report(product, &format!("{query}&format=csv&section={section}")));
        assert_eq!(said.len() - 1, shown.len(), "{section}: {said:?}\n{shown:?}");
        let id = said[0].iter().position(|name| name == "node_id");
        for (shown, said) in shown.iter().zip(&said[1..]) {
            let own: Vec<&String> = said
                .iter()
                .enumerate()
                .skip(5)
                .filter(|(at, _)| Some(*at) != id)
                .map(|(_, cell)| cell)
                .collect();
            assert_eq!(own.len(), shown.len(), "{section}: {said:?}\n{shown:?}");
            for (said, shown) in own.into_iter().zip(shown) {
                match number(said) {
                    Some(said) => {
                        assert_eq!(number(shown), Some(said), "{section}: {shown}");
                        compared += 1;
                    }
                    None if said.is_empty() => assert_eq!(number(shown), None, "{section}: {shown}"),
                    None => {}
                }
            }
        }
    }
    compared
}

/// A part of an address as it was before it was written into one.
pub fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next().unwrap(), rest.next().unwrap()];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}
