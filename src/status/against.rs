//! Two versions of a workspace side by side, for a reviewer: on a terminal, as JSON, and as Markdown for the comment
//! under a pull request.

mod markdown;
mod shown;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use markdown::markdown;
pub use shown::{text, words};

use super::FORMAT_VERSION;
use crate::model::PersonId;

/// `plan --against GITREF -o json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgainstDocument {
    /// Its minor part rises for additions.
    pub format_version: String,
    /// What it is compared with.
    pub against: GitVersion,
    /// Whether anything differs: exit code 2 of `--detailed-exitcode`.
    pub changes: bool,
    /// What differs in tidings.yaml.
    pub settings: Vec<FieldChange>,
    /// Campaigns that differ, by name.
    pub campaigns: Vec<CampaignChange>,
    /// How many campaigns are the same.
    pub unchanged: usize,
    /// What is wrong with the workspace as a whole now.
    pub errors: Vec<String>,
}

impl AgainstDocument {
    /// A comparison of these.
    pub fn new(
        against: GitVersion,
        settings: Vec<FieldChange>,
        campaigns: Vec<CampaignChange>,
        unchanged: usize,
        errors: Vec<String>,
    ) -> AgainstDocument {
        AgainstDocument {
            format_version: FORMAT_VERSION.to_owned(),
            against,
            changes: false,
            settings,
            campaigns,
            unchanged,
            errors,
        }
        .judged()
    }

    /// Where something cannot be read, nobody can say that nothing differs.
    fn judged(mut self) -> Self {
        self.changes =
            !self.settings.is_empty() || !self.campaigns.is_empty() || !self.errors.is_empty();
        self
    }

    /// These campaigns alone; all where no name is given.
    #[must_use]
    pub fn only(mut self, names: &[String]) -> Self {
        if names.is_empty() {
            return self;
        }
        let is_named = |campaign: &CampaignChange| {
            names.contains(&campaign.name)
                || campaign
                    .renamed_from
                    .as_ref()
                    .is_some_and(|before| names.contains(before))
        };
        self.campaigns.retain(is_named);
        self.unchanged = names.len().saturating_sub(self.campaigns.len());
        self.judged()
    }
}

/// A commit, and how it was named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitVersion {
    /// As it was given.
    #[serde(rename = "ref")]
    pub name: String,
    /// Its hash.
    pub commit: String,
}

/// A value that differs. Absent: there is none. Of a secret only that it is another one is told; a null that is a value of
/// its own is the text `null (never)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    /// `delays.per_account.per_day`; `sources[]` is an item that came or went.
    pub path: String,
    /// What it was.
    pub before: Option<Value>,
    /// What it is.
    pub after: Option<Value>,
}

/// What became of a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compared {
    /// Its file is new.
    Added,
    /// It says something else.
    Changed,
    /// Its file is gone.
    Removed,
    /// It is invalid now.
    Invalid,
    /// It was invalid.
    Mended,
}

/// A campaign that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CampaignChange {
    /// Its name now; of a removed one its last.
    pub name: String,
    /// Its name before, where it is renamed.
    pub renamed_from: Option<String>,
    /// Its file.
    pub file: String,
    /// What it does.
    pub kind: String,
    /// What became of it.
    pub change: Compared,
    /// Nothing leaves in its name.
    pub paused: bool,
    /// Values that differ, texts apart.
    pub fields: Vec<FieldChange>,
    /// Texts that differ.
    pub texts: Vec<TextChange>,
    /// Media with other bytes.
    pub files: Vec<FileChange>,
    /// Whom files and lists name, where that differs.
    pub people: Option<Named>,
    /// An earlier approval does not hold for it any more.
    pub asks_approval: bool,
    /// How far it reached.
    pub reach_before: Option<Reach>,
    /// How far it reaches.
    pub reach: Option<Reach>,
    /// What is wrong with it.
    pub errors: Vec<String>,
    /// What to look at.
    pub warnings: Vec<String>,
}

/// A text that differs. Absent: there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextChange {
    /// 0 is the first message, 1 the first follow-up.
    pub step: u16,
    /// The template's name.
    pub template: String,
    /// What it was, with its markup.
    pub before: Option<String>,
    /// What it is.
    pub after: Option<String>,
}

/// A file whose bytes differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChange {
    /// Relative to the workspace.
    pub path: String,
}

/// Whom files and lists name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// People before.
    pub before: u64,
    /// People now.
    pub after: u64,
    /// Who came.
    pub added: u64,
    /// Who went.
    pub removed: u64,
}

