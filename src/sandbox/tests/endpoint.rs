//! The OpenAI-compatible endpoint, over plain HTTP.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::client::small_world;
use crate::sandbox::{AiFaultKind, AiFaultRule, AiSpec, Sandbox, SandboxOptions, WorldSpec};

/// Status line and headers, and the body.
async fn request(sandbox: &Sandbox, method: &str, path: &str, body: &str) -> (String, String) {
    let url = sandbox.openai_url().unwrap();
    let host = url
        .strip_prefix("http://")
        .unwrap()
        .strip_suffix("/v1")
        .unwrap()
        .to_owned();
    assert!(host.starts_with("127.0.0.1:"));
    let mut stream = tokio::net::TcpStream::connect(&host).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer k\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

async fn chat(sandbox: &Sandbox, body: &Value) -> (String, String) {
    request(sandbox, "POST", "/v1/chat/completions", &body.to_string()).await
}

/// The same under an `Idempotency-Key`.
async fn chat_as(sandbox: &Sandbox, key: &str, body: &Value) -> (String, String) {
    let version = format!("/v1/chat/completions HTTP/1.1\r\nidempotency-key: {key}\r\nx-rest:");
    request(sandbox, "POST", &version, &body.to_string()).await
}

async fn start(ai: AiSpec) -> Sandbox {
    Sandbox::start(SandboxOptions {
        world: WorldSpec {
            ai,
            ..small_world()
        },
        ..SandboxOptions::default()
    })
    .await
    .unwrap()
}

fn hello() -> Value {
    json!({"model": "m", "messages": [{"role": "system", "content": "You are Mia."}, {"role": "user", "content": "Hello"}]})
}

#[tokio::test]
async fn the_same_messages_get_the_same_answer_with_its_tokens() {
    let sandbox = start(AiSpec::default()).await;
    let (head, body) = chat(&sandbox, &hello()).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    let text = answer
        .pointer("/choices/0/message/content")
        .unwrap()
        .as_str()
        .unwrap();
    assert!(!text.is_empty());
    let usage = |name| {
        answer
            .pointer(&format!("/usage/{name}"))
            .unwrap()
            .as_u64()
            .unwrap()
    };
    assert_eq!(
        usage("completion_tokens"),
        text.chars().count().div_ceil(4) as u64
    );
    assert_eq!(
        usage("total_tokens"),
        usage("prompt_tokens") + usage("completion_tokens")
    );
    let again: Value = serde_json::from_str(&chat(&sandbox, &hello()).await.1).unwrap();
    assert_eq!(again.get("choices"), answer.get("choices"));
    let entry = sandbox.ledger().entries().pop().unwrap();
    assert_eq!(
        (entry.kind.as_str(), entry.text.as_deref(), entry.effect),
        ("ai", Some("Hello"), true)
    );
    assert!(entry.note.unwrap().contains("You are Mia."));
    let (_, models) = request(&sandbox, "GET", "/v1/models", "").await;
    assert!(models.contains("gpt-4o-mini"));
}

#[tokio::test]
async fn a_word_calls_a_tool_and_a_stream_ends_with_done() {
    let tool_words = [("price".to_owned(), "lookup".to_owned())].into();
    let sandbox = start(AiSpec {
        tool_words,
        ..AiSpec::default()
    })
    .await;
    let mut body = hello();
    body["tools"] = json!([{"type": "function", "function": {"name": "lookup", "parameters": {}}}]);
    body["messages"][1]["content"] = json!("What is the PRICE?");
    let answer: Value = serde_json::from_str(&chat(&sandbox, &body).await.1).unwrap();
    assert_eq!(
        answer.pointer("/choices/0/finish_reason"),
        Some(&json!("tool_calls"))
    );
    assert_eq!(
        answer.pointer("/choices/0/message/tool_calls/0/function/name"),
        Some(&json!("lookup"))
    );
    let mut body = hello();
    body["stream"] = json!(true);
    let (head, stream) = chat(&sandbox, &body).await;
    assert!(
        head.to_lowercase()
            .contains("content-type: text/event-stream"),
        "{head}"
    );
    assert!(stream.trim_end().ends_with("data: [DONE]"), "{stream}");
}

#[tokio::test]
async fn it_misbehaves_as_it_was_told() {
    let rule = |nth, kind| AiFaultRule {
        nth: Some(nth),
        after: 0,
        every: None,
        times: None,
        kind,
        retry_after: Some("7s".parse().unwrap()),
        delay: Some("150ms".parse().unwrap()),
    };
    let kinds = [
        AiFaultKind::RateLimit,
        AiFaultKind::ServerError,
        AiFaultKind::BadJson,
        AiFaultKind::Empty,
        AiFaultKind::Slow,
    ];
    // A rule that fires ends the search, so each rule counts only what came to it.
    let faults = kinds.into_iter().map(|kind| rule(1, kind)).collect();
    let sandbox = start(AiSpec {
        faults,
        ..AiSpec::default()
    })
    .await;
    let (head, _) = chat(&sandbox, &hello()).await;
    assert!(
        head.starts_with("HTTP/1.1 429") && head.contains("retry-after: 7"),
        "{head}"
    );
    assert!(chat(&sandbox, &hello()).await.0.starts_with("HTTP/1.1 500"));
    let (head, body) = chat(&sandbox, &hello()).await;
    assert!(
        head.starts_with("HTTP/1.1 200") && serde_json::from_str::<Value>(&body).is_err(),
        "{body}"
    );
    let empty: Value = serde_json::from_str(&chat(&sandbox, &hello()).await.1).unwrap();
    assert_eq!(
        empty.pointer("/choices/0/message/content"),
        Some(&json!(""))
    );
    let started = std::time::Instant::now();
    assert!(chat(&sandbox, &hello()).await.0.starts_with("HTTP/1.1 200"));
    assert!(started.elapsed() >= std::time::Duration::from_millis(150));
    assert!(
        chat(&sandbox, &json!({"messages": []}))
            .await
            .0
            .starts_with("HTTP/1.1 400")
    );
}

#[tokio::test]
async fn a_wrong_key_is_refused_where_one_is_asked_for() {
    let sandbox = start(AiSpec {
        key: Some("other".into()),
        ..AiSpec::default()
    })
    .await;
    assert!(chat(&sandbox, &hello()).await.0.starts_with("HTTP/1.1 401"));
    let sandbox = start(AiSpec {
        key: Some("k".into()),
        ..AiSpec::default()
    })
    .await;
    assert!(chat(&sandbox, &hello()).await.0.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn what_was_answered_under_a_key_is_answered_again_and_paid_once() {
    let ai = AiSpec {
        faults: vec![AiFaultRule {
            nth: Some(1),
            after: 0,
            every: None,
            times: None,
            kind: AiFaultKind::ServerError,
            retry_after: None,
            delay: None,
        }],
        ..AiSpec::default()
    };
    let sandbox = start(ai).await;
    let (head, _) = chat_as(&sandbox, "a", &hello()).await;
    assert!(
        head.starts_with("HTTP/1.1 500"),
        "an error is no answer: {head}"
    );
    let (head, first) = chat_as(&sandbox, "a", &hello()).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let other = json!({"model": "m", "messages": [{"role": "user", "content": "Something else"}]});
    assert_eq!(chat_as(&sandbox, "a", &other).await.1, first);
    assert_ne!(chat_as(&sandbox, "b", &other).await.1, first);
    let entries = sandbox.ledger().entries().into_iter();
    let paid: Vec<_> = entries
        .filter(|e| e.kind == "ai")
        .map(|e| (e.query.unwrap(), e.first.unwrap()))
        .collect();
    assert_eq!(
        paid,
        [
            ("a".to_owned(), true),
            ("a".to_owned(), true),
            ("a".to_owned(), false),
            ("b".to_owned(), true)
        ]
    );
}
