//! `bulla keys imports`: the sets of imported keys.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::{
    action::{Actor, imported_sets},
    cli::{ConfigArgument, Failure, Outcome, confirm::Confirmation, output},
    clock,
    store::{RemovedSet, SetCount},
};

#[derive(Args)]
pub(in crate::cli) struct Imports {
    #[command(subcommand)]
    command: Option<Command>,
    /// Print one JSON object
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// List the sets of imported keys
    #[command(visible_alias = "ls")]
    List,
    /// Show how the keys of a set look and were hashed
    Show {
        /// The number of the set
        number: i64,
    },
    /// Remove the keys of a set that was imported wrongly, if none was ever used; revoked and suspended ones stay
    Remove {
        /// The number of the set
        number: i64,
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

impl Imports {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let deployment = config.open()?;
        let store = deployment.store()?;
        let sets = store.imported_set_counts()?;
        let one = |number: i64| {
            let set = sets.iter().find(|set| set.set.number == number);
            set.ok_or_else(|| Failure::Undone(format!("there is no set {number}: `bulla keys imports` lists them")))
        };
        match self.command {
            None | Some(Command::List) => list(&sets, self.json)?,
            Some(Command::Show { number }) => show(one(number)?, self.json)?,
            Some(Command::Remove { number, confirmation }) => {
                let set = one(number)?;
                // A service writes down what was used once in this time.
                let unwritten = deployment.config.last_used.flush_interval;
                let consequences = format!(
                    "This removes up to {} keys of realm {}, and each of them is rejected from then on. A key that was first \
                     used within the last {unwritten} may be one of them: a service writes down uses with that delay.",
                    set.keys, set.set.realm
                );
                confirmation.ask(&consequences, "remove")?;
                let RemovedSet { removed, kept } =
                    imported_sets::remove(&*store, &Actor::command_line(), &set.set, clock::now())?;
                let outcome = json!({"set": number, "removed": removed, "kept": kept});
                if self.json { output::json(&outcome)? } else { output::object(&outcome)? }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list(sets: &[SetCount], json: bool) -> std::io::Result<()> {
    if json {
        return output::json(&json!({"sets": sets.iter().map(value).collect::<Vec<_>>()}));
    }
    let rows: Vec<_> = sets
        .iter()
        .map(|one| {
            let layout = &one.set.layout;
            let (number, realm, scheme) = (one.set.number.to_string(), one.set.realm.to_string(), layout.scheme.name());
            let counts = [one.keys, one.used, one.replaced].map(|count| count.to_string());
            [vec![number, realm, scheme.to_owned(), layout.prefix.clone()], counts.to_vec()].concat()
        })
        .collect();
    output::table(&["SET", "REALM", "SCHEME", "PREFIX", "KEYS", "USED", "REPLACED"], &rows)
}

fn show(set: &SetCount, json: bool) -> std::io::Result<()> {
    let value = value(set);
    if json {
        return output::json(&value);
    }
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let own = value.as_object().into_iter().flatten().filter(|(name, _)| *name != "layout");
    let layout = value["layout"].as_object().into_iter().flatten();
    let fields: Vec<(&str, String)> = own.chain(layout).map(|(name, value)| (name.as_str(), text(value))).collect();
    output::fields(&fields)
}

fn value(of: &SetCount) -> Value {
    json!({
        "set": of.set.number, "realm": of.set.realm.to_string(), "keys": of.keys, "used": of.used, "replaced": of.replaced,
        "layout": of.set.layout,
    })
}
