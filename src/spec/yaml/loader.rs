//! The parser's events → a tree, within a budget.

use std::cell::Cell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag};

use super::messages::translate;
use super::scalar::{Meaning, is_old_octal, resolve};
use super::{Data, Entry, MAX_DEPTH, MAX_EXPANDED_BYTES, MAX_TEXT_BYTES, MAX_VALUES, Node, Style};
use crate::spec::diagnostic::{Findings, Pointer, Position, Range, quote};

/// The text's root value, and whether all of it was read.
pub(super) fn load(text: &str, findings: &mut Findings) -> (Node, bool) {
    let start = Range::new(Position::START, Position::START);
    let mut loader = Loader {
        lines: Lines::new(text),
        findings,
        stack: Vec::new(),
        anchors: HashMap::new(),
        root: None,
        documents: 0,
        values: 0,
        bytes: 0,
        last_end: Position::START,
    };
    // The parser is a state machine with a few `unreachable!`s of its own. Nothing is known to reach them, and
    // nothing that a user saves may ever end the process.
    let ended = catch_unwind(AssertUnwindSafe(|| loader.run(Parser::new_from_str(text))));
    let complete = match ended {
        Ok(Ok(())) => true,
        Ok(Err(Stop)) => false,
        Err(_) => {
            loader
                .findings
                .error(
                    &Pointer::root(),
                    "yaml-syntax",
                    "this file cannot be read as YAML",
                )
                .detail("The YAML reader gave up on it. Simplify the file until it is read.")
                .at_range(start);
            false
        }
    };
    let root = loader.root.take();
    if complete && root.is_none() {
        loader
            .findings
            .error(&Pointer::root(), "empty-file", "the file is empty")
            .detail("It holds no value. Write `version: 1` and the keys that follow it, or remove the file.")
            .at_range(start);
        return (Node::null_at(start), false);
    }
    (root.unwrap_or_else(|| Node::null_at(start)), complete)
}

/// How many lines below its place a tab is looked for that the parser speaks of: comments and blank lines come between.
const TAB_SEARCH: usize = 8;

/// Reading cannot go on; the reason is among the findings.
struct Stop;

/// The text's lines, found in constant time.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
    /// The last position that was asked for and its byte: values come in order, so that the next one is near, even
    /// in a line of a megabyte.
    cursor: Cell<(Position, usize)>,
}

impl<'t> Lines<'t> {
    fn new(text: &'t str) -> Self {
        let breaks = text
            .bytes()
            .enumerate()
            .filter(|(_, b)| *b == b'\n')
            .map(|(i, _)| i + 1);
        Self {
            text,
            starts: std::iter::once(0).chain(breaks).collect(),
            cursor: Cell::new((Position::START, 0)),
        }
    }

    /// A line, from 1, without its break.
    fn get(&self, line: usize) -> Option<&'t str> {
        let start = *self.starts.get(line.checked_sub(1)?)?;
        let rest = &self.text[start..];
        let end = self
            .starts
            .get(line)
            .map_or(rest.len(), |next| next - 1 - start);
        rest.get(..end)
    }

    fn char_at(&self, position: Position) -> Option<char> {
        self.from(position)?.chars().next()
    }

    /// The rest of a line from a position on.
    fn from(&self, position: Position) -> Option<&'t str> {
        let line = self.get(position.line)?;
        let start = *self.starts.get(position.line - 1)?;
        let (known, byte) = self.cursor.get();
        let (column, byte) = if known.line == position.line {
            (known.column, byte)
        } else {
            (1, start)
        };
        let wanted = position.column.checked_sub(1)?;
        let at = if position.column >= column {
            let ahead = self.text.get(byte..start + line.len())?;
            ahead
                .char_indices()
                .nth(position.column - column)
                .map_or(start + line.len(), |(at, _)| byte + at)
        } else if column - position.column < wanted {
            let behind = self.text.get(start..byte)?;
            behind
                .char_indices()
                .rev()
                .nth(column - position.column - 1)
                .map_or(start, |(at, _)| start + at)
        } else {
            line.char_indices()
                .nth(wanted)
                .map_or(start + line.len(), |(at, _)| start + at)
        };
        if at < start + line.len() {
            self.cursor.set((position, at));
        }
        self.text.get(at..start + line.len())
    }

    /// The nearest position that exists: the parser names places after the end, too.
    fn clamp(&self, position: Position) -> Position {
        let last = self.starts.len();
        if position.line <= last {
            return position;
        }
        Position::new(last, self.get(last).map_or(0, |l| l.chars().count()) + 1)
    }
}

