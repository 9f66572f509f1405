//! `bulla keys migrate`.

use std::process::ExitCode;

use bulla::Realm;
use clap::Args;
use serde::Serialize;

use crate::{
    action::{Actor, revoke},
    cli::{
        ConfigArgument, Failure, Outcome,
        backend::Local,
        confirm::{Confirmation, counted},
        output,
    },
    clock,
    store::Migration,
};

#[derive(Args)]
#[command(after_help = "\
A realm with `replace_imported = true` answers the next verification of an imported key with a sealed key that replaces it.
Once the sealed key has been used, the imported one can go: --retire revokes such keys, after it told how many and asked.")]
pub(in crate::cli) struct Migrate {
    /// Only this realm
    #[arg(long)]
    realm: Option<Realm>,
    /// Revoke the imported keys of the realm whose sealed keys have been used
    #[arg(long, requires = "realm")]
    retire: bool,
    #[command(flatten)]
    confirmation: Confirmation,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Migrations {
    realms: Vec<Migration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retired: Option<usize>,
}

impl Migrate {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let local = Local::open(config)?;
        local.check_realm(self.realm)?;
        let (store, now) = (&local.store, clock::now());
        let retired = match self.realm.filter(|_| self.retire) {
            Some(realm) => {
                self.confirm(&local, realm)?;
                let with = (&**store, &local.deployment.config.fleet);
                Some(revoke::retire(with, &Actor::command_line(), realm, now)?)
            }
            None => None,
        };
        let realms = store.migrations(self.realm, now)?;
        if self.json {
            output::json(&Migrations { realms, retired })?;
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(retired) = retired {
            output::line(format_args!("retired {retired}\n"))?;
        }
        let rows: Vec<_> = realms.iter().map(row).collect();
        output::table(&["REALM", "IMPORTED", "ACTIVE", "USED", "REPLACED", "TAKEN OVER", "STILL IN USE"], &rows)?;
        Ok(ExitCode::SUCCESS)
    }

    fn confirm(&self, local: &Local, realm: Realm) -> Result<(), Failure> {
        if self.confirmation.is_given() {
            return Ok(());
        }
        let keys = local.store.taken_over(realm, u32::MAX)?.len() as u64;
        if keys == 0 {
            return Ok(());
        }
        let told = format!(
            "This permanently revokes {} of the realm `{realm}`, whose sealed keys have been used. It cannot be undone.",
            counted(keys, "imported API key")
        );
        self.confirmation.ask(&told, &format!("retire {realm}"))
    }
}

fn row(of: &Migration) -> Vec<String> {
    let numbers = [of.imported, of.active, of.used, of.replaced, of.taken_over, of.still_in_use];
    std::iter::once(of.realm.clone()).chain(numbers.iter().map(u64::to_string)).collect()
}
