//! Before a server exists in the directory: making its keys, and saying what its member registers.

use std::collections::BTreeSet;

use entente_config::Pkcs11Uri;
use entente_directory::{Address, HpkeKey, ServerRecord, ServerRegister, Suite as RegisteredSuite};
use entente_evidence::seal::{SealKeyPair, Suite};
use entente_identity::{ServerId, SystemId};
use entente_keys::{
    Chain, ChainError, ChainIssueError, HsmError, HsmKey, KeyStore, KeyStoreError, KeyUse,
};
use entente_signing::{SignError, Signer, VerifyingKey};
use entente_tls::{Identity, IdentityError};
use std::sync::Arc;

/// The keys a server runs with.
#[derive(Debug)]
pub struct ServerKeys {
    /// Certifies sessions; P-256.
    pub server: Arc<dyn Signer>,
    /// Signs checkpoints; Ed25519.
    pub ledger: Arc<dyn Signer>,
    /// Each proves our end of TLS; P-256, oldest first, at least one.
    pub tls: Vec<Arc<dyn Signer>>,
    /// Each opens what is sealed to us; oldest first, at least one.
    pub hpke: Vec<Arc<SealKeyPair>>,
    /// What stands above its sessions for a court, when its member has certified it.
    pub chain: Option<Chain>,
}

/// A key of a server that is followed by others while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotated {
    /// What it shows in TLS.
    Tls,
    /// What is sealed to.
    Hpke,
}

/// A key that is not registered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Its file in the key folder.
    pub file: String,
    /// The first 8 bytes of its SHA-256, in hexadecimal, as others show it.
    pub fingerprint: String,
    /// Whether it was made just now.
    pub is_new: bool,
}

