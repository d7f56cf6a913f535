//! Custody of private keys, and what a server's long-lived key certifies: its session keys.
//!
//! A key has one use, named by [`KeyUse`], and stays in the store: callers receive an
//! `Arc<dyn Signer>`, never the key's bytes. Custody is a folder of files, or a PKCS#11 token. Secrets are wiped from memory when dropped and never
//! printed, by `Debug` or otherwise.

mod chain;
mod der;
mod durable;
mod hsm;
mod key_use;
pub mod pem;
mod secret;
mod session;
mod store;
mod token;
mod x509;

pub use chain::{Chain, ChainError, ChainIssueError, MemberCertificate, Validity};
pub use hsm::{HsmError, HsmKey};
pub use key_use::KeyUse;
pub use secret::Secret;
pub use session::{
    Mode, SessionCertificate, SessionError, SessionIssueError, SessionOrder, VerifiedSession,
};
pub use store::{KeyEntry, KeyKind, KeyStore, KeyStoreError};
pub use token::{LocalToken, TokenError};
