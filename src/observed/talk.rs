//! Conversations with people who write in: what is to be answered, what was drafted, who speaks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Handle, Observed};
use crate::model::{
    AccountName, AccountState, Aside, DraftHold, Event, Lineage, NeedsWhy, Outcome, PersonId,
    SendKey, TalkChange, Timestamp, aside_of,
};

/// Ids of his messages that are remembered one by one, so that one that comes late is told from one that comes twice:
/// more than a gap in the updates ever holds of one person.
const RECENT: usize = 64;
/// The first pause after a failed try to draft; doubles with each.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// Notices that wait at most; the oldest are dropped.
const NOTICES: usize = 10_000;
/// A quarter of an hour: every zone's day begins at a multiple of it.
const QUARTER: i64 = 15 * 60_000;
/// A wait that Telegram asks for is told where it is longer, in seconds (CONTRACT section 6: over an hour).
const LONG_FLOOD: u32 = 3600;
/// Two days of quarters, and the hour that a day in autumn is longer.
const KEEP_QUARTERS: i64 = 50 * 4;

/// Messages of his that wait for an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unanswered {
    /// The oldest.
    pub first: i32,
    /// The newest.
    pub last: i32,
    /// When the oldest came.
    pub since: Timestamp,
    /// When the newest came.
    pub last_at: Timestamp,
    /// Whose role answers.
    pub role: Lineage,
    /// Tries to draft an answer that failed, one after another.
    pub failures: u32,
    /// Not before then.
    pub retry_at: Timestamp,
    /// Why the last one failed.
    pub detail: String,
}

/// Messages to operators of which it is remembered that their intent was written: more than wait for one at a time.
const MAX_NOTICED: usize = 1_000;

/// An answer that was drafted and is not sent yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// The number by which an operator names it: of the event that made it.
    pub id: u64,
    /// The newest message that it answers: its key.
    pub message_id: i32,
    /// When it was drafted, or approved.
    pub at: Timestamp,
    /// Waits for an operator, and why.
    pub hold: Option<DraftHold>,
    /// Whose role drafted it.
    pub role: Lineage,
    /// Its intent is written: nothing changes it any more.
    pub sending: bool,
    /// An operator put his own words in its place.
    #[serde(default)]
    pub edited: bool,
}

/// A message of an operator that is not sent yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorMessage {
    /// Its number.
    pub number: u32,
    /// Its intent is written.
    pub sending: bool,
}

/// What one person and one account say to each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Talk {
    /// His last messages that were handled, ascending; at most [`RECENT`].
    pub recent: Vec<i32>,
    /// When he last wrote.
    pub wrote_at: Timestamp,
    /// What is to be answered.
    pub unanswered: Option<Unanswered>,
    /// The answer that is not sent yet.
    pub draft: Option<Draft>,
    /// Operators' messages that are not sent yet.
    pub operator: VecDeque<OperatorMessage>,
    /// How many an operator ever wrote.
    pub operator_count: u32,
    /// A human must look: why, since when, in one sentence.
    pub needs: Option<(NeedsWhy, Timestamp, String)>,
    /// A human goes on with it since: the AI is silent.
    pub human: Option<Timestamp>,
    /// Closed by an operator, until he writes again.
    pub closed: bool,
    /// Answers of the AI that were sent, by role.
    pub replies: BTreeMap<Lineage, u32>,
    /// The first answer said what it is.
    pub disclosed: bool,
    /// Sends of which Telegram never said the message's id: as many messages of the account are one's own.
    pub blind: u32,
}

impl Talk {
    /// Whether the planner has something to do here.
    fn is_due(&self) -> bool {
        if !self.operator.is_empty() {
            return true;
        }
        let waits = self.draft.as_ref().is_some_and(|d| d.hold.is_none());
        let open = self.unanswered.is_some() && self.draft.is_none();
        (waits || open) && self.needs.is_none() && self.human.is_none()
    }
}

/// Tokens by the quarter of an hour, for two days.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spend {
    quarters: VecDeque<(i64, u64)>,
}

impl Spend {
    fn add(&mut self, at: Timestamp, tokens: u64) {
        let quarter = at.0.div_euclid(QUARTER);
        match self.quarters.back_mut() {
            // A clock that was set back widens no limit.
            Some((last, n)) if *last >= quarter => *n = n.saturating_add(tokens),
            _ => self.quarters.push_back((quarter, tokens)),
        }
        while self
            .quarters
            .front()
            .is_some_and(|(oldest, _)| *oldest <= quarter - KEEP_QUARTERS)
        {
            self.quarters.pop_front();
        }
    }

