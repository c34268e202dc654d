//! Markdown as people write it in messages: `**bold**`, `*italic*`, `_italic_`, `~~strike~~`,
//! `` `code` ``, fenced code and `[links](https://…)`, by CommonMark's rules for what opens and closes
//! (0.31, section 6.2), so that `2 * 3 * 4` and `snake_case` stay as they are. Lists, headings and
//! quotes are no markup here, line breaks are line breaks, and what matches nothing is itself.

use super::{ESCAPE, Entity, EntityKind, Formatted, checked_url};

/// How far back an opener is looked for: bounds the work on a text full of markers.
const MAX_OPENERS: usize = 500;
/// Link targets of one text that may turn out to be none, for the same reason.
const MAX_FAILED_TARGETS: usize = 100;
/// A link's target in characters; [`checked_url`] takes no longer one.
const MAX_TARGET: usize = 2_048;

/// A piece of the text, or a run of markers of which some may turn out to be text.
enum Node {
    Text(String),
    Run(Run),
    /// `[`, text unless it has become a link's beginning.
    Bracket {
        used: bool,
    },
}

struct Run {
    marker: char,
    /// Markers that are not used yet: they are text in the end.
    left: usize,
    /// How many there were: CommonMark's rule of three needs it.
    length: usize,
    opens: bool,
    closes: bool,
}

/// A look over the nodes between two places.
struct Look {
    kind: EntityKind,
    /// After this node.
    from: usize,
    /// Before this node.
    to: usize,
}

pub(super) fn format(markup: &str) -> Formatted {
    let mut parser = Parser {
        chars: markup.chars().collect(),
        at: 0,
        nodes: Vec::new(),
        looks: Vec::new(),
        paragraph: 0,
        brackets: Vec::new(),
        linked: 0,
        failed_targets: 0,
    };
    parser.run();
    parser.finish()
}

struct Parser {
    chars: Vec<char>,
    at: usize,
    nodes: Vec<Node>,
    looks: Vec<Look>,
    /// The first node of this paragraph: emphasis does not reach over a blank line.
    paragraph: usize,
    /// The nodes of this paragraph's open brackets.
    brackets: Vec<usize>,
    /// So many of them, the outer ones, hold a link already: links do not nest.
    linked: usize,
    failed_targets: usize,
}

impl Parser {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn text(&mut self, c: char) {
        match self.nodes.last_mut() {
            Some(Node::Text(text)) => text.push(c),
            _ => self.nodes.push(Node::Text(c.to_string())),
        }
    }

    fn texts(&mut self, text: &str) {
        for c in text.chars() {
            self.text(c);
        }
    }

    fn run(&mut self) {
        while let Some(c) = self.peek(0) {
            match c {
                ESCAPE => {
                    self.at += 1;
                    if let Some(next) = self.peek(0) {
                        self.text(next);
                        self.at += 1;
                    }
                }
                '\\' => {
                    self.at += 1;
                    match self.peek(0) {
                        Some(next) if next.is_ascii_punctuation() => {
                            self.text(next);
                            self.at += 1;
                        }
                        _ => self.text('\\'),
                    }
                }
                '`' => self.code(),
                '*' | '_' | '~' => self.markers(c),
                '[' => {
                    self.at += 1;
                    self.brackets.push(self.nodes.len());
                    self.nodes.push(Node::Bracket { used: false });
                }
                ']' => self.bracket_end(),
                '\n' => {
                    self.text('\n');
                    self.at += 1;
                    let blank = self.chars[self.at..]
                        .iter()
                        .take_while(|c| c.is_whitespace())
                        .any(|c| *c == '\n');
                    if blank {
                        self.end_paragraph();
                    }
                }
                _ => {
                    self.text(c);
                    self.at += 1;
                }
            }
        }
        self.end_paragraph();
    }

    fn end_paragraph(&mut self) {
        self.emphasis(self.paragraph);
        self.brackets.clear();
        self.linked = 0;
        self.paragraph = self.nodes.len();
        // The next paragraph begins a node of its own.
        self.nodes.push(Node::Text(String::new()));
    }

    fn run_length(&self, from: usize, marker: char) -> usize {
        self.chars[from..]
            .iter()
            .take_while(|c| **c == marker)
            .count()
    }

