//! HTTP as a client speaks it, and as only a hand on the socket can.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use serde_json::Value;
use ureq::{
    Agent, http,
    tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig},
};

use super::authority::{Authority, Issued};

use super::described::{self, Plane};

/// Longer than any answer takes; a deadline, not an expectation.
const TIMEOUT: Duration = Duration::from_secs(120);

/// One listener of a server.
#[derive(Clone)]
pub struct Http {
    agent: Agent,
    pub address: String,
    scheme: &'static str,
    key: Option<String>,
    /// Whose description its answers are held to.
    plane: Option<Plane>,
}

/// An answer.
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: String,
}

/// Server-sent events as they come.
pub struct Events {
    /// The answer's head, in lower case.
    pub head: String,
    lines: BufReader<Body>,
}

/// An answer's body, without the chunks in which it comes.
struct Body {
    stream: BufReader<TcpStream>,
    /// What is left of the chunk; `None` where it comes as it is.
    chunk: Option<usize>,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let Some(left) = &mut self.chunk else { return self.stream.read(buffer) };
        if *left == 0 {
            let mut size = String::new();
            while size.trim().is_empty() {
                size.clear();
                if self.stream.read_line(&mut size)? == 0 {
                    return Ok(0);
                }
            }
            *left = usize::from_str_radix(size.trim(), 16).expect("a size");
        }
        let most = buffer.len().min(*left);
        let read = self.stream.read(&mut buffer[..most])?;
        *left -= read;
        Ok(read)
    }
}

impl Events {
    /// The data of the next one, each line with its end.
    pub fn message(&mut self) -> String {
        self.next_message(true)
    }

    /// The same, before which no comment may come.
    pub fn message_before_comment(&mut self) -> String {
        self.next_message(false)
    }

    fn next_message(&mut self, after_comments: bool) -> String {
        let (mut data, mut line) = (String::new(), String::new());
        loop {
            line.clear();
            assert!(self.lines.read_line(&mut line).expect("a line") > 0, "the stream ended");
            assert!(after_comments || !line.starts_with(':'), "a comment came before the message");
            match line.strip_prefix("data: ") {
                Some(line) => data.push_str(line),
                None if line == "\n" && !data.is_empty() => return data,
                None => {}
            }
        }
    }

    /// Reads a comment, which has to come before any message.
    pub fn comment(&mut self) {
        let mut lines = [String::new(), String::new()];
        for line in &mut lines {
            self.lines.read_line(line).expect("a line");
        }
        assert!(lines[0].starts_with(':') && lines[1] == "\n", "a comment: {lines:?}");
    }
}

impl Events {
    /// What comes until the stream ends.
    pub fn rest(mut self) -> String {
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).expect("an end");
        rest
    }
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("ASCII"))
    }

    /// The last part of a problem's `type`, after all that a problem has to be was checked.
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{} {}", self.status, self.body);
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
        let kind = problem["type"].as_str().expect("a type").strip_prefix("urn:bulla:problem:");
        kind.expect("a type of bulla's").to_owned()
    }
}

impl Http {
    pub fn new(address: &str) -> Self {
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(TIMEOUT));
        Http { agent: config.build().into(), address: address.to_owned(), scheme: "http", key: None, plane: None }
    }

    /// The same, whose answers have to be described.
    pub fn of(self, plane: Plane) -> Self {
        Http { plane: Some(plane), ..self }
    }

    /// The same over TLS: the server's certificate has to come from `authority`, and the server sees `client`'s.
    pub fn over_tls(&self, authority: &Authority, client: Option<&Issued>) -> Self {
        let roots = [Certificate::from_pem(authority.pem().as_bytes()).expect("a certificate")];
        let client = client.map(|issued| {
            let key = PrivateKey::from_pem(&std::fs::read(&issued.key).expect("its key")).expect("a key");
            ClientCert::new_with_certs(&[Certificate::from_der(&issued.der).to_owned()], key)
        });
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .root_certs(RootCerts::new_with_certs(&roots))
            .client_cert(client);
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(TIMEOUT));
        let agent = config.tls_config(tls.build()).build().into();
        Http { agent, scheme: "https", ..self.clone() }
    }

    /// The same, showing `key`.
    pub fn bearer(&self, key: &str) -> Self {
        Http { key: Some(key.to_owned()), ..self.clone() }
    }

    /// The same, showing nothing.
    pub fn anonymous(&self) -> Self {
        Http { key: None, ..self.clone() }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], "")
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.request("POST", path, &[("content-type", "application/json")], &body.to_string())
    }

    /// `None` where nobody answers.
    pub fn try_post(&self, path: &str, body: &Value) -> Option<Answer> {
        self.try_send("POST", path, &[("content-type", "application/json")], &body.to_string()).ok()
    }

    /// `None` where nobody answers.
    pub fn try_request(&self, method: &str, path: &str) -> Option<Answer> {
        self.try_send(method, path, &[], "").ok()
    }

    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.try_send(method, path, headers, body).expect("an answer")
    }

    fn try_send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Result<Answer, ureq::Error> {
        let mut request =
            http::Request::builder().method(method).uri(format!("{}://{}{path}", self.scheme, self.address));
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.to_owned()).expect("a request");
        let mut response = self.agent.run(request)?;
        let answer = Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.body_mut().read_to_string()?,
        };
        if let Some(plane) = self.plane {
            described::check(plane, method, path, &answer);
        }
        Ok(answer)
    }

    /// The key it shows.
    pub fn key(&self) -> &str {
        self.key.as_deref().expect("a key")
    }

    /// Server-sent events.
    pub fn stream(&self, path: &str) -> Events {
        self.events(path, "")
    }

    /// Server-sent events behind the one of this id.
    pub fn stream_from(&self, path: &str, last: u64) -> Events {
        self.events(path, &format!("last-event-id: {last}\r\n"))
    }

    fn events(&self, path: &str, more: &str) -> Events {
        let mut stream = self.connect();
        let key = self.key();
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\naccept: text/event-stream\r\n{more}\r\n"
        );
        stream.write_all(head.as_bytes()).expect("asked");
        let (mut stream, mut head) = (BufReader::new(stream), String::new());
        while !head.ends_with("\r\n\r\n") {
            assert!(stream.read_line(&mut head).expect("a header") > 0, "the head ended early: {head}");
        }
        assert!(head.split("\r\n").next().is_some_and(|status| status.contains(" 200 ")), "{head}");
        let head = head.to_ascii_lowercase();
        let chunk = head.contains("transfer-encoding: chunked").then_some(0);
        Events { head, lines: BufReader::new(Body { stream, chunk }) }
    }

    /// A connection to write bytes to by hand.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("a connection");
        stream.set_read_timeout(Some(TIMEOUT)).expect("a time-out");
        stream
    }

    /// Writes `bytes` and reads until the server closes; the whole answer.
    pub fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        // The server may answer and close before all is written.
        let _closed = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _reset = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}
