//! Keys that nobody imported, of an old system that is asked about each once.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::{
    clock,
    deployment::{APP, Deployment},
    http::{Answer, Http},
    imported::verify,
    process::{Process, free_port, listens, wait_until},
    programs,
    server::Server,
};

const KEY: &str = "sk_live_4f9a1c20_9Zk3Qw7Lr5Tn2Vb8Xc6Md1Pf";

/// A deployment whose realm `live` asks a program that knows KEY, and notes each question in a file.
pub(super) fn with_program(answer: &Value, more: &str) -> Deployment {
    let deployment = Deployment::new();
    let (program, asked) = (deployment.file("check-old"), deployment.file("asked"));
    let script = format!(
        "#!/bin/sh\nkey=$(cat)\necho x >> {}\n[ \"$key\" = {KEY} ] && echo '{answer}' || echo '{{\"active\":false}}'\n",
        asked.display()
    );
    fs::write(&program, script).expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("executable");
    let table = format!(
        "[realms.live]\nold_system = {{ exec = [{:?}], prefix = \"sk_\"{more} }}",
        program.display().to_string()
    );
    deployment.configure("[realms.live]", &table);
    deployment
}

pub(super) fn questions(deployment: &Deployment) -> usize {
    fs::read_to_string(deployment.file("asked")).map_or(0, |text| text.lines().count())
}

#[test]
fn an_unknown_key_is_asked_about_once_and_is_bullas_own_from_then_on() {
    let answer = json!({"active": true, "app_id": APP, "scope": "a b", "exp": 4_102_444_800_u64, "username": "old"});
    let deployment = with_program(&answer, ", timeout = \"25s\"");
    let server = Server::start(&deployment);
    // In a batch as alone, although no key before it has to be asked about.
    let batch = server.data.post("/v1/verify/batch", &json!({"api_keys": ["no key", KEY]})).json();
    assert_eq!(
        (&batch["results"][0]["active"], &batch["results"][1]["active"]),
        (&json!(false), &json!(true)),
        "{batch}"
    );
    let active = verify(&server, KEY);
    assert_eq!(
        (&active["active"], &active["app_id"], &active["scopes"]),
        (&json!(true), &json!(APP), &json!(["a", "b"]))
    );
    assert_eq!(active["expires_at"], "2100-01-01T00:00:00Z");
    for _ in 0..3 {
        assert_eq!(verify(&server, KEY), active);
    }
    assert_eq!(questions(&deployment), 1);
    let allowed = server.data.request("GET", "/v1/authorize/scope:b", &[("x-api-key", KEY)], "");
    assert_eq!(allowed.status, 200);
    let id = active["api_key_id"].as_str().expect("an id");
    let shown = deployment.run(&["keys", "show", id, "--json"]).ok().json();
    assert_eq!((&shown["name"], &shown["state"]), (&json!("old"), &json!("active")));
    assert!(deployment.run(&["audit", "--json"]).ok().out.contains("keys.import_asked"));
    // Revoked here it stays revoked, whatever the old system says.
    deployment.run(&["revoke", id]).ok();
    server.within("the revocation", |server| verify(server, KEY) == json!({"active": false}));
    assert_eq!(questions(&deployment), 1);
    drop(server);
    let server = Server::start(&deployment);
    assert_eq!((verify(&server, KEY), questions(&deployment)), (json!({"active": false}), 1));
    let stored = deployment.store().bytes();
    assert!(!stored.windows(KEY.len()).any(|bytes| bytes == KEY.as_bytes()));
}

#[test]
fn what_is_no_key_is_asked_about_once_and_only_in_its_shape_and_bounds() {
    let deployment = with_program(&json!({"active": true, "app_id": "42"}), ", per_second = 1, timeout = \"25s\"");
    let server = Server::start(&deployment);
    for text in ["sk_0123456789abcdef", "sk_short", "pk_0123456789abcdef_0123", "other"] {
        for _ in 0..3 {
            assert_eq!(verify(&server, text), json!({"active": false}), "{text}");
        }
    }
    assert_eq!(questions(&deployment), 1, "one text of this shape, once");
    // A flood of unknown texts reaches the old system as often as the bound says; the rest could not be told.
    let could_not_tell = (0..200)
        .filter(|at| server.data.post("/v1/verify", &json!({"api_key": format!("sk_{at:020}")})).status == 503)
        .count();
    let asked = questions(&deployment);
    assert!(asked < 100 && could_not_tell > 100, "{asked} questions, {could_not_tell} could not be told");
    let metrics = server.metrics.get("/metrics").body;
    assert!(metrics.contains("bulla_old_system_total{reason=\"unknown\"}"), "{metrics}");
}

