//! Runs worlds, and when one breaks says how to see that again.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use super::{
    random::Random,
    world::{Broken, EventCounts, World},
};

/// Steps of one world.
const STEPS: u64 = 500;
/// Worlds of a usual run: 100,000 steps.
const WORLDS: u64 = 200;
/// What is seen in a usual run, reasons for which a key is refused among it.
const HAPPENS: [&str; 27] = [
    "a key is accepted",
    "its key version",
    "its time of issue",
    "its expiry",
    "its revocation",
    "its suspension",
    "a rule",
    "the end of its secret half",
    "nothing can be told of a key",
    "a key is issued",
    "a key is rerolled",
    "a secret half is rerolled",
    "a secret half is hashed anew",
    "a key is revoked",
    "keys are revoked",
    "a key is suspended",
    "a key is resumed",
    "a rule is made",
    "a key is imported",
    "an imported key is replaced",
    "an imported key is corrected",
    "an ended imported key is corrected",
    "stage",
    "activate",
    "compromise",
    "destroy",
    "a process starts",
];
/// Between two looks at everything.
const CHECK_ALL: u64 = 100;
/// Runs that making a failure smaller may take.
const SMALLER: usize = 400;

type Step = fn(&mut World) -> Result<(), Broken>;

/// What may happen, and how often.
const KINDS: [(usize, Step); 20] = [
    (14, World::issue),
    (9, World::revoke),
    (2, World::revoke_several),
    (5, World::suspend),
    (5, World::resume),
    (5, World::reroll),
    (9, World::reroll_secret),
    (1, World::rule),
    (4, World::import),
    (4, World::import_again),
    (2, World::replace),
    (1, World::retire),
    (5, World::rotate),
    (6, World::reload),
    (3, World::sources),
    (2, World::pepper),
    (10, World::present),
    (12, World::look),
    (8, World::drain),
    (4, World::sweep),
];

/// What happens to processes and clocks.
const OTHERS: [(usize, Step); 5] =
    [(2, World::restart), (1, World::lose_power), (6, World::set_clock), (2, World::skew), (2, World::wait)];

/// A world that broke.
struct Failure {
    step: u64,
    what: Broken,
    story: Vec<String>,
}

/// Runs the world of this seed for so many steps, without those to be left out.
fn run(seed: u64, steps: u64, without: &BTreeSet<u64>) -> Result<EventCounts, Failure> {
    let mut world = World::new();
    let mut at = 0;
    let ran = catch_unwind(AssertUnwindSafe(|| {
        (0..2).try_for_each(|process| world.start(process))?;
        for step in (1..=steps).filter(|step| !without.contains(step)) {
            at = step;
            world.random = Random::of(seed, step);
            world.tell(format!("-- step {step}, the right time is {}, the clocks show {}", world.right, world.shown));
            world.step(step)?;
        }
        world.check_all()
    }));
    let what = match ran {
        Ok(Ok(())) => return Ok(world.seen),
        Ok(Err(what)) => what,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            format!("a panic: {}", text.or(panic.downcast_ref::<&str>().copied()).unwrap_or_default())
        }
    };
    Err(Failure { step: at, what, story: world.story.into() })
}

impl World {
    fn step(&mut self, step: u64) -> Result<(), Broken> {
        self.visited = false;
        self.go_on();
        let kinds = KINDS.iter().chain(&OTHERS);
        let mut at = self.random.below(kinds.clone().map(|(weight, _)| weight).sum());
        for (weight, kind) in kinds {
            if at < *weight {
                kind(self)?;
                break;
            }
            at -= weight;
        }
        self.check_some()?;
        self.end_step()?;
        if step.is_multiple_of(CHECK_ALL) { self.check_all() } else { Ok(()) }
    }

    /// Faults end with the step, and processes that died in it are gone; one that is gone may come back.
    fn end_step(&mut self) -> Result<(), Broken> {
        self.read_audit()?;
        for at in 0..2 {
            if self.processes[at].faults.end() {
                self.tell(format!("{} is dead", self.processes[at].name));
                self.processes[at].crash();
            }
            if self.processes[at].up.is_none() && self.random.chance(30) {
                self.start(at)?;
                self.processes[at].faults.end().then(|| self.processes[at].crash());
            }
        }
        Ok(())
    }
}

