//! People as templates and filters see them. Personal data: it stands in one erasable tree, never in the journal.

mod row;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use row::{contact_of_row, hash_in_row};

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
    /// Phone, digits only; [`Contact::e164`] is how people read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// Whether he has Telegram Premium; absent where unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub premium: Option<bool>,
    /// The other columns of the file that named him.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
}

impl Contact {
    /// The phone in international form.
    pub fn e164(&self) -> Option<String> {
        let digits = self.phone.as_deref()?.trim().trim_start_matches('+');
        (!digits.is_empty()).then(|| format!("+{digits}"))
    }
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

/// Which names come from a file of the operator's: what he wrote himself is what his templates say, whatever the person
/// calls himself in Telegram.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Given {
    /// `contact.first_name`.
    pub first_name: bool,
    /// `contact.last_name`.
    pub last_name: bool,
}

impl Given {
    /// Those that a contact of a file has.
    pub fn of(contact: &Contact) -> Given {
        Given {
            first_name: contact.first_name.is_some(),
            last_name: contact.last_name.is_some(),
        }
    }

    fn is_none(&self) -> bool {
        *self == Given::default()
    }
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
    /// The names that a file of the operator's gave him.
    #[serde(skip_serializing_if = "Given::is_none")]
    pub given: Given,
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
    /// Adds what a second look tells, the newer winning where both say something; a name that a file gave gives way to
    /// another file's only.
    pub fn merge(&mut self, newer: Person) {
        let Person {
            contact,
            bot,
            deleted,
            admin,
            given,
            last_seen,
            read_at,
            hashes,
            references,
            origins,
        } = newer;
        let known_to_telegram = !hashes.is_empty();
        let mine = &mut self.contact;
        mine.id = contact.id.or(mine.id);
        let first = given.first_name || !self.given.first_name;
        let last = given.last_name || !self.given.last_name;
        for (old, new, wins) in [
            (&mut mine.first_name, contact.first_name, first),
            (&mut mine.last_name, contact.last_name, last),
            (&mut mine.username, contact.username, true),
            (&mut mine.phone, contact.phone, true),
        ] {
            if new.is_some() && wins {
                *old = new;
            }
        }
        self.given.first_name |= given.first_name;
        self.given.last_name |= given.last_name;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn named(first: &str, last: Option<&str>, by_file: bool) -> Person {
        let contact = Contact {
            first_name: Some(first.to_owned()),
            last_name: last.map(str::to_owned),
            ..Contact::default()
        };
        Person {
            given: if by_file {
                Given::of(&contact)
            } else {
                Given::default()
            },
            contact,
            ..Person::default()
        }
    }

    #[test]
    fn a_name_of_a_file_stands_whatever_telegram_says_before_or_after() {
        let file = named("Анна", None, true);
        let telegram = named("S2", Some("Silent"), false);
        for (before, after) in [(&file, &telegram), (&telegram, &file)] {
            let mut known = before.clone();
            known.merge(after.clone());
            let Contact {
                first_name,
                last_name,
                ..
            } = &known.contact;
            assert_eq!(first_name.as_deref(), Some("Анна"));
            assert_eq!(
                last_name.as_deref(),
                Some("Silent"),
                "what the file leaves open"
            );
            // What another file says is newer.
            known.merge(named("Аня", None, true));
            assert_eq!(known.contact.first_name.as_deref(), Some("Аня"));
        }
        let mut known = named("S2", None, false);
        known.merge(named("S3", None, false));
        assert_eq!(known.contact.first_name.as_deref(), Some("S3"));
    }

    #[test]
    fn a_phone_is_written_with_its_plus() {
        for (known, shown) in [
            (Some("15550100"), Some("+15550100")),
            (Some("+15550100"), Some("+15550100")),
            (Some(" "), None),
            (None, None),
        ] {
            let contact = Contact {
                phone: known.map(str::to_owned),
                ..Contact::default()
            };
            assert_eq!(contact.e164().as_deref(), shown);
        }
    }
}
