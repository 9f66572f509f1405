//! Everything else that ends keys, and waits until that is in force everywhere.

use super::*;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// A node and a program that follows it, both in the fleet.
fn node_and_program(deployment: &Deployment) -> (Server, Program) {
    let server = Server::start(deployment);
    let program = Program::start(deployment, &server, "shop");
    server.until("both are there", |server| {
        members(server).len() == 2 && member(server, "shop").is_some_and(|one| one["state"] == "current")
    });
    (server, program)
}

impl Program {
    /// Why the program refuses a key, if it does.
    fn refuses(&self, key: &str) -> Option<String> {
        let realms = ["live".parse().expect("a realm")];
        let verdict = self.verifier.verify(key, &bulla::Expectations::realms(&realms), clock::now());
        verdict.err().map(|error| error.code().to_owned())
    }
}

fn all_have_it(answer: &Value) {
    let propagation = &answer["propagation"];
    assert_eq!((&propagation["registered"], &propagation["reached"]), (&json!(2), &json!(2)), "{answer}");
    assert_eq!(propagation["missing"], json!([]), "{answer}");
}

#[test]
fn what_ends_a_key_or_suspends_it_waits_for_everybody() {
    let deployment = Deployment::new();
    let (server, program) = node_and_program(&deployment);
    let admin = format!("http://{}", server.admin.address);
    for more in [&[][..], &["--server", &admin]] {
        let key = deployment.issue_text("live", &[]);
        let ran =
            |arguments: &[&str]| ask(&deployment, &[arguments, &["--wait=60s", "--json"], more].concat()).ok().json();
        all_have_it(&ran(&["keys", "suspend", &key[..27]]));
        assert!(program.refuses(&key).is_some(), "at once, and not a moment later");
        all_have_it(&ran(&["keys", "resume", &key[..27]]));
        assert_eq!(program.refuses(&key), None);
        let rerolled = ran(&["keys", "reroll", &key[..27], "--grace", "0s"]);
        all_have_it(&rerolled);
        assert_eq!(program.refuses(&key).as_deref(), Some("revoked"));
        assert_eq!(program.refuses(rerolled["api_key"].as_str().expect("a key")), None);
    }
    let people = ask(&deployment, &["keys", "suspend", "live_00000XzbyFf5rOyRXQyt8V", "--wait=60s"]);
    assert!(people.ok().out.contains("reached  2 of 2 nodes and followers"), "{}", people.out);
    assert!(!people.out.contains("propagation"), "{}", people.out);

    let key = deployment.issue_text("live", &[]);
    let ended = server.data.request("POST", "/v1/self-revoke?wait=60s", &[("x-api-key", &key)], "");
    assert_eq!(ended.status, 200);
    all_have_it(&ended.json());
    assert_eq!(program.refuses(&key).as_deref(), Some("revoked"));
    let client = server.data.bearer(&deployment.issue_text("bulla", &["--scope", "revoke"]));
    let key = deployment.issue_text("live", &[]);
    let revoked = client.request("POST", "/v1/revoke?wait=60s", &[FORM], &format!("token={key}"));
    assert_eq!((revoked.status, revoked.header("cache-control"), &*revoked.body), (200, Some("no-store"), ""));
    assert_eq!(program.refuses(&key).as_deref(), Some("revoked"));
    let wrong = client.request("POST", "/v1/revoke?wait=soon", &[FORM], &format!("token={key}"));
    assert_eq!((wrong.status, &wrong.json()["error"]), (400, &json!("invalid_request")), "{}", wrong.body);
    let no_key = client.request("POST", "/v1/revoke?wait=60s", &[FORM], "token=nothing");
    assert_eq!((no_key.status, &*no_key.body), (200, ""), "a text that is no key is answered alike");

    // Somebody has not heard of it.
    drop(program);
    let key = deployment.issue_text("live", &[]);
    let path = format!("/v1/api-keys/{}/reroll?wait=5s", &key[..27]);
    let rerolled = server.admin.post(&path, &json!({"grace": "0s"}));
    assert_eq!((rerolled.status, rerolled.header("cache-control")), (202, Some("no-store")), "{}", rerolled.body);
    assert_eq!(rerolled.json()["propagation"]["missing"][0]["name"], "shop");
    let new = rerolled.json()["api_key"].as_str().expect("it is shown all the same").to_owned();
    let revoked = client.request("POST", "/v1/revoke?wait=5s", &[FORM], &format!("token={new}"));
    assert_eq!((revoked.status, &revoked.json()["propagation"]["missing"][0]["name"]), (202, &json!("shop")));
    let own = deployment.issue_text("live", &[]);
    let ended = server.data.request("POST", "/v1/self-revoke?wait=5s", &[("x-api-key", &own)], "");
    let propagation = &ended.json()["propagation"];
    assert_eq!((ended.status, &propagation["reached"], &propagation["registered"]), (202, &json!(1), &json!(2)));
    assert_eq!(propagation["missing"], json!([]), "someone who only holds a key learns no names");
    for command in ["suspend", "resume"] {
        let ran = ask(&deployment, &["keys", command, "live_00000XzbyFf5rOyRXQyt8V", "--wait=1s"]);
        assert!(ran.code == 3 && ran.out.contains("missing  shop (library)"), "{} {}", ran.out, ran.err);
    }
    let other = deployment.issue_text("live", &[]);
    let ran = ask(&deployment, &["keys", "reroll", &other[..27], "--wait=1s", "--server", &admin]);
    assert!(ran.code == 3 && ran.out.contains("shown only once"), "{} {}", ran.out, ran.err);
}

