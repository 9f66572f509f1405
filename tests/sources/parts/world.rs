//! What is one per process: the environment variables that the components read, and the folder that all of this lives
//! in.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use crate::support::programs;

/// The key that devices get which can import one.
pub const MASTER: [u8; 32] = *b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f";
/// The same in base64.
pub const MASTER_BASE64: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// Another key, in base64.
pub const OTHER_BASE64: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

/// The folder of this run. Every test calls this before anything else, so that the environment is set before any
/// library reads it.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        // A short path: one of a Unix socket has room for 107 bytes.
        let folder = tempfile::Builder::new().prefix("bulla-").tempdir().expect("a temporary folder").keep();
        remove_at_end(&folder);
        file(&folder, "master.key", MASTER_BASE64);
        file(&folder, "other.key", OTHER_BASE64);
        fs::write(folder.join("master.raw"), MASTER).expect("writable");
        fs::write(folder.join("other.raw"), MASTER.map(|byte| byte + 32)).expect("writable");
        let path = [programs::folder().join("bin").into_os_string(), env::var_os("PATH").unwrap_or_default()]
            .join(":".as_ref());
        let set = |name: &str, value: &std::ffi::OsStr| {
            // SAFETY: all tests wait here for the first one, so nothing reads the environment meanwhile.
            #[allow(unsafe_code, reason = "libraries under test read their settings from the environment alone")]
            unsafe {
                env::set_var(name, value);
            }
        };
        set("PATH", &path);
        set("SOFTHSM2_CONF", folder.join("softhsm2.conf").as_os_str());
        set("P11_KIT_SERVER_ADDRESS", format!("unix:path={}/p11-kit", folder.display()).as_ref());
        set("AWS_ACCESS_KEY_ID", "test-access-key".as_ref());
        set("AWS_SECRET_ACCESS_KEY", "test-secret-key".as_ref());
        set("AWS_CONFIG_FILE", "/dev/null".as_ref());
        set("AWS_SHARED_CREDENTIALS_FILE", folder.join("aws-credentials").as_os_str());
        set("AWS_EC2_METADATA_DISABLED", "true".as_ref());
        set("BULLA_TEST_PIN", "1234".as_ref());
        set("CREDENTIALS_DIRECTORY", folder.join("credentials").as_os_str());
        fs::create_dir(folder.join("credentials")).expect("writable");
        folder
    })
}

/// A file that nobody else may read, with a line of text.
pub fn file(folder: &Path, name: &str, line: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, format!("{line}\n")).expect("writable");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("ours");
    path
}

/// A shell that waits for this process to end, on a pipe that only this process holds open.
fn remove_at_end(folder: &Path) {
    let script = "trap '' INT TERM; read -r _; sleep 0.5; rm -rf \"$1\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh"]).arg(folder).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    std::mem::forget(shell.spawn().expect("a shell"));
}
