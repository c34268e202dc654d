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
//! `X-Tidings-Event` repeats the event and `X-Tidings-Delivery` the id; the same id may come twice. Where the entry has
//! a `secret`, `X-Tidings-Signature` is `sha256=` and the HMAC-SHA256 of the body under it, in hex.
//!
//! # Guarantees
//! No text of a message and no name stands in it. An answer of 2xx is taken for 'received', anything else and nothing
//! within [`TIMEOUT`] is not.

use std::time::Duration;

use serde::Serialize;
use sha2::{Digest, Sha256};

/// How long a receiver may take.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// The header of the signature.
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

/// Posts it once.
///
/// # Errors
/// In few words; the address, which may hold a secret, is not among them.
pub async fn post(url: &str, secret: Option<&str>, body: &Body) -> Result<(), String> {
    let bytes = serde_json::to_vec(body).map_err(|error| error.to_string())?;
    let client = crate::net::client(url, TIMEOUT)?;
    let mut request = client
        .post(url)
        .header("Content-Type", "application/json")
        .header("X-Tidings-Event", &body.event)
        .header("X-Tidings-Delivery", body.id.to_string());
    if let Some(secret) = secret {
        request = request.header(SIGNATURE, signature(secret.as_bytes(), &bytes));
    }
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

/// The value of the header [`SIGNATURE`].
pub fn signature(secret: &[u8], body: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut out = String::from("sha256=");
    for byte in hmac_sha256(secret, body) {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// HMAC with SHA-256 (RFC 2104).
fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    /// SHA-256's block.
    const BLOCK: usize = 64;
    let mut block = [0u8; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let with = |pad: u8| block.map(|byte| byte ^ pad);
    let inner = Sha256::new()
        .chain_update(with(0x36))
        .chain_update(message)
        .finalize();
    Sha256::new()
        .chain_update(with(0x5c))
        .chain_update(inner)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_hmac_of_rfc_4231() {
        assert_eq!(
            signature(b"Jefe", b"what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            signature(
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First"
            ),
            "sha256=60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }
}
