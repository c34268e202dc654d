//! Templates and expressions: compiled once with every name checked, rendered per person.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, OnceLock};

use minijinja::machinery::{Token, parse, parse_expr, tokenize};
use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind};

use super::check::{Findings, check_expression, check_template};
use super::conditions::Lenient;
use super::context::Context;
use super::filters::{Now, environment};
use super::literal::{self, Literal};
use super::problem::{TemplateProblem, nearest};
use super::straight::{Condition, Straight};
use super::{ComposeError, Format, format_text, limit_units, utf16_len};

/// A template's source; a message of 4,096 units with much markup and logic fits many times.
const MAX_SOURCE: usize = 64 * 1024;
/// Tokens between one pair of braces: chains of operators nest the syntax tree that deep.
const MAX_TAG_TOKENS: usize = 400;
/// Tags in a template.
const MAX_TAGS: usize = 4_000;
/// `elif` nests one level deeper each.
const MAX_ELIFS: usize = 100;
/// What a rendering may grow to, in bytes of markup, before it is given up as too long.
const MAX_OUTPUT: usize = 64 * 1024;
/// The name of the only template of an engine.
const NAME: &str = "template";

/// What is known about the data when a template is checked. `None`: any name is accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// The columns that may stand after `contact.fields.`.
    pub columns: Option<BTreeSet<String>>,
    /// The labels that may stand after `campaign.labels.`.
    pub labels: Option<BTreeSet<String>>,
}

/// A checked template. Cheap to clone.
///
/// # Guarantees
/// Every name in it is known; rendering is a pure function of the context, bounded in steps, depth
/// and size; it never panics.
#[derive(Clone)]
pub struct Template {
    inner: Arc<Inner>,
}

struct Inner {
    source: String,
    format: Format,
    /// Made when it is first asked for: it takes some 10 KB, and most templates of a large workspace rest.
    engine: OnceLock<Environment<'static>>,
    uses: BTreeSet<String>,
    warnings: Vec<TemplateProblem>,
    literal: Literal,
    lenient: Lenient,
    straight: Option<Straight>,
}

impl Inner {
    fn engine(&self) -> Result<&Environment<'static>, Error> {
        if let Some(engine) = self.engine.get() {
            return Ok(engine);
        }
        let engine = engine_of(&self.lenient, self.format)?;
        Ok(self.engine.get_or_init(|| engine))
    }
}

fn engine_of(lenient: &Lenient, format: Format) -> Result<Environment<'static>, Error> {
    let mut engine = environment(format, false);
    engine.add_template_owned(NAME, lenient.source.clone())?;
    Ok(engine)
}

impl std::fmt::Debug for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Template")
            .field("format", &self.inner.format)
            .field("source", &self.inner.source)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Template) -> bool {
        self.inner.format == other.inner.format && self.inner.source == other.inner.source
    }
}

impl Template {
    /// Compiles a template of that format and checks every name in it.
    ///
    /// # Errors
    /// All problems that can be found without a person, in the order of the source: syntax, unknown
    /// names, filters, tests and functions, tags that reach outside, and markup that Telegram does
    /// not know.
    pub fn compile(
        source: &str,
        format: Format,
        names: &Names,
    ) -> Result<Template, Vec<TemplateProblem>> {
        refuse_monsters(source, false).map_err(|problem| vec![problem])?;
        let tree = parse(source, NAME, Default::default())
            .map_err(|error| vec![syntax_problem(source, 0, &error)])?;
        let Findings {
            mut problems,
            warnings,
            uses,
            lets_markup_in,
        } = check_template(source, &tree, names);
        let literal = Literal::of(&tree);
        if format == Format::Html {
            problems.extend(literal::html_problems(source, &tree, lets_markup_in));
        }
        let lenient = Lenient::of(source, &tree);
        let straight = Straight::of(&tree, format);
        if problems.is_empty()
            && straight.is_none()
            && let Err(error) = engine_of(&lenient, format)
        {
            problems.push(syntax_problem(source, 0, &error));
        }
        if !problems.is_empty() {
            problems.sort_by_key(|problem| (problem.line, problem.column));
            return Err(problems);
        }
        drop(tree);
        Ok(Template {
            inner: Arc::new(Inner {
                source: source.to_string(),
                format,
                engine: OnceLock::new(),
                uses,
                warnings,
                literal,
                lenient,
                straight,
            }),
        })
    }

