//! The systemd units: how much they leave open, and that the service can live with what they leave.

use std::{collections::BTreeSet, process::Command};

use serde_json::json;

use super::{example, root::Root, text};
use crate::support::{
    programs::{find, run, try_run},
    server::Server,
};

const UNITS: [&str; 1] = ["systemd/bulla.service"];

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
    let credentials = root.path("/run/credentials/bulla.service");
    std::fs::create_dir_all(&credentials).expect("a folder");
    for (at, credential) in (1..).zip(settings(&unit, "LoadCredential")) {
        let (name, source) = credential.split_once(':').expect("a name and a file");
        assert_eq!(source, format!("/etc/bulla/keys/{name}"));
        root.secret(&credentials.join(name), &Root::key(at));
    }
    std::fs::write(root.path("/var/lib/bulla/bulla.db"), "").expect("a store");
    let mut environment: Vec<(String, String)> = settings(&unit, "Environment")
        .iter()
        .map(|variable| variable.split_once('=').expect("a variable"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    environment.push(("CREDENTIALS_DIRECTORY".to_owned(), "/run/credentials/bulla.service".to_owned()));
    let admin = root.set_up(&environment, "file:/run/credentials/bulla.service/master-1.key");

    let trace = root.path("trace");
    let exec = settings(&unit, "ExecStart")[0].split(' ').collect::<Vec<_>>();
    assert_eq!(exec[0], "/usr/local/bin/bulla");
    let plain = root.bulla(&environment);
    let mut traced = Command::new(find("strace"));
    traced.args(["-D", "-f", "-qq", "-o"]).arg(&trace).arg(plain.get_program()).args(&exec[1..]);
    traced.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let server = Server::start_as(traced, &admin, &[("BULLA_DATA__LISTEN", "127.0.0.1:0")]);
    let key = server.admin.post("/v1/api-keys", &json!({"realm": "live", "app_id": crate::support::deployment::APP}));
    let verified = server.data.post("/v1/verify", &json!({"api_key": key.json()["api_key"]}));
    assert_eq!(verified.json()["active"], true);
    server.signal("HUP");
    server.until("a reload", |server| server.metric("bulla_keyring_refreshes_total{outcome=\"ok\"}") > 0);
    server.stop();

    let trace = std::fs::read_to_string(trace).expect("the trace");
    let called: BTreeSet<&str> = trace
        .lines()
        .filter_map(|line| line.split_once(' ')?.1.trim_start().split_once('('))
        .map(|(name, _)| name)
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'))
        .collect();
    assert!(called.contains("mlockall") && called.contains("fsync"), "{called:?}");
    let allowed = allowed(&unit);
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
