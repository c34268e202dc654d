//! Asking the model: what it is asked is known to the journal before it leaves, and what it answers stands on the disk in
//! the very moment that it comes in, so that the end of the process loses nothing that was received.

use serde::{Deserialize, Serialize};

use super::answers::Side;
use super::*;
use crate::ai::{self, AskError, Wish};
use crate::model::{LineKind, NeedsWhy, Speaker};
use crate::plan::answers::{DraftAction, finished, tokens_of};
use crate::store::{KeptAnswers, KeptName};

/// 'typing…' fades after some six seconds (core.telegram.org/method/messages.setTyping).
const TYPING_EVERY: Duration = Duration::from_secs(5);

/// Whose message the model was asked about, and in which role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    account: AccountName,
    person: PersonId,
    message_id: i32,
    role: Lineage,
}

impl Asked {
    fn kept(&self) -> KeptName {
        KeptName::new(&self.account, self.person, self.message_id)
    }
}

/// How a question ended.
pub(super) struct Ended {
    of: Asked,
    result: Result<Wish, AskError>,
    /// What it cost in tokens, where it cost anything.
    cost: Option<u64>,
}

/// An answer as it stands on the disk until the journal has it.
#[derive(Serialize, Deserialize)]
struct Kept {
    wish: Wish,
    cost: u64,
}

impl Engine {
    /// Asks the model, and shows 'typing…' meanwhile.
    pub(super) fn draft(&mut self, action: DraftAction) -> Result<(), RunError> {
        let engine = &self.core.desired.engine.ai;
        let api_key = match (&engine.api_key, &engine.api_key_file) {
            (Some(key), _) => Ok(Some(key.expose().to_owned())),
            (None, Some(file)) => read_key(&self.core.workspace.root.join(file)).map(Some),
            (None, None) => Ok(None),
        };
        let server = api_key.map(|api_key| ai::Server {
            base_url: engine.base_url.clone(),
            api_key,
            timeout: engine.timeout,
        });
        let question = ai::Question {
            model: action.model.clone(),
            system: action.system.clone(),
            said: action
                .said
                .iter()
                .map(|said| (said.by_person, said.text.clone()))
                .collect(),
            max_tokens: action.max_tokens,
            key: action.idempotency_key(),
        };
        let of = Asked {
            account: action.account.clone(),
            person: action.person,
            message_id: action.message_id,
            role: action.role.clone(),
        };
        let place = (of.account.clone(), of.person);
        let typing = self
            .tasks
            .get(&place.0)
            .map(|task| task.client().clone())
            .zip(self.hash_of(&place.0, place.1));
        self.core
            .runtime
            .drafting
            .insert(place, (of.role.clone(), action.reserve));
        // Nobody may ask what no journal knows of: it may be paid for.
        let asking = Event::ModelAsking {
            account: of.account.clone(),
            person: of.person,
            message_id: of.message_id,
            role: of.role.clone(),
            tokens: action.reserve,
        };
        let known = self.core.record(vec![asking], Durability::Now)?;
        let kept = self.kept_answers();
        let tell = self.side.clone();
        tokio::spawn(async move {
            if let Some(known) = known
                && known.durable().await.is_err()
            {
                // The loop ends for the same reason.
                return;
            }
            fail::fail_point!("answer.ask");
            let person = of.person;
            let typist = typing.map(|(client, hash)| {
                tokio::spawn(async move {
                    loop {
                        // Of no consequence where it fails.
                        let _ = client.typing(person, hash).await;
                        tokio::time::sleep(TYPING_EVERY).await;
                    }
                })
            });
            let result = match server {
                Ok(server) => ai::ask(&server, &question).await,
                Err(detail) => Err(AskError::Final { detail }),
            };
            if let Some(typist) = typist {
                typist.abort();
            }
            fail::fail_point!("answer.received");
            let ended = ended(of, result, &action);
            if let (Ok(wish), Some(cost)) = (&ended.result, ended.cost) {
                let wish = wish.clone();
                keep_at_once(kept, ended.of.kept(), Kept { wish, cost }).await;
            }
            fail::fail_point!("answer.kept");
            let _ = tell.send(Side::Asked(Box::new(ended)));
        });
        Ok(())
    }

