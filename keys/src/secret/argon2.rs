//! Argon2id (RFC 9106). The only file that names the crate.

use ::argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroizing;

use super::{Argon2id, SecretHashError, digest, scheme::SALT_BYTES};

/// Whether this build has Argon2id.
pub(super) const IS_ENABLED: bool = true;

/// Memory that hashes are computed in, to be kept from one to the next: taking fresh pages from the operating system
/// costs a large part of a hash's time. It grows to the largest that was needed, and holds nothing by which a digest or
/// a secret half could be found.
#[derive(Default)]
pub struct HashMemory(Vec<Block>);

impl HashMemory {
    /// Takes `kib` KiB at once, so that they are known to be there.
    pub fn with_kib(kib: u32) -> Result<Self, SecretHashError> {
        let mut memory = HashMemory::default();
        memory.blocks(kib)?;
        Ok(memory)
    }

    fn blocks(&mut self, kib: u32) -> Result<&mut [Block], SecretHashError> {
        const { assert!(Block::SIZE == 1024) }
        let none = || SecretHashError::OutOfMemory(kib);
        let wanted = usize::try_from(kib).map_err(|_| none())?;
        if self.0.len() < wanted {
            // Empty first: nothing in there is worth copying.
            self.0 = Vec::new();
            self.0.try_reserve_exact(wanted).map_err(|_| none())?;
            self.0.resize(wanted, Block::new());
        }
        Ok(&mut self.0[..wanted])
    }
}

impl std::fmt::Debug for HashMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HashMemory({} KiB)", self.0.len())
    }
}

pub(super) fn hash(
    setting: &Argon2id,
    password: &[u8; digest::BYTES],
    salt: &[u8; SALT_BYTES],
    memory: &mut HashMemory,
) -> Result<Zeroizing<[u8; digest::BYTES]>, SecretHashError> {
    setting.check()?;
    let params = Params::new(setting.m_kib, setting.t, setting.p, Some(digest::BYTES));
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.map_err(|_| SecretHashError::Setting)?);
    let mut hash = Zeroizing::new([0; digest::BYTES]);
    argon2
        .hash_password_into_with_memory(password, salt, hash.as_mut_slice(), memory.blocks(setting.m_kib)?)
        .map_err(|_| SecretHashError::Setting)?;
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use ::argon2::{AssociatedData, ParamsBuilder};

    use super::*;

    #[test]
    fn the_test_vector_of_rfc_9106_section_5_3() {
        let data = AssociatedData::new(&[4; 12]).expect("should be associated data");
        let params = ParamsBuilder::new().m_cost(32).t_cost(3).p_cost(4).output_len(32).data(data).build();
        let (params, secret) = (params.expect("should be parameters"), [3; 8]);
        let argon2 = Argon2::new_with_secret(&secret, Algorithm::Argon2id, Version::V0x13, params);
        let mut tag = [0; 32];
        let mut memory = HashMemory::with_kib(32).expect("should be there");
        let blocks = memory.blocks(32).expect("should be there");
        let hashed =
            argon2.expect("should be a key").hash_password_into_with_memory(&[1; 32], &[2; 16], &mut tag, blocks);
        hashed.expect("should hash");
        let expected = "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659";
        assert_eq!(hex::encode(tag), expected);
    }
}
