//! `tidings demo`: the whole engine against a loopback Telegram, on the specs of `examples/quickstart`, with time that
//! runs faster.
//!
//! Nothing is staged but the world: the engine, the session files, MTProto over a socket, the journal and the report
//! are those of `tidings run`. What it says at the end is read from the ledger of the other side, and its exit code
//! is that judgement.

mod folder;
mod judge;
mod screen;
mod story;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::sync::{Notify, mpsc};

use super::{DONE, Ended, Failure, Global, output};
use crate::control::{self, Clock, RunOptions, Workspace, WorkspaceOptions};
use crate::desired::History;
use crate::model::{Command, ConditionType, RepliesCommand, Reply, Timestamp};
use crate::sandbox::{Entry, Sandbox, SandboxOptions, WorldSpec};
use crate::spec::render;
use crate::status::{CampaignStatus, Look, StatusReport};
use crate::telegram::GrammersTelegram;
use folder::Folder;
use judge::{Judgement, is_message, judge};
use screen::Screen;
use story::{Names, Story, clock_time};

/// `tidings demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// How many times as fast time runs
    #[arg(long, value_name = "N", default_value_t = SPEED, value_parser = speed)]
    pub speed: f64,
    /// Make the workspace here, and leave it there to be looked at
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

/// Half an hour of sends, a minute each and account, then takes less than a minute.
const SPEED: f64 = 30.0;
/// Faster, and the network's own milliseconds would show.
const MOST_SPEED: f64 = 200.0;
/// The demo ends after so long at this speed, whatever happens; at a slower one after as much more.
const LIMIT: Duration = Duration::from_secs(120);
/// How often the ledger is read.
const TICK: Duration = Duration::from_millis(50);
/// People write back within 60 s of the demo's time (`world.yaml`), and are answered within 30 s; whoever then thanks is
/// answered once more: so long after the last message the book is closed.
const LAST_WORDS: Duration = Duration::from_secs(150);
/// Stopping has the engine's own limit of 10 s.
const STOPPING: Duration = Duration::from_secs(15);

/// The campaign that the demo is about.
const MAILING: &str = "spring-launch";
/// What is edited half-way, in that campaign's file.
const BEFORE: &str = "See you there!";
/// What it becomes.
const AFTER: &str = "See you there! Doors open at 18:30.";

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (1.0..=MOST_SPEED).contains(&speed) => Ok(speed),
        _ => Err(format!("a number from 1 to {MOST_SPEED} is expected")),
    }
}

/// Runs it.
pub(super) fn run(_global: &Global, args: &DemoArgs) -> Ended {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(error.to_string()))?;
    let ended = runtime.block_on(demo(args));
    runtime.shutdown_timeout(Duration::from_millis(500));
    ended
}

