//! A gateway at work: between a client and the application, asking a service of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::gateways::{application::Application, gateway::Gateway};
use crate::support::{
    deployment::Deployment,
    edge::Edge,
    http::Http,
    process::{self, Process},
    programs,
    server::Server,
};

/// The time limits of the pages, and those that no busy machine reaches.
const PATIENT: [(&str, &str); 8] = [
    ("proxy_connect_timeout 1s", "proxy_connect_timeout 60s"),
    ("proxy_read_timeout 5s", "proxy_read_timeout 60s"),
    ("dial_timeout 1s", "dial_timeout 60s"),
    ("response_header_timeout 5s", "response_header_timeout 60s"),
    ("timeout: 5s", "timeout: 60s"),
    ("TIMEOUT = 2500", "TIMEOUT = 60000"),
    ("timeout connect 2s", "timeout connect 60s"),
    ("timeout server 30s", "timeout server 90s"),
];

pub struct Running {
    pub gateway: &'static Gateway,
    pub application: Application,
    pub deployment: Deployment,
    /// What it verifies with, where bulla is inside.
    edge: Option<Edge>,
    /// The gateway, without TLS.
    pub http: Http,
    tls_port: u16,
    server: Option<Server>,
    /// Where the service is, also when it is started again.
    data: String,
    process: Process,
    folder: TempDir,
}

impl Running {
    pub fn start(gateway: &'static Gateway) -> Self {
        Self::start_with(gateway, &[])
    }

    /// Starts with further changes to the gateway's files.
    pub fn start_with(gateway: &'static Gateway, changes: &[(&str, &str)]) -> Self {
        Self::start_as(gateway, gateway.prepare, changes, |_| {})
    }

    /// The same with the page's own time limits, of a gateway whose bulla is to hang.
    pub fn start_impatient(gateway: &'static Gateway, changes: &[(&str, &str)]) -> Self {
        Self::start_within(gateway, gateway.prepare, changes, |_| {}, &[])
    }

    /// Starts by another command, and with further changes to the edge's folder where bulla is inside.
    pub fn start_as(
        gateway: &'static Gateway,
        prepare: fn(&mut Command, &Path),
        changes: &[(&str, &str)],
        change_edge: impl FnOnce(&Edge),
    ) -> Self {
        Self::start_within(gateway, prepare, changes, change_edge, &PATIENT)
    }

    fn start_within(
        gateway: &'static Gateway,
        prepare: fn(&mut Command, &Path),
        changes: &[(&str, &str)],
        change_edge: impl FnOnce(&Edge),
        limits: &[(&str, &str)],
    ) -> Self {
        let program = programs::find(gateway.program);
        let deployment = deployment();
        let data = if gateway.socket {
            format!("unix:{}", socket(&deployment))
        } else {
            format!("127.0.0.1:{}", process::free_port())
        };
        let server = Server::start_on(&data, &deployment, &[]);
        let edge = gateway.inside.as_ref().map(|_| Edge::new(&deployment, &[&format!("http://{data}")], &["live"]));
        edge.as_ref().map(change_edge);
        let application = Application::start();
        let folder = tempfile::tempdir().expect("a folder");
        let (port, tls_port) = (process::free_port(), process::free_port());
        let service = data.rsplit(':').next().expect("a port").to_owned();
        let (listen, tls, behind) = (port.to_string(), tls_port.to_string(), application.port.to_string());
        let socket = socket(&deployment);
        let ports = [
            ("8080", listen.as_str()),
            ("8443", &tls),
            ("8181", &service),
            ("9000", &behind),
            ("/run/bulla/data.sock", &socket),
        ];
        let inside = gateway.inside.as_ref().zip(edge.as_ref()).map(|(inside, edge)| inside.places(edge));
        let places: Vec<_> = inside.iter().flatten().map(|(from, to)| (*from, to.as_str())).collect();
        // What is added asks the application, too.
        let added: Vec<_> = changes.iter().map(|(_, to)| to.replace(":9000", &format!(":{behind}"))).collect();
        let changes: Vec<_> = changes.iter().zip(&added).map(|((from, _), to)| (*from, to.as_str())).collect();
        place_files(gateway, folder.path(), &[&changes[..], &ports, &places, limits].concat());
        let log = log(folder.path());
        let process = Process::start(&program, |command| prepare(command, folder.path()), &log);
        process::wait_until(gateway.program, &log, || process::listens(port));
        Running {
            gateway,
            application,
            deployment,
            edge,
            http: Http::new(&format!("127.0.0.1:{port}")),
            tls_port,
            server: Some(server),
            data,
            process,
            folder,
        }
    }

