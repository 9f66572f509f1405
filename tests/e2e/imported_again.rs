//! Tables that are imported again: corrected, in another order, with another flag; and rows that a first look at a
//! table misses.

use serde_json::{Value, json};

use crate::support::{
    command::Ran,
    deployment::{APP, Deployment},
    imported::{KEY, import, row, sha256, verify},
    server::Server,
};

const OTHER_APP: &str = "7f2b8c1e-9a7d-4d52-8a55-0123456789ab";

fn numbers(ran: &Ran) -> [u64; 4] {
    ["imported", "unchanged", "corrected", "refused"].map(|name| ran.json()[name].as_u64().expect(name))
}

#[test]
fn a_row_that_differs_is_listed_and_replaced_on_demand() {
    let deployment = Deployment::new();
    let plain = ["--scheme", "sha256"];
    let of = |more: Value| vec![row(&sha256(KEY), more)];
    import(&deployment, &of(json!({"scopes": ["admin"]})), &plain).ok();
    let server = Server::start(&deployment);
    let corrected = json!({"app_id": OTHER_APP, "scopes": ["read"], "expires_at": "2100-01-01T00:00:00Z"});
    let listed = import(&deployment, &of(corrected.clone()), &plain);
    assert_eq!((listed.code, numbers(&listed)), (1, [0, 0, 0, 1]), "{}", listed.out);
    let detail = listed.json()["refusals"][0]["detail"].as_str().expect("a detail").to_owned();
    assert!(detail.contains("app_id, expires_at, scopes") && detail.contains("--replace"), "{detail}");
    assert_eq!((&verify(&server, KEY)["app_id"], &verify(&server, KEY)["scopes"]), (&json!(APP), &json!(["admin"])));
    let dry = import(&deployment, &of(corrected.clone()), &[&plain[..], &["--replace", "--dry-run"]].concat());
    assert_eq!(numbers(&dry), [0, 0, 1, 0]);
    let replaced = import(&deployment, &of(corrected.clone()), &[&plain[..], &["--replace"]].concat());
    assert_eq!((replaced.code, numbers(&replaced)), (0, [0, 0, 1, 0]), "{}", replaced.out);
    server.until("the correction", |server| verify(server, KEY)["app_id"] == OTHER_APP);
    let active = verify(&server, KEY);
    assert_eq!((&active["scopes"], &active["expires_at"]), (&json!(["read"]), &json!("2100-01-01T00:00:00Z")));
    assert_eq!(numbers(&import(&deployment, &of(corrected), &plain)), [0, 1, 0, 0]);
    let audit = deployment.run(&["audit", "--json"]).ok().out.clone();
    assert!(audit.contains("keys.import_replace") && audit.contains("\"expires_at\""), "{audit}");
    // Two apps with one hash in one file.
    let twice = [row(&sha256("two"), json!({})), row(&sha256("two"), json!({"app_id": OTHER_APP}))];
    for more in [&["--dry-run"][..], &[]] {
        let ran = import(&deployment, &twice, &[&plain[..], more].concat());
        assert_eq!((ran.code, numbers(&ran)), (1, [1, 0, 0, 1]), "{}", ran.out);
    }
}

#[test]
fn one_row_of_a_file_does_not_correct_another() {
    let deployment = Deployment::new();
    let app =
        || deployment.run(&["keys", "list", "--realm", "live", "--json"]).ok().json()["api_keys"][0]["app_id"].clone();
    let run = |rows: &[Value], more: &[&str]| {
        import(&deployment, rows, &[&["--scheme", "sha256", "--replace"], more].concat())
    };
    let (one, other) = (row(&sha256(KEY), json!({})), row(&sha256(KEY), json!({"app_id": OTHER_APP})));
    for dry in [&["--dry-run"][..], &[]] {
        let ran = run(&[one.clone(), other.clone()], dry);
        assert_eq!((ran.code, numbers(&ran)), (1, [1, 0, 0, 1]), "{}", ran.out);
        assert_eq!(ran.json()["reasons"], json!({"differs": 1}));
    }
    assert_eq!(app(), APP);
    // The first row corrects what is on record, whatever follows.
    for dry in [&["--dry-run"][..], &[]] {
        let ran = run(&[other.clone(), one.clone(), other.clone()], dry);
        assert_eq!((ran.code, numbers(&ran)), (1, [0, 1, 1, 1]), "{}", ran.out);
    }
    assert_eq!(app(), OTHER_APP);
    let again = run(&[other.clone(), one, other.clone()], &[]);
    assert_eq!((again.code, numbers(&again)), (1, [0, 2, 0, 1]), "{}", again.out);
    // A later row ends the key all the same.
    let ended = row(&sha256(KEY), json!({"app_id": OTHER_APP, "revoked": true}));
    let ran = run(&[other, ended], &[]);
    assert_eq!((ran.code, numbers(&ran)), (0, [0, 1, 1, 0]), "{}", ran.out);
    let listed = deployment.run(&["keys", "list", "--realm", "live", "--json"]).ok().json();
    assert_eq!(listed["api_keys"][0]["state"], "revoked", "{listed}");
}

