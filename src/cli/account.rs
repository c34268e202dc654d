//! `tidings account`

mod seal;

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{DONE, Ended, FAILED, Failure, Global, output};
use crate::accounts::{Asker, Checked, LoggedIn, masked};
use crate::control::{self, Workspace};
use crate::model::{AccountState, Command};
use crate::status::{AccountsDocument, FORMAT_VERSION, accounts_table, plain};
use crate::telegram::{Me, Secret};

/// `tidings account`
#[derive(Debug, Subcommand)]
pub enum AccountVerb {
    /// Show the accounts, what each can do now, and what it needs
    List(ListArgs),
    /// Log an account in: asks for the code and the password of two-step verification
    Login(LoginArgs),
    /// Take over the session file of a Telethon program
    Import(ImportArgs),
    /// Ask Telegram who an account is
    Check(CheckArgs),
    /// Log an account out and delete its session file
    Remove(RemoveArgs),
    /// Encrypt session files by a passphrase (TIDINGS_PASSPHRASE_FILE, TIDINGS_PASSPHRASE, or asked for)
    Encrypt(seal::SealArgs),
    /// Decrypt session files again
    Decrypt(seal::SealArgs),
}

/// `tidings account list`
#[derive(Debug, Args)]
pub struct ListArgs {
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub output: Form,
}

/// `tidings account login`
#[derive(Debug, Args)]
pub struct LoginArgs {
    /// What the account is called here; its session is sessions/NAME.session
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Its phone with the country, such as +15550100123
    #[arg(long, value_name = "PHONE")]
    pub phone: Option<String>,
}

/// `tidings account import`
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// A Telethon `.session` file; it stays as it is
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// What the account is called here
    #[arg(long, value_name = "NAME")]
    pub name: String,
}

/// `tidings account check`
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The account
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The form
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub output: Form,
}

/// `tidings account remove`
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// The account
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Even where it is not known what became of some of its messages, or where Telegram cannot be told
    #[arg(long)]
    pub force: bool,
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people
    Table,
    /// For programs
    Json,
    /// The same as YAML
    Yaml,
}

pub(super) fn run(global: &Global, verb: &AccountVerb) -> Ended {
    match verb {
        AccountVerb::List(args) => list(global, args),
        AccountVerb::Login(args) => login(global, args),
        AccountVerb::Import(args) => import(global, args),
        AccountVerb::Check(args) => check(global, args),
        AccountVerb::Remove(args) => remove(global, args),
        AccountVerb::Encrypt(args) => seal::encrypt(global, args),
        AccountVerb::Decrypt(args) => seal::decrypt(global, args),
    }
}

fn list(global: &Global, args: &ListArgs) -> Ended {
    let workspace = global.workspace()?;
    let body = super::document(&workspace, Command::Accounts)?;
    match args.output {
        Form::Json => output::json(&body)?,
        Form::Yaml => output::yaml(&body)?,
        Form::Table => {
            let accounts: AccountsDocument = super::read_back(body)?;
            output::text(&accounts_table(&accounts.accounts, &output::look(true)))?;
        }
    }
    Ok(DONE)
}

/// The account's name, where it can be one.
fn named(name: &str) -> Result<(), Failure> {
    if crate::spec::is_account_name(name) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{} cannot name an account: at most 63 Latin letters, digits, `.`, `_` and `-` are expected, beginning with a \
         letter or digit",
        plain(name)
    )))
}

fn login(global: &Global, args: &LoginArgs) -> Ended {
    named(&args.name)?;
    let workspace = global.workspace()?;
    let config = control::account_config(&workspace, &args.name)
        .map_err(|error| Failure::from_account(&workspace, error))?;
    let mut asker = Typed;
    let phone = match &args.phone {
        Some(phone) => phone.clone(),
        None if output::is_interactive() => asker
            .code("Phone with its country, such as +15550100123: ")
            .unwrap_or_default(),
        None => return Err(Failure::usage("name the account's phone with --phone")),
    };
    let phone = phone_of(&phone)?;
    let ended = block_on(crate::accounts::login(config, &phone, &mut asker))?
        .map_err(|error| Failure::new(plain(&error.to_string())))?;
    let said = match ended {
        LoggedIn::Now(me) => format!("`{}` is logged in as {}.", args.name, who(&me)),
        LoggedIn::Before(me) => format!(
            "`{}` is logged in already, as {}; nothing was changed.",
            args.name,
            who(&me)
        ),
    };
    output::line(&plain(&said))?;
    Ok(DONE)
}

/// A phone as Telegram takes it; what people put between the digits goes.
fn phone_of(text: &str) -> Result<String, Failure> {
    let phone: String = text
        .trim()
        .chars()
        .filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '.' | '\u{a0}'))
        .collect();
    let digits = phone.strip_prefix('+').unwrap_or(&phone);
    if (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) {
        Ok(phone)
    } else {
        Err(Failure::usage(format!(
            "{} is no phone number: a + and 7 to 15 digits are expected",
            plain(text)
        )))
    }
}

fn who(me: &Me) -> String {
    let mut words = me.first_name.clone().unwrap_or_default();
    if let Some(username) = &me.username {
        words.push_str(&format!(" (@{username})"));
    }
    let phone = me
        .phone
        .as_deref()
        .map_or_else(String::new, |phone| format!(", phone {}", masked(phone)));
    format!("{}, id {}{phone}", words.trim(), me.id.0)
}

