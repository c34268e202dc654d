//! What is charged to caps goes from the state before a restore to the one after it.

use crate::model::{Charges, Event, Timestamp};
use crate::observed::{Meter, Observed};

/// What the present state charged and the backup may not know. What both know counts once.
pub(super) fn united(present: &Observed, backup: &Observed) -> Vec<Event> {
    let mut events = Vec::new();
    let none = Meter::default();
    for (name, it) in &present.accounts {
        let known = backup.accounts.get(name);
        let of = |meter: &Meter, before: Option<&Meter>| {
            let charges = meter.charges();
            match charges == before.unwrap_or(&none).charges() {
                true => Charges::default(),
                false => charges,
            }
        };
        let sent = of(&it.meter, known.map(|known| &known.meter));
        let attested = of(&it.attested, known.map(|known| &known.attested));
        let lookups = of(&it.lookups, known.map(|known| &known.lookups));
        let waits = known.is_none_or(|known| known.next_allowed_at < it.next_allowed_at);
        if waits || [&sent, &attested, &lookups].iter().any(|c| !c.is_empty()) {
            events.push(Event::ChargesUnited {
                account: Some(name.clone()),
                campaign: None,
                sent: Box::new(sent),
                attested: Box::new(attested),
                lookups: Box::new(lookups),
                next_allowed_at: it.next_allowed_at,
            });
        }
    }
    for (line, it) in &present.campaigns {
        let all = std::iter::once((None, &it.meter)).chain(it.meters.iter().filter_map(
            |(index, meter)| Some((Some(present.account_name(*index)?.clone()), meter)),
        ));
        for (account, meter) in all {
            let sent = meter.charges();
            if !sent.is_empty() {
                events.push(Event::ChargesUnited {
                    account,
                    campaign: Some(line.clone()),
                    sent: Box::new(sent),
                    attested: Box::default(),
                    lookups: Box::default(),
                    next_allowed_at: Timestamp::MIN,
                });
            }
        }
    }
    events
}