#[test]
fn an_old_system_that_cannot_be_asked_says_nothing_of_a_key() {
    let deployment = with_program(&json!({"active": true}), ", timeout = \"25s\"");
    let server = Server::start(&deployment);
    // It does not say whose the key is.
    let status = || server.data.post("/v1/verify", &json!({"api_key": KEY})).status;
    assert_eq!((status(), status()), (503, 503));
    assert_eq!(server.data.request("GET", "/v1/authorize", &[("x-api-key", KEY)], "").status, 503);
    assert_eq!(verify(&server, "sk_0123456789abcdef"), json!({"active": false}));
}

#[test]
fn ten_requests_with_one_unknown_key_are_one_question() {
    let answer = json!({"active": true, "app_id": APP});
    let deployment = with_program(&answer, ", concurrent = 1, per_second = 2, timeout = \"25s\"");
    let program = deployment.file("check-old");
    let script = fs::read_to_string(&program).expect("a program").replace("key=$(cat)\n", "key=$(cat)\nsleep 1\n");
    fs::write(&program, script).expect("written");
    let server = Server::start(&deployment);
    for (key, active) in [(KEY, true), ("sk_0123456789abcdef", false)] {
        let before = questions(&deployment);
        std::thread::scope(|scope| {
            let asked: Vec<_> = (0..10).map(|_| scope.spawn(|| verify(&server, key)["active"] == active)).collect();
            assert!(asked.into_iter().all(|asked| asked.join().expect("an answer")), "{key}");
        });
        assert_eq!(questions(&deployment) - before, 1, "{key}");
    }
}

/// A deployment whose realm `live` asks a program that prints what the file `answer` holds, and fails without it.
fn with_answer(answer: &Value) -> Deployment {
    let deployment = with_program(&json!({}), ", timeout = \"25s\"");
    let (program, file) = (deployment.file("check-old"), deployment.file("answer"));
    fs::write(&program, format!("#!/bin/sh\ncat > /dev/null\ncat {}\n", file.display())).expect("written");
    fs::write(file, answer.to_string()).expect("written");
    deployment
}

fn revoke(server: &Server, deployment: &Deployment, key: &str) -> Answer {
    let form = [("content-type", "application/x-www-form-urlencoded")];
    server.data.bearer(&deployment.admin_key).request("POST", "/v1/revoke", &form, &format!("token={key}"))
}

#[test]
fn a_key_that_was_never_presented_here_is_revoked_all_the_same() {
    let answer = json!({"active": true, "app_id": APP});
    for how in ["revoke", "a line end", "self-revoke", "the command"] {
        let deployment = with_program(&answer, ", timeout = \"25s\"");
        let server = Server::start(&deployment);
        match how {
            "revoke" => assert_eq!(revoke(&server, &deployment, KEY).status, 200),
            "a line end" => assert_eq!(revoke(&server, &deployment, &format!("{KEY}%0A")).status, 200),
            "self-revoke" => {
                let ended = server.data.request("POST", "/v1/self-revoke", &[("x-api-key", KEY)], "");
                assert_eq!((ended.status, &ended.json()["on_record"]), (200, &json!(true)));
            }
            _ => {
                let ended = deployment.run_with(&["revoke", "-", "--json"], &format!("{KEY}\n")).ok().json();
                assert_eq!((&ended["state"], &ended["changed"]), (&json!("revoked"), &json!(true)));
            }
        }
        server.within("the revocation", |server| verify(server, KEY) == json!({"active": false}));
        let listed = deployment.run(&["keys", "list", "--realm", "live", "--json"]).ok().out.clone();
        assert!(listed.contains("\"revoked\"") && !listed.contains("\"active\""), "{how}: {listed}");
        // The service may ask once more before it has read what the command put on record.
        assert!(questions(&deployment) <= 1 + usize::from(how == "the command"), "{how}: it is on record");
    }
}

