//! The validator's errors → one message for each cause.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Value;

use super::words::{expected, found, hint, literal, old_boolean, one_of};
use super::{MAX_PROBLEMS, Problem, WINDOW};
use crate::spec::diagnostic::{Pointer, did_you_mean, quote};
use crate::spec::scalar::{KIND_KEYWORD, explain};
use crate::spec::yaml::{Data, Node, Style, Tree};

/// The keys that choose between alternatives, in the order in which they are tried.
const DISCRIMINATORS: [&str; 2] = ["type", "kind"];

/// What the words are made from.
pub(super) struct Context<'a> {
    pub(super) schema: &'a Value,
    pub(super) tree: &'a Tree,
    /// The whole value, of which the validator may see a part.
    pub(super) whole: &'a Value,
    /// How far the items of lists longer than a [`WINDOW`] were moved.
    pub(super) offset: usize,
}

type Branch<'e> = Vec<&'e ValidationError<'static>>;

/// Turns one error into problems.
pub(super) fn drill(cx: &Context<'_>, error: &ValidationError<'_>, out: &mut Vec<Problem>) {
    let at = cx.path(error);
    let node = cx.tree.find(&at);
    let own = cx.own(error);
    if let Some(kind) = own
        .and_then(|s| s.get(KIND_KEYWORD))
        .and_then(Value::as_str)
        && let Some(why) = explain(kind, error.instance())
    {
        // Type and pattern of such a value say the same in fewer words.
        if matches!(error.kind(), Kind::Custom { .. }) {
            cx.unreadable(&at, error, why, out);
        }
        return;
    }
    match error.kind() {
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            cx.alternatives(&at, context, out)
        }
        Kind::OneOfMultipleValid { .. } => out.push(problem(
            &at,
            "ambiguous",
            format!(
                "{} fits more than one of the forms that may stand here",
                found(node)
            ),
            cx.help(error),
        )),
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let mut known = Vec::new();
            cx.keys(own, 0, &mut known);
            for key in unexpected.iter().take(MAX_PROBLEMS + 1) {
                out.push(unknown_key(&at, key, &known));
            }
        }
        Kind::Required { property } => {
            let key = literal(property);
            let describing = own
                .and_then(|s| s.get("properties"))
                .and_then(|p| p.get(&key));
            let mut detail = format!("Add `{key}:` here. ");
            detail.push_str(&cx.help_of(describing));
            out.push(problem(
                &at.key(&key),
                "missing-key",
                format!("the key `{key}` is missing"),
                detail,
            ));
        }
        Kind::Type { .. } => cx.wrong_type(&at, error, own.and_then(expected), out),
        Kind::Enum { options } => match &**options {
            Value::Array(options) => cx.unknown_value(&at, options, error, out),
            other => cx.unknown_value(&at, std::slice::from_ref(other), error, out),
        },
        Kind::Constant { expected_value } => {
            cx.unknown_value(&at, std::slice::from_ref(&**expected_value), error, out);
        }
        Kind::Pattern { .. }
        | Kind::Format { .. }
        | Kind::Not { .. }
        | Kind::BacktrackLimitExceeded { .. } => out.push(problem(
            &at,
            "bad-value",
            format!("{} cannot stand {}", found(node), here(&at)),
            cx.help(error),
        )),
        Kind::Minimum { limit } => {
            cx.bound(&at, error, format!("at least {}", literal(limit)), out)
        }
        Kind::Maximum { limit } => cx.bound(&at, error, format!("at most {}", literal(limit)), out),
        Kind::ExclusiveMinimum { limit } => {
            cx.bound(&at, error, format!("more than {}", literal(limit)), out)
        }
        Kind::ExclusiveMaximum { limit } => {
            cx.bound(&at, error, format!("less than {}", literal(limit)), out)
        }
        Kind::MultipleOf { multiple_of } => {
            cx.bound(&at, error, format!("a multiple of {multiple_of}"), out)
        }
        Kind::MinLength { limit } => cx.count(&at, error, "at least", *limit, "characters", out),
        Kind::MaxLength { limit } => cx.count(&at, error, "at most", *limit, "characters", out),
        // The part of a list says nothing of its length.
        Kind::MinItems { .. } | Kind::Contains if cx.is_cut(&at) => {}
        Kind::MinItems { limit } => cx.count(&at, error, "at least", *limit, "items", out),
        Kind::MaxItems { limit } => cx.count(&at, error, "at most", *limit, "items", out),
        Kind::MinProperties { limit } => cx.count(&at, error, "at least", *limit, "keys", out),
        Kind::MaxProperties { limit } => cx.count(&at, error, "at most", *limit, "keys", out),
        Kind::UniqueItems => out.push(cx.repeated(&at, node, error)),
        Kind::PropertyNames { error: inner } => {
            let key = inner.instance().as_str().unwrap_or_default().to_owned();
            let mut wrong = problem(
                &at.key(&key),
                "bad-key",
                format!("{} cannot be a key {}", quote(&key), here(&at)),
                cx.help(inner),
            );
            wrong.at_key = true;
            out.push(wrong);
        }
        Kind::FalseSchema => {
            let mut wrong = problem(
                &at,
                "not-allowed",
                format!("{} may not stand here", name(&at)),
                cx.help(error),
            );
            wrong.at_key = true;
            out.push(wrong);
        }
        // The remaining kinds are not generated from our types; the validator's words are better than none. They
        // repeat no value, which could be a secret.
        _ => out.push(problem(
            &at,
            "bad-value",
            format!("{} cannot stand {}", found(node), here(&at)),
            format!("{}. {}", error.masked(), cx.help(error)),
        )),
    }
}

