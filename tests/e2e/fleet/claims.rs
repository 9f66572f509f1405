//! What a report may say about the node's own log, and what an API key of the feed can do with it.

use serde_json::{Value, json};

use super::{APP, Deployment, OTHER_APP, Server, feed_key, member, members, report, send};

/// What is wrong with the node.
fn degraded(server: &Server) -> String {
    server.data.get("/readyz").json()["degraded"].to_string()
}

/// A report of a place in the node's log.
fn at(server: &Server, name: &str, seq: u64) -> Value {
    let log_id = server.admin.get("/v1/followers").json()["log_id"].clone();
    let mut report = report(name);
    (report["log_id"], report["seq"]) = (log_id, json!(seq));
    report
}

#[test]
fn a_place_that_nobody_signed_is_a_claim_of_its_author_and_ends_with_it() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let honest = server.data.bearer(&feed_key(&deployment, APP));
    let other = server.data.bearer(&feed_key(&deployment, OTHER_APP));
    assert_eq!(send(&honest, &at(&server, "edge-1", 0)).status, 200);

    let far = (1_u64 << 53) - 1;
    assert_eq!(send(&other, &at(&server, "edge-1", far)).problem(), "name-taken");
    assert!(!degraded(&server).contains("revocation log"), "a report that is refused says nothing");

    let mut unsigned = at(&server, "liar", far);
    unsigned["signed_message"] = json!("{\"bulla\":\"feed/1\"}\n{\"signature\":\"\"}\n");
    assert_eq!(send(&other, &unsigned).status, 200);
    let told = degraded(&server);
    assert!(told.contains("liar, which the app") && told.contains(OTHER_APP) && told.contains("Check first"), "{told}");
    server.until("the line of it", |server| server.log().contains("and does not prove it"));
    assert_eq!(send(&other, &at(&server, "liar", 0)).status, 200);
    assert!(!degraded(&server).contains("revocation log"), "it reports a place that there is");

    assert_eq!(send(&other, &at(&server, "liar", far)).status, 200);
    assert!(degraded(&server).contains("liar"));
    // A report that waits to be written registers it again.
    server.until("the end of the claim", |server| {
        assert!([200, 404].contains(&server.admin.request("DELETE", "/v1/followers/liar", &[], "").status));
        !degraded(server).contains("revocation log")
    });

    unsigned["signed_message"] = json!("x".repeat(2_049));
    let answer = send(&other, &unsigned);
    assert!(answer.problem() == "bad-request" && answer.body.contains("signed_message"), "{}", answer.body);
}

#[test]
fn what_an_api_key_registered_goes_with_it_and_at_once_for_those_who_wait() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let honest = server.data.bearer(&feed_key(&deployment, APP));
    assert_eq!(send(&honest, &at(&server, "edge-1", 1 << 40)).status, 200, "it has everything that there will be");
    let stolen = feed_key(&deployment, OTHER_APP);
    let thief = server.data.bearer(&stolen);
    let many: Vec<Value> = (0..1_000).map(|at| report(&format!("x{at:04}"))).collect();
    assert_eq!(thief.post("/v1/followers", &json!({"followers": many})).status, 200);
    server.until("they are there", |server| members(server).len() == 1_000);

    let ended = |key: &str, wait: &str| {
        let id = key.parse::<bulla::ApiKey>().expect("an API key").id().to_string();
        let answer = server.admin.request("DELETE", &format!("/v1/api-keys/{id}?wait={wait}"), &[], "");
        (answer.status, answer.json()["propagation"].clone())
    };
    let (status, told) = ended(&deployment.issue_text("live", &[]), "1s");
    assert!(status == 202 && told["registered"] == 1_002, "{told}");
    let (status, told) = ended(&stolen, "30s");
    assert_eq!((status, &told["registered"], &told["reached"]), (200, &json!(2), &json!(2)), "{told}");
    let line = "whose API key is revoked are not in the fleet any more";
    server.until("the line of it", |server| server.log().contains(line));
    assert!(member(&server, "x0000").is_none() && member(&server, "edge-1").is_some());

    // By the app, for what another key of it registered.
    let again = server.data.bearer(&feed_key(&deployment, OTHER_APP));
    let few = ["y1", "y2", "y3"].map(report);
    assert_eq!(again.post("/v1/followers", &json!({"followers": few})).status, 200);
    server.until("they are there", |server| member(server, "y3").is_some());
    let asks = deployment.run(&["fleet", "forget", "--app", OTHER_APP]);
    assert!(asks.code != 0 && asks.err.contains("nothing was done"), "{}", asks.err);
    let forgotten = deployment.run(&["fleet", "forget", "--app", OTHER_APP, "--yes", "--json"]).ok().json();
    assert_eq!(forgotten, json!({"app_id": OTHER_APP, "forgotten": 3}));
    assert!(member(&server, "y3").is_none() && member(&server, "edge-1").is_some());
    let path = format!("/v1/followers?app_id={OTHER_APP}");
    let answer = server.admin.request("DELETE", &path, &[], "");
    assert_eq!((answer.status, answer.json()), (200, json!({"app_id": OTHER_APP, "forgotten": 0})));
    for wrong in ["/v1/followers", "/v1/followers?app_id=node"] {
        assert_eq!(server.admin.request("DELETE", wrong, &[], "").problem(), "bad-request", "{wrong}");
    }
}
