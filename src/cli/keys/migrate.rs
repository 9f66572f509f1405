//! `bulla keys migrate`.

use std::process::ExitCode;

use bulla::Realm;
use clap::Args;
use serde_json::json;

use crate::{
    action::{Actor, take_back},
    cli::{ConfigArgument, Outcome, known_realm, output},
    clock,
    store::Migration,
};

#[derive(Args)]
#[command(after_help = "\
A realm with `replace_imported = true` hands out a sealed key for each imported one when that is next verified. Once the
sealed key has been used the imported one can go: --retire revokes such keys.")]
pub(in crate::cli) struct Migrate {
    /// Only this realm
    #[arg(long)]
    realm: Option<Realm>,
    /// Revoke the imported keys of the realm whose sealed keys have been used
    #[arg(long, requires = "realm")]
    retire: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Migrate {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let deployment = config.open()?;
        let (store, now) = (deployment.store()?, clock::now());
        if let Some(realm) = self.realm.filter(|realm| !store.has_realm(*realm).unwrap_or(true)) {
            known_realm(&deployment.config, realm, "and the ledger has no key of it")?;
        }
        let retired = match self.realm.filter(|_| self.retire) {
            Some(realm) => Some(take_back::retire(&*store, &Actor::command_line(), realm, now)?),
            None => None,
        };
        let realms = store.migrations(self.realm, now)?;
        if self.json {
            let mut answer = json!({"realms": realms});
            if let Some(retired) = retired {
                answer["retired"] = retired.into();
            }
            output::json(&answer)?;
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(retired) = retired {
            output::line(format_args!("retired {retired}\n"))?;
        }
        let rows: Vec<_> = realms.iter().map(row).collect();
        output::table(&["REALM", "IMPORTED", "ACTIVE", "USED", "REPLACED", "TAKEN OVER", "STILL IN USE"], &rows)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn row(of: &Migration) -> Vec<String> {
    let numbers = [of.imported, of.active, of.used, of.replaced, of.taken_over, of.still_in_use];
    std::iter::once(of.realm.clone()).chain(numbers.iter().map(u64::to_string)).collect()
}
