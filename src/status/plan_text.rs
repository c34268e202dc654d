//! `tidings plan` for people: `+` comes, `~` changes, `-` goes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use comfy_table::Color;

use super::document::{CampaignPlan, Change, PlanDocument};
use super::plain::plain;
use super::table::{Look, display_width, moment_words, paint};
use super::types::Truth;
use super::wrap::{push_from, push_wrapped};
use crate::model::{Exclusion, Timestamp, Waiting};
use crate::time::{Zone, human_relative};

/// The plan as text.
pub fn plan_text(plan: &PlanDocument, look: &Look) -> String {
    let mut out = String::new();
    if plan.campaigns.is_empty() {
        out.push_str("No campaigns: nothing would happen.\n");
        return out;
    }
    let legend =
        "From the last look-ups; `--refresh` looks again. + comes, ~ changes, - goes, ! is wrong.";
    push_wrapped(&mut out, "", 0, legend, look);
    out.push('\n');
    for campaign in &plan.campaigns {
        one(&mut out, campaign, look);
        out.push('\n');
    }
    let count = |change: Change| plan.campaigns.iter().filter(|c| c.change == change).count();
    let total: u64 = plan.campaigns.iter().map(|c| c.messages.total).sum();
    let today: u64 = plan.campaigns.iter().map(|c| c.messages.today).sum();
    let summary = format!(
        "Plan: {} to start, {} changed, {} to retire, {} invalid; {total} messages to send, up to {today} of them today.",
        count(Change::Create),
        count(Change::Update),
        count(Change::Retire),
        count(Change::Invalid)
    );
    push_wrapped(&mut out, "", 0, &summary, look);
    if !plan.changes {
        let pending: u64 = plan.campaigns.iter().map(|c| c.recipients.pending).sum();
        let waits = match pending {
            0 => ", and nobody waits".to_owned(),
            1 => "; 1 person waits".to_owned(),
            more => format!("; {more} people wait"),
        };
        let nothing =
            format!("Nothing would change: the workspace is as the engine knows it{waits}.");
        push_wrapped(&mut out, "", 0, &nothing, look);
    }
    out
}

fn sign(change: Change, look: &Look) -> String {
    match change {
        Change::Create => paint("+", Color::Green, look),
        Change::Update => paint("~", Color::Yellow, look),
        Change::Retire => paint("-", Color::Red, look),
        Change::Invalid => paint("!", Color::Red, look),
        Change::None => " ".to_owned(),
    }
}

fn zone_of(campaign: &CampaignPlan) -> Zone {
    campaign
        .timezone
        .as_deref()
        .and_then(|name| Zone::parse(name).ok())
        .unwrap_or(Zone::UTC)
}

