//! The rules for secret scanners, with the scanners: they find every key there is, and nothing in what others wrote.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use bulla::forged::with_checksum;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    deployment::{APP, Deployment, altered},
    reference::python,
    server::Server,
};

/// What keys stand in, in the wild.
const PLACES: [(&str, &str); 12] = [
    ("API_KEY=", ""),
    ("{\"api_key\": \"", "\", \"next\": 1}"),
    ("authorization: Bearer ", "\\r\\n"),
    ("curl -u '", ":' https://api.example"),
    ("https://api.example/?api_key=", "&page=2"),
    ("\"first line\\n", "\\n\""),
    ("(`", "`),"),
    ("key ", "."),
    ("Use _", "_ here"),
    ("", "_old"),
    ("my_", "__"),
    ("**_", "_**"),
];

/// What a scanner found: the lines of a file, from 1.
type Found = BTreeSet<usize>;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples/scanners").join(name)
}

/// A scanner that `tests/parts` installed, or what it needs.
fn part(name: &str) -> PathBuf {
    let part = python().with_file_name(name);
    assert!(part.exists(), "{} is missing: ./tests/run installs it", part.display());
    part
}

/// The rules in this file for these realms, put in as docs/SCANNERS.md says.
fn rule_for(name: &str, realms: &BTreeSet<String>, folder: &Path) -> PathBuf {
    let text = std::fs::read_to_string(example(name)).expect("the rule");
    let named: Vec<&str> = realms.iter().map(String::as_str).collect();
    let keywords: Vec<String> = named.iter().map(|realm| format!("\"{realm}_\"")).collect();
    let rule = text.replace("live|test", &named.join("|")).replace("\"live_\", \"test_\"", &keywords.join(", "));
    assert_ne!(rule, text);
    let path = folder.join(name);
    std::fs::write(&path, rule).expect("written");
    path
}

