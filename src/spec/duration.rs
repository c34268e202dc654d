//! Durations (`45s`, `2h30m`), ranges of them (`30s..90s`) and percentages (`5%`).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::diagnostic::quote;
use super::scalar::{Scalar, found, scalar_serde};

/// The units, largest first, with their milliseconds.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The longest duration that a spec may hold: ten years. Anything longer is a slip, and sums of a few stay far from
/// the limits of a 64-bit millisecond clock.
pub const MAX_DURATION: Duration = Duration::from_millis(3_650 * 86_400_000);

/// A length of time in whole milliseconds, at most [`MAX_DURATION`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration(u64);

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// So many milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// So many seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * 1_000)
    }

    /// So many days of 24 hours.
    pub const fn from_days(days: u64) -> Self {
        Self(days * 86_400_000)
    }

    /// The length in milliseconds.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// The length in milliseconds, for sums with timestamps; it always fits.
    pub const fn millis_i64(self) -> i64 {
        // At most MAX_DURATION when parsed; a larger one made by code is held at the largest.
        if self.0 > i64::MAX as u64 {
            i64::MAX
        } else {
            self.0 as i64
        }
    }

    /// The same length as the standard library writes it.
    pub const fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (unit, size) in UNITS {
            if rest >= size {
                write!(f, "{}{unit}", rest / size)?;
                rest %= size;
            }
        }
        Ok(())
    }
}

/// The error of a text that is no duration, range or percentage: one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(pub String);

impl FromStr for Duration {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let body = text.trim();
        let wrong = |why: &str| ParseError(format!("{} is not a duration: {why}", quote(text)));
        const EXPECTED: &str =
            "write a whole number and a unit, such as `200ms`, `45s`, `20m`, `2h`, `3d` or `2h30m`";
        if body.is_empty() {
            return Err(wrong(EXPECTED));
        }
        if body.starts_with('-') {
            return Err(wrong("it cannot be negative"));
        }
        let mut rest = body;
        let mut total: u64 = 0;
        let mut last_size = u64::MAX;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                return Err(wrong(EXPECTED));
            }
            let (number, after) = rest.split_at(digits);
            let letters = after
                .find(|c: char| c.is_ascii_digit())
                .unwrap_or(after.len());
            let (unit, after) = after.split_at(letters);
            if unit.is_empty() {
                return Err(wrong(
                    "the number lacks a unit; write `s` for seconds, `m` for minutes, `h` or `d`",
                ));
            }
            if unit.starts_with(['.', ',']) {
                return Err(wrong(
                    "fractions are not accepted; write `1h30m` for one and a half hours",
                ));
            }
            let Some((_, size)) = UNITS.iter().find(|(name, _)| *name == unit) else {
                let unit = unit.trim();
                return Err(wrong(&match unit {
                    "w" | "week" | "weeks" => {
                        "the largest unit is the day; a week is `7d`".to_owned()
                    }
                    "M" | "mo" | "month" | "months" => {
                        "the largest unit is the day; a month is `30d`".to_owned()
                    }
                    "y" | "year" | "years" => {
                        "the largest unit is the day; a year is `365d`".to_owned()
                    }
                    "sec" | "secs" | "second" | "seconds" => "seconds are written `s`".to_owned(),
                    "min" | "mins" | "minute" | "minutes" => "minutes are written `m`".to_owned(),
                    "hour" | "hours" | "hr" | "hrs" => "hours are written `h`".to_owned(),
                    "day" | "days" => "days are written `d`".to_owned(),
                    "S" | "H" | "D" | "MS" | "Ms" => "units are small letters".to_owned(),
                    _ if unit.contains("..") => {
                        "this is a range; one duration is expected here".to_owned()
                    }
                    _ => format!(
                        "unknown unit {}; the units are `ms`, `s`, `m`, `h` and `d`",
                        quote(unit)
                    ),
                }));
            };
            if *size >= last_size {
                return Err(wrong(
                    "the units go from the largest to the smallest, each once, as in `2h30m`",
                ));
            }
            last_size = *size;
            let number: Option<u64> = number.parse().ok();
            total = number
                .and_then(|n| n.checked_mul(*size))
                .and_then(|ms| total.checked_add(ms))
                .filter(|ms| *ms <= MAX_DURATION.0)
                .ok_or_else(|| wrong(&format!("the longest accepted is `{MAX_DURATION}`")))?;
            rest = after;
        }
        Ok(Self(total))
    }
}

