//! `tidings plan`: what would happen, from the last look-ups and with nothing done.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::report::{FORMAT_VERSION, report};
use super::types::{
    CampaignStatus, Condition, DaemonInfo, Moment, SourceStatus, StatusReport, Sync, Truth,
    WaitStatus,
};
use crate::desired::{DesiredCampaign, ResolvedCampaign};
use crate::model::{
    AccountName, AccountState, ConditionType, Event, Exclusion, Lineage, Timestamp, Waiting,
};
use crate::observed::{Account, Campaign, Status};
use crate::plan::{FIRINGS_SHOWN, Gate, Inputs, Plan, audience, next_firings};
use crate::spec::Severity;
use crate::time::Day;

/// Windows of one day that are looked at; a spec has at most a few.
const MAX_WINDOWS: usize = 100;
/// Errors and warnings quoted of one file.
const MAX_QUOTED: usize = 20;

/// What the engine would do with a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It was never seen: it would start.
    Create,
    /// Its file was changed.
    Update,
    /// Its file is gone: it would stop.
    Retire,
    /// Its file is invalid: it would be held.
    Invalid,
    /// Its file is as the engine knows it.
    None,
}

/// `plan -o json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanDocument {
    /// Its minor part rises for additions.
    pub format_version: String,
    /// When it was made.
    pub generated_at: Moment,
    /// Whether anything would happen: exit code 2 of `--detailed-exitcode`.
    pub changes: bool,
    /// By name.
    pub campaigns: Vec<CampaignPlan>,
}

/// What would happen in one campaign.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CampaignPlan {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: String,
    /// What it does.
    pub kind: String,
    /// What the engine would do with it.
    pub change: Change,
    /// Whether it goes on by itself, and why not.
    pub ready: Option<Condition>,
    /// People.
    pub recipients: Recipients,
    /// Messages.
    pub messages: MessagesPlan,
    /// Who sends.
    #[serde(default)]
    pub accounts: Vec<String>,
    /// Messages of a day at most, by the limits of the campaign and of its accounts.
    #[serde(default)]
    pub per_day: u64,
    /// Why people wait.
    pub waiting: Vec<WaitStatus>,
    /// The look-ups that all this is from.
    pub sources: Vec<SourcePlan>,
    /// Whose wall clock its times are shown in.
    pub timezone: Option<String>,
    /// When something happens next.
    pub next_action_at: Option<Moment>,
    /// The next firings of `schedule.cron` (an addition).
    #[serde(default)]
    pub next_runs: Vec<Moment>,
    /// When everybody is settled under the limits.
    pub finish_estimate: Option<Moment>,
    /// Always empty: all that a spec may ask for is done. Kept for readers of older plans.
    #[serde(default)]
    pub not_active: Vec<String>,
    /// What is wrong with the file, one line each.
    pub errors: Vec<String>,
    /// What to look at, one line each.
    pub warnings: Vec<String>,
    /// What its AI may cost at most; absent where it has no `ai_role`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ai: Option<AiPlan>,
}

/// The ceiling of what answers may cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AiPlan {
    /// The model.
    pub model: String,
    /// Answers at most: `max_replies` for everybody in the audience.
    pub answers_at_most: u64,
    /// Tokens a day at most: `max_tokens_per_day`.
    pub tokens_per_day_at_most: u64,
    /// Tokens used since the day began.
    pub tokens_today: u64,
    /// Tokens until `schedule.end` at most; absent where the campaign has no end.
    pub tokens_at_most: Option<u64>,
}

/// People of a campaign now, and how that would change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipients {
    /// Waiting for their message now.
    pub pending: u64,
    /// Settled or on their way; nothing changes that.
    pub settled: u64,
    /// Would come in.
    pub added: u64,
    /// Are found no longer, and would go.
    pub dropped: u64,
    /// Out now, by the first reason that holds.
    pub excluded: BTreeMap<Exclusion, u64>,
    /// Would be left out, by reason.
    pub newly_excluded: BTreeMap<Exclusion, u64>,
    /// Of these, those who wait for their message now (an addition).
    #[serde(default)]
    pub leaving: u64,
}

impl Recipients {
    /// People who would still be written to.
    pub fn reached(&self) -> u64 {
        (self.pending + self.added).saturating_sub(self.dropped + self.leaving)
    }
}

/// Messages of a campaign.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessagesPlan {
    /// May leave at this moment.
    pub now: u64,
    /// May leave today (the day of the schedule's zone) under delays, caps and windows.
    pub today: u64,
    /// Would leave in all; 0 while a person must act first.
    pub total: u64,
}

