//! `vault-transit:URL/MOUNT/KEY?key_version=N&token-source=file:P`: the master key is an HMAC key in Vault's or OpenBao's
//! Transit engine, which computes HMAC-SHA256 with it and never gives it away.

use std::{io::Read, path::Path, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use secrecy::ExposeSecret;
use serde::Deserialize;
use ureq::{
    Agent,
    http::{HeaderValue, Response},
    tls::Certificate,
};
use zeroize::Zeroizing;

use super::{
    KeySource, SourceError, SourceErrorKind, SourceUri, credential, endpoint, one_block, parameters::Parameters,
    printable, secret_file,
};
use crate::{
    agent,
    derive::{DerivedKey, KEY_BYTES},
    interrupt::Interrupt,
};

/// Far more than an answer has.
const MAX_ANSWER: u64 = 64 * 1024;

pub(super) struct VaultTransit {
    uri: SourceUri,
    agent: Agent,
    /// Where the HMAC is asked for.
    url: String,
    /// What a policy has to allow.
    path: String,
    key_version: u32,
    token: HeaderValue,
    namespace: Option<HeaderValue>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    hmac: &'a str,
}

#[derive(Deserialize)]
struct Complaint {
    errors: Vec<String>,
}

impl VaultTransit {
    pub(super) fn open(uri: &SourceUri, base: &Path, time_limit: Duration) -> Result<Self, SourceError> {
        let fail = |problem, detail: &str| SourceError::new(uri, problem, detail.to_owned());
        let (place, query) = uri.rest().split_once('?').unwrap_or((uri.rest(), ""));
        let known = ["key_version", "token-source", "namespace", "ca-source"];
        let query = Parameters::parse(uri, query, '&', &known)?;
        let (server, mount, key) = split(place).ok_or_else(|| {
            fail(
                SourceErrorKind::Uri,
                "it is named vault-transit:https://HOST[:PORT]/MOUNT/KEY?key_version=N&token-source=…",
            )
        })?;
        endpoint::check(uri, server)?;
        let why = "without it, a rotation in Vault would change the key; the first is key_version=1";
        let key_version = query.require("key_version", why)?.parse().ok().filter(|number| *number > 0);
        let key_version =
            key_version.ok_or_else(|| fail(SourceErrorKind::Uri, "key_version is a number, from 1 up"))?;
        let pointer =
            query.require("token-source", "file:PATH, env:NAME or credential:NAME, where Vault's token is")?;
        let token = credential::read(uri, "token-source", pointer, base)?;
        let mut token = HeaderValue::from_str(token.expose_secret()).map_err(|_| {
            let detail = "token-source does not name a token: it has characters that a header cannot hold";
            fail(SourceErrorKind::Malformed, detail)
        })?;
        token.set_sensitive(true);
        let namespace = query.get("namespace")?.map(HeaderValue::from_str).transpose();
        let namespace =
            namespace.map_err(|_| fail(SourceErrorKind::Uri, "the namespace has characters that no header takes"))?;
        let roots = query.get("ca-source")?.map(|pointer| own_roots(uri, pointer, base)).transpose()?;
        let path = format!("{mount}/hmac/{key}");
        let url = format!("{server}/v1/{path}");
        Ok(VaultTransit {
            uri: uri.clone(),
            agent: agent::build(
                agent::new(server, roots, None).timeout_global(Some(time_limit)).build(),
                &Interrupt::default(),
            ),
            url,
            path,
            key_version,
            token,
            namespace,
        })
    }

    fn fail(&self, problem: SourceErrorKind, detail: String) -> SourceError {
        SourceError::new(&self.uri, problem, detail)
    }

    fn ask(&self, body: &str) -> Result<Response<ureq::Body>, ureq::Error> {
        let mut request = self.agent.post(&self.url).header("X-Vault-Token", self.token.clone());
        if let Some(namespace) = &self.namespace {
            request = request.header("X-Vault-Namespace", namespace.clone());
        }
        request.header("X-Vault-Request", "true").content_type("application/json").send(body)
    }

    fn unreachable(&self, error: ureq::Error) -> SourceError {
        let detail = match error {
            ureq::Error::Timeout(_) => "the server gave no answer in time".to_owned(),
            ureq::Error::HostNotFound => "the server's name is not known here".to_owned(),
            error if tls_error(&error).is_some_and(speaks_no_tls) => {
                let detail =
                    "the server does not speak TLS at this port: name the port that does, or, on this machine, http://";
                return self.fail(SourceErrorKind::Uri, detail.to_owned());
            }
            error if tls_error(&error).is_some() || matches!(error, ureq::Error::Tls(_)) => {
                format!(
                    "no TLS connection: {error}; if the server has a certificate of your own CA, add ca-source=file:PATH"
                )
            }
            other => format!("the server cannot be reached: {other}"),
        };
        self.fail(SourceErrorKind::Unreachable, printable(&detail))
    }

    /// What a status other than 200 means, with what Vault said, and when it wants to be asked again (RFC 9110, 10.2.3).
    fn refusal(&self, status: u16, body: &str, retry_after: Option<Duration>) -> SourceError {
        // An answer that is no JSON comes from a proxy in between, or from another server.
        let said = serde_json::from_str::<Complaint>(body)
            .map_or_else(|_| body.to_owned(), |complaint| complaint.errors.join("; "));
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        let (problem, what) = match status {
            403 => (
                SourceErrorKind::Denied,
                format!(
                    "the token is not valid any more, or its policy lacks `update` on {}, or mount, key or namespace in the URI is \
                     another",
                    self.path
                ),
            ),
            404 => (SourceErrorKind::Missing, "there is no Transit engine at this mount, or no such namespace".to_owned()),
            400 if said.contains("not found") => (SourceErrorKind::Missing, "there is no such Transit key".to_owned()),
            400 if said.contains("HTTP request to an HTTPS server") => {
                (SourceErrorKind::Uri, "the server speaks TLS at this port: write https://".to_owned())
            }
            400 if said.contains("deleted") => {
                (SourceErrorKind::Denied, "the key is marked as deleted: restore it".to_owned())
            }
            400 => (
                SourceErrorKind::Denied,
                "the server refuses this key or key version (min_decryption_version or min_encryption_version is above it, the version's number, the key's type)".to_owned(),
            ),
            429 if retry_after.is_some() || said.contains("rate limit") => {
                (SourceErrorKind::Busy, "the server's rate limit is reached".to_owned())
            }
            429 | 472 | 473 => (SourceErrorKind::Unreachable, "the server is busy, or a standby: name the active one".to_owned()),
            503 if said.contains("sealed") => (SourceErrorKind::Unreachable, "the server is sealed: unseal it".to_owned()),
            300..=399 => (SourceErrorKind::Unreachable, "the server sends elsewhere, and the token is not carried there: name the active one".to_owned()),
            _ => (SourceErrorKind::Unreachable, "the server failed".to_owned()),
        };
        let said = if said.is_empty() { "nothing".to_owned() } else { format!("{:?}", printable(&said)) };
        self.fail(problem, format!("{what} (status {status}, it says {said})")).with_retry_after(retry_after)
    }
}

impl KeySource for VaultTransit {
    fn expand(&self, info: &[u8]) -> Result<DerivedKey, SourceError> {
        let input = BASE64.encode(one_block(info));
        let version = self.key_version;
        let body = format!(r#"{{"algorithm":"sha2-256","input":"{input}","key_version":{version}}}"#);
        let mut response = self.ask(&body).map_err(|error| self.unreachable(error))?;
        let mut text = Zeroizing::new(String::with_capacity(MAX_ANSWER as usize));
        let read = response.body_mut().as_reader().take(MAX_ANSWER).read_to_string(&mut text);
        read.map_err(|error| self.fail(SourceErrorKind::Unreachable, format!("the answer broke off: {error}")))?;
        let status = response.status().as_u16();
        if status != 200 {
            let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
            return Err(self.refusal(status, &text, retry_after.map(Duration::from_secs)));
        }
        let answer = serde_json::from_str::<Answer>(&text).ok();
        let mac = answer.as_ref().and_then(|answer| answer.data.hmac.strip_prefix(&format!("vault:v{version}:")));
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        match mac.map(|mac| BASE64.decode_slice(mac, key.as_mut_slice())) {
            Some(Ok(KEY_BYTES)) => Ok(DerivedKey::new(key)),
            _ => Err(self
                .fail(SourceErrorKind::Malformed, "the answer is not an HMAC-SHA256 of this key version".to_owned())),
        }
    }
}

/// The handshake's own errors, which come inside those of reading and writing.
fn tls_error(error: &ureq::Error) -> Option<&rustls::Error> {
    match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref(),
        _ => None,
    }
}

/// Returns whether the answer was not TLS at all.
fn speaks_no_tls(error: &rustls::Error) -> bool {
    matches!(error, rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType))
}

