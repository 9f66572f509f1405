//! The sources that the configuration names, opened.

use std::{path::Path, sync::Arc};

use bulla::{
    ApiKey,
    feed::{HttpSource, MessageSource, static_feed::PublishedSource},
    source::read_secret_file,
};

use super::EdgeError;
use crate::{config::FollowConfig, input_file};

const FEED: &str = "/v1/revocations";
/// How the tokens of `bulla edge caller` begin.
const TOKEN: &str = "caller-";

/// A source that was opened.
pub(crate) struct Opened {
    pub(crate) source: Arc<dyn MessageSource>,
    /// The same, where it is a node or a relay: it takes reports.
    pub(in crate::server) node: Option<Arc<HttpSource>>,
}

/// All of them, in their order.
pub(crate) fn open_all(follow: &FollowConfig) -> Result<Vec<Opened>, EdgeError> {
    if follow.sources.is_empty() {
        return Err(EdgeError::NoSource);
    }
    follow.sources.iter().map(|url| open(url, follow)).collect()
}

fn open(url: &str, follow: &FollowConfig) -> Result<Opened, EdgeError> {
    if is_published(url) {
        let mut source = PublishedSource::new(url, follow.keyring_id, follow.public_key)?;
        if let Some(roots) = &follow.roots {
            source = source.trusting_roots(&read(roots)?)?;
        }
        return Ok(Opened { source: Arc::new(source), node: None });
    }
    let path = follow.api_key.as_ref().ok_or_else(|| EdgeError::NoApiKey(url.to_owned()))?;
    let text = read_secret_file(path)?;
    let token = text.trim();
    // Nothing else is sent anywhere: the file may be another one.
    if token.parse::<ApiKey>().is_err() && !token.starts_with(TOKEN) {
        return Err(EdgeError::ApiKey(path.clone()));
    }
    let mut source = HttpSource::with_token(&address(url), token)?.realm(follow.realm);
    if let Some(roots) = &follow.roots {
        source = source.trusting_roots(&read(roots)?)?;
    }
    if let (Some(chain), Some(key)) = (&follow.client_certificate, &follow.client_key) {
        source = source.showing(&read(chain)?, read_secret_file(key)?.as_bytes())?;
    }
    let node = Arc::new(source);
    Ok(Opened { source: Arc::clone(&node) as _, node: Some(node) })
}

/// Whether this names the files of `bulla feed publish`, which take no API key.
fn is_published(url: &str) -> bool {
    url.starts_with("file:") || url.ends_with("/head")
}

/// The feed's address at a server that is named with it or without.
fn address(url: &str) -> String {
    let bare = url.trim_end_matches('/');
    if bare.ends_with(FEED) { bare.to_owned() } else { format!("{bare}{FEED}") }
}

fn read(path: &Path) -> Result<Vec<u8>, EdgeError> {
    let read = input_file::read_bytes(path, input_file::MAX_FILE).map(|mut bytes| std::mem::take(&mut *bytes));
    read.map_err(|error| EdgeError::Read { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_with_the_feed_s_path_or_without() {
        for url in
            ["https://a:8181", "https://a:8181/", "https://a:8181/v1/revocations", "https://a:8181/v1/revocations/"]
        {
            assert_eq!(address(url), "https://a:8181/v1/revocations");
        }
        assert_eq!(address("https://a/bulla"), "https://a/bulla/v1/revocations");
        let published = ["https://a/feed/head", "file:/srv/feed/head", "https://a:8181", "https://a/v1/revocations"];
        assert_eq!(published.map(is_published), [true, true, false, false]);
    }
}
