//! Messages on a terminal, as Telegram would show them.

use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::{Rendered, Text, kind_name};
use crate::model::{Contact, Entity, EntityKind, Formatted};
use crate::status::{Look, plain};

/// The widest text: about what a phone shows is too narrow to judge, a whole screen too wide.
const WIDEST: usize = 76;
/// The narrowest text that is still broken at words.
const NARROWEST: usize = 20;
/// What stands left of a message's lines.
const BAR: &str = "  │ ";

/// All texts of one person.
pub(super) fn page(rendered: &Rendered, look: &Look) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{}{} to {}",
        plain(&rendered.campaign),
        rendered
            .account
            .as_ref()
            .map(|name| format!(", from {}", plain(name)))
            .unwrap_or_default(),
        who(&rendered.contact)
    );
    if let Some(reason) = rendered.excluded {
        let words = format!(
            "He would not be in the audience, as `{reason}`: {}",
            reason.meaning()
        );
        let _ = writeln!(out, "{}", paint(&words, "33", look.colour));
    }
    for text in &rendered.texts {
        out.push('\n');
        let several = rendered
            .texts
            .iter()
            .filter(|other| other.step == text.step)
            .count()
            > 1;
        one(&mut out, text, several, look);
    }
    out
}

fn who(contact: &Contact) -> String {
    let mut words: Vec<String> = [&contact.first_name, &contact.last_name]
        .into_iter()
        .flatten()
        .map(|name| plain(name))
        .collect();
    if let Some(username) = &contact.username {
        words.push(format!("@{}", plain(username)));
    }
    if words.is_empty() {
        words.extend(
            contact
                .phone
                .as_ref()
                .map(|phone| format!("+{}", plain(phone))),
        );
    }
    if words.is_empty() {
        words.push(contact.id.map_or_else(
            || "somebody without a name".to_owned(),
            |id| format!("id:{id}"),
        ));
    }
    words.join(" ")
}

fn one(out: &mut String, text: &Text, several: bool, look: &Look) {
    let mut head = match &text.after {
        None => "First message".to_owned(),
        Some(after) => format!("Follow-up {} after {after}", text.step),
    };
    let _ = write!(
        head,
        ", template `{}` (weight {}, {})",
        plain(&text.variant),
        text.weight,
        text.format
    );
    if several && text.chosen == Some(true) {
        head.push_str(", the one for this person");
    }
    let _ = writeln!(out, "{}", paint(&head, "1", look.colour));
    if let Some(media) = &text.media {
        let _ = writeln!(out, "{BAR}[{}]", plain(media));
    }
    let Some(formatted) = &text.formatted else {
        let error = text.error.as_deref().unwrap_or_default();
        let line = format!("no text: {}", plain(error));
        let _ = writeln!(out, "{BAR}{}", paint(&line, "31", look.colour));
        return;
    };
    // A pipe gets lines as they are.
    let width = look
        .width
        .map(|width| width.saturating_sub(BAR.width()).clamp(NARROWEST, WIDEST));
    for line in lines(formatted, width, look.colour) {
        let _ = writeln!(out, "{}", format!("{BAR}{line}").trim_end());
    }
    let mut foot = format!(
        "{} of {} characters as Telegram counts (UTF-16 units)",
        formatted.units(),
        text.limit
    );
    if !text.link_preview {
        foot.push_str(", without a link preview");
    }
    let _ = writeln!(out, "  {}", paint(&foot, "2", look.colour));
    for words in looks(formatted) {
        let _ = writeln!(out, "  {}", paint(&words, "2", look.colour));
    }
}

/// `bold: “Doors”`, one line a look.
fn looks(formatted: &Formatted) -> Vec<String> {
    let mut lines: Vec<(String, Vec<String>)> = Vec::new();
    for entity in &formatted.entities {
        let part = plain(&slice(formatted, entity).replace('\n', " "));
        let said = match &entity.kind {
            EntityKind::TextUrl { url } => format!("“{part}” to {}", plain(url)),
            _ => format!("“{part}”"),
        };
        let name = match &entity.kind {
            EntityKind::TextUrl { .. } => "link".to_owned(),
            EntityKind::Pre { language } if !language.is_empty() => {
                format!("pre ({})", plain(language))
            }
            other => kind_name(other).replace('_', " "),
        };
        match lines.iter_mut().find(|(known, _)| *known == name) {
            Some((_, parts)) => parts.push(said),
            None => lines.push((name, vec![said])),
        }
    }
    lines
        .into_iter()
        .map(|(name, parts)| format!("{name}: {}", parts.join(", ")))
        .collect()
}

/// The part of the text that has a look.
fn slice(formatted: &Formatted, entity: &Entity) -> String {
    let mut at = 0;
    formatted
        .text
        .chars()
        .filter(|c| {
            let here = at;
            at += c.len_utf16();
            here >= entity.offset && here < entity.offset + entity.length
        })
        .collect()
}

/// A character and how it looks (SGR parameters of ECMA-48).
#[derive(Clone)]
struct Glyph {
    c: char,
    style: String,
}

