//! Who gets an answer, in whose role, when, and what the model is asked.
//!
//! # Guarantees
//! - A message is answered at most once: the answer's key is (account, person, the newest message that it answers).
//! - An answer that was drafted is sent as it was drafted, or by an operator's word not at all.
//! - What people wrote goes to the model as messages of theirs alone; the role and its rules are the system's.
//! - Whoever gets no answer although a role is his is flagged for a human.

use std::fmt::Write as _;
use std::time::Duration;

use super::accounts::{Availability, may_answer};
use super::question::{RULES, asked_since, bounded, dialog, facts_of, shared};
pub use super::question::{Said, tokens_of};
use super::{Action, Gate, Inputs, Link, Plan, SendAction};
use crate::desired::{DesiredCampaign, ResolvedCampaign, ResolvedRole};
use crate::model::{
    AccountName, DraftHold, Event, Formatted, Line, LineKey, LineKind, Lineage, NeedsWhy, Person,
    PersonId, RandomKey, Reference, SendKey, Timestamp, account_of_role, account_role, answer_key,
    aside_of, operator_key, utf16_len,
};
use crate::observed::{Handle, Talk, Unanswered};
use crate::people::is_named;
use crate::text::{
    AccountFacts, CampaignFacts, Context, MAX_TEXT_UNITS, denies_machine, forbidden_host, said_word,
};
use crate::time::{Day, Zone};

/// No answer is drafted sooner after his last message: what he writes in one breath is answered together.
const BREATH: Duration = Duration::from_secs(1);
/// Somebody who never stops writing is answered after this, and the longest delay, all the same.
const PATIENCE: Duration = Duration::from_secs(60);
/// Tries to draft an answer: some 30 s of back-off, after which a human is told.
const TRIES: u32 = 6;
/// A server that asks for a longer wait is no server for a conversation.
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// Answers drafted at once: enough for a crowd, few enough for any server's limit.
const AT_ONCE: usize = 16;
/// Tokens of one answer at most: 4,096 characters are some 1,000 to 2,000, and some models think aloud before.
const ANSWER_TOKENS: u64 = 4_000;
/// And at least: a short sentence.
const LEAST_ANSWER: u64 = 64;
/// Why nothing can be sent to somebody whom Telegram named by his id alone.
const UNKNOWN: &str = "Telegram did not say how the account can address this person.";

/// What the model is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftAction {
    /// Who will answer.
    pub account: AccountName,
    /// Whom.
    pub person: PersonId,
    /// His newest message.
    pub message_id: i32,
    /// In whose role.
    pub role: Lineage,
    /// By which model.
    pub model: String,
    /// The role's prompt, the rules, and what may be known of the person.
    pub system: String,
    /// The conversation so far, bounded.
    pub said: Vec<Said>,
    /// Tokens of the answer at most.
    pub max_tokens: u64,
    /// What it may cost in all, roughly: held back from the day's limit until the answer is there.
    pub reserve: u64,
    /// Tries before this one whose end is known.
    pub round: u32,
}