/// Why keys could not be had, or a registration not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrolError {
    /// The certificates beside the server's key are no chain.
    #[error("reading the certificates beside the server's key, `{CHAIN}`")]
    Chain(#[source] ChainError),
    /// They are for another key.
    #[error("the certificates in `{CHAIN}` are not for the server's key: have it certified again")]
    ChainOfAnotherKey,
    /// The certificates could not be issued.
    #[error("issuing certificates")]
    Issue(#[source] ChainIssueError),
    /// The key folder.
    #[error("using the server's keys")]
    Keys(#[from] KeyStoreError),
    /// The key in the token.
    #[error("using the server's key in its token")]
    Hsm(#[from] HsmError),
    /// The HPKE key is not one of its suite.
    #[error("the stored HPKE key is not an X-Wing key")]
    Hpke,
    /// The TLS certificate could not be made.
    #[error("making the server's TLS certificate")]
    Identity(#[from] IdentityError),
    /// There is no key to show in TLS.
    #[error("there is no key to show in TLS")]
    NoTls,
    /// The process is stopping.
    #[error("the token was no longer waited for")]
    Stopped,
    /// The folder holds as many keys of this use as a server loads.
    #[error(
        "the folder holds {MOST} keys for {0} already: delete those that are registered no more"
    )]
    TooMany(KeyUse),
    /// A key could not sign.
    #[error("proving possession of the server's key")]
    Sign(#[from] SignError),
}

/// The label of a server's first keys; rotated ones count up.
const LABEL: &str = "1";

/// Keys of one use that a server loads, the newest: two are usual while one follows another.
const MOST: usize = 16;

/// Where the certificates of its first server key are.
const CHAIN: &str = "server.1.crt";

/// The protocol version of this build.
const PROTOCOL: u32 = 1;

// === impl ServerKeys ===

impl ServerKeys {
    /// Loads the keys, making those that are missing in the folder.
    ///
    /// # Errors
    /// When the folder cannot be read or written.
    pub fn load_or_create(store: &KeyStore) -> Result<Self, EnrolError> {
        Self::with_server_key(store, store.load_or_generate(KeyUse::Server, LABEL)?)
    }

    /// As [`Self::load_or_create`]; when `in_token` says where, with the server's key there, where it
    /// is not made. Blocks while the token is asked.
    ///
    /// # Errors
    /// As there, and when the token cannot be used.
    pub fn find(store: &KeyStore, in_token: Option<&Pkcs11Uri>) -> Result<Self, EnrolError> {
        match in_token {
            None => Self::load_or_create(store),
            Some(uri) => Self::with_server_key(store, Arc::new(HsmKey::open(uri)?)),
        }
    }

    /// As [`Self::load_or_create`], with a server's key that is kept elsewhere.
    ///
    /// # Errors
    /// As there.
    pub fn with_server_key(store: &KeyStore, server: Arc<dyn Signer>) -> Result<Self, EnrolError> {
        let mut tls = Self::tls_keys(store)?;
        if tls.is_empty() {
            tls.push(store.load_or_generate(KeyUse::Tls, LABEL)?);
        }
        let mut hpke = Self::seal_keys(store)?;
        if hpke.is_empty() {
            let secret = store.generate_secret(KeyUse::Hpke, LABEL)?;
            hpke.push(seal_key(secret.expose())?);
        }
        Ok(Self {
            chain: load_chain(store, server.verifying_key())?,
            server,
            ledger: store.load_or_generate(KeyUse::Ledger, LABEL)?,
            tls,
            hpke,
        })
    }

    /// The keys of a folder that are shown in TLS, oldest first; none is made.
    fn tls_keys(store: &KeyStore) -> Result<Vec<Arc<dyn Signer>>, EnrolError> {
        let numbers = numbers(store, KeyUse::Tls)?.into_iter();
        let keys = numbers.map(|number| store.load(KeyUse::Tls, &number.to_string()));
        Ok(keys.collect::<Result<_, _>>()?)
    }

    /// What a folder has to show in TLS and to be sealed to, each oldest first; none is made.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn public_of(store: &KeyStore) -> Result<(Vec<VerifyingKey>, Vec<HpkeKey>), EnrolError> {
        let tls = Self::tls_keys(store)?;
        let tls = tls.iter().map(|key| key.verifying_key().clone()).collect();
        let hpke = Self::seal_keys(store)?;
        let hpke = hpke.iter().map(|pair| registered(pair)).collect();
        Ok((tls, hpke))
    }

    /// The keys of a folder that are sealed to, oldest first; none is made.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn seal_keys(store: &KeyStore) -> Result<Vec<Arc<SealKeyPair>>, EnrolError> {
        let numbers = numbers(store, KeyUse::Hpke)?.into_iter();
        let keys = numbers.map(|number| {
            let secret = store.load_secret(KeyUse::Hpke, &number.to_string())?;
            seal_key(secret.expose())
        });
        keys.collect()
    }

    /// Makes the next key of a use, beside those that are there. The newest is the next one still when the
    /// server's record, where it is known, never had it.
    ///
    /// # Errors
    /// When the folder holds 16 of them, or cannot be used.
    pub fn prepare(
        store: &KeyStore,
        rotated: Rotated,
        record: Option<&ServerRecord>,
    ) -> Result<Prepared, EnrolError> {
        let key_use = rotated.key_use();
        let numbers = numbers(store, key_use)?;
        if let (Some(newest), Some(record)) = (numbers.last(), record) {
            let prepared = rotated.prepared(store, &newest.to_string(), false)?;
            let tls = record.tls.iter().map(|key| key.value.key_id().to_string());
            let hpke = record.hpke.iter().map(|key| key.value.fingerprint());
            if !tls.chain(hpke).any(|known| known == prepared.fingerprint) {
                return Ok(prepared);
            }
        }
        if numbers.len() >= MOST {
            return Err(EnrolError::TooMany(key_use));
        }
        let next = numbers.last().map_or(Some(1), |last| last.checked_add(1));
        let label = next.ok_or(EnrolError::TooMany(key_use))?.to_string();
        rotated.prepared(store, &label, true)
    }

    /// Keeps what the member issued for this server, in the place of what was there.
    ///
    /// # Errors
    /// When it is for another key, or cannot be kept.
    pub fn keep_chain(
        store: &KeyStore,
        key: &VerifyingKey,
        chain: &Chain,
    ) -> Result<(), EnrolError> {
        if chain.server_key() != key {
            return Err(EnrolError::ChainOfAnotherKey);
        }
        Ok(store.keep_certificates(KeyUse::Server, LABEL, &chain.to_pem())?)
    }

    /// What a server shows in TLS that has one key, or is not registered yet: a certificate that carries its
    /// oldest.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn identity(&self) -> Result<Identity, EnrolError> {
        let oldest = self.tls.first().ok_or(EnrolError::NoTls)?;
        Ok(Identity::self_signed(Arc::clone(oldest), &["entente"])?)
    }

    /// What the server shows in TLS: a certificate that carries the newest of its keys that is registered for
    /// it. None when none is.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn identity_in(&self, record: &ServerRecord) -> Result<Option<Identity>, EnrolError> {
        let is_registered = |key: &&Arc<dyn Signer>| {
            let mut listed = record.tls_keys();
            listed.any(|listed| listed == key.verifying_key())
        };
        match self.tls.iter().rev().find(is_registered) {
            None => Ok(None),
            Some(key) => Ok(Some(Identity::self_signed(Arc::clone(key), &["entente"])?)),
        }
    }

    /// The keys it may show in TLS, oldest first.
    pub fn tls_public(&self) -> Vec<VerifyingKey> {
        let keys = self.tls.iter();
        keys.map(|key| key.verifying_key().clone()).collect()
    }

    /// The keys that are sealed to, as they are registered, oldest first.
    pub fn hpke_public(&self) -> Vec<HpkeKey> {
        self.hpke.iter().map(|pair| registered(pair)).collect()
    }

    /// The registration for the member to sign, with the server's own proof in it.
    ///
    /// # Errors
    /// When the server's key cannot be used.
    pub fn registration(
        &self,
        server: &ServerId,
        systems: BTreeSet<SystemId>,
        addresses: Vec<Address>,
    ) -> Result<ServerRegister, EnrolError> {
        let mut registration = ServerRegister {
            server: server.clone(),
            systems,
            addresses,
            key: self.server.verifying_key().clone(),
            tls: self.tls_public(),
            hpke: self.hpke_public(),
            ledger: self.ledger.verifying_key().clone(),
            protocols: BTreeSet::from([PROTOCOL]),
            proof: [0; 64],
        };
        registration.prove(&*self.server)?;
        Ok(registration)
    }
}

