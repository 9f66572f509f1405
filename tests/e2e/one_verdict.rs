//! Every endpoint that verifies API keys, on a node and on an edge, and the command, say the same of the same key, and
//! for the same reason.

use bulla::forged::with_checksum;
use serde_json::{Value, json};

use crate::support::{
    deployment::{APP, Deployment, altered},
    edge::Edge,
    envoy::{Envoy, Question},
    imported::{KEY, import, row, sha256},
    server::Server,
};

const FORM: [(&str, &str); 1] = [("content-type", "application/x-www-form-urlencoded")];
/// Of a key whose scopes suffice.
const ACTIVE: &str = "active";
/// Not told by the reason but by the status.
const STALE: &str = "stale";
/// The same, and no reason is counted for it: an edge has no hashes of secret halves.
const UNCHECKED: &str = "unchecked";

/// A text, what a caller wants of it, and what is to come of it.
struct Case {
    name: &'static str,
    text: String,
    scope: Option<&'static str>,
    audience: Option<&'static str>,
    expected: &'static str,
    /// What self-revoke answers: whether the text is a key that was issued here.
    ends: u16,
}

/// What a way of verifying says.
#[derive(Debug, PartialEq)]
struct Said {
    verdict: &'static str,
    /// By the metrics or, of the command, by its answer.
    reason: String,
}

struct World {
    deployment: Deployment,
    node: VerifyingServer,
    edge: VerifyingServer,
    _folder: Edge,
}

/// A process that verifies, and a caller who may introspect there.
struct VerifyingServer {
    server: Server,
    envoy: Envoy,
    caller: String,
}

impl VerifyingServer {
    fn new(server: Server, caller: &str) -> Self {
        VerifyingServer { envoy: Envoy::new(&server.data), server, caller: caller.to_owned() }
    }
}

fn id_of(text: &str) -> String {
    text.parse::<bulla::ApiKey>().expect("an API key").id().to_string()
}

fn another(digit: &str) -> char {
    if digit == "7" { '8' } else { '7' }
}

impl World {
    fn new() -> Self {
        let deployment = Deployment::new();
        deployment.configure("# max_staleness = \"10m\"", "max_staleness = \"12s\"");
        let node = Server::start_with(&deployment, &super::edges::OFTEN);
        let folder = Edge::new(&deployment, &[&format!("http://{}", node.data.address)], &["live"]);
        folder.configure("max_stale = \"1h\"", "max_stale = \"20s\"");
        let made = folder.run(&["edge", "caller", "test", "--json"]).ok().json();
        let line = made["line"].as_str().expect("a line");
        folder.configure("[follow.callers]\n", &format!("[follow.callers]\n{line}\n"));
        let edge = VerifyingServer::new(folder.start(), made["token"].as_str().expect("a token"));
        edge.server.until("the first message", |edge| edge.data.get("/readyz").status == 200);
        World { node: VerifyingServer::new(node, &deployment.admin_key), edge, _folder: folder, deployment }
    }

