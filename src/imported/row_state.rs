//! The state that a row says of its key.

use super::{Reading, raw_row::RawRow, row_error::RowErrorKind};

/// Times before this one are no times since when a key is so: a zero in some zone, or a number with another meaning.
const FIRST: i64 = 2 * 86_400;

/// Whether the old system still accepted the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowState {
    Active,
    Revoked,
    Disabled,
}

impl RowState {
    /// The state that a row says: a boolean, or the time since when it is so. Some systems accept a key of which nothing
    /// says whether it is enabled, and others do not.
    pub(super) fn read(row: &RawRow, reading: &Reading<'_>) -> Result<Self, RowErrorKind> {
        let is = |name: &'static str| -> Result<Option<bool>, RowErrorKind> {
            let Some(text) = row.text(name) else { return Ok(None) };
            match text.trim().to_ascii_lowercase().as_str() {
                "true" | "t" | "1" | "yes" | "y" => Ok(Some(true)),
                "false" | "f" | "0" | "no" | "n" => Ok(Some(false)),
                _ => match row.time(name, reading.zone.as_ref()) {
                    Ok(Some(at)) if at.as_second() >= FIRST && at <= reading.now => Ok(Some(true)),
                    _ => Err(RowErrorKind::State(name)),
                },
            }
        };
        if row.is_blank("enabled") {
            return Err(RowErrorKind::State("enabled"));
        }
        Ok(match (is("revoked")?, is("disabled")?, is("enabled")?) {
            (Some(true), _, _) => RowState::Revoked,
            (_, Some(true), _) | (_, _, Some(false)) => RowState::Disabled,
            _ => RowState::Active,
        })
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::imported::{Format, KeyLayout, Reader, Scheme, Set};

    const APP: &str = "3f2b8c1e-9a7d-4d52-8a55-0123456789ab";
    const DIGEST: &str = "2c310d412efe7019f41a361db90a53749cd96831ec08a386c4d6051f6a8a40b4";

    #[test]
    fn a_state_that_may_mean_either_is_refused() {
        let realm = "live".parse().expect("a realm");
        let set = Set::new(1, realm, KeyLayout::new(Scheme::Sha256), [0; 16], None);
        let state = |text: &str, format| {
            let reading = Reading::new(&set, Timestamp::from_second(1_795_000_000).expect("a time"));
            let mut reader = Reader::new(Box::new(text.as_bytes()), format, reading).expect("a reader");
            let read = reader.next().expect("read").expect("a row");
            read.map(|record| record.state).map_err(|error| error.kind.code())
        };
        let in_json = |name: &str, value: &str| {
            let row = format!("{{\"app_id\":\"{APP}\",\"hash\":\"{DIGEST}\",\"{name}\":{value}}}");
            state(&row, Format::Jsonl)
        };
        let in_csv =
            |name: &str, value: &str| state(&format!("app_id,hash,{name}\n{APP},{DIGEST},{value}\n"), Format::Csv);
        for zero in [
            "0.0",
            "00",
            "0000",
            "0.",
            "-0",
            "+0",
            "1.0",
            "2",
            "1970-01-01 00:00:00+00",
            "1970-01-01 00:00:00-12",
            "off",
        ] {
            for name in ["enabled", "disabled", "revoked"] {
                assert_eq!(in_json(name, &format!("\"{zero}\"")), Err("state"), "{name} {zero}");
                assert_eq!(in_csv(name, zero), Err("state"), "{name} {zero}");
            }
        }
        for none in ["null", "\"\"", "\" \""] {
            assert_eq!(in_json("enabled", none), Err("state"), "{none}");
        }
        for none in ["", "\\N", " "] {
            assert_eq!(in_csv("enabled", none), Err("state"), "{none:?}");
        }
        for name in ["disabled", "revoked"] {
            assert_eq!((in_json(name, "null"), in_csv(name, "\\N")), (Ok(RowState::Active), Ok(RowState::Active)));
        }
        for (value, expected) in [
            ("true", RowState::Active),
            ("1", RowState::Active),
            ("1700000000", RowState::Active),
            ("0", RowState::Disabled),
            ("false", RowState::Disabled),
        ] {
            assert_eq!((in_json("enabled", value), in_csv("enabled", value)), (Ok(expected), Ok(expected)), "{value}");
        }
        assert_eq!(in_json("revoked", "1700000000"), Ok(RowState::Revoked));
    }
}
