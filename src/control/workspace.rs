//! The folder that a command works on.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::desired::{
    Desired, EngineFile, Environment, History, Input, KeptVersions, Memo, Resolution, resolve,
};
use crate::telegram::{PASSPHRASE, PASSPHRASE_FILE, Secret, Vault, is_sealed, sealed_path};
use crate::watch;

/// What the command line and the environment say.
#[derive(Debug, Clone, Default)]
pub struct WorkspaceOptions {
    /// `-C`.
    pub directory: Option<PathBuf>,
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--state-dir`.
    pub state_dir: Option<PathBuf>,
    /// `--sessions-dir`.
    pub sessions_dir: Option<PathBuf>,
}

/// Why there is no workspace.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// Neither here nor above.
    #[error(
        "no workspace: neither {} nor a folder above it holds `tidings.yaml` or `campaigns/`. \
         Name one with `-C DIR`, or make one with `tidings init`.",
        .0.display()
    )]
    NotFound(PathBuf),
    /// `-C` names nothing.
    #[error("there is no folder {}", .0.display())]
    NoSuchFolder(PathBuf),
    /// The current folder is gone.
    #[error("the current folder cannot be read: {0}")]
    Current(std::io::Error),
    /// `.env` cannot be read.
    #[error("{}: {reason}", path.display())]
    Env {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// A workspace folder, and where its parts are.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// The folder.
    pub root: PathBuf,
    /// `state/`, or where `--state-dir` says.
    pub state_dir: PathBuf,
    /// `sessions/`, or where `--sessions-dir` says.
    pub sessions_dir: PathBuf,
    /// `tidings.yaml`, or what `--config` names.
    pub config_path: PathBuf,
    /// Real variables over those of `.env`.
    pub env: Environment,
    /// What opens encrypted session files.
    pub vault: Vault,
    /// `--config` named it: then it must be there.
    config_named: bool,
    files: Arc<watch::Workspace>,
    /// What the files came to when they were last looked at.
    memo: Arc<Mutex<Memo>>,
}

/// The largest `tidings.yaml` (CONTRACT section 2 allows a spec the same).
const MAX_CONFIG: u64 = 1 << 20;

impl Workspace {
    /// Finds it: `-C`, or the nearest folder upwards that holds `tidings.yaml` or `campaigns/`.
    ///
    /// # Errors
    /// [`WorkspaceError`].
    pub fn find(options: &WorkspaceOptions) -> Result<Workspace, WorkspaceError> {
        let root = match &options.directory {
            Some(directory) => {
                if !directory.is_dir() {
                    return Err(WorkspaceError::NoSuchFolder(directory.clone()));
                }
                directory.clone()
            }
            None => {
                let here = std::env::current_dir().map_err(WorkspaceError::Current)?;
                let found = here
                    .ancestors()
                    .find(|dir| {
                        dir.join("tidings.yaml").is_file() || dir.join("campaigns").is_dir()
                    })
                    .map(Path::to_owned);
                match (found, &options.config) {
                    (Some(found), _) => found,
                    (None, Some(_)) => here,
                    (None, None) => return Err(WorkspaceError::NotFound(here)),
                }
            }
        };
        let root = std::path::absolute(&root).unwrap_or(root);
        let beside = |given: &Option<PathBuf>, name: &str| {
            given.as_ref().map_or_else(
                || root.join(name),
                |path| std::path::absolute(path).unwrap_or_else(|_| path.clone()),
            )
        };
        let env = environment(&root)?;
        let sessions_dir = beside(&options.sessions_dir, "sessions");
        let said = |name: &str| env.get(name).filter(|value| !value.is_empty());
        let state_dir = beside(&options.state_dir, "state");
        let config_path = beside(&options.config, "tidings.yaml");
        let passphrase = said(PASSPHRASE_FILE).map(|path| root.join(path));
        let mut private = vec![
            (state_dir.clone(), "it lies in the folder of the state"),
            (
                sessions_dir.clone(),
                "it lies in the folder of the sessions",
            ),
            (config_path.clone(), "this is the engine's settings"),
            (root.join(".env"), "this is the engine's environment"),
            (root.join(".git"), "it lies in the folder of git"),
        ];
        private.extend(
            passphrase
                .clone()
                .map(|path| (path, "this is the sessions' passphrase")),
        );
        Ok(Workspace {
            state_dir,
            vault: Vault::new(
                sessions_dir.clone(),
                said(PASSPHRASE).map(Secret::new),
                passphrase,
            ),
            sessions_dir,
            config_path,
            config_named: options.config.is_some(),
            env,
            files: Arc::new(watch::Workspace::new(&root).without(private)),
            memo: Arc::default(),
            root,
        })
    }

    /// What `tidings.yaml` is called for people: relative to the workspace where it lies there.
    pub(super) fn config_name(&self) -> String {
        let within = self.config_path.strip_prefix(&self.root);
        let shown = within.unwrap_or(&self.config_path);
        shown.to_string_lossy().into_owned()
    }

    /// The control socket of a daemon.
    pub fn socket_path(&self) -> PathBuf {
        self.state_dir.join("tidings.sock")
    }

    /// An account's session file: the plain one, or else the encrypted one that is there. Of both, which a killed
    /// `account encrypt` or `decrypt` leaves, the plain one counts.
    pub fn session_path(&self, account: &str) -> PathBuf {
        let plain = self.plain_session_path(account);
        let sealed = sealed_path(&plain);
        let is_there = |path: &Path| std::fs::symlink_metadata(path).is_ok();
        match !is_there(&plain) && is_there(&sealed) {
            true => sealed,
            false => plain,
        }
    }

    /// The name of an account's session file where it is not encrypted.
    pub fn plain_session_path(&self, account: &str) -> PathBuf {
        self.sessions_dir.join(format!("{account}.session"))
    }

    /// Where an account's state id stands, so that a lost state is noticed.
    pub fn state_mark_path(&self, account: &str) -> PathBuf {
        self.sessions_dir.join(format!(".{account}.state"))
    }

    /// The names of the session files; `None` where there is no such folder.
    pub fn session_names(&self) -> Option<Vec<String>> {
        let mut names: Vec<String> = std::fs::read_dir(&self.sessions_dir)
            .ok()?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter_map(|name| {
                let plain = name.strip_suffix(".age").unwrap_or(&name);
                plain.strip_suffix(".session").map(str::to_owned)
            })
            .filter(|name| !name.starts_with('.'))
            .collect();
        names.sort();
        names.dedup();
        Some(names)
    }

    /// Whether an account's session file is encrypted.
    pub fn has_sealed_sessions(&self) -> bool {
        let names = self.session_names().unwrap_or_default();
        names.iter().any(|name| is_sealed(&self.session_path(name)))
    }

    /// Whether any encrypted session file is there, beside a plain one too.
    pub fn has_sealed_files(&self) -> bool {
        let names = self.session_names().unwrap_or_default();
        let mut plain = names.iter().map(|name| self.plain_session_path(name));
        plain.any(|path| sealed_path(&path).exists())
    }

    /// The workspace's files as they are now.
    pub fn files(&self) -> watch::Snapshot<'_> {
        self.files.snapshot()
    }

    /// What the workspace asks for now.
    pub fn resolve(&self, history: &History, previous: Option<&Desired>) -> Resolution {
        self.resolve_with(history, previous, None)
    }

    /// The same, where the last valid versions of campaigns were kept.
    pub fn resolve_with(
        &self,
        history: &History,
        previous: Option<&Desired>,
        kept: Option<&KeptVersions<'_>>,
    ) -> Resolution {
        let shown = self.config_name();
        let read = match std::fs::metadata(&self.config_path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !self.config_named => {
                None
            }
            Err(error) => Some(Err(error.to_string())),
            Ok(meta) if meta.len() > MAX_CONFIG => Some(Err(format!(
                "it has {} bytes, at most {MAX_CONFIG} are allowed",
                meta.len()
            ))),
            Ok(_) => Some(std::fs::read(&self.config_path).map_err(|error| error.to_string())),
        };
        let engine = match &read {
            None => EngineFile::Absent,
            Some(Ok(bytes)) => EngineFile::Bytes(&shown, bytes),
            Some(Err(why)) => EngineFile::Unreadable(&shown, why),
        };
        let sessions = self.session_names();
        let mut memo = self.memo.lock().unwrap_or_else(PoisonError::into_inner);
        let mut resolution = resolve(&Input {
            engine,
            files: &self.files(),
            env: &self.env,
            sessions: sessions.as_deref(),
            history,
            previous,
            kept,
            memo: Some(&memo),
        });
        *memo = std::mem::take(&mut resolution.memo);
        resolution
    }
}

/// `.env` under the real variables.
fn environment(root: &Path) -> Result<Environment, WorkspaceError> {
    let path = root.join(".env");
    let mut vars: Vec<(String, String)> = Vec::new();
    match dotenvy::from_path_iter(&path) {
        Ok(lines) => {
            for line in lines {
                vars.push(line.map_err(|error| WorkspaceError::Env {
                    path: path.clone(),
                    // The library's own words can quote the line, and with it a secret.
                    reason: match error {
                        dotenvy::Error::LineParse(text, at) => {
                            let file = std::fs::read_to_string(&path).unwrap_or_default();
                            match file.lines().position(|line| line.trim() == text.trim()) {
                                Some(line) => format!(
                                    "line {} is not NAME=value (at its character {at})",
                                    line + 1
                                ),
                                None => format!("a line is not NAME=value (at its character {at})"),
                            }
                        }
                        _ => "it cannot be read".to_owned(),
                    },
                })?);
            }
        }
        Err(dotenvy::Error::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(_) => {
            return Err(WorkspaceError::Env {
                path,
                reason: "it cannot be read".to_owned(),
            });
        }
    }
    vars.extend(
        std::env::vars_os()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))),
    );
    Ok(Environment::new(vars))
}
