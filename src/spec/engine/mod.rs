//! `tidings.yaml`: the settings of the engine.

mod ai;
mod check;
mod limits;
mod notify;
mod opt_out;
mod owners;
mod secret;
mod telegram;
mod web;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ai_role::AiRole;
use super::delays::Delays;
use super::duration::Duration;
use super::peer::Peer;

pub use ai::{AiSettings, DEFAULT_AI_BASE_URL, DEFAULT_AI_TIMEOUT};
pub use limits::{
    DEFAULT_APPROVE_OVER, DEFAULT_ATTESTED_PER_DAY, DEFAULT_MAX_AUDIENCE, DEFAULT_MAX_PER_DAY,
    DEFAULT_MIN_DELAY, LimitsSettings, PerPerson,
};
pub use notify::Notify;
pub use opt_out::{DEFAULT_OPT_OUT_KEYWORDS, DEFAULT_OPT_OUT_REPLY, OptOutSettings};
pub(in crate::spec) use owners::check_owner;
pub use owners::{DEFAULT_PLAN, Owner, Plan, glob_matches, plan_of};
pub use secret::{SecretString, masked};
pub use telegram::{ApiId, TelegramSettings};
pub use web::{DEFAULT_WEB_LISTEN, LEAST_TOKEN, ListenAddress, WebSettings};

/// How long events are kept where nobody says otherwise (CONTRACT section 3).
pub const DEFAULT_RETAIN_EVENTS: Duration = Duration::from_days(365);
/// How long conversations are kept where nobody says otherwise (CONTRACT section 3).
pub const DEFAULT_RETAIN_CONVERSATIONS: Duration = Duration::from_days(90);
/// How long audiences are kept where nobody says otherwise (CONTRACT section 3).
pub const DEFAULT_RETAIN_AUDIENCES: Duration = Duration::from_days(180);

/// What happens to a campaign whose file has become invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnInvalid {
    /// It is held until the file is valid.
    #[default]
    Hold,
    /// It goes on with the last good version.
    Continue,
}

/// The settings of a Tidings workspace (tidings.yaml); every key is optional.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "Tidings settings")]
pub struct EngineSpec {
    /// The version of this format; 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = 1, extend("const" = 1))]
    pub version: Option<u32>,
    /// The application at my.telegram.org.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"api_id": "${TG_API_ID}", "api_hash": "${TG_API_HASH}"}))]
    pub telegram: Option<TelegramSettings>,
    /// The AI server, any that is compatible with OpenAI's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"base_url": "https://api.openai.com/v1", "api_key": "${OPENAI_API_KEY}", "timeout": "60s"}))]
    pub ai: Option<AiSettings>,
    /// What no spec may exceed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"min_delay": "10s", "max_per_day": 60, "approve_over": 500}))]
    pub limits: Option<LimitsSettings>,
    /// What holds where a spec is silent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"delays": {"between_messages": "30s..90s", "per_account": {"per_day": 40}}}))]
    pub defaults: Option<Defaults>,
    /// Settings of accounts, by their names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(example = serde_json::json!({"sales-1": {"labels": {"team": "sales"}, "per_day": 40}}))]
    pub accounts: BTreeMap<String, AccountSettings>,
    /// What an owner's campaigns may take; `default` holds for campaigns without an owner.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(example = serde_json::json!({"default": {"max_audience": 5000}, "paid": {"max_running": 5}}))]
    pub plans: BTreeMap<String, Plan>,
    /// Who owns campaigns. Once it exists every spec names its owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"growth": {"plan": "paid", "paths": ["campaigns/growth/**"]}}))]
    pub owners: Option<BTreeMap<String, Owner>>,
    /// How people opt out, and what they are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"notice": "Reply 'stop' to hear no more."}))]
    pub opt_out: Option<OptOutSettings>,
    /// Who is told what.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = serde_json::json!([{"on": ["stalled", "account"], "webhook": "${HOOK_URL}"}]), length(max = 50))]
    pub notify: Vec<Notify>,
    /// Whom `tidings send-test` may write to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(example = &["@me"], length(max = 100))]
    pub test_recipients: Vec<Peer>,
    /// What happens to a campaign whose file has become invalid: `hold` (default), or `continue` with the last good
    /// version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"hold", extend("default" = "hold"))]
    pub on_invalid: Option<OnInvalid>,
    /// The page and the HTTP interface.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"listen": "127.0.0.1:7878"}))]
    pub web: Option<WebSettings>,
    /// How long things are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"events": "365d", "conversations": "90d", "audiences": "180d"}))]
    pub retention: Option<Retention>,
    /// The file is broken and no earlier settings are known: what is absent here may stand there.
    #[serde(skip)]
    pub unknown: bool,
}

/// More than any spec asks for.
const UNLIMITED: u32 = 10_000_000;

impl EngineSpec {
    /// The same of a broken file: what was not read of it limits nothing, so that no fault of a spec is made up.
    pub fn unknown_besides(mut self) -> EngineSpec {
        let limits = self.limits.get_or_insert_default();
        limits.min_delay.get_or_insert(Duration::from_millis(0));
        limits.max_per_day.get_or_insert(UNLIMITED);
        limits.max_audience.get_or_insert(UNLIMITED);
        limits.attested_per_day.get_or_insert(UNLIMITED);
        limits.approve_over.get_or_insert(None);
        self.unknown = true;
        self
    }
}

/// What holds where a spec is silent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Defaults {
    /// The pace.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"between_messages": "30s..90s", "per_account": {"per_day": 40}}))]
    pub delays: Option<Delays>,
}

/// Settings of one account.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccountSettings {
    /// Labels by which specs and owners choose it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(example = serde_json::json!({"team": "sales"}))]
    pub labels: BTreeMap<String, String>,
    /// Messages of all campaigns together in a day of the account; `limits.max_per_day` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), example = 40)]
    pub per_day: Option<u32>,
    /// The zone whose days count; UTC where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"Europe/Moscow", length(min = 1, max = 64), extend("default" = "UTC"))]
    pub timezone: Option<String>,
    /// A SOCKS5 proxy for its connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"socks5://127.0.0.1:1080", length(min = 1, max = 1024))]
    pub proxy: Option<SecretString>,
    /// Answers to anyone who writes to it and is in no campaign.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"prompt": "You are Mia, who answers questions about our shop."}))]
    pub ai_role: Option<AiRole>,
}

/// How long things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Events; 365d where absent. Send-once keys are kept for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"365d", extend("default" = "365d"))]
    pub events: Option<Duration>,
    /// Conversations; 90d where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"90d", extend("default" = "90d"))]
    pub conversations: Option<Duration>,
    /// Audiences of campaigns that have ended; 180d where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"180d", extend("default" = "180d"))]
    pub audiences: Option<Duration>,
}
