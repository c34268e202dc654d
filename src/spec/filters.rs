//! `filters`: who of those that the sources name is left out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::{
    CheckContext, TemplateNames, TextPlace, duration_within, no_duplicates, template_problems,
    template_warnings,
};
use super::codes;
use super::diagnostic::{Findings, Pointer};
use super::duration::{Duration, MAX_DURATION};
use super::sources;
use super::sources::Source;
use crate::text::Expression;

/// Whether people of one sort stay in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeepOrDrop {
    /// They are left out.
    Drop,
    /// They stay.
    Keep,
}

/// Whether a public name is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UsernameFilter {
    /// With or without.
    #[default]
    Any,
    /// Only people with a username.
    Required,
}

/// Whether Telegram Premium matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PremiumFilter {
    /// With or without.
    #[default]
    Any,
    /// Only people with Premium.
    Only,
    /// Only people without Premium.
    Never,
}

/// All of these must hold; each excluded person is counted under the first reason that excluded him.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Filters {
    /// Bots: `drop` (default) or `keep`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"drop", extend("default" = "drop"))]
    pub bots: Option<KeepOrDrop>,
    /// Deleted accounts: `drop` (default) or `keep`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"drop", extend("default" = "drop"))]
    pub deleted: Option<KeepOrDrop>,
    /// Admins and creators of the places that are read: `keep` (default) or `drop`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"keep", extend("default" = "keep"))]
    pub admins: Option<KeepOrDrop>,
    /// Whether a username is needed: `any` (default) or `required`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"required", extend("default" = "any"))]
    pub username: Option<UsernameFilter>,
    /// Whether Telegram Premium matters: `any` (default), `only` or `never`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"only", extend("default" = "any"))]
    pub premium: Option<PremiumFilter>,
    /// Seen within. Telegram's coarse statuses count as their latest moment (recently: 3d, last week: 7d, last
    /// month: 30d).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"14d")]
    pub last_seen: Option<Duration>,
    /// People who hide when they were seen: `drop` (default) or `keep`. Needs `last_seen`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"keep", extend("default" = "drop"))]
    pub last_seen_unknown: Option<KeepOrDrop>,
    /// Leaves out people whom a campaign contacted before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"within": "30d"}), example = serde_json::json!({"campaigns": ["winter"]}))]
    pub not_contacted: Option<NotContacted>,
    /// Also found by all of these sources.
    #[serde(rename = "in", skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = serde_json::json!([{"type": "authors", "peer": "@rust_meetup", "within": "30d"}]))]
    #[schemars(length(max = 20))]
    pub in_sources: Vec<Source>,
    /// Found by none of these sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = serde_json::json!([{"type": "members", "peer": "@our_channel"}]))]
    #[schemars(length(max = 20))]
    pub exclude: Vec<Source>,
    /// A minijinja expression over `contact` and `campaign` that must be true.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"contact.first_name and contact.fields.city == \"Kazan\"", length(min = 1, max = 4096))]
    pub where_: Option<String>,
    /// Audience ceiling, with a warning when it bites.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), example = 5000)]
    pub limit: Option<u32>,
}

/// Whom earlier campaigns have contacted. With both keys: by one of these campaigns, and within that time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("minProperties" = 1))]
pub struct NotContacted {
    /// How far back contacts count; for ever where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"30d")]
    pub within: Option<Duration>,
    /// By which campaigns; by any where absent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = &["winter"], length(min = 1))]
    pub campaigns: Vec<String>,
}

impl Filters {
    /// Whether bots stay.
    pub fn keeps_bots(&self) -> bool {
        self.bots == Some(KeepOrDrop::Keep)
    }

    /// Whether deleted accounts stay.
    pub fn keeps_deleted(&self) -> bool {
        self.deleted == Some(KeepOrDrop::Keep)
    }

    /// Whether admins stay.
    pub fn keeps_admins(&self) -> bool {
        self.admins != Some(KeepOrDrop::Drop)
    }

    /// Whether people stay of whom it is not known when they were seen.
    pub fn keeps_last_seen_unknown(&self) -> bool {
        self.last_seen_unknown == Some(KeepOrDrop::Keep)
    }
}

/// The shortest time that is asked about when somebody was seen or contacted.
const MIN_TIME: Duration = Duration::from_secs(1);

