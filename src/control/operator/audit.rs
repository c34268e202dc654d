//! `tidings audit`: who changed what.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::beside::{Rows, Unread, names};
use crate::control::Core;
use crate::control::commits::{Commit, Commits, commits_of, uncommitted};
use crate::desired::ResolvedCampaign;
use crate::model::{Event, Lineage, Recorded, Reply, Timestamp};
use crate::spec::{Basis, Diagnostic};
use crate::status::{self, Moment};

/// Entries of one answer where nobody says how many.
const ENTRIES: usize = 200;
/// The most entries of one answer.
const MAX_ENTRIES: usize = 10_000;

/// One change.
#[derive(Debug, Clone, Serialize)]
struct Entry {
    seq: u64,
    at: Moment,
    #[serde(rename = "type")]
    kind: String,
    campaign: Option<String>,
    account: Option<String>,
    person: Option<String>,
    /// Who: of a spec the commit's author, of an order the one who gave it.
    by: Option<String>,
    file: Option<String>,
    generation: Option<u64>,
    digest: Option<String>,
    /// The commit that the spec's version is from; absent where it stood in no commit then.
    commit: Option<String>,
    message: String,
}

/// What the loop knows of a question for changes.
pub(super) struct Asked {
    /// Of this campaign only, whatever it was called.
    line: Option<Lineage>,
    limit: usize,
    names: BTreeMap<Lineage, String>,
    /// What a spec names besides, by its file, as it is now.
    files: BTreeMap<String, Vec<String>>,
    root: PathBuf,
}

/// Asks for the newest changes.
pub(super) fn ask(core: &Core, line: Option<Lineage>, limit: usize) -> Asked {
    Asked {
        line,
        limit: match limit {
            0 => ENTRIES,
            limit => limit.min(MAX_ENTRIES),
        },
        names: names(core),
        files: core
            .desired
            .campaigns
            .values()
            .map(|wanted| (wanted.file.clone(), wanted.files.clone()))
            .collect(),
        root: core.workspace.root.clone(),
    }
}

impl Asked {
    /// Answers, the oldest of them first.
    pub(super) fn answer(self, rows: Rows) -> Result<Reply, Unread> {
        let mut entries: VecDeque<Entry> = VecDeque::new();
        // Where each campaign's spec was, for the entry that says it is gone.
        let mut places: BTreeMap<Lineage, String> = BTreeMap::new();
        for row in rows {
            let (seq, recorded) = row?;
            if let Event::SpecFacts {
                campaign,
                generation,
                commit,
                author,
                attested,
                ..
            } = &recorded.event
            {
                self.facts(
                    &mut entries,
                    (campaign, *generation),
                    commit.as_ref(),
                    author.as_ref(),
                    attested.as_ref(),
                );
                continue;
            }
            let Some(by) = changed_by(&recorded.event) else {
                continue;
            };
            let mut entry = entry(&self.names, seq, &recorded, by);
            match &recorded.event {
                Event::SpecSeen { campaign, file, .. } => {
                    places.insert(campaign.clone(), file.clone());
                }
                Event::Retired { campaign } => entry.file = places.get(campaign).cloned(),
                _ => {}
            }
            let wanted = self.line.as_ref().map(|line| self.name_of(line));
            if wanted.is_some_and(|name| entry.campaign.as_deref() != Some(name)) {
                continue;
            }
            entries.push_back(entry);
            if entries.len() > self.limit {
                entries.pop_front();
            }
        }
        let mut entries: Vec<Entry> = entries.into();
        committed_later(&self.root, &self.files, &mut entries);
        Ok(Reply::Document {
            body: serde_json::json!({
                "format_version": status::FORMAT_VERSION,
                "entries": entries,
            }),
        })
    }

    fn name_of<'a>(&'a self, line: &'a Lineage) -> &'a str {
        self.names.get(line).map_or(line.as_ref(), String::as_str)
    }

    /// What was known of a spec's version when it was seen.
    fn facts(
        &self,
        entries: &mut VecDeque<Entry>,
        (campaign, generation): (&Lineage, u64),
        commit: Option<&String>,
        author: Option<&String>,
        attested: Option<&String>,
    ) {
        let name = self.name_of(campaign);
        let seen = entries.iter_mut().rev().find(|entry| {
            entry.generation == Some(generation) && entry.campaign.as_deref() == Some(name)
        });
        if let Some(entry) = seen {
            if commit.is_some() {
                entry.commit = commit.cloned();
                entry.by = author.cloned();
            }
            let said = attested.map(|note| format!(" Consent is attested: {note}"));
            if let Some(said) = said.filter(|said| !entry.message.ends_with(said)) {
                entry.message.push_str(&said);
            }
        }
    }
}

/// Whether an event is a change, and who made it.
fn changed_by(event: &Event) -> Option<Option<&str>> {
    match event {
        Event::SpecSeen { .. } | Event::Retired { .. } | Event::ReconcileRequested { .. } => {
            Some(None)
        }
        Event::SettingsSeen { author, .. } => Some(author.as_deref()),
        Event::Suspended { by, .. }
        | Event::Resumed { by, .. }
        | Event::Approved { by, .. }
        | Event::StateTaken { by, .. }
        | Event::SuppressionAdded { by, .. }
        | Event::SuppressionRemoved { by, .. }
        | Event::Forgotten { by, .. }
        | Event::OperatorResolved { by, .. }
        | Event::BackedUp { by, .. }
        | Event::Restored { by, .. }
        | Event::Tested { by, .. }
        | Event::Reopened { by, .. } => Some(Some(by)),
        _ => None,
    }
}

