//! The engine of templates: which filters, tests and functions there are, and its limits.

use std::fmt::Write as _;
use std::sync::Arc;

use chrono::format::{Item, StrftimeItems};
use chrono::{Datelike, Duration, Timelike};
use minijinja::value::{Kwargs, Object, ObjectRepr, Rest, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};

use super::{Format, escape};
use crate::model::Timestamp;
use crate::time::Zone;

/// Steps of one rendering. Measured: every bomb tried stopped within 6 MB; a long honest text takes
/// some hundreds.
const FUEL: u64 = 50_000;
/// How deep macros and loops may call themselves.
const RECURSION_LIMIT: usize = 100;
/// What one filter of ours may produce, in bytes; a message is far shorter.
const MAX_FILTER_OUTPUT: usize = 64 * 1024;

/// The filters of a template: minijinja's, and `date` and `urlencode`. `tojson` is absent, since it
/// would let a person's name through as markup.
pub(super) const FILTERS: [&str; 50] = [
    "abs",
    "attr",
    "batch",
    "bool",
    "capitalize",
    "chain",
    "count",
    "d",
    "date",
    "default",
    "dictsort",
    "e",
    "escape",
    "first",
    "float",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "pprint",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "slice",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "trim",
    "unique",
    "upper",
    "urlencode",
    "zip",
    "truncate",
];

/// The tests of a template: minijinja's.
pub(super) const TESTS: [&str; 40] = [
    "undefined",
    "defined",
    "none",
    "safe",
    "escaped",
    "boolean",
    "odd",
    "even",
    "divisibleby",
    "number",
    "integer",
    "int",
    "float",
    "string",
    "sequence",
    "iterable",
    "mapping",
    "startingwith",
    "endingwith",
    "lower",
    "upper",
    "sameas",
    "eq",
    "equalto",
    "==",
    "ne",
    "!=",
    "lt",
    "lessthan",
    "<",
    "le",
    "<=",
    "gt",
    "greaterthan",
    ">",
    "ge",
    ">=",
    "in",
    "true",
    "false",
];

/// The functions of a template: minijinja's, but `debug`, which would print a person's data.
pub(super) const FUNCTIONS: [&str; 3] = ["range", "dict", "namespace"];

/// An engine without templates. `where` expressions are lenient, texts are not.
pub(super) fn environment(format: Format, lenient: bool) -> Environment<'static> {
    let mut env = Environment::new();
    env.set_undefined_behavior(if lenient {
        UndefinedBehavior::Chainable
    } else {
        UndefinedBehavior::SemiStrict
    });
    // Undefined values then remember their name, so that errors can say it.
    env.set_debug(true);
    env.set_fuel(Some(FUEL));
    env.set_recursion_limit(RECURSION_LIMIT);
    env.remove_global("debug");
    env.remove_filter("tojson");
    env.remove_test("filter");
    env.remove_test("test");
    env.set_auto_escape_callback(move |_| match format {
        Format::Plain => AutoEscape::None,
        Format::Markdown => AutoEscape::Custom("markdown".into()),
        Format::Html => AutoEscape::Custom("html".into()),
    });
    env.set_formatter(move |out, state, value| {
        let written = match value.as_str() {
            Some(text) if value.is_safe() || *state.auto_escape() == AutoEscape::None => {
                out.write_str(text)
            }
            Some(text) => out.write_str(&escape(text, format)),
            None if *state.auto_escape() == AutoEscape::None => write!(out, "{value}"),
            None => out.write_str(&escape(&value.to_string(), format)),
        };
        written.map_err(Error::from)
    });
    let escape_filter = move |value: &Value| -> Result<Value, Error> {
        if value.is_undefined() {
            return Err(undefined());
        }
        if value.is_safe() {
            return Ok(value.clone());
        }
        Ok(Value::from_safe_string(escape(&value.to_string(), format)))
    };
    env.add_filter("escape", escape_filter);
    env.add_filter("e", escape_filter);
    env.add_filter("date", date);
    env.add_filter("urlencode", urlencode);
    env.add_filter("truncate", truncate);
    env.add_filter("join", move |value: &Value, joiner: Option<&str>| {
        join(value, joiner, lenient)
    });
    env
}

