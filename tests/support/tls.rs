//! One TLS connection by hand, to ask over and over.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::{
    authority::{Authority, Issued},
    http::Http,
};

/// A kept-alive HTTP/1.1 connection.
pub struct Connection(BufReader<StreamOwned<ClientConnection, TcpStream>>);

impl Connection {
    pub fn open(listener: &Http, authority: &Authority, client: Option<&Issued>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("PEM")).expect("an authority");
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("a version")
            .with_root_certificates(roots);
        let config = match client {
            Some(issued) => config
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_file(&issued.certificate).expect("PEM")],
                    PrivateKeyDer::from_pem_file(&issued.key).expect("PEM"),
                )
                .expect("a client"),
            None => config.with_no_client_auth(),
        };
        let name = "127.0.0.1".try_into().expect("a name");
        let tls = ClientConnection::new(Arc::new(config), name).expect("a connection");
        let mut stream = StreamOwned::new(tls, listener.connect());
        stream.flush().expect("a handshake");
        Connection(BufReader::new(stream))
    }

    /// The certificate that the server showed.
    pub fn server(&self) -> Vec<u8> {
        self.0.get_ref().conn.peer_certificates().expect("certificates")[0].to_vec()
    }

    /// Asks; the status.
    pub fn get(&mut self, path: &str) -> u16 {
        write!(self.0.get_mut(), "GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("asked");
        let (mut status, mut length, mut line) = (0, 0, String::new());
        loop {
            line.clear();
            assert!(self.0.read_line(&mut line).expect("a line") > 0, "the connection was closed");
            if let Some(answer) = line.strip_prefix("HTTP/1.1 ") {
                status = answer[..3].parse().expect("a status");
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            if line == "\r\n" {
                break;
            }
        }
        self.0.read_exact(&mut vec![0; length]).expect("a body");
        status
    }
}
