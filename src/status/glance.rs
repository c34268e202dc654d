//! One campaign in one line: what the table and the live view show.

use super::needs::needs_person_list;
use super::plain::plain;
use super::table;
use super::types::{CampaignStatus, StatusReport};
use crate::model::{AccountState, Timestamp};

/// How something is doing, for whoever paints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// It waits by itself.
    Warn,
    /// A person must act.
    Bad,
    /// At rest.
    Quiet,
}

/// A campaign in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance {
    /// Its name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// How its file stands to what the engine goes by.
    pub sync: &'static str,
    /// How that is.
    pub sync_tone: Tone,
    /// The reason of its condition `Ready`.
    pub state: String,
    /// How that is.
    pub state_tone: Tone,
    /// People who are settled.
    pub settled: u64,
    /// People in the audience.
    pub included: u64,
    /// How far it is, in words.
    pub progress: String,
    /// What its people wait for.
    pub waits: String,
    /// Until when.
    pub until: String,
    /// The same in fewer words: how far that is away.
    pub until_soon: String,
    /// What a person has to do.
    pub needs: Option<String>,
}

impl Glance {
    /// Whether it holds this text, in any case: for a filter.
    pub fn holds(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        [
            self.name.as_str(),
            self.title.as_str(),
            self.sync,
            self.state.as_str(),
            self.waits.as_str(),
        ]
        .iter()
        .any(|part| part.to_lowercase().contains(&text))
    }
}

/// Every campaign of the report, in its order.
pub fn glances(report: &StatusReport, now: Timestamp) -> Vec<Glance> {
    let needs = needs_person_list(report);
    report
        .campaigns
        .iter()
        .map(|campaign| glance(campaign, &needs, report.daemon.running, now))
        .collect()
}

fn glance(
    campaign: &CampaignStatus,
    needs: &[(String, String)],
    is_running: bool,
    now: Timestamp,
) -> Glance {
    let name = plain(&campaign.name);
    Glance {
        title: campaign.title.as_deref().map(plain).unwrap_or_default(),
        sync: campaign.sync.name(),
        sync_tone: table::sync_tone(campaign.sync),
        state: table::state_words(campaign),
        state_tone: table::state_tone(campaign),
        // Of a `collect` nobody is left to write to.
        settled: match campaign.kind.as_str() {
            "collect" => campaign.progress.included(),
            _ => campaign.progress.settled(),
        },
        included: campaign.progress.included(),
        progress: table::progress_words(campaign),
        waits: table::waits_of(campaign),
        until: table::until_words(campaign, is_running, now, None),
        until_soon: table::until_words(campaign, is_running, now, Some(table::NARROW - 1)),
        needs: needs
            .iter()
            .find(|(who, _)| *who == name)
            .map(|(_, why)| why.clone()),
        name,
    }
}

/// How an account is doing.
pub fn account_tone(state: AccountState) -> Tone {
    match state {
        AccountState::Ready => Tone::Good,
        AccountState::FloodWait | AccountState::Limited | AccountState::Unreachable => Tone::Warn,
        _ => Tone::Bad,
    }
}
