//! Conversations: what was said stands in an erasable tree, line by line; the journal holds ids alone.

use serde::{Deserialize, Serialize};

use super::{AccountName, Lineage, PersonId, SendKey, Timestamp};

/// Lineages of sends that are no campaign's begin with this; no campaign's name does.
const ASIDE: char = '#';
/// The lineage of the confirmations of opt-outs.
pub const OPT_OUT_LINEAGE: &str = "#opt-out";
/// The lineage of tests (`tidings send-test`): the number of the test is the run.
pub const TEST_LINEAGE: &str = "#test";
/// Answers: the account's name follows, the incoming message is the run.
const ANSWER: &str = "#answer/";
/// What an operator writes: the account's name follows, the number of the message is the run.
const OPERATOR: &str = "#operator/";
/// What operators are told on Telegram: the account's name follows, the event's number is the run.
const NOTICE: &str = "#notice/";
/// The role of an account (`accounts.X.ai_role`): the account's name follows.
const ACCOUNT_ROLE: &str = "#account/";

/// Whether a send belongs to no campaign: it stands outside of caps, delays and guardrails.
pub fn is_aside(lineage: &str) -> bool {
    lineage.starts_with(ASIDE)
}

/// The send-once key of the answer to a message: at most one answer is ever sent for (account, person, message).
pub fn answer_key(account: &str, person: PersonId, message_id: i32) -> SendKey {
    aside_key(ANSWER, account, person, message_id.unsigned_abs())
}

/// The send-once key of what an operator writes.
pub fn operator_key(account: &str, person: PersonId, number: u32) -> SendKey {
    aside_key(OPERATOR, account, person, number)
}

/// The send-once key of what an operator is told about an event.
pub fn notice_key(account: &str, person: PersonId, number: u32) -> SendKey {
    aside_key(NOTICE, account, person, number)
}

fn aside_key(kind: &str, account: &str, person: PersonId, run: u32) -> SendKey {
    SendKey {
        lineage: format!("{kind}{account}").into(),
        person,
        step: 0,
        run,
    }
}

/// What a send outside of campaigns is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aside<'a> {
    /// The confirmation of an opt-out.
    OptOut,
    /// The answer to this message.
    Answer {
        /// From which account.
        account: &'a str,
        /// To which message of his.
        message_id: i32,
    },
    /// An operator's own message.
    Operator {
        /// From which account.
        account: &'a str,
        /// Which of his.
        number: u32,
    },
    /// An operator is told about an event.
    Notice {
        /// From which account.
        account: &'a str,
        /// Which event.
        number: u32,
    },
}

/// What a key is the key of, where it is no campaign's.
pub fn aside_of(key: &SendKey) -> Option<Aside<'_>> {
    let line = key.lineage.as_ref();
    if line == OPT_OUT_LINEAGE {
        return Some(Aside::OptOut);
    }
    if let Some(account) = line.strip_prefix(ANSWER) {
        let message_id = i32::try_from(key.run).unwrap_or(0);
        return Some(Aside::Answer {
            account,
            message_id,
        });
    }
    if let Some(account) = line.strip_prefix(OPERATOR) {
        let number = key.run;
        return Some(Aside::Operator { account, number });
    }
    line.strip_prefix(NOTICE).map(|account| Aside::Notice {
        account,
        number: key.run,
    })
}

/// What tells a message that the engine sent from one that a human wrote in another client, where Telegram never said
/// its id. A number without a text, so that the journal may hold it.
pub fn own_print(account: &str, person: PersonId, text: &str) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(account.as_bytes()).update(b"\0");
    hasher.update(&person.0.to_le_bytes());
    hasher.update(text.trim().as_bytes());
    let mut bytes = [0u8; 8];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(bytes)
}

/// The role of an account, in the place where a campaign's lineage names its role.
pub fn account_role(account: &str) -> Lineage {
    format!("{ACCOUNT_ROLE}{account}").into()
}

/// The account whose role this is; none where it is a campaign's.
pub fn account_of_role(role: &str) -> Option<&str> {
    role.strip_prefix(ACCOUNT_ROLE)
}

/// Who said something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// The person himself.
    Person,
    /// A campaign, in the account's name.
    Campaign(Lineage),
    /// The AI.
    Ai,
    /// An operator, by `tidings replies`.
    Operator(String),
    /// A human in another client of the account.
    Human,
}

/// What a line of a conversation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// A message that was received or sent. Its number is Telegram's id.
    Message,
    /// A drafted answer. Its number is the id of the message that it answers.
    Draft,
    /// What an operator wants to say. Its number counts his messages.
    Operator,
}

