//! One campaign's whole story, for people.

use std::fmt::Write as _;

use comfy_table::{Cell, Color};

use super::events::EventLine;
use super::plain::plain;
use super::table::{
    Look, coloured, daemon_line, grid, moment_words, paint, push_grid, right, zone_of,
};
use super::types::{CampaignStatus, SourceStatus, StatusReport, Sync, Truth};
use crate::model::{ConditionType, Outcome};
use crate::time::{human_duration, human_relative};

/// Characters of a digest that tell versions apart, as git shows them.
const SHORT_DIGEST: usize = 12;
/// Recent errors shown.
const MAX_ERRORS: usize = 10;

/// The story of each campaign of the report; `events` are recent ones, of which the errors are shown.
pub fn detail(report: &StatusReport, events: &[EventLine], look: &Look) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}", daemon_line(&report.daemon));
    for campaign in &report.campaigns {
        out.push('\n');
        story(&mut out, campaign, events, look);
    }
    out
}

fn story(out: &mut String, campaign: &CampaignStatus, events: &[EventLine], look: &Look) {
    let title = campaign
        .title
        .as_deref()
        .map(|title| format!("  {}", plain(title)))
        .unwrap_or_default();
    let _ = writeln!(
        out,
        "{}{title}",
        paint(&plain(&campaign.name), Color::White, look)
    );
    let digest: String = campaign.digest.chars().take(SHORT_DIGEST).collect();
    let generation = match (
        campaign.sync,
        campaign.generation == campaign.observed_generation,
    ) {
        (Sync::Unseen, _) => "no engine has looked at it yet".to_owned(),
        (_, true) => format!("generation {}", campaign.generation),
        (_, false) => format!(
            "generation {}, the last valid one is {}",
            campaign.generation, campaign.observed_generation
        ),
    };
    let _ = writeln!(
        out,
        "  {}, {} ({}), {generation}, digest {digest}, run {}",
        campaign.kind,
        plain(&campaign.file),
        campaign.sync.name(),
        campaign.run
    );
    if !campaign.accounts.is_empty() {
        let _ = writeln!(out, "  accounts: {}", plain(&campaign.accounts.join(", ")));
    }
    conditions(out, campaign, look);
    funnel(out, campaign, look);
    variants(out, campaign, look);
    waits(out, campaign, look);
    sources(out, campaign, look);
    if !campaign.steps.is_empty() {
        heading(out, "Follow-ups", look);
        for step in &campaign.steps {
            let active = if step.active {
                ""
            } else {
                " (not active in this version)"
            };
            let _ = writeln!(
                out,
                "  step {} after {}: {} pending, {} sent, {} skipped{active}",
                step.step, step.after, step.pending, step.sent, step.skipped
            );
        }
    }
    list(
        out,
        "Not active in this version",
        &campaign.not_active,
        look,
    );
    list(out, "Warnings", &campaign.warnings, look);
    let errors: Vec<String> = events
        .iter()
        .filter(|event| event.error && event.campaign.as_deref() == Some(campaign.name.as_str()))
        .rev()
        .take(MAX_ERRORS)
        .map(|event| {
            format!(
                "{}  {}",
                human_relative(event.at.0, look.now),
                event.message
            )
        })
        .collect();
    list(out, "Recent errors, newest first", &errors, look);
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
        let _ = writeln!(out, "  {}", plain(line));
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
    push_grid(out, &table);
}

/// found → excluded → in the audience → where each of them stands.
fn funnel(out: &mut String, campaign: &CampaignStatus, look: &Look) {
    heading(out, "Audience", look);
    let audience = &campaign.audience;
    let progress = &campaign.progress;
    let width = audience.found.to_string().len().max(1);
    let line = |out: &mut String, sign: &str, number: u64, words: &str| {
        let _ = writeln!(out, "  {sign} {number:>width$} {words}");
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
    let by = |which: &dyn Fn(Outcome) -> bool| {
        let parts: Vec<String> = campaign
            .outcomes
            .iter()
            .filter(|(outcome, _)| which(**outcome))
            .map(|(outcome, number)| format!("{number} {outcome}"))
            .collect();
        if parts.is_empty() {
            String::new()
        } else {
            format!(": {}", parts.join(", "))
        }
    };
    let failed = |o: Outcome| {
        matches!(
            o,
            Outcome::TemplateError | Outcome::TooLong | Outcome::Failed
        )
    };
    let skipped = |o: Outcome| !failed(o) && !matches!(o, Outcome::Sent | Outcome::Uncertain);
    line(out, " ", progress.failed, &format!("failed{}", by(&failed)));
    line(
        out,
        " ",
        progress.skipped,
        &format!("skipped{}", by(&skipped)),
    );
    line(out, " ", progress.uncertain, "uncertain");
}

fn rate(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    // Tenths of a percent, rounded to the nearest.
    let tenths = (u128::from(part) * 1000 + u128::from(whole) / 2) / u128::from(whole);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

fn variants(out: &mut String, campaign: &CampaignStatus, look: &Look) {
    if campaign.templates.is_empty() {
        return;
    }
    out.push('\n');
    let mut table = grid(&["VARIANT", "SENT", "REPLIED", "RATE"], look);
    for variant in &campaign.templates {
        table.add_row(vec![
            Cell::new(plain(&variant.name)),
            right(variant.sent),
            right(variant.replied),
            right(rate(variant.replied, variant.sent)),
        ]);
    }
    push_grid(out, &table);
}

fn waits(out: &mut String, campaign: &CampaignStatus, look: &Look) {
    let zone = zone_of(campaign);
    if !campaign.waiting.is_empty() {
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
        push_grid(out, &table);
    }
    if let Some(next) = campaign.next_action_at {
        let _ = writeln!(out, "Next action {}.", moment_words(next, zone, look.now));
    }
    if let Some(finish) = campaign.finish_estimate {
        let _ = writeln!(
            out,
            "At this pace all is done {}.",
            moment_words(finish, zone, look.now)
        );
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
            let _ = write!(result, ", {} rows name nobody", source.bad_rows);
        }
        table.add_row(vec![
            Cell::new(format!("{prefix}{}", plain(label))),
            right(source.found),
            Cell::new(read),
            Cell::new(result),
        ]);
    }
    push_grid(out, &table);
}