    /// Tokens since the beginning of a day.
    pub fn since(&self, start: Timestamp) -> u64 {
        let first = start.0.div_euclid(QUARTER);
        self.quarters
            .iter()
            .filter(|(quarter, _)| *quarter >= first)
            .fold(0, |sum, (_, n)| sum.saturating_add(*n))
    }
}

/// What `notify` may be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// A person needs a human.
    Handoff,
    /// A draft waits for approval.
    Draft,
    /// A campaign paused itself.
    Paused,
    /// A campaign stopped.
    Stalled,
    /// An account's state changed.
    Account,
    /// A run or campaign has finished.
    Finished,
}

impl NoticeKind {
    /// The word that `notify.on` has for it.
    pub fn name(self) -> &'static str {
        match self {
            NoticeKind::Handoff => "handoff",
            NoticeKind::Draft => "draft",
            NoticeKind::Paused => "paused",
            NoticeKind::Stalled => "stalled",
            NoticeKind::Account => "account",
            NoticeKind::Finished => "finished",
        }
    }
}

/// Something that somebody may want to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The event's number.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// About what.
    pub kind: NoticeKind,
    /// Of which campaign.
    pub campaign: Option<Lineage>,
    /// Of which account.
    pub account: Option<AccountName>,
    /// About whom.
    pub person: Option<PersonId>,
    /// CamelCase or snake_case, for programs.
    pub reason: String,
    /// In one sentence, without message texts.
    pub message: String,
    /// The draft's number.
    pub draft: Option<u64>,
}

/// All conversations, and what is to be told about them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Talks {
    /// By person and account.
    #[serde(with = "super::pairs")]
    pub all: BTreeMap<(u32, u16), Talk>,
    /// Those in which the planner has something to do.
    pub due: BTreeSet<(u32, u16)>,
    /// Tokens by role.
    pub spend: BTreeMap<Lineage, Spend>,
    /// What was last told, the oldest first.
    pub notices: VecDeque<Notice>,
    /// Up to which event each entry of `notify` was told.
    pub told: BTreeMap<u64, u64>,
    /// The run of each campaign that has finished.
    pub finished: BTreeMap<Lineage, u32>,
    /// Messages to operators whose intent is written, until that is told: by account, person and event.
    pub noticed: BTreeSet<(u16, PersonId, u32)>,
    /// Campaigns that wait for a person without an event of their own, and the reason that was told.
    pub waits: BTreeMap<Lineage, String>,
    /// Accounts that cannot be used without Telegram's word, and the reason that was told.
    pub away: BTreeMap<AccountName, String>,
}

impl Talks {
    /// The conversation of a person with an account.
    pub fn get(&self, person: Handle, account: u16) -> Option<&Talk> {
        self.all.get(&(person.0, account))
    }

    /// All conversations of a person.
    pub fn of(&self, person: Handle) -> impl Iterator<Item = (u16, &Talk)> {
        self.all
            .range((person.0, 0)..=(person.0, u16::MAX))
            .map(|((_, account), talk)| (*account, talk))
    }

    /// Whether a human goes on with this person, through whichever account.
    pub fn is_human(&self, person: Handle) -> bool {
        self.of(person).any(|(_, talk)| talk.human.is_some())
    }

    /// Answers of the AI to a person in a role, over all accounts.
    pub fn replies(&self, person: Handle, role: &str) -> u32 {
        self.of(person)
            .map(|(_, talk)| talk.replies.get(role).copied().unwrap_or(0))
            .sum()
    }

    /// Whether a message of his was handled, given the newest one that was.
    pub fn was_handled(&self, person: Handle, account: u16, last: i32, message_id: i32) -> bool {
        if message_id > last {
            return false;
        }
        match self.get(person, account) {
            Some(talk) if talk.recent.len() < RECENT => {
                talk.recent.is_empty() || talk.recent.contains(&message_id)
            }
            Some(talk) => {
                talk.recent.contains(&message_id)
                    || talk.recent.first().is_some_and(|first| message_id < *first)
            }
            None => true,
        }
    }
}

