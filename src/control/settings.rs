//! What `tidings.yaml` says, so that a change of it is an event with its commit, as a spec's is.
//!
//! # Guarantees
//! Nothing of a person and no secret goes into the journal: where one may stand, only that it is another one is told.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::commits::Commits;
use super::{Core, against};
use crate::desired::{hex, is_hidden};
use crate::model::Event;
use crate::status::against::{FieldChange, words};

/// Changes told one by one.
const MAX_TOLD: usize = 20;

/// The event of a `tidings.yaml` that says something else than when it was last looked at; none while it is invalid.
pub(super) fn seen(core: &Core) -> Option<Event> {
    if !core.config_valid {
        return None;
    }
    let known = core.observed.settings.as_ref();
    let now = &core.desired.engine.written;
    let said = now.to_string();
    if known.map_or(now.is_null(), |known| known.said == said) {
        return None;
    }
    let before = known.and_then(|known| serde_json::from_str::<Value>(&known.said).ok());
    let changes = before.map(|before| told(&before, now));
    // The same in another order.
    if changes.as_ref().is_some_and(Vec::is_empty) {
        return None;
    }
    let file = core.workspace.config_name();
    let commits = Commits::read(&core.workspace.root);
    let commit = commits.of([file.as_str()]);
    Some(Event::SettingsSeen {
        generation: known.map_or(1, |known| known.generation + 1),
        digest: hex(&Sha256::digest(&said)),
        said,
        changes: changes.unwrap_or_default(),
        commit: commit.map(|commit| commit.hash.clone()),
        author: commit.map(|commit| commit.author.clone()),
        file,
    })
}

/// What differs, one line each.
fn told(before: &Value, now: &Value) -> Vec<String> {
    // Without a file everything has come or gone, place by place.
    let places = |value: &Value| match value {
        Value::Object(_) => value.clone(),
        _ => Value::Object(Map::new()),
    };
    let mut changes = against::of_settings(&places(before), &places(now));
    // What is left out where there are many is nothing that a safeguard holds by.
    changes.sort_by_key(|change| !change.path.starts_with("limits."));
    let line = |change: &FieldChange| {
        let line = words(&against::told(change))?;
        let hidden = [&change.before, &change.after]
            .into_iter()
            .flatten()
            .any(is_hidden);
        Some(match (hidden, line.split_once(": ")) {
            (true, Some((place, _))) => format!("{place} (not shown)"),
            _ => line,
        })
    };
    let mut lines: Vec<String> = changes.iter().filter_map(line).collect();
    let more = lines.len().saturating_sub(MAX_TOLD);
    lines.truncate(MAX_TOLD);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::desired::shown;

    fn changes(before: Value, now: Value) -> Vec<String> {
        told(&shown(&before), &shown(&now))
    }

    #[test]
    fn a_change_is_told_with_its_values_where_nobody_stands_in_them() {
        for (before, now, want) in [
            (
                json!({"limits": {"max_per_day": 40}}),
                json!({"limits": {"max_per_day": 60}, "on_invalid": "continue"}),
                vec!["~ limits.max_per_day: 40 → 60", "+ on_invalid: continue"],
            ),
            (
                json!({"accounts": {"sales-1": {"per_day": 40}}}),
                Value::Null,
                vec!["- accounts.sales-1.per_day: 40"],
            ),
            (json!({"limits": {}}), json!({"limits": {}}), vec![]),
            // Approvals switched off, and on again.
            (
                json!({"limits": {"max_per_day": 40}}),
                json!({"limits": {"max_per_day": 40, "approve_over": null}}),
                vec!["~ limits.approve_over: 500 (default) → null (never)"],
            ),
            (
                Value::Null,
                json!({"limits": {"approve_over": null}}),
                vec!["~ limits.approve_over: 500 (default) → null (never)"],
            ),
            (
                json!({"limits": {"approve_over": 400}}),
                json!({"limits": {"approve_over": null}}),
                vec!["~ limits.approve_over: 400 → null (never)"],
            ),
            (
                json!({"limits": {"approve_over": null}}),
                json!({}),
                vec!["~ limits.approve_over: null (never) → 500 (default)"],
            ),
            // What is no secret is told key by key.
            (
                json!({"telegram": {"api_id": 1, "api_hash": "word"}, "web": {"listen": "127.0.0.1:1"}}),
                json!({
                    "telegram": {"api_id": 2, "api_hash": "word"},
                    "web": {"listen": "0.0.0.0:1", "token": "${TOKEN}"},
                    "opt_out": {"keywords": ["enough"]},
                    "notify": [{"on": ["handoff"], "webhook": "https://hook"}],
                }),
                vec![
                    "~ telegram.api_id: 1 → 2",
                    "~ web.listen: 127.0.0.1:1 → 0.0.0.0:1",
                    "+ web.token (not shown)",
                    "+ opt_out.keywords[]: enough",
                    "+ notify[]: {\"on\":[\"handoff\"],\"webhook\":\"[secret]\"}",
                ],
            ),
            (
                json!({"ai": {"base_url": "https://a:word@host/v1?key=one"}}),
                json!({"ai": {"base_url": "https://a:word@host/v1?key=two"}}),
                vec![
                    "~ ai.base_url: https://[secret]@host/v1?[secret] → https://[secret]@host/v1?[another secret]",
                ],
            ),
        ] {
            assert_eq!(changes(before, now), want);
        }
    }

    #[test]
    fn what_a_safeguard_holds_by_is_told_however_much_else_changes() {
        let labels: Map<String, Value> = (0..50)
            .map(|n| (format!("label-{n}"), json!("x")))
            .collect();
        let now =
            json!({"accounts": {"sales-1": {"labels": labels}}, "limits": {"approve_over": null}});
        let lines = changes(json!({}), now);
        assert_eq!(
            lines[0],
            "~ limits.approve_over: 500 (default) → null (never)"
        );
        assert_eq!(lines.last().unwrap(), "and 31 more");
    }

    #[test]
    fn of_people_secrets_and_roles_only_that_they_are_others_is_told() {
        let file = |n: u32| {
            json!({
                "telegram": {"api_hash": format!("hash-{n}")},
                "ai": {"base_url": format!("https://word-{n}@host/?word-{n}"), "api_key": format!("word-{n}")},
                "web": {"token": format!("word-{n}")},
                "limits": {"only_to": [format!("@person_{n}"), {"id": 100 + n}]},
                "accounts": {"sales-1": {"proxy": format!("socks5://me:word-{n}@host"), "x-note": format!("note {n}"), "ai_role": {"prompt": format!("You are {n}")}}},
                "notify": [{"on": ["handoff"], "webhook": format!("https://hook/{n}"), "secret": format!("word-{n}"), "telegram": format!("@person_{n}")}],
                "test_recipients": [format!("@person_{n}")],
                "x-note": format!("note {n}"),
            })
        };
        let lines = changes(file(1), file(2));
        assert_eq!(lines.len(), 13, "{lines:#?}");
        let all = lines.join("\n") + &shown(&file(1)).to_string();
        for word in [
            "person_", "101", "hash-", "word-", "You are", "//hook", "note 1",
        ] {
            assert!(!all.contains(word), "{word}: {all}");
        }
        assert!(changes(file(1), file(1)).is_empty());
    }
}
