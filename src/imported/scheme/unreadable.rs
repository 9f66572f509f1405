//! What a hash looks like that a scheme cannot read: the message names it, and quotes nothing of it.

/// What `text` looks like, as the end of a sentence.
pub(in crate::imported) fn looks_like(text: &str) -> Option<&'static str> {
    const FORMS: [(&str, &str); 23] = [
        ("$gy$", "gost-yescrypt, which bulla does not check"),
        ("$1$", "MD5-crypt, which bulla does not check"),
        ("$apr1$", "Apache's MD5-crypt, which bulla does not check"),
        ("$2x$", "bcrypt of a broken implementation, which bulla does not check"),
        (
            "$P$",
            "phpass of WordPress before 6.8, which is MD5 many times, and bulla does not check: the key has to be issued anew",
        ),
        ("$H$", "phpass of phpBB, which is MD5 many times, and bulla does not check: the key has to be issued anew"),
        ("$generic$", "a hash of WordPress's application passwords: scheme wp-fast-hash"),
        ("$8$", "a password hash of Cisco's, which bulla does not check"),
        ("$9$", "a password hash of Cisco's, which bulla does not check"),
        ("$p5k2$", "PBKDF2 of Cryptacular or Litzenberger, which bulla does not check"),
        ("SCRAM-SHA-", "a verifier of SCRAM, which holds no hash of a key"),
        ("$shiro2$", "a hash of Shiro 2: cut $shiro2 off where $argon2 or $2 stands behind it"),
        ("b'", "bytes as Python writes them: cut b' off the beginning and ' off the end"),
        ("md5$", "MD5, which bulla does not check"),
        ("{MD5}", "MD5, which bulla does not check"),
        ("{SMD5}", "MD5, which bulla does not check"),
        ("{noop}", "Spring's plaintext: cut {noop} off, and take the scheme `plain`"),
        (
            "eyJ",
            "a JWT, so it may be the key itself: the scheme `plain` takes keys in plaintext and stores their hashes",
        ),
        ("c2NyeXB0A", "a file header of scrypt-kdf, which holds no hash of a key"),
        (
            "ey",
            "JSON in base64, so it may be the key itself: the scheme `plain` takes keys in plaintext and stores their hashes",
        ),
        ("$pbkdf2", "PBKDF2 with another hash than SHA-1, SHA-256, SHA-384 and SHA-512"),
        ("gAAAA", "encrypted (Fernet), and no hash: decrypt the keys, and take the scheme `plain`"),
        ("vault:v", "encrypted by Vault, and no hash: decrypt the keys, and take the scheme `plain`"),
    ];
    if let Some((_, form)) = FORMS.iter().find(|(begin, _)| text.starts_with(begin)) {
        return Some(form);
    }
    let bare = text.strip_prefix("\\x").or_else(|| text.strip_prefix("0x")).unwrap_or(text);
    let is_hex = bare.bytes().all(|byte| byte.is_ascii_hexdigit());
    if text.len() == 36 && text.parse::<uuid::Uuid>().is_ok() {
        return Some(
            "a UUID, so it may be the key itself: the scheme `plain` takes keys in plaintext and stores their hashes",
        );
    }
    match (bare.len(), is_hex) {
        (32, true) => Some("16 bytes: MD5, or a UUID?"),
        (40, true) => Some(
            "20 bytes: SHA-1? Schemes sha1 and hmac-sha1. Or the key itself, such as Django REST framework's authtoken: the \
             scheme `plain` takes keys in plaintext and stores their hashes",
        ),
        (28, false) => Some("20 bytes: SHA-1? Schemes sha1 and hmac-sha1"),
        (56, true) => Some("28 bytes: SHA-224?"),
        (64, true) | (43 | 44, false) => Some("32 bytes: SHA-256? Schemes sha256 and hmac-sha256"),
        (96, true) | (64, false) => Some("48 bytes: SHA-384? Schemes sha384 and hmac-sha384"),
        (128, true) | (86 | 88, false) => Some("64 bytes: SHA-512? Schemes sha512 and hmac-sha512"),
        (100, true) => Some("50 bytes: PBKDF2 as Gitea and Grafana store it? Systems gitea and grafana"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_known_by_their_length_and_strings_by_their_beginning() {
        for (text, part) in [
            ("a".repeat(40), "SHA-1"),
            ("a".repeat(40), "the scheme `plain`"),
            ("a".repeat(128), "SHA-512"),
            (format!("{}=", "-_".repeat(21) + "x"), "SHA-256"),
            ("eyJhbGciOiJIUzI1NiJ9.e30.x".to_owned(), "JWT"),
            ("3f2b8c1e-9a7d-4d52-8a55-0123456789ab".to_owned(), "UUID"),
            ("$1$salt$hash".to_owned(), "MD5"),
        ] {
            assert!(looks_like(&text).expect(&text).contains(part), "{text}");
        }
        assert_eq!(looks_like("sk_live_4f9a1c20"), None);
    }
}