/// The text's lines, broken at words where they are longer than `width` columns.
fn lines(formatted: &Formatted, width: Option<usize>, colour: bool) -> Vec<String> {
    let mut out = Vec::new();
    let mut line: Vec<Glyph> = Vec::new();
    let mut quoted = false;
    let mut at = 0;
    for c in formatted.text.chars() {
        let holds = |entity: &&Entity| at >= entity.offset && at < entity.offset + entity.length;
        if c == '\n' {
            flush(&mut out, &mut line, quoted, width, colour);
            quoted = false;
        } else {
            let active: Vec<&Entity> = formatted.entities.iter().filter(holds).collect();
            quoted |= active
                .iter()
                .any(|entity| matches!(entity.kind, EntityKind::Blockquote { .. }));
            line.extend(shown(c).map(|c| Glyph {
                c,
                style: style(&active),
            }));
        }
        at += c.len_utf16();
    }
    flush(&mut out, &mut line, quoted, width, colour);
    out
}

/// What a text holds must not steer the terminal.
fn shown(c: char) -> Option<char> {
    plain(c.encode_utf8(&mut [0; 4])).chars().next()
}

fn style(active: &[&Entity]) -> String {
    let mut codes: Vec<&str> = active
        .iter()
        .filter_map(|entity| match entity.kind {
            EntityKind::Bold => Some("1"),
            EntityKind::Italic => Some("3"),
            EntityKind::Underline => Some("4"),
            EntityKind::Strike => Some("9"),
            EntityKind::Spoiler => Some("7"),
            EntityKind::Code | EntityKind::Pre { .. } => Some("36"),
            EntityKind::TextUrl { .. } => Some("34;4"),
            EntityKind::Blockquote { .. } | EntityKind::CustomEmoji { .. } => None,
        })
        .collect();
    codes.dedup();
    codes.join(";")
}

fn flush(
    out: &mut Vec<String>,
    line: &mut Vec<Glyph>,
    quoted: bool,
    width: Option<usize>,
    colour: bool,
) {
    let line = std::mem::take(line);
    let prefix = if quoted { "▎ " } else { "" };
    let room = width.map_or(usize::MAX, |width| width.saturating_sub(prefix.width()));
    let mut rest = line.as_slice();
    loop {
        let (now, later) = split(rest, room);
        out.push(format!("{prefix}{}", painted(now, colour)));
        if later.is_empty() {
            return;
        }
        rest = later;
    }
}

/// As much as fits, broken at the last space where there is one.
fn split(line: &[Glyph], room: usize) -> (&[Glyph], &[Glyph]) {
    let mut width = 0;
    let mut space = None;
    for (index, glyph) in line.iter().enumerate() {
        width += glyph.c.width().unwrap_or(0);
        if width > room && index > 0 {
            let cut = space.unwrap_or(index);
            let (now, later) = line.split_at(cut);
            let later = match later.first() {
                Some(first) if first.c == ' ' => &later[1..],
                _ => later,
            };
            return (now, later);
        }
        if glyph.c == ' ' {
            space = Some(index);
        }
    }
    (line, &[])
}

fn painted(line: &[Glyph], colour: bool) -> String {
    let mut out = String::new();
    let mut style = "";
    for glyph in line {
        if colour && glyph.style != style {
            if !style.is_empty() {
                out.push_str("\u{1b}[0m");
            }
            if !glyph.style.is_empty() {
                let _ = write!(out, "\u{1b}[{}m", glyph.style);
            }
            style = &glyph.style;
        }
        out.push(glyph.c);
    }
    if !style.is_empty() {
        out.push_str("\u{1b}[0m");
    }
    out
}

fn paint(text: &str, code: &str, colour: bool) -> String {
    if colour {
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{Format, format_text};

    fn shown_as(markup: &str, width: Option<usize>, colour: bool) -> Vec<String> {
        lines(&format_text(markup, Format::Html).unwrap(), width, colour)
    }

    #[test]
    fn long_lines_are_broken_at_words_and_words_that_are_too_long_within() {
        let text = "Привет, приходите к нам в четверг.\n漢字漢字漢字漢字漢字";
        assert_eq!(
            shown_as(text, Some(20), false),
            [
                "Привет, приходите к",
                "нам в четверг.",
                "漢字漢字漢字漢字漢字"
            ]
        );
        assert_eq!(
            shown_as("漢字漢字漢字", Some(5), false),
            ["漢字", "漢字", "漢字"]
        );
        assert_eq!(shown_as(text, None, false).len(), 2);
    }

    #[test]
    fn looks_become_those_of_a_terminal() {
        assert_eq!(
            shown_as("a <b>b <i>c</i></b>", None, true),
            ["a \u{1b}[1mb \u{1b}[0m\u{1b}[1;3mc\u{1b}[0m"]
        );
        assert_eq!(shown_as("<b>a</b>", None, false), ["a"]);
        assert_eq!(
            shown_as("<blockquote>a\nb</blockquote>\nc", None, false).join("|"),
            "▎ a|▎ b|c"
        );
    }

    #[test]
    fn a_text_cannot_steer_the_terminal() {
        let lines = shown_as("a\u{1b}[2J\u{202e}b", None, true);
        assert!(
            !lines.concat().contains(['\u{1b}', '\u{202e}']),
            "{lines:?}"
        );
    }
}
