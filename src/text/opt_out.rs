//! Whether a message says 'leave me alone'.

use unicode_normalization::UnicodeNormalization;

/// A message that is longer (in characters) is a letter, not a word; it is not worth normalising.
const MAX_CHARS: usize = 500;

/// True where the whole message is one of the keywords: in any case, punctuation, symbols and emoji
/// aside, compatible characters as one (NFKC, so that `ＳＴＯＰ` is `stop`), runs of white space as one.
/// Keywords are read in the same way; one of which nothing is left matches nothing.
pub fn is_opt_out<S: AsRef<str>>(message: &str, keywords: &[S]) -> bool {
    if message.chars().nth(MAX_CHARS).is_some() {
        return false;
    }
    let said = bare(message);
    !said.is_empty()
        && keywords
            .iter()
            .any(|keyword| bare(keyword.as_ref()) == said)
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
fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
        && !matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{20d0}'..='\u{20ff}')
}

fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}'
            | '\u{feff}' | '\u{fe00}'..='\u{fe0f}' | '\u{20d0}'..='\u{20ff}'
            | '\u{e0020}'..='\u{e007f}'
    )
}
