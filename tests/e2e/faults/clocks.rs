//! Clocks that are minutes apart.

use serde_json::{Value, json};

use super::{Truth, World, until};
use crate::support::{
    clock::{self, off_by},
    on_hosts::{Node, Verdict},
    postgres::Postgres,
};

/// Five minutes are the most that the feed allows; a part of a second is lost on the way.
const OFFSETS: [&str; 2] = ["+5m", "-299"];

#[test]
fn edges_whose_clocks_are_five_minutes_off_hear_of_revocations_and_accept_good_keys() {
    let world = World::new("60s");
    let (here, ahead, behind) = (world.network.host(), world.network.host(), world.network.host());
    let node = world.node(&here);
    let edges: Vec<_> = [&ahead, &behind]
        .into_iter()
        .zip(OFFSETS)
        .map(|(host, offset)| {
            let clock = off_by(offset);
            world.edge(host, &[&here]).start_with(&clock.each_ref().map(|(name, value)| (*name, value.as_str())))
        })
        .collect();
    let mut truth = Truth::new(&node);
    for what in ["both edges know the first revocation", "both edges know the next one"] {
        until(what, || edges.iter().all(|edge| truth.is_known(|key| edge.verdict(key))));
        assert!(edges.iter().all(|edge| edge.verdict(&truth.good) == Verdict::Accepted));
        truth.revoke_at(&node);
    }
    until("both edges know the last one", || edges.iter().all(|edge| truth.is_known(|key| edge.verdict(key))));
}

/// Changes the state of a key at a node.
fn change(node: &Node<'_>, key: &Value, action: &str, body: &Value) {
    let path = format!("/v1/api-keys/{}/{action}", key["api_key_id"].as_str().expect("an id"));
    let answer = node.host.inside(|| node.server.admin.post(&path, body));
    assert!(answer.status < 300, "{action}: {}", answer.body);
}

#[test]
fn nodes_of_one_database_whose_clocks_are_five_minutes_apart_accept_and_refuse_the_same() {
    let postgres = Postgres::start(&["fsync=off"]);
    let (world, store) = World::on_postgres("60s", &postgres);
    let database = postgres.psql("postgres", "SELECT datname FROM pg_database WHERE datname LIKE 'test%'");
    let swept = || postgres.psql(&database, "SELECT sweep_clock FROM bulla.store").parse::<u64>().expect("a time");
    let (behind, here) = (world.network.host(), world.network.host());
    let slow = world.node_with(&behind, &off_by(OFFSETS[1]));
    let mut of_slow = Truth::new(&slow);
    let [suspended, resumed, rerolled] = [(); 3].map(|()| slow.issue());
    change(&slow, &suspended, "suspend", &json!({}));
    change(&slow, &resumed, "suspend", &json!({}));
    change(&slow, &rerolled, "reroll", &json!({"grace": "1h"}));

    // The other one sweeps the store as it starts, by its own clock: a time that is written down is no reason to wait.
    until("the slow node has swept", || swept() + 200 < clock::now());
    let far = 4_102_444_800;
    postgres.psql(&database, &format!("UPDATE bulla.store SET sweep_clock = {far}"));
    let fast = world.node(&here);
    until("the fast node has swept", || swept() < far);
    assert!(swept() > clock::now() - 200, "by its own clock");
    let mut of_fast = Truth::new(&fast);
    let nodes = [&slow, &fast];
    for _ in 0..3 {
        until("both nodes know everything", || {
            nodes.iter().all(|node| [&of_slow, &of_fast].iter().all(|truth| truth.is_known(|key| node.verdict(key))))
        });
        for node in nodes {
            for good in [&of_slow.good, &of_fast.good, &rerolled] {
                assert_eq!(node.verdict(good), Verdict::Accepted);
            }
        }
        until("both refuse what is suspended", || {
            nodes.iter().all(|node| [&suspended, &resumed].iter().all(|key| node.verdict(key) == Verdict::Refused))
        });
        of_slow.revoke_at(&slow);
        of_fast.revoke_at(&fast);
    }
    change(&fast, &resumed, "resume", &json!({}));
    until("both accept it again", || nodes.iter().all(|node| node.verdict(&resumed) == Verdict::Accepted));
    assert!(nodes.iter().all(|node| node.verdict(&suspended) == Verdict::Refused));
    drop(store);
}
