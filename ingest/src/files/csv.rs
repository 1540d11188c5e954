//! CSV by lines: UTF-8 with or without byte order mark, LF or CRLF, `"` quoting as in RFC 4180.
//!
//! A reader of our own, because of two promises that a general one does not make: an error names the physical line of the
//! file, and no input makes a row grow without bound. A quote that is not closed within [`QUOTED_LINES_MAX`] lines costs its
//! own line only: reading goes on with the next one, so that one stray quote does not swallow the good rows behind it.

use std::{
    collections::VecDeque,
    fmt,
    io::{self, BufRead, Read},
    ops::Range,
};

use super::cell::{Cell, shown};

/// Longest physical line, in bytes. A longer one is refused.
pub(crate) const LINE_BYTES_MAX: usize = 64 * 1024;
/// Lines that a quoted cell may span.
pub(crate) const QUOTED_LINES_MAX: usize = 16;

const BYTE_ORDER_MARK: &[u8] = &[0xEF, 0xBB, 0xBF];

/// What reading on brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A row, now current.
    Row,
    /// A line that is no row of this file.
    Refused(Refusal),
    /// The end of the file.
    End,
}

/// Why a line is no row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Place of the cell in the file, from 0; `None`: the line as a whole.
    pub(crate) field: Option<usize>,
    /// What stood there, shortened.
    pub(crate) value: String,
    /// What is wrong with it.
    pub(crate) reason: String,
}

impl Refusal {
    fn of_line(reason: impl Into<String>, line: &[u8]) -> Self {
        let first = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let head = first.get(..first.len().min(256)).unwrap_or_default();
        Self {
            field: None,
            value: shown(String::from_utf8_lossy(head).trim_end()).to_owned(),
            reason: reason.into(),
        }
    }
}

/// Reader of rows.
pub(crate) struct CsvRows {
    lines: Lines,
    /// The current row's cells, unquoted, one after the other.
    text: String,
    fields: Vec<Range<usize>>,
    /// Cells that each row must have: as many as the header.
    width: Option<usize>,
    line: u64,
}

impl fmt::Debug for CsvRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CsvRows(line {})", self.line)
    }
}

impl CsvRows {
    /// A reader that stands before the header.
    pub(crate) fn new(input: Box<dyn BufRead + Send>) -> Self {
        Self {
            lines: Lines {
                input,
                ahead: VecDeque::new(),
                next: 1,
            },
            text: String::new(),
            fields: Vec::new(),
            width: None,
            line: 0,
        }
    }

    /// The header: the first row. After it, every row must have as many cells.
    ///
    /// # Errors
    /// When reading fails.
    pub(crate) fn header(&mut self) -> io::Result<Step> {
        let step = self.step()?;
        self.width = Some(self.fields.len());
        Ok(step)
    }

    /// Reads the next row. Blank lines are skipped.
    ///
    /// # Errors
    /// When reading fails.
    pub(crate) fn step(&mut self) -> io::Result<Step> {
        loop {
            let mut bytes = std::mem::take(&mut self.text).into_bytes();
            self.fields.clear();
            self.line = self.lines.next;
            match self.lines.read(&mut bytes)? {
                Line::End => return Ok(Step::End),
                Line::TooLong => {
                    let reason = format!("the line is longer than {LINE_BYTES_MAX} bytes");
                    return Ok(Step::Refused(Refusal::of_line(reason, &bytes)));
                }
                Line::Text => {}
            }
            if self.line == 1 && bytes.starts_with(BYTE_ORDER_MARK) {
                bytes.drain(..BYTE_ORDER_MARK.len());
            }
            if bytes.is_empty() {
                continue;
            }
            return self.take_row(bytes);
        }
    }

    fn take_row(&mut self, bytes: Vec<u8>) -> io::Result<Step> {
        let mut row = match String::from_utf8(bytes) {
            Ok(row) => row,
            Err(error) => return Ok(Step::Refused(not_utf8(error.as_bytes()))),
        };
        if row.contains('"') {
            if let Some(refusal) = self.unquote(&mut row)? {
                return Ok(Step::Refused(refusal));
            }
        } else {
            let mut start = 0;
            for (at, byte) in row.bytes().enumerate() {
                if byte == b',' {
                    self.fields.push(start..at);
                    start = at + 1;
                }
            }
            self.fields.push(start..row.len());
        }
        let cells = self.fields.len();
        if let Some(width) = self.width.filter(|width| *width != cells) {
            let reason = format!("the row has {cells} cells, the header {width}");
            return Ok(Step::Refused(Refusal::of_line(reason, row.as_bytes())));
        }
        self.text = row;
        Ok(Step::Row)
    }

