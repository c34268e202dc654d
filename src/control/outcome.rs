//! From what Telegram said to what is written down. One match over the table of `model::reaction`.

use std::time::Duration;

use crate::model::reaction::{CallClass, Reaction, RpcFault, react};
use crate::model::{
    AccountName, AccountState, Event, InDoubtWhy, Lineage, Outcome, SendKey, StallReason,
    Timestamp, is_aside,
};
use crate::observed::{InFlight, OPT_OUT_LINEAGE, Observed};
use crate::telegram::{CallError, Delivered, HistoryMessage, Membership};

/// Telegram's clock and ours may differ by this much.
const CLOCKS: Duration = Duration::from_secs(120);

/// The jitter on a wait that Telegram asked for: up to a tenth, at least a second, so that several accounts do not come
/// back in the same moment, and none before its time.
fn jitter(seconds: u32, account: &str, now: Timestamp) -> Duration {
    let mut hasher = blake3::Hasher::new();
    hasher.update(account.as_bytes());
    hasher.update(&now.0.to_le_bytes());
    let drawn = u64::from(hasher.finalize().as_bytes()[0]);
    Duration::from_millis(1000 + u64::from(seconds) * 100 * drawn / 255)
}

/// When a wait of so many seconds ends for an account.
pub fn flood(account: &AccountName, class: CallClass, seconds: u32, now: Timestamp) -> Event {
    let wait = Duration::from_secs(u64::from(seconds)) + jitter(seconds, account, now);
    Event::FloodWait {
        account: account.clone(),
        class,
        until: now + wait,
        seconds,
    }
}

/// What became of a send.
pub struct Verdict {
    /// To be written down.
    pub events: Vec<Event>,
    /// The connection is to be tried before anything else is sent.
    pub link_lost: Option<String>,
    /// What was uploaded is no longer known to Telegram.
    pub upload_again: bool,
}

impl Verdict {
    fn of(events: Vec<Event>) -> Verdict {
        Verdict {
            events,
            link_lost: None,
            upload_again: false,
        }
    }
}

/// What a file that could not be uploaded means: a wait, a lost account or a campaign that cannot go on. What passes by
/// itself is tried again with the connection.
pub fn of_failed_upload(
    account: &AccountName,
    campaign: Lineage,
    path: &str,
    error: CallError,
    now: Timestamp,
) -> Verdict {
    let fault = match error {
        CallError::Rpc(fault) => fault,
        other => {
            return Verdict {
                link_lost: Some(other.to_string()),
                ..Verdict::of(Vec::new())
            };
        }
    };
    match react(&fault) {
        Reaction::Wait { seconds } => {
            Verdict::of(vec![flood(account, CallClass::Send, seconds, now)])
        }
        Reaction::LoseAccount(state) => Verdict::of(vec![lost(account, state, &fault.message)]),
        Reaction::InDoubt => Verdict {
            link_lost: Some(fault.to_string()),
            ..Verdict::of(Vec::new())
        },
        _ => Verdict::of(vec![Event::Stalled {
            campaign,
            why: StallReason {
                reason: "MediaRefused".to_owned(),
                message: format!("Telegram refused the file {path}: {}.", fault.message),
            },
        }]),
    }
}

/// Telegram accepted it.
pub fn of_accepted(
    flight: &InFlight,
    key: SendKey,
    delivered: &Delivered,
    now: Timestamp,
) -> Event {
    Event::Sent {
        key,
        message_id: delivered.message_id,
        earlier: delivered.earlier,
        next_allowed_at: now + flight.gap(),
    }
}