    fn kept_answers(&self) -> KeptAnswers {
        KeptAnswers::of(&self.core.workspace.state_dir)
    }

    /// Questions that were open when the engine ended: those that were answered are taken in, the others are lost, which
    /// is said.
    pub(super) fn take_kept_answers(&mut self) -> Result<(), RunError> {
        let kept = self.kept_answers();
        let observed = &self.core.observed;
        let asking: Vec<(Asked, u64)> = observed
            .talks
            .asking
            .iter()
            .filter_map(|((who, by), asking)| {
                let of = Asked {
                    account: observed.account_name(*by)?.clone(),
                    person: observed.persons.id(crate::observed::Handle(*who))?,
                    message_id: asking.message_id,
                    role: asking.role.clone(),
                };
                Some((of, asking.tokens))
            })
            .collect();
        // What belongs to no question was taken in before.
        let wanted: Vec<KeptName> = asking.iter().map(|(of, _)| of.kept()).collect();
        kept.remove_others(&wanted).map_err(CoreError::from)?;
        for (of, tokens) in asking {
            let found = kept
                .get(&of.kept())
                .and_then(|bytes| serde_json::from_slice::<Kept>(&bytes).ok());
            let mut events = Vec::new();
            match found {
                Some(Kept { wish, cost }) => {
                    let ended = Ended {
                        of,
                        result: Ok(wish),
                        cost: Some(cost),
                    };
                    self.asked(ended, &mut events)?;
                }
                None => {
                    // One that was cut short is none.
                    kept.remove(&of.kept()).map_err(CoreError::from)?;
                    tracing::warn!(
                        account = %of.account,
                        "the engine had ended while the model was asked; the question is repeated, and may be paid twice"
                    );
                    events.push(Event::AnswerLost {
                        account: of.account,
                        person: of.person,
                        message_id: of.message_id,
                        role: of.role,
                        tokens,
                    });
                }
            }
            self.write(&mut events)?;
        }
        Ok(())
    }

    /// What the model said.
    pub(super) fn asked(&mut self, ended: Ended, events: &mut Vec<Event>) -> Result<(), RunError> {
        let name = ended.of.kept();
        let place = (ended.of.account.clone(), ended.of.person);
        self.core.runtime.drafting.remove(&place);
        events.push(Event::ModelAsked {
            role: ended.of.role.clone(),
            tokens: ended.cost.unwrap_or(0),
            account: Some(place.0),
            person: Some(place.1),
        });
        self.drafted(ended, events)?;
        let taken = self.core.record(std::mem::take(events), Durability::Now)?;
        fail::fail_point!("answer.taken");
        let kept = self.kept_answers();
        tokio::spawn(async move {
            // Of the two at least one outlives a power cut at any moment.
            if let Some(taken) = taken
                && taken.durable().await.is_err()
            {
                return;
            }
            if let Err(error) = kept.remove(&name) {
                tracing::warn!(%error, "a model's answer that was taken in could not be removed");
            }
        });
        Ok(())
    }