fn import(global: &Global, args: &ImportArgs) -> Ended {
    named(&args.name)?;
    let workspace = global.workspace()?;
    let path = workspace.session_path(&args.name);
    let path = block_on(crate::accounts::import(&args.file, &path, &workspace.vault))?
        .map_err(|error| Failure::new(plain(&error.to_string())))?;
    output::line(&format!(
        "{} is made of it. `tidings account check {}` asks Telegram who it is.",
        path.display(),
        args.name
    ))?;
    output::complain(
        "Use the other file no more: a session that two programs use at once gets lost (AUTH_KEY_DUPLICATED).",
    );
    Ok(DONE)
}

fn check(global: &Global, args: &CheckArgs) -> Ended {
    named(&args.name)?;
    let workspace = global.workspace()?;
    let body = super::document(
        &workspace,
        Command::AccountCheck {
            name: args.name.clone(),
        },
    )?;
    let checked: Checked = super::read_back(body)?;
    let ready = checked.state == AccountState::Ready;
    let document = serde_json::json!({"format_version": FORMAT_VERSION, "account": checked});
    match args.output {
        Form::Json => output::json(&document)?,
        Form::Yaml => output::yaml(&document)?,
        Form::Table => {
            let mut words = format!("{}: {}", checked.name, checked.state);
            for part in [
                checked.first_name,
                checked.username.map(|name| format!("@{name}")),
                checked.id.map(|id| format!("id {id}")),
                checked.phone.map(|phone| format!("phone {phone}")),
                checked
                    .premium
                    .filter(|premium| *premium)
                    .map(|_| "Telegram Premium".to_owned()),
            ]
            .into_iter()
            .flatten()
            {
                words.push_str(", ");
                words.push_str(&part);
            }
            if !checked.message.is_empty() {
                words.push_str(&format!(". {}", checked.message));
            }
            output::line(&plain(&words))?;
        }
    }
    Ok(if ready { DONE } else { FAILED })
}

fn remove(global: &Global, args: &RemoveArgs) -> Ended {
    named(&args.name)?;
    let workspace = global.workspace()?;
    if !args.yes {
        if !output::is_interactive() {
            return Err(Failure::usage(format!(
                "this logs `{}` out and deletes its session file; say --yes",
                args.name
            )));
        }
        let question = format!("Log `{}` out and delete its session file?", args.name);
        if !output::confirmed(&question) {
            output::complain("Nothing was removed.");
            return Ok(FAILED);
        }
    }
    super::order(
        &workspace,
        Command::AccountRemove {
            name: args.name.clone(),
            force: args.force,
            by: super::operator(),
        },
    )
}

/// Runs something on this thread to its end.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(error.to_string()))?;
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    Ok(done)
}

impl Failure {
    fn from_account(workspace: &Workspace, error: control::AccountConfigError) -> Failure {
        match error {
            control::AccountConfigError::Config(diagnostics) => {
                control::CoreError::Config(diagnostics).into()
            }
            control::AccountConfigError::NotConfigured(what) => {
                Failure::new(format!("{what} (workspace {})", workspace.root.display()))
            }
        }
    }
}

/// Who may be asked for the passphrase of session files: whoever sits at the terminal, if anybody does.
pub(super) fn asker() -> Option<crate::telegram::Ask> {
    fn ask(question: &str) -> Option<Secret> {
        Typed.password(question)
    }
    (io::stdin().is_terminal() && io::stderr().is_terminal()).then_some(ask as _)
}

/// Standard input: a terminal is asked, anything else is read line by line.
struct Typed;

impl Typed {
    fn ask(question: &str) {
        let mut err = io::stderr().lock();
        let _ = write!(err, "{question}");
        let _ = err.flush();
    }

    /// A line without its end; `None` at the end of the input.
    fn line() -> Option<String> {
        let mut line = String::new();
        match io::stdin().lock().read_line(&mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(line.trim_end_matches(['\n', '\r']).to_owned()),
        }
    }
}

impl Asker for Typed {
    fn tell(&mut self, line: &str) {
        output::complain(&plain(line));
    }

    fn code(&mut self, question: &str) -> Option<String> {
        if io::stdin().is_terminal() {
            Typed::ask(&plain_question(question));
        }
        Typed::line()
    }

    fn password(&mut self, question: &str) -> Option<Secret> {
        if !io::stdin().is_terminal() {
            return Typed::line().map(Secret::new);
        }
        Typed::ask(&plain_question(question));
        let typed = console::Term::stderr().read_secure_line().ok()?;
        Some(Secret::new(typed))
    }
}

/// A question without anything that a terminal would act upon; its last blank stays.
fn plain_question(question: &str) -> String {
    format!("{} ", plain(question).trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_is_taken_as_people_write_it() {
        assert_eq!(phone_of("+1 (555) 010-0123").unwrap(), "+15550100123");
        assert_eq!(phone_of("15550100123").unwrap(), "15550100123");
        for text in ["", "+12", "me", "+1555o100"] {
            assert!(phone_of(text).is_err(), "{text}");
        }
    }
}
