//! Many API keys at once, eight side by side: what a processor can do for several keys at a time it does for all of
//! them, and what one waits for in memory is there when its turn comes.

#[cfg(test)]
mod tests;

use std::ptr;

#[cfg(feature = "capi")]
use super::Accepted;
use super::{Judged, Opened, Read, Verified, Verifier};
use crate::{
    api_key::{self, text::Parts},
    expectations::Expectations,
    realm::Realm,
    rejection::{Rejection, VerifyError},
    seal::SealKey,
    vector::{self, Body, LANES, Level, PLAIN_SEALED},
};

impl Verifier {
    /// Verifies many texts as [`Verifier::verify`] does each, and hands the verdicts to `each` in their order. It
    /// allocates nothing. Keys of suite 1 without claims are read and opened eight at a time where the processor has
    /// AVX-512.
    ///
    /// ```
    /// use bulla::{Expectations, Verifier};
    /// # mod fixture { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/fixture.rs")); }
    /// # let (fixture, now) = (fixture::Fixture::new(), fixture::NOW);
    /// # let (live, keyring, one, another) = (fixture.live, &fixture.keyring, fixture.issue(), fixture.issue());
    /// let (verifier, realms) = (Verifier::new(keyring), [live]);
    /// let texts = [one.expose(), "no key", another.expose()];
    ///
    /// let mut accepted = Vec::new();
    /// verifier.verify_batch(texts, &Expectations::realms(&realms), now, |verdict| accepted.push(verdict.is_ok()));
    /// assert_eq!(accepted, [true, false, true]);
    /// ```
    pub fn verify_batch<'t>(
        &self,
        texts: impl IntoIterator<Item = &'t str>,
        expected: &Expectations<'_>,
        now: u64,
        mut each: impl FnMut(Result<Verified, VerifyError>),
    ) {
        let texts = texts.into_iter().map(str::as_bytes);
        self.in_groups(texts, expected, now, |group, at| each(group.verdict(self, at, expected, now)));
    }

    /// Opens many texts as [`Verifier::open`] does each, for a caller that has the hashes of secret halves; otherwise
    /// as [`Verifier::verify_batch`].
    pub fn open_batch<'t>(
        &self,
        texts: impl IntoIterator<Item = &'t str>,
        expected: &Expectations<'_>,
        now: u64,
        mut each: impl FnMut(Result<Opened, VerifyError>),
    ) {
        let texts = texts.into_iter().map(str::as_bytes);
        self.in_groups(texts, expected, now, |group, at| each(group.opened(self, at, expected, now)));
    }

    /// As [`Verifier::verify_batch`], and hands each text to `each` with the accepted key where it lies. A text may be
    /// no UTF-8.
    #[cfg(feature = "capi")]
    pub(crate) fn verify_batch_in_place<'t>(
        &self,
        texts: impl Iterator<Item = &'t [u8]>,
        expected: &Expectations<'_>,
        now: u64,
        mut each: impl FnMut(&'t [u8], Result<&Accepted<'_>, VerifyError>),
    ) {
        self.in_groups(texts, expected, now, |group, at| {
            let text = group.texts[at];
            let judged = group.judge(self, at, expected, now);
            match judged.and_then(|judged| judged.check_without_secret().map(|()| judged)) {
                Ok(judged) => each(text, Ok(&Accepted::new(text, &judged))),
                Err(error) => each(text, Err(error)),
            }
        });
    }

    /// As [`Verifier::find_key`], for a key without claims. In most batches it has the realm and the version of the key
    /// before it.
    #[inline(always)]
    fn find_plain<'v, 'e, 't>(
        &'v self,
        parts: Parts<'t>,
        latest: &mut Option<Latest<'v, 'e>>,
        body: &Body,
        expected: &Expectations<'e>,
        now: u64,
    ) -> Result<Read<'v, 'e, 't>, VerifyError> {
        let (number, _) = api_key::id::split(body.id());
        if let (Some(Latest { number: last, realm, key }), Some(presumed)) = (&*latest, parts.presumed_realm())
            && *last == number
            && presumed.is(realm)
        {
            self.prefetch(body);
            return Ok(Read { parts, realm, key, sealed: PLAIN_SEALED });
        }
        let read = self.find_key(parts, PLAIN_SEALED, body, expected, now)?;
        *latest = Some(Latest { number, realm: read.realm, key: read.key });
        Ok(read)
    }

    #[inline]
    fn in_groups<'e, 't>(
        &self,
        mut texts: impl Iterator<Item = &'t [u8]>,
        expected: &Expectations<'e>,
        now: u64,
        mut each: impl FnMut(&Group<'_, 'e, 't>, usize),
    ) {
        let mut group = Group::new();
        loop {
            let count = group.take(&mut texts);
            group.open(self, expected, now);
            for at in 0..count {
                each(&group, at);
            }
            if count < LANES {
                return;
            }
        }
    }
}

