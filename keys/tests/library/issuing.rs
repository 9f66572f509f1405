//! What is issued verifies, says what was asked for, and is refused where it should be.

use std::fmt;

use bulla::rand::{TryCryptoRng, TryRng};
use bulla::{
    Expectations, IssueError, IssueRequest, Issuer, Rejection, Verified, Verifier, VerifyError,
    claims::{Cidr, Claims, ClaimsError},
    keyring::{Keyring, Suite, VersionState},
};
use uuid::{Uuid, uuid};

use crate::fixture::{self, ISSUED, MASTER_7, MASTER_8, Version};

const APP: Uuid = uuid!("3f2b8c1e-9a7d-4d52-8a55-0123456789ab");
const EXPIRES: u64 = 1_826_536_000;
const LAST_TIME: u64 = u32::MAX as u64;
const SUITES: [(u32, Suite, [u8; 32]); 2] = [(7, Suite::Aes256Gcm, MASTER_7), (8, Suite::Xaes256Gcm, MASTER_8)];
/// The worked examples 1, 2 and 4; the third has a secret half.
const WORKED: [&str; 3] = [
    "acme_live_00000XzbyFf5rOyRXQyt8VBSvX0TttKnpE6rUC8OjIcD0Yz3vNjR2yDFG2GcEwSPgHG8CNAVonv5o33Sczw",
    "acme_live_00000YHqiQd7Eu4eUpRFdL2o5fO0uDZE41dnzlCyuUwj94mSgZIZlOIHIgXJG4piaMGGSIJzHB3e09TuxrYTr9LZGtchLxy3hlYgs",
    "acme_live_00000cgHDRj5rOyRXQyt8V6Y9WY18D4Nv7Eu4eWtW8WpL39HMqGV1tE4TGSEanAsY02cUz8oZRPwQ5XXwECldmP649RuiU304x4e",
];

fn keyring(number: u32, suite: Suite, master: [u8; 32]) -> Keyring {
    fixture::keyring(&[Version::new(number, suite, VersionState::Active, master)], &[fixture::realm("acme_live")])
}

fn request(expires_at: Option<u64>, claims: Claims) -> IssueRequest {
    IssueRequest { realm: fixture::realm("acme_live"), app_id: APP, expires_at, claims }
}

fn verify(keyring: &Keyring, text: &str, now: u64) -> Result<Verified, VerifyError> {
    let realms: Vec<_> = keyring.realms().collect();
    Verifier::new(keyring).verify(text, &Expectations::realms(&realms), now)
}

/// A generator that yields these bytes, in fills of whatever size, and then fails.
pub(crate) struct Fixed<'a>(pub(crate) &'a [u8]);

#[derive(Debug)]
pub(crate) struct UsedUp;

impl fmt::Display for UsedUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("used up")
    }
}

impl std::error::Error for UsedUp {}

impl TryRng for Fixed<'_> {
    type Error = UsedUp;

    fn try_next_u32(&mut self) -> Result<u32, UsedUp> {
        Err(UsedUp)
    }

    fn try_next_u64(&mut self) -> Result<u64, UsedUp> {
        Err(UsedUp)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), UsedUp> {
        let (now, later) = self.0.split_at_checked(bytes.len()).ok_or(UsedUp)?;
        bytes.copy_from_slice(now);
        self.0 = later;
        Ok(())
    }
}

impl TryCryptoRng for Fixed<'_> {}

#[test]
fn the_worked_examples_come_out_to_the_letter() {
    let [plain, scoped] = [Claims::new(), Claims::new().with_scopes(["read", "write"])];
    for (at, first, request, text) in [
        (0, 0x40, request(Some(EXPIRES), plain.clone()), WORKED[0]),
        (0, 0x50, request(None, scoped), WORKED[1]),
        (1, 0x40, request(Some(EXPIRES), plain), WORKED[2]),
    ] {
        let (number, suite, master) = SUITES[at];
        let keyring = keyring(number, suite, master);
        let nonce: [u8; 24] = fixture::counting(first);
        let key = Issuer::new(&keyring).issue_with(&request, ISSUED, &mut Fixed(&nonce)).expect("should issue");
        assert_eq!(key.expose(), text);
        assert!(verify(&keyring, text, ISSUED).is_ok());
    }
}

