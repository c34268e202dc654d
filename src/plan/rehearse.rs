//! What would become of one made-up person: the filters and the texts, with no state and no network. `tidings test` and
//! `tidings render` ask here, so that both say what the daemon would do.
//!
//! # Assumptions
//! - Telegram was asked about him: what his contact lacks, he lacks.
//! - He was found by the campaign's sources, by every source of `filters.in` and by none of `filters.exclude`, unless
//!   `found_in` says otherwise; a `list` is read as it stands.
//! - `limits.only_to` is not asked: it is about where the workspace runs, not about what the spec says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Inputs, Runtime, audience};
use crate::desired::{
    Desired, DesiredCampaign, ResolvedCampaign, ResolvedSource, SourceKind, SourceRole, Variant,
};
use crate::model::{
    Contact, Event, Exclusion, Formatted, Given, Intent, LastSeen, Lineage, LookupEnd, Person,
    PersonId, Recorded, Reference, SendKey, Timestamp,
};
use crate::observed::{Observed, fold};
use crate::people::is_named;
use crate::text::{AccountFacts, CampaignFacts, ComposeError, Context, compose};

/// Stands for the id of somebody who has none; Telegram's own service account, which is in no audience.
const SOMEBODY: i64 = 777_000;
/// Stands for whichever campaign wrote to him before.
const ANOTHER: &str = "another campaign";
/// Stands for the link of an invite.
const INVITE_LINK: &str = "https://t.me/+AbCdEfGhIjKlMnOp";

/// A made-up person.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Actor {
    /// What templates and filters see.
    pub contact: Contact,
    /// A bot.
    pub bot: bool,
    /// A deleted account.
    pub deleted: bool,
    /// Admin of a place that is read.
    pub admin: bool,
    /// How long ago he was seen; `None`: he hides it.
    pub seen: Option<Duration>,
    /// How long ago a campaign wrote to him; never where absent.
    pub contacted: Option<Duration>,
    /// The sources of `filters.in` and `filters.exclude` that name him, as the spec writes them.
    pub found_in: Option<Vec<String>>,
}

impl Actor {
    fn id(&self) -> PersonId {
        PersonId(self.contact.id.filter(|id| *id > 0).unwrap_or(SOMEBODY))
    }

    fn person(&self, now: Timestamp) -> Person {
        let mut references = Vec::new();
        if let Some(name) = &self.contact.username {
            references.push(Reference::Username(name.to_lowercase()));
        }
        if let Some(phone) = &self.contact.phone {
            references.push(Reference::Phone(phone.clone()));
        }
        Person {
            contact: self.contact.clone(),
            bot: self.bot,
            deleted: self.deleted,
            admin: self.admin,
            given: Given::default(),
            last_seen: self
                .seen
                .map_or(LastSeen::Hidden, |ago| LastSeen::At(before(now, ago))),
            read_at: now,
            // Telegram was asked about him.
            hashes: BTreeMap::from([("rehearsal".into(), 1)]),
            references,
            origins: Vec::new(),
        }
    }

    /// Whether a source of `filters.in` or `filters.exclude` names him.
    fn is_found_by(
        &self,
        campaign: &DesiredCampaign,
        source: &ResolvedSource,
        now: Timestamp,
    ) -> bool {
        if let Some(named) = &self.found_in {
            return named.iter().any(|name| names(campaign, source, name));
        }
        match &source.what {
            SourceKind::List { people } => is_named(self.id(), Some(&self.person(now)), people),
            _ => source.role == SourceRole::In,
        }
    }
}

/// Whether this is how a spec names the source.
fn names(campaign: &DesiredCampaign, source: &ResolvedSource, name: &str) -> bool {
    if name == source.what.type_name() || name == source.label {
        return true;
    }
    match &source.what {
        SourceKind::File { path, .. } => {
            name == path
                || crate::spec::files::resolve(&campaign.file, name)
                    .is_ok_and(|resolved| resolved == *path)
        }
        SourceKind::Audience { campaign } => name == campaign,
        other => other.place().is_some_and(|place| {
            place.to_string().eq_ignore_ascii_case(name)
                || Reference::parse(name).is_ok_and(|named| named == *place)
        }),
    }
}

fn before(now: Timestamp, ago: Duration) -> Timestamp {
    Timestamp(now.0 - i64::try_from(ago.as_millis()).unwrap_or(i64::MAX / 4))
}

/// The reason that keeps this person out of the campaign's audience; `None`: he is in it. `None` for a campaign too that
/// is not there or invalid.
pub fn exclusion(
    desired: &Desired,
    name: &str,
    actor: &Actor,
    now: Timestamp,
) -> Option<Exclusion> {
    let campaign = desired.campaigns.get(name)?;
    let spec = campaign.spec.as_deref()?;
    let mut desired = Desired {
        engine: desired.engine.clone(),
        campaigns: BTreeMap::from([(name.to_owned(), campaign.clone())]),
        ..Desired::default()
    };
    desired.engine.limits.only_to = None;
    let mut observed = Observed::default();
    for (at, event) in story(campaign, spec, actor, now) {
        let seq = observed.seq + 1;
        fold(&mut observed, seq, &Recorded { at, event });
    }
    let people = BTreeMap::from([(actor.id(), actor.person(now))]);
    let runtime = Runtime::default();
    let inputs = Inputs {
        desired: &desired,
        observed: &observed,
        people: &people,
        runtime: &runtime,
        now,
        report_only: true,
    };
    audience::judge(&inputs, &campaign.lineage)
        .into_iter()
        .find_map(|event| match event {
            Event::Judged { excluded, .. } => excluded
                .into_iter()
                .find(|(_, people)| people.contains(&actor.id()))
                .map(|(reason, _)| reason),
            _ => None,
        })
}

