//! The sends of one account that have no answer yet.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;

use crate::model::{PersonId, SendKey};
use crate::telegram::{AccountClient, CallError, Delivered, Membership, is_invite};

/// The most sends of an account that are under way at once: as many as go into one frame pay for one. No more than these
/// can have left before a refusal that stops the account is known.
const OVERLAP: usize = 16;
/// So many accepted in a row are worth one more of them: only an account that Telegram takes everything from, with no
/// pause between its messages, comes to [`OVERLAP`], and any refusal takes it back to one.
const ACCEPTED_EACH: usize = 16;

/// A send to begin.
pub(super) struct Send {
    pub(super) key: SendKey,
    pub(super) request: Vec<u8>,
    pub(super) unless_in: Option<Vec<u8>>,
    pub(super) epoch: u64,
}

impl Send {
    /// Whether it goes with no other beside it: an invite changes the place that the next one asks about.
    fn is_alone(&self) -> bool {
        self.unless_in.is_some() || is_invite(&self.request)
    }

    /// Sends the bytes, to whoever is not yet where the invite leads. What Telegram does not show keeps nobody from it.
    async fn perform(self, client: Arc<dyn AccountClient>) -> Ended {
        let result = match self.unless_in {
            Some(invite) => match client.was_added(&invite).await {
                Ok(Membership::Member { .. }) => Err(CallError::already_member()),
                Ok(_) => client.send(self.request).await,
                Err(error) => Err(error),
            },
            None => client.send(self.request).await,
        };
        Ended {
            key: self.key,
            epoch: self.epoch,
            result,
        }
    }
}

/// A send that has its answer.
pub(super) struct Ended {
    pub(super) key: SendKey,
    pub(super) epoch: u64,
    pub(super) result: Result<Delivered, CallError>,
}

/// What is under way.
#[derive(Default)]
pub(super) struct Sends {
    calls: FuturesUnordered<BoxFuture<'static, Ended>>,
    /// To whom.
    persons: Vec<PersonId>,
    /// The one that is under way allows no other.
    alone: bool,
    /// Accepted in a row.
    accepted: usize,
}

impl Sends {
    /// Whether nothing is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Whether it may begin now. Two messages to one person never overlap: he reads them in their order.
    pub(super) fn may_begin(&self, send: &Send) -> bool {
        if self.is_empty() {
            return true;
        }
        let most = (1 + self.accepted / ACCEPTED_EACH).min(OVERLAP);
        !self.alone
            && !send.is_alone()
            && self.persons.len() < most
            && !self.persons.contains(&send.key.person)
    }

    /// Begins it.
    pub(super) fn begin(&mut self, send: Send, client: Arc<dyn AccountClient>) {
        self.persons.push(send.key.person);
        self.alone = send.is_alone();
        self.calls.push(Box::pin(send.perform(client)));
    }

    /// The next that ends. Waits for ever where nothing is under way.
    pub(super) async fn ended(&mut self) -> Ended {
        let Some(ended) = self.calls.next().await else {
            return std::future::pending().await;
        };
        self.persons.retain(|person| *person != ended.key.person);
        self.accepted = match ended.result {
            Ok(_) => self.accepted.saturating_add(1),
            Err(_) => 0,
        };
        ended
    }
}