#[test]
fn no_randomness_is_no_key() {
    for (number, suite, master) in SUITES {
        let issuer = Issuer::new(&keyring(number, suite, master));
        for bytes in [0, 11, 23] {
            let error = issuer.issue_with(&request(None, Claims::new()), ISSUED, &mut Fixed(&[7; 24][..bytes])).err();
            assert_eq!(error, Some(IssueError::Random("used up".to_owned())), "after {bytes} bytes");
        }
    }
}

#[test]
fn what_is_issued_is_what_is_read() {
    let block: Cidr = "10.0.0.0/8".parse().expect("should be a block");
    let claims = Claims::new()
        .with_audience(["shop", "billing"])
        .with_not_before(ISSUED - 1)
        .with_scopes(["orders.read", "orders.write"])
        .with_cidr([block])
        .with_meta([("team", "payments"), ("a", "b")]);
    for (number, suite, master) in SUITES {
        let keyring = keyring(number, suite, master);
        for claims in [Claims::new(), claims.clone()] {
            let key =
                Issuer::new(&keyring).issue(&request(Some(EXPIRES), claims.clone()), ISSUED).expect("should issue");
            let realms = [fixture::realm("acme_live")];
            let address = "10.1.2.3".parse().expect("should be an address");
            let expected = Expectations::realms(&realms).audience("shop").address(address);
            let verified = Verifier::new(&keyring).verify(key.expose(), &expected, ISSUED).expect("should verify");
            assert_eq!((verified.id(), verified.id().version()), (key.id(), number));
            assert_eq!((verified.app_id(), verified.issued_at(), verified.expires_at()), (APP, ISSUED, Some(EXPIRES)));
            assert_eq!(verified.claims().cloned().unwrap_or_default(), claims);
            assert_eq!(verified.scopes(), claims.scopes());
            assert!(!key.has_secret() && !claims.has_secret());
        }
    }
}

#[test]
fn no_two_keys_share_an_id() {
    let keyring = keyring(7, Suite::Aes256Gcm, MASTER_7);
    let issue = || Issuer::new(&keyring).issue(&request(None, Claims::new()), ISSUED).expect("should issue").id();
    let ids: std::collections::HashSet<_> = (0..1000).map(|_| issue()).collect();
    assert_eq!(ids.len(), 1000);
}

#[test]
fn times_that_do_not_fit_are_refused_and_never_cut() {
    let issuer = Issuer::new(&keyring(7, Suite::Aes256Gcm, MASTER_7));
    let issue = |now, expires_at| issuer.issue(&request(expires_at, Claims::new()), now).err();
    assert_eq!(issue(0, Some(1)), None);
    assert_eq!(issue(LAST_TIME, None), None);
    assert_eq!(issue(LAST_TIME - 1, Some(LAST_TIME)), None);
    assert_eq!(issue(LAST_TIME + 1, None), Some(IssueError::Time(LAST_TIME + 1)));
    assert_eq!(issue(u64::MAX, None), Some(IssueError::Time(u64::MAX)));
    assert_eq!(issue(ISSUED, Some(LAST_TIME + 1)), Some(IssueError::Time(LAST_TIME + 1)));
    assert_eq!(issue(ISSUED, Some(u64::MAX)), Some(IssueError::Time(u64::MAX)));
    // Would be 0 in four bytes, which is never.
    assert_eq!(issue(ISSUED, Some(1 << 32)), Some(IssueError::Time(1 << 32)));
}

#[test]
fn an_expiry_that_is_not_ahead_is_refused() {
    let issuer = Issuer::new(&keyring(7, Suite::Aes256Gcm, MASTER_7));
    for expires_at in [0, 1, ISSUED - 1, ISSUED] {
        let error = issuer.issue(&request(Some(expires_at), Claims::new()), ISSUED).err();
        assert_eq!(error, Some(IssueError::ExpiryPast), "{expires_at}");
    }
}

#[test]
fn a_key_holds_from_its_issue_until_the_second_before_its_expiry() {
    let keyring = keyring(7, Suite::Aes256Gcm, MASTER_7);
    let issue =
        |expires_at, claims| Issuer::new(&keyring).issue(&request(expires_at, claims), ISSUED).expect("should issue");
    let code = |key: &bulla::ApiKey, now| verify(&keyring, key.expose(), now).err().map(VerifyError::code);

    let key = issue(Some(EXPIRES), Claims::new());
    for (now, reason) in [
        (ISSUED - 301, Some("not_yet_valid")),
        (ISSUED - 300, None),
        (EXPIRES - 1, None),
        (EXPIRES, Some("expired")),
        (u64::MAX, Some("expired")),
    ] {
        assert_eq!(code(&key, now), reason, "at {now}");
    }
    assert_eq!(code(&issue(None, Claims::new()), u64::MAX), None);

    let later = issue(None, Claims::new().with_not_before(ISSUED + 10));
    assert_eq!(code(&later, ISSUED + 9), Some("not_yet_valid"), "`nbf` has no tolerance");
    assert_eq!(code(&later, ISSUED + 10), None);
}

