//! The command line: one file a verb.
//!
//! Results go to standard output, everything else to standard error. A failure is one human sentence and an exit code
//! of CONTRACT section 4: 0 done, 1 failed, 2 `plan --detailed-exitcode` with changes, 4 something waits for a person,
//! 64 usage, 78 an invalid configuration.

mod account;
mod approve;
mod args;
mod audience;
mod audit;
mod backup;
mod columns;
mod completions;
pub mod demo;
mod events;
mod explain;
mod forget;
mod init;
mod logging;
mod man;
mod optout;
mod output;
mod plan;
mod points;
mod reconcile;
mod render;
mod replies;
mod report;
mod resolve;
mod retry;
mod run;
mod sandbox;
mod schema;
mod send_test;
mod status;
mod suspend;
mod test;
mod validate;
mod watch;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::control::{self, RequestError, Workspace, WorkspaceError, WorkspaceOptions};
use crate::model::{Command, Reply};

/// Done.
pub const DONE: u8 = 0;
/// It did not work.
pub const FAILED: u8 = 1;
/// `plan --detailed-exitcode`: something would happen.
pub const CHANGES: u8 = 2;
/// Something is invalid, stalled, or waits for a person.
pub const NEEDS_PERSON: u8 = 4;
/// The command line makes no sense (EX_USAGE of sysexits.h).
pub const USAGE: u8 = 64;
/// The configuration is invalid (EX_CONFIG of sysexits.h).
pub const CONFIG: u8 = 78;

/// Why a command ends early: what to say on standard error, and the exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    /// One sentence for people; empty where there is nothing to say.
    pub message: String,
}

impl Failure {
    /// It did not work.
    pub fn new(message: impl Into<String>) -> Failure {
        Failure {
            code: FAILED,
            message: message.into(),
        }
    }

    /// The command line makes no sense.
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure {
            code: USAGE,
            message: message.into(),
        }
    }

    /// The configuration is invalid.
    pub fn config(message: impl Into<String>) -> Failure {
        Failure {
            code: CONFIG,
            message: message.into(),
        }
    }
}

impl From<WorkspaceError> for Failure {
    fn from(error: WorkspaceError) -> Failure {
        let code = match &error {
            WorkspaceError::NoSuchFolder(_) => USAGE,
            WorkspaceError::Env { .. } => CONFIG,
            WorkspaceError::NotFound(_) | WorkspaceError::Current(_) => FAILED,
        };
        Failure {
            code,
            message: error.to_string(),
        }
    }
}

impl From<control::CoreError> for Failure {
    fn from(error: control::CoreError) -> Failure {
        match error {
            control::CoreError::Config(diagnostics) => {
                let mut message = "tidings.yaml is invalid".to_owned();
                for diagnostic in diagnostics.iter().filter(|d| d.is_error()) {
                    message.push_str(&format!("\n{diagnostic}"));
                }
                Failure::config(message)
            }
            other => Failure::new(other.to_string()),
        }
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Failure {
        match error {
            RequestError::Core(error) => error.into(),
            other @ (RequestError::Daemon(_) | RequestError::Unanswered) => {
                Failure::new(other.to_string())
            }
        }
    }
}

/// What a verb answers: the exit code.
pub type Ended = Result<u8, Failure>;

/// `-C`, and where things are. All commands take them.
#[derive(Debug, Clone, Default, Args)]
pub struct Global {
    /// The workspace; without it the nearest folder upwards that holds tidings.yaml or campaigns/
    #[arg(
        short = 'C',
        long,
        global = true,
        value_name = "DIR",
        help_heading = "Global options"
    )]
    pub directory: Option<PathBuf>,
    /// Another tidings.yaml [env: TIDINGS_CONFIG]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help_heading = "Global options"
    )]
    pub config: Option<PathBuf>,
    /// Where the state is, instead of state/ [env: TIDINGS_STATE_DIR]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        help_heading = "Global options"
    )]
    pub state_dir: Option<PathBuf>,
    /// Where the sessions are, instead of sessions/ [env: TIDINGS_SESSIONS_DIR]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        help_heading = "Global options"
    )]
    pub sessions_dir: Option<PathBuf>,
    /// The form of logs on standard error; TIDINGS_LOG sets how much (such as `info`, `tidings=debug`)
    #[arg(
        long,
        global = true,
        value_name = "FORM",
        default_value = "text",
        help_heading = "Global options"
    )]
    pub log_format: LogFormat,
}

/// The form of logs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

