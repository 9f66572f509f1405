//! A TCP proxy before a database, which loses what a test tells it to lose: notifications, everything, or the
//! connections.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use super::postgres::Postgres;

/// What the proxy does with what it reads.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(u8)]
pub enum Mode {
    /// Hands everything on.
    Pass,
    /// Hands on everything but the messages of PostgreSQL that are notifications.
    SwallowNotifications,
    /// Accepts connections, reads what comes, and hands nothing on.
    Hang,
    /// Hands on what clients say, and none of the answers.
    HangAnswers,
    /// Closes every connection.
    Refuse,
}

const MODES: [Mode; 5] = [Mode::Pass, Mode::SwallowNotifications, Mode::Hang, Mode::HangAnswers, Mode::Refuse];

/// The longest time until a connection notices that the mode is another one.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

pub struct Proxy {
    /// Where clients connect.
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    mode: AtomicU8,
    target: Mutex<u16>,
    swallowed: AtomicUsize,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// One before this server. The connections are not encrypted.
    pub fn before(server: &Postgres) -> Proxy {
        let target = server.port();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let shared = Arc::new(Shared {
            mode: AtomicU8::new(Mode::Pass as u8),
            target: Mutex::new(target),
            swallowed: AtomicUsize::new(0),
            open: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        // It ends with the process.
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&accepting);
                if shared.mode() != Mode::Refuse {
                    thread::spawn(move || shared.connect(&client));
                }
            }
        });
        Proxy { port, shared }
    }

    /// From now on, also for connections that are open. They are closed by [`Mode::Refuse`] alone.
    pub fn set(&self, mode: Mode) {
        self.shared.mode.store(mode as u8, Ordering::SeqCst);
        if mode == Mode::Refuse {
            self.cut();
        }
    }

    /// Sends new connections to another server, and closes those that are open.
    pub fn point_to(&self, server: &Postgres) {
        *lock(&self.shared.target) = server.port();
        self.cut();
    }

    /// Closes every connection. New ones are accepted.
    pub fn cut(&self) {
        for stream in lock(&self.shared.open).drain(..) {
            let _closed_already = stream.shutdown(Shutdown::Both);
        }
    }

    /// The URL of the database `postgres` behind it.
    pub fn url(&self) -> String {
        super::cluster::url_at(self.port)
    }

    /// How many notifications were swallowed.
    pub fn swallowed(&self) -> usize {
        self.shared.swallowed.load(Ordering::SeqCst)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn mode(&self) -> Mode {
        MODES[usize::from(self.mode.load(Ordering::SeqCst))]
    }

    fn connect(self: Arc<Self>, client: &TcpStream) {
        let target = *lock(&self.target);
        let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else {
            let _closed_already = client.shutdown(Shutdown::Both);
            return;
        };
        let twin = |stream: &TcpStream| stream.try_clone().expect("another handle");
        lock(&self.open).extend([twin(client), twin(&server)]);
        let (shared, asked, answered) = (Arc::clone(&self), (twin(client), twin(&server)), (server, twin(client)));
        thread::spawn(move || shared.hand_on(asked, false));
        self.hand_on(answered, true);
    }

    /// Hands on one direction until one side closes.
    fn hand_on(&self, (mut from, mut to): (TcpStream, TcpStream), answers: bool) {
        let (mut waiting, mut read, mut begun) = (Vec::new(), [0; 16 * 1024], false);
        from.set_read_timeout(Some(POLL_INTERVAL)).expect("a timeout");
        loop {
            match from.read(&mut read) {
                Ok(0) => break,
                Ok(length) => waiting.extend_from_slice(&read[..length]),
                Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                }
                Err(_) => break,
            }
            let mode = self.mode();
            if mode == Mode::Hang || (mode == Mode::HangAnswers && answers) {
                continue;
            }
            let whole = match answers {
                true => self.without_notifications(&mut waiting, &mut begun, mode),
                false => std::mem::take(&mut waiting),
            };
            if to.write_all(&whole).is_err() {
                break;
            }
        }
        // What the other side said last must not be lost where a connection only ends.
        if self.mode() == Mode::Pass {
            let _closed_already = to.write_all(&waiting);
        }
        for stream in [from, to] {
            let _closed_already = stream.shutdown(Shutdown::Both);
        }
    }

    /// Takes whole messages of a server from what was read, less the notifications where they are swallowed. A message
    /// is a letter and a length, which counts itself.
    fn without_notifications(&self, waiting: &mut Vec<u8>, begun: &mut bool, mode: Mode) -> Vec<u8> {
        let mut whole = Vec::new();
        loop {
            let length = match waiting.as_slice() {
                [] => break,
                // What a server answers to a request for TLS, or for an encryption by GSSAPI, is one letter.
                [b'N', ..] if !*begun => 1,
                [_, a, b, c, d, ..] => 1 + u32::from_be_bytes([*a, *b, *c, *d]) as usize,
                _ => break,
            };
            if waiting.len() < length {
                break;
            }
            *begun |= length > 1;
            let message: Vec<u8> = waiting.drain(..length).collect();
            if message[0] == b'A' && mode == Mode::SwallowNotifications {
                self.swallowed.fetch_add(1, Ordering::SeqCst);
            } else {
                whole.extend(message);
            }
        }
        whole
    }
}