/// A look-up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcePlan {
    /// In words.
    pub label: String,
    /// How many it named.
    pub found: u64,
    /// When it was read; absent: it was not, and would be.
    pub at: Option<Moment>,
    /// How long ago, in milliseconds.
    pub age_ms: Option<u64>,
    /// Everybody was read.
    pub complete: bool,
    /// Why not.
    pub error: Option<String>,
    /// Why a look-up that went well did not show everybody, and how to widen it (an addition).
    #[serde(default)]
    pub partial: Option<String>,
}

/// No campaign has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no campaign {name:?}{}", hint.as_deref().map(|h| format!("; did you mean {h:?}?")).unwrap_or_default())]
pub struct UnknownCampaign {
    /// The name that was given.
    pub name: String,
    /// What was probably meant.
    pub hint: Option<String>,
}

fn unknown<'a>(
    names: &[String],
    mut known: impl Iterator<Item = &'a str> + Clone,
) -> Option<UnknownCampaign> {
    let name = names
        .iter()
        .find(|name| !known.clone().any(|k| k == name.as_str()))?;
    let hint = crate::spec::diagnostic::did_you_mean(name, &mut known).map(str::to_owned);
    Some(UnknownCampaign {
        name: name.clone(),
        hint,
    })
}

impl StatusReport {
    /// The report of these campaigns alone and of their accounts; of all where no name is given.
    ///
    /// # Errors
    /// [`UnknownCampaign`], with what was probably meant.
    pub fn only(mut self, names: &[String]) -> Result<StatusReport, UnknownCampaign> {
        if names.is_empty() {
            return Ok(self);
        }
        if let Some(unknown) = unknown(names, self.campaigns.iter().map(|c| c.name.as_str())) {
            return Err(unknown);
        }
        self.campaigns
            .retain(|campaign| names.contains(&campaign.name));
        self.invalid_files.retain(|bad| {
            bad.campaign
                .as_ref()
                .is_none_or(|name| names.contains(name))
        });
        let used = |name: &String| self.campaigns.iter().any(|c| c.accounts.contains(name));
        self.accounts.retain(|account| used(&account.name));
        Ok(self)
    }
}

impl PlanDocument {
    /// The plan of these campaigns alone; of all where no name is given.
    ///
    /// # Errors
    /// [`UnknownCampaign`], with what was probably meant.
    pub fn only(mut self, names: &[String]) -> Result<PlanDocument, UnknownCampaign> {
        if names.is_empty() {
            return Ok(self);
        }
        if let Some(unknown) = unknown(names, self.campaigns.iter().map(|c| c.name.as_str())) {
            return Err(unknown);
        }
        self.campaigns
            .retain(|campaign| names.contains(&campaign.name));
        self.changes = self.campaigns.iter().any(changes);
        Ok(self)
    }
}

/// What would happen. `plan` must be that of the same inputs; nothing of it needs to be carried out.
pub fn plan_document(inputs: &Inputs<'_>, plan: &Plan, daemon: DaemonInfo) -> PlanDocument {
    let report = report(inputs, plan, daemon);
    let campaigns: Vec<CampaignPlan> = report
        .campaigns
        .iter()
        .filter_map(|status| campaign(inputs, plan, &report, status))
        .collect();
    PlanDocument {
        format_version: FORMAT_VERSION.to_owned(),
        generated_at: Moment::from(inputs.now),
        changes: campaigns.iter().any(changes),
        campaigns,
    }
}

/// Whether anything would happen in it.
fn changes(campaign: &CampaignPlan) -> bool {
    let recipients = &campaign.recipients;
    !matches!(campaign.change, Change::None | Change::Invalid)
        || recipients.added + recipients.dropped + recipients.newly_excluded.values().sum::<u64>()
            > 0
        || campaign.messages.total > 0
}

