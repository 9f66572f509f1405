//! A server of the revocation feed, in the test's own process: real messages, over a real socket.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::{self, JoinHandle},
    time::Duration,
};

use bulla::{
    feed::{Format, Head, LogId, Message, SigningKey, Snapshot, SnapshotHead, VerifyingKey},
    keyring::{KeyVersion, KeyringId, VersionState},
    revocation::{Change, RevocationEvent, RevocationLog},
};
use zeroize::Zeroizing;

use crate::fixture::KEYRING_ID;

/// Longer than anything here takes: a test that gets nothing by then fails.
const TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) fn signing_key() -> SigningKey {
    SigningKey::from_seed(&Zeroizing::new([9; 32]))
}

pub(crate) fn public_key() -> VerifyingKey {
    signing_key().verifying_key()
}

/// What the server knows, and how it behaves.
pub(crate) struct Log {
    pub(crate) id: [u8; 16],
    pub(crate) events: Vec<RevocationEvent>,
    pub(crate) versions: Vec<(KeyVersion, VersionState)>,
    pub(crate) format: Format,
    /// How long a message counts, in seconds.
    pub(crate) valid_for: u64,
    /// Most events of one message.
    pub(crate) page: usize,
    /// Most bytes of a snapshot's body in one answer; then the line breaks.
    pub(crate) cut: usize,
    /// A message, whatever it is, that is sent in the place of the next one.
    pub(crate) instead: Option<Vec<u8>>,
    /// Another status than 200.
    pub(crate) failing: Option<u16>,
    /// The API key that opens the feed.
    pub(crate) api_key: String,
    /// What followers asked, and the test has not looked at.
    asked: VecDeque<Asked>,
    stopping: bool,
}

/// A follower's question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) after: u64,
    pub(crate) query: String,
}

struct Shared {
    log: Mutex<Log>,
    changed: Condvar,
    clock: Box<dyn Fn() -> u64 + Send + Sync>,
}

pub(crate) struct FeedServer {
    shared: Arc<Shared>,
    port: u16,
    listening: Option<JoinHandle<()>>,
}

impl FeedServer {
    pub(crate) fn start(api_key: &str, clock: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        let log = Log {
            id: [0xe0; 16],
            events: Vec::new(),
            versions: vec![(KeyVersion::new(7).expect("a version"), VersionState::Active)],
            format: Format::V1,
            valid_for: 60,
            page: 1000,
            cut: usize::MAX,
            instead: None,
            failing: None,
            api_key: api_key.to_owned(),
            asked: VecDeque::new(),
            stopping: false,
        };
        let shared = Arc::new(Shared { log: Mutex::new(log), changed: Condvar::new(), clock: Box::new(clock) });
        let listener = TcpListener::bind("127.0.0.1:0").expect("should listen");
        let port = listener.local_addr().expect("an address").port();
        let serving = Arc::clone(&shared);
        let listening = thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, shared) = (stream.expect("a connection"), Arc::clone(&serving));
                if shared.lock().stopping {
                    return;
                }
                // A follower that is gone is not waited for.
                thread::spawn(move || shared.answer(&stream));
            }
        });
        FeedServer { shared, port, listening: Some(listening) }
    }

    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}/v1/revocations", self.port)
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Log)) {
        change(&mut self.shared.lock());
        self.shared.changed.notify_all();
    }

    /// Puts these at the end of the log, and says where that is.
    pub(crate) fn append(&self, changes: &[Change]) -> u64 {
        let mut end = 0;
        self.change(|log| {
            for change in changes {
                log.events.push(RevocationEvent::at_once(log.end() + 1, *change));
            }
            end = log.end();
        });
        end
    }

    /// The message that goes on from `after`.
    #[cfg(feature = "gateway")]
    pub(crate) fn message(&self, after: u64, now: u64) -> Vec<u8> {
        self.shared.lock().message(after, None, now)
    }

    /// Waits for a question that goes on from `after`, which shows that everything up to there was taken in.
    pub(crate) fn asked_from(&self, after: u64) -> Asked {
        let mut log = self.shared.lock();
        loop {
            while let Some(asked) = log.asked.pop_front() {
                if asked.after == after {
                    return asked;
                }
            }
            let (next, waited) = self.shared.changed.wait_timeout(log, TIMEOUT).expect("no test has panicked");
            assert!(!waited.timed_out(), "nobody asks for what comes after {after}");
            log = next;
        }
    }
}

