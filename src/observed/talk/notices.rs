//! What `notify` may tell, and what it has told.

use serde::{Deserialize, Serialize};

use crate::model::{AccountName, AccountState, Event, Lineage, NotifyEvent, PersonId, Timestamp};
use crate::observed::Observed;

/// Notices that wait at most; the oldest are dropped.
const NOTICES: usize = 10_000;
/// A wait that Telegram asks for is told where it is longer, in seconds (CONTRACT section 6: over an hour).
const LONG_FLOOD: u32 = 3600;
/// Messages to operators of which it is remembered that their intent was written: more than wait for one at a time.
const MAX_NOTICED: usize = 1_000;

/// Something that somebody may want to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The event's number.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// About what.
    pub kind: NotifyEvent,
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

impl Observed {
    pub(super) fn notice(
        &mut self,
        at: Timestamp,
        kind: NotifyEvent,
        reason: &str,
        message: String,
    ) {
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

    pub(super) fn notice_about(
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

/// What of all events is worth a notice, and who was told.
pub(super) fn fold(state: &mut Observed, event: &Event, at: Timestamp) {
    match event {
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
            state.notice(at, NotifyEvent::Finished, "finished", message);
            state.notice_about(Some(campaign), None, None, None);
        }
        Event::Stalled { campaign, why } => {
            state.notice(at, NotifyEvent::Stalled, &why.reason, why.message.clone());
            state.notice_about(Some(campaign), None, None, None);
        }
        Event::SelfPaused { campaign, why } => {
            state.notice(at, NotifyEvent::Paused, &why.reason, why.message.clone());
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
            state.notice(at, NotifyEvent::Paused, "Suspended", message);
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
                true => NotifyEvent::Paused,
                false => NotifyEvent::Stalled,
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
            state.notice(at, NotifyEvent::Account, reason, message);
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
            state.notice(at, NotifyEvent::Account, "flood_wait", message);
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
            state.notice(at, NotifyEvent::Account, new.name(), message);
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
            state.notice(at, NotifyEvent::Account, "limited", message);
            state.notice_about(campaign.as_ref(), Some(account), None, None);
        }
        _ => {}
    }
}
