//! Reads a source step by step. A wait that Telegram asks for ends it: the planner lets it go on from there when the
//! wait is over, so that a hold, an edit or a restart in between is heard.
//!
//! Where the next step is known beforehand, it is asked for while this one is on its way: two calls at most, and what came
//! of the second is looked at only after the first, so that people and cursors come in order.

use std::collections::BTreeSet;
use std::task::Poll;
use std::time::Duration;

use futures::future::BoxFuture;

use super::{LookedUp, Report, Reports};
use crate::model::reaction::{Reaction, react};
use crate::model::{Lineage, PersonId, SourceId};
use crate::telegram::{AccountClient, CallError, Cursor, Find, FoundPage, MEMBERS_PAGE, Met};

/// Dropped connections in a row before the look-up ends with the error.
const TRIES: u32 = 4;

/// What came of a step.
type Step = Result<FoundPage, CallError>;

/// A step that was asked for before its turn.
enum Ahead<'a> {
    Asked(BoxFuture<'a, Step>),
    Answered(Step),
}

impl<'a> Ahead<'a> {
    /// Steps that can be told beforehand do not ask who was seen.
    fn ask(client: &'a dyn AccountClient, what: &'a Find, at: Cursor) -> Ahead<'a> {
        Ahead::Asked(Box::pin(async move {
            client.find(what, Some(&at), &BTreeSet::new()).await
        }))
    }

    async fn step(self) -> Step {
        match self {
            Ahead::Asked(call) => call.await,
            Ahead::Answered(step) => step,
        }
    }
}

/// What comes of a step, while the one after it is under way too.
async fn step_of(mut now: BoxFuture<'_, Step>, ahead: &mut Option<(Cursor, Ahead<'_>)>) -> Step {
    std::future::poll_fn(|context| {
        if let Poll::Ready(step) = now.as_mut().poll(context) {
            return Poll::Ready(step);
        }
        if let Some((_, ahead)) = ahead
            && let Ahead::Asked(call) = ahead
            && let Poll::Ready(step) = call.as_mut().poll(context)
        {
            *ahead = Ahead::Answered(step);
        }
        Poll::Pending
    })
    .await
}

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
    let mut seen: BTreeSet<PersonId> = BTreeSet::new();
    let mut tries = 0;
    let mut ahead: Option<(Cursor, Ahead<'_>)> = None;
    let mut asks_ahead = true;
    let mut total = None;
    let result = loop {
        // A page that did not come full begins the next one elsewhere than was thought.
        let asked = ahead.take();
        asks_ahead &= asked
            .as_ref()
            .is_none_or(|(at, _)| cursor.as_ref() == Some(at));
        let now: BoxFuture<'_, Step> = match asked.filter(|_| asks_ahead) {
            Some((_, ahead)) => Box::pin(ahead.step()),
            None => client.find(what, cursor.as_ref(), &seen),
        };
        if asks_ahead && seen.len().saturating_add(MEMBERS_PAGE as usize) < most {
            let after = cursor
                .as_ref()
                .and_then(|at| Find::after_a_full_page(at, total));
            ahead = after.map(|at| (at.clone(), Ahead::ask(client, what, at)));
        }
        let page = match step_of(now, &mut ahead).await {
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
                ahead = None;
                tokio::time::sleep(Duration::from_secs(1 << tries)).await;
                continue;
            }
            Err(error) => break Err(error),
        };
        tries = 0;
        total = page.total.or(total);
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
fn first(people: Vec<Met>, seen: &mut BTreeSet<PersonId>, most: usize) -> Vec<Met> {
    people
        .into_iter()
        .filter(|met| {
            let Some(id) = met.person.person_id() else {
                return false;
            };
            if seen.contains(&id) {
                return true;
            }
            seen.len() < most && seen.insert(id)
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
        let mut seen = BTreeSet::new();
        assert_eq!(first(vec![met(1), met(2), met(1)], &mut seen, 2).len(), 3);
        assert_eq!(first(vec![met(2), met(3)], &mut seen, 2), vec![met(2)]);
        assert_eq!(seen.len(), 2);
    }
}
