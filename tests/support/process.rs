//! Servers under test: each ends with this process, even if that is killed.

use std::{
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Mutex, OnceLock, mpsc},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};

pub use super::postgres::ports::free_port;

/// A running server, and the processes that it starts: they are one process group.
pub struct Process(Child);

type Order = (Command, mpsc::Sender<Child>);

impl Process {
    /// Starts `program` with `arguments`; its output goes to `log`.
    pub fn start(program: &Path, prepare: impl FnOnce(&mut Command), log: &Path) -> Process {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program);
        prepare(command.process_group(0));
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log).expect("a log file");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log file")).stderr(log);
        let (send, receive) = mpsc::channel();
        starter().send((command, send)).expect("the starter runs for ever");
        Process(receive.recv().expect("it starts"))
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Ends it at once, as a crash would, with everything that it started: workers of nginx, for one, outlive their
    /// master.
    pub fn kill(&mut self) {
        // All of them may have ended already.
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A thread that starts all servers: the system ends them when the thread that started them ends, and a test's thread
/// ends with the test.
fn starter() -> mpsc::Sender<Order> {
    static STARTER: OnceLock<Mutex<mpsc::Sender<Order>>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (send, receive) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, reply) in receive {
                let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
                reply.send(child).expect("the test waits");
            }
        });
        Mutex::new(send)
    });
    starter.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
}

/// Two ports that nobody uses, one after the other; the first of them.
pub fn free_pair_of_ports() -> u16 {
    let mut first = free_port();
    loop {
        match free_port() {
            second if second == first + 1 => return first,
            second => first = second,
        }
    }
}

/// Waits until `ready` says so.
pub fn wait_until(what: &str, log: &Path, ready: impl FnMut() -> bool) {
    wait_until_within(60, what, log, ready);
}

/// The same for a server that takes longer, within so many seconds.
pub fn wait_until_within(seconds: u64, what: &str, log: &Path, mut ready: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while !ready() {
        let said = || std::fs::read_to_string(log).unwrap_or_default();
        assert!(Instant::now() < deadline, "{what} did not come up within {seconds} s: {}", said());
        thread::sleep(Duration::from_millis(50));
    }
}

/// Whether something listens there.
pub fn listens(port: u16) -> bool {
    std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
}
