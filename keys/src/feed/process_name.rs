//! What the fleet calls a process. Processes of one configuration, such as the workers of a gateway, are told apart by
//! a number: `NAME:1`, `NAME:2` and so on. Each has the lowest number that no other one has, and takes a lower one when
//! its process has ended, as after a reload. So the names stay the same over reloads and restarts.

use sha2::{Digest, Sha256};

use crate::keyring_id::KeyringId;

/// The numbers that are tried.
const MAX_NUMBER: u32 = 1_024;

/// The name that a process reports under.
pub(crate) enum ProcessName {
    /// It is the program's alone.
    Alone(String),
    /// It belongs to several processes.
    #[cfg_attr(not(feature = "gateway"), allow(dead_code, reason = "only gateways have several processes"))]
    Numbered(NumberedName),
}

/// A name with the number of this process.
pub(crate) struct NumberedName {
    name: String,
    /// What tells the numbers of this name from others.
    group: String,
    held: Option<HeldNumber>,
    /// The name of before, until the server was told that nobody reports under it any more.
    former: Option<String>,
}

/// A number that no other process has while this exists.
struct HeldNumber {
    number: u32,
    /// A socket in the abstract namespace, which takes neither a file nor a permission, and ends with its process.
    #[cfg(target_os = "linux")]
    _socket: std::os::unix::net::UnixDatagram,
}

impl ProcessName {
    /// One of the processes that follow this keyring under this name.
    #[cfg_attr(not(feature = "gateway"), allow(dead_code, reason = "only gateways have several processes"))]
    pub(crate) fn numbered(name: String, keyring: KeyringId) -> Self {
        let digest = Sha256::new().chain_update(keyring.to_string()).chain_update(&name).finalize();
        // An address is shorter than a name may be.
        let group = hex::encode(&digest[..16]);
        ProcessName::Numbered(NumberedName { name, group, held: None, former: None })
    }

    /// The name of now, and the one that this process had before, where the server was not told yet.
    pub(super) fn current(&mut self) -> (String, Option<String>) {
        match self {
            ProcessName::Alone(name) => (name.clone(), None),
            ProcessName::Numbered(numbered) => (numbered.current(), numbered.former.clone()),
        }
    }

    /// The server knows the name of now.
    pub(super) fn told(&mut self) {
        if let ProcessName::Numbered(numbered) = self {
            numbered.former = None;
        }
    }
}

impl NumberedName {
    fn current(&mut self) -> String {
        // One name of before is told at a time.
        let below = match &self.held {
            Some(_) if self.former.is_some() => 1,
            Some(held) => held.number,
            None => MAX_NUMBER + 1,
        };
        if let Some(lowest) = (1..below).find_map(|number| HeldNumber::take(&self.group, number))
            && let Some(before) = self.held.replace(lowest)
        {
            self.former = Some(self.with(before.number));
        }
        // Where no number can be held, the process's own tells it from others.
        self.with(self.held.as_ref().map_or_else(std::process::id, |held| held.number))
    }

    fn with(&self, number: u32) -> String {
        format!("{}:{number}", self.name)
    }
}

impl HeldNumber {
    #[cfg(target_os = "linux")]
    fn take(group: &str, number: u32) -> Option<Self> {
        use std::os::{
            linux::net::SocketAddrExt,
            unix::net::{SocketAddr, UnixDatagram},
        };

        let address = SocketAddr::from_abstract_name(format!("bulla/follower/{group}/{number}")).ok()?;
        UnixDatagram::bind_addr(&address).ok().map(|socket| HeldNumber { number, _socket: socket })
    }

    /// Elsewhere the process's own number tells it from others.
    #[cfg(not(target_os = "linux"))]
    fn take(_: &str, _: u32) -> Option<Self> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn each_process_has_the_lowest_number_that_is_free() {
        let (name, keyring) = ("of-a-test".to_owned(), KeyringId::random().expect("random"));
        let numbered = || ProcessName::numbered(name.clone(), keyring);
        let of = |number: u32| format!("{name}:{number}");
        let [mut one, mut two, mut three] = [(); 3].map(|()| numbered());
        assert_eq!(one.current(), (of(1), None));
        assert_eq!((two.current(), three.current()), ((of(2), None), (of(3), None)));
        assert_eq!(two.current(), (of(2), None), "it keeps its number");
        drop(two);
        assert_eq!(three.current(), (of(2), Some(of(3))), "as after a reload");
        assert_eq!(numbered().current(), (of(3), None), "it is free again");
        drop(one);
        assert_eq!(three.current(), (of(2), Some(of(3))), "one name of before is told at a time");
        three.told();
        assert_eq!(three.current(), (of(1), Some(of(2))));
        three.told();
        assert_eq!(three.current(), (of(1), None));
        let mut alone = ProcessName::Alone(name.clone());
        assert_eq!(alone.current(), (name, None));
    }
}
