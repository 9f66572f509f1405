//! swtpm: a TPM 2.0 in software.

use std::{fs, path::PathBuf, process::Command};

use super::world;
use crate::support::{process, process::Process, programs};

/// Where the known key is.
pub const HANDLE: &str = "0x81000010";

/// A running TPM.
pub struct Tpm {
    /// Where its state is.
    folder: PathBuf,
    port: u16,
    process: Option<Process>,
}

impl Tpm {
    /// Starts a new one, with nothing in it.
    pub fn empty(name: &str) -> Tpm {
        let folder = world::folder().join(name);
        fs::create_dir(&folder).expect("writable");
        let mut tpm = Tpm { folder, port: process::free_pair_of_ports(), process: None };
        tpm.come_back();
        tpm
    }

    /// Starts one, with the known key in it.
    pub fn start() -> Tpm {
        let tpm = Tpm::empty("tpm");
        tpm.tool("tpm2_createprimary", &["-C", "o", "-c", "primary.ctx"]);
        tpm.tool(
            "tpm2_import",
            &["-C", "primary.ctx", "-G", "hmac", "-i", "master.raw", "-u", "tpm.pub", "-r", "tpm.priv"],
        );
        tpm.tool("tpm2_load", &["-C", "primary.ctx", "-u", "tpm.pub", "-r", "tpm.priv", "-c", "key.ctx"]);
        tpm.tool("tpm2_evictcontrol", &["-C", "o", "-c", "key.ctx", HANDLE]);
        tpm
    }

    /// What tpm2-tools call the way to it.
    pub fn tcti(&self) -> String {
        format!("swtpm:host=127.0.0.1,port={}", self.port)
    }

    pub fn go_away(&mut self) {
        self.process = None;
    }

    pub fn come_back(&mut self) {
        let (state, log) = (&self.folder, self.folder.with_extension("log"));
        // Its clients expect it there.
        let (port, control) = (self.port, self.port + 1);
        let prepare = |command: &mut Command| {
            command.args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"]);
            command.arg("--tpmstate").arg(format!("dir={}", state.display()));
            command.arg("--server").arg(format!("type=tcp,port={port},bindaddr=127.0.0.1"));
            command.arg("--ctrl").arg(format!("type=tcp,port={control},bindaddr=127.0.0.1"));
        };
        self.process = Some(Process::start(&programs::find("swtpm"), prepare, &log));
        process::wait_until("swtpm", &log, || process::listens(control));
    }

    /// One of the tools, and what it leaves in the TPM's little memory taken out again.
    fn tool(&self, name: &str, arguments: &[&str]) {
        for (name, arguments) in [(name, arguments), ("tpm2_flushcontext", &["-t"])] {
            let mut tool = Command::new(programs::find(name));
            tool.args(["-T", &self.tcti()]).args(arguments).current_dir(world::folder());
            programs::run(&mut tool);
        }
    }
}
