//! A kept-alive connection on which many keys are verified, with several questions on the way at once.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

use crate::support::{authority::Authority, netns::Host};

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

pub struct Asking(BufReader<Box<dyn Stream>>);

impl Asking {
    /// Connects from a host, by TLS where the address is another one than the host's own.
    pub fn open(from: &Host, address: &str, authority: Option<&Authority>) -> Self {
        let stream = from.inside(|| TcpStream::connect(address)).expect("a connection");
        stream.set_nodelay(true).expect("an option");
        let Some(authority) = authority else { return Asking(BufReader::new(Box::new(stream))) };
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("PEM")).expect("an authority");
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(address.split(':').next().expect("a host").to_owned()).expect("an address");
        let tls = ClientConnection::new(Arc::new(config), name).expect("a connection");
        Asking(BufReader::new(Box::new(StreamOwned::new(tls, stream))))
    }

    /// Whether each of these keys is accepted, asked in one go.
    pub fn accepts(&mut self, keys: &[&str]) -> Vec<bool> {
        let questions: String = keys
            .iter()
            .map(|key| {
                let body = format!("{{\"api_key\":\"{key}\"}}");
                format!(
                    "POST /v1/verify HTTP/1.1\r\nhost: node\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                )
            })
            .collect();
        let stream = self.0.get_mut();
        stream.write_all(questions.as_bytes()).and_then(|()| stream.flush()).expect("asked");
        keys.iter().map(|_| self.answer()).collect()
    }

    fn answer(&mut self) -> bool {
        let (mut line, mut length) = (String::new(), 0);
        loop {
            line.clear();
            assert!(self.0.read_line(&mut line).expect("a line") > 0, "the connection ended");
            if line.starts_with("HTTP/1.1 ") {
                assert_eq!(&line[9..12], "200", "{line}");
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                length = value.trim().parse().expect("a number");
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).expect("a body");
        body.windows(13).any(|part| part == b"\"active\":true")
    }
}