/// The program reads a line, and takes the blanks around it away, as shells and many servers do.
#[test]
fn a_key_has_no_aliases_that_a_revocation_does_not_reach() {
    let deployment = with_program(&json!({"active": true, "app_id": APP}), ", timeout = \"25s\"");
    let program = deployment.file("check-old");
    let script = fs::read_to_string(&program).expect("a program").replace("key=$(cat)\n", "read -r key || true\n");
    fs::write(&program, script).expect("written");
    let server = Server::start(&deployment);
    let inactive = json!({"active": false});
    let aliases =
        || ["{} ", " {}", "{}\t", "{}\n", "{}\nalias 1", "{}\r\n", "{} x"].map(|form| form.replace("{}", KEY));
    let basic = |text: &str| format!("Basic {}", STANDARD.encode(format!("{text}:x")));
    let no_alias_is_a_key = || {
        let batch = server.data.post("/v1/verify/batch", &json!({"api_keys": aliases()})).json();
        for (at, alias) in aliases().iter().enumerate() {
            assert_eq!(verify(&server, alias), inactive, "{alias:?}");
            assert_eq!(batch["results"][at]["active"], false, "{alias:?}");
            let answer = server.data.request("GET", "/v1/authorize", &[("authorization", &basic(alias))], "");
            assert_eq!(answer.status, 401, "{alias:?}");
            let ended = server.data.request("POST", "/v1/self-revoke", &[("authorization", &basic(alias))], "");
            assert_eq!(ended.status, 401, "{alias:?}");
        }
    };
    no_alias_is_a_key();
    assert_eq!(questions(&deployment), 0, "nobody is asked about an alias");
    // What came with the key is taken off before anybody is asked, so that the key itself is ended.
    assert_eq!(revoke(&server, &deployment, &format!("{KEY}%20%0A")).status, 200);
    assert_eq!((verify(&server, KEY), questions(&deployment)), (inactive.clone(), 1));
    deployment.run_with(&["revoke", "-"], &format!("{KEY} \n")).ok();
    no_alias_is_a_key();
    assert_eq!(questions(&deployment), 1);
    let listed = deployment.run(&["keys", "list", "--realm", "live", "--json"]).ok().json();
    assert_eq!(listed["api_keys"].as_array().map(Vec::len), Some(1), "{listed}");
}

#[test]
fn nobody_is_told_that_a_key_is_revoked_which_the_old_system_may_accept() {
    let deployment = with_answer(&json!({"active": false}));
    let (server, answer) = (Server::start(&deployment), deployment.file("answer"));
    assert_eq!(verify(&server, KEY), json!({"active": false}), "which is remembered");
    assert_eq!(revoke(&server, &deployment, KEY).status, 200, "it is none");
    fs::remove_file(&answer).expect("removed");
    let unknown = revoke(&server, &deployment, KEY);
    assert_eq!((unknown.status, unknown.problem().as_str()), (503, "could-not-tell"), "{}", unknown.body);
    let other = "sk_live_another_9Zk3Qw7Lr5Tn2Vb8Xc6Md1Pf";
    assert_eq!(server.data.request("POST", "/v1/self-revoke", &[("x-api-key", other)], "").status, 503);
    let told = deployment.run_with(&["revoke", "-"], KEY);
    assert!(told.code == 2 && told.err.contains("the realm `live`") && !told.err.contains(KEY), "{}", told.err);
    // The old system issues it now: a revocation does not go by what was remembered.
    fs::write(&answer, json!({"active": true, "app_id": APP}).to_string()).expect("written");
    assert_eq!(revoke(&server, &deployment, KEY).status, 200);
    assert_eq!(verify(&server, KEY), json!({"active": false}));
    assert!(deployment.run(&["audit", "--json"]).ok().out.contains("keys.import_asked"));
}

#[test]
fn a_key_for_another_audience_is_not_taken_over() {
    for (aud, setting, status, active) in [
        (json!("shop"), "", 503, None),
        (json!("shop"), ", audience = \"shop\"", 200, Some(true)),
        (json!(["bank", "shop"]), ", audience = \"shop\"", 200, Some(true)),
        (json!("bank"), ", audience = \"shop\"", 200, Some(false)),
    ] {
        let settings = format!(", timeout = \"25s\"{setting}");
        let deployment = with_program(&json!({"active": true, "app_id": APP, "aud": aud}), &settings);
        let server = Server::start(&deployment);
        let answer = server.data.post("/v1/verify", &json!({"api_key": KEY}));
        assert_eq!((answer.status, answer.json()["active"].as_bool()), (status, active), "{aud} {setting}");
    }
}

#[test]
fn a_rule_reaches_keys_that_are_learned_later() {
    let undated = json!({"active": true, "app_id": APP});
    let now = i64::try_from(clock::now()).expect("a time");
    let now = Timestamp::from_second(now).expect("a time").to_string();
    let since_2025 = json!({"active": true, "app_id": APP, "iat": 1_735_689_600});
    for (answer, rule, active) in [
        (&undated, &["--app", APP][..], false),
        (&undated, &["--realm", "live", "--issued-before", &now], false),
        (&undated, &["--app", APP, "--realm", "live", "--issued-before", "2000-01-01T00:00:00Z"], false),
        (&since_2025, &["--realm", "live", "--issued-before", &now], false),
        (&since_2025, &["--realm", "live", "--issued-before", "2024-01-01T00:00:00Z"], true),
        (&undated, &["--realm", "test", "--issued-before", &now], true),
    ] {
        let arguments = [&["revoke", "--yes"], rule].concat();
        // Before the key is learned, and behind that.
        let deployment = with_program(answer, ", timeout = \"25s\"");
        let server = Server::start(&deployment);
        deployment.run(&arguments).ok();
        assert_eq!(verify(&server, KEY)["active"], active, "{answer} and then {rule:?}");
        assert_eq!(questions(&deployment), 1);
        let deployment = with_program(answer, ", timeout = \"25s\"");
        let server = Server::start(&deployment);
        assert_eq!(verify(&server, KEY)["active"], true, "{answer}");
        deployment.run(&arguments).ok();
        if !active {
            server.until("the rule", |server| verify(server, KEY)["active"] == false);
        }
    }
}

