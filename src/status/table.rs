//! The report for people.

use std::fmt::Write as _;

use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table,
    presets::NOTHING,
};

use super::glance::{Tone, account_tone};
use super::needs::{DELIBERATE, notes, suspended_line};
use super::plain::plain;
use super::types::{
    AccountStatus, CampaignStatus, DaemonInfo, Moment, StatusReport, Sync, Truth, WaitStatus,
};
use super::wrap::{is_stacked, push_grid, push_named, push_wrapped};
use crate::model::{ConditionType, Timestamp, Waiting};
use crate::time::{Zone, human_duration, human_relative};

/// How a report is to look.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// More columns.
    pub wide: bool,
    /// The terminal's columns; `None`: lines are as long as they are.
    pub width: Option<usize>,
    /// ANSI colours.
    pub colour: bool,
    /// Now, for ages.
    pub now: Timestamp,
}

/// Narrower tables break every word.
const LEAST_WIDTH: usize = 40;
/// Lines about what needs a person; the rest is counted.
const MAX_NEEDS: usize = 20;

/// All campaigns and accounts.
pub fn table(report: &StatusReport, look: &Look) -> String {
    let mut out = String::new();
    push_wrapped(&mut out, "", 0, &daemon_line(&report.daemon), look);
    if let Some(held) = suspended_line(report, look.now) {
        let mut lines = String::new();
        push_wrapped(&mut lines, "", 0, &held, look);
        out.push_str(&paint(lines.trim_end(), Color::Yellow, look));
        out.push('\n');
    }
    out.push('\n');
    if report.campaigns.is_empty() {
        out.push_str("No campaigns. `tidings init` makes an example.\n");
    } else {
        campaigns(&mut out, report, look);
    }
    out.push_str(&notes(report, look, MAX_NEEDS, ""));
    if !report.accounts.is_empty() {
        out.push('\n');
        out.push_str(&accounts_table(&report.accounts, look));
    }
    out
}

pub(super) fn daemon_line(daemon: &DaemonInfo) -> String {
    if !daemon.running {
        return "No daemon is running: this is what the state holds. `tidings run` starts one."
            .to_owned();
    }
    let pid = daemon
        .pid
        .map_or_else(String::new, |pid| format!(", pid {pid}"));
    let age = daemon.heartbeat_age_ms.map_or_else(String::new, |age| {
        format!(
            ", heartbeat {} ago",
            human_duration(i64::try_from(age).unwrap_or(i64::MAX))
        )
    });
    let page = daemon
        .web
        .as_deref()
        .map_or_else(String::new, |url| format!(" The page: {}", plain(url)));
    format!(
        "The daemon runs{pid}, version {}{age}.{page}",
        plain(&daemon.version)
    )
}

fn campaigns(out: &mut String, report: &StatusReport, look: &Look) {
    let narrow = look.width.is_some_and(|width| width < NARROW);
    let is_running = report.daemon.running;
    // Where there is little room, what the state says is not said again.
    let waits = |campaign: &CampaignStatus| {
        let waits = waits_of(campaign);
        match narrow && waits == state_words(campaign) {
            true => String::new(),
            false => waits,
        }
    };
    let tells_waits = !narrow || report.campaigns.iter().any(|c| !waits(c).is_empty());
    let mut head = vec!["CAMPAIGN"];
    if !narrow {
        head.push("SPEC");
    }
    head.extend(["STATE", "PROGRESS"]);
    if tells_waits {
        head.push("WAITS FOR");
    }
    head.push("UNTIL");
    if look.wide {
        head.extend([
            "RUN",
            "GEN",
            "FOUND",
            "EXCLUDED",
            "PENDING",
            "SENT",
            "FAILED",
            "SKIPPED",
            "UNCERTAIN",
            "REPLIED",
            "OPTED OUT",
            "DONE BY",
            "FILE",
        ]);
    }
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for campaign in &report.campaigns {
        let progress = &campaign.progress;
        let mut row = vec![Cell::new(plain(&campaign.name))];
        let mut state = state_words(campaign);
        if !narrow {
            let tone = colour_of(sync_tone(campaign.sync));
            row.push(coloured(campaign.sync.name(), tone, look));
        } else if matches!(campaign.sync, Sync::Changed | Sync::Unreadable) {
            // Of the others the state says the same.
            let _ = write!(state, ", file {}", campaign.sync.name());
        }
        row.extend([
            coloured(&state, colour_of(state_tone(campaign)), look),
            Cell::new(progress_words(campaign)),
        ]);
        if tells_waits {
            row.push(Cell::new(waits(campaign)));
        }
        row.push(Cell::new(until_words(
            campaign, is_running, look.now, look.width,
        )));
        if look.wide {
            let excluded: u64 = campaign.audience.excluded.values().sum();
            row.push(right(campaign.run));
            row.push(right(generation_words(campaign)));
            for number in [
                campaign.audience.found,
                excluded,
                progress.pending,
                progress.sent,
                progress.failed,
                progress.skipped,
                progress.uncertain,
                progress.replied,
                progress.opted_out,
            ] {
                row.push(right(number));
            }
            row.push(Cell::new(
                campaign
                    .finish_estimate
                    .filter(|_| is_running)
                    .map_or_else(String::new, |at| {
                        moment_words(at, zone_of(campaign), look.now)
                    }),
            ));
            row.push(Cell::new(plain(&campaign.file)));
        }
        rows.push(row);
    }
    push_named(out, &head, rows, look);
}