    /// A code span or, with three marks or more, a block, up to as many marks again.
    fn code(&mut self) {
        let length = self.run_length(self.at, '`');
        let start = self.at + length;
        let mut at = start;
        let end = loop {
            match self.chars.get(at) {
                None => break None,
                // A value's own backtick closes nothing.
                Some(&ESCAPE) => at += 2,
                Some('`') => {
                    let found = self.run_length(at, '`');
                    if found == length {
                        break Some(at);
                    }
                    at += found;
                }
                Some(_) => at += 1,
            }
        };
        let Some(end) = end.filter(|end| *end > start) else {
            let marks = "`".repeat(length);
            self.texts(&marks);
            self.at = start;
            return;
        };
        let mut content = &self.chars[start..end];
        let kind = if length >= 3 {
            let line = content.iter().position(|c| *c == '\n');
            let is_name =
                |c: &char| c.is_ascii_alphanumeric() || matches!(c, '+' | '#' | '-' | '.' | '_');
            let mut language = String::new();
            if let Some(line) = line
                && content[..line].iter().all(|c| is_name(c) || *c == ' ')
            {
                language = content[..line]
                    .iter()
                    .collect::<String>()
                    .trim()
                    .to_string();
                content = &content[line + 1..];
            }
            if let [inner @ .., '\n'] = content {
                content = inner;
            }
            EntityKind::Pre { language }
        } else {
            // `` ` `` : one space on each side keeps backticks apart (CommonMark 6.1).
            if let [' ', inner @ .., ' '] = content
                && inner.iter().any(|c| *c != ' ')
            {
                content = inner;
            }
            EntityKind::Code
        };
        let mut text = String::new();
        let mut chars = content.iter();
        while let Some(c) = chars.next() {
            match c {
                &ESCAPE => text.extend(chars.next()),
                c => text.push(*c),
            }
        }
        self.at = end + length;
        let from = self.nodes.len();
        // A node of its own on each side, so that the look has its borders.
        self.nodes.push(Node::Text(String::new()));
        self.nodes.push(Node::Text(text));
        self.nodes.push(Node::Text(String::new()));
        self.looks.push(Look {
            kind,
            from,
            to: from + 2,
        });
    }

    /// A run of `*`, `_` or `~`: what it may do follows from what stands beside it.
    fn markers(&mut self, marker: char) {
        #[derive(PartialEq)]
        enum Side {
            Space,
            Punctuation,
            Other,
        }
        let side = |c: Option<char>| match c {
            None => Side::Space,
            Some(c) if c.is_whitespace() => Side::Space,
            // What belongs to a value counts as a letter, whatever it is.
            Some(ESCAPE) => Side::Other,
            Some(c) if is_punctuation(c) => Side::Punctuation,
            Some(_) => Side::Other,
        };
        let length = self.run_length(self.at, marker);
        let escaped_before = self.at >= 2 && self.chars[self.at - 2] == ESCAPE;
        let before = match self.at.checked_sub(1) {
            Some(_) if escaped_before => Side::Other,
            Some(index) => side(self.chars.get(index).copied()),
            None => Side::Space,
        };
        let after = side(self.chars.get(self.at + length).copied());
        self.at += length;
        let left = after != Side::Space && (after != Side::Punctuation || before != Side::Other);
        let right = before != Side::Space && (before != Side::Punctuation || after != Side::Other);
        let (opens, closes) = match marker {
            '_' => (
                left && (!right || before == Side::Punctuation),
                right && (!left || after == Side::Punctuation),
            ),
            // One tilde, or three, strike nothing.
            '~' => (left && length == 2, right && length == 2),
            _ => (left, right),
        };
        self.nodes.push(Node::Run(Run {
            marker,
            left: length,
            length,
            opens,
            closes,
        }));
    }

    /// `]`: with `(url)` behind it and a `[` before it, a link.
    fn bracket_end(&mut self) {
        self.at += 1;
        let Some(opener) = self.brackets.pop() else {
            self.text(']');
            return;
        };
        let outer = self.brackets.len();
        let target = (outer >= self.linked).then(|| self.target()).flatten();
        self.linked = self.linked.min(outer);
        let Some((url, end)) = target else {
            self.text(']');
            return;
        };
        self.emphasis(opener + 1);
        self.nodes[opener] = Node::Bracket { used: true };
        self.linked = outer;
        let to = self.nodes.len();
        self.nodes.push(Node::Text(String::new()));
        self.looks.push(Look {
            kind: EntityKind::TextUrl { url },
            from: opener,
            to,
        });
        self.at = end;
    }

    /// `(url)` at this place, with where it ends.
    fn target(&mut self) -> Option<(String, usize)> {
        if self.peek(0) != Some('(') || self.failed_targets > MAX_FAILED_TARGETS {
            return None;
        }
        let found = self.read_target();
        self.failed_targets += usize::from(found.is_none());
        found
    }

