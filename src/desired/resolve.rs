//! Files, environment and history → what is wanted, and what is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::campaign::{Pace, Resolver, min_delay, named_files};
use super::digest;
use super::engine;
use super::environment::{EnvDefaults, Environment};
use super::last_good::{KeptVersions, Version};
use super::memo::{Memo, Remembered, Surroundings, Traced};
use super::names::{self, Claim, History, Verdict};
use super::types::{Desired, DesiredCampaign, Engine, InvalidFile, SourceKind, SourceRole};
use crate::spec::check::CheckContext;
use crate::spec::files::{CAMPAIGNS, Files};
use crate::spec::load::{Loaded, Parsed, read};
use crate::spec::yaml;
use crate::spec::{
    Basis, CampaignSpec, Diagnostic, EngineSpec, Findings, Kind, Peek, Pointer, Severity, codes,
    diagnostic, load_campaign, load_engine, peek,
};

/// What tidings.yaml is called where its holder gives no name.
const ENGINE_FILE: &str = "tidings.yaml";

/// tidings.yaml, as its holder has read it (it may lie outside the workspace).
#[derive(Debug, Clone, Copy)]
pub enum EngineFile<'a> {
    /// There is none: the defaults hold.
    Absent,
    /// Its name for messages, and its bytes.
    Bytes(&'a str, &'a [u8]),
    /// Its name for messages, and why it cannot be read.
    Unreadable(&'a str, &'a str),
}

/// Everything that is looked at.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// tidings.yaml.
    pub engine: EngineFile<'a>,
    /// The workspace's files, at one moment.
    pub files: &'a dyn Files,
    /// The environment, `.env` included.
    pub env: &'a Environment,
    /// The names of the session files; `None` where nobody looked.
    pub sessions: Option<&'a [String]>,
    /// What is known of earlier campaigns.
    pub history: &'a History,
    /// What was wanted before: goes on where tidings.yaml is broken, and where it says `on_invalid: continue`.
    pub previous: Option<&'a Desired>,
    /// The last valid version of a campaign, by its name, as it was kept over a restart.
    pub kept: Option<&'a KeptVersions<'a>>,
    /// What files came to when they were looked at before ([`Resolution::memo`]): nothing but time depends on it.
    pub memo: Option<&'a Memo>,
}

/// What is wanted, and what is wrong.
#[derive(Debug, Clone)]
pub struct Resolution {
    /// What is wanted. With an invalid tidings.yaml its settings are the previous ones, or the defaults.
    pub desired: Desired,
    /// Everything that was found, in the order of files and places.
    pub diagnostics: Vec<Diagnostic>,
    /// Whether tidings.yaml is valid (or absent).
    pub engine_valid: bool,
    /// For the next look.
    pub memo: Memo,
}

impl Resolution {
    /// Whether anything is wrong that keeps a file from being used.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }

    /// Whether there is anything to be looked at by a person.
    pub fn has_warnings(&self) -> bool {
        self.diagnostics.iter().any(|d| !d.is_error())
    }
}

/// Resolves a workspace.
pub fn resolve(input: &Input<'_>) -> Resolution {
    let mut diagnostics = Vec::new();
    let (spec, engine_valid, mut engine_findings) = engine_spec(input, &mut diagnostics);
    let env = EnvDefaults::read(input.env, &mut diagnostics);
    let mut clamped = Findings::new();
    let mut engine = engine::resolve(&spec, input.env, &mut clamped, &mut diagnostics);
    engine.written = written(input, engine_valid);
    let file = match input.engine {
        EngineFile::Bytes(file, _) if !file.is_empty() => file,
        _ => ENGINE_FILE,
    };
    let cx = CheckContext {
        file,
        files: input.files,
        engine: &spec,
        campaigns: None,
        sessions: input.sessions,
    };
    engine::roles(&mut engine, &cx);
    clamp_defaults(&engine, &env, &mut clamped, &mut diagnostics);
    if let Some((file, tree)) = engine_findings.take() {
        diagnostics.extend(clamped.into_diagnostics(file, &*tree));
    }

    let (paths, folder_error) = match input.files.specs() {
        Ok(paths) => (paths, None),
        Err(error) => {
            diagnostics.push(Diagnostic::of_file(
                Severity::Error,
                codes::CAMPAIGNS_UNREADABLE,
                CAMPAIGNS,
                error.to_string(),
                "Nothing is retired by this: campaigns are held until the folder can be read.",
            ));
            (Vec::new(), Some(error.to_string()))
        }
    };
    let mut invalid_files = Vec::new();
    if !engine_valid {
        invalid_files.extend(broken_settings(input, &diagnostics));
    }
    let (mut campaigns, memo) = campaigns(
        input,
        &engine,
        &env,
        &paths,
        &mut diagnostics,
        &mut invalid_files,
    );
    inherit_bases(&mut campaigns);
    for campaign in campaigns.values() {
        for name in campaign.spec.iter().flat_map(|spec| &spec.accounts) {
            if !engine.accounts.contains_key(name) {
                let plain = engine::plain_account(&engine.limits);
                engine.accounts.insert(Arc::clone(name), plain);
            }
        }
    }
    // Who has a session is one's own account, whether a campaign uses it or not: nobody writes to him.
    for name in input.sessions.into_iter().flatten() {
        let plain = engine::plain_account(&engine.limits);
        engine.accounts.entry(name.as_str().into()).or_insert(plain);
    }
    diagnostic::sort(&mut diagnostics);
    let warmups = campaigns
        .values()
        .filter(|campaign| {
            let kind = campaign.spec.as_ref().map(|spec| spec.kind);
            kind.is_none_or(|kind| kind == Kind::Warmup)
        })
        .map(|campaign| campaign.name.clone())
        .collect();
    Resolution {
        desired: Desired {
            warmups,
            engine,
            campaigns,
            folder_error,
            invalid_files,
        },
        diagnostics,
        engine_valid,
        memo,
    }
}

