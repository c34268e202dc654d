//! YAML text → a tree of values that remembers where each of them stands.
//!
//! The parser's events are read by an own loader with a budget, so that no file, however hostile, costs more than a
//! moment and a few megabytes. Everything that a file says stays visible in the tree: the place of each value and of
//! its key, how it was quoted, and the digits of a number as they were written.

mod encoding;
mod inner;
mod loader;
mod messages;
mod scalar;
mod substitute;

use std::sync::Arc;

use super::diagnostic::{Findings, Places, Pointer, Position, Range};

pub use substitute::Env;

/// The largest spec or `tidings.yaml`, in bytes (the contract's 1 MiB).
pub const MAX_BYTES: u64 = 1024 * 1024;

/// The most values of one file, those that aliases repeat counted each time (the contract's 20,000).
pub const MAX_VALUES: usize = 20_000;

/// The deepest nesting. A spec needs 8 levels; the rest is air for what people put under `x-` keys.
pub const MAX_DEPTH: usize = 64;

/// The most text of one file after aliases are expanded, in bytes: eight times what a file can hold itself, so that
/// only a deliberate bomb meets it, and small enough to be copied a few times within 50 MB.
pub const MAX_EXPANDED_BYTES: usize = 8 * 1024 * 1024;

/// The longest single text, in bytes. The longest that a spec has a use for is an AI prompt of some 10,000 words.
pub const MAX_TEXT_BYTES: usize = 256 * 1024;

/// The codes of what is wrong with a file as YAML, with their meanings; `too-large` stands among those of the checks.
pub const CODES: &[(&str, &str)] = &[
    (
        "bad-key",
        "Something other than text stands where a key belongs.",
    ),
    ("bad-number", "A number that is not finite."),
    (
        "bad-substitution",
        "A `${NAME}` that is not written as one, or whose value is too long.",
    ),
    (
        "control-character",
        "A character that YAML text may not hold.",
    ),
    ("duplicate-key", "A key stands twice in one mapping."),
    ("empty-file", "A file without any value."),
    ("invalid-encoding", "A file that is not UTF-8."),
    (
        "leading-zero",
        "A number with a leading zero, which YAML 1.1 read as octal.",
    ),
    (
        "merge-key",
        "The merge key `<<`, which YAML 1.2 does not know.",
    ),
    ("multiple-documents", "A second document after `---`."),
    (
        "recursive-alias",
        "An alias inside the value that it names.",
    ),
    ("tab-indentation", "A tab where only spaces may stand."),
    ("too-deep", "Values nested too deeply."),
    ("too-long-text", "A single text that is too long."),
    (
        "too-many-values",
        "More values than a file may hold, aliases expanded.",
    ),
    (
        "unknown-anchor",
        "An alias of an anchor that is not defined above it.",
    ),
    ("unknown-tag", "A `!` tag."),
    ("yaml-syntax", "Text that is not YAML."),
];

/// How a value was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// `'…'`
    SingleQuoted,
    /// `"…"`
    DoubleQuoted,
    /// A `|` block.
    Literal,
    /// A `>` block.
    Folded,
    /// A list or mapping.
    Collection,
}

/// What a value is.
#[derive(Debug, Clone)]
pub enum Data {
    /// Nothing, `null` or `~`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number; [`Node::raw`] holds it as written.
    Number(serde_json::Number),
    /// Text.
    Text(Arc<str>),
    /// A list.
    List(Arc<[Node]>),
    /// A mapping, in the file's order; no key stands twice.
    Map(Arc<[Entry]>),
}

/// A value with its place.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it is.
    pub data: Data,
    /// How it was written.
    pub style: Style,
    /// Where it stands; for an alias, the alias.
    pub span: Range,
    /// The unquoted text of what YAML takes for something other than text (`+15550100`, `1e3`, `null`); for a value
    /// with a `${NAME}` the text before it was put in.
    pub raw: Option<Arc<str>>,
    /// Where its text stands; for an alias, the anchor's value.
    content: Range,
    /// How many values this is, itself included.
    size: usize,
    /// How much text this holds, in bytes.
    bytes: usize,
    /// How many levels this has below itself.
    height: usize,
    /// Whether a `${NAME}` was put in: the text is then not to be repeated in messages.
    substituted: bool,
}

/// A key and its value.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key.
    pub key: Arc<str>,
    /// Where the key stands.
    pub key_span: Range,
    /// Its value.
    pub value: Node,
}

impl Node {
    fn null_at(span: Range) -> Self {
        Self::new(Data::Null, Style::Plain, span)
    }

