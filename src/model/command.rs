//! What people may ask of the engine, from the terminal or the page. Nobody else acts.

use serde::{Deserialize, Serialize};

/// A request to the control loop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// The report.
    Status {
        /// These campaigns only; all where empty.
        #[serde(default)]
        names: Vec<String>,
    },
    /// What would happen.
    Plan {
        /// These campaigns only; all where empty.
        #[serde(default)]
        names: Vec<String>,
        /// Ask the sources first. A daemon answers from its last look-ups: it is told to look by `Reconcile`.
        #[serde(default)]
        refresh: bool,
    },
    /// Look the sources up now.
    Reconcile {
        /// The campaign.
        name: String,
    },
    /// How far a `Reconcile` is; answers with whether a look-up is under way.
    ReconcileState {
        /// The campaign.
        name: String,
    },
    /// A hold beside the spec's own `paused`.
    Suspend {
        /// The campaign; all where absent.
        name: Option<String>,
        /// Why, shown in the report.
        reason: String,
        /// Who asks.
        by: String,
    },
    /// Ends a hold, clears `Stalled` and tripped guardrails.
    Resume {
        /// The campaign; all where absent.
        name: Option<String>,
        /// Why, shown in the events.
        reason: String,
        /// Who asks.
        by: String,
    },
    /// Says what an approval would approve.
    ApprovalAsked {
        /// The campaign.
        name: String,
    },
    /// Approves exactly what was shown.
    Approve {
        /// The campaign; absent with `new_state`.
        name: Option<String>,
        /// The digest that was shown.
        digest: String,
        /// The number of people that was shown.
        people: u64,
        /// Accept that this is a new state for accounts that another one used.
        #[serde(default)]
        new_state: bool,
        /// Who approves.
        by: String,
    },
    /// Second chances for whoever ended so.
    Retry {
        /// The campaign.
        name: String,
        /// How they ended.
        outcomes: Vec<super::Outcome>,
        /// Who asks.
        by: String,
    },
    /// What happened.
    Events {
        /// Of this campaign only.
        name: Option<String>,
        /// After this sequence number.
        #[serde(default)]
        after: u64,
        /// Before this sequence number: goes on where an answer's `earlier` says that it ended.
        #[serde(default)]
        before: Option<u64>,
        /// At most so many, the newest.
        #[serde(default)]
        limit: usize,
    },
    /// Which audiences there are.
    Audiences,
    /// Who is in an audience, and what became of each, page by page.
    AudiencePage {
        /// The campaign.
        name: String,
        /// After this place; from the beginning where absent.
        #[serde(default)]
        after: Option<u32>,
    },
    /// The accounts and their states.
    Accounts,
    /// Asks Telegram who an account is.
    AccountCheck {
        /// Which.
        name: String,
    },
    /// Logs an account out and deletes its session file.
    AccountRemove {
        /// Which.
        name: String,
        /// Even where sends of it have no outcome yet, and where Telegram cannot be told.
        #[serde(default)]
        force: bool,
        /// Who asks.
        by: String,
    },
    /// Looks at the workspace again now.
    Reload,
    /// Whether anybody is there.
    Ping,
    /// About people, results and the state as a whole.
    Operator(super::OperatorCommand),
    /// What is known of a person, as a campaign's filters and templates see him.
    Contact {
        /// The campaign.
        name: String,
        /// `@username`, `id:123` or a phone.
        person: String,
    },
    /// Conversations.
    Replies {
        /// What of them.
        what: super::RepliesCommand,
    },
}

impl Command {
    /// Whether it may change something, so that asking twice is not the same as asking once.
    pub fn changes(&self) -> bool {
        match self {
            Command::Suspend { .. }
            | Command::Resume { .. }
            | Command::Approve { .. }
            | Command::Retry { .. }
            | Command::Reconcile { .. }
            | Command::AccountRemove { .. } => true,
            Command::Operator(command) => command.changes(),
            Command::Replies { what } => what.changes(),
            Command::Status { .. }
            | Command::Plan { .. }
            | Command::ReconcileState { .. }
            | Command::ApprovalAsked { .. }
            | Command::Events { .. }
            | Command::Audiences
            | Command::AudiencePage { .. }
            | Command::Accounts
            | Command::AccountCheck { .. }
            | Command::Reload
            | Command::Ping
            | Command::Contact { .. } => false,
        }
    }
}

/// The engine's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// Done, with one sentence.
    Done {
        /// What was done.
        message: String,
    },
    /// A document.
    Document {
        /// The promised JSON.
        body: serde_json::Value,
    },
    /// A document that is a text already: large ones are written once, and read by whoever wants more of them than to
    /// pass them on. A reader of the socket cannot tell it from the other.
    #[serde(skip)]
    Written {
        /// JSON, without line breaks.
        json: String,
    },
    /// Refused, with one sentence that says what to do.
    Refused {
        /// Why.
        message: String,
        /// Whether the caller's words are wrong (exit code 64) rather than the state (1).
        #[serde(default)]
        usage: bool,
    },
}

impl Reply {
    /// The same with its document read, where it is a text.
    ///
    /// # Errors
    /// Where that is no JSON.
    pub fn read(self) -> Result<Reply, serde_json::Error> {
        match self {
            Reply::Written { json } => {
                serde_json::from_str(&json).map(|body| Reply::Document { body })
            }
            other => Ok(other),
        }
    }
}
