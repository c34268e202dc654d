//! What systemd is told: sd_notify(3), and nothing where no systemd asks.
//!
//! Plainly over the socket: a datagram of `NAME=value` lines to the address in `NOTIFY_SOCKET`.

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

/// A status line is written at most so often.
const STATUS_EVERY: Duration = Duration::from_secs(5);

/// The way to the service manager.
#[derive(Debug, Default)]
pub(super) struct Notifier {
    socket: Option<UnixDatagram>,
    /// `WATCHDOG_USEC`: systemd kills a service that says nothing for so long.
    watchdog: Option<Duration>,
    fed: Option<Instant>,
    status: Option<(Instant, String)>,
}

impl Notifier {
    /// From the environment that systemd sets.
    pub(super) fn from_env() -> Notifier {
        let Some(address) = std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty())
        else {
            return Notifier::default();
        };
        let socket = match connect(&address) {
            Ok(socket) => socket,
            Err(error) => {
                tracing::warn!(%error, "systemd's NOTIFY_SOCKET cannot be used");
                return Notifier::default();
            }
        };
        let usec = std::env::var("WATCHDOG_USEC").ok();
        let for_us = std::env::var("WATCHDOG_PID")
            .ok()
            .is_none_or(|pid| pid.trim() == std::process::id().to_string());
        let watchdog = usec
            .filter(|_| for_us)
            .and_then(|usec| usec.trim().parse().ok())
            .filter(|usec| *usec > 0)
            .map(Duration::from_micros);
        Notifier {
            socket: Some(socket),
            watchdog,
            ..Notifier::default()
        }
    }

    fn say(&self, text: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(text.as_bytes())
        {
            tracing::debug!(%error, "systemd was not told");
        }
    }

    /// The first plan is made.
    pub(super) fn ready(&self) {
        self.say("READY=1");
    }

    /// The workspace is read anew; [`Notifier::ready`] ends it.
    pub(super) fn reloading(&self) {
        self.say("RELOADING=1");
    }

    /// It was told to stop.
    pub(super) fn stopping(&self) {
        self.say("STOPPING=1");
    }

    /// The loop goes round: the watchdog is fed in good time.
    pub(super) fn beat(&mut self) {
        let Some(watchdog) = self.watchdog else {
            return;
        };
        if self.fed.is_none_or(|fed| fed.elapsed() >= watchdog / 4) {
            self.say("WATCHDOG=1");
            self.fed = Some(Instant::now());
        }
    }

    /// The longest that the loop may sleep.
    pub(super) fn sleep_most(&self) -> Duration {
        self.watchdog.map_or(Duration::MAX, |watchdog| {
            (watchdog / 4).max(Duration::from_millis(100))
        })
    }

    /// One line for `systemctl status`, made only where it is wanted.
    pub(super) fn status(&mut self, line: impl FnOnce() -> String) {
        if self.socket.is_none()
            || self
                .status
                .as_ref()
                .is_some_and(|(at, _)| at.elapsed() < STATUS_EVERY)
        {
            return;
        }
        let line = line().replace('\n', " ");
        if self.status.as_ref().is_none_or(|(_, last)| *last != line) {
            self.say(&format!("STATUS={line}"));
        }
        self.status = Some((Instant::now(), line));
    }
}

fn connect(address: &std::ffi::OsStr) -> std::io::Result<UnixDatagram> {
    use std::os::unix::ffi::OsStrExt as _;
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    match address.as_bytes().strip_prefix(b"@") {
        #[cfg(target_os = "linux")]
        Some(name) => {
            use std::os::linux::net::SocketAddrExt as _;
            socket.connect_addr(&std::os::unix::net::SocketAddr::from_abstract_name(name)?)?;
        }
        _ => socket.connect(std::path::Path::new(address))?,
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 512];
        socket
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let n = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..n]).into_owned()
    }

    #[test]
    fn systemd_hears_each_state_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let systemd = UnixDatagram::bind(&path).unwrap();
        let mut notifier = Notifier {
            socket: Some(connect(path.as_os_str()).unwrap()),
            watchdog: Some(Duration::from_secs(60)),
            ..Notifier::default()
        };
        notifier.ready();
        notifier.beat();
        notifier.beat();
        notifier.status(|| "3 campaigns\nand more".to_owned());
        notifier.status(|| unreachable!("too soon"));
        notifier.stopping();
        let all: Vec<String> = (0..4).map(|_| heard(&systemd)).collect();
        assert_eq!(
            all,
            [
                "READY=1",
                "WATCHDOG=1",
                "STATUS=3 campaigns and more",
                "STOPPING=1"
            ]
        );
        assert_eq!(notifier.sleep_most(), Duration::from_secs(15));
    }

    #[test]
    fn where_no_systemd_asks_nothing_is_said() {
        let mut notifier = Notifier::default();
        notifier.ready();
        notifier.beat();
        notifier.status(|| unreachable!("nobody reads it"));
        assert_eq!(notifier.sleep_most(), Duration::MAX);
    }
}
