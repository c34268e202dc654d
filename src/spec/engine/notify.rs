//! `notify`: who is told what.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SecretString;
use crate::model::NotifyEvent;
use crate::spec::peer::Peer;

/// One way to tell somebody: a webhook, or a message on Telegram.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    /// What about.
    #[schemars(example = &["handoff", "stalled"], length(min = 1, max = 20))]
    pub on: Vec<NotifyEvent>,
    /// An address that gets a signed POST with JSON, retried. Either this or `telegram`; where its variable is unset
    /// nobody is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"${HOOK_URL}", length(min = 1, max = 2048))]
    pub webhook: Option<SecretString>,
    /// The key of the webhook's signature: any text, or `whsec_` and base64. Where it is absent the environment's
    /// `TIDINGS_WEBHOOK_SECRET`, else the key in `state/webhook.key`, which is made once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"${HOOK_SECRET}", length(min = 1, max = 1024))]
    pub secret: Option<SecretString>,
    /// Who gets a message. Either this or `webhook`; needs `via`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"@ops")]
    pub telegram: Option<Peer>,
    /// The account that sends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"sales-1", length(min = 1, max = 63))]
    pub via: Option<String>,
}
