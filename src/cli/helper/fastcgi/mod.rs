//! `bulla helper fastcgi`: a FastCGI authorizer. A connection carries one request after another; each is asked about
//! over HTTP.

mod record;

use std::{
    fmt::Display,
    io::{self, BufReader, BufWriter, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use clap::Args;

use self::record::{Kind, Record, Role};
use super::authorize::{AuthorizeArguments, Authorizer, Decision};
use crate::{
    cli::{Outcome, failure::Failure, output},
    telemetry::rate_limit::LineLimit,
};

/// The most connections at a time; a further one is closed at once.
const MAX_CONNECTIONS: usize = 1024;

/// The most bytes of a request's variables.
const MAX_PARAMETERS: usize = 128 << 10;

/// How long a connection may be silent.
const IDLE: Duration = Duration::from_secs(120);

/// The wait after a connection could not be accepted: it stays in the queue, and the cause takes a while to end.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Headers not forwarded: hop-by-hop ones, and those our own request sets.
const NOT_PASSED: [&str; 10] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-for",
];

#[derive(Args)]
pub(in crate::cli) struct Fastcgi {
    /// Where the server asks: 127.0.0.1:PORT or unix:PATH
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9181")]
    listen: String,
    /// Mode of the socket, where it is one
    #[arg(long, value_name = "MODE", default_value = "0660", value_parser = mode)]
    unix_mode: u32,
    #[command(flatten)]
    authorize: AuthorizeArguments,
}

fn mode(text: &str) -> Result<u32, &'static str> {
    u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777).ok_or("a mode is octal, such as 0660")
}

