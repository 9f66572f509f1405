//! OpenBao: a batch token, which is sealed as an API key is and which only the server can open, looked up by itself over
//! HTTP.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
};

use super::{
    KEYS, LookUp,
    postgres::ports::free_port,
    server::{Server, program, version},
};
use crate::rounds::Contender;

const ROOT: &str = "root";

pub(super) fn look_up() -> Option<LookUp> {
    let program = program("bao", "tests/parts installs it")?;
    let address = format!("127.0.0.1:{}", free_port());
    let (server, mut connection) = Server::start(
        &program,
        |command, _| {
            command.args(["server", "-dev", "-dev-no-store-token", "-log-level=error"]);
            command.arg(format!("-dev-root-token-id={ROOT}")).arg(format!("-dev-listen-address={address}"));
        },
        |_| {
            let mut connection = Connection::open(&address)?;
            connection.token().map(|_| connection)
        },
    );
    let tokens: Vec<String> = (0..KEYS).map(|_| connection.token().expect("a batch token")).collect();
    let name = format!("OpenBao {}, batch token", version(&program, "version"));
    let contender = Contender::over(&name, tokens, {
        let connection = std::cell::RefCell::new(connection);
        move |token| {
            let _runs = &server;
            connection.borrow_mut().ask("GET", "/v1/auth/token/lookup-self", token, "").is_some()
        }
    });
    // The figures of a round are of twenty.
    Some(LookUp { contender: contender.rarely(100), does: ["no, only with the token that made it", "no", "no"] })
}

struct Connection {
    stream: BufReader<TcpStream>,
    body: Vec<u8>,
}

impl Connection {
    fn open(address: &str) -> Option<Self> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_nodelay(true).expect("an option");
        Some(Connection { stream: BufReader::new(stream), body: Vec::new() })
    }

    /// A new batch token, as soon as the server makes some.
    fn token(&mut self) -> Option<String> {
        let wanted = r#"{"type":"batch","policies":["default"],"ttl":"24h"}"#;
        let answer = String::from_utf8_lossy(self.ask("POST", "/v1/auth/token/create", ROOT, wanted)?).into_owned();
        let (_, behind) = answer.split_once(r#""client_token":""#)?;
        Some(behind.split_once('"')?.0.to_owned())
    }

    /// The body of an answer 200.
    fn ask(&mut self, method: &str, path: &str, token: &str, body: &str) -> Option<&[u8]> {
        let length = body.len();
        let question = format!(
            "{method} {path} HTTP/1.1\r\nhost: bao\r\nx-vault-token: {token}\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        self.stream.get_mut().write_all(question.as_bytes()).ok()?;
        let (mut line, mut is_ok, mut length) = (String::new(), false, 0);
        loop {
            line.clear();
            if self.stream.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line.starts_with("HTTP/1.1 ") {
                is_ok = line.starts_with("HTTP/1.1 200 ");
            } else if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            } else if line == "\r\n" {
                break;
            }
        }
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body).ok()?;
        is_ok.then_some(&self.body)
    }
}
