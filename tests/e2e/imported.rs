//! Keys that were issued elsewhere: imported by their hashes, verified unchanged, and gone.

use std::time::Instant;

use serde_json::{Value, json};

use crate::support::{
    command::{Ran, bulla, finish},
    deployment::{APP, Deployment},
    imported::{KEY, import, row, sha256, verify},
    server::Server,
};

/// Of that key, made with Python's bcrypt, argon2-cffi and hashlib.
const BCRYPT: &str = "$2b$04$RBcO/btzmiFBY.D59xIruu/sFQsoS5YV32jxNr37n5WiWfH8bLJni";
const ARGON2ID: &str =
    "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$6XVmpMQuOhRobPDN/kUUKIlyqy058c0iyqSuY8K+/RM";
const SCRYPT: &str = "$scrypt$ln=4,r=8,p=1$c29tZXNhbHRzb21lc2FsdA$B9Y9I944wsB8Pz6zWtDTD0Sgrf2XHcQGTBaZk70mOVQ";

#[test]
fn keys_of_every_scheme_verify_unchanged() {
    let public = json!({"public": "4f9a1c20"});
    let salted = |salt: &str| json!({"public": "4f9a1c20", "salt": salt});
    let apart = ["--prefix", "sk_live_", "--separator", "_"];
    let binary = "EBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8";
    let binary_row =
        json!({"public": "10111213-1415-1617-1819-1a1b1c1d1e1f", "salt": "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"});
    for (scheme, hash, more, arguments, key) in [
        ("sha256", sha256(KEY).as_str(), json!({}), &[][..], KEY),
        ("sha256", &sha256(&KEY[17..]), public.clone(), &[&apart[..], &["--hashed", "secret"]].concat(), KEY),
        (
            "sha256-salt-key",
            &sha256(&format!("pepper{KEY}")),
            salted("pepper"),
            &[&apart[..], &["--salt-encoding", "text"]].concat(),
            KEY,
        ),
        (
            "sha256-key-salt",
            &sha256(&format!("{KEY}pepper")),
            salted("706570706572"),
            &[&apart[..], &["--salt-encoding", "hex"]].concat(),
            KEY,
        ),
        (
            "sha256-id-key-salt",
            "23df53608cfbe9545331986bc19c0b0c21688767e4f5681daf2edb321a0c99e2",
            binary_row,
            &["--salt-encoding", "hex"],
            binary,
        ),
        (
            "hmac-sha256",
            "c93a5153dcb034982a663dde86cb4d87cc50d504c5447f3447aa3a813b8b7990",
            json!({}),
            &["--hmac-key", "legacy"],
            KEY,
        ),
        ("bcrypt", BCRYPT, public.clone(), &apart, KEY),
        ("argon2id", ARGON2ID, public.clone(), &["--prefix", "sk_live_", "--public-part", "8"], KEY),
        ("scrypt", SCRYPT, public.clone(), &apart, KEY),
    ] {
        let other = Deployment::new();
        other.secret_file("legacy.key", "YW4gb2xkIHNlY3JldCBvZiBvdXJz\n");
        other.configure("secrets = {}", "secrets = { legacy = \"file:legacy.key\" }");
        let server = Server::start(&other);
        assert_eq!(verify(&server, key), json!({"active": false}), "{scheme}");
        let imported = import(&other, &[row(hash, more)], &[&["--scheme", scheme], arguments].concat());
        assert_eq!(imported.ok().json()["imported"], 1, "{scheme}: {}", imported.out);
        server.until("the import", |server| verify(server, key)["active"] == true);
        let mut wrong = key.to_owned();
        wrong.pop();
        for wrong in [wrong.as_str(), &format!("{wrong}0"), &key[1..]] {
            assert_eq!(verify(&server, wrong), json!({"active": false}), "{scheme}");
        }
        assert_eq!(other.run_with(&["verify", "-"], key).code, 0, "{scheme}");
        assert_eq!(other.run_with(&["verify", "-"], &wrong).code, 1, "{scheme}");
        drop(server);
        assert_eq!(verify(&Server::start(&other), key)["active"], true, "{scheme}, after a start");
    }
}

