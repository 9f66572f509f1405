//! Every setting that is a number or a length of time, found by what the configuration's own types say of a wrong
//! value: each is documented, and what it is given is read as it is written, or refused with its name.

use std::{ffi::OsString, path::Path, time::Duration};

use toml::{Table, Value};

use super::{Config, DEFAULT, EDGE, Span, env};
use crate::clock::hard_values::{Hard, SEED, numbers, spans};

/// Tables that hold what their settings cannot do without.
const NODE: &str = "
[keyring]
source = 'file:keyring.toml'
mac_source = 'file:keyring-mac.key'
[store]
url = 'sqlite:bulla.db'
[pepper]
active = 1
sources = { 1 = 'file:pepper.key' }
[realms.live.old_system]
exec = ['/bin/true']
[follow]
keyring_id = 'a0a1a2a3a4a5a6a7a8a9aaabacadaeaf'
public_key = 'A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg='
sources = ['https://bulla.example:8181']
";

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Number,
    Span,
}

/// What is said of `value` at this place.
fn complaint(place: &[&str], value: Value) -> Option<String> {
    fn put(value: &mut Value, place: &[&str], new: Value) {
        let [first, rest @ ..] = place else { return *value = new };
        if *first == "[]" {
            let mut one = Value::Table(Table::new());
            put(&mut one, rest, new);
            return *value = Value::Array(vec![one]);
        }
        if !value.is_table() {
            *value = Value::Table(Table::new());
        }
        let inner = value.as_table_mut().expect("a table").entry(*first).or_insert_with(|| Value::Table(Table::new()));
        put(inner, rest, new);
    }
    let mut table = Value::Table(toml::from_str(NODE).expect("the least"));
    put(&mut table, place, value);
    table.try_into::<Config>().err().map(|error| error.message().to_owned())
}

fn table_of(name: &str, value: Value) -> Value {
    Value::Table(Table::from_iter([(name.to_owned(), value)]))
}

/// Finds the settings at this place and below it.
fn settings(place: &[&str], found: &mut Vec<(String, Kind)>) {
    const NUMBERS: [&str; 11] = ["u8", "u16", "u32", "u64", "usize", "i8", "i16", "i32", "i64", "f32", "f64"];
    let below = |name: &str, found: &mut Vec<(String, Kind)>| settings(&[place, &[name]].concat(), found);
    let said = complaint(place, table_of("zzz", Value::Integer(1))).unwrap_or_default();
    let what = said.rsplit_once("expected ").map_or("", |(_, what)| what.trim_start_matches("a nonzero "));
    if said.starts_with("unknown field `zzz`") {
        let (_, names) = said.split_once("expected").expect("what there is");
        return names.split('`').skip(1).step_by(2).for_each(|name| below(name, found));
    }
    if said.starts_with("invalid type: integer") {
        // Tables or texts under names of their own.
        return below("live", found);
    }
    if said.starts_with("invalid type: map") && what == "a sequence" {
        return below("[]", found);
    }
    if said.starts_with("invalid type: map") && NUMBERS.contains(&what) {
        return found.push((place.join("."), Kind::Number));
    }
    if complaint(place, Value::String("zzz".to_owned())).is_some_and(|said| said.contains("length of time")) {
        found.push((place.join("."), Kind::Span));
    }
}

fn all() -> Vec<(String, Kind)> {
    let mut found = Vec::new();
    settings(&[], &mut found);
    found
}

/// The configuration with one setting from the environment.
fn with(setting: &str, text: &str) -> Result<Config, String> {
    let name = format!("BULLA_{}", setting.replace('.', "__").to_ascii_uppercase());
    let variables = [(OsString::from(name), OsString::from(text))];
    env::overlay(Path::new("bulla.toml"), NODE, variables.into_iter()).map_err(|error| error.to_string())
}

