//! Thousands of followers on one thread: each is a connection of its own and the library's state, and reads real
//! messages.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use bulla::{
    feed::{FeedState, Message, VerifyingKey},
    keyring::KeyringId,
};
use tokio::{net::TcpStream, sync::watch};

/// What a follower needs to ask, and to trust the answer.
#[derive(Clone)]
pub struct Trust {
    pub address: String,
    pub api_key: String,
    pub keyring_id: KeyringId,
    pub key: VerifyingKey,
}

/// An answer that a follower applied: the place in the log after it, and when its last byte came.
#[derive(Clone, Copy)]
pub struct Arrival {
    pub seq: u64,
    pub at: Instant,
}

/// What crossed the sockets, above TCP.
#[derive(Default)]
pub struct Traffic {
    pub answers: AtomicU64,
    pub received: AtomicU64,
    pub sent: AtomicU64,
}

pub struct Followers {
    pub arrivals: mpsc::Receiver<Arrival>,
    pub traffic: Arc<Traffic>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Followers {
    /// So many, which wait for `wait` at most, each time anew.
    pub fn start(count: usize, trust: &Trust, wait: Duration) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (arrived, arrivals) = mpsc::channel();
        let traffic = Arc::<Traffic>::default();
        let (trust, counted) = (trust.clone(), Arc::clone(&traffic));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let mut all = Vec::new();
                for _ in 0..count {
                    let one = Follower::connect(&trust, wait, &counted, &arrived).await;
                    let mut stopped = stopped.clone();
                    all.push(tokio::spawn(async move {
                        tokio::select! {
                            () = one.follow() => {}
                            _ = stopped.wait_for(|stopped| *stopped) => {}
                        }
                    }));
                }
                drop(arrived);
                for one in all {
                    one.await.expect("a follower goes on");
                }
            });
        });
        Followers { arrivals, traffic, stop, thread: Some(thread) }
    }

    /// When each of `count` followers had everything up to `seq`, in the order in which they had it.
    pub fn all_at(&self, seq: u64, count: usize) -> Vec<Instant> {
        let mut times = Vec::with_capacity(count);
        while times.len() < count {
            let arrival = self.arrivals.recv_timeout(Duration::from_secs(60)).expect("all followers get there");
            if arrival.seq >= seq {
                times.push(arrival.at);
            }
        }
        times
    }

    /// What crossed the sockets so far.
    pub fn counted(&self) -> [f64; 3] {
        let traffic = &self.traffic;
        [&traffic.answers, &traffic.received, &traffic.sent].map(|count| count.load(Ordering::Relaxed) as f64)
    }
}

impl Drop for Followers {
    fn drop(&mut self) {
        let _gone = self.stop.send(true);
        self.thread.take().expect("a thread").join().expect("it ends");
    }
}

struct Follower {
    trust: Trust,
    wait: Duration,
    stream: TcpStream,
    state: FeedState,
    traffic: Arc<Traffic>,
    arrived: mpsc::Sender<Arrival>,
    buffer: Vec<u8>,
}

impl Follower {
    async fn connect(trust: &Trust, wait: Duration, traffic: &Arc<Traffic>, arrived: &mpsc::Sender<Arrival>) -> Self {
        let stream = TcpStream::connect(&trust.address).await.expect("a connection");
        stream.set_nodelay(true).expect("an option");
        let (trust, traffic, arrived) = (trust.clone(), Arc::clone(traffic), arrived.clone());
        Follower { trust, wait, stream, state: FeedState::new(None), traffic, arrived, buffer: Vec::new() }
    }

    async fn follow(mut self) {
        let mut complete = false;
        loop {
            let wait = if complete { format!("&wait={}ms", self.wait.as_millis()) } else { String::new() };
            let body = self.ask(&format!("/v1/revocations?after={}{wait}", self.state.seq())).await;
            let at = Instant::now();
            let message =
                Message::read(&body, self.trust.keyring_id, &self.trust.key).expect("a message that is signed");
            complete = self.state.apply(&message, message.head().this_update).expect("what comes next").complete;
            if self.arrived.send(Arrival { seq: self.state.seq(), at }).is_err() {
                return;
            }
        }
    }

    /// The body of the answer.
    async fn ask(&mut self, path: &str) -> Vec<u8> {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: node\r\nauthorization: Bearer {}\r\n\r\n", self.trust.api_key);
        let mut rest = request.as_bytes();
        while !rest.is_empty() {
            self.stream.writable().await.expect("a connection");
            match self.stream.try_write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "{error}"),
            }
        }
        self.buffer.clear();
        let mut length = None;
        loop {
            if length.is_none()
                && let Some(head) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n")
            {
                length = Some((head + 4, content_length(&self.buffer[..head])));
            }
            if let Some((head, body)) = length
                && self.buffer.len() == head + body
            {
                self.traffic.answers.fetch_add(1, Ordering::Relaxed);
                self.traffic.sent.fetch_add(request.len() as u64, Ordering::Relaxed);
                self.traffic.received.fetch_add(self.buffer.len() as u64, Ordering::Relaxed);
                return self.buffer.split_off(head);
            }
            self.stream.readable().await.expect("a connection");
            let mut piece = [0; 1 << 14];
            match self.stream.try_read(&mut piece) {
                Ok(0) => panic!("the connection ended: {}", String::from_utf8_lossy(&self.buffer)),
                Ok(read) => self.buffer.extend(&piece[..read]),
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "{error}"),
            }
        }
    }
}

fn content_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    length.trim().parse().expect("a number")
}
