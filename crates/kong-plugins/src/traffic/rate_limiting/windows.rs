//! Calendar windows, in UTC.

/// Seconds of a window for its end as clients see it, shortest first. Months count 30 days and years 365.
pub(super) const LENGTHS: [u64; 6] = [1, 60, 3600, 86_400, 2_592_000, 31_536_000];

/// Start of the window of this period (index into [`LENGTHS`]) that holds `now`, Unix seconds.
pub(super) fn start(period: usize, now: u64) -> u64 {
    const DAY: u64 = 86_400;
    match period {
        0..=3 => now - now % LENGTHS[period],
        _ => {
            let days = now / DAY;
            let (year, month, day) = civil(days);
            if period == 4 {
                (days - u64::from(day - 1)) * DAY
            } else {
                first_of_year(days, year, month, day) * DAY
            }
        }
    }
}

/// Days since the epoch of 1 January of the date's year.
fn first_of_year(days: u64, year: u64, month: u32, day: u32) -> u64 {
    const BEFORE: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let is_leap = (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400);
    let before = BEFORE.get(month as usize - 1).copied().unwrap_or_default();
    days - before - u64::from(is_leap && month > 2) - u64::from(day - 1)
}

/// Year, month and day of a number of days since 1970-01-01 (Gregorian, counted in 400-year eras from 1 March 0000).
fn civil(days: u64) -> (u64, u32, u32) {
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month as u32, day as u32)
}

/// Seconds until clients may expect the window to be over, at least 1.
pub(super) fn reset(period: usize, start: u64, now: u64) -> u64 {
    LENGTHS[period].saturating_sub(now.saturating_sub(start)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_start_with_the_calendar() {
        // now, then the start of its day, month and year
        let rows = [
            (0, 0, 0, 0),
            (1_767_225_600, 1_767_225_600, 1_767_225_600, 1_767_225_600), // 2026-01-01
            (1_767_225_599, 1_767_139_200, 1_764_547_200, 1_735_689_600), // 2025-12-31T23:59:59
            (1_709_251_199, 1_709_164_800, 1_706_745_600, 1_704_067_200), // 2024-02-29T23:59:59
            (1_709_251_200, 1_709_251_200, 1_709_251_200, 1_704_067_200), // 2024-03-01
            (1_735_603_200, 1_735_603_200, 1_733_011_200, 1_704_067_200), // 2024-12-31
            (4_107_542_400, 4_107_542_400, 4_107_542_400, 4_102_444_800), // 2100-03-01, no leap year
        ];
        for (now, day, month, year) in rows {
            assert_eq!(
                (start(3, now), start(4, now), start(5, now)),
                (day, month, year),
                "{now}"
            );
        }
        assert_eq!((start(0, 100), start(1, 100), start(2, 4000)), (100, 60, 3600));
    }

    #[test]
    fn windows_last_at_least_another_second() {
        assert_eq!(reset(1, 60, 60), 60);
        assert_eq!(reset(1, 60, 119), 1);
        assert_eq!(reset(4, 0, 2_678_000), 1, "the 31st day");
    }
}
