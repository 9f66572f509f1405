//! One key in two sets of imported keys, and what of a bcrypt key counts.

use serde_json::{Value, json};

use crate::support::{
    deployment::Deployment,
    http::Answer,
    imported::{KEY, import, row, sha256, verify},
    server::Server,
};

/// The public part of `KEY`, and how it is found.
const PUBLIC: [&str; 4] = ["--prefix", "sk_live_", "--separator", "_"];

/// HMAC-SHA-256 of `KEY` under what the file's text encodes.
const HMAC: &str = "c93a5153dcb034982a663dde86cb4d87cc50d504c5447f3447aa3a813b8b7990";
/// scrypt of `KEY`, with one salt for all rows: only a slow digest finds it.
const SCRYPT: &str = "a78ba1b9a69fffdcb2d0277cafb0e92a0ef1270687af0589310bcc5e8075f021";
const SLOW: [&str; 6] = ["--scheme", "scrypt", "--cost", "N=1024,r=8,p=1", "--salt", "allrows"];

fn bcrypt(text: &str) -> String {
    bcrypt::hash(text, 4).expect("a hash")
}

fn active(server: &Server, key: &str) -> bool {
    verify(server, key)["active"] == true
}

/// `KEY` in two sets: found by its digest in both.
fn twice(deployment: &Deployment) {
    let first = import(deployment, &[row(&sha256(KEY), json!({}))], &["--scheme", "sha256", "--prefix", "sk_live_"]);
    assert_eq!(first.ok().json()["in_other_sets"], 0);
    let again = import(deployment, &[row(&sha256(KEY), json!({}))], &["--scheme", "sha256"]);
    let summary = again.ok().json();
    assert_eq!((&summary["imported"], &summary["in_other_sets"]), (&json!(1), &json!(1)), "it is told");
}

fn id(value: &Value) -> String {
    value.as_str().expect("an id").to_owned()
}

fn ids(server: &Server) -> Vec<String> {
    let listed = server.admin.get("/v1/api-keys?realm=live").json();
    let keys = listed["api_keys"].as_array().expect("keys").iter();
    keys.map(|key| id(&key["api_key_id"])).collect()
}

#[test]
fn a_rejection_in_one_set_beats_an_acceptance_in_another() {
    let deployment = Deployment::new();
    twice(&deployment);
    let with_bcrypt = row(&bcrypt(KEY), json!({"public": "4f9a1c20"}));
    import(&deployment, &[with_bcrypt], &[&PUBLIC[..], &["--scheme", "bcrypt"]].concat()).ok();
    let server = Server::start(&deployment);
    assert!(active(&server, KEY));
    let (ids, command) = (ids(&server), || deployment.run_with(&["verify", "-"], KEY).code);
    assert_eq!((ids.len(), command()), (3, 0));
    for id in &ids {
        let call = |action: &str| server.admin.post(&format!("/v1/api-keys/{id}/{action}"), &json!({})).status;
        assert_eq!((call("suspend"), active(&server, KEY), command()), (200, false, 1), "{id}");
        assert_eq!(server.data.request("GET", "/v1/authorize", &[("x-api-key", KEY)], "").status, 401);
        assert_eq!((call("resume"), active(&server, KEY), command()), (200, true, 0), "{id}");
    }
    // The one that needs a slow hash: once, and then it is remembered.
    server.admin.request("DELETE", &format!("/v1/api-keys/{}", ids[2]), &[], "");
    let checks = || server.metric("bulla_imported_slow_checks_total");
    let before = checks();
    assert!((0..30).all(|_| !active(&server, KEY)));
    assert!(checks() <= before + 1, "{} {before}", checks());
    assert_eq!(server.metric("bulla_verify_could_not_tell_total"), 0);
}

#[test]
fn an_expiry_in_one_set_counts_in_all() {
    let deployment = Deployment::new();
    twice(&deployment);
    let first = "UPDATE api_keys SET expires_at = 1790000000 WHERE seq = (SELECT min(seq) FROM imported_keys)";
    assert_eq!(deployment.store().change(first), 1);
    let server = Server::start(&deployment);
    assert_eq!((active(&server, KEY), deployment.run_with(&["verify", "-"], KEY).code), (false, 1));
}

