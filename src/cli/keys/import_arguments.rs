//! The values of the options of `bulla keys import`: schemes, formats and encodings, each with its help.

use clap::ValueEnum;

use crate::imported::{Format, KeyLayoutError, SaltEncoding, Scheme};

/// `--scheme`.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum SchemeArgument {
    /// SHA-256(key)
    #[value(name = "sha256")]
    Sha256,
    /// SHA-256(salt ‖ key)
    #[value(name = "sha256-salt-key")]
    Sha256SaltKey,
    /// SHA-256(key ‖ salt)
    #[value(name = "sha256-key-salt")]
    Sha256KeySalt,
    /// SHA-256(id ‖ key ‖ salt), of a binary key of 32 bytes: 16 of id, 16 of key
    #[value(name = "sha256-id-key-salt")]
    Sha256IdKeySalt,
    /// HMAC-SHA256(a secret of yours, key)
    #[value(name = "hmac-sha256")]
    HmacSha256,
    /// Argon2id, as a PHC string
    #[value(name = "argon2id")]
    Argon2id,
    /// bcrypt, as a crypt string: $2a$, $2b$, $2y$
    Bcrypt,
    /// scrypt, as a PHC string or a crypt string: $scrypt$, $7$
    Scrypt,
}

/// `--format`.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum FormatArgument {
    /// One JSON object per line
    Jsonl,
    /// Commas, quotes as in RFC 4180, and a header that names the fields
    Csv,
}

/// `--salt-encoding`.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum SaltArgument {
    /// The bytes of the text itself
    Text,
    /// Hexadecimal
    Hex,
    /// base64 or base64url, with padding or without
    Base64,
}

impl From<SchemeArgument> for Scheme {
    fn from(argument: SchemeArgument) -> Self {
        match argument {
            SchemeArgument::Sha256 => Scheme::Sha256,
            SchemeArgument::Sha256SaltKey => Scheme::Sha256SaltKey,
            SchemeArgument::Sha256KeySalt => Scheme::Sha256KeySalt,
            SchemeArgument::Sha256IdKeySalt => Scheme::Sha256IdKeySalt,
            SchemeArgument::HmacSha256 => Scheme::HmacSha256,
            SchemeArgument::Argon2id => Scheme::Argon2id,
            SchemeArgument::Bcrypt => Scheme::Bcrypt,
            SchemeArgument::Scrypt => Scheme::Scrypt,
        }
    }
}

impl From<FormatArgument> for Format {
    fn from(argument: FormatArgument) -> Self {
        match argument {
            FormatArgument::Jsonl => Format::Jsonl,
            FormatArgument::Csv => Format::Csv,
        }
    }
}

impl From<SaltArgument> for SaltEncoding {
    fn from(argument: SaltArgument) -> Self {
        match argument {
            SaltArgument::Text => SaltEncoding::Text,
            SaltArgument::Hex => SaltEncoding::Hex,
            SaltArgument::Base64 => SaltEncoding::Base64,
        }
    }
}

/// The error, and the options that fix it.
pub(super) fn with_arguments(error: KeyLayoutError) -> String {
    let arguments = match error {
        KeyLayoutError::PublicPartNeeded(_) => "add --public-part or --separator",
        KeyLayoutError::PublicPartGiven => "leave --public-part, --separator and --prefix out",
        KeyLayoutError::PublicPartEmpty => "change --public-part or --separator",
        KeyLayoutError::NothingBefore => "add --public-part or --separator, or leave `--hashed secret` out",
        KeyLayoutError::HmacKey => "use --hmac-key with the scheme hmac-sha256, and only with that",
    };
    format!("{error}: {arguments}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scheme_has_one_name_everywhere() {
        let arguments = SchemeArgument::value_variants();
        assert_eq!(arguments.len(), Scheme::ALL.len());
        for argument in arguments {
            let value = argument.to_possible_value().expect("a value");
            assert_eq!(value.get_name(), Scheme::from(*argument).name());
        }
    }
}
