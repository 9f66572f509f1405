//! `s3://BUCKET/PREFIX?region=R&endpoint=URL`.

/// Where a bucket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BucketUri {
    pub(super) bucket: String,
    /// Without a slash at its end.
    pub(super) prefix: String,
    pub(super) region: Option<String>,
    /// Of another service than AWS, without a slash at its end.
    endpoint: Option<String>,
}

impl BucketUri {
    /// Parses what stands behind `s3://`.
    pub(super) fn parse(rest: &str) -> Result<Self, &'static str> {
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
        let in_bucket = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
        if bucket.len() < 3 || !bucket.bytes().all(in_bucket) {
            return Err("a bucket's name has 3 to 63 lower-case letters, digits, dots and hyphens");
        }
        let prefix = prefix.trim_end_matches('/');
        let in_prefix = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
        if !prefix.bytes().all(in_prefix) || prefix.split('/').any(|part| [".", ".."].contains(&part)) {
            return Err("a prefix has letters, digits and `/._-`");
        }
        let (mut region, mut endpoint) = (None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("region", value)) if !value.is_empty() => region = Some(value.to_owned()),
                Some(("endpoint", value)) => endpoint = Some(checked(value)?),
                _ => return Err("the parameters are `region=R` and `endpoint=URL`"),
            }
        }
        Ok(BucketUri { bucket: bucket.to_owned(), prefix: prefix.to_owned(), region, endpoint })
    }

    /// The key of an object.
    pub(super) fn key(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}/{name}", self.prefix) }
    }

    /// The address of the bucket.
    pub(super) fn address(&self, region: &str) -> String {
        let bucket = &self.bucket;
        let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
        match &self.endpoint {
            Some(endpoint) => format!("{endpoint}/{bucket}"),
            // A certificate is for one part of a name alone.
            None if bucket.contains('.') => format!("https://s3.{region}.amazonaws.com{suffix}/{bucket}"),
            None => format!("https://{bucket}.s3.{region}.amazonaws.com{suffix}"),
        }
    }
}

fn checked(endpoint: &str) -> Result<String, &'static str> {
    let (scheme, rest) = endpoint.split_once("://").unwrap_or_default();
    let host = rest.split(['/', ':']).next().unwrap_or_default();
    let local = ["127.0.0.1", "localhost"].contains(&host) || rest.starts_with("[::1]");
    match scheme {
        _ if host.is_empty() || rest.contains(['@', '?', '#']) => Err("the endpoint is not an address"),
        "https" => Ok(endpoint.trim_end_matches('/').to_owned()),
        "http" if local => Ok(endpoint.trim_end_matches('/').to_owned()),
        _ => Err("the endpoint is neither https:// nor http:// on this machine"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_at_aws_or_at_its_endpoint() {
        let address = |text: &str| BucketUri::parse(text).expect(text).address("eu-central-1");
        assert_eq!(address("feeds/prod"), "https://feeds.s3.eu-central-1.amazonaws.com");
        assert_eq!(address("feeds.example"), "https://s3.eu-central-1.amazonaws.com/feeds.example");
        assert_eq!(address("feeds/?endpoint=http://127.0.0.1:9000/"), "http://127.0.0.1:9000/feeds");
        let uri = BucketUri::parse("feeds/a/b/?region=eu-west-3").expect("a place");
        assert_eq!((uri.key("head"), uri.region.as_deref()), ("a/b/head".to_owned(), Some("eu-west-3")));
        assert_eq!(BucketUri::parse("feeds").expect("a place").key("files/1"), "files/1");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, says) in [
            ("", "a bucket's name"),
            ("Feeds", "a bucket's name"),
            ("feeds/a b", "a prefix"),
            ("feeds/../x", "a prefix"),
            ("feeds?colour=red", "the parameters are"),
            ("feeds?endpoint=http://minio.example", "neither https"),
            ("feeds?endpoint=https://a@b", "not an address"),
        ] {
            let error = BucketUri::parse(text).expect_err(text);
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
