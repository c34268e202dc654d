//! `opt_out`: how people say that they have had enough.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The messages that opt out where tidings.yaml names none (CONTRACT section 3).
pub const DEFAULT_OPT_OUT_KEYWORDS: [&str; 4] = ["stop", "unsubscribe", "стоп", "отписка"];
/// What a person who opted out is told where tidings.yaml says nothing (CONTRACT section 3).
pub const DEFAULT_OPT_OUT_REPLY: &str = "You won't hear from us again.";

/// How people opt out, and what they are told.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OptOutSettings {
    /// Messages that opt out: the whole message, once or again; case, punctuation, emoji, accents and look-alikes aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &["stop", "unsubscribe", "стоп", "отписка", "отпишите меня"])]
    #[schemars(length(min = 1, max = 200), inner(length(min = 1, max = 100)), extend("default" = DEFAULT_OPT_OUT_KEYWORDS))]
    pub keywords: Option<Vec<String>>,
    /// What a person who opted out is told; a template.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"You won't hear from us again.", length(max = 4096), extend("default" = DEFAULT_OPT_OUT_REPLY))]
    pub reply: Option<String>,
    /// Appended to first contacts; a template. Nothing where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"Reply 'stop' to hear no more.", length(min = 1, max = 1000))]
    pub notice: Option<String>,
}