#[test]
fn every_setting_that_is_a_number_or_a_length_of_time_is_documented() {
    let pages = [DEFAULT, EDGE, include_str!("../../docs/IMPORT.md"), include_str!("../../docs/POSTGRESQL.md")];
    let all = all();
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    for known in [
        "fleet.forget_after",
        "follow.max_stale",
        "follow.realms.live.max_stale",
        "pepper.active",
        "realms.live.max_ttl",
        "realms.live.old_system.per_second",
        "realms.live.old_system.timeout",
        "secret.cache_ttl",
        "server.max_head",
        "store.connections",
        "verify.max_staleness",
    ] {
        assert!(names.contains(&known), "{known} is not found: {names:?}");
    }
    assert!(names.len() >= 36, "{names:?}");
    for name in names {
        let leaf = name.rsplit('.').next().expect("a name");
        assert!(pages.iter().any(|page| page.contains(leaf)), "{name} is not documented");
    }
}

#[test]
fn what_a_setting_is_given_is_read_as_it_is_written_or_refused() {
    for (setting, kind) in all() {
        let leaf = setting.rsplit('.').next().expect("a name");
        let mut taken = 0;
        for Hard { text, means } in if kind == Kind::Number { numbers() } else { spans() } {
            let place = format!("{setting} = {text:?} (seed {SEED:#x})");
            let config = match with(&setting, &text) {
                Ok(config) => config,
                Err(error) => {
                    assert!(error.contains(&leaf.to_ascii_uppercase()), "{place} is not named: {error}");
                    continue;
                }
            };
            let means = means.unwrap_or_else(|| panic!("{place} is taken"));
            let shown = match kind {
                Kind::Number => means.to_string(),
                Kind::Span => {
                    let (seconds, nanos) = (means / 1_000_000_000, means % 1_000_000_000);
                    let seconds = u64::try_from(seconds).expect("not negative");
                    let nanos = u32::try_from(nanos).expect("below a second");
                    format!("{:?}", Span(Duration::new(seconds, nanos)))
                }
            };
            let debug = format!("{config:?}");
            let expected =
                [format!("{leaf}: {shown}"), format!("{leaf}: Some({shown})"), format!("{leaf}: KeyVersion({shown})")];
            assert!(expected.iter().any(|expected| debug.contains(expected)), "{place} is read as something else");
            taken += 1;
            // Without what belongs to an edge alone.
            let checked = Config { follow: None, ..config }.recheck("the test");
            if let Err(error) = checked {
                assert!(error.to_string().contains(leaf), "{place}: {error}");
            }
        }
        assert!(taken > 1, "{setting} takes {taken} of the values");
    }
}

#[test]
fn what_would_stop_the_service_is_refused() {
    for (setting, value) in [
        ("server.head_timeout", "0s"),
        ("server.body_timeout", "0s"),
        ("server.idle_timeout", "0s"),
        ("server.shutdown_grace", "0s"),
        ("server.max_head", "4294967296"),
        ("secret.queue", "0"),
        ("secret.wrong_per_minute", "0"),
        ("server.head_timeout", "1ns"),
        ("server.body_timeout", "1us"),
        ("server.idle_timeout", "99ms"),
        ("keyring.refresh_interval", "1ns"),
        ("last_used.flush_interval", "1ms"),
        ("secret.scrub_interval", "0s"),
        ("verify.max_staleness", "0s"),
        ("verify.max_staleness", "200ms"),
        ("verify.default_realms", "[\"bulla\"]"),
        ("introspection.max_exp", "900ms"),
        ("introspection.max_exp", "1ns"),
        ("assertion.valid_for", "999ms"),
        ("feed.valid_for", "1999ms"),
        ("rotation.every", "0s"),
        ("rotation.every", "1ns"),
        ("secret.memory_mib", "4194304"),
        ("last_used.max_ids", "4294967296"),
    ] {
        let config = Config { follow: None, ..with(setting, value).expect("it is read") };
        let error = config.recheck("the test").expect_err(setting).to_string();
        assert!(error.contains(setting) && !error.contains("add that table"), "{error}");
    }
}