#[test]
fn another_key_with_the_same_public_part_is_good_however_often_it_comes() {
    let deployment = Deployment::new();
    let other = "sk_live_4f9a1c20_another0Secret0Of0Its0Own";
    import(&deployment, &[row(&sha256(KEY), json!({}))], &["--scheme", "sha256"]).ok();
    let with_bcrypt = row(&bcrypt(other), json!({"public": "4f9a1c20"}));
    import(&deployment, &[with_bcrypt], &[&PUBLIC[..], &["--scheme", "bcrypt"]].concat()).ok();
    let server = Server::start(&deployment);
    assert!(active(&server, KEY) && active(&server, other));
    deployment.run_with(&["revoke", "-"], other).ok();
    server.within("the revocation", |server| !active(server, other));
    let before = server.metric("bulla_imported_slow_checks_total");
    assert!((0..50).all(|_| active(&server, KEY)));
    assert!(
        server.metric("bulla_imported_slow_checks_total") <= before + 1,
        "it is remembered that it is not that one"
    );
}

#[test]
fn a_key_that_is_ended_ends_in_every_set() {
    let deployment = Deployment::new();
    twice(&deployment);
    let server = Server::start(&deployment);
    let revoke = || deployment.run_with(&["revoke", "-", "--reason", "leaked", "--json"], KEY).ok().json();
    let taken = revoke();
    let (all, also) = (ids(&server), taken["also_revoked"].as_array().expect("the other id").clone());
    assert_eq!((taken["state"].as_str(), &taken["changed"], also.len()), (Some("revoked"), &json!(true), 1));
    let state = |id: &str| server.admin.get(&format!("/v1/api-keys/{id}")).json()["state"].clone();
    assert!(all.iter().all(|id| state(id) == "revoked"));
    server.within("the revocation", |server| !active(server, KEY));
    assert_eq!(revoke()["changed"], false);

    let deployment = Deployment::new();
    twice(&deployment);
    let server = Server::start(&deployment);
    let end = || server.data.request("POST", "/v1/self-revoke", &[("x-api-key", KEY)], "");
    // A suspended key is ended, too, and a revoked one again.
    server.admin.post(&format!("/v1/api-keys/{}/suspend", ids(&server)[0]), &json!({}));
    let ended = end();
    assert_eq!((ended.status, &ended.json()["changed"], active(&server, KEY)), (200, &json!(true), false));
    let state = |id: &str| server.admin.get(&format!("/v1/api-keys/{id}")).json()["state"].clone();
    assert!(ids(&server).iter().all(|id| state(id) == "revoked"));
    let again = end();
    assert_eq!((again.status, &again.json()["changed"]), (200, &json!(false)));
    let wrong = server.data.request("POST", "/v1/self-revoke", &[("x-api-key", &KEY[1..])], "");
    assert_eq!(wrong.status, 401);

    // One whose hash is slow, too.
    let deployment = Deployment::new();
    let with_bcrypt = row(&bcrypt(KEY), json!({"public": "4f9a1c20"}));
    import(&deployment, &[with_bcrypt], &[&PUBLIC[..], &["--scheme", "bcrypt"]].concat()).ok();
    let server = Server::start(&deployment);
    server.admin.post(&format!("/v1/api-keys/{}/suspend", ids(&server)[0]), &json!({}));
    for changed in [true, false] {
        let ended = server.data.request("POST", "/v1/self-revoke", &[("x-api-key", KEY)], "");
        assert_eq!((ended.status, &ended.json()["changed"]), (200, &json!(changed)));
    }
}

