//! `bulla --help`: the commands in groups, with exit codes and environment variables.

use std::fmt::Write;

use clap::Command;

/// The commands of each group, in the order that the help shows.
const GROUPS: [(&str, &[&str]); 4] = [
    ("Start", &["quickstart", "init", "serve", "status", "doctor"]),
    ("API keys", &["issue", "verify", "inspect", "revoke", "reveal", "keys"]),
    ("Master keys, fleet and records", &["keyring", "fleet", "edge", "audit", "store", "feed"]),
    ("Other", &["helper", "completions", "help"]),
];

const MORE: &str = "\
Examples:
  bulla quickstart                                issue, verify, forge and revoke on a throw-away deployment
  bulla init . && bulla serve                     create a deployment in this folder and run it
  bulla issue --realm live --app UUID --ttl 90d   issue an API key
  bulla verify - < key.txt                        verify the API key in a file

Durations read 90d, 12h, 15m; times are RFC 3339. With --json a command prints one JSON object.

Exit codes:
  0  done; verify: accepted; doctor: nothing is wrong
  1  verify: rejected; inspect: not an API key; doctor: something is wrong; status: not ready; keys import: refused rows
  2  not done, or not all of it; verify: could not tell
  3  revoke --wait: revoked, and not in force everywhere yet
  64 wrong arguments

Environment:
  BULLA_CONFIG          the configuration file, instead of --config
  BULLA_ADMIN_KEY_FILE  the file with the admin API key that --server needs
  BULLA_TABLE__FIELD    a value of the configuration, such as BULLA_DATA__LISTEN";

/// The command with grouped help.
pub(super) fn grouped(command: Command) -> Command {
    let about = |name: &str| {
        let about = command.find_subcommand(name).and_then(|command| command.get_about());
        about.map_or_else(|| "Show the help of a command".to_owned(), ToString::to_string)
    };
    let style = command.get_styles();
    let (header, literal) = (*style.get_header(), *style.get_literal());
    let mut commands = String::new();
    for (group, names) in GROUPS {
        let _infallible = writeln!(commands, "{header}{group}:{header:#}");
        for name in names {
            let _infallible = writeln!(commands, "  {literal}{name:11}{literal:#}  {}", about(name));
        }
        commands.push('\n');
    }
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{commands}{header}Options:{header:#}\n{{options}}{{after-help}}"
    );
    command.help_template(template).after_help(MORE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_is_in_one_group_and_takes_one_line() {
        let command = crate::cli::command();
        let grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        for subcommand in command.get_subcommands() {
            let name = subcommand.get_name();
            assert_eq!(grouped.iter().filter(|one| **one == name).count(), 1, "{name}");
            let about = subcommand.get_about().expect("its help").to_string();
            assert!(about.len() <= 84, "{name}: {about}");
        }
        assert_eq!(grouped.len(), command.get_subcommands().count() + 1, "and `help`");
    }
}
