//! Windows: the times of the week in which something may be sent.

use chrono::{Datelike, Timelike};

use super::{TimeProblem, Zone, quoted};
use crate::model::Timestamp;

const DAY_MINUTES: u32 = 24 * 60;
const WEEK_MINUTES: u32 = 7 * DAY_MINUTES;
const MINUTE_MILLIS: i64 = 60_000;
/// A week has at most this many windows in one spec: one for every five minutes of two days would do.
const MAX_WINDOWS: usize = 500;
/// A search passes at most a week's windows and a few changes of the clock.
const MAX_STEPS: usize = 64;

/// The times of the week in which something may be sent, united.
///
/// What counts is what the clock on the wall shows: an instant is open if its weekday and time lie in
/// a window (its end not included). So a window in a repeated hour is open in both, and one in a gap
/// not at all. Without any window it is always open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Windows {
    /// Disjoint, not touching, sorted; minutes since Monday 00:00. Only the last may end after
    /// the week, where it goes on from Monday 00:00.
    spans: Vec<(u32, u32)>,
}

impl Windows {
    /// No windows: always open.
    pub fn always() -> Windows {
        Windows::default()
    }

    /// Reads windows such as `mon-fri 10:00-13:00`, `sat,sun 12:00-18:00`, `10:00-20:00` (every day),
    /// `fri 22:00-02:00` (across midnight: of the day on which it opens), `20:00-24:00`.
    ///
    /// # Errors
    /// The index of the first window that cannot be read, and the problem with its place in it.
    pub fn parse<S: AsRef<str>>(texts: &[S]) -> Result<Windows, (usize, TimeProblem)> {
        let mut spans = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            let text = text.as_ref();
            if index >= MAX_WINDOWS {
                let problem = TimeProblem::at(
                    text,
                    text,
                    format!("more than {MAX_WINDOWS} windows"),
                    "unite some of them",
                );
                return Err((index, problem));
            }
            spans.extend(parse_one(text).map_err(|problem| (index, problem))?);
        }
        Ok(Windows {
            spans: unite(spans),
        })
    }

    /// Checks a single window text.
    ///
    /// # Errors
    /// The problem, with its place in the text.
    pub fn check(text: &str) -> Result<(), TimeProblem> {
        parse_one(text).map(|_| ())
    }

    /// Whether there is no restriction at all.
    pub fn is_always(&self) -> bool {
        self.spans.is_empty() || self.spans == [(0, WEEK_MINUTES)]
    }

    /// Whether something may be sent at that instant.
    pub fn open_at(&self, t: Timestamp, zone: Zone) -> bool {
        self.is_always() || self.span_at(week_millis(t, zone)).is_some()
    }

    /// The first open instant at or after `t`: `t` itself when open. `None` only where a zone's
    /// changes swallow every window for weeks.
    pub fn next_open(&self, t: Timestamp, zone: Zone) -> Option<Timestamp> {
        let mut t = t;
        for _ in 0..MAX_STEPS {
            if self.open_at(t, zone) {
                return Some(t);
            }
            let here = week_millis(t, zone);
            let wait = self
                .spans
                .iter()
                .map(|(start, _)| ahead(here, i64::from(*start) * MINUTE_MILLIS))
                .min()?;
            // Where the clock changes before that, look again from there.
            t = earlier_change(zone, t, Timestamp(t.0.saturating_add(wait)));
        }
        None
    }

    /// The first closed instant after `t`, where `t` is open; `None` where it is closed at `t` or
    /// never closes.
    pub fn closes_at(&self, t: Timestamp, zone: Zone) -> Option<Timestamp> {
        if self.is_always() || !self.open_at(t, zone) {
            return None;
        }
        let mut t = t;
        for _ in 0..MAX_STEPS {
            let here = week_millis(t, zone);
            let Some((_, end)) = self.span_at(here) else {
                return Some(t);
            };
            let wait = ahead(here, i64::from(end % WEEK_MINUTES) * MINUTE_MILLIS);
            t = earlier_change(zone, t, Timestamp(t.0.saturating_add(wait)));
        }
        None
    }

    /// The instant at which so much open time (in milliseconds) has passed since `t`: for estimates.
    /// Looks at most about three years ahead.
    pub fn after_open_time(&self, t: Timestamp, millis: i64, zone: Zone) -> Option<Timestamp> {
        /// Three years of hourly windows.
        const MAX_TURNS: usize = 3 * 366 * 24;
        let (mut t, mut left) = (t, millis.max(0));
        for _ in 0..MAX_TURNS {
            t = self.next_open(t, zone)?;
            let Some(close) = self.closes_at(t, zone) else {
                return Some(Timestamp(t.0.saturating_add(left)));
            };
            if close.0.saturating_sub(t.0) >= left {
                return Some(Timestamp(t.0.saturating_add(left)));
            }
            left = left.saturating_sub(close.0.saturating_sub(t.0));
            t = close;
        }
        None
    }

    /// The span that holds a time of the week (in milliseconds).
    fn span_at(&self, millis: i64) -> Option<(u32, u32)> {
        let minute = (millis / MINUTE_MILLIS) as u32;
        self.spans
            .iter()
            .find(|(start, end)| {
                (*start..*end).contains(&minute)
                    || (*start..*end).contains(&(minute + WEEK_MINUTES))
            })
            .copied()
    }
}

