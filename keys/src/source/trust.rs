//! Which source URIs are trusted: someone who can write the keyring must not be able to point it at their own key.

use super::{SourceError, SourceErrorKind, SourceUri};

/// Parameters that decide who answers, or what code runs. One that the entry does not name is not trusted.
const DECIDING: [&str; 4] = ["endpoint", "module-path", "ca-source", "namespace"];

/// Refuses `uri` unless one of `trusted` covers it.
pub(super) fn check(uri: &SourceUri, trusted: &[String]) -> Result<(), SourceError> {
    if trusted.iter().any(|entry| covers(entry, uri)) {
        return Ok(());
    }
    let detail = format!("it is not a trusted source; the entry {:?} would cover it", entry_for(uri));
    Err(SourceError::new(uri, SourceErrorKind::Untrusted, detail))
}

/// An entry covers a URI that is equal to it; or whose path begins with the entry's, up to a boundary and without
/// climbing out by `..`, and which has the entry's parameters and no other deciding one.
fn covers(entry: &str, uri: &SourceUri) -> bool {
    let text = uri.to_string();
    if entry == text {
        return true;
    }
    let (uri_path, uri_parameters) = split(uri.scheme(), &text);
    let (path, parameters) = split(uri.scheme(), entry);
    let Some(rest) = uri_path.strip_prefix(path) else { return false };
    let boundaries: &[char] = if is_path(uri.scheme()) { &['/'] } else { &['/', ';'] };
    let boundary = rest.is_empty() || path.ends_with(':') || path.ends_with(boundaries) || rest.starts_with(boundaries);
    let climbs = rest.split(['/', '\\']).any(|part| part == "..");
    // Neither `file` alone nor the empty text is a beginning of `file:x`.
    let scheme = path.contains(':');
    scheme
        && boundary
        && !climbs
        && parameters.iter().all(|parameter| uri_parameters.contains(parameter))
        && uri_parameters.iter().all(|parameter| {
            parameters.contains(parameter) || !DECIDING.contains(&parameter.split('=').next().unwrap_or_default())
        })
}

/// Returns whether what follows the scheme is a file name or a command line, in which `?` and `;` mean nothing.
fn is_path(scheme: &str) -> bool {
    matches!(scheme, "file" | "exec")
}

/// The path of a URI and its parameters.
fn split<'a>(scheme: &str, text: &'a str) -> (&'a str, Vec<&'a str>) {
    match text.split_once('?') {
        Some((path, query)) if !is_path(scheme) => (path, query.split('&').collect()),
        _ => (text, Vec::new()),
    }
}

/// The narrowest entry that would do: without the parameters that trust does not hang on.
fn entry_for(uri: &SourceUri) -> String {
    let text = uri.to_string();
    let (path, parameters) = split(uri.scheme(), &text);
    let deciding: Vec<_> =
        parameters.into_iter().filter(|one| DECIDING.contains(&one.split('=').next().unwrap_or_default())).collect();
    if deciding.is_empty() { path.to_owned() } else { format!("{path}?{}", deciding.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusts(entry: &str, uri: &str) -> bool {
        check(&uri.parse().unwrap(), &[entry.to_owned()]).is_ok()
    }

    #[test]
    fn an_entry_ends_at_a_boundary() {
        assert!(trusts("file:keys", "file:keys"));
        assert!(trusts("file:keys", "file:keys/master-1"));
        assert!(trusts("file:keys/", "file:keys/master-1"));
        assert!(trusts("file:", "file:anything"));
        for other in ["file:keys-evil", "file:keys.evil/k", "file:keys?x", "file:keys;x", "filex:keys", "exec:keys"] {
            assert!(!trusts("file:keys", other), "{other}");
        }
        assert!(!trusts("file", "file:keys"));
        assert!(!trusts("", "file:keys"));
    }

    #[test]
    fn a_path_does_not_climb_out() {
        for climbing in ["file:keys/../evil", "file:keys/..", "file:keys/a/../../evil"] {
            assert!(!trusts("file:keys", climbing), "{climbing}");
        }
        assert!(trusts("file:../keys", "file:../keys/k"), "where the entry itself climbs, the configuration says so");
        assert!(trusts("file:keys", "file:keys/..k"));
    }

    #[test]
    fn a_program_is_trusted_with_its_arguments() {
        assert!(trusts("exec:./mac.sh key-1", "exec:./mac.sh key-1"));
        assert!(!trusts("exec:./mac.sh", "exec:./mac.sh key-2"));
        assert!(!trusts("exec:/usr/lib/bulla", "exec:/usr/lib/bulla/../../bin/sh -c evil"));
    }

    #[test]
    fn parameters_that_decide_who_answers_must_stand_in_the_entry() {
        let entry = "pkcs11:token=bulla?module-path=/lib/hsm.so";
        assert!(trusts(entry, "pkcs11:token=bulla;object=master-2?pin-source=file:pin&module-path=/lib/hsm.so"));
        assert!(!trusts(entry, "pkcs11:token=bulla;object=master-2?module-path=/tmp/evil.so"));
        assert!(!trusts(entry, "pkcs11:token=bulla2?module-path=/lib/hsm.so"));
        assert!(trusts("aws-kms:alias/bulla", "aws-kms:alias/bulla?mode=derive"));
        assert!(!trusts("aws-kms:alias/bulla", "aws-kms:alias/bulla?mode=derive&endpoint=https://evil"));
        assert!(!trusts("vault-transit:https://v", "vault-transit:https://v:8200/transit/k"));
        assert!(trusts("vault-transit:https://v/transit", "vault-transit:https://v/transit/k?key_version=1"));
    }

    #[test]
    fn the_refusal_says_what_to_add() {
        let uri = "pkcs11:token=bulla;object=o?module-path=/m.so&pin-source=env:PIN".parse().unwrap();
        let error = check(&uri, &[]).unwrap_err();
        assert_eq!(error.kind(), SourceErrorKind::Untrusted);
        assert!(error.to_string().contains("\"pkcs11:token=bulla;object=o?module-path=/m.so\""), "{error}");
    }
}
