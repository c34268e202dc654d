//! One campaign's whole story, for people.

use std::fmt::Write as _;

use comfy_table::{Cell, Color};

use super::events::EventLine;
use super::plain::plain;
use super::rate::{interval, rate, verdict};
use super::table::{
    Look, accounts_table, coloured, daemon_line, display_width, grid, moment_words, paint, right,
    zone_of,
};
use super::types::{AccountStatus, CampaignStatus, SourceStatus, StatusReport, Sync, Truth};
use super::wrap::{is_stacked, push_from, push_grid, push_wrapped};
use crate::model::{ConditionType, Outcome, Waiting};
use crate::time::{human_duration, human_relative};

/// Characters of a digest that tell versions apart, as git shows them.
const SHORT_DIGEST: usize = 12;
/// What each send and each look-up says besides: it would push what matters out of sight.
const STEPS_BETWEEN: &[&str] = &[
    "intent",
    "lookup_started",
    "lookup_page",
    "lookup_at",
    "lookup_spent",
];
/// The filters' word on the one who is written to next.
const JUDGED_ONE: &str = "Filters: 1 person in, 0 out, 0 no longer found";
/// Recent events shown.
const MAX_EVENTS: usize = 10;
/// Earlier errors shown.
const MAX_ERRORS: usize = 5;

/// The story of each campaign of the report; `events` are recent ones, the oldest first.
pub fn detail(report: &StatusReport, events: &[EventLine], look: &Look) -> String {
    let mut out = String::new();
    push_wrapped(&mut out, "", 0, &daemon_line(&report.daemon), look);
    for campaign in &report.campaigns {
        out.push('\n');
        let own: Vec<AccountStatus> = report
            .accounts
            .iter()
            .filter(|account| campaign.accounts.contains(&account.name))
            .cloned()
            .collect();
        let is_running = report.daemon.running;
        story(&mut out, campaign, is_running, &own, events, look);
    }
    out
}

fn story(
    out: &mut String,
    campaign: &CampaignStatus,
    is_running: bool,
    accounts: &[AccountStatus],
    events: &[EventLine],
    look: &Look,
) {
    let name = plain(&campaign.name);
    out.push_str(&paint(&name, Color::White, look));
    let title = campaign.title.as_deref().map(plain).unwrap_or_default();
    if !title.is_empty() {
        out.push_str("  ");
    }
    push_from(out, display_width(&name) + 2, 2, &title, look.width);
    let digest: String = campaign.digest.chars().take(SHORT_DIGEST).collect();
    let commit = campaign.commit.as_deref().map_or_else(String::new, |hash| {
        let short: String = plain(hash).chars().take(SHORT_DIGEST).collect();
        format!(", commit {short}")
    });
    let generation = match (
        campaign.sync,
        campaign.generation == campaign.observed_generation,
    ) {
        (Sync::Unseen, _) => "no engine has looked at it yet".to_owned(),
        (_, true) => format!("generation {}", campaign.generation),
        (_, false) if campaign.observed_generation == 0 => {
            format!("generation {}, and none was valid yet", campaign.generation)
        }
        (_, false) => format!(
            "generation {}, the last valid one is {}",
            campaign.generation, campaign.observed_generation
        ),
    };
    let line = format!(
        "{}, {} ({}), {generation}, digest {digest}{commit}, run {}",
        campaign.kind,
        plain(&campaign.file),
        campaign.sync.name(),
        campaign.run
    );
    push_wrapped(out, "  ", 2, &line, look);
    conditions(out, campaign, look);
    funnel(out, campaign, look);
    variants(out, campaign, look);
    waits(out, campaign, is_running, look);
    sources(out, campaign, look);
    steps(out, campaign, look);
    list(out, "Conversations", &campaign.conversations.lines(), look);
    if !accounts.is_empty() {
        out.push('\n');
        out.push_str(&accounts_table(accounts, look));
    }
    list(out, "Warnings", &campaign.warnings, look);
    let own = || {
        events
            .iter()
            .filter(|event| event.campaign.as_deref() == Some(campaign.name.as_str()))
            .filter(|event| !STEPS_BETWEEN.contains(&event.kind.as_str()))
            .filter(|event| !event.message.starts_with(JUDGED_ONE))
            .rev()
    };
    let line = |event: &EventLine| {
        let sign = if event.error { "! " } else { "  " };
        let person = event.person.as_deref().map(|who| format!(" ({who})"));
        format!(
            "{sign}{}  {}{}",
            human_relative(event.at.0, look.now),
            event.message,
            person.unwrap_or_default()
        )
    };
    let recent: Vec<String> = own().take(MAX_EVENTS).map(line).collect();
    list(out, "Recent events, newest first", &recent, look);
    // Errors among many sends are not pushed out of sight by them.
    let errors: Vec<String> = own()
        .skip(MAX_EVENTS)
        .filter(|event| event.error)
        .take(MAX_ERRORS)
        .map(line)
        .collect();
    list(out, "Earlier errors", &errors, look);
}

