//! `tidings plan`: what would happen, from the last look-ups and with nothing done.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::report::{FORMAT_VERSION, report};
use super::types::{
    AccountStatus, CampaignStatus, Condition, DaemonInfo, InvalidFileStatus, Moment, SourceStatus,
    StatusReport, Sync, Truth, WaitStatus,
};
use crate::desired::{DesiredCampaign, ResolvedCampaign};
use crate::model::{
    AccountName, AccountState, ConditionType, Event, Exclusion, Lineage, Timestamp, Waiting,
};
use crate::observed::{Account, Campaign, Status};
use crate::plan::{
    FIRINGS_SHOWN, Gate, Inputs, Plan, audience, lets_follow_ups, may_send_at_once, next_firings,
    owed_by,
};
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
    /// Why the campaigns' folder cannot be read (an addition): then everything is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder_error: Option<String>,
    /// Files that cannot be used and are no campaign's own, as in the status (an addition): `tidings.yaml` among them,
    /// without which the plan goes by the last good settings, or the defaults.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub invalid_files: Vec<InvalidFileStatus>,
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
    /// The file is invalid, and its last good version goes on: `on_invalid: continue` (an addition).
    #[serde(default)]
    pub last_good: bool,
    /// What is wrong with the file, one line each.
    pub errors: Vec<String>,
    /// What to look at, one line each.
    pub warnings: Vec<String>,
    /// What its AI may cost at most; absent where it has no `ai_role`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ai: Option<AiPlan>,
    /// The commit that the version is from which the engine knows (an addition): `plan --against` it shows what changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_commit: Option<String>,
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
    /// Of these, follow-ups to people who got the first message already; a reply may end some (an addition).
    #[serde(default)]
    pub follow_ups: u64,
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
        self.invalid_files.retain(|bad| bad.concerns(names));
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
        self.invalid_files.retain(|bad| bad.concerns(names));
        self.changes = self.campaigns.iter().any(changes);
        Ok(self)
    }
}

impl PlanDocument {
    /// The same of campaigns that were taken up in memory only, against what the engine knows: they would start, and
    /// those whom they found would come in.
    pub fn against(mut self, known: PlanDocument) -> PlanDocument {
        for was in known.campaigns {
            if let Some(now) = self.campaigns.iter_mut().find(|c| c.name == was.name) {
                now.change = was.change;
                now.recipients = was.recipients;
            }
        }
        self.changes = self.campaigns.iter().any(changes);
        self
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
        folder_error: report.folder_error,
        invalid_files: report.invalid_files,
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
    let looked_up = wanted.and_then(|wanted| inputs.observed.looked_up(&wanted.lineage));
    if let (Some(wanted), Some(looked_up)) = (wanted, looked_up) {
        rejudge(inputs, wanted, looked_up, &mut recipients);
    }
    let messages = wanted
        .and_then(|wanted| wanted.spec.as_deref())
        .map(|spec| messages(inputs, plan, report, spec, seen, status, &recipients))
        .unwrap_or_default();
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
        accounts: senders(status, report)
            .map(|account| account.name.clone())
            .collect(),
        per_day: wanted
            .and_then(|wanted| wanted.spec.as_deref())
            .map_or(0, |spec| per_day(inputs, spec, senders(status, report))),
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
        last_good: change == Change::Invalid && wanted.is_some_and(|wanted| wanted.spec.is_some()),
        errors: quoted(Severity::Error),
        warnings,
        ai: wanted
            .and_then(|wanted| wanted.spec.as_deref())
            .zip(line)
            .and_then(|(spec, line)| ai(inputs, spec, line, status)),
        known_commit: seen.and_then(|seen| seen.commit.clone()),
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

/// The accounts of a campaign that send without a person's doing.
fn senders<'a>(
    status: &'a CampaignStatus,
    report: &'a StatusReport,
) -> impl Iterator<Item = &'a AccountStatus> {
    let own = |account: &&AccountStatus| status.accounts.contains(&account.name);
    report
        .accounts
        .iter()
        .filter(own)
        .filter(|account| !account.needs_a_person())
}

