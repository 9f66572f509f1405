//! `cargo bench -p bulla-server --bench propagation`: how long after its acknowledgement a revocation is in force
//! everywhere. Three nodes on one PostgreSQL, and two edges and one gate in this process, as modules in gateways have
//! it, that follow them, each on a host of its own (network namespaces: run it as root), all on the cores of this
//! machine. 1,000 revocations, each at one of the nodes in turn; quiet, and while every verifier verifies 5,000 keys a
//! second. Times are taken from the acknowledgement, and from when the revocation was asked for. "Everywhere" is at the
//! nodes and edges; the gate has figures of its own.
//!
//! A watcher asks each verifier for the key that is revoked, every millisecond, from before the revocation until it is
//! refused. So a watched verifier answers up to 1,000 questions a second more than the load, and no time is better than
//! that.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code, unreachable_pub)]

#[path = "support/asking.rs"]
mod asking;
#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use asking::Asking;
use bulla::gateway::{Answer, Gate, Presented, Settings, now};
use support::{
    authority::Authority,
    deployment::Deployment,
    netns::{Host, Network},
    on_hosts::{EdgeOn, Node, PORT},
    postgres::Postgres,
};

const REVOCATIONS: usize = 1_000;
/// Verifies a second at each node and edge under load, and how many are asked in one go.
const LOAD: u32 = 5_000;
const AT_ONCE: u32 = 10;
/// Between two questions of a watcher.
const GLANCE: Duration = Duration::from_millis(1);
/// Between two revocations.
const PAUSE: Duration = Duration::from_millis(5);

fn main() {
    let (network, authority) = (Network::new(), Authority::new("servers"));
    // It waits for its disk, as it would.
    let postgres = Postgres::start(&[]);
    let store = network.host();
    store.lead(5432, ([127, 0, 0, 1], postgres.port()).into());
    let database = postgres.new_database();
    let deployment = Deployment::on_store(&postgres.url(&database));
    let url = format!("postgres://postgres@{}:5432/{database}?sslmode=disable", store.address);
    let [a, b, c, near, far, inside] = [(); 6].map(|()| network.host());
    let nodes = [&a, &b, &c].map(|host| Node::start(host, &deployment, &authority, &[("BULLA_STORE__URL", &url)]));
    // Not held to the description, which takes time.
    let admins = nodes.each_ref().map(|node| node.server.described_at().bearer(&deployment.admin_key));
    let edges = [&near, &far].map(|host| EdgeOn::new(&deployment, &authority, host, &[&a, &b, &c]));
    let edges = edges.each_ref().map(EdgeOn::start);
    let good = text(&nodes[0]);
    let files = EdgeOn::new(&deployment, &authority, &inside, &[&a, &b, &c]).files;
    let gate = Gate::open(&Settings::read(&files.file("bulla.toml")).expect("settings")).expect("opened");
    // Its threads are that host's.
    let _running = inside.inside(|| gate.start().expect("started"));
    while !in_gateway(&gate)(&[&good])[0] {
        thread::sleep(Duration::from_millis(50));
    }
    while !edges.iter().all(|edge| edge.is_well()) {
        thread::sleep(Duration::from_millis(50));
    }
    let mut verifiers: Vec<(&Host, String, Option<&Authority>)> =
        nodes.iter().map(|node| (node.host, format!("{}:{PORT}", node.host.address), Some(&authority))).collect();
    verifiers.extend(edges.iter().map(|edge| (edge.host, edge.server.data.address.clone(), None)));
    // The gate is the last one.
    let open = |at: usize| match verifiers.get(at) {
        Some((host, address, authority)) => asked(Asking::open(host, address, *authority)),
        None => in_gateway(&gate),
    };
    let watchers: Vec<Watcher> = (0..=verifiers.len()).map(|at| Watcher::start(open(at))).collect();
    for (name, load) in [("quiet", 0), ("under load", LOAD)] {
        let loads: Vec<Load> = (0..=verifiers.len()).map(|at| Load::start(open(at), good.clone(), load)).collect();
        let [mut everywhere, mut at_nodes, mut at_gate, mut since_asked] =
            [(); 4].map(|()| Vec::with_capacity(REVOCATIONS));
        let begun = Instant::now();
        for at in 0..REVOCATIONS {
            let node = &nodes[at % nodes.len()];
            let key = node.issue();
            let shown = key["api_key"].as_str().expect("an API key");
            watchers.iter().for_each(|watcher| watcher.watch(shown));
            let path = format!("/v1/api-keys/{}", key["api_key_id"].as_str().expect("an id"));
            let (asked, acknowledged) = node.host.inside(|| {
                let asked = Instant::now();
                let answer = admins[at % nodes.len()].request("DELETE", &path, &[], "");
                assert!(answer.status < 300, "{}", answer.body);
                (asked, Instant::now())
            });
            let refused: Vec<Instant> = watchers.iter().map(Watcher::refused).collect();
            let since =
                |from: Instant| refused.iter().map(move |at| at.saturating_duration_since(from).as_secs_f64() * 1e3);
            since_asked.push(since(asked).take(verifiers.len()).fold(0.0, f64::max));
            let mut took: Vec<f64> = since(acknowledged).collect();
            at_gate.extend(took.pop());
            at_nodes.push(took[..nodes.len()].iter().copied().fold(0.0, f64::max));
            everywhere.push(took.iter().copied().fold(0.0, f64::max));
            thread::sleep(PAUSE);
        }
        let seconds = begun.elapsed().as_secs_f64();
        let verified: Vec<f64> = loads.into_iter().map(|load| load.stop() as f64 / seconds).collect();
        println!(
            "\n{name}: {REVOCATIONS} revocations in {seconds:.0} s; verifies a second beside them: {verified:.0?}"
        );
        for (who, times) in [
            ("everywhere", &mut everywhere),
            ("at all nodes", &mut at_nodes),
            ("in a gateway", &mut at_gate),
            ("everywhere, since it was asked for", &mut since_asked),
        ] {
            times.sort_by(f64::total_cmp);
            let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
            println!(
                "  refused {who}, ms: p50 {:.1}, p90 {:.1}, p99 {:.1}, at most {:.1}",
                at(0.5),
                at(0.9),
                at(0.99),
                at(1.0)
            );
            for percent in 0..=100 {
                println!("plot\t{name}, {who}\t{percent}\t{:.2}", at(f64::from(percent) / 100.0));
            }
        }
    }
}