    /// The source as it was written.
    pub fn source(&self) -> &str {
        &self.inner.source
    }

    /// The format of its markup.
    pub fn format(&self) -> Format {
        self.inner.format
    }

    /// The top-level names that it uses, e.g. `contact`, `invite_link`.
    pub fn uses(&self) -> &BTreeSet<String> {
        &self.inner.uses
    }

    /// What compiles but hardly means what it says: a column compared with a number.
    pub fn warnings(&self) -> &[TemplateProblem] {
        &self.inner.warnings
    }

    /// The markup that stands in every text made from it, whoever gets it: all of a template
    /// without tags, else its unconditional parts.
    pub fn certain_markup(&self) -> &str {
        self.inner.literal.certain()
    }

    /// Whether everybody gets the same text.
    pub fn is_static(&self) -> bool {
        self.inner.literal.is_everything()
    }

    /// Whether it is put together without the engine.
    #[cfg(test)]
    pub(super) fn is_straight(&self) -> bool {
        self.inner.straight.is_some()
    }

    /// Renders to markup, before formatting.
    ///
    /// # Errors
    /// `TemplateError` where something that the person lacks is printed, or the template computes
    /// something impossible or endless; `TooLong` where it grows beyond any message.
    pub fn render(&self, context: &Context<'_>) -> Result<String, ComposeError> {
        if let Some(straight) = &self.inner.straight
            && let Some(text) = straight.render(context.contact, MAX_OUTPUT)
        {
            return Ok(text);
        }
        let failed = |error: Error| ComposeError::TemplateError(sentence(&self.inner, &error));
        let engine = self.inner.engine().map_err(failed)?;
        let template = engine.get_template(NAME).map_err(failed)?;
        let mut sink = Sink::default();
        match template.render_captured_to(root(context, &self.inner.uses), &mut sink) {
            Ok(_) => String::from_utf8(sink.bytes)
                .map_err(|_| ComposeError::TemplateError("the text is not UTF-8".into())),
            Err(_) if sink.full => Err(ComposeError::TooLong {
                units: utf16_len(&String::from_utf8_lossy(&sink.bytes)),
                limit: super::MAX_TEXT_UNITS,
            }),
            Err(error) => Err(failed(error)),
        }
    }

    /// The least length in UTF-16 units, after formatting, that the text of any person can have.
    /// Exact where [`is_static`](Self::is_static).
    pub fn static_length_lower_bound(&self) -> usize {
        if self.is_static() {
            let markup = self.inner.literal.certain();
            return format_text(markup, self.inner.format).map_or(0, |formatted| formatted.units());
        }
        literal::least_units(self.inner.literal.certain(), self.inner.format)
    }

    /// What can be known to fail for everybody: too long, or empty. `None` where it depends.
    pub fn static_problem(&self, has_media: bool) -> Option<ComposeError> {
        let units = self.static_length_lower_bound();
        let limit = limit_units(has_media);
        if units > limit {
            return Some(ComposeError::TooLong { units, limit });
        }
        (self.is_static() && units == 0 && !has_media).then_some(ComposeError::Empty)
    }
}

/// A checked expression (`filters.where`). Cheap to clone.
#[derive(Clone)]
pub struct Expression {
    source: Arc<str>,
    /// Where it is not straight.
    env: Option<Arc<Environment<'static>>>,
    uses: Arc<BTreeSet<String>>,
    warnings: Arc<[TemplateProblem]>,
    straight: Option<Arc<Condition>>,
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Expression").field(&self.source).finish()
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Expression) -> bool {
        self.source == other.source
    }
}

