//! Any text, as a keyring document, against `KeyringDocument::parse` and back.
//!
//! The first byte of the input says what becomes of the rest: as it stands (0), with the table `[mac]` behind it (1,
//! 3), or with its last line replaced by the right MAC (2), which bits 0 and 1 tell.

#![no_main]

use std::sync::LazyLock;

use bulla::keyring::{KeyringDocument, KeyringError};
use bulla_fuzz::{Folder, mac_line, with_mac_line};
use libfuzzer_sys::{Corpus, fuzz_target};

static FOLDER: LazyLock<Folder> = LazyLock::new(Folder::new);

fuzz_target!(init: LazyLock::force(&FOLDER), |input: &[u8]| -> Corpus {
    let Some((how, rest)) = input.split_first() else { return Corpus::Reject };
    let Ok(rest) = str::from_utf8(rest) else { return Corpus::Reject };
    let text = match how & 3 {
        0 => rest.to_owned(),
        2 => with_mac_line(split_last_line(rest).0),
        _ => with_mac_line(&format!("{rest}\n[mac]\n")),
    };
    match FOLDER.parse(&text) {
        Ok(document) => accepted(&text, &document),
        Err(error) => assert!(!error.to_string().is_empty(), "an error without words"),
    }
    Corpus::Keep
});

fn accepted(text: &str, document: &KeyringDocument) {
    let (before, last) = split_last_line(text);
    assert_eq!(last, mac_line(before), "accepted under a wrong MAC");
    let digit = last.len() - 2;
    let other = if last[digit..].starts_with('0') { '1' } else { '0' };
    let forged = format!("{before}{}{other}\"\n", &last[..digit]);
    assert_eq!(FOLDER.parse(&forged), Err(KeyringError::MacWrong), "another MAC");

    let key = FOLDER.mac_key(document.id());
    let rendered = document.render(&key).expect("what parses should render");
    assert_eq!(FOLDER.parse(&rendered).as_ref(), Ok(document), "rendered as another document");
    assert_eq!(document.render(&key).as_ref(), Ok(&rendered), "rendered in two ways");
}

/// The text before the last line, and that line without its end.
fn split_last_line(text: &str) -> (&str, &str) {
    let whole = text.strip_suffix('\n').unwrap_or(text);
    whole.split_at(whole.rfind('\n').map_or(0, |at| at + 1))
}