fn undefined() -> Error {
    Error::from(ErrorKind::UndefinedError)
}

/// `now`: shown as ISO time in the schedule's zone, with `year`, `month`, `day`, `hour`, `minute`,
/// `second` and `weekday` (its English name).
#[derive(Debug)]
pub(super) struct Now {
    pub(super) at: Timestamp,
    pub(super) zone: Zone,
}

impl Object for Now {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let local = self.zone.local(self.at);
        Some(match key.as_str()? {
            "year" => Value::from(local.year()),
            "month" => Value::from(local.month()),
            "day" => Value::from(local.day()),
            "hour" => Value::from(local.hour()),
            "minute" => Value::from(local.minute()),
            "second" => Value::from(local.second()),
            "weekday" => Value::from(local.format("%A").to_string()),
            _ => return None,
        })
    }

    fn render(self: &Arc<Self>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.zone.iso(self.at))
    }
}

/// What is wrong with a strftime format.
pub(super) fn date_format_problem(format: &str) -> Option<String> {
    /// Longer formats are mistakes.
    const MAX_FORMAT: usize = 200;
    if format.len() > MAX_FORMAT {
        return Some("the date format is too long".to_string());
    }
    StrftimeItems::new(format)
        .any(|item| matches!(item, Item::Error))
        .then(|| format!("'{format}' is not a date format"))
}

/// `now | date("%d.%m.%Y")`, `now | date("%d.%m", days=3)`: strftime, in the schedule's zone,
/// optionally so many calendar days later.
fn date(value: &Value, format: Option<&str>, kwargs: Kwargs) -> Result<String, Error> {
    let format = format.unwrap_or("%Y-%m-%d");
    let days = kwargs.get::<Option<i64>>("days")?.unwrap_or(0);
    kwargs.assert_all_used()?;
    if value.is_undefined() {
        return Err(undefined());
    }
    let invalid = |message: String| Error::new(ErrorKind::InvalidOperation, message);
    let now = value
        .downcast_object_ref::<Now>()
        .ok_or_else(|| invalid("the filter date takes only now".into()))?;
    if let Some(problem) = date_format_problem(format) {
        return Err(invalid(problem));
    }
    // A calendar day later is the same time on the clock, whatever the clock does in between.
    let at = Duration::try_days(days)
        .filter(|_| days.abs() <= 36_600)
        .and_then(|days| now.zone.local(now.at).checked_add_signed(days))
        .ok_or_else(|| invalid(format!("{days} days are out of range")))?;
    let mut text = String::new();
    write!(text, "{}", now.zone.at(now.zone.instant(at)).format(format))
        .map_err(|_| invalid(format!("'{format}' is not a date format")))?;
    Ok(text)
}

/// Percent-encodes all but RFC 3986's unreserved characters, for links.
fn urlencode(value: &str) -> Result<String, Error> {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(byte as char);
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        if out.len() > MAX_FILTER_OUTPUT {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "the text is too long",
            ));
        }
    }
    Ok(out)
}

/// `value | truncate(40)`: at most so many characters, the last of them `…` where something was cut.
fn truncate(value: &str, length: Option<usize>, rest: Rest<Value>) -> Result<String, Error> {
    if !rest.is_empty() {
        return Err(Error::from(ErrorKind::TooManyArguments));
    }
    let length = length.unwrap_or(255);
    if value.chars().count() <= length {
        return Ok(value.to_string());
    }
    let mut cut: String = value.chars().take(length.saturating_sub(1)).collect();
    cut.push('…');
    Ok(cut)
}

/// As minijinja's, but what a person lacks is an error here too.
fn join(value: &Value, joiner: Option<&str>, lenient: bool) -> Result<String, Error> {
    let mut out = String::new();
    if value.is_undefined() && lenient {
        return Ok(out);
    }
    if value.is_undefined() {
        return Err(undefined());
    }
    for (index, item) in value.try_iter()?.enumerate() {
        if item.is_undefined() && !lenient {
            return Err(undefined());
        }
        if index > 0 {
            out.push_str(joiner.unwrap_or(""));
        }
        let _ = write!(out, "{item}");
        if out.len() > MAX_FILTER_OUTPUT {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "the joined text is too long",
            ));
        }
    }
    Ok(out)
}
