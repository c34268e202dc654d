//! Second chances by the operator, for whoever was never sent to.

use super::{Campaign, Handle, Observed, Recipient, Status};
use crate::model::{Lineage, Outcome};

impl Campaign {
    /// How many a second chance would be given to: people by the first step, and follow-ups.
    pub fn retryable(&self, outcome: Outcome) -> (u64, u64) {
        (
            self.outcomes.get(&outcome).copied().unwrap_or(0),
            self.steps.ended_as(outcome),
        )
    }
}

/// They are pending again.
pub(super) fn reopened(state: &mut Observed, line: &Lineage, outcomes: &[Outcome]) {
    let Observed {
        persons,
        campaigns,
        suppressed,
        opted_out,
        nobody,
        relooked,
        ..
    } = state;
    let Some(it) = campaigns.get_mut(line) else {
        return;
    };
    for outcome in outcomes
        .iter()
        .filter(|outcome| outcome.may_retry().is_ok())
    {
        let again: Vec<u32> = it
            .recipients
            .iter()
            .filter(|(number, recipient)| {
                recipient.status == Status::Settled(*outcome)
                    && !suppressed.contains(*number)
                    && !opted_out.contains(*number)
            })
            .map(|(number, _)| number)
            .collect();
        for number in again {
            super::recipients::uncount(&mut it.outcomes, *outcome);
            let handle = Handle(number);
            // What Telegram did not know then is asked anew.
            nobody.remove(number);
            relooked.retain(|(_, who)| *who != number);
            let mut recipient = Recipient::of(Status::Pending);
            // No other account ever tries what one could not send; of whom it could merely not address one may.
            if let Some(before) = it.recipients.get(&number)
                && before.bound
                && !matches!(outcome, Outcome::NotFound | Outcome::Unreachable)
            {
                recipient.account = before.account;
                recipient.bound = true;
            }
            it.recipients.insert(number, recipient);
            let class = super::recipients::class_of(persons, &recipient, handle);
            it.enqueue(handle, persons, class);
            super::runs::reopen(it);
        }
        it.steps.reopen(*outcome, |handle| {
            !suppressed.contains(handle.0) && !opted_out.contains(handle.0)
        });
    }
    it.failures_in_row = 0;
    it.guard_base = it.guard_totals();
}
