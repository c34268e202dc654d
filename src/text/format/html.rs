//! Telegram's HTML (core.telegram.org/bots/api#html-style): its tags, its character references, and
//! nothing else. Line breaks are line breaks.

use super::{Entity, EntityKind, FormatProblem, Formatted, checked_url};
use crate::text::problem::nearest;

/// Stands for a value while a template without a person is checked.
pub(in crate::text) const PLACEHOLDER: char = '\u{fffc}';

/// Tags open at a time; nobody nests deeper on purpose.
const MAX_DEPTH: usize = 64;
/// Entities of one text: Telegram takes about a hundred, and drops more.
const MAX_ENTITIES: usize = 1_000;

const TAGS: [&str; 16] = [
    "b",
    "strong",
    "i",
    "em",
    "u",
    "ins",
    "s",
    "strike",
    "del",
    "code",
    "pre",
    "a",
    "blockquote",
    "span",
    "tg-spoiler",
    "tg-emoji",
];

struct Open {
    name: String,
    kind: Option<EntityKind>,
    /// In UTF-16 units of the text.
    at: usize,
    /// Of the tag, in bytes of the markup.
    place: (usize, usize),
    /// Where its characters begin in the text, in bytes.
    text_at: usize,
    attribute_ok: bool,
}

/// Formats HTML, or says what the first mistake is.
pub(super) fn format(markup: &str) -> Result<Formatted, FormatProblem> {
    let mut parser = Parser::new(markup, true);
    parser.run();
    match parser.problems.into_iter().next() {
        Some(problem) => Err(problem),
        None => Ok(Formatted {
            text: parser.text,
            entities: parser.entities,
        }),
    }
}

/// All mistakes of a template's markup; with `whole` also tags that are not closed or not opened.
pub(in crate::text) fn problems(markup: &str, whole: bool) -> Vec<FormatProblem> {
    let mut parser = Parser::new(markup, whole);
    parser.placeholders = true;
    parser.run();
    parser.problems
}

struct Parser<'m> {
    markup: &'m str,
    /// Whether tags must match.
    whole: bool,
    /// Whether placeholders stand for values that are not known yet.
    placeholders: bool,
    text: String,
    units: usize,
    open: Vec<Open>,
    entities: Vec<Entity>,
    problems: Vec<FormatProblem>,
}

