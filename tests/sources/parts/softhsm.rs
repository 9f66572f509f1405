//! SoftHSM2: an HSM in software, behind PKCS#11.

use std::{fs, path::Path, process::Command, sync::OnceLock};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    object::{Attribute, KeyType, ObjectClass},
    session::UserType,
    slot::Slot,
    types::AuthPin,
};

use super::world;
use crate::support::programs;

pub const TOKEN: &str = "bulla";
pub const PIN: &str = "1234";

/// A token with the keys that the tests want.
pub struct SoftHsm {
    /// The PKCS#11 library.
    pub module: String,
    /// The slot, whose number is drawn.
    pub slot: u64,
}

impl SoftHsm {
    /// The token of this run: `master-1` (id 01) is the known key, `other` (id 02) another one, `aes` (id 03) no HMAC
    /// key, `short` (id 04) has 16 bytes, `no-sign` (id 05) may not sign, and two keys are called `twice` (id 06, 07).
    pub fn get() -> &'static SoftHsm {
        static TOKEN_OF_THIS_RUN: OnceLock<SoftHsm> = OnceLock::new();
        TOKEN_OF_THIS_RUN.get_or_init(|| SoftHsm::make(world::folder()))
    }

    fn make(folder: &Path) -> SoftHsm {
        let module =
            programs::library(&["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"]);
        let tokens = folder.join("tokens");
        fs::create_dir(&tokens).expect("writable");
        let settings = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nslots.mechanisms = ALL\nlog.level = ERROR\n",
            tokens.display()
        );
        fs::write(folder.join("softhsm2.conf"), settings).expect("writable");
        world::file(folder, "pin", PIN);
        world::file(folder, "wrong-pin", "999999");
        world::file(&folder.join("credentials"), "pin", PIN);
        let util = programs::find("softhsm2-util");
        let said = programs::run(Command::new(&util).args([
            "--init-token",
            "--free",
            "--label",
            TOKEN,
            "--so-pin",
            "87654321",
            "--pin",
            PIN,
        ]));
        let slot = said.rsplit(' ').next().and_then(|slot| slot.parse().ok()).expect("softhsm2-util names the slot");
        let hsm = SoftHsm { module, slot };
        hsm.import(&folder.join("master.raw"), "master-1", "01");
        hsm.import(&folder.join("other.raw"), "other", "02");
        programs::run(
            Command::new(&util)
                .arg("--import")
                .arg(folder.join("master.raw"))
                .args(["--aes", "--token", TOKEN, "--pin", PIN, "--label", "aes", "--id", "03"]),
        );
        fs::write(folder.join("short.raw"), [7; 16]).expect("writable");
        hsm.import(&folder.join("short.raw"), "short", "04");
        hsm.import_that_may_not_sign("no-sign");
        hsm.import(&folder.join("other.raw"), "twice", "06");
        hsm.import(&folder.join("other.raw"), "twice", "07");
        hsm
    }

    /// Puts a key into the token.
    pub fn import(&self, key: &Path, label: &str, id: &str) {
        let mut tool = self.tool();
        tool.arg("--write-object").arg(key).args([
            "--type",
            "secrkey",
            "--label",
            label,
            "--id",
            id,
            "--sensitive",
            "--private",
        ]);
        programs::run(tool.arg("--usage-sign"));
    }

    /// Puts a key into the token that everyone may read who can open it.
    pub fn import_weak(&self, label: &str, id: &str) {
        let mut tool = self.tool();
        tool.arg("--write-object").arg(world::folder().join("other.raw"));
        tool.args(["--type", "secrkey", "--label", label, "--id", id, "--usage-sign", "--extractable"]);
        programs::run(&mut tool);
    }

    /// Puts a key into the token that may not sign, which the tool cannot: it says nothing of what it does not set.
    fn import_that_may_not_sign(&self, label: &str) {
        let hsm = Pkcs11::new(&self.module).expect("it loads");
        hsm.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).expect("nobody else did yet");
        let session = Slot::try_from(self.slot).and_then(|slot| hsm.open_rw_session(slot)).expect("the token is there");
        session.login(UserType::User, Some(&AuthPin::from(PIN))).expect("the PIN is right");
        let key = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::GENERIC_SECRET),
            Attribute::Label(label.as_bytes().to_vec()),
            Attribute::Value(world::MASTER.to_vec()),
            Attribute::Token(true),
            Attribute::Sign(false),
        ];
        session.create_object(&key).expect("it takes the key");
        drop(session);
        hsm.finalize().expect("it was initialized");
    }

    /// Takes a key out of the token.
    pub fn delete(&self, id: &str) {
        programs::run(self.tool().args(["--delete-object", "--type", "secrkey", "--id", id]));
    }

    fn tool(&self) -> Command {
        let mut tool = Command::new(programs::find("pkcs11-tool"));
        tool.args(["--module", &self.module, "--token-label", TOKEN, "--login", "--pin", PIN]);
        tool
    }
}
