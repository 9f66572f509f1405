//! `pkcs11:token=T;object=O?module-path=M&pin-source=file:P` (RFC 7512): the master key is a non-extractable generic
//! secret in an HSM, which computes CKM_SHA256_HMAC with it and never gives it away.

mod error;
mod key;
mod login;
mod module;
mod pin;
mod token;
mod token_info;

use std::{path::Path, sync::Arc, thread, time::Duration};

use self::{
    error::{NewStart, Pkcs11Error},
    key::{Key, Wanted},
    module::{InUse, Module},
    pin::Pin,
    token::Token,
};
use super::{KeySource, SourceError, SourceUri, credential, one_block, parameters::Parameters};
use crate::derive::DerivedKey;

/// How long a missing token gets until the second try. SoftHSM2 leaves a token out while another process writes it.
const HIDDEN_FOR: Duration = Duration::from_millis(50);

pub(super) struct Pkcs11Source {
    uri: SourceUri,
    module: Arc<Module>,
    token: Token,
    wanted: Wanted,
    pin: Option<Pin>,
    /// How long another load may keep the module to itself.
    time_limit: Duration,
}

impl Pkcs11Source {
    pub(super) fn open(uri: &SourceUri, base: &Path, time_limit: Duration) -> Result<Self, SourceError> {
        let (path, query) = uri.rest().split_once('?').unwrap_or((uri.rest(), ""));
        let known = ["token", "serial", "manufacturer", "model", "slot-id", "object", "id", "type"];
        let path = Parameters::parse(uri, path, ';', &known)?;
        let query = Parameters::parse(uri, query, '&', &["module-path", "pin-source"])?;
        let token = Token::parse(uri, &path)?;
        let wanted = Wanted::parse(uri, &path)?;
        let module = query.require("module-path", "give the HSM's PKCS#11 library, module-path=/usr/lib/….so")?;
        let pin = match query.get("pin-source")? {
            Some(pointer) => Some(Pin::new(credential::read(uri, "pin-source", pointer, base)?)),
            None => None,
        };
        Ok(Pkcs11Source { uri: uri.clone(), module: Module::shared(module, base), token, wanted, pin, time_limit })
    }

    /// Does `work` with the key, in one session with one login. After an error that nobody foresaw the module is
    /// started anew, once: one that was started before its device went away may not find it again. A missing token gets
    /// [`HIDDEN_FOR`] first.
    fn with_key<T>(&self, work: impl Fn(&Key<'_>) -> Result<T, Pkcs11Error>) -> Result<T, SourceError> {
        let mut module = self.module.use_within(self.time_limit).map_err(|error| error.of(&self.uri))?;
        let was_started = module.is_started();
        let mut answer = self.ask(&mut module, &work);
        let again = match answer.as_ref().map_err(Pkcs11Error::new_start) {
            Err(NewStart::Yes) => true,
            Err(NewStart::IfOld) => was_started,
            Ok(_) | Err(NewStart::No) => false,
        };
        if again {
            module.stop();
            if answer.as_ref().is_err_and(|error| error.is_missing()) {
                thread::sleep(HIDDEN_FOR);
            }
            answer = self.ask(&mut module, &work);
        }
        if answer.as_ref().is_err_and(|error| error.new_start() != NewStart::No) {
            module.stop();
        }
        answer.map_err(|error| error.of(&self.uri))
    }

    fn ask<T>(
        &self,
        module: &mut InUse<'_>,
        work: impl Fn(&Key<'_>) -> Result<T, Pkcs11Error>,
    ) -> Result<T, Pkcs11Error> {
        let context = module.context()?;
        let found = self.token.find(&context, module.path())?;
        let session = context.open_ro_session(found.slot)?;
        let path = module.path();
        let wrong_pins = &mut module.state.wrong_pins;
        let answer =
            Key::open(&session, &self.wanted, &found, self.pin.as_ref(), wrong_pins).and_then(|key| work(&key));
        match (answer, &self.pin) {
            (Err(error), Some(pin)) if error.is_wrong_pin() => {
                login::remember_refused(&context, path, &found, pin, wrong_pins);
                Err(error)
            }
            (Err(error), Some(_)) => Err(error.with_pin_given()),
            (answer, _) => answer,
        }
    }
}

impl KeySource for Pkcs11Source {
    fn expand(&self, info: &[u8]) -> Result<DerivedKey, SourceError> {
        let message = one_block(info);
        self.with_key(|key| key.hmac(&message)).map(DerivedKey::new)
    }

    fn expand_all(&self, infos: &[Vec<u8>]) -> Result<Vec<DerivedKey>, SourceError> {
        let messages: Vec<Vec<u8>> = infos.iter().map(|info| one_block(info)).collect();
        self.with_key(|key| messages.iter().map(|message| key.hmac(message).map(DerivedKey::new)).collect())
    }

    fn remarks(&self) -> Result<Vec<String>, SourceError> {
        self.with_key(|key| Ok(key.remarks()))
    }
}