// === impl Rotated ===

impl Rotated {
    /// What the key folder calls it.
    pub const fn key_use(self) -> KeyUse {
        match self {
            Self::Tls => KeyUse::Tls,
            Self::Hpke => KeyUse::Hpke,
        }
    }

    fn prepared(self, store: &KeyStore, label: &str, is_new: bool) -> Result<Prepared, EnrolError> {
        let key_use = self.key_use();
        let (file, fingerprint) = match self {
            Self::Tls => {
                let key = match is_new {
                    true => store.generate(key_use, label)?,
                    false => store.load(key_use, label)?,
                };
                (
                    format!("{key_use}.{label}.pem"),
                    key.verifying_key().key_id().to_string(),
                )
            }
            Self::Hpke => {
                let secret = match is_new {
                    true => store.generate_secret(key_use, label)?,
                    false => store.load_secret(key_use, label)?,
                };
                let key = registered(&*seal_key(secret.expose())?);
                (format!("{key_use}.{label}.secret"), key.fingerprint())
            }
        };
        Ok(Prepared {
            file,
            fingerprint,
            is_new,
        })
    }
}

/// The numbers a server's keys of one use are kept under, oldest first; at most 16.
///
/// # Errors
/// When the folder cannot be read.
pub fn numbers(store: &KeyStore, key_use: KeyUse) -> Result<Vec<u32>, KeyStoreError> {
    let labels = store.labels(key_use)?;
    let numbers = labels.iter().filter_map(|label| {
        let number = label.parse::<u32>().ok()?;
        // In its one spelling, so that no two files share a number.
        (number > 0 && number.to_string() == *label).then_some(number)
    });
    let mut numbers: Vec<u32> = numbers.collect();
    numbers.sort_unstable();
    Ok(numbers.split_off(numbers.len().saturating_sub(MOST)))
}

fn seal_key(secret: &[u8]) -> Result<Arc<SealKeyPair>, EnrolError> {
    let pair = SealKeyPair::from_bytes(Suite::XWing, secret);
    pair.map(Arc::new).map_err(|_| EnrolError::Hpke)
}

fn registered(pair: &SealKeyPair) -> HpkeKey {
    HpkeKey {
        suite: RegisteredSuite::XWing,
        public: pair.public().as_bytes().to_vec(),
    }
}

fn load_chain(store: &KeyStore, key: &VerifyingKey) -> Result<Option<Chain>, EnrolError> {
    let Some(pem) = store.certificates(KeyUse::Server, LABEL)? else {
        return Ok(None);
    };
    let chain = Chain::from_pem(&pem).map_err(EnrolError::Chain)?;
    if chain.server_key() == key {
        Ok(Some(chain))
    } else {
        Err(EnrolError::ChainOfAnotherKey)
    }
}
