//! Formats a time as the value of a `Date` header (RFC 9110 §5.6.7).
//!
//! ```text
//! Sun, 06 Nov 1994 08:49:37 GMT
//! ```
//!
//! Every part has a fixed width, the names are English, and the zone is GMT. The year has four
//! digits, so a time after the year 9999 can't be written.

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [(&str, u64); 12] = [
    ("Jan", 31),
    ("Feb", 28),
    ("Mar", 31),
    ("Apr", 30),
    ("May", 31),
    ("Jun", 30),
    ("Jul", 31),
    ("Aug", 31),
    ("Sep", 30),
    ("Oct", 31),
    ("Nov", 30),
    ("Dec", 31),
];

/// Formats a Unix time, in seconds, as the value of a `Date` header. Returns `None` if the time is
/// after the year 9999.
pub fn http_date(seconds: u64) -> Option<String> {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // 1 January 1970 was a Thursday.
    let day_name = DAYS[(days % 7) as usize];
    let (year, mut day) = year_and_day(days)?;
    let leap_day = u64::from(is_leap(year));
    let month = MONTHS.iter().find(|(name, length)| {
        let length = length + if *name == "Feb" { leap_day } else { 0 };
        let is_it = day < length;
        day -= if is_it { 0 } else { length };
        is_it
    })?;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let (day, month) = (day + 1, month.0);
    Some(format!("{day_name}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT"))
}

/// Converts a number of days since 1 January 1970 into a year and a zero-based day of that year.
/// Returns `None` after the year 9999.
fn year_and_day(mut days: u64) -> Option<(u64, u64)> {
    (1970..=9999).find_map(|year| {
        let length = 365 + u64::from(is_leap(year));
        if days < length {
            return Some((year, days));
        }
        days -= length;
        None
    })
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_has_the_date_that_other_programs_print_for_it() {
        // The dates are the output of `TZ=GMT date -d @SECONDS "+%a, %d %b %Y %T GMT"`. The second
        // one is RFC 9110's example.
        for (seconds, date) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(http_date(seconds).as_deref(), Some(date));
        }
    }

    #[test]
    fn a_time_after_9999_has_no_date() {
        assert_eq!(http_date(253_402_300_800), None);
        assert_eq!(http_date(u64::MAX), None);
    }
}
