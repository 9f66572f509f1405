//! The fleet: who is registered, and whether a revocation is in force everywhere.

mod claims;
mod gates;
mod names;
mod waits;

use std::time::{Duration, Instant};

use bulla::{
    SharedVerifier, Verifier,
    feed::{Follower, FollowerHandle, WhenStale},
    keyring::{Keyring, KeyringDocument, MacKey},
    source::Sources,
};
use serde_json::{Value, json};

use crate::support::{
    clock,
    command::{Ran, bulla, finish},
    deployment::{APP, Deployment},
    http::{Answer, Http},
    postgres::Postgres,
    server::Server,
};

const OTHER_APP: &str = "7c1d0a52-1111-4222-8333-0123456789ab";

/// A program with the library inside: it follows, and reports under a name.
struct Program {
    verifier: SharedVerifier,
    handle: FollowerHandle,
}

impl Program {
    fn start(deployment: &Deployment, server: &Server, name: &str) -> Self {
        let shown = deployment.keyring(&["show"]);
        let text = |field: &str| shown[field].as_str().expect(field).to_owned();
        let verifier = SharedVerifier::new(loaded(deployment));
        let api_key = feed_key(deployment, APP).parse().expect("a key");
        let address = format!("http://{}/v1/revocations", server.data.address);
        let (id, key) = (text("keyring_id").parse().expect("an id"), text("feed_public_key").parse().expect("a key"));
        let follower = Follower::new(&address, &api_key, id, key).expect("a follower").reporting_as(name);
        let handle = follower.start(&verifier, WhenStale::CouldNotTell, clock::now).expect("started");
        Program { verifier, handle }
    }
}

/// A verifier with the deployment's keyring as it is now.
fn loaded(deployment: &Deployment) -> Verifier {
    let sources = Sources::new(deployment.path());
    let text = std::fs::read_to_string(deployment.file("keyring.toml")).expect("the keyring");
    let key = MacKey::for_document(&text, &"file:keyring-mac.key".parse().expect("a URI"), &sources).expect("a key");
    let document = KeyringDocument::parse_with(&text, &key).expect("a document");
    Verifier::new(&Keyring::load(&document, &sources, &["live".parse().expect("a realm")]).expect("loaded"))
}

fn feed_key(deployment: &Deployment, app: &str) -> String {
    let issued = deployment.run(&["issue", "--json", "--realm", "bulla", "--app", app, "--scope", "feed"]);
    issued.ok().json()["api_key"].as_str().expect("a key").to_owned()
}

/// A report by hand.
fn report(name: &str) -> Value {
    json!({
        "name": name, "role": "edge", "version": "9", "formats": ["feed/1"], "seq": 0, "this_update": 0, "keyring_serial": 2,
        "versions": [1], "realms": ["live"], "refused": 0,
    })
}

fn send(data: &Http, report: &Value) -> Answer {
    data.post("/v1/followers", &json!({"followers": [report]}))
}

fn members(server: &Server) -> Vec<Value> {
    server.admin.get("/v1/followers").json()["followers"].as_array().expect("a list").clone()
}

fn member(server: &Server, name: &str) -> Option<Value> {
    members(server).into_iter().find(|one| one["name"] == name)
}

fn ask(deployment: &Deployment, arguments: &[&str]) -> Ran {
    deployment.secret_file("admin.key", &deployment.admin_key);
    finish(bulla(deployment.path()).args(arguments).env("BULLA_ADMIN_KEY_FILE", "admin.key"), "")
}

