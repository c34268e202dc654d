//! `tests`: what the author expects, run by `tidings test` with no network.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::time_problem;
use super::codes;
use super::diagnostic::{Findings, Pointer, quote};
use super::duration::Duration;
use super::peer::Peer;
use crate::time::WallClock;

/// One expectation about one made-up person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
// Required keys have a serde default: the schema says what is missing, and the other checks still run.
#[schemars(extend("required" = ["name", "contact", "expect"]))]
pub struct SpecTest {
    /// What is tested; unique in the spec.
    #[schemars(example = &"greets by first name", length(min = 1, max = 200))]
    #[serde(default)]
    pub name: String,
    /// The moment at which it is: a wall-clock time of the schedule's zone, or one with its own offset.
    /// 2026-01-01T12:00:00Z where absent.
    #[schemars(example = &"2026-12-01T09:00", length(min = 1, max = 64))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<String>,
    /// The person. He was found by the campaign's sources.
    #[schemars(example = serde_json::json!({"first_name": "Anna", "username": "anna"}))]
    #[serde(default)]
    pub contact: TestContact,
    /// What should come of it.
    #[schemars(example = serde_json::json!({"included": true, "text_contains": ["Anna"]}))]
    #[serde(default)]
    pub expect: Expect,
}

/// A made-up person.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TestContact {
    /// Telegram's own number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), example = 123_456_789)]
    pub id: Option<i64>,
    /// The first name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"Anna", length(max = 256))]
    pub first_name: Option<String>,
    /// The last name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"Petrova", length(max = 256))]
    pub last_name: Option<String>,
    /// The public name, with or without `@`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"anna", length(max = 64))]
    pub username: Option<String>,
    /// The phone in international form.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"+15550100", length(max = 32))]
    pub phone: Option<String>,
    /// Whether he has Telegram Premium; no where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = true)]
    pub premium: Option<bool>,
    /// Whether it is a bot; no where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = false)]
    pub bot: Option<bool>,
    /// Whether the account is deleted; no where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = false)]
    pub deleted: Option<bool>,
    /// Whether he is admin of a place that is read; no where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = false)]
    pub admin: Option<bool>,
    /// How long ago he was seen; just now where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"2d")]
    pub last_seen: Option<Duration>,
    /// Whether he hides when he was seen; no where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = false)]
    pub last_seen_hidden: Option<bool>,
    /// How long ago a campaign contacted him; never where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"10d")]
    pub contacted: Option<Duration>,
    /// The sources of `filters.in` and `filters.exclude` that name him, by their peer, path or type. Where absent, all
    /// of `in` do and none of `exclude`; a `list` is read as it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &["@rust_meetup"], length(max = 100), inner(length(max = 1000)))]
    pub found_in: Option<Vec<String>>,
    /// The other columns of the file that names him.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(example = serde_json::json!({"city": "Kazan"}))]
    pub fields: BTreeMap<String, String>,
}

/// The reasons for which a person is excluded, as the report names them.
fn exclusions() -> Vec<&'static str> {
    crate::model::Exclusion::ALL
        .iter()
        .map(|reason| reason.name())
        .collect()
}

/// What should come of one person.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("minProperties" = 1))]
pub struct Expect {
    /// Whether the filters let him through.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = true)]
    pub included: Option<bool>,
    /// The reason under which he is excluded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"bot", extend("enum" = exclusions()))]
    pub excluded: Option<String>,
    /// The message whose text is looked at: 0 (default) is the first one, 1 the first follow-up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = 1, extend("default" = 0))]
    pub step: Option<u16>,
    /// The variant that is looked at; all of the message where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"short", length(min = 1, max = 63))]
    pub variant: Option<String>,
    /// The whole text, without markup and white space around it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"Hi Anna!", length(max = 20_000))]
    pub text: Option<String>,
    /// Each of these stands in the text, without its markup.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = &["Anna"], length(max = 100))]
    pub text_contains: Vec<String>,
    /// None of these stands in the text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = &["{{", "None"], length(max = 100))]
    pub text_not_contains: Vec<String>,
    /// The outcome by which he gets no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"template_error", extend("enum" = ["template_error", "too_long"]))]
    pub outcome: Option<String>,
}

impl Expect {
    /// The message whose text is looked at.
    pub fn step(&self) -> u16 {
        self.step.unwrap_or(0)
    }

    /// Whether it says anything about a text.
    pub fn asks_for_text(&self) -> bool {
        self.text.is_some()
            || self.outcome.is_some()
            || !self.text_contains.is_empty()
            || !self.text_not_contains.is_empty()
    }
}

