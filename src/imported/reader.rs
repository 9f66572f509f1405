//! Readers of rows: JSON lines, and CSV with a header that names the fields.

use std::io::{self, BufRead, Read};

use csv::{ErrorKind, StringRecord};

use super::{
    Columns, Reading,
    columns::Column,
    line_ends::LineFeeds,
    raw_row::RawRow,
    record::Record,
    row_error::{RowError, RowErrorKind},
    row_parser,
};

/// Longest line of JSON, so that a wrong file does not fill memory.
const MAX_LINE: usize = 64 << 10;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// One JSON object a line.
    Jsonl,
    /// Commas, quotes as in RFC 4180, and a header that names the fields.
    Csv,
}

/// Reads one row at a time.
pub(crate) struct Reader<'a> {
    lines: Lines<'a>,
    reading: Reading<'a>,
    /// Hashes that are written as keys often are.
    like_keys: u64,
    memory_kib: u32,
}

/// A file, or standard input. It may be read on another thread.
type Input<'a> = Box<dyn BufRead + Send + 'a>;

enum Lines<'a> {
    Jsonl { input: Input<'a>, bytes: u64, line: u64, buffer: Vec<u8> },
    Csv { input: Box<csv::Reader<LineFeeds<Input<'a>>>>, columns: Vec<Column>, record: StringRecord },
}

impl<'a> Reader<'a> {
    /// Refuses a CSV header with unknown fields.
    pub(crate) fn new(input: Input<'a>, format: Format, reading: Reading<'a>) -> io::Result<Self> {
        let lines = match format {
            Format::Jsonl => Lines::Jsonl { input, bytes: 0, line: 0, buffer: Vec::new() },
            Format::Csv => {
                let mut input = csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(LineFeeds::new(input));
                let columns = columns(input.headers().map_err(io::Error::from)?, &reading.columns)?;
                if input.get_ref().ended_in_quotes() == Some(input.position().byte()) {
                    return Err(wrong(format!("the CSV header: {}", RowErrorKind::OpenQuote)));
                }
                Lines::Csv { input: Box::new(input), columns, record: StringRecord::new() }
            }
        };
        Ok(Reader { lines, reading, like_keys: 0, memory_kib: 0 })
    }

    /// The next row, or why it cannot be imported; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Result<Record, RowError>>> {
        let Some((line, fields)) = self.lines.next(&self.reading.columns)? else { return Ok(None) };
        let read = fields.and_then(|fields| Record::read(line, fields, &self.reading));
        if let Ok(record) = &read {
            self.like_keys += u64::from(record.written_like_a_key);
            self.memory_kib = self.memory_kib.max(record.memory_kib);
        }
        Ok(Some(read.map_err(|kind| RowError { line, kind })))
    }

    /// The most memory that a check of one of the rows takes, in KiB.
    pub(crate) fn memory_kib(&self) -> u32 {
        self.memory_kib
    }

    /// Rows whose hashes are written as keys often are: they may be keys in plaintext.
    pub(crate) fn like_keys(&self) -> u64 {
        self.like_keys
    }

    /// Fields whose columns were named, and stood in no row so far.
    pub(crate) fn unseen(&self) -> Vec<&str> {
        self.reading.columns.unseen()
    }

    /// Bytes read so far.
    pub(crate) fn bytes(&self) -> u64 {
        match &self.lines {
            Lines::Jsonl { bytes, .. } => *bytes,
            Lines::Csv { input, .. } => input.position().byte(),
        }
    }
}