type EngineTree<'a> = Option<(&'a str, Arc<yaml::Tree>)>;

/// The settings: those of the file, or where it is broken the previous ones, or the defaults.
fn engine_spec<'a>(
    input: &Input<'a>,
    out: &mut Vec<Diagnostic>,
) -> (EngineSpec, bool, EngineTree<'a>) {
    let previous = || match input.previous {
        Some(desired) => desired.engine.spec.clone(),
        None => EngineSpec::default().unknown_besides(),
    };
    match input.engine {
        EngineFile::Absent => (EngineSpec::default(), true, None),
        EngineFile::Unreadable(file, why) => {
            out.push(Diagnostic::of_file(
                Severity::Error,
                codes::UNREADABLE,
                file,
                format!("the file cannot be read: {why}"),
                "Check the file's permissions.",
            ));
            (previous(), false, None)
        }
        EngineFile::Bytes(file, bytes) => {
            let file = if file.is_empty() { ENGINE_FILE } else { file };
            let none = EngineSpec::default();
            let cx = CheckContext {
                file,
                files: input.files,
                engine: &none,
                campaigns: None,
                sessions: input.sessions,
            };
            let env = |name: &str| input.env.get(name).map(str::to_owned);
            let loaded = load_engine(bytes, &env, &cx);
            out.extend(loaded.diagnostics);
            match (loaded.value, input.previous) {
                (Some(spec), _) if loaded.valid => (spec, true, Some((file, loaded.tree))),
                // Without previous settings what could be read of these serves to check the specs against, and of the
                // rest nothing is said; nothing runs by them, since a start with a broken tidings.yaml is refused.
                (Some(spec), None) => (spec.unknown_besides(), false, None),
                _ => (previous(), false, None),
            }
        }
    }
}

/// What is written in tidings.yaml, of what may be seen; with an invalid one what was written in the one that goes on.
fn written(input: &Input<'_>, valid: bool) -> serde_json::Value {
    match (input.engine, input.previous) {
        (EngineFile::Bytes(_, bytes), _) if valid => {
            super::written::shown(&Parsed::new(bytes).json())
        }
        (_, Some(previous)) if !valid => previous.engine.written.clone(),
        _ => serde_json::Value::Null,
    }
}