#[test]
fn a_revocation_that_waits_returns_when_every_follower_has_it() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let admin = format!("http://{}", server.admin.address);
    let (one, two) = (Program::start(&deployment, &server, "shop-1"), Program::start(&deployment, &server, "shop-2"));
    server.until("both are there", |server| {
        ["shop-1", "shop-2"].iter().all(|name| member(server, name).is_some_and(|one| one["state"] == "current"))
    });
    for more in [&[][..], &["--server", &admin]] {
        let key = deployment.issue_text("live", &[]);
        let revoked = ask(&deployment, &[&["revoke", &key[..27], "--wait=60s", "--json"], more].concat());
        let propagation = revoked.ok().json()["propagation"].clone();
        assert_eq!((&propagation["registered"], &propagation["followers"]), (&json!(3), &json!(2)), "{propagation}");
        assert_eq!((&propagation["reached"], &propagation["missing"]), (&json!(3), &json!([])), "{propagation}");
        for program in [&one, &two] {
            assert!(program.handle.status().seq >= propagation["seq"].as_u64().expect("a place"));
            let realms = ["live".parse().expect("a realm")];
            let verdict = program.verifier.verify(&key, &bulla::Expectations::realms(&realms), clock::now());
            assert_eq!(verdict.expect_err("it is revoked").code(), "revoked", "at once, and not a moment later");
        }
    }
    let people = ask(&deployment, &["revoke", "--app", OTHER_APP, "--yes", "--wait=60s"]);
    assert!(people.ok().out.contains("reached  3 of 3 nodes and followers"), "{}", people.out);
    let shown = member(&server, "shop-1").expect("it is there");
    assert_eq!(
        (&shown["role"], &shown["versions"], &shown["realms"]),
        (&json!("library"), &json!([1]), &json!(["live"]))
    );
    assert_eq!((&shown["trouble"], &shown["address"]), (&Value::Null, &json!("127.0.0.1")));
    assert_eq!(one.handle.report_error().map(|error| error.to_string()), None);
    let node = members(&server).into_iter().find(|one| one["role"] == "node").expect("the node");
    assert_eq!((&node["versions"], &node["address"]), (&json!([1]), &json!(server.data.address)));
}

#[test]
fn what_has_not_heard_of_it_is_named_and_the_command_exits_with_3() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let admin = format!("http://{}", server.admin.address);
    let gone = Program::start(&deployment, &server, "gone");
    server.until("it is there", |server| member(server, "gone").is_some_and(|one| one["state"] == "current"));
    drop(gone);
    let id = deployment.issue("live", &[])["api_key_id"].as_str().expect("an id").to_owned();
    let mut told = Vec::new();
    // The node has it in force by then, and the one that is gone would have had the time for it: so all say the same.
    assert_eq!(ask(&deployment, &["revoke", &id, "--wait=7s"]).code, 3);
    for more in [&[][..], &["--server", &admin]] {
        let ran = ask(&deployment, &[&["revoke", &id, "--wait=300ms"], more].concat());
        assert_eq!(ran.code, 3, "{} {}", ran.out, ran.err);
        assert!(
            ran.out.contains("reached  1 of 2 nodes and followers\nmissing  gone (library): it is at "),
            "{}",
            ran.out
        );
        told.push(ran.out.lines().filter(|line| !line.starts_with("changed")).collect::<Vec<_>>().join("\n"));
    }
    assert_eq!(told[0], told[1], "the same here and at the server");
    let path = format!("/v1/api-keys/{id}");
    let answer = server.admin.request("DELETE", &format!("{path}?wait=100ms"), &[], "");
    assert_eq!((answer.status, &answer.json()["state"]), (202, &json!("revoked")));
    let missing = &answer.json()["propagation"]["missing"][0];
    assert_eq!((&missing["name"], &missing["seq"]), (&json!("gone"), &json!(0)));
    assert!(missing["last_contact"].is_string() && missing["why"].is_string(), "{missing}");
    let many = server.admin.post("/v1/revocations?wait=100ms", &json!({"ids": [id]}));
    assert_eq!((many.status, &many.json()["propagation"]["reached"]), (202, &json!(1)));
    let suspended = server.admin.post("/v1/api-keys/live_00000XzbyFf5rOyRXQyt8V/suspend?wait=100ms", &json!({}));
    assert_eq!(suspended.status, 202);
    assert_eq!(
        server.admin.request("DELETE", &path, &[], "").json().get("propagation"),
        None,
        "only where it was asked"
    );

    // To forget it needs a confirmation.
    let careless = ask(&deployment, &["fleet", "forget", "gone"]);
    assert!(careless.code == 64 && careless.err.contains("--yes"), "{}", careless.err);
    ask(&deployment, &["fleet", "forget", "gone", "--yes", "--server", &admin]).ok();
    assert!(ask(&deployment, &["fleet", "forget", "gone", "--yes"]).ok().out.contains("changed  no"));
    let audit = server.admin.get("/v1/audit?limit=1000").json()["records"].as_array().expect("records").clone();
    let forgotten = audit.iter().filter(|record| record["action"] == "follower.forget").collect::<Vec<_>>();
    assert_eq!((forgotten.len(), &forgotten[0]["target"]), (1, &json!("gone")));
    let alone = ask(&deployment, &["revoke", &id, "--wait=60s"]);
    assert!(alone.ok().out.contains("reached  1 of 1 nodes; no follower is registered"), "{}", alone.out);
    server.stop();
    let nobody = ask(&deployment, &["revoke", &id, "--wait"]);
    assert!(nobody.ok().out.contains("nobody is registered"), "{}", nobody.out);
    let long = ask(&deployment, &["revoke", &id, "--wait=2m"]);
    assert!(long.code == 64 && long.err.contains("up to 60s"), "{}", long.err);
}

