//! Says when the workspace may have changed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::fingerprint::{Looked, Seen, Targets, fingerprint};
use crate::spec::files::CAMPAIGNS;

/// How the watcher waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    /// How long it must be quiet before a nudge: an editor's save is several events, a checkout is many files.
    pub(super) quiet: Duration,
    /// The longest wait for quiet: a file that is written to all the time must not hide the others.
    pub(super) longest: Duration,
    /// How often stats are compared: what no event tells (a swapped symlink, a network file system) is noticed by this.
    pub(super) poll: Duration,
    /// How often those of files are whose changes have events: a thousand of them take milliseconds.
    pub(super) sweep: Duration,
}

/// After a change every look is at everything for so long: events of a new folder's first files may be missing.
const LIVELY: Duration = Duration::from_secs(5);

impl Default for Timing {
    fn default() -> Self {
        // Together well below the second within which a save is to be seen.
        Self {
            quiet: Duration::from_millis(50),
            longest: Duration::from_millis(300),
            poll: Duration::from_millis(500),
            sweep: Duration::from_secs(30),
        }
    }
}

/// Why it may be worth to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The system told of a change.
    Event,
    /// Stats differ from those before.
    Poll,
    /// Watching has begun, of the workspace or of newly named files; what changed just before has no event.
    Begun,
}

/// Something may have changed: look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nudge {
    /// Who noticed.
    pub cause: Cause,
}

/// Watches a workspace for as long as it is kept.
///
/// The first nudge comes as soon as watching has begun. Nudges are joined: however much changes between two calls of [`Watcher::nudged`], it answers once. A nudge may be
/// for nothing; a change is never without one that comes after it.
#[derive(Debug)]
pub struct Watcher {
    nudges: mpsc::Receiver<Nudge>,
    files: watch::Sender<Vec<PathBuf>>,
    task: JoinHandle<()>,
}

impl Watcher {
    /// Begins to watch `campaigns/` of the workspace at `root`, and `files` besides (`tidings.yaml`, for one), which
    /// may be anywhere. Neither need exist. Must be called within a tokio runtime.
    ///
    /// Where the system offers no events (or no more of them), comparing stats twice a second goes on alone.
    pub fn start(root: impl Into<PathBuf>, files: Vec<PathBuf>) -> Self {
        Self::with(root.into(), files, Timing::default())
    }

    pub(super) fn with(root: PathBuf, files: Vec<PathBuf>, timing: Timing) -> Self {
        let root = std::path::absolute(&root).unwrap_or(root);
        let (sender, nudges) = mpsc::channel(1);
        let (files, changed) = watch::channel(files);
        let task = tokio::spawn(run(root, changed, sender, timing));
        Self {
            nudges,
            files,
            task,
        }
    }

    /// The next nudge; `None` when the task is gone, which happens only when the runtime ends.
    pub async fn nudged(&mut self) -> Option<Nudge> {
        self.nudges.recv().await
    }

