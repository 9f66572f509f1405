//! `aws-kms:KEY?mode=derive&region=R&endpoint=URL`: the master key is an HMAC_256 key in AWS KMS, which computes
//! GenerateMac with it and never gives it away.
//!
//! `aws-kms:KEY?mode=unwrap`: the master key is a data key in the keyring, opened once by Decrypt, with an encryption
//! context that ties it to its keyring and version. Credentials come from where AWS programs look for them.

mod error;
mod http;
mod program;
mod signer;

use std::{collections::HashMap, panic, thread, time::Duration};

pub use self::signer::{AwsRequest, AwsSigner, AwsSignerError};
use aws_config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_kms::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    primitives::Blob,
    types::{DataKeySpec, MacAlgorithmSpec},
};
use tokio::runtime::{Builder, Runtime};
use zeroize::Zeroizing;

use super::{
    EncryptionContext, KeySource, SourceError, SourceErrorKind, SourceUri, endpoint, one_block, parameters::Parameters,
};
use crate::derive::{self, DerivedKey, KEY_BYTES};

/// Connecting takes this long at most, so that a dead address does not use up the whole time limit.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// The first try and one more.
const ATTEMPTS: u32 = 2;

type Key = Zeroizing<[u8; KEY_BYTES]>;

/// Opens the source that `uri` names.
pub(super) fn open(
    uri: &SourceUri,
    context: EncryptionContext<'_>,
    time_limit: Duration,
) -> Result<Box<dyn KeySource>, SourceError> {
    let kms = Kms::connect(uri, time_limit)?;
    match kms.mode {
        Mode::Derive => Ok(Box::new(kms)),
        Mode::Unwrap => Ok(Box::new(Unwrapped { key: kms.decrypt(context)? })),
    }
}

/// A new master key, as the KMS wrapped it: nobody sees it in the clear. None where the KMS keeps the key itself.
pub(super) fn wrap_new_key(
    uri: &SourceUri,
    context: EncryptionContext<'_>,
    time_limit: Duration,
) -> Result<Option<Vec<u8>>, SourceError> {
    let kms = Kms::connect(uri, time_limit)?;
    match kms.mode {
        Mode::Derive => Ok(None),
        Mode::Unwrap => kms.generate(context).map(Some),
    }
}

/// The same master key, wrapped by this KMS key too. None where the KMS keeps the key itself.
pub(super) fn wrap(
    uri: &SourceUri,
    context: EncryptionContext<'_>,
    key: impl FnOnce() -> Result<Key, SourceError>,
    time_limit: Duration,
) -> Result<Option<Vec<u8>>, SourceError> {
    let kms = Kms::connect(uri, time_limit)?;
    match kms.mode {
        Mode::Derive => Ok(None),
        Mode::Unwrap => kms.encrypt(context, &*key()?).map(Some),
    }
}

