//! Before a server exists in the directory: making its keys, and saying what its member registers.

use std::collections::BTreeSet;

use entente_directory::{Address, HpkeKey, ServerRegister, Suite as RegisteredSuite};
use entente_evidence::seal::{SealKeyPair, Suite};
use entente_identity::{ServerId, SystemId};
use entente_keys::{KeyStore, KeyStoreError, KeyUse};
use entente_signing::{SignError, Signer};
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
    pub hpke: SealKeyPair,
}

/// Why keys could not be had, or a registration not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrolError {
    /// The key folder.
    #[error("using the server's keys")]
    Keys(#[from] KeyStoreError),
    /// The HPKE key is not one of its suite.
    #[error("the stored HPKE key is not an X-Wing key")]
    Hpke,
    /// The TLS certificate could not be made.
    #[error("making the server's TLS certificate")]
    Identity(#[from] IdentityError),
    /// A key could not sign.
    #[error("proving possession of the server's key")]
    Sign(#[from] SignError),
}

/// The label of a server's first keys; rotated ones count up.
const LABEL: &str = "1";

/// The protocol version of this build.
const PROTOCOL: u32 = 1;

// === impl ServerKeys ===

impl ServerKeys {
    /// Loads the keys, making those that are missing.
    ///
    /// # Errors
    /// When the folder cannot be read or written.
    pub fn load_or_create(store: &KeyStore) -> Result<Self, EnrolError> {
        let hpke = match store.load_secret(KeyUse::Hpke, LABEL) {
            Ok(secret) => secret,
            Err(KeyStoreError::Missing { .. }) => store.generate_secret(KeyUse::Hpke, LABEL)?,
            Err(error) => return Err(error.into()),
        };
        let hpke = SealKeyPair::from_bytes(Suite::XWing, hpke.expose());
        Ok(Self {
            server: store.load_or_generate(KeyUse::Server, LABEL)?,
            ledger: store.load_or_generate(KeyUse::Ledger, LABEL)?,
            tls: store.load_or_generate(KeyUse::Tls, LABEL)?,
            hpke: hpke.map_err(|_| EnrolError::Hpke)?,
        })
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
