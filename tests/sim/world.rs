//! A Telegram in memory, on the true time: who is who, what arrived, what it refuses and what gets lost on the way.
//!
//! It deduplicates by account, person and `random_id`, as Telegram does, and keeps the one ledger by which everything is
//! judged.

use std::collections::{BTreeMap, BTreeSet};

use tidings::model::reaction::{CallClass, Reaction, RpcFault, TABLE, react};
use tidings::model::{AccountName, AccountState, InDoubtWhy, PersonId, SendKey, Timestamp};
use tidings::telegram::{CallError, Delivered, HistoryMessage, Membership};

use super::dice::Dice;
use super::scenario::{Chances, DAY, HOUR, MINUTE, Scenario};

/// Ids of people begin after this.
const FIRST_PERSON: i64 = 1_000;
/// Ids of accounts begin after this.
const FIRST_ACCOUNT: i64 = 9_000;
/// A call takes at most so long (CONTRACT section 6).
const CALL: i64 = 30_000;

pub fn person_id(number: u64) -> PersonId {
    PersonId(FIRST_PERSON + number as i64)
}

pub fn number_of(person: PersonId) -> Option<u64> {
    u64::try_from(person.0 - FIRST_PERSON)
        .ok()
        .filter(|number| *number < 1_000)
}

pub fn account_id(number: usize) -> PersonId {
    PersonId(FIRST_ACCOUNT + number as i64)
}

/// Something that took effect.
#[derive(Debug, Clone)]
pub struct Effect {
    pub key: SendKey,
    pub account: AccountName,
    /// By the engine's wall clock, when its bytes left.
    pub wall: i64,
    /// In true time.
    pub at: i64,
    pub invite: bool,
}

/// A message that somebody writes to an account.
#[derive(Debug, Clone)]
pub struct Letter {
    pub at: i64,
    pub person: PersonId,
    /// Given when it is written: 0 before.
    pub message_id: i32,
    pub text: &'static str,
}

#[derive(Debug, Default)]
pub struct Account {
    pub state: Option<AccountState>,
    /// No connection until then.
    pub down_until: i64,
    floods: BTreeMap<CallClass, i64>,
    limited_until: i64,
    next_message: i32,
    /// By person and `random_id`.
    sent: BTreeMap<(PersonId, i64), i32>,
    dialogs: BTreeMap<PersonId, Vec<HistoryMessage>>,
    /// What is written to it, in the order of its moments.
    pub letters: Vec<Letter>,
}

pub struct World {
    seed: u64,
    chances: Chances,
    forgets: bool,
    /// Nothing goes wrong any more.
    pub calm: bool,
    pub accounts: BTreeMap<AccountName, Account>,
    /// Places by number, and who is in them.
    places: BTreeMap<u64, BTreeSet<u64>>,
    /// Members of the target of invites, and since when.
    members: BTreeMap<u64, i64>,
    /// Who blocked which account.
    blocked: BTreeSet<(AccountName, u64)>,
    people: u64,
    calls: u64,
    pub ledger: Vec<Effect>,
    /// Rows of the table that were met, for the survey.
    pub met: BTreeMap<&'static str, u64>,
}

/// One message or invite on its way.
pub struct Call<'a> {
    pub account: &'a AccountName,
    pub key: &'a SendKey,
    pub random_id: i64,
    pub invite: bool,
    pub text: &'a str,
    /// A first contact of a campaign.
    pub first: bool,
    pub now: i64,
    pub wall: i64,
}

/// A refusal that fits a row of the table.
fn fault_of(row: &'static str, reaction: Reaction, dice: &mut Dice) -> RpcFault {
    let seconds = dice.pick(&[3, 40, 900, 20_000]);
    let name = match row.strip_suffix('*') {
        Some(start) => format!("{start}SOMETHING"),
        None => row.to_owned(),
    };
    match reaction {
        Reaction::Wait { .. } | Reaction::SlowMode { .. } => {
            RpcFault::new(420, format!("{name}_{seconds}"))
        }
        Reaction::LoseAccount(_) => RpcFault::new(401, name),
        Reaction::InDoubt | Reaction::Delivered => RpcFault::new(500, name),
        _ if row == "ALLOW_PAYMENT_REQUIRED" => RpcFault::new(403, format!("{name}_{seconds}")),
        _ => RpcFault::new(400, name),
    }
}

