//! What the accounts' tasks tell, written down.

use super::answers::own_unseen;
use super::*;

impl Engine {
    /// What an account's task tells.
    pub(super) async fn report(
        &mut self,
        name: &AccountName,
        report: Report,
        events: &mut Vec<Event>,
    ) -> Result<(), RunError> {
        let now = self.core.clock.now();
        if !matches!(report, Report::Page { .. }) {
            self.write_pages(events)?;
        }
        match report {
            Report::Sent(ended) => {
                for (key, result) in ended {
                    self.sent(name, key, result, now, events)?;
                }
            }
            Report::NotTried { key } => {
                self.core.runtime.executing.remove(&key);
                let doubted = self
                    .core
                    .observed
                    .in_flight
                    .get(&key)
                    .is_some_and(|flight| flight.doubt.is_some());
                if !doubted {
                    let detail = "called off before it left".to_owned();
                    events.push(Event::Released {
                        key,
                        keep: false,
                        detail,
                    });
                }
            }
            Report::Me(result) => self.me(name, result, events)?,
            Report::Page {
                campaign,
                source,
                people,
                next,
                total,
            } => self.page_came(name.clone(), (campaign, source), people, next, total),
            Report::LookUpWaits {
                campaign,
                source,
                seconds,
            } => {
                self.core
                    .runtime
                    .looking_up
                    .remove(&(campaign, source, Some(name.clone())));
                events.push(outcome::flood(name, CallClass::LookUp, seconds, now));
            }
            Report::LookedUp {
                campaign,
                source,
                result,
            } => {
                self.core.runtime.looking_up.remove(&(
                    campaign.clone(),
                    source,
                    Some(name.clone()),
                ));
                self.looked_up(name, campaign, source, result, events);
            }
            Report::Resolved {
                person,
                reference,
                campaign,
                result,
            } => {
                self.core.runtime.resolving.remove(name);
                self.resolved(name, person, reference, campaign, result, events)?;
            }
            Report::Uploaded {
                media,
                campaign,
                result,
            } => {
                let key = (name.clone(), media);
                self.core.runtime.uploading.remove(&key);
                match result {
                    Ok(handle) => {
                        self.media.insert(key.clone(), handle);
                        self.core.runtime.media.insert(key);
                    }
                    Err(error) => {
                        let verdict =
                            outcome::of_failed_upload(name, campaign, &key.1.path, error, now);
                        events.extend(verdict.events);
                        if let Some(why) = verdict.link_lost {
                            self.link_lost(name, why);
                        }
                    }
                }
            }
            Report::LookedBack { key, result } => {
                self.core.runtime.executing.remove(&key);
                if matches!(result, Err(CallError::KeyUnknown)) {
                    self.key_unknown(name, events);
                }
                self.write(events)?;
                let text = self
                    .core
                    .observed
                    .in_flight
                    .get(&key)
                    .and_then(|flight| text_of(&flight.intent.request));
                let found =
                    outcome::of_look_back(&self.core.observed, &key, text.as_deref(), result, now);
                for event in &found {
                    if let Event::Sent {
                        key, message_id, ..
                    } = event
                        && let Some(flight) = self.core.observed.in_flight.get(key)
                    {
                        self.keep_sent(name, flight, *message_id)?;
                    }
                }
                events.extend(found);
            }
            Report::ReadSince(result) => self.read_since(name, result, events)?,
            Report::Member { key, result } => self.was_added(name, key, result, events)?,
            Report::Sought {
                campaign,
                target,
                link,
                result,
            } => self.sought(name, campaign, target, link, result, events),
            Report::Joined {
                campaign,
                place,
                gap,
                result,
            } => self.joined(name, campaign, place, gap, result, events),
            Report::Received(received) => self.received(name, received, events)?,
            Report::Panicked(why) => {
                tracing::error!(account = %name, "{why}");
                events.push(Event::BrokeOff {
                    account: Some(name.clone()),
                    campaign: None,
                    detail: "Its task broke off, a bug of Tidings; it is started again.".to_owned(),
                });
                self.abandon(name, events);
                self.link_lost(name, why);
                // What it received by itself ended with it.
                self.write(events)?;
                self.listening.remove(name);
                self.listen(name);
            }
        }
        Ok(())
    }