async fn demo(args: &DemoArgs) -> Ended {
    let folder = Folder::make(args.keep.as_deref())?;
    let clock = Clock::speeded(args.speed, morning());
    let world =
        WorldSpec::from_yaml(folder::WORLD).map_err(|error| Failure::new(error.to_string()))?;
    let sandbox = Sandbox::start(SandboxOptions {
        world,
        ledger: args.keep.as_ref().map(|_| folder.path.join("ledger.jsonl")),
        clock: Some(Arc::new(move || clock.now().millis())),
        ..SandboxOptions::default()
    })
    .await
    .map_err(|error| Failure::new(error.to_string()))?;
    folder.ai_server(&sandbox.openai_url().unwrap_or_default())?;
    let workspace = Workspace::find(&WorkspaceOptions {
        directory: Some(folder.path.clone()),
        // The user's own TIDINGS_… variables are of other workspaces.
        ..WorkspaceOptions::default()
    })?;
    let mut screen = Screen::new();
    screen.line(
        "Tidings, shown against a loopback Telegram on this machine: real MTProto, made-up people.",
    )?;
    if args.keep.is_some() {
        screen.line(&format!("The workspace is {}.", folder.path.display()))?;
    }
    let rules = validate(&workspace, &screen)?;

    sandbox
        .write_sessions(&workspace.sessions_dir)
        .await
        .map_err(|error| Failure::new(error.to_string()))?;

    screen.heading("tidings run")?;
    screen.line(&format!(
        "Time runs {} times as fast, from {} UTC on. Each account pauses 30 to 90 s between two messages.",
        args.speed,
        clock_time(morning())
    ))?;
    let began = Instant::now();
    let mut show = Show {
        names: sandbox.world(|world| Names::of(world)),
        sandbox: &sandbox,
        workspace: &workspace,
        rules: &rules,
        clock,
        story: Story::default(),
        edit: None,
        last: None,
        flagged: None,
    };
    let limit = LIMIT.mul_f64((SPEED / args.speed).max(1.0));
    let watched = show.watch(&screen, limit).await;
    screen.done();
    let took = began.elapsed();
    let (edit, last, flagged) = (show.edit, show.last, show.flagged);
    if let Some(report) = &last {
        screen.heading("tidings status")?;
        let look = Look {
            now: clock.now(),
            ..output::look(false)
        };
        output::text(&crate::status::table(report, &look))?;
    }
    watched?;
    let entries = sandbox.ledger().entries();
    let judgement = sandbox.world(|world| {
        judge(
            &entries,
            &rules.confirmation,
            |text| rules.is_opt_out(text),
            |text| rules.is_handoff(text),
            |peer| {
                let id = peer.strip_prefix("user:").and_then(|id| id.parse().ok());
                id.and_then(|id| world.user(id))
                    .is_some_and(|user| !user.bot && !user.deleted && user.account.is_none())
            },
        )
    });
    verdict(
        &screen,
        &judgement,
        &entries,
        edit.as_ref(),
        last.as_ref(),
        flagged,
        (took, args.speed),
    )
}

/// How people opt out of this workspace.
struct Rules {
    keywords: Vec<String>,
    confirmation: String,
    handoff: Vec<String>,
}

impl Rules {
    fn is_opt_out(&self, text: &str) -> bool {
        crate::text::is_opt_out(text, &self.keywords)
    }

    fn is_handoff(&self, text: &str) -> bool {
        crate::text::said_word(text, &self.handoff).is_some()
    }
}

/// Shows what `tidings validate` says.
fn validate(workspace: &Workspace, screen: &Screen) -> Result<Rules, Failure> {
    screen.heading("tidings validate")?;
    let resolution = workspace.resolve(&History::default(), None);
    // The accounts' session files come with the sandbox, after this.
    let found: Vec<_> = resolution
        .diagnostics
        .iter()
        .filter(|d| d.is_error())
        .cloned()
        .collect();
    output::text(&render::full(&found, output::colour()))?;
    let valid = resolution
        .desired
        .campaigns
        .values()
        .filter(|campaign| campaign.spec.is_some())
        .count();
    screen.line(&format!(
        "{valid} of {} campaigns are valid. The mistake is deliberate: it holds its own campaign alone.",
        resolution.desired.campaigns.len()
    ))?;
    let engine = &resolution.desired.engine;
    Ok(Rules {
        keywords: engine.opt_out.keywords.clone(),
        confirmation: engine
            .spec
            .opt_out
            .as_ref()
            .and_then(|settings| settings.reply.clone())
            .unwrap_or_default(),
        handoff: resolution
            .desired
            .campaigns
            .get(MAILING)
            .and_then(|campaign| campaign.spec.as_ref()?.ai_role.as_ref())
            .map(|role| role.handoff.clone())
            .unwrap_or_default(),
    })
}

/// The demo's clock begins at 08:00 UTC of today: well before the window of `evening-thanks`.
fn morning() -> Timestamp {
    const DAY: i64 = 86_400_000;
    const EIGHT: i64 = 8 * 3_600_000;
    Timestamp(output::now().millis().div_euclid(DAY) * DAY + EIGHT)
}

/// The edit half-way.
struct Edit {
    saved: Instant,
    /// From the save to the first report of an engine that goes by it.
    picked_up: Option<Duration>,
}

