//! A module and the tokens behind it, as its one thread sees them.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use entente_config::Pkcs11Uri;
use entente_signing::{Digest, VerifyingKey};
use zeroize::Zeroizing;

use super::HsmError;
use super::refused::Attempt;
use super::thread::{Work, Worked};
use crate::durable;

/// A module, loaded when it is first needed.
pub(super) struct Module {
    path: PathBuf,
    loaded: Option<Pkcs11>,
    initialised: bool,
    /// Keys with the sessions they are used in.
    open: HashMap<Pkcs11Uri, Key>,
    /// PINs that were refused.
    refused: HashMap<Pkcs11Uri, Zeroizing<String>>,
}

struct Key {
    session: Session,
    private: ObjectHandle,
    public: VerifyingKey,
}

// === impl Module ===

impl Module {
    pub(super) fn at(path: PathBuf) -> Self {
        Self {
            path,
            loaded: None,
            initialised: false,
            open: HashMap::new(),
            refused: HashMap::new(),
        }
    }

    /// Does it; when that fails with what is open, opens everything anew, and tries once more.
    pub(super) fn work(&mut self, uri: &Pkcs11Uri, work: Work) -> Result<Worked, HsmError> {
        if let Some(key) = self.open.get(uri)
            && let Ok(worked) = key.work(uri, work)
        {
            return Ok(worked);
        }
        if !self.open.is_empty() {
            self.close();
        }
        let worked = self.open(uri).and_then(|key| key.work(uri, work));
        if worked.is_err() {
            // Slots are listed when a module is initialised: a token that comes back is seen then.
            self.close();
        }
        worked
    }

    fn open(&mut self, uri: &Pkcs11Uri) -> Result<&Key, HsmError> {
        let module = self.initialise()?;
        let session = module
            .open_ro_session(find_token(&module, uri)?)
            .map_err(failed(uri, "opening a session"))?;
        self.login(&session, uri)?;
        let (private, public) = find_key(&session, uri)?;
        let key = Key {
            session,
            private,
            public,
        };
        Ok(self.open.entry(uri.clone()).or_insert(key))
    }

    fn initialise(&mut self) -> Result<Pkcs11, HsmError> {
        let failed = |source| HsmError::Module {
            path: self.path.clone(),
            source,
        };
        let module = match &self.loaded {
            Some(module) => module.clone(),
            None => Pkcs11::new(&self.path).map_err(failed)?,
        };
        self.loaded = Some(module.clone());
        if !self.initialised {
            let args = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
            match module.initialize(args) {
                Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
                Err(source) => return Err(failed(source)),
            }
            self.initialised = true;
        }
        Ok(module)
    }

    fn login(&mut self, session: &Session, uri: &Pkcs11Uri) -> Result<(), HsmError> {
        let refused = || HsmError::PinRefused {
            token: uri.token().to_owned(),
            path: uri.pin().to_owned(),
        };
        let attempt = Attempt::of(uri).map_err(no_pin(uri))?;
        let pin = read_pin(uri)?;
        if self.refused.get(uri) == Some(&pin) || attempt.was_refused(uri) {
            return Err(refused());
        }
        let secret = AuthPin::new(pin.as_str().into());
        match session.login(UserType::User, Some(&secret)) {
            // Logged in for another key of the same token.
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
            Err(Error::Pkcs11(
                RvError::PinIncorrect
                | RvError::PinInvalid
                | RvError::PinLenRange
                | RvError::PinExpired
                | RvError::PinLocked,
                _,
            )) => {
                self.refused.insert(uri.clone(), pin);
                // Where nothing can be written beside the PIN, this process remembers, and no other.
                let _ = attempt.refuse(uri);
                Err(refused())
            }
            Err(source) => Err(failed(uri, "logging in to a session")(source)),
        }
    }

    /// Ends all sessions and the module's own state; the library stays loaded.
    fn close(&mut self) {
        self.open.clear();
        if self.initialised
            && let Some(module) = self.loaded.clone()
        {
            // It fails when the module lost its state already, and then nothing is left to end.
            let _ = module.finalize();
        }
        self.initialised = false;
    }
}

// === impl Key ===

impl Key {
    fn work(&self, uri: &Pkcs11Uri, work: Work) -> Result<Worked, HsmError> {
        match work {
            Work::Find => Ok(Worked::Found(self.public.clone())),
            Work::Sign(digest) => self.sign(uri, &digest).map(Worked::Signed),
        }
    }

