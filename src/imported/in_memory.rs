//! The imported keys in memory, found by the public part or the digest of a presented text.
//!
//! Keys are added in parts and never removed: a revoked one is on the revocation list like any other. Each part of the table
//! has a lock of its own, so that a look-up waits no longer than it takes to add a few keys.

use std::{
    collections::HashMap,
    hash::BuildHasher,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
};

use super::{Candidate, ImportedRow, Key, Set, scheme::same};
use bulla::claims::Claims;
use hashbrown::{DefaultHashBuilder, HashTable};

const PARTS: usize = 64;

/// All imported keys.
pub(crate) struct ImportedKeys {
    // Randomly keyed, so that attackers cannot choose public parts that collide.
    hasher: DefaultHashBuilder,
    sets: RwLock<Vec<Arc<Set>>>,
    parts: [RwLock<HashTable<Arc<Key>>>; PARTS],
    /// Shared claims of keys without metadata, by their scopes: many keys have the same.
    claims: Mutex<HashMap<String, Arc<Claims>>>,
    /// The last place of the ledger that was read.
    place: AtomicI64,
    count: AtomicUsize,
    /// Rows whose keys are rejected: damaged, or hashed so that nearly every secret matches.
    unusable: AtomicUsize,
}

impl Default for ImportedKeys {
    fn default() -> Self {
        ImportedKeys {
            hasher: DefaultHashBuilder::default(),
            sets: RwLock::default(),
            parts: std::array::from_fn(|_| RwLock::default()),
            claims: Mutex::default(),
            place: AtomicI64::new(0),
            count: AtomicUsize::new(0),
            unusable: AtomicUsize::new(0),
        }
    }
}

impl ImportedKeys {
    /// The place of the ledger behind which to continue.
    pub(crate) fn place(&self) -> i64 {
        self.place.load(Ordering::Acquire)
    }

    /// The number of keys.
    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// The number of rows whose keys are rejected.
    pub(crate) fn unusable(&self) -> usize {
        self.unusable.load(Ordering::Relaxed)
    }

    /// Continues behind `place`, after so many damaged rows.
    pub(crate) fn pass(&self, place: i64, damaged: usize) {
        self.unusable.fetch_add(damaged, Ordering::Relaxed);
        self.place.fetch_max(place, Ordering::Release);
    }

    /// Whether the set of this number is known.
    pub(crate) fn has_set(&self, number: i64) -> bool {
        self.sets.read().unwrap_or_else(PoisonError::into_inner).iter().any(|set| set.number == number)
    }

    /// Reads everything again, from a store that replaced the one before; known keys stay.
    pub(crate) fn restart(&self) {
        self.place.store(0, Ordering::Release);
        self.unusable.store(0, Ordering::Relaxed);
    }

    /// Adds a set, before the first of its keys.
    pub(crate) fn add_set(&self, set: Set) {
        self.sets.write().unwrap_or_else(PoisonError::into_inner).push(Arc::new(set));
    }

    /// Adds keys, in the order of their places. Keys of unknown sets are skipped.
    pub(crate) fn add(&self, rows: Vec<ImportedRow>) {
        let sets = self.sets.read().unwrap_or_else(PoisonError::into_inner).clone();
        for row in rows {
            let place = row.place;
            if let Some(set) = sets.iter().find(|set| set.number == row.set) {
                self.add_one(row, Arc::clone(set));
            }
            self.place.fetch_max(place, Ordering::Release);
        }
    }