/// Text, or a sentence about what was found instead.
fn text_of<'a>(value: &'a Value, expected: &str) -> Result<&'a str, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(n) => Err(format!(
            "{} has no unit; {expected}",
            found(&Value::Number(n.clone()))
        )),
        other => Err(format!("found {}; {expected}", found(other))),
    }
}

impl Scalar for Duration {
    const KIND: &'static str = "duration";

    fn read(value: &Value) -> Result<Self, String> {
        text_of(value, "write a duration such as `45s`, `20m` or `2h30m`")?
            .parse()
            .map_err(|e: ParseError| e.0)
    }
}

scalar_serde!(Duration);

/// What a duration looks like, for editors; the parser is stricter about size.
const DURATION_PATTERN: &str = r"^\s*(\d+(d|h|ms|m|s))+\s*$";

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A length of time: whole numbers with the units ms, s, m, h and d, largest first.",
            "pattern": DURATION_PATTERN,
            "examples": ["45s", "20m", "2h30m", "3d"],
            "x-scalar": Self::KIND,
        })
    }
}

/// A range of durations, `30s..90s`, both ends included; a single duration is a range of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DurationRange {
    /// The shortest.
    pub min: Duration,
    /// The longest; never below `min`.
    pub max: Duration,
}

impl DurationRange {
    /// From `min` to `max`.
    pub const fn new(min: Duration, max: Duration) -> Self {
        Self { min, max }
    }

    /// The middle, for estimates.
    pub const fn mean(self) -> Duration {
        Duration(self.min.0 / 2 + self.max.0 / 2 + (self.min.0 % 2 + self.max.0 % 2) / 2)
    }

    /// The same range with nothing below `floor`.
    #[must_use]
    pub fn at_least(self, floor: Duration) -> Self {
        Self {
            min: self.min.max(floor),
            max: self.max.max(floor),
        }
    }
}

impl fmt::Display for DurationRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max {
            write!(f, "{}", self.min)
        } else {
            write!(f, "{}..{}", self.min, self.max)
        }
    }
}

impl FromStr for DurationRange {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = |why: &str| ParseError(format!("{} is not a range: {why}", quote(text)));
        let Some((low, high)) = text.split_once("..") else {
            return match text.parse() {
                Ok(one) => Ok(Self::new(one, one)),
                Err(error) => {
                    // `30s-90s`, `30s…90s`: the range that was meant, in a form that people try.
                    if let Some((low, high)) = text.split_once(['-', '–', '…', '~']) {
                        let (low, high) = (low.trim(), high.trim());
                        if low.parse::<Duration>().is_ok() && high.parse::<Duration>().is_ok() {
                            return Err(wrong(&format!("write it with two dots, `{low}..{high}`")));
                        }
                    }
                    Err(error)
                }
            };
        };
        let high = high.strip_prefix('=').unwrap_or(high);
        let (min, max): (Duration, Duration) = (low.parse()?, high.parse()?);
        if min > max {
            return Err(wrong(&format!(
                "{min} is longer than {max}; write `{max}..{min}`"
            )));
        }
        Ok(Self { min, max })
    }
}

impl Scalar for DurationRange {
    const KIND: &'static str = "range";

    fn read(value: &Value) -> Result<Self, String> {
        text_of(
            value,
            "write a range such as `30s..90s`, or one duration such as `45s`",
        )?
        .parse()
        .map_err(|e: ParseError| e.0)
    }
}

