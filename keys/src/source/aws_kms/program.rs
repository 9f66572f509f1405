//! `credential_process`, the program that an AWS profile names for credentials. The SDK would leave one that hangs
//! behind, for each question one more; here it runs as programs of key sources do, and is ended with all that it
//! started.

use std::{
    fmt,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use aws_config::{
    SdkConfig,
    environment::EnvironmentVariableCredentialsProvider,
    profile::{self, ProfileSet},
    sts::AssumeRoleProvider,
};
use aws_credential_types::{
    Credentials,
    provider::{
        ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future::ProvideCredentials as Provided,
    },
};
use aws_types::os_shim_internal::{Env, Fs};
use jiff::Timestamp;
use serde_json::Value;

use super::super::{exec_process::run_program, printable};

/// The longest time that a program may take: less than the SDK waits for credentials.
const LONGEST: Duration = Duration::from_secs(18);
/// Tokens of sessions are long.
const MAX_OUTPUT: usize = 64 << 10;
/// Enough of standard error for its first line.
const MAX_COMPLAINT: usize = 2048;

/// What a profile may have beside a program, and what counts before it.
const BEFORE_A_PROGRAM: [&str; 8] = [
    "credential_source",
    "web_identity_token_file",
    "sso_account_id",
    "sso_region",
    "sso_role_name",
    "sso_session",
    "sso_start_url",
    "login_session",
];

/// The configuration with its credentials from the profile's program, where they come from one. It is ended before a
/// caller who waits for `time_limit` stops waiting.
pub(super) async fn run_here(config: SdkConfig, time_limit: Duration) -> SdkConfig {
    // The environment counts before the profiles.
    let in_environment = EnvironmentVariableCredentialsProvider::new().provide_credentials().await;
    if !matches!(in_environment, Err(CredentialsError::CredentialsNotLoaded(_))) {
        return config;
    }
    let profiles = profile::load(&Fs::real(), &Env::real(), &Default::default(), None).await;
    // The SDK says what is wrong with the files.
    let Some(ProgramOfProfile { command, roles }) = profiles.ok().as_ref().and_then(program_of) else { return config };
    let limit = (time_limit * 9 / 10).min(LONGEST);
    let mut provider = SharedCredentialsProvider::new(Program { command: command.into(), limit });
    // The endpoint of the KMS is not the one of STS.
    let mut of_roles = config.to_builder();
    of_roles.set_endpoint_url(None);
    let of_roles = of_roles.build();
    for Role { arn, external_id, session_name } in roles.into_iter().rev() {
        let mut role = AssumeRoleProvider::builder(arn).configure(&of_roles);
        if let Some(id) = external_id {
            role = role.external_id(id);
        }
        if let Some(name) = session_name {
            role = role.session_name(name);
        }
        provider = SharedCredentialsProvider::new(role.build_from_provider(provider).await);
    }
    config.into_builder().credentials_provider(provider).build()
}

/// A program, and the roles that its credentials are exchanged for, of which the first is wanted in the end.
#[derive(Debug, PartialEq)]
struct ProgramOfProfile {
    command: String,
    roles: Vec<Role>,
}

#[derive(Debug, PartialEq)]
struct Role {
    arn: String,
    external_id: Option<String>,
    session_name: Option<String>,
}

/// The program behind the selected profile, found as the SDK finds it.
fn program_of(profiles: &ProfileSet) -> Option<ProgramOfProfile> {
    let (mut name, mut seen, mut roles) = (profiles.selected_profile(), Vec::new(), Vec::new());
    loop {
        let profile = profiles.get_profile(name)?;
        let has = |property: &str| profile.get(property).is_some();
        let text = |property: &str| profile.get(property).map(str::to_owned);
        if seen.contains(&name) {
            return None;
        }
        seen.push(name);
        // Behind the first profile keys count before all else.
        if seen.len() > 1 && has("aws_access_key_id") && has("aws_secret_access_key") {
            return None;
        }
        if let Some(arn) = text("role_arn").filter(|_| !has("web_identity_token_file")) {
            roles.push(Role { arn, external_id: text("external_id"), session_name: text("role_session_name") });
            match profile.get("source_profile") {
                Some(source) if source != name => {
                    name = source;
                    continue;
                }
                Some(_) => {}
                None => return None,
            }
        }
        if BEFORE_A_PROGRAM.iter().any(|property| has(property)) {
            return None;
        }
        return text("credential_process").map(|command| ProgramOfProfile { command, roles });
    }
}

struct Program {
    command: Arc<str>,
    limit: Duration,
}

impl ProvideCredentials for Program {
    fn provide_credentials<'a>(&'a self) -> Provided<'a>
    where
        Self: 'a,
    {
        let (command, limit) = (Arc::clone(&self.command), self.limit);
        Provided::new(async move {
            // The runtime's thread tells those who wait that their time is up.
            let asked = tokio::task::spawn_blocking(move || ask(&command, limit)).await;
            asked.map_err(|error| failed(format_args!("could not be waited for: {error}")))?
        })
    }
}

