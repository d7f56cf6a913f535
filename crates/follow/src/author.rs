//! Signing changes: the next change of an author, in the place the directory gives it.
//!
//! A change says how many its author made before and which was the last, so it can only be signed
//! against a state. A [`Pen`] takes both from a followed state and counts on from there.

use std::time::Duration;

use bytes::Bytes;
use entente_agreement::AgreementId;
use entente_clock::Timestamp;
use entente_directory::{
    AgreementAct, Author, Change, ChangeHeader, Mode, ShardOpen, SignChangeError, SignedChange,
    State,
};
use entente_identity::ServerId;
use entente_reason::Reason;
use entente_signing::{Digest, Signer, VerifyingKey};

use crate::client::{Accepted, RegistryClient, RegistryError};

/// Signs the changes of one author, one after the other.
#[derive(Debug)]
pub struct Pen<'a> {
    signer: &'a dyn Signer,
    next: ChangeHeader,
}

/// Why a change could not be signed and submitted. Variants are alphabetical.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorError {
    /// The state has no genesis: the registry was not followed yet.
    #[error("the registry has not been followed yet")]
    NoRegistry,
    /// The registry did not accept it.
    #[error("submitting a change")]
    Registry(#[from] RegistryError),
    /// Signing failed.
    #[error("signing a change")]
    Sign(#[from] SignChangeError),
}

// === impl Pen ===

impl<'a> Pen<'a> {
    /// Signs as `author` what follows `state`. Each change may be logged until [`LOGGED_WITHIN`]
    /// after `now`.
    ///
    /// # Errors
    /// When the state has no genesis.
    pub fn new(
        state: &State,
        author: Author,
        signer: &'a dyn Signer,
        now: Timestamp,
    ) -> Result<Self, AuthorError> {
        let not_after = now.saturating_add(LOGGED_WITHIN);
        let next = state.next_header(author, not_after);
        Ok(Self {
            signer,
            next: next.ok_or(AuthorError::NoRegistry)?,
        })
    }

    /// Signs one change; the next one will follow it.
    ///
    /// # Errors
    /// When the key cannot be used, or the change is out of bounds.
    pub fn sign(&mut self, change: &Change) -> Result<SignedChange, AuthorError> {
        let signed = SignedChange::sign(self.signer, &self.next, change)?;
        self.next.sequence += 1;
        self.next.previous = Some(signed.hash());
        Ok(signed)
    }

    /// Signs one change and submits it with the blobs it names.
    ///
    /// # Errors
    /// When it cannot be signed, or the registry does not accept it. Then a new pen is needed: this
    /// one counted the change.
    pub async fn submit(
        &mut self,
        change: &Change,
        blobs: Vec<Bytes>,
        to: &RegistryClient,
    ) -> Result<Accepted, AuthorError> {
        let signed = self.sign(change)?;
        Ok(to.submit(signed.bytes().clone(), blobs).await?)
    }
}

/// The next act on an agreement, to be put into the change that proposes, accepts, suspends or
/// revokes it. `reason` is a code such as `SAFEGUARD_BREACH`.
pub fn next_act(state: &State, agreement: AgreementId, reason: Option<String>) -> AgreementAct {
    let record = state.agreement(&agreement);
    AgreementAct {
        agreement,
        sequence: record.map_or(1, |record| record.acts + 1),
        previous: record.map(|record| record.last_act),
        reason,
    }
}

/// The opening of a server's next shard in the half-year of `now`. `last_checkpoint` is the hash of
/// the last checkpoint of the shard before, and absent for the first.
pub fn next_shard(
    state: &State,
    server: &ServerId,
    mode: Mode,
    key: VerifyingKey,
    last_checkpoint: Option<Digest>,
    now: Timestamp,
) -> ShardOpen {
    let half_year = now.half_year();
    // Both modes count in one row, since the origin does not name the mode.
    let taken = |n: &u32| {
        let origin = ShardOpen::origin_of(server, &half_year, *n);
        state.shard_by_origin(&origin).is_some()
    };
    let n = (1..u32::MAX).find(|n| !taken(n)).unwrap_or(u32::MAX);
    ShardOpen {
        server: server.clone(),
        mode,
        origin: ShardOpen::origin_of(server, &half_year, n),
        key,
        previous: last_checkpoint,
    }
}

// === impl AuthorError ===

impl AuthorError {
    /// What the caller is told.
    pub fn reason(&self) -> Reason {
        match self {
            Self::NoRegistry => Reason::RegistryBehind,
            Self::Registry(error) => error.reason(),
            Self::Sign(_) => Reason::ChangeMalformed,
        }
    }
}

/// How long after signing a change may still be logged. Default 1 h.
pub const LOGGED_WITHIN: Duration = Duration::from_secs(3600);
