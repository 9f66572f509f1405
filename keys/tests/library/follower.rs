//! The follower, against a server on a socket.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bulla::{
    ApiKey, Expectations, IssueRequest, Issuer, Realm, SharedVerifier, Verifier, VerifyError,
    claims::Claims,
    feed::{FollowError, Follower, FollowerError, FollowerHandle, Format, SigningKey, VerifyingKey, WhenStale},
    keyring::{KeyVersion, KeyringId, Suite, VersionState},
    revocation::Change,
};
use zeroize::Zeroizing;

use crate::{
    feed_server::{FeedServer, public_key},
    fixture::{self, ISSUED, KEYRING_ID, MASTER_7, Version},
};

/// A worked example; to a feed in a test it is a password like any other.
const FEED_API_KEY: &str =
    "acme_live_00000XzbyFf5rOyRXQyt8VBSvX0TttKnpE6rUC8OjIcD0Yz3vNjR2yDFG2GcEwSPgHG8CNAVonv5o33Sczw";

/// A server, a verifier, two keys of it, and one clock for all.
struct World {
    server: FeedServer,
    verifier: SharedVerifier,
    one: ApiKey,
    other: ApiKey,
    now: Arc<AtomicU64>,
}

impl World {
    fn new() -> Self {
        let keyring = fixture::keyring(&[Version::new(7, Suite::Aes256Gcm, VersionState::Active, MASTER_7)], &realms());
        let issue = |realm| {
            let request = IssueRequest { realm, app_id: uuid::Uuid::max(), expires_at: None, claims: Claims::new() };
            Issuer::new(&keyring).issue(&request, ISSUED).expect("should issue")
        };
        let now = Arc::new(AtomicU64::new(ISSUED));
        let clock = Arc::clone(&now);
        World {
            server: FeedServer::start(FEED_API_KEY, move || clock.load(Ordering::SeqCst)),
            verifier: SharedVerifier::new(Verifier::new(&keyring)),
            one: issue(realms()[0]),
            other: issue(realms()[1]),
            now,
        }
    }

    fn follower(&self, key: VerifyingKey) -> Follower {
        let api_key: ApiKey = FEED_API_KEY.parse().expect("a key");
        Follower::new(&self.server.address(), &api_key, KeyringId::from_bytes(KEYRING_ID), key).expect("a follower")
    }

    fn start(&self, follower: Follower, when_stale: WhenStale) -> FollowerHandle {
        let clock = Arc::clone(&self.now);
        follower.start(&self.verifier, when_stale, move || clock.load(Ordering::SeqCst)).expect("should start")
    }

    fn follow(&self, when_stale: WhenStale) -> FollowerHandle {
        self.start(self.follower(public_key()), when_stale)
    }

    /// What the verifier makes of the two keys.
    fn verdicts(&self) -> [&'static str; 2] {
        let now = self.now.load(Ordering::SeqCst);
        [&self.one, &self.other].map(|key| {
            let verified = self.verifier.verify(key.expose(), &Expectations::realms(&realms()), now);
            verified.map_or_else(VerifyError::code, |_| "good")
        })
    }
}

fn realms() -> [Realm; 2] {
    ["acme_live", "acme_test"].map(fixture::realm)
}

fn revoke(key: &ApiKey) -> Change {
    Change::Revoke { id: key.id(), expires_at: None }
}

#[test]
fn what_the_server_tells_reaches_the_verifier_as_soon_as_it_happens() {
    let world = World::new();
    world.server.append(&[revoke(&world.one)]);
    let following = world.follow(WhenStale::GoOn);
    let asked = world.server.asked_from(1);
    assert!(asked.query.ends_with("after=1&wait=25s"), "{asked:?}");
    assert_eq!(world.verdicts(), ["revoked", "good"]);
    // The follower waits at the server now, and is told at once.
    world.server.append(&[Change::Suspend { id: world.other.id(), expires_at: None }]);
    world.server.asked_from(2);
    assert_eq!(world.verdicts(), ["revoked", "revoked"]);
    world.server.append(&[Change::Resume { id: world.other.id() }, Change::Resume { id: world.one.id() }]);
    world.server.asked_from(4);
    assert_eq!(world.verdicts(), ["revoked", "good"]);
    let status = following.status();
    assert_eq!((status.seq, status.complete, status.revocations, status.failures), (4, true, 1, 0));
    assert_eq!((status.fresh.as_ref().map(|fresh| *fresh.end()), status.keyring_serial), (Some(ISSUED + 60), 3));
    assert_eq!(status.stale_since(ISSUED), None);
}

