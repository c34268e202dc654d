//! Commands and their answers, the same with a daemon and without.

use std::collections::BTreeSet;

use serde::Serialize;

use super::commits::commit_with;
use super::core::Open;
use super::marks::Whose;
use super::{Clock, Core, RequestError, RunOptions, Workspace};
use crate::model::{AccountName, Command, Event, Lineage, Reply};
use crate::plan::Plan;
use crate::spec::diagnostic::no_such;
use crate::status::{
    self, CampaignNames as _, CampaignPlan, Change, DaemonInfo, PlanDocument, UnknownCampaign,
};
use crate::store::Durability;
use crate::web::Health as _;

pub(super) fn refused(message: impl Into<String>) -> Reply {
    Reply::Refused {
        message: message.into(),
        usage: false,
    }
}

pub(super) fn misused(message: impl Into<String>) -> Reply {
    Reply::Refused {
        message: message.into(),
        usage: true,
    }
}

pub(super) fn done(message: impl Into<String>) -> Reply {
    Reply::Done {
        message: message.into(),
    }
}

pub(super) fn document(body: &impl Serialize) -> Reply {
    match serde_json::to_value(body) {
        Ok(body) => Reply::Document { body },
        Err(error) => refused(format!("the report cannot be written: {error}")),
    }
}

/// As [`document`], of one that may be long.
fn written(body: &impl Serialize) -> Reply {
    match serde_json::to_string(body) {
        Ok(json) => Reply::Written { json },
        Err(error) => refused(format!("the report cannot be written: {error}")),
    }
}

/// Who answers.
pub(super) fn daemon_info(core: &Core, running: bool) -> DaemonInfo {
    let age = u64::try_from(core.pulse.heartbeat_age().as_millis()).unwrap_or(u64::MAX);
    DaemonInfo {
        running,
        pid: running.then(std::process::id),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        heartbeat_age_ms: running.then_some(age),
        web: core.pulse.web(),
    }
}

/// The report on these campaigns, or on all, with the commits that the specs come from. `plan`: one for reports that still
/// holds.
fn report(
    core: &Core,
    daemon: bool,
    plan: Option<&Plan>,
    names: &[String],
) -> Result<status::StatusReport, status::UnknownCampaign> {
    let made;
    let plan = match plan {
        Some(plan) => plan,
        None => {
            made = core.plan_report();
            &made
        }
    };
    let mut report = status::report_on(&core.inputs(), plan, daemon_info(core, daemon), names)?;
    for campaign in &mut report.campaigns {
        let named = core.desired.campaigns.get(&campaign.name);
        let files = named.into_iter().flat_map(|wanted| &wanted.files);
        campaign.commit = core
            .commits
            .of(std::iter::once(&campaign.file)
                .chain(files)
                .map(String::as_str))
            .map(|commit| commit.hash.clone());
    }
    Ok(report)
}

/// The answer to `plan`. A version that was committed after it was seen has its commit too.
pub(super) fn plan_reply(core: &Core, plan: Result<PlanDocument, UnknownCampaign>) -> Reply {
    let mut plan = match plan {
        Ok(plan) => plan,
        Err(error) => return misused(error.to_string()),
    };
    let unknown = |campaign: &&mut CampaignPlan| {
        campaign.change == Change::Update && campaign.known_commit.is_none()
    };
    for campaign in plan.campaigns.iter_mut().filter(unknown) {
        let wanted = core.desired.campaigns.get(&campaign.name);
        let seen = wanted.and_then(|it| core.observed.campaigns.get(&it.lineage));
        if let (Some(wanted), Some(seen)) = (wanted, seen) {
            let root = &core.workspace.root;
            campaign.known_commit = commit_with(root, &seen.file, &wanted.files, &seen.digest);
        }
    }
    document(&plan)
}

/// What a reload found.
pub(super) fn verdict(core: &Core) -> Reply {
    let errors: Vec<String> = core
        .diagnostics
        .iter()
        .filter(|d| d.is_error())
        .map(ToString::to_string)
        .collect();
    if errors.is_empty() {
        done(match core.desired.campaigns.len() {
            1 => "1 campaign, valid".to_owned(),
            many => format!("{many} campaigns, all valid"),
        })
    } else {
        refused(errors.join("\n"))
    }
}

