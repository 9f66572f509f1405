//! Where a source's own PIN or token comes from: `file:PATH` (mode 0600), `env:NAME` or `credential:NAME` (systemd),
//! never the URI itself.

use std::{
    env,
    path::{Path, PathBuf},
};

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::{
    SourceError, SourceErrorKind, SourceUri,
    secret_file::{self, CREDENTIALS_DIRECTORY, FileError},
};

/// Reads the secret that the parameter `name` of `uri` points to, without the line end behind it.
pub(super) fn read(uri: &SourceUri, name: &str, pointer: &str, base: &Path) -> Result<SecretString, SourceError> {
    let fail = |(problem, detail): FileError| SourceError::new(uri, problem, format!("{name}: {detail}"));
    let secret = match pointer.split_once(':') {
        Some(("file", path)) => secret_file::read(&base.join(path)).map_err(fail)?,
        Some(("credential", name)) => secret_file::read(&credential_path(name).map_err(fail)?).map_err(fail)?,
        Some(("env", variable)) => Zeroizing::new(env::var(variable).map_err(|_| {
            fail((SourceErrorKind::Missing, format!("{} is not set, or is not UTF-8", shown_variable(variable))))
        })?),
        // What stands there may be the secret itself, so it is not repeated.
        _ => {
            let detail =
                "say where it is, as file:PATH, env:NAME or credential:NAME; it never stands in the URI itself";
            return Err(fail((SourceErrorKind::Uri, detail.to_owned())));
        }
    };
    let trimmed = secret.trim_end_matches(['\r', '\n']);
    if trimmed.is_empty() {
        return Err(fail((
            SourceErrorKind::Malformed,
            format!("{pointer} is empty; a source that asks for none is named without {name}"),
        )));
    }
    Ok(SecretString::from(trimmed))
}

/// A variable's name, unless it may be the secret itself: names are written in capitals.
fn shown_variable(name: &str) -> String {
    let is_name = |byte: u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_');
    if name.bytes().all(is_name) && name.contains('_') {
        format!("the environment variable {name}")
    } else {
        "the environment variable that env: names".to_owned()
    }
}

fn credential_path(name: &str) -> Result<PathBuf, FileError> {
    if name.is_empty() || name.contains('/') || matches!(name, "." | "..") {
        return Err((SourceErrorKind::Uri, "credential:NAME takes the bare name of a systemd credential".to_owned()));
    }
    let folder = env::var_os(CREDENTIALS_DIRECTORY).ok_or_else(|| {
        let detail =
            format!("there are no systemd credentials here: put `LoadCredential={name}:PATH` into the service's unit");
        (SourceErrorKind::Missing, detail)
    })?;
    Ok(Path::new(&folder).join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_place_of_a_name_is_not_repeated() {
        let uri: SourceUri = "pkcs11:object=m".parse().expect("a URI");
        for (pointer, shown) in [("env:BULLA_NO_PIN", true), ("env:Tr0ub4dor&3", false), ("env:1234", false)] {
            let error = read(&uri, "pin-source", pointer, Path::new("/")).expect_err("not set").to_string();
            assert_eq!(error.contains(&pointer[4..]), shown, "{error}");
        }
    }
}
