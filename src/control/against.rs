//! Two versions of a workspace side by side: that of a git commit, and the files as they are. No state, no network.
//!
//! # Guarantees
//! The repository is only read: the version of the commit is written into a folder of its own, with an index of its own,
//! and is gone afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{Workspace, WorkspaceOptions};
use crate::desired::{
    Desired, DesiredCampaign, History, Resolution, ResolvedCampaign, SourceKind, SourceRole,
    Variant, compared, unmarked,
};
use crate::model::PersonId;
use crate::people::file;
use crate::spec::{DEFAULT_APPROVE_OVER, Diagnostic, Files};
use crate::status::against::{
    AgainstDocument, CampaignChange, Compared, FieldChange, FileChange, GitVersion, Named, Reach,
    TextChange,
};

/// The most people of one campaign that are told apart; more are counted only roughly (a million ids are 8 MB).
const MAX_NAMED: usize = 2_000_000;
/// Errors and warnings quoted of one file.
const MAX_QUOTED: usize = 20;

/// Why two versions cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum AgainstError {
    /// There is no git.
    #[error("`plan --against` needs git, which cannot be started: {0}")]
    NoGit(std::io::Error),
    /// The workspace is in no repository.
    #[error("{} is in no git repository: there is no version to compare with ({reason})", root.display())]
    NoRepository {
        /// The workspace.
        root: PathBuf,
        /// Git's words.
        reason: String,
    },
    /// The name means no commit.
    #[error(
        "{0:?} names no commit here. A shallow clone has the newest one only: `git fetch --depth=1 origin BRANCH` gets another \
         (with actions/checkout: `fetch-depth: 0`), which is then `origin/BRANCH` or `FETCH_HEAD`."
    )]
    NoCommit(String),
    /// Git failed.
    #[error("git failed: {0}")]
    Git(String),
    /// A folder or file could not be written.
    #[error("the version to compare with cannot be written to a temporary folder: {0}")]
    Io(#[from] std::io::Error),
    /// Neither version has such a campaign.
    #[error("neither version has a campaign `{name}`.{}", hint.as_deref().map(|h| format!(" Did you mean `{h}`?")).unwrap_or_default())]
    Unknown {
        /// The name that was given.
        name: String,
        /// What was probably meant.
        hint: Option<String>,
    },
    /// The old version is no workspace.
    #[error(transparent)]
    Workspace(#[from] super::WorkspaceError),
}

/// Git in the workspace, with nothing of a hook's environment.
fn git(at: &Path) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(at).stdin(Stdio::null());
    for name in [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_PREFIX",
        "GIT_OBJECT_DIRECTORY",
    ] {
        command.env_remove(name);
    }
    command
}

/// What git prints, or its complaint.
fn said(command: &mut Command) -> Result<Result<String, String>, AgainstError> {
    let output = command.output().map_err(AgainstError::NoGit)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    Ok(if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    })
}

fn must(command: &mut Command) -> Result<String, AgainstError> {
    said(command)?.map_err(AgainstError::Git)
}

/// The commit that a name means, and the workspace as it was then.
struct Version {
    commit: String,
    root: PathBuf,
    _folder: tempfile::TempDir,
}

