//! Programs that run now, so that a process that ends can end them with all that they started.

use std::{
    io,
    process::{Child, Command},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};

/// How long `end` waits for programs that other threads are starting. Each of them takes a few milliseconds, unless the
/// file system that the program lies on hangs.
const STARTING: Duration = Duration::from_millis(100);

static OF_THIS_PROCESS: Programs = Programs::new();

/// Ends every program that a key source runs, with all that it started, and lets no other one start. For a process that
/// is about to end: what asks a program for a key gets an error from here on.
pub fn end_programs() {
    OF_THIS_PROCESS.end();
}

/// Starts a program in a group of its own.
///
/// # Errors
///
/// It could not be started, or this process is about to end.
pub(super) fn start(command: &mut Command) -> io::Result<(Child, Group)> {
    OF_THIS_PROCESS.start(|| {
        let child = command.spawn()?;
        let group = Pid::from_child(&child);
        Ok((child, group))
    })
}

struct Programs {
    state: Mutex<State>,
    started: Condvar,
}

struct State {
    groups: Vec<Pid>,
    /// Programs that a thread is starting: nobody knows their groups yet.
    starting: usize,
    ending: bool,
}

/// The group of one program, on the list until it is dropped.
pub(super) struct Group {
    pub(super) id: Pid,
    of: &'static Programs,
}

impl Programs {
    const fn new() -> Self {
        let state = State { groups: Vec::new(), starting: 0, ending: false };
        Programs { state: Mutex::new(state), started: Condvar::new() }
    }

    fn start<C>(&'static self, spawn: impl FnOnce() -> io::Result<(C, Pid)>) -> io::Result<(C, Group)> {
        {
            let mut state = self.state();
            if state.ending {
                return Err(ending());
            }
            state.starting += 1;
        }
        // Without the lock: `end` must not wait for a file system that hangs.
        let spawned = spawn();
        let mut state = self.state();
        state.starting -= 1;
        self.started.notify_all();
        let (child, id) = spawned?;
        state.groups.push(id);
        if state.ending {
            kill(id);
        }
        Ok((child, Group { id, of: self }))
    }

    fn end(&self) {
        let mut state = self.state();
        state.ending = true;
        state.groups.iter().copied().for_each(kill);
        // A thread that is starting one ends it itself, for which this process has to live.
        let waited = self.started.wait_timeout_while(state, STARTING, |state| state.starting > 0);
        drop(waited);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Group {
    /// Ends the program with all that it started.
    pub(super) fn end(&self) {
        kill(self.id);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.of.state().groups.retain(|group| *group != self.id);
    }
}

fn kill(group: Pid) {
    // Everything in it may have ended by itself.
    let _ = kill_process_group(group, Signal::KILL);
}

fn ending() -> io::Error {
    io::Error::other("this process is about to end and starts no more programs")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{
        os::unix::process::{CommandExt, ExitStatusExt},
        sync::mpsc,
        thread,
    };

    use super::*;

    fn programs() -> &'static Programs {
        Box::leak(Box::new(Programs::new()))
    }

    fn sleeping() -> io::Result<(Child, Pid)> {
        let child = Command::new("sleep").arg("600").process_group(0).spawn()?;
        let group = Pid::from_child(&child);
        Ok((child, group))
    }

    #[test]
    fn what_runs_is_ended_and_nothing_starts_afterwards() {
        let programs = programs();
        let (mut child, _group) = programs.start(sleeping).unwrap();
        programs.end();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        let refused = programs.start(|| -> io::Result<((), Pid)> { panic!("started") }).err().unwrap();
        assert_eq!(refused.to_string(), ending().to_string());
    }

    #[test]
    fn a_program_that_starts_meanwhile_is_ended_before_end_returns() {
        let programs = programs();
        let (is_starting, starting) = mpsc::channel();
        let (may_start, started) = mpsc::channel::<()>();
        let starter = thread::spawn(move || {
            let spawn = || {
                is_starting.send(()).unwrap();
                started.recv().unwrap();
                sleeping()
            };
            programs.start(spawn).unwrap().0.wait().unwrap()
        });
        starting.recv().unwrap();
        let ender = thread::spawn(|| programs.end());
        while !programs.state().ending {
            thread::yield_now();
        }
        may_start.send(()).unwrap();
        ender.join().unwrap();
        assert_eq!(starter.join().unwrap().signal(), Some(9));
    }

    #[test]
    fn a_start_that_hangs_does_not_keep_a_process_from_ending() {
        let programs = programs();
        let (is_starting, starting) = mpsc::channel();
        thread::spawn(move || {
            programs.start(|| -> io::Result<((), Pid)> {
                is_starting.send(()).unwrap();
                loop {
                    thread::park();
                }
            })
        });
        starting.recv().unwrap();
        programs.end();
    }
}