fn campaign(
    inputs: &Inputs<'_>,
    plan: &Plan,
    report: &StatusReport,
    status: &CampaignStatus,
) -> Option<CampaignPlan> {
    let wanted = inputs
        .desired
        .campaigns
        .get(&status.name)
        .filter(|wanted| wanted.file == status.file);
    let line = wanted
        .map(|wanted| &wanted.lineage)
        .or_else(|| inputs.observed.names.get(&status.name));
    let seen = line.and_then(|line| inputs.observed.campaigns.get(line));
    let change = match status.sync {
        Sync::Current => Change::None,
        Sync::Changed => Change::Update,
        Sync::Invalid => Change::Invalid,
        Sync::Unseen => Change::Create,
        // A missing folder retires nothing.
        Sync::Unreadable => Change::None,
        // What is retired already does not change.
        Sync::Retired if seen.is_some_and(|seen| seen.retired.is_some()) => return None,
        Sync::Retired => Change::Retire,
    };
    let mut recipients = Recipients {
        pending: status.progress.pending,
        settled: status.progress.in_flight + status.progress.settled(),
        excluded: status.audience.excluded.clone(),
        ..Recipients::default()
    };
    if let (Some(wanted), Some(seen)) = (wanted, seen) {
        rejudge(inputs, wanted, seen, &mut recipients);
    }
    let messages = match (wanted.and_then(|wanted| wanted.spec.as_deref()), line) {
        (Some(spec), Some(line)) => messages(inputs, plan, report, spec, line, seen, &recipients),
        _ => MessagesPlan::default(),
    };
    let quoted = |severity: Severity| -> Vec<String> {
        wanted
            .map(|wanted| {
                wanted
                    .diagnostics
                    .iter()
                    .filter(|d| d.severity == severity)
                    .take(MAX_QUOTED)
                    .map(ToString::to_string)
                    .collect()
            })
            .unwrap_or_default()
    };
    let left_over = wanted
        .and_then(|wanted| wanted.spec.as_deref())
        .and_then(|spec| left_over(inputs, spec, seen, &recipients));
    let warnings = left_over
        .into_iter()
        .chain(quoted(Severity::Warning))
        .collect();
    Some(CampaignPlan {
        name: status.name.clone(),
        file: status.file.clone(),
        kind: status.kind.clone(),
        change,
        ready: status.condition(ConditionType::Ready).cloned(),
        recipients,
        messages,
        accounts: status.accounts.clone(),
        per_day: wanted
            .and_then(|wanted| wanted.spec.as_deref())
            .map_or(0, |spec| per_day(inputs, spec)),
        waiting: status.waiting.clone(),
        sources: status
            .audience
            .sources
            .iter()
            .chain(&status.audience.filter_sources)
            .map(|source| source_plan(source, inputs.now))
            .collect(),
        timezone: status.timezone.clone(),
        next_action_at: status.next_action_at,
        next_runs: wanted
            .and_then(|wanted| wanted.spec.as_deref())
            .map(|spec| next_firings(spec, seen, inputs.now, FIRINGS_SHOWN))
            .unwrap_or_default()
            .into_iter()
            .map(Moment::from)
            .collect(),
        finish_estimate: status.finish_estimate,
        not_active: Vec::new(),
        errors: quoted(Severity::Error),
        warnings,
        ai: wanted
            .and_then(|wanted| wanted.spec.as_deref())
            .zip(line)
            .and_then(|(spec, line)| ai(inputs, spec, line, status)),
    })
}

/// That `per_run` leaves people over whom no other run takes up.
fn left_over(
    inputs: &Inputs<'_>,
    spec: &ResolvedCampaign,
    seen: Option<&Campaign>,
    recipients: &Recipients,
) -> Option<String> {
    let most = spec.delays.per_run?;
    if spec.kind == crate::spec::Kind::Collect
        || !next_firings(spec, seen, inputs.now, 1).is_empty()
    {
        return None;
    }
    let room = |name: &AccountName| {
        let sent = inputs
            .observed
            .account_index(name)
            .and_then(|index| seen?.run_sent.get(&index).copied());
        u64::from(most.saturating_sub(sent.unwrap_or(0)))
    };
    let room: u64 = spec.accounts.iter().map(room).sum();
    let left = recipients
        .reached()
        .checked_sub(room)
        .filter(|left| *left > 0)?;
    Some(format!(
        "{} will not be written to: `per_account.per_run` lets each account send {most} in a run, and no other run \
         follows. Raise it (or MAILING_MAX_PER_ACCOUNT), name another account, or let `schedule.cron` start further runs.",
        super::people(left)
    ))
}

