//! Addresses of listeners: `HOST:PORT` or `unix:PATH`.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::Deserialize;

use super::TlsConfig;

/// One of the three listeners, by its name in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plane {
    Data,
    Admin,
    Metrics,
}

/// A configured listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listener<'c> {
    pub(crate) plane: Plane,
    pub(crate) listen: &'c Listen,
    pub(crate) unix_mode: UnixMode,
    pub(crate) tls: Option<&'c TlsConfig>,
}

/// The mode of a Unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct UnixMode(pub(crate) u32);

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Listen {
    None,
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Listen {
    pub(crate) fn loopback(port: u16) -> Self {
        Listen::Tcp(([127, 0, 0, 1], port).into())
    }

    /// Resolves a relative socket path from `folder`, like every path of the configuration.
    pub(crate) fn start_at(&mut self, folder: &Path) {
        if let Listen::Unix(path) = self {
            *path = folder.join(&*path);
        }
    }

    /// Returns whether two listeners cannot have these at a time.
    pub(super) fn collides(&self, other: &Self) -> bool {
        match (self, other) {
            (Listen::Unix(one), Listen::Unix(other)) => one == other,
            (Listen::Tcp(one), Listen::Tcp(other)) => {
                // `[::]` takes IPv4 as well.
                let takes = |one: &SocketAddr, other: &SocketAddr| {
                    one.ip().is_unspecified() && (one.is_ipv6() || other.is_ipv4())
                };
                let shared = one.ip() == other.ip() || takes(one, other) || takes(other, one);
                shared && one.port() == other.port() && one.port() != 0
            }
            _ => false,
        }
    }

    /// Returns whether only this machine can connect to it.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Listen::None | Listen::Unix(_) => true,
            Listen::Tcp(address) => address.ip().to_canonical().is_loopback(),
        }
    }
}

impl<'c> Listener<'c> {
    pub(super) fn new(plane: Plane, listen: &'c Listen, unix_mode: UnixMode, tls: Option<&'c TlsConfig>) -> Self {
        Listener { plane, listen, unix_mode, tls }
    }
}

impl Plane {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Plane::Data => "data",
            Plane::Admin => "admin",
            Plane::Metrics => "metrics",
        }
    }
}

impl UnixMode {
    /// Owner and group.
    pub(crate) const USUAL: UnixMode = UnixMode(0o660);
}

impl TryFrom<String> for UnixMode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits = (3..=4).contains(&text.len()) && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        let mode = u32::from_str_radix(&text, 8).ok().filter(|mode| digits && *mode <= 0o777);
        mode.map(UnixMode).ok_or_else(|| "it must be the mode of a socket in octal, as \"0660\"".to_owned())
    }
}

impl fmt::Display for Plane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("unix:") {
            Some("") => Err("`unix:` needs a path behind it".to_owned()),
            Some(path) => Ok(Listen::Unix(path.into())),
            None if text.is_empty() => Ok(Listen::None),
            None => text.parse().map(Listen::Tcp).map_err(|_| {
                "it must be an address to listen on: write `127.0.0.1:8181` or `unix:/run/bulla/data.sock`".to_owned()
            }),
        }
    }
}

impl TryFrom<String> for Listen {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::None => f.write_str("nothing"),
            Listen::Tcp(address) => address.fmt(f),
            Listen::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_octal() {
        for (text, mode) in [("0660", 0o660), ("600", 0o600), ("0777", 0o777)] {
            assert_eq!(UnixMode::try_from(text.to_owned()), Ok(UnixMode(mode)));
        }
        for text in ["", "66", "0690", "1777", "00660", "+660", "rw-"] {
            assert!(UnixMode::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
