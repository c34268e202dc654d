//! Whether each campaign may send now, and what must be known before it does.

use std::time::Duration;

use super::accounts::{Availability, may_look_up, usable};
use super::sends::planned_resolve;
use super::{Action, CampaignView, Gate, Inputs, Plan, Wait, lookups, owners, renamed, runs};
use crate::desired::{DesiredCampaign, ResolvedCampaign, ResolvedSource, SourceKind, SourceRole};
use crate::model::{AccountName, Event, Lineage, PersonId, StallReason, Timestamp, Waiting};
use crate::observed::{Campaign, Handle, Hold, Lookup, Source};
use crate::people::best_reference;

/// The first pause after a failed look-up; doubles up to [`LOOKUP_RETRY_MOST`]. Long enough not to spend an
/// account's allowance on a place that is gone, short enough that a network that comes back is noticed.
const LOOKUP_RETRY: Duration = Duration::from_secs(30);
/// The first pause after a look-up that broke off with the connection or with an error of the server; doubles up to
/// [`BROKEN_RETRY_MOST`] (CONTRACT section 6: 1 s to 60 s).
const BROKEN_RETRY: Duration = Duration::from_secs(1);
/// The longest pause between two tries of a look-up that broke off.
const BROKEN_RETRY_MOST: Duration = Duration::from_secs(60);
/// Tries that broke off one after another, over half a minute: from then on somebody should look at it.
const BROKEN_PATIENCE: u32 = 6;
/// Tries after which `run --once` leaves a look-up that breaks off alone: some three minutes.
const BROKEN_ONCE: u32 = 8;
/// The longest pause between two tries of a failed look-up.
const LOOKUP_RETRY_MOST: Duration = Duration::from_secs(3600);
/// An approval covers up to a tenth more people than were shown (CONTRACT, 'What an edit means').
const APPROVED_SLACK_PERCENT: u64 = 10;
/// Unknown errors one after another that stall a campaign (CONTRACT section 6).
const FAILURES_IN_ROW: u32 = 5;
/// Sources of which one message says that they cannot be read.
const UNREAD_SAID: usize = 3;
/// Accounts limited in one campaign that pause it (CONTRACT section 6).
const LIMITED_ACCOUNTS: usize = 2;

/// Holds during which a firing of the schedule opens no run, then or later.
const HELD: &[&str] = &["Suspended", "Paused", "PausedItself", "Stalled"];

/// What is said of an operator's hold, and how it ends.
pub(super) fn suspended(hold: &Hold, which: &str) -> String {
    format!(
        "Suspended by {} on {}: {}. `tidings resume {which}` lets it go.",
        hold.by, hold.at, hold.reason
    )
}

/// Finds the gate of every campaign, and plans what opens it.
pub(super) fn campaigns(inputs: &Inputs<'_>, plan: &mut Plan) {
    let mut slots = owners::Slots::new(inputs);
    for wanted in inputs.desired.campaigns.values() {
        let Some(campaign) = inputs.observed.campaigns.get(&wanted.lineage) else {
            continue;
        };
        let gate = gate(inputs, plan, &mut slots, wanted, campaign);
        if let Some(spec) = wanted.spec.as_deref()
            && let Gate::Blocked { condition, .. } = &gate
            && HELD.contains(condition)
        {
            runs::pass_by(inputs, plan, &wanted.lineage, spec, campaign);
        }
        if let Gate::Waits {
            until: Some(until), ..
        } = &gate
        {
            plan.wake(*until, inputs.now);
        }
        let waiting = match &gate {
            // Nobody of a `collect` is ever written to in its name.
            Gate::Done { .. } if campaign.pending() > 0 => vec![Wait {
                reason: Waiting::Held,
                count: campaign.pending(),
                until: None,
            }],
            Gate::Open | Gate::Done { .. } => Vec::new(),
            Gate::Waits { reason, until, .. } => {
                vec![Wait {
                    reason: *reason,
                    count: campaign.pending(),
                    until: *until,
                }]
            }
            Gate::Blocked { reason, .. } => {
                vec![Wait {
                    reason: *reason,
                    count: campaign.pending(),
                    until: None,
                }]
            }
        };
        plan.report.campaigns.insert(
            wanted.lineage.clone(),
            CampaignView {
                gate,
                waiting,
                next_action_at: None,
                finish_estimate: None,
                follow_up_at: wanted
                    .spec
                    .as_deref()
                    .and_then(|spec| super::steps::next_at(spec, campaign)),
            },
        );
    }
}