fn text(node: &Node<'_>) -> String {
    node.issue()["api_key"].as_str().expect("an API key").to_owned()
}

/// Whether a verifier accepts each of these keys.
type Accepts = Box<dyn FnMut(&[&str]) -> Vec<bool> + Send>;

fn asked(mut asking: Asking) -> Accepts {
    Box::new(move |keys| asking.accepts(keys))
}

/// As a module in a gateway checks them.
fn in_gateway(gate: &Gate) -> Accepts {
    let (gate, wanted, mut answer) = (gate.clone(), gate.requirements("realm:live").expect("a realm"), Answer::new());
    let mut accepts = move |key: &str| {
        let mut presented = Presented::new(&wanted);
        presented.add(b"X-API-Key", key.as_bytes());
        gate.check(&wanted, &presented, None, now(), &mut answer);
        answer.is_accepted()
    };
    Box::new(move |keys| keys.iter().map(|key| accepts(key)).collect())
}

/// Asks one verifier for a key until it refuses it.
struct Watcher {
    keys: mpsc::Sender<String>,
    times: mpsc::Receiver<Instant>,
}

impl Watcher {
    fn start(mut accepts: Accepts) -> Self {
        let (keys, asked) = mpsc::channel::<String>();
        let (found, times) = mpsc::channel();
        thread::spawn(move || {
            for key in asked {
                assert!(accepts(&[&key])[0], "a key that is not revoked is accepted");
                if found.send(Instant::now()).is_err() {
                    return;
                }
                while accepts(&[&key])[0] {
                    thread::sleep(GLANCE);
                }
                if found.send(Instant::now()).is_err() {
                    return;
                }
            }
        });
        Watcher { keys, times }
    }

    /// Looks at this key from now on; it is accepted when this returns.
    fn watch(&self, key: &str) {
        self.keys.send(key.to_owned()).expect("it watches");
        self.times.recv().expect("it watches");
    }

    /// When it was refused.
    fn refused(&self) -> Instant {
        self.times.recv_timeout(Duration::from_secs(60)).expect("it is refused")
    }
}

/// Verifies a good key so many times a second.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    thread: thread::JoinHandle<()>,
}

impl Load {
    fn start(mut accepts: Accepts, key: String, a_second: u32) -> Self {
        let (stop, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&done));
        let thread = thread::spawn(move || {
            if a_second == 0 {
                return;
            }
            let (keys, begun) = (vec![key.as_str(); AT_ONCE as usize], Instant::now());
            for turn in 1_u32.. {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                assert!(accepts(&keys).iter().all(|accepted| *accepted), "a good key is accepted");
                counted.fetch_add(u64::from(AT_ONCE), Ordering::Relaxed);
                let due = begun + Duration::from_secs(1) * (turn * AT_ONCE) / a_second;
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
        });
        Load { stop, done, thread }
    }

    /// How many it did.
    fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("it ends");
        self.done.load(Ordering::Relaxed)
    }
}
