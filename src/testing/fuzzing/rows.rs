//! Files of keys to be imported.

use jiff::Timestamp;
use uuid::Uuid;

use crate::imported::{
    Apps, Columns, Format, Hashed, KeyLayout, PublicPart, Reader, Reading, SYSTEMS, SaltEncoding, Scheme, Set, System,
    Zone,
};

/// When the rows are read.
const NOW: i64 = 1_800_000_000;

/// Reads rows as `bulla keys import` does: how many are understood, and how many refused. The highest bit of `how` says
/// whether they are those of a system, which the others choose; or else these choose how salts are written, and the
/// layout. The lowest bit chooses the format.
pub fn read_rows(how: u8, input: &[u8]) -> (usize, usize) {
    let format = if how & 1 == 0 { Format::Jsonl } else { Format::Csv };
    let system = (how & 0x80 != 0).then(|| SYSTEMS[usize::from(how >> 1 & 63) % SYSTEMS.len()]);
    let layout = system.map_or_else(|| layout(usize::from(how >> 3 & 15)), layout_of);
    let now = Timestamp::from_second(NOW).unwrap_or_default();
    let Ok(realm) = "live".parse() else { return (0, 0) };
    let set = Set::new(1, realm, layout, [0; 16], None);
    let reading = match system {
        None => {
            let salts = [SaltEncoding::Text, SaltEncoding::Hex, SaltEncoding::Base64][usize::from(how >> 1 & 3) % 3];
            Reading { salts, ..Reading::new(&set, now) }
        }
        Some(system) => Reading {
            columns: Columns { system: Some(system), ..Columns::default() },
            salts: system.salts,
            cost: system.cost,
            plain: system.plain,
            apps: Apps::One(Uuid::nil()),
            zone: "UTC".parse::<Zone>().ok(),
            ..Reading::new(&set, now)
        },
    };
    let Ok(mut reader) = Reader::new(Box::new(input), format, reading) else { return (0, 0) };
    let (mut understood, mut refused, mut last) = (0, 0, 0);
    while let Ok(Some(row)) = reader.next() {
        let line = row.as_ref().map_or_else(|error| error.line, |record| record.line);
        assert!(line > last, "line {line} comes after line {last}");
        last = line;
        match row {
            Ok(record) => {
                assert!(record.claims.to_cbor().is_ok(), "a sealed key could not say the same");
                assert!(record.expires_at.is_none_or(|at| at > now), "it has expired");
                assert!(set.layout.holds_text() || !record.found_by().is_empty(), "nothing finds it");
                understood += 1;
            }
            Err(error) => {
                assert!(!error.kind.code().is_empty() && !error.kind.to_string().is_empty());
                refused += 1;
            }
        }
        assert!(reader.bytes() <= input.len() as u64, "more was read than there is");
    }
    (understood, refused)
}

fn layout_of(system: &System) -> KeyLayout {
    let mut layout = (system.layout)();
    layout.secret = system.secret.map(|_| "old".to_owned());
    layout
}

fn layout(which: usize) -> KeyLayout {
    let before = || PublicPart::Before("_".to_owned());
    let rules = [
        (Scheme::Sha256, PublicPart::None, Hashed::Whole),
        (Scheme::Sha256SaltKey, PublicPart::First(8), Hashed::Whole),
        (Scheme::Sha256KeySalt, before(), Hashed::Secret),
        (Scheme::Sha256IdKeySalt, PublicPart::Id, Hashed::Bytes),
        (Scheme::HmacSha256, PublicPart::None, Hashed::Whole),
        (Scheme::Argon2id, before(), Hashed::Secret),
        (Scheme::Bcrypt, PublicPart::First(8), Hashed::Whole),
        (Scheme::Scrypt, before(), Hashed::Whole),
        (Scheme::HashString, PublicPart::Ends(3, 3), Hashed::Whole),
        (Scheme::Pbkdf2, PublicPart::Last(8), Hashed::Whole),
    ];
    let (scheme, public, hashed) = rules[which % rules.len()].clone();
    let prefix = if public == PublicPart::Id { String::new() } else { "sk_".to_owned() };
    let secret = (scheme == Scheme::HmacSha256).then(|| "legacy".to_owned());
    KeyLayout { prefix, public, hashed, secret, ..KeyLayout::new(scheme) }
}
