//! Why a server cannot be asked over TLS, or without it, and what to do.

use std::io::ErrorKind;

use jiff::Timestamp;
use rustls::{AlertDescription as Alert, CertificateError, Error as TlsError};
use ureq::Error;

/// Names of a certificate that are shown.
const MAX_NAMES: usize = 5;

const NO_TLS: &str = "a server without TLS answers there: write http:// in --server, if that is meant";
const CLOSED_TLS: &str = "the connection was closed without an answer: if the server has no TLS there, write http:// in \
                          --server";
const NO_HTTP: &str = "the answer is not HTTP: if the server has TLS there, write https:// in --server";
const CLOSED_HTTP: &str = "the connection was closed without an answer: if the server has TLS there, write https:// in \
                           --server";

/// What is wrong between this command and the server at `url`, where it has to do with TLS.
pub(super) fn trouble(url: &str, error: &Error) -> Option<String> {
    let (scheme, _) = url.split_once("://")?;
    let closed = |kind| matches!(kind, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe);
    match error {
        Error::Rustls(error) => of_tls(error),
        Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()) {
            Some(error) => of_tls(error),
            None if !closed(error.kind()) => None,
            None if scheme.eq_ignore_ascii_case("https") => Some(CLOSED_TLS.to_owned()),
            None => Some(CLOSED_HTTP.to_owned()),
        },
        Error::Protocol(_) if scheme.eq_ignore_ascii_case("http") => Some(NO_HTTP.to_owned()),
        _ => None,
    }
}

fn of_tls(error: &TlsError) -> Option<String> {
    let told = match error {
        TlsError::InvalidCertificate(wrong) => return Some(of_certificate(wrong)),
        TlsError::InvalidMessage(_) => NO_TLS,
        TlsError::AlertReceived(Alert::CertificateRequired) => {
            "the server asks for a client certificate: --client-cert and --client-key name it and its key"
        }
        TlsError::AlertReceived(
            Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied,
        ) => {
            "the server does not accept the certificate of --client-cert: it must be valid now, and from an authority of \
             the listener's client_ca"
        }
        TlsError::AlertReceived(Alert::ProtocolVersion | Alert::HandshakeFailure) | TlsError::PeerIncompatible(_) => {
            "the server has no version of TLS, or no cipher, in common with this command, which speaks TLS 1.2 and 1.3"
        }
        _ => return None,
    };
    Some(told.to_owned())
}

fn of_certificate(wrong: &CertificateError) -> String {
    match wrong {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the server's certificate is from an authority that is not trusted here: --ca FILE, or BULLA_CA_FILE, names the \
             file with the authority's certificate (PEM)"
                .to_owned()
        }
        CertificateError::NotValidForName => not_for("the name in --server", &[]),
        CertificateError::NotValidForNameContext { expected, presented } => {
            not_for(&format!("`{}`", expected.to_str()), presented)
        }
        CertificateError::Expired => expired(""),
        CertificateError::ExpiredContext { not_after, .. } => expired(&at(not_after.as_secs())),
        CertificateError::NotValidYet => not_yet(""),
        CertificateError::NotValidYetContext { not_before, .. } => not_yet(&at(not_before.as_secs())),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the server's certificate is not one for servers: its extended key usage must have serverAuth".to_owned()
        }
        // The library has no variant for this one.
        other if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "the server's certificate is that of an authority (CA:TRUE): give the server one that the authority issued, \
             and trust the authority with --ca"
                .to_owned()
        }
        other => format!("the server's certificate cannot be used ({other}): give the server another one"),
    }
}

fn not_for(name: &str, presented: &[String]) -> String {
    let names = presented.iter().take(MAX_NAMES).map(|name| bare(name)).collect::<Vec<_>>().join(", ");
    let has = if names.is_empty() { String::new() } else { format!(" It is for {names}.") };
    format!(
        "the server's certificate is not for {name}.{has} Write a name of the certificate in --server, or give the server \
         a certificate for this one"
    )
}

/// The name itself: rustls says `DnsName("bulla.example")` and `IpAddress(127.0.0.1)`.
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, inner)| inner.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

fn expired(at: &str) -> String {
    format!("the server's certificate expired{at}: renew it, or set the clock of this machine if that is wrong")
}

fn not_yet(from: &str) -> String {
    let from = from.replace(" at ", " before ");
    format!("the server's certificate is not valid yet{from}: set the clock of this machine, or issue another one")
}

fn at(second: u64) -> String {
    let time = i64::try_from(second).ok().and_then(|second| Timestamp::from_second(second).ok());
    time.map_or_else(String::new, |time| format!(" at {time}"))
}

#[cfg(test)]
mod tests {
    use std::{io, time::Duration};

    use rustls::{InvalidMessage, pki_types::UnixTime};

    use super::*;

    fn told(error: TlsError) -> String {
        let error = Error::Io(io::Error::new(ErrorKind::InvalidData, error));
        trouble("https://keys.example:8182/v1", &error).expect("it has to do with TLS")
    }

    #[test]
    fn each_trouble_says_what_is_wrong_and_what_to_do() {
        let time = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let name = CertificateError::NotValidForNameContext {
            expected: "keys.example".try_into().expect("a name"),
            presented: ["DnsName(\"other.example\")", "IpAddress(127.0.0.1)"].map(str::to_owned).into(),
        };
        let expired = CertificateError::ExpiredContext { time: time(1_700_000_000), not_after: time(1_577_836_800) };
        for (wrong, parts) in [
            (CertificateError::UnknownIssuer, ["authority that is not trusted", "--ca FILE"]),
            (CertificateError::BadSignature, ["authority that is not trusted", "BULLA_CA_FILE"]),
            (name, ["is not for `keys.example`", "It is for other.example, 127.0.0.1. Write"]),
            (expired, ["expired at 2020-01-01T00:00:00Z", "renew it"]),
            (CertificateError::NotValidYet, ["not valid yet", "clock"]),
            (CertificateError::BadEncoding, ["cannot be used", "another one"]),
        ] {
            let told = told(TlsError::InvalidCertificate(wrong));
            assert!(parts.iter().all(|part| told.contains(part)), "{told}");
        }
        assert!(told(TlsError::InvalidMessage(InvalidMessage::InvalidContentType)).contains("write http://"));
        assert!(told(TlsError::AlertReceived(Alert::CertificateRequired)).contains("--client-cert"));
        assert!(told(TlsError::AlertReceived(Alert::UnknownCA)).contains("client_ca"));
    }

    #[test]
    fn a_connection_that_ends_may_be_one_with_tls_or_without() {
        let closed = || Error::Io(ErrorKind::UnexpectedEof.into());
        assert!(trouble("http://h:1/v1", &closed()).expect("a guess").contains("write https://"));
        assert!(trouble("HTTPS://h:1/v1", &closed()).expect("a guess").contains("write http://"));
        assert_eq!(trouble("unix:/run/bulla.sock", &closed()), None);
        assert_eq!(trouble("https://h:1/v1", &Error::Io(ErrorKind::ConnectionRefused.into())), None);
    }
}
