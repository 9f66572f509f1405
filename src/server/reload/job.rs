//! Work on a thread of its own, which may hang.

use std::thread;

use tokio::{sync::oneshot, time::Instant};

use super::Trigger;
use crate::hardening::forget_registers;

/// Work on a thread of its own. The process does not wait for it when it stops.
pub(super) struct Job<T> {
    trigger: Trigger,
    pub(super) begun: Instant,
    done: oneshot::Receiver<T>,
}

impl<T: Send + 'static> Job<T> {
    pub(super) fn start(trigger: Trigger, work: impl FnOnce() -> T + Send + 'static) -> Self {
        let (tell, done) = oneshot::channel();
        // Without a thread the sender is dropped, which counts as a failure.
        let _started = thread::Builder::new().name("keyring".to_owned()).spawn(move || {
            let result = work();
            forget_registers();
            drop(tell.send(result));
        });
        Job { trigger, begun: Instant::now(), done }
    }
}

/// Waits for the end of a job, where there is one.
pub(super) async fn end_of<T>(job: &mut Option<Job<T>>) -> (Trigger, Option<T>) {
    let Some(running) = job else { return std::future::pending().await };
    let ended = (&mut running.done).await.ok();
    let trigger = running.trigger;
    *job = None;
    (trigger, ended)
}
