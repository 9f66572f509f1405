//! The registry of the fleet: what followers and this node itself report, before it is stored. Several
//! reports are one write.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::sync::{Notify, Semaphore, watch};

use super::{Addresses, App, Node, log_behind::LogBehind};
use crate::{
    action::fleet,
    clock,
    config::{FleetConfig, Listen},
    store::{FollowerRow, Role, Store, StoreError},
};

/// The shortest time between two writes.
const WRITE_INTERVAL: Duration = Duration::from_millis(200);
/// Interval between checks of this node for changes that nothing announces, such as a new keyring.
const TICK: Duration = Duration::from_secs(1);
/// How often the store hears of a member about which nothing changed.
const CONTACT_INTERVAL: Duration = Duration::from_secs(20);
/// The time until a write that failed is tried again.
const RETRY_DELAY: Duration = Duration::from_secs(5);
/// How long the owner of a name is remembered; somebody may have it forgotten meanwhile.
const OWNER_TTL: Duration = Duration::from_secs(60);
/// How long a member is remembered after its name was last looked up.
const KEPT_FOR: Duration = Duration::from_secs(600);
/// Holders of API keys that wait at a time.
const MAX_HOLDERS: usize = 32;
/// Nodes and followers that are registered at most.
const MAX_REGISTERED: u64 = 50_000;
/// Those of one app among them: there is room for others, whatever one of them does with its API key.
const MAX_OF_ONE_APP: u64 = 40_000;
/// The most processes whose former names wait to be removed. Further ones stay until they are forgotten.
const MAX_GONE: usize = 256;
/// The owner of nodes' names.
const NODES: &str = "node";
/// What [`super::failures::Failures`] calls the writing.
const HEALTH: &str = "fleet";

/// Why a report is refused.
#[derive(Debug)]
pub(super) enum Refused {
    /// Another app's API key, or a node, registered this name.
    Taken(String),
    Full,
    /// The app has registered as many as one app may.
    TooMany,
    Store(StoreError),
}

/// The reports to this node.
pub(super) struct FleetRegistry {
    store: Arc<dyn Store>,
    config: FleetConfig,
    started_at: u64,
    /// What tells this process from another one under its name.
    instance: Option<String>,
    /// Name and address of this node, once it serves.
    node: OnceLock<(String, String)>,
    state: Mutex<State>,
    pub(super) behind: LogBehind,
    changed: Notify,
    /// The waits that holders of API keys may have at a time: everybody who has a key may ask, and each wait looks into
    /// the store.
    pub(super) holders: Semaphore,
    /// The number of writes.
    pub(super) written: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    known: HashMap<String, ReportingMember>,
    /// The newest report of each process, by the name and the process.
    waiting: HashMap<(String, Option<String>), FollowerRow>,
    /// Processes that report under another name from now on.
    gone: Vec<Gone>,
    /// When those that went elsewhere were dropped last.
    dropped_at: Option<Instant>,
}

/// A process that is not there any more under this name.
struct Gone {
    name: String,
    owner: String,
    instance: Option<String>,
}

/// A member that reports to this node.
struct ReportingMember {
    owner: String,
    looked_at: Instant,
    /// What was written last, and when.
    written: Option<(FollowerRow, Instant)>,
}

impl FleetRegistry {
    pub(super) fn new(store: Arc<dyn Store>, config: &FleetConfig) -> Self {
        FleetRegistry {
            store,
            config: config.clone(),
            started_at: clock::now_seconds(),
            instance: bulla::feed::new_instance(),
            node: OnceLock::new(),
            state: Mutex::default(),
            behind: LogBehind::default(),
            changed: Notify::new(),
            holders: Semaphore::new(MAX_HOLDERS),
            written: watch::Sender::new(0),
        }
    }

