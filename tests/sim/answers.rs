//! What comes back from Telegram, and what comes in by itself, made into events as the shell of the engine does.

use std::time::Duration;

use tidings::control::outcome;
use tidings::desired::SourceKind;
use tidings::model::reaction::{CallClass, Reaction, react};
use tidings::model::{
    AccountName, AccountState, Event, InDoubtWhy, JoinEnd, Lineage, LookupEnd, Outcome, PersonId,
    RandomKey, Reference, SendKey, SourceId, Timestamp,
};
use tidings::people::People;
use tidings::plan::{Link, TargetFault};
use tidings::telegram::CallError;

use super::driver::Sim;
use super::shell::Answer;
use super::specs;
use super::world::{number_of, person_id};

/// The longest pause before a lost connection is tried again (CONTRACT section 6), in seconds.
const RECONNECT_MOST: u32 = 60;
/// After so long a reading of dialogs that failed is begun anew.
const GAP_AGAIN: i64 = 30_000;
/// People of one page of a look-up.
const PAGE: usize = 5;

impl Sim {
    /// What an account learns of a person by meeting him.
    pub fn meets(&mut self, name: &AccountName, number: u64) -> PersonId {
        let id = person_id(number);
        let person = self.people.entry(id).or_default();
        person.contact.id = Some(id.0);
        person.contact.first_name = Some(format!("P{number}"));
        person.contact.username = Some(specs::username(number));
        person.bot = self.world.is_bot(number);
        person.hashes.insert(name.clone(), 1);
        id
    }

    /// What came back, written down.
    pub fn answered(&mut self, answer: Answer) {
        let now = self.wall();
        match answer {
            Answer::Sent(key, result) => {
                self.runtime.executing.remove(&key);
                let Some(flight) = self.observed.in_flight.get(&key) else {
                    return;
                };
                let account = flight.intent.account.clone();
                let verdict = outcome::of_send(&self.observed, &key, result, now);
                if verdict.upload_again {
                    self.forget_uploads(&account);
                }
                self.record(verdict.events);
                if let Some(why) = verdict.link_lost {
                    self.link_lost(&account, why);
                }
            }
            Answer::NotTried(key) => {
                self.runtime.executing.remove(&key);
                self.record(vec![Event::Released {
                    key,
                    keep: false,
                    detail: "called off before it left".to_owned(),
                }]);
            }
            Answer::LookedBack(key, result) => {
                self.runtime.executing.remove(&key);
                let flight = self.observed.in_flight.get(&key);
                let text = flight
                    .map(|flight| String::from_utf8_lossy(&flight.intent.request).into_owned());
                let events =
                    outcome::of_look_back(&self.observed, &key, text.as_deref(), result, now);
                self.record(events);
            }
            Answer::Member(key, result) => {
                self.runtime.executing.remove(&key);
                let events = outcome::of_membership(&self.observed, &key, result, now);
                self.record(events);
            }
            Answer::Me(name, result) => self.me(&name, result),
            Answer::LookedUp(name, campaign, source, what, at, result) => {
                self.page(name, campaign, source, what, at, result);
            }
            Answer::Resolved(name, person, reference, campaign, result) => {
                self.runtime.resolving.remove(&name);
                self.resolved(&name, person, &reference, campaign, result);
            }
            Answer::Sought(name, campaign, target, link, result) => {
                let key = (name.clone(), campaign.clone());
                self.runtime.seeking.remove(&key);
                match result {
                    Ok(()) => {
                        self.runtime.targets.insert(key, target.to_string());
                        if link {
                            self.record(vec![Event::InviteLink {
                                campaign,
                                account: name.clone(),
                                target: target.to_string(),
                                link: format!("https://t.me/+link{name}"),
                                exported: true,
                            }]);
                        }
                    }
                    Err(error) => {
                        if !self.trouble(&name, &error, CallClass::LookUp) {
                            let fault = TargetFault {
                                target: target.to_string(),
                                reason: "TargetUnreachable",
                                why: error.to_string(),
                                at: now,
                            };
                            self.runtime.target_faults.insert(key, fault);
                        }
                    }
                }
            }
            Answer::ReadSince(name, result) => match result {
                Ok(wrote_to) => {
                    self.gaps.remove(&name);
                    self.record(vec![Event::DialogsRead {
                        account: name,
                        wrote_to,
                    }]);
                }
                Err(error) => {
                    self.gaps.insert(name.clone(), self.now + GAP_AGAIN);
                    self.trouble(&name, &error, CallClass::LookUp);
                }
            },
            Answer::Uploaded(name, media, campaign, result) => {
                let key = (name.clone(), media);
                self.runtime.uploading.remove(&key);
                match result {
                    Ok(()) => {
                        self.runtime.media.insert(key);
                    }
                    Err(error) => {
                        let path = &key.1.path;
                        let verdict = outcome::of_failed_upload(&name, campaign, path, error, now);
                        self.record(verdict.events);
                        if let Some(why) = verdict.link_lost {
                            self.link_lost(&name, why);
                        }
                    }
                }
            }
            Answer::Joined(name, campaign, place, gap, result) => {
                self.runtime.joining.remove(&name);
                let end = match result {
                    Ok(()) => JoinEnd::In,
                    Err(error) if self.trouble(&name, &error, CallClass::Invite) => return,
                    Err(error) => JoinEnd::Failed {
                        detail: error.to_string(),
                    },
                };
                self.record(vec![Event::Joined {
                    campaign,
                    account: name,
                    place: place.to_string(),
                    end,
                    next_at: now + gap,
                }]);
            }
        }
    }

