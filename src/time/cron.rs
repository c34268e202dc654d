//! crontab(5) schedules in a zone's calendar, each firing once.
//!
//! The `cron` crate finds the calendar times; it is asked in terms of the clock on the wall (as if
//! that were UTC), since its own handling of zones skips firings in a gap and doubles them in a
//! repeated hour. Its field syntax differs from crontab's (seconds, Sunday is 1, both day fields must
//! hold), so that the fields are read here and handed to it as plain lists.

use std::collections::BTreeSet;
use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime, Utc};

use super::zone::latest_shown;
use super::{TimeProblem, Zone, quoted};
use crate::model::Timestamp;

/// A year's firings of `* * * * *` fit a million: more than a caller can mean at once is cut to this.
const MAX_FIRINGS: usize = 10_000;
/// While a repeated hour (at most a day) runs again, at most so many firings are passed over.
const MAX_PASSED: usize = 2 * 24 * 60;
/// No crontab line that means anything is longer.
const MAX_CHARS: usize = 500;

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// A schedule of five fields: minute, hour, day of month, month, weekday.
///
/// As in crontab: 0 and 7 are Sunday, months and weekdays may be named, a day fires where either day
/// field holds if both are restricted (do not begin with `*`). A time that the clock skips fires at
/// the end of the gap, one that it repeats fires once, the first time.
///
/// # Caveats
/// It fires in the years 1970 to 2100.
#[derive(Debug, Clone)]
pub struct Cron {
    source: String,
    /// One schedule, or two of which either fires (both day fields restricted).
    schedules: Vec<cron::Schedule>,
}

impl PartialEq for Cron {
    fn eq(&self, other: &Cron) -> bool {
        self.source == other.source
    }
}

impl Eq for Cron {}

struct Field {
    name: &'static str,
    low: u32,
    high: u32,
    names: &'static [&'static str],
    first_name: u32,
}

const FIELDS: [Field; 5] = [
    Field {
        name: "minute",
        low: 0,
        high: 59,
        names: &[],
        first_name: 0,
    },
    Field {
        name: "hour",
        low: 0,
        high: 23,
        names: &[],
        first_name: 0,
    },
    Field {
        name: "day of month",
        low: 1,
        high: 31,
        names: &[],
        first_name: 0,
    },
    Field {
        name: "month",
        low: 1,
        high: 12,
        names: &MONTHS,
        first_name: 1,
    },
    Field {
        name: "weekday",
        low: 0,
        high: 7,
        names: &WEEKDAYS,
        first_name: 0,
    },
];

