//! The sources that the configuration names, opened.

use std::{path::Path, sync::Arc};

use bulla::{
    feed::{OpenedSource, SourceAccess, static_feed::PublishedSource},
    source::read_secret_file,
};

use super::EdgeError;
use crate::{config::FollowConfig, input::file, publication};

/// All of them, in their order.
pub(crate) fn open_all(follow: &FollowConfig) -> Result<Vec<OpenedSource>, EdgeError> {
    if follow.sources.is_empty() {
        return Err(EdgeError::NoSource);
    }
    let node = follow.sources.iter().find(|url| !SourceAccess::is_published(url));
    let credential = match (node, &follow.api_key) {
        (None, _) => None,
        (Some(url), None) => return Err(EdgeError::NoApiKey(url.clone())),
        (Some(_), Some(path)) => {
            let text = read_secret_file(path)?;
            // Send nothing that is not a credential: the path may point at a wrong file.
            if !SourceAccess::is_credential(text.trim()) {
                return Err(EdgeError::ApiKey(path.clone()));
            }
            Some(text)
        }
    };
    let identity = match (&follow.client_certificate, &follow.client_key) {
        (Some(chain), Some(key)) if node.is_some() => Some((read(chain)?, read_secret_file(key)?)),
        _ => None,
    };
    let access = SourceAccess::new(follow.keyring_id, follow.public_key)
        .realm(follow.realm)
        .credential(credential)
        .roots(follow.roots.as_deref().map(read).transpose()?)
        .identity(identity);
    let open = |url: &String| match url.starts_with("s3:") {
        true => bucket(url, follow),
        false => Ok(access.open(url)?),
    };
    follow.sources.iter().map(open).collect()
}

/// The files of `bulla feed publish` in a bucket, read with the credentials of this machine.
fn bucket(url: &str, follow: &FollowConfig) -> Result<OpenedSource, EdgeError> {
    let (name, objects) = publication::open_bucket(url).map_err(EdgeError::Bucket)?;
    let source = PublishedSource::of_objects(name, objects, follow.keyring_id, follow.public_key);
    Ok(OpenedSource { source: Arc::new(source), node: None })
}

fn read(path: &Path) -> Result<Vec<u8>, EdgeError> {
    let read = file::read_bytes(path, file::MAX_FILE).map(|mut bytes| std::mem::take(&mut *bytes));
    read.map_err(|error| EdgeError::Read { path: path.to_owned(), error })
}