/// The accounts as a table.
pub fn accounts_table(accounts: &[AccountStatus], look: &Look) -> String {
    let mut out = String::new();
    if accounts.is_empty() {
        out.push_str("No accounts. `tidings account login NAME --phone …` makes one.\n");
        return out;
    }
    let labelled = look.wide && accounts.iter().any(|account| !account.labels.is_empty());
    let mut head = vec!["ACCOUNT", "STATE", "TODAY", "UNTIL", "MESSAGE"];
    if labelled {
        head.push("LABELS");
    }
    let mut grid = grid(&head, look);
    for account in accounts {
        let until = account.until.map_or_else(String::new, |at| {
            when(
                at,
                zone_named(account.timezone.as_deref()),
                look.now,
                look.width,
            )
        });
        let mut row = vec![
            Cell::new(plain(&account.name)),
            coloured(
                account.state.name(),
                colour_of(account_tone(account.state)),
                look,
            ),
            Cell::new(format!(
                "{} of {}",
                account.sent_today, account.allowance_today
            )),
            Cell::new(until),
            Cell::new(plain(&account.message)),
        ];
        if labelled {
            let labels: Vec<String> = account
                .labels
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            row.push(Cell::new(plain(&labels.join(", "))));
        }
        grid.add_row(row);
    }
    if let Some(column) = grid.column_mut(0) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    push_grid(&mut out, &grid, look);
    out
}

/// The reason of the condition `Ready`.
pub(super) fn state_words(campaign: &CampaignStatus) -> String {
    campaign
        .condition(ConditionType::Ready)
        .map(|ready| plain(&ready.reason))
        .unwrap_or_default()
}

/// How that is.
pub(super) fn state_tone(campaign: &CampaignStatus) -> Tone {
    let Some(ready) = campaign.condition(ConditionType::Ready) else {
        return Tone::Quiet;
    };
    match ready.status {
        _ if DELIBERATE.contains(&ready.reason.as_str()) => Tone::Quiet,
        Truth::True if campaign.is(ConditionType::Throttled) => Tone::Warn,
        Truth::True => Tone::Good,
        Truth::False => Tone::Bad,
        Truth::Unknown => Tone::Quiet,
    }
}

fn colour_of(tone: Tone) -> Color {
    match tone {
        Tone::Good => Color::Green,
        Tone::Warn => Color::Yellow,
        Tone::Bad => Color::Red,
        Tone::Quiet => Color::DarkGrey,
    }
}

pub(super) fn progress_words(campaign: &CampaignStatus) -> String {
    let progress = &campaign.progress;
    let included = progress.included();
    // The account that has furthest to go.
    let last = campaign
        .warmup
        .iter()
        .max_by_key(|ramp| ramp.days.saturating_sub(ramp.day));
    if let Some(ramp) = last {
        let mut text = format!(
            "day {} of {}, {} today",
            ramp.day, ramp.days, ramp.allowance_today
        );
        if ramp.join > 0 {
            let _ = write!(text, ", {} of {} joined", ramp.joined, ramp.join);
        }
        return text;
    }
    if included == 0 {
        return "-".to_owned();
    }
    if campaign.kind == "collect" {
        return format!("{included} collected");
    }
    let settled = progress.settled();
    // Rounded down, so that 100 % is said of all only.
    let percent = u128::from(settled) * 100 / u128::from(included);
    let mut text = format!("{settled} of {included} ({percent} %)");
    if progress.failed > 0 && progress.failed < settled {
        let _ = write!(text, ", {} failed", progress.failed);
    } else if progress.failed > 0 {
        text.push_str(", all failed");
    }
    text
}

/// What its people wait for; those of a `collect` for nothing.
pub(super) fn waits_of(campaign: &CampaignStatus) -> String {
    if is_collected(campaign) {
        return String::new();
    }
    if campaign.waiting.is_empty() {
        // All got the first message: what comes next are the later ones.
        return match campaign.steps.iter().map(|step| step.pending).sum::<u64>() {
            0 => String::new(),
            1 => "1 follow-up".to_owned(),
            many => format!("{many} follow-ups"),
        };
    }
    waits_words(&campaign.waiting)
}

/// A `collect` that is done: its people wait for nothing, they are what it was for.
pub(super) fn is_collected(campaign: &CampaignStatus) -> bool {
    let only_held = campaign.waiting.iter().all(|wait| {
        matches!(
            wait.reason,
            Waiting::Held | Waiting::Suspended | Waiting::Paused
        )
    });
    campaign.kind == "collect" && only_held && campaign.is(ConditionType::Succeeded)
}

