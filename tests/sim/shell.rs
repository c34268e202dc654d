//! What the shell of the engine does, on the world in memory: carries actions out, and makes events of what comes back.

use std::time::Duration;

use tidings::control::outcome;
use tidings::desired::SourceKind;
use tidings::execute::stops_the_account;
use tidings::model::reaction::{CallClass, Reaction, react};
use tidings::model::{
    AccountName, AccountState, Event, InDoubtWhy, Intent, JoinEnd, Lineage, LookupEnd, Outcome,
    Person, PersonId, RandomKey, Reference, SendKey, SourceId, Timestamp, is_aside,
};
use tidings::people::People;
use tidings::plan::{Action, Link, TargetFault, audience};
use tidings::telegram::{CallError, Delivered, HistoryMessage, Membership};

use super::driver::Sim;
use super::invariants::Failure;
use super::scenario::Stage;
use super::specs;
use super::world::{Call, number_of, person_id};

/// The longest pause before a lost connection is tried again (CONTRACT section 6), in seconds.
const RECONNECT_MOST: u32 = 60;
/// People of one page of a look-up.
const PAGE: usize = 5;

/// What comes back from a call.
pub enum Answer {
    Sent(SendKey, Result<Delivered, CallError>),
    NotTried(SendKey),
    LookedBack(SendKey, Result<Vec<HistoryMessage>, CallError>),
    Member(SendKey, Result<Membership, CallError>),
    Me(AccountName, Result<(), CallError>),
    LookedUp(
        AccountName,
        Lineage,
        SourceId,
        SourceKind,
        usize,
        Result<(), CallError>,
    ),
    Resolved(
        AccountName,
        PersonId,
        Reference,
        Lineage,
        Result<(), CallError>,
    ),
    Sought(AccountName, Lineage, Reference, bool, Result<(), CallError>),
    Joined(
        AccountName,
        Lineage,
        Reference,
        Duration,
        Result<(), CallError>,
    ),
}

impl Sim {
    fn order(&mut self, takes: i64, answer: Answer) {
        self.ordered += 1;
        self.answers
            .insert((self.now + takes.max(1), self.ordered), answer);
    }

    /// Carries actions out. Nothing: the process died; else whether the state changed.
    pub fn perform(&mut self, actions: Vec<Action>) -> Result<Option<bool>, Failure> {
        let mut records = Vec::new();
        let mut intents = Vec::new();
        let mut repeats = Vec::new();
        let mut changed = false;
        for action in actions {
            match action {
                Action::Record(event) => records.push(event),
                Action::Judge { campaign } => {
                    records.extend(audience::judge(&self.inputs(), &campaign))
                }
                Action::LookUp {
                    campaign,
                    source,
                    what,
                    account,
                    from,
                    ..
                } => {
                    changed = true;
                    self.look_up(campaign, source, what, account, from, &mut records);
                }
                Action::Resolve {
                    account,
                    person,
                    reference,
                    campaign,
                } => {
                    records.push(Event::LookupSpent {
                        account: account.clone(),
                    });
                    self.runtime.resolving.insert(account.clone(), person);
                    let (result, takes) = self.world.other(&account, CallClass::LookUp, self.now);
                    self.order(
                        takes,
                        Answer::Resolved(account, person, reference, campaign, result),
                    );
                }
                Action::Type {
                    account,
                    person,
                    until,
                } => {
                    self.runtime.typing.insert(account, (person, until));
                }
                Action::Send(send) => {
                    self.runtime.typing.remove(&send.account);
                    let text = send.message.text.clone().into_bytes();
                    intents.push(Intent {
                        key: send.key,
                        account: send.account,
                        random_id: send.random_id,
                        run: send.run,
                        variant: send.variant,
                        digest: send.digest,
                        attested: send.attested,
                        request: text,
                        next_allowed_at: self.wall() + send.gap,
                    });
                }
                Action::Invite(invite) => intents.push(Intent {
                    key: invite.key,
                    account: invite.account,
                    random_id: Intent::NO_RANDOM_ID,
                    run: invite.run,
                    variant: invite.variant,
                    digest: invite.digest,
                    attested: invite.attested,
                    request: b"invite".to_vec(),
                    next_allowed_at: self.wall() + invite.gap,
                }),
                Action::Seek {
                    account,
                    campaign,
                    target,
                    link,
                } => {
                    self.runtime
                        .seeking
                        .insert((account.clone(), campaign.clone()));
                    let (result, takes) = self.world.other(&account, CallClass::LookUp, self.now);
                    self.order(
                        takes,
                        Answer::Sought(account, campaign, target, link, result),
                    );
                }
                Action::Join {
                    account,
                    campaign,
                    place,
                    gap,
                } => {
                    self.runtime.joining.insert(account.clone());
                    let (result, takes) = self.world.other(&account, CallClass::Invite, self.now);
                    self.order(takes, Answer::Joined(account, campaign, place, gap, result));
                }
                Action::Retry { key } => repeats.push(key),
                Action::LookBack { key } => self.look_back(key),
                Action::Upload { .. }
                | Action::Draft(_)
                | Action::ShowTyping { .. }
                | Action::Post(_) => {
                    return Err(Failure::new(
                        "an action that no scenario asks for",
                        self,
                        String::new(),
                    ));
                }
            }
        }
        changed |= !records.is_empty();
        for event in &records {
            self.check_fired(event)?;
        }
        self.record(records);
        for key in repeats {
            self.leaves(&key)?;
        }
        if !intents.is_empty() {
            if self.dies_at(Stage::BeforeIntent)? {
                return Ok(None);
            }
            let keys: Vec<SendKey> = intents.iter().map(|intent| intent.key.clone()).collect();
            for intent in &intents {
                self.check_intended(intent)?;
            }
            self.record(
                intents
                    .into_iter()
                    .map(|intent| Event::Intent(Box::new(intent)))
                    .collect(),
            );
            self.sync();
            if self.dies_at(Stage::AfterIntent)? {
                return Ok(None);
            }
            let mut stopped: Vec<AccountName> = Vec::new();
            for key in keys {
                let account = self.observed.in_flight[&key].intent.account.clone();
                // After Telegram told an account to wait, nothing that was ordered before that is sent.
                if stopped.contains(&account) {
                    self.runtime.executing.insert(key.clone());
                    self.order(1, Answer::NotTried(key));
                    continue;
                }
                if self.leaves(&key)? {
                    stopped.push(account);
                }
            }
            if self.dies_at(Stage::AfterEffect)? {
                return Ok(None);
            }
        }
        Ok(Some(changed))
    }

