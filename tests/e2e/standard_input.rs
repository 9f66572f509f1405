//! Commands that wait for standard input say so where it is a terminal, and do not show the key that is typed there.

use std::{path::Path, process::Command};

use crate::support::{
    command::{Ran, finish},
    deployment::Deployment,
    reference::python,
};

/// Runs `bulla` on a terminal of its own, where `typed` answers each prompt: with `hidden` once nothing that is typed
/// shows any more.
fn on_terminal(deployment: &Deployment, hidden: bool, typed: &str, arguments: &[&str]) -> Ran {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/terminal.py");
    let mut command = Command::new(python());
    command.arg(script).args((!hidden).then_some("--echo")).arg(typed).arg(env!("CARGO_BIN_EXE_bulla"));
    finish(command.args(arguments).current_dir(deployment.path()).env_remove("BULLA_CONFIG"), "")
}

#[test]
fn a_key_is_asked_for_on_a_terminal_and_does_not_show() {
    let deployment = Deployment::new();
    let key = deployment.issue_text("live", &[]);
    for (arguments, asked) in [
        (&["verify", "--realm", "live"][..], "Paste the API key and press Enter"),
        (&["inspect", "-"], "Paste the API key and press Enter"),
        (&["keys", "show", "-"], "Paste the API key or its id and press Enter"),
        (&["keys", "suspend", "-"], "Paste the API key or its id and press Enter"),
        (&["keys", "resume", "-"], "Paste the API key or its id and press Enter"),
        (&["revoke", "-"], "Paste the API key or its id and press Enter"),
    ] {
        let ran = on_terminal(&deployment, true, &key, arguments);
        assert!(ran.code == 0 && ran.out.contains(asked), "{arguments:?}: {} {}", ran.out, ran.err);
        assert!(!ran.out.contains(&key), "{arguments:?}: {}", ran.out);
    }
    let rejected = on_terminal(&deployment, true, &key, &["verify", "--realm", "live", "-"]);
    assert_eq!(rejected.code, 1, "it is revoked: {}", rejected.out);
}

#[test]
fn what_is_read_to_its_end_is_told_on_a_terminal() {
    let ended = on_terminal(&Deployment::new(), false, "\u{4}", &["helper", "squid"]);
    assert!(ended.code == 0 && ended.out.contains("squid's questions, one a line"), "{}", ended.out);
}

#[test]
fn without_a_terminal_nobody_is_asked() {
    let deployment = Deployment::new();
    let key = deployment.issue_text("live", &[]);
    let ran = deployment.run_with(&["verify", "--realm", "live", "-"], &key);
    assert_eq!(ran.ok().err, "");
}
