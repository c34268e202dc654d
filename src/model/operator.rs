//! What an operator asks for about people, results and the state as a whole.

use serde::{Deserialize, Serialize};

use super::{Reference, Timestamp};

/// A request of an operator, beside those of [`super::Command`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum OperatorCommand {
    /// Who is suppressed or opted out.
    OptOutList,
    /// Nobody of these is written to again, by any campaign and account.
    OptOutAdd {
        /// Each person by all that names him.
        people: Vec<Vec<Reference>>,
        /// Why, shown in the list.
        why: String,
        /// Who asks.
        by: String,
    },
    /// Takes one person off the list.
    OptOutRemove {
        /// Whom.
        person: Reference,
        /// Why, shown in the audit.
        why: String,
        /// Who asks.
        by: String,
    },
    /// Suppresses a person and erases what is known of him.
    Forget {
        /// Whom.
        person: Reference,
        /// Who asks.
        by: String,
    },
    /// Why a person did or did not get a message.
    Explain {
        /// The campaign.
        name: String,
        /// Who.
        person: Reference,
    },
    /// Who changed what.
    Audit {
        /// Of this campaign only.
        name: Option<String>,
        /// After this sequence number.
        #[serde(default)]
        after: u64,
        /// At most so many, the newest.
        #[serde(default)]
        limit: usize,
    },
    /// What came of the messages of a time.
    Report {
        /// From then on.
        since: Timestamp,
        /// A row for each of these.
        by: ReportBy,
    },
    /// Settles a send of which nobody knows whether it arrived.
    Resolve {
        /// The campaign.
        name: String,
        /// To whom.
        person: Reference,
        /// How.
        verdict: ResolveAs,
        /// Who says so.
        by: String,
    },
    /// Sends every text of a campaign to a test recipient; answered by a daemon alone.
    SendTest {
        /// The campaign.
        name: String,
        /// One of `test_recipients`, as the command line names him.
        to: String,
        /// Who asks.
        by: String,
    },
    /// How far a test is.
    TestState {
        /// Which.
        number: u32,
        /// It began after this event.
        after: u64,
    },
    /// Writes the whole state into a file.
    Backup {
        /// The file, as an absolute path.
        file: std::path::PathBuf,
        /// Session files too: whoever has them is the accounts.
        with_sessions: bool,
        /// Who asks.
        by: String,
    },
    /// Makes a state from a backup and what is known now.
    Restore {
        /// The file, as an absolute path.
        file: std::path::PathBuf,
        /// Session files too, where none is there.
        with_sessions: bool,
        /// Who asks.
        by: String,
    },
}

/// What a row of a report is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportBy {
    /// A campaign.
    Campaign,
    /// An account.
    Account,
    /// An owner of tidings.yaml.
    Owner,
    /// A template of a campaign.
    Template,
}

/// What an operator says of an uncertain send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResolveAs {
    /// It arrived.
    Sent,
    /// It did not: it may be sent again, under the same key.
    Retry,
}

impl OperatorCommand {
    /// Whether it writes anything down.
    pub fn changes(&self) -> bool {
        match self {
            OperatorCommand::OptOutList
            | OperatorCommand::Explain { .. }
            | OperatorCommand::Audit { .. }
            | OperatorCommand::SendTest { .. }
            | OperatorCommand::TestState { .. }
            | OperatorCommand::Report { .. } => false,
            OperatorCommand::OptOutAdd { .. }
            | OperatorCommand::OptOutRemove { .. }
            | OperatorCommand::Forget { .. }
            | OperatorCommand::Resolve { .. }
            | OperatorCommand::Backup { .. } => true,
            // It makes the new state beside the one that is there.
            OperatorCommand::Restore { .. } => false,
        }
    }
}