    fn dies_at(&mut self, here: Stage) -> Result<bool, Failure> {
        match self.armed {
            Some((stage, _, down, power_cut)) if stage == here => {
                self.die(down, power_cut)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// The bytes of a send leave. Answers whether its account is to stop.
    fn leaves(&mut self, key: &SendKey) -> Result<bool, Failure> {
        let Some(flight) = self.observed.in_flight.get(key) else {
            return Ok(false);
        };
        let intent = flight.intent.clone();
        let again = flight.doubt.is_some();
        self.check_leaves(&intent, again)?;
        let text = String::from_utf8_lossy(&intent.request).into_owned();
        let call = Call {
            account: &intent.account,
            key,
            random_id: intent.random_id,
            invite: intent.is_invite(),
            text: &text,
            first: key.step == 0 && !is_aside(&key.lineage),
            now: self.now,
            wall: self.wall().0,
        };
        let before = self.world.ledger.len();
        let (result, takes) = self.world.send(&call);
        if self.world.ledger.len() > before {
            self.check_effect()?;
        }
        let stops = result.as_ref().is_err_and(stops_the_account);
        self.runtime.executing.insert(key.clone());
        self.order(takes, Answer::Sent(key.clone(), result));
        Ok(stops)
    }

    fn look_back(&mut self, key: SendKey) {
        let Some(flight) = self.observed.in_flight.get(&key) else {
            return;
        };
        let account = flight.intent.account.clone();
        let invite = flight.intent.is_invite();
        self.runtime.executing.insert(key.clone());
        if invite {
            let (result, takes) = self.world.membership(&account, key.person, self.now);
            self.order(takes, Answer::Member(key, result));
        } else {
            let (result, takes) = self.world.history(&account, key.person, self.now);
            self.order(takes, Answer::LookedBack(key, result));
        }
    }

    fn look_up(
        &mut self,
        campaign: Lineage,
        source: SourceId,
        what: SourceKind,
        account: Option<AccountName>,
        from: Option<(String, u64)>,
        records: &mut Vec<Event>,
    ) {
        let Some(name) = account else {
            records.push(Event::LookupStarted {
                campaign: campaign.clone(),
                source,
                account: None,
            });
            let people = self.of_workspace(&what);
            records.push(Event::LookupPage {
                campaign: campaign.clone(),
                source,
                account: None,
                people,
            });
            let end = LookupEnd {
                complete: true,
                admin: true,
                ..LookupEnd::default()
            };
            records.push(Event::LookupEnded {
                campaign,
                source,
                account: None,
                end,
            });
            return;
        };
        records.push(match &from {
            Some(_) => Event::LookupResumed {
                campaign: campaign.clone(),
                source,
                account: name.clone(),
            },
            None => Event::LookupStarted {
                campaign: campaign.clone(),
                source,
                account: Some(name.clone()),
            },
        });
        self.runtime
            .looking_up
            .insert((campaign.clone(), source, Some(name.clone())));
        let at = from
            .and_then(|(cursor, _)| cursor.parse().ok())
            .unwrap_or(0);
        let (result, takes) = self.world.other(&name, CallClass::LookUp, self.now);
        self.order(
            takes,
            Answer::LookedUp(name, campaign, source, what, at, result),
        );
    }

    /// Whom a list or another campaign names.
    fn of_workspace(&mut self, what: &SourceKind) -> Vec<PersonId> {
        match what {
            SourceKind::List { people } => people
                .iter()
                .map(|reference| {
                    let person = Person {
                        references: vec![reference.clone()],
                        ..Person::default()
                    };
                    self.people
                        .entry(reference.person())
                        .or_default()
                        .merge(person);
                    reference.person()
                })
                .collect(),
            SourceKind::Audience { campaign } => {
                let known = self.observed.campaign(campaign);
                let recipients = known.into_iter().flat_map(|known| &known.recipients);
                let mut people: Vec<PersonId> = recipients
                    .filter(|(_, recipient)| {
                        !matches!(recipient.status, tidings::observed::Status::Excluded(_))
                    })
                    .filter_map(|(number, _)| {
                        self.observed.persons.id(tidings::observed::Handle(*number))
                    })
                    .collect();
                people.sort_unstable();
                people
            }
            _ => Vec::new(),
        }
    }

    /// What an account learns of a person by meeting him.
    fn meets(&mut self, name: &AccountName, number: u64) -> PersonId {
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
        self.record(vec![Event::AccountChanged {
            account: name.clone(),
            state,
            message: outcome::lost(name, state, said),
        }]);
    }

    fn link_lost(&mut self, name: &AccountName, message: String) {
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
            | Answer::Joined(of, ..) => of != name,
        });
        self.record(events);
        let runtime = &mut self.runtime;
        runtime
            .looking_up
            .retain(|(_, _, account)| account.as_ref() != Some(name));
        runtime.resolving.remove(name);
        runtime.seeking.retain(|(account, _)| account != name);
        runtime.joining.remove(name);
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