/// Messages of a campaign a day at most, by these accounts.
fn per_day<'a>(
    inputs: &Inputs<'_>,
    spec: &ResolvedCampaign,
    senders: impl Iterator<Item = &'a AccountStatus>,
) -> u64 {
    let engine = &inputs.desired.engine;
    let all: u64 = senders
        .map(|sender| {
            let own = engine
                .accounts
                .get(sender.name.as_str())
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
    seen: Option<&Campaign>,
    status: &CampaignStatus,
    recipients: &Recipients,
) -> MessagesPlan {
    if spec.kind == crate::spec::Kind::Collect {
        return MessagesPlan::default();
    }
    let now = inputs.now;
    let absent = Campaign::default();
    let line = seen.and_then(|seen| seen.lineage.as_ref());
    let seen = seen.unwrap_or(&absent);
    let view = line.and_then(|line| plan.report.campaigns.get(line));
    let gate = view.map(|view| &view.gate);
    let steps_go = gate.is_some_and(|gate| lets_follow_ups(gate, spec, now));
    let is_blocked = matches!(gate, Some(Gate::Blocked { .. }));
    let ready = status.condition(ConditionType::Ready);
    let held = is_blocked || ready.is_some_and(|ready| ready.status == Truth::False);
    let (mut firsts, mut follow_ups) = (0, 0);
    if !held {
        firsts = recipients.reached();
    }
    if !held || (is_blocked && steps_go) {
        follow_ups = status.steps.iter().map(|step| step.pending).sum();
    }
    if firsts + follow_ups == 0 {
        return MessagesPlan::default();
    }
    let starts = match gate {
        Some(Gate::Waits { until, .. }) => until.unwrap_or(now),
        _ => now,
    };
    let steps_start = if steps_go { now } else { starts };
    let windows = &spec.schedule.windows;
    let is_open = windows.next_open(now, spec.schedule.zone) == Some(now);
    let at_once = |room: u64, may: Result<u32, Option<Timestamp>>| match may {
        Err(_) => 0,
        Ok(most) if spec.delays.between.1.is_zero() => room.min(u64::from(most)),
        Ok(_) => room.min(1),
    };
    let day = Day::of(now, spec.schedule.zone);
    let day_ends = Timestamp(day.end().0 - 1);
    let mut first = Leaving::default();
    let mut steps = Leaving::default();
    for account in senders(status, report) {
        let Some(name) = spec.accounts.iter().find(|name| ***name == *account.name) else {
            continue;
        };
        let until = account.until.map(|until| until.0);
        let room = |starts| room_today(inputs, spec, seen, name, until, starts);
        let owed = room(steps_start).min(owed_by(inputs, spec, seen, name, day_ends));
        steps.today += owed;
        let free = room(starts)
            .saturating_sub(owed)
            .min(attested_room(inputs, spec, name));
        first.today += free;
        if account.state != AccountState::Ready || !is_open {
            continue;
        }
        let mut due = 0;
        if steps_go {
            due = owed.min(owed_by(inputs, spec, seen, name, now));
            due = at_once(due, may_send_at_once(inputs, name, spec, seen, false));
            steps.now += due;
        }
        // A follow-up that is due goes before strangers, who then wait for the pause after it.
        if matches!(gate, Some(Gate::Open)) && (due == 0 || spec.delays.between.1.is_zero()) {
            first.now += at_once(free, may_send_at_once(inputs, name, spec, seen, true));
        }
    }
    // Whoever waits for longer by the planner's own word gets nothing now, or today.
    let waiting = view.map(|view| view.waiting.as_slice()).unwrap_or_default();
    let later_than = |moment: Timestamp| -> u64 {
        waiting
            .iter()
            .filter(|wait| match wait.until {
                Some(until) => until > moment,
                None => !matches!(
                    wait.reason,
                    Waiting::LookingUp | Waiting::AudienceNotCollected | Waiting::Delay
                ),
            })
            .map(|wait| wait.count)
            .sum()
    };
    first.now = first.now.min(firsts.saturating_sub(later_than(now)));
    first.today = first.today.min(firsts.saturating_sub(later_than(day_ends)));
    steps.today = steps.today.min(follow_ups);
    let most = spec.delays.campaign_per_day.map_or(u64::MAX, |most| {
        u64::from(most.saturating_sub(seen.meter.since(day.start())))
    });
    let today = (first.today + steps.today).min(most);
    MessagesPlan {
        now: (first.now + steps.now).min(today),
        today,
        total: firsts + follow_ups,
        follow_ups,
    }
}

/// Messages that may leave.
#[derive(Default)]
struct Leaving {
    now: u64,
    today: u64,
}

/// First contacts that `limits.attested_per_day` leaves an account today.
fn attested_room(inputs: &Inputs<'_>, spec: &ResolvedCampaign, name: &AccountName) -> u64 {
    if !spec.is_attested() {
        return u64::MAX;
    }
    let (_, zone) = crate::plan::allowance(inputs, name);
    let begin = Day::of(inputs.now, zone).start();
    let account = inputs.observed.accounts.get(name);
    let used = account.map_or(0, |account| account.attested.since(begin));
    u64::from(
        inputs
            .desired
            .engine
            .limits
            .attested_per_day
            .saturating_sub(used),
    )
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