/// The line of the campaign that is called so now, or was before.
pub(super) fn line_of(core: &Core, name: &str) -> Option<Lineage> {
    core.observed.names.get(name).cloned().or_else(|| {
        core.desired
            .campaigns
            .get(name)
            .map(|wanted| wanted.lineage.clone())
    })
}

/// A name as its campaign bears it now: one that was renamed is meant by its earlier names too.
pub(super) fn name_now(core: &Core, name: String) -> String {
    match core.observed.names.get(&name) {
        Some(line) if !core.desired.campaigns.contains_key(&name) => name_of(core, line).to_owned(),
        _ => name,
    }
}

pub(super) fn names_now(core: &Core, names: Vec<String>) -> Vec<String> {
    names.into_iter().map(|name| name_now(core, name)).collect()
}

/// What a campaign is called now.
pub(super) fn name_of<'a>(core: &'a Core, line: &'a Lineage) -> &'a str {
    core.observed.name_of(line).unwrap_or(line)
}

/// The answer where nothing is called so.
pub(super) fn no_campaign(core: &Core, name: &str) -> Reply {
    let known = core
        .desired
        .campaigns
        .keys()
        .chain(core.observed.names.keys());
    misused(no_such("campaign", name, known.map(AsRef::as_ref)))
}

/// The answer where one of these is retired: it is known, and nothing can be planned or approved in its name.
pub(super) fn retired(core: &Core, names: &[String]) -> Option<Reply> {
    let is_gone = |name: &String| {
        let line = core.observed.names.get(name);
        let seen = line.and_then(|line| core.observed.campaigns.get(line));
        !core.desired.campaigns.contains_key(name)
            && seen.is_some_and(|seen| seen.retired.is_some())
    };
    let name = names.iter().find(|name| is_gone(name))?;
    Some(refused(format!(
        "`{name}` is retired: its file is gone. Nothing is sent in its name, and bringing the file back resumes it."
    )))
}