struct Show<'a> {
    sandbox: &'a Sandbox,
    workspace: &'a Workspace,
    names: Names,
    rules: &'a Rules,
    clock: Clock,
    story: Story,
    edit: Option<Edit>,
    last: Option<StatusReport>,
    /// People who need a human, as `tidings replies list` says at the end.
    flagged: Option<usize>,
}

impl Show<'_> {
    /// Runs the engine and tells what happens, until the mailing has succeeded.
    async fn watch(&mut self, screen: &Screen, limit: Duration) -> Result<(), Failure> {
        let stop = Arc::new(Notify::new());
        let (observer, mut reports) = mpsc::unbounded_channel();
        let options = RunOptions {
            clock: self.clock,
            stop: Some(stop.clone()),
            observer: Some(observer),
            ..RunOptions::default()
        };
        let telegram = Arc::new(GrammersTelegram);
        let mut engine = tokio::spawn(control::run_with(self.workspace.clone(), options, telegram));
        let deadline = tokio::time::sleep(limit);
        tokio::pin!(deadline);
        let mut tick = tokio::time::interval(TICK);
        let mut succeeded: Option<Instant> = None;
        loop {
            tokio::select! {
                ended = &mut engine => {
                    self.tell(screen)?;
                    return Err(match ended {
                        Ok(Ok(_)) => Failure::new("the engine was stopped before the mailing was done"),
                        Ok(Err(error)) => error.into(),
                        Err(error) => Failure::new(format!("the engine broke off: {error}")),
                    });
                }
                () = &mut deadline => {
                    self.ask().await;
                    stop.notify_one();
                    let _ = tokio::time::timeout(STOPPING, &mut engine).await;
                    return Err(Failure::new(format!("the mailing was not done within {} s", limit.as_secs())));
                }
                Some(value) = reports.recv() => {
                    if let Ok(report) = serde_json::from_value::<StatusReport>(value) {
                        self.look(report, screen)?;
                    }
                }
                _ = tick.tick() => {
                    self.tell(screen)?;
                    let done = self.mailing().is_some_and(|mailing| mailing.is(ConditionType::Succeeded));
                    if done && succeeded.is_none() {
                        succeeded = Some(Instant::now());
                        screen.notable(&clock_time(self.clock.now()), &format!("{MAILING}: everybody is settled (Succeeded)."))?;
                    }
                    if succeeded.is_some_and(|at| at.elapsed() >= self.clock.real(LAST_WORDS)) {
                        self.ask().await;
                        stop.notify_one();
                        break;
                    }
                }
            }
        }
        match tokio::time::timeout(STOPPING, engine).await {
            Ok(Ok(Ok(_))) => {}
            Ok(Ok(Err(error))) => return Err(error.into()),
            Ok(Err(error)) => return Err(Failure::new(format!("the engine broke off: {error}"))),
            Err(_) => return Err(Failure::new("the engine did not stop within 15 s")),
        }
        self.tell(screen)
    }

    fn mailing(&self) -> Option<&CampaignStatus> {
        self.last
            .as_ref()?
            .campaigns
            .iter()
            .find(|campaign| campaign.name == MAILING)
    }

    /// Tells what is new in the ledger.
    fn tell(&mut self, screen: &Screen) -> Result<(), Failure> {
        let entries = self.sandbox.ledger().entries();
        let rules = self.rules;
        self.story.book(
            &entries,
            &self.names,
            &rules.confirmation,
            |text| rules.is_opt_out(text),
            |text| rules.is_handoff(text),
            screen,
        )
    }

    /// Takes a report of the engine in.
    fn look(&mut self, report: StatusReport, screen: &Screen) -> Result<(), Failure> {
        self.story.report(&report, screen)?;
        self.last = Some(report);
        let Some(mailing) = self.mailing() else {
            return Ok(());
        };
        let (progress, generation) = (mailing.progress, mailing.observed_generation);
        let waits = mailing
            .waiting
            .iter()
            .map(|wait| format!("{} {}", wait.count, wait.reason));
        let waits = waits.collect::<Vec<_>>().join(", ");
        screen.progress(progress.settled(), progress.included(), &waits);
        let at = clock_time(self.clock.now());
        match &mut self.edit {
            None if progress.sent > 0 && progress.sent * 2 >= progress.included() => {
                self.save_edit()?;
                screen.notable(
                    &at,
                    &format!(
                        "Half-way {MAILING}.yaml is edited and saved: “{BEFORE}” becomes “{AFTER}”"
                    ),
                )?;
            }
            Some(edit) if edit.picked_up.is_none() && generation >= 2 => {
                let after = edit.saved.elapsed();
                edit.picked_up = Some(after);
                screen.notable(
                    &at,
                    &format!("The engine goes by it {} ms (real time) after the save: generation {generation}.", after.as_millis()),
                )?;
            }
            _ => {}
        }
        Ok(())
    }

    /// What an editor does: the new text beside the old one, then a rename.
    fn save_edit(&mut self) -> Result<(), Failure> {
        let file = self
            .workspace
            .root
            .join(format!("campaigns/{MAILING}.yaml"));
        let beside = self
            .workspace
            .root
            .join(format!("campaigns/.{MAILING}.yaml.new"));
        let edited = std::fs::read_to_string(&file)
            .map(|text| text.replace(BEFORE, AFTER))
            .and_then(|text| std::fs::write(&beside, text))
            .and_then(|()| std::fs::rename(&beside, &file));
        edited.map_err(|error| {
            Failure::new(format!("{} cannot be edited: {error}", file.display()))
        })?;
        self.edit = Some(Edit {
            saved: Instant::now(),
            picked_up: None,
        });
        Ok(())
    }

    /// Asks the running engine for its report, as `tidings status` does.
    async fn ask(&mut self) {
        let workspace = self.workspace.clone();
        let asked = tokio::task::spawn_blocking(move || {
            control::request(&workspace, Command::Status { names: Vec::new() })
        });
        if let Ok(Ok(Reply::Document { body })) = asked.await
            && let Ok(report) = serde_json::from_value(body)
        {
            self.last = Some(report);
        }
        let workspace = self.workspace.clone();
        let what = RepliesCommand::List {
            state: Some("needs_human".to_owned()),
        };
        let asked = tokio::task::spawn_blocking(move || {
            control::request(&workspace, Command::Replies { what })
        });
        if let Ok(Ok(Reply::Document { body })) = asked.await {
            self.flagged = body
                .get("replies")
                .and_then(|replies| replies.as_array())
                .map(Vec::len);
        }
    }
}

