//! Two threads beside one: windows of the one and of the other alternate. It needs two processors with nothing else to
//! do.

use std::{
    hint::black_box,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use bulla::{Expectations, Verifier};

use crate::{
    keyring::{NOW, realm},
    rounds::median_with_interval,
};

const WINDOWS: usize = 31;
const WINDOW: Duration = Duration::from_millis(100);

pub(crate) fn run(verifier: &Verifier, texts: &[String]) {
    let mut ratios: Vec<f64> = (0..WINDOWS).map(|_| rate(verifier, texts, 2) / rate(verifier, texts, 1)).collect();
    let (low, middle, high) = median_with_interval(&mut ratios);
    println!("two threads verify {middle:.2} ({low:.2} … {high:.2}) times as many keys as one");
}

/// Keys a second, of so many threads together.
fn rate(verifier: &Verifier, texts: &[String], threads: usize) -> f64 {
    let barrier = Barrier::new(threads);
    let work = || {
        let realms = [realm()];
        let expected = Expectations::realms(&realms);
        barrier.wait();
        let (start, mut verified) = (Instant::now(), 0u32);
        while start.elapsed() < WINDOW {
            for text in texts {
                verified += u32::from(verifier.verify(black_box(text), &expected, NOW).is_ok());
            }
        }
        f64::from(verified) / start.elapsed().as_secs_f64()
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().map(|thread| thread.join().expect("a rate")).sum()
    })
}
