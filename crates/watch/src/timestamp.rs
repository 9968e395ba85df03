//! Moments on the wall clock as text.

use std::time::{Duration, SystemTime};

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, PrimitiveDateTime};

/// Time since 1970 on the wall clock; zero on a clock set before that.
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// The moment in UTC; those after the year 9999 are its end.
fn utc(since_1970: Duration) -> OffsetDateTime {
    let seconds = i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds)
        .and_then(|at| at.replace_nanosecond(since_1970.subsec_nanos()))
        .unwrap_or_else(|_| PrimitiveDateTime::MAX.assume_utc())
}

/// `2026-11-21T06:53:08.250Z`.
pub(crate) fn rfc3339(since_1970: Duration) -> String {
    let at = utc(since_1970);
    let (hour, minute, second) = at.to_hms();
    format!("{}T{hour:02}:{minute:02}:{second:02}.{:03}Z", at.date(), at.millisecond())
}

/// `Sat, 21 Nov 2026 06:53:08 GMT`, the date format of HTTP (RFC 9110, section 5.6.7).
pub(crate) fn http_date(since_1970: Duration) -> String {
    let at = utc(since_1970);
    let (weekday, month) = (at.weekday().to_string(), at.month().to_string());
    let (hour, minute, second) = at.to_hms();
    format!(
        "{weekday:.3}, {:02} {month:.3} {:04} {hour:02}:{minute:02}:{second:02} GMT",
        at.day(),
        at.year()
    )
}

/// Reads what [`rfc3339`] writes, with any number of decimals and in UTC only.
pub(crate) fn parse_rfc3339(text: &str) -> Option<Duration> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok().filter(|at| at.offset().is_utc())?;
    Some(Duration::new(u64::try_from(at.unix_timestamp()).ok()?, at.nanosecond()))
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
