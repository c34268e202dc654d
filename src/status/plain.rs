//! Other people's words, made harmless for a terminal.

/// Whether a character steers a terminal, turns the writing direction or breaks a line.
pub fn steers(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{202a}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{61c}'
                | '\u{2028}'
                | '\u{2029}'
                | '\u{feff}'
        )
}

/// The text without anything that steers a terminal: escape sequences, control characters, and the characters that
/// turn the writing direction (CVE-2021-42574). Line breaks and tabs become spaces.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            // ECMA-48: ESC [ … final byte is a control sequence; ESC ] … (BEL or ESC \) an operating system command.
            '\u{1b}' => match chars.peek() {
                Some('[') => {
                    chars.next();
                    while let Some(c) = chars.next_if(|c| ('\u{20}'..='\u{3f}').contains(c)) {
                        let _ = c;
                    }
                    chars.next_if(|c| ('\u{40}'..='\u{7e}').contains(c));
                }
                Some(']' | 'P' | 'X' | '^' | '_') => {
                    while let Some(c) = chars.next() {
                        if c == '\u{7}' || c == '\u{9c}' {
                            break;
                        }
                        if c == '\u{1b}' {
                            chars.next_if_eq(&'\\');
                            break;
                        }
                    }
                }
                _ => {
                    chars.next_if(|c| ('\u{20}'..='\u{7e}').contains(c));
                }
            },
            '\n' | '\r' | '\t' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            c if steers(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// `1 person`, `2 people`.
pub fn people(count: u64) -> String {
    if count == 1 {
        "1 person".to_owned()
    } else {
        format!("{count} people")
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn nothing_that_steers_a_terminal_gets_through() {
        for (what, text, expected) in [
            ("letters stay", "Весна 春 👩‍🚀", "Весна 春 👩‍🚀"),
            ("colours", "\u{1b}[31mred\u{1b}[0m", "red"),
            ("a title command", "\u{1b}]0;pwned\u{7}after", "after"),
            (
                "a hyperlink",
                "\u{1b}]8;;http://x\u{1b}\\text\u{1b}]8;;\u{1b}\\",
                "text",
            ),
            ("a reset", "a\u{1b}cb", "ab"),
            ("an unfinished sequence", "a\u{1b}[", "a"),
            ("one-byte controls", "a\u{9b}31mb\u{8}\u{0}c", "a31mbc"),
            ("line breaks", "a\r\nb\tc", "a b c"),
            ("direction", "a\u{202e}b\u{2066}c", "abc"),
        ] {
            assert_eq!(plain(text), expected, "{what}");
        }
    }
}