#[test]
fn an_imported_key_is_a_key_like_any_other() {
    let deployment = Deployment::new();
    let fields = json!({"name": "old", "issued_at": 1_700_000_000, "expires_at": "2100-01-01T00:00:00Z", "scopes": ["a", "b"], "meta": {"k": "v"}});
    import(&deployment, &[row(&sha256(KEY), fields)], &["--scheme", "sha256"]).ok();
    let server = Server::start(&deployment);
    let active = verify(&server, KEY);
    let id = active["api_key_id"].as_str().expect("an id");
    let expected = json!({
        "active": true, "api_key_id": id, "realm": "live", "app_id": APP, "version": null,
        "issued_at": "2023-11-14T22:13:20Z", "expires_at": "2100-01-01T00:00:00Z", "scopes": ["a", "b"], "meta": {"k": "v"},
    });
    assert_eq!(active, expected);
    let with = |more: Value| {
        let mut body = json!({"api_key": KEY});
        body.as_object_mut().expect("fields").extend(more.as_object().expect("fields").clone());
        server.data.post("/v1/verify", &body).json()
    };
    assert_eq!(with(json!({"scopes": ["a"], "audience": "shop", "ip": "192.0.2.1"}))["active"], true);
    assert_eq!(with(json!({"scopes": ["c"]})), json!({"active": false, "error": "insufficient_scope"}));
    assert_eq!(with(json!({"realms": ["test"]})), json!({"active": false}));
    let batch = server.data.post("/v1/verify/batch", &json!({"api_keys": [KEY, "no", KEY]})).json();
    assert_eq!(batch["results"], json!([active, {"active": false}, active]));
    let allowed = server.data.request("GET", "/v1/authorize/scope:b", &[("x-api-key", KEY)], "");
    assert_eq!((allowed.status, allowed.header("x-bulla-api-key-id")), (200, Some(id)));
    assert_eq!(allowed.header("x-bulla-app-id"), Some(APP));
    assert_eq!(server.data.request("GET", "/v1/authorize/scope:c", &[("x-api-key", KEY)], "").status, 403);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let reader = server.data.bearer(&deployment.admin_key);
    let introspected = reader.request("POST", "/v1/introspect", &form, &format!("token={KEY}")).json();
    assert_eq!((&introspected["jti"], &introspected["scope"]), (&json!(id), &json!("a b")));
    assert_eq!(server.data.bearer(KEY).request("POST", "/v1/introspect", &form, "token=x").status, 401);

    let shown = server.admin.get(&format!("/v1/api-keys/{id}")).json();
    assert_eq!((&shown["name"], &shown["state"]), (&json!("old"), &json!("active")));
    let posted = |what: &str| server.admin.post(&format!("/v1/api-keys/{id}/{what}"), &json!({})).status;
    assert_eq!((posted("suspend"), verify(&server, KEY)), (200, json!({"active": false})));
    assert_eq!((posted("resume"), &verify(&server, KEY)), (200, &active));
    assert_eq!(posted("suspend"), 200);
    for changed in [true, false] {
        let ended = server.data.bearer(KEY).post("/v1/self-revoke", &json!({}));
        assert_eq!((ended.status, &ended.json()["changed"]), (200, &json!(changed)), "a suspended one, and again");
    }
    assert_eq!(server.data.bearer(&format!("{KEY}0")).post("/v1/self-revoke", &json!({})).status, 401);
    assert_eq!(verify(&server, KEY), json!({"active": false}));
    assert_eq!(deployment.run(&["keys", "show", id, "--json"]).ok().json()["state"], "revoked");
    assert!(server.admin.get("/v1/keyring").body.find("\"version\":0").is_none());
}

#[test]
fn the_secret_of_an_old_system_may_be_a_credential_of_systemd() {
    use std::{fs, os::unix::fs::PermissionsExt};
    let deployment = Deployment::new();
    let folder = deployment.file("credentials");
    let secret = folder.join("legacy.key");
    fs::create_dir(&folder).expect("made");
    fs::write(&secret, "YW4gb2xkIHNlY3JldCBvZiBvdXJz\n").expect("written");
    let listed = format!("secrets = {{ legacy = {:?} }}", format!("file:{}", secret.display()));
    deployment.configure("secrets = {}", &listed);
    let row = row("c93a5153dcb034982a663dde86cb4d87cc50d504c5447f3447aa3a813b8b7990", json!({})).to_string();
    let import = |mode: u32, of_systemd: bool| {
        fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).expect("its mode");
        let mut command = bulla(deployment.path());
        command.args(["keys", "import", "-", "--realm", "live", "--json"]);
        command.args(["--scheme", "hmac-sha256", "--hmac-key", "legacy"]).env_remove("CREDENTIALS_DIRECTORY");
        if of_systemd {
            command.env("CREDENTIALS_DIRECTORY", &folder);
        }
        finish(&mut command, &row)
    };
    // Its mask of an access-control list shows as the group's bits.
    for (mode, of_systemd) in [(0o444, true), (0o440, false)] {
        let refused = import(mode, of_systemd);
        assert!(refused.code == 2 && refused.err.contains("others may read it"), "{mode:o}: {}", refused.err);
    }
    assert_eq!(import(0o440, true).ok().json()["imported"], 1);
}

