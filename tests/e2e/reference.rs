//! Both ways against an implementation that was written from docs/FORMAT.md alone.

use serde_json::{Value, json};

use crate::support::{
    deployment::{APP, Deployment, altered},
    reference::Reference,
    server::Server,
};

/// A small generator of our own: the same cases in every run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

fn merged(base: &Value, more: Value) -> Value {
    let mut all = base.clone();
    for (name, value) in more.as_object().expect("an object") {
        all[name] = value.clone();
    }
    all
}

fn now() -> u64 {
    std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs()
}

#[test]
fn what_the_reference_issues_bulla_accepts() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let keyring = deployment.reference_keyring();
    let version = merged(&keyring["versions"][0], json!({"op": "issue", "keyring_id": keyring["keyring_id"]}));
    let mut reference = Reference::start();
    let now = now();
    for (claims, wanted) in [
        (json!({}), json!({})),
        (json!({"scope": "a b"}), json!({"scopes": ["b", "a"]})),
        (json!({"aud": ["shop", "store"]}), json!({"audience": "store"})),
        (json!({"aud": "shop"}), json!({"audience": "shop"})),
        (json!({"cidr": ["10.0.0.0/8", "2001:db8::/32"]}), json!({"ip": "2001:db8::1"})),
        (json!({"nbf": now - 5, "meta": {"a": "b", "aa": "c"}}), json!({})),
    ] {
        for expires_at in [0, now + 600] {
            let issue =
                json!({"realm": "live", "app_id": APP, "issued_at": now, "expires_at": expires_at, "claims": claims});
            let issued = reference.ask(&merged(&version, issue));
            let answer = server.data.post("/v1/verify", &merged(&wanted, json!({"api_key": issued["api_key"]})));
            assert_eq!((answer.status, &answer.json()["active"]), (200, &json!(true)), "{claims}: {}", answer.body);
            assert_eq!(answer.json()["app_id"], APP);
        }
    }
}

#[test]
fn what_bulla_issues_the_reference_accepts() {
    let deployment = Deployment::new();
    let keyring = deployment.reference_keyring();
    let mut reference = Reference::start();
    for more in [
        vec![],
        vec!["--ttl", "90d"],
        vec!["--scope", "a", "--scope", "b", "--meta", "bb=1", "--meta", "a=2"],
        vec!["--audience", "shop", "--cidr", "192.0.2.0/24"],
    ] {
        let issued = deployment.issue("live", &more);
        let question = json!({
            "op": "verify", "api_key": issued["api_key"], "realms": ["live"], "now": now() + 1,
            "audience": "shop", "ip": "192.0.2.1", "scopes": issued["scopes"],
        });
        let verdict = reference.ask(&merged(&keyring, question));
        assert_eq!(verdict["verdict"], "accepted", "{more:?}: {verdict}");
        for field in ["api_key_id", "realm", "version", "app_id", "scopes", "meta"] {
            assert_eq!(verdict[field], issued[field], "{field}");
        }
    }
}

#[test]
fn on_thousands_of_altered_keys_both_say_the_same() {
    const BATCHES: usize = 5;
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let keyring = deployment.reference_keyring();
    let mut reference = Reference::start();
    let genuine: Vec<String> = [vec![], vec!["--scope", "a"], vec!["--meta", "k=v", "--ttl", "1h"]]
        .iter()
        .map(|more| deployment.issue_text("live", more))
        .collect();
    let mut draw = Draw(7);
    let mut accepted = 0;
    for _ in 0..BATCHES {
        let keys: Vec<String> = (0..1_000).map(|_| alter(&genuine[draw.below(genuine.len())], &mut draw)).collect();
        let now = now();
        let results = server.data.post("/v1/verify/batch", &json!({"api_keys": keys})).json();
        for (key, result) in keys.iter().zip(results["results"].as_array().expect("results")) {
            let question = json!({"op": "verify", "api_key": key, "realms": ["live"], "now": now});
            let verdict = reference.ask(&merged(&keyring, question));
            assert_eq!(result["active"], verdict["verdict"] == "accepted", "{key}: {verdict}");
            accepted += usize::from(result["active"] == true);
        }
    }
    assert!(accepted > 50 && accepted < 1_000, "{accepted} unaltered ones among them");
}

/// The key as it is (rarely), or with a character exchanged, dropped, doubled or two swapped, mostly under a right
/// checksum.
fn alter(key: &str, draw: &mut Draw) -> String {
    const LETTERS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-";
    let at = draw.below(key.len());
    let letter = char::from(LETTERS[draw.below(LETTERS.len())]);
    let body = &key[..key.len() - 6];
    let within = draw.below(body.len() - 1);
    let changed = match draw.below(20) {
        0 => return key.to_owned(),
        1..=10 => return altered(key, at, letter),
        11 | 12 => format!("{}{}", &body[..within], &body[within + 1..]),
        13 | 14 => format!("{}{letter}{}", &body[..within], &body[within..]),
        15 | 16 => {
            let mut bytes = body.as_bytes().to_vec();
            bytes.swap(within, within + 1);
            String::from_utf8(bytes).expect("ASCII")
        }
        17 => return key[..at].to_owned(),
        18 => format!("{body}_{}", "a".repeat(44)),
        _ => format!("x{body}"),
    };
    bulla::forged::with_checksum(&changed)
}
