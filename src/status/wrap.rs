//! Lines that are longer than the terminal, and tables for which it is too narrow.

use comfy_table::{Cell, ColumnConstraint, Table};

use super::table::{Look, display_width, grid};

/// Wrapped lines are not made narrower.
const LEAST_WRAPPED: usize = 20;
/// Narrower terminals (a phone, half a screen) get rows as lines of words instead of columns of broken ones.
const STACKED: usize = 72;

/// Whether there is no room for columns.
pub(super) fn is_stacked(width: Option<usize>) -> bool {
    width.is_some_and(|width| width < STACKED)
}

/// A line that is longer than the terminal goes on under its own beginning, broken between words.
pub fn push_wrapped(out: &mut String, head: &str, indent: usize, text: &str, look: &Look) {
    out.push_str(head);
    push_from(out, display_width(head), indent, text, look.width);
}

/// As [`push_wrapped`], where `at` columns of the line are written already.
pub fn push_from(out: &mut String, at: usize, indent: usize, text: &str, width: Option<usize>) {
    let room = width
        .map_or(usize::MAX, |width| width.saturating_sub(indent))
        .max(LEAST_WRAPPED);
    let mut at = at;
    for (number, word) in text.split(' ').enumerate() {
        let width = display_width(word);
        if number > 0 && at > indent && at - indent + 1 + width > room {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            at = indent;
        } else if number > 0 {
            out.push(' ');
            at += 1;
        }
        if at.saturating_sub(indent) + width <= room {
            out.push_str(word);
            at += width;
            continue;
        }
        // A path or a link that no line holds: the terminal would break it as well, and begin at the left.
        for c in word.chars() {
            let width = unicode_width::UnicodeWidthChar::width(c).unwrap_or(0);
            if at > indent && at.saturating_sub(indent) + width > room {
                out.push('\n');
                out.push_str(&" ".repeat(indent));
                at = indent;
            }
            out.push(c);
            at += width;
        }
    }
    out.push('\n');
}

/// The last column of a row whose others take `at` columns: under itself where there is room, else on a line below.
pub(super) fn push_last(out: &mut String, at: usize, text: &str, width: Option<usize>) {
    /// How far the line below is set in.
    const BELOW: usize = 4;
    let fits = width.is_none_or(|width| at + LEAST_WRAPPED.min(display_width(text)) <= width);
    if fits {
        push_from(out, at, at, text, width);
        return;
    }
    out.truncate(out.trim_end_matches(' ').len());
    out.push('\n');
    out.push_str(&" ".repeat(BELOW));
    push_from(out, BELOW, BELOW, text, width);
}

/// A name and what is said of it; a name that leaves no room stands on a line of its own, unbroken, since it is copied
/// into the next command.
pub(super) fn push_entry(out: &mut String, lead: &str, name: &str, text: &str, look: &Look) {
    let head = format!("{lead}{name}  ");
    let indent = display_width(lead) + 2;
    let crowded = |width| display_width(&head) + LEAST_WRAPPED > width;
    if text.is_empty() || look.width.is_some_and(crowded) {
        out.push_str(head.trim_end());
        out.push('\n');
        if !text.is_empty() {
            push_wrapped(out, &" ".repeat(indent), indent, text, look);
        }
        return;
    }
    push_wrapped(out, &head, indent, text, look);
}

/// The columns of a terminal that a table takes at least: names whole, and no word broken but those (paths, links) that
/// are longer than any of ours.
fn least_width(grid: &Table) -> usize {
    const LONGEST: usize = 20;
    const BETWEEN: usize = 2;
    let mut widest: Vec<usize> = Vec::new();
    let rows = grid.header().into_iter().chain(grid.row_iter());
    for row in rows {
        for (place, cell) in row.cell_iter().enumerate() {
            let content = cell.content();
            let width = match place {
                0 => display_width(&content),
                _ => content
                    .split_whitespace()
                    .map(display_width)
                    .max()
                    .unwrap_or(0)
                    .min(LONGEST),
            };
            match widest.get_mut(place) {
                Some(known) => *known = width.max(*known),
                None => widest.push(width),
            }
        }
    }
    widest.iter().sum::<usize>() + BETWEEN * widest.len().saturating_sub(1)
}

