//! From markup to a text with entities, and from a value to markup that shows it as it is.

pub(super) mod html;
mod markdown;

use std::borrow::Cow;

use super::entity::{Entity, EntityKind, Formatted, utf16_len};
use super::{Format, FormatProblem};

/// Stands before a character of a value, so that it is no markup whatever stands around it. Not a
/// backslash: an author's own backslash before a value would undo that.
pub(super) const ESCAPE: char = '\u{1b}';

/// Turns markup into a text with entities, and trims it as Telegram does.
///
/// # Guarantees
/// Entities are sorted, not empty, lie within the text, and count in UTF-16 units. Line breaks stay
/// as they are written (`\r\n` is one). Markdown that matches nothing stays as it is written.
///
/// # Errors
/// HTML that Telegram does not take, with its place in the markup.
pub fn format_text(markup: &str, format: Format) -> Result<Formatted, FormatProblem> {
    let formatted = match format {
        Format::Plain => Formatted {
            text: line_breaks(markup).into_owned(),
            entities: Vec::new(),
        },
        Format::Markdown => markdown::format(&line_breaks(markup)),
        Format::Html => html::format(markup)?,
    };
    Ok(trim(formatted))
}

/// Makes a value safe to stand in markup: formatted again it is the value, with no entity. (Control
/// characters 27 and 13 are dropped; Telegram shows neither.)
pub fn escape(value: &str, format: Format) -> String {
    match format {
        Format::Plain => value.to_string(),
        Format::Markdown => {
            let mut out = String::with_capacity(value.len() + 8);
            for c in value.chars().filter(|c| !matches!(c, '\r' | '\u{1b}')) {
                // White space too: `** {{ name }}**` must not depend on how a name begins.
                if c.is_ascii_punctuation() || c.is_whitespace() {
                    out.push(ESCAPE);
                }
                out.push(c);
            }
            out
        }
        Format::Html => {
            let mut out = String::with_capacity(value.len() + 8);
            for c in value.chars() {
                match c {
                    '&' => out.push_str("&amp;"),
                    '<' => out.push_str("&lt;"),
                    '>' => out.push_str("&gt;"),
                    '"' => out.push_str("&quot;"),
                    '\'' => out.push_str("&#39;"),
                    '\r' => {}
                    _ => out.push(c),
                }
            }
            out
        }
    }
}

fn line_breaks(text: &str) -> Cow<'_, str> {
    if text.contains('\r') {
        Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Takes white space off both ends, and entities with it.
fn trim(formatted: Formatted) -> Formatted {
    let Formatted { text, entities } = formatted;
    let trimmed = text.trim();
    // What shows nothing is nothing: Telegram refuses a text of invisible characters alone.
    let invisible = |c: char| {
        c.is_whitespace()
            || matches!(
                c,
                '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}'
            )
    };
    if trimmed.chars().all(invisible) {
        return Formatted::default();
    }
    let start = utf16_len(&text[..text.len() - text.trim_start().len()]);
    let length = utf16_len(trimmed);
    let entities = entities
        .into_iter()
        .map(|entity| {
            let from = entity.offset.saturating_sub(start).min(length);
            let to = (entity.offset + entity.length)
                .saturating_sub(start)
                .min(length);
            Entity {
                kind: entity.kind,
                offset: from,
                length: to - from,
            }
        })
        .collect();
    Formatted {
        text: trimmed.to_string(),
        entities: tidy(entities),
    }
}

/// Sorts entities as Telegram does, without empty ones and without those inside their own like.
fn tidy(mut entities: Vec<Entity>) -> Vec<Entity> {
    entities.retain(|entity| entity.length > 0);
    entities.sort_by(|a, b| {
        (a.offset, std::cmp::Reverse(a.length), &a.kind).cmp(&(
            b.offset,
            std::cmp::Reverse(b.length),
            &b.kind,
        ))
    });
    let mut kept: Vec<Entity> = Vec::with_capacity(entities.len());
    // Where each simple kind's last entity ends: what follows inside it adds nothing.
    let mut ends: std::collections::BTreeMap<EntityKind, usize> = Default::default();
    for entity in entities {
        let end = entity.offset + entity.length;
        let last = ends.entry(entity.kind.clone()).or_insert(0);
        if end <= *last {
            continue;
        }
        *last = end;
        kept.push(entity);
    }
    kept
}

/// The link as Telegram takes it, or `None` where it is none: http, https, tg, mailto and tel, or a
/// bare domain, which gets `http://`.
fn checked_url(url: &str) -> Option<String> {
    /// Longer links are refused by Telegram's own servers.
    const MAX_URL: usize = 2_048;
    let url = url.trim();
    if url.is_empty() || url.len() > MAX_URL || url.chars().any(char::is_control) {
        return None;
    }
    let encoded: String = url
        .chars()
        .map(|c| {
            if c.is_whitespace() {
                "%20".to_string()
            } else {
                c.to_string()
            }
        })
        .collect();
    let scheme = encoded
        .split_once(':')
        .map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest));
    match scheme {
        Some((scheme, rest)) if matches!(scheme.as_str(), "http" | "https" | "tg") => {
            let host = rest.strip_prefix("//")?;
            (!host.is_empty()).then_some(encoded)
        }
        Some((scheme, rest)) if matches!(scheme.as_str(), "mailto" | "tel") => {
            (!rest.is_empty()).then_some(encoded)
        }
        _ => {
            let host = encoded.split(['/', '?', '#']).next().unwrap_or("");
            let name = host.split(':').next().unwrap_or("");
            let port = host.split_once(':').map(|(_, port)| port);
            let domain = name.contains('.')
                && !name.starts_with('.')
                && !name.ends_with('.')
                && name
                    .chars()
                    .all(|c| c.is_alphanumeric() || matches!(c, '.' | '-'))
                && port.is_none_or(|port| port.chars().all(|c| c.is_ascii_digit()));
            domain.then(|| format!("http://{encoded}"))
        }
    }
}
