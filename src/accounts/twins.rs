//! The same Telegram account under two names: found without asking Telegram, as far as the files tell.

use std::collections::BTreeMap;
use std::path::Path;

use crate::telegram::Vault;
use crate::telegram::login::marks;

/// Names of one account, the first in the order of names leading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Twins {
    /// The name that goes on.
    pub first: String,
    /// The other one.
    pub second: String,
    /// Both files hold one key; otherwise one user id.
    pub same_key: bool,
}

/// Looks into session files; those that cannot be read are passed over.
pub async fn twins(files: &[(String, std::path::PathBuf)], vault: &Vault) -> Vec<Twins> {
    let mut keys: BTreeMap<[u8; 32], String> = BTreeMap::new();
    let mut ids: BTreeMap<i64, String> = BTreeMap::new();
    let mut found = Vec::new();
    for (name, path) in files {
        let Some((key, own)) = marks(Path::new(path), vault).await else {
            continue;
        };
        let by_key = key.and_then(|key| keys.get(&key).cloned());
        let by_id = own.and_then(|own| ids.get(&own).cloned());
        if let Some(first) = by_key.clone().or(by_id) {
            found.push(Twins {
                first,
                second: name.clone(),
                same_key: by_key.is_some(),
            });
            continue;
        }
        if let Some(key) = key {
            keys.insert(key, name.clone());
        }
        if let Some(own) = own {
            ids.insert(own, name.clone());
        }
    }
    found
}
