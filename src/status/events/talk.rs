//! What happens in conversations, in words.

use super::CampaignNames;
use super::words::{Words, words};
use crate::model::{Event, Lineage, TalkChange};

/// Such an event in words; nothing of another.
pub(super) fn said(event: &Event, names: &dyn CampaignNames) -> Option<Words> {
    Some(match event {
        Event::Written {
            account,
            person,
            message_id,
            role,
        } => role_of(
            words("written", format!("Message {message_id} is kept.")),
            role.as_ref(),
            names,
        )
        .by(account)
        .about(person),
        Event::HumanSpoke {
            account,
            person,
            message_id,
        } => words(
            "human_spoke",
            format!("A human wrote message {message_id} from another client; the AI is silent."),
        )
        .by(account)
        .about(person),
        Event::ModelAsking {
            account,
            person,
            message_id,
            role,
            tokens,
        } => role_of(
            words(
                "model_asking",
                format!("The model is asked about message {message_id}: about {tokens} tokens at most."),
            ),
            Some(role),
            names,
        )
        .by(account)
        .about(person),
        Event::ModelAsked { role, tokens, .. } => role_of(
            words(
                "model_asked",
                format!("The model was asked: {tokens} tokens."),
            ),
            Some(role),
            names,
        ),
        Event::AnswerLost {
            account,
            person,
            message_id,
            role,
            tokens,
        } => role_of(
            words(
                "answer_lost",
                format!(
                    "Tidings ended while the model was asked about message {message_id}; {tokens} tokens are counted for \
                     it, and it is asked again."
                ),
            ),
            Some(role),
            names,
        )
        .by(account)
        .about(person)
        .bad(),
        Event::OwnUnseen {
            account, person, ..
        } => words("own_unseen", "Telegram has it, and did not say under which id.")
            .by(account)
            .about(person),
        Event::OwnSeen {
            account,
            person,
            message_id,
            ..
        } => words("own_seen", format!("Message {message_id} is Tidings' own."))
            .by(account)
            .about(person),
        Event::Drafted {
            account,
            person,
            message_id,
            hold,
        } => {
            let held = match hold {
                Some(hold) => format!(" It waits for approval. {}", hold.says()),
                None => String::new(),
            };
            words(
                "drafted",
                format!("An answer to message {message_id} was drafted.{held}"),
            )
            .by(account)
            .about(person)
        }
        Event::DraftFailed {
            account,
            person,
            detail,
            ..
        } => words("draft_failed", format!("No answer was drafted: {detail}."))
            .by(account)
            .about(person)
            .bad(),
        Event::NeedsHuman {
            account,
            person,
            why,
            detail,
            ..
        } => words("needs_human", format!("{}: {detail}", why.name()))
            .by(account)
            .about(person)
            .bad(),
        Event::DraftDecided {
            account,
            person,
            approved,
            edited,
            by,
            ..
        } => {
            let what = match (approved, edited) {
                (true, true) => "approved the answer with another text",
                (true, false) => "approved the answer",
                (false, _) => "rejected the answer",
            };
            words("draft_decided", format!("{by} {what}."))
                .by(account)
                .about(person)
        }
        Event::OperatorWrote {
            account,
            person,
            by,
            ..
        } => words("operator_wrote", format!("{by} writes to this person."))
            .by(account)
            .about(person),
        Event::TalkChanged { person, change, by } => {
            let what = match change {
                TalkChange::Taken => "took the conversation",
                TalkChange::Returned => "gave the conversation back to the AI",
                TalkChange::Closed => "closed the conversation",
            };
            words("talk_changed", format!("{by} {what}.")).about(person)
        }
        _ => return None,
    })
}

fn role_of(it: Words, role: Option<&Lineage>, names: &dyn CampaignNames) -> Words {
    match role {
        Some(role) => match crate::model::account_of_role(role) {
            Some(account) => it.by(account),
            None => it.of(role, names),
        },
        None => it,
    }
}