scalar_serde!(DurationRange);

impl JsonSchema for DurationRange {
    fn schema_name() -> Cow<'static, str> {
        "DurationRange".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let one = r"(\d+(d|h|ms|m|s))+";
        json_schema!({
            "type": "string",
            "description": "From one duration to another, both included; a single duration is a range of one value.",
            "pattern": format!(r"^\s*{one}(\s*\.\.\s*{one})?\s*$"),
            "examples": ["30s..90s", "45s"],
            "x-scalar": Self::KIND,
        })
    }
}

/// A share from `0%` to `100%`, in steps of a hundredth of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(u32);

impl Percent {
    /// So many whole percent, at most 100.
    pub const fn whole(percent: u32) -> Self {
        Self(if percent > 100 { 10_000 } else { percent * 100 })
    }

    /// Hundredths of a percent: `5%` is 500.
    pub const fn basis_points(self) -> u32 {
        self.0
    }

    /// The share as a number from 0 to 1.
    pub fn ratio(self) -> f64 {
        f64::from(self.0) / 10_000.0
    }

    /// Whether `part` of `whole` is more than this share; never where `whole` is 0.
    pub fn is_exceeded_by(self, part: u64, whole: u64) -> bool {
        u128::from(part) * 10_000 > u128::from(whole) * u128::from(self.0)
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 100, self.0 % 100);
        match rest {
            0 => write!(f, "{whole}%"),
            rest if rest % 10 == 0 => write!(f, "{whole}.{}%", rest / 10),
            rest => write!(f, "{whole}.{rest:02}%"),
        }
    }
}

impl FromStr for Percent {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = |why: &str| ParseError(format!("{} is not a percentage: {why}", quote(text)));
        const EXPECTED: &str = "write a number from 0 to 100 and a percent sign, such as `5%`";
        let Some(number) = text.trim().strip_suffix('%').map(str::trim_end) else {
            return Err(wrong(if text.trim().parse::<f64>().is_ok() {
                "the percent sign is missing"
            } else {
                EXPECTED
            }));
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            return Err(wrong(EXPECTED));
        }
        if fraction.len() > 2 {
            return Err(wrong("at most two digits may stand after the dot"));
        }
        let points = whole
            .parse::<u32>()
            .ok()
            .and_then(|n| n.checked_mul(100))
            .and_then(|n| n.checked_add(format!("{fraction:0<2}").parse().ok()?))
            .filter(|points| *points <= 10_000);
        points.map(Self).ok_or_else(|| wrong("more than 100%"))
    }
}

impl Scalar for Percent {
    const KIND: &'static str = "percent";

    fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::String(text) => text.parse().map_err(|e: ParseError| e.0),
            Value::Number(n) => Err(format!(
                "the number {n} lacks its percent sign; write a percentage such as `5%`"
            )),
            other => Err(format!(
                "found {}; write a percentage such as `5%`",
                found(other)
            )),
        }
    }
}

scalar_serde!(Percent);

