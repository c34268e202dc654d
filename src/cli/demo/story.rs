//! From the ledger's entries and the engine's reports to sentences.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Failure;
use super::judge::{flood_seconds, is_message};
use super::screen::Screen;
use crate::model::{AccountState, ConditionType, Timestamp, Waiting};
use crate::sandbox::{Entry, World};
use crate::status::{CampaignStatus, StatusReport, Truth, plain};

/// Characters of a message that a line shows.
const SHOWN: usize = 72;

/// Who is who in the world, by `user:ID`.
pub(super) struct Names(BTreeMap<String, String>);

impl Names {
    pub(super) fn of(world: &World) -> Names {
        let name = |user: &crate::sandbox::User| match &user.username {
            Some(username) => format!("{} (@{username})", user.first_name),
            None => user.first_name.clone(),
        };
        Names(
            world
                .users
                .iter()
                .map(|user| (format!("user:{}", user.id), name(user)))
                .collect(),
        )
    }

    fn get(&self, entry: &Entry) -> String {
        let peer = entry.peer.clone().unwrap_or_default();
        self.0.get(&peer).cloned().unwrap_or(peer)
    }
}

/// What was already said, so that it is said once.
#[derive(Default)]
pub(super) struct Story {
    told: u64,
    /// Who has got the campaign's message: what follows is an answer.
    got: BTreeSet<String>,
    said: BTreeSet<String>,
}

/// The demo's wall clock: hours, minutes and seconds of UTC.
pub(super) fn clock_time(at: Timestamp) -> String {
    let of_day = at.millis().div_euclid(1000).rem_euclid(86_400);
    format!(
        "{:02}:{:02}:{:02}",
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60
    )
}

impl Story {
    /// Tells what is new in the book.
    pub(super) fn book(
        &mut self,
        entries: &[Entry],
        names: &Names,
        confirmation: &str,
        is_opt_out: impl Fn(&str) -> bool,
        is_handoff: impl Fn(&str) -> bool,
        screen: &Screen,
    ) -> Result<(), Failure> {
        for entry in entries.iter().filter(|entry| entry.seq > self.told) {
            let at = clock_time(Timestamp(entry.at));
            let account = entry.account.as_deref().unwrap_or("?");
            let text = entry.text.as_deref().unwrap_or("");
            if is_message(entry) {
                let who = names.get(entry);
                let first = self.got.insert(entry.peer.clone().unwrap_or_default());
                let by = if first || text == confirmation {
                    ""
                } else {
                    " (AI)"
                };
                screen.line(&format!("{at}  {account}{by} → {who}: {}", shown(text)))?;
                if text == confirmation {
                    screen.notable(&at, &format!("{who} is confirmed, and written to no more."))?;
                }
            } else if let Some(seconds) = flood_seconds(entry) {
                screen.notable(
                    &at,
                    &format!(
                        "Telegram tells {account} to wait {seconds} s (FLOOD_WAIT). It waits and keeps the person it wrote to; other accounts go on."
                    ),
                )?;
            } else if let Some(error) = &entry.error
                && entry.kind == "rpc"
            {
                let who = match &entry.query {
                    Some(query) => query.clone(),
                    None => names.get(entry),
                };
                screen.notable(
                    &at,
                    &format!(
                        "{account} → {who}: Telegram refuses ({error}).{}",
                        consequence(error)
                    ),
                )?;
            } else if entry.kind == "person" && matches!(&*entry.method, "write" | "edit") {
                let who = names.get(entry);
                screen.line(&format!("{at}  {who} answers {account}: {}", shown(text)))?;
                if is_opt_out(text) {
                    screen.notable(
                        &at,
                        &format!("{who} has opted out, of every campaign and for every account."),
                    )?;
                } else if is_handoff(text) {
                    screen.notable(
                        &at,
                        &format!("{who} asks for a human: the AI is silent, and `tidings replies list` shows who waits."),
                    )?;
                }
            }
        }
        if let Some(last) = entries.last() {
            self.told = self.told.max(last.seq);
        }
        Ok(())
    }