impl Expression {
    /// Compiles an expression and checks every name in it. It may use `contact`, `campaign`, `now`.
    ///
    /// # Errors
    /// All problems, in the order of the source.
    pub fn compile(source: &str, names: &Names) -> Result<Expression, Vec<TemplateProblem>> {
        /// The engine evaluates an expression as the condition of a template.
        const BEFORE: &str = "{% if ";
        refuse_monsters(source, true).map_err(|problem| vec![problem])?;
        let tree = parse_expr(source).map_err(|error| vec![syntax_problem(source, 0, &error)])?;
        let mut findings = check_expression(source, &tree, names);
        let condition = Lenient::of_condition(source, &tree).source;
        let straight = Condition::of(&tree).map(Arc::new);
        drop(tree);
        let mut env = None;
        if findings.problems.is_empty() && straight.is_none() {
            let mut engine = environment(Format::Plain, true);
            let wrapped = format!("{BEFORE}{condition} %}}1{{% endif %}}");
            match engine.add_template_owned(NAME, wrapped) {
                Ok(()) => env = Some(Arc::new(engine)),
                Err(error) => {
                    let problem = syntax_problem(source, BEFORE.len(), &error);
                    findings.problems.push(problem);
                }
            }
        }
        if !findings.problems.is_empty() {
            findings
                .problems
                .sort_by_key(|problem| (problem.line, problem.column));
            return Err(findings.problems);
        }
        Ok(Expression {
            source: source.into(),
            env,
            uses: Arc::new(findings.uses),
            warnings: findings.warnings.into(),
            straight,
        })
    }

    /// Whether it holds for that person. What he lacks is undefined, which is false; where it cannot
    /// be computed at all for him (a word taken as a number) it does not hold. It never fails.
    pub fn holds(&self, context: &Context<'_>) -> bool {
        if let Some(straight) = &self.straight {
            return straight.holds(context.contact);
        }
        let engine = self.env.as_ref();
        let Some(Ok(template)) = engine.map(|engine| engine.get_template(NAME)) else {
            return false;
        };
        template
            .render(root(context, &self.uses))
            .is_ok_and(|text| text == "1")
    }

    /// Whether it is decided without the engine.
    #[cfg(test)]
    pub(super) fn is_straight(&self) -> bool {
        self.straight.is_some()
    }

    /// The source as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What compiles but hardly means what it says: a column compared with a number.
    pub fn warnings(&self) -> &[TemplateProblem] {
        &self.warnings
    }

    /// The top-level names that it uses; with `now`, its answer changes with time.
    pub fn uses(&self) -> &BTreeSet<String> {
        &self.uses
    }
}

