//! A form in a body.

use axum::{body::Bytes, extract::Request};
use serde::de::DeserializeOwned;

use super::{
    body::{self, Bounds, expect_type},
    parameters::read,
};
use crate::server::problem::Problem;

/// A form that has been read, and is parsed once it is known whose it is. Parameters that nobody knows are ignored (RFC
/// 6749, section 3.2).
pub(in crate::server) struct Form(Bytes);

impl Form {
    /// Reads a body of this media type.
    pub(in crate::server) async fn read(request: Request, bounds: Bounds) -> Result<Self, Problem> {
        expect_type(request.headers(), "application/x-www-form-urlencoded")?;
        body::bytes(request.into_body(), bounds).await.map(Form)
    }

    /// The parameters that `T` knows.
    pub(in crate::server) fn parse<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        read("the form", &self.0).map_err(Problem::bad_request)
    }
}
