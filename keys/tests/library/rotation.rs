//! Rotation by arithmetic: a fleet in which some have the keyring before a change and some the one after it.

use bulla::{
    ApiKey, Expectations, IssueRequest, Issuer, Realm, Verifier, VerifyError,
    claims::Claims,
    keyring::{KeyVersion, Keyring, KeyringDocument, Suite, VersionState},
};

use crate::fixture::{self, Folder, ISSUED, KEYRING_ID, MASTER_7, MASTER_8, Version};

const LIMIT: u64 = ISSUED + 1000;

fn issue(keyring: &Keyring) -> ApiKey {
    let realm = fixture::realm("acme_live");
    let request = IssueRequest { realm, app_id: uuid::Uuid::max(), expires_at: None, claims: Claims::new() };
    Issuer::new(keyring).issue(&request, ISSUED).expect("should issue")
}

fn reason(keyring: &Keyring, key: &ApiKey, now: u64) -> Option<&'static str> {
    let realms: Vec<Realm> = keyring.realms().collect();
    Verifier::new(keyring).verify(key.expose(), &Expectations::realms(&realms), now).err().map(VerifyError::code)
}

#[test]
fn a_rotation_in_steps_never_refuses_a_key_of_the_fleet() {
    let folder = Folder::new();
    let realms = [fixture::realm("acme_live")];
    let load = |document: &KeyringDocument| Keyring::load(document, &folder.sources(), &realms).expect("should load");
    let at = ISSUED;
    let (one, two) = (KeyVersion::FIRST, KeyVersion::new(2).expect("should be a number"));

    let mut document = KeyringDocument::new(bulla::keyring::KeyringId::from_bytes(KEYRING_ID));
    let stage = |document: &mut KeyringDocument, name, master, suite| {
        document.stage(suite, vec![folder.key(name, master)], &folder.sources(), at).expect("should stage");
    };
    stage(&mut document, "one.key", &MASTER_7, Suite::Aes256Gcm);
    document.activate(one, at).expect("should activate");
    let mut steps = vec![load(&document)];
    stage(&mut document, "two.key", &MASTER_8, Suite::Xaes256Gcm);
    steps.push(load(&document));
    document.activate(two, at).expect("should activate");
    steps.push(load(&document));
    document.roll_back(one, at).expect("should roll back");
    steps.push(load(&document));

    for (issued, issuer) in steps.iter().enumerate() {
        let key = issue(issuer);
        for (held, verifier) in steps.iter().enumerate() {
            // A verifier that is two changes behind never heard of version 2: staging is for that.
            let expected = (issued == 2 && held == 0).then_some("version_unknown");
            assert_eq!(reason(verifier, &key, ISSUED), expected, "issued at step {issued}, verified at step {held}");
        }
    }
    assert_eq!(steps.iter().map(Keyring::serial).collect::<Vec<_>>(), [2, 3, 4, 5]);
    assert_eq!(steps.iter().map(Keyring::active).collect::<Vec<_>>(), [one, one, two, one].map(Some));
}

#[test]
fn a_version_opens_in_the_states_that_allow_it_and_before_its_verify_until() {
    let realms = [fixture::realm("acme_live")];
    for suite in [Suite::Aes256Gcm, Suite::Xaes256Gcm] {
        let active = Version::new(7, suite, VersionState::Active, MASTER_7);
        let key = issue(&fixture::keyring(std::slice::from_ref(&active), &realms));
        for state in VersionState::ALL {
            let refused = Some("version_refused");
            let accepted = if state.opens() { None } else { refused };
            let unlimited = fixture::keyring(&[Version { state, ..active.clone() }], &realms);
            let limited = Version { state, verify_until: Some(LIMIT), ..active.clone() };
            let limited = fixture::keyring(&[limited], &realms);
            for (now, expected) in [(ISSUED, accepted), (LIMIT - 1, accepted), (LIMIT, refused), (u64::MAX, refused)] {
                assert_eq!(reason(&limited, &key, now), expected, "{state} at {now}");
                assert_eq!(reason(&unlimited, &key, now), accepted, "{state} at {now}, without a limit");
            }
        }
    }
}

#[test]
fn a_version_past_its_verify_until_leaves_the_others_alone() {
    let realms = [fixture::realm("acme_live")];
    let old = Version::new(7, Suite::Aes256Gcm, VersionState::Active, MASTER_7);
    let new = Version::new(8, Suite::Xaes256Gcm, VersionState::Active, MASTER_8);
    let (old_key, new_key) = (
        issue(&fixture::keyring(std::slice::from_ref(&old), &realms)),
        issue(&fixture::keyring(std::slice::from_ref(&new), &realms)),
    );
    let old = Version { state: VersionState::Deactivated, verify_until: Some(LIMIT), ..old };
    let both = fixture::keyring(&[old, new], &realms);
    assert_eq!((reason(&both, &old_key, LIMIT - 1), reason(&both, &new_key, LIMIT - 1)), (None, None));
    assert_eq!((reason(&both, &old_key, LIMIT), reason(&both, &new_key, LIMIT)), (Some("version_refused"), None));
}