/// Answers a command, and says what is to be written down because of it. `plan`: one for reports, where one still holds.
pub(super) fn answer(
    core: &Core,
    command: Command,
    daemon: bool,
    plan: Option<&Plan>,
) -> (Reply, Vec<Event>) {
    let nothing = Vec::new();
    let line_of = |name: &str| line_of(core, name);
    let unknown = |name: &str| no_campaign(core, name);
    match command {
        Command::Ping => (done("here"), nothing),
        Command::Status { names } => {
            let reply = match report(core, daemon, plan, &names_now(core, names)) {
                Ok(report) => written(&report),
                Err(error) => misused(error.to_string()),
            };
            (reply, nothing)
        }
        Command::Plan { names, refresh: _ } => {
            let names = names_now(core, names);
            if let Some(gone) = retired(core, &names) {
                return (gone, nothing);
            }
            let plan = status::plan_document(
                &core.inputs(),
                &core.plan_report(),
                daemon_info(core, daemon),
            );
            let plan = plan.only(&names);
            (plan_reply(core, plan), nothing)
        }
        Command::Accounts if core.desired.engine.spec.unknown => {
            let broken = core.desired.invalid_files.first();
            let why = broken.map_or("tidings.yaml is broken", |bad| bad.message.as_str());
            (refused(why), nothing)
        }
        Command::Accounts => {
            let reply = match report(core, daemon, plan, &[]) {
                Ok(report) => document(&status::AccountsDocument::of(&report)),
                Err(error) => misused(error.to_string()),
            };
            (reply, nothing)
        }
        Command::Audiences => (
            Reply::Document {
                body: super::audience::list(core, daemon),
            },
            nothing,
        ),
        Command::AudiencePage { name, after } => match line_of(&name) {
            Some(line) => {
                let body = super::audience::page(core, &line, after);
                (Reply::Document { body }, nothing)
            }
            None => (unknown(&name), nothing),
        },
        Command::Events {
            name: Some(name), ..
        } if line_of(&name).is_none() => (unknown(&name), nothing),
        Command::Events {
            name,
            after,
            before,
            limit,
        } => {
            let line = name.as_deref().and_then(line_of);
            let asked = super::journal::Asked {
                name: line.as_ref().map(|line| name_of(core, line)),
                after,
                before,
                limit,
            };
            (super::journal::events(core, &asked, daemon), nothing)
        }
        Command::Reconcile { name } => match line_of(&name) {
            Some(campaign) => (
                done(format!("`{}` is looked up", name_now(core, name))),
                vec![Event::ReconcileRequested { campaign }],
            ),
            None => (unknown(&name), nothing),
        },
        Command::ReconcileState { name } => {
            let Some(line) = line_of(&name) else {
                return (unknown(&name), nothing);
            };
            let under_way = core.observed.campaigns.get(&line).is_some_and(|campaign| {
                let asked = campaign.reconcile_seq;
                let stale = campaign
                    .sources
                    .values()
                    .flat_map(|s| s.lookups.values())
                    .any(|lookup| {
                        lookup.running.is_some()
                            || lookup.ended.is_none()
                            || lookup.ended_seq < asked
                    });
                let judged = campaign
                    .judgement
                    .as_ref()
                    .is_some_and(|j| j.lookups == campaign.lookups_ended);
                let cron = core
                    .desired
                    .campaigns
                    .get(&name_now(core, name.clone()))
                    .and_then(|wanted| wanted.spec.as_ref())
                    .is_some_and(|spec| spec.schedule.cron.is_some());
                (campaign.run > 0 || cron) && (stale || !judged)
            });
            let body = serde_json::json!({"name": name, "under_way": under_way});
            (Reply::Document { body }, nothing)
        }
        Command::Suspend { name, reason, by } => {
            match name.as_deref().map(|name| (name, line_of(name))) {
                Some((name, None)) => (unknown(name), nothing),
                Some((name, Some(line))) => (
                    done(format!(
                        "`{now}` is suspended: nothing leaves in its name. `tidings resume {now}` lets it go.",
                        now = name_now(core, name.to_owned())
                    )),
                    vec![Event::Suspended {
                        campaign: Some(line),
                        reason,
                        by,
                    }],
                ),
                None => (
                    done("All campaigns are suspended. `tidings resume --all` lets them go."),
                    vec![Event::Suspended {
                        campaign: None,
                        reason,
                        by,
                    }],
                ),
            }
        }
        Command::Resume { name, reason, by } => {
            match name.as_deref().map(|name| (name, line_of(name))) {
                Some((name, None)) => (unknown(name), nothing),
                Some((name, Some(line))) => {
                    let all = if core.observed.suspended.is_some() {
                        " All campaigns are suspended still: `tidings resume --all`."
                    } else {
                        ""
                    };
                    (
                        done(format!(
                            "`{}` goes on.{all}",
                            name_now(core, name.to_owned())
                        )),
                        vec![Event::Resumed {
                            campaign: Some(line),
                            reason,
                            by,
                        }],
                    )
                }
                None => (
                    done("All campaigns go on."),
                    vec![Event::Resumed {
                        campaign: None,
                        reason,
                        by,
                    }],
                ),
            }
        }
        Command::ApprovalAsked { name } => (approval_asked(core, &name_now(core, name)), nothing),
        Command::Approve {
            new_state: true,
            by,
            ..
        } => approve_state(core, &by),
        Command::Approve { name: None, .. } => (misused("name the campaign to approve"), nothing),
        Command::Approve {
            name: Some(name),
            digest,
            people,
            by,
            ..
        } => {
            let Some(line) = line_of(&name) else {
                return (unknown(&name), nothing);
            };
            let name = name_now(core, name);
            let Some(spec) = core
                .desired
                .campaigns
                .get(&name)
                .and_then(|wanted| wanted.spec.as_ref())
            else {
                return (
                    refused(format!(
                        "`{name}` is invalid or gone: there is nothing to approve"
                    )),
                    nothing,
                );
            };
            if spec.approval_digest != digest {
                let message = format!("`{name}` changed since it was shown; look at it again");
                return (refused(message), nothing);
            }
            (
                done(format!(
                    "`{name}` is approved for {}.",
                    status::people(people)
                )),
                vec![Event::Approved {
                    campaign: line,
                    digest,
                    people,
                    by,
                }],
            )
        }
        // They wait for Telegram: the loop and `offline` answer them themselves.
        Command::AccountCheck { .. } | Command::AccountRemove { .. } => {
            (refused("this cannot be answered here"), nothing)
        }
        Command::Contact { name, person } => match line_of(&name) {
            Some(line) => (super::contact::answer(core, &line, &name, &person), nothing),
            None => (unknown(&name), nothing),
        },
        Command::Retry { name, outcomes, by } => match line_of(&name) {
            Some(line) => super::retry::answer(core, &name, line, outcomes, by),
            None => (unknown(&name), nothing),
        },
        Command::Replies { what } => super::replies::answer(core, what),
        // The loop reads the workspace itself.
        Command::Reload => (verdict(core), nothing),
        // These may change more than the journal: `operator::act` answers them.
        Command::Operator(_) => (refused("this is not answered here"), nothing),
    }
}