    fn new(data: Data, style: Style, span: Range) -> Self {
        let (size, bytes, height) = match &data {
            Data::Null | Data::Bool(_) | Data::Number(_) => (1, 8, 0),
            Data::Text(text) => (1, text.len(), 0),
            Data::List(items) => (
                1 + items.iter().map(|n| n.size).sum::<usize>(),
                items.iter().map(|n| n.bytes).sum(),
                1 + items.iter().map(|n| n.height).max().unwrap_or(0),
            ),
            Data::Map(entries) => (
                1 + entries.iter().map(|e| e.value.size).sum::<usize>(),
                entries.iter().map(|e| e.value.bytes + e.key.len()).sum(),
                1 + entries.iter().map(|e| e.value.height).max().unwrap_or(0),
            ),
        };
        Self {
            data,
            style,
            span,
            raw: None,
            content: span,
            size,
            bytes,
            height,
            substituted: false,
        }
    }

    /// The value of a key, where this is a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.data {
            Data::Map(entries) => entries.iter().find(|entry| &*entry.key == key),
            _ => None,
        }
    }

    /// The text, where this is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.data {
            Data::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether the environment has put something into this value; it may then be a secret.
    pub fn is_substituted(&self) -> bool {
        self.substituted
    }

    /// The value as JSON. A whole number beyond 64 bits becomes the nearest floating one.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.data {
            Data::Null => serde_json::Value::Null,
            Data::Bool(value) => serde_json::Value::Bool(*value),
            Data::Number(number) => serde_json::Value::Number(number.clone()),
            Data::Text(text) => serde_json::Value::String(text.to_string()),
            Data::List(items) => {
                serde_json::Value::Array(items.iter().map(Node::to_json).collect())
            }
            Data::Map(entries) => serde_json::Value::Object(
                entries
                    .iter()
                    .map(|entry| (entry.key.to_string(), entry.value.to_json()))
                    .collect(),
            ),
        }
    }
}

/// A file's values and its text.
#[derive(Debug, Clone)]
pub struct Tree {
    text: Arc<str>,
    root: Node,
    complete: bool,
}

impl Tree {
    /// The outermost value; `Null` where the file has none.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// Whether the whole file was read: no error of syntax, and no limit met.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The value at `at`.
    pub fn find(&self, at: &Pointer) -> Option<&Node> {
        at.tokens()
            .try_fold(&self.root, |node, token| child(node, &token))
    }

    /// The number of values, aliases expanded.
    pub fn size(&self) -> usize {
        self.root.size
    }

    /// The tree with `${NAME}` in text values replaced from the environment; a value that names something unset is
    /// left out, as if its key were absent. `$$` is a dollar sign.
    #[must_use]
    pub fn substitute(&self, env: &Env<'_>, findings: &mut Findings) -> Self {
        Self {
            text: Arc::clone(&self.text),
            root: substitute::substitute(&self.root, env, findings),
            complete: self.complete,
        }
    }
}

fn child<'a>(node: &'a Node, token: &str) -> Option<&'a Node> {
    match &node.data {
        Data::Map(_) => node.get(token),
        Data::List(items) => token
            .parse::<usize>()
            .ok()
            .and_then(|index| items.get(index)),
        _ => None,
    }
}

impl Places for Tree {
    fn text(&self) -> &str {
        &self.text
    }

    fn value(&self, at: &Pointer) -> Range {
        let mut node = &self.root;
        for token in at.tokens() {
            match child(node, &token) {
                Some(next) => node = next,
                None => {
                    return match &node.data {
                        Data::Map(entries) => {
                            entries.first().map_or(node.span, |first| first.key_span)
                        }
                        _ => node.span,
                    };
                }
            }
        }
        node.span
    }

    fn key(&self, at: &Pointer) -> Range {
        let entry = at
            .parent()
            .zip(at.last())
            .and_then(|(parent, last)| self.find(&parent).and_then(|node| node.entry(&last)));
        entry.map_or_else(|| self.value(at), |entry| entry.key_span)
    }

    fn inner(&self, at: &Pointer, line: usize, column: usize, len: usize) -> Range {
        match self.find(at) {
            Some(node) if !node.substituted => inner::place(&self.text, node, line, column, len),
            Some(node) => node.span,
            None => self.value(at),
        }
    }
}

/// Reads a file. What is wrong with it as YAML goes to `findings`; the tree holds what could be read all the same.
pub fn parse(bytes: &[u8], findings: &mut Findings) -> Tree {
    let empty = |text: Arc<str>| Tree {
        text,
        root: Node::null_at(Range::new(Position::START, Position::START)),
        complete: false,
    };
    if bytes.len() as u64 > MAX_BYTES {
        findings
            .error(&Pointer::root(), "too-large", format!("the file has {} bytes", bytes.len()))
            .detail(format!(
                "A file may hold at most {MAX_BYTES} bytes (1 MiB). Put long lists of people into a CSV file and name it as a source."
            ));
        return empty(Arc::from(""));
    }
    let text = match encoding::decode(bytes, findings) {
        Ok(text) => text,
        Err(text) => return empty(text),
    };
    let (root, complete) = loader::load(&text, findings);
    Tree {
        text,
        root,
        complete,
    }
}

#[cfg(test)]
mod tests;