impl Observed {
    /// Changes a conversation, and keeps in mind whether there is something to do in it.
    fn talk(&mut self, person: Handle, account: u16, change: impl FnOnce(&mut Talk)) {
        let key = (person.0, account);
        let talk = self.talks.all.entry(key).or_default();
        change(talk);
        if talk.is_due() {
            self.talks.due.insert(key);
        } else {
            self.talks.due.remove(&key);
        }
    }

    fn talks_of(&mut self, person: Handle, mut change: impl FnMut(&mut Talk)) {
        let accounts: Vec<u16> = self.talks.of(person).map(|(account, _)| account).collect();
        for account in accounts {
            self.talk(person, account, &mut change);
        }
    }

    fn notice(&mut self, at: Timestamp, kind: NoticeKind, reason: &str, message: String) {
        let seq = self.seq;
        if self.talks.notices.len() >= NOTICES {
            self.talks.notices.pop_front();
        }
        self.talks.notices.push_back(Notice {
            seq,
            at,
            kind,
            campaign: None,
            account: None,
            person: None,
            reason: reason.to_owned(),
            message,
            draft: None,
        });
    }

    fn notice_about(
        &mut self,
        campaign: Option<&Lineage>,
        account: Option<&AccountName>,
        person: Option<PersonId>,
        draft: Option<u64>,
    ) {
        let campaign = campaign
            .filter(|line| crate::model::account_of_role(line).is_none())
            .cloned();
        if let Some(notice) = self.talks.notices.back_mut() {
            notice.campaign = campaign;
            notice.account = account.cloned();
            notice.person = person;
            notice.draft = draft;
        }
    }
}

/// A message of his was handled.
pub(super) fn heard(
    state: &mut Observed,
    person: Handle,
    account: u16,
    message_id: i32,
    at: Timestamp,
) {
    state.talk(person, account, |talk| {
        talk.wrote_at = talk.wrote_at.max(at);
        if let Err(place) = talk.recent.binary_search(&message_id) {
            talk.recent.insert(place, message_id);
        }
        if talk.recent.len() > RECENT {
            talk.recent.remove(0);
        }
        talk.closed = false;
    });
}

/// Somebody who is silenced waits for no answer any more.
pub(super) fn silenced(state: &mut Observed, person: Handle) {
    state.talks_of(person, |talk| {
        talk.unanswered = None;
        talk.draft = talk.draft.take().filter(|draft| draft.sending);
        talk.operator.retain(|message| message.sending);
        talk.needs = None;
    });
}

