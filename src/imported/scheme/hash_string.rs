//! Hashes that say themselves how they were made: PHC and crypt strings, and the forms of Django, Werkzeug, passlib,
//! LDAP, Spring and Elasticsearch. Their cost in time and memory is known before one runs.

use super::{MAX_KIB, Scheme, argon2, bcrypt, crypt, pbkdf2, scrypt, sha, unreadable::looks_like};
use crate::imported::row_error::RowErrorKind;

/// A hash as it was imported.
#[derive(Clone, Debug)]
pub(in crate::imported) enum HashString {
    Argon2(argon2::Hash),
    Bcrypt(bcrypt::Hash),
    Scrypt(scrypt::Hash),
    Pbkdf2(pbkdf2::Hash),
    Sha(sha::Hash),
    Crypt(crypt::Hash),
}

/// A hash could not be computed, so the key may be right or wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::imported) enum SlowError {
    #[error("there is not enough memory for a hash of {0} KiB")]
    OutOfMemory(u32),
    #[error("the stored hash has parameters that its function does not take")]
    Parameters,
}

impl HashString {
    /// Parses the string of a row in one of the forms that `scheme` takes, and checks it against the ceilings.
    pub(in crate::imported) fn parse(scheme: Scheme, text: &str) -> Result<Self, RowErrorKind> {
        let hash = Self::read(text.trim()).map_err(|error| match error {
            RowErrorKind::HashString(None) => RowErrorKind::HashString(looks_like(text.trim())),
            other => other,
        })?;
        let fits = match scheme {
            Scheme::HashString => true,
            Scheme::Argon2id => matches!(&hash, HashString::Argon2(hash) if hash.is_id()),
            Scheme::Bcrypt => matches!(hash, HashString::Bcrypt(_)),
            Scheme::Scrypt => matches!(hash, HashString::Scrypt(_)),
            Scheme::Pbkdf2 => matches!(hash, HashString::Pbkdf2(_)),
            _ => false,
        };
        if fits { Ok(hash) } else { Err(RowErrorKind::OtherScheme(hash.name())) }
    }

