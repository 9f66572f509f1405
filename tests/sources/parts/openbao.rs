//! OpenBao: a Vault with a Transit engine, with real storage, so that it can be ended and started again.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, OnceLock},
};

use serde_json::Value;

use super::world;
use crate::support::{process, process::Process, programs};

/// A running server, unsealed.
pub struct OpenBao {
    pub url: String,
    /// The same over TLS, with a certificate of the CA in `ca`.
    pub tls_url: String,
    pub ca: PathBuf,
    unseal_key: String,
    root_token: String,
    folder: PathBuf,
    process: Mutex<Option<Process>>,
}

impl OpenBao {
    /// The one of this run, which stays up.
    pub fn get() -> &'static OpenBao {
        static BAO: OnceLock<OpenBao> = OnceLock::new();
        BAO.get_or_init(|| OpenBao::start("bao"))
    }

    /// One that a test may seal and end. The Transit engine is at `transit`, the key `master-1` is the known one.
    pub fn start(name: &str) -> OpenBao {
        let folder = world::folder().join(name);
        fs::create_dir_all(folder.join("data")).expect("writable");
        let (port, tls, cluster) = (process::free_port(), process::free_port(), process::free_port());
        make_certificates(&folder);
        let settings = format!(
            "storage \"raft\" {{\n path = \"{0}/data\"\n node_id = \"one\"\n}}\n\
             listener \"tcp\" {{\n address = \"127.0.0.1:{port}\"\n cluster_address = \"127.0.0.1:{cluster}\"\n tls_disable = true\n}}\n\
             listener \"tcp\" {{\n address = \"127.0.0.1:{tls}\"\n tls_cert_file = \"{0}/tls.pem\"\n tls_key_file = \"{0}/tls.key\"\n}}\n\
             api_addr = \"http://127.0.0.1:{port}\"\ncluster_addr = \"http://127.0.0.1:{cluster}\"\n",
            folder.display()
        );
        fs::write(folder.join("bao.hcl"), settings).expect("writable");
        let mut bao = OpenBao {
            url: format!("http://127.0.0.1:{port}"),
            tls_url: format!("https://127.0.0.1:{tls}"),
            ca: folder.join("ca.pem"),
            unseal_key: String::new(),
            root_token: String::new(),
            folder,
            process: Mutex::default(),
        };
        bao.run_server();
        let made = bao.bao(&["operator", "init", "-key-shares=1", "-key-threshold=1", "-format=json"]);
        let made: Value = serde_json::from_str(&made).expect("bao prints JSON");
        bao.unseal_key = made["unseal_keys_b64"][0].as_str().expect("a key").to_owned();
        bao.root_token = made["root_token"].as_str().expect("a token").to_owned();
        bao.unseal();
        bao.bao(&["secrets", "enable", "transit"]);
        bao.import("master-1", world::MASTER_BASE64);
        bao
    }

    fn run_server(&self) {
        let log = self.folder.join("log");
        let prepare = |command: &mut Command| {
            command.arg("server").arg(format!("-config={}/bao.hcl", self.folder.display()));
        };
        let server = Process::start(&programs::find("bao"), prepare, &log);
        *self.process.lock().expect("nobody panics with it") = Some(server);
        process::wait_until("bao", &log, || self.health().is_some());
    }

    /// Ends it, as a crash would.
    pub fn id(&self) -> u32 {
        self.process.lock().expect("nobody panics with it").as_ref().expect("it runs").id()
    }

    pub fn kill(&self) {
        *self.process.lock().expect("nobody panics with it") = None;
    }

    /// Starts it again. It is sealed then, as every such server is.
    pub fn restart(&self) {
        self.run_server();
    }

    pub fn seal(&self) {
        self.bao(&["operator", "seal"]);
    }

    pub fn unseal(&self) {
        self.bao(&["operator", "unseal", &self.unseal_key]);
        process::wait_until("bao", &self.folder.join("log"), || self.health() == Some(200));
    }

    /// Puts a key into the Transit engine.
    pub fn import(&self, name: &str, key: &str) {
        self.bao(&["transit", "import", &format!("transit/keys/{name}"), key, "type=hmac", "hash_function=SHA256"]);
    }

    /// A file with a token of this policy.
    pub fn token(&self, name: &str, policy: &str) -> PathBuf {
        let rules = world::file(&self.folder, &format!("{name}.hcl"), policy);
        self.bao(&["policy", "write", name, &rules.to_string_lossy()]);
        let token = self.bao(&["token", "create", "-field=token", "-policy", name]);
        world::file(&self.folder, &format!("{name}.token"), &token)
    }

    /// The command line, as root; what it prints.
    pub fn bao(&self, arguments: &[&str]) -> String {
        let mut bao = Command::new(programs::find("bao"));
        programs::run(bao.args(arguments).env("BAO_ADDR", &self.url).env("BAO_TOKEN", &self.root_token))
    }

    fn health(&self) -> Option<u16> {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        agent.get(format!("{}/v1/sys/health", self.url)).call().ok().map(|answer| answer.status().as_u16())
    }
}

/// A certificate authority, and a certificate of it for this machine.
fn make_certificates(folder: &Path) {
    let script = "\
        curve='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
        openssl req -x509 $curve -keyout ca.key -out ca.pem -subj /CN=ca -days 2
        openssl req $curve -keyout tls.key -out tls.csr -subj /CN=bao -addext subjectAltName=IP:127.0.0.1
        openssl x509 -req -in tls.csr -CA ca.pem -CAkey ca.key -copy_extensions copy -out tls.pem -days 2";
    programs::run(Command::new("sh").args(["-e", "-c", script]).current_dir(folder));
}
