//! `bulla store migrate`: makes the tables, or brings them up to this version, with the rights of another role than the service's.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::super::{ConfigArgument, Outcome, output};
use crate::{
    config::{StoreConfig, StoreTls},
    deployment::DeploymentError,
    store,
};

/// Make the store's tables, or bring them up to this version
///
/// A service does so itself when it starts, if its role may. Running services of the version before work on meanwhile.
#[derive(Args)]
pub(in crate::cli) struct Migrate {
    /// The database, as the role that owns the tables: postgres://ROLE@HOST/DATABASE; by default the configuration's
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Where the role's password is: file:PATH, env:NAME or credential:NAME
    #[arg(long, value_name = "WHERE", requires = "store")]
    store_password: Option<String>,
    /// The authority that issues the database server's certificate
    #[arg(long, value_name = "FILE", requires = "store")]
    store_ca: Option<PathBuf>,
}

impl Migrate {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let (store, folder) = match self.store {
            None => {
                let deployment = config.open()?;
                (deployment.config.store, deployment.config.folder)
            }
            Some(url) => {
                let tls = self.store_ca.map(|ca| StoreTls { ca: Some(ca), ..StoreTls::default() });
                let store = StoreConfig { password: self.store_password, tls, ..StoreConfig::at(&url) };
                store.check("--store").map_err(DeploymentError::from)?;
                (store, PathBuf::from("."))
            }
        };
        store::open(&store, &folder, true)?;
        output::line("The store's tables are those of this version.")?;
        Ok(ExitCode::SUCCESS)
    }
}
