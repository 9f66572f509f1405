//! Hashes that say themselves how they were made: PHC and crypt strings, and the forms of frameworks and servers. Their
//! cost in time and memory is known before one runs.

use super::{MAX_KIB, Scheme, argon2, bcrypt, crypt, iterated, pbkdf2, scrypt, sha, unreadable::looks_like};
use crate::imported::row_error::RowErrorKind;

/// A hash as it was imported.
#[derive(Clone, Debug)]
pub(in crate::imported) enum HashString {
    Argon2(argon2::Hash),
    Bcrypt(bcrypt::Hash),
    Scrypt(scrypt::Hash),
    Pbkdf2(pbkdf2::Hash),
    Sha(sha::Hash),
    Iterated(iterated::Hash),
    Crypt(crypt::Hash),
}

/// Names that Django, LDAP, Dovecot and Spring put before a string of another's form.
const NAMES: [&str; 15] = [
    "argon2$",
    "bcrypt$",
    "{CRYPT}",
    "{crypt}",
    "{BCRYPT}",
    "{bcrypt}",
    "{ARGON2}",
    "{argon2}",
    "{scrypt}",
    "{SCRYPT}",
    "{ARGON2ID}",
    "{ARGON2I}",
    "{BLF-CRYPT}",
    "{SHA256-CRYPT}",
    "{SHA512-CRYPT}",
];

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
        let text = NAMES
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
        if let Some(rest) = text.strip_prefix("$wp").filter(|rest| rest.starts_with("$2")) {
            return bcrypt::Hash::wordpress(rest).map(HashString::Bcrypt);
        }
        if begins(&["$2"]) {
            return bcrypt::Hash::parse(text).map(HashString::Bcrypt);
        }
        if let Some(hash) = pbkdf2::Hash::of_server(text) {
            return hash.map(HashString::Pbkdf2);
        }
        if begins(&["$scrypt$", "$7$", "$s0$", "scrypt$", "scrypt:"]) {
            return scrypt::Hash::parse(text).map(HashString::Scrypt);
        }
        if begins(&["pbkdf2_", "pbkdf2:", "$pbkdf2", "{PBKDF2"]) {
            return pbkdf2::Hash::parse(text).map(HashString::Pbkdf2);
        }
        if let Some(hash) = sha::Hash::mosquitto(text) {
            return hash.map(HashString::Sha);
        }
        if begins(&["$5$", "$6$", "$y$"]) {
            return crypt::Hash::parse(text).map(HashString::Crypt);
        }
        // A digest behind `{sha256}` that was not hashed again is LDAP's.
        if begins(&["$shiro1$", "$S$"]) || text.starts_with("{sha256}") && text.len() == "{sha256}".len() + 80 {
            return iterated::Hash::parse(text).map(HashString::Iterated);
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
            HashString::Iterated(_) => "a SHA digest that is hashed again and again: scheme hash-string",
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
            HashString::Iterated(_) => iterated::MEMORY_KIB,
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
            HashString::Iterated(hash) => hash.matches(hashed),
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
        for name in ["", "bcrypt$", "{CRYPT}", "{bcrypt}", "{BLF-CRYPT}"] {
            let hash = HashString::parse(Scheme::Bcrypt, &format!("{name}{BCRYPT}")).expect(name);
            assert_eq!(hash.matches(b"sk_live_4f9a1c20_9Zk3Qw7Lr5Tn2Vb8Xc6Md1Pf", None), Ok(true), "{name}");
        }
        let argon2 = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$6XVmpMQuOhRobPDN/kUUKIlyqy058c0iyqSuY8K+/RM";
        for name in ["argon2$", "argon2", "{argon2}", "{ARGON2ID}", "{argon2@SpringSecurity_v5_8}"] {
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

    /// Made with Python's hashlib and bcrypt, of "key", by what the servers and frameworks document; the last two are
    /// hashcat's own, of "hashcat".
    #[test]
    fn strings_of_servers_are_known_by_their_form() {
        for (scheme, text, key) in [
            // ASP.NET Core Identity, version 3 with its three functions, and version 2.
            (
                Scheme::Pbkdf2,
                "AQAAAAIAAAPoAAAAEAABAgMEBQYHCAkKCwwNDg/6P/kvWzHH3YLJStLG6W1vn7bAxYmFqvy76FgzThz4sw==",
                "key",
            ),
            (
                Scheme::Pbkdf2,
                "AQAAAAEAAAPoAAAAEAABAgMEBQYHCAkKCwwNDg/9ekQJYCO7d9ubXkXYa+e+XXxSGA6579geO43wVjZxVQ==",
                "key",
            ),
            (
                Scheme::HashString,
                "AQAAAAAAAAPoAAAAEAABAgMEBQYHCAkKCwwNDg+GgjaiilkjzyfrmuMpIed81h2r3RijmGoz4hrgaYQvUA==",
                "key",
            ),
            (Scheme::Pbkdf2, "AAABAgMEBQYHCAkKCwwNDg+GgjaiilkjzyfrmuMpIed81h2r3RijmGoz4hrgaYQvUA==", "key"),
            // Jira and Confluence.
            (Scheme::Pbkdf2, "{PKCS5S2}AAECAwQFBgcICQoLDA0OD9Ca6vlGth7F84pFK0amePRv4zEugLQrvcPdZZYlyLuU", "key"),
            // mosquitto_passwd, of its present and its former releases.
            (
                Scheme::Pbkdf2,
                "$7$101$AAECAwQFBgcICQoL$4fPGyiq6NydjYej38B44sEpRyWu8kuVXncBmu1ZgCo3W1UEFN1VwNwhbWrb70T5ogrMZH5/7nMXUFstBdmURKA==",
                "key",
            ),
            (
                Scheme::HashString,
                "$6$AAECAwQFBgcICQoL$TDAPE5MlHcrz4j3GkU9GpO3EmzSt+S36LkJp8taxchiuvv0qPvGQsyskMNvw+RvTm31ysaV1WriIxCkd8fLtMw==",
                "key",
            ),
            // web2py.
            (Scheme::Pbkdf2, "pbkdf2(1000,20,sha512)$a1b2c3d4e5f60718$67657b6f3bdffab5e950e401614c9f7ec6f69136", "key"),
            // Dovecot.
            (Scheme::Pbkdf2, "{PBKDF2}$1$saltsaltsaltsalt$5000$9e4441a6602369e38fa9561610794d410f0013a9", "key"),
            // As long as a SHA-256 of JupyterHub's, but in base64.
            (
                Scheme::Pbkdf2,
                "sha256:1000:AAECAwQFBgcICQoLDA0ODw==:/XpECWAju3fbm15F2Gvnvl18UhgOue/YHjuN8FY2cVU=",
                "key",
            ),
            // Lambdaworks's SCryptUtil.
            (Scheme::Scrypt, "$s0$40801$AAECAwQFBgcICQoLDA0ODw==$IIk36xsnfA4rj+RFEetEo68RJa3xJMVQuztaMwlMMQ0=", "key"),
            // WordPress 6.8, of accounts.
            (Scheme::Bcrypt, "$wp$2y$04$abcdefghijklmnopqrstuunWjCBhcro4COhGFArucFVHltb0TScRe", "key"),
            (
                Scheme::HashString,
                "{sha256}0001020304050607c0f5d842bcbc87f13bdf81df9bd3992fcc2753176e49564b0e70e09bb285c781",
                "key",
            ),
            (Scheme::Pbkdf2, "sha256:1000:MTc3MTA0MTQwMjQxNzY=:PYjCU215Mi57AYPKva9j7mvF4Rc5bCnt", "hashcat"),
            (
                Scheme::HashString,
                "{PKCS5S2}NzIyNzM0NzY3NTIwNjI3MdDDis7wPxSbSzfFqDGf7u/L00kSEnupbz36XCL0m7wa",
                "hashcat",
            ),
        ] {
            let hash = HashString::parse(scheme, text).expect(text);
            let matches = |key: &str| hash.matches(key.as_bytes(), None);
            assert_eq!((matches(key), matches("kex")), (Ok(true), Ok(false)), "{text}");
        }
        for bad in [
            "AQAAAAMAAAPoAAAAEAABAgMEBQYHCAkKCwwNDg/6P/kvWzHH3YLJStLG6W1vn7bAxYmFqvy76FgzThz4sw==",
            "AQAAAAIAAAPoAAAA/wABAgMEBQYHCAkKCwwNDg/6P/kvWzHH3YLJStLG6W1vn7bAxYmFqvy76FgzThz4sw==",
            "{PKCS5S2}AAEC",
            "$7$101$AAEC$AAEC",
            "pbkdf2(1000,21,sha512)$a1b2c3d4e5f60718$67657b6f3bdffab5e950e401614c9f7ec6f69136",
            "{PBKDF2}$2$salt$5000$9e4441a6602369e38fa9561610794d410f0013a9",
        ] {
            assert!(matches!(HashString::parse(Scheme::HashString, bad), Err(RowErrorKind::HashString(_))), "{bad}");
        }
    }

    #[test]
    fn a_hash_that_a_column_cut_off_is_refused() {
        let crypt =
            "$6$saltsalt$FWOPvFBQZ.umYPpOpdUfDKRzEutOvuhRkM1ecwf9tPAVNnBTbyhc.C4/DoB3tXh51wcaH24XcdRQY8LgkQUsK1";
        assert!(HashString::parse(Scheme::HashString, crypt).is_ok());
        for len in [64, 97] {
            let cut = &crypt[..len];
            assert!(matches!(HashString::parse(Scheme::HashString, cut), Err(RowErrorKind::HashString(_))), "{cut}");
        }
    }

    #[test]
    fn a_string_of_another_scheme_is_named() {
        let told = |scheme, text: &str| HashString::parse(scheme, text).expect_err(text).to_string();
        assert!(told(Scheme::Argon2id, BCRYPT).contains("scheme bcrypt"));
        assert!(told(Scheme::HashString, "$gy$j9T$x$y").contains("gost-yescrypt"));
        assert!(told(Scheme::Bcrypt, &"a1".repeat(32)).contains("SHA-256"));
    }
}
