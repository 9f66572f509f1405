//! A source that is broken, or that somebody has taken: an edge follows a node through something that spoils, repeats
//! and reorders its messages. It forgets nothing, counts what it refuses, says so, and goes on as soon as it can.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::edges::{OFTEN, is_active, is_refused, ready, revoke};
use crate::support::{deployment::Deployment, edge::Edge, server::Server};

/// What it does with a message of the feed.
type Spoil = fn(&[u8]) -> Vec<u8>;

const SPOILS: [(&str, Spoil); 5] = [
    ("another text", |_| b"{\"bulla\":2}\n".to_vec()),
    ("a changed bit", |message| {
        let mut changed = message.to_vec();
        changed[message.len() / 2] ^= 1;
        changed
    }),
    ("half of it", |message| message[..message.len() / 2].to_vec()),
    ("nothing", |_| Vec::new()),
    ("lines in another order", |message| {
        let mut lines: Vec<&[u8]> = message.split_inclusive(|byte| *byte == b'\n').collect();
        lines.reverse();
        lines.concat()
    }),
];

/// Stands between an edge and a node.
struct Middle {
    address: String,
    shared: Arc<Shared>,
}

struct Shared {
    node: String,
    /// Whether it spoils messages, and how: 0 for not.
    spoil: AtomicUsize,
    /// Whether it answers with messages of before, in turn.
    repeats: AtomicUsize,
    /// All messages that came.
    seen: Mutex<Vec<Vec<u8>>>,
}

impl Middle {
    fn before(node: &str) -> Middle {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address").to_string();
        let shared = Arc::new(Shared {
            node: node.to_owned(),
            spoil: AtomicUsize::new(0),
            repeats: AtomicUsize::new(0),
            seen: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = Arc::clone(&serving);
                // A client that has gone, or a node that has, ends one exchange.
                std::thread::spawn(move || serving.exchange(stream).ok());
            }
        });
        Middle { address, shared }
    }

    fn spoils(&self, how: usize) {
        self.shared.spoil.store(how, Ordering::SeqCst);
    }
}

impl Shared {
    /// One request, on a connection of its own.
    fn exchange(&self, mut client: TcpStream) -> std::io::Result<()> {
        let request = read_request(&mut client)?;
        let is_question = request.starts_with("GET /v1/revocations?");
        let mut node = TcpStream::connect(&self.node)?;
        node.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        node.read_to_end(&mut answer)?;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
        let (head, message) = answer.split_at(end);
        if !is_question || !head.starts_with(b"HTTP/1.1 200") {
            return client.write_all(&answer);
        }
        let message = self.change(message);
        let head = String::from_utf8_lossy(head);
        let kept = head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("content-length:"));
        let kept: Vec<&str> = kept.filter(|line| !line.is_empty()).collect();
        let head = format!("{}\r\ncontent-length: {}\r\n\r\n", kept.join("\r\n"), message.len());
        client.write_all(head.as_bytes())?;
        client.write_all(&message)
    }

    fn change(&self, message: &[u8]) -> Vec<u8> {
        let mut seen = self.seen.lock().expect("the messages");
        let before = seen.len();
        seen.push(message.to_vec());
        match (self.spoil.load(Ordering::SeqCst), self.repeats.load(Ordering::SeqCst)) {
            (0, 0) => message.to_vec(),
            (0, turn) => {
                self.repeats.store(turn + 1, Ordering::SeqCst);
                // Two of three are of before, oldest first.
                if turn % 3 == 0 || before == 0 { message.to_vec() } else { seen[turn % before].clone() }
            }
            (how, _) => SPOILS[how - 1].1(message),
        }
    }
}