fn version(root: &Path, name: &str) -> Result<Version, AgainstError> {
    let prefix = said(git(root).args(["rev-parse", "--show-prefix"]))?.map_err(|reason| {
        AgainstError::NoRepository {
            root: root.to_owned(),
            reason,
        }
    })?;
    let no_commit = || AgainstError::NoCommit(name.to_owned());
    if name.trim().is_empty() {
        return Err(no_commit());
    }
    let commit = said(git(root).args([
        "rev-parse",
        "--verify",
        "--quiet",
        "--end-of-options",
        &format!("{name}^{{commit}}"),
    ]))?
    .map_err(|_| no_commit())?;
    let git_dir = must(git(root).args(["rev-parse", "--absolute-git-dir"]))?;
    let folder = tempfile::Builder::new()
        .prefix("tidings-against-")
        .tempdir()?;
    let tree = folder.path().join("workspace");
    std::fs::create_dir_all(tree.join("campaigns"))?;
    let within = prefix.trim_end_matches('/');
    let object = if within.is_empty() {
        format!("{commit}^{{tree}}")
    } else {
        format!("{commit}:{within}")
    };
    // Where the commit has no such folder there was no workspace yet.
    let there = said(git(root).args(["rev-parse", "--verify", "--quiet", &object]))?.is_ok();
    if there {
        let index = folder.path().join("index");
        must(
            git(root)
                .env("GIT_INDEX_FILE", &index)
                .args(["read-tree", &object]),
        )?;
        must(
            git(&tree)
                .arg("--git-dir")
                .arg(&git_dir)
                .args(["--work-tree", "."])
                .env("GIT_INDEX_FILE", &index)
                .args(["checkout-index", "--all", "--force"]),
        )?;
    }
    Ok(Version {
        commit,
        root: tree,
        _folder: folder,
    })
}

/// Compares the workspace's files as they are with those of a commit: of these campaigns, or of all.
///
/// # Errors
/// [`AgainstError`], with what to do about it.
pub fn against(
    workspace: &Workspace,
    options: &WorkspaceOptions,
    name: &str,
    campaigns: &[String],
) -> Result<AgainstDocument, AgainstError> {
    let version = version(&workspace.root, name)?;
    // A `--config` outside of the workspace has no versions: both are held against it.
    let config = workspace
        .config_path
        .strip_prefix(&workspace.root)
        .map_or_else(
            |_| workspace.config_path.clone(),
            |inside| version.root.join(inside),
        );
    let named = options.config.is_some() && config.exists();
    let mut before = Workspace::find(&WorkspaceOptions {
        directory: Some(version.root.clone()),
        config: named.then_some(config),
        state_dir: Some(workspace.state_dir.clone()),
        sessions_dir: Some(workspace.sessions_dir.clone()),
    })?;
    // Variables and sessions are of this place, not of a version.
    before.env = workspace.env.clone();
    let history = History::default();
    let old = before.resolve(&history, None);
    let mut new = workspace.resolve(&history, None);
    if !new.engine_valid {
        // A broken tidings.yaml says nothing: the settings before it go on, as they would in a daemon.
        new = workspace.resolve(&history, Some(&old.desired));
    }
    let known: BTreeSet<&str> = [&old, &new]
        .into_iter()
        .flat_map(|side| side.desired.campaigns.keys())
        .map(String::as_str)
        .collect();
    if let Some(unknown) = campaigns.iter().find(|name| !known.contains(name.as_str())) {
        let hint = crate::spec::diagnostic::did_you_mean(unknown, known);
        return Err(AgainstError::Unknown {
            name: unknown.clone(),
            hint: hint.map(str::to_owned),
        });
    }
    let document = compare(
        GitVersion {
            name: name.to_owned(),
            commit: version.commit.clone(),
        },
        (&old, &before.files()),
        (&new, &workspace.files()),
    );
    Ok(document.only(campaigns))
}

/// One side.
type Side<'a> = (&'a Resolution, &'a dyn Files);