fn number(name: &str, otherwise: u64) -> u64 {
    env::var(name).ok().map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// The steps to leave out, as they are printed: `3,7-12`.
fn left_out() -> BTreeSet<u64> {
    let text = env::var("SIM_WITHOUT").unwrap_or_default();
    let ranges = text.split(',').filter(|range| !range.is_empty()).map(|range| {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        let end = |text: &str| text.parse::<u64>().unwrap_or_else(|_| panic!("SIM_WITHOUT is like 3,7-12"));
        end(from)..=end(to)
    });
    ranges.flatten().collect()
}

fn ranges(steps: &BTreeSet<u64>) -> String {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for step in steps {
        match ranges.last_mut() {
            Some((_, to)) if *to + 1 == *step => *to = *step,
            _ => ranges.push((*step, *step)),
        }
    }
    let text: Vec<String> =
        ranges.iter().map(|(from, to)| if from == to { from.to_string() } else { format!("{from}-{to}") }).collect();
    text.join(",")
}

/// What broke, without the particulars.
fn kind(what: &str) -> String {
    let words = what.split(':').next().unwrap_or_default().replace("one ", "").replace("two ", "");
    words.chars().filter(|char| !char.is_ascii_digit()).collect()
}

/// Leaves out what a failure does not need, half of the steps first, and then less and less.
fn smaller(seed: u64, failure: Failure) -> (Failure, BTreeSet<u64>) {
    let (mut without, mut failure, mut runs) = (BTreeSet::new(), failure, 0);
    let mut size = (failure.step / 2).max(1);
    loop {
        let mut changed = false;
        let kept: Vec<u64> = (1..failure.step).filter(|step| !without.contains(step)).collect();
        for part in kept.chunks(size as usize) {
            let mut fewer = without.clone();
            fewer.extend(part);
            runs += 1;
            if let Err(again) = run(seed, failure.step, &fewer)
                && kind(&again.what) == kind(&failure.what)
            {
                (without, failure, changed) = (fewer, again, true);
            }
            if runs == SMALLER {
                return (failure, without);
            }
        }
        if size == 1 && !changed {
            return (failure, without);
        }
        size = (size / 2).max(1);
    }
}

/// Says how a world broke, and how to see it again.
fn report(seed: u64, first: Failure) -> String {
    let found = format!("seed {seed}, step {}: {}", first.step, first.what);
    let (failure, without) = smaller(seed, first);
    let without = match ranges(&without) {
        none if none.is_empty() => none,
        ranges => format!(" SIM_WITHOUT={ranges}"),
    };
    format!(
        "{found}\nthe least of it, step {}: {}\n{}\nagain: SIM_SEED={seed} SIM_STEPS={}{without} cargo test --lib simulation",
        failure.step,
        failure.what,
        failure.story.join("\n"),
        failure.step,
    )
}

#[test]
fn two_processes_do_what_the_model_says() {
    let steps = number("SIM_STEPS", STEPS);
    let (first, worlds) = match env::var("SIM_SEED") {
        Ok(_) => (number("SIM_SEED", 0), number("SIM_WORLDS", 1)),
        Err(_) => (1, number("SIM_WORLDS", WORLDS)),
    };
    let (all, without) = (env::var_os("SIM_ALL").is_some(), left_out());
    let (next, failures) = (AtomicU64::new(first), Mutex::new(BTreeMap::new()));
    let happened = Mutex::new(EventCounts::new());
    let failed = || failures.lock().unwrap_or_else(PoisonError::into_inner);
    let threads = thread::available_parallelism().map_or(1, usize::from).min(8);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while all || failed().is_empty() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + worlds {
                        return;
                    }
                    match run(seed, steps, &without) {
                        Ok(seen) => {
                            let mut all = happened.lock().unwrap_or_else(PoisonError::into_inner);
                            seen.into_iter().for_each(|(what, count)| *all.entry(what).or_default() += count);
                        }
                        Err(failure) => drop(failed().insert(seed, failure)),
                    }
                }
            });
        }
    });
    println!("seeds {first} to {}, {steps} steps each: {} broke", first + worlds - 1, failed().len());
    for (seed, failure) in &*failed() {
        println!("seed {seed}, step {}: {}", failure.step, failure.what);
    }
    let happened = happened.into_inner().unwrap_or_else(PoisonError::into_inner);
    happened.iter().for_each(|(what, count)| println!("{count:>9} {what}"));
    let least = failed().pop_first();
    if let Some((seed, failure)) = least {
        panic!("{}", report(seed, failure));
    }
    if steps * worlds >= STEPS * WORLDS {
        let missing: Vec<_> =
            HAPPENS.iter().filter(|what| happened.get(*what).is_none_or(|count| *count < 10)).collect();
        assert!(missing.is_empty(), "hardly ever seen: {missing:?}");
    }
}