/// Its arguments may be secret.
impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("limit", &self.limit).finish_non_exhaustive()
    }
}

fn failed(what: impl fmt::Display) -> CredentialsError {
    CredentialsError::provider_error(format!("the profile's credential_process {what}"))
}

/// Runs the program with the shell, as AWS programs do.
fn ask(command: &str, limit: Duration) -> Result<Credentials, CredentialsError> {
    let mut shell = Command::new("sh");
    let ran = run_program(shell.args(["-c", command]), b"", Instant::now() + limit, MAX_OUTPUT, MAX_COMPLAINT);
    let finished = ran.map_err(|error| failed(format_args!("cannot be run: {error}")))?.ok_or_else(|| {
        let seconds = limit.as_secs_f32();
        failed(format_args!(
            "gave no credentials within {seconds} s and was ended: run it by hand and see what it waits for"
        ))
    })?;
    if !finished.status.success() {
        let said = String::from_utf8_lossy(&finished.said);
        let first = said.lines().map(str::trim).find(|line| !line.is_empty());
        let first = printable(first.unwrap_or("it said nothing on standard error"));
        return Err(failed(format_args!("failed ({}): {first}", finished.status)));
    }
    credentials(&finished.printed).map_err(|wrong| failed(format_args!("printed {wrong}")))
}

