//! The reconciliation report: what is wanted, what is, and why it is not the same yet, as plain data.
//!
//! [`report`] is a pure function of what the planner looked at and what it found. Everything that people or programs
//! see of the engine (tables, the page, metrics, `--check`) is a rendering of its answer.
//!
//! # Guarantees
//! - `found = included + excluded`, `included = pending + in_flight + sent + failed + skipped + uncertain`, the
//!   outcomes sum to the last four, and `waiting` sums to `pending`, for every campaign and at any moment.
//! - Every condition type is there, in the order of the promise; reasons are CamelCase.
//! - Texts that other people wrote (titles, names of places, Telegram's words) cannot steer the terminal.
//!
//! # Caveats
//! Times of transitions are those that the journal holds; where it holds none, the nearest that it does.

mod activity;
pub mod against;
mod conditions;
mod detail;
pub mod diff;
mod document;
mod events;
mod glance;
mod needs;
mod plain;
mod plan_text;
mod rate;
mod reasons;
mod replies;
mod report;
mod table;
mod talks;
mod types;
mod wrap;

#[cfg(test)]
mod tests;

pub use activity::{HourCount, MessageCount};
pub use detail::detail;
pub use document::{
    AiPlan, CampaignPlan, Change, MessagesPlan, PlanDocument, Recipients, SourcePlan,
    UnknownCampaign, plan_document,
};
pub use events::{CampaignNames, EventLine, EventsDocument, event_line, events_text, seconds};
pub use glance::{Glance, Tone, account_tone, glances};
pub use needs::{needs_person, needs_person_list, notes, suspended_line};
pub use plain::{people, plain, steers};
pub use plan_text::plan_text;
pub use reasons::reasons_markdown;
pub use replies::{
    REPLY_STATES, RepliesDocument, Reply, ReplyDocument, ReplyLine, lines_text, replies_text,
    reply_state,
};
pub use report::{FORMAT_VERSION, report, report_on};
pub use table::{Look, absolute_words, accounts_table, moment_words, table};
pub use talks::{TalkCounts, campaign_of_talk};
pub use types::{
    AccountStatus, AccountsDocument, Audience, CampaignStatus, Condition, DaemonInfo, HoldStatus,
    InvalidFileStatus, LookupStatus, Moment, Progress, SourceStatus, StatusReport, Step, Sync,
    TemplateStatus, Truth, WaitStatus, WarmupStatus,
};
pub use wrap::{fold, push_from, push_wrapped};
