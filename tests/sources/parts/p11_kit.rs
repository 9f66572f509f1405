//! A p11-kit server: SoftHSM2 behind a socket, as an HSM on the network is, so that it can be gone and come back.

use std::{path::PathBuf, process::Command};

use super::{softhsm, softhsm::SoftHsm, world};
use crate::support::{process, process::Process, programs};

/// The running server.
pub struct P11Kit {
    /// The PKCS#11 library of its client.
    pub module: String,
    socket: PathBuf,
    server: Option<Process>,
}

impl P11Kit {
    /// Starts it for the token of this run, where this process looks for it.
    pub fn start() -> P11Kit {
        Self::start_as("p11-kit")
    }

    /// Starts one more, for other processes.
    pub fn start_as(name: &str) -> P11Kit {
        let module = programs::library(&[
            "/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so",
            "/usr/lib/pkcs11/p11-kit-client.so",
        ]);
        let mut server = P11Kit { module, socket: world::folder().join(name), server: None };
        server.come_back();
        server
    }

    /// What `P11_KIT_SERVER_ADDRESS` is to be for its clients.
    pub fn address(&self) -> String {
        format!("unix:path={}", self.socket.display())
    }

    /// The server's process.
    pub fn id(&self) -> u32 {
        self.server.as_ref().expect("it runs").id()
    }

    /// Ends the server, and what it started for each of its clients.
    pub fn go_away(&mut self) {
        if let Some(mut server) = self.server.take() {
            let id = server.id().to_string();
            programs::try_run(Command::new("pkill").args(["-KILL", "-P", &id]));
            server.kill();
        }
        // It leaves its socket, which would keep the next one from starting.
        let _ = std::fs::remove_file(&self.socket);
    }

    /// Starts it again.
    pub fn come_back(&mut self) {
        let (socket, hsm) = (&self.socket, SoftHsm::get());
        let log = socket.with_extension("log");
        let prepare = |command: &mut Command| {
            command.args(["server", "--foreground", "--name"]).arg(socket);
            command.args(["--provider", &hsm.module, &format!("pkcs11:token={}", softhsm::TOKEN)]);
        };
        self.server = Some(Process::start(&programs::find("p11-kit"), prepare, &log));
        process::wait_until("p11-kit", &log, || socket.exists());
    }
}