/// Milliseconds since Monday 00:00 by the clock on the wall.
fn week_millis(t: Timestamp, zone: Zone) -> i64 {
    let local = zone.local(t);
    let seconds = i64::from(local.weekday().num_days_from_monday()) * 86_400
        + i64::from(local.num_seconds_from_midnight());
    seconds * 1000 + i64::from(local.nanosecond() / 1_000_000).min(999)
}

/// How far ahead in the week a time lies; a whole week where it is now.
fn ahead(here: i64, there: i64) -> i64 {
    const WEEK: i64 = WEEK_MINUTES as i64 * MINUTE_MILLIS;
    match (there - here).rem_euclid(WEEK) {
        0 => WEEK,
        distance => distance,
    }
}

/// `until`, or the change of the clock that comes before it.
fn earlier_change(zone: Zone, t: Timestamp, until: Timestamp) -> Timestamp {
    zone.next_change(t, until).unwrap_or(until)
}

fn unite(mut spans: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    spans.sort_unstable();
    let mut united: Vec<(u32, u32)> = Vec::new();
    for (start, end) in spans {
        match united.last_mut() {
            Some((_, last)) if start <= *last => *last = (*last).max(end),
            _ => united.push((start, end)),
        }
    }
    // What runs on past Sunday midnight swallows or meets what stands on Monday.
    while united.len() > 1 {
        let (first_start, first_end) = united[0];
        let last = united.len() - 1;
        if united[last].1 < first_start + WEEK_MINUTES {
            break;
        }
        united[last].1 = united[last].1.max(first_end + WEEK_MINUTES);
        united.remove(0);
    }
    if let [(start, end)] = united[..]
        && end - start >= WEEK_MINUTES
    {
        return vec![(0, WEEK_MINUTES)];
    }
    united
}

const DAY_NAMES: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