impl Global {
    /// The flags, or else the variables. An empty variable counts as unset.
    pub fn options(&self) -> WorkspaceOptions {
        let or_env = |flag: &Option<PathBuf>, name: &str| {
            flag.clone().or_else(|| {
                std::env::var_os(name)
                    .filter(|value| !value.is_empty())
                    .map(PathBuf::from)
            })
        };
        WorkspaceOptions {
            directory: self.directory.clone(),
            config: or_env(&self.config, "TIDINGS_CONFIG"),
            state_dir: or_env(&self.state_dir, "TIDINGS_STATE_DIR"),
            sessions_dir: or_env(&self.sessions_dir, "TIDINGS_SESSIONS_DIR"),
        }
    }

    /// Finds the workspace.
    ///
    /// # Errors
    /// Where there is none.
    pub fn workspace(&self) -> Result<Workspace, Failure> {
        let mut workspace = Workspace::find(&self.options())?;
        workspace.vault = workspace.vault.asking(account::asker());
        Ok(workspace)
    }
}

/// Shown under the list of commands.
const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed, 2 plan --detailed-exitcode with changes, 4 something waits for a person, 64 usage, \
78 the configuration is invalid.";

/// Declarative Telegram campaigns: YAML specs in a folder, reconciled by a daemon that never messages anyone twice.
#[derive(Debug, Parser)]
#[command(
    name = "tidings",
    bin_name = "tidings",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = EXIT_CODES
)]
pub struct Cli {
    /// Where things are.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make a new workspace that passes `validate`
    Init(init::InitArgs),
    /// Run the daemon; with --once do all that is due and end
    Run(run::RunArgs),
    /// Show the whole engine against a loopback Telegram; needs no account and no network
    Demo(demo::DemoArgs),
    /// Run a loopback Telegram (real MTProto) and an OpenAI-compatible endpoint
    Sandbox(crate::sandbox::SandboxArgs),
    /// Check every file, offline; all errors in one pass
    Validate(validate::ValidateArgs),
    /// Run the specs' own `tests:`, offline
    Test(test::TestArgs),
    /// Show the texts that a person would get
    Render(render::RenderArgs),
    /// Show what would happen
    Plan(plan::PlanArgs),
    /// Show how far everything is, what it waits for and what needs you
    Status(status::StatusArgs),
    /// Look a campaign's sources up now, and wait until that is done
    Reconcile(reconcile::ReconcileArgs),
    /// Show what happened
    Events(events::EventsArgs),
    /// Show and take over conversations; approve drafted answers
    Replies(replies::RepliesArgs),
    /// Hold a campaign beside its own `paused`
    Suspend(suspend::SuspendArgs),
    /// End a hold; also clears `Stalled` and tripped guardrails
    Resume(suspend::ResumeArgs),
    /// Approve a canary, a large run, or a new state; says first what is approved
    Approve(approve::ApproveArgs),
    /// Show and keep the list of those who are never written to
    #[command(subcommand)]
    Optout(optout::OptoutVerb),
    /// Send every variant and step to a test recipient
    SendTest(send_test::SendTestArgs),
    /// Say why a person did or did not get a message
    Explain(explain::ExplainArgs),
    /// Show who changed what
    Audit(audit::AuditArgs),
    /// Show what came of the messages of a time
    Report(report::ReportArgs),
    /// Say what became of a message that is `uncertain`
    Resolve(resolve::ResolveArgs),
    /// Write the whole state into a file
    Backup(backup::BackupArgs),
    /// Make the state from a backup, united with what is known now
    Restore(backup::RestoreArgs),
    /// Suppress a person and erase what is known of him
    Forget(forget::ForgetArgs),
    /// Give a second chance to whoever ended with an outcome by which nothing was delivered
    Retry(retry::RetryArgs),
    /// Show the accounts
    #[command(subcommand)]
    Account(account::AccountVerb),
    /// Show who was found, and write it into a file with what became of each person
    #[command(subcommand)]
    Audience(audience::AudienceVerb),
    /// Print the JSON Schema of campaigns or of tidings.yaml
    Schema(schema::SchemaArgs),
    /// Print completions for a shell
    Completions(completions::CompletionsArgs),
    /// Print the manual page
    Man(man::ManArgs),
}

/// The whole command: reads the arguments, does it, says what went wrong.
pub fn main() -> ExitCode {
    ExitCode::from(main_with(std::env::args_os()))
}