impl Log {
    fn end(&self) -> u64 {
        self.events.last().map_or(0, |event| event.seq)
    }

    fn message(&self, after: u64, realm: Option<&str>, now: u64) -> Vec<u8> {
        let realm = realm.map(crate::fixture::realm);
        let behind = self.events.iter().filter(|event| event.seq > after);
        let part: Vec<_> = behind.take(self.page).copied().collect();
        let head = Head {
            format: self.format,
            keyring_id: KeyringId::from_bytes(KEYRING_ID),
            log_id: LogId::from_bytes(self.id),
            realm,
            after,
            seq: part.last().map_or(after, |event| event.seq),
            head: self.end(),
            this_update: now,
            next_update: now + self.valid_for,
            keyring_serial: 3,
            versions: self.versions.clone(),
            live: None,
        };
        let concerns = |event: &RevocationEvent| realm.is_none_or(|realm| event.change.concerns(realm));
        let part: Vec<_> = part.into_iter().filter(concerns).collect();
        Message::write(&head, &part, &signing_key()).expect("a message")
    }

    /// The manifest and the body.
    fn snapshot(&self, now: u64) -> (Vec<u8>, Vec<u8>) {
        let mut log = RevocationLog::default();
        log.advance(&self.events, self.end(), self.end(), now).expect("in order");
        let head = SnapshotHead {
            keyring_id: KeyringId::from_bytes(KEYRING_ID),
            log_id: LogId::from_bytes(self.id),
            realm: None,
            this_update: now,
            keyring_serial: 3,
            versions: self.versions.clone(),
        };
        Snapshot::write(&head, &log, &signing_key()).expect("a snapshot")
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().expect("no test has panicked")
    }

    fn answer(&self, mut stream: &TcpStream) {
        let head: Vec<String> =
            BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
        if head.first().is_some_and(|line| line.starts_with("POST ")) {
            let _gone = stream.write_all(b"HTTP/1.1 404 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            return;
        }
        if head.first().is_some_and(|line| line.contains("/snapshot")) {
            return self.answer_snapshot(stream, &head);
        }
        let Some(query) = head.first().and_then(|line| line.split([' ', '?']).nth(2)) else { return };
        let value = |name: &str| query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        let after: u64 = value("after").expect("`after`").parse().expect("a number");
        let mut log = self.lock();
        log.asked.push_back(Asked { after, query: query.to_owned() });
        self.changed.notify_all();
        if value("wait").is_some() {
            let idle = |log: &mut Log| log.end() <= after && log.failing.is_none() && !log.stopping;
            log = self.changed.wait_timeout_while(log, TIMEOUT, idle).expect("no test has panicked").0;
        }
        let authorized = head.iter().any(|line| {
            line.split_once(": ").is_some_and(|(name, value)| {
                name.eq_ignore_ascii_case("authorization") && value == format!("Bearer {}", log.api_key)
            })
        });
        let status = match log.failing {
            Some(status) => status,
            None if !authorized => 401,
            None if after > log.end() => 409,
            None => 200,
        };
        let instead = log.instead.take_if(|_| status == 200);
        let message = || log.message(after, value("realm"), (self.clock)());
        let body = if status == 200 { instead.unwrap_or_else(message) } else { Vec::new() };
        drop(log);
        let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        let _gone = stream.write_all(&[head.as_bytes(), &body].concat());
        let _gone = stream.shutdown(Shutdown::Both);
    }
}

impl Shared {
    fn answer_snapshot(&self, mut stream: &TcpStream, head: &[String]) {
        let mut log = self.lock();
        let (manifest, body) = log.snapshot((self.clock)());
        let line = head[0].clone();
        let range =
            head.iter().find_map(|line| line.to_ascii_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
        let from: usize = range.map_or(0, |range| range.trim_end_matches('-').parse().expect("a place"));
        log.asked.push_back(Asked { after: from as u64, query: line.clone() });
        let cut = log.cut;
        drop(log);
        self.changed.notify_all();
        let (status, body) = match line.contains("/snapshots/") {
            true => (206, &body[from..]),
            false => (200, &manifest[..]),
        };
        let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        let sent = &body[..body.len().min(if status == 206 { cut } else { usize::MAX })];
        let _gone = stream.write_all(&[head.as_bytes(), sent].concat());
        let _gone = stream.shutdown(Shutdown::Both);
    }
}

impl Drop for FeedServer {
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        self.change(|log| log.stopping = true);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(listening) = self.listening.take() {
            listening.join().expect("the listener should not panic");
        }
    }
}
