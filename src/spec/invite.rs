//! `target` and `method`: where an invite campaign leads, and how.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How people get into the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InviteMethod {
    /// Sends `templates` with `{{ invite_link }}`; each person decides himself.
    #[default]
    Link,
    /// Adds them, where their privacy settings allow it.
    Add,
}
