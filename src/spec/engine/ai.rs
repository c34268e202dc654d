//! `ai`: the server that answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SecretString;
use crate::spec::duration::Duration;

/// The AI server where tidings.yaml names none (CONTRACT section 3).
pub const DEFAULT_AI_BASE_URL: &str = "https://api.openai.com/v1";
/// How long an answer is waited for where tidings.yaml says nothing (CONTRACT section 3).
pub const DEFAULT_AI_TIMEOUT: Duration = Duration::from_secs(60);

/// Any server that is compatible with OpenAI's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AiSettings {
    /// Its address, up to and with the version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"https://api.openai.com/v1", length(min = 1, max = 2048), extend("default" = DEFAULT_AI_BASE_URL))]
    pub base_url: Option<String>,
    /// Its key; the environment's `OPENAI_API_KEY` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"${OPENAI_API_KEY}", extend("default" = "${OPENAI_API_KEY}"))]
    pub api_key: Option<SecretString>,
    /// A file that holds the key alone; read when it is needed, it may lie outside the workspace. Instead of
    /// `api_key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"/run/secrets/openai", length(min = 1, max = 1024))]
    pub api_key_file: Option<String>,
    /// How long an answer is waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"60s", extend("default" = "60s"))]
    pub timeout: Option<Duration>,
}
