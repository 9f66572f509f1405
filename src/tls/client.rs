//! The certificate that a client proved to hold in the handshake: its names, and what they are mapped to.

use rustls::pki_types::CertificateDer;
use x509_cert::{
    Certificate,
    der::{Decode, asn1::ObjectIdentifier},
    ext::pkix::{
        SubjectAltName,
        name::{DirectoryString, GeneralName},
    },
    name::Name,
};

use super::validity::Validity;
use crate::config::Clients;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// A client's certificate, and what led to an authority.
#[derive(Debug)]
pub(crate) struct ClientCertificate {
    pub(super) chain: Vec<CertificateDer<'static>>,
    names: Vec<ClientName>,
    /// The last second in which all of the chain is valid, in Unix seconds; none where that cannot be read.
    until: Option<u64>,
}

/// What a certificate calls its holder.
#[derive(Clone, Debug, PartialEq)]
enum ClientName {
    Dns(String),
    Uri(String),
    Common(String),
}

/// What a certificate's names are mapped to.
#[derive(Debug, PartialEq)]
pub(crate) enum Mapped<'c> {
    Nothing,
    /// The name, as the configuration has it, and its scopes.
    One(&'c str, &'c [String]),
    /// Which of them is meant nobody can tell.
    Several,
}

impl ClientCertificate {
    /// What a client presented, its own certificate first.
    pub(crate) fn new(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let certificate = Certificate::from_der(chain.first()?).ok()?;
        let chain: Vec<_> = chain.iter().map(|certificate| certificate.clone().into_owned()).collect();
        let until = chain.iter().map(|certificate| {
            Validity::of(certificate).ok().and_then(|validity| u64::try_from(validity.until.as_second()).ok())
        });
        let until = until.collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().min());
        Some(ClientCertificate { chain, names: names(&certificate), until })
    }

    /// Returns whether the certificate, or one that it came with, may have expired at `now`, in Unix seconds. If not,
    /// a certificate that was accepted is accepted still by the same authorities.
    pub(crate) fn may_have_expired(&self, now: u64) -> bool {
        self.until.is_none_or(|until| now > until)
    }

    /// What its names are mapped to.
    pub(crate) fn mapped<'c>(&self, clients: &'c Clients) -> Mapped<'c> {
        let mut mapped = clients.iter().filter(|(name, _)| self.names.iter().any(|own| own.is(name)));
        match (mapped.next(), mapped.next()) {
            (None, _) => Mapped::Nothing,
            (Some((name, scopes)), None) => Mapped::One(name, scopes),
            (Some(_), Some(_)) => Mapped::Several,
        }
    }

    /// Its first name, for people to read.
    pub(crate) fn shown(&self) -> &str {
        self.names.first().map_or("without a name", ClientName::text)
    }
}

impl ClientName {
    fn text(&self) -> &str {
        match self {
            ClientName::Dns(name) | ClientName::Uri(name) | ClientName::Common(name) => name,
        }
    }

    /// Returns whether the configuration means this one. What has a colon is a URI there, so that no common name passes
    /// for one.
    fn is(&self, configured: &str) -> bool {
        match self {
            ClientName::Uri(uri) => configured.contains(':') && uri == configured,
            ClientName::Dns(name) => !configured.contains(':') && name.eq_ignore_ascii_case(configured),
            ClientName::Common(name) => !configured.contains(':') && name == configured,
        }
    }
}

/// DNS and URI names; the subject's common name only where there is neither (RFC 6125, section 6.4.4), and where it has
/// one alone. None has control characters, which no name in the configuration has, and no log takes.
fn names(certificate: &Certificate) -> Vec<ClientName> {
    let stated = certificate.tbs_certificate();
    let Ok(alternative) = stated.get_extension::<SubjectAltName>() else { return Vec::new() };
    let alternative = alternative.map(|(_, names)| names.0).unwrap_or_default();
    let named = alternative.iter().filter_map(|name| match name {
        GeneralName::DnsName(name) => Some(ClientName::Dns(name.as_str().to_owned())),
        GeneralName::UniformResourceIdentifier(uri) => Some(ClientName::Uri(uri.as_str().to_owned())),
        _ => None,
    });
    let mut named: Vec<ClientName> = named.collect();
    if named.is_empty() {
        named.extend(common_name(stated.subject()));
    }
    named.retain(|name| !name.text().contains(char::is_control));
    named
}

