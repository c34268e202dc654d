//! Who a username or phone belongs to, of people whom an account met lately: what needs no look-up.

use std::collections::HashMap;

use super::*;

/// A username may be somebody else's later: what was read longer ago is asked for again.
const FRESH: Duration = Duration::from_secs(24 * 3600);
/// People beyond this are not searched for names that are known already; each then costs a look-up at most.
const MOST: usize = 500_000;

/// By the stand-in of a username or phone: who has it, and the account that met him.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<PersonId, (PersonId, AccountName)>);

impl Names {
    /// Somebody whom `account` met.
    pub(super) fn met(&mut self, id: PersonId, person: &Person, account: &AccountName) {
        for reference in references(person) {
            self.0.insert(reference.person(), (id, account.clone()));
        }
    }
}

/// The username and the phone that Telegram showed of somebody.
pub(super) fn references(person: &Person) -> impl Iterator<Item = Reference> {
    let username = person
        .contact
        .username
        .as_ref()
        .map(|name| Reference::Username(name.to_ascii_lowercase()));
    let phone = person
        .contact
        .phone
        .as_ref()
        .map(|digits| Reference::Phone(digits.clone()));
    username.into_iter().chain(phone)
}

impl Engine {
    /// Of the usernames and phones that a list or file names, those that belong to somebody whom an account met lately:
    /// they are one, and what the list says of the one holds for the other.
    pub(super) fn known(&mut self, named: &[PersonId]) -> Result<Vec<Event>, RunError> {
        if named.iter().all(|person| person.is_user()) {
            return Ok(Vec::new());
        }
        let names = match self.names.take() {
            Some(names) => names,
            None => self.read_names(),
        };
        let mut events = Vec::new();
        let mut rows = Vec::new();
        for stand_in in named.iter().filter(|person| !person.is_user()) {
            let resolved = self.core.observed.persons.resolve(*stand_in);
            if resolved != *stand_in {
                // Who he is was found out before: what this row says holds for him too.
                rows.extend(self.core.people.get(*stand_in).map(|row| (resolved, row)));
                continue;
            }
            let Some((id, account)) = names.0.get(stand_in) else {
                continue;
            };
            if let Some(row) = self.core.people.get(*stand_in) {
                self.core
                    .people
                    .merge(vec![(*id, row)])
                    .map_err(CoreError::from)?;
            }
            events.push(Event::Resolved {
                reference: *stand_in,
                person: *id,
                account: account.clone(),
            });
        }
        self.core.people.merge(rows).map_err(CoreError::from)?;
        self.names = Some(names);
        Ok(events)
    }

    fn read_names(&self) -> Names {
        let mut names = Names::default();
        let now = self.core.clock.now();
        self.core.people.each(MOST, |id, person| {
            if id.is_user()
                && now.since(person.read_at) < FRESH
                && let Some(account) = person.hashes.keys().next()
            {
                names.met(id, person, account);
            }
        });
        names
    }
}
