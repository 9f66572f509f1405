//! `aws-kms:KEY?mode=derive&region=R&endpoint=URL`: the master key is an HMAC_256 key in AWS KMS, which computes GenerateMac with
//! it and never gives it away.
//!
//! `aws-kms:KEY?mode=unwrap`: the master key is a data key in the keyring, opened once by Decrypt, with an encryption context that
//! ties it to its keyring and version. Credentials come from where AWS programs look for them.

use std::{collections::HashMap, panic, thread, time::Duration};

use aws_config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_kms::{
    Client,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    primitives::Blob,
    types::{DataKeySpec, MacAlgorithmSpec},
};
use tokio::runtime::{Builder, Runtime};
use zeroize::Zeroizing;

use super::{
    Binding, KeySource, Problem, SourceError, SourceUri, endpoint, one_block, parameters::Parameters, printable,
};
use crate::derive::{self, Expanded, KEY_BYTES};

/// Connecting takes this long at most, so that a dead address does not use up the whole time limit.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// The first try and one more.
const ATTEMPTS: u32 = 2;

type Key = Zeroizing<[u8; KEY_BYTES]>;

/// Opens the source that `uri` names.
pub(super) fn open(
    uri: &SourceUri,
    binding: Binding<'_>,
    time_limit: Duration,
) -> Result<Box<dyn KeySource>, SourceError> {
    let kms = Kms::connect(uri, time_limit)?;
    match kms.mode {
        Mode::Derive => Ok(Box::new(kms)),
        Mode::Unwrap => Ok(Box::new(Unwrapped { key: kms.decrypt(binding)? })),
    }
}

/// A new master key, as the KMS wrapped it: nobody sees it in the clear. None where the KMS keeps the key itself.
pub(super) fn wrap_new_key(
    uri: &SourceUri,
    binding: Binding<'_>,
    time_limit: Duration,
) -> Result<Option<Vec<u8>>, SourceError> {
    let kms = Kms::connect(uri, time_limit)?;
    match kms.mode {
        Mode::Derive => Ok(None),
        Mode::Unwrap => kms.generate(binding).map(Some),
    }
}

/// The same master key, wrapped by this KMS key too. None where the KMS keeps the key itself.
pub(super) fn wrap(
    uri: &SourceUri,
    binding: Binding<'_>,
    key: impl FnOnce() -> Result<Key, SourceError>,
    time_limit: Duration,
) -> Result<Option<Vec<u8>>, SourceError> {
    let kms = Kms::connect(uri, time_limit)?;
    match kms.mode {
        Mode::Derive => Ok(None),
        Mode::Unwrap => kms.encrypt(binding, &*key()?).map(Some),
    }
}

/// The master key that the keyring has wrapped, in the clear; for wrapping it once more.
pub(super) fn reveal(uri: &SourceUri, binding: Binding<'_>, time_limit: Duration) -> Result<Key, SourceError> {
    let kms = Kms::connect(uri, time_limit)?;
    match kms.mode {
        Mode::Derive => Err(kms.fail(Problem::Unsupported, "the KMS keeps this key to itself".to_owned())),
        Mode::Unwrap => kms.decrypt(binding),
    }
}

#[derive(Clone, Copy)]
enum Mode {
    Derive,
    Unwrap,
}

struct Kms {
    uri: SourceUri,
    key_id: String,
    mode: Mode,
    client: Client,
    /// Taken when dropped, and at no other time.
    runtime: Option<Runtime>,
}

struct Unwrapped {
    key: Key,
}

impl KeySource for Unwrapped {
    fn expand(&self, info: &[u8]) -> Result<Expanded, SourceError> {
        Ok(derive::expand(&self.key, info))
    }
}

impl KeySource for Kms {
    fn expand(&self, info: &[u8]) -> Result<Expanded, SourceError> {
        let request = self.client.generate_mac().key_id(&self.key_id).mac_algorithm(MacAlgorithmSpec::HmacSha256);
        let answer = self.call(request.message(Blob::new(one_block(info))).send())?;
        self.key_of(answer.mac).map(Expanded::new)
    }
}

