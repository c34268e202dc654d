//! The OpenAI-compatible responder: one question, one answer, or why there is none. No decisions: when to ask, when to
//! ask again and what becomes of an answer is the planner's.
//!
//! # Guarantees
//! - A question takes no longer than the server's time limit, and no more than [`MAX_BODY`] bytes are read.
//! - No text of a message, no name and no key stands in an error or a log.
//! - The model has no tools but `handoff` and `opt_out`.
//!
//! # Caveats
//! A question whose answer was lost (a broken connection, the end of the process) may have been paid for. It is asked
//! again under the same `Idempotency-Key`, which some proxies answer with what they said before.

mod http;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use serde_json::{Value, json};

/// An answer of 4,096 characters with all that servers put around it fits many times.
pub const MAX_BODY: usize = 1 << 20;

/// The server that is asked.
#[derive(Clone)]
pub struct Server {
    /// Its address, up to and with the version.
    pub base_url: String,
    /// Its key.
    pub api_key: Option<String>,
    /// How long an answer is waited for.
    pub timeout: Duration,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("base_url", &self.base_url)
            .finish_non_exhaustive()
    }
}

/// What the model is asked.
#[derive(Clone)]
pub struct Question {
    /// By its name at the server.
    pub model: String,
    /// The role and its rules.
    pub system: String,
    /// The conversation: whether the person said it, and what.
    pub said: Vec<(bool, String)>,
    /// Tokens of the answer at most.
    pub max_tokens: u64,
    /// The same at every repetition of this question whose answer is not known.
    pub key: String,
}

/// What the model wants.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// To say this.
    Say(String),
    /// That a human goes on.
    Handoff,
    /// That the person hears no more.
    OptOut,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What the model wants.
    pub wish: Wish,
    /// What it cost; absent where the server does not say.
    pub tokens: Option<u64>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The server wants to be left alone for a while (429).
    #[error("the AI server asks for a wait: {detail}")]
    Wait {
        /// For so many seconds, where it says.
        seconds: Option<u32>,
        /// In few words.
        detail: String,
    },
    /// It may work the next time: no connection, no answer in time, 5xx, an answer that is no JSON.
    #[error("the AI server did not answer: {detail}")]
    Passing {
        /// In few words.
        detail: String,
        /// It may have an answer all the same, which was lost on the way.
        unknown: bool,
        /// The model may have been paid for an answer that did not come, or that nobody can read.
        paid: bool,
    },
    /// It answered, and there is nothing in it: empty, refused, cut off.
    #[error("the AI's answer cannot be used: {detail}")]
    Useless {
        /// In few words.
        detail: String,
        /// What it cost all the same.
        tokens: Option<u64>,
    },
    /// It will not work the next time either: a wrong key, a model that there is not.
    #[error("the AI server refuses: {detail}")]
    Final {
        /// In few words.
        detail: String,
    },
}

/// Asks once.
///
/// # Errors
/// [`AskError`].
pub async fn ask(server: &Server, question: &Question) -> Result<Answer, AskError> {
    match once(server, question, true).await {
        // Small servers know no tools: then the words of `handoff` and `opt_out` alone decide.
        Err(OpenAIError::Boxed(error))
            if error
                .downcast_ref::<http::Fault>()
                .is_some_and(http::Fault::is_about_tools) =>
        {
            once(server, question, false).await
        }
        other => other,
    }
    .map_err(|error| why(&error))
    .and_then(|value| answer(&value))
}

async fn once(server: &Server, question: &Question, tools: bool) -> Result<Value, OpenAIError> {
    let unusable = |error: String| OpenAIError::InvalidArgument(error);
    let http = crate::net::client(&server.base_url, server.timeout).map_err(unusable)?;
    let config = OpenAIConfig::new()
        .with_api_base(server.base_url.trim_end_matches('/'))
        .with_api_key(server.api_key.clone().unwrap_or_default())
        // Whatever the environment says of other tools' organisations and projects is not meant for this.
        .with_org_id("")
        .with_project_id("");
    // Another body is another question.
    let key = match tools {
        true => question.key.clone(),
        false => format!("{}-plain", question.key),
    };
    let client = Client::build(http.clone(), config).with_http_service(http::Plain::new(http, key));
    client
        .chat()
        .create_byot::<Value, Value>(request(question, tools))
        .await
}