#[test]
fn a_key_in_several_sets_is_suspended_in_all_and_otherwise_named_by_its_ids() {
    let deployment = Deployment::new();
    twice(&deployment);
    let file = deployment.file("rows.jsonl");
    std::fs::write(&file, row(&sha256(KEY), json!({})).to_string()).expect("written");
    let file = file.to_str().expect("a path");
    deployment.run(&["keys", "import", file, "--realm", "test", "--scheme", "sha256"]).ok();
    let server = Server::start(&deployment);
    let in_test = |server: &Server| {
        server.data.post("/v1/verify", &json!({"api_key": KEY, "realms": ["test"]})).json()["active"] == true
    };
    assert!(active(&server, KEY) && in_test(&server));
    let suspend = || deployment.run_with(&["keys", "suspend", "-", "--json"], KEY).ok().json();
    let suspended = suspend();
    assert_eq!((&suspended["state"], &suspended["changed"]), (&json!("suspended"), &json!(true)), "{suspended}");
    let also = suspended["also_suspended"].as_array().expect("the other ids").clone();
    let all: Vec<String> = [&suspended["api_key_id"]].into_iter().chain(&also).map(id).collect();
    assert_eq!(all.len(), 3, "{suspended}");
    server.within("the suspension", |server| !active(server, KEY) && !in_test(server));
    assert_eq!(suspend()["changed"], false);
    for command in ["resume", "reroll", "show"] {
        let refused = deployment.run_with(&["keys", command, "-"], KEY);
        assert!(refused.code == 64 && all.iter().all(|id| refused.err.contains(id)), "{command}: {}", refused.err);
        assert!(!refused.err.contains(KEY), "{command}: {}", refused.err);
    }
    for id in &all {
        deployment.run(&["keys", "resume", id]).ok();
    }
    server.within("the end of the suspension", |server| active(server, KEY) && in_test(server));
    // One that is revoked for good keeps no other from being suspended.
    deployment.run(&["revoke", &all[0]]).ok();
    let again = suspend();
    assert_eq!((&again["state"], again["also_suspended"].as_array().map(Vec::len)), (&json!("suspended"), Some(1)));
    deployment.run_with(&["revoke", "-"], KEY).ok();
    assert_ne!(deployment.run_with(&["keys", "suspend", "-"], KEY).code, 0, "all are revoked");
}

#[test]
fn a_secret_that_cannot_be_read_stops_no_other_set() {
    // Two files hold the secret that `HMAC` is of.
    const SECRET: &str = "YW4gb2xkIHNlY3JldCBvZiBvdXJz\n";
    let deployment = Deployment::new();
    let secret = deployment.secret_file("legacy.key", SECRET);
    let elsewhere = deployment.secret_file("elsewhere.key", SECRET);
    deployment.configure("secrets = {}", "secrets = { legacy = \"file:legacy.key\", other = \"file:elsewhere.key\" }");
    let second = deployment.file("second.toml");
    std::fs::copy(deployment.file("bulla.toml"), &second).expect("a copy");
    deployment.configure("file:elsewhere.key", "file:other.key");
    import(&deployment, &[row(HMAC, json!({}))], &["--scheme", "hmac-sha256", "--hmac-key", "legacy"]).ok();
    let sha = |key: &str, more: Value, arguments: &[&str]| {
        import(&deployment, &[row(&sha256(key), more)], &[&["--scheme", "sha256"], arguments].concat()).ok();
    };
    sha("one", json!({}), &[]);
    sha("three", json!({}), &["--prefix", "th"]);
    let server = Server::start(&deployment);
    let scopes = |server: &Server| verify(server, "one")["scopes"].clone();
    assert!(active(&server, KEY) && scopes(&server) == json!([]));
    // Corrections and removals are read with a new table. The secret stays the one that was read.
    std::fs::rename(&secret, deployment.file("legacy.gone")).expect("renamed");
    sha("one", json!({"scopes": ["write"]}), &["--replace"]);
    server.within("the correction", |server| scopes(server) == json!(["write"]));
    assert!(active(&server, KEY));
    deployment.run(&["keys", "imports", "remove", "3", "--yes"]).ok();
    server.within("the removal", |server| !active(server, "three"));
    assert!(active(&server, KEY));
    // Keys of a set whose secret is not here, and those of a set that comes behind it.
    let rows = deployment.file("rows.jsonl");
    std::fs::write(&rows, row(HMAC, json!({})).to_string()).expect("written");
    let rows = rows.to_str().expect("a path");
    let of_test = ["keys", "import", rows, "--realm", "test", "--scheme", "hmac-sha256", "--hmac-key", "other"];
    deployment.run(&[&of_test[..], &["--config", second.to_str().expect("a path")]].concat()).ok();
    sha("later", json!({}), &["--prefix", "la"]);
    server.within("the next set", |server| active(server, "later"));
    let in_test = |server: &Server| {
        server.data.post("/v1/verify", &json!({"api_key": KEY, "realms": ["test"]})).json()["active"] == true
    };
    let lacks = |server: &Server| server.data.get("/readyz").body.contains("imported keys");
    server.within("the degraded state", lacks);
    assert!(!in_test(&server) && active(&server, KEY));
    std::fs::rename(elsewhere, deployment.file("other.key")).expect("renamed");
    server.within("the secret", in_test);
    server.within("the end of the degraded state", |server| !lacks(server));
}