#[test]
fn nothing_is_sealed_from_seal_until_on_and_what_was_sealed_still_opens() {
    let mut version = Version::new(7, Suite::Aes256Gcm, VersionState::Active, MASTER_7);
    version.seal_until = Some(ISSUED);
    let keyring = fixture::keyring(&[version], &[fixture::realm("acme_live")]);
    let issuer = Issuer::new(&keyring);
    let request = request(None, Claims::new());
    let key = issuer.issue(&request, ISSUED - 1).expect("should issue");
    assert_eq!(issuer.issue(&request, ISSUED).err(), Some(IssueError::SealUntil));
    assert_eq!(issuer.issue(&request, u64::MAX).err(), Some(IssueError::SealUntil));
    assert!(verify(&keyring, key.expose(), ISSUED + 1).is_ok());
}

#[test]
fn only_an_active_version_seals_and_only_for_the_realms_of_the_keyring() {
    for state in [VersionState::Staged, VersionState::Deactivated, VersionState::Compromised, VersionState::Destroyed] {
        let version = Version::new(7, Suite::Aes256Gcm, state, MASTER_7);
        let issuer = Issuer::new(&fixture::keyring(&[version], &[fixture::realm("acme_live")]));
        let error = issuer.issue(&request(None, Claims::new()), ISSUED).err();
        assert_eq!(error, Some(IssueError::NoActiveVersion), "{state}");
    }
    let issuer = Issuer::new(&keyring(7, Suite::Aes256Gcm, MASTER_7));
    let other = IssueRequest { realm: fixture::realm("acme"), ..request(None, Claims::new()) };
    assert_eq!(issuer.issue(&other, ISSUED).err(), Some(IssueError::Realm(other.realm)));
}

#[test]
fn claims_take_240_bytes_and_no_more() {
    // A map, its key for `meta`, a map, the name's head and letter, the value's head of two bytes.
    let meta = |length: usize| Claims::new().with_meta([("m", "x".repeat(length - 11))]);
    for (number, suite, master) in SUITES {
        let keyring = keyring(number, suite, master);
        let issuer = Issuer::new(&keyring);
        let longest = issuer.issue(&request(Some(EXPIRES), meta(240)), ISSUED).expect("should issue");
        assert!(verify(&keyring, longest.expose(), ISSUED).is_ok());
        let error = issuer.issue(&request(Some(EXPIRES), meta(241)), ISSUED).err();
        assert_eq!(error, Some(ClaimsError::TooLong(241).into()));
    }
}

#[test]
fn claims_that_a_verifier_would_refuse_are_not_sealed() {
    let issuer = Issuer::new(&keyring(7, Suite::Aes256Gcm, MASTER_7));
    let issue = |claims| issuer.issue(&request(None, claims), ISSUED).err();
    for claims in [
        Claims::new().with_audience([""]),
        Claims::new().with_scopes(["read", ""]),
        Claims::new().with_meta([("", "value")]),
        Claims::new().with_meta([("name", "")]),
    ] {
        assert!(matches!(issue(claims), Some(IssueError::Claims(ClaimsError::Empty(_)))));
    }
    for scope in ["two words", " ", "\"", "\\", "é", "tab\t", "\u{7f}", "\0"] {
        let error = issue(Claims::new().with_scopes(["read", scope]));
        assert_eq!(error, Some(ClaimsError::Scope(2).into()), "{scope:?}");
    }
}

#[test]
fn a_restricted_key_is_refused_where_the_caller_does_not_say_who_and_where_it_is() {
    let keyring = keyring(7, Suite::Aes256Gcm, MASTER_7);
    let block: Cidr = "10.0.0.0/8".parse().expect("should be a block");
    for (claims, rejection) in [
        (Claims::new().with_audience(["shop"]), Rejection::Audience),
        (Claims::new().with_cidr([block]), Rejection::Address),
    ] {
        let key = Issuer::new(&keyring).issue(&request(None, claims), ISSUED).expect("should issue");
        assert_eq!(verify(&keyring, key.expose(), ISSUED).err(), Some(rejection.into()));
    }
}
