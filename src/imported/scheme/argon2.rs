//! Argon2 (RFC 9106) as PHC strings: `$argon2id$v=19$m=65536,t=3,p=4$SALT$HASH`, those of version 16 (0x10), of Argon2i
//! and Argon2d, with associated data (`data=`), and under a secret that stands in no string.

use argon2::{Algorithm, Argon2, AssociatedData, Block, ParamsBuilder, Version};
use bulla::secret::{Argon2id, Ceilings};
use zeroize::Zeroizing;

use super::{MAX_KIB, SlowError, same};
use crate::imported::row_error::RowErrorKind;

#[derive(Clone, Debug)]
pub(in crate::imported) struct Hash {
    algorithm: Algorithm,
    version: Version,
    setting: Argon2id,
    data: AssociatedData,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Hash {
    pub(super) fn parse(text: &str) -> Result<Self, RowErrorKind> {
        let unreadable = || RowErrorKind::HashString(None);
        let phc = phc::PasswordHash::new(text).map_err(|_| unreadable())?;
        let (Some(salt), Some(hash)) = (phc.salt, phc.hash) else { return Err(unreadable()) };
        let algorithm = Algorithm::new(phc.algorithm.as_str()).map_err(|_| unreadable())?;
        let parameter = |name: &str| phc.params.get_decimal(name).ok_or_else(unreadable);
        let setting = Argon2id { m_kib: parameter("m")?, t: parameter("t")?, p: parameter("p")? };
        let data = phc.params.get_str("data");
        // A key identifier would be part of the hash.
        if phc.params.iter().count() != 3 + usize::from(data.is_some()) {
            return Err(unreadable());
        }
        let data = AssociatedData::from_b64(data.unwrap_or_default()).map_err(|_| unreadable())?;
        const { assert!(MAX_KIB == 256 * 1024, "as much as the library's ceilings") }
        Ceilings::default().check(&setting).map_err(|error| RowErrorKind::TooCostly(error.to_string()))?;
        let version = match phc.version.unwrap_or(0x10) {
            0x10 => Version::V0x10,
            0x13 => Version::V0x13,
            _ => return Err(unreadable()),
        };
        Ok(Hash { algorithm, version, setting, data, salt: salt.to_vec(), hash: hash.as_bytes().to_vec() })
    }

    pub(super) fn is_id(&self) -> bool {
        self.algorithm == Algorithm::Argon2id
    }

    pub(super) fn memory_kib(&self) -> u32 {
        self.setting.m_kib
    }

    /// `secret` is the key of Argon2, which the old system kept apart from its table.
    pub(super) fn matches(&self, hashed: &[u8], secret: Option<&[u8]>) -> Result<bool, SlowError> {
        let Argon2id { m_kib, t, p } = self.setting;
        let mut params = ParamsBuilder::new();
        params.m_cost(m_kib).t_cost(t).p_cost(p).data(self.data).output_len(self.hash.len());
        let params = params.build().map_err(|_| SlowError::Parameters)?;
        let mut blocks = Vec::new();
        let count = usize::try_from(m_kib).map_err(|_| SlowError::OutOfMemory(m_kib))?;
        blocks.try_reserve_exact(count).map_err(|_| SlowError::OutOfMemory(m_kib))?;
        blocks.resize(count, Block::new());
        let mut found = Zeroizing::new(vec![0; self.hash.len()]);
        let argon2 = match secret {
            Some(secret) => Argon2::new_with_secret(secret, self.algorithm, self.version, params)
                .map_err(|_| SlowError::Parameters)?,
            None => Argon2::new(self.algorithm, self.version, params),
        };
        argon2
            .hash_password_into_with_memory(hashed, &self.salt, &mut found, &mut blocks)
            .map_err(|_| SlowError::Parameters)?;
        Ok(same(&found, &self.hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Python's argon2-cffi.
    #[test]
    fn hashes_of_another_implementation_are_matched() {
        for text in [
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$6XVmpMQuOhRobPDN/kUUKIlyqy058c0iyqSuY8K+/RM",
            "$argon2id$v=16$m=256,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$u38D0PDS02wuNoc7XqRhk/L1eW8RsLI52lC9z6gWztg",
            "$argon2id$m=256,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$u38D0PDS02wuNoc7XqRhk/L1eW8RsLI52lC9z6gWztg",
            "$argon2id$v=19$m=1024,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$64qgKahgMv4BbumTv8RALg",
            "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$atuCWlyL1uaQK+Pxpb5HpkW5YxIq84IkBDJCVkwXsag",
            "$argon2i$v=16$m=256,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$Sj6hAIyfme9l67SIvQI6WE7SPUWiEf7bnjPbXi9SD90",
            "$argon2d$v=19$m=256,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$72UeusZ6yoxlU4KTo38WAU5Jj9OG2FdPg/jpz+YTV7o",
            "$argon2d$v=16$m=256,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$epKy82AYb9QKn4XVVxXCA/yBex+0CuGK4DcwJQ9Svh0",
        ] {
            let hash = Hash::parse(text).expect("a hash");
            assert_eq!(hash.matches(b"sk_live_4f9a1c20_9Zk3Qw7Lr5Tn2Vb8Xc6Md1Pf", None), Ok(true), "{text}");
            assert_eq!(hash.matches(b"sk_live_4f9a1c20_9Zk3Qw7Lr5Tn2Vb8Xc6Md1Pg", None), Ok(false), "{text}");
            assert_eq!(hash.matches(b"sk_live_4f9a1c20_9Zk3Qw7Lr5Tn2Vb8Xc6Md1Pf", Some(b"k")), Ok(false), "{text}");
        }
    }

    #[test]
    fn other_strings_and_costs_without_measure_are_refused() {
        let salt_and_hash = "c29tZXNhbHRzb21lc2FsdA$6XVmpMQuOhRobPDN/kUUKIlyqy058c0iyqSuY8K+/RM";
        for (beginning, too_costly) in [
            ("argon2x$v=19$m=256,t=2,p=1", false),
            ("argon2id$v=18$m=256,t=2,p=1", false),
            ("argon2id$v=19$m=256,t=2", false),
            ("argon2id$v=19$m=256,t=2,p=1,keyid=AAAA", false),
            ("argon2id$v=19$m=262145,t=2,p=1", true),
            ("argon2id$v=19$m=256,t=9,p=1", true),
            ("argon2id$v=19$m=256,t=2,p=17", true),
            ("argon2id$v=19$m=4,t=2,p=1", true),
        ] {
            let refused = Hash::parse(&format!("${beginning}${salt_and_hash}")).expect_err(beginning);
            assert_eq!(matches!(refused, RowErrorKind::TooCostly(_)), too_costly, "{beginning}");
        }
        let with_data = format!("$argon2id$v=19$m=256,t=2,p=1,data=Y3R4${salt_and_hash}");
        assert!(!Hash::parse(&with_data).expect("a hash").data.is_empty());
    }
}
