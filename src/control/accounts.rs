//! `account check` and `account remove`, the same with a daemon and without.

use std::sync::Arc;

use super::core::Open;
use super::{Clock, Core, CoreError, RequestError, Workspace};
use crate::accounts::{Checked, checked, delete_session, is_logged_out};
use crate::desired::{Desired, History};
use crate::model::{AccountName, AccountState, Event, Reply};
use crate::observed::Observed;
use crate::spec::Diagnostic;
use crate::spec::diagnostic::no_such;
use crate::store::Durability;
use crate::telegram::{
    AccountClient, AccountConfig, CallError, GrammersTelegram, Secret, Telegram,
};

/// Why an account cannot be opened at all.
#[derive(Debug)]
pub enum AccountConfigError {
    /// tidings.yaml is invalid.
    Config(Vec<Diagnostic>),
    /// api_id or api_hash are missing; in words.
    NotConfigured(String),
}

/// What it takes to open an account of a workspace.
///
/// # Errors
/// [`AccountConfigError`].
pub fn account_config(
    workspace: &Workspace,
    name: &str,
) -> Result<AccountConfig, AccountConfigError> {
    let resolution = workspace.resolve(&History::default(), None);
    if !resolution.engine_valid {
        return Err(AccountConfigError::Config(resolution.diagnostics));
    }
    let desired = &resolution.desired;
    config_of(workspace, desired, name)
        .ok_or_else(|| AccountConfigError::NotConfigured(desired.engine.not_configured()))
}

pub(super) fn config_of(
    workspace: &Workspace,
    desired: &Desired,
    name: &str,
) -> Option<AccountConfig> {
    let engine = &desired.engine;
    let (Some(api_id), Some(api_hash)) = (engine.api_id, &engine.api_hash) else {
        return None;
    };
    let mut config = AccountConfig::new(
        name.into(),
        workspace.session_path(name),
        api_id,
        Secret::new(api_hash.expose()),
    );
    config.vault = workspace.vault.clone();
    config.proxy = engine
        .accounts
        .get(name)
        .and_then(|account| account.proxy.as_ref())
        .map(|proxy| Secret::new(proxy.expose()));
    Some(config)
}

fn refused(message: String) -> Reply {
    Reply::Refused {
        message,
        usage: false,
    }
}

/// The answer to `account check`.
pub(super) fn shown(checked: &Checked) -> Reply {
    match serde_json::to_value(checked) {
        Ok(body) => Reply::Document { body },
        Err(error) => refused(format!("the answer cannot be written: {error}")),
    }
}

/// Asks Telegram who an account is, by a connection of its own.
pub(super) async fn check_alone(config: AccountConfig, name: &str) -> Reply {
    let answer = match GrammersTelegram.open(config).await {
        Ok(client) => {
            let answer = client.me().await;
            client.close();
            answer
        }
        Err(error) => Err(error),
    };
    shown(&checked(name, answer))
}

/// Whether an account may be checked or removed at all: it needs a session file.
pub(super) fn without_session(
    workspace: &Workspace,
    desired: &Desired,
    name: &str,
) -> Option<Reply> {
    if std::fs::symlink_metadata(workspace.session_path(name)).is_ok() {
        return None;
    }
    if desired.engine.accounts.contains_key(name) {
        return Some(refused(format!(
            "`{name}` has no session file; `tidings account login {name} --phone …` makes one"
        )));
    }
    let known = desired.engine.accounts.keys();
    Some(Reply::Refused {
        message: no_such("account", name, known.map(AsRef::as_ref)),
        usage: true,
    })
}

/// Why an account cannot be removed now: what became of some of its messages is not known.
pub(super) fn in_hand(observed: &Observed, name: &str) -> Option<Reply> {
    let open = observed
        .in_flight
        .values()
        .filter(|flight| flight.intent.account.as_ref() == name)
        .count();
    (open > 0).then(|| {
        refused(format!(
            "it is not known yet what became of {open} of `{name}`'s messages, and only this account can find out: wait \
             until `tidings status` shows nothing in flight, or say --force and decide on them by `tidings resolve`"
        ))
    })
}

