//! The plaintext under the seal: `app_id 16 ‖ issued_at u32be ‖ expires_at u32be (0 = never) ‖ claims`.

use uuid::Uuid;

use crate::{clock_difference::CLOCK_DIFFERENCE, rejection::Rejection};

/// Bytes before the claims.
pub(crate) const MIN_BYTES: usize = 16 + 4 + 4;
/// Longest claims in bytes.
pub(crate) const MAX_CLAIMS: usize = 240;
/// Bytes of the longest plaintext.
pub(crate) const MAX_BYTES: usize = MIN_BYTES + MAX_CLAIMS;

/// The fixed part of the plaintext.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Payload {
    pub(crate) app_id: Uuid,
    pub(crate) issued_at: u32,
    /// 0 is never.
    pub(crate) expires_at: u32,
}

impl Payload {
    /// Splits a plaintext into the bytes of the fixed part and those of the claims.
    #[inline(always)]
    pub(crate) fn split(plaintext: &[u8]) -> Option<(&[u8; MIN_BYTES], &[u8])> {
        plaintext.split_first_chunk()
    }

    /// Reads the fixed part.
    #[inline(always)]
    pub(crate) fn read(bytes: &[u8; MIN_BYTES]) -> Self {
        let (app_id, times) = bytes.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
        let (times, _) = times.as_chunks::<4>();
        let time = |at: usize| times.get(at).map_or(0, |time| u32::from_be_bytes(*time));
        Payload { app_id: Uuid::from_bytes(*app_id), issued_at: time(0), expires_at: time(1) }
    }

    /// The plaintext with `claims` after the fixed part.
    pub(crate) fn encode(&self, claims: &[u8]) -> Vec<u8> {
        let mut plaintext = Vec::with_capacity(MIN_BYTES + claims.len());
        plaintext.extend(self.app_id.as_bytes());
        plaintext.extend(self.issued_at.to_be_bytes());
        plaintext.extend(self.expires_at.to_be_bytes());
        plaintext.extend(claims);
        plaintext
    }

    /// Returns whether `now`, in Unix seconds, lies between issue and expiry; `not_before` is the claim `nbf`.
    #[inline]
    pub(crate) fn check_time(&self, not_before: Option<u64>, now: u64) -> Result<(), Rejection> {
        let issued = u64::from(self.issued_at) <= now.saturating_add(CLOCK_DIFFERENCE);
        if !issued || not_before.is_some_and(|not_before| not_before > now) {
            Err(Rejection::NotYetValid)
        } else if self.expires_at != 0 && now >= u64::from(self.expires_at) {
            Err(Rejection::Expired)
        } else {
            Ok(())
        }
    }
}
