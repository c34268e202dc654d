//! Values that YAML writes as text and that mean more than text: durations, ranges, percentages, peers.
//!
//! Each has one parser, from which come the decoding, the sentences of the diagnostics and the schema's pattern.

use serde_json::Value;

use super::duration::{Duration, DurationRange, Percent};
use super::engine::{ApiId, ListenAddress};
use super::peer::Peer;

/// A type that is written as text in a spec.
pub trait Scalar: Sized {
    /// The name under which the validator's schema marks such values (keyword [`KIND_KEYWORD`]).
    const KIND: &'static str;

    /// Reads the value from decoded YAML.
    ///
    /// # Errors
    /// One sentence: what was found, what was expected.
    fn read(value: &Value) -> Result<Self, String>;
}

/// The keyword by which the validator's schema says which [`Scalar`] a value is. The published schema lacks it.
pub const KIND_KEYWORD: &str = "x-scalar";

/// Explains why `value` is not a `kind` (the text of [`KIND_KEYWORD`]); `None` where it is one, or the kind is unknown.
pub fn explain(kind: &str, value: &Value) -> Option<String> {
    fn of<T: Scalar>(value: &Value) -> Option<String> {
        T::read(value).err()
    }
    match kind {
        Duration::KIND => of::<Duration>(value),
        DurationRange::KIND => of::<DurationRange>(value),
        Percent::KIND => of::<Percent>(value),
        Peer::KIND => of::<Peer>(value),
        ApiId::KIND => of::<ApiId>(value),
        ListenAddress::KIND => of::<ListenAddress>(value),
        _ => None,
    }
}

/// Decoding through [`Scalar::read`], encoding through `Display`.
macro_rules! scalar_serde {
    ($type:ty) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let value = serde_json::Value::deserialize(deserializer)?;
                <$type as $crate::spec::scalar::Scalar>::read(&value)
                    .map_err(serde::de::Error::custom)
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}
pub(crate) use scalar_serde;

/// A found value in few words: `the number 20`, `a list`, `"5 minutes"`.
pub fn found(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(b) => format!("`{b}`"),
        Value::Number(n) => format!("the number {n}"),
        Value::String(s) => super::diagnostic::quote(s),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
    }
}
