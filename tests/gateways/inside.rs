//! Gateways with bulla inside: they check keys by exported seal keys and the feed, and ask nobody. Beside the table
//! they are held to what only they can get wrong: revocations that arrive, state that gets old, keys that rotate,
//! reloads, and panics.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crate::gateways::{
    gateway::Gateway,
    keys::{Key, Keys},
    outcome::{REACHES, outcome},
    question::Question,
    running::Running,
    table::{self, NO_KEY},
};
use crate::support::{edge::Edge, programs, stop::StopOnDrop};

/// How long a revocation may take to arrive on a machine that does a hundred other things. What it takes
/// is for benchmarks to say.
pub const PROPAGATION: Duration = Duration::from_secs(60);
/// How long all workers refuse a key until none is behind any more.
const SETTLED: Duration = Duration::from_secs(1);

/// How old the state may be in tests of state that gets old.
const MAX_STALE: Duration = Duration::from_secs(2);

/// The outcome of a mistake that a gateway refuses at its start.
pub const NO_START: &str = "does not start";

/// What a gateway has inside.
pub struct Inside {
    pub verifies: Library,
    /// How many processes check keys where it can be reloaded.
    pub processes: usize,
    /// Starts it so that it can be reloaded, with its files in this folder.
    pub prepare: fn(&mut Command, &Path),
    /// Has it read its configuration again, under traffic.
    pub reload: fn(&mut Running),
}

/// What verifies.
pub enum Library {
    /// A package of keys/gateways, and the file of its library.
    Module(&'static str, &'static str),
    /// The C ABI.
    Abi,
}

impl Inside {
    /// Places that its files name, and where they are in a test.
    pub fn places(&self, edge: &Edge) -> Vec<(&'static str, String)> {
        let library = self.verifies.build();
        let folder = library.parent().expect("a folder").display();
        vec![("/etc/bulla/", format!("{}/", edge.path().display())), ("/usr/lib/bulla/", format!("{folder}/"))]
    }
}

impl Library {
    /// Builds it as the tests are built, once.
    pub fn build(&self) -> PathBuf {
        static BUILDS: Mutex<()> = Mutex::new(());
        let _one = BUILDS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |folder| root.join(folder));
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(root).env("CARGO_TARGET_DIR", &target);
        let file = match self {
            Library::Module(package, file) => {
                cargo.args(["build", "--quiet", "--manifest-path", "keys/gateways/Cargo.toml", "--package", package]);
                file
            }
            Library::Abi => {
                cargo.args(["rustc", "--quiet", "--package", "bulla", "--features", "capi,gateway"]);
                cargo.args(["--crate-type", "cdylib"]);
                "libbulla.so"
            }
        };
        programs::run(&mut cargo);
        target.join("debug").join(file)
    }
}

/// Holds a gateway with bulla inside to all but the table.
pub fn hold(gateway: &'static Gateway) {
    std::thread::scope(|scope| {
        scope.spawn(|| revocations_and_reloads_under_traffic(gateway));
        scope.spawn(|| state_that_gets_old(gateway));
        scope.spawn(|| old_state_that_may_serve(gateway));
        scope.spawn(|| keys_that_rotate(gateway));
        scope.spawn(|| what_is_no_request(gateway));
        // The C ABI catches panics itself, where its own tests look.
        if let Some(Inside { verifies: Library::Module(..), .. }) = gateway.inside {
            scope.spawn(|| panics(gateway));
        }
    });
}

/// A key is accepted, and refused once its revocation has arrived.
pub fn hold_to_revocation(running: &Running) {
    let keys = ready(running);
    let revoked = Question::new(&keys.revoked, "/orders/7").bearer();
    assert_eq!(status(running, &revoked), 200, "before it is revoked");
    revoke(running, &keys.revoked);
    refused_by_all(running, &revoked);
}

/// Waits until so many processes are in the fleet, so that a revocation waits for each of them.
pub fn all_report(running: &Running, processes: usize) {
    let members = || {
        let shown = running.server().admin.get("/v1/followers").json();
        let all = shown["followers"].as_array().expect("a list").iter();
        all.filter(|one| one["role"] == "library").count()
    };
    running.server().until("a report of each process", |_| members() >= processes);
}

