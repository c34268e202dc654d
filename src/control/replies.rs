//! `tidings replies`: the same with a daemon and without.

use super::Core;
use crate::model::{
    AccountName, Event, Line, LineKey, LineKind, Person, PersonId, Reference, RepliesCommand,
    Reply, Speaker, TalkChange,
};
use crate::observed::{Handle, Talk};
use crate::people::{People, is_named};
use crate::plan::answers_held;
use crate::status::{self, Moment, RepliesDocument, ReplyDocument, ReplyLine, reply_state};
use crate::store::StoreError;
use crate::text::{MAX_TEXT_UNITS, utf16_len};

/// Conversations of one answer at most.
const MAX_LISTED: usize = 10_000;

type Answered = (Reply, Vec<Event>);

/// Why nothing was done.
enum Fault {
    /// The command line makes no sense, whatever the state is.
    Usage(String),
    /// The state refuses it.
    State(String),
}

impl From<Fault> for Reply {
    fn from(fault: Fault) -> Reply {
        match fault {
            Fault::Usage(message) => super::answer::misused(message),
            Fault::State(message) => super::answer::refused(message),
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        Fault::State(error.to_string())
    }
}

fn refused<T>(message: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::State(message.into()))
}

fn done(message: impl Into<String>, events: Vec<Event>) -> Result<Answered, Fault> {
    Ok((super::answer::done(message), events))
}

fn document(body: &impl serde::Serialize) -> Result<Answered, Fault> {
    Ok((super::answer::document(body), Vec::new()))
}

/// Answers, and says what is to be written down because of it.
pub(super) fn answer(core: &Core, what: RepliesCommand) -> Answered {
    obey(core, what).unwrap_or_else(|fault| (fault.into(), Vec::new()))
}

fn obey(core: &Core, what: RepliesCommand) -> Result<Answered, Fault> {
    match what {
        RepliesCommand::List { state } => list(core, state.as_deref()),
        RepliesCommand::Show { person } => show(core, person_of(core, &person)?),
        RepliesCommand::Approve { id, text, by } => {
            let text = text.as_deref().map(sendable).transpose();
            approve(core, id, text.map_err(Fault::Usage)?, by)
        }
        RepliesCommand::Reject { id, by } => reject(core, id, by),
        RepliesCommand::Send {
            person,
            text,
            account,
            by,
        } => {
            let text = sendable(&text).map_err(Fault::Usage)?;
            let person = person_of(core, &person)?;
            send(core, person, text, account.as_deref(), by)
        }
        RepliesCommand::Change { person, change, by } => {
            changed(core, person_of(core, &person)?, change, by)
        }
    }
}

/// Who is meant, among those who are known.
fn person_of(core: &Core, text: &str) -> Result<PersonId, Fault> {
    let reference = Reference::parse(text).map_err(|error| Fault::Usage(error.to_string()))?;
    let observed = &core.observed;
    let stand_in = reference.person();
    let resolved = observed.persons.resolve(stand_in);
    if resolved.is_user() && observed.handle(resolved).is_some() {
        return Ok(resolved);
    }
    let references = [reference];
    observed
        .talks
        .all
        .keys()
        .filter_map(|(who, _)| observed.persons.id(Handle(*who)))
        .find(|person| is_named(*person, core.people.get(*person).as_ref(), &references))
        .ok_or_else(|| {
            let why =
                format!("{text} has no conversation here; `tidings replies list` shows who has");
            Fault::State(why)
        })
}

/// One conversation as the list shows it.
fn entry(core: &Core, who: Handle, by: u16, talk: &Talk) -> Option<status::Reply> {
    let observed = &core.observed;
    let person = observed.persons.id(who)?;
    let account = observed.account_name(by)?;
    let known = core.people.get(person);
    let (state, reason, message) = reply_state(talk);
    let lines = core.people.conversation(person);
    if lines.is_empty() && state == "quiet" {
        // A bot, or what was said is too long ago.
        return None;
    }
    let last = lines
        .iter()
        .rev()
        .find(|(key, line)| key.account == by && line.speaker == Speaker::Person)
        .map(|(_, line)| line.text.clone());
    let draft = talk.draft.as_ref().and_then(|draft| {
        let wanted = draft_key(by, draft.message_id);
        lines
            .iter()
            .find(|(key, _)| *key == wanted)
            .map(|(_, line)| line.text.clone())
    });
    let campaign = status::campaign_of_talk(observed, who, talk).map(|line| {
        observed
            .campaigns
            .get(line)
            .map(|campaign| campaign.name.clone())
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| line.to_string())
    });
    Some(status::Reply {
        id: talk.draft.as_ref().map(|draft| draft.id),
        person: person.to_string(),
        name: known.as_ref().and_then(name_of),
        username: known.and_then(|known| known.contact.username),
        account: account.to_string(),
        campaign,
        state: state.to_owned(),
        reason,
        message,
        wrote_at: Moment::of(Some(talk.wrote_at)),
        answers: talk.replies.values().sum(),
        last,
        draft,
    })
}

