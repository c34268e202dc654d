//! One valid spec with every default applied.

use serde_json::json;

use super::digest::{NamedFile, hex, of_value};
use super::environment::EnvDefaults;
use super::types::{
    Engine, Limits, ResolvedCampaign, ResolvedDelays, ResolvedFilters, ResolvedPlan,
    ResolvedSchedule, ResolvedSource, ResolvedStep, SourceKind, SourceRole, Variant,
};
use crate::model::{Attachment, Reference, SourceId};
use crate::spec::check::{CheckContext, MAX_TEXT_FILE};
use crate::spec::delays::{DEFAULT_BETWEEN_INVITES, DEFAULT_BETWEEN_MESSAGES, DEFAULT_PER_DAY};
use crate::spec::engine::plan_of;
use crate::spec::files::resolve as resolve_path;
use crate::spec::{
    CampaignSpec, Duration, DurationRange, Filters, FollowUpIf, Kind, PremiumFilter, Source,
    TemplateSpec, UsernameFilter,
};
use crate::text::{Expression, Names, Template};
use crate::time::{Cron, WallClock, Windows, Zone};

/// A whole number of milliseconds as the standard library writes it.
fn std_range(range: DurationRange) -> (std::time::Duration, std::time::Duration) {
    (range.min.to_std(), range.max.to_std())
}

/// The pace that holds where a spec is silent, already within the limits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) between_messages: DurationRange,
    pub(super) between_invites: DurationRange,
    pub(super) typing: Option<DurationRange>,
    pub(super) per_hour: Option<u32>,
    pub(super) per_day: u32,
    pub(super) per_run: Option<u32>,
    pub(super) campaign_per_day: Option<u32>,
}

impl Pace {
    /// What tidings.yaml says, else the environment, else the built-in defaults.
    pub(super) fn of(engine: &Engine, env: &EnvDefaults) -> Self {
        let delays = engine
            .spec
            .defaults
            .as_ref()
            .and_then(|d| d.delays.as_ref());
        let per_account = delays.and_then(|d| d.per_account).unwrap_or_default();
        let limits = &engine.limits;
        let min_delay = min_delay(limits);
        Self {
            between_messages: delays
                .and_then(|d| d.between_messages)
                .or(env.between_messages)
                .unwrap_or(DEFAULT_BETWEEN_MESSAGES)
                .at_least(min_delay),
            between_invites: delays
                .and_then(|d| d.between_invites)
                .or(env.between_invites)
                .unwrap_or(DEFAULT_BETWEEN_INVITES),
            typing: delays.and_then(|d| d.typing),
            per_hour: per_account.per_hour,
            per_day: per_account
                .per_day
                .unwrap_or(DEFAULT_PER_DAY)
                .min(limits.max_per_day),
            per_run: per_account.per_run.or(env.per_run),
            campaign_per_day: delays.and_then(|d| d.per_campaign).and_then(|p| p.per_day),
        }
    }
}

/// `limits.min_delay` in the spec's own type.
pub(super) fn min_delay(limits: &Limits) -> Duration {
    Duration::from_millis(u64::try_from(limits.min_delay.as_millis()).unwrap_or(u64::MAX))
}

/// The paths, from the workspace on, of every file that a spec names.
pub(super) fn named_files(spec: &CampaignSpec, cx: &CheckContext<'_>) -> Vec<NamedFile> {
    let templates = spec
        .templates
        .iter()
        .chain(spec.follow_ups.iter().flat_map(|step| &step.templates));
    let filters = spec.filters.iter();
    let sources = spec
        .sources
        .iter()
        .chain(filters.flat_map(|f| f.in_sources.iter().chain(&f.exclude)));
    let paths = templates
        .flat_map(|t| t.file.iter().chain(&t.media))
        .chain(spec.ai_role.iter().flat_map(|role| &role.file))
        .chain(sources.filter_map(|source| match source {
            Source::File { path, .. } => Some(path),
            _ => None,
        }));
    let mut paths: Vec<(String, bool)> = paths
        .map(|path| {
            resolve_path(cx.file, path).map_or_else(|_| (path.clone(), false), |full| (full, true))
        })
        .collect();
    paths.sort();
    paths.dedup();
    paths
        .into_iter()
        .map(|(path, inside)| {
            // A path that leaves the workspace is not looked at, not even for a digest.
            let stamp = if inside {
                cx.files.stamp(&path)
            } else {
                Err(crate::spec::files::FileError::LeavesWorkspace)
            };
            NamedFile { path, stamp }
        })
        .collect()
}