#[test]
fn a_name_belongs_to_the_app_that_registered_it() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let (mine, theirs) = (feed_key(&deployment, APP), feed_key(&deployment, OTHER_APP));
    let (mine, theirs) = (server.data.bearer(&mine), server.data.bearer(&theirs));
    assert_eq!(send(&mine, &report("edge-1")).json(), json!({"noted": 1}));
    assert_eq!(send(&theirs, &report("edge-1")).problem(), "name-taken");
    // Another key of the same app is what a rotated one is.
    assert_eq!(send(&server.data.bearer(&feed_key(&deployment, APP)), &report("edge-1")).status, 200);
    server.until("they are there", |server| members(server).len() == 2);
    let node = members(&server).into_iter().find(|one| one["role"] == "node").expect("the node")["name"].clone();
    assert_eq!(send(&mine, &report(node.as_str().expect("a name"))).problem(), "name-taken");
    ask(&deployment, &["fleet", "forget", "edge-1", "--yes"]).ok();
    let other = Server::start(&deployment);
    assert_eq!(send(&other.data.bearer(theirs.key()), &report("edge-1")).status, 200, "it is free");

    let key = deployment.issue_text("live", &[]);
    let with = |field: &str, value: Value| {
        let mut report = report("edge-2");
        report[field] = value;
        report
    };
    for (wrong, told) in [
        (with("name", json!("a b")), "followers[0].name: it must be 1 to 128"),
        (with("name", json!("x".repeat(129))), "followers[0].name: it must be 1 to 128"),
        (with("name", json!(key)), "followers[0].name: it holds an API key"),
        (with("role", json!("node")), "wrong kind"),
        (with("versions", json!([0])), "followers[0].versions: "),
        (with("realms", json!(["Live"])), "followers[0].realms: "),
        (with("formats", json!(["feed 1"])), "followers[0].formats: "),
        (with("log_id", json!("x")), "followers[0].log_id: "),
        (with("seq", json!(1_u64 << 53)), "followers[0].seq: "),
        (with("last_error", json!(format!("with {}", mine.key()))), "followers[0].last_error: it holds an API key"),
        (with("last_error", json!("a\u{1b}[2J")), "followers[0].last_error: it must be one line"),
        (with("former_name", json!("a b")), "followers[0].former_name: it must be 1 to 128"),
        (with("more", json!(1)), "unknown field `more`"),
    ] {
        let answer = send(&mine, &wrong);
        assert_eq!(answer.problem(), "bad-request", "{wrong}");
        assert!(
            answer.body.contains(told) && !answer.body.contains(mine.key()) && !answer.body.contains(&key),
            "{told}: {}",
            answer.body
        );
    }
    let many: Vec<Value> = (0..1_001).map(|at| report(&format!("e{at}"))).collect();
    assert_eq!(mine.post("/v1/followers", &json!({"followers": many})).problem(), "bad-request");
    assert_eq!(mine.post("/v1/followers", &json!({"followers": many[..1_000]})).json()["noted"], 1_000);
    let reader = server.data.bearer(&deployment.issue_text("bulla", &["--scope", "read"]));
    assert_eq!(send(&reader, &report("edge-3")).problem(), "forbidden");
    assert_eq!(send(&server.data.anonymous(), &report("edge-3")).problem(), "unauthorized");
    let of_live = server.data.bearer(&deployment.issue_text("bulla", &["--scope", "feed:live"]));
    assert_eq!(send(&of_live, &report("edge-4")).status, 200, "a key for one realm reports as well");
    let admin_reader = server.admin.bearer(reader.key());
    assert_eq!(admin_reader.get("/v1/followers?limit=1").status, 200);
    let wrong = admin_reader.get("/v1/followers?after=a%20b");
    assert!(wrong.problem() == "bad-request" && wrong.body.contains("`after` must be 1 to 128"), "{}", wrong.body);
    assert_eq!(admin_reader.request("DELETE", "/v1/followers/edge-1", &[], "").problem(), "forbidden");
}

