//! What the script of a scenario says: edits of files, an operator's words, and what befalls the machine.

use tidings::control::restoring;
use tidings::model::{AccountName, AccountState, Event, Lineage, Outcome, Timestamp};
use tidings::observed::Observed;
use tidings::plan::Link;

use super::driver::{Sim, refold};
use super::scenario::{Account, Edit, HOUR, Step};
use super::specs;
use super::world::person_id;

/// A crash that waits for a send comes by itself after so long.
const CRASH_WAITS: i64 = 6 * HOUR;

impl Sim {
    fn line(&self, number: usize) -> Option<Lineage> {
        self.observed
            .names
            .get(&self.campaigns[number].file_name())
            .cloned()
    }

    /// What the operator does, and what befalls the machine.
    pub fn script(&mut self) {
        let logged: Vec<AccountName> = self
            .logins
            .iter()
            .filter(|(_, at)| **at <= self.now)
            .map(|(name, _)| name.clone())
            .collect();
        for name in logged {
            self.logins.remove(&name);
            self.log_in(&name);
        }
        while let Some(next) = self.scenario.script.get(self.scripted)
            && self.scenario.start + next.at <= self.now
        {
            let what = next.what.clone();
            self.scripted += 1;
            self.scripted_step(what);
        }
    }

    fn scripted_step(&mut self, what: Step) {
        let alive = self.down_until.is_none();
        let by = || "operator".to_owned();
        match what {
            Step::Edit(number, Edit::Rename | Edit::Unrename)
                if self.line(number).is_none() || self.campaigns[number].broken =>
            {
                // What nobody saw under the old name, or never valid, is another campaign under the new one.
            }
            Step::Edit(number, Edit::Accounts(to)) if self.leaves_unread(number, &to) => {
                // Who takes an account out of a campaign that waits for its dialogs accepts that people hear twice: the
                // campaign says so.
            }
            Step::Edit(number, edit) => {
                self.campaigns[number].edit(&edit);
                if alive {
                    self.reload();
                }
            }
            Step::Limits(limits) => {
                self.limits = limits;
                if alive {
                    self.reload();
                }
            }
            Step::AccountLimit(number, per_day, zone) => {
                self.scenario.accounts[number] = Account { zone, per_day };
                if alive {
                    self.reload();
                }
            }
            Step::Suspend(number) => {
                let campaign = number.map(|number| self.line(number));
                if let Some(None) = campaign {
                    return;
                }
                self.operator(Event::Suspended {
                    campaign: campaign.flatten(),
                    reason: "simulated".to_owned(),
                    by: by(),
                });
            }
            Step::Resume(number) => {
                let campaign = number.map(|number| self.line(number));
                if let Some(None) = campaign {
                    return;
                }
                self.resume(campaign.flatten());
            }
            Step::Approve(number) => self.approve(number),
            Step::Reconcile(number) => {
                if let Some(campaign) = self.line(number) {
                    self.operator(Event::ReconcileRequested { campaign });
                }
            }
            Step::Retry(number) => {
                if let Some(campaign) = self.line(number) {
                    self.operator(Event::Reopened {
                        campaign,
                        outcomes: vec![Outcome::Failed, Outcome::TemplateError, Outcome::TooLong],
                        by: by(),
                    });
                }
            }
            Step::Resolve(number, sent) => self.resolve(number, sent),
            Step::OptOut(person) => {
                self.operator(Event::Suppressed {
                    person: person_id(person),
                    why: "an operator's list".to_owned(),
                });
            }
            Step::Crash {
                stage,
                down,
                power_cut,
            } => {
                if alive {
                    self.armed = Some((stage, self.now + CRASH_WAITS, down, power_cut));
                }
            }
            Step::Clock(by) => self.set_clock(by),
            Step::LinkDown(number, long) => {
                let name: AccountName = specs::account_name(number).into();
                if let Some(account) = self.world.accounts.get_mut(&name) {
                    account.down_until = account.down_until.max(self.now + long);
                }
            }
            Step::LoggedOut(number, long) => {
                let name: AccountName = specs::account_name(number).into();
                if let Some(account) = self.world.accounts.get_mut(&name)
                    && account.state.is_none()
                {
                    account.state = Some(AccountState::Unauthorized);
                    self.logins.insert(name, self.now + long);
                }
            }
            Step::Joins(person, place) => self.world.joins(person, place),
            Step::Backup => {
                if alive {
                    self.operator(Event::BackedUp {
                        file: "a file".to_owned(),
                        by: by(),
                    });
                    let renamed = self.campaigns.iter().map(|it| it.renamed).collect();
                    self.backup = Some((self.journal.clone(), self.wall(), renamed));
                }
            }
            Step::RestoreBackup { lost } => {
                if alive {
                    self.restore(lost);
                }
            }
        }
    }