    /// Tells what is new in the report.
    pub(super) fn report(&mut self, report: &StatusReport, screen: &Screen) -> Result<(), Failure> {
        let at = clock_time(report.generated_at.0);
        for campaign in &report.campaigns {
            let name = &campaign.name;
            if let Some(text) = audience(campaign)
                && self.first(format!("audience {name}"))
            {
                screen.notable(&at, &text)?;
            }
            for wait in campaign
                .waiting
                .iter()
                .filter(|wait| wait.reason == Waiting::OutsideWindow)
            {
                if let Some(until) = wait.until
                    && self.first(format!("window {name}"))
                {
                    screen.notable(
                        &at,
                        &format!(
                            "{name}: {} people wait for its window, until {} UTC (OutsideWindow).",
                            wait.count,
                            clock_time(until.0)
                        ),
                    )?;
                }
            }
            let invalid = campaign
                .condition(ConditionType::SpecValid)
                .is_some_and(|c| c.status == Truth::False);
            if invalid && self.first(format!("invalid {name}")) {
                screen.notable(
                    &at,
                    &format!("{name}: held, because its file has an error. The others go on."),
                )?;
            }
        }
        for account in report
            .accounts
            .iter()
            .filter(|account| account.state == AccountState::FloodWait)
        {
            if let Some(until) = account.until
                && self.first(format!("flood {} {until}", account.name))
            {
                screen.notable(
                    &at,
                    &format!(
                        "{}: flood_wait until {} UTC.",
                        account.name,
                        clock_time(until.0)
                    ),
                )?;
            }
        }
        Ok(())
    }

    fn first(&mut self, what: String) -> bool {
        self.said.insert(what)
    }
}

/// Who was found; `None` before that is known.
fn audience(campaign: &CampaignStatus) -> Option<String> {
    let audience = &campaign.audience;
    if audience.included == 0
        || audience
            .sources
            .iter()
            .any(|source| source.at.is_none() || source.running_since.is_some())
    {
        return None;
    }
    let sources: Vec<String> = audience
        .sources
        .iter()
        .map(|source| format!("{} from {}", source.found, plain(&source.label)))
        .collect();
    let excluded: Vec<String> = audience
        .excluded
        .iter()
        .map(|(why, n)| format!("{why} {n}"))
        .collect();
    let left_out = if excluded.is_empty() {
        String::new()
    } else {
        format!("; left out: {}", excluded.join(", "))
    };
    Some(format!(
        "{}: {} found ({}), {} to be written to{left_out}.",
        campaign.name,
        audience.found,
        sources.join(", "),
        audience.included
    ))
}

/// What an error means for the person.
fn consequence(error: &str) -> &'static str {
    if error.starts_with("USER_PRIVACY_RESTRICTED") {
        " No strangers: skipped for good, by every account."
    } else if error.starts_with("ALLOW_PAYMENT_REQUIRED") {
        " A message would cost money: skipped, nothing is ever paid."
    } else if error.starts_with("USERNAME_NOT_OCCUPIED") || error.starts_with("PHONE_NOT_OCCUPIED")
    {
        " Nobody has that name: skipped as not_found."
    } else {
        ""
    }
}

/// A message on one line, and not all of it.
fn shown(text: &str) -> String {
    let flat = plain(&text.split_whitespace().collect::<Vec<_>>().join(" "));
    if flat.chars().count() <= SHOWN {
        return format!("“{flat}”");
    }
    let cut: String = flat.chars().take(SHOWN).collect();
    format!("“{}…”", cut.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_broken_texts_become_one_short_line() {
        assert_eq!(shown("Hi\nthere"), "“Hi there”");
        let long = shown(&"слово ".repeat(40));
        assert!(
            long.ends_with("…”") && long.chars().count() <= SHOWN + 3,
            "{long}"
        );
        assert!(
            !shown("a\u{1b}[31mb").contains('\u{1b}'),
            "no text steers the terminal"
        );
    }

    #[test]
    fn the_clock_shows_the_time_of_day() {
        assert_eq!(clock_time(Timestamp(0)), "00:00:00");
        assert_eq!(clock_time(Timestamp(86_400_000 + 3_661_000)), "01:01:01");
    }
}