/// Says where a default of tidings.yaml or the environment had to be held at a limit; [`Pace::of`] holds it.
fn clamp_defaults(
    engine: &Engine,
    env: &EnvDefaults,
    clamped: &mut Findings,
    out: &mut Vec<Diagnostic>,
) {
    let limits = &engine.limits;
    let min_delay = min_delay(limits);
    let delays = engine
        .spec
        .defaults
        .as_ref()
        .and_then(|d| d.delays.as_ref());
    let at = Pointer::root().key("defaults").key("delays");
    if let Some(between) = delays.and_then(|d| d.between_messages) {
        if between.min < min_delay {
            clamped
                .warning(
                    &at.key("between_messages"),
                    codes::CLAMPED,
                    format!(
                        "a pause of {} is shorter than `limits.min_delay`",
                        between.min
                    ),
                )
                .detail(format!(
                    "The limit holds: campaigns that are silent pause {}.",
                    between.at_least(min_delay)
                ));
        }
    } else if let Some(between) = env.between_messages
        && between.min < min_delay
    {
        let name = match env.only_max {
            true => "MAILING_DELAY_MAX",
            false => "MAILING_DELAY_MIN",
        };
        out.push(engine::clamped_variable(
            format!(
                "{name}: a pause of {} is shorter than `limits.min_delay`",
                between.min
            ),
            format!(
                "The limit holds: campaigns that are silent pause {}.",
                between.at_least(min_delay)
            ),
        ));
    }
    if let Some(per_day) = delays.and_then(|d| d.per_account).and_then(|p| p.per_day)
        && per_day > limits.max_per_day
    {
        clamped
            .warning(
                &at.key("per_account").key("per_day"),
                codes::CLAMPED,
                format!("{per_day} messages a day are more than `limits.max_per_day`"),
            )
            .detail(format!("The limit of {} holds.", limits.max_per_day));
    }
}

/// What is said of a broken tidings.yaml beside its diagnostics.
fn broken_settings(input: &Input<'_>, diagnostics: &[Diagnostic]) -> Option<InvalidFile> {
    let file = match input.engine {
        EngineFile::Absent => return None,
        EngineFile::Unreadable(file, _) | EngineFile::Bytes(file, _) => file,
    };
    let file = if file.is_empty() { ENGINE_FILE } else { file };
    let mut errors = diagnostics
        .iter()
        .filter(|d| d.is_error() && d.file == file);
    let first = errors.next()?;
    let more = match errors.count() {
        0 => String::new(),
        more => format!(" (and {more} more; `tidings validate` shows all)"),
    };
    let meanwhile = match input.previous {
        Some(desired) if !desired.engine.spec.unknown => "The last good settings go on.",
        _ => "No daemon starts before it is mended, and nothing is said of what it decides.",
    };
    Some(InvalidFile {
        file: file.to_owned(),
        campaign: None,
        message: format!("{first}{more}. {meanwhile}"),
    })
}

/// What is said of a second file of a name, or of a lineage, whose first has the history.
fn newcomer(one: DesiredCampaign) -> InvalidFile {
    let errors = || one.diagnostics.iter().filter(|d| d.is_error());
    let message = errors()
        .find(|d| [codes::DUPLICATE_CAMPAIGN, codes::RENAMED_FROM].contains(&d.code.as_str()))
        .or_else(|| errors().next())
        .map_or_else(
            || format!("{}: another file has this name", one.file),
            |d| format!("{d}. {}", d.detail),
        );
    InvalidFile {
        file: one.file,
        campaign: Some((one.name, one.lineage)),
        message,
    }
}

/// One file on its way.
struct Entry<'a> {
    path: &'a str,
    bytes: Result<Arc<[u8]>, Box<Diagnostic>>,
    /// Its YAML, read once for the look at its name and for the load, unless that is too much to keep.
    parsed: Option<Parsed>,
}

impl Entry<'_> {
    /// Its YAML; read again where it was not kept.
    fn parsed(&mut self, bytes: &[u8]) -> Parsed {
        self.parsed.take().unwrap_or_else(|| Parsed::new(bytes))
    }
}

/// Bytes of files whose YAML is kept from the look at their names until they are loaded. The tree of a file is up to
/// twenty times its size.
const MAX_KEPT: usize = 4 << 20;