fn parse_one(text: &str) -> Result<Vec<(u32, u32)>, TimeProblem> {
    const EXPECTED: &str = "expected days and times such as 'mon-fri 10:00-13:00', 'sat,sun 12:00-18:00' or '10:00-20:00'";
    /// No window that means anything is longer.
    const MAX_CHARS: usize = 200;
    let body = text.trim();
    if body.is_empty() {
        return Err(TimeProblem::at(
            text,
            text,
            "the window is empty".into(),
            EXPECTED,
        ));
    }
    if body.chars().count() > MAX_CHARS {
        return Err(TimeProblem::at(
            text,
            body,
            "the window is too long".into(),
            EXPECTED,
        ));
    }
    // The times begin at the first digit; whatever stands before it names days.
    let Some(times_at) = body.find(|c: char| c.is_ascii_digit()) else {
        return Err(TimeProblem::at(
            text,
            body,
            format!("{} names no times", quoted(body)),
            EXPECTED,
        ));
    };
    let (days_text, times) = body.split_at(times_at);
    if !days_text.is_empty() && !days_text.ends_with(char::is_whitespace) {
        return Err(TimeProblem::at(
            text,
            body,
            format!("{} is not a window", quoted(body)),
            EXPECTED,
        ));
    }
    let days = parse_days(text, days_text.trim())?;
    let Some((from, to)) = times.split_once(['-', '–']) else {
        return Err(TimeProblem::at(
            text,
            times,
            format!("{} is not a span of time", quoted(times)),
            "expected a start and an end such as 10:00-13:00",
        ));
    };
    let start = parse_minute(text, from.trim())?;
    let end = parse_minute(text, to.trim())?;
    if start == DAY_MINUTES {
        return Err(TimeProblem::at(
            text,
            from.trim(),
            "24:00 cannot be a start".into(),
            "write 00:00 of the next day; 24:00 may be an end",
        ));
    }
    if start == end {
        return Err(TimeProblem::at(
            text,
            times,
            format!("the window {} is empty", quoted(times)),
            "the end must differ from the start; the whole day is 00:00-24:00",
        ));
    }
    let end = if end < start { end + DAY_MINUTES } else { end };
    Ok(days
        .into_iter()
        .map(|day| (day * DAY_MINUTES + start, day * DAY_MINUTES + end))
        .collect())
}

fn parse_days(whole: &str, text: &str) -> Result<Vec<u32>, TimeProblem> {
    if text.is_empty() {
        return Ok((0..7).collect());
    }
    let mut days = Vec::new();
    for item in text.split(',') {
        let item = item.trim();
        match item.split_once(['-', '–']) {
            Some((first, last)) => {
                let first = parse_day(whole, first.trim())?;
                let last = parse_day(whole, last.trim())?;
                // `sat-mon` goes round the week's end.
                let count = (last + 7 - first) % 7;
                days.extend((0..=count).map(|step| (first + step) % 7));
            }
            None => days.push(parse_day(whole, item)?),
        }
    }
    Ok(days)
}

fn parse_day(whole: &str, text: &str) -> Result<u32, TimeProblem> {
    let wanted = text.to_lowercase();
    let found = DAY_NAMES
        .iter()
        .position(|name| *name == wanted || name[..3] == *wanted);
    match found {
        Some(day) => Ok(day as u32),
        None => {
            let suggestion = DAY_NAMES
                .iter()
                .map(|name| {
                    let short = strsim::jaro_winkler(&wanted, &name[..3]);
                    (name, short.max(strsim::jaro_winkler(&wanted, name)))
                })
                .max_by(|a, b| a.1.total_cmp(&b.1))
                .filter(|(_, score)| *score > 0.7)
                .map(|(name, _)| name[..3].to_string());
            Err(TimeProblem::at(
                whole,
                text,
                format!("{} is not a day of the week", quoted(text)),
                "expected mon, tue, wed, thu, fri, sat or sun, a list such as sat,sun or a range such as mon-fri",
            )
            .suggest(suggestion))
        }
    }
}

fn parse_minute(whole: &str, text: &str) -> Result<u32, TimeProblem> {
    let number = |part: &str, lengths: std::ops::RangeInclusive<usize>| -> Option<u32> {
        (lengths.contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()))
            .then(|| part.parse().ok())?
    };
    let value = text
        .split_once(':')
        .and_then(|(hour, minute)| Some((number(hour, 1..=2)?, number(minute, 2..=2)?)));
    match value {
        Some((24, 0)) => Ok(DAY_MINUTES),
        Some((hour, minute)) if hour < 24 && minute < 60 => Ok(hour * 60 + minute),
        _ => Err(TimeProblem::at(
            whole,
            text,
            format!("{} is not a time of day", quoted(text)),
            "expected hours and minutes from 00:00 to 24:00",
        )),
    }
}
