//! A file with somebody's secret in the place of every file that is read: no byte of it is shown.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use super::places::Places;
use crate::support::{
    authority::Authority,
    command::{bulla, finish},
    deployment::{APP, Deployment},
    edge::Edge,
    server::Server,
};

/// What others keep in files, each with a secret in it, and that secret.
fn secrets(key: &str) -> Vec<(&'static str, String, String)> {
    const SECRET: &str = "hunter2-correct-horse-battery-staple";
    let pair = rcgen::KeyPair::generate().expect("a key");
    let pem = pair.serialize_pem();
    let body: String = pem.lines().filter(|line| !line.starts_with("---")).collect();
    let authority = Authority::new("others");
    let stripped = format!("{pem}{}", authority.pem()).replace('\n', "");
    let blanks = format!("{pem}{}", authority.pem()).replace('\n', " ");
    let id = key.rfind('_').expect("a realm") + 23;
    vec![
        ("a PEM key", pem.clone(), body.clone()),
        ("a PEM key and a certificate without line ends", stripped, body.clone()),
        ("a PEM key and a certificate with blanks for line ends", blanks, body.clone()),
        ("a PEM key that ends early", pem.replace("-----END", "").replace("CERT", ""), body.clone()),
        ("the base64 of a key", format!("{body}\n"), body.clone()),
        ("a key called a certificate", pem.replace("PRIVATE KEY", "CERTIFICATE"), body),
        ("an API key", format!("{key}\n"), key[id..].to_owned()),
        ("an API key with more", format!("{key} {key}\n"), key[id..].to_owned()),
        ("what `issue --json` prints", format!("{{\"api_keys\":\"{key}\"}}\n"), key[id..].to_owned()),
        ("a JSON document", format!("{{\n  \"password\": \"{SECRET}\"\n}}\n"), SECRET.to_owned()),
        ("an .env", format!("PASSWORD={SECRET}\nexport TOKEN={SECRET}\n"), SECRET.to_owned()),
        ("a TOML document", format!("password = \"{SECRET}\"\n"), SECRET.to_owned()),
        (
            "a TOML document of like names",
            format!("keyring = \"{SECRET}\"\nformat = \"{SECRET}\"\n"),
            SECRET.to_owned(),
        ),
        ("like tables", format!("[log]\nlevel = \"{SECRET}\"\n[keyring]\n'{SECRET}' = 1\n"), SECRET.to_owned()),
        ("a table of its own", format!("'{SECRET}' = 1\n[{}]\n", SECRET.replace('-', "_")), SECRET.to_owned()),
        (
            "an identity of age",
            format!("# created\nAGE-SECRET-KEY-1{}\n", "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L".repeat(2)),
            "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L".to_owned(),
        ),
        ("rows", format!("name,password\nops,{SECRET}\n"), SECRET.to_owned()),
        ("a word", SECRET.to_owned(), SECRET.to_owned()),
        ("with a BOM", format!("\u{feff}{SECRET}"), SECRET.to_owned()),
    ]
}

/// Writes another file in the place of one, which others may not read.
fn put(path: &Path, content: &str) {
    let new = path.with_extension("put");
    fs::write(&new, content).expect("written");
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).expect("its mode");
    fs::rename(&new, path).expect("in its place");
}

/// A deployment that reads files of every kind.
fn deployment(authority: &Authority) -> Deployment {
    let deployment = Deployment::new();
    authority.serve(&deployment);
    fs::copy(authority.file(), deployment.file("ca.crt")).expect("copied");
    deployment.new_master(2);
    deployment.new_master(3);
    put(&deployment.file("hmac.key"), "c2VjcmV0\n");
    let path = deployment.file("bulla.toml");
    let mut text = fs::read_to_string(&path).expect("the configuration");
    text = text.replace("signing_keys = []", "signing_keys = [\"file:master-3.key\"]");
    text = text.replace("audience = \"\"", "audience = \"shop\"").replace("issuer = \"\"", "issuer = \"bulla\"");
    text = text.replace("secrets = {}", "secrets = { old = \"file:hmac.key\" }");
    text += "\
             [admin.tls]\ncertificate = \"tls.crt\"\nkey = \"tls.key\"\nclient_ca = \"ca.crt\"\n";
    fs::write(&path, text).expect("written");
    deployment.keyring(&["stage", "--source", "file:master-2.key"]);
    deployment.run(&["doctor"]).ok();
    deployment
}