/// What no row knows.
fn unknown(dice: &mut Dice) -> RpcFault {
    dice.pick(&[
        RpcFault::new(400, "SOMETHING_NEW"),
        RpcFault::new(406, "SOMETHING_NEW_7"),
        RpcFault::new(420, "NEW_KIND_OF_WAIT_9"),
        RpcFault::new(500, "INTERNAL_ERROR"),
        RpcFault::new(-503, "Timeout"),
        RpcFault::new(502, "BAD_GATEWAY"),
    ])
}

fn silent(why: InDoubtWhy) -> CallError {
    CallError::InDoubt {
        why,
        detail: "lost on the way".to_owned(),
    }
}

impl World {
    pub fn new(scenario: &Scenario) -> World {
        let places = (0..2)
            .map(|place| {
                let inside = (0..scenario.people)
                    .filter(|person| {
                        Dice::of(scenario.seed, "member", &[place, *person]).percent(60)
                    })
                    .collect();
                (place, inside)
            })
            .collect();
        let members = (0..scenario.people)
            .filter(|person| Dice::of(scenario.seed, "in target", &[*person]).percent(10))
            .map(|person| (person, scenario.start - 90 * DAY))
            .collect();
        World {
            seed: scenario.seed,
            chances: scenario.chances.clone(),
            forgets: scenario.forgets,
            calm: false,
            accounts: (0..scenario.accounts.len())
                .map(|number| {
                    let account = Account {
                        next_message: 1,
                        ..Account::default()
                    };
                    (super::specs::account_name(number).into(), account)
                })
                .collect(),
            places,
            members,
            blocked: BTreeSet::new(),
            people: scenario.people,
            calls: 0,
            ledger: Vec::new(),
            met: BTreeMap::new(),
        }
    }

    fn dice(&self, purpose: &str, which: &[u64]) -> Dice {
        Dice::of(self.seed, purpose, which)
    }

    pub fn joins(&mut self, person: u64, place: u64) {
        self.places.entry(place).or_default().insert(person);
    }

    /// Whom an account sees in a place: not each sees everybody.
    pub fn members_of(&self, account: &AccountName, place: u64) -> Vec<u64> {
        let hash = account_hash(account);
        self.places
            .get(&place)
            .into_iter()
            .flatten()
            .filter(|person| self.dice("sees", &[place, **person, hash]).percent(85))
            .copied()
            .collect()
    }

    pub fn contacts_of(&self, account: &AccountName) -> Vec<u64> {
        let hash = account_hash(account);
        (0..self.people)
            .filter(|person| self.dice("contact", &[*person, hash]).percent(30))
            .collect()
    }

    /// Whether a username is somebody's.
    pub fn exists(&self, person: u64) -> bool {
        !self.dice("nobody", &[person]).percent(10)
    }

    pub fn is_bot(&self, person: u64) -> bool {
        self.dice("bot", &[person]).percent(5)
    }

    fn account(&mut self, name: &AccountName) -> &mut Account {
        self.accounts.entry(name.clone()).or_default()
    }

    /// What befalls any call of an account before it is looked at: the connection, the session, a wait.
    fn before(
        &mut self,
        name: &AccountName,
        class: CallClass,
        now: i64,
    ) -> Result<(), (CallError, i64)> {
        let account = self.account(name);
        if account.down_until > now {
            let detail = "no route".to_owned();
            return Err((CallError::NotSent { detail }, 200));
        }
        if let Some(state) = account.state {
            let error = match state {
                AccountState::Banned => CallError::Rpc(RpcFault::new(401, "USER_DEACTIVATED_BAN")),
                AccountState::Frozen => CallError::Rpc(RpcFault::new(420, "FROZEN_METHOD_INVALID")),
                _ => CallError::KeyUnknown,
            };
            return Err((error, 300));
        }
        if let Some(until) = account.floods.get(&class).filter(|until| **until > now) {
            let left = (until - now) / 1000 + 1;
            return Err((
                CallError::Rpc(RpcFault::new(420, format!("FLOOD_WAIT_{left}"))),
                200,
            ));
        }
        Ok(())
    }