impl Lines<'_> {
    fn next(&mut self, named: &Columns) -> io::Result<Option<(u64, Result<RawRow, RowErrorKind>)>> {
        match self {
            Lines::Jsonl { input, bytes, line, buffer } => loop {
                *line += 1;
                buffer.clear();
                let mut read = input.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', buffer)?;
                if read == 0 {
                    return Ok(None);
                }
                let too_long = read > MAX_LINE && !buffer.ends_with(b"\n");
                if too_long {
                    read += input.skip_until(b'\n')?;
                }
                *bytes += read as u64;
                if too_long {
                    return Ok(Some((*line, Err(RowErrorKind::TooLong(MAX_LINE)))));
                }
                // Some programs mark UTF-8 at the beginning of a file. The reader of CSV passes over it by itself.
                let row = buffer.strip_prefix(b"\xef\xbb\xbf").filter(|_| *line == 1).unwrap_or(buffer).trim_ascii();
                if !row.is_empty() {
                    return Ok(Some((*line, row_parser::from_json(row, named))));
                }
            },
            Lines::Csv { input, columns, record } => {
                let begins = input.position().line();
                let read = input.read_record(record);
                let is_last_and_open = input.get_ref().ended_in_quotes() == Some(input.position().byte());
                match read {
                    Ok(false) => Ok(None),
                    Ok(true) if is_last_and_open => {
                        let line = record.position().map_or(begins, csv::Position::line);
                        Ok(Some((line, Err(RowErrorKind::OpenQuote))))
                    }
                    Ok(true) => {
                        let line = record.position().map_or(begins, csv::Position::line);
                        Ok(Some((line, row_parser::from_csv(record, columns))))
                    }
                    Err(error) => match error.kind() {
                        ErrorKind::Utf8 { pos, .. } | ErrorKind::UnequalLengths { pos, .. } => {
                            let line = pos.as_ref().map_or(begins, csv::Position::line);
                            let kind = if is_last_and_open { RowErrorKind::OpenQuote } else { RowErrorKind::Csv };
                            Ok(Some((line, Err(kind))))
                        }
                        _ => Err(error.into()),
                    },
                }
            }
        }
    }
}

fn columns(header: &StringRecord, named: &Columns) -> io::Result<Vec<Column>> {
    let mut columns = Vec::new();
    for (column, name) in header.iter().enumerate() {
        let unknown = || io::Error::new(io::ErrorKind::InvalidData, UnknownColumn { number: column + 1 });
        let at = named.find(name).ok_or_else(unknown)?;
        // Of a known system two columns may say the same, and one of them is empty. They have names of their own.
        let is_again = header.iter().take(column).any(|before| before == name);
        if at != Column::Ignored && columns.contains(&at) && (named.system.is_none() || is_again) {
            return Err(wrong(format!("column {} of the CSV header is a second `{name}`", column + 1)));
        }
        columns.push(at);
    }
    if let Some(field) = named.unseen().first() {
        return Err(wrong(format!("the CSV header lacks the column that was named for `{field}`")));
    }
    if named.app.is_some() && !columns.contains(&Column::App) {
        return Err(wrong("the CSV header lacks the column that was named for the app ids".to_owned()));
    }
    Ok(columns)
}

/// A column of a CSV header that nobody explained. The error does not quote its name: without a header it is a value of
/// the first row.
#[derive(Debug, thiserror::Error)]
#[error("column {number} of the CSV header: {}", RowErrorKind::Field)]
pub(crate) struct UnknownColumn {
    number: usize,
}

