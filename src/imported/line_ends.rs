//! Turns every kind of line end into one line feed, and notices a quote that is never closed.
//!
//! The crate csv counts the line feed of CRLF with the next record, and no line for a carriage return alone: the line
//! numbers of refused rows would be too low. It takes the end of a file for the end of a quoted field, in which all
//! rows behind the quote are then.

use std::io::{self, BufRead, Read};

/// Reads CRLF, and a carriage return alone, as a line feed.
pub(super) struct LineFeeds<R> {
    input: R,
    after_return: bool,
    state: CsvState,
    /// Bytes read so far.
    given: u64,
    has_ended: bool,
}

/// Where in a field the last byte was, as RFC 4180 has it.
#[derive(Clone, Copy, PartialEq)]
enum CsvState {
    Begin,
    Plain,
    Quoted,
    /// Behind a quote in quotes, which ends them, or is the first of two that stand for one.
    Quote,
}

impl CsvState {
    fn behind(self, byte: u8) -> Self {
        match (self, byte) {
            (CsvState::Quoted, b'"') => CsvState::Quote,
            (CsvState::Quoted, _) | (CsvState::Begin | CsvState::Quote, b'"') => CsvState::Quoted,
            (_, b',' | b'\n') => CsvState::Begin,
            _ => CsvState::Plain,
        }
    }
}

impl<R: BufRead> LineFeeds<R> {
    pub(super) const fn new(input: R) -> Self {
        LineFeeds { input, after_return: false, state: CsvState::Begin, given: 0, has_ended: false }
    }
}

impl<R> LineFeeds<R> {
    /// The length of the input, where it ended within quotes.
    pub(super) fn ended_in_quotes(&self) -> Option<u64> {
        (self.has_ended && self.state == CsvState::Quoted).then_some(self.given)
    }

    fn give(&mut self, bytes: &[u8]) {
        self.state = bytes.iter().fold(self.state, |state, byte| state.behind(*byte));
        self.given += bytes.len() as u64;
    }
}

impl<R: BufRead> Read for LineFeeds<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let buffer = self.input.fill_buf()?;
            let (Some(&first), Some(place)) = (buffer.first(), out.first_mut()) else {
                self.has_ended = buffer.is_empty();
                return Ok(0);
            };
            if std::mem::take(&mut self.after_return) && first == b'\n' {
                self.input.consume(1);
                continue;
            }
            if first == b'\r' {
                *place = b'\n';
                self.input.consume(1);
                self.after_return = true;
                self.give(b"\n");
                return Ok(1);
            }
            let end = buffer.iter().position(|byte| *byte == b'\r').unwrap_or(buffer.len()).min(out.len());
            out[..end].copy_from_slice(&buffer[..end]);
            self.input.consume(end);
            self.give(&out[..end]);
            return Ok(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    #[test]
    fn every_line_end_is_one_line_feed_however_the_file_is_cut() {
        for (file, read) in
            [("", ""), ("a\r\nb\r\n", "a\nb\n"), ("a\rb\r", "a\nb\n"), ("a\r\r\n\nb", "a\n\n\nb"), ("a\nb", "a\nb")]
        {
            for capacity in 1..8 {
                let mut text = String::new();
                let input = BufReader::with_capacity(capacity, file.as_bytes());
                LineFeeds::new(input).read_to_string(&mut text).expect("UTF-8");
                assert_eq!(text, read, "{file:?} in pieces of {capacity}");
            }
        }
    }

    #[test]
    fn a_quote_that_is_never_closed_is_noticed() {
        for (file, open) in [
            ("a,\"b\"\n", false),
            ("a,\"b\nc,d\n", true),
            ("a,\"b\"\"\r\nc", true),
            ("a,\"b\"\"\"\n", false),
            ("a,b\"c\n", false),
            ("a,\"b\"c\"\n", false),
            ("\"", true),
            ("", false),
        ] {
            let mut text = String::new();
            let mut input = LineFeeds::new(file.as_bytes());
            input.read_to_string(&mut text).expect("UTF-8");
            assert_eq!(input.ended_in_quotes(), open.then_some(text.len() as u64), "{file:?}");
        }
    }

    #[test]
    fn rows_of_csv_have_their_lines_whatever_ends_them() {
        for end in ["\n", "\r\n", "\r"] {
            let file = ["head", "one", "two", "three", ""].join(end);
            let mut rows = csv::Reader::from_reader(LineFeeds::new(file.as_bytes()));
            let lines: Vec<_> =
                rows.records().map(|row| row.expect("a row").position().expect("a place").line()).collect();
            assert_eq!(lines, [2, 3, 4], "{end:?}");
        }
    }
}
