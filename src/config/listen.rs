//! Where a listener listens: `HOST:PORT` or `unix:PATH`.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::Deserialize;

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

    /// Lets a relative socket path start at `folder`, as every path of the configuration does.
    pub(crate) fn start_at(&mut self, folder: &Path) {
        if let Listen::Unix(path) = self {
            *path = folder.join(&*path);
        }
    }

    /// Whether only this machine reaches it.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Listen::None | Listen::Unix(_) => true,
            Listen::Tcp(address) => address.ip().to_canonical().is_loopback(),
        }
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
                format!("`{text}` is no address to listen on: write `127.0.0.1:8181` or `unix:/run/bulla/data.sock`")
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
