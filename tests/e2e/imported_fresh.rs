//! Keys that real packages make while the test runs: what `tests/imports/record` wrote down is what they make today,
//! too. Those that are light enough; the others are recorded alone.

use std::{path::Path, process::Command};

use serde_json::json;

use super::imported_systems::Fixture;
use crate::support::{imported::verify, programs, reference::python, server::Server};

/// Has a script of `tests/imports` make keys of these packages, and imports them.
fn made_and_imported(program: &Path, script: &str, folder: &Path, names: &[&str]) {
    let made = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(program);
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/imports").join(script))
        .arg(made.path())
        .args(names)
        .env("PYTHONPATH", folder)
        .current_dir(folder);
    programs::run(&mut command);
    let fixtures = Fixture::all_in(made.path());
    assert_eq!(fixtures.iter().map(|fixture| &*fixture.name).collect::<Vec<_>>(), names);
    fixtures.iter().for_each(check);
}

fn check(fixture: &Fixture) {
    let (name, deployment, keys) = (&fixture.name, fixture.deployment(), fixture.texts("keys"));
    let ran = fixture.import(&deployment, &[]);
    assert_eq!((ran.code, &ran.json()["imported"]), (0, &json!(keys.len())), "{name}: {}{}", ran.out, ran.err);
    let server = Server::start(&deployment);
    for key in &keys {
        assert_eq!(verify(&server, key)["active"], true, "{name}: {key}");
    }
    for wrong in fixture.texts("wrong") {
        assert_eq!(verify(&server, &wrong), json!({"active": false}), "{name}: {wrong}");
    }
}

#[test]
fn what_packages_of_python_make_today_verifies() {
    let names = [
        "django-argon2",
        "django-bcrypt-sha256",
        "django-pbkdf2-sha256",
        "django-rest-knox",
        "djangorestframework-api-key",
        "passlib",
        "passlib-ldap",
        "werkzeug",
    ];
    made_and_imported(&python(), "record.py", &programs::folder().join("imports"), &names);
}

#[test]
fn what_packages_of_npm_make_today_verifies() {
    let names = ["bcryptjs", "prefixed-api-key"];
    made_and_imported(&programs::find("node"), "record.mjs", &programs::folder().join("npm"), &names);
}