fn ran(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("the scanner starts");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// What betterleaks finds: places, and the bytes it looked at.
fn betterleaks(rule: &Path, targets: &[&Path]) -> (Found, u64) {
    let arguments = ["--isolate-rule", "bulla-api-key", "--jsonl", "--no-banner", "--config"];
    let out = ran(Command::new(part("betterleaks")).args(arguments).arg(rule).args(targets));
    let (mut found, mut bytes) = (Found::new(), 0);
    for line in out.lines() {
        let line: Value = serde_json::from_str(line).expect("a JSON object");
        match line.get("finding") {
            Some(finding) => {
                found.insert(finding["location"]["start_line"].as_u64().expect("a line") as usize);
            }
            None => bytes = line["scan"]["bytes_scanned"].as_u64().expect("a number"),
        }
    }
    (found, bytes)
}

/// What secretlint finds: places, how many files it looked at, and what it printed.
fn secretlint(rule: &Path, targets: &[&Path]) -> (Found, usize, String) {
    let mut command = Command::new(part("node"));
    command.arg(part("secretlint")).args(["--no-gitignore", "--no-color", "--format", "tap", "--secretlintrc"]);
    let out = ran(command.arg(rule).args(targets));
    let number = |text: &str| text.parse::<usize>().expect("a number");
    let found = out.lines().filter_map(|line| line.trim_start().strip_prefix("line: ")).map(number).collect();
    let files = out.lines().find_map(|line| line.strip_prefix("1..")).map(number).expect("how many files");
    (found, files, out)
}

/// What detect-secrets finds by the plugin: places, and how many files it looked at.
fn detect_secrets(target: &Path) -> (Found, usize) {
    let script = "
import pathlib, sys
from detect_secrets.core import scan
from detect_secrets.settings import transient_settings
with transient_settings({'plugins_used': [{'name': 'BullaApiKeyDetector', 'path': 'file://' + sys.argv[1]}]}):
    target = pathlib.Path(sys.argv[2])
    files = [path for path in target.rglob('*') if path.is_file()] if target.is_dir() else [target]
    print(len(files))
    for path in files:
        for secret in scan.scan_file(str(path)):
            print(secret.line_number)
";
    let mut command = Command::new(python());
    let out = ran(command.args(["-c", script]).arg(example("detect_secrets_bulla.py")).arg(target));
    let mut numbers = out.lines().map(|line| line.parse::<usize>().expect("a number"));
    let files = numbers.next().expect("how many files");
    (numbers.collect(), files)
}

/// The keys of the vectors with this verdict.
fn vectors(verdict: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(verdict);
    let cases = std::fs::read_dir(folder).expect("the vectors").map(|case| std::fs::read(case.expect("a case").path()));
    let cases = cases.map(|case| serde_json::from_slice::<Value>(&case.expect("read")).expect("a JSON object"));
    cases.map(|case| case["api_key"].as_str().expect("a key").to_owned()).collect()
}

fn realm_of(key: &str) -> String {
    key.parse::<bulla::ApiKey>().expect("an API key").id().realm().to_string()
}

/// A line for each text, in one place after the other.
fn written(texts: &[String]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut lines = String::new();
    for (text, (before, after)) in texts.iter().zip(PLACES.iter().cycle()) {
        writeln!(lines, "{before}{text}{after}").expect("written");
    }
    let path = folder.path().join("found.txt");
    std::fs::write(&path, lines).expect("written");
    (folder, path)
}

/// Keys of every shape that is issued, in every place.
fn issued() -> Vec<String> {
    let deployment = Deployment::new();
    let realms = ["live", "test", "ab", "a1_b2_33", "abcdefghijklmnopqrstuvwx"];
    let tables: String = realms[2..].iter().map(|realm| format!("[realms.{realm}]\n")).collect();
    deployment.configure("[realms.live]", &format!("{tables}[realms.live]"));
    let wishes: Vec<Value> = (0..120)
        .map(|at: usize| {
            let (realm, secret) = (realms[at % realms.len()], at.is_multiple_of(2));
            let scopes: Vec<String> = (0..at % 7).map(|scope| format!("orders.{scope}.read")).collect();
            let meta = if at.is_multiple_of(3) { json!({"team": "payments and more of them"}) } else { json!({}) };
            let cidr = if at.is_multiple_of(4) { json!(["10.0.0.0/8", "2001:db8::/32"]) } else { json!([]) };
            json!({"realm": realm, "app_id": APP, "secret": secret, "scopes": scopes, "meta": meta, "cidr": cidr})
        })
        .collect();
    let batch = || {
        let server = Server::start(&deployment);
        let answer = server.admin.post("/v1/api-keys/batch", &json!({"api_keys": wishes}));
        assert_eq!(answer.status, 201, "{}", answer.body);
        let keys = answer.json()["api_keys"].as_array().expect("keys").clone();
        keys.iter().map(|key| key["api_key"].as_str().expect("a key").to_owned()).collect::<Vec<_>>()
    };
    let mut keys = batch();
    let uri = deployment.new_master(2);
    deployment.keyring(&["stage", "--source", &uri, "--suite", "xaes-256-gcm"]);
    deployment.keyring(&["activate", "2"]);
    keys.extend(batch());
    keys.push(deployment.admin_key.clone());
    keys
}

#[test]
fn scanners_find_every_key() {
    let mut keys = issued();
    for verdict in ["accepted", "could-not-tell"] {
        keys.extend(vectors(verdict));
    }
    assert!(keys.len() > 300, "{}", keys.len());
    let (folder, file) = written(&keys);
    let all: Found = (1..=keys.len()).collect();
    let realms = keys.iter().map(|key| realm_of(key)).collect();
    assert_eq!(betterleaks(&rule_for("gitleaks.toml", &realms, folder.path()), &[&file]).0, all);
    assert_eq!(detect_secrets(&file).0, all);
    let (found, _files, printed) = secretlint(&rule_for("secretlintrc.json", &realms, folder.path()), &[&file]);
    assert_eq!(found, all);
    assert!(keys.iter().all(|key| !printed.contains(key.as_str())), "it prints asterisks for what it found");
}

#[test]
fn scanners_leave_alone_what_is_no_key() {
    let keys = issued();
    let plain = keys.iter().find(|key| key.len() < 100).expect("a short one");
    let (realm, rest) = plain.split_at(plain.rfind('_').expect("an underscore"));
    let no_keys = [
        plain[..plain.len() - 1].to_owned(),
        format!("{plain}0"),
        altered(plain, plain.len() - 1, if plain.ends_with('0') { '1' } else { '0' }),
        format!("{}{rest}", realm.to_uppercase()),
        rest.to_owned(),
        with_checksum(&format!("{realm}{}", &rest[..76])),
        with_checksum(&format!("{realm}_{}", "0".repeat(425))),
        "a1b2_".to_owned() + &"0123456789abcdef".repeat(8),
    ];
    let (folder, file) = written(&no_keys);
    assert_eq!(detect_secrets(&file).0, Found::new(), "it computes the checksum");
    // An expression goes by the shape alone: a wrong checksum is none, and a key with one character more is as good.
    let (realm, by_shape) = (BTreeSet::from([realm_of(plain)]), Found::from([2, 3]));
    assert_eq!(betterleaks(&rule_for("gitleaks.toml", &realm, folder.path()), &[&file]).0, by_shape);
    assert_eq!(secretlint(&rule_for("secretlintrc.json", &realm, folder.path()), &[&file]).0, by_shape);
}

#[test]
fn scanners_find_nothing_in_what_others_wrote() {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.unwrap_or_else(|| Path::new(&std::env::var_os("HOME").expect("a home")).join(".cargo"));
    let (sources, python_library) = (home.join("registry/src"), PathBuf::from("/usr/lib/python3"));
    let (found, bytes) = betterleaks(&example("gitleaks.toml"), &[&sources, &python_library]);
    assert!(found.is_empty() && bytes > 100_000_000, "{found:?} in {bytes} bytes");
    let (found, files, _printed) = secretlint(&example("secretlintrc.json"), &[&sources, &python_library]);
    assert!(found.is_empty() && files > 10_000, "{found:?} in {files} files");
    let library = python().with_file_name("..").join("lib");
    let library = std::fs::read_dir(library).expect("its folder").next().expect("a version").expect("its name").path();
    let (found, files) = detect_secrets(&library.join("site-packages/pip"));
    assert!(found.is_empty() && files > 400, "{found:?} in {files} files");
}
