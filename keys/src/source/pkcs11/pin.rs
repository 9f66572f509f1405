//! The PIN, and the memory of wrong ones: a token, or a whole TPM, locks itself after a few, so each is tried once.

use std::{
    hash::{BuildHasher, RandomState},
    sync::LazyLock,
};

use cryptoki::types::AuthPin;
use secrecy::ExposeSecret;

use super::{super::SourceErrorKind, error::Pkcs11Error, token::Found};

/// Where a token does not tell how many tries are left, this many wrong PINs are tried before a right one; many tokens
/// allow three.
const MAX_WRONG: usize = 2;

/// A PIN to log in with.
pub(super) struct Pin {
    pub(super) text: AuthPin,
    digest: Digest,
}

/// Tells PINs apart in this process, and says nothing of them outside.
type Digest = u64;

static SALT: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// The PINs that tokens of one module refused, and the last one that each took.
#[derive(Default)]
pub(super) struct WrongPins {
    wrong: Vec<Wrong>,
    taken: Vec<(String, Digest)>,
}

struct Wrong {
    token: String,
    digest: Digest,
    /// Whether it counts towards [`MAX_WRONG`]: the token does not tell how many tries are left, and took no PIN since.
    counts: bool,
}

impl Pin {
    pub(super) fn new(text: AuthPin) -> Self {
        let digest = SALT.hash_one(text.expose_secret());
        Pin { text, digest }
    }
}

impl WrongPins {
    /// Refuses a PIN that must not be tried on this token.
    pub(super) fn check(&self, found: &Found, pin: &Pin) -> Result<(), Pkcs11Error> {
        let refuse = |detail: &str| Err(Pkcs11Error::new(SourceErrorKind::Denied, detail.to_owned()));
        if self.wrong.iter().any(|wrong| wrong.token == found.identity && wrong.digest == pin.digest) {
            return refuse(
                "the PIN is wrong, and is not tried again, so that the token does not lock itself: put the right one where \
                 pin-source points; if the token has this PIN now, start this program anew",
            );
        }
        if found.facts.as_ref().is_some_and(|facts| facts.final_try) {
            return refuse(
                "one more wrong PIN locks the token, so none is tried: log in once with the right PIN by another tool",
            );
        }
        // The tries of a TPM are those of all its tokens. The PIN that a token took last is not a guess.
        let taken = self.taken.iter().any(|(token, digest)| *token == found.identity && *digest == pin.digest);
        if !taken && self.wrong.iter().filter(|wrong| wrong.counts).count() >= MAX_WRONG {
            return refuse(
                "several PINs were wrong, and the token does not tell how many more lock it, so none is tried: see that \
                 pin-source points to the right one, and start this program anew",
            );
        }
        Ok(())
    }

    /// Remembers that the token refused it. `told`: the token tells how many tries are left.
    pub(super) fn refused(&mut self, token: &str, pin: &Pin, told: bool) {
        self.wrong.push(Wrong { token: token.to_owned(), digest: pin.digest, counts: !told });
    }

    /// Remembers that the token took it, which starts the token's own count anew. What was wrong stays so: where
    /// another source names it, it would be tried at every reload.
    pub(super) fn taken(&mut self, token: &str, pin: &Pin) {
        self.wrong.iter_mut().filter(|wrong| wrong.token == token).for_each(|wrong| wrong.counts = false);
        self.taken.retain(|(known, _)| known != token);
        self.taken.push((token.to_owned(), pin.digest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(token: &str) -> Found {
        Found { slot: 1u64.try_into().unwrap(), facts: None, identity: token.to_owned() }
    }

    #[test]
    fn a_wrong_pin_is_tried_once_for_each_token() {
        let (mut memory, token, wrong, right) =
            (WrongPins::default(), found("a"), Pin::new("1111".into()), Pin::new("2222".into()));
        memory.refused("a", &wrong, true);
        assert!(memory.check(&token, &wrong).is_err());
        assert!(memory.check(&found("b"), &wrong).is_ok());
        assert!(memory.check(&token, &right).is_ok());
        memory.taken("a", &right);
        assert!(memory.check(&token, &wrong).is_err(), "two sources may name different PINs");
        assert!(memory.check(&token, &right).is_ok());
    }

    #[test]
    fn a_token_that_does_not_count_is_counted_for() {
        let mut memory = WrongPins::default();
        memory.taken("b", &Pin::new("2222".into()));
        for (at, told) in [(0, true), (1, false), (2, false)] {
            assert!(memory.check(&found("a"), &Pin::new("3333".into())).is_ok(), "{at}");
            memory.refused("a", &Pin::new(at.to_string().into()), told);
        }
        assert!(memory.check(&found("a"), &Pin::new("3333".into())).is_err());
        assert!(memory.check(&found("b"), &Pin::new("3333".into())).is_err(), "a TPM counts for all its tokens");
        assert!(memory.check(&found("b"), &Pin::new("2222".into())).is_ok(), "it is known to be right");
        memory.taken("a", &Pin::new("4444".into()));
        assert!(memory.check(&found("a"), &Pin::new("3333".into())).is_ok(), "the token counts anew");
        assert!(memory.check(&found("a"), &Pin::new("1".into())).is_err());
    }
}