    /// What Telegram said of a send.
    pub(super) fn sent(
        &mut self,
        name: &AccountName,
        key: SendKey,
        result: Result<Delivered, CallError>,
        now: Timestamp,
        events: &mut Vec<Event>,
    ) -> Result<(), RunError> {
        self.core.runtime.executing.remove(&key);
        let error = match result {
            Ok(delivered) => return self.accepted(name, key, &delivered, now, events),
            Err(error) => error,
        };
        // The task called everything after it off: what is ordered from now on belongs to a new epoch.
        let stopped = stops_the_account(&error);
        if matches!(error, CallError::KeyUnknown) {
            self.try_key_again(name);
        }
        // What was folded so far decides, so everything before this must be folded.
        self.write(events)?;
        let verdict = outcome::of_send(&self.core.observed, &key, Err(error), now);
        if verdict.upload_again {
            let again = self.uploads_again.entry(name.clone()).or_insert(0);
            *again += 1;
            if *again > UPLOADS_AGAIN {
                events.push(Event::Stalled {
                    campaign: key.lineage.clone(),
                    why: crate::model::StallReason {
                        reason: "MediaRefused".to_owned(),
                        message: "Telegram does not accept the uploaded file, however often it is uploaded."
                            .to_owned(),
                    },
                });
            }
            self.media.retain(|(account, _), _| account != name);
            self.core
                .runtime
                .media
                .retain(|(account, _)| account != name);
        }
        let stops = verdict.events.iter().any(|event| {
            matches!(
                event,
                Event::FloodWait { .. }
                    | Event::Limited { .. }
                    | Event::AccountChanged { .. }
                    | Event::Stalled { .. }
                    | Event::Suppressed { .. }
            )
        });
        let mut unseen = Vec::new();
        for event in &verdict.events {
            if let Event::Sent {
                key, message_id, ..
            } = event
                && let Some(flight) = self.core.observed.in_flight.get(key)
            {
                self.uploads_again.remove(name);
                self.keep_sent(name, flight, *message_id)?;
                unseen.extend(own_unseen(flight, *message_id));
            }
        }
        events.extend(verdict.events);
        events.extend(unseen);
        if let Some(why) = verdict.link_lost {
            self.link_lost(name, why);
        }
        if (stops || stopped)
            && let Some(task) = self.tasks.get_mut(name)
        {
            task.call_off();
        }
        Ok(())
    }

    /// Telegram accepted a send.
    fn accepted(
        &mut self,
        name: &AccountName,
        key: SendKey,
        delivered: &Delivered,
        now: Timestamp,
        events: &mut Vec<Event>,
    ) -> Result<(), RunError> {
        self.last_word.spoken();
        self.uploads_again.remove(name);
        let Some(flight) = self.core.observed.in_flight.get(&key) else {
            return Ok(());
        };
        self.keep_sent(name, flight, delivered.message_id)?;
        events.push(outcome::of_accepted(flight, key, delivered, now));
        events.extend(own_unseen(flight, delivered.message_id));
        Ok(())
    }

