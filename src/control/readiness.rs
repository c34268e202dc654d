//! When a connected account may begin: not before it was told what was said to it while nobody listened. Somebody who
//! wrote 'stop' in the meantime must not get the message that was next.
//!
//! # Guarantees
//! An account begins as soon as its missed messages are in and those of the accounts that are being connected beside
//! it. Where nothing comes it begins a few seconds after it was connected: a server that knows no updates stops no send.
//! Where they are being read, or Telegram asked to wait with that, it waits for them, up to [`BEHIND_MOST`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::AccountName;
use crate::plan::Link;

/// How long an account waits for its own missed messages: a difference takes one call of well under a second for each
/// 5,000 events.
const OWN_MOST: Duration = Duration::from_secs(5);
/// How long it waits for messages of which it is known that they are being read: thousands of dialogs, a call each.
const BEHIND_MOST: Duration = Duration::from_secs(15 * 60);
/// How long it waits for those of accounts that are being connected at the same time: a silent one is no reason to
/// keep the others.
const OTHERS_MOST: Duration = Duration::from_secs(2);

/// The accounts that are connected and have not begun.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    told: BTreeSet<AccountName>,
    held: BTreeMap<AccountName, (Instant, Link)>,
    /// Until when the next sign is awaited of those whose missed messages are being read.
    behind: BTreeMap<AccountName, Instant>,
}

impl Readiness {
    /// Its connection is gone: what comes until the next one is missed.
    pub(super) fn lost(&mut self, name: &AccountName) {
        self.told.remove(name);
        self.held.remove(name);
        self.behind.remove(name);
    }

    /// All that it missed was told.
    pub(super) fn caught_up(&mut self, name: &AccountName) {
        self.told.insert(name.clone());
    }

    /// What it missed is being read, or is after this wait.
    pub(super) fn behind(&mut self, name: &AccountName, wait: Duration) {
        let until = Instant::now() + wait.min(BEHIND_MOST) + OWN_MOST;
        self.behind.insert(name.clone(), until);
    }

    /// It is connected, and this is its link once it may begin.
    pub(super) fn connected(&mut self, name: &AccountName, link: Link) {
        self.held.insert(name.clone(), (Instant::now(), link));
    }

    /// Lets those begin who may.
    pub(super) fn release(&mut self, links: &mut BTreeMap<AccountName, Link>) {
        let behind = links.iter().any(|(name, link)| {
            matches!(link, Link::Connecting)
                && !(self.held.contains_key(name) && self.told.contains(name))
        });
        let (told, reading) = (&self.told, &self.behind);
        self.held.retain(|name, (since, link)| {
            let is_reading = reading.get(name).is_some_and(|at| *at > Instant::now());
            let most = match (told.contains(name), behind) {
                (true, false) => Duration::ZERO,
                (true, true) => OTHERS_MOST,
                (false, _) if is_reading => BEHIND_MOST,
                (false, _) => OWN_MOST,
            };
            let begins = since.elapsed() >= most;
            if begins {
                links.insert(name.clone(), link.clone());
            }
            !begins
        });
    }

    /// Whether somebody waits: he is looked at again soon.
    pub(super) fn anybody_waits(&self) -> bool {
        !self.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RandomKey;

    fn link() -> Link {
        Link::Ready {
            random_key: RandomKey([0; 32]),
            first_name: None,
            username: None,
        }
    }

    fn connecting(names: &[&str]) -> BTreeMap<AccountName, Link> {
        names
            .iter()
            .map(|name| (AccountName::from(*name), Link::Connecting))
            .collect()
    }

    fn ready(links: &BTreeMap<AccountName, Link>) -> Vec<&str> {
        links
            .iter()
            .filter(|(_, link)| matches!(link, Link::Ready { .. }))
            .map(|(name, _)| name.as_ref())
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_begins_when_it_and_those_beside_it_were_told_what_they_missed() {
        let (a, b) = (AccountName::from("a"), AccountName::from("b"));
        let mut links = connecting(&["a", "b"]);
        let mut readiness = Readiness::default();
        readiness.connected(&a, link());
        readiness.release(&mut links);
        assert_eq!(ready(&links), [""; 0]);
        readiness.caught_up(&a);
        readiness.release(&mut links);
        assert_eq!(
            ready(&links),
            [""; 0],
            "b may have been told something about the same people"
        );
        readiness.caught_up(&b);
        readiness.connected(&b, link());
        readiness.release(&mut links);
        assert_eq!(ready(&links), ["a", "b"]);
        assert!(!readiness.anybody_waits());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_keeps_an_account_for_long() {
        let (a, b) = (AccountName::from("a"), AccountName::from("b"));
        let mut links = connecting(&["a", "b", "silent"]);
        let mut readiness = Readiness::default();
        readiness.connected(&a, link());
        readiness.connected(&b, link());
        readiness.caught_up(&a);
        tokio::time::advance(OTHERS_MOST).await;
        readiness.release(&mut links);
        assert_eq!(ready(&links), ["a"]);
        tokio::time::advance(OWN_MOST - OTHERS_MOST).await;
        readiness.release(&mut links);
        assert_eq!(ready(&links), ["a", "b"]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_whose_missed_messages_are_being_read_waits_for_them() {
        let a = AccountName::from("a");
        let mut links = connecting(&["a"]);
        let mut readiness = Readiness::default();
        readiness.connected(&a, link());
        // Telegram asks to wait, and goes on then.
        readiness.behind(&a, Duration::from_secs(60));
        tokio::time::advance(Duration::from_secs(64)).await;
        readiness.release(&mut links);
        assert_eq!(ready(&links), [""; 0]);
        readiness.behind(&a, Duration::ZERO);
        tokio::time::advance(OWN_MOST - Duration::from_secs(1)).await;
        readiness.release(&mut links);
        assert_eq!(ready(&links), [""; 0]);
        // It fell silent.
        tokio::time::advance(Duration::from_secs(1)).await;
        readiness.release(&mut links);
        assert_eq!(ready(&links), ["a"]);
        // Nor is it waited for, for ever.
        links.insert(a.clone(), Link::Connecting);
        readiness.connected(&a, link());
        for _ in 0..BEHIND_MOST.as_secs() {
            readiness.behind(&a, Duration::ZERO);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        readiness.release(&mut links);
        assert_eq!(ready(&links), ["a"]);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_lost_connection_it_is_asked_again_what_was_missed() {
        let a = AccountName::from("a");
        let mut links = connecting(&["a"]);
        let mut readiness = Readiness::default();
        readiness.caught_up(&a);
        readiness.lost(&a);
        readiness.connected(&a, link());
        readiness.release(&mut links);
        assert_eq!(ready(&links), [""; 0]);
    }
}