#[test]
fn a_set_that_only_a_slow_digest_searches_rejects_what_another_one_accepts() {
    let deployment = Deployment::new();
    import(&deployment, &[row(SCRYPT, json!({}))], &SLOW).ok();
    let before = deployment.copy();
    let told = import(&deployment, &[row(&sha256(KEY), json!({}))], &["--scheme", "sha256"]).ok().json();
    assert_eq!((&told["in_other_sets"], &told["uncompared_sets"]), (&json!(0), &json!([1])), "{told}");
    assert!(told["warnings"].to_string().contains("cannot be compared"), "{told}");
    let server = Server::start(&deployment);
    let (ids, command) = (ids(&server), || deployment.run_with(&["verify", "-"], KEY).code);
    assert_eq!((ids.len(), active(&server, KEY), command()), (2, true, 0));
    for id in &ids {
        let call = |action: &str| server.admin.post(&format!("/v1/api-keys/{id}/{action}"), &json!({})).status;
        assert_eq!((call("suspend"), active(&server, KEY), command()), (200, false, 1), "{id}");
        assert_eq!(server.data.request("GET", "/v1/authorize", &[("x-api-key", KEY)], "").status, 401);
        assert_eq!((call("resume"), active(&server, KEY), command()), (200, true, 0), "{id}");
    }
    assert_eq!(server.metric("bulla_imported_slow_checks_total"), 1, "the digest is remembered");
    let ended = server.data.request("POST", "/v1/self-revoke", &[("x-api-key", KEY)], "");
    assert_eq!((ended.status, ended.json()["also_revoked"].as_array().map(Vec::len)), (200, Some(1)));
    let state = |id: &str| server.admin.get(&format!("/v1/api-keys/{id}")).json()["state"].clone();
    assert!(ids.iter().all(|id| state(id) == "revoked"));

    // Revoked before its table comes in again: no import brings it back to life.
    before.run_with(&["revoke", "-"], KEY).ok();
    import(&before, &[row(&sha256(KEY), json!({}))], &["--scheme", "sha256"]).ok();
    assert_eq!(before.run_with(&["verify", "-"], KEY).code, 1);
    assert!(!active(&Server::start(&before), KEY));
}

#[test]
fn a_row_that_shares_the_public_part_or_is_of_another_realm_hides_no_key() {
    let deployment = Deployment::new();
    let shared = ["--scheme", "sha256", "--prefix", "sk_live_", "--public-part", "8", "--shared-public"];
    import(&deployment, &[row(&sha256("another key"), json!({"public": "4f9a1c20"}))], &shared).ok();
    import(&deployment, &[row(SCRYPT, json!({}))], &SLOW).ok();
    let server = Server::start(&deployment);
    assert_eq!((active(&server, KEY), deployment.run_with(&["verify", "-"], KEY).code), (true, 0));
    drop(server);

    let deployment = Deployment::new();
    import(&deployment, &[row(&sha256(KEY), json!({}))], &["--scheme", "sha256"]).ok();
    let into_test = [&["keys", "import", "-", "--realm", "test", "--json"], &SLOW[..]].concat();
    deployment.run_with(&into_test, &format!("{}\n", row(SCRYPT, json!({})))).ok();
    let server = Server::start(&deployment);
    for realm in ["live", "test"] {
        let answer = server.data.post("/v1/verify", &json!({"api_key": KEY, "realms": [realm]})).json();
        assert_eq!(answer["active"], true, "{realm}");
        let id = answer["api_key_id"].as_str().expect("an id");
        assert!(id.starts_with(&format!("{realm}_")), "{id}");
    }
}

