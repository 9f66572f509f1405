//! `pkcs11:token=T;object=O?module-path=M&pin-source=file:P` (RFC 7512): the master key is a non-extractable generic secret in an
//! HSM, which computes CKM_SHA256_HMAC with it and never gives it away.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error, RvError},
    mechanism::Mechanism,
    object::{Attribute, AttributeType, ObjectClass, ObjectHandle},
    session::{Session, UserType},
    slot::Slot,
    types::AuthPin,
};
use zeroize::Zeroizing;

use super::{KeySource, Problem, SourceError, SourceUri, credential, one_block, parameters::Parameters};
use crate::derive::{Expanded, KEY_BYTES};

pub(super) struct Pkcs11Source {
    uri: SourceUri,
    module: Arc<Mutex<Module>>,
    token: Token,
    object: Vec<Attribute>,
    pin: Option<AuthPin>,
}

/// What the URI says of the token; everything said has to fit.
struct Token {
    slot: Option<u64>,
    label: Option<String>,
    serial: Option<String>,
    manufacturer: Option<String>,
    model: Option<String>,
}

/// A loaded PKCS#11 module.
struct Module {
    path: PathBuf,
    context: Option<Pkcs11>,
}

/// `C_Initialize` is once per process and module, whoever calls it, so there is one list of them per process: a second
/// source on the same module has to share the first one's. The lock makes a new start after an outage safe for all.
static MODULES: Mutex<Vec<(PathBuf, Arc<Mutex<Module>>)>> = Mutex::new(Vec::new());

/// What went wrong; `gone` where a new start of the module may help.
struct Trouble {
    problem: Problem,
    detail: String,
    gone: bool,
}

impl Pkcs11Source {
    pub(super) fn open(uri: &SourceUri, base: &Path) -> Result<Self, SourceError> {
        let fail = |problem, detail: &str| Err(SourceError::new(uri, problem, detail.to_owned()));
        let (path, query) = uri.rest().split_once('?').unwrap_or((uri.rest(), ""));
        let known = ["token", "serial", "manufacturer", "model", "slot-id", "object", "id", "type"];
        let path = Parameters::parse(uri, path, ';', &known)?;
        let query = Parameters::parse(uri, query, '&', &["module-path", "pin-source"])?;
        let owned = |name| Ok::<_, SourceError>(path.get(name)?.map(str::to_owned));
        let slot = match path.get("slot-id")?.map(str::parse) {
            Some(Err(_)) => return fail(Problem::Uri, "slot-id is a decimal number"),
            Some(Ok(slot)) => Some(slot),
            None => None,
        };
        let token = Token {
            slot,
            label: owned("token")?,
            serial: owned("serial")?,
            manufacturer: owned("manufacturer")?,
            model: owned("model")?,
        };
        if token.slot.is_none() && token.label.is_none() && token.serial.is_none() {
            return fail(Problem::Uri, "say which token, with token=LABEL, serial=NUMBER or slot-id=NUMBER");
        }
        let mut object = vec![Attribute::Class(ObjectClass::SECRET_KEY)];
        object.extend(path.bytes("object").map(|label| Attribute::Label(label.to_vec())));
        object.extend(path.bytes("id").map(|id| Attribute::Id(id.to_vec())));
        if object.len() == 1 || path.get("type")?.is_some_and(|kind| kind != "secret-key") {
            return fail(Problem::Uri, "say which key, with object=LABEL or id=%01; it is of type=secret-key");
        }
        let module = query.require("module-path", "give the HSM's PKCS#11 library, module-path=/usr/lib/….so")?;
        let pin =
            query.get("pin-source")?.map(|pointer| credential::read(uri, "pin-source", pointer, base)).transpose()?;
        let pin = pin.map(|pin| AuthPin::from(pin.as_str()));
        Ok(Pkcs11Source { uri: uri.clone(), module: Module::shared(module, base), token, object, pin })
    }

