//! Days: from nanoseconds since the Unix epoch to `YYYY-MM-DD`.

use std::str::FromStr;

use time::{Date, Duration, Month, OffsetDateTime};

use crate::ConvertError;

/// Day 0.
const FIRST_DAY: Date = OffsetDateTime::UNIX_EPOCH.date();

/// Nanoseconds of a day; UTC has no leap seconds in these time stamps.
pub(crate) const DAY_NS: u64 = 86_400_000_000_000;

/// A day whose start is shifted by a fixed time from midnight UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day {
    /// Days since 1970-01-01.
    pub(crate) number: u64,
    /// First nanosecond.
    pub(crate) start_ns: u64,
}

impl Day {
    /// The day of a time stamp, where days begin `start_ns` after midnight UTC of their date: with
    /// -2 h, the day 2024-01-03 runs from 22:00 of the day before.
    pub(crate) fn of(ts: u64, start_ns: i64) -> Self {
        let number = ts.saturating_add_signed(start_ns.saturating_neg()) / DAY_NS;
        Self { number, start_ns: (number * DAY_NS).saturating_add_signed(start_ns) }
    }

    #[inline]
    pub(crate) fn contains(self, ts: u64) -> bool {
        ts.wrapping_sub(self.start_ns) < DAY_NS
    }
}

/// When the days of a store begin: a time of day at a fixed distance from UTC, as `17:00-06:00`,
/// `22:00` or `22:00Z`.
///
/// A session that begins at noon or later belongs to the next date of that clock, as exchanges
/// date it; one that begins before noon to its own.
///
/// ```
/// use lob_convert::DayStart;
/// const HOUR_NS: i64 = 3_600_000_000_000;
/// assert_eq!("22:00".parse::<DayStart>()?.ns(), -2 * HOUR_NS);
/// assert_eq!("17:00-06:00".parse::<DayStart>()?.ns(), -HOUR_NS);
/// assert_eq!("00:00-05:00".parse::<DayStart>()?.ns(), 5 * HOUR_NS);
/// # Ok::<(), lob_convert::ConvertError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayStart(i64);

impl DayStart {
    /// Nanoseconds from midnight UTC of a date to the start of its day.
    #[must_use]
    pub const fn ns(self) -> i64 {
        self.0
    }
}

impl FromStr for DayStart {
    type Err = ConvertError;

    fn from_str(text: &str) -> Result<Self, ConvertError> {
        const MINUTE_NS: i64 = 60_000_000_000;
        const DAY_MINUTES: i64 = 24 * 60;
        let parse = || -> Option<i64> {
            let (clock, zone) = text.split_at_checked(5)?;
            let local = minutes(clock, 23)?;
            let zone = match zone {
                "" | "Z" | "z" => 0,
                zone => match zone.split_at_checked(1)? {
                    ("+", hours) => minutes(hours, 14)?,
                    ("-", hours) => -minutes(hours, 14)?,
                    _ => return None,
                },
            };
            let on_its_date = if local < DAY_MINUTES / 2 { local } else { local - DAY_MINUTES };
            Some((on_its_date - zone) * MINUTE_NS)
        };
        parse().map(Self).ok_or_else(|| ConvertError::Config {
            setting: "day-start",
            found: text.to_owned(),
            expected: "`HH:MM`, `HH:MMZ`, `HH:MM+HH:MM` or `HH:MM-HH:MM`".to_owned(),
        })
    }
}

/// Minutes of `HH:MM`, of at most so many hours.
fn minutes(text: &str, most_hours: i64) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |digits: &str, most: i64| -> Option<i64> {
        let is_number = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|number| is_number && *number <= most)
    };
    Some(number(hours, most_hours)? * 60 + number(minutes, 59)?)
}

impl std::fmt::Display for Day {
    /// The date in the Gregorian calendar.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let days = i64::try_from(self.number).unwrap_or(i64::MAX);
        let date = FIRST_DAY.checked_add(Duration::days(days)).unwrap_or(Date::MAX);
        write!(f, "{date}")
    }
}

