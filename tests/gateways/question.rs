//! What a client asks of a gateway, byte for byte.

use std::{
    io::{Read, Write},
    process::Command,
};

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::gateways::{answer::Answer, application::WEBSOCKET_KEY, keys::Key, running::Running};
use crate::support::{http::Http, programs};

/// A client's request.
pub struct Question {
    pub method: &'static str,
    pub target: String,
    pub body: Vec<u8>,
    /// Whom the application is to hear of.
    pub key: Key,
    /// The `Authorization` that the application is to see.
    pub authorization: Option<String>,
    headers: Vec<(String, String)>,
    way: Way,
}

/// How it gets to the gateway.
#[derive(Clone, Copy)]
enum Way {
    Http1,
    Chunked,
    /// Asks for another protocol, this one.
    Upgrade(&'static str),
    Http2,
    /// From another address of this machine.
    From(&'static str),
}

impl Question {
    /// `GET` for this key, which no header carries yet.
    pub fn new(key: &Key, target: &str) -> Self {
        Question {
            method: "GET",
            target: target.to_owned(),
            body: Vec::new(),
            key: key.clone(),
            authorization: None,
            headers: Vec::new(),
            way: Way::Http1,
        }
    }

    pub fn bearer(self) -> Self {
        let value = format!("Bearer {}", self.key.text);
        self.with("Authorization", &value)
    }

    pub fn basic(self) -> Self {
        let value = format!("Basic {}", STANDARD.encode(format!("{}:", self.key.text)));
        self.with("Authorization", &value)
    }

    pub fn basic_password(self) -> Self {
        let value = format!("Basic {}", STANDARD.encode(format!("__token__:{}", self.key.text)));
        self.with("Authorization", &value)
    }

    /// As clients of OAuth write it.
    pub fn basic_form_encoded(self) -> Self {
        let key = self.key.text.replace('_', "%5F");
        let value = format!("Basic {}", STANDARD.encode(format!("{key}:x")));
        self.with("Authorization", &value)
    }

    pub fn basic_twice(self) -> Self {
        let value = format!("Basic {}", STANDARD.encode(format!("{0}:{0}", self.key.text)));
        self.with("Authorization", &value)
    }

    pub fn x_api_key(self) -> Self {
        let value = self.key.text.clone();
        self.with("X-API-Key", &value)
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With an `Authorization` that is none of the gateway's business.
    pub fn with_own_authorization(mut self, value: &str) -> Self {
        self.authorization = Some(value.to_owned());
        self.with("Authorization", value)
    }

    pub fn post(self, body: &[u8]) -> Self {
        Question { method: "POST", body: body.to_owned(), ..self }
    }

    pub fn method(self, method: &'static str) -> Self {
        Question { method, ..self }
    }

    pub fn chunked(self) -> Self {
        Question { way: Way::Chunked, ..self }
    }

    pub fn upgrade(self) -> Self {
        let headers = [("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", WEBSOCKET_KEY)];
        headers.into_iter().fold(self, |question, (name, value)| question.with(name, value)).upgrade_to("websocket")
    }

    /// Asks for HTTP/2 without TLS, as RFC 7540 had it.
    pub fn h2c(self) -> Self {
        self.with("HTTP2-Settings", "AAMAAABkAAQAAP__").upgrade_to("h2c")
    }

    /// Asks for this protocol.
    pub fn upgrade_to(self, protocol: &'static str) -> Self {
        Question { way: Way::Upgrade(protocol), ..self.with("Upgrade", protocol) }
    }

    /// The protocol that an application may hear of, which is a tunnel once it agrees.
    pub fn tunnel(&self) -> Option<&'static str> {
        if let Way::Upgrade("websocket") = self.way { Some("websocket") } else { None }
    }

    pub fn http2(self) -> Self {
        Question { way: Way::Http2, ..self }
    }

    pub fn from(self, address: &'static str) -> Self {
        Question { way: Way::From(address), ..self }
    }

    /// The address that it comes from.
    pub fn client(&self) -> &'static str {
        if let Way::From(address) = self.way { address } else { "127.0.0.1" }
    }

    /// Asks the gateway.
    pub fn ask(&self, running: &Running) -> Answer {
        match self.way {
            Way::Http1 | Way::Chunked => Answer::parse(&running.http.raw(&self.bytes())),
            Way::Upgrade(_) => self.over_upgrade(running),
            Way::Http2 => {
                let url = format!("{}{}", running.http2_url(), self.target);
                self.curl((running.gateway.http2)(running.folder()), &url)
            }
            Way::From(address) => {
                let url = format!("http://{}{}", running.http.address, self.target);
                self.curl(vec!["--http1.1".to_owned(), "--interface".to_owned(), address.to_owned()], &url)
            }
        }
    }

    /// Asks over HTTP/1.1 where a gateway listens.
    pub fn ask_at(&self, http: &Http) -> Answer {
        Answer::parse(&http.raw(&self.bytes()))
    }

    fn bytes(&self) -> Vec<u8> {
        let connection = match self.way {
            Way::Upgrade("h2c") => "Upgrade, HTTP2-Settings",
            Way::Upgrade(_) => "Upgrade",
            _ => "close",
        };
        let mut bytes =
            format!("{} {} HTTP/1.1\r\nHost: shop\r\nConnection: {connection}\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            bytes += &format!("{name}: {value}\r\n");
        }
        let mut bytes = bytes.into_bytes();
        if let Way::Chunked = self.way {
            bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
            for chunk in self.body.chunks(5000) {
                bytes.extend(format!("{:x}\r\n", chunk.len()).bytes().chain(chunk.iter().copied()).chain(*b"\r\n"));
            }
            bytes.extend(b"0\r\n\r\n");
        } else {
            bytes.extend(format!("Content-Length: {}\r\n\r\n", self.body.len()).bytes());
            bytes.extend(&self.body);
        }
        bytes
    }

    /// Where the upgrade succeeds the answer's body is what came back through the tunnel.
    fn over_upgrade(&self, running: &Running) -> Answer {
        let mut stream = running.http.connect();
        stream.write_all(&self.bytes()).expect("asked");
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(b"\r\n\r\n") && stream.read(&mut byte).expect("an answer") > 0 {
            answer.extend(byte);
        }
        let mut answer = Answer::parse(&String::from_utf8_lossy(&answer));
        if answer.status == 101 {
            stream.write_all(b"echo").expect("sent");
            let mut echo = [0; 4];
            stream.read_exact(&mut echo).expect("an echo");
            answer.body = String::from_utf8_lossy(&echo).into_owned();
        } else if let Some(length) = answer.header("content-length") {
            let mut body = vec![0; length.parse().expect("a length")];
            stream.read_exact(&mut body).expect("a body");
            answer.body = String::from_utf8_lossy(&body).into_owned();
        }
        answer
    }

    fn curl(&self, way: Vec<String>, url: &str) -> Answer {
        let mut curl = Command::new(programs::find("curl"));
        curl.args(["--silent", "--show-error", "--include", "--path-as-is", "--request", self.method]).args(way);
        for (name, value) in &self.headers {
            curl.arg("--header").arg(format!("{name}: {value}"));
        }
        Answer::parse(&programs::run(curl.arg(url)))
    }
}