#[test]
fn an_imported_key_is_either_half_of_basic() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    // What neither Bearer nor X-API-Key could carry is good in Basic.
    const ODD: &str = "sk/a+b%2Fc=, \u{e9} ";
    let deployment = Deployment::new();
    import(&deployment, &[row(&sha256(KEY), json!({})), row(&sha256(ODD), json!({}))], &["--scheme", "sha256"]).ok();
    let server = Server::start(&deployment);
    let ask = |pair: String| {
        let basic = format!("Basic {}", STANDARD.encode(pair));
        server.data.request("GET", "/v1/authorize", &[("authorization", &basic)], "").status
    };
    for key in [KEY, ODD] {
        assert_eq!(
            (ask(format!("{key}:")), ask(format!("alice:{key}")), ask(format!("{key}:secret"))),
            (200, 200, 200)
        );
    }
    assert_eq!((ask(format!("{KEY}:{ODD}")), ask("alice:secret".to_owned())), (401, 401));
}

#[test]
fn a_rule_takes_back_imported_keys_and_expired_ones_are_not_taken() {
    let deployment = Deployment::new();
    let old = json!({"issued_at": 1_700_000_000});
    let (new, undated) = (json!({"issued_at": 1_730_000_000}), json!({}));
    let rows = [row(&sha256("old-key"), old), row(&sha256("new-key"), new), row(&sha256("undated"), undated)];
    import(&deployment, &rows, &["--scheme", "sha256"]).ok();
    let server = Server::start(&deployment);
    let active = |key: &str| verify(&server, key)["active"] == true;
    assert_eq!(["old-key", "new-key", "undated"].map(active), [true; 3]);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let reader = server.data.bearer(&deployment.admin_key);
    let iat =
        |key: &str| reader.request("POST", "/v1/introspect", &form, &format!("token={key}")).json().get("iat").cloned();
    assert_eq!((iat("new-key"), iat("undated")), (Some(json!(1_730_000_000)), None));
    let rule = json!({"app_id": APP, "issued_before": "2024-01-01T00:00:00Z"});
    let mut dry = rule.clone();
    dry["dry_run"] = json!(true);
    let counted = server.admin.post("/v1/revocations", &dry);
    let ruled = server.admin.post("/v1/revocations", &rule);
    assert_eq!((counted.status, ruled.status, &ruled.json()["keys_on_record"]), (200, 200, &json!(2)));
    assert_eq!(["old-key", "new-key", "undated"].map(active), [false, true, false]);
    // A key without a date is older than the rule, though it comes later, and stays so if its row comes again.
    for _ in 0..2 {
        import(&deployment, &[row(&sha256("later"), json!({}))], &["--scheme", "sha256"]).ok();
        assert_eq!(deployment.run_with(&["verify", "-"], "later").code, 1);
    }
    let expired =
        import(&deployment, &[row(&sha256("x"), json!({"expires_at": 1_700_000_000}))], &["--scheme", "sha256"]);
    assert_eq!((expired.code, &expired.json()["reasons"]), (1, &json!({"expired": 1})));
}