    fn hmac(&self, context: &Pkcs11, message: &[u8]) -> Result<Zeroizing<[u8; KEY_BYTES]>, Trouble> {
        let slot = self.token.find(context)?;
        let session = context.open_ro_session(slot)?;
        self.log_in(context, slot, &session)?;
        let key = self.find_key(&session)?;
        let mac = Zeroizing::new(session.sign(&Mechanism::Sha256Hmac, key, message)?);
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        match mac.len() {
            KEY_BYTES => bytes.copy_from_slice(&mac),
            length => {
                return Err(Trouble::new(
                    Problem::Malformed,
                    format!("the HSM returned {length} bytes for an HMAC of 32"),
                ));
            }
        }
        Ok(bytes)
    }

    fn log_in(&self, context: &Pkcs11, slot: Slot, session: &Session) -> Result<(), Trouble> {
        let Some(pin) = &self.pin else { return Ok(()) };
        // Some tokens' information does not parse; then the token itself decides.
        if context.get_token_info(slot).is_ok_and(|token| token.user_pin_final_try()) {
            let detail =
                "one more wrong PIN locks the token, so none is tried: log in once with the right PIN by another tool";
            return Err(Trouble::new(Problem::Denied, detail.to_owned()));
        }
        match session.login(UserType::User, Some(pin)) {
            // Whoever else uses the module in this process logged in for all of it.
            Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
            other => Ok(other?),
        }
    }

    fn find_key(&self, session: &Session) -> Result<ObjectHandle, Trouble> {
        let found = session.find_objects(&self.object)?;
        let key = match found[..] {
            [key] => key,
            [] => {
                let hint = if self.pin.is_some() { "" } else { ", or it shows only after a login: add pin-source" };
                let detail = format!(
                    "the token has no such secret key{hint}; `pkcs11-tool --list-objects --login` lists what it has"
                );
                return Err(Trouble::new(Problem::Missing, detail));
            }
            _ => {
                let detail = format!("the token has {} such keys: add id=%.. to say which", found.len());
                return Err(Trouble::new(Problem::Malformed, detail));
            }
        };
        match session.get_attributes(key, &[AttributeType::ValueLen])?[..] {
            [Attribute::ValueLen(length)] if ![0, KEY_BYTES as u64].contains(&length) => {
                let detail = format!("the key has {} bytes: make a generic secret of 32", *length);
                Err(Trouble::new(Problem::Malformed, detail))
            }
            // A token need not tell, or says 0.
            _ => Ok(key),
        }
    }
}

impl KeySource for Pkcs11Source {
    fn expand(&self, info: &[u8]) -> Result<Expanded, SourceError> {
        let message = one_block(info);
        // A panic in between leaves nothing behind that a new start does not mend.
        let mut module = self.module.lock().unwrap_or_else(PoisonError::into_inner);
        let had_context = module.context.is_some();
        let mut answer = module.context().and_then(|context| self.hmac(&context, &message));
        if had_context && answer.as_ref().is_err_and(|trouble| trouble.gone) {
            module.stop();
            answer = module.context().and_then(|context| self.hmac(&context, &message));
        }
        if answer.as_ref().is_err_and(|trouble| trouble.gone) {
            module.stop();
        }
        answer.map(Expanded::new).map_err(|trouble| SourceError::new(&self.uri, trouble.problem, trouble.detail))
    }
}

impl Token {
    fn find(&self, context: &Pkcs11) -> Result<Slot, Trouble> {
        let fits = |slot: &Slot| {
            if self.slot.is_some_and(|id| id != slot.id()) {
                return false;
            }
            let wanted = [&self.label, &self.serial, &self.manufacturer, &self.model];
            if wanted.iter().all(|one| one.is_none()) {
                return true;
            }
            context.get_token_info(*slot).is_ok_and(|token| {
                let has = [token.label(), token.serial_number(), token.manufacturer_id(), token.model()];
                wanted
                    .iter()
                    .zip(has)
                    .all(|(wanted, has)| wanted.as_ref().is_none_or(|wanted| wanted == has.trim_end()))
            })
        };
        let all = context.get_slots_with_token()?;
        let fitting: Vec<Slot> = all.iter().copied().filter(fits).collect();
        match fitting[..] {
            [slot] => Ok(slot),
            [] if all.is_empty() => Err(Trouble {
                problem: Problem::Unreachable,
                detail: "the device does not answer, or has no token: see that it, and the path to it, is up"
                    .to_owned(),
                gone: true,
            }),
            [] => Err(Trouble {
                problem: Problem::Missing,
                detail: "the module has no such token; `pkcs11-tool --list-token-slots` lists those it has".to_owned(),
                // A module that was started while the device was away may not look again.
                gone: true,
            }),
            _ => Err(Trouble::new(Problem::Malformed, "several tokens fit: add serial= or slot-id=".to_owned())),
        }
    }
}

