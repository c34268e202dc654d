//! `tests`: what the author expects, run by `tidings test` with no network.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::codes;
use super::diagnostic::{Findings, Pointer, quote};
use super::duration::Duration;
use super::peer::Peer;

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
    /// The person.
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
    /// How long ago he was seen; hidden where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"2d")]
    pub last_seen: Option<Duration>,
    /// How long ago a campaign contacted him; never where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"10d")]
    pub contacted: Option<Duration>,
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
    /// Each of these stands in the text of every variant of the first message.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = &["Anna"], length(max = 100))]
    pub text_contains: Vec<String>,
    /// None of these stands in the text of any variant of the first message.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = &["{{", "None"], length(max = 100))]
    pub text_lacks: Vec<String>,
}

/// Checks the tests.
pub(super) fn check(tests: &[SpecTest], at: &Pointer, out: &mut Findings) {
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
