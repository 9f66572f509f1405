#!/usr/bin/env bash
# The Rust crate biscuit-auth 6.0.0: Authorizer::authorize refuses a valid token whose check took more than 1 ms, and that is the time on
# the clock, not that of the processor. A thread that has to wait for a processor in between refuses the token with a
# timeout, although one fact and one policy take a tenth of that. With another limit (authorize_with_limits) no token is refused.
#
# Seen, with four threads for each processor: with the default limit: refused by RunLimit(Timeout); with ten seconds: none refused
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cargo init --quiet --name limits --vcs none
cargo add --quiet biscuit-auth@=6.0.0
cat >src/main.rs <<'RS'
use std::{collections::BTreeSet, sync::Mutex, thread, time::{Duration, Instant}};

use biscuit_auth::{AuthorizerLimits, Biscuit, KeyPair, builder::AuthorizerBuilder, builder::BiscuitBuilder};

/// The errors of valid tokens, with four threads for each processor, until there is one or the time is over.
fn errors(limits: &AuthorizerLimits, time: Duration) -> BTreeSet<String> {
    let root = KeyPair::new();
    let token = BiscuitBuilder::new().fact("app(1)").unwrap().build(&root).unwrap().to_base64().unwrap();
    let (public, seen, end) = (root.public(), Mutex::new(BTreeSet::new()), Instant::now() + time);
    thread::scope(|scope| {
        for _ in 0..4 * thread::available_parallelism().unwrap().get() {
            scope.spawn(|| {
                while Instant::now() < end && seen.lock().unwrap().is_empty() {
                    let token = Biscuit::from_base64(&token, public).unwrap();
                    let policies = AuthorizerBuilder::new().policy("allow if app(1)").unwrap();
                    if let Err(error) = policies.build(&token).unwrap().authorize_with_limits(limits.clone()) {
                        seen.lock().unwrap().insert(format!("{error:?}"));
                    }
                }
            });
        }
    });
    seen.into_inner().unwrap()
}

fn main() {
    let own = AuthorizerLimits::default();
    println!("the default limit is {:?}: {:?}", own.max_time, errors(&own, Duration::from_secs(120)));
    let longer = AuthorizerLimits { max_time: Duration::from_secs(10), ..own };
    println!("with ten seconds: {:?}", errors(&longer, Duration::from_secs(10)));
}
RS
seen=$(CARGO_TARGET_DIR=$folder/target cargo run --quiet --release)
echo "$seen"
[[ $seen == $'the default limit is 1ms: {"RunLimit(Timeout)"}\nwith ten seconds: {}' ]]