fn name_of(known: &Person) -> Option<String> {
    let parts: Vec<&str> = [&known.contact.first_name, &known.contact.last_name]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

fn draft_key(account: u16, message_id: i32) -> LineKey {
    LineKey {
        account,
        kind: LineKind::Draft,
        number: message_id.unsigned_abs(),
    }
}

fn list(core: &Core, state: Option<&str>) -> Result<Answered, Fault> {
    if let Some(state) = state
        && !status::REPLY_STATES.contains(&state)
    {
        return Err(Fault::Usage(format!(
            "there is no state `{state}`; there are {}",
            status::REPLY_STATES.join(", ")
        )));
    }
    let rank = |state: &str| {
        status::REPLY_STATES
            .iter()
            .position(|known| *known == state)
            .unwrap_or(usize::MAX)
    };
    let mut wanted: Vec<(usize, i64, u32, u16, &Talk)> = core
        .observed
        .talks
        .all
        .iter()
        .map(|((who, by), talk)| (reply_state(talk).0, who, by, talk))
        .filter(|(is, ..)| state.is_none_or(|state| state == *is))
        .map(|(is, who, by, talk)| (rank(is), -talk.wrote_at.0, *who, *by, talk))
        .collect();
    wanted.sort_by_key(|(rank, wrote, who, by, _)| (*rank, *wrote, *who, *by));
    let replies = wanted
        .into_iter()
        .take(MAX_LISTED)
        .filter_map(|(_, _, who, by, talk)| entry(core, Handle(who), by, talk))
        .collect();
    document(&RepliesDocument {
        format_version: status::FORMAT_VERSION.to_owned(),
        replies,
    })
}

fn show(core: &Core, person: PersonId) -> Result<Answered, Fault> {
    let Some(who) = core.observed.handle(person) else {
        return refused(format!("{person} is not known here"));
    };
    let replies = core
        .observed
        .talks
        .of(who)
        .filter_map(|(by, talk)| entry(core, who, by, talk))
        .collect();
    let lines = core
        .people
        .conversation(person)
        .into_iter()
        .map(|(key, line)| {
            let (speaker, by) = ReplyLine::speaker_of(&line.speaker);
            ReplyLine {
                at: Moment::from(line.at),
                account: line.account.to_string(),
                speaker,
                by,
                kind: ReplyLine::kind_of(key.kind).to_owned(),
                number: key.number,
                text: line.text,
            }
        })
        .collect();
    document(&ReplyDocument {
        format_version: status::FORMAT_VERSION.to_owned(),
        person: person.to_string(),
        name: core.people.get(person).as_ref().and_then(name_of),
        replies,
        lines,
    })
}

/// The conversation that holds a draft.
fn drafted(core: &Core, id: u64) -> Result<(PersonId, u16, AccountName, Talk), Fault> {
    let observed = &core.observed;
    let found = observed
        .talks
        .all
        .iter()
        .find(|(_, talk)| talk.draft.as_ref().is_some_and(|draft| draft.id == id));
    let gone = || {
        Fault::State(format!(
            "there is no draft {id}: it was sent or rejected, or he wrote again and another one is made. \
             `tidings replies list --state draft` shows those there are."
        ))
    };
    let ((who, by), talk) = found.ok_or_else(gone)?;
    let person = observed.persons.id(Handle(*who)).ok_or_else(gone)?;
    let account = observed.account_name(*by).ok_or_else(gone)?;
    if talk.draft.as_ref().is_some_and(|draft| draft.sending) {
        return refused(format!("draft {id} is being sent"));
    }
    Ok((person, *by, account.clone(), talk.clone()))
}

/// A text that can be sent.
fn sendable(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("the text is empty".to_owned());
    }
    let units = utf16_len(text);
    if units > MAX_TEXT_UNITS {
        return Err(format!(
            "the text has {units} UTF-16 units, Telegram takes at most {MAX_TEXT_UNITS}"
        ));
    }
    Ok(text.to_owned())
}

/// Keeps what an operator wrote, under the key of the line that it is or takes the place of.
fn keep_words(
    core: &Core,
    person: PersonId,
    key: &LineKey,
    account: &AccountName,
    by: &str,
    text: String,
) -> Result<(), StoreError> {
    let line = Line {
        at: core.clock.now(),
        account: account.clone(),
        speaker: Speaker::Operator(by.to_owned()),
        text,
    };
    core.people.say(person, key, &line)
}

/// Whether anybody may write to this person at all.
fn may_write(core: &Core, person: PersonId) -> Result<(), Fault> {
    let observed = &core.observed;
    if observed.silences(person) {
        return refused(format!(
            "{person} asked to hear no more, or is on the suppression list: nobody writes to him"
        ));
    }
    let who = observed.handle(person);
    if who.is_some_and(|who| observed.own.contains(who.0)) {
        return refused(format!("{person} is one of the workspace's own accounts"));
    }
    let known = core.people.get(person);
    match &core.desired.engine.limits.only_to {
        Some(only) if !is_named(person, known.as_ref(), only) => refused(format!(
            "`limits.only_to` does not name {person}: nobody else is written to"
        )),
        _ => Ok(()),
    }
}