    fn add_one(&self, row: ImportedRow, set: Arc<Set>) {
        if !set.layout.sees_secret(row.public.as_deref()) {
            // Taken in before this was refused.
            tracing::error!(id = %row.id, "an imported key is rejected: bcrypt sees too little of its secret");
            self.unusable.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let hash = self.hash(set.number, row.found_by());
        let key = Key {
            set,
            id: row.id,
            app_id: row.app_id,
            issued_at: row.issued_at,
            expires_at: row.expires_at,
            claims: self.shared(row.claims),
            public: row.public,
            check: row.check,
            replaced: AtomicBool::new(row.replaced),
        };
        let mut part = self.part(hash).write().unwrap_or_else(PoisonError::into_inner);
        if part.find(hash, |one| one.id == key.id).is_none() {
            part.insert_unique(hash, Arc::new(key), |key| self.hash(key.set.number, key.found_by()));
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn shared(&self, claims: Claims) -> Option<Arc<Claims>> {
        if claims == Claims::new() {
            return None;
        }
        if !claims.meta().is_empty() {
            return Some(Arc::new(claims));
        }
        let mut all = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(all.entry(claims.scopes_text()).or_insert_with(|| Arc::new(claims))))
    }

    /// The keys that `text` may be, one of each set at most: whether it is, their checks tell.
    pub(crate) fn recognize(&self, text: &str) -> Vec<Candidate> {
        let sets = self.sets.read().unwrap_or_else(PoisonError::into_inner);
        sets.iter().filter_map(|set| self.recognize_in(set, text)).collect()
    }

    fn recognize_in(&self, set: &Arc<Set>, text: &str) -> Option<Candidate> {
        let split = set.layout.split(text)?;
        let digest = match &split.public {
            Some(_) => None,
            None => Some(set.layout.scheme.digest(&split.hashed, &[], set.hmac_key.as_ref())?),
        };
        let found_by = split.public.as_deref().or(digest.as_ref().map(<[u8; _]>::as_slice))?;
        let hash = self.hash(set.number, found_by);
        let part = self.part(hash).read().unwrap_or_else(PoisonError::into_inner);
        let key = part.find(hash, |key| key.set.number == set.number && same(key.found_by(), found_by))?;
        Some(Candidate::new(Arc::clone(key), split.hashed))
    }

    fn hash(&self, set: i64, found_by: &[u8]) -> u64 {
        self.hasher.hash_one((set, found_by))
    }

    fn part(&self, hash: u64) -> &RwLock<HashTable<Arc<Key>>> {
        // The table itself uses the high bits and the low ones.
        &self.parts[(hash >> 32) as usize % PARTS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    use crate::imported::{Check, Hashed, HmacKey, KeyLayout, PublicPart, Scheme};

    const KEY: &str = "sk_live_4f9a1c20_9Zk3Qw7Lr5Tn2Vb8Xc6Md1Pf";
    const BCRYPT: &str = "$2b$04$RBcO/btzmiFBY.D59xIruu/sFQsoS5YV32jxNr37n5WiWfH8bLJni";

    fn set(number: i64, scheme: Scheme, public: PublicPart, hmac_key: Option<HmacKey>) -> Set {
        let layout = KeyLayout { scheme, prefix: "sk_live_".to_owned(), public, hashed: Hashed::Whole, hmac_key: None };
        Set { number, realm: "live".parse().expect("a realm"), layout, id_key: [number as u8; 16], hmac_key }
    }

    fn row(set: &Set, place: i64, public: Option<&str>, check: Check) -> ImportedRow {
        let public = public.map(|public| public.as_bytes().into());
        let id = set.id_of(b"what finds it");
        let claims = Claims::new().with_scopes(["read"]);
        ImportedRow {
            place,
            set: set.number,
            id,
            app_id: Uuid::from_u128(7),
            issued_at: 5,
            expires_at: None,
            claims,
            public,
            check,
            replaced: false,
        }
    }

    fn digest(set: &Set, text: &str, salt: &[u8]) -> Check {
        let digest = set.layout.scheme.digest(text.as_bytes(), salt, set.hmac_key.as_ref()).expect("fast");
        Check::Fast { digest, salt: salt.into() }
    }

    #[test]
    fn keys_are_found_by_digest_or_by_public_part_and_by_nothing_else() {
        let known = ImportedKeys::default();
        let first = || PublicPart::First(8);
        let sets = [
            set(1, Scheme::Sha256, PublicPart::None, None),
            set(2, Scheme::HmacSha256, PublicPart::None, Some(HmacKey::new(b"secret".to_vec().into()))),
            set(3, Scheme::Sha256SaltKey, first(), None),
            set(4, Scheme::Bcrypt, first(), None),
        ];
        let rows = [
            row(&sets[0], 1, None, digest(&sets[0], KEY, b"")),
            row(&sets[1], 2, None, digest(&sets[1], KEY, b"")),
            row(&sets[2], 3, Some("4f9a1c20"), digest(&sets[2], KEY, b"salt")),
            row(&sets[3], 4, Some("4f9a1c20"), Check::Slow(BCRYPT.into())),
        ];
        sets.into_iter().for_each(|set| known.add_set(set));
        known.add(rows.to_vec());
        known.add(rows.to_vec());
        assert_eq!((known.place(), known.len()), (4, 4), "twice is once");
        let judged = |text: &str| -> Vec<(i64, bool, bool)> {
            let candidates = known.recognize(text);
            let judged =
                candidates.iter().map(|one| (one.key().set.number, one.is_slow(), one.matches().expect("judged")));
            judged.collect()
        };
        let all = [(1, false, true), (2, false, true), (3, false, true), (4, true, true)];
        assert_eq!(judged(KEY), all);
        assert_eq!(judged("sk_live_4f9a1c20_9Zk3Qw7Lr5Tn2Vb8Xc6Md1Pg"), [(3, false, false), (4, true, false)]);
        for text in ["", "sk_live_4f9a1c20", "sk_live_4f9a1c21_9Zk3Qw7Lr5Tn2Vb8Xc6Md1Pf", &KEY[8..], &KEY[1..]] {
            assert_eq!(judged(text), [], "{text}");
        }
    }

    #[test]
    fn without_its_secret_nothing_is_said_of_a_key() {
        let known = ImportedKeys::default();
        let with = set(1, Scheme::HmacSha256, PublicPart::First(8), Some(HmacKey::new(b"secret".to_vec().into())));
        let row = row(&with, 1, Some("4f9a1c20"), digest(&with, KEY, b""));
        known.add_set(Set { hmac_key: None, ..with });
        known.add(vec![row]);
        let candidates = known.recognize(KEY);
        assert!(matches!(&candidates[..], [one] if one.matches().is_err()));
    }

    #[test]
    fn ids_are_the_same_each_time_and_say_nothing() {
        let set = |id_key: u8| Set { id_key: [id_key; 16], ..set(1, Scheme::Sha256, PublicPart::None, None) };
        assert_eq!(set(1).id_of(b"a"), set(1).id_of(b"a"));
        assert_ne!(set(1).id_of(b"a"), set(1).id_of(b"b"));
        assert_ne!(set(1).id_of(b"a"), set(2).id_of(b"a"));
        assert_eq!(set(1).id_of(b"a").version(), 0);
    }
}
