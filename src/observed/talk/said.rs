//! What people say, what is drafted for them, and what operators decide.

use std::time::Duration;

use super::{Asking, Draft, OperatorMessage, UNSEEN, Unanswered, silenced};
use crate::model::{Event, Lineage, NeedsWhy, NotifyEvent, TalkChange, Timestamp};
use crate::observed::Observed;

/// The first pause after a failed try to draft; doubles with each.
const RETRY_FIRST: Duration = Duration::from_secs(1);

/// What is said, drafted and decided.
pub(super) fn fold(state: &mut Observed, event: &Event, at: Timestamp) {
    match event {
        Event::Written {
            account,
            person,
            message_id,
            role,
        } => {
            let (who, by) = state.place(*person, account);
            let silent = state.is_silenced(who);
            state.talk(who, by, |talk| {
                let Some(role) = role.clone().filter(|_| !silent) else {
                    return;
                };
                // What may have passed by itself is tried again; what a human was asked for is a human's.
                let passing = |why: &NeedsWhy| {
                    matches!(
                        why,
                        NeedsWhy::Failed
                            | NeedsWhy::Held
                            | NeedsWhy::Tokens
                            | NeedsWhy::NoText
                            | NeedsWhy::NotSent
                    )
                };
                let passed = talk.needs.take_if(|(why, _, _)| passing(why)).is_some();
                // What he adds changes what there is to say; what is being sent is not changed any more.
                talk.draft = talk.draft.take().filter(|draft| draft.sending);
                match &mut talk.unanswered {
                    Some(open) => {
                        open.first = open.first.min(*message_id);
                        open.last = open.last.max(*message_id);
                        open.last_at = at;
                        open.role = role;
                        if passed {
                            open.since = at;
                            open.anew();
                        }
                    }
                    None => {
                        talk.unanswered = Some(Unanswered {
                            first: *message_id,
                            last: *message_id,
                            since: at,
                            last_at: at,
                            role,
                            failures: 0,
                            retry_at: Timestamp::MIN,
                            detail: String::new(),
                            unknown: 0,
                            rounds: 0,
                            given_back: 0,
                        });
                    }
                }
            });
        }
        Event::HumanSpoke {
            account, person, ..
        } => {
            let (who, by) = state.place(*person, account);
            state.talk(who, by, |talk| {
                talk.human = Some(at);
                talk.unanswered = None;
                talk.needs = None;
            });
            state.talks_of(who, |talk| {
                talk.draft = talk.draft.take().filter(|draft| draft.sending);
            });
        }
        Event::ModelAsking {
            account,
            person,
            message_id,
            role,
            tokens,
        } => {
            let (who, by) = state.place(*person, account);
            let asking = Asking {
                message_id: *message_id,
                role: role.clone(),
                tokens: *tokens,
            };
            state.talks.asking.insert((who.0, by), asking);
        }
        Event::ModelAsked {
            role,
            tokens,
            account,
            person,
        } => {
            state.spent(role, *tokens, at);
            if let (Some(account), Some(person)) = (account, person) {
                let (who, by) = state.place(*person, account);
                state.talks.asking.remove(&(who.0, by));
            }
        }
        Event::AnswerLost {
            account,
            person,
            message_id,
            role,
            tokens,
        } => {
            let (who, by) = state.place(*person, account);
            state.talks.asking.remove(&(who.0, by));
            state.spent(role, *tokens, at);
            state.talk(who, by, |talk| {
                if let Some(open) = talk.unanswered.as_mut().filter(|o| o.last == *message_id) {
                    failed(open, at, Duration::ZERO);
                    open.unknown += 1;
                    open.detail = "the engine ended while the model answered".to_owned();
                }
            });
        }
        Event::OwnUnseen {
            account,
            person,
            print,
        } => {
            let (who, by) = state.place(*person, account);
            state.talk(who, by, |talk| {
                if talk.unseen.len() >= UNSEEN {
                    talk.unseen.remove(0);
                }
                talk.unseen.push(*print);
            });
        }
        Event::OwnSeen {
            account,
            person,
            message_id,
            print,
        } => {
            let (who, by) = state.place(*person, account);
            if let (Ok(id), Some(account)) =
                (u32::try_from(*message_id), state.accounts.get_mut(account))
            {
                account.own_messages.insert(id);
            }
            state.talk(who, by, |talk| {
                if let Some(at) = talk.unseen.iter().position(|unseen| unseen == print) {
                    talk.unseen.remove(at);
                }
            });
        }
        Event::Drafted {
            account,
            person,
            message_id,
            hold,
        } => {
            let (who, by) = state.place(*person, account);
            let id = state.seq;
            let mut role = None;
            state.talk(who, by, |talk| {
                let Some(open) = talk.unanswered.as_ref().filter(|o| o.last == *message_id) else {
                    return;
                };
                role = Some(open.role.clone());
                talk.draft = Some(Draft {
                    id,
                    message_id: *message_id,
                    at,
                    hold: *hold,
                    role: open.role.clone(),
                    sending: false,
                    edited: false,
                });
            });
            if let (Some(hold), Some(role)) = (hold, role) {
                let message = format!(
                    "An answer to {person} by {account} waits for approval. {}",
                    hold.says()
                );
                state.notice(at, NotifyEvent::Draft, "draft", message);
                state.notice_about(Some(&role), Some(account), Some(*person), Some(id));
            }
        }
        Event::DraftFailed {
            account,
            person,
            wait,
            detail,
            unknown,
            ..
        } => {
            let (who, by) = state.place(*person, account);
            state.talk(who, by, |talk| {
                if let Some(open) = &mut talk.unanswered {
                    let asked = Duration::from_secs(u64::from(wait.unwrap_or(0)));
                    failed(open, at, asked);
                    open.unknown += u32::from(*unknown);
                    open.detail.clone_from(detail);
                }
            });
        }
        Event::NeedsHuman {
            account,
            person,
            why,
            detail,
            ..
        } => {
            let (who, by) = state.place(*person, account);
            let role = state
                .talks
                .get(who, by)
                .and_then(|talk| talk.unanswered.as_ref())
                .map(|open| open.role.clone());
            state.talk(who, by, |talk| {
                // What he wrote waits on: a human's words answer it, or the AI once it is given back.
                talk.needs = Some((*why, at, detail.clone()));
                talk.draft = talk.draft.take().filter(|draft| draft.sending);
            });
            let message = format!("{person}, who writes to {account}, needs a human. {detail}");
            state.notice(at, NotifyEvent::Handoff, why.name(), message);
            state.notice_about(role.as_ref(), Some(account), Some(*person), None);
        }
        Event::DraftDecided {
            account,
            person,
            message_id,
            approved,
            edited,
            ..
        } => {
            let (who, by) = state.place(*person, account);
            state.talk(who, by, |talk| {
                let Some(draft) = talk
                    .draft
                    .as_mut()
                    .filter(|d| d.message_id == *message_id && !d.sending)
                else {
                    return;
                };
                if *approved {
                    draft.hold = None;
                    draft.at = at;
                    draft.edited = *edited;
                } else {
                    talk.draft = None;
                    let detail = "The draft was rejected; the person has no answer.".to_owned();
                    talk.needs = Some((NeedsWhy::Rejected, at, detail));
                }
            });
        }
        Event::OperatorWrote {
            account,
            person,
            number,
            ..
        } => {
            let (who, by) = state.place(*person, account);
            state.talk(who, by, |talk| {
                talk.operator_count = talk.operator_count.max(*number);
                talk.operator.push_back(OperatorMessage {
                    number: *number,
                    sending: false,
                });
                talk.human = Some(at);
                talk.unanswered = None;
                talk.needs = None;
                talk.closed = false;
            });
            state.talks_of(who, |talk| {
                talk.draft = talk.draft.take().filter(|draft| draft.sending);
            });
        }
        Event::TalkChanged { person, change, .. } => {
            let who = state.persons.intern(*person);
            state.talks_of(who, |talk| match change {
                // What he wrote before waits on: the human's words answer it, or the AI once it is given back.
                TalkChange::Taken => {
                    talk.human = Some(at);
                    talk.draft = talk.draft.take().filter(|draft| draft.sending);
                    talk.needs = None;
                    talk.closed = false;
                }
                TalkChange::Returned => {
                    talk.human = None;
                    talk.needs = None;
                    talk.closed = false;
                    if let Some(open) = &mut talk.unanswered {
                        open.anew();
                        open.given_back = open.last;
                    }
                }
                // Whom a human has, or who asked for one, stays without the AI until he is given back.
                TalkChange::Closed => {
                    let asked = talk
                        .needs
                        .as_ref()
                        .is_some_and(|(why, ..)| why.asks_for_a_human());
                    talk.human = talk.human.or(asked.then_some(at));
                    talk.needs = None;
                    talk.unanswered = None;
                    talk.draft = talk.draft.take().filter(|draft| draft.sending);
                    talk.closed = true;
                }
            });
        }
        Event::AccountIs { person, .. } => {
            // One's own accounts never answer each other.
            let who = state.persons.intern(*person);
            silenced(state, who);
        }
        _ => {}
    }
}

/// One try more came to nothing.
fn failed(open: &mut Unanswered, at: Timestamp, asked: Duration) {
    open.failures += 1;
    let pause = RETRY_FIRST * (1 << (open.failures - 1).min(10));
    open.retry_at = at + pause.max(asked);
}

impl Observed {
    fn spent(&mut self, role: &Lineage, tokens: u64, at: Timestamp) {
        if tokens > 0 {
            let spend = self.talks.spend.entry(role.clone()).or_default();
            spend.add(at, tokens);
        }
    }
}
