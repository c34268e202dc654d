//! The way to a server: limits, and what its refusals mean.

use std::fmt;
use std::task::{Context, Poll};

use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use futures::future::BoxFuture;

use super::{AskError, MAX_BODY};

/// The most characters of a server's own code in an error.
const CODE_CHARS: usize = 60;

/// What went wrong on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The server answered with an error.
    Status {
        status: u16,
        retry_after: Option<u32>,
        /// Its own word for it, where it is one.
        code: Option<String>,
        /// It complains about the tools.
        tools: bool,
    },
    /// Nothing in time.
    Timeout,
    /// No connection: nothing was asked.
    Unreached,
    /// The connection broke.
    Connection,
    /// The body is no JSON.
    NoJson,
    /// The body is endless.
    TooLarge,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Status {
                status,
                code: Some(code),
                ..
            } => write!(f, "HTTP {status} ({code})"),
            Fault::Status { status, .. } => write!(f, "HTTP {status}"),
            Fault::Timeout => f.write_str("no answer in time"),
            Fault::Unreached => f.write_str("no connection"),
            Fault::Connection => f.write_str("the connection broke"),
            Fault::NoJson => f.write_str("its answer is no JSON"),
            Fault::TooLarge => f.write_str("its answer has no end"),
        }
    }
}

impl std::error::Error for Fault {}

impl Fault {
    pub(super) fn of(error: &reqwest::Error) -> Fault {
        if error.is_connect() {
            Fault::Unreached
        } else if error.is_timeout() {
            Fault::Timeout
        } else {
            Fault::Connection
        }
    }

    pub(super) fn is_about_tools(&self) -> bool {
        matches!(
            self,
            Fault::Status {
                status: 400 | 422 | 501,
                tools: true,
                ..
            }
        )
    }

    pub(super) fn meaning(&self) -> AskError {
        let detail = self.to_string();
        match self {
            // Nothing left to spend is no matter of waiting.
            Fault::Status {
                status: 429,
                code: Some(code),
                ..
            } if code == "insufficient_quota" => AskError::Final { detail },
            Fault::Status {
                status: 429 | 503,
                retry_after,
                ..
            } if retry_after.is_some() || matches!(self, Fault::Status { status: 429, .. }) => {
                AskError::Wait {
                    seconds: *retry_after,
                    detail,
                }
            }
            // 409: the question before is being answered still.
            Fault::Status {
                status: status @ (408 | 409 | 425 | 500..),
                ..
            } => AskError::Passing {
                detail,
                unknown: *status == 409,
                // A proxy's words for a model that took too long.
                paid: matches!(status, 408 | 504 | 524),
            },
            Fault::Status { .. } => AskError::Final { detail },
            Fault::Unreached => AskError::Passing {
                detail,
                unknown: true,
                paid: false,
            },
            Fault::Timeout | Fault::Connection => AskError::Passing {
                detail,
                unknown: true,
                paid: true,
            },
            Fault::NoJson | Fault::TooLarge => AskError::Passing {
                detail,
                unknown: false,
                paid: true,
            },
        }
    }
}

/// The plain way without retries of its own: whether and when to ask again is the planner's.
#[derive(Clone)]
pub(super) struct Plain {
    client: reqwest::Client,
    /// What a repetition of the same question is known by (draft-ietf-httpapi-idempotency-key-header).
    key: String,
}

impl Plain {
    pub(super) fn new(client: reqwest::Client, key: String) -> Plain {
        Plain { client, key }
    }
}

impl tower_service::Service<HttpRequestFactory> for Plain {
    type Response = reqwest::Response;
    type Error = OpenAIError;
    type Future = BoxFuture<'static, Result<reqwest::Response, OpenAIError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), OpenAIError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequestFactory) -> Self::Future {
        let client = self.client.clone();
        let key = reqwest::header::HeaderValue::from_str(&self.key).ok();
        Box::pin(async move {
            let boxed = |fault: Fault| OpenAIError::Boxed(Box::new(fault));
            let mut request = request.build().await?;
            if let Some(key) = key {
                request.headers_mut().insert("idempotency-key", key);
            }
            let response = client
                .execute(request)
                .await
                .map_err(|error| boxed(Fault::of(&error)))?;
            let status = response.status();
            let retry_after = response
                .headers()
                .get(reqwest::header::RETRY_AFTER)
                .and_then(|value| value.to_str().ok())
                .and_then(seconds);
            let body = read(response).await.map_err(boxed)?;
            let value: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
            if !status.is_success() {
                let code = value.as_ref().and_then(code_of);
                let tools = String::from_utf8_lossy(&body)
                    .to_ascii_lowercase()
                    .contains("tool");
                return Err(boxed(Fault::Status {
                    status: status.as_u16(),
                    retry_after,
                    code,
                    tools,
                }));
            }
            if value.is_none() {
                return Err(boxed(Fault::NoJson));
            }
            // Read and found sound: handed on as if it came just now.
            Ok(http::Response::new(reqwest::Body::from(body)).into())
        })
    }
}

/// `retry-after`: seconds, whole or not (an HTTP date is left to our own back-off).
fn seconds(text: &str) -> Option<u32> {
    let seconds: f64 = text.trim().parse().ok()?;
    (0.0..=f64::from(u32::MAX))
        .contains(&seconds)
        .then_some(seconds.ceil() as u32)
}

/// The server's own word for its error, where it looks like one.
fn code_of(value: &serde_json::Value) -> Option<String> {
    let error = value.get("error")?;
    ["code", "type"]
        .iter()
        .filter_map(|key| error.get(key)?.as_str())
        .find(|code| {
            code.len() <= CODE_CHARS
                // Proxies put the status there once more, or the word for nothing.
                && !code.chars().all(|c| c.is_ascii_digit())
                && *code != "None"
                && code
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        })
        .map(str::to_owned)
}

async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| Fault::of(&error))? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(Fault::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16, retry_after: Option<u32>, code: Option<&str>) -> AskError {
        Fault::Status {
            status,
            retry_after,
            code: code.map(str::to_owned),
            tools: false,
        }
        .meaning()
    }

    #[test]
    fn a_server_s_refusals_have_meanings() {
        assert!(matches!(
            status(429, Some(7), None),
            AskError::Wait {
                seconds: Some(7),
                ..
            }
        ));
        assert!(matches!(
            status(429, None, None),
            AskError::Wait { seconds: None, .. }
        ));
        assert!(matches!(
            status(429, None, Some("insufficient_quota")),
            AskError::Final { .. }
        ));
        for passing in [408, 409, 500, 502, 503, 529] {
            assert!(
                matches!(status(passing, None, None), AskError::Passing { .. }),
                "{passing}"
            );
        }
        for last in [302, 400, 401, 403, 404, 422] {
            assert!(
                matches!(status(last, None, None), AskError::Final { .. }),
                "{last}"
            );
        }
    }

    #[test]
    fn a_wait_is_rounded_up() {
        assert_eq!(seconds("2"), Some(2));
        assert_eq!(seconds("0.2"), Some(1));
        assert_eq!(seconds("Wed, 21 Oct 2015 07:28:00 GMT"), None);
        assert_eq!(seconds("-1"), None);
    }

    #[test]
    fn an_error_quotes_a_code_and_never_a_sentence() {
        let with =
            |code: &str| serde_json::json!({"error": {"code": code, "message": "Anna said hi"}});
        assert_eq!(
            code_of(&with("model_not_found")).as_deref(),
            Some("model_not_found")
        );
        for none in ["Anna said hi", "400", "None", ""] {
            assert_eq!(code_of(&with(none)), None, "{none}");
        }
    }
}
