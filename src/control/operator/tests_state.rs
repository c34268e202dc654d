//! How far a test of `tidings send-test` is.

use std::collections::BTreeMap;

use crate::control::{Core, CoreError};
use crate::model::TEST_LINEAGE;
use crate::model::{Event, Outcome, Reply};
use crate::status;

/// What became of each message of a test, by its place.
pub(super) fn state(core: &Core, number: u32, after: u64) -> Result<Reply, CoreError> {
    let mut results: BTreeMap<u16, (String, String)> = BTreeMap::new();
    for (key, flight) in &core.observed.in_flight {
        if key.lineage.as_ref() == TEST_LINEAGE && key.run == number {
            let word = if flight.doubt.is_some() {
                "in_doubt"
            } else {
                "in_flight"
            };
            results.insert(key.step, (word.to_owned(), String::new()));
        }
    }
    if let Some(store) = core.store() {
        for row in store.events_from(store.first_seq()?.max(after + 1))? {
            let (_, recorded) = row?;
            let (key, result, detail) = match recorded.event {
                Event::Sent {
                    key, message_id, ..
                } => (
                    key,
                    Outcome::Sent.name().to_owned(),
                    format!("message {message_id}"),
                ),
                Event::Refused {
                    key,
                    outcome,
                    detail,
                } => (key, outcome.name().to_owned(), detail),
                Event::Released { key, detail, .. } => (key, "not_sent".to_owned(), detail),
                _ => continue,
            };
            if key.lineage.as_ref() == TEST_LINEAGE && key.run == number {
                results.insert(key.step, (result, detail));
            }
        }
    }
    let open = results
        .values()
        .any(|(result, _)| result == "in_flight" || result == "in_doubt");
    let rows: Vec<serde_json::Value> = results
        .into_iter()
        .map(|(place, (result, detail))| {
            serde_json::json!({"place": place, "result": result, "detail": detail})
        })
        .collect();
    Ok(Reply::Document {
        body: serde_json::json!({
            "format_version": status::FORMAT_VERSION,
            "test": number,
            "open": open,
            "results": rows,
        }),
    })
}
