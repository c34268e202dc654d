//! Commands about accounts that take a while: they are answered when Telegram has answered, and the loop goes on meanwhile.

use super::*;
use crate::control::accounts;

impl Engine {
    /// `account check` and `account remove`.
    pub(super) fn account_command(
        &mut self,
        command: Command,
        reply: oneshot::Sender<Reply>,
    ) -> Result<(), RunError> {
        let (name, removal) = match command {
            Command::AccountCheck { name } => (name, None),
            Command::AccountRemove { name, force, by } => (name, Some((force, by))),
            _ => return Ok(()),
        };
        let workspace = self.core.workspace.clone();
        if let Some(refused) = accounts::without_session(&workspace, &self.core.desired, &name) {
            let _ = reply.send(refused);
            return Ok(());
        }
        let account: AccountName = name.as_str().into();
        let config = accounts::config_of(&workspace, &self.core.desired, &name);
        let client = self.tasks.get(&account).map(|task| task.client().clone());
        let Some((force, by)) = removal else {
            let not_configured = accounts::not_configured(&self.core.desired, &name);
            tokio::spawn(async move {
                let answer = match (client, config) {
                    (Some(client), _) => {
                        accounts::shown(&crate::accounts::checked(&name, client.me().await))
                    }
                    (None, Some(config)) => accounts::check_alone(config, &name).await,
                    (None, None) => accounts::shown(&not_configured),
                };
                let _ = reply.send(answer);
            });
            return Ok(());
        };
        if !force && let Some(refused) = accounts::in_hand(&self.core.observed, &name) {
            let _ = reply.send(refused);
            return Ok(());
        }
        // The daemon lets go of it first: nothing is sent with a session that is being logged out.
        self.close(&account)?;
        self.leaving(|leaving| leaving.insert(account.clone()));
        let mut events = vec![accounts::removed(&account, &by)];
        self.write(&mut events)?;
        let telegram = self.telegram.clone();
        let leaving = self.leaving.clone();
        tokio::spawn(async move {
            let client = match (client, config) {
                (Some(client), _) => Ok(client),
                (None, Some(config)) => telegram.open(config).await,
                (None, None) => Err(accounts::unusable()),
            };
            let answer = accounts::log_out_and_delete(client, &workspace, &name, force).await;
            leaving
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .remove(&account);
            let _ = reply.send(answer);
        });
        Ok(())
    }

    /// Accounts that are being logged out: they are not opened again meanwhile.
    pub(super) fn leaving<T>(
        &self,
        look: impl FnOnce(&mut std::collections::BTreeSet<AccountName>) -> T,
    ) -> T {
        look(
            &mut self
                .leaving
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        )
    }

    /// Whether another account that is open has the same key: then nothing is connected with this one.
    pub(super) fn same_key(
        &self,
        name: &AccountName,
        client: &Arc<dyn crate::telegram::AccountClient>,
    ) -> Option<AccountName> {
        let key = client.random_key();
        self.tasks
            .iter()
            .find(|(other, task)| *other != name && task.client().random_key() == key)
            .map(|(other, _)| other.clone())
    }

    /// Of two accounts that are one person at Telegram's, the one that came later is held. `None`: this one may go on.
    pub(super) fn same_person(
        &mut self,
        name: &AccountName,
        person: PersonId,
    ) -> Result<Option<AccountName>, RunError> {
        let observed = &self.core.observed;
        let place = |name: &AccountName| observed.account_index(name).unwrap_or(u16::MAX);
        let others: Vec<AccountName> = self
            .tasks
            .keys()
            .filter(|other| {
                *other != name
                    && observed
                        .accounts
                        .get(*other)
                        .is_some_and(|known| known.person == Some(person))
            })
            .cloned()
            .collect();
        let own = (place(name), name.clone());
        let first = others
            .iter()
            .map(|other| (place(other), other.clone()))
            .min();
        match first {
            None => Ok(None),
            Some(first) if first < own => Ok(Some(first.1)),
            Some(_) => {
                for other in others {
                    self.hold_twin(&other, name.clone())?;
                }
                Ok(None)
            }
        }
    }

    /// Who an account is, where that is not written down yet.
    pub(super) fn identity(&self, account: &AccountName, person: PersonId) -> Option<Event> {
        let known = self.core.observed.accounts.get(account);
        let is_new = known.and_then(|known| known.person) != Some(person);
        is_new.then(|| Event::AccountIs {
            account: account.clone(),
            person,
        })
    }

    /// Lets go of an account that is another one's second name.
    pub(super) fn hold_twin(
        &mut self,
        name: &AccountName,
        first: AccountName,
    ) -> Result<(), RunError> {
        tracing::warn!(account = %name, %first, "the same Telegram account under two names: this one is held");
        self.close(name)?;
        // Written down, so that `status` says it too where no daemon runs.
        let known = self.core.observed.accounts.get(&first);
        if let Some(person) = known.and_then(|known| known.person) {
            let identity = self.identity(name, person).into_iter().collect();
            self.core.record(identity, Durability::Soon)?;
        }
        self.core
            .runtime
            .links
            .insert(name.clone(), Link::Twin { first });
        Ok(())
    }

    /// Whether a held second name may be tried again: the first is gone, or is somebody else now, or the file is another.
    pub(super) fn twin_is_free(&self, name: &AccountName, first: &AccountName) -> bool {
        let path = self.core.workspace.session_path(name);
        if self.session_stamps.get(name) != Some(&stamp_of(&path))
            || !self.tasks.contains_key(first)
        {
            return true;
        }
        let person = |name| {
            self.core
                .observed
                .accounts
                .get(name)
                .and_then(|known| known.person)
        };
        matches!((person(name), person(first)), (Some(own), Some(other)) if own != other)
    }
}