#[test]
fn the_end_of_a_key_version_waits_until_everybody_knows_the_keyring() {
    let deployment = Deployment::new();
    let (server, program) = node_and_program(&deployment);
    deployment.keyring(&["stage", "--source", &deployment.new_master(2)]);
    deployment.keyring(&["activate", "2"]);
    let key = deployment.issue_text("live", &[]);
    program.verifier.store(loaded(&deployment));
    assert_eq!(program.refuses(&key), None);
    let ended = ask(&deployment, &["keyring", "compromise", "2", "--successor", "1", "--yes", "--wait=60s", "--json"]);
    let ended = ended.ok().json();
    all_have_it(&ended);
    assert_eq!(ended["propagation"]["keyring_serial"], ended["serial"]);
    assert_eq!(ended["propagation"].get("seq"), None, "the keyring has no place in the log");
    assert_eq!(program.refuses(&key).as_deref(), Some("version_refused"), "at once, and not a moment later");
    assert_eq!(server.data.post("/v1/verify", &json!({"api_key": key})).json()["active"], false);

    deployment.keyring(&["stage", "--source", &deployment.new_master(3)]);
    let over_http = server.admin.post("/v1/keyring/versions/3/compromise?wait=60s", &json!({}));
    assert_eq!(over_http.status, 200, "{}", over_http.body);
    all_have_it(&over_http.json());
    drop(program);
    let destroyed = server.admin.post("/v1/keyring/versions/3/destroy?wait=5s", &json!({}));
    let missing = &destroyed.json()["propagation"]["missing"][0];
    assert_eq!((destroyed.status, &missing["name"]), (202, &json!("shop")), "{}", destroyed.body);
    assert!(missing["why"].as_str().is_some_and(|why| why.contains("knows the keyring of serial")), "{missing}");
    let ran = ask(&deployment, &["keyring", "destroy", "2", "--yes", "--wait=1s"]);
    assert!(ran.code == 3 && ran.out.contains("state    destroyed"), "{} {}", ran.out, ran.err);
    assert!(ran.out.contains("missing  shop (library): it knows the keyring of serial"), "{}", ran.out);
    let quick = server.admin.post("/v1/keyring/versions/9/destroy?wait=soon", &json!({}));
    assert_eq!(quick.problem(), "bad-request");
}
