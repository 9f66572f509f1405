//! The systemd units: how much they leave open, and that the service can live with what they leave.

use std::{collections::BTreeSet, process::Command};

use serde_json::json;

use super::{example, root::Root, text};
use crate::support::{
    deployment::{APP, Deployment},
    edge::Edge,
    programs::{find, run, try_run},
    server::Server,
};

const UNITS: [&str; 2] = ["systemd/bulla.service", "systemd/bulla-edge.service"];

/// The most that `systemd-analyze security` may find exposed, in tenths: 2.0 of 10.
const THRESHOLD: &str = "--threshold=20";

/// The values of a setting of a unit, in their order.
fn settings<'u>(unit: &'u str, name: &str) -> Vec<&'u str> {
    unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).collect()
}

fn analyze() -> Command {
    let mut command = Command::new(find("systemd-analyze"));
    command.env("SYSTEMD_COLORS", "0").env("PAGER", "cat");
    command
}

#[test]
fn the_units_expose_little_and_parse() {
    for name in UNITS {
        let security = ["security", "--offline=true", "--no-pager", THRESHOLD];
        let told = run(analyze().args(security).arg(example(name)));
        let level = told.lines().last().and_then(|line| line.split(": ").nth(1)).expect("a level");
        let documented = format!("{} of 10", level.split(' ').next().expect("a number"));
        assert!(text(name).contains(&documented), "{name} says what is measured: {level}");
        let open =
            try_run(analyze().args(["security", "--offline=true", "--no-pager", "--threshold=1"]).arg(example(name)));
        assert!(!open.status.success(), "the threshold counts");

        // Where the command is not installed `verify` finds nothing but that.
        let folder = tempfile::tempdir().expect("a folder");
        let copy = folder.path().join(example(name).file_name().expect("a name"));
        std::fs::write(&copy, text(name).replace("/usr/local/bin/bulla", env!("CARGO_BIN_EXE_bulla")))
            .expect("written");
        let verified = try_run(analyze().args(["verify", "--man=no"]).arg(&copy));
        let said = String::from_utf8_lossy(&verified.stderr).into_owned();
        assert!(verified.status.success() && !said.contains("bulla"), "{name}: {said}");
    }
}

#[test]
fn the_service_starts_from_the_unit_and_makes_no_system_call_that_it_forbids() {
    let (root, unit) = (Root::new(), text("systemd/bulla.service"));
    root.write("/etc/bulla/bulla.toml", &root.moved(&text("systemd/bulla.toml")));
    give_credentials(&root, &unit, "/run/credentials/bulla.service", |name| {
        Root::key(name.bytes().fold(0, |key: u8, byte| key.wrapping_mul(31).wrapping_add(byte)))
    });
    std::fs::write(root.path("/var/lib/bulla/bulla.db"), "").expect("a store");
    let environment = environment(&unit, "/run/credentials/bulla.service");
    let admin = root.set_up(&environment, "file:/run/credentials/bulla.service/master-1.key");

    let server = start_traced(&root, &unit, &environment, &admin);
    let key = server.admin.post("/v1/api-keys", &json!({"realm": "live", "app_id": APP}));
    let verified = server.data.post("/v1/verify", &json!({"api_key": key.json()["api_key"]}));
    assert_eq!(verified.json()["active"], true);
    server.signal("HUP");
    server.until("a reload", |server| server.metric("bulla_keyring_refreshes_total{outcome=\"ok\"}") > 0);
    server.stop();

    assert_allowed(&root, &unit);
}