/// The master key that the keyring has wrapped, in the clear; for wrapping it once more.
pub(super) fn reveal(
    uri: &SourceUri,
    context: EncryptionContext<'_>,
    time_limit: Duration,
) -> Result<Key, SourceError> {
    let kms = Kms::connect(uri, time_limit)?;
    match kms.mode {
        Mode::Derive => Err(kms.fail(SourceErrorKind::Unsupported, "the KMS keeps this key to itself".to_owned())),
        Mode::Unwrap => kms.decrypt(context),
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
    fn expand(&self, info: &[u8]) -> Result<DerivedKey, SourceError> {
        Ok(derive::expand(&self.key, info))
    }
}

impl KeySource for Kms {
    fn expand(&self, info: &[u8]) -> Result<DerivedKey, SourceError> {
        let request = self.client.generate_mac().key_id(&self.key_id).mac_algorithm(MacAlgorithmSpec::HmacSha256);
        let answer = self.call("kms:GenerateMac", request.message(Blob::new(one_block(info))).send())?;
        self.key_of(answer.mac).map(DerivedKey::new)
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
            _ => return Err(fail(SourceErrorKind::Uri, why.to_owned())),
        };
        let timeouts = TimeoutConfig::builder().operation_timeout(time_limit).connect_timeout(CONNECT_LIMIT).build();
        let mut config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http::client())
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));
        // arn:aws:kms:REGION:ACCOUNT:key/ID
        let in_arn = key_id.strip_prefix("arn:").and_then(|arn| arn.split(':').nth(2));
        if let Some(region) = query.get("region")?.or(in_arn).filter(|region| !region.is_empty()) {
            config = config.region(Region::new(region.to_owned()));
        }
        if let Some(url) = query.get("endpoint")? {
            endpoint::check(uri, url)?;
            config = config.endpoint_url(url);
        }
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime
            .map_err(|error| fail(SourceErrorKind::Unreachable, format!("no runtime for the AWS client: {error}")))?;
        let config = run(&runtime, async { program::run_here(config.load().await, time_limit).await });
        // An empty AWS_REGION is one to the client, and no address can be made of it.
        if config.region().is_none_or(|region| region.as_ref().trim().is_empty()) {
            let detail = "no region, or an empty one: add region=…, name the key by its ARN, or set AWS_REGION";
            return Err(fail(SourceErrorKind::Uri, detail.to_owned()));
        }
        Ok(Kms {
            uri: uri.clone(),
            key_id: key_id.to_owned(),
            mode,
            client: Client::new(&config),
            runtime: Some(runtime),
        })
    }

    fn decrypt(&self, context: EncryptionContext<'_>) -> Result<Key, SourceError> {
        let wrapped = context.wrapped.ok_or_else(|| {
            let detail = "the keyring has no wrapped key for it: stage a version with this source, or use mode=derive";
            self.fail(SourceErrorKind::Missing, detail.to_owned())
        })?;
        let context = self.context(context)?;
        let request = self.client.decrypt().key_id(&self.key_id).set_encryption_context(Some(context));
        let answer = self.call("kms:Decrypt", request.ciphertext_blob(Blob::new(wrapped)).send())?;
        self.key_of(answer.plaintext)
    }

    fn generate(&self, context: EncryptionContext<'_>) -> Result<Vec<u8>, SourceError> {
        let context = self.context(context)?;
        let request = self.client.generate_data_key_without_plaintext().key_id(&self.key_id);
        let request = request.key_spec(DataKeySpec::Aes256).set_encryption_context(Some(context));
        let answer = self.call("kms:GenerateDataKeyWithoutPlaintext", request.send())?;
        answer.ciphertext_blob.map(Blob::into_inner).ok_or_else(|| self.no_key())
    }

    fn encrypt(&self, context: EncryptionContext<'_>, key: &[u8; KEY_BYTES]) -> Result<Vec<u8>, SourceError> {
        let context = self.context(context)?;
        let request = self.client.encrypt().key_id(&self.key_id).set_encryption_context(Some(context));
        let answer = self.call("kms:Encrypt", request.plaintext(Blob::new(key.as_slice())).send())?;
        answer.ciphertext_blob.map(Blob::into_inner).ok_or_else(|| self.no_key())
    }

    /// What a wrapped key is tied to: moved to another keyring or version, it does not open.
    fn context(&self, context: EncryptionContext<'_>) -> Result<HashMap<String, String>, SourceError> {
        let version = context.version.ok_or_else(|| {
            let detail = "mode=unwrap is for the master keys of a keyring; use mode=derive, or another source, here";
            self.fail(SourceErrorKind::Uri, detail.to_owned())
        })?;
        let pairs =
            [("app", "bulla".to_owned()), ("version", version.to_string()), ("keyring", context.keyring.to_string())];
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
        self.fail(SourceErrorKind::Malformed, "the answer of AWS KMS is not a key of 32 bytes".to_owned())
    }

    fn fail(&self, problem: SourceErrorKind, detail: String) -> SourceError {
        SourceError::new(&self.uri, problem, detail)
    }

    /// Makes a request that takes `permission`.
    fn call<T, E>(
        &self,
        permission: &str,
        request: impl Future<Output = Result<T, SdkError<E>>> + Send,
    ) -> Result<T, SourceError>
    where
        T: Send,
        E: ProvideErrorMetadata + std::error::Error + Send + 'static,
    {
        let runtime = self.runtime.as_ref().ok_or_else(|| self.no_key())?;
        run(runtime, request).map_err(|error| {
            let (problem, detail) = error::of(&error, permission);
            self.fail(problem, detail)
        })
    }
}

impl Drop for Kms {
    fn drop(&mut self) {
        // The caller may drop it inside a runtime of its own, where waiting for this one would panic.
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
