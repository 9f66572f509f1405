//! `vault-transit:` against OpenBao.

use std::time::Duration;

use bulla::{
    Realm,
    keyring::{Keyring, KeyringId, Suite},
    source::{SourceErrorKind, Sources},
};

use crate::{
    contract::{Contract, document, opener, record, refused_uri, software},
    parts::{openbao::OpenBao, world},
    support::programs,
};

const POLICY: &str = "path \"transit/hmac/*\" { capabilities = [\"update\"] }";

fn bao() -> &'static OpenBao {
    world::folder();
    OpenBao::get()
}

fn uri(bao: &OpenBao, place: &str, version: u32, token: &std::path::Path) -> String {
    format!("vault-transit:{}/{place}?key_version={version}&token-source=file:{}", bao.url, token.display())
}

#[test]
fn transit_serves_as_software_does() {
    let bao = bao();
    bao.import("other", world::OTHER_BASE64);
    let token = bao.token("hmac", POLICY);
    let (device, other) = (uri(bao, "transit/master-1", 1, &token), uri(bao, "transit/other", 1, &token));
    Contract { opener: opener(), device: &|_| record(&device), same: &software, other: &|_| record(&other) }
        .same_bytes();
}

#[test]
fn one_request_brings_the_keys_of_many_realms() {
    world::folder();
    let bao = OpenBao::start("bao-that-counts");
    let token = bao.token("counted", POLICY);
    bao.bao(&["write", "transit/keys/rotated", "type=hmac", "key_size=32"]);
    bao.bao(&["write", "-f", "transit/keys/rotated/rotate"]);
    let source = |version| record(&uri(&bao, "transit/rotated", version, &token));
    let realms: Vec<Realm> = (0..240).map(|number| format!("r{number}").parse().expect("a realm")).collect();
    let more: Vec<Realm> = (0..600).map(|number| format!("r{number}").parse().expect("a realm")).collect();
    bao.bao(&["write", "sys/quotas/rate-limit/counted", "path=transit", "rate=10", "interval=24h"]);
    let counted = Sources::new(world::folder()).time_limit(Duration::from_secs(20));

    // One to stage each version, though the second one's key is held against the first's.
    let mut document = document(KeyringId::random().expect("random"), vec![source(1)], &counted).expect("it serves");
    document.stage(Suite::Aes256Gcm, vec![source(2)], &counted, 0).expect("it serves");
    let loaded = Keyring::load(&document, &counted, &realms).expect("a request for each version");
    let all = Keyring::load(&document, &counted, &more).expect("three for each version");
    assert_eq!((loaded.realms().count(), all.realms().count()), (realms.len(), more.len()));
    let error = Keyring::load(&document, &counted, &realms).expect_err("these were ten");
    assert!(error.to_string().contains("rate limit"), "{error}");
}

#[test]
fn transit_keys_of_other_types_serve_as_the_command_line_does() {
    let bao = bao();
    for kind in ["aes256-gcm96", "chacha20-poly1305", "ed25519", "rsa-2048"] {
        bao.bao(&["write", &format!("transit/keys/{kind}"), &format!("type={kind}")]);
        let token = bao.token(kind, POLICY);
        let device = uri(bao, &format!("transit/{kind}"), 1, &token);
        let script = format!(
            "input=$({{ base64 --decode && printf '\\001'; }} | base64 --wrap=0)\n\
             export BAO_ADDR={} BAO_TOKEN=$(cat '{}')\n\
             '{}' write -field=hmac transit/hmac/{kind} key_version=1 input=\"$input\" | cut -d: -f3",
            bao.url,
            token.display(),
            programs::find("bao").display(),
        );
        world::file(world::folder(), &format!("bao-{kind}.sh"), &script);
        let direct = format!("exec:sh bao-{kind}.sh");
        let other = uri(bao, "transit/master-1", 1, &token);
        let contract = Contract {
            opener: opener(),
            device: &|_| record(&device),
            same: &|_| record(&direct),
            other: &|_| record(&other),
        };
        contract.same_bytes();
    }
}

#[test]
fn it_serves_over_tls_with_the_right_authority_and_no_other() {
    let bao = bao();
    let device = uri(bao, "transit/master-1", 1, &bao.token("tls", POLICY)).replace(&bao.url, &bao.tls_url);
    let trusting = format!("{device}&ca-source=file:{}", bao.ca.display());
    let other = |_| record("file:other.key");
    Contract { opener: opener(), device: &|_| record(&trusting), same: &software, other: &other }.same_bytes();
    refused_uri(&device, SourceErrorKind::Unreachable, "no TLS connection");
    refused_uri(&trusting.replace("127.0.0.1", "localhost"), SourceErrorKind::Unreachable, "no TLS connection");
}

