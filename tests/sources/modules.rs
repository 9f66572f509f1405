//! `pkcs11:` with modules that are not as SoftHSM2 is, by the real command and service: NSS's softokn; SoftHSM2 behind
//! an adapter that makes it say what other modules say; and what calls a module gets, by OpenSC's spy.

use crate::support::{
    command::{Ran, bulla, finish},
    deployment::Deployment,
    server::Server,
};
use crate::{
    parts::{
        adapter::{self, Spy},
        nss::{self, Nss},
        softhsm::{self, SoftHsm},
        world,
    },
    service::trusting,
};

/// A deployment and a module, with what the module's users need in their environment.
pub struct Beside {
    pub deployment: Deployment,
    module: String,
    environment: Vec<(&'static str, String)>,
}

impl Beside {
    pub fn new(module: &str, environment: &[(&'static str, String)], pin: &str) -> Beside {
        let deployment = trusting(&[&format!("pkcs11:?module-path={module}")]);
        world::file(deployment.path(), "pin", pin);
        Beside { deployment, module: module.to_owned(), environment: environment.to_vec() }
    }

    /// SoftHSM2 behind the adapter.
    fn adapted(more: &[(&'static str, &str)]) -> Beside {
        world::folder();
        let hsm = SoftHsm::get();
        let more = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let environment: Vec<_> = [("BULLA_ADAPTER_MODULE", hsm.module.clone())].into_iter().chain(more).collect();
        Beside::new(adapter::adapter(), &environment, softhsm::PIN)
    }

    pub fn uri(&self, path: &str) -> String {
        format!("pkcs11:{path}?module-path={}&pin-source=file:pin", self.module)
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        finish(bulla(self.deployment.path()).args(arguments).envs(self.environment.clone()), "")
    }

    /// Stages a version with this key, and with another source of the same one.
    pub fn stage_with(&self, path: &str, same: &str) -> Ran {
        self.run(&["keyring", "stage", "--json", "--source", &self.uri(path), "--source", same])
    }

    pub fn stage(&self, path: &str) -> Ran {
        self.run(&["keyring", "stage", "--json", "--source", &self.uri(path)])
    }

    pub fn serve(&self) -> Server {
        let environment: Vec<(&str, &str)> =
            self.environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Server::start_with(&self.deployment, &environment)
    }

    /// The file with the known key.
    pub fn known_key(&self) -> String {
        world::file(self.deployment.path(), "known.key", world::MASTER_BASE64);
        "file:known.key".to_owned()
    }

    /// Staging is refused, and says why.
    pub fn refused(&self, path: &str, says: &str) {
        let ran = self.stage(path);
        assert_ne!(ran.code, 0, "{}", ran.out);
        assert!(ran.err.contains(says), "{:?} does not say {says:?}", ran.err);
    }
}

#[test]
fn a_token_that_asks_for_no_pin_gets_none_and_tells_which_key_may_not_sign() {
    world::folder();
    let nss = Nss::make("nss", None);
    // It would take the PIN in the file for a wrong one.
    let beside = Beside::new(adapter::adapter(), &nss.environment, "9999");
    let key = |name: &str| format!("token={};object={name}", nss::TOKEN);
    let known = beside.known_key();
    beside.stage_with(&key("known"), &known).ok();
    beside.run(&["keyring", "check"]).ok();
    beside.refused(&key("no-sign"), "make it with CKA_SIGN");
    beside.refused(&key("nothing"), "no such secret key");
    let bare = Beside::new(adapter::adapter(), &nss.environment[..1], "9999");
    bare.refused(&key("known"), "load it through p11-kit-proxy.so, with `x-init-reserved`");
}

#[test]
fn a_module_without_locks_serves() {
    let beside = Beside::adapted(&[("BULLA_ADAPTER_NO_LOCKS", "1")]);
    let known = beside.known_key();
    beside.stage_with("token=bulla;object=master-1", &known).ok();
    beside.run(&["keyring", "check"]).ok();
}

#[test]
fn a_token_whose_clock_is_none_of_pkcs11_is_found_by_its_names() {
    let beside = Beside::adapted(&[("BULLA_ADAPTER_TIME", "04:15:24")]);
    let known = beside.known_key();
    beside.stage_with("token=bulla;manufacturer=SoftHSM%20project;object=master-1", &known).ok();
    beside.refused("token=nobody;object=master-1", "no such token");
}

#[test]
fn a_module_that_does_not_start_says_what_it_needs() {
    let beside = Beside::adapted(&[("SOFTHSM2_CONF", "/nowhere/softhsm2.conf")]);
    beside.refused("token=bulla;object=master-1", "its configuration (environment variables), its files, its device");
}

/// SoftHSM2 under a spy that writes to `log`.
fn spied(log: &str) -> (Beside, Spy) {
    world::folder();
    let spy = Spy::on(&SoftHsm::get().module, &world::folder().join(log));
    let beside = Beside::new(&spy.module, &spy.environment, softhsm::PIN);
    beside.stage("token=bulla;object=master-1").ok();
    (beside, spy)
}

#[test]
fn a_load_logs_in_once_whatever_the_number_of_realms() {
    let (beside, spy) = spied("spy-load.log");
    let once = || {
        let before = (spy.calls("C_Login"), spy.all_calls());
        beside.run(&["keyring", "check"]).ok();
        (spy.calls("C_Login") - before.0, spy.all_calls() - before.1)
    };
    // SoftHSM2 may hide a token that another process is writing: the module is started anew then, which takes more
    // calls.
    let check = || (0..3).map(|_| once()).min_by_key(|(_, calls)| *calls).expect("three");
    let few = check();
    let more: String = (0..20).map(|at| format!("[realms.more{at}]\n")).collect();
    beside.deployment.configure("[realms.live]\n", &format!("[realms.live]\n{more}"));
    let many = check();
    assert_eq!((few.0, many.0), (1, 1), "logins");
    // C_SignInit, and C_Sign for the length and for the bytes.
    assert_eq!(many.1 - few.1, 20 * 3, "calls for twenty more realms");
}

#[test]
fn a_wrong_pin_is_tried_once_however_often_the_service_asks_again() {
    let (beside, spy) = spied("spy-pin.log");
    let server = beside.serve();
    let before = spy.calls("C_Login");
    world::file(beside.deployment.path(), "pin", "999999");
    server.signal("HUP");
    server.until("three failed reloads", |server| server.log().matches("the PIN is wrong").count() >= 3);
    assert_eq!(spy.calls("C_Login") - before, 1);
    assert!(server.log().contains("is not tried again"), "{}", server.log());
    assert!(!server.log().contains("999999"));

    world::file(beside.deployment.path(), "pin", softhsm::PIN);
    server.signal("HUP");
    server.until("the recovery", |server| server.metric("bulla_keyring_refresh_failing") == 0);
    assert_eq!(spy.calls("C_Login") - before, 2);
}

#[test]
fn doctor_and_staging_tell_a_key_that_can_leave_its_token() {
    world::folder();
    let hsm = SoftHsm::get();
    hsm.import_weak("weak", "08");
    let beside = Beside::new(&hsm.module, &[], softhsm::PIN);
    let says = ["CKA_SENSITIVE is false", "CKA_EXTRACTABLE is true", "CKA_PRIVATE is false"];
    let staged = beside.stage("token=bulla;object=weak");
    let warned = staged.ok().json()["warning"].as_str().expect("a warning").to_owned();
    let examined = beside.run(&["doctor"]);
    for says in says {
        assert!(warned.contains(says), "{warned}");
        assert!(examined.ok().out.contains(says), "{}", examined.out);
    }
    let sound = Beside::new(&hsm.module, &[], softhsm::PIN);
    assert_eq!(sound.stage("token=bulla;object=master-1").ok().json().get("warning"), None);
    assert!(!sound.run(&["doctor"]).ok().out.contains("CKA_"));
}
