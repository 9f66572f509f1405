//! `file:` against the file system.

use std::{fs, os::unix::fs::PermissionsExt};

use bulla::source::SourceErrorKind;

use crate::{
    contract::{Contract, opener, record, refused_uri, software},
    parts::world,
};

fn contract() -> Contract<'static> {
    world::folder();
    let exec = |_| record("exec:sh software-hmac.sh master.raw");
    let same: &'static dyn Fn(_) -> _ = Box::leak(Box::new(exec));
    world::file(world::folder(), "software-hmac.sh", crate::exec::SOFTWARE_HMAC);
    Contract { opener: opener(), device: &software, same, other: &|_| record("file:other.key") }
}

#[test]
fn a_file_serves_as_openssl_does() {
    contract().same_bytes();
}

#[test]
fn a_file_with_another_key_is_told_from_the_right_one() {
    let folder = world::folder();
    world::file(folder, "changing.key", world::MASTER_BASE64);
    let device = |_| record("file:changing.key");
    Contract { device: &device, ..contract() }
        .replaced(|| drop(world::file(folder, "changing.key", world::OTHER_BASE64)));
}

#[test]
fn a_file_that_is_missing_open_to_others_or_no_key_is_refused() {
    let folder = world::folder();
    refused_uri("file:nothing.key", SourceErrorKind::Missing, "cannot open");
    let open = world::file(folder, "open.key", world::MASTER_BASE64);
    fs::set_permissions(&open, fs::Permissions::from_mode(0o640)).expect("ours");
    refused_uri("file:open.key", SourceErrorKind::Denied, "mode 0640");
    world::file(folder, "short.key", "AAEC");
    refused_uri("file:short.key", SourceErrorKind::Malformed, "base64 of 32 bytes");
    refused_uri("file:credentials", SourceErrorKind::Malformed, "is not a file");
    refused_uri("gcp-kms:key", SourceErrorKind::Unsupported, "known: file, exec");
}

#[test]
fn a_systemd_credential_may_be_open_to_the_group() {
    let folder = world::folder();
    let credential = world::file(&folder.join("credentials"), "master", world::MASTER_BASE64);
    fs::set_permissions(&credential, fs::Permissions::from_mode(0o440)).expect("ours");
    let uri = format!("file:{}", credential.display());
    Contract { device: &|_| record(&uri), ..contract() }.same_bytes();
}
