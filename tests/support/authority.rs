//! An authority of the tests' own, and the certificates that it issues.

use std::{
    fs,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    SanType, date_time_ymd,
};
use tempfile::TempDir;

use super::deployment::Deployment;

pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// A certificate and its key, in files.
pub struct Issued {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub der: Vec<u8>,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("ca.crt"), issuer.pem()).expect("written");
        Authority { issuer, folder }
    }

    /// Its own certificate in PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// The file with that.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// A certificate of this machine, for `deployment`'s listeners, in `tls.crt` and `tls.key`.
    pub fn serve(&self, deployment: &Deployment) -> Issued {
        self.serve_until(deployment, 4000)
    }

    /// The same, good until the beginning of `year`.
    pub fn serve_until(&self, deployment: &Deployment, year: i32) -> Issued {
        self.server(&["127.0.0.1", "localhost"], year, &deployment.file("tls"))
    }

    /// A server's certificate for these names, good until the beginning of `year`, in `PATH.crt` and `PATH.key`.
    pub fn server(&self, names: &[&str], year: i32, path: &Path) -> Issued {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.not_after = date_time_ymd(year, 1, 1);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(params, path)
    }

    /// A client's certificate with a DNS name.
    pub fn client(&self, name: &str) -> Issued {
        self.client_named(name, &[SanType::DnsName(name.try_into().expect("a name"))])
    }

    /// A client's certificate with these alternative names, or none.
    pub fn client_named(&self, common: &str, names: &[SanType]) -> Issued {
        self.issue(Self::of_client(common, names), &self.folder.path().join(common.replace(['/', ':'], "-")))
    }

    /// A client's certificate of old.
    pub fn expired_client(&self, name: &str) -> Issued {
        let mut params = Self::of_client(name, &[SanType::DnsName(name.try_into().expect("a name"))]);
        params.not_after = date_time_ymd(2020, 1, 1);
        self.issue(params, &self.folder.path().join("expired"))
    }

    /// A client's certificate that expires so many seconds from now.
    pub fn client_for(&self, name: &str, seconds: u64) -> Issued {
        let mut params = Self::of_client(name, &[SanType::DnsName(name.try_into().expect("a name"))]);
        let now = UNIX_EPOCH.elapsed().expect("the clock");
        params.not_after = date_time_ymd(1970, 1, 1) + now + Duration::from_secs(seconds);
        self.issue(params, &self.folder.path().join("brief"))
    }

    fn of_client(common: &str, names: &[SanType]) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common);
        params.subject_alt_names = names.to_vec();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params
    }

    fn issue(&self, params: CertificateParams, path: &Path) -> Issued {
        let key = KeyPair::generate().expect("a key");
        let signed: Certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let issued = Issued {
            certificate: path.with_extension("crt"),
            key: path.with_extension("key"),
            der: signed.der().to_vec(),
        };
        replace(&issued.key, &key.serialize_pem());
        replace(&issued.certificate, &signed.pem());
        issued
    }
}

/// Puts a private file in place as a whole.
pub fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new).expect("open");
    std::io::Write::write_all(&mut file, text.as_bytes()).expect("written");
    fs::rename(new, path).expect("in place");
}
