//! A running `bulla serve` on free ports, stopped when dropped.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{command::bulla, deployment::Deployment, described::Plane, http::Http};

/// How long anything may take that takes milliseconds; a deadline, not an expectation.
const TIMEOUT: Duration = Duration::from_secs(120);

/// How long what is promised within a second may take on a busy machine. It is less than what it might wait for by
/// mistake: a key source is asked for 30 s.
const AT_ONCE: Duration = Duration::from_secs(25);

pub struct Server {
    child: Child,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    /// Whether its log is not read for now.
    stalled: Arc<AtomicBool>,
    pub data: Http,
    pub admin: Http,
    pub metrics: Http,
}

impl Server {
    pub fn start(deployment: &Deployment) -> Self {
        Self::start_with(deployment, &[])
    }

    /// Starts with further environment variables.
    pub fn start_with(deployment: &Deployment, environment: &[(&str, &str)]) -> Self {
        Self::start_on("127.0.0.1:0", deployment, environment)
    }

    /// Starts with the data plane on `listen`.
    pub fn start_on(listen: &str, deployment: &Deployment, environment: &[(&str, &str)]) -> Self {
        let mut serve = bulla(deployment.path());
        serve.args(["serve", "--data-listen", listen]);
        Self::start_as(serve, &deployment.admin_key, environment)
    }

    /// Starts below limits of open files, as `ulimit` takes them.
    pub fn start_limited(limit: &str, deployment: &Deployment) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit {limit} && exec \"$0\" serve --data-listen 127.0.0.1:0 \"$@\"")]);
        shell.arg(bulla(deployment.path()).get_program()).current_dir(deployment.path()).env_remove("BULLA_CONFIG");
        Self::start_as(shell, &deployment.admin_key, &[])
    }

    /// Starts what `serve` starts, with the admin plane and the metrics on ports of their own.
    pub fn start_as(mut serve: Command, admin_key: &str, environment: &[(&str, &str)]) -> Self {
        let mut child = serve
            .args(["--admin-listen", "127.0.0.1:0"])
            .env("BULLA_METRICS__LISTEN", "127.0.0.1:0")
            .envs(environment.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .expect("bulla starts");
        let log = Arc::new(Mutex::new(String::new()));
        let (found, serving) = mpsc::channel();
        let stalled = Arc::new(AtomicBool::new(false));
        let reader = {
            let (log, stderr) = (Arc::clone(&log), child.stderr.take().expect("its log"));
            // Little, so that a log that is not read is full soon.
            rustix::pipe::fcntl_setpipe_size(&stderr, 4096).expect("a small pipe");
            let (lines, stalled) = (BufReader::new(stderr).lines(), Arc::clone(&stalled));
            std::thread::spawn(move || {
                for line in lines.map_while(Result::ok) {
                    log.lock().expect("the log").push_str(&format!("{line}\n"));
                    let event: Value = serde_json::from_str(&line).unwrap_or_default();
                    if event["message"] == "serving" {
                        let _started_already = found.send(event);
                    }
                    while stalled.load(Ordering::Relaxed) {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                }
            })
        };
        let Ok(event) = serving.recv_timeout(TIMEOUT) else {
            let _gone = child.kill();
            panic!("the server does not serve: {}", log.lock().expect("the log"));
        };
        let url = |name: &str| Http::new(event[name].as_str().expect("an address"));
        Server {
            data: url("data").of(Plane::Data),
            admin: url("admin").of(Plane::Admin).bearer(admin_key),
            metrics: url("metrics"),
            child,
            log,
            reader: Some(reader),
            stalled,
        }
    }

    /// Where its description is, which is held to nothing.
    pub fn described_at(&self) -> Http {
        Http::new(&self.admin.address)
    }

    /// The log so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("the log").clone()
    }

    /// Leaves the log unread, or goes on reading it.
    pub fn stall_log(&self, stalled: bool) {
        self.stalled.store(stalled, Ordering::Relaxed);
    }

    /// Waits until `done`, which takes milliseconds or a refresh.
    pub fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        self.wait_for(TIMEOUT, what, done);
    }

    /// Waits until `done`, which is promised within a second, whatever else the service waits for.
    pub fn within(&self, what: &str, done: impl Fn(&Self) -> bool) {
        self.wait_for(AT_ONCE, what, done);
    }

    fn wait_for(&self, limit: Duration, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + limit;
        while !done(self) {
            assert!(Instant::now() < deadline, "{what} did not happen in {limit:?}: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The memory that it has in use, in KiB.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        let sent =
            std::process::Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Waits for the end; the exit code and the whole log.
    pub fn wait(mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + TIMEOUT;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("its state") {
                break status;
            }
            assert!(Instant::now() < deadline, "the server does not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        };
        self.stall_log(false);
        self.reader.take().expect("the reader").join().expect("the log was read");
        (status.code(), self.log())
    }

    /// Stops as an operator would, and returns the whole log.
    pub fn stop(self) -> String {
        self.signal("TERM");
        let (code, log) = self.wait();
        assert_eq!(code, Some(0), "{log}");
        log
    }

    /// The value of one metric line, such as `bulla_verify_accepted_total{version="1"}`.
    pub fn metric(&self, name: &str) -> u64 {
        let page = self.metrics.get("/metrics").body;
        let line =
            page.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_else(|| panic!("{name}: {page}"));
        line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}
