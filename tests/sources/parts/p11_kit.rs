//! A p11-kit server: SoftHSM2 behind a socket, as an HSM on the network is, so that it can be gone and come back.

use std::process::Command;

use super::{process, process::Process, programs, softhsm, softhsm::SoftHsm, world};

/// The running server.
pub struct P11Kit {
    /// The PKCS#11 library of its client.
    pub module: String,
    server: Option<Process>,
}

impl P11Kit {
    /// Starts it for the token of this run.
    pub fn start() -> P11Kit {
        let module = programs::library(&[
            "/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so",
            "/usr/lib/pkcs11/p11-kit-client.so",
        ]);
        let mut server = P11Kit { module, server: None };
        server.come_back();
        server
    }

    /// Ends the server, and what it started for each of its clients.
    pub fn go_away(&mut self) {
        if let Some(mut server) = self.server.take() {
            let id = server.id().to_string();
            programs::try_run(Command::new("pkill").args(["-KILL", "-P", &id]));
            server.kill();
        }
        // It leaves its socket, which would keep the next one from starting.
        let _ = std::fs::remove_file(world::folder().join("p11-kit"));
    }

    /// Starts it again.
    pub fn come_back(&mut self) {
        let (folder, hsm) = (world::folder(), SoftHsm::get());
        let (socket, log) = (folder.join("p11-kit"), folder.join("p11-kit.log"));
        let prepare = |command: &mut Command| {
            command.args(["server", "--foreground", "--name"]).arg(&socket);
            command.args(["--provider", &hsm.module, &format!("pkcs11:token={}", softhsm::TOKEN)]);
        };
        self.server = Some(Process::start(&programs::find("p11-kit"), prepare, &log));
        process::wait_until("p11-kit", &log, || socket.exists());
    }
}
