//! A simulated process: the service's own state and the threads it would have, with its own clock and its own faults.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use bulla::VerifyError;
use tokio::runtime::{Builder, Handle, Runtime};

use super::{
    faults::{Faults, FaultyStore},
    model::View,
};
use crate::{
    clock,
    deployment::{Deployment, DeploymentError},
    server::{Node, sweeping::Sweeper},
    verification::{Accepted, Wanted},
};

pub(super) struct Process {
    pub(super) name: &'static str,
    pub(super) clock: Arc<AtomicI64>,
    /// How far its clock is off the others'.
    pub(super) skew: i64,
    pub(super) faults: Arc<Faults>,
    pub(super) view: View,
    pub(super) up: Option<Up>,
}

/// A process that runs.
pub(super) struct Up {
    /// Before the state, so that what waits in it is gone when that goes.
    runtime: Runtime,
    pub(super) node: Node,
    pub(super) sweeper: Sweeper,
    /// The right time until which it has run.
    pub(super) since: i64,
}

impl Process {
    pub(super) fn new(name: &'static str) -> Self {
        let (clock, faults) = (Arc::new(AtomicI64::new(0)), Arc::new(Faults::default()));
        Process { name, clock, skew: 0, faults, view: View::default(), up: None }
    }

    pub(super) fn now(&self) -> i64 {
        self.clock.load(Ordering::SeqCst)
    }

    /// Starts the service as `bulla serve` does. Everything that was in memory before is gone.
    pub(super) fn start(&mut self, deployment: Deployment, right: i64) -> Result<(), DeploymentError> {
        clock::simulated::set(&self.clock);
        let store = FaultyStore { real: deployment.store()?, faults: Arc::clone(&self.faults) };
        let node = Node::load_with(deployment, Arc::new(store), false)?;
        let sweeper = Sweeper::new(node.store.sweep_clock().unwrap_or(0));
        let clock = Arc::clone(&self.clock);
        // One thread that blocks: so what happens on it has one order.
        let runtime = Builder::new_current_thread()
            .max_blocking_threads(1)
            .on_thread_start(move || clock::simulated::set(&clock))
            .build()
            .expect("should be a runtime");
        self.up = Some(Up { runtime, node, sweeper, since: right });
        Ok(())
    }

    /// Ends it at once; nothing is written down.
    pub(super) fn crash(&mut self) {
        self.up = None;
        self.faults = Arc::new(Faults::default());
        self.view = View::default();
    }
}

impl Up {
    /// Judges a presented text as the data plane does. Hashing anew, where that is called for, begins and does not go
    /// on.
    pub(super) fn judge(&self, text: &str, wanted: &Wanted) -> Result<Accepted, VerifyError> {
        self.drain();
        let snapshot = arc_swap::Guard::into_inner(self.node.snapshot());
        self.runtime.block_on(self.node.verification.verify(&snapshot, text, wanted))
    }

    /// Lets what was begun beside requests come to its end.
    pub(super) fn drain(&self) {
        if self.waiting() > 0 {
            self.runtime.block_on(async {
                while Handle::current().metrics().num_alive_tasks() > 0 {
                    tokio::task::yield_now().await;
                }
            });
        }
    }

    /// How much was begun beside requests and waits to go on.
    pub(super) fn waiting(&self) -> usize {
        self.runtime.metrics().num_alive_tasks()
    }
}