/// Decides by the table what an answer means.
pub fn of_send(
    observed: &Observed,
    key: &SendKey,
    result: Result<Delivered, CallError>,
    now: Timestamp,
) -> Verdict {
    let Some(flight) = observed.in_flight.get(key) else {
        return Verdict::of(Vec::new());
    };
    let account = &flight.intent.account;
    let again = flight.doubt.is_some();
    let key = key.clone();
    match result {
        Ok(delivered) => Verdict::of(vec![of_accepted(flight, key, &delivered, now)]),
        Err(CallError::Rpc(fault)) => of_refusal(observed, flight, key, &fault, again, now),
        Err(CallError::InDoubt { why, detail }) => {
            let link_lost = (why != InDoubtWhy::Server).then_some(detail);
            Verdict {
                events: vec![Event::InDoubt { key, why }],
                link_lost,
                upload_again: false,
            }
        }
        Err(error @ (CallError::NotSent { .. } | CallError::Session(_) | CallError::Locked(_))) => {
            Verdict {
                events: vec![back(
                    key,
                    again,
                    false,
                    InDoubtWhy::Connection,
                    error.to_string(),
                )],
                link_lost: Some(error.to_string()),
                upload_again: false,
            }
        }
        Err(error @ CallError::KeyUnknown) => Verdict::of(vec![
            back(key, again, false, InDoubtWhy::Connection, error.to_string()),
            Event::AccountChanged {
                account: account.clone(),
                state: AccountState::Unauthorized,
                message: unauthorized(account, &error.to_string()),
            },
        ]),
        // An answer that is not understood may well be to a message that was delivered.
        Err(
            CallError::Unexpected(_)
            | CallError::NotAPerson(_)
            | CallError::NotAPlace(_)
            | CallError::NotMet(_)
            | CallError::Unfit(_),
        ) => Verdict::of(vec![Event::InDoubt {
            key,
            why: InDoubtWhy::Server,
        }]),
    }
}

/// Telegram takes an account for a sender of spam: for how long it writes to no stranger.
fn limited(
    observed: &Observed,
    account: &AccountName,
    campaign: Option<Lineage>,
    now: Timestamp,
) -> Event {
    let wait = observed
        .accounts
        .get(account)
        .map_or(crate::observed::LIMITED_FIRST, |known| {
            known.next_limit(now)
        });
    Event::Limited {
        account: account.clone(),
        campaign,
        until: now + wait,
    }
}

/// Pending again where it certainly was not sent; where an earlier try may have been, it stays in doubt.
fn back(key: SendKey, again: bool, keep: bool, why: InDoubtWhy, detail: String) -> Event {
    if again {
        Event::InDoubt { key, why }
    } else {
        Event::Released { key, keep, detail }
    }
}

fn of_refusal(
    observed: &Observed,
    flight: &InFlight,
    key: SendKey,
    fault: &RpcFault,
    again: bool,
    now: Timestamp,
) -> Verdict {
    let account = &flight.intent.account;
    let said = match fault.base().as_str() {
        // The number behind it, since when he is there, is our own and tells a reader nothing.
        base @ "USER_ALREADY_PARTICIPANT" => base.to_owned(),
        _ => fault.message.clone(),
    };
    let campaign = (!is_aside(&key.lineage)).then(|| key.lineage.clone());
    // What belongs to no campaign is not tried again and again when Telegram refuses it for the account's sake: a human
    // is told of an answer, and a confirmation of an opt-out is a courtesy, tried again after a wait alone. What the
    // account may do from then on is the same, whatever it was that it sent.
    if campaign.is_none() {
        let reaction = react(fault);
        let courtesy = key.lineage.as_ref() == OPT_OUT_LINEAGE;
        let over = match reaction {
            Reaction::LimitAccount | Reaction::Stall { .. } | Reaction::LookUpAgain => true,
            Reaction::SlowMode { .. } => courtesy,
            _ => false,
        };
        if over {
            let mut events = vec![Event::Refused {
                key,
                outcome: Outcome::Failed,
                detail: said,
            }];
            if reaction == Reaction::LimitAccount {
                events.push(limited(observed, account, None, now));
            }
            return Verdict::of(events);
        }
    }
    let server = InDoubtWhy::Server;
    let class = match flight.intent.is_invite() {
        true => CallClass::Invite,
        false => CallClass::Send,
    };
    if flight.intent.is_invite()
        && let Some(verdict) = of_invite(flight, &key, fault, again, now)
    {
        return verdict;
    }
    // Who is invited again was looked for first: what is refused then never was.
    let repeated = again && !flight.intent.is_invite();
    let events = match react(fault) {
        Reaction::Wait { seconds } => {
            vec![
                back(key, again, true, server, said),
                flood(account, class, seconds, now),
            ]
        }
        Reaction::SlowMode { seconds } => {
            let until =
                now + Duration::from_secs(u64::from(seconds)) + jitter(seconds, account, now);
            let person = key.person;
            vec![
                back(key, again, true, server, said),
                Event::SlowMode { person, until },
            ]
        }
        Reaction::LimitAccount => vec![
            back(key, again, true, server, said),
            limited(observed, account, campaign, now),
        ],
        Reaction::SkipRecipient { outcome, suppress } => {
            let person = key.person;
            let mut events = vec![refused(key, repeated, outcome, said.clone())];
            if suppress {
                events.push(Event::Suppressed { person, why: said });
            }
            events
        }
        Reaction::LookUpAgain => {
            let index = observed.account_index(account);
            let handle = observed.handle(key.person);
            let tried = match (index, handle) {
                (Some(index), Some(handle)) => observed.relooked.contains(&(index, handle.0)),
                _ => true,
            };
            if tried {
                vec![Event::Refused {
                    key,
                    outcome: Outcome::Unreachable,
                    detail: said,
                }]
            } else {
                let person = key.person;
                vec![
                    Event::Released {
                        key,
                        keep: true,
                        detail: said,
                    },
                    Event::LookAgain {
                        account: account.clone(),
                        person,
                    },
                ]
            }
        }
        Reaction::LoseAccount(state) => vec![
            back(key, again, false, server, said.clone()),
            lost(account, state, &said),
        ],
        Reaction::Stall { reason } => {
            let mut events = vec![back(key, again, false, server, said.clone())];
            if let Some(campaign) = campaign {
                let message = match class {
                    CallClass::Invite => format!("Telegram adds nobody to the target: {said}."),
                    _ => format!("Telegram refused the message itself: {said}."),
                };
                events.push(Event::Stalled {
                    campaign,
                    why: StallReason {
                        reason: reason.to_owned(),
                        message,
                    },
                });
            }
            events
        }
        Reaction::UploadAgain => {
            let events = vec![back(key, again, true, server, said)];
            return Verdict {
                events,
                link_lost: None,
                upload_again: true,
            };
        }
        // `RANDOM_ID_DUPLICATE`: the second try confirms it.
        Reaction::Delivered if again => {
            let gap = flight.intent.next_allowed_at.since(flight.at);
            vec![Event::Sent {
                key,
                message_id: 0,
                earlier: true,
                next_allowed_at: now + gap,
            }]
        }
        Reaction::Delivered | Reaction::InDoubt => vec![Event::InDoubt { key, why: server }],
        Reaction::FailRecipient => vec![refused(key, repeated, Outcome::Failed, said)],
    };
    Verdict::of(events)
}

