//! Look-ups: ordered, read page by page, written down.

use super::*;
use crate::control::people_store::Encoded;
use crate::telegram::{Cursor, Find, Met};

/// People in one journal event of an audience that is taken over: as many as in one of a file.
const PAGE: usize = 1000;

/// Pages that come one after another faster than this are written down together: their people share one sync.
const TOGETHER: Duration = Duration::from_millis(50);

/// And at most so many people, which take some 10 MB.
const MOST_TOGETHER: usize = 20_000;

/// A page that an account read.
struct Page {
    account: AccountName,
    which: Which,
    /// Those whom the account can address.
    reached: Vec<(PersonId, Person)>,
    unreached: Vec<PersonId>,
    /// The rows of all of them, made while the next page is on its way.
    rows: [Encoded; 2],
    next: Option<Cursor>,
    total: Option<u64>,
}

/// Pages that are not written down yet. Nothing is known of them, so that nothing is lost with them: after a crash they are
/// read again. Whatever else comes in is taken in after them.
#[derive(Default)]
pub(super) struct Pages {
    waiting: Vec<Page>,
    people: usize,
    since: Option<tokio::time::Instant>,
}

impl Pages {
    fn add(&mut self, page: Page) {
        self.since.get_or_insert_with(tokio::time::Instant::now);
        self.people += page.reached.len() + page.unreached.len();
        self.waiting.push(page);
    }

    /// How long they may wait still.
    pub(super) fn sleep_most(&self) -> Duration {
        match self.since {
            None => Duration::MAX,
            Some(_) if self.people >= MOST_TOGETHER => Duration::ZERO,
            Some(since) => TOGETHER.saturating_sub(since.elapsed()),
        }
    }
}

/// Posts whose comments are read where the spec does not say.
const POSTS: u32 = 50;

/// A look-up as the planner ordered it.
pub(super) struct Ordered {
    pub(super) campaign: Lineage,
    pub(super) source: SourceId,
    pub(super) what: SourceKind,
    pub(super) account: Option<AccountName>,
    pub(super) limit: Option<u32>,
    pub(super) label: String,
    pub(super) from: Option<(String, u64)>,
}

/// Whom an account is to look for; nothing for what the workspace itself holds.
fn find_of(what: &SourceKind, now: Timestamp) -> Option<Find> {
    let since = |within: &Option<Duration>| within.map(|within| now - within);
    Some(match what {
        SourceKind::Members { place } => Find::Members {
            place: place.clone(),
        },
        SourceKind::Authors { place, within } => Find::Authors {
            place: place.clone(),
            since: since(within),
        },
        SourceKind::Commenters { place, posts } => Find::Commenters {
            place: place.clone(),
            posts: posts.unwrap_or(POSTS),
        },
        SourceKind::Dialogs { within } => Find::Dialogs {
            since: since(within),
        },
        SourceKind::Contacts => Find::Contacts,
        SourceKind::File { .. } | SourceKind::List { .. } | SourceKind::Audience { .. } => {
            return None;
        }
    })
}

impl Engine {
    /// Begins a look-up, or lets one go on where it stopped.
    pub(super) fn look_up(
        &mut self,
        ordered: Ordered,
        records: &mut Vec<Event>,
    ) -> Result<(), RunError> {
        let Ordered {
            campaign,
            source,
            what,
            account,
            limit,
            label,
            from,
        } = ordered;
        self.labels
            .insert((campaign.clone(), source), label.clone());
        let Some(name) = account else {
            records.push(Event::LookupStarted {
                campaign: campaign.clone(),
                source,
                account: None,
            });
            return self.look_into_workspace(campaign, source, what, limit, &label, records);
        };
        let (Some(task), Some(what)) =
            (self.tasks.get(&name), find_of(&what, self.core.clock.now()))
        else {
            return Ok(());
        };
        records.push(match &from {
            Some(_) => Event::LookupResumed {
                campaign: campaign.clone(),
                source,
                account: name.clone(),
            },
            None => Event::LookupStarted {
                campaign: campaign.clone(),
                source,
                account: Some(name.clone()),
            },
        });
        if from.is_none() && what.names_a_username() {
            records.push(Event::LookupSpent {
                account: name.clone(),
            });
        }
        self.core
            .runtime
            .looking_up
            .insert((campaign.clone(), source, Some(name)));
        let found = from.as_ref().map_or(0, |(_, found)| *found);
        task.order(Order::LookUp {
            campaign,
            source,
            what,
            left: limit.map(|limit| u64::from(limit).saturating_sub(found)),
            from: from.map(|(cursor, _)| Cursor(cursor)),
        });
        Ok(())
    }