#[test]
fn a_closed_version_is_refused_before_the_changed_keyring_is_loaded() {
    let world = World::new();
    world.server.change(|log| log.versions = vec![(KeyVersion::new(7).expect("a version"), VersionState::Compromised)]);
    let _following = world.follow(WhenStale::GoOn);
    world.server.append(&[revoke(&world.one)]);
    world.server.asked_from(1);
    assert_eq!(world.verdicts(), ["version_refused", "version_refused"]);
}

#[test]
fn a_log_of_several_messages_is_fetched_to_its_end() {
    let world = World::new();
    world.server.change(|log| log.page = 1);
    world.server.append(&[
        revoke(&world.one),
        Change::RevokeRealm { realm: realms()[1], issued_before: 1 },
        Change::RevokeApp { app_id: uuid::Uuid::max(), realm: None, issued_before: 1 },
        revoke(&world.other),
    ]);
    let _following = world.follow(WhenStale::CouldNotTell);
    world.server.asked_from(2);
    assert_eq!(world.verdicts()[1], "stale", "it has not reached the end");
    world.server.asked_from(4);
    assert_eq!(world.verdicts(), ["revoked", "revoked"]);
}

#[test]
fn until_the_end_of_the_log_and_past_its_time_a_cautious_verifier_accepts_nothing() {
    let world = World::new();
    world.server.change(|log| log.failing = Some(503));
    let following = world.follow(WhenStale::CouldNotTell);
    assert_eq!(world.verdicts(), ["stale", "stale"], "from the moment that it starts");
    assert_eq!(following.status().stale_since(ISSUED), Some(ISSUED));
    world.server.asked_from(0);
    world.server.change(|log| log.failing = None);
    world.server.append(&[revoke(&world.one)]);
    world.server.change(|log| log.valid_for = 10);
    world.server.asked_from(1);
    world.server.change(|log| log.failing = Some(503));
    assert_eq!(world.verdicts(), ["revoked", "good"]);
    // The clock stands still, and is set forward: the time that passes is what counts.
    world.now.store(ISSUED + 1000, Ordering::SeqCst);
    while following.status().fresh.is_none_or(|fresh| *fresh.end() < ISSUED + 1000) {
        std::thread::yield_now();
    }
    assert_eq!(world.verdicts(), ["revoked", "good"]);
    became_stale(&world, &following);
    assert_eq!(world.verdicts(), ["revoked", "stale"]);
    // Dropping it gives nothing back.
    drop(following);
    assert_eq!(world.verdicts(), ["revoked", "stale"]);
}

#[test]
fn one_that_goes_on_accepts_what_it_knows_nothing_against() {
    let world = World::new();
    world.server.append(&[revoke(&world.one)]);
    let following = world.follow(WhenStale::GoOn);
    assert_eq!(world.verdicts()[1], "good");
    world.server.change(|log| log.valid_for = 1);
    world.server.asked_from(1);
    world.server.change(|log| log.failing = Some(503));
    became_stale(&world, &following);
    assert_eq!(world.verdicts(), ["revoked", "good"]);
}

/// Waits until the follower is stale.
fn became_stale(world: &World, following: &FollowerHandle) {
    while following.status().stale_since(world.now.load(Ordering::SeqCst)).is_none() {
        std::thread::yield_now();
    }
}

#[test]
fn another_log_is_read_from_its_beginning_and_gives_nothing_back() {
    let world = World::new();
    world.server.append(&[revoke(&world.one)]);
    let _following = world.follow(WhenStale::GoOn);
    world.server.asked_from(1);
    world.server.change(|log| {
        (log.id, log.events) = ([0xf0; 16], Vec::new());
    });
    world.server.append(&[Change::RevokeRealm { realm: realms()[0], issued_before: 1 }, revoke(&world.other)]);
    world.server.asked_from(0);
    world.server.asked_from(2);
    assert_eq!(world.verdicts(), ["revoked", "revoked"]);
}

#[test]
fn messages_under_another_key_count_for_nothing() {
    let world = World::new();
    world.server.append(&[revoke(&world.one)]);
    let other = SigningKey::from_seed(&Zeroizing::new([8; 32])).verifying_key();
    let following = world.start(world.follower(other), WhenStale::GoOn);
    // The second question shows that the answer to the first was taken in.
    world.server.asked_from(0);
    world.server.asked_from(0);
    assert_eq!(world.verdicts(), ["good", "good"]);
    let error = following.status().last_error.expect("an error");
    assert_eq!(error.code(), "signature");
}

#[test]
fn an_api_key_that_does_not_open_the_feed_is_told() {
    let world = World::new();
    world.server.change(|log| log.api_key = "another".to_owned());
    let following = world.follow(WhenStale::GoOn);
    world.server.asked_from(0);
    world.server.asked_from(0);
    let status = following.status();
    assert!(matches!(status.last_error, Some(FollowError::Status(401))), "{status:?}");
    assert!(status.last_error.expect("an error").to_string().contains("realm `bulla`"));
    assert!(!status.complete && status.failures > 0);
}

