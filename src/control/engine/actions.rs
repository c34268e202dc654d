//! What the planner asked for, carried out as it stands.

use super::looking::Ordered;
use super::*;

impl Engine {
    /// Carries actions out. Answers whether the state changed, so that planning again may find more.
    pub(super) async fn perform(&mut self, actions: Vec<Action>) -> Result<bool, RunError> {
        let mut records = Vec::new();
        let mut sends: Vec<Intent> = Vec::new();
        let mut changed = false;
        for action in actions {
            match action {
                Action::Record(event) => records.push(event),
                Action::Judge { campaign } => {
                    records.extend(self.judge(&campaign));
                }
                Action::LookUp {
                    campaign,
                    source,
                    what,
                    account,
                    limit,
                    label,
                    from,
                } => {
                    let ordered = Ordered {
                        campaign,
                        source,
                        what,
                        account,
                        limit,
                        label,
                        from,
                    };
                    self.look_up(ordered, &mut records)?;
                    changed = true;
                }
                Action::Resolve {
                    account,
                    person,
                    reference,
                    campaign,
                } => {
                    if let Some(task) = self.tasks.get(&account) {
                        // Written down before it is asked: a crash costs one too many rather than one too few.
                        self.core.record(
                            vec![Event::LookupSpent {
                                account: account.clone(),
                            }],
                            Durability::Soon,
                        )?;
                        if campaign.as_ref() == crate::plan::SUPPRESSED_LINEAGE {
                            let now = self.core.clock.now();
                            self.core.runtime.sought.insert(account.clone(), now);
                        }
                        self.core.runtime.resolving.insert(account, person);
                        task.order(Order::Resolve {
                            person,
                            reference,
                            campaign,
                        });
                    }
                }
                Action::Upload {
                    account,
                    media,
                    campaign,
                } => self.upload(account, media, campaign, &mut records),
                Action::Type {
                    account,
                    person,
                    until,
                } => {
                    let hash = self.hash_of(&account, person);
                    if let (Some(task), Some(access_hash)) = (self.tasks.get(&account), hash) {
                        task.order(Order::Type {
                            person,
                            access_hash,
                        });
                    }
                    self.core.runtime.typing.insert(account, (person, until));
                }
                Action::Send(send) => match self.intent_of(*send) {
                    Ok(intent) => sends.push(intent),
                    Err(Some(event)) => records.push(*event),
                    Err(None) => {}
                },
                Action::Invite(invite) => match self.invite_of(*invite) {
                    Ok(intent) => sends.push(intent),
                    Err(Some(event)) => records.push(*event),
                    Err(None) => {}
                },
                Action::Seek {
                    account,
                    campaign,
                    target,
                    link,
                } => self.seek(account, campaign, target, link),
                Action::Join {
                    account,
                    campaign,
                    place,
                    gap,
                } => self.join(account, campaign, place, gap),
                Action::Retry { key } => self.retry(key, &mut records),
                Action::LookBack { key } => self.look_back(key, &mut records),
                Action::Draft(draft) => self.draft(*draft)?,
                Action::ShowTyping {
                    account,
                    person,
                    until,
                } => self.show_typing(account, person, until),
                Action::Post(post) => self.post(*post),
            }
        }
        changed |= !records.is_empty();
        if records
            .iter()
            .any(|event| matches!(event, Event::Stalled { .. } | Event::SelfPaused { .. }))
        {
            // The campaign stopped itself: nothing more may leave in its name.
            self.call_off();
        }
        self.core.record(records, Durability::Soon)?;
        self.send(sends).await?;
        Ok(changed)
    }

    /// People of a page whom a list or file names by username or phone: they are one, and need no look-up any more.
    /// What the stand-in's row knew (a CSV's columns) goes over to the person.
    pub(super) fn recognised(
        &self,
        account: &AccountName,
        people: &[(PersonId, Person)],
    ) -> Result<Vec<Event>, RunError> {
        let mut events = Vec::new();
        for (id, person) in people {
            for reference in super::known::references(person) {
                let stand_in = reference.person();
                let persons = &self.core.observed.persons;
                if persons.get(stand_in).is_none() || persons.resolve(stand_in) != stand_in {
                    continue;
                }
                if let Some(known) = self.core.people.get(stand_in) {
                    self.core
                        .people
                        .merge(vec![(*id, known)])
                        .map_err(CoreError::from)?;
                }
                events.push(Event::Resolved {
                    reference: stand_in,
                    person: *id,
                    account: account.clone(),
                });
            }
        }
        Ok(events)
    }

    /// The account's own access hash of a person.
    pub(super) fn hash_of(&self, account: &AccountName, person: PersonId) -> Option<i64> {
        self.core.people.address(person, account)
    }