    /// Files, lists, and what another campaign collected.
    fn look_into_workspace(
        &mut self,
        campaign: Lineage,
        source: SourceId,
        what: SourceKind,
        limit: Option<u32>,
        label: &str,
        records: &mut Vec<Event>,
    ) -> Result<(), RunError> {
        let read = LookupEnd {
            complete: true,
            admin: true,
            ..LookupEnd::default()
        };
        match &what {
            SourceKind::List { people } => {
                let people = lookups::of_list(people, label);
                let ids: Vec<PersonId> = people.iter().map(|(id, _)| *id).collect();
                self.core.people.merge(people).map_err(CoreError::from)?;
                let known = self.known(&ids)?;
                page_and_end(records, campaign, source, &ids, known, read);
            }
            SourceKind::Audience { campaign: other } => {
                let ids = self.core.collected(other);
                page_and_end(records, campaign, source, &ids, Vec::new(), read);
            }
            SourceKind::File { path, .. } => {
                self.core
                    .runtime
                    .looking_up
                    .insert((campaign.clone(), source, None));
                let which = (campaign, source);
                let tell = self.found.clone();
                match self.core.workspace.files().open(path) {
                    Ok(opened) => {
                        let label = label.to_owned();
                        tokio::task::spawn_blocking(move || {
                            lookups::of_file(opened, &what, limit, &label, &which, &tell);
                        });
                    }
                    Err(error) => {
                        let end = LookupEnd {
                            error: Some(format!("{path}: {error}")),
                            admin: true,
                            ..LookupEnd::default()
                        };
                        tokio::spawn(async move {
                            let _ = tell.send((which, Found::End(end))).await;
                        });
                    }
                }
            }
            // Accounts look these up.
            SourceKind::Members { .. }
            | SourceKind::Authors { .. }
            | SourceKind::Commenters { .. }
            | SourceKind::Dialogs { .. }
            | SourceKind::Contacts => {}
        }
        Ok(())
    }

    /// Something that a file source found.
    pub(super) fn found(
        &mut self,
        which: Which,
        found: Found,
        events: &mut Vec<Event>,
    ) -> Result<(), RunError> {
        let (campaign, source) = which;
        match found {
            Found::Page(people) => {
                self.write(events)?;
                let ids = people.ids();
                let merged = self
                    .core
                    .people
                    .merge_encoded(std::slice::from_ref(&people));
                merged.map_err(CoreError::from)?;
                let known = self.known(&ids)?;
                events.push(Event::LookupPage {
                    campaign,
                    source,
                    account: None,
                    people: ids,
                });
                events.extend(known);
            }
            Found::End(end) => {
                self.core
                    .runtime
                    .looking_up
                    .remove(&(campaign.clone(), source, None));
                events.push(Event::LookupEnded {
                    campaign,
                    source,
                    account: None,
                    end,
                });
            }
        }
        Ok(())
    }

    /// Writes down the pages that wait: people first, then that they were found, then where it goes on.
    pub(super) fn write_pages(&mut self, events: &mut Vec<Event>) -> Result<(), RunError> {
        let Pages { waiting, .. } = std::mem::take(&mut self.pages);
        if waiting.is_empty() {
            return Ok(());
        }
        // Whom a file named a moment ago must be known by now: he may be among these.
        let names = |event: &Event| matches!(event, Event::LookupPage { account: None, .. });
        if events.iter().any(names) {
            self.write(events)?;
        }
        let mut rows = Vec::with_capacity(2 * waiting.len());
        for page in waiting {
            self.page(page, &mut rows, events)?;
        }
        Ok(self
            .core
            .people
            .merge_encoded(&rows)
            .map_err(CoreError::from)?)
    }

    /// Takes a page that an account read to those that wait.
    pub(super) fn page_came(
        &mut self,
        account: AccountName,
        which: Which,
        people: Vec<Met>,
        next: Option<Cursor>,
        total: Option<u64>,
    ) {
        let label = self.labels.get(&which).map(String::as_str);
        let (mut reached, mut unreached) = (Vec::with_capacity(people.len()), Vec::new());
        for met in people {
            let min = met.min;
            if let Some(one) = person_of(met, label) {
                let side = if min { &mut unreached } else { &mut reached };
                side.push(one);
            }
        }
        self.pages.add(Page {
            account,
            which,
            rows: [Encoded::of(&reached), Encoded::of(&unreached)],
            reached,
            unreached: unreached.into_iter().map(|(id, _)| id).collect(),
            next,
            total,
        });
    }

    fn page(
        &mut self,
        page: Page,
        all: &mut Vec<Encoded>,
        events: &mut Vec<Event>,
    ) -> Result<(), RunError> {
        let Page {
            account: name,
            which: (campaign, source),
            reached,
            unreached,
            rows,
            next,
            total,
        } = page;
        let merged = self.recognised(&name, &reached)?;
        if let Some(names) = &mut self.names {
            for (id, person) in &reached {
                names.met(*id, person, &name);
            }
        }
        all.extend(rows);
        events.push(Event::LookupPage {
            campaign: campaign.clone(),
            source,
            account: Some(name.clone()),
            people: reached.iter().map(|(id, _)| *id).collect(),
        });
        events.extend(merged);
        events.push(Event::LookupAt {
            campaign,
            source,
            account: name,
            unreached,
            next: next.map(|next| next.0),
            total,
        });
        Ok(())
    }
}

/// Everybody of a source at once, in pages of one event each.
fn page_and_end(
    records: &mut Vec<Event>,
    campaign: Lineage,
    source: SourceId,
    ids: &[PersonId],
    known: Vec<Event>,
    end: LookupEnd,
) {
    for people in ids.chunks(PAGE) {
        records.push(Event::LookupPage {
            campaign: campaign.clone(),
            source,
            account: None,
            people: people.to_vec(),
        });
    }
    records.extend(known);
    records.push(Event::LookupEnded {
        campaign,
        source,
        account: None,
        end,
    });
}
