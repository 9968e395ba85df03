//! Days: from nanoseconds since the Unix epoch to `YYYY-MM-DD`.

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
    /// The day of a time stamp. With `start_ns` = 22 h, the day 2024-01-03 runs from 22:00 of the
    /// day before: a session counts to the day it ends on.
    pub(crate) fn of(ts: u64, start_ns: u64) -> Self {
        let shift = (DAY_NS - start_ns % DAY_NS) % DAY_NS;
        let number = ts.saturating_add(shift) / DAY_NS;
        Self { number, start_ns: (number * DAY_NS).saturating_sub(shift) }
    }

    #[inline]
    pub(crate) fn contains(self, ts: u64) -> bool {
        ts.wrapping_sub(self.start_ns) < DAY_NS
    }
}

impl std::fmt::Display for Day {
    /// The Gregorian date, by counting days in eras of 400 years that begin in March.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const ERA_DAYS: u64 = 146_097;
        // Days from 0000-03-01 to 1970-01-01.
        let days = self.number + 719_468;
        let (era, day_of_era) = (days / ERA_DAYS, days % ERA_DAYS);
        let leap_free =
            day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096;
        let year_of_era = leap_free / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// Days since 1970-01-01 of a date such as `2024-01-31`; `None` for anything else.
pub(crate) fn days_of_date(text: &str) -> Option<u64> {
    let mut parts = text.split('-');
    let mut next = |digits: usize| -> Option<u64> {
        let part = parts.next()?;
        let is_number = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { part.parse().ok() } else { None }
    };
    let (year, month, day) = (next(4)?, next(2)?, next(2)?);
    // The inverse of the counting in `Day`: whole months from March on have 153 days in five.
    let year_from_march = if month <= 2 { year.checked_sub(1)? } else { year };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day.checked_sub(1)?;
    let leap_days = year_from_march / 4 - year_from_march / 100 + year_from_march / 400;
    let number = (365 * year_from_march + leap_days + day_of_year).checked_sub(719_468)?;
    // A day that does not exist comes out as another one.
    let found = Day { number, start_ns: 0 };
    (parts.next().is_none() && found.to_string() == text).then_some(number)
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

    const HOUR_NS: u64 = 3_600_000_000_000;

    fn check(ts_s: u64, start_ns: u64, expected: &str) {
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
        check(1_703_541_600, 22 * HOUR_NS, "2023-12-26");
        check(1_703_541_599, 22 * HOUR_NS, "2023-12-25");
        check(1_703_462_400, 22 * HOUR_NS, "2023-12-25");
    }
}
