//! An OpenAI-compatible endpoint on 127.0.0.1 that answers deterministically and misbehaves on request.
//!
//! `POST /v1/chat/completions` (with `stream: true` too) and `GET /v1/models`. The answer is a function of the
//! seed and of the messages; a token is four characters. A tool is called when the last user message contains a
//! word of `tool_words`, or the tool's own name. Every request stands in the ledger (`kind: ai`): the last
//! message as `text`, all messages as JSON in `note`. An answer that was given under an `Idempotency-Key` is given again
//! for the same key, at no cost (`query` in the ledger is the key, `first: false` a repetition).
//!
//! ```yaml
//! ai:
//!   key: secret                       # otherwise any key is taken
//!   replies: ["Yes, of course!"]      # instead of the built-in ones
//!   words: {price: "Ten euros."} # what it answers where the last user message contains the word; before `replies`
//!   tool_words: {price: lookup_price}
//!   faults:                           # nth, after, every, times as in `faults`
//!     - {nth: 1, kind: rate_limit, retry_after: 2s}
//!     - {every: 5, kind: server_error}      # rate_limit | server_error | bad_json | empty | slow | refusal | cut_off
//!     - {nth: 9, kind: slow, delay: 3s}
//! ```

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ledger::Entry;
use super::server::Shared;
use super::spec::Span;
use super::world::keyed;

/// Bytes of a request at most.
const MAX_REQUEST: usize = 4 * 1024 * 1024;
/// Answers remembered by their key.
const MAX_KEYS: usize = 10_000;
/// Characters of a token, roughly as for English text.
const CHARS_PER_TOKEN: usize = 4;

const REPLIES: [&str; 6] = [
    "Thanks for your message! How can I help you further?",
    "Good question. Let me explain it in short.",
    "I am glad to hear from you. What would you like to know?",
    "Спасибо за сообщение! Чем могу помочь?",
    "That works. Shall I tell you more about it?",
    "Of course. Anything else on your mind?",
];

/// The endpoint's part of the world file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AiSpec {
    /// The key that is asked for; none: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What it answers; the built-in replies where empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replies: Vec<String>,
    /// What it answers to messages that contain a word, any case.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub words: BTreeMap<String, String>,
    /// Words that make it call a tool.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tool_words: BTreeMap<String, String>,
    /// How it misbehaves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<AiFaultRule>,
}

/// A misbehaviour and when it happens; counting as for [`super::FaultRule`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AiFaultRule {
    /// The n-th request alone, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nth: Option<u64>,
    /// Skip so many.
    #[serde(default)]
    pub after: u64,
    /// Each n-th.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
    /// At most so often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// What happens.
    pub kind: AiFaultKind,
    /// The `retry-after` of a rate limit, in whole seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Span>,
    /// How long a slow answer takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Span>,
}

/// What the endpoint does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AiFaultKind {
    /// 429 with `retry-after`.
    RateLimit,
    /// 500.
    ServerError,
    /// 200 with a body that is no JSON.
    BadJson,
    /// 200 with an empty answer.
    Empty,
    /// The right answer, late.
    Slow,
    /// 200 with a refusal instead of an answer.
    Refusal,
    /// 200 with an answer that ends in the middle.
    CutOff,
}

struct Ai {
    shared: Arc<Shared>,
    spec: AiSpec,
    seed: u64,
    /// Seen and fired, for each rule.
    counters: Mutex<Vec<(u64, u64)>>,
    /// What was answered under which key; at most [`MAX_KEYS`].
    answered: Mutex<BTreeMap<String, Value>>,
}

/// Listens; ends with the sandbox.
pub(super) async fn serve(
    shared: Arc<Shared>,
    spec: AiSpec,
    seed: u64,
    port: u16,
) -> std::io::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let addr = listener.local_addr()?;
    let closed = shared.closed();
    let counters = Mutex::new(vec![(0, 0); spec.faults.len()]);
    let ai = Arc::new(Ai {
        shared,
        spec,
        seed,
        counters,
        answered: Mutex::default(),
    });
    let router = Router::new()
        .route("/v1/chat/completions", post(complete))
        .route("/v1/models", get(models))
        .layer(axum::extract::DefaultBodyLimit::max(MAX_REQUEST))
        .with_state(ai);
    tokio::spawn(async move {
        let served = axum::serve(listener, router)
            .with_graceful_shutdown(closed.cancelled_owned())
            .await;
        if let Err(error) = served {
            tracing::error!(%error, "the sandbox's OpenAI-compatible endpoint ended");
        }
    });
    Ok(addr)
}