/// Asks until the key has been refused for a second: each worker hears of it on its own.
pub fn refused_by_all(running: &Running, revoked: &Question) {
    let (acknowledged, mut refused_since) = (Instant::now(), None);
    while refused_since.is_none_or(|since: Instant| since.elapsed() < SETTLED) {
        let refused = status(running, revoked) != 200;
        refused_since = refused.then(|| refused_since.unwrap_or_else(Instant::now));
        assert!(refused || acknowledged.elapsed() < PROPAGATION, "a revoked key is accepted: {}", running.log());
    }
}

fn ready(running: &Running) -> Keys {
    let keys = Keys::issue(&running.deployment);
    table::until_it_reaches(running, &Question::new(&keys.good, "/orders/7").bearer());
    keys
}

/// Revokes a key, and waits until all who are in the fleet have heard of it.
pub fn revoke(running: &Running, key: &Key) {
    let answer = running.server().admin.request("DELETE", &format!("/v1/api-keys/{}?wait=60s", key.id), &[], "");
    // One that has ended is missing, and those that are there have heard of it.
    assert!([200, 202].contains(&answer.status), "{}", answer.body);
}

/// Statuses of a key and how often each was answered, while something happens. The application notes requests in their
/// order, so one client asks.
fn status(running: &Running, question: &Question) -> u16 {
    let answer = question.ask(running);
    running.application.seen();
    answer.status
}

