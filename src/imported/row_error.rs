//! Errors of rows. No error quotes a value: a key may stand in the wrong column.

use super::fields::FIELDS;

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
    #[error(
        "a quote in this row is never closed, so that all rows behind it are in one field: close it, or write it twice"
    )]
    OpenQuote,
    #[error("the line is longer than {0} bytes")]
    TooLong(usize),
    #[error("unknown field: the fields are {known}", known = FIELDS.join(", "))]
    Field,
    #[error("two columns say `{0}`")]
    Twice(&'static str),
    #[error("`{0}` is missing")]
    Missing(&'static str),
    #[error("`{0}` has the wrong type")]
    Type(&'static str),
    #[error(
        "a column of the old system restricts this key (addresses, a number of uses), and an imported key cannot be \
         restricted so: issue a new key for it, or ignore the column"
    )]
    Restricted,
    #[error("the row is of a key of another kind, which the old system does not accept where these are sent")]
    OtherKind,
    #[error("`app_id` must be a UUID")]
    AppId,
    #[error("the column that names the app holds neither a text nor an integer")]
    App,
    #[error("`{0}` must be an RFC 3339 time, Unix seconds or Unix milliseconds, from 1970 to 2106")]
    Time(&'static str),
    #[error("`{0}` names no zone, and the old system's is not known")]
    Zone(&'static str),
    #[error("`{0}` must be true, false, 1, 0, or the time since when it is so, and `enabled` not empty")]
    State(&'static str),
    #[error("the key has expired already")]
    Expired,
    #[error("`name` must have at most 200 characters in one line, and hold no API key and no piece of one")]
    Name,
    #[error("`scopes` and `meta` must be texts in one line, and hold no API key and no piece of one")]
    Note,
    #[error("`scopes` has commas, semicolons, bars or braces: say how scopes are written")]
    ScopesForm,
    #[error("`scopes` and `meta`: {0}")]
    Claims(bulla::claims::ClaimsError),
    #[error("`public` has another length or shape than the public part of these keys")]
    Public,
    #[error("`public` begins or ends with blanks, as a column of fixed length pads it: cut them off")]
    PublicBlank,
    #[error("`public` begins with the prefix, which does not belong to it: cut it off")]
    PublicPrefixed,
    #[error("`public` must not be given: these keys are found by their digest")]
    PublicSurplus,
    #[error("this reads as an API key of bulla's, or the id of one")]
    PublicSealed,
    #[error("`hash` must be {0} bytes in hexadecimal or base64{looks}", looks = looks(.1))]
    Digest(usize, Option<&'static str>),
    #[error("`hash` is not a hash string of this scheme{looks}", looks = looks(.0))]
    HashString(Option<&'static str>),
    #[error("`hash` is of another scheme: it is {0}")]
    OtherScheme(&'static str),
    #[error("`hash` costs too much to check: {0}")]
    TooCostly(String),
    #[error(
        "`hash` begins as the keys do, so it is the key itself: the scheme `plain` takes keys in plaintext and stores their hashes"
    )]
    Plaintext,
    #[error("`salt` must not be given: the scheme has no salt beside the hash")]
    SaltSurplus,
    #[error("`salt` is empty, longer than 1024 bytes, or not in the encoding that was named for salts")]
    Salt,
    #[error(
        "`salt` begins or ends with blanks, as a column of fixed length pads it: cut them off; if they belong to the salt, \
         write the salts in hexadecimal"
    )]
    SaltBlank,
    #[error("`key` is for the scheme `plain` alone: take the column out, so that no key in plaintext is passed around")]
    KeySurplus,
    #[error("with the scheme `plain` a row has `key`, and no `hash` and no `salt`")]
    HashSurplus,
    #[error("`key` has more than {0} bytes: such a key would never be accepted")]
    KeyTooLong(usize),
    #[error("`key` begins or ends with blanks, as a column of fixed length pads it: cut them off")]
    KeyBlank,
    #[error(
        "`key` is masked, as a page or an interface of the old system shows it, so that everyone could present it: take the \
         rows out of the database"
    )]
    KeyMasked,
    #[error("`key` does not have the prefix or the parts that the options say: it would never be found")]
    KeyForm,
    #[error(
        "bcrypt hashes 72 bytes, and {0} of them stand before the secret: nearly every secret would be right; take a scheme \
         that sees all, or import the rows as hashes of the secret alone where the old system hashed that"
    )]
    BcryptReach(usize),
    #[error("another hash is on record for this public part: correct it, or say that keys share public parts")]
    OtherHash,
    #[error("the key is on record with another {0}")]
    Differs(String),
}

/// What a hash looks like, behind a message.
fn looks(seen: &Option<&'static str>) -> String {
    seen.map_or_else(String::new, |seen| format!("; it looks like {seen}"))
}

impl RowErrorKind {
    /// Its stable name, for counts.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            RowErrorKind::Json => "json",
            RowErrorKind::Csv => "csv",
            RowErrorKind::OpenQuote => "open_quote",
            RowErrorKind::TooLong(_) => "too_long",
            RowErrorKind::Field => "field",
            RowErrorKind::Twice(_) => "twice",
            RowErrorKind::Missing(_) => "missing",
            RowErrorKind::Type(_) => "type",
            RowErrorKind::Restricted => "restricted",
            RowErrorKind::OtherKind => "other_kind",
            RowErrorKind::AppId | RowErrorKind::App => "app_id",
            RowErrorKind::Time(_) => "time",
            RowErrorKind::Zone(_) => "zone",
            RowErrorKind::State(_) => "state",
            RowErrorKind::Expired => "expired",
            RowErrorKind::Name => "name",
            RowErrorKind::Note => "note",
            RowErrorKind::ScopesForm => "scopes_form",
            RowErrorKind::Claims(_) => "claims",
            RowErrorKind::Public => "public",
            RowErrorKind::PublicBlank => "public_blank",
            RowErrorKind::PublicPrefixed => "public_prefixed",
            RowErrorKind::PublicSurplus => "public_surplus",
            RowErrorKind::PublicSealed => "public_sealed",
            RowErrorKind::Digest(..) => "digest",
            RowErrorKind::HashString(_) => "hash_string",
            RowErrorKind::OtherScheme(_) => "hash_string",
            RowErrorKind::TooCostly(_) => "too_costly",
            RowErrorKind::Plaintext => "plaintext",
            RowErrorKind::SaltSurplus => "salt_surplus",
            RowErrorKind::Salt => "salt",
            RowErrorKind::SaltBlank => "salt_blank",
            RowErrorKind::KeySurplus => "key_surplus",
            RowErrorKind::HashSurplus => "hash_surplus",
            RowErrorKind::KeyTooLong(_) => "key_too_long",
            RowErrorKind::KeyBlank => "key_blank",
            RowErrorKind::KeyMasked => "key_masked",
            RowErrorKind::KeyForm => "key_form",
            RowErrorKind::BcryptReach(_) => "bcrypt_reach",
            RowErrorKind::OtherHash => "other_hash",
            RowErrorKind::Differs(_) => "differs",
        }
    }
}
