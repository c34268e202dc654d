//! The calendar day of an instant in a zone: the day by which `per_day` counts.

use chrono::{Datelike, Duration, NaiveDate, NaiveTime};

use super::Zone;
use crate::model::Timestamp;

/// A calendar day in a zone. On days on which the clock changes it has 23 or 25 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Day {
    date: NaiveDate,
    zone: Zone,
}

impl Day {
    /// The day that the calendar shows at that instant.
    pub fn of(t: Timestamp, zone: Zone) -> Day {
        Day {
            date: zone.local(t).date(),
            zone,
        }
    }

    /// Days since 1970-01-01 in the calendar: consecutive days differ by one, in every zone.
    pub fn number(&self) -> i64 {
        /// `num_days_from_ce` of 1970-01-01.
        const EPOCH: i64 = 719_163;
        i64::from(self.date.num_days_from_ce()) - EPOCH
    }

    /// The calendar's name of the day.
    pub fn date(&self) -> NaiveDate {
        self.date
    }

    /// The zone whose calendar this is.
    pub fn zone(&self) -> Zone {
        self.zone
    }

    /// Its first instant.
    pub fn start(&self) -> Timestamp {
        self.zone.instant(self.date.and_time(NaiveTime::MIN))
    }

    /// The first instant of the next day.
    pub fn end(&self) -> Timestamp {
        self.next().start()
    }

    /// The day after.
    pub fn next(&self) -> Day {
        Day {
            date: self
                .date
                .checked_add_signed(Duration::days(1))
                .unwrap_or(NaiveDate::MAX),
            zone: self.zone,
        }
    }
}
