//! Conversations: what people say is kept, what the model drafts is kept before it is sent, and what a human says from
//! another client is told from what the engine said.

use super::asking::Ended;
use super::*;
use crate::model::{Aside, Line, LineKey, LineKind, NeedsWhy, Speaker, aside_of, own_print};
use crate::observed::InFlight;
use crate::plan::notices::PostAction;
use crate::telegram::{Heard, Incoming};

/// The most bytes that are kept of one message: four times what Telegram allows.
const MAX_LINE: usize = 16 * 1024;

/// What came of something that no account's task does.
pub(super) enum Side {
    /// The model was asked.
    Asked(Box<Ended>),
    /// Somebody was told, or not.
    Posted(Box<PostAction>, Result<(), String>),
}

impl Engine {
    /// What came of it.
    pub(super) fn aside(&mut self, side: Side, events: &mut Vec<Event>) -> Result<(), RunError> {
        match side {
            Side::Asked(ended) => {
                self.write(events)?;
                self.asked(*ended, events)
            }
            Side::Posted(action, result) => {
                self.posted(&action, result, events);
                Ok(())
            }
        }
    }

    /// A private message, or one that the account itself wrote.
    pub(super) fn message(
        &mut self,
        name: &AccountName,
        incoming: Incoming,
        events: &mut Vec<Event>,
    ) -> Result<(), RunError> {
        let person = incoming.person;
        if self.core.observed.account_index(name).is_none() {
            // Lines are kept by the account's position: it must have one.
            let first = Event::UpdatesAt {
                account: name.clone(),
                pts: 0,
                qts: 0,
                date: 0,
                seq: 0,
            };
            self.core
                .record(vec![first], Durability::Soon)
                .map_err(RunError::from)?;
        }
        let observed = &self.core.observed;
        let handle = observed.handle(person);
        if handle.is_some_and(|handle| observed.own.contains(handle.0)) {
            return Ok(());
        }
        if incoming.heard != Heard::Written {
            return self.heard_again(name, incoming, events);
        }
        if incoming.out {
            return self.spoke(name, incoming, events);
        }
        let last = handle
            .and_then(|handle| observed.contacted.get(&handle.0))
            .zip(observed.account_index(name))
            .and_then(|(contacted, index)| Some((index, contacted.handled(index)?)));
        let handled = handle.zip(last).is_some_and(|(handle, (index, last))| {
            observed
                .talks
                .was_handled(handle, index, last, incoming.message_id)
        });
        if handled {
            return Ok(());
        }
        if let Some(contact) = incoming.contact.clone() {
            self.core
                .people
                .merge(vec![(person, contact)])
                .map_err(CoreError::from)?;
        }
        let keywords = &self.core.desired.engine.opt_out.keywords;
        let opts_out = crate::text::is_opt_out(&incoming.text, keywords);
        let bot = self
            .core
            .people
            .get(person)
            .is_some_and(|known| known.bot || known.deleted);
        fail::fail_point!("incoming.heard");
        events.push(Event::Incoming {
            account: name.clone(),
            person,
            message_id: incoming.message_id,
        });
        if opts_out {
            fail::fail_point!("optout.heard");
            events.push(Event::OptedOut {
                person,
                account: Some(name.clone()),
            });
            // He must not get what is already in hand.
            self.call_off();
        }
        if bot {
            return Ok(());
        }
        let role = match opts_out {
            true => None,
            false => crate::plan::role_of(&self.core.inputs(), name, person),
        };
        let word = role.as_ref().and_then(|role| {
            crate::plan::answers::handoff_word(&self.core.inputs(), role, &incoming.text)
        });
        self.keep(
            name,
            person,
            LineKind::Message,
            incoming.message_id.unsigned_abs(),
            Speaker::Person,
            incoming.text,
        )?;
        fail::fail_point!("incoming.kept");
        events.push(Event::Written {
            account: name.clone(),
            person,
            message_id: incoming.message_id,
            role,
        });
        if let Some(word) = word {
            events.push(Event::NeedsHuman {
                account: name.clone(),
                person,
                message_id: incoming.message_id,
                why: NeedsWhy::Handoff,
                detail: format!("He said the handoff word `{word}`."),
            });
        }
        Ok(())
    }

