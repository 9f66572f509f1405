//! Turns every kind of line end into one line feed.
//!
//! The crate csv counts the line feed of CRLF with the next record, and no line for a carriage return alone: the line
//! numbers of refused rows would be too low.

use std::io::{self, BufRead, Read};

/// Reads CRLF, and a carriage return alone, as a line feed.
pub(super) struct LineFeeds<R> {
    input: R,
    after_return: bool,
}

impl<R: BufRead> LineFeeds<R> {
    pub(super) const fn new(input: R) -> Self {
        LineFeeds { input, after_return: false }
    }
}

impl<R: BufRead> Read for LineFeeds<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let buffer = self.input.fill_buf()?;
            let (Some(&first), Some(place)) = (buffer.first(), out.first_mut()) else { return Ok(0) };
            if std::mem::take(&mut self.after_return) && first == b'\n' {
                self.input.consume(1);
                continue;
            }
            if first == b'\r' {
                *place = b'\n';
                self.input.consume(1);
                self.after_return = true;
                return Ok(1);
            }
            let end = buffer.iter().position(|byte| *byte == b'\r').unwrap_or(buffer.len()).min(out.len());
            out[..end].copy_from_slice(&buffer[..end]);
            self.input.consume(end);
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