    /// Whether an edit takes an account out of a campaign whose dialogs are still to be read after a restore.
    fn leaves_unread(&self, number: usize, to: &[usize]) -> bool {
        self.observed.restored.as_ref().is_some_and(|restored| {
            restored.unread.iter().any(|name| {
                let account = Sim::account_number(name);
                self.campaigns[number].accounts.contains(&account) && !to.contains(&account)
            })
        })
    }

    /// A backup takes the state's place, and the process begins anew.
    fn restore(&mut self, lost: bool) {
        let Some((journal, taken_at, renamed)) = self.backup.clone() else {
            return;
        };
        // A name between two renames that only a lost state knew leads nowhere: that is another campaign.
        let mut names = self.campaigns.iter().zip(renamed);
        if lost && names.any(|(it, before)| it.renamed > before + 1) {
            return;
        }
        self.armed = None;
        self.answers.clear();
        let present = match lost {
            true => Observed::default(),
            false => std::mem::take(&mut self.observed),
        };
        // A restore waits for what is under way; when one that was tried again took effect, and so how long the pause
        // after it lasts, nobody knows here.
        if !present.in_flight.is_empty() {
            self.checker.clock_set_unseen(self.now);
        }
        let backup = refold(&journal);
        // What the present state knows of messages it knows up to its last event.
        let since = match lost {
            true => taken_at,
            false => taken_at.max(present.at),
        };
        let events = restoring(&present, &backup, since, taken_at, "operator");
        self.journal = journal;
        self.observed = backup;
        let fired = std::mem::take(&mut self.checker.fired);
        self.checker.rebuilt(&self.journal);
        if lost {
            self.checker.state_lost(self.world.ledger.len(), self.now);
        }
        self.record(events);
        if !lost {
            self.checker.fired.still_opened(&fired);
        }
        self.sync();
        self.start();
    }

    /// An operator's word is durable before it is answered.
    fn operator(&mut self, event: Event) {
        self.record(vec![event]);
        self.sync();
    }

    fn resume(&mut self, campaign: Option<Lineage>) {
        self.runtime.target_faults.clear();
        self.operator(Event::Resumed {
            campaign,
            reason: "simulated".to_owned(),
            by: "operator".to_owned(),
        });
    }

    fn approve(&mut self, number: usize) {
        let name = self.campaigns[number].file_name();
        let Some(wanted) = self.desired.campaigns.get(&name) else {
            return;
        };
        let (Some(spec), Some(known)) =
            (&wanted.spec, self.observed.campaigns.get(&wanted.lineage))
        else {
            return;
        };
        self.operator(Event::Approved {
            campaign: wanted.lineage.clone(),
            digest: spec.approval_digest.clone(),
            people: known.pending() + known.run_total(),
            by: "operator".to_owned(),
        });
    }

    /// The operator looks into a dialog: he says what is true.
    fn resolve(&mut self, number: usize, _sent: bool) {
        let Some(line) = self.line(number) else {
            return;
        };
        let uncertain: Vec<_> = self.checker.uncertain(&line);
        for key in uncertain {
            let sent = self.world.ledger.iter().any(|effect| effect.key == key);
            self.operator(Event::OperatorResolved {
                key,
                sent,
                by: "operator".to_owned(),
            });
        }
    }

    fn set_clock(&mut self, by: i64) {
        self.offset += by;
        if self.down_until.is_some() {
            self.checker.clock_set_unseen(self.now);
            return;
        }
        self.record(vec![Event::ClockSet { by_ms: by }]);
        let now = self.wall();
        for link in self.runtime.links.values_mut() {
            if let Link::Unreachable { retry_at, .. } = link
                && *retry_at < Timestamp::MAX
            {
                *retry_at = now;
            }
        }
        self.runtime.typing.clear();
    }

    fn log_in(&mut self, name: &AccountName) {
        if let Some(account) = self.world.accounts.get_mut(name) {
            account.state = None;
        }
        // A new session file: what the old one had in hand is in doubt.
        if self.down_until.is_none() {
            self.abandon(name);
            self.runtime.links.remove(name);
        }
    }

    /// Everything that can be mended is, and nothing goes wrong any more.
    pub fn becalm(&mut self) {
        self.world.calm = true;
        self.armed = None;
        self.logins.clear();
        if self.down_until.take().is_some() {
            self.start();
        }
        for campaign in &mut self.campaigns {
            campaign.broken = false;
        }
        self.reload();
        let names: Vec<AccountName> = self.world.accounts.keys().cloned().collect();
        for name in names {
            let account = &self.world.accounts[&name];
            let lost = matches!(account.state, Some(AccountState::Unauthorized));
            if let Some(account) = self.world.accounts.get_mut(&name) {
                account.down_until = 0;
            }
            if lost {
                self.log_in(&name);
            }
        }
        self.resume(None);
        for number in 0..self.campaigns.len() {
            self.approve(number);
            if self.line(number).is_some() {
                self.scripted_step(Step::Resume(Some(number)));
            }
        }
    }
}
