//! Certificates and keys in PEM files.

use std::{fs, io, os::unix::fs::PermissionsExt, path::PathBuf};

use tempfile::TempDir;

use crate::{
    config::{TlsConfig, TlsVersion},
    tls::ListenerTls,
};

/// A folder for the files of one listener.
pub struct Identities {
    config: TlsConfig,
    _folder: TempDir,
}

impl Identities {
    /// Makes the folder.
    pub fn new() -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = |name: &str| -> PathBuf { folder.path().join(name) };
        let config = TlsConfig {
            certificate: path("tls.crt"),
            key: path("tls.key"),
            min_version: TlsVersion::V1_3,
            client_ca: Some(path("clients.crt")),
            clients: Default::default(),
        };
        fs::write(&config.key, "")?;
        fs::set_permissions(&config.key, fs::Permissions::from_mode(0o600))?;
        Ok(Identities { config, _folder: folder })
    }

    /// Returns whether a listener takes these as its certificate, the key of that, and the authorities of its clients;
    /// or why not.
    pub fn load(&self, certificate: &[u8], key: &[u8], authorities: &[u8]) -> Result<(), String> {
        let write =
            |path: &Option<PathBuf>, content: &[u8]| path.as_ref().map_or(Ok(()), |path| fs::write(path, content));
        let written = [
            write(&Some(self.config.certificate.clone()), certificate),
            write(&Some(self.config.key.clone()), key),
            write(&self.config.client_ca, authorities),
        ];
        written.into_iter().collect::<io::Result<()>>().map_err(|error| error.to_string())?;
        ListenerTls::load(&self.config).map(drop).map_err(|error| error.to_string())
    }
}
