//! Specs and settings, resolved and cross-checked: what is wanted.
//!
//! [`resolve`] is a pure function of files, the environment and what is known of earlier campaigns. It never fails:
//! what is wrong becomes diagnostics, and an invalid file holds its own campaign alone.
//!
//! # Guarantees
//! - A campaign with a `spec` has no error in its file, and none of its values exceeds a limit.
//! - The same inputs give the same answer, digests included.
//!
//! # Caveats
//! Files that specs name are looked at whenever the workspace is resolved (how cheaply is up to its `Files`: those on
//! the disk remember what did not change); a list that changes between that and the look-up has another SHA-256 than
//! the one stated here.

mod campaign;
mod digest;
mod engine;
mod environment;
mod last_good;
mod memo;
mod names;
mod resolve;
mod role;
mod types;
mod written;

#[cfg(test)]
mod tests;

pub use digest::{hex, spec_digest};
pub use environment::{EnvDefaults, Environment};
pub use last_good::{KeptVersions, Version};
pub use memo::Memo;
pub use names::{History, Known};
pub use resolve::{EngineFile, Input, Resolution, resolve};
pub use role::{AiServer, ResolvedRole};
pub use types::*;
pub use written::{compared, is_hidden, shown, unmarked};