    /// A message that its writer changed, or that stood there before the account was listened to: a refusal counts
    /// whenever it is seen, and nothing else does. Nobody is answered twice.
    fn heard_again(
        &mut self,
        name: &AccountName,
        incoming: Incoming,
        events: &mut Vec<Event>,
    ) -> Result<(), RunError> {
        let person = incoming.person;
        let observed = &self.core.observed;
        let silenced = observed.silences(person);
        let keywords = &self.core.desired.engine.opt_out.keywords;
        if incoming.out || silenced || !crate::text::is_opt_out(&incoming.text, keywords) {
            return Ok(());
        }
        if let Some(contact) = incoming.contact {
            self.core
                .people
                .merge(vec![(person, contact)])
                .map_err(CoreError::from)?;
        }
        fail::fail_point!("optout.heard");
        let changed = incoming.heard == Heard::Changed;
        events.push(Event::OptedOut {
            person,
            // Who said so long ago is not written to for it.
            account: changed.then(|| name.clone()),
        });
        self.call_off();
        if changed {
            self.keep(
                name,
                person,
                LineKind::Message,
                incoming.message_id.unsigned_abs(),
                Speaker::Person,
                incoming.text,
            )?;
        }
        Ok(())
    }

    /// Something that the account said: by the engine, or by a human in another client.
    fn spoke(
        &mut self,
        name: &AccountName,
        incoming: Incoming,
        events: &mut Vec<Event>,
    ) -> Result<(), RunError> {
        let person = incoming.person;
        let observed = &self.core.observed;
        let id = incoming.message_id.unsigned_abs();
        let known = observed
            .accounts
            .get(name)
            .is_some_and(|account| account.own_messages.contains(id));
        // Telegram may tell of a message before it answers the call that sent it, or answer without saying its id.
        let under_way = observed.in_flight.values().any(|flight| {
            flight.intent.account == *name
                && flight.intent.key.person == person
                && text_of(&flight.intent.request)
                    .is_some_and(|text| text.trim() == incoming.text.trim())
        });
        let talk = observed
            .handle(person)
            .zip(observed.account_index(name))
            .and_then(|(who, by)| observed.talks.get(who, by));
        let print = own_print(name, person, &incoming.text);
        let unseen = talk.is_some_and(|talk| talk.unseen.contains(&print));
        let bot = self.core.people.get(person).is_some_and(|known| known.bot);
        // After a restore nobody knows which of the messages before it were the engine's own.
        let lost = observed.restored.is_some() && incoming.date <= self.started;
        if !known && (under_way || unseen) {
            events.push(Event::OwnSeen {
                account: name.clone(),
                person,
                message_id: incoming.message_id,
                print,
            });
            return Ok(());
        }
        if known || bot || lost {
            return Ok(());
        }
        if let Some(contact) = incoming.contact.clone() {
            let bot = contact.bot;
            self.core
                .people
                .merge(vec![(person, contact)])
                .map_err(CoreError::from)?;
            if bot {
                return Ok(());
            }
        }
        self.keep(
            name,
            person,
            LineKind::Message,
            id,
            Speaker::Human,
            incoming.text,
        )?;
        events.push(Event::HumanSpoke {
            account: name.clone(),
            person,
            message_id: incoming.message_id,
        });
        Ok(())
    }

