//! Every door that takes a number, a length of time or a time: whatever comes is done or clearly refused, and what is
//! stored can be read afterwards.

use serde_json::{Value, json};

use crate::support::{
    deployment::{APP, Deployment},
    server::Server,
};

const SPANS: [&str; 22] = [
    "0s",
    "1s",
    "250ms",
    "90d",
    "29200d",
    "36500d",
    "49710d",
    "49711d",
    "4294967295s",
    "4294967296s",
    "7101w",
    "7102w",
    "631107417600s",
    "9223372036854775807s",
    "9223372036854775808s",
    "100000000000w",
    "-1s",
    "-36500d",
    "1y",
    "1e9s",
    "NaN",
    "",
];

const TIMES: [&str; 18] = [
    "1969-12-31T23:59:59Z",
    "1970-01-01T00:00:00Z",
    "1970-01-01T00:00:01Z",
    "2026-12-31T23:59:60Z",
    "2026-12-31T24:00:00Z",
    "2038-01-19T03:14:08Z",
    "2106-02-07T06:28:14Z",
    "2106-02-07T06:28:15Z",
    "2106-02-07T06:28:15.5Z",
    "2106-02-07T06:28:16Z",
    "9999-12-30T22:00:00Z",
    "9999-12-31T23:59:59Z",
    "10000-01-01T00:00:00Z",
    "-009999-01-02T00:00:00Z",
    "-000001-01-01T00:00:00Z",
    "1795000000",
    "soon",
    "",
];

const NUMBERS: [&str; 18] = [
    "0",
    "1",
    "-1",
    "1000",
    "1001",
    "2147483647",
    "2147483648",
    "4294967294",
    "4294967295",
    "4294967296",
    "9007199254740992",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1.5",
    "1e3",
    "",
];

fn id_of(key: &str) -> String {
    key.parse::<bulla::ApiKey>().expect("an API key").id().to_string()
}

/// What is revoked now is rejected at once, and the service knows of nothing that it cannot read.
fn revoking_works(deployment: &Deployment, server: &Server, behind: &str) {
    let key = deployment.issue_text("test", &[]);
    let active = || {
        let body = json!({"api_key": key, "realms": ["test"]});
        server.data.post("/v1/verify", &body).json()["active"] == true
    };
    assert!(active(), "{behind}");
    let revoked = server.admin.request("DELETE", &format!("/v1/api-keys/{}", id_of(&key)), &[], "");
    assert_eq!((revoked.status, active()), (200, false), "{behind}");
    server.until(behind, |server| server.data.get("/readyz").json()["degraded"] == json!([]));
    assert_eq!(deployment.run(&["verify", "--realm", "test", &key]).code, 1, "{behind}");
}

/// Whether a command is done; otherwise it must be clearly refused.
fn is_done(deployment: &Deployment, arguments: &[&str]) -> bool {
    let ran = deployment.run(arguments);
    assert!([0, 1, 2, 64].contains(&ran.code), "{arguments:?}: {} {}", ran.code, ran.err);
    assert!(!ran.err.contains("panicked") && !ran.err.contains("the store failed"), "{arguments:?}: {}", ran.err);
    ran.code == 0
}