#[test]
fn a_hash_that_the_old_system_made_anew_is_corrected() {
    let deployment = Deployment::new();
    let apart = ["--scheme", "sha256-salt-key", "--prefix", "sk_live_", "--separator", "_"];
    let of = |salt: &str| vec![row(&sha256(&format!("{salt}{KEY}")), json!({"public": "4f9a1c20", "salt": salt}))];
    let text = [&apart[..], &["--salt-encoding", "text"]].concat();
    // The salt in the wrong encoding: the key is refused, and the row can be corrected.
    import(&deployment, &of("0e9c2dcb9a511cd7"), &[&apart[..], &["--salt-encoding", "hex"]].concat()).ok();
    let server = Server::start(&deployment);
    assert_eq!(verify(&server, KEY), json!({"active": false}));
    let refused = import(&deployment, &of("0e9c2dcb9a511cd7"), &text);
    assert_eq!((refused.code, &refused.json()["reasons"]), (1, &json!({"other_hash": 1})));
    import(&deployment, &of("0e9c2dcb9a511cd7"), &[&text[..], &["--replace"]].concat()).ok();
    server.until("the correction", |server| verify(server, KEY)["active"] == true);
    let id = verify(&server, KEY)["api_key_id"].clone();
    import(&deployment, &of("another salt"), &[&text[..], &["--replace"]].concat()).ok();
    server.until("the new hash", |server| verify(server, KEY)["active"] == true);
    assert_eq!(verify(&server, KEY)["api_key_id"], id, "the same key");
}

#[test]
fn a_key_that_was_found_right_is_wrong_once_its_slow_hash_is_corrected() {
    const NEW: &str = "sk_live_4f9a1c20_another-secret-of-this-key";
    let deployment = Deployment::new();
    // Until the correction is read, each look is a wrong attempt.
    deployment.configure("wrong_per_minute = 20", "wrong_per_minute = 1000000");
    let bcrypt = ["--scheme", "bcrypt", "--prefix", "sk_live_", "--separator", "_"];
    let of = |key: &str| [row(&bcrypt::hash(key, 4).expect("a hash"), json!({"public": "4f9a1c20"}))];
    import(&deployment, &of(KEY), &bcrypt).ok();
    let server = Server::start(&deployment);
    assert_eq!((&verify(&server, KEY)["active"], verify(&server, NEW)), (&json!(true), json!({"active": false})));
    import(&deployment, &of(NEW), &[&bcrypt[..], &["--replace"]].concat()).ok();
    server.until("the new hash", |server| verify(server, NEW)["active"] == true);
    assert_eq!(verify(&server, KEY), json!({"active": false}), "whatever is remembered of the old hash");
    // And back again: what was found wrong by the other hash is right.
    import(&deployment, &of(KEY), &[&bcrypt[..], &["--replace"]].concat()).ok();
    server.until("the old hash", |server| verify(server, KEY)["active"] == true);
    assert_eq!(verify(&server, NEW), json!({"active": false}));
}