impl Fastcgi {
    pub(super) fn run(self) -> Outcome {
        let authorizer = Arc::new(self.authorize.authorizer()?);
        let open = Arc::new(AtomicUsize::new(0));
        let failed = |error: io::Error| Failure::Undone(format!("cannot listen on {}: {error}", self.listen));
        if let Some(path) = self.listen.strip_prefix("unix:") {
            let listener = listen_on_socket(Path::new(path), self.unix_mode).map_err(failed)?;
            output::note(&format_args!("answering FastCGI on {}", self.listen));
            accept(&authorizer, &open, listener.incoming());
        } else {
            let listener = TcpListener::bind(&self.listen).map_err(failed)?;
            output::note(&format_args!("answering FastCGI on {}", self.listen));
            accept(&authorizer, &open, listener.incoming());
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A socket that a process left behind is replaced; one that answers, or another file, is not.
fn listen_on_socket(path: &Path, mode: u32) -> io::Result<UnixListener> {
    let left_behind = path.symlink_metadata().is_ok_and(|file| file.file_type().is_socket());
    if left_behind && UnixStream::connect(path).is_err() {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(PathBuf::from(path), PermissionsExt::from_mode(mode))?;
    Ok(listener)
}

/// A connection of a server.
trait Connection: Read + Write + Send + Sized + 'static {
    fn prepare(&self) -> io::Result<(Self, Self)>;
    fn finish(&self) -> io::Result<()>;
}

macro_rules! connection {
    ($stream:ty) => {
        impl Connection for $stream {
            fn prepare(&self) -> io::Result<(Self, Self)> {
                self.set_read_timeout(Some(IDLE))?;
                self.set_write_timeout(Some(IDLE))?;
                Ok((self.try_clone()?, self.try_clone()?))
            }

            fn finish(&self) -> io::Result<()> {
                self.shutdown(Shutdown::Write)
            }
        }
    };
}

connection!(TcpStream);
connection!(UnixStream);

/// A connection that counts. However its thread ends, it counts no longer.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(open: &Arc<AtomicUsize>) -> Option<Self> {
        let counted = Counted(Arc::clone(open));
        (open.fetch_add(1, Ordering::Relaxed) < MAX_CONNECTIONS).then_some(counted)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Reports a failure on standard error. A server asks for every request, so the lines are limited.
fn complain(failure: impl Display) {
    static LINES: LineLimit = LineLimit::new();
    match LINES.allow(Instant::now()) {
        None => {}
        Some(0) => output::error(&failure),
        Some(more) => output::error(&format_args!("{failure} (and {more} more lines since the last one)")),
    }
}

fn accept<C: Connection>(
    authorizer: &Arc<Authorizer>,
    open: &Arc<AtomicUsize>,
    incoming: impl Iterator<Item = io::Result<C>>,
) {
    for stream in incoming {
        match stream {
            Ok(stream) => drop(serve(authorizer, open, stream)),
            Err(error) => {
                complain(format_args!("cannot accept a connection: {error}"));
                thread::sleep(ACCEPT_AGAIN);
            }
        }
    }
}

fn serve(
    authorizer: &Arc<Authorizer>,
    open: &Arc<AtomicUsize>,
    stream: impl Connection,
) -> Option<io::Result<JoinHandle<()>>> {
    let (authorizer, counted) = (Arc::clone(authorizer), Counted::new(open)?);
    Some(thread::Builder::new().spawn(move || {
        let _counted = counted;
        // A server that hangs up, or speaks another protocol, loses its connection and nothing else.
        let _ended = answer_all(&authorizer, &stream);
    }))
}

fn answer_all(authorizer: &Authorizer, stream: &impl Connection) -> io::Result<()> {
    let (reading, writing) = stream.prepare()?;
    let (mut input, mut output) = (BufReader::new(reading), BufWriter::new(writing));
    let mut request: Option<Request> = None;
    while let Some(record) = Record::read(&mut input)? {
        match (record.kind, &mut request) {
            (Kind::Begin, _) => request = Some(Request::begin(&record)?),
            (Kind::Parameters, Some(current)) if current.id == record.id && !record.content.is_empty() => {
                if current.parameters.len() + record.content.len() > MAX_PARAMETERS {
                    return Err(io::Error::other("too many variables"));
                }
                current.parameters.extend_from_slice(&record.content);
            }
            // The end of the variables. The body is ignored.
            (Kind::Parameters, Some(current)) if current.id == record.id => {
                current.answer(authorizer, &mut output)?;
                output.flush()?;
                let keeps = current.keeps;
                request = None;
                if !keeps {
                    stream.finish()?;
                }
            }
            (Kind::Abort, _) => request = None,
            _ => {}
        }
    }
    Ok(())
}

/// A request whose variables arrive.
struct Request {
    id: u16,
    role: Role,
    keeps: bool,
    parameters: Vec<u8>,
}

impl Request {
    fn begin(record: &Record) -> io::Result<Self> {
        let (role, keeps) =
            record.begin().ok_or_else(|| io::Error::other("the first record does not begin a request"))?;
        Ok(Request { id: record.id, role, keeps, parameters: Vec::new() })
    }

    fn answer(&self, authorizer: &Authorizer, output: &mut impl Write) -> io::Result<()> {
        if self.role == Role::Other {
            return record::end(output, self.id, record::UNKNOWN_ROLE);
        }
        let asked =
            headers(&self.parameters).map(|headers| authorizer.ask(&headers).map_err(|error| error.to_string()));
        let text = match asked.unwrap_or_else(|| Err("the variables of a request are cut off".to_owned())) {
            Ok(decision) => shown(&decision),
            Err(reason) => {
                complain(format_args!("answered 503: {reason}"));
                "Status: 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n".to_owned()
            }
        };
        record::write(output, self.id, text.as_bytes())?;
        record::end(output, self.id, record::COMPLETE)
    }
}

/// The headers of the client's request, and its address.
fn headers(parameters: &[u8]) -> Option<Vec<(String, String)>> {
    let (mut headers, mut login, mut password) = (Vec::new(), String::new(), None);
    for (name, value) in record::pairs(parameters)? {
        // Non-UTF-8 values cannot be a key but may occur in other headers.
        let (name, value) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value).into_owned());
        match &*name {
            "REMOTE_ADDR" => headers.push(("x-forwarded-for".to_owned(), value)),
            "REMOTE_USER" => login = value,
            "REMOTE_PASSWD" => password = Some(value),
            name => {
                let header = name.strip_prefix("HTTP_").map(|name| name.to_ascii_lowercase().replace('_', "-"));
                headers.extend(header.filter(|name| !NOT_PASSED.contains(&&**name)).map(|name| (name, value)));
            }
        }
    }
    // Apache passes Basic credentials this way.
    if let Some(password) = password {
        headers.retain(|(name, _)| name != "authorization");
        headers.push(("authorization".to_owned(), format!("Basic {}", BASE64.encode(format!("{login}:{password}")))));
    }
    Some(headers)
}

/// The answer of an authorizer: variables for the application, or the response for the client.
fn shown(decision: &Decision) -> String {
    let mut text = match decision.status {
        200 => "Status: 200 OK\r\n".to_owned(),
        401 => "Status: 401 Unauthorized\r\nContent-Length: 0\r\n".to_owned(),
        403 => "Status: 403 Forbidden\r\nContent-Length: 0\r\n".to_owned(),
        // It is the client that sent so many, or such long ones.
        431 => "Status: 431 Request Header Fields Too Large\r\nContent-Length: 0\r\n".to_owned(),
        503 => "Status: 503 Service Unavailable\r\nRetry-After: 1\r\n".to_owned(),
        _ => "Status: 500 Internal Server Error\r\n".to_owned(),
    };
    if let Some(challenge) = &decision.challenge {
        text.push_str(&format!("WWW-Authenticate: {challenge}\r\n"));
    }
    for (name, value) in decision.identity.iter().filter(|_| decision.status == 200) {
        let name = name.trim_start_matches("x-").to_ascii_uppercase().replace('-', "_");
        text.push_str(&format!("Variable-{name}: {value}\r\n"));
    }
    if decision.status == 200 {
        text.push_str(&format!("Variable-REMOTE_USER: {}\r\n", decision.app_id()));
    }
    text.push_str("\r\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_the_headers_of_the_client() {
        let mut parameters = Vec::new();
        for (name, value) in [
            ("HTTP_X_API_KEY", "live_k"),
            ("HTTP_HOST", "shop"),
            ("HTTP_X_FORWARDED_FOR", "192.0.2.9"),
            ("REMOTE_ADDR", "192.0.2.1"),
            ("SCRIPT_NAME", "/orders"),
        ] {
            record::pair(&mut parameters, name.as_bytes(), value.as_bytes());
        }
        let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(headers(&parameters), Some(vec![own("x-api-key", "live_k"), own("x-forwarded-for", "192.0.2.1")]));
        record::pair(&mut parameters, b"REMOTE_USER", b"me");
        record::pair(&mut parameters, b"REMOTE_PASSWD", b"live_k");
        let told = headers(&parameters).expect("headers");
        assert_eq!(told.last(), Some(&own("authorization", "Basic bWU6bGl2ZV9r")));
        assert_eq!(headers(&parameters[..parameters.len() - 1]), None, "cut off");
    }

    #[test]
    fn a_client_whose_headers_are_too_many_is_told_so() {
        let status = |status| {
            let answer = shown(&Decision { status, challenge: None, identity: Vec::new() });
            answer.lines().next().unwrap_or_default().to_owned()
        };
        assert_eq!(status(431), "Status: 431 Request Header Fields Too Large");
        assert_eq!(status(418), "Status: 500 Internal Server Error");
    }

    #[test]
    fn a_connection_whose_thread_panics_counts_no_longer() {
        struct Panics;
        impl Read for Panics {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                panic!("on purpose")
            }
        }
        impl Write for Panics {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Ok(0)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        impl Connection for Panics {
            fn prepare(&self) -> io::Result<(Self, Self)> {
                Ok((Panics, Panics))
            }

            fn finish(&self) -> io::Result<()> {
                Ok(())
            }
        }
        #[derive(clap::Parser)]
        struct Arguments {
            #[command(flatten)]
            authorize: AuthorizeArguments,
        }
        let arguments: Arguments = clap::Parser::parse_from(["helper"]);
        let authorizer = Arc::new(arguments.authorize.authorizer().expect("an authorizer"));
        let open = Arc::new(AtomicUsize::new(0));
        let thread = serve(&authorizer, &open, Panics).expect("room").expect("a thread");
        assert!(thread.join().is_err(), "it panics");
        assert_eq!(open.load(Ordering::Relaxed), 0);
        open.store(MAX_CONNECTIONS, Ordering::Relaxed);
        assert!(serve(&authorizer, &open, Panics).is_none());
        assert_eq!(open.load(Ordering::Relaxed), MAX_CONNECTIONS);
    }

    #[test]
    fn an_answer_has_variables_or_a_challenge() {
        let identity =
            vec![("x-bulla-app-id".to_owned(), "app".to_owned()), ("x-bulla-scopes".to_owned(), String::new())];
        let accepted = shown(&Decision { status: 200, challenge: None, identity });
        assert_eq!(
            accepted,
            "Status: 200 OK\r\nVariable-BULLA_APP_ID: app\r\nVariable-BULLA_SCOPES: \r\nVariable-REMOTE_USER: app\r\n\r\n"
        );
        let refused = shown(&Decision { status: 401, challenge: Some("Bearer".to_owned()), identity: vec![] });
        assert_eq!(refused, "Status: 401 Unauthorized\r\nContent-Length: 0\r\nWWW-Authenticate: Bearer\r\n\r\n");
    }
}