/// Days since 1970-01-01 of a date such as `2024-01-31`; `None` for anything else.
pub(crate) fn days_of_date(text: &str) -> Option<u64> {
    let mut parts = text.split('-');
    let mut next = |digits: usize| -> Option<u16> {
        let part = parts.next()?;
        let is_number = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { part.parse().ok() } else { None }
    };
    let (year, month, day) = (next(4)?, next(2)?, next(2)?);
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = Date::from_calendar_date(i32::from(year), month, u8::try_from(day).ok()?).ok()?;
    let number = u64::try_from((date - FIRST_DAY).whole_days()).ok()?;
    parts.next().is_none().then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_back() {
        for days in (0..60_000).step_by(7) {
            let text = Day { number: days, start_ns: 0 }.to_string();
            assert_eq!(days_of_date(&text), Some(days), "{text}");
        }
        for text in ["2024-02-30", "2023-02-29", "2024-13-01", "2024-00-10", "2024-01-00", "x"] {
            assert_eq!(days_of_date(text), None, "{text}");
        }
        assert_eq!(days_of_date("2024-01-01-1"), None);
        assert_eq!(days_of_date("1969-12-31"), None);
    }

    const HOUR_NS: i64 = 3_600_000_000_000;

    fn check(ts_s: u64, start_ns: i64, expected: &str) {
        let ts = ts_s * 1_000_000_000;
        let day = Day::of(ts, start_ns);
        assert_eq!(day.to_string(), expected, "{ts_s} s, start {start_ns}");
        assert!(day.contains(ts) && !day.contains(day.start_ns + DAY_NS));
    }

    #[test]
    fn dates() {
        check(0, 0, "1970-01-01");
        check(951_782_399, 0, "2000-02-28");
        check(951_782_400, 0, "2000-02-29");
        check(951_868_800, 0, "2000-03-01");
        check(1_703_462_400, 0, "2023-12-25");
        check(4_107_542_399, 0, "2100-02-28");
        check(4_107_542_400, 0, "2100-03-01");
    }

    #[test]
    fn session_days() {
        check(1_703_541_600, -2 * HOUR_NS, "2023-12-26");
        check(1_703_541_599, -2 * HOUR_NS, "2023-12-25");
        check(1_703_462_400, -2 * HOUR_NS, "2023-12-25");
        check(1_703_462_400, 5 * HOUR_NS, "2023-12-24");
        check(1_703_480_400, 5 * HOUR_NS, "2023-12-25");
        check(1_703_480_399, 5 * HOUR_NS, "2023-12-24");
    }

    #[test]
    fn starts_of_days_are_read() {
        let hours = |text: &str| text.parse().map(|start: DayStart| start.ns() / HOUR_NS);
        for (text, expected) in [
            // Chicago at 17:00, winter and summer, and the same in UTC.
            ("17:00-06:00", -1),
            ("17:00-05:00", -2),
            ("23:00Z", -1),
            ("22:00", -2),
            ("22:00+00:00", -2),
            // Midnight in Tokyo and New York.
            ("00:00+09:00", -9),
            ("00:00-05:00", 5),
            ("00:00", 0),
            // A stock exchange's day keeps its date, a day from noon on is the next one's.
            ("09:00-05:00", 14),
            ("12:00Z", -12),
            ("11:00z", 11),
        ] {
            assert_eq!(hours(text).unwrap(), expected, "{text}");
        }
        assert_eq!("09:30-05:30".parse::<DayStart>().unwrap().ns(), 15 * HOUR_NS);
        for text in [
            "",
            "17",
            "17:00-6",
            "24:00",
            "17:60",
            "7:00",
            "17:00 Z",
            "17:00+15:00",
            "17:00-06",
            "17.00",
            "+7:00",
            "17:00-06:00x",
            "１７:00",
            "17:00--6:00",
        ] {
            let error = text.parse::<DayStart>().unwrap_err().to_string();
            assert!(error.contains("day-start") && error.contains("HH:MM"), "{text}: {error}");
        }
    }
}
