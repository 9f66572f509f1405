//! What S3 answers: XML, of which a few elements count.

use ureq::http::StatusCode;

use crate::input::text;

/// A page of a list.
pub(super) struct Keys {
    pub(super) keys: Vec<String>,
    pub(super) goes_on: bool,
}

/// The keys in a list of objects. Those with characters that XML escapes are none of ours.
pub(super) fn keys(body: &[u8]) -> Keys {
    let text = String::from_utf8_lossy(body);
    let keys = text.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>")).map(|(key, _)| key.to_owned());
    Keys { keys: keys.collect(), goes_on: text.contains("<IsTruncated>true</IsTruncated>") }
}

/// The code of an error, such as `AccessDenied`.
pub(super) fn code(body: &[u8]) -> String {
    element(&String::from_utf8_lossy(body), "Code").unwrap_or_default()
}

/// What a refusal means to a caller who needs `permission`.
pub(super) fn explain(status: StatusCode, body: &str, permission: &str) -> String {
    let code = element(body, "Code").unwrap_or_else(|| status.to_string());
    let what = match (&*code, status.as_u16()) {
        ("NoSuchBucket", _) => "there is no such bucket".to_owned(),
        ("AccessDenied" | "AllAccessDisabled" | "AccountProblem", _) => {
            format!("these credentials may not do that: allow {permission}")
        }
        ("PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException", _)
        | (_, 301 | 307) => "the bucket is in another region: add region=…".to_owned(),
        ("RequestTimeTooSkewed", _) => "this machine's clock is wrong".to_owned(),
        ("InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken" | "InvalidToken", _) => {
            "AWS does not take these credentials: they are wrong or have expired".to_owned()
        }
        ("NotImplemented", _) | (_, 501) => {
            "this service does not write with If-Match: use one that does, or publish in a folder".to_owned()
        }
        (_, 403) => format!("these credentials may not do that: allow {permission}"),
        ("SlowDown", _) | (_, 429 | 503) => "the service limits the rate of requests".to_owned(),
        (_, 500..) => "the service is failing: try again".to_owned(),
        _ => "the service refuses the request".to_owned(),
    };
    let said = element(body, "Message").map(|said| format!(", {:?}", text::shown(&said))).unwrap_or_default();
    format!("{what} ({}{said})", text::shown(&code))
}

fn element(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_errors_are_read() {
        let page =
            b"<ListBucketResult><IsTruncated>true</IsTruncated><Contents><Key>a/b</Key><Size>1</Size></Contents>\
            <Contents><Key>a/c</Key></Contents></ListBucketResult>";
        let Keys { keys, goes_on } = keys(page);
        assert_eq!((keys, goes_on), (vec!["a/b".to_owned(), "a/c".to_owned()], true));
        let body = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
        let told = explain(StatusCode::FORBIDDEN, body, "s3:PutObject");
        assert_eq!(told, "these credentials may not do that: allow s3:PutObject (AccessDenied, \"Access Denied\")");
        assert_eq!(
            explain(StatusCode::BAD_GATEWAY, "<html>", "x"),
            "the service is failing: try again (502 Bad Gateway)"
        );
    }
}
