//! `tidings report`: what came of the messages of a time.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use crate::control::{Core, CoreError};
use crate::model::{Event, Lineage, Outcome, PersonId, Reply, ReportBy, SendKey, Timestamp};
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

/// The results of everything that was settled at or after a moment. Replies and opt-outs count for the messages of that
/// time that came before them.
pub(super) fn report(core: &Core, since: Timestamp, by: ReportBy) -> Result<Reply, CoreError> {
    let owners = owners(core);
    let name_of = |line: &Lineage| {
        core.observed
            .campaigns
            .get(line)
            .map(|it| it.name.clone())
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| line.to_string())
    };
    let group_of = |line: &Lineage, account: &str, variant: &str| match by {
        ReportBy::Campaign => name_of(line),
        ReportBy::Account if account.is_empty() => "(none)".to_owned(),
        ReportBy::Account => account.to_owned(),
        ReportBy::Owner => owners
            .get(line)
            .cloned()
            .unwrap_or_else(|| "(none)".to_owned()),
        ReportBy::Template if variant.is_empty() => format!("{}/(none)", name_of(line)),
        ReportBy::Template => format!("{}/{variant}", name_of(line)),
    };
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    // Of whom it is not known yet what became of them.
    let mut open: HashMap<SendKey, (String, String)> = HashMap::new();
    // To which groups a person's answer counts, by the account that he answers to.
    let mut written: HashMap<PersonId, Vec<(String, String)>> = HashMap::new();
    if let Some(store) = core.store() {
        for row in store.events_from(store.first_seq()?)? {
            let (_, recorded) = row?;
            let counts = recorded.at >= since;
            match &recorded.event {
                Event::Intent(intent) => {
                    open.insert(
                        intent.key.clone(),
                        (intent.account.to_string(), intent.variant.clone()),
                    );
                }
                Event::Released { key, .. } => {
                    open.remove(key);
                }
                Event::Sent { key, .. } => {
                    let (account, variant) = open.remove(key).unwrap_or_default();
                    if counts && is_campaigns(&key.lineage) {
                        let name = group_of(&key.lineage, &account, &variant);
                        let group = groups.entry(name.clone()).or_default();
                        group.row.sent += 1;
                        *group.row.outcomes.entry(Outcome::Sent).or_default() += 1;
                        group.people.insert(key.person);
                        written.entry(key.person).or_default().push((name, account));
                    }
                }
                Event::Refused { key, outcome, .. } => {
                    let (account, variant) = open.remove(key).unwrap_or_default();
                    if counts && is_campaigns(&key.lineage) {
                        let name = group_of(&key.lineage, &account, &variant);
                        count(groups.entry(name).or_default(), *outcome);
                    }
                }
                Event::Skipped {
                    campaign, outcome, ..
                } if counts && is_campaigns(campaign) => {
                    let name = group_of(campaign, "", "");
                    count(groups.entry(name).or_default(), *outcome);
                }
                Event::Incoming {
                    account, person, ..
                } if counts => {
                    for (name, by) in written.get(person).into_iter().flatten() {
                        if by.as_str() == account.as_ref()
                            && let Some(group) = groups.get_mut(name)
                        {
                            group.replied.insert(*person);
                        }
                    }
                }
                Event::OptedOut { person, .. } if counts => {
                    for (name, _) in written.get(person).into_iter().flatten() {
                        if let Some(group) = groups.get_mut(name) {
                            group.opted_out.insert(*person);
                        }
                    }
                }
                _ => {}
            }
        }
    }
    let rows: Vec<Row> = groups
        .into_iter()
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
        .collect();
    Ok(Reply::Document {
        body: serde_json::json!({
            "format_version": status::FORMAT_VERSION,
            "since": Moment::of(Some(since)),
            "by": by,
            "rows": rows,
        }),
    })
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
