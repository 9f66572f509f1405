//! Revocations against a plain model of them, at their edges, and by their own accounting.

use std::{collections::HashMap, sync::Arc};

use bulla::{
    ApiKeyId, Expectations, IssueRequest, Issuer, Realm, Rejection, Verifier,
    claims::Claims,
    keyring::{Suite, VersionState},
    revocation::{Change, Revocations},
};
use uuid::Uuid;

use crate::{
    allocation::counted,
    fixture::{self, ISSUED, MASTER_7, MASTER_8, Version},
};

pub(crate) const APP: Uuid = Uuid::from_u128(1);
pub(crate) const NOW: u32 = ISSUED as u32;
/// How long an id outstays its key.
pub(crate) const CLOCK_DIFFERENCE: u32 = 300;

/// Numbers that look random and are the same in every run.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// The id of the key version and the nonce `number`, in the format's own letters.
pub(crate) fn id(realm: Realm, version: u32, number: u128) -> ApiKeyId {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let bytes = (u128::from(version) << 96 | number).to_be_bytes();
    let mut text = format!("{realm}_");
    for group in bytes.chunks(8) {
        let mut value = u64::from_be_bytes(group.try_into().unwrap());
        let mut digits = ['0'; 11];
        for digit in digits.iter_mut().rev() {
            *digit = ALPHABET[(value % 62) as usize].into();
            value /= 62;
        }
        text.extend(digits);
    }
    text.parse().unwrap()
}

pub(crate) fn live() -> Realm {
    fixture::realm("acme_live")
}

fn revoke(number: u128) -> Change {
    Change::Revoke { id: id(live(), 1, number), expires_at: Some(NOW + 1) }
}

/// The same in words that cannot be wrong.
#[derive(Clone, Default)]
struct Model {
    revoked: HashMap<ApiKeyId, Option<u32>>,
    suspended: HashMap<ApiKeyId, Option<u32>>,
    apps: HashMap<(Uuid, Option<Realm>), u32>,
    realms: HashMap<Realm, u32>,
}

impl Model {
    fn apply(&mut self, change: Change) {
        let later = |ids: &mut HashMap<ApiKeyId, Option<u32>>, id, expires_at: Option<u32>| {
            let known = ids.entry(id).or_insert(expires_at);
            *known = known.zip(expires_at).map(|(one, other)| one.max(other));
        };
        match change {
            Change::Revoke { id, expires_at } => later(&mut self.revoked, id, expires_at),
            Change::Suspend { id, expires_at } => later(&mut self.suspended, id, expires_at),
            Change::Resume { id } => {
                self.suspended.remove(&id);
            }
            Change::RevokeApp { app_id, realm, issued_before } => {
                let before = self.apps.entry((app_id, realm)).or_default();
                *before = issued_before.max(*before);
            }
            Change::RevokeRealm { realm, issued_before } => {
                let before = self.realms.entry(realm).or_default();
                *before = issued_before.max(*before);
            }
            Change::ForgetVersion { version } => self.retain(|id, _| id.version() != version),
        }
    }

    fn retain(&mut self, keep: impl Fn(&ApiKeyId, Option<u32>) -> bool) {
        self.revoked.retain(|id, expires_at| keep(id, *expires_at));
        self.suspended.retain(|id, expires_at| keep(id, *expires_at));
    }

    fn contains(&self, id: &ApiKeyId, app_id: Uuid, issued_at: u32) -> bool {
        let before = |rule: Option<&u32>| rule.is_some_and(|before| issued_at < *before);
        self.revoked.contains_key(id)
            || self.suspended.contains_key(id)
            || before(self.realms.get(&id.realm()))
            || before(self.apps.get(&(app_id, None)))
            || before(self.apps.get(&(app_id, Some(id.realm()))))
    }

    fn len(&self) -> usize {
        self.revoked.len() + self.suspended.len() + self.apps.len() + self.realms.len()
    }
}

