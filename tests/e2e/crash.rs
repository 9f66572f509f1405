//! Nothing acknowledged is lost: a server is killed again and again amid a stream of changes.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::{
    deployment::{APP, Deployment},
    server::Server,
    stop::StopOnDrop,
};

const KILLS: u64 = 200;
const CLIENTS: u64 = 3;

/// Numbers that look random and come again with the seed (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// What a client was told of a key.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    Active,
    Suspended,
    Revoked,
    /// The last request about it was not answered: either may hold.
    Nothing,
}

#[derive(Debug)]
struct Key {
    text: String,
    told: Told,
}

/// One client's stream of changes until nobody answers; it counts those that were.
fn stream(server: &Server, keys: &mut Vec<Key>, seed: u64, (stop, done): (&AtomicBool, &AtomicU64)) {
    let mut numbers = Numbers(seed);
    while !stop.load(Ordering::Relaxed) {
        let known = keys.iter().filter(|key| key.told != Told::Revoked && key.told != Told::Nothing).count() as u64;
        let action = if known < 4 { 0 } else { numbers.below(6) };
        if action == 0 {
            let Some(issued) = server.admin.try_post("/v1/api-keys", &json!({"realm": "live", "app_id": APP})) else {
                return;
            };
            assert_eq!(issued.status, 201, "{}", issued.body);
            keys.push(Key { text: text(&issued.json()), told: Told::Active });
            done.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let nth = usize::try_from(numbers.below(known)).expect("small");
        let of = |key: &&mut Key| key.told != Told::Revoked && key.told != Told::Nothing;
        let key = keys.iter_mut().filter(of).nth(nth).expect("one of them");
        let (before, path) = (key.told, format!("/v1/api-keys/{}", &key.text[..27]));
        key.told = Told::Nothing;
        let answer = match action {
            1 | 2 => server.admin.try_request("DELETE", &path),
            3 => server.admin.try_post(&format!("{path}/suspend"), &json!({})),
            4 => server.admin.try_post(&format!("{path}/resume"), &json!({})),
            _ => server.admin.try_post(&format!("{path}/reroll"), &json!({"grace": "0s"})),
        };
        let Some(answer) = answer else { return };
        key.told = match (action, before, answer.status) {
            (1 | 2, _, 200) => Told::Revoked,
            (3, _, 200) => Told::Suspended,
            (4, _, 200) => Told::Active,
            (5, Told::Active, 201) => Told::Revoked,
            (5, Told::Suspended, 409) => Told::Suspended,
            _ => panic!("{action} of {before:?}: {} {}", answer.status, answer.body),
        };
        done.fetch_add(1, Ordering::Relaxed);
        if answer.status == 201 {
            keys.push(Key { text: text(&answer.json()), told: Told::Active });
        }
    }
}

fn text(issued: &Value) -> String {
    issued["api_key"].as_str().expect("a key").to_owned()
}

/// Holds what the server says of every key to what was told, and its list in memory to its ledger.
fn check(server: &Server, keys: &mut [Key], round: u64) {
    for part in keys.chunks_mut(1_000) {
        let texts: Vec<&str> = part.iter().map(|key| key.text.as_str()).collect();
        let verified = server.data.post("/v1/verify/batch", &json!({"api_keys": texts})).json();
        for (key, result) in part.iter_mut().zip(verified["results"].as_array().expect("results")) {
            let active = result["active"] == true;
            if key.told == Told::Nothing {
                // From here on it is known.
                let shown = server.admin.get(&format!("/v1/api-keys/{}", &key.text[..27])).json();
                key.told = match shown["state"].as_str() {
                    Some("active") => Told::Active,
                    Some("suspended") => Told::Suspended,
                    Some("revoked") => Told::Revoked,
                    _ => panic!("round {round}: {shown}"),
                };
            }
            assert_eq!(active, key.told == Told::Active, "round {round}: {key:?}");
        }
    }
}

#[test]
fn two_hundred_kills_lose_nothing_that_was_acknowledged() {
    let deployment = Deployment::new();
    let mut numbers = Numbers(7);
    let mut keys: Vec<Vec<Key>> = (0..CLIENTS).map(|_| Vec::new()).collect();
    let mut server = Server::start(&deployment);
    for round in 0..KILLS {
        let moment = Duration::from_millis(5 + numbers.below(60));
        let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
        std::thread::scope(|scope| {
            let _stop = StopOnDrop(&stop);
            for (client, keys) in keys.iter_mut().enumerate() {
                let (server, flags) = (&server, (&stop, &done));
                scope.spawn(move || stream(server, keys, round * CLIENTS + client as u64, flags));
            }
            // A slow machine has done nothing by then.
            server.until("the first change", |_| done.load(Ordering::Relaxed) > 0);
            std::thread::sleep(moment);
            server.signal("KILL");
            stop.store(true, Ordering::Relaxed);
        });
        drop(server);
        server = Server::start(&deployment);
        keys.iter_mut().for_each(|keys| check(&server, keys, round));
    }
    let done: usize = keys.iter().map(Vec::len).sum();
    assert!(done > 50, "the stream did run: {done} keys");
    // The whole ledger against the list in memory: a key is accepted if and only if the ledger calls it active.
    let number = |query: &str| deployment.store().number(query);
    assert_eq!(number("SELECT count(*) FROM audit"), number("SELECT max(seq) FROM audit"), "no gap");
    assert_eq!(number("SELECT min(seq) FROM audit"), 1);
    let in_force = number("SELECT count(*) FROM revocations WHERE kind IN ('revoke', 'suspend')");
    assert_eq!(server.metric("bulla_revocations"), in_force.unsigned_abs(), "the list in memory is the store's");
    let of = |action: &str| number(&format!("SELECT count(*) FROM audit WHERE action = '{action}'"));
    let keys_on_record = number("SELECT count(*) FROM api_keys");
    assert_eq!(of("api_key.issue") + of("api_key.reroll"), keys_on_record, "every key on record is in the audit");
    let revoked = number("SELECT count(*) FROM api_keys WHERE revoked_at IS NOT NULL");
    assert_eq!(of("api_key.revoke") + of("api_key.reroll"), revoked);
}