#[test]
fn the_log_can_be_read_after_anything_over_the_admin_plane() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let (new, secret) = (|| deployment.issue_text("live", &[]), || deployment.issue_text("live", &["--secret"]));
    let issue = |more: Value| {
        let mut body = json!({"realm": "live", "app_id": APP});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        server.admin.post("/v1/api-keys", &body).status
    };
    let reroll = |what: &str, key: String, body: Value| {
        server.admin.post(&format!("/v1/api-keys/{}/{what}", id_of(&key)), &body).status
    };
    let clear = |status: u16, what: &str| {
        assert!((200..300).contains(&status) || (400..500).contains(&status), "{what}: {status}");
        (200..300).contains(&status)
    };
    let mut taken = 0;
    for span in SPANS {
        let doors = [
            ("expires_in", issue(json!({"expires_in": span}))),
            ("grace", reroll("reroll", new(), json!({"grace": span}))),
            ("reroll's expires_in", reroll("reroll", new(), json!({"expires_in": span}))),
            ("secret's grace", reroll("reroll-secret", secret(), json!({"grace": span}))),
        ];
        for (door, status) in doors {
            taken += usize::from(clear(status, &format!("{door} {span:?}")));
        }
    }
    revoking_works(&deployment, &server, "lengths of time");
    for time in TIMES {
        let doors = [
            ("expires_at", issue(json!({"expires_at": time}))),
            ("reroll's expires_at", reroll("reroll", new(), json!({"expires_at": time}))),
            ("app", server.admin.post("/v1/revocations", &json!({"app_id": APP, "issued_before": time})).status),
            ("realm", server.admin.post("/v1/revocations", &json!({"realm": "live", "issued_before": time})).status),
        ];
        for (door, status) in doors {
            taken += usize::from(clear(status, &format!("{door} {time:?}")));
        }
    }
    revoking_works(&deployment, &server, "times");
    assert!((20..60).contains(&taken), "{taken} of them fit");
    let feed = server.data.bearer(&deployment.issue_text("bulla", &["--scope", "feed"]));
    for number in NUMBERS {
        for path in [
            format!("/v1/audit?after={number}"),
            format!("/v1/audit?limit={number}"),
            format!("/v1/api-keys?limit={number}"),
            format!("/v1/api-keys?cursor={number}"),
            format!("/v1/revocations?after={number}"),
        ] {
            let status = server.admin.get(&path).status;
            // Without a key for it there is no feed here, and that is said.
            assert!(status < 500, "{path}: {status}");
            assert!(!path.contains("revocations") || feed.get(&path).status < 500, "{path}");
        }
        let path = format!("/v1/keyring/versions/{}/activate", if number.is_empty() { "-" } else { number });
        let status = server.admin.request("POST", &path, &[("content-type", "application/json")], "{}").status;
        assert!(status < 500, "{path}: {status}");
        let body = format!("{{\"realm\":\"live\",\"app_id\":\"{APP}\",\"expires_in\":{number}}}");
        let headers = [("content-type", "application/json")];
        clear(server.admin.request("POST", "/v1/api-keys", &headers, &body).status, &body);
        let body = format!("{{\"app_id\":\"{APP}\",\"issued_before\":{number}}}");
        clear(server.admin.request("POST", "/v1/revocations", &headers, &body).status, &body);
    }
    for span in SPANS {
        let status = feed.get(&format!("/v1/revocations?after=0&wait={span}")).status;
        assert!(status < 500, "{span}");
    }
    revoking_works(&deployment, &server, "numbers");
    server.stop();
    let server = Server::start(&deployment);
    revoking_works(&deployment, &server, "a restart");
}

#[test]
fn the_log_can_be_read_after_anything_by_the_command() {
    let deployment = Deployment::new();
    let clear = |arguments: &[&str]| is_done(&deployment, arguments);
    let mut taken = 0;
    for span in SPANS {
        let (key, secret) = (deployment.issue_text("live", &[]), deployment.issue_text("live", &["--secret"]));
        let grace = format!("--grace={span}");
        taken += usize::from(clear(&["issue", "--realm", "live", "--app", APP, &format!("--ttl={span}")]));
        taken += usize::from(clear(&["keys", "reroll", &id_of(&key), &grace]));
        taken += usize::from(clear(&["keys", "reroll-secret", &id_of(&secret), &grace]));
    }
    for time in TIMES {
        taken += usize::from(clear(&[
            "revoke",
            "--yes",
            "--app",
            APP,
            "--realm",
            "live",
            &format!("--issued-before={time}"),
        ]));
        let row = json!({"app_id": APP, "hash": "2c310d412efe7019f41a361db90a53749cd96831ec08a386c4d6051f6a8a40b4",
                         "issued_at": time, "expires_at": time});
        let ran =
            deployment.run_with(&["keys", "import", "-", "--realm", "live", "--scheme", "sha256"], &row.to_string());
        assert!([0, 1, 2].contains(&ran.code) && !ran.err.contains("panicked"), "{time}: {} {}", ran.code, ran.err);
    }
    for number in NUMBERS {
        clear(&["audit", &format!("--after={number}")]);
        clear(&["audit", &format!("--limit={number}")]);
        clear(&["keys", "list", &format!("--limit={number}")]);
        clear(&["keyring", "activate", number]);
    }
    assert!((10..60).contains(&taken), "{taken} of them fit");
    let server = Server::start(&deployment);
    revoking_works(&deployment, &server, "the command");
}