#[test]
fn a_rotated_key_keeps_serving_its_old_version_until_it_is_retired() {
    let bao = bao();
    bao.bao(&["write", "transit/keys/rotated", "type=hmac", "key_size=32"]);
    let token = bao.token("rotated", POLICY);
    let version = |number| uri(bao, "transit/rotated", number, &token);
    let (first, second) = (version(1), version(2));
    refused_uri(&second, SourceErrorKind::Denied, "key version does not exist");
    let before = KeyringId::random().expect("random");
    let staged = document(before, vec![record(&first)], &opener()).expect("it serves");
    bao.bao(&["write", "-f", "transit/keys/rotated/rotate"]);
    let after = document(before, vec![record(&first)], &opener()).expect("it serves");
    assert_eq!(staged.versions()[0].key_check_value, after.versions()[0].key_check_value);
    let second_of_it = document(before, vec![record(&second)], &opener()).expect("it serves");
    assert_ne!(staged.versions()[0].key_check_value, second_of_it.versions()[0].key_check_value);

    // It forbids the HMAC of older versions, too.
    bao.bao(&["write", "transit/keys/rotated/config", "min_encryption_version=2"]);
    refused_uri(&first, SourceErrorKind::Denied, "min_encryption_version");
    bao.bao(&["write", "transit/keys/rotated/config", "min_encryption_version=0", "min_decryption_version=2"]);
    refused_uri(&first, SourceErrorKind::Denied, "min_decryption_version");
}

#[test]
fn every_mistake_is_named() {
    let bao = bao();
    let token = bao.token("some", POLICY);
    let denied = bao.token("none", "path \"transit/hmac/another\" { capabilities = [\"update\"] }");
    let bad = world::file(world::folder(), "bad.token", "no-token");
    let good = uri(bao, "transit/master-1", 1, &token);
    refused_uri(
        &uri(bao, "transit/master-1", 1, &denied),
        SourceErrorKind::Denied,
        "its policy lacks `update` on transit/hmac/master-1",
    );
    refused_uri(&uri(bao, "transit/master-1", 1, &bad), SourceErrorKind::Denied, "the token is not valid");
    refused_uri(&uri(bao, "transit/nothing", 1, &token), SourceErrorKind::Missing, "no such Transit key");
    refused_uri(&uri(bao, "transit/master-1", 0, &token), SourceErrorKind::Uri, "from 1 up");
    refused_uri(&uri(bao, "transit", 1, &token), SourceErrorKind::Uri, "it is named vault-transit:https://");
    refused_uri(&uri(bao, "transit/../sys", 1, &token), SourceErrorKind::Uri, "it is named vault-transit:https://");
    refused_uri(&good.replace("key_version=1&", ""), SourceErrorKind::Uri, "`key_version` is missing");
    refused_uri(&good.replace("&token-source", "&token-sauce"), SourceErrorKind::Uri, "no parameter `token-sauce`");
    refused_uri(&good.replace("127.0.0.1", "vault.example"), SourceErrorKind::Uri, "use https");
    refused_uri(
        &good.replace("http://", "https://"),
        SourceErrorKind::Uri,
        "the server does not speak TLS at this port",
    );
    let plain_to_tls = good.replace(&bao.url, &bao.tls_url.replace("https://", "http://"));
    refused_uri(&plain_to_tls, SourceErrorKind::Uri, "the server speaks TLS at this port: write https://");
    refused_uri(
        &uri(bao, "elsewhere/master-1", 1, &token),
        SourceErrorKind::Denied,
        "mount, key or namespace in the URI is another",
    );
    bao.bao(&["write", "transit/keys/deleted", "type=hmac", "key_size=32"]);
    bao.bao(&["delete", "transit/keys/deleted/soft-delete"]);
    refused_uri(
        &uri(bao, "transit/deleted", 1, &token),
        SourceErrorKind::Denied,
        "the key is marked as deleted: restore it",
    );
    refused_uri(&format!("{good}&ca-source=file:nothing"), SourceErrorKind::Missing, "ca-source: cannot open");
    refused_uri(&format!("{good}&namespace=nobody"), SourceErrorKind::Missing, "namespace not found");
}

#[test]
fn a_sealed_server_and_one_that_is_down_are_told_apart_and_come_back() {
    world::folder();
    let bao = OpenBao::start("bao-with-outages");
    let token = bao.token("hmac", POLICY);
    let (device, other) = (uri(&bao, "transit/master-1", 1, &token), |_| record("file:other.key"));
    let contract = Contract { opener: opener(), device: &|_| record(&device), same: &software, other: &other };
    contract.outage(|| bao.seal(), "the server is sealed: unseal it", || bao.unseal());
    contract.outage(
        || bao.kill(),
        "the server cannot be reached",
        || {
            bao.restart();
            bao.unseal();
        },
    );
}
