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

use super::{
    node::{Node, trust},
    until,
};
use crate::support::{
    authority::Authority,
    deployment::Deployment,
    netns::{Host, Network},
    process::Process,
    programs::find,
};

/// More than the twenty seconds behind which a peer is gone, with a comment of a stream that was just sent, and less than any other
/// time limit takes.
const NOTICED: Duration = Duration::from_secs(40);

#[test]
fn a_node_closes_the_connections_of_followers_that_are_gone() {
    let (network, deployment, authority) = (Network::new(), Deployment::new(), Authority::new("servers"));
    let (here, away) = (network.host(), network.host());
    let node = Node::start(&here, &deployment, &authority, &[]);
    let authorization = format!("authorization: Bearer {}", deployment.issue_text("bulla", &["--scope", "feed"]));
    let stream = ["-H".to_owned(), "accept: text/event-stream".to_owned(), format!("{}?after=0", node.feed())];
    let wait = ["-H".to_owned(), "accept: */*".to_owned(), format!("{}?after=0&wait=25s", node.feed())];
    let _followers: Vec<Process> = [stream, wait]
        .iter()
        .map(|asked| {
            let mut curl = Command::new(find("curl"));
            curl.args(["--silent", "--no-buffer", "-H", &authorization, "--cacert"]).arg(authority.file()).args(asked);
            let curl = away.on(&curl);
            Process::start(
                curl.get_program().as_ref(),
                |command| _ = command.args(curl.get_args()),
                "/dev/null".as_ref(),
            )
        })
        .collect();
    let followers = || here.connections().iter().filter(|(own, _)| *own == node.port()).count();
    until("both followers are there", || followers() == 2);
    network.divide(&[&away]);
    let took = until("the node has closed both connections", || followers() == 0);
    assert!(took < NOTICED, "{took:?}");
}

/// Its node answers after 25 s at the latest, and the follower gives it 30 s more than that.
#[test]
fn a_follower_notices_that_its_node_is_gone_before_the_answer_is_overdue() {
    let (network, deployment, authority) = (Network::new(), Deployment::new(), Authority::new("servers"));
    let (here, away) = (network.host(), network.host());
    let node = Node::start(&here, &deployment, &authority, &[]);
    let key = node.issue();
    let follower = follow(&away, &node, &deployment, &authority);
    until("it follows", || follower.status().complete);
    // The next question, which waits, is on its way or there.
    until("it waits", || away.connections().iter().any(|(_, other)| *other == node.port()));
    here.cut();
    let took = until("it knows that the node is gone", || follower.status().failures > 0);
    assert!(took < NOTICED, "{took:?}: {:?}", follower.status());
    assert!(node.accepts(&key));
    node.revoke(&key);
    assert!(!node.accepts(&key));
    here.mend();
    until("it knows what was revoked meanwhile", || follower.status().revocations == 1);
    assert_eq!(follower.status().failures, 0);
}

fn follow(host: &Host, node: &Node<'_>, deployment: &Deployment, authority: &Authority) -> FollowerHandle {
    let (keyring_id, key) = trust(deployment);
    let keyring = Keyring::load(&KeyringDocument::new(keyring_id), &Sources::new("."), &[]).expect("an empty keyring");
    let verifier = SharedVerifier::new(Verifier::new(&keyring));
    let api_key = deployment.issue_text("bulla", &["--scope", "feed"]).parse().expect("an API key");
    let follower = Follower::new(&node.feed(), &api_key, keyring_id, key).expect("a follower");
    let follower = follower.trusting_roots(authority.pem().as_bytes()).expect("roots");
    let clock = || UNIX_EPOCH.elapsed().expect("the clock").as_secs();
    // Its threads have the network of the one that starts them.
    host.inside(|| follower.start(&verifier, WhenStale::GoOn, clock)).expect("it starts")
}