    /// The bytes of a message. An error is what to write down instead.
    pub(super) fn intent_of(&mut self, send: SendAction) -> Result<Intent, Option<Box<Event>>> {
        let person = send.key.person;
        let Some(hash) = self.hash_of(&send.account, person) else {
            return Err(Some(Box::new(Event::Unreached {
                account: send.account,
                person,
            })));
        };
        let media = match &send.media {
            None => None,
            Some(media) => match self.media.get(&(send.account.clone(), media.clone())) {
                Some(handle) => Some(handle),
                None => {
                    self.core
                        .runtime
                        .media
                        .remove(&(send.account.clone(), media.clone()));
                    return Err(None);
                }
            },
        };
        let request = encode_send(
            person,
            hash,
            send.message,
            send.link_preview,
            send.random_id,
            media,
        );
        self.core.runtime.typing.remove(&send.account);
        Ok(Intent {
            key: send.key,
            account: send.account,
            random_id: send.random_id,
            run: send.run,
            variant: send.variant,
            digest: send.digest,
            attested: send.attested,
            request: request.into(),
            next_allowed_at: self.core.clock.now() + send.gap,
        })
    }

    /// Intents first, all of this pass in one durable write; then the bytes.
    pub(super) async fn send(&mut self, intents: Vec<Intent>) -> Result<(), RunError> {
        let mut ready = Vec::with_capacity(intents.len());
        for intent in intents {
            if self.mark_state(&intent.account) {
                let unless_in = self.probe_of(&intent);
                ready.push((Arc::new(intent), unless_in));
            }
        }
        if ready.is_empty() {
            return Ok(());
        }
        let intents = ready.iter().map(|(intent, _)| Arc::clone(intent));
        let events = intents.map(Event::Intent).collect();
        fail::fail_point!("send.intend");
        if let Some(appended) = self.core.record(events, Durability::Now)? {
            fail::fail_point!("send.recorded");
            appended.durable().await.map_err(CoreError::from)?;
        }
        // What is about to leave is known to no older copy of the state.
        let accounts = ready.iter().map(|(intent, _)| intent.account.clone());
        self.core.raise(&accounts.collect());
        fail::fail_point!("send.intended");
        for (intent, unless_in) in ready {
            if let Some(task) = self.tasks.get(&intent.account) {
                let key = intent.key.clone();
                self.core.runtime.executing.insert(key.clone());
                task.send(key, Arc::clone(&intent.request), unless_in);
            }
        }
        Ok(())
    }

    fn retry(&mut self, key: SendKey, records: &mut Vec<Event>) {
        let Some(flight) = self.core.observed.in_flight.get(&key) else {
            return;
        };
        let (account, request) = (
            flight.intent.account.clone(),
            Arc::clone(&flight.intent.request),
        );
        if request.is_empty() {
            // A damaged state lost its bytes: the dialog decides.
            self.look_back(key, records);
            return;
        }
        if let Some(task) = self.tasks.get(&account) {
            self.core.runtime.executing.insert(key.clone());
            // With no look at the target: he may be there because of the first try.
            task.send(key, request, None);
        }
    }

    fn look_back(&mut self, key: SendKey, records: &mut Vec<Event>) {
        let Some(flight) = self.core.observed.in_flight.get(&key) else {
            return;
        };
        let account = flight.intent.account.clone();
        let now = self.core.clock.now();
        let looked_back = &mut self.core.runtime.looked_back;
        let look = LookedBack::again(looked_back.get(&account), key.clone(), now);
        looked_back.insert(account.clone(), look);
        if flight.intent.is_invite() {
            let request = flight.intent.request.clone();
            if let Some(task) = self.tasks.get(&account) {
                self.core.runtime.executing.insert(key.clone());
                task.order(Order::Member { key, request });
            }
            return;
        }
        let Some(access_hash) = self.hash_of(&account, key.person) else {
            records.push(Event::Refused {
                key,
                outcome: crate::model::Outcome::Uncertain,
                detail: "the account does not know any more where his dialog is".to_owned(),
            });
            return;
        };
        if let Some(task) = self.tasks.get(&account) {
            self.core.runtime.executing.insert(key.clone());
            task.order(Order::LookBack { key, access_hash });
        }
    }

    pub(super) fn upload(
        &mut self,
        account: AccountName,
        media: Attachment,
        campaign: Lineage,
        records: &mut Vec<Event>,
    ) {
        fail::fail_point!("upload.order");
        let read = self.core.workspace.files().read(&media.path, MAX_MEDIA);
        match (read, self.tasks.get(&account)) {
            (Ok(bytes), Some(task)) => {
                self.core
                    .runtime
                    .uploading
                    .insert((account.clone(), media.clone()));
                task.order(Order::Upload {
                    media,
                    bytes: bytes.to_vec(),
                    campaign,
                });
            }
            (Err(error), _) => records.push(Event::Stalled {
                campaign,
                why: crate::model::StallReason {
                    reason: "MediaUnreadable".to_owned(),
                    message: format!("{} cannot be read: {error}.", media.path),
                },
            }),
            (Ok(_), None) => {}
        }
    }
}
