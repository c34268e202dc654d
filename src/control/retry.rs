//! `tidings retry`: whom a second chance may be given to, and whom not.

use super::Core;
use super::answer::{done, misused, refused};
use crate::model::{Event, Lineage, Outcome, Reply};

/// Answers, and says what is to be written down.
pub(super) fn answer(
    core: &Core,
    name: &str,
    campaign: Lineage,
    outcomes: Vec<Outcome>,
    by: String,
) -> (Reply, Vec<Event>) {
    if outcomes.is_empty() {
        return (misused("name at least one --outcome"), Vec::new());
    }
    for outcome in &outcomes {
        if let Err(why) = outcome.may_retry() {
            return (
                refused(format!("`{outcome}` is not tried again: {why}")),
                Vec::new(),
            );
        }
    }
    let known = core.observed.campaigns.get(&campaign);
    let (mut people, mut steps) = (0, 0);
    for outcome in &outcomes {
        let (first, later) = known.map_or((0, 0), |known| known.retryable(*outcome));
        people += first;
        steps += later;
    }
    if people + steps == 0 {
        let ended: Vec<String> = known
            .map(|known| {
                known
                    .outcomes
                    .iter()
                    .filter(|(outcome, n)| **n > 0 && outcome.may_retry().is_ok())
                    .map(|(outcome, n)| format!("{n} `{outcome}`"))
                    .collect()
            })
            .unwrap_or_default();
        let others = if ended.is_empty() {
            "and nobody who could get a second chance".to_owned()
        } else {
            format!("but {}", ended.join(", "))
        };
        let named: Vec<String> = outcomes.iter().map(|o| format!("`{o}`")).collect();
        return (
            done(format!(
                "nothing to do: `{name}` has nobody who ended as {}, {others}.",
                named.join(" or ")
            )),
            Vec::new(),
        );
    }
    let mut what = Vec::new();
    for (n, one, many) in [
        (
            people,
            "person is pending again",
            "people are pending again",
        ),
        (steps, "follow-up waits again", "follow-ups wait again"),
    ] {
        match n {
            0 => {}
            1 => what.push(format!("1 {one}")),
            n => what.push(format!("{n} {many}")),
        }
    }
    (
        done(format!("`{name}`: {}.", what.join(", "))),
        vec![Event::Reopened {
            campaign,
            outcomes,
            by,
        }],
    )
}