#[test]
fn nodes_register_themselves_and_one_that_stops_is_gone() {
    let deployment = Deployment::new();
    let first = Server::start_with(&deployment, &[("BULLA_FLEET__NAME", "first")]);
    let second = Server::start_with(&deployment, &[("BULLA_FLEET__NAME", "second")]);
    first.until("both are there", |server| member(server, "first").is_some() && member(server, "second").is_some());
    let id = deployment.issue("live", &[])["api_key_id"].as_str().expect("an id").to_owned();
    let answer = first.admin.request("DELETE", &format!("/v1/api-keys/{id}?wait=60s"), &[], "");
    assert_eq!((answer.status, &answer.json()["propagation"]["reached"]), (200, &json!(2)));
    let place = answer.json()["propagation"]["seq"].clone();
    assert!(member(&second, "second").is_some_and(|one| one["seq"] == place), "asked of the other one as well");
    second.stop();
    assert!(member(&first, "second").is_none(), "it said so");
    // One that was killed may still run, for all that anybody knows.
    let third = Server::start_with(&deployment, &[("BULLA_FLEET__NAME", "third")]);
    first.until("it is there", |server| member(server, "third").is_some());
    third.signal("KILL");
    drop(third);
    let path = "/v1/api-keys/live_00000XzbyFf5rOyRXQyt8V?wait=5s";
    let answer = first.admin.request("DELETE", path, &[], "");
    assert_eq!((answer.status, &answer.json()["propagation"]["missing"][0]["name"]), (202, &json!("third")));
    let third = Server::start_with(&deployment, &[("BULLA_FLEET__NAME", "third")]);
    third.until("it is back", |server| member(server, "third").is_some_and(|one| one["state"] == "current"));
    assert_eq!(first.admin.request("DELETE", path, &[], "").status, 200);
}

/// On either store: what a follower reports to one node counts at the others.
#[test]
fn a_follower_of_one_node_is_waited_for_by_another() {
    let database = Postgres::shared().new_database();
    for deployment in [Deployment::new(), Deployment::on_store(&Postgres::shared().url(&database))] {
        let [one, other] = [(); 2].map(|()| Server::start(&deployment));
        let program = Program::start(&deployment, &other, "shop");
        one.until("all are there", |one| {
            members(one).len() == 3 && member(one, "shop").is_some_and(|shop| shop["state"] == "current")
        });
        let mut slowest = Duration::ZERO;
        for _ in 0..10 {
            let key = deployment.issue_text("live", &[]);
            let asked = Instant::now();
            let answer = one.admin.request("DELETE", &format!("/v1/api-keys/{}?wait=60s", &key[..27]), &[], "");
            slowest = slowest.max(asked.elapsed());
            assert_eq!((answer.status, &answer.json()["propagation"]["reached"]), (200, &json!(3)), "{}", answer.body);
            let realms = ["live".parse().expect("a realm")];
            let verdict = program.verifier.verify(&key, &bulla::Expectations::realms(&realms), clock::now());
            assert_eq!(verdict.expect_err("it is revoked").code(), "revoked");
            assert_eq!(other.data.post("/v1/verify", &json!({"api_key": key})).json()["active"], false);
        }
        println!("revoked, and in force at two nodes and a follower of the other one, within {slowest:?}");
        drop(program);
        let path = "/v1/api-keys/live_00000XzbyFf5rOyRXQyt8V?wait=5s";
        let answer = one.admin.request("DELETE", path, &[], "");
        assert_eq!((answer.status, &answer.json()["propagation"]["missing"][0]["name"]), (202, &json!("shop")));
        let ran = deployment.run(&["revoke", "live_00000XzbyFf5rOyRXQyt8V", "--wait=1s"]);
        assert!(ran.code == 3 && ran.out.contains("missing  shop (library)"), "{} {}", ran.out, ran.err);
        deployment.run(&["fleet", "forget", "shop", "--yes"]).ok();
        other.stop();
        let alone = deployment.run(&["revoke", "live_00000XzbyFf5rOyRXQyt8V", "--wait=60s"]);
        assert!(alone.ok().out.contains("reached  1 of 1 nodes"), "{}", alone.out);
        one.until("all is well", |one| one.data.get("/readyz").json()["degraded"] == json!([]));
    }
}