/// Says what was measured, and whether it is as it must be.
fn verdict(
    screen: &Screen,
    found: &Judgement,
    entries: &[Entry],
    edit: Option<&Edit>,
    report: Option<&StatusReport>,
    flagged: Option<usize>,
    (took, speed): (Duration, f64),
) -> Ended {
    screen.heading("The server's own ledger says")?;
    let twice = if found.twice.is_empty() {
        "nobody twice".to_owned()
    } else {
        format!("{} twice", found.twice.join(", "))
    };
    screen.line(&format!(
        "  The server received {} messages for {} people, {twice}.",
        found.messages, found.people
    ))?;
    screen.line(&format!(
        "  {} opted out: {} got the one confirmation, and {} other messages went to them after it.",
        found.opted_out, found.confirmed, found.after_opt_out
    ))?;
    screen.line(&format!(
        "  {} messages of people were answered by the AI, {} without an answer; {} asked for a human, and {} wait for one.",
        found.answers,
        found.unanswered.len(),
        found.handoffs,
        flagged.map_or_else(|| "nobody knows how many".to_owned(), |n| n.to_string())
    ))?;
    for flood in &found.floods {
        let silent = flood.silent.map_or_else(
            || "sent nothing more".to_owned(),
            |silent| format!("sent again after {silent} s"),
        );
        screen.line(&format!(
            "  {} was told to wait {} s, and {silent}.",
            flood.account, flood.asked
        ))?;
    }
    let mut complaints = found.complaints();
    if flagged != Some(found.handoffs) {
        complaints.push(format!(
            "{} asked for a human, {flagged:?} are flagged",
            found.handoffs
        ));
    }
    let with = |text: &str| {
        entries
            .iter()
            .filter(|e| is_message(e) && e.text.as_deref().is_some_and(|t| t.contains(text)))
            .count()
    };
    let (new, all) = (with(AFTER), with(BEFORE));
    match edit.and_then(|edit| edit.picked_up) {
        Some(after) => screen.line(&format!(
            "  Of {all} messages of the edited variant {} left with the old text and {new} with the new one; the edit was seen after {} ms.",
            all - new,
            after.as_millis()
        ))?,
        None => complaints.push("the edit half-way was not picked up".to_owned()),
    }
    match report.and_then(|report| {
        report
            .campaigns
            .iter()
            .find(|campaign| campaign.name == MAILING)
    }) {
        Some(mailing) => {
            let sent = mailing.progress.sent;
            screen.line(&format!(
                "  The engine's report says {sent} sent and {} settled otherwise, of {}.",
                mailing.progress.settled() - sent,
                mailing.progress.included()
            ))?;
            if sent != found.messages as u64 {
                complaints.push(format!(
                    "the report says {sent} sent, the ledger {}",
                    found.messages
                ));
            }
            if mailing.progress.settled() != mailing.progress.included() {
                complaints.push("somebody is not settled".to_owned());
            }
        }
        None => complaints.push("there is no report".to_owned()),
    }
    let memory = peak_memory().map_or_else(String::new, |mb| {
        format!(" Peak memory, sandbox and all: {mb} MB.")
    });
    screen.line(&format!(
        "  It took {:.0} s for {:.0} minutes of the demo's time.{memory}",
        took.as_secs_f64(),
        took.as_secs_f64() * speed / 60.0
    ))?;
    if complaints.is_empty() {
        screen.line("")?;
        screen.line("Next: `tidings init my-campaigns`, or look at examples/quickstart.")?;
        return Ok(DONE);
    }
    Err(Failure::new(format!(
        "not as it must be: {}",
        complaints.join("; ")
    )))
}