fn compare(version: GitVersion, old: Side<'_>, new: Side<'_>) -> AgainstDocument {
    let settings = of_settings(
        &compared(&old.0.desired.engine.spec),
        &compared(&new.0.desired.engine.spec),
    );
    let settings = settings.iter().map(told).collect();
    let (before, after) = (&old.0.desired, &new.0.desired);
    let mut campaigns = Vec::new();
    let mut unchanged = 0;
    let mut renamed: BTreeSet<&str> = BTreeSet::new();
    for campaign in after.campaigns.values() {
        let from = campaign
            .spec
            .as_ref()
            .and_then(|spec| spec.spec.renamed_from.as_deref())
            .filter(|from| !after.campaigns.contains_key(*from))
            .and_then(|from| before.campaigns.get(from));
        let earlier = before.campaigns.get(&campaign.name).or(from);
        if let Some(from) = from.filter(|_| !before.campaigns.contains_key(&campaign.name)) {
            renamed.insert(&from.name);
        }
        match changed(earlier, campaign, old, new) {
            Some(change) => campaigns.push(change),
            None => unchanged += 1,
        }
    }
    for campaign in before.campaigns.values() {
        if !after.campaigns.contains_key(&campaign.name)
            && !renamed.contains(campaign.name.as_str())
        {
            campaigns.push(removed(campaign, old));
        }
    }
    campaigns.sort_by(|a, b| a.name.cmp(&b.name));
    // What is wrong with no campaign in particular.
    let errors = new
        .0
        .diagnostics
        .iter()
        .filter(|d| d.is_error() && !after.campaigns.values().any(|c| c.diagnostics.contains(d)))
        .take(MAX_QUOTED)
        .map(ToString::to_string)
        .collect();
    AgainstDocument::new(version, settings, campaigns, unchanged, errors)
}

fn json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

/// The spec without its texts, which are compared as they are sent.
fn fields(campaign: &DesiredCampaign) -> Value {
    let Some(spec) = campaign.spec.as_deref() else {
        return Value::Null;
    };
    let mut value = json(&spec.spec);
    let bare = |templates: Option<&mut Value>| {
        for template in templates
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            if let Some(template) = template.as_object_mut() {
                template.shift_remove("text");
                template.shift_remove("file");
            }
        }
    };
    bare(value.get_mut("templates"));
    for step in value
        .get_mut("follow_ups")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        bare(step.get_mut("templates"));
    }
    // That a name is another one is said beside it.
    if let Some(map) = value.as_object_mut() {
        map.shift_remove("name");
        map.shift_remove("renamed_from");
    }
    value
}

fn changed(
    earlier: Option<&DesiredCampaign>,
    campaign: &DesiredCampaign,
    old: Side<'_>,
    new: Side<'_>,
) -> Option<CampaignChange> {
    let quoted = |error: bool| -> Vec<String> {
        campaign
            .diagnostics
            .iter()
            .filter(|d| d.is_error() == error)
            .take(MAX_QUOTED)
            .map(ToString::to_string)
            .collect()
    };
    let (errors, warnings) = (quoted(true), quoted(false));
    let spec = campaign.spec.as_deref().filter(|_| errors.is_empty());
    let before = earlier.and_then(|earlier| valid(earlier));
    let mut change = CampaignChange {
        name: campaign.name.clone(),
        renamed_from: earlier
            .filter(|earlier| earlier.name != campaign.name)
            .map(|earlier| earlier.name.clone()),
        file: campaign.file.clone(),
        kind: spec.map_or("unknown", |spec| spec.kind.as_str()).to_owned(),
        change: Compared::Changed,
        paused: spec.is_some_and(|spec| spec.paused),
        fields: Vec::new(),
        texts: Vec::new(),
        files: Vec::new(),
        people: None,
        asks_approval: false,
        reach_before: before.map(|spec| reach(spec, &old.0.desired, old.1).0),
        reach: None,
        errors,
        warnings,
    };
    let Some(spec) = spec else {
        // An error that stood there before is no change of this one.
        let known = earlier.is_some_and(|earlier| {
            earlier.digest == campaign.digest
                && earlier.diagnostics.iter().any(Diagnostic::is_error)
        });
        change.change = Compared::Invalid;
        return (!known).then_some(change);
    };
    let (after, people) = reach(spec, &new.0.desired, new.1);
    change.reach = Some(after);
    change.texts = texts(before, spec);
    change.files = files(before, spec);
    let Some(earlier) = earlier else {
        change.change = Compared::Added;
        change.people = newly_named(&people);
        return Some(change);
    };
    match before {
        Some(before) => {
            differences("", &fields(earlier), &fields(campaign), &mut change.fields);
            change.asks_approval = before.approval_digest != spec.approval_digest;
            let (_, earlier_people) = reach(before, &old.0.desired, old.1);
            let named = Named::of(&earlier_people, &people);
            change.people = (named.added + named.removed > 0).then_some(named);
        }
        None => {
            change.change = Compared::Mended;
            change.people = newly_named(&people);
        }
    }
    // Settings that hold for it say what they do where they stand.
    let same = change.change == Compared::Changed
        && change.renamed_from.is_none()
        && change.fields.is_empty()
        && change.texts.is_empty()
        && change.files.is_empty()
        && change.people.is_none()
        && change.reach == change.reach_before
        && earlier.file == campaign.file;
    (!same).then_some(change)
}

