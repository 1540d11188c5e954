//! `?` of a statement, as JDBC writes parameters, numbered as `$1`, `$2` and so on, which is how they are read here.

use datafusion::sql::sqlparser::{
    dialect::GenericDialect,
    tokenizer::{Location, Token, Tokenizer},
};

/// The statement with its question marks numbered in the order of the text. One without any, and one that is no SQL, stays as it is; so
/// that what is wrong with it is told where it is parsed.
///
/// # Errors
/// It has parameters of both forms.
pub(super) fn numbered(text: &str) -> Result<String, &'static str> {
    if !text.contains('?') {
        return Ok(text.to_owned());
    }
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, text).tokenize_with_location() else {
        return Ok(text.to_owned());
    };
    let mut marks = Vec::new();
    let mut is_numbered = false;
    for token in tokens {
        if let Token::Placeholder(name) = &token.token {
            if name == "?" {
                marks.push(token.span.start);
            } else {
                is_numbered = true;
            }
        }
    }
    if is_numbered && !marks.is_empty() {
        return Err("a statement has its parameters as `?` or as `$1`, not both");
    }
    Ok(replaced(text, &marks))
}

/// The text with the letters at these places, which come in order, replaced.
fn replaced(text: &str, marks: &[Location]) -> String {
    let mut out = String::with_capacity(text.len().saturating_add(marks.len().saturating_mul(4)));
    let mut marks = (1_usize..).zip(marks).peekable();
    let (mut line, mut column) = (1_u64, 1_u64);
    for letter in text.chars() {
        let is_here = |(_, at): &(usize, &Location)| at.line == line && at.column == column;
        match marks.next_if(is_here) {
            Some((number, _)) => {
                out.push('$');
                out.push_str(&number.to_string());
            }
            None => out.push(letter),
        }
        if letter == '\n' {
            (line, column) = (line.saturating_add(1), 1);
        } else {
            column = column.saturating_add(1);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::numbered;

    #[test]
    fn question_marks_are_numbered_in_the_order_of_the_text() {
        let check = |text: &str, expected: &str| assert_eq!(numbered(text).unwrap(), expected);
        check("SELECT 1", "SELECT 1");
        check("SELECT ?, ?+? FROM t LIMIT ?", "SELECT $1, $2+$3 FROM t LIMIT $4");
        check(
            "SELECT 'why?', \"a?\", ? -- really?\n/* ? */ FROM t\nWHERE é = 'é' AND x = ?",
            "SELECT 'why?', \"a?\", $1 -- really?\n/* ? */ FROM t\nWHERE é = 'é' AND x = $2",
        );
        check("SELECT $1, 'what?'", "SELECT $1, 'what?'");
        check("SELECT 'not closed ?", "SELECT 'not closed ?");
        assert!(numbered("SELECT $1, ?").is_err());
    }
}
