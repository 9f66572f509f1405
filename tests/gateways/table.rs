//! What clients ask, and the outcome: the same for every gateway. A row says where one differs.

use std::time::{Duration, Instant};

use crate::gateways::{
    gateway::Gateway,
    inside,
    keys::Keys,
    outcome::{REACHES, outcome},
    question::Question,
    running::Running,
};

pub const NO_KEY: &str = "401 Basic realm=\"bulla\", Bearer";
/// A route that reads another header than `Authorization` does not challenge for Basic.
const NO_KEY_IN_THE_HEADER: &str = "401 Bearer";
const AMBIGUOUS: &str = "401 Basic realm=\"bulla\", Bearer error=\"invalid_request\"";
const SCOPE: &str = "403 Bearer error=\"insufficient_scope\", scope=\"orders.read\"";

type Row = (&'static str, Question, &'static str);

fn rows(keys: &Keys) -> Vec<Row> {
    let good = &keys.good;
    let ask = |target: &str| Question::new(good, target);
    let orders = || ask("/orders/7?page=2&q=a%20b");
    let body: Vec<u8> = (0..100_000_u32).map(|at| b'a' + at.to_le_bytes()[0] % 26).collect();
    let long = "x".repeat(10 * 1024);
    let jwt = "Bearer eyJhbGciOiJub25lIn0.e30.";
    let without_reports = |target: &str| Question::new(&keys.orders, target).x_api_key();
    let forged_identity = |question: Question| {
        let names = ["App-Id", "Api-Key-Id", "Realm", "Scopes", "Expires-At", "Assertion"];
        let forge = |question: Question, name: &str| question.with(&format!("X-Bulla-{name}"), "root");
        let once = names.into_iter().fold(question, forge);
        names.into_iter().fold(once, forge)
    };
    let aliases = |question: Question| {
        let names = [
            "X_Bulla_App_Id",
            "X.Bulla.App.Id",
            "X-Bulla_App.Id",
            "X!Bulla~App-Id",
            "x_bulla_scopes",
            "X_API_Key",
            "X.API.Key",
        ];
        names.into_iter().fold(question, |question, name| question.with(name, "root"))
    };
    vec![
        ("Bearer", orders().bearer(), REACHES),
        ("Basic", orders().basic(), REACHES),
        ("Basic, the key as the password", orders().basic_password(), REACHES),
        ("Basic, form-encoded", orders().basic_form_encoded(), REACHES),
        ("X-API-Key", orders().x_api_key(), REACHES),
        ("Bearer, and an X-API-Key that is empty", orders().bearer().with("X-API-Key", ""), REACHES),
        ("a key that never expires", Question::new(&keys.forever, "/orders/7").bearer(), REACHES),
        ("a body", orders().bearer().post(&body), REACHES),
        ("a chunked body", orders().bearer().post(&body).chunked(), REACHES),
        ("HEAD", orders().bearer().method("HEAD"), REACHES),
        ("OPTIONS", orders().bearer().method("OPTIONS"), REACHES),
        ("PROPFIND", orders().bearer().method("PROPFIND"), REACHES),
        ("a JWT beside the key", ask("/reports/7").x_api_key().with_own_authorization(jwt), REACHES),
        ("the client's own identity", forged_identity(orders().bearer()), REACHES),
        ("the same, empty in the answer", forged_identity(Question::new(&keys.forever, "/orders/7").bearer()), REACHES),
        ("aliases of headers", aliases(orders().bearer()), REACHES),
        (
            "headers of the gateway, named for removal",
            orders().bearer().with("Connection", "X-Bulla-App-Id, X-Bulla-Assertion, X-Forwarded-For, X-API-Key"),
            REACHES,
        ),
        ("the client's own address", orders().bearer().with("X-Forwarded-For", "192.0.2.9").from("127.0.0.2"), REACHES),
        ("a key bound to an address", Question::new(&keys.bound, "/orders/7").bearer().from("127.0.0.2"), REACHES),
        ("a path like requirements", ask("/orders/realm:test,scope:x?realm:test").bearer(), REACHES),
        ("HTTP/2", orders().bearer().http2(), REACHES),
        ("HTTP/2, identity and aliases", aliases(forged_identity(orders().x_api_key())).http2(), REACHES),
        ("a WebSocket", orders().bearer().upgrade(), REACHES),
        ("HTTP/2 in place of a WebSocket", orders().bearer().h2c(), REACHES),
        ("another protocol in its place", orders().bearer().upgrade_to("irc"), REACHES),
        ("a long header beside the key", orders().bearer().with("Cookie", &long), REACHES),
        ("no key", orders(), NO_KEY),
        ("a forged key", Question::new(&keys.forged, "/orders/7").bearer(), NO_KEY),
        ("an expired key", Question::new(&keys.expired, "/orders/7").bearer(), NO_KEY),
        ("a revoked key", Question::new(&keys.revoked, "/orders/7").bearer(), NO_KEY),
        ("another realm's key", Question::new(&keys.test_realm, "/orders/7").bearer(), NO_KEY),
        (
            "another realm's key, and a path like requirements",
            Question::new(&keys.test_realm, "/orders/realm:test,scope:orders.read?realm:test").bearer(),
            NO_KEY,
        ),
        (
            "a key bound to an address, and that in the client's own header",
            Question::new(&keys.bound, "/orders/7").bearer().with("X-Forwarded-For", "127.0.0.2"),
            NO_KEY,
        ),
        ("a key in the query", ask(&format!("/orders/7?api_key={0}&access_token={0}", good.text)), NO_KEY),
        ("a key where another header is read", ask("/reports/7").bearer(), NO_KEY_IN_THE_HEADER),
        ("a long header for a key", orders().with("X-API-Key", &long), NO_KEY),
        ("HTTP/2, a forged key", Question::new(&keys.forged, "/orders/7").bearer().http2(), NO_KEY),
        ("a WebSocket, a forged key", Question::new(&keys.forged, "/orders/7").bearer().upgrade(), NO_KEY),
        ("two credentials", orders().bearer().x_api_key(), AMBIGUOUS),
        ("Basic, a key in both halves", orders().basic_twice(), AMBIGUOUS),
        ("X-API-Key twice", orders().x_api_key().x_api_key(), AMBIGUOUS),
        ("Authorization twice", orders().bearer().bearer(), AMBIGUOUS),
        ("two keys with a comma", orders().with("X-API-Key", &format!("{0}, {0}", good.text)), AMBIGUOUS),
        ("HTTP/2, X-API-Key twice", orders().x_api_key().x_api_key().http2(), AMBIGUOUS),
        ("a missing scope", Question::new(&keys.reports, "/orders/7").x_api_key(), SCOPE),
        ("/orders/../reports/", without_reports("/orders/../reports/7"), "400"),
        ("/orders//../reports/", without_reports("/orders//../reports/7"), "400"),
        ("/orders/..;/reports/", without_reports("/orders/..;/reports/7"), "400"),
        ("/orders/%2e%2e/reports/", without_reports("/orders/%2e%2e/reports/7"), "400"),
        ("/orders/..%2freports/", without_reports("/orders/..%2freports/7"), "400"),
        ("/orders/..%5creports/", without_reports("/orders/..%5creports/7"), "400"),
        ("/orders/..\\reports/", without_reports("/orders/..\\reports/7"), "400"),
        ("/reports/..%2forders/", without_reports("/reports/..%2forders/7"), "400"),
        ("a path of no route", ask("/other").bearer(), "404"),
        ("a gateway's own path", ask("/_bulla/orders").bearer(), "404"),
    ]
}

