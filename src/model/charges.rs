//! What was charged to caps, as it goes from one state to another.

use serde::{Deserialize, Serialize};

/// How many, by the minute and by the quarter of an hour, each counted from the Unix epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charges {
    /// By the minute, ascending.
    #[serde(default)]
    pub minutes: Vec<(i64, u32)>,
    /// By the quarter of an hour, ascending.
    #[serde(default)]
    pub quarters: Vec<(i64, u32)>,
}

impl Charges {
    /// Whether nothing was charged.
    pub fn is_empty(&self) -> bool {
        self.minutes.is_empty() && self.quarters.is_empty()
    }
}
