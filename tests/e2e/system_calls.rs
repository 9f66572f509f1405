//! What a request takes of the system: its socket, and nothing else.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::support::{
    deployment::{Deployment, altered},
    server::Server,
};

const REQUESTS: usize = 500;
/// How often the calls are counted until there are no others.
const TRIES: usize = 5;

/// The calls of the thread that answered, by name, while `requests` were answered.
fn calls(server: &Server, deployment: &Deployment, name: &str, requests: impl FnOnce()) -> BTreeMap<String, usize> {
    let file = deployment.file(name);
    let mut strace = Command::new("strace");
    strace.args(["-f", "-q", "-p", &server.id().to_string(), "-o"]).arg(&file);
    let mut strace = strace.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("strace");
    // It traces from the first call on that it writes down: every thread is called up now and then.
    let deadline = Instant::now() + Duration::from_secs(60);
    let lines = || std::fs::read_to_string(&file).unwrap_or_default();
    while lines().is_empty() {
        assert!(Instant::now() < deadline, "strace sees nothing");
        std::thread::sleep(Duration::from_millis(5));
    }
    requests();
    let id = rustix::process::Pid::from_child(&strace);
    rustix::process::kill_process(id, rustix::process::Signal::INT).expect("ended");
    strace.wait().expect("ended");
    let text = lines();
    let all = text.lines().filter_map(|line| {
        let (thread, call) = line.split_once(' ')?;
        let (name, _) = call.trim_start().split_once('(')?;
        Some((thread, name))
    });
    let all: Vec<(&str, &str)> =
        all.filter(|(_, name)| name.chars().all(|c| c.is_alphanumeric() || c == '_')).collect();
    let (answering, _) = all.iter().find(|(_, name)| *name == "recvfrom").expect("a request is read");
    let mut counts = BTreeMap::new();
    for (_, name) in all.iter().filter(|(thread, _)| thread == answering) {
        *counts.entry((*name).to_owned()).or_default() += 1;
    }
    counts
}

#[test]
fn a_forged_key_takes_a_read_and_a_write_and_nothing_else_of_the_system() {
    let deployment = Deployment::new();
    let key = deployment.issue_text("live", &["--scope", "orders.read", "--ttl", "90d"]);
    let forged = altered(&key, 50, if key.as_bytes()[50] == b'a' { 'b' } else { 'a' });
    let server = Server::start(&deployment);
    let mut stream = TcpStream::connect(&server.data.address).expect("a connection");
    let mut ask = |path: &str, key: &str, status: &str| {
        let body = format!("{{\"api_key\":\"{key}\"}}");
        let request = match path {
            "/v1/verify" => format!(
                "POST {path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            ),
            _ => format!("GET {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\r\n"),
        };
        stream.write_all(request.as_bytes()).expect("asked");
        let mut answer = [0; 2048];
        let read = stream.read(&mut answer).expect("an answer");
        assert!(answer[..read].starts_with(format!("HTTP/1.1 {status}").as_bytes()), "{path}");
    };
    for (name, path, key, status) in [
        ("authorize", "/v1/authorize", &forged, "401"),
        ("verify", "/v1/verify", &forged, "200"),
        ("accepted", "/v1/authorize", &key, "200"),
    ] {
        // What is made once is there.
        (0..100).for_each(|_| ask(path, key, status));
        // What is done for requests shows every time; that another thread is woken once does not.
        let mut others: Option<BTreeMap<String, usize>> = None;
        for _ in 0..TRIES {
            let mut counts = calls(&server, &deployment, name, || (0..REQUESTS).for_each(|_| ask(path, key, status)));
            let of = |name: &str, counts: &mut BTreeMap<String, usize>| counts.remove(name).unwrap_or_default();
            let (reads, writes) = (of("recvfrom", &mut counts), of("sendto", &mut counts));
            let waits = of("epoll_wait", &mut counts);
            assert_eq!((reads, writes), (REQUESTS, REQUESTS), "{name}");
            // One for each request, some for what else the thread waits for: more of these the longer it takes.
            assert!(waits <= 4 * REQUESTS, "{name}: {waits}");
            // The list of last uses grows.
            if name == "accepted" {
                counts.retain(|name, _| !["mmap", "munmap", "mremap", "brk", "madvise"].contains(&name.as_str()));
            }
            let left = others.get_or_insert_with(|| counts.clone());
            left.retain(|name, _| counts.contains_key(name));
            if left.is_empty() {
                break;
            }
        }
        let others = others.unwrap_or_default();
        assert!(others.is_empty(), "{name}: {others:?}");
    }
}