/// Whose role answers what a person writes to an account now; nobody's where absent. The latest campaign that wrote to
/// him comes first, even where it may not answer now: then a human is told.
pub fn role_of(inputs: &Inputs<'_>, account: &AccountName, person: PersonId) -> Option<Lineage> {
    let observed = inputs.observed;
    let handle = observed.handle(person);
    let under_way = observed
        .in_flight
        .values()
        .filter(|flight| flight.intent.key.person == person && flight.intent.account == *account)
        .filter(|flight| !crate::model::is_aside(&flight.intent.key.lineage))
        .max_by_key(|flight| flight.seq)
        .map(|flight| &flight.intent.key.lineage);
    let last = handle
        .and_then(|handle| observed.contacted.shape(&handle.0))
        .and_then(|contacted| contacted.last_campaign.as_ref());
    // Where the latest wrote from other accounts only, the latest that wrote from this one.
    let elsewhere = |line: &&Lineage| matches!(wanted(inputs, line), Some((_, Some(spec))) if !spec.accounts.contains(account));
    let here = || {
        let by = observed.account_index(account)?;
        let wrote = |line: &Lineage| {
            let got = observed.campaigns.get(line)?.recipients.get(&handle?.0)?;
            (got.account == Some(by) && got.sent_at > 0).then_some(got.sent_at)
        };
        let campaigns = inputs.desired.campaigns.values();
        campaigns
            .filter_map(|campaign| Some((wrote(&campaign.lineage)?, &campaign.lineage)))
            .max_by_key(|(at, _)| *at)
            .map(|(_, line)| line)
    };
    let last = match under_way.or(last) {
        Some(line) if elsewhere(&line) => here(),
        other => other,
    };
    if let Some(line) = last {
        match wanted(inputs, line) {
            Some((_, Some(spec))) => {
                if spec.ai_role.is_some() && spec.accounts.contains(account) {
                    return Some(line.clone());
                }
            }
            // Invalid or gone: nobody can say whether it would answer.
            Some((_, None)) | None => return Some(line.clone()),
        }
    }
    // Whoever is told of what happens here is no customer who writes in.
    let is_operator = inputs.desired.engine.spec.notify.iter().any(|entry| {
        let told = entry.telegram.as_ref();
        told.is_some_and(|peer| observed.persons.resolve(Reference::from(peer).person()) == person)
    });
    if is_operator {
        return None;
    }
    inputs
        .desired
        .engine
        .accounts
        .get(account)
        .and_then(|settings| settings.ai_role.as_ref())
        .map(|_| account_role(account))
}

fn wanted<'a>(
    inputs: &Inputs<'a>,
    line: &str,
) -> Option<(&'a DesiredCampaign, Option<&'a ResolvedCampaign>)> {
    inputs
        .desired
        .campaigns
        .values()
        .find(|campaign| campaign.lineage.as_ref() == line)
        .map(|campaign| (campaign, campaign.spec.as_deref()))
}

/// A role and what it may do now.
enum May<'a> {
    /// It may answer.
    Now {
        role: &'a ResolvedRole,
        campaign: Option<&'a ResolvedCampaign>,
    },
    /// Later, where it is known when.
    Later(Option<Timestamp>),
    /// Nothing leaves in its name.
    Held(String),
    /// There is no such role any more.
    Gone,
}

/// Why nothing is said in a role's name for now, where that is so: its campaign is paused, held, invalid, over or gone.
pub fn held(inputs: &Inputs<'_>, plan: &Plan, role: &Lineage) -> Option<String> {
    match may(inputs, plan, role) {
        May::Held(why) => Some(why),
        May::Now { .. } | May::Later(_) | May::Gone => None,
    }
}

fn may<'a>(inputs: &Inputs<'a>, plan: &Plan, line: &Lineage) -> May<'a> {
    if account_of_role(line).is_some() {
        // It belongs to no campaign; what holds all of them holds it too.
        if let Some(hold) = &inputs.observed.suspended {
            return May::Held(super::gate::suspended(hold, "--all"));
        }
        return match role_named(inputs, line) {
            Some(role) => May::Now {
                role,
                campaign: None,
            },
            None => May::Gone,
        };
    }
    let Some((_, spec)) = wanted(inputs, line) else {
        let why = inputs
            .desired
            .folder_error
            .clone()
            .unwrap_or_else(|| "The campaign's file is gone.".to_owned());
        return May::Held(why);
    };
    let Some(spec) = spec else {
        return May::Held("The campaign's file is invalid.".to_owned());
    };
    let Some(role) = &spec.ai_role else {
        return May::Gone;
    };
    match plan.report.campaigns.get(line).map(|view| &view.gate) {
        None => return May::Later(None),
        Some(Gate::Blocked {
            condition: "AwaitingApproval" | "Canary" | "SourceFailed",
            ..
        }) => {}
        Some(Gate::Blocked { message, .. }) => return May::Held(message.clone()),
        Some(Gate::Waits {
            reason: crate::model::Waiting::NotStarted,
            until,
            ..
        }) => return May::Later(*until),
        Some(Gate::Open | Gate::Done { .. } | Gate::Waits { .. }) => {}
    }
    match spec
        .schedule
        .windows
        .next_open(inputs.now, spec.schedule.zone)
    {
        Some(open) if open <= inputs.now => May::Now {
            role,
            campaign: Some(spec),
        },
        Some(open) => May::Later(Some(open)),
        None => May::Held("No window of `schedule.windows` ever opens.".to_owned()),
    }
}

