//! `tidings plan` without a daemon, and its `--refresh`: the sources are asked, and nothing else happens.
//!
//! # Guarantees
//! A refresh writes down what the sources named and what Telegram said, and nothing of what the engine would make of it:
//! no campaign counts as seen, retired or run because somebody asked what would happen. So a daemon begins with what it
//! would have begun with, and a refresh that is killed leaves nothing but what it had found.

use std::sync::Arc;

use super::answer::{daemon_info, misused, names_now, plan_reply, retired};
use super::core::{Open, changes};
use super::{Clock, Core, CoreError, RequestError, RunError, RunOptions, Workspace};
use crate::model::{Event, Recorded, Reply};
use crate::observed::fold;
use crate::plan::Action;
use crate::status::{self, PlanDocument};
use crate::store::{Appended, Durability};

/// Passes over campaigns that are taken up in memory: to be seen, to open a run, to be judged, to be held against others
/// and a few more. What is not settled by then is not going to be.
const PASSES: usize = 16;

/// Whether an event is what the engine makes of specs and look-ups, rather than what it was told by a source, by Telegram
/// or by an operator. It makes the same of them again.
fn is_made(event: &Event) -> bool {
    matches!(
        event,
        Event::Started { .. }
            | Event::SpecSeen { .. }
            | Event::SpecFacts { .. }
            | Event::SettingsSeen { .. }
            | Event::Retired { .. }
            | Event::FileChecked { .. }
            | Event::ReconcileRequested { .. }
            | Event::ScheduleSeen { .. }
            | Event::Fired { .. }
            | Event::RunOpened { .. }
            | Event::RunStarted { .. }
            | Event::RunSettled { .. }
            | Event::Finished { .. }
            | Event::Judged { .. }
            | Event::LineageChecked { .. }
            | Event::Skipped { .. }
            | Event::StepSkipped { .. }
            | Event::Stalled { .. }
            | Event::SelfPaused { .. }
            | Event::CampaignWaits { .. }
            | Event::AccountAway { .. }
            | Event::Warming { .. }
    )
}

impl Core {
    /// Writes down what was found, and takes the rest up in memory only.
    pub(super) fn record_found(
        &mut self,
        events: Vec<Event>,
        durability: Durability,
    ) -> Result<Option<Appended>, CoreError> {
        let mut appended = None;
        for these in events.chunk_by(|a, b| is_made(a) == is_made(b)) {
            if these.first().is_some_and(is_made) {
                // After all that is in the journal, whose numbers it does not take.
                self.imagine(these, self.observed.seq + 1);
            } else {
                appended = self.append(these.to_vec(), durability)?;
            }
        }
        Ok(appended)
    }

    /// Takes events up as though they stood in the journal under this number.
    fn imagine(&mut self, events: &[Event], seq: u64) {
        let last = self.observed.seq;
        let at = self.clock.now();
        for event in events {
            let event = event.clone();
            self.planner.note(&event, &self.observed);
            fold(&mut self.observed, seq, &Recorded { at, event });
        }
        self.observed.seq = last;
    }

    /// What would happen. Campaigns that no daemon has seen, and whose sources were looked up, are taken up in memory: as
    /// a daemon would, had it opened their runs just before those look-ups.
    pub(super) fn plan_ahead(&mut self) -> PlanDocument {
        let known = self.plan_document();
        if self.observed.unseen.is_empty() {
            return known;
        }
        let unseen = &self.observed.unseen;
        let mut seen = changes(&self.desired, &self.observed);
        seen.retain(|event| {
            matches!(event, Event::SpecSeen { campaign, error: None, .. } if unseen.contains_key(campaign))
        });
        // One that may send nothing yet shows whom it would reach, as where a daemon is asked to look.
        let asked = seen.iter().filter_map(|event| match event {
            Event::SpecSeen { campaign, .. } => Some(Event::ReconcileRequested {
                campaign: campaign.clone(),
            }),
            _ => None,
        });
        let asked: Vec<Event> = asked.collect();
        self.imagine(&seen, 0);
        self.imagine(&asked, 0);
        for _ in 0..PASSES {
            let made: Vec<Event> = self
                .plan_report()
                .actions
                .into_iter()
                .flat_map(|action| match action {
                    Action::Record(event) if is_made(&event) => vec![event],
                    Action::Judge { campaign } => {
                        crate::plan::audience::judge(&self.inputs(), &campaign)
                    }
                    _ => Vec::new(),
                })
                .collect();
            if made.is_empty() {
                break;
            }
            self.imagine(&made, 0);
        }
        self.plan_document().against(known)
    }

    fn plan_document(&self) -> PlanDocument {
        status::plan_document(
            &self.inputs(),
            &self.plan_report(),
            daemon_info(self, false),
        )
    }
}

/// `tidings plan` without a daemon.
pub(super) async fn plan(
    workspace: &Workspace,
    names: Vec<String>,
    refresh: bool,
) -> Result<Reply, RequestError> {
    let open = || {
        let wait = super::STATE_WAIT_AT_ONCE;
        Core::open(workspace.clone(), Clock::default(), Open::Read, wait)
    };
    let mut core = open()?;
    let names = &names_now(&core, names);
    if let Some(gone) = retired(&core, names) {
        return Ok(gone);
    }
    if refresh {
        let wanted = match core.plan_document().only(names) {
            Ok(plan) => plan.campaigns.into_iter().map(|campaign| campaign.name),
            Err(error) => return Ok(misused(error.to_string())),
        };
        let options = RunOptions {
            lookups_only: true,
            refresh: Some(wanted.collect()),
            ..RunOptions::default()
        };
        core.close().await?;
        let telegram = Arc::new(crate::telegram::GrammersTelegram);
        super::run_with(workspace.clone(), options, telegram)
            .await
            .map_err(|error| match error {
                RunError::Core(error) => RequestError::Core(error),
                other => RequestError::Daemon(other.to_string()),
            })?;
        core = open()?;
    }
    let plan = core.plan_ahead().only(names);
    Ok(plan_reply(&core, plan))
}
