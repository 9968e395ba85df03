//! Trading days and the course of a day.

use crate::{SynthError, error::bad_date};

pub(crate) const SECOND_NS: u64 = 1_000_000_000;
const HOUR_NS: u64 = 3_600 * SECOND_NS;
pub(crate) const DAY_NS: u64 = 24 * HOUR_NS;
/// 2024-04-01 00:00 UTC, a Monday.
const FIRST_DAY: u64 = 1_711_929_600 * SECOND_NS;
/// Pace of each hour of a session, in % of the daily mean: a bump for Europe, one for America.
const HOURS: [u64; 23] = [
    62, 70, 58, 48, 44, 47, 66, 118, 136, 122, 100, 90, 112, 178, 205, 176, 150, 138, 142, 128, 58,
    30, 22,
];

/// Midnight that begins the day of session `session`; weekends are left out.
pub(crate) fn midnight(session: u32) -> u64 {
    let days = u64::from(session) + 2 * u64::from(session / 5);
    FIRST_DAY + days * DAY_NS
}

/// The time at which a session that began at `midnight` is over.
pub(crate) fn close(midnight: u64) -> u64 {
    midnight + HOURS.len() as u64 * HOUR_NS
}

/// Pace at `ts`, in %.
pub(crate) fn pace(midnight: u64, ts: u64) -> u64 {
    let hour = usize::try_from((ts - midnight) / HOUR_NS).unwrap_or(usize::MAX);
    HOURS.get(hour).copied().unwrap_or(100)
}

/// Paced time from `ts` to the close: an hour of pace 100 % counts as an hour.
pub(crate) fn paced_time_left(midnight: u64, ts: u64) -> u64 {
    let into = ts - midnight;
    let hour = usize::try_from(into / HOUR_NS).unwrap_or(usize::MAX);
    let Some(&pace) = HOURS.get(hour) else { return 0 };
    let rest_of_hour = (HOUR_NS - into % HOUR_NS) / 100 * pace;
    rest_of_hour + HOURS[hour + 1..].iter().map(|pace| HOUR_NS / 100 * pace).sum::<u64>()
}

/// The day of `ts` as `YYYYMMDD`.
pub(crate) fn compact_date(ts: u64) -> Result<String, SynthError> {
    let date = dbn::record::ts_to_dt(ts).ok_or_else(|| bad_date(ts))?.date();
    Ok(format!("{:04}{:02}{:02}", date.year(), u8::from(date.month()), date.day()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_skip_weekends() {
        let dates: Vec<String> = (0..7).map(|s| compact_date(midnight(s)).unwrap()).collect();
        assert_eq!(
            dates,
            ["20240401", "20240402", "20240403", "20240404", "20240405", "20240408", "20240409"]
        );
    }

    #[test]
    fn a_session_has_23_paced_hours() {
        let start = midnight(3);
        assert_eq!(HOURS.iter().sum::<u64>(), 2_300);
        assert_eq!(paced_time_left(start, start), 23 * HOUR_NS);
        assert_eq!(paced_time_left(start, start + HOUR_NS / 2), 23 * HOUR_NS - 31 * HOUR_NS / 100);
        assert_eq!(paced_time_left(start, close(start)), 0);
        assert_eq!(close(start), start + 23 * HOUR_NS);
    }
}