#[test]
fn every_value_of_the_configuration_is_taken_or_named() {
    let deployment = Deployment::new();
    for name in [
        "BULLA_KEYRING__REFRESH_INTERVAL",
        "BULLA_SECRET__CACHE_TTL",
        "BULLA_SECRET__SCRUB_INTERVAL",
        "BULLA_FEED__VALID_FOR",
        "BULLA_ASSERTION__VALID_FOR",
        "BULLA_LAST_USED__FLUSH_INTERVAL",
        "BULLA_VERIFY__MAX_STALENESS",
        "BULLA_ROTATION__EVERY",
        "BULLA_SERVER__HEAD_TIMEOUT",
        "BULLA_SERVER__BODY_TIMEOUT",
        "BULLA_SERVER__IDLE_TIMEOUT",
        "BULLA_SERVER__SHUTDOWN_GRACE",
    ] {
        for span in ["49710d", "49711d", "631107417600s", "100000000000w", "-1s"] {
            let mut command = crate::support::command::bulla(deployment.path());
            let ran = crate::support::command::finish(command.args(["doctor"]).env(name, span), "");
            assert!([0, 1, 2].contains(&ran.code) && !ran.err.contains("panicked"), "{name}={span}: {}", ran.err);
            assert_eq!(ran.code != 0, span != "49710d", "{name}={span}: {} {}", ran.out, ran.err);
        }
        let server = Server::start_with(&deployment, &[(name, "49710d")]);
        assert_eq!(server.data.get("/healthz").status, 200, "{name}");
    }
}

#[test]
fn every_time_of_a_command_is_held_as_it_is_or_refused() {
    let deployment = Deployment::new();
    let mut taken = 0;
    for time in TIMES {
        let (key, expires) = (deployment.issue_text("live", &[]), format!("--expires-at={time}"));
        taken += usize::from(is_done(&deployment, &["issue", "--realm", "live", "--app", APP, &expires]));
        taken += usize::from(is_done(&deployment, &["keys", "reroll", &id_of(&key), &expires]));
    }
    assert!((2..20).contains(&taken), "{taken} of them fit");
    let limits = || deployment.run(&["keyring", "limit", "1", "--json"]).ok().json();
    let mut taken = 0;
    for time in TIMES {
        for (option, field) in [("--seal-until", "seal_until"), ("--verify-until", "verify_until")] {
            let before = limits()[field].clone();
            let done = is_done(&deployment, &["keyring", "limit", "1", "--yes", &format!("{option}={time}")]);
            let at = |text: &Value| text.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
            let after = limits()[field].clone();
            assert_eq!(at(&after), if done { time.parse().ok() } else { at(&before) }, "{option}={time}: {after}");
            taken += usize::from(done);
        }
    }
    assert!((10..30).contains(&taken), "{taken} of them fit");
    deployment.run(&["keyring", "limit", "1", "--no-seal-until", "--no-verify-until"]).ok();
    for span in SPANS {
        let key = deployment.issue_text("live", &[]);
        is_done(&deployment, &["revoke", &id_of(&key), &format!("--wait={span}")]);
    }
    let server = Server::start(&deployment);
    revoking_works(&deployment, &server, "times of commands");
}

