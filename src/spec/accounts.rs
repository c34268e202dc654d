//! `accounts`: in whose name a campaign speaks.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::{CheckContext, no_duplicates};
use super::codes;
use super::diagnostic::{Findings, Pointer, did_you_mean, quote};
use super::engine::EngineSpec;

/// The accounts of a campaign (or of an owner): by name, or by the labels that tidings.yaml gives them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum AccountSelector {
    /// The names of their session files, without `.session`.
    Names(#[schemars(schema_with = "names_schema")] Vec<String>),
    /// Every account of tidings.yaml that has all these labels.
    Labels(LabelSelector),
}

fn names_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array",
        "description": "The names of their session files, without `.session`.",
        "examples": [["sales-1", "sales-2"]],
        "minItems": 1,
        "maxItems": 1000,
        "items": {
            "type": "string",
            "description": "The name of a session file without `.session`: at most 63 Latin letters, digits, `.`, `_` and `-`, beginning with a letter or digit.",
            "examples": ["sales-1"],
            "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
        }
    })
}

/// Accounts by their labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelSelector {
    /// All of these must be equal.
    #[schemars(example = serde_json::json!({"team": "sales"}), extend("minProperties" = 1))]
    pub labels: BTreeMap<String, String>,
}

/// The longest name of an account: it is part of a file's name.
pub const MAX_ACCOUNT_NAME: usize = 63;

/// Whether a text can name an account: it must be the stem of a file's name everywhere.
pub fn is_account_name(name: &str) -> bool {
    name.len() <= MAX_ACCOUNT_NAME
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

impl Default for AccountSelector {
    /// No account: what stands for a missing key until the check has said so.
    fn default() -> Self {
        Self::Names(Vec::new())
    }
}

impl AccountSelector {
    /// The names that it chooses: those it lists, in that order, or by labels, in the order of names.
    pub fn resolve(&self, engine: &EngineSpec) -> Vec<String> {
        match self {
            Self::Names(names) => {
                let mut seen = BTreeSet::new();
                names
                    .iter()
                    .filter(|name| seen.insert(name.as_str()))
                    .cloned()
                    .collect()
            }
            Self::Labels(selector) => engine
                .accounts
                .iter()
                .filter(|(_, settings)| selector.matches(&settings.labels))
                .map(|(name, _)| name.clone())
                .collect(),
        }
    }

    /// Checks that it chooses accounts, and warns of those that have no session file.
    pub(super) fn check(&self, at: &Pointer, cx: &CheckContext<'_>, out: &mut Findings) {
        match self {
            Self::Names(names) if names.is_empty() => {
                out.error(at, codes::NO_MATCHING_ACCOUNT, "no account is named")
                    .detail("At least one account is expected, such as `accounts: [sales-1]`.");
            }
            Self::Names(names) => {
                no_duplicates(names.iter().map(String::as_str), at, "account", out);
                for (index, name) in names.iter().enumerate() {
                    has_session(name, &at.index(index), cx, out);
                }
            }
            Self::Labels(selector) => {
                let names = self.resolve(cx.engine);
                if names.is_empty() && !cx.engine.unknown {
                    let labels: Vec<String> = selector
                        .labels
                        .iter()
                        .map(|(k, v)| format!("{k}: {v}"))
                        .collect();
                    out.error(
                        &at.key("labels"),
                        codes::NO_MATCHING_ACCOUNT,
                        format!("no account has the labels {{{}}}", labels.join(", ")),
                    )
                    .detail("Labels are given to accounts in tidings.yaml (`accounts: {NAME: {labels: {…}}}`); all must be equal.");
                }
                for name in names {
                    has_session(&name, at, cx, out);
                }
            }
        }
    }
}

impl LabelSelector {
    /// Whether these labels have all that it asks for.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.labels
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value))
    }
}

/// Warns where an account has no session file: CI has none, so that it is no error.
pub(super) fn has_session(name: &str, at: &Pointer, cx: &CheckContext<'_>, out: &mut Findings) {
    let Some(sessions) = cx.sessions else { return };
    if sessions.iter().any(|session| session == name) {
        return;
    }
    let known = sessions
        .iter()
        .chain(cx.engine.accounts.keys())
        .map(String::as_str);
    let finding = out.warning(
        at,
        codes::NO_SESSION,
        format!("the account {} has no session file", quote(name)),
    );
    finding.detail(format!(
        "`tidings account login {name} --phone …` makes it. Until then this account sends nothing."
    ));
    // An account of tidings.yaml is no slip.
    if !cx.engine.accounts.contains_key(name)
        && let Some(meant) = did_you_mean(name, known)
    {
        finding.suggestion(meant);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{table, table_with};
    use super::*;

    #[test]
    fn accounts_are_named_or_chosen_by_labels() {
        table(&[
            ("a name", "accounts: [main]", &[]),
            ("two names", "accounts: [main, second]", &[]),
            (
                "no session file",
                "accounts: [other]",
                &["warning no-session: other"],
            ),
            (
                "a name twice",
                "accounts: [main, main]",
                &["warning duplicate-item: main"],
            ),
            ("no name", "accounts: []", &["out-of-range: []"]),
            ("no accounts", "-accounts", &["missing-key: version"]),
            ("a bad name", "accounts: [../main]", &["bad-value: ../main"]),
            (
                "text instead of a list",
                "accounts: main",
                &["wrong-type: main"],
            ),
            (
                "labels that nobody has",
                "accounts: {labels: {team: sales}}",
                &["no-matching-account: {team: sales}"],
            ),
            (
                "an unknown key",
                "accounts: {label: {team: sales}}",
                &["unknown-key: label"],
            ),
        ]);
        table_with(
            "accounts: {main: {labels: {team: sales}}, third: {labels: {team: sales, x: y}}}",
            &[
                (
                    "labels; one account has no session",
                    "accounts: {labels: {team: sales}}",
                    &["warning no-session: {labels: {team: sales}}"],
                ),
                (
                    "all labels must be equal",
                    "accounts: {labels: {team: sales, x: z}}",
                    &["no-matching-account: {team: sales, x: z}"],
                ),
            ],
        );
    }

    #[test]
    fn names_keep_their_order_and_labels_go_by_name() {
        let engine = super::super::testing::engine(
            "accounts: {b: {labels: {t: x}}, a: {labels: {t: x}}, c: {}}",
        );
        let names = AccountSelector::Names(vec!["z".into(), "a".into(), "z".into()]);
        assert_eq!(names.resolve(&engine), ["z", "a"]);
        let labels = AccountSelector::Labels(LabelSelector {
            labels: [("t".to_owned(), "x".to_owned())].into(),
        });
        assert_eq!(labels.resolve(&engine), ["a", "b"]);
    }
}
