//! The real components, one file each: started when a test first needs them, in folders and on ports of their own, and
//! ended with this process, however it ends.

pub mod adapter;
pub mod answering;
pub mod cable;
pub mod hmac_key;
pub mod kryoptic;
pub mod moto;
pub mod mounts;
pub mod nss;
pub mod openbao;
pub mod p11_kit;
pub mod softhsm;
pub mod tpm;
pub mod tpm_token;
pub mod world;