/// Reads what a program printed. No error shows any of it.
fn credentials(printed: &[u8]) -> Result<Credentials, &'static str> {
    let Ok(Value::Object(members)) = serde_json::from_slice(printed) else { return Err("something else than JSON") };
    // Capitals do not count, as in other AWS programs.
    let member =
        |wanted: &str| members.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value);
    let text = |wanted: &str| member(wanted).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    if member("Version").and_then(Value::as_u64) != Some(1) {
        return Err("no `Version` that is 1");
    }
    let id = text("AccessKeyId").ok_or("no `AccessKeyId`")?;
    let secret = text("SecretAccessKey").ok_or("no `SecretAccessKey`")?;
    let expires = text("Expiration").map(|at| at.parse::<Timestamp>()).transpose();
    let expires = expires.map_err(|_| "an `Expiration` that is no time of RFC 3339")?;
    Ok(Credentials::new(id, secret, text("SessionToken"), expires.map(Into::into), "CredentialProcess"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{fs::OpenOptions, io::Read, os::unix::fs::OpenOptionsExt};

    use rustix::fs::{OFlags, fcntl_setfl};

    use super::*;

    fn found(profile: &str, text: &str) -> Option<ProgramOfProfile> {
        let files = Fs::from_slice(&[("/config", text)]);
        let environment =
            Env::from_slice(&[("AWS_CONFIG_FILE", "/config"), ("AWS_PROFILE", profile), ("HOME", "/home")]);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let profiles = runtime.block_on(profile::load(&files, &environment, &Default::default(), None)).unwrap();
        program_of(&profiles)
    }

    #[test]
    fn the_program_is_found_where_the_sdk_finds_it() {
        let text = "[profile plain]\ncredential_process = run me\n\
                    [profile role]\nrole_arn = arn:1\nexternal_id = x\nsource_profile = other\n\
                    [profile other]\nrole_arn = arn:2\nrole_session_name = n\nsource_profile = plain\n\
                    [profile itself]\nrole_arn = arn:3\nsource_profile = itself\ncredential_process = run me\n\
                    [profile keys]\naws_access_key_id = a\naws_secret_access_key = b\ncredential_process = run me\n\
                    [profile of_keys]\nrole_arn = arn:4\nsource_profile = keys\n\
                    [profile loop]\nrole_arn = arn:5\nsource_profile = back\n\
                    [profile back]\nrole_arn = arn:6\nsource_profile = loop\n\
                    [profile machine]\nrole_arn = arn:7\ncredential_source = Environment\ncredential_process = run me\n\
                    [profile web]\nrole_arn = arn:8\nweb_identity_token_file = f\ncredential_process = run me\n\
                    [profile person]\nsso_session = s\ncredential_process = run me\n\
                    [profile none]\nregion = r\n";
        let role = |arn: &str, id: Option<&str>, name: Option<&str>| Role {
            arn: arn.to_owned(),
            external_id: id.map(str::to_owned),
            session_name: name.map(str::to_owned),
        };
        let of = |roles| Some(ProgramOfProfile { command: "run me".to_owned(), roles });
        assert_eq!(found("plain", text), of(vec![]));
        assert_eq!(found("role", text), of(vec![role("arn:1", Some("x"), None), role("arn:2", None, Some("n"))]));
        assert_eq!(found("itself", text), of(vec![role("arn:3", None, None)]));
        assert_eq!(found("keys", text), of(vec![]), "before the keys of the same profile");
        for profile in ["of_keys", "loop", "machine", "web", "person", "none", "nobody"] {
            assert_eq!(found(profile, text), None, "{profile}");
        }
    }

    #[test]
    fn a_program_that_hangs_is_ended_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let mut held = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(&pipe).unwrap();
        let command = format!("exec 3>{}; sleep 600 & sleep 600", pipe.display());
        for _ in 0..2 {
            let error = ask(&command, Duration::from_millis(300)).unwrap_err();
            let said = super::super::error::no_credentials(&error).1;
            assert!(said.contains("no credentials within 0.3 s and was ended"), "{said}");
        }
        // It ends when nobody holds the pipe any more.
        fcntl_setfl(&held, OFlags::empty()).unwrap();
        assert_eq!(held.read(&mut [0; 1]).unwrap(), 0);
    }

    #[test]
    fn what_a_program_says_is_told_and_what_it_prints_is_not() {
        let said = |command: &str| {
            let error = ask(command, Duration::from_secs(600)).unwrap_err();
            super::super::error::no_credentials(&error).1
        };
        let failed = said("echo secret; echo 'log in first' >&2; exit 3");
        assert!(failed.contains("log in first") && !failed.contains("secret"), "{failed}");
        let nothing = said("echo secret");
        assert!(nothing.contains("something else than JSON") && !nothing.contains("secret"), "{nothing}");
    }

    #[test]
    fn credentials_are_read_as_aws_programs_print_them() {
        let printed = r#"{"Version":1,"accesskeyid":"a","SecretAccessKey":"b","SessionToken":"c",
                          "Expiration":"2026-11-18T11:06:40Z","AccountId":"1"}"#;
        let read = ask(&format!("echo '{printed}'"), Duration::from_secs(600)).unwrap();
        assert_eq!((read.access_key_id(), read.secret_access_key(), read.session_token()), ("a", "b", Some("c")));
        let expiry = Timestamp::from_second(1_795_000_000).unwrap();
        assert_eq!(read.expiry(), Some(expiry.into()));
        let forever = credentials(br#"{"Version":1,"AccessKeyId":"a","SecretAccessKey":"b"}"#).unwrap();
        assert_eq!((forever.session_token(), forever.expiry()), (None, None));
        for (printed, wrong) in [
            ("", "JSON"),
            ("[1]", "JSON"),
            (r#"{"AccessKeyId":"a","SecretAccessKey":"b"}"#, "Version"),
            (r#"{"Version":2,"AccessKeyId":"a","SecretAccessKey":"b"}"#, "Version"),
            (r#"{"Version":1,"AccessKeyId":"","SecretAccessKey":"b"}"#, "AccessKeyId"),
            (r#"{"Version":1,"AccessKeyId":"a"}"#, "SecretAccessKey"),
            (r#"{"Version":1,"AccessKeyId":"a","SecretAccessKey":"b","Expiration":"soon"}"#, "Expiration"),
        ] {
            assert!(credentials(printed.as_bytes()).unwrap_err().contains(wrong), "{printed}");
        }
    }
}