#[test]
fn a_set_that_nobody_used_is_removed_and_one_that_is_used_stays() {
    let deployment = Deployment::new();
    let rows = [row(&sha256("one"), json!({})), row(&sha256("two"), json!({}))];
    import(&deployment, &rows, &["--scheme", "sha256", "--prefix", "on"]).ok();
    import(&deployment, &rows, &["--scheme", "sha256"]).ok();
    let sets = || deployment.run(&["keys", "imports", "--json"]).ok().json()["sets"].as_array().expect("sets").clone();
    assert_eq!(sets().len(), 2);
    let shown = deployment.run(&["keys", "imports", "show", "1", "--json"]).ok().json();
    assert_eq!((&shown["layout"]["prefix"], &shown["keys"]), (&json!("on"), &json!(2)));
    let server = Server::start(&deployment);
    assert_eq!(verify(&server, "two")["active"], true);
    let asked = deployment.run(&["keys", "imports", "remove", "1"]);
    assert!(asked.code == 64 && asked.err.contains("first used within the last 1m"), "it asks: {}", asked.err);
    let removed = deployment.run(&["keys", "imports", "remove", "1", "--yes", "--json"]).ok().json();
    assert_eq!(removed, json!({"set": 1, "removed": 2, "kept": 0}));
    assert_eq!(sets().len(), 1);
    assert_eq!(deployment.run(&["keys", "imports", "remove", "1", "--yes"]).code, 2, "there is none");
    // In both sets a revocation in one of them would have ended the key.
    assert_eq!(verify(&server, "one")["active"], true);
    // It writes the uses when it stops.
    server.stop();
    let refused = deployment.run(&["keys", "imports", "remove", "2", "--yes"]);
    assert!(refused.code != 0 && refused.err.contains("used"), "{}", refused.err);
    assert!(deployment.run(&["audit", "--json"]).ok().out.contains("keys.import_remove"));
    assert_eq!(
        numbers(&import(&deployment, &rows, &["--scheme", "sha256", "--prefix", "on"])),
        [2, 0, 0, 0],
        "as it was"
    );
}

#[test]
fn a_set_whose_keys_share_public_parts_is_removed_and_imported_again() {
    let deployment = Deployment::new();
    let shared = ["--scheme", "sha256-key-salt", "--salt-encoding", "text", "--prefix", "sk_live_", "--separator", "_"];
    let of = |salt: &str| [row(&sha256(&format!("{KEY}pepper")), json!({"public": "4f9a1c20", "salt": salt}))];
    let run = |salt: &str, more: &[&str]| import(&deployment, &of(salt), &[&shared[..], more].concat());
    run("wrong", &["--shared-public"]).ok();
    let beside = run("pepper", &["--shared-public", "--replace"]);
    assert_eq!((beside.code, numbers(&beside)), (0, [1, 0, 0, 0]), "{}", beside.out);
    let warned = beside.json()["warnings"][0].as_str().expect("a warning").to_owned();
    assert!(warned.contains("new keys") && warned.contains("imports remove"), "{warned}");
    let removed = deployment.run(&["keys", "imports", "remove", "1", "--yes", "--json"]).ok().json();
    assert_eq!(removed, json!({"set": 1, "removed": 2, "kept": 0}));
    let again = run("pepper", &["--shared-public"]);
    assert_eq!(numbers(&again), [1, 0, 0, 0]);
    assert!(!again.out.contains("imports remove"), "{}", again.out);
    assert_eq!(verify(&Server::start(&deployment), KEY)["active"], true);
}

#[test]
fn keys_that_the_old_system_had_ended_stay_ended() {
    let deployment = Deployment::new();
    let rows = [
        row(&sha256("good"), json!({"revoked": false, "disabled": null, "enabled": "t"})),
        row(&sha256("revoked"), json!({"revoked": true})),
        row(&sha256("revoked-at"), json!({"revoked": "2024-01-01T00:00:00Z"})),
        row(&sha256("disabled"), json!({"disabled": 1})),
        row(&sha256("not-enabled"), json!({"enabled": "false"})),
    ];
    let ran = import(&deployment, &rows, &["--scheme", "sha256"]);
    assert_eq!((ran.code, numbers(&ran), &ran.json()["ended"]), (0, [5, 0, 0, 0], &json!(4)), "{}", ran.out);
    let server = Server::start(&deployment);
    let active = |key: &str| verify(&server, key)["active"] == true;
    let keys = ["good", "revoked", "revoked-at", "disabled", "not-enabled"];
    assert_eq!(keys.map(active), [true, false, false, false, false]);
    assert_eq!(numbers(&import(&deployment, &rows, &["--scheme", "sha256"])), [0, 5, 0, 0], "twice is once");
    // Revoked there since the first import.
    let since = [row(&sha256("good"), json!({"revoked": true}))];
    let listed = import(&deployment, &since, &["--scheme", "sha256"]);
    assert_eq!((listed.code, &listed.json()["reasons"]), (1, &json!({"differs": 1})));
    assert!(active("good"));
    import(&deployment, &since, &["--scheme", "sha256", "--replace"]).ok();
    server.within("the revocation", |server| verify(server, "good")["active"] == false);
    // Never the other way round.
    import(&deployment, &[row(&sha256("revoked"), json!({"revoked": false}))], &["--scheme", "sha256", "--replace"])
        .ok();
    assert!(!active("revoked"));
}

