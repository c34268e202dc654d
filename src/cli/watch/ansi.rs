//! Our own coloured texts as the live view's lines: SGR sequences (ECMA-48) become styles.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

/// The lines of a text.
pub(super) fn lines(text: &str) -> Vec<Line<'static>> {
    text.lines().map(line).collect()
}

fn line(text: &str) -> Line<'static> {
    let mut spans = Vec::new();
    let mut style = Style::default();
    let mut rest = text;
    while let Some(at) = rest.find("\u{1b}[") {
        let (before, after) = rest.split_at(at);
        if !before.is_empty() {
            spans.push(Span::styled(before.to_owned(), style));
        }
        let after = &after[2..];
        let Some(end) = after.find(|c: char| ('\u{40}'..='\u{7e}').contains(&c)) else {
            return Line::from(spans);
        };
        let (codes, tail) = after.split_at(end);
        if tail.starts_with('m') {
            style = apply(style, codes);
        }
        rest = &tail[1..];
    }
    if !rest.is_empty() {
        spans.push(Span::styled(rest.to_owned(), style));
    }
    Line::from(spans)
}

fn apply(mut style: Style, codes: &str) -> Style {
    let mut codes = codes.split(';').map(|code| code.parse::<u8>().unwrap_or(0));
    while let Some(code) = codes.next() {
        style = match code {
            0 => Style::default(),
            1 => style.add_modifier(Modifier::BOLD),
            2 => style.add_modifier(Modifier::DIM),
            3 => style.add_modifier(Modifier::ITALIC),
            4 => style.add_modifier(Modifier::UNDERLINED),
            7 => style.add_modifier(Modifier::REVERSED),
            9 => style.add_modifier(Modifier::CROSSED_OUT),
            30..=37 => style.fg(Color::Indexed(code - 30)),
            38 => match (codes.next(), codes.next()) {
                (Some(5), Some(index)) => style.fg(Color::Indexed(index)),
                _ => style,
            },
            39 => style.fg(Color::Reset),
            90..=97 => style.fg(Color::Indexed(code - 90 + 8)),
            _ => style,
        };
    }
    style
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_become_styles_and_the_text_stays() {
        let lines = lines("a \u{1b}[31mred\u{1b}[0m b\n\u{1b}[1m\u{1b}[38;5;10mbold\u{1b}[0m");
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].to_string(), "a red b");
        assert_eq!(lines[0].spans[1].style.fg, Some(Color::Indexed(1)));
        assert_eq!(lines[0].spans[2].style, Style::default());
        let bold = lines[1].spans[0].style;
        assert_eq!(bold.fg, Some(Color::Indexed(10)));
        assert!(bold.add_modifier.contains(Modifier::BOLD));
    }

    #[test]
    fn a_sequence_that_never_ends_is_left_out() {
        assert_eq!(lines("a\u{1b}[31")[0].to_string(), "a");
    }
}
