//! No proxy that the environment names for other programs is asked for a key source: what goes over plain HTTP would
//! show it secrets.

use std::process::Command;

use crate::support::{
    command::{bulla, finish},
    process,
};
use crate::{
    parts::{
        moto::{Moto, REGION},
        openbao::OpenBao,
        world,
    },
    service::trusting,
};

/// The command with proxies in its environment that nothing can be reached by.
fn with_proxies(command: &mut Command) -> &mut Command {
    let nobody = format!("http://127.0.0.1:{}", process::free_port());
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env(name, &nobody);
    }
    command.env_remove("no_proxy").env_remove("NO_PROXY")
}

fn is_staged(uri: &str) {
    let deployment = trusting(&[uri]);
    finish(with_proxies(&mut bulla(deployment.path())).args(["keyring", "stage", "--source", uri]), "").ok();
}

#[test]
fn aws_kms_on_this_machine_is_asked_directly() {
    world::folder();
    let moto = Moto::get();
    is_staged(&format!("aws-kms:{}?mode=derive&region={REGION}&endpoint={}", moto.hmac_key(), moto.url()));
}

#[test]
fn a_vault_is_asked_directly() {
    world::folder();
    let bao = OpenBao::get();
    bao.bao(&["write", "transit/keys/unproxied", "type=hmac", "key_size=32"]);
    let token = bao.token("unproxied", "path \"transit/hmac/unproxied\" { capabilities = [\"update\"] }");
    let uri =
        format!("vault-transit:{}/transit/unproxied?key_version=1&token-source=file:{}", bao.url, token.display());
    is_staged(&uri);
}