    /// Names the files outside of `campaigns/` that matter from now on, instead of those named before.
    pub fn set_files(&self, files: Vec<PathBuf>) {
        self.files.send_if_modified(|known| {
            let differ = *known != files;
            *known = files;
            differ
        });
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The system's events for the folders that are behind the names just now.
struct Armed {
    /// Dropping it ends the events.
    _watcher: Option<RecommendedWatcher>,
    targets: Targets,
    /// Every change of a file in them has its event.
    tells: bool,
}

async fn run(
    root: PathBuf,
    mut files: watch::Receiver<Vec<PathBuf>>,
    nudges: mpsc::Sender<Nudge>,
    timing: Timing,
) {
    // One is enough: it says 'dirty', and is taken before the look.
    let (dirty, mut events) = mpsc::channel::<()>(1);
    let mut looked = Looked {
        root: root.clone(),
        files: files.borrow_and_update().clone(),
    };
    let Some(mut armed) = arm(&root, &dirty, None).await else {
        return;
    };
    let Some(mut known) = look(&looked).await else {
        return;
    };
    // The caller may have looked before this began to watch: what changed in between would else be lost.
    if nudges
        .try_send(Nudge {
            cause: Cause::Begun,
        })
        .is_err()
    {
        return;
    }
    let (mut changed_at, mut swept_at) = (Instant::now(), Instant::now());
    let mut poll = interval(timing.poll);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let cause = tokio::select! {
            event = events.recv() => match event {
                Some(()) => Cause::Event,
                None => return,
            },
            changed = files.changed() => {
                if changed.is_err() {
                    return;
                }
                // What the caller saw of a newly named file may be older than the look that follows: look again.
                looked.files = files.borrow_and_update().clone();
                Cause::Begun
            },
            _ = poll.tick() => {
                let told = armed.tells
                    && changed_at.elapsed() >= LIVELY
                    && swept_at.elapsed() < timing.sweep;
                if told {
                    let Some(same) = same_as(&root, &armed.targets, &known, &looked).await else {
                        return;
                    };
                    if same {
                        continue;
                    }
                }
                // Re-armed first: a change in a new folder after the look then has its event.
                let Some(fresh) = arm(&root, &dirty, Some(armed)).await else { return };
                armed = fresh;
                swept_at = Instant::now();
                match look(&looked).await {
                    Some(now) if now == known => continue,
                    Some(_) => Cause::Poll,
                    None => return,
                }
            },
        };
        settle(&mut events, timing).await;
        let Some(fresh) = arm(&root, &dirty, Some(armed)).await else {
            return;
        };
        armed = fresh;
        let Some(now) = look(&looked).await else {
            return;
        };
        known = now;
        (changed_at, swept_at) = (Instant::now(), Instant::now());
        match nudges.try_send(Nudge { cause }) {
            // One that waits to be taken stands for this one, too.
            Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => {}
            Err(mpsc::error::TrySendError::Closed(_)) => return,
        }
    }
}

/// Waits until it was quiet for a while, or for the longest that is waited.
async fn settle(events: &mut mpsc::Receiver<()>, timing: Timing) {
    let end = Instant::now() + timing.longest;
    loop {
        let quiet = (Instant::now() + timing.quiet).min(end);
        tokio::select! {
            event = events.recv() => {
                if event.is_none() || Instant::now() >= end {
                    return;
                }
            },
            () = sleep_until(quiet) => return,
        }
    }
}

/// The fingerprint now; `None` when the runtime ends.
async fn look(looked: &Looked) -> Option<Seen> {
    let looked = looked.clone();
    tokio::task::spawn_blocking(move || fingerprint(&looked))
        .await
        .ok()
}

/// Whether the folders behind the names are the same as before, and what no event tells. Links are few: this is a
/// moment's work.
async fn same_as(root: &Path, targets: &Targets, known: &Seen, looked: &Looked) -> Option<bool> {
    let (root, targets) = (root.to_path_buf(), targets.clone());
    let (known, looked) = (known.clone(), looked.clone());
    tokio::task::spawn_blocking(move || {
        Targets::of(&root) == targets && known.again(&looked) == known.some
    })
    .await
    .ok()
}

/// Events for the folders behind the names; what is armed already stays where they are the same as before.
async fn arm(root: &Path, dirty: &mpsc::Sender<()>, armed: Option<Armed>) -> Option<Armed> {
    let root = root.to_path_buf();
    let dirty = dirty.clone();
    tokio::task::spawn_blocking(move || {
        let targets = Targets::of(&root);
        match armed {
            Some(armed) if armed.targets == targets => armed,
            _ => {
                let (watcher, all) = watch_folders(&root, &targets, dirty);
                Armed {
                    tells: all && targets.campaigns().is_some_and(is_local),
                    _watcher: watcher,
                    targets,
                }
            }
        }
    })
    .await
    .ok()
}

/// Whether a folder lies on a file system whose changes all come through this kernel, which then has events for them.
#[cfg(target_os = "linux")]
fn is_local(folder: &Path) -> bool {
    /// statfs(2): ext2 to ext4, XFS, Btrfs, F2FS, ZFS, tmpfs, overlayfs.
    const LOCAL: &[u64] = &[
        0xEF53,
        0x5846_5342,
        0x9123_683E,
        0xF2F5_2010,
        0x2FC1_2FC1,
        0x0102_1994,
        0x794C_7630,
    ];
    rustix::fs::statfs(folder).is_ok_and(|about| {
        u64::try_from(about.f_type).is_ok_and(|kind| LOCAL.contains(&(kind & 0xFFFF_FFFF)))
    })
}

#[cfg(not(target_os = "linux"))]
fn is_local(_: &Path) -> bool {
    false
}

/// Begins to watch the folders; also answers whether all of them are watched.
fn watch_folders(
    root: &Path,
    targets: &Targets,
    dirty: mpsc::Sender<()>,
) -> (Option<RecommendedWatcher>, bool) {
    let inside = targets.campaigns().map(Path::to_path_buf);
    // In the folders above only the names on the way matter: the state's database is written to all the time.
    let mut names: Vec<PathBuf> = vec![
        root.to_path_buf(),
        root.join(CAMPAIGNS),
        root.join("tidings.yaml"),
        root.join(".env"),
    ];
    for real in [targets.root(), targets.campaigns()].into_iter().flatten() {
        names.push(real.to_path_buf());
        names.extend([CAMPAIGNS, "tidings.yaml", ".env"].map(|name| real.join(name)));
    }
    let matters = move |path: &PathBuf| {
        names.contains(path)
            || inside
                .as_ref()
                .is_some_and(|inside| path.starts_with(inside))
    };
    let handler = move |event: notify::Result<notify::Event>| {
        let worth = match event {
            // Reading makes such events: looking would make one look again, for ever.
            Ok(event) if matches!(event.kind, EventKind::Access(_)) => false,
            Ok(event) => {
                event.need_rescan() || event.paths.is_empty() || event.paths.iter().any(&matters)
            }
            // An overflow or a lost watch: nothing is known any more.
            Err(_) => true,
        };
        if worth {
            // Full means that one waits already.
            let _ = dirty.try_send(());
        }
    };
    let mut watcher = match notify::recommended_watcher(handler) {
        Ok(watcher) => watcher,
        Err(error) => {
            tracing::warn!(%error, "no file events from the system; files are compared twice a second instead");
            return (None, false);
        }
    };
    let mut folders: Vec<(&Path, RecursiveMode)> = Vec::new();
    if let Some(campaigns) = targets.campaigns() {
        folders.push((campaigns, RecursiveMode::Recursive));
        folders.extend(
            campaigns
                .parent()
                .map(|parent| (parent, RecursiveMode::NonRecursive)),
        );
    }
    if let Some(real) = targets.root() {
        folders.push((real, RecursiveMode::NonRecursive));
    }
    folders.extend(
        root.parent()
            .map(|parent| (parent, RecursiveMode::NonRecursive)),
    );
    let mut all = true;
    let mut done: Vec<&Path> = Vec::new();
    for (folder, mode) in folders {
        if done.contains(&folder) {
            continue;
        }
        done.push(folder);
        if let Err(error) = watcher.watch(folder, mode) {
            // Usually the system's limit of watches (fs.inotify.max_user_watches).
            all = false;
            tracing::debug!(%error, folder = %folder.display(), "no file events for a folder; it is compared twice a second");
        }
    }
    (Some(watcher), all)
}