pub(super) fn blocked(
    reason: Waiting,
    condition: &'static str,
    message: impl Into<String>,
) -> Gate {
    Gate::Blocked {
        reason,
        condition,
        message: message.into(),
    }
}

pub(super) fn waits(reason: Waiting, until: Option<Timestamp>, message: impl Into<String>) -> Gate {
    Gate::Waits {
        reason,
        until,
        message: message.into(),
    }
}

fn gate(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    slots: &mut owners::Slots,
    wanted: &DesiredCampaign,
    campaign: &Campaign,
) -> Gate {
    let now = inputs.now;
    if let Some(broken) = inputs.runtime.broken.get(&wanted.lineage)
        && broken.retry_at > now
    {
        plan.wake(broken.retry_at, now);
        let message = format!(
            "Planning it broke off, a bug of Tidings; please report it with the daemon's log. It is tried again at {}.",
            broken.retry_at
        );
        return blocked(Waiting::Held, "BrokeOff", message);
    }
    fail::fail_point!(&format!("plan.{}", wanted.name));
    if let Some(error) = &inputs.desired.folder_error {
        return blocked(Waiting::Held, "FolderUnreadable", error.clone());
    }
    let Some(spec) = wanted.spec.as_deref() else {
        let first = wanted
            .diagnostics
            .iter()
            .find(|d| d.severity == crate::spec::Severity::Error);
        let message = first.map_or_else(
            || "the spec is invalid; `tidings validate` says why".to_owned(),
            ToString::to_string,
        );
        return blocked(Waiting::Held, "SpecInvalid", message);
    };
    runs::watch(inputs, plan, &wanted.lineage, spec, campaign);
    let everything = inputs
        .observed
        .suspended
        .as_ref()
        .map(|hold| (hold, "--all"));
    let alone = campaign
        .suspended
        .as_ref()
        .map(|hold| (hold, spec.name.as_str()));
    if let Some((hold, which)) = everything.or(alone) {
        return blocked(Waiting::Suspended, "Suspended", suspended(hold, which));
    }
    if spec.paused {
        return blocked(Waiting::Paused, "Paused", "The spec says `paused: true`.");
    }
    if let Some((why, _)) = &campaign.self_paused {
        let message = format!("{} `tidings resume {}` goes on.", why.message, spec.name);
        return blocked(Waiting::Paused, "PausedItself", message);
    }
    if let Some((why, _)) = &campaign.stalled {
        let message = format!(
            "{} Mend the cause, then `tidings resume {}`.",
            why.message, spec.name
        );
        return blocked(Waiting::Held, "Stalled", message);
    }
    if let Some(end) = spec.schedule.end
        && end <= now
    {
        return blocked(
            Waiting::Held,
            "Ended",
            format!("`schedule.end` was {}.", spec.schedule.zone.iso(end)),
        );
    }
    if let Some(start) = spec.schedule.start
        && start > now
    {
        let message = format!("`schedule.start` is {}.", spec.schedule.zone.iso(start));
        return waits(Waiting::NotStarted, Some(start), message);
    }
    if let Some(end) = spec.schedule.end {
        plan.wake(end, now);
    }
    if inputs.runtime.draining {
        return waits(Waiting::Held, None, "The daemon is stopping.");
    }
    if let Some(gate) = super::restored::gate(inputs, spec) {
        return gate;
    }
    if let runs::Turn::Between(between) = runs::turn(inputs, plan, &wanted.lineage, spec, campaign)
    {
        if (campaign.run > 0 || spec.schedule.cron.is_some()) && runs::looks_between(campaign) {
            return audience(inputs, plan, &wanted.lineage, spec, campaign).unwrap_or(between);
        }
        return between;
    }
    if spec.kind == crate::spec::Kind::Warmup {
        return super::warmup::gate(inputs, plan, &wanted.lineage, spec, campaign);
    }
    if let Some(gate) = own_brakes(plan, &wanted.lineage, spec, campaign, now) {
        return gate;
    }
    if let Some(gate) = audience(inputs, plan, &wanted.lineage, spec, campaign) {
        return gate;
    }
    if spec.kind == crate::spec::Kind::Collect {
        return none_read(spec, campaign).unwrap_or_else(|| {
            let but = but(spec, campaign);
            let gate = lookups::collected_gate(spec, campaign, inputs.now, &but);
            // A run of a schedule is over as soon as its look-ups are.
            let current = campaign
                .judgement
                .as_ref()
                .is_some_and(|last| last.lookups == campaign.lookups_ended);
            if current && (spec.schedule.cron.is_some() || spec.schedule.refresh.is_none()) {
                runs::settle(plan, &wanted.lineage, campaign);
            }
            gate
        });
    }
    if let Some(gate) = renamed::gate(inputs, plan, &wanted.lineage, spec, campaign) {
        return gate;
    }
    if let Some(gate) = approval(inputs, spec, campaign) {
        return gate;
    }
    if campaign.pending() == 0 {
        if campaign.in_flight == 0
            && let Some(gate) = none_read(spec, campaign)
        {
            return gate;
        }
        return if campaign.in_flight > 0 {
            Gate::Open
        } else if let Some(refresh) = spec
            .schedule
            .refresh
            .filter(|_| spec.schedule.cron.is_none())
        {
            waits(
                Waiting::LookingUp,
                None,
                format!(
                    "Everybody is settled; newcomers are looked for every {}.{}",
                    crate::time::human_duration(refresh.as_millis() as i64),
                    but(spec, campaign)
                ),
            )
        } else {
            runs::settle(plan, &wanted.lineage, campaign);
            let next = runs::next_firings(spec, Some(campaign), now, 1);
            match next.first() {
                Some(next) => waits(
                    Waiting::NotStarted,
                    Some(*next),
                    format!(
                        "Run {} is settled; the next starts {}.{}",
                        campaign.run,
                        spec.schedule.zone.iso(*next),
                        but(spec, campaign)
                    ),
                ),
                None => Gate::Done {
                    message: format!("Everybody who was found is settled.{}", but(spec, campaign)),
                },
            }
        };
    }
    // Of a run in which nobody gets a message any more no slot is asked for.
    if !runs::is_spent(inputs, spec, campaign)
        && let Some(gate) = slots.gate(inputs, plan, &wanted.lineage, spec)
    {
        return gate;
    }
    match spec.schedule.windows.next_open(now, spec.schedule.zone) {
        Some(open) if open <= now => {
            if let Some(close) = spec.schedule.windows.closes_at(now, spec.schedule.zone) {
                plan.wake(close, now);
            }
            Gate::Open
        }
        Some(open) => {
            let message = format!("The next window opens {}.", spec.schedule.zone.iso(open));
            waits(Waiting::OutsideWindow, Some(open), message)
        }
        None => blocked(
            Waiting::Held,
            "NoWindow",
            "No window of `schedule.windows` ever opens.",
        ),
    }
}