/// What an approval would approve.
fn approval_asked(core: &Core, name: &str) -> Reply {
    let Some(wanted) = core.desired.campaigns.get(name) else {
        let gone = retired(core, std::slice::from_ref(&name.to_owned()));
        return gone.unwrap_or_else(|| no_campaign(core, name));
    };
    let Some(spec) = &wanted.spec else {
        return refused(format!("`{name}` is invalid: there is nothing to approve"));
    };
    let campaign = core.observed.campaigns.get(&wanted.lineage);
    let people = campaign.map_or(0, |campaign| campaign.pending() + campaign.run_total());
    let gate = core
        .plan_report()
        .report
        .campaigns
        .get(&wanted.lineage)
        .map(|view| view.gate.clone());
    let asked = match gate {
        Some(crate::plan::Gate::Blocked {
            condition: "AwaitingApproval" | "Canary" | "LooksRenamed",
            message,
            ..
        }) => Some(message),
        _ => None,
    };
    Reply::Document {
        body: serde_json::json!({
            "name": name,
            "digest": spec.approval_digest,
            "people": people,
            "generation": campaign.map_or(0, |campaign| campaign.generation),
            "accounts": spec.accounts,
            "sources": spec.sources.iter().map(|source| source.label.clone()).collect::<Vec<_>>(),
            "variants": spec.variants.iter().map(|variant| {
                serde_json::json!({"name": variant.name, "weight": variant.weight, "text": variant.template.source()})
            }).collect::<Vec<_>>(),
            "awaited": asked.is_some(),
            "message": asked,
        }),
    }
}

/// Takes over accounts that another state used: the operator answers for what that state sent. Where it was this one,
/// only later, or this one lost its newest events, the dialogs since then are read first.
fn approve_state(core: &Core, by: &str) -> (Reply, Vec<Event>) {
    if core.state_id().is_none() {
        return (
            refused("there is no state here yet; start the daemon first"),
            Vec::new(),
        );
    }
    let behind = core.is_older() || core.lost > 0;
    let mut taken = Vec::new();
    for name in core.desired.engine.accounts.keys() {
        if !matches!(core.whose(name), Whose::Others | Whose::Newer) {
            continue;
        }
        let path = core.workspace.state_mark_path(name);
        if let Err(error) = std::fs::OpenOptions::new().write(true).open(&path) {
            return (
                refused(format!("{} cannot be written: {error}", path.display())),
                Vec::new(),
            );
        }
        taken.push(name.clone());
    }
    if taken.is_empty() && !behind {
        return (
            done("no account belongs to another state; nothing was changed"),
            Vec::new(),
        );
    }
    let mut events = Vec::new();
    let mut said = String::new();
    if behind {
        // What is known of the campaigns may be gone too, and whoever was written to since is uncertain in all of them.
        events = super::core::changes(&core.desired, &core.observed);
        let since = core.unknown_since();
        let known = core.observed.accounts.keys();
        let accounts: BTreeSet<AccountName> = core
            .desired
            .engine
            .accounts
            .keys()
            .chain(known)
            .cloned()
            .collect();
        events.push(Event::Restored {
            since,
            taken_at: since,
            accounts: accounts.into_iter().collect(),
            by: by.to_owned(),
        });
        said = format!(
            "this state goes on from {since}. Campaigns stay held until their accounts' dialogs since then were read; \
             opt-outs and erasures of that time are to be entered again. "
        );
    }
    if !taken.is_empty() {
        said.push_str(&format!(
            "this state has these accounts now: {}. A running daemon takes them up within seconds.",
            taken.join(", ")
        ));
    }
    events.extend(taken.into_iter().map(|account| Event::StateTaken {
        account,
        by: by.to_owned(),
    }));
    (done(said.trim_end()), events)
}