    /// A task broke off: what it had in hand is in doubt, what it looked up begins anew.
    pub(super) fn abandon(&mut self, name: &AccountName, events: &mut Vec<Event>) {
        let observed = &self.core.observed;
        let lost: Vec<SendKey> = self
            .core
            .runtime
            .executing
            .iter()
            .filter(|key| {
                observed
                    .in_flight
                    .get(*key)
                    .is_some_and(|flight| flight.intent.account == *name)
            })
            .cloned()
            .collect();
        for key in lost {
            self.core.runtime.executing.remove(&key);
            events.push(Event::InDoubt {
                key,
                why: InDoubtWhy::Connection,
            });
        }
        self.core
            .runtime
            .looking_up
            .retain(|(_, _, account)| account.as_ref() != Some(name));
        self.core.runtime.resolving.remove(name);
        self.core
            .runtime
            .uploading
            .retain(|(account, _)| account != name);
        self.core
            .runtime
            .seeking
            .retain(|(account, _)| account != name);
        self.core.runtime.joining.remove(name);
    }

    /// The connection is tried again after a pause that doubles.
    pub(super) fn link_lost(&mut self, name: &AccountName, message: String) {
        let tries = self.tries.entry(name.clone()).or_insert(0);
        *tries += 1;
        let pause =
            Duration::from_secs(u64::from((1u32 << (*tries - 1).min(6)).min(RECONNECT_MOST)));
        // Real seconds, whatever the clock's speed: the network has its own.
        let retry_at = self.core.clock.now() + pause.mul_f64(pause_scale(&self.core.clock));
        tracing::warn!(account = %name, %message, "the connection is lost; tried again in {pause:?}");
        self.readiness.lost(name);
        let now = self.core.clock.now();
        let runtime = &mut self.core.runtime;
        runtime.lost_since.entry(name.clone()).or_insert(now);
        runtime
            .links
            .insert(name.clone(), Link::Unreachable { message, retry_at });
    }

    pub(super) fn me(
        &mut self,
        name: &AccountName,
        result: Result<Me, CallError>,
        events: &mut Vec<Event>,
    ) -> Result<(), RunError> {
        let now = self.core.clock.now();
        match result {
            Ok(me) => {
                self.tries.remove(name);
                self.core.runtime.lost_since.remove(name);
                self.write(events)?;
                let twin = self.same_person(name, me.id)?;
                events.extend(self.identity(name, me.id));
                // Those held as its second names are told where no daemon runs, too.
                let held = self
                    .core
                    .runtime
                    .links
                    .iter()
                    .filter(|(_, link)| matches!(link, Link::Twin { first } if first == name));
                events.extend(held.filter_map(|(second, _)| self.identity(second, me.id)));
                let known = self.core.observed.accounts.get(name);
                if known.is_some_and(|known| known.trouble.is_some()) {
                    events.push(Event::AccountChanged {
                        account: name.clone(),
                        state: AccountState::Ready,
                        message: String::new(),
                    });
                }
                if let Some(first) = twin {
                    self.write(events)?;
                    return self.hold_twin(name, first);
                }
                let Some(task) = self.tasks.get(name) else {
                    return Ok(());
                };
                if self.state_is_ours(name) {
                    let link = Link::Ready {
                        random_key: task.client().random_key(),
                        first_name: me.first_name,
                        username: me.username,
                    };
                    self.readiness.connected(name, link);
                } else {
                    let older = self.core.is_older();
                    self.core
                        .runtime
                        .links
                        .insert(name.clone(), Link::StateLost { older });
                }
            }
            Err(CallError::KeyUnknown) => {
                self.key_unknown(name, events);
                self.parked(name);
            }
            Err(CallError::Rpc(fault)) => match react(&fault) {
                Reaction::LoseAccount(state) => {
                    events.push(outcome::lost(name, state, &fault.message));
                    self.parked(name);
                }
                Reaction::Wait { seconds } => {
                    events.push(outcome::flood(name, CallClass::LookUp, seconds, now));
                    self.link_lost(name, fault.to_string());
                }
                _ => self.link_lost(name, fault.to_string()),
            },
            Err(error) => self.link_lost(name, error.to_string()),
        }
        Ok(())
    }

