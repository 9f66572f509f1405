//! What goes wrong behind PKCS#11, in words, and whether it may pass or a new start of the module may help.

use cryptoki::{
    context::Function,
    error::{Error, RvError},
};

use super::super::{SourceError, SourceErrorKind, SourceUri};

/// What went wrong.
pub(super) struct Pkcs11Error {
    problem: SourceErrorKind,
    detail: String,
    new_start: NewStart,
    code: Option<RvError>,
}

/// Whether a new start of the module may help.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum NewStart {
    /// The token gave a clear answer.
    No,
    /// If the module was started some time ago: its device may have been away since.
    IfOld,
    /// Even if it was started just now: another process may have changed the token meanwhile.
    Yes,
}

impl Pkcs11Error {
    pub(super) fn new(problem: SourceErrorKind, detail: String) -> Self {
        Pkcs11Error { problem, detail, new_start: NewStart::No, code: None }
    }

    pub(super) fn with(self, new_start: NewStart) -> Self {
        Pkcs11Error { new_start, ..self }
    }

    pub(super) fn may_not_sign(why: &str) -> Self {
        let detail = format!("the key may not sign: make it with CKA_SIGN (`pkcs11-tool --usage-sign`) ({why})");
        Pkcs11Error::new(SourceErrorKind::Denied, detail)
    }

    pub(super) fn new_start(&self) -> NewStart {
        self.new_start
    }

    pub(super) fn is_missing(&self) -> bool {
        self.problem == SourceErrorKind::Missing
    }

    pub(super) fn is_wrong_pin(&self) -> bool {
        matches!(self.code, Some(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange))
    }

    /// The same, where the URI has a pin-source: then there was a login, and the advice to add one is wrong.
    pub(super) fn with_pin_given(self) -> Self {
        match self.code {
            Some(RvError::UserNotLoggedIn) => Pkcs11Error {
                detail: "the token did not keep the login: another program logged it out, or the device started anew \
                         (CKR_USER_NOT_LOGGED_IN)"
                    .to_owned(),
                problem: SourceErrorKind::Unreachable,
                new_start: NewStart::Yes,
                ..self
            },
            _ => self,
        }
    }

    pub(super) fn of(self, uri: &SourceUri) -> SourceError {
        SourceError::new(uri, self.problem, self.detail)
    }
}

impl From<Error> for Pkcs11Error {
    fn from(error: Error) -> Self {
        let Error::Pkcs11(code, function) = &error else {
            // An answer that cannot be is as unforeseen as an unknown code.
            let is_odd = matches!(
                error,
                Error::InvalidValue
                    | Error::ParseInt(_)
                    | Error::TryFromInt(_)
                    | Error::TryFromSlice(_)
                    | Error::Utf8(_)
            );
            let new_start = if is_odd { NewStart::IfOld } else { NewStart::No };
            return Pkcs11Error::new(SourceErrorKind::Malformed, format!("the PKCS#11 module: {error}"))
                .with(new_start);
        };
        if matches!(code, RvError::KeyFunctionNotPermitted) {
            return Pkcs11Error::may_not_sign(&format!("{function}: {code:?}"));
        }
        let ((problem, what), new_start) = match (function, known(code)) {
            (Function::Initialize, _) => at_start(code),
            (_, Some(answer)) => (answer, NewStart::No),
            // A login is made once more only if that is likely to be of use: it may count as a wrong PIN.
            (Function::Login, None) => (unforeseen(code), NewStart::IfOld),
            (_, None) => (unforeseen(code), NewStart::Yes),
        };
        Pkcs11Error { problem, detail: format!("{what} ({function}: {code:?})"), new_start, code: Some(*code) }
    }
}

/// Of `C_Initialize`, which says little of what it misses.
fn at_start(code: &RvError) -> ((SourceErrorKind, &'static str), NewStart) {
    match code {
        RvError::ArgumentsBad => (
            (
                SourceErrorKind::Malformed,
                "the module wants parameters to start with, as NSS does: load it through p11-kit-proxy.so, with \
                 `x-init-reserved` in its module file",
            ),
            NewStart::No,
        ),
        RvError::CantLock | RvError::NeedToCreateThreads | RvError::FunctionNotSupported => {
            ((SourceErrorKind::Malformed, "the module cannot be used by this program"), NewStart::No)
        }
        _ => (
            (
                SourceErrorKind::Unreachable,
                "the module did not start: its configuration (environment variables), its files, its device and its daemon \
                 have to be there, and open to this user",
            ),
            NewStart::IfOld,
        ),
    }
}

/// A clear answer of the token, which a new start does not change.
fn known(code: &RvError) -> Option<(SourceErrorKind, &'static str)> {
    Some(match code {
        RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange => (
            SourceErrorKind::Denied,
            "the PIN is wrong: put the right one where pin-source points; this one is not tried again, as the token would lock \
             itself",
        ),
        RvError::PinLocked => (
            SourceErrorKind::Denied,
            "the PIN is locked: the security officer of the token has to set a new one; a TPM that is locked out lets go after a \
             time, or at `tpm2_dictionarylockout --clear-lockout`",
        ),
        RvError::PinExpired => (SourceErrorKind::Denied, "the PIN has expired: set a new one"),
        RvError::UserPinNotInitialized => (SourceErrorKind::Denied, "the token has no user PIN yet: set one"),
        RvError::UserNotLoggedIn => (SourceErrorKind::Denied, "the token wants a login: add pin-source"),
        RvError::KeyTypeInconsistent | RvError::MechanismInvalid | RvError::KeySizeRange => (
            SourceErrorKind::Malformed,
            "the key or the token cannot do SHA256-HMAC: make a generic secret of 32 bytes, with CKA_SIGN",
        ),
        _ => return None,
    })
}

fn unforeseen(code: &RvError) -> (SourceErrorKind, &'static str) {
    match code {
        RvError::DeviceError
        | RvError::DeviceRemoved
        | RvError::TokenNotPresent
        | RvError::TokenNotRecognized
        | RvError::SlotIdInvalid
        | RvError::SessionHandleInvalid
        | RvError::SessionClosed
        | RvError::SessionCount
        | RvError::KeyHandleInvalid
        | RvError::ObjectHandleInvalid
        | RvError::CryptokiNotInitialized => {
            (SourceErrorKind::Unreachable, "the device does not answer: see that it, and the path to it, is up")
        }
        RvError::GeneralError | RvError::FunctionFailed | RvError::HostMemory | RvError::DeviceMemory => (
            SourceErrorKind::Unreachable,
            "the module or its device failed: see that the device, its daemon and the path to it are up; the module's own log \
             tells more",
        ),
        _ => (SourceErrorKind::Malformed, "the PKCS#11 module failed: its own log tells more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_nobody_foresaw_starts_the_module_anew() {
        let of = |error: Error| Pkcs11Error::from(error).new_start();
        let code = |code, function| of(Error::Pkcs11(code, function));
        assert!(of(Error::InvalidValue) == NewStart::IfOld);
        assert!(of(Error::NotSupported) == NewStart::No);
        assert!(code(RvError::DeviceRemoved, Function::Sign) == NewStart::Yes);
        assert!(code(RvError::OperationNotInitialized, Function::Sign) == NewStart::Yes);
        assert!(code(RvError::GeneralError, Function::Login) == NewStart::IfOld, "it may count as a wrong PIN");
        assert!(code(RvError::PinIncorrect, Function::Login) == NewStart::No);
    }
}
