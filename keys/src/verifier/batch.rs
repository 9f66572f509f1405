//! Many API keys at once, four side by side, so that what one waits for in memory is there when its turn comes.

use super::{Judged, Verified, Verifier};
use crate::{
    expectations::Expectations,
    rejection::{Rejection, VerifyError},
    seal::SealKey,
    vector::Body,
};

/// Keys side by side. Twice as many gain nothing: their vectors would not all have a register.
const LANES: usize = 4;

impl Verifier {
    /// Verifies many texts as [`Verifier::verify`] does each, and hands the verdicts to `each` in their order. The
    /// look-ups of several keys in memory overlap: with a million revoked ids a key takes a tenth less time than alone.
    /// With few of them it takes a third more, so call [`Verifier::verify`] for each there.
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
        let mut texts = texts.into_iter();
        let mut bodies: [Body; LANES] = std::array::from_fn(|_| Body::new());
        loop {
            let (mut group, mut count) = ([""; LANES], 0);
            for (place, text) in group.iter_mut().zip(texts.by_ref()) {
                *place = text;
                count += 1;
            }
            self.verify_group(&group[..count], &mut bodies, expected, now, &mut each);
            if count < LANES {
                return;
            }
        }
    }

    fn verify_group(
        &self,
        texts: &[&str],
        bodies: &mut [Body; LANES],
        expected: &Expectations<'_>,
        now: u64,
        each: &mut impl FnMut(Result<Verified, VerifyError>),
    ) {
        let mut reads = [const { None }; LANES];
        for ((read, text), body) in reads.iter_mut().zip(texts).zip(bodies.iter_mut()) {
            *read = Some(self.read(text.as_bytes(), expected, now, body));
        }
        let mut sealed = [0; LANES];
        let keys: [Option<&SealKey>; LANES] = std::array::from_fn(|at| match &reads[at] {
            Some(Ok(read)) => {
                sealed[at] = read.sealed;
                Some(read.key)
            }
            _ => None,
        });
        let opened = match keys {
            [Some(a), Some(b), Some(c), Some(d)] => SealKey::open_all([a, b, c, d], bodies, sealed),
            _ => std::array::from_fn(|at| keys[at].is_some_and(|key| key.open(&mut bodies[at], sealed[at]).is_ok())),
        };
        for ((read, opened), body) in reads.into_iter().flatten().zip(opened).zip(&*bodies) {
            each(read.and_then(|read| {
                if !opened {
                    return Err(Rejection::Seal.into());
                }
                let plaintext = read.key.opened(body, read.sealed);
                self.judge(read, plaintext, expected, now).and_then(|judged| judged.without_secret(Judged::verified))
            }));
        }
    }
}