impl Module {
    /// The module of this path, the same one for every source in the process.
    fn shared(path: &str, base: &Path) -> Arc<Mutex<Module>> {
        // A bare name is looked for where the system keeps its libraries.
        let path = if path.contains('/') { base.join(path) } else { PathBuf::from(path) };
        let path = path.canonicalize().unwrap_or(path);
        let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, module)) = modules.iter().find(|(known, _)| *known == path) {
            return Arc::clone(module);
        }
        let module = Arc::new(Mutex::new(Module { path: path.clone(), context: None }));
        modules.push((path, Arc::clone(&module)));
        module
    }

    /// The module, loaded and initialized.
    fn context(&mut self) -> Result<Pkcs11, Trouble> {
        if let Some(context) = &self.context {
            return Ok(context.clone());
        }
        let context = Pkcs11::new(&self.path).map_err(|error| match error {
            Error::LibraryLoading(error) => {
                let detail = format!("module-path {} cannot be loaded: {error}", self.path.display());
                Trouble::new(Problem::Missing, detail)
            }
            other => other.into(),
        })?;
        match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            // By the program around this library.
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(error.into()),
        }
        self.context = Some(context.clone());
        Ok(context)
    }

    /// Forgets the module's state. No session is left by then: each lives within one call, under the lock.
    fn stop(&mut self) {
        if let Some(context) = self.context.take() {
            // A device that is gone may refuse even this; the new start tells.
            let _ = context.finalize();
        }
    }
}

impl Trouble {
    fn new(problem: Problem, detail: String) -> Self {
        Trouble { problem, detail, gone: false }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        let Error::Pkcs11(code, function) = &error else {
            return Trouble::new(Problem::Malformed, format!("the PKCS#11 module: {error}"));
        };
        let (problem, what, gone) = match code {
            RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange => {
                (Problem::Denied, "the PIN is wrong: mend what pin-source names, before the token locks itself", false)
            }
            RvError::PinLocked => {
                (Problem::Denied, "the PIN is locked: the security officer has to set a new one", false)
            }
            RvError::PinExpired => (Problem::Denied, "the PIN has expired: set a new one", false),
            RvError::UserPinNotInitialized => (Problem::Denied, "the token has no user PIN yet: set one", false),
            RvError::KeyFunctionNotPermitted => {
                (Problem::Denied, "the key may not sign: make it with CKA_SIGN (`pkcs11-tool --usage-sign`)", false)
            }
            RvError::KeyTypeInconsistent | RvError::MechanismInvalid | RvError::KeySizeRange => (
                Problem::Malformed,
                "the key or the token cannot do SHA256-HMAC: make a generic secret of 32 bytes",
                false,
            ),
            RvError::DeviceError
            | RvError::DeviceRemoved
            | RvError::TokenNotPresent
            | RvError::SlotIdInvalid
            | RvError::SessionHandleInvalid
            | RvError::SessionClosed
            | RvError::CryptokiNotInitialized => {
                (Problem::Unreachable, "the device does not answer: see that it, and the path to it, is up", true)
            }
            RvError::UserNotLoggedIn => (Problem::Denied, "the token wants a login: add pin-source", false),
            _ => (Problem::Malformed, "the PKCS#11 module failed: its own log tells more", false),
        };
        Trouble { problem, detail: format!("{what} ({function}: {code:?})"), gone }
    }
}