#[test]
fn activation_asks_the_fleet_whether_it_has_loaded_the_version() {
    let deployment = Deployment::new();
    deployment.configure("refresh_interval = \"60s\"", "refresh_interval = \"1s\"");
    let server = Server::start(&deployment);
    let program = Program::start(&deployment, &server, "shop");
    server.until("it is there", |server| member(server, "shop").is_some());
    deployment.keyring(&["stage", "--source", &deployment.new_master(2)]);
    let activate = ["keyring", "activate", "2", "--require-loaded"];
    let refused = |ran: &Ran| ran.code == 2 && ran.err.contains("is not loaded by shop (library)");
    server.until("only the program is missing", |_| refused(&deployment.run(&activate)));
    let over_http = server.admin.post("/v1/keyring/versions/2/activate", &json!({"require_loaded": true}));
    assert!(over_http.problem() == "conflict" && over_http.body.contains("shop (library)"), "{}", over_http.body);
    program.verifier.store(loaded(&deployment));
    // It is reported within ten seconds.
    server
        .until("it has reported", |server| member(server, "shop").is_some_and(|one| one["versions"] == json!([1, 2])));
    deployment.run(&activate).ok();
    // Without the option it is a warning.
    drop(program);
    deployment.keyring(&["stage", "--source", &deployment.new_master(3)]);
    let warned = deployment.keyring(&["activate", "3"]);
    assert!(warned["warning"].as_str().expect("a warning").contains("shop (library)"), "{warned}");
    server.until("it is told", |server| {
        member(server, "shop").is_some_and(|one| one["trouble"].as_str().is_some_and(|told| told.contains("version 3")))
    });
}

#[test]
fn uses_at_followers_count_in_the_ledger() {
    let deployment = Deployment::new();
    let server = Server::start_with(&deployment, &[("BULLA_LAST_USED__FLUSH_INTERVAL", "100ms")]);
    let key = deployment.issue("live", &[]);
    let id = key["api_key_id"].as_str().expect("an id");
    let edge = server.data.bearer(&deployment.issue_text("bulla", &["--scope", "feed:live"]));
    let used =
        |id: &str, at: u64, count: u64| json!({"uses": [{"api_key_id": id, "last_used_at": at, "count": count}]});
    let now = clock::now();
    assert_eq!(edge.post("/v1/followers/uses", &used(id, now - 60, 7)).json(), json!({"noted": 1}));
    // A clock that is ahead counts as now.
    edge.post("/v1/followers/uses", &used(id, now + 86_400, 2));
    let shown = || server.admin.get(&format!("/v1/api-keys/{id}")).json();
    server.until("they are counted", |_| shown()["use_count"] == 9);
    let last: jiff::Timestamp = shown()["last_used_at"].as_str().expect("a time").parse().expect("a time");
    assert!(last.as_second().unsigned_abs() <= clock::now(), "{last}");
    for (uses, problem) in [
        (used("test_00000XzbyFf5rOyRXQyt8V", now, 1), "forbidden"),
        (used("bulla_00000XzbyFf5rOyRXQyt8V", now, 1), "bad-request"),
        (used("nonsense", now, 1), "bad-request"),
        (used(id, now, 0), "bad-request"),
        (json!({"uses": []}), "bad-request"),
    ] {
        assert_eq!(edge.post("/v1/followers/uses", &uses).problem(), problem, "{uses}");
    }
}