    fn drafted(&mut self, ended: Ended, events: &mut Vec<Event>) -> Result<(), RunError> {
        let Ended { of, result, cost } = ended;
        let Asked {
            account,
            person,
            message_id,
            role,
        } = &of;
        let observed = &self.core.observed;
        let who = observed.handle(*person);
        if who.is_some_and(|who| observed.is_silenced(who)) {
            return Ok(());
        }
        let refuses = result == Ok(Wish::OptOut);
        // He wrote more meanwhile, a human took over, or nobody wants it any more: it is asked anew, or not at all.
        let wanted = who
            .zip(observed.account_index(account))
            .and_then(|(who, by)| observed.talks.get(who, by))
            .is_some_and(|talk| {
                talk.needs.is_none()
                    && talk.draft.is_none()
                    && talk
                        .unanswered
                        .as_ref()
                        .is_some_and(|open| open.last == *message_id)
            })
            && !who.is_some_and(|who| observed.talks.is_human(who));
        if !wanted && !refuses {
            return Ok(());
        }
        let needs = |why, detail: &str| Event::NeedsHuman {
            account: account.clone(),
            person: *person,
            message_id: *message_id,
            why,
            detail: detail.to_owned(),
        };
        let failed = |wait, unknown, detail: String| Event::DraftFailed {
            account: account.clone(),
            person: *person,
            message_id: *message_id,
            wait,
            detail,
            unknown,
        };
        match result {
            Ok(Wish::OptOut) => {
                events.push(Event::OptedOut {
                    person: *person,
                    account: Some(account.clone()),
                });
                self.call_off();
            }
            Ok(Wish::Handoff) => {
                events.push(needs(NeedsWhy::Model, "The model asked for a human."))
            }
            Ok(Wish::Say(text)) => {
                let (text, hold) = finished(&self.core.inputs(), role, (account, *person), &text);
                fail::fail_point!("draft.keep");
                self.keep(
                    account,
                    *person,
                    LineKind::Draft,
                    message_id.unsigned_abs(),
                    Speaker::Ai,
                    text,
                )?;
                fail::fail_point!("draft.kept");
                events.push(Event::Drafted {
                    account: account.clone(),
                    person: *person,
                    message_id: *message_id,
                    hold,
                });
            }
            Err(AskError::Wait { seconds, detail }) => events.push(failed(seconds, false, detail)),
            Err(error @ AskError::Passing { unknown, .. }) => {
                let counted = match cost {
                    None => String::new(),
                    Some(tokens) => format!(
                        "; the model may have been paid all the same: {tokens} tokens are counted"
                    ),
                };
                events.push(failed(None, unknown, format!("{error}{counted}")));
            }
            Err(error @ AskError::Useless { .. }) => {
                events.push(failed(None, false, error.to_string()));
            }
            Err(error @ AskError::Final { .. }) => {
                events.push(needs(NeedsWhy::Failed, &error.to_string()));
            }
        }
        Ok(())
    }
}

/// A question and what came of it, with what it cost: estimated where the server does not say.
fn ended(of: Asked, result: Result<ai::Answer, AskError>, action: &DraftAction) -> Ended {
    let estimate = |text: &str| {
        let said = action.said.iter().map(|said| tokens_of(&said.text));
        tokens_of(&action.system) + said.sum::<u64>() + tokens_of(text)
    };
    let cost = match &result {
        Ok(ai::Answer {
            wish: Wish::Say(text),
            tokens,
        }) => Some(tokens.unwrap_or_else(|| estimate(text))),
        Ok(ai::Answer { tokens, .. }) | Err(AskError::Useless { tokens, .. }) => {
            Some(tokens.unwrap_or_else(|| estimate("")))
        }
        // As of an answer that the end of the process took.
        Err(AskError::Passing { paid: true, .. }) => Some(action.reserve),
        Err(_) => None,
    };
    Ended {
        of,
        result: result.map(|answer| answer.wish),
        cost,
    }
}

/// Writes an answer down before anybody looks at it.
async fn keep_at_once(kept: KeptAnswers, name: KeptName, answer: Kept) {
    let written = tokio::task::spawn_blocking(move || {
        let bytes = serde_json::to_vec(&answer).map_err(|error| error.to_string())?;
        kept.keep(&name, &bytes).map_err(|error| error.to_string())
    });
    match written.await {
        Ok(Ok(())) => {}
        // The loop goes on with it from memory, and finds out itself whether the disk refuses.
        Ok(Err(error)) => {
            tracing::warn!(%error, "a model's answer could not be written down at once")
        }
        Err(error) => tracing::warn!(%error, "a model's answer could not be written down at once"),
    }
}

/// The key alone, from a file that may lie outside the workspace.
fn read_key(path: &std::path::Path) -> Result<String, String> {
    super::hooks::read_small(path).map_err(|why| format!("`ai.api_key_file` cannot be read: {why}"))
}
