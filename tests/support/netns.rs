//! Hosts of their own on this machine: network namespaces with a cable to a common switch. A cable can be pulled out,
//! and the switch can be divided; what was on its way is lost without a word. That takes root.

use std::{
    collections::BTreeSet,
    fs::File,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::Command,
    sync::atomic::{AtomicU8, AtomicU32, Ordering},
    thread,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::programs::{find, run, try_run};

/// A switch and what is plugged into it. Nothing of it touches the machine's own network.
pub struct Network {
    switch: String,
    hosts: AtomicU8,
}

/// A machine of its own, as far as the network goes: it shares disks and processes with all others.
pub struct Host {
    name: String,
    switch: String,
    port: String,
    /// Its address.
    pub address: String,
}

const BRIDGES: [&str; 2] = ["left", "right"];

impl Network {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        require_root();
        remove_stale();
        let switch = format!("bulla-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        ip(&["netns", "add", &switch]);
        for bridge in BRIDGES {
            ip(&["-n", &switch, "link", "add", bridge, "type", "bridge", "stp_state", "0", "forward_delay", "0"]);
            ip(&["-n", &switch, "link", "set", bridge, "up"]);
        }
        Network { switch, hosts: AtomicU8::new(0) }
    }

    /// Plugs a new host in.
    pub fn host(&self) -> Host {
        let number = self.hosts.fetch_add(1, Ordering::Relaxed) + 1;
        let (name, port) = (format!("{}-{number}", self.switch), format!("port{number}"));
        let address = format!("10.77.0.{number}");
        ip(&["netns", "add", &name]);
        ip(&["-n", &name, "link", "add", "eth0", "type", "veth", "peer", "name", &port, "netns", &self.switch]);
        ip(&["-n", &self.switch, "link", "set", &port, "master", BRIDGES[0], "up"]);
        ip(&["-n", &name, "address", "add", &format!("{address}/24"), "dev", "eth0"]);
        for link in ["lo", "eth0"] {
            ip(&["-n", &name, "link", "set", link, "up"]);
        }
        Host { name, switch: self.switch.clone(), port, address }
    }

    /// Divides the network: these hosts see each other, the rest sees the rest, and nobody is told.
    pub fn divide(&self, apart: &[&Host]) {
        for host in apart {
            ip(&["-n", &self.switch, "link", "set", &host.port, "master", BRIDGES[1]]);
        }
    }

    /// Ends that.
    pub fn heal(&self, apart: &[&Host]) {
        for host in apart {
            ip(&["-n", &self.switch, "link", "set", &host.port, "master", BRIDGES[0]]);
        }
    }
}

impl Host {
    /// Pulls its cable out.
    pub fn cut(&self) {
        ip(&["-n", &self.switch, "link", "set", &self.port, "down"]);
    }

    /// Plugs it in again.
    pub fn heal(&self) {
        ip(&["-n", &self.switch, "link", "set", &self.port, "up"]);
    }

    /// The same program with the same arguments, environment and folder, on this host.
    pub fn on(&self, command: &Command) -> Command {
        let mut here = Command::new(find("ip"));
        here.args(["netns", "exec", &self.name]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => here.env(name, value),
                None => here.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            here.current_dir(folder);
        }
        here
    }

    /// Acts on a thread whose sockets, and whose threads' sockets, are this host's.
    pub fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(Path::new("/run/netns").join(&self.name)).expect("the namespace");
        thread::scope(|scope| {
            let acting = scope.spawn(move || {
                use std::os::fd::AsFd;
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("root");
                act()
            });
            acting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Established TCP connections, their own port and the other's.
    pub fn connections(&self) -> Vec<(u16, u16)> {
        let second = |pair: &str| u64::from_str_radix(pair.split(':').nth(1).expect("a port"), 16).expect("a number");
        let port = |end: &str| u16::try_from(second(end)).expect("a port");
        self.established(|row| (port(row[1]), port(row[2])))
    }

    /// Bytes that were written to these connections, and that the other end has not taken.
    pub fn unsent(&self) -> u64 {
        let first = |pair: &str| u64::from_str_radix(pair.split(':').next().expect("a queue"), 16).expect("a number");
        self.established(|row| first(row[4])).into_iter().sum()
    }

    fn established<T>(&self, of_row: impl Fn(&[&str]) -> T) -> Vec<T> {
        let table = self.inside(|| std::fs::read_to_string("/proc/thread-self/net/tcp").expect("its connections"));
        let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
        rows.filter(|row| row[3] == "01").map(|row| of_row(&row)).collect()
    }

    /// Lets this host's `port` lead to a server on the machine itself, for as long as the process runs.
    pub fn lead(&self, port: u16, to: SocketAddr) {
        let address = format!("{}:{port}", self.address);
        let listener = self.inside(|| TcpListener::bind(&address)).expect("a free port");
        // The listener and its connections are the host's, wherever they are used; this thread's own are the machine's.
        thread::spawn(move || {
            for here in listener.incoming().flatten() {
                let Ok(there) = TcpStream::connect(to) else { continue };
                // What one side sends in two parts does not wait for the other side's acknowledgement.
                [&here, &there].into_iter().for_each(|stream| stream.set_nodelay(true).expect("an option"));
                carry(&here, &there);
                carry(&there, &here);
            }
        });
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Its processes keep the namespace for as long as they run.
        let _gone = try_run(Command::new(find("ip")).args(["netns", "del", &self.name]));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _gone = try_run(Command::new(find("ip")).args(["netns", "del", &self.switch]));
    }
}

/// Copies what one connection sends to another, and closes both at the end.
fn carry(from: &TcpStream, into: &TcpStream) {
    let [mut from, mut into] = [from, into].map(|stream| stream.try_clone().expect("a descriptor"));
    thread::spawn(move || {
        let _ended = std::io::copy(&mut from, &mut into);
        let _closed = [&from, &into].map(|stream| stream.shutdown(Shutdown::Both));
    });
}

fn ip(arguments: &[&str]) {
    run(Command::new(find("ip")).args(arguments));
}

fn require_root() {
    let is_root = rustix::process::geteuid().is_root();
    assert!(
        is_root,
        "hosts of their own need root, and `ip netns` to be allowed: run the tests as root, or with `sudo -E`"
    );
}

/// Removes what a killed run of the tests has left behind.
fn remove_stale() {
    let known = run(Command::new(find("ip")).args(["netns", "list"]));
    let names: BTreeSet<&str> = known.lines().filter_map(|line| line.split(' ').next()).collect();
    for name in names.into_iter().filter(|name| name.starts_with("bulla-")) {
        let owner = name.split('-').nth(1).unwrap_or_default();
        if !Path::new("/proc").join(owner).exists() {
            // Another run may remove it at the same moment.
            let _gone = try_run(Command::new(find("ip")).args(["netns", "del", name]));
        }
    }
}
