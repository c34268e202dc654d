//! `plans` and `owners`: who may do how much.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::spec::accounts::AccountSelector;
use crate::spec::campaign::CampaignSpec;
use crate::spec::check::CheckContext;
use crate::spec::codes;
use crate::spec::diagnostic::{Findings, Pointer, quote};
use crate::spec::duration::Duration;
use crate::spec::engine::EngineSpec;

/// What the campaigns of one owner may take; no limit where a key is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Plan {
    /// People in one campaign's audience.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), example = 5000)]
    pub max_audience: Option<u32>,
    /// Campaigns of one owner that run at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), example = 1)]
    pub max_running: Option<u32>,
    /// The least time between the end of one of the owner's runs and the start of the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"1h")]
    pub cooldown: Option<Duration>,
}

/// Who owns campaigns, and what is his.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Owner {
    /// An entry of `plans`; no limits of a plan where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"paid", length(min = 1, max = 63))]
    pub plan: Option<String>,
    /// The accounts that his campaigns may use; any where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"labels": {"team": "sales"}}))]
    pub accounts: Option<AccountSelector>,
    /// Where his specs lie, from the workspace on: `*` is any part of a name, `**` any folders; anywhere where
    /// absent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = &["campaigns/growth/**"], length(max = 100), inner(length(min = 1, max = 1024)))]
    pub paths: Vec<String>,
}

/// The plan of campaigns without an owner.
pub const DEFAULT_PLAN: &str = "default";

/// The plan of an owner's campaigns by name, or that of campaigns without one.
pub fn plan_of<'a>(owner: Option<&str>, engine: &'a EngineSpec) -> Option<(&'a str, &'a Plan)> {
    let name = match owner {
        Some(owner) => engine.owners.as_ref()?.get(owner)?.plan.as_deref()?,
        None => DEFAULT_PLAN,
    };
    engine
        .plans
        .get_key_value(name)
        .map(|(name, plan)| (name.as_str(), plan))
}

/// Holds a campaign against its owner: that there is one, and that its file and accounts are his.
pub(in crate::spec) fn check_owner(spec: &CampaignSpec, cx: &CheckContext<'_>, out: &mut Findings) {
    let at = Pointer::root().key("owner");
    let (name, owners) = match (&spec.owner, &cx.engine.owners) {
        (None, None) => return,
        (None, Some(owners)) => {
            let names: Vec<&str> = owners.keys().map(String::as_str).collect();
            out.error(&at, codes::OWNER_REQUIRED, "the campaign names no owner")
                .detail(format!(
                    "tidings.yaml has owners, so that every campaign names one of: {}.",
                    names.join(", ")
                ));
            return;
        }
        (Some(_), None) if cx.engine.unknown => return,
        (Some(name), None) => {
            out.error(
                &at,
                codes::UNKNOWN_OWNER,
                format!("there is no owner {}", quote(name)),
            )
            .detail("tidings.yaml has no `owners`. Add him there, or take the key out.");
            return;
        }
        (Some(name), Some(owners)) => (name, owners),
    };
    let Some(owner) = owners.get(name) else {
        let names: Vec<&str> = owners.keys().map(String::as_str).collect();
        out.error(
            &at,
            codes::UNKNOWN_OWNER,
            format!("there is no owner {}", quote(name)),
        )
        .detail(format!("tidings.yaml has: {}.", names.join(", ")))
        .did_you_mean(name, owners.keys().map(String::as_str));
        return;
    };
    if !owner.paths.is_empty()
        && !owner
            .paths
            .iter()
            .any(|pattern| glob_matches(pattern, cx.file))
    {
        out.error(
            &at,
            codes::BEYOND_OWNER,
            format!("the file is not in a folder of {}", quote(name)),
        )
        .detail(format!(
            "His specs lie in: {}. Move the file, or name another owner.",
            owner.paths.join(", ")
        ));
    }
    if let Some(allowed) = &owner.accounts {
        let allowed = allowed.resolve(cx.engine);
        let at = Pointer::root().key("accounts");
        for (index, account) in spec.accounts.resolve(cx.engine).iter().enumerate() {
            if !allowed.contains(account) {
                let place = match &spec.accounts {
                    crate::spec::AccountSelector::Names(names) => at.index(
                        names
                            .iter()
                            .position(|other| other == account)
                            .unwrap_or(index),
                    ),
                    crate::spec::AccountSelector::Labels(_) => at.clone(),
                };
                out.error(
                    &place,
                    codes::BEYOND_OWNER,
                    format!(
                        "the account {} is not one of {}",
                        quote(account),
                        quote(name)
                    ),
                )
                .detail(if allowed.is_empty() {
                    "This owner has no account at all: look at `owners` in tidings.yaml.".to_owned()
                } else {
                    format!("His accounts are: {}.", allowed.join(", "))
                });
            }
        }
    }
}

