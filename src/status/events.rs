//! What happened, as people and programs read it.

mod talk;
mod words;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::plain::plain;
use super::table::{display_width, pad};
use super::types::Moment;
use super::wrap::{push_from, push_last};
use crate::model::{Lineage, Recorded};
use crate::observed::Observed;
use crate::time::Zone;

/// One event. Ids only: the journal holds no names and no texts of people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventLine {
    /// Its place in the journal.
    pub seq: u64,
    /// When.
    pub at: Moment,
    /// Of which kind: `sent`, `flood_wait`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Of which campaign, by its name now.
    pub campaign: Option<String>,
    /// Of which account.
    pub account: Option<String>,
    /// About whom: `id:123`.
    pub person: Option<String>,
    /// Whether something went wrong.
    pub error: bool,
    /// One sentence.
    pub message: String,
}

/// `events -o json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsDocument {
    /// Its minor part rises for additions.
    pub format_version: String,
    /// The oldest first.
    pub events: Vec<EventLine>,
    /// The newest sequence number that was looked at, whether or not it is among these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upto: Option<u64>,
    /// Where earlier ones may be that were not looked at: before this sequence number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<u64>,
}

impl EventsDocument {
    /// A document of these events.
    pub fn new(events: Vec<EventLine>) -> EventsDocument {
        EventsDocument {
            format_version: super::FORMAT_VERSION.to_owned(),
            events,
            upto: None,
            earlier: None,
        }
    }
}

/// The names that campaigns have now.
pub trait CampaignNames {
    /// The name of this campaign; none where it never had one.
    fn name_of(&self, campaign: &Lineage) -> Option<&str>;
}

impl CampaignNames for Observed {
    fn name_of(&self, campaign: &Lineage) -> Option<&str> {
        let name = self.campaigns.get(campaign)?.name.as_str();
        (!name.is_empty()).then_some(name)
    }
}

/// For whoever reads the journal beside the engine.
impl CampaignNames for BTreeMap<Lineage, String> {
    fn name_of(&self, campaign: &Lineage) -> Option<&str> {
        self.get(campaign).map(String::as_str)
    }
}

/// One event of the journal in words.
pub fn event_line(seq: u64, recorded: &Recorded, names: &dyn CampaignNames) -> EventLine {
    let words::Words {
        kind,
        campaign,
        account,
        person,
        error,
        message,
    } = words::say(&recorded.event, names);
    EventLine {
        seq,
        at: Moment::from(recorded.at),
        kind: kind.to_owned(),
        campaign,
        account,
        person,
        error,
        message,
    }
}

/// Columns of the longest kind of event that is often seen.
const KIND_WIDTH: usize = 16;

/// Events for people, one a line, in columns: what an event does not have is `-`. On a terminal of this width the
/// sentence is wrapped.
pub fn events_text(events: &[EventLine], width: Option<usize>) -> String {
    let rows: Vec<[String; 4]> = events
        .iter()
        .map(|event| {
            let part = |part: &Option<String>| {
                part.as_ref()
                    .map_or_else(|| "-".to_owned(), |part| plain(part))
            };
            [
                plain(&event.kind),
                part(&event.campaign),
                part(&event.account),
                part(&event.person),
            ]
        })
        .collect();
    let mut widths = [KIND_WIDTH, 1, 1, 1];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = display_width(cell).max(*width);
        }
    }
    let mut out = String::new();
    let columns = widths.iter().map(|width| width + 2).sum::<usize>();
    for (event, row) in events.iter().zip(&rows) {
        let at = seconds(event.at);
        if width.is_some_and(|width| at.len() + columns > width) {
            // No room for columns: a paragraph.
            let mut said: Vec<&str> = row.iter().map(String::as_str).collect();
            let message = plain(&event.message);
            said.retain(|cell| *cell != "-");
            said.push(&message);
            let _ = write!(out, "{at}  ");
            push_from(&mut out, at.len() + 2, 4, &said.join(", "), width);
            continue;
        }
        out.push_str(&at);
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(out, "  {}", pad(cell, width));
        }
        out.push_str("  ");
        let taken = at.len() + columns + 2;
        push_last(&mut out, taken, &plain(&event.message), width);
    }
    out
}

/// `2026-12-01T09:00:00Z`: for people a second is exact enough.
pub fn seconds(at: Moment) -> String {
    Zone::UTC.at(at.0).format("%Y-%m-%dT%H:%M:%SZ").to_string()
}
