//! What is wanted: specs and settings, resolved and cross-checked, as the planner takes them.
//!
//! These types are the seam between `desired` (which fills them) and `plan` (which reads them).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{AccountName, Attachment, Lineage, Reference, SourceId, Timestamp};
use crate::people::file::Columns;
use crate::spec::{
    Basis, CampaignSpec, Diagnostic, EachRun, EngineSpec, Kind, Missed, Overlap, SecretString,
};
use crate::text::{Expression, Template};
use crate::time::{Cron, Windows, Zone};

/// Everything that the workspace asks for at one moment.
#[derive(Debug, Clone, Default)]
pub struct Desired {
    /// The settings with their defaults.
    pub engine: Engine,
    /// Campaigns whose files are there, by name; of two files of one name, the one with history.
    pub campaigns: BTreeMap<String, DesiredCampaign>,
    /// The names of those that may cap an account over all campaigns: warmups, and files that are invalid.
    pub warmups: Vec<String>,
    /// Set where the campaigns' folder is missing or unreadable: then nothing is retired, and everything is held.
    pub folder_error: Option<String>,
    /// Files that cannot be used and are no campaign's own: `tidings.yaml`, and newcomers to a name that has a history.
    pub invalid_files: Vec<InvalidFile>,
}

/// A file that cannot be used, and that no entry of [`Desired::campaigns`] tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidFile {
    /// Relative to the workspace.
    pub file: String,
    /// Name and lineage of the campaign whose name it takes; absent for `tidings.yaml`.
    pub campaign: Option<(String, Lineage)>,
    /// What is wrong, with its place, and what goes on meanwhile.
    pub message: String,
}

/// `tidings.yaml` with its defaults.
#[derive(Debug, Clone, Default)]
pub struct Engine {
    /// The file itself, for what later rooms read.
    pub spec: EngineSpec,
    /// What is written in it, before variables are put in and without what must not be seen; null without a file.
    pub written: serde_json::Value,
    /// `telegram.api_id`; absent: accounts are `not_configured`.
    pub api_id: Option<i32>,
    /// What is wrong with the environment's `TG_API_ID`, where it is set and cannot be used.
    pub api_id_fault: Option<String>,
    /// `telegram.api_hash`.
    pub api_hash: Option<SecretString>,
    /// What no spec may exceed.
    pub limits: Limits,
    /// Accounts that are configured or named by a campaign.
    pub accounts: BTreeMap<AccountName, EngineAccount>,
    /// How people say that they have had enough.
    pub opt_out: OptOut,
    /// `on_invalid: continue`.
    pub continue_on_invalid: bool,
    /// The server that drafts answers.
    pub ai: super::AiServer,
}

impl Engine {
    /// What is said of accounts that are `not_configured`: what is missing or wrong, and where to get it.
    pub fn not_configured(&self) -> String {
        let state = crate::model::AccountState::NotConfigured;
        let what = match (&self.api_id_fault, self.api_id, &self.api_hash) {
            (Some(fault), None, _) => format!("TG_API_ID is set, but {fault}."),
            (None, None, Some(_)) => "TG_API_ID is not set.".to_owned(),
            (_, Some(_), None) => "TG_API_HASH is not set.".to_owned(),
            _ => "TG_API_ID or TG_API_HASH is not set.".to_owned(),
        };
        format!("{what} {}", state.remedy())
    }
}

/// `limits`.
#[derive(Debug, Clone)]
pub struct Limits {
    /// No delay between messages is shorter.
    pub min_delay: Duration,
    /// First contacts, follow-ups and invites of an account a day.
    pub max_per_day: u32,
    /// People in an audience.
    pub max_audience: u32,
    /// A run with more first contacts waits for approval; `None`: never.
    pub approve_over: Option<u32>,
    /// First contacts under consent `attested`, a day and account.
    pub attested_per_day: u32,
    /// Least time between two messages of any campaign to one person.
    pub per_person_gap: Option<Duration>,
    /// Messages of all campaigns to one person in 30 days.
    pub per_person_month: Option<u32>,
    /// Staging: nobody else is ever written to.
    pub only_to: Option<Vec<Reference>>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            min_delay: Duration::from_millis(crate::spec::engine::DEFAULT_MIN_DELAY.millis()),
            max_per_day: crate::spec::engine::DEFAULT_MAX_PER_DAY,
            max_audience: crate::spec::engine::DEFAULT_MAX_AUDIENCE,
            approve_over: Some(crate::spec::engine::DEFAULT_APPROVE_OVER),
            attested_per_day: crate::spec::engine::DEFAULT_ATTESTED_PER_DAY,
            per_person_gap: None,
            per_person_month: None,
            only_to: None,
        }
    }
}

