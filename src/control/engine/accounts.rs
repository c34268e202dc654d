//! Opening, closing and trying accounts again.

use super::*;
use crate::control::accounts;

impl Engine {
    /// Opens accounts that are wanted, closes those that are not, tries lost connections again.
    pub(super) async fn accounts(&mut self) -> Result<(), RunError> {
        let now = self.core.clock.now();
        let wanted: Vec<AccountName> = self.core.desired.engine.accounts.keys().cloned().collect();
        let gone: Vec<AccountName> = self
            .tasks
            .keys()
            .filter(|name| !wanted.contains(*name))
            .cloned()
            .collect();
        for name in gone {
            self.close(&name)?;
        }
        self.readiness.release(&mut self.core.runtime.links);
        let look = self
            .sessions_looked
            .is_none_or(|at| at.elapsed() >= SESSIONS_EVERY);
        if look {
            self.sessions_looked = Some(tokio::time::Instant::now());
        }
        for name in wanted {
            if self.leaving(|leaving| leaving.contains(&name)) {
                continue;
            }
            let due = |at: &tokio::time::Instant| *at <= tokio::time::Instant::now();
            if self.keys_again.get(&name).is_some_and(due) {
                self.keys_again.remove(&name);
                if let Some(task) = self.tasks.get(&name) {
                    task.order(Order::Me);
                }
            }
            let link = self.core.runtime.links.get(&name).cloned();
            match link {
                None => self.open(&name).await?,
                Some(Link::Missing | Link::NotConfigured | Link::Locked { .. }) if look => {
                    self.open(&name).await?;
                }
                Some(Link::Unreachable { retry_at, message }) if retry_at <= now => {
                    if self.options.once
                        && self.tries.get(&name).copied().unwrap_or(0) >= RECONNECTS_ONCE
                    {
                        self.core.runtime.links.insert(
                            name.clone(),
                            Link::Unreachable {
                                message,
                                retry_at: Timestamp::MAX,
                            },
                        );
                    } else if let Some(task) = self.tasks.get(&name) {
                        self.core
                            .runtime
                            .links
                            .insert(name.clone(), Link::Connecting);
                        task.order(Order::Me);
                    } else {
                        self.open(&name).await?;
                    }
                }
                // A file that could not be used was replaced, by a login say: its turn is now.
                Some(Link::Unreachable { .. } | Link::Unusable { .. })
                    if look
                        && !self.tasks.contains_key(&name)
                        && self.session_stamps.get(&name)
                            != Some(&stamp_of(&self.core.workspace.session_path(&name))) =>
                {
                    self.open(&name).await?;
                }
                Some(Link::Twin { first }) if look && self.twin_is_free(&name, &first) => {
                    self.open(&name).await?;
                }
                Some(Link::StateLost { .. }) if look && self.state_is_ours(&name) => {
                    if let Some(task) = self.tasks.get(&name) {
                        self.core
                            .runtime
                            .links
                            .insert(name.clone(), Link::Connecting);
                        task.order(Order::Me);
                    }
                }
                Some(_) if look && self.tasks.contains_key(&name) => {
                    if !self.core.workspace.session_path(&name).is_file() {
                        tracing::warn!(account = %name, "its session file is gone");
                        self.close(&name)?;
                        self.core.runtime.links.insert(name.clone(), Link::Missing);
                    } else if self.session_stamps.get(&name)
                        != Some(&stamp_of(&self.core.workspace.session_path(&name)))
                    {
                        tracing::info!(account = %name, "its session file is another one: it is opened anew");
                        self.close(&name)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn close(&mut self, name: &AccountName) -> Result<(), RunError> {
        let mut events = Vec::new();
        self.abandon(name, &mut events);
        self.write(&mut events)?;
        self.tasks.remove(name);
        self.listening.remove(name);
        self.readiness.lost(name);
        self.core.runtime.links.remove(name);
        self.core.runtime.lost_since.remove(name);
        self.keys_again.remove(name);
        self.media.retain(|(account, _), _| account != name);
        self.core
            .runtime
            .media
            .retain(|(account, _)| account != name);
        self.places.retain(|(account, _), _| account != name);
        let runtime = &mut self.core.runtime;
        runtime.targets.retain(|(account, _), _| account != name);
        runtime
            .target_faults
            .retain(|(account, _), _| account != name);
        Ok(())
    }

    pub(super) async fn open(&mut self, name: &AccountName) -> Result<(), RunError> {
        let workspace = &self.core.workspace;
        let Some(config) = accounts::config_of(workspace, &self.core.desired, name) else {
            self.core
                .runtime
                .links
                .insert(name.clone(), Link::NotConfigured);
            return Ok(());
        };
        if !config.session_path.is_file() {
            self.core.runtime.links.insert(name.clone(), Link::Missing);
            return Ok(());
        }
        self.session_stamps
            .insert(name.clone(), stamp_of(&config.session_path));
        match self.telegram.open(config).await {
            Ok(client) => {
                if let Some(first) = self.same_key(name, &client) {
                    return self.hold_twin(name, first);
                }
                // An account that cannot connect is one's own all the same: nobody writes to it.
                let observed = &self.core.observed;
                let is_own = |person| {
                    observed
                        .handle(person)
                        .is_some_and(|handle| observed.own.contains(handle.0))
                };
                if let Some(person) = client.session_person()
                    && !is_own(person)
                {
                    let account = name.clone();
                    self.write(&mut vec![Event::SessionNames { account, person }])?;
                }
                let task = AccountTask::start(client, self.reports.clone());
                self.tasks.insert(name.clone(), task);
                self.listen(name);
                if let Some(task) = self.tasks.get(name) {
                    task.order(Order::Me);
                }
                if !self.tries.contains_key(name) {
                    // Real seconds, whatever the clock's speed: the network has its own.
                    let clock = &self.core.clock;
                    let by = clock.now() + FIRST_TRY.mul_f64(pause_scale(clock));
                    let runtime = &mut self.core.runtime;
                    runtime.connected_by = runtime.connected_by.max(by);
                }
                self.core
                    .runtime
                    .links
                    .insert(name.clone(), Link::Connecting);
            }
            Err(CallError::Session(message)) => {
                tracing::warn!(account = %name, %message, "the session file cannot be used");
                self.core
                    .runtime
                    .links
                    .insert(name.clone(), Link::Unusable { message });
            }
            Err(CallError::Locked(message)) => {
                let links = &mut self.core.runtime.links;
                let link = Link::Locked { message };
                // Tried again and again: said once.
                if links.get(name) != Some(&link)
                    && let Link::Locked { message } = &link
                {
                    tracing::warn!(account = %name, "it cannot be used: {message}");
                }
                links.insert(name.clone(), link);
            }
            Err(error) => self.link_lost(name, error.to_string()),
        }
        Ok(())
    }

    /// Receives what is said to the account, from where it stood the last time.
    pub(super) fn listen(&mut self, name: &AccountName) {
        let known = self
            .core
            .observed
            .accounts
            .get(name)
            .and_then(|account| account.updates);
        let from = known.map(|(pts, qts, date, seq)| UpdatesState {
            pts,
            qts,
            date,
            seq,
        });
        if let Some(task) = self.tasks.get(name)
            && self.listening.insert(name.clone())
        {
            task.order(Order::Listen { from });
        }
    }

    /// Whether the account was last used with this state (or never with one).
    pub(super) fn state_is_ours(&self, name: &AccountName) -> bool {
        self.core.state_is_ours(name)
    }

    /// Before an account's first send the state's id is written beside its session, so that a lost state is noticed.
    pub(super) fn mark_state(&mut self, name: &AccountName) -> bool {
        if self.marked.contains(name) {
            return true;
        }
        let path = self.core.workspace.state_mark_path(name);
        if !self.state_is_ours(name) {
            // Another state took it meanwhile.
            let older = self.core.is_older();
            self.core
                .runtime
                .links
                .insert(name.clone(), Link::StateLost { older });
            return false;
        }
        match self.core.claim(name) {
            Ok(()) => {
                self.marked.insert(name.clone());
                true
            }
            Err(error) => {
                let message = format!(
                    "{} cannot be written ({error}): without it a lost state could send twice",
                    path.display()
                );
                tracing::error!(account = %name, "{message}");
                let retry_at = self.core.clock.now() + Duration::from_secs(30);
                self.core
                    .runtime
                    .links
                    .insert(name.clone(), Link::Unreachable { message, retry_at });
                false
            }
        }
    }
}