fn valid(campaign: &DesiredCampaign) -> Option<&ResolvedCampaign> {
    campaign
        .spec
        .as_deref()
        .filter(|_| !campaign.diagnostics.iter().any(Diagnostic::is_error))
}

fn removed(campaign: &DesiredCampaign, old: Side<'_>) -> CampaignChange {
    let spec = valid(campaign);
    CampaignChange {
        name: campaign.name.clone(),
        renamed_from: None,
        file: campaign.file.clone(),
        kind: spec.map_or("unknown", |spec| spec.kind.as_str()).to_owned(),
        change: Compared::Removed,
        paused: spec.is_some_and(|spec| spec.paused),
        fields: Vec::new(),
        texts: Vec::new(),
        files: Vec::new(),
        people: None,
        asks_approval: false,
        reach_before: spec.map(|spec| reach(spec, &old.0.desired, old.1).0),
        reach: None,
        errors: Vec::new(),
        warnings: Vec::new(),
    }
}

/// The variants of every step.
fn steps(spec: &ResolvedCampaign) -> impl Iterator<Item = (u16, &Variant)> {
    let first = spec.variants.iter().map(|variant| (0, variant));
    let later = spec
        .follow_ups
        .iter()
        .zip(1u16..)
        .flat_map(|(step, number)| step.variants.iter().map(move |variant| (number, variant)));
    first.chain(later)
}

fn texts(before: Option<&ResolvedCampaign>, after: &ResolvedCampaign) -> Vec<TextChange> {
    let of = |spec: &ResolvedCampaign| -> BTreeMap<(u16, String), String> {
        steps(spec)
            .map(|(step, variant)| {
                (
                    (step, variant.name.to_string()),
                    variant.template.source().to_owned(),
                )
            })
            .collect()
    };
    let old = before.map(of).unwrap_or_default();
    let new = of(after);
    let keys: BTreeSet<&(u16, String)> = old.keys().chain(new.keys()).collect();
    keys.into_iter()
        .filter(|key| old.get(*key) != new.get(*key))
        .map(|key| TextChange {
            step: key.0,
            template: key.1.clone(),
            before: old.get(key).cloned(),
            after: new.get(key).cloned(),
        })
        .collect()
}

/// Media whose bytes differ under the same path; another path is a field that differs.
fn files(before: Option<&ResolvedCampaign>, after: &ResolvedCampaign) -> Vec<FileChange> {
    let of = |spec: &ResolvedCampaign| -> BTreeMap<String, [u8; 32]> {
        steps(spec)
            .filter_map(|(_, variant)| variant.media.clone())
            .map(|media| (media.path, media.sha256))
            .collect()
    };
    let old = before.map(of).unwrap_or_default();
    of(after)
        .into_iter()
        .filter(|(path, sha)| old.get(path).is_some_and(|before| before != sha))
        .map(|(path, _)| FileChange { path })
        .collect()
}

/// Whom files and lists name that there was none of before; nothing where they name nobody.
fn newly_named(people: &BTreeSet<PersonId>) -> Option<Named> {
    (!people.is_empty()).then(|| Named::of(&BTreeSet::new(), people))
}

