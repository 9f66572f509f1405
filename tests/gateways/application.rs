//! The application behind the gateway: it notes every request that reaches it, and echoes what comes after an upgrade.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// What it says to those who reach it.
pub const BODY: &str = "the application";

/// The key of RFC 6455's example, section 1.3, and what a server makes of it.
pub const WEBSOCKET_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const WEBSOCKET_ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A request as it arrived.
#[derive(Debug, Default)]
pub struct ArrivedRequest {
    pub method: String,
    pub target: String,
    /// Every occurrence, as it was written.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl ArrivedRequest {
    /// The values of all headers that an application might take for `name`: those that derive variables from names do
    /// not tell `_` and `.` from `-`.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let same = |header: &str| plain(header) == name;
        self.headers.iter().filter(|(header, _)| same(header)).map(|(_, value)| value.as_str()).collect()
    }
}

/// A header's name as such an application sees it.
pub fn plain(name: &str) -> String {
    name.chars().map(|char| if char.is_ascii_alphanumeric() { char.to_ascii_lowercase() } else { '-' }).collect()
}

pub struct Application {
    pub port: u16,
    seen: Arc<Mutex<Vec<ArrivedRequest>>>,
}

impl Application {
    /// Runs until the process ends.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let seen = Arc::clone(&noted);
                // A gateway may hang up at any time.
                thread::spawn(move || serve(stream, &seen).unwrap_or_default());
            }
        });
        Application { port, seen }
    }

    /// What reached it since it was last asked.
    pub fn seen(&self) -> Vec<ArrivedRequest> {
        std::mem::take(&mut *self.seen.lock().expect("the notes"))
    }
}

/// Answers one request.
fn serve(mut stream: TcpStream, notes: &Mutex<Vec<ArrivedRequest>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let seen = read(&mut reader)?;
    let upgrade = seen.all("upgrade").first().map(ToString::to_string);
    let body = if seen.method == "HEAD" { "" } else { BODY };
    notes.lock().expect("the notes").push(seen);
    let Some(protocol) = upgrade else {
        return write!(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", BODY.len());
    };
    write!(
        stream,
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: {protocol}\r\n\
         sec-websocket-accept: {WEBSOCKET_ACCEPT}\r\n\r\n"
    )?;
    std::io::copy(&mut reader, &mut stream).map(drop)
}

/// Reads one request, its body by length or in chunks.
fn read(reader: &mut impl BufRead) -> std::io::Result<ArrivedRequest> {
    let mut seen = ArrivedRequest::default();
    let first = line(reader)?;
    let mut words = first.split(' ').map(str::to_owned);
    (seen.method, seen.target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    loop {
        let line = line(reader)?;
        let Some((name, value)) = line.split_once(':') else { break };
        seen.headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let length = seen.all("content-length").first().and_then(|length| length.parse().ok());
    if let Some(length) = length {
        seen.body = vec![0; length];
        reader.read_exact(&mut seen.body)?;
    } else if seen.all("transfer-encoding") == ["chunked"] {
        loop {
            let length = u64::from_str_radix(&line(reader)?, 16).map_err(std::io::Error::other)?;
            reader.by_ref().take(length).read_to_end(&mut seen.body)?;
            line(reader)?;
            if length == 0 {
                break;
            }
        }
    }
    Ok(seen)
}

fn line(reader: &mut impl BufRead) -> std::io::Result<String> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}
