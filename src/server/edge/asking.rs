//! One thread for each source: it asks, waits, and hands on what comes.

use std::{
    sync::{Arc, Weak, mpsc},
    thread,
};

use arc_swap::ArcSwap;
use bulla::feed::OpenedSource;
use rand::{TryRng, rngs::SysRng};

use super::follower::Follower;

/// The sources, of which each may be opened anew.
pub(super) type Sources = Arc<[ArcSwap<OpenedSource>]>;

/// Asks until the sender of `stop` is gone. The process does not wait for a running question.
pub(super) fn start(follower: &Arc<Follower>, sources: &Sources) -> std::io::Result<Vec<mpsc::Sender<()>>> {
    let start_one = |number: usize| {
        let (stop, stopped) = mpsc::channel();
        let (follower, sources) = (Arc::downgrade(follower), Arc::clone(sources));
        let ask = move || ask(&follower, &sources, number, &stopped);
        thread::Builder::new().name(format!("feed {number}")).spawn(ask).map(|_| stop)
    };
    (0..sources.len()).map(start_one).collect()
}

fn ask(follower: &Weak<Follower>, sources: &Sources, number: usize, stopped: &mpsc::Receiver<()>) {
    loop {
        let Some(question) = follower.upgrade().map(|follower| follower.question(number)) else { return };
        let opened = sources[number].load_full();
        let answer = opened.source.ask(&question);
        let Some(pause) = follower.upgrade().map(|follower| follower.take(number, answer, drawn())) else { return };
        if follower.upgrade().is_some_and(|follower| follower.wants_snapshot(number)) {
            let Some(trusted) = follower.upgrade().map(|follower| follower.trusted) else { return };
            let snapshot = opened.source.snapshot((trusted.0, &trusted.1));
            let Some(()) = follower.upgrade().map(|follower| follower.load(number, snapshot)) else { return };
        }
        match stopped.recv_timeout(pause) {
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// A number that each source of each edge draws for itself.
fn drawn() -> u32 {
    SysRng.try_next_u32().unwrap_or(u32::MAX / 2)
}

#[cfg(test)]
mod tests {
    use bulla::feed::backoff;

    use super::*;

    #[test]
    fn a_thousand_edges_do_not_come_back_in_one_second() {
        let mut seconds = [0; 4];
        for _ in 0..1_000 {
            seconds[usize::try_from(backoff::after_failures(1, drawn()).as_secs()).expect("a number")] += 1;
        }
        // Each is 250 with a deviation of 14.
        assert!(seconds.iter().all(|come| (100..400).contains(come)), "{seconds:?}");
    }
}