#[test]
fn the_fleet_can_be_read_after_any_numbers_of_a_follower() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let edge = server.data.bearer(&deployment.issue_text("bulla", &["--scope", "feed"]));
    let id = id_of(&deployment.issue_text("live", &[]));
    let send = |path: &str, body: &str| {
        let status = edge.request("POST", path, &[("content-type", "application/json")], body).status;
        assert!(status == 200 || (400..500).contains(&status), "{path} {body}: {status}");
        let fleet = server.admin.get("/v1/followers");
        assert_eq!(fleet.status, 200, "{body}: {}", fleet.body);
        usize::from(status == 200)
    };
    let mut taken = 0;
    let with = |number: &str, version: &str| {
        let numbers = ["seq", "this_update", "keyring_serial", "refused", "started_at"]
            .map(|field| format!("\"{field}\":{number}"));
        let report =
            "\"name\":\"edge\",\"role\":\"edge\",\"version\":\"9\",\"formats\":[\"feed/1\"],\"realms\":[\"live\"]";
        format!("{{\"followers\":[{{{report},\"versions\":[{version}],{}}}]}}", numbers.join(","))
    };
    for number in NUMBERS {
        taken += send("/v1/followers", &with(number, "1"));
        taken += send("/v1/followers", &with("0", number));
        for (at, count) in [(number, "1"), ("1", number)] {
            let used = format!("{{\"api_key_id\":\"{id}\",\"last_used_at\":{at},\"count\":{count}}}");
            taken += send("/v1/followers/uses", &format!("{{\"uses\":[{used}]}}"));
        }
        let page = server.admin.get(&format!("/v1/followers?limit={number}"));
        assert!(page.status < 500, "limit={number}: {}", page.status);
        assert_eq!(server.admin.get(&format!("/v1/api-keys/{id}")).status, 200, "{number}");
    }
    assert!((20..60).contains(&taken), "{taken} of them fit");
    deployment.run(&["fleet", "--json"]).ok();
    for span in SPANS {
        let key = id_of(&deployment.issue_text("live", &[]));
        for (method, path, body) in
            [("POST", format!("/v1/api-keys/{key}/suspend"), "{}"), ("DELETE", format!("/v1/api-keys/{key}"), "")]
        {
            // It waits for this follower in vain, for a second at most.
            let headers = [("content-type", "application/json")];
            let status = server.admin.request(method, &format!("{path}?wait={span}"), &headers, body).status;
            assert!(status < 500, "{method} {path}?wait={span}: {status}");
        }
    }
    assert_eq!(server.admin.request("DELETE", "/v1/followers/edge", &[], "").status, 200);
    revoking_works(&deployment, &server, "numbers of followers");
}

#[test]
fn keys_of_every_lifetime_are_issued_or_clearly_refused() {
    let deployment = Deployment::new();
    let run = |arguments: &[&str], environment: &[(&str, &str)]| {
        let ran = deployment.run_in(arguments, environment);
        assert!([0, 1, 2, 64].contains(&ran.code) && !ran.err.contains("panicked"), "{environment:?}: {}", ran.err);
        ran.code == 0
    };
    let old_system = ("BULLA_REALMS__LIVE__OLD_SYSTEM__EXEC", "[\"/bin/true\"]");
    for span in SPANS {
        let [usual, most] = ["BULLA_REALMS__LIVE__DEFAULT_TTL", "BULLA_REALMS__LIVE__MAX_TTL"].map(|name| (name, span));
        run(&["issue", "--realm", "live", "--app", APP], &[usual, most]);
        run(&["issue", "--realm", "live", "--app", APP, "--ttl=1d"], &[most]);
        let spans = ["TIMEOUT", "NEGATIVE_TTL"].map(|name| format!("BULLA_REALMS__LIVE__OLD_SYSTEM__{name}"));
        let [timeout, negative_ttl] = [0, 1].map(|at| (spans[at].as_str(), span));
        run(&["issue", "--realm", "live", "--app", APP], &[old_system, timeout, negative_ttl]);
    }
    let longest = "49710d";
    let server = Server::start_with(
        &deployment,
        &[
            ("BULLA_REALMS__LIVE__DEFAULT_TTL", longest),
            ("BULLA_REALMS__LIVE__MAX_TTL", longest),
            ("BULLA_REALMS__TEST__OLD_SYSTEM__EXEC", "[\"/bin/true\"]"),
            ("BULLA_REALMS__TEST__OLD_SYSTEM__TIMEOUT", longest),
            ("BULLA_REALMS__TEST__OLD_SYSTEM__NEGATIVE_TTL", longest),
        ],
    );
    let issued = server.admin.post("/v1/api-keys", &json!({"realm": "live", "app_id": APP}));
    assert_eq!(issued.status, 400, "such a key would live beyond what it can hold: {}", issued.body);
    revoking_works(&deployment, &server, "lifetimes of realms");
}
