//! `tidings report`: what came of the messages of a time.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use super::beside::{Rows, Unread, names};
use crate::control::Core;
use crate::model::{
    AccountName, Event, Lineage, Outcome, PersonId, Reply, ReportBy, SendKey, Timestamp,
};
use crate::observed::OPT_OUT_LINEAGE;
use crate::status::{self, Moment};

/// One row.
#[derive(Debug, Default, Clone, Serialize)]
struct Row {
    /// The campaign, account, owner or `campaign/template`.
    name: String,
    /// Messages that Telegram accepted, follow-ups among them.
    sent: u64,
    /// People who were written to.
    people: u64,
    /// Of them, those who wrote back after it.
    replied: u64,
    /// `replied` of `people`, 0 to 1.
    reply_rate: f64,
    /// People who asked to hear no more after it.
    opted_out: u64,
    /// People who had blocked the account.
    blocked: u64,
    /// Ended by a fault of ours or an unknown one.
    failed: u64,
    /// Settled without a message, blocks aside.
    skipped: u64,
    /// Nobody knows whether they arrived.
    uncertain: u64,
    /// All of them by outcome.
    outcomes: BTreeMap<Outcome, u64>,
}

#[derive(Default)]
struct Group {
    row: Row,
    people: HashSet<PersonId>,
    replied: HashSet<PersonId>,
    opted_out: HashSet<PersonId>,
}

/// What the loop knows of a question for results.
pub(super) struct Asked {
    since: Timestamp,
    by: ReportBy,
    names: BTreeMap<Lineage, String>,
    owners: BTreeMap<Lineage, String>,
}

/// Asks for the results of everything that was settled at or after a moment. Replies and opt-outs count for the
/// messages of that time that came before them.
pub(super) fn ask(core: &Core, since: Timestamp, by: ReportBy) -> Asked {
    Asked {
        since,
        by,
        names: names(core),
        owners: owners(core),
    }
}

impl Asked {
    fn group_of(&self, line: &Lineage, account: &str, variant: &str) -> String {
        let name = || {
            self.names
                .get(line)
                .map_or_else(|| line.as_ref(), String::as_str)
        };
        match self.by {
            ReportBy::Campaign => name().to_owned(),
            ReportBy::Account if account.is_empty() => "(none)".to_owned(),
            ReportBy::Account => account.to_owned(),
            ReportBy::Owner => self
                .owners
                .get(line)
                .cloned()
                .unwrap_or_else(|| "(none)".to_owned()),
            ReportBy::Template if variant.is_empty() => format!("{}/(none)", name()),
            ReportBy::Template => format!("{}/{variant}", name()),
        }
    }

    /// Reads them.
    pub(super) fn answer(self, rows: Rows) -> Result<Reply, Unread> {
        let mut groups = Groups::default();
        // Of whom it is not known yet what became of them.
        let mut open: HashMap<SendKey, (AccountName, String)> = HashMap::new();
        // To which groups a person's answer counts, by the account that he answers to.
        let mut written: HashMap<PersonId, Vec<(usize, AccountName)>> = HashMap::new();
        for row in rows {
            let (_, recorded) = row?;
            let counts = recorded.at >= self.since;
            match &recorded.event {
                Event::Intent(intent) => {
                    open.insert(
                        intent.key.clone(),
                        (intent.account.clone(), intent.variant.to_string()),
                    );
                }
                Event::Released { key, .. } => {
                    open.remove(key);
                }
                Event::Sent { key, .. } => {
                    let (account, variant) = open.remove(key).unwrap_or_default();
                    if counts && is_campaigns(&key.lineage) {
                        let (at, group) =
                            groups.of(self.group_of(&key.lineage, &account, &variant));
                        group.row.sent += 1;
                        *group.row.outcomes.entry(Outcome::Sent).or_default() += 1;
                        group.people.insert(key.person);
                        written.entry(key.person).or_default().push((at, account));
                    }
                }
                Event::Refused { key, outcome, .. } => {
                    let (account, variant) = open.remove(key).unwrap_or_default();
                    if counts && is_campaigns(&key.lineage) {
                        let (_, group) = groups.of(self.group_of(&key.lineage, &account, &variant));
                        count(group, *outcome);
                    }
                }
                Event::Skipped {
                    campaign, outcome, ..
                } if counts && is_campaigns(campaign) => {
                    let (_, group) = groups.of(self.group_of(campaign, "", ""));
                    count(group, *outcome);
                }
                Event::Incoming {
                    account, person, ..
                } if counts => {
                    for (at, by) in written.get(person).into_iter().flatten() {
                        if by == account
                            && let Some(group) = groups.all.get_mut(*at)
                        {
                            group.replied.insert(*person);
                        }
                    }
                }
                Event::OptedOut { person, .. } if counts => {
                    for (at, _) in written.get(person).into_iter().flatten() {
                        if let Some(group) = groups.all.get_mut(*at) {
                            group.opted_out.insert(*person);
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(Reply::Document {
            body: serde_json::json!({
                "format_version": status::FORMAT_VERSION,
                "since": Moment::of(Some(self.since)),
                "by": self.by,
                "rows": groups.rows(),
            }),
        })
    }
}

/// The rows, each found by its name.
#[derive(Default)]
struct Groups {
    by_name: BTreeMap<String, usize>,
    all: Vec<Group>,
}

impl Groups {
    fn of(&mut self, name: String) -> (usize, &mut Group) {
        let next = self.all.len();
        let at = *self.by_name.entry(name).or_insert(next);
        if at == next {
            self.all.push(Group::default());
        }
        (at, &mut self.all[at])
    }

    fn rows(self) -> Vec<Row> {
        let Groups { by_name, mut all } = self;
        by_name
            .into_iter()
            .filter_map(|(name, at)| Some((name, std::mem::take(all.get_mut(at)?))))
            .map(|(name, group)| {
                let people = group.people.len() as u64;
                let replied = group.replied.len() as u64;
                Row {
                    name,
                    people,
                    replied,
                    reply_rate: if people == 0 {
                        0.0
                    } else {
                        // Four digits are more than a campaign's size tells.
                        (replied as f64 / people as f64 * 10_000.0).round() / 10_000.0
                    },
                    opted_out: group.opted_out.len() as u64,
                    ..group.row
                }
            })
            .collect()
    }
}

fn is_campaigns(line: &Lineage) -> bool {
    // Confirmations of opt-outs, tests and answers belong to no campaign.
    line.as_ref() != OPT_OUT_LINEAGE && !line.starts_with('#')
}

fn count(group: &mut Group, outcome: Outcome) {
    *group.row.outcomes.entry(outcome).or_default() += 1;
    match outcome {
        Outcome::Blocked => group.row.blocked += 1,
        Outcome::Failed | Outcome::TemplateError | Outcome::TooLong => group.row.failed += 1,
        Outcome::Uncertain => group.row.uncertain += 1,
        Outcome::Sent => group.row.sent += 1,
        _ => group.row.skipped += 1,
    }
}

fn owners(core: &Core) -> BTreeMap<Lineage, String> {
    core.desired
        .campaigns
        .values()
        .filter_map(|wanted| {
            let owner = wanted.spec.as_ref()?.spec.owner.clone()?;
            Some((wanted.lineage.clone(), owner))
        })
        .collect()
}