    /// Notes reports of followers. Reads the store where one is new.
    pub(super) fn note(&self, rows: Vec<FollowerRow>, now: Timestamp) -> Result<(), Refused> {
        self.look_up(&rows, now)?;
        let mut state = self.state();
        if let Some(taken) =
            rows.iter().find(|row| state.known.get(&row.name).is_some_and(|one| one.owner != row.owner))
        {
            return Err(Refused::Taken(taken.name.clone()));
        }
        for row in rows {
            state.put(row);
        }
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Notes former names of this owner's processes, so that they are removed.
    pub(super) fn note_gone(&self, former: Vec<(String, Option<String>)>, owner: &str) {
        let mut state = self.state();
        for process in former {
            // A name of somebody else is left alone, here and by the store.
            if state.waiting.get(&process).is_some_and(|row| row.owner == owner) {
                state.waiting.remove(&process);
            }
            if state.gone.len() < MAX_GONE {
                state.gone.push(Gone { name: process.0, owner: owner.to_owned(), instance: process.1 });
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    fn take_out(&self, gone: &Gone) -> Result<(), StoreError> {
        self.store.remove_follower(&gone.name, &gone.owner, gone.instance.as_deref().unwrap_or_default())
    }

    /// Finds out whose names these are.
    fn look_up(&self, rows: &[FollowerRow], now: Timestamp) -> Result<(), Refused> {
        let unknown: HashSet<String> = {
            let state = self.state();
            let fresh = |name: &str| state.known.get(name).is_some_and(|one| one.looked_at.elapsed() < OWNER_TTL);
            rows.iter().filter(|row| !fresh(&row.name)).map(|row| row.name.clone()).collect()
        };
        if unknown.is_empty() {
            return Ok(());
        }
        let heard_after = fleet::heard_after(self.config.forget_after, now);
        let owners: HashMap<_, _> = self
            .store
            .follower_owners(&unknown.iter().cloned().collect::<Vec<_>>(), heard_after)
            .map_err(Refused::Store)?
            .into_iter()
            .collect();
        let new = unknown.len().saturating_sub(owners.len()) as u64;
        if new > 0 {
            let registered = self.store.followers_short_of("", 0, 0, heard_after).map_err(Refused::Store)?.registered;
            if registered + new > MAX_REGISTERED {
                return Err(Refused::Full);
            }
            // All reports of a request have one owner.
            if registered + new > MAX_OF_ONE_APP
                && let Some(row) = rows.first()
                && self.store.followers_of(&row.owner, heard_after).map_err(Refused::Store)? + new > MAX_OF_ONE_APP
            {
                return Err(Refused::TooMany);
            }
        }
        let mut state = self.state();
        for row in rows.iter().filter(|row| unknown.contains(&row.name)) {
            let owner = owners.get(&row.name).unwrap_or(&row.owner).clone();
            let known = state.known.entry(row.name.clone());
            let known =
                known.or_insert(ReportingMember { owner: String::new(), looked_at: Instant::now(), written: None });
            // One that was forgotten is written again.
            if !owners.contains_key(&row.name) {
                known.written = None;
            }
            (known.owner, known.looked_at) = (owner, Instant::now());
        }
        Ok(())
    }

    /// Takes up what changed about this node soon.
    pub(super) fn wake(&self) {
        self.changed.notify_one();
    }

    /// This node as it is now, once it serves.
    fn this_node(&self, running: &Node) -> Option<FollowerRow> {
        let (name, address) = self.node.get()?.clone();
        let (log_id, seq) = running.revocations.place();
        let (snapshot, now) = (running.snapshot(), clock::now());
        let verifier = snapshot.verifier();
        Some(FollowerRow {
            name,
            role: Role::Node,
            owner: NODES.to_owned(),
            address: Some(address),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            formats: bulla::feed::FORMATS.map(str::to_owned).to_vec(),
            log_id,
            seq,
            this_update: clock::seconds(now).saturating_sub(running.revocations.unread_for().as_secs()),
            keyring_serial: snapshot.document.serial(),
            versions: verifier.versions().iter().map(|version| version.number()).collect(),
            realms: verifier.realms().map(|realm| realm.to_string()).collect(),
            refused: 0,
            last_error: running.health.detail(super::revocations::HEALTH),
            started_at: self.started_at,
            last_contact: now,
            instance: self.instance.clone(),
            doubled_at: 0,
            reported_by: None,
        })
    }

    /// Writes what changed. Returns whether it wrote anything.
    fn flush(&self, running: &Node) -> Result<bool, StoreError> {
        let node = self.this_node(running);
        let (rows, gone): (Vec<FollowerRow>, _) = {
            let mut state = self.state();
            state.drop_absent();
            if let Some(node) = node {
                state.put(node);
            }
            (state.waiting.drain().map(|(_, row)| row).collect(), std::mem::take(&mut state.gone))
        };
        if rows.is_empty() && gone.is_empty() {
            return Ok(false);
        }
        let heard_after = fleet::heard_after(self.config.forget_after, clock::now());
        let mut written = self.store.note_followers(&rows, heard_after);
        if written.is_ok() {
            // What they reported is written, so none of them comes back.
            written = gone.iter().try_for_each(|one| self.take_out(one));
        }
        let mut state = self.state();
        if written.is_err() {
            state.gone.extend(gone);
        }
        for row in rows {
            match &written {
                Ok(()) => {
                    if let Some(known) = state.known.get_mut(&row.name) {
                        known.written = Some((row, Instant::now()));
                    }
                }
                // A later report is there already.
                Err(_) => drop(state.waiting.entry(process(&row)).or_insert(row)),
            }
        }
        drop(state);
        written?;
        self.written.send_modify(|count| *count += 1);
        Ok(true)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Drops, now and then, those that report to another node by now, or to nobody.
    fn drop_absent(&mut self) {
        if self.dropped_at.is_none_or(|at| at.elapsed() > OWNER_TTL) {
            self.known.retain(|_, one| one.looked_at.elapsed() < KEPT_FOR);
            self.dropped_at = Some(Instant::now());
        }
    }

    /// Has a report written, unless the store has the same from a moment ago.
    fn put(&mut self, row: FollowerRow) {
        let fresh = ReportingMember { owner: row.owner.clone(), looked_at: Instant::now(), written: None };
        let known = self.known.entry(row.name.clone()).or_insert(fresh);
        let same = known.written.as_ref().is_some_and(|(before, at)| {
            // That a node read the log and found nothing changes nothing.
            let this_update = if row.role == Role::Node { before.this_update } else { row.this_update };
            let now = FollowerRow { last_contact: before.last_contact, this_update, ..row.clone() };
            *before == now && at.elapsed() < CONTACT_INTERVAL
        });
        if !same {
            self.waiting.insert(process(&row), row);
        }
    }
}

fn process(row: &FollowerRow) -> (String, Option<String>) {
    (row.name.clone(), row.instance.clone())
}

/// The name of the node at this address: the host's name, and the port.
fn default_name(data: &Listen) -> String {
    let uname = rustix::system::uname();
    let host = uname.nodename().to_string_lossy().into_owned();
    let place = match data {
        Listen::Tcp(address) => format!(":{}", address.port()),
        other => format!(":{other}"),
    };
    let name =
        format!("{host}{place}").replace(|char: char| !char.is_ascii_alphanumeric() && !"._:-@".contains(char), "-");
    name.chars().take(128).collect()
}

/// Registers this node, and writes what is reported, until `stop`.
pub(super) async fn run(node: Arc<Node>, addresses: Addresses, mut stop: watch::Receiver<bool>) {
    let configured = Some(node.config.fleet.name.clone()).filter(|name| !name.is_empty());
    let name = configured.unwrap_or_else(|| default_name(&addresses.data));
    let _only_here = node.fleet.node.set((name, addresses.data.to_string()));
    let mut newest = node.revocations.newest();
    node.fleet.wake();
    loop {
        tokio::select! {
            () = node.fleet.changed.notified() => {}
            _ = newest.changed() => {}
            () = tokio::time::sleep(TICK) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let worker = Arc::clone(&node);
        let written = tokio::task::spawn_blocking(move || worker.fleet.flush(&worker)).await;
        let pause = match written.map_err(|panic| StoreError::Failed(panic.to_string())).flatten() {
            Ok(wrote) => {
                if wrote {
                    node.health.note_task(HEALTH, Ok::<_, StoreError>(()));
                }
                if wrote { WRITE_INTERVAL } else { Duration::ZERO }
            }
            Err(error) => {
                node.health.note_task(HEALTH, Err(error));
                RETRY_DELAY
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Takes this node out of the registry when it has stopped: it verifies nothing any more.
pub(super) fn leave(app: &App) {
    if let Some((name, _)) = app.fleet.node.get()
        && let Err(error) = app.store.remove_follower(name, NODES, app.fleet.instance.as_deref().unwrap_or_default())
    {
        tracing::warn!(%error, "could not deregister this node");
    }
}

#[cfg(test)]
mod tests;