fn approve(core: &Core, id: u64, text: Option<String>, by: String) -> Result<Answered, Fault> {
    let (person, index, account, talk) = drafted(core, id)?;
    may_write(core, person)?;
    let Some(draft) = &talk.draft else {
        return refused(format!("there is no draft {id}"));
    };
    // It would be taken back at once for not being free to leave.
    let observed = &core.observed;
    let campaign = observed.campaigns.get(&draft.role);
    if observed.suspended.is_some() {
        return refused(format!(
            "everything is suspended; draft {id} stays: `tidings resume --all` first"
        ));
    }
    if let Some(campaign) = campaign.filter(|campaign| campaign.suspended.is_some()) {
        let name = &campaign.name;
        return refused(format!(
            "`{name}` is suspended; draft {id} stays: `tidings resume {name}` first"
        ));
    }
    if let Some(why) = answers_held(&core.inputs(), &core.plan_report(), &draft.role) {
        return refused(format!("{why} Draft {id} stays."));
    }
    let key = draft_key(index, draft.message_id);
    let edited = text.is_some();
    match text {
        Some(text) => keep_words(core, person, &key, &account, &by, text)?,
        None => {
            let Some(line) = core.people.line(person, &key) else {
                return refused(format!("the text of draft {id} is gone"));
            };
            if let Err(why) = sendable(&line.text) {
                return refused(format!("{why}; give it another one with --text"));
            }
        }
    }
    done(
        format!("draft {id} goes to {person} by {account}."),
        vec![Event::DraftDecided {
            account,
            person,
            message_id: draft.message_id,
            approved: true,
            edited,
            by,
        }],
    )
}

fn reject(core: &Core, id: u64, by: String) -> Result<Answered, Fault> {
    let (person, _, account, talk) = drafted(core, id)?;
    let Some(draft) = &talk.draft else {
        return refused(format!("there is no draft {id}"));
    };
    done(
        format!("draft {id} is thrown away; {person} waits for a human."),
        vec![Event::DraftDecided {
            account,
            person,
            message_id: draft.message_id,
            approved: false,
            edited: false,
            by,
        }],
    )
}

fn send(
    core: &Core,
    person: PersonId,
    text: String,
    account: Option<&str>,
    by: String,
) -> Result<Answered, Fault> {
    may_write(core, person)?;
    let observed = &core.observed;
    let Some(who) = observed.handle(person) else {
        return refused(format!("{person} is not known here"));
    };
    let latest = || {
        observed
            .talks
            .of(who)
            .max_by_key(|(_, talk)| talk.wrote_at)
            .map(|(by, _)| by)
            .or_else(|| observed.contacted.get(&who.0)?.account)
            .and_then(|by| observed.account_name(by))
            .cloned()
    };
    let account: AccountName = match account.map(AccountName::from).or_else(latest) {
        Some(account) => account,
        None => {
            return refused(format!(
                "no account has talked with {person}: name one with --account"
            ));
        }
    };
    let known = core.people.get(person).unwrap_or_default();
    let (true, Some(index)) = (
        known.hashes.contains_key(&account),
        observed.account_index(&account),
    ) else {
        return refused(format!("{account} has not met {person}"));
    };
    let number = observed
        .talks
        .get(who, index)
        .map_or(0, |talk| talk.operator_count)
        + 1;
    let key = LineKey {
        account: index,
        kind: LineKind::Operator,
        number,
    };
    keep_words(core, person, &key, &account, &by, text)?;
    done(
        format!(
            "it goes to {person} by {account}. The AI is silent there; `tidings replies return {person}` gives the \
             conversation back to it."
        ),
        vec![Event::OperatorWrote {
            account,
            person,
            number,
            by,
        }],
    )
}

fn changed(
    core: &Core,
    person: PersonId,
    change: TalkChange,
    by: String,
) -> Result<Answered, Fault> {
    let has = core
        .observed
        .handle(person)
        .is_some_and(|who| core.observed.talks.of(who).next().is_some());
    if !has {
        return refused(format!("{person} has no conversation here"));
    }
    if change != TalkChange::Closed {
        // Neither a human nor the AI goes on with whom nobody may write to.
        may_write(core, person)?;
    }
    let what = match change {
        TalkChange::Taken => format!(
            "a human goes on with {person}; the AI is silent until `tidings replies return {person}`."
        ),
        TalkChange::Returned => format!("the AI may answer {person} again."),
        TalkChange::Closed => {
            format!("the conversation with {person} is closed until he writes again.")
        }
    };
    done(what, vec![Event::TalkChanged { person, change, by }])
}