fn steps(out: &mut String, campaign: &CampaignStatus, look: &Look) {
    if campaign.steps.is_empty() {
        return;
    }
    out.push('\n');
    let mut table = grid(&["FOLLOW-UP", "AFTER", "PENDING", "SENT", "SKIPPED"], look);
    for step in &campaign.steps {
        table.add_row(vec![
            right(step.step),
            Cell::new(&step.after),
            right(step.pending),
            right(step.sent),
            right(step.skipped),
        ]);
    }
    push_grid(out, &table, look);
}

fn heading(out: &mut String, text: &str, look: &Look) {
    let _ = writeln!(out, "\n{}", paint(text, Color::White, look));
}

fn list(out: &mut String, name: &str, lines: &[String], look: &Look) {
    if lines.is_empty() {
        return;
    }
    heading(out, name, look);
    for line in lines {
        push_wrapped(out, "  ", 4, &plain(line), look);
    }
}

fn conditions(out: &mut String, campaign: &CampaignStatus, look: &Look) {
    out.push('\n');
    let mut table = grid(&["CONDITION", "STATUS", "REASON", "FOR", "MESSAGE"], look);
    for condition in &campaign.conditions {
        let good = matches!(
            condition.kind,
            ConditionType::Ready | ConditionType::SpecValid | ConditionType::Succeeded
        );
        let colour = match (condition.status, good) {
            (Truth::True, true) => Color::Green,
            (Truth::False, true) if condition.kind != ConditionType::Succeeded => Color::Red,
            (Truth::True, false) => Color::Yellow,
            _ => Color::DarkGrey,
        };
        let age = i64::try_from(look.now.since(condition.last_transition_time.0).as_millis())
            .unwrap_or(i64::MAX);
        table.add_row(vec![
            Cell::new(condition.kind.name()),
            coloured(condition.status.name(), colour, look),
            Cell::new(plain(&condition.reason)),
            Cell::new(human_duration(age)),
            Cell::new(plain(&condition.message)),
        ]);
    }
    push_grid(out, &table, look);
}

/// Columns of the longest bar.
const BAR: usize = 16;
/// The same on a phone.
const SHORT_BAR: usize = 8;

/// A number as a bar in eighths of a column; whoever is there at all has one that is seen.
fn bar(number: u64, most: u64, columns: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = if number == 0 || most == 0 {
        0
    } else {
        let whole = u128::try_from(columns).unwrap_or(0) * 8;
        let exact = u128::from(number.min(most)) * whole / u128::from(most);
        usize::try_from(exact).unwrap_or(0).max(1)
    };
    let text = format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8]);
    super::table::pad(&text, columns)
}

/// found → excluded → in the audience → where each of them stands.
fn funnel(out: &mut String, campaign: &CampaignStatus, look: &Look) {
    // A warmup writes to nobody itself.
    if campaign.kind == "warmup" && campaign.audience.found == 0 {
        return;
    }
    heading(out, "Audience", look);
    let audience = &campaign.audience;
    let progress = &campaign.progress;
    if audience.found == 0 && progress.included() == 0 {
        out.push_str("  Nobody was found yet.\n");
        return;
    }
    let width = audience.found.to_string().len().max(1);
    let most = audience.found.max(audience.included);
    let columns = match is_stacked(look.width) {
        true => SHORT_BAR,
        false => BAR,
    };
    let indent = 2 + 1 + 1 + width + 1 + columns + 1;
    let line = |out: &mut String, sign: &str, number: u64, words: &str| {
        let head = format!("  {sign} {number:>width$} {} ", bar(number, most, columns));
        push_wrapped(out, &head, indent, words, look);
    };
    line(out, " ", audience.found, "found");
    for (reason, number) in &audience.excluded {
        line(
            out,
            "-",
            *number,
            &format!("{reason:<12} {}", reason.meaning()),
        );
    }
    if campaign.kind == "collect" {
        // Nobody of them is written to: who opted out since stays counted, and no campaign writes to him.
        line(out, "=", audience.included, "collected");
        if progress.settled() > 0 {
            let gone = by(campaign, &|_| true);
            line(
                out,
                " ",
                progress.settled(),
                &format!("of them gone since{gone}"),
            );
        }
        return;
    }
    line(out, "=", audience.included, "in the audience");
    line(out, " ", progress.pending, "pending");
    if progress.in_flight > 0 {
        line(out, " ", progress.in_flight, "on their way, or in doubt");
    }
    let mut sent = "sent".to_owned();
    if progress.sent > 0 {
        let _ = write!(
            sent,
            ": {} wrote back ({}), {} opted out",
            progress.replied,
            rate(progress.replied, progress.sent),
            progress.opted_out
        );
    }
    line(out, " ", progress.sent, &sent);
    let failed = |o: Outcome| {
        matches!(
            o,
            Outcome::TemplateError | Outcome::TooLong | Outcome::Failed
        )
    };
    let skipped = |o: Outcome| !failed(o) && !matches!(o, Outcome::Sent | Outcome::Uncertain);
    line(
        out,
        " ",
        progress.failed,
        &format!("failed{}", by(campaign, &failed)),
    );
    line(
        out,
        " ",
        progress.skipped,
        &format!("skipped{}", by(campaign, &skipped)),
    );
    line(out, " ", progress.uncertain, "uncertain");
}