const FILES: [&str; 11] = [
    "bulla.toml",
    "keyring.toml",
    "master-1.key",
    "master-2.key",
    "master-3.key",
    "keyring-mac.key",
    "pepper-1.key",
    "feed-signing.key",
    "tls.crt",
    "tls.key",
    "ca.crt",
];

#[test]
fn no_byte_of_a_file_is_in_any_message() {
    let authority = Authority::new("servers");
    let deployment = deployment(&authority);
    let key = Deployment::new().issue_text("live", &[]);
    for (what, content, secret) in secrets(&key) {
        let mut places = Places::default();
        let mut add = |name: String, arguments: &[&str], environment: &[(&str, &str)]| {
            let ran = finish(bulla(deployment.path()).args(arguments).envs(environment.iter().copied()), "");
            assert_ne!(ran.code, 101, "{name}: {}", ran.err);
            places.add(name, ran.out + &ran.err);
        };
        for file in FILES {
            let kept = fs::read_to_string(deployment.file(file)).expect("its content");
            put(&deployment.file(file), &content);
            for arguments in
                [vec!["doctor"], vec!["keyring", "check"], vec!["issue", "--realm", "live", "--app", APP, "--secret"]]
            {
                add(format!("{what} as {file}: {arguments:?}"), &arguments, &[]);
            }
            put(&deployment.file(file), &kept);
        }
        put(&deployment.file("other"), &content);
        put(&deployment.file("hmac.key"), &content);
        for format in ["jsonl", "csv"] {
            for scheme in ["sha256", "bcrypt", "hmac-sha256"] {
                let scheme = if scheme == "hmac-sha256" {
                    vec!["--scheme", scheme, "--hmac-key", "old"]
                } else {
                    vec!["--scheme", scheme]
                };
                let line = [vec!["keys", "import", "other", "--realm", "live", "--format", format], scheme].concat();
                add(format!("{what} as rows: {line:?}"), &line, &[]);
            }
        }
        let tried =
            ["keys", "import", "other", "--realm", "live", "--scheme", "sha256", "--format", "csv", "--try", "other"];
        add(format!("{what} as keys to try"), &tried, &[]);
        for (file, setting) in
            [("ca", "TLS__CA"), ("certificate", "TLS__CERTIFICATE"), ("key", "TLS__KEY"), ("password", "PASSWORD")]
        {
            let setting = format!("BULLA_STORE__{setting}");
            let mut environment = vec![
                ("BULLA_STORE__URL", "postgres://bulla@127.0.0.1:9/bulla"),
                ("BULLA_STORE__CONNECT_TIMEOUT", "1s"),
                (setting.as_str(), if file == "password" { "file:other" } else { "other" }),
            ];
            match file {
                "certificate" => environment.push(("BULLA_STORE__TLS__KEY", "tls.key")),
                "key" => environment.push(("BULLA_STORE__TLS__CERTIFICATE", "tls.crt")),
                _ => {}
            }
            add(format!("{what} as the {file} for PostgreSQL"), &["doctor"], &environment);
        }
        let to_server = ["keys", "list", "--server", "https://127.0.0.1:9", "--ca", "ca.crt"];
        add(format!("{what} as the admin key"), &to_server, &[("BULLA_ADMIN_KEY_FILE", "other")]);
        add(
            format!("{what} as --ca"),
            &["keys", "list", "--server", "https://127.0.0.1:9", "--ca", "other"],
            &[("BULLA_ADMIN_KEY_FILE", "keyring-mac.key")],
        );
        for (certificate, of) in [("other", "tls.key"), ("tls.crt", "other"), ("other", "other")] {
            let client = ["--client-cert", certificate, "--client-key", of];
            add(format!("{what} of a client: {client:?}"), &[&to_server[..], &client].concat(), &[]);
        }
        add(format!("{what} as an identity"), &["reveal", "live_000004oEhpeDqbHoQsJeAJ", "--identity", "other"], &[]);
        add(format!("{what} as a pepper"), &["doctor"], &[("BULLA_PEPPER__SOURCES__2", "file:other")]);
        add(
            format!("{what} as a PIN"),
            &["keyring", "stage", "--source", "pkcs11:token=t;object=o?module-path=/nowhere.so&pin-source=file:other"],
            &[("BULLA_KEYRING__TRUSTED_SOURCES", "[\"pkcs11:\"]")],
        );
        add(
            format!("{what} as a Vault token"),
            &[
                "keyring",
                "stage",
                "--source",
                "vault-transit:http://127.0.0.1:9/transit/k?key_version=1&token-source=file:other",
            ],
            &[("BULLA_KEYRING__TRUSTED_SOURCES", "[\"vault-transit:\"]")],
        );
        let mut asks = bulla(deployment.path());
        asks.args(["verify", "-"]).env("BULLA_REALMS__LIVE__OLD_SYSTEM__INTROSPECT", "http://127.0.0.1:9/");
        asks.env("BULLA_REALMS__LIVE__OLD_SYSTEM__CREDENTIAL", "file:other");
        let asked = finish(&mut asks, "a key of the old system");
        places.add(format!("{what} as a credential for the old system"), asked.out + &asked.err);
        for command in ["verify", "inspect", "revoke"] {
            let ran = deployment.run_with(&[command, "-"], &content);
            places.add(format!("{what} to {command}"), ran.out + &ran.err);
        }
        places.hold_nothing_of(&secret);
    }
}