#[test]
fn a_key_that_may_live_on_in_another_set_is_revoked_where_it_was_found_and_not_called_revoked() {
    let deployment = Deployment::new();
    let revoker = deployment.issue_text("bulla", &["--scope", "revoke"]);
    import(&deployment, &[row(&sha256(KEY), json!({}))], &["--scheme", "sha256"]).ok();
    let with_bcrypt = row(&bcrypt(KEY), json!({"public": "4f9a1c20"}));
    import(&deployment, &[with_bcrypt], &[&PUBLIC[..], &["--scheme", "bcrypt"]].concat()).ok();
    let one = [("BULLA_SECRET__WRONG_PER_MINUTE", "1")];
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let revoke = |server: &Server| -> Answer {
        let body = format!("token={KEY}&client_id=x&client_secret={revoker}");
        server.data.request("POST", "/v1/revoke", &form, &body)
    };
    let end = |server: &Server| server.data.request("POST", "/v1/self-revoke", &[("x-api-key", KEY)], "");
    for by_client in [true, false] {
        let deployment = deployment.copy();
        let server = Server::start_with(&deployment, &one);
        let ask = |server: &Server| if by_client { revoke(server) } else { end(server) };
        let ids = ids(&server);
        let revoked = |server: &Server| {
            let state = |id: &String| server.admin.get(&format!("/v1/api-keys/{id}")).json()["state"].clone();
            ids.iter().filter(|id| state(id) == "revoked").count()
        };
        // Somebody else uses up the attempts at the public part.
        let wrong = |tail: u32| {
            let text = format!("sk_live_4f9a1c20_{tail}");
            server.data.post("/v1/verify", &json!({"api_key": text})).status
        };
        assert!((0..20).any(|tail| wrong(tail) == 503));
        let answer = ask(&server);
        assert_eq!((answer.status, answer.problem().as_str()), (503, "could-not-tell"), "{}", answer.body);
        assert_eq!((ids.len(), revoked(&server)), (2, 1), "what was found is revoked");
        drop(server);
        let server = Server::start(&deployment);
        assert_eq!((ask(&server).status, revoked(&server)), (200, 2), "and the rest when it is asked again");
    }
}

#[test]
fn the_command_ends_what_it_finds_and_fails_where_the_key_may_be_another_one() {
    let deployment = Deployment::new();
    let secret = deployment.secret_file("legacy.key", "YW4gb2xkIHNlY3JldCBvZiBvdXJz\n");
    deployment.configure("secrets = {}", "secrets = { legacy = \"file:legacy.key\" }");
    import(&deployment, &[row(HMAC, json!({}))], &["--scheme", "hmac-sha256", "--hmac-key", "legacy"]).ok();
    import(&deployment, &[row(&sha256(KEY), json!({}))], &["--scheme", "sha256"]).ok();
    let away = deployment.file("legacy.gone");
    std::fs::rename(&secret, &away).expect("renamed");
    let with_key = |arguments: &[&str]| deployment.run_with(arguments, KEY);
    for (arguments, state) in
        [(&["keys", "suspend", "-", "--json"][..], "suspended"), (&["revoke", "-", "--json"], "revoked")]
    {
        let ran = with_key(arguments);
        assert_eq!((ran.code, ran.json()["state"].as_str()), (2, Some(state)), "{}", ran.err);
        let told = format!("only {} is {state}", id(&ran.json()["api_key_id"]));
        for part in [&told, "may still be accepted", "legacy.key"] {
            assert!(ran.err.contains(part), "{part}: {}", ran.err);
        }
        assert!(!ran.err.contains(KEY), "{}", ran.err);
    }
    let shown = with_key(&["keys", "show", "-"]);
    assert!(shown.code == 2 && shown.err.contains("name the id"), "{}", shown.err);
    let other = deployment.run_with(&["revoke", "-"], "sk_live_another");
    assert!(other.code == 2 && other.err.contains("nothing was done: this may be a key"), "{}", other.err);
    let listed = || deployment.run(&["keys", "list", "--realm", "live", "--json"]).ok().out.clone();
    assert!(listed().contains("\"revoked\"") && listed().contains("\"active\""), "{}", listed());
    std::fs::rename(&away, &secret).expect("renamed");
    with_key(&["revoke", "-"]).ok();
    assert!(!listed().contains("\"active\""), "{}", listed());
}

