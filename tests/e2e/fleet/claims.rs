//! What a report may say about the node's own log, and what an API key of the feed can do with it.

use serde_json::{Value, json};

use super::{APP, Deployment, OTHER_APP, Server, feed_key, report, send};

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
    assert!(server.log().contains("and does not prove it"));
    assert_eq!(send(&other, &at(&server, "liar", 0)).status, 200);
    assert!(!degraded(&server).contains("revocation log"), "it took it back");

    assert_eq!(send(&other, &at(&server, "liar", far)).status, 200);
    assert!(degraded(&server).contains("liar"));
    server.until("the report in the store", |server| super::member(server, "liar").is_some());
    assert_eq!(server.admin.request("DELETE", "/v1/followers/liar", &[], "").status, 200);
    server.until("the end of the claim", |server| !degraded(server).contains("revocation log"));

    unsigned["signed_message"] = json!("x".repeat(2_049));
    let answer = send(&other, &unsigned);
    assert!(answer.problem() == "bad-request" && answer.body.contains("signed_message"), "{}", answer.body);
}
