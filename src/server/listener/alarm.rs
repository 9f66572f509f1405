//! The timeouts of one connection, behind one timer of the runtime. A deadline that moves on with every request costs a
//! comparison: the timer stays set for an earlier one, wakes the connection then, and is set anew.

use std::{
    pin::Pin,
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use hyper::rt::Timer;
use tokio::time::Sleep;

use crate::clock;

/// How much later the timer rings than a deadline: the coarse clock is behind by less.
const LATE: Duration = Duration::from_millis(20);

/// A moment on both clocks, by which hyper's times are read.
static BEGUN: LazyLock<(Instant, u64)> = LazyLock::new(|| (Instant::now(), clock::coarse_millis()));

/// How often a connection is looked at that is to come to rest.
const LOOK_INTERVAL: u64 = 100;

/// The timer. All who wait for it are parts of one task.
#[derive(Default)]
pub(super) struct Alarm {
    set: Mutex<Set>,
    /// Whether it also rings every [`LOOK_INTERVAL`].
    looks: AtomicBool,
    rang: AtomicBool,
}

#[derive(Default)]
struct Set {
    /// The deadline that it is set for, by the coarse clock.
    at: u64,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Ready when `deadline` has passed, in milliseconds of the coarse clock. Otherwise the task is woken then, or
    /// before.
    pub(super) fn poll(&self, deadline: u64, cx: &mut Context<'_>) -> Poll<()> {
        let now = clock::coarse_millis();
        if now >= deadline {
            return Poll::Ready(());
        }
        let mut set = self.set();
        if now < set.at && set.at <= deadline {
            return Poll::Pending;
        }
        if set.at > 0 && now >= set.at {
            self.rang.store(true, Ordering::Relaxed);
        }
        set.at =
            if self.looks.load(Ordering::Relaxed) { deadline.min(now.saturating_add(LOOK_INTERVAL)) } else { deadline };
        let rings = tokio::time::Instant::now() + Duration::from_millis(set.at - now) + LATE;
        let timer = set.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(rings)));
        timer.as_mut().reset(rings);
        if timer.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Whether the task is also woken ten times a second, to look whether the connection is at rest.
    pub(super) fn look(&self, looks: bool) {
        self.looks.store(looks, Ordering::Relaxed);
        self.set().at = 0;
    }

    /// Returns whether it rang since it was asked last.
    pub(super) fn has_rung(&self) -> bool {
        self.rang.load(Ordering::Relaxed) && self.rang.swap(false, Ordering::Relaxed)
    }

    fn set(&self) -> MutexGuard<'_, Set> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Timeouts of hyper's, behind the connection's timer.
pub(super) struct HyperTimer(pub(super) Arc<Alarm>);

struct Until {
    deadline: u64,
    alarm: Arc<Alarm>,
}

impl HyperTimer {
    fn until(&self, deadline: u64) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(Until { deadline, alarm: Arc::clone(&self.0) })
    }
}

impl Timer for HyperTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        self.until(clock::coarse_millis().saturating_add(millis(duration)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        self.until(by_coarse_clock(deadline))
    }

    fn now(&self) -> Instant {
        let (instant, coarse) = *BEGUN;
        instant + Duration::from_millis(clock::coarse_millis().saturating_sub(coarse))
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn hyper::rt::Sleep>>, deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<Until>() {
            Some(until) => until.get_mut().deadline = by_coarse_clock(deadline),
            None => *sleep = self.sleep_until(deadline),
        }
    }
}

impl hyper::rt::Sleep for Until {}

impl Future for Until {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.alarm.poll(self.deadline, cx)
    }
}

fn by_coarse_clock(time: Instant) -> u64 {
    let (instant, coarse) = *BEGUN;
    coarse.saturating_add(millis(time.saturating_duration_since(instant)))
}

/// A duration in milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000).saturating_add(duration.subsec_millis().into())
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn one_timer_keeps_deadlines_that_move_and_come_in_any_order() {
        let (alarm, begun) = (Arc::new(Alarm::default()), Instant::now());
        let now = clock::coarse_millis();
        let late = poll_fn(|cx| alarm.poll(now + 120, cx));
        let mut moving = now + 20;
        let moved = poll_fn(|cx| {
            while alarm.poll(moving, cx).is_ready() {
                if moving >= now + 60 {
                    return Poll::Ready(begun.elapsed());
                }
                moving += 20;
            }
            Poll::Pending
        });
        let timer = HyperTimer(Arc::clone(&alarm));
        let mut early = timer.sleep(Duration::from_secs(3_600));
        let soon = timer.now() + Duration::from_millis(30);
        timer.reset(&mut early, soon);
        let early = async {
            early.await;
            begun.elapsed()
        };
        let late = async {
            late.await;
            begun.elapsed()
        };
        let ended = tokio::time::timeout(Duration::from_secs(90), async { tokio::join!(late, moved, early) }).await;
        let (late, moved, early) = ended.expect("none is forgotten");
        // Each is later than the clock is coarse.
        let at_least =
            |time: Duration, most: u64| assert!(time + LATE >= Duration::from_millis(most), "{time:?} {most}");
        at_least(late, 120);
        at_least(moved, 60);
        at_least(early, 30);
    }
}
