//! Webhooks: the key by which they are signed, and what came of a try.

use super::answers::Side;
use super::*;
use crate::notify::Key;
use crate::plan::notices::PostAction;
use crate::spec::engine::Notify;

/// The variable that holds the key of entries without a `secret`.
const VARIABLE: &str = "TIDINGS_WEBHOOK_SECRET";
/// The key of entries without a `secret`, where the environment has none; in the state's folder.
const FILE: &str = "webhook.key";
/// Bytes of a key that is made here: as many as SHA-256 answers.
const KEY_BYTES: usize = 32;
/// The largest file that holds a key.
const MAX_KEY_FILE: u64 = 16 * 1024;

impl Engine {
    /// Makes the key of webhooks without a `secret` as soon as there is one, so that it can be handed to the receiver
    /// before the first event.
    pub(super) fn prepare_hooks(&self) {
        let unsigned = |entry: &Notify| {
            entry.webhook.as_ref().is_some_and(|url| !url.is_empty())
                && entry.secret.as_ref().is_none_or(|secret| secret.is_empty())
        };
        if self.core.desired.engine.spec.notify.iter().any(unsigned)
            && let Err(why) = self.own_key()
        {
            tracing::error!("webhooks of `notify` cannot be signed, so that none is posted: {why}");
        }
    }

    /// The key of entries without a `secret`: the environment's, or the state's own.
    fn own_key(&self) -> Result<Key, String> {
        let workspace = &self.core.workspace;
        if let Some(text) = workspace.env.get(VARIABLE) {
            return Key::parse(text).map_err(|why| format!("{VARIABLE}: {why}"));
        }
        let path = workspace.state_dir.join(FILE);
        let failed = |why: String| {
            format!(
                "{}: {why}; set {VARIABLE}, or `secret` of the entry",
                path.display()
            )
        };
        if !path.is_file() {
            make_key(&path).map_err(|error| failed(error.to_string()))?;
            tracing::info!(
                "webhooks of `notify` that have no `secret` are signed with the key in {}",
                path.display()
            );
        }
        tighten(&path).map_err(|error| failed(error.to_string()))?;
        read_small(&path)
            .and_then(|text| Key::parse(&text))
            .map_err(failed)
    }

    /// Tells somebody by a webhook.
    pub(super) fn post(&mut self, action: PostAction) {
        let notice = &action.notice;
        let body = crate::notify::Body {
            format_version: "1.0".to_owned(),
            id: notice.seq,
            event: notice.kind.name().to_owned(),
            at: notice.at.to_string(),
            campaign: action.campaign.clone(),
            account: notice.account.as_ref().map(ToString::to_string),
            person: notice.person.map(|person| person.to_string()),
            draft: notice.draft,
            reason: notice.reason.clone(),
            message: notice.message.clone(),
        };
        // The same at each try, over restarts too; another state's event of this number is another one.
        let place = blake3::hash(
            format!(
                "{}\0{}\0{}",
                self.core.state_id().unwrap_or_default(),
                notice.at.0,
                notice.seq
            )
            .as_bytes(),
        );
        let id = format!("evt_{}_{}", notice.seq, &place.to_hex()[..16]);
        let timestamp = self.core.clock.now().0.div_euclid(1000);
        let key = match action.secret.as_ref().filter(|secret| !secret.is_empty()) {
            Some(secret) => Key::parse(secret.expose()).map_err(|why| format!("`secret`: {why}")),
            None => self.own_key(),
        };
        self.core.runtime.telling.insert(action.target);
        let tell = self.side.clone();
        tokio::spawn(async move {
            let result = match &key {
                Ok(key) => {
                    crate::notify::post(crate::notify::Post {
                        url: action.url.expose(),
                        key,
                        id: &id,
                        timestamp,
                        body: &body,
                    })
                    .await
                }
                Err(why) => Err(why.clone()),
            };
            let _ = tell.send(Side::Posted(Box::new(action), result));
        });
    }

    /// What came of it.
    pub(super) fn posted(
        &mut self,
        action: &PostAction,
        result: Result<(), String>,
        events: &mut Vec<Event>,
    ) {
        let runtime = &mut self.core.runtime;
        runtime.telling.remove(&action.target);
        match result {
            Ok(()) => {
                runtime.untold.remove(&action.target);
                events.push(Event::Told {
                    target: action.target,
                    seq: action.notice.seq,
                    error: None,
                    begins: false,
                });
            }
            Err(why) => {
                let failures = runtime.untold.get(&action.target).map_or(0, |(n, _)| *n) + 1;
                let retry_at = crate::plan::notices::retry_at(self.core.clock.now(), failures);
                runtime.untold.insert(action.target, (failures, retry_at));
                tracing::warn!(failures, %why, "a webhook of `notify` was not received; it is tried again");
            }
        }
    }
}

/// Writes a new key, whole or not at all; never over one that is there.
fn make_key(path: &std::path::Path) -> std::io::Result<()> {
    use std::io::Write as _;
    let bytes: [u8; KEY_BYTES] = rand::random();
    let folder = path.parent().unwrap_or(std::path::Path::new("."));
    // Made 0600.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(file, "{}", crate::notify::sign::Key::text(&bytes))?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.error),
    }
}

/// Only its owner may read a key.
fn tighten(path: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}

/// The text of a file that holds a key and nothing else.
pub(super) fn read_small(path: &std::path::Path) -> Result<String, String> {
    let size = std::fs::metadata(path)
        .map_err(|error| error.to_string())?
        .len();
    if size > MAX_KEY_FILE {
        return Err("it is too large for a key".to_owned());
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    Ok(text.trim().to_owned())
}