    /// A fault drawn from the table, where this call meets one. Its lasting side is remembered.
    fn refuses(&mut self, name: &AccountName, class: CallClass, now: i64) -> Option<RpcFault> {
        let mut dice = self.dice("fault", &[self.calls, account_hash(name)]);
        if self.calm || !dice.permille(self.chances.refused) {
            return None;
        }
        let row = dice.below(TABLE.len() as u64 + 6) as usize;
        let (pattern, fault) = match TABLE.get(row) {
            Some(row) => (row.pattern, fault_of(row.pattern, row.reaction, &mut dice)),
            None => ("what no row knows", unknown(&mut dice)),
        };
        let reaction = react(&fault);
        // An account that is gone ends most of a scenario: once in a while is enough.
        if matches!(reaction, Reaction::LoseAccount(_) | Reaction::Stall { .. }) && dice.percent(80)
        {
            return None;
        }
        *self.met.entry(pattern).or_default() += 1;
        let account = self.account(name);
        match reaction {
            Reaction::Wait { seconds } => {
                account
                    .floods
                    .insert(class, now + i64::from(seconds) * 1000);
            }
            Reaction::LimitAccount => {
                account.limited_until = now + dice.pick(&[5 * HOUR, DAY, 3 * DAY])
            }
            Reaction::LoseAccount(state) => account.state = Some(state),
            _ => {}
        }
        Some(fault)
    }

    /// How long an answer takes, and whether request or answer are lost: (request, answer).
    fn way(&mut self, name: &AccountName) -> (i64, bool, bool) {
        let mut dice = self.dice("way", &[self.calls, account_hash(name)]);
        let takes = dice.pick(&[50, 200, 700, 3_000]);
        if self.calm || !dice.permille(self.chances.lost) {
            return (takes, false, false);
        }
        match dice.percent(50) {
            true => (CALL, true, false),
            false => (CALL, false, true),
        }
    }

    /// Bytes of a message or an invite leave: what comes of it, and after how long that is known.
    pub fn send(&mut self, call: &Call<'_>) -> (Result<Delivered, CallError>, i64) {
        self.calls += 1;
        let class = if call.invite {
            CallClass::Invite
        } else {
            CallClass::Send
        };
        let (takes, request_lost, answer_lost) = self.way(call.account);
        if let Err((error, takes)) = self.before(call.account, class, call.now) {
            return (Err(error), takes);
        }
        if request_lost {
            return (Err(silent(InDoubtWhy::Timeout)), takes);
        }
        let answered = self.take(call, class);
        match answer_lost {
            true => (Err(silent(InDoubtWhy::Connection)), takes / 3),
            false => (answered, takes),
        }
    }

    /// Telegram has the bytes.
    fn take(&mut self, call: &Call<'_>, class: CallClass) -> Result<Delivered, CallError> {
        let person = call.key.person;
        let slot = (person, call.random_id);
        if !call.invite
            && !self.forgets
            && let Some(known) = self.account(call.account).sent.get(&slot).copied()
        {
            // Both shapes of the answer to a repeat.
            if self.dice("repeat", &[self.calls]).percent(40) {
                return Err(RpcFault::new(500, "RANDOM_ID_DUPLICATE").into());
            }
            return Ok(Delivered {
                message_id: known,
                date: Timestamp(call.now),
                earlier: true,
            });
        }
        let number = number_of(person);
        if let Some(number) = number {
            self.refuses_for_good(call, number)?;
        }
        if let Some(fault) = self.refuses(call.account, class, call.now) {
            // Telegram's own errors may come after the deed.
            let done =
                react(&fault) == Reaction::InDoubt && self.dice("done", &[self.calls]).percent(50);
            if done {
                self.took_effect(call);
            }
            return Err(fault.into());
        }
        if call.first && self.account(call.account).limited_until > call.now {
            return Err(RpcFault::new(400, "PEER_FLOOD").into());
        }
        Ok(self.took_effect(call))
    }