/// Whether a send outside of campaigns that may have arrived may go out again now.
pub(super) fn may_go_again(inputs: &Inputs<'_>, plan: &Plan, key: &SendKey) -> bool {
    let Some(crate::model::Aside::Answer {
        account,
        message_id,
    }) = aside_of(key)
    else {
        return !inputs.runtime.draining;
    };
    let role = inputs
        .observed
        .handle(key.person)
        .zip(inputs.observed.account_index(account))
        .and_then(|(who, by)| inputs.observed.talks.get(who, by))
        .and_then(|talk| talk.draft.as_ref())
        .filter(|draft| draft.message_id == message_id)
        .map(|draft| draft.role.clone());
    match role {
        Some(role) => matches!(may(inputs, plan, &role), May::Now { .. }),
        None => inputs.observed.suspended.is_none(),
    }
}

impl DraftAction {
    /// The same for a repetition of this very question after a try whose end nobody knows, and for nothing else.
    pub fn idempotency_key(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut part = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        part(self.account.as_bytes());
        part(&self.person.0.to_le_bytes());
        part(&self.message_id.to_le_bytes());
        part(&self.round.to_le_bytes());
        part(&self.max_tokens.to_le_bytes());
        part(self.model.as_bytes());
        part(self.system.as_bytes());
        for said in &self.said {
            part(&[u8::from(said.by_person)]);
            part(said.text.as_bytes());
        }
        format!("tidings-{}", &hasher.finalize().to_hex()[..32])
    }
}

/// Whether something that he wrote waits to be read, and a role of the AI is there to read it: there may be a refusal in
/// it, as nobody knows but the model or a human.
pub(super) fn is_unread(inputs: &Inputs<'_>, who: Handle) -> bool {
    let talks = &inputs.observed.talks;
    !talks.is_human(who)
        && talks.of(who).any(|(_, talk)| {
            let open = talk.unanswered.as_ref();
            open.is_some_and(|open| has_role(inputs, &open.role))
        })
}

/// Whether there is such a role; of a file that is invalid nobody knows, and it is believed.
fn has_role(inputs: &Inputs<'_>, line: &Lineage) -> bool {
    match account_of_role(line) {
        Some(_) => role_named(inputs, line).is_some(),
        None => wanted(inputs, line)
            .is_some_and(|(_, spec)| spec.is_none_or(|spec| spec.ai_role.is_some())),
    }
}

/// One conversation in which there is something to do.
struct Turn<'a> {
    account: &'a AccountName,
    person: PersonId,
    who: Handle,
    talk: &'a Talk,
    random_key: RandomKey,
    facts: AccountFacts<'a>,
}

