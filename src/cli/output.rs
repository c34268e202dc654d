//! Standard output and what kind of thing it is.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write as _};

use super::{DONE, Failure};
use crate::model::Timestamp;
use crate::status::{Look, steers};

/// Prints a text as it is. Who stops reading (`| head`) ends the command quietly.
pub(super) fn text(text: &str) -> Result<(), Failure> {
    bytes(text.as_bytes())
}

/// Prints a text of sentences, folded where standard output is a terminal.
pub(super) fn prose(text: &str) -> Result<(), Failure> {
    match look(false).width {
        Some(width) => self::text(&crate::status::fold(text, width)),
        None => self::text(text),
    }
}

/// Prints bytes as they are.
pub(super) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure {
            code: DONE,
            message: String::new(),
        }),
        Err(error) => Err(Failure::new(format!(
            "standard output cannot be written: {error}"
        ))),
    }
}

/// Prints a line.
pub(super) fn line(line: &str) -> Result<(), Failure> {
    text(&format!("{line}\n"))
}

/// Prints a document as JSON.
pub(super) fn json(body: &impl serde::Serialize) -> Result<(), Failure> {
    let body =
        serde_json::to_string_pretty(body).map_err(|error| Failure::new(error.to_string()))?;
    line(&harmless(&body))
}

/// Prints JSON that is a text already, as [`json`] does.
pub(super) fn written(json: &str) -> Result<(), Failure> {
    bytes(indented(&harmless(json)).as_bytes())?;
    bytes(b"\n")
}

/// JSON on one line with line breaks and two spaces a level, as serde writes it: the bytes of a long document are looked
/// at once, and no value is made of them.
fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let bytes = json.as_bytes();
    let (mut at, mut told, mut depth) = (0, 0, 0_usize);
    while let Some(byte) = bytes.get(at) {
        let next = at + 1;
        match byte {
            b'"' => at = next + end_of_string(&bytes[next..]),
            b'{' | b'[' if matches!(bytes.get(next), Some(b'}' | b']')) => at = next + 1,
            b'{' | b'[' | b',' => {
                out.push_str(&json[told..next]);
                (at, told) = (next, next);
                depth += usize::from(*byte != b',');
                new_line(&mut out, depth);
            }
            b'}' | b']' => {
                out.push_str(&json[told..at]);
                (told, at) = (at, next);
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
            }
            b':' => {
                out.push_str(&json[told..next]);
                (at, told) = (next, next);
                out.push(' ');
            }
            _ => at = next,
        }
    }
    out.push_str(&json[told..]);
    out
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    for _ in 0..depth {
        out.push_str("  ");
    }
}

/// Where a string ends, after its closing quote.
fn end_of_string(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', text.get(at..).unwrap_or_default()) {
        at += found + 1;
        if text.get(at - 1) == Some(&b'"') {
            return at;
        }
        // What comes after a backslash ends nothing.
        at += 1;
    }
    text.len()
}

/// Prints a document as one line of JSON.
pub(super) fn json_line(body: &impl serde::Serialize) -> Result<(), Failure> {
    let body = serde_json::to_string(body).map_err(|error| Failure::new(error.to_string()))?;
    line(&harmless(&body))
}

/// JSON in which characters that steer a terminal, or turn the writing direction, are escapes: they stand in texts
/// alone, and a program reads the same.
pub(super) fn harmless(json: &str) -> Cow<'_, str> {
    // The line breaks between values are our own.
    let bad = |c: char| steers(c) && c != '\n';
    let is_plain = |byte: u8| byte == b'\n' || (0x20..0x7F).contains(&byte);
    // Many bytes at a time, which is much faster than one after another.
    let are_plain = |bytes: &[u8]| bytes.iter().fold(true, |all, byte| all & is_plain(*byte));
    if json.as_bytes().chunks(256).all(are_plain) || !json.contains(bad) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if bad(c) {
            // All of them are one UTF-16 unit.
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Prints a document as YAML.
pub(super) fn yaml(body: &impl serde::Serialize) -> Result<(), Failure> {
    let body = serde_yaml::to_string(body).map_err(|error| Failure::new(error.to_string()))?;
    text(&body)
}

/// Prints to standard error; that nobody reads it is no reason to fail.
pub(super) fn complain(message: &str) {
    let _ = writeln!(io::stderr().lock(), "{message}");
}

/// Whether colours are wanted: a terminal, no `NO_COLOR` (no-color.org), no `TERM=dumb`.
pub(super) fn colour() -> bool {
    io::stdout().is_terminal() && wants_colour()
}

/// Whether there is a screen to draw on and a keyboard before it; `TERM=dumb` has none (terminfo(5)).
pub(super) fn is_screen() -> bool {
    io::stdout().is_terminal()
        && io::stdin().is_terminal()
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// As [`colour`], for standard error.
pub(super) fn colour_of_errors() -> bool {
    io::stderr().is_terminal() && wants_colour()
}

fn wants_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// How reports are to look here and now.
pub(super) fn look(wide: bool) -> Look {
    let width = if io::stdout().is_terminal() {
        console::Term::stdout()
            .size_checked()
            .map(|(_, columns)| usize::from(columns))
    } else {
        None
    };
    // A wide table is for those who scroll.
    Look {
        wide,
        width: width.filter(|_| !wide),
        colour: colour(),
        now: now(),
    }
}

/// The wall clock.
pub(super) fn now() -> Timestamp {
    crate::control::Clock::default().now()
}

/// Asks on the terminal; no where nobody is there.
pub(super) fn confirmed(question: &str) -> bool {
    let _ = write!(io::stderr().lock(), "{question} [y/N] ");
    let mut answer = String::new();
    match io::stdin().read_line(&mut answer) {
        Ok(_) => matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"),
        Err(_) => false,
    }
}

/// Whether a person sits at both ends.
pub(super) fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_steers_no_terminal_and_is_read_as_it_was() {
        let body = serde_json::json!({"last_reply": "a\u{1b}[31m\u{7}\u{9b}1m\u{202e}\u{2028}я 🎉\n\\u0041"});
        for form in [
            serde_json::to_string(&body),
            serde_json::to_string_pretty(&body),
        ] {
            let form = form.unwrap();
            let text = harmless(&form);
            assert!(!text.chars().any(|c| steers(c) && c != '\n'), "{text}");
            assert!(text.contains("\\u202e"), "{text}");
            assert_eq!(
                serde_json::from_str::<serde_json::Value>(&text).unwrap(),
                body
            );
        }
    }

    #[test]
    fn a_text_is_indented_as_serde_indents_the_value() {
        for body in [
            serde_json::json!({}),
            serde_json::json!([[], {}, [{}], "a", 1.5, null, true]),
            serde_json::json!({"a{": {"b": ["\\", "\"", "\\\"}", "я,:[]"], "c": []}, "d": [{"e": -1}, []]}),
            serde_json::json!("}"),
            serde_json::json!(7),
        ] {
            assert_eq!(
                indented(&body.to_string()),
                serde_json::to_string_pretty(&body).unwrap()
            );
        }
    }
}
