//! A table of imported keys. Each part of it has a lock of its own, so that a look-up waits no longer than it takes to
//! add a few keys.

use std::{
    hash::BuildHasher,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
};

use bulla::{ApiKeyId, claims::Claims};
use hashbrown::{DefaultHashBuilder, HashTable};

use super::{
    Candidate, ImportedRow, Key, OldSecret, PublicPart, Set, SlowText,
    packed::{PackedClaims, PackedRow, PackedRows},
    scheme::{Check, HashString, same},
    set::found_by,
    shared_claims::SharedClaims,
};

const PARTS: usize = 64;

/// A table.
pub(crate) struct Table {
    // Randomly keyed, so that attackers cannot choose public parts that collide.
    hasher: DefaultHashBuilder,
    sets: RwLock<Vec<Arc<Set>>>,
    parts: [RwLock<Part>; PARTS],
    claims: RwLock<SharedClaims>,
    /// How often the store had changed or removed rows when this table was begun.
    changes: i64,
    /// The last place of the ledger that was read.
    place: AtomicI64,
    count: AtomicUsize,
    /// Rows whose keys are rejected: damaged, or hashed so that nearly every secret matches.
    unusable: AtomicUsize,
    has_slow_digests: AtomicBool,
}

/// Rows, and an index by the hash of the value that finds each.
#[derive(Default)]
struct Part {
    places: HashTable<u32>,
    rows: PackedRows,
}

impl Default for Table {
    fn default() -> Self {
        Table::new(0)
    }
}

impl Table {
    /// An empty one, of a store that changed rows `changes` times.
    pub(crate) fn new(changes: i64) -> Self {
        Table {
            hasher: DefaultHashBuilder::default(),
            sets: RwLock::default(),
            parts: std::array::from_fn(|_| RwLock::default()),
            claims: RwLock::default(),
            changes,
            place: AtomicI64::new(0),
            count: AtomicUsize::new(0),
            unusable: AtomicUsize::new(0),
            has_slow_digests: AtomicBool::new(false),
        }
    }

    /// How often the store had changed or removed rows.
    pub(crate) fn changes(&self) -> i64 {
        self.changes
    }

    /// The place of the ledger behind which to continue.
    pub(crate) fn place(&self) -> i64 {
        self.place.load(Ordering::Acquire)
    }

    /// The number of keys.
    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Bytes that all keys take.
    pub(crate) fn memory(&self) -> usize {
        let of_part = |part: &RwLock<Part>| {
            let part = part.read().unwrap_or_else(PoisonError::into_inner);
            part.places.allocation_size() + part.rows.memory()
        };
        self.parts.iter().map(of_part).sum()
    }

    /// The number of rows whose keys are rejected.
    pub(crate) fn unusable(&self) -> usize {
        self.unusable.load(Ordering::Relaxed)
    }

    /// Continues behind `place`, after `damaged` damaged rows.
    pub(crate) fn pass(&self, place: i64, damaged: usize) {
        self.unusable.fetch_add(damaged, Ordering::Relaxed);
        self.place.fetch_max(place, Ordering::Release);
    }

    /// Returns whether the set of this number is known.
    pub(crate) fn has_set(&self, number: i64) -> bool {
        self.sets.read().unwrap_or_else(PoisonError::into_inner).iter().any(|set| set.number == number)
    }

    /// Adds a set, before the first of its keys.
    pub(crate) fn add_set(&self, set: Set) {
        if set.layout.digest_is_slow() {
            self.has_slow_digests.store(true, Ordering::Relaxed);
        }
        self.sets.write().unwrap_or_else(PoisonError::into_inner).push(Arc::new(set));
    }

    /// The sets whose secrets are not loaded.
    pub(crate) fn without_secret(&self) -> Vec<Arc<Set>> {
        let sets = self.sets.read().unwrap_or_else(PoisonError::into_inner);
        sets.iter().filter(|set| set.lacks_secret()).cloned().collect()
    }

    /// The secret that such a set has here.
    pub(crate) fn secret_of(&self, set: &Set) -> Option<Arc<OldSecret>> {
        let sets = self.sets.read().unwrap_or_else(PoisonError::into_inner);
        sets.iter().find(|one| one.is_same(set)).and_then(|one| one.secret.clone())
    }