/// The realm and the version that a key was last found under.
struct Latest<'v, 'e> {
    number: u32,
    realm: &'e Realm,
    key: &'v SealKey,
}

/// Keys side by side.
struct Group<'v, 'e, 't> {
    texts: [&'t [u8]; LANES],
    count: usize,
    reads: [Result<Read<'v, 'e, 't>, VerifyError>; LANES],
    bodies: [Body; LANES],
    /// A bit for each key whose seal is open.
    opened: u8,
}

impl<'v, 'e, 't> Group<'v, 'e, 't> {
    fn new() -> Self {
        Group {
            texts: [&[]; LANES],
            count: 0,
            reads: std::array::from_fn(|_| Err(Rejection::Malformed.into())),
            bodies: std::array::from_fn(|_| Body::new()),
            opened: 0,
        }
    }

    /// Takes as many texts as there is room for, and returns how many.
    #[inline]
    fn take(&mut self, texts: &mut impl Iterator<Item = &'t [u8]>) -> usize {
        self.texts = [&[]; LANES];
        self.count = 0;
        for (place, text) in self.texts.iter_mut().zip(texts) {
            *place = text;
            self.count += 1;
        }
        self.count
    }

    /// Reads all texts, and opens the seals of those that are keys by all that stands before the seal.
    fn open(&mut self, verifier: &'v Verifier, expected: &Expectations<'e>, now: u64) {
        let Group { texts, reads, bodies, .. } = self;
        let plain = vector::read_plain(Level::here(), texts, bodies);
        let (mut latest, mut rest, mut single) = (None, 0, 0);
        for at in 0..self.count {
            let (text, body) = (texts[at], &mut bodies[at]);
            if plain >> at & 1 == 1 {
                reads[at] = verifier.find_plain(Parts::plain(text), &mut latest, body, expected, now);
                rest |= u8::from(reads[at].is_ok()) << at;
            } else {
                reads[at] = verifier.read(text, expected, now, body);
                single |= u8::from(reads[at].is_ok()) << at;
            }
        }
        self.opened = 0;
        // Those of one seal key at a time, which is mostly that of all.
        while let Some(Ok(first)) = reads.get(rest.trailing_zeros() as usize) {
            let key = first.key;
            let mut same = rest;
            for (at, read) in reads.iter().enumerate() {
                let other = !read.as_ref().is_ok_and(|read| ptr::eq(read.key, key));
                same &= !(u8::from(other) << at);
            }
            self.opened |= key.open_plain(bodies, same);
            rest &= !same;
        }
        while let Some(Ok(read)) = reads.get(single.trailing_zeros() as usize) {
            let at = single.trailing_zeros() as usize;
            self.opened |= u8::from(read.key.open(&mut bodies[at], read.sealed)) << at;
            single &= single - 1;
        }
    }

    // Not inlined, so that the verdict is made where it stays: it has room for all claims.
    #[inline(never)]
    fn verdict(
        &self,
        verifier: &Verifier,
        at: usize,
        expected: &Expectations<'_>,
        now: u64,
    ) -> Result<Verified, VerifyError> {
        self.judge(verifier, at, expected, now)?.without_secret()
    }

    fn opened(
        &self,
        verifier: &Verifier,
        at: usize,
        expected: &Expectations<'_>,
        now: u64,
    ) -> Result<Opened, VerifyError> {
        self.judge(verifier, at, expected, now).and_then(Judged::with_secret)
    }

    #[inline(always)]
    fn judge(
        &self,
        verifier: &Verifier,
        at: usize,
        expected: &Expectations<'_>,
        now: u64,
    ) -> Result<Judged<'e, '_>, VerifyError> {
        let read = self.reads[at].as_ref().map_err(|error| *error)?;
        if self.opened >> at & 1 == 0 {
            return Err(Rejection::Seal.into());
        }
        verifier.judge(read, &self.bodies[at], expected, now)
    }
}