/// Whether a table has room for its columns.
fn fits(grid: &Table, look: &Look) -> bool {
    !is_stacked(look.width) && look.width.is_none_or(|width| least_width(grid) <= width)
}

/// The room of names beside which a terminal of this width has room for all else; none where it has room for the names.
fn room_of_names(head: &[&str], rows: &[Vec<Cell>], width: usize) -> Option<usize> {
    /// Names of this width stand in their column however narrow the terminal is.
    const LEAST: usize = 12;
    const BETWEEN: usize = 2;
    let widest = |place: usize| {
        let cells = rows.iter().filter_map(|row| row.get(place));
        let widths = cells.map(|cell| display_width(&cell.content()));
        widths
            .chain([display_width(head[place])])
            .max()
            .unwrap_or(0)
    };
    let others: usize = (1..head.len()).map(|place| widest(place) + BETWEEN).sum();
    let room = width.saturating_sub(others).max(LEAST);
    (widest(0) > room).then_some(room)
}

/// A table of things that are named in its first column. A name is copied into the next command, so that it is never
/// broken: one that would leave no room for all else stands on a line of its own, above its row.
pub(super) fn push_named(out: &mut String, head: &[&str], rows: Vec<Vec<Cell>>, look: &Look) {
    /// Stands for a name until the lines are laid out (private use, no letter of any script).
    const ABOVE: &str = "\u{f8ff}";
    let room = look
        .width
        .and_then(|width| room_of_names(head, &rows, width));
    let apart = room.and_then(|room| {
        let mut above = Vec::new();
        let mut table = grid(head, look);
        for row in &rows {
            let name = row.first().map(Cell::content).unwrap_or_default();
            if display_width(&name) > room {
                above.push(name);
                table.add_row([Cell::new(ABOVE)]);
                let rest = row.iter().skip(1).cloned();
                table.add_row([Cell::new("")].into_iter().chain(rest));
            } else {
                table.add_row(row.clone());
            }
        }
        fits(&table, look).then_some((table, above))
    });
    let (mut table, above) = apart.unwrap_or_else(|| {
        let mut table = grid(head, look);
        table.add_rows(rows);
        (table, Vec::new())
    });
    if let Some(column) = table.column_mut(0) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    let mut lines = String::new();
    push_grid(&mut lines, &table, look);
    let mut above = above.into_iter();
    for line in lines.lines() {
        match line == ABOVE {
            true => out.push_str(&above.next().unwrap_or_default()),
            false => out.push_str(line),
        }
        out.push('\n');
    }
}