    fn cases(&self) -> Vec<Case> {
        let (server, issue) = (&self.node.server, |more: &[&str]| self.deployment.issue_text("live", more));
        let revoke = |text: &str| {
            let path = format!("/v1/api-keys/{}", id_of(text));
            assert_eq!(server.admin.request("DELETE", &path, &[], "").status, 200);
        };
        let case = |name, text: &str, expected, ends| Case {
            name,
            text: text.to_owned(),
            scope: None,
            audience: None,
            expected,
            ends,
        };
        let good = issue(&["--scope", "a"]);
        let (revoked, suspended) = (issue(&[]), issue(&[]));
        revoke(&revoked);
        let path = format!("/v1/api-keys/{}/suspend", id_of(&suspended));
        assert_eq!(server.admin.post(&path, &json!({})).status, 200);
        let expired = issue(&["--ttl", "1s"]);
        let bound = issue(&["--audience", "shop"]);
        let secret = server.admin.post("/v1/api-keys", &json!({"realm": "live", "app_id": APP, "secret": true}));
        let secret = secret.json()["api_key"].as_str().expect("a key").to_owned();
        let place = secret.len() - 20;
        let wrong_secret = altered(&secret, place, another(&secret[place..=place]));
        let place = good.len() - 20;
        let forged = altered(&good, place, another(&good[place..=place]));
        let place = good.len() - 1;
        let mistyped = altered(&good, place, another(&good[place..]));
        let ended = KEY.replace("4f9a1c20", "4f9a1c21");
        import(
            &self.deployment,
            &[row(&sha256(KEY), json!({})), row(&sha256(&ended), json!({}))],
            &["--scheme", "sha256"],
        )
        .ok();
        server.until("the import", |server| {
            server.data.post("/v1/verify", &json!({"api_key": ended})).json()["active"] == true
        });
        let gone = server.data.post("/v1/verify", &json!({"api_key": ended})).json()["api_key_id"].clone();
        let path = format!("/v1/api-keys/{}", gone.as_str().expect("an id"));
        assert_eq!(server.admin.request("DELETE", &path, &[], "").status, 200);
        std::thread::sleep(std::time::Duration::from_secs(2));
        let scoped = |scope| Case { scope: Some(scope), ..case("a scope", &good, ACTIVE, 200) };
        vec![
            case("good", &good, ACTIVE, 200),
            scoped("a"),
            Case { name: "a missing scope", expected: "scope", ..scoped("b") },
            case("forged", &forged, "seal", 401),
            case("mistyped", &mistyped, "checksum", 401),
            case("cut off", &good[..good.len() - 1], "checksum", 401),
            case("not a key", "nothing", "malformed", 401),
            case("expired", &expired, "expired", 200),
            case("revoked", &revoked, "revoked", 200),
            case("suspended", &suspended, "revoked", 200),
            case("another realm", &self.deployment.issue_text("test", &[]), "realm", 200),
            case("an administrator's", &self.deployment.admin_key, "realm", 200),
            Case { audience: Some("shop"), ..case("for this audience", &bound, ACTIVE, 200) },
            Case { audience: Some("bank"), ..case("for another audience", &bound, "audience", 200) },
            case("for an audience that is not named", &bound, "audience", 200),
            case("a secret half", &secret, ACTIVE, 200),
            case("a wrong secret half", &wrong_secret, "secret_wrong", 200),
            case("a missing secret half", &with_checksum(&secret[..secret.len() - 51]), "secret_missing", 200),
            case("imported", KEY, ACTIVE, 200),
            case("nearly an imported one", &KEY[..KEY.len() - 1], "malformed", 401),
            case("imported and revoked", &ended, "revoked", 200),
        ]
    }

    fn command(&self, case: &Case) -> Said {
        let mut arguments = vec!["verify", "-", "--json"];
        arguments.extend(case.scope.iter().flat_map(|scope| ["--scope", scope]));
        arguments.extend(case.audience.iter().flat_map(|audience| ["--audience", audience]));
        let ran = self.deployment.run_with(&arguments, &case.text);
        let answer: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}", ran.out));
        let verdict = by_answer(200, &answer);
        assert_eq!(ran.code, if verdict == ACTIVE { 0 } else { 1 }, "{}", ran.out);
        Said { verdict, reason: answer["reason"].as_str().unwrap_or_default().to_owned() }
    }
}

impl VerifyingServer {
    /// What every endpoint of the data plane says that can be asked this.
    fn asked(&self, case: &Case) -> Vec<(&'static str, Said)> {
        let Case { text, scope, audience, .. } = case;
        let key = [("x-api-key", text.as_str())];
        let route: Vec<String> = [("scope", scope), ("aud", audience)]
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| format!("{name}:{value}")))
            .collect();
        let route = if route.is_empty() { "-".to_owned() } else { route.join(",") };
        let mut said = vec![
            (
                "verify",
                self.counted(|| {
                    let scopes: Vec<&str> = scope.iter().copied().collect();
                    let body = json!({"api_key": text, "scopes": scopes, "audience": audience});
                    let answer = self.server.data.post("/v1/verify", &body);
                    by_answer(answer.status, &answer.json())
                }),
            ),
            (
                "authorize",
                self.counted(|| {
                    let path = format!("/v1/authorize/{route}");
                    by_status(self.server.data.request("GET", &path, &key, "").status.into())
                }),
            ),
            (
                "gRPC",
                self.counted(|| by_status(self.envoy.ask(Question::default().headers(&key).route(&route)).denied().0)),
            ),
        ];
        if scope.is_none() && audience.is_none() {
            said.push((
                "batch",
                self.counted(|| {
                    let answer = self.server.data.post("/v1/verify/batch", &json!({"api_keys": [text]}));
                    by_answer(200, &answer.json()["results"][0])
                }),
            ));
        }
        said
    }

    /// What introspection says, which takes a credential of its own, and so is no use on a node while nothing is
    /// accepted.
    fn introspected(&self, case: &Case) -> Said {
        let form =
            format!("token={}{}", case.text, case.audience.map(|it| format!("&audience={it}")).unwrap_or_default());
        let reader = self.server.data.bearer(&self.caller);
        self.counted(|| {
            let answer = reader.request("POST", "/v1/introspect", &FORM, &form);
            by_answer(answer.status, &answer.json())
        })
    }

    /// The verdict, and the one reason that the metrics count meanwhile. The edge asks the node with a key of its own
    /// now and then, which counts, too: where there are two reasons the question is asked again.
    fn counted(&self, ask: impl Fn() -> &'static str) -> Said {
        let counted = || {
            let before = self.reasons();
            let verdict = ask();
            let risen = self.reasons().into_iter().filter(|reason| !before.contains(reason));
            (verdict, risen.map(|(name, _)| name).collect::<Vec<_>>())
        };
        let (verdict, risen) = (0..3).map(|_| counted()).find(|(_, risen)| risen.len() < 2).unwrap_or_else(counted);
        Said { verdict, reason: risen.join(" and ") }
    }

    fn reasons(&self) -> Vec<(String, String)> {
        let page = self.server.metrics.get("/metrics").body;
        let counted = |line: &str| -> Option<(String, String)> {
            let (name, count) = line.rsplit_once(' ')?;
            let reason = match name.strip_prefix("bulla_verify_rejected_total{reason=\"") {
                Some(reason) => reason.trim_end_matches("\"}"),
                None if name == "bulla_verify_stale_total" => STALE,
                None => return None,
            };
            Some((reason.to_owned(), count.to_owned()))
        };
        page.lines().filter_map(counted).collect()
    }
}