/// Settled; where an earlier try may have arrived the dialog decides first.
fn refused(key: SendKey, again: bool, outcome: Outcome, detail: String) -> Event {
    if again {
        let why = InDoubtWhy::Refused(outcome);
        return Event::InDoubt { key, why };
    }
    Event::Refused {
        key,
        outcome,
        detail,
    }
}

/// What is meant otherwise of an invite than of a message.
fn of_invite(
    flight: &InFlight,
    key: &SendKey,
    fault: &RpcFault,
    again: bool,
    now: Timestamp,
) -> Option<Verdict> {
    match fault.base().as_str() {
        // The look before a repeat finds him there: an earlier try added him, unless he came long before it.
        "USER_ALREADY_PARTICIPANT" if again => {
            let since = fault
                .value()
                .map(|seconds| Timestamp::from_seconds(i64::from(seconds)));
            if since.is_some_and(|since| since < flight.at - CLOCKS) {
                return None;
            }
            Some(Verdict::of(vec![added(flight, key, now)]))
        }
        // The place, not the person.
        "CHANNEL_INVALID" => Some(Verdict::of(vec![
            back(
                key.clone(),
                again,
                false,
                InDoubtWhy::Server,
                fault.message.clone(),
            ),
            Event::Stalled {
                campaign: key.lineage.clone(),
                why: StallReason {
                    reason: "ChannelInvalid".to_owned(),
                    message: format!(
                        "Telegram does not know the target any more: {}.",
                        fault.message
                    ),
                },
            },
        ])),
        _ => None,
    }
}

/// An earlier try is known to have added him.
fn added(flight: &InFlight, key: &SendKey, now: Timestamp) -> Event {
    let gap = flight.intent.next_allowed_at.since(flight.at);
    Event::Sent {
        key: key.clone(),
        message_id: 0,
        earlier: true,
        next_allowed_at: now + gap,
    }
}

