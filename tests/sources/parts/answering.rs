//! A server that gives every request the same answer, as a gateway does whose backend is away, or one that limits
//! rates.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
};

pub struct Answering {
    pub port: u16,
}

impl Answering {
    /// Starts it; it ends with the process.
    pub fn always(status: u16, content_type: &str, body: &str) -> Answering {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status} Said\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client may go away in between.
                let _ = give(&stream, &answer);
            }
        });
        Answering { port }
    }
}

fn give(mut stream: &TcpStream, answer: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.trim().is_empty() {
            break;
        }
    }
    reader.take(length).read_to_end(&mut Vec::new())?;
    stream.write_all(answer.as_bytes())
}