/// A table; where the terminal has no room for columns each row is a line of words.
pub(super) fn push_grid(out: &mut String, grid: &Table, look: &Look) {
    if !fits(grid, look) {
        let heads: Vec<String> = grid
            .header()
            .map(|row| row.cell_iter().map(|cell| cell.content()).collect())
            .unwrap_or_default();
        for row in grid.row_iter() {
            let cells: Vec<String> = row.cell_iter().map(|cell| cell.content()).collect();
            let mut said: Vec<String> = Vec::new();
            for (head, cell) in heads.iter().zip(&cells).skip(1) {
                let words = labelled(head, cell);
                // What is said already (a state that is what is waited for) is not said again.
                if !words.is_empty() && !said.contains(&words) {
                    said.push(words);
                }
            }
            let name = cells.first().map_or("", String::as_str);
            push_entry(out, "", name, &said.join(", "), look);
        }
        return;
    }
    for line in grid.lines() {
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

/// A cell with its column's name, where it says nothing without.
fn labelled(head: &str, cell: &str) -> String {
    let head = head.to_lowercase();
    match head.as_str() {
        _ if cell.is_empty() || cell == "-" => String::new(),
        "until" if cell.starts_with("done ") => cell.to_owned(),
        "until" | "for" | "after" | "95 % sure of" => format!("{head} {cell}"),
        "today" | "rate" => format!("{cell} {head}"),
        _ if cell.chars().all(|c| c.is_ascii_digit()) => format!("{cell} {head}"),
        _ => cell.to_owned(),
    }
}

/// A text for a terminal of this width: what is longer goes on under its own line, set in by two, broken between words.
/// Colours (CSI … m) take no columns.
pub fn fold(text: &str, width: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let line = line.strip_suffix('\n').unwrap_or(line);
        let indent = line.len() - line.trim_start_matches(' ').len();
        if shown_width(line) <= width || width < indent + LEAST_WRAPPED {
            out.push_str(line);
            out.push('\n');
            continue;
        }
        let under = " ".repeat(indent + 2);
        let mut at = indent;
        out.push_str(&under[..indent]);
        for (number, word) in line[indent..].split(' ').enumerate() {
            let wide = shown_width(word);
            if number > 0 && at + 1 + wide > width && at > indent + 2 {
                out.push('\n');
                out.push_str(&under);
                at = indent + 2;
            } else if number > 0 {
                out.push(' ');
                at += 1;
            }
            out.push_str(word);
            at += wide;
        }
        out.push('\n');
    }
    if !text.ends_with('\n') {
        out.truncate(out.len().saturating_sub(1));
    }
    out
}

/// Columns that a text with colours takes.
fn shown_width(text: &str) -> usize {
    let mut width = 0;
    for (number, part) in text.split("\u{1b}[").enumerate() {
        let shown = match number {
            0 => part,
            _ => part.split_once('m').map_or("", |(_, rest)| rest),
        };
        width += display_width(shown);
    }
    width
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_for_a_narrow_terminal_is_broken_between_words_and_colours_take_no_room() {
        let text = "short\n    \u{1b}[32m+\u{1b}[0m one two three four five six seven\n";
        assert_eq!(
            fold(text, 32),
            "short\n    \u{1b}[32m+\u{1b}[0m one two three four five\n      six seven\n"
        );
        assert_eq!(fold(text, 80), text);
        assert_eq!(fold("no end", 80), "no end");
        // Where nothing fits, nothing is broken.
        assert_eq!(fold(text, 10), text);
    }

    fn wrapped(text: &str, width: usize) -> String {
        let mut out = "head  ".to_owned();
        push_from(&mut out, 6, 6, text, Some(width));
        out
    }

    #[test]
    fn a_long_line_goes_on_under_its_beginning() {
        assert_eq!(
            wrapped("one two three four five six seven eight nine", 36),
            "head  one two three four five six\n      seven eight nine\n"
        );
    }

    #[test]
    fn a_word_that_no_line_holds_is_broken_at_the_edge_and_goes_on_under_itself() {
        assert_eq!(
            wrapped(
                "see campaigns/a-folder/with-a-long-name.yaml:14:21: wrong",
                32
            ),
            "head  see\n      campaigns/a-folder/with-a-\n      long-name.yaml:14:21:\n      wrong\n"
        );
        // Wide letters take two columns each.
        assert_eq!(
            wrapped(&"春".repeat(14), 30),
            format!("head  {}\n      春春\n", "春".repeat(12))
        );
    }

    #[test]
    fn the_last_column_stands_below_where_there_is_no_room_beside() {
        let beside = |width| {
            let mut out = "one  two  ".to_owned();
            push_last(&mut out, 10, "three four five six seven eight", width);
            out
        };
        assert_eq!(beside(None), "one  two  three four five six seven eight\n");
        assert_eq!(
            beside(Some(36)),
            "one  two  three four five six seven\n          eight\n"
        );
        assert_eq!(
            beside(Some(28)),
            "one  two\n    three four five six\n    seven eight\n"
        );
    }
}
