//! Templates, formats, lengths, and the pure [`compose`]: from a template and a person to a text that
//! Telegram takes. Used by `spec` to check and by `plan` to render. No clock, no chance, no effects.

mod answer;
mod check;
mod conditions;
mod context;
mod denial;
mod entity;
mod filters;
mod format;
mod links;
mod literal;
mod opt_out;
mod problem;
mod straight;
mod template;
mod variant;

pub use answer::said_word;
pub use context::{AccountFacts, CampaignFacts, Context};
pub use denial::denies_machine;
pub use entity::{Entity, EntityKind, Formatted, utf16_len};
pub use format::{escape, format_text};
pub use links::{forbidden_host, linked_hosts};
pub use opt_out::is_opt_out;
pub use problem::TemplateProblem;
pub use template::{Expression, Names, Template};
pub use variant::variant_index;

/// The most UTF-16 units of a message (core.telegram.org/constructor/config, `message_length_max`).
pub const MAX_TEXT_UNITS: usize = 4096;
/// The most UTF-16 units of a caption (core.telegram.org/api/config, `caption_length_limit_default`).
pub const MAX_CAPTION_UNITS: usize = 1024;

/// The most UTF-16 units that a text may have, as a message or as the caption of a medium.
pub fn limit_units(has_media: bool) -> usize {
    if has_media {
        MAX_CAPTION_UNITS
    } else {
        MAX_TEXT_UNITS
    }
}

/// The markup in which an author writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// No markup.
    #[default]
    Plain,
    /// `**bold**`, `*italic*`, `_italic_`, `~~strike~~`, `` `code` ``, fenced code, `[links](url)`;
    /// a backslash before a sign makes it a plain sign.
    Markdown,
    /// Telegram's tags (core.telegram.org/bots/api#html-style).
    Html,
}

/// Why a person gets no text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    /// Outcome `template_error`: the sentence names the variable or the markup.
    #[error("{0}")]
    TemplateError(String),
    /// Outcome `too_long`.
    #[error("the text has {units} UTF-16 units, Telegram takes at most {limit}")]
    TooLong {
        /// The length after formatting.
        units: usize,
        /// What Telegram takes.
        limit: usize,
    },
    /// Nothing visible is left (outcome `template_error`).
    #[error("the text is empty")]
    Empty,
}

/// Markup that cannot be read (html only), at its place in the markup.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{summary}; {detail}")]
pub struct FormatProblem {
    /// Where, in bytes of the markup.
    pub offset: usize,
    /// How many bytes are meant; at least 1.
    pub len: usize,
    /// What was found.
    pub summary: String,
    /// What was expected.
    pub detail: String,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

/// A text for one person: rendered, formatted, the notice (a template of its own, in its own format)
/// appended after a blank line, trimmed as Telegram trims, measured. `has_media` chooses the caption's
/// limit, and allows an empty text.
///
/// # Errors
/// What fails this person alone; nothing is cut.
pub fn compose(
    template: &Template,
    notice: Option<&Template>,
    has_media: bool,
    context: &Context<'_>,
) -> Result<Formatted, ComposeError> {
    let part = |template: &Template| {
        let markup = template.render(context)?;
        format_text(&markup, template.format())
            .map_err(|problem| ComposeError::TemplateError(problem.to_string()))
    };
    let mut composed = part(template).map_err(|error| match error {
        ComposeError::TooLong { units, .. } => ComposeError::TooLong {
            units,
            limit: limit_units(has_media),
        },
        other => other,
    })?;
    if composed.text.is_empty() && !has_media {
        return Err(ComposeError::Empty);
    }
    if let Some(notice) = notice {
        append(&mut composed, part(notice)?);
    }
    let (units, limit) = (composed.units(), limit_units(has_media));
    if units > limit {
        return Err(ComposeError::TooLong { units, limit });
    }
    Ok(composed)
}

/// Puts a second text under a first, with a blank line between.
fn append(first: &mut Formatted, second: Formatted) {
    if first.text.is_empty() {
        *first = second;
        return;
    }
    if second.text.is_empty() {
        return;
    }
    first.text.push_str("\n\n");
    let shift = first.units();
    first.text.push_str(&second.text);
    first
        .entities
        .extend(second.entities.into_iter().map(|entity| Entity {
            offset: entity.offset + shift,
            ..entity
        }));
}

#[cfg(test)]
mod tests;