    /// Keeps a line of a conversation.
    pub(super) fn keep(
        &self,
        name: &AccountName,
        person: PersonId,
        kind: LineKind,
        number: u32,
        speaker: Speaker,
        mut text: String,
    ) -> Result<(), RunError> {
        let Some(account) = self.core.observed.account_index(name) else {
            return Ok(());
        };
        // Of somebody who was erased it stays known that he wrote, and not what.
        if self.core.observed.is_forgotten(person) {
            return Ok(());
        }
        if text.len() > MAX_LINE {
            let end = (0..=MAX_LINE)
                .rev()
                .find(|at| text.is_char_boundary(*at))
                .unwrap_or(0);
            text.truncate(end);
        }
        let key = LineKey {
            account,
            kind,
            number,
        };
        let line = Line {
            at: self.core.clock.now(),
            account: name.clone(),
            speaker,
            text,
        };
        self.core
            .people
            .say(person, &key, &line)
            .map_err(CoreError::from)?;
        Ok(())
    }

    /// What was sent becomes a line, where the conversation matters to somebody.
    pub(super) fn keep_sent(
        &self,
        name: &AccountName,
        flight: &InFlight,
        message_id: i32,
    ) -> Result<(), RunError> {
        let key = &flight.intent.key;
        let draft = |kind, number| LineKey {
            account: self.core.observed.account_index(name).unwrap_or(u16::MAX),
            kind,
            number,
        };
        let (speaker, before) = match aside_of(key) {
            Some(Aside::Answer { message_id, .. }) => {
                let before = draft(LineKind::Draft, message_id.unsigned_abs());
                let said = self.core.people.line(key.person, &before);
                (said.map_or(Speaker::Ai, |line| line.speaker), Some(before))
            }
            Some(Aside::Operator { number, .. }) => {
                let before = draft(LineKind::Operator, number);
                let said = self.core.people.line(key.person, &before);
                (
                    said.map_or(Speaker::Operator(String::new()), |line| line.speaker),
                    Some(before),
                )
            }
            Some(Aside::OptOut) => (Speaker::Operator("opt_out.reply".to_owned()), None),
            Some(Aside::Notice { .. }) => return Ok(()),
            None if !self.core.anybody_answers => return Ok(()),
            None => {
                let answers = self
                    .core
                    .wanted(&key.lineage)
                    .and_then(|campaign| campaign.spec.as_ref())
                    .is_some_and(|spec| spec.ai_role.is_some())
                    || self
                        .core
                        .desired
                        .engine
                        .accounts
                        .get(name)
                        .is_some_and(|settings| settings.ai_role.is_some());
                if !answers {
                    return Ok(());
                }
                (Speaker::Campaign(key.lineage.clone()), None)
            }
        };
        // An invite by `add` says nothing.
        let Some(text) = text_of(&flight.intent.request) else {
            return Ok(());
        };
        // Where Telegram never said its number, it gets one that no message has.
        let number = match u32::try_from(message_id) {
            Ok(number) if number > 0 => number,
            _ => 1 << 31 | key.run,
        };
        self.keep(name, key.person, LineKind::Message, number, speaker, text)?;
        if let Some(before) = before {
            self.core
                .people
                .unsay(key.person, &before)
                .map_err(CoreError::from)?;
        }
        Ok(())
    }

    /// Shows 'typing…' once more before an answer.
    pub(super) fn show_typing(&mut self, account: AccountName, person: PersonId, until: Timestamp) {
        if let (Some(task), Some(access_hash)) =
            (self.tasks.get(&account), self.hash_of(&account, person))
        {
            task.order(Order::Type {
                person,
                access_hash,
            });
        }
        let now = self.core.clock.now();
        let answering = &mut self.core.runtime.answering;
        answering.retain(|_, at| *at > now);
        answering.insert((account, person), until);
    }
}

/// Of a message whose id Telegram did not say its print is remembered: it is no human's.
pub(super) fn own_unseen(flight: &InFlight, message_id: i32) -> Option<Event> {
    let Intent {
        account, request, ..
    } = &*flight.intent;
    let person = flight.intent.key.person;
    if message_id > 0 || flight.intent.is_invite() {
        return None;
    }
    Some(Event::OwnUnseen {
        account: account.clone(),
        person,
        print: own_print(account, person, &text_of(request)?),
    })
}