/// What answers may cost at most.
fn ai(
    inputs: &Inputs<'_>,
    spec: &ResolvedCampaign,
    line: &Lineage,
    status: &CampaignStatus,
) -> Option<AiPlan> {
    const DAY: u64 = 86_400_000;
    let role = spec.ai_role.as_ref()?;
    let day = Day::of(inputs.now, spec.schedule.zone);
    let spend = inputs.observed.talks.spend.get(line);
    let tokens_at_most = spec.schedule.end.map(|end| {
        let left = u64::try_from(end.since(inputs.now).as_millis()).unwrap_or(u64::MAX);
        // Today, and each day that begins before the end.
        role.max_tokens_per_day
            .saturating_mul(left.div_ceil(DAY).saturating_add(1))
    });
    Some(AiPlan {
        model: role.model.clone(),
        answers_at_most: u64::from(role.max_replies).saturating_mul(status.audience.included),
        tokens_per_day_at_most: role.max_tokens_per_day,
        tokens_today: spend.map_or(0, |spend| spend.since(day.start())),
        tokens_at_most,
    })
}

/// Messages of a campaign a day at most.
fn per_day(inputs: &Inputs<'_>, spec: &ResolvedCampaign) -> u64 {
    let engine = &inputs.desired.engine;
    let all: u64 = spec
        .accounts
        .iter()
        .map(|name| {
            let own = engine
                .accounts
                .get(name)
                .map_or(engine.limits.max_per_day, |account| account.per_day);
            u64::from(spec.delays.per_day.min(own))
        })
        .sum();
    spec.delays
        .campaign_per_day
        .map_or(all, |most| all.min(u64::from(most)))
}

fn source_plan(source: &SourceStatus, now: Timestamp) -> SourcePlan {
    SourcePlan {
        label: if source.label.is_empty() {
            source.kind.clone()
        } else {
            source.label.clone()
        },
        found: source.found,
        at: source.at,
        age_ms: source
            .at
            .map(|at| u64::try_from(now.since(at.0).as_millis()).unwrap_or(u64::MAX)),
        complete: source.complete,
        error: source.error.clone(),
        partial: source.partial.clone(),
    }
}

/// Applies the filters of the file as it is now to those whom the last look-ups found, where that was not done yet.
fn rejudge(
    inputs: &Inputs<'_>,
    wanted: &DesiredCampaign,
    seen: &Campaign,
    recipients: &mut Recipients,
) {
    let Some(spec) = wanted.spec.as_deref() else {
        return;
    };
    let judged = seen.judgement.as_ref().is_some_and(|last| {
        last.digest == spec.audience_digest && last.lookups == seen.lookups_ended
    });
    if judged || seen.lookups_ended == 0 {
        return;
    }
    let status = |person| {
        inputs
            .observed
            .handle(person)
            .and_then(|h| seen.recipients.get(&h.0))
            .map(|r| r.status)
    };
    for event in audience::judge(inputs, &wanted.lineage) {
        let Event::Judged {
            included,
            excluded,
            dropped,
            ..
        } = event
        else {
            continue;
        };
        recipients.added += included
            .iter()
            .filter(|person| status(**person) != Some(Status::Pending))
            .count() as u64;
        // Of those who go, people who were only counted as excluded are no loss.
        recipients.dropped += dropped
            .iter()
            .filter(|person| status(**person) == Some(Status::Pending))
            .count() as u64;
        for (reason, people) in excluded {
            recipients.leaving += people
                .iter()
                .filter(|person| status(**person) == Some(Status::Pending))
                .count() as u64;
            if !people.is_empty() {
                *recipients.newly_excluded.entry(reason).or_default() += people.len() as u64;
            }
        }
    }
}

