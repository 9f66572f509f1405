use std::sync::atomic::AtomicI64;

use super::*;
use crate::{cli::throw_away, deployment::Deployment, server::sweeping::Sweeper};

fn row(name: &str, owner: &str, seq: u64) -> FollowerRow {
    FollowerRow { owner: owner.to_owned(), seq, ..FollowerRow::edge(name, clock::now()) }
}

#[test]
fn reports_are_written_together_and_what_is_no_news_is_not_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let deployment = Deployment::open(&throw_away(folder.path()).expect("made")).expect("opened");
    let app = Node::load(deployment, false).expect("loaded");
    let note = |rows: &[FollowerRow]| app.fleet.note(rows.to_vec(), clock::now());
    let places = || {
        let rows = app.store.followers("", 10, Timestamp::MIN).expect("read");
        rows.into_iter().map(|row| (row.name, row.seq)).collect::<Vec<_>>()
    };
    let named = |name: &str, seq| (name.to_owned(), seq);
    for seq in 1..=3 {
        note(&[row("a", "one", seq), row("b", "one", seq)]).expect("noted");
    }
    assert_eq!(places(), []);
    assert!(app.fleet.flush(&app).expect("written"));
    assert_eq!(places(), [named("a", 3), named("b", 3)], "the last report of each");
    assert!(!app.fleet.flush(&app).expect("nothing"), "there is nothing to write");
    note(&[row("a", "one", 3), row("b", "one", 4)]).expect("noted");
    assert_eq!(app.fleet.state().waiting.len(), 1, "that it is where it was a moment ago is no news");
    assert!(app.fleet.flush(&app).expect("written"));
    assert_eq!(places(), [named("a", 3), named("b", 4)]);

    assert!(matches!(note(&[row("c", "two", 1), row("a", "two", 9)]), Err(Refused::Taken(name)) if name == "a"));
    assert!(app.fleet.state().waiting.is_empty(), "all of a request, or nothing");
    assert!(app.fleet.node.get().is_none(), "no node serves here");
}

#[test]
fn a_clock_that_is_ahead_removes_nobody_from_the_fleet() {
    let folder = tempfile::tempdir().expect("a folder");
    let deployment = Deployment::open(&throw_away(folder.path()).expect("made")).expect("opened");
    let app = Node::load(deployment, false).expect("loaded");
    app.fleet.note(vec![row("a", "one", 1)], clock::now()).expect("noted");
    assert!(app.fleet.flush(&app).expect("written"));
    let mut sweeper = Sweeper::new(clock::now_seconds());
    let ahead = Arc::new(AtomicI64::new(clock::now().as_second() + 7 * 86_400));
    let registered = || app.store.followers("", 10, Timestamp::MIN).expect("read").len();
    // The clock is that of one thread.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            clock::simulated::set(&ahead);
            sweeper.drop_silent(&app).expect("looked");
            assert_eq!(registered(), 1, "it reported a moment ago");
            sweeper.run_for(Duration::from_secs(4 * 86_400));
            sweeper.drop_silent(&app).expect("looked");
            assert_eq!(registered(), 0, "a clock that stays so is right");
        });
    });
}

#[test]
fn one_app_leaves_room_for_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let deployment = Deployment::open(&throw_away(folder.path()).expect("made")).expect("opened");
    let app = Node::load(deployment, false).expect("loaded");
    let many: Vec<_> = (1..MAX_OF_ONE_APP).map(|at| row(&format!("e{at}"), "one", 1)).collect();
    app.store.note_followers(&many, Timestamp::MIN).expect("noted");
    let note = |name: &str, owner: &str| app.fleet.note(vec![row(name, owner, 1)], clock::now());
    note("last", "one").expect("there is room");
    assert!(app.fleet.flush(&app).expect("written"));
    assert!(matches!(note("more", "one"), Err(Refused::TooMany)));
    note("e1", "one").expect("it is registered");
    note("other", "two").expect("another app's");
}

#[test]
fn a_node_is_called_after_its_host_and_port() {
    let name = default_name(&Listen::loopback(8181));
    assert!(name.ends_with(":8181") && crate::api::followers::check_name(&name).is_ok(), "{name}");
    let socket = default_name(&Listen::Unix("/run/bulla/data.sock".into()));
    assert!(socket.ends_with("unix:-run-bulla-data.sock") && crate::api::followers::check_name(&socket).is_ok());
}
