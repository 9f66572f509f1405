//! What a reader gets: the format that it names, and a log that loses rows while it reads.

use bulla::feed::{Applied, Format};
use serde_json::{Value, json};

use super::{Deployment, Follower, Server, act};

impl Follower {
    /// Asks once, in the format that says what the log comes to.
    fn ask_for_more(&mut self) -> Applied {
        let path = format!("/v1/revocations?after={}", self.followed.seq());
        let answer = self.feed.request("GET", &path, &[("accept", Format::ACCEPT)], "");
        assert_eq!(answer.status, 200, "{}", answer.body);
        let message = self.read(&answer.body);
        self.followed.apply(&message, message.head().this_update).expect("what comes next")
    }
}

#[test]
fn a_message_has_the_newest_format_that_the_client_names() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    act(&server, &deployment.issue("live", &[]), "revoke");
    let follower = Follower::new(&deployment, &server, "feed");
    let ask = |accept: &str| follower.feed.request("GET", "/v1/revocations", &[("accept", accept)], "");
    let media = "application/vnd.bulla.feed+ndjson";
    for (accept, format, content_type) in [
        (Format::ACCEPT.to_owned(), Format::V2, "application/vnd.bulla.feed+ndjson;version=2"),
        (format!("{media};version=1, {media};version=9"), Format::V1, "application/x-ndjson"),
        ("*/*".to_owned(), Format::V1, "application/x-ndjson"),
    ] {
        let answer = ask(&accept);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(content_type)), "{accept}");
        let head: Value = serde_json::from_str(answer.body.lines().next().expect("a head")).expect("JSON");
        assert_eq!((&head["bulla"], head["seq"] == head["head"]), (&json!(format.name()), true), "{accept}");
        assert_eq!(head.get("live").is_some(), format == Format::V2, "what the log comes to: {head}");
        assert_eq!(follower.read(&answer.body).events().len(), 1, "{accept}");
    }
    let unknown = ask(&format!("{media};version=9"));
    assert_eq!((unknown.status, unknown.problem().as_str()), (400, "bad-request"));
}

#[test]
fn a_reader_half_way_misses_nothing_where_rows_before_and_behind_it_are_dropped() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let [before, behind] = [(); 2].map(|()| deployment.issue("live", &[]));
    act(&server, &before, "suspend");
    for batch in 0..2 {
        let ids: Vec<String> = (0..6_000).map(|at| format!("live_00000X{:016}", batch * 6_000 + at)).collect();
        assert_eq!(server.admin.post("/v1/revocations", &json!({"ids": ids})).json()["revoked"], 6_000);
    }
    act(&server, &behind, "suspend");
    let mut reader = Follower::new(&deployment, &server, "feed");
    let first = reader.ask_for_more();
    assert!(!first.complete && reader.knows(&before) && !reader.knows(&behind), "it is half way");
    // Each takes the row of its suspension out of the log: one that was read, and one that was not.
    act(&server, &before, "resume");
    act(&server, &behind, "resume");
    let mut last = reader.ask_for_more();
    while !last.complete {
        last = reader.ask_for_more();
    }
    assert!(!last.diverged, "it knows what the log comes to");
    assert!(!reader.knows(&before) && !reader.knows(&behind));
    let mut fresh = Follower::new(&deployment, &server, "feed");
    while !fresh.ask_for_more().complete {}
    assert_eq!(reader.followed.revocations().len(), 12_000);
    assert_eq!(fresh.followed.revocations().len(), 12_000);
}