fn entry(
    names: &BTreeMap<Lineage, String>,
    seq: u64,
    recorded: &Recorded,
    by: Option<&str>,
) -> Entry {
    let line = status::event_line(seq, recorded, names);
    let (file, generation, digest) = match &recorded.event {
        Event::SpecSeen {
            file,
            generation,
            digest,
            ..
        }
        | Event::SettingsSeen {
            file,
            generation,
            digest,
            ..
        } => (Some(file.clone()), Some(*generation), Some(digest.clone())),
        _ => (None, None, None),
    };
    let commit = match &recorded.event {
        Event::SettingsSeen { commit, .. } => commit.clone(),
        _ => None,
    };
    Entry {
        seq,
        at: line.at,
        kind: line.kind,
        campaign: line.campaign,
        account: line.account,
        person: line.person,
        by: by.map(str::to_owned),
        file,
        generation,
        digest,
        commit,
        message: line.message,
    }
}

/// A version that was seen before it was committed belongs to the first commit of its files after that, and before the
/// next version; a file that is gone, to the last commit of it before it came back.
fn committed_later(root: &Path, named: &BTreeMap<String, Vec<String>>, entries: &mut [Entry]) {
    let open = |entry: &Entry| entry.file.is_some() && entry.commit.is_none();
    if !entries.iter().any(open) {
        return;
    }
    let commits: BTreeMap<String, Vec<Commit>> = commits_of(root);
    if commits.is_empty() {
        return;
    }
    let changed = uncommitted(root);
    for place in 0..entries.len() {
        let Some(entry) = entries.get(place).filter(|entry| open(entry)) else {
            continue;
        };
        let Some(file) = entry.file.clone() else {
            continue;
        };
        let of_it = |other: &&Entry| other.file.as_ref() == Some(&file);
        let next = entries
            .iter()
            .skip(place + 1)
            .find(of_it)
            .map_or(Timestamp::MAX, |later| later.at.0);
        let gone = entry.generation.is_none();
        let since = match entries.iter().take(place).rev().find(of_it) {
            Some(before) if gone => before.at.0,
            _ => entry.at.0,
        };
        let more = named.get(&file).into_iter().flatten();
        let files = std::iter::once(&file).chain(more.filter(|_| !gone));
        let within = files
            .filter_map(|file| commits.get(file))
            .flatten()
            .filter(|commit| commit.at >= since && commit.at < next);
        let made = match gone {
            // Its removal is not committed yet.
            true if changed.contains(&file) => None,
            true => within.max_by_key(|commit| commit.at),
            false => within.min_by_key(|commit| commit.at),
        };
        if let Some(commit) = made
            && let Some(entry) = entries.get_mut(place)
        {
            entry.commit = Some(commit.hash.clone());
            entry.by = Some(commit.author.clone());
        }
    }
}

/// What is known of the versions that these events say were seen: the commit and its author, whether the operator
/// answers for the consent, and what a valid one does. The same of versions that an older Tidings saw.
pub(in crate::control) fn spec_facts(core: &Core, events: &[Event]) -> Vec<Event> {
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    for wanted in core.desired.campaigns.values() {
        let known = core.observed.campaigns.get(&wanted.lineage);
        let said_less = known
            .filter(|known| known.kind.is_empty() && known.digest == wanted.digest)
            .filter(|known| known.error.is_none() && wanted.spec.is_some());
        seen.extend(said_less.map(|known| (wanted.name.as_str(), known.generation)));
    }
    seen.extend(events.iter().filter_map(|event| match event {
        Event::SpecSeen {
            name, generation, ..
        } => Some((name.as_str(), *generation)),
        _ => None,
    }));
    if seen.is_empty() {
        return Vec::new();
    }
    let commits = Commits::read(&core.workspace.root);
    seen.into_iter()
        .filter_map(|(name, generation)| {
            let wanted = core.desired.campaigns.get(name)?;
            let files = std::iter::once(&wanted.file).chain(&wanted.files);
            let commit = commits.of(files.map(String::as_str));
            let valid = !wanted.diagnostics.iter().any(Diagnostic::is_error);
            let spec = wanted.spec.as_deref().filter(|_| valid);
            (commit.is_some() || spec.is_some()).then(|| Event::SpecFacts {
                campaign: wanted.lineage.clone(),
                generation,
                commit: commit.map(|commit| commit.hash.clone()),
                author: commit.map(|commit| commit.author.clone()),
                attested: wanted.spec.as_deref().and_then(attested),
                kind: spec.map(|spec| spec.kind.as_str().to_owned()),
                title: spec.and_then(|spec| spec.spec.title.clone()),
            })
        })
        .collect()
}

/// The note of a consent that the operator answers for.
fn attested(spec: &ResolvedCampaign) -> Option<String> {
    let mut sources = spec.sources.iter();
    sources
        .any(|source| source.basis == Some(Basis::Attested))
        .then(|| {
            let note = spec.spec.consent.as_ref();
            note.and_then(|consent| consent.note.clone())
                .unwrap_or_else(|| "no note".to_owned())
        })
}
