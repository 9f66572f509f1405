//! `pkcs11:` with p11-kit's proxy, which shows the tokens of several modules as those of one: SoftHSM2, a TPM, NSS with
//! a PIN, and kryoptic.

use std::{fs, path::PathBuf};

use crate::{
    parts::{
        kryoptic::{self, Kryoptic},
        mounts, nss,
        nss::Nss,
        softhsm::{self, SoftHsm},
        tpm_token::{self, TpmToken},
        world,
    },
    service::trusting,
    support::programs,
};

const NSS_PIN: &str = "nss-pin";

/// A folder of module files, in the place of the system's.
fn module_files(modules: &[(&str, String)]) -> PathBuf {
    let folder = world::folder().join("p11-kit-modules");
    fs::create_dir(&folder).expect("writable");
    for (name, text) in modules {
        fs::write(folder.join(format!("{name}.module")), text).expect("writable");
    }
    folder
}

#[test]
fn four_modules_behind_one_proxy_serve_as_software_does_and_are_told_apart() {
    world::folder();
    let (hsm, tpm) = (SoftHsm::get(), TpmToken::make("tpm-proxied"));
    let (nss, kryoptic) = (Nss::make("nss-proxied", Some(NSS_PIN)), Kryoptic::make("kryoptic-proxied"));
    let folder = module_files(&[
        ("softhsm2", format!("module: {}\n", hsm.module)),
        ("tpm2", format!("module: {}\n", tpm.module)),
        ("nss", format!("module: {}\nx-init-reserved: {}\n", nss.module, nss.parameters)),
        ("kryoptic", format!("module: {}\n", kryoptic.module)),
    ]);
    let proxy = programs::library(&[
        "/usr/lib/x86_64-linux-gnu/p11-kit-proxy.so",
        "/usr/lib/aarch64-linux-gnu/p11-kit-proxy.so",
    ]);
    let deployment = trusting(&[&format!("pkcs11:?module-path={proxy}")]);
    world::file(deployment.path(), "known.key", world::MASTER_BASE64);
    let uri = |path: &str, pin: &str| {
        let name = format!("pin-{pin}");
        world::file(deployment.path(), &name, pin);
        format!("pkcs11:{path}?module-path={proxy}&pin-source=file:{name}")
    };
    let configuration = std::env::var("SOFTHSM2_CONF").expect("the folder of this run sets it");
    let environment =
        [&tpm.environment[..], &kryoptic.environment[..], &[("SOFTHSM2_CONF", configuration)][..]].concat();
    let bulla = |arguments: &[&str]| {
        let script = "mount --bind \"$0\" /usr/share/p11-kit/modules; exec \"$@\"";
        let program = ["sh", "-euc", script, &folder.to_string_lossy(), env!("CARGO_BIN_EXE_bulla")];
        let mut command = mounts::command(&environment, &[&program[..], arguments].concat());
        let output = programs::try_run(command.current_dir(deployment.path()));
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };

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