/// Guardrails, two limited accounts, unknown errors in a row: the campaign stops itself and says why.
fn own_brakes(
    plan: &mut Plan,
    line: &Lineage,
    spec: &ResolvedCampaign,
    campaign: &Campaign,
    now: Timestamp,
) -> Option<Gate> {
    if campaign.failures_in_row >= FAILURES_IN_ROW {
        let why = StallReason {
            reason: "FailuresInRow".to_owned(),
            message: format!(
                "{FAILURES_IN_ROW} people one after another failed in ways that Tidings does not know; \
                 `tidings events {}` quotes Telegram.",
                spec.name
            ),
        };
        let message = why.message.clone();
        plan.actions.push(Action::Record(Event::Stalled {
            campaign: line.clone(),
            why,
        }));
        return Some(blocked(Waiting::Held, "Stalled", message));
    }
    let counts = campaign.guard_counts();
    let mut why = None;
    let limited = campaign
        .limited
        .values()
        .filter(|until| **until > now)
        .count();
    if limited >= LIMITED_ACCOUNTS {
        why = Some(StallReason {
            reason: "AccountsLimited".to_owned(),
            message: format!(
                "Telegram limited {limited} accounts of this campaign (PEER_FLOOD): its people do not expect it."
            ),
        });
    } else if let Some(rails) = &spec.spec.guardrails
        && counts.attempts >= u64::from(rails.after())
    {
        let rates = [
            (
                "max_block_rate",
                rails.max_block_rate,
                counts.blocked,
                counts.attempts,
                "blocked the account",
            ),
            (
                "max_failure_rate",
                rails.max_failure_rate,
                counts.failed,
                counts.attempts,
                "failed",
            ),
            (
                "max_opt_out_rate",
                rails.max_opt_out_rate,
                counts.opted_out,
                counts.sent,
                "opted out",
            ),
        ];
        for (name, most, part, whole, what) in rates {
            if let Some(most) = most
                && most.is_exceeded_by(part, whole)
            {
                why = Some(StallReason {
                    reason: "GuardrailTripped".to_owned(),
                    message: format!(
                        "{part} of {whole} {what}: more than `guardrails.{name}: {most}`."
                    ),
                });
                break;
            }
        }
    }
    let why = why?;
    let message = why.message.clone();
    plan.actions.push(Action::Record(Event::SelfPaused {
        campaign: line.clone(),
        why,
    }));
    Some(blocked(Waiting::Paused, "PausedItself", message))
}