/// The request with its body, to be answered without compression on a connection that closes.
fn read_request(client: &mut TcpStream) -> std::io::Result<String> {
    let (mut bytes, mut byte) = (Vec::new(), [0]);
    while !bytes.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        bytes.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let length =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:").map(str::to_owned));
    let mut body = vec![0; length.map_or(0, |length| length.trim().parse().expect("a length"))];
    client.read_exact(&mut body)?;
    let dropped = ["accept-encoding:", "connection:"];
    let kept = head.lines().filter(|line| !line.is_empty());
    let kept: Vec<&str> =
        kept.filter(|line| !dropped.iter().any(|name| line.to_ascii_lowercase().starts_with(name))).collect();
    Ok(format!("{}\r\nconnection: close\r\n\r\n{}", kept.join("\r\n"), String::from_utf8_lossy(&body)))
}

/// Messages that the edge has refused, for whatever reason.
fn refused(edge: &Server) -> u64 {
    let metrics = edge.metrics.get("/metrics").body;
    let counts = metrics.lines().filter(|line| line.starts_with("bulla_follow_refused_total"));
    counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

#[test]
fn a_spoiled_message_is_refused_and_counted_and_the_last_good_state_stays() {
    let deployment = Deployment::new();
    let node = Server::start_with(&deployment, &OFTEN);
    let middle = Middle::before(&node.data.address);
    let folder = Edge::new(&deployment, &[&format!("http://{}", middle.address)], &["live"]);
    let edge = folder.start();
    let keys: Vec<String> = (0..SPOILS.len() + 2).map(|_| deployment.issue_text("live", &[])).collect();
    let (good, first) = (&keys[0], &keys[1]);
    edge.until("the first message", |edge| ready(edge) == (true, "[]".to_owned()));
    revoke(&node, first);
    edge.until("the first revocation", |edge| is_refused(edge, first));
    for (at, (what, _)) in SPOILS.iter().enumerate() {
        let before = refused(&edge);
        middle.spoils(at + 1);
        revoke(&node, &keys[at + 2]);
        edge.until(what, |edge| refused(edge) > before && ready(edge).1.contains("follow source"));
        assert!(is_active(&edge, good) && is_refused(&edge, first), "{what}: the last good state stays");
        middle.spoils(0);
        edge.until("what happened meanwhile", |edge| {
            is_refused(edge, &keys[at + 2]) && ready(edge) == (true, "[]".to_owned())
        });
    }
    node.until("the fleet shows it", |node| {
        let followers = node.admin.get("/v1/followers").json();
        let all = followers["followers"].as_array().expect("a list").clone();
        all.iter().any(|one| one["role"] == "edge" && one["refused"].as_u64().is_some_and(|count| count > 0))
    });
}

#[test]
fn repeated_and_reordered_messages_neither_stop_an_edge_nor_set_it_back() {
    let deployment = Deployment::new();
    let node = Server::start_with(&deployment, &OFTEN);
    let middle = Middle::before(&node.data.address);
    let sources = [format!("http://{}", middle.address), format!("http://{}", node.data.address)];
    let folder = Edge::new(&deployment, &[&sources[0], &sources[1]], &["live"]);
    let edge = folder.start();
    let keys: Vec<String> = (0..20).map(|_| deployment.issue_text("live", &[])).collect();
    edge.until("the first message", |edge| ready(edge) == (true, "[]".to_owned()));
    middle.shared.repeats.store(1, Ordering::SeqCst);
    // Either source may be the one that brings a revocation; in the end this one has repeated some.
    for (at, key) in keys.iter().enumerate().skip(1) {
        revoke(&node, key);
        edge.until("the revocation", |edge| is_refused(edge, key));
        assert!(keys[1..at].iter().all(|key| is_refused(&edge, key)), "nothing is forgotten");
        assert!(is_active(&edge, &keys[0]));
    }
    edge.until("it repeated some", |edge| {
        assert!(keys[1..].iter().all(|key| is_refused(edge, key)), "nothing is forgotten");
        middle.shared.repeats.load(Ordering::SeqCst) > 3
    });
    assert!(is_active(&edge, &keys[0]));
    assert_eq!(edge.metric("bulla_follow_diverged_total"), 0, "it never began again");
}
