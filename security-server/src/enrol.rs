//! Before a server exists in the directory: making its keys, and saying what its member registers.

use std::collections::BTreeSet;

use entente_config::Pkcs11Uri;
use entente_directory::{Address, HpkeKey, ServerRegister, Suite as RegisteredSuite};
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
    /// Proves our end of TLS; P-256.
    pub tls: Arc<dyn Signer>,
    /// Opens what is sealed to us.
    pub hpke: Arc<SealKeyPair>,
    /// What stands above its sessions for a court, when its member has certified it.
    pub chain: Option<Chain>,
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
    /// The process is stopping.
    #[error("the token was no longer waited for")]
    Stopped,
    /// A key could not sign.
    #[error("proving possession of the server's key")]
    Sign(#[from] SignError),
}

/// The label of a server's first keys; rotated ones count up.
const LABEL: &str = "1";

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
        let hpke = match store.load_secret(KeyUse::Hpke, LABEL) {
            Ok(secret) => secret,
            Err(KeyStoreError::Missing { .. }) => store.generate_secret(KeyUse::Hpke, LABEL)?,
            Err(error) => return Err(error.into()),
        };
        let hpke = SealKeyPair::from_bytes(Suite::XWing, hpke.expose());
        Ok(Self {
            chain: load_chain(store, server.verifying_key())?,
            server,
            ledger: store.load_or_generate(KeyUse::Ledger, LABEL)?,
            tls: store.load_or_generate(KeyUse::Tls, LABEL)?,
            hpke: Arc::new(hpke.map_err(|_| EnrolError::Hpke)?),
        })
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

    /// What the server shows in TLS: a certificate that carries its key.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn identity(&self) -> Result<Identity, EnrolError> {
        Ok(Identity::self_signed(Arc::clone(&self.tls), &["entente"])?)
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
            tls: vec![self.tls.verifying_key().clone()],
            hpke: vec![HpkeKey {
                suite: RegisteredSuite::XWing,
                public: self.hpke.public().as_bytes().to_vec(),
            }],
            ledger: self.ledger.verifying_key().clone(),
            protocols: BTreeSet::from([PROTOCOL]),
            proof: [0; 64],
        };
        registration.prove(&*self.server)?;
        Ok(registration)
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
