//! What `tidings.yaml` says, so that a change of it is an event with its commit, as a spec's is.
//!
//! # Guarantees
//! Nothing of a person and no secret goes into the journal: where one may stand, only that it is another one is told.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::commits::Commits;
use super::{Core, against};
use crate::desired::{NOT_SHOWN, hex};
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
    let mut changes = Vec::new();
    against::differences("", &places(before), &places(now), &mut changes);
    let is_hidden = |value: &Option<Value>| {
        let text = value.as_ref().and_then(Value::as_str);
        text.is_some_and(|text| text.starts_with(NOT_SHOWN))
    };
    let line = |change: &FieldChange| {
        let line = words(change)?;
        let hidden = is_hidden(&change.before) || is_hidden(&change.after);
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
        ] {
            assert_eq!(changes(before, now), want);
        }
    }

    #[test]
    fn of_people_secrets_and_texts_only_that_they_are_others_is_told() {
        let file = |n: u32| {
            json!({
                "telegram": {"api_hash": format!("hash-{n}")},
                "limits": {"only_to": [format!("@person_{n}"), {"id": 100 + n}]},
                "accounts": {"sales-1": {"proxy": format!("socks5://me:word-{n}@host"), "x-note": format!("note {n}"), "ai_role": {"prompt": format!("You are {n}")}}},
                "notify": [{"on": ["handoff"], "webhook": format!("https://hook/{n}")}],
                "test_recipients": [format!("@person_{n}")],
                "opt_out": {"reply": format!("bye {n}")},
                "x-note": format!("note {n}"),
            })
        };
        let lines = changes(file(1), file(2));
        assert_eq!(lines.len(), 9, "{lines:#?}");
        let all = lines.join("\n") + &shown(&file(1)).to_string();
        for word in [
            "person_", "101", "hash-", "word-", "You are", "hook", "bye", "note 1",
        ] {
            assert!(!all.contains(word), "{word}: {all}");
        }
        assert!(changes(file(1), file(1)).is_empty());
    }
}