impl<'m> Parser<'m> {
    fn new(markup: &'m str, whole: bool) -> Parser<'m> {
        Parser {
            markup,
            whole,
            placeholders: false,
            text: String::with_capacity(markup.len()),
            units: 0,
            open: Vec::new(),
            entities: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Whether a value makes part of this, so that nothing is known of it yet.
    fn is_open(&self, text: &str) -> bool {
        self.placeholders && text.contains(PLACEHOLDER)
    }

    fn push(&mut self, c: char) {
        self.text.push(c);
        self.units += c.len_utf16();
    }

    fn problem(
        &mut self,
        place: (usize, usize),
        summary: String,
        detail: &str,
        suggestion: Option<String>,
    ) {
        /// One text says enough with so many.
        const MAX_PROBLEMS: usize = 20;
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(FormatProblem {
                offset: place.0,
                len: place.1.saturating_sub(place.0).max(1),
                summary,
                detail: detail.to_string(),
                suggestion,
            });
        }
    }

    fn run(&mut self) {
        let mut at = 0;
        while let Some(c) = self.markup[at..].chars().next() {
            match c {
                '<' => at = self.tag(at),
                '&' => at = self.reference(at),
                '\r' => {
                    at += 1;
                    if !self.markup[at..].starts_with('\n') {
                        self.push('\n');
                    }
                }
                _ => {
                    self.push(c);
                    at += c.len_utf8();
                }
            }
        }
        if self.whole {
            for open in std::mem::take(&mut self.open) {
                let summary = format!("the tag <{}> is not closed", open.name);
                let detail = format!("close it with </{}>", open.name);
                self.problem(open.place, summary, &detail, None);
            }
        }
    }

    /// A character reference: the four that Telegram names and all by number; another `&` is itself.
    fn reference(&mut self, at: usize) -> usize {
        let rest = &self.markup[at + 1..];
        // The longest is `&#x10ffff;`.
        if let Some(end) = rest.bytes().take(10).position(|b| b == b';') {
            let name = &rest[..end];
            let found = match name {
                "lt" => Some('<'),
                "gt" => Some('>'),
                "amp" => Some('&'),
                "quot" => Some('"'),
                "apos" => Some('\''),
                "nbsp" => Some('\u{a0}'),
                _ => name
                    .strip_prefix("#x")
                    .or_else(|| name.strip_prefix("#X"))
                    .map(|hex| u32::from_str_radix(hex, 16).ok())
                    .or_else(|| name.strip_prefix('#').map(|number| number.parse().ok()))
                    .flatten()
                    .filter(|code| *code >= 32 || *code == 10)
                    .and_then(char::from_u32),
            };
            if let Some(c) = found {
                self.push(c);
                return at + 1 + end + 1;
            }
        }
        self.push('&');
        at + 1
    }

    /// Reads the tag that begins at `at`; returns where to go on.
    fn tag(&mut self, at: usize) -> usize {
        let rest = &self.markup[at + 1..];
        let closing = rest.starts_with('/');
        let name_at = at + 1 + usize::from(closing);
        let name: String = self.markup[name_at..]
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '-')
            .collect();
        if name.is_empty() {
            let shown = self.markup[at..].chars().take(2).collect::<String>();
            self.problem(
                (at, at + 1),
                format!("'{}' begins no tag", shown.trim_end()),
                "write &lt; for the sign itself",
                Some("&lt;".into()),
            );
            self.push('<');
            return at + 1;
        }
        let lower = name.to_ascii_lowercase();
        let (attributes, end) = match self.attributes(name_at + name.len()) {
            Ok(found) => found,
            Err(end) => {
                self.problem(
                    (at, end.min(at + 1 + name.len())),
                    format!("the tag <{name} is not finished"),
                    "close it with '>', or write &lt; for the sign itself",
                    None,
                );
                return end;
            }
        };
        let place = (at, end);
        if !TAGS.contains(&lower.as_str()) {
            let (detail, suggestion) = match lower.as_str() {
                "br" | "p" | "div" => (
                    "Telegram has no such tag: a line break in the text is a line break"
                        .to_string(),
                    None,
                ),
                _ => (
                    format!("Telegram takes {}", TAGS.join(", ")),
                    nearest(&lower, TAGS.iter().filter(|tag| tag.len() > 1).copied()),
                ),
            };
            let slash = if closing { "/" } else { "" };
            let name_place = (at, name_at + name.len());
            self.problem(
                name_place,
                format!("unknown tag <{slash}{name}>"),
                &detail,
                suggestion,
            );
            return end;
        }
        if closing {
            self.close(&lower, place);
        } else {
            self.open(lower, attributes, place);
        }
        end
    }

    /// Attributes up to the tag's end: (name, value) pairs and where the markup goes on.
    fn attributes(&self, from: usize) -> Result<(Vec<(String, String)>, usize), usize> {
        let bytes = self.markup.as_bytes();
        let mut found = Vec::new();
        let mut at = from;
        loop {
            while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
                at += 1;
            }
            match bytes.get(at) {
                None | Some(b'<') => return Err(at),
                Some(b'>') => return Ok((found, at + 1)),
                Some(b'/') => {
                    at += 1;
                    continue;
                }
                Some(_) => {}
            }
            let stop = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'=' | b'>' | b'<' | b'/');
            let start = at;
            while bytes.get(at).is_some_and(|b| !stop(b)) {
                at += 1;
            }
            let name = self.markup[start..at].to_ascii_lowercase();
            let mut value = String::new();
            if bytes.get(at) == Some(&b'=') {
                at += 1;
                let quote = bytes.get(at).copied().filter(|b| matches!(b, b'"' | b'\''));
                let start = at + usize::from(quote.is_some());
                let length = self.markup[start..].bytes().position(|b| match quote {
                    Some(quote) => b == quote,
                    None => b.is_ascii_whitespace() || b == b'>',
                });
                let Some(length) = length else {
                    return Err(self.markup.len());
                };
                let mut decoder = Parser::new(&self.markup[start..start + length], false);
                decoder.decode();
                value = decoder.text;
                at = start + length + usize::from(quote.is_some());
            } else if at == start {
                // A stray sign: step over it.
                at += 1;
            }
            found.push((name, value));
        }
    }

    /// Resolves character references only.
    fn decode(&mut self) {
        let mut at = 0;
        while let Some(c) = self.markup[at..].chars().next() {
            if c == '&' {
                at = self.reference(at);
            } else {
                self.push(c);
                at += c.len_utf8();
            }
        }
    }

    fn open(&mut self, name: String, attributes: Vec<(String, String)>, place: (usize, usize)) {
        if self.open.len() >= MAX_DEPTH {
            self.problem(
                place,
                format!("tags are nested deeper than {MAX_DEPTH}"),
                "close some of them",
                None,
            );
            return;
        }
        let value = |wanted: &str| {
            attributes
                .iter()
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value.as_str())
        };
        let mut attribute_ok = true;
        let kind = match name.as_str() {
            "b" | "strong" => Some(EntityKind::Bold),
            "i" | "em" => Some(EntityKind::Italic),
            "u" | "ins" => Some(EntityKind::Underline),
            "s" | "strike" | "del" => Some(EntityKind::Strike),
            "tg-spoiler" => Some(EntityKind::Spoiler),
            "span" => {
                if value("class") != Some("tg-spoiler") {
                    self.problem(
                        place,
                        "a <span> that is no spoiler".into(),
                        "Telegram takes <span class=\"tg-spoiler\"> only",
                        None,
                    );
                }
                Some(EntityKind::Spoiler)
            }
            "blockquote" => Some(EntityKind::Blockquote {
                collapsed: value("expandable").is_some(),
            }),
            "pre" => Some(EntityKind::Pre {
                language: String::new(),
            }),
            "code" => {
                let language = value("class").and_then(|class| class.strip_prefix("language-"));
                // <pre><code class="language-x"> is one block in that language.
                match (self.open.last_mut(), language) {
                    (
                        Some(Open {
                            kind: Some(EntityKind::Pre { language: of_pre }),
                            at,
                            ..
                        }),
                        Some(language),
                    ) if *at == self.units => {
                        *of_pre = language.to_string();
                        None
                    }
                    _ => Some(EntityKind::Code),
                }
            }
            "tg-emoji" => {
                let id = value("emoji-id").unwrap_or("");
                match id.parse::<i64>() {
                    Ok(document_id) => Some(EntityKind::CustomEmoji { document_id }),
                    Err(_) if self.is_open(id) => None,
                    Err(_) => {
                        self.problem(
                            place,
                            "a <tg-emoji> without its number".into(),
                            "expected <tg-emoji emoji-id=\"5368324170671202286\">👍</tg-emoji>",
                            None,
                        );
                        None
                    }
                }
            }
            // The link is checked where it closes: without href its text is the link.
            _ => {
                attribute_ok = value("href").is_some();
                Some(EntityKind::TextUrl {
                    url: value("href").unwrap_or("").to_string(),
                })
            }
        };
        self.open.push(Open {
            name,
            kind,
            at: self.units,
            place,
            text_at: self.text.len(),
            attribute_ok,
        });
    }

    fn close(&mut self, name: &str, place: (usize, usize)) {
        match self.open.last() {
            Some(last) if last.name == name => {}
            _ if !self.whole => {
                // Tags in branches need not match here; what is open of that name is closed.
                match self.open.iter().rposition(|open| open.name == name) {
                    Some(index) => self.open.truncate(index + 1),
                    None => return,
                }
            }
            Some(last) if self.open.iter().any(|open| open.name == name) => {
                let summary = format!("</{name}> stands where <{}> is open", last.name);
                let detail = format!("close <{}> first", last.name);
                self.problem(place, summary, &detail, Some(format!("</{}>", last.name)));
                if let Some(index) = self.open.iter().rposition(|open| open.name == name) {
                    self.open.truncate(index);
                }
                return;
            }
            _ => {
                self.problem(
                    place,
                    format!("</{name}> closes nothing"),
                    "open the tag before, or leave this one out",
                    None,
                );
                return;
            }
        }
        let Some(open) = self.open.pop() else { return };
        let Some(mut kind) = open.kind else { return };
        let inside = self.text[open.text_at..].to_string();
        if let EntityKind::TextUrl { url } = &mut kind {
            let target = if open.attribute_ok {
                url.as_str()
            } else {
                inside.as_str()
            };
            if !self.is_open(target) {
                match checked_url(target) {
                    Some(checked) => *url = checked,
                    None => {
                        self.problem(
                            open.place,
                            format!("'{target}' is not a link"),
                            "expected <a href=\"https://…\">, http, tg, mailto or tel",
                            None,
                        );
                        return;
                    }
                }
            }
        }
        let length = self.units - open.at;
        if length > 0 && self.entities.len() < MAX_ENTITIES {
            self.entities.push(Entity {
                kind,
                offset: open.at,
                length,
            });
        }
    }
}