/// What one spec is resolved with.
pub(super) struct Resolver<'a> {
    pub(super) cx: CheckContext<'a>,
    pub(super) engine: &'a Engine,
    pub(super) pace: Pace,
    pub(super) files: &'a [NamedFile],
}

impl Resolver<'_> {
    /// The spec with every default; `None` where a named file has changed since it was checked, so that it cannot be
    /// resolved now. The next look at the workspace settles it.
    pub(super) fn campaign(&self, spec: &CampaignSpec) -> Option<ResolvedCampaign> {
        let names = spec.template_names(&self.cx);
        let variants = self.variants(&spec.templates, &names)?;
        let follow_ups = spec
            .follow_ups
            .iter()
            .map(|step| {
                Some(ResolvedStep {
                    after: step.after.to_std(),
                    always: step.condition() == FollowUpIf::Always,
                    variants: self.variants(&step.templates, &names)?,
                })
            })
            .collect::<Option<Vec<_>>>()?;
        let sources = self.sources(spec)?;
        let filters = self.filters(spec, &names)?;
        let mut accounts: Vec<crate::model::AccountName> = spec
            .accounts
            .resolve(&self.engine.spec)
            .iter()
            .map(|name| name.as_str().into())
            .collect();
        accounts.sort();
        let audience = self.audience(spec, &sources);
        let approval = json!({
            "audience": hex(&of_value(&audience)),
            "accounts": accounts,
            "templates": spec.templates,
            "follow_ups": spec.follow_ups,
            "files": self
                .files
                .iter()
                .map(|file| (file.path.as_str(), file.stamp.as_ref().ok().map(|stamp| hex(&stamp.sha256))))
                .collect::<Vec<_>>(),
            "target": spec.target,
            "method": spec.method,
        });
        Some(ResolvedCampaign {
            name: spec.name.clone(),
            kind: spec.kind,
            paused: spec.is_paused(),
            approval_digest: hex(&of_value(&approval)),
            audience_digest: hex(&of_value(&audience)),
            accounts,
            sources,
            filters,
            variants,
            follow_ups,
            plan: plan_of(spec.owner.as_deref(), &self.engine.spec).map(|(name, plan)| {
                ResolvedPlan {
                    name: name.to_owned(),
                    max_running: plan.max_running,
                    cooldown: plan.cooldown.map(Duration::to_std),
                }
            }),
            delays: self.delays(spec),
            schedule: schedule(spec)?,
            ai_role: match &spec.ai_role {
                Some(role) => Some(super::ResolvedRole::of(role, &names, &self.cx)?),
                None => None,
            },
            spec: spec.clone(),
        })
    }

    fn variants(&self, templates: &[TemplateSpec], names: &Names) -> Option<Vec<Variant>> {
        templates
            .iter()
            .map(|template| {
                let text = match (&template.text, &template.file) {
                    (Some(text), _) => text.clone(),
                    (None, Some(file)) => {
                        let path = resolve_path(self.cx.file, file).ok()?;
                        let bytes = self.cx.files.read(&path, MAX_TEXT_FILE).ok()?;
                        let text = std::str::from_utf8(&bytes).ok()?;
                        text.strip_prefix('\u{feff}').unwrap_or(text).to_owned()
                    }
                    // Media alone.
                    (None, None) => String::new(),
                };
                let media = match &template.media {
                    Some(media) => {
                        let (path, sha256) = self.stamp(media)?;
                        Some(Attachment { path, sha256 })
                    }
                    None => None,
                };
                Some(Variant {
                    name: template.name.clone().into(),
                    weight: template.weight(),
                    template: Template::compile(&text, template.format().into(), names).ok()?,
                    media,
                    link_preview: template.link_preview(),
                })
            })
            .collect()
    }

    /// The path of a named file from the workspace on, and its digest.
    fn stamp(&self, written: &str) -> Option<(String, [u8; 32])> {
        let path = resolve_path(self.cx.file, written).ok()?;
        let file = self.files.iter().find(|file| file.path == path)?;
        Some((path, file.stamp.as_ref().ok()?.sha256))
    }

    fn sources(&self, spec: &CampaignSpec) -> Option<Vec<ResolvedSource>> {
        let filters = spec.filters.iter();
        let all = spec
            .sources
            .iter()
            .map(|source| (SourceRole::Include, source))
            .chain(
                filters
                    .clone()
                    .flat_map(|f| f.in_sources.iter().map(|s| (SourceRole::In, s))),
            )
            .chain(filters.flat_map(|f| f.exclude.iter().map(|s| (SourceRole::Exclude, s))));
        let mut sources: Vec<ResolvedSource> = Vec::new();
        for (role, source) in all {
            let basis = if role == SourceRole::Include {
                spec.basis_of(source)
            } else {
                None
            };
            let resolved = self.source(role, source, basis)?;
            // The same thing said twice is one source.
            if !sources
                .iter()
                .any(|other| other.id == resolved.id && other.role == role)
            {
                sources.push(resolved);
            }
        }
        Some(sources)
    }

    fn source(
        &self,
        role: SourceRole,
        source: &Source,
        basis: Option<crate::spec::Basis>,
    ) -> Option<ResolvedSource> {
        let std = |duration: &Option<Duration>| duration.map(Duration::to_std);
        let what = match source {
            Source::Members { peer, .. } => SourceKind::Members { place: peer.into() },
            Source::Authors { peer, within, .. } => SourceKind::Authors {
                place: peer.into(),
                within: std(within),
            },
            Source::Commenters { peer, posts, .. } => SourceKind::Commenters {
                place: peer.into(),
                posts: *posts,
            },
            Source::Dialogs { within, .. } => SourceKind::Dialogs {
                within: std(within),
            },
            Source::Contacts { .. } => SourceKind::Contacts,
            Source::File { path, columns, .. } => {
                let (path, sha256) = self.stamp(path)?;
                SourceKind::File {
                    path,
                    columns: columns.clone(),
                    sha256,
                }
            }
            Source::List { peers, .. } => SourceKind::List {
                people: peers.iter().map(Reference::from).collect(),
            },
            Source::Audience { campaign, .. } => SourceKind::Audience {
                campaign: campaign.clone(),
            },
        };
        let limit = source.limit();
        Some(ResolvedSource {
            id: source_id(&what, limit),
            role,
            label: label(&what),
            what,
            basis,
            limit,
        })
    }

    fn filters(&self, spec: &CampaignSpec, names: &Names) -> Option<ResolvedFilters> {
        let none = Filters::default();
        let filters = spec.filters.as_ref().unwrap_or(&none);
        let not_contacted = filters.not_contacted.clone().unwrap_or_default();
        let where_ = match &filters.where_ {
            Some(text) => Some(Expression::compile(text, names).ok()?),
            None => None,
        };
        Some(ResolvedFilters {
            keep_bots: filters.keeps_bots(),
            keep_deleted: filters.keeps_deleted(),
            drop_admins: !filters.keeps_admins(),
            username_required: filters.username == Some(UsernameFilter::Required),
            premium: match filters.premium {
                Some(PremiumFilter::Only) => Some(true),
                Some(PremiumFilter::Never) => Some(false),
                Some(PremiumFilter::Any) | None => None,
            },
            last_seen: filters.last_seen.map(Duration::to_std),
            keep_last_seen_unknown: filters.keeps_last_seen_unknown(),
            not_contacted_within: not_contacted.within.map(Duration::to_std),
            not_contacted_by: not_contacted.campaigns,
            where_,
            limit: self.audience_limit(spec),
        })
    }

    /// The least of `filters.limit`, the owner's plan and `limits.max_audience`.
    fn audience_limit(&self, spec: &CampaignSpec) -> u32 {
        let plan = plan_of(spec.owner.as_deref(), &self.engine.spec)
            .and_then(|(_, plan)| plan.max_audience);
        let own = spec.filters.as_ref().and_then(|f| f.limit);
        [own, plan]
            .into_iter()
            .flatten()
            .fold(self.engine.limits.max_audience, u32::min)
    }

    /// What decides who is in the audience.
    fn audience(&self, spec: &CampaignSpec, sources: &[ResolvedSource]) -> serde_json::Value {
        let filters = spec.filters.as_ref().map(|filters| {
            let mut value = json!(filters);
            // What other campaigns did is no part of this one; their names are.
            if let Some(map) = value.as_object_mut() {
                map.remove("in");
                map.remove("exclude");
            }
            value
        });
        json!({
            "sources": sources
                .iter()
                .map(|source| (source.id.0, format!("{:?}", source.role), source.basis))
                .collect::<Vec<_>>(),
            "filters": filters,
            "limit": self.audience_limit(spec),
            "only_to": self.engine.limits.only_to.as_ref().map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>()),
            "labels": spec.filters.as_ref().and_then(|f| f.where_.as_ref()).map(|_| &spec.labels),
        })
    }

    fn delays(&self, spec: &CampaignSpec) -> ResolvedDelays {
        let own = spec.delays.clone().unwrap_or_default();
        let per_account = own.per_account.unwrap_or_default();
        let pace = &self.pace;
        let between = if spec.kind == Kind::Invite {
            own.between_invites.unwrap_or(pace.between_invites)
        } else {
            own.between_messages.unwrap_or(pace.between_messages)
        };
        ResolvedDelays {
            between: std_range(between),
            typing: own.typing.or(pace.typing).map(std_range),
            per_hour: per_account.per_hour.or(pace.per_hour),
            per_day: per_account
                .per_day
                .unwrap_or(pace.per_day)
                .min(self.engine.limits.max_per_day),
            per_run: per_account.per_run.or(pace.per_run),
            campaign_per_day: own
                .per_campaign
                .and_then(|p| p.per_day)
                .or(pace.campaign_per_day),
        }
    }
}

