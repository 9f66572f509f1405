//! The example that the documentation shows, as a process of its own: keys in its requests, revocations from a feed.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::UNIX_EPOCH,
};

use bulla::{
    ApiKey, IssueRequest, Issuer, Realm,
    claims::Claims,
    keyring::{Keyring, Suite, VersionState},
    revocation::Change,
};
use ureq::{Agent, http::header};

use crate::{
    feed_server::{FeedServer, public_key},
    fixture::{self, Folder, KEYRING_ID, MAC_KEY, MASTER_7, MASTER_8, Version},
};

const FEED_API_KEY: &str =
    "acme_live_00000XzbyFf5rOyRXQyt8VBSvX0TttKnpE6rUC8OjIcD0Yz3vNjR2yDFG2GcEwSPgHG8CNAVonv5o33Sczw";

/// `cargo test` builds the examples beside the tests.
fn example() -> PathBuf {
    let test = std::env::current_exe().expect("this program");
    let built = test.ancestors().nth(2).expect("the target folder").join("examples/protected_api");
    assert!(built.exists(), "build it: cargo build -p bulla --features follow,tower --example protected_api");
    built
}

fn now() -> u64 {
    UNIX_EPOCH.elapsed().expect("the clock").as_secs()
}

struct Api {
    process: Child,
    address: String,
    agent: Agent,
}

impl Api {
    fn start(folder: &Folder, feed: &FeedServer) -> Self {
        let mut command = Command::new(example());
        command.args([folder.path("").as_os_str(), feed.address().as_ref(), public_key().to_string().as_ref()]);
        let mut process = command.stdout(Stdio::piped()).spawn().expect("should start");
        let mut address = String::new();
        let stdout = process.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut address).expect("a line");
        let agent = Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
        Api { process, address: address.trim().to_owned(), agent }
    }

    /// Status, challenge and body.
    fn orders(&self, key: Option<&str>) -> (u16, String, String) {
        let mut request = self.agent.get(format!("{}/orders", self.address));
        if let Some(key) = key {
            request = request.header("Authorization", format!("Bearer {key}"));
        }
        let mut response = request.call().expect("an answer");
        let challenge = response.headers().get(header::WWW_AUTHENTICATE);
        let challenge = challenge.map(|value| value.to_str().expect("ASCII").to_owned()).unwrap_or_default();
        (response.status().as_u16(), challenge, response.body_mut().read_to_string().expect("a body"))
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}

/// Another keyring than the API's, if `master` is another master key.
fn issue(master: [u8; 32], realm: &str, scope: &str) -> ApiKey {
    let realm: Realm = fixture::realm(realm);
    let keyring: Keyring = fixture::keyring(
        &[Version::new(7, Suite::Aes256Gcm, VersionState::Active, master)],
        std::slice::from_ref(&realm),
    );
    let claims = Claims::new().with_scopes([scope]);
    let request = IssueRequest { realm, app_id: uuid::Uuid::max(), expires_at: Some(now() + 3600), claims };
    Issuer::new(&keyring).issue(&request, now()).expect("should issue")
}

#[test]
fn the_example_protects_its_route() {
    let folder = Folder::new();
    let version = Version::new(7, Suite::Aes256Gcm, VersionState::Active, MASTER_7);
    folder.key("master-7.key", &MASTER_7);
    folder.key("keyring-mac.key", &MAC_KEY);
    folder.put("keyring.toml", fixture::document(KEYRING_ID, &[version]), 0o644);
    folder.put("feed-api-key.txt", FEED_API_KEY, 0o600);
    let [good, to_be_revoked] = [(); 2].map(|()| issue(MASTER_7, "live", "orders.read"));
    let revoke = |key: &ApiKey| Change::Revoke { id: key.id(), expires_at: None };

    let feed = FeedServer::start(FEED_API_KEY, now);
    feed.change(|log| log.failing = Some(503));
    let api = Api::start(&folder, &feed);
    feed.asked_from(0);
    assert_eq!(api.orders(Some(good.expose())).0, 503, "it does not know the revocations yet");
    feed.change(|log| log.failing = None);
    let end = feed.append(&[revoke(&issue(MASTER_7, "live", "orders.read"))]);
    feed.asked_from(end);

    let orders = format!("the orders of {}\n", uuid::Uuid::max());
    for key in [&good, &to_be_revoked] {
        assert_eq!(api.orders(Some(key.expose())), (200, String::new(), orders.clone()));
    }
    let end = feed.append(&[revoke(&to_be_revoked)]);
    feed.asked_from(end);

    let none = (401, r#"Basic realm="bulla", Bearer"#.to_owned(), String::new());
    let invalid = (401, r#"Basic realm="bulla", Bearer error="invalid_token""#.to_owned(), String::new());
    assert_eq!(api.orders(Some(to_be_revoked.expose())), invalid, "revoked");
    assert_eq!(api.orders(Some(issue(MASTER_8, "live", "orders.read").expose())), invalid, "forged");
    assert_eq!(api.orders(Some(issue(MASTER_7, "test", "orders.read").expose())), invalid, "of another realm");
    assert_eq!(api.orders(None), none);
    let missing = (403, r#"Bearer error="insufficient_scope", scope="orders.read""#.to_owned(), String::new());
    assert_eq!(api.orders(Some(issue(MASTER_7, "live", "orders.write").expose())), missing);
    assert_eq!(api.orders(Some(good.expose())).0, 200);
}

#[test]
fn the_example_is_shorter_than_thirty_lines_and_stands_on_the_page() {
    let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(package.join("examples/protected_api.rs")).expect("the example");
    assert!(text.lines().count() < 30, "{}", text.lines().count());
    let page = fs::read_to_string(package.join("../docs/EMBEDDING.md")).expect("the page");
    assert!(page.contains(&format!("```rust\n{text}```\n")));
}