impl Ai {
    fn fault(&self) -> Option<AiFaultRule> {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        for (rule, (seen, fired)) in self.spec.faults.iter().zip(counters.iter_mut()) {
            *seen += 1;
            let number = seen.saturating_sub(rule.after);
            if number > 0
                && rule.nth.is_none_or(|nth| number == nth)
                && rule
                    .every
                    .is_none_or(|every| every > 0 && number.is_multiple_of(every))
                && rule.times.is_none_or(|times| *fired < times)
            {
                *fired += 1;
                return Some(rule.clone());
            }
        }
        None
    }

    fn tool(&self, request: &Value, last: &str) -> Option<String> {
        let lower = last.to_lowercase();
        let tools = request.get("tools")?.as_array()?;
        let names: Vec<&str> = tools
            .iter()
            .filter_map(|t| t.pointer("/function/name")?.as_str())
            .collect();
        let by_word = self.spec.tool_words.iter().find(|(word, tool)| {
            lower.contains(&word.to_lowercase()) && names.contains(&tool.as_str())
        });
        by_word.map(|(_, tool)| tool.clone()).or_else(|| {
            names
                .iter()
                .find(|n| lower.contains(&n.to_lowercase()))
                .map(|n| (*n).to_owned())
        })
    }

    fn reply(&self, messages: &str, last: &str) -> String {
        let lower = last.to_lowercase();
        let by_word = self
            .spec
            .words
            .iter()
            .find(|(word, _)| lower.contains(&word.to_lowercase()));
        if let Some((_, text)) = by_word {
            return text.clone();
        }
        let draw = keyed(&self.seed.to_le_bytes(), &[messages.as_bytes()]) as usize;
        if self.spec.replies.is_empty() {
            REPLIES
                .get(draw % REPLIES.len())
                .copied()
                .unwrap_or_default()
                .to_owned()
        } else {
            self.spec
                .replies
                .get(draw % self.spec.replies.len())
                .cloned()
                .unwrap_or_default()
        }
    }
}

fn error(status: StatusCode, kind: &str, message: &str) -> Response {
    (
        status,
        Json(json!({"error": {"message": message, "type": kind, "param": null, "code": kind}})),
    )
        .into_response()
}

/// The text of a message's content: a string, or the text parts of a list.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|p| p.get("text")?.as_str())
            .collect::<Vec<_>>()
            .join("\n"),
        _ => String::new(),
    }
}

fn tokens(text: &str) -> usize {
    text.chars().count().div_ceil(CHARS_PER_TOKEN)
}

async fn models(State(_): State<Arc<Ai>>) -> Json<Value> {
    Json(json!({"object": "list", "data": [
        {"id": "gpt-4o-mini", "object": "model", "created": 0, "owned_by": "sandbox"},
        {"id": "sandbox", "object": "model", "created": 0, "owned_by": "sandbox"},
    ]}))
}

async fn complete(State(ai): State<Arc<Ai>>, headers: HeaderMap, body: String) -> Response {
    let request: Value = match serde_json::from_str(&body) {
        Ok(request) => request,
        Err(_) => {
            return error(
                StatusCode::BAD_REQUEST,
                "invalid_request_error",
                "the body is no JSON",
            );
        }
    };
    let Some(messages) = request
        .get("messages")
        .and_then(Value::as_array)
        .filter(|m| !m.is_empty())
    else {
        return error(
            StatusCode::BAD_REQUEST,
            "invalid_request_error",
            "messages: a list with at least one is expected",
        );
    };
    let all = serde_json::to_string(messages).unwrap_or_default();
    let last = messages
        .iter()
        .rev()
        .find(|m| m.get("role").and_then(Value::as_str) == Some("user"))
        .and_then(|m| m.get("content"))
        .map(text_of)
        .unwrap_or_default();
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.strip_prefix("Bearer "));
    let refused = ai
        .spec
        .key
        .as_deref()
        .is_some_and(|key| bearer != Some(key));
    let key = headers
        .get("idempotency-key")
        .and_then(|v| v.to_str().ok())
        .map(str::to_owned);
    let before = key.as_ref().filter(|_| !refused).and_then(|key| {
        let answered = ai.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.get(key).cloned()
    });
    let fault = if refused || before.is_some() {
        None
    } else {
        ai.fault()
    };
    let mut entry = Entry {
        at: ai.shared.now(),
        kind: "ai".into(),
        method: "chat.completions".into(),
        text: Some(last.clone()),
        note: Some(all.clone()),
        fault: fault.as_ref().map(|f| format!("{:?}", f.kind)),
        first: key.is_some().then_some(before.is_none()),
        query: key.clone(),
        ..Entry::default()
    };
    let failure = if refused {
        Some(error(
            StatusCode::UNAUTHORIZED,
            "invalid_api_key",
            "Incorrect API key provided",
        ))
    } else {
        match &fault {
            Some(rule) if rule.kind == AiFaultKind::RateLimit => {
                let wait = rule.retry_after.map_or(1, Span::secs).to_string();
                let mut response = error(
                    StatusCode::TOO_MANY_REQUESTS,
                    "rate_limit_exceeded",
                    "Rate limit reached",
                );
                if let Ok(wait) = wait.parse() {
                    response.headers_mut().insert(header::RETRY_AFTER, wait);
                }
                Some(response)
            }
            Some(rule) if rule.kind == AiFaultKind::ServerError => Some(error(
                StatusCode::INTERNAL_SERVER_ERROR,
                "server_error",
                "The server had an error",
            )),
            Some(rule) if rule.kind == AiFaultKind::BadJson => Some(
                (
                    [(header::CONTENT_TYPE, "application/json")],
                    "{\"choices\": [{\"mess",
                )
                    .into_response(),
            ),
            _ => None,
        }
    };
    entry.effect = failure.is_none();
    entry.error = refused.then(|| "invalid_api_key".into());
    ai.shared.ledger.write(entry);
    if let Some(failure) = failure {
        return failure;
    }
    if let Some(before) = before {
        return Json(before).into_response();
    }
    if let Some(delay) = fault
        .as_ref()
        .filter(|f| f.kind == AiFaultKind::Slow)
        .and_then(|f| f.delay)
    {
        tokio::time::sleep(delay.0).await;
    }
    respond(
        &ai,
        &request,
        &all,
        &last,
        fault.map(|f| f.kind),
        key.as_deref(),
    )
}

