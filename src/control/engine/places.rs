//! Invites, joins, and looks at the targets of invites.

use super::*;
use crate::model::JoinEnd;
use crate::plan::{InviteAction, TargetFault};
use crate::telegram::{Joined, Membership, Target, encode_invite};

impl Engine {
    /// Looks at the target of an invite.
    pub(super) fn seek(
        &mut self,
        account: AccountName,
        campaign: Lineage,
        target: Reference,
        link: bool,
    ) {
        if let Some(task) = self.tasks.get(&account) {
            self.core
                .runtime
                .seeking
                .insert((account, campaign.clone()));
            task.order(Order::Seek {
                campaign,
                target,
                link,
            });
        }
    }

    /// Joins a place.
    pub(super) fn join(
        &mut self,
        account: AccountName,
        campaign: Lineage,
        place: Reference,
        gap: Duration,
    ) {
        if let Some(task) = self.tasks.get(&account) {
            self.core.runtime.joining.insert(account);
            task.order(Order::Join {
                campaign,
                place,
                gap,
            });
        }
    }

    /// The bytes of an invite. `None`: the target has to be looked at again first.
    pub(super) fn invite_of(&mut self, invite: InviteAction) -> Result<Intent, Option<Box<Event>>> {
        let key = (invite.account.clone(), invite.key.lineage.clone());
        let Some(place) = self.places.get(&key) else {
            self.core.runtime.targets.remove(&key);
            return Err(None);
        };
        let person = invite.key.person;
        let Some(hash) = self.hash_of(&invite.account, person) else {
            return Err(Some(Box::new(Event::Unreached {
                account: invite.account,
                person,
            })));
        };
        Ok(Intent {
            request: encode_invite(place, person, hash).into(),
            key: invite.key,
            account: invite.account,
            random_id: Intent::NO_RANDOM_ID,
            run: invite.run,
            variant: invite.variant,
            digest: invite.digest,
            attested: invite.attested,
            next_allowed_at: self.core.clock.now() + invite.gap,
        })
    }

    /// What is asked before the message of an invite by link leaves: whether he is there already. None for other sends.
    pub(super) fn probe_of(&self, intent: &Intent) -> Option<Vec<u8>> {
        if self.places.is_empty() || intent.is_invite() || intent.key.step > 0 {
            return None;
        }
        let key = (intent.account.clone(), intent.key.lineage.clone());
        let place = self.places.get(&key)?;
        let hash = self.hash_of(&intent.account, intent.key.person)?;
        Some(encode_invite(place, intent.key.person, hash))
    }

    /// What an account saw of a target.
    pub(super) fn sought(
        &mut self,
        name: &AccountName,
        campaign: Lineage,
        target: Reference,
        link: bool,
        result: Result<Target, CallError>,
        events: &mut Vec<Event>,
    ) {
        let now = self.core.clock.now();
        let key = (name.clone(), campaign.clone());
        self.core.runtime.seeking.remove(&key);
        let fault = |reason: &'static str, why: String| TargetFault {
            target: target.to_string(),
            reason,
            why,
            at: now,
        };
        let wrong = match result {
            Ok(found) if link => match found.link {
                Some(link) => {
                    self.core
                        .runtime
                        .targets
                        .insert(key.clone(), target.to_string());
                    self.places.insert(key, found.place);
                    events.push(Event::InviteLink {
                        campaign,
                        account: name.clone(),
                        target: target.to_string(),
                        link,
                        exported: found.exported,
                    });
                    return;
                }
                None => fault(
                    "ChatAdminRequired",
                    "it is no admin there who may invite, and the place has no public link"
                        .to_owned(),
                ),
            },
            Ok(found)
                if found.place.kind == crate::telegram::PlaceKind::Channel
                    && !found.place.admin =>
            {
                fault(
                    "ChatAdminRequired",
                    "only admins add people to a channel, and it is none".to_owned(),
                )
            }
            Ok(found) => {
                self.core
                    .runtime
                    .targets
                    .insert(key.clone(), target.to_string());
                self.places.insert(key, found.place);
                return;
            }
            Err(error) => match self.trouble(name, &error, CallClass::LookUp, now, events) {
                true => return,
                false => fault(
                    match &error {
                        CallError::Rpc(refusal) => match react(refusal) {
                            Reaction::Stall { reason } => reason,
                            _ => "TargetUnreachable",
                        },
                        _ => "TargetUnreachable",
                    },
                    error.to_string(),
                ),
            },
        };
        self.core.runtime.target_faults.insert(key, wrong);
    }

    /// How a join ended.
    pub(super) fn joined(
        &mut self,
        name: &AccountName,
        campaign: Lineage,
        place: Reference,
        gap: Duration,
        result: Result<Joined, CallError>,
        events: &mut Vec<Event>,
    ) {
        let now = self.core.clock.now();
        self.core.runtime.joining.remove(name);
        let end = match result {
            Ok(Joined::In) => JoinEnd::In,
            Ok(Joined::Requested) => JoinEnd::Requested,
            Err(error) => {
                if self.trouble(name, &error, CallClass::Invite, now, events) {
                    return;
                }
                let detail = match &error {
                    CallError::Rpc(fault) => fault.message.clone(),
                    other => other.to_string(),
                };
                JoinEnd::Failed { detail }
            }
        };
        events.push(Event::Joined {
            campaign,
            account: name.clone(),
            place: place.to_string(),
            end,
            next_at: now + gap,
        });
    }

    /// What became of an invite in doubt that nobody may repeat.
    pub(super) fn was_added(
        &mut self,
        name: &AccountName,
        key: SendKey,
        result: Result<Membership, CallError>,
        events: &mut Vec<Event>,
    ) -> Result<(), RunError> {
        self.core.runtime.executing.remove(&key);
        if matches!(result, Err(CallError::KeyUnknown)) {
            self.key_unknown(name, events);
        }
        self.write(events)?;
        let now = self.core.clock.now();
        events.extend(outcome::of_membership(
            &self.core.observed,
            &key,
            result,
            now,
        ));
        Ok(())
    }

    /// What befell the account or its connection rather than the call, written down. False: the call itself was refused.
    fn trouble(
        &mut self,
        name: &AccountName,
        error: &CallError,
        class: CallClass,
        now: Timestamp,
        events: &mut Vec<Event>,
    ) -> bool {
        match error {
            CallError::Rpc(fault) => match react(fault) {
                Reaction::Wait { seconds } | Reaction::SlowMode { seconds } => {
                    events.push(outcome::flood(name, class, seconds, now));
                    true
                }
                Reaction::LoseAccount(state) => {
                    events.push(outcome::lost(name, state, &fault.message));
                    true
                }
                Reaction::InDoubt => {
                    self.link_lost(name, fault.to_string());
                    true
                }
                _ => false,
            },
            CallError::KeyUnknown => {
                self.key_unknown(name, events);
                true
            }
            CallError::InDoubt { .. }
            | CallError::NotSent { .. }
            | CallError::Session(_)
            | CallError::Locked(_) => {
                self.link_lost(name, error.to_string());
                true
            }
            _ => false,
        }
    }
}