/// Operators' messages, answers that are drafted, and those that are to be drafted.
pub(super) fn answers(inputs: &Inputs<'_>, plan: &mut Plan) {
    if inputs.runtime.draining || inputs.report_only {
        return;
    }
    let observed = inputs.observed;
    let mut drafting = inputs.runtime.drafting.len();
    for (number, by) in &observed.talks.due {
        let who = Handle(*number);
        let (Some(talk), Some(account), Some(person)) = (
            observed.talks.get(who, *by),
            observed.account_name(*by),
            observed.persons.id(who),
        ) else {
            continue;
        };
        if observed.own.contains(*number) {
            continue;
        }
        match may_answer(inputs, account) {
            Availability::Now { .. } => {}
            Availability::Later { until, .. } => {
                if let Some(until) = until {
                    plan.wake(until, inputs.now);
                }
                continue;
            }
        }
        if let Some(until) = observed.slowed.get(number)
            && *until > inputs.now
        {
            plan.wake(*until, inputs.now);
            continue;
        }
        let Some(Link::Ready {
            random_key,
            first_name,
            username,
        }) = inputs.runtime.links.get(account)
        else {
            continue;
        };
        let turn = Turn {
            account,
            person,
            who,
            talk,
            random_key: *random_key,
            facts: AccountFacts {
                name: account,
                first_name: first_name.as_deref(),
                username: username.as_deref(),
            },
        };
        turn.operator(inputs, plan);
        if observed.is_silenced(who) || observed.talks.is_human(who) || talk.needs.is_some() {
            continue;
        }
        // A human is for the person, in whichever dialog he asked for one.
        if let Some(other) = observed.talks.handed_off(who) {
            turn.leave_to_human(plan, observed.account_name(other));
            continue;
        }
        if let Some(draft) = &talk.draft {
            if draft.hold.is_none() && !draft.sending {
                turn.send(inputs, plan, draft);
            }
        } else if let Some(open) = &talk.unanswered {
            turn.draft(inputs, plan, open, &mut drafting);
        }
    }
}