/// Logs an account out and deletes its files. What stands of it in the state stays.
pub(super) async fn log_out_and_delete(
    client: Result<Arc<dyn AccountClient>, CallError>,
    workspace: &Workspace,
    name: &str,
    force: bool,
) -> Reply {
    if let Some(other) = same_session(workspace, name).await {
        if let Ok(client) = &client {
            client.close();
        }
        let path = workspace.session_path(name);
        return match delete_session(&path) {
            Ok(()) => Reply::Done {
                message: format!(
                    "`{name}`'s session file is deleted. It was not logged out: `{other}` has the same session."
                ),
            },
            Err(error) => refused(format!("{} cannot be deleted: {error}", path.display())),
        };
    }
    let out = match client {
        Ok(client) => {
            let answer = client.log_out().await;
            client.close();
            answer
        }
        Err(error) => Err(error),
    };
    let told = match &out {
        Ok(()) => "is logged out, and its session file is deleted.".to_owned(),
        Err(error) if is_logged_out(error) => {
            "was logged out already; its session file is deleted.".to_owned()
        }
        Err(error) if force => format!(
            "was not logged out ({error}); its session file is deleted. End the session by hand: Telegram → Settings → \
             Devices."
        ),
        Err(error) => {
            return refused(format!(
                "`{name}` cannot be logged out: {error}. Nothing was deleted; with --force its session file is deleted \
                 nonetheless, and the session has to be ended by hand (Telegram → Settings → Devices)"
            ));
        }
    };
    let path = workspace.session_path(name);
    match delete_session(&path) {
        Ok(()) => Reply::Done {
            message: format!("`{name}` {told}"),
        },
        Err(error) => refused(format!(
            "`{name}` is logged out, but {} cannot be deleted: {error}",
            path.display()
        )),
    }
}

/// Why nobody can be told of a log-out, where nothing says more.
pub(super) fn unusable() -> CallError {
    CallError::Session("its session file cannot be used".to_owned())
}

/// Another name whose file holds the same key: logging one out would log both out.
async fn same_session(workspace: &Workspace, name: &str) -> Option<String> {
    let mut files: Vec<(String, std::path::PathBuf)> = workspace
        .session_names()?
        .into_iter()
        .filter(|other| other != name)
        .map(|other| (other.clone(), workspace.session_path(&other)))
        .collect();
    // The one that leaves comes last, so that it is the second of a pair.
    files.push((name.to_owned(), workspace.session_path(name)));
    let found = crate::accounts::twins(&files, &workspace.vault).await;
    found
        .into_iter()
        .find(|twins| twins.second == name && twins.same_key)
        .map(|twins| twins.first)
}

/// The event of a removal.
pub(super) fn removed(name: &AccountName, by: &str) -> Event {
    Event::AccountChanged {
        account: name.clone(),
        state: AccountState::Missing,
        message: format!("It was removed by {by}. {}", AccountState::Missing.remedy()),
    }
}

/// `account check` without a daemon.
pub(super) async fn check_offline(
    workspace: &Workspace,
    name: &str,
) -> Result<Reply, RequestError> {
    let resolution = workspace.resolve(&History::default(), None);
    if !resolution.engine_valid {
        return Err(CoreError::Config(resolution.diagnostics).into());
    }
    if let Some(reply) = without_session(workspace, &resolution.desired, name) {
        return Ok(reply);
    }
    Ok(match config_of(workspace, &resolution.desired, name) {
        Some(config) => check_alone(config, name).await,
        None => shown(&not_configured(&resolution.desired, name)),
    })
}

/// `account check` without api_id and api_hash.
pub(super) fn not_configured(desired: &Desired, name: &str) -> Checked {
    Checked {
        name: name.to_owned(),
        state: AccountState::NotConfigured,
        id: None,
        first_name: None,
        username: None,
        phone: None,
        premium: None,
        message: desired.engine.not_configured(),
    }
}

/// `account remove` without a daemon: the state is held meanwhile, so that none starts with the account.
pub(super) async fn remove_offline(
    workspace: &Workspace,
    name: &str,
    force: bool,
    by: &str,
) -> Result<Reply, RequestError> {
    let open = |how| {
        Core::open(
            workspace.clone(),
            Clock::default(),
            how,
            super::STATE_WAIT_AT_ONCE,
        )
    };
    // A removal is no reason to make a state.
    let mut core = open(Open::Read)?;
    if core.state_id().is_some() {
        core.close().await?;
        core = open(Open::Write)?;
    }
    if !core.config_valid {
        return Err(CoreError::Config(core.diagnostics).into());
    }
    if let Some(reply) = without_session(workspace, &core.desired, name) {
        core.close().await?;
        return Ok(reply);
    }
    if !force && let Some(reply) = in_hand(&core.observed, name) {
        core.close().await?;
        return Ok(reply);
    }
    let reply = match config_of(workspace, &core.desired, name) {
        None if !force => refused(format!(
            "`{name}` cannot be logged out without an api_id and an api_hash. {}",
            AccountState::NotConfigured.remedy()
        )),
        config => {
            let client = match config {
                Some(config) => GrammersTelegram.open(config).await,
                None => Err(unusable()),
            };
            log_out_and_delete(client, workspace, name, force).await
        }
    };
    if matches!(reply, Reply::Done { .. }) && core.state_id().is_some() {
        let account: AccountName = name.into();
        core.record(vec![removed(&account, by)], Durability::Now)?;
    }
    core.close().await?;
    Ok(reply)
}