/// The process's largest resident size so far, in megabytes; `None` where the system does not say (proc(5), `VmHWM`).
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kb: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kb / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edit_half_way_finds_its_text_once() {
        let (_, spec) = folder::FILES
            .iter()
            .find(|(path, _)| path.ends_with("spring-launch.yaml"))
            .unwrap();
        assert_eq!(spec.matches(BEFORE).count(), 1);
        assert!(
            AFTER.starts_with(BEFORE),
            "the count of old texts relies on it"
        );
    }

    #[test]
    fn the_quickstart_has_one_mistake_and_two_valid_campaigns() {
        let folder = Folder::make(None).unwrap();
        let workspace = Workspace::find(&WorkspaceOptions {
            directory: Some(folder.path.clone()),
            ..WorkspaceOptions::default()
        })
        .unwrap();
        let resolution = workspace.resolve(&History::default(), None);
        let errors: Vec<String> = resolution
            .diagnostics
            .iter()
            .filter(|d| d.is_error())
            .map(|d| format!("{} {:?}", d.file, d.suggestion))
            .collect();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(
            errors[0].starts_with("campaigns/summer-sale.yaml") && errors[0].contains("first_name"),
            "{errors:?}"
        );
        let valid = |name: &str| resolution.desired.campaigns[name].spec.is_some();
        assert!(valid("spring-launch") && valid("evening-thanks"));
        assert!(resolution.desired.campaigns["summer-sale"].spec.is_none());
    }

    #[test]
    fn only_sensible_speeds_are_taken() {
        for wrong in ["0", "0.5", "-1", "NaN", "inf", "1000", "fast"] {
            assert!(speed(wrong).is_err(), "{wrong}");
        }
        assert_eq!(speed("30"), Ok(30.0));
    }
}
