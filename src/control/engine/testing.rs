//! `tidings send-test`: every variant and step of a campaign, to the operator's own test recipients.
//!
//! It goes the way of every send (intent, bytes, outcome) under keys of its own: a test is no contact, counts for no
//! campaign, and collides with nothing.

use super::*;
use crate::model::TEST_LINEAGE;
use crate::plan::account_view;
use crate::spec::Peer;
use crate::text::{AccountFacts, CampaignFacts, Context, compose};

/// The link that stands for an invite link in a test.
const EXAMPLE_LINK: &str = "https://t.me/+example";

fn refused(message: String) -> Reply {
    Reply::Refused {
        message,
        usage: false,
    }
}

fn misused(message: String) -> Reply {
    Reply::Refused {
        message,
        usage: true,
    }
}

/// It is not ready yet: ask again.
fn waiting(what: &str) -> Reply {
    Reply::Document {
        body: serde_json::json!({
            "format_version": crate::status::FORMAT_VERSION,
            "waiting": what,
        }),
    }
}

impl Engine {
    /// Sends all texts of a campaign to one test recipient, or says what is waited for.
    pub(super) async fn send_test(
        &mut self,
        name: &str,
        to: &str,
        by: String,
    ) -> Result<Reply, RunError> {
        let Some(wanted) = self.core.desired.campaigns.get(name) else {
            return Ok(misused(format!("there is no campaign `{name}`")));
        };
        let line = wanted.lineage.clone();
        let digest = wanted.digest.clone();
        let Some(spec) = wanted.spec.clone() else {
            return Ok(refused(format!(
                "`{name}` is invalid; `tidings validate` says why"
            )));
        };
        if spec.variants.is_empty() {
            return Ok(refused(format!(
                "`{name}` says nothing: `kind: {}` without templates",
                spec.kind
            )));
        }
        let peer = match Peer::parse(to) {
            Ok(peer) => peer,
            Err(why) => return Ok(misused(format!("--to: {why}"))),
        };
        let allowed = &self.core.desired.engine.spec.test_recipients;
        if !allowed.iter().any(|known| known.key() == peer.key()) {
            let known: Vec<String> = allowed.iter().map(Peer::key).collect();
            return Ok(refused(if known.is_empty() {
                "tidings.yaml names nobody under `test_recipients`; add whom tests may go to, such as \"@me\"".to_owned()
            } else {
                format!(
                    "{to} is not among `test_recipients` of tidings.yaml ({})",
                    known.join(", ")
                )
            }));
        }
        let account = match self.account_for_tests(&spec.accounts) {
            Ok(account) => account,
            Err(reply) => return Ok(reply),
        };
        let oneself = peer.key() == "@me";
        let (person, hash) = if oneself {
            match self
                .core
                .observed
                .accounts
                .get(&account)
                .and_then(|known| known.person)
            {
                Some(person) => (person, 0),
                None => return Ok(waiting("who the account is")),
            }
        } else {
            match self.test_person(&account, &peer) {
                Ok(found) => found,
                Err(reply) => return Ok(reply),
            }
        };
        let mut known = self.core.people.get(person).unwrap_or_default();
        if !oneself {
            let silenced = self.core.observed.silences(person);
            if silenced {
                return Ok(refused(format!(
                    "{to} is suppressed or opted out: not even a test goes there"
                )));
            }
            if let Some(only) = &self.core.desired.engine.limits.only_to
                && !crate::people::is_named(person, Some(&known), only)
            {
                return Ok(refused(format!(
                    "`limits.only_to` of tidings.yaml does not name {to}"
                )));
            }
        }
        let texts: Vec<(u16, &crate::desired::Variant)> = spec
            .variants
            .iter()
            .map(|variant| (0, variant))
            .chain((1u16..).zip(&spec.follow_ups).flat_map(|(step, follow)| {
                follow.variants.iter().map(move |variant| (step, variant))
            }))
            .collect();
        let missing: Vec<Attachment> = texts
            .iter()
            .filter_map(|(_, variant)| variant.media.clone())
            .filter(|media| !self.media.contains_key(&(account.clone(), media.clone())))
            .collect();
        if !missing.is_empty() {
            let mut trouble = Vec::new();
            for media in missing {
                let under_way = self
                    .core
                    .runtime
                    .uploading
                    .contains(&(account.clone(), media.clone()));
                if !under_way {
                    self.upload(account.clone(), media, TEST_LINEAGE.into(), &mut trouble);
                }
            }
            if let Some(Event::Stalled { why, .. }) = trouble.first() {
                return Ok(refused(why.message.clone()));
            }
            return Ok(waiting("a file to be uploaded"));
        }
        let Some(Link::Ready {
            random_key,
            first_name,
            username,
        }) = self.core.runtime.links.get(&account)
        else {
            return Ok(waiting("the account"));
        };
        if oneself {
            // No source ever told of the account itself; it knows its own name.
            known.contact.first_name = known.contact.first_name.or_else(|| first_name.clone());
            known.contact.username = known.contact.username.or_else(|| username.clone());
        }
        let facts = CampaignFacts {
            name: spec.name.clone(),
            title: spec.spec.title.clone(),
            labels: spec.spec.labels.clone(),
            run: 1,
        };
        let sender = AccountFacts {
            name: &account,
            first_name: first_name.as_deref(),
            username: username.as_deref(),
        };
        let number = self.core.observed.tests + 1;
        let now = self.core.clock.now();
        let mut intents = Vec::new();
        let mut messages = Vec::new();
        for (place, (step, variant)) in (0u16..).zip(texts) {
            let context = Context {
                contact: &known.contact,
                campaign: &facts,
                account: Some(sender),
                now,
                zone: spec.schedule.zone,
                step: u32::from(step),
                invite_link: Some(EXAMPLE_LINK),
            };
            let notice = (step == 0)
                .then_some(self.core.desired.engine.opt_out.notice.as_ref())
                .flatten();
            let made = compose(&variant.template, notice, variant.media.is_some(), &context);
            let mut told = serde_json::json!({
                "place": place,
                "step": step,
                "variant": variant.name,
            });
            match made {
                Err(error) => told["error"] = error.to_string().into(),
                Ok(message) => {
                    let key = SendKey {
                        lineage: TEST_LINEAGE.into(),
                        person,
                        step: place,
                        run: number,
                    };
                    let media = variant
                        .media
                        .as_ref()
                        .and_then(|media| self.media.get(&(account.clone(), media.clone())));
                    let random_id = key.random_id(random_key);
                    let mut request = encode_send(
                        person,
                        hash,
                        message,
                        variant.link_preview,
                        random_id,
                        media,
                    );
                    if oneself {
                        request = crate::telegram::to_oneself(&request).unwrap_or(request);
                    }
                    intents.push(Intent {
                        key,
                        account: account.clone(),
                        random_id,
                        run: number,
                        variant: variant.name.clone(),
                        digest: digest.clone().into(),
                        attested: false,
                        request: request.into(),
                        next_allowed_at: now,
                    });
                }
            }
            messages.push(told);
        }
        let after = self.core.observed.seq;
        let tested = Event::Tested {
            campaign: line,
            number,
            account: account.clone(),
            person,
            by,
        };
        self.core.record(vec![tested], Durability::Now)?;
        self.send(intents).await?;
        Ok(Reply::Document {
            body: serde_json::json!({
                "format_version": crate::status::FORMAT_VERSION,
                "campaign": name,
                "test": number,
                "account": account,
                "to": to,
                "after": after,
                "messages": messages,
            }),
        })
    }

