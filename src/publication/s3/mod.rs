//! A bucket as a place to publish in: S3, or a service with its interface. Objects are replaced by compare-and-swap,
//! with `If-Match` and `If-None-Match`.

mod answer;
mod reading;
mod uri;

use std::{
    fmt,
    io::Read,
    time::{Duration, SystemTime},
};

use bulla::source::{AwsRequest, AwsSigner};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ureq::{
    Agent, Body,
    http::{Request, Response, StatusCode, header},
    tls::{Certificate, RootCerts, TlsConfig},
};

use self::uri::BucketUri;
use super::place::{Caching, Place, PlaceError, Replaced, Tag};
use crate::{clock, tls};

/// The longest time until an answer is complete.
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// Bytes that go to the bucket in each second of what a long object takes beside that: a snapshot may have 100 MB.
const SLOWEST: u64 = 256 << 10;
/// No answer is longer: what is read again is smaller, and lists come in pages.
const MAX_ANSWER: u64 = 16 << 20;
/// What AWS leaves as it is in a query.
const IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(super) struct Bucket {
    uri: BucketUri,
    signer: AwsSigner,
    agent: Agent,
    /// The address of the bucket, without a slash at its end.
    address: String,
}

struct Answer {
    status: StatusCode,
    tag: Option<Tag>,
    body: Vec<u8>,
}

impl Bucket {
    /// The bucket of `text`, `s3://` and `rest`. It is asked for nothing yet.
    pub(super) fn open(text: &str, rest: &str) -> Result<Self, PlaceError> {
        let fail = |fault: String| PlaceError::Bucket { uri: text.to_owned(), fault };
        let uri = BucketUri::parse(rest).map_err(|fault| fail(fault.to_owned()))?;
        let signer = AwsSigner::load(uri.region.as_deref()).map_err(|error| fail(error.to_string()))?;
        let address = uri.address(signer.region());
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // The signature is for this address alone.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(chosen_proxy(&address).map_err(|fault| fail(fault.to_owned()))?)
            .timeout_global(Some(TIME_LIMIT));
        let found = rustls_native_certs::load_native_certs().certs;
        let roots: Vec<_> = found.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(tls::provider())
            .root_certs(RootCerts::new_with_certs(&roots))
            .build();
        Ok(Bucket { uri, signer, agent: config.tls_config(tls).build().into(), address })
    }

    /// Sends a request about an object, or with a query about the bucket.
    fn send(
        &self,
        method: &str,
        key: &str,
        query: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, PlaceError> {
        let limit = TIME_LIMIT + Duration::from_secs(body.len() as u64 / SLOWEST);
        self.read_answer(key, self.begin(method, (key, query), headers, body, limit)?)
    }

    /// The answer, with its whole body.
    fn read_answer(&self, key: &str, mut response: Response<Body>) -> Result<Answer, PlaceError> {
        let tag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok()).map(|tag| Tag(tag.to_owned()));
        let mut body = Vec::new();
        let read = response.body_mut().as_reader().take(MAX_ANSWER).read_to_end(&mut body);
        read.map_err(|error| self.fault(key, format!("it cannot be reached: {error}")))?;
        Ok(Answer { status: response.status(), tag, body })
    }

    /// The same, with a body that is still to be read, within `limit`.
    fn begin(
        &self,
        method: &str,
        (key, query): (&str, &str),
        headers: &[(&str, &str)],
        body: &[u8],
        limit: Duration,
    ) -> Result<Response<Body>, PlaceError> {
        let fail = |fault: &dyn fmt::Display| self.fault(key, fault.to_string());
        let url = format!("{}/{key}{query}", self.address);
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(clock::now_seconds());
        let signable = AwsRequest { service: "s3", method, url: &url, headers, body };
        let signed = self.signer.sign(signable, now).map_err(|error| fail(&error))?;
        let mut request = Request::builder().method(method).uri(&url);
        for (name, value) in headers.iter().copied().chain(signed.iter().map(|(name, value)| (&**name, &**value))) {
            request = request.header(name, value);
        }
        let sent = match method {
            "PUT" => request.body(body).map_err(|error| fail(&error)).map(|request| {
                self.agent.run(self.agent.configure_request(request).timeout_global(Some(limit)).build())
            })?,
            _ => request.body(()).map_err(|error| fail(&error)).map(|request| {
                self.agent.run(self.agent.configure_request(request).timeout_global(Some(limit)).build())
            })?,
        };
        sent.map_err(|error| fail(&format_args!("it cannot be reached: {error}")))
    }

