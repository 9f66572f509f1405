//! Opening the sources that a configuration names: nodes and relays, and the files of `bulla feed publish`.

use std::{fmt, sync::Arc};

use zeroize::Zeroizing;

use super::{FollowerError, HttpSource, MessageSource, VerifyingKey, static_feed::PublishedSource};
use crate::{api_key::ApiKey, keyring_id::KeyringId, realm::Realm};

/// How the tokens of `bulla edge caller` begin.
const TOKEN: &str = "caller-";

/// What sources are opened with.
pub struct SourceAccess {
    /// The keyring that is followed.
    pub keyring_id: KeyringId,
    /// What signs its feed.
    pub public_key: VerifyingKey,
    /// The one realm that is followed; without it, every realm.
    pub realm: Option<Realm>,
    /// An API key of the scope `feed`, or the token of a relay. Published files need none.
    pub credential: Option<Zeroizing<String>>,
    /// Who issued the sources' certificates, in PEM, in the place of the system's authorities.
    pub roots: Option<Vec<u8>>,
    /// What is shown to a source that asks for a certificate: the chain and its key, in PEM.
    pub identity: Option<(Vec<u8>, Zeroizing<String>)>,
}

/// A source that was opened.
pub struct OpenedSource {
    /// The source to ask.
    pub source: Arc<dyn MessageSource>,
    /// The same, where it is a node or a relay: it takes reports.
    pub node: Option<Arc<HttpSource>>,
}

impl SourceAccess {
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
        let credential = credential.trim();
        // Send nothing that is not a credential: the path may point at a wrong file.
        if !Self::is_credential(credential) {
            return Err(FollowerError::Credential);
        }
        let mut source = HttpSource::with_token(address, credential)?.realm(self.realm);
        if let Some(roots) = &self.roots {
            source = source.trusting_roots(roots)?;
        }
        if let Some((chain, key)) = &self.identity {
            source = source.showing(chain, key.as_bytes())?;
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

impl fmt::Debug for SourceAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("SourceAccess");
        shown.field("keyring_id", &self.keyring_id).field("realm", &self.realm).finish_non_exhaustive()
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
        let with = |credential: Option<&str>| SourceAccess {
            keyring_id: KeyringId::from_bytes([1; 16]),
            public_key: "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=".parse().expect("a key"),
            realm: None,
            credential: credential.map(|text| Zeroizing::new(text.to_owned())),
            roots: None,
            identity: None,
        };
        let open = |credential| with(credential).open("https://a:8181").map(|opened| opened.node.is_some());
        assert!(matches!(open(None), Err(FollowerError::NoCredential(address)) if address == "https://a:8181"));
        assert!(matches!(open(Some("secret")), Err(FollowerError::Credential)));
        assert!(matches!(open(Some("caller-abc\n")), Ok(true)));
        assert!(with(None).open("file:/srv/feed/head").is_ok_and(|opened| opened.node.is_none()));
    }
}
