//! `exec:` with the documented scripts, against the real things behind them, and with programs that misbehave.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use bulla::source::SourceErrorKind;

use crate::{
    contract::{Contract, opener, record, refused, refused_uri, software},
    parts::{
        moto::{Moto, REGION},
        softhsm::{SoftHsm, TOKEN},
        tpm::{HANDLE, Tpm},
        world,
    },
};

/// HMAC-SHA256 by openssl, under the key in a file.
pub const SOFTWARE_HMAC: &str = "\
key=$(od -An -v -tx1 \"$1\" | tr -d ' \\n')
{ base64 --decode && printf '\\001'; } | openssl dgst -sha256 -mac HMAC -macopt hexkey:$key -binary | base64";

fn script(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples/exec").join(name);
    format!("exec:{}", path.display())
}

fn program(name: &str, text: &str) -> String {
    world::file(world::folder(), name, text);
    format!("exec:sh {name}")
}

#[test]
fn aws_kms_by_its_command_line() {
    let moto = {
        world::folder();
        Moto::get()
    };
    let (script, options) = (script("aws-kms-mac.sh"), format!("--region {REGION} --endpoint-url {}", moto.url()));
    let (key, other) = (moto.hmac_key(), moto.hmac_key());
    let by_script = |key: &str| format!("{script} {key} {options}");
    let by_sdk = format!("aws-kms:{key}?mode=derive&region={REGION}&endpoint={}", moto.url());
    let (device, wrong) = (by_script(&key), by_script(&other));
    Contract { opener: opener(), device: &|_| record(&device), same: &|_| record(&by_sdk), other: &|_| record(&wrong) }
        .same_bytes();
    refused_uri(&by_script("no-such-key"), SourceErrorKind::Unreachable, "NotFoundException");
    refused_uri(&by_script(&moto.wrapping_key()), SourceErrorKind::Unreachable, "InvalidKeyUsageException");
    refused_uri(&script, SourceErrorKind::Unreachable, "usage: aws-kms-mac.sh KEY");
}

#[test]
fn an_hsm_by_pkcs11_tool() {
    let hsm = {
        world::folder();
        SoftHsm::get()
    };
    let by_script = |token: &str, id: &str, pin: &str| {
        let pin = world::folder().join(pin);
        format!("{} {} {token} {id} {}", script("pkcs11-tool.sh"), hsm.module, pin.display())
    };
    let (device, other) = (by_script(TOKEN, "01", "pin"), by_script(TOKEN, "02", "pin"));
    Contract { opener: opener(), device: &|_| record(&device), same: &software, other: &|_| record(&other) }
        .same_bytes();
    refused_uri(&by_script(TOKEN, "01", "wrong-pin"), SourceErrorKind::Unreachable, "CKR_PIN_INCORRECT");
    refused_uri(&by_script("nobody", "01", "pin"), SourceErrorKind::Unreachable, "No slot with token named");
    refused_uri(&by_script(TOKEN, "99", "pin"), SourceErrorKind::Unreachable, "error: ");
    refused_uri(&by_script(TOKEN, "03", "pin"), SourceErrorKind::Unreachable, "CKR_KEY_TYPE_INCONSISTENT");
}

#[test]
fn a_tpm_by_tpm2_tools() {
    world::folder();
    let mut tpm = Tpm::start();
    let device = format!("{} {HANDLE} {}", script("tpm2.sh"), tpm.tcti());
    let nothing_there = format!("{} 0x81000077 {}", script("tpm2.sh"), tpm.tcti());
    let other = |_| record("file:other.key");
    let contract = Contract { opener: opener(), device: &|_| record(&device), same: &software, other: &other };
    contract.same_bytes();
    refused_uri(&nothing_there, SourceErrorKind::Unreachable, "the program failed");
    let tpm = std::cell::RefCell::new(&mut tpm);
    contract.outage(|| tpm.borrow_mut().go_away(), "the program failed", || tpm.borrow_mut().come_back());
}

