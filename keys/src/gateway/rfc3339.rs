//! Times of API keys as text. No library does it, as every request whose key expires needs it.

const DAY: u64 = 86_400;

/// The time as `2026-11-27T23:00:00Z`. Keys hold 32 bits of seconds; a larger number is not told from the largest.
pub(crate) fn rfc_3339(time: u64, room: &mut [u8; 20]) -> &str {
    let time = time.min(u32::MAX.into());
    let (days, second) = (time / DAY, time % DAY);
    // Days since 1 March 0000, whose years end with the day that leap years have more: chrono-Compatible Low-Level Date Algorithms.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    *room = *b"0000-00-00T00:00:00Z";
    let fields = [
        (0, 4, year),
        (5, 2, month),
        (8, 2, day),
        (11, 2, second / 3_600),
        (14, 2, second / 60 % 60),
        (17, 2, second % 60),
    ];
    for (at, digits, mut value) in fields {
        for place in (at..at + digits).rev() {
            room[place] = b'0' + (value % 10) as u8;
            value /= 10;
        }
    }
    std::str::from_utf8(room).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn it_writes_what_the_library_for_times_writes() {
        let edges = [0, 1, DAY - 1, DAY, 951_782_399, 951_782_400, 4_107_542_399, 4_107_542_400, u32::MAX.into()];
        // A step that has no factor in common with a day.
        for time in edges.into_iter().chain((0..u64::from(u32::MAX)).step_by(1_000_003)) {
            let expected = Timestamp::from_second(time.cast_signed()).expect("a time").to_string();
            assert_eq!(rfc_3339(time, &mut [0; 20]), expected);
        }
    }
}
