//! The variable segment of a path.

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use bulla::{ApiKeyId, keyring::KeyVersion};

use crate::server::problem::Problem;

/// The segment, decoded and parsed.
pub(in crate::server) struct PathParam<T>(pub(in crate::server) T);

/// What a segment can hold.
pub(in crate::server) trait PathSegment: Sized {
    /// The error says what is expected.
    fn parse(segment: &str) -> Result<Self, String>;
}

impl<S: Send + Sync, T: PathSegment> FromRequestParts<S> for PathParam<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let segment = Path::<String>::from_request_parts(parts, state).await;
        let Path(segment) = segment.map_err(|_| Problem::bad_request("the path has to be UTF-8"))?;
        T::parse(&segment).map(PathParam).map_err(Problem::bad_request)
    }
}

impl PathSegment for String {
    fn parse(segment: &str) -> Result<Self, String> {
        Ok(segment.to_owned())
    }
}

impl PathSegment for ApiKeyId {
    fn parse(segment: &str) -> Result<Self, String> {
        segment.parse().map_err(|error| format!("{error}"))
    }
}

impl PathSegment for KeyVersion {
    fn parse(segment: &str) -> Result<Self, String> {
        let version = segment.parse().ok().and_then(KeyVersion::new);
        version.ok_or_else(|| "a key version is a number from 1".to_owned())
    }
}
