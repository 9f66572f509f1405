//! The filter before a plain set of keys.

use std::collections::BTreeSet;

use super::*;

type Plain = BTreeSet<u64>;

impl Keys for Plain {
    fn count(&self) -> usize {
        self.len()
    }

    fn hashes(&self, range: &RangeInclusive<u64>) -> Vec<u64> {
        self.range(range.clone()).copied().collect()
    }
}

/// A good hash of 0, 1, 2 and so on.
fn hash(number: u64) -> u64 {
    let mixed = (number + 1).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Adds one key to both.
fn add(filter: &mut Filter, keys: &mut Plain, number: u64) {
    keys.insert(hash(number));
    *filter = filter.with(&[hash(number)], keys);
}

fn holds_all(filter: &Filter, keys: &Plain) -> bool {
    keys.iter().all(|hash| filter.may_hold(*hash))
}

/// Of a hundred thousand keys that are nowhere, those that pass for present.
fn passed(filter: &Filter) -> usize {
    (1 << 40..(1 << 40) + 100_000).filter(|number| filter.may_hold(hash(*number))).count()
}

#[test]
fn it_holds_every_key_and_stays_sharp_through_every_doubling() {
    let (mut filter, mut keys) = (Filter::default(), Plain::new());
    assert!(filter.is_blank() && !filter.may_hold(hash(0)));
    let mut widths = BTreeSet::new();
    for number in 0..5 * MAX_KEYS as u64 {
        add(&mut filter, &mut keys, number);
        if widths.insert(filter.segments.len()) || number % 10_000 == 0 {
            assert!(holds_all(&filter, &keys), "{number}");
            assert!(passed(&filter) < 250, "{} of 100,000 at {number}", passed(&filter));
        }
    }
    assert!(holds_all(&filter, &keys));
    assert_eq!(Vec::from_iter(widths), [1, 2, 4, 8]);
    assert!(filter.memory() < 4 * keys.len());
}

#[test]
fn lines_of_history_from_one_base_share_its_words_and_none_loses_a_key() {
    let (mut base, mut keys) = (Filter::default(), Plain::new());
    (0..MAX_KEYS as u64).for_each(|number| add(&mut base, &mut keys, number));
    // More lines than the base has room for, all of one key; and two that go on beyond a doubling.
    for line in 0..MAX_KEYS as u64 / 2 {
        let (number, mut keys) = (1_000_000 + line, Plain::new());
        keys.extend([hash(number), hash(line)]);
        let of_line = base.with(&[hash(number)], &Padded(&keys, MAX_KEYS));
        assert!(of_line.may_hold(hash(number)) && of_line.may_hold(hash(line)));
    }
    assert!(holds_all(&base, &keys));
    assert!(passed(&base) < 250, "the base is never filled beyond its measure: {} of 100,000", passed(&base));
    let mut lines = [2_000_000, 3_000_000].map(|first| (first, base.clone(), keys.clone()));
    for step in 0..MAX_KEYS as u64 {
        for (first, filter, keys) in &mut lines {
            add(filter, keys, *first + step);
        }
    }
    for (_, filter, keys) in &lines {
        assert!(filter.segments.len() > 1 && holds_all(filter, keys));
    }
    assert!(!lines[0].1.may_hold(hash(3_000_007)) || !lines[1].1.may_hold(hash(2_000_007)), "they have parted");
}

/// Keys that say they are as many as those of the base, so that a line need not carry them along.
struct Padded<'a>(&'a Plain, usize);

impl Keys for Padded<'_> {
    fn count(&self) -> usize {
        self.1
    }

    fn hashes(&self, range: &RangeInclusive<u64>) -> Vec<u64> {
        self.0.hashes(range)
    }
}

#[test]
fn what_is_removed_gives_its_memory_back_and_may_come_again() {
    let (mut filter, mut keys) = (Filter::default(), Plain::new());
    keys.extend((0..6 * MAX_KEYS as u64).map(hash));
    filter = filter.with(&Vec::from_iter(keys.iter().copied()), &keys);
    assert_eq!(filter.segments.len(), 8);
    let (before, all) = (filter.clone(), keys.clone());
    let part = u64::MAX / FAN as u64 + 1;
    for at in 0..FAN {
        let (first, last) = (at as u64 * part, at as u64 * part + (part - 1));
        keys.retain(|hash| !(first..=last).contains(hash) || hash % 100 == 0);
        filter = filter.without(at..at + 1, &keys);
        assert!(holds_all(&filter, &keys), "part {at}");
    }
    assert!(holds_all(&before, &all), "an older state is as it was");
    assert!(filter.memory() < 4 * keys.len() + 1_000, "{} bytes for {}", filter.memory(), keys.len());
    let again: Vec<u64> = (0..1_000).map(hash).collect();
    keys.extend(&again);
    assert!(holds_all(&filter.with(&again, &keys), &keys));
    assert!(filter.without(0..FAN, &Plain::new()).is_blank());
    assert!(filter.with(&[], &Plain::new()).is_blank(), "the last one was resumed");
}
