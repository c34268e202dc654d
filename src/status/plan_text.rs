//! `tidings plan` for people: `+` comes, `~` changes, `-` goes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use comfy_table::Color;

use super::document::{CampaignPlan, Change, MessagesPlan, PlanDocument};
use super::plain::plain;
use super::table::{Look, display_width, moment_words, paint};
use super::types::Truth;
use super::wrap::{push_from, push_wrapped};
use crate::model::{Exclusion, Timestamp, Waiting};
use crate::time::{Zone, human_relative};

/// The plan as text.
pub fn plan_text(plan: &PlanDocument, look: &Look) -> String {
    let mut out = String::new();
    let wrong = plan
        .folder_error
        .iter()
        .map(|why| format!("campaigns/: {why}. Everything is held, and nothing is retired."))
        .chain(plan.invalid_files.iter().map(|bad| bad.message.clone()));
    for text in wrong {
        let sign = format!("{} ", paint("!", Color::Red, look));
        push_wrapped(&mut out, &sign, 2, &plain(&text), look);
        out.push('\n');
    }
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
    // While everything is held nobody knows what would change.
    if !plan.changes && plan.folder_error.is_none() {
        let waits_for_it = |c: &&CampaignPlan| c.kind != "collect";
        let pending: u64 = plan
            .campaigns
            .iter()
            .filter(waits_for_it)
            .map(|c| c.recipients.pending)
            .sum();
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
    let since = campaign.known_commit.as_deref().map(|commit| {
        format!("its files were changed (`tidings plan --against {commit:.12}` shows what of it)")
    });
    let what = match campaign.change {
        Change::Create => "would start",
        // What the engine knows may stand in no commit: then there is nothing to compare with.
        Change::Update => since.as_deref().unwrap_or("its files were changed"),
        Change::Retire => "its file is gone: would stop",
        Change::Invalid if campaign.last_good => {
            "its file is invalid: its last good version goes on (`on_invalid: continue`)"
        }
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
    let moves = people.added > 0 || people.leaving > 0 || people.dropped > 0;
    let after = |then: u64| match moves {
        true => format!(" ({then} after that)"),
        false => String::new(),
    };
    let mut standing = match campaign.kind.as_str() {
        // Nobody waits for anything: they are what it is for.
        "collect" => format!(
            "{} collected{}",
            people.pending + people.settled,
            after(people.reached() + people.settled)
        ),
        _ => format!(
            "{} pending{}, {} settled",
            people.pending,
            after(people.reached()),
            people.settled
        ),
    };
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
        let MessagesPlan {
            now,
            today,
            total,
            follow_ups,
        } = campaign.messages;
        let of_them = match (follow_ups, total - follow_ups.min(total)) {
            (0, _) => String::new(),
            (1, 0) => ", a follow-up".to_owned(),
            (_, 0) => ", all follow-ups".to_owned(),
            (1, _) => ", 1 of them a follow-up".to_owned(),
            (more, _) => format!(", {more} of them follow-ups"),
        };
        let text = format!(
            "{}{of_them}: {now} may leave now, up to {today} today",
            messages(total)
        );
        line(out, " ", &text);
        let accounts = campaign.accounts.len();
        let new = super::people(people.reached());
        let whom = match (people.reached(), follow_ups) {
            (_, 0) => new,
            (0, _) => "those who wait for a follow-up".to_owned(),
            (_, _) => format!("{new} and those who wait for a follow-up"),
        };
        let text = format!(
            "blast radius: {whom} through {accounts} account{} ({}), at most {} a day",
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
    // Whoever was collected by one that is done waits for nothing.
    let is_collected = campaign.kind == "collect"
        && campaign
            .ready
            .as_ref()
            .is_some_and(|ready| ready.reason == "Succeeded");
    for wait in campaign.waiting.iter().filter(|_| !is_collected) {
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
        let told = campaign.errors.is_empty() || campaign.last_good;
        ready.status != Truth::True && told && ready.reason != "NotSeen"
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
