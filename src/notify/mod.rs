//! Telling people about events, by webhook. (A message on Telegram is a send like any other, and the planner's.)
//!
//! # A webhook
//! A POST with JSON:
//!
//! ```json
//! {"format_version": "1.0", "id": 4711, "event": "handoff", "at": "2026-12-01T09:00:00.000Z", "campaign": "spring",
//!  "account": "sales-1", "person": "id:123", "draft": null, "reason": "handoff", "message": "id:123, who writes to …"}
//! ```
//!
//! It is always signed, by the scheme of Standard Webhooks (see [`sign`]): `webhook-id` (the same at each try of one
//! event), `webhook-timestamp` and `webhook-signature`. `X-Tidings-Event` repeats the event and `X-Tidings-Delivery` the
//! body's `id`.
//!
//! # Guarantees
//! No text of a message and no name stands in it. Without a key nothing is posted. An answer of 2xx is taken for
//! 'received', anything else and nothing within [`TIMEOUT`] is not.

pub mod sign;

use std::time::Duration;

use serde::Serialize;

pub use sign::Key;

/// How long a receiver may take.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// The header of the signature over the body alone.
pub const SIGNATURE: &str = "X-Tidings-Signature";

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Body {
    /// Its minor part rises for additions.
    pub format_version: String,
    /// The event's number in the journal.
    pub id: u64,
    /// `handoff`, `draft`, `paused`, `stalled`, `account`, `finished`.
    pub event: String,
    /// When, in RFC 3339.
    pub at: String,
    /// The campaign's name.
    pub campaign: Option<String>,
    /// The account's name.
    pub account: Option<String>,
    /// `id:123`.
    pub person: Option<String>,
    /// The draft's number, for `tidings replies approve`.
    pub draft: Option<u64>,
    /// For programs.
    pub reason: String,
    /// One sentence for people.
    pub message: String,
}

/// One try to tell.
pub struct Post<'a> {
    /// Where to.
    pub url: &'a str,
    /// By which it is signed.
    pub key: &'a Key,
    /// The same at each try, and no other message's.
    pub id: &'a str,
    /// Now, in seconds of Unix time.
    pub timestamp: i64,
    /// What.
    pub body: &'a Body,
}

/// Posts it once.
///
/// # Errors
/// In few words; the address, which may hold a secret, is not among them.
pub async fn post(post: Post<'_>) -> Result<(), String> {
    let bytes = serde_json::to_vec(post.body).map_err(|error| error.to_string())?;
    let client = crate::net::client(post.url, TIMEOUT)?;
    let request = client
        .post(post.url)
        .header("Content-Type", "application/json")
        .header("X-Tidings-Event", &post.body.event)
        .header("X-Tidings-Delivery", post.body.id.to_string())
        .header("webhook-id", post.id)
        .header("webhook-timestamp", post.timestamp.to_string())
        .header(
            "webhook-signature",
            post.key.signature(post.id, post.timestamp, &bytes),
        )
        .header(SIGNATURE, post.key.of_body(&bytes));
    let response = request.body(bytes).send().await.map_err(|error| {
        if error.is_timeout() {
            "no answer in time".to_owned()
        } else {
            "no connection".to_owned()
        }
    })?;
    let status = response.status();
    if status.is_success() {
        Ok(())
    } else {
        Err(format!("HTTP {}", status.as_u16()))
    }
}
