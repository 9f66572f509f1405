//! `exec:` with the documented scripts, against the real things behind them, and with programs that misbehave.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use bulla::Problem;

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
    refused_uri(&by_script("no-such-key"), Problem::Unreachable, "NotFoundException");
    refused_uri(&by_script(&moto.wrapping_key()), Problem::Unreachable, "InvalidKeyUsageException");
    refused_uri(&script, Problem::Unreachable, "usage: aws-kms-mac.sh KEY");
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
    refused_uri(&by_script(TOKEN, "01", "wrong-pin"), Problem::Unreachable, "CKR_PIN_INCORRECT");
    refused_uri(&by_script("nobody", "01", "pin"), Problem::Unreachable, "No slot with token named");
    refused_uri(&by_script(TOKEN, "99", "pin"), Problem::Unreachable, "error: ");
    refused_uri(&by_script(TOKEN, "03", "pin"), Problem::Unreachable, "CKR_KEY_TYPE_INCONSISTENT");
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
    refused_uri(&nothing_there, Problem::Unreachable, "the program failed");
    let tpm = std::cell::RefCell::new(&mut tpm);
    contract.outage(|| tpm.borrow_mut().go_away(), "the program failed", || tpm.borrow_mut().come_back());
}

#[test]
fn a_program_that_is_missing_or_may_not_run_is_named() {
    world::folder();
    refused_uri("exec:./nothing.sh", Problem::Missing, "there is no program");
    refused_uri("exec:no-such-program-anywhere", Problem::Missing, "cannot be run");
    refused_uri("exec:./master.key", Problem::Denied, "chmod +x");
    refused_uri("exec: ", Problem::Uri, "names no program");
}

#[test]
fn a_program_that_fails_is_quoted_by_its_first_line_without_control_characters() {
    world::folder();
    let fails = program("fails.sh", "echo >&2; printf 'the \\033[31mHSM\\a is on fire\\nsecond line' >&2; exit 3");
    refused_uri(&fails, Problem::Unreachable, "(exit status: 3): the [31mHSM is on fire");
    let silent = program("silent.sh", "exit 1");
    refused_uri(&silent, Problem::Unreachable, "said nothing");
    let talks = program("talks.sh", "head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 1");
    refused_uri(&talks, Problem::Unreachable, "xxx…");
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
        refused_uri(&program(name, &text), Problem::Malformed, "has to print 32 bytes in base64");
    }
}

#[test]
fn a_program_that_hangs_is_ended() {
    world::folder();
    let impatient = opener().time_limit(Duration::from_millis(300));
    for (name, text) in [("hangs.sh", "exec sleep 60"), ("leaves-one-behind.sh", "sleep 5 & echo hello")] {
        let begun = Instant::now();
        refused(&impatient, record(&program(name, text)), Problem::Unreachable, "no answer within 0.3 s");
        assert!(begun.elapsed() < Duration::from_secs(4), "{name}: {:?}", begun.elapsed());
    }
}
