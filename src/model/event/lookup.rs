//! What events say of sources and how they were looked up.

use serde::{Deserialize, Serialize};

/// A source of a campaign: the first 8 bytes of the SHA-256 of what it says, so that it stays the same
/// while other sources are added and removed around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SourceId(pub u64);

/// How a look-up of one source by one account ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LookupEnd {
    /// Everybody that the source holds was read.
    pub complete: bool,
    /// Why it failed, in Telegram's or the file's words.
    pub error: Option<String>,
    /// The failure passes by itself (Telegram's own errors, a broken connection): a retry is worth its while.
    #[serde(default)]
    pub passing: bool,
    /// It went well, and yet not everybody was shown: why, and how to widen it.
    #[serde(default)]
    pub partial: Option<String>,
    /// The account is creator or admin of the place (consent `members`); true for other sources.
    pub admin: bool,
    /// Lines of a file that name nobody, counted.
    pub bad_rows: u32,
}
