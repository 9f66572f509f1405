//! Why an API key was rejected: a reason for the operator, and the same answer for every caller.

/// Why an API key is not accepted.
///
/// The reason is for the operator's log and metrics. A caller hears only "no", with the one exception of
/// [`Rejection::Scope`], which only a key that passes every other check can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The text does not have the shape of an API key.
    #[error("this is not the text of an API key")]
    Malformed,
    /// The last six characters are not the checksum of those before: a typing error, or a truncation.
    #[error("the checksum is wrong: mistyped or cut off")]
    Checksum,
    /// The key's realm is not among the accepted ones.
    #[error("the realm is not accepted here")]
    Realm,
    /// The keyring has no such key version.
    #[error("the key version is not in the keyring")]
    VersionUnknown,
    /// The key version is compromised, destroyed or past its `verify_until`.
    #[error("the key version is no longer accepted")]
    VersionRefused,
    /// The seal does not open: forged, altered, or sealed under another key.
    #[error("the seal does not open: forged or altered")]
    Seal,
    /// The seal opened, and what is inside breaks a rule of the format.
    #[error("the sealed claims are malformed or unknown")]
    Claims,
    /// Issued in the future, by more than the allowed clock difference, or before its `nbf`.
    #[error("not valid yet")]
    NotYetValid,
    /// Past its expiry.
    #[error("expired")]
    Expired,
    /// Revoked or suspended.
    #[error("revoked")]
    Revoked,
    /// The key is bound to addresses, and the client's is not one of them, or was not given.
    #[error("not from an address the key is bound to")]
    Address,
    /// The key is bound to audiences, and the caller's is not one of them, or was not given.
    #[error("not for this audience")]
    Audience,
    /// The key has a secret half, which was not presented.
    #[error("the secret half is missing")]
    SecretMissing,
    /// A secret half was presented with a key that has none.
    #[error("unexpected secret half: the key has none")]
    SecretSurplus,
    /// The key has no secret half, and its realm requires one: forged by someone who has the seal key, or issued before
    /// the realm required it.
    #[error("the realm requires a secret half, and the key has none")]
    SecretRequired,
    /// The secret half fits none of the hashes that are stored for this key.
    #[error("the secret half is wrong")]
    SecretWrong,
    /// A wanted scope is not among the key's.
    #[error("a wanted scope is missing")]
    Scope,
}

impl Rejection {
    /// Every reason, in the order of the checks.
    pub const ALL: [Rejection; 17] = [
        Rejection::Malformed,
        Rejection::Checksum,
        Rejection::Realm,
        Rejection::VersionUnknown,
        Rejection::VersionRefused,
        Rejection::Seal,
        Rejection::Claims,
        Rejection::NotYetValid,
        Rejection::Expired,
        Rejection::Revoked,
        Rejection::Address,
        Rejection::Audience,
        Rejection::SecretMissing,
        Rejection::SecretSurplus,
        Rejection::SecretRequired,
        Rejection::SecretWrong,
        Rejection::Scope,
    ];

    /// The stable name of the reason, for logs, metrics and machines.
    pub const fn code(self) -> &'static str {
        match self {
            Rejection::Malformed => "malformed",
            Rejection::Checksum => "checksum",
            Rejection::Realm => "realm",
            Rejection::VersionUnknown => "version_unknown",
            Rejection::VersionRefused => "version_refused",
            Rejection::Seal => "seal",
            Rejection::Claims => "claims",
            Rejection::NotYetValid => "not_yet_valid",
            Rejection::Expired => "expired",
            Rejection::Revoked => "revoked",
            Rejection::Address => "address",
            Rejection::Audience => "audience",
            Rejection::SecretMissing => "secret_missing",
            Rejection::SecretSurplus => "secret_surplus",
            Rejection::SecretRequired => "secret_required",
            Rejection::SecretWrong => "secret_wrong",
            Rejection::Scope => "scope",
        }
    }
}

/// Why verification did not end in an accepted key. Exhaustive on purpose: the compiler shows a caller every verdict
/// there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum VerifyError {
    /// The key is refused.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// Everything else holds, but the key has a secret half (or its realm requires one) and this verifier has no
    /// hashes to check it against. Never treat it as accepted; a service answers 503.
    #[error("could not tell: the key has a secret half, and this verifier has no hashes to check it")]
    SecretUnchecked,
    /// Everything else holds, but whether the key was revoked lately is not known. Never to be taken for an accepted
    /// key; a service answers 503. A [`Verifier`](crate::verifier::Verifier) alone, which has no clock for it, never
    /// says so.
    #[error("could not tell: the revocations are stale; find out why nothing comes from the revocation log or feed")]
    Stale,
}

impl VerifyError {
    /// The stable name of the reason, for logs, metrics and machines.
    pub const fn code(self) -> &'static str {
        match self {
            VerifyError::Rejected(rejection) => rejection.code(),
            VerifyError::SecretUnchecked => "secret_unchecked",
            VerifyError::Stale => "stale",
        }
    }
}