/// Looks sources up, applies filters, checks the consent. `None`: the audience is known.
fn audience(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    line: &Lineage,
    spec: &ResolvedCampaign,
    campaign: &Campaign,
) -> Option<Gate> {
    let mut under_way = false;
    let mut unread = Vec::new();
    for source in &spec.sources {
        let state = source_state(inputs, plan, line, spec, campaign, source);
        under_way |= state.under_way;
        if !state.read {
            unread.push((source, state));
        }
    }
    if under_way && campaign.judgement.is_none() {
        return Some(waits(
            Waiting::LookingUp,
            None,
            lookups::all_progress(spec, campaign),
        ));
    }
    // One's own accounts are never written to, so who they are must be known first where that is a matter of moments.
    // Later than that the others go on without those that do not answer.
    let nameless = inputs.runtime.links.iter().any(|(name, link)| {
        let tried = matches!(
            link,
            super::Link::Connecting | super::Link::Unreachable { .. }
        );
        tried
            && inputs
                .observed
                .accounts
                .get(name)
                .is_none_or(|account| account.person.is_none())
    });
    if nameless && inputs.now < inputs.runtime.connected_by && campaign.judgement.is_none() {
        return Some(waits(
            Waiting::LookingUp,
            Some(inputs.runtime.connected_by),
            "The accounts are being asked who they are.",
        ));
    }
    // Without the sources of `in` and `exclude`, people who must not be written to would be.
    let essential = unread
        .iter()
        .find(|(source, _)| source.role != SourceRole::Include);
    let none_read = spec
        .sources
        .iter()
        .filter(|s| s.role == SourceRole::Include)
        .count()
        == unread
            .iter()
            .filter(|(source, _)| source.role == SourceRole::Include)
            .count();
    if let Some((source, state)) = essential.or_else(|| unread.first().filter(|_| none_read)) {
        return Some(match (&state.error, state.under_way) {
            (_, true) => waits(
                Waiting::LookingUp,
                None,
                lookups::progress(source, campaign),
            ),
            (Some(error), _) if state.broken_off => waits(
                Waiting::LookingUp,
                state.retry_at,
                format!(
                    "{} could not be read ({error}), and is tried again.",
                    source.label
                ),
            ),
            (Some(error), _) => blocked(
                Waiting::Held,
                "SourceFailed",
                format!("{} cannot be read: {error}", source.label),
            ),
            (None, _) if state.wait == Some(Waiting::AudienceNotCollected) => waits(
                Waiting::AudienceNotCollected,
                None,
                format!(
                    "There is no {} yet: that campaign has not collected.",
                    source.label
                ),
            ),
            (None, _) => waits(
                state.wait.unwrap_or(Waiting::AccountUnavailable),
                state.retry_at,
                lookups::stopped(source, campaign),
            ),
        });
    }
    if let Some(gate) = unnamed(inputs, plan, line, spec, campaign) {
        return Some(gate);
    }
    let stale = campaign.judgement.as_ref().is_none_or(|last| {
        last.digest != spec.audience_digest || last.lookups != campaign.lookups_ended
    });
    if stale {
        let edited = campaign
            .judgement
            .as_ref()
            .is_none_or(|last| last.digest != spec.audience_digest);
        if !under_way || edited {
            plan.actions.push(Action::Judge {
                campaign: line.clone(),
            });
        }
        if edited {
            return Some(waits(
                Waiting::LookingUp,
                None,
                "The filters are being applied.",
            ));
        }
    }
    if lookups::adds_attested(spec) {
        return Some(blocked(
            Waiting::Held,
            "ConsentMismatch",
            "The audience that it takes over was collected under consent `attested`, which needs a first message that \
             says how to opt out, and an invite by `add` sends none. Set `method: link`, whose message can say it.",
        ));
    }
    if let Some(variant) = lookups::silent_about_opt_out(inputs, spec) {
        return Some(blocked(
            Waiting::Held,
            "ConsentMismatch",
            format!(
                "The audience that it takes over was collected under consent `attested`, and the template `{variant}` \
                 does not say how to opt out: write one of the words that opt out into it, or set `opt_out.notice` in \
                 tidings.yaml."
            ),
        ));
    }
    lookups::without_consent(spec, campaign).map(|source| {
        blocked(
            Waiting::Held,
            "ConsentMismatch",
            format!(
                "`consent.basis: members` admits places where one of the campaign's accounts is creator or \
                 admin; none is one of {}. Make an account an admin there, or name another basis.",
                source.label
            ),
        )
    })
}