fn problem(at: &Pointer, code: &'static str, summary: String, detail: String) -> Problem {
    Problem {
        at: at.clone(),
        code,
        summary,
        detail: detail.trim().to_owned(),
        suggestion: None,
        at_key: false,
        instead: None,
    }
}

/// The key or item by its name: `delays.typing`, `sources[2]`.
fn name(at: &Pointer) -> String {
    if at == &Pointer::root() {
        "the file".to_owned()
    } else {
        format!("`{}`", at.dotted())
    }
}

fn here(at: &Pointer) -> String {
    if at == &Pointer::root() {
        "here".to_owned()
    } else {
        format!("in {}", name(at))
    }
}

fn unknown_key(at: &Pointer, key: &str, known: &[String]) -> Problem {
    let suggestion = did_you_mean(key, known.iter().map(String::as_str)).map(str::to_owned);
    let whose = if at == &Pointer::root() {
        "at the top of the file".to_owned()
    } else {
        here(at)
    };
    let mut wrong = problem(
        &at.key(key),
        "unknown-key",
        format!("unknown key {} {whose}", quote(key)),
        match known {
            [] => "No key may stand here.".to_owned(),
            [only] => format!("The only key that may stand here is {only}."),
            _ => format!("The keys that may stand here are {}.", known.join(", ")),
        },
    );
    wrong.suggestion = suggestion;
    wrong.at_key = true;
    wrong
}