/// A running oidc-provider, which knows a client `shop` that gets tokens, and one that introspects.
struct Provider {
    _process: Process,
    http: Http,
    port: u16,
    log: PathBuf,
}

const CLIENT: &str = "bulla, the new one";
/// Nothing of it may be lost on the way: each of these characters means something in a form.
const SECRET: &str = "p%41ss+word/: &=";

impl Provider {
    fn start(deployment: &Deployment) -> Self {
        let (port, log) = (free_port(), deployment.file("provider.log"));
        let prepare = |command: &mut Command| {
            command
                .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/oidc_provider.mjs"))
                .env("MODULES", programs::folder().join("npm/node_modules"))
                .env("PORT", port.to_string())
                .env("CLIENT", CLIENT)
                .env("SECRET", SECRET);
        };
        let process = Process::start(&programs::find("node"), prepare, &log);
        wait_until("oidc-provider", &log, || listens(port));
        Provider { _process: process, http: Http::new(&format!("127.0.0.1:{port}")), port, log }
    }

    /// Sends a form as this client, whose name and secret are encoded as in a form.
    fn post(&self, path: &str, client: &str, form: &str) -> Answer {
        let basic = format!("Basic {}", STANDARD.encode(client));
        let form_headers = [("authorization", basic.as_str()), ("content-type", "application/x-www-form-urlencoded")];
        self.http.request("POST", path, &form_headers, form)
    }

    fn token(&self, scope: &str) -> String {
        let form = format!("grant_type=client_credentials{scope}");
        let answer = self.post("/token", "shop:of+the+shop", &form);
        answer.json()["access_token"].as_str().unwrap_or_else(|| panic!("{}", answer.body)).to_owned()
    }

    fn questions(&self) -> usize {
        let log = fs::read_to_string(&self.log).expect("its log");
        log.lines().filter(|line| line.starts_with("POST /token/introspection")).count()
    }

    /// Has the realm `live` ask it, with this credential.
    fn configure(&self, deployment: &Deployment, credential: &str) {
        deployment.secret_file("old.cred", credential);
        let address = format!("http://127.0.0.1:{}/token/introspection", self.port);
        let table = format!(
            "[realms.live]\nold_system = {{ introspect = \"{address}\", credential = \"file:old.cred\", app = \"client_id\", timeout = \"20s\" }}"
        );
        deployment.configure("[realms.live]", &table);
    }
}

#[test]
fn a_real_server_is_asked_by_introspection() {
    let deployment = Deployment::new();
    let provider = Provider::start(&deployment);
    provider.configure(&deployment, &format!("{CLIENT}:{SECRET}"));
    let server = Server::start(&deployment);
    let (scoped, plain) = (provider.token("&scope=orders.read"), provider.token(""));
    let active = verify(&server, &scoped);
    assert_eq!((&active["active"], &active["scopes"]), (&json!(true), &json!(["orders.read"])), "{active}");
    let seconds = |name: &str| active[name].as_str().expect("a time").parse::<Timestamp>().expect("a time").as_second();
    assert_eq!(seconds("expires_at") - seconds("issued_at"), 3600);
    let other = verify(&server, &plain);
    assert_eq!((&other["active"], &other["app_id"]), (&json!(true), &active["app_id"]), "of the same client");
    // The provider may revoke it or be gone: it is bulla's own by now.
    assert_eq!(provider.post("/token/revocation", "shop:of+the+shop", &format!("token={scoped}")).status, 200);
    for _ in 0..2 {
        assert_eq!(verify(&server, &scoped), active);
        assert_eq!(verify(&server, &format!("{scoped}x")), json!({"active": false}));
    }
    assert_eq!(provider.questions(), 3);
    let late = provider.token("");
    provider.post("/token/revocation", "shop:of+the+shop", &format!("token={late}"));
    assert_eq!(verify(&server, &late), json!({"active": false}), "revoked before it was asked about");
}

#[test]
fn a_server_that_refuses_the_credential_says_nothing_of_a_key() {
    let deployment = Deployment::new();
    let provider = Provider::start(&deployment);
    provider.configure(&deployment, &format!("{CLIENT}:wrong"));
    let server = Server::start(&deployment);
    assert_eq!(server.data.post("/v1/verify", &json!({"api_key": provider.token("")})).status, 503);
    server.until("the reason", |server| server.log().contains("it answered 401"));
}
