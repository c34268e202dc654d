//! The folder → a whole snapshot.
//!
//! [`Workspace`] reads the disk: each [`Snapshot`] sees one state of the folder, also where `campaigns/` is a symlink
//! that is swapped while it is read. [`Watcher`] says when it may be worth to look again, and nothing else: what has
//! changed is found by comparing content, never by trusting an event.

mod disk;
mod fingerprint;
mod watcher;

pub use disk::{Snapshot, Workspace, read_anywhere};
pub use watcher::{Cause, Nudge, Watcher};

#[cfg(test)]
mod tests;
