//! What is wrong with a template's source, and where.

/// One mistake in a template or expression, at its place in the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateProblem {
    /// Line in the source, from 1.
    pub line: usize,
    /// Column in that line, from 1, in Unicode characters.
    pub column: usize,
    /// How many characters of that line are meant; at least 1.
    pub len: usize,
    /// Stable code: `template-syntax`, `unknown-variable`, `unknown-attribute`, `unknown-column`,
    /// `unknown-label`, `unknown-filter`, `unknown-test`, `unknown-function`, `unsupported-tag`,
    /// `bad-date-format`, `markup` or `template-too-complex`.
    pub code: &'static str,
    /// One sentence: what was found.
    pub summary: String,
    /// What was expected, what to do.
    pub detail: String,
    /// The name that was probably meant.
    pub suggestion: Option<String>,
}

impl TemplateProblem {
    /// A problem at a byte range of the source.
    pub(super) fn at(
        source: &str,
        range: std::ops::Range<usize>,
        code: &'static str,
        summary: String,
        detail: impl Into<String>,
    ) -> TemplateProblem {
        let mut start = range.start.min(source.len());
        while !source.is_char_boundary(start) {
            start -= 1;
        }
        let mut end = range.end.clamp(start, source.len());
        while !source.is_char_boundary(end) {
            end += 1;
        }
        let before = &source[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let marked = source[start..end].lines().next().unwrap_or("");
        TemplateProblem {
            line: before.matches('\n').count() + 1,
            column: source[line_start..start].chars().count() + 1,
            len: marked.chars().count().max(1),
            code,
            summary,
            detail: detail.into(),
            suggestion: None,
        }
    }

    pub(super) fn suggest(mut self, suggestion: Option<String>) -> TemplateProblem {
        self.suggestion = suggestion;
        self
    }
}

/// The byte offset of `part` in `whole`; 0 where it is not a slice of it.
pub(super) fn offset_in(whole: &str, part: &str) -> usize {
    let offset = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    if offset <= whole.len() { offset } else { 0 }
}

/// The candidate that was probably meant by `wanted`.
pub(super) fn nearest<'c>(
    wanted: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<String> {
    let lower = wanted.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| {
            let known = candidate.to_lowercase();
            (
                candidate,
                strsim::damerau_levenshtein(&lower, &known),
                known,
            )
        })
        // A third of the letters wrong is a slip of the pen, more is another word; the beginning of
        // a longer name counts too.
        .filter(|(_, distance, known)| {
            let letters = known.chars().count();
            (*distance <= (letters / 3).max(1) && *distance < letters)
                || (lower.len() >= 3
                    && (known.starts_with(&lower) || lower.starts_with(known.as_str())))
        })
        .min_by_key(|(_, distance, _)| *distance)
        .map(|(candidate, _, _)| candidate.to_string())
}
