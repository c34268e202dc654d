//! What leaves in a conversation, from its intent to its outcome.

use crate::model::{Aside, NeedsWhy, NotifyEvent, Outcome, SendKey, Timestamp, aside_of};
use crate::observed::{Handle, Observed};

/// The conversation that a send outside of campaigns belongs to.
fn place(state: &mut Observed, key: &SendKey) -> Option<(Handle, u16)> {
    let account = match aside_of(key)? {
        Aside::Answer { account, .. } | Aside::Operator { account, .. } => account.to_owned(),
        Aside::OptOut | Aside::Notice { .. } => return None,
    };
    Some(state.place(key.person, &account.as_str().into()))
}

/// Its intent is written.
pub(in crate::observed) fn intended(state: &mut Observed, key: &SendKey) {
    if let Some(Aside::Notice { account, number }) = aside_of(key) {
        let by = state.index(&account.into());
        state.talks.noticed.insert((by, key.person, number));
        return;
    }
    sending(state, key, true);
}

/// It certainly was not sent: again.
pub(in crate::observed) fn released(state: &mut Observed, key: &SendKey) {
    if let Some(Aside::Notice { account, number }) = aside_of(key) {
        let by = state.index(&account.into());
        state.talks.noticed.remove(&(by, key.person, number));
        return;
    }
    sending(state, key, false);
}

fn sending(state: &mut Observed, key: &SendKey, value: bool) {
    let Some((who, by)) = place(state, key) else {
        return;
    };
    let aside = aside_of(key);
    let silenced = state.is_silenced(who);
    state.talk(who, by, |talk| match aside {
        Some(Aside::Answer { message_id, .. }) => {
            if let Some(draft) = talk.draft.as_mut().filter(|d| d.message_id == message_id) {
                draft.sending = value;
                let newer = talk
                    .unanswered
                    .as_ref()
                    .is_some_and(|open| open.last > message_id);
                if !value && (silenced || newer || talk.human.is_some()) {
                    // Nothing of it left, and there is something else to say now, or nothing.
                    talk.draft = None;
                }
            }
        }
        Some(Aside::Operator { number, .. }) => {
            if let Some(message) = talk.operator.iter_mut().find(|m| m.number == number) {
                message.sending = value;
            }
            if silenced && !value {
                talk.operator.retain(|m| m.number != number);
            }
        }
        _ => {}
    });
}

/// Telegram accepted it.
pub(in crate::observed) fn sent(
    state: &mut Observed,
    key: &SendKey,
    account: u16,
    message_id: i32,
) {
    // Where Telegram never said its id, `OwnUnseen` follows.
    if let (Ok(id @ 1..), Some((_, account))) = (
        u32::try_from(message_id),
        state.accounts.get_index_mut(account.into()),
    ) {
        account.own_messages.insert(id);
    }
    let Some((who, by)) = place(state, key) else {
        return;
    };
    match aside_of(key) {
        Some(Aside::Answer { message_id, .. }) => state.talk(who, by, |talk| {
            let Some(draft) = talk.draft.take_if(|d| d.message_id == message_id) else {
                return;
            };
            *talk.replies.entry(draft.role).or_default() += 1;
            // An operator's own words do not say what answers here: the next of the AI do.
            talk.disclosed |= !draft.edited;
            // What he wrote while it was under way is still to be answered.
            if let Some(open) = &mut talk.unanswered {
                if open.last <= message_id {
                    talk.unanswered = None;
                } else {
                    open.first = open.first.max(message_id.saturating_add(1));
                }
            }
        }),
        Some(Aside::Operator { number, .. }) => state.talk(who, by, |talk| {
            talk.operator.retain(|message| message.number != number);
        }),
        _ => {}
    }
}

/// It will never be delivered.
pub(in crate::observed) fn refused(
    state: &mut Observed,
    key: &SendKey,
    outcome: Outcome,
    detail: &str,
    at: Timestamp,
) {
    let Some((who, by)) = place(state, key) else {
        return;
    };
    let silenced = state.is_silenced(who);
    let aside = aside_of(key);
    state.talk(who, by, |talk| {
        match aside {
            Some(Aside::Answer { message_id, .. }) => {
                talk.draft = talk.draft.take().filter(|d| d.message_id != message_id);
                talk.unanswered = talk.unanswered.take().filter(|open| open.last > message_id);
            }
            Some(Aside::Operator { number, .. }) => {
                talk.operator.retain(|message| message.number != number);
            }
            _ => {}
        }
        if !silenced {
            let detail = format!("The message was not sent ({outcome}): {detail}");
            talk.needs = Some((NeedsWhy::NotSent, at, detail));
        }
    });
    if !silenced && let Some(account) = state.account_name(by).cloned() {
        let message = format!("A message to {} by {account} was not sent.", key.person);
        state.notice(at, NotifyEvent::Handoff, NeedsWhy::NotSent.name(), message);
        state.notice_about(None, Some(&account), Some(key.person), None);
    }
}