/// Opens the state for one command.
pub(super) async fn offline(
    workspace: &Workspace,
    command: Command,
) -> Result<Reply, RequestError> {
    let changes = command.changes();
    if let Command::Reconcile { name } = &command {
        return reconcile(workspace, name).await;
    }
    if let Command::Plan { names, refresh } = &command {
        return super::refresh::plan(workspace, names.clone(), *refresh).await;
    }
    if let Command::AccountCheck { name } = &command {
        return super::accounts::check_offline(workspace, name).await;
    }
    if let Command::AccountRemove { name, force, by } = &command {
        return super::accounts::remove_offline(workspace, name, *force, by).await;
    }
    if matches!(command, Command::Reload | Command::Ping) {
        return Ok(refused("no daemon is running"));
    }
    if let Command::Operator(crate::model::OperatorCommand::Restore {
        file,
        with_sessions,
        by,
    }) = &command
    {
        return Ok(super::operator::restore_offline(
            workspace,
            file,
            *with_sessions,
            by,
        )?);
    }
    let accepts = matches!(
        command,
        Command::Approve {
            new_state: true,
            ..
        }
    );
    let how = match (accepts, changes) {
        (true, _) => Open::WriteRest,
        (false, true) => Open::Write,
        (false, false) => Open::Read,
    };
    let mut core = Core::open(
        workspace.clone(),
        Clock::default(),
        how,
        super::STATE_WAIT_AT_ONCE,
    )?;
    // The first thing written down accepts a loss.
    if changes && !accepts {
        core.reload()?;
    }
    if let Command::Operator(command) = command {
        let acted = super::operator::act(&mut core, command)?;
        core.close().await?;
        return Ok(acted.reply);
    }
    let (reply, events) = answer(&core, command, false, None);
    if !events.is_empty() {
        core.record(events, Durability::Now)?;
    }
    core.close().await?;
    Ok(reply)
}

/// `tidings reconcile` without a daemon: looks up, waits, sends nothing.
async fn reconcile(workspace: &Workspace, name: &str) -> Result<Reply, RequestError> {
    {
        let mut core = Core::open(
            workspace.clone(),
            Clock::default(),
            Open::Write,
            super::STATE_WAIT_AT_ONCE,
        )?;
        core.reload()?;
        let (reply, events) = answer(
            &core,
            Command::Reconcile {
                name: name.to_owned(),
            },
            false,
            None,
        );
        if matches!(reply, Reply::Refused { .. }) {
            return Ok(reply);
        }
        core.record(events, Durability::Now)?;
        core.close().await?;
    }
    let options = RunOptions {
        lookups_only: true,
        ..RunOptions::default()
    };
    let telegram = std::sync::Arc::new(crate::telegram::GrammersTelegram);
    super::run_with(workspace.clone(), options, telegram)
        .await
        .map_err(|error| RequestError::Daemon(error.to_string()))?;
    Ok(done(format!("`{name}` was looked up")))
}
