//! The login: with the PIN before the key is looked for, and again for each use of a key that asks for that.

use std::path::Path;

use cryptoki::{
    context::Pkcs11,
    error::{Error, RvError},
    session::{Session, UserType},
};

use super::{
    error::Pkcs11Error,
    pin::{Pin, WrongPins},
    token::Found,
};

/// Returns whether the token asks for a login before it shows anything. Without its word it is assumed to.
pub(super) fn is_required(found: &Found) -> bool {
    found.facts.as_ref().is_none_or(|facts| facts.login_required)
}

/// Logs in, if there is a PIN. A PIN that the token refused before, or that may lock it, is not tried.
pub(super) fn log_in(
    session: &Session,
    found: &Found,
    pin: Option<&Pin>,
    wrong_pins: &mut WrongPins,
) -> Result<(), Pkcs11Error> {
    let Some(pin) = pin else { return Ok(()) };
    wrong_pins.check(found, pin)?;
    match session.login(UserType::User, Some(&pin.text)) {
        Ok(()) => {
            wrong_pins.taken(&found.identity, pin);
            Ok(())
        }
        // The program around this library logged in, for the whole process.
        Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Logs in for one use of a key with CKA_ALWAYS_AUTHENTICATE, after the operation has begun.
pub(super) fn log_in_for_one_use(session: &Session, pin: &Pin) -> Result<(), Pkcs11Error> {
    Ok(session.login(UserType::ContextSpecific, Some(&pin.text))?)
}

/// Remembers that the token refused this PIN.
pub(super) fn remember_refused(context: &Pkcs11, path: &Path, found: &Found, pin: &Pin, wrong_pins: &mut WrongPins) {
    // The token may tell now how many tries are left.
    let told = found.facts_now(context, path).is_some_and(|facts| facts.tells_tries());
    wrong_pins.refused(&found.identity, pin, told);
}
