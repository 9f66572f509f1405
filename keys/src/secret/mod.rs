//! Secret halves: 32 random bytes beside the seal, of which only a hash is stored, so that whoever steals a master key
//! cannot make the keys of a realm that requires them.

#[cfg_attr(not(feature = "argon2"), path = "argon2_left_out.rs")]
mod argon2;
mod binding;
mod check;
mod digest;
mod error;
mod hash;
mod pepper;
mod phc;
mod scheme;

pub use self::{
    argon2::HashMemory,
    binding::{NewSecret, SealBinding, SealBindingError},
    check::{Opened, SecretCheck},
    digest::SecretDigest,
    error::SecretHashError,
    hash::SecretHash,
    pepper::Pepper,
    scheme::{Argon2id, Ceilings, SecretScheme},
};