fn campaigns(
    input: &Input<'_>,
    engine: &Engine,
    env: &EnvDefaults,
    paths: &[String],
    out: &mut Vec<Diagnostic>,
    invalid_files: &mut Vec<InvalidFile>,
) -> (BTreeMap<String, DesiredCampaign>, Memo) {
    let mut kept = 0;
    let (entries, claims): (Vec<Entry<'_>>, Vec<Claim<'_>>) = paths
        .iter()
        .map(|path| {
            let bytes = read(input.files, path);
            let known = match (&bytes, input.memo) {
                (Ok(bytes), Some(memo)) => memo.peek(path, bytes),
                _ => None,
            };
            let parsed = match (&bytes, known) {
                (Ok(bytes), None) => Some(Parsed::new(bytes)),
                _ => None,
            };
            let peek = match known {
                Some(known) => known.clone(),
                None => parsed.as_ref().map_or_else(Peek::default, peek),
            };
            let claim = Claim { file: path, peek };
            kept += parsed
                .as_ref()
                .map_or(0, |_| bytes.as_ref().map_or(0, |bytes| bytes.len()));
            let entry = Entry {
                path,
                bytes,
                parsed: parsed.filter(|_| kept <= MAX_KEPT),
            };
            (entry, claim)
        })
        .unzip();
    let mut found: Vec<Findings> = entries.iter().map(|_| Findings::new()).collect();
    let verdicts = names::decide(&claims, input.history, &mut found);
    let known: BTreeMap<String, Option<Kind>> = claims
        .iter()
        .map(|claim| (claim.name().to_owned(), claim.peek.kind))
        .collect();
    let pace = Pace::of(engine, env);
    let surroundings = Surroundings {
        engine: engine.spec.clone(),
        env: input.env.clone(),
        sessions: input.sessions.map(<[String]>::to_vec),
        kinds: known,
    };
    let before = input.memo.filter(|memo| memo.holds_among(&surroundings));
    let known = &surroundings.kinds;
    let mut remembered: Vec<(&str, Arc<Remembered>)> = Vec::new();

    let mut campaigns: BTreeMap<String, DesiredCampaign> = BTreeMap::new();
    for (((mut entry, claim), verdict), found) in
        entries.into_iter().zip(&claims).zip(verdicts).zip(found)
    {
        let cx = CheckContext {
            file: entry.path,
            files: input.files,
            engine: &engine.spec,
            campaigns: Some(known),
            sessions: input.sessions,
        };
        let known = match (&entry.bytes, before) {
            // What other files say of it (its name is taken) is not its own.
            (Ok(bytes), Some(before)) if found.is_empty() => {
                before.came_to(entry.path, bytes, input.files)
            }
            _ => None,
        };
        let known = known.and_then(|known| Some((known, known.campaign()?.clone())));
        let campaign = match known {
            Some((known, mut campaign)) => {
                let renamed_from = claim.peek.renamed_from.as_deref();
                campaign.lineage = names::lineage(&campaign.name, renamed_from, input.history);
                remembered.push((entry.path, Arc::clone(known)));
                campaign
            }
            None => {
                let alone = found.is_empty();
                let traced = Traced::new(input.files);
                let cx = CheckContext {
                    files: &traced,
                    ..cx
                };
                let campaign = one(&mut entry, claim, &cx, found, engine, pace, input);
                if let Ok(bytes) = &entry.bytes {
                    let valid = alone && !campaign.diagnostics.iter().any(Diagnostic::is_error);
                    let came_to = (valid && campaign.spec.is_some())
                        .then(|| traced.looks())
                        .flatten()
                        .map(|looks| (campaign.clone(), looks));
                    let known = Remembered::new(bytes.clone(), claim.peek.clone(), came_to);
                    remembered.push((entry.path, Arc::new(known)));
                }
                campaign
            }
        };
        out.extend(campaign.diagnostics.iter().cloned());
        match (verdict, campaigns.get_mut(&campaign.name)) {
            (Verdict::Newcomer, _) => invalid_files.push(newcomer(campaign)),
            // Both are held: one entry, with what is wrong with either.
            (_, Some(other)) => {
                other.diagnostics.extend(campaign.diagnostics);
                other.spec = None;
            }
            (_, None) => {
                campaigns.insert(campaign.name.clone(), campaign);
            }
        }
    }
    let mut memo = Memo::among(surroundings);
    for (path, known) in remembered {
        memo.keep(path, known);
    }
    (campaigns, memo)
}