/// `https://HOST/MOUNT/KEY` taken apart; a mount may have slashes of its own.
fn split(place: &str) -> Option<(&str, &str, &str)> {
    let (_, behind_scheme) = place.split_once("://")?;
    let (host, path) = behind_scheme.split_once('/')?;
    let (server, _) = place.split_at(place.len() - path.len() - 1);
    let (mount, key) = path.rsplit_once('/')?;
    let plain = |part: &str| {
        let known = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        known && !part.is_empty() && !part.starts_with('.')
    };
    (!host.is_empty() && path.split('/').all(plain)).then_some((server, mount, key))
}

fn own_roots(uri: &SourceUri, pointer: &str, base: &Path) -> Result<Vec<Certificate<'static>>, SourceError> {
    let fail = |problem, detail| SourceError::new(uri, problem, format!("ca-source: {detail}"));
    let path =
        pointer.strip_prefix("file:").ok_or_else(|| fail(SourceErrorKind::Uri, "it is named file:PATH".to_owned()))?;
    let mut pem = Vec::new();
    let file = secret_file::open(&base.join(path)).map_err(|(problem, detail)| fail(problem, detail))?;
    file.take(1024 * 1024)
        .read_to_end(&mut pem)
        .map_err(|error| fail(SourceErrorKind::Unreachable, error.to_string()))?;
    let certificates = agent::certificates(&pem);
    if certificates.is_empty() {
        Err(fail(SourceErrorKind::Malformed, format!("{path} has no PEM certificate")))
    } else {
        Ok(certificates)
    }
}
