//! From a line and column in a decoded text to the place in the file where that character is written.

use super::{Node, Style};
use crate::spec::diagnostic::{Position, Range};

/// The place of `len` characters from `line` and `column` (from 1) of the node's decoded text. Where the text cannot
/// be followed back, the value itself.
pub(super) fn place(text: &str, node: &Node, line: usize, column: usize, len: usize) -> Range {
    let Some(value) = node.as_str() else {
        return node.span;
    };
    let (line, column) = (line.max(1), column.max(1));
    match node.style {
        Style::Literal => literal(text, node, value, line, column, len),
        Style::Collection => node.span,
        style => flowing(text, node, value, style, (line, column, len)),
    }
}

/// In a `|` block a line of the value is a line of the file after its indentation.
fn literal(text: &str, node: &Node, value: &str, line: usize, column: usize, len: usize) -> Range {
    // The content begins on the line after the indicator.
    let first = node.content.start.line + 1;
    let mut lines = text.split('\n').skip(first - 1);
    let mut indent = 0;
    for decoded in value.split('\n') {
        let Some(written) = lines.next() else {
            return node.span;
        };
        if !decoded.is_empty() {
            indent = written
                .chars()
                .count()
                .saturating_sub(decoded.chars().count());
            break;
        }
    }
    let length = value
        .split('\n')
        .nth(line - 1)
        .map_or(0, |l| l.chars().count());
    let column = column.min(length + 1);
    let len = len.min((length + 1).saturating_sub(column)).max(1);
    Range::on_line(first + line - 1, indent + column, len)
}

/// In the other styles lines are folded, so only the characters that are no white space are followed.
fn flowing(
    text: &str,
    node: &Node,
    value: &str,
    style: Style,
    (line, column, len): (usize, usize, usize),
) -> Range {
    let Some(start) = offset(value, line, column) else {
        return node.span;
    };
    let last = start + len.max(1) - 1;
    let solid_before = |offset: usize| {
        value
            .chars()
            .take(offset)
            .filter(|c| !c.is_whitespace())
            .count()
    };
    let on_space = value.chars().nth(start).is_none_or(char::is_whitespace);
    let marks = solid(text, node, style);
    let first = solid_before(start);
    let from = if on_space {
        // The place just after the character before it.
        match first.checked_sub(1).and_then(|i| marks.get(i)) {
            Some((_, end)) => *end,
            None => return node.span,
        }
    } else {
        match marks.get(first) {
            Some((start, _)) => *start,
            None => return node.span,
        }
    };
    let count = solid_before(last + 1);
    let to = count
        .checked_sub(1)
        .and_then(|i| marks.get(i))
        .map_or(from, |(_, end)| *end);
    if to > from && to.line == from.line {
        Range::new(from, to)
    } else {
        Range::on_line(from.line, from.column, 1)
    }
}

/// The offset in characters of a line and column of a text.
fn offset(value: &str, line: usize, column: usize) -> Option<usize> {
    let mut before = 0;
    for (index, content) in value.split('\n').enumerate() {
        let length = content.chars().count();
        if index + 1 == line {
            return Some(before + (column - 1).min(length));
        }
        before += length + 1;
    }
    None
}

/// The places of the value's characters that are no white space, as they are written, in order.
fn solid(text: &str, node: &Node, style: Style) -> Vec<(Position, Position)> {
    let mut marks = Vec::new();
    let start = node.content.start;
    let end = node.content.end;
    let mut chars = text
        .split('\n')
        .enumerate()
        .skip(start.line - 1)
        .take(end.line + 1 - start.line)
        .flat_map(|(index, line)| {
            line.chars()
                .chain(std::iter::once('\n'))
                .enumerate()
                .map(move |(column, c)| (Position::new(index + 1, column + 1), c))
        })
        .skip_while(|(position, _)| *position < start)
        .take_while(|(position, _)| *position < end)
        .peekable();
    // Skip the opening quote, or the whole header line of a block.
    match style {
        Style::SingleQuoted | Style::DoubleQuoted => {
            chars.next();
        }
        Style::Folded => {
            while chars
                .next_if(|(position, _)| position.line == start.line)
                .is_some()
            {}
        }
        _ => {}
    }
    while let Some((position, c)) = chars.next() {
        let mut width = 1;
        let mut decoded = c;
        match (style, c) {
            (Style::DoubleQuoted, '"') => break,
            (Style::DoubleQuoted, '\\') => {
                let escape = chars.next().map_or(' ', |(_, c)| c);
                let digits = match escape {
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    _ => 0,
                };
                let code: String = (0..digits)
                    .filter_map(|_| chars.next().map(|(_, c)| c))
                    .collect();
                width = 2 + digits;
                decoded = match escape {
                    'n' | 't' | 'r' | ' ' | '\n' | 'v' | 'f' | 'N' | '_' | 'L' | 'P' | '\t' => ' ',
                    _ if digits > 0 => u32::from_str_radix(&code, 16)
                        .ok()
                        .and_then(char::from_u32)
                        .unwrap_or('?'),
                    _ => escape,
                };
            }
            (Style::SingleQuoted, '\'') => {
                if chars.next_if(|(_, next)| *next == '\'').is_none() {
                    break;
                }
                width = 2;
            }
            _ => {}
        }
        if !decoded.is_whitespace() {
            marks.push((
                position,
                Position::new(position.line, position.column + width),
            ));
        }
    }
    marks
}