fn common_name(subject: &Name) -> Option<ClientName> {
    let mut all = subject.iter().filter(|attribute| attribute.oid == COMMON_NAME);
    let (name, another) = (all.next()?, all.next());
    let name = DirectoryString::try_from(&name.value).ok().filter(|_| another.is_none())?;
    Some(ClientName::Common(name.value().into_owned()))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn certificate(common: &str, alternative: &[SanType]) -> ClientCertificate {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common);
        params.subject_alt_names = alternative.to_vec();
        let signed = params.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate");
        ClientCertificate::new(&[signed.der().clone()]).expect("a certificate")
    }

    fn dns(name: &str) -> SanType {
        SanType::DnsName(name.try_into().expect("a name"))
    }

    fn uri(name: &str) -> SanType {
        SanType::URI(name.try_into().expect("a name"))
    }

    fn mapped(certificate: &ClientCertificate, configured: &[&str]) -> String {
        let clients: Clients = configured.iter().map(|name| ((*name).to_owned(), Vec::new())).collect();
        match certificate.mapped(&clients) {
            Mapped::Nothing => "nothing".to_owned(),
            Mapped::One(name, _) => name.to_owned(),
            Mapped::Several => "several".to_owned(),
        }
    }

    #[test]
    fn names_are_compared_with_their_kind() {
        let named = certificate("common", &[dns("Ops.example"), uri("spiffe://prod/ops")]);
        for (configured, found) in [
            ("ops.example", "ops.example"),
            ("spiffe://prod/ops", "spiffe://prod/ops"),
            ("spiffe://prod/Ops", "nothing"),
            ("common", "nothing"),
            ("example", "nothing"),
        ] {
            assert_eq!(mapped(&named, &[configured]), found, "{configured}");
        }
        assert_eq!(mapped(&named, &["ops.example", "spiffe://prod/ops"]), "several");
        assert_eq!(named.shown(), "Ops.example");
    }

    #[test]
    fn a_chain_expires_with_the_first_of_its_certificates() {
        let until = |year: i32| {
            let mut params = CertificateParams::default();
            params.not_after = rcgen::date_time_ymd(year, 1, 1);
            params.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate").der().clone()
        };
        let day = |year: i32| u64::try_from(rcgen::date_time_ymd(year, 1, 1).unix_timestamp()).expect("a time");
        let chain = ClientCertificate::new(&[until(2040), until(2030)]).expect("a certificate");
        assert_eq!([day(2030), day(2030) + 1, day(2040)].map(|now| chain.may_have_expired(now)), [false, true, true]);
        let unreadable = ClientCertificate::new(&[until(2040), vec![0].into()]).expect("a certificate");
        assert!(unreadable.may_have_expired(day(2030)), "nobody can tell");
    }

    #[test]
    fn a_common_name_counts_where_it_is_the_only_one_and_passes_for_no_uri() {
        assert_eq!(mapped(&certificate("ops", &[]), &["ops", "OPS2"]), "ops");
        assert_eq!(mapped(&certificate("ops", &[]), &["OPS"]), "nothing");
        assert_eq!(mapped(&certificate("spiffe://prod/ops", &[]), &["spiffe://prod/ops"]), "nothing");
        assert_eq!(mapped(&certificate("ops.example", &[dns("other.example")]), &["ops.example"]), "nothing");
        assert_eq!(mapped(&certificate("*.example", &[dns("*.example")]), &["ops.example"]), "nothing");
        let mail = SanType::Rfc822Name("ops@example".try_into().expect("an address"));
        assert_eq!(mapped(&certificate("ops", &[mail]), &["ops"]), "ops");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "ops");
        params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 3]), "admin");
        let twice = params.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate");
        let twice = ClientCertificate::new(&[twice.der().clone()]).expect("a certificate");
        assert_eq!(mapped(&twice, &["ops"]), "nothing");
        assert_eq!(mapped(&twice, &["admin"]), "nothing");
    }
}