#[test]
fn the_fleet_shows_in_the_table_in_metrics_and_to_doctor() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let edge = server.data.bearer(&feed_key(&deployment, APP));
    server.until("the node is there", |server| members(server).len() == 1);
    let place = server.admin.get("/v1/followers").json();
    let log_id = place["log_id"].clone();
    let mut well = report("well");
    well["log_id"] = log_id.clone();
    well["seq"] = place["end"].clone();
    let mut broken = report("broken");
    broken["log_id"] = log_id;
    broken["refused"] = json!(3);
    broken["last_error"] = json!("the signature is not that of the feed's key");
    let mut elsewhere = report("elsewhere");
    elsewhere["log_id"] = json!("00000000000000000000000000000000");
    let reports = json!({"followers": [well, broken, elsewhere, report("new")]});
    assert_eq!(edge.post("/v1/followers", &reports).json()["noted"], 4);
    server.until("they are there", |server| members(server).len() == 5);
    let table = deployment.run(&["fleet"]);
    for (name, state) in [("well", "current"), ("broken", "failing"), ("elsewhere", "other_log"), ("new", "starting")] {
        let row = table.ok().out.lines().find(|line| line.starts_with(name)).expect("its row");
        let cells: Vec<&str> = row.split_whitespace().collect();
        assert_eq!((cells[1], cells[2], cells[4]), ("edge", "127.0.0.1", state), "{row}");
    }
    assert!(table.out.contains("it reports trouble: the signature is not"), "{}", table.out);
    for (role, state, count) in
        [("edge", "current", 1), ("edge", "failing", 1), ("node", "current", 1), ("relay", "behind", 0)]
    {
        assert_eq!(
            server.metric(&format!("bulla_followers{{role=\"{role}\",state=\"{state}\"}}")),
            count,
            "{role} {state}"
        );
    }
    let doctor = deployment.run(&["doctor"]).ok().out.clone();
    let warnings: Vec<&str> = doctor.lines().filter(|line| line.starts_with("warning  fleet")).collect();
    assert!(warnings.len() == 3 && warnings[0].contains("broken (edge): it reports trouble"), "{warnings:?}");
    // A page is what it says.
    let page = server.admin.get("/v1/followers?limit=2").json();
    assert_eq!(
        (page["followers"].as_array().map(Vec::len), &page["next_after"]),
        (Some(2), &page["followers"][1]["name"])
    );
    let all: Vec<Value> =
        deployment.run(&["fleet", "--json"]).ok().json()["followers"].as_array().expect("a list").clone();
    let names: Vec<&Value> = all.iter().map(|one| &one["name"]).collect();
    assert!(names.is_sorted_by_key(|name| name.to_string()) && names.len() == 5, "{names:?}");
}

#[test]
fn a_fleet_that_is_not_heard_of_is_forgotten_in_time() {
    let deployment = Deployment::new();
    let wrong = finish(bulla(deployment.path()).args(["fleet"]).env("BULLA_FLEET__FORGET_AFTER", "1m"), "");
    assert!(wrong.code != 0 && wrong.err.contains("fleet.forget_after must be at least 2m"), "{}", wrong.err);
    let named = finish(bulla(deployment.path()).args(["fleet"]).env("BULLA_FLEET__NAME", "a b"), "");
    assert!(named.code != 0 && named.err.contains("fleet.name"), "{}", named.err);
    let server = Server::start(&deployment);
    let edge = server.data.bearer(&feed_key(&deployment, APP));
    send(&edge, &report("old"));
    server.until("it is there", |server| member(server, "old").is_some());
    let sql = "UPDATE followers SET last_contact = last_contact - 86400 WHERE name = 'old'";
    deployment.store().run(sql);
    assert!(member(&server, "old").is_none(), "it counts no more");
    let answer = server.admin.request("DELETE", "/v1/api-keys/live_00000XzbyFf5rOyRXQyt8V?wait=60s", &[], "");
    assert_eq!((answer.status, &answer.json()["propagation"]["followers"]), (200, &json!(0)));
    let theirs = server.data.bearer(&feed_key(&deployment, OTHER_APP));
    let other = Server::start(&deployment);
    assert_eq!(send(&other.data.bearer(theirs.key()), &report("old")).status, 200, "and its name is free");
}