#[test]
fn real_keys_are_tried_before_the_first_row_is_imported() {
    let deployment = Deployment::new();
    let rows = [row(&sha256("first"), json!({})), row(&sha256(&KEY[17..]), json!({}))];
    let tries = |keys: &str, more: &[&str]| {
        std::fs::write(deployment.file("try.txt"), keys).expect("written");
        import(&deployment, &rows, &[&["--scheme", "sha256", "--try", "try.txt"], more].concat())
    };
    // `--hashed secret` was forgotten.
    let refused = tries(&format!("first\n{KEY}\n"), &[]);
    assert_eq!((refused.code, &refused.json()["imported"]), (1, &json!(0)), "{}", refused.out);
    let tried = refused.json()["tried"].clone();
    let told = |at: usize| (tried[at]["line"].clone(), tried[at]["verified"].clone());
    assert_eq!((told(0), told(1)), ((json!(1), json!(true)), (json!(null), json!(false))));
    assert!(!refused.out.contains(KEY) && !refused.err.contains(KEY), "no key is shown");
    let long = tries(&"x".repeat(513), &["--dry-run"]);
    assert!(long.code == 1 && long.out.contains("512"), "{}", long.out);
    assert_eq!(tries("first\r\n", &[]).code, 0);
    assert_eq!(tries("\n", &[]).code, 2, "an empty file");
}

#[test]
fn a_tried_key_that_finds_no_row_is_told_with_the_rows_that_cannot_be_read() {
    let deployment = Deployment::new();
    std::fs::write(deployment.file("try.txt"), "first").expect("written");
    let rows = [row(&sha256("first"), json!({"issued_at": "2026-01-02 03:04:05"})), row(&sha256("other"), json!({}))];
    let more = ["--scheme", "sha256", "--try", "try.txt", "--report", "report.jsonl"];
    let refused = import(&deployment, &rows, &more);
    let told = refused.json();
    assert_eq!(
        (refused.code, &told["imported"], &told["rows"], &told["refused"]),
        (1, &json!(0), &json!(2), &json!(1))
    );
    assert_eq!((&told["tried"][0]["verified"], &told["refusals"][0]["line"]), (&json!(false), &json!(1)));
    let why = told["refusals"][0]["detail"].as_str().expect("a detail");
    assert!(why.contains("`issued_at` names no zone") && why.contains("--zone"), "{why}");
    let report = std::fs::read_to_string(deployment.file("report.jsonl")).expect("the report");
    assert!(report.lines().count() == 1 && report.contains("names no zone"), "{report}");
    assert!(refused.err.contains("nothing was imported") && refused.err.contains("why rows are refused"));
    assert_eq!(deployment.run(&["keys", "imports", "--json"]).ok().json()["sets"], json!([]));
}

#[test]
fn a_secret_is_warned_of_that_was_read_as_base64_unless_its_uri_or_a_key_says_so() {
    // HMAC-SHA-256 of KEY under what the file's text encodes.
    const HASH: &str = "c93a5153dcb034982a663dde86cb4d87cc50d504c5447f3447aa3a813b8b7990";
    let deployment = Deployment::new();
    deployment.secret_file("old.key", "YW4gb2xkIHNlY3JldCBvZiBvdXJz\n");
    std::fs::write(deployment.file("try.txt"), KEY).expect("written");
    deployment.configure("secrets = {}", "secrets = { old = \"file:old.key\" }");
    let warnings = |more: &[&str]| {
        let arguments = [&["--scheme", "hmac-sha256", "--hmac-key", "old", "--dry-run"], more].concat();
        import(&deployment, &[row(HASH, json!({}))], &arguments).ok().json()["warnings"].to_string()
    };
    let warned = warnings(&[]);
    assert!(warned.contains("read as base64") && warned.contains("?encoding=text"), "{warned}");
    assert_eq!(warnings(&["--try", "try.txt"]), "null", "a real key verified");
    deployment.configure("file:old.key", "file:old.key?encoding=base64");
    let said = warnings(&[]);
    assert!(said.contains("no key was tried") && !said.contains("base64"), "{said}");
}