impl Turn<'_> {
    /// A human must look.
    fn flag(&self, plan: &mut Plan, message_id: i32, why: NeedsWhy, detail: impl Into<String>) {
        plan.actions.push(Action::Record(Event::NeedsHuman {
            account: self.account.clone(),
            person: self.person,
            message_id,
            why,
            detail: detail.into(),
        }));
    }

    /// What waits for an answer here is for the human whom he asked for in another dialog.
    fn leave_to_human(&self, plan: &mut Plan, other: Option<&AccountName>) {
        let waiting = match (&self.talk.draft, &self.talk.unanswered) {
            (Some(draft), _) if draft.sending => None,
            (Some(draft), _) => Some(draft.message_id),
            (None, open) => open.as_ref().map(|open| open.last),
        };
        if let Some(message_id) = waiting {
            let other = other.map_or("another account", |name| name.as_ref());
            let detail = format!("He asked {other} for a human.");
            self.flag(plan, message_id, NeedsWhy::Handoff, detail);
        }
    }

    fn is_allowed(&self, inputs: &Inputs<'_>, known: Option<&Person>) -> bool {
        inputs
            .desired
            .engine
            .limits
            .only_to
            .as_ref()
            .is_none_or(|only| is_named(self.person, known, only))
    }

    fn line(&self, inputs: &Inputs<'_>, kind: LineKind, number: u32) -> Option<Line> {
        let account = inputs.observed.account_index(self.account)?;
        let wanted = LineKey {
            account,
            kind,
            number,
        };
        inputs
            .people
            .conversation(self.person)
            .into_iter()
            .find(|(key, _)| *key == wanted)
            .map(|(_, line)| line)
    }

    fn action(&self, key: SendKey, variant: &str, text: String) -> Action {
        Action::Send(Box::new(SendAction {
            random_id: key.random_id(&self.random_key),
            key,
            account: self.account.clone(),
            run: 0,
            variant: variant.into(),
            digest: "".into(),
            message: Formatted {
                text,
                entities: Vec::new(),
            },
            link_preview: false,
            media: None,
            gap: Duration::ZERO,
            attested: false,
        }))
    }

    /// What an operator wrote himself: in his own name, so that no window and no hold keeps it.
    fn operator(&self, inputs: &Inputs<'_>, plan: &mut Plan) {
        let Some(message) = self.talk.operator.front().filter(|m| !m.sending) else {
            return;
        };
        let known = inputs.people.get(self.person);
        let reached = known
            .as_ref()
            .is_some_and(|known| known.hashes.contains_key(self.account));
        if inputs.observed.is_silenced(self.who)
            || !self.is_allowed(inputs, known.as_ref())
            || !reached
        {
            return;
        }
        if let Some(line) = self.line(inputs, LineKind::Operator, message.number) {
            let key = operator_key(self.account, self.person, message.number);
            plan.actions.push(self.action(key, "operator", line.text));
        }
    }

    /// Sends a draft as it was drafted.
    fn send(&self, inputs: &Inputs<'_>, plan: &mut Plan, draft: &crate::observed::Draft) {
        let campaign = match may(inputs, plan, &draft.role) {
            May::Now { campaign, .. } => campaign,
            May::Later(until) => {
                if let Some(until) = until {
                    plan.wake(until, inputs.now);
                }
                return;
            }
            May::Held(why) => {
                return self.flag(plan, draft.message_id, NeedsWhy::Held, why);
            }
            May::Gone => {
                let why = "The role that drafted the answer is gone.";
                return self.flag(plan, draft.message_id, NeedsWhy::Held, why);
            }
        };
        let known = inputs.people.get(self.person);
        if !known
            .as_ref()
            .is_some_and(|known| known.hashes.contains_key(self.account))
        {
            return self.flag(plan, draft.message_id, NeedsWhy::NotSent, UNKNOWN);
        }
        if !self.is_allowed(inputs, known.as_ref()) {
            let why = "`limits.only_to` does not name this person.";
            return self.flag(plan, draft.message_id, NeedsWhy::Held, why);
        }
        let key = answer_key(self.account, self.person, draft.message_id);
        if let Some(range) = campaign.and_then(|spec| spec.delays.typing) {
            let until = draft.at + super::message::draw(&key, "typing", range);
            if until > inputs.now {
                plan.wake(until, inputs.now);
                let shown = (self.account.clone(), self.person);
                if inputs
                    .runtime
                    .answering
                    .get(&shown)
                    .is_none_or(|at| *at < until)
                {
                    plan.actions.push(Action::ShowTyping {
                        account: shown.0,
                        person: shown.1,
                        until,
                    });
                }
                return;
            }
        }
        let number = draft.message_id.unsigned_abs();
        match self.line(inputs, LineKind::Draft, number) {
            Some(line) => plan.actions.push(self.action(key, "ai", line.text)),
            None => self.flag(
                plan,
                draft.message_id,
                NeedsWhy::Failed,
                "The answer's text is gone.",
            ),
        }
    }

    /// Has an answer drafted, once it is time.
    fn draft(&self, inputs: &Inputs<'_>, plan: &mut Plan, open: &Unanswered, drafting: &mut usize) {
        let now = inputs.now;
        let place = (self.account.clone(), self.person);
        if inputs.runtime.drafting.contains_key(&place) {
            return;
        }
        let (role, campaign) = match may(inputs, plan, &open.role) {
            May::Now { role, campaign } => (role, campaign),
            May::Later(until) => {
                if let Some(until) = until {
                    plan.wake(until, now);
                }
                return;
            }
            May::Held(why) => return self.flag(plan, open.last, NeedsWhy::Held, why),
            May::Gone => {
                let why = "The role that was to answer is gone.";
                return self.flag(plan, open.last, NeedsWhy::Held, why);
            }
        };
        let due = due_at(self, open, role).max(open.retry_at);
        if open.failures >= TRIES || (open.failures > 0 && due.since(now) > LONGEST_WAIT) {
            let detail = format!("No answer could be drafted: {}", open.detail);
            return self.flag(plan, open.last, NeedsWhy::Failed, detail);
        }
        let known = inputs.people.get(self.person).unwrap_or_default();
        if !known.hashes.contains_key(self.account) {
            return self.flag(plan, open.last, NeedsWhy::NotSent, UNKNOWN);
        }
        if !self.is_allowed(inputs, Some(&known)) {
            let why = "`limits.only_to` does not name this person.";
            return self.flag(plan, open.last, NeedsWhy::Held, why);
        }
        if due > now {
            plan.wake(due, now);
            return;
        }
        let lines = dialog(inputs, self.account, self.person);
        let asked = asked_since(&lines, open.first);
        // A word that an operator has seen fetches nobody again.
        let unseen = asked_since(&lines, open.first.max(open.given_back.saturating_add(1)));
        if let Some(word) = unseen
            .iter()
            .find_map(|text| said_word(text, &role.handoff))
        {
            let detail = format!("He said the handoff word `{word}`.");
            return self.flag(plan, open.last, NeedsWhy::Handoff, detail);
        }
        if asked.iter().all(|text| text.trim().is_empty()) {
            let detail = "He sent no text (a picture, a sticker, a voice message).";
            return self.flag(plan, open.last, NeedsWhy::NoText, detail);
        }
        let given = inputs.observed.talks.replies(self.who, &open.role);
        if given >= role.max_replies {
            let detail = format!("He got {given} answers, as many as `max_replies` allows.");
            return self.flag(plan, open.last, NeedsWhy::MaxReplies, detail);
        }
        if inputs.desired.engine.ai.lacks_key() {
            let detail = "There is no key for the AI server: set OPENAI_API_KEY, or `ai.api_key` of tidings.yaml.";
            return self.flag(plan, open.last, NeedsWhy::Failed, detail);
        }
        let system = match self.system(inputs, role, campaign, &open.role, &known) {
            Ok(system) => system,
            Err(problem) => {
                let detail = format!("The prompt cannot be made for this person: {problem}");
                return self.flag(plan, open.last, NeedsWhy::Failed, detail);
            }
        };
        let said = bounded(&lines);
        let asked_tokens =
            tokens_of(&system) + said.iter().map(|s| tokens_of(&s.text) + 4).sum::<u64>();
        let used = used_today(inputs, &open.role, campaign);
        let held: u64 = inputs
            .runtime
            .drafting
            .values()
            .filter(|(line, _)| *line == open.role)
            .map(|(_, tokens)| *tokens)
            .sum();
        // A question that cannot be answered within the limit is not asked.
        let least = asked_tokens + LEAST_ANSWER;
        if used >= role.max_tokens_per_day
            || (held == 0 && used > 0 && used + least > role.max_tokens_per_day)
        {
            let detail = format!(
                "{used} tokens were used today, and the next answer takes {least} at least: \
                 `max_tokens_per_day: {}` allows no more.",
                role.max_tokens_per_day
            );
            return self.flag(plan, open.last, NeedsWhy::Tokens, detail);
        }
        if *drafting >= AT_ONCE
            || used.saturating_add(held) >= role.max_tokens_per_day
            || (held > 0 && used + held + least > role.max_tokens_per_day)
        {
            // Whatever is under way reports, and is planned after then.
            return;
        }
        *drafting += 1;
        let left = role.max_tokens_per_day - used - held;
        let max_tokens = left
            .saturating_sub(asked_tokens)
            .clamp(LEAST_ANSWER, ANSWER_TOKENS);
        plan.actions.push(Action::Draft(Box::new(DraftAction {
            account: place.0,
            person: place.1,
            message_id: open.last,
            role: open.role.clone(),
            model: role.model.clone(),
            system,
            said,
            max_tokens,
            reserve: asked_tokens + max_tokens / 2,
            round: open.round(),
        })));
    }

    fn system(
        &self,
        inputs: &Inputs<'_>,
        role: &ResolvedRole,
        campaign: Option<&ResolvedCampaign>,
        line: &Lineage,
        known: &Person,
    ) -> Result<String, crate::text::ComposeError> {
        let contact = shared(&known.contact, &role.share);
        let facts = match (campaign, inputs.observed.campaigns.get(line)) {
            (Some(spec), Some(campaign)) => super::message::facts(spec, campaign),
            _ => CampaignFacts::default(),
        };
        let prompt = role.prompt.render(&Context {
            contact: &contact,
            campaign: &facts,
            account: Some(self.facts),
            now: inputs.now,
            zone: campaign.map_or(Zone::UTC, |spec| spec.schedule.zone),
            step: 0,
            invite_link: None,
        })?;
        let mut system = format!("{}\n\n{RULES}", prompt.trim());
        let facts = facts_of(&contact, &role.share);
        if !facts.is_empty() {
            let _ = write!(system, "\nKnown of the person, as data: {facts}");
        }
        Ok(system)
    }
}

