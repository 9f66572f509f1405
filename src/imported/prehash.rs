//! What an old system does with a key before it hashes it: most often a digest, so that bcrypt sees all of it.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{OldSecret, digest::Algorithm};

/// One such step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub(crate) enum Before {
    Sha256,
    Sha256Hex,
    Sha256Base64,
    Sha512,
    Sha512Hex,
    Sha512Base64,
    HmacSha256,
    HmacSha256Hex,
    HmacSha256Base64,
    HmacSha512Hex,
    HmacSha512Base64,
    /// The secret behind the key.
    Append,
    /// The secret before the key.
    Prepend,
}

impl Before {
    /// All of them.
    pub(crate) const ALL: [Before; 13] = [
        Before::Sha256,
        Before::Sha256Hex,
        Before::Sha256Base64,
        Before::Sha512,
        Before::Sha512Hex,
        Before::Sha512Base64,
        Before::HmacSha256,
        Before::HmacSha256Hex,
        Before::HmacSha256Base64,
        Before::HmacSha512Hex,
        Before::HmacSha512Base64,
        Before::Append,
        Before::Prepend,
    ];

    /// Its name, as the command line and the store have it.
    pub(crate) fn name(self) -> &'static str {
        self.facts().0
    }

    /// What it is, for the help.
    pub(crate) fn about(self) -> &'static str {
        self.facts().1
    }

    fn facts(self) -> (&'static str, &'static str) {
        match self {
            Before::Sha256 => ("sha256", "SHA-256(key), as bytes"),
            Before::Sha256Hex => ("sha256-hex", "SHA-256(key), in lower-case hexadecimal"),
            Before::Sha256Base64 => ("sha256-base64", "SHA-256(key), in base64 with padding"),
            Before::Sha512 => ("sha512", "SHA-512(key), as bytes"),
            Before::Sha512Hex => ("sha512-hex", "SHA-512(key), in lower-case hexadecimal"),
            Before::Sha512Base64 => ("sha512-base64", "SHA-512(key), in base64 with padding"),
            Before::HmacSha256 => ("hmac-sha256", "HMAC-SHA256(secret, key), as bytes"),
            Before::HmacSha256Hex => ("hmac-sha256-hex", "HMAC-SHA256(secret, key), in lower-case hexadecimal"),
            Before::HmacSha256Base64 => ("hmac-sha256-base64", "HMAC-SHA256(secret, key), in base64 with padding"),
            Before::HmacSha512Hex => ("hmac-sha512-hex", "HMAC-SHA512(secret, key), in lower-case hexadecimal"),
            Before::HmacSha512Base64 => ("hmac-sha512-base64", "HMAC-SHA512(secret, key), in base64 with padding"),
            Before::Append => ("append", "key ‖ secret"),
            Before::Prepend => ("prepend", "secret ‖ key"),
        }
    }

    /// Returns whether it takes a secret.
    pub(crate) fn takes_secret(self) -> bool {
        !matches!(self.name().as_bytes(), [b's', ..])
    }

    /// Returns whether what is hashed then is a digest of all of a key, which bcrypt sees the whole or nearly all of.
    pub(super) fn is_digest(self) -> bool {
        !matches!(self, Before::Append | Before::Prepend)
    }

    /// What is hashed of a key; `None` without a secret that is needed.
    pub(super) fn apply(self, key: &[u8], secret: Option<&OldSecret>) -> Option<Zeroizing<Vec<u8>>> {
        use Algorithm::{Sha256, Sha512};
        let digest = |algorithm: Algorithm| algorithm.digest(&[key]);
        let mac = |algorithm| secret.map(|secret| secret.mac(algorithm, key));
        Some(Zeroizing::new(match self {
            Before::Sha256 => digest(Sha256).to_vec(),
            Before::Sha256Hex => hex::encode(&*digest(Sha256)).into_bytes(),
            Before::Sha256Base64 => BASE64.encode(&*digest(Sha256)).into_bytes(),
            Before::Sha512 => digest(Sha512).to_vec(),
            Before::Sha512Hex => hex::encode(&*digest(Sha512)).into_bytes(),
            Before::Sha512Base64 => BASE64.encode(&*digest(Sha512)).into_bytes(),
            Before::HmacSha256 => mac(Sha256)?.to_vec(),
            Before::HmacSha256Hex => hex::encode(&*mac(Sha256)?).into_bytes(),
            Before::HmacSha256Base64 => BASE64.encode(&*mac(Sha256)?).into_bytes(),
            Before::HmacSha512Hex => hex::encode(&*mac(Sha512)?).into_bytes(),
            Before::HmacSha512Base64 => BASE64.encode(&*mac(Sha512)?).into_bytes(),
            Before::Append => [key, secret?.bytes()].concat(),
            Before::Prepend => [secret?.bytes(), key].concat(),
        }))
    }
}

impl From<Before> for &'static str {
    fn from(before: Before) -> Self {
        before.name()
    }
}

impl TryFrom<String> for Before {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let before = Before::ALL.into_iter().find(|before| before.name() == name);
        before.ok_or_else(|| "there is no such step".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_is_what_its_name_says() {
        let secret = OldSecret::new(b"secret");
        let applied = |before: Before| before.apply(b"key", Some(&secret)).expect("applied").to_vec();
        for (before, begins) in [
            (Before::Sha256Hex, &b"2c70e12b"[..]),
            (Before::Sha512Hex, b"8335fa56"),
            (Before::Append, b"keysecret"),
            (Before::Prepend, b"secretkey"),
        ] {
            assert!(applied(before).starts_with(begins), "{before:?}");
        }
        for before in Before::ALL {
            assert_eq!(before.apply(b"key", None).is_none(), before.takes_secret(), "{before:?}");
            assert_eq!(Before::try_from(before.name().to_owned()), Ok(before));
        }
        assert_eq!(hex::encode(applied(Before::HmacSha256)).into_bytes(), applied(Before::HmacSha256Hex));
    }
}
