//! A file that is authenticated while it is written or read.

use std::io::{self, Read, Write};

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::TAG;
use crate::keyring::EdgeMac;

/// Computes the MAC over everything that passes.
pub(super) struct Signed<T> {
    inner: T,
    mac: Hmac<Sha256>,
}

impl<T> Signed<T> {
    pub(super) fn new(inner: T, mac: &EdgeMac) -> Self {
        Signed { inner, mac: mac.begin() }
    }

    /// The tag of what passed.
    pub(super) fn tag(self) -> [u8; TAG] {
        self.mac.finalize().into_bytes().into()
    }

    /// Returns whether this is the tag of what passed, in constant time.
    pub(super) fn verifies(self, tag: &[u8; TAG]) -> bool {
        self.mac.verify(tag.into()).is_ok()
    }
}

impl<T: Write> Write for Signed<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.mac.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Signed<T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.mac.update(&bytes[..read]);
        Ok(read)
    }
}