    fn read(text: &str) -> Result<Self, RowErrorKind> {
        // Spring's: what stands behind these names does not say how it was made, or in another form.
        let text = match text.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            Some(("argon2@SpringSecurity_v5_8", rest)) => rest,
            Some(("pbkdf2" | "pbkdf2@SpringSecurity_v5_8", _)) => {
                return pbkdf2::Hash::spring(text).map(HashString::Pbkdf2);
            }
            Some(("scrypt" | "scrypt@SpringSecurity_v5_8", rest)) => match scrypt::Hash::spring(rest) {
                Some(hash) => return hash.map(HashString::Scrypt),
                None => text,
            },
            _ => text,
        };
        // Behind the names that Django, LDAP and Spring put before a string of another's form.
        let names = [
            "argon2$", "bcrypt$", "{CRYPT}", "{crypt}", "{BCRYPT}", "{bcrypt}", "{ARGON2}", "{argon2}", "{scrypt}",
            "{SCRYPT}",
        ];
        let text = names
            .iter()
            .find_map(|name| text.strip_prefix(name))
            .filter(|rest| rest.starts_with('$'))
            .or_else(
                // Django's older releases wrote one dollar sign less.
                || text.strip_prefix("argon2").filter(|rest| rest.starts_with("$argon2")),
            )
            .unwrap_or(text);
        if let Some(rest) = text.strip_prefix("bcrypt_sha256$") {
            return bcrypt::Hash::of_sha256(rest).map(HashString::Bcrypt);
        }
        if let Some(rest) = text.strip_prefix("$bcrypt-sha256$") {
            return bcrypt::Hash::passlib(rest).map(HashString::Bcrypt);
        }
        let begins = |with: &[&str]| with.iter().any(|one| text.starts_with(one));
        if begins(&["$argon2"]) {
            return argon2::Hash::parse(text).map(HashString::Argon2);
        }
        if begins(&["$2"]) {
            return bcrypt::Hash::parse(text).map(HashString::Bcrypt);
        }
        if begins(&["$scrypt$", "$7$", "scrypt$", "scrypt:"]) {
            return scrypt::Hash::parse(text).map(HashString::Scrypt);
        }
        if begins(&["pbkdf2_", "pbkdf2:", "$pbkdf2", "{PBKDF2"]) {
            return pbkdf2::Hash::parse(text).map(HashString::Pbkdf2);
        }
        if begins(&["$5$", "$6$", "$y$"]) {
            return crypt::Hash::parse(text).map(HashString::Crypt);
        }
        sha::Hash::parse(text).map(HashString::Sha)
    }

    fn name(&self) -> &'static str {
        match self {
            HashString::Argon2(hash) if hash.is_id() => "Argon2id: scheme argon2id or hash-string",
            HashString::Argon2(_) => "Argon2i or Argon2d: scheme hash-string",
            HashString::Bcrypt(_) => "bcrypt: scheme bcrypt or hash-string",
            HashString::Scrypt(_) => "scrypt: scheme scrypt or hash-string",
            HashString::Pbkdf2(_) => "PBKDF2: scheme pbkdf2 or hash-string",
            HashString::Sha(_) => "a SHA digest in a form that names it: scheme hash-string",
            HashString::Crypt(_) => "a hash of crypt(5): scheme hash-string",
        }
    }

    /// Returns whether a check needs a thread of its own.
    pub(in crate::imported) fn is_slow(&self) -> bool {
        match self {
            HashString::Sha(hash) => hash.is_slow(),
            _ => true,
        }
    }

    /// Returns whether bytes of a key that bcrypt does not see count.
    pub(in crate::imported) fn sees_all(&self) -> bool {
        match self {
            HashString::Bcrypt(hash) => hash.sees_all(),
            _ => true,
        }
    }

    /// Memory of a check, in KiB.
    pub(in crate::imported) fn memory_kib(&self) -> u32 {
        const { assert!(MAX_KIB <= u32::MAX as u64, "fits") }
        match self {
            HashString::Argon2(hash) => hash.memory_kib(),
            HashString::Bcrypt(_) => bcrypt::MEMORY_KIB,
            HashString::Scrypt(hash) => hash.memory_kib(),
            HashString::Pbkdf2(_) => pbkdf2::MEMORY_KIB,
            HashString::Crypt(hash) => hash.memory_kib(),
            HashString::Sha(_) => 0,
        }
    }

    /// Returns whether it is the hash of these bytes. Takes milliseconds to a second. `secret` is one that Argon2 takes
    /// apart from the key.
    pub(in crate::imported) fn matches(&self, hashed: &[u8], secret: Option<&[u8]>) -> Result<bool, SlowError> {
        match self {
            HashString::Argon2(hash) => hash.matches(hashed, secret),
            HashString::Bcrypt(hash) => hash.matches(hashed),
            HashString::Scrypt(hash) => hash.matches(hashed),
            HashString::Pbkdf2(hash) => hash.matches(hashed),
            HashString::Sha(hash) => hash.matches(hashed),
            HashString::Crypt(hash) => hash.matches(hashed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BCRYPT: &str = "$2b$04$RBcO/btzmiFBY.D59xIruu/sFQsoS5YV32jxNr37n5WiWfH8bLJni";

    #[test]
    fn a_string_is_known_behind_the_name_that_a_framework_puts_before_it() {
        for name in ["", "bcrypt$", "{CRYPT}", "{bcrypt}"] {
            let hash = HashString::parse(Scheme::Bcrypt, &format!("{name}{BCRYPT}")).expect(name);
            assert_eq!(hash.matches(b"sk_live_4f9a1c20_9Zk3Qw7Lr5Tn2Vb8Xc6Md1Pf", None), Ok(true), "{name}");
        }
        let argon2 = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$6XVmpMQuOhRobPDN/kUUKIlyqy058c0iyqSuY8K+/RM";
        for name in ["argon2$", "argon2", "{argon2}", "{argon2@SpringSecurity_v5_8}"] {
            assert!(HashString::parse(Scheme::Argon2id, &format!("{name}{argon2}")).is_ok(), "{name}");
        }
    }

    /// Made with Python's hashlib, of "key", as Spring Security's encoders do it.
    #[test]
    fn strings_of_spring_say_their_costs_in_another_form_or_by_their_name() {
        let scrypt = "$40801$AAECAwQFBgcICQoLDA0ODw==$IIk36xsnfA4rj+RFEetEo68RJa3xJMVQuztaMwlMMQ0=";
        let sha256 = "000102030405060708090a0b0c0d0e0ff2f57a35a23627a8d5221ac03c3442b9bfa95ef56430c4313138251804e6fcad";
        let sha1 = "000102030405060725276cddab01ab5939c4c3a23834f9b4959514c9920a03b526539dfa23b603fc";
        for (scheme, text) in [
            (Scheme::Scrypt, format!("{{scrypt}}{scrypt}")),
            (Scheme::Scrypt, format!("{{scrypt@SpringSecurity_v5_8}}{scrypt}")),
            (Scheme::Pbkdf2, format!("{{pbkdf2@SpringSecurity_v5_8}}{sha256}")),
            (Scheme::Pbkdf2, format!("{{pbkdf2}}{sha1}")),
        ] {
            let hash = HashString::parse(scheme, &text).expect(&text);
            assert_eq!((hash.matches(b"key", None), hash.matches(b"kex", None)), (Ok(true), Ok(false)), "{text}");
        }
        let phc = "{scrypt}$scrypt$ln=4,r=8,p=1$c29tZXNhbHRzb21lc2FsdA$B9Y9I944wsB8Pz6zWtDTD0Sgrf2XHcQGTBaZk70mOVQ";
        assert!(HashString::parse(Scheme::Scrypt, phc).is_ok());
        for bad in ["{pbkdf2}", "{pbkdf2}00", "{scrypt}$40801$AA", "{scrypt}$801$AAAA$AAAA", "{pbkdf2@x}00"] {
            assert!(matches!(HashString::parse(Scheme::HashString, bad), Err(RowErrorKind::HashString(_))), "{bad}");
        }
        let costly = format!("{{scrypt}}{}", scrypt.replace("40801", "140801"));
        assert!(matches!(HashString::parse(Scheme::Scrypt, &costly), Err(RowErrorKind::TooCostly(_))));
    }

    #[test]
    fn a_string_of_another_scheme_is_named() {
        let told = |scheme, text: &str| HashString::parse(scheme, text).expect_err(text).to_string();
        assert!(told(Scheme::Argon2id, BCRYPT).contains("scheme bcrypt"));
        assert!(told(Scheme::HashString, "$gy$j9T$x$y").contains("gost-yescrypt"));
        assert!(told(Scheme::Bcrypt, &"a1".repeat(32)).contains("SHA-256"));
    }
}