#[test]
fn random_changes_leave_what_a_plain_model_of_them_has() {
    let realms = [live(), fixture::realm("acme_test"), fixture::realm("other")];
    for seed in 0..60 {
        let mut numbers = Numbers(seed);
        // Few ids, so that changes meet; rules rarely, as each hides many ids.
        let ids = 1 + numbers.below(300);
        let draw = |numbers: &mut Numbers| {
            let realm = realms[numbers.below(3) as usize];
            let app_id = Uuid::from_u128(numbers.below(20).into());
            let id = id(realm, 1 + numbers.below(3) as u32, numbers.below(ids).into());
            (id, app_id, NOW - 50 + numbers.below(100) as u32)
        };
        let (mut model, mut all, mut state) = (Model::default(), Vec::new(), Revocations::default());
        for _ in 0..40 {
            let changes: Vec<Change> = (0..numbers.below(20))
                .map(|_| {
                    let (id, app_id, time) = draw(&mut numbers);
                    let expires_at = (numbers.below(4) > 0).then_some(time);
                    match numbers.below(300) {
                        0..110 => Change::Revoke { id, expires_at },
                        110..220 => Change::Suspend { id, expires_at },
                        220..292 => Change::Resume { id },
                        292 | 293 => Change::RevokeApp { app_id, realm: None, issued_before: time },
                        294..297 => Change::RevokeApp { app_id, realm: Some(id.realm()), issued_before: time },
                        297 => Change::RevokeRealm { realm: id.realm(), issued_before: NOW - 60 + time % 20 },
                        _ => Change::ForgetVersion { version: id.version() },
                    }
                })
                .collect();
            let (before, model_before) = (state.clone(), model.clone());
            changes.iter().for_each(|change| model.apply(*change));
            state = before.with(&changes);
            all.extend(changes);
            if numbers.below(10) == 0 {
                let now = NOW - 50 + numbers.below(100) as u32 + CLOCK_DIFFERENCE;
                state = state.sweep(now.into());
                model.retain(|_, expires_at| expires_at.is_none_or(|at| at + CLOCK_DIFFERENCE > now));
                all.clear();
            }
            assert_eq!((state.len(), before.len()), (model.len(), model_before.len()), "seed {seed}");
            for _ in 0..100 {
                let (id, app_id, issued_at) = draw(&mut numbers);
                assert_eq!(state.contains(&id, app_id, issued_at), model.contains(&id, app_id, issued_at), "{seed}");
                assert_eq!(before.contains(&id, app_id, issued_at), model_before.contains(&id, app_id, issued_at));
            }
        }
        // What was not swept comes out the same in one load.
        let mut fresh = Model::default();
        all.iter().for_each(|change| fresh.apply(*change));
        assert_eq!(Revocations::from_changes(all).len(), fresh.len(), "seed {seed}");
    }
}

#[test]
fn a_list_that_grows_far_and_shrinks_again_keeps_every_id() {
    const COUNT: u128 = 40_000;
    let mut state = Revocations::default();
    for start in (0..COUNT).step_by(500) {
        state = state.with(&(start..start + 500).map(revoke).collect::<Vec<_>>());
    }
    let holds = |state: &Revocations, number| state.contains(&id(live(), 1, number), APP, NOW);
    assert_eq!(state.len(), COUNT as usize);
    assert!((0..COUNT).all(|number| holds(&state, number)));
    assert!((COUNT..2 * COUNT).all(|number| !holds(&state, number)));

    let stay: Vec<Change> =
        (0..100).map(|number| Change::Revoke { id: id(live(), 1, number), expires_at: None }).collect();
    let late = u64::from(NOW + 1 + CLOCK_DIFFERENCE);
    let (mut parts, whole) = (state.with(&stay), state.with(&stay).sweep(late));
    for part in 0..Revocations::PARTS {
        parts = parts.sweep_part(part, late);
    }
    for swept in [&parts, &whole] {
        assert_eq!(swept.len(), 100);
        assert!((0..COUNT).all(|number| holds(swept, number) == (number < 100)));
        assert!(swept.memory() < 10_000, "{} bytes for 100 ids", swept.memory());
    }
    assert_eq!(state.len(), COUNT as usize, "the old state is as it was");
    assert!(whole.with(&[Change::ForgetVersion { version: 1 }]).is_empty());
}

#[test]
fn a_change_of_the_mind_counts_in_its_order_and_a_revocation_is_for_good() {
    let id = id(live(), 7, 1);
    let (revoke, suspend) = (Change::Revoke { id, expires_at: None }, Change::Suspend { id, expires_at: None });
    let resume = Change::Resume { id };
    for (changes, taken_back) in [
        (vec![suspend], true),
        (vec![suspend, resume], false),
        (vec![resume, suspend], true),
        (vec![suspend, resume, suspend], true),
        (vec![revoke, resume], true),
        (vec![suspend, revoke, resume], true),
        (vec![revoke, suspend, resume], true),
        (vec![resume], false),
        (vec![revoke, Change::ForgetVersion { version: 7 }], false),
        (vec![revoke, Change::ForgetVersion { version: 8 }], true),
        (vec![suspend, Change::ForgetVersion { version: 7 }], false),
        (vec![Change::ForgetVersion { version: 7 }, revoke], true),
    ] {
        let at_once = Revocations::default().with(&changes);
        let one_by_one =
            changes.iter().fold(Revocations::default(), |state, change| state.with(std::slice::from_ref(change)));
        for state in [at_once, one_by_one, Revocations::from_changes(changes.clone())] {
            assert_eq!(state.contains(&id, APP, NOW), taken_back, "{changes:?}");
            assert_eq!(state.is_empty(), !taken_back, "{changes:?}");
        }
    }
}