/// Checks the owners and plans of tidings.yaml.
pub(super) fn check(engine: &EngineSpec, out: &mut Findings) {
    let root = Pointer::root().key("owners");
    for (name, owner) in engine.owners.iter().flatten() {
        let at = root.key(name);
        if let Some(plan) = &owner.plan
            && !engine.plans.contains_key(plan)
        {
            let names: Vec<&str> = engine.plans.keys().map(String::as_str).collect();
            out.error(
                &at.key("plan"),
                codes::UNKNOWN_PLAN,
                format!("there is no plan {}", quote(plan)),
            )
            .detail(if names.is_empty() {
                "tidings.yaml has no `plans`.".to_owned()
            } else {
                format!("There are: {}.", names.join(", "))
            })
            .did_you_mean(plan, engine.plans.keys().map(String::as_str));
        }
        if let Some(accounts) = &owner.accounts
            && accounts.resolve(engine).is_empty()
        {
            out.warning(
                &at.key("accounts"),
                codes::NO_MATCHING_ACCOUNT,
                format!("the owner {} has no account", quote(name)),
            )
            .detail(
                "None of his campaigns can be valid. Give accounts of tidings.yaml these labels.",
            );
        }
        for (index, pattern) in owner.paths.iter().enumerate() {
            let fine = pattern == "**"
                || pattern.starts_with("campaigns/")
                || pattern.starts_with("**/")
                || pattern.starts_with("*/");
            if !fine || pattern.contains('\\') {
                out.error(
                    &at.key("paths").index(index),
                    codes::BAD_PATTERN,
                    format!("{} can match no spec", quote(pattern)),
                )
                .detail(
                    "A pattern from the workspace on is expected, such as `campaigns/growth/**`.",
                );
            }
        }
    }
}

/// Whether a path matches a pattern: `*` is any part of a name, `?` one character of it, `**` any folders, also none.
pub fn glob_matches(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    matches_from(
        pattern.len(),
        path.len(),
        |p| pattern[p] == "**",
        |p, s| {
            let (pattern, name): (Vec<char>, Vec<char>) =
                (pattern[p].chars().collect(), path[s].chars().collect());
            matches_from(
                pattern.len(),
                name.len(),
                |p| pattern[p] == '*',
                |p, s| pattern[p] == '?' || pattern[p] == name[s],
            )
        },
    )
}

/// Matching with wildcards of any length, in time of the product of both lengths, whatever the pattern.
fn matches_from(
    pattern: usize,
    subject: usize,
    any: impl Fn(usize) -> bool,
    one: impl Fn(usize, usize) -> bool,
) -> bool {
    // reach[s]: the pattern so far matches the first `s` of the subject.
    let mut reach = vec![false; subject + 1];
    reach[0] = true;
    for p in 0..pattern {
        let mut next = vec![false; subject + 1];
        if any(p) {
            let mut open = false;
            for s in 0..=subject {
                open |= reach[s];
                next[s] = open;
            }
        } else {
            for s in 0..subject {
                next[s + 1] = reach[s] && one(p, s);
            }
        }
        reach = next;
    }
    reach[subject]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_as_gitignore_would() {
        for (pattern, path, expected) in [
            ("campaigns/growth/**", "campaigns/growth/a.yaml", true),
            ("campaigns/growth/**", "campaigns/growth/deep/a.yaml", true),
            ("campaigns/growth/**", "campaigns/growth2/a.yaml", false),
            ("campaigns/*.yaml", "campaigns/a.yaml", true),
            ("campaigns/*.yaml", "campaigns/x/a.yaml", false),
            ("campaigns/**/a.yaml", "campaigns/a.yaml", true),
            ("campaigns/**/a.yaml", "campaigns/x/y/a.yaml", true),
            ("**", "campaigns/x/a.yaml", true),
            ("campaigns/spring-*", "campaigns/spring-launch.yaml", true),
            ("campaigns/?.yaml", "campaigns/ab.yaml", false),
            ("campaigns/a.yaml", "campaigns/a.yaml", true),
            ("campaigns", "campaigns/a.yaml", false),
        ] {
            assert_eq!(glob_matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn a_hostile_pattern_costs_no_time() {
        let pattern = format!("campaigns/{}b", "*a".repeat(400));
        assert!(!glob_matches(
            &pattern,
            &format!("campaigns/{}", "a".repeat(800))
        ));
    }
}