    /// Splits a row that has quotes and leaves its cells in `row`; reads further lines while a quote is open.
    fn unquote(&mut self, row: &mut String) -> io::Result<Option<Refusal>> {
        let mut raw = std::mem::take(row);
        let mut more = Vec::new();
        loop {
            match split_quoted(&raw, row, &mut self.fields) {
                Split::Done => return Ok(None),
                Split::TextAfterQuote => {
                    let reason = "text follows a closing quote";
                    self.lines.give_back(more);
                    return Ok(Some(Refusal::of_line(reason, raw.as_bytes())));
                }
                Split::Open => {}
            }
            let mut line = Vec::new();
            let usable = more.len() + 1 < QUOTED_LINES_MAX && self.lines.read(&mut line)? == Line::Text;
            let text = usable.then(|| std::str::from_utf8(&line).ok()).flatten();
            let Some(text) = text else {
                let reason = format!("a quote is not closed within {QUOTED_LINES_MAX} lines");
                let refusal = Refusal::of_line(reason, raw.as_bytes());
                if usable {
                    more.push(line);
                }
                self.lines.give_back(more);
                return Ok(Some(refusal));
            };
            raw.push('\n');
            raw.push_str(text);
            more.push(line);
        }
    }

    /// Line of the current row, from 1 (the header's); of a row that spans lines, the first.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// Cells of the current row.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.fields
            .iter()
            .map(|range| self.text.get(range.clone()).unwrap_or_default())
    }

    /// A cell of the current row. Empty is null.
    pub(crate) fn cell(&self, field: usize) -> Cell<'_> {
        match self
            .fields
            .get(field)
            .and_then(|range| self.text.get(range.clone()))
        {
            Some("") | None => Cell::Null,
            Some(text) => Cell::Text(text),
        }
    }
}

enum Split {
    Done,
    Open,
    TextAfterQuote,
}

/// Splits `raw` into cells, unquoted, one after the other in `cells`.
fn split_quoted(raw: &str, cells: &mut String, fields: &mut Vec<Range<usize>>) -> Split {
    cells.clear();
    fields.clear();
    let mut rest = raw;
    loop {
        let start = cells.len();
        if let Some(mut quoted) = rest.strip_prefix('"') {
            loop {
                let Some((text, after)) = quoted.split_once('"') else {
                    return Split::Open;
                };
                cells.push_str(text);
                let Some(escaped) = after.strip_prefix('"') else {
                    rest = after;
                    break;
                };
                cells.push('"');
                quoted = escaped;
            }
            if !rest.is_empty() && !rest.starts_with(',') {
                return Split::TextAfterQuote;
            }
        } else {
            let (text, _) = rest.split_once(',').unwrap_or((rest, ""));
            cells.push_str(text);
            rest = rest.get(text.len()..).unwrap_or_default();
        }
        fields.push(start..cells.len());
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None => return Split::Done,
        }
    }
}

/// Says which cell is not UTF-8. Cells are counted by commas: a quoted comma before it would shift the count, so a row with
/// quotes names the line only.
fn not_utf8(line: &[u8]) -> Refusal {
    let reason = "not UTF-8";
    if line.contains(&b'"') {
        return Refusal::of_line(reason, line);
    }
    let bad = line
        .split(|byte| *byte == b',')
        .enumerate()
        .find(|(_, cell)| std::str::from_utf8(cell).is_err());
    Refusal {
        field: bad.map(|(field, _)| field),
        ..Refusal::of_line(reason, bad.map_or(line, |(_, cell)| cell))
    }
}

#[derive(PartialEq, Eq)]
enum Line {
    Text,
    TooLong,
    End,
}

/// Physical lines, without their end; some may have been read ahead and given back.
struct Lines {
    input: Box<dyn BufRead + Send>,
    ahead: VecDeque<Vec<u8>>,
    /// Number of the line that comes next, from 1.
    next: u64,
}

impl Lines {
    /// Reads one line into `line`, replacing what is in it. Of a line that is too long it keeps the beginning.
    fn read(&mut self, line: &mut Vec<u8>) -> io::Result<Line> {
        line.clear();
        if let Some(ahead) = self.ahead.pop_front() {
            *line = ahead;
            self.next += 1;
            return Ok(Line::Text);
        }
        let limit = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
        let read = self.input.by_ref().take(limit).read_until(b'\n', line)?;
        if read == 0 {
            return Ok(Line::End);
        }
        self.next += 1;
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if read == LINE_BYTES_MAX {
            self.skip_line()?;
            return Ok(Line::TooLong);
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(Line::Text)
    }

    fn skip_line(&mut self) -> io::Result<()> {
        let mut skipped = Vec::new();
        loop {
            skipped.clear();
            let limit = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
            let read = self.input.by_ref().take(limit).read_until(b'\n', &mut skipped)?;
            if read == 0 || skipped.last() == Some(&b'\n') {
                return Ok(());
            }
        }
    }

    /// Takes back lines that were read ahead, in their order; they come before anything given back earlier.
    fn give_back(&mut self, lines: Vec<Vec<u8>>) {
        for line in lines.into_iter().rev() {
            self.ahead.push_front(line);
            self.next -= 1;
        }
    }
}