    /// An account of the campaign that may send now.
    fn account_for_tests(&self, accounts: &[AccountName]) -> Result<AccountName, Reply> {
        let mut comes = false;
        let mut why = Vec::new();
        for name in accounts {
            let view = account_view(&self.core.inputs(), name);
            match self.core.runtime.links.get(name) {
                Some(Link::Ready { .. }) if view.state == AccountState::Ready => {
                    return Ok(name.clone());
                }
                Some(Link::Connecting) | None => comes = true,
                _ => {}
            }
            why.push(format!("{name} is {}: {}", view.state, view.message));
        }
        Err(if comes {
            waiting("an account to connect")
        } else {
            refused(format!(
                "no account of the campaign can send now ({})",
                why.join("; ")
            ))
        })
    }

    /// Who a test recipient is, and how the account addresses him.
    fn test_person(
        &mut self,
        account: &AccountName,
        peer: &Peer,
    ) -> Result<(PersonId, i64), Reply> {
        let text = peer.key();
        let reference = Reference::parse(&text).map_err(|error| misused(error.to_string()))?;
        let stand_in = reference.person();
        let person = self.core.observed.persons.resolve(stand_in);
        if person.is_user()
            && let Some(hash) = self.hash_of(account, person)
        {
            return Ok((person, hash));
        }
        if person.is_user() && matches!(reference, Reference::Id(_)) {
            return Err(refused(format!(
                "{account} has not met {text}; name him by @username, or write to the account from there first"
            )));
        }
        let nobody = self
            .core
            .observed
            .handle(stand_in)
            .is_some_and(|handle| self.core.observed.nobody.contains(handle.0));
        if nobody {
            return Err(refused(format!("nobody can be addressed as {text}")));
        }
        if let Some(task) = self.tasks.get(account)
            && !self.core.runtime.resolving.contains_key(account)
        {
            self.core
                .runtime
                .resolving
                .insert(account.clone(), stand_in);
            task.order(Order::Resolve {
                person: stand_in,
                reference,
                campaign: TEST_LINEAGE.into(),
            });
        }
        Err(waiting("the recipient to be looked up"))
    }
}