#[test]
fn a_dry_run_keeps_nothing_and_the_same_rows_again_change_nothing() {
    let deployment = Deployment::new();
    let rows: Vec<Value> = (0..50).map(|at| row(&sha256(&format!("key-{at}")), json!({}))).collect();
    let mut rows =
        [rows.clone(), vec![rows[7].clone(), json!({"app_id": APP}), json!({"app_id": "me", "hash": KEY})]].concat();
    let state = || {
        let keys = deployment.run(&["keys", "list", "--json"]).ok().out.clone();
        (
            keys,
            deployment.run(&["audit", "--json"]).ok().out.clone(),
            deployment.run(&["keys", "migrate", "--json"]).ok().out.clone(),
        )
    };
    let before = state();
    let dry = import(&deployment, &rows, &["--scheme", "sha256", "--dry-run"]);
    assert_eq!(state(), before);
    let report = deployment.file("refused.jsonl");
    let wet = import(&deployment, &rows, &["--scheme", "sha256", "--report", "refused.jsonl"]);
    let numbers =
        |ran: &Ran| ["rows", "imported", "unchanged", "refused"].map(|name| ran.json()[name].as_u64().expect(name));
    assert_eq!((numbers(&dry), dry.code), ([53, 50, 1, 2], 1));
    assert_eq!((numbers(&wet), wet.code), ([53, 50, 1, 2], 1));
    assert_eq!(wet.json()["reasons"], json!({"app_id": 1, "missing": 1}));
    let refused: Vec<Value> = std::fs::read_to_string(report)
        .expect("a report")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(refused.iter().map(|one| one["line"].clone()).collect::<Vec<_>>(), [52, 53]);
    assert_eq!(wet.json()["refusals"], json!(refused));
    assert!(wet.err.is_empty() && !wet.out.contains(KEY), "no bar where nobody looks, and no value: {}", wet.err);
    let imported = state();
    rows.truncate(50);
    let again = import(&deployment, &rows, &["--scheme", "sha256"]);
    assert_eq!((numbers(&again), again.code), ([50, 0, 50, 0], 0));
    assert_eq!((state().0, state().2), (imported.0, imported.2));
    let audit = deployment.run(&["audit", "--json"]).ok().json().to_string();
    assert_eq!(audit.matches("\"keys.import\"").count(), 2, "{audit}");
    let with = |hash: &str| vec![row(hash, json!({"public": "4f9a1c20"}))];
    let apart = ["--scheme", "bcrypt", "--prefix", "sk_live_", "--separator", "_"];
    import(&deployment, &with(BCRYPT), &apart).ok();
    let other = import(&deployment, &with("$2a$04$gDzFOyjCzpQBnbMMUPm8Neye.jvovpxbojLndJdmydm6fo1L2aO3q"), &apart);
    assert_eq!((other.code, &other.json()["reasons"]), (1, &json!({"other_hash": 1})));
}

#[test]
fn a_leaked_imported_key_is_revoked_by_its_text_and_one_is_rerolled_by_hand() {
    let deployment = Deployment::new();
    let apart = ["--scheme", "bcrypt", "--prefix", "sk_live_", "--separator", "_"];
    import(&deployment, &[row(BCRYPT, json!({"public": "4f9a1c20"}))], &apart).ok();
    import(&deployment, &[row(&sha256("other"), json!({}))], &["--scheme", "sha256"]).ok();
    let server = Server::start(&deployment);
    let id = verify(&server, KEY)["api_key_id"].clone();
    assert_eq!(deployment.run_with(&["revoke", "-"], "sk_live_4f9a1c20_9Zk3Qw7Lr5Tn2Vb8Xc6Md1Pg").code, 64);
    let revoked = deployment.run_with(&["revoke", "-", "--json"], KEY).ok().json();
    assert_eq!((&revoked["api_key_id"], &revoked["state"]), (&id, &json!("revoked")));
    server.within("the revocation", |server| verify(server, KEY) == json!({"active": false}));
    let id = verify(&server, "other")["api_key_id"].as_str().expect("an id").to_owned();
    let rerolled = server.admin.post(&format!("/v1/api-keys/{id}/reroll"), &json!({"grace": "0s"})).json();
    assert_eq!(rerolled["replaces"], json!(id));
    assert_eq!(verify(&server, "other"), json!({"active": false}));
    assert_eq!(verify(&server, rerolled["api_key"].as_str().expect("a key"))["active"], true);
    let migrated = deployment.run(&["keys", "migrate", "--json"]).ok().json()["realms"][0].clone();
    assert_eq!((&migrated["active"], &migrated["replaced"]), (&json!(0), &json!(1)));
}

