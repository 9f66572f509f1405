//! A key that signs assertions: Ed25519 (RFC 8032), published as a JWK (RFC 8037).

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use bulla::source::{SourceError, SourceUri, Sources};
use ed25519_dalek::{Signer, SigningKey};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::api::jwks::Jwk;

/// The key, wiped when dropped. It signs only assertions.
pub(super) struct AssertionKey {
    key: Box<SigningKey>,
    public: Jwk,
    /// The encoded header of its signatures.
    header: String,
}

impl AssertionKey {
    /// The key whose seed is in the file that the configuration names: one line of base64, mode 0600.
    pub(super) fn open(uri: &SourceUri, sources: &Sources) -> Result<Self, SourceError> {
        let key = Box::new(SigningKey::from_bytes(&*sources.signing_seed(uri)?));
        let x = BASE64URL.encode(key.verifying_key().as_bytes());
        // RFC 7638: the members that make the key, in the order of their names.
        let thumbprint = Sha256::digest(json!({"crv": "Ed25519", "kty": "OKP", "x": x}).to_string());
        let kid = BASE64URL.encode(thumbprint);
        let header = BASE64URL.encode(json!({"alg": "EdDSA", "typ": "JWT", "kid": kid}).to_string());
        let public = Jwk { kty: "OKP", crv: "Ed25519", x, kid, alg: "EdDSA", r#use: "sig" };
        Ok(AssertionKey { key, public, header })
    }

    /// The public key's 32 bytes.
    pub(super) fn public_bytes(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    pub(super) fn public(&self) -> &Jwk {
        &self.public
    }

    pub(super) fn id(&self) -> &str {
        &self.public.kid
    }

    /// A JWT (RFC 7519) with these claims, in the compact form.
    pub(super) fn sign(&self, claims: &[u8]) -> String {
        let mut token = String::with_capacity(self.header.len() + claims.len() * 4 / 3 + 92);
        token.push_str(&self.header);
        token.push('.');
        BASE64URL.encode_string(claims, &mut token);
        let signature = self.key.sign(token.as_bytes()).to_bytes();
        token.push('.');
        BASE64URL.encode_string(signature, &mut token);
        token
    }
}

impl fmt::Debug for AssertionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AssertionKey({})", self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8037, appendix A: the key, its thumbprint, and a signature. The payload there is no JSON, and its header names no
    /// key, so header and signature are compared under the library's own encoding.
    #[test]
    fn the_key_of_the_rfc_has_the_thumbprint_of_the_rfc() {
        let folder = tempfile::tempdir().expect("a folder");
        let seed = BASE64URL.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").expect("base64");
        let path = folder.path().join("seed.key");
        std::fs::write(&path, base64::engine::general_purpose::STANDARD.encode(seed)).expect("written");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("private");
        let uri = "file:seed.key".parse().expect("a URI");
        let mut key = AssertionKey::open(&uri, &Sources::new(folder.path())).expect("a key");
        assert_eq!(key.public.x, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(key.id(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        key.header = BASE64URL.encode(r#"{"alg":"EdDSA"}"#);
        assert_eq!(
            key.sign(b"Example of Ed25519 signing"),
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4\
             ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        );
        assert_eq!(format!("{key:?}"), "AssertionKey(kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k)");
    }
}