    /// Telegram does not know the key. A login is asked for, and the key is tried again now and then: a server that
    /// forgot it for a while (transport error 404) takes it as before.
    pub(super) fn key_unknown(&mut self, name: &AccountName, events: &mut Vec<Event>) {
        let known = self.core.observed.accounts.get(name);
        if known.is_none_or(|known| known.trouble.is_none()) {
            let state = AccountState::Unauthorized;
            events.push(outcome::lost(name, state, "404: the key is unknown"));
        }
        self.try_key_again(name);
    }

    fn try_key_again(&mut self, name: &AccountName) {
        if !self.options.once && !self.options.lookups_only {
            let at = tokio::time::Instant::now() + KEY_AGAIN;
            self.keys_again.insert(name.clone(), at);
        }
    }

    /// The account is out of work until a person does something: it is not `Connecting` any more.
    pub(super) fn parked(&mut self, name: &AccountName) {
        let message = "it waits for a login".to_owned();
        self.core.runtime.links.insert(
            name.clone(),
            Link::Unreachable {
                message,
                retry_at: Timestamp::MAX,
            },
        );
    }

    pub(super) fn looked_up(
        &mut self,
        name: &AccountName,
        campaign: Lineage,
        source: SourceId,
        result: Result<LookedUp, CallError>,
        events: &mut Vec<Event>,
    ) {
        let key = (campaign, source, name.clone());
        if let Err(
            CallError::InDoubt {
                why: InDoubtWhy::Connection,
                ..
            }
            | CallError::NotSent { .. },
        ) = &result
        {
            let times = self.broken_off.entry(key.clone()).or_insert(0);
            *times += 1;
            if *times < BROKEN_OFF {
                // It begins anew with the next connection.
                self.link_lost(name, "the connection broke".to_owned());
                return;
            }
        }
        self.broken_off.remove(&key);
        let (campaign, source, _) = key;
        let end = match result {
            Ok(done) => LookupEnd {
                complete: done.partial.is_none(),
                error: None,
                partial: done.partial,
                passing: false,
                admin: done.admin,
                bad_rows: 0,
            },
            Err(error) => {
                match &error {
                    CallError::Rpc(fault) => {
                        if let Reaction::LoseAccount(state) = react(fault) {
                            events.push(outcome::lost(name, state, &fault.message));
                        }
                    }
                    CallError::KeyUnknown => self.key_unknown(name, events),
                    CallError::InDoubt { .. } | CallError::NotSent { .. } => {
                        self.link_lost(name, error.to_string())
                    }
                    _ => {}
                }
                LookupEnd {
                    passing: match &error {
                        CallError::Rpc(fault) => react(fault) == Reaction::InDoubt,
                        CallError::InDoubt { .. } | CallError::NotSent { .. } => true,
                        _ => false,
                    },
                    error: Some(error.to_string()),
                    ..LookupEnd::default()
                }
            }
        };
        events.push(Event::LookupEnded {
            campaign,
            source,
            account: Some(name.clone()),
            end,
        });
    }

