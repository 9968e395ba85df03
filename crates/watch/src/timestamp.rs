//! Moments on the wall clock as text.
//!
//! Days are turned into dates and back by the algorithms of Howard Hinnant, "chrono-compatible
//! low-level date algorithms" (2013), in the proleptic Gregorian calendar.

use std::time::{Duration, SystemTime};

const DAY_S: u64 = 86_400;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_SHIFT: u64 = 719_468;
/// Days in 400 years.
const ERA: u64 = 146_097;

/// Time since 1970 on the wall clock; zero on a clock set before that.
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// `2026-11-21T06:53:08.250Z`.
pub(crate) fn rfc3339(since_1970: Duration) -> String {
    let s = since_1970.as_secs();
    let (year, month, day) = date(s / DAY_S);
    let (hour, minute, second) = (s / 3600 % 24, s / 60 % 60, s % 60);
    let ms = since_1970.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// `Sat, 21 Nov 2026 06:53:08 GMT`, as HTTP wants it (RFC 9110, section 5.6.7).
pub(crate) fn http_date(since_1970: Duration) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let s = since_1970.as_secs();
    let (year, month, day) = date(s / DAY_S);
    let pick = |table: &[&'static str], index: u64| {
        usize::try_from(index).ok().and_then(|i| table.get(i).copied()).unwrap_or("")
    };
    let (weekday, month) = (pick(&DAYS, s / DAY_S % 7), pick(&MONTHS, month - 1));
    let (hour, minute, second) = (s / 3600 % 24, s / 60 % 60, s % 60);
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

/// Reads what [`rfc3339`] writes, with any number of decimals and in UTC only.
pub(crate) fn parse_rfc3339(text: &str) -> Option<Duration> {
    let text = text.strip_suffix('Z')?;
    let (day, time) = text.split_once('T')?;
    let (time, decimals) = time.split_once('.').unwrap_or((time, ""));
    let three = |text: &str, mark: char| -> Option<[u64; 3]> {
        let mut parts = text.split(mark).map(|part| {
            part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<u64>().ok()).flatten()
        });
        let found = [parts.next()??, parts.next()??, parts.next()??];
        parts.next().is_none().then_some(found)
    };
    let [year, month, day] = three(day, '-')?;
    let [hour, minute, second] = three(time, ':')?;
    let sane = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !sane || decimals.len() > 9 || !decimals.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos: u32 = format!("{decimals:0<9}").parse().ok()?;
    let s = days(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second;
    Some(Duration::new(s, nanos))
}

/// Year, month and day of a day since 1970-01-01.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + EPOCH_SHIFT;
    let (era, of_era) = (days / ERA, days % ERA);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// Days from 1970-01-01 to a date not before it.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let (era, of_era) = (year / 400, year % 400);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * shifted_month + 2) / 5 + day - 1;
    (era * ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year).saturating_sub(EPOCH_SHIFT)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_moments_are_written_as_everybody_writes_them() {
        for (s, text, http) in [
            (0, "1970-01-01T00:00:00.000Z", "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_782_400, "2000-02-29T00:00:00.000Z", "Tue, 29 Feb 2000 00:00:00 GMT"),
            (784_111_777, "1994-11-06T08:49:37.000Z", "Sun, 06 Nov 1994 08:49:37 GMT"),
            (4_107_542_399, "2100-02-28T23:59:59.000Z", "Sun, 28 Feb 2100 23:59:59 GMT"),
        ] {
            let moment = Duration::from_secs(s);
            assert_eq!((rfc3339(moment).as_str(), http_date(moment).as_str()), (text, http));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "Z", "2026-11-21", "2026-11-21T06:53:08", "2026-13-21T06:53:08Z"] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
        for text in ["2026-11-21T06:53:08.x1Z", "2026-11-21T06:53:08:00Z", "+26-1-1T1:1:1Z"] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
        let expected = Some(Duration::new(784_111_777, 5_000_000));
        assert_eq!(parse_rfc3339("1994-11-06T08:49:37.005Z"), expected);
    }

    proptest! {
        #[test]
        fn reading_undoes_writing(ms in 0u64..253_402_300_799_000) {
            let moment = Duration::from_millis(ms);
            prop_assert_eq!(parse_rfc3339(&rfc3339(moment)), Some(moment));
        }

        #[test]
        fn no_text_is_a_panic(text in ".{0,40}") {
            let _ = parse_rfc3339(&text);
        }
    }
}