#[test]
fn a_table_of_an_unknown_system_is_read_as_it_is() {
    let deployment = Deployment::new();
    let csv = format!(
        "id,token_hash,user_id,owner,created_at,perms\n1,\\x{},42,x,2024-01-02 03:04:05,\"{{a,b}}\"\n",
        sha256(KEY)
    );
    let run = |more: &[&str]| {
        let own = ["keys", "import", "-", "--realm", "live", "--scheme", "sha256", "--format", "csv", "--json"];
        let columns = ["--column", "hash=token_hash", "--column", "issued_at=created_at", "--column", "scopes=perms"];
        let more = [&own[..], &columns, &["--ignore", "id", "--ignore", "owner"], more].concat();
        deployment.run_with(&more, &csv)
    };
    assert_eq!(run(&["--app-from", "user_id"]).json()["reasons"], json!({"zone": 1}));
    assert_eq!(run(&["--app-from", "user_id", "--zone", "UTC"]).json()["reasons"], json!({"scopes_form": 1}));
    let all = ["--app-from", "user_id", "--zone", "+01:00", "--scopes", "postgres"];
    assert_eq!(run(&all).code, 0, "{}", run(&all).out);
    let active = verify(&Server::start(&deployment), KEY);
    assert_eq!((&active["scopes"], &active["meta"]), (&json!(["a", "b"]), &json!({"user_id": "42"})));
    assert_eq!(active["issued_at"], "2024-01-02T02:04:05Z");
    assert_eq!(run(&["--column", "what=x"]).code, 64);
}

#[test]
fn what_looks_wrong_is_named() {
    let deployment = Deployment::new();
    let refused = |hash: &str, arguments: &[&str]| {
        let ran = import(&deployment, &[row(hash, json!({}))], arguments);
        assert_eq!(ran.code, 1, "{}", ran.out);
        ran.json()["refusals"][0]["detail"].as_str().expect("a detail").to_owned()
    };
    assert!(refused(&"ab".repeat(64), &["--scheme", "sha256"]).contains("SHA-512"));
    assert!(refused(&"ab".repeat(20), &["--scheme", "sha256"]).contains("SHA-1"));
    assert!(refused("3f2b8c1e-9a7d-4d52-8a55-0123456789ab", &["--scheme", "sha256"]).contains("the scheme `plain`"));
    assert!(
        refused("sk_live_4f9a1c20_x", &["--scheme", "sha256", "--prefix", "sk_live_"]).contains("the scheme `plain`")
    );
    let warned =
        import(&deployment, &[row("-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s", json!({}))], &["--scheme", "sha256"]);
    assert!(warned.json()["warnings"][0].as_str().is_some_and(|text| text.contains("--try")), "{}", warned.out);
    // A key that reads as a digest: nothing in it tells.
    let rows = [row(&sha256("a key, or a hash"), json!({}))];
    let warned = |arguments: &[&str]| {
        let ran = import(&deployment, &rows, &[&["--scheme", "sha256"], arguments].concat());
        ran.ok().json()["warnings"].to_string().contains("no key was tried")
    };
    std::fs::write(deployment.file("a.key"), "a key, or a hash").expect("written");
    assert!(warned(&["--dry-run"]) && !warned(&["--dry-run", "--try", "a.key"]));
    assert!(warned(&[]) && !warned(&[]), "said once");
    let plain = json!({"app_id": APP, "key": KEY});
    assert_eq!(
        import(&deployment, std::slice::from_ref(&plain), &["--scheme", "sha256"]).json()["reasons"],
        json!({"key_surplus": 1})
    );
    let kept = import(&deployment, &[plain], &["--scheme", "plain", "--prefix", "sk_live_"]);
    assert_eq!(kept.ok().json().get("warnings"), None, "{}", kept.out);
    assert_eq!(verify(&Server::start(&deployment), KEY)["active"], true);
}

#[test]
fn a_flood_of_unknown_keys_of_the_old_shape_costs_no_slow_hash() {
    let deployment = Deployment::new();
    let bcrypt = "$2b$04$RBcO/btzmiFBY.D59xIruu/sFQsoS5YV32jxNr37n5WiWfH8bLJni";
    let apart = ["--scheme", "hash-string", "--prefix", "sk_live_", "--separator", "_", "--shared-public"];
    let many = format!("sha512:16384:salt:{}", "00".repeat(64));
    let rows = [row(bcrypt, json!({"public": "4f9a1c20"})), row(&many, json!({"public": "4f9a1c20"}))];
    import(&deployment, &rows, &apart).ok();
    let server = Server::start(&deployment);
    let checks = || {
        let metrics = server.metrics.get("/metrics").body;
        let line = metrics.lines().find(|line| line.starts_with("bulla_imported_slow_checks_total")).expect("a count");
        line.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok()).expect("a number")
    };
    for at in 0..500 {
        assert_eq!(verify(&server, &format!("sk_live_{at:08x}_9Zk3Qw7Lr5Tn2Vb8Xc6Md1Pf")), json!({"active": false}));
    }
    assert_eq!(checks(), 0);
    // Both rows have the public part of the right key, and one of them is it.
    assert_eq!(verify(&server, KEY)["active"], true);
    assert!((1..=2).contains(&checks()));
}