/// The sources that no account could read the last time, and why. One that broke off is about to be read again.
fn unread<'a>(
    spec: &'a ResolvedCampaign,
    campaign: &'a Campaign,
) -> impl Iterator<Item = (&'a ResolvedSource, &'a str)> {
    spec.sources
        .iter()
        .filter(|source| source.role == SourceRole::Include)
        .filter_map(|source| {
            let known = campaign.sources.get(&source.id)?;
            let failed = known.failed() && !known.lookups.values().any(broken_off);
            let why = known
                .lookups
                .values()
                .find_map(|lookup| lookup.error.as_deref())?;
            failed.then_some((source, why))
        })
}

/// No source can be read: nobody can say that everybody is settled. Where some can, the others keep what they found last,
/// and the campaign goes on (CONTRACT, 'What an edit means').
fn none_read(spec: &ResolvedCampaign, campaign: &Campaign) -> Option<Gate> {
    let include = |source: &&ResolvedSource| source.role == SourceRole::Include;
    let all = spec.sources.iter().filter(include).count();
    if unread(spec, campaign).count() < all {
        return None;
    }
    unread(spec, campaign).next().map(|(source, why)| {
        blocked(
            Waiting::Held,
            "SourceFailed",
            format!("{} cannot be read: {why}", source.label),
        )
    })
}

/// What is said of sources that cannot be read beside others that were.
fn but(spec: &ResolvedCampaign, campaign: &Campaign) -> String {
    unread(spec, campaign)
        .take(UNREAD_SAID)
        .map(|(source, why)| {
            format!(
                " {} cannot be read, and is tried again: {why}",
                source.label
            )
        })
        .collect()
}

/// Looks up the usernames and phones that decide who is left out: until it is known whom `exclude` and `in` name, and
/// whose row a `where` asks for, somebody could be written to who must not be.
fn unnamed(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    line: &Lineage,
    spec: &ResolvedCampaign,
    campaign: &Campaign,
) -> Option<Gate> {
    let rows_decide = spec
        .filters
        .where_
        .as_ref()
        .is_some_and(|where_| where_.source().contains("contact.fields"));
    let members_too = spec
        .sources
        .iter()
        .any(|s| s.role == SourceRole::Include && s.what.needs_account());
    let mut left = 0u64;
    let mut until = None;
    for source in &spec.sources {
        let decides = source.role != SourceRole::Include || (rows_decide && members_too);
        if source.what.needs_account() || !decides {
            continue;
        }
        let Some(known) = campaign.sources.get(&source.id) else {
            continue;
        };
        for number in known.found() {
            let person = inputs.observed.persons.id(Handle(number));
            let Some(person) = person.filter(|person| !person.is_user()) else {
                continue;
            };
            if inputs.observed.nobody.contains(number) {
                continue;
            }
            left += 1;
            if left <= spec.accounts.len() as u64 {
                name(inputs, plan, line, spec, person, &mut until);
            }
        }
    }
    (left > 0).then(|| {
        waits(
            Waiting::LookingUp,
            until,
            format!("{left} usernames and phones that decide who is left out are being looked up."),
        )
    })
}

