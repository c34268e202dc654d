//! Who answers: `ai_role` of a campaign or an account, and the server that is asked.

use std::time::Duration;

use super::environment::Environment;
use crate::spec::ai_role::{
    DEFAULT_DELAY, DEFAULT_DISCLOSURE, DEFAULT_MAX_REPLIES, DEFAULT_MAX_TOKENS_PER_DAY,
    DEFAULT_MODEL, DEFAULT_SHARE,
};
use crate::spec::check::{CheckContext, MAX_TEXT_FILE};
use crate::spec::engine::{DEFAULT_AI_BASE_URL, DEFAULT_AI_TIMEOUT};
use crate::spec::files::resolve as resolve_path;
use crate::spec::{AiMode, AiRole, EngineSpec, SecretString, Share};
use crate::text::{Format, Names, Template};

/// A role with every default.
#[derive(Debug, Clone)]
pub struct ResolvedRole {
    /// Who the assistant is; a template.
    pub prompt: Template,
    /// The model's name at the server.
    pub model: String,
    /// Each answer waits for an operator.
    pub drafts: bool,
    /// The pause before an answer: least and most.
    pub delay: (Duration, Duration),
    /// Answers to one person.
    pub max_replies: u32,
    /// Tokens a day.
    pub max_tokens_per_day: u64,
    /// Whole words that stop the AI.
    pub handoff: Vec<String>,
    /// Opens the first answer.
    pub disclosure: String,
    /// What the model learns of the person besides the conversation.
    pub share: Vec<Share>,
    /// Hosts that an answer may link to, their subdomains too.
    pub allow_links: Vec<String>,
}

impl ResolvedRole {
    /// A role; `None` where its file cannot be read now.
    pub(super) fn of(role: &AiRole, names: &Names, cx: &CheckContext<'_>) -> Option<ResolvedRole> {
        let prompt = match (&role.prompt, &role.file) {
            (Some(text), _) => text.clone(),
            (None, Some(file)) => {
                let path = resolve_path(cx.file, file).ok()?;
                let bytes = cx.files.read(&path, MAX_TEXT_FILE).ok()?;
                let text = std::str::from_utf8(&bytes).ok()?;
                text.strip_prefix('\u{feff}').unwrap_or(text).to_owned()
            }
            (None, None) => return None,
        };
        let delay = role.delay.unwrap_or(DEFAULT_DELAY);
        Some(ResolvedRole {
            prompt: Template::compile(&prompt, Format::Plain, names).ok()?,
            model: role
                .model
                .clone()
                .unwrap_or_else(|| DEFAULT_MODEL.to_owned()),
            drafts: role.mode == Some(AiMode::Draft),
            delay: (delay.min.to_std(), delay.max.to_std()),
            max_replies: role.max_replies.unwrap_or(DEFAULT_MAX_REPLIES),
            max_tokens_per_day: role
                .max_tokens_per_day
                .unwrap_or(DEFAULT_MAX_TOKENS_PER_DAY),
            handoff: role.handoff.clone(),
            disclosure: role
                .disclosure
                .clone()
                .unwrap_or_else(|| DEFAULT_DISCLOSURE.to_owned()),
            share: role.share.clone().unwrap_or_else(|| vec![DEFAULT_SHARE]),
            allow_links: role.allow_links.clone(),
        })
    }
}

/// The server that is asked.
#[derive(Debug, Clone, Default)]
pub struct AiServer {
    /// Its address, up to and with the version.
    pub base_url: String,
    /// Its key.
    pub api_key: Option<SecretString>,
    /// A file that holds the key alone, read when it is needed.
    pub api_key_file: Option<String>,
    /// How long an answer is waited for.
    pub timeout: Duration,
}

impl AiServer {
    /// What tidings.yaml says, else the environment's key.
    pub(super) fn of(spec: &EngineSpec, env: &Environment) -> AiServer {
        let ai = spec.ai.clone().unwrap_or_default();
        let api_key = ai
            .api_key
            .filter(|key| !key.is_empty())
            .or_else(|| match ai.api_key_file {
                Some(_) => None,
                None => env
                    .get("OPENAI_API_KEY")
                    .map(|text| SecretString::new(text.trim())),
            });
        AiServer {
            base_url: ai
                .base_url
                .unwrap_or_else(|| DEFAULT_AI_BASE_URL.to_owned()),
            api_key,
            api_key_file: ai.api_key_file,
            timeout: ai.timeout.unwrap_or(DEFAULT_AI_TIMEOUT).to_std(),
        }
    }

    /// Whether nothing can be asked: OpenAI itself wants a key.
    pub fn lacks_key(&self) -> bool {
        self.api_key.is_none()
            && self.api_key_file.is_none()
            && self.base_url.trim_end_matches('/') == DEFAULT_AI_BASE_URL
    }
}
