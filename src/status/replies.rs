//! Conversations as operators see them. Names and texts of people stand here, so it is for them alone.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::events::seconds;
use super::plain::plain;
use super::types::Moment;
use crate::model::{LineKind, Speaker};
use crate::observed::Talk;

/// The states in which a conversation can be, those that wait for a person first.
pub const REPLY_STATES: &[&str] = &[
    "needs_human",
    "draft",
    "answering",
    "human",
    "quiet",
    "closed",
];

/// The state of a conversation, and why.
pub fn reply_state(talk: &Talk) -> (&'static str, Option<String>, String) {
    if let Some((why, _, detail)) = &talk.needs {
        return ("needs_human", Some(why.name().to_owned()), detail.clone());
    }
    if let Some(hold) = talk.draft.as_ref().and_then(|draft| draft.hold) {
        let reason = match hold {
            crate::model::DraftHold::Mode => "mode",
            crate::model::DraftHold::Link => "link",
            crate::model::DraftHold::TooLong => "too_long",
            crate::model::DraftHold::Denial => "denial",
        };
        return ("draft", Some(reason.to_owned()), hold.says().to_owned());
    }
    if talk.closed {
        return ("closed", None, String::new());
    }
    if talk.human.is_some() {
        return ("human", None, "A human goes on with it.".to_owned());
    }
    if talk.draft.is_some() {
        return ("answering", None, "An answer is on its way.".to_owned());
    }
    match &talk.unanswered {
        Some(open) if open.failures > 0 => (
            "answering",
            None,
            format!(
                "Try {} to draft an answer: {}",
                open.failures + 1,
                open.detail
            ),
        ),
        Some(_) => ("answering", None, "An answer is to be drafted.".to_owned()),
        None => ("quiet", None, String::new()),
    }
}

/// One conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The draft's number, for `approve` and `reject`.
    pub id: Option<u64>,
    /// `id:123`.
    pub person: String,
    /// His name, where it is known.
    pub name: Option<String>,
    /// Without the `@`.
    pub username: Option<String>,
    /// With which account.
    pub account: String,
    /// The campaign that last wrote to him.
    pub campaign: Option<String>,
    /// One of [`REPLY_STATES`].
    pub state: String,
    /// Why, for programs.
    pub reason: Option<String>,
    /// Why, in one sentence.
    pub message: String,
    /// When he last wrote.
    pub wrote_at: Option<Moment>,
    /// Answers of the AI that he got.
    pub answers: u32,
    /// What he last said.
    pub last: Option<String>,
    /// The drafted answer.
    pub draft: Option<String>,
}

/// `replies list -o json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepliesDocument {
    /// Its minor part rises for additions.
    pub format_version: String,
    /// Those that wait for a person first, the newest first.
    pub replies: Vec<Reply>,
}

/// One line of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyLine {
    /// When.
    pub at: Moment,
    /// With which account.
    pub account: String,
    /// `person`, `campaign`, `ai`, `operator`, `human`.
    pub speaker: String,
    /// The campaign or operator.
    pub by: Option<String>,
    /// `message`, `draft` or `operator` (to be sent).
    pub kind: String,
    /// Telegram's number of a message.
    pub number: u32,
    /// What.
    pub text: String,
}

impl ReplyLine {
    /// Who spoke, and in whose name.
    pub fn speaker_of(speaker: &Speaker) -> (String, Option<String>) {
        match speaker {
            Speaker::Person => ("person".to_owned(), None),
            Speaker::Campaign(line) => ("campaign".to_owned(), Some(line.to_string())),
            Speaker::Ai => ("ai".to_owned(), None),
            Speaker::Operator(by) => ("operator".to_owned(), Some(by.clone())),
            Speaker::Human => ("human".to_owned(), None),
        }
    }

    /// The word for what a line is.
    pub fn kind_of(kind: LineKind) -> &'static str {
        match kind {
            LineKind::Message => "message",
            LineKind::Draft => "draft",
            LineKind::Operator => "operator",
        }
    }
}

/// `replies show -o json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyDocument {
    /// Its minor part rises for additions.
    pub format_version: String,
    /// `id:123`.
    pub person: String,
    /// His name, where it is known.
    pub name: Option<String>,
    /// His conversations, one with each account.
    pub replies: Vec<Reply>,
    /// The oldest first.
    pub lines: Vec<ReplyLine>,
}

/// The longest text in a table's line.
const SHORT: usize = 60;

fn short(text: &str) -> String {
    let text = plain(text);
    if text.chars().count() <= SHORT {
        return text;
    }
    let mut out: String = text.chars().take(SHORT - 1).collect();
    out.push('…');
    out
}

/// Whom it is with, for people.
fn who(reply: &Reply) -> String {
    match (&reply.name, &reply.username) {
        (Some(name), Some(username)) => format!("{} (@{})", plain(name), plain(username)),
        (Some(name), None) => format!("{} ({})", plain(name), reply.person),
        (None, Some(username)) => format!("@{}", plain(username)),
        (None, None) => reply.person.clone(),
    }
}

/// Conversations for people.
pub fn replies_text(replies: &[Reply]) -> String {
    let mut out = String::new();
    for reply in replies {
        let _ = write!(out, "{:<12} {}", reply.state, who(reply));
        let _ = write!(out, "  → {}", plain(&reply.account));
        if let Some(campaign) = &reply.campaign {
            let _ = write!(out, "  [{}]", plain(campaign));
        }
        if let Some(at) = &reply.wrote_at {
            let _ = write!(out, "  {}", seconds(*at));
        }
        let _ = writeln!(out);
        if !reply.message.is_empty() {
            let _ = writeln!(out, "             {}", short(&reply.message));
        }
        if let Some(last) = &reply.last {
            let _ = writeln!(out, "             he said:  {}", short(last));
        }
        if let (Some(id), Some(draft)) = (reply.id, &reply.draft) {
            let _ = writeln!(out, "             draft {id}:  {}", short(draft));
        }
    }
    out
}

/// Lines of a conversation for people.
pub fn lines_text(lines: &[ReplyLine], name: Option<&str>) -> String {
    let mut out = String::new();
    for line in lines {
        let speaker = match (line.speaker.as_str(), &line.by) {
            ("person", _) => name.map_or_else(|| "he".to_owned(), plain),
            (speaker, Some(by)) => format!("{speaker} {}", plain(by)),
            (speaker, None) => speaker.to_owned(),
        };
        let kind = match line.kind.as_str() {
            "message" => "",
            "draft" => " (draft)",
            _ => " (to be sent)",
        };
        let text = match line.text.as_str() {
            "" => "(no text)",
            text => text,
        };
        let text: Vec<String> = text.lines().map(plain).collect();
        let text = text.join("\n    ");
        let _ = writeln!(
            out,
            "{}  {}  {speaker}{kind}\n    {text}",
            seconds(line.at),
            plain(&line.account)
        );
    }
    out
}
