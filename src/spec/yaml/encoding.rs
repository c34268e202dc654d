//! Bytes → text in which every character may stand in YAML.

use std::sync::Arc;

use crate::spec::diagnostic::{Findings, Pointer, Position, Range};

/// How many stray control characters one file has reported: one is nearly always the sign of a binary file.
const MAX_CONTROLS: usize = 5;

/// The text without BOM and with `\n` for every line break (YAML 1.2.2, section 5.4, knows `\r\n` and `\r` as well).
/// Where the bytes are no YAML text, the error goes to `findings` and what can be shown of the text comes back.
pub(super) fn decode(bytes: &[u8], findings: &mut Findings) -> Result<Arc<str>, Arc<str>> {
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        findings
            .error(
                &Pointer::root(),
                "invalid-encoding",
                "the file is encoded as UTF-16",
            )
            .detail("A spec is a UTF-8 file. Save it as UTF-8 and try again.")
            .at_range(Range::on_line(1, 1, 1));
        return Err(Arc::from(""));
    }
    let bytes = bytes.strip_prefix(&[0xEF, 0xBB, 0xBF]).unwrap_or(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let good = error.valid_up_to();
            let before = normal_breaks(&String::from_utf8_lossy(&bytes[..good]));
            let at = end_of(&before);
            findings
                .error(
                    &Pointer::root(),
                    "invalid-encoding",
                    format!("byte 0x{:02X} at offset {good} is not UTF-8", bytes.get(good).copied().unwrap_or(0)),
                )
                .detail("A spec is a UTF-8 file. Save it as UTF-8 (editors often call another encoding `windows-1251` or `ANSI`).")
                .at_range(Range::on_line(at.line, at.column, 1));
            return Err(Arc::from(normal_breaks(&String::from_utf8_lossy(bytes))));
        }
    };
    let text = normal_breaks(text);
    let mut found = 0;
    let mut at = Position::START;
    for c in text.chars() {
        if !may_stand(c) {
            found += 1;
            if found <= MAX_CONTROLS {
                findings
                    .error(
                        &Pointer::root(),
                        "control-character",
                        format!("the control character U+{:04X} stands here", u32::from(c)),
                    )
                    .detail("YAML text holds no control characters but tab and line break. Delete it, or write it as an escape in double quotes.")
                    .at_range(Range::on_line(at.line, at.column, 1));
            }
        }
        if c == '\n' {
            at = Position::new(at.line + 1, 1);
        } else {
            at.column += 1;
        }
    }
    if found > 0 {
        Err(Arc::from(text))
    } else {
        Ok(Arc::from(text))
    }
}

fn normal_breaks(text: &str) -> String {
    if text.contains('\r') {
        text.replace("\r\n", "\n").replace('\r', "\n")
    } else {
        text.to_owned()
    }
}

fn end_of(text: &str) -> Position {
    let line = text.bytes().filter(|b| *b == b'\n').count() + 1;
    let last = text.rsplit('\n').next().unwrap_or("");
    Position::new(line, last.chars().count() + 1)
}

/// `c-printable` of YAML 1.2.2, section 5.1, without the BOM inside a text.
fn may_stand(c: char) -> bool {
    matches!(c,
        '\t' | '\n' | ' '..='~' | '\u{85}' | '\u{A0}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
        && c != '\u{FEFF}'
}