    /// Gives such a set its secret, without which it was added.
    pub(crate) fn supply(&self, number: i64, secret: Option<OldSecret>) {
        let mut sets = self.sets.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(lacking) = sets.iter_mut().find(|set| set.number == number && set.lacks_secret()) {
            *lacking = Arc::new(Set::new(number, lacking.realm, lacking.layout.clone(), lacking.id_key, secret));
        }
    }

    /// Adds keys, in the order of their places. Keys of unknown sets are skipped.
    pub(crate) fn add(&self, rows: &[ImportedRow]) {
        let sets = self.sets.read().unwrap_or_else(PoisonError::into_inner).clone();
        for row in rows {
            if let Some(set) = sets.iter().find(|set| set.number == row.set) {
                self.add_one(row, set);
            }
            self.place.fetch_max(row.place, Ordering::Release);
        }
    }

    fn add_one(&self, row: &ImportedRow, set: &Set) {
        let sees_all = match &row.check {
            Check::Text(text) => HashString::parse(set.layout.scheme, text).map_or(true, |hash| hash.sees_all()),
            Check::Fast { .. } => true,
        };
        if !sees_all && !set.layout.shows_secret(row.public.as_deref()) {
            // Imported before such rows were refused.
            tracing::error!(id = %row.id, "an imported key is rejected: bcrypt sees too little of its secret");
            self.unusable.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let Some(name) = row.id.unsealed_name() else { return };
        let hash = self.hash(set.number, found_by(row.public.as_deref(), &row.check));
        let shared = self.claims.write().unwrap_or_else(PoisonError::into_inner).number(&row.claims);
        let own = if shared.is_some() { Ok(Vec::new()) } else { row.claims.to_cbor() };
        let Ok(own) = own else {
            tracing::error!(id = %row.id, "an imported key is rejected: its scopes and metadata are too long");
            self.unusable.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let claims = shared.map_or(PackedClaims::Own(&own), PackedClaims::Shared);
        let mut part = self.part(hash).write().unwrap_or_else(PoisonError::into_inner);
        let Part { places, rows } = &mut *part;
        let is_known = |place: &u32| rows.get(*place).is_some_and(|one| one.set == row.set && one.name == name);
        if places.find(hash, is_known).is_some() {
            return;
        }
        let Some(place) = rows.push(row, name, claims) else {
            tracing::error!(id = %row.id, "an imported key is rejected: its row is too long, or there are too many");
            self.unusable.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let hash_of = |place: &u32| rows.get(*place).map_or(0, |row| self.hash(row.set, row.found_by()));
        places.insert_unique(hash, place, hash_of);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// The keys that `text` may be: whether it is, their checks tell.
    pub(crate) fn recognize(&self, text: &str) -> Vec<Candidate> {
        let sets = self.sets.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        for set in sets.iter() {
            let _none_where_it_is_no_key_of_the_set: Option<()> = self.recognize_in(set, text, &mut found);
        }
        found
    }

    fn recognize_in(&self, set: &Arc<Set>, text: &str, found: &mut Vec<Candidate>) -> Option<()> {
        let split = set.layout.split(text)?;
        let Some(public) = &split.public else {
            if set.layout.digest_is_slow() {
                return None;
            }
            let prepared;
            let bytes = match set.layout.before {
                None => split.hashed.bytes(),
                Some(_) => {
                    prepared = set.prepared(split.hashed.bytes())?;
                    prepared.as_slice()
                }
            };
            let digest = set.digest(bytes, &[], set.layout.digest_len())?;
            self.find(set, &digest, |key| found.push(Candidate::by_digest(key)));
            return Some(());
        };
        let mut prepared = None;
        self.find(set, public, |key| {
            let hashed = prepared.get_or_insert_with(|| set.prepared(split.hashed.bytes()).unwrap_or_default()).clone();
            found.push(Candidate::new(key, hashed));
        });
        Some(())
    }

    /// What `text` is in each set whose digests are slow.
    pub(crate) fn slow_texts(&self, text: &str) -> Vec<SlowText> {
        if !self.has_slow_digests() {
            return Vec::new();
        }
        let sets = self.sets.read().unwrap_or_else(PoisonError::into_inner);
        let slow = sets.iter().filter(|set| set.layout.digest_is_slow() && set.layout.public == PublicPart::None);
        let texts = slow.filter_map(|set| {
            let split = set.layout.split(text)?;
            Some(SlowText::new(Arc::clone(set), set.prepared(split.hashed.bytes())?))
        });
        texts.collect()
    }

    /// The keys that the digest of such a text finds.
    pub(crate) fn find_slow(&self, text: &SlowText, digest: &[u8]) -> Vec<Candidate> {
        let mut found = Vec::new();
        self.find(&text.set, digest, |key| found.push(Candidate::by_digest(key)));
        found
    }

    /// Returns whether there is a set whose digests are slow.
    pub(crate) fn has_slow_digests(&self) -> bool {
        self.has_slow_digests.load(Ordering::Relaxed)
    }

    /// Each key of a set that these bytes find.
    fn find(&self, set: &Arc<Set>, found_by: &[u8], mut found: impl FnMut(Arc<Key>)) {
        let hash = self.hash(set.number, found_by);
        let part = self.part(hash).read().unwrap_or_else(PoisonError::into_inner);
        for place in part.places.iter_hash(hash) {
            let row = part.rows.get(*place).filter(|row| row.set == set.number && same(row.found_by(), found_by));
            if let Some(key) = row.and_then(|row| self.key(set, &row)) {
                found(Arc::new(key));
            }
        }
    }

    fn key(&self, set: &Arc<Set>, row: &PackedRow<'_>) -> Option<Key> {
        Some(Key {
            set: Arc::clone(set),
            id: ApiKeyId::unsealed(set.realm, row.name),
            app_id: row.app_id,
            issued_at: row.issued_at,
            expires_at: row.expires_at,
            claims: match row.claims {
                PackedClaims::Shared(number) => self.claims.read().unwrap_or_else(PoisonError::into_inner).get(number),
                PackedClaims::Own(bytes) => Some(Arc::new(Claims::from_cbor(bytes).ok()?)),
            },
            check: row.check()?,
            replaced: row.replaced,
        })
    }

    fn hash(&self, set: i64, found_by: &[u8]) -> u64 {
        self.hasher.hash_one((set, found_by))
    }

    fn part(&self, hash: u64) -> &RwLock<Part> {
        // The table itself uses the high bits and the low ones.
        &self.parts[(hash >> 32) as usize % PARTS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    use crate::imported::{KeyLayout, Scheme};

    const KEY: &str = "sk_live_4f9a1c20_9Zk3Qw7Lr5Tn2Vb8Xc6Md1Pf";
    const BCRYPT: &str = "$2b$04$RBcO/btzmiFBY.D59xIruu/sFQsoS5YV32jxNr37n5WiWfH8bLJni";

    fn set(number: i64, scheme: Scheme, public: PublicPart, secret: Option<OldSecret>) -> Set {
        let layout = KeyLayout { prefix: "sk_live_".to_owned(), public, ..KeyLayout::new(scheme) };
        Set::new(number, "live".parse().expect("a realm"), layout, [number as u8; 16], secret)
    }

    fn row(set: &Set, place: i64, public: Option<&str>, check: Check) -> ImportedRow {
        let public: Option<Box<[u8]>> = public.map(|public| public.as_bytes().into());
        let id = set.id_of(public.as_deref(), &check);
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
        let digest = set.digest(text.as_bytes(), salt, 32).expect("fast");
        Check::Fast { digest: (*digest).into(), salt: salt.into() }
    }

    #[test]
    fn keys_are_found_by_digest_or_by_public_part_and_by_nothing_else() {
        let known = Table::default();
        let first = || PublicPart::First(8);
        let sets = [
            set(1, Scheme::Sha256, PublicPart::None, None),
            set(2, Scheme::HmacSha256, PublicPart::None, Some(OldSecret::new(b"secret"))),
            set(3, Scheme::Sha256SaltKey, first(), None),
            set(4, Scheme::Bcrypt, first(), None),
        ];
        let rows = [
            row(&sets[0], 1, None, digest(&sets[0], KEY, b"")),
            row(&sets[1], 2, None, digest(&sets[1], KEY, b"")),
            row(&sets[2], 3, Some("4f9a1c20"), digest(&sets[2], KEY, b"salt")),
            row(&sets[3], 4, Some("4f9a1c20"), Check::Text(BCRYPT.into())),
        ];
        sets.into_iter().for_each(|set| known.add_set(set));
        known.add(&rows);
        known.add(&rows);
        assert_eq!((known.place(), known.len()), (4, 4), "twice is once");
        let judged = |text: &str| -> Vec<(i64, bool, bool)> {
            let candidates = known.recognize(text);
            let judged = candidates.iter().map(|one| (one.key().set(), one.is_slow(), one.matches().expect("judged")));
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
        let known = Table::default();
        let with = set(1, Scheme::HmacSha256, PublicPart::First(8), Some(OldSecret::new(b"secret")));
        let row = row(&with, 1, Some("4f9a1c20"), digest(&with, KEY, b""));
        known.add_set(Set { secret: None, ..with });
        known.add(&[row]);
        let candidates = known.recognize(KEY);
        assert!(matches!(&candidates[..], [one] if one.matches().is_err()));
    }

    #[test]
    fn keys_may_share_their_public_part() {
        let known = Table::default();
        let shared = set(1, Scheme::Sha512, PublicPart::First(4), None);
        let shared = Set { layout: KeyLayout { shared: true, ..shared.layout.clone() }, ..shared };
        let keys = ["sk_live_79bbfirst", "sk_live_79bbsecond", "sk_live_79bcthird"];
        let rows: Vec<_> = keys.iter().map(|key| row(&shared, 1, key.get(8..12), digest(&shared, key, b""))).collect();
        known.add_set(shared);
        known.add(&rows);
        assert_eq!(known.len(), 3);
        let right = |key: &str| known.recognize(key).iter().map(|one| one.matches() == Ok(true)).collect::<Vec<_>>();
        assert_eq!(keys.map(|key| right(key).iter().filter(|right| **right).count()), [1; 3]);
        assert_eq!(keys.map(|key| right(key).len()), [2, 2, 1]);
    }

    #[test]
    fn a_row_takes_little_memory_whatever_claims_it_has() {
        // As many as fill the hash tables worst: just after they grew.
        const ROWS: u32 = 60_000;
        let meta = |number: u32| Claims::new().with_scopes(["read"]).with_meta([("user_id", number.to_string())]);
        let scoped = |number: u32| Claims::new().with_scopes([format!("customer:{number}")]);
        type Made = fn(u32) -> Claims;
        let same: Made = |_| Claims::new().with_scopes(["read"]);
        for (scheme, claims, most) in [
            (Scheme::Sha256, same, 90),
            (Scheme::Sha512, same, 122),
            (Scheme::Sha256, meta as Made, 118),
            (Scheme::Sha512, scoped as Made, 145),
        ] {
            let (known, set) = (Table::default(), set(1, scheme, PublicPart::None, None));
            let text = |number: u32| format!("sk_live_{number}");
            let rows: Vec<_> = (0..ROWS)
                .map(|number| ImportedRow {
                    claims: claims(number),
                    ..row(&set, number.into(), None, digest(&set, &text(number), b""))
                })
                .collect();
            known.add_set(set);
            known.add(&rows);
            let each = known.memory() / known.len();
            assert!(known.len() == ROWS as usize && each <= most, "{scheme}: {each} bytes a row");
            for number in [0, 7, ROWS - 1] {
                let found = known.recognize(&text(number));
                assert_eq!(found.iter().map(|one| one.key().claims()).collect::<Vec<_>>(), [Some(&claims(number))]);
            }
        }
    }

    #[test]
    fn ids_are_the_same_each_time_and_say_nothing() {
        let set = |id_key: u8| {
            let layout = KeyLayout::new(Scheme::Sha256);
            Set::new(1, "live".parse().expect("a realm"), layout, [id_key; 16], None)
        };
        let digest = |byte: u8| Check::Fast { digest: [byte; 32].into(), salt: [].into() };
        assert_eq!(set(1).id_of(None, &digest(1)), set(1).id_of(None, &digest(1)));
        assert_ne!(set(1).id_of(None, &digest(1)), set(1).id_of(None, &digest(2)));
        assert_ne!(set(1).id_of(None, &digest(1)), set(2).id_of(None, &digest(1)));
        assert_eq!(set(1).id_of(None, &digest(1)).version(), 0);
    }
}