impl JsonSchema for Percent {
    fn schema_name() -> Cow<'static, str> {
        "Percent".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A share from 0% to 100%.",
            "pattern": r"^\s*\d{1,3}(\.\d{1,2})?\s*%\s*$",
            "examples": ["5%", "2.5%"],
            "x-scalar": Self::KIND,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_whole_numbers_and_units_from_the_largest_on() {
        for (text, expected) in [
            ("200ms", Ok(200)),
            ("45s", Ok(45_000)),
            ("20m", Ok(1_200_000)),
            ("2h", Ok(7_200_000)),
            ("3d", Ok(259_200_000)),
            ("2h30m", Ok(9_000_000)),
            ("1d2h3m4s5ms", Ok(93_784_005)),
            ("0s", Ok(0)),
            (" 5s ", Ok(5_000)),
            ("3650d", Ok(315_360_000_000)),
            ("3651d", Err("longest accepted is `3650d`")),
            ("99999999999999999999s", Err("longest accepted")),
            ("", Err("write a whole number and a unit")),
            ("45", Err("lacks a unit")),
            ("s", Err("write a whole number")),
            ("1.5h", Err("fractions are not accepted")),
            ("-5s", Err("cannot be negative")),
            ("30m2h", Err("from the largest to the smallest")),
            ("5m5m", Err("from the largest to the smallest")),
            ("1w", Err("a week is `7d`")),
            ("5min", Err("minutes are written `m`")),
            ("5 s", Err("unknown unit")),
            ("5S", Err("small letters")),
            ("5x", Err("unknown unit \"x\"")),
        ] {
            match (text.parse::<Duration>(), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found.millis(), expected, "{text}"),
                (Err(error), Err(part)) => assert!(error.0.contains(part), "{text}: {error}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }

    #[test]
    fn what_is_printed_is_read_as_the_same() {
        for millis in [
            0,
            1,
            999,
            1_000,
            61_000,
            3_600_001,
            86_400_000,
            93_784_005,
            MAX_DURATION.millis(),
        ] {
            let duration = Duration::from_millis(millis);
            assert_eq!(duration.to_string().parse(), Ok(duration), "{duration}");
        }
        for text in ["30s..1m30s", "45s", "0s..200ms"] {
            assert_eq!(text.parse::<DurationRange>().unwrap().to_string(), text);
        }
        for text in ["5%", "0%", "100%", "2.5%", "0.25%", "12.05%"] {
            assert_eq!(text.parse::<Percent>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_range_goes_up() {
        for (text, expected) in [
            ("30s..90s", Ok((30, 90))),
            ("30s .. 90s", Ok((30, 90))),
            ("45s", Ok((45, 45))),
            ("5s..5s", Ok((5, 5))),
            ("90s..30s", Err("longer than")),
            ("30s-90s", Err("`30s..90s`")),
            ("30s..", Err("write a whole number")),
            ("30..90s", Err("lacks a unit")),
            ("30s..90s..2m", Err("not a duration")),
        ] {
            match (text.parse::<DurationRange>(), expected) {
                (Ok(range), Ok((min, max))) => {
                    assert_eq!(
                        (range.min, range.max),
                        (Duration::from_secs(min), Duration::from_secs(max)),
                        "{text}"
                    );
                }
                (Err(error), Err(part)) => assert!(error.0.contains(part), "{text}: {error}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_percentage_has_its_sign_and_is_at_most_all() {
        for (text, expected) in [
            ("5%", Ok(500)),
            ("2.5 %", Ok(250)),
            ("0%", Ok(0)),
            ("100%", Ok(10_000)),
            ("100.01%", Err("more than 100%")),
            ("5", Err("percent sign is missing")),
            ("five%", Err("write a number")),
            ("0.125%", Err("at most two digits")),
            ("-1%", Err("write a number")),
            ("99999999999%", Err("more than 100%")),
        ] {
            match (text.parse::<Percent>(), expected) {
                (Ok(percent), Ok(points)) => assert_eq!(percent.basis_points(), points, "{text}"),
                (Err(error), Err(part)) => assert!(error.0.contains(part), "{text}: {error}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
        let five = Percent::whole(5);
        assert!(
            !five.is_exceeded_by(5, 100)
                && five.is_exceeded_by(6, 100)
                && !five.is_exceeded_by(0, 0)
        );
    }

    #[test]
    fn a_number_is_answered_with_what_to_write() {
        for value in [serde_json::json!(30), serde_json::json!(1.5)] {
            assert!(Duration::read(&value).unwrap_err().contains("no unit"));
            assert!(DurationRange::read(&value).unwrap_err().contains("no unit"));
            assert!(Percent::read(&value).unwrap_err().contains("percent sign"));
        }
        assert_eq!(
            Duration::read(&serde_json::json!(["5s"])).unwrap_err(),
            "found a list; write a duration such as `45s`, `20m` or `2h30m`"
        );
    }
}
