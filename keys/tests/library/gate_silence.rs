//! No error of a gate's settings, and none of a route's requirements, shows a value of theirs.

use bulla::{
    gateway::{Gate, Settings},
    keyring::{EdgeKey, Suite, VersionState},
};

use crate::{
    feed_server::public_key,
    fixture::{Folder, KEYRING_ID, MASTER_7, Version},
};

/// Neither a field's name nor a realm's.
const PASSWORD: &str = "Correct-Horse-9x7-Battery-Staple-42";
const API_KEY: &str = "acme_live_00000XzbyFf5rOyRXQyt8VBSvX0TttKnpE6rUC8OjIcD0Yz3vNjR2yDFG2GcEwSPgHG8CNAVonv5o33Sczw";
const TOKEN: &str = "caller-3q2-7wAAqZ1mY0pT5bKcD9sRfLhUvXwNgEiJoQaB4C8";

/// Settings that a gate takes.
fn good() -> String {
    format!(
        "[follow]\nkeyring_id = '{}'\npublic_key = '{}'\nsources = ['https://bulla.example:8181']\n\
         api_key = 'feed.key'\nkey = 'edge.key'\nexports = 'exports'\nmax_stale = '1h'\non_stale = 'refuse'\n\
         report = true\n[keyring]\nsource = 'file:keyring.toml'\nmac_source = 'file:mac.key'\n\
         trusted_sources = ['file:']\n[verify]\ndefault_realms = ['acme_live']\n[realms.acme_live]\n\
         secret = 'required'\nheaders = ['from:x-api-key']\n",
        hex::encode(KEYRING_ID),
        public_key()
    )
}

fn folder() -> Folder {
    let folder = Folder::new();
    let document = folder.document(&[Version::new(7, Suite::Aes256Gcm, VersionState::Active, MASTER_7)]);
    folder.put("keyring.toml", document.render(&folder.mac_key(&document)).expect("rendered"), 0o644);
    folder.put("feed.key", API_KEY, 0o600);
    folder
}

/// What a gateway would log, or nothing where the gate opens.
fn error(folder: &Folder, text: &str) -> Option<String> {
    let opened = Settings::parse(text, &folder.path("")).and_then(|settings| Gate::open(&settings));
    opened.err().map(|error| format!("{error} {error:?}"))
}

fn says_nothing(error: &str, of: &str) {
    assert!(!error.contains(&of[..of.len() / 2]) && !error.contains(&of[of.len() / 2..]), "{error}");
}

#[test]
fn settings_with_a_secret_in_any_place_show_nothing_of_it() {
    let (folder, good) = (folder(), good());
    assert_eq!(error(&folder, &good), None);
    let edge = EdgeKey::generate().expect("a key").to_text();
    let edge = edge.lines().find(|line| !line.starts_with('#')).expect("the key");
    let lines: Vec<&str> = good.lines().collect();
    for secret in [PASSWORD, API_KEY, TOKEN, edge] {
        let quoted = format!("'{secret}'");
        let mut texts = vec![
            secret.to_owned(),
            format!("{secret}\n{good}"),
            format!("keyring = {quoted}"),
            format!("revocations = {quoted}\n{good}"),
            format!("revocations = {quoted}\n[realms.acme_live]"),
            format!("{good}headers = {quoted}\n"),
            format!("{good}[{quoted}]\n[{quoted}]"),
            format!("{good}[realms.{quoted}]"),
            format!("{good}[follow.realms.{quoted}]"),
            format!("{good}[follow.callers]\nx = [{quoted}]"),
            good.replace("'from:x-api-key'", &format!("'from:x-api-key', {quoted}")),
            good.replace("'from:x-api-key'", &format!("'from:{secret} x'")),
            good.replace("'from:x-api-key'", &format!("'from:x-api-key={secret},x'")),
            good.replace("'from:x-api-key'", &format!("'like:{secret}'")),
            good.replace("['acme_live']", &format!("['acme_live', {quoted}]")),
            good.replace("https://", &format!("https://feed:{secret}@")),
            good.replace("https://", &format!("{secret}://")),
            good.replace("['file:']", &quoted),
        ];
        for (at, line) in lines.iter().enumerate() {
            // Every value, and every name, in the place of which it stands; and a value of another type around it.
            let Some((name, value)) = line.split_once(" = ") else { continue };
            for line in [
                format!("{name} = {quoted}"),
                format!("{name} = [{quoted}]"),
                format!("{name} = {{ {quoted} = {quoted} }}"),
                format!("{name} = {secret}"),
                format!("{quoted} = {value}"),
                format!("{line}\n{quoted} = {value}"),
            ] {
                let mut lines = lines.clone();
                lines[at] = &line;
                texts.push(lines.join("\n"));
            }
        }
        for text in &texts {
            // A path to nowhere is shown, and is the one value that a file's name cannot be told from.
            let is_path = secret == PASSWORD
                && ["api_key", "key", "exports"].iter().any(|name| text.contains(&format!("\n{name} = {quoted}")));
            if let Some(error) = error(&folder, text).filter(|_| !is_path) {
                says_nothing(&error, secret);
            }
        }
    }
    let told = error(&folder, &format!("keyring = '{PASSWORD}'")).expect("a mistake");
    assert!(told.contains("line 1, column 11: invalid type: string, expected "), "{told}");
    assert!(told.contains("in `keyring`"), "{told}");
    for secret in [API_KEY, TOKEN, edge] {
        let told = error(&folder, &good.replace("'feed.key'", &format!("'{secret}'"))).expect("refused");
        assert!(told.contains("`follow.api_key` holds a key itself: write it to a file"), "{told}");
    }
}

#[test]
fn requirements_with_a_secret_in_any_place_show_nothing_of_it() {
    let folder = folder();
    let settings = Settings::parse(&good(), &folder.path("")).expect("settings");
    let gate = Gate::open(&settings).expect("opened");
    for secret in [PASSWORD, API_KEY, TOKEN] {
        for text in [
            secret.to_owned(),
            format!("realm:{secret}"),
            format!("realm:acme_live,{secret}"),
            format!("{secret}:acme_live"),
            format!("scope:\"{secret}"),
            format!("aud:{secret},aud:{secret}"),
            format!("from:{secret} x"),
            format!("from:x-key={secret},x"),
            format!("like:{secret}"),
        ] {
            let error = gate.requirements(&text).expect_err("a mistake");
            says_nothing(&format!("{error} {error:?}"), secret);
        }
    }
}
