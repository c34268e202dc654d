//! What the shell of the engine does, on the world in memory: carries actions out.

use std::sync::Arc;
use std::time::Duration;

use tidings::desired::SourceKind;
use tidings::execute::stops_the_account;
use tidings::model::reaction::CallClass;
use tidings::model::{
    AccountName, Attachment, Event, Intent, Lineage, LookupEnd, Person, PersonId, Reference,
    SendKey, SourceId, is_aside,
};
use tidings::plan::{Action, LookedBack, audience};
use tidings::telegram::{CallError, Delivered, HistoryMessage, Membership};

use super::driver::Sim;
use super::invariants::Failure;
use super::scenario::Stage;
use super::world::Call;

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
    Uploaded(AccountName, Attachment, Lineage, Result<(), CallError>),
    ReadSince(AccountName, Result<Vec<PersonId>, CallError>),
}

impl Sim {
    pub fn order(&mut self, takes: i64, answer: Answer) {
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
                    if let Some(media) = &send.media
                        && !self
                            .runtime
                            .media
                            .contains(&(send.account.clone(), media.clone()))
                    {
                        let detail = send.key.to_string();
                        return Err(Failure::new("a message before its picture", self, detail));
                    }
                    let text = send.message.text.clone().into_bytes();
                    intents.push(Intent {
                        key: send.key,
                        account: send.account,
                        random_id: send.random_id,
                        run: send.run,
                        variant: send.variant,
                        digest: send.digest,
                        attested: send.attested,
                        request: text.into(),
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
                    request: b"invite"[..].into(),
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
                Action::Upload {
                    account,
                    media,
                    campaign,
                } => {
                    let key = (account.clone(), media.clone());
                    self.runtime.uploading.insert(key);
                    let (result, takes) = self.world.upload(&account, self.now);
                    self.order(takes, Answer::Uploaded(account, media, campaign, result));
                }
                Action::Draft(_) | Action::ShowTyping { .. } | Action::Post(_) => {
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
                    .map(|intent| Event::Intent(Arc::new(intent)))
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
        let now = self.wall();
        let looked_back = &mut self.runtime.looked_back;
        let last = looked_back.get(&account);
        let look = LookedBack::again(last, key.clone(), now);
        looked_back.insert(account.clone(), look);
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
                let recipients = known.into_iter().flat_map(|known| known.recipients.iter());
                let mut people: Vec<PersonId> = recipients
                    .filter(|(_, recipient)| {
                        !matches!(recipient.status, tidings::observed::Status::Excluded(_))
                    })
                    .filter_map(|(number, _)| {
                        self.observed.persons.id(tidings::observed::Handle(number))
                    })
                    .collect();
                people.sort_unstable();
                people
            }
            _ => Vec::new(),
        }
    }
}
