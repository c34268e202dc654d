//! Guessing what was meant, and quoting what was found.

/// How much of a user's own value a message repeats, in characters.
const MAX_QUOTED: usize = 60;

/// Words longer than this are compared with nothing: the comparison is quadratic and the word is no slip.
const MAX_WORD: usize = 64;

/// The candidate that `found` is probably a slip of, if any is near enough.
///
/// Case, `-` against `_` and camelCase count as equal; beyond that a third of the letters may differ.
pub fn did_you_mean<'a>(
    found: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = plain(found);
    if word.is_empty() || word.chars().count() > MAX_WORD {
        return None;
    }
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .filter(|candidate| *candidate != found)
        .filter_map(|candidate| {
            let target = plain(candidate);
            let distance = strsim::damerau_levenshtein(&word, &target);
            // A word of one or two letters is within one step of half the dictionary.
            let near = distance == 0
                || (distance <= allowed && word.chars().count().min(target.chars().count()) > 2);
            // 'template' for 'templates', 'hour' for 'per_hour', 'timezones' for 'timezone': one holds the other.
            let part = word.len() >= 4
                && target.len() >= 4
                && (target.contains(&word) || word.contains(&target))
                && distance <= 6;
            (near || part).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The sentence for a name that nothing has: ``there is no campaign `sprnig`. Did you mean `spring`?``
pub fn no_such<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let hint = did_you_mean(name, known)
        .map_or_else(String::new, |near| format!(" Did you mean `{near}`?"));
    format!("there is no {what} `{name}`.{hint}")
}

/// Lower case without separators, so that `perDay`, `per-day` and `per_day` are one word.
fn plain(word: &str) -> String {
    word.chars()
        .filter(|c| !matches!(c, '-' | '_' | ' '))
        .flat_map(char::to_lowercase)
        .collect()
}

/// A user's own text in double quotes: clipped, and with control characters made visible, so that a message stays
/// one line and cannot steer a terminal.
pub fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    let mut chars = text.chars();
    for c in chars.by_ref().take(MAX_QUOTED) {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '"' => out.push_str("\\\""),
            c if c.is_control() || is_invisible(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    if chars.next().is_some() {
        out.push('…');
    }
    out.push('"');
    out
}

/// Characters that turn or hide text without being seen (bidirectional controls, zero-width marks, the BOM).
/// The zero-width joiner is not among them: emoji are made with it.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200B}' | '\u{200C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}
