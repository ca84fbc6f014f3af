//! The `Date` header's value, made once a second.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

const LEN: usize = 29;

thread_local! {
    static DATE: RefCell<(u64, [u8; LEN])> = const { RefCell::new((u64::MAX, [b' '; LEN])) };
}

/// Calls `use_date` with the present time as in `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(crate) fn with_date(use_date: impl FnOnce(&[u8])) {
    let now = coarse_unix_seconds();
    let shown = DATE.try_with(|date| {
        let mut date = date.borrow_mut();
        if date.0 != now {
            *date = (now, format_date(now));
        }
        date.1
    });
    use_date(&shown.unwrap_or_else(|_| format_date(now)));
}

fn coarse_unix_seconds() -> u64 {
    #[cfg(target_os = "linux")]
    {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is a valid place for a timespec, and the clock exists on Linux.
        if unsafe { libc::clock_gettime(libc::CLOCK_REALTIME_COARSE, &mut time) } == 0 {
            return u64::try_from(time.tv_sec).unwrap_or_default();
        }
    }
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn format_date(unix_seconds: u64) -> [u8; LEN] {
    let days = unix_seconds / 86_400;
    let second = unix_seconds % 86_400;
    // Civil date from a day count, after Howard Hinnant's `civil_from_days`: years begin in March.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);

    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
        .get((days % 7) as usize)
        .copied()
        .unwrap_or("");
    let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let month = months.get((month - 1) as usize).copied().unwrap_or("");
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let text = format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT");
    let mut date = [b' '; LEN];
    for (to, from) in date.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    date
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn dates_are_written_in_the_preferred_format() {
        let rows = [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (4_102_444_799, "Thu, 31 Dec 2099 23:59:59 GMT"),
        ];
        for (seconds, expected) in rows {
            assert_eq!(std::str::from_utf8(&format_date(seconds)).unwrap(), expected);
        }
    }
}