/// The most people whom look-ups find, where each source has a limit of its own.
fn found_at_most(spec: &ResolvedCampaign) -> Option<u64> {
    let by_hand =
        |what: &SourceKind| matches!(what, SourceKind::List { .. } | SourceKind::File { .. });
    spec.sources
        .iter()
        .filter(|source| source.role == SourceRole::Include && !by_hand(&source.what))
        .map(|source| {
            let times = match source.what.is_each_accounts_own() {
                true => spec.accounts.len() as u64,
                false => 1,
            };
            source.limit.map(|limit| u64::from(limit) * times)
        })
        .sum()
}

/// How far a campaign reaches, and whom its files and lists name.
fn reach(
    spec: &ResolvedCampaign,
    desired: &Desired,
    files: &dyn Files,
) -> (Reach, BTreeSet<PersonId>) {
    let mut people = BTreeSet::new();
    let mut looked_up = Vec::new();
    for source in spec
        .sources
        .iter()
        .filter(|source| source.role == SourceRole::Include)
    {
        match &source.what {
            SourceKind::List { people: named } => {
                people.extend(named.iter().map(crate::model::Reference::person));
            }
            SourceKind::File { path, columns, .. } => {
                let limit = source.limit.map_or(usize::MAX, |limit| limit as usize);
                let mut left = limit;
                let mut sink = |page: Vec<(PersonId, crate::model::Person)>| {
                    people.extend(page.into_iter().take(left).map(|(id, _)| {
                        left -= 1;
                        id
                    }));
                    if left == 0 || people.len() >= MAX_NAMED {
                        ControlFlow::Break(())
                    } else {
                        ControlFlow::Continue(())
                    }
                };
                if let Ok(reader) = files.open(path) {
                    // What is wrong with it is among the diagnostics.
                    let _ = file::read(
                        reader,
                        file::FileKind::of_path(path),
                        columns,
                        &source.label,
                        &mut sink,
                    );
                }
            }
            _ => looked_up.push(source.label.clone()),
        }
    }
    let per_day: u64 = spec
        .accounts
        .iter()
        .map(|name| {
            let own = desired
                .engine
                .accounts
                .get(name)
                .map_or(desired.engine.limits.max_per_day, |account| account.per_day);
            u64::from(spec.delays.per_day.min(own))
        })
        .sum();
    let per_day = spec
        .delays
        .campaign_per_day
        .map_or(per_day, |most| per_day.min(u64::from(most)));
    let reach = Reach {
        named: people.len() as u64,
        looked_up,
        at_most: found_at_most(spec)
            .map_or(u64::MAX, |found| found.saturating_add(people.len() as u64))
            .min(u64::from(spec.filters.limit)),
        messages_each: 1 + spec.follow_ups.len() as u64,
        accounts: spec.accounts.iter().map(ToString::to_string).collect(),
        per_day,
    };
    (reach, people)
}

/// The one setting to which null is a value of its own.
const APPROVE_OVER: (&str, &str) = ("limits", "approve_over");
/// What it then says.
const NEVER: &str = "null (never)";

/// What differs between two versions of the settings, with marks for what must not be seen.
pub(super) fn of_settings(before: &Value, after: &Value) -> Vec<FieldChange> {
    let (group, key) = APPROVE_OVER;
    let with_null = |settings: &Value| {
        let mut settings = settings.clone();
        let place = settings.get_mut(group).and_then(|it| it.get_mut(key));
        if let Some(null) = place.filter(|value| value.is_null()) {
            *null = Value::from(NEVER);
        }
        settings
    };
    let mut changes = Vec::new();
    differences("", &with_null(before), &with_null(after), &mut changes);
    let is_never = |value: &Option<Value>| value.as_ref().is_some_and(|value| value == NEVER);
    for change in &mut changes {
        if change.path == format!("{group}.{key}")
            && (is_never(&change.before) || is_never(&change.after))
        {
            let default = || Value::from(format!("{DEFAULT_APPROVE_OVER} (default)"));
            change.before.get_or_insert_with(default);
            change.after.get_or_insert_with(default);
        }
    }
    changes
}