#[test]
fn what_cannot_work_is_refused_before_a_row_is_read() {
    let deployment = Deployment::new();
    let refused = |realm: &str, arguments: &[&str]| {
        let ran = deployment.run_with(&[&["keys", "import", "-", "--realm", realm], arguments].concat(), "");
        // What the configuration refuses is no mistake in the arguments.
        let by_configuration =
            ran.err.contains("[realms.") || arguments.ends_with(&["--hmac-key", "x"]) && arguments[1] == "hmac-sha256";
        assert_eq!(ran.code, if by_configuration { 2 } else { 64 }, "{arguments:?}: {}{}", ran.out, ran.err);
        ran.err
    };
    assert!(refused("none", &["--scheme", "sha256"]).contains("[realms.none]"));
    assert!(refused("bulla", &["--scheme", "sha256"]).contains("[realms.bulla]"));
    deployment.configure("[realms.test]", "[realms.test]\nsecret = \"required\"");
    assert!(refused("test", &["--scheme", "sha256"]).contains("accept_imported"));
    assert!(refused("live", &["--scheme", "bcrypt"]).contains("--public-part"));
    assert!(refused("live", &["--scheme", "sha256-key-salt", "--separator", "_"]).contains("--salt-encoding"));
    assert!(refused("live", &["--scheme", "hmac-sha256"]).contains("--hmac-key"));
    assert!(refused("live", &["--scheme", "hmac-sha256", "--hmac-key", "x"]).contains("imported.secrets"));
    assert!(refused("live", &["--scheme", "sha256", "--hmac-key", "x"]).contains("--hmac-key"));
    assert!(refused("live", &["--scheme", "sha256", "--hashed", "secret"]).contains("--hashed"));
    assert!(
        refused("live", &["--scheme", "sha256-id-key-salt", "--prefix", "p", "--salt-encoding", "hex"])
            .contains("--prefix")
    );
    let csv = deployment.run_with(
        &["keys", "import", "-", "--realm", "live", "--scheme", "sha256", "--format", "csv"],
        "app_id,password\n",
    );
    assert!(csv.code == 2 && csv.err.contains("column 2"), "{}", csv.err);
}

#[test]
fn a_realm_that_accepts_none_rejects_what_was_imported_before() {
    let deployment = Deployment::new();
    import(&deployment, &[row(&sha256(KEY), json!({}))], &["--scheme", "sha256"]).ok();
    for policy in ["accept_imported = false", "secret = \"required\""] {
        let other = deployment.copy();
        assert_eq!(other.run_with(&["verify", "-"], KEY).code, 0);
        other.configure("[realms.live]", &format!("[realms.live]\n{policy}"));
        assert_eq!(other.run_with(&["verify", "-"], KEY).code, 1, "{policy}");
        assert_eq!(verify(&Server::start(&other), KEY), json!({"active": false}), "{policy}");
    }
}