#[test]
fn an_edge_starts_from_its_unit_and_makes_no_system_call_that_it_forbids() {
    let (root, unit, deployment) = (Root::new(), text("systemd/bulla-edge.service"), Deployment::new());
    let node = Server::start(&deployment);
    let files = Edge::new(&deployment, &["https://bulla-1.example:8181"], &["live"]);
    let shown = deployment.keyring(&["show"]);
    let config = text("systemd/edge.toml")
        .replace(
            "https://bulla-1.example:8181\", \"https://bulla-2.example:8181",
            &format!("http://{}", node.data.address),
        )
        .replace("a0a1a2a3a4a5a6a7a8a9aaabacadaeaf", shown["keyring_id"].as_str().expect("an id"))
        .replace("A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=", shown["feed_public_key"].as_str().expect("a key"));
    root.write("/etc/bulla/edge.toml", &root.moved(&config));
    let read = |name: &str| std::fs::read_to_string(files.file(name)).expect("text");
    root.write("/etc/bulla/exports/live.export", &read("exports/live.export"));
    give_credentials(&root, &unit, "/run/credentials/bulla-edge.service", |name| read(name));
    let environment = environment(&unit, "/run/credentials/bulla-edge.service");
    let server = start_traced(&root, &unit, &environment, "");
    let key = deployment.issue_text("live", &[]);
    server.until("the first message", |server| server.data.post("/v1/verify", &json!({"api_key": key})).status == 200);
    server.stop();
    assert_allowed(&root, &unit);
}

/// Puts the unit's credentials where systemd would.
fn give_credentials(root: &Root, unit: &str, folder: &str, content: impl Fn(&str) -> String) {
    let credentials = root.path(folder);
    std::fs::create_dir_all(&credentials).expect("a folder");
    for credential in settings(unit, "LoadCredential") {
        let (name, source) = credential.split_once(':').expect("a name and a file");
        assert_eq!(source, format!("/etc/bulla/keys/{name}"));
        root.secret(&credentials.join(name), &content(name));
    }
}

/// The unit's variables, and the one that systemd adds.
fn environment(unit: &str, credentials: &str) -> Vec<(String, String)> {
    let own = settings(unit, "Environment");
    let all = own.iter().map(|variable| variable.split_once('=').expect("a variable"));
    let all = all.chain([("CREDENTIALS_DIRECTORY", credentials)]);
    all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Starts what the unit starts, and writes its system calls to the file `trace`.
fn start_traced(root: &Root, unit: &str, environment: &[(String, String)], admin: &str) -> Server {
    let exec = settings(unit, "ExecStart")[0].split(' ').collect::<Vec<_>>();
    assert_eq!(exec[0], "/usr/local/bin/bulla");
    let plain = root.bulla(environment);
    let mut traced = Command::new(find("strace"));
    traced.args(["-D", "-f", "-qq", "-o"]).arg(root.path("trace")).arg(plain.get_program()).args(&exec[1..]);
    traced.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Server::start_as(traced, admin, &[("BULLA_DATA__LISTEN", "127.0.0.1:0")])
}

fn assert_allowed(root: &Root, unit: &str) {
    let trace = root.path("trace");
    let trace = std::fs::read_to_string(trace).expect("the trace");
    let called: BTreeSet<&str> = trace
        .lines()
        .filter_map(|line| line.split_once(' ')?.1.trim_start().split_once('('))
        .map(|(name, _)| name)
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'))
        .collect();
    assert!(called.contains("mlockall") && called.contains("fsync"), "{called:?}");
    let allowed = allowed(unit);
    // SQLite gives a new file to the owner of the folder if it is root.
    let forbidden: Vec<_> = called.iter().filter(|name| **name != "fchown" && !allowed.contains(**name)).collect();
    assert!(forbidden.is_empty(), "the unit forbids {forbidden:?}");
}

/// The system calls that the filters of a unit leave.
fn allowed(unit: &str) -> BTreeSet<String> {
    let mut left = BTreeSet::new();
    for filter in settings(unit, "SystemCallFilter") {
        let (forbids, names) = filter.strip_prefix('~').map_or((false, filter), |names| (true, names));
        for name in names.split(' ').flat_map(calls) {
            if forbids {
                left.remove(&name)
            } else {
                left.insert(name)
            };
        }
    }
    left
}

/// The calls of a set, and of the sets in it.
fn calls(set: &str) -> Vec<String> {
    if !set.starts_with('@') {
        return vec![set.to_owned()];
    }
    let told = run(analyze().args(["syscall-filter", "--no-pager", set]));
    let names = told.lines().skip(1).map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    names.flat_map(calls).collect()
}
