//! Reads a source step by step. A wait that Telegram asks for ends it: the planner lets it go on from there when the
//! wait is over, so that a hold, an edit or a restart in between is heard.

use std::time::Duration;

use super::{LookedUp, Report, Reports};
use crate::model::reaction::{Reaction, react};
use crate::model::{Lineage, SourceId};
use crate::telegram::{AccountClient, CallError, Cursor, Find, Met, Seen};

/// Dropped connections in a row before the look-up ends with the error.
const TRIES: u32 = 4;

/// Reads `what` from `from` on, until it is over or `left` people were found.
pub(super) async fn look_up(
    client: &dyn AccountClient,
    reports: &Reports,
    campaign: Lineage,
    source: SourceId,
    what: &Find,
    left: Option<u64>,
    from: Option<Cursor>,
) {
    let name = client.name().clone();
    let tell = |report: Report| {
        let _ = reports.send((name.clone(), report));
    };
    let most = left.map_or(usize::MAX, |left| {
        usize::try_from(left).unwrap_or(usize::MAX)
    });
    let mut cursor = from;
    let mut seen = Seen::default();
    let mut tries = 0;
    let result = loop {
        let page = match client.find(what, cursor.as_ref(), &seen).await {
            Ok(page) => page,
            Err(CallError::Rpc(fault)) => match react(&fault) {
                Reaction::Wait { seconds } | Reaction::SlowMode { seconds } => {
                    return tell(Report::LookUpWaits {
                        campaign,
                        source,
                        seconds,
                    });
                }
                _ => break Err(CallError::Rpc(fault)),
            },
            Err(error @ (CallError::InDoubt { .. } | CallError::NotSent { .. })) => {
                tries += 1;
                if tries >= TRIES {
                    break Err(error);
                }
                tokio::time::sleep(Duration::from_secs(1 << tries)).await;
                continue;
            }
            Err(error) => break Err(error),
        };
        tries = 0;
        let people = first(page.people, &mut seen, most);
        let next = page.next.filter(|_| seen.len() < most);
        if !people.is_empty() || next.is_some() {
            tell(Report::Page {
                campaign: campaign.clone(),
                source,
                people,
                next: next.clone(),
                total: page.total,
            });
        }
        match next {
            Some(next) => cursor = Some(next),
            None => {
                break Ok(LookedUp {
                    admin: page.admin,
                    partial: page.partial.filter(|_| seen.len() < most),
                });
            }
        }
    };
    tell(Report::LookedUp {
        campaign,
        source,
        result,
    });
}

/// Those of a page who are among the first `most`; who was seen before may be told more exactly.
fn first(people: Vec<Met>, seen: &mut Seen, most: usize) -> Vec<Met> {
    people
        .into_iter()
        .filter(|met| {
            let Some(id) = met.person.person_id() else {
                return false;
            };
            if seen.len() >= most {
                return seen.contains(&id);
            }
            seen.insert(id);
            true
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Contact, Person};

    fn met(id: i64) -> Met {
        let contact = Contact {
            id: Some(id),
            ..Contact::default()
        };
        let person = Person {
            contact,
            ..Person::default()
        };
        Met { person, min: false }
    }

    #[test]
    fn a_limit_counts_each_person_once() {
        let mut seen = Seen::default();
        assert_eq!(first(vec![met(1), met(2), met(1)], &mut seen, 2).len(), 3);
        assert_eq!(first(vec![met(2), met(3)], &mut seen, 2), vec![met(2)]);
        assert_eq!(seen.len(), 2);
    }
}
