//! The simulated world: a folder, two processes of the service, the command line, clocks, and the model of it all.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bulla::{
    Issuer,
    keyring::{KeyVersion, Keyring, KeyringDocument, KeyringId, SourceRecord, Suite, VersionState},
};
use tempfile::TempDir;

use super::{model::Model, process::Process, random::Random};
use crate::{
    clock,
    config::StoreConfig,
    deployment::{Deployment, DeploymentError, write_new},
    secret::Peppers,
    store::{self, Store},
};

/// When every world begins.
pub(super) const BEGINNING: i64 = 1_795_000_000;
/// Master keys that there are: so many versions can be staged.
pub(super) const MASTERS: u32 = 6;
/// Steps that are shown when something breaks.
const SHOWN: usize = 40;

/// What the service does is not what the model says.
pub(super) type Broken = String;

pub(super) struct World {
    pub(super) random: Random,
    pub(super) model: Model,
    pub(super) processes: [Process; 2],
    pub(super) command: Command,
    pub(super) folder: TempDir,
    /// The right time, and what all clocks show.
    pub(super) right: i64,
    pub(super) shown: i64,
    /// Files of keys that cannot be read now.
    pub(super) gone: BTreeSet<String>,
    pub(super) pepper: u32,
    /// Keys that the last step had to do with.
    pub(super) touched: BTreeSet<usize>,
    /// The last record of the audit that was seen.
    pub(super) audit: u64,
    pub(super) names: u64,
    /// Nothing is to go wrong.
    pub(super) quiet: bool,
    /// Another process acted in this step.
    pub(super) visited: bool,
    /// The right time when proofs of secret halves were forgotten last.
    pub(super) forgotten: i64,
    pub(super) story: VecDeque<String>,
    pub(super) seen: EventCounts,
}

/// How often something was seen to happen: a world in which nothing does finds nothing.
pub(super) type EventCounts = BTreeMap<&'static str, u64>;

/// The command line: the store without faults, and what it was told last.
pub(super) struct Command {
    pub(super) store: Arc<dyn Store>,
    pub(super) deployment: Deployment,
    pub(super) keyring: Keyring,
    pub(super) issuer: Issuer,
    pub(super) peppers: Arc<Peppers>,
    /// Whether all of it could be read when it changed last. If not a real command would end with that.
    pub(super) fresh: bool,
}

impl Command {
    fn open(config: &Path) -> Result<Self, DeploymentError> {
        let store = Deployment::open(config)?.store()?;
        Self::on(store, config)
    }

    /// Reads all but the store.
    fn on(store: Arc<dyn Store>, config: &Path) -> Result<Self, DeploymentError> {
        let deployment = Deployment::open(config)?;
        let (document, keyring) = deployment.keyring(&*store)?;
        let peppers = deployment.peppers(&document)?.map(Arc::new).expect("should have a pepper");
        Ok(Command { issuer: Issuer::new(&keyring), store, deployment, keyring, peppers, fresh: true })
    }

    /// Lets go of the store. In its place is another, which nobody uses.
    pub(super) fn close(&mut self) {
        let spare = store::open(&StoreConfig::at("sqlite:spare.db"), &self.deployment.config.folder, true);
        self.store = spare.expect("should make a store");
    }

    /// Opens the store again.
    pub(super) fn reopen(&mut self) -> Result<(), Broken> {
        self.store = self.deployment.store().map_err(|error| format!("the command cannot open the store: {error}"))?;
        Ok(())
    }
}

impl World {
    /// A new world. Nobody runs in it yet.
    pub(super) fn new() -> Self {
        let shared_memory = Path::new("/dev/shm");
        let folder = if shared_memory.is_dir() { TempDir::new_in(shared_memory) } else { TempDir::new() };
        let folder = folder.expect("should make a folder");
        let mut processes = [Process::new("one"), Process::new("two")];
        processes.iter_mut().for_each(|process| process.clock.store(BEGINNING, Ordering::SeqCst));
        clock::simulated::set(&processes[0].clock);
        make(folder.path());
        let command = Command::open(&folder.path().join("bulla.toml")).expect("should open");
        // The database has its own clock, which is the right one and not the simulated one.
        let begin = clock::timestamp(BEGINNING.unsigned_abs());
        command.store.remember_sweep_clock(begin).expect("should write");
        let model = Model { versions: vec![VersionState::Active], ..Model::default() };
        World {
            random: Random::of(0, 0),
            model,
            processes,
            command,
            folder,
            right: BEGINNING,
            shown: BEGINNING,
            gone: BTreeSet::new(),
            pepper: 1,
            touched: BTreeSet::new(),
            audit: 0,
            names: 0,
            quiet: false,
            visited: false,
            forgotten: BEGINNING,
            story: VecDeque::new(),
            seen: EventCounts::new(),
        }
    }