/// When an answer is due: the delay counts from his newest message, so that several are answered together.
fn due_at(turn: &Turn<'_>, open: &Unanswered, role: &ResolvedRole) -> Timestamp {
    let key = answer_key(turn.account, turn.person, open.last);
    let delay = super::message::draw(&key, "answer", role.delay).max(BREATH);
    (open.last_at + delay).min(open.since + role.delay.1.max(BREATH) + PATIENCE)
}

/// Tokens of a role since its day began.
fn used_today(inputs: &Inputs<'_>, role: &Lineage, campaign: Option<&ResolvedCampaign>) -> u64 {
    let zone = match (campaign, account_of_role(role)) {
        (Some(spec), _) => spec.schedule.zone,
        (None, Some(account)) => inputs
            .desired
            .engine
            .accounts
            .get(account)
            .map_or(Zone::UTC, |settings| settings.zone),
        (None, None) => Zone::UTC,
    };
    let day = Day::of(inputs.now, zone);
    inputs
        .observed
        .talks
        .spend
        .get(role)
        .map_or(0, |spend| spend.since(day.start()))
}

/// The word of a role's `handoff` that a message says.
pub fn handoff_word(inputs: &Inputs<'_>, role: &Lineage, text: &str) -> Option<String> {
    let role = role_named(inputs, role)?;
    said_word(text, &role.handoff).map(str::to_owned)
}

