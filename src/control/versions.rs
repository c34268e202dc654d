//! The last valid version of each campaign, kept in the state: with `on_invalid: continue` it goes on after a restart
//! as it did before.

use std::collections::{BTreeMap, BTreeSet};

use super::CoreError;
use crate::desired::{Desired, ResolvedCampaign, SourceKind, Version};
use crate::model::Reference;
use crate::observed::Observed;
use crate::store::{Meta, Store};

/// What the names of the rows begin with; the campaign's name follows.
const ROWS: &str = "last-good/";

/// The rows of the state, and what is known of them.
pub(crate) struct Versions {
    rows: Option<Meta>,
    /// The digest of each row; `None` until the rows were listed.
    kept: Option<BTreeMap<String, String>>,
}

impl Versions {
    pub(super) fn of<E>(store: Option<&Store<E>>) -> Versions {
        Versions {
            rows: store.map(Store::meta),
            kept: None,
        }
    }

    /// The version that was kept of a campaign. What cannot be read is none: the campaign is held, as it says.
    pub(super) fn get(&self, name: &str) -> Option<Version> {
        let bytes = self.rows.as_ref()?.get(&format!("{ROWS}{name}"));
        match bytes {
            Ok(bytes) => rmp_serde::from_slice(&bytes?)
                .inspect_err(|error| tracing::warn!(campaign = name, %error, "its last valid version cannot be read"))
                .ok(),
            Err(error) => {
                tracing::warn!(campaign = name, %error, "its last valid version cannot be read");
                None
            }
        }
    }

    /// Keeps what is valid and new, and drops what is not wanted any more. Answers whether anything was written.
    pub(super) fn keep(
        &mut self,
        desired: &Desired,
        observed: &Observed,
    ) -> Result<bool, CoreError> {
        let Some(rows) = self.rows.clone() else {
            return Ok(false);
        };
        let mut kept = match self.kept.take() {
            Some(kept) => kept,
            None => self.list(&rows)?,
        };
        let mut written = false;
        for (name, campaign) in &desired.campaigns {
            let Some(version) = &campaign.version else {
                continue;
            };
            let names_erased = |spec| names_erased(spec, observed);
            if kept.get(name) == Some(&version.digest)
                || campaign.spec.as_deref().is_none_or(names_erased)
            {
                continue;
            }
            let bytes = rmp_serde::to_vec(&**version)
                .map_err(|error| CoreError::Checkpoint(error.to_string()))?;
            rows.put(&format!("{ROWS}{name}"), &bytes)?;
            kept.insert(name.clone(), version.digest.clone());
            written = true;
        }
        // A setting that is off today and on tomorrow must not bring back what was valid the day before.
        let goes = |name: &String| {
            !desired.engine.continue_on_invalid
                || (desired.folder_error.is_none() && !desired.campaigns.contains_key(name))
        };
        for name in kept.keys().filter(|name| goes(name)) {
            rows.remove(&format!("{ROWS}{name}"))?;
            written = true;
        }
        kept.retain(|name, _| !goes(name));
        self.kept = Some(kept);
        Ok(written)
    }

    fn list(&self, rows: &Meta) -> Result<BTreeMap<String, String>, CoreError> {
        let mut kept = BTreeMap::new();
        for row in rows.names(ROWS)? {
            let name = row.strip_prefix(ROWS).unwrap_or(&row);
            // A row that cannot be read has no digest, and is written anew as soon as the file is valid.
            let digest = self.get(name).map(|version| version.digest);
            kept.insert(name.to_owned(), digest.unwrap_or_default());
        }
        Ok(kept)
    }

    /// Drops every version in which one of these stands.
    pub(super) fn forget(&mut self, who: &BTreeSet<Reference>) -> Result<(), CoreError> {
        let Some(rows) = &self.rows else {
            return Ok(());
        };
        for row in rows.names(ROWS)? {
            let name = row.strip_prefix(ROWS).unwrap_or(&row);
            let named = self.get(name).is_none_or(|version| {
                who.iter()
                    .any(|reference| version.mentions(&bare(reference)))
            });
            if named {
                rows.remove(&row)?;
            }
        }
        self.kept = None;
        Ok(())
    }
}

/// What stands of a reference in a text, however it is written there.
fn bare(reference: &Reference) -> String {
    match reference {
        Reference::Username(name) => name.to_string(),
        Reference::Phone(digits) => digits.to_string(),
        Reference::Id(id) => id.to_string(),
        Reference::Invite(hash) => hash.to_string(),
    }
}

/// Whether a list of the spec names somebody who was erased: then nothing of it is written down.
fn names_erased(spec: &ResolvedCampaign, observed: &Observed) -> bool {
    let suppression = &observed.suppression;
    if suppression.erased.is_empty() {
        return false;
    }
    spec.sources.iter().any(|source| match &source.what {
        SourceKind::List { people } => people.iter().any(|reference| {
            suppression.keys.iter().any(|key| {
                let entry = suppression.refs.get(&key.hash(reference));
                entry.is_some_and(|entry| entry.erased)
            })
        }),
        _ => false,
    })
}
