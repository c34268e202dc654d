//! Conversations that wait for a person, counted for the report.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Lineage, account_of_role};
use crate::observed::{Handle, Observed, Talk};

/// Conversations that wait for a person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TalkCounts {
    /// Drafted answers that wait for approval.
    pub drafts: u64,
    /// People who need a human.
    pub needs_human: u64,
}

impl TalkCounts {
    /// What there is to do, one line each; empty where there is nothing.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        match self.needs_human {
            0 => {}
            1 => lines.push(
                "1 person needs a human: `tidings replies list --state needs_human`".to_owned(),
            ),
            n => lines.push(format!(
                "{n} people need a human: `tidings replies list --state needs_human`"
            )),
        }
        match self.drafts {
            0 => {}
            1 => lines.push(
                "1 drafted answer waits for approval: `tidings replies list --state draft`"
                    .to_owned(),
            ),
            n => lines.push(format!(
                "{n} drafted answers wait for approval: `tidings replies list --state draft`"
            )),
        }
        lines
    }

    fn add(&mut self, talk: &Talk) {
        // As `replies list` shows it: who needs a human is no draft.
        if talk.needs.is_some() {
            self.needs_human += 1;
        } else if talk
            .draft
            .as_ref()
            .is_some_and(|draft| draft.hold.is_some())
        {
            self.drafts += 1;
        }
    }
}

/// The campaign that a conversation belongs to: in whose role it is answered, else the one that last wrote to him.
pub fn campaign_of_talk<'a>(
    observed: &'a Observed,
    who: Handle,
    talk: &'a Talk,
) -> Option<&'a Lineage> {
    talk.draft
        .as_ref()
        .map(|draft| &draft.role)
        .or(talk.unanswered.as_ref().map(|open| &open.role))
        .filter(|role| account_of_role(role).is_none())
        .or_else(|| observed.contacted.shape(&who.0)?.last_campaign.as_ref())
}

/// All of them, and those of each campaign.
pub(super) fn counts(observed: &Observed) -> (TalkCounts, BTreeMap<&Lineage, TalkCounts>) {
    let mut all = TalkCounts::default();
    let mut by_campaign: BTreeMap<&Lineage, TalkCounts> = BTreeMap::new();
    for ((who, _), talk) in &observed.talks.all {
        if talk.needs.is_none() && talk.draft.is_none() {
            continue;
        }
        all.add(talk);
        if let Some(line) = campaign_of_talk(observed, Handle(*who), talk) {
            by_campaign.entry(line).or_default().add(talk);
        }
    }
    (all, by_campaign)
}
