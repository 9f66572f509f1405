//! How the server of a `postgres://` URL is reached that is given as an argument.

use std::path::PathBuf;

use clap::Args;

use crate::{
    config::{StoreConfig, StoreTls},
    deployment::DeploymentError,
};

#[derive(Args)]
pub(in crate::cli) struct ServerOfStore {
    /// Where the role's password is: file:PATH, env:NAME or credential:NAME
    #[arg(long, value_name = "WHERE")]
    pub(in crate::cli) store_password: Option<String>,
    /// The authority that issues the database server's certificate
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) store_ca: Option<PathBuf>,
}

impl ServerOfStore {
    /// The store at `url`, which the argument `name` gave.
    pub(super) fn store(self, url: &str, name: &str) -> Result<StoreConfig, DeploymentError> {
        let tls = self.store_ca.map(|ca| StoreTls { ca: Some(ca), ..StoreTls::default() });
        let store = StoreConfig { password: self.store_password, tls, ..StoreConfig::at(url) };
        store.check(name)?;
        Ok(store)
    }
}