#[test]
fn a_program_that_is_missing_or_may_not_run_is_named() {
    world::folder();
    refused_uri("exec:./nothing.sh", SourceErrorKind::Missing, "there is no program");
    refused_uri("exec:no-such-program-anywhere", SourceErrorKind::Missing, "cannot be run");
    refused_uri("exec:./master.key", SourceErrorKind::Denied, "chmod +x");
    refused_uri("exec: ", SourceErrorKind::Uri, "names no program");
}

#[test]
fn a_program_that_fails_is_quoted_by_its_first_line_without_control_characters() {
    world::folder();
    let fails = program("fails.sh", "echo >&2; printf 'the \\033[31mHSM\\a is on fire\\nsecond line' >&2; exit 3");
    refused_uri(&fails, SourceErrorKind::Unreachable, "(exit status: 3): the [31mHSM is on fire");
    let silent = program("silent.sh", "exit 1");
    refused_uri(&silent, SourceErrorKind::Unreachable, "said nothing");
    let talks = program("talks.sh", "head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 1");
    refused_uri(&talks, SourceErrorKind::Unreachable, "xxx…");
}

#[test]
fn a_program_that_prints_anything_else_is_refused() {
    world::folder();
    let right = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    for (name, text) in [
        ("nothing.sh", "true".to_owned()),
        ("hex.sh", "head -c 32 /dev/zero | od -An -tx1".to_owned()),
        ("short.sh", "echo AAEC".to_owned()),
        ("twice.sh", format!("echo {right}; echo {right}")),
        ("endless.sh", format!("echo {right}; yes | head -c 1000000")),
    ] {
        refused_uri(&program(name, &text), SourceErrorKind::Malformed, "must print 32 bytes in base64");
    }
}

/// A number that no other process has on its command line, so that a child is found again.
fn mark(seconds: u32) -> String {
    format!("{seconds}.{:07}", std::process::id())
}

fn runs(mark: &str) -> bool {
    std::process::Command::new("pgrep").args(["-f", mark]).output().expect("pgrep runs").status.success()
}

fn wait_for_its_end(mark: &str) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while runs(mark) {
        assert!(Instant::now() < deadline, "the child lives on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_program_that_hangs_is_ended_with_all_that_it_started() {
    world::folder();
    let impatient = opener().time_limit(Duration::from_millis(300));
    let child = mark(611);
    for (name, text) in
        [("hangs.sh", "exec sleep 600".to_owned()), ("child-hangs.sh", format!("sleep {child} | cat; echo never"))]
    {
        refused(&impatient, record(&program(name, &text)), SourceErrorKind::Unreachable, "no answer within 0.3 s");
    }
    wait_for_its_end(&child);
}

#[test]
fn a_program_that_answered_and_ended_has_answered_whatever_its_children_hold() {
    let folder = world::folder();
    std::fs::write(folder.join("answers.sh"), format!("sleep \"$2\" &\n{SOFTWARE_HMAC}\n")).expect("written");
    let child = mark(622);
    let uri = format!("exec:sh answers.sh master.raw {child}");
    let patient = opener().time_limit(Duration::from_secs(100));
    let begun = Instant::now();
    Contract { opener: patient, device: &|_| record(&uri), same: &software, other: &|_| record("file:other.key") }
        .same_bytes();
    assert!(begun.elapsed() < Duration::from_secs(100), "its child was waited for");
    wait_for_its_end(&child);
    // One that left the group for a session of its own is nobody's to end, and not waited for either.
    std::fs::write(folder.join("daemon.sh"), format!("setsid sleep \"$2\" &\n{SOFTWARE_HMAC}\n")).expect("written");
    let daemon = mark(633);
    let uri = format!("exec:sh daemon.sh master.raw {daemon}");
    crate::contract::document(bulla::keyring::KeyringId::random().expect("random"), vec![record(&uri)], &opener())
        .expect("it answers");
    std::process::Command::new("pkill").args(["-f", &daemon]).status().expect("pkill runs");
}