#[test]
fn an_id_leaves_five_minutes_after_its_key_and_one_of_unknown_expiry_stays() {
    let id = id(live(), 1, 1);
    let state = |expires_at| Revocations::default().with(&[Change::Revoke { id, expires_at }]);
    for expires_at in [1, NOW, u32::MAX - 1] {
        let gone = u64::from(expires_at) + u64::from(CLOCK_DIFFERENCE);
        assert_eq!(state(Some(expires_at)).sweep(gone - 1).len(), 1);
        assert_eq!(state(Some(expires_at)).sweep(gone).len(), 0);
    }
    for expires_at in [None, Some(0), Some(u32::MAX)] {
        assert_eq!(state(expires_at).sweep(u64::MAX).len(), 1);
    }
    for (one, other, stays) in [(Some(10), Some(20), 20), (Some(20), Some(10), 20)] {
        let twice = state(one).with(&[Change::Revoke { id, expires_at: other }]);
        assert_eq!(twice.sweep(stays + 299).len(), 1);
        assert_eq!(twice.sweep(stays + 300).len(), 0);
    }
    for (one, other) in [(Some(10), None), (None, Some(10))] {
        assert_eq!(state(one).with(&[Change::Revoke { id, expires_at: other }]).sweep(u64::MAX).len(), 1);
    }
    let suspended = Revocations::default().with(&[Change::Suspend { id, expires_at: Some(10) }]);
    assert_eq!((suspended.sweep(309).len(), suspended.sweep(310).len()), (1, 0));
}

#[test]
fn the_verifier_heeds_ids_and_rules_to_the_second_and_only_after_the_seal() {
    let realms = [live(), fixture::realm("acme_test")];
    let version = |master| [Version::new(7, Suite::Aes256Gcm, VersionState::Active, master)];
    let keyring = fixture::keyring(&version(MASTER_7), &realms);
    let request = IssueRequest { realm: live(), app_id: APP, expires_at: None, claims: Claims::new() };
    let key = Issuer::new(&keyring).issue(&request, ISSUED).unwrap();
    let verdict = |text: &str, change| {
        let revocations = Arc::new(Revocations::default().with(&[change]));
        let verifier = Verifier::new(&keyring).with_revocations(revocations);
        verifier.verify(text, &Expectations::realms(&realms), ISSUED).err()
    };
    let revoked = Some(Rejection::Revoked.into());
    let (other, test) = (Uuid::from_u128(2), Some(realms[1]));
    for (issued_before, expected) in [(0, &None), (NOW, &None), (NOW + 1, &revoked), (u32::MAX, &revoked)] {
        let rule = |app_id, realm| Change::RevokeApp { app_id, realm, issued_before };
        for change in [rule(APP, None), rule(APP, Some(live())), Change::RevokeRealm { realm: live(), issued_before }] {
            assert_eq!(verdict(key.expose(), change), *expected, "{change:?}");
        }
        for change in [rule(APP, test), rule(other, None), Change::RevokeRealm { realm: realms[1], issued_before }] {
            assert_eq!(verdict(key.expose(), change), None, "{change:?}");
        }
    }
    let id = key.id();
    assert_eq!(verdict(key.expose(), Change::Revoke { id, expires_at: None }), revoked);
    assert_eq!(verdict(key.expose(), Change::Suspend { id, expires_at: None }), revoked);

    let forged = Issuer::new(&fixture::keyring(&version(MASTER_8), &realms)).issue(&request, ISSUED).unwrap();
    let change = Change::Revoke { id: forged.id(), expires_at: None };
    assert_eq!(verdict(forged.expose(), change), Some(Rejection::Seal.into()));
}

#[test]
fn an_id_takes_at_most_48_bytes_whether_random_or_in_a_row() {
    let mut numbers = Numbers(1);
    // Around the length at which the table gains a level, where leaves are shortest.
    for count in [1_000, 24_000, 25_000, 100_000] {
        let random: Vec<u128> = (0..count).map(|_| u128::from(numbers.next()) << 20).collect();
        for change in [&|at: u128| random[at as usize], &|at: u128| at] as [&dyn Fn(u128) -> u128; 2] {
            let state = Revocations::from_changes((0..count).map(|at| revoke(change(at))));
            assert_eq!(state.len(), count as usize);
            let per_id = state.memory() as f64 / count as f64;
            assert!((20.0..=48.0).contains(&per_id), "{per_id} bytes per id at {count}");
        }
    }
}

#[test]
fn a_lookup_allocates_nothing() {
    let app_rule = Change::RevokeApp { app_id: Uuid::max(), realm: None, issued_before: NOW };
    let changes = (0..30_000).map(revoke).chain([app_rule]);
    let state = Revocations::from_changes(changes.chain([Change::Suspend { id: id(live(), 2, 0), expires_at: None }]));
    let asked: Vec<ApiKeyId> = (0..60_000).map(|number| id(live(), 1, number)).collect();
    let (found, allocations) = counted(|| asked.iter().filter(|id| state.contains(id, APP, NOW)).count());
    assert_eq!((found, allocations), (30_000, 0));
}
