//! The key in the token: found, held to what it has to be, and used.

use cryptoki::{
    mechanism::Mechanism,
    object::{Attribute, AttributeType, ObjectClass, ObjectHandle},
    session::Session,
};
use zeroize::Zeroizing;

use super::{
    super::{SourceError, SourceErrorKind, SourceUri, parameters::Parameters},
    error::Pkcs11Error,
    login,
    pin::{Pin, WrongPins},
    token::{Facts, Found},
};
use crate::derive::KEY_BYTES;

/// What the URI says of the key.
pub(super) struct Wanted(Vec<Attribute>);

/// A key in an open session.
pub(super) struct Key<'a> {
    session: &'a Session,
    pin: Option<&'a Pin>,
    handle: ObjectHandle,
    traits: Traits,
}

/// What the token says of the key; a token need not tell.
#[derive(Default)]
struct Traits {
    length: Option<u64>,
    sign: Option<bool>,
    always_authenticate: bool,
    extractable: Option<bool>,
    sensitive: Option<bool>,
    private: Option<bool>,
}

impl Wanted {
    pub(super) fn parse(uri: &SourceUri, path: &Parameters<'_>) -> Result<Self, SourceError> {
        let mut object = vec![Attribute::Class(ObjectClass::SECRET_KEY)];
        object.extend(path.bytes("object").map(|label| Attribute::Label(label.to_vec())));
        object.extend(path.bytes("id").map(|id| Attribute::Id(id.to_vec())));
        if object.len() == 1 || path.get("type")?.is_some_and(|kind| kind != "secret-key") {
            let detail = "say which key, with object=LABEL or id=%01; it is of type=secret-key";
            return Err(SourceError::new(uri, SourceErrorKind::Uri, detail.to_owned()));
        }
        Ok(Wanted(object))
    }
}

impl<'a> Key<'a> {
    /// Logs in where the token wants it, and finds the key.
    pub(super) fn open(
        session: &'a Session,
        wanted: &Wanted,
        found: &Found,
        pin: Option<&'a Pin>,
        wrong_pins: &mut WrongPins,
    ) -> Result<Self, Pkcs11Error> {
        let mut log_in = || login::log_in(session, found, pin, wrong_pins);
        let asks_for_login = login::is_required(found);
        if asks_for_login {
            log_in()?;
        }
        let mut keys = session.find_objects(&wanted.0)?;
        // Such a token may still show a private key only after a login. If it refuses that, it has no such key.
        if keys.is_empty() && !asks_for_login {
            match (log_in(), pin) {
                (Ok(()), _) => keys = session.find_objects(&wanted.0)?,
                (Err(error), Some(pin)) if error.is_wrong_pin() => {
                    let told = found.facts.as_ref().is_some_and(Facts::tells_tries);
                    wrong_pins.refused(&found.identity, pin, told);
                }
                (Err(_), _) => {}
            }
        }
        let handle = match keys[..] {
            [key] => key,
            [] => {
                let hint = if pin.is_some() { "" } else { ", or it shows only after a login: add pin-source" };
                let detail = format!(
                    "the token has no such secret key{hint}; `pkcs11-tool --list-objects --login` lists what it has"
                );
                return Err(Pkcs11Error::new(SourceErrorKind::Missing, detail));
            }
            _ => {
                let detail = format!("the token has {} such keys: add id=%.. to say which", keys.len());
                return Err(Pkcs11Error::new(SourceErrorKind::Malformed, detail));
            }
        };
        let traits = Traits::read(session, handle);
        match traits {
            Traits { length: Some(length), .. } if length != KEY_BYTES as u64 => {
                let detail = format!("the key has {length} bytes: make a generic secret of 32");
                Err(Pkcs11Error::new(SourceErrorKind::Malformed, detail))
            }
            Traits { sign: Some(false), .. } => Err(Pkcs11Error::may_not_sign("its CKA_SIGN is false")),
            traits => Ok(Key { session, pin, handle, traits }),
        }
    }

    pub(super) fn hmac(&self, message: &[u8]) -> Result<Zeroizing<[u8; KEY_BYTES]>, Pkcs11Error> {
        let mac = match self.pin {
            Some(pin) if self.traits.always_authenticate => self.hmac_after_login(pin, message)?,
            _ => self.session.sign(&Mechanism::Sha256Hmac, self.handle, message)?,
        };
        let mac = Zeroizing::new(mac);
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        if mac.len() != KEY_BYTES {
            let detail = format!("the HSM returned {} bytes for an HMAC of 32", mac.len());
            return Err(Pkcs11Error::new(SourceErrorKind::Malformed, detail));
        }
        bytes.copy_from_slice(&mac);
        Ok(bytes)
    }

    /// CKA_ALWAYS_AUTHENTICATE: each use of the key takes a login of its own, behind the start of the operation.
    fn hmac_after_login(&self, pin: &Pin, message: &[u8]) -> Result<Vec<u8>, Pkcs11Error> {
        self.session.sign_init(&Mechanism::Sha256Hmac, self.handle)?;
        login::log_in_for_one_use(self.session, pin)?;
        self.session.sign_update(message)?;
        Ok(self.session.sign_final()?)
    }

    /// What makes the key weaker than it could be.
    pub(super) fn remarks(&self) -> Vec<String> {
        let Traits { length, extractable, sensitive, private, .. } = self.traits;
        let all = [
            (length.is_none(), "the token does not tell the length of the key: see that it has 32 bytes"),
            (
                sensitive == Some(false),
                "the token hands the key out in plain text (CKA_SENSITIVE is false): make one that is sensitive",
            ),
            (
                extractable == Some(true),
                "the key may leave the token (CKA_EXTRACTABLE is true): make one that is not extractable",
            ),
            (
                private == Some(false),
                "the key serves everyone who can open the token, without a PIN (CKA_PRIVATE is false): make a private one",
            ),
        ];
        all.into_iter().filter(|(holds, _)| *holds).map(|(_, remark)| remark.to_owned()).collect()
    }
}

impl Traits {
    fn read(session: &Session, key: ObjectHandle) -> Self {
        let asked = [
            AttributeType::ValueLen,
            AttributeType::Sign,
            AttributeType::AlwaysAuthenticate,
            AttributeType::Extractable,
            AttributeType::Sensitive,
            AttributeType::Private,
        ];
        let mut traits = Traits::default();
        // If the token is gone, the use of the key tells.
        for attribute in session.get_attributes(key, &asked).unwrap_or_default() {
            match attribute {
                // Some tokens say 0 of every key.
                Attribute::ValueLen(length) if *length != 0 => traits.length = Some(*length),
                Attribute::Sign(sign) => traits.sign = Some(sign),
                Attribute::AlwaysAuthenticate(always) => traits.always_authenticate = always,
                Attribute::Extractable(extractable) => traits.extractable = Some(extractable),
                Attribute::Sensitive(sensitive) => traits.sensitive = Some(sensitive),
                Attribute::Private(private) => traits.private = Some(private),
                _ => {}
            }
        }
        traits
    }
}
