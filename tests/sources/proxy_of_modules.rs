//! `pkcs11:` with p11-kit's proxy, which shows the tokens of several modules as those of one: SoftHSM2, a TPM, NSS with
//! a PIN, and kryoptic.

use std::{fs, path::PathBuf};

use crate::{
    parts::{
        adapter, hmac_key,
        kryoptic::{self, Kryoptic},
        mounts, nss,
        nss::Nss,
        softhsm::{self, SoftHsm},
        tpm_token::{self, TpmToken},
        world,
    },
    service::trusting,
    support::{deployment::Deployment, programs},
};

const NSS_PIN: &str = "nss-pin";

/// The proxy over these modules, and a deployment that trusts it.
struct Proxied {
    proxy: String,
    deployment: Deployment,
    /// Module files, in the place of the system's.
    files: PathBuf,
    environment: Vec<(&'static str, String)>,
}

impl Proxied {
    fn new(name: &str, modules: &[(&str, String)], environment: Vec<(&'static str, String)>) -> Proxied {
        let files = world::folder().join(name);
        fs::create_dir(&files).expect("writable");
        for (name, text) in modules {
            fs::write(files.join(format!("{name}.module")), text).expect("writable");
        }
        let proxy = programs::library(&[
            "/usr/lib/x86_64-linux-gnu/p11-kit-proxy.so",
            "/usr/lib/aarch64-linux-gnu/p11-kit-proxy.so",
        ]);
        let deployment = trusting(&[&format!("pkcs11:?module-path={proxy}")]);
        world::file(deployment.path(), "known.key", world::MASTER_BASE64);
        Proxied { proxy, deployment, files, environment }
    }

    fn uri(&self, path: &str, pin: Option<&str>) -> String {
        let pin = pin.map_or_else(String::new, |pin| {
            let name = format!("pin-{pin}");
            world::file(self.deployment.path(), &name, pin);
            format!("&pin-source=file:{name}")
        });
        format!("pkcs11:{path}?module-path={}{pin}", self.proxy)
    }

    /// Whether the command ends well, and what it said.
    fn bulla(&self, arguments: &[&str]) -> (bool, String) {
        let script = "mount --bind \"$0\" /usr/share/p11-kit/modules; exec \"$@\"";
        let program = ["sh", "-euc", script, &self.files.to_string_lossy(), env!("CARGO_BIN_EXE_bulla")];
        let mut command = mounts::command(&self.environment, &[&program[..], arguments].concat());
        let output = programs::try_run(command.current_dir(self.deployment.path()));
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }
}

fn nss_file(nss: &Nss) -> String {
    format!("module: {}\nx-init-reserved: {}\n", nss.module, nss.parameters)
}

#[test]
fn nss_without_a_password_serves_behind_the_proxy_with_keys_of_both_types() {
    world::folder();
    let nss = Nss::make("nss-bare-proxied", None);
    hmac_key::import(adapter::adapter(), &nss.environment, nss::LABEL, "", "hmac-key");
    let proxied = Proxied::new("p11-kit-bare", &[("nss", nss_file(&nss))], Vec::new());
    let key = |name: &str| format!("token={};object={name}", nss::TOKEN);
    let (known, hmac_key) = (proxied.uri(&key("known"), None), proxied.uri(&key("hmac-key"), None));
    // A PIN that no login asks for is not tried.
    let with_pin = proxied.uri(&key("known"), Some("9999"));
    // Sources that hold different keys are refused.
    for arguments in [
        ["stage", "--source", "file:known.key", "--source", &known],
        ["rewrap", "2", "--add", &hmac_key, "--json"],
        ["rewrap", "2", "--remove", &known, "--json"],
        ["rewrap", "2", "--add", &with_pin, "--json"],
    ] {
        let (done, said) = proxied.bulla(&[&["keyring"], &arguments[..]].concat());
        assert!(done, "{arguments:?}: {said}");
    }
    let (done, said) = proxied.bulla(&["keyring", "stage", "--source", &proxied.uri(&key("no-sign"), None)]);
    assert!(!done && said.contains("make it with CKA_SIGN"), "{said}");
}

#[test]
fn four_modules_behind_one_proxy_serve_as_software_does_and_are_told_apart() {
    world::folder();
    let (hsm, tpm) = (SoftHsm::get(), TpmToken::make("tpm-proxied"));
    let (nss, kryoptic) = (Nss::make("nss-proxied", Some(NSS_PIN)), Kryoptic::make("kryoptic-proxied"));
    let modules = [
        ("softhsm2", format!("module: {}\n", hsm.module)),
        ("tpm2", format!("module: {}\n", tpm.module)),
        ("nss", nss_file(&nss)),
        ("kryoptic", format!("module: {}\n", kryoptic.module)),
    ];
    let configuration = std::env::var("SOFTHSM2_CONF").expect("the folder of this run sets it");
    let environment =
        [&tpm.environment[..], &kryoptic.environment[..], &[("SOFTHSM2_CONF", configuration)][..]].concat();
    let proxied = Proxied::new("p11-kit-modules", &modules, environment);
    let uri = |path: &str, pin: &str| proxied.uri(path, Some(pin));
    let bulla = |arguments: &[&str]| proxied.bulla(arguments);

    let sources = [
        uri("token=bulla;manufacturer=SoftHSM%20project;object=master-1", softhsm::PIN),
        uri("token=tpm;object=master-1", tpm_token::PIN),
        uri(&format!("token={};object=known", nss::TOKEN), NSS_PIN),
        uri("token=bulla;manufacturer=Kryoptic%20Project;object=known", kryoptic::PIN),
    ];
    // A version whose sources hold different keys is refused.
    let mut stage = vec!["keyring", "stage", "--source", "file:known.key"];
    stage.extend(sources.iter().flat_map(|source| ["--source", source.as_str()]));
    let (done, said) = bulla(&stage);
    assert!(done, "{said}");
    for source in &sources {
        let (done, said) = bulla(&["keyring", "rewrap", "2", "--remove", source]);
        assert!(done, "{said}");
        let (done, said) = bulla(&["keyring", "rewrap", "2", "--add", source]);
        assert!(done, "it serves on its own: {said}");
    }

    let (done, said) = bulla(&["keyring", "stage", "--source", &uri("token=bulla;object=known", kryoptic::PIN)]);
    assert!(!done && said.contains("several tokens fit: add serial=, manufacturer="), "{said}");
}
