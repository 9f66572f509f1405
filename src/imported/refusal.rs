//! Why a row was not imported. No reason quotes a value: what stands in the wrong column may be a key.

/// A row that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Where it begins, from 1.
    pub(crate) line: u64,
    pub(crate) reason: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Reason {
    #[error("the line is no JSON object, or a name stands twice in it")]
    Json,
    #[error("the line has not as many fields as the header, or is no UTF-8")]
    Csv,
    #[error("the line is longer than {0} bytes")]
    TooLong(usize),
    #[error("a field is none of {known}", known = super::line::FIELDS.join(", "))]
    Field,
    #[error("`{0}` is missing")]
    Missing(&'static str),
    #[error("`{0}` has the wrong type")]
    Type(&'static str),
    #[error("`app_id` has to be a UUID")]
    AppId,
    #[error("`{0}` has to be an RFC 3339 time or Unix seconds, from 1970 to 2106")]
    Time(&'static str),
    #[error("the key has expired already")]
    Expired,
    #[error("`name` has up to 200 characters in one line, and no API key in it")]
    Name,
    #[error("`scopes` and `meta` are texts in one line, and no API key is in them")]
    Note,
    #[error("`scopes` and `meta`: {0}")]
    Claims(bulla::ClaimsError),
    #[error("`public` has not the length or the shape that the rule says")]
    Public,
    #[error("`public` is given, and these keys are found by their digest")]
    PublicSurplus,
    #[error("`public` reads as an API key of bulla's, or the id of one")]
    PublicSealed,
    #[error("`hash` has to be 32 bytes in hexadecimal or base64")]
    Digest,
    #[error("`hash` is no string of this scheme")]
    HashString,
    #[error("`hash` costs too much to check: {0}")]
    TooCostly(String),
    #[error("`salt` is given, and the scheme has none beside the hash")]
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

impl Reason {
    /// Its stable name, for counts.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Reason::Json => "json",
            Reason::Csv => "csv",
            Reason::TooLong(_) => "too_long",
            Reason::Field => "field",
            Reason::Missing(_) => "missing",
            Reason::Type(_) => "type",
            Reason::AppId => "app_id",
            Reason::Time(_) => "time",
            Reason::Expired => "expired",
            Reason::Name => "name",
            Reason::Note => "note",
            Reason::Claims(_) => "claims",
            Reason::Public => "public",
            Reason::PublicSurplus => "public_surplus",
            Reason::PublicSealed => "public_sealed",
            Reason::Digest => "digest",
            Reason::HashString => "hash_string",
            Reason::TooCostly(_) => "too_costly",
            Reason::SaltSurplus => "salt_surplus",
            Reason::Salt => "salt",
            Reason::BcryptReach(_) => "bcrypt_reach",
            Reason::OtherHash => "other_hash",
        }
    }
}