    /// What a person is like.
    fn refuses_for_good(&mut self, call: &Call<'_>, number: u64) -> Result<(), CallError> {
        if self.blocked.contains(&(call.account.clone(), number)) {
            return Err(RpcFault::new(400, "USER_IS_BLOCKED").into());
        }
        if call.invite && self.members.contains_key(&number) {
            let since = self.members[&number] / 1000;
            return Err(RpcFault::new(400, format!("USER_ALREADY_PARTICIPANT_{since}")).into());
        }
        let refusal = match self.dice("person", &[number]).below(60) {
            0 => "USER_PRIVACY_RESTRICTED",
            1 => "INPUT_USER_DEACTIVATED",
            2 => "PRIVACY_PREMIUM_REQUIRED",
            3 if call.invite => "USER_NOT_MUTUAL_CONTACT",
            4 if call.invite => "missing_invitees",
            _ => return Ok(()),
        };
        Err(RpcFault::new(400, refusal).into())
    }

    fn took_effect(&mut self, call: &Call<'_>) -> Delivered {
        let person = call.key.person;
        self.ledger.push(Effect {
            key: call.key.clone(),
            account: call.account.clone(),
            wall: call.wall,
            at: call.now,
            invite: call.invite,
        });
        let number = number_of(person);
        if call.invite {
            if let Some(number) = number {
                self.members.insert(number, call.now);
            }
            return Delivered {
                message_id: 0,
                date: Timestamp(call.now),
                earlier: false,
            };
        }
        let account = self.account(call.account);
        let id = account.next_message;
        account.next_message += 1;
        account.sent.insert((person, call.random_id), id);
        account
            .dialogs
            .entry(person)
            .or_default()
            .push(HistoryMessage {
                id,
                date: Timestamp(call.now),
                out: true,
                text: call.text.to_owned(),
            });
        if let Some(number) = number {
            self.reacts(call, number);
        }
        Delivered {
            message_id: id,
            date: Timestamp(call.now),
            earlier: false,
        }
    }

    /// What a person does about a message.
    fn reacts(&mut self, call: &Call<'_>, number: u64) {
        if self.calm || tidings::model::is_aside(&call.key.lineage) {
            return;
        }
        let which = [number, self.ledger.len() as u64];
        let mut dice = self.dice("reacts", &which);
        if dice.permille(self.chances.blocks) {
            self.blocked.insert((call.account.clone(), number));
            return;
        }
        if !dice.permille(self.chances.replies) {
            return;
        }
        let at = call.now + dice.pick(&[100, 5_000, 10 * MINUTE, 7 * HOUR, 50 * HOUR]);
        let text = if dice.permille(self.chances.opt_outs) {
            "Stop!"
        } else {
            "Tell me more"
        };
        let person = call.key.person;
        let account = self.account(call.account);
        account.letters.push(Letter {
            at,
            person,
            message_id: 0,
            text,
        });
        account.letters.sort_by_key(|letter| letter.at);
    }

    /// What was written to an account by now, from one place in it on.
    pub fn letters(&mut self, name: &AccountName, from: usize, now: i64) -> Vec<Letter> {
        let account = self.account(name);
        let mut next = account.next_message;
        for letter in account.letters.iter_mut().filter(|letter| letter.at <= now) {
            if letter.message_id == 0 {
                letter.message_id = next;
                next += 1;
            }
        }
        account.next_message = next;
        let due = account
            .letters
            .iter()
            .skip(from)
            .take_while(|letter| letter.at <= now);
        due.cloned().collect()
    }

