//! API keys in front of a `tower` service (feature `tower`): a layer that verifies in process, one that asks for
//! scopes, and an axum extractor. It answers refused requests as RFC 6750 says.
//!
//! ```
//! use axum::{Router, routing::get};
//! use bulla::{SharedVerifier, Verified, Verifier, layer::{RequireScopes, VerifyLayer}};
//! # mod fixture { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/fixture.rs")); }
//! # let fixture = fixture::Fixture::new();
//! # let (live, keyring, clock) = (fixture.live, &fixture.keyring, || fixture::NOW);
//!
//! let verifier = SharedVerifier::new(Verifier::new(keyring));
//! let app: Router = Router::new()
//!     .route("/orders", get(async |key: Verified| format!("the orders of {}", key.app_id())))
//!     .route_layer(RequireScopes::all(["orders.read"]))
//!     .layer(VerifyLayer::new(verifier.clone(), [live], clock).audience("shop"));
//!
//! // A keyring that was loaded anew is swapped in while requests go on.
//! verifier.store(Verifier::new(keyring));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod basic;
mod credential;
#[cfg(feature = "tower")]
mod extractor;
mod form;
#[cfg(feature = "tower")]
mod future;
mod presets;
mod refusal;
mod rules;
#[cfg(feature = "tower")]
mod scopes;
#[cfg(feature = "tower")]
mod verify;

/// The traits of the layer and the extractor come from these versions of the crates.
#[cfg(feature = "tower")]
#[doc(no_inline)]
pub use {axum_core, tower_layer, tower_service};

#[cfg(feature = "gateway")]
pub(crate) use self::form::all_bytes;
pub use self::{
    credential::{Credential, Presented},
    refusal::Refusal,
    rules::{CredentialRules, RulesError},
};
#[cfg(feature = "tower")]
pub use self::{
    future::Answer,
    scopes::{RequireScopes, ScopedService},
    verify::{VerifyLayer, VerifyService},
};