pub fn revocations_and_reloads_under_traffic(gateway: &'static Gateway) {
    let inside = gateway.inside.as_ref().expect("bulla is inside");
    let mut running = Running::start_as(gateway, inside.prepare, &[], |_| {});
    let keys = ready(&running);
    if inside.processes > 1 {
        all_report(&running, inside.processes);
    }
    let (over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let good = Question::new(&keys.good, "/orders/7").bearer();
    let forged = Question::new(&keys.forged, "/orders/7").bearer();
    std::thread::scope(|scope| {
        let (http, over, asked) = (running.http.clone(), &over, &asked);
        let traffic = scope.spawn(move || {
            let mut wrong = Vec::new();
            while !over.load(Ordering::Relaxed) {
                for (question, expected) in [(&good, 200), (&forged, 401)] {
                    let status = question.ask_at(&http).status;
                    if status != expected {
                        wrong.push((status, expected));
                    }
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            }
            wrong
        });
        let _stop = StopOnDrop(over);
        let revoked = Question::new(&keys.revoked, "/orders/7").bearer();
        assert_eq!(status(&running, &revoked), 200, "before it is revoked");
        revoke(&running, &keys.revoked);
        refused_by_all(&running, &revoked);
        let before = asked.load(Ordering::Relaxed);
        (inside.reload)(&mut running);
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline && asked.load(Ordering::Relaxed) < before + 200 {
            assert_ne!(status(&running, &revoked), 200, "a revoked key after a reload: {}", running.log());
        }
        over.store(true, Ordering::Relaxed);
        let wrong = traffic.join().expect("traffic");
        // A reload may answer 503 until the new process has heard the feed, and never lets in or refuses by mistake.
        let mistaken: Vec<_> = wrong.iter().filter(|(status, expected)| *status != 503 || *expected == 401).collect();
        assert!(mistaken.is_empty(), "{mistaken:?} of {}: {}", asked.load(Ordering::Relaxed), running.log());
    });
    // The new one hears of revocations, too.
    table::until_it_reaches(&running, &Question::new(&keys.orders, "/orders/7").bearer());
    revoke(&running, &keys.orders);
    let acknowledged = Instant::now();
    while status(&running, &Question::new(&keys.orders, "/orders/7").bearer()) == 200 {
        assert!(acknowledged.elapsed() < PROPAGATION, "after a reload a revoked key is accepted: {}", running.log());
    }
}

fn state_that_gets_old(gateway: &'static Gateway) {
    let max_stale = format!("max_stale = \"{}s\"", MAX_STALE.as_secs());
    let strict = |edge: &Edge| edge.configure("max_stale = \"1h\"", &max_stale);
    let mut running = Running::start_as(gateway, gateway.prepare, &[], strict);
    let keys = ready(&running);
    let good = Question::new(&keys.good, "/orders/7").bearer();
    running.kill_server();
    table::until(&running, &good, "503");
    assert_eq!(outcome(&running, &Question::new(&keys.forged, "/orders/7").bearer()), NO_KEY);
    running.start_server();
    table::until_it_reaches(&running, &good);
}

/// With `on_stale = "serve"` old state goes on to count, revocations included.
fn old_state_that_may_serve(gateway: &'static Gateway) {
    let lasting = |edge: &Edge| {
        edge.configure("max_stale = \"1h\"", &format!("max_stale = \"{}s\"", MAX_STALE.as_secs()));
        edge.configure("on_stale = \"refuse\"", "on_stale = \"serve\"");
    };
    let mut running = Running::start_as(gateway, gateway.prepare, &[], lasting);
    let keys = ready(&running);
    let [good, revoked] = [&keys.good, &keys.revoked].map(|key| Question::new(key, "/orders/7").bearer());
    revoke(&running, &keys.revoked);
    refused_by_all(&running, &revoked);
    running.kill_server();
    let begun = Instant::now();
    while begun.elapsed() < MAX_STALE * 2 {
        assert_eq!(outcome(&running, &good), REACHES, "{:?} old: {}", begun.elapsed(), running.log());
        assert_ne!(status(&running, &revoked), 200, "a revoked key: {}", running.log());
    }
}

fn keys_that_rotate(gateway: &'static Gateway) {
    let running = Running::start(gateway);
    let keys = ready(&running);
    let uri = running.deployment.new_master(2);
    running.deployment.keyring(&["stage", "--source", &uri]);
    running.deployment.keyring(&["activate", "2"]);
    running.edge().export(&running.deployment, "live");
    running.server().signal("HUP");
    let new = Keys::issue(&running.deployment);
    table::until_it_reaches(&running, &Question::new(&new.good, "/orders/7").bearer());
    assert_eq!(outcome(&running, &Question::new(&keys.good, "/orders/7").bearer()), REACHES);
}

fn what_is_no_request(gateway: &'static Gateway) {
    let running = Running::start(gateway);
    let keys = ready(&running);
    let orders = || Question::new(&keys.good, "/orders/7");
    let long = "x".repeat(100 * 1024);
    let questions = [
        orders().with("Authorization", &format!("Bearer {long}")),
        orders().with("X-API-Key", &long),
        orders().with("Authorization", &format!("Basic {long}")),
        orders().with("Authorization", "Bearer \u{7f}\u{80}\u{ff}"),
        orders().with("Authorization", "Basic ====\u{e9}"),
        orders().with("X-API-Key", &format!("{}\u{e9}", keys.good.text)),
        orders().with("Authorization", "\t, ,:;=\"'\\%00%0d%0a"),
    ];
    for question in &questions {
        let answer = question.ask(&running);
        assert!((400..500).contains(&answer.status) || answer.status == 0, "{}: {}", answer.status, running.log());
        assert!(running.application.seen().is_empty(), "it reaches the application");
    }
    assert_eq!(outcome(&running, &orders().bearer()), REACHES);
}

fn panics(gateway: &'static Gateway) {
    let running = Running::start_with(gateway, &[("realm:live,scope:orders.read", "panic")]);
    let keys = Keys::issue(&running.deployment);
    let right = Question::new(&keys.good, "/reports/7").x_api_key();
    table::until_it_reaches(&running, &right);
    let panicking = Question::new(&keys.good, "/orders/7").x_api_key();
    for _ in 0..50 {
        assert_eq!(outcome(&running, &panicking), "503", "{}", running.log());
        assert_eq!(outcome(&running, &right), REACHES, "beside a panic: {}", running.log());
    }
    assert!(!running.log().contains(&keys.good.text), "a key in the log: {}", running.log());
}