/// Holds a gateway to the table, and beside that to refusing what it cannot ask about.
pub fn hold(gateway: &'static Gateway) {
    std::thread::scope(|scope| {
        scope.spawn(|| hold_to_refusing(gateway));
        hold_to_rows(gateway);
    });
}

fn hold_to_rows(gateway: &'static Gateway) {
    let mut running = Running::start(gateway);
    let keys = Keys::issue(&running.deployment);
    let good = Question::new(&keys.good, "/orders/7").bearer();
    // One that listens may still be reading its routes.
    until_it_reaches(&running, &good);
    let revoked = Question::new(&keys.revoked, "/orders/7").bearer();
    assert_eq!(outcome(&running, &revoked), REACHES, "a key before it is revoked");
    let path = format!("/v1/api-keys/{}", keys.revoked.id);
    assert_eq!(running.server().admin.request("DELETE", &path, &[], "").status, 200);
    if gateway.inside.is_some() {
        inside::refused_by_all(&running, &revoked);
    }
    assert_ne!(outcome(&running, &revoked), REACHES, "a revoked key is accepted: {}", running.log());
    keys.expire();

    let rows = rows(&keys);
    let mut wrong = Vec::new();
    for (row, _) in gateway.differs {
        assert!(rows.iter().any(|(name, ..)| name == row), "no row {row:?}");
    }
    for (name, question, expected) in &rows {
        let differs = gateway.differs.iter().find(|(row, _)| row == name);
        let expected = differs.map_or(*expected, |(_, expected)| *expected);
        let outcome = outcome(&running, question);
        if outcome != expected {
            wrong.push(format!("{name}: {outcome}, not: {expected}"));
        }
    }
    running.kill_server();
    let key = || Question::new(&keys.good, "/orders/7").x_api_key();
    for question in [key(), key().upgrade(), key().http2(), Question::new(&keys.good, "/orders/7").bearer()] {
        let outcome = outcome(&running, &question);
        if outcome != gateway.without_bulla {
            wrong.push(format!("without bulla: {outcome}, not: {}", gateway.without_bulla));
        }
    }
    running.start_server();
    until_it_reaches(&running, &good);
    let log = running.log();
    for question in rows.iter().map(|(_, question, _)| question) {
        assert!(!log.contains(&question.key.text), "a key in the log of {}: {log}", gateway.program);
    }
    assert!(wrong.is_empty(), "{}:\n{}\n{log}", gateway.program, wrong.join("\n"));
}

/// Nobody gets in on a route whose requirements do not parse, and while the service hangs.
fn hold_to_refusing(gateway: &'static Gateway) {
    if gateway.mistaken_route == inside::NO_START {
        return Running::refused(gateway, &[("realm:live,scope:orders.read", "nonsense")], "requirements");
    }
    let running = Running::start_impatient(gateway, &[("realm:live,scope:orders.read", "nonsense")]);
    let keys = Keys::issue(&running.deployment);
    let right = Question::new(&keys.good, "/reports/7").x_api_key();
    until_it_reaches(&running, &right);
    let mistaken = Question::new(&keys.good, "/orders/7").x_api_key();
    assert_eq!(outcome(&running, &mistaken), gateway.mistaken_route, "{}", running.log());
    running.stop_server();
    assert_eq!(outcome(&running, &right), gateway.hanging_bulla, "{}", running.log());
    running.continue_server();
    until_it_reaches(&running, &right);
}

/// Asks until it does.
pub fn until_it_reaches(running: &Running, question: &Question) {
    until(running, question, REACHES);
}

/// Asks until this is the outcome.
pub fn until(running: &Running, question: &Question, expected: &str) {
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        let outcome = outcome(running, question);
        if outcome == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{outcome}: {}", running.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}