    pub(super) fn config(&self) -> PathBuf {
        self.folder.path().join("bulla.toml")
    }

    /// Adds a line to what is shown when something breaks.
    pub(super) fn tell(&mut self, what: impl ToString) {
        if self.story.len() == SHOWN {
            self.story.pop_front();
        }
        self.story.push_back(what.to_string());
    }

    /// Notes that something happened.
    pub(super) fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// Has all clocks show this time, each as far off as it is.
    pub(super) fn show(&mut self, time: i64) {
        self.shown = time;
        for process in &self.processes {
            process.clock.store(time + process.skew, Ordering::SeqCst);
        }
        self.see();
    }

    /// The model sees every clock, and the right time.
    pub(super) fn see(&mut self) {
        for process in &self.processes {
            self.model.see(process.now());
        }
        self.model.right = self.right;
        self.model.see(self.right);
    }

    /// The command line reads everything anew; it keeps what it has where that does not work.
    pub(super) fn command_anew(&mut self) {
        clock::simulated::set(&self.processes[0].clock);
        match Command::on(Arc::clone(&self.command.store), &self.config()) {
            Ok(command) => self.command = command,
            Err(_) => self.command.fresh = false,
        }
    }

    /// What a process that reads the keyring now knows of its versions. Keys that are at hand are kept.
    pub(super) fn keyring_seen(&self, before: &BTreeMap<u32, bool>) -> BTreeMap<u32, bool> {
        let versions = (1..).zip(&self.model.versions);
        let opens = |(version, state): (u32, &VersionState)| {
            let opened = before.get(&version).is_some_and(|opens| *opens);
            let at_hand = opened || !self.gone.contains(&master(version));
            (
                version,
                matches!(state, VersionState::Staged | VersionState::Active | VersionState::Deactivated) && at_hand,
            )
        };
        versions.map(opens).collect()
    }

    /// Writes the configuration, with this version of the pepper for new hashes.
    pub(super) fn write_config(&self) {
        std::fs::write(self.config(), config(self.pepper)).expect("should write");
    }
}

/// The file of a version's master key.
pub(super) fn master(version: u32) -> String {
    format!("master-{version}.key")
}

fn make(folder: &Path) {
    let key = |name: &str, byte: u8| {
        write_new(&folder.join(name), (BASE64.encode([byte; 32]) + "\n").as_bytes(), 0o600).expect("should write");
    };
    (1..=MASTERS).for_each(|version| key(&master(version), version as u8));
    key("mac.key", 100);
    key("pepper-1.key", 101);
    key("pepper-2.key", 102);
    std::fs::write(folder.join("bulla.toml"), config(1)).expect("should write");
    let deployment = Deployment::open(&folder.join("bulla.toml")).expect("should open");
    let now = u64::try_from(BEGINNING).expect("should be a time");
    let mut document = KeyringDocument::new(KeyringId::from_bytes([1; 16]));
    let source = SourceRecord { uri: format!("file:{}", master(1)).parse().expect("should be a URI"), wrapped: None };
    let staged = document.stage(Suite::default(), vec![source], &deployment.sources, now);
    assert_eq!(staged.expect("should be staged"), KeyVersion::FIRST);
    document.activate(KeyVersion::FIRST, now).expect("should be activated");
    deployment.write_new_keyring(&document).expect("should write");
    drop(store::open(&deployment.config.store, folder, true).expect("should make a store"));
}

fn config(pepper: u32) -> String {
    format!(
        "[keyring]\nsource = 'file:keyring.toml'\nmac_source = 'file:mac.key'\n[store]\nurl = 'sqlite:bulla.db'\n\
         [pepper]\nactive = {pepper}\n[pepper.sources]\n1 = 'file:pepper-1.key'\n2 = 'file:pepper-2.key'\n\
         [secret]\nwrong_per_minute = 1000000\n[verify]\ndefault_realms = ['live']\n\
         [realms.live]\n[realms.safe]\nsecret = 'required'\n"
    )
}
