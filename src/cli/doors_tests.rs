//! Every option and argument that takes a number, a length of time or a time, found in clap's own definition: what it
//! is given is read as it is written, or refused.

use std::{any::TypeId, time::Duration};

use bulla::keyring::KeyVersion;
use clap::{Arg, ArgMatches, Command, builder::ValueParser};
use jiff::Timestamp;

use crate::{
    clock::hard_values::{Hard, SEED, numbers, spans, times},
    config::Span,
};

/// Names of values that are numbers, lengths of time or times. Of a text with such a name the action is the door.
const NAMES: [&str; 13] = [
    "AGE",
    "BYTES",
    "CHARACTERS",
    "COUNT",
    "DURATION",
    "LIMIT",
    "MODE",
    "N",
    "NUMBER",
    "SECONDS",
    "SEQ",
    "SIZE",
    "TIME",
];

/// Those texts. `action::new_api_key` tests lifetimes and expiries, and `tests/e2e/generated_doors.rs` grace periods.
const TEXTS: [&str; 8] = [
    "issue --expires_at",
    "issue --ttl",
    "keys issue --expires_at",
    "keys issue --ttl",
    "keys reroll --expires_at",
    "keys reroll --grace",
    "keys reroll --ttl",
    "keys reroll-secret --grace",
];

/// Reads back what was given: whole numbers of every kind that options have, and nanoseconds of the others.
fn read(matches: &ArgMatches, kind: TypeId) -> Option<i128> {
    macro_rules! read_as {
        ($($number:ty),+) => {
            $(if kind == TypeId::of::<$number>() { return Some(i128::from(*matches.get_one::<$number>("value")?)) })+
        };
    }
    read_as!(u8, u16, u32, u64, i8, i16, i32, i64);
    let length = |length: &Duration| i128::try_from(length.as_nanos()).ok();
    match kind {
        _ if kind == TypeId::of::<usize>() => i128::try_from(*matches.get_one::<usize>("value")?).ok(),
        _ if kind == TypeId::of::<KeyVersion>() => Some(matches.get_one::<KeyVersion>("value")?.number().into()),
        _ if kind == TypeId::of::<Duration>() => length(matches.get_one("value")?),
        _ if kind == TypeId::of::<Span>() => length(&matches.get_one::<Span>("value")?.0),
        _ if kind == TypeId::of::<Timestamp>() => Some(matches.get_one::<Timestamp>("value")?.as_nanosecond()),
        _ => None,
    }
}

/// What a parser makes of a text; `None` where it refuses.
fn parsed(parser: &ValueParser, text: &str) -> Option<ArgMatches> {
    let value = Arg::new("value").long("value").allow_hyphen_values(true).value_parser(parser.clone());
    Command::new("one").arg(value).try_get_matches_from(["one".to_owned(), format!("--value={text}")]).ok()
}

struct Door {
    place: String,
    parser: ValueParser,
    kind: Option<TypeId>,
}

/// The doors of a command and of those below it.
fn doors(command: &Command, path: &str, found: &mut Vec<Door>) {
    for argument in command.get_arguments().filter(|argument| argument.get_action().takes_values()) {
        let parser = argument.get_value_parser();
        let kinds = [
            TypeId::of::<u8>(),
            TypeId::of::<u16>(),
            TypeId::of::<u32>(),
            TypeId::of::<u64>(),
            TypeId::of::<usize>(),
            TypeId::of::<i8>(),
            TypeId::of::<i16>(),
            TypeId::of::<i32>(),
            TypeId::of::<i64>(),
            TypeId::of::<KeyVersion>(),
            TypeId::of::<Duration>(),
            TypeId::of::<Span>(),
            TypeId::of::<Timestamp>(),
        ];
        let place = format!("{path} --{}", argument.get_id()).trim_start().to_owned();
        let kind = kinds.into_iter().find(|kind| parser.type_id() == *kind);
        let takes = |text: &str| parsed(parser, text).is_some();
        let takes_words = takes("hello");
        let picks_numbers = !takes_words && ["7", "90d", "2030-01-31T12:00:00Z"].into_iter().any(takes);
        assert!(kind.is_some() || !picks_numbers, "{place} has a type of its own: teach this test to read it back");
        let is_named = argument.get_value_names().unwrap_or_default().iter().any(|name| NAMES.contains(&name.as_str()));
        if kind.is_some() || takes_words && is_named {
            found.push(Door { place, parser: parser.clone(), kind });
        }
    }
    for below in command.get_subcommands() {
        doors(below, format!("{path} {}", below.get_name()).trim_start(), found);
    }
}

fn all() -> Vec<Door> {
    let mut command = super::command();
    command.build();
    let mut found = Vec::new();
    doors(&command, "", &mut found);
    found
}

#[test]
fn what_an_option_is_given_is_read_as_it_is_written_or_refused() {
    let known = all();
    let places: Vec<&str> = known.iter().map(|door| door.place.as_str()).collect();
    for place in ["audit --after", "keys list --limit", "keyring limit --seal_until", "revoke --issued_before"] {
        assert!(places.contains(&place), "{place} is not among {places:?}");
    }
    assert!(places.len() >= 25, "{places:?}");
    for Door { place, parser, kind } in &known {
        let Some(kind) = *kind else { continue };
        let values: Vec<Hard> = match kind {
            _ if kind == TypeId::of::<Timestamp>() => times(),
            _ if [TypeId::of::<Duration>(), TypeId::of::<Span>()].contains(&kind) => spans(),
            _ => numbers(),
        };
        let mut taken = 0;
        for Hard { text, means } in values {
            // A mode of a file is written in octal.
            let is_octal = place.ends_with("mode");
            let means = if is_octal { i128::from_str_radix(text.trim_start_matches('+'), 8).ok() } else { means };
            let Some(matches) = parsed(parser, &text) else { continue };
            assert_eq!(read(&matches, kind), means, "{place}={text:?} (seed {SEED:#x})");
            assert!(means.is_some(), "{place} takes {text:?}");
            taken += 1;
        }
        assert!(taken > 1, "{place} takes {taken} of the values");
    }
}

#[test]
fn texts_that_are_numbers_or_times_are_known_to_the_tests_of_their_actions() {
    let mut texts: Vec<String> = all().into_iter().filter(|door| door.kind.is_none()).map(|door| door.place).collect();
    texts.sort();
    assert_eq!(texts, TEXTS, "test where a new one is read, and name it here");
}
