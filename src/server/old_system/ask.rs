//! Asking an old system about a key: over HTTP, or by a program. Both block.

use std::{
    io::Read,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bulla::source::{read_secret_file, run_program};
use ureq::{
    Agent,
    tls::{Certificate, RootCerts, TlsConfig},
};
use zeroize::Zeroizing;

use super::answer::{OldKey, read};
use crate::{config::OldSystemConfig, tls};

/// Longest answer.
const MAX_ANSWER: usize = 64 << 10;

/// Asks about `text`. `None` where the old system does not accept it; an error says that it could not be asked.
pub(super) fn ask(config: &OldSystemConfig, folder: &Path, text: &str) -> Result<Option<OldKey>, String> {
    let answer = match (&config.introspect, &config.exec) {
        (Some(address), _) => introspect(config, folder, address, text)?,
        (None, Some(program)) => run(program, text, config.timeout.0)?,
        (None, None) => return Err("no old system is named".to_owned()),
    };
    read(&answer, &config.app, config.audience.as_deref()).map_err(str::to_owned)
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
    let read = response.body_mut().as_reader().take(MAX_ANSWER as u64).read_to_end(&mut answer);
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
fn run(program: &[PathBuf], text: &str, timeout: Duration) -> Result<Zeroizing<Vec<u8>>, String> {
    let (name, arguments) = program.split_first().ok_or("exec names no program")?;
    let (mut command, deadline) = (Command::new(name), Instant::now() + timeout);
    match run_program(command.args(arguments), text.as_bytes(), deadline, MAX_ANSWER, 0) {
        Ok(Some(ended)) if ended.status.success() => Ok(ended.printed),
        Ok(Some(ended)) => Err(format!("the program ended with {}", ended.status)),
        Ok(None) => Err("the program took too long".to_owned()),
        Err(error) => Err(format!("the program does not run: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked_within(timeout: &str, script: &str) -> Result<Option<OldKey>, String> {
        let text = format!("exec = [\"/bin/sh\", \"-c\", '''{script}''']\ntimeout = \"{timeout}\"");
        ask(&toml::from_str(&text).expect("a table"), Path::new("."), "sk_0123456789abcdef")
    }

    /// With time enough for every program that ends.
    fn asked(script: &str) -> Result<Option<OldKey>, String> {
        asked_within("30s", script)
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
        for bad in ["exit 3", "echo no", r#"echo '{"active":true,"app_id":"1"}'; exit 1"#] {
            assert!(asked(bad).is_err(), "{bad}");
        }
        assert!(asked_within("1s", "exec sleep 60").is_err());
    }

    #[test]
    fn a_program_that_closes_its_outputs_and_lives_on_is_ended() {
        let told = asked_within("1s", r#"echo '{"active":false}'; exec >&- 2>&-; exec sleep 600"#);
        assert_eq!(told, Err("the program took too long".to_owned()));
    }

    #[test]
    fn a_child_that_a_program_leaves_behind_is_ended_with_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("child");
        let lives = |child: &str| {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.trim()));
            stat.is_ok_and(|stat| !stat.contains(") Z "))
        };
        // With its outputs, and without.
        for outputs in ["", ">/dev/null 2>&1"] {
            let leave = format!("sleep 600 {outputs} & echo $! > '{}'", file.display());
            for (timeout, end, told) in [
                ("30s", r#"echo '{"active":false}'"#, Ok(None)),
                ("30s", "exit 3", Err("the program ended with exit status: 3".to_owned())),
                ("5s", "exec sleep 600", Err("the program took too long".to_owned())),
            ] {
                assert_eq!(asked_within(timeout, &format!("{leave}; {end}")), told, "{leave}");
                let child = std::fs::read_to_string(&file).expect("its number");
                // It is ended, and its new parent may not have seen that yet.
                while lives(&child) {
                    std::thread::yield_now();
                }
            }
        }
    }
}