/// `: 2 blocked, 1 opted_out`; nothing where there is none.
fn by(campaign: &CampaignStatus, which: &dyn Fn(Outcome) -> bool) -> String {
    let parts: Vec<String> = campaign
        .outcomes
        .iter()
        .filter(|(outcome, _)| which(**outcome))
        .map(|(outcome, number)| format!("{number} {outcome}"))
        .collect();
    match parts.is_empty() {
        true => String::new(),
        false => format!(": {}", parts.join(", ")),
    }
}

fn variants(out: &mut String, campaign: &CampaignStatus, look: &Look) {
    if campaign.templates.is_empty() {
        return;
    }
    out.push('\n');
    let mut table = grid(
        &["VARIANT", "SENT", "REPLIED", "RATE", "95 % SURE OF"],
        look,
    );
    for variant in &campaign.templates {
        table.add_row(vec![
            Cell::new(plain(&variant.name)),
            right(variant.sent),
            right(variant.replied),
            right(rate(variant.replied, variant.sent)),
            right(interval(variant.replied, variant.sent)),
        ]);
    }
    push_grid(out, &table, look);
    let shares: Vec<(&str, u64, u64)> = campaign
        .templates
        .iter()
        .map(|variant| (variant.name.as_str(), variant.replied, variant.sent))
        .collect();
    if let Some(verdict) = verdict(&shares) {
        push_wrapped(out, "", 0, &plain(&verdict), look);
    }
}

fn waits(out: &mut String, campaign: &CampaignStatus, is_running: bool, look: &Look) {
    let zone = zone_of(campaign);
    if !campaign.waiting.is_empty() && !super::table::is_collected(campaign) {
        out.push('\n');
        let mut table = grid(&["WAITING", "PEOPLE", "UNTIL", "WHY"], look);
        for wait in &campaign.waiting {
            table.add_row(vec![
                Cell::new(wait.reason.name()),
                right(wait.count),
                Cell::new(
                    wait.until
                        .map_or_else(|| "-".to_owned(), |at| moment_words(at, zone, look.now)),
                ),
                Cell::new(wait.reason.meaning()),
            ]);
        }
        push_grid(out, &table, look);
    }
    if let Some(next) = campaign.next_action_at {
        let next = format!("Next action {}.", moment_words(next, zone, look.now));
        push_wrapped(out, "", 0, &next, look);
    }
    if let Some(finish) = campaign.finish_estimate {
        let waits_for_a_word = campaign
            .waiting
            .iter()
            .any(|wait| matches!(wait.reason, Waiting::AwaitingApproval | Waiting::Canary));
        let pace = match waits_for_a_word {
            true => "Approved now, at this pace",
            false if !is_running => "Once a daemon runs, at this pace",
            false => "At this pace",
        };
        let done = format!(
            "{pace} all is done {}.",
            moment_words(finish, zone, look.now)
        );
        push_wrapped(out, "", 0, &done, look);
    }
}

fn sources(out: &mut String, campaign: &CampaignStatus, look: &Look) {
    let all: Vec<(&SourceStatus, &str)> = campaign
        .audience
        .sources
        .iter()
        .map(|source| (source, ""))
        .chain(
            campaign
                .audience
                .filter_sources
                .iter()
                .map(|source| (source, "filter: ")),
        )
        .collect();
    if all.is_empty() {
        return;
    }
    out.push('\n');
    let mut table = grid(&["SOURCE", "FOUND", "READ", "RESULT"], look);
    for (source, prefix) in all {
        let label = if source.label.is_empty() {
            &source.kind
        } else {
            &source.label
        };
        let read = match (source.running_since, source.at) {
            (Some(since), _) => format!("now, since {}", human_relative(since.0, look.now)),
            (None, Some(at)) => human_relative(at.0, look.now),
            (None, None) => "not yet".to_owned(),
        };
        let mut result = match (&source.error, &source.partial, source.complete, source.at) {
            (Some(why), _, _, _) | (None, Some(why), false, _) => plain(why),
            (None, _, true, _) => "complete".to_owned(),
            (None, None, false, Some(_)) => "cut off".to_owned(),
            (None, None, false, None) => "-".to_owned(),
        };
        if source.bad_rows > 0 {
            let _ = match source.bad_rows {
                1 => write!(result, ", 1 row names nobody"),
                rows => write!(result, ", {rows} rows name nobody"),
            };
        }
        table.add_row(vec![
            Cell::new(format!("{prefix}{}", plain(label))),
            right(source.found),
            Cell::new(read),
            Cell::new(result),
        ]);
    }
    push_grid(out, &table, look);
}
