//! What happens to processes and clocks: they start, die and lose power, look at the log, sweep, and their clocks are
//! wrong.

use std::{fs, io::Write, path::PathBuf, time::Duration};

use bulla::{keyring::VersionState, revocation::Revocations};

use super::{
    acting::By,
    model::View,
    world::{Broken, World, master},
};
use crate::{clock, deployment::Deployment, server::housekeeping};

const YEAR: i64 = 365 * 86_400;
/// How long a right secret half is remembered, by a clock that nobody sets.
const REMEMBERED: i64 = 60;
const LAST: i64 = u32::MAX as i64;

impl World {
    /// Time goes on, and a process that died comes back sooner or later.
    pub(super) fn go_on(&mut self) {
        self.right += self.random.pick(&[0, 0, 1, 1, 2, 30]);
        let wrong = self.shown - self.right;
        // A clock that is far off is set right again soon.
        let time = if wrong.abs() > 60 && self.random.chance(25) { self.right } else { self.shown.max(self.right) };
        if time != self.shown {
            self.show(time);
        }
        self.let_run();
        if self.right - self.forgotten >= REMEMBERED {
            self.forgotten = self.right;
            let up = self.processes.iter().filter_map(|process| process.up.as_ref());
            up.for_each(|up| up.node.secrets.forget_proofs());
        }
    }

    /// The processes have run until now, by a clock that nobody sets.
    pub(super) fn let_run(&mut self) {
        for process in &mut self.processes {
            clock::simulated::set(&process.clock);
            if let Some(up) = &mut process.up {
                let ran = u64::try_from(self.right - up.since).unwrap_or(0);
                up.sweeper.run_for(Duration::from_secs(ran));
                up.since = self.right;
            }
        }
    }

    pub(super) fn set_clock(&mut self) -> Result<(), Broken> {
        let now = self.right;
        let times = [
            now,
            now,
            now + 300,
            now - 300,
            now + 3_600,
            now - 3_600,
            now + YEAR,
            now + YEAR,
            now - YEAR,
            1,
            86_400,
            LAST - 400,
            LAST,
            LAST + 400,
            LAST + 100 * YEAR,
        ];
        let time = self.random.pick(&times);
        self.show(time);
        self.tell(format!("the clocks show {time}, {} s off", time - now));
        Ok(())
    }

    pub(super) fn skew(&mut self) -> Result<(), Broken> {
        let (at, skew) = (self.random.below(2), self.random.pick(&[0, 0, 1, -1, 60, -60, 300, -300]));
        self.processes[at].skew = skew;
        self.show(self.shown);
        self.tell(format!("the clock of {} is {skew} s off the others", self.processes[at].name));
        Ok(())
    }

    /// What the housekeeping of a process does every half second.
    pub(super) fn look(&mut self) -> Result<(), Broken> {
        let at = self.random.below(2);
        self.look_at(at)
    }

    pub(super) fn look_at(&mut self, at: usize) -> Result<(), Broken> {
        let guest = self.disturb(By::Process(at), None);
        self.follow(at)?;
        self.clock_of(By::Process(at));
        let change = self.model.changes;
        let Some(up) = &self.processes[at].up else { return Ok(()) };
        let imported = up.node.follow_imported();
        let written = if self.random.chance(30) { housekeeping::write_uses(&up.node) } else { Ok(()) };
        self.take_in(&guest);
        self.tell(format!("{} looks at the log", self.processes[at].name));
        match imported.map_err(|error| error.to_string()).and_then(|()| written.map_err(|error| error.to_string())) {
            Ok(()) => self.processes[at].view.imported = change,
            Err(_) if self.failed_on_purpose(By::Process(at)) => {}
            Err(error) => return Err(format!("{} cannot follow the store: {error}", self.processes[at].name)),
        }
        Ok(())
    }

    /// The store is swept, or the list in memory.
    pub(super) fn sweep(&mut self) -> Result<(), Broken> {
        let (at, store) = (self.random.below(2), self.random.chance(60));
        self.sweep_one(at, store)
    }

    pub(super) fn sweep_one(&mut self, at: usize, store: bool) -> Result<(), Broken> {
        self.tell(format!("{} sweeps {}", self.processes[at].name, if store { "the store" } else { "its list" }));
        let guest = self.disturb(By::Process(at), None);
        self.clock_of(By::Process(at));
        let Some(up) = &mut self.processes[at].up else { return Ok(()) };
        let swept = if store {
            up.sweeper.sweep_store(&up.node)
        } else {
            // Where a key lies in the list is by chance, so all of it is swept.
            (0..Revocations::PARTS).for_each(|part| up.node.revocations.sweep_part(part, up.sweeper.sweep_by()));
            up.sweeper.sweep_part(&up.node)
        };
        self.take_in(&guest);
        match swept {
            Err(error) if !self.failed_on_purpose(By::Process(at)) => Err(format!("a sweep failed: {error}")),
            _ => Ok(()),
        }
    }