    fn sign(&self, uri: &Pkcs11Uri, digest: &Digest) -> Result<[u8; 64], HsmError> {
        let signature = self
            .session
            .sign(&Mechanism::Ecdsa, self.private, digest.as_bytes())
            .map_err(failed(uri, "signing with a key"))?;
        signature.try_into().map_err(|_| HsmError::Differs {
            object: uri.object().to_owned(),
        })
    }
}

fn find_token(module: &Pkcs11, uri: &Pkcs11Uri) -> Result<Slot, HsmError> {
    let listing = "listing the slots";
    let slots = module
        .get_slots_with_token()
        .map_err(failed(uri, listing))?;
    let named = slots.into_iter().filter(|slot| {
        module.get_token_info(*slot).is_ok_and(|info| {
            info.label() == uri.token()
                && uri
                    .serial()
                    .is_none_or(|serial| serial == info.serial_number())
        })
    });
    only(named).map_err(|found| HsmError::Token {
        token: uri.token().to_owned(),
        found,
    })
}

fn find_key(session: &Session, uri: &Pkcs11Uri) -> Result<(ObjectHandle, VerifyingKey), HsmError> {
    let find = |class| -> Result<ObjectHandle, HsmError> {
        let wanted = [
            Attribute::Class(class),
            Attribute::KeyType(KeyType::EC),
            Attribute::EcParams(PRIME256V1.to_vec()),
            Attribute::Label(uri.object().as_bytes().to_vec()),
        ];
        let objects = session
            .iter_objects(&wanted)
            .map_err(failed(uri, "looking for a key"))?;
        let objects = objects.filter_map(Result::ok);
        only(objects).map_err(|found| HsmError::Key {
            token: uri.token().to_owned(),
            object: uri.object().to_owned(),
            found,
        })
    };
    let (private, public) = (
        find(ObjectClass::PRIVATE_KEY)?,
        find(ObjectClass::PUBLIC_KEY)?,
    );
    let attributes = session
        .get_attributes(public, &[AttributeType::EcPoint])
        .map_err(failed(uri, "reading a public key"))?;
    let point = attributes
        .into_iter()
        .find_map(|attribute| match attribute {
            Attribute::EcPoint(point) => Some(point),
            _ => None,
        });
    let public = point.as_deref().and_then(read_point);
    let public = public.ok_or_else(|| HsmError::Differs {
        object: uri.object().to_owned(),
    })?;
    Ok((private, public))
}

/// A point in its OCTET STRING, as the standard asks, or bare, as some tokens give it.
fn read_point(point: &[u8]) -> Option<VerifyingKey> {
    let bare = point
        .strip_prefix(&[0x04, 65])
        .filter(|rest| rest.len() == 65);
    VerifyingKey::from_p256_point(bare.unwrap_or(point)).ok()
}

fn read_pin(uri: &Pkcs11Uri) -> Result<Zeroizing<String>, HsmError> {
    let failed = no_pin(uri);
    let content = durable::read(uri.pin()).map_err(&failed)?;
    if !durable::is_private(uri.pin()).map_err(&failed)? {
        return Err(failed(io::ErrorKind::PermissionDenied.into()));
    }
    str::from_utf8(&content)
        .map(str::trim_ascii_end)
        .ok()
        .filter(|pin| !pin.is_empty())
        .map(|pin| Zeroizing::new(pin.to_owned()))
        .ok_or_else(|| failed(io::ErrorKind::InvalidData.into()))
}

fn no_pin(uri: &Pkcs11Uri) -> impl Fn(io::Error) -> HsmError {
    |source| HsmError::Pin {
        path: uri.pin().to_owned(),
        source,
    }
}

/// The one there is, or how many there are.
fn only<T>(mut found: impl Iterator<Item = T>) -> Result<T, &'static str> {
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err("no"),
        (Some(_), Some(_)) => Err("more than one"),
    }
}

fn failed(uri: &Pkcs11Uri, step: &'static str) -> impl FnOnce(Error) -> HsmError {
    let token = uri.token().to_owned();
    move |source| HsmError::Call {
        token,
        step,
        source,
    }
}

/// OBJECT IDENTIFIER prime256v1, as CKA_EC_PARAMS has it.
const PRIME256V1: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