fn by_answer(status: u16, answer: &Value) -> &'static str {
    match (status, answer["active"].as_bool(), answer["error"].as_str()) {
        (200, Some(true), None) => ACTIVE,
        (200, Some(false), None) => "inactive",
        (200, Some(false), Some("insufficient_scope")) => "scope",
        (200, Some(false), Some("could_not_tell")) | (503, ..) => STALE,
        _ => panic!("{status} {answer}"),
    }
}

fn by_status(status: i32) -> &'static str {
    match status {
        200 => ACTIVE,
        401 => "inactive",
        403 => "scope",
        503 => STALE,
        other => panic!("{other}"),
    }
}

fn said(expected: &'static str) -> Said {
    let verdict = match expected {
        ACTIVE | STALE | "scope" => expected,
        UNCHECKED => STALE,
        _ => "inactive",
    };
    Said { verdict, reason: if [ACTIVE, UNCHECKED].contains(&expected) { String::new() } else { expected.to_owned() } }
}

/// What an edge says, which knows neither hashes nor imported keys.
fn at_edge(case: &Case) -> &'static str {
    match case.name {
        "a secret half" | "a wrong secret half" => UNCHECKED,
        "imported" | "imported and revoked" => "malformed",
        _ => case.expected,
    }
}

/// Where nothing is accepted. No hash is computed in vain. What is refused anyway is refused.
fn while_stale(expected: &'static str) -> &'static str {
    if matches!(expected, ACTIVE | UNCHECKED | "secret_wrong") { STALE } else { expected }
}

#[test]
fn every_way_of_verifying_says_the_same() {
    let world = World::new();
    let cases = world.cases();
    let (node, edge) = (&world.node, &world.edge);
    let end = node.server.admin.get("/v1/followers").json()["end"].as_u64().expect("the end of the log");
    edge.server.until("what was revoked", |edge| {
        let page = |server: &Server| server.data.get("/readyz").json()["degraded"].to_string();
        edge.metric("bulla_follow_seq") >= end && page(edge) == "[]"
    });
    for case in &cases {
        for (place, expected) in [(node, case.expected), (edge, at_edge(case))] {
            for (way, heard) in place.asked(case) {
                assert_eq!(heard, said(expected), "{way}: {}", case.name);
            }
            if case.scope.is_none() {
                assert_eq!(place.introspected(case), said(expected), "introspect: {}", case.name);
            }
        }
        assert_eq!(world.command(case), said(case.expected), "bulla verify: {}", case.name);
        let as_administrator = node.server.admin.bearer(&case.text).get("/v1/keyring").status;
        let is_administrator = case.name == "an administrator's";
        assert_eq!(as_administrator, if is_administrator { 200 } else { 401 }, "the admin plane: {}", case.name);
    }

    world.deployment.store().hide_log();
    for place in [node, edge] {
        place.server.until("the limit", |server| server.data.get("/readyz").status == 503);
    }
    for case in &cases {
        for (place, expected) in [(node, case.expected), (edge, at_edge(case))] {
            for (way, heard) in place.asked(case) {
                assert_eq!(heard, said(while_stale(expected)), "{way}, stale: {}", case.name);
            }
        }
        if case.scope.is_none() {
            assert_eq!(edge.introspected(case), said(while_stale(at_edge(case))), "introspect, stale: {}", case.name);
        }
    }
    assert_eq!(node.server.admin.get("/v1/keyring").status, 503, "an administrator's, stale");
    world.deployment.store().show_log();
    for place in [node, edge] {
        place.server.until("the end of it", |server| server.data.get("/readyz").status == 200);
    }

    for case in &cases {
        let ended = node.server.data.request("POST", "/v1/self-revoke", &[("x-api-key", &case.text)], "");
        assert_eq!(ended.status, case.ends, "self-revoke: {}", case.name);
    }
}