impl Kms {
    fn connect(uri: &SourceUri, time_limit: Duration) -> Result<Self, SourceError> {
        let fail = |problem, detail: String| SourceError::new(uri, problem, detail);
        let (key_id, query) = uri.rest().split_once('?').unwrap_or((uri.rest(), ""));
        let query = Parameters::parse(uri, query, '&', &["mode", "region", "endpoint"])?;
        let why = "mode=derive for an HMAC_256 key, mode=unwrap for a data key in the keyring";
        let mode = match query.require("mode", why)? {
            "derive" => Mode::Derive,
            "unwrap" => Mode::Unwrap,
            _ => return Err(fail(Problem::Uri, why.to_owned())),
        };
        let timeouts = TimeoutConfig::builder().operation_timeout(time_limit).connect_timeout(CONNECT_LIMIT).build();
        let mut config = aws_config::defaults(BehaviorVersion::latest())
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));
        // arn:aws:kms:REGION:ACCOUNT:key/ID
        let in_arn = key_id.strip_prefix("arn:").and_then(|arn| arn.split(':').nth(2));
        if let Some(region) = query.get("region")?.or(in_arn) {
            config = config.region(Region::new(region.to_owned()));
        }
        if let Some(url) = query.get("endpoint")? {
            endpoint::check(uri, url)?;
            config = config.endpoint_url(url);
        }
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime =
            runtime.map_err(|error| fail(Problem::Unreachable, format!("no runtime for the AWS client: {error}")))?;
        let config = run(&runtime, config.load());
        if config.region().is_none() {
            return Err(fail(
                Problem::Uri,
                "no region: add region=…, name the key by its ARN, or set AWS_REGION".to_owned(),
            ));
        }
        Ok(Kms {
            uri: uri.clone(),
            key_id: key_id.to_owned(),
            mode,
            client: Client::new(&config),
            runtime: Some(runtime),
        })
    }

    fn decrypt(&self, binding: Binding<'_>) -> Result<Key, SourceError> {
        let wrapped = binding.wrapped.ok_or_else(|| {
            let detail = "the keyring has no wrapped key for it: stage a version with this source, or use mode=derive";
            self.fail(Problem::Missing, detail.to_owned())
        })?;
        let context = self.context(binding)?;
        let request = self.client.decrypt().key_id(&self.key_id).set_encryption_context(Some(context));
        let answer = self.call(request.ciphertext_blob(Blob::new(wrapped)).send())?;
        self.key_of(answer.plaintext)
    }

    fn generate(&self, binding: Binding<'_>) -> Result<Vec<u8>, SourceError> {
        let context = self.context(binding)?;
        let request = self.client.generate_data_key_without_plaintext().key_id(&self.key_id);
        let request = request.key_spec(DataKeySpec::Aes256).set_encryption_context(Some(context));
        let answer = self.call(request.send())?;
        answer.ciphertext_blob.map(Blob::into_inner).ok_or_else(|| self.no_key())
    }

    fn encrypt(&self, binding: Binding<'_>, key: &[u8; KEY_BYTES]) -> Result<Vec<u8>, SourceError> {
        let context = self.context(binding)?;
        let request = self.client.encrypt().key_id(&self.key_id).set_encryption_context(Some(context));
        let answer = self.call(request.plaintext(Blob::new(key.as_slice())).send())?;
        answer.ciphertext_blob.map(Blob::into_inner).ok_or_else(|| self.no_key())
    }

    /// What a wrapped key is tied to: moved to another keyring or version, it does not open.
    fn context(&self, binding: Binding<'_>) -> Result<HashMap<String, String>, SourceError> {
        let version = binding.version.ok_or_else(|| {
            let detail = "mode=unwrap is for the master keys of a keyring; use mode=derive, or another source, here";
            self.fail(Problem::Uri, detail.to_owned())
        })?;
        let pairs =
            [("app", "bulla".to_owned()), ("version", version.to_string()), ("keyring", binding.keyring.to_string())];
        Ok(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    fn key_of(&self, blob: Option<Blob>) -> Result<Key, SourceError> {
        let bytes = Zeroizing::new(blob.map(Blob::into_inner).unwrap_or_default());
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        if bytes.len() != KEY_BYTES {
            return Err(self.no_key());
        }
        key.copy_from_slice(&bytes);
        Ok(key)
    }

    fn no_key(&self) -> SourceError {
        self.fail(Problem::Malformed, "AWS KMS answered with something that is no key of 32 bytes".to_owned())
    }

    fn fail(&self, problem: Problem, detail: String) -> SourceError {
        SourceError::new(&self.uri, problem, detail)
    }

    fn call<T, E>(&self, request: impl Future<Output = Result<T, SdkError<E>>> + Send) -> Result<T, SourceError>
    where
        T: Send,
        E: ProvideErrorMetadata + std::error::Error + Send + 'static,
    {
        let runtime = self.runtime.as_ref().ok_or_else(|| self.no_key())?;
        run(runtime, request).map_err(|error| {
            let (problem, detail) = trouble(&error);
            self.fail(problem, detail)
        })
    }
}

impl Drop for Kms {
    fn drop(&mut self) {
        // Whoever drops it may be inside a runtime of its own, where waiting for this one would panic.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Runs to its end on a thread of its own: the caller's may belong to a runtime, in which another must not block.
fn run<T: Send>(runtime: &Runtime, work: impl Future<Output = T> + Send) -> T {
    thread::scope(|scope| match scope.spawn(|| runtime.block_on(work)).join() {
        Ok(result) => result,
        Err(panicked) => panic::resume_unwind(panicked),
    })
}

fn trouble<E>(error: &SdkError<E>) -> (Problem, String)
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let SdkError::ServiceError(refusal) = error else {
        let chain = DisplayErrorContext(error).to_string();
        let what = match error {
            SdkError::TimeoutError(_) => "AWS KMS gave no answer in time: see that region and endpoint are right",
            _ if chain.contains("redentials") => {
                "there are no AWS credentials here: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give the machine a role"
            }
            _ => "AWS KMS cannot be reached: see that region and endpoint are right, and the network",
        };
        let problem = if what.contains("credentials") { Problem::Denied } else { Problem::Unreachable };
        return (problem, format!("{what} ({})", printable(&chain)));
    };
    let code = refusal.err().code().unwrap_or("no code");
    let (problem, what) = match code {
        "NotFoundException" => (
            Problem::Missing,
            "there is no such key in this account and region: see the key id, `region=` in the URI or AWS_REGION, and whose \
             credentials these are",
        ),
        "AccessDeniedException" => (
            Problem::Denied,
            "these credentials may not use the key: allow kms:GenerateMac (derive) or kms:Decrypt (unwrap)",
        ),
        "InvalidCiphertextException" => (
            Problem::Malformed,
            "the wrapped key does not open: it is damaged, or was wrapped for another keyring or version (encryption context)",
        ),
        "IncorrectKeyException" => {
            (Problem::Missing, "the wrapped key was wrapped under another KMS key: name that one")
        }
        "InvalidKeyUsageException" => (
            Problem::Malformed,
            "the key is of the wrong kind: mode=derive wants HMAC_256, mode=unwrap SYMMETRIC_DEFAULT",
        ),
        "DisabledException" | "KMSInvalidStateException" => {
            (Problem::Denied, "the key is disabled or about to be deleted: enable it, or cancel the deletion")
        }
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "MissingAuthenticationToken" => (
            Problem::Denied,
            "AWS does not take these credentials: they are wrong or have expired, or this machine's clock is",
        ),
        "ThrottlingException" | "KeyUnavailableException" | "DependencyTimeoutException" | "KMSInternalException" => {
            (Problem::Unreachable, "AWS KMS is busy or failing: try again")
        }
        _ if refusal.raw().status().as_u16() == 403 => (
            Problem::Denied,
            "AWS does not let these credentials use the key: they are wrong, or the permission is missing",
        ),
        _ => (Problem::Malformed, "AWS KMS refuses the request: see that the key and the mode are right"),
    };
    let said = refusal.err().message().map(printable).filter(|said| !said.is_empty());
    (problem, format!("{what} ({code}{})", said.map(|said| format!(", {said:?}")).unwrap_or_default()))
}