/// Plans the look-up of a username or phone by the first account that is free for it.
fn name(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    line: &Lineage,
    spec: &ResolvedCampaign,
    person: PersonId,
    until: &mut Option<Timestamp>,
) {
    let known = inputs.people.get(person).unwrap_or_default();
    let Some(reference) = best_reference(&known) else {
        return;
    };
    if inputs.runtime.resolving.values().any(|who| *who == person) {
        return;
    }
    for account in &spec.accounts {
        if let Availability::Later { until: at, .. } = super::reach::may_resolve(inputs, account) {
            if let Some(at) = at {
                plan.wake(at, inputs.now);
                *until = Some(until.map_or(at, |first| first.min(at)));
            }
            continue;
        }
        let busy = inputs.runtime.resolving.contains_key(account)
            || planned_resolve(plan, |by, who| by == account || who == person);
        if !busy {
            plan.actions.push(Action::Resolve {
                account: account.clone(),
                person,
                reference,
                campaign: line.clone(),
            });
            return;
        }
    }
}

#[derive(Default)]
pub(super) struct SourceState {
    /// A look-up runs, or is planned now.
    pub(super) under_way: bool,
    /// It was read at least once.
    pub(super) read: bool,
    /// Why the last try failed.
    pub(super) error: Option<String>,
    /// It broke off, and has not done so often enough to be anybody's business.
    pub(super) broken_off: bool,
    /// When it is tried again.
    pub(super) retry_at: Option<Timestamp>,
    /// Why no account can try.
    pub(super) wait: Option<Waiting>,
}

fn source_state(
    inputs: &Inputs<'_>,
    plan: &mut Plan,
    line: &Lineage,
    spec: &ResolvedCampaign,
    campaign: &Campaign,
    source: &ResolvedSource,
) -> SourceState {
    let now = inputs.now;
    if let SourceKind::Audience { campaign: other } = &source.what {
        return lookups::audience(inputs, plan, line, campaign, source, other);
    }
    let mut state = SourceState::default();
    // Whom the dialogs and address books of one account name, those of another do not: to leave people out, each that
    // can be read must have been.
    let each = source.role != SourceRole::Include && source.what.is_each_accounts_own();
    let mut unread = false;
    let known = campaign.sources.get(&source.id);
    let looks: Vec<Option<&AccountName>> = if source.what.needs_account() {
        spec.accounts.iter().map(Some).collect()
    } else {
        vec![None]
    };
    for account in looks {
        let index = account.map_or(Some(Source::NO_ACCOUNT), |name| {
            inputs.observed.account_index(name)
        });
        let last = index.and_then(|index| known.and_then(|s| s.lookups.get(&index)));
        if last.is_some_and(|last| {
            last.ended.is_some() && (last.error.is_none() || !last.found.is_empty())
        }) {
            state.read = true;
        }
        if let Some((last, error)) = last.and_then(|last| Some((last, last.error.clone()?))) {
            state.error = Some(error);
            state.broken_off |= broken_off(last);
        }
        let never = last.is_none_or(|last| last.ended.is_none());
        let key = (line.clone(), source.id, account.cloned());
        if inputs.runtime.looking_up.contains(&key) {
            state.under_way = true;
            unread |= never;
            continue;
        }
        let failed_now = last.is_some_and(|last| {
            last.error.is_some()
                && (!last.passing || last.failures >= BROKEN_ONCE)
                && last.failures > 0
                && inputs
                    .runtime
                    .once_since
                    .is_some_and(|since| last.ended >= Some(since))
        });
        let due_at = if failed_now {
            Timestamp::MAX
        } else {
            due(campaign, spec, last, now)
        };
        if due_at > now {
            if due_at < Timestamp::MAX {
                plan.wake(due_at, now);
                if last.is_some_and(|last| last.error.is_some()) {
                    state.retry_at = Some(
                        state
                            .retry_at
                            .map_or(due_at, |at: Timestamp| at.min(due_at)),
                    );
                }
            }
            continue;
        }
        match account.map_or(Availability::Now { room: 1 }, |name| {
            may_look_up(inputs, name)
        }) {
            Availability::Now { .. } => {
                state.under_way = true;
                unread |= never;
                plan.actions.push(Action::LookUp {
                    campaign: line.clone(),
                    source: source.id,
                    what: source.what.clone(),
                    account: account.cloned(),
                    limit: source.limit,
                    label: source.label.clone(),
                    from: lookups::from(campaign, last, now),
                });
            }
            Availability::Later { reason, until } => {
                state.wait = Some(reason);
                unread |= never && until.is_some();
                if let Some(until) = until {
                    plan.wake(until, now);
                    state.retry_at = Some(state.retry_at.map_or(until, |at| at.min(until)));
                }
                // An account that is being connected will look it up in a moment: wait for it.
                let connecting = account.is_some_and(|name| {
                    matches!(
                        inputs.runtime.links.get(name),
                        Some(super::Link::Connecting)
                    ) && usable(inputs, name).is_err()
                }) && now < inputs.runtime.connected_by;
                if connecting {
                    plan.wake(inputs.runtime.connected_by, now);
                }
                state.under_way |= connecting;
                unread |= never && connecting;
            }
        }
    }
    if each && unread {
        state.read = false;
    }
    state
}

