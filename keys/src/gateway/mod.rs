//! What a module inside a gateway needs (feature `gateway`): settings in one file, a [`Gate`] that is opened once and
//! keeps itself current, requirements of routes, and ready answers. `docs/MODULES.md` has the modules,
//! `docs/EMBEDDING.md` what they must know of forks, threads and reloads.
//!
//! ```
//! use bulla::gateway::{Answer, Gate, Presented, Settings};
//! # use bulla::keyring::MacKey;
//! # mod fixture { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/fixture.rs")); }
//! # let (fixture, now) = (fixture::Fixture::new(), fixture::NOW + 60);
//! # let (folder, address) = (fixture.folder.path(), None);
//! # let mac_key = MacKey::open(&"file:keyring-mac.key".parse()?, &fixture.sources, fixture.document.id())?;
//! # std::fs::write(folder.join("keyring.toml"), fixture.document.render(&mac_key)?)?;
//! # let keyring = "[keyring]\nsource = 'file:keyring.toml'\nmac_source = 'file:keyring-mac.key'\n";
//! # std::fs::write(folder.join("gate.toml"), format!("revocations = 'none'\n{keyring}[realms.acme_live]\n"))?;
//! # let api_key = fixture.issue();
//! # let request = [("Accept", "*/*"), ("X-API-Key", api_key.expose())];
//!
//! // As root, before a fork: the files are read, and no thread begins.
//! let gate = Gate::open(&Settings::read(&folder.join("gate.toml"))?)?;
//! // What a route asks for, as in `realm:acme_live,scope:orders.read,aud:shop`.
//! let wanted = gate.requirements("realm:acme_live")?;
//!
//! // In the process that serves. Dropping it ends the threads at once.
//! let running = gate.start()?;
//!
//! // For every request; the answer is reused.
//! let mut answer = Answer::new();
//! let mut presented = Presented::new(&wanted);
//! request.iter().for_each(|(name, value)| presented.add(name.as_bytes(), value.as_bytes()));
//! gate.check(&wanted, &presented, address, now, &mut answer);
//! assert!(answer.is_accepted());
//! assert_eq!(answer.headers().next(), Some(("x-bulla-app-id", "3f2b8c1e-9a7d-4d52-8a55-0123456789ab")));
//! # drop(running);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
mod counts;
mod decision;
mod error;
mod gate;
mod hyphenated;
mod keyring;
mod keys;
mod mistake;
mod presented;
mod process_name;
mod required;
mod requirements;
mod rfc3339;
mod running;
mod settings;
mod worker;

pub use self::{
    answer::{Answer, HEADERS},
    counts::Counters,
    error::GateError,
    gate::Gate,
    mistake::Mistake,
    presented::Presented,
    required::{Required, RequiredError},
    requirements::Requirements,
    rfc3339::rfc_3339,
    running::Running,
    settings::Settings,
};
#[cfg(feature = "capi")]
pub(crate) use self::{
    decision::{Challenge, Decision},
    hyphenated::{HYPHENATED, hyphenated},
    rfc3339::TIME,
};

/// The time in Unix seconds, by the system's clock.
pub fn now() -> u64 {
    std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
}
