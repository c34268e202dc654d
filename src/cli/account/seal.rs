//! `tidings account encrypt` and `tidings account decrypt`

use clap::Args;

use super::{block_on, named};
use crate::cli::{DONE, Ended, FAILED, Failure, Global, output};
use crate::control::Workspace;
use crate::status::plain;
use crate::telegram::{self, CallError, Sealed};

/// `tidings account encrypt` and `tidings account decrypt`
#[derive(Debug, Args)]
pub struct SealArgs {
    /// The accounts; all where none is named
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}

pub(super) fn encrypt(global: &Global, args: &SealArgs) -> Ended {
    let workspace = global.workspace()?;
    let names = chosen(&workspace, args)?;
    workspace
        .vault
        .make()
        .map_err(|error| Failure::new(plain(&error.to_string())))?;
    let all_well = each(&workspace, &names, "encrypted", async |name| {
        let path = workspace.plain_session_path(name);
        telegram::encrypt(&path, &workspace.vault).await
    })?;
    output::complain(&format!(
        "Keep {} and the passphrase: without both these accounts have to be logged in anew. The daemon needs the \
         passphrase too (TIDINGS_PASSPHRASE_FILE). What the plain files held may still stand on the disk, and in backups.",
        workspace.vault.key_file().display()
    ));
    Ok(if all_well { DONE } else { FAILED })
}

pub(super) fn decrypt(global: &Global, args: &SealArgs) -> Ended {
    let workspace = global.workspace()?;
    let names = chosen(&workspace, args)?;
    if workspace.has_sealed_sessions() {
        workspace
            .vault
            .unlock()
            .map_err(|error| Failure::new(plain(&error.to_string())))?;
    }
    let all_well = each(&workspace, &names, "decrypted", async |name| {
        let path = workspace.plain_session_path(name);
        telegram::decrypt(&path, &workspace.vault).await
    })?;
    // Without names: nothing is to be encrypted any more, the sessions of later logins neither.
    if all_well && args.names.is_empty() && !workspace.has_sealed_files() {
        let key = workspace.vault.key_file();
        match std::fs::remove_file(&key) {
            Ok(()) => output::complain(&format!(
                "{} is removed: no session is encrypted any more. Copies of encrypted files made earlier need a copy of it.",
                key.display()
            )),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(Failure::new(format!("{}: {error}", key.display())));
            }
        }
    }
    Ok(if all_well { DONE } else { FAILED })
}

/// The accounts that are named, all of which must have a session file; all there are where none is.
fn chosen(workspace: &Workspace, args: &SealArgs) -> Result<Vec<String>, Failure> {
    let there = workspace.session_names().unwrap_or_default();
    if args.names.is_empty() {
        return match there.is_empty() {
            true => Err(Failure::new(format!(
                "there is no session file in {}",
                workspace.sessions_dir.display()
            ))),
            false => Ok(there),
        };
    }
    for name in &args.names {
        named(name)?;
        if !there.contains(name) {
            return Err(Failure::usage(format!("`{name}` has no session file")));
        }
    }
    Ok(args.names.clone())
}

/// Does it to one account after the other; one that fails does not keep the others. Whether all went well.
fn each(
    workspace: &Workspace,
    names: &[String],
    done: &str,
    work: impl AsyncFn(&str) -> Result<Sealed, CallError>,
) -> Result<bool, Failure> {
    let mut all_well = true;
    for name in names {
        match block_on(work(name))? {
            Ok(how) => {
                let path = workspace.session_path(name);
                let how = match how {
                    Sealed::Now => format!("is {done}"),
                    Sealed::Before => format!("was {done} already"),
                };
                output::line(&format!("`{name}` {how}: {}", path.display()))?;
            }
            Err(error) => {
                all_well = false;
                output::complain(&plain(&format!("`{name}` is not {done}: {error}")));
            }
        }
    }
    Ok(all_well)
}
