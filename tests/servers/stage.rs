//! A server at work: before an application, beside a service, with the file of the page.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    gateways::application::Application,
    support::{
        deployment::{APP, Deployment},
        http::Http,
        process::{self, Process},
        programs,
        server::Server,
    },
};

pub struct Stage {
    pub deployment: Deployment,
    pub server: Server,
    pub application: Application,
    /// The server under test.
    pub http: Http,
    pub port: u16,
    helper_port: u16,
    folder: tempfile::TempDir,
    processes: Vec<Process>,
}

impl Stage {
    /// With a deployment that was configured for the server.
    pub fn new(deployment: Deployment) -> Self {
        deployment.configure("trusted_proxies = []", "trusted_proxies = [\"127.0.0.1\"]");
        let folder = tempfile::tempdir().expect("a folder");
        // Some servers give up root.
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).expect("for all");
        let (port, helper_port) = (process::free_port(), process::free_port());
        Stage {
            server: Server::start(&deployment),
            application: Application::start(),
            http: Http::new(&format!("127.0.0.1:{port}")),
            deployment,
            port,
            helper_port,
            folder,
            processes: Vec::new(),
        }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Copies a file of the page, with the ports and folders of the test; further changes go before.
    pub fn place(&self, name: &str, changes: &[(&str, &str)]) -> PathBuf {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples/servers").join(name);
        let mut text = fs::read_to_string(page).expect("the file of the page");
        let here = self.folder.path().display().to_string();
        let service = self.server.data.address.rsplit(':').next().expect("a port").to_owned();
        let bulla = env!("CARGO_BIN_EXE_bulla");
        let (own, helper, behind) =
            (self.port.to_string(), self.helper_port.to_string(), self.application.port.to_string());
        let ports = [("8080", own.as_str()), ("9181", &helper), ("8181", &service), ("9000", &behind)];
        let folders = [("/var/lib/gateway", here.as_str()), ("/usr/bin/bulla", bulla)];
        let all = [changes, &ports, &folders].concat();
        // In two steps, as what is put in may hold what is looked for.
        for (at, (from, _)) in all.iter().enumerate() {
            text = text.replace(from, &format!("\0{at}\0"));
        }
        for (at, (_, to)) in all.iter().enumerate() {
            text = text.replace(&format!("\0{at}\0"), to);
        }
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("written");
        path
    }

    /// Starts a program, and waits until it listens.
    pub fn start(&mut self, program: &Path, port: u16, prepare: impl FnOnce(&mut Command)) {
        let log = self.folder.path().join("log");
        self.processes.push(Process::start(program, prepare, &log));
        // Erlang takes its time on a busy machine.
        process::wait_until_within(120, &program.display().to_string(), &log, || process::listens(port));
    }

    /// `bulla helper fastcgi`, as the file says.
    pub fn start_helper(&mut self) {
        let (listen, server) =
            (format!("127.0.0.1:{}", self.helper_port), format!("http://{}", self.server.data.address));
        self.start(Path::new(env!("CARGO_BIN_EXE_bulla")), self.helper_port, |command| {
            let required = "realm:live,scope:orders.read";
            command.args(["helper", "fastcgi", "--listen", &listen, "--server", &server, "--require", required]);
        });
    }

    pub fn find(name: &str) -> PathBuf {
        programs::find(name)
    }

    /// What a client gets, and what the application saw of it.
    pub fn get(&self, path: &str, headers: &[(&str, &str)]) -> (u16, Option<String>) {
        let answer = self.http.request("GET", path, headers, "");
        (answer.status, answer.header("www-authenticate").map(str::to_owned))
    }

    /// The status for a client at another address than the server's, which names it to the service.
    pub fn get_from(&self, address: &str, path: &str, headers: &[&str]) -> String {
        let mut curl = Command::new(programs::find("curl"));
        curl.args(["--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--interface", address]);
        curl.args(headers.iter().flat_map(|header| ["--header", header]));
        programs::run(curl.arg(format!("http://{}{path}", self.http.address)))
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub fn issue(&self, more: &[&str]) -> String {
        self.deployment.issue_text("live", more)
    }

    pub fn revoke(&self, key: &str) {
        let revoked = self.server.data.request("POST", "/v1/self-revoke", &[("x-api-key", key)], "");
        assert_eq!(revoked.status, 200, "{}", revoked.body);
    }

    /// A good key reaches the application as its app, without the key; no other request does.
    pub fn hold_orders(&self, carries: impl Fn(&str) -> Vec<(&'static str, String)>, refused: u16) {
        self.hold_orders_where(true, carries, refused);
    }

    /// The same, where the server may be unable to remove the key.
    pub fn hold_orders_where(
        &self,
        removes_key: bool,
        carries: impl Fn(&str) -> Vec<(&'static str, String)>,
        refused: u16,
    ) {
        let (good, poor, gone) =
            (self.issue(&["--scope", "orders.read"]), self.issue(&[]), self.issue(&["--scope", "orders.read"]));
        self.revoke(&gone);
        let ask = |headers: Vec<(&'static str, String)>| {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            self.get("/orders/7", &headers)
        };
        let forged = ("x-bulla-app-id", "forged".to_owned());
        let (status, _) = ask([carries(&good), vec![forged.clone()]].concat());
        assert_eq!(status, 200, "{}", self.log());
        let seen = self.application.seen();
        assert!(!seen.is_empty(), "the request arrives");
        // Under load the application behind squid saw the same GET twice. A proxy may send one again (RFC 9110, 9.2.2).
        for request in &seen {
            assert!(request.all("x-bulla-app-id").iter().all(|value| *value == APP), "{request:?}");
            let arrives = request.headers.iter().any(|(_, value)| value.contains(&good));
            assert_eq!(!arrives, removes_key, "the key ends at the server: {request:?}");
        }
        for (headers, what) in
            [(vec![], "no key"), (carries("live_nothing"), "no real key"), (carries(&gone), "a revoked key")]
        {
            assert_eq!(ask(headers).0, refused, "{what}: {}", self.log());
        }
        assert!([403, refused].contains(&ask(carries(&poor)).0), "without the scope: {}", self.log());
        assert!(self.application.seen().is_empty(), "nothing else arrived");
        self.revoke(&good);
        self.server.until("the end of what the server remembers", |_| ask(carries(&good)).0 == refused);
    }
}
