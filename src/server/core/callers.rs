//! Who may introspect here; `auth/introspection.rs` identifies them.

/// The callers of one process.
pub(in crate::server) enum Callers {
    /// Those with an API key of the realm `bulla`.
    Administrators,
    /// Those whose token or certificate the configuration lists: an edge has no key of the realm `bulla`.
    Listed,
}