fn one(out: &mut String, campaign: &CampaignPlan, look: &Look) {
    let what = match campaign.change {
        Change::Create => "would start",
        Change::Update => "its file was changed (`tidings plan --against HEAD` shows what of it)",
        Change::Retire => "its file is gone: would stop",
        Change::Invalid => "its file is invalid: would be held",
        Change::None => "as the engine knows it",
    };
    let name = plain(&campaign.name);
    let _ = write!(
        out,
        "{} {} ",
        sign(campaign.change, look),
        paint(&name, Color::White, look)
    );
    let what = format!("({}): {what}", plain(&campaign.file));
    push_from(out, 2 + display_width(&name) + 1, 4, &what, look.width);
    let zone = zone_of(campaign);
    let people = &campaign.recipients;
    // The sign is one column, and may be coloured.
    let line = |out: &mut String, sign: &str, text: &str| {
        let _ = write!(out, "    {sign} ");
        push_from(out, 6, 8, text, look.width);
    };
    if people.added > 0 {
        line(
            out,
            &paint("+", Color::Green, look),
            &format!("{} recipients come in", people.added),
        );
    }
    if people.dropped > 0 {
        line(
            out,
            &paint("-", Color::Red, look),
            &format!("{} recipients are found no longer", people.dropped),
        );
    }
    let newly: u64 = people.newly_excluded.values().sum();
    if newly > 0 {
        let who = super::people(newly);
        let why = reasons(&people.newly_excluded);
        // Who waits for nothing yet leaves nothing.
        let text = match people.leaving == newly {
            true => format!("{who} go out: {why}"),
            false => format!("{who} left out: {why}"),
        };
        line(out, &paint("~", Color::Yellow, look), &text);
    }
    let after = if people.added > 0 || people.leaving > 0 || people.dropped > 0 {
        format!(" ({} after that)", people.reached())
    } else {
        String::new()
    };
    let mut standing = format!(
        "{} pending{after}, {} settled",
        people.pending, people.settled
    );
    let excluded: u64 = people.excluded.values().sum();
    if excluded > 0 {
        let _ = write!(
            standing,
            ", {excluded} excluded ({})",
            reasons(&people.excluded)
        );
    }
    let said = campaign
        .ready
        .as_ref()
        .filter(|_| campaign.kind == "warmup");
    match said {
        // A warmup has no people: how far its ramp is says it.
        Some(ready) if ready.status == Truth::True => line(out, " ", &plain(&ready.message)),
        _ => line(out, " ", &standing),
    }
    if campaign.messages.total > 0 {
        let text = format!(
            "{}: {} may leave now, up to {} today",
            messages(campaign.messages.total),
            campaign.messages.now,
            campaign.messages.today
        );
        line(out, " ", &text);
        let accounts = campaign.accounts.len();
        let text = format!(
            "blast radius: {} through {accounts} account{} ({}), at most {} a day",
            super::people(campaign.recipients.reached()),
            if accounts == 1 { "" } else { "s" },
            plain(&campaign.accounts.join(", ")),
            campaign.per_day
        );
        line(out, " ", &text);
    }
    if let Some(ai) = &campaign.ai {
        let whole = ai
            .tokens_at_most
            .map_or_else(String::new, |tokens| format!(", {tokens} until its end"));
        let text = format!(
            "AI ({}): at most {} answers, {} tokens a day ({} used today){whole}",
            plain(&ai.model),
            ai.answers_at_most,
            ai.tokens_per_day_at_most,
            ai.tokens_today
        );
        line(out, " ", &text);
    }
    for wait in &campaign.waiting {
        let until = wait.until.map_or_else(String::new, |at| {
            format!(", until {}", moment_words(at, zone, look.now))
        });
        line(
            out,
            " ",
            &format!(
                "{} wait{}: {}{until}",
                wait.count,
                if wait.count == 1 { "s" } else { "" },
                wait.reason
            ),
        );
    }
    // Of an invalid file all errors follow.
    let said = |ready: &&super::Condition| {
        ready.status != Truth::True && campaign.errors.is_empty() && ready.reason != "NotSeen"
    };
    if let Some(ready) = campaign.ready.as_ref().filter(said) {
        line(
            out,
            " ",
            &format!("{}: {}", plain(&ready.reason), plain(&ready.message)),
        );
    }
    if !campaign.next_runs.is_empty() {
        let runs: Vec<String> = campaign
            .next_runs
            .iter()
            .map(|at| moment_words(*at, zone, look.now))
            .collect();
        line(out, " ", &format!("runs start {}", runs.join("; ")));
    }
    if let Some(finish) = campaign.finish_estimate {
        let waits_for_a_word = campaign
            .waiting
            .iter()
            .any(|wait| matches!(wait.reason, Waiting::AwaitingApproval | Waiting::Canary));
        let when = match waits_for_a_word {
            true => "approved now, done",
            false => "done",
        };
        line(
            out,
            " ",
            &format!("{when} {}", moment_words(finish, zone, look.now)),
        );
    }
    for source in &campaign.sources {
        line(out, " ", &source_words(source, look.now));
    }
    for text in &campaign.errors {
        line(out, &paint("!", Color::Red, look), &plain(text));
    }
    for text in &campaign.warnings {
        line(out, &paint("!", Color::Yellow, look), &plain(text));
    }
}

fn messages(count: u64) -> String {
    if count == 1 {
        "1 message".to_owned()
    } else {
        format!("{count} messages")
    }
}

fn source_words(source: &super::SourcePlan, now: Timestamp) -> String {
    let label = plain(&source.label);
    match (source.at, &source.error) {
        (None, _) => format!("{label}: not looked up yet"),
        (Some(at), Some(error)) => {
            format!(
                "{label}: {} found, failed {}: {}",
                source.found,
                human_relative(at.0, now),
                plain(error)
            )
        }
        (Some(at), None) => {
            let cut = match (&source.partial, source.complete) {
                (_, true) => String::new(),
                (Some(partial), false) => format!(", not everybody: {}", plain(partial)),
                (None, false) => ", cut off".to_owned(),
            };
            format!(
                "{label}: {} found, looked up {}{cut}",
                source.found,
                human_relative(at.0, now)
            )
        }
    }
}

fn reasons(counts: &BTreeMap<Exclusion, u64>) -> String {
    counts
        .iter()
        .map(|(reason, n)| format!("{n} {reason}"))
        .collect::<Vec<_>>()
        .join(", ")
}
