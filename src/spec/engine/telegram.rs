//! `telegram`: the application in whose name accounts connect.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::SecretString;
use crate::spec::scalar::{Scalar, scalar_serde};

/// The application at my.telegram.org.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TelegramSettings {
    /// Its number; the environment's `TG_API_ID` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"${TG_API_ID}", extend("default" = "${TG_API_ID}"))]
    pub api_id: Option<ApiId>,
    /// Its secret; the environment's `TG_API_HASH` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"${TG_API_HASH}", extend("default" = "${TG_API_HASH}"))]
    pub api_hash: Option<SecretString>,
}

/// The number of an application: a positive 32-bit number, written as a number or as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ApiId(pub i32);

impl ApiId {
    /// Reads the digits.
    ///
    /// # Errors
    /// One sentence that does not repeat the value: it may have come out of the environment.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.trim().parse::<i32>() {
            Ok(id) if id > 0 => Ok(Self(id)),
            _ => Err("this is no api_id: a positive whole number is expected, as my.telegram.org shows it".to_owned()),
        }
    }
}

impl fmt::Display for ApiId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Scalar for ApiId {
    const KIND: &'static str = "api-id";

    fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::String(text) => Self::parse(text),
            Value::Number(n) => Self::parse(&n.to_string()),
            _ => Err("this is no api_id: a positive whole number is expected, as my.telegram.org shows it".to_owned()),
        }
    }
}

scalar_serde!(ApiId);

impl JsonSchema for ApiId {
    fn schema_name() -> Cow<'static, str> {
        "ApiId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The number of an application at my.telegram.org.",
            "anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": r"^(\s*\d+\s*|.*\$\{\w+\}.*)$"}],
            "examples": ["${TG_API_ID}", 12345],
            "x-scalar": Self::KIND,
        })
    }
}