impl Filters {
    /// Checks the filters; the limits of tidings.yaml are held against `limit` beside the other ones.
    pub(super) fn check(
        &self,
        at: &Pointer,
        own_name: &str,
        names: &TemplateNames,
        cx: &CheckContext<'_>,
        out: &mut Findings,
    ) {
        if let Some(last_seen) = self.last_seen {
            duration_within(last_seen, MIN_TIME, MAX_DURATION, &at.key("last_seen"), out);
        } else if self.last_seen_unknown.is_some() {
            out.warning(&at.key("last_seen_unknown"), codes::NO_EFFECT, "`last_seen_unknown` without `last_seen`")
                .at_key()
                .detail("It says what becomes of people whose `last_seen` is hidden; add `last_seen`, or take it out.");
        }
        if let Some(not_contacted) = &self.not_contacted {
            let at = at.key("not_contacted");
            if let Some(within) = not_contacted.within {
                duration_within(within, MIN_TIME, MAX_DURATION, &at.key("within"), out);
            }
            let at = at.key("campaigns");
            no_duplicates(
                not_contacted.campaigns.iter().map(String::as_str),
                &at,
                "campaign",
                out,
            );
            for (index, name) in not_contacted.campaigns.iter().enumerate() {
                let at = at.index(index);
                // A campaign whose file is gone still has its history: an unknown name is no error.
                if let Some(known) = cx.campaigns
                    && !known.contains_key(name)
                {
                    out.warning(
                        &at,
                        codes::UNKNOWN_CAMPAIGN,
                        format!("there is no campaign {}", super::diagnostic::quote(name)),
                    )
                    .detail("A retired campaign counts too; otherwise this filter changes nothing.")
                    .did_you_mean(name, known.keys().map(String::as_str));
                }
            }
        }
        sources::check(&self.in_sources, &at.key("in"), own_name, cx, out);
        sources::check(&self.exclude, &at.key("exclude"), own_name, cx, out);
        if let Some(expression) = &self.where_ {
            let at = at.key("where");
            let place = TextPlace::Inline(at);
            match Expression::compile(expression, names) {
                Ok(compiled) => template_warnings(compiled.warnings(), &place, out),
                Err(problems) => template_problems(problems, &place, out),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{table, table_with};

    #[test]
    fn filters_are_checked() {
        table(&[
            (
                "all of them",
                "filters: {bots: keep, deleted: drop, admins: drop, username: required, premium: never, last_seen: 14d, last_seen_unknown: keep, not_contacted: {within: 30d, campaigns: [winter]}, in: [{type: authors, peer: \"@g1\"}], exclude: [{type: members, peer: \"@g2\"}], where: contact.first_name, limit: 5000}",
                &[],
            ),
            ("nothing", "filters: {}", &[]),
            (
                "a column compared with a number",
                "sources: [{type: file, path: people.csv}]\nfilters: {where: contact.fields.city > 3}",
                &["warning text-compared-with-number: contact.fields.city"],
            ),
            (
                "a word that is not allowed",
                "filters: {bots: dorp}",
                &["unknown-value: dorp"],
            ),
            (
                "an unknown key",
                "filters: {lastseen: 3d}",
                &["unknown-key: lastseen"],
            ),
            (
                "a number of days",
                "filters: {last_seen: 14}",
                &["wrong-type: 14"],
            ),
            (
                "last seen never",
                "filters: {last_seen: 0s}",
                &["out-of-range: 0s"],
            ),
            (
                "unknown without last_seen",
                "filters: {last_seen_unknown: keep}",
                &["warning no-effect: last_seen_unknown"],
            ),
            (
                "an empty not_contacted",
                "filters: {not_contacted: {}}",
                &["out-of-range: {}"],
            ),
            (
                "a campaign that nobody has",
                "filters: {not_contacted: {campaigns: [wintr]}}",
                &["warning unknown-campaign: wintr"],
            ),
            (
                "a misspelt attribute",
                "filters: {where: contact.frist_name}",
                &["unknown-attribute: frist_name"],
            ),
            (
                "a broken expression",
                "filters: {where: \"contact.id ==\"}",
                &["template-syntax: =="],
            ),
            (
                "a broken source",
                "filters: {in: [{type: members, peer: 5}]}",
                &["wrong-type: 5"],
            ),
            (
                "too many people",
                "filters: {limit: 100001}",
                &["limit-exceeded: 100001"],
            ),
        ]);
        table_with(
            "plans: {default: {max_audience: 5000}}\nlimits: {max_audience: 200000}",
            &[
                (
                    "the plan of those without an owner",
                    "filters: {limit: 5001}",
                    &["limit-exceeded: 5001"],
                ),
                ("within it", "filters: {limit: 5000}", &[]),
            ],
        );
    }

    #[test]
    fn fields_are_those_of_the_files() {
        table(&[
            (
                "a column",
                "sources: [{type: file, path: people.csv}]\nfilters: {where: contact.fields.city == \"Kazan\"}",
                &[],
            ),
            (
                "no such column",
                "sources: [{type: file, path: people.csv}]\nfilters: {where: contact.fields.town}",
                &["unknown-column: town"],
            ),
            (
                "no file at all",
                "filters: {where: contact.fields.town}",
                &[],
            ),
        ]);
    }
}
