//! Which token: what the URI says of it, and what the token says of itself.

use std::path::Path;

use cryptoki::{
    context::Pkcs11,
    error::Error,
    slot::{Slot, TokenInfo},
};

use super::{
    super::{SourceError, SourceErrorKind, SourceUri, parameters::Parameters},
    error::{NewStart, Pkcs11Error},
    token_info,
};

/// What the URI says of the token; everything said has to fit.
pub(super) struct Token {
    slot: Option<u64>,
    /// Label, serial number, manufacturer, model.
    names: [Option<String>; 4],
}

/// The token that fits.
pub(super) struct Found {
    pub(super) slot: Slot,
    /// None where its information cannot be read.
    pub(super) facts: Option<Facts>,
    /// The same for the same token after a new start of its module, whose slots may have other numbers then.
    pub(super) identity: String,
}

/// What a token says of itself.
pub(super) struct Facts {
    names: [String; 4],
    pub(super) login_required: bool,
    pub(super) final_try: bool,
    count_low: bool,
    locked: bool,
}

impl Token {
    pub(super) fn parse(uri: &SourceUri, path: &Parameters<'_>) -> Result<Self, SourceError> {
        let fail = |detail: &str| Err(SourceError::new(uri, SourceErrorKind::Uri, detail.to_owned()));
        let slot = match path.get("slot-id")?.map(str::parse) {
            Some(Err(_)) => return fail("slot-id is a decimal number"),
            Some(Ok(slot)) => Some(slot),
            None => None,
        };
        let name = |name| Ok::<_, SourceError>(path.get(name)?.map(|text| trimmed(text).to_owned()));
        let names = [name("token")?, name("serial")?, name("manufacturer")?, name("model")?];
        if slot.is_none() && names[0].is_none() && names[1].is_none() {
            return fail("say which token, with token=LABEL, serial=NUMBER or slot-id=NUMBER");
        }
        Ok(Token { slot, names })
    }

    pub(super) fn find(&self, context: &Pkcs11, path: &Path) -> Result<Found, Pkcs11Error> {
        let all = context.get_slots_with_token()?;
        let (mut fitting, mut unreadable) = (Vec::new(), None);
        for slot in all.iter().copied().filter(|slot| self.slot.is_none_or(|id| id == slot.id())) {
            match Facts::read(context, path, slot) {
                Ok(facts) if self.fits(&facts) => fitting.push((slot, Some(facts))),
                Ok(_) => {}
                Err(_) if self.names.iter().all(Option::is_none) => fitting.push((slot, None)),
                Err(error) => unreadable = Some((slot, error)),
            }
        }
        match (fitting.pop(), fitting.is_empty(), unreadable) {
            (Some((slot, facts)), true, _) => {
                let identity = self.identity(slot, facts.as_ref());
                Ok(Found { slot, facts, identity })
            }
            (Some(_), false, _) => {
                let detail =
                    "several tokens fit: add serial=, manufacturer=, model= or slot-id=, whichever tells them apart";
                Err(Pkcs11Error::new(SourceErrorKind::Malformed, detail.to_owned()))
            }
            (None, _, _) if all.is_empty() => {
                let detail = "the device does not answer, or has no token: see that it, and the path to it, is up";
                Err(Pkcs11Error::new(SourceErrorKind::Unreachable, detail.to_owned()).with(NewStart::IfOld))
            }
            (None, _, Some((slot, error))) => {
                let detail = format!(
                    "the token in slot {} does not say which it is ({error}): see that the device is up, or name it by \
                     slot-id={} alone",
                    slot.id(),
                    slot.id()
                );
                Err(Pkcs11Error::new(SourceErrorKind::Unreachable, detail).with(NewStart::Yes))
            }
            (None, _, None) => {
                let detail = "the module has no such token; `pkcs11-tool --list-token-slots` lists those it has, and only those \
                              whose files this user may read";
                // A module that was started while the device was away may not look again; SoftHSM2 leaves out a token
                // that another process is writing.
                Err(Pkcs11Error::new(SourceErrorKind::Missing, detail.to_owned()).with(NewStart::Yes))
            }
        }
    }

    fn fits(&self, facts: &Facts) -> bool {
        let pairs = self.names.iter().zip(&facts.names);
        pairs.into_iter().all(|(wanted, has)| wanted.as_ref().is_none_or(|wanted| wanted == has))
    }

    fn identity(&self, slot: Slot, facts: Option<&Facts>) -> String {
        // Tokens that say the same of themselves are told apart by a URI with a slot.
        let slot = self.slot.or(facts.is_none().then(|| slot.id()));
        let names = facts.map(|facts| facts.names.join("\n")).unwrap_or_default();
        format!("{names}\n{}", slot.map(|slot| slot.to_string()).unwrap_or_default())
    }
}

impl Found {
    /// What the token says now.
    pub(super) fn facts_now(&self, context: &Pkcs11, path: &Path) -> Option<Facts> {
        Facts::read(context, path, self.slot).ok()
    }
}

impl Facts {
    fn read(context: &Pkcs11, path: &Path, slot: Slot) -> Result<Self, Error> {
        let read = context.get_token_info(slot).or_else(|error| match error {
            Error::Pkcs11(..) => Err(error),
            _ => token_info::without_time(path, slot).ok_or(error),
        });
        read.map(|token| Facts::from(&token))
    }

    /// Returns whether the token lets it be known that tries are used up.
    pub(super) fn tells_tries(&self) -> bool {
        self.count_low || self.final_try || self.locked
    }
}

impl From<&TokenInfo> for Facts {
    fn from(token: &TokenInfo) -> Self {
        let names = [token.label(), token.serial_number(), token.manufacturer_id(), token.model()];
        Facts {
            names: names.map(|name| trimmed(name).to_owned()),
            login_required: token.login_required(),
            final_try: token.user_pin_final_try(),
            count_low: token.user_pin_count_low(),
            locked: token.user_pin_locked(),
        }
    }
}

/// The standard pads with blanks, and some modules with NUL.
fn trimmed(name: &str) -> &str {
    name.trim_end_matches([' ', '\0'])
}
