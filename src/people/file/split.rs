//! From text to cells: one row of RFC 4180, with its limits.
//!
//! The csv crate would read a quote that is never closed to the end of the file into memory, and everybody behind it
//! would be gone without a word. Here a row has a limit, says where it went wrong, and the rows after it are read.

use super::MAX_ROW;
use super::decode::after_break;

/// One cell: a range of the window, or of the record's own text where doubled quotes were undone.
#[derive(Debug, Clone, Copy)]
struct Cell {
    start: usize,
    end: usize,
    own: bool,
    /// The range in the window as it is written, quotes and blanks included.
    written: (usize, usize),
}

/// The cells of a row.
#[derive(Debug, Default)]
pub(super) struct Record {
    cells: Vec<Cell>,
    own: String,
}

/// Why a row cannot be taken apart, and the byte of the window where that begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) why: Why,
    pub(super) at: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// More than [`MAX_ROW`] bytes.
    TooLong,
    /// A quote without its second one.
    Unclosed,
    /// A quoted cell over several lines whose closing quote is followed by text: one of the two quotes is stray.
    Stray,
}

impl Record {
    /// The number of cells.
    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    /// The content of a cell, trimmed; `window` is the text that was parsed.
    pub(super) fn cell<'a>(&'a self, window: &'a str, index: usize) -> &'a str {
        let Some(cell) = self.cells.get(index) else {
            return "";
        };
        let text = if cell.own { &self.own } else { window };
        trimmed(text.get(cell.start..cell.end).unwrap_or(""))
    }

    /// The contents of all cells.
    pub(super) fn cells<'a>(&'a self, window: &'a str) -> impl Iterator<Item = &'a str> {
        (0..self.len()).map(move |index| self.cell(window, index))
    }

    /// The range of bytes in which a cell is written.
    pub(super) fn written(&self, index: usize) -> (usize, usize) {
        self.cells.get(index).map_or((0, 0), |cell| cell.written)
    }

    /// Takes the first row of the window apart; the window holds more than the longest row, or all the rest. Returns
    /// the row's length with its line break.
    ///
    /// # Errors
    /// [`Broken`].
    pub(super) fn parse(&mut self, window: &str, delimiter: u8) -> Result<usize, Broken> {
        self.cells.clear();
        self.own.clear();
        let bytes = window.as_bytes();
        let limit = bytes.len().min(MAX_ROW + 1);
        let ends = |b: u8| b == delimiter || b == b'\n' || b == b'\r';
        let mut at = 0;
        loop {
            let start = at;
            let mut quote = at;
            while quote < limit && bytes[quote] == b' ' {
                quote += 1;
            }
            let cell = if quote < limit && bytes[quote] == b'"' {
                let cell = self.quoted(window, quote, limit, &ends)?;
                at = cell.written.1;
                cell
            } else {
                while at < limit && !ends(bytes[at]) {
                    at += 1;
                }
                Cell {
                    start,
                    end: at,
                    own: false,
                    written: (start, at),
                }
            };
            if at >= limit {
                if bytes.len() > MAX_ROW {
                    return Err(Broken {
                        why: Why::TooLong,
                        at: 0,
                    });
                }
                self.cells.push(cell);
                return Ok(at);
            }
            self.cells.push(cell);
            if bytes[at] != delimiter {
                return Ok(after_break(bytes, at));
            }
            at += 1;
        }
    }

    fn quoted(
        &mut self,
        window: &str,
        quote: usize,
        limit: usize,
        ends: &dyn Fn(u8) -> bool,
    ) -> Result<Cell, Broken> {
        let bytes = window.as_bytes();
        let kept = self.own.len();
        let mut own = false;
        let mut lines = false;
        // What was not copied yet.
        let mut from = quote + 1;
        let mut at = from;
        loop {
            if at >= limit {
                return Err(Broken {
                    why: Why::Unclosed,
                    at: quote,
                });
            }
            match bytes[at] {
                b'"' if bytes.get(at + 1) == Some(&b'"') => {
                    own = true;
                    self.own.push_str(window.get(from..=at).unwrap_or(""));
                    at += 2;
                    from = at;
                }
                b'"' => break,
                b => {
                    lines |= matches!(b, b'\n' | b'\r');
                    at += 1;
                }
            }
        }
        let close = at;
        let mut end = close + 1;
        while end < limit && bytes[end] == b' ' {
            end += 1;
        }
        if end < limit && !ends(bytes[end]) {
            if lines {
                return Err(Broken {
                    why: Why::Stray,
                    at: quote,
                });
            }
            // `"Alex" Smith`: what follows the quote belongs to the cell, as spreadsheets read it.
            while end < limit && !ends(bytes[end]) {
                end += 1;
            }
            self.own.push_str(window.get(from..close).unwrap_or(""));
            self.own.push_str(window.get(close + 1..end).unwrap_or(""));
            own = true;
        } else if own {
            self.own.push_str(window.get(from..close).unwrap_or(""));
        }
        let (start, stop) = if own {
            (kept, self.own.len())
        } else {
            (quote + 1, close)
        };
        Ok(Cell {
            start,
            end: stop,
            own,
            written: (quote, end),
        })
    }
}

/// Without blanks and unseen marks at its ends: a phone copied from an address book comes between U+202A and U+202C.
pub(super) fn trimmed(text: &str) -> &str {
    let plain = |c: char| matches!(c, '!'..='~' | 'А'..='я');
    if text.starts_with(plain) && text.ends_with(plain) {
        return text;
    }
    text.trim_matches(|c: char| c.is_whitespace() || is_unseen(c))
}

/// Characters that turn or hide text without being seen. The zero-width joiner is not among them: emoji need it.
pub(super) fn is_unseen(c: char) -> bool {
    matches!(c, '\u{200B}' | '\u{200C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}