    fn put(&self, name: &str, bytes: &[u8], caching: Caching, condition: (&str, &str)) -> Result<Answer, PlaceError> {
        let kind = "application/octet-stream";
        let headers = [("cache-control", caching.header()), ("content-type", kind), condition];
        self.send("PUT", &self.uri.key(name), "", &headers, bytes)
    }

    fn fault(&self, key: &str, fault: String) -> PlaceError {
        PlaceError::Object { object: format!("s3://{}/{key}", self.uri.bucket), fault }
    }

    fn refused(&self, key: &str, answer: &Answer, permission: &str) -> PlaceError {
        self.fault(key, answer::explain(answer.status, &String::from_utf8_lossy(&answer.body), permission))
    }
}

impl Place for Bucket {
    fn shown(&self) -> String {
        format!("s3://{}/{}", self.uri.bucket, self.uri.prefix)
    }

    fn read(&self, name: &str) -> Result<Option<(Vec<u8>, Tag)>, PlaceError> {
        let key = self.uri.key(name);
        let answer = self.send("GET", &key, "", &[], b"")?;
        match (answer.status, answer.tag) {
            (StatusCode::OK, Some(tag)) => Ok(Some((answer.body, tag))),
            (StatusCode::OK, None) => Err(self.fault(&key, "the answer has no ETag: this is not S3".to_owned())),
            (StatusCode::NOT_FOUND, _) if answer::code(&answer.body) != "NoSuchBucket" => Ok(None),
            (status, tag) => Err(self.refused(&key, &Answer { status, tag, body: answer.body }, "s3:GetObject")),
        }
    }

    fn create(&self, name: &str, bytes: &[u8]) -> Result<(), PlaceError> {
        let answer = self.put(name, bytes, Caching::Forever, ("if-none-match", "*"))?;
        match answer.status {
            // Its name has the hash of its bytes: the one that is there is the same.
            StatusCode::OK | StatusCode::PRECONDITION_FAILED => Ok(()),
            _ => Err(self.refused(&self.uri.key(name), &answer, "s3:PutObject")),
        }
    }

    fn replace(&self, name: &str, bytes: &[u8], caching: Caching, from: Option<&Tag>) -> Result<Replaced, PlaceError> {
        let condition = from.map_or(("if-none-match", "*"), |tag| ("if-match", &tag.0));
        let answer = self.put(name, bytes, caching, condition)?;
        match (answer.status, &answer.tag) {
            (StatusCode::OK, Some(tag)) => Ok(Replaced::Done(tag.clone())),
            // 404: it was removed; 409: another write is under way.
            (StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT, _) => Ok(Replaced::Changed),
            (StatusCode::NOT_FOUND, _) if from.is_some() && answer::code(&answer.body) != "NoSuchBucket" => {
                Ok(Replaced::Changed)
            }
            _ => Err(self.refused(&self.uri.key(name), &answer, "s3:PutObject")),
        }
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, PlaceError> {
        let folder = self.uri.key(&format!("{folder}/"));
        let encoded = |text: &str| utf8_percent_encode(text, IN_QUERY).to_string();
        let mut names: Vec<String> = Vec::new();
        loop {
            // In the order of their names, as the signature wants them.
            let mut query = format!("?list-type=2&prefix={}", encoded(&folder));
            if let Some(last) = names.last() {
                query += &format!("&start-after={}", encoded(&format!("{folder}{last}")));
            }
            let answer = self.send("GET", "", &query, &[], b"")?;
            if answer.status != StatusCode::OK {
                return Err(self.refused("", &answer, "s3:ListBucket"));
            }
            let page = answer::keys(&answer.body);
            names.extend(page.keys.iter().filter_map(|key| key.strip_prefix(&folder)).map(str::to_owned));
            if !page.goes_on || page.keys.is_empty() {
                return Ok(names);
            }
        }
    }

    fn remove(&self, name: &str) -> Result<(), PlaceError> {
        let key = self.uri.key(name);
        let answer = self.send("DELETE", &key, "", &[], b"")?;
        match answer.status {
            StatusCode::NO_CONTENT | StatusCode::OK | StatusCode::NOT_FOUND => Ok(()),
            _ => Err(self.refused(&key, &answer, "s3:DeleteObject")),
        }
    }
}

/// The proxy of `BULLA_PROXY` for what goes over TLS, and none that the environment names for other programs.
fn chosen_proxy(address: &str) -> Result<Option<ureq::Proxy>, &'static str> {
    match std::env::var("BULLA_PROXY") {
        Ok(proxy) if !proxy.is_empty() && address.starts_with("https:") => {
            ureq::Proxy::new(&proxy).map(Some).map_err(|_| "BULLA_PROXY is not http://HOST:PORT")
        }
        _ => Ok(None),
    }
}