impl Cron {
    /// Reads crontab's five fields, or `@yearly`, `@annually`, `@monthly`, `@weekly`, `@daily`,
    /// `@midnight`, `@hourly`.
    ///
    /// # Errors
    /// What is no schedule, with its place, and schedules that never fire such as 30 February.
    pub fn parse(text: &str) -> Result<Cron, TimeProblem> {
        const EXPECTED: &str =
            "expected five fields, minute hour day-of-month month weekday, such as '0 10 * * mon'";
        let body = text.trim();
        if body.chars().count() > MAX_CHARS {
            return Err(TimeProblem::at(
                text,
                body,
                "the schedule is too long".into(),
                EXPECTED,
            ));
        }
        let expanded = if body.starts_with('@') {
            expand_macro(text, body)?
        } else {
            body
        };
        let parts: Vec<&str> = expanded.split_whitespace().collect();
        if parts.len() != FIELDS.len() {
            let detail = if parts.len() == 6 || parts.len() == 7 {
                "expected five fields, minute hour day-of-month month weekday; there is none for seconds or years"
            } else {
                EXPECTED
            };
            let count = parts.len();
            let plural = if count == 1 { "" } else { "s" };
            let summary = format!("a schedule of {count} field{plural}");
            return Err(TimeProblem::at(text, body, summary, detail));
        }
        let mut sets = Vec::with_capacity(FIELDS.len());
        for (field, part) in FIELDS.iter().zip(&parts) {
            sets.push(parse_field(text, part, field)?);
        }
        let mut weekdays = std::mem::take(&mut sets[4]);
        if weekdays.remove(&7) {
            weekdays.insert(0);
        }
        let all_weekdays: BTreeSet<u32> = (0..7).collect();
        let all_days: BTreeSet<u32> = (1..=31).collect();
        let starred = |part: &str| part.starts_with(['*', '?']);
        let pairs = if starred(parts[2]) || starred(parts[4]) {
            vec![(&sets[2], &weekdays)]
        } else {
            vec![(&sets[2], &all_weekdays), (&all_days, &weekdays)]
        };
        let mut schedules = Vec::with_capacity(pairs.len());
        for (days, weekdays) in pairs {
            let line = format!(
                "0 {} {} {} {} {} *",
                list(&sets[0], 0),
                list(&sets[1], 0),
                list(days, 0),
                list(&sets[3], 0),
                // The crate counts Sunday as 1.
                if weekdays.len() == 7 {
                    "*".into()
                } else {
                    list(weekdays, 1)
                },
            );
            let schedule = cron::Schedule::from_str(&line).map_err(|error| {
                TimeProblem::at(
                    text,
                    body,
                    format!("the schedule cannot be read: {error}"),
                    EXPECTED,
                )
            })?;
            schedules.push(schedule);
        }
        let cron = Cron {
            source: body.to_string(),
            schedules,
        };
        // Any date of the calendar comes round within eight years (29 February around 2100), and with
        // a given weekday within forty.
        if cron.next_local(NaiveDateTime::default()).is_none() {
            return Err(TimeProblem::at(
                text,
                body,
                format!("the schedule {} never fires", quoted(body)),
                "no month that it names has such a day",
            ));
        }
        Ok(cron)
    }

    /// The text that was read.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The first firing after `t` (not at it).
    pub fn next_after(&self, t: Timestamp, zone: Zone) -> Option<Timestamp> {
        let mut local = zone.local(t);
        for _ in 0..MAX_PASSED {
            local = self.next_local(local)?;
            let firing = zone.instant(local);
            // While an hour is repeated, the calendar's next times have fired already.
            if firing > t {
                return Some(firing);
            }
        }
        None
    }

    /// The next `n` firings after `from` (at most 10,000), each once.
    pub fn firings(&self, from: Timestamp, zone: Zone, n: usize) -> Vec<Timestamp> {
        let mut t = from;
        let mut firings = Vec::new();
        while firings.len() < n.min(MAX_FIRINGS) {
            let Some(next) = self.next_after(t, zone) else {
                break;
            };
            firings.push(next);
            t = next;
        }
        firings
    }

    /// The last firing at or before `t`.
    pub fn previous_or_at(&self, t: Timestamp, zone: Zone) -> Option<Timestamp> {
        let mut local = latest_shown(zone, t) + chrono::Duration::seconds(1);
        for _ in 0..MAX_PASSED {
            local = self.previous_local(local)?;
            let firing = zone.instant(local);
            if firing <= t {
                return Some(firing);
            }
        }
        None
    }

    fn next_local(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        let after = as_if_utc(after);
        self.schedules
            .iter()
            .filter_map(|schedule| schedule.after(&after).next())
            .min()
            .map(|t| t.naive_utc())
    }

    fn previous_local(&self, before: NaiveDateTime) -> Option<NaiveDateTime> {
        let before = as_if_utc(before);
        self.schedules
            .iter()
            .filter_map(|schedule| schedule.after(&before).next_back())
            .max()
            .map(|t| t.naive_utc())
    }
}

fn as_if_utc(local: NaiveDateTime) -> DateTime<Utc> {
    // The crate reckons in whole seconds from 1970; firings are whole minutes, so none is lost.
    DateTime::from_timestamp(local.and_utc().timestamp().max(0), 0)
        .unwrap_or(DateTime::<Utc>::UNIX_EPOCH)
}

fn list(values: &BTreeSet<u32>, add: u32) -> String {
    let values: Vec<String> = values
        .iter()
        .map(|value| (value + add).to_string())
        .collect();
    values.join(",")
}

