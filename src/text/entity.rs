//! A text as Telegram takes it: the types are the model's, since the adapter sees no other room.

pub use crate::model::{Entity, EntityKind, Formatted, utf16_len};