/// An account's settings.
#[derive(Debug, Clone)]
pub struct EngineAccount {
    /// For selectors.
    pub labels: BTreeMap<String, String>,
    /// Messages of all campaigns a day of its zone: `accounts.X.per_day`, at most `limits.max_per_day`.
    pub per_day: u32,
    /// Whose days count; UTC where it names none.
    pub zone: Zone,
    /// A socks5 URL.
    pub proxy: Option<SecretString>,
    /// Who answers anyone who writes in and is no campaign's.
    pub ai_role: Option<super::ResolvedRole>,
}

/// `opt_out`.
#[derive(Debug, Clone, Default)]
pub struct OptOut {
    /// The whole message, any case.
    pub keywords: Vec<String>,
    /// The one confirmation.
    pub reply: Option<Template>,
    /// Appended to first contacts.
    pub notice: Option<Template>,
}

/// One campaign file.
#[derive(Debug, Clone)]
pub struct DesiredCampaign {
    /// Its name: the file's stem where the spec is too broken to say.
    pub name: String,
    /// What its file says, however broken: its `kind`, where that can be read.
    pub kind: Option<Kind>,
    /// Its `title` likewise.
    pub title: Option<String>,
    /// Relative to the workspace.
    pub file: String,
    /// What it is over its renames: the first of its line.
    pub lineage: Lineage,
    /// SHA-256 (hex) over the spec's bytes and every file it names.
    pub digest: String,
    /// The files that it names, relative to the workspace, by their paths.
    pub files: Vec<String>,
    /// What it asks for; `None` where it is invalid.
    pub spec: Option<Arc<ResolvedCampaign>>,
    /// With `on_invalid: continue` and a valid file: what is kept of it, in case that it breaks.
    pub version: Option<Arc<super::Version>>,
    /// Its errors and warnings.
    pub diagnostics: Vec<Diagnostic>,
}

/// A valid campaign with every default applied.
#[derive(Debug, Clone)]
pub struct ResolvedCampaign {
    /// The spec as it was read, for what later rooms read.
    pub spec: CampaignSpec,
    /// Its name.
    pub name: String,
    /// What it does.
    pub kind: Kind,
    /// `paused: true`.
    pub paused: bool,
    /// SHA-256 (hex) over what an approval binds to: texts, sources, filters, accounts (not delays or schedule).
    pub approval_digest: String,
    /// SHA-256 (hex) over what decides who is in the audience: sources, files of theirs, filters, limits, only_to.
    pub audience_digest: String,
    /// Its accounts, sorted.
    pub accounts: Vec<AccountName>,
    /// The union of these is the audience; those of `filters.in` and `filters.exclude` too, by role.
    pub sources: Vec<ResolvedSource>,
    /// Who of them is left out.
    pub filters: ResolvedFilters,
    /// What is said. Empty only for kinds that say nothing.
    pub variants: Vec<Variant>,
    /// What is said later.
    pub follow_ups: Vec<ResolvedStep>,
    /// What its owner's plan allows, or the plan `default`.
    pub plan: Option<ResolvedPlan>,
    /// The pace.
    pub delays: ResolvedDelays,
    /// When.
    pub schedule: ResolvedSchedule,
    /// Who answers its people.
    pub ai_role: Option<super::ResolvedRole>,
}

/// What a source is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceRole {
    /// `sources`: found people are in.
    Include,
    /// `filters.in`: only people found here too.
    In,
    /// `filters.exclude`: nobody found here.
    Exclude,
}

/// One source.
#[derive(Debug, Clone)]
pub struct ResolvedSource {
    /// The same as long as what it says (a file's bytes among it) is the same.
    pub id: SourceId,
    /// What it is for.
    pub role: SourceRole,
    /// Where the people come from.
    pub what: SourceKind,
    /// Why they may be written to; `None` for `In` and `Exclude`.
    pub basis: Option<Basis>,
    /// At most so many.
    pub limit: Option<u32>,
    /// In words: `members of @rust_meetup`.
    pub label: String,
}

/// Where people come from.
#[derive(Debug, Clone, PartialEq)]
pub enum SourceKind {
    /// Participants of a group or channel.
    Members {
        /// Which.
        place: Reference,
    },
    /// Who wrote in a group lately.
    Authors {
        /// Which.
        place: Reference,
        /// How lately.
        within: Option<Duration>,
    },
    /// Who commented under a channel's last posts.
    Commenters {
        /// Which.
        place: Reference,
        /// How many posts.
        posts: Option<u32>,
    },
    /// Who has written to one of the accounts.
    Dialogs {
        /// How lately.
        within: Option<Duration>,
    },
    /// The accounts' address books.
    Contacts,
    /// A CSV or TXT.
    File {
        /// Relative to the workspace.
        path: String,
        /// Columns by their header, where they are mapped.
        columns: Columns,
        /// The SHA-256 of its bytes.
        sha256: [u8; 32],
    },
    /// Named in the spec.
    List {
        /// Who.
        people: Vec<Reference>,
    },
    /// What another campaign collected.
    Audience {
        /// Which.
        campaign: String,
    },
}