impl Context<'_> {
    /// Where the value stands in the whole.
    fn path(&self, error: &ValidationError<'_>) -> Pointer {
        let seen = Pointer::parse(error.instance_path().as_str()).unwrap_or_default();
        if self.offset == 0 {
            return seen;
        }
        let mut whole = Some(self.whole);
        seen.tokens()
            .fold(Pointer::root(), |at, token| match whole {
                Some(Value::Array(items)) => {
                    let index = token.parse().unwrap_or(0)
                        + if items.len() > WINDOW { self.offset } else { 0 };
                    whole = items.get(index);
                    at.index(index)
                }
                Some(value) => {
                    whole = value.get(&token);
                    at.key(&token)
                }
                None => at.key(&token),
            })
    }

    /// Whether the validator has seen only a part of the list at `at`.
    fn is_cut(&self, at: &Pointer) -> bool {
        matches!(self.whole.pointer(at.as_str()), Some(Value::Array(items)) if items.len() > WINDOW)
    }

    /// The schema that holds the keyword which failed.
    fn own(&self, error: &ValidationError<'_>) -> Option<&Value> {
        let text = error.schema_path().as_str();
        self.schema
            .pointer(text.rfind('/').map_or("", |at| &text[..at]))
    }

    /// Description and examples of what failed.
    fn help(&self, error: &ValidationError<'_>) -> String {
        let chain = self.chain(error);
        let examples = chain
            .iter()
            .rev()
            .find_map(|s| s.get("examples").and_then(Value::as_array));
        hint(described(&chain), examples)
    }

    /// The description alone, where the summary has listed the values already.
    fn description(&self, error: &ValidationError<'_>) -> String {
        hint(described(&self.chain(error)), None)
    }

    /// The schemas of the value that failed, from its use in the value around it inwards.
    fn chain(&self, error: &ValidationError<'_>) -> Vec<&Value> {
        let mut chain = vec![self.schema];
        let mut current = Some(self.schema);
        for token in error.evaluation_path().as_str().split('/').skip(1) {
            let token = token.replace("~1", "/").replace("~0", "~");
            current = match current {
                Some(schema) if token == "$ref" => self.follow(schema),
                Some(Value::Array(list)) => token.parse::<usize>().ok().and_then(|i| list.get(i)),
                Some(schema) => schema.get(&token),
                None => None,
            };
            let Some(schema) = current else { break };
            if token == "properties" || token == "items" || token == "additionalProperties" {
                // What was said of the value around is not about this one.
                chain.clear();
            }
            chain.push(schema);
        }
        chain
    }

    fn help_of(&self, schema: Option<&Value>) -> String {
        let Some(schema) = schema else {
            return String::new();
        };
        let target = self.follow(schema);
        let read = |key: &str| schema.get(key).or_else(|| target.and_then(|t| t.get(key)));
        hint(
            read("description").and_then(Value::as_str),
            read("examples").and_then(Value::as_array),
        )
    }

    /// The schema that a local `$ref` names.
    fn follow(&self, schema: &Value) -> Option<&Value> {
        self.schema
            .pointer(schema.get("$ref")?.as_str()?.strip_prefix('#')?)
    }

    /// The keys that a schema knows, those of the parts it is made of included.
    fn keys(&self, schema: Option<&Value>, depth: usize, out: &mut Vec<String>) {
        // Our schemas are nested two deep here; a bound keeps a cyclic `$ref` from going round.
        let Some(schema) = schema.filter(|_| depth < 8) else {
            return;
        };
        for key in schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            // `false` marks a key that is known only to be refused with its own words.
            if key.1 != &Value::Bool(false) && !out.contains(key.0) {
                out.push(key.0.clone());
            }
        }
        self.keys(self.follow(schema), depth + 1, out);
        for combined in ["allOf", "anyOf", "oneOf"] {
            for part in schema
                .get(combined)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                self.keys(Some(part), depth + 1, out);
            }
        }
    }

    fn wrong_type(
        &self,
        at: &Pointer,
        error: &ValidationError<'_>,
        wanted: Option<String>,
        out: &mut Vec<Problem>,
    ) {
        let node = self.tree.find(at);
        let wanted = wanted.unwrap_or_else(|| "another kind of value".to_owned());
        let mut detail = self.help(error);
        let mut suggestion = None;
        let mut instead = None;
        if wanted.contains("true or false")
            && let Some(meant) = old_boolean(node)
        {
            detail = format!(
                "In YAML 1.2 `yes`, `no`, `on` and `off` are text. Write `true` or `false`. {detail}"
            );
            suggestion = Some(meant.to_string());
        } else if wanted.contains("text")
            && let Some(Node {
                data: Data::Number(_),
                raw: Some(raw),
                ..
            }) = node
        {
            if raw.starts_with('+') {
                detail = format!(
                    "Without quotes YAML reads this as a number and loses the plus. Put it into quotes. {detail}"
                );
                suggestion = Some(format!("\"{raw}\""));
            } else if !detail.contains("For example") {
                detail = format!("Put it into quotes to make it text. {detail}");
                suggestion = Some(format!("\"{raw}\""));
            }
        } else if wanted.contains("number")
            && let Some(
                node @ Node {
                    data: Data::Text(text),
                    ..
                },
            ) = node
            && !node.is_substituted()
            && matches!(node.style, Style::SingleQuoted | Style::DoubleQuoted)
            && text.parse::<f64>().is_ok_and(f64::is_finite)
        {
            detail = format!("In quotes this is text. Remove the quotes. {detail}");
            suggestion = Some(text.to_string());
        } else if wanted.starts_with("a list")
            && let Some(
                node @ Node {
                    data: Data::Text(text),
                    ..
                },
            ) = node
            && !node.is_substituted()
            && !text.contains(['\n', '"', '\\'])
        {
            detail = format!("A single item is written as a list, too. {detail}");
            suggestion = Some(match node.style {
                Style::Plain => format!("[{text}]"),
                _ => format!("[\"{text}\"]"),
            });
            instead = Some(Value::Array(vec![Value::String(text.to_string())]));
        }
        let summary = if matches!(
            node,
            Some(Node {
                data: Data::Null,
                raw: None,
                ..
            })
        ) {
            format!("{} has no value; expected {wanted}", name(at))
        } else {
            format!("found {} {}; expected {wanted}", found(node), here(at))
        };
        let mut wrong = problem(at, "wrong-type", summary, detail);
        // The other suggestions are JSON as they stand: a text in quotes, a number, `true`.
        wrong.instead = instead.or_else(|| serde_json::from_str(suggestion.as_deref()?).ok());
        wrong.suggestion = suggestion;
        out.push(wrong);
    }

    fn unknown_value(
        &self,
        at: &Pointer,
        options: &[Value],
        error: &ValidationError<'_>,
        out: &mut Vec<Problem>,
    ) {
        let node = self.tree.find(at);
        let options: Vec<String> = options
            .iter()
            .filter(|o| !o.is_null())
            .map(literal)
            .collect();
        let wanted = one_of(options.iter().cloned());
        let text = match node {
            Some(Node {
                data: Data::Text(text),
                ..
            }) => text.to_string(),
            Some(Node {
                data: Data::Number(_) | Data::Bool(_),
                raw: Some(raw),
                ..
            }) => raw.to_string(),
            _ => return self.wrong_type(at, error, Some(wanted), out),
        };
        let mut wrong = problem(
            at,
            "unknown-value",
            format!("found {} {}; expected {wanted}", found(node), here(at)),
            self.description(error),
        );
        if !node.is_some_and(Node::is_substituted) {
            wrong.suggestion =
                did_you_mean(&text, options.iter().map(String::as_str)).map(str::to_owned);
            wrong.instead = wrong.suggestion.clone().map(Value::String);
        }
        out.push(wrong);
    }

    /// One of our own parsers has said why it cannot read a value.
    fn unreadable(
        &self,
        at: &Pointer,
        error: &ValidationError<'_>,
        why: String,
        out: &mut Vec<Problem>,
    ) {
        let node = self.tree.find(at);
        let code = match node.map(|n| &n.data) {
            Some(Data::Text(_)) => "bad-value",
            _ => "wrong-type",
        };
        let plus = node
            .and_then(|n| n.raw.as_deref())
            .filter(|raw| raw.starts_with('+') && !raw.contains(' '));
        let mut wrong = match (node, plus) {
            (Some(node), _) if node.is_substituted() => problem(
                at,
                code,
                format!("{} cannot stand {}", found(Some(node)), here(at)),
                self.help(error),
            ),
            (
                Some(
                    node @ Node {
                        data: Data::Number(_),
                        ..
                    },
                ),
                Some(raw),
            ) => {
                let mut wrong = problem(
                    at,
                    code,
                    format!("found {} {}; expected text", found(Some(node)), here(at)),
                    format!(
                        "Without quotes YAML reads this as a number and loses the plus. Put it into quotes. {}",
                        self.help(error)
                    ),
                );
                wrong.suggestion = Some(format!("\"{raw}\""));
                wrong
            }
            (
                Some(Node {
                    data: Data::Null,
                    raw: None,
                    ..
                }),
                _,
            ) => problem(
                at,
                code,
                format!("{} has no value", name(at)),
                self.help(error),
            ),
            _ => problem(at, code, why, self.help(error)),
        };
        wrong.detail = wrong.detail.trim().to_owned();
        out.push(wrong);
    }

    fn bound(
        &self,
        at: &Pointer,
        error: &ValidationError<'_>,
        wanted: String,
        out: &mut Vec<Problem>,
    ) {
        let node = self.tree.find(at);
        let summary = format!("found {} {}; expected {wanted}", found(node), here(at));
        out.push(problem(at, "out-of-range", summary, self.help(error)));
    }

    fn count(
        &self,
        at: &Pointer,
        error: &ValidationError<'_>,
        bound: &str,
        limit: u64,
        unit: &str,
        out: &mut Vec<Problem>,
    ) {
        let node = self.tree.find(at);
        let (has, what) = match node.map(|n| &n.data) {
            Some(Data::Text(text)) => (text.chars().count(), "text"),
            Some(Data::List(items)) => (items.len(), "list"),
            Some(Data::Map(entries)) => (entries.len(), "mapping"),
            _ => (0, "value"),
        };
        let unit = if limit == 1 {
            unit.trim_end_matches('s')
        } else {
            unit
        };
        let summary = if has == 0 {
            format!("{} is empty; expected {bound} {limit} {unit}", name(at))
        } else {
            format!(
                "the {what} {} has {has}; expected {bound} {limit} {unit}",
                here(at)
            )
        };
        out.push(problem(at, "out-of-range", summary, self.help(error)));
    }

    fn repeated(&self, at: &Pointer, node: Option<&Node>, error: &ValidationError<'_>) -> Problem {
        if let Some(Data::List(items)) = node.map(|n| &n.data) {
            let values: Vec<Value> = items.iter().map(Node::to_json).collect();
            for (index, value) in values.iter().enumerate() {
                if let Some(first) = values[..index].iter().position(|earlier| earlier == value) {
                    return problem(
                        &at.index(index),
                        "duplicate-item",
                        format!("{} stands twice {}", found(items.get(index)), here(at)),
                        format!(
                            "It stands first in line {}. Remove one of the two.",
                            items.get(first).map_or(0, |n| n.span.start.line)
                        ),
                    );
                }
            }
        }
        problem(
            at,
            "duplicate-item",
            format!("an item stands twice {}", here(at)),
            self.help(error),
        )
    }

    /// Several forms may stand here and none fits: speaks about the one that is meant.
    fn alternatives(
        &self,
        at: &Pointer,
        context: &[Vec<ValidationError<'static>>],
        out: &mut Vec<Problem>,
    ) {
        let mut branches: Vec<Branch<'_>> = Vec::new();
        flatten(self, at, context, &mut branches);
        let is_type = |e: &&ValidationError<'static>| {
            matches!(e.kind(), Kind::Type { .. }) && self.path(e) == *at
        };
        let fitting: Vec<&Branch<'_>> =
            branches.iter().filter(|b| !b.iter().any(is_type)).collect();
        if fitting.is_empty() {
            return self.no_type_fits(at, &branches, out);
        }
        // A form that wants another `type` or `kind` is not the one that is meant.
        for key in DISCRIMINATORS {
            let place = at.key(key);
            let values_of = |branch: &Branch<'_>| -> Vec<Value> {
                branch
                    .iter()
                    .filter(|e| self.path(e) == place)
                    .flat_map(|e| wanted_values(e))
                    .collect()
            };
            let lacks = |branch: &&&Branch<'_>| {
                branch.iter().any(|e| matches!(e.kind(), Kind::Required { property } if property.as_str() == Some(key)) && self.path(e) == *at)
            };
            if fitting.len() > 1 && fitting.iter().filter(lacks).count() == fitting.len() {
                let mut options = Vec::new();
                for branch in &fitting {
                    for error in branch.iter().filter(|e| self.path(e) == *at) {
                        if let Some(schema) = self
                            .own(error)
                            .and_then(|s| s.get("properties"))
                            .and_then(|p| p.get(key))
                        {
                            options.extend(schema.get("const").map(literal));
                            options.extend(
                                schema
                                    .get("enum")
                                    .and_then(Value::as_array)
                                    .into_iter()
                                    .flatten()
                                    .map(literal),
                            );
                        }
                    }
                }
                options.dedup();
                out.push(problem(
                    &place,
                    "missing-key",
                    format!("the key `{key}` is missing"),
                    format!("Add `{key}:` with {}.", one_of(options.into_iter())),
                ));
                return;
            }
            let (others, chosen): (Vec<&&Branch<'_>>, Vec<&&Branch<'_>>) =
                fitting.iter().partition(|b| !values_of(b).is_empty());
            if others.is_empty() {
                continue;
            }
            match chosen.as_slice() {
                [] => {
                    let options: Vec<Value> = others.iter().flat_map(|b| values_of(b)).collect();
                    let about = others[0].iter().find(|e| self.path(e) == place);
                    if let Some(error) = about {
                        self.unknown_value(&place, &options, error, out);
                        // The description is that of one form, and none is meant.
                        if let (true, Some(last)) = (others.len() > 1, out.last_mut()) {
                            last.detail = format!(
                                "The `{key}` decides which other keys may stand beside it."
                            );
                        }
                    }
                    return;
                }
                // Forms that know no such key at all (a shorthand) lose against those that do.
                [first, rest @ ..] => {
                    let best = rest
                        .iter()
                        .fold(first, |best, b| if b.len() < best.len() { b } else { best });
                    return self.speak(best, out);
                }
            }
        }
        // All of them are a choice between words.
        let words: Vec<Value> = fitting
            .iter()
            .filter(|b| {
                b.iter()
                    .all(|e| self.path(e) == *at && !wanted_values(e).is_empty())
            })
            .flat_map(|b| b.iter().flat_map(|e| wanted_values(e)))
            .collect();
        if !words.is_empty()
            && words.len() >= fitting.len()
            && let Some(error) = fitting.first().and_then(|b| b.first())
        {
            return self.unknown_value(at, &words, error, out);
        }
        // Of forms that could all be meant, the one with the least against it; between equals the last, since a
        // shorthand comes before the whole form.
        let weight = |b: &&&Branch<'_>| {
            b.iter()
                .map(|e| usize::from(self.path(e) == *at) * 2 + 1)
                .sum::<usize>()
        };
        if let Some(best) = fitting.iter().rev().min_by_key(weight) {
            self.speak(best, out);
        }
    }

    fn speak(&self, branch: &Branch<'_>, out: &mut Vec<Problem>) {
        for error in branch {
            drill(self, error, out);
        }
    }

    fn no_type_fits(&self, at: &Pointer, branches: &[Branch<'_>], out: &mut Vec<Problem>) {
        let mut wanted: Vec<String> = Vec::new();
        let mut words: Vec<String> = Vec::new();
        let mut about = None;
        for error in branches.iter().filter_map(|b| {
            b.iter()
                .find(|e| matches!(e.kind(), Kind::Type { .. }) && self.path(e) == *at)
        }) {
            about = about.or(Some(*error));
            if let Some(word) = self.own(error).and_then(|s| s.get("const")) {
                words.push(literal(word));
            } else if let Some(phrase) = self.own(error).and_then(expected)
                && phrase != "nothing"
                && !wanted.contains(&phrase)
            {
                wanted.push(phrase);
            }
        }
        if !words.is_empty() {
            wanted.insert(0, one_of(words.into_iter()));
        }
        if let Some(error) = about {
            let wanted = (!wanted.is_empty()).then(|| wanted.join(" or "));
            self.wrong_type(at, error, wanted, out);
        }
    }
}

/// The description nearest to the use, which says more than that of a shared type.
fn described<'s>(chain: &[&'s Value]) -> Option<&'s str> {
    chain
        .iter()
        .find_map(|s| s.get("description").and_then(Value::as_str))
}

/// The values that an error of `const` or `enum` would have accepted.
fn wanted_values(error: &ValidationError<'_>) -> Vec<Value> {
    match error.kind() {
        Kind::Constant { expected_value } => vec![(**expected_value).clone()],
        Kind::Enum { options } => options.as_array().cloned().unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// Alternatives within an alternative (an optional value of several forms, say) count as one list.
fn flatten<'e>(
    cx: &Context<'_>,
    at: &Pointer,
    context: &'e [Vec<ValidationError<'static>>],
    out: &mut Vec<Branch<'e>>,
) {
    for errors in context {
        match errors.as_slice() {
            [only] if cx.path(only) == *at => match only.kind() {
                Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                    flatten(cx, at, context, out)
                }
                _ => out.push(vec![only]),
            },
            several => out.push(several.iter().collect()),
        }
    }
}
