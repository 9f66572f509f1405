//! `vault-transit:URL/MOUNT/KEY?key_version=N&token-source=file:P`: the master key is an HMAC key in Vault's or
//! OpenBao's Transit engine, which computes HMAC-SHA256 with it and never gives it away.

use std::{io::Read, path::Path, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::json;
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

/// How many HMACs are asked for in one request. OpenBao takes up to 1,000 strings in a request's JSON, and each HMAC
/// needs two.
pub(super) const MAX_BATCH: usize = 250;
/// Far more than an answer has for each HMAC, and beside them.
const MAX_RESULT: usize = 512;
const MAX_ANSWER: usize = 64 * 1024;

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
    /// In the order of the request.
    #[serde(borrow)]
    batch_results: Vec<BatchResult<'a>>,
}

#[derive(Deserialize)]
struct BatchResult<'a> {
    #[serde(borrow)]
    hmac: Option<&'a str>,
    error: Option<String>,
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

    /// What a status other than 200 means, with what Vault said, and when it wants to be asked again (RFC 9110,
    /// 10.2.3).
    fn refusal(&self, status: u16, body: &str, retry_after: Option<Duration>) -> SourceError {
        // An answer that is no JSON comes from a proxy in between, or from another server. Other JSON may have HMACs in
        // it, which are keys.
        let said = match serde_json::from_str::<Complaint>(body) {
            Ok(complaint) => complaint.errors.join("; "),
            Err(_) if body.trim_start().starts_with('{') => String::new(),
            Err(_) => body.to_owned(),
        };
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
            300..=399 => (SourceErrorKind::Unreachable, "the server redirects, and the token is not sent there: name the active server".to_owned()),
            _ => (SourceErrorKind::Unreachable, "the server failed".to_owned()),
        };
        let said = if said.is_empty() { "nothing".to_owned() } else { format!("{:?}", printable(&said)) };
        self.fail(problem, format!("{what} (status {status}, it says {said})")).with_retry_after(retry_after)
    }
}

impl KeySource for VaultTransit {
    fn expand(&self, info: &[u8]) -> Result<DerivedKey, SourceError> {
        self.expand_all(&[info.to_vec()])?.pop().ok_or_else(|| self.no_hmac())
    }

    fn expand_all(&self, infos: &[Vec<u8>]) -> Result<Vec<DerivedKey>, SourceError> {
        let inputs: Vec<_> = infos.iter().map(|info| json!({"input": BASE64.encode(one_block(info))})).collect();
        let body = json!({"algorithm": "sha2-256", "key_version": self.key_version, "batch_input": inputs});
        let mut response = self.ask(&body.to_string()).map_err(|error| self.unreachable(error))?;
        // It does not grow, which would leave keys in memory.
        let limit = MAX_ANSWER + MAX_RESULT * infos.len();
        let mut text = Zeroizing::new(String::with_capacity(limit));
        let read = response.body_mut().as_reader().take(limit as u64).read_to_string(&mut text);
        read.map_err(|error| self.fail(SourceErrorKind::Unreachable, format!("the answer broke off: {error}")))?;
        let status = response.status().as_u16();
        if status != 200 {
            let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
            return Err(self.refusal(status, &text, retry_after.map(Duration::from_secs)));
        }
        self.keys(&text, infos.len())
    }

    fn at_once(&self) -> usize {
        MAX_BATCH
    }
}

impl VaultTransit {
    /// The keys of an answer to a request for so many.
    fn keys(&self, text: &str, count: usize) -> Result<Vec<DerivedKey>, SourceError> {
        let answer = serde_json::from_str::<Answer>(text).map_err(|_| self.no_hmac())?;
        let results = answer.data.batch_results;
        if results.len() != count {
            return Err(self.no_hmac());
        }
        results.iter().map(|result| self.key(result)).collect()
    }

    fn key(&self, result: &BatchResult<'_>) -> Result<DerivedKey, SourceError> {
        if let Some(error) = result.error.as_deref().filter(|error| !error.is_empty()) {
            let detail =
                format!("the server refuses one of the values that it is asked for: it says {:?}", printable(error));
            return Err(self.fail(SourceErrorKind::Denied, detail));
        }
        let version = format!("vault:v{}:", self.key_version);
        let mac = result.hmac.and_then(|hmac| hmac.strip_prefix(&version));
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        match mac.map(|mac| BASE64.decode_slice(mac, key.as_mut_slice())) {
            Some(Ok(KEY_BYTES)) => Ok(DerivedKey::new(key)),
            _ => Err(self.no_hmac()),
        }
    }

    fn no_hmac(&self) -> SourceError {
        self.fail(SourceErrorKind::Malformed, "the answer is not an HMAC-SHA256 of this key version".to_owned())
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

#[cfg(test)]
mod tests {
    use super::*;

    const HMAC: &str = "vault:v3:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn source() -> VaultTransit {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("token"), "a-token").expect("written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(folder.path().join("token"), mode).expect("private");
        let uri = "vault-transit:https://vault.example/transit/k?key_version=3&token-source=file:token";
        VaultTransit::open(&uri.parse().expect("a URI"), folder.path(), Duration::from_secs(1)).expect("opened")
    }

    #[test]
    fn every_result_of_a_batch_is_a_key_or_none_of_them_is() {
        let source = source();
        let results = |results: &[serde_json::Value]| json!({"data": {"batch_results": results}}).to_string();
        let good = json!({"hmac": HMAC, "reference": ""});
        let keys = source.keys(&results(&[good.clone(), good.clone()]), 2).expect("two keys");
        assert!(keys.iter().all(|key| key.bytes().iter().copied().eq(0..32)));
        let of_another = json!({"hmac": HMAC.replace("v3", "v4")});
        let short = json!({"hmac": "vault:v3:AAEC"});
        for (count, results) in [
            (1, results(&[good.clone(), good.clone()])),
            (3, results(&[good.clone(), good.clone()])),
            (2, results(&[good.clone(), of_another])),
            (2, results(&[good.clone(), short])),
            (2, results(&[good.clone(), json!({})])),
            (1, json!({"data": {"hmac": HMAC}}).to_string()),
        ] {
            let error = source.keys(&results, count).expect_err("not what was asked for");
            assert_eq!(error.kind(), SourceErrorKind::Malformed, "{results}");
        }
        let failed = json!({"error": "unable to decode\n", "reference": ""});
        let error = source.keys(&results(&[good, failed]), 2).expect_err("one of them failed");
        assert!(error.to_string().ends_with("it says \"unable to decode\""), "{error}");
        assert_eq!(error.kind(), SourceErrorKind::Denied);
    }

    #[test]
    fn a_refusal_shows_what_the_server_says_and_never_a_key() {
        let source = source();
        let refused = |body: &str| source.refusal(400, body, None).to_string();
        assert!(refused(r#"{"errors":["version is too old"]}"#).contains("it says \"version is too old\""));
        assert!(refused("<html>a proxy</html>").contains("a proxy"));
        // Some servers answer so where a part of a batch failed.
        let partly = json!({"data": {"batch_results": [{"hmac": HMAC}, {"error": "no"}]}}).to_string();
        assert!([&partly[..], &partly[..90]].iter().all(|body| refused(body).ends_with("it says nothing)")));
    }
}