    /// When the next letter comes.
    pub fn next_letter(&self, name: &AccountName, from: usize) -> Option<i64> {
        let letters = &self.accounts.get(name)?.letters;
        letters.get(from).map(|letter| letter.at)
    }

    /// The end of a dialog, the newest first.
    pub fn history(
        &mut self,
        name: &AccountName,
        person: PersonId,
        now: i64,
    ) -> (Result<Vec<HistoryMessage>, CallError>, i64) {
        self.calls += 1;
        let (takes, request_lost, answer_lost) = self.way(name);
        if let Err((error, takes)) = self.before(name, CallClass::LookUp, now) {
            return (Err(error), takes);
        }
        if request_lost || answer_lost {
            return (Err(silent(InDoubtWhy::Timeout)), takes);
        }
        let messages = self
            .account(name)
            .dialogs
            .get(&person)
            .cloned()
            .unwrap_or_default();
        (Ok(messages.into_iter().rev().take(50).collect()), takes)
    }

    /// To whom an account wrote since a moment, as its dialogs tell.
    pub fn written_since(
        &mut self,
        name: &AccountName,
        since: Timestamp,
        now: i64,
    ) -> (Result<Vec<PersonId>, CallError>, i64) {
        let (result, takes) = self.other(name, CallClass::LookUp, now);
        let dialogs = &self.account(name).dialogs;
        let people = dialogs
            .iter()
            .filter(|(_, messages)| messages.iter().any(|message| message.date >= since))
            .map(|(person, _)| *person)
            .collect();
        (result.map(|()| people), takes)
    }

    /// Whether somebody is in the target.
    pub fn membership(
        &mut self,
        name: &AccountName,
        person: PersonId,
        now: i64,
    ) -> (Result<Membership, CallError>, i64) {
        self.calls += 1;
        let (takes, request_lost, answer_lost) = self.way(name);
        if let Err((error, takes)) = self.before(name, CallClass::LookUp, now) {
            return (Err(error), takes);
        }
        if request_lost || answer_lost {
            return (Err(silent(InDoubtWhy::Timeout)), takes);
        }
        let since = number_of(person).and_then(|number| self.members.get(&number).copied());
        let found = match since {
            Some(since) => Membership::Member {
                since: Some(Timestamp(since)),
            },
            None => Membership::No,
        };
        (Ok(found), takes)
    }

    /// A file on its way up: refused by what can befall one, and never for whom it is meant for.
    pub fn upload(&mut self, name: &AccountName, now: i64) -> (Result<(), CallError>, i64) {
        let (result, takes) = self.other(name, CallClass::Send, now);
        (
            result.or_else(|error| match befalls_an_upload(&error) {
                true => Err(error),
                false => Ok(()),
            }),
            takes,
        )
    }

    /// Any other call: fine, or what befell it.
    pub fn other(
        &mut self,
        name: &AccountName,
        class: CallClass,
        now: i64,
    ) -> (Result<(), CallError>, i64) {
        self.calls += 1;
        let (takes, request_lost, answer_lost) = self.way(name);
        if let Err((error, takes)) = self.before(name, class, now) {
            return (Err(error), takes);
        }
        if request_lost || answer_lost {
            return (Err(silent(InDoubtWhy::Connection)), takes);
        }
        match self.refuses(name, class, now) {
            Some(fault) => (Err(fault.into()), takes),
            None => (Ok(()), takes),
        }
    }
}

fn befalls_an_upload(error: &CallError) -> bool {
    match error {
        CallError::Rpc(fault) => matches!(
            react(fault),
            Reaction::Wait { .. }
                | Reaction::LoseAccount(_)
                | Reaction::InDoubt
                | Reaction::Stall { .. }
        ),
        _ => true,
    }
}

fn account_hash(name: &AccountName) -> u64 {
    name.bytes()
        .fold(7, |hash, byte| hash * 131 + u64::from(byte))
}