/// Events about conversations, and what of the others is worth a notice.
pub(super) fn fold(state: &mut Observed, event: &Event, at: Timestamp) {
    match event {
        Event::Written {
            account,
            person,
            message_id,
            role,
        } => {
            let (who, by) = (state.persons.intern(*person), state.index(account));
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
                talk.needs = talk.needs.take().filter(|(why, _, _)| !passing(why));
                // What he adds changes what there is to say; what is being sent is not changed any more.
                talk.draft = talk.draft.take().filter(|draft| draft.sending);
                match &mut talk.unanswered {
                    Some(open) => {
                        open.first = open.first.min(*message_id);
                        open.last = open.last.max(*message_id);
                        open.last_at = at;
                        open.role = role;
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
                        });
                    }
                }
            });
        }
        Event::HumanSpoke {
            account, person, ..
        } => {
            let (who, by) = (state.persons.intern(*person), state.index(account));
            state.talk(who, by, |talk| {
                talk.human = Some(at);
                talk.unanswered = None;
                talk.needs = None;
            });
            state.talks_of(who, |talk| {
                talk.draft = talk.draft.take().filter(|draft| draft.sending);
            });
        }
        Event::ModelAsked { role, tokens } => {
            state
                .talks
                .spend
                .entry(role.clone())
                .or_default()
                .add(at, *tokens);
        }
        Event::Drafted {
            account,
            person,
            message_id,
            hold,
        } => {
            let (who, by) = (state.persons.intern(*person), state.index(account));
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
                state.notice(at, NoticeKind::Draft, "draft", message);
                state.notice_about(Some(&role), Some(account), Some(*person), Some(id));
            }
        }
        Event::DraftFailed {
            account,
            person,
            wait,
            detail,
            ..
        } => {
            let (who, by) = (state.persons.intern(*person), state.index(account));
            state.talk(who, by, |talk| {
                if let Some(open) = &mut talk.unanswered {
                    open.failures += 1;
                    let pause = RETRY_FIRST * (1 << (open.failures - 1).min(10));
                    let asked = Duration::from_secs(u64::from(wait.unwrap_or(0)));
                    open.retry_at = at + pause.max(asked);
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
            let (who, by) = (state.persons.intern(*person), state.index(account));
            let role = state
                .talks
                .get(who, by)
                .and_then(|talk| talk.unanswered.as_ref())
                .map(|open| open.role.clone());
            state.talk(who, by, |talk| {
                talk.needs = Some((*why, at, detail.clone()));
                talk.unanswered = None;
                talk.draft = talk.draft.take().filter(|draft| draft.sending);
            });
            let message = format!("{person}, who writes to {account}, needs a human. {detail}");
            state.notice(at, NoticeKind::Handoff, why.name(), message);
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
            let (who, by) = (state.persons.intern(*person), state.index(account));
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
                    talk.unanswered = None;
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
            let (who, by) = (state.persons.intern(*person), state.index(account));
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
                TalkChange::Taken => {
                    talk.human = Some(at);
                    talk.unanswered = None;
                    talk.draft = talk.draft.take().filter(|draft| draft.sending);
                    talk.needs = None;
                    talk.closed = false;
                }
                TalkChange::Returned => {
                    talk.human = None;
                    talk.needs = None;
                    talk.closed = false;
                }
                TalkChange::Closed => {
                    talk.human = None;
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
        Event::Told { target, seq, .. } => {
            let told = state.talks.told.entry(*target).or_insert(0);
            *told = (*told).max(*seq);
            // Another entry of `notify` may have been told of the same event, and an operator not yet: an intent is
            // forgotten only with many younger ones.
            while state.talks.noticed.len() > MAX_NOTICED {
                let oldest = state
                    .talks
                    .noticed
                    .iter()
                    .min_by_key(|(_, _, event)| *event);
                let Some(oldest) = oldest.copied() else {
                    break;
                };
                state.talks.noticed.remove(&oldest);
            }
        }
        Event::Finished { campaign, run } | Event::RunSettled { campaign, run }
            if state.talks.finished.get(campaign) != Some(run) =>
        {
            state.talks.finished.insert(campaign.clone(), *run);
            let left = state.campaigns.get(campaign).map_or(0, |it| it.pending());
            let message = match left {
                0 => format!("Everybody of run {run} is settled."),
                1 => format!("Run {run} has ended; one person was not reached."),
                left => format!("Run {run} has ended; {left} people were not reached."),
            };
            state.notice(at, NoticeKind::Finished, "finished", message);
            state.notice_about(Some(campaign), None, None, None);
        }
        Event::Stalled { campaign, why } => {
            state.notice(at, NoticeKind::Stalled, &why.reason, why.message.clone());
            state.notice_about(Some(campaign), None, None, None);
        }
        Event::SelfPaused { campaign, why } => {
            state.notice(at, NoticeKind::Paused, &why.reason, why.message.clone());
            state.notice_about(Some(campaign), None, None, None);
        }
        Event::Suspended {
            campaign,
            reason,
            by,
        } => {
            let what = match campaign {
                Some(_) => "Suspended",
                None => "All campaigns are suspended",
            };
            let message = format!("{what} by {by}: {reason}");
            state.notice(at, NoticeKind::Paused, "Suspended", message);
            state.notice_about(campaign.as_ref(), None, None, None);
        }
        Event::CampaignWaits {
            campaign,
            paused,
            why: Some(why),
        } => {
            let waits = &mut state.talks.waits;
            waits.insert(campaign.clone(), why.reason.clone());
            let kind = match paused {
                true => NoticeKind::Paused,
                false => NoticeKind::Stalled,
            };
            state.notice(at, kind, &why.reason, why.message.clone());
            state.notice_about(Some(campaign), None, None, None);
        }
        Event::CampaignWaits {
            campaign,
            why: None,
            ..
        } => {
            state.talks.waits.remove(campaign);
        }
        Event::AccountAway { account, why } => {
            let (reason, message) = match why {
                Some(why) => {
                    let away = &mut state.talks.away;
                    away.insert(account.clone(), why.reason.clone());
                    (why.reason.as_str(), format!("{account}: {}", why.message))
                }
                None => {
                    state.talks.away.remove(account);
                    ("ready", format!("{account} can be used again."))
                }
            };
            state.notice(at, NoticeKind::Account, reason, message);
            state.notice_about(None, Some(account), None, None);
        }
        Event::FloodWait {
            account,
            until,
            seconds,
            ..
        } if *seconds > LONG_FLOOD => {
            let message =
                format!("Telegram told {account} to wait for {seconds} s, until {until}.");
            state.notice(at, NoticeKind::Account, "flood_wait", message);
            state.notice_about(None, Some(account), None, None);
        }
        Event::AccountChanged {
            account,
            state: new,
            message,
        } => {
            // Several calls learn of the same.
            let before = state
                .accounts
                .get(account)
                .and_then(|account| account.trouble.as_ref())
                .map_or(AccountState::Ready, |(state, ..)| *state);
            if before == *new {
                return;
            }
            state.talks.away.remove(account);
            let message = if message.is_empty() {
                format!("{account} is {new}.")
            } else {
                format!("{account}: {message}")
            };
            state.notice(at, NoticeKind::Account, new.name(), message);
            state.notice_about(None, Some(account), None, None);
        }
        Event::Limited {
            account,
            campaign,
            until,
        } => {
            let message = format!(
                "Telegram limited {account} (PEER_FLOOD): no first contacts until {until}."
            );
            state.notice(at, NoticeKind::Account, "limited", message);
            state.notice_about(campaign.as_ref(), Some(account), None, None);
        }
        _ => {}
    }
}

/// The conversation that a send outside of campaigns belongs to.
fn place(state: &mut Observed, key: &SendKey) -> Option<(Handle, u16)> {
    let account = match aside_of(key)? {
        Aside::Answer { account, .. } | Aside::Operator { account, .. } => account.to_owned(),
        Aside::OptOut | Aside::Notice { .. } => return None,
    };
    let who = state.persons.intern(key.person);
    Some((who, state.index(&account.as_str().into())))
}

/// Its intent is written.
pub(super) fn intended(state: &mut Observed, key: &SendKey) {
    if let Some(Aside::Notice { account, number }) = aside_of(key) {
        let by = state.index(&account.into());
        state.talks.noticed.insert((by, key.person, number));
        return;
    }
    sending(state, key, true);
}

/// It certainly was not sent: again.
pub(super) fn released(state: &mut Observed, key: &SendKey) {
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
pub(super) fn sent(state: &mut Observed, key: &SendKey, account: &AccountName, message_id: i32) {
    let by = state.index(account);
    let who = state.persons.intern(key.person);
    match u32::try_from(message_id) {
        Ok(id) if id > 0 => {
            if let Some(account) = state.accounts.get_mut(account) {
                account.own_messages.insert(id);
            }
        }
        _ => state.talk(who, by, |talk| talk.blind += 1),
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
pub(super) fn refused(
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
        state.notice(at, NoticeKind::Handoff, NeedsWhy::NotSent.name(), message);
        state.notice_about(None, Some(&account), Some(key.person), None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_counted_by_the_day_and_forgotten_after_two() {
        let mut spend = Spend::default();
        let hour = 3_600_000;
        spend.add(Timestamp(0), 10);
        spend.add(Timestamp(24 * hour), 5);
        assert_eq!(spend.since(Timestamp(0)), 15);
        assert_eq!(spend.since(Timestamp(24 * hour)), 5);
        spend.add(Timestamp(80 * hour), 1);
        assert_eq!(spend.since(Timestamp(0)), 1);
        // A clock that was set back counts into the newest.
        spend.add(Timestamp(0), 2);
        assert_eq!(spend.since(Timestamp(80 * hour)), 3);
    }

    #[test]
    fn a_message_that_comes_late_is_told_from_one_that_comes_twice() {
        let mut state = Observed::default();
        let who = state.persons.intern(PersonId(7));
        for id in [5, 9] {
            heard(&mut state, who, 0, id, Timestamp(1));
        }
        let handled = |state: &Observed, id| state.talks.was_handled(who, 0, 9, id);
        assert!(handled(&state, 5) && handled(&state, 9));
        assert!(!handled(&state, 7), "it came late");
        assert!(!handled(&state, 10));
        for id in 100..200 {
            heard(&mut state, who, 0, id, Timestamp(1));
        }
        assert!(
            state.talks.was_handled(who, 0, 199, 7),
            "older than what is remembered one by one"
        );
    }
}