impl SourceKind {
    /// Whether accounts look it up (else the workspace holds it).
    pub fn needs_account(&self) -> bool {
        !matches!(
            self,
            SourceKind::File { .. } | SourceKind::List { .. } | SourceKind::Audience { .. }
        )
    }

    /// Whether each account has its own: address books and dialogs, which say nothing about another account's.
    pub fn is_each_accounts_own(&self) -> bool {
        matches!(self, SourceKind::Dialogs { .. } | SourceKind::Contacts)
    }

    /// The name that the spec and the report use.
    pub fn type_name(&self) -> &'static str {
        match self {
            SourceKind::Members { .. } => "members",
            SourceKind::Authors { .. } => "authors",
            SourceKind::Commenters { .. } => "commenters",
            SourceKind::Dialogs { .. } => "dialogs",
            SourceKind::Contacts => "contacts",
            SourceKind::File { .. } => "file",
            SourceKind::List { .. } => "list",
            SourceKind::Audience { .. } => "audience",
        }
    }

    /// The place it names, as the report shows it.
    pub fn place(&self) -> Option<&Reference> {
        match self {
            SourceKind::Members { place }
            | SourceKind::Authors { place, .. }
            | SourceKind::Commenters { place, .. } => Some(place),
            _ => None,
        }
    }
}

/// `filters` with their defaults.
#[derive(Debug, Clone, Default)]
pub struct ResolvedFilters {
    /// `bots: keep`.
    pub keep_bots: bool,
    /// `deleted: keep`.
    pub keep_deleted: bool,
    /// `admins: drop`.
    pub drop_admins: bool,
    /// `username: required`.
    pub username_required: bool,
    /// `premium: only` (true) or `never` (false).
    pub premium: Option<bool>,
    /// Seen within.
    pub last_seen: Option<Duration>,
    /// `last_seen_unknown: keep`.
    pub keep_last_seen_unknown: bool,
    /// `not_contacted.within`: by any campaign.
    pub not_contacted_within: Option<Duration>,
    /// `not_contacted.campaigns`: by these, ever.
    pub not_contacted_by: Vec<String>,
    /// `where`.
    pub where_: Option<Expression>,
    /// Audience ceiling: the least of `filters.limit`, the owner's plan and `limits.max_audience`.
    pub limit: u32,
}

/// One text.
#[derive(Debug, Clone)]
pub struct Variant {
    /// Its name in the report.
    pub name: Arc<str>,
    /// Its share.
    pub weight: u32,
    /// Compiled, with its format.
    pub template: Template,
    /// A file that goes with it.
    pub media: Option<Attachment>,
    /// Whether links show a preview.
    pub link_preview: bool,
}

/// An owner's plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedPlan {
    /// Its name.
    pub name: String,
    /// Campaigns of one owner that run at a time.
    pub max_running: Option<u32>,
    /// From the end of one of the owner's runs to the start of the next.
    pub cooldown: Option<Duration>,
}

/// One follow-up.
#[derive(Debug, Clone)]
pub struct ResolvedStep {
    /// How long after the step before was sent.
    pub after: Duration,
    /// To those who have answered, too.
    pub always: bool,
    /// What is said.
    pub variants: Vec<Variant>,
}

/// `delays` with their defaults, clamped to `limits`.
#[derive(Debug, Clone)]
pub struct ResolvedDelays {
    /// Between two messages of an account: least and most.
    pub between: (Duration, Duration),
    /// 'typing…' before a message: least and most.
    pub typing: Option<(Duration, Duration)>,
    /// Of this campaign, each account: in any 60 minutes.
    pub per_hour: Option<u32>,
    /// In a day of the schedule's zone.
    pub per_day: u32,
    /// In a run.
    pub per_run: Option<u32>,
    /// Of this campaign, all accounts together, in a day of the schedule's zone.
    pub campaign_per_day: Option<u32>,
}

/// `schedule` with its defaults.
#[derive(Debug, Clone)]
pub struct ResolvedSchedule {
    /// Whose days and wall clock count; UTC where it names none.
    pub zone: Zone,
    /// Nothing before.
    pub start: Option<Timestamp>,
    /// Nothing after.
    pub end: Option<Timestamp>,
    /// Each firing starts a run.
    pub cron: Option<Cron>,
    /// Whom a later run writes to.
    pub each_run: EachRun,
    /// How often newcomers are looked for.
    pub refresh: Option<Duration>,
    /// When sends may leave; always where none is named.
    pub windows: Windows,
    /// Firings while the daemon was down.
    pub missed: Missed,
    /// A firing while a run is open.
    pub overlap: Overlap,
}