    /// Holds a gateway to ending at its start, with this in its log.
    pub fn refused(gateway: &'static Gateway, changes: &[(&str, &str)], said: &str) {
        // It is started as always, but nobody waits for it.
        let deployment = deployment();
        let edge = Edge::new(&deployment, &["http://127.0.0.1:1"], &["live"]);
        let folder = tempfile::tempdir().expect("a folder");
        let ports = [("8080", process::free_port()), ("8443", process::free_port())];
        let ports = ports.map(|(from, to)| (from, to.to_string()));
        let places = gateway.inside.as_ref().expect("bulla is inside").places(&edge);
        let places: Vec<_> = ports.iter().chain(&places).map(|(from, to)| (*from, to.as_str())).collect();
        place_files(gateway, folder.path(), &[&places, changes].concat());
        let mut command = Command::new(programs::find(gateway.program));
        (gateway.prepare)(&mut command, folder.path());
        let ended = programs::try_run(&mut command);
        let log = [ended.stdout, ended.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        assert!(!ended.status.success() && log.contains(said), "{}: {log}", gateway.program);
    }

    /// The service.
    pub fn server(&self) -> &Server {
        self.server.as_ref().expect("a running service")
    }

    /// What it verifies with, where bulla is inside.
    pub fn edge(&self) -> &Edge {
        self.edge.as_ref().expect("bulla is inside")
    }

    /// The gateway's process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Ends the service at once, as a crash would.
    pub fn kill_server(&mut self) {
        drop(self.server.take());
    }

    /// Has the service listen and not answer.
    pub fn stop_server(&self) {
        self.server().signal("STOP");
        let threads = format!("/proc/{}/task", self.server().id());
        let state = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        let all_stopped =
            || fs::read_dir(&threads).expect("its threads").flatten().all(|thread| state(thread).contains("State:\tT"));
        self.server().until("the standstill", |_| all_stopped());
    }

    /// Has it go on.
    pub fn continue_server(&self) {
        self.server().signal("CONT");
    }

    /// Starts the service again, where it was.
    pub fn start_server(&mut self) {
        self.server = Some(Server::start_on(&self.data, &self.deployment, &[]));
    }

    /// Where the gateway's files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where it takes HTTP/2.
    pub fn http2_url(&self) -> String {
        match self.gateway.program {
            "nginx" => format!("https://localhost:{}", self.tls_port),
            _ => format!("http://{}", self.http.address),
        }
    }

    /// What the gateway has written so far.
    pub fn log(&self) -> String {
        fs::read_to_string(log(self.folder.path())).expect("the log")
    }
}

/// One that believes the gateway, and signs what it says.
fn deployment() -> Deployment {
    let deployment = Deployment::new();
    let key = deployment.new_master(9);
    deployment.configure("trusted_proxies = []", "trusted_proxies = [\"127.0.0.1\", \"unix\"]");
    deployment.configure("signing_keys = []", &format!("signing_keys = [\"{key}\"]"));
    deployment.configure("issuer = \"\"", "issuer = \"https://bulla.example\"");
    deployment.configure("audience = \"\"", "audience = \"shop\"");
    deployment
}

fn socket(deployment: &Deployment) -> String {
    deployment.file("data.sock").display().to_string()
}

fn log(folder: &Path) -> PathBuf {
    folder.join("log")
}

/// Copies the gateway's files with other ports and folders, and with what else is to change.
fn place_files(gateway: &Gateway, folder: &Path, changes: &[(&str, &str)]) {
    let documented = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples").join(gateway.examples);
    let here = format!("{}/", folder.display());
    for name in gateway.files {
        let mut text = fs::read_to_string(documented.join(name)).expect("the file of the page");
        // In two steps, as a port may have another one's digits in it.
        for (at, (from, _)) in changes.iter().enumerate() {
            text = text.replace(from, &format!("\0{at}\0"));
        }
        for (at, (_, to)) in changes.iter().enumerate() {
            text = text.replace(&format!("\0{at}\0"), to);
        }
        for elsewhere in ["/etc/nginx/", "/etc/haproxy/", "/etc/traefik/", "/etc/envoy/", "/run/haproxy/"] {
            text = text.replace(elsewhere, &here);
        }
        fs::write(folder.join(name), text).expect("written");
    }
    let mut openssl = Command::new(programs::find("openssl"));
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]);
    openssl.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]);
    programs::run(openssl.arg("-keyout").arg(folder.join("gateway.key")).arg("-out").arg(folder.join("gateway.pem")));
}
