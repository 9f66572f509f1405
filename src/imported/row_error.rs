//! Errors of rows. No error quotes a value: a key may stand in the wrong column.

/// A row was not imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowError {
    /// The line that the row begins on, from 1.
    pub(crate) line: u64,
    pub(crate) kind: RowErrorKind,
}

/// Why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RowErrorKind {
    #[error("the line is not a JSON object, or has a name twice")]
    Json,
    #[error("the line has another number of fields than the header, or is not UTF-8")]
    Csv,
    #[error("the line is longer than {0} bytes")]
    TooLong(usize),
    #[error("unknown field: the fields are {known}", known = super::raw_row::FIELDS.join(", "))]
    Field,
    #[error("`{0}` is missing")]
    Missing(&'static str),
    #[error("`{0}` has the wrong type")]
    Type(&'static str),
    #[error("`app_id` must be a UUID")]
    AppId,
    #[error("`{0}` must be an RFC 3339 time or Unix seconds, from 1970 to 2106")]
    Time(&'static str),
    #[error("the key has expired already")]
    Expired,
    #[error("`name` must have at most 200 characters in one line, and hold no API key")]
    Name,
    #[error("`scopes` and `meta` must be texts in one line, and hold no API key")]
    Note,
    #[error("`scopes` and `meta`: {0}")]
    Claims(bulla::claims::ClaimsError),
    #[error("`public` has another length or shape than the public part of these keys")]
    Public,
    #[error("`public` must not be given: these keys are found by their digest")]
    PublicSurplus,
    #[error("`public` reads as an API key of bulla's, or the id of one")]
    PublicSealed,
    #[error("`hash` must be 32 bytes in hexadecimal or base64")]
    Digest,
    #[error("`hash` is not a hash string of this scheme")]
    HashString,
    #[error("`hash` costs too much to check: {0}")]
    TooCostly(String),
    #[error("`salt` must not be given: the scheme has no salt beside the hash")]
    SaltSurplus,
    #[error("`salt` is empty, longer than 1024 bytes, or not in the encoding that was named for salts")]
    Salt,
    #[error(
        "bcrypt hashes 72 bytes, and {0} of them stand before the secret: nearly every secret would be right; take a scheme \
         that sees all, or import the rows as hashes of the secret alone where the old system hashed that"
    )]
    BcryptReach(usize),
    #[error("another hash is on record for this key")]
    OtherHash,
}

impl RowErrorKind {
    /// Its stable name, for counts.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            RowErrorKind::Json => "json",
            RowErrorKind::Csv => "csv",
            RowErrorKind::TooLong(_) => "too_long",
            RowErrorKind::Field => "field",
            RowErrorKind::Missing(_) => "missing",
            RowErrorKind::Type(_) => "type",
            RowErrorKind::AppId => "app_id",
            RowErrorKind::Time(_) => "time",
            RowErrorKind::Expired => "expired",
            RowErrorKind::Name => "name",
            RowErrorKind::Note => "note",
            RowErrorKind::Claims(_) => "claims",
            RowErrorKind::Public => "public",
            RowErrorKind::PublicSurplus => "public_surplus",
            RowErrorKind::PublicSealed => "public_sealed",
            RowErrorKind::Digest => "digest",
            RowErrorKind::HashString => "hash_string",
            RowErrorKind::TooCostly(_) => "too_costly",
            RowErrorKind::SaltSurplus => "salt_surplus",
            RowErrorKind::Salt => "salt",
            RowErrorKind::BcryptReach(_) => "bcrypt_reach",
            RowErrorKind::OtherHash => "other_hash",
        }
    }
}
