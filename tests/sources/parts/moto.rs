//! moto: a simulator of AWS KMS.

use std::{process::Command, sync::OnceLock};

use super::world;
use crate::support::{process, process::Process, programs};

pub const REGION: &str = "eu-central-1";

/// A running simulator.
pub struct Moto {
    pub port: u16,
    _process: Process,
}

impl Moto {
    /// The one of this run, which asks for no permissions.
    pub fn get() -> &'static Moto {
        static MOTO: OnceLock<Moto> = OnceLock::new();
        MOTO.get_or_init(|| Moto::start("moto", None))
    }

    /// One more, to be lost with all its keys.
    pub fn another() -> Moto {
        Moto::start("another-moto", None)
    }

    /// One that asks for permissions, from the second request on.
    pub fn strict() -> Moto {
        Moto::start("strict-moto", Some("1"))
    }

    fn start(name: &str, requests_without_permission: Option<&str>) -> Moto {
        let log = world::folder().join(format!("{name}.log"));
        let port = process::free_port();
        let prepare = |command: &mut Command| {
            command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
            if let Some(count) = requests_without_permission {
                command.env("INITIAL_NO_AUTH_ACTION_COUNT", count);
            }
        };
        let process = Process::start(&programs::find("moto_server"), prepare, &log);
        process::wait_until("moto_server", &log, || process::listens(port));
        Moto { port, _process: process }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The AWS command line, on this simulator; what it prints.
    pub fn aws(&self, arguments: &[&str]) -> String {
        let mut aws = Command::new(programs::find("aws"));
        aws.args(["--endpoint-url", &self.url(), "--region", REGION, "--output", "text"]).args(arguments);
        programs::run(&mut aws)
    }

    /// A new HMAC key; its id.
    pub fn hmac_key(&self) -> String {
        let kind = ["--key-spec", "HMAC_256", "--key-usage", "GENERATE_VERIFY_MAC"];
        self.aws(&[&["kms", "create-key", "--query", "KeyMetadata.KeyId"], &kind[..]].concat())
    }

    /// A new key that wraps others; its id.
    pub fn wrapping_key(&self) -> String {
        self.aws(&["kms", "create-key", "--query", "KeyMetadata.KeyId"])
    }

    /// A file wrapped under a key, in base64.
    pub fn wrap(&self, key: &str, file: &str, context: &str) -> String {
        let file = format!("fileb://{}", world::folder().join(file).display());
        let request = ["kms", "encrypt", "--key-id", key, "--plaintext", &file, "--encryption-context", context];
        self.aws(&[&request[..], &["--query", "CiphertextBlob"]].concat())
    }
}
