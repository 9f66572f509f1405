//! Times of API keys as text. No library does it, as every request whose key expires needs it.

const DAY: u32 = 86_400;

/// Characters of a time.
pub(crate) const TIME: usize = 20;

/// Writes a time, in Unix seconds, as `2026-11-27T23:00:00Z` (RFC 3339): ASCII that fills the array.
#[inline]
pub fn rfc_3339(time: u32, room: &mut [u8; TIME]) {
    let (days, second) = (time / DAY, time % DAY);
    // Days since 1 March 0000, whose years end with the day that leap years have more: chrono-Compatible Low-Level Date
    // Algorithms.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + u32::from(month <= 2);
    *room = *b"0000-00-00T00:00:00Z";
    let fields = [
        (0, year / 100),
        (2, year % 100),
        (5, month),
        (8, day),
        (11, second / 3_600),
        (14, second / 60 % 60),
        (17, second % 60),
    ];
    for (at, value) in fields {
        room[at] = b'0' + (value / 10) as u8;
        room[at + 1] = b'0' + (value % 10) as u8;
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn it_writes_what_the_library_for_times_writes() {
        let edges = [0, 1, DAY - 1, DAY, 951_782_399, 951_782_400, 4_107_542_399, 4_107_542_400, u32::MAX];
        // A step that has no factor in common with a day.
        for time in edges.into_iter().chain((0..u32::MAX).step_by(1_000_003)) {
            let expected = Timestamp::from_second(time.into()).expect("a time").to_string();
            let mut room = [0; TIME];
            rfc_3339(time, &mut room);
            assert_eq!(room, expected.as_bytes());
        }
    }
}
