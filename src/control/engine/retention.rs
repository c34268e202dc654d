//! What is kept for how long (`retention` of tidings.yaml): one pass over all of it, at the start and then daily by the
//! engine's clock.

use roaring::RoaringBitmap;

use super::*;
use crate::observed::Handle;

/// How often it is looked after.
const EVERY: Duration = Duration::from_secs(24 * 3600);
/// The defaults (CONTRACT section 3).
const EVENTS: Duration = Duration::from_secs(365 * 86_400);
const CONVERSATIONS: Duration = Duration::from_secs(90 * 86_400);
const AUDIENCES: Duration = Duration::from_secs(180 * 86_400);
/// People removed in one step.
const PAGE: usize = 10_000;

impl Engine {
    /// Drops events, what was said, and people that are older than they are to be kept. Send-once keys, suppressions,
    /// and that a human took a conversation over stay for ever.
    pub(super) fn retention(&mut self) -> Result<(), RunError> {
        let now = self.core.clock.now();
        if self.options.idle
            || self.core.looks_only
            || self.cleared.is_some_and(|at| now < at + EVERY)
        {
            return Ok(());
        }
        self.cleared = Some(now);
        let wanted = self.core.desired.engine.spec.retention.unwrap_or_default();
        let of = |given: Option<crate::spec::Duration>, otherwise: Duration| {
            given.map_or(otherwise, |given| Duration::from_millis(given.millis()))
        };
        let events = of(wanted.events, EVENTS);
        let conversations = of(wanted.conversations, CONVERSATIONS);
        let audiences = of(wanted.audiences, AUDIENCES);
        self.drop_events(now - events)?;
        self.drop_lines(now - conversations)?;
        self.drop_audiences(now - audiences)
    }

    fn drop_events(&mut self, before: Timestamp) -> Result<(), RunError> {
        let (first, keep) = {
            let Some(store) = self.core.store() else {
                return Ok(());
            };
            let first = store.first_seq().map_err(CoreError::from)?;
            let keep = store
                .first_where(|recorded: &crate::model::Recorded| recorded.at >= before)
                .map_err(CoreError::from)?;
            (first, keep)
        };
        if keep <= first {
            return Ok(());
        }
        // What is dropped must be in the folded state first.
        self.core.checkpoint(true)?;
        if let Some(store) = self.core.store() {
            let packs = store.compact(keep).map_err(CoreError::from)?;
            tracing::info!(packs, "events older than `retention.events` were dropped");
        }
        Ok(())
    }

    /// What was said in conversations.
    fn drop_lines(&mut self, before: Timestamp) -> Result<(), RunError> {
        let lines = self
            .core
            .people
            .forget_lines_before(before)
            .map_err(CoreError::from)?;
        if lines > 0 {
            tracing::info!(
                lines,
                "lines older than `retention.conversations` were taken out"
            );
            self.erase()?;
        }
        Ok(())
    }

    /// What was taken out leaves the disk too: the database is written anew at the next start.
    fn erase(&self) -> Result<(), RunError> {
        if let Some(store) = self.core.store() {
            store.sync_database().map_err(CoreError::from)?;
            store.erase_traces().map_err(CoreError::from)?;
        }
        Ok(())
    }

    /// People of campaigns that ended so long ago, and of no other.
    fn drop_audiences(&mut self, before: Timestamp) -> Result<(), RunError> {
        let observed = &self.core.observed;
        let (mut gone, mut kept) = (RoaringBitmap::new(), RoaringBitmap::new());
        for (line, campaign) in &observed.campaigns {
            let end = self
                .core
                .desired
                .campaigns
                .values()
                .find(|wanted| wanted.lineage == *line)
                .and_then(|wanted| wanted.spec.as_ref())
                .and_then(|spec| spec.schedule.end);
            let over = [campaign.retired, end]
                .into_iter()
                .flatten()
                .any(|at| at < before);
            let set = if over { &mut gone } else { &mut kept };
            set.extend(campaign.recipients.keys());
            for source in campaign.sources.values() {
                *set |= source.found();
            }
        }
        for source in observed.unseen.values().flat_map(|it| it.sources.values()) {
            kept |= source.found();
        }
        gone -= kept;
        gone -= &observed.own;
        gone -= &observed.suppressed;
        gone -= &observed.opted_out;
        let people: Vec<PersonId> = gone
            .iter()
            .filter(|number| {
                observed.contacted.get(number).is_none_or(|known| {
                    known
                        .last_sent()
                        .max(known.last_reply())
                        .unwrap_or(Timestamp::MIN)
                        < before
                })
            })
            .filter_map(|number| observed.persons.id(Handle(number)))
            .collect();
        let mut removed = 0;
        for page in people.chunks(PAGE) {
            removed += self.core.people.remove(page).map_err(CoreError::from)?;
        }
        if removed > 0 {
            tracing::info!(
                people = removed,
                "people of audiences older than `retention.audiences` were erased"
            );
            self.erase()?;
        }
        Ok(())
    }
}
