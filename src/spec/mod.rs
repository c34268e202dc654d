//! A campaign's spec and tidings.yaml: from YAML text to checked types, and the diagnostics on the way.
//!
//! One file per element of the spec, each with its type, its schema (by derive), its `check` and its case table.

pub mod accounts;
pub mod ai_role;
pub mod audience_file;
pub mod campaign;
pub mod check;
pub mod codes;
pub mod consent;
pub mod delays;
pub mod diagnostic;
pub mod duration;
pub mod engine;
pub mod files;
pub mod filters;
pub mod follow_ups;
pub mod guardrails;
pub mod invite;
pub mod load;
pub mod peer;
pub mod ramp;
pub mod reference;
pub mod render;
pub mod scalar;
pub mod schedule;
pub mod schema;
pub mod schema_check;
pub mod sources;
pub mod templates;
pub mod tests_element;
pub mod yaml;

use std::sync::OnceLock;

use load::Loaded;
use schema_check::{BadSchema, Schema};
use yaml::Env;

pub use accounts::{AccountSelector, LabelSelector, is_account_name};
pub use ai_role::{AiMode, AiRole, Share};
pub use campaign::{CampaignSpec, Kind};
pub use check::CheckContext;
pub use consent::{Basis, Consent};
pub use delays::{Delays, PerAccount, PerCampaign};
pub use diagnostic::{Diagnostic, Findings, Pointer, Severity};
pub use duration::{Duration, DurationRange, Percent};
pub use engine::{
    DEFAULT_APPROVE_OVER, DEFAULT_ATTESTED_PER_DAY, DEFAULT_MAX_AUDIENCE, DEFAULT_MAX_PER_DAY,
    DEFAULT_MIN_DELAY, EngineSpec, SecretString,
};
pub use files::Files;
pub use filters::{Filters, KeepOrDrop, NotContacted, PremiumFilter, UsernameFilter};
pub use follow_ups::{FollowUp, FollowUpIf};
pub use guardrails::Guardrails;
pub use invite::InviteMethod;
pub use load::Parsed;
pub use peer::Peer;
pub use ramp::Ramp;
pub use schedule::{EachRun, Missed, Overlap, Schedule};
pub use schema::{campaign_schema, tidings_schema};
pub use sources::Source;
pub use templates::{TemplateSpec, TextFormat};
pub use tests_element::{Expect, SpecTest, TestContact};

/// What a spec says of itself before it is checked: enough for the checks of the other files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peek {
    /// Its `name`, where that is text.
    pub name: Option<String>,
    /// Its `kind`, where that is one.
    pub kind: Option<Kind>,
    /// Its `title`, where that is text.
    pub title: Option<String>,
    /// Its `renamed_from`, where that is text.
    pub renamed_from: Option<String>,
    /// The campaigns whose audience its sources and filters name, and where they do.
    pub audiences: Vec<(Pointer, String)>,
}

/// Looks into a spec, however broken; what cannot be read is absent.
pub fn peek(parsed: &Parsed) -> Peek {
    let text = |key: &str| parsed.text(key).map(str::to_owned);
    let kind =
        text("kind").and_then(|kind| serde_json::from_value(serde_json::Value::String(kind)).ok());
    Peek {
        name: text("name"),
        kind,
        title: text("title"),
        renamed_from: text("renamed_from"),
        audiences: audiences(&parsed.json()),
    }
}

fn audiences(spec: &serde_json::Value) -> Vec<(Pointer, String)> {
    let root = Pointer::root();
    let filters = root.key("filters");
    [
        (root.key("sources"), spec.get("sources")),
        (filters.key("in"), spec.pointer("/filters/in")),
        (filters.key("exclude"), spec.pointer("/filters/exclude")),
    ]
    .into_iter()
    .flat_map(|(at, list)| {
        let list = list.and_then(serde_json::Value::as_array);
        list.into_iter()
            .flatten()
            .enumerate()
            .map(move |(index, source)| (at.index(index).key("campaign"), source))
    })
    .filter(|(_, source)| {
        source.get("type").and_then(serde_json::Value::as_str) == Some("audience")
    })
    .filter_map(|(at, source)| Some((at, source.get("campaign")?.as_str()?.to_owned())))
    .collect()
}

/// Loads and checks a campaign's spec.
pub fn load_campaign(parsed: Parsed, cx: &CheckContext<'_>) -> Loaded<CampaignSpec> {
    static SCHEMA: OnceLock<Result<Schema, BadSchema>> = OnceLock::new();
    let schema = SCHEMA.get_or_init(|| Schema::new(schema::campaign_validator()));
    let mut loaded = load_by(schema, cx.file, parsed, None, |spec: &CampaignSpec, out| {
        spec.check(cx, out)
    });
    one_mistake_once(&mut loaded.diagnostics);
    loaded
}

/// Loads and checks tidings.yaml; `cx.engine` is not looked at.
pub fn load_engine(bytes: &[u8], env: &Env<'_>, cx: &CheckContext<'_>) -> Loaded<EngineSpec> {
    static SCHEMA: OnceLock<Result<Schema, BadSchema>> = OnceLock::new();
    let schema = SCHEMA.get_or_init(|| Schema::new(schema::tidings_validator()));
    let mut loaded = load_by(
        schema,
        cx.file,
        Parsed::new(bytes),
        Some(env),
        |spec: &EngineSpec, out| spec.check(cx, out),
    );
    // Every key of tidings.yaml is optional: a file of comments alone says as much as none.
    if let [only] = loaded.diagnostics.as_slice()
        && only.code == codes::EMPTY_FILE
    {
        loaded = Loaded {
            value: Some(EngineSpec::default()),
            valid: true,
            tree: loaded.tree,
            diagnostics: Vec::new(),
        };
    }
    loaded
}

fn load_by<T: serde::de::DeserializeOwned>(
    schema: &Result<Schema, BadSchema>,
    file: &str,
    parsed: Parsed,
    env: Option<&Env<'_>>,
    check: impl FnOnce(&T, &mut Findings),
) -> Loaded<T> {
    match schema {
        Ok(schema) => load::load(file, parsed, schema, env, check),
        // A bug of the generated schema, which this room's tests would have met: nothing is let pass.
        Err(error) => Loaded {
            value: None,
            valid: false,
            tree: std::sync::Arc::new(yaml::parse(b"", &mut Findings::new())),
            diagnostics: vec![Diagnostic::of_file(
                Severity::Error,
                codes::INTERNAL,
                file,
                error.to_string(),
                "",
            )],
        },
    }
}

/// A misspelt `templats` is not also a missing `templates`.
fn one_mistake_once(diagnostics: &mut Vec<Diagnostic>) {
    let meant: Vec<String> = diagnostics
        .iter()
        .filter(|d| d.code == codes::UNKNOWN_KEY)
        .filter_map(|d| Some(format!("needs `{}`", d.suggestion.as_deref()?)))
        .collect();
    diagnostics.retain(|d| {
        d.code != codes::MISSING_KEY || !meant.iter().any(|end| d.summary.ends_with(end))
    });
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
