//! What verifying allocates: nothing, for keys without claims and for keys that are refused.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::Arc,
};

use bulla::{
    Expectations, IssueRequest, Issuer, Rejection, Verifier,
    claims::Claims,
    keyring::{Suite, VersionState},
    revocation::Revocations,
};

use crate::fixture::{self, ISSUED, MASTER_7, MASTER_8, Version};

thread_local! {
    /// Of this thread alone: other tests run at the same time.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

/// More than this, in bytes, is never there, however generous the system is with promises.
const MOST: usize = 1 << 40;

#[global_allocator]
static COUNTING: Counting = Counting;

fn count() {
    // A thread that is ending has no counter any more.
    let _ = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + 1));
}

#[allow(unsafe_code, reason = "an allocator is an unsafe trait")]
// SAFETY: everything is handed to the system's allocator as it came, or refused; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        if layout.size() > MOST {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller keeps to the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// What `work` returns, and how often this thread allocated meanwhile.
pub(crate) fn counted<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = ALLOCATIONS.get();
    let result = work();
    (result, ALLOCATIONS.get() - before)
}

fn version(suite: Suite, master: [u8; 32]) -> [Version; 1] {
    [Version::new(7, suite, VersionState::Active, master)]
}

#[test]
fn a_key_without_claims_a_forged_one_and_garbage_allocate_nothing() {
    let realms = [fixture::realm("acme_live")];
    let all = [realms[0], fixture::realm("acme_test")];
    for suite in [Suite::Aes256Gcm, Suite::Xaes256Gcm] {
        let keyring = fixture::keyring(&version(suite, MASTER_7), &all);
        let forger = Issuer::new(&fixture::keyring(&version(suite, MASTER_8), &all));
        let issuer = Issuer::new(&keyring);
        let request =
            |realm| IssueRequest { realm, app_id: uuid::Uuid::max(), expires_at: None, claims: Claims::new() };
        let issue = |issuer: &Issuer, request| issuer.issue(&request, ISSUED).expect("should issue");

        let good = issue(&issuer, request(all[0]));
        let forged = issue(&forger, request(all[0]));
        let foreign = issue(&issuer, request(all[1]));
        let expired = issue(&issuer, IssueRequest { expires_at: Some(ISSUED + 1), ..request(all[0]) });
        let revoked = issue(&issuer, request(all[0]));
        let mistyped = good.expose().replacen("acme_live", "acme_life", 1);
        let (long, longest) = ("x".repeat(1_000_000), "_".repeat(512));

        let revocations = Arc::new(Revocations::from_iter([revoked.id()]));
        let verifier = Verifier::new(&keyring).with_revocations(revocations).requiring_secrets(&all[1..]);
        let expected = Expectations::realms(&realms);
        let kinds = [
            (good.expose(), None),
            (forged.expose(), Some(Rejection::Seal)),
            (foreign.expose(), Some(Rejection::Realm)),
            (expired.expose(), Some(Rejection::Expired)),
            (revoked.expose(), Some(Rejection::Revoked)),
            (&mistyped, Some(Rejection::Checksum)),
            (&good.expose()[1..], Some(Rejection::Checksum)),
            ("", Some(Rejection::Malformed)),
            (&long, Some(Rejection::Malformed)),
            (&longest, Some(Rejection::Checksum)),
        ];
        for (text, rejection) in kinds {
            let (result, allocations) = counted(|| verifier.verify(text, &expected, ISSUED + 60));
            assert_eq!(result.err(), rejection.map(Into::into));
            assert_eq!(allocations, 0, "{suite}: {rejection:?}");
            let (result, allocations) = counted(|| verifier.open(text, &expected, ISSUED + 60));
            assert_eq!(result.err(), rejection.map(Into::into));
            assert_eq!(allocations, 0, "{suite}: {rejection:?}, opened");
        }
        // Each kind beside good ones.
        for (text, _) in kinds {
            let batch = (0..20).flat_map(|_| [text, good.expose(), text, text]);
            let ((), allocations) = counted(|| verifier.verify_batch(batch, &expected, ISSUED + 60, |_| ()));
            assert_eq!(allocations, 0, "{suite}: a batch");
        }
    }
}

#[test]
fn a_key_with_claims_allocates_nothing_until_someone_asks_for_them() {
    let realms = [fixture::realm("acme_live")];
    let keyring = fixture::keyring(&version(Suite::Aes256Gcm, MASTER_7), &realms);
    let claims = Claims::new()
        .with_scopes(["orders.read", "orders.write"])
        .with_audience(["shop", "books"])
        .with_cidr(["10.0.0.0/8".parse().expect("a block"), "2001:db8::/32".parse().expect("a block")])
        .with_not_before(ISSUED)
        .with_meta([
            ("plan", "gold"),
            ("tenant", "of a name that is long enough to make the claims as long as they may be, or nearly so"),
        ]);
    let request = IssueRequest {
        realm: realms[0],
        app_id: uuid::Uuid::max(),
        expires_at: Some(ISSUED + 60),
        claims: claims.clone(),
    };
    let key = Issuer::new(&keyring).issue(&request, ISSUED).expect("should issue");
    let verifier = Verifier::new(&keyring);
    let expected = Expectations::realms(&realms).audience("books").address("10.1.2.3".parse().expect("an address"));
    for (wanted, rejection) in [(["orders.write"], None), (["orders.delete"], Some(Rejection::Scope))] {
        let (result, allocations) = counted(|| verifier.verify(key.expose(), &expected.scopes(&wanted), ISSUED));
        assert_eq!(result.err(), rejection.map(Into::into));
        assert_eq!(allocations, 0, "{wanted:?}");
    }
    let verified = verifier.verify(key.expose(), &expected, ISSUED).expect("should hold");
    let (scopes, allocations) = counted(|| verified.scopes_text());
    assert_eq!((scopes, allocations), ("orders.read orders.write", 0));
    let (notes, allocations) = counted(|| verified.meta().map(|(name, value)| name.len() + value.len()).sum::<usize>());
    assert!(notes > 80 && allocations == 0);
    let (first, allocations) = counted(|| verified.claims());
    assert_eq!(first, Some(&claims));
    assert!(allocations > 0, "so the counter counts");
    let (again, allocations) = counted(|| verified.claims());
    assert_eq!((again, allocations), (Some(&claims), 0));
}
