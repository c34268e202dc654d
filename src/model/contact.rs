//! People as templates and filters see them. Personal data: it stands in one erasable tree, never in the journal.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AccountName, PersonId, Timestamp};

/// What a template may say of a person (`contact.*`). What he lacks is absent, never empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Contact {
    /// Telegram's user id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<i64>,
    /// First name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    /// Last name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// Public username without the `@`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Phone, digits only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// Whether he has Telegram Premium; absent where unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub premium: Option<bool>,
    /// The other columns of the file that named him.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
}

/// When a person was last seen, as coarsely as Telegram tells (core.telegram.org/type/UserStatus).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LastSeen {
    /// Telegram tells nothing (`userStatusEmpty`), or nobody asked.
    #[default]
    Hidden,
    /// Exactly then, or online until then.
    At(Timestamp),
    /// `userStatusRecently`: within 3 days of when it was read.
    Recently,
    /// `userStatusLastWeek`: within 7 days.
    LastWeek,
    /// `userStatusLastMonth`: within 30 days.
    LastMonth,
}

/// All that is known of one person: the row of the people tree.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Person {
    /// What templates may say. `fields` holds those of the last file that named him.
    pub contact: Contact,
    /// A bot.
    pub bot: bool,
    /// A deleted account.
    pub deleted: bool,
    /// Creator or admin of a place that a source read him from.
    pub admin: bool,
    /// When he was last seen.
    pub last_seen: LastSeen,
    /// When `last_seen` was read.
    pub read_at: Timestamp,
    /// The access hash by account: each belongs to one account only (core.telegram.org/api/peers).
    pub hashes: BTreeMap<AccountName, i64>,
    /// The references that named him.
    pub references: Vec<super::Reference>,
    /// Where he was found, in the operator's words (`members of @rust_meetup`), the first 8.
    pub origins: Vec<String>,
}

/// The most origins kept of a person: enough to answer `explain`, small enough for a million people.
const MAX_ORIGINS: usize = 8;

impl Person {
    /// Adds what a second look tells, the newer winning where both say something.
    pub fn merge(&mut self, newer: Person) {
        let Person {
            contact,
            bot,
            deleted,
            admin,
            last_seen,
            read_at,
            hashes,
            references,
            origins,
        } = newer;
        let known_to_telegram = !hashes.is_empty();
        let mine = &mut self.contact;
        mine.id = contact.id.or(mine.id);
        for (old, new) in [
            (&mut mine.first_name, contact.first_name),
            (&mut mine.last_name, contact.last_name),
            (&mut mine.username, contact.username),
            (&mut mine.phone, contact.phone),
        ] {
            if new.is_some() {
                *old = new;
            }
        }
        mine.premium = contact.premium.or(mine.premium);
        mine.fields.extend(contact.fields);
        self.bot |= bot;
        self.deleted |= deleted;
        self.admin |= admin;
        if known_to_telegram {
            self.last_seen = last_seen;
            self.read_at = read_at;
        }
        self.hashes.extend(hashes);
        for reference in references {
            if !self.references.contains(&reference) {
                self.references.push(reference);
            }
        }
        for origin in origins {
            if !self.origins.contains(&origin) && self.origins.len() < MAX_ORIGINS {
                self.origins.push(origin);
            }
        }
    }

    /// The id by which he is known now.
    pub fn person_id(&self) -> Option<PersonId> {
        self.contact
            .id
            .map(PersonId)
            .or_else(|| self.references.first().map(super::Reference::person))
    }
}