#[test]
fn one_realm_is_followed_alone_where_that_is_asked_for() {
    let world = World::new();
    world.server.append(&[revoke(&world.one), revoke(&world.other)]);
    let _following = world.start(world.follower(public_key()).realm(realms()[0]), WhenStale::GoOn);
    let asked = world.server.asked_from(2);
    assert_eq!(asked.query, "after=2&wait=25s&realm=acme_live");
    assert_eq!(world.verdicts(), ["revoked", "good"]);
}

#[test]
fn one_that_was_dropped_changes_nothing_any_more() {
    let world = World::new();
    world.server.append(&[revoke(&world.one)]);
    let following = world.follow(WhenStale::GoOn);
    world.server.asked_from(1);
    drop(following);
    // Its question is still with the server, and gets an answer that nobody hears.
    world.server.append(&[revoke(&world.other)]);
    assert_eq!(world.verdicts(), ["revoked", "good"]);
}

#[test]
fn the_api_key_goes_to_no_address_where_others_could_read_it() {
    let api_key: ApiKey = FEED_API_KEY.parse().expect("a key");
    let new = |address: &str| Follower::new(address, &api_key, KeyringId::from_bytes(KEYRING_ID), public_key());
    for bad in [
        "http://bulla.example/v1/revocations",
        "https://user@bulla.example/v1/revocations",
        "bulla.example",
        "",
        "https://bulla.example/v1/revocations?after=0",
    ] {
        let error = new(bad).map(|_| ()).expect_err(bad);
        assert!(matches!(error, FollowerError::Address { .. }), "{bad}: {error}");
    }
    let good = new("https://bulla.example/v1/revocations").expect("a follower");
    assert!(!format!("{good:?}").contains(&FEED_API_KEY[32..]), "{good:?}");
    assert!(matches!(good.trusting_roots(b"no certificate"), Err(FollowerError::NoCertificate)));
}

#[test]
fn a_long_log_is_begun_with_a_snapshot_that_goes_on_where_it_was_cut_off() {
    let world = World::new();
    let many = (0..200_000_u64).map(|number| {
        let id = format!("acme_live_00000X{number:016}").parse().expect("an id");
        Change::Revoke { id, expires_at: None }
    });
    world.server.append(&many.collect::<Vec<_>>());
    world.server.append(&[revoke(&world.one)]);
    world.server.change(|log| (log.format, log.cut) = (Format::V2, 1_200_000));
    let following = world.follow(WhenStale::GoOn);
    let asked = world.server.asked_from(200_001);
    assert!(!asked.query.contains("wait"), "is there more? {asked:?}");
    assert!(world.server.asked_from(200_001).query.contains("wait"));
    assert_eq!(world.verdicts(), ["revoked", "good"]);
    let status = following.status();
    assert_eq!((status.seq, status.complete, status.revocations), (200_001, true, 200_001));
    assert_eq!((status.refused, status.diverged, status.failures), (0, 0, 0));
}

#[test]
fn without_a_snapshot_a_long_log_is_read_on() {
    let world = World::new();
    world.server.append(&[revoke(&world.one), revoke(&world.other)]);
    // Its body never comes whole.
    world.server.change(|log| (log.format, log.page, log.cut) = (Format::V2, 1, 10));
    let following = world.follow(WhenStale::GoOn);
    world.server.asked_from(2);
    assert_eq!(world.verdicts(), ["revoked", "revoked"]);
    assert_eq!(following.status().failures, 0);
}

#[test]
fn a_refused_message_is_counted_and_seen_and_the_last_good_state_stays() {
    for format in Format::ALL {
        let world = World::new();
        world.server.change(|log| log.format = format);
        world.server.append(&[revoke(&world.one)]);
        let following = world.follow(WhenStale::CouldNotTell);
        world.server.asked_from(1);
        // It waits at the server, and gets this.
        world.server.change(|log| log.instead = Some(b"{\"bulla\":\"feed/9\"}\n".to_vec()));
        world.server.append(&[revoke(&world.other)]);
        let status = std::iter::repeat_with(|| following.status()).find(|status| status.refused > 0).expect("refused");
        assert_eq!((status.refused, status.last_error.map(|error| error.code())), (1, Some("unsigned")));
        assert_eq!((status.seq, status.complete), (1, true));
        assert_eq!(world.verdicts(), ["revoked", "good"]);
        world.server.asked_from(2);
        assert_eq!(world.verdicts(), ["revoked", "revoked"]);
        assert_eq!((following.status().refused, following.status().failures), (1, 0));
    }
}