    /// What befell the account or its connection rather than the call. False: the call itself was refused.
    fn trouble(&mut self, name: &AccountName, error: &CallError, class: CallClass) -> bool {
        match error {
            CallError::Rpc(fault) => match react(fault) {
                Reaction::Wait { seconds } | Reaction::SlowMode { seconds } => {
                    let event = outcome::flood(name, class, seconds, self.wall());
                    self.record(vec![event]);
                    true
                }
                Reaction::LoseAccount(state) => {
                    self.lost(name, state, &fault.message);
                    true
                }
                Reaction::InDoubt => {
                    self.link_lost(name, fault.to_string());
                    true
                }
                _ => false,
            },
            CallError::KeyUnknown => {
                self.lost(name, AccountState::Unauthorized, "404: the key is unknown");
                true
            }
            other => {
                self.link_lost(name, other.to_string());
                true
            }
        }
    }

    fn lost(&mut self, name: &AccountName, state: AccountState, said: &str) {
        self.record(vec![outcome::lost(name, state, said)]);
    }

    pub fn link_lost(&mut self, name: &AccountName, message: String) {
        let tries = self.tries.entry(name.clone()).or_insert(0);
        *tries += 1;
        let pause =
            Duration::from_secs(u64::from((1u32 << (*tries - 1).min(6)).min(RECONNECT_MOST)));
        let retry_at = self.wall() + pause;
        self.runtime
            .links
            .insert(name.clone(), Link::Unreachable { message, retry_at });
    }

    /// Opens accounts that are not open, tries lost connections again.
    pub fn connect(&mut self) {
        let now = self.wall();
        let names: Vec<AccountName> = self.desired.engine.accounts.keys().cloned().collect();
        for name in names {
            let due = match self.runtime.links.get(&name) {
                None => true,
                Some(Link::Unreachable { retry_at, .. }) => *retry_at <= now,
                _ => false,
            };
            if due {
                self.runtime.links.insert(name.clone(), Link::Connecting);
                let (result, takes) = self.world.other(&name, CallClass::LookUp, self.now);
                self.order(takes, Answer::Me(name, result));
            }
        }
    }

    /// Who the account is. It begins when it was told what it missed.
    fn me(&mut self, name: &AccountName, result: Result<(), CallError>) {
        if !matches!(self.runtime.links.get(name), Some(Link::Connecting)) {
            return;
        }
        match result {
            Ok(()) => {
                self.tries.remove(name);
                let known = self.observed.accounts.get(name);
                let mut events = Vec::new();
                if known.and_then(|known| known.person).is_none() {
                    events.push(Event::AccountIs {
                        account: name.clone(),
                        person: Sim::account_person(name),
                    });
                }
                if known.is_some_and(|known| known.trouble.is_some()) {
                    events.push(Event::AccountChanged {
                        account: name.clone(),
                        state: AccountState::Ready,
                        message: String::new(),
                    });
                }
                self.record(events);
                let link = Link::Ready {
                    random_key: RandomKey([Sim::account_number(name) as u8 + 1; 32]),
                    first_name: None,
                    username: None,
                };
                self.runtime.links.insert(name.clone(), link);
                self.listen();
            }
            Err(CallError::KeyUnknown) => {
                self.lost(name, AccountState::Unauthorized, "404: the key is unknown");
                self.parked(name);
            }
            Err(CallError::Rpc(fault)) => match react(&fault) {
                Reaction::LoseAccount(state) => {
                    self.lost(name, state, &fault.message);
                    self.parked(name);
                }
                Reaction::Wait { seconds } => {
                    let event = outcome::flood(name, CallClass::LookUp, seconds, self.wall());
                    self.record(vec![event]);
                    self.link_lost(name, fault.to_string());
                }
                _ => self.link_lost(name, fault.to_string()),
            },
            Err(error) => self.link_lost(name, error.to_string()),
        }
    }