/// As [`main`], with the arguments given.
pub fn main_with(args: impl IntoIterator<Item = OsString>) -> u8 {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and the version go to standard output and are what was asked for.
            let code = if error.use_stderr() { USAGE } else { DONE };
            let _ = error.print();
            return code;
        }
    };
    if let Err(failure) = logging::start(&cli) {
        return say(&failure);
    }
    if let Err(message) = points::set() {
        return say(&Failure::usage(message));
    }
    match dispatch(cli) {
        Ok(code) => code,
        Err(failure) => say(&failure),
    }
}

fn say(failure: &Failure) -> u8 {
    if !failure.message.is_empty() {
        output::complain(&format!("tidings: {}", failure.message));
    }
    failure.code
}

fn dispatch(cli: Cli) -> Ended {
    let global = &cli.global;
    match cli.verb {
        Verb::Init(args) => init::run(global, &args),
        Verb::Run(args) => run::run(global, &args),
        Verb::Demo(args) => demo::run(global, &args),
        Verb::Sandbox(args) => sandbox::run(args),
        Verb::Validate(args) => validate::run(global, &args),
        Verb::Test(args) => test::run(global, &args),
        Verb::Render(args) => render::run(global, &args),
        Verb::Plan(args) => plan::run(global, &args),
        Verb::Status(args) => status::run(global, &args),
        Verb::Reconcile(args) => reconcile::run(global, &args),
        Verb::Events(args) => events::run(global, &args),
        Verb::Replies(args) => replies::run(global, &args),
        Verb::Suspend(args) => suspend::suspend(global, &args),
        Verb::Resume(args) => suspend::resume(global, &args),
        Verb::Approve(args) => approve::run(global, &args),
        Verb::Optout(verb) => optout::run(global, &verb),
        Verb::SendTest(args) => send_test::run(global, &args),
        Verb::Explain(args) => explain::run(global, &args),
        Verb::Audit(args) => audit::run(global, &args),
        Verb::Report(args) => report::run(global, &args),
        Verb::Resolve(args) => resolve::run(global, &args),
        Verb::Backup(args) => backup::backup(global, &args),
        Verb::Restore(args) => backup::restore(global, &args),
        Verb::Forget(args) => forget::run(global, &args),
        Verb::Account(verb) => account::run(global, &verb),
        Verb::Audience(verb) => audience::run(global, &verb),
        Verb::Schema(args) => schema::run(global, &args),
        Verb::Completions(args) => completions::run(&args),
        Verb::Man(args) => man::run(&args),
        Verb::Retry(args) => retry::run(global, &args),
    }
}

/// The command's definition, for completions and the manual.
pub fn definition() -> clap::Command {
    Cli::command()
}

/// Asks the engine for a document.
fn document(workspace: &Workspace, command: Command) -> Result<serde_json::Value, Failure> {
    read_text(&written(workspace, command)?)
}

/// The same as the text that it came as.
fn written(workspace: &Workspace, command: Command) -> Result<String, Failure> {
    match control::request_written(workspace, command)? {
        Reply::Written { json } => Ok(json),
        Reply::Document { body } => Ok(body.to_string()),
        Reply::Done { message } => Err(Failure::new(message)),
        Reply::Refused { message, usage } => Err(refused(message, usage)),
    }
}

/// Asks the engine to do something, and prints its sentence.
fn order(workspace: &Workspace, command: Command) -> Ended {
    match control::request(workspace, command)? {
        Reply::Done { message } => {
            output::line(&crate::status::plain(&message))?;
            Ok(DONE)
        }
        Reply::Document { .. } | Reply::Written { .. } => Ok(DONE),
        Reply::Refused { message, usage } => Err(refused(message, usage)),
    }
}

fn refused(message: String, usage: bool) -> Failure {
    let message = crate::status::plain(&message);
    if usage {
        Failure::usage(message)
    } else {
        Failure::new(message)
    }
}

/// A document of ours, read back.
fn read_back<T: serde::de::DeserializeOwned>(body: serde_json::Value) -> Result<T, Failure> {
    serde_json::from_value(body).map_err(unreadable)
}

/// The same, of a text.
fn read_text<T: serde::de::DeserializeOwned>(json: &str) -> Result<T, Failure> {
    serde_json::from_str(json).map_err(unreadable)
}

fn unreadable(error: serde_json::Error) -> Failure {
    Failure::new(format!(
        "the answer cannot be read ({error}); is the daemon another version of Tidings?"
    ))
}

/// Who gives an order, for the events.
fn operator() -> String {
    ["SUDO_USER", "USER", "LOGNAME"]
        .iter()
        .find_map(|name| {
            std::env::var(name)
                .ok()
                .filter(|value| !value.trim().is_empty())
        })
        .map_or_else(|| "operator".to_owned(), |name| crate::status::plain(&name))
}
