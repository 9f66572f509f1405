//! Texts that parsers of numbers, lengths of time and times get wrong, with what they mean: borders, oddities, and
//! drawn ones, which are the same in every run.

use jiff::Timestamp;

/// Of the drawn values.
pub const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// A text, and what it means: a number, or nanoseconds (of a time, since 1970). `None` where it means nothing that a
/// parser may take.
#[derive(Clone, Debug)]
pub struct Hard {
    pub text: String,
    pub means: Option<i128>,
}

const SECOND: i128 = 1_000_000_000;

const UNITS: [(&str, i128); 6] = [
    ("ms", SECOND / 1_000),
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("h", 3_600 * SECOND),
    ("d", 86_400 * SECOND),
    ("w", 7 * 86_400 * SECOND),
];

/// The last second that fits an API key.
const LAST: i128 = u32::MAX as i128;

/// A generator that everybody can repeat.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> i128 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i128::from(self.0 >> 11)
    }

    fn below(&mut self, end: i128) -> i128 {
        self.next() % end
    }
}

fn meaning(text: impl Into<String>, means: i128) -> Hard {
    Hard { text: text.into(), means: Some(means) }
}

fn nothing(text: &str) -> Hard {
    Hard { text: text.to_owned(), means: None }
}

/// Whole numbers.
pub fn numbers() -> Vec<Hard> {
    let borders = [31, 32, 53, 63, 64].into_iter().flat_map(|bits| [-1, 0, 1].map(|more| (1_i128 << bits) + more));
    let borders = borders.flat_map(|border| [border, -border]);
    let mut draw = Draw(SEED);
    let drawn: Vec<i128> = (0..8).map(|at| draw.next() >> (6 * at)).collect();
    let all = borders.chain([0, 1, 2, 999, 1_000, 1_001, 65_536]).chain(drawn);
    let mut numbers: Vec<Hard> = all.map(|number| meaning(number.to_string(), number)).collect();
    numbers.extend([("-0", 0), ("+1", 1), (" 1", 1), ("1 ", 1), ("01", 1)].map(|(text, means)| meaning(text, means)));
    numbers.extend(
        ["1e30", "1e400", "1.5", "0.1", "1.0", "1e3", "NaN", "nan", "Infinity", "-inf", "", " ", "-", "1;5", "\u{663}"]
            .map(nothing),
    );
    numbers
}

/// Lengths of time.
pub fn spans() -> Vec<Hard> {
    let mut spans = Vec::new();
    for (unit, length) in UNITS {
        let most = LAST * SECOND / length;
        for count in [0, 1, most, most + 1, 9_999_999_999] {
            spans.push(meaning(format!("{count}{unit}"), count * length));
        }
    }
    let mut draw = Draw(SEED);
    for turn in 0..8 {
        let (unit, length) = UNITS[turn % UNITS.len()];
        let count = draw.below(2 * LAST * SECOND / length);
        spans.push(meaning(format!("{count}{unit}"), count * length));
    }
    // Forms that are read, too.
    let hour = 3_600 * SECOND;
    spans.extend(
        [
            ("1d12h", 36 * hour),
            ("1.5h", hour * 3 / 2),
            ("1.5s", SECOND * 3 / 2),
            ("1 h", hour),
            ("1h ", hour),
            ("+1h", hour),
            ("PT1H", hour),
            ("1:00:00", hour),
            ("250us", 250_000),
            ("1ns", 1),
        ]
        .map(|(text, means)| meaning(text, means)),
    );
    spans.extend(
        [
            "9223372036854775807s",
            "9223372036854775808s",
            "18446744073709551616ms",
            "-1s",
            "-36500d",
            "1h ago",
            "1h -1m",
            "1y",
            "1mo",
            "1e9s",
            "1e30d",
            "0.5ns",
            "1.0000000001s",
            "NaN",
            "inf",
            "",
            " ",
            " 1h",
            "0",
            "60",
            "h",
            "1_000s",
            "\u{661}h",
        ]
        .map(nothing),
    );
    spans
}

/// Times.
pub fn times() -> Vec<Hard> {
    let written = |second: i128| {
        let time = i64::try_from(second).ok().and_then(|second| Timestamp::from_second(second).ok());
        meaning(time.expect("a time").to_string(), second * SECOND)
    };
    let mut draw = Draw(SEED);
    let drawn: Vec<i128> = (0..12).map(|_| draw.below(2 * LAST)).collect();
    let seconds = [-62_167_219_200, -1, 0, 1, (1 << 31) - 1, 1 << 31, LAST - 1, LAST, LAST + 1, 253_402_207_200];
    let mut times: Vec<Hard> = seconds.into_iter().chain(drawn).map(written).collect();
    for second in [-1, 1_900_000_000, LAST] {
        let whole = written(second);
        let text = whole.text.replace('Z', ".5Z");
        times.push(meaning(text, second * SECOND + SECOND / 2));
    }
    times.extend(
        [
            ("2030-01-31T12:00:00+00:00", 1_896_091_200),
            ("2030-01-31T14:00:00+02:00", 1_896_091_200),
            ("2030-01-31 12:00:00Z", 1_896_091_200),
            ("2030-01-31t12:00:00z", 1_896_091_200),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ]
        .map(|(text, second)| meaning(text, second * SECOND)),
    );
    times.extend(
        [
            "2016-12-31T23:59:60Z",
            "2030-12-31T23:59:60Z",
            "2030-12-31 23:59:60.5+00:00",
            "20301231T235960Z",
            "2030-12-31T24:00:00Z",
            "2030-02-29T00:00:00Z",
            "2030-13-01T00:00:00Z",
            "10000-01-01T00:00:00Z",
            "-009999-01-02T00:00:00Z",
            "2030-01-31T12:00:00.1234567891Z",
            "2030-01-31T12:00:00",
            "2030-01-31",
            " 2030-01-31T12:00:00Z",
            "2030-01-31T12:00:00Z ",
            "1795000000",
            "1e30",
            "soon",
            "NaN",
            "",
            " ",
        ]
        .map(nothing),
    );
    times
}
