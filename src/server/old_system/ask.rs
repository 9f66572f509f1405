//! Asking an old system about a key: over HTTP, or by a program. Both block.

use std::{
    io::{Read, Write},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bulla::source::read_secret_file;
use ureq::{
    Agent,
    tls::{Certificate, RootCerts, TlsConfig},
};
use zeroize::Zeroizing;

use super::answer::{OldKey, read};
use crate::{config::OldSystemConfig, tls};

/// Longest answer.
const MAX_ANSWER: u64 = 64 << 10;

/// Asks about `text`. `None` where the old system does not accept it; an error says that it could not be asked.
pub(super) fn ask(config: &OldSystemConfig, folder: &Path, text: &str) -> Result<Option<OldKey>, String> {
    let answer = match (&config.introspect, &config.exec) {
        (Some(address), _) => introspect(config, folder, address, text)?,
        (None, Some(program)) => run(program, text, config.timeout.0)?,
        (None, None) => return Err("no old system is named".to_owned()),
    };
    read(&answer, &config.app).map_err(str::to_owned)
}

fn introspect(
    config: &OldSystemConfig,
    folder: &Path,
    address: &str,
    text: &str,
) -> Result<Zeroizing<Vec<u8>>, String> {
    let roots = rustls_native_certs::load_native_certs().certs;
    let roots: Vec<_> = roots.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(tls::provider())
        .root_certs(RootCerts::new_with_certs(&roots))
        .build();
    let agent: Agent = Agent::config_builder()
        .timeout_global(Some(config.timeout.0))
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .tls_config(tls)
        .build()
        .into();
    let body = Zeroizing::new(format!("token={}", *form_encoded(text)));
    let mut request = agent
        .post(address)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("accept", "application/json");
    if let Some(uri) = &config.credential {
        let credential = read_secret_file(&folder.join(uri.rest())).map_err(|error| format!("credential: {error}"))?;
        request = request.header("authorization", &*basic(credential.trim())?);
    }
    let mut response = request.send(body.as_bytes()).map_err(|error| error.to_string())?;
    if response.status() != 200 {
        return Err(format!("it answered {}", response.status()));
    }
    let mut answer = Zeroizing::new(Vec::new());
    let read = response.body_mut().as_reader().take(MAX_ANSWER).read_to_end(&mut answer);
    read.map(|_| answer).map_err(|error| error.to_string())
}

/// HTTP Basic of `CLIENT:SECRET`. Servers decode both, as RFC 6749 2.3.1 says.
fn basic(credential: &str) -> Result<Zeroizing<String>, String> {
    let (client, secret) = credential.split_once(':').ok_or("credential: the file must hold CLIENT:SECRET")?;
    let both = Zeroizing::new(format!("{}:{}", *form_encoded(client), *form_encoded(secret)));
    Ok(Zeroizing::new(format!("Basic {}", BASE64.encode(&*both))))
}

/// As in a form.
fn form_encoded(text: &str) -> Zeroizing<String> {
    Zeroizing::new(form_urlencoded::byte_serialize(text.as_bytes()).collect())
}

/// Runs a program with the key on its standard input. It has to end with success, whatever it answers.
fn run(program: &[std::path::PathBuf], text: &str, timeout: Duration) -> Result<Zeroizing<Vec<u8>>, String> {
    let (name, arguments) = program.split_first().ok_or("exec names no program")?;
    let mut child = Command::new(name)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("the program does not start: {error}"))?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (done, ended) = mpsc::channel();
    let key = Zeroizing::new(text.to_owned());
    let talking = std::thread::Builder::new().name("old-system".to_owned()).spawn(move || {
        let mut answer = Zeroizing::new(Vec::new());
        // A program that does not read all of it may answer all the same.
        let _written = stdin.map(|mut stdin| stdin.write_all(key.as_bytes()));
        let read = stdout.map(|stdout| stdout.take(MAX_ANSWER).read_to_end(&mut answer));
        let _nobody_waits_any_more = done.send(read.map(|read| read.map(|_| answer)));
    });
    talking.map_err(|error| error.to_string())?;
    let answer = ended.recv_timeout(timeout);
    if answer.is_err() {
        let _ended_already = child.kill();
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    match answer {
        Ok(Some(Ok(answer))) if status.success() => Ok(answer),
        Ok(Some(Ok(_))) => Err(format!("the program ended with {status}")),
        Ok(Some(Err(error))) => Err(error.to_string()),
        _ => Err("the program took too long".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(script: &str) -> OldSystemConfig {
        let text = format!("exec = [\"/bin/sh\", \"-c\", '''{script}''']\ntimeout = \"1s\"");
        toml::from_str(&text).expect("a table")
    }

    fn asked(script: &str) -> Result<Option<OldKey>, String> {
        ask(&config(script), Path::new("."), "sk_0123456789abcdef")
    }

    #[test]
    fn client_and_secret_are_encoded_as_the_rfc_says() {
        assert_eq!(*basic("a b:c+d:%").expect("a credential"), format!("Basic {}", BASE64.encode("a+b:c%2Bd%3A%25")));
        assert_eq!(
            *basic("client:s-e_c.r*t").expect("a credential"),
            format!("Basic {}", BASE64.encode("client:s-e_c.r*t"))
        );
        assert!(basic("client").is_err());
    }

    #[test]
    fn a_program_reads_the_key_and_answers() {
        let good = r#"read -r key || true; [ "$key" = sk_0123456789abcdef ] && echo '{"active":true,"app_id":"42"}'"#;
        assert!(asked(good).is_ok_and(|key| key.is_some()));
        assert_eq!(asked(r#"echo '{"active":false}'"#), Ok(None));
        for bad in ["exit 3", "echo no", r#"echo '{"active":true,"app_id":"1"}'; exit 1"#, "exec sleep 60"] {
            assert!(asked(bad).is_err(), "{bad}");
        }
    }
}
