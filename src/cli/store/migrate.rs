//! `bulla store migrate`: makes the tables, or brings them up to this version, with the rights of another role than the
//! service's.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::server_arguments::ServerOfStore;
use crate::{
    cli::{ConfigArgument, Outcome, output},
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
    #[command(flatten)]
    server: ServerOfStore,
}

impl Migrate {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let (store, folder) = match self.store {
            None => {
                let deployment = config.open()?;
                (deployment.config.store, deployment.config.folder)
            }
            Some(url) => (self.server.store(&url, "--store")?, PathBuf::from(".")),
        };
        store::open(&store, &folder, true)?;
        output::line("The store's tables are those of this version.")?;
        Ok(ExitCode::SUCCESS)
    }
}
