//! A peer that goes away without a word, on both sides of the feed.

use std::{
    process::Command,
    time::{Duration, UNIX_EPOCH},
};

use bulla::{
    SharedVerifier, Verifier,
    feed::{Follower, FollowerHandle, WhenStale},
    keyring::{Keyring, KeyringDocument},
    source::Sources,
};

use super::{World, until};
use crate::support::{
    netns::Host,
    on_hosts::{Node, PORT, Verdict, trust},
    process::Process,
    programs::find,
};

/// More than the twenty seconds behind which a peer is gone, with a comment of a stream that was just sent, and less
/// than any other time limit takes.
const NOTICED: Duration = Duration::from_secs(50);

#[test]
fn a_node_closes_the_connections_of_followers_that_are_gone() {
    let world = World::new("60s");
    let (here, away) = (world.network.host(), world.network.host());
    let node = world.node(&here);
    let authorization = format!("authorization: Bearer {}", world.deployment.issue_text("bulla", &["--scope", "feed"]));
    let stream = ["-H".to_owned(), "accept: text/event-stream".to_owned(), format!("{}?after=0", feed(&node))];
    let wait = ["-H".to_owned(), "accept: */*".to_owned(), format!("{}?after=0&wait=25s", feed(&node))];
    let _followers: Vec<Process> = [stream, wait]
        .iter()
        .map(|asked| {
            let mut curl = Command::new(find("curl"));
            curl.args(["--silent", "--no-buffer", "-H", &authorization, "--cacert"])
                .arg(world.authority.file())
                .args(asked);
            let curl = away.on(&curl);
            Process::start(
                curl.get_program().as_ref(),
                |command| _ = command.args(curl.get_args()),
                "/dev/null".as_ref(),
            )
        })
        .collect();
    let followers = || here.connections().iter().filter(|(own, _)| *own == PORT).count();
    until("both followers are there", || followers() == 2);
    world.network.divide(&[&away]);
    let took = until("the node has closed both connections", || followers() == 0);
    assert!(took < NOTICED, "{took:?}");
}

/// Its node answers after 25 s at the latest, and the follower gives it 30 s more than that.
#[test]
fn a_follower_notices_that_its_node_is_gone_before_the_answer_is_overdue() {
    let world = World::new("60s");
    let (here, away) = (world.network.host(), world.network.host());
    let node = world.node(&here);
    let key = node.issue();
    let follower = follow(&world, &away, &node);
    until("it follows", || follower.status().complete);
    // The next question, which waits, is on its way or there.
    until("it waits", || away.connections().iter().any(|(_, other)| *other == PORT));
    here.cut();
    let took = until("it knows that the node is gone", || follower.status().failures > 0);
    assert!(took < NOTICED, "{took:?}: {:?}", follower.status());
    assert_eq!(node.verdict(&key), Verdict::Accepted);
    node.revoke(&key);
    assert_eq!(node.verdict(&key), Verdict::Refused);
    here.heal();
    until("it knows what was revoked meanwhile", || {
        let status = follower.status();
        status.revocations == 1 && status.failures == 0
    });
}

fn feed(node: &Node<'_>) -> String {
    format!("{}/v1/revocations", node.origin())
}

fn follow(world: &World, host: &Host, node: &Node<'_>) -> FollowerHandle {
    let (keyring_id, key) = trust(&world.deployment);
    let keyring = Keyring::load(&KeyringDocument::new(keyring_id), &Sources::new("."), &[]).expect("an empty keyring");
    let verifier = SharedVerifier::new(Verifier::new(&keyring));
    let api_key = world.deployment.issue_text("bulla", &["--scope", "feed"]).parse().expect("an API key");
    let follower = Follower::new(&feed(node), &api_key, keyring_id, key).expect("a follower");
    let follower = follower.trusting_roots(world.authority.pem().as_bytes()).expect("roots");
    let clock = || UNIX_EPOCH.elapsed().expect("the clock").as_secs();
    // Its threads have the network of the one that starts them.
    host.inside(|| follower.start(&verifier, WhenStale::GoOn, clock)).expect("it starts")
}