#[test]
fn bcrypt_hashes_that_see_too_little_of_the_secret_are_good_for_nothing() {
    let deployment = Deployment::new();
    let public = "a".repeat(64);
    let (key, other) = (format!("sk_live_{public}_the-secret-itself"), format!("sk_live_{public}_anything-at-all"));
    let hash = bcrypt(&key[..72]);
    let arguments = [&PUBLIC[..], &["--scheme", "bcrypt"]].concat();
    let refused = import(&deployment, &[row(&hash, json!({"public": public}))], &arguments);
    assert_eq!((refused.code, &refused.json()["reasons"]), (1, &json!({"bcrypt_reach": 1})));
    // One that was taken in before this was refused.
    let secret = [&arguments[..], &["--hashed", "secret"]].concat();
    import(&deployment, &[row(&hash, json!({"public": public}))], &secret).ok();
    let unused = "DELETE FROM imported_sets WHERE set_id NOT IN (SELECT set_id FROM imported_keys)";
    deployment.store().run(unused);
    let whole = "UPDATE imported_sets SET rule = replace(rule, '\"hashed\":\"secret\"', '\"hashed\":\"whole\"')";
    assert_eq!(deployment.store().change(whole), 1);
    let server = Server::start(&deployment);
    assert!(!active(&server, &key) && !active(&server, &other));
    let told = |server: &Server| server.data.get("/readyz").json()["degraded"][0]["what"].clone();
    server.until("it is told", |server| told(server) == "imported rows");
    assert_eq!(server.metric("bulla_store_rows_damaged{table=\"imported_keys\"}"), 1);
}

#[test]
fn texts_that_differ_where_bcrypt_does_not_look_cost_one_hash() {
    let deployment = Deployment::new();
    let key = format!("{KEY}{}", "x".repeat(60));
    let imported = row(&bcrypt(&key[..72]), json!({"public": "4f9a1c20"}));
    import(&deployment, &[imported], &[&PUBLIC[..], &["--scheme", "bcrypt"]].concat()).ok();
    let server = Server::start(&deployment);
    for tail in 0..100 {
        assert!(active(&server, &format!("{}{tail}", &key[..80])), "as the old system took it");
    }
    assert_eq!(server.metric("bulla_imported_slow_checks_total"), 1);
    let wrong = |at: usize| format!("{}Y{}", &key[..at], &key[at + 1..]);
    assert!(!active(&server, &wrong(71)) && active(&server, &wrong(72)));
}

#[test]
fn a_damaged_row_of_an_imported_key_stops_no_other() {
    let deployment = Deployment::new();
    let rows: Vec<Value> = ["one", "two", "three"].iter().map(|key| row(&sha256(key), json!({}))).collect();
    import(&deployment, &rows, &["--scheme", "sha256"]).ok();
    let damage = "UPDATE api_keys SET app_id = 'nobody' WHERE seq = (SELECT seq FROM imported_keys ORDER BY seq LIMIT 1 OFFSET 1)";
    assert_eq!(deployment.store().change(damage), 1);
    let server = Server::start(&deployment);
    assert_eq!(["one", "two", "three"].iter().filter(|key| active(&server, key)).count(), 2);
    server.until("it is told", |server| server.data.get("/readyz").json()["degraded"][0]["what"] == "imported rows");
}