#[allow(clippy::too_many_arguments)]
fn one(
    entry: &mut Entry<'_>,
    claim: &Claim<'_>,
    cx: &CheckContext<'_>,
    found: Findings,
    engine: &Engine,
    pace: Pace,
    input: &Input<'_>,
) -> DesiredCampaign {
    let name = claim.name().to_owned();
    let lineage = names::lineage(&name, claim.peek.renamed_from.as_deref(), input.history);
    let bytes = match &entry.bytes {
        Ok(bytes) => Arc::clone(bytes),
        Err(diagnostic) => {
            return DesiredCampaign {
                kind: None,
                title: None,
                file: entry.path.to_owned(),
                lineage,
                // No bytes are known: a digest of none, which no readable file has.
                digest: String::new(),
                files: Vec::new(),
                spec: last_good(&name, engine, pace, cx, input),
                version: None,
                diagnostics: vec![(**diagnostic).clone()],
                name,
            };
        }
    };
    let Loaded {
        value,
        valid,
        tree,
        mut diagnostics,
    } = load_campaign(entry.parsed(&bytes), cx);
    let valid = valid && !found.has_errors();
    diagnostics.extend(found.into_diagnostics(entry.path, &*tree));
    diagnostic::sort(&mut diagnostics);
    let files = value
        .as_ref()
        .map(|spec: &CampaignSpec| named_files(spec, cx))
        .unwrap_or_default();
    let digest = digest::of_spec(&bytes, &files);
    let (mut spec, mut version) = (None, None);
    if let Some(value) = value.filter(|_| valid) {
        let resolver = Resolver {
            cx: *cx,
            engine,
            pace,
            files: &files,
        };
        spec = resolver.campaign(&value).map(Arc::new);
        if spec.is_none() {
            diagnostics.push(Diagnostic::of_file(
                Severity::Error,
                codes::CHANGED_MEANWHILE,
                entry.path,
                "a file that the spec names changed while it was read",
                "It is looked at again by itself.",
            ));
        } else if engine.continue_on_invalid {
            let before = input.previous.and_then(|p| p.campaigns.get(&name));
            version = before
                .and_then(|before| before.version.clone())
                .filter(|before| before.digest == digest && before.file == entry.path)
                .or_else(|| Version::of(&digest, &bytes, &value, &files, cx).map(Arc::new));
        }
    }
    let spec = spec.or_else(|| last_good(&name, engine, pace, cx, input));
    let mut files: Vec<String> = files.into_iter().map(|file| file.path).collect();
    files.sort();
    files.dedup();
    DesiredCampaign {
        name,
        kind: claim.peek.kind,
        title: claim.peek.title.clone(),
        file: entry.path.to_owned(),
        lineage,
        digest,
        files,
        spec,
        version,
        diagnostics,
    }
}

/// With `on_invalid: continue`, the version that was valid before: the one at hand, else the one that was kept.
fn last_good(
    name: &str,
    engine: &Engine,
    pace: Pace,
    cx: &CheckContext<'_>,
    input: &Input<'_>,
) -> Option<Arc<super::types::ResolvedCampaign>> {
    if !engine.continue_on_invalid {
        return None;
    }
    let previous = input.previous.and_then(|p| p.campaigns.get(name));
    if let Some(spec) = previous.and_then(|previous| previous.spec.clone()) {
        return Some(spec);
    }
    let version = input.kept?(name)?;
    let files = version.over(input.files);
    let cx = CheckContext {
        file: &version.file,
        files: &files,
        ..*cx
    };
    // What has become invalid since without an edit of its own (a limit was lowered) does not go on.
    let loaded = load_campaign(Parsed::new(version.text.as_bytes()), &cx);
    let spec = loaded.value.filter(|_| loaded.valid)?;
    let named = named_files(&spec, &cx);
    let resolver = Resolver {
        cx,
        engine,
        pace,
        files: &named,
    };
    resolver.campaign(&spec).map(Arc::new)
}

/// An audience brings the basis under which it was collected; `attested`, where that is among several.
fn inherit_bases(campaigns: &mut BTreeMap<String, DesiredCampaign>) {
    // A collect may take over what another one collected: a basis goes one campaign further each time.
    for _ in 0..campaigns.len().min(MAX_CHAIN) {
        inherit_once(campaigns);
    }
}

/// Collects that take over from each other, one behind the other: more is a mistake, and costs a pass each.
const MAX_CHAIN: usize = 16;

fn inherit_once(campaigns: &mut BTreeMap<String, DesiredCampaign>) {
    let collected: BTreeMap<String, BTreeSet<Basis>> = campaigns
        .iter()
        .filter_map(|(name, campaign)| Some((name, campaign.spec.as_ref()?)))
        .filter(|(_, spec)| spec.kind == Kind::Collect)
        .map(|(name, spec)| {
            let bases = spec
                .sources
                .iter()
                .filter(|s| s.role == SourceRole::Include)
                .filter_map(|s| s.basis);
            (name.clone(), bases.collect())
        })
        .collect();
    for campaign in campaigns.values_mut() {
        let Some(spec) = &mut campaign.spec else {
            continue;
        };
        let inherits = |what: &SourceKind| match what {
            SourceKind::Audience { campaign } => collected.get(campaign),
            _ => None,
        };
        if !spec
            .sources
            .iter()
            .any(|source| inherits(&source.what).is_some())
        {
            continue;
        }
        for source in &mut Arc::make_mut(spec).sources {
            if source.role != SourceRole::Include {
                continue;
            }
            if let Some(bases) = inherits(&source.what) {
                // Attested carries the daily cap and the notice: it is never lost on the way.
                let attested = bases.contains(&Basis::Attested).then_some(Basis::Attested);
                source.basis = attested.or(bases.first().copied()).or(source.basis);
            }
        }
    }
}