impl Named {
    /// The difference of two sets of people.
    pub fn of(before: &BTreeSet<PersonId>, after: &BTreeSet<PersonId>) -> Named {
        Named {
            before: before.len() as u64,
            after: after.len() as u64,
            added: after.difference(before).count() as u64,
            removed: before.difference(after).count() as u64,
        }
    }
}

/// How far a campaign reaches: its blast radius, as far as that is known without Telegram.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// People whom files and lists name.
    pub named: u64,
    /// Sources that only Telegram can tell the people of.
    pub looked_up: Vec<String>,
    /// The ceiling of the audience.
    pub at_most: u64,
    /// Messages to one person at most, follow-ups among them.
    pub messages_each: u64,
    /// Who sends.
    pub accounts: Vec<String>,
    /// Messages a day at most.
    pub per_day: u64,
}

impl Reach {
    /// People at most.
    pub fn people(&self) -> u64 {
        if self.looked_up.is_empty() {
            self.named.min(self.at_most)
        } else {
            self.at_most
        }
    }

    /// Days that the first messages take at least; `None` where no message may leave.
    pub fn days(&self) -> Option<u64> {
        (self.per_day > 0).then(|| self.people().div_ceil(self.per_day))
    }

    /// In one sentence, without a full stop.
    pub fn words(&self) -> String {
        let plural = |n: usize| if n == 1 { "" } else { "s" };
        let people = match (self.named, self.looked_up.as_slice()) {
            (named, []) => format!("up to {}", super::people(named.min(self.at_most))),
            (0, more) => format!("{}, up to {}", more.join(", "), super::people(self.at_most)),
            (named, more) => format!(
                "{} by name, and {}; up to {} in all",
                super::people(named),
                more.join(", "),
                self.at_most
            ),
        };
        let each = if self.messages_each > 1 {
            format!(", up to {} messages each", self.messages_each)
        } else {
            String::new()
        };
        let days = match self.days() {
            Some(1) => ", in a day".to_owned(),
            Some(days) if days > 1 && self.looked_up.is_empty() => {
                format!(", in {days} days at least")
            }
            _ => String::new(),
        };
        format!(
            "{people}{each}; {} account{}, at most {} a day{days}",
            self.accounts.len(),
            plural(self.accounts.len()),
            self.per_day
        )
    }
}

/// Counts of what became of campaigns.
pub(super) struct Counts {
    pub(super) added: usize,
    pub(super) changed: usize,
    pub(super) removed: usize,
    pub(super) invalid: usize,
}

impl Counts {
    pub(super) fn of(document: &AgainstDocument) -> Counts {
        let count = |wanted: &[Compared]| {
            document
                .campaigns
                .iter()
                .filter(|c| wanted.contains(&c.change))
                .count()
        };
        Counts {
            added: count(&[Compared::Added]),
            changed: count(&[Compared::Changed, Compared::Mended]),
            removed: count(&[Compared::Removed]),
            invalid: count(&[Compared::Invalid]),
        }
    }
}

/// People whom the differing campaigns may write to, those that are paused apart.
pub(super) fn people_reached(document: &AgainstDocument) -> u64 {
    document
        .campaigns
        .iter()
        .filter(|campaign| !campaign.paused)
        .filter_map(|campaign| campaign.reach.as_ref())
        .map(Reach::people)
        .sum()
}

/// What became of it, in words.
pub(super) fn became(campaign: &CampaignChange) -> String {
    let mut words = match campaign.change {
        Compared::Added => "a new campaign".to_owned(),
        Compared::Changed => "changed".to_owned(),
        Compared::Removed => "its file is gone: it stops, and its history stays".to_owned(),
        Compared::Invalid => "invalid: it would be held".to_owned(),
        Compared::Mended => "was invalid".to_owned(),
    };
    if let Some(before) = &campaign.renamed_from {
        words.push_str(&format!(", renamed from `{before}`"));
    }
    if campaign.paused && campaign.change != Compared::Removed {
        words.push_str(", paused");
    }
    words
}

/// The message of a step.
pub(super) fn message(step: u16) -> String {
    match step {
        0 => "first message".to_owned(),
        n => format!("follow-up {n}"),
    }
}

/// A value in one line: JSON with the quotes of plain texts left out, cut where it is long.
pub(super) fn value(value: &Value) -> String {
    /// Characters of a value that a reviewer reads; files and lists are counted besides.
    const MOST: usize = 120;
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let text = super::plain(&text);
    if text.chars().count() <= MOST {
        return text;
    }
    let cut: String = text.chars().take(MOST).collect();
    format!("{cut}…")
}
