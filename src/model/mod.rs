//! The words that all rooms share: who, when, what happened, what may be asked for.
//!
//! Nothing here has effects, reads a clock or draws a random number.

mod charges;
mod command;
mod contact;
mod event;
mod ids;
mod media;
mod notify;
mod operator;
pub mod reaction;
mod reasons;
mod replies;
mod roll;
mod suppression;
mod talk;
mod timestamp;

pub use charges::Charges;
pub use command::{Command, Reply};
pub use contact::{Contact, Given, LastSeen, Person, contact_of_row, hash_in_row};
pub use event::{
    Event, FiringFate, HoldReason, InDoubtWhy, Intent, JoinEnd, LookupEnd, Recorded,
    SettledElsewhere, SourceId, StallReason,
};
pub use ids::{
    AccountName, CampaignName, Lineage, PersonId, RandomKey, Reference, ReferenceError, SendKey,
};
pub use media::{Attachment, Entity, EntityKind, Formatted, utf16_len};
pub use notify::NotifyEvent;
pub use operator::{OperatorCommand, ReportBy, ResolveAs};
pub use reasons::{AccountState, ConditionType, Exclusion, Outcome, Waiting};
pub use replies::RepliesCommand;
pub use roll::Roll;
pub use suppression::{RefHash, SuppressionKey};
pub use talk::{
    Aside, DraftHold, Line, LineKey, LineKind, NeedsWhy, OPT_OUT_LINEAGE, Speaker, TEST_LINEAGE,
    TalkChange, account_of_role, account_role, answer_key, aside_of, is_aside, notice_key,
    operator_key, own_print,
};
pub use timestamp::Timestamp;
