//! `bulla fleet`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use uuid::Uuid;

use super::{ConfigArgument, Outcome, common_args::CommonArgs, confirm::Confirmation, output, parsers};
use crate::{
    api::fleet::{Fleet as Page, FollowerView, FollowersQuery, MemberName},
    clock,
};

/// Show the nodes on the store and the followers of the feed, and who is in trouble
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  bulla fleet                        everybody, and what is wrong with them
  bulla fleet forget edge-7          nothing waits for edge-7 any more
  bulla fleet forget --app UUID      nor for what API keys of that app registered

`bulla revoke … --wait` waits until every one of them has a revocation in force."
)]
pub(super) struct Fleet {
    #[command(subcommand)]
    command: Option<FleetCommand>,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Subcommand)]
enum FleetCommand {
    /// Forget a node or follower that is gone for good, or all that an app registered, so that nothing waits for it
    Forget(Forget),
}

#[derive(Args)]
struct Forget {
    /// The name that `bulla fleet` shows
    #[arg(value_parser = parsers::member, required_unless_present = "app", conflicts_with = "app")]
    name: Option<String>,
    /// All that API keys of this app registered, a UUID: `app_id` in `bulla fleet --json`
    #[arg(long, visible_alias = "owner", value_name = "UUID", value_parser = parsers::app_id)]
    app: Option<Uuid>,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    common: CommonArgs,
}

impl Fleet {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        if let Some(FleetCommand::Forget(forget)) = self.command {
            return forget.run(config);
        }
        output::can_print()?;
        let backend = self.common.open(config)?;
        let mut query = FollowersQuery { after: None, limit: None };
        let mut all = backend.fleet(&query)?;
        while let Some(after) = all.next_after.take() {
            query.after = Some(MemberName(after));
            let Page { followers, next_after, .. } = backend.fleet(&query)?;
            all.followers.extend(followers);
            all.next_after = next_after;
        }
        self.common.print(&all, |all| {
            let now = clock::now();
            output::line(format_args!("The revocation log ends at {}.", all.end))?;
            if all.followers.is_empty() {
                return output::line("Nobody is registered: no node runs on this store, and no follower reports.");
            }
            let rows: Vec<_> = all.followers.iter().map(|one| row(one, now)).collect();
            let head =
                ["NAME", "ROLE", "ADDRESS", "VERSION", "STATE", "PLACE", "AGE", "KEYS", "REALMS", "REFUSED", "HEARD"];
            output::table(&head, &rows)?;
            for one in &all.followers {
                if let Some(trouble) = &one.trouble {
                    output::fields(&[(&one.name, trouble.clone())])?;
                }
            }
            Ok(())
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Forget {
    fn run(self, config: &ConfigArgument) -> Outcome {
        let backend = self.common.open(config)?;
        let told = |what: &str| {
            format!(
                "From then on nothing waits for {what}: while it runs somewhere it may accept API keys that are revoked, and nobody \
                 hears of it. Its next report registers it again."
            )
        };
        if let Some(app) = self.app {
            let told = told(&format!("any follower that the app {app} registered"));
            self.confirmation.ask(&told, &format!("forget {app}"))?;
            self.common.print(&backend.forget_followers_of(app)?, output::object)?;
        } else if let Some(name) = &self.name {
            self.confirmation.ask(&told(name), &format!("forget {name}"))?;
            self.common.print(&backend.forget_follower(name)?, output::object)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn row(one: &FollowerView, now: Timestamp) -> Vec<String> {
    let ago = |at: Timestamp| format!("{}s", now.duration_since(at).as_secs().max(0));
    let versions: Vec<String> = one.versions.iter().map(u32::to_string).collect();
    vec![
        one.name.clone(),
        one.role.name().to_owned(),
        output::or_dash(one.address.as_ref()),
        one.version.clone(),
        one.state.name().to_owned(),
        one.seq.to_string(),
        one.this_update.map_or_else(|| "-".to_owned(), ago),
        versions.join(","),
        one.realms.join(","),
        one.refused.to_string(),
        ago(one.last_contact),
    ]
}