/// How it came to be that he stands before this campaign's filters.
fn story(
    campaign: &DesiredCampaign,
    spec: &ResolvedCampaign,
    actor: &Actor,
    now: Timestamp,
) -> Vec<(Timestamp, Event)> {
    let mut events = Vec::new();
    let seen = |name: &str, line: &Lineage| Event::SpecSeen {
        campaign: line.clone(),
        name: name.to_owned(),
        file: campaign.file.clone(),
        generation: 1,
        digest: campaign.digest.clone(),
        error: None,
    };
    if let Some(ago) = actor.contacted {
        let at = before(now, ago);
        let by = &spec.filters.not_contacted_by;
        let writers: Vec<&str> = if by.is_empty() {
            vec![ANOTHER]
        } else {
            by.iter()
                .map(String::as_str)
                .filter(|writer| *writer != campaign.name)
                .collect()
        };
        for writer in writers {
            let line = Lineage::from(writer);
            events.push((at, seen(writer, &line)));
            events.extend(message(&line, actor.id()).map(|event| (at, event)));
        }
    }
    let line = &campaign.lineage;
    events.push((now, seen(&campaign.name, line)));
    events.push((
        now,
        Event::RunOpened {
            campaign: line.clone(),
            run: 1,
        },
    ));
    for source in &spec.sources {
        let found = source.role == SourceRole::Include || actor.is_found_by(campaign, source, now);
        let people = if found { vec![actor.id()] } else { Vec::new() };
        events.push((
            now,
            Event::LookupPage {
                campaign: line.clone(),
                source: source.id,
                account: None,
                people,
            },
        ));
        let end = LookupEnd {
            complete: true,
            admin: true,
            ..LookupEnd::default()
        };
        events.push((
            now,
            Event::LookupEnded {
                campaign: line.clone(),
                source: source.id,
                account: None,
                end,
            },
        ));
    }
    events
}

/// A message of another campaign that arrived.
fn message(line: &Lineage, person: PersonId) -> [Event; 3] {
    let key = SendKey {
        lineage: line.clone(),
        person,
        step: 0,
        run: 0,
    };
    [
        Event::Judged {
            campaign: line.clone(),
            included: vec![person],
            excluded: Vec::new(),
            dropped: Vec::new(),
            finished: None,
        },
        Event::Intent(Arc::new(Intent {
            key: key.clone(),
            account: "rehearsal".into(),
            random_id: 1,
            run: 1,
            variant: "".into(),
            digest: "".into(),
            attested: false,
            request: Arc::default(),
            next_allowed_at: Timestamp::default(),
        })),
        Event::Sent {
            key,
            message_id: 1,
            earlier: false,
            next_allowed_at: Timestamp::default(),
        },
    ]
}

/// Who sends, where nobody is connected: the first account, under its own name.
pub fn stand_in(spec: &ResolvedCampaign) -> Option<AccountFacts<'_>> {
    spec.accounts.first().map(|name| AccountFacts {
        name,
        first_name: Some(name),
        username: None,
    })
}

/// What templates know of a campaign in its first run.
pub fn facts(spec: &ResolvedCampaign) -> CampaignFacts {
    CampaignFacts {
        name: spec.name.clone(),
        title: spec.spec.title.clone(),
        labels: spec.spec.labels.clone(),
        run: 1,
    }
}

/// The variants of one step; 0 is the first message. None where the spec has no such step.
pub fn variants(spec: &ResolvedCampaign, step: u16) -> &[Variant] {
    match usize::from(step).checked_sub(1) {
        None => &spec.variants,
        Some(index) => spec
            .follow_ups
            .get(index)
            .map_or(&[], |step| step.variants.as_slice()),
    }
}

/// The name of the variant of a step that a person gets: the same for ever.
pub fn chosen<'a>(
    spec: &'a ResolvedCampaign,
    line: &Lineage,
    person: PersonId,
    step: u16,
) -> Option<&'a str> {
    let key = SendKey {
        lineage: line.clone(),
        person,
        step,
        run: 0,
    };
    super::message::choose(variants(spec, step), &key).map(|variant| &*variant.name)
}

/// The text that a person would get by one variant of one step; 0 is the first message.
///
/// # Errors
/// Why he would get none.
pub fn text(
    desired: &Desired,
    spec: &ResolvedCampaign,
    step: u16,
    variant: &Variant,
    contact: &Contact,
    account: Option<AccountFacts<'_>>,
    now: Timestamp,
) -> Result<Formatted, ComposeError> {
    let facts = facts(spec);
    let context = Context {
        contact,
        campaign: &facts,
        account,
        now,
        zone: spec.schedule.zone,
        step: u32::from(step),
        invite_link: (spec.kind == crate::spec::Kind::Invite).then_some(INVITE_LINK),
    };
    // The notice goes with first contacts.
    let notice = desired.engine.opt_out.notice.as_ref().filter(|_| step == 0);
    compose(&variant.template, notice, variant.media.is_some(), &context)
}
