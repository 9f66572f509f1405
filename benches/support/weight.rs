//! What the service takes: on the disk, until it is ready, in memory.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Instant,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use crate::{
    binary,
    loads::start,
    support::{
        deployment::{Deployment, altered},
        server::Server,
    },
};

const IDLE: usize = 10_000;
const BAD: usize = 1_000_000;
const REVOKED: u32 = 100_000;

pub fn measure() {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!("\nthe command: {:.1} MiB", mib(std::fs::metadata(binary()).expect("the command").len()));
    let deployment = Deployment::on_file();
    let key = deployment.issue_text("live", &["--scope", "orders.read", "--ttl", "90d"]);
    let ready = |deployment: &Deployment| {
        let mut times: Vec<f64> = (0..9)
            .map(|_| {
                let begun = Instant::now();
                let server = start(deployment);
                let time = begun.elapsed().as_secs_f64() * 1e3;
                drop(server);
                time
            })
            .collect();
        times.sort_by(f64::total_cmp);
        format!("{:.0} ms ({:.0} … {:.0})", times[4], times[0], times[8])
    };
    println!("ready with nothing revoked: {}", ready(&deployment));
    let server = start(&deployment);
    let memory = |server: &Server| server.memory() as f64 / 1024.0;
    std::thread::sleep(std::time::Duration::from_secs(2));
    let idle = memory(&server);
    println!("resident, idle: {idle:.1} MiB");
    connections(&server, &key, idle);
    drop(server);
    let server = start(&deployment);
    flood(&server, &key);
    drop(server);
    revoke_many(&deployment);
    println!("ready with {REVOKED} revocations: {}", ready(&deployment));
}

fn connections(server: &Server, key: &str, before: f64) {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("more files");
    let request = format!("GET /v1/authorize HTTP/1.1\r\nhost: a\r\nx-api-key: {key}\r\n\r\n");
    let kept: Vec<TcpStream> = (0..IDLE)
        .map(|_| {
            let mut stream = TcpStream::connect(&server.data.address).expect("a connection");
            stream.write_all(request.as_bytes()).expect("asked");
            let mut answer = [0; 1024];
            let read = stream.read(&mut answer).expect("an answer");
            assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
            stream
        })
        .collect();
    let with = server.memory() as f64 / 1024.0;
    println!(
        "resident with {} idle connections, each asked once: {with:.1} MiB, {:.1} more",
        kept.len(),
        with - before
    );
    drop(kept);
}

fn flood(server: &Server, key: &str) {
    let mut stream = TcpStream::connect(&server.data.address).expect("a connection");
    let before = server.memory();
    let alphabet: Vec<char> = ('0'..='9').chain('A'..='Z').chain('a'..='z').collect();
    for batch in 0..BAD / 1_000 {
        let keys: Vec<String> = (0..1_000)
            .map(|at| {
                let mut number = batch * 1_000 + at;
                let mut text = key.to_owned();
                for place in 60..64 {
                    text = altered(&text, place, alphabet[number % 62]);
                    number /= 62;
                }
                text
            })
            .collect();
        let body = json!({"api_keys": keys}).to_string();
        let head = "POST /v1/verify/batch HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length";
        stream.write_all(format!("{head}: {}\r\n\r\n{body}", body.len()).as_bytes()).expect("asked");
        read_answer(&mut stream);
    }
    let after = server.memory();
    let ratio = after as f64 / before as f64;
    println!("resident before and after {BAD} distinct bad keys: {before} and {after} KiB, {ratio:.3}");
}

fn read_answer(stream: &mut TcpStream) {
    let (mut all, mut piece) = (Vec::new(), [0; 1 << 16]);
    loop {
        let read = stream.read(&mut piece).expect("an answer");
        assert!(read > 0, "the connection ended");
        all.extend(&piece[..read]);
        let Some(head) = all.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&all[..head]).to_ascii_lowercase();
        let length: usize = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .and_then(|length| length.trim().parse().ok())
            .unwrap_or_else(|| panic!("{text}"));
        if all.len() >= head + 4 + length {
            return;
        }
    }
}

/// Into the store, as a revocation of a key that the ledger does not know.
fn revoke_many(deployment: &Deployment) {
    let mut store = rusqlite::Connection::open(deployment.file("bulla.db")).expect("the store");
    let change = store.transaction().expect("a transaction");
    for number in 0..REVOKED {
        change
            .execute(
                "INSERT INTO revocations (kind, api_key_id, version, effective_at, recorded_at, recorded_by)
                 VALUES ('revoke', ?1, 1, unixepoch(), unixepoch(), 'bench')",
                [format!("live_00000X{number:016}")],
            )
            .expect("revoked");
    }
    change.commit().expect("written");
}
