//! The lines of a file around a place, with the place marked.

use unicode_width::UnicodeWidthChar;

use super::Range;
use super::near::is_invisible;

/// The widest source text that is shown, in terminal cells; a longer line is clipped around the mark. With the
/// gutter it fits a terminal of 120 columns.
const MAX_CELLS: usize = 100;

/// How many cells stay visible before the mark in a clipped line.
const LEAD: usize = 30;

/// How much of a line is looked at after the mark: enough to fill the frame, and bounded for a line of a megabyte.
const MAX_AFTER: usize = MAX_CELLS + 1;

/// The line of `range.start` (and the line before it, for context) with a gutter of line numbers and a row of `^`
/// under the place. `None` where the text has no such line.
pub fn snippet(text: &str, range: Range) -> Option<String> {
    snippet_from(text, 1, range)
}

/// The same of a text that begins with the line `first_line` of its file.
pub(super) fn snippet_from(text: &str, first_line: usize, range: Range) -> Option<String> {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let wanted = range.start.line;
    let mut before = None;
    let mut line = None;
    for (number, content) in (first_line..).zip(text.split('\n')) {
        if number == wanted {
            line = Some(content);
            break;
        }
        before = Some(content);
    }
    let line = clean_end(line?);
    let gutter = wanted.to_string().len();
    let mut out = String::new();
    if let Some(before) = before.map(clean_end).filter(|b| !b.trim().is_empty()) {
        let shown = window(before, 1, 0).0;
        out.push_str(&format!("{:>gutter$} | {shown}\n", wanted - 1));
    }
    let first = range.start.column.max(1);
    let marked = if range.end.line > range.start.line {
        // The rest of the first line stands for all of it.
        line.chars().count().saturating_sub(first - 1).max(1)
    } else {
        range.end.column.saturating_sub(first).max(1)
    };
    let (shown, indent, width) = window(line, first, marked);
    out.push_str(&format!("{wanted:>gutter$} | {shown}\n"));
    out.push_str(&format!(
        "{:>gutter$} | {}{}",
        "",
        " ".repeat(indent),
        "^".repeat(width)
    ));
    Some(out)
}

fn clean_end(line: &str) -> &str {
    line.strip_suffix('\r').unwrap_or(line)
}

/// The part of `line` to show, the cells before the mark in it, and the mark's width in cells.
fn window(line: &str, column: usize, len: usize) -> (String, usize, usize) {
    let upto = column
        .saturating_add(len.min(MAX_AFTER))
        .saturating_add(MAX_AFTER);
    // Only what can be seen is collected: the start of the line, or a little before the mark.
    let skip = column.saturating_sub(MAX_AFTER);
    let cells: Vec<(char, usize)> = line
        .chars()
        .skip(skip)
        .take(upto - skip)
        .map(visible)
        .collect();
    let mark = column - 1 - skip.min(column - 1);
    let width_of = |part: &[(char, usize)]| part.iter().map(|(_, w)| w).sum::<usize>();
    let mark = mark.min(cells.len());
    let mark_end = (mark + len).min(cells.len());

    // Clip on the left only where the mark would otherwise not fit.
    let mut start = 0;
    let clipped_tail = |start: usize| width_of(&cells[start..mark_end.max(mark)]) > MAX_CELLS;
    if skip > 0 || clipped_tail(0) && width_of(&cells[..mark]) > LEAD {
        start = mark;
        let mut lead = 0;
        while start > 0 && lead + cells[start - 1].1 <= LEAD {
            start -= 1;
            lead += cells[start].1;
        }
    }
    let left_cut = skip > 0 || start > 0;

    let mut shown = String::new();
    let mut used = 0;
    if left_cut {
        shown.push('…');
        used += 1;
    }
    let mut end = start;
    while end < cells.len() && used + cells[end].1 <= MAX_CELLS {
        shown.push(cells[end].0);
        used += cells[end].1;
        end += 1;
    }
    if end < cells.len() {
        shown.push('…');
    }
    let indent = usize::from(left_cut) + width_of(&cells[start..mark]);
    let width = width_of(&cells[mark..mark_end.min(end).max(mark)]).max(1);
    (shown, indent, width)
}

/// The character to print and its width in cells. What would move the cursor or hide is shown as a sign.
fn visible(c: char) -> (char, usize) {
    match c {
        '\t' => (' ', 1),
        c if c.is_control() || is_invisible(c) => ('\u{FFFD}', 1),
        c => (c, UnicodeWidthChar::width(c).unwrap_or(0)),
    }
}