fn schedule(spec: &CampaignSpec) -> Option<ResolvedSchedule> {
    let schedule = spec.schedule.clone().unwrap_or_default();
    let zone = match &schedule.timezone {
        Some(name) => Zone::parse(name).ok()?,
        None => Zone::UTC,
    };
    let instant = |text: &Option<String>| -> Option<Option<crate::model::Timestamp>> {
        match text {
            Some(text) => Some(Some(WallClock::parse(text).ok()?.resolve(zone))),
            None => Some(None),
        }
    };
    Some(ResolvedSchedule {
        zone,
        start: instant(&schedule.start)?,
        end: instant(&schedule.end)?,
        cron: match &schedule.cron {
            Some(text) => Some(Cron::parse(text).ok()?),
            None => None,
        },
        each_run: schedule.each_run(),
        refresh: schedule.refresh.map(Duration::to_std),
        windows: Windows::parse(&schedule.windows).ok()?,
        missed: schedule.missed(),
        overlap: schedule.overlap(),
    })
}

/// The first 8 bytes of the SHA-256 of what a source says: where it is, not why its people may be written to.
fn source_id(what: &SourceKind, limit: Option<u32>) -> SourceId {
    let said = match what {
        SourceKind::Members { place } => json!(["members", place.to_string()]),
        SourceKind::Authors { place, within } => json!([
            "authors",
            place.to_string(),
            within.map(|w| w.as_millis() as u64)
        ]),
        SourceKind::Commenters { place, posts } => json!(["commenters", place.to_string(), posts]),
        SourceKind::Dialogs { within } => json!(["dialogs", within.map(|w| w.as_millis() as u64)]),
        SourceKind::Contacts => json!(["contacts"]),
        SourceKind::File {
            path,
            columns,
            sha256,
        } => json!(["file", path, columns, hex(sha256)]),
        SourceKind::List { people } => json!([
            "list",
            people.iter().map(ToString::to_string).collect::<Vec<_>>()
        ]),
        SourceKind::Audience { campaign } => json!(["audience", campaign]),
    };
    let digest = of_value(&(said, limit));
    let mut first = [0u8; 8];
    first.copy_from_slice(&digest[..8]);
    SourceId(u64::from_be_bytes(first))
}

/// A source in words.
fn label(what: &SourceKind) -> String {
    match what {
        SourceKind::Members { place } => format!("members of {place}"),
        SourceKind::Authors { place, .. } => format!("authors in {place}"),
        SourceKind::Commenters { place, .. } => format!("commenters of {place}"),
        SourceKind::Dialogs { .. } => "dialogs".to_owned(),
        SourceKind::Contacts => "contacts".to_owned(),
        SourceKind::File { path, .. } => format!("file {path}"),
        SourceKind::List { people } => format!("list of {}", people.len()),
        SourceKind::Audience { campaign } => format!("audience of {campaign}"),
    }
}
