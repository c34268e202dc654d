//! The environment as the core sees it: a map that is handed in. Real variables are put over those of `.env` by whoever
//! makes it.

use std::collections::BTreeMap;
use std::fmt;

use crate::spec::codes;
use crate::spec::{Diagnostic, Duration, DurationRange, Severity};

/// The file that diagnostics about the environment name.
pub(super) const PLACE: &str = ".env";

/// The variables. `Debug` shows their names only: values are often secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// These variables.
    pub fn new(vars: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(vars.into_iter().collect())
    }

    /// A variable's value. One that is set to nothing counts as unset, as it does for most tools.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.trim().is_empty())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(vars: T) -> Self {
        Self::new(vars)
    }
}

/// The defaults that the environment sets where neither a spec nor tidings.yaml does (CONTRACT section 3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EnvDefaults {
    /// `MAILING_DELAY_MIN`, `MAILING_DELAY_MAX`: seconds between two messages.
    pub between_messages: Option<DurationRange>,
    /// Of the two only `MAILING_DELAY_MAX` is set.
    pub only_max: bool,
    /// `MAILING_MAX_PER_ACCOUNT`: messages of an account in a run.
    pub per_run: Option<u32>,
    /// `INVITE_DELAY_SEC`: seconds between two invites.
    pub between_invites: Option<DurationRange>,
}

/// The longest delay that a variable may set, in seconds: a day.
const MAX_SECONDS: f64 = 86_400.0;

impl EnvDefaults {
    /// Reads them; what cannot be read is ignored with a warning. With one of MIN and MAX, the other is the built-in
    /// default, or equal to the one where that would turn the range round.
    pub fn read(env: &Environment, out: &mut Vec<Diagnostic>) -> Self {
        let built_in = crate::spec::delays::DEFAULT_BETWEEN_MESSAGES;
        let min = seconds(env, "MAILING_DELAY_MIN", out);
        let max = seconds(env, "MAILING_DELAY_MAX", out);
        let between_messages = match (min, max) {
            (None, None) => None,
            (Some(min), Some(max)) if min > max => {
                out.push(warning(
                    "MAILING_DELAY_MIN is larger than MAILING_DELAY_MAX; both are ignored",
                    "Set MAILING_DELAY_MAX to the larger one.",
                ));
                None
            }
            (Some(min), max) => Some(DurationRange::new(
                min,
                max.unwrap_or(built_in.max).max(min),
            )),
            (None, Some(max)) => Some(DurationRange::new(built_in.min.min(max), max)),
        };
        let per_run =
            env.get("MAILING_MAX_PER_ACCOUNT")
                .and_then(|text| match text.trim().parse::<u32>() {
                    Ok(count) if count > 0 => Some(count),
                    _ => {
                        out.push(warning(
                    "MAILING_MAX_PER_ACCOUNT is not a whole number above 0; it is ignored",
                    "Set it to the messages that one account may send in a run, such as 30.",
                ));
                        None
                    }
                });
        let between_invites =
            seconds(env, "INVITE_DELAY_SEC", out).map(|delay| DurationRange::new(delay, delay));
        Self {
            between_messages,
            only_max: min.is_none() && max.is_some(),
            per_run,
            between_invites,
        }
    }
}

fn seconds(env: &Environment, name: &str, out: &mut Vec<Diagnostic>) -> Option<Duration> {
    let text = env.get(name)?;
    match text.trim().parse::<f64>() {
        Ok(seconds) if (0.0..=MAX_SECONDS).contains(&seconds) => {
            // In range by the guard, so that the cast neither wraps nor loses more than a part of a millisecond.
            Some(Duration::from_millis((seconds * 1000.0).round() as u64))
        }
        _ => {
            out.push(warning(
                &format!(
                    "{name} is not a number of seconds from 0 to {MAX_SECONDS}; it is ignored"
                ),
                "Set it to seconds, such as 30.",
            ));
            None
        }
    }
}

pub(super) fn warning(summary: &str, detail: &str) -> Diagnostic {
    Diagnostic::of_file(
        Severity::Warning,
        codes::ENVIRONMENT,
        PLACE,
        summary,
        detail,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(vars: &[(&str, &str)]) -> (EnvDefaults, usize) {
        let env = vars
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let mut out = Vec::new();
        let read = EnvDefaults::read(&env, &mut out);
        (read, out.len())
    }

    #[test]
    fn the_environment_sets_delays_in_seconds_and_ignores_what_it_cannot_read() {
        for (what, vars, between, warnings) in [
            ("nothing", &[][..], None, 0),
            (
                "both",
                &[("MAILING_DELAY_MIN", "20"), ("MAILING_DELAY_MAX", "40")][..],
                Some("20s..40s"),
                0,
            ),
            (
                "fractions",
                &[("MAILING_DELAY_MIN", "0.5"), ("MAILING_DELAY_MAX", "1")][..],
                Some("500ms..1s"),
                0,
            ),
            (
                "min alone",
                &[("MAILING_DELAY_MIN", "20")][..],
                Some("20s..1m30s"),
                0,
            ),
            (
                "min above the built-in max",
                &[("MAILING_DELAY_MIN", "200")][..],
                Some("3m20s"),
                0,
            ),
            (
                "max alone",
                &[("MAILING_DELAY_MAX", "10")][..],
                Some("10s"),
                0,
            ),
            (
                "turned round",
                &[("MAILING_DELAY_MIN", "9"), ("MAILING_DELAY_MAX", "8")][..],
                None,
                1,
            ),
            ("no number", &[("MAILING_DELAY_MIN", "soon")][..], None, 1),
            ("negative", &[("MAILING_DELAY_MIN", "-1")][..], None, 1),
            (
                "not finite",
                &[("MAILING_DELAY_MIN", "NaN"), ("MAILING_DELAY_MAX", "inf")][..],
                None,
                2,
            ),
            ("empty", &[("MAILING_DELAY_MIN", " ")][..], None, 0),
        ] {
            let (defaults, count) = read(vars);
            assert_eq!(
                defaults.between_messages.map(|r| r.to_string()).as_deref(),
                between,
                "{what}"
            );
            assert_eq!(count, warnings, "{what}");
        }
        let (defaults, count) =
            read(&[("MAILING_MAX_PER_ACCOUNT", "30"), ("INVITE_DELAY_SEC", "7")]);
        assert_eq!((defaults.per_run, count), (Some(30), 0));
        assert_eq!(
            defaults.between_invites.map(|r| r.to_string()).as_deref(),
            Some("7s")
        );
        assert_eq!(read(&[("MAILING_MAX_PER_ACCOUNT", "0")]).1, 1);
    }

    #[test]
    fn the_values_of_variables_are_not_shown() {
        let env: Environment = [("OPENAI_API_KEY".to_owned(), "sk-123".to_owned())]
            .into_iter()
            .collect();
        let shown = format!("{env:?}");
        assert!(
            shown.contains("OPENAI_API_KEY") && !shown.contains("sk-123"),
            "{shown}"
        );
    }
}