fn waits_words(waiting: &[WaitStatus]) -> String {
    if let [only] = waiting {
        return only.reason.to_string();
    }
    waiting
        .iter()
        .map(|wait| format!("{} {}", wait.count, wait.reason))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Terminals that are narrower have no room for what is told twice: a moment is only told by how far it is away, and
/// how the file stands beside the state.
pub(super) const NARROW: usize = 100;

fn is_narrow(width: Option<usize>) -> bool {
    width.is_some_and(|width| width < NARROW) && !is_stacked(width)
}

fn when(at: Moment, zone: Zone, now: Timestamp, width: Option<usize>) -> String {
    if is_narrow(width) {
        human_relative(at.0, now)
    } else {
        moment_words(at, zone, now)
    }
}

pub(super) fn until_words(
    campaign: &CampaignStatus,
    is_running: bool,
    now: Timestamp,
    width: Option<usize>,
) -> String {
    // A delay of seconds is the pace, not a wait: what is of interest is when all is done.
    let pace = campaign
        .waiting
        .iter()
        .any(|wait| wait.reason == Waiting::Delay);
    let zone = zone_of(campaign);
    match (pace, campaign.finish_estimate, campaign.next_action_at) {
        // Without a daemon nothing is ever done.
        (true, _, _) if !is_running => String::new(),
        (true, Some(finish), _) => format!("done {}", when(finish, zone, now, width)),
        (_, _, Some(next)) => when(next, zone, now, width),
        _ => String::new(),
    }
}

fn generation_words(campaign: &CampaignStatus) -> String {
    if campaign.generation == campaign.observed_generation {
        campaign.generation.to_string()
    } else {
        format!("{}/{}", campaign.observed_generation, campaign.generation)
    }
}

pub(super) fn zone_of(campaign: &CampaignStatus) -> Zone {
    zone_named(campaign.timezone.as_deref())
}

fn zone_named(name: Option<&str>) -> Zone {
    name.and_then(|name| Zone::parse(name).ok())
        .unwrap_or(Zone::UTC)
}

/// `in 2 hours (Tue 1 Dec 09:00 CET)`.
pub fn moment_words(at: Moment, zone: Zone, now: Timestamp) -> String {
    format!(
        "{} ({})",
        human_relative(at.0, now),
        absolute_words(at, zone, now)
    )
}

/// `Tue 1 Dec 09:00 CET`; today `09:00:00 CET`; with the year where the day alone could be another one's.
pub fn absolute_words(at: Moment, zone: Zone, now: Timestamp) -> String {
    /// A day so far away may be taken for that of another year.
    const OTHER_YEAR: u64 = 180 * 24 * 3600;
    let there = zone.at(at.0);
    let away = at.0.since(now).max(now.since(at.0)).as_secs();
    let form = if there.date_naive() == zone.at(now).date_naive() {
        "%H:%M:%S %Z"
    } else if away > OTHER_YEAR {
        "%a %-d %b %Y %H:%M %Z"
    } else {
        "%a %-d %b %H:%M %Z"
    };
    there.format(form).to_string()
}

pub(super) fn sync_tone(sync: Sync) -> Tone {
    match sync {
        Sync::Current => Tone::Good,
        Sync::Changed | Sync::Unseen => Tone::Warn,
        Sync::Invalid | Sync::Unreadable => Tone::Bad,
        Sync::Retired => Tone::Quiet,
    }
}

pub(super) fn grid(head: &[&str], look: &Look) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    if look.colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    match look.width {
        Some(width) => {
            let width = u16::try_from(width.max(LEAST_WIDTH)).unwrap_or(u16::MAX);
            table
                .set_content_arrangement(ContentArrangement::Dynamic)
                .set_width(width);
        }
        None => {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
    }
    table.set_header(head.iter().map(|name| {
        let cell = Cell::new(name);
        if look.colour {
            cell.add_attribute(Attribute::Bold)
        } else {
            cell
        }
    }));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

pub(super) fn right(value: impl std::fmt::Display) -> Cell {
    Cell::new(value).set_alignment(CellAlignment::Right)
}

pub(super) fn coloured(text: &str, colour: Color, look: &Look) -> Cell {
    let cell = Cell::new(text);
    if look.colour { cell.fg(colour) } else { cell }
}

/// A text outside of tables in a colour.
pub(super) fn paint(text: &str, colour: Color, look: &Look) -> String {
    let code = match colour {
        Color::Yellow => "33",
        Color::Red => "31",
        Color::Green => "32",
        _ => "1",
    };
    if look.colour {
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

/// Columns of a terminal that a text takes.
pub(super) fn display_width(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

/// The text with spaces up to a width.
pub(super) fn pad(text: &str, width: usize) -> String {
    format!(
        "{text}{}",
        " ".repeat(width.saturating_sub(display_width(text)))
    )
}