fn role_named<'a>(inputs: &Inputs<'a>, line: &Lineage) -> Option<&'a ResolvedRole> {
    match account_of_role(line) {
        Some(account) => inputs
            .desired
            .engine
            .accounts
            .get(account)
            .and_then(|settings| settings.ai_role.as_ref()),
        None => wanted(inputs, line).and_then(|(_, spec)| spec?.ai_role.as_ref()),
    }
}

/// The answer to what a person wrote as it would be sent, and why an operator must see it first.
pub fn finished(
    inputs: &Inputs<'_>,
    role: &Lineage,
    (account, person): (&AccountName, PersonId),
    answer: &str,
) -> (String, Option<DraftHold>) {
    let role = role_named(inputs, role);
    let Some(role) = role else {
        return (answer.trim().to_owned(), Some(DraftHold::Mode));
    };
    let observed = inputs.observed;
    let who = observed.handle(person);
    let disclosed = who.is_some_and(|who| observed.talks.of(who).any(|(_, talk)| talk.disclosed));
    let open = who
        .zip(observed.account_index(account))
        .and_then(|(who, by)| observed.talks.get(who, by)?.unanswered.as_ref());
    let lines = dialog(inputs, account, person);
    let asked = open.map_or_else(Vec::new, |open| asked_since(&lines, open.first));
    let answer = answer.trim();
    let disclosure = role.disclosure.trim();
    let text = if disclosed || answer.starts_with(disclosure) {
        answer.to_owned()
    } else {
        format!("{disclosure}\n\n{answer}")
    };
    // The disclosure is the operator's own text.
    let hold = if utf16_len(&text) > MAX_TEXT_UNITS {
        Some(DraftHold::TooLong)
    } else if forbidden_host(answer, &role.allow_links).is_some() {
        Some(DraftHold::Link)
    } else if denies_machine(answer, &asked) {
        Some(DraftHold::Denial)
    } else if role.drafts {
        Some(DraftHold::Mode)
    } else {
        None
    };
    (text, hold)
}