    fn read_target(&self) -> Option<(String, usize)> {
        let mut url = String::new();
        let mut depth = 0;
        let mut at = self.at + 1;
        loop {
            if at - self.at > MAX_TARGET {
                return None;
            }
            match *self.chars.get(at)? {
                ESCAPE => {
                    at += 1;
                    url.push(*self.chars.get(at)?);
                }
                '\\' if self
                    .chars
                    .get(at + 1)
                    .is_some_and(char::is_ascii_punctuation) =>
                {
                    at += 1;
                    url.push(self.chars[at]);
                }
                ')' if depth == 0 => break,
                c if c.is_whitespace() => return None,
                c => {
                    depth += i32::from(c == '(') - i32::from(c == ')');
                    url.push(c);
                }
            }
            at += 1;
        }
        checked_url(&url).map(|url| (url, at + 1))
    }

    /// CommonMark's 'process emphasis' over the nodes from `bottom` on.
    fn emphasis(&mut self, bottom: usize) {
        let mut openers: Vec<usize> = Vec::new();
        for index in bottom..self.nodes.len() {
            while let Node::Run(closer) = &self.nodes[index] {
                if closer.left == 0 || !closer.closes {
                    break;
                }
                let found = openers.iter().rev().take(MAX_OPENERS).position(|opener| {
                    let Node::Run(opener) = &self.nodes[*opener] else {
                        return false;
                    };
                    opener.left > 0 && opener.marker == closer.marker && matches(opener, closer)
                });
                let Some(back) = found else { break };
                let position = openers.len() - 1 - back;
                let opener = openers[position];
                // What was open in between closes nowhere: it is text.
                openers.truncate(position + 1);
                let (Node::Run(first), Node::Run(last)) = (&self.nodes[opener], &self.nodes[index])
                else {
                    break;
                };
                let used = match first.marker {
                    '~' => 2,
                    _ if first.left >= 2 && last.left >= 2 => 2,
                    _ => 1,
                };
                let kind = match (first.marker, used) {
                    ('~', _) => EntityKind::Strike,
                    (_, 2) => EntityKind::Bold,
                    _ => EntityKind::Italic,
                };
                self.looks.push(Look {
                    kind,
                    from: opener,
                    to: index,
                });
                for end in [opener, index] {
                    if let Node::Run(run) = &mut self.nodes[end] {
                        run.left -= used;
                    }
                }
                if let Node::Run(run) = &self.nodes[opener]
                    && run.left == 0
                {
                    openers.pop();
                }
            }
            if let Node::Run(run) = &self.nodes[index]
                && run.opens
                && run.left > 0
            {
                openers.push(index);
            }
        }
        // What lies in a link, or before a blank line, is settled.
        for node in &mut self.nodes[bottom..] {
            if let Node::Run(run) = node {
                run.opens = false;
                run.closes = false;
            }
        }
    }

    fn finish(self) -> Formatted {
        let mut text = String::new();
        let mut units = 0;
        let mut starts = Vec::with_capacity(self.nodes.len());
        let mut ends = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            starts.push(units);
            let piece = match node {
                Node::Text(text) => text.clone(),
                Node::Run(run) => run.marker.to_string().repeat(run.left),
                Node::Bracket { used: false } => "[".to_string(),
                Node::Bracket { used: true } => String::new(),
            };
            units += super::utf16_len(&piece);
            text.push_str(&piece);
            ends.push(units);
        }
        let entities = self
            .looks
            .into_iter()
            .filter_map(|look| {
                let offset = ends[look.from];
                let length = starts[look.to].checked_sub(offset)?;
                Some(Entity {
                    kind: look.kind,
                    offset,
                    length,
                })
            })
            .collect();
        Formatted { text, entities }
    }
}

/// CommonMark's rule of three: where one of both could do either, lengths that sum to a multiple of
/// three do not match unless both are such.
fn matches(opener: &Run, closer: &Run) -> bool {
    if opener.marker == '~' {
        return true;
    }
    let either = (opener.opens && opener.closes) || (closer.opens && closer.closes);
    !either
        || !(opener.length + closer.length).is_multiple_of(3)
        || (opener.length.is_multiple_of(3) && closer.length.is_multiple_of(3))
}

/// Punctuation and symbols of any script, as CommonMark means them, but not what a word begins with
/// in a message: `@name`, `#tag`, an emoji.
fn is_punctuation(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_punctuation() && !matches!(c, '@' | '#');
    }
    matches!(
        c,
        '«' | '»'
            | '„'
            | '“'
            | '”'
            | '‘'
            | '’'
            | '‚'
            | '‹'
            | '›'
            | '—'
            | '–'
            | '…'
            | '¿'
            | '¡'
            | '、'
            | '。'
            | '「'
            | '」'
            | '（'
            | '）'
            | '，'
            | '！'
            | '？'
            | '：'
            | '；'
            | '№'
            | '•'
    )
}