/// Whether the last try broke off, with the connection or by an error of the server, and a further one is likely to help.
fn broken_off(last: &Lookup) -> bool {
    last.error.is_some() && last.passing && last.failures < BROKEN_PATIENCE
}

/// When a source is to be looked up: at once where it never was, once a run, when an operator asks, every `refresh`.
fn due(
    campaign: &Campaign,
    spec: &ResolvedCampaign,
    last: Option<&Lookup>,
    now: Timestamp,
) -> Timestamp {
    let Some((last, ended)) = last.and_then(|last| last.ended.map(|ended| (last, ended))) else {
        return Timestamp::MIN;
    };
    if campaign.reconcile_seq > last.ended_seq && last.failures == 0 {
        return Timestamp::MIN;
    }
    // It ended before the clock was set back: nobody knows how long ago.
    if ended > now && (last.error.is_some() || spec.schedule.refresh.is_some()) {
        return Timestamp::MIN;
    }
    if last.error.is_some() && last.passing {
        let doubled = BROKEN_RETRY * 2u32.saturating_pow(last.failures.saturating_sub(1).min(6));
        return ended + doubled.min(BROKEN_RETRY_MOST);
    }
    if last.error.is_some() {
        let doubled = LOOKUP_RETRY * 2u32.saturating_pow(last.failures.saturating_sub(1).min(7));
        return ended + doubled.min(LOOKUP_RETRY_MOST);
    }
    if campaign.run_opened_seq > last.ended_seq {
        return Timestamp::MIN;
    }
    spec.schedule
        .refresh
        .map_or(Timestamp::MAX, |every| ended + every)
}

/// `approve_over` and `canary`.
fn approval(inputs: &Inputs<'_>, spec: &ResolvedCampaign, campaign: &Campaign) -> Option<Gate> {
    let people = campaign.pending() + campaign.run_total();
    if campaign.pending() == 0 {
        return None;
    }
    let approved = campaign.approval.as_ref().filter(|approval| {
        approval.digest == spec.approval_digest
            && people * 100 <= approval.people * (100 + APPROVED_SLACK_PERCENT)
    });
    if let Some(most) = inputs.desired.engine.limits.approve_over
        && people > u64::from(most)
        && approved.is_none()
    {
        let message = format!(
            "{people} people are more than `limits.approve_over: {most}`. `tidings approve {}` shows and approves them.",
            spec.name
        );
        return Some(blocked(
            Waiting::AwaitingApproval,
            "AwaitingApproval",
            message,
        ));
    }
    if let Some(canary) = spec.spec.canary
        && campaign.run_total() >= u64::from(canary)
        && approved.is_none_or(|approval| approval.after < u64::from(canary))
    {
        if campaign.in_flight > 0 {
            return Some(waits(Waiting::Canary, None, "The canary is on its way."));
        }
        let message = format!(
            "The canary of {canary} was sent: {} accepted, {} wrote back, {} opted out. `tidings approve {}` sends the rest.",
            campaign.settled(|o| o == crate::model::Outcome::Sent),
            campaign.replied,
            campaign.opted_out,
            spec.name
        );
        return Some(blocked(Waiting::Canary, "Canary", message));
    }
    None
}

/// How many more messages the canary lets go.
pub(super) fn canary_room(spec: &ResolvedCampaign, campaign: &Campaign) -> u32 {
    let Some(canary) = spec.spec.canary else {
        return u32::MAX;
    };
    let passed = campaign
        .approval
        .as_ref()
        .is_some_and(|a| a.digest == spec.approval_digest && a.after >= u64::from(canary));
    if passed {
        return u32::MAX;
    }
    u32::try_from(u64::from(canary).saturating_sub(campaign.run_total())).unwrap_or(u32::MAX)
}