/// Checks the tests; `steps` are the names of the templates of each message, the first one's first.
pub(super) fn check(tests: &[SpecTest], steps: &[Vec<&str>], at: &Pointer, out: &mut Findings) {
    for (index, test) in tests.iter().enumerate() {
        let place = at.index(index);
        if tests[..index].iter().any(|other| other.name == test.name) {
            out.error(
                &place.key("name"),
                codes::DUPLICATE_TEST,
                format!("the test name {} stands twice", quote(&test.name)),
            )
            .detail("`tidings test` names what fails: each test needs its own name.");
        }
        if let Some(now) = &test.now
            && let Err(problem) = WallClock::parse(now)
        {
            time_problem(problem, codes::BAD_TIME, &place.key("now"), out);
        }
        let (contact, at) = (&test.contact, place.key("contact"));
        if let Some(phone) = &contact.phone
            && !matches!(Peer::parse(phone), Ok(Peer::Phone(_)))
        {
            out.error(
                &at.key("phone"),
                codes::OUT_OF_RANGE,
                format!("{} is no phone", quote(phone)),
            )
            .detail("A phone in international form is expected, such as \"+15550100\".");
        }
        let expect = &test.expect;
        if expect.included == Some(true) && expect.excluded.is_some() {
            out.error(
                &place.key("expect").key("excluded"),
                codes::NO_EFFECT,
                "the test expects both that he is included and why he is not",
            )
            .at_key()
            .detail("Keep `included: true`, or `excluded` with the reason.");
        }
        let at = place.key("expect");
        let variants = steps.get(usize::from(expect.step()));
        if variants.is_none() {
            out.error(
                &at.key("step"),
                codes::OUT_OF_RANGE,
                format!("there is no step {}", expect.step()),
            )
            .detail("0 is the first message, 1 the first of `follow_ups`.");
        }
        if let Some(variant) = &expect.variant
            && let Some(variants) = variants
            && !variants.contains(&variant.as_str())
        {
            out.error(
                &at.key("variant"),
                codes::UNKNOWN_VARIANT,
                format!("no template has the name {}", quote(variant)),
            )
            .detail("A name of that message's `templates` is expected.")
            .did_you_mean(variant, variants.iter().copied());
        }
        let excluded = expect.included == Some(false) || expect.excluded.is_some();
        if excluded && expect.asks_for_text() {
            let key = if expect.text.is_some() {
                "text"
            } else if expect.outcome.is_some() {
                "outcome"
            } else if expect.text_contains.is_empty() {
                "text_not_contains"
            } else {
                "text_contains"
            };
            out.error(
                &at.key(key),
                codes::NO_EFFECT,
                "who is excluded gets no text",
            )
            .at_key()
            .detail("Keep what is expected of the filters, or what is expected of the text.");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::table;

    #[test]
    fn tests_are_checked() {
        table(&[
            (
                "one",
                "tests: [{name: greets, contact: {first_name: Anna, username: anna, fields: {city: Kazan}}, expect: {included: true, text_contains: [Anna]}}]",
                &[],
            ),
            (
                "one for an exclusion",
                "tests: [{name: bots, contact: {bot: true}, expect: {included: false, excluded: bot}}]",
                &[],
            ),
            (
                "no expectation",
                "tests: [{name: t, contact: {}, expect: {}}]",
                &["out-of-range: {}"],
            ),
            (
                "an unknown reason",
                "tests: [{name: t, contact: {}, expect: {excluded: bots}}]",
                &["unknown-value: bots"],
            ),
            (
                "both",
                "tests: [{name: t, contact: {}, expect: {included: true, excluded: bot}}]",
                &["no-effect: excluded"],
            ),
            (
                "a name twice",
                "tests: [{name: t, contact: {}, expect: {included: true}}, {name: t, contact: {}, expect: {included: true}}]",
                &["duplicate-test: t"],
            ),
            (
                "a moment, and a variant's text",
                "tests: [{name: t, now: 2026-12-01T09:00, contact: {}, expect: {variant: t, text: Hi, text_not_contains: [None]}}]",
                &[],
            ),
            (
                "no moment",
                "tests: [{name: t, now: tomorrow, contact: {}, expect: {included: true}}]",
                &["bad-time: tomorrow"],
            ),
            (
                "a variant that is not there",
                "tests: [{name: t, contact: {}, expect: {variant: shrt, text_contains: [Hi]}}]",
                &["unknown-variant: shrt"],
            ),
            (
                "a text of a follow-up",
                "follow_ups: [{after: 3d, templates: [{name: nudge, text: Hi}]}]\ntests: [{name: t, contact: {}, expect: {step: 1, variant: nudge, text: Hi}}]",
                &[],
            ),
            (
                "a follow-up that is not there",
                "tests: [{name: t, contact: {}, expect: {step: 1, text: Hi}}]",
                &["out-of-range: 1"],
            ),
            (
                "a text of somebody who gets none",
                "tests: [{name: t, contact: {bot: true}, expect: {excluded: bot, text_contains: [Hi]}}]",
                &["no-effect: text_contains"],
            ),
            (
                "an outcome that is none of a text",
                "tests: [{name: t, contact: {}, expect: {outcome: blocked}}]",
                &["unknown-value: blocked"],
            ),
            (
                "no phone",
                "tests: [{name: t, contact: {phone: \"5550100\"}, expect: {included: true}}]",
                &["out-of-range: \"5550100\""],
            ),
            (
                "an unknown attribute",
                "tests: [{name: t, contact: {firstname: Anna}, expect: {included: true}}]",
                &["unknown-key: firstname"],
            ),
        ]);
    }
}