/// A writer that stops where no message could go on.
#[derive(Default)]
struct Sink {
    bytes: Vec<u8>,
    full: bool,
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > MAX_OUTPUT {
            self.full = true;
            let room = MAX_OUTPUT.saturating_sub(self.bytes.len());
            self.bytes
                .extend_from_slice(&bytes[..room.min(bytes.len())]);
            return Err(io::Error::other("the text is too long"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Refuses sources whose tree would be too deep to walk. The parser guards parentheses and blocks
/// itself, chains of operators not.
fn refuse_monsters(source: &str, in_expression: bool) -> Result<(), TemplateProblem> {
    let complex = |range, summary: String| {
        TemplateProblem::at(
            source,
            range,
            "template-too-complex",
            summary,
            "shorten it, or compute the values before and put them into columns",
        )
    };
    if source.len() > MAX_SOURCE {
        let summary = format!(
            "the template has {} bytes, at most {MAX_SOURCE} are read",
            source.len()
        );
        return Err(complex(0..1, summary));
    }
    let (mut tokens, mut tags, mut elifs) = (0, 0, 0);
    for token in tokenize(source, in_expression, Default::default()) {
        // What the lexer refuses the parser reports.
        let Ok((token, span)) = token else { break };
        let range = span.start_offset as usize..span.end_offset as usize;
        match token {
            Token::TemplateData(_) => tokens = 0,
            Token::VariableStart | Token::BlockStart => {
                tokens = 0;
                tags += 1;
            }
            Token::Ident("elif") => elifs += 1,
            _ => tokens += 1,
        }
        if tokens > MAX_TAG_TOKENS {
            return Err(complex(
                range,
                format!("an expression of over {MAX_TAG_TOKENS} words and signs"),
            ));
        }
        if tags > MAX_TAGS {
            return Err(complex(range, format!("more than {MAX_TAGS} tags")));
        }
        if elifs > MAX_ELIFS {
            return Err(complex(range, format!("more than {MAX_ELIFS} times elif")));
        }
    }
    Ok(())
}

fn syntax_problem(source: &str, shift: usize, error: &Error) -> TemplateProblem {
    const TAGS: [&str; 12] = [
        "if", "elif", "else", "endif", "for", "endfor", "set", "endset", "with", "macro", "filter",
        "raw",
    ];
    let found = error.detail().unwrap_or("it cannot be read");
    let ends_early =
        found.contains("unexpected end of input") || found.contains("unexpected end of string");
    if ends_early && let Some(problem) = unclosed(source) {
        return problem;
    }
    let range = error.range().map_or_else(
        || {
            // Only the line is known: mark it from its first word on.
            let line = error.line().unwrap_or(1).saturating_sub(1);
            let start = source
                .split_inclusive('\n')
                .take(line)
                .map(str::len)
                .sum::<usize>();
            let text = source[start..].lines().next().unwrap_or("");
            let indent = text.len() - text.trim_start().len();
            start + indent..start + text.len()
        },
        |range| range.start.saturating_sub(shift)..range.end.saturating_sub(shift),
    );
    let suggestion = found
        .strip_prefix("unknown statement ")
        .and_then(|name| nearest(name, TAGS));
    TemplateProblem::at(
        source,
        range,
        "template-syntax",
        format!("template syntax: {found}"),
        "expected Jinja syntax: {{ value | filter }}, {% if … %}…{% endif %}",
    )
    .suggest(suggestion)
}

/// The tag or block that is open where a template ends: there the mistake is, not at the end.
fn unclosed(source: &str) -> Option<TemplateProblem> {
    const BLOCKS: [&str; 7] = ["if", "for", "with", "macro", "filter", "call", "autoescape"];
    let problem = |range, summary: String, detail: String| {
        Some(TemplateProblem::at(
            source,
            range,
            "template-syntax",
            summary,
            detail,
        ))
    };
    let mut tag: Option<(std::ops::Range<usize>, bool)> = None;
    let mut open: Vec<(String, std::ops::Range<usize>)> = Vec::new();
    let mut tokens = tokenize(source, false, Default::default())
        .map_while(Result::ok)
        .peekable();
    while let Some((token, span)) = tokens.next() {
        let range = span.start_offset as usize..span.end_offset as usize;
        match token {
            Token::VariableStart => tag = Some((range, false)),
            Token::BlockStart => {
                tag = Some((range.clone(), true));
                if let Some((Token::Ident(name), _)) = tokens.peek() {
                    if name.starts_with("end") {
                        open.pop();
                    } else if BLOCKS.contains(name) || *name == "set" {
                        open.push((name.to_string(), range.start..range.end + 1 + name.len()));
                    }
                }
            }
            // `set x = …` opens no block.
            Token::Assign if matches!(&tag, Some((_, true))) => {
                let last_is_set = open.last().is_some_and(|(name, at)| {
                    name == "set" && tag.as_ref().is_some_and(|(tag, _)| tag.start == at.start)
                });
                if last_is_set {
                    open.pop();
                }
            }
            Token::VariableEnd | Token::BlockEnd => tag = None,
            _ => {}
        }
    }
    if let Some((range, is_block)) = tag {
        let end = if is_block { "%}" } else { "}}" };
        let begin = if is_block { "{%" } else { "{{" };
        return problem(
            range,
            format!("the tag '{begin}' is not finished"),
            format!("end it with '{end}', and texts in it with their quote"),
        );
    }
    let (name, range) = open.pop()?;
    problem(
        range,
        format!("the block '{name}' is not closed"),
        format!("close it with {{% end{name} %}}"),
    )
}

/// A sentence for people about an error of one rendering.
fn sentence(template: &Inner, error: &Error) -> String {
    // A macro's or block's own error is the cause, the outer one only says where it was called.
    let mut error = error;
    while let Some(inner) = std::error::Error::source(error).and_then(|e| e.downcast_ref::<Error>())
    {
        error = inner;
    }
    let line = error
        .line()
        .map(|line| format!(" (line {line} of the template)"))
        .unwrap_or_default();
    let tag = error
        .range()
        .and_then(|range| tag_at(&template.source, template.lenient.original(range.start)));
    match error.kind() {
        ErrorKind::UndefinedError => {
            let named = error
                .detail()
                .and_then(|detail| detail.split('`').nth(1))
                .map(str::trim)
                .filter(|name| !name.is_empty());
            match (named, tag) {
                (Some(name), _) => format!(
                    "{name} is not known of this person{line}; write {{{{ {name} | default('…') }}}} where it may be missing"
                ),
                (None, Some(tag)) => {
                    format!(
                        "a value in {tag} is not known of this person{line}; use the filter default"
                    )
                }
                (None, None) => {
                    format!("a value is not known of this person{line}; use the filter default")
                }
            }
        }
        ErrorKind::OutOfFuel => {
            format!("the template computes too much{line}; shorten its loops")
        }
        kind => {
            let detail = error.detail().map_or(kind.to_string(), str::to_string);
            match tag {
                Some(tag) => format!("{detail} in {tag}{line}"),
                None => format!("{detail}{line}"),
            }
        }
    }
}

/// The tag of the source in which a place lies, as written.
fn tag_at(source: &str, offset: usize) -> Option<&str> {
    /// Longer tags say less than their line.
    const MAX_SHOWN: usize = 200;
    let before = source.get(..offset)?;
    let start = before.rfind("{{").max(before.rfind("{%"))?;
    let rest = &source[start..];
    let end = rest.find(if rest.starts_with("{{") { "}}" } else { "%}" })? + 2;
    let tag = &rest[..end];
    (tag.len() <= MAX_SHOWN && !tag.contains('\n')).then_some(tag)
}

/// The values of the names that a template uses. What a person lacks is left out, hence undefined; a
/// blank text (an empty cell of a list) counts as lacking.
fn root(context: &Context<'_>, uses: &BTreeSet<String>) -> Value {
    fn text(value: Option<&str>) -> Option<Value> {
        value
            .filter(|text| !text.trim().is_empty())
            .map(Value::from)
    }
    fn map<const N: usize>(pairs: [(&'static str, Option<Value>); N]) -> Value {
        Value::from_pairs(
            pairs
                .into_iter()
                .filter_map(|(name, value)| value.map(|value| (name, value))),
        )
    }
    let contact = || {
        let contact = context.contact;
        let (first, last) = (
            contact.first_name.as_deref().map(str::trim),
            contact.last_name.as_deref().map(str::trim),
        );
        let full = [first, last]
            .into_iter()
            .flatten()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(" ");
        let fields = contact
            .fields
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), text(Some(value))?)));
        map([
            ("id", contact.id.map(Value::from)),
            ("first_name", text(contact.first_name.as_deref())),
            ("last_name", text(contact.last_name.as_deref())),
            ("full_name", text(Some(&full))),
            ("username", text(contact.username.as_deref())),
            ("phone", text(contact.e164().as_deref())),
            ("premium", contact.premium.map(Value::from)),
            ("fields", Some(Value::from_pairs(fields))),
        ])
    };
    let campaign = || {
        let campaign = context.campaign;
        let labels = campaign
            .labels
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        map([
            ("name", Some(Value::from(campaign.name.as_str()))),
            ("title", text(campaign.title.as_deref())),
            ("labels", Some(Value::from_pairs(labels))),
            ("run", Some(Value::from(campaign.run))),
        ])
    };
    let account = || {
        map([
            ("name", context.account.and_then(|a| text(Some(a.name)))),
            (
                "first_name",
                context.account.and_then(|a| text(a.first_name)),
            ),
            ("username", context.account.and_then(|a| text(a.username))),
        ])
    };
    Value::from_pairs(uses.iter().filter_map(|name| {
        let value = match name.as_str() {
            "contact" => contact(),
            "campaign" => campaign(),
            "account" => account(),
            "now" => Value::from_object(Now {
                at: context.now,
                zone: context.zone,
            }),
            "step" => Value::from(context.step),
            "invite_link" => text(context.invite_link)?,
            _ => return None,
        };
        Some((name.as_str(), value))
    }))
}