#[test]
fn without_the_secret_of_its_keys_a_server_does_not_start() {
    let deployment = Deployment::new();
    let key = deployment.file("legacy.key");
    std::fs::write(&key, "YW4gb2xkIHNlY3JldCBvZiBvdXJz\n").expect("written");
    deployment.configure("secrets = {}", "secrets = { legacy = \"file:legacy.key\" }");
    let rows = [row(&sha256(KEY), json!({}))];
    let open = import(&deployment, &rows, &["--scheme", "hmac-sha256", "--hmac-key", "legacy"]);
    assert!(open.code == 2 && open.err.contains("chmod 600"), "{}", open.err);
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("private");
    import(&deployment, &rows, &["--scheme", "hmac-sha256", "--hmac-key", "legacy"]).ok();
    std::fs::remove_file(&key).expect("removed");
    let ran = deployment.run(&["serve", "--data-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    assert!(ran.code == 2 && ran.err.contains("legacy.key"), "{}", ran.err);
}

#[test]
fn a_flood_of_wrong_keys_costs_a_few_slow_hashes_and_shuts_nobody_out() {
    let deployment = Deployment::new();
    let apart = ["--scheme", "bcrypt", "--prefix", "sk_live_", "--separator", "_"];
    import(&deployment, &[row(BCRYPT, json!({"public": "4f9a1c20"}))], &apart).ok();
    let server = Server::start_with(
        &deployment,
        &[("BULLA_SECRET__WRONG_PER_MINUTE", "10"), ("BULLA_SECRET__CACHE_TTL", "10m")],
    );
    let checks = || server.metric("bulla_imported_slow_checks_total");
    assert_eq!((verify(&server, KEY)["active"].clone(), checks()), (json!(true), 1));
    let begun = Instant::now();
    let wrong = |number: usize| {
        let answer = server.data.post("/v1/verify", &json!({"api_key": format!("sk_live_4f9a1c20_{number}")}));
        match answer.status {
            200 => assert_eq!(answer.json(), json!({"active": false})),
            503 => assert_eq!(answer.problem(), "could-not-tell"),
            other => panic!("{other}"),
        }
        u64::from(answer.status == 200)
    };
    // All at the same time, and then one after the other.
    let judged: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                scope.spawn({
                    let wrong = &wrong;
                    move || (0..10).map(|at| wrong(10 * thread + at)).sum::<u64>()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("answered")).sum()
    });
    let judged = judged + (100..150).map(wrong).sum::<u64>();
    let allowed = 10 + begun.elapsed().as_secs() / 6 + 1;
    assert!(judged >= 10 && judged <= allowed, "{judged} of 130, and {allowed} were allowed");
    assert_eq!(checks(), 1 + judged);
    for _ in 0..20 {
        assert_eq!(verify(&server, KEY)["active"], true, "a key that was accepted before still is");
        let unknown = verify(&server, "sk_live_4f9a1c21_9Zk3Qw7Lr5Tn2Vb8Xc6Md1Pf");
        assert_eq!(unknown["active"], false, "and for a key that nobody has nothing is hashed");
    }
    assert_eq!(checks(), 1 + judged);
}

#[test]
fn no_imported_key_is_stored_or_logged() {
    let deployment = Deployment::new();
    let slow = "sk_live_4f9a1c20_9Zk3Qw7Lr5Tn2Vb8Xc6Md1Pf";
    let fast = "an-old-key-of-somebody";
    let apart = ["--scheme", "bcrypt", "--prefix", "sk_live_", "--separator", "_"];
    import(&deployment, &[row(BCRYPT, json!({"public": "4f9a1c20"}))], &apart).ok();
    import(&deployment, &[row(&sha256(fast), json!({}))], &["--scheme", "sha256"]).ok();
    deployment.configure("[realms.live]", "[realms.live]\nreplace_imported = true");
    let server = Server::start_with(&deployment, &[("BULLA_LOG__LEVEL", "trace")]);
    let wrong = "sk_live_4f9a1c20_9Zk3Qw7Lr5Tn2Vb8Xc6Md1Pg";
    let mut replacements = Vec::new();
    for key in [slow, fast, wrong] {
        for _ in 0..20 {
            let answer = server.data.post("/v1/verify", &json!({"api_key": key})).json();
            replacements.extend(answer["replacement"]["api_key"].as_str().map(str::to_owned));
            server.data.request("GET", "/v1/authorize", &[("x-api-key", key)], "");
            server.data.post("/v1/verify", &json!({"api_key": key, "scopes": ["x"]}));
        }
    }
    assert_eq!(replacements.len(), 2);
    let metrics = server.metrics.get("/metrics").body;
    let mut places = vec![("metrics".to_owned(), metrics.into_bytes()), ("log".to_owned(), server.stop().into_bytes())];
    for entry in std::fs::read_dir(deployment.path()).expect("the folder") {
        let path = entry.expect("an entry").path();
        places.push((path.display().to_string(), std::fs::read(&path).expect("its content")));
    }
    let replaced = replacements.iter().map(|key| &key[key.rfind('_').expect("a realm") + 23..]);
    for secret in [&slow[17..], &wrong[17..], fast].into_iter().chain(replaced) {
        for (name, content) in &places {
            assert!(!content.windows(secret.len()).any(|window| window == secret.as_bytes()), "{name} holds a key");
        }
    }
}

#[test]
fn a_report_never_overwrites_what_is_imported() {
    let deployment = Deployment::new();
    let rows = format!("{}\n", row(&sha256(KEY), json!({})));
    let (file, keys) = (deployment.file("rows.jsonl"), deployment.file("tried.txt"));
    std::fs::write(&file, &rows).expect("written");
    std::fs::write(&keys, KEY).expect("written");
    std::fs::hard_link(&file, deployment.file("linked.jsonl")).expect("linked");
    std::os::unix::fs::symlink("rows.jsonl", deployment.file("symlink.jsonl")).expect("linked");
    for report in ["rows.jsonl", "linked.jsonl", "symlink.jsonl", "tried.txt"] {
        let import = ["keys", "import", "rows.jsonl", "--realm", "live", "--scheme", "sha256", "--try", "tried.txt"];
        let ran = deployment.run(&[&import[..], &["--report", report]].concat());
        assert!(ran.code == 64 && ran.err.contains("the report would overwrite it"), "{report}: {}", ran.err);
    }
    let read = |path| std::fs::read_to_string(path).expect("there");
    assert_eq!((read(&file).as_str(), read(&keys).as_str()), (rows.as_str(), KEY));
    let import = ["keys", "import", "rows.jsonl", "--realm", "live", "--scheme", "sha256", "--report", "report.jsonl"];
    assert_eq!([(); 2].map(|()| deployment.run(&import).code), [0, 0], "an earlier report is overwritten");
}
