//! Libraries that speak OAuth 2.0: they introspect and revoke API keys, and check what is signed.

use std::{path::Path, process::Command};

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::support::{deployment::Deployment, programs, reference::python, server::Server};

/// A deployment that signs with a key of this algorithm.
fn signing(algorithm: &str) -> (Deployment, Server) {
    let deployment = Deployment::new();
    deployment.secret_file("assertion.key", &STANDARD.encode([7; 32]));
    let key = format!("signing_keys = [{{ source = \"file:assertion.key\", algorithm = \"{algorithm}\" }}]");
    deployment.configure("signing_keys = []", &key);
    deployment.configure("audience = \"\"", "audience = \"shop\"");
    // Clients compare the issuer with the address that they ask.
    let address = format!("127.0.0.1:{}", crate::support::process::free_port());
    deployment.configure("issuer = \"\"", &format!("issuer = \"http://{address}\""));
    let server = Server::start_on(&address, &deployment, &[]);
    (deployment, server)
}

/// Runs a script of this folder with a client's credential and keys to look at.
fn run(program: &Path, script: &str, algorithm: &str) {
    let (deployment, server) = signing(algorithm);
    let scopes = ["--scope", "read", "--scope", "revoke"];
    let assertion = {
        let key = deployment.issue_text("live", &["--scope", "a"]);
        let answer = server.data.request("GET", "/v1/authorize", &[("x-api-key", &key)], "");
        answer.header("x-bulla-assertion").expect("an assertion").to_owned()
    };
    let mut command = Command::new(program);
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers").join(script))
        .env("MODULES", programs::folder().join("npm/node_modules"))
        .env("ISSUER", format!("http://{}", server.data.address))
        .env("ALGORITHM", algorithm)
        .env("CLIENT", deployment.issue_text("bulla", &scopes))
        .env("ASSERTION", assertion)
        .env("KEYS", [0, 1, 2].map(|_| deployment.issue_text("live", &["--scope", "a", "--ttl", "1d"])).join(" "));
    assert_eq!(programs::run(&mut command), "done", "{script} with {algorithm}");
}

#[test]
fn openid_client_and_oauth4webapi() {
    for algorithm in ["EdDSA", "Ed25519", "ES256"] {
        run(&programs::find("node"), "oauth.mjs", algorithm);
    }
}

#[test]
fn authlib_and_joserfc() {
    for algorithm in ["EdDSA", "Ed25519", "ES256"] {
        run(&python(), "oauth.py", algorithm);
    }
}
