//! The seeds of the fuzz targets hold, so that the targets do not break unseen between two runs of the fuzzer.

use std::{collections::HashMap, fs};

use super::{AdminPlane, DataPlane, Identities, read_rows};
use crate::imported::SYSTEMS;

fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = format!("{}/tests/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut seeds: Vec<_> = files
        .map(|file| file.expect("should be listed"))
        .map(|file| (file.file_name().to_string_lossy().into_owned(), fs::read(file.path()).expect("should be read")))
        .collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "{folder} is empty");
    seeds
}

fn split(seed: &[u8]) -> (u8, &[u8]) {
    let (first, rest) = seed.split_first().expect("should not be empty");
    (*first, rest)
}

#[test]
fn every_admin_body_is_answered_and_the_service_goes_on() {
    let mut plane = AdminPlane::new().expect("should make a deployment");
    let (mut done, mut refused) = (0, 0);
    for (name, seed) in seeds("admin_body") {
        let (endpoint, rest) = split(&seed);
        let status = plane.call(usize::from(endpoint), rest).expect("should be answered").as_u16();
        assert!(matches!(status, 200 | 201 | 400 | 403 | 404 | 409 | 413 | 415 | 422), "{name}: {status}");
        plane.goes_on().unwrap_or_else(|error| panic!("after {name}: {error}"));
        if status < 300 { done += 1 } else { refused += 1 }
    }
    assert!(done >= 15 && refused >= 10, "{done} done, {refused} refused");
}

#[test]
fn every_check_message_is_answered_and_none_let_through() {
    let plane = DataPlane::new().expect("should make a deployment");
    let mut read = 0;
    for (name, seed) in seeds("check_message") {
        let (how, rest) = split(&seed);
        let frame = [&[0], (rest.len() as u32).to_be_bytes().as_slice(), rest].concat();
        let answer = plane.check(if how & 1 == 0 { &frame } else { rest }).expect("should be answered");
        let status = answer.grpc.unwrap_or_else(|| panic!("{name}: no status"));
        assert!(matches!(status, 0 | 3 | 8 | 11 | 12 | 13), "{name}: {status}");
        // Behind the frame come the status, field 1 of two bytes, and what it denies, field 2.
        if status == 0 {
            assert_eq!((answer.message[5], answer.message.get(9)), (0x0a, Some(&0x12)), "{name}");
            read += 1;
        }
    }
    assert!(read >= 15, "{read} were read");
}

#[test]
fn rows_are_understood_or_refused() {
    let (mut understood, mut refused) = (0, 0);
    for (_, seed) in seeds("import_rows") {
        let (how, rest) = split(&seed);
        let (good, bad) = read_rows(how, rest);
        (understood, refused) = (understood + good, refused + bad);
    }
    assert!(understood >= 20 && refused >= 10, "{understood} understood, {refused} refused");
}

#[test]
fn rows_of_each_system_are_seeds_and_its_columns_words_of_the_dictionary() {
    let dictionary = format!("{}/tests/fuzz/import_rows.dict", env!("CARGO_MANIFEST_DIR"));
    let dictionary = fs::read_to_string(&dictionary).expect("should be read");
    let seeds: HashMap<_, _> = seeds("import_rows").into_iter().collect();
    for system in SYSTEMS {
        for (column, _) in system.columns {
            assert!(dictionary.lines().any(|line| line == format!("\"{column}\"")), "{}: {column}", system.name);
        }
        let seed = seeds.get(&format!("system-{}", system.name));
        let (how, rest) = split(seed.unwrap_or_else(|| panic!("{} has no seed", system.name)));
        let (understood, refused) = read_rows(how, rest);
        assert!(understood > 0 && refused == 0, "{}: {understood} understood, {refused} refused", system.name);
    }
}

#[test]
fn pem_files_are_taken_or_refused() {
    let identities = Identities::new().expect("should make a folder");
    for (name, seed) in seeds("pem_files") {
        let mut files = seed.splitn(3, |byte| *byte == 0);
        let mut file = || files.next().unwrap_or_default();
        let loaded = identities.load(file(), file(), file());
        let good = ["whole", "chain", "text-around", "carriage-returns", "key-in-front"].contains(&name.as_str());
        assert_eq!(loaded.is_ok(), good, "{name}: {loaded:?}");
    }
}
