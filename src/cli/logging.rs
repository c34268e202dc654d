//! Logs, on standard error.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use super::{Cli, Failure, LogFormat, Verb, output};

/// How much is logged where `TIDINGS_LOG` does not say.
fn default_level(verb: &Verb) -> &'static str {
    match verb {
        // The daemon's log is how people see that it lives.
        Verb::Run(args) if !args.once => "warn,tidings=info",
        // It tells what happens in words of its own.
        Verb::Demo(_) => "error",
        _ => "warn",
    }
}

/// Starts logging.
///
/// # Errors
/// Where `TIDINGS_LOG` cannot be read.
pub(super) fn start(cli: &Cli) -> Result<(), Failure> {
    let wanted = std::env::var("TIDINGS_LOG")
        .ok()
        .filter(|text| !text.trim().is_empty());
    let filter = filter(wanted.as_deref().unwrap_or(default_level(&cli.verb)))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_span_events(FmtSpan::NONE)
        .with_ansi(output::colour_of_errors());
    // A second start within one process (tests) keeps the first.
    let _ = match cli.global.log_format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_ansi(false)
            .try_init(),
    };
    Ok(())
}

/// The log target of the library that asks the AI server: it can print what was said.
const UNSAFE_AI_TARGET: &str = "async_openai";

/// The log targets of the libraries that watch folders. They print a line or more for each change of a file: a log that
/// lies in a watched folder would be a change, and so on for ever.
const WATCHING_TARGETS: [&str; 3] = ["notify", "mio", "polling"];

fn unsafe_targets() -> impl Iterator<Item = &'static str> {
    let telegram = crate::telegram::UNSAFE_LOG_TARGETS.iter().copied();
    telegram.chain([UNSAFE_AI_TARGET])
}

/// The filter that a text asks for, without the targets that print secrets or texts above `debug`.
fn filter(text: &str) -> Result<EnvFilter, Failure> {
    let bad = |error: &dyn std::fmt::Display| {
        Failure::usage(format!(
            "TIDINGS_LOG={text:?} cannot be read ({error}); write a level such as `info`, or `tidings=debug,info`"
        ))
    };
    // Directives of their own modules would be more specific than ours and win: they are not taken.
    let kept: Vec<&str> = text
        .split(',')
        .map(str::trim)
        .filter(|part| {
            let mut fixed = unsafe_targets().chain(WATCHING_TARGETS);
            !fixed.any(|target| is_of(part, target))
        })
        .collect();
    let mut filter = EnvFilter::builder()
        .parse(kept.join(","))
        .map_err(|error| bad(&error))?;
    let off = unsafe_targets().map(|target| format!("{target}=off"));
    let quiet = WATCHING_TARGETS.map(|target| format!("{target}=warn"));
    for directive in off.chain(quiet) {
        filter = filter.add_directive(directive.parse().map_err(|error| bad(&error))?);
    }
    Ok(filter)
}

/// Whether a directive is one of this target, or of a module in it.
fn is_of(directive: &str, target: &str) -> bool {
    let rest = directive.strip_prefix(target);
    rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_that_print_secrets_stay_off_whatever_is_asked_for() {
        let unsafe_target = crate::telegram::UNSAFE_LOG_TARGETS[0];
        for asked in [
            "trace".to_owned(),
            format!("{unsafe_target}=trace"),
            format!("info,{unsafe_target}::deep=warn"),
        ] {
            let Ok(filter) = filter(&asked) else {
                panic!("{asked} is a filter")
            };
            let shown = filter.to_string();
            assert!(shown.contains(&format!("{unsafe_target}=off")), "{shown}");
            assert!(
                !shown.contains(&format!("{unsafe_target}=trace")),
                "{shown}"
            );
            assert!(!shown.contains("::deep"), "{shown}");
        }
    }

    #[test]
    fn a_log_in_a_watched_folder_does_not_feed_itself() {
        for asked in [
            "trace",
            "trace,notify=trace",
            "notify::inotify=trace,mio::poll=trace,polling=trace,debug",
        ] {
            let Ok(filter) = filter(asked) else {
                panic!("{asked} is a filter")
            };
            let shown = filter.to_string();
            for target in WATCHING_TARGETS {
                assert!(shown.contains(&format!("{target}=warn")), "{shown}");
                assert!(!shown.contains(&format!("{target}=trace")), "{shown}");
                assert!(!shown.contains(&format!("{target}::")), "{shown}");
            }
        }
        // Names that only begin alike, our own room among them, are another's.
        let Ok(filter) = filter("tidings::notify=trace,notifyish=trace") else {
            panic!("it is a filter")
        };
        let shown = filter.to_string();
        assert!(
            shown.contains("tidings::notify=trace") && shown.contains("notifyish=trace"),
            "{shown}"
        );
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_a_usage_error() {
        assert_eq!(
            filter("tidings=loud").err().map(|f| f.code),
            Some(super::super::USAGE)
        );
    }
}