/// What the place's members say of an invite in doubt that nobody may repeat.
pub fn of_membership(
    observed: &Observed,
    key: &SendKey,
    result: Result<Membership, CallError>,
    now: Timestamp,
) -> Vec<Event> {
    let Some(flight) = observed.in_flight.get(key) else {
        return Vec::new();
    };
    let refused = |outcome: Outcome, detail: String| Event::Refused {
        key: key.clone(),
        outcome,
        detail,
    };
    match result {
        Ok(Membership::Member { since }) => match since {
            Some(since) if since < flight.at - CLOCKS => vec![refused(
                Outcome::AlreadyMember,
                "he was a member before".to_owned(),
            )],
            _ => vec![added(flight, key, now)],
        },
        Ok(Membership::No) => {
            let detail = "he is no member: the invite came to nothing".to_owned();
            let silenced = observed.silences(key.person);
            match silenced {
                true => vec![refused(Outcome::OptedOut, detail)],
                false => vec![Event::Released {
                    key: key.clone(),
                    keep: true,
                    detail,
                }],
            }
        }
        Ok(Membership::Hidden) => vec![refused(
            Outcome::Uncertain,
            "Telegram does not tell whether he is a member".to_owned(),
        )],
        Err(error) => unread(
            observed,
            flight,
            &error,
            "it cannot be seen whether he is a member",
            now,
        ),
    }
}

/// What would have told of a send in doubt could not be read. What befell the account or the server says nothing of the
/// send: it is asked again when that is over.
fn unread(
    observed: &Observed,
    flight: &InFlight,
    error: &CallError,
    what: &str,
    now: Timestamp,
) -> Vec<Event> {
    let (key, account) = (&flight.intent.key, &flight.intent.account);
    let again = Event::InDoubt {
        key: key.clone(),
        why: InDoubtWhy::Unread,
    };
    let CallError::Rpc(fault) = error else {
        return vec![again];
    };
    match react(fault) {
        Reaction::Wait { seconds } | Reaction::SlowMode { seconds } => {
            vec![flood(account, CallClass::LookUp, seconds, now), again]
        }
        Reaction::LoseAccount(state) => vec![again, lost(account, state, &fault.message)],
        Reaction::LimitAccount => vec![again, limited(observed, account, None, now)],
        Reaction::InDoubt => vec![again],
        _ => vec![Event::Refused {
            key: key.clone(),
            outcome: Outcome::Uncertain,
            detail: format!("{what}: {}", fault.message),
        }],
    }
}

fn unauthorized(account: &str, said: &str) -> String {
    format!(
        "{said}. Its session file was kept as it was; `tidings account login {account} --phone …` logs it in again."
    )
}

/// An account is out of work, by what Telegram said.
pub fn lost(account: &AccountName, state: AccountState, said: &str) -> Event {
    let message = match state {
        AccountState::Unauthorized => unauthorized(
            account,
            &format!("Telegram no longer accepts its session ({said})"),
        ),
        other => format!(
            "{} Telegram said {said}. {}",
            other.meaning(),
            other.remedy()
        ),
    };
    Event::AccountChanged {
        account: account.clone(),
        state,
        message,
    }
}

