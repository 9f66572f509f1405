//! Signs requests to other services of AWS with the credentials that AWS programs find on this machine.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::{Credentials, provider::ProvideCredentials};
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
        UriPathNormalizationMode, sign,
    },
    sign::v4,
};
use tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};

use super::{ATTEMPTS, CONNECT_LIMIT, error::no_credentials, http, program::run_here, run};

/// The longest time that the providers of credentials may take.
const TIME_LIMIT: Duration = Duration::from_secs(20);
/// Credentials are fetched again this long before they expire.
const BEFORE_EXPIRY: Duration = Duration::from_secs(300);
/// Credentials that do not say when they expire are fetched again after this time: a profile may have changed.
const REFRESH: Duration = Duration::from_secs(900);

/// Region and credentials, from where AWS programs look for them: variables, profiles, a role of the machine or the
/// container.
pub struct AwsSigner {
    config: SdkConfig,
    region: String,
    limit: Duration,
    /// Never held while a provider is asked.
    known: Mutex<Option<(Credentials, SystemTime)>>,
    /// Taken when dropped, and at no other time.
    runtime: Option<Runtime>,
}

/// There is no region, or there are no credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AwsSignerError(String);

/// What a signature is over.
#[derive(Clone, Copy, Debug)]
pub struct AwsRequest<'a> {
    /// The service's name in signatures, such as `s3`.
    pub service: &'a str,
    /// The method.
    pub method: &'a str,
    /// The whole address, percent-encoded.
    pub url: &'a str,
    /// Headers that are sent beside those of the signature.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a [u8],
}

impl AwsSigner {
    /// Finds the region, where `region` names none. Credentials are looked for when something is signed.
    pub fn load(region: Option<&str>) -> Result<Self, AwsSignerError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| AwsSignerError(format!("no runtime for the AWS client: {error}")))?;
        let timeouts = TimeoutConfig::builder().operation_timeout(TIME_LIMIT).connect_timeout(CONNECT_LIMIT).build();
        let mut config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http::client())
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));
        if let Some(region) = region {
            config = config.region(Region::new(region.to_owned()));
        }
        let config = run(&runtime, async {
            timeout(TIME_LIMIT, async { run_here(config.load().await, TIME_LIMIT).await }).await
        })
        .map_err(|_| {
            let seconds = TIME_LIMIT.as_secs_f32();
            AwsSignerError(format!("no region was found within {seconds} s: add region=…, or set AWS_REGION"))
        })?;
        let region =
            config.region().map(|region| region.as_ref().trim().to_owned()).filter(|region| !region.is_empty());
        let none = || AwsSignerError("no region, or an empty one: add region=…, or set AWS_REGION".to_owned());
        Ok(AwsSigner {
            region: region.ok_or_else(none)?,
            config,
            limit: TIME_LIMIT,
            known: Mutex::default(),
            runtime: Some(runtime),
        })
    }

    /// The region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The headers that sign a request at `now`. Their values are secret.
    pub fn sign(&self, request: AwsRequest<'_>, now: SystemTime) -> Result<Vec<(String, String)>, AwsSignerError> {
        let failed = |error: &dyn fmt::Display| AwsSignerError(format!("the request cannot be signed: {error}"));
        let identity = self.credentials(now)?.into();
        let mut settings = SigningSettings::default();
        // As S3 wants it: a path is taken as it is written, and the body's hash is a header.
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(request.service)
            .time(now)
            .settings(settings)
            .build()
            .map_err(|error| failed(&error))?
            .into();
        let headers = request.headers.iter().copied();
        let body = SignableBody::Bytes(request.body);
        let signable =
            SignableRequest::new(request.method, request.url, headers, body).map_err(|error| failed(&error))?;
        let (signed, _) = sign(signable, &parameters).map_err(|error| failed(&error))?.into_parts();
        Ok(signed.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    fn credentials(&self, now: SystemTime) -> Result<Credentials, AwsSignerError> {
        if let Some((credentials, until)) = &*self.known()
            && now < *until
        {
            return Ok(credentials.clone());
        }
        let none = || AwsSignerError("there are no AWS credentials here".to_owned());
        let (provider, runtime) =
            (self.config.credentials_provider().ok_or_else(none)?, self.runtime.as_ref().ok_or_else(none)?);
        // The SDK sets none for all that it asks one after the other.
        let found = run(runtime, async { timeout(self.limit, provider.provide_credentials()).await });
        let found = found.map_err(|_| {
            let seconds = self.limit.as_secs_f32();
            AwsSignerError(format!(
                "there were no AWS credentials within {seconds} s: see that the network to the machine's or container's role is up"
            ))
        })?;
        let credentials = found.map_err(|error| AwsSignerError(no_credentials(&error).1))?;
        let until = credentials.expiry().map_or(now + REFRESH, |expiry| expiry - BEFORE_EXPIRY);
        *self.known() = Some((credentials.clone(), until));
        Ok(credentials)
    }

    fn known(&self) -> MutexGuard<'_, Option<(Credentials, SystemTime)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AwsSigner {
    fn drop(&mut self) {
        // The caller may drop it inside a runtime of its own, where waiting for this one would panic.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for AwsSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsSigner").field("region", &self.region).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future;

    use aws_credential_types::provider::{SharedCredentialsProvider, future::ProvideCredentials as Provided};

    use super::*;

    /// A place that does not answer.
    #[derive(Debug)]
    struct Hanging;

    impl ProvideCredentials for Hanging {
        fn provide_credentials<'a>(&'a self) -> Provided<'a>
        where
            Self: 'a,
        {
            Provided::new(future::pending())
        }
    }

    #[test]
    fn a_provider_that_hangs_is_not_waited_for() {
        let config = SdkConfig::builder().credentials_provider(SharedCredentialsProvider::new(Hanging)).build();
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (region, limit) = ("eu-central-1".to_owned(), Duration::from_millis(10));
        let signer = AwsSigner { config, region, limit, known: Mutex::default(), runtime: Some(runtime) };
        let request = AwsRequest { service: "s3", method: "GET", url: "https://a.example/b", headers: &[], body: &[] };
        for _ in 0..2 {
            let error = signer.sign(request, SystemTime::UNIX_EPOCH).expect_err("no credentials").to_string();
            assert!(error.contains("no AWS credentials within 0.01 s: see that the network"), "{error}");
        }
    }
}
