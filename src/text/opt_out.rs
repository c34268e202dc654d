//! Whether a message says 'leave me alone'.

use unicode_normalization::UnicodeNormalization;

/// A message that is longer (in characters) is a letter, not a word; it is not worth normalising.
const MAX_CHARS: usize = 500;
/// And of more bytes than Telegram lets a message have (4,096 UTF-16 units, each of up to three bytes) is none.
const MAX_BYTES: usize = 3 * 4096;

/// True where the message says nothing but keywords, once or again: in any case, punctuation, symbols and emoji aside,
/// with letters of whatever script that look the same as one (`ѕtop` with a Cyrillic letter, `ＳＴＯＰ`, `śtop`), runs of
/// white space as one. Keywords are read in the same way; one of which nothing is left matches nothing.
pub fn is_opt_out<S: AsRef<str>>(message: &str, keywords: &[S]) -> bool {
    // Only letters and digits count, so that a row of exclamation marks makes no letter of a word.
    let written = message.chars().filter(|c| c.is_alphanumeric());
    if message.len() > MAX_BYTES || written.take(MAX_CHARS + 1).count() > MAX_CHARS {
        return false;
    }
    let said = bare(&without_emoji(message));
    if said.is_empty() {
        return false;
    }
    // Letters look alike as small ones or as capital ones: `т` and `t` do not, `Т` and `T` do.
    [str::to_lowercase, str::to_uppercase].iter().any(|case| {
        let look = |text: &str| looks(&case(text));
        let said: Vec<String> = said.split(' ').map(look).collect();
        let keywords: Vec<String> = keywords
            .iter()
            .map(|keyword| look(&bare(keyword.as_ref()).replace(' ', "")))
            .filter(|keyword| !keyword.is_empty())
            .collect();
        says_only(&said, &keywords)
    })
}

/// Whether words are a row of keywords, each of whole words: `s.t.o.p` and `un-subscribe` are punctuated, and mean the
/// word. One word may repeat a keyword: `stopstop`.
fn says_only(said: &[String], keywords: &[String]) -> bool {
    // Up to which words it is one.
    let mut until = vec![false; said.len() + 1];
    until[0] = true;
    for from in 0..said.len() {
        if !until[from] {
            continue;
        }
        let mut joined = String::new();
        for to in from..said.len() {
            joined.push_str(&said[to]);
            until[to + 1] |= keywords.iter().any(|keyword| {
                joined.len().is_multiple_of(keyword.len())
                    && joined
                        .as_bytes()
                        .chunks(keyword.len())
                        .all(|part| part == keyword.as_bytes())
            });
        }
    }
    until[said.len()]
}

/// What a text looks like: of letters that look alike one (UTS #39, skeleton), without accents.
fn looks(text: &str) -> String {
    let accent = |c: &char| matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}');
    unicode_security::skeleton(text)
        .filter(|c| !accent(c))
        .flat_map(char::to_lowercase)
        .collect()
}

/// A text without the emoji that stand for letters, digits or words: NFKC would make these of them.
fn without_emoji(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let sign = matches!(c, 'ℹ' | '™' | 'Ⓜ' | '©' | '®' | '\u{1f100}'..='\u{1f2ff}');
        // A digit in a keycap: itself, a variation selector, and the keycap (UTS #51).
        let keycap = (c.is_ascii_digit() || c == '#' || c == '*')
            && matches!(chars.peek(), Some('\u{fe0f}' | '\u{20e3}'));
        out.push(if sign || keycap { ' ' } else { c });
    }
    out
}

/// The words of a text alone: letters, digits and the marks that belong to letters.
pub(super) fn bare(text: &str) -> String {
    let mut out = String::new();
    let mut gap = false;
    let normal: String = text.nfkc().flat_map(char::to_lowercase).nfkc().collect();
    for c in normal.chars() {
        if c.is_alphanumeric() || is_mark(c) {
            if gap && !out.is_empty() {
                out.push(' ');
            }
            gap = false;
            // People write ё as е and mean the same word.
            out.push(if c == 'ё' { 'е' } else { c });
        } else if is_invisible(c) || matches!(c, '\'' | '’') {
            // `don't` is one word, and a soft hyphen parts none.
        } else {
            gap = true;
        }
    }
    out
}

/// Combining marks that are part of a letter, but not those that only make emoji.
pub(super) fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
        && !matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{20d0}'..='\u{20ff}')
}

pub(super) fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}'
            | '\u{feff}' | '\u{fe00}'..='\u{fe0f}' | '\u{20d0}'..='\u{20ff}'
            | '\u{e0020}'..='\u{e007f}'
    )
}