/// What the end of a dialog says of a send in doubt.
pub fn of_look_back(
    observed: &Observed,
    key: &SendKey,
    text: Option<&str>,
    result: Result<Vec<HistoryMessage>, CallError>,
    now: Timestamp,
) -> Vec<Event> {
    let Some(flight) = observed.in_flight.get(key) else {
        return Vec::new();
    };
    let key = key.clone();
    match (result, text) {
        (Ok(messages), Some(text)) => {
            let ours = messages.iter().find(|message| {
                message.out
                    && message.date >= flight.at - CLOCKS
                    && message.text.trim() == text.trim()
            });
            match ours {
                Some(message) => vec![Event::Sent {
                    key,
                    message_id: message.id,
                    earlier: true,
                    next_allowed_at: now,
                }],
                None => {
                    let silenced = observed.silences(key.person);
                    let detail = "the dialog does not hold it: it was not delivered".to_owned();
                    if let Some((InDoubtWhy::Refused(outcome), _)) = flight.doubt {
                        vec![Event::Refused {
                            key,
                            outcome,
                            detail,
                        }]
                    } else if silenced {
                        vec![Event::Refused {
                            key,
                            outcome: Outcome::OptedOut,
                            detail,
                        }]
                    } else {
                        vec![Event::Released {
                            key,
                            keep: true,
                            detail,
                        }]
                    }
                }
            }
        }
        (Err(error), _) => unread(observed, flight, &error, "the dialog cannot be read", now),
        (Ok(_), None) => vec![Event::Refused {
            key,
            outcome: Outcome::Uncertain,
            detail: "the request is not readable any more".to_owned(),
        }],
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{
        Intent, PersonId, Recorded, TEST_LINEAGE, answer_key, notice_key, operator_key,
    };

    #[test]
    fn whatever_an_account_sends_a_peer_flood_limits_it_for_a_day() {
        let person = PersonId(101);
        let of = |lineage: &str| SendKey {
            lineage: lineage.into(),
            person,
            step: 0,
            run: 1,
        };
        let keys = [
            of("a-campaign"),
            of(OPT_OUT_LINEAGE),
            of(TEST_LINEAGE),
            answer_key("sales-1", person, 7),
            operator_key("sales-1", person, 7),
            notice_key("sales-1", person, 7),
        ];
        let now = Timestamp(1_000_000);
        for key in keys {
            let mut observed = Observed::default();
            let intent = Intent {
                key: key.clone(),
                account: "sales-1".into(),
                random_id: 1,
                run: 1,
                variant: "".into(),
                digest: "".into(),
                attested: false,
                request: Arc::default(),
                next_allowed_at: now,
            };
            let event = Event::Intent(intent.into());
            crate::observed::fold(&mut observed, 1, &Recorded { at: now, event });
            let flood = CallError::Rpc(RpcFault::new(400, "PEER_FLOOD"));
            let events = of_send(&observed, &key, Err(flood), now).events;
            let limited = events.iter().find_map(|event| match event {
                Event::Limited { account, until, .. } => Some((account.as_ref(), until.since(now))),
                _ => None,
            });
            let day = Duration::from_secs(24 * 3600);
            assert_eq!(limited, Some(("sales-1", day)), "{key:?}: {events:?}");
            assert_eq!(events.len(), 2, "{key:?}: {events:?}");
        }
    }

    #[test]
    fn what_befell_the_account_or_the_server_says_nothing_of_a_send_that_is_looked_for() {
        let key = SendKey {
            lineage: "a-campaign".into(),
            person: PersonId(101),
            step: 0,
            run: 1,
        };
        let now = Timestamp(1_000_000);
        let mut observed = Observed::default();
        let intent = Intent {
            key: key.clone(),
            account: "sales-1".into(),
            random_id: 1,
            run: 1,
            variant: "".into(),
            digest: "".into(),
            attested: false,
            request: Arc::default(),
            next_allowed_at: now,
        };
        let event = Event::Intent(intent.into());
        crate::observed::fold(&mut observed, 1, &Recorded { at: now, event });
        for (code, text, settles, lost) in [
            (500, "INTERNAL", false, None),
            (-503, "Timeout", false, None),
            (420, "FLOOD_WAIT_7", false, None),
            (400, "PEER_FLOOD", false, None),
            (
                401,
                "AUTH_KEY_UNREGISTERED",
                false,
                Some(AccountState::Unauthorized),
            ),
            (
                401,
                "USER_DEACTIVATED_BAN",
                false,
                Some(AccountState::Banned),
            ),
            (
                420,
                "FROZEN_METHOD_INVALID",
                false,
                Some(AccountState::Frozen),
            ),
            (400, "PEER_ID_INVALID", true, None),
        ] {
            let error = || CallError::Rpc(RpcFault::new(code, text));
            for events in [
                of_look_back(&observed, &key, Some("Hi"), Err(error()), now),
                of_membership(&observed, &key, Err(error()), now),
            ] {
                let settled = events.iter().any(|event| {
                    matches!(
                        event,
                        Event::Refused {
                            outcome: Outcome::Uncertain,
                            ..
                        }
                    )
                });
                let stays = events.iter().any(|event| {
                    matches!(
                        event,
                        Event::InDoubt {
                            why: InDoubtWhy::Unread,
                            ..
                        }
                    )
                });
                assert_eq!((settled, stays), (settles, !settles), "{text}: {events:?}");
                let state = events.iter().find_map(|event| match event {
                    Event::AccountChanged { state, .. } => Some(*state),
                    _ => None,
                });
                assert_eq!(state, lost, "{text}: {events:?}");
            }
        }
    }
}
