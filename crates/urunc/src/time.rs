//! RFC 3339 timestamps in UTC.

use std::time::{SystemTime, UNIX_EPOCH};

/// A time since 1970, split for printing.
fn parts(time: SystemTime) -> (u64, u32) {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs(), since.subsec_nanos())
}

/// `2026-11-21T00:50:26Z`, as log lines have it.
pub fn seconds(time: SystemTime) -> String {
    format!("{}Z", civil(parts(time).0))
}

/// `2026-11-21T00:50:26.123456789Z` without trailing zeros of the fraction: the form of runc's `created`.
pub fn nanoseconds(time: SystemTime) -> String {
    let (secs, nanos) = parts(time);
    let fraction = format!(".{nanos:09}");
    format!("{}{}Z", civil(secs), fraction.trim_end_matches('0').trim_end_matches('.'))
}

/// Date and time of a number of seconds since 1970 (days to civil date: Howard Hinnant's algorithm, with years
/// that begin in March so that the leap day is the last).
fn civil(secs: u64) -> String {
    let (days, of_day) = (secs / 86_400 + 719_468, secs % 86_400);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn known_dates() {
        // Checked with `date -u -d @N`.
        let cases = [
            (0, "1970-01-01T00:00:00"),
            (951_782_399, "2000-02-28T23:59:59"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_709_251_199, "2024-02-29T23:59:59"),
            (1_795_222_226, "2026-11-21T00:50:26"),
            (4_107_542_400, "2100-03-01T00:00:00"),
        ];
        for (secs, text) in cases {
            assert_eq!(civil(secs), text);
        }
    }

    #[test]
    fn fraction_has_no_trailing_zeros() {
        let at = |nanos| nanoseconds(UNIX_EPOCH + Duration::new(1, nanos));
        assert_eq!(at(123_456_789), "1970-01-01T00:00:01.123456789Z");
        assert_eq!(at(120_000_000), "1970-01-01T00:00:01.12Z");
        assert_eq!(at(0), "1970-01-01T00:00:01Z");
        assert_eq!(seconds(UNIX_EPOCH + Duration::new(1, 5)), "1970-01-01T00:00:01Z");
    }
}