#[test]
fn no_byte_of_an_edge_s_file_is_in_any_message() {
    let authority = Authority::new("servers");
    let deployment = Deployment::new();
    let node = Server::start(&deployment);
    let edge = Edge::new(&deployment, &[&format!("http://{}", node.data.address)], &["live"]);
    {
        let running = edge.start();
        running.until("the first message", |edge| edge.data.get("/readyz").status == 200);
        running.stop();
    }
    let client = authority.client("edge");
    for (from, to) in
        [(authority.file(), "ca.crt"), (client.certificate.clone(), "edge.crt"), (client.key.clone(), "edge-tls.key")]
    {
        put(&edge.file(to), &fs::read_to_string(from).expect("its content"));
    }
    edge.configure("sources = [", "sources = [\"https://127.0.0.1:9\", ");
    for (set, file) in [("roots", "ca.crt"), ("client_certificate", "edge.crt"), ("client_key", "edge-tls.key")] {
        let line = format!("{set} = \"{file}\"");
        edge.configure(&format!("# {line}"), &line);
    }
    let state = fs::read_dir(edge.file("state")).expect("a folder").flatten().map(|file| file.path());
    let named = ["bulla.toml", "edge.key", "exports/live.export", "feed-api.key", "ca.crt", "edge.crt", "edge-tls.key"];
    let files: Vec<_> = named.iter().map(|name| edge.file(name)).chain(state).filter(|path| path.is_file()).collect();
    assert!(files.len() > named.len(), "there is a state: {files:?}");
    let key = Deployment::new().issue_text("live", &[]);
    for (what, content, secret) in secrets(&key) {
        let mut places = Places::default();
        for path in &files {
            let kept = fs::read(path).expect("its content");
            put(path, &content);
            let ran = edge.run(&["doctor"]);
            assert_ne!(ran.code, 101, "{what} as {}: {}", path.display(), ran.err);
            places.add(format!("{what} as {}", path.display()), ran.out + &ran.err);
            fs::write(path, kept).expect("put back");
        }
        places.hold_nothing_of(&secret);
    }
}

#[test]
fn no_byte_of_a_file_is_in_readiness_or_log() {
    let authority = Authority::new("servers");
    let deployment = deployment(&authority);
    let server = Server::start_with(&deployment, &[("BULLA_LOG__LEVEL", "debug")]);
    let key = Deployment::new().issue_text("live", &[]);
    let (mut places, mut all) = (Places::default(), Vec::new());
    for (what, content, secret) in secrets(&key) {
        for file in ["bulla.toml", "keyring.toml", "tls.crt", "tls.key", "ca.crt"] {
            let kept = fs::read_to_string(deployment.file(file)).expect("its content");
            put(&deployment.file(file), &content);
            server.signal("HUP");
            server.until("a reload that fails", |server| {
                server.data.get("/readyz").json()["degraded"] != serde_json::json!([])
            });
            places.add(format!("readiness with {what} as {file}"), server.data.get("/readyz").body);
            put(&deployment.file(file), &kept);
            server.signal("HUP");
            server.until("a reload", |server| server.data.get("/readyz").json()["degraded"] == serde_json::json!([]));
        }
        all.push(secret);
    }
    places.add("log", server.stop());
    all.iter().for_each(|secret| places.hold_nothing_of(secret));
}
