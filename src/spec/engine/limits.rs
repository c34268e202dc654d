//! `limits`: what no spec may exceed.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::spec::duration::Duration;
use crate::spec::peer::Peer;

/// `limits.min_delay` where nobody says otherwise (CONTRACT section 3).
pub const DEFAULT_MIN_DELAY: Duration = Duration::from_secs(10);
/// `limits.max_per_day` where nobody says otherwise (CONTRACT section 3).
pub const DEFAULT_MAX_PER_DAY: u32 = 60;
/// `limits.max_audience` where nobody says otherwise (CONTRACT section 3).
pub const DEFAULT_MAX_AUDIENCE: u32 = 100_000;
/// `limits.approve_over` where nobody says otherwise (CONTRACT section 3).
pub const DEFAULT_APPROVE_OVER: u32 = 500;
/// `limits.attested_per_day` where nobody says otherwise (CONTRACT section 3).
pub const DEFAULT_ATTESTED_PER_DAY: u32 = 20;

/// What no spec may exceed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsSettings {
    /// The shortest pause between two messages of an account; 10s where absent, 0s is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"10s", extend("default" = "10s"))]
    pub min_delay: Option<Duration>,
    /// First contacts, follow-ups and invites of an account a day; 60 where absent. Answers do not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), example = 60, extend("default" = 60))]
    pub max_per_day: Option<u32>,
    /// People in one campaign's audience; 100000 where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), example = 100_000, extend("default" = 100_000))]
    pub max_audience: Option<u32>,
    /// A run with more first contacts waits for `tidings approve`; 500 where absent, null: never.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(example = 500, extend("default" = 500, "x-nullable" = true))]
    pub approve_over: Option<Option<u32>>,
    /// First contacts a day and account on the basis `attested`; 20 where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = 20, extend("default" = 20))]
    pub attested_per_day: Option<u32>,
    /// How often one person hears from all campaigns together; no limit where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"gap": "3d", "per_month": 4}))]
    pub per_person: Option<PerPerson>,
    /// Staging: nobody else is ever written to; everybody may be where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &["@qa_anna"], length(max = 1000))]
    pub only_to: Option<Vec<Peer>>,
}

/// Keeps a key that is there with `null` apart from one that is not there.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u32>>, D::Error> {
    Option::<u32>::deserialize(deserializer).map(Some)
}

/// How often one person hears from all campaigns together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("minProperties" = 1))]
pub struct PerPerson {
    /// The least time between two messages of different campaigns.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"3d")]
    pub gap: Option<Duration>,
    /// Messages in any 30 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), example = 4)]
    pub per_month: Option<u32>,
}
