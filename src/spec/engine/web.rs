//! `web`: the page and the HTTP interface.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::SecretString;
use crate::spec::diagnostic::quote;
use crate::spec::scalar::{Scalar, found, scalar_serde};

/// Where the page listens when `web` is there without `listen` (CONTRACT section 3).
pub const DEFAULT_WEB_LISTEN: &str = "127.0.0.1:7878";

/// A shorter token is guessed by whoever reaches the page and tries for long enough.
pub const LEAST_TOKEN: usize = 16;

/// The page and the HTTP interface; nothing listens where the key is absent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WebSettings {
    /// The address; one that others can reach needs a `token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"127.0.0.1:7878", extend("default" = DEFAULT_WEB_LISTEN))]
    pub listen: Option<ListenAddress>,
    /// What a client shows as `Authorization: Bearer …`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"${TIDINGS_WEB_TOKEN}")]
    pub token: Option<SecretString>,
}

impl WebSettings {
    /// Whether others can reach the page, and its token is so short that it is guessed.
    pub fn is_weak(&self) -> bool {
        let length = |token: &SecretString| token.expose().trim().chars().count();
        self.listen.is_some_and(|listen| !listen.is_loopback())
            && self
                .token
                .as_ref()
                .is_some_and(|token| (1..LEAST_TOKEN).contains(&length(token)))
    }
}

/// An IP address and a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ListenAddress(pub SocketAddr);

impl ListenAddress {
    /// Reads `127.0.0.1:7878`, `[::1]:7878`, `localhost:7878` or `:7878` (of this machine only).
    ///
    /// # Errors
    /// One sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Ok(address) = text.parse() {
            return Ok(Self(address));
        }
        let local = text
            .strip_prefix("localhost:")
            .or_else(|| text.strip_prefix(':'));
        match local.map(str::parse::<u16>) {
            Some(Ok(port)) => Ok(Self(SocketAddr::new(IpAddr::from([127, 0, 0, 1]), port))),
            _ => Err(format!(
                "{} is not an address and port; write one such as `{DEFAULT_WEB_LISTEN}`",
                quote(text)
            )),
        }
    }

    /// Whether only this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        self.0.ip().is_loopback()
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Scalar for ListenAddress {
    const KIND: &'static str = "listen-address";

    fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::String(text) => Self::parse(text),
            other => Err(format!(
                "found {}; write an address and port such as `{DEFAULT_WEB_LISTEN}`",
                found(other)
            )),
        }
    }
}

scalar_serde!(ListenAddress);

impl JsonSchema for ListenAddress {
    fn schema_name() -> Cow<'static, str> {
        "ListenAddress".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An IP address and a port.",
            "type": "string",
            "pattern": r"(:\d{1,5}\s*$|\$\{\w+\})",
            "examples": [DEFAULT_WEB_LISTEN],
            "x-scalar": Self::KIND,
        })
    }
}