/// A change with words in the place of its marks.
pub(super) fn told(change: &FieldChange) -> FieldChange {
    let (before, after) = (change.before.as_ref(), change.after.as_ref());
    FieldChange {
        path: change.path.clone(),
        before: before.map(|value| unmarked(value, None)),
        after: after.map(|value| unmarked(value, before)),
    }
}

/// What differs between two documents, by the path of each value.
fn differences(path: &str, before: &Value, after: &Value, out: &mut Vec<FieldChange>) {
    if before == after {
        return;
    }
    let at = |key: &str| {
        if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        }
    };
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            let keys: Vec<&String> = old
                .keys()
                .chain(new.keys().filter(|key| !old.contains_key(*key)))
                .collect();
            for key in keys {
                differences(
                    &at(key),
                    old.get(key).unwrap_or(&Value::Null),
                    new.get(key).unwrap_or(&Value::Null),
                    out,
                );
            }
        }
        // Ways to tell somebody have no names; a secret of one is told by its place.
        (Value::Array(old), Value::Array(new)) if path == "notify" && old.len() == new.len() => {
            for (place, (old, new)) in old.iter().zip(new).enumerate() {
                differences(&format!("{path}[{place}]"), old, new, out);
            }
        }
        (Value::Array(old), Value::Array(new)) => items(path, old, new, out),
        // An item that comes or goes as a whole says more by its parts.
        (Value::Null, Value::Object(new)) if !path.is_empty() && !path.ends_with(']') => {
            for (key, value) in new {
                differences(&at(key), &Value::Null, value, out);
            }
        }
        (Value::Object(old), Value::Null) if !path.is_empty() && !path.ends_with(']') => {
            for (key, value) in old {
                differences(&at(key), value, &Value::Null, out);
            }
        }
        (Value::Null, Value::Array(new)) => items(path, &[], new, out),
        (Value::Array(old), Value::Null) => items(path, old, &[], out),
        _ => out.push(FieldChange {
            path: path.to_owned(),
            before: Some(before.clone()).filter(|value| !value.is_null()),
            after: Some(after.clone()).filter(|value| !value.is_null()),
        }),
    }
}

/// Lists: items with a name are held against those of the same name, others come or go.
fn items(path: &str, old: &[Value], new: &[Value], out: &mut Vec<FieldChange>) {
    let name = |value: &Value| value.get("name").and_then(Value::as_str).map(str::to_owned);
    let all_named = old.iter().chain(new).all(|value| name(value).is_some());
    if all_named {
        let find = |list: &[Value], wanted: &str| {
            list.iter()
                .find(|value| name(value).as_deref() == Some(wanted))
                .cloned()
                .unwrap_or(Value::Null)
        };
        let mut names: Vec<String> = Vec::new();
        for value in old.iter().chain(new) {
            if let Some(name) = name(value).filter(|name| !names.contains(name)) {
                names.push(name);
            }
        }
        for name in names {
            differences(
                &format!("{path}[{name}]"),
                &find(old, &name),
                &find(new, &name),
                out,
            );
        }
        return;
    }
    let before: Vec<FieldChange> = old
        .iter()
        .filter(|value| !new.contains(value))
        .map(|value| FieldChange {
            path: format!("{path}[]"),
            before: Some(value.clone()),
            after: None,
        })
        .collect();
    let after: Vec<FieldChange> = new
        .iter()
        .filter(|value| !old.contains(value))
        .map(|value| FieldChange {
            path: format!("{path}[]"),
            before: None,
            after: Some(value.clone()),
        })
        .collect();
    if before.is_empty() && after.is_empty() {
        // The same in another order.
        out.push(FieldChange {
            path: path.to_owned(),
            before: Some(Value::Array(old.to_vec())),
            after: Some(Value::Array(new.to_vec())),
        });
    }
    out.extend(before);
    out.extend(after);
}
