//! What a person has to know before any number: what needs him, what somebody holds, and who waits for an answer.

use comfy_table::Color;

use super::plain::plain;
use super::table::{Look, absolute_words, display_width, pad, paint};
use super::types::{CampaignStatus, Condition, HoldStatus, StatusReport, Sync, Truth};
use super::wrap::{is_stacked, push_entry, push_wrapped};
use crate::model::{ConditionType, Timestamp, Waiting};
use crate::time::{Zone, human_relative};

/// What needs a person, which campaigns are held or suspended, and which conversations wait, a paragraph each; of each at most
/// so many lines, with what shows the rest.
pub fn notes(report: &StatusReport, look: &Look, most: usize, rest: &str) -> String {
    let mut out = String::new();
    let needs = needs_person_list(report);
    entries(&mut out, "Needs you:", &needs, most, rest, look);
    entries(&mut out, "Held:", &held_list(report), most, "", look);
    let suspended = suspended_list(report, look.now);
    entries(&mut out, "Suspended:", &suspended, most, "", look);
    let talks = report.conversations.lines();
    if !talks.is_empty() {
        out.push_str(&format!(
            "\n{}\n",
            paint("Conversations:", Color::Yellow, look)
        ));
        for line in talks {
            push_wrapped(&mut out, "  ", 4, &line, look);
        }
    }
    out
}

fn entries(
    out: &mut String,
    title: &str,
    list: &[(String, String)],
    most: usize,
    rest: &str,
    look: &Look,
) {
    if list.is_empty() {
        return;
    }
    out.push_str(&format!("\n{}\n", paint(title, Color::Yellow, look)));
    let shown = || list.iter().take(most);
    let widest = shown()
        .map(|(who, _)| display_width(who))
        .max()
        .unwrap_or(0);
    for (who, why) in shown() {
        if is_stacked(look.width) {
            push_entry(out, "  ", who, why, look);
        } else {
            let head = format!("  {}  ", pad(who, widest));
            push_wrapped(out, &head, widest + 4, why, look);
        }
    }
    if list.len() > most {
        let more = list.len() - most;
        out.push_str(&format!("  … and {more} more{rest}.\n"));
    }
}

/// That everything is suspended: since when, by whom, why, and what ends it.
pub fn suspended_line(report: &StatusReport, now: Timestamp) -> Option<String> {
    let hold = report.suspended.as_ref()?;
    Some(format!(
        "All campaigns are suspended {} `tidings resume --all` lets them go on.",
        hold_words(hold, now)
    ))
}

/// The campaigns that are held until the engine itself has done something, such as reading dialogs after a restore.
fn held_list(report: &StatusReport) -> Vec<(String, String)> {
    let held = report.campaigns.iter().filter_map(|campaign| {
        let ready = condition(campaign, ConditionType::Ready, Truth::True)?;
        (ready.reason == Waiting::Held.name())
            .then(|| (plain(&campaign.name), plain(&ready.message)))
    });
    held.collect()
}

/// The campaigns that are suspended alone, and the same of each.
fn suspended_list(report: &StatusReport, now: Timestamp) -> Vec<(String, String)> {
    // What holds all is said of all at once, and lifted at once.
    if report.suspended.is_some() {
        return Vec::new();
    }
    let held = report.campaigns.iter().filter_map(|campaign| {
        let hold = campaign.suspended.as_ref()?;
        let name = plain(&campaign.name);
        let words = hold_words(hold, now);
        let why = format!("{words} `tidings resume {name}` lets it go on.");
        (campaign.sync != Sync::Retired).then_some((name, why))
    });
    held.collect()
}

/// `since 12:00:00 UTC (5 minutes ago) by anna: too many complaints.`
fn hold_words(hold: &HoldStatus, now: Timestamp) -> String {
    format!(
        "since {} ({}) by {}: {}.",
        absolute_words(hold.since, Zone::UTC, now),
        human_relative(hold.since.0, now),
        plain(&hold.by),
        plain(&hold.reason).trim_end_matches('.')
    )
}

/// Whom and what waits for a person: the subject, and what to do. Deliberate holds (`paused: true`, `suspend`, a
/// removed file, a campaign past its end) are not among them.
pub fn needs_person_list(report: &StatusReport) -> Vec<(String, String)> {
    let mut list = Vec::new();
    if let Some(error) = &report.folder_error {
        list.push((
            "campaigns/".to_owned(),
            format!(
                "{}. Everything is held, and nothing is retired.",
                plain(error)
            ),
        ));
    }
    for bad in &report.invalid_files {
        list.push((
            plain(&bad.file),
            format!("Invalid: {}", plain(&bad.message)),
        ));
    }
    for campaign in &report.campaigns {
        if campaign.sync == Sync::Unreadable {
            continue;
        }
        if let Some(why) = campaign_needs(campaign) {
            list.push((plain(&campaign.name), why));
        }
    }
    for account in &report.accounts {
        let needed = report
            .campaigns
            .iter()
            .any(|campaign| is_live(campaign) && campaign.accounts.contains(&account.name));
        if needed && account.needs_a_person() {
            list.push((
                plain(&account.name),
                format!("{}: {}", account.state, plain(&account.message)),
            ));
        }
    }
    list
}

/// Whether something is invalid, stalled, or waits for a person: exit code 4 of `status --check` and `run --once`.
pub fn needs_person(report: &StatusReport) -> bool {
    !needs_person_list(report).is_empty()
}

/// Reasons by which a campaign rests because somebody wants it so.
pub(super) const DELIBERATE: &[&str] = &["Paused", "Suspended", "Retired", "Ended"];

fn campaign_needs(campaign: &CampaignStatus) -> Option<String> {
    if let Some(invalid) = condition(campaign, ConditionType::SpecValid, Truth::False) {
        return Some(words(invalid));
    }
    if campaign.sync == Sync::Retired {
        return None;
    }
    let ready = condition(campaign, ConditionType::Ready, Truth::False);
    if let Some(stalled) = condition(campaign, ConditionType::Stalled, Truth::True) {
        // The condition `Ready` says what to do as well.
        return Some(
            ready
                .filter(|ready| ready.reason == "Stalled")
                .map_or_else(|| words(stalled), words),
        );
    }
    let ready = ready.filter(|ready| !DELIBERATE.contains(&ready.reason.as_str()))?;
    // What each account needs has a line of its own.
    let accounts = &campaign.accounts;
    Some(match (ready.reason.as_str(), accounts.as_slice()) {
        ("NoAccount", [one]) => format!("NoAccount: its account {} needs you.", plain(one)),
        ("NoAccount", [_, _, ..]) => format!(
            "NoAccount: its accounts {} need you.",
            plain(&accounts.join(", "))
        ),
        _ => words(ready),
    })
}

fn words(condition: &Condition) -> String {
    format!(
        "{}: {}",
        plain(&condition.reason),
        plain(&condition.message)
    )
}

fn condition(campaign: &CampaignStatus, kind: ConditionType, status: Truth) -> Option<&Condition> {
    campaign
        .condition(kind)
        .filter(|condition| condition.status == status)
}

/// Whether it wants to send and is not held on purpose.
fn is_live(campaign: &CampaignStatus) -> bool {
    let held = campaign
        .condition(ConditionType::Ready)
        .is_some_and(|ready| DELIBERATE.contains(&ready.reason.as_str()));
    // One that has succeeded still answers and follows up.
    campaign.sync != Sync::Retired && !held
}
