//! A key that signs assertions: Ed25519 (RFC 8032, RFC 8037) or ECDSA with P-256 (RFC 7518), published as a JWK.

use std::fmt;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use bulla::source::{SourceUri, Sources};
use ed25519_dalek::{Signer, SigningKey};
use serde_json::json;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::AssertionError;
use crate::{api::jwks::Jwk, config::Algorithm};

/// The key, wiped when dropped. It signs assertions and introspection answers, and nothing else.
pub(super) struct AssertionKey {
    key: Secret,
    public: Jwk,
    /// What the seed would publish as Ed25519, whatever it signs with here.
    seed_id: [u8; 32],
    /// The encoded headers of its signatures.
    headers: [String; 2],
}

enum Secret {
    Ed25519(Box<SigningKey>),
    P256(Box<EcdsaKeyPair>),
}

/// What is signed, by its media type.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Assertion,
    Introspection,
}

impl Kind {
    const ALL: [Kind; 2] = [Kind::Assertion, Kind::Introspection];

    const fn media_type(self) -> &'static str {
        match self {
            Kind::Assertion => "JWT",
            Kind::Introspection => "token-introspection+jwt",
        }
    }
}

impl AssertionKey {
    /// The key whose seed is in the file that the configuration names: one line of base64, mode 0600.
    pub(super) fn open(uri: &SourceUri, algorithm: Algorithm, sources: &Sources) -> Result<Self, AssertionError> {
        let seed = sources.signing_seed(uri)?;
        Self::new(&seed, algorithm).ok_or_else(|| AssertionError::Unusable(uri.clone()))
    }

    /// None for one in four billion seeds, whose number is outside of the curve's order.
    fn new(seed: &[u8; 32], algorithm: Algorithm) -> Option<Self> {
        let ed25519 = Box::new(SigningKey::from_bytes(seed));
        let seed_id = ed25519.verifying_key().to_bytes();
        let (key, kty, crv, x, y) = match algorithm {
            Algorithm::EdDSA | Algorithm::Ed25519 => {
                let x = BASE64URL.encode(seed_id);
                (Secret::Ed25519(ed25519), "OKP", "Ed25519", x, None)
            }
            Algorithm::ES256 => {
                let pair =
                    EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, &ec_private_key(seed)).ok()?;
                // Uncompressed: 4, x, y.
                let (x, y) = pair.public_key().as_ref().strip_prefix(&[4])?.split_at_checked(32)?;
                let (x, y) = (BASE64URL.encode(x), BASE64URL.encode(y));
                (Secret::P256(Box::new(pair)), "EC", "P-256", x, Some(y))
            }
        };
        // RFC 7638: the members that make the key, in the order of their names.
        let members = match &y {
            None => json!({"crv": crv, "kty": kty, "x": x}),
            Some(y) => json!({"crv": crv, "kty": kty, "x": x, "y": y}),
        };
        let kid = BASE64URL.encode(Sha256::digest(members.to_string()));
        let header = |kind: Kind| {
            BASE64URL.encode(json!({"alg": algorithm.name(), "typ": kind.media_type(), "kid": kid}).to_string())
        };
        let headers = Kind::ALL.map(header);
        let public = Jwk { kty, crv, x, y, kid, alg: algorithm.name(), r#use: "sig" };
        Some(AssertionKey { key, public, seed_id, headers })
    }

    /// The seed's Ed25519 key, to tell seeds apart.
    pub(super) fn seed_id(&self) -> [u8; 32] {
        self.seed_id
    }

    pub(super) fn public(&self) -> &Jwk {
        &self.public
    }

    pub(super) fn id(&self) -> &str {
        &self.public.kid
    }

    /// A JWT (RFC 7519) with these claims, in the compact form. `None` where there is no randomness.
    pub(super) fn sign(&self, kind: Kind, claims: &[u8]) -> Option<String> {
        let header = &self.headers[kind as usize];
        let mut token = String::with_capacity(header.len() + claims.len() * 4 / 3 + 92);
        token.push_str(header);
        token.push('.');
        BASE64URL.encode_string(claims, &mut token);
        let signature: [u8; 64] = match &self.key {
            Secret::Ed25519(key) => key.sign(token.as_bytes()).to_bytes(),
            Secret::P256(key) => key.sign(&SystemRandom::new(), token.as_bytes()).ok()?.as_ref().try_into().ok()?,
        };
        token.push('.');
        BASE64URL.encode_string(signature, &mut token);
        Some(token)
    }
}

/// The seed as the number of a key on P-256: an `ECPrivateKey` of RFC 5915 without its public half, which is computed.
fn ec_private_key(seed: &[u8; 32]) -> Zeroizing<Vec<u8>> {
    const BEFORE: [u8; 7] = [0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20];
    const CURVE: [u8; 12] = [0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    Zeroizing::new([&BEFORE[..], seed, &CURVE].concat())
}

impl fmt::Debug for AssertionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AssertionKey({})", self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8037, appendix A: the key, its thumbprint, and a signature. The payload there is no JSON, and its header
    /// names no key, so header and signature are compared under the library's own encoding.
    #[test]
    fn the_key_of_the_rfc_has_the_thumbprint_of_the_rfc() {
        let folder = tempfile::tempdir().expect("a folder");
        let seed = BASE64URL.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").expect("base64");
        let path = folder.path().join("seed.key");
        std::fs::write(&path, base64::engine::general_purpose::STANDARD.encode(seed)).expect("written");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("private");
        let uri = "file:seed.key".parse().expect("a URI");
        let mut key = AssertionKey::open(&uri, Algorithm::EdDSA, &Sources::new(folder.path())).expect("a key");
        assert_eq!(key.public.x, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(key.id(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        key.headers[0] = BASE64URL.encode(r#"{"alg":"EdDSA"}"#);
        assert_eq!(
            key.sign(Kind::Assertion, b"Example of Ed25519 signing").expect("signed"),
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4\
             ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        );
        assert_eq!(format!("{key:?}"), "AssertionKey(kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k)");
    }

    /// RFC 7515, appendix A.3: the key of the example for ES256. Its thumbprint is not in the RFC.
    #[test]
    fn a_seed_is_the_number_of_a_key_on_p_256() {
        let seed = BASE64URL.decode("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI").expect("base64");
        let key = AssertionKey::new(&seed.try_into().expect("32 bytes"), Algorithm::ES256).expect("a key");
        assert_eq!(key.public.x, "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU");
        assert_eq!(key.public.y.as_deref(), Some("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"));
        let token = key.sign(Kind::Introspection, b"{}").expect("signed");
        let header = BASE64URL.decode(token.split('.').next().expect("a header")).expect("base64");
        let header: serde_json::Value = serde_json::from_slice(&header).expect("JSON");
        assert_eq!(header, json!({"alg": "ES256", "typ": "token-introspection+jwt", "kid": key.id()}));
        assert!(AssertionKey::new(&[0; 32], Algorithm::ES256).is_none(), "zero is no key");
        assert!(AssertionKey::new(&[0xff; 32], Algorithm::ES256).is_none(), "nor is what the curve does not reach");
        let (old, new) = [Algorithm::EdDSA, Algorithm::Ed25519].map(|name| AssertionKey::new(&[7; 32], name)).into();
        let (old, new) = (old.expect("a key"), new.expect("a key"));
        assert_eq!((old.id(), old.public.alg, new.public.alg), (new.id(), "EdDSA", "Ed25519"));
    }
}
