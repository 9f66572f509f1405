//! `bulla helper`: programs between bulla and servers that do not ask over HTTP.

mod authorize;
mod fastcgi;
mod squid;

use clap::Subcommand;

use super::Outcome;

#[derive(Subcommand)]
pub(super) enum Helper {
    /// Answer squid, which runs this as a program for Basic or for an external ACL
    Squid(squid::Squid),
    /// Answer lighttpd, Apache and others as a FastCGI authorizer
    Fastcgi(fastcgi::Fastcgi),
}

impl Helper {
    pub(super) fn run(self) -> Outcome {
        match self {
            Helper::Squid(command) => command.run(),
            Helper::Fastcgi(command) => command.run(),
        }
    }
}
