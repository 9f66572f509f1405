//! What happens to key versions, their sources, the pepper, and to a process that looks at them.

use std::path::{Path, PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bulla::keyring::{KeyVersion, KeyringError, Reload, Suite, VersionState};

use super::{
    acting::By,
    world::{Broken, MASTERS, World, master},
};
use crate::{
    action::{Actor, keyring::Change},
    api::keyring::{Activate, Compromise, Stage},
    clock,
    config::Config,
    deployment::DeploymentError,
    server::Node,
};

const MAC: &str = "mac.key";

/// What is in a file of a key that is not to be read.
#[derive(Clone, Copy, Debug)]
enum Gone {
    Missing,
    Rubbish,
    AnotherKey,
    ReadByOthers,
}

impl World {
    /// One move of one version, legal or not.
    pub(super) fn rotate(&mut self) -> Result<(), Broken> {
        let by = self.somebody();
        let count = self.model.versions.len() as u32;
        let any = 1 + self.random.below(count as usize) as u32;
        let number = |version: u32| KeyVersion::new(version).expect("should be a version");
        let activate = |rollback| Activate { rollback, require_loaded: false, force: true };
        let (what, change) = match self.random.below(12) {
            // From a source that holds another key a version is made of that one, as was asked for.
            0..=3 if count < MASTERS && !self.gone.contains(&master(count + 1)) => {
                let source = format!("file:{}", master(count + 1)).parse().expect("should be a URI");
                ("stage", Change::Stage(Stage { sources: vec![source], suite: Suite::default() }))
            }
            0..=6 => ("activate", Change::Activate(number(any), activate(false))),
            7 => ("roll back", Change::Activate(number(any), activate(true))),
            8 | 9 => {
                let successor = self.random.chance(70).then(|| number(1 + self.random.below(count as usize) as u32));
                ("compromise", Change::Compromise(number(any), Compromise { successor }))
            }
            _ => ("destroy", Change::Destroy(number(any))),
        };
        self.change_by(by, (what, any), &change)
    }

    /// Makes one change of the keyring, under a name and the number of a version for the report.
    pub(super) fn change_by(
        &mut self,
        by: By,
        (what, any): (&'static str, u32),
        change: &Change,
    ) -> Result<(), Broken> {
        let after = self.moved(change);
        let readable = !self.gone.contains(MAC);
        // Without the MAC key nobody could look what a fault left behind.
        let guest = if readable { self.disturb(by, None) } else { Default::default() };
        let answer = self.change_keyring(by, change);
        self.read_audit()?;
        self.take_in(&guest);
        self.tell(format!("{} {what} {any}: {answer:?}", self.name(by)));
        let on_purpose = self.failed_on_purpose(by);
        match (&answer, after) {
            (Ok(()), Some(after)) => {
                self.saw(what);
                self.model.versions = after;
            }
            (Ok(()), None) => return Err(format!("{what} {any} is no legal move, and was made")),
            (Err(error), Some(_)) if readable && !on_purpose => {
                return Err(format!("{what} {any} was refused: {error}"));
            }
            // Written down or not: the keyring tells.
            (Err(_), Some(after)) if on_purpose => {
                let document = self.command.deployment.document(&*self.command.store);
                let states =
                    document.map(|document| document.versions().iter().map(|one| one.state).collect::<Vec<_>>());
                if states.is_ok_and(|states| states == after) {
                    self.model.versions = after;
                }
            }
            (Err(_), _) => {}
        }
        if answer.is_ok() || on_purpose {
            self.command_anew();
        }
        if let (By::Process(at), Ok(())) = (by, &answer) {
            self.clock_of(by);
            let Some(up) = &self.processes[at].up else { return Ok(()) };
            let published = up.node.reloader.publish(None).map(drop).map_err(|error| error.to_string());
            up.node.reloader.forget_destroyed();
            up.node.reloader.ask_sources(Reload::Missing);
            self.reloaded(at, published)?;
        }
        Ok(())
    }

    fn change_keyring(&self, by: By, change: &Change) -> Result<(), String> {
        self.clock_of(by);
        let (actor, store, now) = (Actor::certificate(self.name(by), None), self.store_of(by), clock::now());
        let deployment = match by {
            By::Process(at) => {
                let node = self.processes[at].up.as_ref().map(|up| &up.node);
                node.map(|node| node.reloader.deployment_of(node.snapshot().config.clone()))
            }
            By::Command => None,
        };
        let deployment = deployment.as_ref().unwrap_or(&self.command.deployment);
        change.apply(deployment, &*store, &actor, now).map(drop).map_err(|error| error.to_string())
    }

    /// The states after a move, if it is a legal one.
    fn moved(&self, change: &Change) -> Option<Vec<VersionState>> {
        let mut states = self.model.versions.clone();
        let at = |version: &KeyVersion| version.number() as usize - 1;
        let activate = |states: &mut Vec<VersionState>, version: usize, from: &[VersionState]| {
            let legal = from.contains(states.get(version)?);
            states
                .iter_mut()
                .filter(|state| legal && **state == VersionState::Active)
                .for_each(|one| *one = VersionState::Deactivated);
            legal.then(|| states[version] = VersionState::Active)
        };
        match change {
            Change::Stage(_) => states.push(VersionState::Staged),
            Change::Activate(version, how) => {
                let from = if how.rollback { VersionState::Deactivated } else { VersionState::Staged };
                activate(&mut states, at(version), &[from])?;
            }
            Change::Compromise(version, how) => {
                let before = states[at(version)];
                if matches!(before, VersionState::Compromised | VersionState::Destroyed) {
                    return None;
                }
                if let Some(successor) = &how.successor {
                    if before != VersionState::Active || successor == version {
                        return None;
                    }
                    activate(&mut states, at(successor), &[VersionState::Staged, VersionState::Deactivated])?;
                }
                states[at(version)] = VersionState::Compromised;
            }
            Change::Destroy(version) => {
                if !matches!(
                    states[at(version)],
                    VersionState::Staged | VersionState::Deactivated | VersionState::Compromised
                ) {
                    return None;
                }
                states[at(version)] = VersionState::Destroyed;
            }
            Change::Rewrap(..) | Change::Limit(..) => return None,
        }
        Some(states)
    }

    /// A process looks at configuration and keyring, as it does on SIGHUP and on a changed file.
    pub(super) fn reload(&mut self) -> Result<(), Broken> {
        let (at, ask_again) = (self.random.below(2), self.random.chance(50));
        self.reload_one(at, ask_again)
    }

    pub(super) fn reload_one(&mut self, at: usize, ask_again: bool) -> Result<(), Broken> {
        if self.processes[at].up.is_none() {
            return Ok(());
        }
        let guest = self.disturb(By::Process(at), None);
        let config = self.config();
        self.clock_of(By::Process(at));
        let Some(up) = &self.processes[at].up else { return Ok(()) };
        let looked = look(&up.node, &config, ask_again).map_err(|error| error.to_string());
        self.tell(format!("{} looks at its keyring, asking again {ask_again}: {looked:?}", self.processes[at].name));
        self.read_audit()?;
        self.take_in(&guest);
        self.reloaded(at, looked.map(drop))
    }

    /// Once a process has seen the keyring it goes by it, even if something could not be loaded.
    fn reloaded(&mut self, at: usize, looked: Result<(), String>) -> Result<(), Broken> {
        match looked {
            Ok(_) => self.processes[at].view.opens = self.keyring_seen(&self.processes[at].view.opens),
            Err(_) if self.gone.contains(MAC) || self.failed_on_purpose(By::Process(at)) => {}
            Err(error) => return Err(format!("{} cannot look at its keyring: {error}", self.processes[at].name)),
        }
        Ok(())
    }

    /// A key file is gone, or is there again.
    pub(super) fn sources(&mut self) -> Result<(), Broken> {
        let masters = (1..=self.model.versions.len() as u32 + 1).filter(|version| *version <= MASTERS).map(master);
        let files: Vec<String> = masters.chain([MAC, "pepper-1.key", "pepper-2.key"].map(str::to_owned)).collect();
        // Most of the time most of them are there.
        let name = match self.gone.first() {
            Some(name) if self.random.chance(70) => name.clone(),
            _ => files[self.random.below(files.len())].clone(),
        };
        let path = self.folder.path().join(&name);
        if self.gone.remove(&name) {
            write(&path, &BASE64.encode([byte(&name); 32]), 0o600);
            self.tell(format!("{name} is there again"));
        } else {
            let kinds = [Gone::Missing, Gone::Rubbish, Gone::ReadByOthers, Gone::AnotherKey];
            // Nothing tells one pepper from another.
            let gone = self.random.pick(if name.starts_with("pepper") { &kinds[..3] } else { &kinds });
            match gone {
                Gone::Missing => std::fs::remove_file(&path).expect("should remove"),
                Gone::Rubbish => write(&path, "rubbish", 0o600),
                Gone::AnotherKey => write(&path, &BASE64.encode([200; 32]), 0o600),
                Gone::ReadByOthers => write(&path, &BASE64.encode([byte(&name); 32]), 0o644),
            }
            self.tell(format!("{name} is gone: {gone:?}"));
            self.gone.insert(name);
        }
        Ok(())
    }

    /// New hashes are to be made under another pepper.
    pub(super) fn pepper(&mut self) -> Result<(), Broken> {
        self.pepper = 3 - self.pepper;
        self.write_config();
        self.command_anew();
        self.tell(format!("the configuration names pepper {}", self.pepper));
        Ok(())
    }
}

/// Both parts of a look; what of it failed.
fn look(node: &Node, config: &Path, ask_again: bool) -> Result<Vec<String>, DeploymentError> {
    let mut config = Config::load(config)?;
    config.listen_as(&node.config);
    let published = match node.reloader.publish(Some(config)) {
        Err(DeploymentError::Keyring(KeyringError::MacWrong)) => {
            node.reloader.ask_mac_key().and_then(|()| node.reloader.publish_again())
        }
        published => published,
    };
    let mut failed = published?.failed;
    failed.extend(node.reloader.remember().err().map(|error| error.to_string()));
    node.reloader.forget_destroyed();
    failed.extend(node.reloader.ask_sources(if ask_again { Reload::All } else { Reload::Missing }).failed);
    Ok(failed)
}

fn byte(name: &str) -> u8 {
    let numbers = name.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0);
    match name {
        MAC => 100,
        _ if name.starts_with("pepper") => 100 + numbers,
        _ => numbers,
    }
}

fn write(path: &PathBuf, content: &str, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, content.to_owned() + "\n").expect("should write");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("should set the mode");
}