    /// Hours or days pass, with clocks that are right.
    pub(super) fn wait(&mut self) -> Result<(), Broken> {
        self.right += self.random.pick(&[3_600, 86_400, 3 * 86_400]);
        self.show(self.right);
        self.let_run();
        self.tell(format!("it is {} now", self.right));
        Ok(())
    }

    /// Work that was begun beside requests goes on, such as hashing anew.
    pub(super) fn drain(&mut self) -> Result<(), Broken> {
        let at = self.random.below(2);
        self.drain_one(at)
    }

    pub(super) fn drain_one(&mut self, at: usize) -> Result<(), Broken> {
        let guest = self.disturb(By::Process(at), None);
        if let Some(up) = &self.processes[at].up {
            let waiting = up.waiting();
            up.drain();
            (0..waiting).for_each(|_| self.saw("a secret half is hashed anew"));
            self.tell(format!("{} goes on with what was begun beside requests: {waiting}", self.processes[at].name));
        }
        self.take_in(&guest);
        Ok(())
    }

    /// One process dies and is started again, now or later.
    pub(super) fn restart(&mut self) -> Result<(), Broken> {
        let at = self.random.below(2);
        if self.processes[at].up.is_some() {
            self.tell(format!("{} dies", self.processes[at].name));
            self.processes[at].crash();
        }
        if self.random.chance(80) { self.start(at) } else { Ok(()) }
    }

    /// Starts a process. It has to start where everything that it needs is there.
    pub(super) fn start(&mut self, at: usize) -> Result<(), Broken> {
        let opening = (1..).zip(&self.model.versions).filter(|(_, state)| {
            matches!(state, VersionState::Staged | VersionState::Active | VersionState::Deactivated)
        });
        let needed = opening.map(|(version, _)| master(version));
        let needed: Vec<String> =
            needed.chain(["mac.key", "pepper-1.key", "pepper-2.key"].map(str::to_owned)).collect();
        let there = needed.iter().all(|name| !self.gone.contains(name));
        let guest = self.disturb(By::Process(at), None);
        let deployment = Deployment::open(&self.config()).map_err(|error| error.to_string())?;
        let change = self.model.changes;
        let started = self.processes[at].start(deployment, self.right);
        self.tell(format!("{} starts: {started:?}", self.processes[at].name));
        match started {
            Ok(()) => {
                self.saw("a process starts");
                let now = self.processes[at].now();
                let mut view =
                    View { imported: change, opens: self.keyring_seen(&View::default().opens), ..View::default() };
                self.model.read_log(&mut view, change, now);
                self.processes[at].view = view;
            }
            Err(_) if !there || self.failed_on_purpose(By::Process(at)) => self.processes[at].crash(),
            Err(error) => return Err(format!("{} does not start: {error}", self.processes[at].name)),
        }
        self.take_in(&guest);
        Ok(())
    }

    /// Everything loses its power. The files as they are now have what was acknowledged; something more was being
    /// written.
    pub(super) fn lose_power(&mut self) -> Result<(), Broken> {
        // Rarely: to open everything again takes as long as many other steps.
        if self.random.chance(60) {
            return Ok(());
        }
        let path = |name: &str| self.folder.path().join(name);
        let kept: Vec<(PathBuf, Vec<u8>)> = ["bulla.db", "bulla.db-wal"]
            .into_iter()
            .filter_map(|name| fs::read(path(name)).ok().map(|content| (path(name), content)))
            .collect();
        self.processes.iter_mut().for_each(super::process::Process::crash);
        self.command.close();
        for (file, content) in kept {
            fs::write(&file, content).expect("should write");
        }
        let torn = (0..self.random.below(600)).map(|_| self.random.below(256) as u8).collect::<Vec<_>>();
        if let Ok(mut log) = fs::OpenOptions::new().append(true).open(path("bulla.db-wal")) {
            log.write_all(&torn).expect("should write");
        }
        self.tell("everything loses its power");
        clock::simulated::set(&self.processes[0].clock);
        self.command.reopen()?;
        (0..2).try_for_each(|at| self.start(at))
    }
}