fn expand_macro(text: &str, body: &str) -> Result<&'static str, TimeProblem> {
    const MACROS: [(&str, &str); 7] = [
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        ("@monthly", "0 0 1 * *"),
        ("@weekly", "0 0 * * 0"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@hourly", "0 * * * *"),
    ];
    let wanted = body.to_lowercase();
    if let Some((_, fields)) = MACROS.iter().find(|(name, _)| *name == wanted) {
        return Ok(fields);
    }
    let suggestion = MACROS
        .iter()
        .map(|(name, _)| (name, strsim::jaro_winkler(&wanted, name)))
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .filter(|(_, score)| *score > 0.8)
        .map(|(name, _)| (*name).to_string());
    Err(TimeProblem::at(
        text,
        body,
        format!("unknown schedule {}", quoted(body)),
        "expected @yearly, @monthly, @weekly, @daily, @hourly or five fields",
    )
    .suggest(suggestion))
}

fn parse_field(whole: &str, text: &str, field: &Field) -> Result<BTreeSet<u32>, TimeProblem> {
    let mut values = BTreeSet::new();
    for item in text.split(',') {
        let (range, step) = match item.split_once('/') {
            Some((range, step_text)) => {
                let step = number(step_text).filter(|step| (1..=field.high).contains(step));
                let Some(step) = step else {
                    return Err(TimeProblem::at(
                        whole,
                        if step_text.is_empty() {
                            item
                        } else {
                            step_text
                        },
                        format!("{} is not a step of the {}", quoted(step_text), field.name),
                        format!("expected a number from 1 to {}", field.high),
                    ));
                };
                (range, Some(step))
            }
            None => (item, None),
        };
        let (low, high) = if range == "*" || (range == "?" && is_day_field(field)) {
            // Weekday 7 is 0 again: leave it out, so that steps count as crontab's do.
            (
                field.low,
                if field.name == "weekday" {
                    6
                } else {
                    field.high
                },
            )
        } else if let Some((first, last)) = range.split_once('-') {
            let low = parse_value(whole, first, item, field)?;
            let mut high = parse_value(whole, last, item, field)?;
            // `fri-sun`: the Sunday that ends a week.
            if field.name == "weekday" && high == 0 && low > 0 {
                high = 7;
            }
            if low > high {
                return Err(TimeProblem::at(
                    whole,
                    range,
                    format!("the range {} runs backwards", quoted(range)),
                    format!(
                        "write the smaller {} first, or two ranges with a comma",
                        field.name
                    ),
                ));
            }
            (low, high)
        } else {
            let low = parse_value(whole, range, item, field)?;
            // `5/15`: from 5 on.
            let high = match step {
                Some(_) if field.name == "weekday" => low.max(6),
                Some(_) => field.high,
                None => low,
            };
            (low, high)
        };
        values.extend((low..=high).step_by(step.unwrap_or(1) as usize));
    }
    Ok(values)
}

fn parse_value(whole: &str, text: &str, item: &str, field: &Field) -> Result<u32, TimeProblem> {
    let lower = text.to_lowercase();
    let named = field
        .names
        .iter()
        .position(|name| *name == lower)
        .map(|index| index as u32 + field.first_name);
    let value = named.or_else(|| number(text).filter(|v| (field.low..=field.high).contains(v)));
    value.ok_or_else(|| {
        let names = match field.names {
            [] => String::new(),
            names => format!(" or {} to {}", names[0], names[names.len() - 1]),
        };
        let suggestion = field
            .names
            .iter()
            .map(|name| (name, strsim::jaro_winkler(&lower, name)))
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .filter(|(_, score)| *score > 0.8)
            .map(|(name, _)| (*name).to_string());
        TimeProblem::at(
            whole,
            if text.is_empty() { item } else { text },
            format!("{} is no {}", quoted(text), field.name),
            format!(
                "expected {} to {}{names}, *, lists, ranges and steps",
                field.low, field.high
            ),
        )
        .suggest(suggestion)
    })
}

fn number(text: &str) -> Option<u32> {
    (!text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit()))
        .then(|| text.parse().ok())?
}

/// `?` stands for `*` in the day fields, as Kubernetes takes it.
fn is_day_field(field: &Field) -> bool {
    matches!(field.name, "day of month" | "weekday")
}