/// The key of a line: written again it is the same line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineKey {
    /// The account's position in the observed state.
    pub account: u16,
    /// What it is.
    pub kind: LineKind,
    /// See [`LineKind`].
    pub number: u32,
}

impl LineKey {
    /// A number that orders the lines of one person by account and message.
    pub fn number(&self) -> u64 {
        let kind = match self.kind {
            LineKind::Message => 0,
            LineKind::Draft => 1,
            LineKind::Operator => 2,
        };
        (u64::from(self.account) << 40) | (u64::from(self.number) << 2) | kind
    }

    /// The key of such a number.
    pub fn of_number(number: u64) -> LineKey {
        LineKey {
            account: u16::try_from((number >> 40) & 0xFFFF).unwrap_or(u16::MAX),
            kind: match number & 3 {
                0 => LineKind::Message,
                1 => LineKind::Draft,
                _ => LineKind::Operator,
            },
            number: u32::try_from((number >> 2) & 0xFFFF_FFFF).unwrap_or(u32::MAX),
        }
    }
}

/// One line of a conversation. Personal data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When it was said, or drafted.
    pub at: Timestamp,
    /// By or to which account.
    pub account: AccountName,
    /// By whom.
    pub speaker: Speaker,
    /// What. Empty for a picture, a sticker or a voice message.
    pub text: String,
}

/// Why a draft does not go out by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DraftHold {
    /// `mode: draft`.
    Mode,
    /// It links to a host that `allow_links` does not name.
    Link,
    /// It is longer than a message may be.
    TooLong,
    /// It says that it is no machine.
    Denial,
}

impl DraftHold {
    /// In one sentence.
    pub fn says(self) -> &'static str {
        match self {
            DraftHold::Mode => "The role's mode is draft.",
            DraftHold::Link => "It links to a host that `allow_links` does not name.",
            DraftHold::TooLong => {
                "It is longer than a message may be: approve it with a shorter --text."
            }
            DraftHold::Denial => "It says that it is no machine.",
        }
    }
}

/// Why a human must look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NeedsWhy {
    /// He said one of the role's `handoff` words.
    Handoff,
    /// The model asked for a human.
    Model,
    /// The model could not be asked, or its answers could not be used.
    Failed,
    /// `max_replies` answers were given.
    MaxReplies,
    /// `max_tokens_per_day` is used up.
    Tokens,
    /// Nothing leaves in the campaign's name now.
    Held,
    /// He sent no text: a picture, a sticker, a voice message.
    NoText,
    /// The answer could not be sent.
    NotSent,
    /// A draft was rejected.
    Rejected,
}

impl NeedsWhy {
    /// Whether a human was asked for, by him or by the model: no account's AI goes on with him then.
    pub fn asks_for_a_human(self) -> bool {
        matches!(self, NeedsWhy::Handoff | NeedsWhy::Model)
    }

    /// The word that lists show.
    pub fn name(self) -> &'static str {
        match self {
            NeedsWhy::Handoff => "handoff",
            NeedsWhy::Model => "model",
            NeedsWhy::Failed => "failed",
            NeedsWhy::MaxReplies => "max_replies",
            NeedsWhy::Tokens => "tokens",
            NeedsWhy::Held => "held",
            NeedsWhy::NoText => "no_text",
            NeedsWhy::NotSent => "not_sent",
            NeedsWhy::Rejected => "rejected",
        }
    }
}

/// What an operator does with a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TalkChange {
    /// A human goes on with it: the AI is silent.
    Taken,
    /// The AI may answer again.
    Returned,
    /// Nothing is to be done any more, until he writes again.
    Closed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_keyed_by_account_person_and_message() {
        let key = answer_key("sales-1", PersonId(7), 42);
        assert!(is_aside(&key.lineage));
        assert_eq!(
            aside_of(&key),
            Some(Aside::Answer {
                account: "sales-1",
                message_id: 42
            })
        );
        assert_ne!(key, answer_key("sales-2", PersonId(7), 42));
        assert_ne!(key, answer_key("sales-1", PersonId(7), 43));
        assert_ne!(key, operator_key("sales-1", PersonId(7), 42));
        let campaign = SendKey {
            lineage: "spring".into(),
            ..key
        };
        assert_eq!(aside_of(&campaign), None);
    }

    #[test]
    fn a_line_s_number_tells_its_key() {
        for kind in [LineKind::Message, LineKind::Draft, LineKind::Operator] {
            let key = LineKey {
                account: 513,
                kind,
                number: u32::MAX,
            };
            assert_eq!(LineKey::of_number(key.number()), key);
        }
    }
}