    fn parked(&mut self, name: &AccountName) {
        let link = Link::Unreachable {
            message: "it waits for a login".to_owned(),
            retry_at: Timestamp::MAX,
        };
        self.runtime.links.insert(name.clone(), link);
    }

    /// Takes in what was written to accounts that are connected.
    pub fn listen(&mut self) {
        let names: Vec<AccountName> = self
            .runtime
            .links
            .iter()
            .filter(|(_, link)| matches!(link, Link::Ready { .. }))
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            let from = self.heard(&name);
            let usable = self
                .world
                .accounts
                .get(&name)
                .is_some_and(|a| a.state.is_none() && a.down_until <= self.now);
            if !usable {
                self.link_lost(&name, "the connection broke".to_owned());
                continue;
            }
            if self
                .world
                .next_letter(&name, from)
                .is_none_or(|at| at > self.now)
            {
                continue;
            }
            for (pts, letter) in (from + 1..).zip(self.world.letters(&name, from, self.now)) {
                if let Some(number) = number_of(letter.person) {
                    self.meets(&name, number);
                }
                let mut events = vec![Event::Incoming {
                    account: name.clone(),
                    person: letter.person,
                    message_id: letter.message_id,
                }];
                let keywords = &self.desired.engine.opt_out.keywords;
                if tidings::text::is_opt_out(letter.text, keywords) {
                    events.push(Event::OptedOut {
                        person: letter.person,
                        account: Some(name.clone()),
                    });
                    self.runtime.typing.clear();
                }
                events.push(Event::UpdatesAt {
                    account: name.clone(),
                    pts: i32::try_from(pts).unwrap_or(i32::MAX),
                    qts: 0,
                    date: 0,
                    seq: 0,
                });
                self.record(events);
            }
        }
    }

    /// What an account had in hand is in doubt, what it looked up begins anew.
    pub fn abandon(&mut self, name: &AccountName) {
        let of_it = |sim: &Sim, key: &SendKey| {
            sim.observed
                .in_flight
                .get(key)
                .is_some_and(|flight| flight.intent.account == *name)
        };
        let lost: Vec<SendKey> = self
            .runtime
            .executing
            .iter()
            .filter(|key| of_it(self, key))
            .cloned()
            .collect();
        let doubted = lost.iter().map(|key| Event::InDoubt {
            key: key.clone(),
            why: InDoubtWhy::Connection,
        });
        let events = doubted.collect();
        for key in &lost {
            self.runtime.executing.remove(key);
        }
        self.answers.retain(|_, answer| match answer {
            Answer::Sent(key, _)
            | Answer::NotTried(key)
            | Answer::LookedBack(key, _)
            | Answer::Member(key, _) => !lost.contains(key),
            Answer::Me(of, _)
            | Answer::LookedUp(of, ..)
            | Answer::Resolved(of, ..)
            | Answer::Sought(of, ..)
            | Answer::Joined(of, ..)
            | Answer::Uploaded(of, ..)
            | Answer::ReadSince(of, ..) => of != name,
        });
        self.record(events);
        let runtime = &mut self.runtime;
        runtime
            .looking_up
            .retain(|(_, _, account)| account.as_ref() != Some(name));
        runtime.resolving.remove(name);
        runtime.seeking.retain(|(account, _)| account != name);
        runtime.joining.remove(name);
        runtime.uploading.retain(|(account, _)| account != name);
        self.forget_uploads(name);
        self.gaps.remove(name);
    }

    /// What an account uploaded is of no use any more.
    fn forget_uploads(&mut self, name: &AccountName) {
        self.runtime.media.retain(|(account, _)| account != name);
    }

    /// After a restore: accounts that are connected read what they wrote since the backup.
    pub fn read_gaps(&mut self) {
        let Some(restored) = &self.observed.restored else {
            return;
        };
        let since = restored.since;
        let ready = |name: &&AccountName| {
            matches!(self.runtime.links.get(*name), Some(Link::Ready { .. }))
                && self.gaps.get(*name).is_none_or(|again| *again <= self.now)
        };
        let unread: Vec<AccountName> = restored.unread.iter().filter(ready).cloned().collect();
        for name in unread {
            self.gaps.insert(name.clone(), i64::MAX);
            let (result, takes) = self.world.written_since(&name, since, self.now);
            self.order(takes, Answer::ReadSince(name, result));
        }
    }

    /// A page of a look-up, or its end.
    fn page(
        &mut self,
        name: AccountName,
        campaign: Lineage,
        source: SourceId,
        what: SourceKind,
        at: usize,
        result: Result<(), CallError>,
    ) {
        let slot = (campaign.clone(), source, Some(name.clone()));
        if let Err(error) = result {
            self.runtime.looking_up.remove(&slot);
            if let CallError::Rpc(fault) = &error
                && let Reaction::Wait { seconds } = react(fault)
            {
                let event = outcome::flood(&name, CallClass::LookUp, seconds, self.wall());
                self.record(vec![event]);
                return;
            }
            self.trouble(&name, &error, CallClass::LookUp);
            let passing = match &error {
                CallError::Rpc(fault) => react(fault) == Reaction::InDoubt,
                CallError::InDoubt { .. } | CallError::NotSent { .. } => true,
                _ => false,
            };
            let end = LookupEnd {
                error: Some(error.to_string()),
                passing,
                ..LookupEnd::default()
            };
            self.record(vec![Event::LookupEnded {
                campaign,
                source,
                account: Some(name),
                end,
            }]);
            return;
        }
        let everybody = match &what {
            SourceKind::Members { place } => {
                let place = u64::from(place.to_string() == "@place1");
                self.world.members_of(&name, place)
            }
            _ => self.world.contacts_of(&name),
        };
        let people: Vec<PersonId> = everybody
            .iter()
            .skip(at)
            .take(PAGE)
            .map(|number| self.meets(&name, *number))
            .collect();
        let next = at + PAGE;
        let more = next < everybody.len();
        let mut events = vec![
            Event::LookupPage {
                campaign: campaign.clone(),
                source,
                account: Some(name.clone()),
                people,
            },
            Event::LookupAt {
                campaign: campaign.clone(),
                source,
                account: name.clone(),
                unreached: Vec::new(),
                next: more.then(|| next.to_string()),
                total: Some(everybody.len() as u64),
            },
        ];
        if more {
            self.record(events);
            let (result, takes) = self.world.other(&name, CallClass::LookUp, self.now);
            self.order(
                takes,
                Answer::LookedUp(name, campaign, source, what, next, result),
            );
            return;
        }
        self.runtime.looking_up.remove(&slot);
        events.push(Event::LookupEnded {
            campaign,
            source,
            account: Some(name),
            end: LookupEnd {
                complete: true,
                admin: true,
                ..LookupEnd::default()
            },
        });
        self.record(events);
    }

    /// Who a username is.
    fn resolved(
        &mut self,
        name: &AccountName,
        person: PersonId,
        reference: &Reference,
        campaign: Lineage,
        result: Result<(), CallError>,
    ) {
        let skip = |outcome: Outcome, detail: String| {
            let outcome = if person.is_user() {
                Outcome::Unreachable
            } else {
                outcome
            };
            let mut events = vec![Event::Skipped {
                campaign: campaign.clone(),
                person,
                step: 0,
                outcome,
                detail,
            }];
            if !person.is_user() {
                events.push(Event::Nobody { reference: person });
            }
            events
        };
        let number = reference
            .to_string()
            .trim_start_matches("@person")
            .parse::<u64>()
            .unwrap_or(u64::MAX);
        let result = match result {
            Ok(()) if !self.world.exists(number) => Err(CallError::Rpc(
                tidings::model::reaction::RpcFault::new(400, "USERNAME_NOT_OCCUPIED"),
            )),
            other => other,
        };
        match result {
            Ok(()) => {
                let id = self.meets(name, number);
                if let Some(stand_in) = People::get(&self.people, person)
                    && id != person
                {
                    let known = self.people.entry(id).or_default();
                    let mut all = stand_in;
                    all.merge(known.clone());
                    *known = all;
                }
                self.record(vec![Event::Resolved {
                    reference: person,
                    person: id,
                    account: name.clone(),
                }]);
            }
            Err(CallError::Rpc(fault)) => match react(&fault) {
                Reaction::SkipRecipient { outcome, .. } => {
                    self.record(skip(outcome, fault.message))
                }
                Reaction::Wait { .. } | Reaction::LoseAccount(_) | Reaction::InDoubt => {
                    self.trouble(name, &CallError::Rpc(fault), CallClass::LookUp);
                }
                _ => self.record(skip(Outcome::Failed, fault.message)),
            },
            Err(error) => {
                self.trouble(name, &error, CallClass::LookUp);
            }
        }
    }
}
