//! tidings.yaml with its defaults.

use std::collections::BTreeMap;

use super::environment::{Environment, PLACE};
use super::role::ResolvedRole;
use super::types::{Engine, EngineAccount, Limits, OptOut};
use crate::model::Reference;
use crate::spec::check::CheckContext;
use crate::spec::engine::{
    AccountSettings, ApiId, DEFAULT_OPT_OUT_KEYWORDS, DEFAULT_OPT_OUT_REPLY, LimitsSettings,
    OnInvalid, SecretString,
};
use crate::spec::{Diagnostic, EngineSpec, Findings, Pointer, Severity, codes};
use crate::text::{Format, Names, Template};
use crate::time::Zone;

/// The settings with their defaults. `clamped` takes what had to be held at a limit.
pub(super) fn resolve(
    spec: &EngineSpec,
    env: &Environment,
    clamped: &mut Findings,
    out: &mut Vec<Diagnostic>,
) -> Engine {
    let telegram = spec.telegram.as_ref();
    let mut api_id_fault = None;
    let api_id = telegram.and_then(|t| t.api_id).or_else(|| {
        let text = env
            .get("TG_API_ID")
            .filter(|text| !text.trim().is_empty())?;
        ApiId::parse(text)
            .map_err(|why| {
                out.push(super::environment::warning(
                    &format!("TG_API_ID: {why}"),
                    "",
                ));
                api_id_fault = Some(why);
            })
            .ok()
    });
    let api_hash = telegram
        .and_then(|t| t.api_hash.clone())
        .or_else(|| {
            env.get("TG_API_HASH")
                .map(|text| SecretString::new(text.trim()))
        })
        .filter(|hash| !hash.is_empty());
    let limits = limits(spec.limits.as_ref());
    let at = Pointer::root().key("accounts");
    let accounts = spec
        .accounts
        .iter()
        .map(|(name, settings)| {
            (
                name.as_str().into(),
                account(settings, &limits, &at.key(name), clamped),
            )
        })
        .collect();
    Engine {
        spec: spec.clone(),
        written: serde_json::Value::Null,
        api_id: api_id.map(|id| id.0),
        api_id_fault,
        api_hash,
        accounts,
        opt_out: opt_out(spec),
        ai: super::AiServer::of(spec, env),
        continue_on_invalid: spec.on_invalid == Some(OnInvalid::Continue),
        limits,
    }
}

fn limits(settings: Option<&LimitsSettings>) -> Limits {
    let default = Limits::default();
    let Some(settings) = settings else {
        return default;
    };
    Limits {
        min_delay: settings
            .min_delay
            .map_or(default.min_delay, crate::spec::Duration::to_std),
        max_per_day: settings.max_per_day.unwrap_or(default.max_per_day),
        max_audience: settings.max_audience.unwrap_or(default.max_audience),
        approve_over: settings.approve_over.unwrap_or(default.approve_over),
        attested_per_day: settings
            .attested_per_day
            .unwrap_or(default.attested_per_day),
        per_person_gap: settings
            .per_person
            .and_then(|p| p.gap)
            .map(crate::spec::Duration::to_std),
        per_person_month: settings.per_person.and_then(|p| p.per_month),
        only_to: settings
            .only_to
            .as_ref()
            .map(|peers| peers.iter().map(Reference::from).collect()),
    }
}

/// An account of which tidings.yaml says nothing.
pub(super) fn plain_account(limits: &Limits) -> EngineAccount {
    EngineAccount {
        labels: BTreeMap::new(),
        per_day: limits.max_per_day,
        zone: Zone::UTC,
        proxy: None,
        ai_role: None,
    }
}

fn account(
    settings: &AccountSettings,
    limits: &Limits,
    at: &Pointer,
    clamped: &mut Findings,
) -> EngineAccount {
    let per_day = settings.per_day.unwrap_or(limits.max_per_day);
    if per_day > limits.max_per_day {
        clamped
            .warning(
                &at.key("per_day"),
                codes::CLAMPED,
                format!("{per_day} messages a day are more than `limits.max_per_day`"),
            )
            .detail(format!("The limit of {} holds.", limits.max_per_day));
    }
    EngineAccount {
        labels: settings.labels.clone(),
        per_day: per_day.min(limits.max_per_day),
        zone: settings
            .timezone
            .as_deref()
            .and_then(|name| Zone::parse(name).ok())
            .unwrap_or(Zone::UTC),
        proxy: settings.proxy.clone(),
        ai_role: None,
    }
}

/// The accounts' own roles: their prompts may stand in files.
pub(super) fn roles(engine: &mut Engine, cx: &CheckContext<'_>) {
    for (name, account) in &mut engine.accounts {
        let role = engine
            .spec
            .accounts
            .get(name.as_ref())
            .and_then(|settings| settings.ai_role.as_ref());
        account.ai_role = role.and_then(|role| ResolvedRole::of(role, &Names::default(), cx));
    }
}

fn opt_out(spec: &EngineSpec) -> OptOut {
    let settings = spec.opt_out.clone().unwrap_or_default();
    let compile = |text: &str| Template::compile(text, Format::Plain, &Names::default()).ok();
    OptOut {
        keywords: settings
            .keywords
            .unwrap_or_else(|| DEFAULT_OPT_OUT_KEYWORDS.map(str::to_owned).to_vec()),
        reply: compile(settings.reply.as_deref().unwrap_or(DEFAULT_OPT_OUT_REPLY)),
        notice: settings.notice.as_deref().and_then(compile),
    }
}

/// A warning that a variable of the environment was held at a limit.
pub(super) fn clamped_variable(summary: String, detail: String) -> Diagnostic {
    Diagnostic::of_file(Severity::Warning, codes::CLAMPED, PLACE, summary, detail)
}