fn messages(
    inputs: &Inputs<'_>,
    plan: &Plan,
    report: &StatusReport,
    spec: &ResolvedCampaign,
    line: &Lineage,
    seen: Option<&Campaign>,
    recipients: &Recipients,
) -> MessagesPlan {
    if spec.kind == crate::spec::Kind::Collect {
        return MessagesPlan::default();
    }
    let now = inputs.now;
    let absent = Campaign::default();
    let seen = seen.unwrap_or(&absent);
    let to_send = recipients.reached();
    let gate = plan.report.campaigns.get(line).map(|view| &view.gate);
    let starts = match gate {
        Some(Gate::Blocked { .. }) => return MessagesPlan::default(),
        Some(Gate::Waits { until, .. }) => until.unwrap_or(now),
        Some(Gate::Open | Gate::Done { .. }) | None => now,
    };
    let blocked = report
        .campaigns
        .iter()
        .find(|campaign| campaign.name == spec.name)
        .and_then(|campaign| campaign.condition(ConditionType::Ready))
        .is_some_and(|ready| ready.status == Truth::False);
    if blocked {
        return MessagesPlan::default();
    }
    let day = Day::of(now, spec.schedule.zone);
    let mut today = 0u64;
    let mut at_once = 0u64;
    for name in &spec.accounts {
        let state = report
            .accounts
            .iter()
            .find(|account| account.name == name.as_ref())
            .map(|a| (a.state, a.until));
        let room = room_today(
            inputs,
            spec,
            seen,
            name,
            state.as_ref().and_then(|(_, until)| until.map(|u| u.0)),
            starts,
        );
        today += room;
        let ready = matches!(state, Some((AccountState::Ready, _)));
        let rested = inputs
            .observed
            .accounts
            .get(name)
            .is_none_or(|account| account.next_allowed_at <= now);
        if ready && rested && room > 0 && starts <= now && matches!(gate, Some(Gate::Open)) {
            at_once += if spec.delays.between.1.is_zero() {
                room
            } else {
                1
            };
        }
    }
    if let Some(most) = spec.delays.campaign_per_day {
        today = today.min(u64::from(
            most.saturating_sub(seen.meter.since(day.start())),
        ));
    }
    // Whom `limits.per_person` gives a rest gets nothing now, and nothing today where the rest is longer.
    let resting = plan
        .report
        .campaigns
        .get(line)
        .and_then(|view| view.waiting.iter().find(|w| w.reason == Waiting::PersonGap));
    let rests = resting.map_or(0, |wait| wait.count);
    let all_day = resting.map_or(0, |wait| match wait.until {
        Some(until) if until >= day.end() => wait.count,
        _ => 0,
    });
    let today = today.min(to_send.saturating_sub(all_day));
    MessagesPlan {
        now: at_once.min(today).min(to_send.saturating_sub(rests)),
        today,
        total: to_send,
    }
}

/// How many messages of the campaign an account may send until its day ends.
fn room_today(
    inputs: &Inputs<'_>,
    spec: &ResolvedCampaign,
    seen: &Campaign,
    name: &AccountName,
    rests_until: Option<Timestamp>,
    starts: Timestamp,
) -> u64 {
    let now = inputs.now;
    let absent = Account::default();
    let account = inputs.observed.accounts.get(name).unwrap_or(&absent);
    if account.trouble.is_some() {
        return 0;
    }
    let (per_day, zone) = crate::plan::allowance(inputs, name);
    let own_day = Day::of(now, zone);
    let mut room = per_day.saturating_sub(account.meter.since(own_day.start()));
    let day = Day::of(now, spec.schedule.zone);
    let index = inputs.observed.account_index(name);
    let used = index
        .and_then(|index| seen.meters.get(&index))
        .map_or(0, |meter| meter.since(day.start()));
    room = room.min(spec.delays.per_day.saturating_sub(used));
    if let Some(most) = spec.delays.per_run {
        let used = index
            .and_then(|index| seen.run_sent.get(&index))
            .copied()
            .unwrap_or(0);
        room = room.min(most.saturating_sub(used));
    }
    let begin = now
        .max(starts)
        .max(account.next_allowed_at)
        .max(rests_until.unwrap_or(now));
    let open = open_time(spec, begin, day.end());
    let gap = (spec.delays.between.0 + spec.delays.between.1) / 2;
    let by_pace = match (open.is_zero(), gap.as_millis()) {
        (true, _) => 0,
        (false, 0) => u64::MAX,
        // One at once, and one after each pause.
        (false, gap) => u64::try_from(open.as_millis() / gap)
            .unwrap_or(u64::MAX)
            .saturating_add(1),
    };
    let by_hour = spec.delays.per_hour.map_or(u64::MAX, |most| {
        let hours = open.as_secs().div_ceil(3600);
        hours.saturating_mul(u64::from(most))
    });
    u64::from(room).min(by_pace).min(by_hour)
}

/// How long windows are open between two moments.
fn open_time(spec: &ResolvedCampaign, from: Timestamp, to: Timestamp) -> Duration {
    let zone = spec.schedule.zone;
    let mut total = Duration::ZERO;
    let mut at = from;
    let end = spec.schedule.end.map_or(to, |end| end.min(to));
    for _ in 0..MAX_WINDOWS {
        let Some(open) = spec
            .schedule
            .windows
            .next_open(at, zone)
            .filter(|open| *open < end)
        else {
            break;
        };
        let close = spec
            .schedule
            .windows
            .closes_at(open, zone)
            .unwrap_or(end)
            .min(end);
        total += close.since(open);
        if close >= end || close <= at {
            break;
        }
        at = close;
    }
    total
}
