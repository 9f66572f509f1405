//! Opening the sources that a configuration names: nodes and relays, and the files of `bulla feed publish`.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::{FollowerError, HttpSource, MessageSource, VerifyingKey, static_feed::PublishedSource};
use crate::{api_key::ApiKey, keyring_id::KeyringId, realm::Realm};

/// How the tokens of `bulla edge caller` begin.
const TOKEN: &str = "caller-";

/// What sources are opened with.
#[derive(Debug)]
pub struct SourceAccess {
    keyring_id: KeyringId,
    public_key: VerifyingKey,
    pub(crate) realm: Option<Realm>,
    credential: Option<SecretString>,
    roots: Option<Vec<u8>>,
    identity: Option<Identity>,
}

/// A client certificate: its chain and its key, in PEM.
#[derive(Debug)]
struct Identity {
    chain: Vec<u8>,
    key: SecretString,
}

/// A source that was opened.
pub struct OpenedSource {
    /// The source to ask.
    pub source: Arc<dyn MessageSource>,
    /// The same, where it is a node or a relay: it takes reports.
    pub node: Option<Arc<HttpSource>>,
}

impl SourceAccess {
    /// For sources of this keyring's feed, which `public_key` verifies: every realm, with no credential.
    pub fn new(keyring_id: KeyringId, public_key: VerifyingKey) -> Self {
        SourceAccess { keyring_id, public_key, realm: None, credential: None, roots: None, identity: None }
    }

    /// Follows one realm; with none, every realm.
    #[must_use]
    pub fn realm(self, realm: Option<Realm>) -> Self {
        SourceAccess { realm, ..self }
    }

    /// Asks with an API key of the scope `feed`, or with the token of a relay. Published files need none.
    #[must_use]
    pub fn credential(self, text: Option<Zeroizing<String>>) -> Self {
        SourceAccess { credential: text.map(|text| SecretString::from(text.as_str())), ..self }
    }

    /// Trusts sources whose certificate comes from one of these, in PEM, in the place of the system's authorities.
    #[must_use]
    pub fn roots(self, pem: Option<Vec<u8>>) -> Self {
        SourceAccess { roots: pem, ..self }
    }

    /// Shows a certificate to a source that asks for one: the chain and its key, in PEM.
    #[must_use]
    pub fn identity(self, pem: Option<(Vec<u8>, Zeroizing<String>)>) -> Self {
        let identity = pem.map(|(chain, key)| Identity { chain, key: SecretString::from(key.as_str()) });
        SourceAccess { identity, ..self }
    }

    /// Opens `https://HOST:PORT`, with the feed's path or without, and the address of the `head` of published files.
    /// None is asked yet. A bucket is opened by the program, by [`PublishedSource::of_objects`].
    pub fn open(&self, address: &str) -> Result<OpenedSource, FollowerError> {
        if Self::is_published(address) {
            let mut source = PublishedSource::new(address, self.keyring_id, self.public_key)?;
            if let Some(roots) = &self.roots {
                source = source.trusting_roots(roots)?;
            }
            return Ok(OpenedSource { source: Arc::new(source), node: None });
        }
        let credential = self.credential.as_ref().ok_or_else(|| FollowerError::NoCredential(address.to_owned()))?;
        let credential = credential.expose_secret().trim();
        // Send nothing that is not a credential: the path may point at a wrong file.
        if !Self::is_credential(credential) {
            return Err(FollowerError::Credential);
        }
        let mut source = HttpSource::with_token(address, credential)?.realm(self.realm);
        if let Some(roots) = &self.roots {
            source = source.trusting_roots(roots)?;
        }
        if let Some(Identity { chain, key }) = &self.identity {
            source = source.showing(chain, key.expose_secret().as_bytes())?;
        }
        let node = Arc::new(source);
        Ok(OpenedSource { source: Arc::clone(&node) as _, node: Some(node) })
    }

    /// Returns whether the address names the files of `bulla feed publish`, which take no API key.
    pub fn is_published(address: &str) -> bool {
        address.starts_with("file:") || address.starts_with("s3:") || address.ends_with("/head")
    }

    /// Returns whether the text is an API key, or a token as `bulla edge caller` prints it.
    pub fn is_credential(text: &str) -> bool {
        text.parse::<ApiKey>().is_ok() || text.starts_with(TOKEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_files_are_told_from_servers() {
        for published in ["https://a/feed/head", "file:/srv/feed/head", "s3://feeds/prod"] {
            assert!(SourceAccess::is_published(published), "{published}");
        }
        for server in ["https://a:8181", "https://a/v1/revocations"] {
            assert!(!SourceAccess::is_published(server), "{server}");
        }
    }

    #[test]
    fn what_is_no_credential_is_sent_nowhere() {
        let public_key = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=".parse().expect("a key");
        let with = |credential: Option<&str>| {
            SourceAccess::new(KeyringId::from_bytes([1; 16]), public_key)
                .credential(credential.map(|text| Zeroizing::new(text.to_owned())))
        };
        let open = |credential| with(credential).open("https://a:8181").map(|opened| opened.node.is_some());
        assert!(matches!(open(None), Err(FollowerError::NoCredential(address)) if address == "https://a:8181"));
        assert!(matches!(open(Some("secret")), Err(FollowerError::Credential)));
        assert!(matches!(open(Some("caller-abc\n")), Ok(true)));
        let shown = format!("{:?}", with(Some("caller-abc")).identity(Some((vec![], "a key".to_owned().into()))));
        assert!(shown.matches("REDACTED").count() == 2 && !shown.contains("caller-abc"), "{shown}");
        assert!(!shown.contains("a key"), "{shown}");
        assert!(with(None).open("file:/srv/feed/head").is_ok_and(|opened| opened.node.is_none()));
    }
}