    pub(super) fn resolved(
        &mut self,
        name: &AccountName,
        person: PersonId,
        reference: Reference,
        campaign: Lineage,
        result: Result<crate::telegram::Met, CallError>,
        events: &mut Vec<Event>,
    ) -> Result<(), RunError> {
        let now = self.core.clock.now();
        let before = events.len();
        let skip = |outcome, detail: String| {
            // Of somebody who is known already this was the second look: he exists, and cannot be addressed.
            let outcome = if person.is_user() {
                crate::model::Outcome::Unreachable
            } else {
                outcome
            };
            Event::Skipped {
                campaign: campaign.clone(),
                person,
                step: 0,
                outcome,
                detail,
            }
        };
        match result {
            Ok(met) => {
                let Some((id, mut known)) = person_of(met, None) else {
                    return Ok(());
                };
                if person.is_user() && id != person {
                    // The username changed hands: he is somebody else now.
                    self.core
                        .people
                        .merge(vec![(id, known)])
                        .map_err(CoreError::from)?;
                    events.push(skip(
                        crate::model::Outcome::Unreachable,
                        "the username belongs to somebody else now".to_owned(),
                    ));
                    return Ok(());
                }
                if !known.hashes.contains_key(name) {
                    let detail =
                        format!("Telegram tells {name} who he is, but not how to address him");
                    events.push(skip(crate::model::Outcome::Unreachable, detail));
                    if !person.is_user() {
                        events.push(Event::Nobody { reference: person });
                    }
                    return Ok(());
                }
                // What the reference's row knew (a CSV's columns) goes over to the person.
                if id != person
                    && let Some(stand_in) = self.core.people.get(person)
                {
                    let mut all = stand_in;
                    all.merge(known);
                    known = all;
                }
                if !known.references.contains(&reference) {
                    known.references.push(reference);
                }
                self.core
                    .people
                    .merge(vec![(id, known)])
                    .map_err(CoreError::from)?;
                events.push(Event::Resolved {
                    reference: person,
                    person: id,
                    account: name.clone(),
                });
            }
            Err(CallError::NotAPerson(_)) => {
                events.push(skip(
                    crate::model::Outcome::NotFound,
                    "it names a group or channel".to_owned(),
                ));
            }
            Err(CallError::NotMet(_)) => {
                events.push(skip(
                    crate::model::Outcome::Unreachable,
                    format!("{name} has not met him"),
                ));
            }
            Err(CallError::Rpc(fault)) => match react(&fault) {
                Reaction::Wait { seconds } => {
                    events.push(outcome::flood(name, CallClass::LookUp, seconds, now))
                }
                Reaction::LoseAccount(state) => {
                    events.push(outcome::lost(name, state, &fault.message))
                }
                Reaction::SkipRecipient { outcome, .. } => {
                    events.push(skip(outcome, fault.message))
                }
                Reaction::InDoubt => self.link_lost(name, fault.to_string()),
                _ => events.push(skip(crate::model::Outcome::Failed, fault.message)),
            },
            Err(CallError::KeyUnknown) => self.key_unknown(name, events),
            Err(error) => self.link_lost(name, error.to_string()),
        }
        let settled = events
            .iter()
            .skip(before)
            .any(|event| matches!(event, Event::Skipped { .. }));
        if crate::model::is_aside(&campaign) {
            // It was no campaign's recipient.
            let mut at = 0;
            events.retain(|event| {
                at += 1;
                at <= before || !matches!(event, Event::Skipped { .. })
            });
        }
        if settled && !person.is_user() {
            events.push(Event::Nobody { reference: person });
        }
        Ok(())
    }

    /// A private message, or where the account stands in Telegram's updates.
    pub(super) fn received(
        &mut self,
        name: &AccountName,
        received: Received,
        events: &mut Vec<Event>,
    ) -> Result<(), RunError> {
        let at = |state: UpdatesState| Event::UpdatesAt {
            account: name.clone(),
            pts: state.pts,
            qts: state.qts,
            date: state.date,
            seq: state.seq,
        };
        match received {
            Received::State(state) => events.push(at(state)),
            // Of one that is being tried again already this is no news.
            Received::Lost(why) => {
                let links = &self.core.runtime.links;
                if matches!(links.get(name), Some(Link::Ready { .. })) {
                    self.link_lost(name, why);
                }
            }
            Received::CaughtUp => {
                self.readiness.caught_up(name);
                self.last_word.caught_up(name);
            }
            Received::Behind(wait) => {
                let wait = wait.map(|seconds| {
                    let now = self.core.clock.now();
                    events.push(outcome::flood(name, CallClass::LookUp, seconds, now));
                    Duration::from_secs(seconds.into())
                });
                self.readiness.behind(name, wait.unwrap_or_default());
            }
            Received::Message(incoming) => {
                self.write(events)?;
                let state = incoming.state;
                self.message(name, *incoming, events)?;
                if let Some(state) = state {
                    events.push(at(state));
                }
            }
        }
        Ok(())
    }
}