enum Frame {
    List {
        at: Open,
        items: Vec<Node>,
    },
    Map {
        at: Open,
        entries: Vec<Entry>,
        seen: HashMap<Arc<str>, Range>,
        pending: Option<Key>,
    },
}

/// Where a collection began.
struct Open {
    start: Position,
    anchor: usize,
    flow: bool,
    /// Whether an anchor or tag stands alone before it, on the line of its key.
    apart: bool,
}

/// A key that waits for its value.
struct Key {
    /// `None` where the pair is left out: an `x-` key, or a key that is an error.
    name: Option<Arc<str>>,
    span: Range,
}

struct Loader<'t, 'f> {
    lines: Lines<'t>,
    findings: &'f mut Findings,
    stack: Vec<Frame>,
    /// Finished values by the parser's number of their anchor.
    anchors: HashMap<usize, Node>,
    root: Option<Node>,
    documents: usize,
    values: usize,
    bytes: usize,
    last_end: Position,
}

fn position(marker: &Marker) -> Position {
    Position::new(marker.line().max(1), marker.col() + 1)
}

fn range(span: &Span) -> Range {
    Range::new(position(&span.start), position(&span.end))
}

impl Loader<'_, '_> {
    fn run<'i>(
        &mut self,
        parser: impl Iterator<Item = Result<(Event<'i>, Span), ScanError>>,
    ) -> Result<(), Stop> {
        for event in parser {
            let (event, span) = event.map_err(|error| self.syntax(&error))?;
            self.event(event, &span)?;
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Stop> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents == 1 {
                    return Ok(());
                }
                let at = self.lines.clamp(position(&span.start));
                Err(self.stop(
                    "multiple-documents",
                    "a second document begins here",
                    "A file holds one document. Put each campaign into its own file and remove the `---`.",
                    Range::on_line(at.line, at.column, 3),
                ))
            }
            Event::Alias(id) => self.alias(id, range(span)),
            Event::Scalar(text, style, anchor, tag) => {
                let span = range(span);
                let node = self.scalar(&text, style, tag.as_deref(), span)?;
                if anchor > 0 {
                    self.anchors.insert(anchor, node.clone());
                }
                self.add(node)
            }
            Event::SequenceStart(anchor, tag) => {
                let at = self.open(anchor, tag.as_deref(), "seq", span)?;
                self.stack.push(Frame::List {
                    at,
                    items: Vec::new(),
                });
                Ok(())
            }
            Event::MappingStart(anchor, tag) => {
                let at = self.open(anchor, tag.as_deref(), "map", span)?;
                self.stack.push(Frame::Map {
                    at,
                    entries: Vec::new(),
                    seen: HashMap::new(),
                    pending: None,
                });
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
        }
    }

    /// A collection begins: its tag and depth are checked, and it is counted.
    fn open(
        &mut self,
        anchor: usize,
        tag: Option<&Tag>,
        own: &str,
        span: &Span,
    ) -> Result<Open, Stop> {
        let at = range(span);
        if let Some(tag) = tag
            && !(tag.is_yaml_core_schema() && tag.suffix == own)
        {
            self.unknown_tag(tag, at);
        }
        if self.stack.len() >= MAX_DEPTH {
            return Err(self.too_deep(at));
        }
        self.count(1, 0, at)?;
        let start = self.past_properties(at).start;
        let first = self.lines.char_at(start);
        let flow = matches!(first, Some('{' | '['));
        Ok(Open {
            start,
            anchor,
            flow,
            apart: matches!(first, Some('&' | '!')),
        })
    }

    fn close(&mut self, span: &Span) -> Result<(), Stop> {
        let Some(frame) = self.stack.pop() else {
            return Ok(());
        };
        let (open, data) = match frame {
            Frame::List { at, items } => (at, Data::List(items.into())),
            Frame::Map {
                mut at,
                entries,
                seen,
                ..
            } => {
                // A block whose anchor stands on the line of its key begins with its first key.
                if at.apart
                    && let Some(first) = seen.values().map(|span| span.start).min()
                {
                    at.start = first;
                }
                (at, Data::Map(entries.into()))
            }
        };
        // The parser ends a block where the next thing begins; for people it ends with its last value.
        let end = if open.flow {
            position(&span.end)
        } else {
            self.last_end.max(open.start)
        };
        self.last_end = end;
        let node = Node::new(data, Style::Collection, Range::new(open.start, end));
        if open.anchor > 0 {
            self.anchors.insert(open.anchor, node.clone());
        }
        self.add(node)
    }