/// The request: what the person wrote stands in messages of the user alone.
fn request(question: &Question, tools: bool) -> Value {
    let mut messages = vec![json!({"role": "system", "content": question.system})];
    for (by_person, text) in &question.said {
        let role = if *by_person { "user" } else { "assistant" };
        messages.push(json!({"role": role, "content": text}));
    }
    let mut request = json!({
        "model": question.model,
        "messages": messages,
        "max_completion_tokens": question.max_tokens,
    });
    if tools {
        let tool = |name: &str, description: &str| {
            json!({"type": "function", "function": {
                "name": name,
                "description": description,
                "parameters": {"type": "object", "properties": {}},
            }})
        };
        request["tools"] = json!([
            tool(
                "handoff",
                "A human goes on with this conversation: the person wants one, or you cannot help."
            ),
            tool(
                "opt_out",
                "The person does not want to be written to any more."
            ),
        ]);
    }
    request
}

/// What the answer says. Tolerant: servers differ in what they leave out.
fn answer(value: &Value) -> Result<Answer, AskError> {
    let tokens = value.pointer("/usage/total_tokens").and_then(Value::as_u64);
    let tokens = tokens.or_else(|| {
        let part = |name: &str| {
            value
                .pointer(&format!("/usage/{name}"))
                .and_then(Value::as_u64)
        };
        Some(part("prompt_tokens")? + part("completion_tokens")?)
    });
    let useless = |detail: &str| {
        Err(AskError::Useless {
            detail: detail.to_owned(),
            tokens,
        })
    };
    let Some(choice) = value.pointer("/choices/0") else {
        return useless("it holds no choice");
    };
    let message = choice.get("message").unwrap_or(&Value::Null);
    let called = message
        .get("tool_calls")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|call| call.pointer("/function/name")?.as_str())
        .chain(
            message
                .pointer("/function_call/name")
                .and_then(Value::as_str),
        );
    let mut wish = None;
    for name in called {
        match name {
            // A refusal to be written to comes before anything else.
            "opt_out" => wish = Some(Wish::OptOut),
            "handoff" if wish.is_none() => wish = Some(Wish::Handoff),
            _ => {}
        }
    }
    if let Some(wish) = wish {
        return Ok(Answer { wish, tokens });
    }
    let refused = message
        .get("refusal")
        .and_then(Value::as_str)
        .is_some_and(|text| !text.trim().is_empty());
    let reason = choice.get("finish_reason").and_then(Value::as_str);
    if refused || reason == Some("content_filter") {
        return useless("the model refused");
    }
    let text = without_thoughts(&text_of(message.get("content").unwrap_or(&Value::Null)));
    if text.is_empty() {
        return useless("it is empty");
    }
    if reason == Some("length") {
        return useless("it was cut off");
    }
    Ok(Answer {
        wish: Wish::Say(text),
        tokens,
    })
}

/// A content is a text, or a list of parts.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.trim().to_owned(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part.get("text")?.as_str())
            .collect::<Vec<_>>()
            .join("\n")
            .trim()
            .to_owned(),
        _ => String::new(),
    }
}

/// Some models think aloud first, between these tags; nobody is meant to read that.
fn without_thoughts(text: &str) -> String {
    match text.trim_start().strip_prefix("<think>") {
        Some(rest) => rest
            .split_once("</think>")
            .map_or("", |(_, said)| said)
            .trim()
            .to_owned(),
        None => text.to_owned(),
    }
}

/// What an error means. Details are few words of ours: a server's own may quote what was asked.
fn why(error: &OpenAIError) -> AskError {
    let passing = |detail: &str, unknown| AskError::Passing {
        detail: detail.to_owned(),
        unknown,
        paid: true,
    };
    match error {
        OpenAIError::Boxed(error) => match error.downcast_ref::<http::Fault>() {
            Some(fault) => fault.meaning(),
            None => passing("the connection broke", true),
        },
        OpenAIError::Reqwest(error) => http::Fault::of(error).meaning(),
        OpenAIError::InvalidArgument(detail) => AskError::Final {
            detail: detail.clone(),
        },
        _ => passing("the answer cannot be read", false),
    }
}
