//! Faults that the simulation found, each in as few steps as it takes.

use bulla::keyring::{KeyVersion, Suite};
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    acting::By,
    keys::realms,
    world::{BEGINNING, Broken, World, master},
};
use crate::{
    action::keyring::Change,
    api::keyring::{Activate, Stage},
};

const ONE: By = By::Process(0);
const TWO: By = By::Process(1);
const HOUR: i64 = 3_600;

/// Two processes, and a key with a secret half. Nothing goes wrong by chance.
fn with_a_key() -> Result<World, Broken> {
    let mut world = World::new();
    world.quiet = true;
    (0..2).try_for_each(|at| world.start(at))?;
    world.issue_one(ONE, realms()[0], 1, "never", true)?;
    Ok(world)
}

fn holds(ran: Result<(), Broken>) {
    ran.unwrap_or_else(|broken| panic!("{broken}"));
}

/// The clock of process two is five minutes behind, as it may be. What process one calls revoked is refused there, too.
#[test]
fn a_key_whose_grace_period_is_over_for_one_clock_is_revoked_for_all_once_it_is_said() {
    let ran = || {
        let mut world = with_a_key()?;
        world.processes[1].skew = -300;
        world.reroll_one(ONE, 0, HOUR)?;
        (0..2).try_for_each(|at| world.look_at(at))?;
        world.right += HOUR;
        world.show(world.right);
        world.revoke_one(ONE, 0, "api_key.revoke")?;
        world.check_all()?;
        // Nor does a clock that is set back undo it.
        world.show(BEGINNING);
        world.check_all()
    };
    holds(ran());
}

/// The hash of the old secret half is made anew, under a higher number than the new one's, and ends. The new one is
/// found right all the same.
#[test]
fn a_hash_that_was_made_anew_and_has_ended_holds_nobody_up() {
    let ran = || {
        let mut world = with_a_key()?;
        world.pepper()?;
        world.reroll_secret_of(TWO, 0, 30)?;
        world.reload_one(0, false)?;
        world.check_all()?;
        world.drain_one(0)?;
        world.look_at(0)?;
        world.right += 30;
        world.show(world.right);
        world.check_all()
    };
    holds(ran());
}

/// A right secret half is remembered for a minute by a clock that nobody sets; that it has ended since is, too.
#[test]
fn a_clock_that_jumps_brings_no_secret_half_back() {
    let ran = || {
        let mut world = with_a_key()?;
        world.check_all()?;
        world.reroll_secret_of(TWO, 0, 0)?;
        world.look_at(0)?;
        world.show(world.right + 365 * 24 * HOUR);
        world.look_at(0)?;
        world.check_all()
    };
    holds(ran());
}

/// Process one destroys a version, revokes a key of it and sweeps. Process two, which still has the version, hears of the
/// revocation all the same.
#[test]
fn a_revocation_outlives_a_sweep_where_its_version_is_destroyed_for_one_process_alone() {
    let ran = || {
        let mut world = with_a_key()?;
        let [first, second] = [1, 2].map(|number| KeyVersion::new(number).expect("should be a version"));
        let source = format!("file:{}", master(2)).parse().expect("should be a URI");
        for (what, change) in [
            ("stage", Change::Stage(Stage { sources: vec![source], suite: Suite::default() })),
            ("activate", Change::Activate(second, Activate { rollback: false, require_loaded: false, force: true })),
            ("destroy", Change::Destroy(first)),
        ] {
            world.change_by(ONE, (what, 0), &change)?;
        }
        world.revoke_one(ONE, 0, "api_key.revoke")?;
        world.sweep_one(0, true)?;
        world.look_at(1)?;
        world.check_all()
    };
    holds(ran());
}

/// Two processes and an imported key that expires in an hour.
fn with_an_imported_key() -> Result<World, Broken> {
    let mut world = World::new();
    world.quiet = true;
    (0..2).try_for_each(|at| world.start(at))?;
    world.import_one(ONE, ruled_app(), Some(BEGINNING + HOUR))?;
    (0..2).try_for_each(|at| world.look_at(at))?;
    Ok(world)
}

fn ruled_app() -> Uuid {
    Uuid::from_u128(1)
}

/// The expiry of a corrected row.
const LATER: Option<i64> = Some(BEGINNING + 30 * 24 * HOUR);

/// Three days pass, and everything is swept.
fn pass_and_sweep(world: &mut World) -> Result<(), Broken> {
    world.right += 72 * HOUR;
    world.show(world.right);
    world.let_run();
    world.sweep_one(0, true)?;
    (0..2).try_for_each(|at| {
        world.look_at(at)?;
        world.sweep_one(at, false)
    })
}

/// The log has the revocation, or the suspension, with the key's first expiry, behind which it is swept.
#[test]
fn an_imported_key_that_ended_stays_ended_behind_its_first_expiry() {
    for suspended in [false, true] {
        let ran = || {
            let mut world = with_an_imported_key()?;
            match suspended {
                true => world.suspend_one(ONE, 0, true)?,
                false => world.revoke_one(ONE, 0, "api_key.revoke")?,
            }
            world.import_one_again(ONE, 0, ruled_app(), (None, LATER))?;
            pass_and_sweep(&mut world)?;
            world.check_all()
        };
        holds(ran());
    }
}

/// When the row is corrected, the log has nothing of the key any more.
#[test]
fn an_imported_key_whose_revocation_was_swept_stays_revoked_when_it_comes_again() {
    let ran = || {
        let mut world = with_an_imported_key()?;
        world.revoke_one(ONE, 0, "api_key.revoke")?;
        pass_and_sweep(&mut world)?;
        world.import_one_again(ONE, 0, ruled_app(), (None, LATER))?;
        (0..2).try_for_each(|at| world.look_at(at))?;
        world.check_all()
    };
    holds(ran());
}

/// A rule is about an app, and about what was issued before some time.
#[test]
fn an_imported_key_that_a_rule_ended_stays_ended_for_another_app_and_with_another_time_of_issue() {
    for (app, issued_at) in [(Uuid::from_u128(2), None), (ruled_app(), Some(BEGINNING + 100))] {
        let ran = || {
            let mut world = with_an_imported_key()?;
            world.rule_one(ONE, (Some(ruled_app()), None), Timestamp::from_second(BEGINNING + 10).ok())?;
            world.right += 100;
            world.show(world.right);
            world.import_one_again(ONE, 0, app, (issued_at, LATER))?;
            (0..2).try_for_each(|at| world.look_at(at))?;
            world.check_all()?;
            pass_and_sweep(&mut world)?;
            world.check_all()
        };
        holds(ran());
    }
}

/// Beyond 2106 nothing is imported: the present is then no time of issue that a key can hold.
#[test]
fn a_key_is_not_imported_by_a_clock_beyond_all_times() {
    let ran = || {
        let mut world = with_a_key()?;
        world.show(i64::from(u32::MAX) + 1);
        world.import()?;
        world.show(BEGINNING);
        (0..2).try_for_each(|at| {
            world.look_at(at)?;
            world.processes[at].crash();
            world.start(at)
        })?;
        world.check_all()
    };
    holds(ran());
}