fn wrong(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imported::{KeyLayout, PublicPart, SaltEncoding, Scheme, Set, scheme::Check};
    use jiff::Timestamp;

    const APP: &str = "3f2b8c1e-9a7d-4d52-8a55-0123456789ab";
    const DIGEST: &str = "2c310d412efe7019f41a361db90a53749cd96831ec08a386c4d6051f6a8a40b4";

    fn layout(scheme: Scheme, public: PublicPart) -> KeyLayout {
        KeyLayout { prefix: "sk_".to_owned(), public, ..KeyLayout::new(scheme) }
    }

    fn set(layout: &KeyLayout) -> Set {
        Set::new(1, "live".parse().expect("a realm"), layout.clone(), [0; 16], None)
    }

    fn read(text: &str, format: Format, layout: &KeyLayout) -> Vec<Result<Record, RowError>> {
        let now = Timestamp::from_second(1_795_000_000).expect("a time");
        let set = set(layout);
        let reading = Reading { salts: SaltEncoding::Hex, ..Reading::new(&set, now) };
        let mut reader = Reader::new(Box::new(text.as_bytes()), format, reading).expect("a reader");
        let rows = std::iter::from_fn(|| reader.next().expect("read")).collect();
        assert_eq!(reader.bytes(), text.len() as u64);
        rows
    }

    fn reason(text: &str, layout: &KeyLayout) -> &'static str {
        match &read(text, Format::Jsonl, layout)[..] {
            [Ok(_)] => "ok",
            [Err(error)] => error.kind.code(),
            _ => panic!("one row: {text}"),
        }
    }

    #[test]
    fn both_formats_say_the_same() {
        let layout = layout(Scheme::Sha256KeySalt, PublicPart::First(8));
        let json = format!(
            "{{\"app_id\":\"{APP}\",\"public\":\"4f9a1c20\",\"hash\":\"{DIGEST}\",\"salt\":\"a0A1\",\"name\":\"a, b\",\
             \"issued_at\":1700000000,\"expires_at\":\"2030-01-01T00:00:00Z\",\"scopes\":[\"a\",\"b\"],\"meta\":{{\"k\":\"v\"}}}}\n\n"
        );
        let csv = format!(
            "public,hash,app_id,salt,name,expires_at,issued_at,scopes,meta\n\
             4f9a1c20,{DIGEST},{APP},a0a1,\"a, b\",2030-01-01 00:00:00+00,1700000000,a b,\"{{\"\"k\"\":\"\"v\"\"}}\"\n"
        );
        let [json, csv] = [(json, Format::Jsonl), (csv, Format::Csv)].map(|(text, format)| {
            let mut rows = read(&text, format, &layout);
            assert_eq!(rows.len(), 1);
            rows.remove(0).expect("a record")
        });
        assert_eq!((json.line, csv.line), (1, 2));
        for record in [&json, &csv] {
            assert_eq!(record.found_by(), b"4f9a1c20");
            assert!(matches!(&record.check, Check::Fast { salt, .. } if **salt == [0xa0, 0xa1]));
            assert_eq!((record.name.as_deref(), record.claims.scopes_text()), (Some("a, b"), "a b".to_owned()));
            assert_eq!(record.claims.meta()["k"], "v");
            assert_eq!(record.issued_at.map(Timestamp::as_second), Some(1_700_000_000));
        }
        assert_eq!(json.expires_at, csv.expires_at);
    }

    #[test]
    fn rows_that_cannot_be_are_refused_with_their_line() {
        let plain = layout(Scheme::Sha256, PublicPart::None);
        let with = |more: &str| format!("{{\"app_id\":\"{APP}\",\"hash\":\"{DIGEST}\"{more}}}");
        for (row, code) in [
            (with(""), "ok"),
            ("[]".to_owned(), "json"),
            ("\u{0}".to_owned(), "json"),
            ("x".repeat(MAX_LINE + 1), "too_long"),
            (with(",\"owner\":\"k\""), "field"),
            (with(",\"key\":\"k\""), "key_surplus"),
            (format!("{{\"app_id\":\"{APP}\",\"hash\":\"sk_live_1\"}}"), "plaintext"),
            (with(",\"revoked\":\"perhaps\""), "state"),
            (with(",\"meta\":[]"), "type"),
            (format!("[\"{APP}\",\"{DIGEST}\"]"), "json"),
            (with(",\"expires_at\":\"2100-01-01 00:00:00\""), "zone"),
            (with(",\"scopes\":\"a,b\""), "scopes_form"),
            (format!("{{\"hash\":\"{DIGEST}\"}}"), "missing"),
            (format!("{{\"app_id\":\"{APP}\"}}"), "missing"),
            (format!("{{\"app_id\":\"7\",\"hash\":\"{DIGEST}\"}}"), "app_id"),
            (format!("{{\"app_id\":\"{APP}\",\"hash\":\"abc\"}}"), "digest"),
            (with(",\"name\":true"), "type"),
            (with(",\"name\":\"a\\nb\""), "name"),
            (with(",\"scopes\":[1]"), "type"),
            (with(",\"scopes\":[\"a b\"]"), "claims"),
            (with(&format!(",\"meta\":{{\"k\":\"{}\"}}", "v".repeat(240))), "claims"),
            (with(",\"expires_at\":\"tomorrow\""), "time"),
            (with(",\"expires_at\":99999999999"), "time"),
            (with(",\"expires_at\":9999999999999"), "time"),
            (with(",\"expires_at\":1795000000"), "expired"),
            (with(",\"expires_at\":1"), "expired"),
            (with(",\"expires_at\":0"), "ok"),
            (with(",\"expires_at\":\"infinity\""), "ok"),
            (with(",\"expires_at\":\"\""), "ok"),
            (with(",\"expires_at\":\"-infinity\""), "time"),
            (with(",\"issued_at\":\"infinity\""), "time"),
            (with(",\"revoked\":\"infinity\""), "state"),
            (with(",\"issued_at\":1795000001"), "time"),
            (with(",\"public\":\"p\""), "public_surplus"),
            (with(",\"salt\":\"00\""), "salt_surplus"),
        ] {
            assert_eq!(reason(&row, &plain), code, "{row:.200}");
        }
        let salted = layout(Scheme::Sha256SaltKey, PublicPart::First(8));
        for (more, code) in [
            (",\"public\":\"4f9a1c20\",\"salt\":\"00\"", "ok"),
            (",\"public\":\"4f9a1c20\"", "missing"),
            (",\"salt\":\"00\"", "missing"),
            (",\"public\":\"4f9a1c2\",\"salt\":\"00\"", "public"),
            (",\"public\":\"4f9a1c  \",\"salt\":\"00\"", "public_blank"),
            (",\"public\":\"sk_4f9a1\",\"salt\":\"00\"", "ok"),
            (",\"public\":1.5,\"salt\":\"00\"", "type"),
            (",\"public\":123456789012345678901,\"salt\":\"00\"", "type"),
            (",\"public\":\"4f9a1c20\",\"salt\":\"0\"", "salt"),
        ] {
            assert_eq!(reason(&with(more), &salted), code, "{more}");
        }
        let slow = layout(Scheme::Bcrypt, PublicPart::Before("_".to_owned()));
        assert_eq!(reason(&with(",\"public\":\"p\""), &slow), "hash_string");
        let rows = read(&format!("{}\n\nno\n{}\n", with(""), with("")), Format::Jsonl, &plain);
        let lines: Vec<_> = rows.iter().map(|row| row.as_ref().map_or_else(|no| no.line, |yes| yes.line)).collect();
        assert_eq!(lines, [1, 3, 4]);
    }

    #[test]
    fn a_hash_that_begins_as_a_key_is_a_hash_and_a_key_is_none() {
        let row = |public: &str, hash: &str| {
            let public = if public.is_empty() { String::new() } else { format!("\"public\":\"{public}\",") };
            format!("{{\"app_id\":\"{APP}\",{public}\"hash\":\"{hash}\"}}")
        };
        // A token of Laravel Sanctum's: the id, and a digest that happens to begin with it.
        let sanctum =
            KeyLayout { prefix: String::new(), ..layout(Scheme::Sha256, PublicPart::BeforeFirst("|".to_owned())) };
        let digest = format!("123{}", &DIGEST[3..]);
        assert_eq!(reason(&row("123", &digest), &sanctum), "ok");
        assert_eq!(reason(&row("123", "123|abcdefghijkl"), &sanctum), "plaintext");
        let hexadecimal = KeyLayout { prefix: "2c31".to_owned(), ..layout(Scheme::Sha256, PublicPart::None) };
        assert_eq!(reason(&row("", DIGEST), &hexadecimal), "ok");
        // Keys that can be read as digests.
        let first = KeyLayout { prefix: String::new(), ..layout(Scheme::Sha256, PublicPart::First(8)) };
        assert_eq!(reason(&row(&DIGEST[..8], DIGEST), &first), "plaintext");
        let last = KeyLayout { public: PublicPart::Last(8), ..first };
        assert_eq!(reason(&row(&DIGEST[56..], DIGEST), &last), "plaintext");
        assert_eq!(reason(&row(&DIGEST[..8], DIGEST), &last), "ok");
        let live = KeyLayout { prefix: "sk_live_".to_owned(), ..layout(Scheme::Sha256, PublicPart::None) };
        assert_eq!(reason(&row("", &format!("sk_live_{}", "a1B-c".repeat(7))), &live), "plaintext");
        // The prefix in a public part whose end nothing but a separator says, and in one of a fixed length.
        let digest = DIGEST.to_owned();
        for (public, of, code) in [
            ("sk_4f9a1", PublicPart::First(8), "ok"),
            ("sk_4f9a1", PublicPart::Last(8), "ok"),
            ("sk_4f9", PublicPart::Ends(3, 3), "ok"),
            ("sk_4f9", PublicPart::Before("_".to_owned()), "public_prefixed"),
            ("sk_4f9", PublicPart::BeforeFirst(".".to_owned()), "public_prefixed"),
        ] {
            assert_eq!(reason(&row(public, &digest), &layout(Scheme::Sha256, of)), code, "{public}");
        }
    }

    #[test]
    fn bytes_are_read_as_databases_write_them_in_every_column() {
        let hash = "$2b$04$RBcO/btzmiFBY.D59xIruu/sFQsoS5YV32jxNr37n5WiWfH8bLJni";
        let row = |public: &str, hash: &str, salt: Option<&str>| {
            let salt = salt.map_or_else(String::new, |salt| format!(",\"salt\":\"{salt}\""));
            format!("{{\"app_id\":\"{APP}\",\"public\":\"{public}\",\"hash\":\"{hash}\"{salt}}}")
        };
        let of = |row: &str, layout: &KeyLayout| read(row, Format::Jsonl, layout).remove(0).expect(row);
        let first = layout(Scheme::Bcrypt, PublicPart::First(8));
        for mark in ["\\\\x", "0x"] {
            let marked = |text: &[u8]| format!("{mark}{}", hex::encode(text));
            let text = of(&row("4f9a1c20", &marked(hash.as_bytes()), None), &first);
            assert_eq!(text.check, Check::Text(hash.into()), "{mark}");
            let binary = KeyLayout { prefix: String::new(), ..layout(Scheme::Sha256IdKeySalt, PublicPart::Id) };
            let id: Vec<u8> = (16..32).collect();
            let all = of(&row(&marked(&id), &format!("{mark}{DIGEST}"), Some(&marked(b"salt"))), &binary);
            assert_eq!(all.public.as_deref(), Some(&*id), "{mark}");
            assert!(matches!(&all.check, Check::Fast { salt, .. } if **salt == *b"salt"), "{mark}");
            let scrypt = set(&layout(Scheme::Scrypt, PublicPart::First(8)));
            let row = row("4f9a1c20", &format!("{mark}{DIGEST}"), Some(&marked(b"saltsalt")));
            let now = Timestamp::from_second(1_795_000_000).expect("a time");
            let (cost, salts) = ("N=16,r=8,p=1".parse().ok(), SaltEncoding::Hex);
            assert_eq!(told(&row, Reading { cost, salts, ..Reading::new(&scrypt, now) }), "ok", "{mark}");
        }
    }

    /// The code of the only row, or `ok`.
    fn told(row: &str, reading: Reading<'_>) -> &'static str {
        let mut reader = Reader::new(Box::new(row.as_bytes()), Format::Jsonl, reading).expect("a reader");
        match reader.next().expect("read").expect("a row") {
            Ok(_) => "ok",
            Err(error) => error.kind.code(),
        }
    }

    #[test]
    fn blanks_that_a_column_pads_with_are_refused() {
        let now = Timestamp::from_second(1_795_000_000).expect("a time");
        let plain = set(&layout(Scheme::Sha256, PublicPart::None));
        for (key, code) in [("sk_abc", "ok"), ("sk_abc   ", "key_blank"), (" sk_abc", "key_blank")] {
            let row = format!("{{\"app_id\":\"{APP}\",\"key\":\"{key}\"}}");
            assert_eq!(told(&row, Reading { plain: true, ..Reading::new(&plain, now) }), code, "{key:?}");
        }
        let salted = set(&layout(Scheme::Sha256KeySalt, PublicPart::First(8)));
        for (salt, salts, code) in [
            ("salt", SaltEncoding::Text, "ok"),
            ("a salt", SaltEncoding::Text, "ok"),
            ("salt   ", SaltEncoding::Text, "salt_blank"),
            ("20ab20", SaltEncoding::Hex, "ok"),
        ] {
            let row =
                format!("{{\"app_id\":\"{APP}\",\"public\":\"4f9a1c20\",\"hash\":\"{DIGEST}\",\"salt\":\"{salt}\"}}");
            assert_eq!(told(&row, Reading { salts, ..Reading::new(&salted, now) }), code, "{salt:?}");
        }
    }

    #[test]
    fn a_public_part_cannot_be_taken_for_a_sealed_key() {
        let slow = KeyLayout { prefix: String::new(), ..layout(Scheme::Bcrypt, PublicPart::Before(".".to_owned())) };
        let hash = "$2b$04$RBcO/btzmiFBY.D59xIruu/sFQsoS5YV32jxNr37n5WiWfH8bLJni";
        let row = |public: &str| format!("{{\"app_id\":\"{APP}\",\"hash\":\"{hash}\",\"public\":\"{public}\"}}");
        let key = "acme_live_00000XzbyFf5rOyRXQyt8VBSvX0TttKnpE6rUC8OjIcD0Yz3vNjR2yDFG2GcEwSPgHG8CNAVonv5o33Sczw";
        assert_eq!(reason(&row(key), &slow), "public_sealed");
        assert_eq!(reason(&row("acme_live_00000XzbyFf5rOyRXQyt8V"), &slow), "public_sealed");
        assert_eq!(reason(&row("acme_live_00000XzbyFf5rOyRXQyt8"), &slow), "ok");
        let prefixed = KeyLayout { prefix: "acme_".to_owned(), ..slow };
        assert_eq!(reason(&row("live_00000XzbyFf5rOyRXQyt8V"), &prefixed), "public_sealed");
    }

    #[test]
    fn a_mark_of_utf_8_and_nulls_of_mysql_are_passed_over() {
        let plain = layout(Scheme::Sha256, PublicPart::None);
        let row = format!("\u{feff}{{\"app_id\":\"{APP}\",\"hash\":\"{DIGEST}\"}}\n");
        let rows = read(&[row.as_str(), &row].concat(), Format::Jsonl, &plain);
        let told: Vec<_> = rows.iter().map(|row| row.as_ref().map_or_else(|no| no.kind.code(), |_| "ok")).collect();
        assert_eq!(told, ["ok", "json"], "at the beginning alone");
        let csv = format!("\u{feff}app_id,hash,name,expires_at\n{APP},{DIGEST},\\N,\\N\n");
        let record = read(&csv, Format::Csv, &plain).remove(0).expect("a record");
        assert_eq!((record.name, record.expires_at), (None, None));
    }

    #[test]
    fn csv_is_refused_by_header_or_by_record() {
        let plain = layout(Scheme::Sha256, PublicPart::None);
        let now = Timestamp::from_second(0).expect("a time");
        for header in ["app_id,hash,password\n", "app_id,hash,hash\n"] {
            let set = set(&plain);
            let made = Reader::new(Box::new(header.as_bytes()), Format::Csv, Reading::new(&set, now));
            assert_eq!(made.err().map(|error| error.kind()), Some(io::ErrorKind::InvalidData), "{header}");
        }
        let rows = read(&format!("app_id,hash\n{APP}\n{APP},{DIGEST}\n"), Format::Csv, &plain);
        let told: Vec<_> = rows
            .iter()
            .map(|row| row.as_ref().map_or_else(|no| (no.line, no.kind.code()), |yes| (yes.line, "ok")))
            .collect();
        assert_eq!(told, [(2, "csv"), (3, "ok")]);
    }
}