fn respond(
    ai: &Ai,
    request: &Value,
    all: &str,
    last: &str,
    fault: Option<AiFaultKind>,
    key: Option<&str>,
) -> Response {
    let spoilt = matches!(
        fault,
        Some(AiFaultKind::Empty | AiFaultKind::Refusal | AiFaultKind::CutOff)
    );
    let tool = ai.tool(request, last).filter(|_| !spoilt);
    let mut text = match fault {
        Some(AiFaultKind::Empty | AiFaultKind::Refusal) => String::new(),
        _ => ai.reply(all, last),
    };
    if fault == Some(AiFaultKind::CutOff) {
        text = text.chars().take(text.chars().count() / 2).collect();
    }
    let model = request
        .get("model")
        .and_then(Value::as_str)
        .unwrap_or("sandbox");
    let id = format!("chatcmpl-{:016x}", keyed(b"id", &[all.as_bytes()]));
    let created = ai.shared.now().div_euclid(1000);
    let (prompt, completion) = (tokens(all), tokens(&text));
    let usage = json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion});
    let (message, reason) = match &tool {
        Some(name) => {
            let arguments = json!({"text": last}).to_string();
            let call = json!({"id": format!("call_{:08x}", keyed(b"call", &[all.as_bytes()]) >> 32), "type": "function",
                "function": {"name": name, "arguments": arguments}});
            (
                json!({"role": "assistant", "content": null, "tool_calls": [call]}),
                "tool_calls",
            )
        }
        None if fault == Some(AiFaultKind::Refusal) => (
            json!({"role": "assistant", "content": null, "refusal": "I cannot help with that."}),
            "stop",
        ),
        None => (
            json!({"role": "assistant", "content": text, "refusal": null}),
            if fault == Some(AiFaultKind::CutOff) {
                "length"
            } else {
                "stop"
            },
        ),
    };
    if request.get("stream").and_then(Value::as_bool) == Some(true) {
        let chunk = |delta: Value, reason: Value| {
            let chunk = json!({"id": id, "object": "chat.completion.chunk", "created": created, "model": model,
                "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]});
            format!("data: {chunk}\n\n")
        };
        let mut body = chunk(json!({"role": "assistant"}), Value::Null);
        if tool.is_some() {
            body += &chunk(
                json!({"tool_calls": message.get("tool_calls")}),
                Value::Null,
            );
        }
        for word in text.split_inclusive(' ').filter(|_| tool.is_none()) {
            body += &chunk(json!({"content": word}), Value::Null);
        }
        body += &chunk(json!({}), json!(reason));
        body += "data: [DONE]\n\n";
        return ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response();
    }
    let answer = json!({"id": id, "object": "chat.completion", "created": created, "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": reason, "logprobs": null}], "usage": usage});
    if let Some(key) = key {
        let mut answered = ai.answered.lock().unwrap_or_else(PoisonError::into_inner);
        if answered.len() < MAX_KEYS {
            answered.insert(key.to_owned(), answer.clone());
        }
    }
    Json(answer).into_response()
}