    fn alias(&mut self, id: usize, span: Range) -> Result<(), Stop> {
        let Some(node) = self.anchors.get(&id).cloned() else {
            return Err(self.stop(
                "recursive-alias",
                "this alias stands inside the very value that it names",
                "A value cannot hold itself. Write it out.",
                span,
            ));
        };
        if self.stack.len() + node.height > MAX_DEPTH {
            return Err(self.too_deep(span));
        }
        self.count(node.size, node.bytes, span)?;
        self.last_end = span.end;
        self.add(Node { span, ..node })
    }

    /// A finished value goes to the collection that is open, as a key where one is due.
    fn add(&mut self, node: Node) -> Result<(), Stop> {
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Frame::List { items, .. }) => items.push(node),
            Some(Frame::Map {
                pending: pending @ None,
                ..
            }) => {
                // Made whole by `key`; the slot is taken first so that a bad key still has its value skipped.
                *pending = Some(Key {
                    name: None,
                    span: node.span,
                });
                self.key(&node);
            }
            Some(Frame::Map {
                entries, pending, ..
            }) => {
                if let Some(Key {
                    name: Some(key),
                    span: key_span,
                }) = pending.take()
                {
                    let mut value = node;
                    if matches!(value.data, Data::Null) && value.raw.is_none() {
                        // An absent value has no place of its own: its key is what can be pointed at.
                        value.span = key_span;
                        value.content = key_span;
                    }
                    entries.push(Entry {
                        key,
                        key_span,
                        value,
                    });
                }
            }
        }
        Ok(())
    }

    fn key(&mut self, node: &Node) {
        let at = self.pointer();
        let span = node.span;
        let Data::Text(name) = &node.data else {
            let (found, quoted) = match (&node.data, &node.raw) {
                (Data::List(_), _) => ("a list".to_owned(), None),
                (Data::Map(_), _) => ("a mapping".to_owned(), None),
                (_, Some(raw)) => (format!("`{raw}`"), Some(format!("\"{raw}\""))),
                _ => ("nothing".to_owned(), None),
            };
            let finding = self.findings.error(
                &at,
                "bad-key",
                format!("{found} stands where a key belongs"),
            );
            finding.detail("A key is text: a word before `:`. Put a number, `true`, `false` or `null` into quotes to use it as one.");
            finding.at_range(span).aside();
            if let Some(quoted) = quoted {
                finding.suggestion(quoted);
            }
            return;
        };
        let name = Arc::clone(name);
        if &*name == "<<" && node.style == Style::Plain {
            self.findings
                .error(&at, "merge-key", "the merge key `<<` is not supported")
                .detail("YAML 1.2 has no merge keys. Repeat a whole value by an alias (`delays: *slow`), or write its keys out.")
                .at_range(span)
                .aside();
            return;
        }
        let Some(Frame::Map { seen, pending, .. }) = self.stack.last_mut() else {
            return;
        };
        if let Some(first) = seen.get(&name) {
            let first = *first;
            self.findings
                .error(
                    &at.key(&name),
                    "duplicate-key",
                    format!("the key {} stands twice in this mapping", quote(&name)),
                )
                .detail(format!(
                    "It stands first in line {}, column {}. Remove one of the two.",
                    first.start.line, first.start.column
                ))
                .at_range(span)
                .aside();
            return;
        }
        seen.insert(Arc::clone(&name), span);
        if !name.starts_with("x-") {
            *pending = Some(Key {
                name: Some(name),
                span,
            });
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: Range,
    ) -> Result<Node, Stop> {
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted => Style::SingleQuoted,
            ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
            ScalarStyle::Literal => Style::Literal,
            ScalarStyle::Folded => Style::Folded,
        };
        let span = self.own_span(text, style, span);
        let is_key = matches!(self.stack.last(), Some(Frame::Map { pending: None, .. }));
        self.count(usize::from(!is_key), text.len(), span)?;
        if text.len() > MAX_TEXT_BYTES {
            let at = self.pointer();
            self.findings
                .error(
                    &at,
                    "too-long-text",
                    format!("this text has {} bytes", text.len()),
                )
                .detail(format!(
                    "One text may have at most {MAX_TEXT_BYTES} bytes (256 KiB)."
                ))
                .at_range(span);
        }
        if !(style == Style::Plain && text.is_empty()) {
            self.last_end = span.end;
        }
        let kind = match tag {
            None if style == Style::Plain => None,
            None => Some("str"),
            Some(tag) if tag.handle.is_empty() && tag.suffix == "!" => Some("str"),
            Some(tag) if tag.is_yaml_core_schema() => match tag.suffix.as_str() {
                "str" => Some("str"),
                "int" | "float" | "bool" | "null" => None,
                _ => {
                    self.unknown_tag(tag, span);
                    None
                }
            },
            Some(tag) => {
                self.unknown_tag(tag, span);
                None
            }
        };
        let data = match if kind.is_some() {
            Meaning::Text
        } else {
            resolve(text)
        } {
            Meaning::Text => Data::Text(Arc::from(text)),
            Meaning::Null => Data::Null,
            Meaning::Bool(value) => Data::Bool(value),
            Meaning::Number(number) => {
                if !is_key && is_old_octal(text) {
                    self.old_octal(text, span);
                }
                Data::Number(number)
            }
            Meaning::NotFinite => {
                let at = self.pointer();
                self.findings
                    .error(
                        &at,
                        "bad-number",
                        format!("{} is not a number that can be used", quote(text)),
                    )
                    .detail("Write a finite number, or put it into quotes if it is text.")
                    .at_range(span);
                Data::Text(Arc::from(text))
            }
        };
        let is_text = matches!(data, Data::Text(_));
        let mut node = Node::new(data, style, span);
        if !is_text && !text.is_empty() {
            node.raw = Some(Arc::from(text));
        }
        Ok(node)
    }

    fn old_octal(&mut self, text: &str, span: Range) {
        let at = self.pointer();
        self.findings
            .warning(&at, "leading-zero", format!("`{text}` is read as a decimal number"))
            .detail("YAML 1.1 read a number with a leading zero as octal, YAML 1.2 reads it as decimal. Drop the zero, or put it into quotes if it is text.")
            .at_range(span);
    }

    /// The place of the value alone: a block from its indicator on, others without anchor and tag.
    fn own_span(&self, text: &str, style: Style, span: Range) -> Range {
        match style {
            Style::Literal | Style::Folded => self.block_span(span),
            Style::Plain if text.is_empty() => {
                // A list's empty item: its dash.
                let before =
                    Position::new(span.start.line, span.start.column.saturating_sub(1).max(1));
                if self.lines.char_at(before) == Some('-') {
                    Range::new(before, span.start)
                } else {
                    span
                }
            }
            _ => self.past_properties(span),
        }
    }

    /// The span without the anchor and tag before the value, as far as they stand on its line.
    fn past_properties(&self, span: Range) -> Range {
        let Some(rest) = self.lines.from(span.start) else {
            return span;
        };
        let mut rest = rest.chars().peekable();
        let mut column = span.start.column;
        while matches!(rest.peek(), Some('&' | '!')) {
            while rest.next_if(|c| *c != ' ').is_some() {
                column += 1;
            }
            while rest.next_if(|c| *c == ' ').is_some() {
                column += 1;
            }
        }
        if rest.peek().is_some_and(|c| *c != '#') {
            let start = Position::new(span.start.line, column);
            Range::new(start, span.end.max(start))
        } else {
            span
        }
    }

    /// From the `|` or `>` to the end of the last line. The parser starts a block at its first character.
    fn block_span(&self, span: Range) -> Range {
        let blank = |line: usize| self.lines.get(line).is_none_or(|l| l.trim().is_empty());
        let mut head = span.start.line.saturating_sub(1);
        while head > 1 && blank(head) {
            head -= 1;
        }
        let Some(line) = self.lines.get(head) else {
            return span;
        };
        let indicator = line.char_indices().enumerate().find(|(_, (at, c))| {
            matches!(c, '|' | '>') && {
                let rest = line[at + 1..]
                    .trim_start_matches(|c: char| c.is_ascii_digit() || c == '-' || c == '+');
                let bare = rest.trim_start();
                bare.is_empty() || (rest.len() > bare.len() && bare.starts_with('#'))
            }
        });
        let Some((column, _)) = indicator else {
            return span;
        };
        let start = Position::new(head, column + 1);
        let mut last = if span.end.column > 1 && !self.before_is_blank(span.end) {
            span.end.line
        } else {
            span.end.line.saturating_sub(1)
        };
        while last > head && blank(last) {
            last -= 1;
        }
        let end = Position::new(
            last,
            self.lines.get(last).map_or(0, |l| l.chars().count()) + 1,
        );
        Range::new(start, end.max(start))
    }

    fn before_is_blank(&self, at: Position) -> bool {
        self.lines
            .get(at.line)
            .is_none_or(|l| l.chars().take(at.column - 1).all(char::is_whitespace))
    }

    /// The address of the value that comes next.
    fn pointer(&self) -> Pointer {
        self.stack
            .iter()
            .fold(Pointer::root(), |at, frame| match frame {
                Frame::List { items, .. } => at.index(items.len()),
                Frame::Map { pending, .. } => match pending {
                    Some(Key {
                        name: Some(name), ..
                    }) => at.key(name),
                    _ => at,
                },
            })
    }

    fn count(&mut self, values: usize, bytes: usize, span: Range) -> Result<(), Stop> {
        self.values = self.values.saturating_add(values);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.values > MAX_VALUES {
            return Err(self.stop(
                "too-many-values",
                &format!("the file has more than {MAX_VALUES} values"),
                "Values that aliases repeat count each time. Put long lists of people into a CSV file and name it as a source.",
                span,
            ));
        }
        if self.bytes > MAX_EXPANDED_BYTES {
            return Err(self.stop(
                "too-many-values",
                &format!("the file has more than {MAX_EXPANDED_BYTES} bytes of text once its aliases are expanded"),
                "Texts that aliases repeat count each time. Repeat less.",
                span,
            ));
        }
        Ok(())
    }

    fn too_deep(&mut self, span: Range) -> Stop {
        self.stop(
            "too-deep",
            &format!("values are nested more than {MAX_DEPTH} levels deep"),
            "No key of a spec needs this. Check the brackets and the indentation.",
            span,
        )
    }

    fn unknown_tag(&mut self, tag: &Tag, span: Range) {
        let at = self.pointer();
        self.findings
            .error(
                &at,
                "unknown-tag",
                format!("the tag {} is not supported", quote(&tag.to_string())),
            )
            .detail(
                "Values need no tags here. Remove it; a text that begins with `!` needs quotes.",
            )
            .at_range(span);
    }

    fn stop(&mut self, code: &'static str, summary: &str, detail: &str, span: Range) -> Stop {
        let start = self.lines.clamp(span.start);
        let span = if start == span.start {
            span
        } else {
            Range::on_line(start.line, start.column, 1)
        };
        let at = self.pointer();
        self.findings
            .error(&at, code, summary)
            .detail(detail)
            .at_range(span);
        Stop
    }

    fn syntax(&mut self, error: &ScanError) -> Stop {
        let mut at = self.lines.clamp(position(error.marker()));
        if error.info().contains("tab") && self.lines.char_at(at) != Some('\t') {
            // The parser may still be at the end of the value above.
            let below = (at.line..at.line + TAB_SEARCH)
                .find(|line| self.tab_in_indentation(*line).is_some());
            at.line = below.unwrap_or(at.line);
        }
        if error.info().starts_with("simple key expect") {
            // The parser stands at what follows the line that lacks its colon.
            let lines = (1..at.line)
                .rev()
                .filter_map(|line| Some((line, self.lines.get(line)?)));
            let mut written =
                lines.filter(|(_, l)| !l.trim().is_empty() && !l.trim_start().starts_with('#'));
            if self.before_is_blank(at)
                && let Some((line, text)) = written.next()
            {
                at = Position::new(
                    line,
                    text.chars().take_while(|c| c.is_whitespace()).count() + 1,
                );
            }
        }
        let said = match self.tab_in_indentation(at.line) {
            // The parser stumbles over what follows the tab; the tab is what has to go.
            Some(column)
                if error.info().contains("tab")
                    || error.info().contains("indent")
                    || column < at.column =>
            {
                at.column = column;
                translate("tabs disallowed", None)
            }
            _ => translate(error.info(), self.lines.char_at(at)),
        };
        self.stop(
            said.code,
            &said.summary,
            said.detail,
            Range::on_line(at.line, at.column, 1),
        )
    }

    fn tab_in_indentation(&self, line: usize) -> Option<usize> {
        let line = self.lines.get(line)?;
        line.chars()
            .take_while(|c| c.is_whitespace())
            .position(|c| c == '\t')
            .map(|index| index + 1)
    }
}
